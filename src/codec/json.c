/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/json.h"

#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt_cbor.h"

/* jansson recurses as deep as its input says, so look first. */
static int check_depth(struct slice s, struct err *e)
{
	unsigned depth = 0;
	bool in_text = false;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t ch = s.p[i];

		if (in_text && ch == '\\')
			i++;
		else if (ch == '"')
			in_text = !in_text;
		else if (!in_text && (ch == '{' || ch == '['))
			depth++;
		else if (!in_text && (ch == '}' || ch == ']') && depth > 0)
			depth--;
		if (depth > DOCFMT_DEPTH_MAX)
			return err_set(e, ERR_TOO_LARGE, "JSON nested deeper than %d at byte %zu",
				       DOCFMT_DEPTH_MAX, i);
	}
	return 0;
}

struct decoder {
	struct arena *a;
	struct err *e;
	unsigned nodes;
};

static struct doc *decode_value(struct decoder *d, struct doc *parent, struct slice key, json_t *v);

static int decode_array(struct decoder *d, struct doc *array, json_t *v)
{
	size_t i;
	json_t *member;

	json_array_foreach(v, i, member) if (!decode_value(d, array, (struct slice){ 0 },
							   member)) return -1;
	return 0;
}

static int decode_object(struct decoder *d, struct doc *map, json_t *v)
{
	const char *name;
	json_t *member;

	if (json_object_size(v) > DOCFMT_MEMBERS_MAX)
		return err_set(d->e, ERR_TOO_LARGE, "JSON object with more than %d members",
			       DOCFMT_MEMBERS_MAX);
	json_object_foreach(v, name, member)
	{
		if (name[0] == '\0')
			return err_set(d->e, ERR_MALFORMED, "JSON member with an empty name");
		if (!decode_value(d, map, slice_str(name), member))
			return -1;
	}
	return 0;
}

static enum doc_type type_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return DOC_MAP;
	case JSON_ARRAY:
		return DOC_ARRAY;
	case JSON_STRING:
		return DOC_TEXT;
	case JSON_INTEGER:
		return DOC_INT;
	case JSON_TRUE:
	case JSON_FALSE:
		return DOC_BOOL;
	case JSON_REAL: /* refused by the caller */
	case JSON_NULL:
		return DOC_NULL;
	}
	return DOC_NULL;
}

static int fill_value(struct decoder *d, struct doc *node, json_t *v)
{
	switch (node->type) {
	case DOC_MAP:
		return decode_object(d, node, v);
	case DOC_ARRAY:
		return decode_array(d, node, v);
	case DOC_TEXT:
		node->v.s.n = json_string_length(v);
		node->v.s.p = arena_copy(d->a, json_string_value(v), node->v.s.n);
		if (!node->v.s.p)
			return err_set(d->e, ERR_NO_MEMORY, "no memory for the document");
		return 0;
	case DOC_INT:
		node->v.i = json_integer_value(v);
		return 0;
	case DOC_BOOL:
		node->v.b = json_is_true(v);
		return 0;
	case DOC_NULL:
	case DOC_U64:
	case DOC_BYTES:
		return 0;
	}
	return 0;
}

static struct doc *decode_value(struct decoder *d, struct doc *parent, struct slice key, json_t *v)
{
	struct doc *node;

	if (json_is_real(v)) {
		err_set(d->e, ERR_MALFORMED, "JSON number with a fraction or exponent%s%.*s",
			key.n ? " in member " : "", (int)(key.n < 64 ? key.n : 64),
			(const char *)key.p);
		return NULL;
	}
	if (++d->nodes > DOCFMT_NODES_MAX) {
		err_set(d->e, ERR_TOO_LARGE, "JSON with more than %d values", DOCFMT_NODES_MAX);
		return NULL;
	}
	node = doc_add(d->a, parent, key, type_of(v));
	if (!node) {
		err_set(d->e, ERR_NO_MEMORY, "no memory for the document");
		return NULL;
	}
	return fill_value(d, node, v) ? NULL : node;
}

static json_t *load(struct slice bytes, json_error_t *je)
{
	return json_loadb((const char *)bytes.p, bytes.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
			  je);
}

