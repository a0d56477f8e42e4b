/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "tracker/filter.h"
#include "tracker/internal.h"

#define STEP_SPAN 250 /* devices looked at, whoever matches: a millisecond or two */
#define STEP_UPDATES 64

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
	return rollout_set_state(tk, r, ROLLOUT_READY, "", e);
}

/* Who matches among the next devices has an update: one statement for all of them. */
static int plan(struct tracker *tk, const struct rollout *r, const struct filter *f, struct job *j,
		bool *done, struct err *e)
{
	const struct update like = { .rollout = r->id,
				     .release = r->release,
				     .urgency = r->urgency,
				     .created = tk->now.wall,
				     .changed = tk->now.wall };
	int n = store_update_plan(tk->st, &like, f, &j->cursor, STEP_SPAN, done, e);
	struct rollout_delta d = { .total = n, .planned = n };

	if (n > 0 && store_rollout_count(tk->st, r->id, &d, e) < 0)
		return -1;
	return n;
}

enum step rollout_create_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct filter *f;
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
	if (filter_parse(r.target, tk->a, &f, e) < 0)
		return STEP_ERROR;
	int n = plan(tk, &r, f, j, &done, e);
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

static int cancel_some(struct tracker *tk, const struct rollout *r, enum update_state s,
		       struct err *e)
{
	char cause[REASON_TEXT];
	struct update u[STEP_UPDATES];

	cause_format(cause, sizeof(cause), "rollout aborted: %s", r->reason);
	/* what is cancelled has left this state, so the next look starts at the front again */
	int n = store_update_by_state(tk->st, r->id, s, 0, STEP_UPDATES, u, e);
	for (int i = 0; i < n; i++)
		if (update_apply(tk, &u[i], EVENT_CANCEL, FAILURE_NONE, cause, e) < 0)
			return -1;
	return n;
}

/* What is planned or put off ends; what runs goes on to its own end. */
enum step rollout_cancel_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct rollout r;

	int found = store_rollout_get(tk->st, j->ref, &r, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : gone(j);
	j->total = j->done + r.planned + r.deferred;
	int n = cancel_some(tk, &r, UPDATE_PLANNED, e);
	if (n == 0)
		n = cancel_some(tk, &r, UPDATE_DEFERRED, e);
	if (n < 0)
		return STEP_ERROR;
	j->done += n;
	return n > 0 ? STEP_MORE : STEP_DONE;
}
