/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/window.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "faults.h"

static struct err err;
static struct window_book *book;

static void setup(void)
{
	err = (struct err){ .code = ERR_NONE };
	book = window_book_new();
	ck_assert_ptr_nonnull(book);
}

static void teardown(void)
{
	window_book_free(book);
}

/*
 * ---- the table. The times were worked out by hand on the clock face and put into epoch
 * seconds by another implementation of the tz database: nothing of them is libical's. ----
 *
 * Windows, separated by ";": first their level (Device, Reported by the device, group 1 or 2,
 * Class, the class by its Model, rOllout), "!" before it for a black-out, "f" for a forced
 * rollout, "w" for a manifest that waits until 2026-11-22T03:00:00Z; then the short form, or
 * RRULE|starts|zone|seconds.
 */
#define EVER (WINDOW_EVER / 1000)
#define NONE (-1)
#define WAITS INT64_C(1795316400000)

static const struct row {
	const char *name, *windows;
	int64_t at, from, until; /* seconds */
} rows[] = {
	{ "Saturday before", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1795172400, 1795219200,
	  1795233600 },
	{ "at its begin", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1795219200, 1795219200,
	  1795233600 },
	{ "inside", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1795233540, 1795233540, 1795233600 },
	{ "at its end", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1795233600, 1795305600, 1795320000 },
	{ "after Sunday", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1795320000, 1795824000,
	  1795838400 },
	{ "summer", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1782856800, 1783119600, 1783134000 },
	{ "long form", "D FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=1|2024-01-01T00:00:00|Europe/Berlin|14400",
	  1795172400, 1795219200, 1795233600 },
	{ "each fifth week, in the first",
	  "D FREQ=WEEKLY;INTERVAL=5;BYDAY=TU,TH;WKST=SA|2019-04-03T18:25:00|UTC|3600", 1554249600,
	  1554402300, 1554405900 },
	{ "each fifth week, after that",
	  "D FREQ=WEEKLY;INTERVAL=5;BYDAY=TU,TH;WKST=SA|2019-04-03T18:25:00|UTC|3600", 1554405900,
	  1557253500, 1557257100 },
	{ "each second week, of Saturdays",
	  "D FREQ=WEEKLY;INTERVAL=2;BYDAY=WE;WKST=SA|2021-05-20T11:09:00|UTC|3600", 1621555200,
	  1622632140, 1622635740 },
	{ "each second week, of a later day at an earlier hour",
	  "D FREQ=WEEKLY;INTERVAL=2;BYDAY=SA;WKST=TU;BYHOUR=4,12|2022-12-02T10:32:00|UTC|3600",
	  1669977120, 1670041920, 1670045520 },
	{ "Berlin forward: four hours are exact", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1774738800,
	  1774742400, 1774756800 },
	{ "Berlin back: four hours are exact", "D Sat,Sun 01:00-05:00 Europe/Berlin", 1792879200,
	  1792882800, 1792897200 },
	{ "Berlin gap: begins as by the old offset", "D daily 02:30-03:30 Europe/Berlin",
	  1774738800, 1774747800, 1774751400 },
	{ "Berlin: the day before the gap", "D daily 02:30-03:30 Europe/Berlin", 1774652400,
	  1774661400, 1774665000 },
	{ "Berlin: the day after the gap", "D daily 02:30-03:30 Europe/Berlin", 1774778400,
	  1774830600, 1774834200 },
	{ "Berlin overlap: the first of both", "D daily 02:30-03:00 Europe/Berlin", 1792879200,
	  1792888200, 1792890000 },
	{ "Berlin overlap: not again an hour later", "D daily 02:30-03:00 Europe/Berlin",
	  1792891800, 1792978200, 1792980000 },
	{ "Berlin: exactly to the gap", "D daily 01:00-02:00 Europe/Berlin", 1774738800, 1774742400,
	  1774746000 },
	{ "Berlin: exactly from its end", "D daily 03:00-04:00 Europe/Berlin", 1774738800,
	  1774746000, 1774749600 },
	{ "Berlin: ranges that the gap puts in one",
	  "D daily 02:30-03:00,03:00-03:15 Europe/Berlin", 1774738800, 1774746000, 1774746900 },
	{ "Berlin: the second of them", "D daily 02:30-03:00,03:00-03:15 Europe/Berlin", 1774746900,
	  1774747800, 1774749600 },
	{ "Berlin: half hours of one rule swap in the gap",
	  "D FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30||Europe/Berlin|600", 1774746600, 1774747800,
	  1774748400 },
	{ "Berlin: night over the change", "D Sat 22:00-06:00 Europe/Berlin", 1774735200,
	  1774735200, 1774760400 },
	{ "New York gap", "D daily 02:30-03:30 America/New_York", 1772946000, 1772955000,
	  1772958600 },
	{ "New York forward", "D Sun 01:00-05:00 America/New_York", 1772946000, 1772949600,
	  1772964000 },
	{ "New York overlap", "D daily 01:30-02:00 America/New_York", 1793505600, 1793511000,
	  1793512800 },
	{ "New York back", "D Sun 00:00-03:00 America/New_York", 1793502000, 1793505600,
	  1793516400 },
	{ "New York: next in the new offset", "D daily 01:30-02:00 America/New_York", 1793513400,
	  1793601000, 1793602800 },
	{ "Lord Howe gap of half an hour", "D daily 02:15-03:15 Australia/Lord_Howe", 1791034200,
	  1791042300, 1791045900 },
	{ "Lord Howe forward", "D daily 01:00-04:00 Australia/Lord_Howe", 1791034200, 1791037800,
	  1791048600 },
	{ "Lord Howe overlap: the first", "D daily 01:45-02:45 Australia/Lord_Howe", 1775307600,
	  1775313900, 1775317500 },
	{ "Lord Howe back", "D daily 00:00-03:00 Australia/Lord_Howe", 1775305800, 1775307600,
	  1775318400 },
	{ "Lord Howe: in the second half hour", "D daily 01:45-02:00 Australia/Lord_Howe",
	  1775315700, 1775402100, 1775403000 },
	{ "Sao Paulo 2018: midnight is not there", "D daily 00:00-01:00 America/Sao_Paulo",
	  1541298600, 1541300400, 1541304000 },
	{ "Sao Paulo 2018: over the gap", "D Sat 23:00-02:00 America/Sao_Paulo", 1541257200,
	  1541296800, 1541307600 },
	{ "Sao Paulo 2019: eleven comes twice", "D daily 23:15-23:45 America/Sao_Paulo", 1550361600,
	  1550366100, 1550367900 },
	{ "Sao Paulo 2019: not the second time", "D daily 23:15-23:45 America/Sao_Paulo",
	  1550369700, 1550456100, 1550457900 },
	{ "Sao Paulo 2026: no summer time any more", "D daily 00:00-01:00 America/Sao_Paulo",
	  1793503800, 1793503800, 1793505600 },
	{ "Kathmandu: five hours and three quarters", "D daily 00:00-01:00 Asia/Kathmandu",
	  1780336800, 1780337700, 1780341300 },
	{ "Kathmandu: no change in March", "D Sun 01:00-05:00 Asia/Kathmandu", 1774721700,
	  1774725300, 1774739700 },
	{ "Apia 2011: a day is not there", "D Fri 10:00-11:00 Pacific/Apia", 1325235600, 1325275200,
	  1325278800 },
	{ "Dublin: winter is the negative one", "D Sun 00:30-02:30 Europe/Dublin", 1792882800,
	  1792884600, 1792891800 },
	{ "over midnight: from the day before", "D daily 22:00-06:00 UTC", 1795316400, 1795316400,
	  1795327200 },
	{ "over midnight: at noon", "D daily 22:00-06:00 UTC", 1795348800, 1795384800, 1795413600 },
	{ "days are those it begins on", "D Mon 22:00-06:00 Europe/Berlin", 1795492800, 1795492800,
	  1795496400 },
	{ "until 24:00", "D Mon 22:00-24:00 Europe/Berlin", 1795471200, 1795471200, 1795474800 },
	{ "two whole days in one", "D Sat,Sun 00:00-24:00 Europe/Berlin", 1795172400, 1795215600,
	  1795388400 },
	{ "always", "D daily 00:00-24:00 UTC", 1795348800, 1795348800, EVER },
	{ "over the week's end", "D Fri-Mon 01:00-02:00 UTC", 1795316400, 1795395600, 1795399200 },
	{ "not on Tuesday", "D Fri-Mon 01:00-02:00 UTC", 1795402800, 1795741200, 1795744800 },
	{ "29 February: four years on", "D FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29||UTC|3600",
	  1772323200, 1835395200, 1835398800 },
	{ "29 February: in it", "D FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29||Europe/Berlin|86400",
	  1835438400, 1835438400, 1835478000 },
	{ "31st: months that have none are left out", "D FREQ=MONTHLY;BYMONTHDAY=31||UTC|3600",
	  1769904000, 1774915200, 1774918800 },
	{ "last day of February, leap", "D FREQ=MONTHLY;BYMONTHDAY=-1||UTC|3600", 1833753600,
	  1835395200, 1835398800 },
	{ "last day of February", "D FREQ=MONTHLY;BYMONTHDAY=-1||UTC|3600", 1802217600, 1803772800,
	  1803776400 },
	{ "year end", "D FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31;BYHOUR=22||Europe/Berlin|14400",
	  1798761600, 1798761600, 1798765200 },
	{ "day 366", "D FREQ=YEARLY;BYYEARDAY=366||UTC|3600", 1767225600, 1861833600, 1861837200 },
	{ "second Tuesday", "D FREQ=MONTHLY;BYDAY=2TU;BYHOUR=3||America/New_York|7200", 1794373200,
	  1796716800, 1796724000 },
	{ "last Friday by its place", "D FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1||UTC|3600", 1793491200,
	  1795737600, 1795741200 },
	{ "every second week: the one",
	  "D FREQ=WEEKLY;INTERVAL=2;BYDAY=SU|2026-11-02T01:00:00|UTC|3600", 1794182400, 1795309200,
	  1795312800 },
	{ "every second week: not the other",
	  "D FREQ=WEEKLY;INTERVAL=2;BYDAY=SU|2026-11-02T01:00:00|UTC|3600", 1795316400, 1796518800,
	  1796522400 },
	{ "hours in any order", "D FREQ=DAILY;BYHOUR=22,1,5;BYMINUTE=30,0||UTC|600", 1795309200,
	  1795309200, 1795309800 },
	{ "hours in any order: the next", "D FREQ=DAILY;BYHOUR=22,1,5;BYMINUTE=30,0||UTC|600",
	  1795311300, 1795311300, 1795311600 },
	{ "hours in any order: then", "D FREQ=DAILY;BYHOUR=22,1,5;BYMINUTE=30,0||UTC|600",
	  1795311600, 1795323600, 1795324200 },
	{ "every five hours", "D FREQ=HOURLY;INTERVAL=5|2026-11-22T00:00:00|UTC|1800", 1795309200,
	  1795323600, 1795325400 },
	{ "UNTIL is its last", "D FREQ=DAILY;UNTIL=20261124|2026-01-01T02:00:00|UTC|3600",
	  1795482000, 1795485600, 1795489200 },
	{ "over after UNTIL", "D FREQ=DAILY;UNTIL=20261124|2026-01-01T02:00:00|UTC|3600",
	  1795489200, -1, -1 },
	{ "UNTIL in UTC is the zone's",
	  "D FREQ=DAILY;UNTIL=20261124T003000Z|2026-01-01T01:30:00|Europe/Berlin|3600", 1795474800,
	  1795480200, 1795483800 },
	{ "one second sooner it is the day before",
	  "D FREQ=DAILY;UNTIL=20261124T002959Z|2026-01-01T01:30:00|Europe/Berlin|3600", 1795474800,
	  -1, -1 },
	{ "COUNT", "D FREQ=DAILY;COUNT=3|2026-11-20T02:00:00|UTC|3600", 1795305600, 1795312800,
	  1795316400 },
	{ "over after COUNT", "D FREQ=DAILY;COUNT=3|2026-11-20T02:00:00|UTC|3600", 1795316400, -1,
	  -1 },
	{ "not before it starts", "D FREQ=DAILY|2027-06-01T02:00:00|UTC|3600", 1795305600,
	  1811815200, 1811818800 },
	{ "union of one level", "D daily 01:00-02:00 UTC;D daily 01:30-03:00 UTC", 1795305600,
	  1795309200, 1795316400 },
	{ "device and class intersect", "D daily 01:00-03:00 UTC;C daily 02:00-04:00 UTC",
	  1795305600, 1795312800, 1795316400 },
	{ "four levels",
	  "D daily 01:00-05:00 UTC;1 daily 02:00-06:00 UTC;C daily 00:00-04:30 UTC;"
	  "O Sun 00:00-04:00 UTC",
	  1795305600, 1795312800, 1795320000 },
	{ "two groups intersect", "1 daily 01:00-03:00 UTC;2 daily 02:00-04:00 UTC", 1795305600,
	  1795312800, 1795316400 },
	{ "two of one group are a union",
	  "1 daily 01:00-03:00 UTC;1 daily 03:00-04:00 UTC;2 daily 02:00-04:00 UTC", 1795305600,
	  1795312800, 1795320000 },
	{ "class id and model are one level", "C daily 01:00-02:00 UTC;M daily 03:00-04:00 UTC",
	  1795312800, 1795316400, 1795320000 },
	{ "nothing in common", "D Sat 01:00-05:00 UTC;C Sun 01:00-05:00 UTC", 1795305600, -1, -1 },
	{ "the device's own only narrows", "D daily 01:00-05:00 UTC;R daily 04:00-08:00 UTC",
	  1795305600, 1795320000, 1795323600 },
	{ "the device's own alone", "R daily 04:00-08:00 UTC", 1795305600, 1795320000, 1795334400 },
	{ "across zones", "D daily 01:00-03:00 Europe/Berlin;C daily 18:00-20:00 America/New_York",
	  1795302000, 1795305600, 1795309200 },
	{ "a black-out in the middle", "D daily 01:00-05:00 UTC;!D daily 02:00-03:00 UTC",
	  1795305600, 1795309200, 1795312800 },
	{ "after the black-out", "D daily 01:00-05:00 UTC;!D daily 02:00-03:00 UTC", 1795314600,
	  1795316400, 1795323600 },
	{ "a black-out of another level", "D daily 01:00-05:00 UTC;!C daily 00:00-04:00 UTC",
	  1795305600, 1795320000, 1795323600 },
	{ "a black-out alone: open but for it",
	  "!O FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=20||Europe/Berlin|1296000", 1798110000, 1799017200,
	  1829257200 },
	{ "freeze over the year's end",
	  "D daily 01:00-02:00 UTC;!C FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=20||UTC|1296000",
	  1798113600, 1799024400, 1799028000 },
	{ "no blackouts when forced", "fD daily 01:00-05:00 UTC;!D daily 02:00-03:00 UTC",
	  1795305600, 1795309200, 1795323600 },
	{ "the manifest waits", "wD daily 01:00-05:00 UTC", 1795219200, 1795316400, 1795323600 },
	{ "the zone of a device changes: before", "D daily 01:00-02:00 Europe/Berlin", 1795305600,
	  1795305600, 1795309200 },
	{ "the zone of a device changes: after", "D daily 01:00-02:00 America/New_York", 1795305600,
	  1795327200, 1795330800 },
	{ "every five hours, weeks later", "D FREQ=HOURLY;INTERVAL=5|2026-11-01T00:00:00|UTC|1800",
	  1795311060, 1795327200, 1795329000 },
	{ "UNTIL out of reach",
	  "D FREQ=YEARLY;UNTIL=20991231;BYMONTH=3|2026-03-01T01:00:00|UTC|1800", 1795305600,
	  1803862800, 1803864600 },
	{ "Berlin: half hours that swap, from before",
	  "D FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30||Europe/Berlin|600", 1774738800, 1774746000,
	  1774746600 },
	{ "Lord Howe: what the gap puts behind",
	  "D FREQ=DAILY;BYHOUR=2;BYMINUTE=0,20,40||Australia/Lord_Howe|300", 1791037800, 1791041400,
	  1791041700 },
	{ "Lord Howe: what is there comes between",
	  "D FREQ=DAILY;BYHOUR=2;BYMINUTE=0,20,40||Australia/Lord_Howe|300", 1791041760, 1791042000,
	  1791042300 },
	{ "Lord Howe: and then", "D FREQ=DAILY;BYHOUR=2;BYMINUTE=0,20,40||Australia/Lord_Howe|300",
	  1791042360, 1791042600, 1791042900 },
	{ "two of a union at once", "D daily 01:00-02:00 UTC;D daily 01:30-03:00 UTC", 1795311900,
	  1795311900, 1795316400 },
	{ "a union, the longer first", "D daily 01:00-04:00 UTC;D daily 01:30-03:00 UTC",
	  1795311900, 1795311900, 1795320000 },
	{ "a black-out before the window of its level",
	  "!D daily 02:00-03:00 UTC;D daily 01:00-05:00 UTC", 1795305600, 1795309200, 1795312800 },
};

