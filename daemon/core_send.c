/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/log.h"
#include "daemon/core_internal.h"

/*
 * Calls to devices: effects become frames to the network front. What cannot leave is told to
 * the service like an answer, in a batch of its own; what is lost here, its rows call again.
 */

static void unsent(struct core *c, const uint8_t tag[IPC_SEND_TAG], uint16_t status)
{
	struct ipc_sent *s;

	if (c->n_unsent == CORE_UNSENT_MAX)
		return;
	s = &c->unsent[c->n_unsent++];
	*s = (struct ipc_sent){ .status = status, .media = MEDIA_NONE };
	memcpy(s->tag, tag, sizeof(s->tag));
}

/* The object goes before the call that sends it. False: its copy is being made. */
static bool grant_object(struct core *c, struct core_lane *l, const struct ipc_send *s)
{
	struct err e = { 0 };
	struct grant g;

	if (!service_call_grant(s, &g))
		return true;
	if (!object_set_has(&l->objects, &g.object)) {
		int rc = store_object_prepare(c->store, &g.object, CORE_PREPARE_NOW_US, &e);
		if (rc < 0)
			log_warn("cached copy: %s", e.text);
		else if (rc == 0)
			core_prepare_soon(c, &g.object);
		if (rc <= 0)
			return false;
	}
	core_send_grant(c, l, &g);
	return object_set_has(&l->objects, &g.object);
}

void core_call(struct core *c, const struct effect *fx)
{
	struct core_lane *l = &c->lanes[LANE_NETWORK];
	struct err e = { 0 };
	struct ipc_send s;
	int rc = service_call(c->service, fx, &c->now, &c->arena, &s, &e);

	if (rc < 0)
		log_warn("dev=%lld cannot be called: %s", (long long)fx->dev, e.text);
	else if (rc == 0)
		unsent(c, s.tag, 0);
	else if (!l->ch || !l->greeted || !grant_object(c, l, &s))
		unsent(c, s.tag, 503);
	else
		ipc_put_send(channel_out(l->ch), &s);
	arena_reset(&c->arena);
}

int core_unsent(struct core *c, struct err *e)
{
	unsigned n = c->n_unsent;

	if (n == 0)
		return 0;
	/* whatever becomes of this batch: those that are lost have a time in their rows */
	c->n_unsent = 0;
	return service_unsent(c->service, c->unsent, n, &c->now, &c->arena, &c->fx, e);
}
