/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* Phases by filter and time, who joins late, and what operators do to a rollout. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker_world.h"

static struct world w;
static struct release rel;
static struct rollout_spec spec;
static struct rollout ro;

static void setup(void)
{
	world_open(&w);
	rel = world_release(&w, 5, "2.0");
	w.policy.strategy[URGENCY_NORMAL].retries = 0;
	spec = (struct rollout_spec){ .name = "spring", .release = rel.id, .budget = 10 };
	text_copy(spec.target, sizeof(spec.target), "all");
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

static void now(void)
{
	ro = world_rollout_now(&w, ro.id);
}

static void create(void)
{
	struct job job;

	WORLD_OK(&w, rollout_create(&w.tk, &spec, &ro, &job, &w.err));
	world_jobs(&w);
	now();
}

static void start(void)
{
	create();
	WORLD_OK(&w, rollout_start(&w.tk, &ro, &w.err));
	world_jobs(&w);
	now();
}

static struct phase phase(int number)
{
	struct phase p[PHASES_MAX];
	int n = store_phase_list(w.st, ro.id, p, PHASES_MAX, &w.err);

	ck_assert_int_ge(n, number);
	return p[number - 1];
}

static void offered(int i)
{
	ck_assert_msg(world_ask(&w, name(i)) > 0, "%d: %s", i, w.err.text);
}

static void waits(int i, const char *why)
{
	ck_assert_int_eq(world_ask(&w, name(i)), 0);
	ck_assert_msg(strncmp(w.err.text, why, strlen(why)) == 0, "%d: %s", i, w.err.text);
}

static void succeeds(int i)
{
	ck_assert_int_eq(world_register(&w, name(i), 2, 1, "2.0", 5), 0);
}

static void fails(int i, enum failure f)
{
	static uint64_t counter = 50;
	struct report r = { .boot = 1,
			    .counter = counter++,
			    .state = "failed",
			    .failure = f,
			    .progress = -1,
			    .n_components = -1 };
	struct device d = world_device(&w, name(i));
	struct report_answer a;

	WORLD_OK(&w, report_apply(&w.tk, &d, &r, &a, &w.err));
}

static void passes(int64_t seconds)
{
	world_wait(&w, seconds);
	world_schedule(&w);
	world_schedule(&w);
	world_jobs(&w);
	now();
}

START_TEST(test_by_filter)
{
	enrol(5);
	spec.n_phases = 3;
	text_copy(spec.phases[0].filter, FILTER_TEXT, "id == lamp-3");
	text_copy(spec.phases[1].filter, FILTER_TEXT, "id in (lamp-2, lamp-3)");
	start();
	ck_assert_int_eq(phase(1).expected, 1);
	ck_assert_int_eq(phase(2).expected, 1);
	waits(0, "phase: phase 1: 0 of 1 joined");
	waits(2, "phase: phase 1: 0 of 1 joined");
	offered(3);
	ck_assert_int_eq(phase(1).expected, 0);
	waits(2, "phase: phase 1: 1 of 1 joined");
	succeeds(3);
	waits(0, "phase: phase 2: 0 of 1 joined");
	offered(2);
	succeeds(2);
	offered(0);
	now();
	ck_assert_int_eq(ro.phase, 3);
	offered(1);
	offered(4);
}
END_TEST

/* Whoever is called back is expected again: its phase has not ended for want of it. */
START_TEST(test_called_back_is_expected)
{
	struct job job;

	enrol(2);
	spec.n_phases = 2;
	text_copy(spec.phases[0].filter, FILTER_TEXT, "id == lamp-1");
	start();
	offered(1);
	ck_assert_int_eq(phase(1).expected, 0);
	WORLD_OK(&w, rollout_pause(&w.tk, &ro, "", &w.err));
	WORLD_OK(&w, rollout_recall(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(phase(1).total, 0);
	ck_assert_int_eq(phase(1).expected, 1);
	ck_assert_int_eq(phase(1).closed, 0);
	now();
	WORLD_OK(&w, rollout_resume(&w.tk, &ro, &w.err));
	waits(0, "phase: phase 1: 0 of 1 joined");
	offered(1);
	succeeds(1);
	offered(0);
}
END_TEST

/* Whoever does it by itself, ahead of its phase, does not end the one that is open. */
START_TEST(test_ahead_of_its_phase)
{
	enrol(2);
	spec.n_phases = 3;
	spec.phases[0].count = 2;
	text_copy(spec.phases[1].filter, FILTER_TEXT, "id == lamp-1");
	start();
	succeeds(1);
	ck_assert_int_eq(phase(2).expected, 0);
	ck_assert_int_eq(phase(1).total, 1);
	ck_assert_int_eq(phase(1).done, 1);
	ck_assert_int_eq(phase(1).closed, 0);
	offered(0);
	succeeds(0);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_FINISHED);
}
END_TEST

/* A filter that takes nobody holds nobody up; who left without coming is not waited for. */
START_TEST(test_empty_phases_are_passed)
{
	struct update u;

	enrol(3);
	spec.n_phases = 3;
	text_copy(spec.phases[0].filter, FILTER_TEXT, "id == nobody");
	text_copy(spec.phases[1].filter, FILTER_TEXT, "id == lamp-1");
	start();
	passes(0);
	ck_assert_int_eq(ro.phase, 2);
	ck_assert_int_eq(store_update_of(w.st, world_device(&w, "lamp-1").dev, ro.id, &u, &w.err),
			 1);
	ck_assert_int_eq(u.planned_phase, 2);
	WORLD_OK(&w, update_apply(&w.tk, &u, EVENT_CANCEL, FAILURE_NONE, "test", &w.err));
	ck_assert_int_eq(phase(2).expected, 0);
	passes(0);
	ck_assert_int_eq(ro.phase, 3);
	offered(0);
}
END_TEST

START_TEST(test_start_times)
{
	enrol(2);
	spec.n_phases = 2;
	spec.phases[0].count = 1;
	spec.phases[0].not_before = w.tk.now.wall + 3600000;
	spec.phases[1].not_before = w.tk.now.wall + 7200000;
	start();
	waits(0, "phase: phase 1 of 2 opens in 3600 s");
	w.tk.now.wall_trusted = false;
	passes(3600);
	waits(0, "phase: phase 1 of 2 opens in 60 s: the clock is not trusted");
	w.tk.now.wall_trusted = true;
	passes(60);
	ck_assert_int_gt(phase(1).opened, 0);
	offered(0);
	succeeds(0);
	passes(0);
	ck_assert_int_eq(ro.phase, 2);
	waits(1, "phase: phase 2 of 2 opens in 3540 s");
	world_wait(&w, 3540);
	offered(1);
	/* the deadline runs from the opening of its phase */
	struct update u;
	ck_assert_int_eq(store_update_open(w.st, world_device(&w, "lamp-1").dev, &u, &w.err), 1);
	ck_assert_int_eq(u.track_deadline,
			 phase(2).track_opened +
				 w.policy.strategy[URGENCY_NORMAL].deadline_s * 1000);
}
END_TEST

/* Who was not seen for three contact intervals holds no phase up, once somebody showed it works. */
START_TEST(test_the_silent_are_passed_over)
{
	enrol(4);
	spec.n_phases = 2;
	spec.phases[0].count = 3;
	start();
	passes(3 * 3600);
	ck_assert_int_eq(ro.phase, 1); /* nobody came: nothing was shown */
	offered(0);
	succeeds(0);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 2, NULL, 0), 0);
	passes(3600);
	ck_assert_int_eq(ro.phase, 1); /* lamp-1 lives */
	passes(3 * 3600);
	passes(3600);
	ck_assert_int_eq(ro.phase, 2);
	ck_assert_int_eq(phase(1).total, 1);
}
END_TEST

