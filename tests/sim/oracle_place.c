/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* Where a device is in the network, and how it is at the moment. */

#define DAY_S 86400

bool oracle_expired(const struct oracle *o, const struct o_release *r)
{
	return r->use_before > 0 && o->trusted && o->wall >= r->use_before;
}

/* ---- its service ---- */

void oracle_keep_status(struct oracle *o, const struct said *s)
{
	struct o_device *d = &o->now->device[s->dev];

	/* who registers and says nothing of it is not known any more */
	if (!s->has_status && s->what == HAPPENS_REPORT)
		return;
	memcpy(d->service, s->has_status ? s->service : "", s->has_status ? sizeof(d->service) : 1);
	d->flash = s->has_status ? s->flash : -1;
	d->status_at = s->has_status ? o->track : 0;
}

const char *oracle_status_forbids(struct oracle *o, const struct o_update *u)
{
	const struct o_device *d = &o->now->device[u->dev];
	bool idle = d->service[0] == '\0' || strcmp(d->service, "idle") == 0;

	if (d->flash >= 0 && d->flash < o->now->release[u->release].size)
		return "its device has no room for it";
	if (!idle && o->rules.class_[u->urgency].idle_only)
		return "its device is not idle";
	if (d->mode == MODE_SERVER && strcmp(d->service, "critical") == 0)
		return "its device must not be interrupted";
	o->rule[RULE_STATUS] += d->service[0] != '\0';
	return NULL;
}

/* ---- above and below ---- */

static bool is_below(const struct oracle *o, int dev, int above)
{
	int at = o->now->device[dev].parent;

	/* in a ring it would never end */
	for (int i = 0; i < O_DEVICES && at >= 0; i++, at = o->now->device[at].parent)
		if (at == above)
			return true;
	return false;
}

/* It has said something in the last three intervals, by any clock. */
static bool alive(const struct oracle *o, int dev)
{
	const struct o_device *d = &o->now->device[dev];
	int64_t patience = 3000 * o->rules.contact_s;

	if (patience < 900000)
		patience = 900000;
	return d->heard > 0 && o->track - d->heard < patience && o->wall - d->heard_wall < patience;
}

/* Another's update of the same rollout that is to be waited for: not for one that waits for us. */
static bool holds_up(const struct oracle *o, const struct o_update *u, const struct o_update *other)
{
	if (other->rollout != u->rollout || oracle_ended(other->state))
		return false;
	if (other->state != UPDATE_PLANNED)
		return true;
	return alive(o, other->dev) && oracle_may_come(o, other);
}

const char *oracle_order_forbids(struct oracle *o, const struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];

	if (r->order == ORDER_ANY || u->attempt > 1 || u->state != UPDATE_PLANNED ||
	    is_below(o, u->dev, u->dev))
		return NULL;
	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *other = &o->now->update[i];

		if (!holds_up(o, u, other))
			continue;
		if (r->order == ORDER_LEAF_FIRST && is_below(o, other->dev, u->dev))
			return "what is below its device is not done";
		if (r->order == ORDER_CORE_FIRST && is_below(o, u->dev, other->dev))
			return "what is above its device is not done";
	}
	o->rule[r->order == ORDER_LEAF_FIRST ? RULE_LEAF_FIRST : RULE_CORE_FIRST]++;
	return NULL;
}

/* ---- outages ---- */

bool oracle_is_below(const struct oracle *o, int dev, int64_t update)
{
	struct o_update *u = NULL;

	for (int i = 0; i < o->now->n_updates; i++)
		if (o->now->update[i].id == update)
			u = &o->now->update[i];
	return u && is_below(o, dev, u->dev);
}

void oracle_told(struct oracle *o, int dev, int64_t update)
{
	struct o_update *u = oracle_update(o, update);

	if (u)
		u->told |= UINT64_C(1) << dev;
}

/* Untold, it was at least waited for as long as it takes it to come. */
static bool waited_for(struct oracle *o, const struct o_update *u, int dev)
{
	int64_t patience = o->rules.contact_s < DAY_S ? o->rules.contact_s : DAY_S;
	struct outage row;

	if (store_outage_get(o->st, o->now->device[dev].row, u->id, &row, NULL) != 1)
		return false;
	return o->track >= row.until &&
	       row.until >= o->now->rollout[u->rollout].started + patience * 1000;
}

const char *oracle_outage_forbids(struct oracle *o, const struct o_update *u)
{
	if (o->rules.class_[u->urgency].outage_s == 0)
		return NULL;
	for (int i = 0; i < o->now->n_devices; i++) {
		if (!is_below(o, i, u->dev))
			continue;
		if (!(u->told >> i & 1) && !waited_for(o, u, i))
			return "nobody told who is below its device";
		o->rule[RULE_OUTAGE]++;
	}
	return NULL;
}
