/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap.h"

#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/coap_internal.h"
#include "fake_core.h"

/* The adapter on loopback, a core inside the test, and a client that speaks in datagrams. */
static struct fake_core core;
static struct front *front;
static struct coap_server *server;
static struct err err;
static int client, server_fd;
static uint8_t image[70000];
static struct digest image_digest = { { 0xd1, 0x9e, 0x57, 4, 5, 6, 7, 8, 9 } };
static bool object_sent, observing;
static unsigned state;

static void answer_image(struct fake_core *k, const struct request *rq, struct response *rs)
{
	char path[PATH_MAX_LEN + 1];

	snprintf(path, sizeof(path), "%.*s", (int)rq->path.n, (const char *)rq->path.p);
	fake_core_grant(k, rq->session, path, &image_digest, slice_of(image, sizeof(image)),
			!object_sent, 0);
	object_sent = true;
	rs->status = 200;
	rs->media = MEDIA_OCTETS;
	rs->has_object = true;
	rs->object = image_digest;
}

static bool answer(struct fake_core *k, const struct request *rq, struct response *rs)
{
	static char text[4096];

	if (slice_starts(rq->path, "/image/")) {
		answer_image(k, rq, rs);
	} else if (slice_eq_str(rq->path, "/big")) {
		memset(text, 'b', 3000);
		rs->status = 200;
		rs->media = MEDIA_TEXT;
		rs->body = slice_of(text, 3000);
	} else if (slice_eq_str(rq->path, "/moving")) {
		memset(text, (int)('0' + k->requests % 10), 100);
		rs->status = 200;
		rs->media = MEDIA_TEXT;
		rs->etag.n = 8;
		memset(rs->etag.b, text[0], 8);
		rs->body = slice_of(text, 100);
	} else if (slice_eq_str(rq->path, "/device/a/update") ||
		   slice_eq_str(rq->path, "/d/a/update")) {
		snprintf(text, sizeof(text), "state %u", state);
		rs->status = 200;
		rs->media = MEDIA_TEXT;
		rs->body = slice_str(text);
		rs->observing = rq->observe && observing;
		rs->max_age = 60;
	} else if (slice_eq_str(rq->path, "/created")) {
		rs->status = 201;
		snprintf(rs->location, sizeof(rs->location), "/api/x/7?a=1&b=2");
	} else if (slice_eq_str(rq->path, "/close")) {
		rs->status = 401;
		rs->close = true;
	} else if (rq->method != METHOD_GET) {
		snprintf(text, sizeof(text), "%zu bytes, %u requests", rq->body.n, k->requests);
		rs->status = 200;
		rs->media = MEDIA_TEXT;
		rs->body = slice_str(text);
	}
	return true;
}

static struct listen_addr loopback(void)
{
	struct listen_addr a = { .text = "127.0.0.1:0", .v4 = true };

	a.ip[10] = a.ip[11] = 0xff;
	a.ip[12] = 127;
	a.ip[15] = 1;
	return a;
}

static int client_open(void)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(getsockname(server_fd, (struct sockaddr *)&a, &n), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void start(bool trusted)
{
	struct front_options fo = { .sessions_max = 64, .grants_max = 64, .objects_max = 8 };
	struct coap_options o = { .n_udp = 1, .keys_fd = -1, .envelope_number = 60 };
	int fds[4];

	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i * 31 + (i >> 8));
	fake_core_init(&core, &fo.core_fd, true);
	core.answer = answer;
	ck_assert_int_eq(front_new(&fo, &front, &err), 0);
	fake_core_settle(&core, front);
	o.udp[0] = loopback();
	memset(o.echo_secret, 7, sizeof(o.echo_secret));
	if (trusted) {
		memcpy(o.trusted[0].ip, o.udp[0].ip, 16);
		o.trusted[0].bits = 104;
		o.n_trusted = 1;
	}
	ck_assert_msg(coap_server_new(front, &o, &server, &err) == 0, "%s", err.text);
	ck_assert_int_eq(coap_server_fds(server, fds, 4), 1);
	server_fd = fds[0];
	client = client_open();
}

static void setup(void)
{
	start(true);
}

static void setup_untrusted(void)
{
	start(false);
}

static void teardown(void)
{
	close(client);
	coap_server_free(server);
	front_free(front);
	fake_core_free(&core);
}

static void turn(void)
{
	struct pollfd p = { .fd = server_fd, .events = POLLIN };

	(void)poll(&p, 1, 100);
	coap_server_io(server);
	fake_core_settle(&core, front);
	coap_server_flush(server);
}

/* ---- the client ---- */

struct reply {
	bool came;
	struct wire_msg m; /* answers carry options a request may not: faults are of no account */
	uint8_t bytes[2048];
	size_t n;
	struct slice etag, location[4];
	unsigned n_location;
	uint32_t size2, max_age, observe;
	bool has_size2, has_max_age, has_observe;
	struct wire_block block2, block1;
	struct slice echo;
};

static uint32_t number(struct slice v)
{
	uint32_t n = 0;

	for (size_t i = 0; i < v.n; i++)
		n = n << 8 | v.p[i];
	return n;
}

