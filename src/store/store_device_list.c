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

/* What stands before WHERE, with this many parameters. */
struct head {
	const char *text;
	int params;
};

/* head WHERE d.dev > $1 AND d.dev <= $2 AND (filter) ORDER BY d.dev LIMIT $n */
static int query_text(struct query *x, const struct head *head, const struct filter *f,
		      struct err *e)
{
	struct filter_sql *fs = x->f;

	fs->text = BUF_INIT(65536);
	fs->param = head->params + 2;
	buf_printf(&fs->text, "%s WHERE d.dev > $%d AND d.dev <= $%d AND ", head->text,
		   head->params + 1, head->params + 2);
	if (filter_sql_where(fs, f ? f : &match_all, e) != 0)
		return -1;
	buf_printf(&fs->text, " ORDER BY d.dev LIMIT $%d", fs->param + 1);
	return fs->text.failed ? err_set(e, ERR_TOO_LARGE, "the filter is too long") : 0;
}

/* Then the head's parameters are to be bound, and query_where called. */
static void query_begin(struct query *x, struct store *st, const struct head *head,
			const struct filter *f, struct err *e)
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
}

/* Whatever happens, query_end is due; a failure shows there at the latest. */
static void query_where(struct query *x, int64_t after, int64_t upto, int limit)
{
	sql_int(&x->q, after);
	sql_int(&x->q, upto);
	if (!x->q.failed)
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

static const struct head head_devices = { "SELECT " DEVICE_COLUMNS " FROM devices d", 0 };
static const struct head head_devs = { "SELECT d.dev FROM devices d", 0 };
/* a planned update for each: what is the same in all of them is said once */
static const struct head head_plan = {
	"INSERT INTO updates (dev, rollout, release, phase, state, open, urgency, failure, "
	"attempt, deferrals, charged, reserved, manifest_fetched, late, progress, offer_boot, "
	"track_due, track_deadline, not_before, not_after, reason, created, changed, last_history) "
	"SELECT d.dev, $1, $2, 0, 'planned', 1, $3, $4, 1, 0, 0, 0, 0, 0, 0, $5, 0, 0, 0, 0, '', "
	"$6, $7, 0 FROM devices d",
	7
};

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
	query_begin(&x, st, &head_devices, f, e);
	query_where(&x, *cursor, upto, limit);
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
	query_begin(&x, st, &head_devs, f, e);
	query_where(&x, *cursor, upto, limit);
	int n = query_end(&x, STORE_LIST(&x.q, limit, devs, dev_read));
	if (n >= 0)
		move(cursor, n == limit && n > 0, n > 0 ? devs[n - 1] : 0, upto, last, done);
	return n;
}

int store_device_matches(struct store *st, int64_t dev, const struct filter *f, struct err *e)
{
	struct query x;
	int64_t found;

	query_begin(&x, st, &head_devs, f, e);
	query_where(&x, dev - 1, dev, 1);
	return query_end(&x, STORE_LIST(&x.q, 1, &found, dev_read));
}

int store_update_plan(struct store *st, const struct update *like, const struct filter *f,
		      int64_t *cursor, int span, bool *done, struct err *e)
{
	struct query x;
	int64_t last, upto;

	if (look_end(st, *cursor, span, &upto, &last, e) != 0)
		return -1;
	query_begin(&x, st, &head_plan, f, e);
	sql_int_or_null(&x.q, like->rollout != 0, like->rollout);
	sql_int(&x.q, like->release);
	sql_int(&x.q, like->urgency);
	sql_text(&x.q, failure_word(FAILURE_NONE));
	sql_u64(&x.q, 0);
	sql_int(&x.q, like->created);
	sql_int(&x.q, like->changed);
	query_where(&x, *cursor, upto, span);
	int n = query_end(&x, sql_changed(&x.q));
	if (n >= 0)
		move(cursor, false, 0, upto, last, done);
	return n;
}
