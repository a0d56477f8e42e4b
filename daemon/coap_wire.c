/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_wire.h"

#include <string.h>

/* ---- reading ---- */

static uint32_t uint_of(struct slice v)
{
	uint32_t n = 0;

	for (size_t i = 0; i < v.n; i++)
		n = n << 8 | v.p[i];
	return n;
}

static void fault(struct wire_msg *m, enum wire_fault f)
{
	if (m->fault == WIRE_FINE)
		m->fault = f;
}

static struct etag etag_of(struct slice v)
{
	struct etag t = { .n = (uint8_t)v.n };

	memcpy(t.b, v.p, v.n);
	return t;
}

static void take_if_match(struct wire_msg *m, struct slice v)
{
	if (v.n == 0)
		m->if_match_any = true;
	else if (m->n_if_match < ETAGS_MAX)
		m->if_match[m->n_if_match++] = etag_of(v);
	else
		fault(m, WIRE_BAD_OPTION); /* a tag not looked at could be the one that matches */
}

static void take_etag(struct wire_msg *m, struct slice v)
{
	if (m->n_etags < ETAGS_MAX)
		m->etags[m->n_etags++] = etag_of(v);
}

static void take_host(struct wire_msg *m, struct slice v)
{
	m->host = v;
	if (memchr(v.p, 0, v.n))
		fault(m, WIRE_BAD_REQUEST);
}

static void take_observe(struct wire_msg *m, struct slice v)
{
	m->observe_set = true;
	m->observe = uint_of(v);
}

static void take_nothing(struct wire_msg *m, struct slice v)
{
	(void)m;
	(void)v;
}

static bool segment_ok(struct slice v)
{
	return v.n > 0 && !memchr(v.p, '/', v.n) && !memchr(v.p, 0, v.n) && !slice_eq_str(v, ".") &&
	       !slice_eq_str(v, "..");
}

static void take_path(struct wire_msg *m, struct slice v)
{
	if (!segment_ok(v) || (size_t)m->path_n + 1 + v.n > PATH_MAX_LEN) {
		fault(m, WIRE_BAD_REQUEST);
		return;
	}
	m->path[m->path_n] = '/';
	memcpy(m->path + m->path_n + 1, v.p, v.n);
	m->path_n = (uint16_t)(m->path_n + 1 + v.n);
}

static void take_query(struct wire_msg *m, struct slice v)
{
	size_t comma = m->query_n ? 1 : 0;

	if ((size_t)m->query_n + comma + v.n > QUERY_MAX_LEN || (v.n && memchr(v.p, 0, v.n))) {
		fault(m, WIRE_BAD_REQUEST);
		return;
	}
	if (comma)
		m->query[m->query_n] = '&';
	if (v.n)
		memcpy(m->query + m->query_n + comma, v.p, v.n);
	m->query_n = (uint16_t)(m->query_n + comma + v.n);
}

static void take_content_format(struct wire_msg *m, struct slice v)
{
	m->content_format = (int32_t)uint_of(v);
}

static void take_accept(struct wire_msg *m, struct slice v)
{
	m->accept = (int32_t)uint_of(v);
}

static struct wire_block block_of(struct wire_msg *m, struct slice v)
{
	uint32_t n = uint_of(v);
	struct wire_block b = { true, (n & 8) != 0, (uint8_t)(n & 7), n >> 4 };

	if (b.szx == 7)
		fault(m, WIRE_BAD_REQUEST); /* reserved, RFC 7959 2.2 */
	return b;
}

static void take_block1(struct wire_msg *m, struct slice v)
{
	m->block1 = block_of(m, v);
}

static void take_block2(struct wire_msg *m, struct slice v)
{
	m->block2 = block_of(m, v);
}

static void take_proxy(struct wire_msg *m, struct slice v)
{
	(void)v;
	fault(m, WIRE_NO_PROXY);
}

static void take_size1(struct wire_msg *m, struct slice v)
{
	m->size1_set = true;
	m->size1 = uint_of(v);
}

static void take_echo(struct wire_msg *m, struct slice v)
{
	m->echo = v;
}

static void take_no_response(struct wire_msg *m, struct slice v)
{
	m->no_response = (uint8_t)uint_of(v);
}

