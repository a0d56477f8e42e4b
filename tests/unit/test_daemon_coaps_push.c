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
 * Calls of ours by DTLS to a device on loopback: OpenSSL listens there, or asks first. The
 * core is the test.
 */
static struct fake_core core;
static struct fake_keys keys;
static struct front *front;
static struct coap_server *server;
static struct err err;
static int server_fd;
static struct sockaddr_in where;
static uint8_t image[5000];
static const struct digest image_digest = { { 9, 8, 7 } };

static bool answer(struct fake_core *k, const struct request *rq, struct response *rs)
{
	static char text[200];

	(void)rq;
	snprintf(text, sizeof(text), "%s kind %d", k->last.identity, (int)k->last.kind);
	rs->status = 200;
	rs->media = MEDIA_TEXT;
	rs->body = slice_str(text);
	return true;
}

static int bound_socket(struct sockaddr_in *a)
{
	socklen_t n = sizeof(*a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)a, sizeof(*a)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)a, &n), 0);
	return fd;
}

/* ---- the device ---- */

static SSL_CTX *listens, *asks;
static const char *device_key;
struct device {
	SSL *ssl;
	int fd;
	uint16_t port;
};
static struct device dev;

static unsigned on_psk(SSL *ssl, const char *identity, unsigned char *key, unsigned max)
{
	(void)ssl;
	ck_assert_str_eq(identity, "dev-1");
	ck_assert_uint_le(strlen(device_key), max);
	memcpy(key, device_key, strlen(device_key));
	return (unsigned)strlen(device_key);
}

static unsigned own_psk(SSL *ssl, const char *hint, char *identity, unsigned max_identity,
			unsigned char *key, unsigned max_key)
{
	(void)hint;
	snprintf(identity, max_identity, "%s", (const char *)SSL_get_app_data(ssl));
	return (unsigned)snprintf((char *)key, max_key, "key of %s", identity);
}

static int on_cookie(SSL *ssl, unsigned char *cookie, unsigned *n)
{
	(void)ssl;
	memcpy(cookie, "cookie", 6);
	*n = 6;
	return 1;
}

static int on_verify(SSL *ssl, const unsigned char *cookie, unsigned n)
{
	(void)ssl;
	return n == 6 && memcmp(cookie, "cookie", 6) == 0;
}

static SSL_CTX *context(const SSL_METHOD *m)
{
	SSL_CTX *c = SSL_CTX_new(m);

	SSL_CTX_set_max_proto_version(c, DTLS1_2_VERSION);
	SSL_CTX_set_security_level(c, 0);
	ck_assert_int_eq(SSL_CTX_set_cipher_list(c, "PSK-AES128-CCM8"), 1);
	SSL_CTX_set_psk_server_callback(c, on_psk);
	SSL_CTX_set_psk_client_callback(c, own_psk);
	SSL_CTX_set_cookie_generate_cb(c, on_cookie);
	SSL_CTX_set_cookie_verify_cb(c, on_verify);
	return c;
}

static void device_ssl(struct device *d, SSL_CTX *c)
{
	BIO *bio = BIO_new_dgram(d->fd, BIO_NOCLOSE);

	SSL_free(d->ssl);
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &where);
	d->ssl = SSL_new(c);
	SSL_set_bio(d->ssl, bio, bio);
	SSL_set_options(d->ssl, SSL_OP_NO_QUERY_MTU);
	SSL_set_mtu(d->ssl, 1280);
	if (c == listens)
		SSL_set_accept_state(d->ssl);
	else
		SSL_set_connect_state(d->ssl);
}

static void device_open(struct device *d)
{
	struct sockaddr_in at;

	d->fd = bound_socket(&at);
	d->port = ntohs(at.sin_port);
	ck_assert_int_eq(connect(d->fd, (struct sockaddr *)&where, sizeof(where)), 0);
	device_ssl(d, listens);
}

static void device_close(struct device *d)
{
	SSL_free(d->ssl);
	close(d->fd);
	ERR_clear_error();
}

