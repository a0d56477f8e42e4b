/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "service/svc.h"
#include "tracker/tracker.h"

static void put_image(struct call *c, struct doc *d, const struct image *i)
{
	struct arena *a = c->tk.a;

	doc_add_digest(a, d, "digest", &i->digest);
	doc_add_u64(a, d, "size", i->size);
	doc_add_time(a, d, "created", i->created);
	doc_add_text(a, d, "by", i->by);
}

int reply_image(struct call *c, uint16_t status, const struct image *i, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	char hex[DIGEST_TEXT];

	put_image(c, d, i);
	digest_text(hex, &i->digest);
	if (status == 201 && reply_location(c, e, "/api/v1/images/%s", hex) != 0)
		return -1;
	return reply_doc(c, status, d, e);
}

int svc_image_list(struct call *c, struct err *e)
{
	struct image *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	int64_t ids[PAGE_ROWS];
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_image_list(c->tk.st, p.after, want, ids, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			put_image(c, page_item(&p), &rows[i]);
		if (!page_step(&p, want, n, n ? ids[n - 1] : 0))
			break;
	}
	return page_end(&p, e);
}

static int load(struct call *c, struct image *i, struct err *e)
{
	struct digest d;

	if (hole_digest(c, 0, &d, e) != 0)
		return -1;
	return found_or(store_image_get(c->tk.st, &d, i, e), e, "image");
}

int svc_image_show(struct call *c, struct err *e)
{
	struct image i;

	if (load(c, &i, e) != 0)
		return -1;
	return reply_image(c, 200, &i, e);
}

int svc_image_content(struct call *c, struct err *e)
{
	struct image i;

	if (load(c, &i, e) != 0)
		return -1;
	if (!i.sealed)
		return err_set(e, ERR_NOT_FOUND, "the image is not whole");
	/* the session proved nothing when a token asked: this answer only */
	return reply_object(c, &i.digest, MEDIA_OCTETS, true, c->rq->token.n ? 1 : 60000, e);
}

int svc_image_remove(struct call *c, struct err *e)
{
	char hex[DIGEST_TEXT];
	struct image i;

	if (load(c, &i, e) != 0)
		return -1;
	digest_text(hex, &i.digest);
	if (store_image_remove(c->tk.st, &i.digest, e) != 0 ||
	    audit_note(&c->tk, "image.remove", hex, e, "size=%llu", (unsigned long long)i.size) !=
		    0)
		return -1;
	effects_withdraw(c->tk.fx, &i.digest);
	return reply_empty(c, 204);
}
