/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* Several updates of one device, words out of order, rollouts that end: on a real store. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/internal.h"
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

static void assert_state(int64_t id, enum update_state s)
{
	ck_assert_str_eq(update_state_word(world_update(&w, id).state), update_state_word(s));
}

static int decide(int64_t update, int kind, int64_t until_s, uint64_t counter)
{
	struct decision c = { .boot = 1, .counter = counter, .update = update, .until_s = until_s };
	struct device d = world_device(&w, "lamp-1");
	struct decision_answer out;

	c.kind = kind;
	return WORLD_DO(&w, offer_decide(&w.tk, &d, &c, &out, &w.err));
}

/* At most one update of a device is past planned: a deferral is not got round by another. */
START_TEST(test_a_deferral_holds_for_the_same_release_twice)
{
	struct rollout one = world_rollout(&w, &rel, "one", "all", 1);
	struct rollout two = world_rollout(&w, &rel, "two", "all", 1);
	int64_t first = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_update(&w, first).rollout, one.id);
	ck_assert_int_eq(decide(first, DECISION_DEFER, 3600, 2), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_int_eq(strncmp(w.err.text, "deferral", 8), 0);
	ck_assert_int_eq(world_rollout_now(&w, two.id).in_flight, 0);
	world_wait(&w, 3600);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), first);
	ck_assert_int_eq(world_rollout_now(&w, one.id).in_flight, 1);
}
END_TEST

/* What is critical does go first, and then it is the one that counts. */
START_TEST(test_critical_goes_before_a_deferral)
{
	struct rollout one = world_rollout(&w, &rel, "one", "all", 1);
	int64_t first = world_ask(&w, "lamp-1");
	struct device d = world_device(&w, "lamp-1");

	WORLD_OK(&w, release_set_urgency(&w.tk, &rel, URGENCY_CRITICAL, &w.err));
	ck_assert_int_eq(decide(first, DECISION_DEFER, 3600, 2), 0);
	struct rollout two = world_rollout(&w, &rel, "two", "all", 1);
	int64_t second = world_ask(&w, "lamp-1");
	ck_assert_int_ne(second, first);
	ck_assert_int_ne(second, 0);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), second);
	ck_assert_int_eq(world_rollout_now(&w, two.id).in_flight, 1);
	ck_assert_int_eq(world_rollout_now(&w, one.id).in_flight, 0);
	ck_assert_int_eq(offer_grants_object(&w.tk, d.dev, &rel.manifest, &w.err), 1);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 3, 0, "downloading"), 0);
	assert_state(second, UPDATE_DOWNLOADING);
	assert_state(first, UPDATE_DEFERRED);
	/* nor does it accept the one while the other runs */
	ck_assert_int_eq(decide(first, DECISION_ACCEPT, 0, 4), -1);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	assert_state(second, UPDATE_SUCCEEDED);
}
END_TEST

static int64_t again_s(void)
{
	struct device d = world_device(&w, "lamp-1");
	struct err why;
	struct offer o;
	int64_t s;

	WORLD_OK(&w, offer_get(&w.tk, &d, true, &o, &s, &why, &w.err));
	return s;
}

/* A newer release that waits for a start, or somebody's yes, takes nothing away yet. */
START_TEST(test_what_has_not_begun_supersedes_nothing)
{
	struct rollout_spec s = { .name = "two", .budget = 1, .target = "all" };
	struct release newer = world_release(&w, 6, "2.1");
	struct rollout r, one = world_rollout(&w, &rel, "one", "all", 1);
	struct job job;

	s.release = newer.id;
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(world_rollout_now(&w, r.id).state, ROLLOUT_READY);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_ne(u, 0);
	ck_assert_int_eq(world_update(&w, u).rollout, one.id);
	ck_assert_int_eq(decide(u, DECISION_DEFER, 3600, 2), 0);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	assert_state(u, UPDATE_DEFERRED);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	int64_t second = world_ask(&w, "lamp-1");
	ck_assert_int_eq(world_update(&w, second).rollout, r.id);
	assert_state(u, UPDATE_SUPERSEDED);
}
END_TEST

