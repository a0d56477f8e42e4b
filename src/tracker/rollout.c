/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "tracker/filter.h"
#include "tracker/internal.h"

#define DRY_RUN_PAGE 500
#define DRY_RUN_US 8000 /* a fleet takes longer: then the number is a lower bound */
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

/* Name, target, numbers and phases, before anything is written. */
static int check_spec(struct tracker *tk, const struct rollout_spec *s, struct filter **f,
		      struct err *e)
{
	if (!name_valid(slice_str(s->name)))
		return err_set(e, ERR_INVALID, "name: 1 to 64 of letters, digits, . _ : + -");
	if (s->budget < -1)
		return err_set(e, ERR_INVALID, "budget: must not be negative");
	if (s->in_flight < 0)
		return err_set(e, ERR_INVALID, "in_flight: must not be negative");
	if (phase_check(s, e) < 0)
		return -1;
	return filter_parse(s->target, tk->a, f, e) < 0 ? err_prefix(e, "target") : 0;
}

static int add_rows(struct tracker *tk, const struct rollout_spec *s, struct rollout *r,
		    struct err *e)
{
	struct phase phases[sizeof(s->phases) / sizeof(s->phases[0])];
	int n = s->n_phases > 0 ? s->n_phases : 1;

	memset(phases, 0, sizeof(phases));
	if (s->n_phases > 0)
		memcpy(phases, s->phases, (size_t)n * sizeof(phases[0]));
	else
		phases[0].percent = 100;
	for (int i = 0; i < n; i++)
		phases[i].number = i + 1;
	return store_rollout_add(tk->st, r, phases, n, e);
}

int rollout_create(struct tracker *tk, const struct rollout_spec *s, struct rollout *out,
		   struct job *job, struct err *e)
{
	struct release rel;
	struct filter *f;

	if (check_spec(tk, s, &f, e) < 0)
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

static int not_now(const struct rollout *r, const char *what, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "rollout %s is %s: it cannot be %s", r->name,
		       rollout_state_word(r->state), what);
}

static int open_first_phase(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct phase p;
	int n = store_phase_list(tk->st, r->id, &p, 1, e);

	if (n <= 0 || p.opened > 0)
		return n < 0 ? -1 : 0;
	return phase_open(tk, r, &p, e);
}

/* Running; who may be interested looks again, in slices. */
static int run(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct job job;

	if (rollout_set_state(tk, r, ROLLOUT_RUNNING, "", e) < 0)
		return -1;
	if (r->ended == r->total)
		return rollout_set_state(tk, r, ROLLOUT_FINISHED, "", e);
	return job_start(tk, "rollout-notify", r->id, &job, e);
}

int rollout_start(struct tracker *tk, struct rollout *r, struct err *e)
{
	struct release rel;

	if (r->state == ROLLOUT_CREATING)
		return err_set(e, ERR_CONFLICT, "rollout %s is still being created", r->name);
	if (r->state != ROLLOUT_READY)
		return not_now(r, "started", e);
	int found = store_release_get(tk->st, r->release, &rel, e);
	if (found <= 0)
		return found < 0 ? -1 : err_set(e, ERR_CONFLICT, "its release is gone");
	if (!release_offerable(tk, &rel, e))
		return err_prefix(e, "release %s", rel.name);
	if (open_first_phase(tk, r, e) < 0)
		return -1;
	r->started = tk->now.wall;
	return run(tk, r, e);
}

int rollout_pause(struct tracker *tk, struct rollout *r, const char *reason, struct err *e)
{
	if (r->state != ROLLOUT_RUNNING)
		return not_now(r, "paused", e);
	return rollout_set_state(tk, r, ROLLOUT_PAUSED, reason[0] ? reason : "by an operator", e);
}

int rollout_resume(struct tracker *tk, struct rollout *r, struct err *e)
{
	if (r->state != ROLLOUT_PAUSED)
		return not_now(r, "resumed", e);
	if (r->failed >= r->budget && r->ended < r->total)
		return err_set(e, ERR_CONFLICT,
			       "rollout %s: the budget of %" PRId64 " failures is used up", r->name,
			       r->budget);
	return run(tk, r, e);
}

int rollout_abort(struct tracker *tk, struct rollout *r, const char *reason, struct job *job,
		  struct err *e)
{
	if (r->state == ROLLOUT_FINISHED || r->state == ROLLOUT_ABORTED)
		return not_now(r, "aborted", e);
	if (rollout_set_state(tk, r, ROLLOUT_ABORTED, reason[0] ? reason : "by an operator", e) < 0)
		return -1;
	return job_start(tk, "rollout-abort", r->id, job, e);
}

int rollout_dry_run(struct tracker *tk, const struct rollout_spec *s, int64_t *devices, bool *exact,
		    struct err *e)
{
	int64_t page[DRY_RUN_PAGE], cursor = 0, until = clock_mono_us() + DRY_RUN_US;
	struct filter *f;

	if (check_spec(tk, s, &f, e) < 0)
		return -1;
	*devices = 0;
	*exact = false;
	do {
		int got = store_device_match(tk->st, f, &cursor, DRY_RUN_PAGE, DRY_RUN_PAGE, page,
					     exact, e);
		if (got < 0)
			return -1;
		*devices += got;
	} while (!*exact && clock_mono_us() < until);
	return 0;
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

static int check_running(struct tracker *tk, struct rollout *r, const struct counts *c,
			 bool unreserved, const char *cause, struct err *e)
{
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
	return c->in_flight < 0 && r->planned > 0 ? wake_waiting(tk, r, e) : 0;
}

int rollout_moved(struct tracker *tk, int64_t id, const struct counts *c, bool unreserved,
		  const char *cause, struct err *e)
{
	struct rollout r;

	if (c->ended <= 0 && c->failed <= 0 && c->in_flight >= 0 && !unreserved)
		return 0;
	int found = store_rollout_get(tk->st, id, &r, e);
	if (found <= 0 || r.state != ROLLOUT_RUNNING)
		return found < 0 ? -1 : 0;
	return check_running(tk, &r, c, unreserved, cause, e);
}
