/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 64

int oracle_init(struct oracle *o)
{
	o->now = calloc(1, sizeof(*o->now));
	o->durable = calloc(1, sizeof(*o->durable));
	return o->now && o->durable ? 0 : -1;
}

void oracle_free(struct oracle *o)
{
	free(o->now);
	free(o->durable);
}

void oracle_copy(struct o_model *to, const struct o_model *from)
{
	size_t n = offsetof(struct o_model, update) +
		   (size_t)from->n_updates * sizeof(from->update[0]);

	memcpy(to, from, n);
}

void oracle_commit(struct oracle *o)
{
	if (!o->changed)
		return;
	oracle_copy(o->durable, o->now);
	o->changed = false;
}

void oracle_abandon(struct oracle *o)
{
	oracle_copy(o->now, o->durable);
	o->changed = false;
}

void oracle_trace(struct oracle *o, const char *fmt, ...)
{
	char *line = o->trace[o->traced++ % O_TRACE];
	int64_t s = o->track / 1000;
	int n = snprintf(line, sizeof(o->trace[0]),
			 "%6ld %3" PRId64 "d %02" PRId64 ":%02" PRId64 ":%02" PRId64 " ", o->step,
			 s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && (size_t)n < sizeof(o->trace[0]))
		vsnprintf(line + n, sizeof(o->trace[0]) - (size_t)n, fmt, ap);
	va_end(ap);
}

/* The first thing that is wrong counts: what follows may follow from it. */
void oracle_fail(struct oracle *o, const char *fmt, ...)
{
	va_list ap;

	if (o->failed)
		return;
	o->failed = true;
	va_start(ap, fmt);
	vsnprintf(o->verdict, sizeof(o->verdict), fmt, ap);
	va_end(ap);
}

struct o_update *oracle_update(struct oracle *o, int64_t id)
{
	for (int i = o->now->n_updates - 1; i >= 0; i--)
		if (o->now->update[i].id == id)
			return &o->now->update[i];
	return NULL;
}

bool oracle_flies(enum update_state s)
{
	return s == UPDATE_OFFERED || s == UPDATE_ACCEPTED || s == UPDATE_DOWNLOADING ||
	       s == UPDATE_DOWNLOADED || s == UPDATE_INSTALLING || s == UPDATE_REBOOTING ||
	       s == UPDATE_CONFIRMING;
}

bool oracle_ended(enum update_state s)
{
	return s != UPDATE_PLANNED && s != UPDATE_DEFERRED && !oracle_flies(s);
}

int oracle_runs(const struct component *c, const struct o_release *r)
{
	if (c->has_digest)
		return memcmp(c->digest.b, r->image.b, DIGEST_SIZE) == 0;
	if (c->has_sequence)
		return c->sequence == r->sequence;
	if (c->version[0])
		return strcmp(c->version, r->version) == 0;
	return -1;
}

/* ---- one happening ---- */

void oracle_before(struct oracle *o, const struct said *s, int64_t track, int64_t wall)
{
	o->said = *s;
	o->track = track;
	o->wall = wall;
	o->offers = 0;
	o->superseded = false;
	o->put_off = 0;
	memset(o->touched, 0, sizeof(o->touched));
	memset(o->exceeded, 0, sizeof(o->exceeded));
	memset(o->reached, 0, sizeof(o->reached));
	o->key = oracle_judge_key(o, s);
	o->n_duplicates += o->key == KEY_SEEN;
	o->n_refused += o->key == KEY_REFUSED;
}

static int device_of(const struct oracle *o, int64_t row)
{
	for (int i = 0; i < o->now->n_devices; i++)
		if (o->now->device[i].row == row)
			return i;
	return -1;
}

static int rollout_of(const struct oracle *o, int64_t id)
{
	for (int i = 0; i < o->now->n_rollouts; i++)
		if (o->now->rollout[i].id == id)
			return i;
	return -1;
}

/* A plan: one for each device that the target takes, of a rollout that is being created. */
static void plan(struct oracle *o, const struct update *row)
{
	struct o_model *m = o->now;
	int dev = device_of(o, row->dev), ro = rollout_of(o, row->rollout);

	if (dev < 0 || ro < 0 || m->n_updates == O_UPDATES) {
		oracle_fail(o,
			    "update %" PRId64 " of device row %" PRId64 ", rollout %" PRId64
			    " is of nobody",
			    row->id, row->dev, row->rollout);
		return;
	}
	const struct o_rollout *r = &m->rollout[ro];
	if (r->class_ != -1 && r->class_ != m->device[dev].class_)
		oracle_fail(o, "update %" PRId64 ": the target does not take device %d", row->id,
			    dev);
	for (int i = 0; i < m->n_updates; i++)
		if (m->update[i].dev == dev && m->update[i].rollout == ro && !m->update[i].gone)
			oracle_fail(o, "device %d has two updates of rollout %d", dev, ro);
	int phase = oracle_planned_phase(o, ro, dev);
	if (row->planned_phase != phase)
		oracle_fail(o, "update %" PRId64 " waits for phase %" PRId64 ", not %d", row->id,
			    row->planned_phase, phase);
	if (row->state != UPDATE_PLANNED || row->reserved || row->charged)
		oracle_fail(o, "update %" PRId64 " is not planned at first", row->id);
	m->update[m->n_updates++] = (struct o_update){ .id = row->id,
						       .dev = dev,
						       .rollout = ro,
						       .release = r->release,
						       .state = UPDATE_PLANNED,
						       .planned_phase = phase,
						       .attempt = 1,
						       .urgency = row->urgency,
						       .entered = o->track };
	o->touched[ro] = true;
}

