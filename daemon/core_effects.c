/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon/core_internal.h"

/* ---- frames ---- */

void core_send_drop(struct core_lane *l, uint64_t session)
{
	struct buf *out = channel_out(l->ch);
	size_t mark = ipc_begin(out, FRAME_DROP);

	ipc_put_u64(out, session);
	ipc_end(out, mark);
}

static void send_withdraw(struct core_lane *l, const struct digest *d)
{
	struct buf *out = channel_out(l->ch);
	size_t mark = ipc_begin(out, FRAME_WITHDRAW);

	buf_add(out, d->b, sizeof(d->b));
	ipc_end(out, mark);
}

static void send_notify(struct core_lane *l, const char *device)
{
	struct buf *out = channel_out(l->ch);
	char path[PATH_MAX_LEN + 1];
	size_t mark;

	if (text_format(path, sizeof(path), "/device/%s/update", device) != 0)
		return;
	mark = ipc_begin(out, FRAME_NOTIFY);
	buf_add_str(out, path);
	ipc_end(out, mark);
}

/* ---- objects ---- */

void core_prepare_soon(struct core *c, const struct digest *d)
{
	for (unsigned i = 0; i < c->n_prepare; i++)
		if (digest_eq(&c->prepare[i], d))
			return;
	/* a full queue only means that somebody asks again */
	if (c->n_prepare < CORE_PREPARE_MAX)
		c->prepare[c->n_prepare++] = *d;
}

bool core_object_ready(struct core *c, struct core_lane *l, const struct digest *d)
{
	struct err e = { 0 };
	int rc;

	if (object_set_has(&l->objects, d))
		return true;
	for (unsigned i = 0; i < c->batch.n_new_objects; i++)
		if (digest_eq(&c->batch.new_objects[i], d))
			return true;
	if (c->batch.n_new_objects >= CORE_NEW_OBJECTS)
		return false;
	rc = store_object_prepare(c->store, d, CORE_PREPARE_NOW_US, &e);
	if (rc < 0)
		log_warn("cached copy: %s", e.text);
	else if (rc == 0)
		core_prepare_soon(c, d);
	else
		c->batch.new_objects[c->batch.n_new_objects++] = *d;
	return rc > 0;
}

/* The descriptor rides ahead of its frame. -1: not sent, the front must ask again. */
static int attach_object(struct core *c, struct core_lane *l, struct ipc_grant *g)
{
	struct err e = { 0 };
	struct digest evicted;
	int fd, rc;

	if (store_object_open(c->store, &g->digest, &fd, &g->size, &e) != 0) {
		log_warn("granted object: %s", e.text);
		return -1;
	}
	if (object_set_add(&l->objects, &g->digest, &evicted))
		send_withdraw(l, &evicted); /* the front has no room for more */
	rc = channel_attach_fd(l->ch, fd);
	close(fd);
	if (rc != 0)
		(void)object_set_remove(&l->objects, &g->digest);
	g->has_fd = rc == 0;
	return rc;
}

void core_send_grant(struct core *c, struct core_lane *l, const struct grant *g)
{
	struct ipc_grant m = {
		.session = g->session,
		.digest = g->object,
		.media = g->media,
		.max_age = g->max_age,
		.lifetime_ms = g->lifetime_ms,
	};

	(void)text_copy(m.path, sizeof(m.path), g->path);
	if (!object_set_has(&l->objects, &g->object) && attach_object(c, l, &m) != 0)
		return;
	ipc_put_grant(channel_out(l->ch), &m);
}

/* ---- effects ---- */

void core_effects_keep(struct core *c)
{
	unsigned n = c->fx.n;

	if (c->fx.overflow)
		log_error("a handler had more consequences than it may have");
	if (n > CORE_EFFECTS_MAX - c->n_effects) {
		/* notifications are hints: devices come back by themselves */
		log_warn("more than %d consequences in one batch", CORE_EFFECTS_MAX);
		n = CORE_EFFECTS_MAX - c->n_effects;
	}
	memcpy(c->effects + c->n_effects, c->fx.v, n * sizeof(c->fx.v[0]));
	c->n_effects += n;
	effects_clear(&c->fx);
}

static void drop_sessions(struct core *c, struct core_lane *l, const struct effect *fx)
{
	static uint64_t sessions[CORE_DROPS_MAX];
	int n;

	do {
		n = service_sessions_of(c->service, l->lane, fx, sessions, CORE_DROPS_MAX);
		for (int i = 0; i < n; i++) {
			/* at once here too, so that nothing the front still sends is believed */
			service_closed(c->service, l->lane, sessions[i]);
			core_send_drop(l, sessions[i]);
		}
	} while (n == CORE_DROPS_MAX);
}

static void effect_on_lane(struct core *c, struct core_lane *l, const struct effect *fx)
{
	switch (fx->kind) {
	case EFFECT_NOTIFY:
		if (l->lane == LANE_NETWORK)
			send_notify(l, fx->device);
		break;
	case EFFECT_DROP_DEVICE:
	case EFFECT_DROP_TOKEN:
		drop_sessions(c, l, fx);
		break;
	case EFFECT_WITHDRAW:
		if (object_set_remove(&l->objects, &fx->object))
			send_withdraw(l, &fx->object);
		break;
	case EFFECT_PREPARE:
	case EFFECT_WAKE:
	case EFFECT_SEND:
		break;
	}
}

void core_effects_send(struct core *c)
{
	for (unsigned i = 0; i < c->n_effects; i++) {
		const struct effect *fx = &c->effects[i];
		for (unsigned k = 0; k < LANE_COUNT; k++)
			if (c->lanes[k].ch)
				effect_on_lane(c, &c->lanes[k], fx);
		if (fx->kind == EFFECT_PREPARE)
			core_prepare_soon(c, &fx->object);
		if (fx->kind == EFFECT_SEND)
			core_call(c, fx);
		if (fx->kind == EFFECT_WAKE) {
			c->schedule_track = c->now.track;
			c->jobs = true;
		}
	}
	c->n_effects = 0;
}
