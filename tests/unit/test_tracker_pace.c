/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* Pace, links and order: how fast a rollout goes, and who waits for whom. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/pace.h"
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

/* ---- the cell rate ---- */

START_TEST(test_costs)
{
	ck_assert_int_eq(pace_cost_of_one(0), 0);
	ck_assert_int_eq(pace_cost_of_one(30), 2000000);
	ck_assert_int_eq(pace_cost_of_one(7), 8571429);
	ck_assert_int_eq(pace_cost_of_one(INT64_MAX), 1);
	ck_assert_int_eq(pace_cost_of_bytes(1000, 0), 0);
	ck_assert_int_eq(pace_cost_of_bytes(1000, 500), 2000000);
	ck_assert_int_eq(pace_cost_of_bytes(1, 3), 333334);
	int64_t century = pace_cost_of_bytes(UINT64_MAX, 1);
	ck_assert_int_gt(century, INT64_C(3000000000000000));
	ck_assert_int_eq(pace_cost_of_bytes(INT64_MAX, 1), century);
	ck_assert_int_eq(pace_cost_of_bytes(INT64_C(1) << 43, 1), century);
	ck_assert_int_eq(pace_wait_ms(0, 5), 0);
	ck_assert_int_eq(pace_wait_ms(1500, 1), 1);
	ck_assert_int_eq(pace_wait_ms(1000, 1), 0);
	ck_assert_int_eq(pace_after(0, 1000, 7), 1000007);
	ck_assert_int_eq(pace_after(2000000, 1000, 7), 2000007);
}
END_TEST

/* Whoever comes whenever: no minute, wherever it begins, sees more than was agreed. */
START_TEST(test_no_minute_sees_more)
{
	static const int64_t rates[] = { 1, 7, 30, 600 };
	int64_t went[2000], tat = 0;
	int n = 0;

	for (int64_t now = 1; now < 150000; now++) {
		if (pace_wait_ms(tat, now) > 0)
			continue;
		tat = pace_after(tat, now, pace_cost_of_one(rates[_i]));
		went[n++] = now;
	}
	ck_assert_int_ge(n, 150000 / 60000 * rates[_i]);
	for (int i = 0; i + rates[_i] < n; i++)
		ck_assert_int_ge(went[i + rates[_i]] - went[i], 60000);
}
END_TEST

START_TEST(test_when_to_ask_is_spread)
{
	bool early = false, late = false;

	for (int64_t dev = 1; dev < 200; dev++) {
		int64_t s = pace_ask_s(1500, 2000000, 100, dev, 3600);
		ck_assert_int_ge(s, 2);
		ck_assert_int_le(s, 202);
		early = early || s < 50;
		late = late || s > 150;
		ck_assert_int_le(pace_ask_s(0, INT64_MAX, 9, dev, 60), 60);
		ck_assert_int_ge(pace_ask_s(0, 1, 1, dev, 60), 1);
		ck_assert_int_eq(pace_ask_s(90000, 1, 1, dev, 60), 90);
	}
	ck_assert(early && late);
}
END_TEST

/* ---- in a rollout ---- */

static struct device below(const char *id, const char *parent)
{
	struct device d = world_enrol(&w, id, "1.0", 1);

	text_copy(d.parent, sizeof(d.parent), parent);
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	return d;
}

static const char *target = "all";

static struct rollout begin(const struct rollout_limits *l)
{
	struct rollout_spec s = { .name = "spring", .release = rel.id, .budget = 20 };
	struct rollout r;
	struct job job;

	s.limits = *l;
	text_copy(s.target, sizeof(s.target), target);
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	world_jobs(&w);
	return world_rollout_now(&w, r.id);
}

static void offered(const char *id)
{
	ck_assert_msg(world_ask(&w, id) > 0, "%s: %s", id, w.err.text);
}

static void waits(const char *id, const char *why)
{
	ck_assert_int_eq(world_ask(&w, id), 0);
	ck_assert_msg(strncmp(w.err.text, why, strlen(why)) == 0, "%s: %s", id, w.err.text);
}

static void succeeds(const char *id)
{
	ck_assert_int_eq(world_register(&w, id, 2, 1, "2.0", 5), 0);
}

