/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap.h"

#include <check.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/coap_dtls.h"
#include "daemon/coap_wire.h"
#include "fake_core.h"
#include "fake_keys.h"

/*
 * The adapter's DTLS side on loopback: a small OpenSSL client, a core inside the
 * test, and a keys process played by a thread (the question is synchronous).
 */
static struct fake_core core;
static struct front *front;
static struct coap_server *server;
static struct err err;
static struct sockaddr_in where;
static int server_fd;
static struct fake_keys keys;
static bool refuse_all; /* the core does not admit */
static uint8_t image[5000];
static bool object_sent;
static SSL_CTX *client_ctx;
static SSL_SESSION *ticket;
static const char *client_identity, *client_key;

/* ---- core ---- */

static const struct digest image_digest = { { 9, 8, 7 } };

static bool answer(struct fake_core *k, const struct request *rq, struct response *rs)
{
	static char text[200];

	if (refuse_all) {
		rs->status = 401;
		rs->close = true;
	} else if (slice_eq_str(rq->path, "/image/x")) {
		fake_core_grant(k, rq->session, "/image/x", &image_digest,
				slice_of(image, sizeof(image)), !object_sent, 0);
		object_sent = true;
		rs->status = 200;
		rs->media = MEDIA_OCTETS;
		rs->has_object = true;
		rs->object = image_digest;
	} else {
		snprintf(text, sizeof(text), "%s kind %d resumed %d", k->last.identity,
			 (int)k->last.kind, k->last.resumed);
		rs->status = 200;
		rs->media = MEDIA_TEXT;
		rs->body = slice_str(text);
		rs->observing = rq->observe;
	}
	return true;
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static unsigned give_key(SSL *ssl, const char *hint, char *identity, unsigned max_identity,
			 unsigned char *key, unsigned max_key)
{
	(void)ssl;
	ck_assert_ptr_null(hint); /* no hint at all, not an empty one */
	snprintf(identity, max_identity, "%s", client_identity);
	ck_assert_uint_le(strlen(client_key), max_key);
	memcpy(key, client_key, strlen(client_key));
	return (unsigned)strlen(client_key);
}

static int new_session(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	if (ticket)
		SSL_SESSION_free(ticket);
	ticket = s;
	return 1;
}

static void client_setup(void)
{
	client_ctx = SSL_CTX_new(DTLS_client_method());
	SSL_CTX_set_max_proto_version(client_ctx, DTLS1_2_VERSION);
	ck_assert_int_eq(
		SSL_CTX_set_cipher_list(client_ctx, "PSK-AES128-CCM8:PSK-AES128-GCM-SHA256"), 1);
	SSL_CTX_set_security_level(client_ctx, 0);
	SSL_CTX_set_psk_client_callback(client_ctx, give_key);
	SSL_CTX_set_session_cache_mode(client_ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client_ctx, new_session);
}

static void setup(void)
{
	struct front_options fo = { .sessions_max = 64, .grants_max = 64, .objects_max = 8 };
	struct coap_options o = {
		.n_dtls = 1, .dtls_sessions_max = 32, .handshakes_max = 32, .envelope_number = 60
	};
	int fds[4];

	fake_core_init(&core, &fo.core_fd, true);
	core.answer = answer;
	ck_assert_int_eq(front_new(&fo, &front, &err), 0);
	fake_core_settle(&core, front);
	o.keys_fd = fake_keys_start(&keys);
	o.dtls[0] = (struct listen_addr){ .text = "loopback", .v4 = true, .port = free_port() };
	o.dtls[0].ip[10] = o.dtls[0].ip[11] = 0xff;
	o.dtls[0].ip[12] = 127;
	o.dtls[0].ip[15] = 1;
	ck_assert_msg(coap_server_new(front, &o, &server, &err) == 0, "%s", err.text);
	ck_assert_int_eq(coap_server_fds(server, fds, 4), 1);
	server_fd = fds[0];
	where = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_port = htons(o.dtls[0].port),
				      .sin_addr = { htonl(INADDR_LOOPBACK) } };
	client_setup();
	client_identity = "dev-1";
	client_key = "key of dev-1";
}

