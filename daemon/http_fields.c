/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/http_private.h"

#include <string.h>
#include <strings.h>

#define FIELDS_MAX 64
#define KEY_MAX_LEN 128
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The first thing wrong is what the asker hears, but doubtful framing outranks it. */
static void refuse(struct http_conn *c, uint16_t status, const char *detail)
{
	if (c->f.refusal == 0) {
		c->f.refusal = status;
		c->f.detail = detail;
	}
}

static void refuse_framing(struct http_conn *c, uint16_t status, const char *detail)
{
	if (!c->f.framing) {
		c->f.refusal = status;
		c->f.detail = detail;
		c->f.framing = true;
	}
}

/* ---- one function per field ---- */

static void take_host(struct http_conn *c, struct slice v)
{
	if (!http_host_valid(v))
		refuse_framing(c, 400, "Host is no host");
	else if (c->authority[0] == '\0')
		c->rq.host = v;
}

static void take_length(struct http_conn *c, struct slice v)
{
	if (http_parse_integer(v, &c->f.length) != 0)
		refuse_framing(c, v.n > 15 ? 413 : 400, "Content-Length is no length");
	c->f.has_length = true;
}

static void take_transfer(struct http_conn *c, struct slice v)
{
	c->f.encoded = true;
	c->f.chunked = v.n == 7 && strncasecmp((const char *)v.p, "chunked", 7) == 0;
}

static void take_type(struct http_conn *c, struct slice v)
{
	c->rq.content_format = media_from_http(v);
}

static void take_encoding(struct http_conn *c, struct slice v)
{
	if (v.n != 8 || strncasecmp((const char *)v.p, "identity", 8) != 0)
		refuse(c, 415, "bodies are taken without a content coding");
}

static void take_authorization(struct http_conn *c, struct slice v)
{
	size_t n;

	if (http_parse_authorization(v, c->token, &n) != 0)
		refuse(c, 401, "Authorization is neither Bearer nor Basic, or too long");
	c->rq.token = slice_of(c->token, n);
}

static void take_accept(struct http_conn *c, struct slice v)
{
	http_accept_add(&c->f.accept, v);
}

static void take_if_match(struct http_conn *c, struct slice v)
{
	struct http_etags t = { .tags = c->rq.if_match, .n = c->rq.n_if_match };

	/* a tag left out could turn a true condition into a false one */
	if (http_parse_etags(v, true, &t) != 0 || t.more)
		refuse(c, 400, "If-Match is no list of entity tags, or has too many");
	c->rq.n_if_match = t.n;
	c->rq.if_match_any = c->rq.if_match_any || t.any;
}

static void take_if_none_match(struct http_conn *c, struct slice v)
{
	struct http_etags t = { .tags = c->rq.if_none_match, .n = c->rq.n_if_none_match };

	if (http_parse_etags(v, false, &t) != 0)
		refuse(c, 400, "If-None-Match is no list of entity tags");
	c->rq.n_if_none_match = t.n;
	c->f.if_none_match_any = c->f.if_none_match_any || t.any;
}

static void take_range(struct http_conn *c, struct slice v)
{
	c->f.range = v;
}

static void take_if_range(struct http_conn *c, struct slice v)
{
	c->f.if_range = v;
}

static void take_key(struct http_conn *c, struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			refuse(c, 400, "Idempotency-Key is no printable text");
	if (v.n == 0 || v.n > KEY_MAX_LEN)
		refuse(c, 400, "Idempotency-Key has no or too many characters");
	c->rq.idempotency_key = v;
}

static void take_digest(struct http_conn *c, struct slice v)
{
	int r = http_parse_repr_digest(v, &c->f.digest);

	if (r < 0)
		refuse(c, 400, "Repr-Digest does not parse");
	c->f.has_digest = r > 0;
}

static void take_offset(struct http_conn *c, struct slice v)
{
	c->f.has_offset = true;
	if (http_parse_integer(v, &c->f.offset) != 0)
		refuse(c, 400, "Upload-Offset is no number");
}

static void take_complete(struct http_conn *c, struct slice v)
{
	c->f.complete = (int8_t)http_parse_boolean(v);
	if (c->f.complete < 0)
		refuse(c, 400, "Upload-Complete is neither ?0 nor ?1");
}

static void take_total(struct http_conn *c, struct slice v)
{
	c->f.has_total = true;
	if (http_parse_integer(v, &c->f.total) != 0)
		refuse(c, 400, "Upload-Length is no number");
}

static void take_expect(struct http_conn *c, struct slice v)
{
	c->f.expects = v.n == 12 && strncasecmp((const char *)v.p, "100-continue", 12) == 0;
	if (!c->f.expects)
		refuse(c, 417, "only 100-continue can be expected");
}

/* A browser says so itself when another site's page makes it ask. */
static void take_fetch_site(struct http_conn *c, struct slice v)
{
	c->f.cross_site = slice_eq_str(v, "cross-site");
}

