/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "service/svc.h"

static void put_images(struct call *c, struct doc *list, const struct manifest_image *v, int n)
{
	struct arena *a = c->tk.a;

	for (int i = 0; i < n; i++) {
		struct doc *d = doc_map(a, list, NULL);

		doc_add_text(a, d, "component", v[i].name);
		doc_add_digest(a, d, "digest", &v[i].digest);
		if (v[i].has_size)
			doc_add_u64(a, d, "size", v[i].size);
		doc_add_text(a, d, "uri", v[i].uri);
		doc_add_bool(a, d, "integrated", v[i].integrated);
		doc_add_bool(a, d, "external", v[i].external);
	}
}

static void put_manifest(struct call *c, struct doc *d, const struct manifest *m)
{
	struct arena *a = c->tk.a;

	doc_add_digest(a, d, "digest", &m->digest);
	doc_add_digest(a, d, "identity", &m->identity);
	doc_add_text(a, d, "format", m->format);
	doc_add_int(a, d, "size", m->size);
	doc_put_uuid(a, d, "vendor_id", &m->vendor_id);
	doc_put_uuid(a, d, "class_id", &m->class_id);
	doc_add_text(a, d, "manufacturer", m->manufacturer);
	doc_add_text(a, d, "model", m->model);
	doc_add_text(a, d, "version", m->version);
	doc_add_u64(a, d, "sequence", m->sequence);
	doc_add_text(a, d, "uri", m->uri);
	doc_add_text(a, d, "text", m->text);
	if (m->has_priority)
		doc_add_int(a, d, "priority", m->priority);
	doc_add_time(a, d, "use_before", m->use_before);
	doc_add_time(a, d, "not_before", m->not_before);
	doc_add_int(a, d, "anchor", m->anchor);
	doc_add_text(a, d, "alg", m->alg);
	doc_add_time(a, d, "verified", m->verified);
	doc_add_time(a, d, "created", m->created);
	doc_add_text(a, d, "by", m->by);
}

static int reply_whole(struct call *c, uint16_t status, const struct manifest *m, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct manifest_image images[COMPONENTS_MAX * 2];
	int n = store_manifest_images(c->tk.st, &m->digest, images, COMPONENTS_MAX * 2, e);

	if (n < 0)
		return -1;
	put_manifest(c, d, m);
	put_images(c, doc_array(c->tk.a, d, "images"), images, n);
	return reply_doc(c, status, d, e);
}

static bool media_fits(enum media m)
{
	return m == MEDIA_NONE || m == MEDIA_OCTETS || m == MEDIA_CBOR || m == MEDIA_SUIT_ENVELOPE;
}

int svc_manifest_add(struct call *c, struct err *e)
{
	char hex[DIGEST_TEXT];
	struct manifest m;

	if (!media_fits(c->rq->content_format))
		return err_set(e, ERR_MEDIA, "a manifest is application/suit-envelope+cose");
	if (c->rq->body.n == 0)
		return err_set(e, ERR_MALFORMED, "empty body");
	memset(&m, 0, sizeof(m));
	if (release_manifest_add(&c->tk, c->rq->body, &m, e) != 0)
		return -1;
	digest_text(hex, &m.digest);
	if (reply_location(c, e, "/api/v1/manifests/%s", hex) != 0)
		return -1;
	return reply_whole(c, 201, &m, e);
}

static int get(struct store *st, const struct digest *d, void *row, struct err *e)
{
	return store_manifest_get(st, d, row, e);
}

static int list(struct store *st, int64_t after, int limit, int64_t *ids, void *rows, struct err *e)
{
	return store_manifest_list(st, after, limit, ids, rows, e);
}

static void put(struct call *c, struct doc *d, const void *row)
{
	put_manifest(c, d, row);
}

static int reply(struct call *c, uint16_t status, const void *row, struct err *e)
{
	return reply_whole(c, status, row, e);
}

static const struct goods goods = {
	.what = "manifest",
	.size = sizeof(struct manifest),
	.get = get,
	.list = list,
	.put = put,
	.reply = reply,
};

int svc_manifest_list(struct call *c, struct err *e)
{
	return goods_list(c, &goods, e);
}

int svc_manifest_show(struct call *c, struct err *e)
{
	return goods_show(c, &goods, e);
}

int svc_manifest_content(struct call *c, struct err *e)
{
	struct manifest m;
	struct slice bytes;

	if (goods_load(c, &goods, &m, e) != 0 ||
	    found_or(store_manifest_bytes(c->tk.st, &m.digest, c->tk.a, &bytes, e), e, "manifest"))
		return -1;
	etag_of_digest(&c->rs->etag, &m.digest);
	return reply_bytes(c, 200, MEDIA_SUIT_ENVELOPE, bytes, e);
}

int svc_manifest_remove(struct call *c, struct err *e)
{
	struct release r;
	struct manifest m;
	char hex[DIGEST_TEXT];

	if (goods_load(c, &goods, &m, e) != 0)
		return -1;
	int rc = store_release_by_manifest(c->tk.st, &m.digest, &r, e);
	if (rc == 1)
		return err_set(e, ERR_CONFLICT, "release %" PRId64 " is made of it", r.id);
	digest_text(hex, &m.digest);
	if (rc < 0 || store_manifest_remove(c->tk.st, &m.digest, e) != 0 ||
	    audit_note(&c->tk, "manifest.remove", hex, e, "sequence=%" PRIu64, m.sequence) != 0)
		return -1;
	effects_withdraw(c->tk.fx, &m.digest);
	return reply_empty(c, 204);
}
