/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void limits_read(struct sql *q, struct rollout_limits *l)
{
	l->per_minute = sql_get_int(q);
	l->max_in_flight = sql_get_int(q);
	l->link_in_flight = sql_get_int(q);
	l->bytes_per_s = sql_get_int(q);
	l->link_bytes_per_s = sql_get_int(q);
	sql_get_word(q, update_order_parse, &l->order);
	l->focus = sql_get_bool(q);
	l->force = sql_get_bool(q);
	sql_get_text(q, l->pause_at, sizeof(l->pause_at));
}

static void limits_bind(struct sql *q, const struct rollout_limits *l)
{
	sql_int(q, l->per_minute);
	sql_int(q, l->max_in_flight);
	sql_int(q, l->link_in_flight);
	sql_int(q, l->bytes_per_s);
	sql_int(q, l->link_bytes_per_s);
	sql_text(q, update_order_word(l->order));
	sql_int(q, l->focus);
	sql_int(q, l->force);
	sql_text(q, l->pause_at);
}

static void rollout_read(struct sql *q, struct rollout *r)
{
	*r = (struct rollout){ 0 };
	r->id = sql_get_int(q);
	sql_get_text(q, r->name, sizeof(r->name));
	r->release = sql_get_int(q);
	sql_get_text(q, r->target, sizeof(r->target));
	sql_get_word(q, rollout_state_parse, &r->state);
	sql_get_text(q, r->reason, sizeof(r->reason));
	r->urgency = (enum urgency)sql_get_int(q);
	r->budget = sql_get_int(q);
	r->in_flight_window = sql_get_int(q);
	r->total = sql_get_int(q);
	r->planned = sql_get_int(q);
	r->in_flight = sql_get_int(q);
	r->deferred = sql_get_int(q);
	r->failed = sql_get_int(q);
	r->succeeded = sql_get_int(q);
	r->timed_out = sql_get_int(q);
	r->ended = sql_get_int(q);
	sql_get_text(q, r->by, sizeof(r->by));
	r->created = sql_get_int(q);
	r->started = sql_get_int(q);
	r->finished = sql_get_int(q);
	r->phase = sql_get_int(q);
	r->track_due = sql_get_int(q);
	r->etag = (uint64_t)sql_get_int(q);
	limits_read(q, &r->limits);
	r->pace_tat = sql_get_int(q);
	r->bytes_tat = sql_get_int(q);
	r->auto_start = sql_get_bool(q);
	r->standing = sql_get_int(q);
	sql_get_text(q, r->approved_by, sizeof(r->approved_by));
}

static int rollout_insert(struct store *st, struct rollout *r, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_ADD, e);
	sql_text(&q, r->name);
	sql_int(&q, r->release);
	sql_text(&q, r->target);
	sql_text(&q, rollout_state_word(r->state));
	sql_text(&q, r->reason);
	sql_int(&q, r->urgency);
	sql_int(&q, r->budget);
	sql_int(&q, r->in_flight_window);
	sql_int(&q, r->total);
	sql_int(&q, r->planned);
	sql_int(&q, r->in_flight);
	sql_int(&q, r->deferred);
	sql_int(&q, r->failed);
	sql_int(&q, r->succeeded);
	sql_int(&q, r->timed_out);
	sql_int(&q, r->ended);
	sql_text(&q, r->by);
	sql_int(&q, r->created);
	sql_int(&q, r->started);
	sql_int(&q, r->finished);
	sql_int(&q, r->phase);
	sql_int(&q, r->track_due);
	sql_int(&q, (int64_t)r->etag);
	limits_bind(&q, &r->limits);
	sql_int(&q, r->auto_start);
	sql_int(&q, r->standing);
	return sql_insert(&q, &r->id);
}

static int phase_insert(struct store *st, int64_t rollout, const struct phase *p, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_PHASE_ADD, e);
	sql_int(&q, rollout);
	sql_int(&q, p->number);
	sql_int(&q, p->percent);
	sql_int(&q, p->count);
	sql_text(&q, p->filter);
	sql_int(&q, p->success_percent);
	sql_int(&q, p->soak_s);
	sql_int(&q, p->timeout_s);
	sql_int(&q, p->total);
	sql_int(&q, p->done);
	sql_int(&q, p->failed);
	sql_int(&q, p->succeeded);
	sql_int(&q, p->opened);
	sql_int(&q, p->closed);
	sql_int(&q, p->not_before);
	return sql_run(&q);
}

int store_rollout_add(struct store *st, struct rollout *r, const struct phase *p, int n_phases,
		      struct err *e)
{
	bool own;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	int result = rollout_insert(st, r, e);
	for (int i = 0; i < n_phases && result == 0; i++)
		result = phase_insert(st, r->id, &p[i], e);
	return store_atomic_end(st, own, result, e);
}

int store_rollout_get(struct store *st, int64_t id, struct rollout *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_GET, e);
	sql_int(&q, id);
	return STORE_ONE(&q, out, rollout_read);
}

int store_rollout_by_name(struct store *st, const char *name, struct rollout *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_BY_NAME, e);
	sql_text(&q, name);
	return STORE_ONE(&q, out, rollout_read);
}

