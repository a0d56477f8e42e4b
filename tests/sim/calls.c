/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim.h"

/*
 * What the server calls devices for: how calls are lost on their way, or delayed, what devices
 * do about those that arrive, and how their answers come back, if they do.
 */
#define BLOCK 1024

static int64_t now_of(const struct sim *s)
{
	return s->server.now.track;
}

static int64_t soon(struct sim *s, int64_t least_s, int64_t most_s)
{
	return now_of(s) + 1000 * dice_range(&s->dice, least_s, most_s);
}

static int device_of(const struct sim *s, int64_t row)
{
	for (int i = 0; i < s->n_devices; i++)
		if (s->oracle.now->device[i].row == row)
			return i;
	return -1;
}

/* ---- on their way ---- */

/* What the server ordered is judged at once, before anything else happens. */
void calls_judge(struct sim *s)
{
	const struct effects *fx = s->server.fx;

	for (; s->judged < fx->n; s->judged++)
		if (fx->v[s->judged].kind == EFFECT_SEND)
			oracle_call(&s->oracle, &fx->v[s->judged]);
}

static struct sim_call *free_place(struct sim *s)
{
	struct sim_call *oldest = &s->call[0];

	for (int i = 0; i < SIM_CALLS; i++) {
		if (!s->call[i].used)
			return &s->call[i];
		if (s->call[i].serial < oldest->serial)
			oldest = &s->call[i];
	}
	return oldest;
}

void calls_order(struct sim *s, const struct effect *fx)
{
	struct sim_call *c = free_place(s);
	int dev = device_of(s, fx->dev);

	if (dev < 0) /* removed since */
		return;
	*c = (struct sim_call){ .used = true,
				.dev = dev,
				.kind = fx->send.kind,
				.update = fx->send.update,
				.serial = fx->send.serial,
				.offset = fx->send.offset,
				.object = fx->object,
				.of_outage = fx->send.outage_s > 0,
				.at = soon(s, 0, dice_chance(&s->dice, 900) ? 2 : 90) };
	int reachable = server_call(&s->server, fx, c->tag);
	if (reachable <= 0) {
		/* neither a session nor an endpoint: the server's own answer */
		c->arrived = true;
		c->at = soon(s, 1, 1);
	}
}

void calls_crash(struct sim *s)
{
	for (int i = 0; i < SIM_CALLS; i++)
		s->call[i].used = false;
}

/* ---- at the device ---- */

static void answer(struct sim_call *c, uint16_t status, const char *body)
{
	c->status = status;
	text_copy(c->body, sizeof(c->body), body);
}

static bool refuses(struct sim *s, struct sim_call *c)
{
	static const uint16_t statuses[] = { 400, 401, 403, 404, 408, 409, 412, 413,
					     422, 429, 500, 501, 503, 503, 503 };

	if (!dice_chance(&s->dice, s->habits.refuse))
		return false;
	answer(c, statuses[dice_below(&s->dice, sizeof(statuses) / sizeof(statuses[0]))], "");
	if (dice_chance(&s->dice, 300))
		text_copy(c->body, sizeof(c->body), "{\"failure\":\"power\",\"text\":\"no\"}");
	return true;
}

static int release_by(const struct sim *s, const struct digest *manifest)
{
	for (int i = 0; i < s->oracle.now->n_releases; i++)
		if (digest_eq(&s->oracle.now->release[i].manifest, manifest))
			return i;
	return -1;
}

static void hear_look(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	bool agrees = dice_chance(&s->dice, 700);

	answer(c, 204, agrees ? "{\"acknowledged\":true}" : "{\"acknowledged\":false}");
	if (!c->of_outage && !d->waiting && d->stage == STAGE_IDLE)
		d->next_at = soon(s, 0, 30);
}

static void hear_status(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	char flash[40] = "";

	(void)d;
	if (dice_chance(&s->dice, 50)) {
		answer(c, 404, "");
		return;
	}
	places_draw_service(s, c->service, &c->flash);
	if (c->flash >= 0)
		snprintf(flash, sizeof(flash), "\"free_flash\":%" PRId64, c->flash);
	c->status = 200;
	snprintf(c->body, sizeof(c->body), "{\"status\":{%s%s%s%s%s}}",
		 c->service[0] ? "\"service\":\"" : "", c->service, c->service[0] ? "\"" : "",
		 c->service[0] && flash[0] ? "," : "", flash);
}

static void hear_manifest(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	d->got = (struct sim_got){ .update = c->update };
	d->wants = release_by(s, &c->object);
	d->update = c->update;
	d->has_manifest = true;
	answer(c, 204, "");
	if (d->pull && !d->waiting) {
		d->stage = STAGE_DOWNLOADING;
		d->next_at = soon(s, 1, 300);
	}
}

static bool lacks(const struct virtual_device *d, struct sim_call *c)
{
	if (d->got.update == c->update && d->wants >= 0)
		return false;
	answer(c, 409, "");
	return true;
}

static void hear_held(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	(void)s;
	if (lacks(d, c))
		return;
	c->held = d->got.held;
	c->status = 200;
	snprintf(c->body, sizeof(c->body), "{\"update\":%" PRId64 ",\"offset\":%" PRId64 "}",
		 c->update, c->held);
}

/* Some of it, or all; half a block is none. */
static void hear_image(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	if (lacks(d, c))
		return;
	int64_t size = s->oracle.now->release[d->wants].size;
	int64_t left = size - (int64_t)c->offset;
	if ((int64_t)c->offset > d->got.held) {
		answer(c, 408, "");
		return;
	}
	if (left > BLOCK && dice_chance(&s->dice, 300)) {
		d->got.held = (int64_t)c->offset + dice_range(&s->dice, 0, left / BLOCK) * BLOCK;
		c->came = (uint64_t)d->got.held;
		answer(c, 0, "");
		return;
	}
	d->got.held = size;
	answer(c, 204, "");
}