static void note_option(struct reply *r, unsigned option, struct slice v)
{
	uint32_t n = number(v);

	if (option == WIRE_ETAG)
		r->etag = v;
	if (option == WIRE_LOCATION_PATH || option == WIRE_LOCATION_QUERY)
		r->location[r->n_location++ % 4] = v;
	if (option == WIRE_SIZE2)
		r->has_size2 = true, r->size2 = n;
	if (option == WIRE_MAX_AGE)
		r->has_max_age = true, r->max_age = n;
	if (option == WIRE_OBSERVE)
		r->has_observe = true, r->observe = n;
	if (option == WIRE_BLOCK2)
		r->block2 = (struct wire_block){ true, n >> 3 & 1, n & 7, n >> 4 };
	if (option == WIRE_BLOCK1)
		r->block1 = (struct wire_block){ true, n >> 3 & 1, n & 7, n >> 4 };
	if (option == WIRE_ECHO)
		r->echo = v;
}

static struct reply *take(int fd)
{
	static struct reply r;
	struct wire_walk w = { 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct slice v;
	ssize_t n;

	memset(&r, 0, sizeof(r));
	if (poll(&p, 1, 20) != 1)
		return &r;
	n = recv(fd, r.bytes, sizeof(r.bytes), 0);
	ck_assert_int_ge(n, 4);
	r.n = (size_t)n;
	r.came = true;
	ck_assert(wire_parse(&r.m, slice_of(r.bytes, r.n)));
	w.rest = slice_of(r.bytes + 4 + r.m.tkl, r.n - 4 - r.m.tkl);
	while (wire_next(&w, &v) == 1)
		note_option(&r, w.number, v);
	return &r;
}

static struct wire_out out;
static uint16_t mid = 100;

/* A request to write options into; path segments come with path(). */
static void begin(enum wire_type t, uint8_t code)
{
	wire_begin(&out, t, code, ++mid, (const uint8_t *)"tk", 2);
}

static void path(const char *p)
{
	while (*p) {
		size_t n = strcspn(p + 1, "/");

		wire_put(&out, WIRE_URI_PATH, slice_of(p + 1, n));
		p += 1 + n;
	}
}

static void send_to(int fd, struct slice payload)
{
	uint8_t d[4096];

	wire_end(&out, payload);
	ck_assert(!out.failed);
	memcpy(d, out.head, out.n);
	if (payload.n)
		memcpy(d + out.n, payload.p, payload.n);
	ck_assert_int_eq(send(fd, d, out.n + payload.n, 0), (ssize_t)(out.n + payload.n));
}

static struct reply *ask(struct slice payload)
{
	send_to(client, payload);
	turn();
	return take(client);
}

static const struct slice none = { NULL, 0 };

static struct reply *get_block(const char *p, int szx, uint32_t num)
{
	struct wire_block b = { .set = true, .szx = (uint8_t)(szx < 0 ? 0 : szx), .num = num };

