/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* One update of one device, from the plan to its end, on a real store. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker_world.h"

static struct world w;
static struct release rel;
static struct rollout ro;

static void setup(void)
{
	world_open(&w);
	world_enrol(&w, "lamp-1", "1.0", 1);
	rel = world_release(&w, 5, "2.0");
	ro = world_rollout(&w, &rel, "spring", "all", 1);
}

static void teardown(void)
{
	world_close(&w);
}

static void assert_counters(int64_t planned, int64_t in_flight, int64_t deferred, int64_t failed,
			    int64_t ended)
{
	struct rollout r = world_rollout_now(&w, ro.id);

	ck_assert_int_eq(r.planned, planned);
	ck_assert_int_eq(r.in_flight, in_flight);
	ck_assert_int_eq(r.deferred, deferred);
	ck_assert_int_eq(r.failed, failed);
	ck_assert_int_eq(r.ended, ended);
	ck_assert_int_eq(r.planned + r.in_flight + r.deferred + r.ended, r.total);
}

static void assert_state(int64_t id, enum update_state s)
{
	struct update u = world_update(&w, id);

	ck_assert_str_eq(update_state_word(u.state), update_state_word(s));
	ck_assert_int_eq(u.track_due == 0,
			 update_state_terminal(s) ||
				 (s == UPDATE_PLANNED && u.attempt == 1 && u.deferrals == 0));
}

static int decide(const char *id, uint64_t counter, int64_t update, int kind, int64_t until_s,
		  struct decision_answer *out)
{
	struct decision c = { .boot = 1,
			      .counter = counter,
			      .update = update,
			      .until_s = until_s,
			      .reason = "said so" };
	struct device d = world_device(&w, id);

	c.kind = kind;
	return WORLD_DO(&w, offer_decide(&w.tk, &d, &c, out, &w.err));
}

START_TEST(test_happy_path)
{
	static const char *const words[] = { "downloading", "downloaded", "installing",
					     "rebooting" };
	struct decision_answer a;
	struct history h[16];

	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	assert_counters(1, 0, 0, 0, 0);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_gt(u, 0);
	assert_state(u, UPDATE_OFFERED);
	assert_counters(0, 1, 0, 0, 0);
	ck_assert_uint_eq(world_device(&w, "lamp-1").floor_sequence, 5);
	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_ACCEPT, 0, &a), 0);
	ck_assert(a.fetch && a.state == UPDATE_ACCEPTED);
	for (int i = 0; i < 4; i++)
		ck_assert_msg(world_report(&w, "lamp-1", 1, 3 + (uint64_t)i, u, words[i]) == 0,
			      "%s", w.err.text);
	assert_state(u, UPDATE_REBOOTING);
	/* back with the new version, in another boot */
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	assert_state(u, UPDATE_SUCCEEDED);
	assert_counters(0, 0, 0, 0, 1);
	ck_assert_int_eq(world_rollout_now(&w, ro.id).state, ROLLOUT_FINISHED);
	ck_assert_int_eq(world_rollout_now(&w, ro.id).succeeded, 1);
	ck_assert_int_eq(world_history(&w, u, h, 16), 7);
	ck_assert_int_eq(h[0].from, UPDATE_PLANNED);
	ck_assert_int_eq(h[6].to, UPDATE_SUCCEEDED);
	ck_assert(h[6].inferred && !h[6].late);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
}
END_TEST

START_TEST(test_the_same_offer_until_decided)
{
	int64_t u = world_ask(&w, "lamp-1");

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	assert_counters(0, 1, 0, 0, 0);
	struct history h[4];
	ck_assert_int_eq(world_history(&w, u, h, 4), 1);
}
END_TEST

START_TEST(test_a_look_reserves_nothing)
{
	struct device d = world_device(&w, "lamp-1");
	struct err why;
	struct offer o;
	int64_t ask;

	world_commit(&w);
	ck_assert_int_eq(WORLD_DO(&w, offer_get(&w.tk, &d, false, &o, &ask, &why, &w.err)), 1);
	ck_assert_int_eq(o.update.state, UPDATE_PLANNED);
	ck_assert(!store_batch_dirty(w.st));
	assert_counters(1, 0, 0, 0, 0);
}
END_TEST

START_TEST(test_skipped_states_are_inferred)
{
	struct history h[8];
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "installing"), 0);
	assert_state(u, UPDATE_INSTALLING);
	ck_assert_int_eq(world_history(&w, u, h, 8), 2);
	ck_assert(h[1].inferred);
	/* what is older than the state changes nothing */
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 3, u, "downloading"), 0);
	assert_state(u, UPDATE_INSTALLING);
	ck_assert_int_eq(world_history(&w, u, h, 8), 2);
}
END_TEST

