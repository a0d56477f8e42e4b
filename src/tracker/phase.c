/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/internal.h"

#define UNTRUSTED_MS 60000 /* the wall clock is looked at again */
#define PUT_BACK_MS 10000 /* until those that are tried again were put back */

/* One phase of a rollout with what its others have to do with it. */
struct view {
	struct phase p;
	bool last;
	int64_t elsewhere; /* wait for a later phase's filter: they do not join this one */
	int64_t n;
};

/* 1 with the phase of this number, 0: the rollout has no such. */
static int find_phase(struct tracker *tk, int64_t rollout, int64_t number, struct view *out,
		      struct err *e)
{
	struct phase p[PHASES_MAX];
	int n = store_phase_list(tk->st, rollout, p, PHASES_MAX, e);
	int found = 0;

	*out = (struct view){ .n = n };
	for (int i = 0; i < n; i++) {
		if (p[i].number == number) {
			out->p = p[i];
			out->last = i == n - 1;
			found = 1;
		} else if (p[i].number > number) {
			out->elsewhere += p[i].expected;
		}
	}
	return n < 0 ? -1 : found;
}

/* 1 with the open phase, 0: the rollout has none, all may join. */
static int open_phase(struct tracker *tk, const struct rollout *r, struct view *out, struct err *e)
{
	return find_phase(tk, r->id, r->phase, out, e);
}

/* How many may join this phase. */
static int64_t size_of(const struct phase *p, const struct rollout *r)
{
	if (p->filter[0])
		return p->total + p->expected;
	if (p->count > 0)
		return p->count;
	int64_t whole = r->total / 100 * p->percent, rest = r->total % 100 * p->percent;
	return whole + (rest + 99) / 100;
}

int64_t phase_wanted_percent(const struct phase *p)
{
	return p->success_percent > 0 ? p->success_percent : 100;
}

/* Silence counts as failure: what is not done when the time is up has not succeeded. */
static bool timed_out(const struct phase *p, const struct now *now)
{
	return p->timeout_s > 0 && p->closed == 0 && p->opened > 0 &&
	       now->track >= p->track_opened + p->timeout_s * 1000;
}

/* Nobody is left who could join. */
static bool drained(const struct view *v, const struct rollout *r)
{
	return r->planned - v->elsewhere <= 0;
}

static bool full(const struct view *v, const struct rollout *r)
{
	return v->p.total >= size_of(&v->p, r) || drained(v, r);
}

static bool all_done(const struct view *v, const struct rollout *r)
{
	return v->p.opened > 0 && v->p.done >= v->p.total && full(v, r);
}

/* A phase nobody came to has shown nothing, unless there was nobody to come. */
static bool enough(const struct view *v, const struct rollout *r)
{
	const struct phase *p = &v->p;

	if (p->total == 0)
		return v->last || full(v, r);
	return p->succeeded * 100 >= phase_wanted_percent(p) * p->total;
}

static int64_t three_intervals_ms(const struct tracker *tk)
{
	return 3000 * tk->policy->contact_interval_s;
}

/* The schedule looks at the open phase again after wait, or when its time is up. */
static void look_again(struct tracker *tk, struct rollout *r, const struct view *v, int64_t wait)
{
	int64_t end = v->p.track_opened + v->p.timeout_s * 1000;

	r->track_due = v->last ? 0 : tk->now.track + wait;
	if (v->p.timeout_s > 0 && (r->track_due == 0 || end < r->track_due))
		r->track_due = end;
	if (r->track_due > 0)
		effects_wake(tk->fx);
}

/* Its soak begins; the schedule looks again when that is over. */
static int phase_ended(struct tracker *tk, struct rollout *r, struct phase *p, struct err *e)
{
	p->closed = tk->now.wall;
	r->track_due = tk->now.track + p->soak_s * 1000;
	effects_wake(tk->fx);
	return store_phase_put(tk->st, p, e) < 0 ? -1 : store_rollout_put(tk->st, r, e);
}

