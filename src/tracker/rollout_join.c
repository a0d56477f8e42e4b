/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/internal.h"

#define ACTIVE_MAX 64 /* rollouts looked at for one device */

/* The first phase whose filter takes it, 0 none. */
static int phase_for(struct tracker *tk, int64_t dev, const struct plan_filters *f, int64_t *out,
		     struct err *e)
{
	*out = 0;
	for (int i = 0; i < f->n_phases && *out == 0; i++) {
		int takes = f->phase[i] ? store_device_matches(tk->st, dev, f->phase[i], e) : 0;

		if (takes < 0)
			return -1;
		if (takes > 0)
			*out = i + 1;
	}
	return 0;
}

static int add(struct tracker *tk, const struct rollout *r, int64_t dev, int64_t phase,
	       struct err *e)
{
	const struct rollout_delta d = { .total = 1, .planned = 1 };
	struct update u = { .dev = dev,
			    .rollout = r->id,
			    .release = r->release,
			    .planned_phase = phase,
			    .urgency = r->urgency,
			    .attempt = 1,
			    .created = tk->now.wall,
			    .changed = tk->now.wall };

	if (store_update_add(tk->st, &u, e) < 0 || store_rollout_count(tk->st, r->id, &d, e) < 0)
		return -1;
	if (phase > 0 && store_phase_expect(tk->st, r->id, phase, 1, e) < 0)
		return -1;
	if (r->limits.order == ORDER_LEAF_FIRST &&
	    store_rollout_link_move(tk->st, r->id, dev, 1, e) < 0)
		return -1;
	return update_notify(tk, dev, e);
}

/* Was it passed by? Whom a job that creates has not come to yet it takes by itself. */
static int passed(struct tracker *tk, const struct rollout *r, int64_t dev, struct err *e)
{
	int64_t cursor;

	if (r->state != ROLLOUT_CREATING)
		return 1;
	int found = store_job_cursor(tk->st, "rollout-create", r->id, &cursor, e);
	return found > 0 ? dev <= cursor : found;
}

static int join(struct tracker *tk, int64_t rollout, int64_t dev, struct err *e)
{
	struct plan_filters f;
	struct rollout r;
	int64_t phase;

	int found = store_rollout_get(tk->st, rollout, &r, e);
	if (found > 0)
		found = passed(tk, &r, dev, e);
	if (found <= 0)
		return found;
	if (spec_filters(tk, &r, &f, e) < 0)
		return -1;
	int takes = store_device_matches(tk->st, dev, f.target, e);
	if (takes <= 0)
		return takes;
	return phase_for(tk, dev, &f, &phase, e) < 0 ? -1 : add(tk, &r, dev, phase, e);
}

int rollout_join_late(struct tracker *tk, int64_t dev, struct err *e)
{
	int64_t open[ACTIVE_MAX];
	struct device d;

	/* nearly always none: it is in them all */
	int n = store_rollout_joinable(tk->st, dev, ACTIVE_MAX, open, e);
	if (n <= 0)
		return n;
	int found = store_device_by_dev(tk->st, dev, &d, e);
	if (found <= 0 || d.held_back)
		return found < 0 ? -1 : 0;
	for (int i = 0; i < n; i++)
		if (join(tk, open[i], dev, e) < 0)
			return -1;
	return 0;
}
