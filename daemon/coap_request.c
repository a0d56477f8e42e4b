/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <string.h>

bool method_of(uint8_t code, enum method *out)
{
	/* RFC 7252 12.1.1, RFC 8132; FETCH is not spoken */
	static const struct {
		uint8_t code;
		enum method method;
	} codes[] = {
		{ 1, METHOD_GET },    { 2, METHOD_POST },  { 3, METHOD_PUT },
		{ 4, METHOD_DELETE }, { 6, METHOD_PATCH }, { 7, METHOD_PATCH },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code) {
			*out = codes[i].method;
			return true;
		}
	return false;
}

enum media media_of(const struct coap_server *cs, int32_t number)
{
	if (number < 0)
		return MEDIA_NONE;
	if ((unsigned)number == cs->o.envelope_number && number != MEDIA_CBOR)
		return MEDIA_SUIT_ENVELOPE;
	return media_from_coap((unsigned)number);
}

void request_from_msg(const struct coap_server *cs, const struct wire_msg *m, struct request *rq)
{
	memset(rq, 0, sizeof(*rq));
	rq->content_format = media_of(cs, m->content_format);
	rq->accept = media_of(cs, m->accept);
	rq->want_body = true;
	rq->path = slice_of(m->path, m->path_n);
	rq->query = slice_of(m->query, m->query_n);
	rq->host = m->host;
	rq->body = m->payload;
	memcpy(rq->if_match, m->if_match, sizeof(rq->if_match));
	memcpy(rq->if_none_match, m->etags, sizeof(rq->if_none_match));
	rq->n_if_match = m->n_if_match;
	rq->n_if_none_match = m->n_etags;
	rq->if_match_any = m->if_match_any;
}

/* An answer that leaves nothing behind. */
static struct wire_out *answer_begin(struct coap_peer *p, const struct wire_msg *m, uint8_t code)
{
	struct wire_out *o = &p->cs->out;
	bool con = m->type == WIRE_CON;

	wire_begin(o, con ? WIRE_ACK : WIRE_NON, code, con ? m->mid : peer_mid(p), m->token,
		   m->tkl);
	return o;
}

static void refuse(struct coap_peer *p, const struct wire_msg *m, uint8_t code, int32_t retry_s)
{
	struct wire_out *o = answer_begin(p, m, code);

	if (retry_s >= 0)
		wire_put_uint(o, WIRE_MAX_AGE, (uint32_t)retry_s);
	wire_end(o, slice_of(NULL, 0));
	peer_send(p, o, false);
}

/* ---- image blocks: no question to the core, no allocation, no state ---- */

static bool plain_get(const struct wire_msg *m)
{
	return m->query_n == 0 && !m->observe_set && m->n_if_match == 0 && !m->if_match_any &&
	       m->no_response == 0;
}

static bool tag_known(const struct wire_msg *m, const struct etag *full)
{
	for (unsigned i = 0; i < m->n_etags; i++)
		if (etag_matches(&m->etags[i], full))
			return true;
	return false;
}

static bool serve_granted(struct coap_peer *p, const struct wire_msg *m)
{
	struct coap_server *cs = p->cs;
	struct content c = { .max_age = -1, .block2 = &m->block2 };
	struct front_grant g;
	struct wire_out *o;

	if (!plain_get(m) ||
	    !front_granted(cs->front, p->session, slice_of(m->path, m->path_n), &g))
		return false;
	c.format = content_format_of(cs, g.media);
	if (m->accept >= 0 && m->accept != c.format)
		return false; /* the core says what it thinks of that */
	c.etag.n = 8;
	memcpy(c.etag.b, g.object->digest.b, 8);
	c.max_age = g.max_age;
	if (tag_known(m, &c.etag)) {
		c.format = -1;
		c.block2 = NULL;
		o = answer_begin(p, m, WIRE_CODE(2, 3));
	} else {
		c.bytes = slice_of(g.object->map, (size_t)g.object->size);
		o = answer_begin(p, m, WIRE_CODE(2, 5));
	}
	if (content_write(o, &c))
		peer_send(p, o, true);
	else
		refuse(p, m, WIRE_CODE(4, 0), -1);
	return true;
}

/* ---- the other blocks of an answer ---- */

static bool serve_kept(struct coap_peer *p, const struct wire_msg *m)
{
	struct content c;

	if (m->observe_set || m->n_if_match || m->if_match_any || m->n_etags || m->no_response ||
	    !kept_find(p, m, &c))
		return false;
	if (content_write(answer_begin(p, m, WIRE_CODE(2, 5)), &c))
		peer_send(p, &p->cs->out, false);
	else
		refuse(p, m, WIRE_CODE(4, 0), -1);
	return true;
}

/* ---- everything else ---- */

static void submit(struct exchange *x, const struct wire_msg *m, struct slice body)
{
	struct coap_peer *p = x->peer;
	struct request rq;

	request_from_msg(p->cs, m, &rq);
	rq.session = p->session;
	rq.method = x->method;
	rq.body = body;
	/* a block further on is of an answer that the peer has (RFC 7959 3.4) */
	if (m->observe_set && m->observe == 0 && x->method == METHOD_GET && m->block2.num == 0)
		x->observer = observer_new(p, m);
	rq.observe = x->observer != NULL;
	if (front_submit(p->cs->front, &rq, reply_from_core, x) < 0) {
		p->cs->busy++;
		exchange_fail(x, WIRE_CODE(5, 3), RETRY_BUSY_S);
		return;
	}
	x->request = rq.id;
}

static bool takes_blocks(enum method m)
{
	return m == METHOD_PUT || m == METHOD_POST || m == METHOD_PATCH;
}

static void deregister(struct coap_peer *p, const struct wire_msg *m)
{
	struct observer *o;

	if (!m->observe_set || m->observe != 1)
		return;
	o = observer_find(p, m->token, m->tkl);
	if (o)
		observer_free(o);
}

void request_handle(struct coap_peer *p, const struct wire_msg *m)
{
	struct slice body = m->payload;
	enum method method;
	struct exchange *x;

	p->deaf = false;
	if (m->fault != WIRE_FINE) {
		refuse(p, m, (uint8_t)m->fault, -1);
		return;
	}
	if (!method_of(m->code, &method)) {
		refuse(p, m, WIRE_CODE(4, 5), -1);
		return;
	}
	if (method == METHOD_GET && (serve_granted(p, m) || serve_kept(p, m)))
		return;
	x = exchange_find(p, m->mid);
	if (x) {
		exchange_repeat(x, m);
		return;
	}
	/* nobody counts on a NON: it is the first to wait when many ask */
	x = m->type == WIRE_NON && front_crowded(p->cs->front) ? NULL : exchange_new(p, m, method);
	if (!x) {
		p->cs->busy++;
		refuse(p, m, WIRE_CODE(5, 3), RETRY_BUSY_S);
		return;
	}
	deregister(p, m);
	if (m->block1.set && takes_blocks(method) && body_block(x, m, &body) == 0)
		return;
	submit(x, m, body);
	if (m->block1.set && p->body)
		body_free(p->cs, p->body);
}
