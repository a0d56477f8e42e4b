/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "ipc/ipc.h"

#include <string.h>

/*
 * Requests, responses, grants and upload openings as frame bodies. Field order
 * is the wire format; encoder and decoder of each stand side by side.
 */

static bool text_ok(struct slice s)
{
	return s.n == 0 || !memchr(s.p, 0, s.n);
}

static struct slice get_text16(struct rd *r, size_t max)
{
	struct slice s = rd_blob16(r, max);

	if (!text_ok(s))
		r->failed = true;
	return s;
}

/* A small unsigned that must be below limit. */
static uint8_t get_enum(struct rd *r, unsigned limit)
{
	uint8_t v = rd_u8(r);

	if (v >= limit)
		r->failed = true;
	return v;
}

static bool get_flag(struct rd *r)
{
	return get_enum(r, 2) == 1;
}

static void put_digest(struct buf *b, const struct digest *d)
{
	buf_add(b, d->b, sizeof(d->b));
}

static void get_digest(struct rd *r, struct digest *d)
{
	struct slice s = rd_bytes(r, sizeof(d->b));

	if (s.n)
		memcpy(d->b, s.p, s.n);
}

static void put_etag(struct buf *b, const struct etag *t)
{
	ipc_put_u8(b, t->n);
	buf_add(b, t->b, t->n);
}

static void get_etag(struct rd *r, struct etag *t)
{
	uint8_t n = get_enum(r, ETAG_MAX + 1);
	struct slice s = rd_bytes(r, r->failed ? 0 : n);

	t->n = (uint8_t)s.n;
	if (s.n)
		memcpy(t->b, s.p, s.n);
}

static void put_etags(struct buf *b, const struct etag *t, uint8_t n)
{
	ipc_put_u8(b, n);
	for (uint8_t i = 0; i < n; i++)
		put_etag(b, &t[i]);
}

static uint8_t get_etags(struct rd *r, struct etag *t)
{
	uint8_t n = get_enum(r, ETAGS_MAX + 1);

	if (r->failed)
		return 0;
	for (uint8_t i = 0; i < n; i++)
		get_etag(r, &t[i]);
	return n;
}

/* -- evidence -- */

static void put_evidence(struct buf *b, const struct evidence *ev)
{
	ipc_put_u8(b, (uint8_t)ev->kind);
	ipc_put_u8(b, (uint8_t)ev->transport);
	buf_add(b, ev->ip, sizeof(ev->ip));
	ipc_put_u16(b, ev->port);
	ipc_put_u8(b, ev->resumed);
	ipc_put_u32(b, ev->uid);
	ipc_put_blob16(b, slice_str(ev->identity));
}

static void get_evidence(struct rd *r, struct evidence *ev)
{
	struct slice s;

	ev->kind = (enum evidence_kind)get_enum(r, EVIDENCE_LOCAL + 1);
	ev->transport = (enum transport)get_enum(r, TRANSPORT_UNIX + 1);
	s = rd_bytes(r, sizeof(ev->ip));
	if (s.n)
		memcpy(ev->ip, s.p, s.n);
	ev->port = rd_u16(r);
	ev->resumed = get_flag(r);
	ev->uid = rd_u32(r);
	s = get_text16(r, IDENTITY_MAX);
	if (r->failed)
		return;
	if (s.n)
		memcpy(ev->identity, s.p, s.n);
	ev->identity[s.n] = 0;
}

/* -- requests -- */

static void put_request_fields(struct buf *b, const struct request *rq)
{
	ipc_put_u32(b, rq->id);
	ipc_put_u64(b, rq->session);
	ipc_put_u8(b, (uint8_t)rq->method);
	ipc_put_u32(b, (uint32_t)rq->content_format);
	ipc_put_u32(b, (uint32_t)rq->accept);
	ipc_put_u8(b, rq->observe);
	ipc_put_u8(b, rq->want_body);
	ipc_put_blob16(b, rq->path);
	ipc_put_blob16(b, rq->query);
	ipc_put_blob16(b, rq->token);
	ipc_put_blob16(b, rq->idempotency_key);
	put_etags(b, rq->if_match, rq->n_if_match);
	put_etags(b, rq->if_none_match, rq->n_if_none_match);
	ipc_put_u8(b, rq->if_match_any);
	ipc_put_blob16(b, rq->host);
	ipc_put_blob32(b, rq->body);
}