void oracle_learn_updates(struct oracle *o)
{
	struct update page[PAGE];
	struct err e = { 0 };
	int n;

	do {
		n = store_update_list(o->st, 0, 0, o->now->last_update, PAGE, page, &e);
		for (int i = 0; i < n && !o->failed; i++) {
			plan(o, &page[i]);
			o->now->last_update = page[i].id;
		}
	} while (n == PAGE && !o->failed);
	if (n < 0)
		oracle_fail(o, "updates cannot be read: %s", e.text);
}

/* Who takes an older one's place takes over its urgency where that is higher. True: one did. */
bool oracle_follow_urgency(struct oracle *o, int dev)
{
	bool changed = false;

	for (int i = 0; i < o->now->n_updates; i++) {
		struct o_update *u = &o->now->update[i];
		struct update row;

		if (u->dev != dev || oracle_ended(u->state) ||
		    store_update_get(o->st, u->id, &row, NULL) != 1)
			continue;
		if (row.urgency > u->urgency)
			oracle_fail(o, "update %" PRId64 " became less urgent", u->id);
		changed |= u->urgency != row.urgency;
		u->urgency = row.urgency;
	}
	return changed;
}

void oracle_follow_history(struct oracle *o)
{
	struct history page[PAGE];
	struct err e = { 0 };
	int n;

	do {
		n = store_history_list(o->st, 0, 0, o->now->last_history, PAGE, page, &e);
		for (int i = 0; i < n && !o->failed; i++) {
			struct o_update *u = oracle_update(o, page[i].update);
			o->now->last_history = page[i].id;
			if (u)
				oracle_move(o, u, &page[i]);
			else
				oracle_fail(o, "update %" PRId64 " moved before it was planned",
					    page[i].update);
		}
	} while (n == PAGE && !o->failed);
	if (n < 0)
		oracle_fail(o, "history cannot be read: %s", e.text);
}

static bool of_all(enum happening h)
{
	return h == HAPPENS_PASS || h == HAPPENS_JOB || h == HAPPENS_COMMAND;
}

/* A pass may begin several, of a device each: by its own word one may run two. */
static void check_one_each(struct oracle *o)
{
	int n[O_DEVICES] = { 0 };
	bool begun[O_DEVICES] = { false };

	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *u = &o->now->update[i];

		n[u->dev] += oracle_flies(u->state);
		begun[u->dev] |= u->state == UPDATE_OFFERED && u->taken == o->track;
	}
	for (int i = 0; i < o->now->n_devices; i++)
		if (begun[i] && n[i] > 1)
			oracle_fail(o, "device %d has %d updates that run", i, n[i]);
}

/* The rows that came of it. */
static void follow(struct oracle *o, const struct written *w)
{
	enum happening what = o->said.what;

	if (what == HAPPENS_JOB && (!w || w->n_rollouts > 0))
		oracle_learn_rollouts(o);
	if ((of_all(what) || what == HAPPENS_REGISTER) && (!w || w->updates))
		oracle_learn_updates(o);
	bool asks = what == HAPPENS_POLL || what == HAPPENS_ANSWER;
	if (asks || what == HAPPENS_DECIDE)
		oracle_phases(o, o->said.dev);
	if (!w || w->history)
		oracle_follow_history(o);
	if (asks && (!w || w->updates) && oracle_follow_urgency(o, o->said.dev) && !o->superseded)
		oracle_fail(o, "device %d: an urgency changed for nothing", o->said.dev);
}

/* Whose row was written; and who runs may have ended a phase, which has no row of its own. */
static void touch(struct oracle *o, const struct written *w)
{
	for (int i = 0; i < o->now->n_rollouts; i++) {
		const struct o_rollout *r = &o->now->rollout[i];

		o->touched[i] |= of_all(o->said.what) && (!w || r->state == ROLLOUT_RUNNING);
		for (int k = 0; w && k < w->n_rollouts; k++)
			o->touched[i] |= w->rollout[k] == r->id;
	}
}

static void check_rows(struct oracle *o, const struct written *w)
{
	touch(o, w);
	oracle_rollouts(o);
	if (o->said.what == HAPPENS_PASS && o->offers > 0)
		check_one_each(o);
	for (int i = 0; i < o->now->n_updates && !o->failed; i++)
		if (o->now->update[i].entered == o->track && o->said.dev == o->now->update[i].dev)
			oracle_check_row(o, &o->now->update[i]);
}

void oracle_after(struct oracle *o, const struct heard *h)
{
	int64_t history = o->now->last_history;
	bool wrote = !h->written || h->written->any;

	o->changed |= wrote || o->key == KEY_NEW;
	/* a slot that is not free now is no answer to anything but "I begin now" */
	if (h->status >= 500 && (h->status != 503 || o->said.what != HAPPENS_DECIDE))
		oracle_fail(o, "answered %u", h->status);
	/* the words first: what follows from them is judged with them */
	if (o->key == KEY_NEW && h->status < 300)
		oracle_keep_words(o, &o->said);
	oracle_calls_follow(o);
	if (wrote)
		follow(o, h->written);
	oracle_check_shut_out(o, h);
	oracle_check_key(o, h, history);
	oracle_check_answer(o, h);
	if (wrote)
		check_rows(o, h->written);
}
