/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"

#define NEIGHBOURS 4

int rollout_set_state(struct tracker *tk, struct rollout *r, enum rollout_state s,
		      const char *reason, struct err *e)
{
	r->state = s;
	cause_copy(r->reason, sizeof(r->reason), reason);
	if (s == ROLLOUT_FINISHED || s == ROLLOUT_ABORTED)
		r->finished = tk->now.wall;
	if (store_rollout_put(tk->st, r, e) < 0)
		return -1;
	return audit_note(tk, "rollout.state", r->name, e, "%s%s%s", rollout_state_word(s),
			  reason[0] ? ": " : "", reason);
}

int rollout_begun(struct tracker *tk, int64_t rollout, bool *out, struct err *e)
{
	struct rollout r = { .state = ROLLOUT_RUNNING };

	if (rollout > 0 && store_rollout_get(tk->st, rollout, &r, e) <= 0)
		return -1;
	*out = r.state == ROLLOUT_RUNNING || r.state == ROLLOUT_PAUSED;
	return 0;
}

bool rollout_unstarted(const struct rollout *r)
{
	return r->id != 0 && r->started == 0;
}

static int add_rows(struct tracker *tk, const struct rollout_spec *s, struct rollout *r,
		    struct err *e)
{
	struct phase phases[PHASES_MAX];
	int n = s->n_phases;

	memset(phases, 0, sizeof(phases));
	memcpy(phases, s->phases, (size_t)n * sizeof(phases[0]));
	if (n == 0)
		n = spec_default_phases(tk, s, phases, e);
	for (int i = 0; i < n; i++)
		phases[i].number = i + 1;
	return n < 0 ? -1 : store_rollout_add(tk->st, r, phases, n, e);
}

int rollout_create(struct tracker *tk, const struct rollout_spec *s, struct rollout *out,
		   struct job *job, struct err *e)
{
	struct plan_filters f;
	struct release rel;

	if (spec_check(tk, s, &f, e) < 0)
		return -1;
	int found = store_release_get(tk->st, s->release, &rel, e);
	if (found <= 0)
		return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "there is no such release");
	if (rel.state == RELEASE_WITHDRAWN)
		return err_set(e, ERR_CONFLICT, "release %s is withdrawn", rel.name);
	struct rollout r = { .release = rel.id,
			     .state = ROLLOUT_CREATING,
			     .urgency = rel.urgency,
			     .budget = s->budget < 0 ? BUDGET_OPEN : s->budget,
			     .in_flight_window = s->in_flight,
			     .phase = 1,
			     .limits = s->limits,
			     .auto_start = s->auto_start,
			     .standing = s->standing,
			     .created = tk->now.wall };
	text_copy(r.name, sizeof(r.name), s->name);
	text_copy(r.target, sizeof(r.target), s->target);
	cause_copy(r.by, sizeof(r.by), tk->who);
	if (add_rows(tk, s, &r, e) < 0)
		return e && e->code == ERR_CONFLICT
			       ? err_set(e, ERR_CONFLICT, "rollout %s exists already", r.name)
			       : -1;
	if (job_start(tk, "rollout-create", r.id, job, e) < 0)
		return -1;
	*out = r;
	return audit_note(tk, "rollout.create", r.name, e,
			  "release %s, budget %" PRId64 ", target %s", rel.name, s->budget,
			  r.target);
}

int rollout_refused(const struct rollout *r, const char *what, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "rollout %s is %s: it cannot be %s", r->name,
		       rollout_state_word(r->state), what);
}

/* Running; who may be interested looks again, in slices. */
static int run(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct job job;

	if (rollout_set_state(tk, r, ROLLOUT_RUNNING, "", e) < 0)
		return -1;
	if (r->ended == r->total)
		return rollout_set_state(tk, r, ROLLOUT_FINISHED,
					 r->total == 0 ? "its target takes no device" : "", e);
	return job_start(tk, "rollout-notify", r->id, &job, e);
}

