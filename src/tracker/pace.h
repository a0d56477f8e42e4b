/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_PACE_H
#define FETTLE_TRACKER_PACE_H

#include <stdint.h>

/*
 * Pace as a generic cell rate without a burst. Pure. tat is the virtual time, in microseconds
 * of tracker time, before which nothing more may go; 0: nothing has gone yet. With N a minute
 * no 60 seconds, wherever they begin, see more than N.
 */

/* What one offer takes of N a minute; 0 when there is no limit. */
int64_t pace_cost_of_one(int64_t per_minute);
/* What size bytes take of so many a second; a century at most, 0 when there is no limit. */
int64_t pace_cost_of_bytes(uint64_t size, int64_t bytes_per_s);
/* ms until the next may go, rounded up; 0: now. */
int64_t pace_wait_ms(int64_t tat_us, int64_t track_ms);
/* tat after something of this cost went now. */
int64_t pace_after(int64_t tat_us, int64_t track_ms, int64_t cost_us);
/*
 * Seconds after which one of waiting devices asks again: not all at the moment the pace
 * allows the next, but over the time it takes to let all of them through, at most most_s.
 */
int64_t pace_ask_s(int64_t wait_ms, int64_t cost_us, int64_t waiting, int64_t dev, int64_t most_s);

#endif
