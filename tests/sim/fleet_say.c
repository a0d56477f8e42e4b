/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim.h"

/* What devices say: mostly what they should, now and then what they must not. */

static struct said saying(const struct virtual_device *d, int dev, enum happening what)
{
	return (struct said){ .what = what, .dev = dev, .boot = d->boot, .counter = d->counter };
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
	char what[160], status[96], own[160], can[80];

	count_up(s, d);
	*m = (struct message){ .method = METHOD_PUT, .said = saying(d, dev, HAPPENS_REGISTER) };
	m->said.has_component = !dice_chance(&s->dice, 50);
	m->said.component = running(s, d);
	m->said.mode = mode;
	put_component(what, sizeof(what), &m->said);
	places_put_status(s, &m->said, status, sizeof(status));
	places_put_own(s, &m->said, own, sizeof(own));
	calls_put_abilities(d, &m->said, can, sizeof(can));
	snprintf(m->path, sizeof(m->path), "/device/%s", d->id);
	snprintf(m->json, sizeof(m->json),
		 "{\"boot\":%" PRIu64 ",\"counter\":%" PRIu64 ",\"mode\":\"%s\"%s%s%s%s}", d->boot,
		 d->counter, mode_word(mode), what, status, own, can);
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
	char what[160], why[48] = "", of[96] = "", status[96];

	count_up(s, d);
	*m = (struct message){ .method = METHOD_POST, .said = saying(d, dev, HAPPENS_REPORT) };
	text_copy(m->said.word, sizeof(m->said.word), word);
	m->said.has_component = tells;
	m->said.component = running(s, d);
	put_component(what, sizeof(what), &m->said);
	places_put_status(s, &m->said, status, sizeof(status));
	if (!dice_chance(&s->dice, 150))
		m->said.update = d->update;
	m->said.acknowledged = d->outage;
	d->outage = 0;
	if (m->said.acknowledged)
		snprintf(of, sizeof(of), ",\"acknowledged\":%" PRId64, m->said.acknowledged);
	if (m->said.update)
		snprintf(of + strlen(of), sizeof(of) - strlen(of), ",\"update\":%" PRId64,
			 m->said.update);
	if (strcmp(word, "failed") == 0 && !dice_chance(&s->dice, 200)) {
		text_copy(m->said.failure, sizeof(m->said.failure),
			  failures[dice_below(&s->dice, sizeof(failures) / sizeof(failures[0]))]);
		snprintf(why, sizeof(why), ",\"failure\":\"%s\"", m->said.failure);
	}
	snprintf(m->path, sizeof(m->path), "/device/%s/report", d->id);
	snprintf(m->json, sizeof(m->json),
		 "{\"boot\":%" PRIu64 ",\"counter\":%" PRIu64 ",\"state\":\"%s\"%s%s%s%s}", d->boot,
		 d->counter, word, of, why, what, status);
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

void fleet_compose_lie(struct sim *s, int dev, struct message *m)
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
		m->said.has_component = m->said.has_status = false;
		m->said.acknowledged = 0;
		m->said.failure[0] = '\0';
		break;
	}
	d->update = update;
	d->runs = runs;
}

/* ---- what is done next ---- */

void fleet_boot(struct sim *s, struct virtual_device *d)
{
	d->boot = dice_next(&s->dice) >> 16 | 1;
	d->counter = dice_below(&s->dice, 3);
	if (dice_chance(&s->dice, 500))
		d->got = (struct sim_got){ .update = 0 };
}

/* It comes up again: with the new firmware, or with the old one. */
void fleet_reboot(struct sim *s, struct virtual_device *d)
{
	fleet_boot(s, d);
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
	/* whether it goes on behind downloaded is for the server to say */
	enum stage last = fleet_is_pushed(d) ? STAGE_DOWNLOADED : STAGE_REBOOTING;
	while (d->stage < last && dice_chance(&s->dice, s->habits.skip))
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

void fleet_compose(struct sim *s, int dev, struct message *m)
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
