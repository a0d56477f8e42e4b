/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tracker/window_internal.h"

/*
 * RRULE, read strictly and written again in one form: what libical is given is what
 * this file understood, with lists in ascending order (the library goes through hours
 * and minutes as they stand). BYWEEKNO, and BYSETPOS but with MONTHLY and one time of the day,
 * are not taken, as libical 3.0 does not count them right.
 */

#define COUNT_MAX 1000
#define INTERVAL_MAX 366
#define PER_DAY_MAX 96
#define DURATION_MIN_S 60
#define LIST_MAX 62
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum freq { HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY, FREQ_COUNT };
static const char *const freq_words[FREQ_COUNT] = {
	[HOURLY] = "HOURLY",   [DAILY] = "DAILY",   [WEEKLY] = "WEEKLY",
	[MONTHLY] = "MONTHLY", [YEARLY] = "YEARLY",
};

enum by { MONTH, YEAR_DAY, MONTH_DAY, DAY, HOUR, MINUTE, SET_POS, BY_COUNT };
#define OF(f) (1u << (f))
static const struct by_row {
	const char *name;
	int min, max; /* of the number, min < 0: but for 0 */
	unsigned with; /* which FREQ it goes with */
} by_rows[BY_COUNT] = {
	[MONTH] = { "BYMONTH", 1, 12, OF(DAILY) | OF(WEEKLY) | OF(MONTHLY) | OF(YEARLY) },
	[YEAR_DAY] = { "BYYEARDAY", -366, 366, OF(YEARLY) },
	[MONTH_DAY] = { "BYMONTHDAY", -31, 31, OF(DAILY) | OF(MONTHLY) | OF(YEARLY) },
	[DAY] = { "BYDAY", -53, 53, OF(DAILY) | OF(WEEKLY) | OF(MONTHLY) | OF(YEARLY) },
	[HOUR] = { "BYHOUR", 0, 23, OF(DAILY) | OF(WEEKLY) | OF(MONTHLY) | OF(YEARLY) },
	[MINUTE] = { "BYMINUTE", 0, 59,
		     OF(HOURLY) | OF(DAILY) | OF(WEEKLY) | OF(MONTHLY) | OF(YEARLY) },
	[SET_POS] = { "BYSETPOS", -366, 366, OF(MONTHLY) },
};

static const char *const days[] = { "SU", "MO", "TU", "WE", "TH", "FR", "SA" };

struct list {
	int n;
	int v[LIST_MAX]; /* BYDAY: its number * 8 + the day, Sunday 0 */
};

struct rule {
	int freq; /* -1 not said */
	int interval, count; /* count 0: none */
	char until[WINDOW_STARTS_TEXT + 1]; /* as it stood, "" none */
	int week_start; /* -1 not said */
	struct list by[BY_COUNT];
};

/* ---- a cursor over the text that says where ---- */

struct scan {
	const char *text, *at;
	struct err *e;
};

static int bad(const struct scan *s, const char *at, const char *what)
{
	return err_set(s->e, ERR_INVALID, "rrule, column %d: %s", (int)(at - s->text) + 1, what);
}

static bool ends(char c)
{
	return c == ';' || c == '\0';
}

/* A word of letters; its length, at most n - 1, else 0. */
static size_t take_word(struct scan *s, char *dst, size_t n)
{
	size_t len = 0;

	while (isalpha((unsigned char)s->at[len]) && len < n - 1) {
		dst[len] = (char)toupper((unsigned char)s->at[len]);
		len++;
	}
	dst[len] = '\0';
	s->at += len;
	return len;
}

/* Four digits at most, with a sign where that is allowed. 1, 0 nothing there */
static int take_number(struct scan *s, bool is_signed, int *out)
{
	const char *p = s->at;
	bool minus = is_signed && *p == '-';
	int v = 0, digits = 0;

	if (is_signed && (*p == '-' || *p == '+'))
		p++;
	while (*p >= '0' && *p <= '9' && digits < 4) {
		v = v * 10 + (*p++ - '0');
		digits++;
	}
	if (digits == 0)
		return 0;
	s->at = p;
	*out = minus ? -v : v;
	return 1;
}

static int word_index(const char *const *words, size_t n, const char *w)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], w) == 0)
			return (int)i;
	return -1;
}

static int read_freq(struct scan *s, struct rule *r)
{
	const char *at = s->at;
	char word[16];

	take_word(s, word, sizeof(word));
	r->freq = word_index(freq_words, FREQ_COUNT, word);
	if (r->freq < 0)
		return bad(s, at, "FREQ is HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY");
	return 0;
}