/* Those that come once a day, as their class says, are waited for. */
START_TEST(test_the_intervals_of_a_class)
{
	enrol(4);
	w.policy.n_classes = 1;
	uuid_text(w.policy.classes[0].class_name, &w.class_id);
	w.policy.classes[0].contact_interval_s = 86400;
	spec.n_phases = 2;
	spec.phases[0].count = 3;
	start();
	offered(0);
	succeeds(0);
	for (int i = 0; i < 20; i++)
		passes(3600);
	ck_assert_int_eq(ro.phase, 1);
	for (int i = 0; i < 55; i++)
		passes(3600);
	ck_assert_int_eq(ro.phase, 2);
}
END_TEST

START_TEST(test_a_phase_nobody_came_to_pauses)
{
	enrol(2);
	spec.n_phases = 2;
	spec.phases[0].count = 1;
	spec.phases[0].timeout_s = 600;
	start();
	passes(600);
	ck_assert_int_eq(ro.state, ROLLOUT_PAUSED);
	ck_assert_str_eq(ro.reason, "phase 1: nobody of 1 came");
	/* an operator knows better */
	WORLD_OK(&w, rollout_next(&w.tk, &ro, &w.err));
	now();
	ck_assert_int_eq(ro.phase, 2);
	WORLD_OK(&w, rollout_resume(&w.tk, &ro, &w.err));
	offered(0);
	now();
	ck_assert_int_eq(WORLD_DO(&w, rollout_next(&w.tk, &ro, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
}
END_TEST

START_TEST(test_canary_first)
{
	enrol(3);
	int64_t dev = world_device(&w, "lamp-1").dev;
	WORLD_OK(&w, store_tag_put(w.st, dev, "canary", true, &w.err));
	start();
	waits(0, "phase: phase 1: 0 of 1 joined");
	offered(1);
	succeeds(1);
	offered(0);
	text_copy(spec.name, sizeof(spec.name), "summer");
	spec.no_canary = true;
	create();
	struct phase p[PHASES_MAX];
	ck_assert_int_eq(store_phase_list(w.st, ro.id, p, PHASES_MAX, &w.err), 1);
}
END_TEST

START_TEST(test_late_joiners)
{
	enrol(2);
	text_copy(spec.target, sizeof(spec.target), "tag == north");
	spec.n_phases = 2;
	text_copy(spec.phases[0].filter, FILTER_TEXT, "id == lamp-1");
	spec.limits.order = ORDER_LEAF_FIRST;
	WORLD_OK(&w, store_tag_put(w.st, world_device(&w, "lamp-0").dev, "north", true, &w.err));
	start();
	ck_assert_int_eq(ro.total, 1);
	int64_t dev = world_device(&w, "lamp-1").dev;
	WORLD_OK(&w, rollout_join_late(&w.tk, dev, &w.err));
	now();
	ck_assert_int_eq(ro.total, 1);
	WORLD_OK(&w, store_tag_put(w.st, dev, "north", true, &w.err));
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 2, NULL, 0), 0);
	now();
	ck_assert_int_eq(ro.total, 2);
	ck_assert_int_eq(ro.planned, 2);
	ck_assert_int_eq(phase(1).expected, 1);
	/* once */
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 3, NULL, 0), 0);
	now();
	ck_assert_int_eq(ro.total, 2);
	offered(1);
}
END_TEST

