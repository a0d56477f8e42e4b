/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store_util.h"

static struct bed b;
static unsigned seed;

static void setup(void)
{
	bed_make(&b);
}

static void teardown(void)
{
	bed_remove(&b);
}

START_TEST(test_update_round_trip)
{
	int64_t dev = make_device(b.st, "a"), release = make_release(b.st, "r", 1);
	int64_t rollout = make_rollout(b.st, "ro", release, 5);
	struct update u = { .dev = dev,
			    .rollout = rollout,
			    .release = release,
			    .state = UPDATE_DOWNLOADING,
			    .urgency = URGENCY_HIGH,
			    .failure = FAILURE_DIGEST,
			    .attempt = 2,
			    .deferrals = 3,
			    .charged = true,
			    .reserved = true,
			    .manifest_fetched = true,
			    .late = true,
			    .progress = 55,
			    .offer_boot = UINT64_MAX,
			    .track_due = 5,
			    .track_deadline = 6,
			    .phase = 3,
			    .not_before = 7,
			    .not_after = 8,
			    .reason = "why",
			    .created = 9,
			    .changed = 10 };
	struct update got;

	ok(store_update_add(b.st, &u, e));
	ck_assert_int_eq(store_update_get(b.st, u.id, &got, &b.e), 1);
	u.row = got.row;
	ck_assert(same(&got, &u));
	/* every state and every failure is one the database takes, forth and back */
	for (int s = 0; s < UPDATE_STATE_COUNT; s++) {
		u.state = (enum update_state)s;
		u.failure = (enum failure)(s % FAILURE_COUNT);
		u.urgency = (enum urgency)(s % URGENCY_COUNT);
		u.track_due = s % 3;
		u.progress = (uint8_t)s;
		ok(store_update_put(b.st, &u, e));
		ck_assert_int_eq(store_update_get(b.st, u.id, &got, &b.e), 1);
		u.row = got.row;
		ck_assert(same(&got, &u));
		ck_assert_int_eq(store_update_open(b.st, dev, &got, &b.e),
				 !update_state_terminal(u.state));
	}
	ok(store_update_progress(b.st, u.id, 100, false, e));
	ck_assert_int_eq(store_update_get(b.st, u.id, &got, &b.e), 1);
	ck_assert_int_eq(got.progress, 100);
	ck_assert(!got.manifest_fetched);
	refuses(store_update_progress(b.st, u.id, 101, false, e), ERR_INVALID);
	refuses(store_update_progress(b.st, 999, 1, false, e), ERR_NOT_FOUND);
	u.id = 999;
	refuses(store_update_put(b.st, &u, e), ERR_NOT_FOUND);
	u.dev = 999;
	refuses(store_update_add(b.st, &u, e), ERR_CONFLICT);
	ok(store_quick_check(b.st, e));
}
END_TEST

static int64_t planned(int64_t dev, int64_t release, enum urgency urgency)
{
	struct update u = { .dev = dev, .release = release, .urgency = urgency };

	ok(store_update_add(b.st, &u, e));
	return u.id;
}

