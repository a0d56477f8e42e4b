/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * The text parsers of base/: nothing they accept may change when it is written and
 * read again, and the order of versions must be an order.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/message.h"
#include "base/text.h"

#define HOLDS(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void time_again(struct slice s)
{
	char text[TEXT_TIME_SIZE];
	int64_t ms, again;

	if (text_untime(s, &ms) != 0 || ms < 0 || ms > INT64_C(253402300799999))
		return;
	text_time(text, ms);
	HOLDS(text_untime(slice_str(text), &again) == 0 && again == ms);
}

static void base64_again(struct slice s)
{
	struct buf bytes = BUF_INIT(1 << 20), text = BUF_INIT(1 << 21);

	if (text_unbase64url(&bytes, s) == 0) {
		HOLDS(text_base64url(&text, buf_slice(&bytes)) == 0);
		HOLDS(slice_eq(buf_slice(&text), s));
	}
	buf_reset(&bytes);
	buf_reset(&text);
	if (text_unbase64(&bytes, s) == 0) {
		HOLDS(text_base64(&text, buf_slice(&bytes)) == 0);
		HOLDS(slice_eq(buf_slice(&text), s));
	}
	buf_free(&bytes);
	buf_free(&text);
}

static void ids_again(struct slice s)
{
	struct uuid u, v;
	char text[UUID_TEXT];

	if (uuid_parse(&u, s) == 0) {
		uuid_text(text, &u);
		HOLDS(uuid_parse(&v, slice_str(text)) == 0);
		HOLDS(memcmp(u.b, v.b, UUID_SIZE) == 0);
	}
	if (name_valid(s) || device_id_valid(s))
		HOLDS(text_is_utf8(s));
}

/* The input in two halves as two versions. */
static void versions(struct slice s)
{
	char a[128], b[128];
	size_t half = s.n / 2;

	if (text_copy_slice(a, sizeof(a), slice_of(s.p, half)) != 0 ||
	    text_copy_slice(b, sizeof(b), slice_of(s.p + half, s.n - half)) != 0)
		return;
	int ab = text_version_cmp(a, b), ba = text_version_cmp(b, a);
	HOLDS((ab < 0) == (ba > 0) && (ab == 0) == (ba == 0));
	HOLDS(text_version_cmp(a, a) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice s = slice_of(p, n);
	char value[64];
	uint64_t u;
	int64_t i;

	time_again(s);
	base64_again(s);
	ids_again(s);
	if (n > 0)
		versions(s);
	if (query_get(s, "a", value, sizeof(value)) != 1)
		HOLDS(value[0] == '\0');
	(void)media_from_http(s);
	(void)text_size(s, &u);
	(void)text_duration_ms(s, &i);
	(void)text_i64(s, &i);
	return 0;
}