static void teardown(void)
{
	coap_server_free(server);
	front_free(front);
	fake_core_free(&core);
	fake_keys_join(&keys);
	SSL_SESSION_free(ticket);
	SSL_CTX_free(client_ctx);
}

static void turn(void)
{
	struct pollfd p = { .fd = server_fd, .events = POLLIN };

	if (poll(&p, 1, 2) > 0)
		coap_server_io(server);
	fake_core_settle(&core, front);
	coap_server_flush(server);
}

/* ---- client ---- */

struct client {
	SSL *ssl;
	int fd;
};

/* From 127.0.0.host: another source each. */
static void open_socket_of(struct client *c, uint8_t host)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK - 1 + host) } };

	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(c->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&where, sizeof(where)), 0);
}

static void open_socket(struct client *c)
{
	open_socket_of(c, 1);
}

static void begin(struct client *c, SSL_SESSION *resume)
{
	BIO *bio = BIO_new_dgram(c->fd, BIO_NOCLOSE);

	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &where);
	c->ssl = SSL_new(client_ctx);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_options(c->ssl, SSL_OP_NO_QUERY_MTU);
	SSL_set_mtu(c->ssl, 1280);
	if (resume)
		SSL_set_session(c->ssl, resume);
}

static bool shake(struct client *c, SSL_SESSION *resume)
{
	begin(c, resume);
	for (unsigned i = 0; i < 200; i++) {
		int rc = SSL_connect(c->ssl);

		if (rc == 1)
			return true;
		if (SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ)
			return false;
		turn();
	}
	return false;
}

static bool try_connect(struct client *c, SSL_SESSION *resume)
{
	open_socket(c);
	return shake(c, resume);
}

static void disconnect(struct client *c)
{
	SSL_shutdown(c->ssl);
	turn();
	SSL_free(c->ssl);
	close(c->fd);
	ERR_clear_error();
}

/* Nothing is left that a session held. */
static void assert_empty(void)
{
	ck_assert_uint_eq(server->dtls->n_open, 0);
	ck_assert_uint_eq(server->dtls->n_shaking, 0);
	ck_assert(link_empty(&server->dtls->open));
	ck_assert(link_empty(&server->dtls->shaking));
	for (unsigned i = 0; i < server->dtls->n_buckets; i++)
		ck_assert_ptr_null(server->dtls->buckets[i]);
	ck_assert_uint_eq(server->n_exchanges, 0);
	ck_assert_uint_eq(server->n_observers, 0);
	ck_assert_uint_eq(server->n_confirmables, 0);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.closed, core.admits);
}

static uint16_t mid = 7;

/* GET path, optionally a block; the answer's payload is in bytes. -1 when none came. */
static int ask(struct client *c, const char *segment, const char *second, int block, bool observe,
	       struct slice *payload)
{
	static uint8_t bytes[2048];
	static struct wire_msg m;
	struct wire_out o;

	wire_begin(&o, WIRE_CON, 1, ++mid, (const uint8_t *)"t", 1);
	if (observe)
		wire_put_uint(&o, WIRE_OBSERVE, 0);
	wire_put(&o, WIRE_URI_PATH, slice_str(segment));
	if (second)
		wire_put(&o, WIRE_URI_PATH, slice_str(second));
	if (block >= 0) {
		struct wire_block b = { true, false, 6, (uint32_t)block };

		wire_put_block(&o, WIRE_BLOCK2, &b);
	}
	wire_end(&o, slice_of(NULL, 0));
	ck_assert_int_eq(SSL_write(c->ssl, o.head, (int)o.n), (int)o.n);
	for (unsigned i = 0; i < 100; i++) {
		int n;

		turn();
		n = SSL_read(c->ssl, bytes, sizeof(bytes));
		if (n > 0) {
			ck_assert(wire_parse(&m, slice_of(bytes, (size_t)n)));
			*payload = m.payload;
			return m.code;
		}
		if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
			return -1;
	}
	return -1;
}

/* ---- tests ---- */