/* What one statement plans is what store_update_add would have put, for those who match. */
START_TEST(test_planned_at_once)
{
	static struct filter_value planned = { .text = "planned" };
	struct filter state = { .op = FILTER_COMPARE,
				.field = FIELD_STATE,
				.cmp = CMP_EQ,
				.values = &planned,
				.n = 1 };
	struct filter other = { .op = FILTER_NOT, .left = &state }, all = { .op = FILTER_ALL };
	struct plan_filters plan = { .target = &other }, everyone = { .target = &all };
	int64_t expected[PHASES_MAX];
	int64_t devs[10], cursor = 0, release = make_release(b.st, "r", 1);
	int64_t rollout = make_rollout(b.st, "ro", release, 5);
	struct update like = { .rollout = rollout,
			       .release = release,
			       .urgency = URGENCY_CRITICAL,
			       .attempt = 1,
			       .created = 9,
			       .changed = 10 };
	struct update got[16], one;
	char id[8];
	bool done = false;
	int n = 0, steps = 0;

	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		devs[i] = make_device(b.st, id);
	}
	one = like;
	one.dev = devs[3];
	ok(store_update_add(b.st, &one, e));
	for (; !done; steps++) {
		int planned_now =
			store_update_plan(b.st, &like, &plan, &cursor, 4, expected, &done, &b.e);
		ck_assert_int_ge(planned_now, 0);
		n += planned_now;
	}
	ck_assert_int_eq(n, 9);
	ck_assert_int_eq(steps, 3);
	ck_assert_int_eq(store_update_by_state(b.st, rollout, UPDATE_PLANNED, 0, 16, got, &b.e),
			 10);
	for (int i = 1; i < 10; i++) {
		ck_assert_int_eq(got[i].dev, devs[i <= 3 ? i - 1 : i]);
		one.id = got[i].id;
		one.dev = got[i].dev;
		one.row = got[i].row;
		ck_assert(same(&got[i], &one));
	}
	/* all have one, at the end there is nothing to do */
	cursor = 0;
	ck_assert_int_eq(store_update_plan(b.st, &like, &plan, &cursor, 99, expected, &done, &b.e),
			 0);
	ck_assert(done);
	like.release = 99;
	cursor = 0;
	refuses(store_update_plan(b.st, &like, &everyone, &cursor, 99, expected, &done, e),
		ERR_CONFLICT);
	ck_assert_int_eq(cursor, 0);
}
END_TEST

START_TEST(test_which_update_is_open)
{
	int64_t dev = make_device(b.st, "a"), other = make_device(b.st, "b");
	int64_t release = make_release(b.st, "r", 1);
	int64_t low = planned(dev, release, URGENCY_LOW),
		n1 = planned(dev, release, URGENCY_NORMAL);
	int64_t n2 = planned(dev, release, URGENCY_NORMAL), crit;
	struct update u, list[8];

	planned(other, release, URGENCY_CRITICAL);
	ck_assert_int_eq(store_update_open(b.st, dev, &u, &b.e), 1);
	ck_assert_int_eq(u.id, n1);
	ck_assert_int_eq(store_update_latest(b.st, dev, &u, &b.e), 0);
	crit = planned(dev, release, URGENCY_CRITICAL);
	ck_assert_int_eq(store_update_open(b.st, dev, &u, &b.e), 1);
	ck_assert_int_eq(u.id, crit);
	/* one past planned goes before any urgency */
	ck_assert_int_eq(store_update_get(b.st, low, &u, &b.e), 1);
	u.state = UPDATE_DEFERRED;
	ok(store_update_put(b.st, &u, e));
	ck_assert_int_eq(store_update_open(b.st, dev, &u, &b.e), 1);
	ck_assert_int_eq(u.id, low);
	ck_assert_int_eq(store_update_latest(b.st, dev, &u, &b.e), 1);
	ck_assert_int_eq(u.id, low);
	/* and so do they all */
	const int64_t order[] = { low, crit, n1, n2 };
	ck_assert_int_eq(store_update_open_list(b.st, dev, 8, list, &b.e), 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(list[i].id, order[i]);
	ck_assert_int_eq(store_update_open_list(b.st, dev, 2, list, &b.e), 2);
	u.state = UPDATE_SUCCEEDED;
	ok(store_update_put(b.st, &u, e));
	ck_assert_int_eq(store_update_open(b.st, dev, &u, &b.e), 1);
	ck_assert_int_eq(u.id, crit);
	ck_assert_int_eq(store_update_open_list(b.st, dev, 8, list, &b.e), 3);
	ck_assert_int_eq(store_update_list(b.st, 0, dev, 0, 8, list, &b.e), 4);
	ck_assert_int_eq(store_update_list(b.st, 0, dev, n1, 1, list, &b.e), 1);
	ck_assert_int_eq(list[0].id, n2);
	ck_assert_int_eq(store_update_list(b.st, 0, 0, 0, 8, list, &b.e), 5);
}
END_TEST

START_TEST(test_due)
{
	int64_t release = make_release(b.st, "r", 1), track = 0;
	int64_t dues[] = { 30, 0, 10, 20, 40 };
	struct update u, list[8];
	char id[16];

	ck_assert_int_eq(store_update_next_due(b.st, &track, &b.e), 0);
	for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++) {
		snprintf(id, sizeof(id), "d%zu", i);
		u = make_update(b.st, make_device(b.st, id), 0, release);
		u.track_due = dues[i];
		ok(store_update_put(b.st, &u, e));
	}
	ck_assert_int_eq(store_update_next_due(b.st, &track, &b.e), 1);
	ck_assert_int_eq(track, 10);
	ck_assert_int_eq(store_update_due(b.st, 30, 8, list, &b.e), 3);
	ck_assert_int_eq(list[0].track_due, 10);
	ck_assert_int_eq(list[2].track_due, 30);
	ck_assert_int_eq(store_update_due(b.st, 30, 2, list, &b.e), 2);
	ck_assert_int_eq(store_update_due(b.st, 9, 8, list, &b.e), 0);
}
END_TEST

