/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

/* How uploads and objects end: sealed, dropped, swept. */

static int by_id(struct store *st, enum statement id, int64_t row, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, id, e);
	sql_int(&q, row);
	return sql_run(&q);
}

/* The upload's row stays and says so, until the image's row is there too. */
static int upload_sealed(struct store *st, const struct upload *u, int64_t object, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPLOAD_SEAL, e);
	sql_int(&q, object);
	sql_int(&q, (int64_t)u->offset);
	sql_int(&q, (int64_t)u->offset);
	sql_int(&q, u->id);
	return store_expect_one(sql_changed(&q), "upload", e);
}

static int seal(struct store *st, const struct upload *u, int64_t object, const struct digest *d,
		struct err *e)
{
	struct object there;
	struct sql q;
	int found = store_object_find(st, d, &there, e);

	if (found < 0)
		return -1;
	/* the same bytes are held already: these go, in slices, by the sweep */
	if (found == 1)
		return upload_sealed(st, u, there.id, e) == 0
			       ? by_id(st, STMT_OBJECT_KILL, object, e)
			       : -1;
	sql_begin(&q, st, STMT_OBJECT_SEAL, e);
	sql_digest(&q, d);
	sql_int(&q, (int64_t)u->offset);
	sql_int(&q, object);
	return sql_run(&q) == 0 ? upload_sealed(st, u, object, e) : -1;
}

/* 1 it was sealed before, *d is its digest; 0 not yet. */
static int sealed_before(struct store *st, struct upload *u, struct digest *d, struct err *e)
{
	struct sql q;
	int64_t object = 0;
	bool sealed = false;

	sql_begin(&q, st, STMT_UPLOAD_STATE, e);
	sql_int(&q, u->id);
	int found = sql_row(&q);
	if (found == 1) {
		object = sql_get_int(&q);
		sql_get_int(&q);
		sql_get_int(&q);
		sealed = sql_get_bool(&q);
	}
	if (sql_end(&q) != 0)
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "no such upload");
	if (!sealed)
		return 0;
	sql_begin(&q, st, STMT_OBJECT_SEALED, e);
	sql_int(&q, object);
	found = sql_row(&q);
	if (found == 1) {
		sql_get_digest(&q, d);
		u->offset = (uint64_t)sql_get_int(&q);
	}
	if (sql_end(&q) != 0)
		return -1;
	return found ? 1 : err_set(e, ERR_IO, "an upload's bytes are missing");
}

static int check_digest(const struct upload *u, const struct digest *d, struct err *e)
{
	char text[DIGEST_TEXT];

	if (!u->has_digest || digest_eq(&u->digest, d))
		return 0;
	digest_text(text, d);
	return err_set(e, ERR_VERIFY, "the bytes have digest %s, another was declared", text);
}

static int seal_bytes(struct store *st, struct upload *u, struct digest *d, struct err *e)
{
	int64_t object = 0;

	if (u->offset == 0)
		return err_set(e, ERR_INVALID, "an image without a byte is none");
	if (store_upload_finish(st, u, d, &object, e) != 0 || check_digest(u, d, e) != 0)
		return -1;
	if (seal(st, u, object, d, e) == 0 && store_images_commit(st, e) == 0)
		return 0;
	/* all of it or none: the upload stays as it was last made durable */
	if (st->images_open)
		store_images_rollback(st);
	return -1;
}

int store_upload_seal(struct store *st, struct upload *u, int64_t now_wall, struct image *out,
		      struct err *e)
{
	struct digest d;
	int before = sealed_before(st, u, &d, e);

	if (before < 0 || (before == 0 && seal_bytes(st, u, &d, e) != 0) ||
	    (before == 1 && check_digest(u, &d, e) != 0))
		return -1;
	return store_image_record(st, &d, u->offset, u->by, now_wall, out, e);
}

int store_upload_done(struct store *st, int64_t id, struct err *e)
{
	store_upload_forget(st, id);
	if (by_id(st, STMT_UPLOAD_DONE, id, e) != 0)
		return -1;
	return store_images_commit(st, e);
}

