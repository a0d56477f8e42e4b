/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_ROLLOUTS_H
#define FETTLE_STORE_ROLLOUTS_H

/* Updates, rollouts and links: a part of store.h, which includes it. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/filter.h"
#include "base/model.h"

struct store;

/* Updates. */
int store_update_add(struct store *st, struct update *u, struct err *e); /* fills id */
/* Whom a rollout takes, and of its phases those that go by a filter; NULL: it has none. */
struct plan_filters {
	const struct filter *target;
	const struct filter *phase[PHASES_MAX];
	int n_phases;
	bool any; /* some phase has one */
};
/*
 * One planned update, of like's rollout, release, urgency and times, for each device that
 * matches among the span row ids beyond *cursor, which moves. How many, or -1; *done when
 * there are no devices left. expected[i]: how many of them phase i's filter is the first to
 * take.
 */
int store_update_plan(struct store *st, const struct update *like, const struct plan_filters *f,
		      int64_t *cursor, int span, int64_t expected[PHASES_MAX], bool *done,
		      struct err *e);
/* The same without the updates. */
int store_plan_count(struct store *st, const struct plan_filters *f, int64_t *cursor, int span,
		     int64_t expected[PHASES_MAX], bool *done, struct err *e);
/* Some device has the tag "canary". 1/0/-1 */
int store_canary_used(struct store *st, struct err *e);
int store_update_get(struct store *st, int64_t id, struct update *out, struct err *e);
/*
 * The device's open update: the one that runs, else what it put off, else the first planned
 * by urgency, then age.
 */
int store_update_open(struct store *st, int64_t dev, struct update *out, struct err *e);
/* All of them in that order, at most limit. */
int store_update_open_list(struct store *st, int64_t dev, int limit, struct update *out,
			   struct err *e);
int store_update_latest(struct store *st, int64_t dev, struct update *out,
			struct err *e); /* newest of any state past planned */
int store_update_of(struct store *st, int64_t dev, int64_t rollout, struct update *out,
		    struct err *e);
int store_update_put(struct store *st, const struct update *u, struct err *e);
/* store_update_put and store_history_add in one: two statements, where the row is as u was read. */
int store_update_move(struct store *st, struct update *u, const struct history *h, struct err *e);
/* progress and manifest_fetched only: no index moves */
int store_update_progress(struct store *st, int64_t id, uint8_t progress, bool manifest_fetched,
			  struct err *e);
int store_update_phase(struct store *st, int64_t id, int64_t phase,
		       struct err *e); /* put does not touch it */
int store_update_list(struct store *st, int64_t rollout, int64_t dev, int64_t after, int limit,
		      struct update *out, struct err *e); /* 0: any */
int store_update_by_state(struct store *st, int64_t rollout, enum update_state s, int64_t after,
			  int limit, struct update *out, struct err *e);
/*
 * Was it heard of not long ago? Of a device its contact interval, model and class id are asked;
 * seen is tracker time, 0 never. It must not use the store.
 */
struct living {
	bool (*is)(const void *arg, const struct device *d, int64_t seen);
	const void *arg;
};
/*
 * Of the planned ones of a rollout beyond *cursor, which moves, at most span are looked at: 1 one
 * has a planned phase in from .. upto and lives, 0 none, -1. *done: none are left.
 */
int store_update_living(struct store *st, int64_t rollout, int64_t from, int64_t upto,
			const struct living *l, int64_t *cursor, int span, bool *done,
			struct err *e);
/* Due at or before track; earliest first. */
int store_update_due(struct store *st, int64_t track, int limit, struct update *out, struct err *e);
int store_update_next_due(struct store *st, int64_t *track, struct err *e); /* 1/0/-1 */
int store_history_add(struct store *st, const struct history *h, struct err *e);
int store_history_list(struct store *st, int64_t dev, int64_t update, int64_t after, int limit,
		       struct history *out, struct err *e);

/* Rollouts. */
int store_rollout_add(struct store *st, struct rollout *r, const struct phase *p, int n_phases,
		      struct err *e);
