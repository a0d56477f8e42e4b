/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"
#include "tracker_world.h"

/* The clock stands at 2027-01-15T08:00:00Z, a Friday. */
static struct world w;
static struct device lamp;
static struct rollout rollout;

static void setup(void)
{
	world_open(&w);
	w.policy.install_expected_s = 600;
	w.policy.min_rate = 1024;
	lamp = world_enrol(&w, "lamp-1", "1.0", 1);
	struct release r = world_release(&w, 2, "2.0");
	rollout = world_rollout(&w, &r, "winter", "all", 5);
}

static void teardown(void)
{
	world_close(&w);
}

static int64_t add(enum window_level level, int64_t ref, const char *text, bool blackout)
{
	struct window set[WINDOW_RANGES_MAX];

	memset(set, 0, sizeof(set));
	ck_assert_msg(window_set_short(set, text, &w.err) == 1, "%s", w.err.text);
	set[0].level = level;
	set[0].ref = ref;
	set[0].blackout = blackout;
	if (level == WINDOW_CLASS)
		set[0].class_id = lamp.class_id;
	WORLD_OK(&w, store_window_add(w.st, &set[0], &w.err));
	return set[0].id;
}

static int ask(struct offer *o, int64_t *again_s)
{
	struct device d = world_device(&w, "lamp-1");
	struct err why = { .code = ERR_NONE };
	int got = WORLD_OK(&w, offer_get(&w.tk, &d, true, o, again_s, &why, &w.err));

	w.err = why;
	return got;
}

static void refused(const char *why)
{
	struct offer o;
	int64_t again;

	ck_assert_int_eq(ask(&o, &again), 0);
	ck_assert_msg(strstr(w.err.text, why) == w.err.text, "%s", w.err.text);
}

START_TEST(test_window_is_kept)
{
	struct offer o;
	int64_t again;

	add(WINDOW_DEVICE, lamp.dev, "daily 09:00-10:00 UTC", false);
	refused("window: opens at 2027-01-15T09:00:00Z");
	ck_assert_int_eq(ask(&o, &again), 0);
	/* not before it opens where that is near; and in its first part, not all at its begin */
	ck_assert_int_ge(again, 2700);
	world_wait(&w, 3600);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 0);
	/* installing needs ten minutes */
	ck_assert_int_eq(o.not_after_s, 3000);
	/* the same again */
	world_wait(&w, 60);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_after_s, 2940);
}
END_TEST

START_TEST(test_it_must_fit)
{
	add(WINDOW_DEVICE, lamp.dev, "daily 08:00-08:15 UTC", false);
	world_wait(&w, 360);
	refused("window: opens at 2027-01-16T08:00:00Z, 601 s are needed");
	w.policy.install_expected_s = 900;
	refused("window: no opening of 901 s is in sight");
	w.policy.strategy[URGENCY_NORMAL].window_download = false;
	w.policy.install_expected_s = 540;
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
}
END_TEST

START_TEST(test_never_synchronised)
{
	int64_t opening = INT64_C(1800003600000);
	int seen[4] = { 0, 0, 0, 0 };

	for (int64_t dev = 1; dev <= 400; dev++) {
		int64_t s = gate_window_spread(dev, opening, INT64_C(7200000));
		ck_assert_int_ge(s, 0);
		ck_assert_int_le(s, 3600000);
		seen[s == 3600000 ? 3 : s / 900000]++;
	}
	for (int i = 0; i < 4; i++)
		ck_assert_int_gt(seen[i], 60);
	ck_assert_int_eq(gate_window_spread(1, opening, 0), 0);
	ck_assert_int_eq(gate_window_spread(1, opening, -5000), 0);
}
END_TEST

