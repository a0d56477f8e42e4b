/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/calls.h"
#include "tracker/internal.h"
#include "tracker/outage.h"

#define OTHER_KIND "it is for another kind of device"

struct ask { /* one GET of update */
	struct tracker *tk;
	const struct device *d;
	struct device_live live;
	bool may_write;
	bool by_server; /* the server begins: server mode */
	const char *gate; /* the first that is closed */
	struct update queue[QUEUE_MAX];
	int n;
	int64_t wake_ms; /* until a closed gate may open, 0 not known */
	struct err *why;
};

static int nothing(struct ask *q, const char *gate, const char *value)
{
	if (!q->gate)
		q->gate = gate;
	err_set(q->why, ERR_CONFLICT, "%s: %s", gate, value);
	return 0;
}

static struct look look_at(struct ask *q, struct update *u)
{
	return (struct look){
		.tk = q->tk, .d = q->d, .live = &q->live, .u = u, .looking = !q->may_write
	};
}

static int64_t seconds_until(int64_t then, int64_t now)
{
	return then > now ? (then - now + 999) / 1000 : 0;
}

static void fill(const struct ask *q, const struct look *g, struct offer *out)
{
	const struct now *now = &q->tk->now;

	out->update = *g->u;
	out->release = g->release;
	out->manifest = g->manifest;
	memcpy(out->images, g->images, (size_t)g->n_images * sizeof(out->images[0]));
	out->n_images = g->n_images;
	out->not_before_s = seconds_until(g->u->not_before, now->wall);
	/* in its last moment, too, it has an end */
	out->not_after_s =
		g->u->not_after == now->wall ? 1 : seconds_until(g->u->not_after, now->wall);
	out->deadline_s = seconds_until(g->u->track_deadline, now->track);
	out->outage_s = outage_expected_s(q->tk, &g->release, g->u);
}

/* ---- an update that runs: the same offer again ---- */

static bool before_installing(enum update_state s)
{
	return s >= UPDATE_OFFERED && s < UPDATE_INSTALLING;
}

static bool expired(const struct tracker *tk, const struct manifest *m)
{
	return m->use_before > 0 && tk->now.wall_trusted && tk->now.wall >= m->use_before;
}

/* The release may not be offered any more: whoever has not begun to install is called back. */
static int call_back(struct ask *q, struct update *u, const struct look *g, const struct err *why,
		     struct err *e)
{
	enum update_event ev = expired(q->tk, &g->manifest) ? EVENT_EXPIRE : EVENT_CANCEL;
	char cause[REASON_TEXT];

	cause_format(cause, sizeof(cause), "release %s: %s", g->release.name, why->text);
	if (q->may_write && update_apply(q->tk, u, ev, FAILURE_NONE, cause, e) < 0)
		return -1;
	return nothing(q, "verification", cause);
}

/* It is for another kind of device: whoever has not begun to install does not get it. */
static int put_back(struct ask *q, struct update *u, struct err *e)
{
	if (q->may_write && update_apply(q->tk, u, EVENT_RETURN, FAILURE_NONE, OTHER_KIND, e) < 0)
		return -1;
	return nothing(q, "compatibility", OTHER_KIND);
}

/*
 * It fetches by itself. Was it too slow for its slot, or told none yet: the next. Nor is a slot
 * told by a clock that is not trusted. 1, 0 none is in sight, -1
 */
static int keep_slot(struct ask *q, struct update *u, struct look *g, struct err *e)
{
	const struct now *now = &q->tk->now;
	bool told = u->not_before != 0 || u->not_after != 0;
	bool lasts = u->not_after == 0 || now->wall <= u->not_after;
	char value[REASON_TEXT];

	if (!before_installing(u->state) || call_pushes(q->d, u->state) ||
	    (told && now->wall_trusted && lasts))
		return 1;
	/* what went ahead of its offer has no deadline of its own yet */
	if (u->track_deadline == 0 && update_phase_opened(q->tk, u, &g->phase_opened, e) < 0)
		return -1;
	int open = gate_window_next(g, value, e);
	if (open <= 0)
		return open < 0 ? -1 : nothing(q, "window", value);
	if (u->not_before == g->slot.from && u->not_after == g->slot.until)
		return 1;
	u->not_before = g->slot.from;
	u->not_after = g->slot.until;
	return q->may_write && store_update_put(q->tk->st, u, e) < 0 ? -1 : 1;
}