START_TEST(identity)
{
	struct slice body;
	struct client c;

	ck_assert(try_connect(&c, NULL));
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	ck_assert(slice_eq_str(body, "dev-1 kind 1 resumed 0"));
	ck_assert_int_eq(core.last.transport, TRANSPORT_COAPS);
	ck_assert_uint_eq(core.last.ip[12], 127);
	ck_assert_uint_ne(core.last.port, 0);
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	ck_assert_uint_eq(core.admits, 1);
	disconnect(&c);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.closed, 1);
}
END_TEST

START_TEST(resumed_keeps_identity)
{
	struct slice body;
	struct client c;

	ck_assert(try_connect(&c, NULL));
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	ck_assert_ptr_nonnull(ticket);
	disconnect(&c);
	ck_assert_uint_eq(keys.asked, 1);
	/* from a new port, without the key */
	client_identity = "dev-2";
	client_key = "wrong";
	ck_assert(try_connect(&c, ticket));
	ck_assert(SSL_session_reused(c.ssl));
	ck_assert_uint_eq(keys.asked, 1);
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	ck_assert(slice_eq_str(body, "dev-1 kind 1 resumed 1"));
	ck_assert_uint_eq(core.admits, 2);
	disconnect(&c);
}
END_TEST

START_TEST(revoked_cannot_resume)
{
	struct slice body;
	struct client c;

	ck_assert(try_connect(&c, NULL));
	ask(&c, "who", NULL, -1, false, &body);
	ck_assert_ptr_nonnull(ticket);
	disconnect(&c);
	refuse_all = true;
	ck_assert(try_connect(&c, ticket));
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(4, 1));
	/* and the session is closed behind the answer */
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), -1);
	ck_assert_uint_eq(core.requests, 2);
	disconnect(&c);
}
END_TEST

START_TEST(drop_ends_an_open_session)
{
	struct slice body;
	struct client c;

	ck_assert(try_connect(&c, NULL));
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	fake_core_drop(&core, core.last_session);
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), -1);
	disconnect(&c);
}
END_TEST

START_TEST(wrong_and_unknown)
{
	struct client c;

	client_key = "wrong";
	ck_assert(!try_connect(&c, NULL));
	disconnect(&c);
	client_identity = "stranger";
	ck_assert(!try_connect(&c, NULL));
	disconnect(&c);
	/* once each; again where a flight was lost on a slow machine */
	ck_assert_uint_ge(keys.asked, 2);
	ck_assert_uint_eq(core.admits, 0);
}
END_TEST

START_TEST(keys_do_not_answer)
{
	struct client c;

	keys.mute = true;
	ck_assert(!try_connect(&c, NULL));
	disconnect(&c);
	ck_assert_uint_eq(core.admits, 0);
}
END_TEST

/* An answer that is late costs a retransmission, not the handshake. */
START_TEST(keys_answer_late)
{
	struct slice body;
	struct client c;
	int rc = 0;

	keys.mute = true;
	ck_assert(!try_connect(&c, NULL));
	ck_assert_uint_eq(server->dtls->n_shaking, 1);
	keys.mute = false;
	for (unsigned i = 0; i < 2000 && rc != 1; i++) {
		DTLSv1_handle_timeout(c.ssl);
		rc = SSL_connect(c.ssl);
		turn();
	}
	ck_assert_int_eq(rc, 1);
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	disconnect(&c);
	assert_empty();
}
END_TEST

/* Many at once: each its own key. */
START_TEST(keys_asked_together)
{
	static char names[20][8], secret[20][20];
	struct client c[20];
	unsigned done = 0;

	for (unsigned i = 0; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "dev-%u", i);
		snprintf(secret[i], sizeof(secret[i]), "key of dev-%u", i);
		client_identity = names[i];
		client_key = secret[i];
		open_socket_of(&c[i], (uint8_t)(i + 1));
		begin(&c[i], NULL);
	}
	for (unsigned k = 0; k < 200 && done < 20; k++) {
		done = 0;
		for (unsigned i = 0; i < 20; i++) {
			client_identity = names[i];
			client_key = secret[i];
			done += SSL_connect(c[i].ssl) == 1;
			ERR_clear_error();
		}
		turn();
	}
	ck_assert_uint_eq(done, 20);
	ck_assert_uint_eq(keys.asked, 20);
	for (unsigned i = 0; i < 20; i++)
		disconnect(&c[i]);
	assert_empty();
}
END_TEST

