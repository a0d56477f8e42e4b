/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* What was answered against the rows and the model. */

static bool flag(const struct doc *d, const char *key)
{
	const struct doc *v = doc_get(d, key);

	return v && v->type == DOC_BOOL && v->v.b;
}

static int64_t number(const struct doc *d, const char *key)
{
	const struct doc *v = doc_get(d, key);

	return v && v->type == DOC_INT ? v->v.i : 0;
}

/* As text, or as it is. */
bool oracle_digest(const struct doc *v, struct digest *d)
{
	if (v && v->type == DOC_BYTES && v->v.s.n == DIGEST_SIZE) {
		memcpy(d->b, v->v.s.p, DIGEST_SIZE);
		return true;
	}
	return v && v->type == DOC_TEXT && digest_parse(d, v->v.s) == 0;
}

/* The same number for something else, about an update that is not the device's. */
static bool strange(struct oracle *o)
{
	const struct o_update *u = oracle_update(o, o->said.update);

	return o->said.update != 0 && (!u || u->gone || u->dev != o->said.dev);
}

/* A repeat is answered like the first time and changes nothing; a replay is refused. */
void oracle_check_key(struct oracle *o, const struct heard *h, int64_t history)
{
	bool good = h->status < 300, moved = o->now->last_history != history;
	bool told = o->said.what != HAPPENS_REGISTER && good;

	bool shut_out = o->said.dev >= 0 && oracle_shut_out(o, o->said.dev);

	if (o->key == KEY_SEEN && ((!good && !strange(o) && !shut_out) || moved))
		oracle_fail(o, "a repeat was answered %u%s", h->status, moved ? " and moved" : "");
	if (o->key == KEY_SEEN && told && !flag(h->doc, "duplicate"))
		oracle_fail(o, "a repeat was taken for new");
	if (o->key == KEY_NEW && told && flag(h->doc, "duplicate"))
		oracle_fail(o, "new words were taken for a repeat: they are lost");
	if (o->key == KEY_REFUSED && (good || moved))
		oracle_fail(o, "words from below the window were acknowledged");
	if (h->status >= 400 && moved)
		oracle_fail(o, "refused with %u, and yet it moved something", h->status);
}

static struct o_update *flying_of(struct oracle *o, int dev, int *n)
{
	struct o_update *found = NULL;

	*n = 0;
	for (int i = 0; i < o->now->n_updates; i++) {
		struct o_update *u = &o->now->update[i];
		if (u->dev == dev && oracle_flies(u->state)) {
			found = u;
			(*n)++;
		}
	}
	return found;
}

/* The answer tells what the rows say: the offer that was made, or the same one again. */
static void check_offer(struct oracle *o, const struct heard *h)
{
	int64_t id = number(h->doc, "update");
	struct o_update *u = id ? oracle_update(o, id) : NULL;
	struct digest d;
	int64_t outage = number(h->doc, "outage_update");
	int n;

	if (outage > 0 && !oracle_is_below(o, o->said.dev, outage))
		oracle_fail(o,
			    "device %d was told of an outage by update %" PRId64
			    ", which is not above it",
			    o->said.dev, outage);
	if (outage > 0)
		oracle_told(o, o->said.dev, outage);
	if (o->offers > 0 && (!u || u->id != o->offered))
		oracle_fail(o, "update %d was offered, %" PRId64 " was told", o->offered, id);
	if (!id)
		return;
	if (!u || u->dev != o->said.dev || !oracle_flies(u->state)) {
		oracle_fail(o, "device %d was told of update %" PRId64 ", which is %s", o->said.dev,
			    id, u ? update_state_word(u->state) : "none");
		return;
	}
	const struct o_release *r = &o->now->release[u->release];
	const struct doc *digest = doc_get(h->doc, "manifest_digest");
	if (!oracle_digest(digest, &d) || !digest_eq(&d, &r->manifest))
		oracle_fail(o, "update %" PRId64 " was told with another manifest", id);
	if (doc_get(h->doc, "manifest"))
		u->fetched = o->changed = true;
	if (u->state < UPDATE_INSTALLING && (r->withdrawn || o->now->anchor[r->anchor].revoked))
		oracle_fail(o, "update %" PRId64 " was told again after its release was taken back",
			    id);
	if (u->state < UPDATE_INSTALLING && oracle_expired(o, r))
		oracle_fail(o, "update %" PRId64 " was told again, and has expired", id);
	if (u->state < UPDATE_INSTALLING && r->class_ != o->now->device[u->dev].class_)
		oracle_fail(o, "update %" PRId64 " was told again, it is for another kind", id);
	if (oracle_unstarted(o, u))
		oracle_fail(o, "update %" PRId64 " was told, its rollout was not started", id);
	if (o->offers > 0)
		oracle_check_slot(o, u, number(h->doc, "not_before"));
	flying_of(o, o->said.dev, &n);
	if (o->offers > 0 && n > 1)
		oracle_fail(o, "device %d has %d updates that run", o->said.dev, n);
	if (number(h->doc, "ask_again") <= 0)
		oracle_fail(o, "device %d was not told when to ask again", o->said.dev);
}

