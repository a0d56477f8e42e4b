/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/core_loop.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/core_internal.h"

struct loop {
	struct core core;
	struct event_base *base;
	struct event *parent, *timer;
	struct event *readable[LANE_COUNT], *writable[LANE_COUNT];
	struct event *checkpointer;
};

/* ---- lanes ---- */

static void lane_close(struct loop *lp, struct core_lane *l)
{
	struct core *c = &lp->core;

	if (lp->readable[l->lane])
		event_free(lp->readable[l->lane]);
	if (lp->writable[l->lane])
		event_free(lp->writable[l->lane]);
	lp->readable[l->lane] = lp->writable[l->lane] = NULL;
	channel_free(l->ch);
	l->ch = NULL;
	l->greeted = l->readable = l->more = l->broken = false;
	if (l->lane == LANE_NETWORK)
		memset(c->stats.front, 0, sizeof(c->stats.front));
	object_set_clear(&l->objects);
	core_upload_reset(l);
	service_lane_reset(c->service, l->lane);
	if (l->lane == LANE_NETWORK) {
		service_calls_lost(c->service);
		c->schedule_track = c->now.track > 0 ? c->now.track : 1;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct core_lane *l = ctx;

	(void)fd;
	(void)what;
	l->readable = true;
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx; /* waking up is all: the turn flushes */
}

/* The parent brings a new front's socket: the old one's sessions, grants and uploads end. */
static void lane_open(struct loop *lp, struct core_lane *l, int fd)
{
	struct err e = { 0 };

	if (l->ch)
		lane_close(lp, l);
	if (channel_new(fd, CORE_OUT_MAX, &l->ch, &e) != 0) {
		close(fd);
		log_error("lane %d: %s", (int)l->lane, e.text);
		return;
	}
	lp->readable[l->lane] =
		event_new(lp->base, channel_fd(l->ch), EV_READ | EV_PERSIST, on_readable, l);
	lp->writable[l->lane] = event_new(lp->base, channel_fd(l->ch), EV_WRITE, on_writable, l);
	if (!lp->readable[l->lane] || !lp->writable[l->lane] ||
	    event_add(lp->readable[l->lane], NULL) != 0) {
		log_error("lane %d: no memory", (int)l->lane);
		lane_close(lp, l);
	}
}

/* A front says which lane it thinks it is: it must be the one its socket is for. */
static int greet(struct core_lane *l, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint8_t lane = rd_u8(&r);
	uint32_t pid = rd_u32(&r);

	if (!rd_done(&r) || lane != l->lane || l->greeted)
		return err_set(e, ERR_FORBIDDEN, "forged greeting: lane %u on lane %d", lane,
			       (int)l->lane);
	l->greeted = true;
	log_debug("lane %d: front is pid %u", (int)l->lane, pid);
	ipc_end(channel_out(l->ch), ipc_begin(channel_out(l->ch), FRAME_READY));
	return 0;
}

/* For show only: nothing is decided by what a front counts. */
static int take_figures(struct core *c, const struct core_lane *l, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint64_t v[FIGURE_COUNT];
	uint8_t n = rd_u8(&r);

	for (unsigned i = 0; i < FIGURE_COUNT; i++)
		v[i] = rd_u64(&r);
	if (!rd_done(&r) || n != FIGURE_COUNT)
		return err_set(e, ERR_MALFORMED, "figures");
	if (l->lane == LANE_NETWORK)
		memcpy(c->stats.front, v, sizeof(c->stats.front));
	return 0;
}

static int take_frame(struct core *c, struct core_lane *l, enum frame_type t, struct slice body,
		      struct err *e)
{
	if (t == FRAME_HELLO)
		return greet(l, body, e);
	if (!l->greeted)
		return err_set(e, ERR_MALFORMED, "frame %d before the greeting", (int)t);
	if (t == FRAME_BATCH)
		return core_batch_run(c, l, body, e);
	if (t >= FRAME_UPLOAD_OPEN && t <= FRAME_UPLOAD_ABORT)
		return core_upload_frame(c, l, t, body, e);
	if (t == FRAME_FIGURES)
		return take_figures(c, l, body, e);
	if (t == FRAME_PONG && body.n == 0)
		return 0;
	return err_set(e, ERR_MALFORMED, "frame %d is not a front's to send", (int)t);
}

/* At most one frame of a lane a turn, so that lanes and work take turns. */
static void lane_turn(struct core *c, struct core_lane *l)
{
	struct err e = { 0 };
	struct slice body;
	enum frame_type t;
	int rc;

	if (!l->ch || l->broken || channel_pending(l->ch) > CORE_OUT_BUSY)
		return;
	rc = channel_next(l->ch, &t, &body, &e);
	if (rc == 0 && l->readable) {
		l->readable = false;
		rc = channel_read(l->ch, &e);
		if (rc > 0)
			rc = channel_next(l->ch, &t, &body, &e);
	}
	l->more = rc > 0;
	if (rc > 0)
		rc = take_frame(c, l, t, body, &e) == 0 ? 1 : -1;
	if (rc >= 0)
		return;
	if (e.code == ERR_GONE)
		log_info("lane %d: %s", (int)l->lane, e.text);
	else
		log_error("lane %d is closed: %s", (int)l->lane, log_safe(e.text));
	l->broken = true;
}

static void lane_flush(struct loop *lp, struct core_lane *l)
{
	struct err e = { 0 };

	if (l->ch && !l->broken && channel_write(l->ch, &e) != 0) {
		log_error("lane %d is closed: %s", (int)l->lane, e.text);
		l->broken = true;
	}
	if (l->ch && l->broken)
		lane_close(lp, l); /* the parent sees the front end and starts another */
	else if (l->ch && channel_want_write(l->ch))
		(void)event_add(lp->writable[l->lane], NULL);
}

/* ---- the checkpointer ---- */

static void on_checkpointer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx; /* waking up is all: the turn hears it */
}