	begin(WIRE_CON, 1);
	path(p);
	if (szx >= 0)
		wire_put_block(&out, WIRE_BLOCK2, &b);
	return ask(none);
}

static void expect(const struct reply *r, uint8_t code)
{
	ck_assert(r->came);
	ck_assert_msg(r->m.code == code, "%u.%02u", r->m.code >> 5, r->m.code & 31);
	ck_assert_uint_eq(r->m.tkl, 2);
	ck_assert(memcmp(r->m.token, "tk", 2) == 0);
}

/* ---- images ---- */

START_TEST(image_blocks)
{
	static const uint8_t sizes[] = { 6, 0, 2, 3, 5, 1, 4 };
	unsigned asked;

	for (unsigned i = 0; i < sizeof(sizes); i++) {
		size_t block = (size_t)16 << sizes[i];
		uint32_t last = (uint32_t)(sizeof(image) - 1) / (uint32_t)block;
		uint32_t nums[] = { last, 0, 7 % (last + 1), last / 2, 0 };

		for (unsigned j = 0; j < 5; j++) {
			struct reply *r = get_block("/image/x", sizes[i], nums[j]);
			size_t offset = nums[j] * block;
			size_t n = sizeof(image) - offset < block ? sizeof(image) - offset : block;

			expect(r, WIRE_CODE(2, 5));
			ck_assert_int_eq(r->m.type, WIRE_ACK);
			ck_assert_uint_eq(r->m.mid, mid);
			ck_assert(slice_eq(r->m.payload, slice_of(image + offset, n)));
			ck_assert(slice_eq(r->etag, slice_of(image_digest.b, 8)));
			ck_assert(r->has_size2 && r->size2 == sizeof(image));
			ck_assert(r->block2.set && r->block2.num == nums[j] &&
				  r->block2.szx == sizes[i] && r->block2.more == (nums[j] < last));
		}
	}
	/* only the first request was the core's business */
	asked = core.requests;
	ck_assert_uint_eq(asked, 1);
	expect(get_block("/image/x", -1, 0), WIRE_CODE(2, 5));
	expect(get_block("/image/x", 6, 69), WIRE_CODE(4, 0));
	expect(get_block("/image/x", 7, 0), WIRE_CODE(4, 0));
	ck_assert_uint_eq(core.requests, asked);
}
END_TEST

START_TEST(image_etag)
{
	struct reply *r;

	get_block("/image/x", 6, 0);
	begin(WIRE_CON, 1);
	wire_put(&out, WIRE_ETAG, slice_of(image_digest.b, 8));
	path("/image/x");
	r = ask(none);
	expect(r, WIRE_CODE(2, 3));
	ck_assert_uint_eq(r->m.payload.n, 0);
	ck_assert(slice_eq(r->etag, slice_of(image_digest.b, 8)));
	begin(WIRE_NON, 1);
	wire_put(&out, WIRE_ETAG, slice_of("12345678", 8));
	path("/image/x");
	r = ask(none);
	expect(r, WIRE_CODE(2, 5));
	ck_assert_int_eq(r->m.type, WIRE_NON);
	ck_assert_uint_eq(r->m.payload.n, 1024);
}
END_TEST

START_TEST(image_withdrawn)
{
	unsigned asked;

	get_block("/image/x", 6, 0);
	asked = core.requests;
	fake_core_withdraw(&core, &image_digest);
	fake_core_settle(&core, front);
	object_sent = false;
	expect(get_block("/image/x", 6, 1), WIRE_CODE(2, 5));
	ck_assert_uint_eq(core.requests, asked + 1);
}
END_TEST

START_TEST(image_unmapped)
{
	/* granted, but the descriptor never came: an error with a retry time, no bytes */
	struct reply *r;

	object_sent = true;
	r = get_block("/image/x", 6, 0);
	expect(r, WIRE_CODE(5, 3));
	ck_assert(r->has_max_age && r->m.payload.n == 0);
}
END_TEST

START_TEST(body_in_blocks)
{
	struct reply *r = get_block("/big", -1, 0);

	expect(r, WIRE_CODE(2, 5));
	ck_assert(r->block2.set && r->block2.more && r->block2.szx == 6);
	ck_assert_uint_eq(r->m.payload.n, 1024);
	r = get_block("/big", 6, 2);
	ck_assert_uint_eq(r->m.payload.n, 3000 - 2048);
	ck_assert(!r->block2.more);
	expect(get_block("/big", 6, 3), WIRE_CODE(4, 0));
	r = get_block("/big", 0, 187);
	ck_assert_uint_eq(r->m.payload.n, 8);
}
END_TEST

/* All blocks are of the answer that was begun, whatever the core would say by now. */
START_TEST(blocks_of_one_moment)
{
	struct reply *r = get_block("/moving", 1, 0);
	uint8_t first[32], tag;
	unsigned asked = core.requests;

	expect(r, WIRE_CODE(2, 5));
	memcpy(first, r->m.payload.p, sizeof(first));
	tag = r->etag.p[0];
	for (uint32_t i = 1; i < 4; i++) {
		r = get_block("/moving", 1, i);
		expect(r, WIRE_CODE(2, 5));
		ck_assert_int_eq(memcmp(r->m.payload.p, first, r->m.payload.n), 0);
		ck_assert(r->etag.n == 8 && r->etag.p[0] == tag);
		ck_assert(r->block2.set && r->block2.num == i && r->block2.more == (i < 3));
	}
	expect(get_block("/moving", 1, 4), WIRE_CODE(4, 0));
	ck_assert_uint_eq(core.requests, asked);
	/* the first once more is of now, and so are those behind it */
	r = get_block("/moving", 1, 0);
	ck_assert_uint_eq(core.requests, asked + 1);
	ck_assert_uint_ne(r->etag.p[0], tag);
	tag = r->etag.p[0];
	r = get_block("/moving", 2, 1);
	ck_assert_uint_eq(core.requests, asked + 1);
	ck_assert_uint_eq(r->etag.p[0], tag);
	ck_assert_uint_eq(r->m.payload.n, 36);
	/* something else in between: the tag tells that this is another answer */
	expect(get_block("/big", 1, 0), WIRE_CODE(2, 5));
	r = get_block("/moving", 1, 1);
	ck_assert_uint_eq(core.requests, asked + 3);
	ck_assert_uint_ne(r->etag.p[0], tag);
	/* and nothing is kept for ever */
	server->now += KEPT_MS;
	kept_expire(server);
	ck_assert_uint_eq(server->kept_bytes, 0);
	expect(get_block("/moving", 1, 1), WIRE_CODE(2, 5));
	ck_assert_uint_eq(core.requests, asked + 4);
}
END_TEST

/* ---- answers and retransmissions ---- */

static struct reply *post(const char *p, struct slice payload)
{
	begin(WIRE_CON, 2);
	path(p);
	return ask(payload);
}

START_TEST(created)
{
	struct reply *r = post("/created", slice_str("x"));

	expect(r, WIRE_CODE(2, 1));
	ck_assert_uint_eq(r->n_location, 5);
	ck_assert(slice_eq_str(r->location[1], "x"));
	ck_assert(slice_eq_str(r->location[3], "a=1"));
	ck_assert(slice_eq_str(r->location[0], "b=2")); /* the fifth */
}
END_TEST

START_TEST(retransmission)
{
	struct reply first = *post("/report", slice_str("data"));
	struct reply *again;

	expect(&first, WIRE_CODE(2, 4));
	ck_assert_uint_eq(core.requests, 1);
	again = ask(slice_str("data"));
	ck_assert_uint_eq(core.requests, 1);
	ck_assert(slice_eq(slice_of(again->bytes, again->n), slice_of(first.bytes, first.n)));
	/* the same message id under another token is another request: the sender started over */
	out.head[4] = 'x';
	again = ask(slice_str("data"));
	ck_assert(again->came && again->m.token[0] == 'x');
	ck_assert_uint_eq(core.requests, 2);
}
END_TEST

START_TEST(retransmission_while_pending)
{
	begin(WIRE_CON, 2);
	path("/report");
	send_to(client, slice_str("data"));
	send_to(client, slice_str("data"));
	turn();
	ck_assert(take(client)->came);
	ck_assert(!take(client)->came);
	ck_assert_uint_eq(core.requests, 1);
}
END_TEST

START_TEST(remembered_answers_are_bounded)
{
	uint16_t first;

	post("/report", none);
	first = mid;
	for (unsigned i = 0; i < ANSWERED_A_PEER; i++)
		post("/report", none);
	ck_assert_uint_eq(server->n_exchanges, ANSWERED_A_PEER);
	mid = (uint16_t)(first - 1);
	post("/report", none);
	ck_assert_uint_eq(core.requests, ANSWERED_A_PEER + 2);
}
END_TEST

static void let_time_pass(int64_t ms)
{
	/* the server's clock is real: the past is moved instead */
	for (struct link *l = server->pending.next; l != &server->pending; l = l->next)
		LINK_OF(l, struct exchange, all)->since -= ms;
	for (struct link *l = server->answered.next; l != &server->answered; l = l->next)
		LINK_OF(l, struct exchange, all)->since -= ms;
	for (struct link *l = server->confirmables.next; l != &server->confirmables; l = l->next)
		LINK_OF(l, struct confirmable, all)->due -= ms;
	for (struct link *l = server->bodies.next; l != &server->bodies; l = l->next)
		LINK_OF(l, struct body, all)->touched -= ms;
	coap_server_tick(server);
}

static void acknowledge(enum wire_type t, uint16_t which)
{
	wire_begin(&out, t, 0, which, NULL, 0);
	send_to(client, none);
	turn();
}

START_TEST(separate_response)
{
	uint16_t asked;
	struct reply *r;

	core.hold = true;
	begin(WIRE_CON, 2);
	path("/report");
	r = ask(slice_str("data"));
	asked = mid;
	ck_assert(!r->came);
	let_time_pass(SEPARATE_AFTER_MS);
	r = take(client);
	ck_assert(r->came && r->m.type == WIRE_ACK && r->m.code == 0 && r->m.mid == asked);
	/* the core is gone: an answer is owed, confirmable now */
	channel_free(core.ch);
	core.ch = NULL;
	ck_assert_int_eq(front_io(front, &err), -1);
	coap_server_flush(server);
	r = take(client);
	expect(r, WIRE_CODE(5, 3));
	ck_assert_int_eq(r->m.type, WIRE_CON);
	ck_assert_uint_eq(server->n_confirmables, 1);
	/* unanswered it comes again, acknowledged no more */
	let_time_pass(4000);
	ck_assert(take(client)->came);
	wire_begin(&out, WIRE_ACK, 0, r->m.mid, NULL, 0);
	send_to(client, none);
	coap_server_io(server);
	ck_assert_uint_eq(server->n_confirmables, 0);
}
END_TEST

START_TEST(confirmable_gives_up)
{
	core.hold = true;
	begin(WIRE_CON, 2);
	path("/report");
	ask(slice_str("data"));
	let_time_pass(SEPARATE_AFTER_MS);
	take(client);
	channel_free(core.ch);
	core.ch = NULL;
	ck_assert_int_eq(front_io(front, &err), -1);
	coap_server_flush(server);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(take(client)->came);
		let_time_pass(100000);
	}
	ck_assert(!take(client)->came);
	ck_assert_uint_eq(server->n_confirmables, 0);
}
END_TEST

