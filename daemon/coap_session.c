/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_dtls.h"

#include <string.h>
#include <sys/epoll.h>

#include "daemon/coap_hello.h"

/* DTLS sessions: the library's requests to ours, our answers to its. */

/* ---- out ---- */

static bool fill(coap_pdu_t *pdu, const struct wire_out *o)
{
	struct wire_walk w = { .rest = slice_of(o->head + 4 + (o->head[0] & 15),
						o->n - 4u - (o->head[0] & 15)) };
	bool marked = o->payload.n && w.rest.n;
	struct slice value;
	int more;

	if (marked)
		w.rest.n--; /* the marker is the library's to write */
	while ((more = wire_next(&w, &value)) == 1)
		if (coap_add_option(pdu, (coap_option_num_t)w.number, value.n, value.p) == 0)
			return false;
	if (more < 0)
		return false;
	if (o->payload.n)
		return coap_add_data(pdu, o->payload.n, o->payload.p) == 1;
	return w.rest.n == 0 || coap_add_data(pdu, w.rest.n, w.rest.p) == 1;
}

static bool into_response(struct dtls *d, struct coap_peer *p, const struct wire_out *o)
{
	if (!d->response || d->asking != p->dtls || d->used || o->head[1] == 0)
		return false;
	if ((o->head[0] >> 4 & 3) == WIRE_ACK &&
	    coap_pdu_get_mid(d->response) != (o->head[2] << 8 | o->head[3]))
		return false;
	if (!fill(d->response, o))
		return false;
	coap_pdu_set_code(d->response, (coap_pdu_code_t)o->head[1]);
	d->used = true;
	return true;
}

void dtls_send(struct coap_peer *p, const struct wire_out *o)
{
	static const coap_pdu_type_t types[] = { COAP_MESSAGE_CON, COAP_MESSAGE_NON,
						 COAP_MESSAGE_ACK, COAP_MESSAGE_RST };
	size_t tkl = o->head[0] & 15;
	coap_pdu_t *pdu;

	if (o->failed || into_response(p->cs->dtls, p, o))
		return;
	pdu = coap_pdu_init(types[o->head[0] >> 4 & 3], (coap_pdu_code_t)o->head[1],
			    (coap_mid_t)(o->head[2] << 8 | o->head[3]), wire_size(o) + 64);
	if (!pdu)
		return;
	if ((tkl && coap_add_token(pdu, tkl, o->head + 4) == 0) || !fill(pdu, o)) {
		coap_delete_pdu(pdu);
		return;
	}
	(void)coap_send(p->dtls, pdu); /* takes pdu; what is lost is asked for again */
}

uint16_t dtls_mid(struct coap_peer *p)
{
	return coap_new_message_id(p->dtls);
}

void dtls_close(struct coap_peer *p)
{
	coap_session_t *s = p->dtls;

	p->dtls = NULL;
	coap_session_set_app_data(s, NULL);
	coap_session_disconnected(s, COAP_NACK_NOT_DELIVERABLE);
}

/* ---- in ---- */

static struct coap_peer *peer_of(struct dtls *d, coap_session_t *s)
{
	struct coap_peer *p = coap_session_get_app_data(s);
	struct evidence ev;

	if (p)
		return p;
	if (!dtls_evidence(s, &ev))
		return NULL;
	p = peer_add_dtls(d->cs, s, &ev);
	if (p)
		coap_session_set_app_data(s, p);
	return p;
}

static void take_request(struct wire_msg *m, const coap_pdu_t *pdu)
{
	coap_bin_const_t token = coap_pdu_get_token(pdu);
	coap_opt_iterator_t it;
	const uint8_t *data;
	coap_opt_t *opt;
	size_t n;

	wire_msg_init(m);
	m->type = coap_pdu_get_type(pdu) == COAP_MESSAGE_CON ? WIRE_CON : WIRE_NON;
	m->code = (uint8_t)coap_pdu_get_code(pdu);
	m->mid = (uint16_t)coap_pdu_get_mid(pdu);
	m->tkl = (uint8_t)(token.length <= WIRE_TOKEN_MAX ? token.length : 0);
	memcpy(m->token, token.s, m->tkl);
	coap_option_iterator_init(pdu, &it, COAP_OPT_ALL);
	while ((opt = coap_option_next(&it)))
		wire_msg_option(m, it.number, slice_of(coap_opt_value(opt), coap_opt_length(opt)));
	if (coap_get_data(pdu, &n, &data))
		m->payload = slice_of(data, n);
	wire_msg_end(m);
}

