/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/checkpointer.h"
#include "daemon/core_internal.h"

/*
 * Who copies the log, and when. The checkpointer does, while the core serves: so a disk that
 * stands still for a moment keeps waiting only those whose writes it holds. Without one, and while
 * a new one is on its way, the core does it by itself: the database is the same either way.
 */

static void take(struct core *c, const struct checkpoint_answer *a, int64_t now)
{
	struct core_checkpointer *cp = &c->checkpointer;

	cp->asked = false;
	switch ((enum checkpoint_outcome)a->outcome) {
	case CHECKPOINT_DONE:
		/* else each answer would lead to the next question at once */
		if (!store_wal_copied(c->store,
				      &(struct wal_copied){ .log = a->log, .done = a->done }))
			cp->retry_at = now + CORE_RETRY_MS;
		break;
	case CHECKPOINT_LOST:
		store_wal_lost(c->store);
		break;
	case CHECKPOINT_FAILED:
		cp->retry_at = now + CORE_RETRY_MS;
		break;
	}
}

static void hear(struct core *c, int64_t now)
{
	struct core_checkpointer *cp = &c->checkpointer;
	struct checkpoint_answer a;
	ssize_t n = recv(cp->fd, &a, sizeof(a), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof(a) && cp->asked && a.number == cp->number &&
	    a.outcome <= CHECKPOINT_LOST)
		take(c, &a, now);
	else
		cp->gone = true;
}

void core_checkpointer_leave(struct core *c)
{
	struct core_checkpointer *cp = &c->checkpointer;

	/* its answer may have come with its end */
	if (cp->asked)
		hear(c, clock_mono_ms());
	if (cp->asked)
		store_wal_left(c->store);
	if (cp->fd >= 0)
		close(cp->fd);
	*cp = (struct core_checkpointer){ .fd = -1 };
	if (c->store)
		store_wal_elsewhere(c->store, false);
}

void core_checkpointer_join(struct core *c, int fd)
{
	core_checkpointer_leave(c);
	c->checkpointer.fd = fd;
	store_wal_elsewhere(c->store, true);
}

static void ask(struct core_checkpointer *cp)
{
	cp->number++;
	/* a send that fails means that it is gone: the next turn hears of it */
	cp->asked = send(cp->fd, &cp->number, sizeof(cp->number), MSG_NOSIGNAL | MSG_DONTWAIT) ==
		    (ssize_t)sizeof(cp->number);
}

/*
 * While somebody writes the log is never wholly copied, and grows. Once it is full jobs wait
 * (core_jobs_wait), it is copied once more, and what came in meanwhile, the requests of that
 * moment, the core copies itself: then it starts over. If it cannot, jobs go on.
 */
static void ask_when_due(struct core *c, bool idle)
{
	struct core_checkpointer *cp = &c->checkpointer;
	bool full = store_wal_full(c->store);

	if (full && cp->was_full) {
		(void)store_checkpoint(c->store, true);
		cp->was_full = false;
	} else if (store_wal_due(c->store, idle ? CORE_IDLE_PAGES : CORE_COPY_PAGES)) {
		cp->was_full = full;
		ask(cp);
	}
}

static void by_itself(struct core *c, bool idle)
{
	/* at ease before it must be: the next burst then finds the log empty */
	if (store_checkpoint(c->store, false) >= CORE_IDLE_PAGES && idle)
		(void)store_checkpoint(c->store, true);
}

bool core_jobs_wait(const struct core *c)
{
	return c->checkpointer.asked && store_wal_full(c->store);
}

int64_t core_checkpoint(struct core *c, int64_t now)
{
	struct core_checkpointer *cp = &c->checkpointer;
	int64_t began = clock_mono_us(), took;
	bool idle = now - c->batch_at >= CORE_IDLE_MS;

	if (cp->fd >= 0)
		hear(c, now);
	if (store_must_stop(c->store))
		return 0;
	if (cp->fd >= 0 && !cp->gone && !cp->asked && now >= cp->retry_at)
		ask_when_due(c, idle);
	by_itself(c, idle);
	took = clock_mono_us() - began;
	if (took > CORE_SLOW_COMMIT_US)
		log_warn("checkpoint took ms=%" PRId64 ": the disk is slow", took / 1000);
	return took;
}
