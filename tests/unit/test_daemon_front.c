/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/front.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_core.h"

static struct fake_core core;
static struct front *front;
static struct err err;
static struct front_options options;

static void start(unsigned sessions, unsigned grants, bool ready)
{
	options = (struct front_options){ .sessions_max = sessions,
					  .grants_max = grants,
					  .objects_max = 8 };
	fake_core_init(&core, &options.core_fd, ready);
	ck_assert_int_eq(front_new(&options, &front, &err), 0);
	if (ready)
		fake_core_settle(&core, front);
}

static void setup(void)
{
	start(16, 8, true);
}

static void teardown(void)
{
	front_free(front);
	fake_core_free(&core);
	front = NULL;
}

static unsigned dropped, replied, replied_null;
static uint16_t last_status;
static uint64_t last_dropped;

static void on_drop(void *ctx, uint64_t session)
{
	(void)ctx;
	dropped++;
	last_dropped = session;
}

static void on_reply(void *ctx, const struct response *rs)
{
	(void)ctx;
	replied++;
	if (rs)
		last_status = rs->status;
	else
		replied_null++;
}

static uint64_t open_session(enum evidence_kind kind)
{
	struct evidence ev = { .kind = kind,
			       .transport =
				       kind == EVIDENCE_PSK ? TRANSPORT_COAPS : TRANSPORT_COAP };

	return front_session_open(front, &ev, on_drop, NULL);
}

static int ask(uint64_t session, const char *path)
{
	struct request rq = { .session = session,
			      .method = METHOD_GET,
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE,
			      .path = slice_str(path) };

	return front_submit(front, &rq, on_reply, NULL);
}

START_TEST(request_and_reply)
{
	uint64_t s = open_session(EVIDENCE_PSK);

	ck_assert(s && front_session_alive(front, s));
	ck_assert_int_eq(ask(s, "/a"), 0);
	ck_assert(front_want_write(front));
	ck_assert_uint_eq(replied, 0);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.admits, 1);
	ck_assert_uint_eq(core.last_session, s);
	ck_assert_int_eq(core.last.kind, EVIDENCE_PSK);
	ck_assert_uint_eq(replied, 1);
	ck_assert_uint_eq(last_status, 404);
	ck_assert_int_eq(ask(s, "/b"), 0);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.admits, 1); /* once a session */
	ck_assert_uint_eq(replied, 2);
	ck_assert(front_idle(front));
}
END_TEST

START_TEST(not_before_ready)
{
	uint64_t s;

	start(16, 8, false);
	s = open_session(EVIDENCE_PSK);
	ck_assert_int_eq(ask(s, "/a"), 0);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.batches, 0);
	fake_core_ready(&core);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.batches, 1);
	ck_assert_uint_eq(replied, 1);
}
END_TEST

/* One batch is in flight, the next gathers, beyond it there is no room. */
START_TEST(batch_bounds)
{
	uint64_t s = open_session(EVIDENCE_PSK);
	unsigned n = 0;

	core.hold = true;
	ck_assert_int_eq(ask(s, "/first"), 0);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.batches, 1);
	while (ask(s, "/more") == 0)
		n++;
	ck_assert_uint_eq(n, IPC_BATCH_MAX);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.batches, 1);
	ck_assert_uint_eq(replied, 0);
	ck_assert_uint_eq(front_stats(front)->refused_busy, 1);
}
END_TEST

START_TEST(bytes_bound)
{
	static uint8_t body[BODY_MAX_LEN];
	uint64_t s = open_session(EVIDENCE_PSK);
	struct request rq = { .session = s,
			      .method = METHOD_POST,
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE,
			      .path = slice_str("/a"),
			      .body = { body, sizeof(body) } };
	unsigned n = 0;

	while (front_submit(front, &rq, on_reply, NULL) == 0)
		n++;
	ck_assert_uint_eq(n, IPC_BATCH_BYTES / BODY_MAX_LEN - 1);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(replied, n);
	ck_assert_uint_eq(core.last_body_n, sizeof(body));
}
END_TEST

