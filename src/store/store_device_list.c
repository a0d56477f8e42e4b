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
	int n_before; /* of its values stand before the range of devices */
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
	if (!x->q.failed)
		filter_sql_bind(x->f, 0, x->n_before, &x->q);
	sql_int(&x->q, after);
	sql_int(&x->q, upto);
	if (!x->q.failed)
		filter_sql_bind(x->f, x->n_before, x->f->n_values, &x->q);
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
	"track_due, track_deadline, not_before, not_after, reason, created, changed, last_history, "
	"planned_phase) "
	"SELECT d.dev, $1, $2, 0, 'planned', 1, $3, $4, 1, 0, 0, 0, 0, 0, 0, $5, 0, 0, 0, 0, '', "
	"$6, $7, 0, ",
	7
};

static void dev_read(struct sql *q, int64_t *dev)
{
	*dev = sql_get_int(q);
}

int store_device_last(struct store *st, int64_t *dev, struct err *e)
{
	struct sql q;

	*dev = 0;
	sql_begin(&q, st, STMT_DEVICE_LAST, e);
	return STORE_ONE(&q, dev, dev_read) < 0 ? -1 : 0;
}

/* Where a look at span row ids beyond cursor ends, and the last there is. */
static int look_end(struct store *st, int64_t cursor, int span, int64_t *upto, int64_t *last,
		    struct err *e)
{
	if (store_device_last(st, last, e) < 0)
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

/* Which phase's filter is the first to take it, as a column. */
static int phase_column(struct filter_sql *fs, const struct plan_filters *f, struct err *e)
{
	bool any = false;

	for (int i = 0; i < f->n_phases; i++) {
		if (!f->phase[i])
			continue;
		buf_add_str(&fs->text, any ? " WHEN " : "CASE WHEN ");
		if (filter_sql_where(fs, f->phase[i], e) != 0)
			return err_prefix(e, "phase %d", i + 1);
		buf_printf(&fs->text, " THEN %d", i + 1);
		any = true;
	}
	buf_add_str(&fs->text, any ? " ELSE 0 END" : "0");
	return 0;
}

/* before phase_column FROM devices d WHERE ... behind */
static void plan_begin(struct query *x, struct store *st, const struct head *before,
		       const char *behind, const struct plan_filters *f, struct err *e)
{
	*x = (struct query){ .q = { .st = st, .e = e, .failed = true } };
	x->f = calloc(1, sizeof(*x->f));
	if (!x->f) {
		err_set(e, ERR_NO_MEMORY, "no memory for a filter");
		return;
	}
	struct filter_sql *fs = x->f;
	fs->text = BUF_INIT(65536);
	fs->param = before->params;
	buf_add_str(&fs->text, before->text);
	if (phase_column(fs, f, e) != 0)
		return;
	x->n_before = fs->n_values;
	/* who was not let in yet is in no rollout */
	buf_printf(&fs->text,
		   " FROM devices d WHERE d.dev > $%d AND d.dev <= $%d AND d.held_back = 0 AND ",
		   fs->param + 1, fs->param + 2);
	fs->param += 2;
	if (filter_sql_where(fs, f->target, e) != 0)
		return;
	buf_printf(&fs->text, " ORDER BY d.dev LIMIT $%d%s", fs->param + 1, behind);
	if (fs->text.failed) {
		err_set(e, ERR_TOO_LARGE, "the filters together are too long");
		return;
	}
	sql_begin_text(&x->q, st, buf_cstr(&fs->text), e);
}

/* The rows' phases are counted; how many rows. */
static int plan_rows(struct query *x, int64_t expected[PHASES_MAX])
{
	int n = 0;

	while (sql_row(&x->q) == 1) {
		int64_t phase = sql_get_int(&x->q);

		if (phase > 0 && phase <= PHASES_MAX)
			expected[phase - 1]++;
		n++;
	}
	return sql_end(&x->q) == 0 ? n : -1;
}

static void plan_bind(struct query *x, const struct update *like)
{
	sql_int_or_null(&x->q, like->rollout != 0, like->rollout);
	sql_int(&x->q, like->release);
	sql_int(&x->q, like->urgency);
	sql_text(&x->q, failure_word(FAILURE_NONE));
	sql_u64(&x->q, 0);
	sql_int(&x->q, like->created);
	sql_int(&x->q, like->changed);
}

int store_update_plan(struct store *st, const struct update *like, const struct plan_filters *f,
		      int64_t *cursor, int span, int64_t expected[PHASES_MAX], bool *done,
		      struct err *e)
{
	struct query x;
	int64_t last, upto;

	for (int i = 0; i < PHASES_MAX; i++)
		expected[i] = 0;
	if (look_end(st, *cursor, span, &upto, &last, e) != 0)
		return -1;
	/* without filters nobody needs to be told who went where */
	plan_begin(&x, st, &head_plan, f->any ? " RETURNING planned_phase" : "", f, e);
	plan_bind(&x, like);
	query_where(&x, *cursor, upto, span);
	int n = query_end(&x, f->any ? plan_rows(&x, expected) : sql_changed(&x.q));
	if (n >= 0)
		move(cursor, false, 0, upto, last, done);
	return n;
}

int store_plan_count(struct store *st, const struct plan_filters *f, int64_t *cursor, int span,
		     int64_t expected[PHASES_MAX], bool *done, struct err *e)
{
	static const struct head head = { "SELECT ", 0 };
	struct query x;
	int64_t last, upto;

	if (look_end(st, *cursor, span, &upto, &last, e) != 0)
		return -1;
	plan_begin(&x, st, &head, "", f, e);
	query_where(&x, *cursor, upto, span);
	int n = query_end(&x, plan_rows(&x, expected));
	if (n >= 0)
		move(cursor, false, 0, upto, last, done);
	return n;
}

int store_canary_used(struct store *st, struct err *e)
{
	int64_t one;
	struct sql q;

	sql_begin(&q, st, STMT_CANARY_USED, e);
	return STORE_ONE(&q, &one, dev_read);
}
