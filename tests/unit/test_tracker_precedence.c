/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * Which of two rules is told when both forbid an offer (behaviour.md 7): each pair of
 * neighbours, and what a deadline overrides.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"
#include "tracker_world.h"

/* The clock stands at 2027-01-15T08:00:00Z, a Friday. */
static struct world w;
static struct release rel;
static struct rollout ro;
static struct device lamp;

static void setup(void)
{
	world_open(&w);
	rel = world_release(&w, 5, "2.0");
	lamp = world_enrol(&w, "lamp", "1.0", 1);
	struct device child = world_enrol(&w, "child", "1.0", 1);
	text_copy(child.parent, sizeof(child.parent), "lamp");
	WORLD_OK(&w, store_device_put(w.st, &child, &w.err));
}

static void teardown(void)
{
	world_close(&w);
}

/* What a rule is made to forbid: before the rollout starts, or behind. */
enum rule {
	VERIFICATION,
	FLOOR,
	COMPATIBILITY,
	STATE,
	PHASE,
	BUDGET,
	BLACKOUT,
	DEFERRAL,
	WINDOW,
	LINKS,
	PACE,
	ORDER,
	RULES
};

static const char *const names[RULES] = {
	"verification", "floor",    "compatibility", "rollout", "phase", "budget",
	"black-out",	"deferral", "window",	     "links",	"pace",	 "order",
};

static struct rollout_spec spec_of(unsigned rules)
{
	struct rollout_spec s = { .name = "spring", .release = rel.id, .budget = 5 };

	text_copy(s.target, sizeof(s.target), "all");
	if (rules & 1u << PHASE) {
		s.n_phases = 2;
		text_copy(s.phases[0].filter, FILTER_TEXT, "id == child");
	}
	if (rules & 1u << LINKS)
		s.limits.focus = true;
	if (rules & 1u << PACE)
		s.limits.per_minute = 1;
	if (rules & 1u << ORDER)
		s.limits.order = ORDER_LEAF_FIRST;
	return s;
}

static void begin(unsigned rules)
{
	struct rollout_spec s = spec_of(rules);
	struct job job;

	WORLD_OK(&w, rollout_create(&w.tk, &s, &ro, &job, &w.err));
	world_jobs(&w);
	ro = world_rollout_now(&w, ro.id);
	WORLD_OK(&w, rollout_start(&w.tk, &ro, &w.err));
	world_jobs(&w);
	ro = world_rollout_now(&w, ro.id);
}

static void window(const char *text, bool blackout)
{
	struct window set[WINDOW_RANGES_MAX];

	memset(set, 0, sizeof(set));
	ck_assert_int_eq(window_set_short(set, text, &w.err), 1);
	set[0].level = WINDOW_DEVICE;
	set[0].ref = lamp.dev;
	set[0].blackout = blackout;
	WORLD_OK(&w, store_window_add(w.st, &set[0], &w.err));
}

static void put_off(void)
{
	struct update u;

	ck_assert_int_eq(store_update_open(w.st, lamp.dev, &u, &w.err), 1);
	u.not_before = w.tk.now.wall + 60000;
	u.track_due = w.tk.now.track + 60000;
	WORLD_OK(&w, store_update_put(w.st, &u, &w.err));
}

/* Somebody else on its link has something in flight. */
static void fill_link(void)
{
	text_copy(lamp.parent, sizeof(lamp.parent), "gw");
	WORLD_OK(&w, store_device_put(w.st, &lamp, &w.err));
	WORLD_OK(&w, store_link_move(w.st, lamp.dev, 1, &w.err));
}

static void close_device(unsigned rules)
{
	if (rules & 1u << FLOOR)
		WORLD_OK(&w, store_device_floor(w.st, lamp.dev, 99, &w.err));
	if (rules & 1u << COMPATIBILITY) {
		lamp = world_device(&w, "lamp");
		lamp.class_id.b[0] ^= 1;
		WORLD_OK(&w, store_device_put(w.st, &lamp, &w.err));
	}
	if (rules & 1u << BLACKOUT)
		window("daily 07:00-09:00 UTC", true);
	if (rules & 1u << WINDOW)
		window("daily 20:00-21:00 UTC", false);
	if (rules & 1u << DEFERRAL)
		put_off();
	lamp = world_device(&w, "lamp");
	if (rules & 1u << LINKS)
		fill_link();
}

static void close_rollout(unsigned rules)
{
	if (rules & 1u << BUDGET) {
		ro.budget = 0;
		WORLD_OK(&w, store_rollout_put(w.st, &ro, &w.err));
	}
	if (rules & 1u << PACE)
		WORLD_OK(&w, store_rollout_pace(w.st, ro.id, INT64_C(1) << 50, 0, &w.err));
	if (rules & 1u << STATE)
		WORLD_OK(&w, rollout_pause(&w.tk, &ro, "", &w.err));
	if (rules & 1u << VERIFICATION)
		WORLD_OK(&w, anchor_revoke(&w.tk, w.anchor.id, &w.err));
}

