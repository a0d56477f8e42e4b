/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "device/carrier.h"

struct http {
	struct carrier_options o;
	CURL *curl;
	char base[192];
};

struct call {
	struct http *h;
	struct curl_slist *headers;
	bool failed;
};

static size_t take_body(char *p, size_t size, size_t n, void *ctx)
{
	struct buf *b = ctx;

	buf_add(b, p, size * n);
	return b->failed ? 0 : size * n;
}

static void http_close(struct carrier *t)
{
	struct http *h = (struct http *)t;

	if (!h)
		return;
	if (h->curl) {
		curl_easy_cleanup(h->curl);
		curl_global_cleanup();
	}
	explicit_bzero(&h->o, sizeof(h->o));
	free(h);
}

static int http_open(const struct carrier_options *o, struct carrier **out, struct err *e)
{
	struct http *h = calloc(1, sizeof(*h));
	bool v6 = strchr(o->server.host, ':') != NULL;

	if (!h)
		return err_set(e, ERR_NO_MEMORY, "HTTP client");
	h->o = *o;
	text_format(h->base, sizeof(h->base), "%s://%s%s%s:%u", o->server.scheme, v6 ? "[" : "",
		    o->server.host, v6 ? "]" : "", o->server.port);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(h->curl = curl_easy_init())) {
		http_close((struct carrier *)h);
		return err_set(e, ERR_NO_MEMORY, "libcurl");
	}
	*out = (struct carrier *)h;
	return 0;
}

static void add_header(struct call *c, const char *name, const char *value)
{
	char line[TOKEN_MAX_LEN + 64];
	struct curl_slist *l = NULL;

	if (text_format(line, sizeof(line), "%s: %s", name, value) == 0)
		l = curl_slist_append(c->headers, line);
	explicit_bzero(line, sizeof(line));
	if (l)
		c->headers = l;
	else
		c->failed = true;
}

static void add_etag(struct call *c, const struct agent_request *rq)
{
	char hex[2 * ETAG_MAX + 1], quoted[2 * ETAG_MAX + 3];

	if (rq->etag.n == 0)
		return;
	text_hex(hex, rq->etag.b, rq->etag.n);
	text_format(quoted, sizeof(quoted), "\"%s\"", hex);
	add_header(c, rq->piece ? "If-Range" : "If-None-Match", quoted);
}

static void prepare(struct call *c, const struct agent_request *rq, struct slice body,
		    struct buf *in)
{
	CURL *u = c->h->curl;
	char url[PATH_MAX_LEN + 256], range[64], bearer[TOKEN_MAX_LEN + 16];