START_TEST(no_response)
{
	begin(WIRE_CON, 2);
	path("/report");
	wire_put_uint(&out, WIRE_NO_RESPONSE, 2);
	struct reply *r = ask(slice_str("data"));
	ck_assert(r->came && r->m.code == 0 && r->m.type == WIRE_ACK);
	begin(WIRE_NON, 2);
	path("/report");
	wire_put_uint(&out, WIRE_NO_RESPONSE, 2);
	ck_assert(!ask(slice_str("data"))->came);
	ck_assert_uint_eq(core.requests, 2);
}
END_TEST

START_TEST(session_closes)
{
	struct reply *r = post("/close", none);

	expect(r, WIRE_CODE(4, 1));
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.closed, 1);
	ck_assert_uint_eq(core.admits, 1);
	post("/report", none);
	ck_assert_uint_eq(core.admits, 2);
}
END_TEST

START_TEST(session_dropped)
{
	post("/report", none);
	fake_core_drop(&core, core.last_session);
	fake_core_settle(&core, front);
	post("/report", none);
	ck_assert_uint_eq(core.admits, 2);
	ck_assert_int_eq(core.last.kind, EVIDENCE_PLAIN);
	ck_assert_int_eq(core.last.transport, TRANSPORT_COAP);
	ck_assert_uint_eq(core.last.ip[12], 127);
}
END_TEST

