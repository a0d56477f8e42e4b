#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# Every check must be able to fail: each is given a small clean tree, which it must
# pass, and then one with a single fault in it, which it must name by file and line.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failures=0
count=0

clean_tree() {
  rm -rf "$work/tree"
  mkdir -p "$work/tree/src/base" "$work/tree/src/codec" "$work/tree/src/store" "$work/tree/daemon"
  cp "$here/../../.clang-format" "$work/tree/"
  cat >"$work/tree/src/base/a.h" <<'END'
/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef A_H
#define A_H
int a_value(void);	/* strcpy(in, comment) */
#endif
END
  cat >"$work/tree/src/base/a.c" <<'END'
/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/a.h"

int a_value(void)
{
	return (int)sizeof("gets(this) is text");
}
END
  sed -e 's|base/a.h|base/a.h"\n#include "codec/b.h|' "$work/tree/src/base/a.c" >"$work/tree/src/codec/b.c"
  sed -e 's/A_H/B_H/' -e 's/a_value/b_value/' "$work/tree/src/base/a.h" >"$work/tree/src/codec/b.h"
  FETTLE_TREE="$work/tree" "$here/../../scripts/list-sources" >"$work/tree/sources.mk"
}

# add FILE: append standard input to a file of the tree
add() {
  cat >>"$work/tree/$1"
}

fail() {
  echo "selftest.sh: $1" >&2
  failures=$((failures + 1))
}

# expect CHECK PATTERN: the check must fail now and its output match PATTERN
expect() {
  count=$((count + 1))
  status=0
  FETTLE_TREE="$work/tree" "$here/$1.sh" >"$work/out" 2>&1 || status=$?
  if [ "$status" -eq 77 ]; then
    echo "$1.sh: skipped: $(cat "$work/out")"
  elif [ "$status" -eq 0 ]; then
    fail "$1.sh let pass what should match '$2'"
  elif ! grep -qE "$2" "$work/out"; then
    fail "$1.sh failed without saying '$2':"
    cat "$work/out" >&2
  fi
  clean_tree
}

clean_tree
for check in banned format includes sizes sources spdx sql text; do
  count=$((count + 1))
  status=0
  FETTLE_TREE="$work/tree" "$here/$check.sh" >"$work/out" 2>&1 || status=$?
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    fail "$check.sh finds fault with the clean tree:"
    cat "$work/out" >&2
  fi
done

for call in 'strcpy(a, b)' 'strcat(a, b)' 'sprintf(a, "x")' 'gets(a)' 'atoi(a)' 'system("ls")' \
  'popen("ls", "r")' 'tmpnam(a)' 'alloca(3)' 'sscanf(a, "%d", b)'; do
  echo "int f(void) { return $call; }" | add src/base/a.c
  expect banned '^src/base/a\.c:9: [a-z]+\(\) is not used here'
done

echo 'int   f( void ) {return 1;}' | add src/base/a.c
expect format '^src/base/a\.c:9:'

echo '#include "codec/b.h"' | add src/base/a.c
expect includes '^src/base/a\.c:9: base does not see codec'
echo '#include "store/s.h"' | add src/codec/b.c
expect includes '^src/codec/b\.c:10: codec does not see store'
echo '#include "cli/x.h"' | add daemon/d.c
expect includes '^daemon/d\.c:1: daemon does not see cli'
echo '#include "b.h"' | add src/codec/b.c
expect includes '"b\.h" does not name a folder'
echo '#include "base/c.h"' | add src/base/a.h
echo '#include "base/a.h"' | add src/base/c.h
expect includes 'include each other'
for owned in sqlite3.h cbor.h jansson.h libical/ical.h openssl/evp.h coap3/coap.h microhttpd.h \
  gnutls/gnutls.h event2/event.h curl/curl.h ini.h; do
  echo "#include <$owned>" | add src/base/a.c
  expect includes "^src/base/a\.c:9: <$owned> belongs to"
done

awk 'BEGIN { print "int f(void)\n{"; for (i = 0; i < 98; i++) print "\ta_value();"; print "\treturn 0;\n}" }' |
  add src/base/a.c
expect sizes '^src/base/a\.c:[0-9]+: f\(\) has 102 lines'
awk 'BEGIN { for (i = 0; i < 500; i++) print "/* line */" }' | add src/base/a.c
expect sizes '^src/base/a\.c:501: 508 lines'

add src/base/new.c </dev/null
expect sources 'new\.c'
sed 's|.*src/base/a.c.*|	src/base/gone.c \\|' "$work/tree/sources.mk" >"$work/mk"
cp "$work/mk" "$work/tree/sources.mk"
expect sources 'gone\.c'

echo 'int x;' | add src/base/bare.c
expect spdx '^src/base/bare\.c:1:'

for text in 'SELECT id FROM device' 'INSERT INTO device' 'UPDATE device SET' 'DELETE FROM device' \
  'PRAGMA journal_mode' 'select id from device' 'CREATE TABLE t'; do
  echo "const char *q = \"$text\";" | add src/base/a.c
  expect sql '^src/base/a\.c:9: SQL outside'
done

printf 'int x; \n' | add src/base/a.c
expect text '^src/base/a\.c:9: blanks at the end'
printf 'int x;\r\n' | add src/base/a.c
expect text '^src/base/a\.c:9: ends in CR LF'
printf 'int x;' | add src/base/a.c
expect text '^src/base/a\.c:.*no newline'
printf '        int x;\n' | add src/base/a.c
expect text '^src/base/a\.c:9: indented by blanks'
printf '/* %0100d */\n' 0 | add src/base/a.c
expect text '^src/base/a\.c:9: 106 columns'
printf '/* %s: later */\n' 'TODO' | add src/base/a.c
expect text '^src/base/a\.c:9: something is left'

echo "$count trials, $failures failures"
[ "$failures" -eq 0 ]