int phase_moved(struct tracker *tk, int64_t rollout, int64_t number, int total, int done,
		int failed, int succeeded, struct err *e)
{
	struct rollout r;
	struct view v;

	int found = store_rollout_get(tk->st, rollout, &r, e);
	if (found > 0)
		found = find_phase(tk, rollout, number, &v, e);
	if (found <= 0)
		return found;
	v.p.total += total;
	v.p.done += done;
	v.p.failed += failed;
	v.p.succeeded += succeeded;
	/* one that is not open yet cannot be over, whatever its devices did by themselves */
	if (!v.last && number == r.phase && v.p.opened > 0 && v.p.closed == 0 && all_done(&v, &r))
		return phase_ended(tk, &r, &v.p, e);
	return store_phase_put(tk->st, &v.p, e);
}

static int pause_for(struct tracker *tk, struct rollout *r, const struct phase *p, struct err *e)
{
	char reason[REASON_TEXT];

	if (p->total == 0)
		cause_format(reason, sizeof(reason),
			     "phase %" PRId64 ": nobody of %" PRId64 " came", p->number,
			     size_of(p, r));
	else
		cause_format(reason, sizeof(reason),
			     "phase %" PRId64 ": %" PRId64 " of %" PRId64 " succeeded, %" PRId64
			     " %% are asked for",
			     p->number, p->succeeded, p->total, phase_wanted_percent(p));
	return rollout_set_state(tk, r, ROLLOUT_PAUSED, reason, e);
}

/* Has the time come that an operator set? A clock that is not trusted does not say so. */
static bool start_reached(const struct tracker *tk, const struct phase *p)
{
	return p->not_before == 0 || (tk->now.wall_trusted && tk->now.wall >= p->not_before);
}

static int64_t start_wait_ms(const struct tracker *tk, const struct phase *p)
{
	int64_t wait = p->not_before - tk->now.wall;

	return tk->now.wall_trusted && wait > 0 ? wait : UNTRUSTED_MS;
}

/* It is open from now on. The caller puts r. */
static int begin(struct tracker *tk, struct rollout *r, struct view *v, struct err *e)
{
	v->p.opened = tk->now.wall;
	v->p.track_opened = tk->now.track;
	v->p.closed = 0;
	look_again(tk, r, v, all_done(v, r) ? 0 : three_intervals_ms(tk));
	return store_phase_put(tk->st, &v->p, e);
}

/* r->phase is v's: it opens, or waits for its time. The caller puts r. 1 opened, 0 waits. */
static int enter(struct tracker *tk, struct rollout *r, struct view *v, struct err *e)
{
	if (!start_reached(tk, &v->p)) {
		r->track_due = tk->now.track + start_wait_ms(tk, &v->p);
		effects_wake(tk->fx);
		return 0;
	}
	return begin(tk, r, v, e) < 0 ? -1 : 1;
}

int phase_open(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct view v;
	int found = open_phase(tk, r, &v, e);

	if (found <= 0 || v.p.opened > 0)
		return found < 0 ? -1 : 0;
	return enter(tk, r, &v, e) < 0 ? -1 : 0;
}

/* It would be judged as it stands, and not well, though its own are still at it, or nobody came. */
static bool ended_too_soon(const struct tracker *tk, const struct view *v, const struct rollout *r)
{
	const struct phase *p = &v->p;

	/* the last is judged once: nothing waits for it */
	if (v->last || (p->closed == 0 && !timed_out(p, &tk->now)))
		return false;
	return (p->total == 0 || p->done < p->total) && !enough(v, r);
}

int phase_again(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct view v;
	int found = open_phase(tk, r, &v, e);

	if (found <= 0 || !ended_too_soon(tk, &v, r))
		return found < 0 ? -1 : 0;
	return begin(tk, r, &v, e) < 0 ? -1 : store_rollout_put(tk->st, r, e);
}

static int notify_all(struct tracker *tk, const struct rollout *r, struct err *e)
{
	struct job job;

	if (r->state != ROLLOUT_RUNNING)
		return 0;
	return job_start(tk, "rollout-notify", r->id, &job, e);
}

static int advance(struct tracker *tk, struct rollout *r, struct view *v, struct err *e)
{
	if (v->p.closed == 0)
		v->p.closed = tk->now.wall;
	if (store_phase_put(tk->st, &v->p, e) < 0)
		return -1;
	r->phase++;
	r->track_due = 0;

	struct view next;
	int found = open_phase(tk, r, &next, e);
	int opened = found > 0 ? enter(tk, r, &next, e) : found;
	if (opened < 0 || store_rollout_put(tk->st, r, e) < 0)
		return -1;
	return opened > 0 ? notify_all(tk, r, e) : 0;
}

