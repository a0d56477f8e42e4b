/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_WINDOW_INTERNAL_H
#define FETTLE_TRACKER_WINDOW_INTERNAL_H

#include "tracker/window.h"

/*
 * What window.c (times and calendars), window_rule.c (the grammars) and window_book.c (the
 * answers) share.
 * Local times are ms, too: those of the same clock face in UTC.
 */

#define MS_DAY INT64_C(86400000)
#define HORIZON_DAYS 2922	/* eight years: how far a rule, and an answer, is looked for */
#define HORIZON_MS (HORIZON_DAYS * MS_DAY)
#define OVERLAP_MAX 512		/* occurrences that begin within one duration, about */

/* ---- window.c ---- */

/* "20000103T010000" as local ms; -1: it is none. */
int local_parse(const char *text, int64_t *local);
void local_text(char dst[WINDOW_STARTS_TEXT], int64_t local);

/* A zone's name as it may be looked up: not a path out of the zones, not the host's own. */
bool zone_name_valid(const char *name);
/* Is there such a zone: 0, or -1 with e naming it. */
int zone_check(const char *name, struct err *e);
/* The local time at a moment, and the moment of a local time (see window.h on gaps). */
int64_t zone_local(const char *name, int64_t utc);
/*
 * The occurrences of w's rule, in order, from the first one whose local time is from or later.
 * All of the zone and the rule has been checked by window_set_rule().
 */
#define CALENDAR_MEMO 8 /* days whose offset is remembered: one new a day when counting days */
struct icalrecur_iterator_impl;
struct _icaltimezone;
struct calendar {
	struct icalrecur_iterator_impl *it; /* NULL: it never comes */
	struct _icaltimezone *zone;
	int64_t from; /* local: what comes earlier is left out */
	struct {
		int64_t day, offset;
		bool known;
	} memo[CALENDAR_MEMO];
};
/* -1 without memory, or when the zone has gone: there is nothing to close then. */
int calendar_open(struct calendar *c, const struct window *w, int64_t from, struct err *e);
/* 1 *utc is the next one's begin (*local its clock face; may be NULL); 0 no more within reach */
int calendar_next(struct calendar *c, int64_t *utc, int64_t *local);
void calendar_close(struct calendar *c);

#endif
