/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* Rollouts: creation by a job, budget, phases, pause and abort, and what a crash leaves. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"
#include "tracker_world.h"

static struct world w;
static struct release rel;

static void setup(void)
{
	world_open(&w);
	rel = world_release(&w, 5, "2.0");
	w.policy.strategy[URGENCY_NORMAL].retries = 0;
}

static void teardown(void)
{
	world_close(&w);
}

static const char *name(int i)
{
	static char text[32];

	snprintf(text, sizeof(text), "lamp-%d", i);
	return text;
}

static void enrol(int n)
{
	for (int i = 0; i < n; i++)
		world_enrol(&w, name(i), "1.0", 1);
}

static struct rollout_spec spec(const char *target, int64_t budget)
{
	struct rollout_spec s = { .name = "spring", .release = rel.id, .budget = budget };

	text_copy(s.target, sizeof(s.target), target);
	return s;
}

static int create(const struct rollout_spec *s, struct rollout *out)
{
	struct job job;

	return WORLD_DO(&w, rollout_create(&w.tk, s, out, &job, &w.err));
}

START_TEST(test_refused)
{
	static const struct {
		const char *name, *target;
		int64_t budget;
		const char *says;
	} table[] = {
		{ "", "all", 1, "name" },    { "-x", "all", 1, "name" },
		{ "a b", "all", 1, "name" }, { "ok", "al", 1, "target: column 1" },
		{ "ok", "", 1, "target" },   { "ok", "all", -2, "budget" },
		{ "12", "all", 1, "name" },
	};
	struct rollout r;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct rollout_spec s = spec(table[i].target, table[i].budget);
		text_copy(s.name, sizeof(s.name), table[i].name);
		ck_assert_int_eq(create(&s, &r), -1);
		ck_assert_int_eq(w.err.code, ERR_INVALID);
		ck_assert_msg(strstr(w.err.text, table[i].says) != NULL, "%s", w.err.text);
	}
	struct rollout_spec s = spec("all", 1);
	s.release = 99;
	ck_assert_int_eq(create(&s, &r), -1);
	ck_assert_int_eq(w.err.code, ERR_NOT_FOUND);
	s = spec("all", 1);
	s.n_phases = 1;
	s.phases[0].percent = 101;
	ck_assert_int_eq(create(&s, &r), -1);
	s.n_phases = 2;
	s.phases[0].percent = 0;
	ck_assert_int_eq(create(&s, &r), -1);
	s.phases[0].percent = s.phases[0].count = 1;
	ck_assert_int_eq(create(&s, &r), -1);
	s.phases[0].count = 0;
	text_copy(s.phases[0].filter, FILTER_TEXT, "all");
	ck_assert_int_eq(create(&s, &r), -1);
	ck_assert_str_eq(w.err.text, "phase 1: percent, count or filter, one of them");
	s.phases[0].percent = 0;
	text_copy(s.phases[0].filter, FILTER_TEXT, "al");
	ck_assert_int_eq(create(&s, &r), -1);
	ck_assert_ptr_nonnull(strstr(w.err.text, "phase 1: column 1"));
	s.phases[0].filter[0] = '\0';
	s.n_phases = 3;
	s.phases[0].percent = s.phases[1].percent = 60;
	ck_assert_int_eq(create(&s, &r), -1);
	ck_assert_str_eq(w.err.text, "phases: those before the last are 120 percent");
}
END_TEST

START_TEST(test_created_by_a_job_that_survives_crashes)
{
	struct rollout_spec s = spec("id != lamp-7", -1);
	struct rollout r;

	enrol(700);
	ck_assert_int_eq(create(&s, &r), 0);
	ck_assert_int_eq(WORLD_DO(&w, rollout_start(&w.tk, &r, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	world_commit(&w);
	for (int i = 0; i < 20 && world_rollout_now(&w, r.id).state == ROLLOUT_CREATING; i++) {
		WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err));
		if (i % 2 == 0)
			world_crash(&w); /* this slice never was */
		else
			world_commit(&w);
	}
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_READY);
	ck_assert_int_eq(r.total, 699);
	ck_assert_int_eq(r.planned, 699);
	ck_assert_int_eq(r.budget, 699);
	struct update u;
	struct device d = world_device(&w, "lamp-7");
	ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 0);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	int notified = 0;
	while (WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err)) > 0) {
		for (unsigned i = 0; i < w.fx.n; i++)
			notified += w.fx.v[i].kind == EFFECT_NOTIFY;
		effects_clear(&w.fx);
	}
	ck_assert_int_eq(notified, 699);
}
END_TEST