START_TEST(more_clients_than_sessions)
{
	int fds[40];

	for (unsigned i = 0; i < 40; i++) {
		fds[i] = client_open();
		begin(WIRE_CON, 2);
		path("/report");
		send_to(fds[i], slice_str("x"));
		turn();
		ck_assert(take(fds[i])->came);
	}
	/* 32 is the share of plain UDP: the first was forgotten and comes as a new one */
	begin(WIRE_CON, 2);
	path("/report");
	send_to(fds[0], slice_str("x"));
	turn();
	ck_assert(take(fds[0])->came);
	ck_assert_uint_eq(core.admits, 41);
	for (unsigned i = 0; i < 40; i++)
		close(fds[i]);
}
END_TEST

START_TEST(faults)
{
	static const struct {
		uint8_t code;
		enum wire_option option;
		uint8_t want;
	} rows[] = {
		{ 1, (enum wire_option)9, WIRE_CODE(4, 2) },
		{ 1, WIRE_PROXY_URI, WIRE_CODE(5, 5) },
		{ 5, WIRE_URI_PATH, WIRE_CODE(4, 5) },
		{ 31, WIRE_URI_PATH, WIRE_CODE(4, 5) },
	};
	for (unsigned i = 0; i < 4; i++) {
		begin(WIRE_CON, rows[i].code);
		wire_put(&out, rows[i].option, slice_str("x"));
		expect(ask(none), rows[i].want);
	}
	ck_assert_uint_eq(core.requests, 0);
}
END_TEST

/* What is no request is never answered, but for a ping. */
START_TEST(silence)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "\x60\x00\x00\x01", 4 }, /* ACK of nothing */
		{ "\x70\x00\x00\x01", 4 }, /* RST of nothing */
		{ "\x50\x00\x00\x01", 4 }, /* empty NON */
		{ "\x40\x45\x00\x01", 4 }, /* a 2.05 nobody asked for */
		{ "\x40\x84\x00\x01", 4 }, /* 4.04 */
		{ "\x40\x21\x00\x01", 4 }, /* reserved class 1 */
		{ "\x60\x01\x00\x01", 4 }, /* GET as ACK */
		{ "\x40\x01\x00\x01\xff", 5 }, { "\xff\xff\xff\xff", 4 }, { "\x40", 1 }, { "", 0 },
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(send(client, rows[i].bytes, rows[i].n, 0), (ssize_t)rows[i].n);
		turn();
		ck_assert_msg(!take(client)->came, "row %u", i);
	}
	begin(WIRE_CON, 0);
	wire_begin(&out, WIRE_CON, 0, 77, NULL, 0);
	struct reply *r = ask(none);
	ck_assert(r->came && r->n == 4 && r->m.type == WIRE_RST && r->m.mid == 77);
}
END_TEST

/* ---- Block1 ---- */

static struct reply *put_block(const char *p, uint32_t num, bool more, uint8_t szx, size_t n)
{
	static uint8_t data[2048];
	struct wire_block b = { true, more, szx, num };

	memset(data, (int)('a' + num % 26), sizeof(data));
	begin(WIRE_CON, 3);
	path(p);
	wire_put_block(&out, WIRE_BLOCK1, &b);
	return ask(slice_of(data, n));
}

START_TEST(block1)
{
	struct reply *r;

	for (uint32_t i = 0; i < 3; i++) {
		r = put_block("/diag", i, true, 5, 512);
		expect(r, WIRE_CODE(2, 31));
		ck_assert(r->block1.set && r->block1.num == i && r->block1.more);
	}
	/* once more under a new message id: its answer got lost */
	expect(put_block("/diag", 2, true, 5, 512), WIRE_CODE(2, 31));
	ck_assert_uint_eq(core.requests, 0);
	r = put_block("/diag", 3, false, 5, 100);
	expect(r, WIRE_CODE(2, 4));
	ck_assert(r->block1.set && r->block1.num == 3 && !r->block1.more);
	ck_assert_uint_eq(core.requests, 1);
	ck_assert_uint_eq(core.last_body_n, 3 * 512 + 100);
	ck_assert(core.last_body[0] == 'a' && core.last_body[512] == 'b' &&
		  core.last_body[1536] == 'd');
	ck_assert_uint_eq(server->n_bodies, 0);
}
END_TEST