START_TEST(bad_requests_stop_here)
{
	static char path[PATH_MAX_LEN + 2];
	uint64_t s = open_session(EVIDENCE_PSK);
	struct request rq = { .session = s, .method = METHOD_GET };

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	ck_assert_int_eq(ask(s, path), -1);
	ck_assert_int_eq(ask(s, "a"), -1);
	ck_assert_int_eq(ask(s, ""), -1);
	rq.path = slice_of("/a\0b", 4);
	ck_assert_int_eq(front_submit(front, &rq, on_reply, NULL), -1);
	ck_assert_int_eq(ask(s + 1, "/a"), -1);
	ck_assert_int_eq(ask(0, "/a"), -1);
	ck_assert_int_eq(ask(s + (UINT64_C(1) << 32), "/a"), -1);
}
END_TEST

START_TEST(cancel)
{
	uint64_t s = open_session(EVIDENCE_PSK);
	struct request rq = { .session = s, .method = METHOD_GET, .path = slice_str("/a") };

	ck_assert_int_eq(front_submit(front, &rq, on_reply, NULL), 0);
	front_cancel(front, rq.id);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.requests, 1);
	ck_assert_uint_eq(replied, 0);
}
END_TEST

static bool never(struct fake_core *k, const struct request *rq, struct response *rs)
{
	(void)k;
	(void)rq;
	(void)rs;
	return false;
}

/* A request that its batch's replies leave out is told so. */
START_TEST(left_out)
{
	core.answer = never;
	ck_assert_int_eq(ask(open_session(EVIDENCE_PSK), "/a"), 0);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(replied, 1);
	ck_assert_uint_eq(replied_null, 1);
}
END_TEST

START_TEST(core_gone)
{
	uint64_t s = open_session(EVIDENCE_PSK);

	core.hold = true;
	ck_assert_int_eq(ask(s, "/a"), 0);
	fake_core_settle(&core, front);
	ck_assert_int_eq(ask(s, "/b"), 0);
	channel_free(core.ch);
	core.ch = NULL;
	ck_assert_int_eq(front_io(front, &err), -1);
	ck_assert_uint_eq(replied, 2);
	ck_assert_uint_eq(replied_null, 2);
	ck_assert_int_eq(ask(s, "/c"), -1);
	ck_assert_int_eq(front_io(front, &err), -1);
	ck_assert(!front_ready(front));
}
END_TEST

START_TEST(closing_is_said)
{
	uint64_t known = open_session(EVIDENCE_PSK), unknown = open_session(EVIDENCE_PSK);

	ck_assert_int_eq(ask(known, "/a"), 0);
	fake_core_settle(&core, front);
	front_session_close(front, known);
	front_session_close(front, unknown);
	ck_assert(!front_session_alive(front, known));
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.closed, 1);
	ck_assert_uint_eq(core.last_closed, known);
	ck_assert_uint_eq(dropped, 0);
	/* the slot is used again, under another handle */
	for (unsigned i = 0; i < 16; i++) {
		uint64_t s = open_session(EVIDENCE_PSK);

		ck_assert(s != 0 && s != known && s != unknown);
	}
	ck_assert_uint_eq(open_session(EVIDENCE_PSK), 0);
}
END_TEST

START_TEST(plain_gives_way)
{
	uint64_t s[9];

	/* half of 16 is the share of plain UDP */
	for (unsigned i = 0; i < 8; i++)
		s[i] = open_session(EVIDENCE_PLAIN);
	ck_assert_int_eq(ask(s[0], "/a"), 0); /* used: not the oldest any more */
	s[8] = open_session(EVIDENCE_PLAIN);
	ck_assert(s[8] != 0);
	ck_assert_uint_eq(dropped, 1);
	ck_assert_uint_eq(last_dropped, s[1]);
	ck_assert(front_session_alive(front, s[0]));
	ck_assert(!front_session_alive(front, s[1]));
	/* the others' half is untouched */
	for (unsigned i = 0; i < 8; i++)
		ck_assert(open_session(EVIDENCE_PSK) != 0);
	ck_assert_uint_eq(dropped, 1);
}
END_TEST