/* Devices fail by themselves, too: before a start, and while it is paused. */
static int check_budget(const struct rollout *r, struct err *e)
{
	if (r->failed < r->budget || r->ended == r->total)
		return 0;
	return err_set(e, ERR_CONFLICT, "rollout %s: the budget of %" PRId64 " failures is used up",
		       r->name, r->budget);
}

int rollout_start(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct release rel;

	if (r->state == ROLLOUT_CREATING)
		return err_set(e, ERR_CONFLICT, "rollout %s is still being created", r->name);
	if (r->state != ROLLOUT_READY)
		return rollout_refused(r, "started", e);
	int found = store_release_get(tk->st, r->release, &rel, e);
	if (found <= 0)
		return found < 0 ? -1 : err_set(e, ERR_CONFLICT, "its release is gone");
	if (!release_offerable(tk, &rel, e))
		return err_prefix(e, "release %s", rel.name);
	if ((r->failed > 0 && check_budget(r, e) < 0) || phase_open(tk, r, e) < 0)
		return -1;
	r->started = tk->now.wall;
	return run(tk, r, e);
}

int rollout_pause(struct tracker *tk, struct rollout *r, const char *reason, struct err *e)
{
	if (r->state != ROLLOUT_RUNNING)
		return rollout_refused(r, "paused", e);
	return rollout_set_state(tk, r, ROLLOUT_PAUSED, reason[0] ? reason : "by an operator", e);
}

int rollout_resume(struct tracker *tk, struct rollout *r, struct err *e)
{
	if (r->state != ROLLOUT_PAUSED)
		return rollout_refused(r, "resumed", e);
	if (check_budget(r, e) < 0 || phase_again(tk, r, e) < 0)
		return -1;
	return run(tk, r, e);
}

int rollout_abort(struct tracker *tk, struct rollout *r, const char *reason, struct job *job,
		  struct err *e)
{
	if (r->state == ROLLOUT_FINISHED || r->state == ROLLOUT_ABORTED)
		return rollout_refused(r, "aborted", e);
	if (rollout_set_state(tk, r, ROLLOUT_ABORTED, reason[0] ? reason : "by an operator", e) < 0)
		return -1;
	return job_start(tk, "rollout-abort", r->id, job, e);
}

