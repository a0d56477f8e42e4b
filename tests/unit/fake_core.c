/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include "fake_core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

void fake_core_init(struct fake_core *k, int *front_fd, bool ready)
{
	int sv[2];
	struct err e;

	memset(k, 0, sizeof(*k));
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	MUST(channel_new(sv[0], 64u << 20, &k->ch, &e) == 0);
	*front_fd = sv[1];
	if (ready)
		fake_core_ready(k);
}

void fake_core_free(struct fake_core *k)
{
	channel_free(k->ch);
	k->ch = NULL;
}

static void flush(struct fake_core *k)
{
	struct err e;

	(void)channel_write(k->ch, &e);
}

void fake_core_ready(struct fake_core *k)
{
	struct buf *b = channel_out(k->ch);

	ipc_end(b, ipc_begin(b, FRAME_READY));
	flush(k);
}

void fake_core_ping(struct fake_core *k)
{
	struct buf *b = channel_out(k->ch);

	ipc_end(b, ipc_begin(b, FRAME_PING));
	flush(k);
}

static void put_replies(struct fake_core *k, uint32_t number, const struct buf *replies, unsigned n)
{
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_REPLIES);

	ipc_put_u32(b, number);
	ipc_put_u8(b, 1);
	ipc_put_u16(b, (uint16_t)n);
	buf_add_slice(b, buf_slice(replies));
	ipc_end(b, mark);
}

static bool request(struct fake_core *k, const struct request *rq, struct buf *replies)
{
	struct response rs = {
		.id = rq->id, .status = 404, .media = MEDIA_NONE, .max_age = -1, .retry_after = -1
	};

	k->requests++;
	k->last_session = rq->session;
	k->held_request = rq->id;
	memcpy(k->last_path, rq->path.p, rq->path.n);
	k->last_path[rq->path.n] = '\0';
	if (rq->body.n)
		memcpy(k->last_body, rq->body.p, rq->body.n);
	k->last_body_n = rq->body.n;
	if (k->answer && !k->answer(k, rq, &rs))
		return false;
	rs.id = rq->id;
	ipc_put_response(replies, &rs);
	return true;
}

static void result(struct fake_core *k, const struct ipc_sent *s)
{
	k->n_sent++;
	k->sent = *s;
	if (s->body.n)
		memcpy(k->sent_body, s->body.p, s->body.n);
	k->sent.body.p = k->sent_body;
}

static int batch(struct fake_core *k, struct slice body)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	unsigned count = rd_u16(&r), n = 0;
	struct buf replies = BUF_INIT(IPC_FRAME_MAX);
	struct ipc_entry entry;

	k->batches++;
	for (unsigned i = 0; i < count; i++) {
		if (!ipc_get_entry(&r, &entry))
			return -1;
		if (entry.type == ENTRY_ADMIT) {
			k->admits++;
			k->last = entry.evidence;
		} else if (entry.type == ENTRY_CLOSED) {
			k->closed++;
			k->last_closed = entry.session;
		} else if (entry.type == ENTRY_SENT) {
			result(k, &entry.sent);
		} else {
			n += request(k, &entry.request, &replies);
		}
	}
	if (!rd_done(&r))
		return -1;
	if (k->hold)
		k->held[k->n_held++ % 4] = number;
	else
		put_replies(k, number, &replies, n);
	buf_free(&replies);
	return 0;
}

void fake_core_say_held(struct fake_core *k, uint16_t status)
{
	struct response rs = { .id = k->held_request,
			       .status = status,
			       .media = MEDIA_NONE,
			       .max_age = -1,
			       .retry_after = -1 };
	struct buf replies = BUF_INIT(IPC_FRAME_MAX);

	ipc_put_response(&replies, &rs);
	put_replies(k, k->held[(k->n_held - 1) % 4], &replies, 1);
	buf_free(&replies);
	flush(k);
}