/* Whom an operator has asked to be tried again may be of it: it is not judged before that. */
static int judge_badly(struct tracker *tk, struct rollout *r, const struct phase *p, struct err *e)
{
	int64_t cursor;
	int again = store_job_cursor(tk->st, "rollout-retry", r->id, &cursor, e);

	if (again <= 0)
		return again < 0 ? -1 : pause_for(tk, r, p, e);
	r->track_due = tk->now.track + PUT_BACK_MS;
	effects_wake(tk->fx);
	return store_rollout_put(tk->st, r, e);
}

static int close_phase(struct tracker *tk, struct rollout *r, struct view *v, struct err *e)
{
	return enough(v, r) ? advance(tk, r, v, e) : judge_badly(tk, r, &v->p, e);
}

int phase_next(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct view v;
	int found = open_phase(tk, r, &v, e);

	if (found < 0)
		return -1;
	if (found > 0 && v.p.opened == 0) { /* by hand: before its time */
		v.p.not_before = 0;
		if (enter(tk, r, &v, e) < 0 || store_rollout_put(tk->st, r, e) < 0)
			return -1;
		return notify_all(tk, r, e);
	}
	if (found == 0 || v.last)
		return err_set(e, ERR_CONFLICT, "rollout %s is in its last phase", r->name);
	return advance(tk, r, &v, e);
}

/* 1 the phase has ended and its soak too, 0 not yet. */
static int ripe(struct tracker *tk, struct rollout *r, struct view *v, struct err *e)
{
	if (v->p.closed == 0) {
		if (!timed_out(&v->p, &tk->now) && !all_done(v, r))
			return 0;
		if (phase_ended(tk, r, &v->p, e) < 0)
			return -1;
	}
	return tk->now.track >= r->track_due ? 1 : 0;
}

/* Nothing opens behind the last phase; its timeout still judges it. */
static int last_due(struct tracker *tk, struct rollout *r, struct view *v, struct err *e)
{
	bool judged = timed_out(&v->p, &tk->now);

	r->track_due = 0;
	return !judged || enough(v, r) ? store_rollout_put(tk->st, r, e)
				       : pause_for(tk, r, &v->p, e);
}

/*
 * Open, and not full: are there still any who come? Whoever was not seen for three contact
 * intervals does not hold it up once somebody has shown that it works; a job looks for others.
 */
static int wait_on(struct tracker *tk, struct rollout *r, const struct view *v, struct err *e)
{
	struct job job;
	bool silent = v->p.total > 0 && v->p.done >= v->p.total &&
		      tk->now.track >= v->p.track_opened + three_intervals_ms(tk);

	if (silent && job_start(tk, "rollout-silent", r->id, &job, e) < 0)
		return -1;
	look_again(tk, r, v, tk->policy->contact_interval_s * 1000);
	return store_rollout_put(tk->st, r, e);
}

int phase_due(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct view v;
	int found = open_phase(tk, r, &v, e);

	if (found <= 0) {
		r->track_due = 0;
		return found < 0 ? -1 : store_rollout_put(tk->st, r, e);
	}
	if (v.p.opened == 0) {
		int opened = enter(tk, r, &v, e);
		if (opened < 0 || store_rollout_put(tk->st, r, e) < 0)
			return -1;
		return opened > 0 ? notify_all(tk, r, e) : 0;
	}
	if (v.last)
		return last_due(tk, r, &v, e);
	int ready = ripe(tk, r, &v, e);
	if (ready != 0)
		return ready < 0 ? -1 : close_phase(tk, r, &v, e);
	return v.p.closed > 0 ? 0 : wait_on(tk, r, &v, e);
}

int phase_silent(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct view v;
	int found = open_phase(tk, r, &v, e);

	if (found <= 0 || v.last || v.p.closed > 0 || v.p.opened == 0 || v.p.total == 0 ||
	    v.p.done < v.p.total)
		return found < 0 ? -1 : 0;
	return phase_ended(tk, r, &v.p, e);
}

/* Does this phase take it, by its filter or by having none? Who missed an earlier one may join. */
static bool takes(const struct phase *p, const struct update *u)
{
	if (u->planned_phase > 0)
		return u->planned_phase <= p->number;
	return !p->filter[0];
}

