/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/calls.h"
#include "tracker/internal.h"

static int64_t seconds_until(int64_t then, int64_t now)
{
	return then > now ? (then - now + 999) / 1000 : 0;
}

int64_t deferral_latest_s(const struct tracker *tk, const struct update *u)
{
	const struct strategy *s = &tk->policy->strategy[u->urgency];
	int64_t latest = s->defer_max_s;

	if (s->defer_count >= 0 && u->deferrals >= s->defer_count)
		return 0;
	if (u->track_deadline > 0) {
		int64_t left = (u->track_deadline - tk->now.track) / 1000;
		if (left < latest)
			latest = left;
	}
	return latest > 0 ? latest : 0;
}

/* What the state says now, for a new decision and for one that was heard before. */
static void describe(const struct tracker *tk, const struct device *d, const struct update *u,
		     struct decision_answer *out)
{
	out->state = u->state;
	/* what is pushed to it need not be fetched */
	out->fetch = update_state_in_flight(u->state) && !call_pushes(d, u->state);
	if (u->state == UPDATE_DEFERRED && u->not_before != 0)
		out->granted_s = seconds_until(u->track_due, tk->now.track);
}

/* What no wait opens: the answer is no, not later. */
static bool for_good(const char *gate)
{
	static const char *const names[] = { "verification", "floor", "compatibility" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(gate, names[i]) == 0)
			return true;
	return false;
}

/*
 * What was put off may begin after all: not beside another, and through the same gates as an
 * offer, which *g has then been through.
 */
static int check_begin(struct look *g, struct err *e)
{
	struct tracker *tk = g->tk;
	char value[REASON_TEXT];
	const char *name;
	struct update now;
	int found = store_update_open(tk->st, g->u->dev, &now, e);

	if (found > 0 && now.id != g->u->id && update_state_in_flight(now.state))
		return err_set(e, ERR_CONFLICT, "update %" PRId64 " runs: one at a time", now.id);
	if (found < 0 || gates_load(g, e) < 0)
		return -1;
	int open = gates_pass(g, &name, value, e);
	if (open < 0)
		return -1;
	/* a slot that is ahead has no place in the answer: who fetches would install at once */
	if (open > 0 && g->slot.from > tk->now.wall && !call_pushes(g->d, UPDATE_ACCEPTED))
		return err_set(e, ERR_BUSY, "window: opens in %" PRId64 " s",
			       seconds_until(g->slot.from, tk->now.wall));
	if (open > 0)
		return 0;
	return err_set(e, for_good(name) ? ERR_CONFLICT : ERR_BUSY, "%s: %s", name, value);
}

/* A deferred one gave its slot back: it takes another, and its way is that of an offer. */
static int begin(struct tracker *tk, const struct device *d, const struct device_live *live,
		 struct update *u, const char *cause, struct err *e)
{
	struct update at_once = *u;
	struct look g = { .tk = tk, .d = d, .live = live, .u = &at_once };
	char why[REASON_TEXT];

	/* the deferral is the device's own to end */
	at_once.not_before = 0;
	if (check_begin(&g, e) < 0)
		return -1;
	int got = slot_take(tk, d, u, why, e);
	if (got <= 0)
		return got < 0 ? -1 : err_set(e, ERR_BUSY, "not at the moment: %s", why);
	u->offer_boot = live->boot;
	u->not_before = g.slot.from;
	u->not_after = g.slot.until;
	if (update_apply(tk, u, EVENT_OFFER, FAILURE_NONE, cause, e) < 0 ||
	    offer_raise_floor(tk, d, &g.release, e) < 0)
		return -1;
	return call_begun(tk, d->dev, e);
}

static int accept(struct tracker *tk, const struct device *d, const struct device_live *live,
		  struct update *u, const char *cause, struct err *e)
{
	if (u->state == UPDATE_DEFERRED && begin(tk, d, live, u, cause, e) < 0)
		return -1;
	if (update_apply(tk, u, EVENT_ACCEPTED, FAILURE_NONE, cause, e) < 0)
		return -1;
	return call_pushes(d, u->state) ? call_want(tk, d, CALL_PUSH, e) : 0;
}

#define NONE_LEFT "no deferral is left"

