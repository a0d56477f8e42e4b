/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/coap_internal.h"
#include "daemon/coap_push.h"
#include "fake_core.h"

/* Calls of ours to a device on loopback, which speaks in datagrams; the core is the test. */
static struct fake_core core;
static struct front *front;
static struct coap_server *server;
static struct err err;
static int server_fd, device;
static struct sockaddr_in device_at, server_at;
static uint8_t image[5000];
static const struct digest image_digest = { { 0xd1, 0x9e } };

static bool answer(struct fake_core *k, const struct request *rq, struct response *rs)
{
	(void)k;
	rs->status = 200;
	rs->observing = rq->observe;
	rs->media = MEDIA_TEXT;
	rs->body = slice_str("fine");
	return true;
}

static int socket_at(struct sockaddr_in *a)
{
	socklen_t n = sizeof(*a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)a, sizeof(*a)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)a, &n), 0);
	return fd;
}

static void put_loopback(uint8_t ip[16])
{
	static const uint8_t loopback[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };

	memcpy(ip, loopback, sizeof(loopback));
}

static void setup(void)
{
	struct front_options fo = { .sessions_max = 64, .grants_max = 64, .objects_max = 8 };
	struct coap_options o = { .n_udp = 1, .keys_fd = -1, .envelope_number = 60 };
	socklen_t n = sizeof(server_at);
	int fds[4];

	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i * 31 + (i >> 8));
	fake_core_init(&core, &fo.core_fd, true);
	core.answer = answer;
	ck_assert_int_eq(front_new(&fo, &front, &err), 0);
	fake_core_settle(&core, front);
	o.udp[0] = (struct listen_addr){ .text = "127.0.0.1:0", .v4 = true };
	put_loopback(o.udp[0].ip);
	memset(o.echo_secret, 7, sizeof(o.echo_secret));
	memcpy(o.trusted[0].ip, o.udp[0].ip, 16);
	o.trusted[0].bits = 104;
	o.n_trusted = 1;
	ck_assert_msg(coap_server_new(front, &o, &server, &err) == 0, "%s", err.text);
	ck_assert_int_eq(coap_server_fds(server, fds, 4), 1);
	server_fd = fds[0];
	ck_assert_int_eq(getsockname(server_fd, (struct sockaddr *)&server_at, &n), 0);
	device = socket_at(&device_at);
}

static void teardown(void)
{
	close(device);
	coap_server_free(server);
	front_free(front);
	fake_core_free(&core);
}

static void settle(void)
{
	if (core.ch)
		fake_core_settle(&core, front);
	coap_server_flush(server);
}

static void turn(void)
{
	struct pollfd p = { .fd = server_fd, .events = POLLIN };

	(void)poll(&p, 1, 100);
	coap_server_io(server);
	settle();
}

/* ---- the core's side ---- */

static struct ipc_send call(const char *path)
{
	struct ipc_send s = { .port = ntohs(device_at.sin_port),
			      .method = METHOD_GET,
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE };

	put_loopback(s.ip);
	memset(s.tag, path[1], sizeof(s.tag));
	snprintf(s.path, sizeof(s.path), "%s", path);
	return s;
}

static void order(const struct ipc_send *s)
{
	fake_core_send(&core, s);
	settle();
}

static void order_image(uint64_t offset)
{
	struct ipc_send s = call("/fettle/image/0");
	bool first = server->n_pushes == 0;

	s.method = METHOD_PUT;
	s.content_format = MEDIA_OCTETS;
	snprintf(s.query, sizeof(s.query), "update=7");
	s.has_object = true;
	s.object = image_digest;
	s.offset = offset;
	fake_core_grant(&core, IPC_SESSION_SEND, "/image", &image_digest,
			slice_of(image, sizeof(image)), first, 0);
	order(&s);
}

static void expect_result(unsigned n, uint16_t status, uint64_t offset)
{
	settle();
	ck_assert_uint_eq(core.n_sent, n);
	ck_assert_msg(core.sent.status == status, "status %u", core.sent.status);
	ck_assert_uint_eq(core.sent.offset, offset);
}

/* ---- the device's side ---- */

struct heard {
	bool came;
	struct wire_msg m;
	uint8_t bytes[2048];
	size_t n;
};

