/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "tracker/internal.h"

#define STEP_SPAN 250 /* devices looked at, whoever matches: a millisecond or two */
#define STEP_UPDATES 64
#define STEP_OUTAGES 100 /* rows of who was told */

static enum step gone(struct job *j)
{
	cause_copy(j->result, sizeof(j->result), "what it worked on is gone");
	return STEP_DONE;
}

/* All devices have their update: the budget is what was asked for, or everyone. */
static int created(struct tracker *tk, struct rollout *r, struct job *j, struct err *e)
{
	/* the counters moved since r was read */
	if (store_rollout_get(tk->st, r->id, r, e) <= 0)
		return -1;
	if (r->budget == BUDGET_OPEN)
		r->budget = r->total;
	cause_format(j->result, sizeof(j->result), "%" PRId64 " updates planned", r->total);
	return rollout_planned(tk, r, e);
}

/* What of these devices the rollout's phases, and its order, have to know. */
static int note(struct tracker *tk, const struct rollout *r, const struct plan_filters *f,
		const int64_t expected[PHASES_MAX], int64_t after, int64_t upto, struct err *e)
{
	for (int i = 0; i < f->n_phases; i++)
		if (expected[i] > 0 && store_phase_expect(tk->st, r->id, i + 1, expected[i], e) < 0)
			return -1;
	if (r->limits.order != ORDER_LEAF_FIRST)
		return 0;
	return store_rollout_link_fill(tk->st, r->id, after, upto, e);
}

/* Who matches among the next devices has an update: one statement for all of them. */
static int plan(struct tracker *tk, const struct rollout *r, const struct plan_filters *f,
		struct job *j, bool *done, struct err *e)
{
	const struct update like = { .rollout = r->id,
				     .release = r->release,
				     .urgency = r->urgency,
				     .created = tk->now.wall,
				     .changed = tk->now.wall };
	int64_t expected[PHASES_MAX], before = j->cursor;
	int n = store_update_plan(tk->st, &like, f, &j->cursor, STEP_SPAN, expected, done, e);
	struct rollout_delta d = { .total = n, .planned = n };

	if (n <= 0)
		return n;
	if (store_rollout_count(tk->st, r->id, &d, e) < 0 ||
	    note(tk, r, f, expected, before, j->cursor, e) < 0)
		return -1;
	return n;
}

enum step rollout_create_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct plan_filters f;
	struct rollout r;
	bool done;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	if (r.state != ROLLOUT_CREATING) {
		cause_format(j->result, sizeof(j->result), "the rollout is %s",
			     rollout_state_word(r.state));
		return STEP_DONE;
	}
	if (spec_filters(tk, &r, &f, e) < 0)
		return STEP_ERROR;
	int n = plan(tk, &r, &f, j, &done, e);
	if (n < 0)
		return STEP_ERROR;
	j->done += n;
	if (!done)
		return STEP_MORE;
	j->total = j->done;
	return created(tk, &r, j, e) < 0 ? STEP_ERROR : STEP_DONE;
}

enum step rollout_notify_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct update u[STEP_UPDATES];
	struct rollout r;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	if (r.state != ROLLOUT_RUNNING)
		return STEP_DONE;
	j->total = r.total;
	int n = store_update_by_state(tk->st, r.id, UPDATE_PLANNED, j->cursor, STEP_UPDATES, u, e);
	for (int i = 0; i < n; i++) {
		if (update_notify(tk, u[i].dev, e) < 0)
			return STEP_ERROR;
		j->cursor = u[i].id;
	}
	if (n < 0)
		return STEP_ERROR;
	j->done += n;
	return n == STEP_UPDATES ? STEP_MORE : STEP_DONE;
}

/*
 * What is tried again takes its device away again, perhaps much later, and others are below it
 * by then: all are told anew. 1, 0 the next step goes on with it, -1.
 */
static int try_again(struct tracker *tk, struct update *u, const char *cause, int *room,
		     struct err *e)
{
	int gone = store_outage_forget(tk->st, u->id, *room, e);

	if (gone < 0)
		return -1;
	*room -= gone;
	if (*room == 0)
		return 0;
	if (update_apply(tk, u, EVENT_RETRY, FAILURE_NONE, cause, e) < 0)
		return -1;
	/* who has begun is told anyway */
	return update_notify(tk, u->dev, e) < 0 ? -1 : 1;
}

/* Some of those in a state: the event, which takes them out of it. How many are seen, -1. */
static int apply_some(struct tracker *tk, struct job *j, const struct rollout *r,
		      enum update_state s, enum update_event ev, const char *what, struct err *e)
{
	char cause[REASON_TEXT];
	struct update u[STEP_UPDATES];
	int room = STEP_OUTAGES, rc = 1;