/* A step looks at so many devices, also where hardly one matches. */
START_TEST(test_one_of_many)
{
	struct rollout_spec s = spec("id == lamp-2999", 1);
	struct rollout r;
	int steps = 0;

	enrol(3000);
	ck_assert_int_eq(create(&s, &r), 0);
	while (WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err)) > 0)
		steps++;
	ck_assert_int_ge(steps, 3);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_READY);
	ck_assert_int_eq(r.total, 1);
}
END_TEST

START_TEST(test_nobody_to_update)
{
	struct rollout r = world_rollout(&w, &rel, "spring", "id == nobody", 3);

	ck_assert_int_eq(r.total, 0);
	ck_assert_int_eq(r.state, ROLLOUT_FINISHED);
	ck_assert_str_eq(r.reason, "its target takes no device");
}
END_TEST

START_TEST(test_dry_run)
{
	struct rollout_spec s = spec("all", 1);
	struct rollout_plan p;

	enrol(5);
	ck_assert_int_eq(rollout_dry_run(&w.tk, &s, &p, &w.err), 0);
	ck_assert_int_eq(p.devices, 5);
	ck_assert(p.exact);
	ck_assert_int_eq(p.n_phases, 1);
	ck_assert_int_eq(p.phase[0].devices, 5);
	text_copy(s.target, sizeof(s.target), "id in (lamp-1, lamp-2, x)");
	ck_assert_int_eq(rollout_dry_run(&w.tk, &s, &p, &w.err), 0);
	ck_assert_int_eq(p.devices, 2);
}
END_TEST

/* Who goes when, by filter, count and percent, and how soon each phase can end. */
START_TEST(test_dry_run_plans_phases)
{
	struct rollout_spec s = spec("all", 1);
	struct rollout_plan p;

	enrol(10);
	s.n_phases = 4;
	s.phases[0].count = 1;
	s.phases[0].soak_s = 600;
	text_copy(s.phases[1].filter, FILTER_TEXT, "id in (lamp-3, lamp-4, lamp-5)");
	s.phases[2].percent = 15;
	s.phases[2].not_before = w.tk.now.wall + 7200000;
	s.limits.per_minute = 1;
	ck_assert_msg(rollout_dry_run(&w.tk, &s, &p, &w.err) == 0, "%s", w.err.text);
	static const int64_t devices[] = { 1, 3, 2, 4 }, begins[] = { 0, 600, 7200, 7260 },
			     ends[] = { 0, 720, 7260, 7440 };
	ck_assert_int_eq(p.devices, 10);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(p.phase[i].devices, devices[i]);
		ck_assert_int_eq(p.phase[i].begins_s, begins[i]);
		ck_assert_int_eq(p.phase[i].ends_s, ends[i]);
	}
}
END_TEST

/* The clock stands at 08:00 UTC: a phase begins when a window opens, and goes on in the next. */
START_TEST(test_dry_run_keeps_windows)
{
	struct rollout_spec s = spec("id in (lamp-1, lamp-2, lamp-3)", 1);
	struct window set[WINDOW_RANGES_MAX];
	struct rollout_plan p;

	enrol(4);
	memset(set, 0, sizeof(set));
	ck_assert_int_eq(window_set_short(set, "daily 09:00-10:00 UTC", &w.err), 1);
	set[0].level = WINDOW_DEVICE;
	set[0].ref = world_device(&w, "lamp-1").dev;
	WORLD_OK(&w, store_window_add(w.st, &set[0], &w.err));
	s.n_phases = 2;
	s.phases[0].count = 1;
	s.phases[0].soak_s = 3600;
	s.limits.bytes_per_s = 1;
	ck_assert_msg(rollout_dry_run(&w.tk, &s, &p, &w.err) == 0, "%s", w.err.text);
	/* two of the three have no window: one of them may be the first, but all come last */
	ck_assert_int_eq(p.sampled, 3);
	ck_assert_int_eq(p.phase[0].begins_s, 0);
	ck_assert_int_eq(p.phase[0].ends_s, 0);
	ck_assert_int_eq(p.phase[1].begins_s, 3600);
	ck_assert_int_eq(p.phase[1].ends_s, 3600 + 15);
	for (int i = 2; i <= 3; i++) {
		set[0].ref = world_device(&w, i == 2 ? "lamp-2" : "lamp-3").dev;
		WORLD_OK(&w, store_window_add(w.st, &set[0], &w.err));
	}
	ck_assert_msg(rollout_dry_run(&w.tk, &s, &p, &w.err) == 0, "%s", w.err.text);
	ck_assert_int_eq(p.phase[0].begins_s, 3600);
	ck_assert_int_eq(p.phase[0].ends_s, 3600);
	/* its soak ends as the window does: tomorrow, then 15 bytes a second apart */
	ck_assert_int_eq(p.phase[1].begins_s, 25 * 3600);
	ck_assert_int_eq(p.phase[1].ends_s, 25 * 3600 + 15);
}
END_TEST

