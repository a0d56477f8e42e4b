/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/secret.h"
#include "service/svc.h"
#include "tracker/filter.h"

#define TOKEN_NAME_MAX 56 /* "token:" before it still fits a name */
#define DAYS_DEFAULT 365

static void put_token(struct call *c, struct doc *d, const struct token *t)
{
	struct arena *a = c->tk.a;

	doc_add_int(a, d, "id", t->id);
	doc_add_text(a, d, "name", t->name);
	doc_add_text(a, d, "role", role_word(t->role));
	doc_add_text(a, d, "scope", t->scope[0] ? t->scope : NULL);
	doc_add_time(a, d, "created", t->created);
	doc_add_time(a, d, "not_after", t->not_after);
	doc_add_time(a, d, "revoked", t->revoked);
	doc_add_text(a, d, "by", t->by);
}

/* All that ever changes of a token is that it is revoked. */
static int reply_token(struct call *c, uint16_t status, const struct token *t, const char *secret,
		       struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	put_token(c, d, t);
	if (secret)
		doc_add_text(c->tk.a, d, "token", secret);
	if (etag_of_version(&c->rs->etag, "token", t->id, t->revoked != 0) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	return reply_doc(c, status, d, e);
}

/* admin is had by local users alone, device by devices. */
static int read_role(const char *word, enum role highest, enum role *out, struct err *e)
{
	if (role_parse(word, out) != 0 || *out <= ROLE_DEVICE || *out > highest)
		return err_set(e, ERR_INVALID, "role: viewer, author, operator%s",
			       highest == ROLE_ADMIN ? ", approver or admin" : " or approver");
	return 0;
}

static int read_token(struct call *c, struct token *t, struct err *e)
{
	static const char *const members[] = { "name", "role", "days", "scope", NULL };
	int64_t days = DAYS_DEFAULT;
	struct doc_reader r;
	struct filter *f;
	char role[16] = "";

	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_text(&r, "name", t->name, TOKEN_NAME_MAX + 1);
	doc_need_text(&r, "role", role, sizeof(role));
	doc_opt_int(&r, "days", 1, 3650, &days);
	bool scoped = doc_opt_text(&r, "scope", t->scope, sizeof(t->scope));
	if (doc_read_end(&r) != 0)
		return -1;
	if (scoped && t->scope[0] == '\0')
		return err_set(e, ERR_INVALID, "scope: is empty");
	if (!name_valid(slice_str(t->name)))
		return err_set(e, ERR_INVALID, "name: 1-%d of letters, digits and ._:+-",
			       TOKEN_NAME_MAX);
	if (t->scope[0] && filter_parse(t->scope, c->tk.a, &f, e) != 0)
		return err_prefix(e, "scope");
	t->not_after = c->tk.now.wall + days * 86400000;
	return read_role(role, ROLE_APPROVER, &t->role, e);
}

int svc_token_add(struct call *c, struct err *e)
{
	struct token t = { .created = c->tk.now.wall };
	char text[SECRET_TEXT];

	if (read_token(c, &t, e) != 0)
		return -1;
	if (secret_make("ft_", text, &t.hash) != 0 || text_copy(t.by, sizeof(t.by), c->who.name))
		return err_set(e, ERR_NO_MEMORY, "no memory for the token");
	if (store_token_add(c->tk.st, &t, e) != 0)
		return taken_or(e, "token", t.name);
	if (audit_note(&c->tk, "token.add", t.name, e, "id=%" PRId64 " role=%s scope=%s", t.id,
		       role_word(t.role), t.scope[0] ? t.scope : "-") != 0 ||
	    reply_location(c, e, "/api/v1/tokens/%" PRId64, t.id) != 0)
		return -1;
	return reply_token(c, 201, &t, text, e);
}

int svc_token_list(struct call *c, struct err *e)
{
	struct token *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_token_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			put_token(c, page_item(&p), &rows[i]);
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_token_revoke(struct call *c, struct err *e)
{
	struct token t;
	char object[24];
	int64_t id;
	bool fresh;

	if (hole_id(c, 0, &id, e))
		return -1;
	int n = store_token_list(c->tk.st, id - 1, 1, &t, e);
	if (n < 0 || found_or(n == 1 && t.id == id, e, "token") != 0 ||
	    etag_check_version(c, "token", id, t.revoked != 0, &fresh, e) != 0)
		return -1;
	if (t.revoked == 0) {
		t.revoked = c->tk.now.wall;
		(void)text_format(object, sizeof(object), "%" PRId64, id);
		if (store_token_revoke(c->tk.st, id, t.revoked, e) != 0 ||
		    audit_note(&c->tk, "token.revoke", object, e, "name=%s", t.name) != 0)
			return -1;
	}
	effects_drop_token(c->tk.fx, id);
	return reply_token(c, 200, &t, NULL, e);
}

static void put_operator(struct call *c, struct doc *d, const struct operator_uid *o)
{
	struct arena *a = c->tk.a;

	doc_add_int(a, d, "uid", o->uid);
	doc_add_text(a, d, "role", role_word(o->role));
	doc_add_time(a, d, "created", o->created);
	doc_add_text(a, d, "by", o->by);
}

int svc_operator_add(struct call *c, struct err *e)
{
	static const char *const members[] = { "uid", "role", NULL };
	struct operator_uid o = { .created = c->tk.now.wall };
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	char role[16] = "", object[24];
	struct doc_reader r;
	int64_t uid = 0;

	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_int(&r, "uid", 1, UINT32_MAX - 1, &uid);
	doc_need_text(&r, "role", role, sizeof(role));
	if (doc_read_end(&r) != 0 || read_role(role, ROLE_ADMIN, &o.role, e) != 0)
		return -1;
	o.uid = (uint32_t)uid;
	(void)text_format(object, sizeof(object), "%" PRIu32, o.uid);
	if (text_copy(o.by, sizeof(o.by), c->who.name) != 0 ||
	    store_operator_put(c->tk.st, &o, e) != 0 ||
	    audit_note(&c->tk, "operator.add", object, e, "role=%s", role_word(o.role)) != 0 ||
	    reply_location(c, e, "/api/v1/operators/%" PRIu32, o.uid) != 0)
		return -1;
	put_operator(c, d, &o);
	return reply_doc(c, 201, d, e);
}

int svc_operator_list(struct call *c, struct err *e)
{
	struct operator_uid *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_operator_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			put_operator(c, page_item(&p), &rows[i]);
		if (!page_step(&p, want, n, n ? rows[n - 1].uid : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_operator_remove(struct call *c, struct err *e)
{
	struct operator_uid o;
	char object[24];
	uint64_t uid;

	if (text_u64(c->hole[0], &uid) != 0 || uid > UINT32_MAX)
		return err_set(e, ERR_NOT_FOUND, "there is no such operator");
	(void)text_format(object, sizeof(object), "%" PRIu64, uid);
	if (found_or(store_operator_get(c->tk.st, (uint32_t)uid, &o, e), e, "operator") ||
	    store_operator_remove(c->tk.st, (uint32_t)uid, e) ||
	    audit_note(&c->tk, "operator.remove", object, e, "role=%s", role_word(o.role)))
		return -1;
	return reply_empty(c, 204);
}
