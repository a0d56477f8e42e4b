/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <string.h>

int content_format_of(const struct coap_server *cs, enum media m)
{
	return m == MEDIA_SUIT_ENVELOPE ? (int)cs->o.envelope_number : media_coap(m);
}

/* "/a/b?c&d" as Location-Path and Location-Query. */
static void put_location(struct wire_out *o, const char *s)
{
	static const struct {
		enum wire_option option;
		const char *ends;
	} part[] = { { WIRE_LOCATION_PATH, "/?" }, { WIRE_LOCATION_QUERY, "&" } };

	for (unsigned i = 0; i < 2; i++) {
		if (*s != "/?"[i])
			continue;
		do {
			size_t n = strcspn(++s, part[i].ends);

			wire_put(o, part[i].option, slice_of(s, n));
			s += n;
		} while (*s == "/&"[i]);
	}
}

/* Max-Age stands between Location-Path (8) and Location-Query (20). */
static void put_path_and_age(struct wire_out *o, const struct content *c)
{
	char path[PATH_MAX_LEN];
	size_t n = strcspn(c->location, "?");

	memcpy(path, c->location, n);
	path[n] = '\0';
	put_location(o, path);
	if (c->format >= 0)
		wire_put_uint(o, WIRE_CONTENT_FORMAT, (uint32_t)c->format);
	if (c->max_age >= 0)
		wire_put_uint(o, WIRE_MAX_AGE, (uint32_t)c->max_age);
	put_location(o, c->location + n);
}

bool content_write(struct wire_out *o, const struct content *c)
{
	static const struct wire_block none;
	struct wire_part part;

	if (!wire_part_of(c->block2 ? c->block2 : &none, c->bytes.n, &part))
		return false;
	if (c->etag.n)
		wire_put(o, WIRE_ETAG, slice_of(c->etag.b, c->etag.n < 8 ? c->etag.n : 8));
	if (c->observe)
		wire_put_uint(o, WIRE_OBSERVE, c->sequence);
	if (c->location && c->location[0]) {
		put_path_and_age(o, c);
	} else {
		if (c->format >= 0)
			wire_put_uint(o, WIRE_CONTENT_FORMAT, (uint32_t)c->format);
		if (c->max_age >= 0)
			wire_put_uint(o, WIRE_MAX_AGE, (uint32_t)c->max_age);
	}
	if (part.use_block && c->bytes.n)
		wire_put_block(o, WIRE_BLOCK2, &part.block);
	if (c->block1 && c->block1->set)
		wire_put_block(o, WIRE_BLOCK1, c->block1);
	if (part.use_block && c->bytes.n && c->bytes.n <= UINT32_MAX)
		wire_put_uint(o, WIRE_SIZE2, (uint32_t)c->bytes.n);
	wire_end(o, part.n ? slice_of(c->bytes.p + part.offset, part.n) : slice_of(NULL, 0));
	return true;
}

/* The body: bytes, or the object that was granted with the answer. False: it is gone again. */
static bool content_of(struct coap_server *cs, const struct response *rs, struct content *c)
{
	struct front_object *object;

	c->etag = rs->etag;
	c->max_age = rs->retry_after >= 0 ? rs->retry_after : rs->max_age;
	c->location = rs->location;
	c->bytes = rs->body;
	c->format = rs->body.n || rs->has_object ? content_format_of(cs, rs->media) : -1;
	if (rs->status == 304) {
		c->bytes = slice_of(NULL, 0);
		c->format = -1;
		return true;
	}
	if (!rs->has_object)
		return true;
	object = front_object_find(cs->front, &rs->object);
	if (!object)
		return false;
	c->bytes = slice_of(object->map, (size_t)object->size);
	if (c->etag.n == 0) {
		c->etag.n = 8;
		memcpy(c->etag.b, object->digest.b, 8);
	}
	return true;
}

/* Errors go whole or without their text; only what was asked for is cut into blocks. */
static void trim_error(struct content *c, uint8_t code)
{
	if (WIRE_CLASS(code) == 2)
		return;
	c->block2 = NULL;
	if (c->bytes.n <= WIRE_BLOCK_MAX)
		return;
	c->bytes = slice_of(NULL, 0);
	c->format = -1;
}

void reply_from_core(void *ctx, const struct response *rs)
{
	struct exchange *x = ctx;
	struct coap_peer *p = x->peer;
	struct content c = { .block1 = &x->block1, .block2 = &x->block2 };
	struct observer *seen = NULL;
	uint8_t code;

	x->request = 0;
	if (!rs || !content_of(p->cs, rs, &c)) {
		exchange_fail(x, WIRE_CODE(5, 3), RETRY_BUSY_S);
		return;
	}
	code = coap_code_of(rs->status, x->method);
	trim_error(&c, code);
	if (x->observer && rs->observing && WIRE_CLASS(code) == 2) {
		seen = x->observer;
		x->observer = NULL;
		c.observe = true;
		c.sequence = observer_sequence(seen);
	}
	if (content_write(exchange_begin(x, code), &c)) {
		if (x->method == METHOD_GET && code == WIRE_CODE(2, 5) && !rs->has_object &&
		    p->cs->out.payload.n < c.bytes.n)
			kept_put(p, x->what, &c);
		exchange_send(x);
	} else {
		exchange_fail(x, WIRE_CODE(4, 0), -1);
	}
	if (seen)
		observer_accept(seen);
	if (rs->close)
		peer_end(p, true);
}