struct built {
	struct window w[32];
	struct window_set set;
};

static void set_level(struct window *w, char level)
{
	static const char letters[] = "DR12CMO";
	static const enum window_level levels[] = { WINDOW_DEVICE, WINDOW_DEVICE, WINDOW_GROUP,
						    WINDOW_GROUP,  WINDOW_CLASS,  WINDOW_CLASS,
						    WINDOW_ROLLOUT };
	const char *at = strchr(letters, level);

	ck_assert_ptr_nonnull(at);
	w->level = levels[at - letters];
	w->reported = level == 'R';
	w->ref = level == '1' || level == '2' ? level - '0' : w->level == WINDOW_CLASS ? 0 : 7;
	if (level == 'M')
		(void)text_copy(w->model, sizeof(w->model), "lamp");
}

static int set_window(struct window *w, char *text)
{
	char *part[4] = { text, NULL, NULL, NULL };

	for (int i = 1; i < 4; i++) {
		part[i] = part[i - 1] ? strchr(part[i - 1], '|') : NULL;
		if (part[i])
			*part[i]++ = '\0';
	}
	int64_t seconds;

	if (!part[3])
		return window_set_short(w, text, &err);
	ck_assert_int_eq(text_i64(slice_str(part[3]), &seconds), 0);
	return window_set_rule(w, part[0], part[1], part[2], seconds, &err) < 0 ? -1 : 1;
}

