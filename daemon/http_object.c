/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/http_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/*
 * A granted object with the ready answer for the whole of it, which all who
 * ask for it share: MHD sends it straight from the mapping. The entry holds
 * the object while anybody is served from it, and a few seconds longer.
 */
struct http_entry {
	struct front_object *object;
	enum media media;
	int32_t max_age;
	struct MHD_Response *whole;
	struct http_conn *users;
	int64_t idle_since;
	bool listed; /* in the server's table: others may use it */
};

static struct etag object_etag(const struct front_object *o)
{
	struct etag t = { .n = DIGEST_SIZE };

	memcpy(t.b, o->digest.b, DIGEST_SIZE);
	return t;
}

static void digest_header(struct MHD_Response *r, const struct digest *d)
{
	struct buf b = BUF_INIT(64);

	if (text_base64(&b, slice_of(d->b, DIGEST_SIZE)) == 0)
		http_answer_header(r, "Repr-Digest", "sha-256=:%s:", buf_cstr(&b));
	buf_free(&b);
}

/* Fields of the representation, the same with 200, 206 and 304. */
static void object_headers(struct MHD_Response *r, const struct http_entry *en)
{
	const char *type = media_http(en->media);
	struct etag tag = object_etag(en->object);

	http_answer_header(r, "X-Content-Type-Options", "nosniff");
	http_answer_header(r, "Content-Type", "%s", type ? type : media_http(MEDIA_OCTETS));
	http_answer_header(r, "Accept-Ranges", "bytes");
	http_answer_etag(r, &tag);
	digest_header(r, &en->object->digest);
	if (en->max_age >= 0)
		http_answer_header(r, "Cache-Control", "max-age=%d", (int)en->max_age);
}

/* MHD reads the mapping only, but says void *. */
static struct MHD_Response *from_map(const struct front_object *o, uint64_t first, uint64_t n)
{
	union {
		const uint8_t *in;
		void *out;
	} u = { .in = n ? o->map + first : NULL };

	return MHD_create_response_from_buffer(n, u.out, MHD_RESPMEM_PERSISTENT);
}

/* ---- entries ---- */

static void entry_free(struct http_server *hs, struct http_entry *en)
{
	if (en->whole)
		MHD_destroy_response(en->whole);
	front_object_unref(hs->front, en->object);
	free(en);
}

static void entry_unlist(struct http_server *hs, unsigned i)
{
	struct http_entry *en = hs->entries[i];

	hs->entries[i] = hs->entries[--hs->n_entries];
	en->listed = false;
	if (!en->users)
		entry_free(hs, en);
}

static struct http_entry *entry_new(struct http_server *hs, const struct front_grant *g)
{
	struct http_entry *en = calloc(1, sizeof(*en));

	if (!en)
		return NULL;
	en->object = g->object;
	en->media = g->media;
	en->max_age = g->max_age;
	front_object_ref(en->object);
	en->whole = from_map(en->object, 0, en->object->size);
	if (!en->whole) {
		entry_free(hs, en);
		return NULL;
	}
	object_headers(en->whole, en);
	/* with the table full of others the entry lives for its one user */
	if (hs->n_entries < HTTP_ENTRIES) {
		hs->entries[hs->n_entries++] = en;
		en->listed = true;
	}
	return en;
}

static struct http_entry *entry_find(struct http_server *hs, const struct front_grant *g)
{
	for (unsigned i = 0; i < hs->n_entries; i++) {
		struct http_entry *en = hs->entries[i];

		if (en->object == g->object && en->media == g->media && en->max_age == g->max_age)
			return en;
	}
	return entry_new(hs, g);
}

static void entry_join(struct http_entry *en, struct http_conn *c)
{
	c->entry = en;
	c->entry_prev = NULL;
	c->entry_next = en->users;
	if (en->users)
		en->users->entry_prev = c;
	en->users = c;
}

void http_object_done(struct http_conn *c)
{
	struct http_entry *en = c->entry;

	if (!en)
		return;
	if (c->entry_prev)
		c->entry_prev->entry_next = c->entry_next;
	else
		en->users = c->entry_next;
	if (c->entry_next)
		c->entry_next->entry_prev = c->entry_prev;
	c->entry = NULL;
	c->entry_prev = c->entry_next = NULL;
	if (en->users)
		return;
	if (en->listed)
		en->idle_since = clock_mono_ms();
	else
		entry_free(c->listen->hs, en);
}