static const struct {
	const char *name;
	bool list; /* may come several times */
	void (*take)(struct http_conn *c, struct slice v);
} fields[] = {
	{ "host", false, take_host },
	{ "content-length", false, take_length },
	{ "transfer-encoding", false, take_transfer },
	{ "content-type", false, take_type },
	{ "content-encoding", false, take_encoding },
	{ "authorization", false, take_authorization },
	{ "accept", true, take_accept },
	{ "if-match", true, take_if_match },
	{ "if-none-match", true, take_if_none_match },
	{ "if-range", false, take_if_range },
	{ "range", false, take_range },
	{ "idempotency-key", false, take_key },
	{ "repr-digest", false, take_digest },
	{ "upload-offset", false, take_offset },
	{ "upload-complete", false, take_complete },
	{ "upload-length", false, take_total },
	{ "expect", false, take_expect },
	{ "sec-fetch-site", false, take_fetch_site },
	/* known to come once; nothing is made of them */
	{ "user-agent", false, NULL },
	{ "referer", false, NULL },
	{ "origin", false, NULL },
	{ "date", false, NULL },
	{ "from", false, NULL },
	{ "if-modified-since", false, NULL },
	{ "if-unmodified-since", false, NULL },
	{ "max-forwards", false, NULL },
	{ "upgrade-insecure-requests", false, NULL },
};

_Static_assert(COUNT(fields) <= 32, "struct http_fields has a bit for each");

/*
 * libmicrohttpd 0.9.75 joins a folded line (obsolete since RFC 7230) to the field's name, so that
 * "Content-Lengt: 5" and " h" become a length that others on the way did not see. A field that was
 * not folded has its value right behind its name, with blanks between at the most.
 */
static bool is_folded(const char *key, size_t key_n, const char *value)
{
	uintptr_t end = (uintptr_t)key + key_n, at = (uintptr_t)value;

	if (!value || at <= end)
		return true;
	for (const char *p = key + key_n + 1; p != value; p++)
		if (*p != ' ' && *p != '\t')
			return true;
	return false;
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_n,
				const char *value, size_t value_n)
{
	struct http_conn *c = cls;
	struct slice name = slice_of(key, key_n), v = http_trim(slice_of(value, value_n));

	(void)kind;
	if (++c->f.count > FIELDS_MAX) {
		refuse_framing(c, 431, "too many header fields");
		return MHD_NO;
	}
	/* "Content-Length : 5" and the like are read differently by others on the way */
	if (is_folded(key, key_n, value) || strlen(value) != value_n || !http_name_valid(name) ||
	    !http_value_valid(v)) {
		refuse_framing(c, 400, "a header field is malformed");
		return MHD_NO;
	}
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (strcasecmp(fields[i].name, key) != 0)
			continue;
		if ((c->f.seen & 1u << i) && !fields[i].list) {
			refuse_framing(c, 400, "a header field that may come once came twice");
			return MHD_NO;
		}
		c->f.seen |= 1u << i;
		if (fields[i].take)
			fields[i].take(c, v);
		break;
	}
	return MHD_YES;
}

/* ---- the whole request ---- */

static void check_framing(struct http_conn *c, const char *version)
{
	if (!c->f.encoded)
		return;
	if (c->f.has_length || strcmp(version, "HTTP/1.1") != 0)
		refuse_framing(c, 400,
			       "Transfer-Encoding besides Content-Length, or before HTTP/1.1");
	else if (c->f.chunked)
		refuse_framing(c, 411, "bodies are taken with a Content-Length");
	else
		refuse_framing(c, 501, "this transfer coding is not spoken here");
}

static void take_method(struct http_conn *c, const char *method)
{
	c->rq.method = METHOD_COUNT;
	for (enum method m = 0; m < METHOD_COUNT; m++)
		if (strcmp(method, method_name(m)) == 0)
			c->rq.method = m;
	if (c->rq.method == METHOD_COUNT)
		refuse(c, 501, "this method is not spoken here");
	c->head = c->rq.method == METHOD_HEAD;
	/*
	 * HEAD too: Content-Length and the Upload fields are made from the body, which MHD then
	 * leaves out. Without it MHD would say "Content-Length: 0", or end a chunked body.
	 */
	c->rq.want_body = true;
	if (c->head)
		c->rq.method = METHOD_GET;
	if (c->rq.method != METHOD_GET && c->f.cross_site)
		refuse(c, 403, "asked for by another site");
	/* struct request has no such condition, and to leave it out would overwrite */
	if (c->rq.method != METHOD_GET && c->f.if_none_match_any)
		refuse(c, 400, "If-None-Match: * is not supported");
}

void http_fields_read(struct http_conn *c, const char *method, const char *version)
{
	struct slice path = c->rq.path, query = c->rq.query, authority = c->rq.host;

	c->f = (struct http_fields){ .complete = -1 };
	c->rq = (struct request){ .path = path,
				  .query = query,
				  .host = authority,
				  .session = c->session,
				  .content_format = MEDIA_NONE };
	if (c->target_status != 0)
		refuse(c, (uint16_t)c->target_status,
		       c->target_status == 414 ? "the target is too long"
					       : "the target is malformed");
	MHD_get_connection_values_n(c->mc, MHD_HEADER_KIND, on_field, c);
	check_framing(c, version);
	take_method(c, method);
	c->rq.accept = http_accept_media(&c->f.accept);
}
