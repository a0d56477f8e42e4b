# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# code(line): the line of C without comments, its literals emptied. Remembers
# whether a comment is open, so call it once for every line; forget() at a new file.
function forget() { open_comment = 0 }
function code(line,   out, c, two, quote) {
	out = ""
	while (line != "") {
		two = substr(line, 1, 2)
		c = substr(line, 1, 1)
		if (open_comment) {
			if (two == "*/") { open_comment = 0; line = substr(line, 3) }
			else line = substr(line, 2)
		} else if (quote != "") {
			if (c == "\\") line = substr(line, 3)
			else {
				if (c == quote) { quote = ""; out = out c }
				line = substr(line, 2)
			}
		} else if (two == "/*") {
			open_comment = 1
			line = substr(line, 3)
		} else if (two == "//") {
			line = ""
		} else {
			if (c == "\"" || c == "'") quote = c
			out = out c
			line = substr(line, 2)
		}
	}
	return out
}
FNR == 1 { forget() }
