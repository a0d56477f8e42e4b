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

static int get(struct store *st, const struct digest *d, void *row, struct err *e)
{
	return store_image_get(st, d, row, e);
}

static int list(struct store *st, int64_t after, int limit, int64_t *ids, void *rows, struct err *e)
{
	return store_image_list(st, after, limit, ids, rows, e);
}

static void put(struct call *c, struct doc *d, const void *row)
{
	put_image(c, d, row);
}

static int reply(struct call *c, uint16_t status, const void *row, struct err *e)
{
	return reply_image(c, status, row, e);
}

static const struct goods goods = {
	.what = "image",
	.size = sizeof(struct image),
	.get = get,
	.list = list,
	.put = put,
	.reply = reply,
};

int svc_image_list(struct call *c, struct err *e)
{
	return goods_list(c, &goods, e);
}

int svc_image_show(struct call *c, struct err *e)
{
	return goods_show(c, &goods, e);
}

int svc_image_content(struct call *c, struct err *e)
{
	struct image i;

	if (goods_load(c, &goods, &i, e) != 0)
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

	if (goods_load(c, &goods, &i, e) != 0)
		return -1;
	digest_text(hex, &i.digest);
	if (store_image_remove(c->tk.st, &i.digest, e) != 0 ||
	    audit_note(&c->tk, "image.remove", hex, e, "size=%llu", (unsigned long long)i.size) !=
		    0)
		return -1;
	effects_withdraw(c->tk.fx, &i.digest);
	return reply_empty(c, 204);
}
