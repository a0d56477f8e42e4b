/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void update_read(struct sql *q, struct update *u)
{
	*u = (struct update){ 0 };
	u->id = sql_get_int(q);
	u->dev = sql_get_int(q);
	u->rollout = sql_get_int(q);
	u->release = sql_get_int(q);
	u->phase = sql_get_int(q);
	sql_get_word(q, update_state_parse, &u->state);
	u->urgency = (enum urgency)sql_get_int(q);
	sql_get_word(q, failure_parse, &u->failure);
	u->attempt = (uint8_t)sql_get_int(q);
	u->deferrals = (uint8_t)sql_get_int(q);
	u->charged = sql_get_bool(q);
	u->reserved = sql_get_bool(q);
	u->manifest_fetched = sql_get_bool(q);
	u->late = sql_get_bool(q);
	u->progress = (uint8_t)sql_get_int(q);
	sql_get_u64(q, &u->offer_boot);
	u->track_due = sql_get_int(q);
	u->track_deadline = sql_get_int(q);
	u->not_before = sql_get_int(q);
	u->not_after = sql_get_int(q);
	sql_get_text(q, u->reason, sizeof(u->reason));
	u->created = sql_get_int(q);
	u->changed = sql_get_int(q);
	u->row.last_history = sql_get_int(q);
	u->planned_phase = sql_get_int(q);
	u->track_changed = sql_get_int(q);
	u->row.known = true;
	u->row.state = u->state;
	u->row.urgency = u->urgency;
	u->row.track_due = u->track_due;
}

int store_update_add(struct store *st, struct update *u, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_ADD, e);
	sql_int(&q, u->dev);
	sql_int_or_null(&q, u->rollout != 0, u->rollout);
	sql_int(&q, u->release);
	sql_int(&q, u->phase);
	sql_text(&q, update_state_word(u->state));
	sql_int(&q, !update_state_terminal(u->state));
	sql_int(&q, u->urgency);
	sql_text(&q, failure_word(u->failure));
	sql_int(&q, u->attempt);
	sql_int(&q, u->deferrals);
	sql_int(&q, u->charged);
	sql_int(&q, u->reserved);
	sql_int(&q, u->manifest_fetched);
	sql_int(&q, u->late);
	sql_int(&q, u->progress);
	sql_u64(&q, u->offer_boot);
	sql_int(&q, u->track_due);
	sql_int(&q, u->track_deadline);
	sql_int(&q, u->not_before);
	sql_int(&q, u->not_after);
	sql_text(&q, u->reason);
	sql_int(&q, u->created);
	sql_int(&q, u->changed);
	sql_int(&q, u->planned_phase);
	return sql_insert(&q, &u->id);
}

static int update_one(struct store *st, enum statement id, int64_t key, struct update *out,
		      struct err *e)
{
	struct sql q;

	sql_begin(&q, st, id, e);
	sql_int(&q, key);
	return STORE_ONE(&q, out, update_read);
}

int store_update_get(struct store *st, int64_t id, struct update *out, struct err *e)
{
	return update_one(st, STMT_UPDATE_GET, id, out, e);
}

int store_update_open(struct store *st, int64_t dev, struct update *out, struct err *e)
{
	int found = update_one(st, STMT_UPDATE_RUNNING, dev, out, e);

	return found != 0 ? found : update_one(st, STMT_UPDATE_FIRST_WAITING, dev, out, e);
}

int store_update_open_list(struct store *st, int64_t dev, int limit, struct update *out,
			   struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_OPEN_LIST, e);
	sql_int(&q, dev);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, update_read);
}

int store_update_latest(struct store *st, int64_t dev, struct update *out, struct err *e)
{
	return update_one(st, STMT_UPDATE_LATEST, dev, out, e);
}

int store_update_of(struct store *st, int64_t dev, int64_t rollout, struct update *out,
		    struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_OF, e);
	sql_int(&q, dev);
	sql_int(&q, rollout);
	return STORE_ONE(&q, out, update_read);
}