START_TEST(test_succeeded_means_booted)
{
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "installing"), 0);
	/* the same boot: installing has finished, no more */
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 3, u, "succeeded"), 0);
	assert_state(u, UPDATE_CONFIRMING);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 4, "2.0", 5), 0);
	assert_state(u, UPDATE_CONFIRMING);
	ck_assert_int_eq(world_report(&w, "lamp-1", 2, 1, u, "succeeded"), 0);
	assert_state(u, UPDATE_SUCCEEDED);
}
END_TEST

/* Enrolled by hand, it first speaks of itself after the update. */
START_TEST(test_success_of_a_device_that_said_no_boot_before)
{
	struct device d = { .id = "shy-1",
			    .auth = AUTH_NONE,
			    .mode = MODE_CLIENT,
			    .vendor_id = w.vendor,
			    .class_id = w.class_id };
	struct report r = { .boot = 2,
			    .counter = 1,
			    .progress = -1,
			    .state = "succeeded",
			    .n_components = 1,
			    .components = { { .version = "2.0" } } };
	struct report_answer a;

	WORLD_OK(&w, store_device_add(w.st, &d, &w.err));
	world_rollout(&w, &rel, "shy", "id == shy-1", 1);
	ck_assert_int_gt(world_ask(&w, "shy-1"), 0);
	d = world_device(&w, "shy-1");
	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
	ck_assert_int_eq(a.state, UPDATE_SUCCEEDED);
}
END_TEST

START_TEST(test_rolled_back)
{
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "rebooting"), 0);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "1.0", 1), 0);
	assert_state(u, UPDATE_ROLLED_BACK);
	ck_assert(world_update(&w, u).charged);
	ck_assert_int_eq(world_update(&w, u).failure, FAILURE_BOOT);
	ck_assert_str_eq(world_update(&w, u).reason,
			 "registration after a restart: it runs version 1.0 (sequence 1)");
	assert_counters(0, 0, 0, 1, 1);
}
END_TEST

START_TEST(test_success_with_the_old_version_is_none)
{
	struct report r = { .boot = 2,
			    .counter = 1,
			    .progress = -1,
			    .state = "succeeded",
			    .n_components = 1,
			    .components = { { .version = "1.0" } } };
	struct device d = world_device(&w, "lamp-1");
	struct report_answer a;
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "installing"), 0);
	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
	ck_assert_int_eq(a.state, UPDATE_ROLLED_BACK);
}
END_TEST

START_TEST(test_reject)
{
	struct decision_answer a;
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_REJECT, 0, &a), 0);
	ck_assert_int_eq(a.state, UPDATE_REJECTED);
	ck_assert(!a.fetch);
	assert_counters(0, 0, 0, 0, 1);
	ck_assert_ptr_nonnull(strstr(world_update(&w, u).reason, "said so"));
	/* and once more: there is nothing left to decide */
	ck_assert_int_eq(decide("lamp-1", 3, u, DECISION_ACCEPT, 0, &a), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
}
END_TEST

START_TEST(test_defer_within_the_limits)
{
	struct decision_answer a, b;
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_DEFER, 3600, &a), 0);
	ck_assert_int_eq(a.state, UPDATE_DEFERRED);
	ck_assert_int_eq(a.granted_s, 3600);
	ck_assert_int_eq(a.latest_s, 0);
	ck_assert(!a.fetch);
	assert_counters(0, 0, 1, 0, 0);
	/* heard twice, answered the same, nothing written */
	world_commit(&w);
	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_DEFER, 3600, &b), 0);
	ck_assert(b.duplicate);
	ck_assert_int_eq(b.granted_s, a.granted_s);
	ck_assert(!store_batch_dirty(w.st));
	/* never earlier than granted */
	world_wait(&w, 3599);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "deferr"));
	world_wait(&w, 1);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	assert_counters(0, 1, 0, 0, 0);
}
END_TEST

START_TEST(test_defer_over_the_limits)
{
	struct decision_answer a;
	int64_t u = world_ask(&w, "lamp-1");
	int64_t longest = w.policy.strategy[URGENCY_NORMAL].defer_max_s;

	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_DEFER, longest + 1, &a), 0);
	ck_assert_int_eq(a.granted_s, longest);
	ck_assert_int_eq(a.latest_s, longest);
	ck_assert_int_eq(a.state, UPDATE_DEFERRED);
}
END_TEST

