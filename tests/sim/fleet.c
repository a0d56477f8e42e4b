/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim.h"

/* What the fleet does: mostly what devices do, now and then what they must not. */

static struct said saying(const struct virtual_device *d, int dev, enum happening what)
{
	return (struct said){ .what = what, .dev = dev, .boot = d->boot, .counter = d->counter };
}

static int64_t now_of(const struct sim *s)
{
	return s->server.now.track;
}

static struct component running(const struct sim *s, const struct virtual_device *d)
{
	static const struct o_release factory = { .sequence = 1,
						  .version = "0.1",
						  .image = { .b = { 1, 2, 3 } } };
	const struct o_release *r = d->runs < 0 ? &factory : &s->oracle.now->release[d->runs];
	struct component c = { .name = "main" };

	if (d->tells == TELLS_VERSION)
		text_copy(c.version, sizeof(c.version), r->version);
	c.has_sequence = d->tells == TELLS_SEQUENCE;
	c.sequence = c.has_sequence ? r->sequence : 0;
	c.has_digest = d->tells == TELLS_DIGEST;
	if (c.has_digest)
		c.digest = r->image;
	return c;
}

/* The member of a body that tells of what runs, or nothing. */
static void put_component(char *dst, size_t cap, const struct said *said)
{
	const struct component *c = &said->component;
	char hex[DIGEST_TEXT];

	dst[0] = '\0';
	if (!said->has_component)
		return;
	digest_text(hex, &c->digest);
	if (c->has_digest)
		snprintf(dst, cap, ",\"components\":[{\"name\":\"main\",\"digest\":\"%s\"}]", hex);
	else if (c->has_sequence)
		snprintf(dst, cap, ",\"components\":[{\"name\":\"main\",\"sequence\":%" PRIu64 "}]",
			 c->sequence);
	else
		snprintf(dst, cap, ",\"components\":[{\"name\":\"main\",\"version\":\"%s\"}]",
			 c->version);
}

static void count_up(struct sim *s, struct virtual_device *d)
{
	d->counter += dice_chance(&s->dice, 50) ? (uint64_t)dice_range(&s->dice, 2, 9) : 1;
}

/* ---- what is said ---- */

static void compose_register(struct sim *s, int dev, struct message *m, enum mode mode)
{
	struct virtual_device *d = &s->device[dev];
	char what[160];

	count_up(s, d);
	*m = (struct message){ .method = METHOD_PUT, .said = saying(d, dev, HAPPENS_REGISTER) };
	m->said.has_component = !dice_chance(&s->dice, 50);
	m->said.component = running(s, d);
	put_component(what, sizeof(what), &m->said);
	snprintf(m->path, sizeof(m->path), "/device/%s", d->id);
	snprintf(m->json, sizeof(m->json),
		 "{\"boot\":%" PRIu64 ",\"counter\":%" PRIu64 ",\"mode\":\"%s\"%s}", d->boot,
		 d->counter, mode_word(mode), what);
}

static void compose_poll(struct sim *s, int dev, struct message *m)
{
	struct virtual_device *d = &s->device[dev];
	bool looks = dice_chance(&s->dice, 30);

	*m = (struct message){ .method = METHOD_GET,
			       .said = saying(d, dev, looks ? HAPPENS_LOOK : HAPPENS_POLL) };
	snprintf(m->path, sizeof(m->path), "/device/%s/update", d->id);
}

static void compose_fetch(struct sim *s, int dev, struct message *m)
{
	struct virtual_device *d = &s->device[dev];
	char hex[DIGEST_TEXT];

	*m = (struct message){ .method = METHOD_GET, .said = saying(d, dev, HAPPENS_MANIFEST) };
	m->said.ref = d->wants;
	digest_text(hex, &s->oracle.now->release[d->wants].manifest);
	snprintf(m->path, sizeof(m->path), "/manifest/%s", hex);
}

static void compose_report(struct sim *s, int dev, struct message *m, const char *word, bool tells)
{
	static const char *const failures[] = { "download", "signature", "digest", "space",
						"power",    "install",	 "boot",   "other" };
	struct virtual_device *d = &s->device[dev];
	char what[160], why[48] = "", of[40] = "";

	count_up(s, d);
	*m = (struct message){ .method = METHOD_POST, .said = saying(d, dev, HAPPENS_REPORT) };
	text_copy(m->said.word, sizeof(m->said.word), word);
	m->said.has_component = tells;
	m->said.component = running(s, d);
	put_component(what, sizeof(what), &m->said);
	if (!dice_chance(&s->dice, 150))
		m->said.update = d->update;
	if (m->said.update)
		snprintf(of, sizeof(of), ",\"update\":%" PRId64, m->said.update);
	if (strcmp(word, "failed") == 0 && !dice_chance(&s->dice, 200))
		snprintf(why, sizeof(why), ",\"failure\":\"%s\"",
			 failures[dice_below(&s->dice, sizeof(failures) / sizeof(failures[0]))]);
	snprintf(m->path, sizeof(m->path), "/device/%s/report", d->id);
	snprintf(m->json, sizeof(m->json),
		 "{\"boot\":%" PRIu64 ",\"counter\":%" PRIu64 ",\"state\":\"%s\"%s%s%s}", d->boot,
		 d->counter, word, of, why, what);
}