static void get_request_fields(struct rd *r, struct request *rq)
{
	rq->id = rd_u32(r);
	rq->session = rd_u64(r);
	rq->method = (enum method)get_enum(r, METHOD_COUNT);
	rq->content_format = (enum media)(int32_t)rd_u32(r);
	rq->accept = (enum media)(int32_t)rd_u32(r);
	rq->observe = get_flag(r);
	rq->want_body = get_flag(r);
	rq->path = get_text16(r, PATH_MAX_LEN);
	rq->query = get_text16(r, QUERY_MAX_LEN);
	rq->token = get_text16(r, TOKEN_MAX_LEN);
	rq->idempotency_key = get_text16(r, IPC_WORD_MAX);
	rq->n_if_match = get_etags(r, rq->if_match);
	rq->n_if_none_match = get_etags(r, rq->if_none_match);
	rq->if_match_any = get_flag(r);
	rq->host = get_text16(r, IPC_WORD_MAX);
	rq->body = rd_blob32(r, BODY_MAX_LEN);
	if (rq->path.n == 0 || rq->path.p[0] != '/')
		r->failed = true;
}

/* -- calls to devices -- */

static void get_text(struct rd *r, char *dst, size_t cap)
{
	struct slice s = get_text16(r, cap - 1);

	if (s.n)
		memcpy(dst, s.p, s.n);
}

static void get_tag(struct rd *r, uint8_t tag[IPC_SEND_TAG])
{
	struct slice s = rd_bytes(r, IPC_SEND_TAG);

	if (s.n)
		memcpy(tag, s.p, s.n);
}

void ipc_put_send(struct buf *b, const struct ipc_send *s)
{
	size_t mark = ipc_begin(b, FRAME_SEND);

	buf_add(b, s->tag, sizeof(s->tag));
	ipc_put_u64(b, s->session);
	buf_add(b, s->ip, sizeof(s->ip));
	ipc_put_u16(b, s->port);
	ipc_put_blob16(b, slice_str(s->identity));
	ipc_put_u8(b, (uint8_t)s->method);
	ipc_put_blob16(b, slice_str(s->path));
	ipc_put_blob16(b, slice_str(s->query));
	ipc_put_u32(b, (uint32_t)s->content_format);
	ipc_put_u32(b, (uint32_t)s->accept);
	ipc_put_u8(b, s->has_object);
	if (s->has_object)
		put_digest(b, &s->object);
	ipc_put_u64(b, s->offset);
	ipc_put_blob32(b, s->body);
	ipc_end(b, mark);
}

bool ipc_get_send(struct rd *r, struct ipc_send *out)
{
	struct slice s;

	memset(out, 0, sizeof(*out));
	get_tag(r, out->tag);
	out->session = rd_u64(r);
	s = rd_bytes(r, sizeof(out->ip));
	if (s.n)
		memcpy(out->ip, s.p, s.n);
	out->port = rd_u16(r);
	get_text(r, out->identity, sizeof(out->identity));
	out->method = (enum method)get_enum(r, METHOD_COUNT);
	get_text(r, out->path, sizeof(out->path));
	get_text(r, out->query, sizeof(out->query));
	out->content_format = (enum media)(int32_t)rd_u32(r);
	out->accept = (enum media)(int32_t)rd_u32(r);
	out->has_object = get_flag(r);
	if (out->has_object)
		get_digest(r, &out->object);
	out->offset = rd_u64(r);
	out->body = rd_blob32(r, IPC_SEND_BODY_MAX);
	if (out->path[0] != '/')
		r->failed = true;
	return !r->failed;
}

void ipc_put_sent(struct buf *b, const struct ipc_sent *s)
{
	ipc_put_u8(b, ENTRY_SENT);
	buf_add(b, s->tag, sizeof(s->tag));
	ipc_put_u16(b, s->status);
	ipc_put_u64(b, s->offset);
	ipc_put_u32(b, (uint32_t)s->media);
	ipc_put_blob32(b, s->body);
}

static void get_sent(struct rd *r, struct ipc_sent *out)
{
	get_tag(r, out->tag);
	out->status = rd_u16(r);
	out->offset = rd_u64(r);
	out->media = (enum media)(int32_t)rd_u32(r);
	out->body = rd_blob32(r, IPC_SENT_BODY_MAX);
	if (out->status != 0 && (out->status < 200 || out->status > 599))
		r->failed = true;
}

void ipc_put_admit(struct buf *b, uint64_t session, const struct evidence *ev)
{
	ipc_put_u8(b, ENTRY_ADMIT);
	ipc_put_u64(b, session);
	put_evidence(b, ev);
}

void ipc_put_closed(struct buf *b, uint64_t session)
{
	ipc_put_u8(b, ENTRY_CLOSED);
	ipc_put_u64(b, session);
}

void ipc_put_request(struct buf *b, const struct request *rq)
{
	ipc_put_u8(b, ENTRY_REQUEST);
	put_request_fields(b, rq);
}

