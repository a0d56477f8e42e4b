/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* ---- what was said before: the last four boots, each with what it said ---- */

static struct o_boot *find_boot(struct o_device *d, uint64_t boot)
{
	for (int i = 0; i < d->n_boots; i++)
		if (d->boots[i].boot == boot)
			return &d->boots[i];
	return NULL;
}

static bool has_key(const struct said *s)
{
	return s->what == HAPPENS_REGISTER || s->what == HAPPENS_DECIDE ||
	       s->what == HAPPENS_REPORT;
}

int oracle_judge_key(struct oracle *o, const struct said *s)
{
	if (!has_key(s))
		return KEY_NONE;
	const struct o_boot *b = find_boot(&o->now->device[s->dev], s->boot);
	if (!b)
		return KEY_NEW;
	for (int i = 0; i < b->n; i++)
		if (b->seen[i] == s->counter)
			return KEY_SEEN;
	return s->counter + O_COUNTERS <= b->high ? KEY_REFUSED : KEY_NEW;
}

static void keep_key(struct o_device *d, const struct said *s)
{
	struct o_boot *b = find_boot(d, s->boot);
	int n = 0;

	if (!b) {
		if (d->n_boots < O_BOOTS)
			d->n_boots++;
		memmove(&d->boots[1], &d->boots[0], (size_t)(d->n_boots - 1) * sizeof(d->boots[0]));
		b = &d->boots[0];
		memset(b, 0, sizeof(*b));
		b->boot = s->boot;
	}
	if (s->counter > b->high)
		b->high = s->counter;
	for (int i = 0; i < b->n; i++)
		if (b->seen[i] + O_COUNTERS > b->high)
			b->seen[n++] = b->seen[i];
	b->seen[n++] = s->counter;
	b->n = n;
}

void oracle_keep_words(struct oracle *o, const struct said *s)
{
	struct o_device *d = &o->now->device[s->dev];

	keep_key(d, s);
	d->heard = o->track;
	d->heard_wall = o->wall;
	if (s->acknowledged > 0 && oracle_update(o, s->acknowledged))
		oracle_told(o, s->dev, s->acknowledged);
	if (s->what == HAPPENS_REGISTER) {
		d->registered = true;
		d->push = s->push;
		d->pull = s->pull;
		if (d->mode == MODE_UNSET)
			d->mode = s->mode;
	}
	if (s->what == HAPPENS_DECIDE || d->boots[0].boot != s->boot)
		return;
	oracle_keep_status(o, s);
	if (s->has_own)
		d->own = s->own;
	if (!s->has_component)
		return;
	d->has_component = true;
	d->component = s->component;
	if (!s->component.has_sequence)
		return;
	if (!d->has_floor || s->component.sequence > d->floor)
		d->floor = s->component.sequence;
	d->has_floor = true;
}
