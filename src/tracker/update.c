/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "tracker/calls.h"
#include "tracker/internal.h"

int update_notify(struct tracker *tk, int64_t dev, struct err *e)
{
	struct device d;
	int found = store_device_by_dev(tk->st, dev, &d, e);

	if (found <= 0)
		return found;
	effects_notify(tk->fx, dev, d.id);
	return call_notify(tk, &d, e);
}

int update_size(struct tracker *tk, int64_t release, uint64_t *size, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct release r;

	*size = 0;
	int found = store_release_get(tk->st, release, &r, e);
	if (found <= 0)
		return found;
	int n = store_manifest_images(tk->st, &r.manifest, images, IMAGES_MAX, e);
	for (int i = 0; i < n; i++)
		if (__builtin_add_overflow(*size, images[i].size, size))
			*size = UINT64_MAX;
	return n < 0 ? -1 : 0;
}

int update_queue(struct tracker *tk, int64_t dev, struct update out[QUEUE_MAX], struct err *e)
{
	return store_update_open_list(tk->st, dev, QUEUE_MAX, out, e);
}

/* How often an attempt that failed so is worth repeating, at most. */
static const uint8_t repeats[FAILURE_COUNT] = {
	[FAILURE_NONE] = UINT8_MAX,  [FAILURE_DOWNLOAD] = UINT8_MAX,
	[FAILURE_SIGNATURE] = 0, /* the same bytes will not verify later */
	[FAILURE_DIGEST] = 1, /* once: a bit may have fallen over on the way */
	[FAILURE_INCOMPATIBLE] = 0,  [FAILURE_SPACE] = UINT8_MAX,
	[FAILURE_POWER] = UINT8_MAX, [FAILURE_INSTALL] = UINT8_MAX,
	[FAILURE_BOOT] = 1,	     [FAILURE_TIMEOUT] = UINT8_MAX,
	[FAILURE_OTHER] = UINT8_MAX,
};

static bool retries_last(const struct tracker *tk, const struct update *u, enum failure f)
{
	return u->attempt <= tk->policy->strategy[u->urgency].retries && u->attempt <= repeats[f] &&
	       u->attempt < UINT8_MAX;
}

/*
 * Silent with our manifest in its hands: it may be installing, or dead of it. Its
 * slot must become a charge at once, or one bad image takes the fleet through it
 * while each attempt waits to be counted.
 */
static int lost(struct tracker *tk, const struct update *u, bool *out, struct err *e)
{
	struct device_live live;

	*out = u->manifest_fetched;
	if (!u->manifest_fetched || u->state >= UPDATE_INSTALLING)
		return 0;
	/* what was heard before it was told to begin says nothing of what it died of */
	int applied = call_applied(tk, u, e);
	if (applied < 0 || registry_live(tk, u->dev, &live, e) < 0)
		return -1;
	*out = applied > 0 || live.track_seen <= u->track_changed;
	return 0;
}

/* 1 its rollout was aborted: nothing of it waits any more. */
static int aborted(struct tracker *tk, const struct update *u, struct err *e)
{
	struct rollout r;

	if (u->rollout == 0)
		return 0;
	int found = store_rollout_get(tk->st, u->rollout, &r, e);
	return found <= 0 ? found : r.state == ROLLOUT_ABORTED;
}

/* An attempt that ends while retries last is not the update's end; an abort is. */
static int settle_event(struct tracker *tk, const struct update *u, enum update_event *ev,
			enum failure f, struct err *e)
{
	bool gone = false, over = *ev == EVENT_FAILED || *ev == EVENT_TIMEOUT;

	if (*ev != EVENT_RETURN && *ev != EVENT_SERVER_DEFER &&
	    (!over || !update_state_in_flight(u->state) || !retries_last(tk, u, f)))
		return 0;
	if (*ev == EVENT_TIMEOUT && lost(tk, u, &gone, e) < 0)
		return -1;
	int ended = gone ? 0 : aborted(tk, u, e);
	if (ended == 0 && over && !gone)
		*ev = EVENT_RETRY;
	else if (ended > 0 && !over)
		*ev = EVENT_CANCEL;
	return ended < 0 ? -1 : 0;
}

/* The budget's failures: a device is charged once, until it succeeds. */
static bool charged_after(const struct update *u, enum update_state to)
{
	if (to == UPDATE_SUCCEEDED)
		return false;
	if (to == UPDATE_FAILED || to == UPDATE_ROLLED_BACK)
		return true;
	return u->charged || (to == UPDATE_TIMED_OUT && u->manifest_fetched);
}