static void setup(void)
{
	struct front_options fo = { .sessions_max = 64, .grants_max = 64, .objects_max = 8 };
	struct coap_options o = {
		.n_dtls = 1, .dtls_sessions_max = 32, .handshakes_max = 32, .envelope_number = 60
	};
	int fds[4], probe = bound_socket(&where);

	close(probe);
	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i * 13);
	fake_core_init(&core, &fo.core_fd, true);
	core.answer = answer;
	ck_assert_int_eq(front_new(&fo, &front, &err), 0);
	fake_core_settle(&core, front);
	o.keys_fd = fake_keys_start(&keys);
	o.dtls[0] = (struct listen_addr){ .text = "loopback",
					  .v4 = true,
					  .port = ntohs(where.sin_port) };
	o.dtls[0].ip[10] = o.dtls[0].ip[11] = 0xff;
	o.dtls[0].ip[12] = 127;
	o.dtls[0].ip[15] = 1;
	ck_assert_msg(coap_server_new(front, &o, &server, &err) == 0, "%s", err.text);
	ck_assert_int_eq(coap_server_fds(server, fds, 4), 1);
	server_fd = fds[0];
	listens = context(DTLS_server_method());
	asks = context(DTLS_client_method());
	device_key = "key of dev-1";
	device_open(&dev);
}

static void teardown(void)
{
	device_close(&dev);
	coap_server_free(server);
	front_free(front);
	fake_core_free(&core);
	fake_keys_join(&keys);
	SSL_CTX_free(listens);
	SSL_CTX_free(asks);
}

static void turn(void)
{
	struct pollfd p = { .fd = server_fd, .events = POLLIN };

	if (poll(&p, 1, 2) > 0)
		coap_server_io(server);
	fake_core_settle(&core, front);
	coap_server_flush(server);
}

static void turns(unsigned n)
{
	while (n-- > 0)
		turn();
}

static bool device_shakes(struct device *d)
{
	for (unsigned i = 0; i < 100; i++) {
		int rc = SSL_do_handshake(d->ssl);

		if (rc == 1)
			return true;
		if (SSL_get_error(d->ssl, rc) != SSL_ERROR_WANT_READ) {
			ERR_print_errors_fp(stderr);
			return false;
		}
		turn();
	}
	return false;
}

static struct wire_msg *device_hears(struct device *d)
{
	static uint8_t bytes[2048];
	static struct wire_msg m;
	int n = -1;

	for (unsigned i = 0; i < 20 && n <= 0; i++) {
		turn();
		n = SSL_read(d->ssl, bytes, sizeof(bytes));
	}
	if (n <= 0)
		return NULL;
	ck_assert(wire_parse(&m, slice_of(bytes, (size_t)n)));
	return &m;
}

static void device_says(struct device *d, struct wire_out *o)
{
	wire_end(o, slice_of(NULL, 0));
	ck_assert_int_eq(SSL_write(d->ssl, o->head, (int)o->n), (int)o->n);
	turns(3);
}

static void device_answers(struct device *d, const struct wire_msg *m, uint8_t code)
{
	struct wire_out o;

	wire_begin(&o, WIRE_ACK, code, m->mid, m->token, m->tkl);
	if (m->block1.set)
		wire_put_block(&o, WIRE_BLOCK1, &m->block1);
	device_says(d, &o);
}

static int device_asks(struct device *d)
{
	struct wire_msg *m;
	struct wire_out o;

	wire_begin(&o, WIRE_CON, 1, 4711, (const uint8_t *)"t", 1);
	wire_put(&o, WIRE_URI_PATH, slice_str("me"));
	device_says(d, &o);
	m = device_hears(d);
	return m ? m->code : -1;
}

/* ---- the core ---- */

static struct ipc_send call(const char *identity)
{
	struct ipc_send s = { .port = dev.port,
			      .method = METHOD_POST,
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE,
			      .path = "/fettle/apply" };

	s.ip[10] = s.ip[11] = 0xff;
	s.ip[12] = 127;
	s.ip[15] = 1;
	snprintf(s.identity, sizeof(s.identity), "%s", identity);
	return s;
}

static void order(const struct ipc_send *s)
{
	fake_core_send(&core, s);
	fake_core_settle(&core, front);
	coap_server_flush(server);
}

/* Where the keys are slow, as on a busy machine, the order is made again. */
static void order_surely(const struct ipc_send *s)
{
	unsigned before = core.n_sent;

	order(s);
	for (unsigned i = 0; i < 50 && core.n_sent > before && core.sent.status == 503; i++) {
		poll(NULL, 0, 100);
		core.n_sent = before;
		order(s);
	}
}

static void expect_result(unsigned n, uint16_t status, uint64_t offset)
{
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.n_sent, n);
	ck_assert_msg(core.sent.status == status, "status %u", core.sent.status);
	ck_assert_uint_eq(core.sent.offset, offset);
}

static void handshakes_age(int64_t ms)
{
	struct link *calling = &server->dtls->calling;

	for (struct link *l = calling->next; l != calling; l = l->next)
		LINK_OF(l, struct dtls_session, age)->touched -= ms;
	coap_server_tick(server);
}

