/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "tracker/calls.h"
#include "tracker/internal.h"
#include "tracker/outage.h"

#define PAGE 32
#define DUE_PAGE 8 /* each a few reads of the disk at worst: the clock is looked at in between */
#define PHASES 4 /* rollouts in one pass */
#define RETRY_MS (INT64_C(10) * 60 * 1000) /* until one that failed is looked at again */

/*
 * The device was heard of not long ago: it lives, and what it waits for is ours. With nothing
 * pending it was told to come at its own interval, which may be longer than our patience.
 */
static int heard_of(struct tracker *tk, const struct update *u, bool *out, struct err *e)
{
	struct device d;
	struct device_live live;
	int64_t patience = policy_timeout_ms(tk->policy, UPDATE_OFFERED, u->urgency, 0);

	int found = store_device_by_dev(tk->st, u->dev, &d, e);
	if (found < 0 || registry_live(tk, u->dev, &live, e) < 0)
		return -1;
	if (found > 0 && patience < 3000 * policy_contact_s(tk->policy, &d))
		patience = 3000 * policy_contact_s(tk->policy, &d);
	*out = live.track_seen > 0 && live.track_seen + patience > tk->now.track;
	return 0;
}

static int again_in(struct tracker *tk, struct update *u, struct err *e)
{
	u->not_before = 0;
	u->track_due = tk->now.track + policy_timeout_ms(tk->policy, UPDATE_OFFERED, u->urgency, 0);
	return store_update_put(tk->st, u, e);
}

/* The wait is over: tell the device, and give it the time an offer has to come and ask. */
static int wait_over(struct tracker *tk, struct update *u, struct err *e)
{
	return again_in(tk, u, e) < 0 ? -1 : update_notify(tk, u->dev, e);
}

/* Between attempts: first the back-off ends, then the device must show itself. */
static int due_planned(struct tracker *tk, struct update *u, struct err *e)
{
	bool lives;

	if (u->not_before != 0)
		return wait_over(tk, u, e);
	if (heard_of(tk, u, &lives, e) < 0)
		return -1;
	if (lives)
		return again_in(tk, u, e);
	/* its end is a failure that the budget counts: it waits for room like an offer does */
	if (u->manifest_fetched && !u->charged && u->rollout > 0) {
		int got = store_rollout_reserve(tk->st, u->rollout, e);
		if (got <= 0)
			return got < 0 ? -1 : again_in(tk, u, e);
		u->reserved = true;
	}
	return update_apply(tk, u, EVENT_TIMEOUT, FAILURE_TIMEOUT, "silent since the last attempt",
			    e);
}

/* Its own word is kept, and now it is the server that cannot: said once for each rule. */
static int defer_ourselves(struct tracker *tk, struct update *u, const char *gate,
			   const char *value, struct err *e)
{
	int64_t wait = tk->policy->strategy[u->urgency].contact_interval_s * 1000;
	char cause[REASON_TEXT];
	size_t n = strlen("deferred(server): ") + strlen(gate);

	cause_format(cause, sizeof(cause), "deferred(server): %s: %s", gate, value);
	u->track_due = tk->now.track + wait;
	u->not_before = tk->now.wall + wait;
	if (strncmp(u->reason, cause, n) == 0)
		return store_update_put(tk->st, u, e);
	return update_apply(tk, u, EVENT_SERVER_DEFER, FAILURE_NONE, cause, e);
}

/* The time that was granted: the device is called, unless a rule forbids what it was promised. */
static int due_granted(struct tracker *tk, struct update *u, struct err *e)
{
	struct device d;
	struct device_live live;
	struct look g = { .tk = tk, .d = &d, .live = &live, .u = u, .looking = true };
	char value[REASON_TEXT];
	const char *name;

	int found = store_device_by_dev(tk->st, u->dev, &d, e);
	if (found <= 0)
		return found < 0 ? -1 : again_in(tk, u, e);
	if (registry_live(tk, u->dev, &live, e) < 0 || gates_load(&g, e) < 0)
		return -1;
	int open = gates_pass(&g, &name, value, e);
	if (open == 0 && strcmp(name, "outage") == 0) { /* it cannot ask: they are told from here */
		g.looking = false;
		open = gate_outage(&g, value, e);
	}
	if (open < 0)
		return -1;
	return open ? wait_over(tk, u, e) : defer_ourselves(tk, u, name, value, e);
}

/* A deferral's end; a device that then keeps silent goes back into the queue. */
static int due_deferred(struct tracker *tk, struct update *u, struct err *e)
{
	if (u->not_before != 0)
		return due_granted(tk, u, e);
	return update_apply(tk, u, EVENT_RETURN, FAILURE_NONE, "silent since its deferral ended",
			    e);
}

/* It has all of it, and it is the server that does not say begin: 1 with what forbids it, 0, -1. */
static int held_back(struct tracker *tk, const struct update *u, char cause[REASON_TEXT],
		     struct err *e)
{
	struct device d;
	struct device_live live;
	struct rollout r = { .id = 0 };
	char value[REASON_TEXT];
	int64_t wait_ms;

