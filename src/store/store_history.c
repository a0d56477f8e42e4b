/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

/*
 * Rows are only appended. Each knows the one before it of the same update, and
 * the update knows the last: found from the update without an index, which
 * would cost every report of a large fleet one more page.
 */

static int append(struct store *st, const struct history *h, struct err *e)
{
	struct sql q;
	int64_t id = 0;

	sql_begin(&q, st, STMT_HISTORY_ADD, e);
	sql_int(&q, h->dev);
	sql_text(&q, update_state_word(h->from));
	sql_text(&q, update_state_word(h->to));
	sql_int(&q, h->inferred);
	sql_int(&q, h->late);
	sql_text(&q, h->cause);
	sql_int(&q, h->at);
	sql_int(&q, h->update);
	if (store_expect_one(sql_inserted(&q, &id), "update", e) != 0)
		return -1;
	sql_begin(&q, st, STMT_HISTORY_LINK, e);
	sql_int(&q, id);
	sql_int(&q, h->update);
	return sql_run(&q);
}

int store_history_add(struct store *st, const struct history *h, struct err *e)
{
	bool own;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, append(st, h, e), e);
}

static void history_read(struct sql *q, struct history *h)
{
	*h = (struct history){ 0 };
	h->id = sql_get_int(q);
	h->update = sql_get_int(q);
	h->dev = sql_get_int(q);
	sql_get_word(q, update_state_parse, &h->from);
	sql_get_word(q, update_state_parse, &h->to);
	h->inferred = sql_get_bool(q);
	h->late = sql_get_bool(q);
	sql_get_text(q, h->cause, sizeof(h->cause));
	h->at = sql_get_int(q);
}

int store_history_list(struct store *st, int64_t dev, int64_t update, int64_t after, int limit,
		       struct history *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st,
		  update ? STMT_HISTORY_OF_UPDATE
		  : dev	 ? STMT_HISTORY_OF_DEVICE
			 : STMT_HISTORY_LIST,
		  e);
	if (update || dev) {
		sql_int(&q, update ? update : dev);
		sql_int(&q, after);
	}
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, history_read);
}
