/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "service/internal.h"

#define SLOTS_FIRST 64

/* Handles are the front's and may be chosen to collide: mix them well (splitmix64's finish). */
static size_t slot_of(const struct sessions *t, uint64_t handle)
{
	uint64_t h = handle;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return (size_t)(h ^ h >> 31) & (t->cap - 1);
}

/* Where handle is, or the free slot where it would be. cap > n always holds. */
static size_t probe(const struct sessions *t, uint64_t handle)
{
	size_t i = slot_of(t, handle);

	while (t->slot[i] && t->slot[i]->handle != handle)
		i = (i + 1) & (t->cap - 1);
	return i;
}

struct session *sessions_find(const struct sessions *t, uint64_t handle)
{
	return t->cap ? t->slot[probe(t, handle)] : NULL;
}

static struct session **bucket_of(const struct sessions *t, int64_t dev)
{
	/* row ids are dense and nobody's to choose */
	return &t->by_dev[(size_t)dev & (t->cap - 1)];
}

static void dev_link(struct sessions *t, struct session *s)
{
	s->dev_prev = s->dev_next = NULL;
	if (s->dev == 0)
		return;
	struct session **at = bucket_of(t, s->dev);
	s->dev_next = *at;
	if (*at)
		(*at)->dev_prev = s;
	*at = s;
}

static void dev_unlink(struct sessions *t, struct session *s)
{
	if (s->dev == 0)
		return;
	if (s->dev_prev)
		s->dev_prev->dev_next = s->dev_next;
	else
		*bucket_of(t, s->dev) = s->dev_next;
	if (s->dev_next)
		s->dev_next->dev_prev = s->dev_prev;
}

void sessions_bind(struct sessions *t, struct session *s, int64_t dev)
{
	if (dev != s->dev) {
		dev_unlink(t, s);
		s->dev = dev;
		dev_link(t, s);
	}
	s->bound = ++t->bindings;
}

static bool may_call(const struct session *s, bool plain)
{
	if (plain)
		return s->evidence.transport == TRANSPORT_COAP;
	return s->evidence.transport == TRANSPORT_COAPS;
}

const struct session *sessions_of_device(const struct sessions *t, int64_t dev, bool plain)
{
	const struct session *last = NULL;

	if (!t->cap || dev == 0)
		return NULL;
	for (const struct session *s = *bucket_of(t, dev); s; s = s->dev_next)
		if (s->dev == dev && may_call(s, plain) && (!last || s->bound > last->bound))
			last = s;
	return last;
}

/* Keep a quarter free, so that a miss ends soon. */
static bool make_room(struct sessions *t)
{
	struct sessions wide = *t;

	if (t->cap && t->n + 1 <= t->cap - t->cap / 4)
		return true;
	wide.cap = t->cap ? t->cap * 2 : SLOTS_FIRST;
	wide.slot = calloc(wide.cap, sizeof(struct session *));
	wide.by_dev = calloc(wide.cap, sizeof(struct session *));
	if (!wide.slot || !wide.by_dev) {
		free(wide.slot);
		free(wide.by_dev);
		return false;
	}
	for (size_t i = 0; i < t->cap; i++)
		if (t->slot[i]) {
			wide.slot[probe(&wide, t->slot[i]->handle)] = t->slot[i];
			dev_link(&wide, t->slot[i]);
		}
	free(t->slot);
	free(t->by_dev);
	*t = wide;
	return true;
}

struct session *sessions_add(struct sessions *t, uint64_t handle)
{
	if (handle == 0 || t->n >= t->max || !make_room(t))
		return NULL;
	size_t i = probe(t, handle);
	if (t->slot[i])
		return NULL;
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->handle = handle;
	t->slot[i] = s;
	t->n++;
	return s;
}

/* Close the gap: whatever probed past it moves back. */
static void shift_back(struct sessions *t, size_t gap)
{
	for (size_t i = (gap + 1) & (t->cap - 1); t->slot[i]; i = (i + 1) & (t->cap - 1)) {
		size_t home = slot_of(t, t->slot[i]->handle);

		if (((i - home) & (t->cap - 1)) < ((i - gap) & (t->cap - 1)))
			continue;
		t->slot[gap] = t->slot[i];
		t->slot[i] = NULL;
		gap = i;
	}
}

void sessions_remove(struct sessions *t, uint64_t handle)
{
	size_t i = t->cap ? probe(t, handle) : 0;

	if (!t->cap || !t->slot[i])
		return;
	dev_unlink(t, t->slot[i]);
	free(t->slot[i]);
	t->slot[i] = NULL;
	t->n--;
	shift_back(t, i);
}

