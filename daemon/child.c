/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/checkpointer.h"
#include "daemon/core_loop.h"
#include "daemon/front_loop.h"
#include "daemon/keys.h"
#include "daemon/supervise.h"
#include "daemon/sysint.h"

/* ---- the channel to the parent ---- */

static void forget(struct child_link *l)
{
	if (l->prepared)
		secrets_wipe(&l->next_secrets);
	l->prepared = false;
}

static void prepare(struct child_link *l, int fd, uint64_t value)
{
	struct err e = { 0 };

	forget(l);
	l->prepared = fd >= 0 && config_unseal(fd, &l->next_cfg, &l->next_secrets, &e) == 0;
	if (!l->prepared)
		log_warn("reload: %s",
			 e.text[0] ? e.text : "no configuration came with the message");
	(void)parent_msg_send(l->fd, PM_PREPARED, l->prepared, value, -1);
}

static bool take_over(struct child_link *l)
{
	if (!l->prepared)
		return false;
	secrets_wipe(&l->secrets);
	l->cfg = l->next_cfg;
	l->secrets = l->next_secrets;
	memset(&l->next_secrets, 0, sizeof(l->next_secrets));
	l->prepared = false;
	log_set_level(l->cfg.server.log_level);
	return true;
}

static int event(struct child_event *ev, enum child_event_type type)
{
	ev->type = type;
	return 1;
}

/* 1: ev is for the process; 0: dealt with here. Takes fd. */
static int handle(struct child_link *l, const struct parent_msg *m, int fd, struct child_event *ev)
{
	bool keep_fd = false;
	int rc = 0;

	switch ((enum parent_msg_type)m->type) {
	case PM_PING:
		l->clock_synchronised = m->arg == 1;
		(void)parent_msg_send(l->fd, PM_PONG, 0, m->value, -1);
		break;
	case PM_CONFIG:
		prepare(l, fd, m->value);
		break;
	case PM_SWITCH:
		rc = take_over(l) ? event(ev, CHILD_SWITCH) : 0;
		break;
	case PM_FORGET:
		forget(l);
		break;
	case PM_STOP:
		ev->arg = m->value < UINT32_MAX ? (uint32_t)m->value : UINT32_MAX;
		rc = event(ev, CHILD_STOP);
		break;
	case PM_PEER:
		ev->fd = fd;
		ev->arg = m->arg;
		keep_fd = true;
		rc = fd >= 0 ? event(ev, CHILD_PEER) : 0;
		break;
	case PM_DUMP:
		rc = event(ev, CHILD_DUMP);
		break;
	case PM_READY:
	case PM_PONG:
	case PM_PREPARED:
		break; /* only children say these */
	}
	if (fd >= 0 && !keep_fd)
		close(fd);
	return rc;
}

int child_link_next(struct child_link *l, struct child_event *ev)
{
	struct parent_msg m;
	int fd, rc;

	ev->fd = -1;
	while ((rc = parent_msg_recv(l->fd, &m, &fd)) > 0)
		if (handle(l, &m, fd, ev))
			return 1;
	return rc < 0 ? event(ev, CHILD_GONE) : 0;
}

int child_link_ready(struct child_link *l)
{
	return parent_msg_send(l->fd, PM_READY, 0, 0, -1);
}

/* ---- the start of a child ---- */

/* The parent's signals are the parent's: a terminal's ^C goes to the whole group. */
static void settle_signals(void)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		(void)signal(ours[i], SIG_IGN);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool given(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool fds_in_place(enum process p, unsigned n_listeners)
{
	bool front = p == PROCESS_FRONT || p == PROCESS_CONTROL;

	for (int fd = FD_PARENT; fd < FD_LISTEN + (int)n_listeners; fd++) {
		bool wanted = fd != FD_CORE || front || p == PROCESS_CHECKPOINTER;
		if (fd == FD_KEYS)
			wanted = p == PROCESS_FRONT || given(FD_KEYS);
		if (wanted && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return false;
	}
	return true;
}

static int run_front(struct child_link *l, enum process p, unsigned n_listeners)
{
	int listeners[LISTEN_FDS_MAX];

	for (unsigned i = 0; i < n_listeners; i++)
		listeners[i] = FD_LISTEN + (int)i;
	return front_main(l, FD_CORE, p == PROCESS_FRONT ? FD_KEYS : -1, p == PROCESS_CONTROL,
			  listeners, n_listeners);
}

int child_run(enum process p, unsigned n_listeners)
{
	static struct child_link link = { .fd = FD_PARENT }; /* lives as long as the process */
	struct err e = { 0 };
	int rc = EX_SOFTWARE, keys_fd = given(FD_KEYS) ? FD_KEYS : -1;

	settle_signals();
	log_init(process_name(p), LOG_INFO_);
	if (n_listeners > LISTEN_FDS_MAX || !fds_in_place(p, n_listeners)) {
		log_error("--process is the daemon's own business: start fettled without it");
		return EX_USAGE;
	}
	if (sysint_harden(&e) != 0 || config_unseal(FD_CONFIG, &link.cfg, &link.secrets, &e) != 0) {
		log_error("%s", e.text);
		return EX_OSERR;
	}
	close(FD_CONFIG);
	log_set_level(link.cfg.server.log_level);
	switch (p) {
	case PROCESS_CORE:
		rc = core_main(&link);
		break;
	case PROCESS_CHECKPOINTER:
		rc = checkpointer_main(&link, FD_CORE);
		break;
	case PROCESS_KEYS:
		rc = keys_main(&link, keys_fd);
		break;
	case PROCESS_CONTROL:
	case PROCESS_FRONT:
		rc = run_front(&link, p, n_listeners);
		break;
	case PROCESS_COUNT:
		break;
	}
	forget(&link);
	secrets_wipe(&link.secrets);
	return rc;
}
