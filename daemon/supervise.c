/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/supervise_internal.h"
#include "daemon/sysint.h"

static void enter(struct supervisor *s, enum run_phase phase)
{
	s->phase = phase;
	s->phase_since = clock_mono_ms();
}

bool supervise_all_up(const struct supervisor *s)
{
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		if (s->child[i].state != RUN_UP)
			return false;
	return true;
}

static void kill_child(const struct child *c)
{
	if (c->state != RUN_DOWN)
		(void)kill(c->pid, SIGKILL);
}

/* ---- stopping ---- */

static void stop(struct supervisor *s, int status)
{
	if (s->phase == PHASE_STOPPING) {
		for (unsigned i = 0; i < PROCESS_COUNT; i++)
			kill_child(&s->child[i]); /* asked twice: at once */
		return;
	}
	s->status = status;
	enter(s, PHASE_STOPPING);
	(void)sysint_notify("STOPPING=1");
	log_notice("stopping");
	supervise_stop_child(&s->child[PROCESS_FRONT], STOP_BODIES_MS);
	supervise_stop_child(&s->child[PROCESS_CONTROL], STOP_BODIES_MS);
}

/* Fronts first, so that the batch under way is answered; then the core, which checkpoints. */
static void stop_tick(struct supervisor *s, int64_t now)
{
	struct child *front = &s->child[PROCESS_FRONT], *control = &s->child[PROCESS_CONTROL];
	struct child *keys = &s->child[PROCESS_KEYS], *core = &s->child[PROCESS_CORE];
	struct child *checkpointer = &s->child[PROCESS_CHECKPOINTER];
	int64_t passed = now - s->phase_since;

	if (passed >= STOP_FRONTS_MS) {
		kill_child(front);
		kill_child(control);
	}
	if (passed >= STOP_ALL_MS) {
		kill_child(keys);
		kill_child(checkpointer);
		kill_child(core);
	}
	if (front->state != RUN_DOWN || control->state != RUN_DOWN)
		return;
	supervise_stop_child(keys, 0);
	supervise_stop_child(checkpointer, 0);
	if (keys->state == RUN_DOWN && checkpointer->state == RUN_DOWN)
		supervise_stop_child(core, 0);
	if (keys->state == RUN_DOWN && checkpointer->state == RUN_DOWN && core->state == RUN_DOWN)
		enter(s, PHASE_OVER);
}

/* ---- deaths ---- */

static int status_of(int wait_status)
{
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	return EX_SOFTWARE;
}

static void log_death(const struct child *c, int status)
{
	const char *name = process_name(c->kind);

	if (WIFSIGNALED(status))
		log_error("%s, pid %d, was ended by signal %d (%s)%s", name, (int)c->pid,
			  WTERMSIG(status), strsignal(WTERMSIG(status)),
			  WTERMSIG(status) == SIGSYS ? ": it made a call its sandbox forbids" : "");
	else if (c->state == RUN_STOPPING && WEXITSTATUS(status) == 0)
		log_info("%s, pid %d, ended", name, (int)c->pid);
	else
		log_error("%s, pid %d, exited with status %d", name, (int)c->pid,
			  WEXITSTATUS(status));
}

/* When to start it again: at once where we replaced it, else after a back-off that doubles. */
static void plan_respawn(struct child *c, int64_t now)
{
	if (c->state == RUN_STOPPING) {
		c->respawn_at = now;
		return;
	}
	if (c->state == RUN_UP && now - c->since >= BACKOFF_FORGET_MS)
		c->backoff = 0;
	c->backoff = c->backoff == 0 ? BACKOFF_FIRST_MS : c->backoff * 2;
	if (c->backoff > BACKOFF_MOST_MS)
		c->backoff = BACKOFF_MOST_MS;
	c->respawn_at = now + c->backoff;
}