static void tag(int i)
{
	struct device d = world_device(&w, name(i));

	WORLD_OK(&w, store_tag_put(w.st, d.dev, "north", true, &w.err));
	WORLD_OK(&w, rollout_join_late(&w.tk, d.dev, &w.err));
	now();
}

/* Whom the job that creates has passed by when it begins to match; the others it comes to. */
START_TEST(test_who_matches_behind_the_creating_job_joins)
{
	struct job job;

	enrol(260);
	text_copy(spec.target, sizeof(spec.target), "tag == north");
	WORLD_OK(&w, rollout_create(&w.tk, &spec, &ro, &job, &w.err));
	ck_assert_int_eq(WORLD_TURN(&w, jobs_slice(&w.tk, 0, &w.err)), 1);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_CREATING);
	tag(0);
	ck_assert_int_eq(ro.total, 1);
	tag(259);
	ck_assert_int_eq(ro.total, 1);
	world_jobs(&w);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_READY);
	ck_assert_int_eq(ro.total, 2);
	ck_assert_int_eq(ro.planned, 2);
	tag(0);
	tag(1);
	ck_assert_int_eq(ro.total, 3);
}
END_TEST

START_TEST(test_failures_of_a_class_pause)
{
	enrol(5);
	text_copy(spec.limits.pause_at, PAUSE_AT_TEXT, "digest=2 boot=1");
	start();
	for (int i = 0; i < 5; i++)
		offered(i);
	fails(0, FAILURE_DIGEST);
	fails(1, FAILURE_SPACE);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	fails(2, FAILURE_DIGEST);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_PAUSED);
	ck_assert_str_eq(ro.reason,
			 "failures: 2 of class digest, the last: report failed (digest)");
	int64_t n[FAILURE_COUNT];
	ck_assert_int_eq(store_rollout_failures(w.st, ro.id, n, &w.err), 0);
	ck_assert_int_eq(n[FAILURE_DIGEST], 2);
	ck_assert_int_eq(n[FAILURE_SPACE], 1);
	/* it comes right after all */
	succeeds(0);
	ck_assert_int_eq(store_rollout_failures(w.st, ro.id, n, &w.err), 0);
	ck_assert_int_eq(n[FAILURE_DIGEST], 1);
}
END_TEST

