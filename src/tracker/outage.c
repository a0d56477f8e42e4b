/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/outage.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tracker/calls.h"

#define STEP_BELOW 48 /* each may be observed and called: two effects of a step's 128 */
#define UNTOLD_SHOWN 1000
#define DEPTH 64 /* above a device; a circle ends there */
#define PAGE 16
#define WAIT_MAX_S (INT64_C(24) * 3600) /* nobody who sleeps longer is waited for */

int64_t outage_expected_s(const struct tracker *tk, const struct release *r, const struct update *u)
{
	if (r->outage_s >= 0)
		return r->outage_s;
	return tk->policy->strategy[u->urgency].outage_s;
}

/* ---- the gate ---- */

static int announce(struct look *g, int64_t seconds, struct err *e)
{
	struct tracker *tk = g->tk;
	/* the device itself is told by its offer */
	struct outage o = { .dev = g->d->dev,
			    .update = g->u->id,
			    .seconds = seconds,
			    .until = tk->now.track,
			    .told = tk->now.wall > 0 ? tk->now.wall : 1 };
	struct job job;
	int added = store_outage_add(tk->st, &o, e);

	if (added < 0 || (added > 0 && job_start(tk, "outage", g->u->id, &job, e) < 0))
		return -1;
	return 0;
}

/* 1 they are told, or were waited for long enough. */
static int waited(struct look *g, char value[REASON_TEXT], struct err *e)
{
	struct tracker *tk = g->tk;
	struct outage o;
	int64_t until = 0, untold;

	int busy = store_outage_walk(tk->st, g->u->id, &o, e);
	int some = busy < 0 ? -1 : store_outage_untold(tk->st, g->u->id, &until, e);
	if (some < 0 || store_outage_untold_count(tk->st, g->u->id, UNTOLD_SHOWN, &untold, e) < 0)
		return -1;
	bool open = busy == 0 && (some == 0 || until <= tk->now.track);
	cause_format(value, REASON_TEXT, "%" PRId64 "%s of those below are not told%s", untold,
		     untold == UNTOLD_SHOWN ? " and more" : "",
		     open && some ? ", and were waited for" : "");
	if (!open && busy == 0) {
		int64_t left = (until - tk->now.track + 999) / 1000;
		char so_far[REASON_TEXT];

		cause_copy(so_far, sizeof(so_far), value);
		cause_format(value, REASON_TEXT, "%s, at most %" PRId64 " s more", so_far, left);
		g->wake_ms = left * 1000;
	}
	return open;
}

int gate_outage(struct look *g, char value[REASON_TEXT], struct err *e)
{
	int64_t seconds = outage_expected_s(g->tk, &g->release, g->u), below;
	struct outage o;

	if (seconds <= 0) {
		cause_format(value, REASON_TEXT, "none is expected");
		return 1;
	}
	int known = store_outage_get(g->tk->st, g->d->dev, g->u->id, &o, e);
	if (known > 0)
		return waited(g, value, e);
	int some = known < 0 ? -1 : store_device_below(g->tk->st, g->d->id, 0, 1, &below, e);
	cause_format(value, REASON_TEXT, "%" PRId64 " s, %s", seconds,
		     some ? "those below are told first" : "nobody is below");
	if (some <= 0)
		return some < 0 ? -1 : 1;
	return g->looking ? 0 : announce(g, seconds, e);
}

/* ---- telling ---- */

static int64_t contact_s(const struct tracker *tk, const struct device *d)
{
	int64_t s = policy_contact_s(tk->policy, d);

	return s < WAIT_MAX_S ? s : WAIT_MAX_S;
}

/* Whoever observes or can be called hears of it now, the others when they come. */
static int tell(struct tracker *tk, const struct device *d, struct err *e)
{
	struct device_live live;

	effects_notify(tk->fx, d->dev, d->id);
	if (registry_live(tk, d->dev, &live, e) < 0)
		return -1;
	return call_possible(d, &live) ? call_want(tk, d, CALL_OUTAGE, e) : 0;
}

