/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/window_internal.h"

/*
 * A book remembers, of each rule it was asked about, the next few times it is open, and of
 * each set of windows the last answer. A rule is known by its text: a thousand devices
 * with the same window share an entry.
 */

#define ENTRIES 512
#define PROBES 8
#define SPANS 32 /* of one rule, ahead */
#define FILL_MAX (2 * OVERLAP_MAX) /* occurrences looked at for them */
#define GAP_MS (MS_DAY / 12) /* clocks are put forward by less: begins swap places there */
#define ANSWERS 64
#define REMEMBERED_MS (30 * MS_DAY) /* an answer at the longest: others come into reach */
#define STEPS_MAX 1024 /* changes looked at for one answer */
#define TIME_MAX INT64_C(13569465600000) /* 2400 */

/* A rule by its text, with no byte left unset: compared as a whole. */
struct rule_key {
	char rrule[WINDOW_RRULE_TEXT], starts[WINDOW_STARTS_TEXT], zone[WINDOW_ZONE_TEXT];
	int64_t duration_s;
};

struct entry {
	uint64_t serial, used; /* 0 free; when it was last asked */
	struct rule_key key;
	int64_t lo, hi; /* what spans says holds from lo to before hi */
	struct window_span spans[SPANS];
	int n;
};

/* Which entries, in which unions, asked how. */
struct set_key {
	uint64_t windows[WINDOW_SET_MAX];
	int64_t not_before, needs;
};

struct answer {
	struct set_key key;
	int64_t lo, hi; /* holds for moments from lo to before hi */
	bool found;
	struct window_span span;
};

struct window_book {
	uint64_t clock, work;
	struct entry entries[ENTRIES];
	struct answer answers[ANSWERS];
};

struct window_book *window_book_new(void)
{
	return calloc(1, sizeof(struct window_book));
}

void window_book_free(struct window_book *b)
{
	free(b);
}

uint64_t window_book_work(const struct window_book *b)
{
	return b->work;
}

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* FNV-1a */
static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
	const uint8_t *bytes = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void key_of(struct rule_key *k, const struct window *w)
{
	memset(k, 0, sizeof(*k));
	(void)text_copy(k->rrule, sizeof(k->rrule), w->rrule);
	(void)text_copy(k->starts, sizeof(k->starts), w->starts);
	(void)text_copy(k->zone, sizeof(k->zone), w->zone);
	k->duration_s = w->duration_s;
}

/* Its entry; a new one takes the place of the one of a few that was not asked for longest. */
static struct entry *entry_of(struct window_book *b, const struct window *w)
{
	struct rule_key key;

	key_of(&key, w);
	uint64_t h = hash_bytes(HASH_BEGIN, &key, sizeof(key));
	struct entry *oldest = &b->entries[h % ENTRIES];

	b->clock++;
	for (uint64_t i = 0; i < PROBES; i++) {
		struct entry *e = &b->entries[(h + i) % ENTRIES];

		if (memcmp(&e->key, &key, sizeof(key)) == 0) {
			e->used = b->clock;
			return e;
		}
		if (e->used < oldest->used)
			oldest = e;
	}
	*oldest = (struct entry){ .serial = b->clock, .used = b->clock, .lo = 1 };
	oldest->key = key;
	return oldest;
}

/* ---- one rule ---- */

/* Begins come in order but where a clock is put forward: those of the gap come after it. */
static bool add_span(struct entry *e, struct window_span s)
{
	int i = e->n;

	while (i > 0 && e->spans[i - 1].from > s.from)
		i--;
	if (i > 0 && e->spans[i - 1].until >= s.from) {
		if (e->spans[i - 1].until < s.until)
			e->spans[i - 1].until = s.until;
		return true;
	}
	if (e->n == SPANS)
		return false;
	memmove(&e->spans[i + 1], &e->spans[i], (size_t)(e->n - i) * sizeof(s));
	e->spans[i] = s;
	e->n++;
	return true;
}