static int read_bounded(struct scan *s, int max, int *out, const char *what)
{
	const char *at = s->at;

	if (!take_number(s, false, out) || *out < 1 || *out > max)
		return bad(s, at, what);
	return 0;
}

static int read_until(struct scan *s, struct rule *r)
{
	size_t n = strcspn(s->at, ";");

	if (n == 0 || n >= sizeof(r->until))
		return bad(s, s->at, "UNTIL is 20301231, or 20301231T235959, or that with Z");
	memcpy(r->until, s->at, n);
	r->until[n] = '\0';
	s->at += n;
	return 0;
}

static int read_day(struct scan *s, int *out)
{
	char word[3];

	take_word(s, word, sizeof(word));
	*out = word_index(days, COUNT_OF(days), word);
	return *out < 0 ? -1 : 0;
}

static int read_week_start(struct scan *s, struct rule *r)
{
	const char *at = s->at;

	return read_day(s, &r->week_start) < 0 ? bad(s, at, "WKST is one of MO to SU") : 0;
}

/* Kept in order, each once. */
static void insert(struct list *l, int v)
{
	int i = l->n;

	while (i > 0 && l->v[i - 1] > v)
		i--;
	if (i > 0 && l->v[i - 1] == v)
		return;
	memmove(&l->v[i + 1], &l->v[i], (size_t)(l->n - i) * sizeof(l->v[0]));
	l->v[i] = v;
	l->n++;
}

static int read_item(struct scan *s, enum by by, int *out)
{
	const struct by_row *row = &by_rows[by];
	const char *at = s->at;
	char what[64];
	int day, got = take_number(s, row->min < 0, out);

	(void)snprintf(what, sizeof(what), "%s takes numbers from %d to %d%s", row->name, row->min,
		       row->max, row->min < 0 ? ", not 0" : "");
	if (by == DAY && read_day(s, &day) < 0)
		return bad(s, at, "BYDAY takes days: MO, or 2TU, or -1FR");
	if (by == DAY && got == 0)
		*out = 0;
	else if (got == 0 || *out < row->min || *out > row->max || (row->min < 0 && *out == 0))
		return bad(s, at, what);
	if (by == DAY)
		*out = *out * 8 + day;
	return 0;
}

static int read_list(struct scan *s, enum by by, struct list *l)
{
	int v;

	for (;; s->at++) {
		if (l->n == LIST_MAX)
			return bad(s, s->at, "a list is too long");
		if (read_item(s, by, &v) < 0)
			return -1;
		insert(l, v);
		if (*s->at != ',')
			return 0;
	}
}

static int find_by(const char *name)
{
	for (int i = 0; i < BY_COUNT; i++)
		if (strcmp(by_rows[i].name, name) == 0)
			return i;
	return -1;
}

static int read_value(struct scan *s, struct rule *r, const char *name, const char *at)
{
	int by = find_by(name);

	if (by >= 0)
		return r->by[by].n > 0 ? bad(s, at, "a part stands twice")
				       : read_list(s, (enum by)by, &r->by[by]);
	if (strcmp(name, "FREQ") == 0 && r->freq < 0)
		return read_freq(s, r);
	if (strcmp(name, "INTERVAL") == 0 && r->interval == 0)
		return read_bounded(s, INTERVAL_MAX, &r->interval, "INTERVAL is from 1 to 366");
	if (strcmp(name, "COUNT") == 0 && r->count == 0)
		return read_bounded(s, COUNT_MAX, &r->count, "COUNT is from 1 to 1000");
	if (strcmp(name, "UNTIL") == 0 && r->until[0] == '\0')
		return read_until(s, r);
	if (strcmp(name, "WKST") == 0 && r->week_start < 0)
		return read_week_start(s, r);
	return bad(s, at, "a part that is not known here, or stands twice");
}

static int read_part(struct scan *s, struct rule *r)
{
	const char *at = s->at;
	char name[16];

	take_word(s, name, sizeof(name));
	if (*s->at != '=')
		return bad(s, s->at, "a part is NAME=VALUE");
	s->at++;
	if (read_value(s, r, name, at) < 0)
		return -1;
	return ends(*s->at) ? 0 : bad(s, s->at, "; or the end was expected here");
}

static bool expands(const struct rule *r)
{
	for (int i = 0; i < SET_POS; i++)
		if (r->by[i].n > 0)
			return true;
	return false;
}

