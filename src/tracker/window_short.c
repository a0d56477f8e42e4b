/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "tracker/window_internal.h"

/* "Sat,Sun 01:00-05:00 Europe/Berlin": the grammar stands in window.h. */

#define DAY_MINUTES 1440
#define WEEK 7

static const char *const names[WEEK] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
static const char *const codes[WEEK] = { "MO", "TU", "WE", "TH", "FR", "SA", "SU" };

struct span {
	int from, until; /* minutes of the day; until may be over DAY_MINUTES */
};

struct form {
	const char *text, *at;
	struct err *e;
	bool daily;
	bool on[WEEK];
	struct span spans[WINDOW_RANGES_MAX];
	int n;
};

static int bad(const struct form *f, const char *what)
{
	return err_set(f->e, ERR_INVALID, "window, column %d: %s", (int)(f->at - f->text) + 1,
		       what);
}

static bool take(struct form *f, char c)
{
	if (*f->at != c)
		return false;
	f->at++;
	return true;
}

static int take_blank(struct form *f, const char *before)
{
	if (!take(f, ' '))
		return bad(f, before);
	while (take(f, ' '))
		;
	return 0;
}

static int take_day(struct form *f)
{
	for (int i = 0; i < WEEK; i++)
		if (strncasecmp(f->at, names[i], 3) == 0) {
			f->at += 3;
			return i;
		}
	return bad(f, "a day was expected: Mon to Sun, or daily");
}

static int take_days(struct form *f)
{
	if (strncasecmp(f->at, "daily", 5) == 0) {
		f->at += 5;
		f->daily = true;
		return 0;
	}
	do {
		int from = take_day(f);
		int to = from >= 0 && take(f, '-') ? take_day(f) : from;

		if (to < 0)
			return -1;
		for (int i = from; i != to; i = (i + 1) % WEEK)
			f->on[i] = true;
		f->on[to] = true;
	} while (take(f, ','));
	return 0;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static int take_time(struct form *f, int max)
{
	const char *p = f->at;

	if (!digit(p[0]) || !digit(p[1]) || p[2] != ':' || !digit(p[3]) || !digit(p[4]))
		return bad(f, "a time like 01:00 was expected");
	int hour = (p[0] - '0') * 10 + (p[1] - '0'), minute = (p[3] - '0') * 10 + (p[4] - '0');
	if (minute > 59 || hour * 60 + minute > max)
		return bad(f, "there is no such time of the day");
	f->at += 5;
	return hour * 60 + minute;
}

static int take_range(struct form *f)
{
	struct span *s = &f->spans[f->n];

	if (f->n == WINDOW_RANGES_MAX)
		return bad(f, "at most 8 ranges");
	s->from = take_time(f, DAY_MINUTES - 1);
	if (s->from < 0)
		return -1;
	if (!take(f, '-'))
		return bad(f, "- and the end of the range were expected");
	s->until = take_time(f, DAY_MINUTES);
	if (s->until < 0)
		return -1;
	if (s->until == s->from)
		return bad(f, "begin and end are the same: a whole day is 00:00-24:00");
	if (s->until < s->from)
		s->until += DAY_MINUTES;
	f->n++;
	return 0;
}

static int take_times(struct form *f)
{
	do {
		if (take_range(f) < 0)
			return -1;
	} while (take(f, ','));
	return 0;
}

static void rule_of(const struct form *f, char dst[WINDOW_RRULE_TEXT])
{
	size_t n = 0;

	(void)text_copy(dst, WINDOW_RRULE_TEXT, f->daily ? "FREQ=DAILY" : "FREQ=WEEKLY;BYDAY=");
	for (int i = 0; i < WEEK; i++)
		if (f->on[i]) {
			n = strlen(dst);
			(void)text_format(dst + n, WINDOW_RRULE_TEXT - n, "%s%s",
					  dst[n - 1] == '=' ? "" : ",", codes[i]);
		}
}

static int set_span(struct window *w, const struct form *f, const struct span *s)
{
	char rrule[WINDOW_RRULE_TEXT], starts[WINDOW_STARTS_TEXT];

	rule_of(f, rrule);
	(void)text_format(starts, sizeof(starts), "%.9s%02d%02d00", WINDOW_STARTS_DEFAULT,
			  s->from / 60, s->from % 60);
	return window_set_rule(w, rrule, starts, f->at, (int64_t)(s->until - s->from) * 60, f->e);
}

int window_set_short(struct window out[WINDOW_RANGES_MAX], const char *text, struct err *e)
{
	struct form f = { .text = text, .at = text, .e = e };

	if (strlen(text) >= WINDOW_SHORT_TEXT)
		return err_set(e, ERR_TOO_LARGE, "window: longer than %d", WINDOW_SHORT_TEXT - 1);
	if (take_days(&f) < 0 || take_blank(&f, "a blank and times were expected") < 0 ||
	    take_times(&f) < 0 || take_blank(&f, "a blank and a time zone were expected") < 0)
		return -1;
	for (int i = 0; i < f.n; i++)
		if (set_span(&out[i], &f, &f.spans[i]) < 0)
			return -1;
	return f.n;
}
