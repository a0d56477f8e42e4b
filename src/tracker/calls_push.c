/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/calls_internal.h"

/*
 * Pushing one update: the rows behind push.c's decisions. How far it came is in the device's
 * row of calls, for one attempt of one update; the state is the update's.
 */

#define STEPS 4 /* in one turn, before a call is ordered */
enum { GO_ON = 2 };

/* ---- what there is to push ---- */

/* Images that are sent: what rides inside the manifest, or lies elsewhere, is not. */
int call_pushable(const struct manifest_image *images, int n, int out[IMAGES_MAX])
{
	int k = 0;

	for (int i = 0; i < n; i++)
		if (!images[i].integrated && !images[i].external)
			out[k++] = i;
	return k;
}

static bool any_external(const struct manifest_image *images, int n)
{
	for (int i = 0; i < n; i++)
		if (images[i].external)
			return true;
	return false;
}

static void restart(struct device_call *c, const struct update *u)
{
	call_forget(c);
	c->update = u->id;
	c->attempt = u->attempt;
	c->tries = 0; /* an attempt has its own */
}

/* ---- waiting ---- */

static bool fresh(const struct turn *t)
{
	int64_t now = t->tk->now.track, at = t->live.status_at;

	return at > 0 && at <= now && now - at <= t->tk->policy->status_max_age_s * 1000;
}

static int64_t contact_ms(const struct turn *t, const struct update *u)
{
	return registry_ask_again(t->tk, t->d, u) * 1000;
}

/* When its service is free again, by its own word. */
static int64_t busy_ms(const struct turn *t, int64_t usual)
{
	int64_t left = t->live.service_until - t->tk->now.wall;

	return left > 0 && left < usual ? left : usual;
}

/* A gate is closed. What opens by somebody's hand tells; still it is looked at now and then. */
static int closed(struct turn *t, const struct update *u, const struct offer_wait *w, struct err *e)
{
	int64_t usual = contact_ms(t, u);

	if (strcmp(w->gate, "service") == 0) {
		struct send s = { .kind = SEND_STATUS, .update = u->id };
		if (!fresh(t))
			return call_order(t, &s, NULL, e);
		usual = busy_ms(t, usual);
	}
	if (strcmp(w->gate, "rollout") == 0 || strcmp(w->gate, "phase") == 0)
		usual *= 4;
	if (w->wake_ms > 0 && w->wake_ms < usual)
		usual = w->wake_ms;
	cause_format(t->c->reason, sizeof(t->c->reason), "%s", w->why.text);
	call_again(t, usual);
	return 0;
}

/* ---- the next step ---- */

struct pushing {
	struct turn *t;
	struct update *u; /* as its row is */
	struct offer of;
	int list[IMAGES_MAX], n; /* of.images that are pushed */
};

static int order(struct pushing *s, enum send_kind kind, struct err *e)
{
	const struct device_call *c = s->t->c;
	struct send out = { .kind = kind, .update = s->u->id };
	const struct digest *object = NULL;

	if (kind == SEND_MANIFEST)
		object = &s->of.manifest.digest;
	if (kind == SEND_HELD || kind == SEND_IMAGE) {
		out.component = s->of.images[s->list[c->image]].component;
		object = &s->of.images[s->list[c->image]].digest;
	}
	if (kind == SEND_IMAGE)
		out.offset = (uint64_t)c->held;
	return call_order(s->t, &out, object, e);
}