START_TEST(test_budget_is_reserved_before_the_offer)
{
	enrol(4);
	struct rollout r = world_rollout(&w, &rel, "spring", "all", 2);
	ck_assert_int_gt(world_ask(&w, "lamp-0"), 0);
	int64_t second = world_ask(&w, "lamp-1");
	ck_assert_int_gt(second, 0);
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	ck_assert_str_eq(w.err.text, "budget: 0 failed + 2 in flight of 2");
	/* one fails: its slot stays taken for good */
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, second, "failed"), 0);
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	ck_assert_str_eq(w.err.text, "budget: 1 failed + 1 in flight of 2");
	/* one succeeds: the next may */
	effects_clear(&w.fx);
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	unsigned woken = 0;
	for (unsigned i = 0; i < w.fx.n; i++)
		woken += w.fx.v[i].kind == EFFECT_NOTIFY;
	ck_assert_uint_eq(woken, 2);
	int64_t third = world_ask(&w, "lamp-2");
	ck_assert_int_gt(third, 0);
	/* it fails too: the budget is used up, the rollout stops by itself */
	ck_assert_int_eq(world_report(&w, "lamp-2", 1, 2, third, "failed"), 0);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_PAUSED);
	ck_assert_ptr_nonnull(strstr(r.reason, "2 of 2"));
	ck_assert_int_eq(WORLD_DO(&w, rollout_resume(&w.tk, &r, &w.err)), -1);
	/* a late success returns the charge, then an operator may go on */
	ck_assert_int_eq(world_register(&w, "lamp-2", 2, 1, "2.0", 5), 0);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.failed, 1);
	WORLD_OK(&w, rollout_resume(&w.tk, &r, &w.err));
	ck_assert_int_gt(world_ask(&w, "lamp-3"), 0);
}
END_TEST

START_TEST(test_a_fact_over_the_budget_pauses)
{
	enrol(3);
	struct rollout r = world_rollout(&w, &rel, "spring", "all", 1);
	ck_assert_int_gt(world_ask(&w, "lamp-0"), 0);
	struct update u;
	struct device d = world_device(&w, "lamp-1");
	ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 1);
	/* it goes ahead without an offer: entered, and named */
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u.id, "downloading"), 0);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.in_flight, 2);
	ck_assert_int_eq(r.state, ROLLOUT_PAUSED);
	ck_assert_ptr_nonnull(strstr(r.reason, "report downloading"));
}
END_TEST

START_TEST(test_window_mode)
{
	struct rollout_spec s = spec("all", 1);
	struct rollout r;

	enrol(4);
	s.in_flight = 2;
	ck_assert_int_eq(create(&s, &r), 0);
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	ck_assert_int_gt(world_ask(&w, "lamp-0"), 0);
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	ck_assert_str_eq(w.err.text, "budget: 2 of 2 in flight, 0 of 1 failed");
}
END_TEST

