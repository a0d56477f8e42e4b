/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "service/device_msg.h"
#include "service/internal.h"

/*
 * Calls to devices: from the tracker's effects to what the front carries out, and its answers
 * back to the tracker. What the front says is believed as the word of the device whose call
 * it was; rows say whether one is awaited at all.
 */

/* ---- the tag: which call it is ---- */

#define TAG_VERSION 1

static void put_int(uint8_t *at, int64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)((uint64_t)v >> (56 - 8 * i));
}

static int64_t get_int(const uint8_t *at)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | at[i];
	return v <= INT64_MAX ? (int64_t)v : -1;
}

/* Version, kind, whether of an outage, zeros; then device, update and serial. */
static void tag_write(uint8_t tag[IPC_SEND_TAG], int64_t dev, const struct send *s)
{
	memset(tag, 0, IPC_SEND_TAG);
	tag[0] = TAG_VERSION;
	tag[1] = (uint8_t)s->kind;
	tag[2] = s->outage_s > 0;
	put_int(tag + 8, dev);
	put_int(tag + 16, s->update);
	put_int(tag + 24, s->serial);
}

/* False: it is none of ours. */
static bool tag_read(const uint8_t tag[IPC_SEND_TAG], struct call_answer *a)
{
	static const uint8_t zeros[5];

	if (tag[0] != TAG_VERSION || tag[1] >= SEND_KIND_COUNT || tag[2] > 1 ||
	    memcmp(tag + 3, zeros, sizeof(zeros)) != 0)
		return false;
	a->kind = tag[1];
	a->of_outage = tag[2] == 1;
	a->dev = get_int(tag + 8);
	a->update = get_int(tag + 16);
	a->serial = get_int(tag + 24);
	return a->dev > 0 && a->update >= 0 && a->serial > 0;
}

/* ---- out ---- */

static int put_document(struct ipc_send *out, const struct doc *d, struct arena *a, struct err *e)
{
	struct buf b = BUF_INIT(IPC_SEND_BODY_MAX);
	uint8_t *copy = NULL;
	int rc = doc_failed(a) ? -1 : docfmt_encode(MEDIA_CBOR, d, &b, e);

	if (rc == 0 && !b.failed)
		copy = arena_alloc(a, b.n + 1);
	if (copy) {
		memcpy(copy, b.p, b.n);
		out->body = slice_of(copy, b.n);
		out->content_format = MEDIA_CBOR;
	}
	buf_free(&b);
	return copy ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for a call");
}

static void put_number(struct arena *a, struct doc *d, const char *key, int64_t v)
{
	if (v > 0)
		doc_add_int(a, d, key, v);
}

static int document(struct ipc_send *out, const struct send *s, const struct now *now,
		    struct arena *a, struct err *e)
{
	struct doc *d = doc_map(a, NULL, NULL);

	doc_add_int(a, d, "now", now->wall / 1000);
	put_number(a, d, "update", s->update);
	if (s->kind == SEND_LOOK) {
		doc_add_bool(a, d, "look", s->outage_s == 0);
		put_number(a, d, "outage", s->outage_s);
		put_number(a, d, "outage_in", s->outage_in_s);
		if (s->other[0])
			doc_add_text(a, d, "device", s->other);
	}
	return put_document(out, d, a, e);
}

static const struct way {
	enum method method;
	const char *path;
	enum media object; /* MEDIA_NONE: no object is sent */
	bool document, about; /* about an update, that the query names */
} ways[SEND_KIND_COUNT] = {
	[SEND_LOOK] = { METHOD_POST, "/fettle/offer", MEDIA_NONE, true, false },
	[SEND_STATUS] = { METHOD_GET, "/fettle/status", MEDIA_NONE, false, false },
	[SEND_MANIFEST] = { METHOD_PUT, "/fettle/manifest", MEDIA_SUIT_ENVELOPE, false, true },
	[SEND_HELD] = { METHOD_GET, "/fettle/image/", MEDIA_NONE, false, true },
	[SEND_IMAGE] = { METHOD_PUT, "/fettle/image/", MEDIA_OCTETS, false, true },
	[SEND_APPLY] = { METHOD_POST, "/fettle/apply", MEDIA_NONE, true, false },
	[SEND_DIAG] = { METHOD_POST, "/fettle/diag", MEDIA_NONE, true, false },
	[SEND_DROP] = { METHOD_POST, "/fettle/drop", MEDIA_NONE, true, false },
};

static void address(const struct service *sv, const struct effect *fx, struct ipc_send *out)
{
	const struct session *s =
		sessions_of_device(&sv->lanes[LANE_NETWORK], fx->dev, fx->send.plain);

	if (s)
		out->session = s->handle;
	memcpy(out->ip, fx->send.ip, sizeof(out->ip));
	out->port = fx->send.port;
	(void)text_copy(out->identity, sizeof(out->identity), fx->send.identity);
}

int service_call(struct service *sv, const struct effect *fx, const struct now *now,
		 struct arena *a, struct ipc_send *out, struct err *e)
{
	const struct send *s = &fx->send;
	const struct way *w = &ways[s->kind];
	bool numbered = s->kind == SEND_HELD || s->kind == SEND_IMAGE;