/* Nothing is left of calls and their sessions. */
static void assert_empty(void)
{
	ck_assert_uint_eq(server->dtls->n_open, 0);
	ck_assert_uint_eq(server->dtls->n_calling, 0);
	ck_assert(link_empty(&server->dtls->open) && link_empty(&server->dtls->calling));
	ck_assert(link_empty(&server->pushes) && link_empty(&server->confirmables));
	for (unsigned i = 0; i < server->dtls->n_buckets; i++)
		ck_assert_ptr_null(server->dtls->buckets[i]);
}

/* ---- tests ---- */

START_TEST(shakes_hands_and_calls)
{
	struct ipc_send s = call("dev-1");
	struct wire_msg *m;

	order_surely(&s);
	order_surely(&s);
	ck_assert_uint_eq(server->dtls->n_calling, 1);
	ck_assert(device_shakes(&dev));
	m = device_hears(&dev);
	ck_assert_ptr_nonnull(m);
	ck_assert_str_eq(m->path, "/fettle/apply");
	device_answers(&dev, m, WIRE_CODE(2, 4));
	expect_result(1, 200, 0);
	device_answers(&dev, device_hears(&dev), WIRE_CODE(4, 9));
	expect_result(2, 409, 0);
	/* the session stays for the next */
	order_surely(&s);
	m = device_hears(&dev);
	ck_assert_ptr_nonnull(m);
	device_answers(&dev, m, WIRE_CODE(2, 4));
	expect_result(3, 200, 0);
	ck_assert_uint_ge(keys.asked, 1);
	ck_assert_uint_eq(server->dtls->n_open, 1);
	ck_assert_uint_eq(core.admits, 0);
}
END_TEST

START_TEST(device_demands_a_cookie)
{
	struct ipc_send s = call("dev-1");

	SSL_set_options(dev.ssl, SSL_OP_COOKIE_EXCHANGE);
	order_surely(&s);
	ck_assert(device_shakes(&dev));
	device_answers(&dev, device_hears(&dev), WIRE_CODE(2, 4));
	expect_result(1, 200, 0);
}
END_TEST

/* Over the session that we opened the device may ask, too: it proved who it is. */
START_TEST(device_asks_back)
{
	struct ipc_send s = call("dev-1");

	order_surely(&s);
	ck_assert(device_shakes(&dev));
	device_answers(&dev, device_hears(&dev), WIRE_CODE(2, 4));
	ck_assert_int_eq(device_asks(&dev), WIRE_CODE(2, 5));
	ck_assert_uint_eq(core.admits, 1);
	ck_assert_str_eq(core.last.identity, "dev-1");
	ck_assert_int_eq(core.last.kind, EVIDENCE_PSK);
}
END_TEST

START_TEST(device_has_another_key)
{
	struct ipc_send s = call("dev-1");

	device_key = "another";
	order_surely(&s);
	ck_assert(!device_shakes(&dev));
	handshakes_age(31000);
	expect_result(1, 0, 0);
	assert_empty();
}
END_TEST

START_TEST(nobody_there)
{
	struct ipc_send s = call("dev-1");
	uint8_t bytes[500];
	unsigned hellos = 0;

	order_surely(&s);
	for (unsigned i = 0; i < 15; i++) {
		poll(NULL, 0, 100);
		coap_server_tick(server);
		hellos += recv(dev.fd, bytes, sizeof(bytes), 0) > 0;
	}
	ck_assert_uint_eq(hellos, 2); /* at once, and after a second */
	handshakes_age(31000);
	expect_result(1, 0, 0);
	assert_empty();
}
END_TEST

/* Without a key nothing goes out. */
START_TEST(no_key)
{
	struct ipc_send s = call("stranger");
	uint8_t bytes[500];

	order(&s);
	expect_result(1, 503, 0);
	keys.mute = true;
	s = call("dev-1");
	order(&s);
	expect_result(2, 503, 0);
	ck_assert_int_lt(recv(dev.fd, bytes, sizeof(bytes), 0), 0);
	assert_empty();
}
END_TEST

static void order_image(struct ipc_send *s)
{
	s->method = METHOD_PUT;
	s->has_object = true;
	s->object = image_digest;
	fake_core_grant(&core, IPC_SESSION_SEND, "/image", &image_digest,
			slice_of(image, sizeof(image)), true, 0);
	order_surely(s);
}