/* What goes together (RFC 5545, the table of 3.3.10, and the bounds of window.h). */
static int check_parts(const struct rule *r, struct err *e)
{
	const struct list *d = &r->by[DAY];
	bool numbered = false;

	if (r->freq < 0)
		return err_set(e, ERR_INVALID, "rrule: FREQ is missing");
	for (int i = 0; i < BY_COUNT; i++)
		if (r->by[i].n > 0 && !(by_rows[i].with & OF(r->freq)))
			return err_set(e, ERR_INVALID, "rrule: %s does not go with FREQ=%s",
				       by_rows[i].name, freq_words[r->freq]);
	for (int i = 0; i < d->n; i++)
		numbered = numbered || d->v[i] < 0 || d->v[i] >= 8;
	if (numbered && r->freq < MONTHLY)
		return err_set(e, ERR_INVALID,
			       "rrule: numbers in BYDAY go with MONTHLY and YEARLY alone");
	if (r->by[SET_POS].n > 0 && !expands(r))
		return err_set(e, ERR_INVALID, "rrule: BYSETPOS needs another BY part");
	if (r->by[SET_POS].n > 0 && (r->by[HOUR].n > 1 || r->by[MINUTE].n > 1))
		return err_set(e, ERR_INVALID,
			       "rrule: BYSETPOS does not go with several times a day");
	if (r->count > 0 && r->until[0])
		return err_set(e, ERR_INVALID, "rrule: COUNT and UNTIL exclude one another");
	return 0;
}

static int read_rule(struct rule *r, const char *text, struct err *e)
{
	struct scan s = { .text = text, .at = text, .e = e };

	*r = (struct rule){ .freq = -1, .week_start = -1 };
	if (strlen(text) >= WINDOW_RRULE_TEXT)
		return err_set(e, ERR_TOO_LARGE, "rrule: longer than %d", WINDOW_RRULE_TEXT - 1);
	for (;; s.at++) {
		if (read_part(&s, r) < 0)
			return -1;
		if (*s.at != ';')
			return check_parts(r, e);
	}
}

/* ---- written again ---- */

struct out {
	char *dst;
	size_t n;
	bool full;
};

static void put(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct out *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(o->dst + o->n, WINDOW_RRULE_TEXT - o->n, fmt, ap);
	va_end(ap);
	o->n += (size_t)n;
	if (o->n >= WINDOW_RRULE_TEXT) {
		o->full = true;
		o->n = WINDOW_RRULE_TEXT - 1;
	}
}

static void put_item(struct out *o, enum by by, int v)
{
	int day = ((v % 8) + 8) % 8, number = (v - day) / 8;

	if (by != DAY)
		put(o, "%d", v);
	else if (number != 0)
		put(o, "%d%s", number, days[day]);
	else
		put(o, "%s", days[day]);
}

/* until: "" none. Everything but COUNT. */
static int write_rule(const struct rule *r, const char *until, char dst[WINDOW_RRULE_TEXT],
		      struct err *e)
{
	struct out o = { .dst = dst };

	put(&o, "FREQ=%s", freq_words[r->freq]);
	if (r->interval > 1)
		put(&o, ";INTERVAL=%d", r->interval);
	if (until[0])
		put(&o, ";UNTIL=%s", until);
	for (int i = 0; i < BY_COUNT; i++)
		for (int k = 0; k < r->by[i].n; k++) {
			put(&o, k ? "," : ";%s=", by_rows[i].name);
			put_item(&o, (enum by)i, r->by[i].v[k]);
		}
	if (r->week_start >= 0)
		put(&o, ";WKST=%s", days[r->week_start]);
	return o.full ? err_set(e, ERR_TOO_LARGE, "rrule: longer than %d", WINDOW_RRULE_TEXT - 1)
		      : 0;
}

/* ---- when it starts and ends ---- */

#define STARTS_MAX INT64_C(4102444800000) /* 2100 */

static int set_starts(struct window *w, const char *starts, struct err *e)
{
	char iso[TEXT_TIME_SIZE];
	int64_t local;

	if (!starts || !starts[0])
		starts = WINDOW_STARTS_DEFAULT;
	if (local_parse(starts, &local) < 0 && (text_format(iso, sizeof(iso), "%sZ", starts) < 0 ||
						text_untime(slice_str(iso), &local) < 0))
		return err_set(e, ERR_INVALID,
			       "starts: a local time like 2026-11-22T01:00:00 was expected");
	if (local < 0 || local >= STARTS_MAX)
		return err_set(e, ERR_INVALID, "starts: from 1970 to 2099");
	local_text(w->starts, local);
	return 0;
}