static void build(struct built *b, const char *text)
{
	char copy[512];

	memset(b, 0, sizeof(*b));
	ck_assert_int_eq(text_copy(copy, sizeof(copy), text), 0);
	char *at = copy;
	b->set.windows = b->w;
	while (*at) {
		/* RRULE has ";" of its own: the next window begins after one with a level */
		char *end = at;
		while ((end = strchr(end, ';')) && !(end[1] == '!' || end[2] == ' '))
			end++;
		if (end)
			*end = '\0';
		bool blackout = *at == '!';
		at += blackout;
		b->set.no_blackouts = b->set.no_blackouts || *at == 'f';
		b->set.not_before = *at == 'w' ? WAITS : b->set.not_before;
		at += *at == 'f' || *at == 'w';
		int n = set_window(&b->w[b->set.n], at + 2);
		ck_assert_msg(n > 0, "%s: %s", at, err.text);
		for (int i = 0; i < n; i++) {
			b->w[b->set.n + i].blackout = blackout;
			set_level(&b->w[b->set.n + i], *at);
		}
		b->set.n += n;
		at = end ? end + 1 : at + strlen(at);
	}
}

static void check_row(const struct row *r)
{
	struct window_span s = { 0, 0 };
	struct built b;

	build(&b, r->windows);
	int got = window_opening(book, &b.set, r->at * 1000, 0, &s, &err);
	ck_assert_msg(got == (r->from != NONE), "%s: %d %s", r->name, got, err.text);
	if (got == 0)
		return;
	if (s.from < r->at * 1000) /* it was asked for before */
		s.from = r->at * 1000;
	ck_assert_msg(s.from / 1000 == r->from && s.until / 1000 == r->until,
		      "%s: %lld to %lld, not %lld to %lld", r->name, (long long)(s.from / 1000),
		      (long long)(s.until / 1000), (long long)r->from, (long long)r->until);
}

