/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

/*
 * Each row's hash is SHA-256 over the previous row's hash and the row as text,
 * every field behind its length, so that no two rows share a text. The head is
 * kept in meta too: rows cut off at the end are noticed.
 */

#define AUDIT_HEAD_KEY "store.audit-head"
#define CANONICAL_MAX 4096

static void field(struct buf *b, const char *s)
{
	struct slice v = slice_str(s);

	buf_printf(b, "%zu:", v.n);
	buf_add_slice(b, v);
	buf_add_u8(b, '\n');
}

static int audit_hash(struct store *st, const struct audit *a, struct digest *out, struct err *e)
{
	struct buf b = BUF_INIT(CANONICAL_MAX);

	buf_add(&b, a->prev.b, sizeof(a->prev.b));
	buf_printf(&b, "%lld\n%lld\n", (long long)a->id, (long long)a->at);
	field(&b, a->who);
	field(&b, a->verb);
	field(&b, a->object);
	field(&b, a->detail);
	int result = b.failed ? err_set(e, ERR_NO_MEMORY, "no memory for an audit row")
			      : store_object_digest(st, buf_slice(&b), out, e);
	buf_free(&b);
	return result;
}

static int audit_last(struct store *st, int64_t *id, struct digest *hash, struct err *e)
{
	struct sql q;

	*id = 0;
	*hash = (struct digest){ 0 };
	sql_begin(&q, st, STMT_AUDIT_HEAD, e);
	if (sql_row(&q) == 1) {
		*id = sql_get_int(&q);
		sql_get_digest(&q, hash);
	}
	return sql_end(&q);
}

static int audit_insert(struct store *st, const struct audit *a, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_AUDIT_ADD, e);
	sql_int(&q, a->id);
	sql_int(&q, a->at);
	sql_text(&q, a->who);
	sql_text(&q, a->verb);
	sql_text(&q, a->object);
	sql_text(&q, a->detail);
	sql_digest(&q, &a->prev);
	sql_digest(&q, &a->hash);
	if (sql_run(&q) != 0)
		return -1;
	return store_meta_put_blob(st, AUDIT_HEAD_KEY, slice_of(a->hash.b, sizeof(a->hash.b)), e);
}

int store_audit_add(struct store *st, struct audit *a, struct err *e)
{
	int64_t last;
	bool own;

	if (audit_last(st, &last, &a->prev, e) != 0)
		return -1;
	a->id = last + 1;
	if (audit_hash(st, a, &a->hash, e) != 0 || store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, audit_insert(st, a, e), e);
}

static void audit_read(struct sql *q, struct audit *a)
{
	*a = (struct audit){ 0 };
	a->id = sql_get_int(q);
	a->at = sql_get_int(q);
	sql_get_text(q, a->who, sizeof(a->who));
	sql_get_text(q, a->verb, sizeof(a->verb));
	sql_get_text(q, a->object, sizeof(a->object));
	sql_get_text(q, a->detail, sizeof(a->detail));
	sql_get_digest(q, &a->prev);
	sql_get_digest(q, &a->hash);
}

int store_audit_list(struct store *st, int64_t after, int limit, struct audit *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_AUDIT_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, audit_read);
}

/* 1 the chain goes on through this row, 0 it does not, -1. */
static int audit_follows(struct store *st, const struct audit *a, int64_t id,
			 const struct digest *prev, struct err *e)
{
	struct digest hash;

	if (a->id != id || !digest_eq(&a->prev, prev))
		return 0;
	if (audit_hash(st, a, &hash, e) != 0)
		return -1;
	return digest_eq(&hash, &a->hash);
}

/* 1 the kept head is this one. */
static int head_matches(struct store *st, const struct digest *last, struct err *e)
{
	struct digest kept = { 0 };
	size_t n = 0;
	int found = store_meta_get_blob(st, AUDIT_HEAD_KEY, kept.b, sizeof(kept.b), &n, e);

	return found < 0 ? -1 : digest_eq(&kept, last);
}

/* The hash that the row behind id must continue: 1, 0 row id is not there, -1. */
static int hash_of_row(struct store *st, int64_t id, struct digest *out, struct err *e)
{
	struct audit a;

	*out = (struct digest){ 0 };
	if (id == 0)
		return 1;
	int n = store_audit_list(st, id - 1, 1, &a, e);
	if (n != 1 || a.id != id)
		return n < 0 ? -1 : 0;
	*out = a.hash;
	return 1;
}

#define VERIFY_PAGE 8

int store_audit_verify(struct store *st, int64_t after, int limit, int64_t *last, bool *end,
		       struct err *e)
{
	struct audit page[VERIFY_PAGE];
	struct digest prev;
	int want = 0, n = 0, good;

	*last = after;
	*end = false;
	good = hash_of_row(st, after, &prev, e);
	if (good != 1) {
		*last = after > 0 ? after - 1 : 0;
		return good;
	}
	for (; limit > 0; limit -= want) {
		want = limit < VERIFY_PAGE ? limit : VERIFY_PAGE;
		n = store_audit_list(st, *last, want, page, e);
		for (int i = 0; i < n; i++) {
			good = audit_follows(st, &page[i], *last + 1, &prev, e);
			if (good != 1)
				return good;
			prev = page[i].hash;
			*last += 1;
		}
		if (n < want)
			break;
	}
	*end = n < want;
	if (n < 0 || !*end)
		return n < 0 ? -1 : 1;
	return head_matches(st, &prev, e);
}
