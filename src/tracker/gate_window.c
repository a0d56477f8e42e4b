/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"

/*
 * The gates of black-outs and windows. Rows say which windows concern an update, the book
 * what they come to; where none does, neither costs anything.
 */

#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)
#define SPREAD_MOST_MS HOUR_MS /* the first part of an opening, in which who waits for it comes */

/* Without the caller's book one for this question. */
static struct window_book *book_take(struct tracker *tk, struct err *e)
{
	struct window_book *b = tk->windows ? tk->windows : window_book_new();

	if (!b)
		err_set(e, ERR_NO_MEMORY, "no memory for windows");
	return b;
}

static void book_give(struct tracker *tk, struct window_book *b)
{
	if (b != tk->windows)
		window_book_free(b);
}

/* A set of windows and how it is asked about. */
struct question {
	struct tracker *tk;
	struct window_set set;
	bool blackouts, windows; /* there are some */
};

static int read_windows(struct tracker *tk, const struct device *d, int64_t rollout,
			struct window **out, struct err *e)
{
	struct window rows[WINDOW_SET_MAX + 1];
	int n = store_window_concerning(tk->st, d, rollout, WINDOW_SET_MAX + 1, rows, e);

	if (n <= 0)
		return n;
	*out = arena_copy(tk->a, rows, (size_t)n * sizeof(rows[0]));
	return *out ? n : err_set(e, ERR_NO_MEMORY, "no memory for windows");
}

static struct question question_of(struct tracker *tk, const struct window *w, int n)
{
	struct question q = { .tk = tk, .set = { .windows = w, .n = n } };

	for (int i = 0; i < n; i++) {
		q.blackouts = q.blackouts || w[i].blackout;
		q.windows = q.windows || !w[i].blackout;
	}
	return q;
}

static int ask(struct look *g, struct question *q, struct err *e)
{
	if (!g->windows_read) {
		g->n_windows = read_windows(g->tk, g->d, g->u->rollout, &g->windows, e);
		if (g->n_windows < 0)
			return -1;
		g->windows_read = true;
	}
	*q = question_of(g->tk, g->windows, g->n_windows);
	q->set.not_before = g->manifest.not_before;
	q->set.no_blackouts = g->u->rollout > 0 && g->rollout.limits.force;
	return 0;
}

static void until_text(char dst[TEXT_TIME_SIZE], int64_t t)
{
	text_time(dst, t);
	/* whole seconds are enough */
	dst[19] = 'Z';
	dst[20] = '\0';
}

/* What the windows' own troubles say (a zone that is gone): closed, not an error of the asker. */
static int troubled(const struct err *why, char value[REASON_TEXT], struct err *e)
{
	if (why->code != ERR_INVALID && why->code != ERR_TOO_LARGE) {
		if (e)
			*e = *why;
		return -1;
	}
	cause_format(value, REASON_TEXT, "%s", why->text);
	return 0;
}

static int clock_waits(char value[REASON_TEXT])
{
	cause_format(value, REASON_TEXT, "clock: the wall clock is not trusted");
	return 0;
}

/* ---- black-outs ---- */

static int blackout(struct look *g, struct question *q, char value[REASON_TEXT], struct err *e)
{
	struct err why = { .code = ERR_NONE };
	const struct window *which = NULL;
	char when[TEXT_TIME_SIZE];
	int64_t until = 0, now = g->tk->now.wall;

	struct window_book *b = book_take(g->tk, e);
	if (!b)
		return -1;
	int in = window_blackout(b, &q->set, now, &until, &which, &why);
	book_give(g->tk, b);
	if (in < 0)
		return troubled(&why, value, e);
	if (in == 0) {
		cause_format(value, REASON_TEXT, "none at the moment");
		return 1;
	}
	until_text(when, until);
	/* what never ends is only looked at so far */
	if (until - now > YEAR_MS)
		cause_format(value, REASON_TEXT, "%" PRId64 " of the %s lasts more than a year",
			     which->id, window_level_word(which->level));
	else
		cause_format(value, REASON_TEXT, "%" PRId64 " of the %s lasts until %s", which->id,
			     window_level_word(which->level), when);
	g->wake_ms = until - now + gate_window_spread(g->d->dev, until, HOUR_MS);
	return 0;
}

int gate_blackout(struct look *g, char value[REASON_TEXT], struct err *e)
{
	struct question q;

	if (ask(g, &q, e) < 0)
		return -1;
	if (!q.blackouts) {
		cause_format(value, REASON_TEXT, "none");
		return 1;
	}
	if (q.set.no_blackouts) {
		cause_format(value, REASON_TEXT, "overridden: the rollout is forced");
		return 1;
	}
	return g->tk->now.wall_trusted ? blackout(g, &q, value, e) : clock_waits(value);
}

