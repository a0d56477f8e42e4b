/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_dtls.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/coap_hello.h"

/*
 * The DTLS endpoint: libcoap over OpenSSL, for the sessions and what must be
 * confirmed; requests and answers are ours (coap_request.c and on). Block mode
 * stays 0: the library's reassembly falls to two small datagrams.
 */
#define SESSION_TIMEOUT_S 3600 /* memory is bounded by the number of idle sessions, not by this */
#define SOCKET_BUFFER (4 << 20)
#define LOG_BURST 10u
#define LOG_PERIOD_MS 10000

/* ---- the library's log ---- */

static void library_log(coap_log_t level, const char *message)
{
	static int64_t since; /* one library, one log, one thread */
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
bool dtls_evidence(const coap_session_t *s, struct evidence *ev)
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

static void context_made(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
			 void *argp)
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
	static struct contexts made; /* OpenSSL never forgets whom to tell */
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, &made, context_made, NULL, NULL);
	made.n = 0;
	made.watching = true;
	return &made;
}

static int verify_cookie(SSL *ssl, const unsigned char *cookie, unsigned n)
{
	(void)ssl;
	return hello_cookie_right(slice_of(cookie, n));
}

static void contexts_settle(struct contexts *c)
{
	c->watching = false;
	for (unsigned i = 0; i < c->n; i++) {
		SSL_CTX_use_psk_identity_hint(c->v[i], NULL);
		SSL_CTX_set_session_cache_mode(c->v[i], SSL_SESS_CACHE_OFF);
		SSL_CTX_clear_options(c->v[i], SSL_OP_NO_TICKET);
		SSL_CTX_set_cookie_verify_cb(c->v[i], verify_cookie);
	}
}

/* The library keeps its socket to itself: find it by its port, for larger buffers and the gate. */
static void take_socket(struct dtls *d, uint16_t port)
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
		hello_gate_watch(d->gate, fd, port);
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
	take_socket(d, l->port);
	return 0;
}

static const coap_bin_const_t *key_of(coap_bin_const_t *identity, coap_session_t *s, void *arg)
{
	struct dtls *d = arg;
	struct slice key = coap_keys_of(d->keys, slice_of(identity->s, identity->length));

	(void)s;
	d->worked++;
	d->key = (coap_bin_const_t){ .s = key.p, .length = key.n };
	return &d->key;
}

static int set_keys(struct dtls *d)
{
	uint8_t random[16];
	coap_dtls_spsk_t psk = { .version = COAP_DTLS_SPSK_SETUP_VERSION,
				 .validate_id_call_back = key_of,
				 .id_call_back_arg = d };

	/* never used, yet the library wants one: every identity is asked for */
	random_bytes(random, sizeof(random));
	psk.psk_info.key = (coap_bin_const_t){ .s = random, .length = sizeof(random) };
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
	/* the gate holds the bound and makes room; the library would shut everyone out */
	coap_context_set_max_handshake_sessions(d->ctx, o->handshakes_max + 4 * FOLD_MAX);
	if (set_keys(d) != 0 || dtls_add_handlers(d) != 0)
		return err_set(e, ERR_INTERNAL, "coaps: the library refuses its settings");
	for (unsigned i = 0; i < o->n_dtls; i++)
		if (add_endpoint(d, &o->dtls[i], e) < 0)
			return -1;
	contexts_settle(made);
	d->epoll = coap_context_get_coap_fd(d->ctx);
	if (d->epoll < 0 || made->n == 0)
		return err_set(e, ERR_INTERNAL,
			       "coaps: the library was built without epoll or DTLS");
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
	if (coap_keys_new(cs->o.keys_fd, &d->keys, e) < 0 ||
	    hello_gate_new(d, cs->o.handshakes_max, &d->gate, e) < 0)
		return -1;
	coap_startup();
	coap_set_log_handler(library_log);
	coap_set_log_level(LOG_ERR);
	return start(d, e);
}

void dtls_set_keys(struct dtls *d, int fd)
{
	coap_keys_replace(d->keys, fd);
}

void dtls_free(struct dtls *d)
{
	if (!d)
		return;
	if (d->ctx)
		coap_free_context(d->ctx); /* tells of every session's end */
	hello_gate_free(d->gate);
	coap_keys_free(d->keys);
	free(d);
}

int dtls_fds(const struct dtls *d, int *fds, int limit)
{
	if (limit < 1)
		return 0;
	fds[0] = d->epoll;
	return 1;
}
