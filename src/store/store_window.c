/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "store/rows.h"
#include "store/sql.h"

/* Windows and black-outs. "store.windows" counts them: mostly there are none to ask about. */

static void window_read(struct sql *q, struct window *w)
{
	*w = (struct window){ .id = sql_get_int(q) };
	sql_get_word(q, window_level_parse, &w->level);
	w->ref = sql_get_int(q);
	sql_get_uuid(q, &w->class_id);
	sql_get_text(q, w->model, sizeof(w->model));
	w->reported = sql_get_bool(q);
	w->blackout = sql_get_bool(q);
	sql_get_text(q, w->rrule, sizeof(w->rrule));
	sql_get_text(q, w->starts, sizeof(w->starts));
	sql_get_text(q, w->zone, sizeof(w->zone));
	w->duration_s = sql_get_int(q);
	w->created = sql_get_int(q);
	sql_get_text(q, w->by, sizeof(w->by));
}

static int count_windows(struct store *st, int64_t delta, struct err *e)
{
	struct sql q;

	if (delta == 0)
		return 0;
	sql_begin(&q, st, STMT_META_ADD, e);
	sql_int(&q, delta);
	sql_text(&q, "store.windows");
	return sql_run(&q);
}

/* 1 there may be some, 0 there are none. */
static int any_windows(struct store *st, struct err *e)
{
	int64_t n = 0;

	return store_meta_get_int(st, "store.windows", &n, e) < 0 ? -1 : n > 0;
}

static int insert(struct store *st, struct window *w, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_WINDOW_ADD, e);
	sql_text(&q, window_level_word(w->level));
	sql_int(&q, w->ref);
	sql_uuid(&q, &w->class_id);
	sql_text(&q, w->model);
	sql_int(&q, w->reported);
	sql_int(&q, w->blackout);
	sql_text(&q, w->rrule);
	sql_text(&q, w->starts);
	sql_text(&q, w->zone);
	sql_int(&q, w->duration_s);
	sql_int(&q, w->created);
	sql_text(&q, w->by);
	return sql_insert(&q, &w->id);
}

/* How many of them are the operators', or the device's own, of at most 2 * WINDOWS_EACH. */
static int count_like(struct store *st, const struct window *like, struct err *e)
{
	struct window rows[2 * WINDOWS_EACH];
	int n = store_window_by_level(st, like, 0, 2 * WINDOWS_EACH, rows, e), same = 0;

	for (int i = 0; i < n; i++)
		same += rows[i].reported == like->reported;
	return n < 0 ? -1 : same;
}

int store_window_add(struct store *st, struct window *w, struct err *e)
{
	bool own;
	int n = count_like(st, w, e);

	if (n < 0)
		return -1;
	if (n >= WINDOWS_EACH)
		return err_set(e, ERR_TOO_MANY, "a %s has at most %d windows and black-outs",
			       window_level_word(w->level), WINDOWS_EACH);
	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	int result = insert(st, w, e);
	if (result == 0)
		result = count_windows(st, 1, e);
	return store_atomic_end(st, own, result, e);
}

int store_window_get(struct store *st, int64_t id, struct window *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_WINDOW_GET, e);
	sql_int(&q, id);
	return STORE_ONE(&q, out, window_read);
}

/* Run q, and count down by the rows it took. */
static int removed(struct store *st, struct sql *q, int *n, struct err *e)
{
	*n = sql_changed(q);
	return *n < 0 ? -1 : count_windows(st, -(int64_t)*n, e);
}

int store_window_remove(struct store *st, int64_t id, struct err *e)
{
	struct sql q;
	bool own;
	int n = 0;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	sql_begin(&q, st, STMT_WINDOW_REMOVE, e);
	sql_int(&q, id);
	int result = removed(st, &q, &n, e);
	if (result == 0)
		result = store_expect_one(n, "window", e);
	return store_atomic_end(st, own, result, e);
}