static void add_history(struct update *u, enum update_state to, int64_t at)
{
	struct history h = { .update = u->id,
			     .dev = u->dev,
			     .from = u->state,
			     .to = to,
			     .inferred = at % 2,
			     .late = at % 3 == 0,
			     .cause = "report",
			     .at = at };

	ok(store_history_add(b.st, &h, e));
	u->state = to;
	ok(store_update_put(b.st, u, e));
}

START_TEST(test_history)
{
	int64_t dev = make_device(b.st, "a"), release = make_release(b.st, "r", 1);
	struct update u1 = make_update(b.st, dev, 0, release),
		      u2 = make_update(b.st, dev, 0, release);
	struct history h[32], none = { .update = 999, .dev = dev };

	for (int64_t i = 0; i < 10; i++)
		add_history(i % 3 ? &u1 : &u2, (enum update_state)(i + 1), i);
	ck_assert_int_eq(store_history_list(b.st, 0, u1.id, 0, 32, h, &b.e), 6);
	ck_assert_int_eq(h[0].to, 2);
	ck_assert_int_eq(h[0].from, UPDATE_PLANNED);
	ck_assert_int_eq(h[5].to, 9);
	ck_assert_int_eq(h[5].at, 8);
	ck_assert_str_eq(h[5].cause, "report");
	ck_assert(!h[5].inferred && h[1].late == (h[1].at % 3 == 0));
	ck_assert_int_eq(store_history_list(b.st, 0, u1.id, h[3].id, 32, h, &b.e), 2);
	ck_assert_int_eq(store_history_list(b.st, dev, 0, 0, 32, h, &b.e), 10);
	for (int i = 1; i < 10; i++)
		ck_assert_int_gt(h[i].id, h[i - 1].id);
	ck_assert_int_eq(store_history_list(b.st, dev, 0, h[3].id, 3, h, &b.e), 3);
	ck_assert_int_eq(h[0].at, 4);
	ck_assert_int_eq(store_history_list(b.st, 0, 0, 0, 32, h, &b.e), 10);
	refuses(store_history_add(b.st, &none, e), ERR_NOT_FOUND);
	/* history outlives the device, until it is compacted */
	ok(store_device_remove(b.st, dev, e));
	ck_assert_int_eq(store_history_list(b.st, 0, 0, 0, 32, h, &b.e), 10);
}
END_TEST

/* Forth and back through every state, with a copy that is fresh, stale, or was never read. */
static void move_and_look(struct update *u, enum update_state to, int64_t due)
{
	struct history h = { .update = u->id, .dev = u->dev, .from = u->state, .to = to, .at = 3 };
	struct history list[64];
	struct update got;
	int before = store_history_list(b.st, 0, u->id, 0, 64, list, &b.e);

	u->state = to;
	u->track_due = due;
	u->urgency = (enum urgency)(due % URGENCY_COUNT);
	ok(store_update_move(b.st, u, &h, e));
	ck_assert_int_eq(store_update_get(b.st, u->id, &got, &b.e), 1);
	ck_assert_int_eq(got.state, to);
	ck_assert_int_eq(got.track_due, due);
	ck_assert_int_eq(got.urgency, u->urgency);
	ck_assert_int_eq(store_update_open(b.st, u->dev, &got, &b.e), !update_state_terminal(to));
	/* nothing of the chain is lost, and it ends with what was said last */
	ck_assert_int_eq(store_history_list(b.st, 0, u->id, 0, 64, list, &b.e), before + 1);
	ck_assert_int_eq(list[before].to, to);
	ck_assert_int_eq(list[before].from, h.from);
}