static int begin(struct pushing *s, struct err *e)
{
	struct offer_wait w = { .gate = "" };
	int rc = offer_begin(s->t->tk, s->t->d, true, &s->of, &w, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return closed(s->t, s->u, &w, e);
	/* it may have begun before, and been called back since */
	call_forget(s->t->c);
	return GO_ON;
}

static int done(struct pushing *s, struct err *e)
{
	return update_apply(s->t->tk, s->u, EVENT_DOWNLOADED, FAILURE_NONE,
			    "the device has all of it", e) < 0
		       ? -1
		       : GO_ON;
}

/* It may be fetched by the device, or it waits to be installed: until when is in t->next. */
static int wait(struct pushing *s, const struct push_view *v)
{
	int64_t usual = contact_ms(s->t, s->u);

	if (s->u->state != UPDATE_DOWNLOADED)
		return 0; /* its report is awaited, or the state's own timeout */
	call_again(s->t, v->window ? busy_ms(s->t, usual) : usual);
	return 0;
}

static int view(struct pushing *s, struct push_view *v, struct err *e)
{
	const struct turn *t = s->t;
	char why[REASON_TEXT];
	int64_t wait_ms = 0;

	*v = (struct push_view){
		.state = s->u->state,
		.fresh = fresh(t),
		.pull = device_can(t->d, "pull") || any_external(s->of.images, s->of.n_images),
		.manifest = t->c->manifest,
		.image = t->c->image,
		.n_images = s->n,
		.held = t->c->held >= 0,
		.applied = t->c->applied,
	};
	if (s->u->state != UPDATE_DOWNLOADED)
		return 0;
	v->idle = service_lets(t->tk, t->d, &t->live, s->u);
	int open = gate_window_wait(t->tk, t->d, s->u, &wait_ms, why, e);
	v->window = open > 0;
	if (open != 0)
		return open < 0 ? -1 : 0;
	cause_format(t->c->reason, sizeof(t->c->reason), "window: %s", why);
	if (wait_ms > 0)
		call_again(s->t, wait_ms);
	return 0;
}

static int act(struct pushing *s, struct err *e)
{
	struct push_view v;

	if (view(s, &v, e) < 0)
		return -1;
	switch (push_next(&v)) {
	case PUSH_WAIT:
		return wait(s, &v);
	case PUSH_STATUS:
		return order(s, SEND_STATUS, e);
	case PUSH_BEGIN:
		return begin(s, e);
	case PUSH_MANIFEST:
		return order(s, SEND_MANIFEST, e);
	case PUSH_HELD:
		return order(s, SEND_HELD, e);
	case PUSH_IMAGE:
		return order(s, SEND_IMAGE, e);
	case PUSH_DONE:
		return done(s, e);
	case PUSH_APPLY:
		return order(s, SEND_APPLY, e);
	}
	return 0;
}

/* It was called back, and its row says that the device is to be told: so does the turn's. */
static int called_back(struct turn *t, const struct update *u, struct err *e)
{
	struct device_call row;
	int found = store_call_get(t->tk->st, t->c->dev, &row, e);

	/* the row may still want that for another one, taken back before */
	if (found > 0 && row.update == u->id && (row.want & CALL_DROP)) {
		t->c->want |= CALL_DROP;
		t->c->tries = 0;
		call_again(t, 0);
	}
	return found < 0 ? -1 : GO_ON;
}

/* What runs is looked at for good: it may be called back. What waits is only looked at. */
static int look(struct pushing *s, struct err *e)
{
	struct offer_wait w = { .gate = "" };
	struct turn *t = s->t;
	bool runs = update_state_in_flight(s->u->state);
	int rc = offer_begin(t->tk, t->d, runs, &s->of, &w, e);

	/* nobody else asks for it: those below are told from here */
	if (rc == 0 && !runs && strcmp(w.gate, "outage") == 0)
		rc = offer_begin(t->tk, t->d, true, &s->of, &w, e);
	t->c->runs = runs;
	if (rc < 0)
		return -1;
	if (rc == 0)
		return runs && strcmp(w.gate, "verification") == 0 ? called_back(t, s->u, e)
								   : closed(t, s->u, &w, e);
	*s->u = s->of.update;
	if (s->u->id != t->c->update || s->u->attempt != t->c->attempt)
		restart(t->c, s->u);
	s->n = call_pushable(s->of.images, s->of.n_images, s->list);
	return act(s, e);
}

int call_push_turn(struct turn *t, struct err *e)
{
	int rc = GO_ON;

	for (int i = 0; i < STEPS && rc == GO_ON; i++) {
		struct update u;
		struct pushing s = { .t = t, .u = &u };
		int found = store_update_open(t->tk->st, t->d->dev, &u, e);

		if (found <= 0 || !call_pushes(t->d, u.state) || u.state >= UPDATE_INSTALLING) {
			t->c->want &= (uint8_t)~CALL_PUSH;
			t->c->runs = false;
			return found < 0 ? -1 : 0;
		}
		rc = look(&s, e);
	}
	if (rc != GO_ON)
		return rc;
	call_again(t, 1000);
	return 0;
}
