/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/front_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

/*
 * What may be served without asking: grants by (session, path), and the mapped
 * objects they name. An object stays mapped until the core withdraws it: the
 * core sends its descriptor once and reckons with it being here.
 */

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 16;

	while (p < n && p < 1u << 30)
		p <<= 1;
	return p;
}

int grants_init(struct front *f, struct err *e)
{
	struct grants *g = &f->grants;
	uint32_t buckets = power_of_two(f->o.grants_max);
	uint32_t objects = power_of_two(f->o.objects_max);

	g->max = f->o.grants_max;
	g->objects_max = f->o.objects_max;
	g->free = g->newest = g->oldest = NIL;
	g->mask = buckets - 1;
	g->objects_mask = objects - 1;
	random_bytes(&g->seed, sizeof(g->seed));
	g->slots = calloc(g->max, sizeof(*g->slots));
	g->buckets = malloc(buckets * sizeof(*g->buckets));
	g->objects = calloc(objects, sizeof(struct object *));
	if (!g->slots || !g->buckets || !g->objects)
		return err_set(e, ERR_NO_MEMORY, "%u grants", g->max);
	memset(g->buckets, 0xff, buckets * sizeof(*g->buckets));
	return 0;
}

/* ---- objects ---- */

static const uint8_t nothing[1];

static uint32_t digest_bucket(const struct grants *g, const struct digest *d)
{
	uint32_t h;

	memcpy(&h, d->b, sizeof(h)); /* a digest is as random as a hash gets */
	return h & g->objects_mask;
}

static struct object *object_get(const struct grants *g, const struct digest *d)
{
	struct object *o = g->objects[digest_bucket(g, d)];

	while (o && !digest_eq(&o->o.digest, d))
		o = o->chain;
	return o;
}

static void object_unref(struct object *o)
{
	if (--o->o.refs > 0)
		return;
	if (o->o.map != nothing)
		munmap((void *)(uintptr_t)o->o.map, (size_t)o->o.size);
	free(o);
}

struct front_object *front_object_find(struct front *f, const struct digest *d)
{
	struct object *o = object_get(&f->grants, d);

	return o ? &o->o : NULL;
}

void front_object_ref(struct front_object *o)
{
	o->refs++;
}

void front_object_unref(struct front *f, struct front_object *o)
{
	(void)f;
	object_unref((struct object *)o);
}

/*
 * fstat(3) may be newfstatat in the C library, and that takes a path: the sandbox, which
 * cannot read it, lets none through.
 */
static int stat_of(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, fd, st);
}

static const uint8_t *map_file(int fd, uint64_t size, struct err *e)
{
	struct stat st;
	void *p;

	if (stat_of(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
		err_set(e, ERR_VERIFY, "a granted file is not of the size that was granted");
		return NULL;
	}
	if (size == 0)
		return nothing;
	if (size > SIZE_MAX / 2) {
		err_set(e, ERR_TOO_LARGE, "granted file of %llu bytes", (unsigned long long)size);
		return NULL;
	}
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_set(e, ERR_NO_MEMORY, "a granted file cannot be mapped");
		return NULL;
	}
	return p;
}

static struct object *object_add(struct front *f, const struct ipc_grant *m, int fd, struct err *e)
{
	struct grants *g = &f->grants;
	struct object *o = object_get(g, &m->digest);
	uint32_t bucket = digest_bucket(g, &m->digest);

	if (o || fd < 0)
		return o;
	if (g->objects_n >= g->objects_max) {
		err_set(e, ERR_TOO_MANY, "more than %u objects granted", g->objects_max);
		return NULL;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		err_set(e, ERR_NO_MEMORY, "object");
		return NULL;
	}
	o->o.map = map_file(fd, m->size, e);
	if (!o->o.map) {
		free(o);
		return NULL;
	}
	o->o.digest = m->digest;
	o->o.size = m->size;
	o->o.refs = 1;
	o->grants = NIL;
	o->chain = g->objects[bucket];
	g->objects[bucket] = o;
	o->listed = true;
	f->stats.objects = ++g->objects_n;
	return o;
}

static void object_unlist(struct front *f, struct object *o)
{
	struct grants *g = &f->grants;
	struct object **at = &g->objects[digest_bucket(g, &o->o.digest)];

	while (*at != o)
		at = &(*at)->chain;
	*at = o->chain;
	o->listed = false;
	f->stats.objects = --g->objects_n;
}

