/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_CORE_LOOP_H
#define FETTLE_DAEMON_CORE_LOOP_H

#include "daemon/supervise.h"

/* The core process: opens the store, serves the two lanes until told to stop; the exit status. */
int core_main(struct child_link *link);

#endif
