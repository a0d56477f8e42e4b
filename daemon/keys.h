/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_KEYS_H
#define FETTLE_DAEMON_KEYS_H

#include "daemon/supervise.h"

/*
 * The keys process: answers the front's questions for the key of a PSK identity
 * from a read-only connection. peer_fd is the socket to the front, taken over.
 * Returns the exit status.
 */
int keys_main(struct child_link *link, int peer_fd);

#endif
