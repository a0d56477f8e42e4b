/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/internal.h"
#include "tracker/outage.h"

/*
 * What stands between an update and its offer, in the order of behaviour.md 7:
 * the first closed gate is the answer to "why not yet". Each fills value with
 * what decides. A further kind of gate is a further row.
 */
struct gate_row {
	const char *name;
	int (*check)(struct look *g, char value[REASON_TEXT], struct err *e);
};

int gates_load(struct look *g, struct err *e)
{
	struct tracker *tk = g->tk;

	if (g->u->rollout > 0 && store_rollout_get(tk->st, g->u->rollout, &g->rollout, e) <= 0)
		return -1;
	int found = store_release_get(tk->st, g->u->release, &g->release, e);
	if (found > 0)
		found = store_manifest_get(tk->st, &g->release.manifest, &g->manifest, e);
	if (found <= 0)
		return found < 0 ? -1
				 : err_set(e, ERR_INTERNAL,
					   "update %" PRId64 " has lost its release", g->u->id);
	g->n_images = store_manifest_images(tk->st, &g->release.manifest, g->images, IMAGES_MAX, e);
	return g->n_images < 0 ? -1 : 0;
}

static int gate_verification(struct look *g, char value[REASON_TEXT], struct err *e)
{
	struct err why = { .code = ERR_NONE };

	(void)e;
	if (release_offerable(g->tk, &g->release, &why)) {
		cause_format(value, REASON_TEXT, "release %s, anchor %" PRId64, g->release.name,
			     g->manifest.anchor);
		return 1;
	}
	cause_format(value, REASON_TEXT, "release %s: %s", g->release.name, why.text);
	return 0;
}

static int gate_floor(struct look *g, char value[REASON_TEXT], struct err *e)
{
	const struct device *d = g->d;

	(void)e;
	cause_format(value, REASON_TEXT, "sequence %" PRIu64 ", floor of the device %" PRIu64,
		     g->release.sequence, d->has_floor ? d->floor_sequence : 0);
	return !d->has_floor || g->release.sequence >= d->floor_sequence ? 1 : 0;
}

/* 1 the same, 0 another, -1 one of both is not known. */
static int same_id(const struct uuid *a, const struct uuid *b)
{
	if (!a->set || !b->set)
		return -1;
	return memcmp(a->b, b->b, UUID_SIZE) == 0 ? 1 : 0;
}

static int same_text(const char *a, const char *b)
{
	if (a[0] == '\0' || b[0] == '\0')
		return -1;
	return strcmp(a, b) == 0 ? 1 : 0;
}

static const char *same_word(int same)
{
	return same > 0 ? "matches" : same == 0 ? "differs" : "not known";
}

bool gates_differ(const struct device *d, const struct release *r)
{
	int by_class = same_id(&d->class_id, &r->class_id);

	return same_id(&d->vendor_id, &r->vendor_id) == 0 || by_class == 0 ||
	       (by_class < 0 && same_text(d->model, r->model) == 0);
}

bool gates_same_class(const struct release *a, const struct release *b)
{
	return memcmp(a->vendor_id.b, b->vendor_id.b, UUID_SIZE) == 0 &&
	       a->class_id.set == b->class_id.set &&
	       (a->class_id.set ? memcmp(a->class_id.b, b->class_id.b, UUID_SIZE) == 0
				: strcmp(a->model, b->model) == 0);
}

/* Class id decides; a device that has none is matched by its model. */
bool gates_fit(const struct device *d, const struct release *r)
{
	int by_vendor = same_id(&d->vendor_id, &r->vendor_id);
	int by_class = same_id(&d->class_id, &r->class_id);
	int by_model = same_text(d->model, r->model);

	if (by_vendor == 0 || by_class == 0)
		return false;
	if (by_class > 0)
		return true;
	return by_model > 0 || (by_model < 0 && by_vendor > 0 && !r->class_id.set);
}

static int gate_compatibility(struct look *g, char value[REASON_TEXT], struct err *e)
{
	const struct release *r = &g->release;
	const struct device *d = g->d;

	(void)e;
	cause_format(value, REASON_TEXT, "for %s %s: vendor id %s, class id %s, model %s",
		     r->manufacturer, r->model, same_word(same_id(&d->vendor_id, &r->vendor_id)),
		     same_word(same_id(&d->class_id, &r->class_id)),
		     same_word(same_text(d->model, r->model)));
	return gates_fit(d, r) ? 1 : 0;
}

static int gate_rollout(struct look *g, char value[REASON_TEXT], struct err *e)
{
	const struct rollout *r = &g->rollout;

	(void)e;
	if (g->u->rollout == 0) {
		cause_format(value, REASON_TEXT, "none");
		return 1;
	}
	cause_format(value, REASON_TEXT, "rollout %s is %s%s%s", r->name,
		     rollout_state_word(r->state), r->reason[0] ? ": " : "", r->reason);
	return r->state == ROLLOUT_RUNNING ? 1 : 0;
}