void http_object_withdraw(void *ctx, const struct digest *d)
{
	struct http_server *hs = ctx;

	for (struct http_conn *c = hs->conns; c; c = c->next)
		if (c->entry && digest_eq(&c->entry->object->digest, d))
			http_conn_cut(c);
	for (unsigned i = hs->n_entries; i-- > 0;)
		if (digest_eq(&hs->entries[i]->object->digest, d))
			entry_unlist(hs, i);
}

void http_object_sweep(struct http_server *hs, int64_t now)
{
	for (unsigned i = hs->n_entries; i-- > 0;) {
		const struct http_entry *en = hs->entries[i];

		if (!en->users && (now == INT64_MAX || now - en->idle_since > HTTP_ENTRY_IDLE_MS))
			entry_unlist(hs, i);
	}
}

/* ---- answers ---- */

static bool any_matches(const struct etag *tags, unsigned n, const struct etag *full)
{
	for (unsigned i = 0; i < n; i++)
		if (etag_matches(&tags[i], full))
			return true;
	return false;
}

/* RFC 9110 13.2.2, as far as it concerns reading. 0: go on. */
static unsigned precondition(const struct http_conn *c, const struct etag *full)
{
	const struct request *rq = &c->rq;

	if (rq->n_if_match > 0 && !rq->if_match_any &&
	    !any_matches(rq->if_match, rq->n_if_match, full))
		return 412;
	if (c->f.if_none_match_any || any_matches(rq->if_none_match, rq->n_if_none_match, full))
		return 304;
	return 0;
}

/* A date, a weak tag or another tag: what the asker has is not this (RFC 9110 13.1.5). */
static bool if_range_holds(struct slice value, const struct etag *full)
{
	struct etag tags[ETAGS_MAX];
	struct http_etags t = { .tags = tags };

	return value.n == 0 ||
	       (http_parse_etags(value, true, &t) == 0 && t.n == 1 && etag_matches(&tags[0], full));
}

static void serve_part(struct http_conn *c, const struct http_entry *en, uint64_t first, uint64_t n)
{
	c->response = from_map(en->object, first, n);
	c->status = 206;
	if (!c->response)
		return;
	object_headers(c->response, en);
	http_answer_header(c->response, "Content-Range", "bytes %llu-%llu/%llu",
			   (unsigned long long)first, (unsigned long long)(first + n - 1),
			   (unsigned long long)en->object->size);
}

static void serve_bad_range(struct http_conn *c, const struct http_entry *en)
{
	http_answer_problem(c, 416, "the range begins behind the end");
	if (c->response)
		http_answer_header(c->response, "Content-Range", "bytes */%llu",
				   (unsigned long long)en->object->size);
}

/* With 304 MHD sends the fields alone, and Content-Length is then the whole's (RFC 9110 8.6). */
static void serve_whole(struct http_conn *c, const struct http_entry *en, unsigned status)
{
	c->response = en->whole;
	c->response_shared = true;
	c->status = status;
}

static void serve_body(struct http_conn *c, struct http_entry *en, const struct etag *full)
{
	enum http_range kind = HTTP_RANGE_WHOLE;
	uint64_t first = 0, n = 0;

	if (!c->head && c->f.range.n > 0 && if_range_holds(c->f.if_range, full))
		kind = http_parse_range(c->f.range, en->object->size, &first, &n);
	switch (kind) {
	case HTTP_RANGE_BAD:
		serve_bad_range(c, en);
		break;
	case HTTP_RANGE_PART:
		serve_part(c, en, first, n);
		break;
	case HTTP_RANGE_WHOLE:
		serve_whole(c, en, 200);
		break;
	}
}

void http_object_serve(struct http_conn *c, const struct front_grant *g)
{
	struct http_entry *en = g->object->withdrawn ? NULL : entry_find(c->listen->hs, g);
	struct etag full = object_etag(g->object);

	http_answer_drop(c);
	if (!en) {
		http_answer_problem(c, g->object->withdrawn ? 410 : 503, "not to be had now");
		return;
	}
	entry_join(en, c);
	unsigned status = precondition(c, &full);
	if (status == 304)
		serve_whole(c, en, 304);
	else if (status != 0)
		http_answer_problem(c, (uint16_t)status, "the entity tag is another");
	else
		serve_body(c, en, &full);
	if (!c->response)
		http_conn_cut(c);
}
