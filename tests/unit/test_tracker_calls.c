/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/calls.h"
#include "tracker/window.h"
#include "tracker_world.h"

/* Calls to devices, on rows and a clock of the test's own: what is sent, and what answers do. */

static struct world w;
static struct release rel;
static struct effect sent; /* the last call */
static int64_t next_due;

static void setup(void)
{
	world_open(&w);
	rel = world_release(&w, 2, "2.0");
}

static void teardown(void)
{
	world_close(&w);
}

static struct device enrol(const char *id, enum mode mode, const char *capabilities)
{
	struct device d = {
		.auth = AUTH_NONE, .mode = mode, .vendor_id = w.vendor, .class_id = w.class_id
	};
	struct device_live live;

	text_copy(d.id, sizeof(d.id), id);
	text_copy(d.capabilities, sizeof(d.capabilities), capabilities);
	WORLD_OK(&w, store_device_add(w.st, &d, &w.err));
	ck_assert_int_eq(store_live_get(w.st, d.dev, &live, &w.err), 0);
	live.last_seen = w.tk.now.wall;
	live.track_seen = w.tk.now.track;
	live.boot = 1;
	live.endpoint_port = 5683;
	live.ip[15] = 1;
	WORLD_OK(&w, store_live_put(w.st, &live, &w.err));
	return d;
}

/* How many calls a pass orders; the last one is in sent. */
static int pass(void)
{
	int n = 0;

	effects_clear(&w.fx);
	WORLD_TURN(&w, scheduler_pass(&w.tk, 1000, 1000000, &next_due, &w.err));
	for (unsigned i = 0; i < w.fx.n; i++)
		if (w.fx.v[i].kind == EFFECT_SEND) {
			sent = w.fx.v[i];
			n++;
		}
	return n;
}

static struct call_answer answer_to_sent(uint16_t status)
{
	return (struct call_answer){ .dev = sent.dev,
				     .update = sent.send.update,
				     .serial = sent.send.serial,
				     .kind = (uint8_t)sent.send.kind,
				     .of_outage = sent.send.outage_s > 0,
				     .status = status,
				     .device = {
					     .battery = -1, .free_flash = -1, .free_ram = -1 } };
}

/* Whether it led to another call, at once; that is in sent then. */
static bool give(const struct call_answer *a)
{
	bool more = false;

	effects_clear(&w.fx);
	ck_assert_int_eq(WORLD_OK(&w, call_answered(&w.tk, a, &w.err)), 1);
	for (unsigned i = 0; i < w.fx.n; i++)
		if (w.fx.v[i].kind == EFFECT_SEND) {
			sent = w.fx.v[i];
			more = true;
		}
	return more;
}

static bool answer(uint16_t status)
{
	struct call_answer a = answer_to_sent(status);

	return give(&a);
}

static bool answer_status(const char *service)
{
	struct call_answer a = answer_to_sent(200);

	a.has_status = true;
	text_copy(a.device.service, sizeof(a.device.service), service);
	return give(&a);
}

static bool answer_held(uint64_t held)
{
	struct call_answer a = answer_to_sent(200);

	a.held = held;
	return give(&a);
}

static void expect(enum send_kind kind)
{
	ck_assert_msg(sent.send.kind == kind, "kind %d, not %d", sent.send.kind, kind);
}

static struct update open_update(const struct device *d)
{
	struct update u;

	ck_assert_int_eq(store_update_open(w.st, d->dev, &u, &w.err), 1);
	return u;
}

/* One that is kept for its number alone is none. */
static int row(const struct device *d, struct device_call *c)
{
	int found = store_call_get(w.st, d->dev, c, &w.err);

	return found == 1 && c->want == 0 && !c->sent ? 0 : found;
}

static void blackout_of_class(const char *text)
{
	struct window set[WINDOW_RANGES_MAX];

	memset(set, 0, sizeof(set));
	ck_assert_msg(window_set_short(set, text, &w.err) == 1, "%s", w.err.text);
	set[0].level = WINDOW_CLASS;
	set[0].class_id = w.class_id;
	set[0].blackout = true;
	WORLD_OK(&w, store_window_add(w.st, &set[0], &w.err));
}

START_TEST(a_push_from_status_to_the_device_s_report)
{
	struct device d = enrol("cam", MODE_SERVER, "push");

	world_rollout(&w, &rel, "r", "id == cam", 1);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_STATUS);
	ck_assert_int_eq(sent.send.port, 5683);
	ck_assert_str_eq(sent.send.identity, "");
	ck_assert_int_eq(open_update(&d).state, UPDATE_PLANNED);
	ck_assert(answer_status("busy"));
	expect(SEND_MANIFEST);
	struct update u = open_update(&d);
	ck_assert_int_eq(u.state, UPDATE_OFFERED);
	ck_assert(u.reserved);
	ck_assert(digest_eq(&sent.object, &rel.manifest));
	ck_assert(answer(204));
	expect(SEND_HELD);
	ck_assert_int_eq(open_update(&d).state, UPDATE_ACCEPTED);
	ck_assert(open_update(&d).manifest_fetched);
	ck_assert(answer_held(0));
	expect(SEND_IMAGE);
	ck_assert_uint_eq(sent.send.offset, 0);
	ck_assert_int_eq(open_update(&d).state, UPDATE_DOWNLOADING);
	ck_assert(answer(204));
	expect(SEND_APPLY);
	ck_assert_int_eq(open_update(&d).state, UPDATE_DOWNLOADED);
	ck_assert(!answer(204));
	ck_assert_int_eq(open_update(&d).state, UPDATE_INSTALLING);
	struct device_call c;
	ck_assert_int_eq(row(&d, &c), 0);
	/* its polls write nothing now */
	ck_assert_int_eq(world_ask(&w, "cam"), u.id);
	ck_assert_int_eq(row(&d, &c), 0);
	/* nothing more is due but the state's own timeout */
	ck_assert_int_eq(pass(), 0);
	ck_assert_int_eq(world_register(&w, "cam", 2, 1, "2.0", 2), 0);
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_SUCCEEDED);
}
END_TEST

START_TEST(it_goes_on_where_the_device_is)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	answer(204);
	expect(SEND_HELD);
	/* the test's image is small: its offset is below one block */
	ck_assert(answer_held(1));
	expect(SEND_IMAGE);
	ck_assert_uint_eq(sent.send.offset, 0);
	struct call_answer lost = answer_to_sent(0);
	lost.offset = 5;
	ck_assert(!give(&lost));
	ck_assert_int_eq(row(&d, &c), 1);
	ck_assert(!c.sent);
	ck_assert_int_eq(c.held, -1);
	ck_assert_int_gt(c.due, w.tk.now.track);
	ck_assert_int_eq(pass(), 0);
	world_wait(&w, 5);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_HELD);
	/* all of it is there already: its answer had been lost */
	ck_assert(answer_held(1 << 20));
	expect(SEND_APPLY);
	ck_assert_int_eq(open_update(&d).state, UPDATE_DOWNLOADED);
}
END_TEST

START_TEST(a_lost_front_or_core_only_costs_time)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	struct call_answer old = answer_to_sent(204);
	world_commit(&w);
	world_crash(&w);
	ck_assert_int_eq(row(&d, &c), 1);
	ck_assert(c.sent);
	ck_assert_int_eq(pass(), 0);
	WORLD_OK(&w, store_call_sent_lost(w.st, w.tk.now.track, &w.err));
	ck_assert_int_eq(pass(), 0);
	world_wait(&w, 5);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_MANIFEST);
	ck_assert_int_gt(sent.send.serial, old.serial);
	/* the old one's answer comes after all: nobody waits for it */
	ck_assert_int_eq(WORLD_OK(&w, call_answered(&w.tk, &old, &w.err)), 0);
	ck_assert_int_eq(open_update(&d).state, UPDATE_OFFERED);
	/* without anybody's word it is lost by the clock */
	world_wait(&w, 3600 + 301);
	ck_assert_int_eq(pass(), 0);
	ck_assert_int_eq(row(&d, &c), 1);
	ck_assert(!c.sent);
}
END_TEST