/* What is indexed, as the row has it now. */
struct keys {
	enum update_state state;
	int64_t urgency, track_due;
};

static int keys_get(struct store *st, int64_t id, struct keys *k, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_KEYS, e);
	sql_int(&q, id);
	int found = sql_row(&q);
	if (found == 1) {
		sql_get_word(&q, update_state_parse, &k->state);
		k->urgency = sql_get_int(&q);
		k->track_due = sql_get_int(&q);
	}
	if (sql_end(&q) != 0)
		return -1;
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no such update");
}

static int put_due(struct store *st, const struct update *u, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_PUT_DUE, e);
	sql_int(&q, u->track_due);
	sql_int(&q, u->id);
	return sql_run(&q);
}

static void bind_plain(struct sql *q, const struct update *u)
{
	sql_text(q, failure_word(u->failure));
	sql_int(q, u->attempt);
	sql_int(q, u->deferrals);
	sql_int(q, u->charged);
	sql_int(q, u->reserved);
	sql_int(q, u->manifest_fetched);
	sql_int(q, u->late);
	sql_int(q, u->progress);
	sql_u64(q, u->offer_boot);
	sql_int(q, u->track_deadline);
	sql_int(q, u->not_before);
	sql_int(q, u->not_after);
	sql_text(q, u->reason);
	sql_int(q, u->changed);
	sql_int(q, u->track_changed);
}

static int put_changed(struct store *st, const struct update *u, const struct keys *old,
		       struct err *e)
{
	bool open = !update_state_terminal(u->state);
	bool opens =
		open == update_state_terminal(old->state) || old->urgency != (int64_t)u->urgency;
	struct sql q;

	sql_begin(&q, st,
		  opens			   ? STMT_UPDATE_PUT_OPEN
		  : old->state != u->state ? STMT_UPDATE_PUT_STATE
					   : STMT_UPDATE_PUT,
		  e);
	bind_plain(&q, u);
	if (opens || old->state != u->state)
		sql_text(&q, update_state_word(u->state));
	if (opens) {
		sql_int(&q, open);
		sql_int(&q, u->urgency);
	}
	sql_int(&q, u->id);
	if (sql_run(&q) != 0)
		return -1;
	return old->track_due != u->track_due ? put_due(st, u, e) : 0;
}

int store_update_put(struct store *st, const struct update *u, struct err *e)
{
	struct keys old = { 0 };
	bool own;

	if (keys_get(st, u->id, &old, e) != 0)
		return -1;
	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, put_changed(st, u, &old, e), e);
}

static int history_insert(struct store *st, const struct update *u, const struct history *h,
			  int64_t *id, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_HISTORY_APPEND, e);
	sql_int(&q, u->row.last_history);
	sql_int(&q, h->dev);
	sql_int(&q, h->update);
	sql_text(&q, update_state_word(h->from));
	sql_text(&q, update_state_word(h->to));
	sql_int(&q, h->inferred);
	sql_int(&q, h->late);
	sql_text(&q, h->cause);
	sql_int(&q, h->at);
	return sql_insert(&q, id);
}

/* 1 moved, 0 the row is another than the one that was read. */
static int row_move(struct store *st, const struct update *u, int64_t history, struct err *e)
{
	bool open = !update_state_terminal(u->state);
	bool opens = open == update_state_terminal(u->row.state) || u->row.urgency != u->urgency;
	struct sql q;

	sql_begin(&q, st, opens ? STMT_UPDATE_MOVE_OPEN : STMT_UPDATE_MOVE, e);
	bind_plain(&q, u);
	sql_text(&q, update_state_word(u->state));
	sql_int(&q, u->track_due);
	sql_int(&q, history);
	if (opens) {
		sql_int(&q, open);
		sql_int(&q, u->urgency);
	}
	sql_int(&q, u->id);
	sql_int(&q, u->row.last_history);
	sql_int(&q, u->row.track_due);
	sql_int(&q, u->row.urgency);
	sql_text(&q, update_state_word(u->row.state));
	return sql_changed(&q);
}