static void checkpointer_close(struct loop *lp)
{
	if (lp->checkpointer)
		event_free(lp->checkpointer);
	lp->checkpointer = NULL;
	core_checkpointer_leave(&lp->core);
}

static void checkpointer_open(struct loop *lp, int fd)
{
	checkpointer_close(lp);
	lp->checkpointer = event_new(lp->base, fd, EV_READ | EV_PERSIST, on_checkpointer, NULL);
	core_checkpointer_join(&lp->core, fd);
	if (!lp->checkpointer || event_add(lp->checkpointer, NULL) != 0)
		checkpointer_close(lp); /* the core does it by itself */
}

/* ---- parent ---- */

static void dump(const struct core *c)
{
	log_notice("state: batches=%" PRIu64 " requests=%" PRIu64 " commits=%" PRIu64
		   " commit_us_max=%" PRIu64 " busy=%" PRIu64 " prepare=%u track=%" PRId64
		   " trusted=%d trouble=%d",
		   c->stats.batches, c->stats.requests, c->stats.commits, c->stats.commit_us_max,
		   c->stats.refused_busy, c->n_prepare, c->now.track, c->now.wall_trusted,
		   c->trouble);
	for (unsigned i = 0; i < LANE_COUNT; i++)
		log_notice("state: lane=%u front=%d sessions=%zu objects=%u", i,
			   c->lanes[i].ch != NULL, service_sessions(c->service, (enum lane)i),
			   c->lanes[i].objects.n);
}

static void parent_event(struct loop *lp, const struct child_event *ev)
{
	struct core *c = &lp->core;

	switch (ev->type) {
	case CHILD_STOP:
		c->stopping = true;
		break;
	case CHILD_PEER:
		if (ev->arg < LANE_COUNT)
			lane_open(lp, &c->lanes[ev->arg], ev->fd);
		else if (ev->arg == PEER_CHECKPOINTER)
			checkpointer_open(lp, ev->fd);
		else
			close(ev->fd);
		break;
	case CHILD_SWITCH:
		break; /* what the core takes from the configuration needs a restart */
	case CHILD_DUMP:
		dump(c);
		break;
	case CHILD_GONE:
		c->stopping = true;
		c->status = EX_UNAVAILABLE;
		break;
	}
}

static void on_parent(evutil_socket_t fd, short what, void *ctx)
{
	struct loop *lp = ctx;
	struct child_event ev;

	(void)fd;
	(void)what;
	while (!lp->core.stopping && child_link_next(lp->core.link, &ev) > 0)
		parent_event(lp, &ev);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx; /* waking up is all */
}

/* ---- the loop ---- */

static void flush(struct loop *lp)
{
	for (unsigned i = 0; i < LANE_COUNT; i++)
		lane_flush(lp, &lp->core.lanes[i]);
}

