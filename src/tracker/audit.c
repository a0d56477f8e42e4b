/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "tracker/tracker.h"

/* Copy what fits: an audit row that is cut is better than none. */
static void fit(char *dst, size_t cap, const char *s)
{
	int n = snprintf(dst, cap, "%s", s);

	if (n < 0)
		dst[0] = '\0';
}

int audit_note(struct tracker *tk, const char *verb, const char *object, struct err *e,
	       const char *fmt, ...)
{
	struct audit row = { .at = tk->now.wall };
	va_list ap;

	fit(row.who, sizeof(row.who), tk->who ? tk->who : "system");
	fit(row.verb, sizeof(row.verb), verb);
	fit(row.object, sizeof(row.object), object);
	va_start(ap, fmt);
	int n = vsnprintf(row.detail, sizeof(row.detail), fmt, ap);
	va_end(ap);
	if (n < 0)
		row.detail[0] = '\0';
	return store_audit_add(tk->st, &row, e);
}