START_TEST(test_levels_intersect)
{
	add(WINDOW_DEVICE, lamp.dev, "daily 08:00-12:00 UTC", false);
	add(WINDOW_CLASS, 0, "daily 10:00-14:00 UTC", false);
	add(WINDOW_ROLLOUT, rollout.id, "daily 11:00-14:00 UTC", false);
	refused("window: opens at 2027-01-15T11:00:00Z");
	add(WINDOW_ROLLOUT, rollout.id + 1, "daily 01:00-02:00 UTC", false);
	refused("window: opens at 2027-01-15T11:00:00Z");
	WORLD_OK(&w, store_group_add(w.st, "north", &w.err));
	WORLD_OK(&w, store_group_member(w.st, "north", lamp.dev, true, &w.err));
	int64_t group = 0;
	ck_assert_int_eq(store_group_id(w.st, "north", &group, &w.err), 1);
	add(WINDOW_GROUP, group, "daily 11:30-12:30 UTC", false);
	refused("window: opens at 2027-01-15T11:30:00Z");
}
END_TEST

START_TEST(test_its_own_only_narrow)
{
	struct window own[WINDOW_RANGES_MAX];
	bool changed;

	memset(own, 0, sizeof(own));
	ck_assert_int_eq(window_set_short(own, "daily 11:00-20:00 UTC", &w.err), 1);
	WORLD_OK(&w, store_window_report(w.st, lamp.dev, own, 1, &changed, &w.err));
	refused("window: opens at 2027-01-15T11:00:00Z");
	add(WINDOW_DEVICE, lamp.dev, "daily 08:00-12:00 UTC", false);
	refused("window: opens at 2027-01-15T11:00:00Z");
}
END_TEST

START_TEST(test_a_zone_changes)
{
	int64_t id = add(WINDOW_DEVICE, lamp.dev, "daily 09:00-11:00 Europe/Berlin", false);

	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0); /* 08:00Z is nine there */
	world_close(&w);
	setup();
	id = add(WINDOW_DEVICE, lamp.dev, "daily 09:00-11:00 Europe/Berlin", false);
	WORLD_OK(&w, store_window_remove(w.st, id, &w.err));
	add(WINDOW_DEVICE, lamp.dev, "daily 09:00-11:00 America/New_York", false);
	refused("window: opens at 2027-01-15T14:00:00Z");
}
END_TEST

START_TEST(test_blackout)
{
	add(WINDOW_CLASS, 0, "Fri 08:00-12:00 UTC", true);
	refused("black-out: 1 of the class lasts until 2027-01-15T12:00:00Z");
	world_wait(&w, 4 * 3600);
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
}
END_TEST

/* It takes its share of a window, too, before it begins. */
START_TEST(test_blackout_ahead)
{
	add(WINDOW_DEVICE, lamp.dev, "daily 08:00-12:00 UTC", false);
	add(WINDOW_CLASS, 0, "Fri 08:05-11:00 UTC", true);
	refused("window: opens at 2027-01-15T11:00:00Z");
}
END_TEST

START_TEST(test_clock)
{
	int64_t window = add(WINDOW_DEVICE, lamp.dev, "daily 00:00-24:00 UTC", false);

	w.tk.now.wall_trusted = false;
	refused("window: clock: ");
	add(WINDOW_DEVICE, lamp.dev, "Mon 01:00-02:00 UTC", true);
	refused("black-out: clock: ");
	WORLD_OK(&w, store_window_remove(w.st, window, &w.err));
	w.tk.now.wall_trusted = true;
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
}
END_TEST

START_TEST(test_no_windows_need_no_clock)
{
	w.tk.now.wall_trusted = false;
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
}
END_TEST

START_TEST(test_deadline)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];

	s->deadline_s = 7200;
	add(WINDOW_DEVICE, lamp.dev, "daily 20:00-21:00 UTC", false);
	add(WINDOW_DEVICE, lamp.dev, "daily 10:30-11:00 UTC", true);
	refused("window: opens at 2027-01-15T20:00:00Z");
	s->window_until_deadline = true;
	refused("window: holds until the deadline, at 2027-01-15T10:00:00Z");
	world_wait(&w, 7200 + 1800);
	/* black-outs know no deadline */
	refused("black-out: ");
	world_wait(&w, 1800);
	s->window_until_deadline = false;
	refused("window: opens at");
	s->window_until_deadline = true;
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
}
END_TEST