START_TEST(test_what_may_pause)
{
	static const struct {
		const char *text, *says;
	} table[] = {
		{ "flood=1", "no failure is called flood" },
		{ "none=1", "no failure is called none" },
		{ "digest", "digest=N" },
		{ "digest=0", "digest=N" },
		{ "digest=x", "digest=N" },
	};
	int64_t n[FAILURE_COUNT];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_int_eq(pause_at_parse(table[i].text, n, &w.err), -1);
		ck_assert_msg(strstr(w.err.text, table[i].says) != NULL, "%s", w.err.text);
	}
	ck_assert_int_eq(pause_at_parse("boot=7 timeout=1", n, &w.err), 0);
	ck_assert_int_eq(n[FAILURE_BOOT], 7);
	ck_assert_int_eq(n[FAILURE_TIMEOUT], 1);
	ck_assert_int_eq(n[FAILURE_DIGEST], 0);
}
END_TEST

START_TEST(test_retry)
{
	struct update u;
	struct job job;

	enrol(2);
	start();
	ck_assert_int_eq(WORLD_DO(&w, rollout_retry(&w.tk, &ro, &job, &w.err)), -1);
	offered(0);
	offered(1);
	fails(0, FAILURE_DIGEST);
	succeeds(1);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_FINISHED);
	WORLD_OK(&w, rollout_retry(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	ck_assert_int_eq(ro.planned, 1);
	ck_assert_int_eq(ro.ended, 1);
	ck_assert_int_eq(ro.failed, 1); /* charged until it succeeds */
	ck_assert_int_eq(store_update_open(w.st, world_device(&w, "lamp-0").dev, &u, &w.err), 1);
	ck_assert_int_eq(u.attempt, 2);
	/* at once, without back-off */
	offered(0);
	succeeds(0);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_FINISHED);
	ck_assert_int_eq(ro.failed, 0);
	ck_assert_int_eq(ro.succeeded, 2);
}
END_TEST

