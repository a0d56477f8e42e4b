/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "oracle.h"

/* How updates fail, and rollouts that are to stop when as many did in one way. */

static bool ended_badly(enum update_state s)
{
	return s == UPDATE_FAILED || s == UPDATE_TIMED_OUT || s == UPDATE_ROLLED_BACK;
}

static int64_t count(const struct oracle *o, int rollout, enum failure f)
{
	int64_t n = 0;

	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];
		n += u->rollout == rollout && ended_badly(u->state) && u->failure == f;
	}
	return n;
}

/* As it was said, or as it went; what an answer to a call means is for its row to say. */
static enum failure failure_of(const struct oracle *o, const struct o_update *u)
{
	enum failure f = FAILURE_OTHER;
	struct update row;

	if (u->state == UPDATE_TIMED_OUT)
		return FAILURE_TIMEOUT;
	if (u->state == UPDATE_ROLLED_BACK)
		return FAILURE_BOOT;
	if (o->said.what == HAPPENS_ANSWER)
		return store_update_get(o->st, u->id, &row, NULL) == 1 ? row.failure : f;
	return o->said.failure[0] && failure_parse(o->said.failure, &f) != 0 ? FAILURE_OTHER : f;
}

/* It has just ended so. */
void oracle_failed(struct oracle *o, struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];

	if (!ended_badly(u->state))
		return;
	u->failure = failure_of(o, u);
	int at = r->pause_at[u->failure];
	if (r->state == ROLLOUT_RUNNING && at > 0 && count(o, u->rollout, u->failure) >= at)
		o->reached[u->rollout] = true;
}

/* What is counted, and that it goes no further then. */
void oracle_check_failures(struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	int64_t n[FAILURE_COUNT];
	bool any = false;

	for (int f = 0; f < FAILURE_COUNT; f++)
		any |= r->pause_at[f] > 0;
	if (!any)
		return;
	if (o->reached[rollout] && r->state == ROLLOUT_RUNNING)
		oracle_fail(o, "rollout %d has failed often enough in one way, and runs on",
			    rollout);
	if (store_rollout_failures(o->st, r->id, n, NULL) != 0) {
		oracle_fail(o, "failures cannot be read");
		return;
	}
	for (int f = 0; f < FAILURE_COUNT; f++)
		if (n[f] != count(o, rollout, (enum failure)f))
			oracle_fail(o,
				    "rollout %d: %" PRId64
				    " failures of class %s, stored: %" PRId64,
				    rollout, count(o, rollout, (enum failure)f),
				    failure_word((enum failure)f), n[f]);
}
