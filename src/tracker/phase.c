/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/internal.h"

#define PHASES_MAX 16

/*
 * Phases open one after the other: whoever joins now joins the open one, and counts there
 * even when it ends late. The last phase takes all that is left, whatever its size says.
 */
int phase_check(const struct rollout_spec *s, struct err *e)
{
	if (s->n_phases < 0 || s->n_phases > PHASES_MAX)
		return err_set(e, ERR_INVALID, "a rollout has at most %d phases", PHASES_MAX);
	for (int i = 0; i < s->n_phases; i++) {
		const struct phase *p = &s->phases[i];
		bool last = i == s->n_phases - 1;

		if (p->filter[0])
			return err_set(e, ERR_UNSUPPORTED,
				       "phase %d: phases go by percent or count", i + 1);
		if (p->percent < 0 || p->percent > 100 || p->count < 0 || p->soak_s < 0 ||
		    p->timeout_s < 0 || p->success_percent < 0 || p->success_percent > 100 ||
		    p->soak_s > POLICY_SECONDS_MAX || p->timeout_s > POLICY_SECONDS_MAX)
			return err_set(e, ERR_INVALID, "phase %d: a value is out of its range",
				       i + 1);
		if (p->percent > 0 && p->count > 0)
			return err_set(e, ERR_INVALID, "phase %d: percent or count, not both",
				       i + 1);
		if (!last && p->percent == 0 && p->count == 0)
			return err_set(e, ERR_INVALID, "phase %d: percent or count is missing",
				       i + 1);
	}
	return 0;
}

/* 1 with the phase of this number, 0: the rollout has no such. */
static int find_phase(struct tracker *tk, int64_t rollout, int64_t number, struct phase *out,
		      bool *last, struct err *e)
{
	struct phase p[PHASES_MAX];
	int n = store_phase_list(tk->st, rollout, p, PHASES_MAX, e);

	for (int i = 0; i < n; i++) {
		if (p[i].number == number) {
			*out = p[i];
			*last = i == n - 1;
			return 1;
		}
	}
	return n < 0 ? -1 : 0;
}

/* 1 with the open phase, 0: the rollout has none, all may join. */
static int open_phase(struct tracker *tk, const struct rollout *r, struct phase *out, bool *last,
		      struct err *e)
{
	return find_phase(tk, r->id, r->phase, out, last, e);
}

/* How many may join this phase. */
static int64_t size_of(const struct phase *p, const struct rollout *r)
{
	if (p->count > 0)
		return p->count;
	int64_t whole = r->total / 100 * p->percent, rest = r->total % 100 * p->percent;
	return whole + (rest + 99) / 100;
}

/* Silence counts as failure: what is not done when the time is up has not succeeded. */
static bool timed_out(const struct phase *p, const struct rollout *r, const struct now *now)
{
	return p->timeout_s > 0 && p->closed == 0 && r->track_due > 0 && now->track >= r->track_due;
}

static bool all_done(const struct phase *p, const struct rollout *r)
{
	return p->done >= p->total && (p->total >= size_of(p, r) || r->planned == 0);
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
	struct phase p;
	bool last;

	int found = store_rollout_get(tk->st, rollout, &r, e);
	if (found > 0)
		found = find_phase(tk, rollout, number, &p, &last, e);
	if (found <= 0)
		return found;
	p.total += total;
	p.done += done;
	p.failed += failed;
	p.succeeded += succeeded;
	if (!last && number == r.phase && p.closed == 0 && all_done(&p, &r))
		return phase_ended(tk, &r, &p, e);
	return store_phase_put(tk->st, &p, e);
}

static bool enough(const struct phase *p)
{
	int64_t wanted = p->success_percent > 0 ? p->success_percent : 100;

	return p->succeeded * 100 >= wanted * p->total;
}

static int pause_for(struct tracker *tk, struct rollout *r, const struct phase *p, struct err *e)
{
	char reason[REASON_TEXT];

	cause_format(reason, sizeof(reason),
		     "phase %" PRId64 ": %" PRId64 " of %" PRId64 " succeeded, %" PRId64
		     " %% are asked for",
		     p->number, p->succeeded, p->total,
		     p->success_percent > 0 ? p->success_percent : 100);
	return rollout_set_state(tk, r, ROLLOUT_PAUSED, reason, e);
}

int phase_open(struct tracker *tk, struct rollout *r, struct phase *p, struct err *e)
{
	p->opened = tk->now.wall;
	r->track_due = p->timeout_s > 0 ? tk->now.track + p->timeout_s * 1000 : 0;
	if (r->track_due > 0)
		effects_wake(tk->fx);
	return store_phase_put(tk->st, p, e);
}

static int close_phase(struct tracker *tk, struct rollout *r, struct phase *p, struct err *e)
{
	if (!enough(p))
		return pause_for(tk, r, p, e);
	p->closed = tk->now.wall;
	if (store_phase_put(tk->st, p, e) < 0)
		return -1;
	r->phase++;
	struct phase next;
	bool last;
	int found = open_phase(tk, r, &next, &last, e);
	if (found <= 0)
		return found;
	if (phase_open(tk, r, &next, e) < 0 || store_rollout_put(tk->st, r, e) < 0)
		return -1;
	struct job job;
	return job_start(tk, "rollout-notify", r->id, &job, e);
}

/* 1 the phase has ended and its soak too, 0 not yet. */
static int ripe(struct tracker *tk, struct rollout *r, struct phase *p, struct err *e)
{
	if (p->closed == 0) {
		if (!timed_out(p, r, &tk->now) && !all_done(p, r))
			return 0;
		if (phase_ended(tk, r, p, e) < 0)
			return -1;
	}
	return tk->now.track >= r->track_due ? 1 : 0;
}

/* Nothing opens behind the last phase; its timeout still judges it. */
static int last_due(struct tracker *tk, struct rollout *r, struct phase *p, struct err *e)
{
	r->track_due = 0;
	return enough(p) ? store_rollout_put(tk->st, r, e) : pause_for(tk, r, p, e);
}

int phase_due(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct phase p;
	bool last;
	int found = open_phase(tk, r, &p, &last, e);

	if (found > 0 && last)
		return last_due(tk, r, &p, e);
	int ready = found > 0 ? ripe(tk, r, &p, e) : found;
	if (ready != 0)
		return ready < 0 ? -1 : close_phase(tk, r, &p, e);
	if (r->track_due > tk->now.track)
		return 0;
	r->track_due = 0; /* nothing to wait for */
	return store_rollout_put(tk->st, r, e);
}

int phase_admits(struct tracker *tk, struct rollout *r, bool joined, bool looking,
		 char value[REASON_TEXT], struct err *e)
{
	struct phase p;
	bool last;

	for (;;) {
		int found = open_phase(tk, r, &p, &last, e);
		if (found <= 0) {
			cause_format(value, REASON_TEXT, "no phases");
			return found < 0 ? -1 : 1;
		}
		cause_format(value, REASON_TEXT,
			     "phase %" PRId64 ": %" PRId64 " of %" PRId64 " joined, %" PRId64
			     " done, %" PRId64 " succeeded",
			     p.number, p.total, last ? r->total : size_of(&p, r), p.done,
			     p.succeeded);
		if (last || joined ||
		    (p.closed == 0 && p.total < size_of(&p, r) && !timed_out(&p, r, &tk->now)))
			return 1;
		int ready = looking ? 0 : ripe(tk, r, &p, e);
		if (ready <= 0)
			return ready;
		int64_t number = r->phase;
		if (close_phase(tk, r, &p, e) < 0)
			return -1;
		if (r->phase == number)
			return 0;
	}
}
