/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

void oracle_counts(const struct oracle *o, int rollout, int64_t *failed, int64_t *flying)
{
	*failed = *flying = 0;
	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];
		if (u->rollout != rollout)
			continue;
		*failed += u->charged;
		*flying += oracle_flies(u->state);
	}
}

/* ---- phases ---- */

static void add(struct o_tally *t, const struct o_update *u)
{
	t->total++;
	t->planned += u->state == UPDATE_PLANNED;
	t->flying += oracle_flies(u->state);
	t->deferred += u->state == UPDATE_DEFERRED;
	t->failed += u->charged;
	t->succeeded += u->state == UPDATE_SUCCEEDED;
	t->timed_out += u->state == UPDATE_TIMED_OUT;
	t->ended += oracle_ended(u->state);
}

/* phase 0: of all of the rollout */
struct o_tally oracle_tally(const struct oracle *o, int rollout, int64_t phase)
{
	struct o_tally t = { 0 };

	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];
		if (u->rollout == rollout && (phase == 0 || u->phase == phase))
			add(&t, u);
	}
	return t;
}

/* Those whom the filter of this phase took, or of a later one, and who did not come yet. */
static int64_t expected(const struct oracle *o, int rollout, int64_t number, bool later)
{
	int64_t n = 0;

	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];
		bool mine = later ? u->planned_phase > number : u->planned_phase == number;
		n += u->rollout == rollout && mine && !u->joined && !oracle_ended(u->state);
	}
	return n;
}

static int64_t size_of(const struct oracle *o, int rollout, int64_t number)
{
	const struct o_phase *p = &o->now->rollout[rollout].phase[number - 1];
	struct o_tally all = oracle_tally(o, rollout, 0);

	if (p->tag > 0)
		return oracle_tally(o, rollout, number).total + expected(o, rollout, number, false);
	return p->count > 0 ? p->count : (all.total * p->percent + 99) / 100;
}

/* Is there nobody who may still come to it? */
static bool deserted(const struct oracle *o, int rollout, int64_t number)
{
	return oracle_tally(o, rollout, 0).planned <= expected(o, rollout, number, true);
}

static bool timed_out(const struct oracle *o, const struct o_phase *p)
{
	return p->timeout_s > 0 && p->opened > 0 && o->track >= p->opened + p->timeout_s * 1000;
}

static bool phase_done(const struct oracle *o, int rollout, int64_t number)
{
	const struct o_phase *p = &o->now->rollout[rollout].phase[number - 1];
	struct o_tally t = oracle_tally(o, rollout, number);

	/* or somebody said so */
	if (timed_out(o, p) || oracle_commanded(o, rollout, COMMAND_NEXT))
		return true;
	/* who is not seen for three intervals does not hold up those who were */
	if (o->said.what == HAPPENS_JOB && t.total > 0 && t.ended == t.total &&
	    o->track >= p->opened + 3000 * o->rules.contact_s)
		return true;
	return t.ended == t.total &&
	       (t.total >= size_of(o, rollout, number) || deserted(o, rollout, number));
}

bool oracle_phase_good(const struct oracle *o, int rollout, int64_t number)
{
	const struct o_phase *p = &o->now->rollout[rollout].phase[number - 1];
	struct o_tally t = oracle_tally(o, rollout, number);

	/* one that nobody came to has shown nothing, unless there was nobody */
	if (t.total == 0)
		return deserted(o, rollout, number) || size_of(o, rollout, number) == 0;
	return t.succeeded * 100 >= (p->success > 0 ? p->success : 100) * t.total;
}

/* One that ends in this moment is judged in it if it has nothing to soak. */
bool oracle_phase_bad(const struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	const struct o_phase *p = &r->phase[r->at_phase - 1];
	int64_t since = p->closed > 0 ? p->closed : o->track;
	bool soaked = r->at_phase == r->n_phases || o->track >= since + p->soak_s * 1000;

	return soaked && (p->closed > 0 || phase_done(o, rollout, r->at_phase)) &&
	       !oracle_phase_good(o, rollout, r->at_phase);
}

/*
 * Whoever lets it go on, or tries some of it again, does not want to be told at once what was
 * said before: where any of the phase are at it still, or none came, it has all its time again.
 */
void oracle_phase_again(struct oracle *o, int rollout, const struct rollout *row)
{
	struct o_rollout *r = &o->now->rollout[rollout];
	struct o_phase *p = &r->phase[r->at_phase - 1];
	struct o_tally t = oracle_tally(o, rollout, r->at_phase);
	bool resumed = r->state == ROLLOUT_PAUSED && row->state != ROLLOUT_PAUSED &&
		       oracle_commanded(o, rollout, COMMAND_RESUME);
	bool asked = r->put_back || resumed;

	r->put_back = false;
	/* nothing waits for the last */
	if (!asked || r->at_phase == r->n_phases || (p->closed == 0 && !timed_out(o, p)) ||
	    oracle_phase_good(o, rollout, r->at_phase) || (t.total > 0 && t.ended == t.total))
		return;
	p->closed = 0;
	p->opened = o->track;
	o->rule[RULE_AGAIN]++;
}

