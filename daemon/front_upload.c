/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/front_internal.h"

#include "base/text.h"

/*
 * Uploads: a few at a time, each with credit from the core. An upload of a
 * session that the core has not heard of waits until the batch with its ADMIT left.
 */

static struct upload_slot *upload_get(struct front *f, uint32_t number)
{
	struct upload_slot *u = &f->uploads[number % UPLOADS_MAX];

	return u->used && u->number == number ? u : NULL;
}

static void upload_end(struct front *f, struct upload_slot *u)
{
	if (!u->opened)
		f->uploads_waiting--;
	buf_free(&u->open);
	*u = (struct upload_slot){ 0 };
}

static struct upload_slot *upload_take(struct front *f)
{
	for (uint32_t i = 0; i < UPLOADS_MAX; i++) {
		struct upload_slot *u = &f->uploads[i];

		if (u->used)
			continue;
		if (++f->upload_generation >= UINT32_MAX / UPLOADS_MAX)
			f->upload_generation = 1;
		*u = (struct upload_slot){ .used = true,
					   .number = f->upload_generation * UPLOADS_MAX + i,
					   .open = BUF_INIT(16384) };
		f->uploads_waiting++;
		return u;
	}
	return NULL;
}

uint32_t front_upload_open(struct front *f, struct ipc_upload_open *o, front_credit credit_cb,
			   front_reply done_cb, void *ctx)
{
	struct session *s = session_get(f, o->request.session);
	struct upload_slot *u;

	if (f->dead || !s || !front_request_fits(&o->request) ||
	    (s->state == SESSION_OPEN && !front_batch_room(f, 1, 512)))
		return 0;
	u = upload_take(f);
	if (!u)
		return 0;
	o->upload = u->number;
	ipc_put_upload_open(&u->open, o);
	if (u->open.failed) {
		upload_end(f, u);
		return 0;
	}
	session_announce(f, s, o->request.session);
	u->session = o->request.session;
	u->credit_cb = credit_cb;
	u->done_cb = done_cb;
	u->ctx = ctx;
	return u->number;
}

/*
 * Called after a batch left. An upload opened since then belongs to a session
 * whose ADMIT may be in the batch that gathers now: it waits for that one when
 * the session is not answered yet and something gathers.
 */
void uploads_open_waiting(struct front *f)
{
	if (f->uploads_waiting == 0 || f->gather->count > 0)
		return;
	for (uint32_t i = 0; i < UPLOADS_MAX; i++) {
		struct upload_slot *u = &f->uploads[i];

		if (!u->used || u->opened)
			continue;
		buf_add_slice(channel_out(f->ch), buf_slice(&u->open));
		buf_free(&u->open);
		u->opened = true;
		f->uploads_waiting--;
	}
}

static void put_number(struct front *f, enum frame_type t, uint32_t number)
{
	struct buf *b = channel_out(f->ch);
	size_t mark = ipc_begin(b, t);

	ipc_put_u32(b, number);
	ipc_end(b, mark);
}

int front_upload_chunk(struct front *f, uint32_t upload, struct slice bytes)
{
	struct upload_slot *u = upload_get(f, upload);
	struct buf *b;
	size_t mark;

	if (f->dead || !u || u->credit == 0 || bytes.n > IPC_CHUNK_MAX)
		return -1;
	b = channel_out(f->ch);
	mark = ipc_begin(b, FRAME_UPLOAD_CHUNK);
	ipc_put_u32(b, upload);
	buf_add_slice(b, bytes);
	ipc_end(b, mark);
	u->credit--;
	return 0;
}

void front_upload_close(struct front *f, uint32_t upload)
{
	if (!f->dead && upload_get(f, upload))
		put_number(f, FRAME_UPLOAD_CLOSE, upload);
}

void front_upload_abort(struct front *f, uint32_t upload)
{
	struct upload_slot *u = upload_get(f, upload);

	if (!u)
		return;
	if (!f->dead && u->opened)
		put_number(f, FRAME_UPLOAD_ABORT, upload);
	upload_end(f, u);
}

int upload_credit(struct front *f, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	unsigned chunks = rd_u8(&r);
	uint64_t stored = rd_u64(&r);
	struct upload_slot *u;

	if (!rd_done(&r))
		return err_set(e, ERR_MALFORMED, "upload credit");
	u = upload_get(f, number);
	if (!u)
		return 0; /* aborted meanwhile */
	u->credit += chunks;
	if (u->credit > IPC_CREDIT)
		u->credit = IPC_CREDIT;
	u->credit_cb(u->ctx, u->credit, stored);
	return 0;
}

static void finish(struct front *f, struct upload_slot *u, const struct response *rs)
{
	front_reply done = u->done_cb;
	void *ctx = u->ctx;

	upload_end(f, u);
	done(ctx, rs);
}

int upload_done(struct front *f, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	struct upload_slot *u;
	struct response rs;

	if (!ipc_get_response(&r, &rs) || !rd_done(&r))
		return err_set(e, ERR_MALFORMED, "answer to an upload");
	u = upload_get(f, number);
	if (u)
		finish(f, u, &rs);
	return 0;
}

void uploads_core_gone(struct front *f)
{
	for (uint32_t i = 0; i < UPLOADS_MAX; i++)
		if (f->uploads[i].used)
			finish(f, &f->uploads[i], NULL);
}

/* The session's owner ended it and knows: no callback. */
void uploads_of_session_abort(struct front *f, uint64_t session)
{
	for (uint32_t i = 0; i < UPLOADS_MAX; i++)
		if (f->uploads[i].used && f->uploads[i].session == session)
			front_upload_abort(f, f->uploads[i].number);
}
