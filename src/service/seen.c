/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "service/seen.h"

#define LOOK 16384u /* buckets in one go */

void seen_free(struct seen *s)
{
	free(s->head);
	free(s->pool);
	memset(s, 0, sizeof(*s));
}

/* Row ids are dense and nobody's to choose: their low bits are as good as any hash. */
static uint32_t bucket_of(int64_t dev)
{
	return (uint32_t)dev & (SEEN_MAX - 1);
}

/* Untouched pages of it cost nothing: a small fleet uses little. */
static bool have_room(struct seen *s)
{
	if (!s->head)
		s->head = calloc(SEEN_MAX, sizeof(*s->head));
	if (s->head && !s->pool)
		s->pool = calloc(SEEN_MAX, sizeof(*s->pool));
	return s->pool && s->n < SEEN_MAX;
}

static uint32_t find(const struct seen *s, int64_t dev)
{
	uint32_t i = s->head ? s->head[bucket_of(dev)] : 0;

	while (i != 0 && s->pool[i - 1].dev != dev)
		i = s->pool[i - 1].next;
	return i;
}

static uint32_t add(struct seen *s, int64_t dev)
{
	uint32_t i = s->free, *head;

	if (!have_room(s))
		return 0;
	if (i != 0)
		s->free = s->pool[i - 1].next;
	else
		i = ++s->high;
	head = &s->head[bucket_of(dev)];
	s->pool[i - 1] = (struct seen_entry){ .dev = dev, .next = *head };
	*head = i;
	s->n++;
	return i;
}

void seen_note(struct seen *s, int64_t dev, int64_t wall, int64_t track)
{
	uint32_t i = find(s, dev);

	if (s->n == 0)
		s->since = track;
	if (i == 0)
		i = add(s, dev);
	if (i == 0)
		return;
	struct seen_entry *en = &s->pool[i - 1];
	en->wall = wall;
	en->track = track;
	if (en->polls < UINT32_MAX)
		en->polls++;
}

bool seen_due(const struct seen *s, int64_t track)
{
	int64_t wait = s->n > SEEN_MAX / 4 * 3 ? SEEN_SOON_MS : SEEN_EVERY_MS;

	return s->n > 0 && (s->draining || track - s->since >= wait);
}

size_t seen_take(struct seen *s, int64_t track, struct seen_entry *out, size_t limit)
{
	size_t n = 0;

	if (s->n == 0)
		return 0;
	s->draining = true;
	for (uint32_t looked = 0; looked < LOOK && s->cursor < SEEN_MAX; looked++, s->cursor++) {
		uint32_t *head = &s->head[s->cursor];

		while (*head != 0 && n < limit) {
			uint32_t i = *head;

			out[n++] = s->pool[i - 1];
			*head = s->pool[i - 1].next;
			s->pool[i - 1].next = s->free;
			s->free = i;
			s->n--;
		}
		if (*head != 0)
			return n;
	}
	if (s->cursor == SEEN_MAX || s->n == 0) {
		s->cursor = 0;
		s->draining = false;
		s->since = track;
	}
	return n;
}
