/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "service/svc.h"

#define STANDING_MAX 64
#define STANDING_ROWS 8 /* taken from the store at a time: each may be 8 KiB */
#define MEMBERS_ARENA (1u << 20)
#define TARGET_MAX 900 /* of 1023: the rest is for a release's class */

static int members_of(struct arena *a, const struct standing *t, const struct doc **d,
		      struct err *e)
{
	return docfmt_decode(MEDIA_JSON, slice_str(t->spec), a, d, e);
}

static int put_standing(struct call *c, struct doc *d, const struct standing *t, struct err *e)
{
	struct arena *a = c->tk.a;
	const struct doc *members;

	doc_add_int(a, d, "id", t->id);
	doc_add_text(a, d, "name", t->name);
	doc_add_bool(a, d, "enabled", t->enabled);
	doc_add_text(a, d, "urgency", t->has_urgency ? urgency_word(t->urgency) : NULL);
	doc_add_text(a, d, "by", t->by);
	doc_add_time(a, d, "created", t->created);
	if (members_of(a, t, &members, e) != 0)
		return -1;
	doc_add_copy(a, d, "rollout", members);
	return 0;
}

static int reply_standing(struct call *c, uint16_t status, int64_t id, struct err *e)
{
	struct standing *t = arena_alloc(c->tk.a, sizeof(*t));
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (!t)
		return err_set(e, ERR_NO_MEMORY, "no memory for the standing rollout");
	/* as the row is now: its version has moved on */
	if (found_or(store_standing_get(c->tk.st, id, t, e), e, "standing rollout") != 0 ||
	    put_standing(c, d, t, e) != 0)
		return -1;
	if (etag_of_version(&c->rs->etag, "standing", t->id, t->etag) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	return reply_doc(c, status, d, e);
}

/* ---- what is handed in ---- */

/* It must be good for any release: read like a rollout's members, and its target parsed. */
static int check_members(struct call *c, const struct doc *members, const struct standing *t,
			 struct err *e)
{
	struct rollout_spec *s = arena_alloc(c->tk.a, sizeof(*s));
	if (!s)
		return err_set(e, ERR_NO_MEMORY, "no memory for the rollout");
	if (doc_get(members, "name") || doc_get(members, "release"))
		return err_set(e, ERR_INVALID, "name and release come from each release");
	if (rollout_read_spec(members, s, e) != 0)
		return -1;
	if (strlen(s->target) > TARGET_MAX)
		return err_set(e, ERR_TOO_LARGE, "target: more than %d bytes", TARGET_MAX);
	if (text_copy(s->name, sizeof(s->name), t->name) != 0)
		return -1;
	return rollout_check_spec(&c->tk, s, e);
}

static int keep_members(struct call *c, const struct doc *members, struct standing *t,
			struct err *e)
{
	struct buf *b = &c->sv->scratch;

	if (check_members(c, members, t, e) != 0)
		return err_prefix(e, "rollout");
	buf_reset(b);
	if (docfmt_encode(MEDIA_JSON, members, b, e) != 0)
		return -1;
	if (text_copy_slice(t->spec, sizeof(t->spec), buf_slice(b)) != 0)
		return err_set(e, ERR_TOO_LARGE, "rollout: more than %d bytes",
			       STANDING_SPEC_TEXT - 1);
	return 0;
}

/* null: releases of any class. */
static int read_urgency(struct doc_reader *r, struct standing *t)
{
	const struct doc *d = doc_get(r->d, "urgency");
	char word[16] = "";

	if (d && d->type == DOC_NULL)
		t->has_urgency = false;
	if (!doc_opt_text(r, "urgency", word, sizeof(word)))
		return 0;
	if (urgency_parse(word, &t->urgency) != 0)
		return err_set(r->e, ERR_INVALID, "urgency: critical, high, normal or low");
	t->has_urgency = true;
	return 0;
}

static int read_standing(struct call *c, bool creating, struct standing *t, struct err *e)
{
	static const char *const members[] = { "name", "enabled", "urgency", "rollout", NULL };
	const struct doc *rollout;
	struct doc_reader r;

	doc_read_init(&r, c->body, e);
	doc_only(&r, creating ? members : members + 1);
	if (creating)
		doc_need_text(&r, "name", t->name, sizeof(t->name));
	doc_opt_bool(&r, "enabled", &t->enabled);
	rollout = doc_opt_map(&r, "rollout");
	if (read_urgency(&r, t) != 0 || doc_read_end(&r) != 0)
		return -1;
	if (creating && !name_valid(slice_str(t->name)))
		return err_set(e, ERR_INVALID, "name: 1-64 of letters, digits and ._:+-");
	if (creating && name_is_number(slice_str(t->name)))
		return err_set(e, ERR_INVALID,
			       "name: digits alone are a number: it needs a letter");
	if (creating && !rollout)
		return err_set(e, ERR_INVALID, "rollout: is missing");
	return rollout ? keep_members(c, rollout, t, e) : 0;
}

static int check_room(struct call *c, struct err *e)
{
	struct standing *rows = arena_alloc(c->tk.a, sizeof(*rows) * STANDING_ROWS);
	int64_t after = 0;
	int n = STANDING_ROWS, all = 0;

	if (!rows)
		return err_set(e, ERR_NO_MEMORY, "no memory for the standing rollouts");
	while (n == STANDING_ROWS && all < STANDING_MAX) {
		n = store_standing_list(c->tk.st, after, STANDING_ROWS, rows, e);
		if (n < 0)
			return -1;
		after = n > 0 ? rows[n - 1].id : after;
		all += n;
	}
	return all < STANDING_MAX
		       ? 0
		       : err_set(e, ERR_TOO_MANY, "at most %d standing rollouts", STANDING_MAX);
}

int svc_standing_add(struct call *c, struct err *e)
{
	struct standing *t = arena_alloc(c->tk.a, sizeof(*t));

	if (!t)
		return err_set(e, ERR_NO_MEMORY, "no memory for the standing rollout");
	t->created = c->tk.now.wall;
	if (read_standing(c, true, t, e) != 0 || check_room(c, e) != 0 ||
	    text_copy(t->by, sizeof(t->by), c->who.name) != 0)
		return -1;
	if (store_standing_add(c->tk.st, t, e) != 0)
		return taken_or(e, "standing rollout", t->name);
	if (audit_note(&c->tk, "standing.add", t->name, e, "%s%.900s",
		       t->enabled ? "enabled, " : "", t->spec) != 0 ||
	    reply_location(c, e, "/api/v1/standing-rollouts/%" PRId64, t->id) != 0)
		return -1;
	return reply_standing(c, 201, t->id, e);
}

/* ---- one of them ---- */

static int load(struct call *c, struct standing *t, struct err *e)
{
	char text[NAME_TEXT];
	int64_t id;
	bool fresh;
	int rc = 0;

	if (hole_text(c, 0, text, sizeof(text), e) != 0)
		return -1;
	if (text_i64(slice_str(text), &id) == 0 && id > 0)
		rc = store_standing_get(c->tk.st, id, t, e);
	if (rc == 0)
		rc = store_standing_by_name(c->tk.st, text, t, e);
	if (found_or(rc, e, "standing rollout") != 0)
		return -1;
	return etag_check_version(c, "standing", t->id, t->etag, &fresh, e);
}

int svc_standing_list(struct call *c, struct err *e)
{
	struct standing *rows = arena_alloc(c->tk.a, sizeof(*rows) * STANDING_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		want = want < STANDING_ROWS ? want : STANDING_ROWS;
		int n = store_standing_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			if (put_standing(c, page_item(&p), &rows[i], e) != 0)
				return -1;
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_standing_show(struct call *c, struct err *e)
{
	struct standing *t = arena_alloc(c->tk.a, sizeof(*t));

	if (!t)
		return err_set(e, ERR_NO_MEMORY, "no memory for the standing rollout");
	return load(c, t, e) != 0 ? -1 : reply_standing(c, 200, t->id, e);
}

int svc_standing_edit(struct call *c, struct err *e)
{
	struct standing *t = arena_alloc(c->tk.a, sizeof(*t));

	if (!t)
		return err_set(e, ERR_NO_MEMORY, "no memory for the standing rollout");
	if (load(c, t, e) != 0 || read_standing(c, false, t, e) != 0 ||
	    store_standing_put(c->tk.st, t, e) != 0 ||
	    audit_note(&c->tk, "standing.set", t->name, e, "%s, %.900s",
		       t->enabled ? "enabled" : "disabled", t->spec) != 0)
		return -1;
	return reply_standing(c, 200, t->id, e);
}

int svc_standing_remove(struct call *c, struct err *e)
{
	struct standing *t = arena_alloc(c->tk.a, sizeof(*t));

	if (!t)
		return err_set(e, ERR_NO_MEMORY, "no memory for the standing rollout");
	if (load(c, t, e) != 0 || store_standing_remove(c->tk.st, t->id, e) != 0 ||
	    audit_note(&c->tk, "standing.remove", t->name, e, "its rollouts stay") != 0)
		return -1;
	c->rs->etag.n = 0;
	return reply_empty(c, 204);
}

/* ---- the job ---- */

/* Many of them may be read in one slice: each gives back what its document took. */
static int read_members(struct tracker *tk, const struct standing *t, struct rollout_spec *s,
			struct err *e)
{
	struct arena a = ARENA_INIT(MEMBERS_ARENA);
	const struct doc *members;

	(void)tk;
	int rc = members_of(&a, t, &members, e);
	if (rc == 0)
		rc = rollout_read_spec(members, s, e);
	arena_free(&a);
	return rc;
}

enum step svc_standing_step(struct tracker *tk, struct job *j, struct err *e)
{
	return standing_step(tk, j, read_members, e);
}