START_TEST(drop)
{
	uint64_t s = open_session(EVIDENCE_PSK);

	ck_assert_int_eq(ask(s, "/a"), 0);
	fake_core_settle(&core, front);
	fake_core_drop(&core, s);
	fake_core_drop(&core, s);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(dropped, 1);
	ck_assert(!front_session_alive(front, s));
}
END_TEST

/* ---- grants ---- */

static const struct digest d1 = { { 1 } }, d2 = { { 2 } };

static uint64_t admitted(enum evidence_kind kind)
{
	uint64_t s = open_session(kind);

	ck_assert_int_eq(ask(s, "/admit"), 0);
	fake_core_settle(&core, front);
	return s;
}

static bool granted(uint64_t s, const char *path, struct front_grant *g)
{
	return front_granted(front, s, slice_str(path), g);
}

START_TEST(grant_of_session)
{
	uint64_t a = admitted(EVIDENCE_PSK), b = admitted(EVIDENCE_PSK);
	struct front_grant g;

	ck_assert(!granted(a, "/i", &g));
	fake_core_grant(&core, a, "/i", &d1, slice_str("bytes"), true, 0);
	fake_core_settle(&core, front);
	ck_assert(granted(a, "/i", &g));
	ck_assert(slice_eq_str(slice_of(g.object->map, g.object->size), "bytes"));
	ck_assert(front_object_find(front, &d1) == g.object);
	ck_assert(!granted(b, "/i", &g));
	ck_assert(!granted(a, "/i/", &g));
	/* the same path means something else for b */
	fake_core_grant(&core, b, "/i", &d2, slice_str("other"), true, 0);
	fake_core_settle(&core, front);
	ck_assert(granted(b, "/i", &g) && slice_eq_str(slice_of(g.object->map, 5), "other"));
	ck_assert(granted(a, "/i", &g) && slice_eq_str(slice_of(g.object->map, 5), "bytes"));
	/* renewed to name another object, without its descriptor: it is here */
	fake_core_grant(&core, a, "/i", &d2, slice_str("other"), false, 0);
	fake_core_settle(&core, front);
	ck_assert(granted(a, "/i", &g) && slice_eq_str(slice_of(g.object->map, 5), "other"));
	front_session_close(front, a);
	ck_assert(!granted(a, "/i", &g));
	ck_assert(granted(b, "/i", &g));
	ck_assert_uint_eq(front_stats(front)->grants, 1);
}
END_TEST

START_TEST(grant_public)
{
	uint64_t a = admitted(EVIDENCE_PSK), fresh = open_session(EVIDENCE_PSK);
	struct front_grant g;

	fake_core_grant(&core, 0, "/p", &d1, slice_str(""), true, 0);
	fake_core_settle(&core, front);
	ck_assert(granted(a, "/p", &g));
	ck_assert_uint_eq(g.object->size, 0);
	ck_assert(g.object->map != NULL);
	ck_assert(!granted(fresh, "/p", &g)); /* not admitted yet */
	ck_assert(granted(open_session(EVIDENCE_PLAIN), "/p", &g));
}
END_TEST

START_TEST(grant_ends)
{
	uint64_t a = admitted(EVIDENCE_PSK);
	struct front_grant g;

	fake_core_grant(&core, a, "/i", &d1, slice_str("bytes"), true, 20);
	fake_core_settle(&core, front);
	ck_assert(granted(a, "/i", &g));
	usleep(30000);
	ck_assert(!granted(a, "/i", &g));
	ck_assert_uint_eq(front_stats(front)->grants, 0);
	ck_assert(front_object_find(front, &d1) != NULL);
}
END_TEST

START_TEST(grant_unknown_object)
{
	uint64_t a = admitted(EVIDENCE_PSK);
	struct front_grant g;

	fake_core_grant(&core, a, "/i", &d1, slice_str("bytes"), false, 0);
	fake_core_settle(&core, front);
	ck_assert(!granted(a, "/i", &g));
	ck_assert(front_ready(front));
}
END_TEST

START_TEST(oldest_grant_goes)
{
	uint64_t a = admitted(EVIDENCE_PSK);
	struct front_grant g;
	char path[16];

	for (unsigned i = 0; i < 9; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		fake_core_grant(&core, a, path, &d1, slice_str("bytes"), i == 0, 0);
		fake_core_settle(&core, front);
	}
	ck_assert(!granted(a, "/0", &g));
	ck_assert(granted(a, "/1", &g) && granted(a, "/8", &g));
	ck_assert_uint_eq(front_stats(front)->grants, 8);
}
END_TEST

