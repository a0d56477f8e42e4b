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

struct tally {
	int64_t total, planned, flying, deferred, failed, succeeded, timed_out, ended;
};

static void add(struct tally *t, const struct o_update *u)
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
static struct tally tally(const struct oracle *o, int rollout, int64_t phase)
{
	struct tally t = { 0 };

	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];
		if (u->rollout == rollout && (phase == 0 || u->phase == phase))
			add(&t, u);
	}
	return t;
}

static int64_t size_of(const struct oracle *o, int rollout, const struct o_phase *p)
{
	struct tally all = tally(o, rollout, 0);

	return p->count > 0 ? p->count : (all.total * p->percent + 99) / 100;
}

static bool timed_out(const struct oracle *o, const struct o_phase *p)
{
	return p->timeout_s > 0 && p->opened > 0 && o->track >= p->opened + p->timeout_s * 1000;
}

static bool phase_done(const struct oracle *o, int rollout, int64_t number)
{
	const struct o_phase *p = &o->now->rollout[rollout].phase[number - 1];
	struct tally t = tally(o, rollout, number), all = tally(o, rollout, 0);

	if (timed_out(o, p))
		return true;
	/* who is not seen for three intervals does not hold up those who were */
	if (o->said.what == HAPPENS_JOB && t.total > 0 && t.ended == t.total &&
	    o->track >= p->opened + 3000 * o->rules.contact_s)
		return true;
	return t.ended == t.total && (t.total >= size_of(o, rollout, p) || all.planned == 0);
}

static bool phase_good(const struct oracle *o, int rollout, int64_t number)
{
	const struct o_phase *p = &o->now->rollout[rollout].phase[number - 1];
	struct tally t = tally(o, rollout, number);

	/* one that nobody came to has shown nothing, unless there was nobody */
	if (t.total == 0)
		return tally(o, rollout, 0).planned == 0 || size_of(o, rollout, p) == 0;
	return t.succeeded * 100 >= (p->success > 0 ? p->success : 100) * t.total;
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
	if (o->track < p->closed + p->soak_s * 1000)
		oracle_fail(o, "rollout %d: phase %" PRId64 " had not soaked", rollout, number - 1);
	if (!phase_good(o, rollout, number - 1))
		oracle_fail(o, "rollout %d: phase %" PRId64 " had too few successes", rollout,
			    number - 1);
	r->phase[number - 1].opened = o->track;
	r->at_phase = number;
}

static void follow_phases(struct oracle *o, int rollout, const struct rollout *row)
{
	struct o_rollout *r = &o->now->rollout[rollout];

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
			follow_phases(o, u->rollout, &row);
	}
}

static void check_phases(struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	struct phase rows[O_PHASES];
	int n = store_phase_list(o->st, r->id, rows, O_PHASES, NULL);

	for (int i = 0; i < n && i < r->n_phases && !o->failed; i++) {
		struct tally t = tally(o, rollout, i + 1);

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
	}
}

/* ---- offers ---- */

static const char *phase_forbids(const struct oracle *o, const struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];
	const struct o_phase *p = &r->phase[r->at_phase - 1];

	if (u->joined || r->at_phase == r->n_phases)
		return NULL;
	if (p->closed > 0 || timed_out(o, p))
		return "its phase is over";
	if (tally(o, u->rollout, r->at_phase).total >= size_of(o, u->rollout, p))
		return "its phase is full";
	return NULL;
}

static const char *release_forbids(const struct oracle *o, const struct o_update *u)
{
	const struct o_release *r = &o->now->release[u->release];
	const struct o_device *d = &o->now->device[u->dev];

	if (!r->approved)
		return "its release is not approved";
	if (r->withdrawn)
		return "its release was withdrawn";
	if (r->use_before > 0 && (!o->trusted || o->wall >= r->use_before))
		return "its manifest has expired, or nobody knows";
	if (o->now->anchor[r->anchor].revoked)
		return "its signer was revoked";
	if (r->sequence < o->now->class_floor[r->class_])
		return "it is below the floor of its class";
	if (d->has_floor && r->sequence < d->floor)
		return "it is older than what the device has or was offered";
	return r->class_ == d->class_ ? NULL : "it is for another kind of device";
}

