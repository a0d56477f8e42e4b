#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# Run every fuzz target over its corpus, tests/fuzz/corpus/NAME/ for fuzz_NAME, once.
# FUZZ_PROGRAMS names the built targets; a target without a corpus is a failure.
set -eu
: "${srcdir:=.}"
status=0
for program in ${FUZZ_PROGRAMS-}; do
  name=${program##*/fuzz_}
  corpus=$srcdir/tests/fuzz/corpus/$name
  if ! [ -d "$corpus" ]; then
    echo "$corpus: there is no corpus for $program" >&2
    status=1
    continue
  fi
  echo "$program:"
  find "$corpus" -type f -exec "./$program" {} + >replay.$$ 2>&1 || {
    cat replay.$$ >&2
    echo "$program: failed on its corpus" >&2
    status=1
  }
  tail -n 1 replay.$$
  rm -f replay.$$
done
exit $status
