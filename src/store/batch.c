/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "store/internal.h"

/* The first row that fits counts: primary codes stand behind their extended ones. */
static const struct {
	int rc;
	enum err_code code;
	bool stop; /* what was written may be gone: nothing may be acknowledged */
	const char *text;
} meanings[] = {
	{ SQLITE_CONSTRAINT_UNIQUE, ERR_CONFLICT, false, "it exists already" },
	{ SQLITE_CONSTRAINT_PRIMARYKEY, ERR_CONFLICT, false, "it exists already" },
	{ SQLITE_CONSTRAINT_FOREIGNKEY, ERR_CONFLICT, false,
	  "what it refers to is missing, or it is in use" },
	{ SQLITE_CONSTRAINT, ERR_INVALID, false, "a value the database does not allow" },
	{ SQLITE_IOERR_FSYNC, ERR_IO, true, "cannot make data durable" },
	{ SQLITE_IOERR_DIR_FSYNC, ERR_IO, true, "cannot make data durable" },
	{ SQLITE_IOERR_WRITE, ERR_IO, true, "cannot write" },
	{ SQLITE_IOERR_TRUNCATE, ERR_IO, true, "cannot write" },
	{ SQLITE_IOERR_NOMEM, ERR_NO_MEMORY, false, "no memory" },
	{ SQLITE_IOERR, ERR_IO, false, "input/output error" },
	{ SQLITE_FULL, ERR_FULL, false, "no space left" },
	{ SQLITE_NOMEM, ERR_NO_MEMORY, false, "no memory" },
	{ SQLITE_BUSY, ERR_BUSY, false, "the database is in use" },
	{ SQLITE_LOCKED, ERR_BUSY, false, "the database is in use" },
	{ SQLITE_TOOBIG, ERR_TOO_LARGE, false, "a value is too large" },
	{ SQLITE_READONLY, ERR_FORBIDDEN, false, "the database is open for reading only" },
	{ SQLITE_CORRUPT, ERR_IO, false, "the database is damaged" },
	{ SQLITE_NOTADB, ERR_IO, false, "this is no database" },
	{ SQLITE_CANTOPEN, ERR_IO, false, "cannot open a file" },
};

static const char *const database_names[DB_COUNT] = { "fettle.db", "images.db" };

int store_sqlite_failed(struct store *st, enum database db, int rc, bool commit, struct err *e)
{
	sqlite3 *c = st->db[db];
	enum err_code code = ERR_INTERNAL;
	const char *text = "unexpected failure";
	bool stop = false;

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (meanings[i].rc != rc && meanings[i].rc != (rc & 0xff))
			continue;
		code = meanings[i].code;
		text = meanings[i].text;
		stop = meanings[i].stop ||
		       (commit && (rc & 0xff) == SQLITE_IOERR && code == ERR_IO);
		break;
	}
	err_set(e, code, "%s: %s (SQLite %d: %.100s)", database_names[db], text, rc,
		c ? sqlite3_errmsg(c) : sqlite3_errstr(rc));
	if (stop)
		st->must_stop = true;
	if (db == DB_MAIN && st->in_batch && c && sqlite3_get_autocommit(c))
		st->broken = true;
	/*
	 * A transaction of images.db that SQLite rolled back took staged bytes with it, and
	 * maybe those that this batch's rows already refer to.
	 */
	if (db == DB_IMAGES && st->images_open && c && sqlite3_get_autocommit(c)) {
		st->broken |= st->in_batch;
		store_images_rollback(st);
	}
	if (st->broken || commit)
		st->refuse_code = code == ERR_IO || code == ERR_FULL ? code : ERR_FULL;
	return -1;
}

static int prepare(struct store *st, enum statement id)
{
	if (st->stmts[id])
		return SQLITE_OK;
	return sqlite3_prepare_v3(st->db[store_statements[id].db], store_statements[id].text, -1,
				  SQLITE_PREPARE_PERSISTENT, &st->stmts[id], NULL);
}

/* BEGIN, COMMIT and their kin: prepared once, since two of them go with every handler. */
static int control(struct store *st, enum statement id, struct err *e)
{
	enum database db = store_statements[id].db;
	bool commit = id == STMT_MAIN_COMMIT || id == STMT_IMAGES_COMMIT;
	int rc = prepare(st, id);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(st->stmts[id]);
		/* what the hook behind a commit returns is seen here alone */
		int more = sqlite3_reset(st->stmts[id]);
		if (rc != SQLITE_DONE && more != SQLITE_OK)
			rc = more;
	}
	if (rc == SQLITE_DONE)
		return 0;
	return store_sqlite_failed(st, db, rc, commit, e);
}

/*
 * Going back must always be possible: its statement is there before the transaction is, since
 * what makes it necessary may be that there is no memory.
 */
static int begin(struct store *st, enum statement id, enum statement back, struct err *e)
{
	int rc = prepare(st, back);

	if (rc != SQLITE_OK)
		return store_sqlite_failed(st, store_statements[back].db, rc, false, e);
	return control(st, id, e);
}

static void rollback(struct store *st, enum statement back)
{
	if (sqlite3_get_autocommit(st->db[store_statements[back].db]))
		return;
	(void)sqlite3_step(st->stmts[back]);
	(void)sqlite3_reset(st->stmts[back]);
}

static int refused(struct store *st, struct err *e)
{
	return err_set(e, st->refuse_code == ERR_IO ? ERR_IO : ERR_FULL,
		       "the database takes no writes at the moment");
}

