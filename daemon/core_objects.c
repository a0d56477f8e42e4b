/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/core_objects.h"

#include <stdlib.h>
#include <string.h>

#define NIL UINT32_MAX

struct object_node {
	struct digest digest;
	uint32_t chain; /* in its bucket, or in the free list */
	uint32_t newer, older;
};

int object_set_init(struct object_set *s, uint32_t max, struct err *e)
{
	uint32_t buckets = 16;

	while (buckets < max && buckets < 1u << 30)
		buckets <<= 1;
	*s = (struct object_set){ .max = max, .mask = buckets - 1 };
	s->node = calloc(max, sizeof(*s->node));
	s->bucket = calloc(buckets, sizeof(*s->bucket));
	if (!s->node || !s->bucket) {
		object_set_free(s);
		return err_set(e, ERR_NO_MEMORY, "set of %u objects", max);
	}
	object_set_clear(s);
	return 0;
}

void object_set_free(struct object_set *s)
{
	free(s->node);
	free(s->bucket);
	memset(s, 0, sizeof(*s));
}

void object_set_clear(struct object_set *s)
{
	if (!s->bucket)
		return;
	memset(s->bucket, 0xff, ((size_t)s->mask + 1) * sizeof(*s->bucket));
	for (uint32_t i = 0; i < s->max; i++)
		s->node[i].chain = i + 1 < s->max ? i + 1 : NIL;
	s->free = s->max ? 0 : NIL;
	s->newest = s->oldest = NIL;
	s->n = 0;
}

static uint32_t *bucket_of(struct object_set *s, const struct digest *d)
{
	uint32_t h;

	memcpy(&h, d->b, sizeof(h)); /* a SHA-256 needs no further hashing */
	return &s->bucket[h & s->mask];
}

static uint32_t find(struct object_set *s, const struct digest *d)
{
	uint32_t i = s->bucket ? *bucket_of(s, d) : NIL;

	while (i != NIL && !digest_eq(&s->node[i].digest, d))
		i = s->node[i].chain;
	return i;
}

static void link_newest(struct object_set *s, uint32_t i)
{
	s->node[i].newer = NIL;
	s->node[i].older = s->newest;
	if (s->newest != NIL)
		s->node[s->newest].newer = i;
	s->newest = i;
	if (s->oldest == NIL)
		s->oldest = i;
}

static void unlink_node(struct object_set *s, uint32_t i)
{
	struct object_node *n = &s->node[i];

	if (n->newer != NIL)
		s->node[n->newer].older = n->older;
	else
		s->newest = n->older;
	if (n->older != NIL)
		s->node[n->older].newer = n->newer;
	else
		s->oldest = n->newer;
}

bool object_set_has(struct object_set *s, const struct digest *d)
{
	uint32_t i = find(s, d);

	if (i == NIL)
		return false;
	unlink_node(s, i);
	link_newest(s, i);
	return true;
}

bool object_set_remove(struct object_set *s, const struct digest *d)
{
	uint32_t i = find(s, d);

	if (i == NIL)
		return false;
	for (uint32_t *at = bucket_of(s, d); *at != NIL; at = &s->node[*at].chain) {
		if (*at != i)
			continue;
		*at = s->node[i].chain;
		break;
	}
	unlink_node(s, i);
	s->node[i].chain = s->free;
	s->free = i;
	s->n--;
	return true;
}

bool object_set_add(struct object_set *s, const struct digest *d, struct digest *evicted)
{
	bool full = false;

	if (object_set_has(s, d) || s->max == 0)
		return false;
	if (s->free == NIL) {
		*evicted = s->node[s->oldest].digest;
		full = object_set_remove(s, evicted);
	}
	uint32_t i = s->free, *bucket = bucket_of(s, d);
	s->free = s->node[i].chain;
	s->node[i].digest = *d;
	s->node[i].chain = *bucket;
	*bucket = i;
	link_newest(s, i);
	s->n++;
	return full;
}