START_TEST(test_per_minute)
{
	const struct rollout_limits l = { .per_minute = 2 };
	int64_t ask = 0;

	for (const char *id = "a\0b\0c\0"; *id; id += 2)
		world_enrol(&w, id, "1.0", 1);
	begin(&l);
	offered("a");
	waits("b", "pace: 2 a minute: the next in 30000 ms");
	/* the answer says when to come again */
	struct device b = world_device(&w, "b");
	struct err why;
	struct offer o;
	ck_assert_int_eq(offer_get(&w.tk, &b, false, &o, &ask, &why, &w.err), 0);
	ck_assert_int_ge(ask, 30);
	ck_assert_int_le(ask, 30 + 60);
	/* kept across a crash, and not charged by what never was */
	world_commit(&w);
	world_wait(&w, 30);
	offered("b");
	world_crash(&w);
	offered("c");
	world_commit(&w);
	world_crash(&w);
	waits("b", "pace: 2 a minute: the next in 30000 ms");
	world_wait(&w, 30);
	offered("b");
}
END_TEST

START_TEST(test_bytes_a_second)
{
	const struct rollout_limits l = { .bytes_per_s = 1 };
	uint64_t size = strlen("lamp firmware 5");

	world_enrol(&w, "a", "1.0", 1);
	world_enrol(&w, "b", "1.0", 1);
	begin(&l);
	offered("a");
	waits("b", "pace: 1 bytes a second: the next in 15000 ms");
	world_wait(&w, (int64_t)size);
	offered("b");
}
END_TEST

START_TEST(test_in_flight_in_all)
{
	const struct rollout_limits l = { .max_in_flight = 1 };

	world_enrol(&w, "a", "1.0", 1);
	world_enrol(&w, "b", "1.0", 1);
	begin(&l);
	offered("a");
	waits("b", "pace: 1 of at most 1 in flight");
	succeeds("a");
	offered("b");
}
END_TEST

START_TEST(test_links)
{
	const struct rollout_limits l = { .link_in_flight = 1 };
	struct device a = below("a", "gw");

	below("b", "gw");
	below("c", "gx");
	below("d", "gx");
	world_enrol(&w, "alone", "1.0", 1);
	begin(&l);
	offered("a");
	offered("a");
	offered("alone");
	waits("b", "links: below gw 1 of 1 in flight");
	offered("c");
	/* it takes its place along */
	text_copy(a.parent, sizeof(a.parent), "gx");
	WORLD_OK(&w, store_device_put(w.st, &a, &w.err));
	offered("b");
	waits("d", "links: below gx 2 of 1 in flight");
	succeeds("a");
	waits("d", "links: below gx 1 of 1 in flight");
	succeeds("c");
	offered("d");
}
END_TEST

/* The place below its parent that is taken is its own: what is critical gets that. */
START_TEST(test_its_own_place_on_the_link)
{
	const struct rollout_limits l = { .link_in_flight = 1 };
	struct rollout_spec s = { .name = "fix", .budget = 5, .target = "all" };
	struct release fix = world_release(&w, 6, "2.1");
	struct rollout r;
	struct job job;

	below("a", "gw");
	below("b", "gw");
	begin(&l);
	offered("a");
	waits("b", "links: below gw 1 of 1 in flight");
	WORLD_OK(&w, release_set_urgency(&w.tk, &fix, URGENCY_CRITICAL, &w.err));
	s.release = fix.id;
	s.limits = l;
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	world_jobs(&w);
	waits("b", "links: below gw 1 of 1 in flight");
	int64_t u = world_ask(&w, "a");
	ck_assert_int_eq(world_update(&w, u).rollout, r.id);
	waits("b", "links: below gw 1 of 1 in flight");
}
END_TEST

START_TEST(test_bytes_of_a_link_and_focus)
{
	const struct rollout_limits l = { .link_bytes_per_s = 1, .focus = true };

	below("a", "gw");
	below("b", "gw");
	below("c", "gx");
	begin(&l);
	offered("a");
	waits("b", "links: below gw 1 of 1 in flight, focused");
	succeeds("a");
	waits("b", "links: below gw 0 in flight, next in 15 s");
	offered("c");
	world_wait(&w, 15);
	offered("b");
}
END_TEST

