/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/log.h"
#include "daemon/core_internal.h"

/*
 * Uploads beside the batches: opened by a request that is authorised first,
 * fed by chunks for which the front holds credit, closed with the final answer.
 */

static struct core_upload *find(struct core_lane *l, uint32_t id)
{
	for (unsigned i = 0; i < CORE_UPLOADS_MAX; i++)
		if (l->uploads[i].used && l->uploads[i].id == id)
			return &l->uploads[i];
	return NULL;
}

static struct core_upload *find_free(struct core_lane *l)
{
	for (unsigned i = 0; i < CORE_UPLOADS_MAX; i++)
		if (!l->uploads[i].used)
			return &l->uploads[i];
	return NULL;
}

static void release(struct core_upload *up)
{
	arena_free(&up->arena);
	memset(up, 0, sizeof(*up));
}

static void send_done(struct core_lane *l, uint32_t id, const struct response *rs)
{
	struct buf *out = channel_out(l->ch);
	size_t mark = ipc_begin(out, FRAME_UPLOAD_DONE);

	ipc_put_u32(out, id);
	ipc_put_response(out, rs);
	ipc_end(out, mark);
}

static void send_credit(struct core_lane *l, const struct core_upload *up, unsigned chunks)
{
	struct buf *out = channel_out(l->ch);
	size_t mark = ipc_begin(out, FRAME_UPLOAD_CREDIT);

	ipc_put_u32(out, up->id);
	ipc_put_u8(out, (uint8_t)chunks);
	ipc_put_u64(out, up->upload.offset);
	ipc_end(out, mark);
}

static void refuse(struct core *c, struct core_lane *l, uint32_t id, const struct request *rq,
		   enum err_code why)
{
	struct response rs;

	service_unavailable(rq, why, &c->arena, &rs);
	rs.id = rq->id;
	send_done(l, id, &rs);
	arena_reset(&c->arena);
}

static int keep_slice(struct arena *a, struct slice *s)
{
	void *p = arena_copy(a, s->p, s->n);

	if (!p)
		return -1;
	s->p = p;
	return 0;
}

/* The frame goes away, the request is needed again at the end. */
static int keep_request(struct core_upload *up, const struct request *rq)
{
	up->arena = ARENA_INIT(CORE_UPLOAD_ARENA);
	up->request = *rq;
	if (keep_slice(&up->arena, &up->request.path) != 0 ||
	    keep_slice(&up->arena, &up->request.query) != 0 ||
	    keep_slice(&up->arena, &up->request.token) != 0 ||
	    keep_slice(&up->arena, &up->request.idempotency_key) != 0 ||
	    keep_slice(&up->arena, &up->request.host) != 0 ||
	    keep_slice(&up->arena, &up->request.body) != 0)
		return -1;
	return 0;
}

static int open_upload(struct core *c, struct core_lane *l, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	struct ipc_upload_open o;
	struct core_upload *up;
	struct response rs;

	if (!ipc_get_upload_open(&r, &o) || !rd_done(&r))
		return err_set(e, ERR_MALFORMED, "upload: malformed opening");
	if (find(l, o.upload))
		return err_set(e, ERR_MALFORMED, "upload %u is open already", o.upload);
	up = find_free(l);
	if (!up) {
		refuse(c, l, o.upload, &o.request, ERR_BUSY);
		return 0;
	}
	if (keep_request(up, &o.request) != 0) {
		release(up);
		refuse(c, l, o.upload, &o.request, ERR_NO_MEMORY);
		return 0;
	}
	up->used = true;
	up->id = o.upload;
	up->ask = (struct upload_ask){
		.has_size = o.has_size,
		.size = o.size,
		.has_digest = o.has_digest,
		.digest = o.digest,
		.has_offset = o.has_offset,
		.offset = o.offset,
		.complete = o.complete,
	};
	if (service_upload_open(c->service, l->lane, &up->request, &up->ask, &c->now, &c->arena,
				&up->upload, &rs) == 0) {
		send_credit(l, up, IPC_CREDIT);
	} else {
		rs.id = up->request.id;
		send_done(l, up->id, &rs);
		release(up);
	}
	arena_reset(&c->arena);
	return 0;
}

