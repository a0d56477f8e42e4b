/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * The answer that is cut into blocks, one a peer: the blocks after the first come from it, and
 * are not those of another moment (RFC 7959 2.4). Who asks for the first again has a new one
 * made, and where this one had to go the entity tag tells.
 */
struct kept {
	struct link all; /* server's, longest unused first */
	struct coap_peer *peer;
	uint64_t what;
	int64_t since; /* it was last asked for */
	struct etag etag;
	int format;
	int32_t max_age;
	size_t n;
	uint8_t bytes[];
};

/* Keyed, though whoever finds two paths of one value confuses only himself. */
static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3u;
	return (h ^ n) * 0x9e3779b97f4a7c15u;
}

uint64_t kept_what(const struct coap_server *cs, const struct wire_msg *m)
{
	uint64_t h = mix(cs->seed, m->path, m->path_n);

	h = mix(h, m->query, m->query_n);
	return mix(h, &m->accept, sizeof(m->accept));
}

void kept_free(struct coap_peer *p)
{
	struct kept *k = p->kept;

	if (!k)
		return;
	p->kept = NULL;
	p->cs->kept_bytes -= k->n;
	link_del(&k->all);
	free(k);
}

void kept_expire(struct coap_server *cs)
{
	while (!link_empty(&cs->kept)) {
		struct kept *k = LINK_OF(cs->kept.next, struct kept, all);

		if (cs->now - k->since < KEPT_MS)
			return;
		kept_free(k->peer);
	}
}

void kept_put(struct coap_peer *p, uint64_t what, const struct content *c)
{
	struct coap_server *cs = p->cs;
	struct kept *k;

	kept_free(p);
	if (c->bytes.n > KEPT_BYTES_MAX || !(k = malloc(sizeof(*k) + c->bytes.n)))
		return; /* each block is then of its own moment, and its tag says so */
	while (cs->kept_bytes + c->bytes.n > KEPT_BYTES_MAX)
		kept_free(LINK_OF(cs->kept.next, struct kept, all)->peer);
	*k = (struct kept){ .peer = p,
			    .what = what,
			    .since = cs->now,
			    .etag = c->etag,
			    .format = c->format,
			    .max_age = c->max_age,
			    .n = c->bytes.n };
	memcpy(k->bytes, c->bytes.p, c->bytes.n);
	link_init(&k->all);
	link_add(&cs->kept, &k->all);
	cs->kept_bytes += k->n;
	p->kept = k;
}

bool kept_find(struct coap_peer *p, const struct wire_msg *m, struct content *out)
{
	struct kept *k = p->kept;

	if (!k || m->block2.num == 0 || k->what != kept_what(p->cs, m) ||
	    p->cs->now - k->since >= KEPT_MS)
		return false;
	k->since = p->cs->now;
	link_del(&k->all);
	link_add(&p->cs->kept, &k->all);
	*out = (struct content){ .bytes = slice_of(k->bytes, k->n),
				 .etag = k->etag,
				 .format = k->format,
				 .max_age = k->max_age,
				 .block2 = &m->block2 };
	return true;
}