START_TEST(test_deadline_where_nothing_opens)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];
	struct offer o;
	int64_t again;

	s->deadline_s = 7200;
	s->window_until_deadline = true;
	add(WINDOW_DEVICE, lamp.dev, "Sat 20:00-21:00 UTC", false);
	add(WINDOW_CLASS, 0, "Sun 20:00-21:00 UTC", false);
	refused("window: holds until the deadline, at 2027-01-15T10:00:00Z");
	world_wait(&w, 7199);
	ck_assert_int_eq(ask(&o, &again), 0);
	ck_assert_int_ge(again, 1);
	ck_assert_int_le(again, 1 + s->contact_interval_s);
}
END_TEST

/* What a deadline opens, too, they do not all come for at once, nor later than they would. */
START_TEST(test_a_deadline_for_many)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];
	struct release r = world_release(&w, 3, "3.0");
	int64_t first = INT64_MAX, last = 0, again;
	struct err why;
	struct offer o;

	s->deadline_s = 7200;
	s->window_until_deadline = true;
	add(WINDOW_CLASS, 0, "Sat 20:00-21:00 UTC", false);
	for (char id[] = "many-0"; id[5] < '8'; id[5]++)
		world_enrol(&w, id, "1.0", 1);
	world_rollout(&w, &r, "spring", "all", 20);
	world_wait(&w, 7140);
	for (char id[] = "many-0"; id[5] < '8'; id[5]++) {
		struct device d = world_device(&w, id);

		ck_assert_int_eq(WORLD_OK(&w, offer_get(&w.tk, &d, true, &o, &again, &why, &w.err)),
				 0);
		first = again < first ? again : first;
		last = again > last ? again : last;
	}
	ck_assert_int_ge(first, 60);
	ck_assert_int_gt(last, first + s->contact_interval_s / 4);
	ck_assert_int_le(last, 60 + s->contact_interval_s);
}
END_TEST

/* Installing alone is governed, and what opens it is the deadline: it comes ahead of that, too. */
START_TEST(test_offer_ahead_of_the_deadline)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];
	struct offer o;
	int64_t again;

	s->deadline_s = 7200;
	s->window_until_deadline = true;
	s->window_download = false;
	add(WINDOW_DEVICE, lamp.dev, "Sat 20:00-21:00 UTC", false);
	if (_i) /* nothing opens at all */
		add(WINDOW_CLASS, 0, "Sun 20:00-21:00 UTC", false);
	ck_assert_int_eq(ask(&o, &again), 0);
	ck_assert_int_gt(again, 1800);
	world_wait(&w, 3700);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 3500);
	ck_assert_int_eq(o.not_after_s, 0);
}
END_TEST

/* What began by its device's own word has a deadline, too: its phase's. */
START_TEST(test_deadline_of_what_was_not_offered)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];
	struct device d = world_device(&w, "lamp-1");
	char why[REASON_TEXT];
	struct update u;
	int64_t wait;

	s->deadline_s = 7200;
	s->window_until_deadline = true;
	add(WINDOW_DEVICE, lamp.dev, "Sat 20:00-21:00 UTC", false);
	ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 1);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u.id, "downloaded"), 0);
	ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 1);
	ck_assert_int_eq(u.state, UPDATE_DOWNLOADED);
	ck_assert_int_eq(gate_window_wait(&w.tk, &d, &u, &wait, why, &w.err), 0);
	ck_assert_str_eq(why,
			 "holds until the deadline, at 2027-01-15T10:00:00Z, 600 s are needed");
	world_wait(&w, 7200);
	ck_assert_int_eq(gate_window_wait(&w.tk, &d, &u, &wait, why, &w.err), 1);
}
END_TEST

