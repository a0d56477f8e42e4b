/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <libical/ical.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tracker/window_internal.h"

/*
 * Calendars: the only user of libical. It counts occurrences on the clock face and
 * knows the offsets of the system's zones at a moment; which moment a clock face is
 * (gaps, overlaps) is decided here, so that it is as window.h says on any version.
 *
 * The library counts on in search of an occurrence until its last year, minutes for a
 * rule that never comes: an UNTIL within reach ends that, so every rule gets one.
 */

int local_parse(const char *text, int64_t *local)
{
	char iso[TEXT_TIME_SIZE];

	if (strlen(text) != WINDOW_STARTS_TEXT - 1 || text[8] != 'T')
		return -1;
	(void)snprintf(iso, sizeof(iso), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", text, text + 4, text + 6,
		       text + 9, text + 11, text + 13);
	return text_untime(slice_str(iso), local);
}

void local_text(char dst[WINDOW_STARTS_TEXT], int64_t local)
{
	char iso[TEXT_TIME_SIZE];

	text_time(iso, local);
	(void)snprintf(dst, WINDOW_STARTS_TEXT, "%.4s%.2s%.2sT%.2s%.2s%.2s", iso, iso + 5, iso + 8,
		       iso + 11, iso + 14, iso + 17);
}

bool zone_name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+-/";
	/* with leap seconds in their counting, or not known by name elsewhere */
	static const char *const others[] = { "right/", "posix/", "localtime", "posixrules" };

	if (name[0] == '\0' || name[0] == '/' || name[strspn(name, allowed)] != '\0')
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(name, others[i], strlen(others[i])) == 0)
			return false;
	return true;
}

static icaltimezone *zone_find(const char *name)
{
	return zone_name_valid(name) ? icaltimezone_get_builtin_timezone(name) : NULL;
}

int zone_check(const char *name, struct err *e)
{
	if (zone_find(name))
		return 0;
	return err_set(e, ERR_INVALID,
		       "zone: \"%.48s\" is no IANA time zone of this system's tz database", name);
}

static int64_t offset_at(icaltimezone *zone, int64_t utc)
{
	struct icaltimetype t = icaltime_from_timet_with_zone((time_t)(utc / 1000), 0, NULL);

	return (int64_t)icaltimezone_get_utc_offset_of_utc_time(zone, &t, NULL) * 1000;
}

int64_t zone_local(const char *name, int64_t utc)
{
	icaltimezone *zone = zone_find(name);

	return zone ? utc + offset_at(zone, utc) : utc;
}

static int64_t offset_of_day(struct calendar *c, int64_t day)
{
	size_t i = (size_t)day % CALENDAR_MEMO;

	if (!c->memo[i].known || c->memo[i].day != day) {
		c->memo[i].day = day;
		c->memo[i].offset = offset_at(c->zone, day * MS_DAY);
		c->memo[i].known = true;
	}
	return c->memo[i].offset;
}

/*
 * By the offset before the change where the clock face comes twice or never, as RFC 5545
 * says in 3.3.5. Offsets are within a day, so the two ends are before and after any change
 * that matters.
 */
static int64_t moment_of(struct calendar *c, int64_t local)
{
	int64_t day = local / MS_DAY;
	int64_t before = offset_of_day(c, day - 1), after = offset_of_day(c, day + 2);

	if (before == after || offset_at(c->zone, local - before) == before)
		return local - before;
	if (offset_at(c->zone, local - after) == after)
		return local - after;
	return local - before;
}

static struct icaltimetype face(int64_t local)
{
	return icaltime_from_timet_with_zone((time_t)(local / 1000), 0, NULL);
}

static int64_t face_ms(struct icaltimetype t)
{
	return (int64_t)icaltime_as_timet(t) * 1000;
}

/*
 * Where counting begins so that the library (3.0) keeps the rhythm of INTERVAL: weeks at the
 * first of BYDAY in the week of start, as it takes Sunday for the week's begin there whatever
 * WKST says; hours and weeks at the last before from, as it cannot be sent on among hours, and
 * among weeks goes wrong in the first of them.
 */
static int64_t in_step(const struct icalrecurrencetype *r, struct icaltimetype start, int64_t from)
{
	int64_t at = face_ms(start), step = (int64_t)r->interval * (MS_DAY / 24);
	int week = (int)r->week_start;

	if (r->freq == ICAL_HOURLY_RECURRENCE)
		return at + (from - at) / step * step;
	if (r->freq != ICAL_WEEKLY_RECURRENCE)
		return at;
	if (r->by_day[0] != ICAL_RECURRENCE_ARRAY_MAX) {
		int first = ((int)icalrecurrencetype_day_day_of_week(r->by_day[0]) - week + 7) % 7;
		int day = (icaltime_day_of_week(start) - week + 7) % 7;
		at += (first - day) * MS_DAY;
	}
	step *= 7 * 24;
	/* on that first day itself it may be earlier in the day than start */
	at -= step;
	return at + (from - at) / step * step;
}

static icalrecur_iterator *iterator(const struct window *w, int64_t *from)
{
	icalerror_clear_errno();
	struct icalrecurrencetype r = icalrecurrencetype_from_string(w->rrule);
	struct icaltimetype start = icaltime_from_string(w->starts);

	if (r.freq == ICAL_NO_RECURRENCE)
		return NULL;
	if (*from < face_ms(start))
		*from = face_ms(start);
	int64_t begin = in_step(&r, start, *from);
	struct icaltimetype last = face(*from + HORIZON_MS);
	if (icaltime_is_null_time(r.until) || icaltime_compare(r.until, last) > 0)
		r.until = last;
	icalrecur_iterator *it = icalrecur_iterator_new(r, face(begin));
	if (it && *from > begin && r.freq != ICAL_HOURLY_RECURRENCE &&
	    r.freq != ICAL_WEEKLY_RECURRENCE)
		(void)icalrecur_iterator_set_start(it, face(*from));
	return it;
}

int calendar_open(struct calendar *c, const struct window *w, int64_t from, struct err *e)
{
	*c = (struct calendar){ .zone = zone_find(w->zone) };
	if (!c->zone)
		return zone_check(w->zone, e);
	/* what never comes the library refuses as malformed; anything else for want of memory */
	c->it = iterator(w, &from);
	if (!c->it && icalerrno != ICAL_MALFORMEDDATA_ERROR)
		return err_set(e, ERR_NO_MEMORY, "no memory for a calendar");
	c->from = from;
	return 0;
}

int calendar_next(struct calendar *c, int64_t *utc, int64_t *local)
{
	struct icaltimetype t;
	int64_t at;

	do {
		t = c->it ? icalrecur_iterator_next(c->it) : icaltime_null_time();
		at = face_ms(t);
	} while (at < c->from && !icaltime_is_null_time(t));
	if (icaltime_is_null_time(t))
		return 0;
	*utc = moment_of(c, at);
	if (local)
		*local = at;
	return 1;
}

void calendar_close(struct calendar *c)
{
	if (c->it)
		icalrecur_iterator_free(c->it);
}