static void child_died(struct supervisor *s, struct child *c, int wait_status)
{
	int64_t now = clock_mono_ms();
	int status = status_of(wait_status);
	bool told = c->state == RUN_STOPPING;

	log_death(c, wait_status);
	plan_respawn(c, now);
	c->state = RUN_DOWN;
	c->since = now;
	c->pid = 0;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	reload_child_gone(s, c);
	if (s->phase == PHASE_STOPPING) {
		if (c->kind == PROCESS_CORE && status != 0 && s->status == 0)
			s->status = status;
		return;
	}
	/* without its core the service is over; what never came up is told, not tried again */
	if (c->kind == PROCESS_CORE || (s->phase == PHASE_STARTING && !told))
		stop(s, status ? status : EX_SOFTWARE);
}

static void reap(struct supervisor *s)
{
	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		struct child *c = &s->child[i];
		int status;
		if (c->state != RUN_DOWN && waitpid(c->pid, &status, WNOHANG) == c->pid)
			child_died(s, c, status);
	}
}

/* ---- starting ---- */

static void start_children(struct supervisor *s, int64_t now)
{
	/* keys and checkpointer open the database that the core made; the fronts need both */
	static const enum process order[] = { PROCESS_CORE, PROCESS_CHECKPOINTER, PROCESS_KEYS,
					      PROCESS_CONTROL, PROCESS_FRONT };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct child *c = &s->child[order[i]];
		if (c->state == RUN_DOWN && now >= c->respawn_at && supervise_spawn(s, c) != 0) {
			plan_respawn(c, now);
			if (s->phase == PHASE_STARTING)
				stop(s, EX_OSERR);
			return;
		}
		/* a front also starts beside a keys process that is away for a moment */
		if (c->state != RUN_UP && (c->kind == PROCESS_CORE || s->phase == PHASE_STARTING))
			return;
	}
}

static void announce(struct supervisor *s)
{
	if (s->phase != PHASE_STARTING || !supervise_all_up(s))
		return;
	enter(s, PHASE_RUNNING);
	(void)sysint_notify("READY=1\nSTATUS=serving");
	log_notice("ready");
}

/* ---- life signs ---- */

static void ping(struct supervisor *s, int64_t now)
{
	if (now < s->ping_at)
		return;
	s->ping_at = now + s->ping_period;
	s->ping++;
	s->ping_complete = false;
	bool synchronised = sysint_clock_synchronised();
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		if (s->child[i].fd >= 0)
			(void)parent_msg_send(s->child[i].fd, PM_PING, synchronised, s->ping, -1);
}

static void pong(struct supervisor *s, struct child *c, uint64_t number)
{
	c->pong = number;
	c->heard = clock_mono_ms();
	if (s->ping_complete || !supervise_all_up(s))
		return;
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		if (s->child[i].pong != s->ping)
			return;
	s->ping_complete = true;
	if (s->watchdog)
		(void)sysint_notify("WATCHDOG=1");
}

static void kill_silent(struct supervisor *s, int64_t now)
{
	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		struct child *c = &s->child[i];
		bool silent = c->state == RUN_UP && now - c->heard >= SILENT_MS;
		bool slow = c->state == RUN_STARTING && now - c->since >= START_MS;
		bool stuck = c->state == RUN_STOPPING && now - c->since >= STOP_FRONTS_MS &&
			     s->phase != PHASE_STOPPING;
		if (!silent && !slow && !stuck)
			continue;
		log_error("%s, pid %d, does not answer", process_name(c->kind), (int)c->pid);
		kill_child(c);
		c->since = c->heard = now; /* once a period, not once a turn */
	}
}

/* ---- what children and users say ---- */

static void child_says(struct supervisor *s, struct child *c, const struct parent_msg *m)
{
	if (m->type == PM_READY && c->state == RUN_STARTING) {
		c->state = RUN_UP;
		c->since = c->heard = clock_mono_ms();
		announce(s);
	} else if (m->type == PM_PONG) {
		pong(s, c, m->value);
	} else if (m->type == PM_PREPARED) {
		reload_answer(s, c, m);
	}
}