START_TEST(test_move)
{
	int64_t dev = make_device(b.st, "a"), release = make_release(b.st, "r", 1);
	struct update u = make_update(b.st, dev, 0, release), fresh, stale;
	struct history lost = { .update = 999, .dev = dev };

	move_and_look(&u, UPDATE_OFFERED, 3);
	ck_assert_int_eq(store_update_get(b.st, u.id, &stale, &b.e), 1);
	for (int s = 0; s < UPDATE_STATE_COUNT; s++) {
		ck_assert_int_eq(store_update_get(b.st, u.id, &fresh, &b.e), 1);
		move_and_look(&fresh, (enum update_state)s, s % 5 + 1);
		move_and_look(&fresh, UPDATE_ACCEPTED, 20 + s);
		move_and_look(&stale, (enum update_state)s, 40 + s);
	}
	ok(store_quick_check(b.st, e));
	u.id = 999;
	refuses(store_update_move(b.st, &u, &lost, e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_rollout)
{
	int64_t release = make_release(b.st, "r", 1);
	struct rollout r = { .name = "spring",
			     .release = release,
			     .target = "tag == \"lab\"",
			     .state = ROLLOUT_DRAFT,
			     .reason = "x",
			     .urgency = URGENCY_LOW,
			     .budget = 3,
			     .in_flight_window = 4,
			     .by = "me",
			     .created = 1,
			     .phase = 1,
			     .etag = 1 };
	struct phase p[2] = { { .number = 1,
				.percent = 5,
				.filter = "canary",
				.success_percent = 90,
				.soak_s = 60,
				.timeout_s = 3600 },
			      { .number = 2, .count = 100 } };
	struct phase pg[3];
	struct rollout got, list[3];
	struct rollout_delta d = { .total = 9,
				   .planned = 8,
				   .in_flight = 7,
				   .deferred = 6,
				   .failed = 5,
				   .succeeded = 4,
				   .timed_out = 3,
				   .ended = 2 };

	ok(store_rollout_add(b.st, &r, p, 2, e));
	ck_assert_int_eq(store_rollout_get(b.st, r.id, &got, &b.e), 1);
	ck_assert(same(&got, &r));
	refuses(store_rollout_add(b.st, &r, p, 2, e), ERR_CONFLICT);
	for (int s = 0; s < ROLLOUT_STATE_COUNT; s++) {
		r.state = (enum rollout_state)s;
		ok(store_rollout_put(b.st, &r, e));
		ck_assert_int_eq(store_rollout_by_name(b.st, "spring", &got, &b.e), 1);
		ck_assert_int_eq(got.state, r.state);
	}
	ck_assert_uint_eq(got.etag, 1 + ROLLOUT_STATE_COUNT);
	ok(store_rollout_count(b.st, r.id, &d, e));
	d = (struct rollout_delta){ .failed = -6 };
	refuses(store_rollout_count(b.st, r.id, &d, e), ERR_INVALID);
	d = (struct rollout_delta){ .failed = -5, .succeeded = 5 };
	ok(store_rollout_count(b.st, r.id, &d, e));
	ck_assert_int_eq(store_rollout_get(b.st, r.id, &got, &b.e), 1);
	ck_assert(got.total == 9 && got.planned == 8 && got.in_flight == 7 && got.deferred == 6 &&
		  got.failed == 0 && got.succeeded == 9 && got.timed_out == 3 && got.ended == 2);
	ck_assert_int_eq(store_phase_list(b.st, r.id, pg, 3, &b.e), 2);
	p[0].rollout = r.id;
	ck_assert(same(&pg[0], &p[0]));
	p[0].done = 7;
	p[0].opened = 8;
	ok(store_phase_put(b.st, &p[0], e));
	ck_assert_int_eq(store_phase_list(b.st, r.id, pg, 3, &b.e), 2);
	ck_assert(pg[0].done == 7 && pg[0].opened == 8);
	ck_assert_int_eq(store_rollout_list(b.st, 0, 3, list, &b.e), 1);
	ck_assert_int_eq(store_rollout_by_release(b.st, release, 0, 3, list, &b.e), 1);
	ck_assert_int_eq(store_rollout_by_release(b.st, release, r.id, 3, list, &b.e), 0);
	r.id = 999;
	refuses(store_rollout_put(b.st, &r, e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_updates_of_a_rollout)
{
	int64_t release = make_release(b.st, "r", 1), r1 = make_rollout(b.st, "one", release, 1);
	int64_t r2 = make_rollout(b.st, "two", release, 1), dev = 0;
	struct update u, list[32];
	char id[16];

	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		dev = make_device(b.st, id);
		u = make_update(b.st, dev, i % 2 ? r1 : r2, release);
		u.state = i < 10 ? UPDATE_FAILED : UPDATE_PLANNED;
		ok(store_update_put(b.st, &u, e));
	}
	ck_assert_int_eq(store_update_of(b.st, dev, r1, &u, &b.e), 1);
	ck_assert_int_eq(u.dev, dev);
	ck_assert_int_eq(store_update_of(b.st, dev, r2, &u, &b.e), 0);
	ck_assert_int_eq(store_update_list(b.st, r1, 0, 0, 32, list, &b.e), 10);
	ck_assert_int_eq(store_update_list(b.st, r1, 0, list[7].id, 32, list, &b.e), 2);
	ck_assert_int_eq(store_update_list(b.st, r1, dev, 0, 32, list, &b.e), 1);
	ck_assert_int_eq(store_update_list(b.st, r2, dev, 0, 32, list, &b.e), 0);
	ck_assert_int_eq(store_update_by_state(b.st, r1, UPDATE_FAILED, 0, 32, list, &b.e), 5);
	ck_assert_int_eq(store_update_by_state(b.st, r1, UPDATE_FAILED, list[1].id, 32, list, &b.e),
			 3);
	ck_assert_int_eq(store_update_by_state(b.st, r1, UPDATE_OFFERED, 0, 32, list, &b.e), 0);
}
END_TEST

/* Random reservations, returns and failures: the promise holds after each. */
static void budget_walk(int64_t id, int64_t budget, int64_t window, int64_t *slots)
{
	struct rollout r;

	for (int i = 0; i < 400; i++) {
		struct rollout_delta d = { 0 };
		ck_assert_int_eq(store_rollout_get(b.st, id, &r, &b.e), 1);
		bool may = window ? budget > 0 && r.in_flight < window && r.failed <= budget
				  : r.failed + r.in_flight < budget;
		switch ((int)util_random(&seed) % 3) {
		case 0:
			ck_assert_int_eq(store_rollout_reserve(b.st, id, &b.e), may);
			*slots += may;
			continue;
		case 1:
			d = (struct rollout_delta){ .in_flight = -1, .failed = 1 };
			break;
		default:
			d = (struct rollout_delta){ .in_flight = -1, .succeeded = 1 };
			break;
		}
		if (r.in_flight > 0 && (int)util_random(&seed) % 4 == 0)
			ok(store_rollout_count(b.st, id, &d, e));
		ck_assert_int_eq(store_rollout_get(b.st, id, &r, &b.e), 1);
		ck_assert_int_le(r.failed + r.in_flight, window ? budget + window : budget);
	}
}

START_TEST(test_budget_is_never_exceeded)
{
	int64_t release = make_release(b.st, "r", 1), slots = 0;
	char name[16];
	struct rollout r;

	seed = 7;
	for (int64_t budget = 0; budget < 12; budget += 3) {
		for (int64_t window = 0; window < 4; window += 3) {
			snprintf(name, sizeof(name), "b%d-%d", (int)budget, (int)window);
			int64_t id = make_rollout(b.st, name, release, budget);
			ck_assert_int_eq(store_rollout_get(b.st, id, &r, &b.e), 1);
			r.in_flight_window = window;
			ok(store_rollout_put(b.st, &r, e));
			ok(store_batch_begin(b.st, e));
			budget_walk(id, budget, window, &slots);
			ok(store_batch_commit(b.st, e));
			/* only a running one gives slots */
			r.state = ROLLOUT_PAUSED;
			ok(store_rollout_put(b.st, &r, e));
			ck_assert_int_eq(store_rollout_reserve(b.st, id, &b.e), 0);
		}
	}
	ck_assert_int_gt(slots, 20);
	ck_assert_int_eq(store_rollout_reserve(b.st, 999, &b.e), 0);
}
END_TEST

START_TEST(test_jobs)
{
	struct job j = { .kind = "rollout-create",
			 .ref = 5,
			 .cursor = 6,
			 .done = 7,
			 .total = 8,
			 .by = "me",
			 .result = "",
			 .created = 9,
			 .tries = 2,
			 .due = 70 };
	struct job k = j, got, list[3];

	ck_assert_int_eq(store_job_next(b.st, 0, &got, &b.e), 0);
	ok(store_job_add(b.st, &j, e));
	ok(store_job_add(b.st, &k, e));
	ck_assert_int_eq(store_job_next(b.st, 69, &got, &b.e), 0);
	ck_assert_int_eq(store_job_next(b.st, 70, &got, &b.e), 1);
	ck_assert(same(&got, &j));
	for (int s = JOB_STATE_COUNT - 1; s > 0; s--) {
		j.state = (enum job_state)s;
		j.cursor++;
		ok(store_job_put(b.st, &j, e));
		ck_assert_int_eq(store_job_get(b.st, j.id, &got, &b.e), 1);
		ck_assert(same(&got, &j));
	}
	ck_assert_int_eq(store_job_next(b.st, 70, &got, &b.e), 1);
	ck_assert_int_eq(got.id, k.id);
	ck_assert_int_eq(store_job_list(b.st, 0, 3, list, &b.e), 2);
	ck_assert_int_eq(store_job_list(b.st, k.id, 3, list, &b.e), 0);
	j.id = 999;
	refuses(store_job_put(b.st, &j, e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_idempotency)
{
	struct arena a = ARENA_INIT(1 << 16);
	struct digest request = digest_of("POST /x"), other = digest_of("POST /y");
	struct slice body, key = slice_str("k-1");
	uint16_t status = 0;

	ck_assert_int_eq(
		store_idempotency_get(b.st, "uid:0", key, &request, &status, &a, &body, &b.e), 0);
	ok(store_idempotency_put(b.st, "uid:0", key, &request, 201, slice_str("{}"), 5, e));
	ck_assert_int_eq(
		store_idempotency_get(b.st, "uid:0", key, &request, &status, &a, &body, &b.e), 1);
	ck_assert_int_eq(status, 201);
	ck_assert(slice_eq_str(body, "{}"));
	refuses(store_idempotency_get(b.st, "uid:0", key, &other, &status, &a, &body, e),
		ERR_CONFLICT);
	ck_assert_int_eq(
		store_idempotency_get(b.st, "uid:1", key, &request, &status, &a, &body, &b.e), 0);
	ok(store_idempotency_put(b.st, "uid:1", key, &request, 202, slice_str(""), 9, e));
	ck_assert_int_eq(store_idempotency_sweep(b.st, 9, 10, &b.e), 1);
	ck_assert_int_eq(
		store_idempotency_get(b.st, "uid:0", key, &other, &status, &a, &body, &b.e), 0);
	ck_assert_int_eq(
		store_idempotency_get(b.st, "uid:1", key, &request, &status, &a, &body, &b.e), 1);
	for (int i = 0; i < 8; i++) {
		uint8_t k = (uint8_t)i;
		ok(store_idempotency_put(b.st, "device:a", slice_of(&k, 1), &request, 200,
					 slice_of("", 0), 9, e));
		ok(store_idempotency_keep(b.st, "device:a", 3, e));
		ck_assert_int_eq(store_idempotency_get(b.st, "device:a", slice_of(&k, 1), &request,
						       &status, &a, &body, &b.e),
				 1);
		k = (uint8_t)(i - 3);
		ck_assert_int_eq(store_idempotency_get(b.st, "device:a", slice_of(&k, 1), &request,
						       &status, &a, &body, &b.e),
				 0);
	}
	ck_assert_int_eq(
		store_idempotency_get(b.st, "uid:1", key, &request, &status, &a, &body, &b.e), 1);
	arena_free(&a);
}
END_TEST

static void audit_rows(void)
{
	for (int64_t i = 1; i <= 5; i++) {
		struct audit a = { .at = i,
				   .who = "uid:0",
				   .verb = "release.approve",
				   .object = "r",
				   .detail = "d" };
		ok(store_audit_add(b.st, &a, e));
		ck_assert_int_eq(a.id, i);
	}
}

/* The whole chain, in pages of this many rows. */
static int chain(int limit, int64_t *last)
{
	bool end = false;
	int good = 1;

	*last = 0;
	while (good == 1 && !end) {
		int64_t before = *last;
		good = store_audit_verify(b.st, before, limit, last, &end, &b.e);
		ck_assert(good != 1 || end || *last == before + limit);
	}
	return good;
}

START_TEST(test_audit)
{
	struct audit list[8];
	int64_t last;

	ck_assert_int_eq(chain(100, &last), 1);
	audit_rows();
	for (int limit = 1; limit < 20; limit++) {
		ck_assert_int_eq(chain(limit, &last), 1);
		ck_assert_int_eq(last, 5);
	}
	ck_assert_int_eq(store_audit_list(b.st, 1, 8, list, &b.e), 4);
	ck_assert_str_eq(list[0].verb, "release.approve");
	ck_assert(digest_eq(&list[1].prev, &list[0].hash));
	/* a row rolled back leaves no gap */
	ok(store_batch_begin(b.st, e));
	store_handler_begin(b.st);
	struct audit a = { .at = 6, .who = "x" };
	ok(store_audit_add(b.st, &a, e));
	ok(store_handler_end(b.st, false, e));
	ok(store_audit_add(b.st, &a, e));
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(a.id, 6);
	ck_assert_int_eq(chain(100, &last), 1);
	ck_assert_int_eq(last, 6);
}
END_TEST

START_TEST(test_audit_tells_tampering)
{
	static const struct {
		const char *sql;
		int64_t bad;
	} rows[] = {
		{ "UPDATE audit SET who = 'uid:1' WHERE id = 3", 3 },
		{ "UPDATE audit SET at = 9 WHERE id = 1", 1 },
		{ "UPDATE audit SET object = 'rd', detail = '' WHERE id = 4", 4 },
		{ "DELETE FROM audit WHERE id = 2", 2 },
		{ "DELETE FROM audit WHERE id = 5", 5 },
		{ "DELETE FROM audit", 1 },
		{ "DELETE FROM audit WHERE id = 1; UPDATE audit SET id = id - 1", 1 },
		{ "INSERT INTO audit SELECT 6, at, who, verb, object, detail, hash, prev "
		  "FROM audit WHERE id = 5",
		  6 },
	};
	int64_t last;
	bool end;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bed_remove(&b);
		bed_make(&b);
		audit_rows();
		bed_close(&b);
		bed_sql(&b, "fettle.db", rows[i].sql);
		bed_open(&b);
		for (int limit = 1; limit < 20; limit++) {
			ck_assert_int_eq(chain(limit, &last), 0);
			ck_assert_msg(last + 1 == rows[i].bad, "%s: %d", rows[i].sql, (int)last);
		}
	}
	/* to go on behind a row that is not there */
	ck_assert_int_eq(store_audit_verify(b.st, 99, 10, &last, &end, &b.e), 0);
	ck_assert_int_eq(last, 98);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_work");
	TCase *tc = tcase_create("store_work");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_update_round_trip);
	tcase_add_test(tc, test_planned_at_once);
	tcase_add_test(tc, test_which_update_is_open);
	tcase_add_test(tc, test_due);
	tcase_add_test(tc, test_history);
	tcase_add_test(tc, test_move);
	tcase_add_test(tc, test_rollout);
	tcase_add_test(tc, test_updates_of_a_rollout);
	tcase_add_test(tc, test_budget_is_never_exceeded);
	tcase_add_test(tc, test_jobs);
	tcase_add_test(tc, test_idempotency);
	tcase_add_test(tc, test_audit);
	tcase_add_test(tc, test_audit_tells_tampering);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
