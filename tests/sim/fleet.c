/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim.h"

/* What the fleet does with its words: it sends them, loses them, and hears what comes back. */

static int64_t now_of(const struct sim *s)
{
	return s->server.now.track;
}

/* ---- sending ---- */

static void answered(struct sim *s, struct pending *p, const struct heard *h)
{
	const struct doc *d = h->doc, *v;
	struct digest m;

	p->status = h->status;
	p->release = -1;
	p->ask_again = (v = doc_get(d, "ask_again")) && v->type == DOC_INT ? v->v.i : 0;
	p->granted = (v = doc_get(d, "granted")) && v->type == DOC_INT ? v->v.i : 0;
	p->update = (v = doc_get(d, "update")) && v->type == DOC_INT ? v->v.i : 0;
	p->outage = (v = doc_get(d, "outage_update")) && v->type == DOC_INT ? v->v.i : 0;
	p->fetch = doc_get(d, "fetch") != NULL;
	p->look = doc_get(d, "look") != NULL;
	p->manifest = doc_get(d, "manifest") != NULL;
	v = doc_get(d, "manifest_digest");
	if (oracle_digest(v, &m))
		for (int i = 0; i < s->oracle.now->n_releases; i++)
			if (digest_eq(&s->oracle.now->release[i].manifest, &m))
				p->release = i;
}

static int send(struct sim *s, int dev, const struct message *m, bool awaited)
{
	struct ask_of a = { .dev = dev,
			    .method = m->method,
			    .path = m->path,
			    .json = m->json[0] ? m->json : NULL,
			    .observe = m->said.what == HAPPENS_LOOK };
	struct heard h;

	if (sim_happen(s, &m->said, &a, &h) != 0)
		return -1;
	struct pending *p = &s->pending[s->n_pending++];
	*p = (struct pending){ .dev = awaited ? dev : -1, .m = *m };
	answered(s, p, &h);
	calls_evict(s, dev);
	return 0;
}

static int64_t patience(struct sim *s, int tries)
{
	return now_of(s) + 1000 * dice_range(&s->dice, 2, 10 << (tries < 6 ? tries : 6));
}

void fleet_lost(struct sim *s, int dev)
{
	struct virtual_device *d = &s->device[dev];

	if (!d->waiting)
		return;
	d->next_at = patience(s, ++d->out.tries);
	/* it gives up asking, but not telling; and now and then it dies over it */
	if (d->out.tries > 6 && d->out.method == METHOD_GET)
		d->waiting = false;
	if (dice_chance(&s->dice, 30)) {
		d->waiting = false;
		fleet_boot(s, d);
		d->stage = STAGE_NEW;
	}
}

static void remember(struct virtual_device *d, const struct message *m)
{
	if (m->method != METHOD_GET)
		d->said[d->n_said++ % REPLAYS] = *m;
}

static int misbehave(struct sim *s, int dev, bool *done)
{
	struct virtual_device *d = &s->device[dev];
	struct message m;

	*done = true;
	if (d->n_said > 0 && dice_chance(&s->dice, s->habits.replay)) {
		unsigned n = d->n_said < REPLAYS ? d->n_said : REPLAYS;
		return send(s, dev, &d->said[dice_below(&s->dice, n)], false);
	}
	if (d->stage != STAGE_NEW && dice_chance(&s->dice, s->habits.lie)) {
		fleet_compose_lie(s, dev, &m);
		remember(d, &m);
		return send(s, dev, &m, false);
	}
	*done = false;
	return 0;
}