static struct heard *hear(void)
{
	static struct heard h;
	struct pollfd p = { .fd = device, .events = POLLIN };
	ssize_t n;

	memset(&h, 0, sizeof(h));
	if (poll(&p, 1, 20) != 1)
		return &h;
	n = recv(device, h.bytes, sizeof(h.bytes), 0);
	ck_assert_int_ge(n, 4);
	h.n = (size_t)n;
	h.came = true;
	ck_assert(wire_parse(&h.m, slice_of(h.bytes, h.n)));
	return &h;
}

static struct wire_out out;

static void say_from(int fd, struct slice payload)
{
	uint8_t d[4096];

	wire_end(&out, payload);
	ck_assert(!out.failed);
	memcpy(d, out.head, out.n);
	if (payload.n)
		memcpy(d + out.n, payload.p, payload.n);
	ck_assert_int_eq(sendto(fd, d, out.n + payload.n, 0, (struct sockaddr *)&server_at,
				sizeof(server_at)),
			 (ssize_t)(out.n + payload.n));
	turn();
}

static const struct slice none = { NULL, 0 };

static void reply_begin(const struct heard *h, enum wire_type t, uint8_t code, uint16_t mid)
{
	wire_begin(&out, t, code, mid, h->m.token, h->m.tkl);
}

static void reply(const struct heard *h, uint8_t code, const char *text)
{
	reply_begin(h, WIRE_ACK, code, h->m.mid);
	say_from(device, slice_str(text));
}

static void empty(enum wire_type t, uint16_t mid)
{
	wire_begin(&out, t, 0, mid, NULL, 0);
	say_from(device, none);
}

static void reply_block(const struct heard *h, uint8_t code, uint8_t szx, bool more)
{
	struct wire_block b = { true, more, szx, h->m.block1.num };

	reply_begin(h, WIRE_ACK, code, h->m.mid);
	wire_put_block(&out, WIRE_BLOCK1, &b);
	say_from(device, none);
}

static void let_time_pass(int64_t ms)
{
	for (struct link *l = server->confirmables.next; l != &server->confirmables; l = l->next)
		LINK_OF(l, struct confirmable, all)->due -= ms;
	for (struct link *l = server->pushes.next; l != &server->pushes; l = l->next) {
		LINK_OF(l, struct push, all)->until -= ms;
		LINK_OF(l, struct push, all)->ends -= ms;
	}
	coap_server_tick(server);
	settle();
}

/* ---- a question ---- */

START_TEST(answered_at_once)
{
	struct ipc_send s = call("/fettle/status");
	struct heard *h;

	snprintf(s.query, sizeof(s.query), "a=1&b=2");
	s.accept = MEDIA_CBOR;
	order(&s);
	h = hear();
	ck_assert(h->came && h->m.type == WIRE_CON && h->m.code == 1);
	ck_assert_str_eq(h->m.path, "/fettle/status");
	ck_assert_str_eq(h->m.query, "a=1&b=2");
	ck_assert_int_eq(h->m.accept, MEDIA_CBOR);
	ck_assert(h->m.content_format == -1 && !h->m.block1.set && h->m.payload.n == 0);
	ck_assert_uint_eq(h->m.tkl, 8);
	reply_begin(h, WIRE_ACK, WIRE_CODE(2, 5), h->m.mid);
	wire_put_uint(&out, WIRE_CONTENT_FORMAT, MEDIA_CBOR);
	say_from(device, slice_str("idle"));
	expect_result(1, 200, 0);
	ck_assert(slice_eq_str(core.sent.body, "idle"));
	ck_assert_int_eq(core.sent.media, MEDIA_CBOR);
	ck_assert(memcmp(core.sent.tag, s.tag, sizeof(s.tag)) == 0);
	ck_assert(!hear()->came);
	ck_assert(link_empty(&server->confirmables));
	/* it is no proof for what the address might ask */
	ck_assert_uint_eq(core.admits, 0);
}
END_TEST

