/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

#define MISSING_SHOWN 16

int release_of_text(struct call *c, const char *text, struct release *out, struct err *e)
{
	int64_t id;
	int rc = 0;

	/* a name may be all digits: the number is tried first, then the name */
	if (text_i64(slice_str(text), &id) == 0 && id > 0)
		rc = store_release_get(c->tk.st, id, out, e);
	if (rc == 0)
		rc = store_release_by_name(c->tk.st, text, out, e);
	return found_or(rc, e, "release");
}

int hole_release(struct call *c, unsigned i, struct release *out, struct err *e)
{
	char text[NAME_TEXT];

	if (hole_text(c, i, text, sizeof(text), e) != 0)
		return -1;
	return release_of_text(c, text, out, e);
}

static void put_release(struct call *c, struct doc *d, const struct release *r)
{
	struct arena *a = c->tk.a;

	doc_add_int(a, d, "id", r->id);
	doc_add_text(a, d, "name", r->name);
	doc_add_digest(a, d, "manifest", &r->manifest);
	doc_add_text(a, d, "state", release_state_word(r->state));
	doc_add_bool(a, d, "published", r->published);
	doc_put_uuid(a, d, "vendor_id", &r->vendor_id);
	doc_put_uuid(a, d, "class_id", &r->class_id);
	doc_add_text(a, d, "manufacturer", r->manufacturer);
	doc_add_text(a, d, "model", r->model);
	doc_add_text(a, d, "version", r->version);
	doc_add_u64(a, d, "sequence", r->sequence);
	doc_add_text(a, d, "urgency", urgency_word(r->urgency));
	doc_add_text(a, d, "urgency_by", r->urgency_by);
	doc_add_text(a, d, "by", r->by);
	doc_add_text(a, d, "approved_by", r->approved_by[0] ? r->approved_by : NULL);
	doc_add_time(a, d, "created", r->created);
	doc_add_time(a, d, "approved", r->approved);
}

/* Whether every image is here, looked up now: images come after manifests. */
static int put_missing(struct call *c, struct doc *d, const struct release *r, struct err *e)
{
	struct digest missing[MISSING_SHOWN];
	int n = release_missing(&c->tk, r, missing, MISSING_SHOWN, e);
	char hex[DIGEST_TEXT];

	if (n < 0)
		return -1;
	doc_add_bool(c->tk.a, d, "complete", n == 0);
	struct doc *list = doc_array(c->tk.a, d, "missing");
	for (int i = 0; i < n && i < MISSING_SHOWN; i++) {
		digest_text(hex, &missing[i]);
		doc_add_text(c->tk.a, list, NULL, hex);
	}
	return 0;
}

static int reply_release(struct call *c, uint16_t status, const struct release *r, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct release now;

	/* as the row is now: a verb has moved its version on */
	if (found_or(store_release_get(c->tk.st, r->id, &now, e), e, "release") != 0)
		return -1;
	put_release(c, d, &now);
	if (put_missing(c, d, &now, e) != 0)
		return -1;
	if (etag_of_version(&c->rs->etag, "release", now.id, now.etag) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	return reply_doc(c, status, d, e);
}

int svc_release_add(struct call *c, struct err *e)
{
	static const char *const members[] = { "manifest", "name", NULL };
	struct doc_reader r;
	struct digest manifest;
	struct release out;
	char name[NAME_TEXT] = "";

	memset(&out, 0, sizeof(out));
	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_digest(&r, "manifest", &manifest);
	doc_opt_text(&r, "name", name, sizeof(name));
	if (doc_read_end(&r) != 0)
		return -1;
	if (name[0] && !name_valid(slice_str(name)))
		return err_set(e, ERR_INVALID, "name: 1-64 of letters, digits and ._:+-");
	if (name_is_number(slice_str(name)))
		return err_set(e, ERR_INVALID,
			       "name: digits alone are a number: it needs a letter");
	if (release_add(&c->tk, &manifest, name[0] ? name : NULL, &out, e) != 0 ||
	    reply_location(c, e, "/api/v1/releases/%" PRId64, out.id) != 0)
		return -1;
	return reply_release(c, 201, &out, e);
}

int svc_release_list(struct call *c, struct err *e)
{
	struct release *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_release_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			struct doc *d = page_item(&p);

			put_release(c, d, &rows[i]);
			if (put_missing(c, d, &rows[i], e) != 0)
				return -1;
		}
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

/* The release of the path; If-Match and If-None-Match against its version. */
static int load(struct call *c, struct release *r, bool *fresh, struct err *e)
{
	if (hole_release(c, 0, r, e) != 0)
		return -1;
	return etag_check_version(c, "release", r->id, r->etag, fresh, e);
}

int svc_release_show(struct call *c, struct err *e)
{
	struct release r;
	bool fresh;

	if (load(c, &r, &fresh, e) != 0)
		return -1;
	return reply_release(c, 200, &r, e);
}

int svc_release_edit(struct call *c, struct err *e)
{
	static const char *const members[] = { "urgency", NULL };
	struct doc_reader rd;
	struct release r;
	enum urgency u;
	char word[16] = "";
	bool fresh;

	doc_read_init(&rd, c->body, e);
	doc_only(&rd, members);
	doc_need_text(&rd, "urgency", word, sizeof(word));
	if (doc_read_end(&rd) != 0)
		return -1;
	if (urgency_parse(word, &u) != 0)
		return err_set(e, ERR_INVALID, "urgency: critical, high, normal or low");
	if (load(c, &r, &fresh, e) || release_set_urgency(&c->tk, &r, u, e))
		return -1;
	return reply_release(c, 200, &r, e);
}

/* A verb's one flag; the body may be left out. */
static int read_flag(struct call *c, const char *name, bool *v, struct err *e)
{
	const char *members[] = { name, NULL };
	struct doc_reader r;

	if (!c->body)
		return 0;
	doc_read_init(&r, c->body, e);
	if (name) {
		doc_only(&r, members);
		doc_opt_bool(&r, name, v);
	}
	return doc_read_end(&r);
}

/* Approvers are asked where policy wants a second pair of eyes, and there operators are not. */
static int may_approve(struct call *c, const struct release *r, struct err *e)
{
	if (c->tk.policy->release_approver)
		return policy_check_approver(c->who.role, c->who.name, r->by, e);
	if (c->who.role == ROLE_APPROVER)
		return err_set(e, ERR_FORBIDDEN, "policy asks for no approver of releases");
	return 0;
}

int svc_release_approve(struct call *c, struct err *e)
{
	struct release r;
	bool fresh;

	if (load(c, &r, &fresh, e) || may_approve(c, &r, e) || release_approve(&c->tk, &r, e))
		return -1;
	return reply_release(c, 200, &r, e);
}

int svc_release_publish(struct call *c, struct err *e)
{
	struct release r;
	bool on = true, fresh;

	if (read_flag(c, "published", &on, e) || load(c, &r, &fresh, e) ||
	    release_publish(&c->tk, &r, on, e))
		return -1;
	return reply_release(c, 200, &r, e);
}

int svc_release_withdraw(struct call *c, struct err *e)
{
	struct release r;
	bool floor = false, fresh;

	if (read_flag(c, "floor", &floor, e) || load(c, &r, &fresh, e) ||
	    release_withdraw(&c->tk, &r, floor, e))
		return -1;
	return reply_release(c, 200, &r, e);
}