START_TEST(test_deferrals_run_out)
{
	struct decision_answer a;
	uint64_t counter = 2;
	int64_t u = world_ask(&w, "lamp-1");

	w.policy.strategy[URGENCY_NORMAL].defer_count = 2;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(decide("lamp-1", counter++, u, DECISION_DEFER, 10, &a), 0);
		ck_assert_int_eq(a.state, UPDATE_DEFERRED);
		world_wait(&w, 10);
		ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	}
	struct history h[8];
	for (int i = 0; i < 4; i++) { /* its word is kept, once, whatever it asks for then */
		ck_assert_int_eq(decide("lamp-1", counter++, u, DECISION_DEFER, 10 + i, &a), 0);
		ck_assert_int_eq(a.state, UPDATE_OFFERED);
		ck_assert_int_eq(a.granted_s, 0);
		ck_assert(a.fetch);
		ck_assert_int_eq(world_history(&w, u, h, 8), 6);
	}
	ck_assert_int_eq(h[5].to, UPDATE_OFFERED);
	ck_assert_ptr_nonnull(strstr(h[5].cause, "asked 10 s, no deferral is left: the device"));
	ck_assert_str_eq(world_update(&w, u).reason, h[5].cause);
}
END_TEST

/* The word in a report is no way round the limits of a decision. */
START_TEST(test_deferrals_by_report_run_out_too)
{
	uint64_t counter = 2;
	int64_t u = world_ask(&w, "lamp-1");

	w.policy.strategy[URGENCY_NORMAL].defer_count = 2;
	w.policy.strategy[URGENCY_NORMAL].defer_max_s = 10;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(world_report(&w, "lamp-1", 1, counter++, u, "deferred"), 0);
		ck_assert_int_eq(world_update(&w, u).state, UPDATE_DEFERRED);
		/* and not for longer either */
		ck_assert_int_eq(world_update(&w, u).track_due, w.tk.now.track + 10000);
		world_wait(&w, 10);
		ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	}
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, counter++, u, "deferred"), 0);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_OFFERED);
	ck_assert_int_eq(world_update(&w, u).deferrals, 2);
}
END_TEST

START_TEST(test_a_deadline_ends_deferrals)
{
	struct decision_answer a;
	int64_t u = world_ask(&w, "lamp-1");
	struct update row = world_update(&w, u);

	ck_assert_int_eq(row.track_deadline, w.tk.now.track + 2592000000);
	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_DEFER, 600000, &a), 0);
	world_wait(&w, 590000);
	row = world_update(&w, u);
	row.track_deadline = w.tk.now.track;
	WORLD_OK(&w, store_update_put(w.st, &row, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	ck_assert_int_eq(decide("lamp-1", 3, u, DECISION_DEFER, 600, &a), 0);
	ck_assert_int_eq(a.state, UPDATE_OFFERED);
}
END_TEST

START_TEST(test_accept_while_deferred_takes_a_slot)
{
	struct decision_answer a;
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_DEFER, 600, &a), 0);
	ck_assert_int_eq(decide("lamp-1", 3, u, DECISION_ACCEPT, 0, &a), 0);
	ck_assert_int_eq(a.state, UPDATE_ACCEPTED);
	assert_counters(0, 1, 0, 0, 0);
}
END_TEST

/* What it put off without having been offered it is offered by its yes: the floor follows. */
START_TEST(test_accept_raises_the_floor)
{
	struct decision_answer a;
	struct update u;

	ck_assert_int_eq(store_update_open(w.st, world_device(&w, "lamp-1").dev, &u, &w.err), 1);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u.id, "downloading"), 0);
	ck_assert_int_eq(decide("lamp-1", 3, u.id, DECISION_DEFER, 600, &a), 0);
	ck_assert_uint_lt(world_device(&w, "lamp-1").floor_sequence, 5);
	ck_assert_int_eq(decide("lamp-1", 4, u.id, DECISION_ACCEPT, 0, &a), 0);
	ck_assert_int_eq(a.state, UPDATE_ACCEPTED);
	ck_assert_uint_eq(world_device(&w, "lamp-1").floor_sequence, 5);
}
END_TEST

/* A yes begins it anew: what it says of success must come from a boot behind that. */
START_TEST(test_accept_begins_in_its_boot)
{
	struct decision c = { .boot = 2, .counter = 2, .kind = DECISION_ACCEPT };
	struct decision_answer a;
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_DEFER, 600, &a), 0);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "1.0", 1), 0);
	struct device d = world_device(&w, "lamp-1");
	c.update = u;
	ck_assert_int_eq(WORLD_DO(&w, offer_decide(&w.tk, &d, &c, &a, &w.err)), 0);
	ck_assert_int_eq(a.state, UPDATE_ACCEPTED);
	ck_assert_int_eq(world_report(&w, "lamp-1", 2, 3, u, "succeeded"), 0);
	assert_state(u, UPDATE_CONFIRMING);
	ck_assert_int_eq(world_register(&w, "lamp-1", 3, 1, "2.0", 5), 0);
	assert_state(u, UPDATE_SUCCEEDED);
}
END_TEST