/* Whatever the deadline says: not into a black-out. */
START_TEST(test_deadline_within_a_blackout)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];
	struct offer o;
	int64_t again;

	s->deadline_s = 7200;
	s->window_until_deadline = true;
	s->window_download = false;
	add(WINDOW_DEVICE, lamp.dev, "Sat 20:00-21:00 UTC", false);
	add(WINDOW_CLASS, 0, "Fri 09:55-10:30 UTC", true);
	add(WINDOW_CLASS, 0, "Fri 11:30-13:00 UTC", true);
	world_wait(&w, 3700);
	refused("window: holds until the deadline, at 2027-01-15T10:30:00Z");
	world_wait(&w, 1700);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 3600);
	ck_assert_int_eq(o.not_after_s, 6600);
}
END_TEST

START_TEST(test_past_its_deadline_before_a_blackout)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];
	struct offer o;
	int64_t again;

	s->deadline_s = 7200;
	s->window_until_deadline = true;
	add(WINDOW_DEVICE, lamp.dev, "Sat 20:00-21:00 UTC", false);
	int64_t id = add(WINDOW_CLASS, 0, "Fri 11:30-13:00 UTC", true);
	world_wait(&w, 12300);
	refused("window: opens at 2027-01-15T13:00:00Z, 601 s are needed");
	WORLD_OK(&w, store_window_remove(w.st, id, &w.err));
	add(WINDOW_CLASS, 0, "Fri 12:00-13:00 UTC", true);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 0);
	ck_assert_int_eq(o.not_after_s, 1500);
}
END_TEST

/* Only installing is governed: it is fetched before, and told when it may be installed. */
START_TEST(test_offer_ahead_of_its_slot)
{
	struct offer o;
	int64_t again;

	w.policy.strategy[URGENCY_NORMAL].window_download = false;
	w.policy.strategy[URGENCY_NORMAL].contact_interval_s = 600;
	add(WINDOW_DEVICE, lamp.dev, "Fri 10:00-11:00 UTC", false);
	refused("window: opens at 2027-01-15T10:00:00Z");
	world_wait(&w, 3600);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 3600);
	ck_assert_int_eq(o.not_after_s, 6600);
	ck_assert_int_eq(WORLD_OK(&w, world_report(&w, "lamp-1", 1, 10, o.update.id, "downloaded")),
			 0);
	/* its patience with installing begins with the slot */
	struct update u = world_update(&w, o.update.id);
	ck_assert_int_eq(u.state, UPDATE_DOWNLOADED);
	ck_assert_int_eq(u.track_due - w.tk.now.track, (w.policy.install_timeout_s + 3600) * 1000);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 3600);
	/* it begins all the same: a fact, and named */
	ck_assert_int_eq(WORLD_OK(&w, world_report(&w, "lamp-1", 1, 11, o.update.id, "installing")),
			 0);
	u = world_update(&w, o.update.id);
	ck_assert_int_eq(u.state, UPDATE_INSTALLING);
	ck_assert_ptr_nonnull(strstr(u.reason, "before its slot"));
}
END_TEST

/* A clock that is set far back does not stretch its patience: no slot is further than a day. */
START_TEST(test_slot_when_the_clock_is_set_back)
{
	struct offer o;
	int64_t again;

	w.policy.strategy[URGENCY_NORMAL].window_download = false;
	w.policy.strategy[URGENCY_NORMAL].contact_interval_s = 600;
	add(WINDOW_DEVICE, lamp.dev, "Fri 10:00-11:00 UTC", false);
	world_wait(&w, 3600);
	ck_assert_int_eq(ask(&o, &again), 1);
	w.tk.now.wall -= INT64_C(400) * 86400000;
	ck_assert_int_eq(WORLD_OK(&w, world_report(&w, "lamp-1", 1, 10, o.update.id, "downloaded")),
			 0);
	struct update u = world_update(&w, o.update.id);
	ck_assert_int_eq(u.state, UPDATE_DOWNLOADED);
	ck_assert_int_eq(u.track_due - w.tk.now.track, (w.policy.install_timeout_s + 86400) * 1000);
}
END_TEST