/* Whatever runs or was put off before it: for what is critical it comes every five minutes. */
START_TEST(test_it_comes_for_what_is_critical)
{
	world_rollout(&w, &rel, "one", "all", 1);
	int64_t first = world_ask(&w, "lamp-1");

	ck_assert_int_gt(again_s(), 300);
	if (_i == 0)
		ck_assert_int_eq(decide(first, DECISION_DEFER, 7200, 2), 0);
	/* one of normal urgency is kept back: there is nothing to come for */
	struct rollout two = world_rollout(&w, &rel, "two", "all", 1);
	ck_assert_int_gt(again_s(), 300);
	WORLD_OK(&w, release_set_urgency(&w.tk, &rel, URGENCY_CRITICAL, &w.err));
	struct rollout fix = world_rollout(&w, &rel, "fix", "all", 1);
	WORLD_OK(&w, rollout_pause(&w.tk, &fix, "", &w.err));
	ck_assert_int_le(again_s(), 300);
	ck_assert_int_eq(world_rollout_now(&w, two.id).planned, 1);
}
END_TEST

/* The words of an earlier boot that come late say nothing about how this one went. */
START_TEST(test_an_older_boot_confirms_nothing)
{
	struct rollout r = world_rollout(&w, &rel, "one", "all", 1);

	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "1.0", 1), 0);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_eq(world_report(&w, "lamp-1", 2, 2, u, "installing"), 0);
	/* queued in boot 1, about an update of then */
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 7, 0, "succeeded"), 0);
	ck_assert_int_ne(world_update(&w, u).state, UPDATE_SUCCEEDED);
	ck_assert_int_eq(world_rollout_now(&w, r.id).in_flight, 1);
	ck_assert_int_eq(world_register(&w, "lamp-1", 3, 1, "2.0", 5), 0);
	assert_state(u, UPDATE_SUCCEEDED);
}
END_TEST

START_TEST(test_an_older_boot_rolls_nothing_back)
{
	struct rollout r = world_rollout(&w, &rel, "one", "all", 1);
	struct device d = world_device(&w, "lamp-1");
	struct report late = { .boot = 1,
			       .counter = 9,
			       .progress = -1,
			       .n_components = 1,
			       .state = "idle",
			       .components = { { .version = "1.0" } } };
	struct report_answer a;

	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "1.0", 1), 0);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_eq(world_report(&w, "lamp-1", 2, 2, u, "installing"), 0);
	WORLD_OK(&w, report_apply(&w.tk, &d, &late, &a, &w.err));
	assert_state(u, UPDATE_INSTALLING);
	ck_assert_int_eq(world_rollout_now(&w, r.id).failed, 0);
}
END_TEST

/* Who comes once a week is not silent after a day. */
START_TEST(test_tried_again_when_it_comes)
{
	struct device d = world_device(&w, "lamp-1");
	struct job job;

	d.contact_interval_s = 7 * 86400;
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	w.policy.strategy[URGENCY_NORMAL].retries = 0;
	struct rollout r = world_rollout(&w, &rel, "one", "all", 2);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "failed"), 0);
	assert_state(u, UPDATE_FAILED);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_retry(&w.tk, &r, &job, &w.err));
	world_jobs(&w);
	for (int day = 0; day < 20; day++) {
		world_wait(&w, 86400);
		world_schedule(&w);
		assert_state(u, UPDATE_PLANNED);
	}
	if (_i == 0) {
		ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
		return;
	}
	/* it missed three of its contacts */
	world_wait(&w, 2 * 86400);
	world_schedule(&w);
	assert_state(u, UPDATE_TIMED_OUT);
}
END_TEST