void sessions_clear(struct sessions *t)
{
	for (size_t i = 0; i < t->cap; i++)
		free(t->slot[i]);
	free(t->slot);
	free(t->by_dev);
	*t = (struct sessions){ .max = t->max };
}

/* What a listener of each transport can prove. Anything else is forged. */
static bool evidence_plausible(enum lane lane, const struct evidence *ev)
{
	static const struct {
		enum lane lane;
		enum transport transport;
		enum evidence_kind kind;
	} allowed[] = {
		{ LANE_CONTROL, TRANSPORT_UNIX, EVIDENCE_LOCAL },
		{ LANE_NETWORK, TRANSPORT_COAP, EVIDENCE_PLAIN },
		{ LANE_NETWORK, TRANSPORT_HTTP, EVIDENCE_PLAIN },
		{ LANE_NETWORK, TRANSPORT_COAPS, EVIDENCE_PSK },
		{ LANE_NETWORK, TRANSPORT_HTTPS, EVIDENCE_TLS },
	};

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (allowed[i].lane == lane && allowed[i].transport == ev->transport &&
		    allowed[i].kind == ev->kind)
			return true;
	return false;
}

bool credential_usable(const struct credential *cr, int64_t wall)
{
	return cr->revoked == 0 && (cr->not_after == 0 || wall < cr->not_after);
}

/* A PSK identity names a credential, that names a device: both must be usable now. */
static bool admit_psk(struct service *sv, enum lane lane, struct session *s, const struct now *now)
{
	struct credential cr;
	struct device d;
	struct err e = { 0 };
	int rc = store_credential_by_identity_at(sv->o.store, CREDENTIAL_PSK, s->evidence.identity,
						 now->wall, &cr, &e);

	if (rc == 1 && credential_usable(&cr, now->wall))
		rc = store_device_by_dev(sv->o.store, cr.dev, &d, &e);
	else if (rc == 1)
		rc = 0;
	/*
	 * A session that is resumed may have begun with any key its identity had while its ticket
	 * lives, be it another device's, and the ticket does not say which: once one ended, a key
	 * must be shown again.
	 */
	if (rc == 1 && s->evidence.resumed) {
		int ended = store_identity_ended(sv->o.store, cr.identity, now->wall - TICKET_MS,
						 now->wall, &e);
		rc = ended < 0 ? -1 : !ended;
	}
	if (rc < 0)
		log_error("admit: %s", e.text);
	if (rc != 1 || d.disabled || d.auth == AUTH_NONE)
		return false;
	sessions_bind(&sv->lanes[lane], s, cr.dev);
	s->credential = cr.id;
	(void)text_copy(s->device, sizeof(s->device), d.id);
	return true;
}

int service_admit(struct service *sv, enum lane lane, uint64_t session, const struct evidence *ev,
		  const struct now *now)
{
	if ((unsigned)lane >= LANE_COUNT || !evidence_plausible(lane, ev) ||
	    !memchr(ev->identity, '\0', sizeof(ev->identity)))
		return 0;
	struct session *s = sessions_add(&sv->lanes[lane], session);
	if (!s)
		return 0;
	s->evidence = *ev;
	if (ev->kind == EVIDENCE_PSK && !admit_psk(sv, lane, s, now)) {
		sessions_remove(&sv->lanes[lane], session);
		return 0;
	}
	return 1;
}

void service_closed(struct service *sv, enum lane lane, uint64_t session)
{
	if ((unsigned)lane < LANE_COUNT)
		sessions_remove(&sv->lanes[lane], session);
}

void service_lane_reset(struct service *sv, enum lane lane)
{
	if ((unsigned)lane < LANE_COUNT)
		sessions_clear(&sv->lanes[lane]);
}

size_t service_sessions(const struct service *sv, enum lane lane)
{
	return (unsigned)lane < LANE_COUNT ? sv->lanes[lane].n : 0;
}

static bool ends(const struct effect *fx, const struct session *s)
{
	if (fx->kind == EFFECT_DROP_DEVICE)
		return fx->dev != 0 && s->dev == fx->dev &&
		       (fx->credential == 0 || s->credential == fx->credential ||
			s->evidence.resumed);
	if (fx->kind == EFFECT_DROP_TOKEN)
		return fx->token != 0 && s->token == fx->token;
	return false;
}

int service_sessions_of(struct service *sv, enum lane lane, const struct effect *fx, uint64_t *out,
			int limit)
{
	int n = 0;

	if ((unsigned)lane >= LANE_COUNT)
		return 0;
	const struct sessions *t = &sv->lanes[lane];
	for (size_t i = 0; i < t->cap && n < limit; i++)
		if (t->slot[i] && ends(fx, t->slot[i]))
			out[n++] = t->slot[i]->handle;
	return n;
}