START_TEST(test_failure_is_retried_after_back_off)
{
	static const int64_t backoff[] = { 3600, 7200, 14400 };
	uint64_t counter = 2;
	int64_t u = world_ask(&w, "lamp-1");

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(world_report(&w, "lamp-1", 1, counter++, u, "failed"), 0);
		assert_state(u, UPDATE_PLANNED);
		ck_assert_int_eq(world_update(&w, u).attempt, i + 2);
		assert_counters(1, 0, 0, 0, 0);
		world_wait(&w, backoff[i] - 1);
		ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
		ck_assert_ptr_nonnull(strstr(w.err.text, "back-off"));
		world_wait(&w, 1);
		ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	}
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, counter, u, "failed"), 0);
	assert_state(u, UPDATE_FAILED);
	ck_assert(world_update(&w, u).charged);
	assert_counters(0, 0, 0, 1, 1);
}
END_TEST

static const struct {
	int64_t result;
	enum failure class;
	enum update_state next;
} lwm2m[] = {
	{ 2, FAILURE_SPACE, UPDATE_PLANNED },	    { 3, FAILURE_SPACE, UPDATE_PLANNED },
	{ 4, FAILURE_DOWNLOAD, UPDATE_PLANNED },    { 5, FAILURE_DIGEST, UPDATE_PLANNED },
	{ 6, FAILURE_INCOMPATIBLE, UPDATE_FAILED }, { 7, FAILURE_DOWNLOAD, UPDATE_PLANNED },
	{ 8, FAILURE_INSTALL, UPDATE_PLANNED },	    { 9, FAILURE_DOWNLOAD, UPDATE_PLANNED },
	{ 0, FAILURE_OTHER, UPDATE_PLANNED },	    { 99, FAILURE_OTHER, UPDATE_PLANNED },
};

START_TEST(test_results_of_lwm2m)
{
	struct report r = { .boot = 1,
			    .counter = 2,
			    .progress = -1,
			    .n_components = -1,
			    .state = "failed",
			    .result = lwm2m[_i].result };
	struct device d = world_device(&w, "lamp-1");
	struct report_answer a;
	int64_t u = world_ask(&w, "lamp-1");

	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
	ck_assert_int_eq(a.state, lwm2m[_i].next);
	ck_assert_int_eq(world_update(&w, u).failure, lwm2m[_i].class);
}
END_TEST

START_TEST(test_silence_ends_timed_out)
{
	int64_t u = world_ask(&w, "lamp-1");
	int passes = 0;

	/* nobody fetched the manifest: no charge, but an end */
	while (!update_state_terminal(world_update(&w, u).state) && passes++ < 50) {
		world_wait(&w, 86400);
		world_schedule(&w);
	}
	assert_state(u, UPDATE_TIMED_OUT);
	ck_assert(!world_update(&w, u).charged);
	ck_assert_int_eq(world_rollout_now(&w, ro.id).timed_out, 1);
	assert_counters(0, 0, 0, 0, 1);
}
END_TEST

START_TEST(test_silence_after_the_manifest_is_charged)
{
	struct device d = world_device(&w, "lamp-1");
	int64_t u = world_ask(&w, "lamp-1");

	w.policy.strategy[URGENCY_NORMAL].retries = 0;
	WORLD_OK(&w, offer_manifest_fetched(&w.tk, d.dev, &w.err));
	world_wait(&w, 86399);
	world_schedule(&w);
	assert_state(u, UPDATE_OFFERED);
	world_wait(&w, 1);
	world_schedule(&w);
	assert_state(u, UPDATE_TIMED_OUT);
	assert_counters(0, 0, 0, 1, 1);
}
END_TEST

START_TEST(test_late_success_returns_the_charge)
{
	struct device d = world_device(&w, "lamp-1");
	int64_t u = world_ask(&w, "lamp-1");

	w.policy.strategy[URGENCY_NORMAL].retries = 0;
	WORLD_OK(&w, offer_manifest_fetched(&w.tk, d.dev, &w.err));
	world_wait(&w, 86400);
	world_schedule(&w);
	assert_counters(0, 0, 0, 1, 1);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	assert_state(u, UPDATE_SUCCEEDED);
	ck_assert(world_update(&w, u).late);
	assert_counters(0, 0, 0, 0, 1);
	ck_assert_int_eq(world_rollout_now(&w, ro.id).timed_out, 0);
	ck_assert_int_eq(world_rollout_now(&w, ro.id).succeeded, 1);
}
END_TEST