/* UNTIL as it stood becomes a time on the clock face: a day's last second, UTC in the zone. */
static int set_until(const char *until, const char *zone, char dst[WINDOW_STARTS_TEXT],
		     struct err *e)
{
	char text[WINDOW_STARTS_TEXT + 8];
	size_t n = strlen(until);
	bool utc = n == WINDOW_STARTS_TEXT && until[n - 1] == 'Z';
	int64_t local;

	(void)snprintf(text, sizeof(text), "%.*s%s", utc ? (int)n - 1 : (int)n, until,
		       n == 8 ? "T235959" : "");
	if (local_parse(text, &local) < 0)
		return err_set(e, ERR_INVALID,
			       "rrule: UNTIL is 20301231, or 20301231T235959, or that with Z");
	local_text(dst, utc ? zone_local(zone, local) : local);
	return 0;
}

/* ---- what it comes to ---- */

/* The last of r->count occurrences becomes UNTIL: a rule is entered at any of its years then. */
static int settle_count(struct window *w, const struct rule *r, struct err *e)
{
	char until[WINDOW_STARTS_TEXT] = "";
	int64_t start = 0, utc, last = 0;
	struct calendar c;
	int n = 0;

	(void)local_parse(w->starts, &start);
	if (calendar_open(&c, w, start, e) < 0)
		return -1;
	while (n < (r->count ? r->count : 1) && calendar_next(&c, &utc, &last))
		n++;
	calendar_close(&c);
	if (n == 0)
		return err_set(e, ERR_INVALID,
			       "rrule: it comes to nothing within eight years of %s", w->starts);
	if (r->count == 0)
		return 0;
	if (n < r->count)
		return err_set(e, ERR_INVALID,
			       "rrule: COUNT=%d has its last beyond eight years: "
			       "use UNTIL",
			       r->count);
	local_text(until, last);
	return write_rule(r, until, w->rrule, e);
}

static int check_density(const struct rule *r, int64_t duration_s, struct err *e)
{
	int minutes = r->by[MINUTE].n ? r->by[MINUTE].n : 1;
	int hours = r->by[HOUR].n ? r->by[HOUR].n : 1;
	int interval = r->interval ? r->interval : 1;
	int per_day = minutes * (r->freq == HOURLY ? (23 + interval) / interval : hours);

	if (duration_s < DURATION_MIN_S || duration_s > WINDOW_DURATION_MAX_S)
		return err_set(e, ERR_INVALID, "duration: from 1 minute to 366 days");
	if (per_day > PER_DAY_MAX)
		return err_set(e, ERR_INVALID, "rrule: %d times a day, at most %d are taken",
			       per_day, PER_DAY_MAX);
	if (per_day * (duration_s / 86400 + 1) > OVERLAP_MAX)
		return err_set(e, ERR_INVALID, "duration: too many occurrences within one another");
	return 0;
}

int window_set_rule(struct window *w, const char *rrule, const char *starts, const char *zone,
		    int64_t duration_s, struct err *e)
{
	char until[WINDOW_STARTS_TEXT] = "";
	struct rule r;

	if (read_rule(&r, rrule, e) < 0 || check_density(&r, duration_s, e) < 0 ||
	    set_starts(w, starts, e) < 0 || zone_check(zone, e) < 0)
		return -1;
	if (r.count > 0 && (!starts || !starts[0]))
		return err_set(e, ERR_INVALID, "starts: COUNT needs it");
	if (text_copy(w->zone, sizeof(w->zone), zone) < 0)
		return err_set(e, ERR_TOO_LARGE, "zone: longer than %d", WINDOW_ZONE_TEXT - 1);
	if (r.until[0] && set_until(r.until, zone, until, e) < 0)
		return -1;
	w->duration_s = duration_s;
	return write_rule(&r, until, w->rrule, e) < 0 ? -1 : settle_count(w, &r, e);
}

bool window_is_simple(const struct window *w)
{
	struct rule r;

	if (read_rule(&r, w->rrule, NULL) < 0 || r.freq < DAILY || r.freq > WEEKLY)
		return false;
	return r.interval == 0 && r.by[MONTH].n == 0 && r.by[MONTH_DAY].n == 0 &&
	       w->duration_s <= 86400;
}
