/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "store/rows.h"
#include "store/sql.h"

#define CHILDREN_SEEN 2000 /* below one device, when one that lives is looked for */
#define BELOW_DEPTH 16

static void link_read(struct sql *q, struct link_load *l)
{
	l->in_flight = sql_get_int(q);
	l->bytes_tat = sql_get_int(q);
}

int store_link_get(struct store *st, const char *parent, struct link_load *out, struct err *e)
{
	struct sql q;

	*out = (struct link_load){ 0 };
	sql_begin(&q, st, STMT_LINK_GET, e);
	sql_text(&q, parent);
	return STORE_ONE(&q, out, link_read);
}

int store_link_move(struct store *st, int64_t dev, int delta, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_LINK_MOVE, e);
	sql_int(&q, delta);
	sql_int(&q, dev);
	sql_int(&q, delta);
	return sql_run(&q);
}

int store_link_pace(struct store *st, const char *parent, int64_t bytes_tat, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_LINK_PACE, e);
	sql_text(&q, parent);
	sql_int(&q, bytes_tat);
	return sql_run(&q);
}

static int carry(struct store *st, enum statement id, const char *parent, int64_t dev, int sign,
		 struct err *e)
{
	struct sql q;

	sql_begin(&q, st, id, e);
	sql_text(&q, parent);
	sql_int(&q, dev);
	sql_int(&q, sign);
	return sql_run(&q);
}

int store_link_carry(struct store *st, int64_t dev, const char *from, const char *to, struct err *e)
{
	const char *const ends[] = { from, to };

	for (int i = 0; i < 2; i++) {
		int sign = i == 0 ? -1 : 1;

		if (!ends[i][0])
			continue;
		/* a row that is new begins with what is carried: never where something is taken */
		if (carry(st, STMT_LINK_CARRY, ends[i], dev, sign, e) != 0 ||
		    carry(st, STMT_ROLLOUT_LINK_CARRY, ends[i], dev, sign, e) != 0)
			return -1;
	}
	return 0;
}

static void number_read(struct sql *q, int64_t *n)
{
	*n = sql_get_int(q);
}

int store_rollout_link_get(struct store *st, int64_t rollout, const char *parent, int64_t *open,
			   struct err *e)
{
	struct sql q;

	*open = 0;
	sql_begin(&q, st, STMT_ROLLOUT_LINK_GET, e);
	sql_int(&q, rollout);
	sql_text(&q, parent);
	return STORE_ONE(&q, open, number_read);
}

int store_rollout_link_move(struct store *st, int64_t rollout, int64_t dev, int delta,
			    struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_LINK_MOVE, e);
	sql_int(&q, rollout);
	sql_int(&q, delta);
	sql_int(&q, dev);
	sql_int(&q, delta);
	return sql_run(&q);
}

int store_rollout_link_fill(struct store *st, int64_t rollout, int64_t after, int64_t upto,
			    struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_LINK_FILL, e);
	sql_int(&q, after);
	sql_int(&q, upto);
	sql_int(&q, rollout);
	return sql_run(&q);
}

int store_link_waiting(struct store *st, int64_t rollout, const char *parent, int limit,
		       int64_t *devs, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_LINK_WAITING, e);
	sql_text(&q, parent);
	sql_int(&q, CHILDREN_SEEN);
	sql_int(&q, rollout);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, devs, number_read);
}

int store_below_living(struct store *st, int64_t rollout, const char *id, int64_t from,
		       int64_t upto, const struct living *l, char out[NAME_TEXT], struct err *e)
{
	bool found = false;
	struct sql q;

	sql_begin(&q, st, STMT_BELOW_LIVING, e);
	sql_text(&q, id);
	sql_int(&q, BELOW_DEPTH);
	sql_int(&q, CHILDREN_SEEN);
	sql_int(&q, rollout);
	sql_int(&q, from);
	sql_int(&q, upto);
	while (!found && sql_row(&q) == 1) {
		sql_get_text(&q, out, NAME_TEXT);
		found = sql_get_int(&q) || store_living_read(&q, l);
	}
	return sql_end(&q) == 0 ? found : -1;
}
