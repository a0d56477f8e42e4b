/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "store/internal.h"

static const char *const file_names[DB_COUNT] = { "fettle.db", "images.db" };

/* What no statement of ours comes near; a damaged or hostile file might. */
static const struct {
	int id, value;
} limits[] = {
	{ SQLITE_LIMIT_LENGTH, 4 << 20 },
	{ SQLITE_LIMIT_SQL_LENGTH, 128 << 10 },
	{ SQLITE_LIMIT_COLUMN, 64 },
	{ SQLITE_LIMIT_EXPR_DEPTH, 100 },
	{ SQLITE_LIMIT_COMPOUND_SELECT, 4 },
	{ SQLITE_LIMIT_VDBE_OP, 50000 },
	{ SQLITE_LIMIT_FUNCTION_ARG, 8 },
	{ SQLITE_LIMIT_ATTACHED, 0 },
	{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100 },
	{ SQLITE_LIMIT_VARIABLE_NUMBER, 400 },
	{ SQLITE_LIMIT_TRIGGER_DEPTH, 8 },
	{ SQLITE_LIMIT_WORKER_THREADS, 0 },
};

/*
 * A commit is durable when it returns: images.db's by FULL; fettle.db's by store_wal_hook(),
 * which can tell those that may wait, so NORMAL leaves it to that. The only checkpoints are
 * wal.c's. cache_size is in KiB; 16 MiB hold the upper levels of every index at a million
 * devices, and what 1,000 reports change.
 */
static const char *const pragmas[DB_COUNT] = {
	[DB_MAIN] =
		"PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
		"PRAGMA trusted_schema = OFF;"
		"PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0;"
		"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;"
		"PRAGMA journal_size_limit = 67108864;",
	[DB_IMAGES] =
		"PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
		"PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0;"
		"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048;"
		"PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = FAST;",
};

static int collate_version(void *arg, int na, const void *a, int nb, const void *b)
{
	char va[VERSION_TEXT + NAME_TEXT], vb[VERSION_TEXT + NAME_TEXT];

	(void)arg;
	/* never longer than a model's text; if one is, order must still be total */
	if (text_copy_slice(va, sizeof(va), slice_of(a, (size_t)na)) != 0 ||
	    text_copy_slice(vb, sizeof(vb), slice_of(b, (size_t)nb)) != 0) {
		int order = memcmp(a, b, (size_t)(na < nb ? na : nb));
		return order ? order : na - nb;
	}
	return text_version_cmp(va, vb);
}

static int configure(struct store *st, enum database db, struct err *e)
{
	sqlite3 *c = st->db[db];
	int rc, on = 1;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		sqlite3_limit(c, limits[i].id, limits[i].value);
	rc = sqlite3_extended_result_codes(c, 1);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(c, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(c, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(c, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
	/* a plan that hangs on a bound value is made anew whenever that value is bound */
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(c, SQLITE_DBCONFIG_ENABLE_QPSG, 1, (int *)NULL);
	/* a refused file must stay as it is, and closing must be quick */
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(c, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(c, 2000);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_collation(c, "version", SQLITE_UTF8, NULL, collate_version);
	if (rc == SQLITE_OK)
		rc = sqlite3_file_control(c, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(c, pragmas[db], NULL, NULL, NULL);
	sqlite3_wal_hook(c, store_wal_hook, st);
	return rc == SQLITE_OK ? 0 : store_sqlite_failed(st, db, rc, false, e);
}

/*
 * Made with our own mode before SQLite sees it; the log and the index of it
 * inherit the mode. Only a file that did not exist is touched: closing a
 * descriptor of an open database would drop SQLite's locks.
 */
static int make_file(int dir_fd, const char *name, struct err *e)
{
	int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : err_set(e, ERR_IO, "%s: %s", name, strerror(errno));
	close(fd);
	return 0;
}

static int open_file(struct store *st, enum database db, const char *dir, struct err *e)
{
	char path[4096];
	int flags = st->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;

	if (text_format(path, sizeof(path), "%s/%s", dir, file_names[db]) != 0)
		return err_set(e, ERR_TOO_LARGE, "the name of the data directory is too long");
	if (!st->read_only && make_file(st->dir_fd, file_names[db], e) != 0)
		return -1;
	int rc = sqlite3_open_v2(path, &st->db[db],
				 flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc != SQLITE_OK)
		return store_sqlite_failed(st, db, rc, false, e);
	if (configure(st, db, e) != 0)
		return -1;
	return store_migrate(st, db, e);
}

/*
 * The log comes into being with the first write. SQLite ignores a failed sync of
 * the directory, after which a power cut could take the whole log; so make sure ourselves.
 */
static int settle_directory(struct store *st, struct err *e)
{
	if (fsync(st->dir_fd) != 0)
		return err_set(e, ERR_IO, "cannot make the data directory durable: %s",
			       strerror(errno));
	return 0;
}

/* One thread a process, and nobody asks how much memory: no locks and no counts for either. */
static void settle_library(void)
{
	/* refused when the library is in use already, and then done */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int store_open(const struct store_options *o, struct store **out, struct err *e)
{
	struct store *st = calloc(1, sizeof(*st));

	*out = NULL;
	if (!st)
		return err_set(e, ERR_NO_MEMORY, "no memory for the store");
	settle_library();
	st->read_only = o->read_only;
	st->cache_bytes = o->cache_bytes;
	st->refuse_code = ERR_FULL;
	st->dir_fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->dir_fd < 0) {
		err_set(e, ERR_IO, "%s: %s", o->dir, strerror(errno));
		goto fail;
	}
	if (open_file(st, DB_MAIN, o->dir, e) != 0 || open_file(st, DB_IMAGES, o->dir, e) != 0)
		goto fail;
	if (!st->read_only && settle_directory(st, e) != 0)
		goto fail;
	*out = st;
	return 0;
fail:
	store_close(st);
	return -1;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	if (st->in_batch)
		store_batch_abandon(st);
	/* what was staged since the last sync was never promised, but may as well stay */
	if (st->images_open && !st->must_stop)
		store_images_commit(st, NULL);
	store_uploads_forget(st);
	store_cache_close(st);
	for (int i = 0; i < STMT_COUNT; i++)
		sqlite3_finalize(st->stmts[i]);
	for (int i = 0; i < STORE_DYNAMIC; i++) {
		sqlite3_finalize(st->dynamic[i].s);
		free(st->dynamic[i].text);
	}
	for (int db = 0; db < DB_COUNT; db++)
		sqlite3_close(st->db[db]);
	if (st->dir_fd >= 0)
		close(st->dir_fd);
	free(st);
}

void store_set_hash(struct store *st, const struct store_hash *h)
{
	st->hash = *h;
}