static int64_t wait_ms(const struct tracker *tk, const struct update *u, enum update_event ev,
		       enum update_state from, uint64_t size)
{
	/* what an operator begins again does not wait */
	if (u->state == UPDATE_PLANNED && ev == EVENT_RETRY && !update_state_terminal(from))
		return policy_backoff_ms(&tk->policy->strategy[u->urgency], u->attempt - 1);
	if (u->state == UPDATE_PLANNED)
		return policy_timeout_ms(tk->policy, UPDATE_OFFERED, u->urgency, 0);
	int64_t wait = policy_timeout_ms(tk->policy, u->state, u->urgency, size);
	/* it was told to wait with installing: its patience begins there, at most a day on */
	int64_t ahead = u->state < UPDATE_INSTALLING ? u->not_before - tk->now.wall : 0;
	if (ahead > SLOT_AHEAD_MS)
		ahead = SLOT_AHEAD_MS;
	return ahead > 0 ? wait + ahead : wait;
}

/* When something must happen next. A deferral's end is its caller's to set. */
static int arm(struct tracker *tk, struct update *u, enum update_event ev, enum update_state from,
	       struct err *e)
{
	bool again = ev == EVENT_RETRY && !update_state_terminal(from);
	uint64_t size = 0;

	if (update_state_terminal(u->state)) {
		u->track_due = 0;
		return 0;
	}
	if (u->state != UPDATE_DEFERRED) {
		if (u->state == UPDATE_DOWNLOADING && update_size(tk, u->release, &size, e) < 0)
			return -1;
		int64_t wait = wait_ms(tk, u, ev, from, size);
		u->track_due = tk->now.track + wait;
		if (u->state == UPDATE_PLANNED) {
			u->not_before = again ? tk->now.wall + wait : 0;
			u->not_after = 0;
		}
	}
	effects_wake(tk->fx);
	return 0;
}

int update_phase_opened(struct tracker *tk, const struct update *u, int64_t *out, struct err *e)
{
	struct phase p[PHASES_MAX];
	struct rollout r;

	*out = 0;
	int found = u->rollout > 0 ? store_rollout_get(tk->st, u->rollout, &r, e) : 0;
	if (found <= 0)
		return found;
	int n = store_phase_list(tk->st, u->rollout, p, PHASES_MAX, e);
	for (int i = 0; i < n; i++)
		if (p[i].number == (u->phase > 0 ? u->phase : r.phase))
			*out = p[i].track_opened;
	return n < 0 ? -1 : 0;
}

/* The deadline runs from its phase's opening, however long the device was away. */
static int set_deadline(struct tracker *tk, struct update *u, struct err *e)
{
	int64_t span = tk->policy->strategy[u->urgency].deadline_s * 1000;
	int64_t from;

	if (u->track_deadline > 0 || span == 0)
		return 0;
	if (update_phase_opened(tk, u, &from, e) < 0)
		return -1;
	u->track_deadline = (from > 0 ? from : tk->now.track) + span;
	return 0;
}

/* Has it taken part in the rollout: was it ever past planned? */
static bool joined(enum update_state s, const struct update *u)
{
	return s != UPDATE_PLANNED || u->attempt > 1 || u->deferrals > 0;
}

static bool ended_badly(enum update_state s)
{
	return s == UPDATE_FAILED || s == UPDATE_TIMED_OUT || s == UPDATE_ROLLED_BACK;
}

struct change {
	enum update_state from;
	enum failure failure; /* before */
	struct transition t;
	enum update_event ev;
	bool was_charged, was_reserved, was_joined;
	const char *cause;
};

static void enter(struct tracker *tk, struct update *u, const struct change *c, enum failure f)
{
	u->state = c->t.to;
	u->charged = charged_after(u, c->t.to);
	u->reserved = update_state_in_flight(c->t.to);
	u->late = c->t.late;
	u->changed = tk->now.wall;
	u->track_changed = tk->now.track;
	/* a wait that was the queue's or a deferral's is no slot of what runs */
	if (!update_state_in_flight(c->from) && c->ev != EVENT_OFFER &&
	    update_state_in_flight(c->t.to))
		u->not_before = u->not_after = 0;
	/* the first attempt is known by its number: it never comes round to it */
	if (c->ev == EVENT_RETRY && u->attempt < UINT8_MAX)
		u->attempt++;
	if (c->t.to == UPDATE_DEFERRED && c->ev == EVENT_DEFERRED && u->deferrals < UINT8_MAX)
		u->deferrals++;
	if (c->t.to == UPDATE_PLANNED || c->t.to == UPDATE_SUCCEEDED)
		u->progress = c->t.to == UPDATE_SUCCEEDED ? 100 : 0;
	if (c->ev == EVENT_FAILED || c->ev == EVENT_TIMEOUT || c->ev == EVENT_RETRY ||
	    c->t.to == UPDATE_ROLLED_BACK)
		u->failure = f;
	else if (c->t.to == UPDATE_SUCCEEDED)
		u->failure = FAILURE_NONE;
	cause_copy(u->reason, sizeof(u->reason), c->cause);
}

