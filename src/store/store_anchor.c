/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void anchor_read(struct sql *q, struct anchor *a)
{
	*a = (struct anchor){ 0 };
	a->id = sql_get_int(q);
	sql_get_text(q, a->vendor, sizeof(a->vendor));
	sql_get_uuid(q, &a->vendor_id);
	sql_get_digest(q, &a->key_id);
	a->spki_len = (uint16_t)sql_get_blob(q, a->spki, sizeof(a->spki));
	sql_get_text(q, a->alg, sizeof(a->alg));
	a->not_before = sql_get_int(q);
	a->not_after = sql_get_int(q);
	a->revoked = sql_get_int(q);
	a->created = sql_get_int(q);
	sql_get_text(q, a->by, sizeof(a->by));
}

int store_anchor_add(struct store *st, struct anchor *a, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ANCHOR_ADD, e);
	sql_text(&q, a->vendor);
	sql_uuid(&q, &a->vendor_id);
	sql_digest(&q, &a->key_id);
	sql_blob(&q, a->spki, a->spki_len);
	sql_text(&q, a->alg);
	sql_int(&q, a->not_before);
	sql_int(&q, a->not_after);
	sql_int(&q, a->revoked);
	sql_int(&q, a->created);
	sql_text(&q, a->by);
	return sql_insert(&q, &a->id) == 0 ? store_goods_changed(st, e) : -1;
}

int store_anchor_get(struct store *st, int64_t id, struct anchor *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ANCHOR_GET, e);
	sql_int(&q, id);
	return STORE_ONE(&q, out, anchor_read);
}

int store_anchor_list(struct store *st, int64_t after, int limit, struct anchor *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ANCHOR_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, anchor_read);
}

int store_anchor_for_vendor(struct store *st, const struct uuid *vendor, int64_t after, int limit,
			    struct anchor *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ANCHOR_FOR_VENDOR, e);
	sql_uuid(&q, vendor);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, anchor_read);
}

int store_anchor_revoke(struct store *st, int64_t id, int64_t at, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ANCHOR_REVOKE, e);
	sql_int(&q, at);
	sql_int(&q, id);
	if (store_expect_one(sql_changed(&q), "trust anchor", e) != 0)
		return -1;
	return store_goods_changed(st, e);
}
