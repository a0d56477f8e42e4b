#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# SQL is spoken in src/store/ alone: no statement in a string literal elsewhere.
. "$(dirname "$0")/common.sh"

files=$(c_files src daemon cli device | grep -v '^src/store/' || :)
[ -n "$files" ] || exit 0
# shellcheck disable=SC2086
verdict "$(grep -nE '"[^"]*(SELECT[ "]|INSERT (OR [A-Z]+ )?INTO|UPDATE [a-z_]+ SET|DELETE FROM|CREATE (TABLE|INDEX|UNIQUE)|ALTER TABLE|DROP TABLE|PRAGMA |SAVEPOINT|BEGIN IMMEDIATE)|"(select .* from |insert into |delete from |create table |pragma )' \
  /dev/null $files | sed 's/^\([^:]*:[0-9]*:\).*/\1 SQL outside src\/store/' || :)"
