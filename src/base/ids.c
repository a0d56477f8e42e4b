/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/ids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"

bool digest_eq(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_SIZE) == 0;
}

bool digest_is_zero(const struct digest *d)
{
	static const struct digest zero;

	return digest_eq(d, &zero);
}

void digest_text(char dst[DIGEST_TEXT], const struct digest *d)
{
	text_hex(dst, d->b, DIGEST_SIZE);
}

int digest_parse(struct digest *d, struct slice hex)
{
	return text_unhex(d->b, DIGEST_SIZE, hex);
}

/* Bytes before each dash of 8-4-4-4-12. */
static bool dash_before(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_text(char dst[UUID_TEXT], const struct uuid *u)
{
	char *to = dst;

	for (size_t i = 0; i < UUID_SIZE; i++) {
		if (dash_before(i))
			*to++ = '-';
		text_hex(to, &u->b[i], 1);
		to += 2;
	}
}

int uuid_parse(struct uuid *u, struct slice s)
{
	struct uuid out = { .set = true };
	size_t at = 0;

	if (s.n != UUID_TEXT - 1)
		return -1;
	for (size_t i = 0; i < UUID_SIZE; i++) {
		if (dash_before(i) && s.p[at++] != '-')
			return -1;
		if (text_unhex(&out.b[i], 1, slice_of(s.p + at, 2)) != 0)
			return -1;
		at += 2;
	}
	*u = out;
	return 0;
}

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool all_of(struct slice s, const char *others)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && (s.p[i] == 0 || !strchr(others, s.p[i])))
			return false;
	return s.n >= 1 && s.n <= DEVICE_ID_MAX;
}

bool device_id_valid(struct slice s)
{
	/* of a path these would be no segment: nobody could ask for it */
	return all_of(s, "._:-") && !slice_eq_str(s, ".") && !slice_eq_str(s, "..");
}

bool name_valid(struct slice s)
{
	return all_of(s, "._:+-") && s.p[0] != '-' && s.p[0] != '.';
}

bool name_is_number(struct slice s)
{
	size_t digits = 0;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	return s.n > 0 && digits == s.n;
}

void random_bytes(void *p, size_t n)
{
	uint8_t *to = p;

	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		to += got;
		n -= (size_t)got;
	}
}