static const char *time_forbids(const struct oracle *o, const struct o_update *u)
{
	bool late = u->deadline > 0 && o->track >= u->deadline;

	if (!u->waits || o->track >= u->earliest || o->said.what == HAPPENS_DECIDE)
		return NULL;
	if (u->state == UPDATE_DEFERRED)
		return late ? NULL : "it was put off until later";
	return "its back-off is not over";
}

/* Pace and links: judged with the update still on the ground. */
static const char *pace_forbids(const struct oracle *o, const struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];
	int parent = o->now->device[u->dev].parent;
	int64_t minute = 0, flying = 0, link = 0;

	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *other = &o->now->update[i];
		bool mine = other->rollout == u->rollout, flies = oracle_flies(other->state);

		minute += mine && other->taken > 0 && other->taken > o->track - 60000;
		flying += mine && flies;
		link += flies && parent >= 0 && o->now->device[other->dev].parent == parent;
	}
	if (r->per_minute > 0 && minute >= r->per_minute)
		return "its rollout goes slower";
	if (r->most > 0 && flying >= r->most)
		return "its rollout has enough in flight";
	if (r->focus && link > 0)
		return "its link has another one in its focus";
	return r->per_link > 0 && link >= r->per_link ? "its link is busy" : NULL;
}

static const char *forbids(struct oracle *o, const struct o_update *u)
{
	const struct o_device *d = &o->now->device[u->dev];
	const char *why = release_forbids(o, u);

	if (o->offers > 0)
		return "it is the second one at once";
	if (u->state != UPDATE_PLANNED && u->state != UPDATE_DEFERRED)
		return "it was offered before";
	if (!why && d->mode == MODE_SERVER && o->said.what == HAPPENS_POLL)
		why = "its device does not ask";
	if (!why && o->now->rollout[u->rollout].state != ROLLOUT_RUNNING)
		why = "its rollout does not run";
	if (!why)
		why = phase_forbids(o, u);
	if (!why)
		why = pace_forbids(o, u);
	if (!why)
		why = time_forbids(o, u);
	if (!why)
		why = oracle_window_forbids(o, u);
	if (!why)
		why = oracle_status_forbids(o, u);
	if (!why)
		why = oracle_order_forbids(o, u);
	return why ? why : oracle_outage_forbids(o, u);
}

/* Called with the update as it was before. */
void oracle_offer(struct oracle *o, struct o_update *u)
{
	struct o_device *d = &o->now->device[u->dev];
	const struct o_release *rel = &o->now->release[u->release];
	const char *why = forbids(o, u);

	if (why)
		oracle_fail(o, "update %" PRId64 " of device %d was offered: %s", u->id, u->dev,
			    why);
	o->offers++;
	o->offered = (int)u->id;
	u->waits = false;
	u->taken = o->track;
	u->word_boot = d->n_boots > 0 ? d->boots[0].boot : 0;
	u->deadline = oracle_deadline(o, u);
	if (!d->has_floor || d->floor < rel->sequence)
		d->floor = rel->sequence;
	d->has_floor = true;
}

/* ---- states of rollouts ---- */

static bool commanded(const struct oracle *o, int rollout, enum command c)
{
	return o->said.what == HAPPENS_COMMAND && o->said.command == c && o->said.ref == rollout;
}

static const char *may_pause(struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	struct tally t = tally(o, rollout, 0);

	if (commanded(o, rollout, COMMAND_PAUSE) || o->exceeded[rollout] ||
	    (r->budget >= 0 && t.failed >= r->budget) || !phase_good(o, rollout, r->at_phase) ||
	    (r->window == 0 && r->budget >= 0 && t.failed + t.flying > r->budget))
		return NULL;
	return "nobody asked for it, and nothing is wrong";
}

