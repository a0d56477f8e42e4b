/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/docfmt_cbor.h"

#include <string.h>

#include "codec/cbor.h"
#include "codec/docfmt_keys.h"

/* Free-form members inside: their names are the device's and never numbers. */
#define FREE_FORM "attributes"

struct decoder {
	struct cbor_reader c;
	struct arena *a;
	unsigned nodes;
};

static struct doc *decode_item(struct decoder *d, struct doc *parent, struct slice key,
			       unsigned depth);

static bool is_duplicate(const struct doc *map, struct slice key)
{
	for (const struct doc *m = map->v.c.first; m; m = m->next)
		if (slice_eq(m->key, key))
			return true;
	return false;
}

static struct slice take_text(struct decoder *d)
{
	struct slice s = cbor_take_text(&d->c);

	if (s.n > 0 && memchr(s.p, 0, s.n))
		cbor_fail(&d->c, ERR_MALFORMED, "NUL in a text");
	return d->c.failed ? slice_of(NULL, 0) : s;
}

static struct slice decode_key(struct decoder *d, const struct doc *map)
{
	struct slice key;

	if (cbor_peek(&d->c) == CBOR_UINT && !slice_eq_str(map->key, FREE_FORM)) {
		uint64_t number = cbor_take_uint(&d->c);

		key = docfmt_key_name(number);
		if (key.n == 0)
			cbor_fail(&d->c, ERR_MALFORMED, "unknown member number %llu",
				  (unsigned long long)number);
	} else {
		key = take_text(d);
		if (key.n == 0)
			cbor_fail(&d->c, ERR_MALFORMED, "empty member name");
	}
	if (!d->c.failed && is_duplicate(map, key))
		cbor_fail(&d->c, ERR_MALFORMED, "duplicate member '%.*s'",
			  (int)(key.n < 64 ? key.n : 64), (const char *)key.p);
	return key;
}

static void decode_map(struct decoder *d, struct doc *map, unsigned depth)
{
	uint64_t n = cbor_take_map(&d->c);

	if (n > DOCFMT_MEMBERS_MAX)
		cbor_fail(&d->c, ERR_TOO_LARGE, "more than %d members", DOCFMT_MEMBERS_MAX);
	for (uint64_t i = 0; i < n && !d->c.failed; i++) {
		struct slice key = decode_key(d, map);

		if (!d->c.failed)
			decode_item(d, map, key, depth + 1);
	}
}

static void decode_array(struct decoder *d, struct doc *array, unsigned depth)
{
	uint64_t n = cbor_take_array(&d->c);

	for (uint64_t i = 0; i < n && !d->c.failed; i++)
		decode_item(d, array, (struct slice){ 0 }, depth + 1);
}

static void decode_string(struct decoder *d, struct doc *node, struct slice s)
{
	node->v.s = slice_of(arena_copy(d->a, s.p, s.n), s.n);
	if (!node->v.s.p)
		cbor_fail(&d->c, ERR_NO_MEMORY, "no memory for the document");
}

static void decode_number(struct decoder *d, struct doc *node)
{
	if (node->type == DOC_U64)
		node->v.u = cbor_take_uint(&d->c);
	else
		node->v.i = cbor_take_int(&d->c);
}

static enum doc_type type_of(struct cbor_reader *c)
{
	static const enum doc_type types[] = {
		[CBOR_NONE] = DOC_NULL,	  [CBOR_UINT] = DOC_INT,  [CBOR_NINT] = DOC_INT,
		[CBOR_BYTES] = DOC_BYTES, [CBOR_TEXT] = DOC_TEXT, [CBOR_ARRAY] = DOC_ARRAY,
		[CBOR_MAP] = DOC_MAP,	  [CBOR_TAG] = DOC_NULL,  [CBOR_BOOL] = DOC_BOOL,
		[CBOR_NULL] = DOC_NULL,
	};
	enum cbor_kind k = cbor_peek(c);

	return k == CBOR_UINT && c->item.n > INT64_MAX ? DOC_U64 : types[k];
}

static struct doc *decode_item(struct decoder *d, struct doc *parent, struct slice key,
			       unsigned depth)
{
	enum doc_type t = type_of(&d->c);
	struct doc *node;

	if (depth > DOCFMT_DEPTH_MAX || ++d->nodes > DOCFMT_NODES_MAX) {
		cbor_fail(&d->c, ERR_TOO_LARGE, "document too deep or too large");
		return NULL;
	}
	node = doc_add(d->a, parent, key, t);
	if (!node) {
		cbor_fail(&d->c, ERR_NO_MEMORY, "no memory for the document");
		return NULL;
	}
	switch (t) {
	case DOC_NULL:
		cbor_take_null(&d->c);
		break;
	case DOC_BOOL:
		node->v.b = cbor_take_bool(&d->c);
		break;
	case DOC_INT:
	case DOC_U64:
		decode_number(d, node);
		break;
	case DOC_BYTES:
		decode_string(d, node, cbor_take_bytes(&d->c));
		break;
	case DOC_TEXT:
		decode_string(d, node, take_text(d));
		break;
	case DOC_ARRAY:
		decode_array(d, node, depth);
		break;
	case DOC_MAP:
		decode_map(d, node, depth);
		break;
	}
	return node;
}

int docfmt_cbor_decode(struct slice bytes, struct arena *a, const struct doc **out, struct err *e)
{
	struct decoder d = { .a = a };

	cbor_begin(&d.c, bytes, e);
	*out = decode_item(&d, NULL, (struct slice){ 0 }, 1);
	if (cbor_end(&d.c) == 0)
		return 0;
	*out = NULL;
	return -1;
}

static int encode_item(const struct doc *d, struct buf *out, bool numbers, unsigned depth);

static int encode_children(const struct doc *d, struct buf *out, unsigned depth)
{
	bool numbers = !slice_eq_str(d->key, FREE_FORM);

	for (const struct doc *m = d->v.c.first; m; m = m->next)
		if (encode_item(m, out, numbers, depth + 1))
			return -1;
	return 0;
}

static void encode_key(struct slice key, struct buf *out, bool numbers)
{
	uint8_t number = numbers ? docfmt_key_number(key) : 0;

	if (number)
		cbor_put_uint(out, number);
	else
		cbor_put_text(out, key);
}

static int encode_item(const struct doc *d, struct buf *out, bool numbers, unsigned depth)
{
	if (depth > 2 * DOCFMT_DEPTH_MAX)
		return -1;
	if (d->key.n > 0 && depth > 1)
		encode_key(d->key, out, numbers);
	switch (d->type) {
	case DOC_NULL:
		cbor_put_null(out);
		return 0;
	case DOC_BOOL:
		cbor_put_bool(out, d->v.b);
		return 0;
	case DOC_INT:
		cbor_put_int(out, d->v.i);
		return 0;
	case DOC_U64:
		cbor_put_uint(out, d->v.u);
		return 0;
	case DOC_BYTES:
		cbor_put_bytes(out, d->v.s);
		return 0;
	case DOC_TEXT:
		cbor_put_text(out, d->v.s);
		return 0;
	case DOC_ARRAY:
		cbor_put_array(out, d->v.c.n);
		return encode_children(d, out, depth);
	case DOC_MAP:
		cbor_put_map(out, d->v.c.n);
		return encode_children(d, out, depth);
	}
	return -1;
}

int docfmt_cbor_encode(const struct doc *d, struct buf *out, struct err *e)
{
	if (encode_item(d, out, true, 1))
		return err_set(e, ERR_INTERNAL, "document nested too deep to be written");
	if (out->failed)
		return buf_blame(out, "document", e);
	return 0;
}