START_TEST(test_pause_resume_abort)
{
	struct job job;

	enrol(4);
	struct rollout r = world_rollout(&w, &rel, "spring", "all", 4);
	int64_t running = world_ask(&w, "lamp-0");
	int64_t deferred = world_ask(&w, "lamp-1");
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, deferred, "deferred"), 0);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_pause(&w.tk, &r, "", &w.err));
	ck_assert_int_eq(WORLD_DO(&w, rollout_pause(&w.tk, &r, "", &w.err)), -1);
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	/* what runs goes on */
	ck_assert_int_eq(world_ask(&w, "lamp-0"), running);
	WORLD_OK(&w, rollout_resume(&w.tk, &r, &w.err));
	ck_assert_int_gt(world_ask(&w, "lamp-2"), 0);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_abort(&w.tk, &r, "wrong image", &job, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-3"), 0);
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_ABORTED);
	ck_assert_int_eq(r.planned, 0);
	ck_assert_int_eq(r.deferred, 0);
	ck_assert_int_eq(r.in_flight, 2);
	ck_assert_int_eq(world_update(&w, deferred).state, UPDATE_CANCELLED);
	ck_assert_int_eq(world_update(&w, running).state, UPDATE_OFFERED);
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(world_update(&w, running).state, UPDATE_SUCCEEDED);
	ck_assert_int_eq(world_rollout_now(&w, r.id).state, ROLLOUT_ABORTED);
	ck_assert_int_eq(WORLD_DO(&w, rollout_abort(&w.tk, &r, "", &job, &w.err)), -1);
	ck_assert_int_eq(store_job_get(w.st, job.id, &job, &w.err), 1);
	ck_assert_int_eq(job.state, JOB_DONE);
	ck_assert_int_eq(job.done, 2);
}
END_TEST