/* Without a back-off the next attempt begins at once, and is one all the same. */
START_TEST(test_no_back_off)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];

	s->backoff_min_s = s->backoff_max_s = 0;
	s->retries = 1;
	world_rollout(&w, &rel, "one", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");
	world_wait(&w, w.policy.offer_timeout_s + 1);
	world_schedule(&w);
	world_schedule(&w);
	assert_state(u, UPDATE_PLANNED);
	ck_assert_int_eq(world_update(&w, u).attempt, 2);
	world_wait(&w, w.policy.offer_timeout_s - 1);
	world_schedule(&w);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
}
END_TEST

/* After an attempt only another boot's word counts, in a report as in a poll. */
START_TEST(test_no_success_in_the_boot_of_an_attempt)
{
	struct device d = world_device(&w, "lamp-1");
	struct report failed = { .boot = 1,
				 .counter = 3,
				 .progress = -1,
				 .n_components = 1,
				 .state = "failed",
				 .components = { { .version = "2.0" } } };
	struct report_answer a;

	world_rollout(&w, &rel, "one", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "downloaded"), 0);
	WORLD_OK(&w, report_apply(&w.tk, &d, &failed, &a, &w.err));
	assert_state(u, UPDATE_PLANNED);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	assert_state(u, UPDATE_SUCCEEDED);
}
END_TEST

/* What was offered and came back into the queue was tried in this boot, though it is the first. */
START_TEST(test_no_success_in_the_boot_it_came_back_in)
{
	world_rollout(&w, &rel, "one", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "downloaded"), 0);
	struct update row = world_update(&w, u);
	WORLD_OK(&w, update_apply(&w.tk, &row, EVENT_RETURN, FAILURE_NONE, "held back", &w.err));
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 3, "2.0", 5), 0);
	assert_state(u, UPDATE_PLANNED);
	world_ask(&w, "lamp-1");
	assert_state(u, UPDATE_OFFERED);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	assert_state(u, UPDATE_SUCCEEDED);
}
END_TEST

/* An attempt that fails in an aborted rollout has no next one. */
START_TEST(test_no_attempt_after_an_abort)
{
	struct rollout r = world_rollout(&w, &rel, "one", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");
	struct job job;

	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "downloading"), 0);
	WORLD_OK(&w, rollout_abort(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 3, u, "failed"), 0);
	assert_state(u, UPDATE_FAILED);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.planned, 0);
	ck_assert_int_eq(r.ended, 1);
}
END_TEST

/* Nor does one that its device puts off wait for ever: by a decision, or by a report. */
START_TEST(test_nothing_is_put_off_after_an_abort)
{
	struct rollout r = world_rollout(&w, &rel, "one", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");
	struct decision c = {
		.boot = 1, .counter = 2, .update = u, .kind = DECISION_DEFER, .until_s = 60
	};
	struct device d = world_device(&w, "lamp-1");
	struct decision_answer a;
	struct job job;

	WORLD_OK(&w, rollout_abort(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	assert_state(u, UPDATE_OFFERED);
	if (_i == 0) {
		WORLD_OK(&w, offer_decide(&w.tk, &d, &c, &a, &w.err));
		ck_assert_int_eq(a.state, UPDATE_CANCELLED);
		ck_assert_int_eq(a.granted_s, 0);
		ck_assert(!a.fetch);
	} else {
		ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u, "deferred"), 0);
	}
	assert_state(u, UPDATE_CANCELLED);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.deferred, 0);
	ck_assert_int_eq(r.in_flight, 0);
	ck_assert_int_eq(r.ended, 1);
}
END_TEST

