/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/internal.h"
#include "store/schema_sql.h"

/*
 * user_version says which migrations a file has had. Each runs once, in order,
 * in one transaction with the new number. A file with a higher number was
 * written by a newer Fettle and is refused untouched; application_id tells a
 * file of ours from a stranger's.
 */
struct migration {
	int version;
	const char *file;
};

static const struct migration main_migrations[] = {
	{ 1, "001-fettle.sql" },
	{ 2, "002-scheduling.sql" },
};
static const struct migration images_migrations[] = {
	{ 1, "images-001.sql" },
};

static const struct {
	const char *name;
	int32_t application_id; /* "Fetl", "Feti" */
	const char *page_size;
	const struct migration *migrations;
	size_t n;
} files[DB_COUNT] = {
	[DB_MAIN] = { "fettle.db", 0x4665746c, "PRAGMA page_size = 4096", main_migrations,
		      sizeof(main_migrations) / sizeof(main_migrations[0]) },
	/* a 64 KiB row in 16 KiB pages wastes 3 %, in larger pages more */
	[DB_IMAGES] = { "images.db", 0x46657469, "PRAGMA page_size = 16384", images_migrations,
			sizeof(images_migrations) / sizeof(images_migrations[0]) },
};

static int exec(struct store *st, enum database db, const char *text, struct err *e)
{
	int rc = sqlite3_exec(st->db[db], text, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_sqlite_failed(st, db, rc, false, e);
}

static int query_int(struct store *st, enum database db, const char *text, int64_t *out,
		     struct err *e)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(st->db[db], text, -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return rc == SQLITE_ROW ? 0 : store_sqlite_failed(st, db, rc, false, e);
}

static const char *schema_text(const char *file)
{
	for (unsigned i = 0; i < schema_sql_count; i++) {
		const char *slash = strrchr(schema_sql[i].name, '/');
		if (strcmp(slash ? slash + 1 : schema_sql[i].name, file) == 0)
			return schema_sql[i].sql;
	}
	return NULL;
}

static int newest(enum database db)
{
	return files[db].migrations[files[db].n - 1].version;
}

int store_schema_version(void)
{
	return newest(DB_MAIN);
}

static int migrate_one(struct store *st, enum database db, const struct migration *m, struct err *e)
{
	const char *text = schema_text(m->file);
	char mark[96];

	if (!text)
		return err_set(e, ERR_INTERNAL, "the schema %s is not built in", m->file);
	snprintf(mark, sizeof(mark),
		 "PRAGMA application_id = %" PRId32 "; PRAGMA user_version = %d",
		 files[db].application_id, m->version);
	if (exec(st, db, "BEGIN IMMEDIATE", e) != 0)
		return -1;
	if (exec(st, db, text, e) == 0 && exec(st, db, mark, e) == 0 &&
	    exec(st, db, "COMMIT", e) == 0)
		return 0;
	if (!sqlite3_get_autocommit(st->db[db]))
		sqlite3_exec(st->db[db], "ROLLBACK", NULL, NULL, NULL);
	return err_prefix(e, "%s: %s", files[db].name, m->file);
}

/* What can only be said of a file before its first table. */
static int create(struct store *st, enum database db, struct err *e)
{
	if (exec(st, db, files[db].page_size, e) != 0 ||
	    exec(st, db, "PRAGMA auto_vacuum = INCREMENTAL", e) != 0)
		return -1;
	return 0;
}

/* 1 to be made, 0 one of ours, -1 not. */
static int identify(struct store *st, enum database db, int64_t *version, struct err *e)
{
	int64_t id, tables;

	if (query_int(st, db, "PRAGMA user_version", version, e) != 0 ||
	    query_int(st, db, "PRAGMA application_id", &id, e) != 0 ||
	    query_int(st, db, "SELECT count(*) FROM sqlite_schema", &tables, e) != 0)
		return -1;
	if (*version == 0 && id == 0 && tables == 0)
		return 1;
	if (id != files[db].application_id)
		return err_set(e, ERR_UNSUPPORTED, "%s is a database, but not Fettle's",
			       files[db].name);
	if (*version > newest(db))
		return err_set(e, ERR_UNSUPPORTED,
			       "%s has schema %" PRId64
			       ", this program knows up to %d: use a newer one",
			       files[db].name, *version, newest(db));
	return 0;
}

int store_migrate(struct store *st, enum database db, struct err *e)
{
	int64_t version = 0;
	int fresh = identify(st, db, &version, e);

	if (fresh < 0)
		return -1;
	if (st->read_only) {
		if (version == newest(db))
			return 0;
		return err_set(e, ERR_UNSUPPORTED,
			       "%s has schema %" PRId64 ", not %d: start fettled first",
			       files[db].name, version, newest(db));
	}
	if (fresh && create(st, db, e) != 0)
		return -1;
	if (exec(st, db, "PRAGMA journal_mode = WAL", e) != 0)
		return -1;
	for (size_t i = 0; i < files[db].n; i++)
		if (files[db].migrations[i].version > version &&
		    migrate_one(st, db, &files[db].migrations[i], e) != 0)
			return -1;
	return 0;
}
