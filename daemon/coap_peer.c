/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- who an address is ---- */

static bool prefix_holds(const struct ip_prefix *p, const uint8_t ip[16])
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (p->bits > 128 || memcmp(p->ip, ip, whole) != 0)
		return false;
	return rest == 0 || ((p->ip[whole] ^ ip[whole]) & mask) == 0;
}

bool address_trusted(const struct coap_options *o, const uint8_t ip[16])
{
	for (unsigned i = 0; i < o->n_trusted; i++)
		if (prefix_holds(&o->trusted[i], ip))
			return true;
	return false;
}

uint64_t address_hash(uint64_t seed, const struct udp_addr *a)
{
	uint64_t hi, lo, h;

	memcpy(&hi, a->ip, 8);
	memcpy(&lo, a->ip + 8, 8);
	h = (hi ^ seed) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 32 ^ lo) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32 ^ ((uint64_t)a->port << 8 | a->socket) ^ seed >> 7) * 0x9e3779b97f4a7c15u;
	return h >> 40;
}

bool address_same(const struct udp_addr *a, const struct udp_addr *b)
{
	return a->port == b->port && a->socket == b->socket && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* How much of an address tells one asker from another: all of IPv4, a /64 of IPv6. */
static size_t source_size(const struct udp_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->ip, mapped, sizeof(mapped)) == 0 ? 16 : 8;
}

bool address_same_source(const struct udp_addr *a, const struct udp_addr *b)
{
	return memcmp(a->ip, b->ip, source_size(a)) == 0;
}

uint64_t address_source_hash(uint64_t seed, const struct udp_addr *a)
{
	struct udp_addr source = { .port = 0 };

	memcpy(source.ip, a->ip, source_size(a));
	return address_hash(seed, &source);
}

static struct coap_peer **bucket_of(const struct coap_server *cs, const struct udp_addr *a)
{
	return &cs->peers[address_hash(cs->seed, a) % PEER_BUCKETS];
}

struct coap_peer *peer_find(struct coap_server *cs, const struct udp_addr *a)
{
	struct coap_peer *p = *bucket_of(cs, a);

	while (p && !address_same(&p->addr, a))
		p = p->chain;
	return p;
}

/* ---- life ---- */

static void dropped(void *ctx, uint64_t session)
{
	struct coap_peer *p = ctx;

	(void)session;
	peer_end(p, false);
}

struct coap_peer *peer_of_session(struct coap_server *cs, uint64_t session)
{
	return front_session_ctx(cs->front, session, dropped);
}

bool peer_open(const struct coap_peer *p)
{
	return !p->dtls || dtls_is_open(p->dtls);
}

static struct coap_peer *peer_new(struct coap_server *cs, const struct evidence *ev)
{
	struct coap_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->cs = cs;
	random_bytes(&p->next_mid, sizeof(p->next_mid));
	p->session = front_session_open(cs->front, ev, dropped, p);
	if (p->session == 0) {
		free(p);
		return NULL;
	}
	return p;
}

struct coap_peer *peer_add_plain(struct coap_server *cs, const struct udp_addr *a,
				 int64_t proven_until)
{
	struct evidence ev = { .kind = EVIDENCE_PLAIN,
			       .transport = TRANSPORT_COAP,
			       .port = a->port };
	struct coap_peer **bucket;
	struct coap_peer *p;

	memcpy(ev.ip, a->ip, sizeof(ev.ip));
	p = peer_new(cs, &ev);
	if (!p)
		return NULL;
	p->addr = *a;
	p->proven_until = proven_until;
	bucket = bucket_of(cs, a);
	p->chain = *bucket;
	if (p->chain)
		p->chain->at = &p->chain;
	p->at = bucket;
	*bucket = p;
	return p;
}

struct coap_peer *peer_add_dtls(struct coap_server *cs, struct dtls_session *s,
				const struct evidence *ev)
{
	struct coap_peer *p = peer_new(cs, ev);

	if (!p)
		return NULL;
	p->dtls = s;
	memcpy(p->addr.ip, ev->ip, sizeof(p->addr.ip));
	p->addr.port = ev->port;
	p->proven_until = INT64_MAX;
	return p;
}

void peer_end(struct coap_peer *p, bool tell_front)
{
	while (p->exchanges)
		exchange_free(p->exchanges);
	while (p->observers)
		observer_free(p->observers);
	pushes_end(p);
	while (p->confirmables)
		confirmable_free(p->confirmables);
	if (p->body)
		body_free(p->cs, p->body);
	kept_free(p);
	if (p->at) {
		*p->at = p->chain;
		if (p->chain)
			p->chain->at = p->at;
	}
	if (tell_front)
		front_session_close(p->cs->front, p->session);
	if (p->dtls)
		dtls_close(p->dtls);
	free(p);
}