START_TEST(test_table)
{
	ck_assert_uint_ge(sizeof(rows) / sizeof(rows[0]), 60);
	/* in either order, from an empty book and from a full one */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
	uint64_t work = window_book_work(book);
	for (size_t i = sizeof(rows) / sizeof(rows[0]); i-- > 0;)
		check_row(&rows[i]);
	ck_assert_uint_gt(work, 0);
}
END_TEST

/* ---- the grammars ---- */

static void assert_refused(const char *text, const char *why)
{
	struct window w[WINDOW_RANGES_MAX];

	err = (struct err){ .code = ERR_NONE };
	ck_assert_msg(window_set_short(w, text, &err) < 0, "%s was taken", text);
	ck_assert_msg(strstr(err.text, why), "%s: %s", text, err.text);
}

START_TEST(test_short_form)
{
	struct window w[WINDOW_RANGES_MAX];

	ck_assert_int_eq(window_set_short(w, "sat,SUN 01:00-05:00 Europe/Berlin", &err), 1);
	ck_assert_str_eq(w[0].rrule, "FREQ=WEEKLY;BYDAY=SU,SA");
	ck_assert_str_eq(w[0].starts, "20000103T010000");
	ck_assert_str_eq(w[0].zone, "Europe/Berlin");
	ck_assert_int_eq(w[0].duration_s, 14400);
	ck_assert_int_eq(window_set_short(w, "Daily  22:00-06:00,12:30-13:00   UTC", &err), 2);
	ck_assert_str_eq(w[0].rrule, "FREQ=DAILY");
	ck_assert_int_eq(w[0].duration_s, 28800);
	ck_assert_str_eq(w[1].starts, "20000103T123000");
	ck_assert_int_eq(window_set_short(w, "Sat-Mon,Wed 00:00-24:00 UTC", &err), 1);
	ck_assert_str_eq(w[0].rrule, "FREQ=WEEKLY;BYDAY=SU,MO,WE,SA");
	ck_assert_int_eq(w[0].duration_s, 86400);
	ck_assert_int_eq(window_set_short(w,
					  "Mon 00:00-01:00,02:00-03:00,04:00-05:00,06:00-07:00,"
					  "08:00-09:00,10:00-11:00,12:00-13:00,14:00-15:00 UTC",
					  &err),
			 8);
}
END_TEST

START_TEST(test_short_form_refused)
{
	static const char *const table[][2] = {
		{ "", "column 1: a day" },
		{ "Sut 01:00-02:00 UTC", "column 1: a day" },
		{ "Sat, 01:00-02:00 UTC", "column 5: a day" },
		{ "Sat-x 01:00-02:00 UTC", "column 5: a day" },
		{ "Sat", "column 4: a blank and times" },
		{ "Sat ", "column 5: a time like" },
		{ "Sat 1:00-02:00 UTC", "column 5: a time like" },
		{ "Sat 0x:00-02:00 UTC", "column 5: a time like" },
		{ "Sat 01.00-02:00 UTC", "column 5: a time like" },
		{ "Sat 01:x0-02:00 UTC", "column 5: a time like" },
		{ "Sat 01:0x-02:00 UTC", "column 5: a time like" },
		{ "Sat /1:00-02:00 UTC", "column 5: a time like" },
		{ "Sat 01:60-02:00 UTC", "column 5: there is no such time" },
		{ "Sat 24:00-02:00 UTC", "column 5: there is no such time" },
		{ "Sat 01:00-24:01 UTC", "column 11: there is no such time" },
		{ "Sat 01:00 UTC", "column 10: -" },
		{ "Sat 01:00-UTC", "column 11: a time like" },
		{ "Sat 01:00-01:00 UTC", "00:00-24:00" },
		{ "Sat 01:00-02:00", "column 16: a blank and a time zone" },
		{ "Sat 01:00-02:00, UTC", "column 17: a time like" },
		{ "Sat 01:00-02:00 ", "zone: \"\"" },
		{ "Sat 01:00-02:00 Europe/Atlantis", "zone: \"Europe/Atlantis\"" },
		{ "Sat 01:00-02:00 Europe", "zone: \"Europe\"" },
		{ "Sat 01:00-02:00 ../../etc/passwd", "zone: " },
		{ "Sat 01:00-02:00 /usr/share/zoneinfo/UTC", "zone: " },
		{ "Sat 01:00-02:00 right/UTC", "zone: " },
		{ "Sat 01:00-02:00 localtime", "zone: " },
		{ "Sat 01:00-02:00 UTC Europe/Berlin", "zone: " },
		{ "Mon 00:00-01:00,02:00-03:00,04:00-05:00,06:00-07:00,08:00-09:00,10:00-11:00,"
		  "12:00-13:00,14:00-15:00,16:00-17:00 UTC",
		  "at most 8 ranges" },
	};
	char text[WINDOW_SHORT_TEXT + 1];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_refused(table[i][0], table[i][1]);
	memset(text, 'x', WINDOW_SHORT_TEXT);
	text[WINDOW_SHORT_TEXT] = '\0';
	assert_refused(text, "longer than 255");
}
END_TEST

