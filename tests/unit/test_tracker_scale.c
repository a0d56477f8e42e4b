/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* Work grows with what is due, never with the fleet: counted, not timed. */
#include <check.h>
#include <stdlib.h>

#include "base/text.h"
#include "tracker_world.h"

#define DUE 20
#define FAR_MS (INT64_C(1) << 50)

static struct world w;

/* Devices with an update on offer; DUE of them have had their time. */
static void fleet(int devices)
{
	struct release rel = world_release(&w, 5, "2.0");
	struct rollout r = { .name = "spring",
			     .target = "all",
			     .release = rel.id,
			     .budget = devices,
			     .total = devices,
			     .in_flight = devices,
			     .state = ROLLOUT_RUNNING };

	WORLD_OK(&w, store_rollout_add(w.st, &r, NULL, 0, &w.err));
	for (int i = 0; i < devices; i++) {
		struct device d = { .mode = MODE_CLIENT, .created = 1, .changed = 1, .etag = 1 };
		struct update u = { .rollout = r.id,
				    .release = rel.id,
				    .attempt = 1,
				    .state = UPDATE_OFFERED,
				    .urgency = URGENCY_NORMAL,
				    .reserved = true,
				    .track_due = i % (devices / DUE) == 0 ? 1 : FAR_MS + i };

		text_format(d.id, sizeof(d.id), "lamp-%05d", i);
		WORLD_OK(&w, store_device_add(w.st, &d, &w.err));
		u.dev = d.dev;
		WORLD_OK(&w, store_update_add(w.st, &u, &w.err));
	}
	world_commit(&w);
}

static struct store_work pass_over(int devices)
{
	struct store_work work;
	int64_t next;

	world_open(&w);
	fleet(devices);
	store_work_take(w.st, &work);
	ck_assert_int_eq(WORLD_TURN(&w, scheduler_pass(&w.tk, 10 * DUE, 60000000, &next, &w.err)),
			 DUE);
	store_work_take(w.st, &work);
	world_close(&w);
	return work;
}

START_TEST(test_pass_touches_what_is_due)
{
	struct store_work few = pass_over(5 * DUE), many = pass_over(100 * DUE);

	ck_assert_int_ge(few.statements, DUE);
	ck_assert_int_eq(few.statements, many.statements);
	ck_assert_int_eq(few.steps, many.steps);
	ck_assert_int_eq(few.scanned + many.scanned, 0);
	ck_assert_int_eq(few.sorts, many.sorts);
}
END_TEST

START_TEST(test_pass_without_time_makes_headway)
{
	int64_t next = 0;

	world_open(&w);
	fleet(5 * DUE);
	for (int i = 0; i < DUE; i++)
		ck_assert_int_eq(WORLD_TURN(&w, scheduler_pass(&w.tk, 10 * DUE, 0, &next, &w.err)),
				 1);
	ck_assert_int_eq(WORLD_TURN(&w, scheduler_pass(&w.tk, 10 * DUE, 0, &next, &w.err)), 0);
	ck_assert_int_gt(next, w.tk.now.track);
	world_close(&w);
}
END_TEST

static struct store_work poll_among(int devices)
{
	struct store_work work;

	world_open(&w);
	fleet(devices);
	world_enrol(&w, "asker", "1.0", 1);
	world_commit(&w);
	store_work_take(w.st, &work);
	ck_assert_int_eq(world_ask(&w, "asker"), 0);
	ck_assert(!store_batch_dirty(w.st));
	store_work_take(w.st, &work);
	world_close(&w);
	return work;
}

START_TEST(test_poll_costs_the_same_in_any_fleet)
{
	struct store_work few = poll_among(5 * DUE), many = poll_among(100 * DUE);

	ck_assert_int_ge(few.statements, 1);
	ck_assert_int_eq(few.statements, many.statements);
	ck_assert_int_eq(few.steps, many.steps);
	ck_assert_int_eq(few.scanned + many.scanned, 0);
}
END_TEST

static void costs(const char *what, int64_t most)
{
	struct store_work work;

	store_work_take(w.st, &work);
	ck_assert_msg(work.statements <= most, "%s: %lld statements", what,
		      (long long)work.statements);
}

/* What a device says most often, statement by statement; more is a choice to be made here. */
START_TEST(test_what_devices_say_stays_cheap)
{
	world_open(&w);
	struct release rel = world_release(&w, 5, "2.0");
	world_enrol(&w, "lamp-1", "1.0", 1);
	world_enrol(&w, "lamp-2", "1.0", 1);
	world_rollout(&w, &rel, "one", "all", 2);
	world_rollout(&w, &rel, "two", "id == nobody", 2);
	world_commit(&w);
	costs("so far", INT64_MAX);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 2, "1.0", 1), 0);
	costs("a registration", 14);
	int64_t u = world_ask(&w, "lamp-1");
	costs("an offer", 31);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 3, u, "downloading"), 0);
	costs("a report that moves", 10);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 4, u, "downloading"), 0);
	costs("a report that does not", 6);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 5, u, "rebooting"), 0);
	costs("a further one that moves", 8);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	costs("a success", 25);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker_scale");
	TCase *t = tcase_create("scale");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_pass_touches_what_is_due);
	tcase_add_test(t, test_pass_without_time_makes_headway);
	tcase_add_test(t, test_poll_costs_the_same_in_any_fleet);
	tcase_add_test(t, test_what_devices_say_stays_cheap);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
