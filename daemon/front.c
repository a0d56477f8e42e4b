/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/front_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Two batches, and every upload's chunks, may wait for a core that is busy committing. */
#define OUT_MAX (4u * IPC_FRAME_MAX + UPLOADS_MAX * (IPC_CREDIT + 1u) * (IPC_CHUNK_MAX + 64u))
#define REQUEST_FIXED 512u /* more than a request's fixed fields and entity tags take */

/* ---- life ---- */

static void pending_init(struct front *f)
{
	for (uint32_t i = 0; i < PENDING_MAX; i++)
		f->pending[i] =
			(struct pending){ .id = i, .next_free = i + 1 < PENDING_MAX ? i + 1 : NIL };
	f->pending_free = 0;
}

static void say_hello(struct front *f)
{
	struct buf *b = channel_out(f->ch);
	size_t mark = ipc_begin(b, FRAME_HELLO);

	ipc_put_u8(b, (uint8_t)f->o.lane);
	ipc_put_u32(b, (uint32_t)getpid());
	ipc_end(b, mark);
}

int front_new(const struct front_options *o, struct front **out, struct err *e)
{
	struct front *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(e, ERR_NO_MEMORY, "front");
	f->o = *o;
	f->batches[0].entries = BUF_INIT(IPC_BATCH_BYTES);
	f->batches[1].entries = BUF_INIT(IPC_BATCH_BYTES);
	f->gather = &f->batches[0];
	f->flight = &f->batches[1];
	pending_init(f);
	sent_init(f);
	if (o->sessions_max == 0 || o->grants_max == 0 || o->objects_max == 0) {
		err_set(e, ERR_INVALID, "front: a limit is 0");
		goto fail;
	}
	if (sessions_init(f, e) < 0 || grants_init(f, e) < 0)
		goto fail;
	if (channel_new(o->core_fd, OUT_MAX, &f->ch, e) < 0)
		goto fail;
	say_hello(f);
	*out = f;
	return 0;
fail:
	front_free(f);
	return -1;
}

void front_free(struct front *f)
{
	if (!f)
		return;
	f->dead = true;
	f->withdraw = NULL;
	for (uint32_t i = 0; i < UPLOADS_MAX; i++)
		buf_free(&f->uploads[i].open);
	if (f->grants.slots)
		grants_free(f);
	sessions_free(f);
	sent_free(f);
	channel_free(f->ch);
	buf_free(&f->batches[0].entries);
	buf_free(&f->batches[1].entries);
	free(f);
}

int front_fd(const struct front *f)
{
	return channel_fd(f->ch);
}

bool front_ready(const struct front *f)
{
	return f->ready && !f->dead;
}

bool front_idle(const struct front *f)
{
	return f->dead || (!f->in_flight && f->gather->count == 0 && f->n_sent == 0 &&
			   !channel_want_write(f->ch));
}

const struct front_stats *front_stats(const struct front *f)
{
	return &f->stats;
}

void front_figures(struct front *f, const uint64_t figures[FIGURE_COUNT])
{
	struct buf *b = channel_out(f->ch);
	size_t mark;

	/* after a long silence of the core they can wait, as they are only the newest */
	if (!front_ready(f) || channel_want_write(f->ch) ||
	    memcmp(f->figures, figures, sizeof(f->figures)) == 0)
		return;
	memcpy(f->figures, figures, sizeof(f->figures));
	mark = ipc_begin(b, FRAME_FIGURES);
	ipc_put_u8(b, FIGURE_COUNT);
	for (unsigned i = 0; i < FIGURE_COUNT; i++)
		ipc_put_u64(b, figures[i]);
	ipc_end(b, mark);
}

void front_on_notify(struct front *f, front_notify cb, void *ctx)
{
	f->notify = cb;
	f->notify_ctx = ctx;
}

void front_on_withdraw(struct front *f, front_withdraw cb, void *ctx)
{
	f->withdraw = cb;
	f->withdraw_ctx = ctx;
}

/* ---- requests out ---- */

bool front_batch_room(const struct front *f, unsigned entries, size_t bytes)
{
	return f->gather->count + entries <= IPC_ENTRIES_MAX &&
	       f->gather->entries.n + bytes <= IPC_BATCH_BYTES;
}

bool front_crowded(const struct front *f)
{
	return f->gather->n_ids > IPC_BATCH_MAX / 2 || f->gather->entries.n > IPC_BATCH_BYTES / 2;
}