START_TEST(test_jobs_that_are_cancelled)
{
	struct rollout_spec s = spec("all", 1);
	struct rollout r;
	struct job job;

	enrol(3);
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	WORLD_OK(&w, job_cancel(&w.tk, job.id, &w.err));
	ck_assert_int_eq(WORLD_DO(&w, job_cancel(&w.tk, job.id, &w.err)), -1);
	ck_assert_int_eq(WORLD_DO(&w, job_cancel(&w.tk, 99, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_NOT_FOUND);
	world_jobs(&w);
	ck_assert_int_eq(world_rollout_now(&w, r.id).total, 0);
	struct job odd = { .kind = "juggle", .state = JOB_RUNNING };
	WORLD_OK(&w, store_job_add(w.st, &odd, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(store_job_get(w.st, odd.id, &odd, &w.err), 1);
	ck_assert_int_eq(odd.state, JOB_FAILED);
	/* trust is withdrawn whole */
	WORLD_OK(&w, anchor_revoke(&w.tk, w.anchor.id, &w.err));
	ck_assert_int_eq(store_job_next(w.st, INT64_MAX, &job, &w.err), 1);
	ck_assert_int_eq(WORLD_DO(&w, job_cancel(&w.tk, job.id, &w.err)), -1);
}
END_TEST

/* Half an abort, or half a notice, would leave devices waiting for ever: none is cancelled. */
START_TEST(test_jobs_that_cannot_be_cancelled)
{
	struct rollout_spec s = spec("all", 1);
	struct rollout r;
	struct job job, again;

	enrol(3);
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_abort(&w.tk, &r, "", &job, &w.err));
	ck_assert_int_eq(WORLD_DO(&w, job_cancel(&w.tk, job.id, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	WORLD_OK(&w, job_start(&w.tk, "outage", 1, &again, &w.err));
	ck_assert_int_eq(WORLD_DO(&w, job_cancel(&w.tk, again.id, &w.err)), -1);
	world_jobs(&w);
	ck_assert_int_eq(world_rollout_now(&w, r.id).planned, 0);
}
END_TEST

/* A finished rollout goes on to be tried again; where nobody is, it is finished as it was. */
START_TEST(test_a_retry_that_is_cancelled)
{
	struct rollout r;
	struct job job;

	enrol(1);
	w.policy.strategy[rel.urgency].retries = 0;
	r = world_rollout(&w, &rel, "one", "all", 2);
	int64_t u = world_ask(&w, "lamp-0");
	ck_assert_int_eq(world_report(&w, "lamp-0", 1, 2, u, "failed"), 0);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_FINISHED);
	WORLD_OK(&w, rollout_retry(&w.tk, &r, &job, &w.err));
	WORLD_OK(&w, job_cancel(&w.tk, job.id, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(world_rollout_now(&w, r.id).state, ROLLOUT_FINISHED);
}
END_TEST

/* A rollout of which not all was planned does not stay "creating": it ends, and says why. */
START_TEST(test_planning_that_is_given_up)
{
	struct rollout_spec s = spec("all", 1);
	struct gate g[GATES_MAX];
	struct rollout r;
	struct job job;

	enrol(700);
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	ck_assert_int_eq(WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err)), 1);
	ck_assert_int_gt(world_rollout_now(&w, r.id).planned, 0);
	WORLD_OK(&w, job_cancel(&w.tk, job.id, &w.err));
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_ABORTED);
	ck_assert_ptr_nonnull(strstr(r.reason, "which plans it, was cancelled"));
	world_jobs(&w);
	ck_assert_int_eq(world_rollout_now(&w, r.id).planned, 0);
	ck_assert_int_gt(why_rollout(&w.tk, &r, g, &w.err), 1);
	ck_assert_str_eq(g[1].name, "rollout");
	ck_assert(!g[1].open);
	ck_assert_ptr_nonnull(strstr(g[1].value, "aborted: job "));

	/* the same where it cannot be planned at all */
	struct phase p = { .number = 1, .percent = 100 };
	r = (struct rollout){ .name = "odd",
			      .target = "((",
			      .release = r.release,
			      .state = ROLLOUT_CREATING,
			      .phase = 1 };
	WORLD_OK(&w, store_rollout_add(w.st, &r, &p, 1, &w.err));
	WORLD_OK(&w, job_start(&w.tk, "rollout-create", r.id, &job, &w.err));
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_ABORTED);
	ck_assert_ptr_nonnull(strstr(r.reason, "which plans it, failed: "));
	/* one that goes on by itself is left alone */
	WORLD_OK(&w, job_start(&w.tk, "rollout-create", r.id, &job, &w.err));
	WORLD_OK(&w, job_cancel(&w.tk, job.id, &w.err));
	WORLD_OK(&w, job_start(&w.tk, "rollout-create", 99, &job, &w.err));
	WORLD_OK(&w, job_cancel(&w.tk, job.id, &w.err));
}
END_TEST

static struct rollout phased(const struct phase *p, int n)
{
	struct rollout_spec s = spec("all", 10);
	struct rollout r;

	s.n_phases = n;
	memcpy(s.phases, p, (size_t)n * sizeof(*p));
	ck_assert_msg(create(&s, &r) == 0, "%s", w.err.text);
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	world_jobs(&w);
	return r;
}

static int offered(int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += world_ask(&w, name(i)) > 0;
	return count;
}

START_TEST(test_canary_first)
{
	static const struct phase phases[] = {
		{ .count = 2, .success_percent = 100 },
		{ .percent = 30, .success_percent = 50 },
		{ .percent = 100 },
	};

	enrol(10);
	struct rollout r = phased(phases, 3);
	ck_assert_int_eq(offered(10), 2);
	ck_assert_ptr_nonnull(strstr(w.err.text, "phase 1: 2 of 2 joined"));
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(offered(10), 1); /* the other canary's, again */
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(offered(10), 3);
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 2);
	struct update u;
	struct device d = world_device(&w, "lamp-2");
	ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 1);
	ck_assert_int_eq(world_report(&w, "lamp-2", 1, 2, u.id, "failed"), 0);
	ck_assert_int_eq(world_register(&w, "lamp-3", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(world_register(&w, "lamp-4", 2, 1, "2.0", 5), 0);
	/* two of three are enough: the last phase takes the rest */
	ck_assert_int_eq(offered(10), 5);
	for (int i = 5; i < 10; i++)
		ck_assert_int_eq(world_register(&w, name(i), 2, 1, "2.0", 5), 0);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_FINISHED);
	ck_assert_int_eq(r.succeeded, 9);
	struct phase now[4];
	ck_assert_int_eq(store_phase_list(w.st, r.id, now, 4, &w.err), 3);
	ck_assert_int_eq(now[0].total, 2);
	ck_assert_int_eq(now[1].total, 3);
	ck_assert_int_eq(now[1].failed, 1);
	ck_assert_int_eq(now[2].succeeded, 5);
}
END_TEST

START_TEST(test_a_canary_that_fails_stops_the_rest)
{
	static const struct phase phases[] = { { .count = 1, .success_percent = 100 },
					       { .percent = 100 } };

	enrol(3);
	struct rollout r = phased(phases, 2);
	int64_t u = world_ask(&w, "lamp-0");
	ck_assert_int_eq(world_report(&w, "lamp-0", 1, 2, u, "failed"), 0);
	ck_assert_int_eq(offered(3), 0);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_PAUSED);
	ck_assert_ptr_nonnull(strstr(r.reason, "phase 1: 0 of 1 succeeded"));
}
END_TEST

/* Who ends late counts for the phase it joined, not for the one that is open by then. */
START_TEST(test_a_late_end_counts_where_it_joined)
{
	static const struct phase phases[] = {
		{ .count = 2, .success_percent = 50, .timeout_s = 600 },
		{ .count = 2, .success_percent = 100 },
		{ .percent = 100 },
	};
	struct phase now[4];

	enrol(6);
	struct rollout r = phased(phases, 3);
	ck_assert_int_eq(offered(6), 2);
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	world_wait(&w, 600);
	ck_assert_int_gt(world_ask(&w, "lamp-2"), 0);
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 2);
	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(store_phase_list(w.st, r.id, now, 4, &w.err), 3);
	ck_assert_int_eq(now[0].total, 2);
	ck_assert_int_eq(now[0].done, 2);
	ck_assert_int_eq(now[0].succeeded, 2);
	ck_assert_int_eq(now[1].total, 1);
	ck_assert_int_eq(now[1].done, 0);
	ck_assert_int_eq(now[1].succeeded, 0);
}
END_TEST