/* Who asks comes first: work takes its slice when the answers are out. */
static bool turn(struct loop *lp)
{
	struct core *c = &lp->core;
	bool more = false;

	core_time(c);
	if (c->checkpointer.gone)
		checkpointer_close(lp);
	for (unsigned i = 0; i < LANE_COUNT && !c->stopping; i++) {
		lane_turn(c, &c->lanes[i]);
		more |= c->lanes[i].more;
	}
	flush(lp);
	more |= core_work(c);
	/* when stopping for a failed fsync, what is queued was committed before it */
	flush(lp);
	return more;
}

static void run(struct loop *lp)
{
	bool more = false;

	while (!lp->core.stopping) {
		int64_t wait = core_work_wait_ms(&lp->core);
		struct timeval tv = { .tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000 };

		if (!more && evtimer_add(lp->timer, &tv) != 0)
			more = true;
		if (event_base_loop(lp->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0)) < 0) {
			log_error("event loop failed");
			lp->core.status = EX_OSERR;
			return;
		}
		more = turn(lp);
	}
}

/* ---- start and stop ---- */

/* A full disk is no reason not to serve what can be read; a failed fsync is. */
static int first_work(struct core *c, struct err *e)
{
	if ((core_persist(c, e) < 0 || core_schedule(c, e) < 0) && e->code != ERR_FULL)
		return -1;
	c->jobs = true; /* those a crash left behind */
	return 0;
}

static int init_memory(struct core *c, struct err *e)
{
	c->arena = ARENA_INIT(CORE_ARENA);
	c->effects = calloc(CORE_EFFECTS_MAX, sizeof(*c->effects));
	if (!c->effects || core_batch_init(&c->batch, e) != 0)
		return err_set(e, ERR_NO_MEMORY, "no memory");
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		c->lanes[i].lane = (enum lane)i;
		if (object_set_init(&c->lanes[i].objects, (uint32_t)c->link->cfg.limits.objects,
				    e) != 0)
			return -1;
	}
	return 0;
}

static int init_loop(struct loop *lp, struct err *e)
{
	lp->base = event_base_new();
	if (lp->base) {
		lp->parent =
			event_new(lp->base, lp->core.link->fd, EV_READ | EV_PERSIST, on_parent, lp);
		lp->timer = evtimer_new(lp->base, on_timer, lp);
	}
	if (!lp->parent || !lp->timer || event_add(lp->parent, NULL) != 0)
		return err_set(e, ERR_NO_MEMORY, "event loop");
	return 0;
}

static int start(struct loop *lp, struct err *e)
{
	struct core *c = &lp->core;

	if (init_memory(c, e) != 0 || init_loop(lp, e) != 0)
		return -1;
	if (core_start(c, e) != 0)
		return -1;
	c->persist_at = clock_mono_ms() + CORE_PERSIST_MS;
	c->sweep_at = clock_mono_ms() + CORE_SWEEP_MS;
	return first_work(c, e);
}

static void finish(struct loop *lp)
{
	struct core *c = &lp->core;
	struct err e = { 0 };

	for (unsigned i = 0; i < LANE_COUNT; i++) {
		if (c->lanes[i].ch)
			lane_close(lp, &c->lanes[i]);
		object_set_free(&c->lanes[i].objects);
	}
	if (c->store)
		checkpointer_close(lp); /* it ended before */
	if (c->store && c->service && c->status == 0) {
		if (core_persist(c, &e) != 0)
			log_error("tracker time: %s", e.text);
		(void)store_checkpoint(c->store, true);
	}
	service_free(c->service);
	store_close(c->store);
	core_batch_free(&c->batch);
	arena_free(&c->arena);
	free(c->effects);
	free(c->openapi);
	if (lp->parent)
		event_free(lp->parent);
	if (lp->timer)
		event_free(lp->timer);
	if (lp->base)
		event_base_free(lp->base);
}

int core_main(struct child_link *link)
{
	struct loop *lp = calloc(1, sizeof(*lp));
	struct err e = { 0 };
	int status;

	if (!lp) {
		log_error("no memory");
		return EX_OSERR;
	}
	lp->core.link = link;
	lp->core.checkpointer.fd = -1;
	if (start(lp, &e) != 0) {
		log_error("start: %s", e.text);
		lp->core.status = e.code == ERR_UNSUPPORTED ? EX_DATAERR : EX_IOERR;
	} else if (child_link_ready(link) == 0) {
		run(lp);
	}
	status = lp->core.status;
	finish(lp);
	free(lp);
	return status;
}