/* A device that restarts while it is called misses the call, and says that it is there. */
START_TEST(who_speaks_while_it_is_called_is_called_at_once)
{
	enrol("cam", MODE_SERVER, "push");
	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	for (int i = 0; i < 4; i++) {
		world_wait(&w, 60);
		answer(0);
		world_wait(&w, 60);
		ck_assert_int_eq(pass(), 1);
	}
	world_wait(&w, 20);
	ck_assert_int_eq(world_register(&w, "cam", 2, 1, NULL, 0), 0);
	world_wait(&w, 40);
	answer(0);
	world_wait(&w, 1);
	ck_assert_int_eq(pass(), 1);
	/* once: who is silent again is waited for again */
	world_wait(&w, 60);
	answer(0);
	world_wait(&w, 1);
	ck_assert_int_eq(pass(), 0);
}
END_TEST

/* A front may say what it likes: only the call that is under way can be answered. */
START_TEST(only_what_is_awaited_is_believed)
{
	struct device d = enrol("cam", MODE_SERVER, "push");

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	struct call_answer good = answer_to_sent(200), a = good;
	a.serial++;
	ck_assert_int_eq(WORLD_OK(&w, call_answered(&w.tk, &a, &w.err)), 0);
	a = good;
	a.kind = SEND_APPLY;
	ck_assert_int_eq(WORLD_OK(&w, call_answered(&w.tk, &a, &w.err)), 0);
	a = good;
	a.dev += 7;
	ck_assert_int_eq(WORLD_OK(&w, call_answered(&w.tk, &a, &w.err)), 0);
	give(&good);
	expect(SEND_MANIFEST);
	a = answer_to_sent(204);
	a.update += 1;
	ck_assert_int_eq(WORLD_OK(&w, call_answered(&w.tk, &a, &w.err)), 0);
	ck_assert_int_eq(open_update(&d).state, UPDATE_OFFERED);
	ck_assert_int_eq(WORLD_OK(&w, call_answered(&w.tk, &good, &w.err)), 0);
}
END_TEST

/* Its own report may overtake the word that it took the manifest: the budget is told. */
START_TEST(what_it_took_is_known_whatever_it_said_meanwhile)
{
	struct device d = enrol("cam", MODE_SERVER, "push");

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	struct update u = open_update(&d);
	ck_assert_int_eq(world_report(&w, "cam", 1, 2, u.id, "installing"), 0);
	ck_assert(!world_update(&w, u.id).manifest_fetched);
	ck_assert(!answer(204));
	u = world_update(&w, u.id);
	ck_assert_int_eq(u.state, UPDATE_INSTALLING);
	ck_assert(u.manifest_fetched);
}
END_TEST

static void shut_out(const struct device *dev, bool out)
{
	struct device d;

	ck_assert_int_eq(store_device_by_dev(w.st, dev->dev, &d, &w.err), 1);
	d.disabled = out;
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	if (!out)
		WORLD_OK(&w, update_notify(&w.tk, d.dev, &w.err));
}

/* Shut out while it is called: what it took is known, it is not called, and goes on later. */
START_TEST(who_is_shut_out_keeps_what_it_took)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	struct job job;

	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	shut_out(&d, true);
	ck_assert(!answer(204));
	struct update u = open_update(&d);
	ck_assert_int_eq(u.state, UPDATE_ACCEPTED);
	ck_assert(u.manifest_fetched);
	world_wait(&w, 60);
	ck_assert_int_eq(pass(), 0);
	shut_out(&d, false);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_HELD);
	/* and what is taken back from it meanwhile it is told as soon as it may be */
	shut_out(&d, true);
	ck_assert(!answer_held(0));
	WORLD_OK(&w, rollout_stop(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(pass(), 0);
	shut_out(&d, false);
	ck_assert_int_eq(WORLD_OK(&w, call_contact(&w.tk, &d, true, &w.err)), 0);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_DROP);
}
END_TEST

/* Nothing is left to be called for, and then something is, all in one millisecond. */
START_TEST(no_number_is_used_again)
{
	struct device d = enrol("cam", MODE_SERVER, "push diag");
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	int64_t last = sent.send.serial;
	ck_assert(!answer(400));
	ck_assert_int_eq(row(&d, &c), 0);
	WORLD_OK(&w, call_want(&w.tk, &d, CALL_DIAG, &w.err));
	ck_assert_int_eq(pass(), 1);
	expect(SEND_DIAG);
	ck_assert_int_gt(sent.send.serial, last);
	ck_assert(!answer(204));
	world_wait(&w, 1);
	ck_assert_int_eq(pass(), 0);
	ck_assert_int_eq(store_call_get(w.st, d.dev, &c, &w.err), 0);
}
END_TEST

START_TEST(a_refused_manifest_ends_the_attempt)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	struct update u = open_update(&d);
	struct call_answer a = answer_to_sent(422);
	a.failure = FAILURE_INCOMPATIBLE;
	text_copy(a.text, sizeof(a.text), "another board");
	ck_assert(!give(&a));
	u = world_update(&w, u.id);
	ck_assert_int_eq(u.state, UPDATE_FAILED);
	ck_assert_int_eq(u.failure, FAILURE_INCOMPATIBLE);
	ck_assert_str_eq(u.reason, "call: manifest: answered 4.22: another board");
	ck_assert_int_eq(row(&d, &c), 0);
}
END_TEST

START_TEST(a_failure_is_retried_after_its_back_off)
{
	struct device d = enrol("cam", MODE_SERVER, "push");

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	ck_assert(!answer(413));
	struct update u = open_update(&d);
	ck_assert_int_eq(u.state, UPDATE_PLANNED);
	ck_assert_int_eq(u.attempt, 2);
	ck_assert_int_eq(pass(), 0);
	world_wait(&w, 3600);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_STATUS);
	answer_status("idle");
	expect(SEND_MANIFEST);
}
END_TEST

START_TEST(critical_service_is_not_disturbed)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	ck_assert(!answer_status("critical"));
	ck_assert_int_eq(open_update(&d).state, UPDATE_PLANNED);
	ck_assert_int_eq(row(&d, &c), 1);
	ck_assert_int_gt(c.due, w.tk.now.track + 1000);
	ck_assert_ptr_nonnull(strstr(c.reason, "service: the device is critical"));
	/* what it said grows old: it is asked again, and now it may be */
	world_wait(&w, 3600);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_STATUS);
	ck_assert(answer_status("idle"));
	expect(SEND_MANIFEST);
}
END_TEST

/* What the server itself holds back is not its device's silence: it costs no attempt. */
START_TEST(who_waits_for_us_is_not_silent)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct device_live live;
	struct update u;

	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	answer(204);
	answer_held(0);
	expect(SEND_IMAGE);
	if (_i == 0)
		blackout_of_class("Fri 08:00-12:00 UTC");
	/* its last word is old by then */
	world_wait(&w, 301);
	ck_assert_int_eq(answer(204), _i == 1);
	u = open_update(&d);
	ck_assert_int_eq(u.state, UPDATE_DOWNLOADED);
	if (_i == 1) {
		expect(SEND_STATUS);
		answer_status("critical");
		world_wait(&w, 600);
	}
	ck_assert_int_eq(store_live_get(w.st, d.dev, &live, &w.err), 1);
	live.track_seen = w.tk.now.track;
	WORLD_OK(&w, store_live_put(w.st, &live, &w.err));
	world_wait(&w, w.policy.install_timeout_s + 1);
	if (pass() > 0)
		answer_status("critical");
	u = open_update(&d);
	ck_assert_int_eq(u.state, UPDATE_PLANNED);
	ck_assert_int_eq(u.attempt, 1);
	ck_assert(!u.charged);
	r = world_rollout_now(&w, r.id);
	ck_assert_int_eq(r.in_flight, 0);
	ck_assert_int_eq(r.failed, 0);
	world_wait(&w, 3 * 3600);
	pass();
	expect(SEND_STATUS);
	answer_status("idle");
	expect(SEND_MANIFEST);
	answer(204);
	expect(SEND_HELD);
	answer_held(1 << 20);
	expect(SEND_APPLY);
}
END_TEST

/* Told to begin and silent since: a window that closed meanwhile does not hide that. */
START_TEST(who_may_be_dead_of_it_is_not_held_back)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	int64_t id = open_update(&d).id;

	pass();
	answer_status("idle");
	answer(204);
	answer_held(1 << 20);
	expect(SEND_APPLY);
	blackout_of_class("Fri 08:01-12:00 UTC");
	ck_assert(!answer(_i == 0 ? 0 : 503));
	world_wait(&w, 600);
	/* it is asked how it is meanwhile, and does not say */
	if (pass() > 0)
		answer(0);
	world_wait(&w, w.policy.install_timeout_s - 599);
	pass();
	ck_assert_int_eq(world_update(&w, id).state, _i == 0 ? UPDATE_TIMED_OUT : UPDATE_PLANNED);
	ck_assert_int_eq(world_rollout_now(&w, r.id).failed, _i == 0);
}
END_TEST

