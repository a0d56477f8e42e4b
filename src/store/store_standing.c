/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void standing_read(struct sql *q, struct standing *s)
{
	int64_t urgency = 0;

	*s = (struct standing){ 0 };
	s->id = sql_get_int(q);
	sql_get_text(q, s->name, sizeof(s->name));
	s->enabled = sql_get_bool(q);
	s->has_urgency = sql_get_int_or_null(q, &urgency);
	s->urgency = (enum urgency)urgency;
	sql_get_text(q, s->spec, sizeof(s->spec));
	sql_get_text(q, s->by, sizeof(s->by));
	s->created = sql_get_int(q);
	s->etag = (uint64_t)sql_get_int(q);
}

int store_standing_add(struct store *st, struct standing *s, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_STANDING_ADD, e);
	sql_text(&q, s->name);
	sql_int(&q, s->enabled);
	sql_int_or_null(&q, s->has_urgency, s->urgency);
	sql_text(&q, s->spec);
	sql_text(&q, s->by);
	sql_int(&q, s->created);
	sql_int(&q, (int64_t)s->etag);
	return sql_insert(&q, &s->id);
}

int store_standing_get(struct store *st, int64_t id, struct standing *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_STANDING_GET, e);
	sql_int(&q, id);
	return STORE_ONE(&q, out, standing_read);
}

int store_standing_by_name(struct store *st, const char *name, struct standing *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_STANDING_BY_NAME, e);
	sql_text(&q, name);
	return STORE_ONE(&q, out, standing_read);
}

int store_standing_list(struct store *st, int64_t after, int limit, struct standing *out,
			struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_STANDING_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, standing_read);
}

int store_standing_put(struct store *st, const struct standing *s, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_STANDING_PUT, e);
	sql_int(&q, s->enabled);
	sql_int_or_null(&q, s->has_urgency, s->urgency);
	sql_text(&q, s->spec);
	sql_int(&q, s->id);
	return store_expect_one(sql_changed(&q), "standing rollout", e);
}

int store_standing_remove(struct store *st, int64_t id, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_STANDING_REMOVE, e);
	sql_int(&q, id);
	return store_expect_one(sql_changed(&q), "standing rollout", e);
}

int store_standing_next(struct store *st, enum urgency u, int64_t after, struct standing *out,
			struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_STANDING_NEXT, e);
	sql_int(&q, after);
	sql_int(&q, u);
	return STORE_ONE(&q, out, standing_read);
}