START_TEST(image_over_dtls)
{
	struct slice body;
	struct client c;

	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i * 13);
	ck_assert(try_connect(&c, NULL));
	for (int i = 4; i >= 0; i--) {
		size_t offset = (size_t)i * 1024;
		size_t n = sizeof(image) - offset < 1024 ? sizeof(image) - offset : 1024;

		ck_assert_int_eq(ask(&c, "image", "x", i, false, &body), WIRE_CODE(2, 5));
		ck_assert(slice_eq(body, slice_of(image + offset, n)));
	}
	ck_assert_uint_eq(core.requests, 1);
	ck_assert_int_eq(ask(&c, "image", "x", 5, false, &body), WIRE_CODE(4, 0));
	/* the path that the library would answer by itself */
	ck_assert_int_eq(ask(&c, ".well-known", "core", -1, false, &body), WIRE_CODE(2, 5));
	ck_assert_uint_eq(core.requests, 2);
	disconnect(&c);
}
END_TEST

START_TEST(observe_over_dtls)
{
	static uint8_t bytes[2048];
	static struct wire_msg m;
	struct slice body;
	struct client c;
	int n = -1;

	ck_assert(try_connect(&c, NULL));
	ck_assert_int_eq(ask(&c, "seen", NULL, -1, true, &body), WIRE_CODE(2, 5));
	fake_core_notify(&core, "/seen");
	for (unsigned i = 0; i < 50 && n <= 0; i++) {
		turn();
		n = SSL_read(c.ssl, bytes, sizeof(bytes));
	}
	ck_assert_int_gt(n, 0);
	ck_assert(wire_parse(&m, slice_of(bytes, (size_t)n)));
	ck_assert_int_eq(m.type, WIRE_CON);
	ck_assert_uint_eq(m.code, WIRE_CODE(2, 5));
	ck_assert(m.observe_set);
	disconnect(&c);
}
END_TEST

/* ---- first flights by hand ---- */

#define COOKIE_AT 60

/* A ClientHello with one suite; cookie may be empty. */
static size_t put_hello(uint8_t *b, uint8_t random, struct slice cookie)
{
	size_t body = 42 + cookie.n, n = 25 + body;

	memset(b, 0, n);
	memcpy(b, "\x16\xfe\xfd", 3);
	b[12] = (uint8_t)(12 + body);
	b[13] = 1;
	b[16] = b[24] = (uint8_t)body;
	b[18] = cookie.n > 0; /* the second message */
	b[10] = cookie.n > 0;
	memcpy(b + 25, "\xfe\xfd", 2);
	memset(b + 27, random, 32);
	b[COOKIE_AT] = (uint8_t)cookie.n;
	if (cookie.n)
		memcpy(b + COOKIE_AT + 1, cookie.p, cookie.n);
	memcpy(b + COOKIE_AT + 1 + cookie.n, "\0\2\xc0\xa8\1\0", 6);
	return n;
}

/* What came back within some turns, 0: nothing. */
static size_t receive(int fd, uint8_t *b, size_t size)
{
	for (unsigned i = 0; i < 20; i++) {
		ssize_t n;

		turn();
		n = recv(fd, b, size, 0);
		if (n > 0)
			return (size_t)n;
	}
	return 0;
}

/*
 * A handshake begun and left there; false: it was not taken up. behind_ms: so long there was
 * always more to read, as there is now.
 */