static void take_request_tag(struct wire_msg *m, struct slice v)
{
	m->request_tag = v;
}

static const struct {
	uint16_t number;
	uint16_t min, max; /* length */
	bool repeat;
	void (*take)(struct wire_msg *m, struct slice v);
} rules[] = {
	{ WIRE_URI_PATH, 0, 255, true, take_path },
	{ WIRE_BLOCK2, 0, 3, false, take_block2 },
	{ WIRE_URI_QUERY, 0, 255, true, take_query },
	{ WIRE_ACCEPT, 0, 2, false, take_accept },
	{ WIRE_CONTENT_FORMAT, 0, 2, false, take_content_format },
	{ WIRE_URI_HOST, 1, 255, false, take_host },
	{ WIRE_URI_PORT, 0, 2, false, take_nothing },
	{ WIRE_ETAG, 1, 8, true, take_etag },
	{ WIRE_IF_MATCH, 0, 8, true, take_if_match },
	{ WIRE_OBSERVE, 0, 3, false, take_observe },
	{ WIRE_BLOCK1, 0, 3, false, take_block1 },
	{ WIRE_SIZE1, 0, 4, false, take_size1 },
	{ WIRE_SIZE2, 0, 4, false, take_nothing },
	{ WIRE_PROXY_URI, 0, 1034, false, take_proxy },
	{ WIRE_PROXY_SCHEME, 0, 255, false, take_proxy },
	{ WIRE_ECHO, 1, 40, false, take_echo },
	{ WIRE_NO_RESPONSE, 0, 1, false, take_no_response },
	{ WIRE_REQUEST_TAG, 0, 8, true, take_request_tag },
};

void wire_msg_option(struct wire_msg *m, unsigned number, struct slice v)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		uint64_t bit = UINT64_C(1) << i;
		bool again = m->seen & bit;

		if (rules[i].number != number)
			continue;
		m->seen |= bit;
		if (v.n < rules[i].min || v.n > rules[i].max || (again && !rules[i].repeat))
			break; /* as if it were not known: RFC 7252 5.4.3, 5.4.5 */
		rules[i].take(m, v);
		return;
	}
	if (number & 1)
		fault(m, WIRE_BAD_OPTION);
}

void wire_msg_init(struct wire_msg *m)
{
	/* the two texts are filled as far as their lengths say */
	memset(m, 0, offsetof(struct wire_msg, path));
	m->content_format = m->accept = -1;
}

void wire_msg_end(struct wire_msg *m)
{
	if (m->path_n == 0)
		m->path[m->path_n++] = '/';
	m->path[m->path_n] = '\0';
	m->query[m->query_n] = '\0';
}

/* A nibble with its extension; -1 when it is not there or reserved. */
static int extended(struct slice *rest, unsigned nibble)
{
	size_t n = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;
	int v = (int)nibble;

	if (nibble == 15 || rest->n < n)
		return -1;
	if (n)
		v = (int)uint_of(slice_of(rest->p, n)) + (n == 1 ? 13 : 269);
	*rest = slice_of(rest->p + n, rest->n - n);
	return v;
}

int wire_next(struct wire_walk *w, struct slice *value)
{
	uint8_t first;
	int delta, n;

	if (w->rest.n == 0)
		return 0;
	first = w->rest.p[0];
	w->rest = slice_of(w->rest.p + 1, w->rest.n - 1);
	if (first == 0xff)
		return w->rest.n ? 0 : -1; /* a marker wants a payload */
	delta = extended(&w->rest, first >> 4);
	n = delta < 0 ? -1 : extended(&w->rest, first & 15);
	if (n < 0 || (size_t)n > w->rest.n || w->number + (unsigned)delta > 65535)
		return -1;
	w->number += (unsigned)delta;
	*value = slice_of(w->rest.p, (size_t)n);
	w->rest = slice_of(w->rest.p + n, w->rest.n - (size_t)n);
	return 1;
}