static int rule(struct window *w, const char *rrule, const char *starts, int64_t duration_s)
{
	memset(w, 0, sizeof(*w));
	err = (struct err){ .code = ERR_NONE };
	return window_set_rule(w, rrule, starts, "Europe/Berlin", duration_s, &err);
}

/* Read and written again in one form. */
START_TEST(test_rule_form)
{
	static const char *const table[][2] = {
		{ "freq=daily", "FREQ=DAILY" },
		{ "BYDAY=SU,mo,SU;FREQ=WEEKLY;INTERVAL=1", "FREQ=WEEKLY;BYDAY=SU,MO" },
		{ "FREQ=DAILY;BYHOUR=22,1;BYMINUTE=30,0", "FREQ=DAILY;BYHOUR=1,22;BYMINUTE=0,30" },
		{ "FREQ=MONTHLY;BYDAY=+2TU,-1FR;WKST=SU", "FREQ=MONTHLY;BYDAY=-1FR,2TU;WKST=SU" },
		{ "FREQ=YEARLY;BYMONTH=12,3;BYMONTHDAY=-1,15",
		  "FREQ=YEARLY;BYMONTH=3,12;BYMONTHDAY=-1,15" },
		{ "FREQ=DAILY;UNTIL=20301231", "FREQ=DAILY;UNTIL=20301231T235959" },
		{ "FREQ=DAILY;UNTIL=20301231T230000Z", "FREQ=DAILY;UNTIL=20310101T000000" },
		{ "FREQ=DAILY;UNTIL=20300701T120000", "FREQ=DAILY;UNTIL=20300701T120000" },
		{ "FREQ=DAILY;INTERVAL=2;COUNT=3", "FREQ=DAILY;INTERVAL=2;UNTIL=20261126T010000" },
		{ "FREQ=HOURLY;INTERVAL=6;BYMINUTE=30", "FREQ=HOURLY;INTERVAL=6;BYMINUTE=30" },
	};
	struct window w;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int rc = rule(&w, table[i][0], "2026-11-22T01:00:00", 3600);
		ck_assert_msg(rc == 0, "%s: %s", table[i][0], err.text);
		ck_assert_str_eq(w.rrule, table[i][1]);
		ck_assert_str_eq(w.starts, "20261122T010000");
	}
	ck_assert_int_eq(rule(&w, "FREQ=DAILY", NULL, 60), 0);
	ck_assert_str_eq(w.starts, WINDOW_STARTS_DEFAULT);
	ck_assert_int_eq(rule(&w, "FREQ=DAILY", "20261122T013000", WINDOW_DURATION_MAX_S), 0);
	ck_assert_str_eq(w.starts, "20261122T013000");
}
END_TEST