START_TEST(test_after_its_slot)
{
	int64_t again;
	struct offer o;

	add(WINDOW_DEVICE, lamp.dev, "Fri 08:00-09:00 UTC", false);
	ck_assert_int_eq(ask(&o, &again), 1);
	world_wait(&w, 3001);
	ck_assert_int_eq(WORLD_OK(&w, world_report(&w, "lamp-1", 1, 11, o.update.id, "installing")),
			 0);
	ck_assert_ptr_nonnull(strstr(world_update(&w, o.update.id).reason, "after its slot"));
}
END_TEST

/* What was too slow for its slot is told of the next, not that there is none to keep. */
START_TEST(test_the_next_slot)
{
	struct offer o;
	int64_t again;

	w.policy.strategy[URGENCY_NORMAL].window_download = _i == 0;
	add(WINDOW_DEVICE, lamp.dev, "daily 08:00-09:00 UTC", false);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_after_s, 3000);
	ck_assert_int_eq(
		WORLD_OK(&w, world_report(&w, "lamp-1", 1, 11, o.update.id, "downloading")), 0);
	/* at the last moment it still may */
	world_wait(&w, 3000);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 0);
	ck_assert_int_eq(o.not_after_s, 1);
	world_wait(&w, 60);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 86400 - 3060);
	ck_assert_int_eq(o.not_after_s, 86400 - 60);
	int64_t due = o.update.track_due;
	world_wait(&w, 60);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 86400 - 3120);
	ck_assert_int_eq(o.update.track_due, due);
	ck_assert_int_eq(WORLD_OK(&w, world_report(&w, "lamp-1", 1, 12, o.update.id, "installing")),
			 0);
	ck_assert_ptr_nonnull(strstr(world_update(&w, o.update.id).reason, "before its slot"));
}
END_TEST

/* What goes on by its device's own word was told no slot yet: it is when it asks. */
START_TEST(test_slot_of_what_was_not_offered)
{
	struct device d = world_device(&w, "lamp-1");
	struct update u;
	struct offer o;
	int64_t again;

	add(WINDOW_DEVICE, lamp.dev, "daily 09:00-10:00 UTC", false);
	ck_assert_int_eq(store_update_open(w.st, d.dev, &u, &w.err), 1);
	ck_assert_int_eq(world_report(&w, "lamp-1", 1, 2, u.id, "downloaded"), 0);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 3600);
	ck_assert_int_eq(o.not_after_s, 6600);
	world_wait(&w, 10);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 3590);
}
END_TEST

/* Told by a wrong clock a slot would end too late, or never. */
START_TEST(test_no_slot_by_a_wrong_clock)
{
	struct offer o;
	int64_t again;

	w.policy.strategy[URGENCY_NORMAL].window_download = false;
	add(WINDOW_DEVICE, lamp.dev, "daily 08:00-09:00 UTC", false);
	ck_assert_int_eq(ask(&o, &again), 1);
	w.tk.now.wall_trusted = false;
	w.tk.now.wall += _i == 0 ? -86400000 : 86400000;
	refused("window: clock: ");
	ck_assert_int_eq(world_update(&w, o.update.id).state, UPDATE_OFFERED);
	w.tk.now.wall -= _i == 0 ? -86400000 : 86400000;
	w.tk.now.wall_trusted = true;
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_after_s, 3000);
}
END_TEST

START_TEST(test_no_slot_is_left)
{
	struct offer o;
	int64_t again;

	add(WINDOW_DEVICE, lamp.dev, "daily 08:00-09:00 UTC", false);
	ck_assert_int_eq(ask(&o, &again), 1);
	add(WINDOW_CLASS, 0, "daily 20:00-21:00 UTC", false);
	world_wait(&w, 3060);
	refused("window: no opening of 600 s is in sight");
	ck_assert_int_eq(world_update(&w, o.update.id).state, UPDATE_OFFERED);
}
END_TEST

