/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "service/svc.h"

static void put_upload(struct call *c, struct doc *d, const struct upload *u)
{
	struct arena *a = c->tk.a;

	/* plain integers: the HTTP adapter makes Upload-Offset and Upload-Complete of them */
	doc_add_int(a, d, "offset", (int64_t)u->offset);
	doc_add_bool(a, d, "complete", u->complete);
	if (u->has_size)
		doc_add_int(a, d, "size", (int64_t)u->size);
	else
		doc_add_null(a, d, "size");
	doc_add_text(a, d, "name", u->name);
	doc_add_time(a, d, "created", u->created);
}

/* An upload is its maker's, and those may touch it who may remove images. */
static int load(struct call *c, struct upload *u, struct err *e)
{
	char name[NAME_TEXT];

	if (hole_text(c, 0, name, sizeof(name), e) != 0)
		return -1;
	int rc = store_upload_get(c->tk.st, name, u, e);
	if (rc == 1 && strcmp(u->by, c->who.name) != 0 && !(ROLE_BIT(c->who.role) & WHO_OPERATE))
		rc = 0;
	return found_or(rc, e, "upload");
}

static int reply_upload(struct call *c, uint16_t status, const struct upload *u, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	put_upload(c, d, u);
	if (reply_location(c, e, "/api/v1/uploads/%s", u->name) != 0)
		return -1;
	return reply_doc(c, status, d, e);
}

int svc_upload_show(struct call *c, struct err *e)
{
	struct upload u;

	if (load(c, &u, e) != 0)
		return -1;
	return reply_upload(c, 200, &u, e);
}

int svc_upload_remove(struct call *c, struct err *e)
{
	struct upload u;

	if (load(c, &u, e) != 0 || store_upload_drop(c->tk.st, u.id, e) != 0)
		return -1;
	return reply_empty(c, 204);
}

/* Bytes that are to come, against one image's bound and the room for all that is unfinished. */
static int check_room(const struct service *sv, uint64_t have, uint64_t more, struct err *e)
{
	const struct service_options *o = &sv->o;
	int64_t staged = store_upload_total(o->store);
	uint64_t whole, all;

	if (staged < 0)
		return err_set(e, ERR_IO, "the staged bytes cannot be counted");
	if (__builtin_add_overflow(have, more, &whole) || whole > o->image_max)
		return err_set(e, ERR_TOO_LARGE, "an image has at most %" PRIu64 " bytes",
			       o->image_max);
	if (__builtin_add_overflow((uint64_t)staged, more, &all) || all > o->quota_staged)
		return err_set(e, ERR_FULL,
			       "unfinished uploads may take %" PRIu64 " bytes, %" PRId64
			       " are taken",
			       o->quota_staged, staged);
	return 0;
}

/* It brings the last byte: a POST unless it says otherwise, a PATCH when it says so. */
static bool is_last(const struct request *rq, const struct upload_ask *ask)
{
	return ask->complete == 1 || (ask->complete < 0 && rq->method == METHOD_POST);
}

static int declare(struct upload *u, const struct upload_ask *ask, struct err *e)
{
	if (ask->has_size) {
		if ((u->has_size && u->size != ask->size) || ask->size < u->offset)
			return err_set(e, ERR_CONFLICT, "the size differs from what was declared");
		u->has_size = true;
		u->size = ask->size;
	}
	if (ask->has_digest) {
		if (u->has_digest && !digest_eq(&u->digest, &ask->digest))
			return err_set(e, ERR_CONFLICT,
				       "the digest differs from what was declared");
		u->has_digest = true;
		u->digest = ask->digest;
	}
	return 0;
}

/* POST: all at once with a size, or (Upload-Complete: ?0) to be continued. */
static int open_new(struct call *c, const struct upload_ask *ask, struct upload *u, struct err *e)
{
	if (ask->has_offset && ask->offset != 0)
		return err_set(e, ERR_INVALID, "Upload-Offset: a new upload begins at 0");
	if (!ask->has_size && is_last(c->rq, ask))
		return err_set(e, ERR_INVALID, "Content-Length: is needed");
	if (check_room(c->sv, 0, ask->has_size ? ask->size : 0, e) != 0)
		return -1;
	*u = (struct upload){ .kind = UPLOAD_IMAGE,
			      .created = c->tk.now.wall,
			      .track_changed = c->tk.now.track };
	if (text_copy(u->by, sizeof(u->by), c->who.name) != 0)
		return err_set(e, ERR_INTERNAL, "name longer than its bound");
	return declare(u, ask, e) == 0 ? store_upload_open(c->tk.st, u, e) : -1;
}

static int open_again(struct call *c, const struct upload_ask *ask, struct upload *u, struct err *e)
{
	if (load(c, u, e) != 0)
		return -1;
	if (!ask->has_offset)
		return err_set(e, ERR_INVALID, "Upload-Offset: is needed");
	if (ask->offset != u->offset)
		return err_set(e, ERR_CONFLICT, "Upload-Offset: %" PRIu64 " bytes are here",
			       u->offset);
	bool reserved = u->has_size;
	if (declare(u, ask, e) != 0)
		return -1;
	u->track_changed = c->tk.now.track;
	if (reserved || !u->has_size)
		return check_room(c->sv, u->offset, 0, e);
	/* said only now: it is reserved from now on */
	if (check_room(c->sv, u->offset, u->size - u->offset, e) != 0)
		return -1;
	return store_upload_sync(c->tk.st, u, e);
}

