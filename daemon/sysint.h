/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_SYSINT_H
#define FETTLE_DAEMON_SYSINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* What the daemon asks of Linux and systemd: notification, socket activation, rights, sandbox. */

/* Built with sanitizers, coverage or fuzzers: the sandbox is widened. */
#ifdef FETTLE_UNHARDENED
#define SYSINT_UNHARDENED true
#else
#define SYSINT_UNHARDENED false
#endif

/* sd_notify(3) without libsystemd. 0 also when nobody listens ($NOTIFY_SOCKET unset). */
int sysint_notify(const char *state);
void sysint_notify_reloading(void);
/* Watchdog period in microseconds from $WATCHDOG_USEC if $WATCHDOG_PID is this process; 0: none. */
uint64_t sysint_watchdog_us(void);
/* The kernel says so (adjtimex(2)), or systemd-timesyncd where a unit's sandbox hides that call. */
bool sysint_clock_synchronised(void);
/* Sockets from systemd (sd_listen_fds(3)), moved to CLOEXEC descriptors in fds; how many. */
unsigned sysint_listen_fds(int *fds, unsigned limit);

/* Become user for good, with its groups; nothing to do when already it. Refuses root. */
int sysint_drop_to(const char *user, struct err *e);
/* As root: make user the owner of a path just made; otherwise nothing to do. */
int sysint_give_to(const char *path, const char *user, struct err *e);
/* Every process: no new privileges, not dumpable, no core files. */
int sysint_harden(struct err *e);
/* Die with the parent. -1 when the parent is not parent any more. */
int sysint_follow_parent(pid_t parent);
/* Raise the soft limit of descriptors to the hard one. */
void sysint_raise_nofile(void);

/*
 * The sandboxes. Without a filter no child runs: -1 means exit.
 * front: a list of what is allowed, everything else fails with EPERM or ends the process. To be
 *   called when all sockets are open and before the first byte from a network is read.
 * core, keys: no sockets, no exec, no ptrace; files only below dir where the kernel has Landlock
 *   (*landlocked says; write false: reading alone; write true: and the time zones, to be read).
 */
int sysint_sandbox_front(struct err *e);
int sysint_sandbox_files(const char *dir, bool write, bool *landlocked, struct err *e);
/* The seccomp half of sysint_sandbox_files(). */
int sysint_filter_files(struct err *e);

#endif
