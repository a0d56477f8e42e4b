/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/internal.h"
#include "tracker/pace.h"

/*
 * The last gates: how fast, how many below one parent, and in which order. They only look;
 * what an offer takes of the pace slot_take takes with the reservation, in one transaction.
 */

#define ASK_MOST_S 3600
/* last-seen times are flushed every few minutes: a shorter silence says nothing */
#define SILENCE_LEAST_MS (INT64_C(15) * 60 * 1000)

bool order_awaits(const void *tracker, const struct device *d, int64_t seen)
{
	const struct tracker *tk = tracker;
	int64_t patience = 3000 * policy_contact_s(tk->policy, d);

	if (patience < SILENCE_LEAST_MS)
		patience = SILENCE_LEAST_MS;
	return seen > 0 && seen + patience >= tk->now.track;
}

/* What the limits are judged by. */
struct limits_look {
	struct tracker *tk;
	const struct device *d;
	const struct rollout *r;
	uint64_t size;
	int64_t *wake_ms;
};

static void opens_in(const struct limits_look *l, int64_t wait_ms, int64_t cost_us)
{
	int64_t waiting = l->r->planned > 0 ? l->r->planned : 1;
	int64_t s = pace_ask_s(wait_ms, cost_us, waiting, l->d->dev, ASK_MOST_S);

	if (s * 1000 > *l->wake_ms)
		*l->wake_ms = s * 1000;
}

static int64_t link_places(const struct rollout_limits *l)
{
	return l->focus ? 1 : l->link_in_flight;
}

/* Is a place there its own, which what goes first gets? 1, 0, -1 */
static int own_place(const struct limits_look *l, struct err *e)
{
	struct update u;
	int found = store_update_open(l->tk->st, l->d->dev, &u, e);

	return found > 0 ? update_state_in_flight(u.state) : found;
}

static int links_open(const struct limits_look *l, char value[REASON_TEXT], struct err *e)
{
	const struct rollout_limits *lim = &l->r->limits;
	int64_t places = link_places(lim);
	struct link_load link;

	if ((places == 0 && lim->link_bytes_per_s == 0) || !l->d->parent[0]) {
		cause_format(value, REASON_TEXT, "%s", l->d->parent[0] ? "no limit" : "none");
		return 1;
	}
	if (store_link_get(l->tk->st, l->d->parent, &link, e) < 0)
		return -1;
	int64_t wait = pace_wait_ms(link.bytes_tat, l->tk->now.track);
	if (lim->link_bytes_per_s == 0)
		wait = 0;
	int own = places > 0 && link.in_flight >= places ? own_place(l, e) : 0;
	if (own < 0)
		return -1;
	if (places > 0 && link.in_flight - own >= places) {
		cause_format(value, REASON_TEXT, "below %s %" PRId64 " of %" PRId64 " in flight%s",
			     l->d->parent, link.in_flight, places, lim->focus ? ", focused" : "");
		return 0;
	}
	cause_format(value, REASON_TEXT, "below %s %" PRId64 " in flight, next in %" PRId64 " s",
		     l->d->parent, link.in_flight, (wait + 999) / 1000);
	if (wait > 0)
		opens_in(l, wait, pace_cost_of_bytes(l->size, lim->link_bytes_per_s));
	return wait == 0;
}

