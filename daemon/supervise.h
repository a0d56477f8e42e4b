/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_SUPERVISE_H
#define FETTLE_DAEMON_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/config.h"

/*
 * The parent starts `fettled --process NAME [--listeners N]` again from its own
 * executable for each child. A child finds its descriptors at these numbers;
 * everything above the last one is closed before the exec.
 */
enum child_fd {
	FD_PARENT = 3, /* channel to the parent: struct parent_msg over SOCK_SEQPACKET */
	FD_CONFIG = 4, /* sealed memfd: config_unseal() */
	FD_CORE = 5, /* front, control, checkpointer: socket to the core; else closed */
	FD_KEYS = 6, /* front, keys: the stream socket between them; else closed */
	FD_LOCK = 7, /* the locked file: holding it open is all */
	FD_LISTEN = 8, /* front, control: sockets from systemd that are theirs, N of them */
};
#define LISTEN_FDS_MAX 8

enum process {
	PROCESS_CORE,
	PROCESS_CHECKPOINTER,
	PROCESS_KEYS,
	PROCESS_CONTROL,
	PROCESS_FRONT,
	PROCESS_COUNT
};
const char *process_name(enum process p);
int process_parse(const char *word, enum process *out);

/* One message is one datagram; a descriptor may ride on it. */
enum parent_msg_type {
	/* parent -> child */
	PM_PING = 1, /* value: answer PM_PONG with it; arg 1: the wall clock is synchronised */
	PM_CONFIG, /* fd: a memfd to prepare; answer PM_PREPARED */
	PM_SWITCH, /* the prepared configuration is in force */
	PM_FORGET, /* the prepared configuration is not: somebody refused */
	PM_STOP, /* finish what is under way and exit 0; value: ms for bodies that move */
	/* fd: core: a new front's (arg: its lane) or checkpointer's; keys, front: the other */
	PM_PEER,
	PM_DUMP, /* write the state to the log */
	/* child -> parent */
	PM_READY = 32,
	PM_PONG,
	PM_PREPARED, /* arg: 1 ready to switch, 0 refused */
};

#define PEER_CHECKPOINTER 16 /* no lane */

struct parent_msg {
	uint32_t type, arg;
	uint64_t value;
};

/* 0, or -1 (the other end is gone or does not read). fd -1: none; it stays the caller's. */
int parent_msg_send(int sock, enum parent_msg_type type, uint32_t arg, uint64_t value, int fd);
/* 1 and *m, *fd (-1 none; the caller's to close), 0 nothing now, -1 closed or no message. */
int parent_msg_recv(int sock, struct parent_msg *m, int *fd);

/* ---- the child's side (child.c) ---- */

enum child_event_type {
	CHILD_STOP, /* finish and exit 0 within 3 seconds */
	CHILD_PEER, /* fd is yours: see PM_PEER; arg is the lane */
	CHILD_SWITCH, /* cfg and secrets of the link are new */
	CHILD_DUMP,
	CHILD_GONE, /* the parent is no more: exit */
};

struct child_event {
	enum child_event_type type;
	int fd;
	uint32_t arg;
};

/* What every child has. Pings and the preparing of configurations are answered inside. */
struct child_link {
	int fd; /* poll it for reading, then child_link_next until 0 */
	struct config cfg, next_cfg;
	struct secrets secrets, next_secrets;
	bool prepared;
	bool clock_synchronised; /* as the parent last saw it */
};

/* 1 and *ev, 0 nothing now. */
int child_link_next(struct child_link *l, struct child_event *ev);
int child_link_ready(struct child_link *l); /* say READY; 0 or -1 */

/* The body of `fettled --process`: harden, read FD_CONFIG, run, return the exit status. */
int child_run(enum process p, unsigned n_listeners);

/* ---- the parent's side (supervise.c) ---- */

struct supervise_options {
	const char *config_path;
	int lock_fd;
	int exe_fd; /* this program, O_PATH */
	int listen_fds[LISTEN_FDS_MAX]; /* from systemd */
	unsigned n_listen_fds;
};
/* Run the service until it ends; takes cfg and secrets. Returns the exit status (sysexits(3)). */
int supervise_run(const struct supervise_options *o, const struct config *cfg,
		  struct secrets *secrets);

#endif