START_TEST(test_duplicate_reports_write_nothing)
{
	struct report r = {
		.boot = 1, .counter = 9, .progress = 10, .n_components = -1, .state = "downloading"
	};
	struct device d = world_device(&w, "lamp-1");
	struct report_answer a, b;

	world_ask(&w, "lamp-1");
	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
	world_commit(&w);
	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &b, &w.err));
	ck_assert(!a.duplicate && b.duplicate);
	ck_assert_int_eq(b.state, UPDATE_DOWNLOADING);
	ck_assert_int_eq(b.update, a.update);
	ck_assert(!store_batch_dirty(w.st));
}
END_TEST

START_TEST(test_progress_needs_no_row)
{
	struct report r = {
		.boot = 1, .counter = 2, .progress = 0, .n_components = -1, .state = "downloading"
	};
	struct device d = world_device(&w, "lamp-1");
	struct report_answer a;
	struct history h[8];
	int64_t u = world_ask(&w, "lamp-1");

	for (; r.progress <= 100; r.progress += 10, r.counter++) {
		WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
		ck_assert_int_eq(world_update(&w, u).progress, r.progress);
	}
	ck_assert_int_eq(world_history(&w, u, h, 8), 2);
}
END_TEST

START_TEST(test_reports_that_are_refused)
{
	int64_t u = world_ask(&w, "lamp-1");

	world_enrol(&w, "lamp-2", "1.0", 1);
	/* another's update */
	ck_assert_int_eq(world_report(&w, "lamp-2", 1, 2, u, "failed"), -1);
	ck_assert_int_eq(w.err.code, ERR_NOT_FOUND);
	/* a word that is no state; the counter is not used up by it */
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "exploding"), -1);
	ck_assert_int_eq(w.err.code, ERR_INVALID);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "downloading"), 0);
	/* below the window */
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 200, u, "downloading"), 0);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 136, u, "failed"), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	assert_state(u, UPDATE_DOWNLOADING);
}
END_TEST

START_TEST(test_newer_release_supersedes_what_waits)
{
	struct release newer = world_release(&w, 6, "2.1");
	struct rollout second = world_rollout(&w, &newer, "summer", "all", 1);
	struct update first[2];
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_update(&w, u).rollout, second.id);
	ck_assert_int_eq(store_update_list(w.st, ro.id, 0, 0, 2, first, &w.err), 1);
	ck_assert_int_eq(first[0].state, UPDATE_SUPERSEDED);
	assert_counters(0, 0, 0, 0, 1);
}
END_TEST

START_TEST(test_critical_preempts_what_has_not_begun_to_install)
{
	int64_t running = world_ask(&w, "lamp-1");
	struct release newer = world_release(&w, 6, "2.1");

	WORLD_OK(&w, release_set_urgency(&w.tk, &newer, URGENCY_CRITICAL, &w.err));
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, running, "downloading"), 0);
	struct rollout urgent = world_rollout(&w, &newer, "fix", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_ne(u, running);
	ck_assert_int_eq(world_update(&w, u).rollout, urgent.id);
	assert_state(running, UPDATE_SUPERSEDED);
	assert_counters(0, 0, 0, 0, 1);
}
END_TEST

START_TEST(test_nothing_preempts_installing)
{
	int64_t running = world_ask(&w, "lamp-1");
	struct release newer = world_release(&w, 6, "2.1");

	WORLD_OK(&w, release_set_urgency(&w.tk, &newer, URGENCY_CRITICAL, &w.err));
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, running, "installing"), 0);
	world_rollout(&w, &newer, "fix", "all", 1);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), running);
	assert_state(running, UPDATE_INSTALLING);
}
END_TEST

START_TEST(test_installed_already)
{
	world_enrol(&w, "lamp-3", "2.0", 5);
	struct rollout other = world_rollout(&w, &rel, "again", "id == lamp-3", 1);
	ck_assert_int_eq(world_ask(&w, "lamp-3"), 0);
	other = world_rollout_now(&w, other.id);
	ck_assert_int_eq(other.succeeded, 1);
	ck_assert_int_eq(other.state, ROLLOUT_FINISHED);
}
END_TEST

START_TEST(test_never_older)
{
	world_enrol(&w, "lamp-3", "3.0", 9);
	struct rollout other = world_rollout(&w, &rel, "older", "id == lamp-3", 1);
	ck_assert_int_eq(world_ask(&w, "lamp-3"), 0);
	other = world_rollout_now(&w, other.id);
	ck_assert_int_eq(other.ended, 1);
	ck_assert_int_eq(other.succeeded, 0);
}
END_TEST

