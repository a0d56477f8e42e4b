/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/* The server's calls: may it call this device for that, now; and what do answers lead to? */

#define BLOCK 1024
#define FRESH_MS INT64_C(300000)
#define LOST_MS INT64_C(300000)
#define LOST_LARGE_MS INT64_C(3900000)

static const char *const words[SEND_KIND_COUNT] = {
	[SEND_LOOK] = "to look",
	[SEND_STATUS] = "for its status",
	[SEND_MANIFEST] = "with a manifest",
	[SEND_HELD] = "for what it holds",
	[SEND_IMAGE] = "with an image",
	[SEND_APPLY] = "to install",
	[SEND_DIAG] = "for diagnostics",
	[SEND_DROP] = "to forget",
};

static int device_of(const struct oracle *o, int64_t row)
{
	for (int i = 0; i < o->now->n_devices; i++)
		if (o->now->device[i].row == row)
			return i;
	return -1;
}

static bool fresh(const struct oracle *o, const struct o_device *d)
{
	return d->status_at > 0 && o->track - d->status_at <= FRESH_MS;
}

/* What it has of the attempt that runs is what it answered for. */
static bool about(const struct o_device *d, const struct o_update *u)
{
	return d->call.of == u->id && d->call.attempt == u->attempt;
}

static const char *may_manifest(struct oracle *o, const struct o_device *d,
				const struct o_update *u, const struct effect *fx)
{
	if (!digest_eq(&fx->object, &o->now->release[u->release].manifest))
		return "it is another manifest";
	return about(d, u) && d->call.manifest && !d->call.anew ? "it has it already" : NULL;
}

static const char *may_held(struct oracle *o, const struct o_device *d, const struct o_update *u,
			    const struct effect *fx)
{
	(void)fx;
	(void)o;
	if (!about(d, u) || !d->call.manifest)
		return "it has not the manifest";
	return d->call.image ? "it has all of it already" : NULL;
}

static const char *may_image(struct oracle *o, const struct o_device *d, const struct o_update *u,
			     const struct effect *fx)
{
	const struct o_release *r = &o->now->release[u->release];
	const char *why = may_held(o, d, u, fx);

	if (why)
		return why;
	if (!digest_eq(&fx->object, &r->image))
		return "it is another image";
	if (d->pull)
		return "it fetches images itself";
	if (d->call.held < 0)
		return "it was not asked how much it has";
	if ((int64_t)fx->send.offset != d->call.held / BLOCK * BLOCK)
		return "it goes on at another place";
	return NULL;
}

static const char *may_apply(struct oracle *o, const struct o_device *d, const struct o_update *u,
			     const struct effect *fx)
{
	bool idle = d->service[0] == '\0' || strcmp(d->service, "idle") == 0;

	(void)fx;
	if (u->state != UPDATE_DOWNLOADED)
		return "it is not downloaded";
	if (!about(d, u) || !d->call.manifest || (!d->pull && !d->call.image))
		return "it has not all of it";
	if (!fresh(o, d))
		return "nobody asked how it is";
	bool critical = d->mode == MODE_SERVER && strcmp(d->service, "critical") == 0;
	if (!idle && (o->rules.class_[u->urgency].idle_only || critical))
		return "its service does not let it";
	return oracle_shut(o, u);
}

bool oracle_unstarted(const struct oracle *o, const struct o_update *u)
{
	return o->now->rollout[u->rollout].phase[0].opened == 0;
}

/* It has all of it, and its server, which would have to say so, does not let it begin. */
bool oracle_held_back(const struct oracle *o, const struct o_update *u)
{
	const struct o_device *d = &o->now->device[u->dev];
	bool idle = d->service[0] == '\0' || strcmp(d->service, "idle") == 0;
	bool critical = d->mode == MODE_SERVER && strcmp(d->service, "critical") == 0;

	if (d->mode != MODE_SERVER && !(d->mode == MODE_NEGOTIATED && d->push))
		return false;
	/* it may be dead of it */
	if (about(d, u) && d->call.applied)
		return false;
	return oracle_unstarted(o, u) || oracle_shut(o, u) ||
	       (!idle && (o->rules.class_[u->urgency].idle_only || critical));
}

