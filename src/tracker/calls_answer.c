/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/calls_internal.h"

/* What answers to calls lead to: the row of calls, and the update it is about. */

#define BLOCK 1024 /* an image goes on at one of these */

/* The next image: of alternatives of one component one is enough. */
static uint8_t after_component(const struct manifest_image *images, const int list[IMAGES_MAX],
			       int n, uint8_t at)
{
	uint8_t next = at;

	while (next < n && images[list[next]].component == images[list[at]].component)
		next++;
	return next;
}

struct heard {
	struct turn *t;
	const struct call_answer *a;
	struct update u; /* what is pushed, when live */
	bool flies; /* it does, and in the attempt the answer is about */
	bool runs; /* the same, and there is still something to push */
};

static int hear(struct heard *h, struct err *e)
{
	const struct device_call *c = h->t->c;
	bool about = c->kind >= SEND_MANIFEST && c->kind <= SEND_APPLY;
	int found = about ? store_update_get(h->t->tk->st, c->update, &h->u, e) : 0;

	h->flies = found > 0 && h->u.attempt == c->attempt && update_state_in_flight(h->u.state);
	h->runs = h->flies && h->u.state < UPDATE_INSTALLING;
	return found < 0 ? -1 : 0;
}

/* Its own reports may have come first: the budget has to know all the same. */
static int fetched(struct heard *h, struct err *e)
{
	if (!h->flies || h->u.manifest_fetched)
		return 0;
	h->u.manifest_fetched = true;
	return store_update_progress(h->t->tk->st, h->u.id, h->u.progress, true, e);
}

static int enter(struct heard *h, enum update_event ev, const char *cause, struct err *e)
{
	struct transition t;

	if (!state_next(h->u.state, ev, &t) || t.none)
		return 0;
	return update_apply(h->t->tk, &h->u, ev, FAILURE_NONE, cause, e);
}

static int status_ok(struct heard *h, struct err *e)
{
	struct turn *t = h->t;

	/* one that does not say is as if it were in a state not known */
	registry_status(&t->live, &h->a->device, t->tk->now.track);
	return store_live_put(t->tk->st, &t->live, e);
}

static int look_ok(struct heard *h, struct err *e)
{
	struct turn *t = h->t;

	if (!h->a->of_outage) {
		t->c->want &= (uint8_t)~CALL_LOOK;
		return 0;
	}
	/* one that has no ear for it was not told: it hears of it when it asks */
	if (h->a->status >= 300) {
		t->c->want &= (uint8_t)~CALL_OUTAGE;
		return 0;
	}
	return outage_told(t->tk, t->d->dev, h->a->update, h->a->acknowledged, e);
}

static int manifest_ok(struct heard *h, struct err *e)
{
	struct device_call *c = h->t->c;

	c->manifest = true;
	c->image = 0;
	c->held = -1;
	if (fetched(h, e) < 0)
		return -1;
	return h->runs ? enter(h, EVENT_ACCEPTED, "the device took the manifest", e) : 0;
}

static int images_of(struct heard *h, struct manifest_image images[IMAGES_MAX],
		     int list[IMAGES_MAX], struct err *e)
{
	struct tracker *tk = h->t->tk;
	struct release r;
	int found = store_release_get(tk->st, h->u.release, &r, e);
	int n = found > 0 ? store_manifest_images(tk->st, &r.manifest, images, IMAGES_MAX, e)
			  : found;

	return n < 0 ? -1 : call_pushable(images, n, list);
}

static uint8_t percent(uint64_t of, uint64_t size)
{
	if (size == 0 || of >= size)
		return 100;
	return (uint8_t)(of >= UINT64_MAX / 100 ? of / (size / 100) : of * 100 / size);
}

/* Stored in place, where it is one image: of several the device's own reports tell. */
static int progress(struct heard *h, int n, uint64_t of, uint64_t size, struct err *e)
{
	uint8_t now = percent(of, size);

	if (n != 1 || now <= h->u.progress)
		return 0;
	h->u.progress = now;
	return store_update_progress(h->t->tk->st, h->u.id, now, h->u.manifest_fetched, e);
}

/* Does the device want another of this component's alternatives? */
static bool other_wanted(const struct manifest_image *images, const int *list, int n, uint8_t at,
			 const struct call_answer *a)
{
	if (!a->has_digest || digest_eq(&a->digest, &images[list[at]].digest))
		return false;
	for (int i = at + 1; i < n; i++)
		if (images[list[i]].component == images[list[at]].component &&
		    digest_eq(&a->digest, &images[list[i]].digest))
			return true;
	return false;
}

static int held_ok(struct heard *h, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct device_call *c = h->t->c;
	int list[IMAGES_MAX];

	if (!h->runs)
		return 0;
	int n = images_of(h, images, list, e);
	if (n < 0 || c->image >= n)
		return n < 0 ? -1 : 0;
	if (enter(h, EVENT_DOWNLOADING, "its image is sent", e) < 0)
		return -1;
	if (other_wanted(images, list, n, c->image, h->a)) {
		c->image++;
		return 0;
	}
	const struct manifest_image *i = &images[list[c->image]];
	uint64_t has = h->a->held;
	if (i->has_size && has >= i->size) {
		c->image = after_component(images, list, n, c->image);
		c->held = -1;
		return progress(h, n, i->size, i->size, e);
	}
	c->held = (int64_t)(has / BLOCK * BLOCK);
	return 0;
}