int store_write_begin(struct store *st, enum database db, struct err *e)
{
	if (st->read_only)
		return err_set(e, ERR_FORBIDDEN, "the database is open for reading only");
	if (st->must_stop)
		return err_set(e, ERR_IO, "the database failed to make data durable");
	if (st->refuse || (st->in_batch && st->broken))
		return refused(st, e);
	if (db == DB_IMAGES) {
		if (st->images_open)
			return 0;
		if (begin(st, STMT_IMAGES_BEGIN, STMT_IMAGES_ROLLBACK, e) != 0)
			return -1;
		st->images_open = true;
		return 0;
	}
	if (st->in_batch)
		st->dirty = true;
	if (!st->in_handler || st->in_savepoint)
		return 0;
	if (!st->optimistic && control(st, STMT_HANDLER_OPEN, e) != 0)
		return -1;
	st->in_savepoint = true;
	return 0;
}

int store_batch_begin(struct store *st, struct err *e)
{
	if (st->in_batch)
		return err_set(e, ERR_INTERNAL, "a batch is open already");
	if (begin(st, STMT_MAIN_BEGIN, STMT_MAIN_ROLLBACK, e) != 0)
		return -1;
	st->in_batch = true;
	st->dirty = st->broken = st->undo = st->in_handler = st->in_savepoint = false;
	st->may_wait = false;
	return 0;
}

void store_batch_may_wait(struct store *st)
{
	st->may_wait = true;
}

void store_handler_begin(struct store *st)
{
	st->in_handler = true;
	st->in_savepoint = false;
}

int store_handler_end(struct store *st, bool keep, struct err *e)
{
	bool had = st->in_savepoint;

	st->in_handler = st->in_savepoint = false;
	if (st->broken)
		return err_set(e, st->refuse_code, "the batch was rolled back");
	if (!had || (st->optimistic && keep))
		return 0;
	if (st->optimistic) {
		st->broken = st->undo = true;
		return err_set(e, ERR_BUSY, "the batch has to run again");
	}
	if (!keep && control(st, STMT_HANDLER_ROLLBACK, e) != 0)
		goto lost;
	if (control(st, STMT_HANDLER_KEEP, e) != 0)
		goto lost;
	return 0;
lost:
	/* what this handler wrote can no longer be told from what the others did */
	st->broken = true;
	return -1;
}

bool store_batch_dirty(const struct store *st)
{
	return st->dirty;
}

bool store_batch_broken(struct store *st)
{
	return st->broken;
}

void store_batch_optimistic(struct store *st, bool on)
{
	st->optimistic = on;
}

bool store_batch_undo(const struct store *st)
{
	return st->undo;
}

int store_batch_commit(struct store *st, struct err *e)
{
	int result = -1;

	if (!st->in_batch)
		return err_set(e, ERR_INTERNAL, "no batch is open");
	if (st->broken)
		err_set(e, st->refuse_code, "the batch was rolled back");
	else if (store_images_commit(st, e) == 0 && control(st, STMT_MAIN_COMMIT, e) == 0)
		result = 0;
	if (result != 0) {
		rollback(st, STMT_MAIN_ROLLBACK);
		st->broken = true;
	}
	st->in_batch = st->in_handler = st->in_savepoint = st->may_wait = false;
	return result;
}

void store_batch_abandon(struct store *st)
{
	rollback(st, STMT_MAIN_ROLLBACK);
	st->in_batch = st->in_handler = st->in_savepoint = st->dirty = st->broken = false;
	st->may_wait = false;
}

void store_refuse_writes(struct store *st, bool refuse)
{
	st->refuse = refuse;
}

bool store_must_stop(const struct store *st)
{
	return st->must_stop;
}

int store_atomic_begin(struct store *st, bool *own, struct err *e)
{
	*own = !st->in_batch;
	return *own ? store_batch_begin(st, e) : 0;
}

int store_atomic_end(struct store *st, bool own, int result, struct err *e)
{
	if (!own)
		return result;
	if (result < 0) {
		bool broken = st->broken;
		store_batch_abandon(st);
		st->broken = broken;
		return result;
	}
	return store_batch_commit(st, e) == 0 ? result : -1;
}

int store_images_commit(struct store *st, struct err *e)
{
	if (!st->images_open)
		return 0;
	if (control(st, STMT_IMAGES_COMMIT, e) != 0) {
		store_images_rollback(st);
		return -1;
	}
	st->images_open = false;
	return 0;
}

void store_images_rollback(struct store *st)
{
	rollback(st, STMT_IMAGES_ROLLBACK);
	st->images_open = false;
	store_uploads_forget(st);
}

static int quick_check(struct store *st, enum database db, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(st->db[db], "PRAGMA quick_check(1)", -1, &s, NULL), result = 0;

	if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(s, 0);
		if (!text || strcmp(text, "ok") != 0)
			result = err_set(e, ERR_IO, "%s is damaged: %.150s", database_names[db],
					 text ? text : "no answer");
	} else {
		result = store_sqlite_failed(st, db, rc, false, e);
	}
	sqlite3_finalize(s);
	return result;
}

int store_quick_check(struct store *st, struct err *e)
{
	for (int db = 0; db < DB_COUNT; db++)
		if (st->db[db] && quick_check(st, (enum database)db, e) != 0)
			return -1;
	return 0;
}
