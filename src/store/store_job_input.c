/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

int store_job_input_add(struct store *st, int64_t job, const struct job_input *in, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_INPUT_ADD, e);
	sql_int(&q, job);
	sql_int(&q, in->media);
	sql_text(&q, in->scope);
	sql_slice(&q, in->body);
	return sql_run(&q);
}

static int copy(struct arena *a, struct slice from, struct slice *to, struct err *e)
{
	const void *p = arena_copy(a, from.p, from.n);

	*to = slice_of(p, p ? from.n : 0);
	return p ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for a job's input");
}

int store_job_input_get(struct store *st, int64_t job, struct arena *a, struct job_input *out,
			struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_INPUT_GET, e);
	sql_int(&q, job);
	int found = sql_row(&q);
	if (found == 1) {
		out->media = sql_get_int(&q);
		sql_get_text(&q, out->scope, sizeof(out->scope));
		if (copy(a, sql_get_slice(&q), &out->body, e) != 0 ||
		    copy(a, sql_get_slice(&q), &out->errors, e) != 0)
			found = -1;
	}
	return sql_end(&q) == 0 ? found : -1;
}

int store_job_input_scope(struct store *st, int64_t job, char scope[FILTER_TEXT], struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_INPUT_SCOPE, e);
	sql_int(&q, job);
	int found = sql_row(&q);
	if (found == 1)
		sql_get_text(&q, scope, FILTER_TEXT);
	return sql_end(&q) == 0 ? found : -1;
}

int store_job_input_errors(struct store *st, int64_t job, struct slice errors, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_INPUT_ERRORS, e);
	sql_slice(&q, errors);
	sql_int(&q, job);
	return store_expect_one(sql_changed(&q), "job's input", e);
}

int store_job_input_done(struct store *st, int64_t job, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_JOB_INPUT_DONE, e);
	sql_int(&q, job);
	return sql_run(&q);
}
