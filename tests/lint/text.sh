#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# What .editorconfig says: no blanks at line ends, LF, a newline at the end; C is
# indented by tabs and at most 100 columns wide; and nothing is left for later.
. "$(dirname "$0")/common.sh"

files=$(
  for dir in src daemon cli device tests bench schema scripts m4 systemd etc docs web; do
    if [ -d "$dir" ]; then
      find "$dir" -type f \( -name '*.[ch158]' -o -name '*.sh' -o -name '*.awk' -o -name '*.txt' \
        -o -name '*.py' -o -name '*.sql' -o -name '*.cddl' -o -name '*.yaml' -o -name '*.md' \
        -o -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.conf' -o -name '*.in' \
        -o -name 'fettle*.m4' \) ! -path 'tests/vectors/*' ! -name schema_sql.c -print
    fi
  done
  for file in configure.ac Makefile.am autogen.sh sources.mk; do
    if [ -f "$file" ]; then echo "$file"; fi
  done
)
[ -n "$files" ] || exit 0
# shellcheck disable=SC2086
lines=$(awk '
  function complain(what) { print FILENAME ":" FNR ": " what }
  function width(s,   i, n) {
    n = 0
    for (i = 1; i <= length(s); i++)
      if (substr(s, i, 1) == "\t") n += 8 - n % 8
      else if (substr(s, i, 1) !~ /[\200-\277]/) n++
    return n
  }
  /\r$/ { complain("ends in CR LF") }
  /[ \t]$/ && FILENAME !~ /[.]md$/ { complain("blanks at the end of the line") }
  FILENAME ~ /[.][ch]$/ {
    if ($0 ~ /^        /) complain("indented by blanks; use tabs")
    if (length($0) > 60 && (n = width($0)) > 100) complain(n " columns; 100 is the limit")
  }
  FILENAME !~ /tests\/lint\// && /(^|[^A-Za-z_])(TODO|FIXME|XXX)([^A-Za-z_]|$)/ {
    complain("something is left for later")
  }' $files)
endings=$(for file in $files; do
  if [ -s "$file" ] && [ "$(tail -c 1 "$file" | od -An -tx1)" != " 0a" ]; then
    echo "$file:$(wc -l <"$file" | tr -d ' '): no newline at the end"
  fi
done)
verdict "$(printf '%s\n%s\n' "$lines" "$endings" | sed '/^$/d')"
