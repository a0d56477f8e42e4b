/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "device/agent_internal.h"

/*
 * What the server asks of the device (device.cddl). Answers come at once; whatever is called
 * twice, because its answer was lost, is answered as before and done once.
 */
#define AGAIN_S 1 /* busy for a moment: come again */

struct called {
	struct agent *a;
	const struct agent_call *c;
	struct agent_answer *r;
	struct doc *d; /* the answer's body, empty: none */
	struct arena *mem;
	int64_t now, update; /* of the query or the body, 0 none */
	unsigned number; /* of the path */
};

static void answer(struct called *k, uint16_t status)
{
	k->r->status = status;
}

static void refuse(struct called *k, uint16_t status, enum failure f, const char *text)
{
	answer(k, status);
	if (f != FAILURE_NONE)
		doc_add_text(k->mem, k->d, "failure", failure_word(f));
	doc_add_text(k->mem, k->d, "text", text);
}

static void later(struct called *k, int64_t s, const char *text)
{
	refuse(k, 503, FAILURE_NONE, text);
	k->r->max_age = s > 0 && s < INT32_MAX ? (int32_t)s : AGAIN_S;
}

/* It reports the failure, too: the answer may get lost. */
static void failed(struct called *k)
{
	struct agent *a = k->a;

	a->wake = k->now;
	refuse(k, a->failure == FAILURE_SPACE ? 413 : 422, a->failure, a->why);
}

static bool has(const struct called *k)
{
	const struct agent_offer *o = k->a->offer;

	return o && o->pushed && o->taken && o->update == k->update;
}

/* Nothing is under way that a call would get in the way of. */
static bool free_to_act(const struct agent *a)
{
	return !a->reporting && !a->diag &&
	       (a->step == STEP_IDLE || a->step == STEP_ASK || a->step == STEP_OBSERVE);
}

/* What it was granted, and what it said: nothing begins before. */
static bool may_begin(struct called *k)
{
	struct agent *a = k->a;
	const struct agent_plan *p = a->plan;
	int64_t wait = a->granted - k->now;

	if (wait > AGAIN_S * 1000) {
		later(k, (wait + 999) / 1000, "its time has not come");
		return false;
	}
	if (p->mode == MODE_SERVER || a->agreed == k->update || p->choice == CHOICE_ACCEPT ||
	    (p->choice == CHOICE_DEFER && a->deferred))
		return true;
	refuse(k, 403, FAILURE_NONE, "it has not said yes to this update");
	return false;
}

/* ---- offer, status, diag ---- */

static void on_look(struct called *k, const struct doc *body)
{
	struct agent *a = k->a;
	struct doc_reader in;
	bool look = false;
	struct err e;

	doc_read_init(&in, body, &e);
	doc_opt_bool(&in, "look", &look);
	if (doc_opt_int(&in, "outage", 0, INT32_MAX, &a->outage_s))
		a->notices++;
	if (look)
		agent_notified(a);
	doc_add_bool(k->mem, k->d, "acknowledged", true);
	answer(k, 204);
}

static const char *state_now(const struct agent *a)
{
	if (!a->offer || !a->offer->pushed || !a->offer->taken)
		return NULL;
	if (a->step == STEP_INSTALL || a->step == STEP_REBOOT || a->offer->apply)
		return "installing";
	for (int i = 0; i < a->offer->n_images; i++)
		if (!a->offer->images[i].whole)
			return "downloading";
	return "downloaded";
}

static void on_status(struct called *k, const struct doc *body)
{
	const struct agent *a = k->a;
	const char *state = state_now(a);

	(void)body;
	doc_add_u64(k->mem, k->d, "boot", a->boot);
	if (state) {
		doc_add_int(k->mem, k->d, "update", a->offer->update);
		doc_add_text(k->mem, k->d, "state", state);
	}
	agent_put_status(a, k->mem, k->d, k->now);
	answer(k, 205);
}