START_TEST(test_grants)
{
	struct device d = world_device(&w, "lamp-1");
	struct manifest_image images[4];
	struct digest other = { { 9 } }, found;

	ck_assert_int_eq(offer_grants_object(&w.tk, d.dev, &rel.manifest, &w.err), 0);
	ck_assert_int_eq(offer_route(&w.tk, d.dev, "/lamp/main.bin", &found, &w.err), 0);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_eq(store_manifest_images(w.st, &rel.manifest, images, 4, &w.err), 1);
	ck_assert_int_eq(offer_grants_object(&w.tk, d.dev, &rel.manifest, &w.err), 1);
	ck_assert_int_eq(offer_grants_object(&w.tk, d.dev, &images[0].digest, &w.err), 1);
	ck_assert_int_eq(offer_grants_object(&w.tk, d.dev, &other, &w.err), 0);
	ck_assert_int_eq(offer_route(&w.tk, d.dev, "/lamp/main.bin", &found, &w.err), 1);
	ck_assert(digest_eq(&found, &images[0].digest));
	ck_assert_int_eq(offer_route(&w.tk, d.dev, "/lamp/other.bin", &found, &w.err), 0);
	ck_assert_int_eq(world_report(&w, "lamp-1", 2, 1, u, "succeeded"), 0);
	ck_assert_int_eq(offer_grants_object(&w.tk, d.dev, &images[0].digest, &w.err), 0);
}
END_TEST

START_TEST(test_why_names_the_gate)
{
	struct device d = world_device(&w, "lamp-1");
	struct gate g[GATES_MAX];

	ro = world_rollout_now(&w, ro.id);
	WORLD_OK(&w, rollout_pause(&w.tk, &ro, "lunch", &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_str_eq(w.err.text, "rollout: rollout spring is paused: lunch");
	int n = why_device(&w.tk, &d, g, &w.err);
	ck_assert_int_gt(n, 5);
	for (int i = 0; i < n; i++)
		ck_assert_msg(g[i].open == (strcmp(g[i].name, "rollout") != 0), "%s: %s", g[i].name,
			      g[i].value);
}
END_TEST

START_TEST(test_flash_that_is_too_small)
{
	struct registration r = { .boot = 1,
				  .counter = 2,
				  .n_components = -1,
				  .status = { .battery = -1, .free_flash = 3, .free_ram = -1 } };
	struct device d = world_device(&w, "lamp-1");
	int64_t ask;
	bool created;

	WORLD_OK(&w, registry_register(&w.tk, &d, &r, NULL, &created, &ask, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "flash"));
	assert_counters(1, 0, 0, 0, 0);
}
END_TEST

START_TEST(test_a_device_of_another_class)
{
	struct device d = {
		.id = "fan-1", .auth = AUTH_NONE, .mode = MODE_CLIENT, .vendor_id = w.vendor
	};

	ck_assert_int_eq(suit_class_uuid(&w.vendor, "fan", &d.class_id), 0);
	WORLD_OK(&w, store_device_add(w.st, &d, &w.err));
	struct device unknown = { .id = "what-1", .auth = AUTH_NONE, .mode = MODE_CLIENT };
	WORLD_OK(&w, store_device_add(w.st, &unknown, &w.err));
	world_rollout(&w, &rel, "wide", "id in (fan-1, what-1)", 5);
	ck_assert_int_eq(world_ask(&w, "fan-1"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "class id differs, model not known"));
	ck_assert_int_eq(world_ask(&w, "what-1"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "class id not known"));
}
END_TEST

START_TEST(test_the_server_picks_the_moment_in_server_mode)
{
	struct device d = { .id = "srv-1",
			    .auth = AUTH_NONE,
			    .mode = MODE_SERVER,
			    .vendor_id = w.vendor,
			    .class_id = w.class_id };

	WORLD_OK(&w, store_device_add(w.st, &d, &w.err));
	world_rollout(&w, &rel, "srv", "id == srv-1", 5);
	ck_assert_int_eq(world_ask(&w, "srv-1"), 0);
	ck_assert_str_eq(w.err.text, "mode: server: it is called when its time has come");
}
END_TEST

START_TEST(test_low_urgency_waits_for_idle)
{
	struct registration r = {
		.boot = 1,
		.counter = 2,
		.n_components = -1,
		.status = { .battery = -1, .free_flash = -1, .free_ram = -1, .service = "busy" }
	};
	struct device d = world_device(&w, "lamp-1");
	int64_t ask;
	bool created;

	WORLD_OK(&w, registry_register(&w.tk, &d, &r, NULL, &created, &ask, &w.err));
	w.policy.strategy[URGENCY_NORMAL].idle_only = true;
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_str_eq(w.err.text, "service: the device is busy");
	w.policy.strategy[URGENCY_NORMAL].idle_only = false;
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
}
END_TEST

START_TEST(test_the_end_of_a_deferral_is_told)
{
	struct decision_answer a;
	int64_t next, u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(decide("lamp-1", 2, u, DECISION_DEFER, 600, &a), 0);
	world_wait(&w, 599);
	ck_assert_int_eq(WORLD_TURN(&w, scheduler_pass(&w.tk, 100, 1000000, &next, &w.err)), 0);
	ck_assert_int_eq(next, w.tk.now.track + 1000);
	world_wait(&w, 1);
	effects_clear(&w.fx);
	ck_assert_int_eq(WORLD_TURN(&w, scheduler_pass(&w.tk, 100, 1000000, &next, &w.err)), 1);
	ck_assert_uint_eq(w.fx.n, 1);
	ck_assert_int_eq(w.fx.v[0].kind, EFFECT_NOTIFY);
	ck_assert_str_eq(w.fx.v[0].device, "lamp-1");
	assert_state(u, UPDATE_DEFERRED);
	/* it stays silent: back into the queue, and its end in time */
	world_wait(&w, 86400);
	world_schedule(&w);
	assert_state(u, UPDATE_PLANNED);
	world_wait(&w, 86400);
	world_schedule(&w);
	assert_state(u, UPDATE_TIMED_OUT);
}
END_TEST

START_TEST(test_lost_while_installing_is_charged_at_once)
{
	struct device d = world_device(&w, "lamp-1");
	int64_t u = world_ask(&w, "lamp-1");

	WORLD_OK(&w, offer_manifest_fetched(&w.tk, d.dev, &w.err));
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "installing"), 0);
	world_wait(&w, 7200);
	world_schedule(&w);
	/* three retries would be left */
	assert_state(u, UPDATE_TIMED_OUT);
	ck_assert_int_eq(world_update(&w, u).failure, FAILURE_TIMEOUT);
	assert_counters(0, 0, 0, 1, 1);
}
END_TEST