static const char *may_become(struct oracle *o, int rollout, enum rollout_state to)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	struct tally t = tally(o, rollout, 0);

	if (r->state == ROLLOUT_FINISHED || r->state == ROLLOUT_ABORTED)
		return "it had ended";
	switch (to) {
	case ROLLOUT_READY:
		return o->said.what == HAPPENS_JOB ? NULL : "no job has planned it";
	case ROLLOUT_RUNNING:
		return commanded(o, rollout, COMMAND_START) || commanded(o, rollout, COMMAND_RESUME)
			       ? NULL
			       : "nobody started it";
	case ROLLOUT_PAUSED:
		return may_pause(o, rollout);
	case ROLLOUT_FINISHED:
		return t.ended == t.total ? NULL : "some of its updates have not ended";
	case ROLLOUT_ABORTED:
		return commanded(o, rollout, COMMAND_ABORT) ||
				       o->now->release[r->release].withdrawn ||
				       o->now->anchor[o->now->release[r->release].anchor].revoked
			       ? NULL
			       : "nobody asked for it";
	case ROLLOUT_DRAFT:
	case ROLLOUT_CREATING:
	case ROLLOUT_AWAITING_APPROVAL:
	case ROLLOUT_STATE_COUNT:
		break;
	}
	return "it cannot";
}

static void follow_state(struct oracle *o, int rollout, const struct rollout *row)
{
	struct o_rollout *r = &o->now->rollout[rollout];

	if (row->state == r->state)
		return;
	oracle_trace(o, "rollout %d: %s -> %s %s", rollout, rollout_state_word(r->state),
		     rollout_state_word(row->state), row->reason);
	const char *why = may_become(o, rollout, row->state);
	if (why)
		oracle_fail(o, "rollout %d became %s: %s (%s)", rollout,
			    rollout_state_word(row->state), why, row->reason);
	if (r->budget < 0 && row->state == ROLLOUT_READY)
		r->budget = tally(o, rollout, 0).total;
	if (r->started == 0 && commanded(o, rollout, COMMAND_START))
		r->started = r->phase[0].opened = o->track;
	r->state = row->state;
}

static void check_counters(struct oracle *o, int rollout, const struct rollout *row)
{
	struct tally t = tally(o, rollout, 0);

	if (row->total != t.total || row->planned != t.planned || row->in_flight != t.flying ||
	    row->deferred != t.deferred || row->failed != t.failed ||
	    row->succeeded != t.succeeded || row->timed_out != t.timed_out || row->ended != t.ended)
		oracle_fail(o,
			    "rollout %d: counted %" PRId64 " planned, %" PRId64
			    " in flight, %" PRId64 " deferred, %" PRId64 " failed, %" PRId64
			    " ended of %" PRId64 "; stored: %" PRId64 ", %" PRId64 ", %" PRId64
			    ", %" PRId64 ", %" PRId64 " of %" PRId64,
			    rollout, t.planned, t.flying, t.deferred, t.failed, t.ended, t.total,
			    row->planned, row->in_flight, row->deferred, row->failed, row->ended,
			    row->total);
}

/* With the budget used up, or more than that, nothing goes on. */
static void check_goes_on(struct oracle *o, int rollout)
{
	const struct o_rollout *r = &o->now->rollout[rollout];
	struct tally t = tally(o, rollout, 0);

	if (r->state != ROLLOUT_RUNNING || r->budget < 0)
		return;
	if (o->exceeded[rollout])
		oracle_fail(o, "rollout %d has more out than its budget, and runs on", rollout);
	if (t.failed > 0 && t.failed >= r->budget)
		oracle_fail(o, "rollout %d has used up its budget, and runs on", rollout);
	if (t.ended == t.total)
		oracle_fail(o, "rollout %d is over, and runs on", rollout);
}

void oracle_rollouts(struct oracle *o)
{
	struct rollout row;

	for (int i = 0; i < o->now->n_rollouts && !o->failed; i++) {
		if (!o->touched[i])
			continue;
		if (store_rollout_get(o->st, o->now->rollout[i].id, &row, NULL) != 1) {
			oracle_fail(o, "rollout %d is gone", i);
			return;
		}
		follow_phases(o, i, &row);
		follow_state(o, i, &row);
		check_counters(o, i, &row);
		check_phases(o, i);
		check_goes_on(o, i);
	}
}
