/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * What devices do by themselves, before anybody offered them anything: facts are entered,
 * and no promise hangs on their coming in order. Each of these broke one in the simulation.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker_world.h"

static struct world w;
static struct release rel;

static void setup(void)
{
	world_open(&w);
	world_enrol(&w, "lamp-1", "1.0", 1);
	rel = world_release(&w, 5, "2.0");
}

static void teardown(void)
{
	world_close(&w);
}

/* Planned, and not started. */
static struct rollout planned(const char *target, int64_t budget, const struct phase *p, int n)
{
	struct rollout_spec s = { .release = rel.id, .budget = budget, .n_phases = n };
	struct rollout out;
	struct job job;

	text_copy(s.name, sizeof(s.name), "one");
	text_copy(s.target, sizeof(s.target), target);
	for (int i = 0; i < n; i++)
		s.phases[i] = p[i];
	WORLD_OK(&w, rollout_create(&w.tk, &s, &out, &job, &w.err));
	world_jobs(&w);
	return world_rollout_now(&w, out.id);
}

static int64_t update_of(const char *id, int64_t rollout)
{
	struct update u;

	ck_assert_int_eq(store_update_of(w.st, world_device(&w, id).dev, rollout, &u, &w.err), 1);
	return u.id;
}

/* "Put off" said of what was never offered is no way past the gates. */
START_TEST(test_a_deferral_of_its_own_opens_no_gate)
{
	struct device valve = {
		.id = "valve-1", .auth = AUTH_NONE, .mode = MODE_CLIENT, .vendor_id = w.vendor
	};
	struct decision c = { .boot = 1, .counter = 2, .kind = DECISION_ACCEPT };
	struct decision_answer a;

	ck_assert_int_eq(suit_class_uuid(&w.vendor, "valve", &valve.class_id), 0);
	WORLD_OK(&w, store_device_add(w.st, &valve, &w.err));
	struct rollout r = world_rollout(&w, &rel, "one", "all", 5);
	c.update = update_of("valve-1", r.id);
	ck_assert_int_eq(world_ask(&w, "valve-1"), 0);
	ck_assert_int_eq(world_report(&w, "valve-1", 1, 1, c.update, "deferred"), 0);
	ck_assert_int_eq(world_update(&w, c.update).state, UPDATE_DEFERRED);
	struct device d = world_device(&w, "valve-1");
	ck_assert_int_eq(WORLD_DO(&w, offer_decide(&w.tk, &d, &c, &a, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(w.err.text, "compatibility"));
	ck_assert_int_eq(world_update(&w, c.update).state, UPDATE_DEFERRED);
}
END_TEST

/* In the boot in which it says that it has installed, it has not come back with anything. */
START_TEST(test_installed_by_itself_is_not_rolled_back)
{
	struct rollout r = planned("all", 1, NULL, 0);
	int64_t u = update_of("lamp-1", r.id);

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "installed"), 0);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_CONFIRMING);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 3, "1.0", 1), 0);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_CONFIRMING);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_SUCCEEDED);
}
END_TEST

START_TEST(test_no_start_with_the_budget_used_up)
{
	world_enrol(&w, "lamp-2", "1.0", 1);
	struct rollout r = planned("all", 1, NULL, 0);

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, update_of("lamp-1", r.id), "rolled-back"),
			 0);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.failed, 1);
	ck_assert_int_eq(r.state, ROLLOUT_READY);
	ck_assert_int_eq(WORLD_DO(&w, rollout_start(&w.tk, &r, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(w.err.text, "used up"));
}
END_TEST

/* A phase that was filled before the start is over after it, and soaks like any other. */
START_TEST(test_a_phase_soaks_from_the_start_on)
{
	static const struct phase phases[] = { { .count = 1, .soak_s = 600 }, { .percent = 100 } };

	world_enrol(&w, "lamp-2", "1.0", 1);
	struct rollout r = planned("all", 5, phases, 2);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(world_rollout_now(&w, r.id).succeeded, 1);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 1);
	world_wait(&w, 599);
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	world_wait(&w, 1);
	ck_assert_int_gt(world_ask(&w, "lamp-2"), 0);
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 2);
}
END_TEST

/* Who set the wall clock says nothing of whether a device was heard of. */
START_TEST(test_a_set_clock_silences_nobody)
{
	static const int64_t steps[] = { INT64_C(864000000), INT64_C(-864000000) };
	struct rollout r = world_rollout(&w, &rel, "one", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "failed"), 0);
	world_wait(&w, 3600);
	world_schedule(&w);
	world_wait(&w, 80000);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 3, "1.0", 1), 0);
	w.tk.now.wall += steps[_i];
	world_wait(&w, 6400);
	world_schedule(&w);
	/* it was heard of not two hours ago */
	ck_assert_str_eq(update_state_word(world_update(&w, u).state), "planned");
	world_wait(&w, 86400);
	world_schedule(&w);
	ck_assert_str_eq(update_state_word(world_update(&w, u).state), "timed-out");
	ck_assert_int_eq(world_rollout_now(&w, r.id).planned, 0);
}
END_TEST

/* A clock put back makes nobody who still talks one that was lost with our manifest. */
START_TEST(test_a_set_clock_loses_nobody)
{
	struct report p = {
		.boot = 1, .counter = 2, .progress = 1, .n_components = -1, .state = "downloading"
	};
	struct report_answer a;

	world_rollout(&w, &rel, "one", "all", 1);
	struct device d = world_device(&w, "lamp-1");
	int64_t u = world_ask(&w, "lamp-1");
	WORLD_OK(&w, offer_manifest_fetched(&w.tk, d.dev, &w.err));
	WORLD_OK(&w, report_apply(&w.tk, &d, &p, &a, &w.err));
	world_wait(&w, 3000);
	w.tk.now.wall -= 86400000;
	p.counter++;
	p.progress++;
	WORLD_OK(&w, report_apply(&w.tk, &d, &p, &a, &w.err));
	world_wait(&w, 1000);
	world_schedule(&w);
	ck_assert_str_eq(update_state_word(world_update(&w, u).state), "planned");
	ck_assert(!world_update(&w, u).charged);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/facts");
	TCase *t = tcase_create("facts");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_a_deferral_of_its_own_opens_no_gate);
	tcase_add_test(t, test_installed_by_itself_is_not_rolled_back);
	tcase_add_test(t, test_no_start_with_the_budget_used_up);
	tcase_add_test(t, test_a_phase_soaks_from_the_start_on);
	tcase_add_loop_test(t, test_a_set_clock_silences_nobody, 0, 2);
	tcase_add_test(t, test_a_set_clock_loses_nobody);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