void phase_takes(const struct phase *p, int64_t *from, int64_t *upto)
{
	*from = p->filter[0] ? 1 : 0;
	*upto = p->number;
}

int phase_may_join(struct tracker *tk, const struct rollout *r, int64_t *from, int64_t *upto,
		   struct err *e)
{
	struct view v;
	int found = open_phase(tk, r, &v, e);

	*from = 0;
	*upto = INT64_MAX;
	if (found > 0 && !v.last)
		phase_takes(&v.p, from, upto);
	return found < 0 ? -1 : 0;
}

static void describe(const struct tracker *tk, const struct view *v, const struct rollout *r,
		     char value[REASON_TEXT])
{
	const struct phase *p = &v->p;
	char more[64] = "";

	if (p->opened == 0 && start_reached(tk, p)) {
		cause_format(value, REASON_TEXT, "phase %" PRId64 " of %" PRId64 " is not open yet",
			     p->number, v->n);
		return;
	}
	if (p->opened == 0) {
		cause_format(value, REASON_TEXT,
			     "phase %" PRId64 " of %" PRId64 " opens in %" PRId64 " s%s", p->number,
			     v->n, start_wait_ms(tk, p) / 1000,
			     tk->now.wall_trusted ? "" : ": the clock is not trusted");
		return;
	}
	if (p->closed > 0 && !v->last)
		cause_format(more, sizeof(more), ", soaks %" PRId64 " s more",
			     r->track_due > tk->now.track ? (r->track_due - tk->now.track) / 1000
							  : 0);
	cause_format(value, REASON_TEXT,
		     "phase %" PRId64 ": %" PRId64 " of %" PRId64 " joined, %" PRId64
		     " done, %" PRId64 " succeeded%s",
		     p->number, p->total, v->last ? r->total : size_of(p, r), p->done, p->succeeded,
		     more);
}

int phase_describe(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		   struct err *e)
{
	struct view v;
	int found = open_phase(tk, r, &v, e);

	cause_format(value, REASON_TEXT, "no phases");
	if (found > 0)
		describe(tk, &v, r, value);
	return found < 0 ? -1 : found == 0 || (v.p.opened > 0 && (v.last || v.p.closed == 0));
}

/* It is open, and u may join it as things stand. */
static bool admits(const struct tracker *tk, const struct view *v, const struct rollout *r,
		   const struct update *u, bool joined)
{
	if (v->p.opened == 0)
		return joined && v->p.number > 1;
	if (v->last || joined)
		return true;
	if (v->p.closed > 0 || timed_out(&v->p, &tk->now) || !takes(&v->p, u))
		return false;
	return v->p.filter[0] != '\0' || v->p.total < size_of(&v->p, r);
}

/* It is to be opened, or closed, now that somebody asks. 1 then look again, 0, -1. */
static int move_on(struct tracker *tk, struct rollout *r, struct view *v, struct err *e)
{
	int64_t number = r->phase;

	if (v->p.opened == 0) {
		if (!start_reached(tk, &v->p))
			return 0;
		return phase_due(tk, r, e) < 0 ? -1 : 1;
	}
	int ready = ripe(tk, r, v, e);
	if (ready <= 0)
		return ready;
	if (close_phase(tk, r, v, e) < 0)
		return -1;
	return r->phase != number;
}

int phase_admits(struct tracker *tk, struct rollout *r, const struct update *u, bool joined,
		 bool looking, int64_t *wake_ms, char value[REASON_TEXT], struct err *e)
{
	struct view v;

	for (;;) {
		int found = open_phase(tk, r, &v, e);
		if (found <= 0) {
			cause_format(value, REASON_TEXT, "no phases");
			return found < 0 ? -1 : 1;
		}
		describe(tk, &v, r, value);
		if (admits(tk, &v, r, u, joined))
			return 1;
		int moved = looking ? 0 : move_on(tk, r, &v, e);
		if (moved < 0)
			return -1;
		if (moved > 0)
			continue;
		if ((v.p.closed > 0 || v.p.opened == 0) && r->track_due > tk->now.track)
			*wake_ms = r->track_due - tk->now.track;
		return 0;
	}
}
