/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/message.h"
#include "codec/cbor.h"
#include "codec/docfmt_cbor.h"

enum { PROBLEM_TITLE = -1, PROBLEM_DETAIL = -2, PROBLEM_INSTANCE = -3, PROBLEM_CODE = -4 };

/* Members with a text of their own; status and type have rules instead. */
static const struct {
	const char *name;
	int64_t number;
} texts[] = {
	{ "title", PROBLEM_TITLE },
	{ "detail", PROBLEM_DETAIL },
	{ "instance", PROBLEM_INSTANCE },
};
#define N_TEXTS (sizeof(texts) / sizeof(texts[0]))

static int64_t number_of(const struct doc *m)
{
	for (size_t i = 0; i < N_TEXTS; i++)
		if (m->type == DOC_TEXT && slice_eq_str(m->key, texts[i].name))
			return texts[i].number;
	return m->type == DOC_INT && slice_eq_str(m->key, "status") ? PROBLEM_CODE : 0;
}

static bool is_uri(struct slice s)
{
	return s.n > 1 && memchr(s.p, ':', s.n) && !slice_eq_str(s, "about:blank");
}

static const struct doc *type_uri(const struct doc *d)
{
	const struct doc *t = doc_get(d, "type");

	return t && t->type == DOC_TEXT && is_uri(t->v.s) ? t : NULL;
}

static int encode_member(const struct doc *m, struct buf *out, struct err *e)
{
	struct doc alone = *m;

	alone.key = (struct slice){ 0 };
	cbor_put_text(out, m->key);
	return docfmt_cbor_encode(&alone, out, e);
}

static void encode_standard(const struct doc *m, int64_t number, struct buf *out)
{
	cbor_put_int(out, number);
	if (number == PROBLEM_CODE)
		cbor_put_uint(out, coap_code_of((uint16_t)m->v.i, METHOD_GET));
	else
		cbor_put_text(out, m->v.s);
}

int docfmt_problem_encode(const struct doc *d, struct buf *out, struct err *e)
{
	const struct doc *type = type_uri(d);
	uint32_t standard = 0, others = 0;

	if (d->type != DOC_MAP)
		return err_set(e, ERR_INTERNAL, "problem details are a map");
	for (const struct doc *m = d->v.c.first; m; m = m->next) {
		if (number_of(m))
			standard++;
		else if (!slice_eq_str(m->key, "type"))
			others++;
	}
	cbor_put_map(out, standard + (type ? 1 : others));
	for (const struct doc *m = d->v.c.first; m; m = m->next)
		if (number_of(m))
			encode_standard(m, number_of(m), out);
	if (type) {
		cbor_put_text(out, type->v.s);
		cbor_put_map(out, others);
	}
	for (const struct doc *m = d->v.c.first; m; m = m->next)
		if (!number_of(m) && !slice_eq_str(m->key, "type") && encode_member(m, out, e))
			return -1;
	if (out->failed)
		return buf_blame(out, "document", e);
	return 0;
}

/* The inverse of coap_code_of() for errors: 4.04 is 404, and so on. */
static int64_t status_of_code(uint64_t code)
{
	return (int64_t)((code >> 5 & 7) * 100 + (code & 31));
}

static void decode_standard(struct cbor_reader *c, struct arena *a, struct doc *map, int64_t number)
{
	if (number == PROBLEM_CODE) {
		uint64_t code = cbor_take_uint(c);

		if (code > UINT8_MAX)
			cbor_fail(c, ERR_MALFORMED, "response code over 255");
		doc_add_int(a, map, "status", status_of_code(code));
		return;
	}
	for (size_t i = 0; i < N_TEXTS; i++) {
		if (texts[i].number == number) {
			doc_add_text_slice(a, map, texts[i].name, cbor_take_text(c));
			return;
		}
	}
	cbor_take_raw(c); /* base-uri, base-lang and what may come later */
}

/* Move what the custom entry holds into the document itself. */
static int decode_custom(struct arena *a, struct doc *map, struct slice type, struct slice raw,
			 struct err *e)
{
	const struct doc *inner;

	if (docfmt_cbor_decode(raw, a, &inner, e))
		return -1;
	if (!is_uri(type) || inner->type != DOC_MAP || doc_get(map, "type")) {
		struct doc *copy = doc_add(a, map, type, inner->type);

		if (copy)
			copy->v = inner->v;
		return 0;
	}
	doc_add_text_slice(a, map, "type", type);
	for (const struct doc *m = inner->v.c.first; m; m = m->next) {
		struct doc *copy = doc_add(a, map, m->key, m->type);

		if (copy)
			copy->v = m->v;
	}
	return 0;
}

int docfmt_problem_decode(struct slice bytes, struct arena *a, const struct doc **out,
			  struct err *e)
{
	struct doc *map = doc_map(a, NULL, NULL);
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	uint64_t n;

	*out = NULL;
	if (!map)
		return err_set(e, ERR_NO_MEMORY, "no memory for the document");
	cbor_begin(&c, bytes, e);
	n = cbor_take_map(&c);
	for (uint64_t i = 0; i < n && !c.failed; i++) {
		if (cbor_peek(&c) == CBOR_TEXT) {
			struct slice type = c.item.s;

			cbor_take_key(&c, &seen);
			struct slice raw = cbor_take_raw(&c);
			if (!c.failed && decode_custom(a, map, type, raw, e))
				return -1;
		} else {
			decode_standard(&c, a, map, cbor_take_label(&c, &seen));
		}
	}
	if (cbor_end(&c))
		return -1;
	if (doc_failed(a))
		return err_set(e, ERR_NO_MEMORY, "no memory for the document");
	*out = map;
	return 0;
}