START_TEST(test_soak)
{
	static const struct phase phases[] = { { .count = 1, .soak_s = 600 }, { .percent = 100 } };

	enrol(3);
	phased(phases, 2);
	ck_assert_int_eq(offered(3), 1);
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	ck_assert_int_eq(offered(3), 0);
	world_wait(&w, 599);
	ck_assert_int_eq(offered(3), 0);
	world_wait(&w, 1);
	ck_assert_int_eq(offered(3), 2);
}
END_TEST

/* The notify job that an opened phase starts is there. */
static bool notifies(void)
{
	struct job j;

	return store_job_next(w.st, INT64_MAX, &j, &w.err) == 1 &&
	       strcmp(j.kind, "rollout-notify") == 0;
}

static int64_t scheduled(void)
{
	int64_t next = 0;

	effects_clear(&w.fx);
	WORLD_TURN(&w, scheduler_pass(&w.tk, 100, 1000000, &next, &w.err));
	return next;
}

/* No device comes to ask: the schedule opens the next phase by itself. */
START_TEST(test_soak_ends_by_the_schedule)
{
	static const struct phase phases[] = { { .count = 1, .soak_s = 600 }, { .percent = 100 } };
	struct phase now[2];

	enrol(3);
	struct rollout r = phased(phases, 2);
	ck_assert_int_eq(offered(3), 1);
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	int64_t next = scheduled();
	ck_assert_int_eq(next, w.tk.now.track + 600000);
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 1);
	/* a pause keeps it out of the schedule, a resume puts it back */
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_pause(&w.tk, &r, "", &w.err));
	ck_assert_int_eq(scheduled(), 0);
	WORLD_OK(&w, rollout_resume(&w.tk, &r, &w.err));
	world_jobs(&w);
	world_wait(&w, 599);
	ck_assert_int_eq(scheduled(), next);
	w.tk.now.wall_trusted = false; /* tracker time needs no wall clock */
	world_wait(&w, 1);
	ck_assert(!notifies());
	ck_assert_int_eq(scheduled(), 0);
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 2);
	ck_assert(notifies());
	ck_assert_int_eq(store_phase_list(w.st, r.id, now, 2, &w.err), 2);
	ck_assert_int_gt(now[0].closed, 0);
	ck_assert_int_gt(now[1].opened, 0);
	ck_assert_int_eq(offered(3), 2);
}
END_TEST