/* Deadline and slot: what opens too late is installed at the deadline. */
/* A yes to what was put off has no slot in its answer: it is for now, or it must wait. */
START_TEST(test_yes_ahead_of_its_slot)
{
	struct decision c = { .boot = 1, .counter = 20, .kind = DECISION_DEFER, .until_s = 86400 };
	struct device d = world_device(&w, "lamp-1");
	struct decision_answer out;

	w.policy.strategy[URGENCY_NORMAL].window_download = false;
	c.update = world_ask(&w, "lamp-1");
	WORLD_OK(&w, offer_decide(&w.tk, &d, &c, &out, &w.err));
	ck_assert_int_eq(out.state, UPDATE_DEFERRED);
	add(WINDOW_DEVICE, lamp.dev, "Fri 09:00-10:00 UTC", false);
	world_wait(&w, 1800);
	c.kind = DECISION_ACCEPT;
	c.counter++;
	ck_assert_int_lt(WORLD_DO(&w, offer_decide(&w.tk, &d, &c, &out, &w.err)), 0);
	ck_assert_int_eq(w.err.code, ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(w.err.text, "window: "));
	ck_assert_int_eq(world_update(&w, c.update).state, UPDATE_DEFERRED);
	world_wait(&w, 1800);
	c.counter++;
	WORLD_OK(&w, offer_decide(&w.tk, &d, &c, &out, &w.err));
	ck_assert_int_eq(out.state, UPDATE_ACCEPTED);
}
END_TEST

START_TEST(test_slot_at_the_deadline)
{
	struct strategy *s = &w.policy.strategy[URGENCY_NORMAL];
	struct offer o;
	int64_t again;

	s->window_download = false;
	s->window_until_deadline = true;
	s->deadline_s = 1800;
	add(WINDOW_DEVICE, lamp.dev, "Fri 09:00-10:00 UTC", false);
	ck_assert_int_eq(ask(&o, &again), 1);
	ck_assert_int_eq(o.not_before_s, 1800);
	ck_assert_int_eq(o.not_after_s, 0);
}
END_TEST

/* Only force overrides a black-out; windows it leaves. */
START_TEST(test_forced)
{
	struct rollout_spec spec = {
		.name = "forced", .target = "all", .budget = 5, .limits = { .force = true }
	};
	struct device other = world_enrol(&w, "lamp-2", "1.0", 1);
	struct release r = world_release(&w, 3, "3.0");
	struct rollout out;
	struct job job;

	WORLD_OK(&w, rollout_abort(&w.tk, &rollout, "replaced", &job, &w.err));
	world_jobs(&w);
	spec.release = r.id;
	WORLD_OK(&w, rollout_create(&w.tk, &spec, &out, &job, &w.err));
	world_jobs(&w);
	out = world_rollout_now(&w, out.id);
	WORLD_OK(&w, rollout_start(&w.tk, &out, &w.err));
	world_jobs(&w);
	add(WINDOW_CLASS, 0, "Fri 08:00-12:00 UTC", true);
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
	add(WINDOW_DEVICE, other.dev, "daily 09:00-10:00 UTC", false);
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "window: opens at 2027-01-15T09:00:00Z"));
}
END_TEST

/* behaviour.md 7: budget > black-out > deferral > window > pace */
START_TEST(test_order)
{
	static const char *const order[] = { "budget", "black-out", "deferral", "window", "pace" };
	struct gate gates[GATES_MAX];
	size_t at = 0;

	int n = why_device(&w.tk, &lamp, gates, &w.err);
	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n && at < 5; i++)
		at += strcmp(gates[i].name, order[at]) == 0;
	ck_assert_uint_eq(at, 5);
}
END_TEST