/* Nor does it count that it was heard of before, while it waited for its window. */
START_TEST(who_may_be_dead_of_it_has_no_next_attempt)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	int64_t id = open_update(&d).id;
	struct device_live live;

	pass();
	answer_status("idle");
	answer(204);
	blackout_of_class("Fri 08:00-08:30 UTC");
	ck_assert(!answer_held(1 << 20));
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_DOWNLOADED);
	world_wait(&w, 3600);
	ck_assert_int_eq(pass(), 1);
	ck_assert_int_eq(store_live_get(w.st, d.dev, &live, &w.err), 1);
	live.track_seen = w.tk.now.track;
	WORLD_OK(&w, store_live_put(w.st, &live, &w.err));
	answer_status("idle");
	expect(SEND_APPLY);
	ck_assert(!answer(0));
	world_wait(&w, w.policy.install_timeout_s - 3599);
	pass();
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_TIMED_OUT);
	ck_assert_int_eq(world_rollout_now(&w, r.id).failed, 1);
}
END_TEST

/* Told to begin, it did not hear that; but it says how it is since: it is the server that waits. */
START_TEST(who_was_heard_of_since_is_held_back)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	int64_t id = open_update(&d).id;
	struct device_live live;

	pass();
	answer_status("idle");
	answer(204);
	answer_held(1 << 20);
	expect(SEND_APPLY);
	if (_i == 0)
		blackout_of_class("Fri 08:01-12:00 UTC");
	ck_assert(!answer(0));
	world_wait(&w, 600);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_STATUS);
	ck_assert(!answer_status(_i == 0 ? "idle" : "critical"));
	ck_assert_int_eq(store_live_get(w.st, d.dev, &live, &w.err), 1);
	live.track_seen = w.tk.now.track;
	WORLD_OK(&w, store_live_put(w.st, &live, &w.err));
	world_wait(&w, w.policy.install_timeout_s - 599);
	pass();
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_PLANNED);
	ck_assert_int_eq(world_update(&w, id).attempt, 1);
	ck_assert_int_eq(world_rollout_now(&w, r.id).failed, 0);
}
END_TEST

/* What nobody started, or approved, is not pushed, told or handed out, whatever a device says. */
START_TEST(who_goes_ahead_of_the_start_is_not_helped)
{
	struct device cam = enrol("cam", MODE_SERVER, "push"),
		      lamp = enrol("lamp", MODE_CLIENT, "");
	struct rollout_spec s = { .name = "r", .target = "all", .release = rel.id, .budget = 2 };
	struct rollout r;
	struct job job;
	struct update u;

	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	world_jobs(&w);
	int64_t id = open_update(&lamp).id;
	ck_assert_int_eq(world_report(&w, "cam", 1, 1, open_update(&cam).id,
				      _i ? "accepted" : "downloaded"),
			 0);
	ck_assert_int_eq(world_report(&w, "lamp", 1, 1, id, "accepted"), 0);
	ck_assert_int_eq(open_update(&lamp).state, UPDATE_ACCEPTED);
	ck_assert_int_eq(world_ask(&w, "lamp"), 0);
	ck_assert_str_eq(w.err.text, "rollout: it was not started");
	ck_assert_int_eq(offer_grants_object(&w.tk, lamp.dev, &rel.manifest, &w.err), 0);
	ck_assert_int_eq(pass(), 0);
	world_wait(&w, w.policy.install_timeout_s + 1);
	ck_assert_int_eq(pass(), 0);
	u = open_update(&cam);
	ck_assert_int_eq(u.state, _i ? UPDATE_ACCEPTED : UPDATE_PLANNED);
	ck_assert_int_eq(u.attempt, 1);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(world_ask(&w, "lamp"), id);
	ck_assert_int_eq(offer_grants_object(&w.tk, lamp.dev, &rel.manifest, &w.err), 1);
	world_wait(&w, 4 * 3600);
	ck_assert_int_eq(pass(), 1);
}
END_TEST

START_TEST(low_urgency_is_pushed_to_the_idle_only)
{
	struct device d = enrol("cam", MODE_SERVER, "push");

	WORLD_OK(&w, release_set_urgency(&w.tk, &rel, URGENCY_LOW, &w.err));
	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	ck_assert(!answer_status("busy"));
	ck_assert_int_eq(open_update(&d).state, UPDATE_PLANNED);
}
END_TEST

START_TEST(a_device_that_has_lost_it_gets_the_manifest_again)
{
	struct device d = enrol("cam", MODE_SERVER, "push");

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	answer(204);
	answer_held(0);
	answer(204);
	expect(SEND_APPLY);
	ck_assert(!answer(409));
	world_wait(&w, 2);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_MANIFEST);
	ck_assert_int_eq(open_update(&d).state, UPDATE_DOWNLOADED);
	ck_assert(answer(204));
	expect(SEND_HELD);
}
END_TEST

/* It loses it each time: the attempt fails at last. */
START_TEST(losing_it_for_ever_is_a_failure)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct update u;
	int rounds = 0;

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	for (u = open_update(&d); u.attempt == 1 && rounds < 40; u = open_update(&d)) {
		uint16_t status = sent.send.kind == SEND_HELD ? 409 : 204;
		if (sent.send.kind == SEND_STATUS)
			status = 200;
		rounds++;
		if (answer(status))
			continue;
		world_wait(&w, 600);
		pass();
	}
	ck_assert_int_lt(rounds, 40);
	ck_assert_int_eq(u.state, UPDATE_PLANNED);
	ck_assert_int_eq(u.failure, FAILURE_DOWNLOAD);
}
END_TEST