static void on_diag(struct called *k, const struct doc *body)
{
	struct agent *a = k->a;

	(void)body;
	a->diag = true;
	if (a->step == STEP_IDLE)
		a->wake = k->now;
	answer(k, 204);
}

/* ---- the manifest ---- */

/* Where the block lies, and what of it is new. False: answered already. */
static bool place(struct called *k, uint64_t held, struct slice *fresh)
{
	const struct agent_call *c = k->c;
	uint64_t at = c->block1 ? (uint64_t)c->num << (c->szx + 4) : 0;

	*fresh = slice_of(NULL, 0);
	if (at > held) {
		refuse(k, 408, FAILURE_NONE, "what came before is missing");
		return false;
	}
	if (c->more && c->body.n != (size_t)16 << c->szx) {
		refuse(k, 400, FAILURE_NONE, "a block that is not full is not the last");
		return false;
	}
	if (held - at < c->body.n)
		*fresh = slice_of(c->body.p + (held - at), c->body.n - (size_t)(held - at));
	return true;
}

static bool more_to_come(const struct called *k)
{
	return k->c->block1 && k->c->more;
}

static struct agent_offer *begin_manifest(struct agent *a, int64_t update)
{
	agent_drop_offer(a);
	a->offer = calloc(1, sizeof(*a->offer));
	if (!a->offer)
		return NULL;
	a->offer->manifest = BUF_INIT(AGENT_MANIFEST_MAX);
	a->offer->update = update;
	a->offer->pushed = true;
	return a->offer;
}

static bool take_manifest(struct called *k)
{
	struct agent *a = k->a;
	enum failure f;
	struct err e = { 0 };

	a->report_update = k->update;
	if (check_manifest(a->plan, agent_sequence(a), a->offer, &f, &e) != 0) {
		a->digests_wrong += f == FAILURE_DIGEST;
		agent_fail(a, f, e.text);
		return false;
	}
	a->agreed = k->update;
	if (!a->plan->pull)
		return agent_take_integrated(a);
	agent_say(a, "downloading", 0);
	agent_go(a, STEP_FETCH);
	a->wake = k->now;
	return true;
}

static void on_manifest(struct called *k, const struct doc *body)
{
	struct agent *a = k->a;
	struct slice fresh;

	(void)body;
	if (k->update == a->confirm || (has(k) && a->step != STEP_OVER)) {
		answer(k, more_to_come(k) ? 231 : 204);
		return;
	}
	if (!free_to_act(a)) {
		later(k, AGAIN_S, "another message is under way");
		return;
	}
	if (!may_begin(k))
		return;
	if (k->c->size > AGENT_MANIFEST_MAX) {
		refuse(k, 413, FAILURE_SPACE, "the manifest is larger than this device takes");
		return;
	}
	if ((!a->offer || a->offer->update != k->update || a->offer->taken) &&
	    !begin_manifest(a, k->update)) {
		later(k, AGAIN_S, "no memory");
		return;
	}
	if (!place(k, a->offer->manifest.n, &fresh))
		return;
	buf_add_slice(&a->offer->manifest, fresh);
	if (a->offer->manifest.failed) {
		agent_drop_offer(a);
		refuse(k, 413, FAILURE_SPACE, "the manifest is larger than this device takes");
		return;
	}
	if (more_to_come(k) || take_manifest(k))
		answer(k, more_to_come(k) ? 231 : 204);
	else
		failed(k);
}

/* ---- images ---- */

/* The image that is meant becomes the one at hand. False: answered already. */
static bool choose(struct called *k)
{
	struct agent *a = k->a;
	struct agent_offer *o = a->offer;
	int i = 0;

	if (!has(k) || a->plan->pull) {
		refuse(k, 409, FAILURE_NONE, "it does not have this update's manifest");
		return false;
	}
	while (i < o->n_images && o->images[i].number != k->number)
		i++;
	if (i == o->n_images) {
		refuse(k, 404, FAILURE_NONE, "the manifest has no such component");
		return false;
	}
	if (o->images[i].whole)
		return true;
	if (!free_to_act(a)) {
		later(k, AGAIN_S, "another message is under way");
		return false;
	}
	if (i != o->image)
		o->begun = false;
	o->image = (uint8_t)i;
	if (agent_image_begin(a) != 0) {
		failed(k);
		return false;
	}
	return true;
}