/*
 * The offer stands. That it was asked for in vain is kept once, whatever it asks for again: a
 * device could fill the history with that.
 */
static int stands(struct tracker *tk, struct update *u, int64_t asked, const char *cause,
		  struct err *e)
{
	struct history h = {
		.update = u->id, .dev = u->dev, .from = u->state, .to = u->state, .at = tk->now.wall
	};

	if (strstr(u->reason, NONE_LEFT))
		return 0;
	cause_format(h.cause, sizeof(h.cause), "asked %" PRId64 " s, " NONE_LEFT ": %s", asked,
		     cause);
	cause_copy(u->reason, sizeof(u->reason), h.cause);
	return store_update_move(tk->st, u, &h, e);
}

/*
 * Granted as asked where that is within the limits, else put off until the latest
 * allowed and told so; with no deferral left the offer stands.
 */
static int defer(struct tracker *tk, struct update *u, const struct decision *c, const char *cause,
		 struct decision_answer *out, struct err *e)
{
	char words[REASON_TEXT];
	int64_t latest = deferral_latest_s(tk, u);
	int64_t asked =
		c->until_s > 0 ? c->until_s : tk->policy->strategy[u->urgency].contact_interval_s;
	int64_t granted = asked < latest ? asked : latest;

	out->latest_s = asked > latest ? latest : 0;
	if (latest == 0)
		return stands(tk, u, asked, cause, e);
	u->track_due = tk->now.track + granted * 1000;
	u->not_before = tk->now.wall + granted * 1000;
	/* both sides' words, the server's where it is surely not cut off */
	cause_format(words, sizeof(words), "asked %" PRId64 " s, granted %" PRId64 " s: %s", asked,
		     granted, cause);
	return update_apply(tk, u, EVENT_DEFERRED, FAILURE_NONE, words, e);
}

static int decide(struct tracker *tk, const struct device *d, const struct device_live *live,
		  struct update *u, const struct decision *c, struct decision_answer *out,
		  struct err *e)
{
	static const char *const words[] = { "accepted", "deferred", "rejected" };
	char cause[REASON_TEXT];

	cause_format(cause, sizeof(cause), "the device %s%s%s", words[c->kind],
		     c->reason[0] ? ": " : "", c->reason);
	switch (c->kind) {
	case DECISION_ACCEPT:
		return accept(tk, d, live, u, cause, e);
	case DECISION_DEFER:
		return defer(tk, u, c, cause, out, e);
	case DECISION_REJECT:
		return update_apply(tk, u, EVENT_REJECTED, FAILURE_NONE, cause, e);
	}
	return err_set(e, ERR_INVALID, "decision: accept, defer or reject");
}

/* A decision is about an offer: one that was taken back, or never made, has nothing to decide. */
static int check_open(const struct update *u, struct err *e)
{
	if (u->state == UPDATE_PLANNED || update_state_terminal(u->state))
		return err_set(e, ERR_CONFLICT,
			       "update %" PRId64 " is %s: there is no offer to decide", u->id,
			       update_state_word(u->state));
	return 0;
}

int offer_decide(struct tracker *tk, const struct device *d, const struct decision *c,
		 struct decision_answer *out, struct err *e)
{
	struct device_live live;
	struct update u;

	*out = (struct decision_answer){ .duplicate = false };
	if (registry_live(tk, d->dev, &live, e) < 0)
		return -1;
	int found = store_update_get(tk->st, c->update, &u, e);
	if (found < 0)
		return -1;
	if (found == 0 || u.dev != d->dev)
		return err_set(e, ERR_NOT_FOUND, "there is no update %" PRId64 " for this device",
			       c->update);
	int fresh = registry_dedup(&live, c->boot, c->counter, e);
	if (fresh < 0)
		return -1;
	out->duplicate = fresh == 0;
	if (fresh > 0) {
		live.last_seen = tk->now.wall;
		live.track_seen = tk->now.track;
		if (u.offer_boot == 0)
			u.offer_boot = c->boot;
		if (check_open(&u, e) < 0 || decide(tk, d, &live, &u, c, out, e) < 0 ||
		    store_live_put(tk->st, &live, e) < 0)
			return -1;
	}
	describe(tk, d, &u, out);
	return 0;
}