static int enter(struct tracker *tk, const struct outage *above, int64_t dev, struct err *e)
{
	struct outage o = { .dev = dev, .update = above->update, .seconds = above->seconds };
	struct device d;
	int found = store_device_by_dev(tk->st, dev, &d, e);

	if (found <= 0)
		return found;
	o.until = tk->now.track + contact_s(tk, &d) * 1000;
	int added = store_outage_add(tk->st, &o, e);
	return added <= 0 ? added : tell(tk, &d, e);
}

/* Those right below one that is in it already; a circle ends where it was entered. */
static int walk(struct tracker *tk, struct outage *o, struct job *j, struct err *e)
{
	int64_t below[STEP_BELOW];
	struct device d;
	int found = store_device_by_dev(tk->st, o->dev, &d, e);
	int n = found <= 0 ? found
			   : store_device_below(tk->st, d.id, o->walked, STEP_BELOW, below, e);

	for (int i = 0; i < n; i++) {
		if (enter(tk, o, below[i], e) < 0)
			return -1;
		o->walked = below[i];
		j->done++;
	}
	if (n < 0)
		return -1;
	if (n < STEP_BELOW)
		o->walked = -1;
	return store_outage_walked(tk->st, o, e);
}

enum step outage_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct outage o;
	struct update u;
	int found = store_update_get(tk->st, j->ref, &u, e);

	if (found > 0 && !update_state_terminal(u.state))
		found = store_outage_walk(tk->st, j->ref, &o, e);
	else if (found > 0)
		found = 0;
	if (found < 0)
		return STEP_ERROR;
	if (found > 0)
		return walk(tk, &o, j, e) < 0 ? STEP_ERROR : STEP_MORE;
	j->total = j->done;
	cause_format(j->result, sizeof(j->result), "%" PRId64 " devices below it", j->done);
	return STEP_DONE;
}

/* The last one was told: the device need not wait for its next contact. */
static int all_told(struct tracker *tk, int64_t update, struct err *e)
{
	struct outage o;
	struct update u;
	int64_t until;
	int some = store_outage_untold(tk->st, update, &until, e);

	if (some == 0)
		some = store_outage_walk(tk->st, update, &o, e);
	if (some != 0)
		return some < 0 ? -1 : 0;
	int found = store_update_get(tk->st, update, &u, e);
	if (found <= 0 || update_state_terminal(u.state))
		return found < 0 ? -1 : 0;
	return update_notify(tk, u.dev, e);
}

int outage_told(struct tracker *tk, int64_t dev, int64_t update, bool acknowledged, struct err *e)
{
	struct outage o;
	int found = store_outage_get(tk->st, dev, update, &o, e);
	int64_t at = tk->now.wall > 0 ? tk->now.wall : 1;

	if (found <= 0 || (o.told != 0 && (!acknowledged || o.acknowledged != 0)))
		return found < 0 ? -1 : 0;
	int rc = acknowledged ? store_outage_acknowledge(tk->st, dev, update, at, e)
			      : store_outage_told(tk->st, dev, update, at, e);
	if (rc < 0)
		return -1;
	return o.told == 0 ? all_told(tk, update, e) : 0;
}

/* ---- who has moved ---- */

/* Is the device of this update above that one, as it is now? 1, 0, -1 */
static int is_above(struct tracker *tk, int64_t update, int64_t dev, struct err *e)
{
	struct device top, d;
	struct update u;
	int found = store_update_get(tk->st, update, &u, e);

	if (found > 0)
		found = store_device_by_dev(tk->st, u.dev, &top, e);
	if (found > 0)
		found = store_device_by_dev(tk->st, dev, &d, e);
	for (int i = 0; found > 0 && i < DEPTH; i++) {
		if (!d.parent[0])
			return 0;
		if (strcmp(d.parent, top.id) == 0)
			return 1;
		found = store_device_get(tk->st, d.parent, &d, e);
	}
	return found < 0 ? -1 : 0;
}

/* It does not concern it any more: it is not told, and nobody waits for it. */
static int drop(struct tracker *tk, const struct outage *o, struct err *e)
{
	if (store_outage_remove(tk->st, o->dev, o->update, e) < 0)
		return -1;
	return o->told == 0 ? all_told(tk, o->update, e) : 0;
}