static void compose_decision(struct sim *s, int dev, struct message *m, const char *word)
{
	static const int64_t spans[] = { 0, 60, 900, 3600, 43200, 86400, 700000, 3000000 };
	struct virtual_device *d = &s->device[dev];
	char until[32] = "";

	count_up(s, d);
	*m = (struct message){ .method = METHOD_POST, .said = saying(d, dev, HAPPENS_DECIDE) };
	text_copy(m->said.word, sizeof(m->said.word), word);
	m->said.update = d->update;
	if (strcmp(word, "defer") == 0)
		m->said.until_s = spans[dice_below(&s->dice, sizeof(spans) / sizeof(spans[0]))];
	if (m->said.until_s > 0)
		snprintf(until, sizeof(until), ",\"until\":%" PRId64, m->said.until_s);
	snprintf(m->path, sizeof(m->path), "/device/%s/decision", d->id);
	snprintf(m->json, sizeof(m->json),
		 "{\"boot\":%" PRIu64 ",\"counter\":%" PRIu64 ",\"update\":%" PRId64
		 ",\"decision\":\"%s\"%s,\"reason\":\"so\"}",
		 d->boot, d->counter, d->update, word, until);
}

/* ---- lies ---- */

static int64_t any_update(struct sim *s)
{
	const struct o_model *m = s->oracle.now;

	return m->n_updates ? m->update[dice_below(&s->dice, (uint64_t)m->n_updates)].id : 1;
}

static void compose_lie(struct sim *s, int dev, struct message *m)
{
	static const char *const words[] = { "accepted",    "deferred",	  "rejected",
					     "downloading", "downloaded", "installing",
					     "rebooting",   "confirming", "succeeded",
					     "rolled-back", "failed",	  "idle" };
	static const char *const decisions[] = { "accept", "defer", "reject" };
	struct virtual_device *d = &s->device[dev];
	int64_t update = d->update;
	int runs = d->runs;

	if (dice_chance(&s->dice, 500) || !d->update)
		d->update = any_update(s);
	if (dice_chance(&s->dice, 300) && s->oracle.now->n_releases > 0)
		d->runs = (int)dice_below(&s->dice, (uint64_t)s->oracle.now->n_releases);
	switch (dice_below(&s->dice, 6)) {
	case 0:
	case 1:
		compose_report(s, dev, m, words[dice_below(&s->dice, 12)],
			       dice_chance(&s->dice, 300));
		break;
	case 2:
		compose_register(s, dev, m, (enum mode)dice_range(&s->dice, 1, 3));
		break;
	case 3:
		compose_decision(s, dev, m, decisions[dice_below(&s->dice, 3)]);
		break;
	case 4:
		d->counter += (uint64_t)dice_range(&s->dice, 60, 200);
		compose_report(s, dev, m, "succeeded", dice_chance(&s->dice, 500));
		break;
	default:
		compose_report(s, dev, m, words[dice_below(&s->dice, 12)], true);
		m->said.counter = (uint64_t)dice_range(&s->dice, 1, 90);
		snprintf(m->json, sizeof(m->json),
			 "{\"boot\":%" PRIu64 ",\"counter\":%" PRIu64 ",\"state\":\"%s\"}", d->boot,
			 m->said.counter, m->said.word);
		m->said.update = 0;
		m->said.has_component = false;
		break;
	}
	d->update = update;
	d->runs = runs;
}

/* ---- what is done next ---- */

static void boot(struct sim *s, struct virtual_device *d)
{
	d->boot = dice_next(&s->dice) >> 16 | 1;
	d->counter = dice_below(&s->dice, 3);
}

/* It comes up again: with the new firmware, or with the old one. */
static void reboot_into(struct sim *s, struct virtual_device *d)
{
	boot(s, d);
	if (!dice_chance(&s->dice, s->habits.roll_back) && d->wants >= 0)
		d->runs = d->wants;
	d->stage = STAGE_BOOTED;
}

static void decide(struct sim *s, int dev, struct message *m)
{
	struct virtual_device *d = &s->device[dev];
	const char *word = dice_chance(&s->dice, s->habits.defer)    ? "defer"
			   : dice_chance(&s->dice, s->habits.reject) ? "reject"
								     : "accept";

	compose_decision(s, dev, m, word);
	d->stage = STAGE_DECIDE;
}

static const char *const stage_words[STAGE_COUNT] = {
	[STAGE_DOWNLOADING] = "downloading",
	[STAGE_DOWNLOADED] = "downloaded",
	[STAGE_INSTALLING] = "installing",
	[STAGE_REBOOTING] = "rebooting",
};