START_TEST(posted_body)
{
	struct ipc_send s = call("/fettle/offer");
	struct heard *h;

	s.method = METHOD_POST;
	s.content_format = MEDIA_CBOR;
	s.body = slice_of(image, IPC_SEND_BODY_MAX);
	order(&s);
	h = hear();
	ck_assert(h->came && h->m.code == 2 && h->m.content_format == MEDIA_CBOR);
	ck_assert(slice_eq(h->m.payload, s.body) && !h->m.block1.set);
	reply(h, WIRE_CODE(2, 4), "");
	expect_result(1, 200, IPC_SEND_BODY_MAX);
	ck_assert_uint_eq(core.sent.body.n, 0);
}
END_TEST

/* An empty ACK, the answer by itself, that answer again because our ACK got lost. */
START_TEST(separate_response)
{
	struct ipc_send s = call("/fettle/status");
	struct heard h;

	order(&s);
	h = *hear();
	empty(WIRE_ACK, h.m.mid);
	ck_assert(link_empty(&server->confirmables));
	let_time_pass(50000);
	ck_assert(!hear()->came);
	ck_assert_uint_eq(core.n_sent, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct heard *ack;

		reply_begin(&h, WIRE_CON, WIRE_CODE(2, 5), 4711);
		say_from(device, slice_str("idle"));
		ack = hear();
		ck_assert(ack->came && ack->m.type == WIRE_ACK && ack->m.code == 0 &&
			  ack->m.mid == 4711);
		expect_result(1, 200, 0);
	}
	/* another that nobody asked for is left without a word */
	reply_begin(&h, WIRE_CON, WIRE_CODE(2, 5), 4712);
	say_from(device, slice_str("idle"));
	ck_assert(!hear()->came);
	expect_result(1, 200, 0);
}
END_TEST

START_TEST(response_before_its_ack)
{
	struct ipc_send s = call("/fettle/status");
	struct heard h;

	order(&s);
	h = *hear();
	reply_begin(&h, WIRE_NON, WIRE_CODE(4, 4), 1);
	say_from(device, none);
	expect_result(1, 404, 0);
	empty(WIRE_ACK, h.m.mid);
	expect_result(1, 404, 0);
	ck_assert(!hear()->came);
}
END_TEST

START_TEST(no_answer_after_the_ack)
{
	struct ipc_send s = call("/fettle/status");

	order(&s);
	empty(WIRE_ACK, hear()->m.mid);
	let_time_pass(61000);
	expect_result(1, 0, 0);
	ck_assert_uint_eq(server->n_pushes, 0);
}
END_TEST

START_TEST(lost_and_repeated)
{
	struct ipc_send s = call("/fettle/status");
	struct heard first;

	order(&s);
	first = *hear();
	for (unsigned i = 0; i < 3; i++) {
		struct heard *h;

		let_time_pass(40000);
		h = hear();
		ck_assert(h->came &&
			  slice_eq(slice_of(h->bytes, h->n), slice_of(first.bytes, first.n)));
	}
	reply(&first, WIRE_CODE(2, 5), "x");
	expect_result(1, 200, 0);
}
END_TEST

static void let_go_by(void)
{
	for (unsigned i = 0; i < 5; i++) {
		struct link *all = &server->confirmables;

		ck_assert_msg(hear()->came, "transmission %u", i);
		for (struct link *l = all->next; l != all; l = l->next)
			LINK_OF(l, struct confirmable, all)->due = 0;
		coap_server_tick(server);
	}
	ck_assert(!hear()->came);
}

START_TEST(never_answered)
{
	struct ipc_send s = call("/fettle/status");

	order(&s);
	let_go_by();
	expect_result(1, 0, 0);
	ck_assert(link_empty(&server->confirmables));
}
END_TEST

START_TEST(reset)
{
	struct ipc_send s = call("/fettle/status");

	order(&s);
	empty(WIRE_RST, hear()->m.mid);
	expect_result(1, 0, 0);
}
END_TEST

