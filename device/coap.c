/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/coap_serve.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "device/minicoap.h"
#include "device/carrier.h"

/*
 * libcoap as a client. Its own block-wise layer stays off: images are fetched block
 * by block as the agent asks, other answers are put together here.
 */
#define ATTEMPTS_MAX 3 /* of one block: an Echo, and one for luck */
#define STEP_MS 1000
#define BLOCK_SIZE 1024u

struct coap {
	struct carrier_options o;
	coap_context_t *context;
	coap_session_t *session;
	uint8_t token[MC_TOKEN_MAX];
	uint8_t watch[MC_TOKEN_MAX]; /* of the observation */
	bool watching, notified;
	bool waiting, answered, lost, dead;
	struct coap_serve serve;
	const char *trouble;
	struct mc_in in; /* the answer; payload in the request's buffer */
	uint8_t echo[40];
	struct buf *to;
};

static void take_options(struct coap *c, const coap_pdu_t *pdu)
{
	struct mc_in *in = &c->in;
	const uint8_t *p;
	uint32_t v;
	size_t n;

	in->max_age = pdu_number(pdu, COAP_OPTION_MAXAGE, &v) ? (int32_t)(v & 0x7fffffff) : -1;
	in->observe = pdu_number(pdu, COAP_OPTION_OBSERVE, &in->observe_value);
	in->has_size2 = pdu_number(pdu, COAP_OPTION_SIZE2, &in->size2);
	in->has_block2 = pdu_number(pdu, COAP_OPTION_BLOCK2, &v);
	in->num = v >> 4;
	in->more = v & 8;
	in->szx = v & 7;
	p = pdu_option(pdu, COAP_OPTION_ETAG, &n);
	if (p && n <= 8) {
		in->etag.n = (uint8_t)n;
		memcpy(in->etag.b, p, n);
	}
	p = pdu_option(pdu, 252, &n);
	if (p && n > 0 && n <= sizeof(c->echo)) {
		memcpy(c->echo, p, n);
		in->echo = slice_of(c->echo, n);
	}
}

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
				   const coap_pdu_t *received, const coap_mid_t mid)
{
	struct coap *c = coap_session_get_app_data(session);
	coap_bin_const_t token = coap_pdu_get_token(received);
	const uint8_t *p;
	size_t n;

	(void)sent;
	(void)mid;
	if (token.length != MC_TOKEN_MAX)
		return COAP_RESPONSE_FAIL;
	if (!c->waiting || memcmp(token.s, c->token, MC_TOKEN_MAX) != 0) {
		if (!c->watching || memcmp(token.s, c->watch, MC_TOKEN_MAX) != 0)
			return COAP_RESPONSE_FAIL;
		c->notified = true;
		return COAP_RESPONSE_OK;
	}
	memset(&c->in, 0, sizeof(c->in));
	c->in.code = (uint8_t)coap_pdu_get_code(received);
	take_options(c, received);
	if (coap_get_data(received, &n, &p))
		buf_add(c->to, p, n);
	c->in.payload = slice_of(p, n);
	c->answered = true;
	return COAP_RESPONSE_OK;
}

static void on_nack(coap_session_t *session, const coap_pdu_t *sent, const coap_nack_reason_t why,
		    const coap_mid_t mid)
{
	struct coap *c = coap_session_get_app_data(session);

	(void)sent;
	(void)mid;
	if (!c)
		return;
	c->lost = true;
	c->trouble = "it does not answer";
	if (why == COAP_NACK_RST)
		c->trouble = "it resets the exchange";
	else if (why == COAP_NACK_ICMP_ISSUE)
		c->trouble = "nothing listens there";
	else if (why == COAP_NACK_TLS_FAILED)
		c->trouble = "the DTLS handshake fails";
	c->dead = c->dead || why == COAP_NACK_TLS_FAILED || why == COAP_NACK_NOT_DELIVERABLE;
}

