#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# Every source file says its licence and its authors in its first four lines.
. "$(dirname "$0")/common.sh"

files=$(
  for dir in src daemon cli device tests bench schema scripts m4 systemd etc; do
    if [ -d "$dir" ]; then
      find "$dir" -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.awk' -o -name '*.py' \
        -o -name '*.sql' -o -name 'fettle*.m4' \) ! -name schema_sql.c -print
    fi
  done
  for file in configure.ac Makefile.am autogen.sh; do
    if [ -f "$file" ]; then echo "$file"; fi
  done
)
verdict "$(for file in $files; do
  head=$(head -n 4 "$file")
  case $head in
    *'SPDX-License-Identifier: ISC'*'SPDX-FileCopyrightText: The Fettle authors'*) ;;
    *) echo "$file:1: the two SPDX lines are missing" ;;
  esac
done)"
