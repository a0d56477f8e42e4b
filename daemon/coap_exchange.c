/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * A request and its answer (RFC 7252 4.2, 4.5, 5.2). A retransmission of what the
 * core still thinks about is dropped; of what was answered it gets the same bytes.
 * GETs are forgotten with their answer: asking again does no harm.
 */
struct exchange *exchange_find(struct coap_peer *p, uint16_t mid)
{
	struct exchange *x = p->exchanges;

	while (x && x->mid != mid)
		x = x->next;
	return x;
}

static bool same_request(const struct exchange *x, const struct wire_msg *m)
{
	enum method method;

	return method_of(m->code, &method) && method == x->method && x->tkl == m->tkl &&
	       memcmp(x->token, m->token, m->tkl) == 0;
}

void exchange_free(struct exchange *x)
{
	struct coap_peer *p = x->peer;

	if (x->request)
		front_cancel(p->cs->front, x->request);
	if (x->pending)
		p->n_pending--;
	else
		p->n_answered--;
	if (x->observer)
		observer_free(x->observer);
	*x->at = x->next;
	if (x->next)
		x->next->at = x->at;
	link_del(&x->all);
	p->cs->n_exchanges--;
	free(x->answer);
	free(x);
}

static bool make_room(struct coap_server *cs)
{
	if (cs->n_exchanges < EXCHANGES_MAX)
		return true;
	if (link_empty(&cs->answered))
		return false;
	exchange_free(LINK_OF(cs->answered.next, struct exchange, all));
	return true;
}

struct exchange *exchange_new(struct coap_peer *p, const struct wire_msg *m, enum method method)
{
	struct exchange *x;

	if (p->n_pending >= PENDING_A_PEER || !make_room(p->cs))
		return NULL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->peer = p;
	x->type = m->type;
	x->mid = m->mid;
	x->tkl = m->tkl;
	memcpy(x->token, m->token, m->tkl);
	x->no_response = m->no_response;
	x->method = method;
	x->what = method == METHOD_GET ? kept_what(p->cs, m) : 0;
	x->block1 = m->block1;
	x->block2 = m->block2;
	x->pending = true;
	x->since = p->cs->now;
	x->next = p->exchanges;
	x->at = &p->exchanges;
	if (x->next)
		x->next->at = &x->next;
	p->exchanges = x;
	p->n_pending++;
	p->cs->n_exchanges++;
	link_add(&p->cs->pending, &x->all);
	return x;
}

/* A mid that came before: a retransmission, or a sender that starts its numbers over. */
void exchange_repeat(struct exchange *x, const struct wire_msg *m)
{
	struct coap_peer *p = x->peer;

	if (!same_request(x, m)) {
		exchange_free(x);
		request_handle(p, m);
		return;
	}
	if (x->pending || !x->answer)
		return;
	if (x->type == WIRE_CON && x->acked) {
		peer_send_empty(p, WIRE_ACK, x->mid);
		return;
	}
	peer_send_bytes(p, slice_of(x->answer, x->answer_n));
}

struct wire_out *exchange_begin(struct exchange *x, uint8_t code)
{
	struct wire_out *o = &x->peer->cs->out;

	if (x->type == WIRE_NON)
		wire_begin(o, WIRE_NON, code, peer_mid(x->peer), x->token, x->tkl);
	else if (!x->acked)
		wire_begin(o, WIRE_ACK, code, x->mid, x->token, x->tkl);
	else
		wire_begin(o, WIRE_CON, code, peer_mid(x->peer), x->token, x->tkl);
	return o;
}

static void keep_oldest_out(struct coap_peer *p)
{
	struct exchange *oldest = NULL;

	if (p->n_answered <= ANSWERED_A_PEER)
		return;
	for (struct exchange *x = p->exchanges; x; x = x->next)
		if (!x->pending)
			oldest = x; /* the newest stand first */
	if (oldest)
		exchange_free(oldest);
}

/* Answered: remember the bytes for a while, or forget it at once. */
static void settle(struct exchange *x, const struct wire_out *o)
{
	struct coap_peer *p = x->peer;
	size_t n = wire_size(o);

	x->request = 0;
	if (x->method == METHOD_GET || n > WIRE_HEAD_MAX || !(x->answer = malloc(n))) {
		exchange_free(x);
		return;
	}
	memcpy(x->answer, o->head, o->n);
	if (o->payload.n)
		memcpy(x->answer + o->n, o->payload.p, o->payload.n);
	x->answer_n = n;
	x->pending = false;
	p->n_pending--;
	p->n_answered++;
	x->since = p->cs->now;
	link_del(&x->all);
	link_add(&p->cs->answered, &x->all);
	keep_oldest_out(p);
}

/* RFC 7967: classes the asker does not want to hear of. */
static bool unwanted(const struct exchange *x, uint8_t code)
{
	unsigned class = WIRE_CLASS(code);

	return class >= 2 && class <= 5 && (x->no_response & (1u << (class - 1)));
}

void exchange_send(struct exchange *x)
{
	struct coap_peer *p = x->peer;
	struct wire_out *o = &p->cs->out;

	if (o->failed) { /* options that do not fit: an answer is owed all the same */
		wire_end(exchange_begin(x, WIRE_CODE(5, 0)), slice_of(NULL, 0));
	}
	if (unwanted(x, o->head[1])) {
		if (x->type == WIRE_NON || x->acked) {
			exchange_free(x);
			return;
		}
		wire_begin(o, WIRE_ACK, 0, x->mid, NULL, 0);
		wire_end(o, slice_of(NULL, 0));
	}
	peer_send(p, o, false);
	if (x->type == WIRE_CON && x->acked)
		(void)confirmable_add(p, o, (uint16_t)(o->head[2] << 8 | o->head[3]), FOR_ANSWER);
	settle(x, o);
}

void exchange_fail(struct exchange *x, uint8_t code, int32_t retry_s)
{
	struct wire_out *o = exchange_begin(x, code);

	if (retry_s >= 0)
		wire_put_uint(o, WIRE_MAX_AGE, (uint32_t)retry_s);
	if (x->block1.set)
		wire_put_block(o, WIRE_BLOCK1, &x->block1);
	wire_end(o, slice_of(NULL, 0));
	exchange_send(x);
}

void exchanges_tick(struct coap_server *cs)
{
	struct link *next;

	for (struct link *l = cs->pending.next; l != &cs->pending; l = next) {
		struct exchange *x = LINK_OF(l, struct exchange, all);

		next = l->next;
		if (cs->now - x->since < SEPARATE_AFTER_MS)
			break;
		if (x->type == WIRE_CON && !x->acked) {
			peer_send_empty(x->peer, WIRE_ACK, x->mid);
			x->acked = true;
		}
	}
	while (!link_empty(&cs->answered)) {
		struct exchange *x = LINK_OF(cs->answered.next, struct exchange, all);

		if (cs->now - x->since < EXCHANGE_LIFETIME_MS)
			break;
		exchange_free(x);
	}
}