	curl_easy_reset(u);
	if (text_format(url, sizeof(url), "%s%s", c->h->base, rq->path) != 0)
		c->failed = true;
	curl_easy_setopt(u, CURLOPT_URL, url);
	curl_easy_setopt(u, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(u, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(u, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(u, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(u, CURLOPT_TIMEOUT_MS, (long)c->h->o.exchange_ms);
	curl_easy_setopt(u, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(u, CURLOPT_WRITEDATA, in);
	if (c->h->o.ca)
		curl_easy_setopt(u, CURLOPT_CAINFO, c->h->o.ca);
	if (c->h->o.token[0]) {
		if (text_format(bearer, sizeof(bearer), "Bearer %s", c->h->o.token) == 0)
			add_header(c, "Authorization", bearer);
		explicit_bzero(bearer, sizeof(bearer));
	}
	add_header(c, "Expect", "");
	if (rq->piece) {
		text_format(range, sizeof(range), "%llu-%llu", (unsigned long long)rq->offset,
			    (unsigned long long)(rq->offset + rq->length - 1));
		curl_easy_setopt(u, CURLOPT_RANGE, range);
	} else if (rq->kind != ASK_MANIFEST) {
		add_header(c, "Accept", "application/json");
	}
	add_etag(c, rq);
	if (body.n > 0) {
		add_header(c, "Content-Type",
			   rq->media == MEDIA_TEXT ? "text/plain" : "application/json");
		curl_easy_setopt(u, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
		curl_easy_setopt(u, CURLOPT_POSTFIELDS, (const char *)body.p);
		curl_easy_setopt(u, CURLOPT_CUSTOMREQUEST, method_name(rq->method));
	}
	curl_easy_setopt(u, CURLOPT_HTTPHEADER, c->headers);
}

static const char *header(CURL *u, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(u, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

static void read_etag(CURL *u, struct etag *t)
{
	const char *v = header(u, "ETag");
	size_t n = v ? strlen(v) : 0;

	t->n = 0;
	if (n >= 4 && v[0] == '"' && v[n - 1] == '"' && n <= 2 * ETAG_MAX + 2 &&
	    text_unhex(t->b, (n - 2) / 2, slice_of(v + 1, n - 2)) == 0)
		t->n = (uint8_t)((n - 2) / 2);
}

/* Retry-After, else Cache-Control's max-age. */
static int32_t read_age(CURL *u)
{
	const char *v = header(u, "Retry-After");
	uint64_t s;

	if (!v) {
		v = header(u, "Cache-Control");
		v = v ? strstr(v, "max-age=") : NULL;
		v = v ? v + 8 : NULL;
	}
	if (!v || text_u64(slice_of(v, strspn(v, "0123456789")), &s) != 0)
		return -1;
	return s > INT32_MAX ? INT32_MAX : (int32_t)s;
}

/* 206: where in the whole it lies; 200 in place of it: all of it came. */
static void read_piece(CURL *u, const struct agent_request *rq, struct agent_reply *r)
{
	const char *v = header(u, "Content-Range"), *slash = v ? strchr(v, '/') : NULL;
	uint64_t from;

	if (r->status == 200) {
		r->has_size = true;
		r->size = r->body.n;
		r->body = rq->offset < r->body.n
				  ? slice_of(r->body.p + rq->offset, r->body.n - (size_t)rq->offset)
				  : slice_of(NULL, 0);
		return;
	}
	if (r->status != 206)
		return;
	if (!slash || strncmp(v, "bytes ", 6) != 0 ||
	    text_u64(slice_of(v + 6, strspn(v + 6, "0123456789")), &from) != 0 ||
	    from != rq->offset || text_u64(slice_str(slash + 1), &r->size) != 0) {
		r->status = 502;
		return;
	}
	r->status = 200;
	r->has_size = true;
	r->more = rq->offset + r->body.n < r->size;
}

static int http_request(struct carrier *t, const struct agent_request *rq, struct slice body,
			struct buf *in, struct agent_reply *r, struct err *e)
{
	struct http *h = (struct http *)t;
	struct call c = { .h = h };
	CURLcode code = CURLE_OK;
	long status = 0;

	*r = (struct agent_reply){ .max_age = -1 };
	buf_reset(in);
	prepare(&c, rq, body, in);
	if (!c.failed)
		code = curl_easy_perform(h->curl);
	if (code == CURLE_OK && !c.failed) {
		curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
		r->status = (uint16_t)status;
		r->body = buf_slice(in);
		r->max_age = read_age(h->curl);
		read_etag(h->curl, &r->etag);
		if (rq->piece)
			read_piece(h->curl, rq, r);
	}
	curl_slist_free_all(c.headers);
	if (c.failed)
		return err_set(e, ERR_TOO_LARGE, "the request is too long");
	if (code != CURLE_OK)
		err_set(e, ERR_BUSY, "%s: %s", h->base, curl_easy_strerror(code));
	return 0;
}

static bool http_wait(struct carrier *t, int64_t ms)
{
	struct timespec s = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)t;
	(void)nanosleep(&s, NULL);
	return false;
}

static bool http_watching(const struct carrier *t)
{
	(void)t;
	return false;
}

const struct carrier_ops carrier_http = {
	.open = http_open,
	.request = http_request,
	.wait = http_wait,
	.watching = http_watching,
	.close = http_close,
	.media = MEDIA_JSON,
	.piece_max = AGENT_PIECE_MAX,
};
