/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	enum err_code code;
	const char *word;
} words[] = {
	{ ERR_NONE, "none" },
	{ ERR_MALFORMED, "malformed" },
	{ ERR_INVALID, "invalid" },
	{ ERR_TOO_LARGE, "too-large" },
	{ ERR_UNSUPPORTED, "unsupported" },
	{ ERR_VERIFY, "verify" },
	{ ERR_MEDIA, "media" },
	{ ERR_NOT_ACCEPTABLE, "not-acceptable" },
	{ ERR_UNAUTHENTICATED, "unauthenticated" },
	{ ERR_FORBIDDEN, "forbidden" },
	{ ERR_NOT_FOUND, "not-found" },
	{ ERR_METHOD, "method" },
	{ ERR_CONFLICT, "conflict" },
	{ ERR_PRECONDITION, "precondition" },
	{ ERR_TOO_MANY, "too-many" },
	{ ERR_GONE, "gone" },
	{ ERR_BUSY, "busy" },
	{ ERR_FULL, "full" },
	{ ERR_IO, "io" },
	{ ERR_NO_MEMORY, "no-memory" },
	{ ERR_INTERNAL, "internal" },
};

/*
 * The text may quote what a stranger sent and ends up in logs and answers: keep
 * it on one line, and do not leave half a UTF-8 sequence where it was cut.
 */
static void settle(char *s, size_t cap, int want)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = ' ';
	if (want < 0 || (size_t)want < cap)
		return;
	size_t i = n;
	while (i > 0 && ((unsigned char)s[i - 1] & 0xc0) == 0x80)
		i--;
	if (i > 0 && ((unsigned char)s[i - 1] & 0xc0) == 0xc0)
		s[i - 1] = '\0';
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	if (!e)
		return -1;

	char text[sizeof(e->text)];
	va_list ap;
	va_start(ap, fmt);
	int want = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (want < 0)
		text[0] = '\0';
	settle(text, sizeof(text), want);
	/* fmt's arguments may point into e->text, hence the copy */
	memcpy(e->text, text, sizeof(text));
	e->code = code;
	return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -1;

	char prefix[sizeof(e->text)], text[sizeof(e->text)];
	va_list ap;
	va_start(ap, fmt);
	int want = vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	if (want < 0)
		prefix[0] = '\0';
	settle(prefix, sizeof(prefix), want);
	memcpy(text, e->text, sizeof(text));
	want = snprintf(e->text, sizeof(e->text), "%s: %s", prefix, text);
	settle(e->text, sizeof(e->text), want);
	return -1;
}

const char *err_word(enum err_code code)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].code == code)
			return words[i].word;
	return "internal";
}
