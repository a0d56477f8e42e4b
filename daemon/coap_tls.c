/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/message.h"

#define PAYLOAD_MTU 1232 /* IPv6's least MTU without the headers of IP and UDP */
#define RECORD_HEAD 13u
#define HANDSHAKE_HEAD 12u
#define CONTENT_HANDSHAKE 22
#define CLIENT_HELLO 1
#define CLIENT_KEY_EXCHANGE 16

/* First what RFC 7252 9.1.3.1 demands; the rest for clients that lack it. */
static const char suites[] = "PSK-AES128-CCM8:PSK-AES128-CCM:PSK-AES128-GCM-SHA256:"
			     "PSK-AES256-CCM8:PSK-AES256-CCM:PSK-AES256-GCM-SHA384:"
			     "ECDHE-PSK-CHACHA20-POLY1305:PSK-CHACHA20-POLY1305:"
			     "PSK-AES128-CBC-SHA256";

struct tls_caller { /* of an association that we began */
	char identity[IDENTITY_MAX + 1];
	uint8_t key[TLS_KEY_MAX]; /* until the handshake is over */
	uint8_t n;
};

struct tls_end {
	SSL *ssl;
	struct tls_caller *caller; /* NULL: the other side began */
	struct tls_server *server;
	void *owner;
	struct slice in;
	size_t limit; /* before the address is proven: how long an answer may be */
	bool broken; /* OpenSSL must not be asked again */
};

struct tls_server {
	struct tls_hooks hooks;
	SSL_CTX *ctx, *calls;
	BIO_METHOD *method;
	struct tls_end *spare; /* listens; becomes the next association */
};

/* ---- datagrams as a BIO ---- */

