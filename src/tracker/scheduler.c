/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/internal.h"

#define PAGE 32
#define PHASES 4 /* rollouts in one pass */

/* The device was heard of not long ago: it lives, and what it waits for is ours. */
static int heard_of(struct tracker *tk, const struct update *u, bool *out, struct err *e)
{
	struct device_live live;
	int64_t patience = policy_timeout_ms(tk->policy, UPDATE_OFFERED, u->urgency, 0);

	if (registry_live(tk, u->dev, &live, e) < 0)
		return -1;
	*out = live.last_seen > 0 && live.last_seen + patience > tk->now.wall;
	return 0;
}

static int again_in(struct tracker *tk, struct update *u, struct err *e)
{
	u->not_before = 0;
	u->track_due = tk->now.track + policy_timeout_ms(tk->policy, UPDATE_OFFERED, u->urgency, 0);
	return store_update_put(tk->st, u, e);
}

/* The wait is over: tell the device, and give it the time an offer has to come and ask. */
static int wait_over(struct tracker *tk, struct update *u, struct err *e)
{
	return again_in(tk, u, e) < 0 ? -1 : update_notify(tk, u->dev, e);
}

/* Between attempts: first the back-off ends, then the device must show itself. */
static int due_planned(struct tracker *tk, struct update *u, struct err *e)
{
	bool lives;

	if (u->not_before != 0)
		return wait_over(tk, u, e);
	if (heard_of(tk, u, &lives, e) < 0)
		return -1;
	if (lives)
		return again_in(tk, u, e);
	/* its end is a failure that the budget counts: it waits for room like an offer does */
	if (u->manifest_fetched && !u->charged && u->rollout > 0) {
		int got = store_rollout_reserve(tk->st, u->rollout, e);
		if (got <= 0)
			return got < 0 ? -1 : again_in(tk, u, e);
		u->reserved = true;
	}
	return update_apply(tk, u, EVENT_TIMEOUT, FAILURE_TIMEOUT, "silent since the last attempt",
			    e);
}

/* A deferral's end; a device that then keeps silent goes back into the queue. */
static int due_deferred(struct tracker *tk, struct update *u, struct err *e)
{
	if (u->not_before != 0)
		return wait_over(tk, u, e);
	return update_apply(tk, u, EVENT_RETURN, FAILURE_NONE, "silent since its deferral ended",
			    e);
}

static int due_running(struct tracker *tk, struct update *u, struct err *e)
{
	char cause[REASON_TEXT];

	cause_format(cause, sizeof(cause), "timeout: nothing heard while %s",
		     update_state_word(u->state));
	return update_apply(tk, u, EVENT_TIMEOUT, FAILURE_TIMEOUT, cause, e);
}

static int handle(struct tracker *tk, struct update *u, struct err *e)
{
	if (u->state == UPDATE_PLANNED)
		return due_planned(tk, u, e);
	if (u->state == UPDATE_DEFERRED)
		return due_deferred(tk, u, e);
	if (update_state_in_flight(u->state))
		return due_running(tk, u, e);
	/* ended: nothing is due any more */
	u->track_due = 0;
	return store_update_put(tk->st, u, e);
}

/* Phases end by the clock too: silence and soaking call nobody. */
static int due_phases(struct tracker *tk, struct err *e)
{
	struct rollout page[PHASES];
	int n = store_rollout_due(tk->st, tk->now.track, PHASES, page, e);

	for (int i = 0; i < n; i++)
		if (phase_due(tk, &page[i], e) < 0)
			return -1;
	return n;
}

static int next_due(struct tracker *tk, int64_t *track, struct err *e)
{
	int64_t phase = 0;

	*track = 0;
	if (store_update_next_due(tk->st, track, e) < 0 ||
	    store_rollout_next_due(tk->st, &phase, e) < 0)
		return -1;
	if (phase > 0 && (*track == 0 || phase < *track))
		*track = phase;
	return 0;
}

int scheduler_pass(struct tracker *tk, int limit, int64_t *next_track, struct err *e)
{
	struct update page[PAGE];
	int done = 0, n;

	do {
		int room = limit - done < PAGE ? limit - done : PAGE;
		n = room > 0 ? store_update_due(tk->st, tk->now.track, room, page, e) : 0;
		for (int i = 0; i < n; i++, done++)
			if (handle(tk, &page[i], e) < 0)
				return -1;
	} while (n == PAGE && effects_room(tk->fx) > 8 * PAGE);
	if (n < 0 || due_phases(tk, e) < 0 || next_due(tk, next_track, e) < 0)
		return -1;
	return done;
}
