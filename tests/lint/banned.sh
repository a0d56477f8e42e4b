#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# Calls that have no place here: unbounded copies, a shell, time-of-check names, and
# parsers that cannot say no.
. "$(dirname "$0")/common.sh"

files=$(c_files src daemon cli device tests bench)
[ -n "$files" ] || exit 0
# shellcheck disable=SC2086
verdict "$(awk -f "$here/strip.awk" -f /dev/fd/3 $files 3<<'END'
{
	line = code($0)
	if (match(line, /(^|[^A-Za-z0-9_.>])(strcpy|strncpy|strcat|strncat|stpcpy|sprintf|vsprintf|gets|atoi|atol|atoll|atof|sscanf|scanf|system|popen|tmpnam|tempnam|mktemp|alloca|strtok|rand|srand|ctime|asctime|gmtime|localtime)[ \t]*\(/)) {
		call = substr(line, RSTART, RLENGTH)
		gsub(/[^a-z]/, "", call)
		print FILENAME ":" FNR ": " call "() is not used here"
	}
}
END
)"
