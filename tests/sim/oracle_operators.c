/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* What operators ask for besides starting and holding: may it be, and what does it allow? */

bool oracle_commanded(const struct oracle *o, int rollout, enum command c)
{
	return o->said.what == HAPPENS_COMMAND && o->said.command == c && o->said.ref == rollout;
}

bool oracle_wants_approval(const struct oracle *o, int rollout)
{
	return o->rules.approve_above >= 0 &&
	       oracle_tally(o, rollout, 0).total > o->rules.approve_above;
}

/* More failures than were agreed to need the same agreement. */
static void raise_budget(struct oracle *o, struct o_rollout *r)
{
	const struct said *s = &o->said;

	if (!s->has_budget)
		return;
	if (s->budget < r->budget)
		oracle_fail(o, "rollout %d: its budget was lowered", s->ref);
	if (s->budget > r->budget && oracle_wants_approval(o, s->ref) && !s->other && !r->by_itself)
		oracle_fail(o, "rollout %d: its budget was raised by its own author", s->ref);
	r->budget = s->budget;
	o->rule[RULE_BUDGET]++;
}

static void retried(struct oracle *o, struct o_rollout *r)
{
	const struct o_release *rel = &o->now->release[r->release];
	struct o_tally t = oracle_tally(o, o->said.ref, 0);

	if (t.failed == 0 && t.timed_out == 0)
		oracle_fail(o, "rollout %d is tried again, and nothing has failed", o->said.ref);
	if (t.failed > 0 && t.failed >= r->budget)
		oracle_fail(o, "rollout %d is tried again without a slot for it", o->said.ref);
	if (rel->withdrawn || o->now->anchor[rel->anchor].revoked)
		oracle_fail(o, "rollout %d is tried again, its release is not to be offered",
			    o->said.ref);
	r->retrying = true;
	r->restarted = r->state == ROLLOUT_FINISHED;
	o->rule[RULE_RETRY]++;
}

/* Its words were good: from now on this is so. */
void oracle_verb(struct oracle *o)
{
	const struct said *s = &o->said;
	struct o_rollout *r = &o->now->rollout[s->ref < o->now->n_rollouts ? s->ref : 0];

	switch ((int)s->command) {
	case COMMAND_RETRY:
		raise_budget(o, r);
		retried(o, r);
		break;
	case COMMAND_RESUME:
		raise_budget(o, r);
		break;
	case COMMAND_AGREE:
		if (r->state != ROLLOUT_AWAITING_APPROVAL)
			oracle_fail(o, "rollout %d was approved, and did not wait for it", s->ref);
		if (!s->other && !r->by_itself)
			oracle_fail(o, "rollout %d was approved by its own author", s->ref);
		o->rule[RULE_APPROVAL]++;
		break;
	case COMMAND_ABORT:
		r->stopped |= s->force;
		break;
	case COMMAND_PAUSE:
		r->recalled |= s->force;
		break;
	default:
		break;
	}
}

/* The same again: target, phases, limits; a budget of everybody stays one. */
void oracle_clone(struct oracle *o, int of, int64_t id)
{
	struct o_model *m = o->now;
	struct o_rollout *r = &m->rollout[m->n_rollouts];

	*r = m->rollout[of];
	r->id = id;
	if (r->budget == oracle_tally(o, of, 0).total)
		r->budget = -1;
	r->state = ROLLOUT_CREATING;
	r->at_phase = 1;
	r->started = 0;
	r->retrying = r->restarted = r->stopped = r->recalled = r->by_itself = false;
	r->standing = 0;
	for (int i = 0; i < r->n_phases; i++)
		r->phase[i].opened = r->phase[i].closed = 0;
	m->n_rollouts++;
	o->rule[RULE_CLONE]++;
}

/* ---- rollouts that nobody made ---- */

static const struct o_standing *template_of(const struct oracle *o, int64_t id)
{
	for (int i = 0; i < o->now->n_standing; i++)
		if (id > 0 && o->now->standing[i].id == id)
			return &o->now->standing[i];
	return NULL;
}

static int release_of(const struct oracle *o, int64_t id)
{
	for (int i = 0; i < o->now->n_releases; i++)
		if (o->now->release[i].id == id)
			return i;
	return -1;
}

static const char *not_for(const struct oracle *o, const struct o_standing *t,
			   const struct o_release *r)
{
	if (!t->enabled)
		return "its template is switched off";
	if (t->urgency >= 0 && (int)r->urgency != t->urgency)
		return "its template is for another urgency";
	if (t->by_id && t->class_ != r->class_)
		return "its template is for other devices";
	if (!r->approved || r->withdrawn)
		return "its release is not approved";
	for (int i = 0; i < o->now->n_rollouts; i++)
		if (o->now->rollout[i].standing == t->id &&
		    o->now->release[o->now->rollout[i].release].id == r->id)
			return "its template made one of this release before";
	return NULL;
}

/* Whoever is of both; the model of a device need not be what its releases call theirs. */
static int meet(int template, int release)
{
	return template <0 || template == release ? release : O_NOBODY;
}

/* A template and a release: it is for the release's class only, and starts by itself. */
static void made(struct oracle *o, const struct rollout *row)
{
	const struct o_standing *t = template_of(o, row->standing);
	int release = release_of(o, row->release);
	struct o_model *m = o->now;

	if (!t || release < 0 || o->said.what != HAPPENS_JOB) {
		oracle_fail(o, "rollout %s was made by nobody", row->name);
		return;
	}
	const char *why = not_for(o, t, &m->release[release]);
	if (why)
		oracle_fail(o, "rollout %s was made: %s", row->name, why);
	if (m->n_rollouts == O_ROLLOUTS) {
		oracle_fail(o, "the model has no room for rollout %s", row->name);
		return;
	}
	oracle_trace(o, "rollout %d is made of a template: %s", m->n_rollouts, row->name);
	m->rollout[m->n_rollouts++] =
		(struct o_rollout){ .id = row->id,
				    .release = release,
				    .class_ = meet(t->class_, m->release[release].class_),
				    .budget = t->budget,
				    .n_phases = 2,
				    .phase = { { .count = t->count, .success = 50 },
					       { .percent = 100 } },
				    .state = ROLLOUT_CREATING,
				    .at_phase = 1,
				    .by_itself = true,
				    .standing = t->id };
	o->rule[RULE_STANDING]++;
}

void oracle_learn_rollouts(struct oracle *o)
{
	struct o_model *m = o->now;
	int64_t last = m->n_rollouts > 0 ? m->rollout[m->n_rollouts - 1].id : 0;
	struct rollout rows[8];
	int n;

	do {
		n = store_rollout_list(o->st, last, 8, rows, NULL);
		for (int i = 0; i < n && !o->failed; i++) {
			made(o, &rows[i]);
			last = rows[i].id;
		}
	} while (n == 8 && !o->failed);
	if (n < 0)
		oracle_fail(o, "rollouts cannot be read");
}

/* ---- devices ---- */

/* The first phase whose filter takes it, 0 none. */
int oracle_planned_phase(const struct oracle *o, int rollout, int dev)
{
	const struct o_rollout *r = &o->now->rollout[rollout];

	for (int i = 0; i < r->n_phases; i++)
		if (r->phase[i].tag > 0 && o->now->device[dev].tags >> (r->phase[i].tag - 1) & 1)
			return i + 1;
	return 0;
}