int store_window_forget(struct store *st, enum window_level level, int64_t ref, struct err *e)
{
	int any = any_windows(st, e), n;
	struct sql q;

	if (any <= 0)
		return any;
	sql_begin(&q, st, STMT_WINDOW_REMOVE_REF, e);
	sql_text(&q, window_level_word(level));
	sql_int(&q, ref);
	return removed(st, &q, &n, e);
}

int store_window_list(struct store *st, int64_t after, int limit, struct window *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_WINDOW_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, window_read);
}

int store_window_by_level(struct store *st, const struct window *like, int64_t after, int limit,
			  struct window *out, struct err *e)
{
	struct sql q;

	if (like->level != WINDOW_CLASS) {
		sql_begin(&q, st, STMT_WINDOW_OF_REF, e);
		sql_text(&q, window_level_word(like->level));
		sql_int(&q, like->ref);
	} else if (like->class_id.set) {
		sql_begin(&q, st, STMT_WINDOW_OF_CLASS, e);
		sql_uuid(&q, &like->class_id);
	} else {
		sql_begin(&q, st, STMT_WINDOW_OF_MODEL, e);
		sql_text(&q, like->model);
	}
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, window_read);
}

static bool same_rule(const struct window *a, const struct window *b)
{
	return a->duration_s == b->duration_s && strcmp(a->rrule, b->rrule) == 0 &&
	       strcmp(a->starts, b->starts) == 0 && strcmp(a->zone, b->zone) == 0;
}

/* Its own windows as they are: how many, or -1. */
static int reported(struct store *st, int64_t dev, struct window out[WINDOWS_EACH], struct err *e)
{
	struct window rows[2 * WINDOWS_EACH];
	const struct window like = { .level = WINDOW_DEVICE, .ref = dev };
	int n = store_window_by_level(st, &like, 0, 2 * WINDOWS_EACH, rows, e), own = 0;

	for (int i = 0; i < n && own < WINDOWS_EACH; i++)
		if (rows[i].reported)
			out[own++] = rows[i];
	return n < 0 ? -1 : own;
}

static int replace(struct store *st, int64_t dev, const struct window *w, int n, struct err *e)
{
	struct sql q;
	int gone;

	sql_begin(&q, st, STMT_WINDOW_REMOVE_REPORTED, e);
	sql_int(&q, dev);
	if (removed(st, &q, &gone, e) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		struct window row = w[i];
		row.level = WINDOW_DEVICE;
		row.ref = dev;
		row.reported = true;
		row.blackout = false;
		if (insert(st, &row, e) < 0)
			return -1;
	}
	return count_windows(st, n, e);
}

int store_window_report(struct store *st, int64_t dev, const struct window *w, int n, bool *changed,
			struct err *e)
{
	struct window rows[WINDOWS_EACH];
	bool own;
	int had = any_windows(st, e);

	if (had > 0)
		had = reported(st, dev, rows, e);
	if (had < 0)
		return -1;
	if (n > WINDOWS_EACH)
		return err_set(e, ERR_TOO_MANY, "a device has at most %d windows of its own",
			       WINDOWS_EACH);
	*changed = had != n;
	for (int i = 0; i < n && !*changed; i++)
		*changed = !same_rule(&rows[i], &w[i]);
	if (!*changed)
		return 0;
	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, replace(st, dev, w, n, e), e);
}

int store_window_concerning(struct store *st, const struct device *d, int64_t rollout, int limit,
			    struct window *out, struct err *e)
{
	int any = any_windows(st, e);
	struct sql q;

	if (any <= 0)
		return any;
	sql_begin(&q, st, STMT_WINDOW_CONCERNING, e);
	sql_int(&q, d->dev);
	sql_int(&q, d->dev);
	sql_uuid(&q, &d->class_id);
	sql_text(&q, d->model);
	sql_int(&q, rollout);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, window_read);
}
