/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tracker/internal.h"

/* Do not leave half a UTF-8 sequence where the text was cut. */
static void settle(char *s, size_t cap, int want)
{
	if (want < 0)
		s[0] = '\0';
	if (want < 0 || (size_t)want < cap)
		return;
	size_t i = strlen(s);
	while (i > 0 && ((unsigned char)s[i - 1] & 0xc0) == 0x80)
		i--;
	if (i > 0 && ((unsigned char)s[i - 1] & 0xc0) == 0xc0)
		s[i - 1] = '\0';
}

void cause_format(char *dst, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int want = vsnprintf(dst, cap, fmt, ap);
	va_end(ap);
	settle(dst, cap, want);
}

void cause_copy(char *dst, size_t cap, const char *text)
{
	if (dst != text)
		cause_format(dst, cap, "%s", text);
}
