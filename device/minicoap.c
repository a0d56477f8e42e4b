/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/minicoap.h"

#include <string.h>

enum {
	OPTION_IF_MATCH = 1,
	OPTION_ETAG = 4,
	OPTION_OBSERVE = 6,
	OPTION_URI_PATH = 11,
	OPTION_FORMAT = 12,
	OPTION_MAX_AGE = 14,
	OPTION_URI_QUERY = 15,
	OPTION_ACCEPT = 17,
	OPTION_BLOCK2 = 23,
	OPTION_BLOCK1 = 27,
	OPTION_SIZE2 = 28,
	OPTION_ECHO = 252,
};

/* ---- writing ---- */

struct writer {
	uint8_t *p;
	size_t n, cap;
	unsigned last;
	bool failed;
};

static void put(struct writer *w, const void *p, size_t n)
{
	if (w->failed || n > w->cap - w->n) {
		w->failed = true;
		return;
	}
	if (n > 0)
		memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void put_u8(struct writer *w, unsigned v)
{
	uint8_t b = (uint8_t)v;

	put(w, &b, 1);
}

static unsigned nibble(size_t v)
{
	return v < 13 ? (unsigned)v : v < 269 ? 13 : 14;
}

static void put_more(struct writer *w, size_t v)
{
	if (v >= 269) {
		put_u8(w, (unsigned)((v - 269) >> 8));
		put_u8(w, (unsigned)(v - 269) & 0xff);
	} else if (v >= 13) {
		put_u8(w, (unsigned)(v - 13));
	}
}

static void put_option(struct writer *w, unsigned number, const void *p, size_t n)
{
	unsigned delta = number - w->last;

	put_u8(w, nibble(delta) << 4 | nibble(n));
	put_more(w, delta);
	put_more(w, n);
	put(w, p, n);
	w->last = number;
}

static void put_number(struct writer *w, unsigned number, uint32_t v)
{
	uint8_t b[4];
	size_t n = 0;

	for (int shift = 24; shift >= 0; shift -= 8)
		if (n > 0 || v >> shift)
			b[n++] = (uint8_t)(v >> shift);
	put_option(w, number, b, n);
}

/* "/a/b" and "a=1&b": one option a part */
static void put_parts(struct writer *w, unsigned number, const char *text, char separator)
{
	while (*text) {
		size_t n = 0;

		while (text[n] && text[n] != separator)
			n++;
		if (n > 255)
			w->failed = true;
		put_option(w, number, text, n);
		text += n + (text[n] ? 1 : 0);
	}
}

static void put_head(struct writer *w, enum mc_kind k, size_t tkl, uint8_t code, uint16_t mid)
{
	put_u8(w, 0x40 | (unsigned)k << 4 | (unsigned)tkl);
	put_u8(w, code);
	put_u8(w, mid >> 8);
	put_u8(w, mid & 0xff);
}

size_t mc_write(uint8_t *to, size_t cap, const struct mc_out *m)
{
	struct writer w = { .p = to, .cap = cap };

	put_head(&w, m->kind, sizeof(m->token), m->code, m->mid);
	put(&w, &m->token, sizeof(m->token));
	if (m->if_match.n > 0)
		put_option(&w, OPTION_IF_MATCH, m->if_match.b,
			   m->if_match.n > 8 ? 8 : m->if_match.n);
	if (m->etag.n > 0)
		put_option(&w, OPTION_ETAG, m->etag.b, m->etag.n > 8 ? 8 : m->etag.n);
	if (m->observe >= 0)
		put_number(&w, OPTION_OBSERVE, (uint32_t)m->observe);
	put_parts(&w, OPTION_URI_PATH, m->path + (m->path[0] == '/'), '/');
	if (m->format >= 0)
		put_number(&w, OPTION_FORMAT, (uint32_t)m->format);
	put_parts(&w, OPTION_URI_QUERY, m->query, '&');
	if (m->accept >= 0)
		put_number(&w, OPTION_ACCEPT, (uint32_t)m->accept);
	if (m->num >> 20 || m->num1 >> 20)
		w.failed = true; /* beyond what a Block option can say */
	if (m->block2)
		put_number(&w, OPTION_BLOCK2, m->num << 4 | m->szx);
	if (m->block1)
		put_number(&w, OPTION_BLOCK1, m->num1 << 4 | (m->block1_more ? 8u : 0u) | m->szx1);
	if (m->echo.n > 0)
		put_option(&w, OPTION_ECHO, m->echo.p, m->echo.n);
	if (m->payload.n > 0) {
		put_u8(&w, 0xff);
		put(&w, m->payload.p, m->payload.n);
	}
	return w.failed ? 0 : w.n;
}

size_t mc_write_empty(uint8_t *to, size_t cap, enum mc_kind k, uint16_t mid)
{
	struct writer w = { .p = to, .cap = cap };

	put_head(&w, k, 0, 0, mid);
	return w.failed ? 0 : w.n;
}

/* ---- reading ---- */

static int take(struct mc_reader *r, unsigned nib, size_t *out)
{
	if (nib == 15 || (nib == 13 && r->end - r->p < 1) || (nib == 14 && r->end - r->p < 2))
		return -1;
	if (nib < 13) {
		*out = nib;
	} else if (nib == 13) {
		*out = *r->p++ + 13u;
	} else {
		*out = (size_t)(r->p[0] << 8 | r->p[1]) + 269u;
		r->p += 2;
	}
	return 0;
}

int mc_number(struct slice v, uint32_t *out)
{
	if (v.n > 4)
		return -1;
	*out = 0;
	for (size_t i = 0; i < v.n; i++)
		*out = *out << 8 | v.p[i];
	return 0;
}

static int read_block(struct mc_in *m, uint32_t v)
{
	if (v >> 24 || (v & 7) == 7)
		return -1;
	m->has_block2 = true;
	m->num = v >> 4;
	m->more = v & 8;
	m->szx = v & 7;
	return 0;
}

static int read_option(struct mc_in *m, size_t number, struct slice v)
{
	uint32_t n = 0;

	switch (number) {
	case OPTION_ETAG:
		if (v.n < 1 || v.n > 8)
			return -1;
		m->etag.n = (uint8_t)v.n;
		memcpy(m->etag.b, v.p, v.n);
		return 0;
	case OPTION_ECHO:
		m->echo = v;
		return v.n >= 1 && v.n <= 40 ? 0 : -1;
	case OPTION_OBSERVE:
		m->observe = true;
		return mc_number(v, &m->observe_value);
	case OPTION_FORMAT:
		if (v.n > 2 || mc_number(v, &n) != 0)
			return -1;
		m->format = (int32_t)n;
		return 0;
	case OPTION_MAX_AGE:
		if (mc_number(v, &n) != 0)
			return -1;
		m->max_age = n > INT32_MAX ? INT32_MAX : (int32_t)n;
		return 0;
	case OPTION_SIZE2:
		m->has_size2 = true;
		return mc_number(v, &m->size2);
	case OPTION_BLOCK2:
		return v.n > 3 || mc_number(v, &n) != 0 ? -1 : read_block(m, n);
	default:
		return 0;
	}
}

int mc_next_option(struct mc_reader *r, struct slice *v)
{
	size_t delta, n;
	unsigned head;

	*v = slice_of(NULL, 0);
	if (r->p == r->end)
		return 0;
	head = *r->p++;
	if (head == 0xff) {
		*v = slice_of(r->p, (size_t)(r->end - r->p));
		return v->n > 0 ? 0 : -1;
	}
	if (take(r, head >> 4, &delta) != 0 || take(r, head & 15, &n) != 0 ||
	    n > (size_t)(r->end - r->p))
		return -1;
	r->number += delta;
	*v = slice_of(r->p, n);
	r->p += n;
	return r->number <= 65535 ? 1 : -1;
}

static int read_options(struct mc_in *m, struct mc_reader *r)
{
	struct slice v;
	int rc;

	while ((rc = mc_next_option(r, &v)) == 1)
		if (read_option(m, r->number, v) != 0)
			return -1;
	m->payload = v;
	return rc;
}

int mc_read(struct mc_in *m, struct slice datagram)
{
	struct mc_reader r = { .p = datagram.p, .end = datagram.p + datagram.n };
	unsigned tkl;

	memset(m, 0, sizeof(*m));
	m->max_age = m->format = -1;
	if (datagram.n < 4 || datagram.p[0] >> 6 != 1)
		return -1;
	tkl = datagram.p[0] & 15;
	m->kind = (enum mc_kind)(datagram.p[0] >> 4 & 3);
	m->code = datagram.p[1];
	m->mid = (uint16_t)(datagram.p[2] << 8 | datagram.p[3]);
	if (m->code == 0)
		return datagram.n == 4 ? 0 : -1;
	if (tkl > MC_TOKEN_MAX || datagram.n < 4 + tkl)
		return -1;
	m->has_token = tkl == sizeof(m->token);
	memcpy(&m->token, datagram.p + 4, tkl);
	r.p += 4 + tkl;
	return read_options(m, &r);
}

enum mc_meaning mc_meaning(const struct mc_in *m, const struct mc_awaited *w)
{
	bool last = m->has_token && m->token == w->token;

	if (m->code == 0)
		return m->kind == MC_ACK && w->waits && m->mid == w->mid ? MC_LATER : MC_NONE;
	if (m->code >> 5 < 2)
		return MC_NONE;
	if (last && w->waits)
		return MC_ANSWER;
	if (w->watch && m->has_token && m->token == w->watch)
		return MC_NEWS;
	/* an answer that comes twice, as our acknowledgement got lost */
	if (last && !m->observe)
		return MC_NONE;
	return m->kind == MC_CON || (m->kind == MC_NON && m->observe) ? MC_STRANGE : MC_NONE;
}

/* ---- words ---- */

uint16_t mc_status(uint8_t code)
{
	if (code == (2 << 5 | 5))
		return 200;
	if (code == (2 << 5 | 3))
		return 304;
	return (uint16_t)((code >> 5) * 100 + (code & 31));
}

uint8_t mc_code(uint16_t status)
{
	return (uint8_t)(status / 100 << 5 | status % 100);
}

uint8_t mc_method_code(enum method m)
{
	static const uint8_t codes[METHOD_COUNT] = {
		[METHOD_GET] = 1, [METHOD_HEAD] = 1,   [METHOD_POST] = 2,
		[METHOD_PUT] = 3, [METHOD_DELETE] = 4, [METHOD_PATCH] = 6,
	};

	return codes[m];
}

uint8_t mc_szx(size_t size)
{
	uint8_t szx = 0;

	while (szx < 6 && (size_t)32 << szx <= size)
		szx++;
	return szx;
}

void mc_from_agent(struct mc_out *m, const struct agent_request *rq, struct slice body)
{
	*m = (struct mc_out){ .code = mc_method_code(rq->method),
			      .path = rq->path,
			      .query = "",
			      .observe = rq->observe ? 0 : -1,
			      .format = -1,
			      .accept = -1,
			      .payload = body };
	if (body.n > 0)
		m->format = rq->media;
	if (rq->kind != ASK_IMAGE && rq->kind != ASK_MANIFEST)
		m->accept = MEDIA_CBOR;
	if (rq->piece) {
		m->block2 = true;
		m->szx = mc_szx(rq->length);
		m->num = (uint32_t)(rq->offset >> (m->szx + 4));
	} else {
		m->etag = rq->etag;
	}
}

bool mc_to_agent(struct agent_reply *r, const struct agent_request *rq, const struct mc_in *m)
{
	uint64_t at = m->has_block2 ? (uint64_t)m->num << (m->szx + 4) : 0;

	*r = (struct agent_reply){ .status = mc_status(m->code),
				   .max_age = m->max_age,
				   .body = m->payload,
				   .more = m->more,
				   .has_size = m->has_size2,
				   .size = m->size2,
				   .etag = m->etag };
	if (!rq->piece || r->status != 200 || at == rq->offset)
		return true;
	/* larger blocks may begin before what is asked for: a resumed offset */
	if (at > rq->offset || rq->offset - at >= m->payload.n)
		return false;
	r->body = slice_of(m->payload.p + (rq->offset - at),
			   m->payload.n - (size_t)(rq->offset - at));
	return true;
}
