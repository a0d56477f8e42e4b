/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_CLOCK_H
#define FETTLE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Time is an argument. Decisions get a struct now; only loops read the clocks.
 * wall: ms since the epoch. track: tracker time, the persisted counter that due
 * times are kept in (architecture.md 4); it never runs backwards.
 */
struct now {
	int64_t wall;
	int64_t track;
	bool wall_trusted;	/* behaviour.md 5: false holds windows, deadlines, expiry */
};

int64_t clock_wall_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
bool clock_is_synchronised(void);	/* adjtimex(2) */

#endif
