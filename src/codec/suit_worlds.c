/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/suit_worlds.h"

#include <stdlib.h>
#include <string.h>

static int reserve(struct worlds *w, unsigned n)
{
	struct world *p;

	if (n <= w->cap)
		return 0;
	if (n > WORLDS_MAX)
		return -1;
	p = realloc(w->w, n * sizeof(*p));
	if (!p)
		return -1;
	w->w = p;
	w->cap = n;
	return 0;
}

int worlds_init(struct worlds *w)
{
	*w = (struct worlds){ 0 };
	if (reserve(w, 1))
		return -1;
	w->w[0] = (struct world){ 0 };
	w->n = 1;
	return 0;
}

int worlds_copy(struct worlds *dst, const struct worlds *src)
{
	dst->n = 0;
	return worlds_append(dst, src);
}

int worlds_append(struct worlds *dst, const struct worlds *src)
{
	if (reserve(dst, dst->n + src->n))
		return -1;
	if (src->n > 0)
		memcpy(dst->w + dst->n, src->w, src->n * sizeof(*src->w));
	dst->n += src->n;
	return 0;
}

void worlds_free(struct worlds *w)
{
	free(w->w);
	*w = (struct worlds){ 0 };
}

static bool is_selected(uint32_t selected, unsigned i)
{
	return selected >> i & 1;
}

void worlds_set_params(struct worlds *w, uint32_t selected, const struct suit_params *p,
		       bool override)
{
	for (unsigned i = 0; i < w->n; i++)
		for (unsigned k = 0; k < SUIT_COMPONENTS_MAX; k++)
			if (is_selected(selected, k))
				suit_params_copy(&w->w[i].c[k].p, p,
						 override ? UINT32_MAX : ~w->w[i].c[k].p.set);
}

void worlds_copy_params(struct worlds *w, uint32_t selected, unsigned from, uint32_t mask)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct suit_params src = w->w[i].c[from].p;

		for (unsigned k = 0; k < SUIT_COMPONENTS_MAX; k++)
			if (is_selected(selected, k))
				suit_params_copy(&w->w[i].c[k].p, &src, mask);
	}
}

bool worlds_have(const struct worlds *w, uint32_t selected, unsigned number)
{
	for (unsigned i = 0; i < w->n; i++)
		for (unsigned k = 0; k < SUIT_COMPONENTS_MAX; k++)
			if (is_selected(selected, k) && !(w->w[i].c[k].p.set & PARAM_BIT(number)))
				return false;
	return true;
}

static bool bind(struct world *w, uint32_t selected)
{
	for (unsigned k = 0; k < SUIT_COMPONENTS_MAX; k++) {
		struct world_component *c = &w->c[k];

		if (!is_selected(selected, k))
			continue;
		if (c->bound && c->slot != c->p.slot)
			return false;
		c->bound = true;
		c->slot = c->p.slot;
	}
	return true;
}

void worlds_bind_slots(struct worlds *w, uint32_t selected)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < w->n; i++) {
		if (!bind(&w->w[i], selected))
			continue;
		if (kept != i)
			w->w[kept] = w->w[i];
		kept++;
	}
	w->n = kept;
}

void worlds_fetch(struct worlds *w, uint32_t selected)
{
	for (unsigned i = 0; i < w->n; i++)
		for (unsigned k = 0; k < SUIT_COMPONENTS_MAX; k++)
			if (is_selected(selected, k))
				w->w[i].c[k].fetched = true;
}

const char *worlds_version(const struct worlds *w, uint32_t selected)
{
	for (unsigned i = 0; i < w->n; i++)
		for (unsigned k = 0; k < SUIT_COMPONENTS_MAX; k++)
			if (is_selected(selected, k) && w->w[i].c[k].p.version[0])
				return w->w[i].c[k].p.version;
	return "";
}

/* The same bytes for the same place; what one of the two does not say does not part them. */
static bool is_alike(const struct suit_image *a, const struct suit_image *b)
{
	if (a->component != b->component || a->digest_alg != b->digest_alg ||
	    !slice_eq(a->digest, b->digest))
		return false;
	if (a->content.p && b->content.p && !slice_eq(a->content, b->content))
		return false;
	if (a->has_slot && b->has_slot && a->slot != b->slot)
		return false;
	if (a->has_size && b->has_size && a->size != b->size)
		return false;
	return a->uri.n == 0 || b->uri.n == 0 || slice_eq(a->uri, b->uri);
}

static void merge(struct suit_image *into, const struct suit_image *from)
{
	if (!into->has_slot && from->has_slot) {
		into->has_slot = true;
		into->slot = from->slot;
	}
	if (!into->has_size && from->has_size) {
		into->has_size = true;
		into->size = from->size;
	}
	if (into->uri.n == 0)
		into->uri = from->uri;
	if (!into->content.p)
		into->content = from->content;
	into->encrypted |= from->encrypted;
	into->fetched |= from->fetched;
}

/* Kept in the order of components, alternatives in the order they were met. */
static int add_image(struct suit_manifest *m, const struct suit_image *image, struct err *e)
{
	unsigned at = m->n_images;

	for (unsigned i = 0; i < m->n_images; i++) {
		if (is_alike(&m->images[i], image)) {
			merge(&m->images[i], image);
			return 0;
		}
	}
	if (m->n_images == SUIT_ALTERNATIVES_MAX)
		return err_set(e, ERR_TOO_LARGE, "more than %d images", SUIT_ALTERNATIVES_MAX);
	while (at > 0 && m->images[at - 1].component > image->component)
		at--;
	memmove(&m->images[at + 1], &m->images[at], (m->n_images - at) * sizeof(*image));
	m->images[at] = *image;
	m->n_images++;
	return 0;
}

static bool is_set(const struct suit_params *p, unsigned number)
{
	return p->set & PARAM_BIT(number);
}

static struct suit_image image_of(const struct world_component *c, unsigned component)
{
	return (struct suit_image){
		.component = (uint8_t)component,
		.digest_alg = c->p.digest_alg,
		.digest = c->p.digest,
		.has_size = is_set(&c->p, PARAM_SIZE),
		.size = c->p.size,
		.uri = c->p.uri,
		.has_slot = c->bound || is_set(&c->p, PARAM_SLOT),
		.slot = c->bound ? c->slot : c->p.slot,
		.content = c->p.content,
		.encrypted = is_set(&c->p, PARAM_ENCRYPTION),
		.fetched = c->fetched,
	};
}

int worlds_collect(const struct worlds *w, struct suit_manifest *m, struct err *e)
{
	for (unsigned i = 0; i < w->n; i++) {
		for (unsigned k = 0; k < m->n_components; k++) {
			const struct world_component *c = &w->w[i].c[k];
			struct suit_image image = image_of(c, k);

			if (!is_set(&c->p, PARAM_DIGEST) && !is_set(&c->p, PARAM_CONTENT) &&
			    !c->fetched)
				continue;
			if (add_image(m, &image, e))
				return -1;
		}
	}
	return 0;
}
