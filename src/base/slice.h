/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_SLICE_H
#define FETTLE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A view of bytes somebody else owns. p may be NULL only when n is 0. */
struct slice {
	const uint8_t *p;
	size_t n;
};

struct slice slice_of(const void *p, size_t n);
struct slice slice_str(const char *s);
bool slice_eq(struct slice a, struct slice b);
bool slice_eq_str(struct slice a, const char *s);
bool slice_starts(struct slice a, const char *prefix);
/* Compare in time that depends on the lengths only. For secrets and MACs. */
bool slice_eq_ct(struct slice a, struct slice b);

/*
 * A growable byte buffer with a hard bound and a sticky error: appends after a
 * failure (no memory, bound passed) do nothing; check failed once at the end.
 */
struct buf {
	uint8_t *p;
	size_t n, cap, max;
	bool failed, no_memory;	/* no_memory: that was why */
};

#define BUF_INIT(bound) ((struct buf){ .max = (bound) })

void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_u8(struct buf *b, uint8_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Make room for n bytes at the end and return where they go, or NULL (sticky). n is counted. */
uint8_t *buf_extend(struct buf *b, size_t n);
void buf_reset(struct buf *b);	/* empty, keep the memory, clear failed */
void buf_free(struct buf *b);	/* release; the buffer may be used again */
struct slice buf_slice(const struct buf *b);
/* The content as a C string (a NUL is kept behind it), "" when empty or failed. */
const char *buf_cstr(struct buf *b);
/* Why it failed, as the error of what was to be written: no memory, or too large. -1 always. */
int buf_blame(const struct buf *b, const char *what, struct err *e);

/*
 * Arena: memory that lives as long as one request. Blocks of 16 KiB, bounded by
 * max in total; alloc returns zeroed memory or NULL. reset keeps the first block.
 */
struct arena_block;
struct arena {
	struct arena_block *first, *cur;
	size_t used, total, max;
	bool failed;	/* an allocation was refused since the last reset */
};

#define ARENA_INIT(bound) ((struct arena){ .max = (bound) })

void *arena_alloc(struct arena *a, size_t n);
void *arena_copy(struct arena *a, const void *p, size_t n);	/* one NUL is added behind */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool arena_half(const struct arena *a); /* half of its bound is in use: no new work in it */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