int json_decode(struct slice bytes, struct arena *a, const struct doc **out, struct err *e)
{
	struct decoder d = { .a = a, .e = e };
	json_error_t je;
	json_t *root;
	/* what has one line may be a line of something larger */
	bool lines = bytes.n > 0 && memchr(bytes.p, '\n', bytes.n);

	*out = NULL;
	if (check_depth(bytes, e))
		return -1;
	root = load(bytes, &je);
	/* without memory jansson says nothing in some places, and in others blames the text */
	if (!root && je.text[0] != '\0')
		root = load(bytes, &je);
	if (!root && (json_error_code(&je) == json_error_out_of_memory || je.text[0] == '\0'))
		return err_set(e, ERR_NO_MEMORY, "no memory for the document");
	if (!root)
		return err_set(e, ERR_MALFORMED, "JSON: %.120s %s %d", je.text,
			       lines ? "in line" : "at byte", lines ? je.line : je.position);
	*out = decode_value(&d, NULL, (struct slice){ 0 }, root);
	json_decref(root);
	return *out ? 0 : -1;
}

/* Shortest escapes of RFC 8259 section 7. */
static void put_text(struct buf *out, struct slice s)
{
	static const char short_form[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
	};
	size_t start = 0;

	buf_add_u8(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t ch = s.p[i];

		if (ch >= 0x20 && ch != '"' && ch != '\\' && ch != 0x7f)
			continue;
		buf_add(out, s.p + start, i - start);
		start = i + 1;
		if (ch == '"' || ch == '\\')
			buf_printf(out, "\\%c", ch);
		else if (ch < sizeof(short_form) && short_form[ch])
			buf_printf(out, "\\%c", short_form[ch]);
		else
			buf_printf(out, "\\u%04x", ch);
	}
	buf_add(out, s.p + start, s.n - start);
	buf_add_u8(out, '"');
}

static void put_hex(struct buf *out, struct slice s)
{
	uint8_t *p;
	size_t n;

	buf_add_u8(out, '"');
	if (__builtin_mul_overflow(s.n, 2, &n) || n == SIZE_MAX) {
		out->failed = true;
		return;
	}
	p = buf_extend(out, n + 1); /* text_hex() ends with a NUL */
	if (!p)
		return;
	text_hex((char *)p, s.p, s.n);
	p[n] = '"';
}

static void put_break(struct buf *out, bool pretty, unsigned depth)
{
	if (!pretty)
		return;
	buf_add_u8(out, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_add_str(out, "  ");
}

static int put_value(const struct doc *d, bool pretty, struct buf *out, unsigned depth);

static int put_members(const struct doc *d, bool pretty, struct buf *out, unsigned depth)
{
	bool map = d->type == DOC_MAP;

	buf_add_u8(out, map ? '{' : '[');
	for (const struct doc *m = d->v.c.first; m; m = m->next) {
		if (m != d->v.c.first)
			buf_add_u8(out, ',');
		put_break(out, pretty, depth);
		if (map) {
			put_text(out, m->key);
			buf_add_str(out, pretty ? ": " : ":");
		}
		if (put_value(m, pretty, out, depth + 1))
			return -1;
	}
	if (d->v.c.first)
		put_break(out, pretty, depth - 1);
	buf_add_u8(out, map ? '}' : ']');
	return 0;
}

static int put_value(const struct doc *d, bool pretty, struct buf *out, unsigned depth)
{
	if (depth > 2 * DOCFMT_DEPTH_MAX)
		return -1;
	switch (d->type) {
	case DOC_NULL:
		buf_add_str(out, "null");
		return 0;
	case DOC_BOOL:
		buf_add_str(out, d->v.b ? "true" : "false");
		return 0;
	case DOC_INT:
		buf_printf(out, "%lld", (long long)d->v.i);
		return 0;
	case DOC_U64:
		buf_printf(out, "\"%llu\"", (unsigned long long)d->v.u);
		return 0;
	case DOC_BYTES:
		put_hex(out, d->v.s);
		return 0;
	case DOC_TEXT:
		put_text(out, d->v.s);
		return 0;
	case DOC_ARRAY:
	case DOC_MAP:
		return put_members(d, pretty, out, depth);
	}
	return -1;
}

int json_encode(const struct doc *d, bool pretty, struct buf *out, struct err *e)
{
	if (put_value(d, pretty, out, 1))
		return err_set(e, ERR_INTERNAL, "document nested too deep to be written");
	if (pretty)
		buf_add_u8(out, '\n');
	if (out->failed)
		return buf_blame(out, "document", e);
	return 0;
}