/* Only what comes from the device, under the token, is its answer. */
START_TEST(forged_answers)
{
	struct ipc_send s = call("/fettle/status");
	struct sockaddr_in there;
	int other = socket_at(&there);
	struct heard h;

	order(&s);
	h = *hear();
	/* another address, under the right token */
	reply_begin(&h, WIRE_ACK, WIRE_CODE(2, 5), h.m.mid);
	say_from(other, slice_str("forged"));
	/* the right address: another token, a shorter one, another message id */
	reply_begin(&h, WIRE_NON, WIRE_CODE(2, 5), 1);
	out.head[4] ^= 1;
	say_from(device, slice_str("forged"));
	wire_begin(&out, WIRE_ACK, WIRE_CODE(2, 5), h.m.mid, h.m.token, 4);
	say_from(device, slice_str("forged"));
	wire_begin(&out, WIRE_ACK, WIRE_CODE(2, 5), h.m.mid, NULL, 0);
	say_from(device, slice_str("forged"));
	reply_begin(&h, WIRE_ACK, WIRE_CODE(2, 5), (uint16_t)(h.m.mid + 1));
	say_from(device, slice_str("forged"));
	reply_begin(&h, WIRE_RST, WIRE_CODE(2, 5), h.m.mid);
	say_from(device, none);
	ck_assert_uint_eq(core.n_sent, 0);
	reply(&h, WIRE_CODE(2, 5), "true");
	expect_result(1, 200, 0);
	ck_assert(slice_eq_str(core.sent.body, "true"));
	close(other);
}
END_TEST

START_TEST(long_answer)
{
	struct ipc_send s = call("/fettle/status");
	struct wire_block b = { true, true, 4, 0 };
	struct heard *h;

	order(&s);
	h = hear();
	reply_begin(h, WIRE_ACK, WIRE_CODE(2, 5), h->m.mid);
	wire_put_block(&out, WIRE_BLOCK2, &b);
	say_from(device, slice_of(image, 256));
	h = hear();
	ck_assert(h->came && h->m.block2.set && h->m.block2.num == 1 && h->m.block2.szx == 4);
	b = (struct wire_block){ true, false, 4, 1 };
	reply_begin(h, WIRE_ACK, WIRE_CODE(2, 5), h->m.mid);
	wire_put_block(&out, WIRE_BLOCK2, &b);
	say_from(device, slice_of(image + 256, 44));
	expect_result(1, 200, 0);
	ck_assert(slice_eq(core.sent.body, slice_of(image, 300)));
}
END_TEST

START_TEST(device_wants_an_echo)
{
	struct ipc_send s = call("/fettle/status");
	struct heard *h;

	order(&s);
	h = hear();
	reply_begin(h, WIRE_ACK, WIRE_CODE(4, 1), h->m.mid);
	wire_put(&out, WIRE_ECHO, slice_str("prove it"));
	say_from(device, none);
	h = hear();
	ck_assert(h->came && slice_eq_str(h->m.echo, "prove it"));
	reply(h, WIRE_CODE(2, 5), "x");
	expect_result(1, 200, 0);
}
END_TEST

/* ---- an image ---- */

START_TEST(image_in_blocks)
{
	struct heard *h;

	order_image(0);
	for (uint32_t i = 0; i < 5; i++) {
		size_t n = i < 4 ? 1024 : sizeof(image) - 4096;

		h = hear();
		ck_assert(h->came && h->m.code == 3 && h->m.type == WIRE_CON);
		ck_assert_str_eq(h->m.path, "/fettle/image/0");
		ck_assert_str_eq(h->m.query, "update=7");
		ck_assert(h->m.block1.set && h->m.block1.num == i && h->m.block1.szx == 6 &&
			  h->m.block1.more == (i < 4));
		ck_assert(h->m.size1_set == (i == 0));
		ck_assert(i > 0 || h->m.size1 == sizeof(image));
		ck_assert(slice_eq(h->m.payload, slice_of(image + i * 1024, n)));
		ck_assert_uint_eq(core.n_sent, 0);
		reply_block(h, i < 4 ? WIRE_CODE(2, 31) : WIRE_CODE(2, 4), 6, i < 4);
	}
	expect_result(1, 200, sizeof(image));
	ck_assert(!hear()->came);
}
END_TEST

START_TEST(image_goes_on)
{
	struct heard *h;

	order_image(3072);
	h = hear();
	ck_assert(h->m.block1.num == 3 && h->m.size1 == sizeof(image));
	/* smaller from here on */
	reply_block(h, WIRE_CODE(2, 31), 5, true);
	h = hear();
	ck_assert(h->m.block1.num == 8 && h->m.block1.szx == 5 && h->m.block1.more);
	ck_assert(slice_eq(h->m.payload, slice_of(image + 4096, 512)));
	reply_block(h, WIRE_CODE(4, 8), 5, true);
	expect_result(1, 408, 4096);
}
END_TEST

