/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/heap.h"

#include <stdlib.h>

int heap_init(struct heap *h, uint32_t n)
{
	*h = (struct heap){ .order = calloc(n, sizeof(*h->order)),
			    .place = calloc(n, sizeof(*h->place)),
			    .due = calloc(n, sizeof(*h->due)) };
	if (h->order && h->place && h->due)
		return 0;
	heap_free(h);
	return -1;
}

void heap_free(struct heap *h)
{
	free(h->order);
	free(h->place);
	free(h->due);
	*h = (struct heap){ 0 };
}

static void put(struct heap *h, uint32_t at, uint32_t who)
{
	h->order[at] = who;
	h->place[who] = at + 1;
}

static void up(struct heap *h, uint32_t at)
{
	uint32_t who = h->order[at];

	while (at > 0 && h->due[h->order[(at - 1) / 2]] > h->due[who]) {
		put(h, at, h->order[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(h, at, who);
}

static void down(struct heap *h, uint32_t at)
{
	uint32_t who = h->order[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->due[h->order[child + 1]] < h->due[h->order[child]])
			child++;
		if (h->due[h->order[child]] >= h->due[who])
			break;
		put(h, at, h->order[child]);
		at = child;
	}
	put(h, at, who);
}

void heap_set(struct heap *h, uint32_t who, int64_t due)
{
	h->due[who] = due;
	if (h->place[who] == 0) {
		put(h, h->n++, who);
		up(h, h->n - 1);
		return;
	}
	up(h, h->place[who] - 1);
	down(h, h->place[who] - 1);
}

void heap_remove(struct heap *h, uint32_t who)
{
	uint32_t at = h->place[who], last;

	if (at-- == 0)
		return;
	last = h->order[--h->n];
	h->place[who] = 0;
	if (last == who)
		return;
	put(h, at, last);
	up(h, at);
	down(h, h->place[last] - 1);
}

bool heap_first(const struct heap *h, uint32_t *who, int64_t *due)
{
	if (h->n == 0)
		return false;
	*who = h->order[0];
	*due = h->due[*who];
	return true;
}
