/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"

#include <string.h>

/* RFC 4648: section 4 pads, section 5 (the URL alphabet) does not. */
struct alphabet {
	char letters[65];
	bool pad;
};

static const struct alphabet plain = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true
};
static const struct alphabet url = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false
};

static int encode(const struct alphabet *al, struct buf *dst, struct slice s)
{
	for (size_t i = 0; i < s.n; i += 3) {
		size_t have = s.n - i < 3 ? s.n - i : 3;
		uint32_t v = (uint32_t)s.p[i] << 16;
		if (have > 1)
			v |= (uint32_t)s.p[i + 1] << 8;
		if (have > 2)
			v |= s.p[i + 2];
		char quad[4];
		for (size_t k = 0; k < 4; k++)
			quad[k] = k <= have ? al->letters[v >> (18 - 6 * k) & 63] : '=';
		buf_add(dst, quad, al->pad ? 4 : have + 1);
	}
	return dst->failed ? -1 : 0;
}

static int letter_value(const struct alphabet *al, uint8_t c)
{
	const char *at = c ? strchr(al->letters, c) : NULL;

	return at ? (int)(at - al->letters) : -1;
}

/* 2 to 4 letters to 1 to 3 bytes; the bits that no byte takes must be zero. */
static int decode_group(const struct alphabet *al, struct buf *dst, const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	if (n < 2)
		return -1;
	for (size_t k = 0; k < 4; k++) {
		int x = k < n ? letter_value(al, p[k]) : 0;
		if (x < 0)
			return -1;
		v = v << 6 | (uint32_t)x;
	}
	if (v & ((UINT32_C(1) << (8 * (4 - n))) - 1))
		return -1;
	for (size_t k = 0; k + 1 < n; k++)
		buf_add_u8(dst, (uint8_t)(v >> (16 - 8 * k)));
	return dst->failed ? -1 : 0;
}

static int decode(const struct alphabet *al, struct buf *dst, struct slice s)
{
	if (al->pad) {
		if (s.n % 4 != 0)
			return -1;
		for (int k = 0; k < 2 && s.n > 0 && s.p[s.n - 1] == '='; k++)
			s.n--;
	}
	for (size_t i = 0; i < s.n; i += 4)
		if (decode_group(al, dst, s.p + i, s.n - i < 4 ? s.n - i : 4) != 0)
			return -1;
	return 0;
}

int text_base64url(struct buf *dst, struct slice s)
{
	return encode(&url, dst, s);
}

int text_unbase64url(struct buf *dst, struct slice s)
{
	return decode(&url, dst, s);
}

int text_base64(struct buf *dst, struct slice s)
{
	return encode(&plain, dst, s);
}

int text_unbase64(struct buf *dst, struct slice s)
{
	return decode(&plain, dst, s);
}