static int gate_phase(struct look *g, char value[REASON_TEXT], struct err *e)
{
	const struct update *u = g->u;
	bool joined = u->state != UPDATE_PLANNED || u->attempt > 1 || u->deferrals > 0;

	if (u->rollout == 0) {
		cause_format(value, REASON_TEXT, "none");
		return 1;
	}
	int open = phase_admits(g->tk, &g->rollout, u, joined, g->looking, &g->wake_ms, value, e);
	/* from there the deadline runs */
	if (open > 0 && u->track_deadline == 0 &&
	    update_phase_opened(g->tk, u, &g->phase_opened, e) < 0)
		return -1;
	return open;
}

int budget_describe(const struct rollout *r, char value[REASON_TEXT])
{
	if (r->in_flight_window > 0) {
		cause_format(value, REASON_TEXT,
			     "%" PRId64 " of %" PRId64 " in flight, %" PRId64 " of %" PRId64
			     " failed",
			     r->in_flight, r->in_flight_window, r->failed, r->budget);
		return r->budget > 0 && r->in_flight < r->in_flight_window && r->failed <= r->budget
			       ? 1
			       : 0;
	}
	cause_format(value, REASON_TEXT, "%" PRId64 " failed + %" PRId64 " in flight of %" PRId64,
		     r->failed, r->in_flight, r->budget);
	return r->failed + r->in_flight < r->budget ? 1 : 0;
}

static int gate_budget(struct look *g, char value[REASON_TEXT], struct err *e)
{
	(void)e;
	if (g->u->rollout == 0) {
		cause_format(value, REASON_TEXT, "none");
		return 1;
	}
	return budget_describe(&g->rollout, value);
}

/* The device's own word, and the wait between attempts. A deadline overrides deferrals alone. */
static int gate_deferral(struct look *g, char value[REASON_TEXT], struct err *e)
{
	const struct update *u = g->u;
	int64_t now = g->tk->now.track;
	bool waits = u->not_before != 0 && u->track_due > now;
	bool late = u->track_deadline > 0 && now >= u->track_deadline;

	(void)e;
	if (!waits) {
		cause_format(value, REASON_TEXT, "none");
		return 1;
	}
	cause_format(value, REASON_TEXT, "%s, %" PRId64 " s more%s%s",
		     u->state == UPDATE_DEFERRED ? "deferred" : "back-off after an attempt",
		     (u->track_due - now + 999) / 1000, u->reason[0] ? ": " : "", u->reason);
	return u->state == UPDATE_DEFERRED && late ? 1 : 0;
}

static int gate_flash(struct look *g, char value[REASON_TEXT], struct err *e)
{
	uint64_t size = 0;

	(void)e;
	for (int i = 0; i < g->n_images; i++)
		if (__builtin_add_overflow(size, g->images[i].size, &size))
			size = UINT64_MAX;
	if (g->live->free_flash < 0) {
		cause_format(value, REASON_TEXT, "%" PRIu64 " bytes, free flash not known", size);
		return 1;
	}
	cause_format(value, REASON_TEXT, "%" PRIu64 " bytes, %" PRId64 " free", size,
		     g->live->free_flash);
	return size <= (uint64_t)g->live->free_flash ? 1 : 0;
}

bool service_lets(const struct tracker *tk, const struct device *d, const struct device_live *l,
		  const struct update *u)
{
	if (l->service[0] == '\0' || strcmp(l->service, "idle") == 0)
		return true;
	if (tk->policy->strategy[u->urgency].idle_only)
		return false;
	/* others know best themselves when not to begin */
	return d->mode != MODE_SERVER || strcmp(l->service, "critical") != 0;
}

static int gate_service(struct look *g, char value[REASON_TEXT], struct err *e)
{
	const char *s = g->live->service;

	(void)e;
	cause_format(value, REASON_TEXT, "%s%s", s[0] ? "the device is " : "not known", s);
	return service_lets(g->tk, g->d, g->live, g->u);
}

static int gate_enrolment(struct look *g, char value[REASON_TEXT], struct err *e)
{
	(void)e;
	cause_format(value, REASON_TEXT, "%s",
		     g->d->held_back  ? HELD_BACK
		     : g->d->disabled ? DISABLED
				      : "let in");
	return g->d->held_back || g->d->disabled ? 0 : 1;
}

static const struct gate_row rows[] = {
	{ "enrolment", gate_enrolment }, { "verification", gate_verification },
	{ "floor", gate_floor },	 { "compatibility", gate_compatibility },
	{ "flash", gate_flash },	 { "rollout", gate_rollout },
	{ "phase", gate_phase },	 { "budget", gate_budget },
	{ "black-out", gate_blackout },	 { "deferral", gate_deferral },
	{ "window", gate_window },	 { "service", gate_service },
	{ "links", gate_links },	 { "pace", gate_pace },
	{ "order", gate_order },	 { "outage", gate_outage },
};

int gates_pass(struct look *g, const char **name, char value[REASON_TEXT], struct err *e)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int open = rows[i].check(g, value, e);
		*name = rows[i].name;
		if (open <= 0)
			return open;
	}
	return 1;
}

int gates_list(struct look *g, struct gate *out, int limit, struct err *e)
{
	int n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && n < limit; i++, n++) {
		int open = rows[i].check(g, out[n].value, e);
		if (open < 0)
			return -1;
		out[n].name = rows[i].name;
		out[n].open = open > 0;
	}
	return n;
}