static int bio_read(BIO *b, char *out, int n)
{
	struct tls_end *x = BIO_get_data(b);
	size_t take = x->in.n < (size_t)n ? x->in.n : (size_t)n;

	BIO_clear_retry_flags(b);
	if (take == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(out, x->in.p, take);
	x->in = slice_of(NULL, 0); /* a datagram that does not fit is cut, as from a socket */
	return (int)take;
}

static int bio_write(BIO *b, const char *p, int n)
{
	struct tls_end *x = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (n > 0 && (size_t)n <= x->limit)
		x->server->hooks.out(x->owner, slice_of(p, (size_t)n));
	return n; /* a network may lose what it was given */
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
	(void)b;
	(void)n;
	(void)p;
	if (what == BIO_CTRL_FLUSH)
		return 1;
	if (what == BIO_CTRL_DGRAM_QUERY_MTU || what == BIO_CTRL_DGRAM_GET_FALLBACK_MTU)
		return PAYLOAD_MTU;
	return 0;
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

/* ---- what OpenSSL asks ---- */

static unsigned on_psk(SSL *ssl, const char *identity, unsigned char *key, unsigned max)
{
	const struct tls_end *x = SSL_get_app_data(ssl);
	const struct tls_hooks *h = &x->server->hooks;
	struct slice k = h->key(h->ctx, slice_str(identity));

	if (k.n > max)
		return 0;
	memcpy(key, k.p, k.n);
	return (unsigned)k.n;
}

static unsigned on_own_psk(SSL *ssl, const char *hint, char *identity, unsigned max_identity,
			   unsigned char *key, unsigned max)
{
	const struct tls_end *x = SSL_get_app_data(ssl);
	const struct tls_caller *c = x->caller;
	size_t n = strlen(c->identity) + 1;

	(void)hint;
	if (n > max_identity || c->n > max)
		return 0;
	memcpy(identity, c->identity, n);
	memcpy(key, c->key, c->n);
	return c->n;
}

static int on_cookie(SSL *ssl, unsigned char *cookie, unsigned *n)
{
	const struct tls_end *x = SSL_get_app_data(ssl);

	x->server->hooks.cookie(x->owner, 0, cookie);
	*n = TLS_COOKIE_SIZE;
	return 1;
}

static int on_verify(SSL *ssl, const unsigned char *cookie, unsigned n)
{
	const struct tls_end *x = SSL_get_app_data(ssl);
	uint8_t want[TLS_COOKIE_SIZE];

	for (unsigned age = 0; age < 2; age++) {
		x->server->hooks.cookie(x->owner, age, want);
		if (slice_eq_ct(slice_of(cookie, n), slice_of(want, sizeof(want))))
			return 1;
	}
	return 0;
}

/* ---- the server ---- */

static SSL_CTX *new_context(const SSL_METHOD *method)
{
	SSL_CTX *c = SSL_CTX_new(method);

	if (!c)
		return NULL;
	/* the level judges CCM_8 by the length of its tag; RFC 7252 demands it */
	SSL_CTX_set_security_level(c, 0);
	if (SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(c, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(c, suites) != 1) {
		SSL_CTX_free(c);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(c,
			    SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_max_send_fragment(c, TLS_MESSAGE_MAX);
	return c;
}

static int make_contexts(struct tls_server *t)
{
	static const unsigned char context[] = "fettle";

	t->ctx = new_context(DTLS_server_method());
	t->calls = new_context(DTLS_client_method());
	/* without a context of its own a ticket is refused (RFC 5077); none is kept here */
	if (!t->ctx || !t->calls ||
	    SSL_CTX_set_session_id_context(t->ctx, context, sizeof(context) - 1) != 1)
		return -1;
	SSL_CTX_set_options(t->ctx, SSL_OP_COOKIE_EXCHANGE);
	/* no identity hint, not even an empty one: it costs small clients a longer flight */
	SSL_CTX_set_psk_server_callback(t->ctx, on_psk);
	SSL_CTX_set_cookie_generate_cb(t->ctx, on_cookie);
	SSL_CTX_set_cookie_verify_cb(t->ctx, on_verify);
	SSL_CTX_set_options(t->calls, SSL_OP_NO_TICKET);
	SSL_CTX_set_psk_client_callback(t->calls, on_own_psk);
	return 0;
}

static int make_method(struct tls_server *t)
{
	t->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagram");
	return t->method && BIO_meth_set_write(t->method, bio_write) &&
			       BIO_meth_set_read(t->method, bio_read) &&
			       BIO_meth_set_ctrl(t->method, bio_ctrl) &&
			       BIO_meth_set_create(t->method, bio_create)
		       ? 0
		       : -1;
}

int tls_server_new(const struct tls_hooks *hooks, struct tls_server **out, struct err *e)
{
	struct tls_server *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, ERR_NO_MEMORY, "coaps");
	t->hooks = *hooks;
	if (make_contexts(t) != 0 || make_method(t) != 0) {
		tls_server_free(t);
		ERR_clear_error();
		return err_set(e, ERR_INTERNAL, "coaps: OpenSSL refuses its settings");
	}
	*out = t;
	return 0;
}

void tls_server_free(struct tls_server *t)
{
	if (!t)
		return;
	tls_end_free(t->spare, false);
	SSL_CTX_free(t->ctx);
	SSL_CTX_free(t->calls);
	BIO_meth_free(t->method);
	free(t);
}

/* ---- an association ---- */

static struct tls_end *end_new(struct tls_server *t, SSL_CTX *ctx)
{
	struct tls_end *x = calloc(1, sizeof(*x));
	BIO *b = BIO_new(t->method);

	if (x) {
		x->server = t;
		x->ssl = SSL_new(ctx);
	}
	if (!x || !b || !x->ssl || SSL_set_app_data(x->ssl, x) != 1) {
		BIO_free(b);
		tls_end_free(x, false);
		return NULL;
	}
	BIO_set_data(b, x);
	SSL_set_bio(x->ssl, b, b);
	SSL_set_mtu(x->ssl, PAYLOAD_MTU);
	return x;
}

static void caller_free(struct tls_caller *c)
{
	if (!c)
		return;
	explicit_bzero(c->key, sizeof(c->key));
	free(c);
}

void tls_end_free(struct tls_end *x, bool notify)
{
	if (!x)
		return;
	ERR_clear_error();
	x->in = slice_of(NULL, 0);
	if (notify && !x->broken && SSL_is_init_finished(x->ssl))
		(void)SSL_shutdown(x->ssl);
	SSL_free(x->ssl);
	caller_free(x->caller);
	free(x);
}

void tls_set_owner(struct tls_end *x, void *owner)
{
	x->owner = owner;
}

bool tls_hello_read(struct slice d, struct tls_hello *h)
{
	const uint8_t *random = d.p + RECORD_HEAD + HANDSHAKE_HEAD + 2;

	/* type, version 3 bytes; epoch 0; the message begins here (fragment offset 0) */
	if (d.n < TLS_HELLO_MIN || d.p[0] != CONTENT_HANDSHAKE || d.p[1] != 0xfe || d.p[3] != 0 ||
	    d.p[4] != 0 || d.p[RECORD_HEAD] != CLIENT_HELLO || d.p[RECORD_HEAD + 6] != 0 ||
	    d.p[RECORD_HEAD + 7] != 0 || d.p[RECORD_HEAD + 8] != 0)
		return false;
	memcpy(h->random, random, TLS_RANDOM_SIZE);
	return true;
}

/* RFC 4279 2, RFC 5489 2: the identity comes first, behind two bytes of length */
bool tls_exchange_read(struct slice d, struct slice *identity)
{
	const uint8_t *message = d.p + RECORD_HEAD, *body = message + HANDSHAKE_HEAD;
	size_t n;

	if (d.n < RECORD_HEAD + HANDSHAKE_HEAD + 2 || d.p[0] != CONTENT_HANDSHAKE || d.p[3] != 0 ||
	    d.p[4] != 0 || message[0] != CLIENT_KEY_EXCHANGE || message[6] != 0 ||
	    message[7] != 0 || message[8] != 0)
		return false;
	n = (size_t)(body[0] << 8 | body[1]);
	if (n > d.n - (RECORD_HEAD + HANDSHAKE_HEAD + 2))
		return false;
	*identity = slice_of(body + 2, n);
	return true;
}

struct tls_end *tls_listen(struct tls_server *t, struct slice hello, void *owner)
{
	struct tls_end *x = t->spare;
	BIO_ADDR *nobody;
	int rc;

	if (!x && (x = t->spare = end_new(t, t->ctx)))
		SSL_set_accept_state(x->ssl);
	nobody = x ? BIO_ADDR_new() : NULL;
	if (!nobody)
		return NULL;
	ERR_clear_error();
	x->owner = owner;
	x->in = hello;
	x->limit = hello.n;
	rc = DTLSv1_listen(x->ssl, nobody);
	BIO_ADDR_free(nobody);
	x->in = slice_of(NULL, 0);
	if (rc == 1) {
		x->limit = SIZE_MAX;
		t->spare = NULL;
		return x;
	}
	if (rc < 0) { /* whatever it is left with, the next hello finds a fresh one */
		t->spare = NULL;
		tls_end_free(x, false);
	}
	return NULL;
}

struct tls_end *tls_call(struct tls_server *t, const char *identity, struct slice key, void *owner)
{
	size_t n = strlen(identity) + 1;
	struct tls_end *x;

	if (n > sizeof(x->caller->identity) || key.n == 0 || key.n > TLS_KEY_MAX)
		return NULL;
	ERR_clear_error();
	x = end_new(t, t->calls);
	if (!x)
		return NULL;
	x->caller = calloc(1, sizeof(*x->caller));
	if (!x->caller) {
		tls_end_free(x, false);
		return NULL;
	}
	memcpy(x->caller->identity, identity, n);
	memcpy(x->caller->key, key.p, key.n);
	x->caller->n = (uint8_t)key.n;
	x->owner = owner;
	x->limit = SIZE_MAX;
	SSL_set_connect_state(x->ssl);
	return x;
}

void tls_feed(struct tls_end *x, struct slice datagram)
{
	x->in = datagram;
}

/* Is it only that nothing more is there? Anything else ends the association. */
static bool waits(struct tls_end *x, int rc)
{
	int why = SSL_get_error(x->ssl, rc);

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return true;
	/* after these OpenSSL forbids even the close_notify; after the peer's it owes one */
	x->broken = why == SSL_ERROR_SSL || why == SSL_ERROR_SYSCALL;
	ERR_clear_error();
	return false;
}

int tls_shake(struct tls_end *x)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(x->ssl);
	if (rc == 1) {
		if (x->caller)
			explicit_bzero(x->caller->key, sizeof(x->caller->key));
		return 1;
	}
	return waits(x, rc) ? 0 : -1;
}

int tls_read(struct tls_end *x, uint8_t out[TLS_MESSAGE_MAX])
{
	int n;

	ERR_clear_error();
	n = SSL_read(x->ssl, out, TLS_MESSAGE_MAX);
	if (n > 0)
		return n;
	return waits(x, n) ? 0 : -1;
}

bool tls_more(const struct tls_end *x)
{
	return x->in.n > 0 || SSL_has_pending(x->ssl);
}

bool tls_write(struct tls_end *x, struct slice message)
{
	if (message.n == 0 || message.n > TLS_MESSAGE_MAX || x->broken)
		return false;
	ERR_clear_error();
	return SSL_write(x->ssl, message.p, (int)message.n) > 0;
}

bool tls_repeat(struct tls_end *x)
{
	ERR_clear_error();
	return DTLSv1_handle_timeout(x->ssl) >= 0;
}

const char *tls_called_as(const struct tls_end *x)
{
	return x->caller ? x->caller->identity : NULL;
}

const char *tls_identity(const struct tls_end *x)
{
	if (x->caller)
		return SSL_is_init_finished(x->ssl) ? x->caller->identity : NULL;
	/* the session's, which OpenSSL keeps inside the ticket too */
	return SSL_is_init_finished(x->ssl) ? SSL_get_psk_identity(x->ssl) : NULL;
}

bool tls_resumed(const struct tls_end *x)
{
	return SSL_session_reused(x->ssl);
}
