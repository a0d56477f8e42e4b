/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <coap3/coap.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/crypto.h"

/*
 * The DTLS endpoint: libcoap over OpenSSL, for the sessions and what must be
 * confirmed; requests and answers are ours (coap_request.c and on). Block mode
 * stays 0: the library's reassembly falls to two small datagrams.
 */
#define FOLD_MAX 64u		/* datagrams a turn */
#define SESSION_TIMEOUT_S 3600	/* memory is bounded by the number of idle sessions, not by this */
#define KEY_TIMEOUT_MS 50
#define KEYS_SICK_MS 1000	/* after one that did not answer, nobody waits for so long */
#define KEY_SIZE_MAX 64
#define KEYS_QUEUE 65536
#define SOCKET_BUFFER (4 << 20)
#define LOG_BURST 10u
#define LOG_PERIOD_MS 10000

struct dtls {
	struct coap_server *cs;
	coap_context_t *ctx;
	int epoll;
	unsigned fold, worked;
	coap_pdu_t *response;		/* while its request is handled: the answer may go into it */
	coap_session_t *asking;
	bool used;			/* it did */
	struct channel *keys;
	uint32_t question;
	int64_t keys_sick_until;
	uint8_t dummy_secret[32];
	uint8_t key[KEY_SIZE_MAX];
	coap_bin_const_t answer;
};

/* ---- the library's log ---- */

static void library_log(coap_log_t level, const char *message)
{
	static int64_t since;	/* one library, one log, one thread */
	static unsigned lines;
	int64_t now = clock_mono_ms();
	char line[128];
	size_t n = strcspn(message, "\r\n");

	if (now - since > LOG_PERIOD_MS) {
		since = now;
		lines = 0;
	}
	if (lines++ >= LOG_BURST)
		return;
	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	memcpy(line, message, n);
	line[n] = '\0';
	/* a stray reset is an alert to it */
	(void)level;
	log_info("coaps: %s", log_safe(line));
}

/* ---- keys ---- */

/* A key that nobody knows, the same each time: an unknown identity looks like a wrong key. */
static void dummy_key(struct dtls *d, struct slice identity)
{
	struct digest mac;

	if (hmac_sha256(slice_of(d->dummy_secret, sizeof(d->dummy_secret)), identity, &mac) != 0)
		random_bytes(mac.b, sizeof(mac.b));
	memcpy(d->key, mac.b, 16);
	d->answer = (coap_bin_const_t){ .s = d->key, .length = 16 };
}

static bool take_answer(struct dtls *d, struct slice body)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	uint8_t found = rd_u8(&r);
	struct slice key = slice_of(r.p, (size_t)(r.end - r.p));

	if (r.failed || number != d->question || found > 1 || key.n == 0 || key.n > KEY_SIZE_MAX)
		return false;
	/* not found comes with a dummy of the keys process, which outlives this one */
	memcpy(d->key, key.p, key.n);
	d->answer = (coap_bin_const_t){ .s = d->key, .length = key.n };
	return true;
}

static bool ask_keys(struct dtls *d, struct slice identity)
{
	int64_t until = clock_mono_ms() + KEY_TIMEOUT_MS;
	struct err e = { 0 };
	enum frame_type t;
	struct slice body;
	struct buf *b;
	size_t mark;

	if (!d->keys || d->keys_sick_until > clock_mono_ms())
		return false;
	b = channel_out(d->keys);
	mark = ipc_begin(b, FRAME_KEY_ASK);
	ipc_put_u32(b, ++d->question);
	buf_add_slice(b, identity);
	ipc_end(b, mark);
	if (channel_write_all(d->keys, KEY_TIMEOUT_MS, &e) < 0)
		goto sick;
	/* late answers to earlier questions are passed over */
	for (int64_t left = KEY_TIMEOUT_MS; left > 0; left = until - clock_mono_ms()) {
		if (channel_read_frame(d->keys, (int)left, &t, &body, &e) < 0)
			goto sick;
		if (t == FRAME_KEY_ANSWER && take_answer(d, body))
			return true;
	}
sick:
	log_warn("coaps: no key: %s", e.text[0] ? e.text : "no answer in time");
	d->keys_sick_until = clock_mono_ms() + KEYS_SICK_MS;
	return false;
}

static const coap_bin_const_t *key_of(coap_bin_const_t *identity, coap_session_t *s, void *arg)
{
	struct dtls *d = arg;
	struct slice id = slice_of(identity->s, identity->length);

	(void)s;
	d->worked++;
	if (id.n == 0 || id.n > IDENTITY_MAX || memchr(id.p, 0, id.n) || !ask_keys(d, id))
		dummy_key(d, id);
	return &d->answer;
}

/* ---- who a session is ---- */

