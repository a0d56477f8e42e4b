/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_SIM_POINTS_H
#define FETTLE_TESTS_SIM_POINTS_H

#include <stdbool.h>

/*
 * Named points of the service at which a process is killed. Whoever links this links it with
 * $(crash_points) of Makefile.am: the linker leads the library's calls of some functions
 * through here (-Wl,--wrap), and no product code knows of it.
 */
#define POINTS 6

const char *point_name(int point); /* "after offer"; 0 to POINTS - 1 */
int point_find(const char *name); /* -1: there is none of that name */
/*
 * This process dies by SIGKILL when it comes to the point, having passed it so often; with
 * committed as soon as what was under way there is committed, of which nobody has heard yet.
 * point -1: at none.
 */
void points_arm(int point, long passes, bool committed);

#endif
