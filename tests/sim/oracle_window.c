/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "oracle.h"

/*
 * Windows as somebody with a calendar on the wall reads them: is this minute in it, and the
 * next one, and the one after? All of them begin and end at whole minutes.
 */
#define MINUTE INT64_C(60000)
#define DAY 1440
#define RATE 1024 /* bytes a second at the slowest */

static bool on_day(const struct o_window *w, int64_t day)
{
	return w->days >> ((day + 4) % 7) & 1; /* it all began on a Thursday */
}

static bool covers(const struct o_window *w, int64_t wall)
{
	int64_t local = wall / MINUTE + w->east, day = local / DAY, minute = local % DAY;
	bool over = w->until <= w->from;

	if (on_day(w, day) && minute >= w->from && (over || minute < w->until))
		return true;
	return over && on_day(w, day - 1) && minute < w->until;
}

static bool concerns(const struct oracle *o, const struct o_window *w, const struct o_update *u)
{
	const struct o_device *d = &o->now->device[u->dev];

	if (w->id == 0)
		return false;
	switch (w->level) {
	case WINDOW_DEVICE:
		return w->ref == u->dev;
	case WINDOW_GROUP:
		return d->groups >> w->ref & 1;
	case WINDOW_CLASS:
		return w->ref == d->class_;
	case WINDOW_ROLLOUT:
		return w->ref == u->rollout;
	case WINDOW_LEVEL_COUNT:
		break;
	}
	return false;
}

/* Those that concern an update, the device's own among them. */
struct book {
	const struct o_window *w[O_WINDOWS + 1];
	int n;
	bool forced;
};

static struct book open_book(const struct oracle *o, const struct o_update *u)
{
	struct book b = { .forced = o->now->rollout[u->rollout].force };
	const struct o_window *own = &o->now->device[u->dev].own;

	for (int i = 0; i < O_WINDOWS; i++)
		if (concerns(o, &o->now->window[i], u))
			b.w[b.n++] = &o->now->window[i];
	if (own->id != 0)
		b.w[b.n++] = own;
	return b;
}

static bool black(const struct book *b, int64_t wall)
{
	for (int i = 0; i < b->n && !b->forced; i++)
		if (b->w[i]->blackout && covers(b->w[i], wall))
			return true;
	return false;
}

static bool together(const struct o_window *a, const struct o_window *b)
{
	return a->level == b->level && a->ref == b->ref && a->own == b->own;
}

/* Each party that has windows must have one of them open. */
static bool open_at(const struct book *b, int64_t wall)
{
	if (black(b, wall))
		return false;
	for (int i = 0; i < b->n; i++) {
		bool open = b->w[i]->blackout;

		for (int k = 0; k < b->n && !open; k++)
			open = !b->w[k]->blackout && together(b->w[i], b->w[k]) &&
			       covers(b->w[k], wall);
		if (!open)
			return false;
	}
	return true;
}

/* From then on for so long. */
static bool fits(const struct book *b, int64_t from, int64_t ms)
{
	if (!open_at(b, from))
		return false;
	for (int64_t t = (from / MINUTE + 1) * MINUTE; t < from + ms; t += MINUTE)
		if (!open_at(b, t))
			return false;
	return true;
}

/* The same where windows do not hold any more. */
static bool clear(const struct book *b, int64_t from, int64_t ms)
{
	if (black(b, from))
		return false;
	for (int64_t t = (from / MINUTE + 1) * MINUTE; t < from + ms; t += MINUTE)
		if (black(b, t))
			return false;
	return true;
}

/* In tracker time; it is counted from the opening of the phase. */
int64_t oracle_deadline(const struct oracle *o, const struct o_update *u)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];
	int64_t span = o->rules.class_[u->urgency].deadline_s * 1000;

	if (u->deadline > 0 || span == 0)
		return u->deadline;
	return r->phase[(u->joined ? u->phase : r->at_phase) - 1].opened + span;
}

/* When windows do not hold any more, INT64_MAX: they always do. */
static int64_t over_at(const struct oracle *o, const struct o_update *u)
{
	const struct o_class *c = &o->rules.class_[u->urgency];

	/* it is counted from a beginning */
	if (oracle_unstarted(o, u))
		return INT64_MAX;
	return c->until_deadline && c->deadline_s > 0 ? oracle_deadline(o, u) : INT64_MAX;
}

static int64_t download_ms(const struct oracle *o, const struct o_update *u)
{
	return (o->now->release[u->release].size / RATE + 1) * 1000;
}

static int64_t needs(const struct oracle *o, const struct o_update *u, bool install)
{
	bool all = !install && o->rules.class_[u->urgency].with_download;

	return o->rules.expected_s * 1000 + (all ? download_ms(o, u) : 0);
}

const char *oracle_shut(const struct oracle *o, const struct o_update *u)
{
	struct book b = open_book(o, u);

	if (b.n == 0)
		return NULL;
	if (!o->trusted)
		return "nobody knows what time it is";
	if (black(&b, o->wall))
		return "there is a black-out";
	if (o->track >= over_at(o, u) ? clear(&b, o->wall, needs(o, u, true))
				      : fits(&b, o->wall, needs(o, u, true)))
		return NULL;
	return "no window of its is open long enough";
}

/* Where installing alone is governed it may come a little ahead of its window. */
static bool fits_soon(const struct oracle *o, const struct o_update *u, const struct book *b)
{
	int64_t ms = needs(o, u, false), lead = 2 * download_ms(o, u) + 60 * MINUTE;

	/* the deadline opens it, too */
	if (o->track + lead >= over_at(o, u))
		return true;
	for (int64_t t = (o->wall / MINUTE + 1) * MINUTE; t <= o->wall + lead; t += MINUTE)
		if (fits(b, t, ms))
			return true;
	return false;
}

static void note(struct oracle *o, enum o_rule r)
{
	o->rule[r]++;
}

const char *oracle_window_forbids(struct oracle *o, const struct o_update *u)
{
	struct book b = open_book(o, u), unforced = b;

	if (b.n == 0)
		return NULL;
	if (!o->trusted)
		return "nobody knows what time it is";
	if (black(&b, o->wall))
		return "there is a black-out";
	unforced.forced = false;
	if (black(&unforced, o->wall))
		note(o, RULE_FORCED);
	if (fits(&b, o->wall, needs(o, u, false))) {
		note(o, RULE_WINDOW);
		return NULL;
	}
	if (o->track >= over_at(o, u) && clear(&b, o->wall, needs(o, u, false))) {
		note(o, RULE_DEADLINE);
		return NULL;
	}
	/* it begins with a yes: nothing tells it to wait */
	bool fetches = o->said.what == HAPPENS_DECIDE && !o->now->device[u->dev].push;
	if (o->rules.class_[u->urgency].with_download || fetches || !fits_soon(o, u, &b))
		return "no window of its is open long enough";
	note(o, RULE_AHEAD);
	return NULL;
}

/* When it may be installed was told; parts of a second are not. */
void oracle_check_slot(struct oracle *o, const struct o_update *u, int64_t not_before_s)
{
	int64_t then = o->wall + not_before_s * 1000, ms = needs(o, u, not_before_s > 0);
	struct book b = open_book(o, u);

	bool over = o->track + not_before_s * 1000 >= over_at(o, u);

	ms = ms > 1000 ? ms - 1000 : 0;
	if (b.n > 0 && !(over ? clear(&b, then, ms) : fits(&b, then, ms)))
		oracle_fail(o,
			    "update %" PRId64 " may be installed in %" PRId64
			    " s, it was told: then no window is open",
			    u->id, not_before_s);
}