/* Offset and completeness go with a refused continuation too, so that it can be mended. */
static void refuse(struct call *c, const struct upload *u, const struct err *why)
{
	struct err e = *why;
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct arena *a = c->tk.a;

	problem_fill(c, &e, c->rs);
	if (e.code != ERR_CONFLICT || !u->id)
		return;
	doc_add_text(a, d, "type", arena_printf(a, "urn:fettle:%s", err_word(e.code)));
	doc_add_int(a, d, "status", c->rs->status);
	doc_add_text(a, d, "title", status_phrase(c->rs->status));
	doc_add_text(a, d, "detail", e.text);
	doc_add_int(a, d, "offset", (int64_t)u->offset);
	doc_add_bool(a, d, "complete", u->complete);
	if (reply_doc(c, c->rs->status, d, NULL) == 0)
		c->rs->media = MEDIA_PROBLEM_JSON;
}

/* Session, route and rights, as for any request, and that the route is an upload's. */
static int enter(struct call *c, struct err *e)
{
	if (call_enter(c, e) != 0)
		return -1;
	if (!(c->route->flags & ROUTE_UPLOAD))
		return err_set(e, ERR_METHOD, "this is no place to upload to");
	return 0;
}

int service_upload_open(struct service *sv, enum lane lane, const struct request *rq,
			const struct upload_ask *ask, const struct now *now, struct arena *a,
			struct upload *u, struct response *rs)
{
	struct err e = { 0 };
	struct call c;
	int rc;

	memset(u, 0, sizeof(*u));
	call_init(&c, sv, lane, rq, now, a, rs, NULL);
	rc = enter(&c, &e);
	if (rc == 0)
		rc = rq->method == METHOD_PATCH ? open_again(&c, ask, u, &e)
						: open_new(&c, ask, u, &e);
	if (rc != 0)
		refuse(&c, u, &e);
	return rc;
}

int service_upload_chunk(struct service *sv, struct upload *u, struct slice bytes, struct err *e)
{
	struct store *st = sv->o.store;

	/* what was said first is reserved; of others each piece counts, several may come at once */
	if (u->has_size || check_room(sv, u->offset, bytes.n, e) == 0)
		return store_upload_chunk(st, u, bytes, e);
	/* no image may ever be as large: nothing is left to continue */
	if (e->code == ERR_TOO_LARGE && store_upload_drop(st, u->id, NULL) != 0)
		log_warn("upload=%s cause=\"it could not be dropped\"", u->name);
	return -1;
}

/* The bytes first, in images.db; then the image's row and its audit row, in one batch. */
static int seal_and_note(struct call *c, struct upload *u, struct image *i, struct err *e)
{
	struct store *st = c->tk.st;
	char hex[DIGEST_TEXT];

	if (store_batch_begin(st, e) != 0)
		return -1;
	if (store_upload_seal(st, u, c->tk.now.wall, i, e) != 0)
		goto undo;
	digest_text(hex, &i->digest);
	if (audit_note(&c->tk, "image.add", hex, e, "size=%" PRIu64, i->size) != 0 ||
	    standing_image_added(&c->tk, &i->digest, e) != 0)
		goto undo;
	return store_batch_commit(st, e);
undo:
	store_batch_abandon(st);
	return -1;
}

static int seal(struct call *c, struct upload *u, struct err *e)
{
	struct image i;

	if (seal_and_note(c, u, &i, e) != 0) {
		/* who sent all of it at once is not to blame for bytes lost with a rollback */
		if (e->code == ERR_CONFLICT && c->rq->method == METHOD_POST)
			e->code = ERR_BUSY;
		/* bytes that are wrong stay wrong: nothing is left to continue */
		if (e->code == ERR_VERIFY && store_upload_drop(c->tk.st, u->id, NULL) != 0)
			log_warn("upload=%s cause=\"it could not be dropped\"", u->name);
		return -1;
	}
	/* if it stays, the sweep takes it, as it takes what was given up */
	if (store_upload_done(c->tk.st, u->id, &(struct err){ 0 }) != 0)
		log_warn("upload=%s cause=\"its row stays for a while\"", u->name);
	u->complete = true;
	return reply_image(c, 201, &i, e);
}

static int keep_part(struct call *c, const struct request *rq, struct upload *u, struct err *e)
{
	if (store_upload_sync(c->tk.st, u, e) != 0)
		return -1;
	return reply_upload(c, rq->method == METHOD_POST ? 201 : 200, u, e);
}

bool service_upload_ready(struct service *sv, const struct request *rq,
			  const struct upload_ask *ask, struct upload *u, int64_t budget_us)
{
	struct err e = { 0 };

	/* an error shows again when it is closed, and is answered there */
	return !is_last(rq, ask) || store_upload_ready(sv->o.store, u, budget_us, &e) != 0;
}

void service_upload_close(struct service *sv, enum lane lane, const struct request *rq,
			  const struct upload_ask *ask, struct upload *u, const struct now *now,
			  struct arena *a, struct response *rs, struct outcome *oc)
{
	struct err e = { 0 };
	struct call c;
	int rc;

	call_init(&c, sv, lane, rq, now, a, rs, oc);
	rc = enter(&c, &e); /* rights may have ended meanwhile */
	if (rc == 0 && is_last(rq, ask))
		rc = seal(&c, u, &e);
	else if (rc == 0)
		rc = keep_part(&c, rq, u, &e);
	if (rc != 0)
		refuse(&c, u, &e);
}