int store_rollout_get(struct store *st, int64_t id, struct rollout *out, struct err *e);
int store_rollout_by_name(struct store *st, const char *name, struct rollout *out, struct err *e);
int store_rollout_put(struct store *st, const struct rollout *r,
		      struct err *e); /* state, reason, times; not the counters */
int store_rollout_list(struct store *st, int64_t after, int limit, struct rollout *out,
		       struct err *e);
/* Of the first look that are not over those the device has no update of: their ids, how many. */
int store_rollout_joinable(struct store *st, int64_t dev, int look, int64_t *out, struct err *e);
int store_rollout_by_release(struct store *st, int64_t release, int64_t after, int limit,
			     struct rollout *out, struct err *e);
/* Running ones whose open phase is due at or before track, earliest first. */
int store_rollout_due(struct store *st, int64_t track, int limit, struct rollout *out,
		      struct err *e);
int store_rollout_next_due(struct store *st, int64_t *track, struct err *e); /* 1/0/-1 */
int store_phase_list(struct store *st, int64_t rollout, struct phase *out, int limit,
		     struct err *e);
int store_phase_put(struct store *st, const struct phase *p,
		    struct err *e); /* counters, opened, closed; not expected */
int store_phase_expect(struct store *st, int64_t rollout, int64_t number, int64_t delta,
		       struct err *e);
/* Add the deltas to the counters. */
struct rollout_delta {
	int64_t total, planned, in_flight, deferred, failed, succeeded, timed_out, ended;
};
int store_rollout_count(struct store *st, int64_t id, const struct rollout_delta *d, struct err *e);
/* Reserve one in-flight slot: 1 reserved, 0 the budget forbids it. One conditional UPDATE. */
int store_rollout_reserve(struct store *st, int64_t id, struct err *e);
/* The virtual times of its pace (tracker/pace.h); moved with a reservation. */
int store_rollout_pace(struct store *st, int64_t id, int64_t pace_tat, int64_t bytes_tat,
		       struct err *e);
/* How many of its updates have ended with this failure. */
int store_rollout_failure(struct store *st, int64_t id, enum failure f, int64_t delta,
			  struct err *e);
int store_rollout_failures(struct store *st, int64_t id, int64_t n[FAILURE_COUNT], struct err *e);

/* Links (store_link.c): what hangs below one parent; a device without parent is on none. */
struct link_load {
	int64_t in_flight; /* of all rollouts */
	int64_t bytes_tat; /* of its pace */
};
int store_link_get(struct store *st, const char *parent, struct link_load *out,
		   struct err *e); /* absent: zeros */
/* One more, or less, in flight of the link dev is on. */
int store_link_move(struct store *st, int64_t dev, int delta, struct err *e);
int store_link_pace(struct store *st, const char *parent, int64_t bytes_tat, struct err *e);
/* dev leaves one link for another, with what it has in flight and open; "" is none. */
int store_link_carry(struct store *st, int64_t dev, const char *from, const char *to,
		     struct err *e);
/* Open updates of a leaf-first rollout directly below a parent. */
int store_rollout_link_get(struct store *st, int64_t rollout, const char *parent, int64_t *open,
			   struct err *e);
int store_rollout_link_move(struct store *st, int64_t rollout, int64_t dev, int delta,
			    struct err *e);
/* Count those of devices after < dev <= upto. */
int store_rollout_link_fill(struct store *st, int64_t rollout, int64_t after, int64_t upto,
			    struct err *e);
/* Devices directly below parent (the first 2,000) whose update of this rollout is planned. */
int store_link_waiting(struct store *st, int64_t rollout, const char *parent, int limit,
		       int64_t *devs, struct err *e);
/*
 * Some device below id, at most 16 steps, whose update of this rollout runs, or waits and it
 * lives: its id in out. Who has not begun counts with a planned phase in from .. upto alone. Among
 * the first 2,000 there, the nearer ones first. 1/0/-1
 */
int store_below_living(struct store *st, int64_t rollout, const char *id, int64_t from,
		       int64_t upto, const struct living *l, char out[NAME_TEXT], struct err *e);

#endif
