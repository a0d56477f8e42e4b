/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_FRONT_LOOP_H
#define FETTLE_DAEMON_FRONT_LOOP_H

#include "daemon/supervise.h"

/*
 * The front and control processes: open the listeners, close the sandbox behind them, serve until
 * told to stop. core_fd and keys_fd (-1: none) are taken over; listeners are sockets from systemd.
 * Returns the exit status.
 */
int front_main(struct child_link *link, int core_fd, int keys_fd, bool control,
	       const int *listeners, unsigned n_listeners);

/* front_listen.c: the HTTP adapter's sockets, from systemd where it has them. */
int front_listen_network(const struct config *cfg, const int *given, unsigned n_given,
			 struct http_options *o, struct err *e);
int front_listen_control(const struct config *cfg, const int *given, unsigned n_given,
			 struct http_options *o, struct err *e);

#endif