static void read_ahead(struct entry *e, struct calendar *c, int64_t t)
{
	int64_t begin, enough = 0;

	e->n = 0;
	e->hi = t + HORIZON_MS / 2;
	for (int looked = 0; calendar_next(c, &begin, NULL); looked++) {
		struct window_span s = { begin, begin + e->key.duration_s * 1000 };

		if (enough == 0 && looked < FILL_MAX && (s.until <= t || add_span(e, s)))
			continue;
		if (enough == 0) {
			enough = begin + GAP_MS;
			e->hi = begin;
		}
		if (begin < e->hi)
			e->hi = begin;
		if (begin >= enough)
			break;
	}
}

/* e becomes good for t. */
static int fill(struct window_book *b, struct entry *e, const struct window *w, int64_t t,
		struct err *err)
{
	int64_t since = t - w->duration_s * 1000;
	struct calendar c;

	b->work++;
	/* a day more: for the zone, and for what changes of its offset put elsewhere */
	if (calendar_open(&c, w, zone_local(w->zone, since) - MS_DAY, err) < 0)
		return -1;
	read_ahead(e, &c, t);
	e->lo = t;
	calendar_close(&c);
	return 0;
}

/* 1 open, 0 closed, and until when that holds at least; -1. */
static int rule_at(struct window_book *b, const struct window *w, int64_t t, int64_t *until,
		   struct err *err)
{
	struct entry *e = entry_of(b, w);

	if ((t < e->lo || t >= e->hi) && fill(b, e, w, t, err) < 0)
		return -1;
	*until = e->hi;
	for (int i = 0; i < e->n; i++) {
		if (t < e->spans[i].from) {
			*until = e->spans[i].from < e->hi ? e->spans[i].from : e->hi;
			return 0;
		}
		if (t < e->spans[i].until) {
			*until = e->spans[i].until;
			return 1;
		}
	}
	return 0;
}

/* ---- a set ---- */

struct unit { /* a union: the windows of one level and one of its things */
	bool used, open;
	int64_t until; /* open: at least until then; closed: at least until then */
};

