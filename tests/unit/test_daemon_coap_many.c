/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct in_pktinfo */
#endif
#include "daemon/coap.h"

#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/coap_internal.h"
#include "fake_core.h"

/* Many peers, from as many addresses of the loopback network, and sockets that listen to all. */
#define FLEET 10000u
#define BATCH 50u
#define SOCKETS 8u

static struct fake_core core;
static struct front *front;
static struct coap_server *server;
static struct err err;
static int server_fd, fleet[SOCKETS]; /* a burst is more than one of them receives */
static uint16_t port;
static struct wire_out out;

static bool answer(struct fake_core *k, const struct request *rq, struct response *rs)
{
	(void)k;
	rs->status = 200;
	rs->media = MEDIA_TEXT;
	rs->body = slice_str("look");
	rs->observing = rq->observe;
	rs->max_age = 3600;
	return true;
}

static int start(bool v4)
{
	struct front_options fo = { .sessions_max = 2 * FLEET, .grants_max = 64, .objects_max = 8 };
	struct coap_options o = { .n_udp = 1, .keys_fd = -1, .n_trusted = 1 };
	struct sockaddr_in6 a;
	socklen_t n = sizeof(a);
	int fds[4];

	fake_core_init(&core, &fo.core_fd, true);
	core.answer = answer;
	ck_assert_int_eq(front_new(&fo, &front, &err), 0);
	fake_core_settle(&core, front);
	o.udp[0] = (struct listen_addr){ .text = "any", .v4 = v4 };
	o.udp[0].ip[10] = o.udp[0].ip[11] = v4 ? 0xff : 0;
	o.trusted[0].ip[10] = o.trusted[0].ip[11] = 0xff;
	o.trusted[0].ip[12] = 127;
	o.trusted[0].bits = 104;
	if (coap_server_new(front, &o, &server, &err) != 0)
		return -1;
	ck_assert_int_eq(coap_server_fds(server, fds, 4), 1);
	server_fd = fds[0];
	ck_assert_int_eq(getsockname(server_fd, (struct sockaddr *)&a, &n), 0);
	port = a.sin6_port; /* where sin_port is, too */
	return 0;
}

static int open_socket(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void setup(void)
{
	ck_assert_int_eq(start(true), 0);
	for (unsigned i = 0; i < SOCKETS; i++)
		fleet[i] = open_socket();
}

static void teardown(void)
{
	for (unsigned i = 0; i < SOCKETS; i++)
		close(fleet[i]);
	coap_server_free(server);
	front_free(front);
	fake_core_free(&core);
}

static void turn(void)
{
	struct pollfd p = { .fd = server_fd, .events = POLLIN };

	if (poll(&p, 1, 20) > 0)
		coap_server_io(server);
	fake_core_settle(&core, front);
	coap_server_flush(server);
}

/* out to the server at an address, from 127.1.x.y. */
static void send_as(int fd, uint32_t to, unsigned who)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = port,
				 .sin_addr = { htonl(to) } };
	union {
		char b[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr h;
	} control = { .b = { 0 } };
	struct in_pktinfo from = { .ipi_spec_dst = { htonl(0x7f010000u + who) } };
	struct iovec io = { out.head, out.n };
	struct msghdr m = { .msg_name = &a,
			    .msg_namelen = sizeof(a),
			    .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = control.b,
			    .msg_controllen = sizeof(control.b) };

	control.h.cmsg_level = IPPROTO_IP;
	control.h.cmsg_type = IP_PKTINFO;
	control.h.cmsg_len = CMSG_LEN(sizeof(from));
	memcpy(CMSG_DATA(&control.h), &from, sizeof(from));
	ck_assert_int_eq(sendmsg(fd, &m, 0), (ssize_t)out.n);
}

static void get(unsigned who, bool observe)
{
	wire_begin(&out, WIRE_CON, 1, (uint16_t)who, (const uint8_t *)"t", 1);
	if (observe)
		wire_put_uint(&out, WIRE_OBSERVE, 0);
	wire_put(&out, WIRE_URI_PATH, slice_str("u"));
	wire_end(&out, slice_of(NULL, 0));
	send_as(fleet[who % SOCKETS], INADDR_LOOPBACK, who);
}

