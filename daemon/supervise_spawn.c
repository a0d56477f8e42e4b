/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* close_range, execveat */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/supervise_internal.h"
#include "daemon/sysint.h"
#include "service/service.h"

#define HIGH_FD 64 /* above every number a child is given */
#define FD_EXE (FD_LISTEN + LISTEN_FDS_MAX) /* this program, closed by the exec */
#define PLACES (FD_EXE + 1)

/* Descriptors of one start. theirs: by the number in the child. ours: to hand on or keep. */
struct wiring {
	int theirs[PLACES];
	int parent, core_end, keys_end;
	unsigned n_listeners;
};

static void wiring_close(struct wiring *w)
{
	/* the lock and the listeners are only lent */
	static const int made[] = { FD_PARENT, FD_CONFIG, FD_CORE, FD_KEYS };

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (w->theirs[made[i]] >= 0)
			close(w->theirs[made[i]]);
	if (w->parent >= 0)
		close(w->parent);
	if (w->core_end >= 0)
		close(w->core_end);
	if (w->keys_end >= 0)
		close(w->keys_end);
}

static int pair(int type, int *theirs, int *ours, struct err *e)
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return err_set(e, ERR_IO, "socketpair: %s", strerror(errno));
	*theirs = fds[0];
	*ours = fds[1];
	return 0;
}

/* Unix sockets from systemd are the control process's, all others the front's. */
static void lend_listeners(const struct supervisor *s, enum process kind, struct wiring *w)
{
	for (unsigned i = 0; i < s->o->n_listen_fds; i++) {
		struct sockaddr_storage a;
		socklen_t n = sizeof(a);
		if (getsockname(s->o->listen_fds[i], (struct sockaddr *)&a, &n) != 0)
			continue;
		if (w->n_listeners < LISTEN_FDS_MAX &&
		    (a.ss_family == AF_UNIX) == (kind == PROCESS_CONTROL))
			w->theirs[FD_LISTEN + (int)w->n_listeners++] = s->o->listen_fds[i];
	}
}

static int wire(const struct supervisor *s, enum process kind, struct wiring *w, struct err *e)
{
	bool front = kind == PROCESS_FRONT || kind == PROCESS_CONTROL;

	memset(w, 0, sizeof(*w));
	for (size_t i = 0; i < PLACES; i++)
		w->theirs[i] = -1;
	w->parent = w->core_end = w->keys_end = -1;
	w->theirs[FD_LOCK] = s->o->lock_fd;
	w->theirs[FD_EXE] = s->o->exe_fd;
	if (pair(SOCK_SEQPACKET, &w->theirs[FD_PARENT], &w->parent, e) != 0)
		goto fail;
	w->theirs[FD_CONFIG] = config_seal(&s->cfg, &s->secrets, e);
	if (w->theirs[FD_CONFIG] < 0)
		goto fail;
	if ((front || kind == PROCESS_CHECKPOINTER) &&
	    pair(front ? SOCK_STREAM : SOCK_SEQPACKET, &w->theirs[FD_CORE], &w->core_end, e) != 0)
		goto fail;
	/* keys that come before the front, as at every start, get their channel with it */
	if ((kind == PROCESS_FRONT || (kind == PROCESS_KEYS && s->child[PROCESS_FRONT].fd >= 0)) &&
	    pair(SOCK_STREAM, &w->theirs[FD_KEYS], &w->keys_end, e) != 0)
		goto fail;
	if (front)
		lend_listeners(s, kind, w);
	return 0;
fail:
	wiring_close(w);
	return -1;
}

/* In the child: every descriptor to its number, others closed. Two steps: numbers may overlap. */
static int place_fds(const struct wiring *w)
{
	int high[PLACES];

	for (int i = FD_PARENT; i < PLACES; i++) {
		high[i] = w->theirs[i] < 0 ? -1 : fcntl(w->theirs[i], F_DUPFD, HIGH_FD);
		if (w->theirs[i] >= 0 && high[i] < 0)
			return -1;
	}
	for (int i = FD_PARENT; i < PLACES; i++) {
		if (high[i] < 0)
			(void)close(i);
		else if (dup2(high[i], i) != i)
			return -1;
	}
	return close_range(PLACES, ~0u, 0);
}

static _Noreturn void become(enum process kind, const struct wiring *w, pid_t parent)
{
	static const char *const ours[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
					    "CREDENTIALS_DIRECTORY" };
	char name[16], listeners[8], program[] = "fettled", process[] = "--process",
				     option[] = "--listeners";
	char *argv[] = { program, process, name, option, listeners, NULL };

	if (sysint_follow_parent(parent) != 0 ||
	    text_copy(name, sizeof(name), process_name(kind)) != 0 ||
	    text_format(listeners, sizeof(listeners), "%u", w->n_listeners) != 0)
		_exit(EX_OSERR);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		(void)unsetenv(ours[i]);
	if (place_fds(w) != 0 || fcntl(FD_EXE, F_SETFD, FD_CLOEXEC) != 0)
		_exit(EX_OSERR);
	fexecve(FD_EXE, argv, environ);
	_exit(EX_OSERR);
}

/* Hand the new child's other ends to the processes it talks to. */
static void introduce(struct supervisor *s, const struct child *c, struct wiring *w)
{
	const struct child *core = &s->child[PROCESS_CORE];
	const struct child *keys = &s->child[PROCESS_KEYS], *front = &s->child[PROCESS_FRONT];
	uint32_t lane = c->kind == PROCESS_CONTROL	  ? LANE_CONTROL
			: c->kind == PROCESS_CHECKPOINTER ? PEER_CHECKPOINTER
							  : LANE_NETWORK;

	if (w->core_end >= 0 && core->fd >= 0 &&
	    parent_msg_send(core->fd, PM_PEER, lane, 0, w->core_end) != 0)
		log_warn("core takes no message");
	const struct child *peer = c->kind == PROCESS_KEYS ? front : keys;
	if (w->keys_end >= 0 && peer->fd >= 0 &&
	    parent_msg_send(peer->fd, PM_PEER, 0, 0, w->keys_end) != 0)
		log_warn("%s takes no message", process_name(peer->kind));
}

int supervise_spawn(struct supervisor *s, struct child *c)
{
	struct err e = { 0 };
	struct wiring w;
	pid_t parent = getpid(), pid;

	if (wire(s, c->kind, &w, &e) != 0) {
		log_error("starting %s: %s", process_name(c->kind), e.text);
		return -1;
	}
	pid = fork();
	if (pid == 0)
		become(c->kind, &w, parent);
	if (pid < 0) {
		log_error("starting %s: %s", process_name(c->kind), strerror(errno));
		wiring_close(&w);
		return -1;
	}
	if (c->fd >= 0)
		close(c->fd);
	c->fd = w.parent;
	w.parent = -1;
	c->pid = pid;
	c->state = RUN_STARTING;
	c->since = c->heard = clock_mono_ms();
	c->pong = s->ping;
	c->starts++;
	introduce(s, c, &w);
	wiring_close(&w);
	log_info("%s started, pid %d", process_name(c->kind), (int)pid);
	return 0;
}

void supervise_stop_child(struct child *c, unsigned bodies_ms)
{
	if (c->state != RUN_UP && c->state != RUN_STARTING)
		return;
	c->state = RUN_STOPPING;
	c->since = clock_mono_ms();
	/* one that takes no message is killed when its time is over */
	(void)parent_msg_send(c->fd, PM_STOP, 0, bodies_ms, -1);
}