START_TEST(block1_refused)
{
	struct reply *r;

	expect(put_block("/diag", 1, true, 5, 512), WIRE_CODE(4, 8)); /* no first */
	expect(put_block("/diag", 0, true, 5, 500), WIRE_CODE(4, 0)); /* not full */
	expect(put_block("/diag", 0, true, 5, 512), WIRE_CODE(2, 31));
	expect(put_block("/other", 1, false, 5, 10), WIRE_CODE(4, 8)); /* another resource */
	expect(put_block("/diag", 0, true, 5, 512), WIRE_CODE(2, 31));
	expect(put_block("/diag", 2, true, 5, 512), WIRE_CODE(4, 8)); /* a gap */
	for (uint32_t i = 0; i < DEVICE_BODY_MAX / 1024; i++)
		expect(put_block("/diag", i, true, 6, 1024), WIRE_CODE(2, 31));
	r = put_block("/diag", DEVICE_BODY_MAX / 1024, false, 6, 1);
	expect(r, WIRE_CODE(4, 13));
	begin(WIRE_CON, 3);
	path("/diag");
	wire_put_uint(&out, WIRE_BLOCK1, 0x0e);
	wire_put_uint(&out, WIRE_SIZE1, DEVICE_BODY_MAX + 1);
	expect(ask(slice_of(image, 1024)), WIRE_CODE(4, 13));
	ck_assert_uint_eq(core.requests, 0);
	ck_assert_uint_eq(server->n_bodies, 0);
}
END_TEST

START_TEST(block1_times_out)
{
	expect(put_block("/diag", 0, true, 5, 512), WIRE_CODE(2, 31));
	ck_assert_uint_eq(server->n_bodies, 1);
	let_time_pass(BODY_TIMEOUT_MS);
	ck_assert_uint_eq(server->n_bodies, 0);
	expect(put_block("/diag", 1, false, 5, 10), WIRE_CODE(4, 8));
}
END_TEST

/* The datagrams that kill the library's own reassembly. */
START_TEST(block1_without_payload)
{
	expect(put_block("/diag", 0, true, 6, 0), WIRE_CODE(4, 0));
	expect(put_block("/diag", 0, false, 6, 0), WIRE_CODE(2, 4));
}
END_TEST

/* ---- Observe ---- */

static struct reply *observe(const char *p, uint32_t v)
{
	begin(WIRE_CON, 1);
	wire_put_uint(&out, WIRE_OBSERVE, v);
	path(p);
	return ask(none);
}

static struct reply *notify(void)
{
	state++;
	fake_core_notify(&core, "/device/a/update");
	fake_core_settle(&core, front);
	coap_server_flush(server);
	return take(client);
}

START_TEST(observe_and_notify)
{
	uint32_t before;
	struct reply *r;

	observing = true;
	r = observe("/d/a/update", 0);
	expect(r, WIRE_CODE(2, 5));
	ck_assert(r->has_observe && r->has_max_age && r->max_age == 60);
	before = r->observe;
	r = notify();
	expect(r, WIRE_CODE(2, 5));
	ck_assert_int_eq(r->m.type, WIRE_CON);
	ck_assert(r->has_observe && r->observe != before &&
		  ((r->observe - before) & 0xffffff) < 0x800000);
	ck_assert(slice_eq_str(r->m.payload, "state 1"));
	before = r->m.mid;
	/* one at a time: what happens meanwhile comes when this one is acknowledged */
	ck_assert(!notify()->came);
	ck_assert(!notify()->came);
	acknowledge(WIRE_ACK, (uint16_t)before);
	r = take(client);
	ck_assert(r->came && slice_eq_str(r->m.payload, "state 3"));
	acknowledge(WIRE_ACK, r->m.mid);
	ck_assert(!take(client)->came);
	expect(observe("/d/a/update", 1), WIRE_CODE(2, 5));
	ck_assert(!notify()->came);
	ck_assert_uint_eq(server->n_observers, 0);
}
END_TEST

static struct observer *the_observer(void)
{
	for (unsigned i = 0; i < OBSERVER_BUCKETS; i++)
		if (server->observers[i])
			return server->observers[i];
	return NULL;
}

/* Under its token the peer compares with what it heard before, not with nothing. */
START_TEST(observe_anew)
{
	uint32_t before;
	struct reply *r;

	observing = true;
	before = observe("/device/a/update", 0)->observe;
	ck_assert_ptr_nonnull(the_observer());
	before = the_observer()->sequence = (before + 1000) & 0xffffff;
	r = observe("/device/a/update", 0);
	ck_assert(r->has_observe && r->observe != before &&
		  ((r->observe - before) & 0xffffff) < 0x800000);
	ck_assert_uint_eq(server->n_observers, 1);
}
END_TEST

/* What is refused registers nobody; nor does a block of what was answered before. */
START_TEST(observe_block_further_on)
{
	struct wire_block b = { .set = true, .num = 5, .szx = 0 };

	observing = true;
	begin(WIRE_CON, 1);
	wire_put_uint(&out, WIRE_OBSERVE, 0);
	path("/device/a/update");
	wire_put_block(&out, WIRE_BLOCK2, &b);
	expect(ask(none), WIRE_CODE(4, 0));
	ck_assert_uint_eq(server->n_observers, 0);
}
END_TEST

