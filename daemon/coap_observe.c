/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/*
 * Observe (RFC 7641), in a table of its own. A notification is what the core
 * answers to the same GET now; every one is confirmable, so a peer that is gone is
 * found out by the first it misses. One in flight an observer: what happens
 * meanwhile is told by the next. Who was told nothing for half a day is told how
 * things stand (4.5 wants a confirmable one a day), which keeps a DTLS session that
 * only listens from looking idle.
 */
#define REFRESH_MS (12 * 3600000L)

/* "/d/" is short for "/device/": the core names the long form. What stands behind it, or NULL. */
static const char *device_part(const char *path)
{
	if (strncmp(path, "/d/", 3) == 0)
		return path + 3;
	return strncmp(path, "/device/", 8) == 0 ? path + 8 : NULL;
}

static bool same_path(const char *a, const char *b)
{
	const char *x = device_part(a), *y = device_part(b);

	return x && y ? strcmp(x, y) == 0 : strcmp(a, b) == 0;
}

static uint32_t hash_path(const struct coap_server *cs, const char *path)
{
	uint32_t h = (uint32_t)cs->seed ^ 2166136261u;
	const char *s = device_part(path);

	for (s = s ? s : path; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h ^ h >> 15;
}

static uint32_t clock_sequence(void)
{
	return (uint32_t)(clock_mono_ms() / 16) & 0xffffff;
}

struct observer *observer_new(struct coap_peer *p, const struct wire_msg *m)
{
	struct coap_server *cs = p->cs;
	struct observer *o;

	if (cs->n_observers >= OBSERVERS_MAX)
		return NULL;
	o = calloc(1, sizeof(*o) + m->path_n + 1u + m->query_n + 1u);
	if (!o)
		return NULL;
	o->peer = p;
	o->tkl = m->tkl;
	memcpy(o->token, m->token, m->tkl);
	o->accept = m->accept < 0 ? MEDIA_NONE : media_from_coap((unsigned)m->accept);
	o->szx = m->block2.set ? m->block2.szx : 6;
	memcpy(o->path, m->path, m->path_n + 1u);
	o->query = o->path + m->path_n + 1;
	memcpy(o->query, m->query, m->query_n + 1u);
	o->hash = hash_path(cs, o->path);
	o->what = kept_what(cs, m);
	o->sequence = (clock_sequence() - 1) & 0xffffff;
	link_init(&o->dirty);
	cs->n_observers++;
	return o;
}

struct observer *observer_find(struct coap_peer *p, const uint8_t *token, size_t tkl)
{
	struct observer *o = p->observers;

	while (o && (o->tkl != tkl || memcmp(o->token, token, tkl) != 0))
		o = o->next;
	return o;
}

/*
 * Clock time in 16 ms steps, never twice: still ahead after a restart, and when the peer
 * registers anew under its token (RFC 7641 4.4).
 */
uint32_t observer_sequence(struct observer *o)
{
	const struct observer *before = observer_find(o->peer, o->token, o->tkl);
	uint32_t v = clock_sequence();

	if (before && before != o)
		o->sequence = before->sequence;
	if (((o->sequence - v) & 0xffffff) < 0x800000)
		v = (o->sequence + 1) & 0xffffff;
	o->sequence = v;
	return v;
}

static struct observer *oldest_of(struct coap_peer *p)
{
	struct observer *o = p->observers;

	while (o && o->next)
		o = o->next;
	return o;
}

void observer_accept(struct observer *o)
{
	struct coap_peer *p = o->peer;
	struct observer *before = observer_find(p, o->token, o->tkl);
	struct observer **bucket = &p->cs->observers[o->hash % OBSERVER_BUCKETS];

	if (before)
		observer_free(before);
	if (p->n_observers >= OBSERVERS_A_PEER)
		observer_free(oldest_of(p));
	o->next = p->observers;
	o->at = &p->observers;
	if (o->next)
		o->next->at = &o->next;
	p->observers = o;
	p->n_observers++;
	o->chain = *bucket;
	o->chain_at = bucket;
	if (o->chain)
		o->chain->chain_at = &o->chain;
	*bucket = o;
	o->listed = true;
	o->told = p->cs->now;
}

void observer_free(struct observer *o)
{
	struct coap_peer *p = o->peer;

	if (o->request)
		front_cancel(p->cs->front, o->request);
	if (o->is_dirty)
		link_del(&o->dirty);
	if (o->listed) {
		*o->at = o->next;
		if (o->next)
			o->next->at = o->at;
		*o->chain_at = o->chain;
		if (o->chain)
			o->chain->chain_at = o->chain_at;
		p->n_observers--;
	}
	p->cs->n_observers--;
	free(o);
}

static void later(struct observer *o)
{
	if (o->is_dirty)
		return;
	o->is_dirty = true;
	link_add(&o->peer->cs->dirty, &o->dirty);
}

/* ---- a notification ---- */

/* False: it was the last, the observer is gone. */
static bool send_now(struct observer *o, const struct response *rs)
{
	struct coap_peer *p = o->peer;
	struct coap_server *cs = p->cs;
	struct wire_block block = { .set = o->szx < 6, .szx = o->szx };
	uint8_t code = coap_code_of(rs->status, METHOD_GET);
	bool stays = rs->observing && WIRE_CLASS(code) == 2;
	struct content c = { .etag = rs->etag, .max_age = rs->max_age, .block2 = &block };
	struct wire_out *out = &cs->out;

	if (rs->body.n) {
		c.bytes = rs->body;
		c.format = content_format_of(cs, rs->media);
	} else {
		c.format = -1;
	}
	c.observe = stays;
	if (stays)
		c.sequence = observer_sequence(o);
	o->told = cs->now;
	o->mid = peer_mid(p);
	wire_begin(out, WIRE_CON, code, o->mid, o->token, o->tkl);
	if (!content_write(out, &c) || out->failed)
		return true;
	if (out->payload.n < c.bytes.n)
		kept_put(p, o->what, &c);
	peer_send(p, out, false);
	o->in_flight = confirmable_add(p, out, o->mid, FOR_OBSERVER);
	if (!stays)
		observer_free(o);
	return stays;
}

static void look(struct observer *o);

static void on_reply(void *ctx, const struct response *rs)
{
	struct observer *o = ctx;
	struct coap_peer *p = o->peer;
	bool end = rs && rs->close;

	o->request = 0;
	if (!rs || rs->status >= 500)
		later(o); /* not now; the news itself is not lost */
	else if (send_now(o, rs) && o->again && !end)
		look(o);
	if (end)
		peer_end(p, true);
}

static void look(struct observer *o)
{
	struct coap_peer *p = o->peer;
	struct request rq = { .session = p->session,
			      .method = METHOD_GET,
			      .content_format = MEDIA_NONE,
			      .accept = o->accept,
			      .observe = true,
			      .want_body = true,
			      .path = slice_str(o->path),
			      .query = slice_str(o->query) };

	if (o->request || o->in_flight) {
		o->again = true;
		return;
	}
	o->again = false;
	if (front_submit(p->cs->front, &rq, on_reply, o) < 0)
		later(o);
	else
		o->request = rq.id;
}

void observers_notify(void *ctx, const char *path)
{
	struct coap_server *cs = ctx;
	uint32_t hash = hash_path(cs, path);

	for (struct observer *o = cs->observers[hash % OBSERVER_BUCKETS]; o; o = o->chain)
		if (o->hash == hash && same_path(o->path, path))
			look(o);
}

/* One bucket a tick: all of them in little more than an hour. */
static void sweep(struct coap_server *cs)
{
	struct observer *o = cs->observers[cs->sweep++ % OBSERVER_BUCKETS];

	for (; o; o = o->chain)
		if (cs->now - o->told >= REFRESH_MS && !o->request && !o->in_flight)
			look(o);
}

void observers_retry(struct coap_server *cs)
{
	struct link waiting;

	sweep(cs);
	if (link_empty(&cs->dirty))
		return;
	/* those that find no room again go behind a new head */
	waiting = cs->dirty;
	waiting.next->prev = waiting.prev->next = &waiting;
	link_init(&cs->dirty);
	while (!link_empty(&waiting)) {
		struct observer *o = LINK_OF(waiting.next, struct observer, dirty);

		link_del(&o->dirty);
		o->is_dirty = false;
		look(o);
	}
}

void observer_settled(struct coap_peer *p, uint16_t mid, bool ok)
{
	struct observer *o = p->observers;

	while (o && (!o->in_flight || o->mid != mid))
		o = o->next;
	if (!o)
		return;
	o->in_flight = false;
	if (!ok)
		observer_free(o);
	else if (o->again)
		look(o);
}