/* A block's answer that comes twice, and late, brings nothing on and takes nothing back. */
START_TEST(late_answers)
{
	struct heard first, second;

	order_image(0);
	first = *hear();
	reply_block(&first, WIRE_CODE(2, 31), 6, true);
	second = *hear();
	reply_block(&first, WIRE_CODE(2, 31), 6, true);
	ck_assert(!hear()->came);
	reply_begin(&first, WIRE_CON, WIRE_CODE(4, 8), 99);
	say_from(device, none);
	ck_assert(!hear()->came);
	empty(WIRE_ACK, first.m.mid);
	empty(WIRE_RST, first.m.mid);
	ck_assert_uint_eq(core.n_sent, 0);
	reply_block(&second, WIRE_CODE(2, 31), 6, true);
	ck_assert_uint_eq(hear()->m.block1.num, 2);
}
END_TEST

START_TEST(image_too_large)
{
	struct heard *h;

	order_image(0);
	h = hear();
	reply_block(h, WIRE_CODE(4, 13), 4, false);
	h = hear();
	ck_assert(h->m.block1.szx == 4 && h->m.block1.num == 0 && h->m.payload.n == 256);
	reply_block(h, WIRE_CODE(4, 13), 4, false);
	expect_result(1, 413, 0);
}
END_TEST

START_TEST(image_silent_in_the_middle)
{
	order_image(0);
	reply_block(hear(), WIRE_CODE(2, 31), 6, true);
	reply_block(hear(), WIRE_CODE(2, 31), 6, true);
	ck_assert(hear()->came);
	for (unsigned i = 0; i < 5; i++)
		let_time_pass(100000);
	expect_result(1, 0, 2048);
}
END_TEST

START_TEST(image_withdrawn)
{
	order_image(0);
	reply_block(hear(), WIRE_CODE(2, 31), 6, true);
	ck_assert(hear()->came);
	fake_core_withdraw(&core, &image_digest);
	settle();
	let_time_pass(0);
	expect_result(1, 410, 1024);
	/* and it is not there for the next */
	struct ipc_send s = call("/fettle/image/0");
	s.has_object = true;
	s.object = image_digest;
	order(&s);
	expect_result(2, 410, 0);
}
END_TEST

/* One that is withdrawn while others wait: each is told, none goes out. */
START_TEST(image_withdrawn_under_many)
{
	for (unsigned i = 0; i < IPC_SENDS_A_PEER; i++)
		order_image(0);
	ck_assert(hear()->came);
	ck_assert_uint_eq(server->n_pushes, IPC_SENDS_A_PEER);
	fake_core_withdraw(&core, &image_digest);
	settle();
	let_time_pass(0);
	expect_result(IPC_SENDS_A_PEER, 410, 0);
	ck_assert(!hear()->came);
	ck_assert_uint_eq(server->n_pushes, 0);
}
END_TEST

/* Others want their turn: after an hour it is over, and may go on with a new call. */
START_TEST(slow_device)
{
	unsigned i = 0;

	order_image(0);
	while (core.n_sent == 0 && i++ < 200) {
		struct heard h = *hear();

		let_time_pass(50000);
		if (core.n_sent == 0)
			reply_block(&h, WIRE_CODE(2, 31), 0, true);
	}
	ck_assert_uint_eq(core.n_sent, 1);
	ck_assert_uint_eq(core.sent.status, 0);
	ck_assert_uint_gt(core.sent.offset, 1024);
	ck_assert_uint_le(i, 73);
}
END_TEST

/* ---- whom, and how many ---- */

/* The device's own session, though the order names another address. */
static uint64_t session_of_device(void)
{
	wire_begin(&out, WIRE_CON, 1, 77, NULL, 0);
	wire_put(&out, WIRE_URI_PATH, slice_str("hello"));
	say_from(device, none);
	ck_assert(hear()->came);
	return core.last_session;
}

