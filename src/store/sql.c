/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/sql.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void fail(struct sql *q, int rc)
{
	if (!q->failed)
		store_sqlite_failed(q->st, q->db, rc, false, q->e);
	q->failed = true;
}

static sqlite3_stmt *prepare(struct sql *q, const char *text)
{
	sqlite3_stmt *s = NULL;

	if (!q->st->db[q->db]) {
		err_set(q->e, ERR_INTERNAL, "this database is not open");
		q->failed = true;
		return NULL;
	}
	int rc =
		sqlite3_prepare_v3(q->st->db[q->db], text, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
	if (rc != SQLITE_OK)
		fail(q, rc);
	return s;
}

void sql_begin(struct sql *q, struct store *st, enum statement id, struct err *e)
{
	*q = (struct sql){ .st = st, .e = e, .db = store_statements[id].db };
	if (!st->stmts[id])
		st->stmts[id] = prepare(q, store_statements[id].text);
	q->s = st->stmts[id];
	q->failed = !q->s;
}

void sql_begin_text(struct sql *q, struct store *st, const char *text, struct err *e)
{
	struct dynamic *oldest = &st->dynamic[0];

	*q = (struct sql){ .st = st, .e = e, .db = DB_MAIN };
	for (size_t i = 0; i < STORE_DYNAMIC; i++) {
		struct dynamic *d = &st->dynamic[i];
		if (d->text && strcmp(d->text, text) == 0) {
			d->used = ++st->dynamic_clock;
			q->s = d->s;
			return;
		}
		if (d->used < oldest->used)
			oldest = d;
	}
	sqlite3_finalize(oldest->s);
	free(oldest->text);
	*oldest = (struct dynamic){ .text = strdup(text) };
	if (!oldest->text) {
		err_set(e, ERR_NO_MEMORY, "no memory for a query");
		q->failed = true;
		return;
	}
	q->s = oldest->s = prepare(q, text);
	if (!q->s) {
		free(oldest->text);
		oldest->text = NULL;
		return;
	}
	oldest->used = ++st->dynamic_clock;
}

void sql_int(struct sql *q, int64_t v)
{
	if (q->failed)
		return;
	int rc = sqlite3_bind_int64(q->s, ++q->param, v);
	if (rc != SQLITE_OK)
		fail(q, rc);
}

void sql_int_or_null(struct sql *q, bool set, int64_t v)
{
	if (set)
		sql_int(q, v);
	else
		sql_null(q);
}

void sql_text(struct sql *q, const char *s)
{
	if (q->failed)
		return;
	int rc = sqlite3_bind_text(q->s, ++q->param, s, -1, SQLITE_STATIC);
	if (rc != SQLITE_OK)
		fail(q, rc);
}

void sql_blob(struct sql *q, const void *p, size_t n)
{
	if (q->failed)
		return;
	/* a NULL pointer would bind NULL, not the empty blob */
	int rc = sqlite3_bind_blob64(q->s, ++q->param, n ? p : "", n, SQLITE_STATIC);
	if (rc != SQLITE_OK)
		fail(q, rc);
}

void sql_null(struct sql *q)
{
	if (q->failed)
		return;
	int rc = sqlite3_bind_null(q->s, ++q->param);
	if (rc != SQLITE_OK)
		fail(q, rc);
}

void sql_slice(struct sql *q, struct slice s)
{
	sql_blob(q, s.p, s.n);
}

void sql_digest(struct sql *q, const struct digest *d)
{
	sql_blob(q, d->b, sizeof(d->b));
}

void sql_uuid(struct sql *q, const struct uuid *u)
{
	if (u->set)
		sql_blob(q, u->b, sizeof(u->b));
	else
		sql_null(q);
}

void u64_to_bytes(uint8_t dst[8], uint64_t v)
{
	for (int i = 7; i >= 0; i--) {
		dst[i] = (uint8_t)v;
		v >>= 8;
	}
}

uint64_t u64_from_bytes(const uint8_t src[8])
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | src[i];
	return v;
}

void sql_u64(struct sql *q, uint64_t v)
{
	if (q->n_seq == sizeof(q->seq) / sizeof(q->seq[0])) {
		err_set(q->e, ERR_INTERNAL, "too many 64-bit parameters");
		q->failed = true;
		return;
	}
	uint8_t *to = q->seq[q->n_seq++];
	u64_to_bytes(to, v);
	sql_blob(q, to, 8);
}

