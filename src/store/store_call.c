/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void call_read(struct sql *q, struct device_call *c)
{
	*c = (struct device_call){ 0 };
	c->dev = sql_get_int(q);
	c->sent = sql_get_bool(q);
	c->due = sql_get_int(q);
	c->serial = sql_get_int(q);
	c->kind = (uint8_t)sql_get_int(q);
	c->want = (uint8_t)sql_get_int(q);
	c->update = sql_get_int(q);
	c->attempt = (uint8_t)sql_get_int(q);
	c->manifest = sql_get_bool(q);
	c->image = (uint8_t)sql_get_int(q);
	c->held = sql_get_int(q);
	c->applied = sql_get_bool(q);
	c->tries = (uint8_t)sql_get_int(q);
	c->runs = sql_get_bool(q);
	sql_get_text(q, c->reason, sizeof(c->reason));
}

int store_call_get(struct store *st, int64_t dev, struct device_call *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CALL_GET, e);
	sql_int(&q, dev);
	return STORE_ONE(&q, out, call_read);
}

int store_call_put(struct store *st, const struct device_call *c, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CALL_PUT, e);
	sql_int(&q, c->dev);
	sql_int(&q, c->sent);
	sql_int(&q, c->due);
	sql_int(&q, c->serial);
	sql_int(&q, c->kind);
	sql_int(&q, c->want);
	sql_int(&q, c->update);
	sql_int(&q, c->attempt);
	sql_int(&q, c->manifest);
	sql_int(&q, c->image);
	sql_int(&q, c->held);
	sql_int(&q, c->applied);
	sql_int(&q, c->tries);
	sql_int(&q, c->runs);
	sql_text(&q, c->reason);
	return sql_run(&q);
}

int store_call_remove(struct store *st, int64_t dev, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CALL_REMOVE, e);
	sql_int(&q, dev);
	return sql_run(&q);
}

int store_call_due(struct store *st, enum calls_due which, int64_t track, int limit,
		   struct device_call *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, which == CALLS_RUNNING ? STMT_CALL_DUE_RUNNING : STMT_CALL_DUE, e);
	if (which != CALLS_RUNNING)
		sql_int(&q, which == CALLS_LOST);
	sql_int(&q, track);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, call_read);
}

static int one_int(struct sql *q, int64_t *out)
{
	int found = sql_row(q);

	if (found == 1)
		*out = sql_get_int(q);
	return sql_end(q) == 0 ? found : -1;
}

int store_call_next_due(struct store *st, bool sent, int64_t *track, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CALL_NEXT_DUE, e);
	sql_int(&q, sent);
	return one_int(&q, track);
}

int store_call_sent_count(struct store *st, int64_t *out, struct err *e)
{
	struct sql q;

	*out = 0;
	sql_begin(&q, st, STMT_CALL_SENT_COUNT, e);
	return one_int(&q, out) < 0 ? -1 : 0;
}

int store_call_sent_lost(struct store *st, int64_t track, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CALL_SENT_LOST, e);
	sql_int(&q, track);
	sql_int(&q, track);
	return sql_run(&q);
}