/* What an abort takes back the device is told, three times at most, and nobody waits for it. */
START_TEST(who_holds_what_is_taken_back_is_told)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	struct device_call c;
	struct job job;

	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	int64_t update = sent.send.update;
	answer(204);
	expect(SEND_HELD);
	WORLD_OK(&w, rollout_stop(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(world_update(&w, update).state, UPDATE_CANCELLED);
	/* the call that is under way is answered first */
	ck_assert_int_eq(pass(), 0);
	ck_assert(answer_held(0));
	expect(SEND_DROP);
	ck_assert_int_eq(sent.send.update, update);
	if (_i == 0) {
		ck_assert(!answer(204));
	} else {
		for (int i = 0; i < 2; i++) {
			answer(0);
			world_wait(&w, 300);
			ck_assert_int_eq(pass(), 1);
			expect(SEND_DROP);
		}
		answer(0);
		world_wait(&w, 300);
		ck_assert_int_eq(pass(), 0);
	}
	ck_assert_int_eq(row(&d, &c), 0);
}
END_TEST

/* Only who may be pushed to is told: a client hears by asking that there is nothing for it. */
START_TEST(who_is_of_another_mode_now_is_not_told_to_drop)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	struct device_call c;
	struct job job;

	pass();
	answer_status("idle");
	answer(204);
	expect(SEND_HELD);
	WORLD_OK(&w, rollout_stop(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	ck_assert(answer_held(0));
	expect(SEND_DROP);
	d.mode = MODE_CLIENT;
	WORLD_TURN(&w, store_device_put(w.st, &d, &w.err));
	answer(0);
	world_wait(&w, 300);
	ck_assert_int_eq(pass(), 0);
	ck_assert_int_eq(row(&d, &c), 0);
}
END_TEST

/* The end of another one, of which it was sent nothing, is no reason to be told more often. */
START_TEST(what_is_taken_back_is_told_three_times)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	struct world_author by = world_author(&w, 50, "5.0");
	struct device_call c;
	struct job job;
	int told = 1;

	pass();
	answer_status("idle");
	int64_t update = sent.send.update;
	answer(204);
	WORLD_OK(&w, rollout_stop(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	answer_held(0);
	expect(SEND_DROP);
	by.has_use_before = true;
	by.use_before = (uint64_t)(w.tk.now.wall / 1000) + 700;
	struct release brief = world_release_by(&w, &by);
	world_rollout(&w, &brief, "brief", "id == cam", 1);
	struct update own = open_update(&d);
	ck_assert_int_eq(world_report(&w, "cam", 1, 2, own.id, "downloading"), 0);
	answer(0);
	for (int i = 0; i < 8; i++) {
		world_wait(&w, 300);
		if (pass() == 0)
			continue;
		expect(SEND_DROP);
		ck_assert_int_eq(sent.send.update, update);
		answer(0);
		told++;
	}
	ck_assert_int_eq(told, 3);
	ck_assert_int_eq(world_update(&w, own.id).state, UPDATE_EXPIRED);
	ck_assert_int_eq(row(&d, &c), 0);
}
END_TEST

/* What its push was tried in vain is not held against what takes it back. */
START_TEST(who_was_long_silent_is_told_what_is_taken_back)
{
	enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	struct job job;

	pass();
	answer_status("idle");
	answer(204);
	for (int i = 0; i < 4; i++) {
		expect(SEND_HELD);
		answer(0);
		world_wait(&w, 300);
		ck_assert_int_eq(pass(), 1);
	}
	answer(0);
	WORLD_OK(&w, rollout_stop(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_DROP);
}
END_TEST

/* Nobody is told of what it never had. */
START_TEST(what_was_not_pushed_is_not_taken_back)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	struct device_call c;
	struct job job;

	pass();
	expect(SEND_STATUS);
	WORLD_OK(&w, rollout_stop(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	ck_assert(!answer_status("idle"));
	ck_assert_int_eq(row(&d, &c), 0);
}
END_TEST

/* What runs out while it is pushed is taken back by the call that finds it so. */
START_TEST(what_expires_is_taken_back)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct world_author by = world_author(&w, 50, "5.0");
	struct device_call c;

	by.has_use_before = true;
	by.use_before = (uint64_t)(w.tk.now.wall / 1000) + 600;
	struct release brief = world_release_by(&w, &by);
	world_rollout(&w, &brief, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	int64_t update = sent.send.update;
	answer(204);
	expect(SEND_HELD);
	world_wait(&w, 700);
	if (_i == 0) { /* found by the answer */
		answer_held(0);
	} else { /* or by the next look */
		answer(0);
		world_wait(&w, 60);
		ck_assert_int_eq(pass(), 0);
	}
	ck_assert_int_eq(world_update(&w, update).state, UPDATE_EXPIRED);
	world_wait(&w, 1);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_DROP);
	ck_assert_int_eq(sent.send.update, update);
	ck_assert(!answer(204));
	ck_assert_int_eq(row(&d, &c), 0);
}
END_TEST

/* That a device refuses what was taken back from it says nothing of what is to be pushed next. */
START_TEST(a_late_refusal_stops_no_other_push)
{
	enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	struct job job;

	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	WORLD_OK(&w, rollout_stop(&w.tk, &r, "", &job, &w.err));
	world_jobs(&w);
	struct release next = world_release(&w, 60, "6.0");
	world_rollout(&w, &next, "next", "id == cam", 1);
	ck_assert(answer(415));
	expect(SEND_DROP);
	ck_assert(answer(204));
	expect(SEND_MANIFEST);
	ck_assert(digest_eq(&sent.object, &next.manifest));
}
END_TEST

/* What failed for good makes room for what waits behind it. */
START_TEST(what_waits_is_pushed_after_what_failed)
{
	enrol("cam", MODE_SERVER, "push");
	world_rollout(&w, &rel, "r", "id == cam", 1);

	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	int64_t update = sent.send.update;
	struct release next = world_release(&w, 60, "6.0");
	world_rollout(&w, &next, "next", "id == cam", 1);
	answer(401);
	ck_assert_int_eq(world_update(&w, update).state, UPDATE_FAILED);
	pass();
	expect(SEND_MANIFEST);
	ck_assert(digest_eq(&sent.object, &next.manifest));
}
END_TEST

START_TEST(it_pulls_when_it_says_so)
{
	struct device d = enrol("cam", MODE_SERVER, "pull");
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	ck_assert(!answer(204));
	struct update u = open_update(&d);
	ck_assert_int_eq(u.state, UPDATE_ACCEPTED);
	ck_assert_int_eq(row(&d, &c), 1);
	ck_assert_int_eq(c.due, 0);
	ck_assert_int_eq(world_report(&w, "cam", 1, 2, u.id, "downloaded"), 0);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_APPLY);
}
END_TEST

START_TEST(one_call_at_a_time_and_a_bounded_number)
{
	char id[16];

	for (int i = 0; i < CALLS_MAX + 3; i++) {
		text_format(id, sizeof(id), "c%03d", i);
		enrol(id, MODE_SERVER, "push");
	}
	world_rollout(&w, &rel, "r", "all", CALLS_MAX + 3);
	int n = pass();
	for (int i = 0; i < 20 && n < CALLS_MAX; i++)
		n += pass();
	ck_assert_int_eq(n, CALLS_MAX);
	ck_assert_int_eq(pass(), 0);
	/* nothing to come back for before an answer, or a loss */
	ck_assert_int_gt(next_due, w.tk.now.track);
	/* the answer's own device goes on: the place is its */
	ck_assert(answer_status("idle"));
	ck_assert_int_eq(pass(), 0);
	/* one that ends makes room */
	ck_assert(!answer(503));
	ck_assert_int_eq(pass(), 1);
}
END_TEST

START_TEST(what_has_begun_is_called_before_what_has_not)
{
	char id[16];

	for (int i = 0; i < CALLS_MAX + 3; i++) {
		text_format(id, sizeof(id), "c%03d", i);
		enrol(id, MODE_SERVER, "push");
	}
	world_rollout(&w, &rel, "r", "all", CALLS_MAX + 3);
	for (int i = 0; i < 20; i++)
		pass();
	/* all places are taken; one device is lost on the way, after others began to wait */
	answer_status("idle");
	answer(204);
	answer_held(0);
	expect(SEND_IMAGE);
	int64_t lost = sent.dev;
	struct call_answer none = answer_to_sent(0);
	world_wait(&w, 1);
	ck_assert(!give(&none));
	ck_assert_int_eq(pass(), 1);
	ck_assert_int_ne(sent.dev, lost);
	world_wait(&w, 60);
	/* the next place that is free is its, not theirs who wait for longer */
	answer_status("idle");
	ck_assert(!answer(503));
	ck_assert_int_eq(pass(), 1);
	ck_assert_int_eq(sent.dev, lost);
	expect(SEND_HELD);
}
END_TEST

START_TEST(negotiated_mode_is_called_to_look_and_pushed_after_its_yes)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "push");
	struct decision_answer out;
	struct decision yes = { .boot = 1, .counter = 5, .kind = DECISION_ACCEPT };
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == valve", 1);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_LOOK);
	ck_assert_int_eq(sent.send.outage_s, 0);
	ck_assert(!answer(204));
	ck_assert_int_eq(row(&d, &c), 0);
	yes.update = world_ask(&w, "valve");
	ck_assert_int_gt(yes.update, 0);
	WORLD_OK(&w, offer_decide(&w.tk, &d, &yes, &out, &w.err));
	ck_assert(!out.fetch);
	ck_assert_int_eq(out.state, UPDATE_ACCEPTED);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_MANIFEST);
}
END_TEST

/* What is critical takes the place of what is pushed, but not before the device was asked. */
START_TEST(nothing_preempts_a_push_unasked)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "push");
	struct decision yes = { .boot = 1, .counter = 5, .kind = DECISION_ACCEPT };
	struct decision_answer out;

	world_rollout(&w, &rel, "r", "id == valve", 1);
	yes.update = world_ask(&w, "valve");
	WORLD_OK(&w, offer_decide(&w.tk, &d, &yes, &out, &w.err));
	ck_assert_int_eq(pass(), 1);
	expect(SEND_MANIFEST);
	struct release fix = world_release(&w, 60, "6.0");
	WORLD_OK(&w, release_set_urgency(&w.tk, &fix, URGENCY_CRITICAL, &w.err));
	world_rollout(&w, &fix, "fix", "id == valve", 1);
	/* the answer leads on with what it was about */
	ck_assert(answer(204));
	ck_assert_int_eq(sent.send.update, yes.update);
	ck_assert_int_eq(world_update(&w, yes.update).state, UPDATE_ACCEPTED);
	/* and the device, when it asks, hears of the other */
	ck_assert_int_ne(world_ask(&w, "valve"), yes.update);
}
END_TEST

