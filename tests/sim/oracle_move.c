/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* One change of state of one update: may it have been, and what follows from it. */

/*
 * What the device does or says is taking part, and so is its silence; what is ended unseen is
 * not, and never will be.
 */
static void join(struct oracle *o, struct o_update *u, enum update_state from)
{
	bool fact =
		u->state == UPDATE_SUCCEEDED || u->state == UPDATE_TIMED_OUT ||
		(o->said.dev >= 0 && (u->state == UPDATE_FAILED || u->state == UPDATE_REJECTED ||
				      u->state == UPDATE_ROLLED_BACK));
	bool takes = u->state != UPDATE_PLANNED || u->attempt > 1 || u->deferrals > 0;

	if (oracle_ended(u->state) && !u->joined && (!fact || oracle_ended(from)))
		takes = false;
	if (takes && !u->joined)
		u->phase = o->now->rollout[u->rollout].at_phase;
	o->rule[RULE_FILTER] += takes && !u->joined && u->planned_phase > 0;
	if (!takes)
		u->phase = 0;
	u->joined = takes;
}

static bool skipped(enum update_state from, enum update_state to)
{
	if (to == UPDATE_SUCCEEDED)
		return oracle_rank(from) >= 0 && from != UPDATE_CONFIRMING;
	if (to == UPDATE_ROLLED_BACK)
		return oracle_rank(from) < oracle_rank(UPDATE_INSTALLING);
	if (from == UPDATE_PLANNED || from == UPDATE_DEFERRED)
		return oracle_rank(to) > 1 || to == UPDATE_FAILED ||
		       (to == UPDATE_REJECTED && from == UPDATE_PLANNED) ||
		       (to == UPDATE_DEFERRED && from == UPDATE_PLANNED);
	return oracle_rank(to) > oracle_rank(from) + 1;
}

/* A reservation keeps the promise; a fact may break it, and then nothing goes on. */
static void take_off(struct oracle *o, struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];
	int64_t failed, flying;
	bool over;

	oracle_counts(o, u->rollout, &failed, &flying);
	o->now->device[u->dev].call.of = 0; /* it is sent all of it anew */
	if (r->window > 0)
		over = flying > r->window || failed > r->budget;
	else
		over = r->budget >= 0 && failed + flying > r->budget;
	if (!over)
		return;
	o->exceeded[u->rollout] = true;
	if (o->said.what != HAPPENS_REPORT)
		oracle_fail(o,
			    "update %" PRId64 " took a slot of rollout %d: %" PRId64
			    " failed, %" PRId64 " in flight, budget %" PRId64 ", window %" PRId64,
			    u->id, u->rollout, failed, flying, r->budget, r->window);
}

void oracle_move(struct oracle *o, struct o_update *u, const struct history *h)
{
	enum update_state from = u->state;

	oracle_trace(o, "update %" PRId64 " (device %d, rollout %d): %s -> %s: %s", u->id, u->dev,
		     u->rollout, update_state_word(h->from), update_state_word(h->to), h->cause);
	o->touched[u->rollout] = true;
	if (h->from != from)
		oracle_fail(o, "update %" PRId64 " is %s, its history goes on from %s", u->id,
			    update_state_word(from), update_state_word(h->from));
	const char *wrong = oracle_cause(o, u, from, h->to);
	if (wrong)
		oracle_fail(o, "update %" PRId64 " went from %s to %s: %s", u->id,
			    update_state_word(from), update_state_word(h->to), wrong);
	if (h->inferred != (skipped(from, h->to) && h->to != UPDATE_PLANNED) ||
	    h->late != (oracle_ended(from) && h->to != UPDATE_PLANNED))
		oracle_fail(o, "update %" PRId64 ": %s -> %s is inferred %d, late %d", u->id,
			    update_state_word(from), update_state_word(h->to), h->inferred,
			    h->late);
	u->state = h->to;
	if (h->to != from)
		u->entered = o->track;
	if (h->to != from)
		oracle_failed(o, u);
	o->seen[h->to] += h->to != from;
	o->n_late += h->late;
	/* who was told of what is over knows nothing of what begins */
	if (oracle_ended(from) && h->to == UPDATE_PLANNED) {
		u->told = 0;
		o->now->rollout[u->rollout].put_back = true;
	}
	if (h->to == UPDATE_SUCCEEDED)
		u->charged = false;
	if (h->to == UPDATE_FAILED || h->to == UPDATE_ROLLED_BACK ||
	    (h->to == UPDATE_TIMED_OUT && u->fetched))
		u->charged = true;
	join(o, u, from);
	if (oracle_flies(u->state) && !oracle_flies(from))
		take_off(o, u);
	u->flew |= oracle_flies(u->state) || u->state == UPDATE_DEFERRED;
}
