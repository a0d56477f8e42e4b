/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/ipc.h"

static struct request sample_request(void)
{
	struct request rq = {
		.id = 7,
		.session = 0x100000002u,
		.method = METHOD_POST,
		.content_format = MEDIA_CBOR,
		.accept = MEDIA_NONE,
		.observe = true,
		.want_body = true,
		.path = slice_str("/device/a/report"),
		.query = slice_str("x=1"),
		.token = slice_str("fd_secret"),
		.idempotency_key = slice_str("k"),
		.host = slice_str("gw"),
		.body = slice_of("\xa0\x01", 2),
	};

	rq.n_if_match = 2;
	rq.if_match[0] = (struct etag){ .b = { 1, 2 }, .n = 2 };
	rq.if_match[1] = (struct etag){ .n = 0 };
	rq.n_if_none_match = ETAGS_MAX;
	rq.if_none_match[3].n = ETAG_MAX;
	memset(rq.if_none_match[3].b, 0xee, ETAG_MAX);
	rq.if_match_any = true;
	return rq;
}

START_TEST(request_round_trip)
{
	struct request a = sample_request();
	struct buf b = BUF_INIT(4096);
	struct ipc_entry x;
	struct rd r;

	ipc_put_request(&b, &a);
	ck_assert(!b.failed);
	r = rd_init(buf_slice(&b));
	ck_assert(ipc_get_entry(&r, &x));
	ck_assert(rd_done(&r));
	ck_assert_int_eq(x.type, ENTRY_REQUEST);
	ck_assert_uint_eq(x.request.session, a.session);
	ck_assert_int_eq(x.request.accept, MEDIA_NONE);
	ck_assert(slice_eq(x.request.path, a.path));
	ck_assert(slice_eq(x.request.query, a.query));
	ck_assert(slice_eq(x.request.token, a.token));
	ck_assert(slice_eq(x.request.idempotency_key, a.idempotency_key));
	ck_assert(slice_eq(x.request.host, a.host));
	ck_assert(slice_eq(x.request.body, a.body));
	ck_assert_uint_eq(x.request.n_if_match, 2);
	ck_assert_uint_eq(x.request.if_none_match[3].n, ETAG_MAX);
	ck_assert(x.request.if_match_any && x.request.observe && x.request.want_body);
	buf_free(&b);
}
END_TEST

/* Every prefix of a frame body, and a byte too many, are refused. */
START_TEST(request_cut_anywhere)
{
	struct request a = sample_request();
	struct buf b = BUF_INIT(4096);
	struct ipc_entry x;

	ipc_put_request(&b, &a);
	for (size_t n = 0; n < b.n; n++) {
		struct rd r = rd_init(slice_of(b.p, n));

		ck_assert_msg(!ipc_get_entry(&r, &x), "%zu of %zu bytes were taken", n, b.n);
		ck_assert(!rd_done(&r));
	}
	buf_add_u8(&b, 0);
	struct rd r = rd_init(buf_slice(&b));
	ck_assert(ipc_get_entry(&r, &x));
	ck_assert(!rd_done(&r));
	buf_free(&b);
}
END_TEST

static bool takes(const struct request *rq)
{
	struct buf b = BUF_INIT(1 << 20);
	struct ipc_entry x;
	struct rd r;
	bool ok;

	ipc_put_request(&b, rq);
	r = rd_init(buf_slice(&b));
	ok = !b.failed && ipc_get_entry(&r, &x);
	buf_free(&b);
	return ok;
}

START_TEST(request_bounds)
{
	static uint8_t big[BODY_MAX_LEN + 1];
	struct request rq = sample_request();

	memset(big, 'a', sizeof(big));
	rq.body = slice_of(big, BODY_MAX_LEN);
	ck_assert(takes(&rq));
	rq.body = slice_of(big, BODY_MAX_LEN + 1);
	ck_assert(!takes(&rq));
	rq = sample_request();
	rq.path = slice_of("/a\0b", 4);
	ck_assert(!takes(&rq));
	rq.path = slice_str("a");
	ck_assert(!takes(&rq));
	big[0] = '/';
	rq.path = slice_of(big, PATH_MAX_LEN);
	ck_assert(takes(&rq));
	rq.path = slice_of(big, PATH_MAX_LEN + 1);
	ck_assert(!takes(&rq));
	rq = sample_request();
	rq.token = slice_of(big, TOKEN_MAX_LEN + 1);
	ck_assert(!takes(&rq));
	rq = sample_request();
	rq.method = METHOD_COUNT;
	ck_assert(!takes(&rq));
	rq = sample_request();
	rq.n_if_match = ETAGS_MAX + 1;
	ck_assert(!takes(&rq));
}
END_TEST

