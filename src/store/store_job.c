/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void job_read(struct sql *q, struct job *j)
{
	*j = (struct job){ 0 };
	j->id = sql_get_int(q);
	sql_get_text(q, j->kind, sizeof(j->kind));
	j->ref = sql_get_int(q);
	j->cursor = sql_get_int(q);
	j->done = sql_get_int(q);
	j->total = sql_get_int(q);
	sql_get_word(q, job_state_parse, &j->state);
	sql_get_text(q, j->by, sizeof(j->by));
	sql_get_text(q, j->result, sizeof(j->result));
	j->created = sql_get_int(q);
	j->finished = sql_get_int(q);
	j->tries = sql_get_int(q);
	j->due = sql_get_int(q);
}

int store_job_add(struct store *st, struct job *j, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_ADD, e);
	sql_text(&q, j->kind);
	sql_int(&q, j->ref);
	sql_int(&q, j->cursor);
	sql_int(&q, j->done);
	sql_int(&q, j->total);
	sql_text(&q, job_state_word(j->state));
	sql_text(&q, j->by);
	sql_text(&q, j->result);
	sql_int(&q, j->created);
	sql_int(&q, j->finished);
	sql_int(&q, j->tries);
	sql_int(&q, j->due);
	return sql_insert(&q, &j->id);
}

int store_job_get(struct store *st, int64_t id, struct job *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_GET, e);
	sql_int(&q, id);
	return STORE_ONE(&q, out, job_read);
}

static int job_update(struct store *st, const struct job *j, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_PUT, e);
	sql_int(&q, j->cursor);
	sql_int(&q, j->done);
	sql_int(&q, j->total);
	sql_text(&q, j->result);
	sql_int(&q, j->finished);
	sql_int(&q, j->tries);
	sql_int(&q, j->due);
	sql_int(&q, j->id);
	if (store_expect_one(sql_changed(&q), "job", e) != 0)
		return -1;
	sql_begin(&q, st, STMT_JOB_PUT_STATE, e);
	sql_text(&q, job_state_word(j->state));
	sql_int(&q, j->id);
	sql_text(&q, job_state_word(j->state));
	return sql_run(&q);
}

int store_job_put(struct store *st, const struct job *j, struct err *e)
{
	bool own;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, job_update(st, j, e), e);
}

int store_job_next(struct store *st, int64_t track, struct job *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_NEXT, e);
	sql_int(&q, track);
	return STORE_ONE(&q, out, job_read);
}

static void due_read(struct sql *q, int64_t *out)
{
	*out = sql_get_int(q);
}

int store_job_first_due(struct store *st, int64_t *track, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_FIRST_DUE, e);
	return STORE_ONE(&q, track, due_read) < 0 ? -1 : 0;
}

static void cursor_read(struct sql *q, int64_t *out)
{
	*out = sql_get_int(q);
}

int store_job_cursor(struct store *st, const char *kind, int64_t ref, int64_t *cursor,
		     struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_CURSOR, e);
	sql_text(&q, kind);
	sql_int(&q, ref);
	return STORE_ONE(&q, cursor, cursor_read);
}

int store_job_list(struct store *st, int64_t after, int limit, struct job *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, job_read);
}

int store_idempotency_get(struct store *st, const char *who, struct slice key,
			  const struct digest *request, uint16_t *status, struct arena *a,
			  struct slice *body, struct err *e)
{
	struct sql q;
	struct digest was;
	struct slice s;

	sql_begin(&q, st, STMT_IDEMPOTENCY_GET, e);
	sql_text(&q, who);
	sql_slice(&q, key);
	int found = sql_row(&q);
	if (found == 1) {
		sql_get_digest(&q, &was);
		*status = (uint16_t)sql_get_int(&q);
		s = sql_get_slice(&q);
		*body = slice_of(arena_copy(a, s.p, s.n), s.n);
		if (!digest_eq(&was, request))
			found = err_set(e, ERR_CONFLICT,
					"this Idempotency-Key was used for another request");
		else if (!body->p)
			found = err_set(e, ERR_NO_MEMORY, "no memory for a stored answer");
	}
	return sql_end(&q) == 0 ? found : -1;
}

int store_idempotency_put(struct store *st, const char *who, struct slice key,
			  const struct digest *request, uint16_t status, struct slice body,
			  int64_t at, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IDEMPOTENCY_PUT, e);
	sql_text(&q, who);
	sql_slice(&q, key);
	sql_digest(&q, request);
	sql_int(&q, status);
	sql_slice(&q, body);
	sql_int(&q, at);
	return sql_run(&q);
}

int store_idempotency_keep(struct store *st, const char *who, int n, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IDEMPOTENCY_KEEP, e);
	sql_text(&q, who);
	sql_text(&q, who);
	sql_int(&q, n);
	return sql_run(&q);
}

int store_idempotency_sweep(struct store *st, int64_t older_than, int limit, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IDEMPOTENCY_SWEEP, e);
	sql_int(&q, limit);
	sql_int(&q, older_than);
	return sql_changed(&q);
}
