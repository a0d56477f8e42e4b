/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/state.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/*
 * The table once more, in other words: a column a state, in the order of
 * enum update_state (Planned Offered deFerred Accepted dowNloading downLoaded
 * Installing reBooting Confirming Succeeded faileD reJected Timed-out rolled-bacK
 * caNcelled(X) superSeded(U) Expired). '-' refuses, '=' changes nothing, a letter
 * is where it goes; a small letter: inferred; '*' late success.
 */
static const struct {
	enum update_event ev;
	const char *to;
} expected[] = {
	{ EVENT_OFFER, "O-O--------------" },	     { EVENT_RETRY, "-P-PPPPPP-P-PP---" },
	{ EVENT_CANCEL, "XXXXXX-----------" },	     { EVENT_SUPERSEDE, "UUUUUU-----------" },
	{ EVENT_EXPIRE, "EEEEEE-----------" },	     { EVENT_TIMEOUT, "TT-TTTTTT--------" },
	{ EVENT_SERVER_DEFER, "-FFF-------------" }, { EVENT_RETURN, "-PPPPP-----------" },
	{ EVENT_ACCEPTED, "aAa==============" },     { EVENT_DEFERRED, "fFFFFF===========" },
	{ EVENT_REJECTED, "jJJJJJJJJ========" },     { EVENT_DOWNLOADING, "nnnN=============" },
	{ EVENT_DOWNLOADED, "llllL============" },   { EVENT_INSTALLING, "iiiiiI===========" },
	{ EVENT_REBOOTING, "bbbbbbB==========" },    { EVENT_INSTALLED, "cccccccC=========" },
	{ EVENT_CONFIRMED, "ssssssssS=*=*=*==" },    { EVENT_ROLLED_BACK, "kkkkkkKKK========" },
	{ EVENT_FAILED, "dDdDDDDDD========" },
};

static const char letters[] = "POFANLIBCSDJTKXUE";

static void assert_cell(enum update_state from, enum update_event ev, char want)
{
	struct transition t;
	bool possible = state_next(from, ev, &t);
	const char *upper = letters, *lower = "pofanlibcsdjtkxue";
	const char *what = update_event_word(ev);

	ck_assert_msg(possible == (want != '-'), "%s in %s", what, update_state_word(from));
	if (!possible)
		return;
	ck_assert_msg(t.none == (want == '='), "%s in %s: none", what, update_state_word(from));
	ck_assert_msg(t.late == (want == '*'), "%s in %s: late", what, update_state_word(from));
	ck_assert_msg(t.inferred == (want >= 'a' && want <= 'z'), "%s in %s: inferred", what,
		      update_state_word(from));
	if (want == '=')
		ck_assert_int_eq(t.to, from);
	else if (want == '*')
		ck_assert_int_eq(t.to, UPDATE_SUCCEEDED);
	else if (t.inferred)
		ck_assert_int_eq(t.to, strchr(lower, want) - lower);
	else
		ck_assert_int_eq(t.to, strchr(upper, want) - upper);
}

START_TEST(test_every_pair)
{
	bool seen[EVENT_COUNT] = { false };

	ck_assert_uint_eq(sizeof(expected) / sizeof(expected[0]), EVENT_COUNT);
	for (size_t i = 0; i < EVENT_COUNT; i++) {
		ck_assert_uint_eq(strlen(expected[i].to), UPDATE_STATE_COUNT);
		ck_assert(!seen[expected[i].ev]);
		seen[expected[i].ev] = true;
		for (int s = 0; s < UPDATE_STATE_COUNT; s++)
			assert_cell((enum update_state)s, expected[i].ev, expected[i].to[s]);
	}
}
END_TEST

START_TEST(test_strangers_are_refused)
{
	struct transition t;

	ck_assert(!state_next(UPDATE_STATE_COUNT, EVENT_OFFER, &t));
	ck_assert(!state_next(UPDATE_PLANNED, EVENT_COUNT, &t));
	ck_assert_str_eq(update_event_word(EVENT_COUNT), "unknown");
	ck_assert(!update_event_is_fact(EVENT_COUNT));
}
END_TEST

START_TEST(test_facts_are_never_refused)
{
	struct transition t;

	for (int ev = 0; ev < EVENT_COUNT; ev++) {
		bool fact = update_event_is_fact((enum update_event)ev);
		ck_assert_int_eq(fact, ev >= EVENT_ACCEPTED);
		for (int s = 0; fact && s < UPDATE_STATE_COUNT; s++)
			ck_assert(state_next((enum update_state)s, (enum update_event)ev, &t));
	}
}
END_TEST

