/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/pace.h"

#define MINUTE_US INT64_C(60000000)
#define SECOND_US INT64_C(1000000)
#define COST_MAX (INT64_C(36525) * 86400 * SECOND_US)

/* Rounded up: a pace is never exceeded by what rounding takes away. */
static int64_t divide_up(int64_t a, int64_t by)
{
	return a / by + (a % by != 0);
}

int64_t pace_cost_of_one(int64_t per_minute)
{
	return per_minute > 0 ? divide_up(MINUTE_US, per_minute) : 0;
}

int64_t pace_cost_of_bytes(uint64_t size, int64_t bytes_per_s)
{
	int64_t us;

	if (bytes_per_s <= 0)
		return 0;
	if (size > INT64_MAX || __builtin_mul_overflow((int64_t)size, SECOND_US, &us))
		return COST_MAX;
	us = divide_up(us, bytes_per_s);
	return us < COST_MAX ? us : COST_MAX;
}

int64_t pace_wait_ms(int64_t tat_us, int64_t track_ms)
{
	int64_t tat_ms = divide_up(tat_us, 1000);

	return tat_ms > track_ms ? tat_ms - track_ms : 0;
}

int64_t pace_after(int64_t tat_us, int64_t track_ms, int64_t cost_us)
{
	int64_t now = track_ms * 1000;

	return (tat_us > now ? tat_us : now) + cost_us;
}

int64_t pace_ask_s(int64_t wait_ms, int64_t cost_us, int64_t waiting, int64_t dev, int64_t most_s)
{
	int64_t span, first = divide_up(wait_ms, 1000);

	if (__builtin_mul_overflow(cost_us, waiting, &span))
		span = INT64_MAX;
	span /= SECOND_US;
	if (first >= most_s || span > most_s - first)
		span = first < most_s ? most_s - first : 0;
	/* neighbours in number are far apart in time */
	uint64_t mixed = (uint64_t)dev * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	int64_t at = first + (int64_t)(mixed % ((uint64_t)span + 1));
	return at > 0 ? at : 1;
}