static int on_event(coap_session_t *session, const coap_event_t event)
{
	struct coap *c = coap_session_get_app_data(session);

	if (c && (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_DTLS_ERROR)) {
		c->dead = c->lost = true;
		c->trouble = event == COAP_EVENT_DTLS_ERROR ? "the DTLS handshake fails"
							    : "it closed the DTLS session";
	}
	return 0;
}

/* libcoap's own words stay with it: what matters comes back as trouble. */
static void quiet(coap_log_t level, const char *message)
{
	(void)level;
	(void)message;
}

static int resolve(const struct target *t, coap_address_t *to, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list;
	char port[8];
	int rc;

	text_format(port, sizeof(port), "%u", t->port);
	rc = getaddrinfo(t->host, port, &hints, &list);
	if (rc != 0)
		return err_set(e, ERR_BUSY, "%s: %s", t->host, gai_strerror(rc));
	coap_address_init(to);
	to->size = list->ai_addrlen;
	memcpy(&to->addr, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	return 0;
}

static int connect_session(struct coap *c, struct err *e)
{
	bool dtls = strcmp(c->o.server.scheme, "coaps") == 0;
	coap_dtls_cpsk_t psk = { .version = COAP_DTLS_CPSK_SETUP_VERSION };
	coap_address_t to;

	if (c->session)
		coap_session_release(c->session);
	c->session = NULL;
	c->dead = c->watching = false;
	if (resolve(&c->o.server, &to, e) != 0)
		return -1;
	c->serve.server = to;
	psk.client_sni = c->o.server.host;
	psk.psk_info.identity.s = (const uint8_t *)c->o.identity;
	psk.psk_info.identity.length = strlen(c->o.identity);
	psk.psk_info.key.s = c->o.psk;
	psk.psk_info.key.length = c->o.psk_n;
	c->session =
		dtls ? coap_new_client_session_psk2(c->context, NULL, &to, COAP_PROTO_DTLS, &psk)
		     : coap_new_client_session(c->context, NULL, &to, COAP_PROTO_UDP);
	if (!c->session)
		return err_set(e, ERR_BUSY, "no CoAP session with %s", c->o.server.host);
	coap_session_set_app_data(c->session, c);
	return 0;
}

static void coap_close(struct carrier *t)
{
	struct coap *c = (struct coap *)t;

	if (!c)
		return;
	if (c->session)
		coap_session_release(c->session);
	if (c->context)
		coap_free_context(c->context);
	explicit_bzero(&c->o, sizeof(c->o));
	free(c);
}

static int coap_open(const struct carrier_options *o, struct carrier **out, struct err *e)
{
	struct coap *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, ERR_NO_MEMORY, "CoAP client");
	coap_startup();
	coap_set_log_handler(quiet);
	coap_dtls_set_log_level(LOG_EMERG);
	c->o = *o;
	c->context = coap_new_context(NULL);
	if (!c->context) {
		coap_close((struct carrier *)c);
		return err_set(e, ERR_NO_MEMORY, "libcoap");
	}
	coap_context_set_block_mode(c->context, 0);
	coap_register_response_handler(c->context, on_response);
	coap_register_nack_handler(c->context, on_nack);
	coap_register_event_handler(c->context, on_event);
	*out = (struct carrier *)c;
	if (!c->o.called)
		return 0;
	if (resolve(&c->o.server, &c->serve.server, e) == 0 &&
	    coap_serve(&c->serve, c->context, &c->o, e) == 0)
		return 0;
	coap_close((struct carrier *)c);
	*out = NULL;
	return -1;
}

static bool add(coap_pdu_t *pdu, coap_option_num_t n, const void *p, size_t len)
{
	return coap_add_option(pdu, n, len, p) > 0;
}

static bool add_number(coap_pdu_t *pdu, coap_option_num_t n, uint32_t v)
{
	uint8_t b[4];

	return add(pdu, n, b, coap_encode_var_safe(b, sizeof(b), v));
}

