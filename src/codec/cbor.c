/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <cbor.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "codec/cbor.h"

/* What libcbor calls back with lands in a cbor_item; indefinite lengths do not. */

static void on_uint8(void *ctx, uint8_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_UINT, .n = v };
}

static void on_uint16(void *ctx, uint16_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_UINT, .n = v };
}

static void on_uint32(void *ctx, uint32_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_UINT, .n = v };
}

static void on_uint64(void *ctx, uint64_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_UINT, .n = v };
}

static void on_nint8(void *ctx, uint8_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_NINT, .n = v };
}

static void on_nint16(void *ctx, uint16_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_NINT, .n = v };
}

static void on_nint32(void *ctx, uint32_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_NINT, .n = v };
}

static void on_nint64(void *ctx, uint64_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_NINT, .n = v };
}

static void on_bytes(void *ctx, cbor_data p, size_t n)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_BYTES, .n = n, .s = { p, n } };
}

static void on_text(void *ctx, cbor_data p, size_t n)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_TEXT, .n = n, .s = { p, n } };
}

static void on_array(void *ctx, size_t n)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_ARRAY, .n = n };
}

static void on_map(void *ctx, size_t n)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_MAP, .n = n };
}

static void on_tag(void *ctx, uint64_t v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_TAG, .n = v };
}

static void on_bool(void *ctx, bool v)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_BOOL, .n = v };
}

static void on_null(void *ctx)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_NULL };
}

static void on_refused(void *ctx)
{
	*(struct cbor_item *)ctx = (struct cbor_item){ .kind = CBOR_NONE };
}

static void on_refused_float(void *ctx, float v)
{
	(void)v;
	on_refused(ctx);
}

static void on_refused_double(void *ctx, double v)
{
	(void)v;
	on_refused(ctx);
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_nint8,
	.negint16 = on_nint16,
	.negint32 = on_nint32,
	.negint64 = on_nint64,
	.byte_string_start = on_refused,
	.byte_string = on_bytes,
	.string = on_text,
	.string_start = on_refused,
	.indef_array_start = on_refused,
	.array_start = on_array,
	.indef_map_start = on_refused,
	.map_start = on_map,
	.tag = on_tag,
	.float2 = on_refused_float,
	.float4 = on_refused_float,
	.float8 = on_refused_double,
	.undefined = on_refused,
	.null = on_null,
	.boolean = on_bool,
	.indef_break = on_refused,
};

void cbor_begin(struct cbor_reader *c, struct slice bytes, struct err *e)
{
	*c = (struct cbor_reader){ .base = bytes.p, .left = bytes, .e = e };
}

int cbor_fail(struct cbor_reader *c, enum err_code code, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (c->failed)
		return -1;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	c->failed = true;
	c->item.kind = CBOR_NONE;
	return err_set(c->e, code, "%s at byte %zu", text,
		       c->base ? (size_t)(c->left.p - c->base) : 0);
}

static size_t shortest_head(uint64_t n)
{
	return n < 24 ? 1 : n <= UINT8_MAX ? 2 : n <= UINT16_MAX ? 3 : n <= UINT32_MAX ? 5 : 9;
}

/* libcbor 0.8 calls the one-byte tags 6 to 20 unassigned; COSE lives there. */
static bool short_tag(uint8_t head)
{
	return head >= 0xc0 && head <= 0xd7;
}