static int store_change(struct tracker *tk, struct update *u, const struct change *c, struct err *e)
{
	struct history h = { .update = u->id,
			     .dev = u->dev,
			     .from = c->from,
			     .to = c->t.to,
			     .inferred = c->t.inferred,
			     .late = c->t.late,
			     .at = tk->now.wall };

	cause_copy(h.cause, sizeof(h.cause), c->cause);
	log_debug("update=%lld dev=%lld %s -> %s cause=\"%s\"", (long long)u->id, (long long)u->dev,
		  update_state_word(c->from), update_state_word(c->t.to), log_safe(c->cause));
	return store_update_move(tk->st, u, &h, e);
}

static int moved(bool was, bool is)
{
	return (is ? 1 : 0) - (was ? 1 : 0);
}

/*
 * What leaves the queue without having been offered takes no part; but silence is a failure,
 * and only who was offered it, and called back, can be silent there.
 */
static bool takes_part(const struct update *u, const struct change *c)
{
	if (!c->was_joined && update_state_terminal(u->state) && !update_event_is_fact(c->ev) &&
	    u->state != UPDATE_TIMED_OUT)
		return false;
	return joined(u->state, u);
}

/* Who joins does so in the phase that is open, and counts there for good: its number, or -1. */
static int64_t join_phase(struct tracker *tk, struct update *u, const struct change *c,
			  struct err *e)
{
	bool takes = takes_part(u, c);
	struct rollout r = { .phase = 0 };
	int64_t number = u->phase;

	if (takes && !c->was_joined) {
		if (store_rollout_get(tk->st, u->rollout, &r, e) < 0)
			return -1;
		number = r.phase;
	}
	int64_t keeps = takes ? number : 0;
	if (keeps != u->phase && store_update_phase(tk->st, u->id, keeps, e) < 0)
		return -1;
	u->phase = keeps;
	return number;
}

/* Its phase's filter took it, and it has not come yet: one less, or more, to wait for. */
static int expected_by(const struct update *u, const struct change *c)
{
	bool was = !c->was_joined && !update_state_terminal(c->from);
	bool is = !joined(u->state, u) && !update_state_terminal(u->state);

	return u->planned_phase > 0 ? moved(was, is) : 0;
}

/* A phase may be over with whatever moves it, so who is expected is counted before. */
static int count_phase(struct tracker *tk, struct update *u, const struct change *c,
		       const struct counts *n, struct err *e)
{
	int64_t number = join_phase(tk, u, c, e), planned = u->planned_phase;
	int total = moved(c->was_joined, joined(u->state, u)), expected = expected_by(u, c);

	if (number < 0 ||
	    (expected != 0 && store_phase_expect(tk->st, u->rollout, planned, expected, e) < 0))
		return -1;
	if (number > 0 && (total != 0 || n->ended != 0 || n->failed != 0 || n->succeeded != 0) &&
	    phase_moved(tk, u->rollout, number, total, n->ended, n->failed, n->succeeded, e) < 0)
		return -1;
	/* the last that was waited for may have been this one */
	return expected < 0 ? phase_moved(tk, u->rollout, planned, 0, 0, 0, 0, e) : 0;
}

/* How many have ended with which failure. */
static int count_failures(struct tracker *tk, const struct update *u, const struct change *c,
			  struct err *e)
{
	bool was = ended_badly(c->from), is = ended_badly(u->state);

	if (was && store_rollout_failure(tk->st, u->rollout, c->failure, -1, e) < 0)
		return -1;
	return is ? store_rollout_failure(tk->st, u->rollout, u->failure, 1, e) : 0;
}

/* One more or less in flight below its parent, whatever rollout it is of. */
static int count_link(struct tracker *tk, const struct update *u, const struct change *c,
		      struct err *e)
{
	int delta = moved(update_state_in_flight(c->from), update_state_in_flight(u->state));

