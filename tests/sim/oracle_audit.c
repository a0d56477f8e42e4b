/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* What is stored against the model. */

#define PAGE 256

/* What is stored of it says the same as the model. */
void oracle_check_row(struct oracle *o, struct o_update *u)
{
	struct update row;
	struct err e = { 0 };

	int found = store_update_get(o->st, u->id, &row, &e);
	if (u->gone && found == 0)
		return; /* its history and what was counted stay */
	if (u->gone && found > 0)
		oracle_fail(o, "update %" PRId64 " is there, and its device was removed", u->id);
	if (found != 1) {
		oracle_fail(o, "update %" PRId64 " cannot be read: %s", u->id, e.text);
		return;
	}
	if (row.state != u->state || row.attempt != u->attempt || row.deferrals != u->deferrals)
		oracle_fail(o,
			    "update %" PRId64 " is %s, attempt %d, put off %d times; stored: "
			    "%s, %u, %u",
			    u->id, update_state_word(u->state), u->attempt, u->deferrals,
			    update_state_word(row.state), row.attempt, row.deferrals);
	if (row.charged != u->charged || row.reserved != oracle_flies(u->state))
		oracle_fail(o, "update %" PRId64 " (%s) is charged %d, reserved %d; stored: %d, %d",
			    u->id, update_state_word(u->state), u->charged, oracle_flies(u->state),
			    row.charged, row.reserved);
	if (row.phase != u->phase)
		oracle_fail(o, "update %" PRId64 " joined in phase %" PRId64 ", stored: %" PRId64,
			    u->id, u->phase, row.phase);
}

/* ---- now and then, and after each crash: everything ---- */

static void check_device(struct oracle *o, int i)
{
	const struct o_device *d = &o->now->device[i];
	struct device row;
	struct device_live live;

	if (d->gone) {
		if (store_device_by_dev(o->st, -d->row, &row, NULL) != 0)
			oracle_fail(o, "device %d was removed, and is there", i);
		return;
	}
	if (store_device_by_dev(o->st, d->row, &row, NULL) != 1 ||
	    store_live_get(o->st, d->row, &live, NULL) < 0) {
		oracle_fail(o, "device %d is gone", i);
		return;
	}
	if (row.has_floor != d->has_floor || (d->has_floor && row.floor_sequence != d->floor))
		oracle_fail(o, "device %d has floor %" PRIu64 ", stored: %" PRIu64, i, d->floor,
			    row.floor_sequence);
	if (row.mode != d->mode)
		oracle_fail(o, "device %d is in another mode", i);
	if (live.n_boots != d->n_boots)
		oracle_fail(o, "device %d spoke in %d boots, stored: %u", i, d->n_boots,
			    live.n_boots);
	for (int k = 0; k < d->n_boots && k < live.n_boots; k++)
		if (live.boots[k].boot != d->boots[k].boot ||
		    live.boots[k].high != d->boots[k].high)
			oracle_fail(o, "device %d: its boots are another", i);
}

void oracle_audit(struct oracle *o)
{
	o->n_audits++;
	oracle_learn_updates(o);
	for (int i = 0; i < o->now->n_updates && !o->failed; i++)
		oracle_check_row(o, &o->now->update[i]);
	for (int i = 0; i < o->now->n_devices && !o->failed; i++)
		check_device(o, i);
	memset(o->touched, 1, sizeof(o->touched));
	oracle_rollouts(o);
}

bool oracle_holds(struct oracle *o, const struct o_model *m)
{
	int n = m->n_updates;

	oracle_copy(o->now, m);
	oracle_copy(o->durable, m);
	o->failed = false;
	o->said = (struct said){ .what = HAPPENS_CRASH, .dev = -1 };
	oracle_follow_history(o); /* any row behind the last one known is one too many */
	oracle_audit(o);
	return !o->failed && o->now->n_updates == n;
}

/* Each update's chain from its first row to its last leads through states one by one. */
void oracle_history(struct oracle *o)
{
	struct history h[PAGE];

	for (int i = 0; i < o->now->n_updates && !o->failed; i++) {
		const struct o_update *u = &o->now->update[i];
		enum update_state s = UPDATE_PLANNED;
		int64_t after = 0;
		int n;

		if (u->gone) /* nobody can ask for it any more */
			continue;
		do {
			n = store_history_list(o->st, 0, u->id, after, PAGE, h, NULL);
			for (int k = 0; k < n; k++) {
				if (h[k].from != s)
					oracle_fail(o, "update %" PRId64 ": its history is torn",
						    u->id);
				s = h[k].to;
				after = h[k].id;
			}
		} while (n == PAGE);
		if (n < 0 || s != u->state)
			oracle_fail(o, "update %" PRId64 ": its history ends otherwise", u->id);
	}
}