static int repeat(struct ask *q, struct update *u, struct offer *out, struct err *e)
{
	struct err why = { .code = ERR_NONE };
	struct look g = look_at(q, u);

	if (u->state > UPDATE_INSTALLING)
		return nothing(q, "update", "the device restarts, its report is awaited");
	if (gates_load(&g, e) < 0)
		return -1;
	if (before_installing(u->state) && !release_holds(q->tk, &g.release, &why))
		return call_back(q, u, &g, &why, e);
	if (before_installing(u->state) && !gates_fit(q->d, &g.release))
		return put_back(q, u, e);
	if (rollout_unstarted(&g.rollout))
		return nothing(q, "rollout", "it was not started");
	int kept = keep_slot(q, u, &g, e);
	if (kept <= 0)
		return kept;
	fill(q, &g, out);
	return 1;
}

/* ---- updates that wait ---- */

/* It has said what it is, and that is another kind of device; what has not begun need not end. */
static bool misses(const struct device *d, const struct look *g)
{
	bool begun = g->u->rollout == 0 || g->rollout.state == ROLLOUT_RUNNING;

	return begun && d->registered && gates_differ(d, &g->release);
}

/* What no wait will help: end it, so that the rollout can finish. 1 ended, 0 not. */
static int end_hopeless(struct ask *q, struct update *u, const struct look *g, struct err *e)
{
	struct component c[COMPONENTS_MAX];
	char cause[REASON_TEXT];

	if (!q->may_write)
		return 0;
	if (expired(q->tk, &g->manifest))
		return update_apply(q->tk, u, EVENT_EXPIRE, FAILURE_NONE,
				    "the manifest has expired", e) < 0
			       ? -1
			       : 1;
	if (g->d->has_floor && g->release.sequence < g->d->floor_sequence) {
		cause_format(cause, sizeof(cause), "the device is at sequence %" PRIu64,
			     g->d->floor_sequence);
		return update_apply(q->tk, u, EVENT_SUPERSEDE, FAILURE_NONE, cause, e) < 0 ? -1 : 1;
	}
	if (misses(q->d, g))
		return update_apply(q->tk, u, EVENT_CANCEL, FAILURE_NONE, OTHER_KIND, e) < 0 ? -1
											     : 1;
	if (u->state != UPDATE_PLANNED || !installed_counts(u, q->live.boot))
		return 0;
	int n = store_components_list(q->tk->st, u->dev, c, e);
	if (n <= 0 || installed_judge(c, n, &g->release, g->images, g->n_images) != INSTALLED_NEW)
		return n < 0 ? -1 : 0;
	return update_apply(q->tk, u, EVENT_CONFIRMED, FAILURE_NONE, "installed already", e) < 0
		       ? -1
		       : 1;
}

int offer_raise_floor(struct tracker *tk, const struct device *d, const struct release *r,
		      struct err *e)
{
	if (d->has_floor && r->sequence <= d->floor_sequence)
		return 0;
	return store_device_floor(tk->st, d->dev, r->sequence, e);
}

/* The slot first, durably in the same transaction, then the offer. */
static int make_offer(struct ask *q, struct update *u, struct look *g, struct offer *out,
		      struct err *e)
{
	struct tracker *tk = q->tk;
	char value[REASON_TEXT];

	int got = slot_take(tk, q->d, u, value, e);
	if (got <= 0)
		return got < 0 ? -1 : nothing(q, "budget", value);
	u->offer_boot = q->live.boot;
	u->not_before = g->slot.from;
	u->not_after = g->slot.until;
	if (update_apply(tk, u, EVENT_OFFER, FAILURE_NONE,
			 q->by_server ? "the server pushes" : "the device asked", e) < 0)
		return -1;
	if (q->d->mode == MODE_NEGOTIATED && call_begun(tk, q->d->dev, e) < 0)
		return -1;
	if (offer_raise_floor(tk, q->d, &g->release, e) < 0)
		return -1;
	fill(q, g, out);
	return 1;
}

