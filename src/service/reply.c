/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "service/svc.h"

void reply_init(struct response *rs, uint32_t id)
{
	*rs = (struct response){ .id = id, .media = MEDIA_NONE, .max_age = -1, .retry_after = -1 };
}

bool call_is_coap(const struct call *c)
{
	return c->evidence && (c->evidence->transport == TRANSPORT_COAP ||
			       c->evidence->transport == TRANSPORT_COAPS);
}

bool call_is_api(const struct call *c)
{
	return slice_starts(c->rq->path, "/api/");
}

int reply_media(const struct call *c, enum media *m, struct err *e)
{
	enum media asked = c->rq->accept;

	if (asked == MEDIA_JSON || asked == MEDIA_CBOR) {
		*m = asked;
		return 0;
	}
	/* Accept is critical in CoAP; HTTP lets the origin answer with what it has */
	if (call_is_coap(c) && asked != MEDIA_NONE)
		return err_set(e, ERR_NOT_ACCEPTABLE, "documents are JSON (50) or CBOR (60)");
	*m = call_is_coap(c) && !call_is_api(c) ? MEDIA_CBOR : MEDIA_JSON;
	return 0;
}

int reply_bytes(struct call *c, uint16_t status, enum media m, struct slice bytes, struct err *e)
{
	const uint8_t *p = arena_copy(c->tk.a, bytes.p, bytes.n);

	if (!p)
		return err_set(e, ERR_NO_MEMORY, "no memory for the answer");
	c->rs->status = status;
	c->rs->media = m;
	c->rs->body = slice_of(p, bytes.n);
	return 0;
}

int reply_text(struct call *c, uint16_t status, enum media m, const char *text, struct err *e)
{
	return reply_bytes(c, status, m, slice_str(text), e);
}

int reply_doc(struct call *c, uint16_t status, const struct doc *d, struct err *e)
{
	struct buf *b = &c->sv->scratch;
	enum media m;

	if (doc_failed(c->tk.a) || !d)
		return err_set(e, ERR_NO_MEMORY, "no memory for the answer");
	if (reply_media(c, &m, e) != 0)
		return -1;
	buf_reset(b);
	if (docfmt_encode(m, d, b, e) != 0)
		return -1;
	c->answer = d;
	return reply_bytes(c, status, m, buf_slice(b), e);
}

int reply_empty(struct call *c, uint16_t status)
{
	c->rs->status = status;
	c->rs->media = MEDIA_NONE;
	c->rs->body = slice_of(NULL, 0);
	return 0;
}

int reply_location(struct call *c, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(c->rs->location, sizeof(c->rs->location), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(c->rs->location))
		return 0;
	c->rs->location[0] = '\0';
	return err_set(e, ERR_INTERNAL, "location longer than a path");
}

int reply_object(struct call *c, const struct digest *d, enum media m, bool session,
		 int64_t lifetime_ms, struct err *e)
{
	struct grant *g = &c->oc->grant;
	struct response *rs = c->rs;
	bool fresh;

	etag_of_digest(&rs->etag, d);
	*g = (struct grant){ .session = session ? c->rq->session : 0,
			     .object = *d,
			     .media = m,
			     .max_age = -1,
			     .lifetime_ms = lifetime_ms };
	if (text_copy_slice(g->path, sizeof(g->path), c->rq->path) != 0)
		return err_set(e, ERR_INVALID, "path longer than %d bytes", PATH_MAX_LEN);
	if (etag_check(c, &rs->etag, &fresh, e) != 0)
		return -1;
	/* HTTP's front says 304 itself, with the fields that its 200 has */
	if (fresh && call_is_coap(c))
		return reply_empty(c, 304);
	rs->status = 200;
	rs->media = m;
	rs->has_object = true;
	rs->object = *d;
	c->oc->has_grant = true;
	return 0;
}

int reply_job(struct call *c, const struct job *j, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	doc_put_job(c, doc_map(c->tk.a, d, "job"), j);
	if (reply_location(c, e, "/api/v1/jobs/%" PRId64, j->id) != 0)
		return -1;
	return reply_doc(c, 202, d, e);
}

void doc_put_uuid(struct arena *a, struct doc *d, const char *key, const struct uuid *u)
{
	char text[UUID_TEXT];

	uuid_text(text, u);
	doc_add_text(a, d, key, u->set ? text : NULL);
}