/* A rollout that may have no failure at all does not take the running update's place. */
START_TEST(test_no_offer_without_a_slot_after_preempting)
{
	struct rollout_spec s = { .name = "fix", .target = "all", .in_flight = 1 };
	struct rollout r;
	struct job job;

	world_rollout(&w, &rel, "one", "all", 1);
	int64_t running = world_ask(&w, "lamp-1");
	struct release newer = world_release(&w, 6, "2.1");
	WORLD_OK(&w, release_set_urgency(&w.tk, &newer, URGENCY_CRITICAL, &w.err));
	s.release = newer.id;
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), running);
	assert_state(running, UPDATE_OFFERED);
}
END_TEST

/* A critical one that may not begin keeps no other critical one from pre-empting. */
START_TEST(test_preempting_past_one_that_waits)
{
	struct release held = world_release(&w, 6, "2.1"), goes = world_release(&w, 7, "2.2");

	WORLD_OK(&w, release_set_urgency(&w.tk, &held, URGENCY_CRITICAL, &w.err));
	WORLD_OK(&w, release_set_urgency(&w.tk, &goes, URGENCY_CRITICAL, &w.err));
	world_rollout(&w, &rel, "one", "all", 1);
	int64_t running = world_ask(&w, "lamp-1");
	struct rollout r = world_rollout(&w, &held, "held", "all", 1);
	WORLD_OK(&w, rollout_pause(&w.tk, &r, "", &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), running);
	r = world_rollout(&w, &goes, "goes", "all", 1);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_ne(u, running);
	ck_assert_int_eq(world_update(&w, u).rollout, r.id);
	assert_state(running, UPDATE_SUPERSEDED);
}
END_TEST

/* From revocation on nothing of it is handed out, long before the job has come round. */
START_TEST(test_a_revoked_anchor_closes_routes_at_once)
{
	struct device d = world_device(&w, "lamp-1");
	struct digest object;

	world_rollout(&w, &rel, "one", "all", 1);
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
	ck_assert_int_eq(offer_route(&w.tk, d.dev, "/lamp/main.bin", &object, &w.err), 1);
	WORLD_OK(&w, anchor_revoke(&w.tk, w.anchor.id, &w.err));
	ck_assert_int_eq(offer_route(&w.tk, d.dev, "/lamp/main.bin", &object, &w.err), 0);
	ck_assert_int_eq(offer_grants_object(&w.tk, d.dev, &rel.manifest, &w.err), 0);
}
END_TEST

/* Trust goes before bulk: what withdraws does not wait behind what plans. */
START_TEST(test_revocation_goes_before_other_jobs)
{
	struct rollout_spec s = { .name = "big", .target = "all", .release = rel.id };
	struct rollout r;
	struct release now;
	struct job job;

	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	WORLD_OK(&w, anchor_revoke(&w.tk, w.anchor.id, &w.err));
	WORLD_TURN(&w, jobs_slice(&w.tk, 1000000, &w.err));
	ck_assert_int_eq(store_release_get(w.st, rel.id, &now, &w.err), 1);
	ck_assert_int_eq(now.state, RELEASE_WITHDRAWN);
	ck_assert_int_eq(world_rollout_now(&w, r.id).state, ROLLOUT_CREATING);
}
END_TEST

static int stuck_steps;

static enum step stuck_step(struct tracker *tk, struct job *j, struct err *e)
{
	int64_t dev;

	stuck_steps++;
	j->cursor++;
	/* what a failing step wrote is taken back */
	if (store_meta_put_int(tk->st, "stuck", 1, e) < 0 ||
	    store_meta_get_int(tk->st, "stuck", &dev, e) != 1)
		return STEP_ERROR;
	err_set(e, ERR_INTERNAL, "it never works");
	return STEP_ERROR;
}

static enum step easy_step(struct tracker *tk, struct job *j, struct err *e)
{
	(void)tk;
	(void)j;
	(void)e;
	return STEP_DONE;
}