static int pace_open(const struct limits_look *l, char value[REASON_TEXT])
{
	const struct rollout_limits *lim = &l->r->limits;
	int64_t track = l->tk->now.track;
	int64_t one = pace_cost_of_one(lim->per_minute);
	int64_t bytes = pace_cost_of_bytes(l->size, lim->bytes_per_s);
	int64_t by_count = one > 0 ? pace_wait_ms(l->r->pace_tat, track) : 0;
	int64_t by_bytes = bytes > 0 ? pace_wait_ms(l->r->bytes_tat, track) : 0;
	int64_t wait = by_count > by_bytes ? by_count : by_bytes;

	if (lim->max_in_flight > 0 && l->r->in_flight >= lim->max_in_flight) {
		cause_format(value, REASON_TEXT, "%" PRId64 " of at most %" PRId64 " in flight",
			     l->r->in_flight, lim->max_in_flight);
		return 0;
	}
	if (wait > 0) {
		cause_format(value, REASON_TEXT, "%" PRId64 " %s: the next in %" PRId64 " ms",
			     by_count >= by_bytes ? lim->per_minute : lim->bytes_per_s,
			     by_count >= by_bytes ? "a minute" : "bytes a second", wait);
		opens_in(l, wait, one > bytes ? one : bytes);
		return 0;
	}
	cause_format(value, REASON_TEXT, "%s",
		     one > 0 || bytes > 0 || lim->max_in_flight > 0 ? "keeps it" : "no limit");
	return 1;
}

static struct limits_look limits_of(struct look *g)
{
	uint64_t size = 0;

	for (int i = 0; i < g->n_images; i++)
		if (__builtin_add_overflow(size, g->images[i].size, &size))
			size = UINT64_MAX;
	return (struct limits_look){
		.tk = g->tk, .d = g->d, .r = &g->rollout, .size = size, .wake_ms = &g->wake_ms
	};
}

int gate_links(struct look *g, char value[REASON_TEXT], struct err *e)
{
	struct limits_look l = limits_of(g);

	return links_open(&l, value, e);
}

int gate_pace(struct look *g, char value[REASON_TEXT], struct err *e)
{
	struct limits_look l = limits_of(g);

	(void)e;
	return pace_open(&l, value);
}

/* 1 it is above itself: no order can be kept there. */
static int in_a_ring(struct look *g, struct err *e)
{
	struct device above = *g->d;

	for (int i = 0; i < ANCESTORS_MAX && above.parent[0]; i++) {
		char id[NAME_TEXT];

		if (strcmp(above.parent, g->d->id) == 0)
			return 1;
		cause_copy(id, sizeof(id), above.parent);
		int found = store_device_get(g->tk->st, id, &above, e);
		if (found <= 0)
			return found;
	}
	return 0;
}

/* Somebody is to be waited for, and says so; where nobody could ever go first it is not kept. */
static int behind(struct look *g, char value[REASON_TEXT], struct err *e)
{
	int ring = in_a_ring(g, e);

	if (ring > 0)
		cause_format(value, REASON_TEXT, "%s: it is above itself, no order holds",
			     update_order_word(g->rollout.limits.order));
	return ring;
}

/*
 * Everything below it first, but for those nobody has heard of for long, or whose phase is a
 * later one. Below one that is done, or is none of the rollout's, there may be others.
 */
static int leaf_first(struct look *g, char value[REASON_TEXT], struct err *e)
{
	const struct living l = { order_awaits, g->tk };
	struct store *st = g->tk->st;
	int64_t open, from, upto;
	char id[NAME_TEXT];

	if (store_rollout_link_get(st, g->u->rollout, g->d->id, &open, e) < 0 ||
	    phase_may_join(g->tk, &g->rollout, &from, &upto, e) < 0)
		return -1;
	int living = store_below_living(st, g->u->rollout, g->d->id, from, upto, &l, id, e);
	if (living <= 0) {
		cause_format(value, REASON_TEXT, "leaf-first: nobody below it is waited for%s",
			     open > 0 ? ", not all were seen" : "");
		return living < 0 ? -1 : 1;
	}
	cause_format(value, REASON_TEXT,
		     "leaf-first: %s below it is not done, %" PRId64 " directly below it", id,
		     open);
	return behind(g, value, e);
}

