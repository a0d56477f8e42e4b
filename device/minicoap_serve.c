/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/minicoap.h"

#include <string.h>

enum {
	OPTION_URI_HOST = 3,
	OPTION_URI_PORT = 7,
	OPTION_URI_PATH = 11,
	OPTION_FORMAT = 12,
	OPTION_MAX_AGE = 14,
	OPTION_URI_QUERY = 15,
	OPTION_ACCEPT = 17,
	OPTION_BLOCK1 = 27,
	OPTION_SIZE1 = 60,
};

/* One more part of a path or a query, after the separator. */
static int join(char to[MC_TEXT], char separator, struct slice v)
{
	size_t n = strnlen(to, MC_TEXT);

	if (v.n + 2 > MC_TEXT - n || memchr(v.p, 0, v.n))
		return -1;
	if (n > 0 || separator == '/')
		to[n++] = separator;
	memcpy(to + n, v.p, v.n);
	to[n + v.n] = 0;
	return 0;
}

static int read_block(struct mc_call *m, struct slice v)
{
	uint32_t n;

	if (v.n > 3 || mc_number(v, &n) != 0 || (n & 7) == 7)
		return -1;
	m->block1 = true;
	m->num = n >> 4;
	m->more = n & 8;
	m->szx = n & 7;
	return 0;
}

static int read_option(struct mc_call *m, size_t number, struct slice v)
{
	switch (number) {
	case OPTION_URI_PATH:
		return join(m->path, '/', v);
	case OPTION_URI_QUERY:
		return join(m->query, '&', v);
	case OPTION_BLOCK1:
		return read_block(m, v);
	case OPTION_SIZE1:
		return mc_number(v, &m->size1);
	case OPTION_URI_HOST:
	case OPTION_URI_PORT:
	case OPTION_ACCEPT:
		return 0;
	default:
		m->bad_option |= number & 1;
		return 0;
	}
}

int mc_read_call(struct mc_call *m, struct slice datagram)
{
	struct mc_reader r = { .p = datagram.p, .end = datagram.p + datagram.n };
	struct slice v;
	int rc;

	memset(m, 0, sizeof(*m));
	if (datagram.n < 4 || datagram.p[0] >> 6 != 1)
		return -1;
	m->kind = (enum mc_kind)(datagram.p[0] >> 4 & 3);
	m->tkl = datagram.p[0] & 15;
	m->code = datagram.p[1];
	m->mid = (uint16_t)(datagram.p[2] << 8 | datagram.p[3]);
	if (m->code == 0 || m->code >> 5 != 0 || m->kind > MC_NON || m->tkl > MC_TOKEN_MAX ||
	    datagram.n < 4u + m->tkl)
		return -1;
	memcpy(m->token, datagram.p + 4, m->tkl);
	r.p += 4 + m->tkl;
	while ((rc = mc_next_option(&r, &v)) == 1)
		if (read_option(m, r.number, v) != 0)
			return -1;
	m->payload = v;
	return rc;
}

void mc_to_call(struct agent_call *c, const struct mc_call *m)
{
	static const enum method methods[] = { METHOD_COUNT, METHOD_GET, METHOD_POST, METHOD_PUT,
					       METHOD_DELETE };

	*c = (struct agent_call){ .method = m->code < 5 ? methods[m->code] : METHOD_COUNT,
				  .path = m->path,
				  .query = m->query,
				  .body = m->payload,
				  .block1 = m->block1,
				  .more = m->more,
				  .num = m->num,
				  .szx = m->szx,
				  .size = m->size1 };
}

struct out {
	uint8_t *p;
	size_t n, cap;
	unsigned last;
};

static void put(struct out *w, const void *p, size_t n)
{
	if (n > w->cap - w->n) {
		w->n = w->cap + 1; /* noticed at the end */
		w->cap = 0;
		return;
	}
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

/* All of them are below 269 and have at most four bytes. */
static void put_option(struct out *w, unsigned number, uint32_t v)
{
	unsigned delta = number - w->last, n = 0;
	uint8_t b[6], at = 1;

	for (uint32_t left = v; left; left >>= 8)
		n++;
	b[0] = (uint8_t)((delta < 13 ? delta : 13) << 4 | n);
	if (delta >= 13)
		b[at++] = (uint8_t)(delta - 13);
	for (unsigned i = 0; i < n; i++)
		b[at + i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	w->last = number;
	put(w, b, at + n);
}

size_t mc_write_answer(uint8_t *to, size_t cap, const struct mc_call *m,
		       const struct agent_answer *r, struct slice body, uint16_t own_mid)
{
	enum mc_kind kind = m->kind == MC_CON ? MC_ACK : MC_NON;
	uint16_t mid = m->kind == MC_CON ? m->mid : own_mid;
	struct out w = { .p = to, .cap = cap };
	const uint8_t mark = 0xff;
	const uint8_t head[4] = { (uint8_t)(0x40 | (unsigned)kind << 4 | m->tkl),
				  mc_code(r->status), (uint8_t)(mid >> 8), (uint8_t)mid };

	if (r->status == 0)
		return 0;
	put(&w, head, sizeof(head));
	put(&w, m->token, m->tkl);
	if (body.n > 0)
		put_option(&w, OPTION_FORMAT, MEDIA_CBOR);
	if (r->max_age >= 0)
		put_option(&w, OPTION_MAX_AGE, (uint32_t)r->max_age);
	if (m->block1 && r->status < 300)
		put_option(&w, OPTION_BLOCK1, m->num << 4 | (m->more ? 8u : 0u) | m->szx);
	if (body.n > 0) {
		put(&w, &mark, 1);
		put(&w, body.p, body.n);
	}
	return w.n > cap ? 0 : w.n;
}