/* Nor does a device in server mode get anything by asking: what is pushed goes on. */
START_TEST(nothing_preempts_a_push_by_a_poll)
{
	struct device d = enrol("cam", MODE_SERVER, "push");

	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	expect(SEND_MANIFEST);
	struct update u = open_update(&d);
	struct release fix = world_release(&w, 60, "6.0");
	WORLD_OK(&w, release_set_urgency(&w.tk, &fix, URGENCY_CRITICAL, &w.err));
	struct rollout r = world_rollout(&w, &fix, "fix", "id == cam", 1);
	ck_assert_int_eq(world_ask(&w, "cam"), u.id);
	ck_assert_int_eq(world_rollout_now(&w, r.id).in_flight, 0);
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_OFFERED);
	/* the server itself gives way, with its next call */
	ck_assert(answer(204));
	expect(SEND_MANIFEST);
	ck_assert(digest_eq(&sent.object, &fix.manifest));
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_SUPERSEDED);
}
END_TEST

/* Told to begin and silent since it may install, or be dead of it: its place is not given away. */
START_TEST(nothing_preempts_what_may_install)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout first = world_rollout(&w, &rel, "r", "id == cam", 1);
	int64_t id = open_update(&d).id;

	pass();
	answer_status("idle");
	answer(204);
	answer_held(1 << 20);
	expect(SEND_APPLY);
	struct release fix = world_release(&w, 60, "6.0");
	WORLD_OK(&w, release_set_urgency(&w.tk, &fix, URGENCY_CRITICAL, &w.err));
	struct rollout r = world_rollout(&w, &fix, "fix", "id == cam", 1);
	ck_assert(!answer(0));
	world_wait(&w, 600);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_STATUS);
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_DOWNLOADED);
	ck_assert_int_eq(world_rollout_now(&w, first.id).in_flight, 1);
	ck_assert_int_eq(world_rollout_now(&w, r.id).in_flight, 0);
	/* when it says how it is, it does neither */
	ck_assert(answer_status("idle"));
	expect(SEND_MANIFEST);
	ck_assert(digest_eq(&sent.object, &fix.manifest));
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_SUPERSEDED);
}
END_TEST

/* Two run by the device's own word: what may make room is not all that runs. */
START_TEST(nothing_preempts_what_runs_beside_another)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct release other = world_release(&w, 50, "5.0"), fix = world_release(&w, 60, "6.0");

	world_rollout(&w, &rel, "r", "id == cam", 1);
	int64_t first = open_update(&d).id;
	world_rollout(&w, &other, "other", "id == cam", 1);
	ck_assert_int_eq(world_report(&w, "cam", 1, 2, first + _i, "rebooting"), 0);
	ck_assert_int_eq(world_report(&w, "cam", 1, 3, first + 1 - _i, "accepted"), 0);
	WORLD_OK(&w, release_set_urgency(&w.tk, &fix, URGENCY_CRITICAL, &w.err));
	struct rollout r = world_rollout(&w, &fix, "fix", "id == cam", 1);
	for (int i = 0; i < 4 && pass() > 0; i++)
		answer_status("idle");
	ck_assert_int_eq(world_rollout_now(&w, r.id).in_flight, 0);
	ck_assert_int_eq(world_update(&w, first + 1 - _i).state, UPDATE_ACCEPTED);
}
END_TEST

static void recall(struct rollout *r)
{
	struct job job;

	WORLD_OK(&w, rollout_pause(&w.tk, r, "lunch", &w.err));
	WORLD_OK(&w, rollout_recall(&w.tk, r, &job, &w.err));
	world_jobs(&w);
}

static void resume(struct rollout *r)
{
	*r = world_rollout_now(&w, r->id);
	WORLD_OK(&w, rollout_resume(&w.tk, r, &w.err));
	world_jobs(&w);
}

/* It may have dropped what it held by then: it gets the manifest, and is asked what it has. */
START_TEST(what_was_called_back_is_sent_anew)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);

	pass();
	answer_status("idle");
	answer(204);
	ck_assert(answer_held(0));
	expect(SEND_IMAGE);
	recall(&r);
	ck_assert_int_eq(open_update(&d).state, UPDATE_PLANNED);
	ck_assert(!answer(204)); /* its rollout holds */
	resume(&r);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_MANIFEST);
	ck_assert_int_eq(open_update(&d).state, UPDATE_OFFERED);
	ck_assert(answer(204));
	expect(SEND_HELD);
}
END_TEST

/* What a device said to what it was called for before is no yes to what it is offered again. */
START_TEST(an_old_answer_accepts_no_new_offer)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == valve", 1);
	struct decision yes = { .boot = 1, .counter = 5, .kind = DECISION_ACCEPT };
	struct decision_answer out;

	yes.update = world_ask(&w, "valve");
	WORLD_OK(&w, offer_decide(&w.tk, &d, &yes, &out, &w.err));
	ck_assert_int_eq(pass(), 1);
	expect(SEND_MANIFEST);
	recall(&r);
	resume(&r);
	ck_assert_int_eq(world_ask(&w, "valve"), yes.update);
	ck_assert(!answer(204));
	ck_assert_int_eq(open_update(&d).state, UPDATE_OFFERED);
	/* its second yes counts, and all begins again */
	yes.counter = 6;
	WORLD_OK(&w, offer_decide(&w.tk, &d, &yes, &out, &w.err));
	ck_assert_int_eq(pass(), 1);
	expect(SEND_MANIFEST);
}
END_TEST

/* It goes on by itself, after it was called back: how far it is, nobody knows. */
START_TEST(who_takes_off_by_itself_is_asked_again)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct rollout r = world_rollout(&w, &rel, "r", "id == cam", 1);
	int64_t id = open_update(&d).id;

	pass();
	answer_status("idle");
	answer(204);
	ck_assert(answer_held(0));
	expect(SEND_IMAGE);
	recall(&r);
	ck_assert_int_eq(world_report(&w, "cam", 1, 2, id, "downloading"), 0);
	ck_assert_int_eq(open_update(&d).state, UPDATE_DOWNLOADING);
	ck_assert(answer(204));
	expect(SEND_MANIFEST);
	ck_assert(answer(204));
	expect(SEND_HELD);
}
END_TEST

START_TEST(without_push_it_fetches)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "");
	struct decision_answer out;
	struct decision yes = { .boot = 1, .counter = 5, .kind = DECISION_ACCEPT };

	world_rollout(&w, &rel, "r", "id == valve", 1);
	yes.update = world_ask(&w, "valve");
	WORLD_OK(&w, offer_decide(&w.tk, &d, &yes, &out, &w.err));
	ck_assert(out.fetch);
	ck_assert_int_eq(pass(), 0);
}
END_TEST

/* What a sleeper was not told it has asked for by itself: no call is left. */
START_TEST(a_sleeper_s_own_question_is_enough)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "");
	struct device_call c;

	world_rollout(&w, &rel, "r", "id == valve", 1);
	ck_assert_int_eq(pass(), 1);
	ck_assert(!answer(0));
	ck_assert_int_eq(row(&d, &c), 1);
	ck_assert_int_gt(world_ask(&w, "valve"), 0);
	ck_assert_int_eq(row(&d, &c), 0);
}
END_TEST

/* ---- granted times ---- */

static struct update deferred(struct device *d, int64_t seconds)
{
	struct decision later = { .boot = 1,
				  .counter = 5,
				  .kind = DECISION_DEFER,
				  .until_s = seconds,
				  .reason = "dinner" };
	struct decision_answer out;

	later.update = world_ask(&w, d->id);
	ck_assert_int_gt(later.update, 0);
	WORLD_OK(&w, offer_decide(&w.tk, d, &later, &out, &w.err));
	ck_assert_int_eq(out.granted_s, seconds);
	return world_update(&w, later.update);
}

START_TEST(a_granted_time_triggers_on_the_second)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "");

	world_rollout(&w, &rel, "r", "id == valve", 1);
	struct update u = deferred(&d, 7200);
	ck_assert_int_eq(u.state, UPDATE_DEFERRED);
	ck_assert_str_eq(u.reason, "asked 7200 s, granted 7200 s: the device deferred: dinner");
	pass();
	for (int i = 0; i < 7199; i += 719) {
		ck_assert_int_eq(pass(), 0);
		ck_assert_int_eq(world_ask(&w, "valve"), 0);
		world_wait(&w, i + 719 < 7199 ? 719 : 7199 - i);
	}
	world_wait(&w, u.track_due / 1000 - w.tk.now.track / 1000 - 1);
	w.tk.now.track += 999;
	ck_assert_int_lt(w.tk.now.track, u.track_due);
	ck_assert_int_eq(pass(), 0);
	ck_assert_int_eq(next_due, u.track_due);
	w.tk.now.track = u.track_due;
	ck_assert_int_eq(pass(), 1);
	expect(SEND_LOOK);
	ck_assert_int_eq(w.fx.v[0].kind == EFFECT_NOTIFY || w.fx.v[1].kind == EFFECT_NOTIFY, 1);
	ck_assert_int_eq(world_ask(&w, "valve"), u.id);
	ck_assert_int_eq(world_update(&w, u.id).deferrals, 1);
}
END_TEST

