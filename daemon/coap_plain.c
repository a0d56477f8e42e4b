/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

/*
 * Plain CoAP: whose datagram it is and what it may set off. Nobody without a proven
 * address is answered at greater length than he asked, nor leaves anything behind.
 */

static void ping(struct coap_server *cs, const struct udp_addr *a, uint16_t mid)
{
	struct wire_out *o = &cs->out;

	wire_begin(o, WIRE_RST, 0, mid, NULL, 0);
	wire_end(o, slice_of(NULL, 0));
	udp_send(cs->udp, a, o, false);
}

/* Who asks, if the address is proven: by configuration, by an earlier Echo, or by this one. */
static struct coap_peer *proven_peer(struct coap_server *cs, const struct udp_addr *a,
				     const struct wire_msg *m)
{
	struct coap_peer *p = peer_find(cs, a);
	int64_t until;

	if (p && p->proven_until > cs->now)
		return p;
	if (address_trusted(&cs->o, a->ip))
		until = INT64_MAX;
	else if (m->echo.n && echo_fresh(cs->o.echo_secret, a, cs->now, m->echo))
		until = cs->now + PROVEN_MS;
	else
		return NULL;
	if (!p)
		return peer_add_plain(cs, a, until);
	p->proven_until = until;
	return p;
}

static void stranger(struct coap_server *cs, const struct udp_addr *a, const struct wire_msg *m,
		     size_t came)
{
	uint8_t echo[ECHO_SIZE];

	echo_make(cs->o.echo_secret, a, cs->now / ECHO_SLOT_MS, echo);
	gate_challenge(&cs->out, m, came, cs->stranger_mid++, echo);
	udp_send(cs->udp, a, &cs->out, false);
	cs->challenged++;
}

static void datagram(void *ctx, const struct udp_addr *a, struct slice d)
{
	struct coap_server *cs = ctx;
	struct wire_msg *m = &cs->msg;
	struct coap_peer *p;

	switch (gate_judge(m, d, a->port)) {
	case GATE_DROP:
		cs->dropped++;
		return;
	case GATE_PING:
		ping(cs, a, m->mid);
		return;
	case GATE_SETTLED:
		p = peer_find(cs, a);
		if (p)
			confirmable_settle(p, m->mid, m->type == WIRE_ACK);
		return;
	case GATE_RESPONSE:
		p = peer_find(cs, a);
		if (p)
			push_answered(p, m);
		else
			cs->dropped++;
		return;
	case GATE_REQUEST:
		p = proven_peer(cs, a, m);
		if (p) {
			p->addr = *a;
			request_handle(p, m);
		} else {
			stranger(cs, a, m, d.n);
		}
	}
}

struct coap_peer *plain_call(struct coap_server *cs, const struct udp_addr *a, uint16_t *why)
{
	uint8_t sockets[COAP_LISTEN_MAX];
	unsigned n = udp_routes(cs->udp, a, sockets);
	struct udp_addr at = *a;
	struct coap_peer *p;

	for (unsigned i = 0; i < n; i++) {
		at.socket = sockets[i];
		p = peer_find(cs, &at);
		if (p)
			return p;
	}
	if (n == 0)
		return NULL;
	at.socket = sockets[0];
	p = peer_add_plain(cs, &at, 0); /* not proven: what it asks is another matter */
	if (!p)
		*why = 503;
	return p;
}

int plain_new(struct coap_server *cs, struct err *e)
{
	struct udp_options o = {
		.listen = cs->o.udp, .n = cs->o.n_udp, .take = datagram, .ctx = cs
	};

	random_bytes(&cs->stranger_mid, sizeof(cs->stranger_mid));
	return udp_new(&o, &cs->udp, e);
}
