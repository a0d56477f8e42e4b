/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void token_read(struct sql *q, struct token *t)
{
	*t = (struct token){ 0 };
	t->id = sql_get_int(q);
	sql_get_text(q, t->name, sizeof(t->name));
	sql_get_word(q, role_parse, &t->role);
	sql_get_digest(q, &t->hash);
	sql_get_text(q, t->scope, sizeof(t->scope));
	t->created = sql_get_int(q);
	t->not_after = sql_get_int(q);
	t->revoked = sql_get_int(q);
	sql_get_text(q, t->by, sizeof(t->by));
}

int store_token_add(struct store *st, struct token *t, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_TOKEN_ADD, e);
	sql_text(&q, t->name);
	sql_text(&q, role_word(t->role));
	sql_digest(&q, &t->hash);
	sql_text(&q, t->scope);
	sql_int(&q, t->created);
	sql_int(&q, t->not_after);
	sql_int(&q, t->revoked);
	sql_text(&q, t->by);
	return sql_insert(&q, &t->id);
}

int store_token_by_hash(struct store *st, const struct digest *hash, struct token *out,
			struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_TOKEN_BY_HASH, e);
	sql_digest(&q, hash);
	return STORE_ONE(&q, out, token_read);
}

int store_token_list(struct store *st, int64_t after, int limit, struct token *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_TOKEN_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, token_read);
}

int store_token_revoke(struct store *st, int64_t id, int64_t at, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_TOKEN_REVOKE, e);
	sql_int(&q, at);
	sql_int(&q, id);
	return store_expect_one(sql_changed(&q), "token", e);
}

static void operator_read(struct sql *q, struct operator_uid *o)
{
	*o = (struct operator_uid){ 0 };
	o->uid = (uint32_t)sql_get_int(q);
	sql_get_word(q, role_parse, &o->role);
	o->created = sql_get_int(q);
	sql_get_text(q, o->by, sizeof(o->by));
}

int store_operator_get(struct store *st, uint32_t uid, struct operator_uid *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OPERATOR_GET, e);
	sql_int(&q, uid);
	return STORE_ONE(&q, out, operator_read);
}

int store_operator_put(struct store *st, const struct operator_uid *o, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OPERATOR_PUT, e);
	sql_int(&q, o->uid);
	sql_text(&q, role_word(o->role));
	sql_int(&q, o->created);
	sql_text(&q, o->by);
	return sql_run(&q);
}

int store_operator_remove(struct store *st, uint32_t uid, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OPERATOR_REMOVE, e);
	sql_int(&q, uid);
	return store_expect_one(sql_changed(&q), "operator", e);
}

int store_operator_list(struct store *st, int64_t after, int limit, struct operator_uid *out,
			struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_OPERATOR_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, operator_read);
}