/* A job that cannot go on keeps nobody back, and has failed in the end. */
START_TEST(test_a_job_that_is_stuck)
{
	static const struct job_kind kinds[] = { { "stuck", stuck_step }, { "easy", easy_step } };
	struct job stuck, easy;
	int64_t n;

	w.tk.kinds = kinds;
	w.tk.n_kinds = 2;
	WORLD_OK(&w, job_start(&w.tk, "stuck", 0, &stuck, &w.err));
	WORLD_OK(&w, job_start(&w.tk, "easy", 0, &easy, &w.err));
	ck_assert_int_eq(WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err)), 1);
	ck_assert_int_eq(WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err)), 1);
	ck_assert_int_eq(store_job_get(w.st, easy.id, &easy, &w.err), 1);
	ck_assert_int_eq(easy.state, JOB_DONE);
	ck_assert_int_eq(store_job_get(w.st, stuck.id, &stuck, &w.err), 1);
	ck_assert_int_eq(stuck.state, JOB_RUNNING);
	ck_assert_int_eq(stuck.cursor, 0);
	ck_assert_int_eq(store_meta_get_int(w.st, "stuck", &n, &w.err), 0);
	/* not at once again */
	ck_assert_int_eq(WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err)), 0);
	ck_assert_int_eq(store_job_first_due(w.st, &n, &w.err), 0);
	ck_assert_int_eq(n, w.tk.now.track + 1000);
	for (int i = 0; i < 100 && stuck.state == JOB_RUNNING; i++) {
		world_wait(&w, 60);
		world_jobs(&w);
		ck_assert_int_eq(store_job_get(w.st, stuck.id, &stuck, &w.err), 1);
	}
	ck_assert_int_eq(stuck.state, JOB_FAILED);
	ck_assert_str_eq(stuck.result, "it never works");
	ck_assert_int_eq(stuck_steps, 6);
}
END_TEST

/* One that cannot be handled takes nothing back of the others, and does not come at once again. */
START_TEST(test_one_due_update_fails)
{
	struct rollout_delta less = { .in_flight = -1 };

	world_enrol(&w, "lamp-2", "1.0", 1);
	struct rollout one = world_rollout(&w, &rel, "one", "id == lamp-1", 1);
	world_rollout(&w, &rel, "two", "id == lamp-2", 1);
	int64_t bad = world_ask(&w, "lamp-1"), good = world_ask(&w, "lamp-2"), next = 0;
	ck_assert(bad > 0 && good > 0);
	w.policy.strategy[URGENCY_NORMAL].retries = 0;
	/* its end would count below nothing */
	WORLD_OK(&w, store_rollout_count(w.st, one.id, &less, &w.err));
	world_wait(&w, 7 * 86400);
	WORLD_TURN(&w, scheduler_pass(&w.tk, 100, 1000000, &next, &w.err));
	assert_state(good, UPDATE_TIMED_OUT);
	assert_state(bad, UPDATE_OFFERED);
	ck_assert_int_gt(next, w.tk.now.track);
	ck_assert_int_eq(world_update(&w, bad).track_due, next);
	less.in_flight = 1;
	WORLD_OK(&w, store_rollout_count(w.st, one.id, &less, &w.err));
	world_wait(&w, 86400);
	world_schedule(&w);
	assert_state(bad, UPDATE_TIMED_OUT);
}
END_TEST

/* A pass without time handles one, so that it ends, and comes again at once. */
/* Of the job "talks": how a step ends, and whether something follows from it. */
static struct {
	enum step s;
	enum effect_kind effect; /* EFFECT_PREPARE stands for none */
} talks;

static enum step talks_step(struct tracker *tk, struct job *j, struct err *e)
{
	j->cursor++;
	if (talks.effect == EFFECT_NOTIFY || talks.effect == EFFECT_SEND)
		effects_notify(tk->fx, j->cursor, "lamp-1");
	if (talks.effect == EFFECT_SEND)
		effects_send(tk->fx, j->cursor, "lamp-1", &(struct send){ .serial = 1 }, NULL);
	if (talks.effect == EFFECT_WAKE)
		effects_wake(tk->fx);
	if (talks.s == STEP_ERROR)
		err_set(e, ERR_INTERNAL, "not now");
	return talks.s;
}

