/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384u
#define ALIGNMENT 16u

struct arena_block {
	struct arena_block *next;
	size_t cap;
	_Alignas(ALIGNMENT) uint8_t data[];
};

struct slice slice_of(const void *p, size_t n)
{
	return (struct slice){ .p = p, .n = n };
}

struct slice slice_str(const char *s)
{
	return s ? slice_of(s, strlen(s)) : slice_of(NULL, 0);
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_eq_str(struct slice a, const char *s)
{
	return slice_eq(a, slice_str(s));
}

bool slice_starts(struct slice a, const char *prefix)
{
	size_t n = strlen(prefix);

	return n == 0 || (a.n >= n && memcmp(a.p, prefix, n) == 0);
}

bool slice_eq_ct(struct slice a, struct slice b)
{
	/* volatile: the compiler must not stop at the first difference */
	volatile uint8_t diff = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
	return diff == 0;
}

/* Room for n more bytes and a NUL behind them, which is not counted. */
static bool buf_reserve(struct buf *b, size_t n)
{
	size_t end, cap, whole;

	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->n, n, &end) || end > b->max ||
	    __builtin_add_overflow(end, 1, &whole))
		goto fail;
	if (whole <= b->cap)
		return true;
	cap = b->cap ? b->cap : 128;
	while (cap < whole)
		if (__builtin_mul_overflow(cap, 2, &cap))
			cap = whole;
	if (b->max < SIZE_MAX && cap > b->max + 1)
		cap = b->max + 1;
	uint8_t *p = realloc(b->p, cap);
	b->no_memory = !p;
	if (!p)
		goto fail;
	b->p = p;
	b->cap = cap;
	return true;
fail:
	b->failed = true;
	return false;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (!buf_reserve(b, n) || n == 0)
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void buf_add_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.p, s.n);
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	if (!buf_reserve(b, 0))
		return;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf((char *)b->p + b->n, b->cap - b->n, fmt, ap);
	if (n < 0) {
		b->failed = true;
	} else if ((size_t)n < b->cap - b->n) {
		b->n += (size_t)n;
	} else if (buf_reserve(b, (size_t)n)) {
		vsnprintf((char *)b->p + b->n, b->cap - b->n, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

uint8_t *buf_extend(struct buf *b, size_t n)
{
	if (!buf_reserve(b, n))
		return NULL;
	uint8_t *p = b->p + b->n;
	b->n += n;
	return p;
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = b->no_memory = false;
}

void buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->cap = 0;
	buf_reset(b);
}

struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->p, b->n);
}

const char *buf_cstr(struct buf *b)
{
	/* reserve always leaves a byte behind n, so there is room whenever p is set */
	if (b->failed || b->n == 0)
		return "";
	b->p[b->n] = '\0';
	return (const char *)b->p;
}

int buf_blame(const struct buf *b, const char *what, struct err *e)
{
	if (b->no_memory)
		return err_set(e, ERR_NO_MEMORY, "no memory for the %s", what);
	return err_set(e, ERR_TOO_LARGE, "%s of more than %zu bytes", what, b->max);
}

/* A new block behind the current one. `used` counts inside the current block only. */
static bool arena_grow(struct arena *a, size_t n)
{
	size_t cap = n > BLOCK_SIZE ? n : BLOCK_SIZE;
	size_t total, whole;

	/* the bound counts what is held; a small bound still gets a block of its size */
	if (a->total >= a->max)
		return false;
	if (cap > a->max - a->total)
		cap = a->max - a->total;
	if (cap < n || __builtin_add_overflow(a->total, cap, &total) ||
	    __builtin_add_overflow(sizeof(struct arena_block), cap, &whole))
		return false;
	struct arena_block *b = malloc(whole);
	if (!b)
		return false;
	b->next = NULL;
	b->cap = cap;
	if (a->cur)
		a->cur->next = b;
	else
		a->first = b;
	a->cur = b;
	a->used = 0;
	a->total = total;
	return true;
}

/* Not zeroed; alloc and copy finish it. */
static void *arena_take(struct arena *a, size_t n)
{
	size_t whole;

	if (__builtin_add_overflow(n ? n : 1, ALIGNMENT - 1, &whole))
		goto fail;
	whole &= ~(size_t)(ALIGNMENT - 1);
	if ((!a->cur || whole > a->cur->cap - a->used) && !arena_grow(a, whole))
		goto fail;
	void *p = a->cur->data + a->used;
	a->used += whole;
	return p;
fail:
	a->failed = true;
	return NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_take(a, n);

	if (p)
		memset(p, 0, n);
	return p;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
	size_t whole;

	if (__builtin_add_overflow(n, 1, &whole)) {
		a->failed = true;
		return NULL;
	}
	uint8_t *to = arena_take(a, whole);
	if (!to)
		return NULL;
	if (n > 0)
		memcpy(to, p, n);
	to[n] = 0;
	return to;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0)
		s = arena_take(a, (size_t)n + 1);
	if (s)
		vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return s;
}

static void free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
}

bool arena_half(const struct arena *a)
{
	return a->total >= a->max / 2;
}

void arena_reset(struct arena *a)
{
	a->used = 0;
	a->failed = false;
	a->cur = a->first;
	a->total = 0;
	if (!a->first)
		return;
	free_blocks(a->first->next);
	a->first->next = NULL;
	a->total = a->first->cap;
}

void arena_free(struct arena *a)
{
	free_blocks(a->first);
	a->first = a->cur = NULL;
	a->used = a->total = 0;
	a->failed = false;
}