bool wire_parse(struct wire_msg *m, struct slice d)
{
	struct wire_walk w = { 0 };
	struct slice value;
	int more;

	wire_msg_init(m);
	if (d.n < 4 || d.p[0] >> 6 != 1)
		return false;
	m->type = (enum wire_type)(d.p[0] >> 4 & 3);
	m->tkl = d.p[0] & 15;
	m->code = d.p[1];
	m->mid = (uint16_t)(d.p[2] << 8 | d.p[3]);
	if (m->tkl > WIRE_TOKEN_MAX || d.n < 4u + m->tkl || (m->code == 0 && d.n != 4))
		return false;
	memcpy(m->token, d.p + 4, m->tkl);
	w.rest = slice_of(d.p + 4 + m->tkl, d.n - 4u - m->tkl);
	while ((more = wire_next(&w, &value)) == 1)
		wire_msg_option(m, w.number, value);
	m->payload = w.rest;
	wire_msg_end(m);
	return more == 0;
}

/* ---- writing ---- */

void wire_begin(struct wire_out *o, enum wire_type t, uint8_t code, uint16_t mid,
		const uint8_t *token, size_t tkl)
{
	o->head[0] = (uint8_t)(1u << 6 | (unsigned)t << 4 | (unsigned)tkl);
	o->head[1] = code;
	o->head[2] = (uint8_t)(mid >> 8);
	o->head[3] = (uint8_t)mid;
	if (tkl)
		memcpy(o->head + 4, token, tkl);
	o->n = 4 + tkl;
	o->last = 0;
	o->failed = tkl > WIRE_TOKEN_MAX;
	o->payload = slice_of(NULL, 0);
}

static unsigned nibble_of(size_t v)
{
	return v < 13 ? (unsigned)v : v < 269 ? 13 : 14;
}

static void put_extension(struct wire_out *o, size_t v)
{
	if (v >= 269) {
		o->head[o->n++] = (uint8_t)((v - 269) >> 8);
		o->head[o->n++] = (uint8_t)(v - 269);
	} else if (v >= 13) {
		o->head[o->n++] = (uint8_t)(v - 13);
	}
}

void wire_put(struct wire_out *o, enum wire_option number, struct slice value)
{
	size_t delta = (unsigned)number - o->last;

	/* 5 bytes of option header and the payload marker */
	if (o->failed || (unsigned)number < o->last || value.n > 1034 ||
	    o->n + value.n + 6 > sizeof(o->head)) {
		o->failed = true;
		return;
	}
	o->head[o->n++] = (uint8_t)(nibble_of(delta) << 4 | nibble_of(value.n));
	put_extension(o, delta);
	put_extension(o, value.n);
	if (value.n)
		memcpy(o->head + o->n, value.p, value.n);
	o->n += value.n;
	o->last = (unsigned)number;
}

void wire_put_uint(struct wire_out *o, enum wire_option number, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	size_t skip = 0;

	while (skip < 4 && b[skip] == 0)
		skip++;
	wire_put(o, number, slice_of(b + skip, 4 - skip));
}

void wire_put_block(struct wire_out *o, enum wire_option number, const struct wire_block *b)
{
	wire_put_uint(o, number, b->num << 4 | (b->more ? 8u : 0u) | b->szx);
}

void wire_end(struct wire_out *o, struct slice payload)
{
	o->payload = payload;
	if (payload.n && o->n < sizeof(o->head))
		o->head[o->n++] = 0xff;
}

size_t wire_size(const struct wire_out *o)
{
	return o->n + o->payload.n;
}

/* ---- blocks ---- */

bool wire_part_of(const struct wire_block *asked, uint64_t size, struct wire_part *out)
{
	struct wire_block b = *asked;
	size_t block;

	*out = (struct wire_part){ 0 };
	if (!b.set && size <= WIRE_BLOCK_MAX) {
		out->n = (size_t)size;
		return true;
	}
	if (!b.set)
		b = (struct wire_block){ .set = true, .szx = 6 };
	if (b.szx > 6)
		return false;
	block = (size_t)16 << b.szx;
	out->offset = (uint64_t)b.num * block;
	if (b.num > 0 && out->offset >= size)
		return false;
	b.more = size - out->offset > block;
	out->n = b.more ? block : (size_t)(size - out->offset);
	out->use_block = true;
	out->block = b;
	return true;
}