static int image_ok(struct heard *h, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct device_call *c = h->t->c;
	int list[IMAGES_MAX];

	if (!h->runs)
		return 0;
	int n = images_of(h, images, list, e);
	if (n < 0 || c->image >= n)
		return n < 0 ? -1 : 0;
	c->image = after_component(images, list, n, c->image);
	c->held = -1;
	return progress(h, n, 1, 1, e);
}

static int apply_ok(struct heard *h, struct err *e)
{
	struct turn *t = h->t;

	t->c->want &= (uint8_t)~CALL_PUSH;
	if (!h->runs)
		return 0;
	/* success must come from another boot than this one */
	h->u.offer_boot = t->live.boot;
	return enter(h, EVENT_INSTALLING, "the server said so", e);
}

static int diag_ok(struct heard *h, struct err *e)
{
	(void)e;
	h->t->c->want &= (uint8_t)~CALL_DIAG;
	return 0;
}

static int drop_ok(struct heard *h, struct err *e)
{
	struct device_call *c = h->t->c;

	(void)e;
	c->want &= (uint8_t)~CALL_DROP;
	c->manifest = false;
	c->image = 0;
	c->held = -1;
	return 0;
}

static int ok(struct heard *h, struct err *e)
{
	static int (*const heard[SEND_KIND_COUNT])(struct heard * h, struct err * e) = {
		[SEND_LOOK] = look_ok, [SEND_STATUS] = status_ok, [SEND_MANIFEST] = manifest_ok,
		[SEND_HELD] = held_ok, [SEND_IMAGE] = image_ok,	  [SEND_APPLY] = apply_ok,
		[SEND_DIAG] = diag_ok, [SEND_DROP] = drop_ok,
	};
	struct device_call *c = h->t->c;

	/* asking how far it came, or beginning again, gets nobody further */
	if (c->kind != SEND_HELD && c->kind != SEND_MANIFEST)
		c->tries = 0;
	return heard[c->kind](h, e) < 0 ? -1 : 1;
}

/* Some of it arrived before the device fell silent: that is no failed try. */
static int partly(struct heard *h, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct device_call *c = h->t->c;
	int list[IMAGES_MAX];

	if (h->a->offset > 0 && c->kind == SEND_MANIFEST)
		return fetched(h, e);
	if (h->a->offset == 0 || !h->runs)
		return 0;
	if (c->kind != SEND_IMAGE || (int64_t)h->a->offset <= c->held)
		return 0;
	c->tries = 0;
	int n = images_of(h, images, list, e);
	if (n < 0 || c->image >= n)
		return n < 0 ? -1 : 0;
	return progress(h, n, h->a->offset, images[list[c->image]].size, e);
}

/* It did not answer, but spoke itself since it was called: it is there now. Serials are times. */
static bool spoke_since(const struct heard *h)
{
	return h->a->status == 0 && h->t->live.track_seen > h->t->c->serial;
}

static int later(struct heard *h, struct err *e)
{
	struct device_call *c = h->t->c;
	struct update u = h->u;

	if (partly(h, e) < 0)
		return -1;
	if (c->kind == SEND_IMAGE)
		c->held = -1;
	if (c->tries < UINT8_MAX)
		c->tries++;
	if (!h->runs) {
		int found = store_update_open(h->t->tk->st, c->dev, &u, e);
		if (found < 0)
			return -1;
		h->runs = found > 0;
	}
	int64_t cap = registry_ask_again(h->t->tk, h->t->d, h->runs ? &u : NULL);
	int64_t wait_s = spoke_since(h) ? 0 : push_backoff_s(h->a->status, c->tries, cap);
	call_again(h->t, wait_s * 1000);
	return 0;
}

/* What is to be pushed after it, if anything, the next turn sees. */
static int failed(struct heard *h, enum failure f, struct err *e)
{
	char cause[REASON_TEXT];

	if (!h->runs)
		return 1;
	cause_format(cause, sizeof(cause), "call: %s", h->t->c->reason);
	return update_apply(h->t->tk, &h->u, EVENT_FAILED, f, cause, e) < 0 ? -1 : 1;
}

/* It did not die of what it was told: it says no to it, or how it is since. */
static bool speaks(const struct device_call *c, const struct call_answer *a, enum push_outcome o)
{
	if (c->kind == SEND_STATUS)
		return o == PUSH_OK || o == PUSH_NOTHING;
	return c->kind == SEND_APPLY && a->status != 0;
}

int call_push_answered(struct turn *t, const struct call_answer *a, enum push_outcome o,
		       enum failure f, struct err *e)
{
	struct heard h = { .t = t, .a = a };
	struct device_call *c = t->c;

	if (hear(&h, e) < 0)
		return -1;
	if (c->applied && speaks(c, a, o)) {
		c->applied = false;
		/* what is next after that looks at the row */
		if (c->kind == SEND_STATUS && store_call_put(t->tk->st, c, e) < 0)
			return -1;
	}
	if ((o == PUSH_ASK || o == PUSH_RESTART) && c->tries >= PUSH_TRIES_MAX)
		o = PUSH_FAILED;
	switch (o) {
	case PUSH_OK:
	case PUSH_NOTHING:
		return ok(&h, e);
	case PUSH_ASK:
		c->held = -1;
		return later(&h, e);
	case PUSH_RESTART:
		c->manifest = false;
		c->image = 0;
		c->held = -1;
		return later(&h, e);
	case PUSH_LATER:
		return later(&h, e);
	case PUSH_FAILED:
		return failed(&h, f, e);
	}
	return 0;
}