static bool half_open_behind(struct client *c, uint8_t random, int64_t behind_ms)
{
	uint8_t b[200], hello[200];
	size_t n = put_hello(hello, random, slice_of(NULL, 0));

	ck_assert_int_eq(send(c->fd, hello, n, 0), (ssize_t)n);
	ck_assert_uint_eq(receive(c->fd, b, sizeof(b)), 28 + TLS_COOKIE_SIZE);
	n = put_hello(hello, random, slice_of(b + 28, TLS_COOKIE_SIZE));
	/* 64 are read in a turn: the hello is the last of them */
	for (int i = 0; behind_ms > 0 && i < 63; i++)
		ck_assert_int_eq(send(c->fd, "rubbish", 7, 0), 7);
	server->dtls->drained -= behind_ms;
	ck_assert_int_eq(send(c->fd, hello, n, 0), (ssize_t)n);
	return receive(c->fd, b, sizeof(b)) > 0;
}

static bool half_open(struct client *c, uint8_t random)
{
	return half_open_behind(c, random, 0);
}

static void handshakes_age(int64_t ms)
{
	struct dtls *d = server->dtls;

	for (struct link *l = d->shaking.next; l != &d->shaking; l = l->next)
		LINK_OF(l, struct dtls_session, age)->touched -= ms;
}

START_TEST(strangers_get_no_more_than_they_sent)
{
	uint8_t hello[200], b[200];
	struct client c;
	size_t whole;

	open_socket(&c);
	whole = put_hello(hello, 1, slice_of(NULL, 0));
	for (size_t n = 1; n < whole; n++) {
		ck_assert_int_eq(send(c.fd, hello, n, 0), (ssize_t)n);
		turn();
		ck_assert_int_lt(recv(c.fd, b, sizeof(b), 0), 0);
	}
	ck_assert_int_eq(send(c.fd, hello, whole, 0), (ssize_t)whole);
	ck_assert_uint_le(receive(c.fd, b, sizeof(b)), whole);
	/* a cookie made for another hello of the same address is none */
	whole = put_hello(hello, 2, slice_of(b + 28, TLS_COOKIE_SIZE));
	ck_assert_int_eq(send(c.fd, hello, whole, 0), (ssize_t)whole);
	ck_assert_uint_le(receive(c.fd, b, sizeof(b)), whole);
	ck_assert_uint_eq(b[13], 3); /* HelloVerifyRequest */
	close(c.fd);
	assert_empty();
}
END_TEST

/* RFC 6347 4.2.8: who restarted without a word comes in again from the same address. */
START_TEST(silent_restart)
{
	struct slice body;
	struct client c;

	ck_assert(try_connect(&c, NULL));
	for (unsigned i = 1; i < 4; i++) {
		ck_assert_int_eq(ask(&c, "who", NULL, -1, true, &body), WIRE_CODE(2, 5));
		ck_assert_uint_eq(server->n_observers, 1);
		SSL_free(c.ssl); /* says nothing */
		ck_assert(shake(&c, i == 2 ? ticket : NULL));
		ck_assert_uint_eq(server->dtls->n_open, 1);
		ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
		ck_assert_uint_eq(core.closed, i);
		ck_assert_uint_eq(core.admits, i + 1);
	}
	disconnect(&c);
	assert_empty();
}
END_TEST

START_TEST(restart_in_the_middle)
{
	struct slice body;
	struct client c;

	open_socket(&c);
	ck_assert(half_open(&c, 1));
	ck_assert(half_open(&c, 2));
	ck_assert_uint_eq(server->dtls->n_shaking, 1);
	ck_assert(shake(&c, NULL));
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	disconnect(&c);
	assert_empty();
}
END_TEST

/* A first hello in a device's name, which anybody can send, does nothing to its session. */
START_TEST(forged_hello)
{
	uint8_t hello[200], b[200];
	struct slice body;
	struct client c;
	size_t n;

	ck_assert(try_connect(&c, NULL));
	for (unsigned i = 0; i < 3; i++) {
		n = put_hello(hello, (uint8_t)i, slice_str(i ? "a cookie of mine" : ""));
		ck_assert_int_eq(send(c.fd, hello, n, 0), (ssize_t)n);
		ck_assert_uint_gt(receive(c.fd, b, sizeof(b)), 0);
		ck_assert_uint_eq(b[13], 3);
		ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	}
	ck_assert_uint_eq(core.closed, 0);
	/* nor does one that is late: the hello the session began with */
	n = put_hello(hello, 0, slice_str("a cookie of mine"));
	for (struct link *l = server->dtls->open.next; l != &server->dtls->open; l = l->next)
		memcpy(hello + 27, &LINK_OF(l, struct dtls_session, age)->hello, 32);
	ck_assert_int_eq(send(c.fd, hello, n, 0), (ssize_t)n);
	ck_assert_uint_eq(receive(c.fd, b, sizeof(b)), 0);
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	disconnect(&c);
	assert_empty();
}
END_TEST

