/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"
#include "store/rows.h"
#include "store/sql.h"

static void image_read(struct sql *q, struct image *i)
{
	*i = (struct image){ .sealed = true };
	sql_get_int(q);
	sql_get_digest(q, &i->digest);
	i->size = (uint64_t)sql_get_int(q);
	i->created = sql_get_int(q);
	sql_get_text(q, i->by, sizeof(i->by));
}

int store_image_get(struct store *st, const struct digest *d, struct image *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IMAGE_GET, e);
	sql_digest(&q, d);
	return STORE_ONE(&q, out, image_read);
}

int store_image_list(struct store *st, int64_t after, int limit, int64_t *ids, struct image *out,
		     struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_IMAGE_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	for (; n < limit && sql_row(&q) == 1; n++) {
		ids[n] = sql_get_int(&q);
		q.column = 0;
		image_read(&q, &out[n]);
	}
	return sql_end(&q) == 0 ? n : -1;
}

int store_image_record(struct store *st, const struct digest *d, uint64_t size, const char *by,
		       int64_t now_wall, struct image *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IMAGE_ADD, e);
	sql_digest(&q, d);
	sql_int(&q, (int64_t)size);
	sql_int(&q, now_wall);
	sql_text(&q, by);
	if (sql_run(&q) != 0)
		return -1;
	int found = store_image_get(st, d, out, e);
	if (found == 0)
		return err_set(e, ERR_INTERNAL, "an image that was just stored is not there");
	return found < 0 ? -1 : 0;
}

int store_image_add(struct store *st, struct slice bytes, const char *by, int64_t now_wall,
		    struct image *out, struct err *e)
{
	struct digest d;

	if (store_object_digest(st, bytes, &d, e) != 0 || store_object_add(st, &d, bytes, e) != 0)
		return -1;
	return store_image_record(st, &d, bytes.n, by, now_wall, out, e);
}

/* The bytes stay until the sweep finds that nothing refers to them. */
int store_image_remove(struct store *st, const struct digest *d, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IMAGE_REFERENCED, e);
	sql_digest(&q, d);
	int used = sql_row(&q);
	if (sql_end(&q) != 0)
		return -1;
	if (used)
		return err_set(e, ERR_CONFLICT, "a manifest names this image");
	sql_begin(&q, st, STMT_IMAGE_REMOVE, e);
	sql_digest(&q, d);
	return store_expect_one(sql_changed(&q), "image", e);
}