/* The core ends the channel over a field out of bounds: what an adapter let through stops here. */
bool front_request_fits(const struct request *rq)
{
	return rq->path.n > 0 && rq->path.p[0] == '/' && rq->path.n <= PATH_MAX_LEN &&
	       rq->query.n <= QUERY_MAX_LEN && rq->token.n <= TOKEN_MAX_LEN &&
	       rq->idempotency_key.n <= IPC_WORD_MAX && rq->host.n <= IPC_WORD_MAX &&
	       rq->body.n <= BODY_MAX_LEN && (unsigned)rq->method < METHOD_COUNT &&
	       rq->n_if_match <= ETAGS_MAX && rq->n_if_none_match <= ETAGS_MAX &&
	       !memchr(rq->path.p, 0, rq->path.n) &&
	       !(rq->query.n && memchr(rq->query.p, 0, rq->query.n)) &&
	       !(rq->token.n && memchr(rq->token.p, 0, rq->token.n)) &&
	       !(rq->host.n && memchr(rq->host.p, 0, rq->host.n)) &&
	       !(rq->idempotency_key.n && memchr(rq->idempotency_key.p, 0, rq->idempotency_key.n));
}

size_t front_request_size(const struct request *rq)
{
	return REQUEST_FIXED + rq->path.n + rq->query.n + rq->token.n + rq->idempotency_key.n +
	       rq->host.n + rq->body.n;
}

static struct pending *pending_take(struct front *f)
{
	struct pending *p;

	if (f->pending_free == NIL)
		return NULL;
	p = &f->pending[f->pending_free];
	f->pending_free = p->next_free;
	p->id += PENDING_MAX;
	if (p->id < PENDING_MAX) /* wrapped: 0 is no id */
		p->id += PENDING_MAX;
	p->used = true;
	return p;
}

static struct pending *pending_get(struct front *f, uint32_t id)
{
	struct pending *p = &f->pending[id % PENDING_MAX];

	return p->used && p->id == id ? p : NULL;
}

int front_submit(struct front *f, struct request *rq, front_reply cb, void *ctx)
{
	struct session *s = session_get(f, rq->session);
	struct batch *g = f->gather;
	struct pending *p;

	if (f->dead || !s || !front_request_fits(rq))
		return -1;
	if (g->n_ids == IPC_BATCH_MAX ||
	    !front_batch_room(f, 2, front_request_size(rq) + REQUEST_FIXED) ||
	    !(p = pending_take(f))) {
		f->stats.refused_busy++;
		return -1;
	}
	session_touch(f, s);
	session_announce(f, s, rq->session);
	rq->id = p->id;
	p->session = rq->session;
	p->cb = cb;
	p->ctx = ctx;
	ipc_put_request(&g->entries, rq);
	g->count++;
	g->ids[g->n_ids++] = p->id;
	f->stats.requests++;
	return 0;
}

void front_cancel(struct front *f, uint32_t id)
{
	struct pending *p = pending_get(f, id);

	if (p)
		p->cb = NULL;
}

static void answer(struct front *f, struct pending *p, const struct response *rs)
{
	front_reply cb = p->cb;
	void *ctx = p->ctx;

	p->used = false;
	p->next_free = f->pending_free;
	f->pending_free = (uint32_t)(p - f->pending);
	if (cb)
		cb(ctx, rs);
}

static void answer_none(struct front *f, struct batch *b)
{
	for (unsigned i = 0; i < b->n_ids; i++) {
		struct pending *p = pending_get(f, b->ids[i]);

		if (p)
			answer(f, p, NULL);
	}
	b->n_ids = 0;
	b->count = 0;
	buf_reset(&b->entries);
}

static bool batch_waits(const struct front *f)
{
	return f->ready && !f->dead && !f->in_flight &&
	       (f->gather->count > 0 || f->n_sent > 0 || sessions_closing(f));
}

static void batch_send(struct front *f)
{
	struct buf *b = channel_out(f->ch);
	struct batch *leaves = f->gather;
	size_t mark;

	if (leaves->count == 0)
		sessions_say_closed(f);
	sent_say(f, IPC_BATCH_MAX);
	leaves->number = ++f->next_number;
	mark = ipc_begin(b, FRAME_BATCH);
	ipc_put_u32(b, leaves->number);
	ipc_put_u16(b, (uint16_t)leaves->count);
	buf_add_slice(b, buf_slice(&leaves->entries));
	ipc_end(b, mark);
	f->gather = f->flight;
	f->flight = leaves;
	f->in_flight = true;
	f->stats.batches++;
	uploads_open_waiting(f);
	sessions_say_closed(f);
	sent_say(f, SENT_AHEAD);
}

bool front_want_write(const struct front *f)
{
	return !f->dead && (channel_want_write(f->ch) || batch_waits(f) ||
			    (f->ready && f->uploads_waiting > 0 && f->gather->count == 0));
}

/* ---- frames in ---- */

static int on_reply(struct front *f, struct rd *r, struct err *e)
{
	struct response rs;
	struct pending *p;
	struct session *s;

	if (!ipc_get_response(r, &rs))
		return err_set(e, ERR_MALFORMED, "a reply does not parse");
	p = pending_get(f, rs.id);
	if (!p)
		return 0;
	s = session_get(f, p->session);
	if (s && s->state == SESSION_SENT)
		s->state = SESSION_ADMITTED;
	answer(f, p, &rs);
	return 0;
}

