/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* ---- states of rollouts ---- */

static const char *may_pause(struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	struct o_tally t = oracle_tally(o, rollout, 0);

	if (o->reached[rollout]) {
		o->rule[RULE_FAILURES]++;
		return NULL;
	}
	if (oracle_commanded(o, rollout, COMMAND_PAUSE) || o->exceeded[rollout] ||
	    (r->budget >= 0 && t.failed >= r->budget) || oracle_phase_bad(o, rollout) ||
	    (r->window == 0 && r->budget >= 0 && t.failed + t.flying > r->budget) ||
	    (r->window > 0 && t.flying > r->window)) /* by facts, before it ran */
		return NULL;
	return "nobody asked for it, and nothing is wrong";
}

static const char *may_run(const struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	bool agreed = oracle_commanded(o, rollout, COMMAND_AGREE);

	if (r->state == ROLLOUT_FINISHED)
		return oracle_commanded(o, rollout, COMMAND_RETRY) ? NULL : "it had ended";
	if (r->state == ROLLOUT_PAUSED)
		return oracle_commanded(o, rollout, COMMAND_RESUME) ? NULL : "nobody resumed it";
	if (r->state == ROLLOUT_READY)
		return oracle_commanded(o, rollout, COMMAND_START) ? NULL : "nobody started it";
	if (!r->by_itself)
		return "it was not ready";
	if (r->state == ROLLOUT_AWAITING_APPROVAL)
		return agreed ? NULL : "nobody agreed";
	return !oracle_wants_approval(o, rollout) && o->said.what == HAPPENS_JOB
		       ? NULL
		       : "it has to be agreed to";
}

static const char *may_be_ready(const struct oracle *o, int rollout)
{
	if (o->now->rollout[rollout].state == ROLLOUT_AWAITING_APPROVAL)
		return oracle_commanded(o, rollout, COMMAND_AGREE) ? NULL : "nobody agreed";
	if (o->said.what != HAPPENS_JOB)
		return "no job has planned it";
	return oracle_wants_approval(o, rollout) ? "it has to be agreed to" : NULL;
}

static const char *may_be_aborted(const struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	const struct o_release *rel = &o->now->release[r->release];

	if (oracle_commanded(o, rollout, COMMAND_DENY))
		return r->state == ROLLOUT_AWAITING_APPROVAL ? NULL : "it did not wait for that";
	return oracle_commanded(o, rollout, COMMAND_ABORT) || rel->withdrawn ||
			       o->now->anchor[rel->anchor].revoked
		       ? NULL
		       : "nobody asked for it";
}

static const char *may_become(struct oracle *o, int rollout, enum rollout_state to)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	struct o_tally t = oracle_tally(o, rollout, 0);

	if (r->state == ROLLOUT_ABORTED || (r->state == ROLLOUT_FINISHED && to != ROLLOUT_RUNNING))
		return "it had ended";
	switch (to) {
	case ROLLOUT_AWAITING_APPROVAL:
		return oracle_wants_approval(o, rollout) && r->state == ROLLOUT_CREATING
			       ? NULL
			       : "nobody has to agree to it";
	case ROLLOUT_READY:
		return may_be_ready(o, rollout);
	case ROLLOUT_RUNNING:
		return may_run(o, rollout);
	case ROLLOUT_PAUSED:
		return may_pause(o, rollout);
	case ROLLOUT_FINISHED:
		return t.ended == t.total ? NULL : "some of its updates have not ended";
	case ROLLOUT_ABORTED:
		return may_be_aborted(o, rollout);
	case ROLLOUT_DRAFT:
	case ROLLOUT_CREATING:
	case ROLLOUT_STATE_COUNT:
		break;
	}
	return "it cannot";
}

static void follow_state(struct oracle *o, int rollout, const struct rollout *row)
{
	struct o_rollout *r = &o->now->rollout[rollout];

	if (row->state == r->state)
		return;
	oracle_trace(o, "rollout %d: %s -> %s %s", rollout, rollout_state_word(r->state),
		     rollout_state_word(row->state), row->reason);
	const char *why = may_become(o, rollout, row->state);
	if (why)
		oracle_fail(o, "rollout %d became %s: %s (%s)", rollout,
			    rollout_state_word(row->state), why, row->reason);
	if (r->budget < 0 && r->state == ROLLOUT_CREATING)
		r->budget = oracle_tally(o, rollout, 0).total;
	/* where nobody is left it has finished by the time that one looks */
	if (r->started == 0 && (row->state == ROLLOUT_RUNNING || row->state == ROLLOUT_FINISHED))
		r->started = r->phase[0].opened = o->track;
	r->state = row->state;
}

static void check_counters(struct oracle *o, int rollout, const struct rollout *row)
{
	struct o_tally t = oracle_tally(o, rollout, 0);

	if (row->total != t.total || row->planned != t.planned || row->in_flight != t.flying ||
	    row->deferred != t.deferred || row->failed != t.failed ||
	    row->succeeded != t.succeeded || row->timed_out != t.timed_out || row->ended != t.ended)
		oracle_fail(o,
			    "rollout %d: counted %" PRId64 " planned, %" PRId64
			    " in flight, %" PRId64 " deferred, %" PRId64 " failed, %" PRId64
			    " ended of %" PRId64 "; stored: %" PRId64 ", %" PRId64 ", %" PRId64
			    ", %" PRId64 ", %" PRId64 " of %" PRId64,
			    rollout, t.planned, t.flying, t.deferred, t.failed, t.ended, t.total,
			    row->planned, row->in_flight, row->deferred, row->failed, row->ended,
			    row->total);
}

/* With the budget used up, or more than that, nothing goes on. */
static void check_goes_on(struct oracle *o, int rollout)
{
	struct o_rollout *r = &o->now->rollout[rollout];
	struct o_tally t = oracle_tally(o, rollout, 0);

	if (r->state != ROLLOUT_RUNNING || r->budget < 0)
		return;
	if (o->exceeded[rollout])
		oracle_fail(o, "rollout %d has more out than its budget, and runs on", rollout);
	if (t.failed > 0 && t.failed >= r->budget)
		oracle_fail(o, "rollout %d has used up its budget, and runs on", rollout);
	/* what is tried again begins with a job */
	r->restarted &= t.ended == t.total;
	if (t.ended == t.total && !r->restarted)
		oracle_fail(o, "rollout %d is over, and runs on", rollout);
}

void oracle_rollouts(struct oracle *o)
{
	struct rollout row;

	for (int i = 0; i < o->now->n_rollouts && !o->failed; i++) {
		if (!o->touched[i])
			continue;
		if (store_rollout_get(o->st, o->now->rollout[i].id, &row, NULL) != 1) {
			oracle_fail(o, "rollout %d is gone", i);
			return;
		}
		oracle_follow_phases(o, i, &row);
		oracle_phase_again(o, i, &row);
		follow_state(o, i, &row);
		check_counters(o, i, &row);
		oracle_check_phases(o, i);
		oracle_check_failures(o, i);
		check_goes_on(o, i);
	}
}