static int upload(struct fake_core *k, enum frame_type t, struct slice body)
{
	struct rd r = rd_init(body);
	struct ipc_upload_open o;

	if (t == FRAME_UPLOAD_OPEN) {
		if (!ipc_get_upload_open(&r, &o) || !rd_done(&r))
			return -1;
		k->last_session = o.request.session;
		k->upload(k, t, o.upload, o.request.path);
	} else {
		uint32_t number = rd_u32(&r);

		if (r.failed)
			return -1;
		k->upload(k, t, number, slice_of(r.p, (size_t)(r.end - r.p)));
	}
	return 0;
}

static void figures(struct fake_core *k, struct slice body)
{
	struct rd r = rd_init(body);

	MUST(rd_u8(&r) == FIGURE_COUNT);
	for (unsigned i = 0; i < FIGURE_COUNT; i++)
		k->figures[i] = rd_u64(&r);
	MUST(rd_done(&r));
	k->n_figures++;
}

int fake_core_pump(struct fake_core *k)
{
	enum frame_type t;
	struct slice body;
	struct err e;
	int n = channel_read(k->ch, &e);

	while (channel_next(k->ch, &t, &body, &e) == 1) {
		if (t == FRAME_BATCH && batch(k, body) < 0)
			return -1;
		if (t >= FRAME_UPLOAD_OPEN && t <= FRAME_UPLOAD_ABORT && k->upload &&
		    upload(k, t, body) < 0)
			return -1;
		if (t == FRAME_FIGURES)
			figures(k, body);
		if (t == FRAME_PONG)
			k->pongs++;
	}
	flush(k);
	return n < 0 ? -1 : 0;
}

void fake_core_grant(struct fake_core *k, uint64_t session, const char *path,
		     const struct digest *d, struct slice bytes, bool with_fd, int64_t lifetime_ms)
{
	struct ipc_grant g = { .session = session,
			       .digest = *d,
			       .size = bytes.n,
			       .media = MEDIA_OCTETS,
			       .max_age = -1,
			       .lifetime_ms = lifetime_ms,
			       .has_fd = with_fd };
	int fd;

	MUST(strlen(path) < sizeof(g.path));
	memcpy(g.path, path, strlen(path));
	if (with_fd) {
		fd = memfd_create("object", MFD_CLOEXEC);
		MUST(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
		MUST(channel_attach_fd(k->ch, fd) == 0);
		close(fd);
	}
	ipc_put_grant(channel_out(k->ch), &g);
	flush(k);
}

void fake_core_drop(struct fake_core *k, uint64_t session)
{
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_DROP);

	ipc_put_u64(b, session);
	ipc_end(b, mark);
	flush(k);
}

void fake_core_withdraw(struct fake_core *k, const struct digest *d)
{
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_WITHDRAW);

	buf_add(b, d->b, sizeof(d->b));
	ipc_end(b, mark);
	flush(k);
}

void fake_core_notify(struct fake_core *k, const char *path)
{
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_NOTIFY);

	buf_add_str(b, path);
	ipc_end(b, mark);
	flush(k);
}

void fake_core_send(struct fake_core *k, const struct ipc_send *s)
{
	ipc_put_send(channel_out(k->ch), s);
	flush(k);
}

void fake_core_credit(struct fake_core *k, uint32_t number, unsigned chunks, uint64_t stored)
{
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_UPLOAD_CREDIT);

	ipc_put_u32(b, number);
	ipc_put_u8(b, (uint8_t)chunks);
	ipc_put_u64(b, stored);
	ipc_end(b, mark);
	flush(k);
}

void fake_core_done(struct fake_core *k, uint32_t number, uint16_t status)
{
	struct response rs = {
		.status = status, .media = MEDIA_NONE, .max_age = -1, .retry_after = -1
	};
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_UPLOAD_DONE);

	ipc_put_u32(b, number);
	ipc_put_response(b, &rs);
	ipc_end(b, mark);
	flush(k);
}

void fake_core_settle(struct fake_core *k, struct front *f)
{
	struct err e;

	for (int i = 0; i < 4; i++) {
		(void)front_io(f, &e);
		(void)fake_core_pump(k);
	}
	(void)front_io(f, &e);
}
