/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>

#include "base/model.h"

/* Every word parses back to its value, words differ, strangers are refused. */
#define ROUND_TRIP(type, count)                                                             \
	START_TEST(test_##type)                                                             \
	{                                                                                   \
		enum type out;                                                              \
		for (int i = 0; i < (int)(count); i++) {                                    \
			ck_assert_int_eq(type##_parse(type##_word((enum type)i), &out), 0); \
			ck_assert_int_eq((int)out, i);                                      \
			ck_assert_str_ne(type##_word((enum type)i), "unknown");             \
		}                                                                           \
		ck_assert_str_eq(type##_word((enum type)(count)), "unknown");               \
		ck_assert_int_eq(type##_parse("", &out), -1);                               \
		ck_assert_int_eq(type##_parse("unknown", &out), -1);                        \
		ck_assert_int_eq(type##_parse(NULL, &out), -1);                             \
	}                                                                                   \
	END_TEST

ROUND_TRIP(role, ROLE_COUNT)
ROUND_TRIP(mode, MODE_COUNT)
ROUND_TRIP(urgency, URGENCY_COUNT)
ROUND_TRIP(release_state, RELEASE_STATE_COUNT)
ROUND_TRIP(update_state, UPDATE_STATE_COUNT)
ROUND_TRIP(failure, FAILURE_COUNT)
ROUND_TRIP(rollout_state, ROLLOUT_STATE_COUNT)
ROUND_TRIP(job_state, JOB_STATE_COUNT)
ROUND_TRIP(update_order, ORDER_COUNT)

START_TEST(test_update_state_kinds)
{
	static const struct {
		enum update_state s;
		bool terminal, in_flight;
	} rows[] = {
		{ UPDATE_PLANNED, false, false },    { UPDATE_OFFERED, false, true },
		{ UPDATE_DEFERRED, false, false },   { UPDATE_ACCEPTED, false, true },
		{ UPDATE_DOWNLOADING, false, true }, { UPDATE_DOWNLOADED, false, true },
		{ UPDATE_INSTALLING, false, true },  { UPDATE_REBOOTING, false, true },
		{ UPDATE_CONFIRMING, false, true },  { UPDATE_SUCCEEDED, true, false },
		{ UPDATE_FAILED, true, false },	     { UPDATE_REJECTED, true, false },
		{ UPDATE_TIMED_OUT, true, false },   { UPDATE_ROLLED_BACK, true, false },
		{ UPDATE_CANCELLED, true, false },   { UPDATE_SUPERSEDED, true, false },
		{ UPDATE_EXPIRED, true, false },
	};

	ck_assert_int_eq((int)(sizeof(rows) / sizeof(rows[0])), UPDATE_STATE_COUNT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(update_state_terminal(rows[i].s), rows[i].terminal);
		ck_assert_int_eq(update_state_in_flight(rows[i].s), rows[i].in_flight);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base_model");
	TCase *tc = tcase_create("words");

	tcase_add_test(tc, test_role);
	tcase_add_test(tc, test_mode);
	tcase_add_test(tc, test_urgency);
	tcase_add_test(tc, test_release_state);
	tcase_add_test(tc, test_update_state);
	tcase_add_test(tc, test_failure);
	tcase_add_test(tc, test_rollout_state);
	tcase_add_test(tc, test_job_state);
	tcase_add_test(tc, test_update_order);
	tcase_add_test(tc, test_update_state_kinds);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