static void on_request(coap_resource_t *r, coap_session_t *s, const coap_pdu_t *request,
		       const coap_string_t *query, coap_pdu_t *response)
{
	struct dtls *d = coap_get_app_data(coap_session_get_context(s));
	struct coap_peer *p = peer_of(d, s);

	(void)r;
	(void)query;
	d->worked++;
	if (!p) {
		coap_pdu_set_code(response, COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE);
		return;
	}
	take_request(&d->cs->msg, request);
	d->response = response;
	d->asking = s;
	d->used = false;
	request_handle(p, &d->cs->msg);
	d->response = NULL;
	/* no code and NON: the library sends nothing; the answer comes after the commit */
	if (!d->used)
		coap_pdu_set_type(response, COAP_MESSAGE_NON);
}

static int on_event(coap_session_t *s, const coap_event_t event)
{
	struct dtls *d = coap_get_app_data(coap_session_get_context(s));
	struct coap_peer *p = coap_session_get_app_data(s);

	d->worked++;
	hello_gate_event(d->gate, s, event);
	if (p && (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_DTLS_ERROR ||
		  event == COAP_EVENT_SERVER_SESSION_DEL)) {
		coap_session_set_app_data(s, NULL);
		p->dtls = NULL; /* the library ends it itself */
		peer_end(p, true);
	}
	return 0;
}

static void on_nack(coap_session_t *s, const coap_pdu_t *sent, const coap_nack_reason_t reason,
		    const coap_mid_t mid)
{
	struct coap_peer *p = coap_session_get_app_data(s);

	(void)sent;
	(void)reason;
	if (p)
		observer_settled(p, (uint16_t)mid, false);
}

/*
 * The library reads one datagram an event and then walks over all sessions, so
 * each event of an endpoint is handed in several times: as often as the last turns
 * found work for. One too many costs a read that finds nothing.
 */
static unsigned replicate(struct dtls *d, const struct epoll_event *ev, int n,
			  struct epoll_event *out)
{
	unsigned m = 0;

	for (int i = 0; i < n; i++) {
		unsigned times = ev[i].data.ptr ? d->fold : 1;

		while (times-- > 0 && m < 2 * FOLD_MAX)
			out[m++] = ev[i];
	}
	return m;
}

void dtls_io(struct dtls *d)
{
	struct epoll_event ev[COAP_LISTEN_MAX + 1], all[2 * FOLD_MAX];
	int n = epoll_wait(d->epoll, ev, COAP_LISTEN_MAX + 1, 0);

	if (n <= 0)
		return;
	d->worked = 0;
	coap_io_do_epoll(d->ctx, all, replicate(d, ev, n, all));
	if (d->worked >= d->fold)
		d->fold = d->fold * 2 <= FOLD_MAX ? d->fold * 2 : FOLD_MAX;
	else if (d->worked < d->fold / 2)
		d->fold = d->worked > 0 ? d->worked : 1;
}

/* ---- handlers ---- */

static const coap_request_t methods[] = { COAP_REQUEST_GET,   COAP_REQUEST_POST,
					  COAP_REQUEST_PUT,   COAP_REQUEST_DELETE,
					  COAP_REQUEST_FETCH, COAP_REQUEST_PATCH,
					  COAP_REQUEST_IPATCH };

/* Every path is the core's to know; the library would answer this one by itself. */
int dtls_add_handlers(struct dtls *d)
{
	static const uint8_t core[] = ".well-known/core";
	static const coap_str_const_t path = { sizeof(core) - 1, core };
	coap_resource_t *r[2] = { coap_resource_unknown_init2(on_request, 0),
				  coap_resource_init((coap_str_const_t *)(uintptr_t)&path, 0) };

	coap_register_event_handler(d->ctx, on_event);
	coap_register_nack_handler(d->ctx, on_nack);
	for (unsigned i = 0; i < 2; i++) {
		if (!r[i])
			return -1;
		for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++)
			coap_register_handler(r[i], methods[m], on_request);
		coap_add_resource(d->ctx, r[i]);
	}
	return 0;
}