/* Those below it from this number on are looked for again, by the job that does so already. */
static int rewalk(struct tracker *tk, struct outage *o, int64_t from, struct err *e)
{
	int64_t cursor;
	struct job job;

	if (o->walked < 0 || o->walked >= from) {
		o->walked = from - 1;
		if (store_outage_walked(tk->st, o, e) < 0)
			return -1;
	}
	int found = store_job_cursor(tk->st, "outage", o->update, &cursor, e);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return job_start(tk, "outage", o->update, &job, e);
}

/* What does not concern it any more is dropped; what does, those below it as well. */
static int look_again(struct tracker *tk, struct outage *o, struct err *e)
{
	struct update u;
	int found = store_update_get(tk->st, o->update, &u, e);
	int stays = found > 0 && u.dev != o->dev ? is_above(tk, o->update, o->dev, e) : 1;

	if (found < 0 || stays < 0)
		return -1;
	return stays ? rewalk(tk, o, 1, e) : drop(tk, o, e);
}

/* All that concerns dev: of itself, or for the one that is right below it now. */
static int look_at(struct tracker *tk, int64_t dev, const struct device *below, struct err *e)
{
	struct outage page[PAGE];
	int64_t after = 0;
	int n;

	do {
		n = store_outage_open_of(tk->st, dev, after, PAGE, page, e);
		for (int i = 0; i < n; i++) {
			after = page[i].update;
			if ((below ? rewalk(tk, &page[i], below->dev, e)
				   : look_again(tk, &page[i], e)) < 0)
				return -1;
		}
	} while (n == PAGE);
	return n < 0 ? -1 : 0;
}

int outage_moved(struct tracker *tk, const struct device *d, struct err *e)
{
	struct device parent;

	if (look_at(tk, d->dev, NULL, e) < 0)
		return -1;
	int found = d->parent[0] ? store_device_get(tk->st, d->parent, &parent, e) : 0;
	return found > 0 ? look_at(tk, parent.dev, d, e) : found;
}

/* Untold before told; not what was entered before it, or one above it, moved. It only reads. */
static int of_those_above(struct tracker *tk, int64_t dev, struct outage *out, struct err *e)
{
	struct outage page[PAGE];
	bool some = false;
	int n = store_outage_open_of(tk->st, dev, 0, PAGE, page, e);

	for (int i = 0; i < n; i++) {
		if (some && (out->told == 0 || page[i].told != 0))
			continue;
		int above = is_above(tk, page[i].update, dev, e);
		if (above < 0)
			return -1;
		if (above > 0)
			*out = page[i];
		some = some || above > 0;
	}
	return n < 0 ? -1 : some;
}

int outage_notice(struct tracker *tk, int64_t dev, struct outage_notice *out, struct err *e)
{
	struct outage o = { 0 };
	struct update u;
	struct device d;
	int64_t until = 0;
	int found = of_those_above(tk, dev, &o, e);

	if (found > 0)
		found = store_update_get(tk->st, o.update, &u, e);
	if (found > 0)
		found = store_device_by_dev(tk->st, u.dev, &d, e);
	if (found <= 0)
		return found;
	*out = (struct outage_notice){ .update = o.update,
				       .seconds = o.seconds,
				       .told = o.told != 0 };
	(void)text_copy(out->device, sizeof(out->device), d.id);
	int some = store_outage_untold(tk->st, o.update, &until, e);
	if (some > 0 && until > tk->now.track && u.state == UPDATE_PLANNED)
		out->in_s = (until - tk->now.track + 999) / 1000;
	return some < 0 ? -1 : 1;
}

int outage_heard(struct tracker *tk, const struct device *d, struct outage_notice *out,
		 struct err *e)
{
	/* nothing is above it: nobody can take it away */
	if (!d->parent[0])
		return 0;
	int found = outage_notice(tk, d->dev, out, e);
	if (found <= 0 || out->told)
		return found;
	return outage_told(tk, d->dev, out->update, false, e) < 0 ? -1 : 1;
}