/* 1 offered, 0 not this one (why says which gate), -1. */
static int consider(struct ask *q, struct update *u, struct offer *out, struct err *e)
{
	struct look g = look_at(q, u);
	char value[REASON_TEXT];
	const char *name;

	if (gates_load(&g, e) < 0)
		return -1;
	int ended = end_hopeless(q, u, &g, e);
	if (ended != 0)
		return ended < 0 ? -1 : nothing(q, "update", u->reason);
	int open = gates_pass(&g, &name, value, e);
	if (open == 0 && g.wake_ms > 0 && (q->wake_ms == 0 || g.wake_ms < q->wake_ms))
		q->wake_ms = g.wake_ms;
	if (open <= 0)
		return open < 0 ? -1 : nothing(q, name, value);
	if (!q->may_write) { /* what it would be: without a slot, and still planned */
		fill(q, &g, out);
		return 1;
	}
	return make_offer(q, u, &g, out, e);
}

/* ---- several for one device ---- */

/* Of two that wait for the same components the higher sequence wins, with the higher urgency. */
static int supersede_pair(struct ask *q, struct update *a, const struct release *ra,
			  struct update *b, const struct release *rb, struct err *e)
{
	char cause[REASON_TEXT];

	if (update_state_in_flight(a->state) || update_state_terminal(a->state) ||
	    update_state_terminal(b->state))
		return 0;
	if (!gates_same_class(ra, rb) || ra->sequence >= rb->sequence ||
	    !release_offerable(q->tk, rb, NULL))
		return 0;
	cause_format(cause, sizeof(cause), "release %s is newer", rb->name);
	if (update_apply(q->tk, a, EVENT_SUPERSEDE, FAILURE_NONE, cause, e) < 0)
		return -1;
	if (a->urgency >= b->urgency)
		return 0;
	b->urgency = a->urgency;
	return store_update_put(q->tk->st, b, e);
}

static int supersede(struct ask *q, struct err *e)
{
	struct release r[QUEUE_MAX];
	bool may[QUEUE_MAX];

	for (int i = 0; i < q->n; i++)
		if (store_release_get(q->tk->st, q->queue[i].release, &r[i], e) <= 0 ||
		    rollout_begun(q->tk, q->queue[i].rollout, &may[i], e) < 0)
			return -1;
	for (int i = 0; i < q->n; i++)
		for (int k = 0; k < q->n; k++)
			if (i != k && may[k] &&
			    supersede_pair(q, &q->queue[i], &r[i], &q->queue[k], &r[k], e) < 0)
				return -1;
	return 0;
}

/* 1 next took the place of what runs, *out is its offer. */
static int preempt_by(struct ask *q, struct update *next, struct offer *out, struct err *e)
{
	struct update *running = &q->queue[0];
	struct look g = look_at(q, next), r = look_at(q, running);
	char value[REASON_TEXT];
	const char *name;

	if (gates_load(&g, e) < 0 || gates_load(&r, e) < 0)
		return -1;
	int open = gates_pass(&g, &name, value, e);
	if (open <= 0)
		return open;
	/* what runs makes room only for what has its slot */
	int made = make_offer(q, next, &g, out, e);
	if (made <= 0)
		return made;
	bool newer =
		gates_same_class(&g.release, &r.release) && g.release.sequence > r.release.sequence;
	return update_apply(q->tk, running, newer ? EVENT_SUPERSEDE : EVENT_RETURN, FAILURE_NONE,
			    "a critical update goes first", e) < 0
		       ? -1
		       : 1;
}

/*
 * A critical one may take the place of what has not begun to install: the first of those that
 * wait whose gates are open. 1 it did, *out is its offer.
 */
static int preempt(struct ask *q, struct offer *out, struct err *e)
{
	const struct update *running = &q->queue[0];
	int rc = 0;

	/* in server mode an update begins with the server's question, else with the device's */
	if (!q->may_write || q->by_server != (q->d->mode == MODE_SERVER) ||
	    running->urgency == URGENCY_CRITICAL ||
	    !q->tk->policy->strategy[URGENCY_CRITICAL].preempt ||
	    !before_installing(running->state))
		return 0;
	/* told to begin, and silent since: it may install, or be dead of it */
	int applied = q->by_server ? call_applied(q->tk, running, e) : 0;
	if (applied != 0)
		return applied < 0 ? -1 : 0;
	/* by its own word another may be further */
	for (int i = 1; i < q->n; i++)
		if (update_state_in_flight(q->queue[i].state))
			return 0;
	for (int i = 1; i < q->n && rc == 0; i++)
		if (q->queue[i].urgency == URGENCY_CRITICAL && q->queue[i].state == UPDATE_PLANNED)
			rc = preempt_by(q, &q->queue[i], out, e);
	return rc;
}

bool offer_kept_back(const struct update *u, const struct update *deferred)
{
	return deferred &&
	       (u->urgency != URGENCY_CRITICAL || deferred->urgency == URGENCY_CRITICAL);
}