/* 32 sessions are kept: the one used longest ago goes, hears of it, and comes back. */
START_TEST(too_many_sessions)
{
	struct client c[34];
	uint64_t figures[FIGURE_COUNT];
	struct slice body;

	for (unsigned i = 0; i < 33; i++) {
		ck_assert(try_connect(&c[i], NULL));
		ck_assert_int_eq(ask(&c[i], "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
		if (i == 31) /* used again: the next oldest is number 1 */
			ask(&c[0], "who", NULL, -1, false, &body);
	}
	ck_assert_uint_eq(server->dtls->n_open, 32);
	ck_assert_uint_eq(core.closed, 1);
	ck_assert_int_eq(ask(&c[1], "who", NULL, -1, false, &body), -1);
	ck_assert_int_eq(SSL_get_shutdown(c[1].ssl), SSL_RECEIVED_SHUTDOWN);
	ck_assert_int_eq(ask(&c[0], "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	SSL_free(c[1].ssl);
	ck_assert(shake(&c[1], NULL));
	ck_assert_int_eq(ask(&c[1], "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	ck_assert_uint_eq(server->dtls->n_open, 32);
	coap_server_figures(server, figures);
	ck_assert_uint_eq(figures[FIGURE_DTLS_SESSIONS], 32);
	ck_assert_uint_eq(figures[FIGURE_DTLS_HANDSHAKES], 0);
	ck_assert_uint_eq(figures[FIGURE_DTLS_EVICTED], 2);
	for (unsigned i = 0; i < 33; i++)
		disconnect(&c[i]);
	assert_empty();
}
END_TEST

/* 32 handshakes are waited for: the oldest gives way in time, and all of them end some time. */
START_TEST(handshakes_that_never_end)
{
	struct client c[40], honest;
	struct slice body;

	for (unsigned i = 0; i < 40; i++) {
		open_socket_of(&c[i], (uint8_t)(i + 2));
		ck_assert(half_open(&c[i], (uint8_t)i) == (i < 32));
	}
	ck_assert_uint_eq(server->dtls->n_shaking, 32);
	ck_assert_uint_eq(server->dtls->refused, 8);
	handshakes_age(1100);
	ck_assert(try_connect(&honest, NULL));
	ck_assert_int_eq(ask(&honest, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	ck_assert_uint_eq(server->dtls->n_shaking, 31);
	handshakes_age(40000);
	coap_server_tick(server);
	ck_assert_uint_eq(server->dtls->n_shaking, 0);
	ck_assert_uint_eq(server->dtls->n_open, 1);
	disconnect(&honest);
	for (unsigned i = 0; i < 40; i++)
		close(c[i].fd);
	assert_empty();
}
END_TEST

/* Whose answer may be here, unread, is not thrown out for who comes later: none would end. */
START_TEST(a_crowd_that_comes_at_once)
{
	struct client c[32], late;

	for (unsigned i = 0; i < 32; i++) {
		open_socket_of(&c[i], (uint8_t)(i + 2));
		ck_assert(half_open(&c[i], (uint8_t)i));
	}
	open_socket_of(&late, 99);
	handshakes_age(1500);
	ck_assert(!half_open_behind(&late, 200, 1400));
	ck_assert_uint_eq(server->dtls->n_shaking, 32);
	ck_assert_uint_eq(server->dtls->refused, 1);
	/* all is read by now */
	ck_assert(half_open(&late, 201));
	ck_assert_uint_eq(server->dtls->n_shaking, 32);
	/* and with more to read all the time nobody is waited for longer */
	handshakes_age(5000);
	ck_assert(half_open_behind(&late, 202, 9000));
	handshakes_age(40000);
	coap_server_tick(server);
	close(late.fd);
	for (unsigned i = 0; i < 32; i++)
		close(c[i].fd);
	assert_empty();
}
END_TEST

/* Four addresses that hold all the places there are, and ask for more, keep no other out. */
START_TEST(a_few_that_ask_all_the_time)
{
	struct client c[32], more, honest;
	struct slice body;

	for (unsigned i = 0; i < 32; i++) {
		open_socket_of(&c[i], (uint8_t)(i / 8 + 2));
		ck_assert(half_open(&c[i], (uint8_t)i));
	}
	ck_assert_uint_eq(server->dtls->n_shaking, 32);
	open_socket_of(&honest, 99);
	ck_assert(shake(&honest, NULL));
	ck_assert_int_eq(ask(&honest, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	disconnect(&honest);
	/* the place is theirs again, and none of another's */
	ck_assert(half_open(&c[0], 100));
	open_socket_of(&more, 3);
	ck_assert(!half_open(&more, 101));
	ck_assert_uint_eq(server->dtls->n_shaking, 32);
	handshakes_age(40000);
	coap_server_tick(server);
	close(more.fd);
	for (unsigned i = 0; i < 32; i++)
		close(c[i].fd);
	assert_empty();
}
END_TEST

/* Of one address 8 of 32 are waited for, whatever the port: nobody else has to go for more. */
START_TEST(handshakes_of_one_address)
{
	struct client c[40], honest;
	struct slice body;

	open_socket_of(&honest, 9);
	ck_assert(half_open(&honest, 99));
	for (unsigned i = 0; i < 40; i++) {
		open_socket(&c[i]);
		ck_assert(half_open(&c[i], (uint8_t)i) == (i < 8));
	}
	ck_assert_uint_eq(server->dtls->n_shaking, 9);
	ck_assert_uint_eq(server->dtls->refused, 32);
	close(honest.fd);
	open_socket_of(&honest, 10);
	ck_assert(shake(&honest, NULL));
	ck_assert_int_eq(ask(&honest, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	disconnect(&honest);
	/* one that ends makes room for the next of its address */
	handshakes_age(40000);
	coap_server_tick(server);
	ck_assert(try_connect(&honest, NULL));
	disconnect(&honest);
	for (unsigned i = 0; i < 40; i++)
		close(c[i].fd);
	assert_empty();
}
END_TEST

/* The flight that got lost comes again by the endpoint's own timer. */
START_TEST(lost_flight)
{
	uint8_t b[400];
	struct client c;
	size_t n = 0;

	open_socket(&c);
	ck_assert(half_open(&c, 9));
	while (receive(c.fd, b, sizeof(b)) > 0)
		;
	for (unsigned i = 0; i < 30 && n == 0; i++) {
		poll(NULL, 0, 100);
		coap_server_tick(server);
		n = receive(c.fd, b, sizeof(b));
	}
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(b[13], 2); /* ServerHello */
	close(c.fd);
}
END_TEST

START_TEST(idle_session_ends)
{
	struct slice body;
	struct client c;

	ck_assert(try_connect(&c, NULL));
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	LINK_OF(server->dtls->open.next, struct dtls_session, age)->touched -= 23 * 3600000L;
	coap_server_tick(server);
	ck_assert_uint_eq(server->dtls->n_open, 1);
	LINK_OF(server->dtls->open.next, struct dtls_session, age)->touched -= 3600000L;
	coap_server_tick(server);
	assert_empty();
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), -1);
	ck_assert_int_eq(SSL_get_shutdown(c.ssl), SSL_RECEIVED_SHUTDOWN);
	disconnect(&c);
}
END_TEST

static bool message_in(struct client *c, struct wire_msg *m)
{
	static uint8_t bytes[2048];
	int n = -1;

	for (unsigned i = 0; i < 50 && n <= 0; i++) {
		turn();
		n = SSL_read(c->ssl, bytes, sizeof(bytes));
	}
	return n > 0 && wire_parse(m, slice_of(bytes, (size_t)n));
}

static void say(struct client *c, enum wire_type t, uint16_t id)
{
	struct wire_out o;

	wire_begin(&o, t, 0, id, NULL, 0);
	wire_end(&o, slice_of(NULL, 0));
	ck_assert_int_eq(SSL_write(c->ssl, o.head, (int)o.n), (int)o.n);
	turn();
}

START_TEST(notification_is_repeated_until_acknowledged)
{
	static struct wire_msg m, again;
	struct slice body;
	struct client c;

	ck_assert(try_connect(&c, NULL));
	ck_assert_int_eq(ask(&c, "seen", NULL, -1, true, &body), WIRE_CODE(2, 5));
	fake_core_notify(&core, "/seen");
	ck_assert(message_in(&c, &m));
	ck_assert_uint_eq(server->n_confirmables, 1);
	LINK_OF(server->confirmables.next, struct confirmable, all)->due = 0;
	coap_server_tick(server);
	ck_assert(message_in(&c, &again));
	ck_assert_uint_eq(again.mid, m.mid);
	ck_assert_uint_eq(again.observe, m.observe);
	say(&c, WIRE_ACK, m.mid);
	ck_assert_uint_eq(server->n_confirmables, 0);
	/* told nothing for long: told how things stand */
	for (unsigned i = 0; i < OBSERVER_BUCKETS; i++)
		if (server->observers[i])
			server->observers[i]->told -= 13 * 3600000L, server->sweep = i;
	coap_server_tick(server);
	ck_assert(message_in(&c, &m));
	ck_assert(m.observe_set);
	/* and who refuses is asked no more */
	say(&c, WIRE_RST, m.mid);
	ck_assert_uint_eq(server->n_observers, 0);
	disconnect(&c);
	assert_empty();
}
END_TEST

START_TEST(ping_and_rubbish)
{
	static struct wire_msg m;
	struct slice body;
	struct client c;
	uint8_t b[300];

	ck_assert(try_connect(&c, NULL));
	say(&c, WIRE_CON, 77);
	ck_assert(message_in(&c, &m));
	ck_assert_int_eq(m.type, WIRE_RST);
	ck_assert_uint_eq(m.mid, 77);
	for (unsigned i = 0; i < 200; i++) {
		random_bytes(b, sizeof(b));
		b[0] = (uint8_t)(20 + i % 5);
		b[1] = 0xfe;
		b[2] = 0xfd;
		b[3] = 0;
		b[4] = i & 8 ? 1 : 0;
		ck_assert_int_gt(send(c.fd, b, 1 + i, 0), 0);
		ck_assert_int_gt(SSL_write(c.ssl, b, 1 + (int)i), 0);
		turn();
	}
	ck_assert_int_eq(ask(&c, "who", NULL, -1, false, &body), WIRE_CODE(2, 5));
	disconnect(&c);
	assert_empty();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coaps");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, identity);
	tcase_add_test(t, resumed_keeps_identity);
	tcase_add_test(t, revoked_cannot_resume);
	tcase_add_test(t, drop_ends_an_open_session);
	tcase_add_test(t, wrong_and_unknown);
	tcase_add_test(t, keys_do_not_answer);
	tcase_add_test(t, keys_answer_late);
	tcase_add_test(t, keys_asked_together);
	tcase_add_test(t, image_over_dtls);
	tcase_add_test(t, observe_over_dtls);
	tcase_add_test(t, strangers_get_no_more_than_they_sent);
	tcase_add_test(t, silent_restart);
	tcase_add_test(t, restart_in_the_middle);
	tcase_add_test(t, forged_hello);
	tcase_add_test(t, too_many_sessions);
	tcase_add_test(t, handshakes_that_never_end);
	tcase_add_test(t, a_crowd_that_comes_at_once);
	tcase_add_test(t, a_few_that_ask_all_the_time);
	tcase_add_test(t, handshakes_of_one_address);
	tcase_add_test(t, lost_flight);
	tcase_add_test(t, idle_session_ends);
	tcase_add_test(t, notification_is_repeated_until_acknowledged);
	tcase_add_test(t, ping_and_rubbish);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