static void first_closed(const char *name)
{
	struct gate g[GATES_MAX];
	struct device d = world_device(&w, "lamp");
	int i = 1, n = why_device(&w.tk, &d, g, &w.err);

	while (i < n && g[i].open)
		i++;
	ck_assert_msg(i < n, "%s: nothing forbids it", name);
	ck_assert_msg(strcmp(g[i].name, name) == 0, "%s, not %s: %s", g[i].name, name, g[i].value);
}

static void rules_are(unsigned rules)
{
	begin(rules);
	close_device(rules);
	close_rollout(rules);
}

/* Each forbids by itself. */
START_TEST(test_one)
{
	rules_are(1u << _i);
	first_closed(names[_i]);
	/* what is told is what is done; the floor's and the anchor's ends are for good */
	ck_assert_int_eq(world_ask(&w, "lamp"), 0);
}
END_TEST

START_TEST(test_pair)
{
	rules_are(1u << _i | 1u << (_i + 1));
	first_closed(names[_i]);
}
END_TEST

/* And whatever stands below. */
START_TEST(test_all_below)
{
	rules_are(((1u << RULES) - 1) & ~((1u << _i) - 1));
	first_closed(names[_i]);
}
END_TEST

START_TEST(test_nothing_forbids)
{
	begin(0);
	ck_assert_int_gt(world_ask(&w, "lamp"), 0);
}
END_TEST

/* A deadline overrides deferrals; windows only where the class says so; nothing else. */
START_TEST(test_deadline)
{
	static const struct {
		enum rule rule;
		enum urgency urgency;
		bool offered;
	} table[] = {
		{ DEFERRAL, URGENCY_HIGH, true },  { WINDOW, URGENCY_HIGH, true },
		{ WINDOW, URGENCY_NORMAL, false }, { BLACKOUT, URGENCY_HIGH, false },
		{ BUDGET, URGENCY_HIGH, false },   { PACE, URGENCY_HIGH, false },
		{ STATE, URGENCY_HIGH, false },	   { ORDER, URGENCY_HIGH, false },
	};
	struct update u;

	rules_are(1u << table[_i].rule);
	ck_assert_int_eq(store_update_open(w.st, lamp.dev, &u, &w.err), 1);
	u.urgency = table[_i].urgency;
	u.track_deadline = w.tk.now.track;
	if (table[_i].rule == DEFERRAL) {
		u.state = UPDATE_DEFERRED;
		u.deferrals = 1;
	}
	WORLD_OK(&w, store_update_put(w.st, &u, &w.err));
	if (table[_i].offered) {
		struct gate g[GATES_MAX];
		struct device d = world_device(&w, "lamp");
		int n = why_device(&w.tk, &d, g, &w.err);

		for (int i = 0; i < n; i++)
			ck_assert_msg(g[i].open, "%s: %s", g[i].name, g[i].value);
	} else {
		first_closed(names[table[_i].rule]);
	}
}
END_TEST

/* What was not offered yet has a deadline, too: it runs from the opening of its phase. */
START_TEST(test_a_deadline_runs_from_the_phase)
{
	struct rollout_spec s = spec_of(0);
	struct job job;

	w.policy.strategy[URGENCY_NORMAL].window_until_deadline = true;
	w.policy.strategy[URGENCY_NORMAL].deadline_s = 3 * 86400;
	s.n_phases = 1;
	s.phases[0].not_before = w.tk.now.wall + 86400000;
	WORLD_OK(&w, rollout_create(&w.tk, &s, &ro, &job, &w.err));
	world_jobs(&w);
	ro = world_rollout_now(&w, ro.id);
	WORLD_OK(&w, rollout_start(&w.tk, &ro, &w.err));
	window("daily 20:00-21:00 UTC", false);
	first_closed("phase");
	world_wait(&w, 86400);
	world_schedule(&w);
	first_closed("window");
	world_wait(&w, 2 * 86400);
	first_closed("window");
	world_wait(&w, 86400);
	ck_assert_msg(world_ask(&w, "lamp") > 0, "%s", w.err.text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/precedence");
	TCase *t = tcase_create("precedence");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_one, 0, RULES);
	tcase_add_loop_test(t, test_pair, 0, RULES - 1);
	tcase_add_loop_test(t, test_all_below, 0, RULES);
	tcase_add_test(t, test_nothing_forbids);
	tcase_add_test(t, test_a_deadline_runs_from_the_phase);
	tcase_add_loop_test(t, test_deadline, 0, 8);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