/* Some that wait may have the slot; they race for it, the reservation decides. */
static int wake_waiting(struct tracker *tk, const struct rollout *r, struct err *e)
{
	struct update u[NEIGHBOURS];
	int n = store_update_by_state(tk->st, r->id, UPDATE_PLANNED, 0, NEIGHBOURS, u, e);

	for (int i = 0; i < n; i++)
		if (update_notify(tk, u[i].dev, e) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

static bool exceeded(const struct rollout *r)
{
	if (r->in_flight_window > 0)
		return r->in_flight > r->in_flight_window;
	return r->failed + r->in_flight > r->budget;
}

/* 1 it is paused: so many have failed in one way that no more are to try. */
static int check_failures(struct tracker *tk, struct rollout *r, const struct update *u,
			  const char *cause, struct err *e)
{
	int64_t at[FAILURE_COUNT], n[FAILURE_COUNT];
	char reason[REASON_TEXT];

	if (!r->limits.pause_at[0] || pause_at_parse(r->limits.pause_at, at, e) < 0)
		return r->limits.pause_at[0] ? -1 : 0;
	if (at[u->failure] == 0)
		return 0;
	if (store_rollout_failures(tk->st, r->id, n, e) < 0)
		return -1;
	if (n[u->failure] < at[u->failure])
		return 0;
	cause_format(reason, sizeof(reason), "failures: %" PRId64 " of class %s, the last: %s",
		     n[u->failure], failure_word(u->failure), cause);
	return rollout_set_state(tk, r, ROLLOUT_PAUSED, reason, e) < 0 ? -1 : 1;
}

static int wake_below(struct tracker *tk, const struct rollout *r, const char *parent,
		      struct err *e)
{
	int64_t devs[NEIGHBOURS];
	int n = store_link_waiting(tk->st, r->id, parent, NEIGHBOURS, devs, e);

	for (int i = 0; i < n; i++)
		if (update_notify(tk, devs[i], e) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

/* Leaf-first waits for all below: the nearest above that is not done may go on; it wakes others. */
static int wake_above(struct tracker *tk, const struct rollout *r, const char *parent,
		      struct err *e)
{
	struct device d = { .dev = 0 };
	struct update u;

	cause_copy(d.parent, sizeof(d.parent), parent);
	for (int i = 0; i < ANCESTORS_MAX && d.parent[0]; i++) {
		char id[NAME_TEXT];

		cause_copy(id, sizeof(id), d.parent);
		int found = store_device_get(tk->st, id, &d, e);
		if (found <= 0)
			return found;
		found = store_update_of(tk->st, d.dev, r->id, &u, e);
		if (found < 0)
			return -1;
		if (found > 0 && !update_state_terminal(u.state))
			return update_notify(tk, d.dev, e);
	}
	return 0;
}

/* Who waits for this one: above it, below it, or for its place below its parent. */
static int wake_around(struct tracker *tk, const struct rollout *r, int64_t dev, struct err *e)
{
	const struct rollout_limits *l = &r->limits;
	bool links = l->focus || l->link_in_flight > 0;
	struct device d;

	if (l->order == ORDER_ANY && !links)
		return 0;
	int found = store_device_by_dev(tk->st, dev, &d, e);
	if (found <= 0)
		return found;
	if (l->order == ORDER_LEAF_FIRST && wake_above(tk, r, d.parent, e) < 0)
		return -1;
	if (l->order == ORDER_CORE_FIRST && wake_below(tk, r, d.id, e) < 0)
		return -1;
	return links && d.parent[0] ? wake_below(tk, r, d.parent, e) : 0;
}

static int wake(struct tracker *tk, const struct rollout *r, const struct update *u, struct err *e)
{
	return wake_around(tk, r, u->dev, e) < 0 ? -1 : wake_waiting(tk, r, e);
}

static int check_running(struct tracker *tk, struct rollout *r, const struct update *u,
			 const struct counts *c, bool unreserved, const char *cause, struct err *e)
{
	bool failed = u->state == UPDATE_FAILED || u->state == UPDATE_TIMED_OUT ||
		      u->state == UPDATE_ROLLED_BACK;
	char reason[REASON_TEXT];

	if (r->ended == r->total)
		return rollout_set_state(tk, r, ROLLOUT_FINISHED, "", e);
	if (r->failed >= r->budget) {
		cause_format(reason, sizeof(reason),
			     "budget: %" PRId64 " of %" PRId64 " failures, the last: %s", r->failed,
			     r->budget, cause);
		return rollout_set_state(tk, r, ROLLOUT_PAUSED, reason, e);
	}
	if ((unreserved || c->failed > 0) && exceeded(r)) {
		cause_format(reason, sizeof(reason),
			     "budget: a fact after its slot was returned: %s", cause);
		return rollout_set_state(tk, r, ROLLOUT_PAUSED, reason, e);
	}
	int paused = failed && c->ended > 0 ? check_failures(tk, r, u, cause, e) : 0;
	if (paused != 0)
		return paused < 0 ? -1 : 0;
	return c->in_flight < 0 && r->planned > 0 ? wake(tk, r, u, e) : 0;
}

int rollout_moved(struct tracker *tk, const struct update *u, const struct counts *c,
		  bool unreserved, const char *cause, struct err *e)
{
	/* what may pause it, or makes room for others */
	bool shifts = c->failed > 0 || c->in_flight < 0 || unreserved;
	struct rollout r;

	if (c->ended == 0 && !shifts)
		return 0;
	int found = store_rollout_get(tk->st, u->rollout, &r, e);
	if (found <= 0)
		return found;
	/* open ones below its parent: leaf-first tells of them */
	if (c->ended != 0 && r.limits.order == ORDER_LEAF_FIRST &&
	    store_rollout_link_move(tk->st, r.id, u->dev, -c->ended, e) < 0)
		return -1;
	if (r.state != ROLLOUT_RUNNING || (c->ended <= 0 && !shifts))
		return 0;
	return check_running(tk, &r, u, c, unreserved, cause, e);
}
