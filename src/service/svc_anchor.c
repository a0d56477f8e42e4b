/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "codec/suit.h"
#include "service/svc.h"

static void put_anchor(struct call *c, struct doc *d, const struct anchor *a)
{
	struct arena *m = c->tk.a;

	doc_add_int(m, d, "id", a->id);
	doc_add_text(m, d, "vendor", a->vendor);
	doc_put_uuid(m, d, "vendor_id", &a->vendor_id);
	doc_add_digest(m, d, "key_id", &a->key_id);
	doc_add_text(m, d, "alg", a->alg);
	doc_add_time(m, d, "not_before", a->not_before);
	doc_add_time(m, d, "not_after", a->not_after);
	doc_add_time(m, d, "revoked", a->revoked);
	doc_add_time(m, d, "created", a->created);
	doc_add_text(m, d, "by", a->by);
}

static int reply_anchor(struct call *c, uint16_t status, const struct anchor *a, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	put_anchor(c, d, a);
	if (etag_of_version(&c->rs->etag, "anchor", a->id, a->revoked != 0) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	return reply_doc(c, status, d, e);
}

/* The public part of a key in any form; a private one handed in by mistake is not kept. */
static int read_key(struct slice text, struct anchor *a, struct err *e)
{
	struct buf spki = BUF_INIT(sizeof(a->spki));
	struct key *k = NULL;
	int rc = -1;

	if (key_load(text, &k, e) != 0)
		return err_prefix(e, "key");
	if (key_public_spki(k, &spki, e) != 0 || spki.failed || spki.n > sizeof(a->spki)) {
		err_set(e, ERR_UNSUPPORTED, "key: larger than %zu bytes", sizeof(a->spki));
		goto out;
	}
	memcpy(a->spki, spki.p, spki.n);
	a->spki_len = (uint16_t)spki.n;
	if (key_id(k, &a->key_id) != 0) {
		err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
		goto out;
	}
	rc = text_copy(a->alg, sizeof(a->alg), key_kind_name(key_kind_of(k)));
out:
	buf_free(&spki);
	key_free(k);
	return rc;
}

static int read_vendor(struct anchor *a, struct err *e)
{
	if (uuid_parse(&a->vendor_id, slice_str(a->vendor)) == 0) {
		uuid_text(a->vendor, &a->vendor_id);
		return 0;
	}
	if (!name_valid(slice_str(a->vendor)) || suit_vendor_uuid(a->vendor, &a->vendor_id) != 0)
		return err_set(e, ERR_INVALID, "vendor: a domain name or a UUID");
	return 0;
}

static int read_time(struct doc_reader *r, const char *key, int64_t *wall_ms)
{
	char text[TEXT_TIME_SIZE + 8];

	if (!doc_opt_text(r, key, text, sizeof(text)))
		return r->failed ? -1 : 0;
	if (text_untime(slice_str(text), wall_ms) != 0)
		return err_set(r->e, ERR_INVALID, "%s: not an RFC 3339 time", key);
	return 0;
}

int svc_anchor_add(struct call *c, struct err *e)
{
	static const char *const members[] = { "vendor", "key", "not_before", "not_after", NULL };
	struct anchor a = { .created = c->tk.now.wall };
	struct doc_reader r;

	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_text(&r, "vendor", a.vendor, sizeof(a.vendor));
	const struct doc *key = doc_get(c->body, "key");
	if (doc_read_end(&r) != 0 || read_time(&r, "not_before", &a.not_before) != 0 ||
	    read_time(&r, "not_after", &a.not_after) != 0)
		return -1;
	if (!key || key->type != DOC_TEXT)
		return err_set(e, ERR_INVALID, "key: PEM text is missing");
	if (read_vendor(&a, e) != 0 || read_key(key->v.s, &a, e) != 0)
		return -1;
	if (text_copy(a.by, sizeof(a.by), c->who.name) != 0 || anchor_add(&c->tk, &a, e) != 0 ||
	    reply_location(c, e, "/api/v1/anchors/%" PRId64, a.id) != 0)
		return -1;
	return reply_anchor(c, 201, &a, e);
}

int svc_anchor_list(struct call *c, struct err *e)
{
	struct anchor *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_anchor_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			put_anchor(c, page_item(&p), &rows[i]);
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

/* All that ever changes of an anchor is that it is revoked. */
static int load(struct call *c, struct anchor *a, bool *fresh, struct err *e)
{
	int64_t id;

	if (hole_id(c, 0, &id, e) || found_or(store_anchor_get(c->tk.st, id, a, e), e, "anchor"))
		return -1;
	return etag_check_version(c, "anchor", id, a->revoked != 0, fresh, e);
}

int svc_anchor_show(struct call *c, struct err *e)
{
	struct anchor a;
	bool fresh;

	if (load(c, &a, &fresh, e) != 0)
		return -1;
	return reply_anchor(c, 200, &a, e);
}

int svc_anchor_revoke(struct call *c, struct err *e)
{
	struct anchor a;
	bool fresh;

	if (load(c, &a, &fresh, e) || anchor_revoke(&c->tk, a.id, e) ||
	    found_or(store_anchor_get(c->tk.st, a.id, &a, e), e, "anchor"))
		return -1;
	return reply_anchor(c, 200, &a, e);
}
