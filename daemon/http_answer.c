/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/http_private.h"

#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/doc.h"
#include "base/text.h"
#include "codec/docfmt.h"

#define HEADER_VALUE_MAX (PATH_MAX_LEN + 64)
#define UPLOADS "/api/v1/uploads/"
#define EARLY_MAX (2 * BODY_MAX_LEN)

static const char content_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

void http_answer_header(struct MHD_Response *r, const char *name, const char *fmt, ...)
{
	char value[HEADER_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	/* too long, or no memory: left out, none changes what the body is */
	if (n >= 0 && (size_t)n < sizeof(value))
		(void)MHD_add_response_header(r, name, value);
}

void http_answer_etag(struct MHD_Response *r, const struct etag *tag)
{
	char hex[2 * ETAG_MAX + 1];

	if (tag->n == 0 || tag->n > ETAG_MAX)
		return;
	text_hex(hex, tag->b, tag->n);
	http_answer_header(r, "ETag", "\"%s\"", hex);
}

void http_answer_drop(struct http_conn *c)
{
	if (c->response && !c->response_shared)
		MHD_destroy_response(c->response);
	c->response = NULL;
	c->response_shared = false;
}

static struct MHD_Response *make(const struct response *rs)
{
	union {
		const uint8_t *in;
		void *out;
	} body = { .in = rs->body.p };

	/* with 304 MHD sends no body, but its length (RFC 9110 8.6) */
	if (rs->status == 204 || rs->body.n == 0)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	return MHD_create_response_from_buffer(rs->body.n, body.out, MHD_RESPMEM_MUST_COPY);
}

/* {"offset": N, "complete": b} of an upload's resource, as the fields that clients look at. */
static void upload_headers(struct http_conn *c, const struct response *rs)
{
	struct arena a = ARENA_INIT(64 * 1024);
	const struct doc *d;
	struct doc_reader r;
	uint64_t offset = UINT64_MAX;
	bool complete = false;

	if (rs->media != MEDIA_JSON ||
	    (!slice_starts(c->rq.path, UPLOADS) && !slice_starts(slice_str(rs->location), UPLOADS)))
		return;
	if (docfmt_decode(MEDIA_JSON, rs->body, &a, &d, NULL) == 0 && d->type == DOC_MAP) {
		doc_read_init(&r, d, NULL);
		doc_opt_u64(&r, "offset", &offset);
		doc_opt_bool(&r, "complete", &complete);
		if (!r.failed && offset != UINT64_MAX) {
			http_answer_header(c->response, "Upload-Offset", "%llu",
					   (unsigned long long)offset);
			http_answer_header(c->response, "Upload-Complete", "?%d", complete);
		}
	}
	arena_free(&a);
}

static void cache_headers(struct MHD_Response *r, const struct response *rs)
{
	if (rs->max_age < 0) {
		http_answer_header(r, "Cache-Control", "no-store");
		return;
	}
	http_answer_header(r, "Cache-Control", "max-age=%d", (int)rs->max_age);
	http_answer_header(r, "Vary", "Accept, Authorization");
}

/* RFC 9110, 15.5.6: with 405 always. */
static void allow_header(struct MHD_Response *r, const struct response *rs)
{
	struct buf b = BUF_INIT(128);

	for (enum method m = 0; m < METHOD_COUNT; m++)
		if (rs->allow & METHOD_BIT(m))
			buf_printf(&b, "%s%s", b.n ? ", " : "", method_name(m));
	if (rs->status == 405 && !b.failed)
		http_answer_header(r, "Allow", "%.*s", (int)b.n, b.n ? (const char *)b.p : "");
	buf_free(&b);
}

static void add_headers(struct http_conn *c, const struct response *rs)
{
	struct MHD_Response *r = c->response;
	const char *type = rs->status == 204 || rs->status == 304 ? NULL : media_http(rs->media);

	http_answer_header(r, "X-Content-Type-Options", "nosniff");
	if (type)
		http_answer_header(r, "Content-Type", "%s", type);
	if (rs->media == MEDIA_HTML) {
		http_answer_header(r, "Content-Security-Policy", "%s", content_policy);
		http_answer_header(r, "Referrer-Policy", "no-referrer");
	}
	http_answer_etag(r, &rs->etag);
	cache_headers(r, rs);
	if (rs->location[0])
		http_answer_header(r, "Location", "%s", rs->location);
	if (rs->retry_after >= 0)
		http_answer_header(r, "Retry-After", "%d", (int)rs->retry_after);
	allow_header(r, rs);
	if (rs->status == 401) {
		http_answer_header(r, "WWW-Authenticate", "Bearer realm=\"fettle\"");
		http_answer_header(r, "WWW-Authenticate",
				   "Basic realm=\"fettle\", charset=\"UTF-8\"");
	}
	upload_headers(c, rs);
	if (rs->close || c->must_close || c->listen->hs->stopping)
		http_answer_header(r, "Connection", "close");
}

void http_answer(struct http_conn *c, const struct response *rs)
{
	http_answer_drop(c);
	if (!rs) {
		http_answer_problem(c, 503, "the service is starting again");
		return;
	}
	c->status = rs->status;
	c->response = make(rs);
	if (c->response)
		add_headers(c, rs);
	else
		http_conn_cut(c);
}

/* ---- problems of the adapter's own (RFC 9457) ---- */

struct problem {
	char text[512];
	struct response rs;
};

static const char *problem_word(uint16_t status)
{
	static const struct {
		uint16_t status;
		enum err_code code;
	} words[] = {
		{ 401, ERR_UNAUTHENTICATED }, { 403, ERR_FORBIDDEN },	 { 410, ERR_GONE },
		{ 411, ERR_INVALID },	      { 412, ERR_PRECONDITION }, { 413, ERR_TOO_LARGE },
		{ 414, ERR_TOO_LARGE },	      { 415, ERR_MEDIA },	 { 416, ERR_INVALID },
		{ 431, ERR_TOO_LARGE },	      { 501, ERR_UNSUPPORTED },	 { 503, ERR_BUSY },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].status == status)
			return err_word(words[i].code);
	return err_word(ERR_MALFORMED);
}