static void check_manifest(struct oracle *o, const struct heard *h)
{
	bool good = false;

	if (h->status != 200)
		return;
	for (int i = 0; i < o->now->n_updates; i++) {
		struct o_update *u = &o->now->update[i];
		const struct o_release *r = &o->now->release[u->release];
		if (u->dev != o->said.dev || !oracle_flies(u->state) || u->release != o->said.ref)
			continue;
		u->fetched = good = o->changed = true;
		if (u->state < UPDATE_INSTALLING &&
		    (r->withdrawn || o->now->anchor[r->anchor].revoked || oracle_expired(o, r)))
			oracle_fail(o, "device %d got a manifest that was taken back", o->said.dev);
		if (oracle_unstarted(o, u))
			oracle_fail(o, "device %d got a manifest of what was not started",
				    o->said.dev);
	}
	if (!good)
		oracle_fail(o, "device %d got a manifest that it was not offered", o->said.dev);
}

/* A promise: as asked where the limits allow it, else the latest they allow, and said so. */
static void check_grant(struct oracle *o, const struct heard *h)
{
	struct o_update *u = oracle_update(o, o->said.update);
	int64_t granted = number(h->doc, "granted");

	if (o->key != KEY_NEW || h->status != 200 || strcmp(o->said.word, "defer") != 0 || !u)
		return;
	if (o->put_off == u->id && u->state == UPDATE_DEFERRED &&
	    granted * 1000 != u->earliest - o->track)
		oracle_fail(o,
			    "update %" PRId64 " was granted %" PRId64 " s, %" PRId64
			    " s by its rules",
			    u->id, granted, (u->earliest - o->track) / 1000);
	if (u->state != UPDATE_DEFERRED && granted != 0)
		oracle_fail(o, "update %" PRId64 " is %s, and time was granted", u->id,
			    update_state_word(u->state));
}

/* What goes on between the rows of a device and what it was told. */
void oracle_check_answer(struct oracle *o, const struct heard *h)
{
	switch (o->said.what) {
	case HAPPENS_POLL:
		if (h->status == 200)
			check_offer(o, h);
		if (h->status < 300)
			oracle_check_missed(o);
		break;
	case HAPPENS_MANIFEST:
		check_manifest(o, h);
		break;
	case HAPPENS_DECIDE:
		check_grant(o, h);
		break;
	case HAPPENS_REGISTER:
	case HAPPENS_REPORT:
	case HAPPENS_LOOK:
	case HAPPENS_PASS:
	case HAPPENS_JOB:
	case HAPPENS_COMMAND:
	case HAPPENS_CRASH:
	case HAPPENS_ANSWER:
	case HAPPENING_COUNT:
		break;
	}
}