START_TEST(observe_reset)
{
	struct reply *r;

	observing = true;
	observe("/device/a/update", 0);
	r = notify();
	acknowledge(WIRE_RST, r->m.mid);
	ck_assert(!notify()->came);
	ck_assert_uint_eq(server->n_observers, 0);
	ck_assert_uint_eq(server->n_confirmables, 0);
}
END_TEST

/* An answer of the number that a notification had, or none had yet, is not one. */
START_TEST(observe_is_not_an_answer)
{
	struct reply *r;
	uint16_t number;

	observing = true;
	observe("/device/a/update", 0);
	the_observer()->peer->next_mid = 0;
	for (unsigned i = 0; i < 2; i++) {
		number = the_observer()->mid;
		core.hold = true;
		begin(WIRE_CON, 2);
		path("/close");
		ck_assert(!ask(none)->came);
		let_time_pass(SEPARATE_AFTER_MS);
		ck_assert(take(client)->came);
		the_observer()->peer->next_mid = number;
		core.hold = false;
		fake_core_say_held(&core, 404);
		fake_core_settle(&core, front);
		coap_server_flush(server);
		r = take(client);
		ck_assert(r->came && r->m.type == WIRE_CON && r->m.mid == number);
		acknowledge(WIRE_RST, number);
		ck_assert_uint_eq(server->n_observers, 1);
		/* one was told, and has a number now */
		r = notify();
		ck_assert(r->came);
		acknowledge(WIRE_ACK, r->m.mid);
	}
}
END_TEST

START_TEST(observe_gone_peer)
{
	observing = true;
	observe("/device/a/update", 0);
	ck_assert(notify()->came);
	for (unsigned i = 0; i < 5; i++)
		let_time_pass(100000);
	ck_assert_uint_eq(server->n_observers, 0);
}
END_TEST

START_TEST(observe_ends_when_core_says)
{
	struct reply *r;

	observing = true;
	observe("/device/a/update", 0);
	observing = false;
	r = notify();
	ck_assert(r->came && !r->has_observe);
	ck_assert_uint_eq(server->n_observers, 0);
	r = observe("/device/a/update", 0);
	ck_assert(r->came && !r->has_observe);
	ck_assert_uint_eq(server->n_observers, 0);
}
END_TEST

START_TEST(observe_bounded)
{
	observing = true;
	for (uint8_t i = 0; i < 12; i++) {
		begin(WIRE_CON, 1);
		out.head[5] = i;
		wire_put_uint(&out, WIRE_OBSERVE, 0);
		path("/device/a/update");
		ck_assert(ask(none)->came);
	}
	ck_assert_uint_eq(server->n_observers, OBSERVERS_A_PEER);
	/* the same token again replaces */
	ck_assert(ask(none)->came);
	ck_assert_uint_eq(server->n_observers, OBSERVERS_A_PEER);
}
END_TEST

/* ---- strangers ---- */

START_TEST(stranger_echo)
{
	uint8_t echo[40];
	struct reply *r = get_block("/image/x", 6, 0);
	size_t n;

	expect(r, WIRE_CODE(4, 1));
	ck_assert_uint_eq(r->echo.n, ECHO_SIZE);
	ck_assert_uint_le(r->n, out.n);
	n = r->echo.n;
	memcpy(echo, r->echo.p, n);
	ck_assert_uint_eq(core.admits, 0);
	begin(WIRE_CON, 1);
	path("/image/x");
	wire_put(&out, WIRE_ECHO, slice_of(echo, n));
	expect(ask(none), WIRE_CODE(2, 5));
	/* proven for a while */
	expect(get_block("/image/x", 6, 1), WIRE_CODE(2, 5));
	/* another port is another address, and the Echo is not its own */
	int other = client_open();
	begin(WIRE_CON, 1);
	path("/image/x");
	wire_put(&out, WIRE_ECHO, slice_of(echo, n));
	send_to(other, none);
	turn();
	r = take(other);
	ck_assert(r->came && r->m.code == WIRE_CODE(4, 1));
	close(other);
}
END_TEST

/* Whatever comes from an address not proven, no more goes out than came in. */
START_TEST(stranger_amplification)
{
	static const uint8_t seeds[][24] = {
		{ 0x40, 0x01, 0, 1 },
		{ 0x48, 0x01, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8 },
		{ 0x50, 0x03, 0, 1, 0xb1, 'a' },
		{ 0x40, 0x01, 0, 1, 0x90 },
		{ 0x40, 0x1f, 0,   1,	0xbb, '.', 'w', 'e', 'l', 'l', '-',
		  'k',	'n',  'o', 'w', 'n',  4,   'c', 'o', 'r', 'e' },
		{ 0x40, 0x00, 0, 1 },
		{ 0x40, 0x02, 0, 1, 0xd1, 22, 'x' },
	};
	size_t came = 0, went = 0;
	uint32_t x = 1;

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t d[24];
		struct reply *r;
		size_t n;

		memcpy(d, seeds[i % 7], sizeof(d));
		x = x * 1664525 + 1013904223;
		n = x >> 24 ? (x >> 24) % 25 : 0;
		d[(x >> 16) % 24] ^= (uint8_t)(i / 7 % 256);
		ck_assert_int_eq(send(client, d, n, 0), (ssize_t)n);
		coap_server_io(server);
		struct pollfd p = { .fd = client, .events = POLLIN };
		if (poll(&p, 1, 0) != 1)
			continue;
		r = take(client);
		ck_assert_uint_le(r->n, n);
		came += n;
		went += r->n;
	}
	ck_assert_uint_gt(went, 0);
	ck_assert_uint_le(went, came);
	ck_assert_uint_eq(core.batches, 0);
	ck_assert_uint_eq(server->n_exchanges, 0);
}
END_TEST

