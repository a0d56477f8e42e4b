#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# Includes point down: a file sees its own folder and lower ranks, rank 1 folders do
# not see each other, no two headers include each other, and a foreign header has one
# owner (owners.txt), so that replacing a library is one file.
. "$(dirname "$0")/common.sh"

files=$(c_files src daemon cli device)
[ -n "$files" ] || exit 0
# shellcheck disable=SC2086
verdict "$(awk -f /dev/fd/3 "$here/owners.txt" $files 3<<'END'
BEGIN {
	rank["base"] = 0
	rank["codec"] = rank["store"] = rank["ipc"] = 1
	rank["tracker"] = 2
	rank["service"] = 3
	rank["daemon"] = rank["cli"] = rank["device"] = 4
}
function complain(what) { print FILENAME ":" FNR ": " what }
FILENAME ~ /owners[.]txt$/ {
	if ($0 !~ /^#/ && NF == 2) { n++; header[n] = $1; owner[n] = $2 }
	next
}
FNR == 1 {
	inside = FILENAME
	sub(/^src\//, "", inside)
	own = inside
	sub(/\/.*/, "", own)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	name = $0
	sub(/^[^<]*</, "", name)
	sub(/>.*/, "", name)
	for (i = 1; i <= n; i++)
		if (name ~ "^(" header[i] ")$" && FILENAME !~ "^(" owner[i] ")$")
			complain("<" name "> belongs to " owner[i])
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	name = $0
	sub(/^[^"]*"/, "", name)
	sub(/".*/, "", name)
	if (name == "config.h")
		next
	folder = name
	sub(/\/.*/, "", folder)
	if (name !~ /\// || !(folder in rank))
		complain("\"" name "\" does not name a folder of this tree")
	else if (folder != own && rank[folder] >= rank[own])
		complain(own " does not see " folder " (\"" name "\")")
	if (inside ~ /[.]h$/) {
		pair[inside, name] = 1
		if ((name, inside) in pair)
			complain("\"" name "\" and this header include each other")
	}
}
END
)"