static struct agent_image *chosen(const struct agent *a, unsigned number)
{
	struct agent_offer *o = a->offer;
	int i = 0;

	while (o->images[i].number != number)
		i++;
	return &o->images[i];
}

/* All of it is there: is it right? True; false: answered already. */
static bool complete(struct called *k)
{
	struct agent *a = k->a;

	if (agent_image_right(a))
		return true;
	failed(k);
	return false;
}

static void on_held(struct called *k, const struct doc *body)
{
	struct agent *a = k->a;
	const struct agent_image *i;

	(void)body;
	if (!choose(k))
		return;
	i = chosen(a, k->number);
	if (!i->whole && i->has_size && a->offer->offset == i->size && !complete(k))
		return;
	doc_add_int(k->mem, k->d, "update", k->update);
	doc_add_u64(k->mem, k->d, "offset", i->whole ? i->size : a->offer->offset);
	doc_add_digest(k->mem, k->d, "digest", &i->digest);
	answer(k, 205);
}

static bool silent(struct agent *a)
{
	if (!a->plan->silent_after || strcmp(a->plan->silent_after, "downloading") != 0)
		return false;
	agent_end(a, RESULT_SILENT, "silent, as it was told to be");
	return true;
}

static void on_image(struct called *k, const struct doc *body)
{
	struct agent *a = k->a;
	struct agent_image *i;
	struct slice fresh;
	uint64_t limit;

	(void)body;
	if (!choose(k))
		return;
	i = chosen(a, k->number);
	if (i->whole) {
		answer(k, more_to_come(k) ? 231 : 204);
		return;
	}
	if (silent(a) || !place(k, a->offer->offset, &fresh))
		return;
	limit = i->has_size ? i->size : agent_image_max(a);
	if (a->offer->offset > limit || fresh.n > limit - a->offer->offset)
		agent_fail(a, i->has_size ? FAILURE_DIGEST : FAILURE_SPACE,
			   "the image is larger than it may be");
	else if (fresh.n > 0)
		agent_feed(a, fresh);
	if (a->step == STEP_OVER)
		failed(k);
	else if (more_to_come(k))
		answer(k, 231);
	else if (complete(k))
		answer(k, 204);
}

static void on_apply(struct called *k, const struct doc *body)
{
	struct agent *a = k->a;
	const char *state;
	struct doc_reader in;
	struct err e;

	doc_read_init(&in, body, &e);
	doc_opt_int(&in, "update", 1, INT64_MAX, &k->update);
	state = has(k) ? state_now(a) : NULL;
	if (k->update == a->confirm || (state && strcmp(state, "installing") == 0)) {
		answer(k, 204);
	} else if (!state || strcmp(state, "downloaded") != 0) {
		refuse(k, 409, FAILURE_NONE, "its manifest and images are not all there");
	} else if (!free_to_act(a)) {
		later(k, AGAIN_S, "another message is under way");
	} else if (may_begin(k)) {
		a->offer->apply = true;
		a->wake = k->now;
		agent_go(a, STEP_LOADED);
		answer(k, 204);
	}
}

