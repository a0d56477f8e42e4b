/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/front_internal.h"

#include <stdlib.h>

#define ADMIT_BYTES 256u /* more than any ENTRY_ADMIT takes */

static uint64_t handle_of(const struct front *f, const struct session *s)
{
	return (uint64_t)s->generation << 32 | ((uint64_t)(s - f->sessions.slots) + 1);
}

int sessions_init(struct front *f, struct err *e)
{
	struct sessions *t = &f->sessions;

	t->max = f->o.sessions_max;
	t->plain_max = t->max / 2 ? t->max / 2 : 1;
	t->free = t->closing = t->closing_tail = t->newest = t->oldest = NIL;
	/* untouched slots cost no memory: the kernel gives pages when they are first written */
	t->slots = calloc(t->max, sizeof(*t->slots));
	return t->slots ? 0 : err_set(e, ERR_NO_MEMORY, "%u sessions", t->max);
}

void sessions_free(struct front *f)
{
	struct sessions *t = &f->sessions;

	for (uint32_t i = 0; t->slots && i < t->fresh; i++)
		free(t->slots[i].evidence);
	free(t->slots);
	t->slots = NULL;
}

struct session *session_get(struct front *f, uint64_t handle)
{
	uint32_t slot = (uint32_t)handle - 1;
	struct session *s;

	if (slot >= f->sessions.fresh)
		return NULL;
	s = &f->sessions.slots[slot];
	if (s->generation != handle >> 32 || s->state == SESSION_FREE ||
	    s->state == SESSION_CLOSING)
		return NULL;
	return s;
}

static void lru_out(struct sessions *t, struct session *s)
{
	if (s->prev != NIL)
		t->slots[s->prev].next = s->next;
	else
		t->newest = s->next;
	if (s->next != NIL)
		t->slots[s->next].prev = s->prev;
	else
		t->oldest = s->prev;
}

static void lru_in(struct sessions *t, struct session *s)
{
	uint32_t me = (uint32_t)(s - t->slots);

	s->prev = NIL;
	s->next = t->newest;
	if (t->newest != NIL)
		t->slots[t->newest].prev = me;
	else
		t->oldest = me;
	t->newest = me;
}

void session_touch(struct front *f, struct session *s)
{
	struct sessions *t = &f->sessions;

	if (!s->plain || t->newest == (uint32_t)(s - t->slots))
		return;
	lru_out(t, s);
	lru_in(t, s);
}

/* Everything that hangs on the session goes; the slot waits if the core must hear of it. */
static void session_end(struct front *f, struct session *s)
{
	struct sessions *t = &f->sessions;
	uint32_t me = (uint32_t)(s - t->slots);
	bool known = s->state != SESSION_OPEN;

	uploads_of_session_abort(f, handle_of(f, s));
	grants_of_session_end(f, s);
	if (s->plain) {
		lru_out(t, s);
		t->plain--;
	}
	t->open--;
	free(s->evidence);
	s->evidence = NULL;
	s->next = NIL;
	if (!known) {
		s->state = SESSION_FREE;
		s->next = t->free;
		t->free = me;
		return;
	}
	s->state = SESSION_CLOSING;
	if (t->closing_tail != NIL)
		t->slots[t->closing_tail].next = me;
	else
		t->closing = me;
	t->closing_tail = me;
}

bool sessions_closing(const struct front *f)
{
	return f->sessions.closing != NIL;
}

void sessions_say_closed(struct front *f)
{
	struct sessions *t = &f->sessions;

	for (unsigned i = 0; i < CLOSED_A_BATCH && t->closing != NIL; i++) {
		uint32_t me = t->closing;
		struct session *s = &t->slots[me];

		if (!front_batch_room(f, 1, ADMIT_BYTES))
			return;
		ipc_put_closed(&f->gather->entries, handle_of(f, s));
		f->gather->count++;
		t->closing = s->next;
		if (t->closing == NIL)
			t->closing_tail = NIL;
		s->state = SESSION_FREE;
		s->next = t->free;
		t->free = me;
	}
}

/* The plain session used longest ago gives way. */
static void evict_plain(struct front *f)
{
	struct sessions *t = &f->sessions;
	struct session *s;
	uint64_t handle;
	front_drop drop;
	void *ctx;

	if (t->oldest == NIL)
		return;
	s = &t->slots[t->oldest];
	handle = handle_of(f, s);
	drop = s->drop;
	ctx = s->ctx;
	session_end(f, s);
	if (drop)
		drop(ctx, handle);
}

static struct session *slot_take(struct sessions *t)
{
	struct session *s;

	if (t->free != NIL) {
		s = &t->slots[t->free];
		t->free = s->next;
		return s;
	}
	return t->fresh < t->max ? &t->slots[t->fresh++] : NULL;
}

uint64_t front_session_open(struct front *f, const struct evidence *ev, front_drop drop, void *ctx)
{
	struct sessions *t = &f->sessions;
	bool plain = ev->kind == EVIDENCE_PLAIN && ev->transport == TRANSPORT_COAP;
	struct evidence *copy;
	struct session *s;

	if (f->dead)
		return 0;
	if (plain && t->plain >= t->plain_max)
		evict_plain(f);
	copy = malloc(sizeof(*copy));
	s = copy ? slot_take(t) : NULL;
	if (!s) {
		free(copy);
		return 0;
	}
	*copy = *ev;
	*s = (struct session){ .generation = s->generation + 1,
			       .state = SESSION_OPEN,
			       .plain = plain,
			       .evidence = copy,
			       .drop = drop,
			       .ctx = ctx,
			       .next = NIL,
			       .prev = NIL,
			       .grants = NIL };
	t->open++;
	f->stats.sessions++;
	if (plain) {
		t->plain++;
		lru_in(t, s);
	}
	return handle_of(f, s);
}

void front_session_close(struct front *f, uint64_t session)
{
	struct session *s = session_get(f, session);

	if (s)
		session_end(f, s);
}

bool front_session_alive(const struct front *f, uint64_t session)
{
	/* the lookup changes nothing; the table's other callers need to write */
	return session_get((struct front *)(uintptr_t)f, session) != NULL;
}

void *front_session_ctx(struct front *f, uint64_t session, front_drop drop)
{
	struct session *s = session_get(f, session);

	return s && s->drop == drop ? s->ctx : NULL;
}

void front_session_touch(struct front *f, uint64_t session)
{
	struct session *s = session_get(f, session);

	if (s)
		session_touch(f, s);
}

/* Caller made sure of room for one entry. */
void session_announce(struct front *f, struct session *s, uint64_t handle)
{
	if (s->state != SESSION_OPEN)
		return;
	ipc_put_admit(&f->gather->entries, handle, s->evidence);
	f->gather->count++;
	free(s->evidence);
	s->evidence = NULL;
	s->state = SESSION_SENT;
}

void session_dropped(struct front *f, uint64_t handle)
{
	struct session *s = session_get(f, handle);
	front_drop drop;
	void *ctx;

	if (!s)
		return;
	drop = s->drop;
	ctx = s->ctx;
	session_end(f, s);
	if (drop)
		drop(ctx, handle);
}
