/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"

/* What an operator may do to a rollout besides starting and holding it. */

/* What forbids it is its reason; it stays ready, for a person to start. */
static int start_by_itself(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct err why = { .code = ERR_NONE };

	if (rollout_start(tk, r, &why) == 0)
		return 0;
	if (why.code >= ERR_BUSY) {
		*e = why;
		return -1;
	}
	return rollout_set_state(tk, r, ROLLOUT_READY, why.text, e);
}

int rollout_planned(struct tracker *tk, struct rollout *r, struct err *e)
{
	char reason[REASON_TEXT];

	if (policy_wants_approver(tk->policy, r->total)) {
		cause_format(reason, sizeof(reason),
			     "%" PRId64 " devices, an approver is needed above %" PRId64, r->total,
			     tk->policy->approve_above);
		return rollout_set_state(tk, r, ROLLOUT_AWAITING_APPROVAL, reason, e);
	}
	if (rollout_set_state(tk, r, ROLLOUT_READY, "", e) < 0)
		return -1;
	return r->auto_start ? start_by_itself(tk, r, e) : 0;
}

int rollout_raise_budget(struct tracker *tk, struct rollout *r, int64_t budget, struct err *e)
{
	int64_t was = r->budget;

	if (budget < was)
		return err_set(e, ERR_INVALID, "budget: %lld is less than %lld", (long long)budget,
			       (long long)was);
	r->budget = budget;
	if (store_rollout_put(tk->st, r, e) < 0)
		return -1;
	return audit_note(tk, "rollout.budget", r->name, e, "%lld -> %lld", (long long)was,
			  (long long)budget);
}

int rollout_approve(struct tracker *tk, struct rollout *r, struct err *e)
{
	if (r->state != ROLLOUT_AWAITING_APPROVAL)
		return rollout_refused(r, "approved", e);
	cause_copy(r->approved_by, sizeof(r->approved_by), tk->who);
	if (rollout_set_state(tk, r, ROLLOUT_READY, "", e) < 0)
		return -1;
	return r->auto_start ? start_by_itself(tk, r, e) : 0;
}

int rollout_deny(struct tracker *tk, struct rollout *r, const char *reason, struct job *job,
		 struct err *e)
{
	if (r->state != ROLLOUT_AWAITING_APPROVAL)
		return rollout_refused(r, "denied", e);
	return rollout_abort(tk, r, reason[0] ? reason : "not approved", job, e);
}

int rollout_recall(struct tracker *tk, struct rollout *r, struct job *job, struct err *e)
{
	if (r->state != ROLLOUT_PAUSED)
		return rollout_refused(r, "recalled", e);
	return job_start(tk, "rollout-recall", r->id, job, e);
}

int rollout_stop(struct tracker *tk, struct rollout *r, const char *reason, struct job *job,
		 struct err *e)
{
	if (r->state == ROLLOUT_ABORTED) /* what was left to run is stopped after all */
		return job_start(tk, "rollout-stop", r->id, job, e);
	if (rollout_abort(tk, r, reason, job, e) < 0)
		return -1;
	return job_start(tk, "rollout-stop", r->id, job, e);
}

/* Without a slot every attempt would wait, and a finished rollout would run for nothing. */
static int has_slots(const struct rollout *r, struct err *e)
{
	if (r->failed == 0 || r->failed < r->budget)
		return 0;
	return err_set(e, ERR_CONFLICT,
		       "rollout %s: the budget of %" PRId64 " failures is used up, and an attempt "
		       "takes a slot besides: allow more with retry --budget N",
		       r->name, r->budget);
}

/* A finished one goes on. */
int rollout_retry(struct tracker *tk, struct rollout *r, struct job *job, struct err *e)
{
	struct release rel;

	if (r->state != ROLLOUT_RUNNING && r->state != ROLLOUT_PAUSED &&
	    r->state != ROLLOUT_FINISHED)
		return rollout_refused(r, "tried again", e);
	int found = store_release_get(tk->st, r->release, &rel, e);
	if (found <= 0)
		return found < 0 ? -1 : err_set(e, ERR_CONFLICT, "its release is gone");
	if (!release_offerable(tk, &rel, e))
		return err_prefix(e, "release %s", rel.name);
	if (r->failed == 0 && r->timed_out == 0)
		return err_set(e, ERR_CONFLICT, "rollout %s: nothing has failed", r->name);
	if (has_slots(r, e) < 0)
		return -1;
	if (r->state == ROLLOUT_FINISHED) {
		r->finished = 0;
		if (rollout_set_state(tk, r, ROLLOUT_RUNNING, "", e) < 0)
			return -1;
	}
	if (job_start(tk, "rollout-retry", r->id, job, e) < 0)
		return -1;
	return audit_note(tk, "rollout.retry", r->name, e, "%lld failed or timed out",
			  (long long)(r->failed > r->timed_out ? r->failed : r->timed_out));
}

int rollout_next(struct tracker *tk, struct rollout *r, struct err *e)
{
	int64_t was = r->phase;

	if (r->state != ROLLOUT_RUNNING && r->state != ROLLOUT_PAUSED)
		return rollout_refused(r, "moved on", e);
	if (phase_next(tk, r, e) < 0)
		return -1;
	return audit_note(tk, "rollout.next", r->name, e, "phase %lld -> %lld", (long long)was,
			  (long long)r->phase);
}

int rollout_clone_spec(struct tracker *tk, const struct rollout *r, struct rollout_spec *out,
		       struct err *e)
{
	struct phase p[PHASES_MAX];
	int n = store_phase_list(tk->st, r->id, p, PHASES_MAX, e);

	memset(out, 0, sizeof(*out));
	out->release = r->release;
	out->budget = r->budget == BUDGET_OPEN || r->budget == r->total ? -1 : r->budget;
	out->in_flight = r->in_flight_window;
	out->limits = r->limits;
	text_copy(out->target, sizeof(out->target), r->target);
	for (int i = 0; i < n; i++) {
		out->phases[i] = (struct phase){ .percent = p[i].percent,
						 .count = p[i].count,
						 .success_percent = p[i].success_percent,
						 .soak_s = p[i].soak_s,
						 .timeout_s = p[i].timeout_s };
		text_copy(out->phases[i].filter, FILTER_TEXT, p[i].filter);
	}
	out->n_phases = n < 0 ? 0 : n;
	return n < 0 ? -1 : 0;
}
