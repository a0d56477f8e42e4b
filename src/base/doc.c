/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/doc.h"

#include <string.h>

#include "base/text.h"

struct doc *doc_add(struct arena *a, struct doc *parent, struct slice key, enum doc_type t)
{
	/* node and name in one piece: a key cannot be long enough to overflow this */
	struct doc *d = arena_alloc(a, sizeof(*d) + key.n);

	if (!d)
		return NULL;
	d->type = t;
	if (key.n > 0) {
		memcpy(d + 1, key.p, key.n);
		d->key = slice_of(d + 1, key.n);
	}
	if (parent) {
		if (parent->v.c.last)
			parent->v.c.last->next = d;
		else
			parent->v.c.first = d;
		parent->v.c.last = d;
		parent->v.c.n++;
	}
	return d;
}

bool doc_failed(const struct arena *a)
{
	return a->failed;
}

struct doc *doc_map(struct arena *a, struct doc *parent, const char *key)
{
	return doc_add(a, parent, slice_str(key), DOC_MAP);
}

struct doc *doc_array(struct arena *a, struct doc *parent, const char *key)
{
	return doc_add(a, parent, slice_str(key), DOC_ARRAY);
}

/* A scalar has no use without a parent: NULL there is a container that could not be made. */
static struct doc *add_scalar(struct arena *a, struct doc *parent, const char *key, enum doc_type t)
{
	return parent ? doc_add(a, parent, slice_str(key), t) : NULL;
}

void doc_add_null(struct arena *a, struct doc *parent, const char *key)
{
	(void)add_scalar(a, parent, key, DOC_NULL);
}

void doc_add_bool(struct arena *a, struct doc *parent, const char *key, bool v)
{
	struct doc *d = add_scalar(a, parent, key, DOC_BOOL);

	if (d)
		d->v.b = v;
}

void doc_add_int(struct arena *a, struct doc *parent, const char *key, int64_t v)
{
	struct doc *d = add_scalar(a, parent, key, DOC_INT);

	if (d)
		d->v.i = v;
}

void doc_add_u64(struct arena *a, struct doc *parent, const char *key, uint64_t v)
{
	struct doc *d = add_scalar(a, parent, key, DOC_U64);

	if (d)
		d->v.u = v;
}

/* Take the copy first: a node without its value must not stay in the document. */
static void add_copied(struct arena *a, struct doc *parent, const char *key, enum doc_type t,
		       struct slice v)
{
	const uint8_t *p = parent ? arena_copy(a, v.p, v.n) : NULL;
	struct doc *d = p ? add_scalar(a, parent, key, t) : NULL;

	if (d)
		d->v.s = slice_of(p, v.n);
}

void doc_add_text(struct arena *a, struct doc *parent, const char *key, const char *v)
{
	if (v)
		add_copied(a, parent, key, DOC_TEXT, slice_str(v));
	else
		doc_add_null(a, parent, key);
}

void doc_add_text_slice(struct arena *a, struct doc *parent, const char *key, struct slice v)
{
	add_copied(a, parent, key, DOC_TEXT, v);
}

void doc_add_bytes(struct arena *a, struct doc *parent, const char *key, struct slice v)
{
	add_copied(a, parent, key, DOC_BYTES, v);
}

void doc_add_digest(struct arena *a, struct doc *parent, const char *key, const struct digest *d)
{
	add_copied(a, parent, key, DOC_BYTES, slice_of(d->b, DIGEST_SIZE));
}

void doc_add_time(struct arena *a, struct doc *parent, const char *key, int64_t wall_ms)
{
	char text[TEXT_TIME_SIZE];

	if (wall_ms == 0) {
		doc_add_null(a, parent, key);
		return;
	}
	text_time(text, wall_ms);
	doc_add_text(a, parent, key, text);
}

static void copy_below(struct arena *a, struct doc *to, const struct doc *from)
{
	for (const struct doc *m = from->v.c.first; m; m = m->next) {
		struct doc *d = doc_add(a, to, m->key, m->type);

		if (!d)
			return;
		if (m->type == DOC_MAP || m->type == DOC_ARRAY)
			copy_below(a, d, m);
		else
			d->v = m->v;
	}
}

void doc_add_copy(struct arena *a, struct doc *parent, const char *key, const struct doc *d)
{
	struct doc *to = add_scalar(a, parent, key, d->type);

	if (!to)
		return;
	if (d->type == DOC_MAP || d->type == DOC_ARRAY)
		copy_below(a, to, d);
	else
		to->v = d->v;
}

const struct doc *doc_get(const struct doc *d, const char *key)
{
	if (!d || d->type != DOC_MAP)
		return NULL;
	size_t n = strlen(key);
	for (const struct doc *m = d->v.c.first; m; m = m->next)
		if (m->key.n == n && (n == 0 || memcmp(m->key.p, key, n) == 0))
			return m;
	return NULL;
}

uint32_t doc_count(const struct doc *d)
{
	return d && (d->type == DOC_MAP || d->type == DOC_ARRAY) ? d->v.c.n : 0;
}