START_TEST(test_a_phase_without_soak_closes_at_once)
{
	static const struct phase phases[] = { { .count = 1 }, { .percent = 100 } };

	enrol(3);
	struct rollout r = phased(phases, 2);
	ck_assert_int_eq(offered(3), 1);
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	(void)scheduled();
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 2);
	ck_assert(notifies());
}
END_TEST

/* One of two never came: half is what was asked for, or more than came about. */
START_TEST(test_phase_timeout_by_the_schedule)
{
	static const int64_t wanted[] = { 100, 50 };
	struct phase phases[] = { { .count = 2, .timeout_s = 3600 }, { .percent = 100 } };

	enrol(4);
	phases[0].success_percent = wanted[_i];
	struct rollout r = phased(phases, 2);
	ck_assert_int_gt(world_ask(&w, "lamp-0"), 0);
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
	ck_assert_int_eq(world_register(&w, "lamp-0", 2, 1, "2.0", 5), 0);
	world_wait(&w, 3599);
	ck_assert_int_le(scheduled(), w.tk.now.track + 1000);
	ck_assert_int_eq(world_rollout_now(&w, r.id).phase, 1);
	world_wait(&w, 1);
	(void)scheduled(); /* it ends, then its soak of nothing */
	(void)scheduled();
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, _i == 0 ? ROLLOUT_PAUSED : ROLLOUT_RUNNING);
	ck_assert_int_eq(r.phase, _i == 0 ? 1 : 2);
	ck_assert(_i != 0 || strstr(r.reason, "phase 1: 1 of 2 succeeded, 100 % are asked for"));
}
END_TEST

START_TEST(test_the_last_phase_has_a_timeout_too)
{
	static const struct phase phases[] = { { .percent = 100, .timeout_s = 60 } };

	enrol(2);
	struct rollout r = phased(phases, 1);
	ck_assert_int_gt(world_ask(&w, "lamp-0"), 0);
	world_wait(&w, 60);
	(void)scheduled();
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.state, ROLLOUT_PAUSED);
	/* that was it: who resumes is left alone */
	WORLD_OK(&w, rollout_resume(&w.tk, &r, &w.err));
	world_wait(&w, 60);
	(void)scheduled();
	ck_assert_int_eq(world_rollout_now(&w, r.id).state, ROLLOUT_RUNNING);
}
END_TEST

/* ---- the budget under random schedules, against a model that counts naively ---- */

#define FLEET 24

struct model {
	int budget;
	bool wild; /* devices say anything at any time */
	bool charged[FLEET], flying[FLEET], fetched[FLEET];
	uint64_t boot[FLEET], counter[FLEET];
	int64_t update[FLEET];
};

static uint32_t seed;

static unsigned dice(unsigned n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 9) % n;
}

static int weight(const struct model *m)
{
	int n = 0;

	for (int i = 0; i < FLEET; i++)
		n += m->charged[i] + m->flying[i];
	return n;
}

/* What rows say of one device, read without the rollout's counters. */
static void observe(struct model *m, int i)
{
	struct update u = world_update(&w, m->update[i]);

	m->flying[i] = u.state >= UPDATE_OFFERED && u.state <= UPDATE_CONFIRMING &&
		       u.state != UPDATE_DEFERRED;
	if (u.state == UPDATE_FAILED || u.state == UPDATE_ROLLED_BACK ||
	    (u.state == UPDATE_TIMED_OUT && m->fetched[i]))
		m->charged[i] = true;
	if (u.state == UPDATE_SUCCEEDED)
		m->charged[i] = false;
}

static void observe_all(struct model *m)
{
	for (int i = 0; i < FLEET; i++)
		observe(m, i);
}

static void act(struct model *m, int i)
{
	static const char *const say[] = { "downloading", "installing", "failed",     "deferred",
					   "rejected",	  "rebooting",	"rolled-back" };
	struct update u = world_update(&w, m->update[i]);
	struct device d = world_device(&w, name(i));
	bool open = m->wild || (!update_state_terminal(u.state) && u.state != UPDATE_PLANNED);

	switch (dice(5)) {
	case 0:
	case 1:
		world_ask(&w, name(i));
		break;
	case 2:
		/*
		 * a device that deferred keeps its word: anything else would be a fact without
		 * a slot
		 */
		if (open)
			world_report(&w, name(i), m->boot[i], ++m->counter[i], u.id,
				     u.state == UPDATE_DEFERRED && !m->wild ? "rejected"
									    : say[dice(7)]);
		break;
	case 3:
		if (m->flying[i]) {
			WORLD_OK(&w, offer_manifest_fetched(&w.tk, d.dev, &w.err));
			m->fetched[i] = true;
		}
		break;
	case 4:
		if (open && dice(3) == 0) {
			m->boot[i]++;
			m->counter[i] = 1;
			world_register(&w, name(i), m->boot[i], 1, "2.0", 5);
		}
		break;
	}
}