static void window_of_class(const char *text)
{
	struct window set[WINDOW_RANGES_MAX];

	memset(set, 0, sizeof(set));
	ck_assert_msg(window_set_short(set, text, &w.err) == 1, "%s", w.err.text);
	set[0].level = WINDOW_CLASS;
	set[0].class_id = w.class_id;
	WORLD_OK(&w, store_window_add(w.st, &set[0], &w.err));
}

/* A yes after all, ahead of the slot: what is pushed until then may wait for it. */
START_TEST(a_push_before_its_slot_waits_for_it)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "push");
	struct decision yes = { .boot = 1, .counter = 9, .kind = DECISION_ACCEPT };
	struct err why = { .code = ERR_NONE };
	struct decision_answer out;
	struct offer o;
	int64_t again;

	w.policy.install_timeout_s = 600;
	w.policy.strategy[URGENCY_NORMAL].window_download = false;
	world_rollout(&w, &rel, "r", "id == valve", 1);
	struct update u = deferred(&d, 7200);
	window_of_class("Fri 09:00-11:00 UTC"); /* in an hour */
	yes.update = u.id;
	WORLD_OK(&w, offer_decide(&w.tk, &d, &yes, &out, &w.err));
	ck_assert_int_eq(out.state, UPDATE_ACCEPTED);
	WORLD_OK(&w, offer_get(&w.tk, &d, true, &o, &again, &why, &w.err));
	ck_assert_int_eq(o.not_before_s, 3600);
	pass();
	expect(SEND_MANIFEST);
	answer(204);
	answer_held(0);
	expect(SEND_IMAGE);
	answer(204);
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_DOWNLOADED);
	world_wait(&w, 1800);
	pass();
	ck_assert_int_eq(world_update(&w, u.id).state, UPDATE_DOWNLOADED);
	world_wait(&w, 1800);
	pass();
	if (sent.send.kind == SEND_STATUS)
		answer_status("idle");
	expect(SEND_APPLY);
}
END_TEST

START_TEST(who_is_of_another_mode_now_is_not_called_to_look)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "");

	world_rollout(&w, &rel, "r", "id == valve", 1);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_LOOK);
	d.mode = MODE_CLIENT;
	WORLD_TURN(&w, store_device_put(w.st, &d, &w.err));
	for (int i = 0; i < 8; i++) {
		world_wait(&w, 3600);
		ck_assert_int_eq(pass(), 0);
	}
	ck_assert_int_ne(world_ask(&w, "valve"), 0);
}
END_TEST

START_TEST(what_runs_and_is_for_another_kind_is_taken_back)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "");

	struct rollout r = world_rollout(&w, &rel, "r", "id == valve", 1);
	int64_t id = world_ask(&w, "valve");
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_OFFERED);
	WORLD_OK(&w, offer_kind_changed(&w.tk, &d, &w.err));
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_OFFERED);
	d.class_id.b[0] ^= 1;
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	WORLD_OK(&w, offer_kind_changed(&w.tk, &d, &w.err));
	struct update u = world_update(&w, id);
	ck_assert_int_eq(u.state, UPDATE_PLANNED);
	ck_assert(!u.reserved);
	ck_assert_int_eq(store_rollout_get(w.st, r.id, &r, &w.err), 1);
	ck_assert_int_eq(r.in_flight, 0);
	ck_assert_int_eq(world_ask(&w, "valve"), 0);
}
END_TEST

/* It may run by its device's own word, whatever the gates say. */
START_TEST(what_is_for_another_kind_is_not_offered_again)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "");

	world_rollout(&w, &rel, "r", "id == valve", 1);
	int64_t id = world_ask(&w, "valve");
	ck_assert_int_eq(world_ask(&w, "valve"), id);
	d.class_id.b[0] ^= 1;
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	ck_assert_int_eq(world_ask(&w, "valve"), 0);
	ck_assert_int_eq(world_update(&w, id).state, UPDATE_PLANNED);
}
END_TEST

START_TEST(what_the_server_cannot_keep_it_defers_by_rule)
{
	struct device d = enrol("valve", MODE_NEGOTIATED, "");
	struct rollout r = world_rollout(&w, &rel, "r", "id == valve", 1);
	struct history h[8];

	struct update u = deferred(&d, 7200);
	pass();
	WORLD_OK(&w, rollout_pause(&w.tk, &r, "lunch", &w.err));
	world_wait(&w, 7200);
	ck_assert_int_eq(pass(), 0);
	u = world_update(&w, u.id);
	ck_assert_int_eq(u.state, UPDATE_DEFERRED);
	ck_assert_ptr_nonnull(strstr(u.reason, "deferred(server): rollout: "));
	ck_assert_int_eq(u.deferrals, 1); /* the device's own count */
	int before = world_history(&w, u.id, h, 8);
	world_wait(&w, 3600);
	ck_assert_int_eq(pass(), 0);
	/* the same rule again is no news */
	ck_assert_int_eq(world_history(&w, u.id, h, 8), before);
	WORLD_OK(&w, rollout_resume(&w.tk, &r, &w.err));
	world_jobs(&w);
	world_wait(&w, 3600);
	ck_assert_int_ge(pass(), 1);
	ck_assert_int_eq(world_ask(&w, "valve"), u.id);
}
END_TEST

/* ---- outages ---- */

static void below(const char *id, const char *parent, enum mode mode)
{
	struct device d = enrol(id, mode, "");
	struct device_live live;

	if (mode == MODE_CLIENT) { /* nobody calls it */
		ck_assert_int_eq(store_live_get(w.st, d.dev, &live, &w.err), 1);
		live.endpoint_port = 0;
		WORLD_OK(&w, store_live_put(w.st, &live, &w.err));
	}
	text_copy(d.parent, sizeof(d.parent), parent);
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
}

static void hear(const char *id)
{
	struct device d = world_device(&w, id);
	struct outage_notice n;

	ck_assert_int_eq(WORLD_OK(&w, outage_heard(&w.tk, &d, &n, &w.err)), 1);
	ck_assert_str_eq(n.device, "gw");
	ck_assert_int_eq(n.seconds, 120);
}

static void outage_jobs(void)
{
	int more;

	do {
		effects_clear(&w.fx);
		more = WORLD_TURN(&w, jobs_slice(&w.tk, 1000000, &w.err));
	} while (more > 0);
}

START_TEST(everyone_below_is_told_before_it_is_offered)
{
	struct device d = enrol("gw", MODE_CLIENT, "");
	struct outage_notice n;

	(void)d;
	below("a", "gw", MODE_NEGOTIATED);
	below("b", "a", MODE_CLIENT);
	below("c", "b", MODE_CLIENT);
	/* a circle in the network ends where it was entered */
	struct device gw = world_device(&w, "gw");
	text_copy(gw.parent, sizeof(gw.parent), "c");
	WORLD_OK(&w, store_device_put(w.st, &gw, &w.err));
	rel.outage_s = 120;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	world_rollout(&w, &rel, "r", "id == gw", 1);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "outage: 120 s, those below are told first"));
	outage_jobs();
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "outage: 3 of those below are not told"));
	/* the one that can be called is called; the others hear of it when they ask */
	ck_assert_int_ge(pass(), 1);
	expect(SEND_LOOK);
	ck_assert_int_eq(sent.send.outage_s, 120);
	ck_assert_str_eq(sent.send.other, "gw");
	struct call_answer a = answer_to_sent(204);
	a.acknowledged = true;
	give(&a);
	hear("b");
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	hear("c");
	struct device c = world_device(&w, "c");
	ck_assert_int_eq(outage_notice(&w.tk, c.dev, &n, &w.err), 1);
	ck_assert(n.told);
	ck_assert_msg(world_ask(&w, "gw") > 0, "%s", w.err.text);
}
END_TEST

static void move(const char *id, const char *parent)
{
	struct device d = world_device(&w, id);

	text_copy(d.parent, sizeof(d.parent), parent);
	WORLD_OK(&w, store_device_put(w.st, &d, &w.err));
	WORLD_OK(&w, outage_moved(&w.tk, &d, &w.err));
}

