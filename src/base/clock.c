/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/clock.h"

#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

static int64_t read_clock_us(clockid_t id)
{
	struct timespec ts;

	/* neither clock can fail on Linux; with no time nothing here means anything */
	if (clock_gettime(id, &ts) != 0)
		abort();
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	return read_clock_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
	return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
	return read_clock_us(CLOCK_MONOTONIC);
}

bool clock_is_synchronised(void)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	return state != -1 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}
