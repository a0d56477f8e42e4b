/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>

#include "store/rows.h"
#include "store/sql.h"

/*
 * Queries with a filter. They walk the devices in order of dev and stop at the
 * limit; how many rows are looked at would depend on the filter, which is why
 * that is bounded too.
 */

static const struct filter match_all = { .op = FILTER_ALL };

struct query {
	struct sql q;
	struct filter_sql *f; /* bound texts live in it */
};

/* head WHERE d.dev > $1 AND d.dev <= $2 AND (filter) ORDER BY d.dev LIMIT $n */
static int query_text(struct query *x, const char *head, const struct filter *f, struct err *e)
{
	struct filter_sql *fs = x->f;

	fs->text = BUF_INIT(65536);
	fs->param = 2;
	buf_printf(&fs->text, "%s WHERE d.dev > $1 AND d.dev <= $2 AND ", head);
	if (filter_sql_where(fs, f ? f : &match_all, e) != 0)
		return -1;
	buf_printf(&fs->text, " ORDER BY d.dev LIMIT $%d", fs->param + 1);
	return fs->text.failed ? err_set(e, ERR_TOO_LARGE, "the filter is too long") : 0;
}

/* Whatever happens, query_end is due; a failure shows there at the latest. */
static void query_begin(struct query *x, struct store *st, const char *head, const struct filter *f,
			int64_t after, int64_t upto, int limit, struct err *e)
{
	*x = (struct query){ .q = { .st = st, .e = e, .failed = true } };
	x->f = calloc(1, sizeof(*x->f));
	if (!x->f) {
		err_set(e, ERR_NO_MEMORY, "no memory for a filter");
		return;
	}
	if (query_text(x, head, f, e) != 0)
		return;
	sql_begin_text(&x->q, st, buf_cstr(&x->f->text), e);
	sql_int(&x->q, after);
	sql_int(&x->q, upto);
	filter_sql_bind(x->f, &x->q);
	sql_int(&x->q, limit);
}

static int query_end(struct query *x, int n)
{
	if (x->f)
		buf_free(&x->f->text);
	free(x->f);
	return n;
}

#define DEVICES "SELECT " DEVICE_COLUMNS " FROM devices d"
#define DEVS "SELECT d.dev FROM devices d"

static void dev_read(struct sql *q, int64_t *dev)
{
	*dev = sql_get_int(q);
}

/* Where a look at span row ids beyond cursor ends, and the last there is. */
static int look_end(struct store *st, int64_t cursor, int span, int64_t *upto, int64_t *last,
		    struct err *e)
{
	struct sql q;

	*last = 0;
	sql_begin(&q, st, STMT_DEVICE_LAST, e);
	if (STORE_ONE(&q, last, dev_read) < 0)
		return -1;
	if (__builtin_add_overflow(cursor, span, upto) || *upto > *last)
		*upto = *last;
	return 0;
}

/* A full page may have more behind its last row. */
static void move(int64_t *cursor, bool full, int64_t last_row, int64_t upto, int64_t last,
		 bool *done)
{
	*cursor = full ? last_row : upto > *cursor ? upto : *cursor;
	*done = *cursor >= last;
}

int store_device_list(struct store *st, const struct filter *f, int64_t *cursor, int span,
		      int limit, struct device *out, bool *done, struct err *e)
{
	struct query x;
	int64_t last, upto;

	if (look_end(st, *cursor, span, &upto, &last, e) != 0)
		return -1;
	query_begin(&x, st, DEVICES, f, *cursor, upto, limit, e);
	int n = query_end(&x, STORE_LIST(&x.q, limit, out, device_read));
	if (n >= 0)
		move(cursor, n == limit && n > 0, n > 0 ? out[n - 1].dev : 0, upto, last, done);
	return n;
}

int store_device_match(struct store *st, const struct filter *f, int64_t *cursor, int span,
		       int limit, int64_t *devs, bool *done, struct err *e)
{
	struct query x;
	int64_t last, upto;

	if (look_end(st, *cursor, span, &upto, &last, e) != 0)
		return -1;
	query_begin(&x, st, DEVS, f, *cursor, upto, limit, e);
	int n = query_end(&x, STORE_LIST(&x.q, limit, devs, dev_read));
	if (n >= 0)
		move(cursor, n == limit && n > 0, n > 0 ? devs[n - 1] : 0, upto, last, done);
	return n;
}

int store_device_matches(struct store *st, int64_t dev, const struct filter *f, struct err *e)
{
	struct query x;
	int64_t found;

	query_begin(&x, st, DEVS, f, dev - 1, dev, 1, e);
	return query_end(&x, STORE_LIST(&x.q, 1, &found, dev_read));
}