START_TEST(test_a_budget_is_raised)
{
	struct job job;

	enrol(2);
	spec.budget = 1;
	start();
	offered(0);
	fails(0, FAILURE_DIGEST);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_PAUSED);
	ck_assert_int_eq(WORLD_DO(&w, rollout_resume(&w.tk, &ro, &w.err)), -1);
	ck_assert_int_eq(WORLD_DO(&w, rollout_raise_budget(&w.tk, &ro, 0, &w.err)), -1);
	WORLD_OK(&w, rollout_raise_budget(&w.tk, &ro, 2, &w.err));
	WORLD_OK(&w, rollout_resume(&w.tk, &ro, &w.err));
	now();
	WORLD_OK(&w, rollout_retry(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	offered(0);
}
END_TEST

/* However often operators try: the number of attempts never comes round to that of none. */
START_TEST(test_attempts_do_not_come_round)
{
	struct update u;
	struct job job;

	enrol(1);
	start();
	offered(0);
	fails(0, FAILURE_DIGEST);
	ck_assert_int_eq(store_update_latest(w.st, world_device(&w, "lamp-0").dev, &u, &w.err), 1);
	u.attempt = UINT8_MAX;
	WORLD_OK(&w, store_update_put(w.st, &u, &w.err));
	now();
	WORLD_OK(&w, rollout_retry(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_PLANNED);
	ck_assert_int_eq(world_update(&w, u.id).attempt, UINT8_MAX);
	offered(0);
	succeeds(0);
	now();
	ck_assert_int_eq(ro.failed, 0);
	ck_assert_int_eq(phase(1).total, 1);
	ck_assert_int_eq(phase(1).done, 1);
}
END_TEST

/* It would run on with no slot left, and nobody could raise its budget. */
START_TEST(test_no_retry_without_a_slot)
{
	struct job job;

	enrol(2);
	spec.budget = 1;
	start();
	offered(0);
	succeeds(0);
	offered(1);
	fails(1, FAILURE_DIGEST);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_FINISHED);
	ck_assert_int_eq(WORLD_DO(&w, rollout_retry(&w.tk, &ro, &job, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(w.err.text, "retry --budget N"));
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_FINISHED);
	WORLD_OK(&w, rollout_raise_budget(&w.tk, &ro, 2, &w.err));
	WORLD_OK(&w, rollout_retry(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	offered(1);
	now();
	ck_assert_int_eq(ro.failed, 1);
	ck_assert_int_eq(ro.in_flight, 1);
}
END_TEST

static void again(void)
{
	struct job job;

	WORLD_OK(&w, rollout_retry(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	now();
}

static void resumed(void)
{
	WORLD_OK(&w, rollout_resume(&w.tk, &ro, &w.err));
	world_schedule(&w);
	world_jobs(&w);
	now();
}

/* Of three devices one comes first, and fails: the rollout has paused itself. */
static void canary_fails(int64_t soak_s)
{
	enrol(3);
	spec.n_phases = 2;
	spec.phases[0].count = 1;
	spec.phases[0].soak_s = soak_s;
	spec.phases[0].timeout_s = 7200;
	start();
	offered(0);
	fails(0, FAILURE_DIGEST);
	passes(soak_s);
	ck_assert_str_eq(ro.reason, "phase 1: 0 of 1 succeeded, 100 % are asked for");
}

/* A phase whose devices are tried again is open again, and judged when they are done. */
START_TEST(test_retry_opens_its_phase_again)
{
	canary_fails(600);
	again();
	ck_assert_int_eq(ro.state, ROLLOUT_PAUSED);
	ck_assert_int_eq(phase(1).closed, 0);
	resumed();
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	waits(1, "phase: phase 1: 1 of 1 joined, 0 done");
	offered(0);
	fails(0, FAILURE_DIGEST);
	ck_assert_int_gt(phase(1).closed, 0);
	passes(599); /* it soaks again, */
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	passes(1); /* and is judged again */
	ck_assert_str_eq(ro.reason, "phase 1: 0 of 1 succeeded, 100 % are asked for");
	again();
	resumed();
	offered(0);
	succeeds(0);
	passes(600);
	ck_assert_int_eq(ro.phase, 2);
	offered(1);
}
END_TEST

/* Tried again while it soaks: nobody has to pause or resume it. */
START_TEST(test_retry_while_it_soaks)
{
	enrol(2);
	spec.n_phases = 2;
	spec.phases[0].count = 1;
	spec.phases[0].soak_s = 600;
	start();
	offered(0);
	fails(0, FAILURE_DIGEST);
	passes(300);
	again();
	passes(300);
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	ck_assert_int_eq(phase(1).closed, 0);
	offered(0);
	succeeds(0);
	passes(600);
	ck_assert_int_eq(ro.phase, 2);
}
END_TEST

/* Resumed before the job came to put anybody back: it is not judged before that. */
START_TEST(test_resumed_before_the_retry)
{
	struct job job;

	canary_fails(0);
	WORLD_OK(&w, rollout_retry(&w.tk, &ro, &job, &w.err));
	WORLD_OK(&w, rollout_resume(&w.tk, &ro, &w.err));
	world_schedule(&w);
	waits(1, "phase: phase 1: 1 of 1 joined");
	world_jobs(&w);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	offered(0);
	succeeds(0);
	passes(0);
	ck_assert_int_eq(ro.phase, 2);
}
END_TEST

/* Its time was up, and is given again to those who are still at it. */
START_TEST(test_resume_gives_the_time_again)
{
	enrol(2);
	spec.n_phases = 2;
	spec.phases[0].count = 1;
	spec.phases[0].timeout_s = 600;
	start();
	passes(600);
	ck_assert_str_eq(ro.reason, "phase 1: nobody of 1 came");
	resumed();
	ck_assert_int_eq(phase(1).track_opened, w.tk.now.track);
	offered(0);
	passes(600);
	ck_assert_str_eq(ro.reason, "phase 1: 0 of 1 succeeded, 100 % are asked for");
	resumed();
	passes(599);
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	passes(1);
	ck_assert_int_eq(ro.state, ROLLOUT_PAUSED);
	resumed();
	succeeds(0);
	passes(0);
	ck_assert_int_eq(ro.phase, 2);
}
END_TEST

/* Who is of an earlier phase is tried again, and holds nothing up. */
START_TEST(test_an_earlier_phase_stays_over)
{
	enrol(4);
	spec.n_phases = 3;
	spec.phases[0].count = 2;
	spec.phases[0].success_percent = 50;
	spec.phases[1].count = 1;
	start();
	offered(0);
	offered(1);
	succeeds(0);
	fails(1, FAILURE_DIGEST);
	offered(2);
	now();
	ck_assert_int_eq(ro.phase, 2);
	int64_t closed = phase(1).closed, opened = phase(2).track_opened;
	passes(60);
	again();
	ck_assert_int_eq(phase(1).closed, closed);
	ck_assert_int_eq(phase(2).track_opened, opened);
	succeeds(2);
	offered(3);
	now();
	ck_assert_int_eq(ro.phase, 3);
	offered(1);
	succeeds(1);
	ck_assert_int_eq(phase(1).succeeded, 2);
}
END_TEST

/* Of another kind for good: it holds nothing up, and its end says why. */
START_TEST(test_another_kind_ends_what_waits)
{
	enrol(3);
	spec.n_phases = 2;
	spec.phases[0].count = 1;
	start();
	struct device d = world_device(&w, "lamp-1");
	struct uuid lamp = d.class_id;
	struct update u;

	ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 1);
	ck_assert_int_eq(suit_class_uuid(&w.vendor, "valve", &d.class_id), 0);
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	WORLD_OK(&w, offer_kind_changed(&w.tk, &d, &w.err));
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_PLANNED);
	/* it comes back before it has asked: nothing was */
	d.class_id = lamp;
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	offered(1);
	d = world_device(&w, "lamp-1");
	ck_assert_int_eq(suit_class_uuid(&w.vendor, "valve", &d.class_id), 0);
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	WORLD_OK(&w, offer_kind_changed(&w.tk, &d, &w.err));
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_PLANNED);
	now();
	WORLD_OK(&w, rollout_pause(&w.tk, &ro, "", &w.err));
	waits(1, "compatibility: ");
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_PLANNED);
	WORLD_OK(&w, rollout_resume(&w.tk, &ro, &w.err));
	waits(1, "update: it is for another kind of device");
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_CANCELLED);
	ck_assert_str_eq(world_update(&w, u.id).reason, "it is for another kind of device");
	now();
	ck_assert_int_eq(ro.ended, 1);
	ck_assert_int_eq(phase(1).total, 0);
	offered(0);
	succeeds(0);
	offered(2);
	succeeds(2);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_FINISHED);
	ck_assert_int_eq(ro.succeeded, 2);
}
END_TEST