static void child_io(struct supervisor *s, struct child *c)
{
	struct parent_msg m;
	int fd, rc = 0;

	/* a bound on each turn: a captured front must not keep the parent busy */
	for (int i = 0; i < 16 && c->fd >= 0 && (rc = parent_msg_recv(c->fd, &m, &fd)) > 0; i++) {
		if (fd >= 0)
			close(fd);
		child_says(s, c, &m);
	}
	if (rc < 0 && c->fd >= 0) {
		close(c->fd);
		c->fd = -1;
		kill_child(c); /* it cannot be talked to any more; SIGCHLD tells the rest */
	}
}

static void dump(const struct supervisor *s)
{
	static const char *const states[] = {
		[RUN_DOWN] = "down",
		[RUN_STARTING] = "starting",
		[RUN_UP] = "up",
		[RUN_STOPPING] = "stopping",
	};
	int64_t now = clock_mono_ms();

	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		const struct child *c = &s->child[i];
		log_notice("state: process=%s pid=%d is=%s since_ms=%" PRId64
			   " starts=%u heard_ms=%" PRId64,
			   process_name(c->kind), (int)c->pid, states[c->state], now - c->since,
			   c->starts, now - c->heard);
		if (c->fd >= 0)
			(void)parent_msg_send(c->fd, PM_DUMP, 0, 0, -1);
	}
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			stop(s, 0);
		else if (info.ssi_signo == SIGHUP)
			reload_begin(s);
		else if (info.ssi_signo == SIGUSR1)
			dump(s);
		else if (info.ssi_signo == SIGCHLD)
			reap(s);
	}
}

/* ---- the loop ---- */

static void tick(struct supervisor *s)
{
	int64_t now = clock_mono_ms();

	if (s->phase == PHASE_STOPPING) {
		stop_tick(s, now);
		return;
	}
	start_children(s, now);
	ping(s, now);
	kill_silent(s, now);
	reload_tick(s, now);
}

/* What is timed is looked at 50 times a second while something is under way, else once. */
static int turn_ms(const struct supervisor *s)
{
	bool calm =
		s->phase == PHASE_RUNNING && s->reload.state == RELOAD_IDLE && supervise_all_up(s);

	if (!calm)
		return 20;
	return s->ping_period < 2000 ? (int)(s->ping_period / 2) : 1000;
}

static void turn(struct supervisor *s)
{
	struct pollfd p[1 + PROCESS_COUNT];

	p[0] = (struct pollfd){ .fd = s->signal_fd, .events = POLLIN };
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		p[1 + i] = (struct pollfd){ .fd = s->child[i].fd, .events = POLLIN };
	if (poll(p, 1 + PROCESS_COUNT, turn_ms(s)) < 0 && errno != EINTR)
		log_error("poll: %s", strerror(errno));
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		if (p[1 + i].fd >= 0 && p[1 + i].revents)
			child_io(s, &s->child[i]);
	take_signals(s);
	tick(s);
}

static int block_signals(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_set(e, ERR_INTERNAL, "signals: %s", strerror(errno));
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd : err_set(e, ERR_INTERNAL, "signalfd: %s", strerror(errno));
}

int supervise_run(const struct supervise_options *o, const struct config *cfg,
		  struct secrets *secrets)
{
	static struct supervisor s; /* as long as the process, and too large for a stack */
	struct err e = { 0 };
	uint64_t watchdog_us = sysint_watchdog_us();

	s = (struct supervisor){ .o = o, .cfg = *cfg, .secrets = *secrets };
	memset(secrets, 0, sizeof(*secrets));
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		s.child[i] = (struct child){ .kind = (enum process)i, .fd = -1 };
	s.watchdog = watchdog_us > 0;
	s.ping_period = PING_PERIOD_MS;
	if (s.watchdog && (int64_t)(watchdog_us / 4000) < s.ping_period)
		s.ping_period = (int64_t)(watchdog_us / 4000) + 1;
	s.signal_fd = block_signals(&e);
	if (s.signal_fd < 0) {
		log_error("%s", e.text);
		return EX_OSERR;
	}
	enter(&s, PHASE_STARTING);
	while (s.phase != PHASE_OVER)
		turn(&s);
	secrets_wipe(&s.secrets);
	close(s.signal_fd);
	log_notice("stopped, status %d", s.status);
	return s.status;
}
