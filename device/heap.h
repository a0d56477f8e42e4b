/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_HEAP_H
#define FETTLE_DEVICE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Who is due next, of n numbered ones: a binary heap that knows where each stands. */
struct heap {
	uint32_t *order, *place;	/* place: position + 1, 0 not in it */
	int64_t *due;
	uint32_t n;
};

int heap_init(struct heap *h, uint32_t n);	/* -1: no memory */
void heap_free(struct heap *h);
void heap_set(struct heap *h, uint32_t who, int64_t due);	/* moves it when it is in */
void heap_remove(struct heap *h, uint32_t who);
bool heap_first(const struct heap *h, uint32_t *who, int64_t *due);

#endif
