#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# Every .c file is as clang-format 14 leaves it. Headers are not: their comments stand
# in columns; text.sh looks after their width and blanks.
. "$(dirname "$0")/common.sh"

format=${CLANG_FORMAT:-$(command -v clang-format || :)}
[ -n "$format" ] || skip "there is no clang-format here"
files=$(c_files src daemon cli device tests bench | grep '\.c$' || :)
[ -n "$files" ] || exit 0
# shellcheck disable=SC2086
verdict "$("$format" --style=file --dry-run -Werror $files 2>&1 | grep 'error:' || :)"