static int hears(const char *id)
{
	struct device d = world_device(&w, id);
	struct outage_notice n;

	return WORLD_OK(&w, outage_heard(&w.tk, &d, &n, &w.err));
}

/* Who comes below it before it goes is told, with those below; who has left is not. */
START_TEST(who_moves_is_told_of_those_above_it_now)
{
	w.policy.strategy[rel.urgency].outage_s = 120;
	enrol("gw", MODE_CLIENT, "");
	below("a", "gw", MODE_CLIENT);
	below("b", "a", MODE_CLIENT);
	below("c", "", MODE_CLIENT);
	below("d", "c", MODE_CLIENT);
	world_rollout(&w, &rel, "r", "id == gw", 1);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	outage_jobs();
	move("a", "");
	ck_assert_int_eq(hears("a"), 0);
	ck_assert_int_eq(hears("b"), 0);
	move("c", "gw");
	ck_assert_int_eq(world_ask(&w, "gw"), 0); /* they are being looked for */
	outage_jobs();
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	hear("c");
	hear("d");
	ck_assert_int_eq(hears("d"), 1); /* again, as long as it is so */
	/* nobody else is waited for, but as long as b's contact was due */
	world_wait(&w, 3600);
	ck_assert_int_gt(world_ask(&w, "gw"), 0);
}
END_TEST

/* Many that come below it are looked for by one job, and nobody twice. */
START_TEST(who_comes_in_numbers_is_found_by_one_job)
{
	struct job jobs[64], last;
	char id[16];

	w.policy.strategy[rel.urgency].outage_s = 120;
	enrol("gw", MODE_CLIENT, "");
	below("a", "gw", MODE_CLIENT);
	world_rollout(&w, &rel, "r", "id == gw", 1);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	outage_jobs();
	int before = store_job_list(w.st, 0, 64, jobs, &w.err);
	for (int i = 0; i < 20; i++) {
		text_format(id, sizeof(id), "b%d", i);
		enrol(id, MODE_CLIENT, "");
		move(id, "gw");
	}
	ck_assert_int_eq(store_job_list(w.st, 0, 64, jobs, &w.err), before + 1);
	last = jobs[before];
	outage_jobs();
	ck_assert_int_eq(store_job_get(w.st, last.id, &last, &w.err), 1);
	ck_assert_int_eq(last.state, JOB_DONE);
	ck_assert_int_eq(last.done, 20);
	ck_assert_int_eq(hears("b0"), 1);
	ck_assert_int_eq(hears("b19"), 1);
}
END_TEST

START_TEST(sleepers_are_waited_for_no_longer_than_their_contact)
{
	enrol("gw", MODE_CLIENT, "");
	below("sleeper", "gw", MODE_CLIENT);
	rel.outage_s = 120;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	world_rollout(&w, &rel, "r", "id == gw", 1);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	outage_jobs();
	world_wait(&w, 3599);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	world_wait(&w, 1);
	ck_assert_int_gt(world_ask(&w, "gw"), 0);
}
END_TEST

START_TEST(a_report_acknowledges_and_what_is_over_is_swept)
{
	struct report r = { .boot = 1, .counter = 9, .progress = -1, .n_components = -1 };
	struct report_answer out;
	struct outage o;
	int64_t cursor = 0;

	enrol("gw", MODE_CLIENT, "");
	below("b", "gw", MODE_CLIENT);
	rel.outage_s = 120;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	world_rollout(&w, &rel, "r", "id == gw", 1);
	world_ask(&w, "gw");
	outage_jobs();
	struct device gw = world_device(&w, "gw"), b = world_device(&w, "b");
	struct update u = open_update(&gw);
	r.acknowledged = u.id;
	WORLD_OK(&w, report_apply(&w.tk, &b, &r, &out, &w.err));
	ck_assert_int_eq(store_outage_get(w.st, b.dev, u.id, &o, &w.err), 1);
	ck_assert_int_gt(o.told, 0);
	ck_assert_int_gt(o.acknowledged, 0);
	ck_assert_int_eq(WORLD_OK(&w, store_outage_sweep(w.st, &cursor, 10, &w.err)), 0);
	ck_assert_int_gt(world_ask(&w, "gw"), 0);
	ck_assert_int_eq(world_report(&w, "gw", 1, 2, u.id, "rejected"), 0);
	ck_assert_int_eq(WORLD_OK(&w, store_outage_sweep(w.st, &cursor, 10, &w.err)), 2);
	ck_assert_int_eq(store_outage_get(w.st, b.dev, u.id, &o, &w.err), 0);
}
END_TEST

/* Tried again by an operator: whoever is below by then is told, and waited for, anew. */
START_TEST(what_is_tried_again_is_told_again)
{
	struct device gw = enrol("gw", MODE_CLIENT, "");
	struct outage o;
	struct job job;

	below("b", "gw", MODE_CLIENT);
	rel.outage_s = 120;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	w.policy.strategy[rel.urgency].retries = 0;
	struct rollout r = world_rollout(&w, &rel, "r", "id == gw", 2);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	outage_jobs();
	ck_assert_int_eq(hears("b"), 1);
	int64_t u = world_ask(&w, "gw");
	ck_assert_int_gt(u, 0);
	ck_assert_int_eq(world_report(&w, "gw", 1, 2, u, "failed"), 0);
	below("c", "gw", MODE_CLIENT);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_retry(&w.tk, &r, &job, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(store_outage_get(w.st, gw.dev, u, &o, &w.err), 0);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	outage_jobs();
	ck_assert_int_eq(hears("b"), 1);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	ck_assert_int_eq(hears("c"), 1);
	ck_assert_int_eq(world_ask(&w, "gw"), u);
}
END_TEST

/* In server mode nobody asks: those below are told all the same before it is begun. */
START_TEST(everyone_below_is_told_before_it_is_pushed)
{
	struct device gw = enrol("gw", MODE_SERVER, "push");

	below("a", "gw", MODE_CLIENT);
	rel.outage_s = 120;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	world_rollout(&w, &rel, "r", "id == gw", 1);
	ck_assert_int_eq(pass(), 0);
	outage_jobs();
	ck_assert_int_eq(pass(), 0);
	hear("a");
	ck_assert_int_eq(pass(), 1);
	expect(SEND_STATUS);
	ck_assert(answer_status("idle"));
	expect(SEND_MANIFEST);
	ck_assert_int_eq(open_update(&gw).state, UPDATE_OFFERED);
}
END_TEST

/* Who came below it after it was offered is told when its time has come, and it goes on. */
START_TEST(a_granted_time_comes_with_new_ones_below)
{
	struct decision c = { .kind = DECISION_DEFER, .boot = 1, .counter = 5, .until_s = 600 };
	struct device gw = enrol("gw", MODE_CLIENT, "");
	struct decision_answer out;

	rel.outage_s = 120;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	world_rollout(&w, &rel, "r", "id == gw", 1);
	c.update = world_ask(&w, "gw");
	ck_assert_int_gt(c.update, 0);
	WORLD_OK(&w, offer_decide(&w.tk, &gw, &c, &out, &w.err));
	ck_assert_int_eq(out.state, UPDATE_DEFERRED);
	below("a", "gw", MODE_CLIENT);
	for (int i = 0; i < 8; i++) {
		world_wait(&w, 600);
		pass();
		world_ask(&w, "gw");
		outage_jobs();
		hears("a");
	}
	ck_assert_msg(world_ask(&w, "gw") == c.update, "%s", w.err.text);
}
END_TEST

/* Each attempt has its own tries: what the one before had used up does not end it at once. */
START_TEST(an_attempt_does_not_inherit_tries)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	struct device_call c;
	struct update u;

	w.policy.status_max_age_s = 86400; /* it need not be asked again in between */
	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	answer_status("idle");
	answer(204);
	answer_held(0);
	expect(SEND_IMAGE);
	for (int i = 0; i < 40 && (u = open_update(&d)).attempt == 1; i++) {
		bool more = sent.send.kind == SEND_HELD ? answer_held(0) : answer(408);

		if (more)
			continue;
		ck_assert_int_eq(row(&d, &c), 1);
		world_wait(&w, (c.due - w.tk.now.track + 999) / 1000);
		pass();
	}
	ck_assert_int_eq(open_update(&d).attempt, 2);
	world_wait(&w, 7200);
	pass();
	expect(SEND_MANIFEST);
	answer(204);
	answer_held(0);
	expect(SEND_IMAGE);
	answer(408);
	ck_assert_int_eq(open_update(&d).attempt, 2);
	ck_assert_int_eq(open_update(&d).state, UPDATE_DOWNLOADING);
}
END_TEST