static unsigned withdrawn;

static void on_withdraw(void *ctx, const struct digest *d)
{
	(void)ctx;
	withdrawn += digest_eq(d, &d1);
}

START_TEST(withdraw)
{
	uint64_t a = admitted(EVIDENCE_PSK);
	struct front_grant g;

	front_on_withdraw(front, on_withdraw, NULL);
	fake_core_grant(&core, a, "/i", &d1, slice_str("bytes"), true, 0);
	fake_core_grant(&core, 0, "/p", &d1, slice_str("bytes"), false, 0);
	fake_core_settle(&core, front);
	ck_assert(granted(a, "/i", &g));
	front_object_ref(g.object);
	fake_core_withdraw(&core, &d1);
	fake_core_withdraw(&core, &d2);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(withdrawn, 1);
	ck_assert(g.object->withdrawn);
	/* mapped while somebody holds it */
	ck_assert(slice_eq_str(slice_of(g.object->map, 5), "bytes"));
	front_object_unref(front, g.object);
	ck_assert(!granted(a, "/i", &g) && !granted(a, "/p", &g));
	ck_assert(front_object_find(front, &d1) == NULL);
	ck_assert_uint_eq(front_stats(front)->objects, 0);
}
END_TEST

START_TEST(objects_bound)
{
	uint64_t a = admitted(EVIDENCE_PSK);
	struct front_grant g;
	char path[16];

	for (uint8_t i = 0; i < 9; i++) {
		struct digest d = { { i, i } };

		snprintf(path, sizeof(path), "/%u", i);
		fake_core_grant(&core, a, path, &d, slice_str("bytes"), true, 0);
		fake_core_settle(&core, front);
	}
	ck_assert_uint_eq(front_stats(front)->objects, 8);
	ck_assert(!granted(a, "/8", &g));
	ck_assert(front_ready(front));
}
END_TEST

/* ---- uploads ---- */

static unsigned opened, chunks, closed, aborted, credits;
static size_t bytes_up;
static uint32_t number_up;

static void on_upload(struct fake_core *k, enum frame_type t, uint32_t number, struct slice bytes)
{
	(void)k;
	number_up = number;
	opened += t == FRAME_UPLOAD_OPEN;
	chunks += t == FRAME_UPLOAD_CHUNK;
	closed += t == FRAME_UPLOAD_CLOSE;
	aborted += t == FRAME_UPLOAD_ABORT;
	if (t == FRAME_UPLOAD_CHUNK)
		bytes_up += bytes.n;
}

static void on_credit(void *ctx, unsigned credit, uint64_t stored)
{
	(void)ctx;
	(void)stored;
	credits = credit;
}

static uint32_t upload_open(uint64_t s)
{
	struct ipc_upload_open o = { .request = { .session = s,
						  .method = METHOD_POST,
						  .path = slice_str("/api/v1/images") },
				     .complete = -1 };

	core.upload = on_upload;
	return front_upload_open(front, &o, on_credit, on_reply, NULL);
}

START_TEST(upload)
{
	static const uint8_t chunk[1000];
	uint64_t s = open_session(EVIDENCE_PSK);
	uint32_t u = upload_open(s);

	ck_assert_uint_ne(u, 0);
	ck_assert_int_eq(front_upload_chunk(front, u, slice_of(chunk, 1)), -1); /* no credit yet */
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.admits, 1); /* the session came first */
	ck_assert_uint_eq(opened, 1);
	ck_assert_uint_eq(number_up, u);
	fake_core_credit(&core, u, 2, 0);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(credits, 2);
	ck_assert_int_eq(front_upload_chunk(front, u, slice_of(chunk, sizeof(chunk))), 0);
	ck_assert_int_eq(front_upload_chunk(front, u, slice_of(chunk, sizeof(chunk))), 0);
	ck_assert_int_eq(front_upload_chunk(front, u, slice_of(chunk, sizeof(chunk))), -1);
	front_upload_close(front, u);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(chunks, 2);
	ck_assert_uint_eq(bytes_up, 2000);
	ck_assert_uint_eq(closed, 1);
	fake_core_done(&core, u, 201);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(last_status, 201);
	ck_assert_int_eq(front_upload_chunk(front, u, slice_of(chunk, 1)), -1);
}
END_TEST