START_TEST(admit_and_closed)
{
	struct evidence ev = { .kind = EVIDENCE_PSK,
			       .transport = TRANSPORT_COAPS,
			       .port = 5684,
			       .resumed = true,
			       .uid = 9,
			       .identity = "lamp-1" };
	struct buf b = BUF_INIT(4096);
	struct ipc_entry x;
	struct rd r;

	ev.ip[15] = 1;
	ipc_put_admit(&b, 42, &ev);
	ipc_put_closed(&b, 43);
	r = rd_init(buf_slice(&b));
	ck_assert(ipc_get_entry(&r, &x));
	ck_assert_uint_eq(x.session, 42);
	ck_assert_int_eq(x.evidence.kind, EVIDENCE_PSK);
	ck_assert_str_eq(x.evidence.identity, "lamp-1");
	ck_assert_uint_eq(x.evidence.port, 5684);
	ck_assert(x.evidence.resumed);
	ck_assert_int_eq(memcmp(x.evidence.ip, ev.ip, 16), 0);
	ck_assert(ipc_get_entry(&r, &x));
	ck_assert_int_eq(x.type, ENTRY_CLOSED);
	ck_assert_uint_eq(x.session, 43);
	ck_assert(rd_done(&r));
	buf_reset(&b);
	buf_add_u8(&b, 9);
	r = rd_init(buf_slice(&b));
	ck_assert(!ipc_get_entry(&r, &x));
	buf_free(&b);
}
END_TEST

START_TEST(response_and_grant)
{
	struct response a = { .id = 3,
			      .status = 200,
			      .media = MEDIA_JSON,
			      .max_age = -1,
			      .retry_after = 5,
			      .observing = true,
			      .allow = METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_DELETE),
			      .location = "/api/v1/jobs/1",
			      .body = slice_str("{}"),
			      .has_object = true };
	struct ipc_grant g = { .session = 5,
			       .path = "/image/ab",
			       .size = 1u << 20,
			       .media = MEDIA_OCTETS,
			       .max_age = 60,
			       .lifetime_ms = 1000,
			       .has_fd = true };
	struct buf b = BUF_INIT(4096);
	struct ipc_grant g2;
	struct response x;
	struct rd r;

	a.object.b[31] = 0x77;
	a.etag.n = 8;
	ipc_put_response(&b, &a);
	r = rd_init(buf_slice(&b));
	ck_assert(ipc_get_response(&r, &x) && rd_done(&r));
	ck_assert_int_eq(x.max_age, -1);
	ck_assert_int_eq(x.retry_after, 5);
	ck_assert_uint_eq(x.allow, a.allow);
	ck_assert_str_eq(x.location, a.location);
	ck_assert(x.has_object && digest_eq(&x.object, &a.object));
	ck_assert(slice_eq_str(x.body, "{}"));
	buf_reset(&b);
	ipc_put_grant(&b, &g);
	r = rd_init(slice_of(b.p + 5, b.n - 5));
	ck_assert(ipc_get_grant(&r, &g2) && rd_done(&r));
	ck_assert_str_eq(g2.path, g.path);
	ck_assert_uint_eq(g2.size, g.size);
	ck_assert(g2.has_fd);
	buf_free(&b);
}
END_TEST

static void make_pair(struct channel **a, struct channel **b)
{
	struct err e = { 0 };
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	ck_assert_int_eq(channel_new(fd[0], 4u << 20, a, &e), 0);
	ck_assert_int_eq(channel_new(fd[1], 4u << 20, b, &e), 0);
}

static void put_frame(struct channel *c, enum frame_type t, size_t n, uint8_t fill)
{
	struct buf *b = channel_out(c);
	size_t mark = ipc_begin(b, t);
	uint8_t *p = buf_extend(b, n);

	ck_assert_ptr_nonnull(p);
	memset(p, fill, n);
	ipc_end(b, mark);
}