START_TEST(test_recalled_and_stopped)
{
	struct job job;

	enrol(3);
	start();
	int64_t running = world_ask(&w, "lamp-0"), installing = world_ask(&w, "lamp-1");
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, installing, "installing"), 0);
	ck_assert_int_eq(WORLD_DO(&w, rollout_recall(&w.tk, &ro, &job, &w.err)), -1);
	WORLD_OK(&w, rollout_pause(&w.tk, &ro, "", &w.err));
	WORLD_OK(&w, rollout_recall(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	now();
	ck_assert_int_eq(ro.in_flight, 1);
	ck_assert_int_eq(world_update(&w, running).state, UPDATE_PLANNED);
	ck_assert_int_eq(world_update(&w, installing).state, UPDATE_INSTALLING);
	WORLD_OK(&w, rollout_resume(&w.tk, &ro, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-0"), running);
	now();
	WORLD_OK(&w, rollout_stop(&w.tk, &ro, "bad", &job, &w.err));
	world_jobs(&w);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_ABORTED);
	ck_assert_int_eq(ro.in_flight, 1);
	ck_assert_int_eq(world_update(&w, running).state, UPDATE_CANCELLED);
	ck_assert_int_eq(ro.planned, 0);
	/* again is harmless */
	WORLD_OK(&w, rollout_stop(&w.tk, &ro, "bad", &job, &w.err));
	world_jobs(&w);
}
END_TEST

/* Who was called back and falls silent is a failure of the phase that is open then. */
START_TEST(test_silent_after_a_recall)
{
	struct job job;

	enrol(2);
	start();
	int64_t u = world_ask(&w, "lamp-0");
	WORLD_OK(&w, rollout_pause(&w.tk, &ro, "", &w.err));
	WORLD_OK(&w, rollout_recall(&w.tk, &ro, &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(phase(1).total, 0);
	for (int i = 0; i < 40 && world_update(&w, u).state == UPDATE_PLANNED; i++) {
		world_wait(&w, 86400);
		world_schedule(&w);
	}
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_TIMED_OUT);
	ck_assert_int_eq(phase(1).total, 1);
	ck_assert_int_eq(phase(1).done, 1);
	ck_assert_int_eq(world_update(&w, u).phase, 1);
}
END_TEST

START_TEST(test_approval)
{
	struct job job;

	enrol(2);
	w.policy.approve_above = 1;
	spec.auto_start = true;
	create();
	ck_assert_int_eq(ro.state, ROLLOUT_AWAITING_APPROVAL);
	ck_assert_int_eq(WORLD_DO(&w, rollout_start(&w.tk, &ro, &w.err)), -1);
	w.tk.who = "uid:7";
	WORLD_OK(&w, rollout_approve(&w.tk, &ro, &w.err));
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_RUNNING);
	ck_assert_str_eq(ro.approved_by, "uid:7");
	ck_assert_int_eq(WORLD_DO(&w, rollout_approve(&w.tk, &ro, &w.err)), -1);
	ck_assert_int_eq(WORLD_DO(&w, rollout_deny(&w.tk, &ro, "", &job, &w.err)), -1);
	text_copy(spec.name, sizeof(spec.name), "summer");
	create();
	WORLD_OK(&w, rollout_deny(&w.tk, &ro, "", &job, &w.err));
	world_jobs(&w);
	now();
	ck_assert_int_eq(ro.state, ROLLOUT_ABORTED);
	ck_assert_str_eq(ro.reason, "not approved");
}
END_TEST

START_TEST(test_clone)
{
	struct rollout_spec s;

	enrol(2);
	spec.n_phases = 2;
	text_copy(spec.phases[0].filter, FILTER_TEXT, "id == lamp-1");
	spec.phases[0].soak_s = 9;
	spec.phases[0].not_before = w.tk.now.wall + 1000;
	spec.limits.per_minute = 4;
	create();
	WORLD_OK(&w, rollout_clone_spec(&w.tk, &ro, &s, &w.err));
	ck_assert_int_eq(s.n_phases, 2);
	ck_assert_str_eq(s.phases[0].filter, "id == lamp-1");
	ck_assert_int_eq(s.phases[0].soak_s, 9);
	ck_assert_int_eq(s.phases[0].not_before, 0);
	ck_assert_int_eq(s.limits.per_minute, 4);
	ck_assert_int_eq(s.budget, 10);
	ck_assert_str_eq(s.name, "");
}
END_TEST

static const struct gate *gate(const struct gate *g, int n, const char *what)
{
	for (int i = 0; i < n; i++)
		if (strcmp(g[i].name, what) == 0)
			return &g[i];
	ck_abort_msg("no gate %s", what);
}

START_TEST(test_why)
{
	static const char *const order[] = { "verification", "rollout",	 "phase",
					     "success",	     "failures", "budget",
					     "links",	     "pace",	 "order" };
	struct gate g[GATES_MAX];

	enrol(3);
	spec.n_phases = 2;
	spec.phases[0].count = 1;
	spec.phases[0].soak_s = 60;
	spec.limits.max_in_flight = 1;
	spec.limits.link_in_flight = 2;
	text_copy(spec.limits.pause_at, PAUSE_AT_TEXT, "digest=2");
	start();
	offered(0);
	now();
	int n = why_rollout(&w.tk, &ro, g, &w.err);
	ck_assert_int_eq(n, (int)(sizeof(order) / sizeof(order[0])));
	for (int i = 0; i < n; i++)
		ck_assert_str_eq(g[i].name, order[i]);
	ck_assert_str_eq(gate(g, n, "phase")->value, "phase 1: 1 of 1 joined, 0 done, 0 succeeded");
	ck_assert_str_eq(gate(g, n, "success")->value,
			 "0 of 1 succeeded, 100 % are asked for; 1 not done, 0 failed; soak 60 s, "
			 "no timeout");
	ck_assert(!gate(g, n, "pace")->open);
	fails(0, FAILURE_DIGEST);
	now();
	n = why_rollout(&w.tk, &ro, g, &w.err);
	ck_assert_str_eq(gate(g, n, "failures")->value, "1 digest (2 pause it)");
	ck_assert(!gate(g, n, "phase")->open);
	ck_assert_ptr_nonnull(strstr(gate(g, n, "phase")->value, "soaks 60 s more"));
	passes(60);
	n = why_rollout(&w.tk, &ro, g, &w.err);
	ck_assert(!gate(g, n, "rollout")->open);
	ck_assert_str_eq(gate(g, n, "rollout")->value,
			 "paused: phase 1: 0 of 1 succeeded, 100 % are asked for");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/phase");
	TCase *t = tcase_create("phase");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_by_filter);
	tcase_add_test(t, test_called_back_is_expected);
	tcase_add_test(t, test_ahead_of_its_phase);
	tcase_add_test(t, test_empty_phases_are_passed);
	tcase_add_test(t, test_start_times);
	tcase_add_test(t, test_the_silent_are_passed_over);
	tcase_add_test(t, test_the_intervals_of_a_class);
	tcase_add_test(t, test_a_phase_nobody_came_to_pauses);
	tcase_add_test(t, test_canary_first);
	tcase_add_test(t, test_late_joiners);
	tcase_add_test(t, test_who_matches_behind_the_creating_job_joins);
	tcase_add_test(t, test_failures_of_a_class_pause);
	tcase_add_test(t, test_what_may_pause);
	tcase_add_test(t, test_retry);
	tcase_add_test(t, test_a_budget_is_raised);
	tcase_add_test(t, test_no_retry_without_a_slot);
	tcase_add_test(t, test_attempts_do_not_come_round);
	tcase_add_test(t, test_retry_opens_its_phase_again);
	tcase_add_test(t, test_retry_while_it_soaks);
	tcase_add_test(t, test_resumed_before_the_retry);
	tcase_add_test(t, test_resume_gives_the_time_again);
	tcase_add_test(t, test_an_earlier_phase_stays_over);
	tcase_add_test(t, test_another_kind_ends_what_waits);
	tcase_add_test(t, test_recalled_and_stopped);
	tcase_add_test(t, test_silent_after_a_recall);
	tcase_add_test(t, test_approval);
	tcase_add_test(t, test_clone);
	tcase_add_test(t, test_why);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