static int chunk(struct core *c, struct core_lane *l, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint32_t id = rd_u32(&r);
	struct core_upload *up = find(l, id);
	struct err why = { 0 };

	if (r.failed || body.n - 4 > IPC_CHUNK_MAX)
		return err_set(e, ERR_MALFORMED, "upload: chunk of %zu bytes", body.n);
	if (!up)
		return 0; /* refused meanwhile: what was under way is dropped */
	if (up->closing)
		return err_set(e, ERR_MALFORMED, "upload: a chunk after its end");
	up->upload.track_changed = c->now.track;
	if (service_upload_chunk(c->service, &up->upload, slice_of(body.p + 4, body.n - 4), &why) ==
	    0) {
		send_credit(l, up, 1);
		return 0;
	}
	/* too many bytes are the sender's trouble, not the disk's */
	if (why.code >= ERR_IO || store_must_stop(c->store))
		core_store_failed(c, "upload", &why);
	/* who sends all of it at once is not to blame for bytes lost with a rollback */
	if (why.code == ERR_CONFLICT && up->request.method == METHOD_POST)
		why.code = ERR_BUSY;
	if (!c->stopping)
		refuse(c, l, id, &up->request, why.code);
	/* what is durable stays: a resumable upload goes on from there */
	release(up);
	return 0;
}

static void answer(struct core *c, struct core_lane *l, struct core_upload *up)
{
	struct outcome oc = { .fx = &c->fx };
	struct response rs;

	effects_clear(&c->fx);
	service_upload_close(c->service, l->lane, &up->request, &up->ask, &up->upload, &c->now,
			     &c->arena, &rs, &oc);
	rs.id = up->request.id;
	if (store_must_stop(c->store)) {
		struct err why = { .code = ERR_IO, .text = "upload: the disk failed" };
		core_store_failed(c, "upload", &why);
	} else {
		send_done(l, up->id, &rs);
		core_effects_keep(c);
		core_effects_send(c);
	}
	release(up);
	arena_reset(&c->arena);
}

/* An image that came in part before a restart is hashed in slices: true while that goes on. */
static bool answer_when_ready(struct core *c, struct core_lane *l, struct core_upload *up)
{
	if (!service_upload_ready(c->service, &up->request, &up->ask, &up->upload, CORE_SLICE_US))
		return true;
	answer(c, l, up);
	return false;
}

static int close_upload(struct core *c, struct core_lane *l, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint32_t id = rd_u32(&r);
	struct core_upload *up = find(l, id);

	if (!rd_done(&r) || (up && up->closing))
		return err_set(e, ERR_MALFORMED, "upload: malformed end");
	if (!up)
		return 0;
	up->closing = true;
	(void)answer_when_ready(c, l, up);
	return 0;
}

bool core_upload_work(struct core *c)
{
	for (unsigned k = 0; k < LANE_COUNT; k++) {
		struct core_lane *l = &c->lanes[k];
		for (unsigned i = 0; l->ch && i < CORE_UPLOADS_MAX; i++)
			if (l->uploads[i].used && l->uploads[i].closing)
				return answer_when_ready(c, l, &l->uploads[i]) || !c->stopping;
	}
	return false;
}

static int abort_upload(struct core *c, struct core_lane *l, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	struct core_upload *up = find(l, rd_u32(&r));
	struct err why = { 0 };

	if (!rd_done(&r))
		return err_set(e, ERR_MALFORMED, "upload: malformed abort");
	if (!up)
		return 0;
	/* the asker is gone: what came so far may be what a resumed upload builds on */
	if (store_upload_sync(c->store, &up->upload, &why) != 0)
		core_store_failed(c, "upload", &why);
	release(up);
	return 0;
}

int core_upload_frame(struct core *c, struct core_lane *l, enum frame_type t, struct slice body,
		      struct err *e)
{
	core_time(c);
	if (t == FRAME_UPLOAD_OPEN)
		return open_upload(c, l, body, e);
	if (t == FRAME_UPLOAD_CHUNK)
		return chunk(c, l, body, e);
	if (t == FRAME_UPLOAD_CLOSE)
		return close_upload(c, l, body, e);
	return abort_upload(c, l, body, e);
}

void core_upload_reset(struct core_lane *l)
{
	for (unsigned i = 0; i < CORE_UPLOADS_MAX; i++)
		if (l->uploads[i].used)
			release(&l->uploads[i]);
}
