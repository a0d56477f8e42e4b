/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* ---- offers ---- */

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
		/* its own, which makes room, holds it up nowhere */
		link += flies && parent >= 0 && other->dev != u->dev &&
			o->now->device[other->dev].parent == parent;
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

	bool called = o->said.what == HAPPENS_PASS || o->said.what == HAPPENS_ANSWER;

	if (o->offers > 0 && o->said.what != HAPPENS_PASS)
		return "it is the second one at once";
	if (u->state != UPDATE_PLANNED && u->state != UPDATE_DEFERRED)
		return "it was offered before";
	if (!why && d->mode == MODE_SERVER && o->said.what == HAPPENS_POLL)
		why = "its device does not ask";
	if (!why && d->mode != MODE_SERVER && called)
		why = "its device was not asked";
	if (!why && d->disabled)
		why = "its device is shut out";
	if (!why && o->now->rollout[u->rollout].state != ROLLOUT_RUNNING)
		why = "its rollout does not run";
	if (!why)
		why = oracle_phase_forbids(o, u);
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
	/* what opened the next phase in this pass may be told by its rows alone */
	if (o->said.what == HAPPENS_PASS)
		oracle_phases(o, u->dev);
	const char *why = forbids(o, u);

	if (why)
		oracle_fail(o, "update %" PRId64 " of device %d was offered: %s", u->id, u->dev,
			    why);
	o->offers++;
	o->offered = (int)u->id;
	u->waits = false;
	u->taken = o->track;
	/* what it was sent before, it is sent again */
	d->call.of = 0;
	u->word_boot = d->n_boots > 0 ? d->boots[0].boot : 0;
	u->deadline = oracle_deadline(o, u);
	if (!d->has_floor || d->floor < rel->sequence)
		d->floor = rel->sequence;
	d->has_floor = true;
}
