/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"

#include <string.h>

/* deb-version(7): [epoch:]upstream[-revision], '~' sorts before the end of the text. */
struct version {
	struct slice epoch, upstream, revision;
};

static struct version split(const char *s)
{
	struct version v = { .upstream = slice_str(s) };
	const char *colon = strchr(s, ':');

	if (colon) {
		v.epoch = slice_of(s, (size_t)(colon - s));
		v.upstream = slice_str(colon + 1);
	}
	for (size_t i = v.upstream.n; i > 0; i--) {
		if (v.upstream.p[i - 1] != '-')
			continue;
		v.revision = slice_of(v.upstream.p + i, v.upstream.n - i);
		v.upstream.n = i - 1;
		break;
	}
	return v;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* '~' before nothing (and before a digit), then letters, then everything else. */
static int order(struct slice s, size_t i)
{
	if (i >= s.n || is_digit(s.p[i]))
		return 0;
	uint8_t c = s.p[i];
	if (c == '~')
		return -1;
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return c;
	return c + 256;
}

static bool skip_words(struct slice a, size_t *i, struct slice b, size_t *j, int *result)
{
	while ((*i < a.n && !is_digit(a.p[*i])) || (*j < b.n && !is_digit(b.p[*j]))) {
		*result = order(a, *i) - order(b, *j);
		if (*result != 0)
			return false;
		*i += 1;
		*j += 1;
	}
	return true;
}

static struct slice take_number(struct slice s, size_t *i)
{
	while (*i < s.n && s.p[*i] == '0')
		*i += 1;
	size_t from = *i;
	while (*i < s.n && is_digit(s.p[*i]))
		*i += 1;
	/* an absent part has no pointer to add to */
	return s.n ? slice_of(s.p + from, *i - from) : s;
}

/* Of any length: without leading zeros the longer is the larger. */
static int number_cmp(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	return a.n ? memcmp(a.p, b.p, a.n) : 0;
}

static int part_cmp(struct slice a, struct slice b)
{
	size_t i = 0, j = 0;
	int result = 0;

	while (i < a.n || j < b.n) {
		if (!skip_words(a, &i, b, &j, &result))
			return result;
		result = number_cmp(take_number(a, &i), take_number(b, &j));
		if (result != 0)
			return result;
	}
	return 0;
}

int text_version_cmp(const char *a, const char *b)
{
	struct version va = split(a), vb = split(b);
	int result = part_cmp(va.epoch, vb.epoch);

	if (result == 0)
		result = part_cmp(va.upstream, vb.upstream);
	if (result == 0)
		result = part_cmp(va.revision, vb.revision);
	return result;
}
