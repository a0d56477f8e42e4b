#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# No function over 100 lines, at most one in twenty of 60 or more, no file over 500;
# files listed in tables.txt apart.
. "$(dirname "$0")/common.sh"

ctags=${CTAGS:-$(command -v ctags || :)}
[ -n "$ctags" ] && "$ctags" --version 2>/dev/null | grep -q Universal ||
  skip "there is no universal-ctags here"
tables=$here/tables.txt
files=$(c_files src daemon cli device | grep -v -x -F -f "$tables" || :)
[ -n "$files" ] || exit 0
# shellcheck disable=SC2086
long_files=$(wc -l $files | awk '$2 != "total" && $1 > 500 { print $2 ":501: " $1 " lines; 500 is the limit" }')
# shellcheck disable=SC2086
long_functions=$("$ctags" -f - --languages=C --langmap=C:.c.h --kinds-C=f --fields=ne \
  --excmd=number $files | awk -F '\t' '
  /^!/ { next }
  {
    from = to = 0
    for (i = 4; i <= NF; i++) {
      if ($i ~ /^line:/) from = substr($i, 6) + 0
      if ($i ~ /^end:/) to = substr($i, 5) + 0
    }
    if (to == 0) next
    n++
    lines = to - from + 1
    if (lines >= 60) long++
    if (lines > 100) print $2 ":" from ": " $1 "() has " lines " lines; 100 is the limit"
  }
  END {
    if (n >= 100 && long * 20 > n)
      print "src:1: " long " of " n " functions have 60 lines or more; one in twenty is the limit"
  }')
verdict "$(printf '%s\n%s\n' "$long_files" "$long_functions" | sed '/^$/d')"
