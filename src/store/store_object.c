/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/sql.h"

/* Bytes by digest in images.db, and which of them fettle.db refers to. */

int64_t store_chunk_id(int64_t object, uint64_t n)
{
	return object * 16777216 + (int64_t)n;
}

int store_object_find(struct store *st, const struct digest *d, struct object *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OBJECT_FIND, e);
	sql_digest(&q, d);
	int found = sql_row(&q);
	if (found == 1) {
		out->id = sql_get_int(&q);
		out->size = (uint64_t)sql_get_int(&q);
	}
	return sql_end(&q) == 0 ? found : -1;
}

int store_object_size(struct store *st, const struct digest *d, uint64_t *size, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OBJECT_KNOWN, e);
	sql_digest(&q, d);
	sql_digest(&q, d);
	int found = sql_row(&q);
	if (found == 1)
		*size = (uint64_t)sql_get_int(&q);
	return sql_end(&q) == 0 ? found : -1;
}

int store_object_digest(struct store *st, struct slice bytes, struct digest *out, struct err *e)
{
	if (!st->hash.begin)
		return err_set(e, ERR_INTERNAL, "the store was given no hash");
	void *h = st->hash.begin();
	if (!h)
		return err_set(e, ERR_NO_MEMORY, "no memory for a hash");
	if (st->hash.add(h, bytes) != 0) {
		st->hash.drop(h);
		return err_set(e, ERR_INTERNAL, "cannot hash");
	}
	return st->hash.end(h, out) == 0 ? 0 : err_set(e, ERR_INTERNAL, "cannot hash");
}

static int object_stage(struct store *st, int64_t *id, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OBJECT_STAGE, e);
	return sql_insert(&q, id);
}

static int object_seal(struct store *st, int64_t id, const struct digest *d, uint64_t size,
		       struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OBJECT_SEAL, e);
	sql_digest(&q, d);
	sql_int(&q, (int64_t)size);
	sql_int(&q, id);
	return sql_run(&q);
}

static int chunks_put(struct store *st, int64_t object, struct slice bytes, struct err *e)
{
	for (uint64_t n = 0; bytes.n > 0; n++) {
		size_t part = bytes.n < STORE_CHUNK ? bytes.n : STORE_CHUNK;
		struct sql q;

		sql_begin(&q, st, STMT_CHUNK_PUT, e);
		sql_int(&q, store_chunk_id(object, n));
		sql_blob(&q, bytes.p, part);
		if (sql_run(&q) != 0)
			return -1;
		bytes = slice_of(bytes.p + part, bytes.n - part);
	}
	return 0;
}

/*
 * In a batch the transaction on images.db stays open until the batch commits,
 * just before fettle.db does. A handler that is rolled back leaves an object
 * nobody refers to, which the sweep removes.
 */
int store_object_add(struct store *st, const struct digest *d, struct slice bytes, struct err *e)
{
	struct object o;
	int64_t id = 0;
	int found = store_object_find(st, d, &o, e);

	if (found != 0)
		return found < 0 ? -1 : 0;
	if (object_stage(st, &id, e) != 0 || chunks_put(st, id, bytes, e) != 0 ||
	    object_seal(st, id, d, bytes.n, e) != 0)
		return -1;
	return st->in_batch ? 0 : store_images_commit(st, e);
}