/* Taken back: what is not being written yet is forgotten. Also when it was never here. */
static void on_drop(struct called *k, const struct doc *body)
{
	struct agent *a = k->a;
	const struct agent_offer *o = a->offer;
	struct doc_reader in;
	struct err e;

	doc_read_init(&in, body, &e);
	doc_opt_int(&in, "update", 1, INT64_MAX, &k->update);
	if (!o || !o->pushed || o->update != k->update) {
		answer(k, 204);
	} else if (a->step == STEP_INSTALL || a->step == STEP_REBOOT || o->apply) {
		refuse(k, 409, FAILURE_NONE, "it is being installed");
	} else if (!free_to_act(a)) {
		later(k, AGAIN_S, "another message is under way");
	} else {
		agent_drop_offer(a);
		a->granted = a->agreed = 0;
		a->deferred = false;
		answer(k, 204);
	}
}

/* ---- which call it is ---- */

static const struct row {
	enum method method;
	const char *path;
	bool number; /* a component's number follows */
	bool update; /* the query must say of which update */
	void (*take)(struct called *k, const struct doc *body);
} rows[] = {
	{ METHOD_POST, "/fettle/offer", false, false, on_look },
	{ METHOD_GET, "/fettle/status", false, false, on_status },
	{ METHOD_PUT, "/fettle/manifest", false, true, on_manifest },
	{ METHOD_GET, "/fettle/image/", true, true, on_held },
	{ METHOD_PUT, "/fettle/image/", true, true, on_image },
	{ METHOD_POST, "/fettle/apply", false, false, on_apply },
	{ METHOD_POST, "/fettle/diag", false, false, on_diag },
	{ METHOD_POST, "/fettle/drop", false, false, on_drop },
};

static bool path_is(const struct row *w, const char *path, unsigned *number)
{
	size_t n = strlen(w->path);
	uint64_t v;

	if (!w->number)
		return strcmp(path, w->path) == 0;
	if (strncmp(path, w->path, n) != 0 || text_u64(slice_str(path + n), &v) != 0 || v > 255)
		return false;
	*number = (unsigned)v;
	return true;
}

static const struct row *find(struct called *k)
{
	bool known = false;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!path_is(&rows[i], k->c->path, &k->number))
			continue;
		if (rows[i].method == k->c->method)
			return &rows[i];
		known = true;
	}
	refuse(k, known ? 405 : 404, FAILURE_NONE, "the device has no such resource");
	return NULL;
}

static int64_t update_of(const char *query)
{
	static const char key[] = "update=";
	uint64_t v;

	if (strncmp(query, key, sizeof(key) - 1) != 0 ||
	    text_u64(slice_str(query + sizeof(key) - 1), &v) != 0 || v > INT64_MAX)
		return 0;
	return (int64_t)v;
}

static void call(struct called *k)
{
	const struct row *w = find(k);
	const struct doc *body = NULL;
	struct err e;

	if (!w)
		return;
	k->update = update_of(k->c->query);
	if (w->update && k->update == 0)
		refuse(k, 400, FAILURE_NONE, "update=N is missing");
	else if (w->update && !k->a->plan->push && !k->a->plan->pull)
		refuse(k, 403, FAILURE_NONE, "this device asks by itself");
	else if (w->method == METHOD_POST && k->c->body.n > 0 &&
		 docfmt_decode(MEDIA_CBOR, k->c->body, k->mem, &body, &e) != 0)
		refuse(k, 400, FAILURE_NONE, e.text);
	else
		w->take(k, body);
}

void agent_called(struct agent *a, struct arena *mem, const struct agent_call *c,
		  struct agent_answer *r, struct buf *body, int64_t now)
{
	struct called k = {
		.a = a, .c = c, .r = r, .mem = mem, .now = now, .d = doc_map(mem, NULL, NULL)
	};
	struct err e;

	*r = (struct agent_answer){ .max_age = -1 };
	buf_reset(body);
	if (a->step == STEP_END) /* it does nothing any more */
		return;
	call(&k);
	if (r->status == 0 || doc_count(k.d) == 0)
		return;
	if (docfmt_encode(MEDIA_CBOR, k.d, body, &e) != 0 || doc_failed(mem) || body->failed) {
		buf_reset(body);
		r->status = 500;
	}
}
