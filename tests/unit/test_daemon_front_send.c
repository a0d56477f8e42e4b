/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <string.h>

#include "daemon/front.h"
#include "fake_core.h"

/* Calls to devices pass through the front's middle, and figures leave it. */
static struct fake_core core;
static struct front *front;
static struct err err;
static unsigned ordered;
static struct ipc_send last;

static void on_send(void *ctx, const struct ipc_send *s)
{
	(void)ctx;
	ordered++;
	last = *s;
}

static void setup(void)
{
	struct front_options o = { .sessions_max = 16, .grants_max = 8, .objects_max = 8 };

	fake_core_init(&core, &o.core_fd, true);
	ck_assert_int_eq(front_new(&o, &front, &err), 0);
	front_on_send(front, on_send, NULL);
	fake_core_settle(&core, front);
	ordered = 0;
}

static void teardown(void)
{
	front_free(front);
	fake_core_free(&core);
}

static struct ipc_send order(void)
{
	struct ipc_send s = { .session = 7,
			      .port = 5683,
			      .identity = "dev",
			      .method = METHOD_PUT,
			      .path = "/x",
			      .offset = 1024 };

	memset(s.tag, 0xab, sizeof(s.tag));
	fake_core_send(&core, &s);
	fake_core_settle(&core, front);
	return s;
}

static void done(uint8_t number)
{
	static uint8_t body[IPC_SENT_BODY_MAX];
	struct ipc_sent s = { .status = 200,
			      .offset = number,
			      .media = MEDIA_CBOR,
			      .body = slice_of(body, sizeof(body)) };

	memset(body, number, sizeof(body));
	front_sent(front, &s);
}

START_TEST(there_and_back)
{
	struct ipc_send s = order();

	ck_assert_uint_eq(ordered, 1);
	ck_assert_str_eq(last.identity, "dev");
	ck_assert_uint_eq(last.offset, 1024);
	ck_assert(memcmp(last.tag, s.tag, sizeof(s.tag)) == 0);
	ck_assert(front_idle(front));
	done(3);
	ck_assert(!front_idle(front) && front_want_write(front));
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.n_sent, 1);
	ck_assert_uint_eq(core.sent.offset, 3);
	ck_assert_uint_eq(core.sent.body.n, IPC_SENT_BODY_MAX);
	ck_assert(front_idle(front));
}
END_TEST

/* A front that speaks with no device (control) says so. */
START_TEST(nobody_to_call)
{
	front_on_send(front, NULL, NULL);
	order();
	ck_assert_uint_eq(core.n_sent, 1);
	ck_assert_uint_eq(core.sent.status, 503);
	ck_assert_uint_eq(core.sent.tag[31], 0xab);
}
END_TEST

/* More than a batch takes: they come in turn; more than may wait: the rest is lost. */
START_TEST(many_results)
{
	for (unsigned i = 0; i < IPC_SENDS_MAX + 10; i++)
		done((uint8_t)i);
	for (unsigned i = 0; i < 10; i++)
		fake_core_settle(&core, front);
	ck_assert_uint_eq(core.n_sent, IPC_SENDS_MAX);
	ck_assert_uint_eq(core.sent.offset, (uint8_t)(IPC_SENDS_MAX - 1));
	ck_assert_uint_ge(core.batches, 4);
	ck_assert(front_idle(front));
}
END_TEST

/* Requests keep their place beside them. */
START_TEST(results_and_requests)
{
	struct evidence ev = { .kind = EVIDENCE_PSK, .transport = TRANSPORT_COAPS };
	uint64_t session = front_session_open(front, &ev, NULL, NULL);
	struct request rq = { .session = session,
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE,
			      .path = slice_str("/a") };

	for (unsigned i = 0; i < 2000; i++)
		done((uint8_t)i);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(front_submit(front, &rq, NULL, NULL), 0);
	for (unsigned i = 0; i < 10; i++)
		fake_core_settle(&core, front);
	ck_assert_uint_eq(core.n_sent, 2000);
	ck_assert_uint_eq(core.requests, 1000);
}
END_TEST

START_TEST(results_of_a_core_that_went)
{
	done(1);
	channel_free(core.ch);
	core.ch = NULL;
	ck_assert_int_eq(front_io(front, &err), -1);
	done(2);
	ck_assert(front_idle(front));
}
END_TEST

START_TEST(malformed_order)
{
	struct buf *b = channel_out(core.ch);
	size_t mark = ipc_begin(b, FRAME_SEND);

	ipc_put_u64(b, 1);
	ipc_end(b, mark);
	ck_assert_int_eq(channel_write(core.ch, &err), 0);
	ck_assert_int_eq(front_io(front, &err), -1);
	ck_assert_int_eq(err.code, ERR_MALFORMED);
}
END_TEST

START_TEST(figures_when_they_change)
{
	uint64_t v[FIGURE_COUNT] = { 0 };

	front_figures(front, v);
	fake_core_settle(&core, front);
	ck_assert_uint_eq(core.n_figures, 0);
	v[FIGURE_CALLS] = 5;
	v[FIGURE_DROPPED] = UINT64_MAX;
	for (unsigned i = 0; i < 2; i++) {
		front_figures(front, v);
		fake_core_settle(&core, front);
		ck_assert_uint_eq(core.n_figures, 1);
	}
	ck_assert(memcmp(core.figures, v, sizeof(v)) == 0);
}
END_TEST

static void on_drop(void *ctx, uint64_t session)
{
	(void)ctx;
	(void)session;
}

START_TEST(whose_session)
{
	struct evidence ev = { .kind = EVIDENCE_PLAIN, .transport = TRANSPORT_COAP };
	int mine;
	uint64_t session = front_session_open(front, &ev, on_drop, &mine);

	ck_assert_ptr_eq(front_session_ctx(front, session, on_drop), &mine);
	ck_assert_ptr_null(front_session_ctx(front, session, NULL));
	ck_assert_ptr_null(front_session_ctx(front, IPC_SESSION_SEND, on_drop));
	front_session_close(front, session);
	ck_assert_ptr_null(front_session_ctx(front, session, on_drop));
	front_session_touch(front, session);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("front send");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, there_and_back);
	tcase_add_test(t, nobody_to_call);
	tcase_add_test(t, many_results);
	tcase_add_test(t, results_and_requests);
	tcase_add_test(t, results_of_a_core_that_went);
	tcase_add_test(t, malformed_order);
	tcase_add_test(t, figures_when_they_change);
	tcase_add_test(t, whose_session);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
