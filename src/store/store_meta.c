/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

int store_meta_get_int(struct store *st, const char *key, int64_t *out, struct err *e)
{
	struct sql q;
	bool set = false;

	sql_begin(&q, st, STMT_META_GET, e);
	sql_text(&q, key);
	if (sql_row(&q) == 1)
		set = sql_get_int_or_null(&q, out);
	return sql_end(&q) == 0 ? set : -1;
}

int store_meta_put_int(struct store *st, const char *key, int64_t v, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_META_PUT, e);
	sql_text(&q, key);
	sql_int(&q, v);
	sql_null(&q);
	return sql_run(&q);
}

int store_meta_get_blob(struct store *st, const char *key, uint8_t *dst, size_t cap, size_t *n,
			struct err *e)
{
	struct sql q;
	bool set = false;
	int64_t number;

	sql_begin(&q, st, STMT_META_GET, e);
	sql_text(&q, key);
	if (sql_row(&q) == 1) {
		set = !sql_get_int_or_null(&q, &number);
		*n = sql_get_blob(&q, dst, cap);
	}
	return sql_end(&q) == 0 ? set : -1;
}

int store_meta_put_blob(struct store *st, const char *key, struct slice v, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_META_PUT, e);
	sql_text(&q, key);
	sql_null(&q);
	sql_slice(&q, v);
	return sql_run(&q);
}

int store_policy_get(struct store *st, const char *name, struct arena *a, struct slice *out,
		     struct err *e)
{
	struct sql q;
	int found;

	sql_begin(&q, st, STMT_POLICY_GET, e);
	sql_text(&q, name);
	found = sql_row(&q);
	if (found == 1) {
		struct slice s = sql_get_slice(&q);
		*out = slice_of(arena_copy(a, s.p, s.n), s.n);
		if (!out->p)
			found = err_set(e, ERR_NO_MEMORY, "no memory for a policy");
	}
	return sql_end(&q) == 0 ? found : -1;
}

int store_policy_put(struct store *st, const char *name, struct slice body, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_POLICY_PUT, e);
	sql_text(&q, name);
	sql_slice(&q, body);
	return sql_run(&q);
}

int store_goods_changed(struct store *st, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_META_STIR, e);
	sql_text(&q, "store.goods");
	return sql_run(&q);
}

int store_goods_version(struct store *st, int64_t *out, struct err *e)
{
	int found = store_meta_get_int(st, "store.goods", out, e);

	if (found == 0)
		return err_set(e, ERR_INTERNAL, "the version of the goods is gone");
	return found < 0 ? -1 : 0;
}