/* From one stage of an update to the next; some are passed in silence. */
static void progress(struct sim *s, int dev, struct message *m)
{
	struct virtual_device *d = &s->device[dev];

	if (dice_chance(&s->dice, s->habits.fail)) {
		compose_report(s, dev, m, "failed", dice_chance(&s->dice, 200));
		d->stage = STAGE_IDLE;
		return;
	}
	while (d->stage < STAGE_REBOOTING && dice_chance(&s->dice, s->habits.skip))
		d->stage++;
	compose_report(s, dev, m, stage_words[d->stage], false);
}

static void tell(struct sim *s, int dev, struct message *m)
{
	struct virtual_device *d = &s->device[dev];
	bool well = d->runs == d->wants;

	d->stage = STAGE_IDLE;
	compose_report(s, dev, m,
		       well			    ? "succeeded"
		       : dice_chance(&s->dice, 500) ? "rolled-back"
						    : "failed",
		       dice_chance(&s->dice, 700));
}

static void compose(struct sim *s, int dev, struct message *m)
{
	struct virtual_device *d = &s->device[dev];

	switch (d->stage) {
	case STAGE_NEW:
	case STAGE_BOOTED:
		compose_register(s, dev, m, d->mode);
		break;
	case STAGE_IDLE:
		compose_poll(s, dev, m);
		break;
	case STAGE_DECIDE:
		decide(s, dev, m);
		break;
	case STAGE_FETCH:
		compose_fetch(s, dev, m);
		break;
	case STAGE_DOWNLOADING:
	case STAGE_DOWNLOADED:
	case STAGE_INSTALLING:
	case STAGE_REBOOTING:
		progress(s, dev, m);
		break;
	case STAGE_TELL:
		tell(s, dev, m);
		break;
	case STAGE_COUNT:
		break;
	}
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
	p->fetch = doc_get(d, "fetch") != NULL;
	p->look = doc_get(d, "look") != NULL;
	p->manifest = doc_get(d, "manifest") != NULL;
	v = doc_get(d, "manifest_digest");
	if (v && digest_parse(&m, v->v.s) == 0)
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
		boot(s, d);
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
		compose_lie(s, dev, &m);
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
		return 0;
	}
	if (!d->waiting && d->stage != STAGE_NEW && dice_chance(&s->dice, 4)) {
		boot(s, d);
		d->stage = STAGE_NEW;
	}
	if (!d->waiting) {
		compose(s, dev, &d->out);
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
	if (p->status != 200 || p->release < 0) {
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

static void hear_report(struct sim *s, struct virtual_device *d, const struct pending *p)
{
	if (d->stage == STAGE_REBOOTING)
		reboot_into(s, d);
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

void fleet_make(struct sim *s)
{
	for (int i = 0; i < s->n_devices; i++) {
		struct virtual_device *d = &s->device[i];

		*d = (struct virtual_device){ .class_ = (int)dice_below(&s->dice, CLASSES),
					      .parent = i >= 4 && dice_chance(&s->dice, 500)
								? (int)dice_below(&s->dice, 4)
								: -1,
					      .mode = dice_chance(&s->dice, 500) ? MODE_CLIENT
										 : MODE_NEGOTIATED,
					      .observes = dice_chance(&s->dice, 500),
					      .tells = (int)dice_below(&s->dice, 3),
					      .runs = -1,
					      .wants = -1 };
		snprintf(d->id, sizeof(d->id), "dev-%d", i);
		boot(s, d);
		d->next_at = s->server.now.track + 1000 * dice_range(&s->dice, 0, 7200);
	}
}

int fleet_enrol(struct sim *s)
{
	char json[SIM_BODY], vendor[UUID_TEXT], class_[UUID_TEXT], parent[64];
	struct heard h;

	for (int i = 0; i < s->n_devices; i++) {
		struct virtual_device *d = &s->device[i];
		struct said said = { .what = HAPPENS_COMMAND, .dev = -1, .command = COMMAND_OTHER };
		struct device row;

		uuid_text(vendor, &s->vendor_id[d->class_ % VENDORS]);
		uuid_text(class_, &s->class_id[d->class_]);
		parent[0] = '\0';
		if (d->parent >= 0)
			snprintf(parent, sizeof(parent), ",\"parent\":\"dev-%d\"", d->parent);
		snprintf(json, sizeof(json),
			 "{\"id\":\"%s\",\"auth\":\"none\",\"mode\":\"%s\",\"vendor_id\":\"%s\","
			 "\"class_id\":\"%s\",\"model\":\"%s\"%s}",
			 d->id, mode_word(d->mode), vendor, class_, sim_models[d->class_], parent);
		if (sim_happen(s, &said,
			       &(struct ask_of){ .dev = -1,
						 .method = METHOD_POST,
						 .path = "/api/v1/devices",
						 .json = json },
			       &h) != 0)
			return -1;
		if (h.status != 201 || store_device_get(s->server.st, d->id, &row, NULL) != 1)
			return -1;
		s->oracle.now->device[s->oracle.now->n_devices++] = (struct o_device){
			.row = row.dev, .class_ = d->class_, .parent = d->parent, .mode = d->mode
		};
	}
	return 0;
}
