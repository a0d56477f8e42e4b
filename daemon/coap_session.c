/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_dtls.h"

#include <stdlib.h>
#include <string.h>

/* A DTLS session: CoAP messages out of its records and into them. */

#define SOME_PORT 5684 /* reflectors do not shake hands */
#define RETRY_FULL_S 30

/* ---- out ---- */

void dtls_send_bytes(struct dtls_session *s, struct slice message)
{
	if (s->open && !s->over)
		(void)tls_write(s->end, message); /* what is lost is asked for again */
}

void dtls_send(struct dtls_session *s, const struct wire_out *o)
{
	uint8_t *b = s->d->bytes;

	if (o->failed || wire_size(o) > TLS_MESSAGE_MAX)
		return;
	memcpy(b, o->head, o->n);
	if (o->payload.n)
		memcpy(b + o->n, o->payload.p, o->payload.n);
	dtls_send_bytes(s, slice_of(b, wire_size(o)));
}

/* ---- in ---- */

static bool evidence_of(const struct dtls_session *s, struct evidence *ev)
{
	/* whom we call is who he is to be: nothing goes either way before he proved it */
	const char *identity = s->calling ? tls_called_as(s->end) : tls_identity(s->end);
	size_t n = identity ? strlen(identity) : 0;

	*ev = (struct evidence){ .kind = EVIDENCE_PSK,
				 .transport = TRANSPORT_COAPS,
				 .resumed = tls_resumed(s->end),
				 .port = s->addr.port };
	if (n == 0 || n > IDENTITY_MAX)
		return false;
	memcpy(ev->identity, identity, n);
	memcpy(ev->ip, s->addr.ip, sizeof(ev->ip));
	return true;
}

struct coap_peer *session_peer(struct dtls_session *s)
{
	struct evidence ev;

	if (!s->peer && evidence_of(s, &ev))
		s->peer = peer_add_dtls(s->d->cs, s, &ev);
	return s->peer;
}

static void answer_alone(struct dtls_session *s, enum wire_type t, uint8_t code,
			 const struct wire_msg *m)
{
	struct wire_out *o = &s->d->cs->out;

	if (code == 0)
		wire_begin(o, t, 0, m->mid, NULL, 0);
	else
		wire_begin(o, t, code, t == WIRE_ACK ? m->mid : s->mid++, m->token, m->tkl);
	if (code != 0)
		wire_put_uint(o, WIRE_MAX_AGE, RETRY_FULL_S);
	wire_end(o, slice_of(NULL, 0));
	dtls_send(s, o);
}

static void message(struct dtls_session *s, struct slice bytes)
{
	struct coap_server *cs = s->d->cs;
	struct wire_msg *m = &cs->msg;
	struct coap_peer *p;

	switch (gate_judge(m, bytes, SOME_PORT)) {
	case GATE_DROP:
		cs->dropped++;
		return;
	case GATE_PING:
		answer_alone(s, WIRE_RST, 0, m);
		return;
	case GATE_SETTLED:
		if (s->peer)
			confirmable_settle(s->peer, m->mid, m->type == WIRE_ACK);
		return;
	case GATE_RESPONSE:
		if (s->peer)
			push_answered(s->peer, m);
		else
			cs->dropped++;
		return;
	case GATE_REQUEST:
		p = session_peer(s);
		if (p)
			request_handle(p, m);
		else /* no room for one more */
			answer_alone(s, m->type == WIRE_CON ? WIRE_ACK : WIRE_NON, WIRE_CODE(5, 3),
				     m);
	}
}

static void read_all(struct dtls_session *s)
{
	uint8_t bytes[TLS_MESSAGE_MAX];
	int n;

	do {
		n = tls_read(s->end, bytes);
		if (n < 0)
			dtls_session_end(s, true);
		if (n <= 0)
			return;
		link_del(&s->age);
		link_add(&s->d->open, &s->age);
		s->touched = s->d->cs->now;
		message(s, slice_of(bytes, (size_t)n));
	} while (!s->over && tls_more(s->end));
}

static void shake(struct dtls_session *s)
{
	int rc = tls_shake(s->end);

	if (rc > 0)
		dtls_session_opened(s);
	else if (rc < 0)
		dtls_session_end(s, false);
}

void session_shake(struct dtls_session *s)
{
	session_datagram(s, slice_of(NULL, 0));
}

void session_datagram(struct dtls_session *s, struct slice datagram)
{
	s->entered = true;
	tls_feed(s->end, datagram);
	if (!s->open)
		shake(s);
	if (s->open)
		read_all(s);
	s->entered = false;
	if (s->over)
		free(s);
	else
		tls_feed(s->end, slice_of(NULL, 0));
}