START_TEST(over_its_session)
{
	struct ipc_send s = call("/fettle/status");
	struct heard *h;

	s.session = session_of_device();
	memset(s.ip, 0, sizeof(s.ip));
	s.port = 0;
	order(&s);
	h = hear();
	ck_assert(h->came && h->m.type == WIRE_CON);
	/* while it is called it may ask, under the same token even */
	wire_begin(&out, WIRE_CON, 1, h->m.mid, h->m.token, h->m.tkl);
	wire_put(&out, WIRE_URI_PATH, slice_str("me"));
	struct heard asked = *h;
	say_from(device, none);
	h = hear();
	ck_assert(h->came && h->m.type == WIRE_ACK && h->m.code == WIRE_CODE(2, 5));
	reply(&asked, WIRE_CODE(2, 5), "x");
	expect_result(1, 200, 0);
	/* gone: nobody to ask */
	fake_core_drop(&core, s.session);
	settle();
	order(&s);
	expect_result(2, 0, 0);
}
END_TEST

/* One that lets a call go by may be left behind: its address is next, until it speaks again. */
START_TEST(over_a_dead_session)
{
	struct ipc_send s = call("/fettle/status");
	struct sockaddr_in there;
	int other = socket_at(&there), own = device;
	struct heard h;

	s.session = session_of_device();
	s.port = ntohs(there.sin_port);
	order(&s);
	let_go_by();
	expect_result(1, 0, 0);
	order(&s);
	ck_assert(!hear()->came);
	device = other;
	h = *hear();
	ck_assert(h.came);
	reply(&h, WIRE_CODE(2, 5), "x");
	expect_result(2, 200, 0);
	device = own;
	(void)session_of_device();
	order(&s);
	h = *hear();
	ck_assert(h.came);
	reply(&h, WIRE_CODE(2, 5), "x");
	expect_result(3, 200, 0);
	close(other);
}
END_TEST

START_TEST(session_ends_in_the_middle)
{
	struct ipc_send s = call("/fettle/image/0");

	s.session = session_of_device();
	s.method = METHOD_PUT;
	s.has_object = true;
	s.object = image_digest;
	fake_core_grant(&core, IPC_SESSION_SEND, "/image", &image_digest,
			slice_of(image, sizeof(image)), true, 0);
	order(&s);
	order(&s);
	reply_block(hear(), WIRE_CODE(2, 31), 6, true);
	ck_assert(hear()->came);
	fake_core_drop(&core, s.session);
	settle();
	ck_assert_uint_eq(core.n_sent, 2);
	ck_assert_uint_eq(core.sent.status, 0);
	ck_assert_uint_eq(server->n_pushes, 0);
	ck_assert(link_empty(&server->confirmables));
	ck_assert(!hear()->came);
}
END_TEST

START_TEST(one_at_a_time)
{
	static const char *const paths[] = { "/a", "/b", "/c", "/d" };
	struct ipc_send s;
	struct heard *h;

	for (unsigned i = 0; i < IPC_SENDS_A_PEER; i++) {
		s = call(paths[i]);
		order(&s);
	}
	s = call("/e");
	order(&s);
	expect_result(1, 503, 0);
	ck_assert_uint_eq(core.sent.tag[0], 'e');
	for (unsigned i = 0; i < IPC_SENDS_A_PEER; i++) {
		h = hear();
		ck_assert(h->came);
		ck_assert_str_eq(h->m.path, paths[i]);
		struct heard mine = *h;
		ck_assert(!hear()->came);
		reply(&mine, WIRE_CODE(2, 5), "");
		ck_assert_uint_eq(core.sent.tag[0], (uint8_t)paths[i][1]);
	}
	expect_result(1 + IPC_SENDS_A_PEER, 200, 0);
}
END_TEST

START_TEST(one_hangs_the_next_goes)
{
	struct ipc_send a = call("/a"), b = call("/b");

	order(&a);
	order(&b);
	empty(WIRE_RST, hear()->m.mid);
	expect_result(1, 0, 0);
	ck_assert_str_eq(hear()->m.path, "/b");
}
END_TEST

START_TEST(bounded)
{
	struct ipc_send s = call("/a");

	server->n_pushes = IPC_SENDS_MAX;
	order(&s);
	server->n_pushes = 0;
	expect_result(1, 503, 0);
	ck_assert(!hear()->came);
}
END_TEST

