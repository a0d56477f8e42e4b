/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_CHECKPOINTER_H
#define FETTLE_DAEMON_CHECKPOINTER_H

#include "daemon/supervise.h"

/*
 * The checkpointer process: copies the database's log into the database when the core asks for
 * it, so that the core, which serves everyone, does not wait for the disk meanwhile. It has the
 * core's rights to files and no say. Each question is one datagram, its number; so is the answer.
 */
enum checkpoint_outcome {
	CHECKPOINT_DONE,
	CHECKPOINT_FAILED, /* for now: nothing is lost, the log only grows */
	CHECKPOINT_LOST, /* a sync failed: nothing may be acknowledged any more */
};
struct checkpoint_answer {
	uint32_t number;
	uint32_t outcome; /* enum checkpoint_outcome */
	int32_t log, done; /* struct wal_copied */
};

/* core_fd is the socket to the core, taken over. Returns the exit status. */
int checkpointer_main(struct child_link *link, int core_fd);

#endif
