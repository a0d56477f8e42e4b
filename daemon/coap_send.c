/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>

/* Bytes to a peer, and again what must be confirmed (RFC 7252 4.2). */
/* Answers and notifications; calls of ours have their own bound, and one each at most. */
#define CONFIRMABLES_MAX 16384u
#define ACK_TIMEOUT_MS 2000
#define RETRANSMIT_MAX 4u

uint16_t peer_mid(struct coap_peer *p)
{
	return p->next_mid++;
}

void peer_send(struct coap_peer *p, const struct wire_out *o, bool stable)
{
	if (p->dtls)
		dtls_send(p->dtls, o);
	else
		udp_send(p->cs->udp, &p->addr, o, stable);
}

void peer_send_bytes(struct coap_peer *p, struct slice message)
{
	if (p->dtls)
		dtls_send_bytes(p->dtls, message);
	else
		udp_send_bytes(p->cs->udp, &p->addr, message);
}

void peer_send_empty(struct coap_peer *p, enum wire_type t, uint16_t mid)
{
	struct wire_out *o = &p->cs->out;

	wire_begin(o, t, 0, mid, NULL, 0);
	wire_end(o, slice_of(NULL, 0));
	peer_send(p, o, false);
}

void confirmable_free(struct confirmable *c)
{
	link_del(&c->all);
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	c->peer->cs->n_confirmables -= c->whose != FOR_PUSH;
	free(c);
}

bool confirmable_add(struct coap_peer *p, const struct wire_out *o, uint16_t mid,
		     enum confirmed_for whose)
{
	struct coap_server *cs = p->cs;
	struct confirmable *c;

	if (whose != FOR_PUSH && cs->n_confirmables >= CONFIRMABLES_MAX)
		return false;
	c = calloc(1, sizeof(*c) + wire_size(o));
	if (!c)
		return false;
	memcpy(c->bytes, o->head, o->n);
	if (o->payload.n)
		memcpy(c->bytes + o->n, o->payload.p, o->payload.n);
	c->n = wire_size(o);
	c->mid = mid;
	c->whose = whose;
	c->peer = p;
	/* between ACK_TIMEOUT and 1.5 times that: ACK_RANDOM_FACTOR */
	c->wait = ACK_TIMEOUT_MS + (int64_t)((mid * 2654435761u) >> 22);
	c->due = cs->now + c->wait;
	c->next = p->confirmables;
	c->at = &p->confirmables;
	if (c->next)
		c->next->at = &c->next;
	p->confirmables = c;
	link_add(&cs->confirmables, &c->all);
	cs->n_confirmables += whose != FOR_PUSH;
	return true;
}

static struct confirmable *confirmable_find(const struct coap_peer *p, uint16_t mid)
{
	struct confirmable *c = p->confirmables;

	while (c && c->mid != mid)
		c = c->next;
	return c;
}

void confirmable_forget(struct coap_peer *p, uint16_t mid)
{
	struct confirmable *c = confirmable_find(p, mid);

	if (c)
		confirmable_free(c);
}

void confirmable_settle(struct coap_peer *p, uint16_t mid, bool ok)
{
	struct confirmable *c = confirmable_find(p, mid);
	enum confirmed_for whose;

	if (!c)
		return;
	whose = c->whose;
	confirmable_free(c);
	if (whose == FOR_PUSH) {
		/* no proof: a message id is soon guessed, and the address proved nothing before */
		push_settled(p, mid, ok);
		return;
	}
	/* who answers at its address is there */
	if (ok && p->proven_until < p->cs->now + PROVEN_MS)
		p->proven_until = p->cs->now + PROVEN_MS;
	if (whose == FOR_OBSERVER)
		observer_settled(p, mid, ok);
}

/* Never a second time to an address whose proof is old, unless the core wants it called. */
static bool may_repeat(const struct coap_server *cs, const struct confirmable *c)
{
	return c->tries < RETRANSMIT_MAX &&
	       (c->whose == FOR_PUSH || c->peer->proven_until > cs->now);
}

void confirmables_tick(struct coap_server *cs)
{
	struct link *next;

	for (struct link *l = cs->confirmables.next; l != &cs->confirmables; l = next) {
		struct confirmable *c = LINK_OF(l, struct confirmable, all);

		next = l->next;
		if (c->due > cs->now)
			continue;
		if (!may_repeat(cs, c)) {
			confirmable_settle(c->peer, c->mid, false);
			continue;
		}
		c->tries++;
		c->wait *= 2;
		c->due = cs->now + c->wait;
		peer_send_bytes(c->peer, slice_of(c->bytes, c->n));
	}
}
