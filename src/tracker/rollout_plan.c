/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/clock.h"
#include "tracker/internal.h"
#include "tracker/pace.h"

#define DRY_RUN_PAGE 500
#define OPENINGS 16 /* of windows that are looked ahead */
#define SAMPLE 8 /* devices whose windows are looked at */
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

/* When it may be installed, as the windows of one device say. */
struct openings {
	struct window_span v[OPENINGS];
	int n;
	bool any;
};

/* Of so many devices, from all parts of the fleet: most fleets have few kinds of windows. */
struct sample {
	struct openings of[SAMPLE];
	int n;
};

/* The first that f takes behind *cursor, up to end. 1/0/-1 */
static int next_match(struct tracker *tk, const struct filter *f, int64_t *cursor, int64_t end,
		      int64_t until_us, int64_t *dev, struct err *e)
{
	bool done = false;
	int found;

	do {
		found = store_device_match(tk->st, f, cursor, DRY_RUN_PAGE, 1, dev, &done, e);
	} while (found == 0 && !done && *cursor < end && clock_mono_us() < until_us);
	return found;
}

/* whole: each part's first page is looked at, whatever the time; else only while there is some. */
static int sample(struct tracker *tk, const struct filter *f, bool whole, int64_t until_us,
		  struct sample *out, struct err *e)
{
	int64_t last, cursor = 0, dev;
	struct device d;

	out->n = 0;
	if (store_device_last(tk->st, &last, e) < 0)
		return -1;
	for (int i = 0; i < SAMPLE && (whole || i == 0 || clock_mono_us() < until_us); i++) {
		struct openings *o = &out->of[out->n];
		int64_t from = last / SAMPLE * i,
			end = i == SAMPLE - 1 ? last : from + last / SAMPLE;

		cursor = cursor > from ? cursor : from;
		int found = next_match(tk, f, &cursor, end, until_us, &dev, e);
		if (found > 0)
			found = store_device_by_dev(tk->st, dev, &d, e);
		if (found < 0)
			return -1;
		if (found == 0)
			continue;
		o->n = window_next(tk, &d, 0, OPENINGS, o->v, &o->any, e);
		if (o->n < 0)
			return -1;
		out->n++;
	}
	return 0;
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

/*
 * The earliest of them for what some may fill, the latest where all have to come. Without
 * anybody there are no windows.
 */
static int64_t by_sample(const struct tracker *tk, const struct sample *of, int64_t at, int64_t s,
			 bool all)
{
	static const struct openings always = { .n = 0 };
	int64_t t = open_time(tk, of->n > 0 ? &of->of[0] : &always, at, s);

	for (int i = 1; i < of->n; i++) {
		int64_t other = open_time(tk, &of->of[i], at, s);
		if (all ? other > t : other < t)
			t = other;
	}
	return t;
}

static int predict(struct tracker *tk, const struct rollout_spec *s, const struct plan_filters *f,
		   struct rollout_plan *out, struct err *e)
{
	int64_t at = 0, until_us = clock_mono_us() + DRY_RUN_US / 2;
	struct sample all, some;

	if (sample(tk, f->target, true, until_us, &all, e) < 0)
		return -1;
	out->sampled = all.n;
	for (int i = 0; i < out->n_phases; i++) {
		struct plan_phase *p = &out->phase[i];
		int64_t start = (p->p.not_before - tk->now.wall) / 1000;
		bool own = i < f->n_phases && f->phase[i], last = i == out->n_phases - 1;

		if (own && sample(tk, f->phase[i], false, until_us, &some, e) < 0)
			return -1;
		const struct sample *of = own && some.n > 0 ? &some : &all;
		start = p->p.not_before > 0 && start > at ? start : at;
		p->begins_s = by_sample(tk, of, start, 0, false);
		p->ends_s =
			by_sample(tk, of, p->begins_s, span_s(tk, s, out, p->devices), own || last);
		at = p->ends_s + p->p.soak_s;
	}
	return 0;
}

int rollout_dry_run(struct tracker *tk, const struct rollout_spec *s, struct rollout_plan *out,
		    struct err *e)
{
	int64_t expected[PHASES_MAX] = { 0 };
	struct rollout_spec full = *s;
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
	if (look(tk, &f, out, expected, e) < 0)
		return -1;
	spread(out, expected);
	return predict(tk, s, &f, out, e);
}
