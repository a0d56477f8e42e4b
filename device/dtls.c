/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/dtls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MTU 1280
#define MESSAGE_MAX 1280

struct dtls {
	struct fan *fan;
	SSL_CTX *context, *called; /* as client; and as who is called */
	BIO_METHOD *method;
};

struct dtls_end {
	struct dtls *d;
	SSL *ssl;
	uint32_t endpoint;
	struct slice in; /* the datagram being read */
	bool broken;
	char identity[65];
	uint8_t key[DTLS_KEY_SIZE];
	size_t waiting_n;
	uint8_t waiting[MESSAGE_MAX];
};

/* A BIO that keeps datagrams apart: reads the one at hand, writes to the fan. */

static int bio_write(BIO *b, const char *p, int n)
{
	struct dtls_end *x = BIO_get_data(b);

	if (n <= 0)
		return 0;
	fan_send(x->d->fan, x->endpoint, p, (size_t)n);
	return n;
}

static int bio_read(BIO *b, char *p, int n)
{
	struct dtls_end *x = BIO_get_data(b);
	size_t take = x->in.n;

	BIO_clear_retry_flags(b);
	if (take == 0 || n <= 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	if (take > (size_t)n)
		take = (size_t)n; /* what is over is lost, as with a socket */
	memcpy(p, x->in.p, take);
	x->in = slice_of(NULL, 0);
	return (int)take;
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
	(void)b;
	(void)n;
	(void)p;
	if (what == BIO_CTRL_FLUSH)
		return 1;
	if (what == BIO_CTRL_DGRAM_QUERY_MTU || what == BIO_CTRL_DGRAM_GET_FALLBACK_MTU)
		return MTU;
	return 0;
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static unsigned give_psk(SSL *ssl, const char *hint, char *identity, unsigned identity_max,
			 unsigned char *key, unsigned key_max)
{
	struct dtls_end *x = SSL_get_app_data(ssl);

	(void)hint;
	if (key_max < DTLS_KEY_SIZE || text_copy(identity, identity_max, x->identity) != 0)
		return 0;
	memcpy(key, x->key, DTLS_KEY_SIZE);
	return DTLS_KEY_SIZE;
}

static unsigned take_psk(SSL *ssl, const char *identity, unsigned char *key, unsigned key_max)
{
	struct dtls_end *x = SSL_get_app_data(ssl);

	if (key_max < DTLS_KEY_SIZE || strcmp(identity, x->identity) != 0)
		return 0;
	memcpy(key, x->key, DTLS_KEY_SIZE);
	return DTLS_KEY_SIZE;
}

static SSL_CTX *new_context(const SSL_METHOD *how)
{
	SSL_CTX *c = SSL_CTX_new(how);

	if (!c || !SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(c, "PSK-AES128-CCM8:PSK-AES128-GCM-SHA256")) {
		SSL_CTX_free(c);
		return NULL;
	}
	SSL_CTX_set_options(c, SSL_OP_NO_QUERY_MTU);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	return c;
}

struct dtls *dtls_new(struct fan *f, struct err *e)
{
	struct dtls *d = calloc(1, sizeof(*d));

	if (!d)
		goto fail;
	d->fan = f;
	d->context = new_context(DTLS_client_method());
	d->called = new_context(DTLS_server_method());
	d->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fan");
	if (!d->context || !d->called || !d->method || !BIO_meth_set_write(d->method, bio_write) ||
	    !BIO_meth_set_read(d->method, bio_read) || !BIO_meth_set_ctrl(d->method, bio_ctrl) ||
	    !BIO_meth_set_create(d->method, bio_create))
		goto fail;
	SSL_CTX_set_psk_client_callback(d->context, give_psk);
	SSL_CTX_set_psk_server_callback(d->called, take_psk);
	return d;
fail:
	dtls_free(d);
	err_set(e, ERR_NO_MEMORY, "OpenSSL");
	return NULL;
}

void dtls_free(struct dtls *d)
{
	if (!d)
		return;
	SSL_CTX_free(d->context);
	SSL_CTX_free(d->called);
	BIO_meth_free(d->method);
	free(d);
}

void dtls_end_free(struct dtls_end *x)
{
	if (!x)
		return;
	/* the address is used again: the server must not wait for the old session there */
	if (x->ssl && SSL_is_init_finished(x->ssl) && !x->broken)
		(void)SSL_shutdown(x->ssl);
	SSL_free(x->ssl);
	explicit_bzero(x, sizeof(*x));
	free(x);
}

static void go_on(struct dtls_end *x)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(x->ssl);
	if (rc == 1 && x->waiting_n > 0) {
		(void)SSL_write(x->ssl, x->waiting, (int)x->waiting_n);
		x->waiting_n = 0;
	}
	if (rc != 1 && SSL_get_error(x->ssl, rc) != SSL_ERROR_WANT_READ)
		x->broken = true;
}

static struct dtls_end *end_new(struct dtls *d, SSL_CTX *how, uint32_t endpoint,
				const char *identity, const uint8_t key[DTLS_KEY_SIZE])
{
	struct dtls_end *x = calloc(1, sizeof(*x));
	BIO *b;

	if (!x)
		return NULL;
	x->d = d;
	x->endpoint = endpoint;
	memcpy(x->key, key, sizeof(x->key));
	x->ssl = SSL_new(how);
	b = BIO_new(d->method);
	if (!x->ssl || !b || text_copy(x->identity, sizeof(x->identity), identity) != 0 ||
	    !SSL_set_app_data(x->ssl, x)) {
		BIO_free(b);
		dtls_end_free(x);
		return NULL;
	}
	BIO_set_data(b, x);
	SSL_set_bio(x->ssl, b, b);
	SSL_set_mtu(x->ssl, MTU);
	return x;
}

struct dtls_end *dtls_connect(struct dtls *d, uint32_t endpoint, const char *identity,
			      const uint8_t key[DTLS_KEY_SIZE])
{
	struct dtls_end *x = end_new(d, d->context, endpoint, identity, key);

	if (!x)
		return NULL;
	SSL_set_connect_state(x->ssl);
	go_on(x);
	return x;
}

struct dtls_end *dtls_accept(struct dtls *d, uint32_t endpoint, const char *identity,
			     const uint8_t key[DTLS_KEY_SIZE])
{
	struct dtls_end *x = end_new(d, d->called, endpoint, identity, key);

	if (x)
		SSL_set_accept_state(x->ssl);
	return x;
}

/* A handshake record in the clear (epoch 0) with a ClientHello in it: RFC 6347 4.1, 4.3.2. */
bool dtls_is_hello(struct slice d)
{
	return d.n > 13 && d.p[0] == 22 && d.p[3] == 0 && d.p[4] == 0 && d.p[13] == 1;
}

bool dtls_ready(const struct dtls_end *x)
{
	return SSL_is_init_finished(x->ssl) && !x->broken;
}

void dtls_send(struct dtls_end *x, const void *p, size_t n)
{
	if (n > MESSAGE_MAX || x->broken)
		return;
	if (SSL_is_init_finished(x->ssl)) {
		ERR_clear_error();
		if (SSL_write(x->ssl, p, (int)n) <= 0)
			x->broken = true;
		return;
	}
	memcpy(x->waiting, p, n);
	x->waiting_n = n;
}

bool dtls_feed(struct dtls_end *x, struct slice datagram, fan_got got, void *ctx)
{
	uint8_t message[MESSAGE_MAX];
	int n;

	if (x->broken)
		return false;
	x->in = datagram;
	if (!SSL_is_init_finished(x->ssl))
		go_on(x);
	ERR_clear_error();
	while (!x->broken && SSL_is_init_finished(x->ssl) &&
	       (n = SSL_read(x->ssl, message, sizeof(message))) > 0)
		got(ctx, x->endpoint, slice_of(message, (size_t)n));
	if (SSL_get_shutdown(x->ssl) & SSL_RECEIVED_SHUTDOWN)
		x->broken = true;
	x->in = slice_of(NULL, 0);
	return !x->broken;
}

void dtls_tick(struct dtls_end *x)
{
	if (!x->broken && !SSL_is_init_finished(x->ssl) && DTLSv1_handle_timeout(x->ssl) < 0)
		x->broken = true;
}