static void address_of(const coap_session_t *s, struct evidence *ev)
{
	const coap_address_t *a = coap_session_get_addr_remote(s);

	if (a && a->addr.sa.sa_family == AF_INET) {
		ev->ip[10] = ev->ip[11] = 0xff;
		memcpy(ev->ip + 12, &a->addr.sin.sin_addr, 4);
		ev->port = ntohs(a->addr.sin.sin_port);
	} else if (a && a->addr.sa.sa_family == AF_INET6) {
		memcpy(ev->ip, &a->addr.sin6.sin6_addr, 16);
		ev->port = ntohs(a->addr.sin6.sin6_port);
	}
}

/*
 * The identity is the TLS session's: OpenSSL keeps it inside the ticket, so a
 * resumed session has it too, where the library's own note of it is empty.
 */
static bool evidence_of(const coap_session_t *s, struct evidence *ev)
{
	coap_tls_library_t library = COAP_TLS_LIBRARY_NOTLS;
	SSL *ssl = coap_session_get_tls(s, &library);
	const char *identity;
	size_t n;

	memset(ev, 0, sizeof(*ev));
	if (!ssl || library != COAP_TLS_LIBRARY_OPENSSL || !SSL_is_init_finished(ssl))
		return false;
	identity = SSL_get_psk_identity(ssl);
	n = identity ? strlen(identity) : 0;
	if (n == 0 || n > IDENTITY_MAX)
		return false;
	ev->kind = EVIDENCE_PSK;
	ev->transport = TRANSPORT_COAPS;
	ev->resumed = SSL_session_reused(ssl);
	memcpy(ev->identity, identity, n);
	address_of(s, ev);
	return true;
}

/* ---- out ---- */

static bool fill(coap_pdu_t *pdu, const struct wire_out *o)
{
	struct wire_walk w = { .rest = slice_of(o->head + 4 + (o->head[0] & 15),
						o->n - 4u - (o->head[0] & 15)) };
	bool marked = o->payload.n && w.rest.n;
	struct slice value;
	int more;

	if (marked)
		w.rest.n--;	/* the marker is the library's to write */
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
	(void)coap_send(p->dtls, pdu);	/* takes pdu; what is lost is asked for again */
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
	if (!evidence_of(s, &ev))
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
	/* no code and NON: the library sends nothing, the answer comes when the core has committed */
	if (!d->used)
		coap_pdu_set_type(response, COAP_MESSAGE_NON);
}

static int on_event(coap_session_t *s, const coap_event_t event)
{
	struct dtls *d = coap_get_app_data(coap_session_get_context(s));
	struct coap_peer *p = coap_session_get_app_data(s);

	d->worked++;
	if (p && (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_DTLS_ERROR ||
		  event == COAP_EVENT_SERVER_SESSION_DEL)) {
		coap_session_set_app_data(s, NULL);
		p->dtls = NULL;		/* the library ends it itself */
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
static unsigned replicate(struct dtls *d, const struct epoll_event *ev, int n, struct epoll_event *out)
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

/* ---- setting up ---- */

/*
 * The library keeps its SSL_CTX to itself; OpenSSL tells of each that is made.
 * What is needed of it: no identity hint at all (an empty one costs small clients a
 * larger flight than they can take), and tickets instead of a cache.
 */
#define CONTEXTS_MAX 4
struct contexts {
	SSL_CTX *v[CONTEXTS_MAX];
	unsigned n;
	bool watching;
};

static void context_made(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct contexts *c = argp;

	(void)ptr;
	(void)ad;
	(void)index;
	(void)argl;
	if (c->watching && c->n < CONTEXTS_MAX)
		c->v[c->n++] = parent;
}

static struct contexts *contexts_watch(void)
{
	static struct contexts made;	/* OpenSSL never forgets whom to tell */
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, &made, context_made, NULL, NULL);
	made.n = 0;
	made.watching = true;
	return &made;
}

static void contexts_settle(struct contexts *c)
{
	static const unsigned char id[] = "fettle";

	c->watching = false;
	for (unsigned i = 0; i < c->n; i++) {
		SSL_CTX_use_psk_identity_hint(c->v[i], NULL);
		SSL_CTX_set_session_id_context(c->v[i], id, sizeof(id) - 1);
		SSL_CTX_set_session_cache_mode(c->v[i], SSL_SESS_CACHE_OFF);
		SSL_CTX_clear_options(c->v[i], SSL_OP_NO_TICKET);
	}
}

static const coap_request_t methods[] = { COAP_REQUEST_GET,   COAP_REQUEST_POST, COAP_REQUEST_PUT,
					  COAP_REQUEST_DELETE, COAP_REQUEST_FETCH,
					  COAP_REQUEST_PATCH, COAP_REQUEST_IPATCH };

/* Every path is the core's to know; the library would answer this one by itself. */
static int add_resources(struct dtls *d)
{
	static const uint8_t core[] = ".well-known/core";
	static const coap_str_const_t path = { sizeof(core) - 1, core };
	coap_resource_t *r[2] = { coap_resource_unknown_init2(on_request, 0),
				  coap_resource_init((coap_str_const_t *)(uintptr_t)&path, 0) };

	for (unsigned i = 0; i < 2; i++) {
		if (!r[i])
			return -1;
		for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++)
			coap_register_handler(r[i], methods[m], on_request);
		coap_add_resource(d->ctx, r[i]);
	}
	return 0;
}