/* ---- grants ---- */

/* FNV-1a with a secret start: the core's paths fill the table, a stranger's only look up. */
static uint64_t hash_path(const struct grants *g, struct slice path)
{
	uint64_t h = g->seed ^ 0xcbf29ce484222325u;

	for (size_t i = 0; i < path.n; i++)
		h = (h ^ path.p[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static uint32_t bucket_of(const struct grants *g, uint64_t session, uint64_t hash)
{
	uint64_t h = hash ^ session * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h ^ h >> 32) & g->mask;
}

static uint32_t grant_find(const struct grants *g, uint64_t session, uint64_t hash,
			   struct slice path)
{
	uint32_t i = g->buckets[bucket_of(g, session, hash)];

	for (; i != NIL; i = g->slots[i].chain) {
		const struct grant_slot *s = &g->slots[i];

		if (s->hash == hash && s->session == session && s->path_n == path.n &&
		    memcmp(s->path, path.p, path.n) == 0)
			return i;
	}
	return NIL;
}

static void unlink_hash(struct grants *g, uint32_t me)
{
	struct grant_slot *s = &g->slots[me];
	uint32_t *at = &g->buckets[bucket_of(g, s->session, s->hash)];

	while (*at != me)
		at = &g->slots[*at].chain;
	*at = s->chain;
}

static void unlink_age(struct grants *g, struct grant_slot *s)
{
	if (s->newer != NIL)
		g->slots[s->newer].older = s->older;
	else
		g->newest = s->older;
	if (s->older != NIL)
		g->slots[s->older].newer = s->newer;
	else
		g->oldest = s->newer;
}

static void link_age(struct grants *g, uint32_t me)
{
	g->slots[me].newer = NIL;
	g->slots[me].older = g->newest;
	if (g->newest != NIL)
		g->slots[g->newest].newer = me;
	else
		g->oldest = me;
	g->newest = me;
}

static void unlink_session(struct front *f, struct grant_slot *s)
{
	struct grants *g = &f->grants;

	if (s->session == 0)
		return;
	if (s->session_prev != NIL)
		g->slots[s->session_prev].session_next = s->session_next;
	else
		f->sessions.slots[(uint32_t)s->session - 1].grants = s->session_next;
	if (s->session_next != NIL)
		g->slots[s->session_next].session_prev = s->session_prev;
}

static void unlink_object(struct grants *g, struct grant_slot *s)
{
	if (s->object_prev != NIL)
		g->slots[s->object_prev].object_next = s->object_next;
	else
		s->object->grants = s->object_next;
	if (s->object_next != NIL)
		g->slots[s->object_next].object_prev = s->object_prev;
}

static void link_object(struct grants *g, uint32_t me, struct object *o)
{
	struct grant_slot *s = &g->slots[me];

	s->object = o;
	s->object_prev = NIL;
	s->object_next = o->grants;
	if (o->grants != NIL)
		g->slots[o->grants].object_prev = me;
	o->grants = me;
}

static void grant_remove(struct front *f, uint32_t me)
{
	struct grants *g = &f->grants;
	struct grant_slot *s = &g->slots[me];

	unlink_hash(g, me);
	unlink_age(g, s);
	unlink_session(f, s);
	unlink_object(g, s);
	free(s->path);
	s->path = NULL;
	s->chain = g->free;
	g->free = me;
	f->stats.grants = --g->n;
}

static uint32_t grant_slot_take(struct front *f)
{
	struct grants *g = &f->grants;
	uint32_t me;

	if (g->free == NIL && g->fresh == g->max && g->oldest != NIL)
		grant_remove(f, g->oldest);
	if (g->free == NIL)
		return g->fresh < g->max ? g->fresh++ : NIL;
	me = g->free;
	g->free = g->slots[me].chain;
	return me;
}

static void link_session(struct front *f, uint32_t me, struct session *owner)
{
	struct grants *g = &f->grants;
	struct grant_slot *s = &g->slots[me];

	s->session_prev = s->session_next = NIL;
	if (!owner)
		return;
	s->session_next = owner->grants;
	if (owner->grants != NIL)
		g->slots[owner->grants].session_prev = me;
	owner->grants = me;
}

static uint32_t grant_new(struct front *f, uint64_t session, uint64_t hash, struct slice path,
			  struct session *owner, struct object *o)
{
	struct grants *g = &f->grants;
	char *copy = malloc(path.n + 1);
	uint32_t me = copy ? grant_slot_take(f) : NIL;
	uint32_t *bucket = &g->buckets[bucket_of(g, session, hash)];

	if (me == NIL) {
		free(copy);
		return NIL;
	}
	memcpy(copy, path.p, path.n);
	copy[path.n] = '\0';
	g->slots[me] = (struct grant_slot){
		.session = session, .hash = hash, .path = copy, .path_n = path.n, .chain = *bucket
	};
	*bucket = me;
	link_age(g, me);
	link_session(f, me, owner);
	link_object(g, me, o);
	f->stats.grants = ++g->n;
	return me;
}

/* The same grant again: it may name another object now, and it is the youngest. */
static void grant_renew(struct front *f, uint32_t me, struct object *o)
{
	struct grants *g = &f->grants;

	unlink_age(g, &g->slots[me]);
	link_age(g, me);
	if (g->slots[me].object == o)
		return;
	unlink_object(g, &g->slots[me]);
	link_object(g, me, o);
}

/* fd is the caller's to close. What cannot be kept is not fatal: requests go on asking the core. */
int grant_received(struct front *f, const struct ipc_grant *m, int fd, struct err *e)
{
	struct grants *g = &f->grants;
	struct slice path = slice_str(m->path);
	uint64_t hash = hash_path(g, path);
	struct session *owner = m->session ? session_get(f, m->session) : NULL;
	struct object *o = object_add(f, m, fd, e);
	uint32_t me;

	if (!o)
		return fd < 0 ? err_set(e, ERR_NOT_FOUND, "a grant names an object not held") : -1;
	if (m->session && !owner)
		return 0; /* for calls to devices alone, or the session ended meanwhile */
	me = grant_find(g, m->session, hash, path);
	if (me == NIL)
		me = grant_new(f, m->session, hash, path, owner, o);
	else
		grant_renew(f, me, o);
	if (me == NIL)
		return err_set(e, ERR_NO_MEMORY, "grant");
	g->slots[me].media = m->media;
	g->slots[me].max_age = m->max_age;
	g->slots[me].until = m->lifetime_ms ? clock_mono_ms() + m->lifetime_ms : 0;
	return 0;
}

static bool grant_read(struct front *f, uint32_t me, struct front_grant *out)
{
	const struct grant_slot *s = &f->grants.slots[me];

	if (s->until && s->until <= clock_mono_ms()) {
		grant_remove(f, me);
		return false;
	}
	*out = (struct front_grant){ &s->object->o, s->media, s->max_age };
	return true;
}

bool front_granted(struct front *f, uint64_t session, struct slice path, struct front_grant *out)
{
	struct session *s = session_get(f, session);
	uint64_t hash;
	uint32_t me;

	/* admission comes first; a bare address proved nothing to be refused for */
	if (!s || (s->state != SESSION_ADMITTED && !s->plain))
		return false;
	session_touch(f, s);
	hash = hash_path(&f->grants, path);
	me = s->grants != NIL ? grant_find(&f->grants, session, hash, path) : NIL;
	if (me != NIL && grant_read(f, me, out))
		return true;
	me = grant_find(&f->grants, 0, hash, path);
	return me != NIL && grant_read(f, me, out);
}

void grants_of_session_end(struct front *f, struct session *s)
{
	while (s->grants != NIL)
		grant_remove(f, s->grants);
}

static void object_end(struct front *f, struct object *o)
{
	while (o->grants != NIL)
		grant_remove(f, o->grants);
	object_unlist(f, o);
	o->o.withdrawn = true;
}

void object_withdraw(struct front *f, const struct digest *d)
{
	struct object *o = object_get(&f->grants, d);

	if (!o)
		return;
	object_end(f, o);
	/* told while the map is still there: bodies under way look at withdrawn and let go */
	if (f->withdraw)
		f->withdraw(f->withdraw_ctx, d);
	object_unref(o);
}

void grants_free(struct front *f)
{
	struct grants *g = &f->grants;

	for (uint32_t i = 0; g->objects && i <= g->objects_mask; i++)
		while (g->objects[i]) {
			struct object *o = g->objects[i];

			object_end(f, o);
			object_unref(o);
		}
	free(g->slots);
	free(g->buckets);
	free(g->objects);
	*g = (struct grants){ 0 };
}