static const struct response *problem(struct problem *p, uint16_t status, const char *detail)
{
	/* detail is ours, never the asker's: nothing in it needs escaping */
	if (text_format(
		    p->text, sizeof(p->text),
		    "{\"type\":\"urn:fettle:%s\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s\"}",
		    problem_word(status), status_phrase(status), status, detail) != 0)
		p->text[0] = '\0';
	p->rs = (struct response){ .status = status,
				   .media = MEDIA_PROBLEM_JSON,
				   .max_age = -1,
				   .retry_after = status == 503 ? 1 : -1,
				   .body = slice_str(p->text) };
	return &p->rs;
}

void http_answer_problem(struct http_conn *c, uint16_t status, const char *detail)
{
	struct problem p;

	http_answer(c, problem(&p, status, detail));
}

/* ---- answers before the request's end ---- */

static enum MHD_Result print_header(void *cls, enum MHD_ValueKind kind, const char *key,
				    const char *value)
{
	struct buf *b = cls;

	(void)kind;
	if (strcasecmp(key, "Connection") != 0)
		buf_printf(b, "%s: %s\r\n", key, value);
	return MHD_YES;
}

/* All at once or not at all: nothing was sent on this connection since the last answer. */
static bool write_past(struct http_conn *c, struct slice s)
{
	const union MHD_ConnectionInfo *info;

	if (c->listen->transport != TRANSPORT_HTTPS)
		return send(c->fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)s.n;
	info = MHD_get_connection_info(c->mc, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (!info || !info->tls_session)
		return false;
	return gnutls_record_send(info->tls_session, s.p, s.n) == (ssize_t)s.n;
}

/*
 * MHD answers before a body or after it, never amid. An asker with gigabytes
 * to send must not have to send them to hear no; and closing at once would
 * reset the connection, which takes the answer away again.
 */
void http_answer_early(struct http_conn *c, const struct response *rs)
{
	struct buf b = BUF_INIT(EARLY_MAX);

	if (!rs) {
		http_answer_early_problem(c, 503, "the service is starting again");
		return;
	}
	http_answer(c, rs);
	if (c->cut || !c->response)
		return;
	buf_printf(&b, "HTTP/1.1 %u %s\r\n", c->status, status_phrase((uint16_t)c->status));
	MHD_get_response_headers(c->response, print_header, &b);
	buf_printf(&b, "Content-Length: %zu\r\nConnection: close\r\n\r\n", rs->body.n);
	buf_add_slice(&b, rs->body);
	bool out = !b.failed && write_past(c, buf_slice(&b));
	buf_free(&b);
	http_answer_drop(c);
	if (!out) {
		http_conn_cut(c);
		return;
	}
	c->step = HTTP_DISCARD;
	http_conn_phase(c, HTTP_PHASE_BODY);
}

void http_answer_early_problem(struct http_conn *c, uint16_t status, const char *detail)
{
	struct problem p;

	http_answer_early(c, problem(&p, status, detail));
}
