/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/core_clock.h"

void core_clock_start(struct core_clock *k, int64_t track, int64_t wall,
		      const struct core_clock_reading *r)
{
	int64_t passed = r->wall - wall;

	*k = (struct core_clock){
		.track = track,
		.mono = r->mono,
		.wall = r->wall,
		.wall_mono = r->mono,
		.wall_floor = wall,
		.trusted = wall == 0 || r->synchronised || r->wall >= wall,
	};
	if (wall != 0 && passed > 0 && r->synchronised)
		k->track += passed;
	if (k->track <= 0)
		k->track = 1; /* 0 means "nothing due" */
}

static bool stepped(const struct core_clock *k, const struct core_clock_reading *r)
{
	int64_t step = (r->wall - k->wall) - (r->mono - k->wall_mono);

	return step > CORE_CLOCK_STEP_MS || step < -CORE_CLOCK_STEP_MS;
}

struct now core_clock_now(struct core_clock *k, const struct core_clock_reading *r)
{
	struct now now;

	if (r->wall < k->wall_floor || stepped(k, r))
		k->trusted = false;
	if (!k->trusted && r->synchronised)
		core_clock_accept(k, r);
	k->wall = r->wall;
	k->wall_mono = r->mono;
	if (r->mono > k->mono) {
		k->track += r->mono - k->mono;
		k->mono = r->mono;
	}
	now.wall = r->wall;
	now.track = k->track;
	now.wall_trusted = k->trusted;
	return now;
}

void core_clock_committed(struct core_clock *k, int64_t wall)
{
	if (k->trusted && wall > k->wall_floor)
		k->wall_floor = wall;
}

void core_clock_accept(struct core_clock *k, const struct core_clock_reading *r)
{
	k->trusted = true;
	k->wall_floor = r->wall;
}
