/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int text_copy_slice(char *dst, size_t cap, struct slice s)
{
	if (cap == 0)
		return -1;
	dst[0] = '\0';
	if (s.n >= cap)
		return -1;
	if (s.n == 0)
		return 0;
	if (memchr(s.p, 0, s.n))
		return -1;
	memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
	return 0;
}

int text_copy(char *dst, size_t cap, const char *s)
{
	return text_copy_slice(dst, cap, slice_str(s));
}

int text_format(char *dst, size_t cap, const char *fmt, ...)
{
	va_list ap;

	if (cap == 0)
		return -1;
	va_start(ap, fmt);
	int n = vsnprintf(dst, cap, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < cap)
		return 0;
	dst[0] = '\0';
	return -1;
}

void text_hex(char *dst, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = digits[p[i] >> 4];
		dst[2 * i + 1] = digits[p[i] & 15];
	}
	dst[2 * n] = '\0';
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_unhex(uint8_t *dst, size_t n, struct slice s)
{
	if (s.n % 2 != 0 || s.n / 2 != n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int high = hex_value(s.p[2 * i]);
		int low = hex_value(s.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		dst[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int text_u64(struct slice s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -1;
	}
	*out = v;
	return 0;
}

int text_i64(struct slice s, int64_t *out)
{
	uint64_t v;
	bool negative = s.n > 0 && s.p[0] == '-';

	if (text_u64(negative ? slice_of(s.p + 1, s.n - 1) : s, &v) != 0)
		return -1;
	if (negative) {
		/* 0 - v wraps exactly where INT64_MIN needs it to */
		if (v > (uint64_t)INT64_MAX + 1)
			return -1;
		*out = v == (uint64_t)INT64_MAX + 1 ? INT64_MIN : -(int64_t)v;
		return 0;
	}
	if (v > INT64_MAX)
		return -1;
	*out = (int64_t)v;
	return 0;
}

struct unit {
	char letter;
	uint64_t times;
};

/* A number with at most one unit letter behind it; bare takes `times` of the first entry. */
static int number_with_unit(struct slice s, const struct unit *units, size_t n, uint64_t *out)
{
	uint64_t times = units[0].times;

	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s.p[s.n - 1] == (uint8_t)units[i].letter) {
			times = units[i].times;
			s.n--;
			break;
		}
	}
	if (text_u64(s, out) != 0 || __builtin_mul_overflow(*out, times, out))
		return -1;
	return 0;
}

int text_size(struct slice s, uint64_t *out)
{
	static const struct unit units[] = {
		{ 'B', 1 },
		{ 'K', UINT64_C(1) << 10 },
		{ 'M', UINT64_C(1) << 20 },
		{ 'G', UINT64_C(1) << 30 },
	};
	uint64_t v;

	if (number_with_unit(s, units, sizeof(units) / sizeof(units[0]), &v) != 0)
		return -1;
	*out = v;
	return 0;
}

int text_duration_ms(struct slice s, int64_t *out)
{
	static const struct unit units[] = {
		{ 's', 1000 },
		{ 'm', 60000 },
		{ 'h', 3600000 },
		{ 'd', 86400000 },
	};
	uint64_t v;

	if (number_with_unit(s, units, sizeof(units) / sizeof(units[0]), &v) != 0 || v > INT64_MAX)
		return -1;
	*out = (int64_t)v;
	return 0;
}

/*
 * Length of the UTF-8 sequence a lead byte starts, its value bits, and the least value it may
 * say.
 */
static size_t utf8_lead(uint8_t c, uint32_t *bits, uint32_t *least)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if ((c & forms[i].mask) != forms[i].lead)
			continue;
		*bits = (uint32_t)(c & (uint8_t)~forms[i].mask);
		*least = forms[i].least;
		return i + 1;
	}
	return 0;
}

bool text_is_utf8(struct slice s)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t v, least;

		if (s.p[i] < 0x80) {
			i++;
			continue;
		}
		size_t n = utf8_lead(s.p[i], &v, &least);
		if (n == 0 || n > s.n - i)
			return false;
		for (size_t k = 1; k < n; k++) {
			if ((s.p[i + k] & 0xc0) != 0x80)
				return false;
			v = v << 6 | (s.p[i + k] & 0x3fu);
		}
		if (v < least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
			return false;
		i += n;
	}
	return true;
}
