# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
# shellcheck shell=sh
#
# Read by every check. A check prints file:line: and what is wrong there, and exits
# non-zero. FETTLE_TREE names another tree to look at (selftest.sh does).
set -eu
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
cd "${FETTLE_TREE:-$here/../..}"

# c_files DIR...: the C files under those that exist, without what make generated
c_files() {
  for dir; do
    if [ -d "$dir" ]; then
      find "$dir" -name '*.[ch]' -type f ! -name schema_sql.c -print
    fi
  done | sort
}

# verdict OUTPUT: print it; fail when there is any
verdict() {
  [ -z "$1" ] && exit 0
  printf '%s\n' "$1" >&2
  exit 1
}

skip() {
  echo "$1" >&2
  exit 77
}