static void phase_closes(struct oracle *o, int rollout, int64_t number)
{
	struct o_phase *p = &o->now->rollout[rollout].phase[number - 1];

	if (p->closed > 0)
		return;
	p->closed = o->track;
	if (!phase_done(o, rollout, number))
		oracle_fail(o, "rollout %d: phase %" PRId64 " ended before its devices did",
			    rollout, number);
}

/* The next one opens only behind one that has ended well, and has soaked. */
static void phase_opens(struct oracle *o, int rollout, int64_t number)
{
	struct o_rollout *r = &o->now->rollout[rollout];
	struct o_phase *p = &r->phase[number - 2];

	phase_closes(o, rollout, number - 1);
	if (oracle_commanded(o, rollout, COMMAND_NEXT)) {
		o->rule[RULE_NEXT]++;
		goto opened;
	}
	if (o->track < p->closed + p->soak_s * 1000)
		oracle_fail(o, "rollout %d: phase %" PRId64 " had not soaked", rollout, number - 1);
	if (!oracle_phase_good(o, rollout, number - 1))
		oracle_fail(o, "rollout %d: phase %" PRId64 " had too few successes", rollout,
			    number - 1);
opened:
	r->phase[number - 1].opened = o->track;
	r->at_phase = number;
}

void oracle_follow_phases(struct oracle *o, int rollout, const struct rollout *row)
{
	struct o_rollout *r = &o->now->rollout[rollout];

	if (oracle_commanded(o, rollout, COMMAND_NEXT) && row->phase > r->at_phase + 1)
		oracle_fail(o, "rollout %d: more than the next phase was opened", rollout);
	while (r->at_phase < row->phase && r->at_phase < r->n_phases && !o->failed)
		phase_opens(o, rollout, r->at_phase + 1);
	if (row->phase < r->at_phase)
		oracle_fail(o, "rollout %d: phase %" PRId64 " opened again", rollout, row->phase);
}

/* Who asks may be told no, and have opened the next phase all the same. */
void oracle_phases(struct oracle *o, int dev)
{
	for (int i = 0; i < o->now->n_updates && !o->failed; i++) {
		const struct o_update *u = &o->now->update[i];
		const struct o_rollout *r = &o->now->rollout[u->rollout];
		struct rollout row;

		if (u->dev == dev && !oracle_ended(u->state) && r->at_phase < r->n_phases &&
		    r->state == ROLLOUT_RUNNING && store_rollout_get(o->st, r->id, &row, NULL) == 1)
			oracle_follow_phases(o, u->rollout, &row);
	}
}

void oracle_check_phases(struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	struct phase rows[O_PHASES];
	int n = store_phase_list(o->st, r->id, rows, O_PHASES, NULL);

	for (int i = 0; i < n && i < r->n_phases && !o->failed; i++) {
		struct o_tally t = oracle_tally(o, rollout, i + 1);

		if (rows[i].total != t.total || rows[i].done != t.ended ||
		    rows[i].failed != t.failed || rows[i].succeeded != t.succeeded)
			oracle_fail(o,
				    "rollout %d, phase %d: %" PRId64 " joined, %" PRId64
				    " done, %" PRId64 " failed, %" PRId64 " succeeded; stored: "
				    "%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64,
				    rollout, i + 1, t.total, t.ended, t.failed, t.succeeded,
				    rows[i].total, rows[i].done, rows[i].failed, rows[i].succeeded);
		if (rows[i].closed > 0)
			phase_closes(o, rollout, i + 1);
		if ((rows[i].closed > 0) != (r->phase[i].closed > 0) ||
		    rows[i].track_opened != r->phase[i].opened)
			oracle_fail(o,
				    "rollout %d, phase %d: opened at %" PRId64 ", %s; stored: "
				    "%" PRId64 ", %s",
				    rollout, i + 1, r->phase[i].opened,
				    r->phase[i].closed > 0 ? "over" : "open", rows[i].track_opened,
				    rows[i].closed > 0 ? "over" : "open");
	}
}

/* Is it one of those whom the phase its rollout is in is for? */
bool oracle_may_come(const struct oracle *o, const struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];

	if (u->joined || r->at_phase == r->n_phases)
		return true;
	if (u->planned_phase > 0)
		return u->planned_phase <= r->at_phase;
	return r->phase[r->at_phase - 1].tag == 0;
}

const char *oracle_phase_forbids(const struct oracle *o, const struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];
	const struct o_phase *p = &r->phase[r->at_phase - 1];

	if (u->joined || r->at_phase == r->n_phases)
		return NULL;
	if (p->closed > 0 || timed_out(o, p))
		return "its phase is over";
	if (!oracle_may_come(o, u))
		return "its phase is another one";
	if (p->tag == 0 &&
	    oracle_tally(o, u->rollout, r->at_phase).total >= size_of(o, u->rollout, r->at_phase))
		return "its phase is full";
	return NULL;
}