/* The first of the set that is of the same union. */
static int unit_of(const struct window_set *s, int n)
{
	const struct window *w = &s->windows[n];

	for (int i = 0; i < n; i++) {
		const struct window *o = &s->windows[i];

		/* a class has no ref: a device is of one, by whichever name */
		if (o->level == w->level && o->ref == w->ref && o->reported == w->reported &&
		    !o->blackout)
			return i;
	}
	return n;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void join(struct unit *u, int open, int64_t until)
{
	if (!u->used)
		*u = (struct unit){ .used = true, .open = open, .until = until };
	else if (u->open)
		u->until = open ? later(u->until, until) : u->until;
	else if (open)
		*u = (struct unit){ .used = true, .open = true, .until = until };
	else
		u->until = earlier(u->until, until);
}

/* What all of it says of a moment. */
struct moment {
	bool open;
	int64_t until; /* that it holds at least */
};

static int set_at(struct window_book *b, const struct window_set *s, int64_t t, struct moment *out,
		  struct err *e)
{
	struct unit units[WINDOW_SET_MAX] = { { .used = false } };
	int64_t open = WINDOW_EVER, closed = s->not_before > t ? s->not_before : 0, until;

	for (int i = 0; i < s->n; i++) {
		const struct window *w = &s->windows[i];

		if (w->blackout ? s->no_blackouts : s->no_windows)
			continue;
		int is = rule_at(b, w, t, &until, e);
		if (is < 0)
			return -1;
		if (!w->blackout)
			join(&units[unit_of(s, i)], is, until);
		else if (is)
			closed = later(closed, until);
		else
			open = earlier(open, until);
	}
	for (int i = 0; i < s->n; i++) {
		if (units[i].used && units[i].open)
			open = earlier(open, units[i].until);
		else if (units[i].used)
			closed = later(closed, units[i].until);
	}
	*out = (struct moment){ .open = closed == 0, .until = closed ? closed : open };
	return 0;
}

/*
 * From the moment *t on: the next opening within reach, and *t its end. 1, 0 none, -1. *steps
 * is how many more changes are looked at.
 */
static int next_span(struct window_book *b, const struct window_set *s, int64_t *t, int64_t end,
		     int *steps, struct window_span *out, struct err *e)
{
	struct moment v = { .open = false, .until = *t };
	bool found = false;

	while (v.until < end && (*steps)-- > 0) {
		*t = v.until;
		if (set_at(b, s, *t, &v, e) < 0)
			return -1;
		if (v.open && !found)
			out->from = *t;
		else if (!v.open && found) {
			out->until = *t;
			return 1;
		}
		found = v.open;
	}
	/* still open where looking ends */
	out->until = v.until < end ? *t : WINDOW_EVER;
	*t = end;
	return found;
}

static int64_t bounded(int64_t t)
{
	return t < 0 ? 0 : earlier(t, TIME_MAX);
}

static int check_set(const struct window_set *s, struct err *e)
{
	if (s->n <= WINDOW_SET_MAX)
		return 0;
	return err_set(e, ERR_TOO_LARGE, "more than %d windows concern it", WINDOW_SET_MAX);
}

/* ---- answers remembered ---- */

/* Entries are made anew with another serial, so an old answer is not found again. */
static struct answer *answer_of(struct window_book *b, const struct window_set *s, int64_t needs,
				struct set_key *key)
{
	memset(key, 0, sizeof(*key));
	key->not_before = s->not_before;
	key->needs = needs;
	for (int i = 0; i < s->n; i++) {
		const struct window *w = &s->windows[i];
		bool out = w->blackout ? s->no_blackouts : s->no_windows;

		key->windows[i] = entry_of(b, w)->serial << 8 | (uint64_t)unit_of(s, i) << 2 |
				  (uint64_t)w->blackout << 1 | (uint64_t)out;
	}
	return &b->answers[hash_bytes(HASH_BEGIN, key, sizeof(*key)) % ANSWERS];
}

static int look_for(struct window_book *b, const struct window_set *s, int64_t t, int64_t needs,
		    struct answer *a, struct err *e)
{
	int64_t at = t, end = t + HORIZON_MS;
	int steps = STEPS_MAX, got;

	do {
		got = next_span(b, s, &at, end, &steps, &a->span, e);
	} while (got > 0 && a->span.until - later(a->span.from, t) < needs);
	if (got < 0)
		return -1;
	a->found = got > 0;
	a->lo = t;
	/* nothing in sight: looked at again tomorrow; else until it begins, or is too short */
	if (!a->found)
		a->hi = t + MS_DAY;
	else if (a->span.from > t)
		a->hi = a->span.from;
	else
		a->hi = a->span.until - later(needs - 1, 0);
	a->hi = earlier(a->hi, t + REMEMBERED_MS);
	return 0;
}

int window_opening(struct window_book *b, const struct window_set *s, int64_t t, int64_t needs,
		   struct window_span *out, struct err *e)
{
	struct answer fresh = { .lo = 0 }, *a;
	struct set_key key;

	if (check_set(s, e) < 0)
		return -1;
	t = bounded(t);
	a = answer_of(b, s, needs, &key);
	if (memcmp(&a->key, &key, sizeof(key)) != 0 || t < a->lo || t >= a->hi) {
		if (look_for(b, s, t, needs, &fresh, e) < 0)
			return -1;
		fresh.key = key;
		*a = fresh;
	}
	*out = a->span;
	return a->found;
}

int window_openings(struct window_book *b, const struct window_set *s, int64_t t, int limit,
		    struct window_span *out, struct err *e)
{
	int steps = STEPS_MAX, n = 0, got = 1;

	if (check_set(s, e) < 0)
		return -1;
	t = bounded(t);
	int64_t end = t + HORIZON_MS;
	while (n < limit && got > 0) {
		got = next_span(b, s, &t, end, &steps, &out[n], e);
		if (got < 0)
			return -1;
		n += got;
	}
	return n;
}

int window_blackout(struct window_book *b, const struct window_set *s, int64_t t, int64_t *until,
		    const struct window **which, struct err *e)
{
	int64_t at;

	if (check_set(s, e) < 0)
		return -1;
	*until = t = bounded(t);
	for (int i = 0; i < s->n && !s->no_blackouts; i++) {
		if (!s->windows[i].blackout)
			continue;
		int is = rule_at(b, &s->windows[i], t, &at, e);
		if (is < 0)
			return -1;
		if (is && at > *until) {
			*until = at;
			*which = &s->windows[i];
		}
	}
	return *until > t;
}
