/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/clock.h"
#include "store/internal.h"

/*
 * The log: made durable behind each commit, and copied into the database now and then, by this
 * store between batches or by another process with a store of its own. The log starts over with
 * the first commit after all of it was copied.
 */

/* which: SQLITE_FCNTL_JOURNAL_POINTER, the log, or SQLITE_FCNTL_FILE_POINTER */
static int sync_file(sqlite3 *db, int which)
{
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(db, "main", which, &file);

	if (rc == SQLITE_OK && file && file->pMethods)
		rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
	return rc;
}

/*
 * Called after each commit with the pages in the log, which shrinks when it starts over.
 * fettle.db's commits are made durable here, whosever they are: all but those that may wait,
 * which the next one's sync, or a checkpoint's, takes along.
 */
int store_wal_hook(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *st = arg;
	enum database d = db == st->db[DB_MAIN] ? DB_MAIN : DB_IMAGES;
	int rc = SQLITE_OK;

	(void)name;
	if (pages < st->wal_pages[d])
		st->wal_done[d] = 0;
	st->wal_pages[d] = pages;
	if (d == DB_MAIN && !st->may_wait)
		rc = sync_file(db, SQLITE_FCNTL_JOURNAL_POINTER);
	if (rc == SQLITE_OK)
		return SQLITE_OK;
	st->must_stop = true;
	return SQLITE_IOERR_FSYNC;
}

/*
 * A thousand reports write some thousand pages, many of them the same ones again and
 * again: a checkpoint of several batches copies each once, and its two fsyncs are shared.
 * How long it may take is what bounds it (the core serves nobody meanwhile), so the mark
 * follows from the time the last ones took. Images' pages are written once each: there
 * waiting would gain nothing.
 */
#define CHECKPOINT_LEAST 1000
#define CHECKPOINT_FIRST 2000
#define CHECKPOINT_MOST 8000 /* 32 MiB: what the log grows to, and one batch more */
#define CHECKPOINT_LONG_US 25000
#define CHECKPOINT_SHORT_US 10000

static void set_mark(struct store *st, enum database db, int64_t took_us)
{
	int *mark = &st->wal_mark[db];

	if (took_us > CHECKPOINT_LONG_US)
		*mark /= 2;
	else if (took_us < CHECKPOINT_SHORT_US)
		*mark += *mark / 4;
	if (*mark < CHECKPOINT_LEAST)
		*mark = CHECKPOINT_LEAST;
	if (*mark > CHECKPOINT_MOST)
		*mark = CHECKPOINT_MOST;
}

static int waiting(const struct store *st, enum database db)
{
	return st->wal_pages[db] - st->wal_done[db];
}

static bool due(struct store *st, enum database db, bool force)
{
	if (st->wal_mark[db] == 0)
		st->wal_mark[db] = db == DB_MAIN ? CHECKPOINT_FIRST : CHECKPOINT_LEAST;
	return waiting(st, db) >= (force ? 1 : st->wal_mark[db]);
}

static int copy(struct store *st, enum database db, int *log, int *done, struct err *e)
{
	int rc = sqlite3_wal_checkpoint_v2(st->db[db], NULL, SQLITE_CHECKPOINT_PASSIVE, log, done);

	return rc == SQLITE_OK ? 0 : store_sqlite_failed(st, db, rc, false, e);
}

static int checkpoint(struct store *st, enum database db, bool force)
{
	int log = 0, done = 0;

	if (db == DB_MAIN && st->elsewhere && !(force && store_wal_full(st)))
		return 0;
	if (!st->db[db] || !due(st, db, force))
		return waiting(st, db);
	if (!sqlite3_get_autocommit(st->db[db]))
		return waiting(st, db);
	int64_t began = clock_mono_us();
	/* when it fails nothing is lost, the log only grows; unless a sync failed */
	if (copy(st, db, &log, &done, NULL) != 0)
		return waiting(st, db);
	st->wal_pages[db] = log;
	st->wal_done[db] = done;
	if (db == DB_MAIN && !force)
		set_mark(st, db, clock_mono_us() - began);
	return log - done;
}

int store_checkpoint(struct store *st, bool force)
{
	if (st->read_only || st->must_stop)
		return 0;
	return checkpoint(st, DB_MAIN, force) + checkpoint(st, DB_IMAGES, force);
}

/* ---- by another process ---- */

void store_wal_elsewhere(struct store *st, bool on)
{
	st->elsewhere = on;
}

bool store_wal_due(const struct store *st, int pages)
{
	return waiting(st, DB_MAIN) >= pages || store_wal_full(st);
}

bool store_wal_full(const struct store *st)
{
	return st->wal_pages[DB_MAIN] >= CHECKPOINT_MOST && waiting(st, DB_MAIN) > 0;
}

int store_wal_copy(struct store *st, struct wal_copied *out, struct err *e)
{
	*out = (struct wal_copied){ 0 };
	return copy(st, DB_MAIN, &out->log, &out->done, e);
}

bool store_wal_copied(struct store *st, const struct wal_copied *c)
{
	int before = st->wal_done[DB_MAIN];

	/* a log that is shorter than the copied one has begun anew since */
	if (c->done >= 0 && c->done <= c->log && c->log <= st->wal_pages[DB_MAIN])
		st->wal_done[DB_MAIN] = c->done;
	return st->wal_done[DB_MAIN] != before;
}

void store_wal_lost(struct store *st)
{
	st->must_stop = true;
}

/*
 * A sync that fails is told once to each descriptor that was open by then, and to none opened
 * later: the other's successor would not hear of it, and a log copied to its end after that is
 * overwritten. Ours were open all the time.
 */
void store_wal_left(struct store *st)
{
	sqlite3 *db = st->db[DB_MAIN];

	if (st->must_stop)
		return;
	if (sync_file(db, SQLITE_FCNTL_JOURNAL_POINTER) != SQLITE_OK ||
	    sync_file(db, SQLITE_FCNTL_FILE_POINTER) != SQLITE_OK)
		st->must_stop = true;
}
