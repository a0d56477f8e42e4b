/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

#define SWEEP_UPDATES 16

static void outage_read(struct sql *q, struct outage *o)
{
	*o = (struct outage){ 0 };
	o->dev = sql_get_int(q);
	o->update = sql_get_int(q);
	o->seconds = sql_get_int(q);
	o->walked = sql_get_int(q);
	o->until = sql_get_int(q);
	o->told = sql_get_int(q);
	o->acknowledged = sql_get_int(q);
}

int store_outage_add(struct store *st, const struct outage *o, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_ADD, e);
	sql_int(&q, o->dev);
	sql_int(&q, o->update);
	sql_int(&q, o->seconds);
	sql_int(&q, o->walked);
	sql_int(&q, o->until);
	sql_int(&q, o->told);
	sql_int(&q, o->acknowledged);
	return sql_changed(&q);
}

int store_outage_get(struct store *st, int64_t dev, int64_t update, struct outage *out,
		     struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_GET, e);
	sql_int(&q, dev);
	sql_int(&q, update);
	return STORE_ONE(&q, out, outage_read);
}

int store_outage_walk(struct store *st, int64_t update, struct outage *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_WALK, e);
	sql_int(&q, update);
	return STORE_ONE(&q, out, outage_read);
}

int store_outage_walked(struct store *st, const struct outage *o, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_WALKED, e);
	sql_int(&q, o->walked);
	sql_int(&q, o->dev);
	sql_int(&q, o->update);
	return sql_run(&q);
}

static int one_int(struct sql *q, int64_t *out)
{
	int found = sql_row(q);

	if (found == 1)
		*out = sql_get_int(q);
	return sql_end(q) == 0 ? found : -1;
}

int store_outage_untold(struct store *st, int64_t update, int64_t *until, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_UNTOLD, e);
	sql_int(&q, update);
	return one_int(&q, until);
}

int store_outage_untold_count(struct store *st, int64_t update, int limit, int64_t *out,
			      struct err *e)
{
	struct sql q;
	int more;

	*out = 0;
	sql_begin(&q, st, STMT_OUTAGE_UNTOLD_SOME, e);
	sql_int(&q, update);
	sql_int(&q, limit);
	while ((more = sql_row(&q)) == 1)
		++*out;
	return sql_end(&q) == 0 && more == 0 ? 0 : -1;
}

int store_outage_open_of(struct store *st, int64_t dev, int64_t after, int limit,
			 struct outage *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_OPEN_OF, e);
	sql_int(&q, dev);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, outage_read);
}

int store_outage_remove(struct store *st, int64_t dev, int64_t update, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_REMOVE, e);
	sql_int(&q, dev);
	sql_int(&q, update);
	return sql_run(&q);
}

int store_outage_told(struct store *st, int64_t dev, int64_t update, int64_t at, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_TOLD, e);
	sql_int(&q, at);
	sql_int(&q, dev);
	sql_int(&q, update);
	return sql_run(&q);
}

int store_outage_acknowledge(struct store *st, int64_t dev, int64_t update, int64_t at,
			     struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_ACKNOWLEDGE, e);
	sql_int(&q, at);
	sql_int(&q, at);
	sql_int(&q, dev);
	sql_int(&q, update);
	return sql_changed(&q);
}

int store_outage_list(struct store *st, int64_t update, int64_t after, int limit,
		      struct outage *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_LIST, e);
	sql_int(&q, update);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, outage_read);
}

int store_outage_forget(struct store *st, int64_t update, int limit, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OUTAGE_SWEEP, e);
	sql_int(&q, update);
	sql_int(&q, limit);
	return sql_changed(&q);
}

int store_outage_sweep(struct store *st, int64_t *cursor, int limit, struct err *e)
{
	int gone = 0;

	for (int i = 0; i < SWEEP_UPDATES && gone < limit; i++) {
		struct sql q;
		int64_t update = 0;

		sql_begin(&q, st, STMT_OUTAGE_NEXT, e);
		sql_int(&q, *cursor);
		int found = one_int(&q, &update);
		if (found <= 0) {
			*cursor = 0;
			return found < 0 ? -1 : gone;
		}
		int n = store_outage_forget(st, update, limit - gone, e);
		if (n < 0)
			return -1;
		gone += n;
		if (gone < limit)
			*cursor = update;
	}
	return gone;
}

static void dev_read(struct sql *q, int64_t *dev)
{
	*dev = sql_get_int(q);
}

int store_device_below(struct store *st, const char *parent, int64_t after, int limit,
		       int64_t *devs, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_BELOW, e);
	sql_text(&q, parent);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, devs, dev_read);
}