	int found = u->state == UPDATE_DOWNLOADED ? store_device_by_dev(tk->st, u->dev, &d, e) : 0;
	if (found <= 0 || !call_pushes(&d, u->state))
		return found < 0 ? -1 : 0;
	/* what may be dead of it is charged: a short window is no way around the budget */
	int applied = call_applied(tk, u, e);
	if (applied != 0)
		return applied < 0 ? -1 : 0;
	if (u->rollout > 0 && store_rollout_get(tk->st, u->rollout, &r, e) < 0)
		return -1;
	cause_format(cause, REASON_TEXT, "held back: rollout: it was not started");
	if (rollout_unstarted(&r))
		return 1;
	int open = gate_window_wait(tk, &d, u, &wait_ms, value, e);
	if (open < 0 || registry_live(tk, u->dev, &live, e) < 0)
		return -1;
	cause_format(cause, REASON_TEXT, "held back: window: %s", value);
	if (open == 0)
		return 1;
	cause_format(cause, REASON_TEXT, "held back: service: the device is %s", live.service);
	return live.track_seen > u->track_changed && !service_lets(tk, &d, &live, u);
}

/* What waits for the server goes back into the queue, with its slot, until it may begin. */
static int due_running(struct tracker *tk, struct update *u, struct err *e)
{
	char cause[REASON_TEXT];
	int held = held_back(tk, u, cause, e);

	if (held != 0)
		return held < 0 ? -1 : update_apply(tk, u, EVENT_RETURN, FAILURE_NONE, cause, e);
	cause_format(cause, sizeof(cause), "timeout: nothing heard while %s",
		     update_state_word(u->state));
	return update_apply(tk, u, EVENT_TIMEOUT, FAILURE_TIMEOUT, cause, e);
}

static int handle(struct tracker *tk, struct update *u, struct err *e)
{
	if (u->state == UPDATE_PLANNED)
		return due_planned(tk, u, e);
	if (u->state == UPDATE_DEFERRED)
		return due_deferred(tk, u, e);
	if (update_state_in_flight(u->state))
		return due_running(tk, u, e);
	/* ended: nothing is due any more */
	u->track_due = 0;
	return store_update_put(tk->st, u, e);
}

static void sooner(int64_t *track, int64_t other)
{
	if (other > 0 && (*track == 0 || other < *track))
		*track = other;
}

/* While all places are taken only an answer, or a loss, makes room for what is due. */
static int next_call(struct tracker *tk, int64_t *track, struct err *e)
{
	int64_t lost = 0, waits = 0, sent = 0;

	if (store_call_next_due(tk->st, true, &lost, e) < 0 ||
	    store_call_next_due(tk->st, false, &waits, e) < 0)
		return -1;
	if (waits > 0 && waits <= tk->now.track && store_call_sent_count(tk->st, &sent, e) < 0)
		return -1;
	sooner(track, lost);
	sooner(track, sent < CALLS_MAX ? waits : 0);
	return 0;
}

static int next_due(struct tracker *tk, int64_t *track, struct err *e)
{
	int64_t phase = 0;

	*track = 0;
	if (store_update_next_due(tk->st, track, e) < 0 ||
	    store_rollout_next_due(tk->st, &phase, e) < 0)
		return -1;
	sooner(track, phase);
	return next_call(tk, track, e);
}

/* The disk's troubles concern all of them, and are over for all of them. */
static bool of_the_disk(const struct tracker *tk, enum err_code code)
{
	return code == ERR_FULL || code == ERR_IO || store_batch_broken(tk->st);
}

/*
 * Each in a savepoint of its own: one that fails takes nothing back of the others. 1 done,
 * 0 undone and to be put off, so that it does not hold up those behind it; -1.
 */
struct alone {
	struct tracker *tk;
	unsigned effects;
	struct err why;
};

static struct alone alone_begin(struct tracker *tk)
{
	store_handler_begin(tk->st);
	return (struct alone){ .tk = tk, .effects = tk->fx ? tk->fx->n : 0 };
}

static int alone_end(struct alone *x, int rc, struct err *e)
{
	struct tracker *tk = x->tk;

	if (store_handler_end(tk->st, rc >= 0, e) != 0)
		return -1;
	if (rc >= 0)
		return 1;
	if (tk->fx)
		tk->fx->n = x->effects;
	if (!of_the_disk(tk, x->why.code))
		return 0;
	if (e)
		*e = x->why;
	return -1;
}

static int handle_alone(struct tracker *tk, struct update *u, struct err *e)
{
	struct update before = *u;
	struct alone x = alone_begin(tk);
	int rc = alone_end(&x, handle(tk, u, &x.why), e);

	if (rc != 0)
		return rc;
	log_error("update=%lld dev=%lld is due but cannot be handled: %s", (long long)u->id,
		  (long long)u->dev, log_safe(x.why.text));
	before.track_due = tk->now.track + RETRY_MS;
	return store_update_put(tk->st, &before, e);
}