/* Neither nowhere, nor to many, nor to what answers anything. */
START_TEST(never_there)
{
	static const struct {
		const char *ip;
		uint16_t port;
	} rows[] = {
		{ "::ffff:0.0.0.0", 5683 },
		{ "::ffff:224.0.1.187", 5683 },
		{ "::ffff:255.255.255.255", 9 },
		{ "ff02::fd", 5683 },
		{ "::", 5683 },
		{ "::ffff:127.0.0.1", 0 },
		{ "::ffff:127.0.0.1", 53 },
		{ "::1", 5683 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ipc_send s = call("/a");

		ck_assert_int_eq(inet_pton(AF_INET6, rows[i].ip, s.ip), 1);
		s.port = rows[i].port;
		order(&s);
		expect_result(i + 1, 0, 0);
	}
	/* DTLS, and no such socket here */
	struct ipc_send s = call("/a");
	snprintf(s.identity, sizeof(s.identity), "dev-1");
	order(&s);
	expect_result(9, 0, 0);
	ck_assert_uint_eq(server->n_pushes, 0);
}
END_TEST

/* Peers that were called only give way as others do. */
START_TEST(many_devices)
{
	int fds[40];

	for (unsigned i = 0; i < 40; i++) {
		struct sockaddr_in at;
		struct ipc_send s = call("/a");

		fds[i] = socket_at(&at);
		s.port = ntohs(at.sin_port);
		order(&s);
	}
	/* 32 is the share of plain UDP */
	ck_assert_uint_eq(core.n_sent, 8);
	ck_assert_uint_eq(core.sent.status, 0);
	ck_assert_uint_eq(server->n_pushes, 32);
	ck_assert_uint_eq(core.closed, 0);
	for (unsigned i = 0; i < 40; i++)
		close(fds[i]);
}
END_TEST

/* Nothing but what the core ordered goes to an address that is not proven. */
START_TEST(called_is_not_proven)
{
	struct ipc_send s = call("/a");
	struct heard h;

	server->o.n_trusted = 0;
	order(&s);
	h = *hear();
	empty(WIRE_ACK, h.m.mid);
	reply_begin(&h, WIRE_NON, WIRE_CODE(2, 5), 1);
	say_from(device, none);
	expect_result(1, 200, 0);
	wire_begin(&out, WIRE_CON, 1, 77, NULL, 0);
	wire_put(&out, WIRE_URI_PATH, slice_str("hello"));
	say_from(device, none);
	ck_assert_uint_eq(hear()->m.code, WIRE_CODE(4, 1));
	ck_assert_uint_eq(core.requests, 0);
}
END_TEST

START_TEST(core_goes)
{
	struct ipc_send s = call("/a");

	order(&s);
	channel_free(core.ch);
	core.ch = NULL;
	ck_assert_int_eq(front_io(front, &err), -1);
	reply(hear(), WIRE_CODE(2, 5), "x");
	ck_assert_uint_eq(server->n_pushes, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coap push");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, answered_at_once);
	tcase_add_test(t, posted_body);
	tcase_add_test(t, separate_response);
	tcase_add_test(t, response_before_its_ack);
	tcase_add_test(t, no_answer_after_the_ack);
	tcase_add_test(t, lost_and_repeated);
	tcase_add_test(t, never_answered);
	tcase_add_test(t, reset);
	tcase_add_test(t, forged_answers);
	tcase_add_test(t, long_answer);
	tcase_add_test(t, device_wants_an_echo);
	tcase_add_test(t, image_in_blocks);
	tcase_add_test(t, image_goes_on);
	tcase_add_test(t, late_answers);
	tcase_add_test(t, image_too_large);
	tcase_add_test(t, image_silent_in_the_middle);
	tcase_add_test(t, image_withdrawn);
	tcase_add_test(t, image_withdrawn_under_many);
	tcase_add_test(t, slow_device);
	tcase_add_test(t, over_its_session);
	tcase_add_test(t, over_a_dead_session);
	tcase_add_test(t, session_ends_in_the_middle);
	tcase_add_test(t, one_at_a_time);
	tcase_add_test(t, one_hangs_the_next_goes);
	tcase_add_test(t, bounded);
	tcase_add_test(t, never_there);
	tcase_add_test(t, many_devices);
	tcase_add_test(t, called_is_not_proven);
	tcase_add_test(t, core_goes);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