START_TEST(image_in_blocks)
{
	struct ipc_send s = call("dev-1");

	order_image(&s);
	ck_assert(device_shakes(&dev));
	for (uint32_t i = 0; i < 5; i++) {
		struct wire_msg *m = device_hears(&dev);

		ck_assert_ptr_nonnull(m);
		ck_assert(slice_eq(m->payload,
				   slice_of(image + i * 1024, i < 4 ? 1024 : 5000 - 4096)));
		device_answers(&dev, m, i < 4 ? WIRE_CODE(2, 31) : WIRE_CODE(2, 4));
	}
	expect_result(1, 200, sizeof(image));
}
END_TEST

START_TEST(session_ends_in_the_middle)
{
	struct ipc_send s = call("dev-1");

	order_image(&s);
	ck_assert(device_shakes(&dev));
	device_answers(&dev, device_hears(&dev), WIRE_CODE(2, 31));
	ck_assert_ptr_nonnull(device_hears(&dev));
	SSL_shutdown(dev.ssl);
	turns(3);
	expect_result(1, 0, 1024);
	assert_empty();
}
END_TEST

/* Over the session of a device that called us. */
START_TEST(over_its_own_session)
{
	struct ipc_send s = call("dev-1");

	device_ssl(&dev, asks);
	SSL_set_app_data(dev.ssl, (char *)(uintptr_t) "dev-1");
	ck_assert(device_shakes(&dev));
	ck_assert_int_eq(device_asks(&dev), WIRE_CODE(2, 5));
	s.session = core.last_session;
	s.port = 1; /* of no account */
	order_surely(&s);
	device_answers(&dev, device_hears(&dev), WIRE_CODE(2, 4));
	expect_result(1, 200, 0);
	/* its address does, too */
	s = call("dev-1");
	order_surely(&s);
	device_answers(&dev, device_hears(&dev), WIRE_CODE(2, 4));
	expect_result(2, 200, 0);
	/* but not for another */
	s = call("dev-2");
	order_surely(&s);
	expect_result(3, 0, 0);
	ck_assert_uint_eq(server->dtls->n_open, 1);
}
END_TEST

/* The device shakes hands itself while we do: its word counts, the call is ordered again. */
START_TEST(both_at_once)
{
	struct ipc_send s = call("dev-1");
	uint8_t hello[500];

	order_surely(&s);
	ck_assert_int_gt(recv(dev.fd, hello, sizeof(hello), 0), 0); /* not for who asks */
	device_ssl(&dev, asks);
	SSL_set_app_data(dev.ssl, (char *)(uintptr_t) "dev-1");
	ck_assert(device_shakes(&dev));
	ck_assert_int_eq(device_asks(&dev), WIRE_CODE(2, 5));
	expect_result(1, 0, 0);
	ck_assert_uint_eq(server->dtls->n_calling, 0);
	order_surely(&s);
	device_answers(&dev, device_hears(&dev), WIRE_CODE(2, 4));
	expect_result(2, 200, 0);
}
END_TEST

START_TEST(bounded)
{
	struct ipc_send s = call("dev-1");

	server->dtls->n_calling = 256;
	order(&s);
	server->dtls->n_calling = 0;
	expect_result(1, 503, 0);
}
END_TEST

/* One that is called gives way last: 32 sessions are kept. */
START_TEST(called_is_not_idle)
{
	struct ipc_send s = call("dev-1");
	struct device others[32];

	order_image(&s);
	ck_assert(device_shakes(&dev));
	for (unsigned i = 0; i < 32; i++) {
		others[i] = (struct device){ .ssl = NULL };
		device_open(&others[i]);
		device_ssl(&others[i], asks);
		SSL_set_app_data(others[i].ssl, (char *)(uintptr_t) "dev-9");
		ck_assert(device_shakes(&others[i]));
	}
	ck_assert_uint_eq(server->dtls->n_open, 32);
	ck_assert_uint_eq(core.n_sent, 0);
	ck_assert_ptr_nonnull(device_hears(&dev));
	for (unsigned i = 0; i < 32; i++)
		device_close(&others[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coaps push");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, shakes_hands_and_calls);
	tcase_add_test(t, device_demands_a_cookie);
	tcase_add_test(t, device_asks_back);
	tcase_add_test(t, device_has_another_key);
	tcase_add_test(t, nobody_there);
	tcase_add_test(t, no_key);
	tcase_add_test(t, image_in_blocks);
	tcase_add_test(t, session_ends_in_the_middle);
	tcase_add_test(t, over_its_own_session);
	tcase_add_test(t, both_at_once);
	tcase_add_test(t, bounded);
	tcase_add_test(t, called_is_not_idle);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
