/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "store/rows.h"
#include "store/sql.h"

static int append(struct store *st, int64_t dev, const struct diag *d, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DIAG_ADD, e);
	sql_int(&q, dev);
	sql_int(&q, d->at);
	sql_int(&q, d->content_format);
	sql_slice(&q, d->body);
	if (sql_run(&q) != 0)
		return -1;
	sql_begin(&q, st, STMT_DIAG_KEEP, e);
	sql_int(&q, dev);
	sql_int(&q, dev);
	sql_int(&q, DIAGS_KEPT);
	return sql_run(&q);
}

int store_diag_add(struct store *st, int64_t dev, const struct diag *d, struct err *e)
{
	bool own;

	if (d->body.n > DIAG_MAX)
		return err_set(e, ERR_TOO_LARGE, "diagnostics: at most %d bytes", DIAG_MAX);
	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, append(st, dev, d, e), e);
}

int store_diag_list(struct store *st, int64_t dev, struct arena *a, struct diag out[DIAGS_KEPT],
		    struct err *e)
{
	struct sql q;
	int n = 0, more;
	bool room = true;

	sql_begin(&q, st, STMT_DIAG_LIST, e);
	sql_int(&q, dev);
	sql_int(&q, DIAGS_KEPT);
	while (n < DIAGS_KEPT && room && (more = sql_row(&q)) == 1) {
		struct diag *d = &out[n];

		d->id = sql_get_int(&q);
		d->at = sql_get_int(&q);
		d->content_format = (int32_t)sql_get_int(&q);
		struct slice body = sql_get_slice(&q);
		uint8_t *copy = arena_alloc(a, body.n + 1);
		room = copy != NULL;
		if (!room)
			break;
		if (body.n)
			memcpy(copy, body.p, body.n);
		d->body = slice_of(copy, body.n);
		n++;
	}
	if (sql_end(&q) != 0)
		return -1;
	return room ? n : err_set(e, ERR_NO_MEMORY, "no memory for diagnostics");
}

int store_device_ask_diag(struct store *st, int64_t dev, bool on, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_ASK_DIAG, e);
	sql_int(&q, on);
	sql_int(&q, dev);
	return store_expect_one(sql_changed(&q), "device", e);
}