static int history_remove(struct store *st, int64_t id, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_HISTORY_REMOVE, e);
	sql_int(&q, id);
	return sql_run(&q);
}

/* 1 done, 0 to be done the long way. */
static int move_at_once(struct store *st, struct update *u, const struct history *h, struct err *e)
{
	int64_t id = 0;

	if (!u->row.known || u->state == u->row.state || u->track_due == u->row.track_due)
		return 0;
	if (history_insert(st, u, h, &id, e) != 0)
		return -1;
	int n = row_move(st, u, id, e);
	if (n == 0)
		return history_remove(st, id, e);
	if (n < 0)
		return -1;
	u->row.state = u->state;
	u->row.urgency = u->urgency;
	u->row.track_due = u->track_due;
	u->row.last_history = id;
	return 1;
}

static int move(struct store *st, struct update *u, const struct history *h, struct err *e)
{
	int rc = move_at_once(st, u, h, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	u->row.known = false;
	return store_update_put(st, u, e) != 0 ? -1 : store_history_add(st, h, e);
}

int store_update_move(struct store *st, struct update *u, const struct history *h, struct err *e)
{
	bool own;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, move(st, u, h, e), e);
}

int store_update_phase(struct store *st, int64_t id, int64_t phase, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_PHASE, e);
	sql_int(&q, phase);
	sql_int(&q, id);
	return store_expect_one(sql_changed(&q), "update", e);
}

int store_update_progress(struct store *st, int64_t id, uint8_t progress, bool manifest_fetched,
			  struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_PROGRESS, e);
	sql_int(&q, progress);
	sql_int(&q, manifest_fetched);
	sql_int(&q, id);
	return store_expect_one(sql_changed(&q), "update", e);
}

int store_update_list(struct store *st, int64_t rollout, int64_t dev, int64_t after, int limit,
		      struct update *out, struct err *e)
{
	enum statement id = rollout && dev ? STMT_UPDATE_LIST_BOTH
			    : rollout	   ? STMT_UPDATE_LIST_ROLLOUT
			    : dev	   ? STMT_UPDATE_LIST_DEV
					   : STMT_UPDATE_LIST;
	struct sql q;

	sql_begin(&q, st, id, e);
	if (dev)
		sql_int(&q, dev);
	if (rollout)
		sql_int(&q, rollout);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, update_read);
}

int store_update_by_state(struct store *st, int64_t rollout, enum update_state s, int64_t after,
			  int limit, struct update *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_BY_STATE, e);
	sql_int(&q, rollout);
	sql_text(&q, update_state_word(s));
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, update_read);
}

bool store_living_read(struct sql *q, const struct living *l)
{
	struct device d = { .contact_interval_s = sql_get_int(q) };

	sql_get_text(q, d.model, sizeof(d.model));
	sql_get_uuid(q, &d.class_id);
	return l->is(l->arg, &d, sql_get_int(q));
}

int store_update_living(struct store *st, int64_t rollout, int64_t from, int64_t upto,
			const struct living *l, int64_t *cursor, int span, bool *done,
			struct err *e)
{
	int looked = 0, living = 0;
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_LIVING, e);
	sql_int(&q, from);
	sql_int(&q, upto);
	sql_int(&q, rollout);
	sql_int(&q, *cursor);
	sql_int(&q, span);
	for (; !living && sql_row(&q) == 1; looked++) {
		*cursor = sql_get_int(&q);
		living = sql_get_int(&q) && store_living_read(&q, l);
	}
	*done = !living && looked < span;
	return sql_end(&q) == 0 ? living : -1;
}

int store_update_due(struct store *st, int64_t track, int limit, struct update *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_DUE, e);
	sql_int(&q, track);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, update_read);
}

int store_update_next_due(struct store *st, int64_t *track, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPDATE_NEXT_DUE, e);
	int found = sql_row(&q);
	if (found == 1)
		*track = sql_get_int(&q);
	return sql_end(&q) == 0 ? found : -1;
}
