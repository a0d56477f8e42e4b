/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "daemon/core_internal.h"

/*
 * What happens between batches: the schedule, one slice of a job, a checkpoint,
 * cached copies, tracker time. Each is its own transaction of at most a slice, and one
 * round of all of them stands between two batches of a busy front.
 */

void core_time(struct core *c)
{
	struct core_clock_reading r = {
		.wall = clock_wall_ms(),
		.mono = clock_mono_ms(),
		.synchronised = c->link->clock_synchronised,
	};
	bool was = c->clock.trusted;

	c->now = core_clock_now(&c->clock, &r);
	if (was != c->clock.trusted)
		log_warn(was ? "the wall clock went wrong: windows, deadlines and expiry wait"
			     : "the wall clock is trusted again");
}

void core_store_failed(struct core *c, const char *what, const struct err *e)
{
	if (store_must_stop(c->store)) {
		/* after a failed fsync nothing the kernel says about that file proves anything */
		log_error("%s: %s: nothing is acknowledged any more, the core exits", what,
			  e->text);
		c->stopping = true;
		c->status = EX_IOERR;
		return;
	}
	if (!c->trouble)
		log_error("%s: %s: writes are refused until they work again", what, e->text);
	else
		log_debug("%s: %s", what, e->text);
	c->trouble = c->stats.trouble = true;
}

void core_store_works(struct core *c)
{
	if (c->trouble)
		log_notice("writes work again");
	c->trouble = c->stats.trouble = false;
}

/* ---- transactions between batches ---- */

static void prepare_call(struct core *c)
{
	core_time(c);
	effects_clear(&c->fx);
	arena_reset(&c->arena);
}

/* The service made and committed the transaction: what follows from it. */
static int followed(struct core *c, int rc)
{
	arena_reset(&c->arena);
	if (rc < 0) {
		effects_clear(&c->fx);
		return -1;
	}
	core_effects_keep(c);
	core_effects_send(c);
	return rc;
}

int core_schedule(struct core *c, struct err *e)
{
	int64_t next = 0;
	int rc;

	prepare_call(c);
	rc = service_schedule(c->service, &c->now, &c->arena, &c->fx, CORE_SCHEDULE_LIMIT,
			      CORE_SLICE_US, &next, e);
	/* before followed(): an effect of the pass may ask for the next one at once */
	if (rc >= 0)
		c->schedule_track = next;
	return followed(c, rc);
}

/*
 * A commit that took its time says that the disk is behind. The next slice would only lengthen
 * the queue in which the next batch's commit then waits: so let it catch up.
 */
int64_t core_rest_ms(int64_t took_us)
{
	int64_t over = took_us - CORE_SLICE_US;

	if (over > CORE_REST_MOST_US)
		over = CORE_REST_MOST_US;
	return over > CORE_REST_LEAST_US ? over / 1000 : 0;
}

static bool jobs_wanted(const struct core *c)
{
	return c->jobs || (c->jobs_track != 0 && c->jobs_track <= c->now.track);
}

static bool jobs_due(const struct core *c)
{
	return jobs_wanted(c) && clock_mono_ms() >= c->jobs_at && !core_jobs_wait(c);
}

/* At least one wait for events lies between two slices: a front's next batch gets in there. */
static void jobs_rest(struct core *c, int64_t took_us)
{
	int64_t rest = core_rest_ms(took_us);

	c->jobs_at = clock_mono_ms() + (rest > 0 ? rest : CORE_REST_EVER_MS);
}

static int run_job(struct core *c, struct err *e)
{
	int64_t began = clock_mono_us(), next = 0;
	int rc;

	prepare_call(c);
	rc = service_jobs(c->service, &c->now, &c->arena, &c->fx, CORE_SLICE_US, &next, e);
	jobs_rest(c, clock_mono_us() - began);
	/* before followed(): an effect may announce another one */
	if (rc >= 0) {
		c->jobs = rc > 0;
		c->jobs_track = next;
	}
	return followed(c, rc);
}

static int run_unsent(struct core *c, struct err *e)
{
	prepare_call(c);
	return followed(c, core_unsent(c, e));
}

static int persist_rows(struct core *c, bool *word, struct err *e)
{
	int64_t accepted = 0;

	if (store_meta_put_int(c->store, "track", c->now.track, e) != 0)
		return -1;
	/* `fettle doctor --accept-clock` leaves the operator's word there */
	if (store_meta_get_int(c->store, "clock_accepted", &accepted, e) < 0)
		return -1;
	/* it holds once, needed or not: the next wrong clock is another matter */
	if (accepted != 0 && store_meta_put_int(c->store, "clock_accepted", 0, e) != 0)
		return -1;
	if (!c->now.wall_trusted && accepted == 0)
		return 0;
	*word = !c->now.wall_trusted;
	return store_meta_put_int(c->store, "track_wall", c->now.wall, e);
}