START_TEST(upload_ends_with_session)
{
	uint64_t s = admitted(EVIDENCE_PSK);
	uint32_t u = upload_open(s);

	fake_core_settle(&core, front);
	replied = 0;
	front_session_close(front, s);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(opened, 1);
	ck_assert_uint_eq(aborted, 1);
	fake_core_done(&core, u, 201);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(replied, 0);
}
END_TEST

START_TEST(upload_core_gone)
{
	ck_assert_uint_ne(upload_open(admitted(EVIDENCE_PSK)), 0);
	fake_core_settle(&core, front);
	channel_free(core.ch);
	core.ch = NULL;
	ck_assert_int_eq(front_io(front, &err), -1);
	ck_assert_uint_eq(replied_null, 1);
}
END_TEST

static char notified[64];

static void on_notify(void *ctx, const char *path)
{
	(void)ctx;
	snprintf(notified, sizeof(notified), "%s", path);
}

START_TEST(notify_and_ping)
{
	front_on_notify(front, on_notify, NULL);
	fake_core_notify(&core, "/device/a/update");
	fake_core_ping(&core);
	fake_core_settle(&core, front);
	ck_assert_str_eq(notified, "/device/a/update");
	ck_assert_uint_eq(core.pongs, 1);
}
END_TEST

static const struct {
	enum frame_type type;
	const char *body;
	size_t n;
} broken[] = {
	{ FRAME_REPLIES, "\0\0\0\1\1\0\0", 7 }, /* to no batch */
	{ FRAME_REPLIES, "", 0 },
	{ FRAME_GRANT, "x", 1 },
	{ FRAME_DROP, "1234567", 7 },
	{ FRAME_WITHDRAW, "short", 5 },
	{ FRAME_NOTIFY, "", 0 },
	{ FRAME_NOTIFY, "/a\0b", 4 },
	{ FRAME_UPLOAD_CREDIT, "x", 1 },
	{ FRAME_UPLOAD_DONE, "x", 1 },
	{ FRAME_PING, "x", 1 },
	{ FRAME_READY, "x", 1 },
	{ FRAME_BATCH, "", 0 },
	{ (enum frame_type)99, "", 0 },
};

START_TEST(broken_frames)
{
	struct buf *b = channel_out(core.ch);
	size_t mark = ipc_begin(b, broken[_i].type);

	buf_add(b, broken[_i].body, broken[_i].n);
	ipc_end(b, mark);
	(void)fake_core_pump(&core);
	ck_assert_int_eq(front_io(front, &err), -1);
	ck_assert_int_eq(err.code, ERR_MALFORMED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("front");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, request_and_reply);
	tcase_add_test(t, batch_bounds);
	tcase_add_test(t, bytes_bound);
	tcase_add_test(t, bad_requests_stop_here);
	tcase_add_test(t, cancel);
	tcase_add_test(t, left_out);
	tcase_add_test(t, core_gone);
	tcase_add_test(t, closing_is_said);
	tcase_add_test(t, plain_gives_way);
	tcase_add_test(t, drop);
	tcase_add_test(t, grant_of_session);
	tcase_add_test(t, grant_public);
	tcase_add_test(t, grant_ends);
	tcase_add_test(t, grant_unknown_object);
	tcase_add_test(t, oldest_grant_goes);
	tcase_add_test(t, withdraw);
	tcase_add_test(t, objects_bound);
	tcase_add_test(t, upload);
	tcase_add_test(t, upload_ends_with_session);
	tcase_add_test(t, upload_core_gone);
	tcase_add_test(t, notify_and_ping);
	tcase_add_loop_test(t, broken_frames, 0, sizeof(broken) / sizeof(broken[0]));
	suite_add_tcase(s, t);
	t = tcase_create("start");
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, not_before_ready);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