/* 1 this ancestor is to be waited for. */
static int holds(struct look *g, const struct device *above, struct err *e)
{
	struct device_live live;
	int64_t from, upto;
	struct update u;
	int found = store_update_of(g->tk->st, above->dev, g->u->rollout, &u, e);

	if (found <= 0 || update_state_terminal(u.state))
		return found < 0 ? -1 : 0;
	if (u.state != UPDATE_PLANNED)
		return 1;
	if (phase_may_join(g->tk, &g->rollout, &from, &upto, e) < 0)
		return -1;
	/* one of a later phase waits for this one itself */
	if (u.attempt == 1 && u.deferrals == 0 &&
	    (u.planned_phase < from || u.planned_phase > upto))
		return 0;
	if (registry_live(g->tk, above->dev, &live, e) < 0)
		return -1;
	return order_awaits(g->tk, above, live.track_seen);
}

static int core_first(struct look *g, char value[REASON_TEXT], struct err *e)
{
	struct device above = *g->d;

	for (int i = 0; i < ANCESTORS_MAX && above.parent[0]; i++) {
		char id[NAME_TEXT];

		cause_copy(id, sizeof(id), above.parent);
		int found = store_device_get(g->tk->st, id, &above, e);
		int held = found > 0 ? holds(g, &above, e) : found;
		if (found == 0)
			break;
		if (held == 0)
			continue;
		cause_format(value, REASON_TEXT, "core-first: %s above it is not done", id);
		return held < 0 ? -1 : behind(g, value, e);
	}
	cause_format(value, REASON_TEXT, "core-first: nobody above it is waited for");
	return 1;
}

int gate_order(struct look *g, char value[REASON_TEXT], struct err *e)
{
	/* what has begun is not put back behind others */
	bool begun = g->u->attempt > 1 || g->u->state != UPDATE_PLANNED;

	cause_format(value, REASON_TEXT, "%s", update_order_word(g->rollout.limits.order));
	if (g->u->rollout == 0 || begun)
		return 1;
	switch (g->rollout.limits.order) {
	case ORDER_ANY:
	case ORDER_COUNT:
		return 1;
	case ORDER_LEAF_FIRST:
		return leaf_first(g, value, e);
	case ORDER_CORE_FIRST:
		return core_first(g, value, e);
	}
	return 1;
}

/* ---- the slot ---- */

static int charge_pace(const struct limits_look *l, struct err *e)
{
	const struct rollout_limits *lim = &l->r->limits;
	int64_t track = l->tk->now.track;
	int64_t one = pace_cost_of_one(lim->per_minute);
	int64_t bytes = pace_cost_of_bytes(l->size, lim->bytes_per_s);
	int64_t link = pace_cost_of_bytes(l->size, lim->link_bytes_per_s);
	struct link_load load;

	if ((one > 0 || bytes > 0) &&
	    store_rollout_pace(l->tk->st, l->r->id, pace_after(l->r->pace_tat, track, one),
			       pace_after(l->r->bytes_tat, track, bytes), e) < 0)
		return -1;
	if (link == 0 || !l->d->parent[0])
		return 0;
	if (store_link_get(l->tk->st, l->d->parent, &load, e) < 0)
		return -1;
	return store_link_pace(l->tk->st, l->d->parent, pace_after(load.bytes_tat, track, link), e);
}

int slot_take(struct tracker *tk, const struct device *d, struct update *u, char why[REASON_TEXT],
	      struct err *e)
{
	int64_t wake_ms = 0;
	struct rollout r;
	struct limits_look l = { .tk = tk, .d = d, .r = &r, .wake_ms = &wake_ms };

	if (u->rollout == 0)
		return 1;
	int found = store_rollout_get(tk->st, u->rollout, &r, e);
	if (found <= 0)
		return found;
	if ((r.limits.bytes_per_s > 0 || r.limits.link_bytes_per_s > 0) &&
	    update_size(tk, u->release, &l.size, e) < 0)
		return -1;
	int open = pace_open(&l, why);
	if (open > 0)
		open = links_open(&l, why, e);
	if (open <= 0)
		return open;
	int got = store_rollout_reserve(tk->st, u->rollout, e);
	if (got <= 0) {
		cause_format(why, REASON_TEXT, "no slot is free");
		return got;
	}
	u->reserved = true;
	return charge_pace(&l, e) < 0 ? -1 : 1;
}
