/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* What operators do with devices, and what holds from then on. */

bool oracle_shut_out(const struct oracle *o, int dev)
{
	return o->now->device[dev].disabled || o->now->device[dev].gone;
}

/* It is treated by what it is now, whatever was begun before. */
void oracle_edited(struct oracle *o, int dev, const struct o_device *as)
{
	struct o_device *d = &o->now->device[dev];

	o->rule[RULE_MODE] += !d->gone && d->mode != as->mode;
	o->rule[RULE_CLASS] += !d->gone && d->class_ != as->class_;
	o->rule[RULE_ENROLLED] += d->gone;
	/* in a mode that has no use for it what it has may have been forgotten */
	bool anew = d->call.anew || d->mode != as->mode;
	*d = *as;
	d->call.anew = anew;
}

/* Nothing of it is left but what its updates were charged; who comes by its name is another. */
void oracle_removed(struct oracle *o, int dev)
{
	struct o_model *m = o->now;
	struct o_device *d = &m->device[dev];

	for (int i = 0; i < m->n_updates; i++) {
		struct o_update *u = &m->update[i];

		u->told &= ~(UINT64_C(1) << dev);
		if (u->dev != dev || u->gone)
			continue;
		if (oracle_flies(u->state) && u->state >= UPDATE_INSTALLING)
			oracle_fail(o, "device %d was removed while it is being installed", dev);
		u->gone = true;
	}
	for (int i = 0; i < O_WINDOWS; i++)
		if (m->window[i].level == WINDOW_DEVICE && m->window[i].ref == dev)
			m->window[i].id = 0;
	*d = (struct o_device){ .row = -d->row,
				.class_ = d->class_,
				.mode = d->mode,
				.parent = -1,
				.flash = -1,
				.gone = true };
}

/* What waits, or has not begun to be installed, is cancelled with it; what ended stays so. */
const char *oracle_gone(const struct oracle *o, const struct o_update *u, enum update_state from,
			enum update_state to)
{
	if (o->said.what != HAPPENS_COMMAND || o->said.command != COMMAND_REMOVE ||
	    o->said.ref != u->dev)
		return "its device is gone";
	return to == UPDATE_CANCELLED && !oracle_ended(from) ? NULL : "its device was removed";
}

/* It runs by its device's own word, or from before, and is for another kind. */
bool oracle_misfit(const struct oracle *o, const struct o_update *u, enum update_state from)
{
	return oracle_flies(from) && from < UPDATE_INSTALLING &&
	       o->now->release[u->release].class_ != o->now->device[u->dev].class_;
}

bool oracle_missed(const struct oracle *o, const struct o_update *u, enum update_state from)
{
	return (from == UPDATE_PLANNED || from == UPDATE_DEFERRED) &&
	       o->now->rollout[u->rollout].state == ROLLOUT_RUNNING &&
	       o->now->release[u->release].class_ != o->now->device[u->dev].class_;
}

/* Whoever has said what it is, asked, and ran nothing, waits for nothing that is not for it. */
void oracle_check_missed(struct oracle *o)
{
	const struct o_device *d = &o->now->device[o->said.dev];
	int open = 0;

	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];
		bool moved = u->entered == o->track;

		if (u->dev != o->said.dev || u->gone)
			continue;
		/* nothing else is looked at in the ask that ends, or puts back, what ran */
		if ((moved && u->flew) || (!oracle_ended(u->state) && u->state != UPDATE_PLANNED))
			return;
		open += moved || !oracle_ended(u->state);
	}
	/* one ask looks at so many */
	if (d->mode == MODE_SERVER || !d->registered || open > 16)
		return;
	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];

		if (u->dev == o->said.dev && !u->gone && oracle_missed(o, u, u->state))
			oracle_fail(o,
				    "device %d is of another kind, and waits for update %" PRId64,
				    u->dev, u->id);
	}
}

/* Of another kind: what runs and is not for that goes back, or ends with its rollout. */
const char *oracle_kind(struct oracle *o, struct o_update *u, enum update_state from,
			enum update_state to)
{
	bool told = o->said.command == COMMAND_DEVICE && o->said.ref == u->dev;

	if (o->said.what == HAPPENS_COMMAND && !told)
		return "nothing that was asked for may move it";
	if (!oracle_misfit(o, u, from))
		return "it is for that kind of device, or does not run";
	if (to == UPDATE_PLANNED) {
		u->waits = false;
		o->rule[RULE_KIND]++;
		return NULL;
	}
	return to == UPDATE_CANCELLED && oracle_aborted(o, u) ? NULL : "it may wait";
}

/* From now on nothing runs that is not for it. */
static void check_kind(struct oracle *o)
{
	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];

		if (u->dev == o->said.ref && oracle_misfit(o, u, u->state))
			oracle_fail(o, "device %d is of another kind, and update %" PRId64 " is %s",
				    u->dev, u->id, update_state_word(u->state));
	}
}

/* Of its updates none is open, and none holds a slot. */
static void check_removed(struct oracle *o)
{
	for (int i = 0; i < o->now->n_updates; i++) {
		struct o_update *u = &o->now->update[i];

		if (u->dev != o->said.ref || !u->gone)
			continue;
		if (!oracle_ended(u->state))
			oracle_fail(o, "device %d is removed, its update %" PRId64 " is %s", u->dev,
				    u->id, update_state_word(u->state));
		oracle_check_row(o, u);
	}
}

/* Refused, while its flash is written. */
static bool installs(const struct oracle *o, int dev)
{
	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];

		if (u->dev == dev && oracle_flies(u->state) && u->state >= UPDATE_INSTALLING)
			return true;
	}
	return false;
}

/* Whoever is shut out gets no good answer, and no update; who is removed has none. */
void oracle_check_shut_out(struct oracle *o, const struct heard *h)
{
	int dev = o->said.dev;

	if (o->said.what == HAPPENS_COMMAND && o->said.command == COMMAND_REMOVE) {
		if (h->status < 300)
			check_removed(o);
		else if (!o->now->device[o->said.ref].gone && !installs(o, o->said.ref))
			oracle_fail(o, "device %d cannot be removed: %u", o->said.ref, h->status);
	}
	if (o->said.what == HAPPENS_COMMAND && o->said.command == COMMAND_DEVICE && h->status < 300)
		check_kind(o);
	if (dev < 0 || !oracle_shut_out(o, dev))
		return;
	o->rule[o->now->device[dev].gone ? RULE_REMOVED : RULE_SHUT_OUT]++;
	/* an answer to what it was called for before is what it is, and leads to no other call */
	if (h->status < 300 && o->said.what != HAPPENS_ANSWER)
		oracle_fail(o, "device %d is shut out, and was answered %u", dev, h->status);
}
