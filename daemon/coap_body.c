/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * Small bodies in blocks (RFC 7959 2.5), one a peer, put together here: the
 * library's own code for it falls to two datagrams (block mode stays 0).
 */

#define SOURCE_SLOTS 4096u

void body_free(struct coap_server *cs, struct body *b)
{
	link_del(&b->all);
	cs->n_bodies--;
	b->peer->body = NULL;
	buf_free(&b->bytes);
	free(b);
}

void bodies_expire(struct coap_server *cs)
{
	while (!link_empty(&cs->bodies)) {
		struct body *b = LINK_OF(cs->bodies.next, struct body, all);

		if (cs->now - b->touched < BODY_TIMEOUT_MS)
			return;
		body_free(cs, b);
	}
}

static unsigned source_slot(const struct coap_server *cs, const struct body *b)
{
	return address_source_hash(cs->seed, &b->peer->addr) % SOURCE_SLOTS;
}

/*
 * Of the source that has most of them, the one that waits longest gives way: a flood of
 * beginnings from one place pushes out its own. Sources that share a slot pass for one.
 */
static void give_way(struct coap_server *cs)
{
	uint16_t n[SOURCE_SLOTS] = { 0 };
	struct body *out = NULL;
	unsigned most = 0;

	for (struct link *l = cs->bodies.next; l != &cs->bodies; l = l->next) {
		unsigned slot = source_slot(cs, LINK_OF(l, struct body, all));

		if (++n[slot] > most)
			most = n[slot];
	}
	for (struct link *l = cs->bodies.next; !out && l != &cs->bodies; l = l->next)
		if (n[source_slot(cs, LINK_OF(l, struct body, all))] == most)
			out = LINK_OF(l, struct body, all);
	if (out)
		body_free(cs, out);
}

static struct body *body_new(struct exchange *x, const struct wire_msg *m)
{
	struct coap_peer *p = x->peer;
	struct coap_server *cs = p->cs;
	struct body *b;

	if (cs->n_bodies >= BODIES_MAX)
		give_way(cs);
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->peer = p;
	b->bytes = BUF_INIT(DEVICE_BODY_MAX);
	b->method = x->method;
	b->touched = cs->now;
	memcpy(b->path, m->path, m->path_n + 1u);
	b->tag_n = (uint8_t)m->request_tag.n;
	if (b->tag_n)
		memcpy(b->tag, m->request_tag.p, b->tag_n);
	link_add(&cs->bodies, &b->all);
	cs->n_bodies++;
	p->body = b;
	return b;
}

static bool same_transfer(const struct body *b, const struct exchange *x, const struct wire_msg *m)
{
	return b->method == x->method && strcmp(b->path, m->path) == 0 &&
	       slice_eq(slice_of(b->tag, b->tag_n), m->request_tag);
}

static int refuse(struct exchange *x, uint8_t code)
{
	struct coap_peer *p = x->peer;
	struct wire_out *o;

	if (p->body)
		body_free(p->cs, p->body);
	o = exchange_begin(x, code);
	if (code == WIRE_CODE(4, 13))
		wire_put_uint(o, WIRE_SIZE1, DEVICE_BODY_MAX);
	wire_end(o, slice_of(NULL, 0));
	exchange_send(x);
	return 0;
}

static int go_on(struct exchange *x)
{
	struct wire_out *o = exchange_begin(x, WIRE_CODE(2, 31));

	wire_put_block(o, WIRE_BLOCK1, &x->block1);
	wire_end(o, slice_of(NULL, 0));
	exchange_send(x);
	return 0;
}

/* 0: fine, else the code that says what is wrong with this block's own shape. */
static uint8_t shape_fault(const struct wire_msg *m)
{
	size_t block = (size_t)16 << m->block1.szx;

	if (m->block1.more ? m->payload.n != block : m->payload.n > block)
		return WIRE_CODE(4, 0);
	if (m->size1_set && m->size1 > DEVICE_BODY_MAX)
		return WIRE_CODE(4, 13);
	return 0;
}

int body_block(struct exchange *x, const struct wire_msg *m, struct slice *body)
{
	struct coap_server *cs = x->peer->cs;
	struct body *b = x->peer->body;
	uint64_t offset = (uint64_t)m->block1.num << (m->block1.szx + 4);
	uint8_t wrong = shape_fault(m);

	if (wrong)
		return refuse(x, wrong);
	if (offset == 0) {
		if (b)
			body_free(cs, b);
		if (!m->block1.more) {
			*body = m->payload;
			return 1;
		}
		b = body_new(x, m);
		if (!b)
			return refuse(x, WIRE_CODE(5, 3));
	}
	if (!b || !same_transfer(b, x, m))
		return refuse(x, WIRE_CODE(4, 8));
	/* the block before once more, under a new message id: its answer got lost */
	if (m->block1.more && offset + m->payload.n == b->bytes.n)
		return go_on(x);
	if (offset != b->bytes.n)
		return refuse(x, WIRE_CODE(4, 8));
	if (offset + m->payload.n > DEVICE_BODY_MAX)
		return refuse(x, WIRE_CODE(4, 13));
	buf_add_slice(&b->bytes, m->payload);
	if (b->bytes.failed)
		return refuse(x, WIRE_CODE(5, 3));
	b->touched = cs->now;
	link_del(&b->all);
	link_add(&cs->bodies, &b->all);
	if (m->block1.more)
		return go_on(x);
	*body = buf_slice(&b->bytes);
	return 1;
}
