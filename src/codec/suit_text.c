/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/suit_internal.h"

static void keep(struct slice *dst, struct slice text)
{
	if (dst->n == 0)
		*dst = text;
}

/* The first component's words stand for the manifest. */
static struct slice *component_field(struct suit_text *t, int64_t key)
{
	switch (key) {
	case 1:
		return &t->vendor_name;
	case 2:
		return &t->model_name;
	case 3:
		return &t->vendor_domain;
	case 4:
		return &t->model_info;
	case 5:
		return &t->component_description;
	case 6:
		return &t->component_version;
	case 7:
		return &t->version_required;
	case 8:
		return &t->current_version;
	default:
		return NULL;
	}
}

static void read_component(struct cbor_reader *c, struct suit_text *t)
{
	struct cbor_keys seen = { .n = 0 };
	uint64_t n = cbor_take_map(c);

	for (uint64_t i = 0; i < n && !c->failed; i++) {
		struct slice *dst = component_field(t, cbor_take_label(c, &seen));

		if (c->failed)
			return;
		if (dst)
			keep(dst, cbor_take_text(c));
		else
			cbor_take_raw(c);
	}
}

static bool is_component(const struct suit_manifest *m, struct slice id)
{
	for (size_t i = 0; i < m->n_components; i++)
		if (slice_eq(m->components[i].id, id))
			return true;
	return false;
}

static void read_entry(struct cbor_reader *c, struct cbor_keys *seen, struct suit_manifest *m)
{
	bool component = cbor_peek(c) == CBOR_ARRAY;
	struct slice key = cbor_take_key(c, seen);

	if (c->failed)
		return;
	if (component && !is_component(m, key))
		cbor_fail(c, ERR_INVALID, "text of a component that common does not list");
	else if (component)
		read_component(c, &m->text);
	else if (key.n == 1 && key.p[0] == 1)
		keep(&m->text.description, cbor_take_text(c));
	else if (key.n == 1 && key.p[0] == 2)
		keep(&m->text.update_description, cbor_take_text(c));
	else
		cbor_take_raw(c); /* sources, and what may come later */
}

static void read_language(struct cbor_reader *c, struct suit_manifest *m)
{
	struct cbor_keys seen = { .n = 0 };
	uint64_t n = cbor_take_map(c);

	if (n > SUIT_ENTRIES_MAX)
		cbor_fail(c, ERR_TOO_LARGE, "more than %d entries", SUIT_ENTRIES_MAX);
	for (uint64_t i = 0; i < n && !c->failed; i++)
		read_entry(c, &seen, m);
}

int suit_text_read(struct slice bytes, struct suit_manifest *m, struct err *e)
{
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	uint64_t n;

	cbor_begin(&c, bytes, e);
	n = cbor_take_map(&c);
	for (uint64_t i = 0; i < n && !c.failed; i++) {
		enum cbor_kind k = cbor_peek(&c);

		if (k != CBOR_TEXT)
			cbor_fail(&c, ERR_UNSUPPORTED,
				  "layout of draft-ietf-suit-manifest-23 or "
				  "older (no languages)");
		struct slice language = c.item.s;
		cbor_take_key(&c, &seen);
		if (c.failed)
			break;
		if (i == 0) {
			m->text.language = language;
			read_language(&c, m);
		} else {
			cbor_take_raw(&c);
		}
	}
	return cbor_end(&c);
}
