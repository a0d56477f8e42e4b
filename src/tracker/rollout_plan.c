/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/clock.h"
#include "tracker/internal.h"
#include "tracker/pace.h"

#define DRY_RUN_PAGE 500
#define OPENINGS 16 /* of windows that are looked ahead */
#define DRY_RUN_US 8000 /* a fleet takes longer: then the numbers are lower bounds */

static int look(struct tracker *tk, const struct plan_filters *f, struct rollout_plan *out,
		int64_t expected[PHASES_MAX], struct err *e)
{
	int64_t cursor = 0, until = clock_mono_us() + DRY_RUN_US;

	do {
		int got = store_plan_count(tk->st, f, &cursor, DRY_RUN_PAGE, expected, &out->exact,
					   e);
		if (got < 0)
			return -1;
		out->devices += got;
	} while (!out->exact && clock_mono_us() < until);
	return 0;
}

static int64_t share(const struct phase *p, int64_t total)
{
	int64_t whole = total / 100 * p->percent, rest = total % 100 * p->percent;

	return p->count > 0 ? p->count : whole + (rest + 99) / 100;
}

/* Whom a filter takes waits for its phase; others fill the rest in order, the last takes all. */
static void spread(struct rollout_plan *out, const int64_t expected[PHASES_MAX])
{
	int64_t open = out->devices;

	for (int i = 0; i < out->n_phases; i++)
		open -= expected[i];
	for (int i = 0; i < out->n_phases; i++) {
		struct plan_phase *p = &out->phase[i];
		int64_t size = share(&p->p, out->devices);

		p->devices = expected[i];
		if (i == out->n_phases - 1)
			size = open;
		else if (p->p.filter[0])
			size = 0;
		size = size < open ? size : open;
		p->devices += size;
		open -= size;
	}
}

/* Offers follow each other as the pace allows; each batch in flight takes an update's time. */
static int64_t span_s(const struct tracker *tk, const struct rollout_spec *s,
		      const struct rollout_plan *out, int64_t n)
{
	int64_t one = pace_cost_of_one(s->limits.per_minute);
	int64_t bytes = pace_cost_of_bytes(out->bytes, s->limits.bytes_per_s);
	int64_t each = one > bytes ? one : bytes, us, at_once = s->limits.max_in_flight;
	int64_t update_s =
		(int64_t)(out->bytes /
			  (uint64_t)(tk->policy->min_rate > 0 ? tk->policy->min_rate : 1));

	if (n == 0)
		return 0;
	if (__builtin_mul_overflow(each, n - 1, &us))
		us = INT64_MAX;
	if (at_once == 0 || at_once > n)
		at_once = n;
	int64_t rounds = (n + at_once - 1) / at_once, waves;
	if (update_s > POLICY_SECONDS_MAX || __builtin_mul_overflow(rounds, update_s, &waves))
		waves = POLICY_SECONDS_MAX;
	int64_t paced = us / 1000000 + update_s;
	return paced > waves ? paced : waves;
}

/* When it may be installed, as the windows of one device say that the target takes. */
struct openings {
	struct window_span v[OPENINGS];
	int n;
	bool any;
};

static int openings_of(struct tracker *tk, const struct plan_filters *f, struct openings *o,
		       struct err *e)
{
	int64_t dev, cursor = 0;
	struct device d;
	bool done;

	*o = (struct openings){ .n = 0 };
	int found = store_device_match(tk->st, f->target, &cursor, DRY_RUN_PAGE, 1, &dev, &done, e);
	if (found > 0)
		found = store_device_by_dev(tk->st, dev, &d, e);
	if (found <= 0)
		return found;
	o->n = window_next(tk, &d, 0, OPENINGS, o->v, &o->any, e);
	return o->n < 0 ? -1 : 0;
}

/* Seconds from the start at which so many seconds of open time have gone since at. */
static int64_t open_time(const struct tracker *tk, const struct openings *o, int64_t at, int64_t s)
{
	for (int i = 0; i < o->n; i++) {
		int64_t from = (o->v[i].from - tk->now.wall) / 1000;
		int64_t until = o->v[i].until == WINDOW_EVER
					? INT64_MAX
					: (o->v[i].until - tk->now.wall) / 1000;

		if (until <= at)
			continue;
		if (from > at)
			at = from;
		if (until - at >= s)
			break;
		s -= until - at;
		at = until;
	}
	return at + s;
}

static void predict(const struct tracker *tk, const struct rollout_spec *s,
		    const struct openings *o, struct rollout_plan *out)
{
	int64_t at = 0;

	for (int i = 0; i < out->n_phases; i++) {
		struct plan_phase *p = &out->phase[i];
		int64_t start = (p->p.not_before - tk->now.wall) / 1000;

		p->begins_s = open_time(tk, o, p->p.not_before > 0 && start > at ? start : at, 0);
		p->ends_s = open_time(tk, o, p->begins_s, span_s(tk, s, out, p->devices));
		at = p->ends_s + p->p.soak_s;
	}
}

int rollout_dry_run(struct tracker *tk, const struct rollout_spec *s, struct rollout_plan *out,
		    struct err *e)
{
	int64_t expected[PHASES_MAX] = { 0 };
	struct rollout_spec full = *s;
	struct openings o;
	struct plan_filters f;

	memset(out, 0, sizeof(*out));
	if (spec_check(tk, s, &f, e) < 0)
		return -1;
	if (s->n_phases == 0)
		full.n_phases = spec_default_phases(tk, s, full.phases, e);
	if (full.n_phases < 0 || spec_check(tk, &full, &f, e) < 0 ||
	    update_size(tk, s->release, &out->bytes, e) < 0)
		return -1;
	out->n_phases = full.n_phases;
	for (int i = 0; i < out->n_phases; i++) {
		out->phase[i].p = full.phases[i];
		out->phase[i].p.number = i + 1;
	}
	if (look(tk, &f, out, expected, e) < 0 || openings_of(tk, &f, &o, e) < 0)
		return -1;
	spread(out, expected);
	predict(tk, s, &o, out);
	return 0;
}