/* What came for anybody: who it is for in *who. */
static bool take(struct wire_msg *m, unsigned *who)
{
	static uint8_t bytes[2048];
	union {
		char b[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr h;
	} control;
	struct iovec io = { bytes, sizeof(bytes) };
	struct msghdr h = { .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = control.b,
			    .msg_controllen = sizeof(control.b) };
	struct in_pktinfo to;
	ssize_t n = -1;

	for (unsigned i = 0; i < SOCKETS && n < 0; i++)
		n = recvmsg(fleet[i], &h, 0);
	if (n < 0)
		return false;
	ck_assert(wire_parse(m, slice_of(bytes, (size_t)n)));
	memcpy(&to, CMSG_DATA(&control.h), sizeof(to));
	*who = ntohl(to.ipi_addr.s_addr) - 0x7f010000u;
	return true;
}

static void acknowledge(unsigned who, uint16_t mid)
{
	wire_begin(&out, WIRE_ACK, 0, mid, NULL, 0);
	wire_end(&out, slice_of(NULL, 0));
	send_as(fleet[who % SOCKETS], INADDR_LOOPBACK, who);
}

static void take_all(unsigned n)
{
	static struct wire_msg m;
	unsigned who;

	while (n-- > 0)
		ck_assert(take(&m, &who));
}

/* ---- Observe ---- */

static void observe_all(void)
{
	for (unsigned i = 0; i < FLEET; i += BATCH) {
		for (unsigned j = i; j < i + BATCH; j++)
			get(j, true);
		turn();
		take_all(BATCH);
	}
	ck_assert_uint_eq(server->n_observers, FLEET);
}

static void let_time_pass(int64_t ms)
{
	for (struct link *l = server->confirmables.next; l != &server->confirmables; l = l->next)
		LINK_OF(l, struct confirmable, all)->due -= ms;
	coap_server_tick(server);
}

/*
 * Every observer of a fleet hears of it, and is there for the next time: what finds no room in a
 * batch comes with a later one, what a short receive queue loses comes again.
 */
START_TEST(fleet_is_told)
{
	static bool heard[FLEET];
	static struct wire_msg m;
	unsigned told = 0, who;

	observe_all();
	fake_core_notify(&core, "/u");
	for (unsigned i = 0; i < 400 && told < FLEET; i++) {
		unsigned came = 0;

		fake_core_settle(&core, front);
		coap_server_flush(server);
		while (take(&m, &who)) {
			ck_assert(who < FLEET && m.type == WIRE_CON && m.observe_set);
			told += !heard[who];
			heard[who] = true;
			acknowledge(who, m.mid);
			if (++came % BATCH == 0)
				turn();
		}
		turn();
		let_time_pass(came ? 0 : 2000);
	}
	ck_assert_uint_eq(told, FLEET);
	ck_assert_uint_eq(server->n_observers, FLEET);
	ck_assert_uint_eq(server->n_confirmables, 0);
}
END_TEST

/*
 * Where there is no room for one more peer the one used longest ago goes, and its observation
 * with it: it finds out when what it was told is too old (Max-Age), and is back by asking.
 */
START_TEST(evicted_observer_comes_back)
{
	static struct wire_msg m;
	unsigned who;

	observe_all();
	get(FLEET, false);
	turn();
	take_all(1);
	ck_assert_uint_eq(server->n_observers, FLEET - 1);
	/* what it still acknowledges or sends is met as from anybody */
	acknowledge(0, 1);
	get(0, true);
	turn();
	ck_assert(take(&m, &who));
	ck_assert_uint_eq(who, 0);
	ck_assert(m.code == WIRE_CODE(2, 5) && m.observe_set);
	ck_assert_uint_eq(server->n_observers, FLEET - 1);
}
END_TEST

/* ---- bodies in blocks ---- */

static void begin_body(int fd, unsigned who)
{
	static const uint8_t block[16];
	struct wire_block b = { .set = true, .more = true };

	wire_begin(&out, WIRE_CON, 3, 1, (const uint8_t *)"t", 1);
	wire_put(&out, WIRE_URI_PATH, slice_str("u"));
	wire_put_block(&out, WIRE_BLOCK1, &b);
	wire_end(&out, slice_of(block, sizeof(block)));
	memcpy(out.head + out.n, block, sizeof(block));
	out.n += sizeof(block);
	send_as(fd, INADDR_LOOPBACK, who);
	turn();
}

static struct coap_peer *peer_of(unsigned who)
{
	for (struct link *l = server->bodies.next; l != &server->bodies; l = l->next) {
		struct coap_peer *p = LINK_OF(l, struct body, all)->peer;

		if (p->addr.ip[15] == (uint8_t)who && p->addr.ip[14] == (uint8_t)(who >> 8))
			return p;
	}
	return NULL;
}

/* Beginnings from one address, ever another port, push out none from elsewhere. */
START_TEST(bodies_of_a_flood)
{
	for (unsigned i = 0; i < 3; i++)
		begin_body(fleet[i], 1000 + i);
	for (unsigned i = 0; i < BODIES_MAX + 100; i++) {
		int fd = open_socket();

		begin_body(fd, 7);
		close(fd);
	}
	ck_assert_uint_eq(server->n_bodies, BODIES_MAX);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_msg(peer_of(1000 + i) != NULL, "%u is gone", i);
	/* and one more finds room */
	begin_body(fleet[0], 2000);
	ck_assert_ptr_nonnull(peer_of(2000));
	ck_assert_ptr_nonnull(peer_of(1000));
}
END_TEST

/* ---- to all ---- */

static void expect_silence(bool v4)
{
	static struct wire_msg m;
	unsigned who;

	if (!v4) {
		teardown();
		if (start(false) != 0)
			return; /* no IPv6 here */
		for (unsigned i = 0; i < SOCKETS; i++)
			fleet[i] = open_socket();
	}
	get(5, false);
	turn();
	ck_assert(take(&m, &who));
	for (unsigned i = 0; i < 2; i++) {
		wire_begin(&out, WIRE_CON, i ? 0 : 1, 7, (const uint8_t *)"t", i ? 0 : 1);
		wire_end(&out, slice_of(NULL, 0));
		send_as(fleet[5], 0x7fffffff, 5);
		turn();
		ck_assert_msg(!take(&m, &who), "answered, %s", v4 ? "IPv4" : "IPv6");
	}
	ck_assert_uint_eq(core.requests, 1);
}

START_TEST(broadcast)
{
	expect_silence(true);
}
END_TEST

START_TEST(broadcast_to_both_families)
{
	expect_silence(false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coap many");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, fleet_is_told);
	tcase_add_test(t, evicted_observer_comes_back);
	tcase_add_test(t, bodies_of_a_flood);
	tcase_add_test(t, broadcast);
	tcase_add_test(t, broadcast_to_both_families);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