	return delta != 0 ? store_link_move(tk->st, u->dev, delta, e) : 0;
}

static int count(struct tracker *tk, struct update *u, const struct change *c, struct err *e)
{
	if (count_link(tk, u, c, e) < 0)
		return -1;
	if (u->rollout == 0)
		return 0;

	struct counts n = state_counts(c->from, c->t.to, c->was_charged, u->charged);
	bool ahead = c->was_reserved && !update_state_in_flight(c->from);
	if (ahead) /* store_rollout_reserve counted it already */
		n.in_flight--;
	struct rollout_delta d = {
		.planned = n.planned,
		.in_flight = n.in_flight,
		.deferred = n.deferred,
		.failed = n.failed,
		.succeeded = n.succeeded,
		.timed_out = n.timed_out,
		.ended = n.ended,
	};
	bool any = n.planned || n.in_flight || n.deferred || n.failed || n.succeeded ||
		   n.timed_out || n.ended;
	if (!any && !ahead)
		return 0;
	if (any && store_rollout_count(tk->st, u->rollout, &d, e) < 0)
		return -1;
	if (count_phase(tk, u, c, &n, e) < 0 || count_failures(tk, u, c, e) < 0)
		return -1;
	return rollout_moved(tk, u, &n, n.in_flight > 0, c->cause, e);
}

/* The server took something back, or ended it, that the device may hold. */
static bool concerns_device(const struct change *c)
{
	return !update_event_is_fact(c->ev) && update_state_in_flight(c->from);
}

/* It goes on by itself, what was called back or put off: how far, a call has to ask it. */
static bool takes_off(const struct change *c)
{
	return c->ev != EVENT_OFFER && !update_state_in_flight(c->from) &&
	       update_state_in_flight(c->t.to);
}

/* What the device holds of it is of no use any more. */
static bool taken_back(const struct change *c)
{
	return update_state_terminal(c->t.to) && c->ev != EVENT_TIMEOUT;
}

/*
 * A device that goes on by itself (after a slot was returned) is entered anyway;
 * where the budget has room it gets a slot, and only where not is it exceeded.
 */
static int take_slot(struct tracker *tk, struct update *u, struct change *c, struct err *e)
{
	if (u->rollout == 0 || u->reserved || !update_state_in_flight(c->t.to))
		return 0;
	int got = store_rollout_reserve(tk->st, u->rollout, e);
	u->reserved = c->was_reserved = got > 0;
	return got < 0 ? -1 : 0;
}

/* Who puts it off runs no more, and nothing of an aborted rollout waits. */
static int end_put_off(struct tracker *tk, struct update *u, const struct change *c, struct err *e)
{
	int over = c->ev == EVENT_DEFERRED ? aborted(tk, u, e) : 0;

	return over > 0 ? update_apply(tk, u, EVENT_CANCEL, FAILURE_NONE, "rollout aborted", e)
			: over;
}

int update_apply(struct tracker *tk, struct update *u, enum update_event ev, enum failure f,
		 const char *cause, struct err *e)
{
	struct change c = { .from = u->state,
			    .failure = u->failure,
			    .was_charged = u->charged,
			    .was_reserved = u->reserved,
			    .was_joined = joined(u->state, u),
			    .cause = cause,
			    .ev = ev };

	if (settle_event(tk, u, &c.ev, f, e) < 0)
		return -1;
	if (!state_next(u->state, c.ev, &c.t))
		return err_set(e, ERR_CONFLICT, "update %lld is %s: %s is not possible",
			       (long long)u->id, update_state_word(u->state),
			       update_event_word(ev));
	/* a failure told after the attempt was given up says nothing new */
	if (c.t.none || (c.from == UPDATE_PLANNED && c.ev == EVENT_FAILED && u->attempt > 1))
		return 0;
	if (take_slot(tk, u, &c, e) < 0)
		return -1;
	enter(tk, u, &c, f);
	if (c.ev == EVENT_OFFER && set_deadline(tk, u, e) < 0)
		return -1;
	if (arm(tk, u, c.ev, c.from, e) < 0 || store_change(tk, u, &c, e) < 0 ||
	    count(tk, u, &c, e) < 0 || end_put_off(tk, u, &c, e) < 0)
		return -1;
	if (takes_off(&c) && call_begun(tk, u->dev, e) < 0)
		return -1;
	if (!concerns_device(&c))
		return 0;
	if (update_notify(tk, u->dev, e) < 0)
		return -1;
	return taken_back(&c) ? call_taken_back(tk, u, e) : 0;
}
