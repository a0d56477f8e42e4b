/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>

#include "tracker/push.h"

START_TEST(next_steps)
{
	static const struct {
		struct push_view v;
		enum push_step step;
	} rows[] = {
		{ { .state = UPDATE_PLANNED }, PUSH_STATUS },
		{ { .state = UPDATE_PLANNED, .fresh = true }, PUSH_BEGIN },
		{ { .state = UPDATE_DEFERRED }, PUSH_STATUS },
		{ { .state = UPDATE_DEFERRED, .fresh = true }, PUSH_BEGIN },
		{ { .state = UPDATE_OFFERED, .n_images = 1 }, PUSH_MANIFEST },
		{ { .state = UPDATE_OFFERED, .pull = true }, PUSH_MANIFEST },
		{ { .state = UPDATE_ACCEPTED, .n_images = 1, .manifest = true }, PUSH_HELD },
		{ { .state = UPDATE_ACCEPTED, .n_images = 1, .manifest = true, .held = true },
		  PUSH_IMAGE },
		{ { .state = UPDATE_DOWNLOADING, .n_images = 2, .image = 1, .manifest = true },
		  PUSH_HELD },
		{ { .state = UPDATE_DOWNLOADING, .n_images = 2, .image = 1 }, PUSH_MANIFEST },
		{ { .state = UPDATE_DOWNLOADING, .n_images = 1, .image = 1, .manifest = true },
		  PUSH_DONE },
		/* all images ride in the manifest */
		{ { .state = UPDATE_ACCEPTED, .manifest = true }, PUSH_DONE },
		{ { .state = UPDATE_ACCEPTED, .n_images = 1, .manifest = true, .pull = true },
		  PUSH_WAIT },
		{ { .state = UPDATE_DOWNLOADED, .manifest = true }, PUSH_WAIT },
		{ { .state = UPDATE_DOWNLOADED, .manifest = true, .window = true }, PUSH_STATUS },
		{ { .state = UPDATE_DOWNLOADED, .manifest = true, .applied = true }, PUSH_STATUS },
		{ { .state = UPDATE_DOWNLOADED, .manifest = true, .applied = true, .fresh = true },
		  PUSH_WAIT },
		{ { .state = UPDATE_DOWNLOADED, .manifest = true, .window = true, .fresh = true },
		  PUSH_WAIT },
		{ { .state = UPDATE_DOWNLOADED,
		    .manifest = true,
		    .window = true,
		    .fresh = true,
		    .idle = true },
		  PUSH_APPLY },
		{ { .state = UPDATE_DOWNLOADED,
		    .manifest = true,
		    .pull = true,
		    .window = true,
		    .fresh = true,
		    .idle = true,
		    .n_images = 1 },
		  PUSH_APPLY },
		/* it lost the update after a reboot */
		{ { .state = UPDATE_DOWNLOADED, .n_images = 1, .window = true, .idle = true },
		  PUSH_MANIFEST },
		{ { .state = UPDATE_DOWNLOADED, .n_images = 1, .manifest = true }, PUSH_HELD },
		{ { .state = UPDATE_INSTALLING }, PUSH_WAIT },
		{ { .state = UPDATE_REBOOTING }, PUSH_WAIT },
		{ { .state = UPDATE_CONFIRMING }, PUSH_WAIT },
		{ { .state = UPDATE_SUCCEEDED }, PUSH_WAIT },
		{ { .state = UPDATE_FAILED }, PUSH_WAIT },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(push_next(&rows[i].v) == rows[i].step, "row %u: %d", i,
			      push_next(&rows[i].v));
}
END_TEST

START_TEST(what_answers_mean)
{
	static const struct {
		enum send_kind kind;
		uint16_t status;
		enum push_outcome outcome;
		enum failure failure;
	} rows[] = {
		{ SEND_LOOK, 204, PUSH_OK, FAILURE_NONE },
		{ SEND_LOOK, 404, PUSH_NOTHING, FAILURE_NONE },
		{ SEND_LOOK, 0, PUSH_LATER, FAILURE_NONE },
		{ SEND_STATUS, 200, PUSH_OK, FAILURE_NONE },
		{ SEND_STATUS, 501, PUSH_NOTHING, FAILURE_NONE },
		{ SEND_STATUS, 503, PUSH_LATER, FAILURE_NONE },
		{ SEND_STATUS, 413, PUSH_NOTHING, FAILURE_NONE },
		{ SEND_MANIFEST, 204, PUSH_OK, FAILURE_NONE },
		{ SEND_MANIFEST, 401, PUSH_FAILED, FAILURE_SIGNATURE },
		{ SEND_MANIFEST, 403, PUSH_LATER, FAILURE_NONE },
		{ SEND_MANIFEST, 404, PUSH_FAILED, FAILURE_INCOMPATIBLE },
		{ SEND_MANIFEST, 406, PUSH_FAILED, FAILURE_INCOMPATIBLE },
		{ SEND_MANIFEST, 409, PUSH_LATER, FAILURE_NONE },
		{ SEND_MANIFEST, 413, PUSH_FAILED, FAILURE_SPACE },
		{ SEND_MANIFEST, 415, PUSH_FAILED, FAILURE_INCOMPATIBLE },
		{ SEND_MANIFEST, 422, PUSH_FAILED, FAILURE_SIGNATURE },
		{ SEND_MANIFEST, 500, PUSH_LATER, FAILURE_NONE },
		{ SEND_MANIFEST, 501, PUSH_FAILED, FAILURE_INCOMPATIBLE },
		{ SEND_HELD, 200, PUSH_OK, FAILURE_NONE },
		{ SEND_HELD, 404, PUSH_NOTHING, FAILURE_NONE },
		{ SEND_HELD, 409, PUSH_RESTART, FAILURE_DOWNLOAD },
		{ SEND_IMAGE, 0, PUSH_LATER, FAILURE_NONE },
		{ SEND_IMAGE, 400, PUSH_FAILED, FAILURE_INCOMPATIBLE },
		{ SEND_IMAGE, 408, PUSH_ASK, FAILURE_DOWNLOAD },
		{ SEND_IMAGE, 409, PUSH_RESTART, FAILURE_DOWNLOAD },
		{ SEND_IMAGE, 410, PUSH_LATER, FAILURE_NONE },
		{ SEND_IMAGE, 412, PUSH_FAILED, FAILURE_DIGEST },
		{ SEND_IMAGE, 413, PUSH_FAILED, FAILURE_SPACE },
		{ SEND_IMAGE, 422, PUSH_FAILED, FAILURE_DIGEST },
		{ SEND_IMAGE, 429, PUSH_LATER, FAILURE_NONE },
		{ SEND_IMAGE, 451, PUSH_FAILED, FAILURE_OTHER },
		{ SEND_IMAGE, 502, PUSH_LATER, FAILURE_NONE },
		{ SEND_APPLY, 204, PUSH_OK, FAILURE_NONE },
		{ SEND_APPLY, 409, PUSH_RESTART, FAILURE_DOWNLOAD },
		{ SEND_APPLY, 422, PUSH_FAILED, FAILURE_INSTALL },
		{ SEND_APPLY, 503, PUSH_LATER, FAILURE_NONE },
		{ SEND_DIAG, 204, PUSH_OK, FAILURE_NONE },
		{ SEND_DIAG, 405, PUSH_NOTHING, FAILURE_NONE },
		{ SEND_DROP, 204, PUSH_OK, FAILURE_NONE },
		{ SEND_DROP, 409, PUSH_NOTHING, FAILURE_NONE },
		{ SEND_DROP, 503, PUSH_LATER, FAILURE_NONE },
		{ SEND_DIAG, 302, PUSH_LATER, FAILURE_NONE },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum failure f = FAILURE_COUNT;
		enum push_outcome o = push_outcome(rows[i].kind, rows[i].status, &f);

		ck_assert_msg(o == rows[i].outcome && f == rows[i].failure, "row %u: %d, %d", i, o,
			      f);
	}
}
END_TEST

/* Every status a front may tell means something for every kind. */
START_TEST(no_answer_is_left_out)
{
	for (int k = 0; k < SEND_KIND_COUNT; k++)
		for (unsigned s = 0; s < 700; s++) {
			enum failure f = FAILURE_COUNT;
			enum push_outcome o = push_outcome((enum send_kind)k, (uint16_t)s, &f);

			ck_assert_int_lt(f, FAILURE_COUNT);
			ck_assert(o != PUSH_FAILED || f != FAILURE_NONE);
			ck_assert(o != PUSH_OK || (s >= 200 && s < 300));
		}
}
END_TEST

START_TEST(waits_grow_to_their_cap)
{
	ck_assert_int_eq(push_backoff_s(503, 0, 300), 2);
	ck_assert_int_eq(push_backoff_s(503, 1, 300), 2);
	ck_assert_int_eq(push_backoff_s(503, 2, 300), 4);
	ck_assert_int_eq(push_backoff_s(503, 255, 300), 300);
	ck_assert_int_eq(push_backoff_s(0, 1, 300), 5);
	ck_assert_int_eq(push_backoff_s(0, 4, 300), 40);
	ck_assert_int_eq(push_backoff_s(0, 1, 1), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/push");
	TCase *t = tcase_create("push");

	tcase_add_test(t, next_steps);
	tcase_add_test(t, what_answers_mean);
	tcase_add_test(t, no_answer_is_left_out);
	tcase_add_test(t, waits_grow_to_their_cap);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