START_TEST(echo_ages)
{
	struct udp_addr a = { .port = 5 }, b = { .port = 6 };
	uint8_t secret[32] = { 1 }, echo[ECHO_SIZE];
	int64_t now = 10 * ECHO_SLOT_MS;

	echo_make(secret, &a, 10, echo);
	ck_assert(echo_fresh(secret, &a, now, slice_of(echo, ECHO_SIZE)));
	ck_assert(echo_fresh(secret, &a, now + ECHO_SLOT_MS, slice_of(echo, ECHO_SIZE)));
	ck_assert(!echo_fresh(secret, &a, now + 2 * ECHO_SLOT_MS, slice_of(echo, ECHO_SIZE)));
	ck_assert(!echo_fresh(secret, &a, now - 1, slice_of(echo, ECHO_SIZE)));
	ck_assert(!echo_fresh(secret, &b, now, slice_of(echo, ECHO_SIZE)));
	ck_assert(!echo_fresh(secret, &a, now, slice_of(echo, ECHO_SIZE - 1)));
}
END_TEST

START_TEST(prefixes)
{
	struct coap_options o = { .n_trusted = 2 };
	uint8_t ip[16] = { 0x20, 0x01, 0x0d, 0xb8, 0x80 };

	memcpy(o.trusted[0].ip, ip, 16);
	o.trusted[0].bits = 33;
	o.trusted[1].bits = 128;
	ck_assert(address_trusted(&o, ip));
	ip[4] = 0xff;
	ck_assert(address_trusted(&o, ip));
	ip[4] = 0x7f;
	ck_assert(!address_trusted(&o, ip));
	memset(ip, 0, 16);
	ck_assert(address_trusted(&o, ip));
	ip[15] = 1;
	ck_assert(!address_trusted(&o, ip));
}
END_TEST

START_TEST(busy)
{
	static const uint8_t body[900];
	struct reply *r;

	core.hold = true;
	post("/report", none);
	/* fill the batch that gathers, from inside */
	struct request rq = { .session = core.last_session,
			      .method = METHOD_POST,
			      .path = slice_str("/fill"),
			      .body = { body, sizeof(body) } };
	while (front_submit(front, &rq, NULL, NULL) == 0)
		;
	r = post("/report", none);
	expect(r, WIRE_CODE(5, 3));
	ck_assert(r->has_max_age && r->max_age > 0);
}
END_TEST

static void add_trusted(TCase *t)
{
	tcase_add_test(t, image_blocks);
	tcase_add_test(t, image_etag);
	tcase_add_test(t, image_withdrawn);
	tcase_add_test(t, image_unmapped);
	tcase_add_test(t, body_in_blocks);
	tcase_add_test(t, blocks_of_one_moment);
	tcase_add_test(t, created);
	tcase_add_test(t, retransmission);
	tcase_add_test(t, retransmission_while_pending);
	tcase_add_test(t, remembered_answers_are_bounded);
	tcase_add_test(t, separate_response);
	tcase_add_test(t, confirmable_gives_up);
	tcase_add_test(t, no_response);
	tcase_add_test(t, session_closes);
	tcase_add_test(t, session_dropped);
	tcase_add_test(t, more_clients_than_sessions);
	tcase_add_test(t, faults);
	tcase_add_test(t, silence);
	tcase_add_test(t, block1);
	tcase_add_test(t, block1_refused);
	tcase_add_test(t, block1_times_out);
	tcase_add_test(t, block1_without_payload);
	tcase_add_test(t, observe_and_notify);
	tcase_add_test(t, observe_anew);
	tcase_add_test(t, observe_block_further_on);
	tcase_add_test(t, observe_reset);
	tcase_add_test(t, observe_is_not_an_answer);
	tcase_add_test(t, observe_gone_peer);
	tcase_add_test(t, observe_ends_when_core_says);
	tcase_add_test(t, observe_bounded);
	tcase_add_test(t, busy);
}

int main(void)
{
	Suite *s = suite_create("coap");
	TCase *t = tcase_create("trusted");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	add_trusted(t);
	suite_add_tcase(s, t);
	t = tcase_create("strangers");
	tcase_add_checked_fixture(t, setup_untrusted, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, stranger_echo);
	tcase_add_test(t, stranger_amplification);
	suite_add_tcase(s, t);
	t = tcase_create("pure");
	tcase_add_test(t, echo_ages);
	tcase_add_test(t, prefixes);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
