/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_push.h"

#include <string.h>

#define CONTINUE WIRE_CODE(2, 31)
#define SZX_MAX 6u
#define NUMBERS (1u << 20) /* of blocks: RFC 7959 2.2 */

static size_t block_size(unsigned szx)
{
	return (size_t)16 << szx;
}

static uint32_t number_of(uint64_t offset, unsigned szx)
{
	return (uint32_t)(offset >> (szx + 4));
}

static bool can_number(const struct push_flow *f, unsigned szx)
{
	return f->size <= (uint64_t)NUMBERS << (szx + 4);
}

bool push_flow_init(struct push_flow *f, uint64_t size, uint64_t offset, bool blocks)
{
	*f = (struct push_flow){ .size = size,
				 .offset = offset,
				 .start = offset,
				 .blocks = blocks,
				 .szx = SZX_MAX,
				 .format = -1 };
	return can_number(f, SZX_MAX) && offset <= size && offset % block_size(SZX_MAX) == 0;
}

struct push_part push_flow_next(struct push_flow *f)
{
	struct push_part p = { .size1 = false };
	uint64_t left = f->size - f->offset;

	if (f->fetching) {
		f->n = 0;
		p.block2 = f->next;
		return p;
	}
	f->n = (size_t)left;
	if (!f->blocks)
		return p;
	if (left > block_size(f->szx)) {
		f->n = block_size(f->szx);
		p.block1.more = true;
	}
	p.block1.set = true;
	p.block1.szx = f->szx;
	p.block1.num = number_of(f->offset, f->szx);
	p.size1 = f->offset == f->start;
	return p;
}

static enum flow_step done(struct push_flow *f, uint16_t status)
{
	f->status = status;
	if (status == 413 || status == 502)
		f->answer_n = 0;
	return FLOW_DONE;
}

/* A block acknowledged; its number may be told in the smaller size that is asked for with it. */
static enum flow_step go_on(struct push_flow *f, const struct wire_block *b)
{
	if (b->set && b->num != number_of(f->offset, f->szx) &&
	    (b->szx > f->szx || b->num != number_of(f->offset, b->szx)))
		return done(f, 502);
	f->offset += f->n;
	if (b->set && b->szx < f->szx)
		f->szx = b->szx;
	return can_number(f, f->szx) ? FLOW_AGAIN : done(f, 413);
}

static bool take_echo(struct push_flow *f, const struct wire_msg *m)
{
	if (m->code != WIRE_CODE(4, 1) || f->echo_n || m->echo.n == 0 || m->echo.n > PUSH_ECHO_MAX)
		return false;
	f->echo_n = (uint8_t)m->echo.n;
	memcpy(f->echo, m->echo.p, m->echo.n);
	return true;
}

/* 4.13 with a smaller block: that size, please (RFC 7959 2.9.3). */
static bool take_smaller(struct push_flow *f, const struct wire_msg *m)
{
	if (m->code != WIRE_CODE(4, 13) || !m->block1.set || m->block1.szx >= f->szx ||
	    f->size - f->offset <= block_size(m->block1.szx) || !can_number(f, m->block1.szx))
		return false;
	f->szx = m->block1.szx;
	f->blocks = true;
	return true;
}

/* The answer's body, or the part of it that was asked for. */
static enum flow_step take_body(struct push_flow *f, const struct wire_msg *m)
{
	const struct wire_block *b = &m->block2;
	size_t at = f->answer_n;

	if (b->set && ((uint64_t)b->num << (b->szx + 4)) != at)
		return done(f, 502);
	if (m->payload.n > sizeof(f->answer) - at)
		return done(f, 413);
	if (m->payload.n)
		memcpy(f->answer + at, m->payload.p, m->payload.n);
	f->answer_n += m->payload.n;
	if (!b->set || !b->more)
		return done(f, http_status_of(f->code));
	if (m->payload.n != block_size(b->szx))
		return done(f, 502);
	f->fetching = true;
	f->next = (struct wire_block){ .set = true, .szx = b->szx, .num = b->num + 1 };
	return FLOW_AGAIN;
}

static enum flow_step take_more(struct push_flow *f, const struct wire_msg *m)
{
	return m->block2.set && m->code == f->code ? take_body(f, m) : done(f, 502);
}

enum flow_step push_flow_answer(struct push_flow *f, const struct wire_msg *m)
{
	bool more = f->offset + f->n < f->size;

	if (m->fault != WIRE_FINE)
		return done(f, 502);
	if (take_echo(f, m))
		return FLOW_AGAIN;
	if (f->fetching)
		return take_more(f, m);
	if (m->code == CONTINUE)
		return more ? go_on(f, &m->block1) : done(f, 502);
	/* a device that takes each block for itself says so with its number (RFC 7959 3.2) */
	if (more && WIRE_CLASS(m->code) == 2 && m->block1.set)
		return go_on(f, &m->block1);
	if (take_smaller(f, m))
		return FLOW_AGAIN;
	if (!more && WIRE_CLASS(m->code) == 2)
		f->offset += f->n;
	f->code = m->code;
	f->format = m->content_format;
	return take_body(f, m);
}