START_TEST(test_a_slow_download_is_tried_again)
{
	struct report r = {
		.boot = 1, .counter = 2, .progress = 1, .n_components = -1, .state = "downloading"
	};
	struct device d = world_device(&w, "lamp-1");
	struct report_answer a;
	int64_t u = world_ask(&w, "lamp-1");

	WORLD_OK(&w, offer_manifest_fetched(&w.tk, d.dev, &w.err));
	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
	world_wait(&w, 3000);
	r.counter++;
	r.progress++;
	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
	world_wait(&w, 1000);
	world_schedule(&w);
	assert_state(u, UPDATE_PLANNED);
	assert_counters(1, 0, 0, 0, 0);
}
END_TEST

START_TEST(test_why_of_the_others)
{
	struct gate g[GATES_MAX];
	struct device d = { .id = "idle-1" }; /* it has not said anything yet */

	WORLD_OK(&w, store_device_add(w.st, &d, &w.err));
	ck_assert_int_eq(why_device(&w.tk, &d, g, &w.err), 1);
	ck_assert_str_eq(g[0].value, "none is planned");
	int64_t u = world_ask(&w, "lamp-1");
	d = world_device(&w, "lamp-1");
	ck_assert_int_eq(why_device(&w.tk, &d, g, &w.err), 2);
	ck_assert_ptr_nonnull(strstr(g[0].value, "of rollout spring is offered, attempt 1"));
	ck_assert_str_eq(g[1].name, "timeout");
	ck_assert_str_eq(g[1].value, "in 86400 s, when nothing is heard");
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "rejected"), 0);
	ck_assert_int_eq(why_device(&w.tk, &d, g, &w.err), 1);
	ck_assert(!g[0].open);
	ck_assert_ptr_nonnull(strstr(g[0].value, "is rejected"));
}
END_TEST

static const struct gate *closed(const struct device *d, struct gate g[GATES_MAX], int *n)
{
	*n = why_device(&w.tk, d, g, &w.err);
	for (int i = 0; i < *n; i++)
		if (!g[i].open)
			return &g[i];
	return NULL;
}