START_TEST(test_words)
{
	enum update_event ev;

	for (int i = 0; i < EVENT_COUNT; i++) {
		int known = update_event_of_report(update_event_word((enum update_event)i), &ev);
		ck_assert_int_eq(known, i >= EVENT_ACCEPTED ? 0 : -1);
		if (known == 0)
			ck_assert_int_eq(ev, i);
	}
	ck_assert_int_eq(update_event_of_report("confirming", &ev), 0);
	ck_assert_int_eq(ev, EVENT_INSTALLED);
	ck_assert_int_eq(update_event_of_report("", &ev), -1);
	ck_assert_int_eq(update_event_of_report("Downloading", &ev), -1);
	ck_assert_int_eq(update_event_of_report("planned", &ev), -1);
}
END_TEST

/* ---- counters ---- */

#define DEVICES 40

struct walker {
	enum update_state state;
	bool charged;
};

struct totals {
	int planned, in_flight, deferred, failed, succeeded, timed_out, ended;
};

/* Counted afresh, one device after the other: what the deltas must add up to. */
static struct totals recount(const struct walker *w)
{
	struct totals t = { 0 };

	for (int i = 0; i < DEVICES; i++) {
		if (w[i].state == UPDATE_PLANNED)
			t.planned++;
		else if (w[i].state == UPDATE_DEFERRED)
			t.deferred++;
		else if (w[i].state < UPDATE_SUCCEEDED)
			t.in_flight++;
		else
			t.ended++;
		t.succeeded += w[i].state == UPDATE_SUCCEEDED;
		t.timed_out += w[i].state == UPDATE_TIMED_OUT;
		t.failed += w[i].charged;
	}
	return t;
}

static void add(struct totals *t, const struct counts *c)
{
	t->planned += c->planned;
	t->in_flight += c->in_flight;
	t->deferred += c->deferred;
	t->failed += c->failed;
	t->succeeded += c->succeeded;
	t->timed_out += c->timed_out;
	t->ended += c->ended;
}

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

START_TEST(test_counters_over_random_walks)
{
	struct walker w[DEVICES] = { { UPDATE_PLANNED, false } };
	struct totals t = { .planned = DEVICES };

	seed = (uint32_t)_i * 2654435761u + 1;
	for (int step = 0; step < 5000; step++) {
		struct walker *v = &w[dice(DEVICES)];
		struct transition next;
		if (!state_next(v->state, (enum update_event)dice(EVENT_COUNT), &next))
			continue;
		bool charged = v->charged;
		if (next.to == UPDATE_SUCCEEDED)
			charged = false;
		else if (next.to == UPDATE_FAILED || next.to == UPDATE_ROLLED_BACK)
			charged = true;
		struct counts c = state_counts(v->state, next.to, v->charged, charged);
		ck_assert_int_le(c.failed, v->charged ? 0 : 1);
		*v = (struct walker){ next.to, charged };
		add(&t, &c);
		struct totals r = recount(w);
		ck_assert_mem_eq(&t, &r, sizeof(t));
		ck_assert_int_eq(t.planned + t.in_flight + t.deferred + t.ended, DEVICES);
		ck_assert_int_le(t.failed, DEVICES);
	}
}
END_TEST

START_TEST(test_counters_of_one_move)
{
	struct counts c = state_counts(UPDATE_CONFIRMING, UPDATE_TIMED_OUT, false, true);

	ck_assert_int_eq(c.planned, 0);
	ck_assert_int_eq(c.in_flight, -1);
	ck_assert_int_eq(c.deferred, 0);
	ck_assert_int_eq(c.failed, 1);
	ck_assert_int_eq(c.succeeded, 0);
	ck_assert_int_eq(c.timed_out, 1);
	ck_assert_int_eq(c.ended, 1);
	/* late success: the charge comes back, ended stays */
	c = state_counts(UPDATE_TIMED_OUT, UPDATE_SUCCEEDED, true, false);
	ck_assert_int_eq(c.failed, -1);
	ck_assert_int_eq(c.timed_out, -1);
	ck_assert_int_eq(c.succeeded, 1);
	ck_assert_int_eq(c.ended, 0);
	/* charged once: a device that failed before and fails again costs nothing more */
	c = state_counts(UPDATE_INSTALLING, UPDATE_FAILED, true, true);
	ck_assert_int_eq(c.failed, 0);
	ck_assert_int_eq(c.in_flight, -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/state");
	TCase *t = tcase_create("state");

	tcase_add_test(t, test_every_pair);
	tcase_add_test(t, test_strangers_are_refused);
	tcase_add_test(t, test_facts_are_never_refused);
	tcase_add_test(t, test_words);
	tcase_add_loop_test(t, test_counters_over_random_walks, 0, 20);
	tcase_add_test(t, test_counters_of_one_move);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