static const char *may_push(struct oracle *o, int dev, const struct effect *fx)
{
	static const char *(*const may[SEND_KIND_COUNT])(struct oracle *, const struct o_device *,
							 const struct o_update *,
							 const struct effect *) = {
		[SEND_MANIFEST] = may_manifest,
		[SEND_HELD] = may_held,
		[SEND_IMAGE] = may_image,
		[SEND_APPLY] = may_apply,
	};
	const struct o_device *d = &o->now->device[dev];
	const struct o_update *u = oracle_update(o, fx->send.update);

	if (!u || u->dev != dev || !oracle_flies(u->state) || u->state >= UPDATE_INSTALLING)
		return "no update of its is to be sent";
	const struct o_release *r = &o->now->release[u->release];
	if (!r->approved || r->withdrawn || o->now->anchor[r->anchor].revoked ||
	    oracle_expired(o, r))
		return "its release was taken back";
	if (r->class_ != d->class_)
		return "it is for another kind of device";
	if (oracle_unstarted(o, u))
		return "nobody has started its rollout";
	if (d->mode == MODE_NEGOTIATED && u->state < UPDATE_ACCEPTED)
		return "it did not say yes";
	return may[fx->send.kind](o, d, u, fx);
}

static const char *may_look(struct oracle *o, int dev, const struct effect *fx)
{
	const struct o_device *d = &o->now->device[dev];

	if (fx->send.outage_s == 0)
		return d->mode == MODE_NEGOTIATED ? NULL : "that is not its mode";
	const struct o_update *u = oracle_update(o, fx->send.update);
	/* it may have ended behind the call, in the same pass */
	if (!u || (oracle_ended(u->state) && u->entered != o->track))
		return "there is no such outage";
	if (!oracle_is_below(o, dev, u->id))
		return "that device is not above it";
	/* it may have become more urgent since */
	for (int i = (int)u->urgency; i < URGENCY_COUNT; i++)
		if (o->rules.class_[i].outage_s == fx->send.outage_s)
			return NULL;
	return "it lasts otherwise";
}

/* One at a time, until it is answered or was waited for. */
static bool under_way(const struct oracle *o, const struct o_call *c)
{
	bool large = c->kind == SEND_MANIFEST || c->kind == SEND_IMAGE;

	return c->out && o->track - c->since < (large ? LOST_LARGE_MS : LOST_MS);
}

/* Of what it was sent, and what has ended since; three times, then it may keep it. */
static const char *may_drop(struct oracle *o, int dev, const struct effect *fx)
{
	struct o_update *u = oracle_update(o, fx->send.update);

	if (!u || u->dev != dev || !oracle_ended(u->state))
		return "that has not ended";
	return ++u->drops > 3 ? "it was told often enough" : NULL;
}

static const char *may_call(struct oracle *o, int dev, const struct effect *fx)
{
	const struct o_device *d = &o->now->device[dev];
	bool pushes = d->mode == MODE_SERVER || (d->mode == MODE_NEGOTIATED && d->push);

	if (d->disabled)
		return "it is shut out";
	if (under_way(o, &d->call))
		return "another call is under way";
	if (fx->send.serial <= d->call.serial)
		return "its number was used before";
	if (fx->send.kind == SEND_LOOK)
		return may_look(o, dev, fx);
	if (fx->send.kind == SEND_DIAG)
		return "nobody asked for that";
	if (!pushes)
		return "that is not its mode";
	if (fx->send.kind == SEND_DROP)
		return may_drop(o, dev, fx);
	if (fx->send.kind == SEND_STATUS)
		return fresh(o, d) ? "it has just said so" : NULL;
	return may_push(o, dev, fx);
}

void oracle_call(struct oracle *o, const struct effect *fx)
{
	int dev = device_of(o, fx->dev);
	const char *why = dev < 0 ? "it is nobody's" : may_call(o, dev, fx);

	oracle_trace(o, "device %d is called %s, update %" PRId64 ", number %" PRId64, dev,
		     words[fx->send.kind], fx->send.update, fx->send.serial);
	if (why)
		oracle_fail(o, "device %d is called %s (update %" PRId64 "): %s", dev,
			    words[fx->send.kind], fx->send.update, why);
	if (dev < 0)
		return;
	struct o_call *c = &o->now->device[dev].call;
	const struct o_update *u = oracle_update(o, fx->send.update);
	if (fx->send.kind == SEND_MANIFEST && u)
		*c = (struct o_call){ .of = u->id, .attempt = u->attempt, .held = -1 };
	o->changed = true;
	c->out = true;
	c->applied |= fx->send.kind == SEND_APPLY;
	c->kind = fx->send.kind;
	c->serial = fx->send.serial;
	c->since = o->track;
	o->calls[fx->send.kind]++;
	o->resumed += fx->send.kind == SEND_IMAGE && fx->send.offset > 0;
}

/* The server died: who waited waits no more. */
static void all_lost(struct oracle *o)
{
	for (int i = 0; i < o->now->n_devices; i++)
		o->now->device[i].call.since = INT64_MIN / 2;
}