static int answer(struct ask *q, struct offer *out, struct err *e)
{
	struct err first = { .code = ERR_NONE };
	const struct update *deferred = NULL;
	int result = 0;

	if (update_state_in_flight(q->queue[0].state)) {
		result = preempt(q, out, e);
		return result != 0 ? result : repeat(q, &q->queue[0], out, e);
	}
	if (q->d->mode == MODE_SERVER && !q->by_server)
		return nothing(q, "mode", "server: it is called when its time has come");
	if (q->may_write && q->n > 1 && supersede(q, e) < 0)
		return -1;
	for (int i = 0; i < q->n && result == 0; i++) {
		struct update *u = &q->queue[i];
		if (update_state_terminal(u->state) || offer_kept_back(u, deferred))
			continue;
		result = consider(q, u, out, e);
		if (u->state == UPDATE_DEFERRED)
			deferred = u;
		if (result == 0 && first.code == ERR_NONE && q->why)
			first = *q->why;
	}
	if (result == 0 && first.code != ERR_NONE)
		*q->why = first;
	return result;
}

/* The next contact of the most urgent, or sooner for a wait's end, or for a gate that may open. */
static int64_t when_to_ask(const struct ask *q)
{
	const struct update *u = q->queue;
	bool begun = u->state != UPDATE_PLANNED && !update_state_terminal(u->state);
	int64_t soonest = q->wake_ms > 0 ? (q->wake_ms + 999) / 1000 : INT64_MAX;

	for (; u < q->queue + q->n; u++) {
		int64_t left = seconds_until(u->track_due, q->tk->now.track);
		int64_t s = registry_ask_again(q->tk, q->d, u);

		if (begun && u > q->queue && offer_kept_back(u, q->queue))
			continue;
		if (u->not_before != 0 && !update_state_in_flight(u->state) && left > 0 && left < s)
			s = left;
		soonest = s < soonest ? s : soonest;
	}
	return soonest;
}

/* What waits for it, and what is known of it. 1, 0 nothing waits, -1 */
static int load(struct ask *q, struct err *e)
{
	q->n = update_queue(q->tk, q->d->dev, q->queue, e);
	if (q->n <= 0)
		return q->n < 0 ? -1 : nothing(q, "update", "none is planned");
	return registry_live(q->tk, q->d->dev, &q->live, e) < 0 ? -1 : 1;
}

int offer_get(struct tracker *tk, const struct device *d, bool looking, struct offer *out,
	      int64_t *ask_again_s, struct err *why, struct err *e)
{
	struct ask q = { .tk = tk, .d = d, .may_write = looking, .why = why };

	*ask_again_s = registry_ask_again(tk, d, NULL);
	int found = load(&q, e);
	if (found <= 0)
		return found;
	bool calls = looking && d->mode == MODE_SERVER && q.queue[0].state < UPDATE_INSTALLING;
	if (calls && call_contact(tk, d, false, e) < 0)
		return -1;
	int result = answer(&q, out, e);
	*ask_again_s = when_to_ask(&q);
	return result;
}

int offer_begin(struct tracker *tk, const struct device *d, bool write, struct offer *out,
		struct offer_wait *w, struct err *e)
{
	struct ask q = { .tk = tk, .d = d, .may_write = write, .by_server = true, .why = &w->why };
	int found = load(&q, e), result = found > 0 ? answer(&q, out, e) : found;

	w->gate = q.gate ? q.gate : "";
	w->wake_ms = q.wake_ms;
	return result;
}

/* ---- another kind of device ---- */

int offer_kind_changed(struct tracker *tk, const struct device *d, struct err *e)
{
	struct update queue[QUEUE_MAX];
	int n = update_queue(tk, d->dev, queue, e);

	for (int i = 0; i < n; i++) {
		struct update *u = &queue[i];
		struct release r;

		if (u->state >= UPDATE_INSTALLING)
			continue;
		int found = store_release_get(tk->st, u->release, &r, e);
		if (found < 0)
			return -1;
		if (found == 0 || gates_fit(d, &r))
			continue;
		/* what waits ends when the device is looked at next */
		int rc = update_state_in_flight(u->state)
				 ? update_apply(tk, u, EVENT_RETURN, FAILURE_NONE, OTHER_KIND, e)
				 : update_notify(tk, d->dev, e);
		if (rc < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}