int store_upload_drop(struct store *st, int64_t id, struct err *e)
{
	struct sql q;
	int64_t object = 0;

	sql_begin(&q, st, STMT_UPLOAD_STATE, e);
	sql_int(&q, id);
	int found = sql_row(&q);
	if (found == 1)
		object = sql_get_int(&q);
	if (sql_end(&q) != 0)
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "no such upload");
	store_upload_forget(st, id);
	/* sealed bytes may be an image's: of those without one the sweep knows */
	if (by_id(st, STMT_UPLOAD_REMOVE, id, e) != 0 ||
	    by_id(st, STMT_OBJECT_KILL_STAGED, object, e) != 0)
		return -1;
	return store_images_commit(st, e);
}

static int drop_old(struct store *st, int64_t older_than, int limit, struct err *e)
{
	int64_t ids[64];
	struct sql q;
	int n = 0;

	if (limit > 64)
		limit = 64;
	sql_begin(&q, st, STMT_UPLOAD_OLD, e);
	sql_int(&q, older_than);
	sql_int(&q, limit);
	while (n < limit && sql_row(&q) == 1)
		ids[n++] = sql_get_int(&q);
	if (sql_end(&q) != 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (store_upload_drop(st, ids[i], e) != 0)
			return -1;
	return n;
}

struct sealed {
	int64_t id;
	struct digest digest;
};

static void sealed_read(struct sql *q, struct sealed *s)
{
	s->id = sql_get_int(q);
	sql_get_digest(q, &s->digest);
}

/* Walk the sealed objects, a few each time; what fettle.db does not refer to is dead. */
static int find_orphans(struct store *st, int limit, struct err *e)
{
	struct sealed s[64];
	struct sql q;
	uint64_t size;
	int found = 0;

	if (limit > 64)
		limit = 64;
	sql_begin(&q, st, STMT_OBJECT_SCAN, e);
	sql_int(&q, st->sweep_cursor);
	sql_int(&q, limit);
	int n = STORE_LIST(&q, limit, s, sealed_read);
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		int known = store_object_size(st, &s[i].digest, &size, e);
		if (known < 0)
			return -1;
		st->sweep_cursor = s[i].id;
		if (known)
			continue;
		store_cache_forget(st, &s[i].digest);
		if (by_id(st, STMT_OBJECT_KILL, s[i].id, e) != 0)
			return -1;
		found++;
	}
	if (n < limit)
		st->sweep_cursor = 0;
	return found;
}

/* Rows of one dead object, then itself. */
static int bury(struct store *st, int limit, struct err *e)
{
	struct sql q;
	int64_t id = 0;

	sql_begin(&q, st, STMT_OBJECT_DEAD, e);
	int found = sql_row(&q);
	if (found == 1)
		id = sql_get_int(&q);
	if (sql_end(&q) != 0 || found != 1)
		return found == 0 ? 0 : -1;
	sql_begin(&q, st, STMT_CHUNK_DELETE, e);
	sql_int(&q, store_chunk_id(id, 0));
	sql_int(&q, store_chunk_id(id + 1, 0));
	sql_int(&q, limit);
	int n = sql_changed(&q);
	if (n < 0)
		return -1;
	if (n < limit && by_id(st, STMT_OBJECT_DELETE, id, e) != 0)
		return -1;
	return n + (n < limit);
}

int store_upload_sweep(struct store *st, int64_t older_than, int limit, struct err *e)
{
	if (limit <= 0)
		return 0;
	if (st->in_batch)
		return err_set(e, ERR_INTERNAL, "the sweep runs between batches");
	int dropped = drop_old(st, older_than, limit, e);
	int orphans = dropped < 0 ? -1 : find_orphans(st, limit, e);
	int buried = orphans < 0 ? -1 : bury(st, limit, e);
	if (buried < 0 || store_images_commit(st, e) != 0)
		return -1;
	return dropped + orphans + buried;
}