void sql_u64_or_null(struct sql *q, bool set, uint64_t v)
{
	if (set)
		sql_u64(q, v);
	else
		sql_null(q);
}

int sql_row(struct sql *q)
{
	if (q->failed)
		return -1;
	if (!q->begun && !sqlite3_stmt_readonly(q->s) &&
	    store_write_begin(q->st, q->db, q->e) != 0) {
		q->failed = true;
		return -1;
	}
	q->begun = true;
	q->column = 0;
	int rc = sqlite3_step(q->s);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	fail(q, rc);
	return -1;
}

void sql_bad_row(struct sql *q)
{
	if (!q->failed)
		err_set(q->e, ERR_INTERNAL, "a row makes no sense (column %d of: %.100s)",
			q->column, sqlite3_sql(q->s));
	q->failed = true;
}

int64_t sql_get_int(struct sql *q)
{
	return q->failed ? 0 : sqlite3_column_int64(q->s, q->column++);
}

bool sql_get_bool(struct sql *q)
{
	return sql_get_int(q) != 0;
}

bool sql_get_int_or_null(struct sql *q, int64_t *out)
{
	bool null = q->failed || sqlite3_column_type(q->s, q->column) == SQLITE_NULL;

	*out = sql_get_int(q);
	return !null;
}

const char *sql_get_word_text(struct sql *q)
{
	return q->failed ? NULL : (const char *)sqlite3_column_text(q->s, q->column++);
}

void sql_get_text(struct sql *q, char *dst, size_t cap)
{
	const char *s = sql_get_word_text(q);

	if (text_copy(dst, cap, s ? s : "") != 0)
		sql_bad_row(q);
}

struct slice sql_get_slice(struct sql *q)
{
	if (q->failed)
		return slice_of(NULL, 0);
	/* this order: _blob may convert, _bytes is of the converted value */
	const void *p = sqlite3_column_blob(q->s, q->column);
	int n = sqlite3_column_bytes(q->s, q->column);
	q->column++;
	return slice_of(p, p ? (size_t)n : 0);
}

size_t sql_get_blob(struct sql *q, void *dst, size_t cap)
{
	struct slice s = sql_get_slice(q);

	if (s.n > cap) {
		sql_bad_row(q);
		return 0;
	}
	if (s.n)
		memcpy(dst, s.p, s.n);
	return s.n;
}

bool sql_get_exact(struct sql *q, void *dst, size_t n)
{
	struct slice s = sql_get_slice(q);

	memset(dst, 0, n);
	if (s.n == 0)
		return false;
	if (s.n == n)
		memcpy(dst, s.p, n);
	else
		sql_bad_row(q);
	return true;
}

void sql_get_digest(struct sql *q, struct digest *d)
{
	sql_get_exact(q, d->b, sizeof(d->b));
}

void sql_get_uuid(struct sql *q, struct uuid *u)
{
	u->set = sql_get_exact(q, u->b, sizeof(u->b));
}

bool sql_get_u64(struct sql *q, uint64_t *out)
{
	uint8_t b[8];
	bool set = sql_get_exact(q, b, sizeof(b));

	*out = u64_from_bytes(b);
	return set;
}

int sql_end(struct sql *q)
{
	if (q->s) {
		/*
		 * The failure, if any, was told by the step. What is bound may be stale now:
		 * every parameter is bound anew before the next step.
		 */
		sqlite3_reset(q->s);
	}
	return q->failed ? -1 : 0;
}

int sql_run(struct sql *q)
{
	while (sql_row(q) == 1)
		;
	return sql_end(q);
}

int sql_insert(struct sql *q, int64_t *id)
{
	if (sql_run(q) != 0)
		return -1;
	*id = sqlite3_last_insert_rowid(q->st->db[q->db]);
	return 0;
}

int sql_inserted(struct sql *q, int64_t *id)
{
	int n = sql_changed(q);

	if (n == 1)
		*id = sqlite3_last_insert_rowid(q->st->db[q->db]);
	return n;
}

int sql_changed(struct sql *q)
{
	return sql_run(q) != 0 ? -1 : sqlite3_changes(q->st->db[q->db]);
}
