/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "codec/docfmt.h"
#include "service/internal.h"

void problem_text(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	for (; src[n] && n + 1 < cap; n++)
		dst[n] = src[n] >= 0x20 && src[n] < 0x7f ? src[n] : '?';
	dst[n] = '\0';
}

static enum media problem_media(const struct call *c)
{
	enum media asked = c->rq->accept;

	if (asked == MEDIA_CBOR || asked == MEDIA_PROBLEM_CBOR)
		return MEDIA_PROBLEM_CBOR;
	if (asked == MEDIA_JSON || asked == MEDIA_PROBLEM_JSON || !call_is_coap(c))
		return MEDIA_PROBLEM_JSON;
	return MEDIA_PROBLEM_CBOR;
}

/* What went wrong inside is for the log and for operators, not for everyone. */
static const char *detail_for(const struct call *c, const struct err *why, char *room, size_t cap)
{
	if (why->code >= ERR_IO && c->who.role <= ROLE_DEVICE)
		return "it could not be done now";
	problem_text(room, cap, why->text);
	return room;
}

static struct doc *problem_doc(const struct call *c, const struct err *why, enum media m,
			       uint16_t status)
{
	struct arena *a = c->tk.a;
	struct doc *d = doc_map(a, NULL, NULL);
	char room[sizeof(why->text)];

	if (m == MEDIA_PROBLEM_JSON) {
		doc_add_text(a, d, "type", arena_printf(a, "urn:fettle:%s", err_word(why->code)));
		doc_add_int(a, d, "status", status);
	}
	doc_add_text(a, d, "title", status_phrase(status));
	doc_add_text(a, d, "detail", detail_for(c, why, room, sizeof(room)));
	return d;
}

static int32_t retry_of(enum err_code code)
{
	switch (code) {
	case ERR_TOO_MANY:
	case ERR_IO:
	case ERR_NO_MEMORY:
		return 30;
	case ERR_BUSY:
		return 5;
	case ERR_FULL:
		return 300;
	case ERR_NONE:
	case ERR_MALFORMED:
	case ERR_INVALID:
	case ERR_TOO_LARGE:
	case ERR_UNSUPPORTED:
	case ERR_VERIFY:
	case ERR_MEDIA:
	case ERR_NOT_ACCEPTABLE:
	case ERR_UNAUTHENTICATED:
	case ERR_FORBIDDEN:
	case ERR_NOT_FOUND:
	case ERR_METHOD:
	case ERR_CONFLICT:
	case ERR_PRECONDITION:
	case ERR_GONE:
	case ERR_INTERNAL:
		break;
	}
	return -1;
}

static void note(const struct call *c, const struct err *why, uint16_t status)
{
	char text[sizeof(why->text)];

	problem_text(text, sizeof(text), why->text);
	if (status >= 500)
		log_error("request=%s who=%s status=%u cause=\"%s\"",
			  c->route ? c->route->pattern : "-", log_safe(c->who.name), status, text);
	else if (c->who.role == ROLE_NONE)
		log_debug("request=%s who=%s status=%u cause=\"%s\"",
			  c->route ? c->route->pattern : "-", log_safe(c->who.name), status, text);
	else
		log_info("request=%s who=%s status=%u cause=\"%s\"",
			 c->route ? c->route->pattern : "-", log_safe(c->who.name), status, text);
}

void problem_fill(const struct call *c, const struct err *why, struct response *rs)
{
	bool close = rs->close;
	uint8_t allow = rs->allow;
	enum media m = problem_media(c);

	reply_init(rs, c->rq->id);
	rs->close = close;
	rs->allow = allow;
	rs->status = status_of_err(why->code ? why->code : ERR_INTERNAL);
	rs->retry_after = retry_of(why->code);
	note(c, why, rs->status);
	const struct doc *d = problem_doc(c, why, m, rs->status);
	struct buf *b = &c->sv->scratch;
	buf_reset(b);
	if (doc_failed(c->tk.a) || docfmt_encode(m, d, b, NULL) != 0)
		return; /* the status alone says it */
	const uint8_t *body = arena_copy(c->tk.a, b->p, b->n);
	if (!body)
		return;
	rs->media = m;
	rs->body = slice_of(body, b->n);
}

/*
 * No session, no service: only what the request itself shows of its asker. A
 * device's answer without a body is understood by all.
 */
void service_unavailable(const struct request *rq, enum err_code why, struct arena *a,
			 struct response *rs)
{
	reply_init(rs, rq->id);
	rs->status = status_of_err(why);
	rs->retry_after = retry_of(why);
	if (!slice_starts(rq->path, "/api/"))
		return;
	const char *body =
		arena_printf(a,
			     "{\"type\":\"urn:fettle:%s\",\"status\":%u,\"title\":\"%s\","
			     "\"detail\":\"it cannot be done now; nothing was changed\"}",
			     err_word(why), rs->status, status_phrase(rs->status));
	if (!body)
		return;
	rs->media = MEDIA_PROBLEM_JSON;
	rs->body = slice_str(body);
}