int core_persist(struct core *c, struct err *e)
{
	bool word = false;

	core_time(c);
	if (store_batch_begin(c->store, e) != 0)
		return -1;
	if (persist_rows(c, &word, e) != 0 || store_batch_commit(c->store, e) != 0) {
		store_batch_abandon(c->store);
		return -1;
	}
	if (word) {
		core_clock_accept(&c->clock, &(struct core_clock_reading){ .wall = c->now.wall });
		log_notice("the wall clock is trusted on an operator's word");
	}
	core_clock_committed(&c->clock, c->now.wall);
	core_store_works(c);
	return 0;
}

/* ---- one round ---- */

static void prepare_one(struct core *c)
{
	struct err e = { 0 };
	int rc;

	if (c->n_prepare == 0)
		return;
	rc = store_object_prepare(c->store, &c->prepare[0], CORE_SLICE_US, &e);
	if (rc == 0)
		return;
	if (rc < 0 && e.code != ERR_NOT_FOUND)
		log_warn("cached copy: %s", e.text);
	c->n_prepare--;
	memmove(c->prepare, c->prepare + 1, c->n_prepare * sizeof(c->prepare[0]));
}

static void sweep(struct core *c, int64_t now)
{
	struct err e = { 0 };

	if (now < c->sweep_at)
		return;
	if (store_cache_trim(c->store, CORE_SWEEP_ROWS, &e) < 0)
		log_warn("cache: %s", e.text);
	int bytes = store_upload_sweep(c->store, c->now.track - CORE_UPLOAD_AGE_MS, CORE_SWEEP_ROWS,
				       &e);
	int rows = bytes < 0 ? -1 : service_sweep(c->service, &c->now, &e);
	if (rows < 0)
		core_store_failed(c, "sweeping", &e);
	/* what is dropped must go faster than it can come */
	c->sweep_at = now + (rows >= 0 && bytes + rows > 0 ? CORE_SWEEP_MORE_MS : CORE_SWEEP_MS);
	c->jobs = true; /* a job resumed or left behind is found at the latest now */
}

static bool schedule_due(const struct core *c)
{
	return c->schedule_track != 0 && c->schedule_track <= c->now.track;
}

static void timed_work(struct core *c, int64_t now)
{
	struct err e = { 0 };

	if (now < c->retry_at)
		return;
	if (schedule_due(c) && core_schedule(c, &e) < 0)
		goto failed;
	if (c->n_unsent > 0 && run_unsent(c, &e) < 0)
		goto failed;
	if (jobs_due(c) && run_job(c, &e) < 0)
		goto failed;
	if (now >= c->persist_at) {
		c->persist_at = now + CORE_PERSIST_MS;
		if (core_persist(c, &e) < 0)
			goto failed;
	}
	return;
failed:
	c->retry_at = now + CORE_RETRY_MS;
	core_store_failed(c, "work between batches", &e);
}

static void checkpoint(struct core *c, int64_t now)
{
	int64_t took = core_checkpoint(c, now);

	/* no slice follows in the same turn: whoever asked meanwhile would wait for both */
	if (took > CORE_REST_LEAST_US)
		jobs_rest(c, took);
}

bool core_work(struct core *c)
{
	int64_t now = clock_mono_ms();

	/* what a failed fsync left can be seen, but is not durable: nothing may follow from it */
	if (c->stopping)
		return false;
	core_time(c);
	checkpoint(c, now);
	if (store_must_stop(c->store)) {
		struct err e = { .code = ERR_IO, .text = "checkpoint failed" };
		core_store_failed(c, "checkpoint", &e);
		return false;
	}
	timed_work(c, now);
	if (c->stopping)
		return false;
	prepare_one(c);
	sweep(c, now);
	bool more = core_upload_work(c) || c->n_prepare > 0;
	if (now < c->retry_at)
		return more;
	return more || jobs_due(c) || c->n_unsent > 0 || schedule_due(c);
}

int64_t core_work_wait_ms(const struct core *c)
{
	int64_t now = clock_mono_ms(), wait = c->persist_at - now;

	if (c->sweep_at - now < wait)
		wait = c->sweep_at - now;
	if (jobs_wanted(c) && now >= c->retry_at && !core_jobs_wait(c) && c->jobs_at - now < wait)
		wait = c->jobs_at - now;
	if (!c->jobs && c->jobs_track > c->now.track && c->jobs_track - c->now.track < wait)
		wait = c->jobs_track - c->now.track;
	if (c->schedule_track != 0 && c->schedule_track - c->now.track < wait)
		wait = c->schedule_track - c->now.track;
	if (wait < 1)
		return 1;
	return wait < 1000 ? wait : 1000;
}
