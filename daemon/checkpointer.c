/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/checkpointer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/sysint.h"
#include "store/store.h"

struct checkpointer {
	struct child_link *link;
	struct store *store;
	int fd; /* -1: no core */
	uint64_t copies, failures;
	bool stopping;
	int status;
};

static struct checkpoint_answer carry_out(struct checkpointer *c, uint32_t number)
{
	struct checkpoint_answer a = { .number = number, .outcome = CHECKPOINT_DONE };
	struct wal_copied copied;
	struct err e = { 0 };

	c->copies++;
	if (store_wal_copy(c->store, &copied, &e) != 0) {
		c->failures++;
		log_warn("checkpoint: %s", e.text);
		a.outcome = store_must_stop(c->store) ? CHECKPOINT_LOST : CHECKPOINT_FAILED;
		return a;
	}
	a.log = copied.log;
	a.done = copied.done;
	return a;
}

static void core_event(struct checkpointer *c)
{
	uint32_t number = 0;
	ssize_t n = recv(c->fd, &number, sizeof(number), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof(number)) {
		struct checkpoint_answer a = carry_out(c, number);
		if (send(c->fd, &a, sizeof(a), MSG_NOSIGNAL) == (ssize_t)sizeof(a))
			return;
	}
	/* the core ended, and all of us with it; the parent sees to that */
	close(c->fd);
	c->fd = -1;
}

static void parent_event(struct checkpointer *c, const struct child_event *ev)
{
	switch (ev->type) {
	case CHILD_STOP:
		c->stopping = true;
		break;
	case CHILD_PEER:
		close(ev->fd); /* a core never comes a second time */
		break;
	case CHILD_SWITCH:
		break;
	case CHILD_DUMP:
		log_notice("state: copies=%" PRIu64 " failures=%" PRIu64, c->copies, c->failures);
		break;
	case CHILD_GONE:
		c->stopping = true;
		c->status = EX_UNAVAILABLE;
		break;
	}
}

static void turn(struct checkpointer *c)
{
	struct pollfd p[2] = {
		{ .fd = c->link->fd, .events = POLLIN },
		{ .fd = c->fd, .events = POLLIN },
	};
	struct child_event ev;

	if (poll(p, 2, -1) < 0) {
		if (errno == EINTR)
			return;
		log_error("poll: %s", strerror(errno));
		c->stopping = true;
		c->status = EX_OSERR;
		return;
	}
	if (c->fd >= 0 && p[1].revents)
		core_event(c);
	while (p[0].revents && !c->stopping && child_link_next(c->link, &ev) > 0)
		parent_event(c, &ev);
}

static int start(struct checkpointer *c, struct err *e)
{
	const char *dir = c->link->cfg.server.data_dir;
	struct store_options o = { .dir = dir };
	bool landlocked;

	if (store_open(&o, &c->store, e) != 0)
		return -1;
	return sysint_sandbox_files(dir, true, &landlocked, e);
}

int checkpointer_main(struct child_link *link, int core_fd)
{
	struct checkpointer c = { .link = link, .fd = core_fd };
	struct err e = { 0 };

	if (start(&c, &e) != 0) {
		log_error("start: %s", e.text);
		c.status = EX_IOERR;
	} else if (child_link_ready(link) != 0) {
		c.status = EX_UNAVAILABLE;
	}
	while (c.status == 0 && !c.stopping)
		turn(&c);
	if (c.fd >= 0)
		close(c.fd);
	store_close(c.store);
	return c.status;
}
