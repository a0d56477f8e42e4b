#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# Does the simulation see what it is there to see? Each mutant of mutants.txt is the service
# with one promise broken: copies of some sources, changed, linked before the library. The
# oracle must name a violation in every one of them. Run by make check, in the build folder;
# SIM_COMPILE and SIM_LINK are the compiler's calls, SIM_LIBS what goes behind the objects.
set -eu
[ -n "${SIM_COMPILE:-}" ] || { echo "run by make check"; exit 77; }
table=$top_srcdir/tests/sim/mutants.txt
work=tests/sim/mutants.dir
only=${MUTANT:-}
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
failed=0 n=0

# build NAME: its sources changed, compiled, linked; the program is $work/NAME/fleet
build() {
  objects=
  while IFS="$(printf '\t')" read -r mutant file change; do
    [ "$mutant" = "$1" ] || continue
    copy=$work/$1/${file#src/}
    mkdir -p "${copy%/*}"
    sed "$change" "$top_srcdir/$file" >"$copy"
    if cmp -s "$top_srcdir/$file" "$copy"; then
      echo "FAILED $1: '$change' changes nothing in $file: write it anew"
      return 1
    fi
    case $file in
      src/store/statements_*.h) source=$top_srcdir/src/store/statements.c ;;
      *) source=$copy ;;
    esac
    object=$work/$1/$(echo "${source##*/}" | sed 's/\.c$/.o/')
    $SIM_COMPILE -I"$work/$1" -I"$top_srcdir/src" -I"$top_srcdir" -Isrc -I. -w -O1 \
      -c "$source" -o "$object" || return 1
    objects="$objects $object"
  done <"$table"
  # shellcheck disable=SC2086
  $SIM_LINK -o "$work/$1/fleet" tests/sim/test_fleet.o $objects $SIM_LIBS >"$work/$1/log" 2>&1 || {
    cat "$work/$1/log"
    return 1
  }
}

for name in $(sed -n 's/^\([a-z][a-z-]*\)\t.*/\1/p' "$table" | uniq); do
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  n=$((n + 1))
  if ! build "$name"; then
    failed=$((failed + 1))
    continue
  fi
  if FETTLE_SEED='' FETTLE_LONG=no FETTLE_SEEDS=400 FETTLE_EVENTS=4000 "$work/$name/fleet" \
    >"$work/$name/said" 2>&1 || ! grep '^seed [0-9]*, event' "$work/$name/said" >"$work/$name/named"; then
    echo "FAILED $name: nobody noticed"
    tail -n 5 "$work/$name/said"
    failed=$((failed + 1))
  else
    echo "caught $name: $(head -n 1 "$work/$name/named")"
  fi
done
echo "$n mutants, $failed not caught"
[ "$failed" = 0 ] && [ "$n" -ge 6 ] || [ -n "$only" ]