/* gcc 12 -fanalyzer takes a struct that an external function returns for uninitialised. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value"
#endif
static int decode_head(struct cbor_reader *c, struct cbor_item *it)
{
	struct cbor_decoder_result r;

	if (short_tag(c->left.p[0])) {
		*it = (struct cbor_item){ .kind = CBOR_TAG, .n = c->left.p[0] & 0x1fU, .whole = 1 };
		return 0;
	}
	r = cbor_stream_decode(c->left.p, c->left.n, &callbacks, it);
	if (r.status == CBOR_DECODER_NEDATA)
		return cbor_fail(c, ERR_MALFORMED, "CBOR ends inside an item");
	if (r.status != CBOR_DECODER_FINISHED || r.read == 0 || r.read > c->left.n)
		return cbor_fail(c, ERR_MALFORMED, "not well-formed CBOR");
	it->whole = r.read;
	if (it->kind == CBOR_NONE)
		return cbor_fail(c, ERR_MALFORMED,
				 "CBOR of indefinite length, float or unknown simple value");
	return 0;
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

static int check_item(struct cbor_reader *c, const struct cbor_item *it)
{
	size_t head = it->whole - it->s.n;
	size_t rest = c->left.n - it->whole;

	if (it->kind != CBOR_BOOL && it->kind != CBOR_NULL && head != shortest_head(it->n))
		return cbor_fail(c, ERR_MALFORMED, "CBOR head not in its shortest form");
	if (it->kind == CBOR_TEXT && !text_is_utf8(it->s))
		return cbor_fail(c, ERR_MALFORMED, "CBOR text is not UTF-8");
	if ((it->kind == CBOR_ARRAY && it->n > rest) || (it->kind == CBOR_MAP && it->n > rest / 2))
		return cbor_fail(c, ERR_MALFORMED, "CBOR has fewer members than it says");
	return 0;
}

enum cbor_kind cbor_peek(struct cbor_reader *c)
{
	struct cbor_item it = { 0 };

	if (c->failed || c->left.n == 0)
		return CBOR_NONE;
	if (c->item.kind != CBOR_NONE)
		return c->item.kind;
	if (decode_head(c, &it) || check_item(c, &it))
		return CBOR_NONE;
	c->item = it;
	return it.kind;
}

static const char *const kind_names[] = {
	[CBOR_NONE] = "nothing",
	[CBOR_UINT] = "an unsigned number",
	[CBOR_NINT] = "a negative number",
	[CBOR_BYTES] = "a byte string",
	[CBOR_TEXT] = "a text",
	[CBOR_ARRAY] = "an array",
	[CBOR_MAP] = "a map",
	[CBOR_TAG] = "a tag",
	[CBOR_BOOL] = "a boolean",
	[CBOR_NULL] = "null",
};

static void advance(struct cbor_reader *c, size_t n)
{
	c->left.p += n;
	c->left.n -= n;
	c->item.kind = CBOR_NONE;
}

static struct cbor_item take(struct cbor_reader *c, enum cbor_kind want)
{
	enum cbor_kind got = cbor_peek(c);
	struct cbor_item it = { 0 };

	if (c->failed)
		return it;
	if (got != want) {
		cbor_fail(c, ERR_MALFORMED, "expected %s, found %s", kind_names[want],
			  kind_names[got]);
		return it;
	}
	it = c->item;
	advance(c, it.whole);
	return it;
}

uint64_t cbor_take_uint(struct cbor_reader *c)
{
	return take(c, CBOR_UINT).n;
}

int64_t cbor_take_int(struct cbor_reader *c)
{
	bool negative = cbor_peek(c) == CBOR_NINT;
	struct cbor_item it = take(c, negative ? CBOR_NINT : CBOR_UINT);

	if (it.n > INT64_MAX) {
		cbor_fail(c, ERR_MALFORMED, "number out of range");
		return 0;
	}
	return negative && !c->failed ? -1 - (int64_t)it.n : (int64_t)it.n;
}

struct slice cbor_take_bytes(struct cbor_reader *c)
{
	return take(c, CBOR_BYTES).s;
}

struct slice cbor_take_text(struct cbor_reader *c)
{
	return take(c, CBOR_TEXT).s;
}

uint64_t cbor_take_array(struct cbor_reader *c)
{
	return take(c, CBOR_ARRAY).n;
}

uint64_t cbor_take_map(struct cbor_reader *c)
{
	return take(c, CBOR_MAP).n;
}

uint64_t cbor_take_tag(struct cbor_reader *c)
{
	return take(c, CBOR_TAG).n;
}

bool cbor_take_bool(struct cbor_reader *c)
{
	return take(c, CBOR_BOOL).n != 0;
}

void cbor_take_null(struct cbor_reader *c)
{
	take(c, CBOR_NULL);
}

static uint64_t children(const struct cbor_item *it)
{
	if (it->kind == CBOR_ARRAY)
		return it->n;
	if (it->kind == CBOR_MAP)
		return 2 * it->n; /* cannot overflow: n is at most half the input */
	return it->kind == CBOR_TAG;
}

