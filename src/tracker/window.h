/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_WINDOW_H
#define FETTLE_TRACKER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/model.h"

/*
 * Windows (behaviour.md 5), pure: text in, times out. Times are ms since the epoch.
 *
 * The long form is an RRULE (RFC 5545), the local time its counting starts at, an IANA zone and
 * a duration. Taken of RRULE: FREQ of HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY; INTERVAL 1-366;
 * UNTIL, or COUNT up to 1,000 with its last within eight years (kept as the UNTIL it comes to);
 * BYMONTH, BYMONTHDAY, BYYEARDAY, BYDAY, BYHOUR, BYMINUTE, WKST, and BYSETPOS with MONTHLY and one
 * time of the day. Not taken: SECONDLY and MINUTELY, BYSECOND, BYWEEKNO, RSCALE, SKIP; with
 * HOURLY any BY part but BYMINUTE. A rule must come to something within eight years, or it is
 * refused. Occurrences at most 96 a day, and at most 512 of them within one duration. Duration:
 * a minute to 366 days.
 *
 * The short form, in words separated by blanks, letters of either case:
 *	short  = days SP times SP zone
 *	days   = "daily" / day-or-range *("," day-or-range)
 *	day-or-range = day ["-" day]		; "Fri-Mon" goes over the week's end
 *	day    = "Mon" / "Tue" / "Wed" / "Thu" / "Fri" / "Sat" / "Sun"
 *	times  = range *("," range)		; at most 8
 *	range  = hh:mm "-" hh:mm	; 24:00 at most; an end before its begin is tomorrow's
 *	zone   = an IANA name, "Europe/Berlin", "UTC"
 * Days are those on which a range begins. Each range is a window of its own.
 *
 * A local time that does not exist (a clock put forward) is the instant it would be by the
 * offset before the gap, one that comes twice is the first of the two, and durations are exact
 * seconds: RFC 5545, 3.3.5, 3.3.10 and 3.8.5.3. Days that a month has not are left out.
 */
#define WINDOW_RANGES_MAX 8
#define WINDOW_SHORT_TEXT 256
#define WINDOW_DURATION_MAX_S (366ll * 86400)
#define WINDOW_SET_MAX 64	/* that concern one update */
#define WINDOW_EVER INT64_MAX	/* as far as is looked: eight years */
#define WINDOW_STARTS_DEFAULT "20000103T000000" /* a Monday */

/*
 * Check and normalise into w's rrule, starts, zone and duration_s; the rest of w is not touched.
 * starts NULL or "": the default, which COUNT does not go with. e names the part and its place:
 * "rrule, column 12: ...".
 */
int window_set_rule(struct window *w, const char *rrule, const char *starts, const char *zone,
		    int64_t duration_s, struct err *e);
/* The short form: how many windows it is (their rule members are filled), or -1. */
int window_set_short(struct window out[WINDOW_RANGES_MAX], const char *text, struct err *e);
/*
 * Is it simple enough for a device's own word: DAILY or WEEKLY by BYDAY, BYHOUR, BYMINUTE alone,
 * at most a day long?
 */
bool window_is_simple(const struct window *w);

/*
 * What was worked out of windows, so that most questions cost no calendar: bounded (512 windows,
 * 64 answers), the least used goes. Purely a cache: windows are known by all of their rule, so
 * what a rolled-back transaction taught it does no harm. NULL only without memory.
 */
struct window_book;
struct window_book *window_book_new(void);
void window_book_free(struct window_book *b);

/*
 * What holds for one update. Windows of one level (of one group, of the class, of the rollout,
 * the operators' of the device, the device's own) are a union; these unions intersect with one
 * another and with not_before; black-outs subtract.
 */
struct window_set {
	const struct window *windows;
	int n;			/* <= WINDOW_SET_MAX */
	int64_t not_before;	/* of the manifest, 0 none */
	bool no_blackouts;	/* a forced rollout: they do not count */
	bool no_windows;	/* past its deadline: black-outs alone do */
};

struct window_span {
	int64_t from, until;	/* until WINDOW_EVER: no end is in sight */
};

/* In a black-out at t? Until when at least, and which. 1, 0, -1 */
int window_blackout(struct window_book *b, const struct window_set *s, int64_t t, int64_t *until,
		    const struct window **which, struct err *e);
/*
 * The first opening that has needs ms left at its begin or at t, whichever is later: 1 with *out
 * (from <= t: it is open), 0 there is none within eight years or 1,024 changes, -1.
 */
int window_opening(struct window_book *b, const struct window_set *s, int64_t t, int64_t needs,
		   struct window_span *out, struct err *e);
/* The next openings from t on, the one that is open first: how many, or -1. */
int window_openings(struct window_book *b, const struct window_set *s, int64_t t, int limit,
		    struct window_span *out, struct err *e);

/* How often the calendar was asked since the book was made: for tests. */
uint64_t window_book_work(const struct window_book *b);

#endif