/* Large frames cross in pieces, and each descriptor is there when its frame is. */
START_TEST(channel_frames_and_descriptors)
{
	struct channel *a, *b;
	struct err e = { 0 };
	enum frame_type t;
	struct slice body;
	unsigned seen = 0;
	int pipes[3][2];

	make_pair(&a, &b);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(pipe(pipes[i]), 0);
		put_frame(a, FRAME_PING, i * 100000, 1);
		ck_assert_int_eq(channel_attach_fd(a, pipes[i][0]), 0);
		put_frame(a, FRAME_GRANT, 900000, (uint8_t)i);
	}
	while (seen < 6) {
		ck_assert_int_eq(channel_write(a, &e), 0);
		ck_assert_int_ge(channel_read(b, &e), 0);
		while (channel_next(b, &t, &body, &e) == 1) {
			seen++;
			if (t != FRAME_GRANT)
				continue;
			unsigned i = body.p[0];
			int fd = channel_take_fd(b);
			char c = 0;

			ck_assert_uint_eq(body.n, 900000);
			ck_assert_int_ge(fd, 0);
			ck_assert_int_eq((int)write(pipes[i][1], &"xyz"[i], 1), 1);
			ck_assert_int_eq((int)read(fd, &c, 1), 1);
			ck_assert_int_eq(c, "xyz"[i]);
			close(fd);
		}
	}
	ck_assert(!channel_want_write(a));
	ck_assert_int_eq(channel_take_fd(b), -1);
	for (unsigned i = 0; i < 3; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	channel_free(a);
	ck_assert_int_eq(channel_read(b, &e), -1);
	ck_assert_int_eq(e.code, ERR_GONE);
	channel_free(b);
}
END_TEST

START_TEST(channel_refuses_bad_lengths)
{
	static const uint8_t bad[][4] = { { 0, 0, 0, 0 },
					  { 0xff, 0xff, 0xff, 0xff },
					  { 1, 0, 0, 0 } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct channel *a, *b;
		struct err e = { 0 };
		enum frame_type t;
		struct slice body;

		make_pair(&a, &b);
		buf_add(channel_out(a), bad[i], 4);
		buf_add_u8(channel_out(a), FRAME_PING);
		ck_assert_int_eq(channel_write(a, &e), 0);
		ck_assert_int_eq(channel_read(b, &e), 1);
		ck_assert_int_eq(channel_next(b, &t, &body, &e), -1);
		ck_assert_int_eq(e.code, ERR_MALFORMED);
		channel_free(a);
		channel_free(b);
	}
}
END_TEST

START_TEST(channel_question_times_out)
{
	struct channel *a, *b;
	struct err e = { 0 };
	enum frame_type t;
	struct slice body;

	make_pair(&a, &b);
	ck_assert_int_eq(channel_read_frame(a, 20, &t, &body, &e), -1);
	ck_assert_int_eq(e.code, ERR_BUSY);
	put_frame(b, FRAME_KEY_ANSWER, 10, 5);
	ck_assert_int_eq(channel_write_all(b, 1000, &e), 0);
	ck_assert_int_eq(channel_read_frame(a, 1000, &t, &body, &e), 0);
	ck_assert_int_eq(t, FRAME_KEY_ANSWER);
	channel_free(a);
	channel_free(b);
}
END_TEST

/* A reader that never reads: the writer's memory stays within its bound and says so. */
START_TEST(channel_bound)
{
	struct channel *a, *b;
	struct err e = { 0 };
	int n = 0;

	make_pair(&a, &b);
	while (n < 100 && channel_write(a, &e) == 0) {
		struct buf *out = channel_out(a);
		size_t mark = ipc_begin(out, FRAME_PING);

		buf_extend(out, 1u << 20);
		ipc_end(out, mark);
		n++;
	}
	ck_assert_int_lt(n, 100);
	ck_assert_int_eq(e.code, ERR_FULL);
	channel_free(a);
	channel_free(b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ipc");
	TCase *t = tcase_create("ipc");
	SRunner *r;
	int failed;

	tcase_add_test(t, request_round_trip);
	tcase_add_test(t, request_cut_anywhere);
	tcase_add_test(t, request_bounds);
	tcase_add_test(t, admit_and_closed);
	tcase_add_test(t, response_and_grant);
	tcase_add_test(t, channel_frames_and_descriptors);
	tcase_add_test(t, channel_refuses_bad_lengths);
	tcase_add_test(t, channel_question_times_out);
	tcase_add_test(t, channel_bound);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