	*out = (struct ipc_send){ .method = w->method,
				  .content_format = w->object,
				  .accept = MEDIA_CBOR,
				  .has_object = w->object != MEDIA_NONE,
				  .object = fx->object,
				  .offset = s->kind == SEND_IMAGE ? s->offset : 0 };
	tag_write(out->tag, fx->dev, s);
	(void)text_copy(out->path, sizeof(out->path), w->path);
	if (numbered)
		text_format(out->path, sizeof(out->path), "%s%u", w->path, s->component);
	if (w->about)
		text_format(out->query, sizeof(out->query), "update=%" PRId64, s->update);
	if (w->document && document(out, s, now, a, e) != 0)
		return -1;
	address(sv, fx, out);
	return out->session != 0 || out->port != 0;
}

bool service_call_grant(const struct ipc_send *s, struct grant *out)
{
	char hex[DIGEST_TEXT];

	if (!s->has_object)
		return false;
	digest_text(hex, &s->object);
	*out = (struct grant){ .session = IPC_SESSION_SEND,
			       .object = s->object,
			       .media = s->content_format,
			       .max_age = -1 };
	text_format(out->path, sizeof(out->path), "/image/%s", hex);
	return true;
}

/* ---- back ---- */

static int read_refusal(struct doc_reader *r, struct call_answer *a)
{
	char failure[24] = "";

	doc_opt_words(r, "failure", failure, sizeof(failure));
	doc_opt_words(r, "text", a->text, sizeof(a->text));
	/* a reason this server has no word for is still one */
	if (failure[0] && failure_parse(failure, &a->failure) != 0)
		a->failure = FAILURE_OTHER;
	return doc_read_end(r);
}

static int read_held(struct doc_reader *r, struct call_answer *a)
{
	doc_opt_u64(r, "offset", &a->held);
	a->has_digest = doc_opt_digest(r, "digest", &a->digest);
	return doc_read_end(r);
}

static int read_body(const struct doc *d, struct call_answer *a, int64_t wall_ms, struct err *e)
{
	struct doc_reader r;

	doc_read_init(&r, d, e);
	if (a->status >= 300)
		return read_refusal(&r, a);
	if (a->kind == SEND_STATUS)
		return read_service_status(&r, &a->device, &a->has_status, wall_ms);
	if (a->kind == SEND_HELD)
		return read_held(&r, a);
	if (a->kind == SEND_LOOK)
		doc_opt_bool(&r, "acknowledged", &a->acknowledged);
	return doc_read_end(&r);
}

/* What makes no sense in a good answer is no answer; of a refusal the status is enough. */
int call_answer_read(const struct ipc_sent *s, struct arena *a, int64_t wall_ms,
		     struct call_answer *out, struct err *e)
{
	const struct doc *d;

	*out = (struct call_answer){ .status = s->status,
				     .offset = s->offset,
				     .device = {
					     .battery = -1, .free_flash = -1, .free_ram = -1 } };
	if (!tag_read(s->tag, out))
		return err_set(e, ERR_MALFORMED, "the answer is to no call of ours");
	if (s->body.n == 0)
		return 0;
	if (s->media != MEDIA_CBOR && s->media != MEDIA_JSON)
		return 0;
	struct err why = { 0 };
	if (docfmt_decode(s->media, s->body, a, &d, &why) == 0 && d->type == DOC_MAP &&
	    read_body(d, out, wall_ms, &why) == 0)
		return 0;
	if (out->status < 300)
		out->status = 502;
	out->has_status = out->acknowledged = out->has_digest = false;
	out->failure = FAILURE_NONE;
	text_format(out->text, sizeof(out->text), "%.120s", why.text);
	return 0;
}

int service_sent(struct service *sv, const struct ipc_sent *s, const struct now *now,
		 struct arena *a, struct effects *fx, struct err *e)
{
	struct tracker tk = service_tracker(sv, now, a, fx);
	struct call_answer *in = arena_alloc(a, sizeof(*in));

	if (!in)
		return err_set(e, ERR_NO_MEMORY, "no memory for an answer");
	if (call_answer_read(s, a, now->wall, in, e) != 0)
		return -1;
	if (in->status != 0 && in->status != 410 && in->status != 503)
		seen_note(&sv->seen, in->dev, now->wall, now->track);
	return call_answered(&tk, in, e);
}

int service_unsent(struct service *sv, const struct ipc_sent *s, unsigned n, const struct now *now,
		   struct arena *a, struct effects *fx, struct err *e)
{
	struct store *st = sv->o.store;
	int rc = 0;

	if (store_batch_begin(st, e) != 0)
		return -1;
	for (unsigned i = 0; i < n && rc >= 0; i++) {
		struct err why = { 0 };
		unsigned effects = fx->n;

		store_handler_begin(st);
		rc = service_sent(sv, &s[i], now, a, fx, &why);
		if (rc < 0)
			fx->n = effects;
		rc = store_handler_end(st, rc >= 0, e);
	}
	return service_finish(sv, rc, fx, e);
}

void service_calls_lost(struct service *sv)
{
	sv->calls_lost = true;
}