/* Phases end by the clock too: silence and soaking call nobody. */
static int phase_alone(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct rollout before = *r;
	struct alone x = alone_begin(tk);
	int rc = alone_end(&x, phase_due(tk, r, &x.why), e);

	if (rc != 0)
		return rc;
	log_error("rollout=%lld has a phase that is due but cannot be handled: %s",
		  (long long)r->id, log_safe(x.why.text));
	before.track_due = tk->now.track + RETRY_MS;
	return store_rollout_put(tk->st, &before, e);
}

static int due_phases(struct tracker *tk, struct err *e)
{
	struct rollout page[PHASES];
	int n = store_rollout_due(tk->st, tk->now.track, PHASES, page, e);

	for (int i = 0; i < n; i++)
		if (phase_alone(tk, &page[i], e) < 0)
			return -1;
	return n;
}

/* ---- calls ---- */

static int call_alone(struct tracker *tk, struct device_call *c, struct err *e)
{
	struct device_call before = *c;
	struct alone x = alone_begin(tk);
	int rc = c->sent ? call_lost(tk, c, &x.why) : call_due(tk, c, &x.why);

	rc = alone_end(&x, rc, e);
	if (rc != 0)
		return rc;
	log_error("dev=%lld is due to be called but cannot be: %s", (long long)before.dev,
		  log_safe(x.why.text));
	before.sent = false;
	before.due = tk->now.track + RETRY_MS;
	return store_call_put(tk->st, &before, e);
}

/* How many, at most room. */
static int call_some(struct tracker *tk, enum calls_due which, int64_t room, int64_t until,
		     struct err *e)
{
	struct device_call page[PAGE];
	int done = 0, n;

	do {
		int want = room - done < PAGE ? (int)(room - done) : PAGE;
		n = want > 0 ? store_call_due(tk->st, which, tk->now.track, want, page, e) : 0;
		for (int i = 0; i < n; i++, done++) {
			if (clock_mono_us() >= until || effects_room(tk->fx) < PAGE)
				return done;
			if (call_alone(tk, &page[i], e) < 0)
				return -1;
		}
	} while (n == PAGE);
	return n < 0 ? -1 : done;
}

/* What has begun has a timeout: it does not queue behind all that has yet to begin. */
static int call_waiting(struct tracker *tk, int64_t room, int64_t until, struct err *e)
{
	int run = call_some(tk, CALLS_RUNNING, room, until, e);
	int rest = run < 0 ? -1 : call_some(tk, CALLS_WAITING, room - run, until, e);

	return rest < 0 ? -1 : run + rest;
}

static int due_calls(struct tracker *tk, int limit, int64_t until, struct err *e)
{
	int64_t sent, waits = 0;
	int lost = call_some(tk, CALLS_LOST, limit, until, e);

	if (lost < 0 || store_call_next_due(tk->st, false, &waits, e) < 0)
		return -1;
	if (waits == 0 || waits > tk->now.track)
		return lost;
	if (store_call_sent_count(tk->st, &sent, e) < 0)
		return -1;
	int64_t room = CALLS_MAX - sent;
	if (room > limit)
		room = limit;
	int made = room > 0 ? call_waiting(tk, room, until, e) : 0;
	return made < 0 ? -1 : lost + made;
}

/* Over when the next one, as long as the longest so far, would not fit any more. */
struct meter {
	int64_t until, last, longest;
};

static bool time_is_up(struct meter *m)
{
	int64_t now = clock_mono_us();

	if (now - m->last > m->longest)
		m->longest = now - m->last;
	m->last = now;
	return now + m->longest >= m->until;
}

/* How many of at most limit updates that are due were handled. */
static int due_updates(struct tracker *tk, int limit, struct meter *m, struct err *e)
{
	struct update page[DUE_PAGE];
	bool late = false;
	int done = 0, n;

	do {
		int room = limit - done < DUE_PAGE ? limit - done : DUE_PAGE;
		n = room > 0 ? store_update_due(tk->st, tk->now.track, room, page, e) : 0;
		for (int i = 0; i < n && !late; i++, done++) {
			if (handle_alone(tk, &page[i], e) < 0)
				return -1;
			late = time_is_up(m);
		}
	} while (n == DUE_PAGE && !late && effects_room(tk->fx) > 8 * PAGE);
	return n < 0 ? -1 : done;
}

int scheduler_pass(struct tracker *tk, int limit, int64_t budget_us, int64_t *next_track,
		   struct err *e)
{
	int64_t now = clock_mono_us();
	/* the phases and the next wake come after the updates: a tenth is kept for them */
	struct meter m = { .until = now + budget_us - budget_us / 10, .last = now };
	int done = due_updates(tk, limit, &m, e);

	if (done < 0 || due_phases(tk, e) < 0)
		return -1;
	int called = due_calls(tk, limit, now + budget_us, e);
	if (called < 0 || next_due(tk, next_track, e) < 0)
		return -1;
	return done + called;
}