static int on_replies(struct front *f, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	uint8_t last = rd_u8(&r);
	unsigned count = rd_u16(&r);

	if (r.failed || last > 1 || !f->in_flight || number != f->flight->number)
		return err_set(e, ERR_MALFORMED, "replies to batch %u, which is not under way",
			       number);
	for (unsigned i = 0; i < count; i++)
		if (on_reply(f, &r, e) < 0)
			return -1;
	if (!rd_done(&r))
		return err_set(e, ERR_MALFORMED, "replies with bytes left over");
	if (!last)
		return 0;
	f->in_flight = false;
	answer_none(f, f->flight);
	return 0;
}

static int on_grant(struct front *f, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	struct ipc_grant g;
	struct err why = { 0 };
	int fd = -1;

	if (!ipc_get_grant(&r, &g) || !rd_done(&r))
		return err_set(e, ERR_MALFORMED, "grant");
	if (g.has_fd && (fd = channel_take_fd(f->ch)) < 0)
		return err_set(e, ERR_MALFORMED, "a grant came without its descriptor");
	if (grant_received(f, &g, fd, &why) < 0)
		log_warn("front: grant not kept path=%s: %s", log_safe(g.path), why.text);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int on_drop(struct front *f, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint64_t session = rd_u64(&r);

	if (!rd_done(&r))
		return err_set(e, ERR_MALFORMED, "drop");
	session_dropped(f, session);
	return 0;
}

static int on_withdraw(struct front *f, struct slice body, struct err *e)
{
	struct digest d;

	if (body.n != sizeof(d.b))
		return err_set(e, ERR_MALFORMED, "withdraw");
	memcpy(d.b, body.p, sizeof(d.b));
	object_withdraw(f, &d);
	return 0;
}

static int on_notify(struct front *f, struct slice body, struct err *e)
{
	char path[PATH_MAX_LEN + 1];

	if (body.n == 0 || body.n > PATH_MAX_LEN || memchr(body.p, 0, body.n))
		return err_set(e, ERR_MALFORMED, "notify");
	memcpy(path, body.p, body.n);
	path[body.n] = '\0';
	if (f->notify)
		f->notify(f->notify_ctx, path);
	return 0;
}

static int on_ping(struct front *f, struct slice body, struct err *e)
{
	struct buf *b = channel_out(f->ch);
	size_t mark;

	if (body.n)
		return err_set(e, ERR_MALFORMED, "ping");
	mark = ipc_begin(b, FRAME_PONG);
	ipc_end(b, mark);
	return 0;
}

static int on_ready(struct front *f, struct slice body, struct err *e)
{
	if (body.n)
		return err_set(e, ERR_MALFORMED, "ready");
	f->ready = true;
	return 0;
}

static const struct {
	enum frame_type type;
	int (*handler)(struct front *f, struct slice body, struct err *e);
} frames[] = {
	{ FRAME_REPLIES, on_replies },
	{ FRAME_GRANT, on_grant },
	{ FRAME_DROP, on_drop },
	{ FRAME_WITHDRAW, on_withdraw },
	{ FRAME_NOTIFY, on_notify },
	{ FRAME_UPLOAD_CREDIT, upload_credit },
	{ FRAME_UPLOAD_DONE, upload_done },
	{ FRAME_PING, on_ping },
	{ FRAME_READY, on_ready },
	{ FRAME_SEND, send_received },
};

static int on_frame(struct front *f, enum frame_type t, struct slice body, struct err *e)
{
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		if (frames[i].type == t)
			return frames[i].handler(f, body, e);
	return err_set(e, ERR_MALFORMED, "frame of type %u", (unsigned)t);
}

static int take_frames(struct front *f, struct err *e)
{
	enum frame_type t;
	struct slice body;
	int n;

	while ((n = channel_next(f->ch, &t, &body, e)) == 1)
		if (on_frame(f, t, body, e) < 0)
			return -1;
	return n;
}

static void core_gone(struct front *f)
{
	f->dead = true;
	answer_none(f, f->flight);
	answer_none(f, f->gather);
	uploads_core_gone(f);
	sent_free(f);
}

int front_io(struct front *f, struct err *e)
{
	int n;

	if (f->dead)
		return err_set(e, ERR_GONE, "the core is gone");
	n = channel_read(f->ch, e);
	if (take_frames(f, e) < 0 || n < 0)
		goto gone;
	if (batch_waits(f))
		batch_send(f);
	else if (f->ready)
		uploads_open_waiting(f);
	if (channel_write(f->ch, e) < 0)
		goto gone;
	return 0;
gone:
	core_gone(f);
	return -1;
}