static void compare(const struct model *m, int64_t rollout)
{
	struct rollout r = world_rollout_now(&w, rollout);
	int charged = 0, flying = 0;

	for (int i = 0; i < FLEET; i++) {
		charged += m->charged[i];
		flying += m->flying[i];
	}
	ck_assert_int_eq(r.failed, charged);
	ck_assert_int_eq(r.in_flight, flying);
	ck_assert_int_eq(r.planned + r.in_flight + r.deferred + r.ended, r.total);
	ck_assert_int_ge(r.deferred, 0);
	ck_assert_int_eq(r.total, FLEET);
}

START_TEST(test_budget_under_random_schedules)
{
	struct model m = { .budget = 0 }, kept;
	struct update u;

	seed = (uint32_t)_i * 7919u + 3;
	w.policy.strategy[URGENCY_NORMAL].retries = (int)dice(3);
	m.budget = 2 + (int)dice(6);
	m.wild = _i % 2 == 1;
	enrol(FLEET);
	struct rollout r = world_rollout(&w, &rel, "spring", "all", m.budget);
	for (int i = 0; i < FLEET; i++) {
		struct device d = world_device(&w, name(i));
		ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 1);
		m.update[i] = u.id;
		m.boot[i] = 1;
		m.counter[i] = 1;
	}
	world_commit(&w);
	kept = m;
	for (int step = 0; step < 400; step++) {
		int i = (int)dice(FLEET);
		if (dice(12) == 0) {
			world_wait(&w, dice(40000));
			world_schedule(&w);
			observe_all(&m);
		} else {
			act(&m, i);
			observe(&m, i);
		}
		if (m.wild)
			ck_assert(weight(&m) <= m.budget ||
				  world_rollout_now(&w, r.id).state != ROLLOUT_RUNNING);
		else
			ck_assert_int_le(weight(&m), m.budget);
		compare(&m, r.id);
		if (dice(20) == 0) {
			world_commit(&w);
			kept = m;
		} else if (dice(60) == 0) {
			world_crash(&w);
			m = kept;
			compare(&m, r.id);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/rollout");
	TCase *t = tcase_create("rollout");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_created_by_a_job_that_survives_crashes);
	tcase_add_test(t, test_one_of_many);
	tcase_add_test(t, test_nobody_to_update);
	tcase_add_test(t, test_dry_run);
	tcase_add_test(t, test_dry_run_plans_phases);
	tcase_add_test(t, test_dry_run_keeps_windows);
	tcase_add_test(t, test_budget_is_reserved_before_the_offer);
	tcase_add_test(t, test_a_fact_over_the_budget_pauses);
	tcase_add_test(t, test_window_mode);
	tcase_add_test(t, test_pause_resume_abort);
	tcase_add_test(t, test_jobs_that_are_cancelled);
	tcase_add_test(t, test_jobs_that_cannot_be_cancelled);
	tcase_add_test(t, test_a_retry_that_is_cancelled);
	tcase_add_test(t, test_planning_that_is_given_up);
	tcase_add_test(t, test_canary_first);
	tcase_add_test(t, test_a_canary_that_fails_stops_the_rest);
	tcase_add_test(t, test_a_late_end_counts_where_it_joined);
	tcase_add_test(t, test_soak);
	tcase_add_test(t, test_soak_ends_by_the_schedule);
	tcase_add_test(t, test_a_phase_without_soak_closes_at_once);
	tcase_add_loop_test(t, test_phase_timeout_by_the_schedule, 0, 2);
	tcase_add_test(t, test_the_last_phase_has_a_timeout_too);
	tcase_add_loop_test(t, test_budget_under_random_schedules, 0, 40);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
