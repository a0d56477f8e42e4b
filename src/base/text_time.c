/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)
/* 0000-01-01 and the last millisecond of 9999: what four digits of year can say */
#define TIME_MIN INT64_C(-62167219200000)
#define TIME_MAX INT64_C(253402300799999)

/*
 * Days since 1970-01-01 of a proleptic Gregorian date and back, by 400-year eras
 * that begin on 1 March, so that the leap day is the last of its year. Own
 * arithmetic because timegm() and gmtime_r() look at the process's time zone.
 */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

struct civil {
	int64_t year, month, day;
};

static struct civil civil_from_days(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	struct civil c = {
		.year = yoe + era * 400,
		.month = mp < 10 ? mp + 3 : mp - 9,
		.day = doy - (153 * mp + 2) / 5 + 1,
	};

	c.year += c.month <= 2;
	return c;
}

static char *put_digits(char *to, int64_t v, size_t width)
{
	for (size_t i = width; i > 0; i--, v /= 10)
		to[i - 1] = (char)('0' + v % 10);
	return to + width;
}

/* By hand and not by snprintf: every document has several times in it. */
void text_time(char dst[TEXT_TIME_SIZE], int64_t wall_ms)
{
	if (wall_ms < TIME_MIN)
		wall_ms = TIME_MIN;
	if (wall_ms > TIME_MAX)
		wall_ms = TIME_MAX;
	int64_t days = wall_ms / DAY_MS - (wall_ms % DAY_MS < 0);
	int64_t ms = wall_ms - days * DAY_MS;
	struct civil c = civil_from_days(days);
	char *p = put_digits(dst, c.year, 4);

	*p++ = '-';
	p = put_digits(p, c.month, 2);
	*p++ = '-';
	p = put_digits(p, c.day, 2);
	*p++ = 'T';
	p = put_digits(p, ms / 3600000, 2);
	*p++ = ':';
	p = put_digits(p, ms / 60000 % 60, 2);
	*p++ = ':';
	p = put_digits(p, ms / 1000 % 60, 2);
	*p++ = '.';
	p = put_digits(p, ms % 1000, 3);
	*p++ = 'Z';
	*p = '\0';
}

/* A cursor that fails for good at the first thing it does not like. */
struct scan {
	struct slice s;
	bool failed;
};

static int64_t scan_digits(struct scan *c, size_t width)
{
	uint64_t v = 0;

	if (c->failed || c->s.n < width || text_u64(slice_of(c->s.p, width), &v) != 0) {
		c->failed = true;
		return 0;
	}
	c->s = slice_of(c->s.p + width, c->s.n - width);
	return (int64_t)v;
}

/* One byte out of set ('t' and 'T' are one to RFC 3339). */
static char scan_one(struct scan *c, const char *set)
{
	if (c->failed || c->s.n == 0 || c->s.p[0] == 0 || !strchr(set, c->s.p[0])) {
		c->failed = true;
		return '\0';
	}
	char found = (char)c->s.p[0];
	c->s = slice_of(c->s.p + 1, c->s.n - 1);
	return found;
}

/* ".5" is 500 ms; digits past the third are dropped. */
static int64_t scan_fraction_ms(struct scan *c)
{
	int64_t ms = 0, scale = 100;

	if (c->failed || c->s.n == 0 || c->s.p[0] != '.')
		return 0;
	scan_one(c, ".");
	do {
		ms += scan_digits(c, 1) * scale;
		scale /= 10;
	} while (!c->failed && c->s.n > 0 && c->s.p[0] >= '0' && c->s.p[0] <= '9');
	return ms;
}

static int64_t scan_offset_ms(struct scan *c)
{
	char sign = scan_one(c, "Zz+-");

	if (c->failed || sign == 'Z' || sign == 'z')
		return 0;
	int64_t hours = scan_digits(c, 2);
	scan_one(c, ":");
	int64_t minutes = scan_digits(c, 2);
	if (hours > 23 || minutes > 59)
		c->failed = true;
	return (hours * 60 + minutes) * 60000 * (sign == '-' ? -1 : 1);
}

static int64_t days_in_month(int64_t y, int64_t m)
{
	static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return days[m - 1] + (m == 2 && leap);
}

int text_untime(struct slice s, int64_t *wall_ms)
{
	struct scan c = { .s = s };
	int64_t y = scan_digits(&c, 4);
	scan_one(&c, "-");
	int64_t m = scan_digits(&c, 2);
	scan_one(&c, "-");
	int64_t d = scan_digits(&c, 2);
	scan_one(&c, "Tt ");
	int64_t hour = scan_digits(&c, 2);
	scan_one(&c, ":");
	int64_t minute = scan_digits(&c, 2);
	scan_one(&c, ":");
	int64_t second = scan_digits(&c, 2);
	int64_t ms = scan_fraction_ms(&c);
	int64_t offset = scan_offset_ms(&c);

	if (c.failed || c.s.n > 0 || m < 1 || m > 12 || d < 1 || d > days_in_month(y, m))
		return -1;
	/* 60 is a leap second; it is the same instant here as the next minute's first */
	if (hour > 23 || minute > 59 || second > 60)
		return -1;
	*wall_ms = days_from_civil(y, m, d) * DAY_MS + hour * 3600000 + minute * 60000 +
		   second * 1000 + ms - offset;
	return 0;
}
