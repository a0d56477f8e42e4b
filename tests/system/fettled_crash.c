/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * fettled whose core dies by SIGKILL at a named point (tests/sim/points.h): FETTLE_POINT is its
 * name, FETTLE_PASSES how often it is passed before, FETTLE_COMMITTED=yes waits for the commit.
 * Without FETTLE_POINT it is fettled. raise() is tgkill, which the core's sandbox lets through.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon/core_loop.h"
#include "tests/sim/points.h"

static int arm(const char *name)
{
	const char *passes = getenv("FETTLE_PASSES"), *committed = getenv("FETTLE_COMMITTED");
	int point = point_find(name);
	int64_t n = 0;

	if (point < 0 || (passes && text_i64(slice_str(passes), &n) != 0))
		return -1;
	points_arm(point, (long)n, committed && strcmp(committed, "yes") == 0);
	return 0;
}

int __real_core_main(struct child_link *link);
int __wrap_core_main(struct child_link *link);
int __wrap_core_main(struct child_link *link)
{
	const char *name = getenv("FETTLE_POINT");

	if (name && arm(name) != 0) {
		log_error("FETTLE_POINT or FETTLE_PASSES: there is no such point");
		return EX_USAGE;
	}
	return __real_core_main(link);
}