/* Of several the one a poll would be answered with, the rest behind its gates. */
START_TEST(test_why_of_the_one_that_comes)
{
	struct device d = world_device(&w, "lamp-1");
	struct gate g[GATES_MAX];
	int n;

	struct rollout second = world_rollout(&w, &rel, "summer", "all", 1);
	ro = world_rollout_now(&w, ro.id);
	WORLD_OK(&w, rollout_pause(&w.tk, &ro, "lunch", &w.err));
	ck_assert_ptr_null(closed(&d, g, &n));
	ck_assert_ptr_nonnull(strstr(g[0].value, "of rollout summer is planned"));
	ck_assert_str_eq(g[n - 1].name, "others");
	ck_assert_str_eq(g[n - 1].value, "update 1 of rollout spring (paused) is planned");
	/* none can come: the one that a running rollout wants */
	second = world_rollout_now(&w, second.id);
	second.budget = 0;
	WORLD_OK(&w, store_rollout_put(w.st, &second, &w.err));
	ck_assert_str_eq(closed(&d, g, &n)->value, "0 failed + 0 in flight of 0");
	WORLD_OK(&w, rollout_pause(&w.tk, &second, "dinner", &w.err));
	ck_assert_str_eq(closed(&d, g, &n)->value, "rollout spring is paused: lunch");
}
END_TEST

/* Who cannot log in waits for that, whatever else is closed. */
START_TEST(test_why_of_who_cannot_log_in)
{
	struct credential c = { .kind = CREDENTIAL_PSK, .identity = "lamp-1" };
	struct device d = world_device(&w, "lamp-1");
	struct gate g[GATES_MAX];
	int n;

	d.auth = AUTH_CREDENTIAL;
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	const struct gate *at = closed(&d, g, &n);
	ck_assert_str_eq(at->name, "enrolment");
	ck_assert_ptr_nonnull(strstr(at->value, "no valid credential"));
	c.dev = d.dev;
	WORLD_OK(&w, store_credential_add(w.st, &c, &w.err));
	ck_assert_ptr_null(closed(&d, g, &n));
	d.disabled = true;
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	ck_assert_str_eq(closed(&d, g, &n)->value,
			 "it is disabled: fettle device set ID disabled=no");
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "enrolment: it is disabled"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/update");
	TCase *t = tcase_create("update");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_happy_path);
	tcase_add_test(t, test_the_same_offer_until_decided);
	tcase_add_test(t, test_a_look_reserves_nothing);
	tcase_add_test(t, test_skipped_states_are_inferred);
	tcase_add_test(t, test_succeeded_means_booted);
	tcase_add_test(t, test_success_of_a_device_that_said_no_boot_before);
	tcase_add_test(t, test_rolled_back);
	tcase_add_test(t, test_success_with_the_old_version_is_none);
	tcase_add_test(t, test_reject);
	tcase_add_test(t, test_defer_within_the_limits);
	tcase_add_test(t, test_defer_over_the_limits);
	tcase_add_test(t, test_deferrals_run_out);
	tcase_add_test(t, test_deferrals_by_report_run_out_too);
	tcase_add_test(t, test_a_deadline_ends_deferrals);
	tcase_add_test(t, test_accept_while_deferred_takes_a_slot);
	tcase_add_test(t, test_accept_raises_the_floor);
	tcase_add_test(t, test_accept_begins_in_its_boot);
	tcase_add_test(t, test_failure_is_retried_after_back_off);
	tcase_add_loop_test(t, test_results_of_lwm2m, 0, (int)(sizeof(lwm2m) / sizeof(lwm2m[0])));
	tcase_add_test(t, test_silence_ends_timed_out);
	tcase_add_test(t, test_silence_after_the_manifest_is_charged);
	tcase_add_test(t, test_late_success_returns_the_charge);
	tcase_add_test(t, test_duplicate_reports_write_nothing);
	tcase_add_test(t, test_progress_needs_no_row);
	tcase_add_test(t, test_reports_that_are_refused);
	tcase_add_test(t, test_newer_release_supersedes_what_waits);
	tcase_add_test(t, test_critical_preempts_what_has_not_begun_to_install);
	tcase_add_test(t, test_nothing_preempts_installing);
	tcase_add_test(t, test_installed_already);
	tcase_add_test(t, test_never_older);
	tcase_add_test(t, test_grants);
	tcase_add_test(t, test_why_names_the_gate);
	tcase_add_test(t, test_flash_that_is_too_small);
	tcase_add_test(t, test_a_device_of_another_class);
	tcase_add_test(t, test_the_server_picks_the_moment_in_server_mode);
	tcase_add_test(t, test_low_urgency_waits_for_idle);
	tcase_add_test(t, test_the_end_of_a_deferral_is_told);
	tcase_add_test(t, test_lost_while_installing_is_charged_at_once);
	tcase_add_test(t, test_a_slow_download_is_tried_again);
	tcase_add_test(t, test_why_of_the_others);
	tcase_add_test(t, test_why_of_the_one_that_comes);
	tcase_add_test(t, test_why_of_who_cannot_log_in);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