static void hear_apply(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	if (lacks(d, c))
		return;
	if (!d->pull && d->got.held < s->oracle.now->release[d->wants].size) {
		answer(c, 409, "");
		return;
	}
	answer(c, 204, "");
	d->stage = STAGE_INSTALLING;
	d->next_at = soon(s, 1, 60);
}

static void hear_diag(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	(void)s;
	(void)d;
	answer(c, 204, "");
}

static void hear_drop(struct sim *s, struct virtual_device *d, struct sim_call *c)
{
	(void)s;
	if (d->got.update == c->update && d->stage > STAGE_DOWNLOADED) {
		answer(c, 409, "");
		return;
	}
	if (d->got.update == c->update)
		d->got = (struct sim_got){ .update = 0 };
	answer(c, 204, "");
}

/* It sleeps between its contacts, keeps silent for long, or is just starting. */
static bool deaf(const struct sim *s, const struct virtual_device *d)
{
	if (now_of(s) < d->deaf_until)
		return true;
	return d->sleeps && now_of(s) > d->spoke_at + 60000;
}

static bool busy(const struct virtual_device *d, const struct sim_call *c)
{
	bool push = c->kind >= SEND_MANIFEST && c->kind <= SEND_APPLY;

	return push && (d->waiting || d->stage == STAGE_NEW || d->stage > STAGE_DOWNLOADED);
}

static void arrive(struct sim *s, struct sim_call *c)
{
	static void (*const hear[SEND_KIND_COUNT])(struct sim * s, struct virtual_device * d,
						   struct sim_call * c) = {
		[SEND_LOOK] = hear_look,	 [SEND_STATUS] = hear_status,
		[SEND_MANIFEST] = hear_manifest, [SEND_HELD] = hear_held,
		[SEND_IMAGE] = hear_image,	 [SEND_APPLY] = hear_apply,
		[SEND_DIAG] = hear_diag,	 [SEND_DROP] = hear_drop,
	};
	struct virtual_device *d = &s->device[c->dev];

	c->arrived = true;
	c->at = soon(s, 1, 3);
	if (deaf(s, d) || dice_chance(&s->dice, s->habits.lose_request)) {
		c->at = soon(s, 30, 93);
		/* the front itself may be gone, and its word with it */
		c->used = !dice_chance(&s->dice, 200);
		return;
	}
	if (busy(d, c))
		answer(c, 503, "");
	else if (!refuses(s, c))
		hear[c->kind](s, d, c);
	if (!dice_chance(&s->dice, s->habits.lose_answer))
		return;
	answer(c, 0, "");
	c->at = soon(s, 30, 93);
}

/* ---- and back ---- */

static int come_back(struct sim *s, struct sim_call *c)
{
	struct said said = { .what = HAPPENS_ANSWER,
			     .dev = c->dev,
			     .update = c->update,
			     .call = c->kind,
			     .serial = c->serial,
			     .status = c->status,
			     .held = c->held,
			     .came = (int64_t)c->came,
			     .of_outage = c->of_outage,
			     .flash = -1 };
	struct ipc_sent sent = { .status = c->status,
				 .offset = c->came,
				 .media = c->body[0] ? MEDIA_JSON : MEDIA_NONE,
				 .body = slice_str(c->body) };

	if (c->kind == SEND_STATUS && c->status == 200) {
		memcpy(said.service, c->service, sizeof(said.service));
		said.flash = c->flash;
	}
	memcpy(sent.tag, c->tag, sizeof(sent.tag));
	c->used = false;
	return sim_answer(s, &said, &sent);
}

static struct sim_call *first(struct sim *s)
{
	struct sim_call *found = NULL;

	for (int i = 0; i < SIM_CALLS; i++)
		if (s->call[i].used && (!found || s->call[i].at < found->at))
			found = &s->call[i];
	return found;
}

int64_t calls_next(struct sim *s)
{
	const struct sim_call *c = first(s);

	return c ? c->at : SIM_NEVER;
}

int calls_act(struct sim *s)
{
	struct sim_call *c = first(s);

	if (c->arrived)
		return come_back(s, c);
	arrive(s, c);
	return 0;
}

/* Its session is closed: the front had no room, or the device went to sleep. */
void calls_evict(struct sim *s, int dev)
{
	unsigned chance = s->device[dev].sleeps ? 500 : 20;

	s->device[dev].spoke_at = now_of(s);
	if (dice_chance(&s->dice, chance))
		server_evict(&s->server, dev);
}

/* ---- what it says of itself ---- */

void calls_make(struct sim *s, struct virtual_device *d)
{
	d->coap = d->mode == MODE_SERVER || dice_chance(&s->dice, 500);
	d->push = d->mode == MODE_NEGOTIATED ? dice_chance(&s->dice, 300)
					     : d->mode == MODE_SERVER && dice_chance(&s->dice, 500);
	d->pull = d->mode != MODE_CLIENT && dice_chance(&s->dice, 250);
	d->endpoint = dice_chance(&s->dice, d->mode == MODE_CLIENT ? 100 : 400);
	d->sleeps = dice_chance(&s->dice, 150);
}

void calls_put_abilities(const struct virtual_device *d, struct said *said, char *dst, size_t cap)
{
	bool both = d->push && d->pull;

	said->push = d->push;
	said->pull = d->pull;
	said->endpoint = d->endpoint;
	snprintf(dst, cap, ",\"capabilities\":[%s%s%s]%s", d->push ? "\"push\"" : "",
		 both ? "," : "", d->pull ? "\"pull\"" : "",
		 d->endpoint ? ",\"endpoint_port\":5683" : "");
}