struct slice cbor_take_raw(struct cbor_reader *c)
{
	const uint8_t *start = c->left.p;
	uint64_t left[CBOR_DEPTH_MAX + 1] = { 1 };
	size_t depth = 0;

	for (;;) {
		uint64_t n;

		while (left[depth] == 0) {
			if (depth-- == 0)
				return slice_of(start, (size_t)(c->left.p - start));
		}
		if (cbor_peek(c) == CBOR_NONE) {
			cbor_fail(c, ERR_MALFORMED, "CBOR ends inside an item");
			return (struct slice){ 0 };
		}
		left[depth]--;
		n = children(&c->item);
		if (n > 0 && depth == CBOR_DEPTH_MAX) {
			cbor_fail(c, ERR_TOO_LARGE, "CBOR nested deeper than %d", CBOR_DEPTH_MAX);
			return (struct slice){ 0 };
		}
		advance(c, c->item.whole);
		if (n > 0)
			left[++depth] = n;
	}
}

int cbor_end(struct cbor_reader *c)
{
	if (!c->failed && c->left.n > 0)
		cbor_fail(c, ERR_MALFORMED, "bytes behind the end of the CBOR item");
	return c->failed ? -1 : 0;
}

static void key_note(struct cbor_reader *c, struct cbor_keys *seen, struct slice key)
{
	if (c->failed)
		return;
	for (size_t i = 0; i < seen->n; i++) {
		if (slice_eq(seen->k[i], key)) {
			cbor_fail(c, ERR_MALFORMED, "duplicate map key before");
			return;
		}
	}
	if (seen->n == CBOR_KEYS_MAX)
		cbor_fail(c, ERR_TOO_LARGE, "map with more than %d members", CBOR_KEYS_MAX);
	else
		seen->k[seen->n++] = key;
}

struct slice cbor_take_key(struct cbor_reader *c, struct cbor_keys *seen)
{
	struct slice raw = cbor_take_raw(c);

	key_note(c, seen, raw);
	return c->failed ? slice_of(NULL, 0) : raw;
}

int64_t cbor_take_label(struct cbor_reader *c, struct cbor_keys *seen)
{
	const uint8_t *start = c->left.p;
	int64_t v = cbor_take_int(c);

	if (!c->failed)
		key_note(c, seen, slice_of(start, (size_t)(c->left.p - start)));
	return c->failed ? 0 : v;
}

int cbor_check(struct slice bytes, struct err *e)
{
	struct cbor_reader c;

	cbor_begin(&c, bytes, e);
	cbor_take_raw(&c);
	return cbor_end(&c);
}

static void put_head(struct buf *b, uint8_t major, uint64_t n)
{
	size_t size = shortest_head(n);
	uint8_t *p = buf_extend(b, size);
	uint8_t info = size == 1   ? (uint8_t)n
		       : size == 2 ? 24
		       : size == 3 ? 25
		       : size == 5 ? 26
				   : 27;

	if (!p)
		return;
	p[0] = (uint8_t)(major << 5 | info);
	for (size_t i = size - 1; i > 0; i--, n >>= 8)
		p[i] = (uint8_t)n;
}

void cbor_put_uint(struct buf *b, uint64_t v)
{
	put_head(b, 0, v);
}

void cbor_put_int(struct buf *b, int64_t v)
{
	if (v < 0)
		put_head(b, 1, (uint64_t)(-1 - v));
	else
		put_head(b, 0, (uint64_t)v);
}

void cbor_put_bytes(struct buf *b, struct slice s)
{
	put_head(b, 2, s.n);
	buf_add_slice(b, s);
}

void cbor_put_text(struct buf *b, struct slice s)
{
	put_head(b, 3, s.n);
	buf_add_slice(b, s);
}

void cbor_put_array(struct buf *b, uint64_t n)
{
	put_head(b, 4, n);
}

void cbor_put_map(struct buf *b, uint64_t n)
{
	put_head(b, 5, n);
}

void cbor_put_tag(struct buf *b, uint64_t tag)
{
	put_head(b, 6, tag);
}

void cbor_put_bool(struct buf *b, bool v)
{
	buf_add_u8(b, v ? 0xf5 : 0xf4);
}

void cbor_put_null(struct buf *b)
{
	buf_add_u8(b, 0xf6);
}