static bool add_path(coap_pdu_t *pdu, const char *path)
{
	bool ok = true;

	while (*path == '/' && path[1]) {
		size_t n = strcspn(++path, "/");

		ok = ok && n <= 255 && add(pdu, COAP_OPTION_URI_PATH, path, n);
		path += n;
	}
	return ok;
}

static bool write_pdu(coap_pdu_t *pdu, const struct mc_out *m)
{
	bool ok = true;

	if (m->etag.n > 0)
		ok = add(pdu, COAP_OPTION_ETAG, m->etag.b, m->etag.n > 8 ? 8 : m->etag.n);
	if (m->observe >= 0)
		ok = ok && add_number(pdu, COAP_OPTION_OBSERVE, (uint32_t)m->observe);
	ok = ok && add_path(pdu, m->path);
	if (m->format >= 0)
		ok = ok && add_number(pdu, COAP_OPTION_CONTENT_FORMAT, (uint32_t)m->format);
	if (m->accept >= 0)
		ok = ok && add_number(pdu, COAP_OPTION_ACCEPT, (uint32_t)m->accept);
	if (m->block2)
		ok = ok && add_number(pdu, COAP_OPTION_BLOCK2, m->num << 4 | m->szx);
	if (m->block1)
		ok = ok && add_number(pdu, COAP_OPTION_BLOCK1,
				      m->num1 << 4 | (m->block1_more ? 8u : 0u) | m->szx1);
	if (m->echo.n > 0)
		ok = ok && add(pdu, 252, m->echo.p, m->echo.n);
	if (m->payload.n > 0)
		ok = ok && coap_add_data(pdu, m->payload.n, m->payload.p);
	return ok;
}

static int send_pdu(struct coap *c, const struct mc_out *m, struct err *e)
{
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, (coap_pdu_code_t)m->code,
					coap_new_message_id(c->session),
					coap_session_max_pdu_size(c->session));
	size_t n;

	if (!pdu)
		return err_set(e, ERR_NO_MEMORY, "CoAP message");
	coap_session_new_token(c->session, &n, c->token);
	/* always the whole width: libcoap begins with short ones */
	random_bytes(c->token, sizeof(c->token));
	if (!coap_add_token(pdu, sizeof(c->token), c->token) || !write_pdu(pdu, m)) {
		coap_delete_pdu(pdu);
		return err_set(e, ERR_TOO_LARGE, "the request does not fit into one message");
	}
	c->answered = c->lost = false;
	if (coap_send(c->session, pdu) == COAP_INVALID_MID) {
		c->lost = true;
		c->trouble = c->trouble ? c->trouble : "it cannot be sent to";
	}
	return 0;
}

/* One message and its answer. *got false: none came, and e says why. */
static int exchange(struct coap *c, const struct mc_out *m, bool *got, struct err *e)
{
	int64_t until = clock_mono_ms() + c->o.exchange_ms, left;

	c->trouble = NULL;
	if ((!c->session || c->dead) && connect_session(c, e) != 0) {
		*got = false;
		return 0;
	}
	c->waiting = true;
	if (send_pdu(c, m, e) != 0)
		return -1;
	while (!c->answered && !c->lost && (left = until - clock_mono_ms()) > 0)
		if (coap_io_process(c->context, (uint32_t)(left < STEP_MS ? left : STEP_MS)) < 0)
			break;
	c->waiting = false;
	*got = c->answered;
	if (!c->answered)
		err_set(e, ERR_BUSY, "%s:%u: %s", c->o.server.host, c->o.server.port,
			c->trouble ? c->trouble : "it does not answer");
	return 0;
}

/* The same until an Echo is satisfied. */
static int exchange_echo(struct coap *c, struct mc_out *m, bool *got, struct err *e)
{
	size_t from = c->to->n;

	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		c->to->n = from;
		if (exchange(c, m, got, e) != 0)
			return -1;
		if (!*got || c->in.code != COAP_RESPONSE_CODE(401) || c->in.echo.n == 0)
			break;
		m->echo = c->in.echo;
	}
	return 0;
}