START_TEST(test_wait)
{
	struct update u = world_update(&w, world_ask(&w, "lamp-1"));
	char value[REASON_TEXT];
	int64_t wait;

	ck_assert_int_eq(gate_window_wait(&w.tk, &lamp, &u, &wait, value, &w.err), 1);
	add(WINDOW_DEVICE, lamp.dev, "Fri 09:00-10:00 UTC", false);
	ck_assert_int_eq(gate_window_wait(&w.tk, &lamp, &u, &wait, value, &w.err), 0);
	ck_assert_int_ge(wait, 3600000);
	ck_assert_int_le(wait, 3600000 + 3000000);
	world_wait(&w, 3600);
	ck_assert_int_eq(gate_window_wait(&w.tk, &lamp, &u, &wait, value, &w.err), 1);
	add(WINDOW_DEVICE, lamp.dev, "Fri 09:00-09:30 UTC", true);
	ck_assert_int_eq(gate_window_wait(&w.tk, &lamp, &u, &wait, value, &w.err), 0);
	ck_assert_int_ge(wait, 1800000);
}
END_TEST

START_TEST(test_next)
{
	struct window_span s[3];
	bool any;

	ck_assert_int_eq(window_next(&w.tk, &lamp, 0, 3, s, &any, &w.err), 0);
	ck_assert(!any);
	add(WINDOW_DEVICE, lamp.dev, "daily 09:00-10:00 UTC", false);
	ck_assert_int_eq(window_next(&w.tk, &lamp, 0, 3, s, &any, &w.err), 3);
	ck_assert(any);
	ck_assert_int_eq(s[2].from, INT64_C(1800000000000) + 49 * INT64_C(3600000));
}
END_TEST

/* A zone that is gone, and too many: closed with that reason, no error of the asker's. */
START_TEST(test_troubles)
{
	struct window row = { .level = WINDOW_DEVICE,
			      .ref = lamp.dev,
			      .rrule = "FREQ=DAILY",
			      .starts = "20000103T000000",
			      .zone = "Europe/Atlantis",
			      .duration_s = 60 };

	WORLD_OK(&w, store_window_add(w.st, &row, &w.err));
	refused("window: zone: \"Europe/Atlantis\"");
	row.blackout = true;
	WORLD_OK(&w, store_window_add(w.st, &row, &w.err));
	refused("black-out: zone: \"Europe/Atlantis\"");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/window_gate");
	TCase *t = tcase_create("window_gate");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_window_is_kept);
	tcase_add_test(t, test_it_must_fit);
	tcase_add_test(t, test_never_synchronised);
	tcase_add_test(t, test_levels_intersect);
	tcase_add_test(t, test_its_own_only_narrow);
	tcase_add_test(t, test_a_zone_changes);
	tcase_add_test(t, test_blackout);
	tcase_add_test(t, test_blackout_ahead);
	tcase_add_test(t, test_clock);
	tcase_add_test(t, test_no_windows_need_no_clock);
	tcase_add_test(t, test_deadline);
	tcase_add_test(t, test_deadline_where_nothing_opens);
	tcase_add_test(t, test_a_deadline_for_many);
	tcase_add_test(t, test_offer_ahead_of_its_slot);
	tcase_add_loop_test(t, test_offer_ahead_of_the_deadline, 0, 2);
	tcase_add_test(t, test_deadline_of_what_was_not_offered);
	tcase_add_test(t, test_deadline_within_a_blackout);
	tcase_add_test(t, test_past_its_deadline_before_a_blackout);
	tcase_add_test(t, test_slot_when_the_clock_is_set_back);
	tcase_add_test(t, test_after_its_slot);
	tcase_add_loop_test(t, test_the_next_slot, 0, 2);
	tcase_add_test(t, test_no_slot_is_left);
	tcase_add_test(t, test_slot_of_what_was_not_offered);
	tcase_add_loop_test(t, test_no_slot_by_a_wrong_clock, 0, 2);
	tcase_add_test(t, test_slot_at_the_deadline);
	tcase_add_test(t, test_yes_ahead_of_its_slot);
	tcase_add_test(t, test_forced);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_wait);
	tcase_add_test(t, test_next);
	tcase_add_test(t, test_troubles);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