START_TEST(test_leaf_first)
{
	const struct rollout_limits l = { .order = ORDER_LEAF_FIRST };

	world_enrol(&w, "root", "1.0", 1);
	below("gw", "root");
	below("a", "gw");
	below("b", "gw");
	begin(&l);
	waits("root", "order: leaf-first: gw below it is not done, 1 directly below it");
	waits("gw", "order: leaf-first: a below it is not done, 2 directly below it");
	offered("a");
	succeeds("a");
	waits("gw", "order: leaf-first: b below it is not done, 1 directly below it");
	/* b was not seen for long: nobody waits for it */
	world_wait(&w, 3 * 3600 + 1);
	offered("gw");
	waits("root", "order: leaf-first: gw below it is not done, 1 directly below it");
	succeeds("gw");
	offered("root");
	offered("b");
}
END_TEST

static bool woken(const char *id)
{
	for (unsigned i = 0; i < w.fx.n; i++)
		if (w.fx.v[i].kind == EFFECT_NOTIFY && strcmp(w.fx.v[i].device, id) == 0)
			return true;
	return false;
}

/* Between them may be one that is none of the rollout's, or is done. */
START_TEST(test_leaf_first_by_many_steps)
{
	const struct rollout_limits l = { .order = ORDER_LEAF_FIRST };

	world_enrol(&w, "root", "1.0", 1);
	below("other", "root");
	below("gw", "other");
	below("a", "gw");
	target = "id != other";
	begin(&l);
	waits("root", "order: leaf-first: gw below it is not done, 0 directly below it");
	/* it comes right by itself, before those below it */
	ck_assert_int_eq(world_register(&w, "gw", 2, 1, "2.0", 5), 0);
	waits("root", "order: leaf-first: a below it is not done, 0 directly below it");
	offered("a");
	effects_clear(&w.fx);
	succeeds("a");
	ck_assert(woken("root"));
	offered("root");
}
END_TEST

/* Who is above itself cannot wait for itself. */
START_TEST(test_a_ring_has_no_order)
{
	const struct rollout_limits l[] = { { .order = ORDER_LEAF_FIRST },
					    { .order = ORDER_CORE_FIRST } };

	below("a", "b");
	below("b", "a");
	begin(&l[_i]);
	offered("a");
	offered("b");
}
END_TEST

/* Whoever waited for the one that is done is told, far back in the queue as it may be. */
START_TEST(test_who_is_woken)
{
	static const struct rollout_limits limits[] = { { .order = ORDER_LEAF_FIRST },
							{ .order = ORDER_CORE_FIRST },
							{ .focus = true } };
	static const char *const done[] = { "a", "gw", "a" }, *const next[] = { "gw", "a", "b" };

	for (const char *id = "1\0002\0003\0004\0005\000"; *id; id += 2)
		world_enrol(&w, id, "1.0", 1);
	world_enrol(&w, "gw", "1.0", 1);
	below("a", "gw");
	below("b", "gw");
	begin(&limits[_i]);
	offered(done[_i]);
	effects_clear(&w.fx);
	succeeds(done[_i]);
	ck_assert(woken(next[_i]));
	ck_assert(woken("1"));
	ck_assert(!woken("5"));
}
END_TEST

START_TEST(test_core_first)
{
	const struct rollout_limits l = { .order = ORDER_CORE_FIRST };

	world_enrol(&w, "root", "1.0", 1);
	below("gw", "root");
	below("a", "gw");
	begin(&l);
	waits("a", "order: core-first: gw above it is not done");
	waits("gw", "order: core-first: root above it is not done");
	offered("root");
	waits("gw", "order: core-first: root above it is not done");
	succeeds("root");
	offered("gw");
	succeeds("gw");
	offered("a");
}
END_TEST

/* Whoever is above and not seen is not waited for. */
START_TEST(test_core_first_without_the_silent)
{
	const struct rollout_limits l = { .order = ORDER_CORE_FIRST };

	world_enrol(&w, "root", "1.0", 1);
	below("gw", "root");
	below("a", "nowhere");
	begin(&l);
	offered("a");
	world_wait(&w, 3 * 3600 + 1);
	offered("gw");
}
END_TEST