/* Who has no ear for a notice was not told by it: it hears of it when it asks. */
START_TEST(who_cannot_be_told_by_a_call_is_told_when_it_asks)
{
	enrol("gw", MODE_CLIENT, "");
	below("a", "gw", MODE_NEGOTIATED);
	rel.outage_s = 120;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	world_rollout(&w, &rel, "r", "id == gw", 1);
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	outage_jobs();
	ck_assert_int_eq(pass(), 1);
	ck_assert_int_eq(sent.send.outage_s, 120);
	ck_assert(!answer(404));
	ck_assert_int_eq(world_ask(&w, "gw"), 0);
	world_wait(&w, 600);
	ck_assert_int_eq(pass(), 0);
	hear("a");
	ck_assert_int_gt(world_ask(&w, "gw"), 0);
}
END_TEST

/* Who is never called does not ask: that a rollout began is told to the last of them. */
START_TEST(all_are_called_when_a_rollout_begins)
{
	struct rollout_spec s = { .name = "r", .target = "all", .release = rel.id, .budget = 1 };
	struct rollout r;
	struct job job;

	enrol("cam", MODE_SERVER, "push");
	WORLD_OK(&w, rollout_create(&w.tk, &s, &r, &job, &w.err));
	world_jobs(&w);
	r = world_rollout_now(&w, r.id);
	WORLD_OK(&w, rollout_start(&w.tk, &r, &w.err));
	ck_assert_int_eq(store_job_next(w.st, INT64_MAX, &job, &w.err), 1);
	ck_assert_str_eq(job.kind, "rollout-notify");
	ck_assert_int_eq(WORLD_DO(&w, job_cancel(&w.tk, job.id, &w.err)), -1);
	world_jobs(&w);
	world_wait(&w, 86400);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_STATUS);
}
END_TEST

/* ---- diagnostics, explaining ---- */

START_TEST(diagnostics_are_asked_for_and_the_last_are_kept)
{
	struct device d = enrol("cam", MODE_SERVER, "push diag");
	struct diag kept[DIAGS_KEPT], g = { .at = 1, .content_format = MEDIA_TEXT };

	WORLD_OK(&w, diag_ask(&w.tk, &d, &w.err));
	ck_assert(world_device(&w, "cam").ask_diag);
	ck_assert_int_eq(pass(), 1);
	expect(SEND_DIAG);
	answer(204);
	for (int i = 0; i < DIAGS_KEPT + 2; i++) {
		char text[8];

		text_format(text, sizeof(text), "n%d", i);
		g.body = slice_str(text);
		WORLD_OK(&w, diag_keep(&w.tk, &d, &g, &w.err));
	}
	ck_assert(!world_device(&w, "cam").ask_diag);
	ck_assert_int_eq(store_diag_list(w.st, d.dev, &w.a, kept, &w.err), DIAGS_KEPT);
	ck_assert(slice_eq_str(kept[0].body, "n5"));
	ck_assert(slice_eq_str(kept[DIAGS_KEPT - 1].body, "n2"));
}
END_TEST

START_TEST(why_says_what_is_called)
{
	struct device d = enrol("cam", MODE_SERVER, "push");
	char value[REASON_TEXT];

	ck_assert_int_eq(call_why(&w.tk, &d, value, &w.err), 0);
	world_rollout(&w, &rel, "r", "id == cam", 1);
	pass();
	ck_assert_int_eq(call_why(&w.tk, &d, value, &w.err), 1);
	ck_assert_str_eq(value, "status is sent, its answer awaited");
	answer(0);
	ck_assert_int_eq(call_why(&w.tk, &d, value, &w.err), 1);
	ck_assert_str_eq(value, "next in 5 s, tried 1 times; last: status: not reached");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/calls");
	TCase *t = tcase_create("calls");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_push_from_status_to_the_device_s_report);
	tcase_add_test(t, it_goes_on_where_the_device_is);
	tcase_add_test(t, a_lost_front_or_core_only_costs_time);
	tcase_add_test(t, who_speaks_while_it_is_called_is_called_at_once);
	tcase_add_test(t, only_what_is_awaited_is_believed);
	tcase_add_test(t, what_it_took_is_known_whatever_it_said_meanwhile);
	tcase_add_test(t, who_is_shut_out_keeps_what_it_took);
	tcase_add_test(t, no_number_is_used_again);
	tcase_add_test(t, a_refused_manifest_ends_the_attempt);
	tcase_add_test(t, a_failure_is_retried_after_its_back_off);
	tcase_add_test(t, critical_service_is_not_disturbed);
	tcase_add_loop_test(t, who_waits_for_us_is_not_silent, 0, 2);
	tcase_add_loop_test(t, who_may_be_dead_of_it_is_not_held_back, 0, 2);
	tcase_add_test(t, who_may_be_dead_of_it_has_no_next_attempt);
	tcase_add_loop_test(t, who_was_heard_of_since_is_held_back, 0, 2);
	tcase_add_loop_test(t, who_goes_ahead_of_the_start_is_not_helped, 0, 2);
	tcase_add_test(t, low_urgency_is_pushed_to_the_idle_only);
	tcase_add_test(t, a_device_that_has_lost_it_gets_the_manifest_again);
	tcase_add_test(t, losing_it_for_ever_is_a_failure);
	tcase_add_loop_test(t, who_holds_what_is_taken_back_is_told, 0, 2);
	tcase_add_test(t, who_is_of_another_mode_now_is_not_told_to_drop);
	tcase_add_test(t, what_is_taken_back_is_told_three_times);
	tcase_add_test(t, who_was_long_silent_is_told_what_is_taken_back);
	tcase_add_test(t, what_was_not_pushed_is_not_taken_back);
	tcase_add_loop_test(t, what_expires_is_taken_back, 0, 2);
	tcase_add_test(t, what_waits_is_pushed_after_what_failed);
	tcase_add_test(t, a_late_refusal_stops_no_other_push);
	tcase_add_test(t, it_pulls_when_it_says_so);
	tcase_add_test(t, one_call_at_a_time_and_a_bounded_number);
	tcase_add_test(t, what_has_begun_is_called_before_what_has_not);
	tcase_add_test(t, negotiated_mode_is_called_to_look_and_pushed_after_its_yes);
	tcase_add_test(t, nothing_preempts_a_push_unasked);
	tcase_add_test(t, nothing_preempts_a_push_by_a_poll);
	tcase_add_test(t, nothing_preempts_what_may_install);
	tcase_add_loop_test(t, nothing_preempts_what_runs_beside_another, 0, 2);
	tcase_add_test(t, what_was_called_back_is_sent_anew);
	tcase_add_test(t, an_old_answer_accepts_no_new_offer);
	tcase_add_test(t, who_takes_off_by_itself_is_asked_again);
	tcase_add_test(t, without_push_it_fetches);
	tcase_add_test(t, a_sleeper_s_own_question_is_enough);
	tcase_add_test(t, a_granted_time_triggers_on_the_second);
	tcase_add_test(t, a_push_before_its_slot_waits_for_it);
	tcase_add_test(t, who_is_of_another_mode_now_is_not_called_to_look);
	tcase_add_test(t, what_runs_and_is_for_another_kind_is_taken_back);
	tcase_add_test(t, what_is_for_another_kind_is_not_offered_again);
	tcase_add_test(t, what_the_server_cannot_keep_it_defers_by_rule);
	tcase_add_test(t, everyone_below_is_told_before_it_is_offered);
	tcase_add_test(t, who_moves_is_told_of_those_above_it_now);
	tcase_add_test(t, who_comes_in_numbers_is_found_by_one_job);
	tcase_add_test(t, sleepers_are_waited_for_no_longer_than_their_contact);
	tcase_add_test(t, a_report_acknowledges_and_what_is_over_is_swept);
	tcase_add_test(t, what_is_tried_again_is_told_again);
	tcase_add_test(t, everyone_below_is_told_before_it_is_pushed);
	tcase_add_test(t, a_granted_time_comes_with_new_ones_below);
	tcase_add_test(t, an_attempt_does_not_inherit_tries);
	tcase_add_test(t, who_cannot_be_told_by_a_call_is_told_when_it_asks);
	tcase_add_test(t, all_are_called_when_a_rollout_begins);
	tcase_add_test(t, diagnostics_are_asked_for_and_the_last_are_kept);
	tcase_add_test(t, why_says_what_is_called);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