/* ---- windows ---- */

int64_t gate_window_spread(int64_t dev, int64_t from, int64_t room_ms)
{
	int64_t part_s = (room_ms < SPREAD_MOST_MS ? room_ms : SPREAD_MOST_MS) / 1000;

	/* policy's spread is over the last quarter of an interval */
	return part_s <= 0 ? 0 : (policy_spread_s(4 * part_s, dev, from) - 3 * part_s) * 1000;
}

/* ms until windows hold no longer, by the deadline; INT64_MAX: they always do */
static int64_t deadline_ms(const struct look *g)
{
	const struct strategy *s = &g->tk->policy->strategy[g->u->urgency];
	const struct now *now = &g->tk->now;

	if (!s->window_until_deadline || s->deadline_s == 0)
		return INT64_MAX;
	if (g->u->track_deadline > 0)
		return g->u->track_deadline - now->track;
	/* not offered yet: it runs from its phase's opening, or will from the offer */
	return g->phase_opened > 0 ? g->phase_opened + s->deadline_s * 1000 - now->track
				   : INT64_MAX;
}

static int64_t download_ms(const struct look *g)
{
	const struct policy *p = g->tk->policy;
	uint64_t size = 0, rate = p->min_rate > 0 ? (uint64_t)p->min_rate : 1;

	for (int i = 0; i < g->n_images; i++)
		if (__builtin_add_overflow(size, g->images[i].size, &size))
			size = UINT64_MAX;
	uint64_t seconds = size / rate + 1;
	return (seconds > POLICY_SECONDS_MAX ? POLICY_SECONDS_MAX : (int64_t)seconds) * 1000;
}

/* How an update is put into the openings. */
struct plan {
	int64_t now;
	int64_t install_ms; /* what installing needs of a window */
	int64_t needs_ms; /* what must be left of it: the download, too, where that is governed */
	int64_t lead_ms; /* how long ahead of its slot it may be offered */
	int64_t deadline_ms;
	int64_t contact_ms; /* it comes that often whatever it is told */
};

/* What is asked: may it be offered, may it be installed now, and when at the earliest? */
enum about { OFFERING, INSTALLING, INSTALLING_LATER };

static struct plan plan_of(const struct look *g, enum about about)
{
	const struct strategy *s = &g->tk->policy->strategy[g->u->urgency];
	struct plan p = { .now = g->tk->now.wall,
			  .install_ms = g->tk->policy->install_expected_s * 1000,
			  .deadline_ms = deadline_ms(g),
			  .contact_ms = s->contact_interval_s * 1000 };
	int64_t download = download_ms(g), lead = 2 * download + HOUR_MS;

	p.needs_ms = p.install_ms;
	if (about == INSTALLING_LATER)
		p.lead_ms = INT64_MAX;
	if (about != OFFERING)
		return p;
	if (s->window_download)
		p.needs_ms += download;
	else
		p.lead_ms = lead < SLOT_AHEAD_MS ? lead : SLOT_AHEAD_MS;
	return p;
}

struct opening {
	struct window_span s;
	bool by_deadline; /* no window is open then */
};

static int closed(struct look *g, const struct plan *p, const struct opening *o,
		  char value[REASON_TEXT])
{
	char when[TEXT_TIME_SIZE];
	int64_t room = o->s.until - o->s.from - p->needs_ms;

	/* what is late already begins within a contact, and not all at once */
	if (o->by_deadline)
		room = p->lead_ms > 0 ? p->lead_ms : p->contact_ms;

	until_text(when, o->s.from);
	cause_format(value, REASON_TEXT, "%s at %s, %" PRId64 " s are needed",
		     o->by_deadline ? "holds until the deadline," : "opens", when,
		     p->needs_ms / 1000);
	g->wake_ms =
		o->s.from - p->now - p->lead_ms + gate_window_spread(g->d->dev, o->s.from, room);
	if (g->wake_ms < 1000)
		g->wake_ms = 1000;
	return 0;
}

static int open_now(struct look *g, const struct plan *p, const struct window_span *s,
		    char value[REASON_TEXT])
{
	char when[TEXT_TIME_SIZE];

	if (s->until == WINDOW_EVER) {
		cause_format(value, REASON_TEXT, "open");
		return 1;
	}
	g->slot.until = s->until - p->install_ms;
	until_text(when, s->until);
	cause_format(value, REASON_TEXT, "open until %s, %" PRId64 " s are needed", when,
		     p->needs_ms / 1000);
	return 1;
}

/* Installing alone is governed, and the opening is near: offered now, for then. */
static int open_ahead(struct look *g, const struct plan *p, const struct window_span *s,
		      char value[REASON_TEXT])
{
	char when[TEXT_TIME_SIZE];

	g->slot.from = s->from;
	if (s->until != WINDOW_EVER)
		g->slot.until = s->until - p->install_ms;
	until_text(when, g->slot.from);
	cause_format(value, REASON_TEXT, "to be fetched now, to be installed from %s on", when);
	return 1;
}