START_TEST(test_rule_refused)
{
	static const char *const table[][2] = {
		{ "", "column 1: a part is NAME=VALUE" },
		{ "DAILY", "column 6: a part is NAME=VALUE" },
		{ "FREQ=DAILY;", "column 12: a part is NAME=VALUE" },
		{ "FREQ=", "column 6: FREQ is" },
		{ "FREQ=SECONDLY", "column 6: FREQ is" },
		{ "FREQ=MINUTELY", "column 6: FREQ is" },
		{ "FREQ=DAILYDAILYDAILYDAILY", "column 6: FREQ is" },
		{ "FREQ=DAILY;FREQ=DAILY", "column 12: a part that is not known" },
		{ "FREQ=DAILY;BYSECOND=1", "column 12: a part that is not known" },
		{ "FREQ=DAILY;RSCALE=GREGORIAN", "column 12: a part that is not known" },
		{ "FREQ=DAILY;INTERVAL=0", "column 21: INTERVAL is" },
		{ "FREQ=DAILY;INTERVAL=367", "column 21: INTERVAL is" },
		{ "FREQ=DAILY;INTERVAL=x", "column 21: INTERVAL is" },
		{ "FREQ=DAILY;INTERVAL=2;INTERVAL=2", "column 23: a part that is not known" },
		{ "FREQ=DAILY;INTERVAL=-1", "column 21: INTERVAL is" },
		{ "FREQ=DAILY;COUNT=1001", "column 18: COUNT is" },
		{ "FREQ=DAILY;COUNT=1;COUNT=1", "column 20: a part that is not known" },
		{ "FREQ=DAILY;COUNT=12345", "column 18: COUNT is" },
		{ "FREQ=DAILY;UNTIL=", "UNTIL is" },
		{ "FREQ=DAILY;UNTIL=2026", "UNTIL is" },
		{ "FREQ=DAILY;UNTIL=20261322", "UNTIL is" },
		{ "FREQ=DAILY;UNTIL=20261122T0100Z", "UNTIL is" },
		{ "FREQ=DAILY;UNTIL=20261122X010000", "UNTIL is" },
		{ "FREQ=DAILY;UNTIL=20261122T0100000", "UNTIL is" },
		{ "FREQ=DAILY;UNTIL=20261122T010000ZZ", "column 18: UNTIL is" },
		{ "FREQ=DAILY;UNTIL=20301231;UNTIL=20301231", "column 27: a part that is" },
		{ "FREQ=DAILY;UNTIL=20301231;COUNT=3", "COUNT and UNTIL" },
		{ "FREQ=DAILY;UNTIL=20201231", "comes to nothing" },
		{ "FREQ=DAILY;WKST=XX", "column 17: WKST is" },
		{ "FREQ=DAILY;WKST=MO;WKST=MO", "column 20: a part that is not known" },
		{ "FREQ=DAILY;BYHOUR=24", "column 19: BYHOUR takes numbers from 0 to 23" },
		{ "FREQ=DAILY;BYHOUR=", "column 19: BYHOUR takes" },
		{ "FREQ=DAILY;BYHOUR=-1", "column 19: BYHOUR takes" },
		{ "FREQ=DAILY;BYHOUR=1,", "column 21: BYHOUR takes" },
		{ "FREQ=DAILY;BYHOUR=1;BYHOUR=2", "column 21: a part stands twice" },
		{ "FREQ=DAILY;BYHOUR=1 2", "column 20: ; or the end" },
		{ "FREQ=DAILY;BYMONTHDAY=0", "not 0" },
		{ "FREQ=DAILY;BYMONTHDAY=-32", "BYMONTHDAY takes numbers from -31 to 31" },
		{ "FREQ=DAILY;BYMONTH=0", "BYMONTH takes numbers from 1" },
		{ "FREQ=DAILY;BYDAY=XX", "BYDAY takes days" },
		{ "FREQ=DAILY;BYDAY=", "BYDAY takes days" },
		{ "FREQ=MONTHLY;BYDAY=0MO", "not 0" },
		{ "FREQ=YEARLY;BYDAY=54MO", "from -53 to 53" },
		{ "FREQ=WEEKLY;BYDAY=2MO", "MONTHLY and YEARLY alone" },
		{ "FREQ=DAILY;BYDAY=-1MO", "MONTHLY and YEARLY alone" },
		{ "FREQ=YEARLY;BYWEEKNO=3", "column 13: a part that is not known" },
		{ "FREQ=YEARLY;BYMONTH=3;BYSETPOS=1", "BYSETPOS does not go with" },
		{ "FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY does not go with FREQ=WEEKLY" },
		{ "FREQ=HOURLY;BYDAY=MO", "BYDAY does not go with FREQ=HOURLY" },
		{ "FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS needs another" },
		{ "FREQ=MONTHLY;BYDAY=MO;BYHOUR=1,14;BYSETPOS=1", "BYSETPOS does not go with" },
		{ "FREQ=MONTHLY;BYDAY=MO;BYMINUTE=0,30;BYSETPOS=1", "BYSETPOS does not go with" },
		{ "BYDAY=MO", "FREQ is missing" },
		{ "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "comes to nothing" },
		{ "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "comes to nothing" },
		{ "FREQ=YEARLY;COUNT=10", "beyond eight years" },
		{ "FREQ=DAILY;BYHOUR=0,1,2,3,4;BYMINUTE=0,3,6,9,12,15,18,21,24,27,30,33,36,39,42,"
		  "45,48,51,54,57",
		  "100 times a day" },
		{ "FREQ=HOURLY;BYMINUTE=0,10,20,30,40", "120 times a day" },
	};
	struct window w;
	char text[WINDOW_RRULE_TEXT + 1];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int rc = rule(&w, table[i][0], "2026-11-22T01:00:00", 3600);
		ck_assert_msg(rc < 0, "%s was taken", table[i][0]);
		ck_assert_msg(strstr(err.text, table[i][1]), "%s: %s", table[i][0], err.text);
	}
	memset(text, 'x', WINDOW_RRULE_TEXT);
	text[WINDOW_RRULE_TEXT] = '\0';
	ck_assert_int_lt(rule(&w, text, NULL, 3600), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "longer than 255"));
}
END_TEST

START_TEST(test_rule_bounds)
{
	static const char minutes[] = "FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,3,6,9,12,15,18,21";
	struct window w;
	char text[WINDOW_RRULE_TEXT];

	ck_assert_int_eq(rule(&w, minutes, NULL, 60), 0);
	/* 32 a day, each for 16 days: too many within one another */
	ck_assert_int_lt(rule(&w, minutes, NULL, 16 * 86400), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "within one another"));
	ck_assert_int_lt(rule(&w, "FREQ=DAILY", NULL, 59), 0);
	ck_assert_int_lt(rule(&w, "FREQ=DAILY", NULL, WINDOW_DURATION_MAX_S + 1), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "duration"));
	ck_assert_int_lt(rule(&w, "FREQ=DAILY;COUNT=3", NULL, 60), 0);
	ck_assert_int_lt(rule(&w, "FREQ=DAILY;COUNT=3", "", 60), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "COUNT needs it"));
	ck_assert_int_lt(rule(&w, "FREQ=DAILY", "tomorrow", 60), 0);
	ck_assert_int_lt(rule(&w, "FREQ=DAILY", "2026-11-22T01:00:00.000000000000000", 60), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "starts"));
	ck_assert_int_lt(rule(&w, "FREQ=DAILY", "19691231T235959", 60), 0);
	ck_assert_int_lt(rule(&w, "FREQ=DAILY", "21000101T000000", 60), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "1970 to 2099"));
	/* what is written again must fit, too */
	(void)text_format(
		text, sizeof(text), "FREQ=YEARLY;UNTIL=20991231;BYYEARDAY=%s%s",
		"101,102,103,104,105,106,107,108,109,110,111,112,113,114,115,116,117,118,",
		"119,120,121,122,123,124,125,126,127,128,129,130,131,132,133,134,135,136,"
		"137,138,139,140,141,142,143,144,145,146,147,148,149,150,151,152,153,15");
	ck_assert_uint_gt(strlen(text), 248);
	ck_assert_int_lt(rule(&w, text, NULL, 60), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "longer than 255"));
	(void)text_format(
		text, sizeof(text), "%s%s",
		"FREQ=YEARLY;BYYEARDAY=1,2,3,4,5,6,7,8,9,10,11,"
		"12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,",
		"36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,"
		"60,61,62,63,64");
	ck_assert_int_lt(rule(&w, text, NULL, 60), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "a list is too long"));
}
END_TEST

START_TEST(test_zone_too_long)
{
	struct window w;

	memset(&w, 0, sizeof(w));
	ck_assert_int_lt(window_set_rule(&w, "FREQ=DAILY", NULL,
					 "America//////////////////////////////////////New_York",
					 60, &err),
			 0);
	ck_assert_ptr_nonnull(strstr(err.text, "zone"));
}
END_TEST