	cause_format(cause, sizeof(cause), "%s%s%s", what, r->reason[0] ? ": " : "", r->reason);
	int n = store_update_by_state(tk->st, r->id, s, 0, STEP_UPDATES, u, e);
	for (int i = 0; i < n && rc > 0; i++) {
		if (ev == EVENT_RETRY)
			rc = try_again(tk, &u[i], cause, &room, e);
		else if (update_apply(tk, &u[i], ev, FAILURE_NONE, cause, e) < 0)
			rc = -1;
		j->done += rc > 0;
	}
	return rc < 0 ? -1 : n;
}

/*
 * States are emptied one after the other. What an event moves has left its state, so each
 * look begins at the front again; the cursor is the place in the list.
 */
static enum step empty(struct tracker *tk, struct job *j, const struct rollout *r,
		       const enum update_state *states, int n_states, enum update_event ev,
		       const char *what, struct err *e)
{
	while (j->cursor < n_states) {
		int n = apply_some(tk, j, r, states[j->cursor], ev, what, e);

		if (n < 0)
			return STEP_ERROR;
		if (n > 0)
			return STEP_MORE;
		j->cursor++;
	}
	return STEP_DONE;
}

#define N_STATES(v) ((int)(sizeof(v) / sizeof((v)[0])))

/* What is planned or put off ends; what runs goes on to its own end. */
enum step rollout_cancel_step(struct tracker *tk, struct job *j, struct err *e)
{
	static const enum update_state states[] = { UPDATE_PLANNED, UPDATE_DEFERRED };
	struct rollout r;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	j->total = j->done + r.planned + r.deferred;
	return empty(tk, j, &r, states, N_STATES(states), EVENT_CANCEL, "rollout aborted", e);
}

static const enum update_state stoppable[] = { UPDATE_PLANNED,	   UPDATE_DEFERRED,
					       UPDATE_OFFERED,	   UPDATE_ACCEPTED,
					       UPDATE_DOWNLOADING, UPDATE_DOWNLOADED };

/* With force: whoever has not begun to install is told to stop. */
enum step rollout_stop_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct rollout r;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	return empty(tk, j, &r, stoppable, N_STATES(stoppable), EVENT_CANCEL, "rollout aborted", e);
}

/* A pause with force: whoever has not begun to install goes back into the queue. */
enum step rollout_recall_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct rollout r;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	if (r.state != ROLLOUT_PAUSED) /* it goes on already */
		return STEP_DONE;
	return empty(tk, j, &r, stoppable + 2, N_STATES(stoppable) - 2, EVENT_RETURN,
		     "rollout paused", e);
}

/* Failed ones get one more attempt. */
enum step rollout_retry_step(struct tracker *tk, struct job *j, struct err *e)
{
	static const enum update_state states[] = { UPDATE_FAILED, UPDATE_TIMED_OUT,
						    UPDATE_ROLLED_BACK };
	struct rollout r;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	if (r.state == ROLLOUT_ABORTED)
		return STEP_DONE;
	enum step s = empty(tk, j, &r, states, N_STATES(states), EVENT_RETRY,
			    "tried again by an operator", e);
	if (s == STEP_ERROR || store_rollout_get(tk->st, r.id, &r, e) <= 0)
		return STEP_ERROR;
	if (s == STEP_MORE)
		return phase_again(tk, &r, e) < 0 ? STEP_ERROR : s;
	/* in the meantime all of them came right by themselves */
	if (r.state == ROLLOUT_RUNNING && r.ended == r.total &&
	    rollout_set_state(tk, &r, ROLLOUT_FINISHED, "", e) < 0)
		return STEP_ERROR;
	return STEP_DONE;
}

/* Is there anybody left who may still join the open phase, and was seen? */
enum step rollout_silent_step(struct tracker *tk, struct job *j, struct err *e)
{
	const struct living l = { order_awaits, tk };
	struct phase p[PHASES_MAX];
	int64_t from = 0, upto = 0;
	struct rollout r;
	bool done;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	int n = r.state == ROLLOUT_RUNNING ? store_phase_list(tk->st, r.id, p, PHASES_MAX, e) : 0;
	if (n < 0)
		return STEP_ERROR;
	if (r.phase < 1 || r.phase > n)
		return STEP_DONE;
	phase_takes(&p[r.phase - 1], &from, &upto);
	int living =
		store_update_living(tk->st, r.id, from, upto, &l, &j->cursor, STEP_SPAN, &done, e);
	if (living != 0 || !done)
		return living < 0 ? STEP_ERROR : living > 0 ? STEP_DONE : STEP_MORE;
	return phase_silent(tk, &r, e) < 0 ? STEP_ERROR : STEP_DONE;
}