int store_rollout_put(struct store *st, const struct rollout *r, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_PUT, e);
	sql_text(&q, r->target);
	sql_text(&q, rollout_state_word(r->state));
	sql_text(&q, r->reason);
	sql_int(&q, r->urgency);
	sql_int(&q, r->budget);
	sql_int(&q, r->in_flight_window);
	sql_int(&q, r->started);
	sql_int(&q, r->finished);
	sql_int(&q, r->phase);
	sql_int(&q, r->track_due);
	sql_text(&q, r->approved_by);
	sql_int(&q, r->id);
	return store_expect_one(sql_changed(&q), "rollout", e);
}

int store_rollout_list(struct store *st, int64_t after, int limit, struct rollout *out,
		       struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, rollout_read);
}

int store_rollout_due(struct store *st, int64_t track, int limit, struct rollout *out,
		      struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_DUE, e);
	sql_int(&q, track);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, rollout_read);
}

static void number_read(struct sql *q, int64_t *out)
{
	*out = sql_get_int(q);
}

int store_rollout_next_due(struct store *st, int64_t *track, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_NEXT_DUE, e);
	return STORE_ONE(&q, track, number_read);
}

int store_rollout_joinable(struct store *st, int64_t dev, int look, int64_t *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_JOINABLE, e);
	sql_int(&q, look);
	sql_int(&q, dev);
	return STORE_LIST(&q, look, out, number_read);
}

int store_rollout_by_release(struct store *st, int64_t release, int64_t after, int limit,
			     struct rollout *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_BY_RELEASE, e);
	sql_int(&q, release);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, rollout_read);
}

static void phase_read(struct sql *q, struct phase *p)
{
	*p = (struct phase){ 0 };
	p->rollout = sql_get_int(q);
	p->number = sql_get_int(q);
	p->percent = sql_get_int(q);
	p->count = sql_get_int(q);
	sql_get_text(q, p->filter, sizeof(p->filter));
	p->success_percent = sql_get_int(q);
	p->soak_s = sql_get_int(q);
	p->timeout_s = sql_get_int(q);
	p->total = sql_get_int(q);
	p->done = sql_get_int(q);
	p->failed = sql_get_int(q);
	p->succeeded = sql_get_int(q);
	p->opened = sql_get_int(q);
	p->closed = sql_get_int(q);
	p->expected = sql_get_int(q);
	p->not_before = sql_get_int(q);
	p->track_opened = sql_get_int(q);
}

int store_phase_list(struct store *st, int64_t rollout, struct phase *out, int limit, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_PHASE_LIST, e);
	sql_int(&q, rollout);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, phase_read);
}

int store_phase_put(struct store *st, const struct phase *p, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_PHASE_PUT, e);
	sql_int(&q, p->total);
	sql_int(&q, p->done);
	sql_int(&q, p->failed);
	sql_int(&q, p->succeeded);
	sql_int(&q, p->opened);
	sql_int(&q, p->closed);
	sql_int(&q, p->track_opened);
	sql_int(&q, p->rollout);
	sql_int(&q, p->number);
	return store_expect_one(sql_changed(&q), "phase", e);
}

int store_rollout_count(struct store *st, int64_t id, const struct rollout_delta *d, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_COUNT, e);
	sql_int(&q, d->total);
	sql_int(&q, d->planned);
	sql_int(&q, d->in_flight);
	sql_int(&q, d->deferred);
	sql_int(&q, d->failed);
	sql_int(&q, d->succeeded);
	sql_int(&q, d->timed_out);
	sql_int(&q, d->ended);
	sql_int(&q, id);
	return store_expect_one(sql_changed(&q), "rollout", e);
}

int store_rollout_reserve(struct store *st, int64_t id, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_RESERVE, e);
	sql_int(&q, id);
	return sql_changed(&q);
}

int store_phase_expect(struct store *st, int64_t rollout, int64_t number, int64_t delta,
		       struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_PHASE_EXPECT, e);
	sql_int(&q, delta);
	sql_int(&q, rollout);
	sql_int(&q, number);
	return sql_run(&q);
}

int store_rollout_pace(struct store *st, int64_t id, int64_t pace_tat, int64_t bytes_tat,
		       struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_PACE, e);
	sql_int(&q, pace_tat);
	sql_int(&q, bytes_tat);
	sql_int(&q, id);
	return sql_run(&q);
}

int store_rollout_failure(struct store *st, int64_t id, enum failure f, int64_t delta,
			  struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROLLOUT_FAILURE, e);
	sql_int(&q, id);
	sql_text(&q, failure_word(f));
	sql_int(&q, delta);
	sql_int(&q, delta);
	return sql_run(&q);
}

int store_rollout_failures(struct store *st, int64_t id, int64_t n[FAILURE_COUNT], struct err *e)
{
	enum failure f = FAILURE_NONE;
	struct sql q;
	int more;

	for (int i = 0; i < FAILURE_COUNT; i++)
		n[i] = 0;
	sql_begin(&q, st, STMT_ROLLOUT_FAILURES, e);
	sql_int(&q, id);
	sql_int(&q, FAILURE_COUNT);
	while ((more = sql_row(&q)) == 1) {
		sql_get_word(&q, failure_parse, &f);
		n[f] = sql_get_int(&q);
	}
	return sql_end(&q);
}