/* What a device may say of itself must not cost anything to speak of. */
START_TEST(test_simple)
{
	static const struct {
		const char *rrule;
		int64_t duration_s;
		bool simple;
	} table[] = {
		{ "FREQ=DAILY", 3600, true },
		{ "FREQ=WEEKLY;BYDAY=MO,TU;BYHOUR=3;BYMINUTE=15", 86400, true },
		{ "FREQ=DAILY", 86401, false },
		{ "FREQ=HOURLY", 3600, false },
		{ "FREQ=MONTHLY", 3600, false },
		{ "FREQ=DAILY;INTERVAL=2", 3600, false },
		{ "FREQ=DAILY;BYMONTH=2", 3600, false },
		{ "FREQ=DAILY;BYMONTHDAY=2", 3600, false },
		{ "FREQ=WEEKLY;BYMONTH=2", 3600, false },
	};
	struct window w;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_int_eq(rule(&w, table[i].rrule, NULL, table[i].duration_s), 0);
		ck_assert_msg(window_is_simple(&w) == table[i].simple, "%s", table[i].rrule);
	}
	(void)text_copy(w.rrule, sizeof(w.rrule), "nonsense");
	ck_assert(!window_is_simple(&w));
}
END_TEST

/* ---- answers ---- */

#define HOUR_MS INT64_C(3600000)
#define SUNDAY INT64_C(1795305600000) /* 2026-11-22T00:00:00Z */

START_TEST(test_fits)
{
	struct window_span s;
	struct built b;

	build(&b, "D daily 01:00-02:00 UTC;D Tue 05:00-09:00 UTC");
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, HOUR_MS, &s, &err), 1);
	ck_assert_int_eq(s.from, SUNDAY + HOUR_MS);
	/* half an hour in, not an hour is left: the next day's */
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY + HOUR_MS * 3 / 2, HOUR_MS, &s, &err),
			 1);
	ck_assert_int_eq(s.from, SUNDAY + 25 * HOUR_MS);
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, 2 * HOUR_MS, &s, &err), 1);
	ck_assert_int_eq(s.from, SUNDAY + 53 * HOUR_MS);
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, 5 * HOUR_MS, &s, &err), 0);
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY + 1, 5 * HOUR_MS, &s, &err), 0);
}
END_TEST

/* Asking again costs no calendar, whoever asks, until the answer is over. */
START_TEST(test_answers_are_kept)
{
	struct window_span s;
	struct built b, other;

	build(&b, "D Sat 01:00-05:00 UTC;C Sun 01:00-05:00 UTC");
	build(&other, "C Sat 01:00-05:00 UTC;D Sun 01:00-05:00 UTC");
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, 0, &s, &err), 0);
	uint64_t work = window_book_work(book);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(window_opening(book, &b.set, SUNDAY + i * 1000, 0, &s, &err), 0);
	ck_assert_int_eq(window_opening(book, &other.set, SUNDAY, 0, &s, &err), 0);
	ck_assert_uint_eq(window_book_work(book), work);
	build(&b, "D daily 01:00-05:00 UTC");
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, 0, &s, &err), 1);
	work = window_book_work(book);
	for (int i = 0; i < 24 * 20; i++)
		ck_assert_int_eq(window_opening(book, &b.set, SUNDAY + i * HOUR_MS, 0, &s, &err),
				 1);
	ck_assert_uint_eq(window_book_work(book), work);
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY - 48 * HOUR_MS, 0, &s, &err), 1);
	ck_assert_int_eq(s.from, SUNDAY - 47 * HOUR_MS);
}
END_TEST

START_TEST(test_book_is_bounded)
{
	struct window_span s;
	struct built b;
	char text[64];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 1440; i++) {
			(void)text_format(text, sizeof(text), "D daily %02d:%02d-24:00 UTC", i / 60,
					  i % 60);
			build(&b, text);
			ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, 0, &s, &err), 1);
			ck_assert_int_eq(s.from, SUNDAY + i * 60000);
		}
}
END_TEST

START_TEST(test_openings)
{
	struct window_span s[4];
	struct built b;

	build(&b, "D daily 01:00-05:00 UTC;!D daily 02:00-03:00 UTC");
	ck_assert_int_eq(window_openings(book, &b.set, SUNDAY, 4, s, &err), 4);
	for (int i = 0; i < 4; i++) {
		int64_t day = SUNDAY + i / 2 * 24 * HOUR_MS;
		ck_assert_int_eq(s[i].from, day + (i % 2 ? 3 : 1) * HOUR_MS);
		ck_assert_int_eq(s[i].until, day + (i % 2 ? 5 : 2) * HOUR_MS);
	}
	build(&b, "D FREQ=DAILY;UNTIL=20261123|2026-01-01T01:00:00|UTC|3600");
	ck_assert_int_eq(window_openings(book, &b.set, SUNDAY, 4, s, &err), 2);
	build(&b, "!D daily 00:00-24:00 UTC");
	ck_assert_int_eq(window_openings(book, &b.set, SUNDAY, 4, s, &err), 0);
	ck_assert_int_eq(window_openings(book, &b.set, -5, 4, s, &err), 1);
	ck_assert_int_eq(window_openings(book, &b.set, INT64_MAX, 4, s, &err), 0);
}
END_TEST

/* The clock is put forward just where what is remembered ends. */
START_TEST(test_gap_at_the_end_of_what_is_remembered)
{
	int64_t t = INT64_C(1791003960000); /* 2026-10-03T05:06:00Z, 15:36 there */
	struct window_span s[36];
	struct built b;

	build(&b,
	      "D FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;"
	      "BYMINUTE=0,20,40||Australia/Lord_Howe|300");
	ck_assert_int_eq(window_openings(book, &b.set, t, 36, s, &err), 36);
	/* 02:20 is not there: it comes at 02:50, behind 02:40 */
	for (int i = 0; i < 36; i++) {
		int64_t minutes = i < 32 ? 4 + 20 * i : i == 32 ? 634 : i == 33 ? 644 : 20 * i - 26;
		ck_assert_int_eq(s[i].from, t + minutes * 60000);
	}
}
END_TEST