int fleet_act(struct sim *s, int dev)
{
	struct virtual_device *d = &s->device[dev];
	bool done;

	d->next_at = now_of(s) + 1000 * dice_range(&s->dice, 1, 20);
	if (misbehave(s, dev, &done) != 0 || done)
		return done ? 0 : -1;
	if (!d->waiting && dice_chance(&s->dice, s->habits.silent)) {
		d->next_at = now_of(s) + 1000 * dice_range(&s->dice, 3600, 30 * 86400);
		d->deaf_until = d->next_at;
		return 0;
	}
	if (!d->waiting && d->stage != STAGE_NEW && dice_chance(&s->dice, 4)) {
		fleet_boot(s, d);
		d->stage = STAGE_NEW;
	}
	if (!d->waiting) {
		fleet_compose(s, dev, &d->out);
		d->waiting = true;
		remember(d, &d->out);
	}
	if (dice_chance(&s->dice, s->habits.lose_request)) {
		fleet_lost(s, dev);
		return 0;
	}
	return send(s, dev, &d->out, true);
}

/* ---- hearing ---- */

static void hear_offer(struct sim *s, struct virtual_device *d, const struct pending *p)
{
	if (p->outage)
		d->outage = p->outage;
	/* in server mode it only shows itself: what it is to do it is told by a call */
	if (p->status != 200 || p->release < 0 || d->mode == MODE_SERVER) {
		d->next_at = now_of(s) + 1000 * (p->ask_again > 0 ? p->ask_again : 60);
		if (p->look)
			d->next_at = now_of(s) + 1000;
		if (dice_chance(&s->dice, s->habits.hasty))
			d->next_at = now_of(s) + 1000 * dice_range(&s->dice, 1, 60);
		return;
	}
	d->update = p->update;
	d->wants = p->release;
	d->has_manifest = p->manifest;
	bool decides = dice_chance(&s->dice, d->mode == MODE_NEGOTIATED ? 900 : 100);
	d->stage = decides ? STAGE_DECIDE : d->has_manifest ? STAGE_DOWNLOADING : STAGE_FETCH;
}

static void hear_decision(struct sim *s, struct virtual_device *d, const struct pending *p)
{
	if (p->status == 200 && p->fetch) {
		d->stage = d->has_manifest ? STAGE_DOWNLOADING : STAGE_FETCH;
		return;
	}
	d->stage = STAGE_IDLE;
	d->next_at = now_of(s) + 1000 * (p->granted > 0 ? p->granted : 60);
	if (dice_chance(&s->dice, s->habits.hasty))
		d->next_at = now_of(s) + 1000 * dice_range(&s->dice, 1, 60);
}

bool fleet_is_pushed(const struct virtual_device *d)
{
	return d->got.update != 0 && d->got.update == d->update;
}

static void hear_report(struct sim *s, struct virtual_device *d, const struct pending *p)
{
	if (d->stage == STAGE_REBOOTING)
		fleet_reboot(s, d);
	else if (d->stage == STAGE_DOWNLOADED && fleet_is_pushed(d))
		d->stage = STAGE_IDLE;
	else if (d->stage >= STAGE_DOWNLOADING && d->stage < STAGE_REBOOTING)
		d->stage++;
	else
		d->next_at = now_of(s) + 1000 * (p->ask_again > 0 ? p->ask_again : 60);
	if (d->stage > STAGE_FETCH)
		d->next_at = now_of(s) + 1000 * dice_range(&s->dice, 1, 900);
}

static void hear_registration(struct sim *s, struct virtual_device *d)
{
	bool tells = d->stage == STAGE_BOOTED && d->update && dice_chance(&s->dice, 600);

	d->stage = tells ? STAGE_TELL : STAGE_IDLE;
}

void fleet_hear(struct sim *s, const struct pending *p)
{
	struct virtual_device *d = &s->device[p->dev];

	if (!d->waiting)
		return;
	d->waiting = false;
	d->next_at = now_of(s) + 1000 * dice_range(&s->dice, 1, 30);
	switch (p->m.said.what) {
	case HAPPENS_REGISTER:
		hear_registration(s, d);
		break;
	case HAPPENS_POLL:
	case HAPPENS_LOOK:
		hear_offer(s, d, p);
		break;
	case HAPPENS_MANIFEST:
		d->stage = p->status == 200 ? STAGE_DOWNLOADING : STAGE_IDLE;
		break;
	case HAPPENS_DECIDE:
		hear_decision(s, d, p);
		break;
	case HAPPENS_REPORT:
		hear_report(s, d, p);
		break;
	case HAPPENS_PASS:
	case HAPPENS_JOB:
	case HAPPENS_COMMAND:
	case HAPPENS_CRASH:
	case HAPPENS_ANSWER:
	case HAPPENING_COUNT:
		break;
	}
}