/* The deadline opens what is closed longer; black-outs know none. 1, 0 none is in sight, -1 */
static int find_opening(struct window_book *b, const struct question *q, const struct plan *p,
			struct opening *o, struct err *e)
{
	struct window_set rest = q->set;
	struct window_span s;

	o->by_deadline = false;
	int found = window_opening(b, &q->set, p->now, p->needs_ms, &o->s, e);
	if (found < 0 || p->deadline_ms == INT64_MAX ||
	    (found > 0 && o->s.from - p->now <= p->deadline_ms))
		return found;
	rest.no_windows = true;
	rest.not_before = 0;
	int then = window_opening(b, &rest, p->now + p->deadline_ms, p->needs_ms, &s, e);
	if (then <= 0)
		return then < 0 ? -1 : found;
	if (s.from < p->now + p->deadline_ms)
		s.from = p->now + p->deadline_ms;
	if (found > 0 && o->s.from <= s.from)
		return 1;
	*o = (struct opening){ .s = s, .by_deadline = true };
	return 1;
}

static int window(struct look *g, struct question *q, const struct plan *p, char value[REASON_TEXT],
		  struct err *e)
{
	struct err why = { .code = ERR_NONE };
	struct opening o;

	struct window_book *b = book_take(g->tk, e);
	if (!b)
		return -1;
	int found = find_opening(b, q, p, &o, &why);
	book_give(g->tk, b);
	if (found < 0)
		return troubled(&why, value, e);
	if (found == 0) {
		cause_format(value, REASON_TEXT, "no opening of %" PRId64 " s is in sight",
			     p->needs_ms / 1000);
		return 0;
	}
	if (o.s.from <= p->now)
		return open_now(g, p, &o.s, value);
	if (o.s.from - p->now <= p->lead_ms)
		return open_ahead(g, p, &o.s, value);
	return closed(g, p, &o, value);
}

/* Windows hold no longer. Of black-outs, what is needed must be left before the next. */
static int past_deadline(struct look *g, struct question *q, struct plan *p,
			 char value[REASON_TEXT], struct err *e)
{
	q->set.no_windows = true;
	q->set.not_before = 0;
	p->deadline_ms = INT64_MAX;
	int open = window(g, q, p, value, e);
	if (open > 0 && g->slot.from == 0)
		cause_format(value, REASON_TEXT, "overridden: past the deadline");
	return open;
}

static int judge(struct look *g, enum about about, char value[REASON_TEXT], struct err *e)
{
	struct question q;

	g->slot = (struct window_span){ 0, 0 };
	if (ask(g, &q, e) < 0)
		return -1;
	if (q.set.n == 0 && q.set.not_before == 0) {
		cause_format(value, REASON_TEXT, "none");
		return 1;
	}
	if (!g->tk->now.wall_trusted)
		return clock_waits(value);
	struct plan p = plan_of(g, about);
	if (p.deadline_ms <= 0)
		return past_deadline(g, &q, &p, value, e);
	return window(g, &q, &p, value, e);
}

int gate_window(struct look *g, char value[REASON_TEXT], struct err *e)
{
	return judge(g, OFFERING, value, e);
}

int gate_window_next(struct look *g, char value[REASON_TEXT], struct err *e)
{
	return judge(g, INSTALLING_LATER, value, e);
}

int gate_window_wait(struct tracker *tk, const struct device *d, const struct update *u,
		     int64_t *wait_ms, char value[REASON_TEXT], struct err *e)
{
	struct device_live live = { .dev = d->dev };
	struct look g = { .tk = tk, .d = d, .live = &live, .u = u, .looking = true };

	*wait_ms = 0;
	/* what went ahead of its offer has no deadline of its own yet */
	if (gates_load(&g, e) < 0 || update_phase_opened(tk, u, &g.phase_opened, e) < 0)
		return -1;
	int open = gate_blackout(&g, value, e);
	if (open > 0)
		open = judge(&g, INSTALLING, value, e);
	*wait_ms = open == 0 ? g.wake_ms : 0;
	return open;
}

int window_next(struct tracker *tk, const struct device *d, int64_t rollout, int count,
		struct window_span *out, bool *any, struct err *e)
{
	struct window *w = NULL;
	int n = read_windows(tk, d, rollout, &w, e);

	*any = n > 0;
	if (n <= 0)
		return n;
	struct question q = question_of(tk, w, n);
	struct window_book *b = book_take(tk, e);
	if (!b)
		return -1;
	n = window_openings(b, &q.set, tk->now.wall, count, out, e);
	book_give(tk, b);
	return n;
}
