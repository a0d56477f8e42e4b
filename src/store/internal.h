/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_INTERNAL_H
#define FETTLE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/columns.h"
#include "store/store.h"

/* What the files of this folder share; nobody else includes it. */

enum database { DB_MAIN, DB_IMAGES, DB_COUNT };

enum statement {
#define X(name, db, text) STMT_##name,
#include "store/statements_fleet.h"
#include "store/statements_goods.h"
#include "store/statements_work.h"
#include "store/statements_calls.h"
#undef X
	STMT_COUNT
};

struct statement_text {
	const char *name;
	enum database db;
	const char *text;
};
extern const struct statement_text store_statements[STMT_COUNT];

#define STORE_DYNAMIC 8 /* statements made at run time that are kept prepared */
#define STORE_UPLOADS_OPEN 16 /* uploads whose hash is kept in memory */

struct dynamic {
	char *text;
	sqlite3_stmt *s;
	uint64_t used;
};

struct upload_state; /* store_upload.c */
struct cache; /* store_cache.c */

struct store {
	sqlite3 *db[DB_COUNT];
	sqlite3_stmt *stmts[STMT_COUNT];
	struct dynamic dynamic[STORE_DYNAMIC];
	uint64_t dynamic_clock;
	bool read_only;
	int dir_fd;
	int64_t cache_bytes;
	struct store_hash hash;

	bool in_batch, in_handler, in_savepoint;
	bool dirty; /* a write happened in this batch */
	bool broken; /* the batch's transaction is gone */
	bool may_wait; /* for durability: nobody is told of this batch */
	bool optimistic; /* handlers are not undone one by one */
	bool undo; /* one had to be: the batch must run again */
	bool refuse;
	bool must_stop;
	enum err_code refuse_code;
	bool images_open; /* a transaction on images.db is open */
	int wal_pages[DB_COUNT], wal_done[DB_COUNT];
	int wal_mark[DB_COUNT]; /* so many waiting pages are due: see checkpoint() */
	bool elsewhere; /* another process copies fettle.db's log */

	struct upload_state *uploads[STORE_UPLOADS_OPEN];
	uint64_t uploads_clock;
	int64_t sweep_cursor;
	struct cache *cache;
};

/* batch.c */
/* Before a write on db: refuse it, or open what has to be open. */
int store_write_begin(struct store *st, enum database db, struct err *e);
/* What an SQLite failure means; keeps broken and must_stop. Always -1. */
int store_sqlite_failed(struct store *st, enum database db, int rc, bool commit, struct err *e);
/* Several statements as one, also outside a batch. */
int store_atomic_begin(struct store *st, bool *own, struct err *e);
int store_atomic_end(struct store *st, bool own, int result, struct err *e);
int store_images_commit(struct store *st, struct err *e);
void store_images_rollback(struct store *st);

/* wal.c */
int store_wal_hook(void *arg, sqlite3 *db, const char *name, int pages);

/* migrate.c */
int store_migrate(struct store *st, enum database db, struct err *e);

/* filter_sql.c: at most this many values in one filter */
#define FILTER_VALUES 256
struct sql;
/* A filter as a condition on devices d, and the values it binds in order. */
struct filter_value_ref {
	const struct filter_value *v;
	const char *sub; /* a name, then v is NULL */
	bool as_uuid;
	uint8_t bytes[UUID_SIZE]; /* what is bound lives until the statement ends */
};
struct filter_sql {
	struct buf text;
	struct filter_value_ref values[FILTER_VALUES];
	int n_values;
	int param; /* the last $n used */
	int nodes;
	bool too_large; /* for the bounds; what is in text then is not whole */
};
int filter_sql_where(struct filter_sql *f, const struct filter *filter, struct err *e);
/* Values from .. before upto. */
void filter_sql_bind(struct filter_sql *f, int from, int upto, struct sql *q);

/* store_object.c: bytes by digest in images.db */
struct object {
	int64_t id;
	uint64_t size;
};
int store_object_find(struct store *st, const struct digest *d, struct object *out, struct err *e);
int store_object_add(struct store *st, const struct digest *d, struct slice bytes, struct err *e);
int store_object_digest(struct store *st, struct slice bytes, struct digest *out, struct err *e);
int store_object_size(struct store *st, const struct digest *d, uint64_t *size, struct err *e);
int64_t store_chunk_id(int64_t object, uint64_t n);
/* store_upload.c, store_cache.c */
void store_uploads_forget(struct store *st);
void store_upload_forget(struct store *st, int64_t id);
int store_upload_finish(struct store *st, struct upload *u, struct digest *digest, int64_t *object,
			struct err *e);
void store_cache_close(struct store *st);
void store_cache_forget(struct store *st, const struct digest *d);

/* Rows of a list, read with one function per entity. */
#define STORE_LIST(q, limit, out, read)                           \
	({                                                        \
		int n_ = 0, more_;                                \
		while (n_ < (limit) && (more_ = sql_row(q)) == 1) \
			read(q, &(out)[n_++]);                    \
		sql_end(q) == 0 ? n_ : -1;                        \
	})
/* At most one row: 1/0/-1. */
#define STORE_ONE(q, out, read)                \
	({                                     \
		int found_ = sql_row(q);       \
		if (found_ == 1)               \
			read(q, out);          \
		sql_end(q) == 0 ? found_ : -1; \
	})

#endif