/* A pass gives up what was waited for long enough. */
static void give_up(struct oracle *o)
{
	for (int i = 0; i < o->now->n_devices; i++)
		if (!under_way(o, &o->now->device[i].call))
			o->now->device[i].call.out = false;
}

/* ---- answers ---- */

static bool good(uint16_t status)
{
	return status >= 200 && status < 300;
}

/* What it does not know, or refuses to say, it has not said: but it was asked. */
static bool heard(uint16_t status)
{
	bool later = status == 0 || status == 403 || status == 410 || status == 429 ||
		     (status >= 500 && status != 501);

	return !later && !(status < 200);
}

static void keep_held(struct oracle *o, struct o_call *c, const struct said *s)
{
	const struct o_update *u = oracle_update(o, c->of);

	if (s->status == 409) {
		c->manifest = c->image = false;
		c->held = -1;
	} else if (heard(s->status)) {
		c->held = good(s->status) ? s->held : 0;
		c->image = u && c->held >= o->now->release[u->release].size;
	}
}

static void keep_push(struct oracle *o, struct o_device *d, const struct said *s)
{
	struct o_update *u = oracle_update(o, d->call.of);
	struct o_call *c = &d->call;

	if (u && u->attempt != c->attempt)
		u = NULL;
	if (s->call == SEND_APPLY && s->status != 0)
		c->applied = false;
	if (s->call == SEND_MANIFEST) {
		c->manifest = good(s->status);
		if (u && oracle_flies(u->state) && (good(s->status) || s->came > 0))
			u->fetched = true;
	} else if (s->call == SEND_HELD) {
		keep_held(o, c, s);
	} else if (s->call == SEND_IMAGE) {
		c->image = good(s->status);
		c->held = -1;
		c->manifest = s->status != 409;
	} else if (s->call == SEND_APPLY && s->status == 409) {
		c->manifest = c->image = false;
	}
}

static void keep_service(struct oracle *o, struct o_device *d, const struct said *s)
{
	if (!heard(s->status))
		return;
	d->call.applied = false;
	memcpy(d->service, s->service, sizeof(d->service));
	d->flash = s->flash;
	d->status_at = o->track;
}

/* False: nobody waits for it, and nothing may come of it. */
static bool answered(struct oracle *o)
{
	const struct said *s = &o->said;
	struct o_device *d = &o->now->device[s->dev];

	if (!d->call.out || d->call.serial != s->serial)
		return false;
	d->call.out = false;
	o->changed = true;
	if (s->call == SEND_LOOK && s->of_outage && heard(s->status))
		oracle_told(o, s->dev, s->update);
	else if (s->call == SEND_STATUS)
		keep_service(o, d, s);
	else
		keep_push(o, d, s);
	return true;
}

void oracle_calls_follow(struct oracle *o)
{
	if (o->said.what == HAPPENS_PASS)
		give_up(o);
	if (o->said.what == HAPPENS_CRASH)
		all_lost(o);
	o->awaited = o->said.what == HAPPENS_ANSWER && answered(o);
}

/* ---- what they lead to ---- */

/* To what it was called for since it began, at last. */
static bool said_yes(const struct oracle *o, const struct o_update *u, enum send_kind k)
{
	const struct said *s = &o->said;

	return s->what == HAPPENS_ANSWER && s->call == k && s->update == u->id &&
	       about(&o->now->device[u->dev], u);
}

/* A move of what is pushed; NULL, or what is wrong with it. */
const char *oracle_pushed(struct oracle *o, struct o_update *u, enum update_state to)
{
	const struct o_device *d = &o->now->device[u->dev];

	switch ((int)to) {
	case UPDATE_ACCEPTED:
		return said_yes(o, u, SEND_MANIFEST) && good(o->said.status)
			       ? NULL
			       : "it took no manifest";
	case UPDATE_DOWNLOADING:
		return said_yes(o, u, SEND_HELD) && heard(o->said.status) ? NULL
									  : "no image is sent";
	case UPDATE_DOWNLOADED:
		return about(d, u) && d->call.manifest && d->call.image ? NULL
									: "it has not all of it";
	case UPDATE_INSTALLING:
		u->word_boot = d->n_boots > 0 ? d->boots[0].boot : 0;
		return said_yes(o, u, SEND_APPLY) && good(o->said.status) ? NULL
									  : "it was not told to";
	case UPDATE_FAILED:
		return said_yes(o, u, o->said.call) && o->said.status >= 400 ? NULL
									     : "it has not refused";
	default:
		return "no call leads there";
	}
}
