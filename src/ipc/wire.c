/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "ipc/ipc.h"

#include <string.h>

/* Numbers and bounded byte strings, big-endian; the reader's error is sticky. */

struct rd rd_init(struct slice s)
{
	return (struct rd){ .p = s.p, .end = s.n ? s.p + s.n : s.p };
}

struct slice rd_bytes(struct rd *r, size_t n)
{
	struct slice s = { NULL, 0 };

	if (r->failed || n > (size_t)(r->end - r->p)) {
		r->failed = true;
		return s;
	}
	s = slice_of(r->p, n);
	if (n)
		r->p += n;
	return s;
}

static uint64_t rd_number(struct rd *r, size_t width)
{
	struct slice s = rd_bytes(r, width);
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	return v;
}

uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)rd_number(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)rd_number(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)rd_number(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
	return rd_number(r, 8);
}

static struct slice rd_bounded(struct rd *r, size_t n, size_t max)
{
	if (n > max)
		r->failed = true;
	return rd_bytes(r, n);
}

struct slice rd_blob16(struct rd *r, size_t max)
{
	return rd_bounded(r, rd_u16(r), max);
}

struct slice rd_blob32(struct rd *r, size_t max)
{
	return rd_bounded(r, rd_u32(r), max);
}

bool rd_done(const struct rd *r)
{
	return !r->failed && r->p == r->end;
}

static void put_number(struct buf *b, uint64_t v, size_t width)
{
	uint8_t *p = buf_extend(b, width);

	if (!p)
		return;
	for (size_t i = width; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

void ipc_put_u8(struct buf *b, uint8_t v)
{
	put_number(b, v, 1);
}

void ipc_put_u16(struct buf *b, uint16_t v)
{
	put_number(b, v, 2);
}

void ipc_put_u32(struct buf *b, uint32_t v)
{
	put_number(b, v, 4);
}

void ipc_put_u64(struct buf *b, uint64_t v)
{
	put_number(b, v, 8);
}

void ipc_put_blob16(struct buf *b, struct slice s)
{
	if (s.n > UINT16_MAX) {
		b->failed = true;
		return;
	}
	ipc_put_u16(b, (uint16_t)s.n);
	buf_add_slice(b, s);
}

void ipc_put_blob32(struct buf *b, struct slice s)
{
	if (s.n > UINT32_MAX) {
		b->failed = true;
		return;
	}
	ipc_put_u32(b, (uint32_t)s.n);
	buf_add_slice(b, s);
}

size_t ipc_begin(struct buf *b, enum frame_type t)
{
	size_t mark = b->n;

	ipc_put_u32(b, 0);
	ipc_put_u8(b, (uint8_t)t);
	return mark;
}

void ipc_end(struct buf *b, size_t mark)
{
	size_t n;

	if (b->failed)
		return;
	n = b->n - mark - 4;
	if (n > IPC_FRAME_MAX) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < 4; i++)
		b->p[mark + i] = (uint8_t)(n >> (24 - 8 * i));
}