/* Who comes once a day, as its class says, is not passed over after three hours. */
START_TEST(test_intervals_of_a_class)
{
	const struct rollout_limits l = { .order = _i == 0 ? ORDER_CORE_FIRST : ORDER_LEAF_FIRST };
	const char *first = _i == 0 ? "root" : "gw", *then = _i == 0 ? "gw" : "root";

	w.policy.n_classes = 1;
	uuid_text(w.policy.classes[0].class_name, &w.class_id);
	w.policy.classes[0].contact_interval_s = 86400;
	world_enrol(&w, "root", "1.0", 1);
	below("gw", "root");
	begin(&l);
	world_wait(&w, 3 * 3600 + 1);
	waits(then, "order: ");
	world_wait(&w, 3 * 86400);
	offered(then);
	offered(first);
}
END_TEST

/* Of two classes that name it the first is its, which may come more often than others. */
START_TEST(test_the_interval_of_its_class)
{
	const struct rollout_limits l = { .order = _i == 0 ? ORDER_CORE_FIRST : ORDER_LEAF_FIRST };
	struct policy_class *c = w.policy.classes;

	w.policy.n_classes = 2;
	uuid_text(c[0].class_name, &w.class_id);
	uuid_text(c[1].class_name, &w.class_id);
	c[0].contact_interval_s = 600;
	c[1].contact_interval_s = 86400;
	world_enrol(&w, "root", "1.0", 1);
	below("gw", "root");
	begin(&l);
	world_wait(&w, 1800);
	waits(_i == 0 ? "gw" : "root", "order: ");
	world_wait(&w, 1);
	offered(_i == 0 ? "gw" : "root");
}
END_TEST

/* Nobody waits for one that has to wait for it: a later phase's comes after the open one's. */
START_TEST(test_order_within_a_phase)
{
	static const struct {
		enum update_order order;
		const char *canary, *next, *last;
		const char *why;
	} rows[] = {
		{ ORDER_CORE_FIRST, "a", "root", "gw",
		  "order: core-first: root above it is not done" },
		{ ORDER_LEAF_FIRST, "root", "a", "gw",
		  "order: leaf-first: a below it is not done, 1 directly below it" },
	};
	const struct rollout_limits l = { .order = rows[_i].order };

	world_enrol(&w, "root", "1.0", 1);
	below("gw", "root");
	below("a", "gw");
	WORLD_OK(&w, store_tag_put(w.st, world_device(&w, rows[_i].canary).dev, "canary", true,
				   &w.err));
	begin(&l);
	waits(rows[_i].next, "phase: phase 1: 0 of 1 joined");
	offered(rows[_i].canary);
	succeeds(rows[_i].canary);
	waits(rows[_i].last, rows[_i].why);
	offered(rows[_i].next);
	succeeds(rows[_i].next);
	offered(rows[_i].last);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/pace");
	TCase *t = tcase_create("pace");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_costs);
	tcase_add_loop_test(t, test_no_minute_sees_more, 0, 4);
	tcase_add_test(t, test_when_to_ask_is_spread);
	tcase_add_test(t, test_per_minute);
	tcase_add_test(t, test_bytes_a_second);
	tcase_add_test(t, test_in_flight_in_all);
	tcase_add_test(t, test_links);
	tcase_add_test(t, test_its_own_place_on_the_link);
	tcase_add_test(t, test_bytes_of_a_link_and_focus);
	tcase_add_test(t, test_leaf_first);
	tcase_add_test(t, test_leaf_first_by_many_steps);
	tcase_add_loop_test(t, test_a_ring_has_no_order, 0, 2);
	tcase_add_loop_test(t, test_who_is_woken, 0, 3);
	tcase_add_test(t, test_core_first);
	tcase_add_test(t, test_core_first_without_the_silent);
	tcase_add_loop_test(t, test_order_within_a_phase, 0, 2);
	tcase_add_loop_test(t, test_intervals_of_a_class, 0, 2);
	tcase_add_loop_test(t, test_the_interval_of_its_class, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