/* What nobody is told of yet, or only to look again, need not be durable at once. */
START_TEST(test_which_slices_may_wait)
{
	static const struct job_kind kind = { "talks", talks_step };
	static const struct {
		enum step s;
		enum effect_kind effect;
		bool may_wait;
	} rows[] = {
		{ STEP_MORE, EFFECT_PREPARE, true },   { STEP_MORE, EFFECT_NOTIFY, true },
		{ STEP_MORE, EFFECT_SEND, false },     { STEP_MORE, EFFECT_WAKE, false },
		{ STEP_ERROR, EFFECT_PREPARE, false }, { STEP_DONE, EFFECT_PREPARE, false },
		{ STEP_DONE, EFFECT_NOTIFY, false },   { STEP_FAILED, EFFECT_PREPARE, false },
	};

	w.tk.kinds = &kind;
	w.tk.n_kinds = 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct job j;

		WORLD_OK(&w, job_start(&w.tk, "talks", 0, &j, &w.err));
		talks.s = rows[i].s;
		talks.effect = rows[i].effect;
		world_commit(&w);
		ck_assert_int_eq(jobs_slice(&w.tk, 0, &w.err), 1);
		ck_assert_msg(w.st->may_wait == rows[i].may_wait, "row %zu", i);
		world_commit(&w);
		ck_assert(!w.st->may_wait);
		WORLD_OK(&w, store_job_get(w.st, j.id, &j, &w.err));
		if (j.state == JOB_RUNNING)
			WORLD_OK(&w, job_cancel(&w.tk, j.id, &w.err));
	}
}
END_TEST

START_TEST(test_a_pass_has_its_time)
{
	int64_t next = 0;

	world_enrol(&w, "lamp-2", "1.0", 1);
	world_rollout(&w, &rel, "one", "all", 2);
	ck_assert(world_ask(&w, "lamp-1") > 0 && world_ask(&w, "lamp-2") > 0);
	world_wait(&w, 7 * 86400);
	ck_assert_int_eq(WORLD_TURN(&w, scheduler_pass(&w.tk, 100, 0, &next, &w.err)), 1);
	ck_assert_int_le(next, w.tk.now.track);
	ck_assert_int_gt(next, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/corners");
	TCase *t = tcase_create("corners");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_a_deferral_holds_for_the_same_release_twice);
	tcase_add_test(t, test_critical_goes_before_a_deferral);
	tcase_add_test(t, test_an_older_boot_confirms_nothing);
	tcase_add_test(t, test_an_older_boot_rolls_nothing_back);
	tcase_add_test(t, test_what_has_not_begun_supersedes_nothing);
	tcase_add_loop_test(t, test_it_comes_for_what_is_critical, 0, 2);
	tcase_add_loop_test(t, test_tried_again_when_it_comes, 0, 2);
	tcase_add_test(t, test_no_back_off);
	tcase_add_test(t, test_no_success_in_the_boot_of_an_attempt);
	tcase_add_test(t, test_no_success_in_the_boot_it_came_back_in);
	tcase_add_test(t, test_no_attempt_after_an_abort);
	tcase_add_loop_test(t, test_nothing_is_put_off_after_an_abort, 0, 2);
	tcase_add_test(t, test_no_offer_without_a_slot_after_preempting);
	tcase_add_test(t, test_preempting_past_one_that_waits);
	tcase_add_test(t, test_a_revoked_anchor_closes_routes_at_once);
	tcase_add_test(t, test_revocation_goes_before_other_jobs);
	tcase_add_test(t, test_a_job_that_is_stuck);
	tcase_add_test(t, test_one_due_update_fails);
	tcase_add_test(t, test_which_slices_may_wait);
	tcase_add_test(t, test_a_pass_has_its_time);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