/* The blocks behind the first of an answer that is no image. */
static int rest_of(struct coap *c, struct mc_out *m, bool *got, struct err *e)
{
	struct etag etag = c->in.etag;

	m->observe = -1;
	while (*got && c->in.has_block2 && c->in.more && c->in.code == COAP_RESPONSE_CODE(205)) {
		m->block2 = true;
		m->szx = c->in.szx;
		m->num = c->in.num + 1;
		m->etag.n = 0;
		if (exchange_echo(c, m, got, e) != 0)
			return -1;
		if (*got && (c->in.num != m->num || memcmp(&etag, &c->in.etag, sizeof(etag)) != 0))
			return err_set(e, ERR_BUSY, "the answer changed while it was read");
		/* else it could go on for ever */
		if (*got && c->in.payload.n == 0)
			return err_set(e, ERR_MALFORMED, "an empty block came");
		if (c->to->failed)
			return err_set(e, ERR_TOO_LARGE, "the answer is too large");
	}
	return 0;
}

/* A body of more than one block (Block1): the answer to the last counts. */
static int send_blocks(struct coap *c, struct mc_out *m, bool *got, struct err *e)
{
	struct slice body = m->payload;

	m->block1 = body.n > BLOCK_SIZE;
	m->szx1 = mc_szx(BLOCK_SIZE);
	for (size_t at = 0;; at += BLOCK_SIZE) {
		size_t left = body.n - at, n = left > BLOCK_SIZE ? BLOCK_SIZE : left;

		m->num1 = (uint32_t)(at / BLOCK_SIZE);
		m->block1_more = left > n;
		m->payload = slice_of(body.p ? body.p + at : NULL, n);
		if (exchange_echo(c, m, got, e) != 0)
			return -1;
		if (!*got || !m->block1_more || c->in.code != COAP_RESPONSE_CODE(231))
			return 0;
		c->to->n = 0;
	}
}

static int coap_request(struct carrier *t, const struct agent_request *rq, struct slice body,
			struct buf *in, struct agent_reply *r, struct err *e)
{
	struct coap *c = (struct coap *)t;
	struct mc_out m;
	bool got = false;

	*r = (struct agent_reply){ .max_age = -1 };
	mc_from_agent(&m, rq, body);
	buf_reset(in);
	c->to = in;
	if (send_blocks(c, &m, &got, e) != 0)
		return -1;
	if (got && rq->observe && c->in.observe) {
		memcpy(c->watch, c->token, sizeof(c->watch));
		c->watching = true;
		c->notified = false;
	}
	if (got && !rq->piece && rest_of(c, &m, &got, e) != 0)
		got = false;
	if (!got)
		return 0;
	c->in.payload = buf_slice(in);
	if (!mc_to_agent(r, rq, &c->in)) {
		r->status = 0;
		err_set(e, ERR_BUSY, "another block than the one asked for came");
	}
	return 0;
}

static bool coap_wait(struct carrier *t, int64_t ms)
{
	struct coap *c = (struct coap *)t;
	int64_t until = clock_mono_ms() + ms, left;

	while (!c->notified && !c->serve.called && (left = until - clock_mono_ms()) > 0)
		if (coap_io_process(c->context, (uint32_t)(left < STEP_MS ? left : STEP_MS)) < 0)
			break;
	c->serve.called = false;
	if (!c->notified)
		return false;
	c->notified = false;
	return true;
}

static bool coap_watching(const struct carrier *t)
{
	const struct coap *c = (const struct coap *)t;

	return c->watching && !c->dead;
}

const struct carrier_ops carrier_coap = {
	.open = coap_open,
	.request = coap_request,
	.wait = coap_wait,
	.watching = coap_watching,
	.close = coap_close,
	.media = MEDIA_CBOR,
	.observes = true,
	.serves = true,
	.piece_max = 1024,
};