/* After a commit: who is told to look again, looks; if the word gets through. */
void fleet_effects(struct sim *s)
{
	const struct effects *fx = s->server.fx;

	for (unsigned i = 0; i < fx->n; i++) {
		if (fx->v[i].kind == EFFECT_WAKE) {
			s->server.next_pass = now_of(s);
			s->server.jobs = true;
		}
		if (fx->v[i].kind == EFFECT_SEND)
			calls_order(s, &fx->v[i]);
		if (fx->v[i].kind != EFFECT_NOTIFY)
			continue;
		for (int k = 0; k < s->n_devices; k++) {
			struct virtual_device *d = &s->device[k];
			if (s->oracle.now->device[k].row == fx->v[i].dev && d->observes &&
			    !d->waiting && d->stage == STAGE_IDLE &&
			    dice_chance(&s->dice, s->habits.wake))
				d->next_at = now_of(s) + 1000 * dice_range(&s->dice, 0, 20);
		}
	}
}

/* ---- who they are ---- */

/* Some of the first few are below each other, and most of the rest below them. */
static int a_parent(struct sim *s, int dev)
{
	if (dev > 0 && dice_chance(&s->dice, dev < 4 ? 300 : 500))
		return (int)dice_below(&s->dice, dev < 4 ? (uint64_t)dev : 4);
	return -1;
}

static enum mode a_mode(struct sim *s)
{
	if (dice_chance(&s->dice, s->habits.servers))
		return MODE_SERVER;
	return dice_chance(&s->dice, 500) ? MODE_CLIENT : MODE_NEGOTIATED;
}

void fleet_make(struct sim *s)
{
	for (int i = 0; i < s->n_devices; i++) {
		struct virtual_device *d = &s->device[i];

		*d = (struct virtual_device){ .class_ = (int)dice_below(&s->dice, CLASSES),
					      .parent = a_parent(s, i),
					      .mode = a_mode(s),
					      .observes = dice_chance(&s->dice, 500),
					      .tells_status = dice_chance(&s->dice, 400),
					      .tells_windows = s->habits.windows > 0 &&
							       dice_chance(&s->dice, 150),
					      .tells = (int)dice_below(&s->dice, 3),
					      .runs = -1,
					      .wants = -1 };
		calls_make(s, d);
		s->server.coap[i] = d->coap;
		snprintf(d->id, sizeof(d->id), "dev-%d", i);
		fleet_boot(s, d);
		d->next_at = s->server.now.track + 1000 * dice_range(&s->dice, 0, 7200);
	}
}

int fleet_enrol(struct sim *s)
{
	char json[SIM_BODY];
	struct heard h;

	for (int i = 0; i < s->n_devices; i++) {
		struct virtual_device *d = &s->device[i];
		struct said said = { .what = HAPPENS_COMMAND, .dev = -1, .command = COMMAND_OTHER };
		struct o_device as = {
			.class_ = d->class_, .parent = d->parent, .mode = d->mode, .flash = -1
		};
		struct device row;

		devices_put_enrolment(s, i, &as, json, sizeof(json));
		if (sim_happen(s, &said,
			       &(struct ask_of){ .dev = -1,
						 .method = METHOD_POST,
						 .path = "/api/v1/devices",
						 .json = json },
			       &h) != 0)
			return -1;
		if (h.status != 201 || store_device_get(s->server.st, d->id, &row, NULL) != 1)
			return -1;
		as.row = row.dev;
		s->oracle.now->device[s->oracle.now->n_devices++] = as;
	}
	return 0;
}
