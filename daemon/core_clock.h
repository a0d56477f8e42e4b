/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_CORE_CLOCK_H
#define FETTLE_DAEMON_CORE_CLOCK_H

#include "base/clock.h"

/*
 * Tracker time and the trust in the wall clock (architecture.md 4, behaviour.md 5).
 * Pure: clocks are read by the caller. All times in ms.
 *
 * Tracker time goes on from what was persisted by monotonic time, and at start by the
 * wall-clock difference where that is not negative and the clock is synchronised. The
 * wall clock is trusted until it is below the last committed time, or steps by more
 * than an hour against the monotonic clock; again when the kernel says it is
 * synchronised or the operator accepts it.
 */
#define CORE_CLOCK_STEP_MS (INT64_C(3600) * 1000)

struct core_clock {
	int64_t track, mono; /* tracker time at that monotonic time */
	int64_t wall, wall_mono; /* last wall time seen, and when */
	int64_t wall_floor; /* the last committed one */
	bool trusted;
};

struct core_clock_reading {
	int64_t wall, mono;
	bool synchronised;
};

/* track and wall as persisted; wall 0: never. */
void core_clock_start(struct core_clock *k, int64_t track, int64_t wall,
		      const struct core_clock_reading *r);
struct now core_clock_now(struct core_clock *k, const struct core_clock_reading *r);
void core_clock_committed(struct core_clock *k,
			  int64_t wall); /* something with that time is durable */
void core_clock_accept(struct core_clock *k,
		       const struct core_clock_reading *r); /* the operator's word */

#endif