/* The library has no say in the size of its socket's buffers: find the socket by its port. */
static void raise_buffers(uint16_t port)
{
	int size = SOCKET_BUFFER;

	for (int fd = 0; fd < 1024; fd++) {
		struct sockaddr_in6 a = { 0 };
		socklen_t n = sizeof(a);
		int type = 0;
		socklen_t t = sizeof(type);

		/* the port is at the same place in both families */
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &t) != 0 || type != SOCK_DGRAM ||
		    getsockname(fd, (struct sockaddr *)&a, &n) != 0 || ntohs(a.sin6_port) != port)
			continue;
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
}

static int add_endpoint(struct dtls *d, const struct listen_addr *l, struct err *e)
{
	coap_address_t a;

	coap_address_init(&a);
	if (l->v4) {
		a.size = sizeof(a.addr.sin);
		a.addr.sin.sin_family = AF_INET;
		a.addr.sin.sin_port = htons(l->port);
		memcpy(&a.addr.sin.sin_addr, l->ip + 12, 4);
	} else {
		a.size = sizeof(a.addr.sin6);
		a.addr.sin6.sin6_family = AF_INET6;
		a.addr.sin6.sin6_port = htons(l->port);
		memcpy(&a.addr.sin6.sin6_addr, l->ip, 16);
	}
	if (!coap_new_endpoint(d->ctx, &a, COAP_PROTO_DTLS))
		return err_set(e, ERR_IO, "coaps %s: %s", l->text, strerror(errno));
	raise_buffers(l->port);
	return 0;
}

static int set_keys(struct dtls *d)
{
	coap_dtls_spsk_t psk = { .version = COAP_DTLS_SPSK_SETUP_VERSION,
				 .validate_id_call_back = key_of,
				 .id_call_back_arg = d };

	/* never used, yet the library wants one: every identity is asked for */
	psk.psk_info.key = (coap_bin_const_t){ .s = d->dummy_secret, .length = 16 };
	return coap_context_set_psk2(d->ctx, &psk) == 1 ? 0 : -1;
}

static int start(struct dtls *d, struct err *e)
{
	const struct coap_options *o = &d->cs->o;
	struct contexts *made = contexts_watch();
	coap_tick_t now;

	d->ctx = coap_new_context(NULL);
	if (!d->ctx)
		return err_set(e, ERR_NO_MEMORY, "coaps: no context");
	coap_set_app_data(d->ctx, d);
	coap_context_set_block_mode(d->ctx, 0);
	coap_context_set_session_timeout(d->ctx, SESSION_TIMEOUT_S);
	coap_context_set_max_idle_sessions(d->ctx, o->dtls_sessions_max);
	coap_context_set_max_handshake_sessions(d->ctx, o->handshakes_max);
	coap_register_event_handler(d->ctx, on_event);
	coap_register_nack_handler(d->ctx, on_nack);
	if (set_keys(d) != 0 || add_resources(d) != 0)
		return err_set(e, ERR_INTERNAL, "coaps: the library refuses its settings");
	for (unsigned i = 0; i < o->n_dtls; i++)
		if (add_endpoint(d, &o->dtls[i], e) < 0)
			return -1;
	contexts_settle(made);
	d->epoll = coap_context_get_coap_fd(d->ctx);
	if (d->epoll < 0 || made->n == 0)
		return err_set(e, ERR_INTERNAL, "coaps: the library was built without epoll or DTLS");
	coap_ticks(&now);
	coap_io_prepare_epoll(d->ctx, now);
	return 0;
}

int dtls_new(struct coap_server *cs, struct err *e)
{
	struct dtls *d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(e, ERR_NO_MEMORY, "coaps");
	d->cs = cs;
	d->epoll = -1;
	d->fold = 1;
	cs->dtls = d;
	random_bytes(d->dummy_secret, sizeof(d->dummy_secret));
	if (cs->o.keys_fd >= 0 && channel_new(cs->o.keys_fd, KEYS_QUEUE, &d->keys, e) < 0)
		return -1;
	coap_startup();
	coap_set_log_handler(library_log);
	coap_set_log_level(LOG_ERR);
	return start(d, e);
}

void dtls_set_keys(struct dtls *d, int fd)
{
	struct err e = { 0 };

	channel_free(d->keys);
	d->keys = NULL;
	d->keys_sick_until = 0;
	if (channel_new(fd, KEYS_QUEUE, &d->keys, &e) < 0) {
		log_warn("coaps: %s", e.text);
		close(fd);
	}
}

void dtls_free(struct dtls *d)
{
	if (!d)
		return;
	if (d->ctx)
		coap_free_context(d->ctx);	/* tells of every session's end */
	channel_free(d->keys);
	random_bytes(d->key, sizeof(d->key));
	free(d);
}

int dtls_fds(const struct dtls *d, int *fds, int limit)
{
	if (limit < 1)
		return 0;
	fds[0] = d->epoll;
	return 1;
}