START_TEST(test_blackout)
{
	const struct window *which = NULL;
	struct built b;
	int64_t until;

	build(&b, "D daily 00:00-24:00 UTC;!C daily 01:00-02:00 UTC;!D daily 01:30-04:00 UTC");
	ck_assert_int_eq(window_blackout(book, &b.set, SUNDAY, &until, &which, &err), 0);
	ck_assert_int_eq(
		window_blackout(book, &b.set, SUNDAY + HOUR_MS * 7 / 4, &until, &which, &err), 1);
	ck_assert_int_eq(until, SUNDAY + 4 * HOUR_MS);
	ck_assert_ptr_eq(which, &b.w[2]);
	build(&b, "!D daily 01:30-04:00 UTC;!C daily 01:00-02:00 UTC");
	ck_assert_int_eq(
		window_blackout(book, &b.set, SUNDAY + HOUR_MS * 7 / 4, &until, &which, &err), 1);
	ck_assert_ptr_eq(which, &b.w[0]);
	b.set.no_blackouts = true;
	ck_assert_int_eq(window_blackout(book, &b.set, SUNDAY + HOUR_MS, &until, &which, &err), 0);
}
END_TEST

/* Many changes, adjoining or not, are looked at so far and no further. */
START_TEST(test_steps_are_bounded)
{
	struct window_span s;
	struct built b;

	build(&b,
	      "D FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;"
	      "BYMINUTE=0,30||UTC|600;C FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,"
	      "16,17,18,19,20,21,22,23;BYMINUTE=10,40||UTC|600");
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, 0, &s, &err), 0);
	build(&b, "D FREQ=HOURLY||UTC|3600");
	ck_assert_int_eq(window_opening(book, &b.set, SUNDAY, 0, &s, &err), 1);
	ck_assert_int_gt(s.until, SUNDAY + 400 * 24 * HOUR_MS);
}
END_TEST

START_TEST(test_set_is_bounded)
{
	static struct window many[WINDOW_SET_MAX + 1];
	struct window_set set = { .windows = many, .n = WINDOW_SET_MAX + 1 };
	const struct window *which;
	struct window_span s;
	int64_t until;

	ck_assert_int_lt(window_opening(book, &set, SUNDAY, 0, &s, &err), 0);
	ck_assert_int_lt(window_openings(book, &set, SUNDAY, 1, &s, &err), 0);
	ck_assert_int_lt(window_blackout(book, &set, SUNDAY, &until, &which, &err), 0);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
}
END_TEST

/* A zone that was there when the window was made, and is not any more. */
START_TEST(test_zone_is_gone)
{
	const struct window *which;
	struct window_span s;
	struct built b;
	int64_t until;

	build(&b, "!D daily 01:00-02:00 UTC");
	(void)text_copy(b.w[0].zone, sizeof(b.w[0].zone), "Europe/Atlantis");
	ck_assert_int_lt(window_opening(book, &b.set, SUNDAY, 0, &s, &err), 0);
	ck_assert_int_lt(window_openings(book, &b.set, SUNDAY, 1, &s, &err), 0);
	ck_assert_int_lt(window_blackout(book, &b.set, SUNDAY, &until, &which, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "Europe/Atlantis"));
	window_book_free(NULL);
}
END_TEST

static struct built blackout;

static int ask_opening(void)
{
	struct window_span s = { 0, 0 };

	faults_during(true);
	int got = window_opening(book, &blackout.set, SUNDAY + HOUR_MS, 0, &s, &err);
	faults_during(false);
	ck_assert(got < 0 || s.from == SUNDAY + 2 * HOUR_MS);
	return got;
}

static int ask_openings(void)
{
	struct window_span s = { 0, 0 };

	faults_during(true);
	int got = window_openings(book, &blackout.set, SUNDAY, 1, &s, &err);
	faults_during(false);
	ck_assert(got < 0 || (s.from == SUNDAY && s.until == SUNDAY + HOUR_MS));
	return got;
}

static int ask_blackout(void)
{
	const struct window *which = NULL;
	int64_t until = 0;

	faults_during(true);
	int got = window_blackout(book, &blackout.set, SUNDAY + HOUR_MS, &until, &which, &err);
	faults_during(false);
	ck_assert(got < 0 || (until == SUNDAY + 2 * HOUR_MS && which == blackout.w));
	return got;
}

static int ask_rule(void)
{
	struct window w = { .rrule = "" };

	faults_during(true);
	int got = window_set_rule(&w, "FREQ=DAILY;COUNT=3", "20261122T010000", "UTC", 3600, &err);
	faults_during(false);
	ck_assert(got < 0 || strcmp(w.rrule, "FREQ=DAILY;UNTIL=20261124T010000") == 0);
	return got < 0 ? got : 1;
}

/* Each allocation fails in turn: it is said, or the answer is right, no black-out is forgotten. */
START_TEST(test_no_memory)
{
	static int (*const asks[])(void) = { ask_opening, ask_openings, ask_blackout, ask_rule };
	bool failed = true;
	unsigned said = 0;

	if (!faults_have_malloc())
		return;
	build(&blackout, "!D daily 01:00-02:00 UTC");
	for (unsigned n = 1; failed; n++) {
		window_book_free(book);
		book = window_book_new();
		err = (struct err){ .code = ERR_NONE };
		faults_arm(FAULT_MALLOC, n, false);
		int got = asks[_i]();
		failed = faults_disarm();
		ck_assert_msg(got == 1 || (failed && err.code == ERR_NO_MEMORY), "%u: %d %s", n,
			      got, err.text);
		said += got < 0;
		ck_assert_int_eq(asks[_i](), 1);
	}
	ck_assert_uint_ge(said, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/window");
	TCase *t = tcase_create("window");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_table);
	tcase_add_test(t, test_short_form);
	tcase_add_test(t, test_short_form_refused);
	tcase_add_test(t, test_rule_form);
	tcase_add_test(t, test_rule_refused);
	tcase_add_test(t, test_rule_bounds);
	tcase_add_test(t, test_zone_too_long);
	tcase_add_test(t, test_simple);
	tcase_add_test(t, test_fits);
	tcase_add_test(t, test_answers_are_kept);
	tcase_add_test(t, test_book_is_bounded);
	tcase_add_test(t, test_openings);
	tcase_add_test(t, test_gap_at_the_end_of_what_is_remembered);
	tcase_add_test(t, test_blackout);
	tcase_add_test(t, test_steps_are_bounded);
	tcase_add_test(t, test_set_is_bounded);
	tcase_add_test(t, test_zone_is_gone);
	tcase_add_loop_test(t, test_no_memory, 0, 4);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