bool ipc_get_entry(struct rd *r, struct ipc_entry *out)
{
	memset(out, 0, sizeof(*out));
	out->type = (enum entry_type)rd_u8(r);
	switch (out->type) {
	case ENTRY_ADMIT:
		out->session = rd_u64(r);
		get_evidence(r, &out->evidence);
		break;
	case ENTRY_REQUEST:
		get_request_fields(r, &out->request);
		out->session = out->request.session;
		break;
	case ENTRY_CLOSED:
		out->session = rd_u64(r);
		break;
	case ENTRY_SENT:
		get_sent(r, &out->sent);
		break;
	default: /* the byte came from outside: the enum proves nothing */
		r->failed = true;
	}
	return !r->failed;
}

/* -- responses -- */

void ipc_put_response(struct buf *b, const struct response *rs)
{
	ipc_put_u32(b, rs->id);
	ipc_put_u16(b, rs->status);
	ipc_put_u32(b, (uint32_t)rs->media);
	put_etag(b, &rs->etag);
	ipc_put_u32(b, (uint32_t)rs->max_age);
	ipc_put_u32(b, (uint32_t)rs->retry_after);
	ipc_put_u8(b, rs->observing);
	ipc_put_u8(b, rs->close);
	ipc_put_u8(b, rs->allow);
	ipc_put_blob16(b, slice_str(rs->location));
	ipc_put_u8(b, rs->has_object);
	if (rs->has_object)
		put_digest(b, &rs->object);
	ipc_put_blob32(b, rs->body);
}

bool ipc_get_response(struct rd *r, struct response *out)
{
	struct slice s;

	memset(out, 0, sizeof(*out));
	out->id = rd_u32(r);
	out->status = rd_u16(r);
	out->media = (enum media)(int32_t)rd_u32(r);
	get_etag(r, &out->etag);
	out->max_age = (int32_t)rd_u32(r);
	out->retry_after = (int32_t)rd_u32(r);
	out->observing = get_flag(r);
	out->close = get_flag(r);
	out->allow = get_enum(r, METHOD_BIT(METHOD_COUNT));
	s = get_text16(r, PATH_MAX_LEN - 1);
	if (s.n)
		memcpy(out->location, s.p, s.n);
	out->has_object = get_flag(r);
	if (out->has_object)
		get_digest(r, &out->object);
	out->body = rd_blob32(r, IPC_BATCH_BYTES);
	return !r->failed;
}

/* -- grants -- */

void ipc_put_grant(struct buf *b, const struct ipc_grant *g)
{
	size_t mark = ipc_begin(b, FRAME_GRANT);

	ipc_put_u64(b, g->session);
	ipc_put_blob16(b, slice_str(g->path));
	put_digest(b, &g->digest);
	ipc_put_u64(b, g->size);
	ipc_put_u32(b, (uint32_t)g->media);
	ipc_put_u32(b, (uint32_t)g->max_age);
	ipc_put_u64(b, (uint64_t)g->lifetime_ms);
	ipc_put_u8(b, g->has_fd);
	ipc_end(b, mark);
}

bool ipc_get_grant(struct rd *r, struct ipc_grant *out)
{
	struct slice s;

	memset(out, 0, sizeof(*out));
	out->session = rd_u64(r);
	s = get_text16(r, PATH_MAX_LEN);
	if (s.n)
		memcpy(out->path, s.p, s.n);
	get_digest(r, &out->digest);
	out->size = rd_u64(r);
	out->media = (enum media)(int32_t)rd_u32(r);
	out->max_age = (int32_t)rd_u32(r);
	out->lifetime_ms = (int64_t)rd_u64(r);
	out->has_fd = get_flag(r);
	if (out->lifetime_ms < 0 || out->path[0] != '/')
		r->failed = true;
	return !r->failed;
}

/* -- uploads -- */

void ipc_put_upload_open(struct buf *b, const struct ipc_upload_open *o)
{
	size_t mark = ipc_begin(b, FRAME_UPLOAD_OPEN);

	ipc_put_u32(b, o->upload);
	ipc_put_u8(b, o->has_size);
	ipc_put_u64(b, o->size);
	ipc_put_u8(b, o->has_digest);
	put_digest(b, &o->digest);
	ipc_put_u8(b, o->has_offset);
	ipc_put_u64(b, o->offset);
	ipc_put_u8(b, (uint8_t)(o->complete + 1));
	put_request_fields(b, &o->request);
	ipc_end(b, mark);
}

bool ipc_get_upload_open(struct rd *r, struct ipc_upload_open *out)
{
	memset(out, 0, sizeof(*out));
	out->upload = rd_u32(r);
	out->has_size = get_flag(r);
	out->size = rd_u64(r);
	out->has_digest = get_flag(r);
	get_digest(r, &out->digest);
	out->has_offset = get_flag(r);
	out->offset = rd_u64(r);
	out->complete = (int8_t)(get_enum(r, 3) - 1);
	get_request_fields(r, &out->request);
	return !r->failed;
}
