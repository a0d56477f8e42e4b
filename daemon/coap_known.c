/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "daemon/coap_hello.h"

#define KNOWN_BUCKETS 16384u

struct known {
	struct known *chain;
	struct link unfinished;
	bool finished;
	struct udp_addr addr;
	coap_session_t *session;
	uint8_t random[HELLO_RANDOM]; /* of the ClientHello that began it */
};

int known_init(struct known_sessions *k)
{
	link_init(&k->unfinished);
	k->n_unfinished = 0;
	random_bytes(&k->seed, sizeof(k->seed));
	k->buckets = calloc(KNOWN_BUCKETS, sizeof(struct known *));
	return k->buckets ? 0 : -1;
}

void known_clear(struct known_sessions *k)
{
	for (unsigned i = 0; k->buckets && i < KNOWN_BUCKETS; i++)
		while (k->buckets[i])
			known_remove(k, k->buckets[i]);
	free(k->buckets);
	k->buckets = NULL;
}

static struct known **bucket_of(const struct known_sessions *k, const struct udp_addr *a)
{
	uint64_t hi, lo, h;

	memcpy(&hi, a->ip, 8);
	memcpy(&lo, a->ip + 8, 8);
	h = (hi ^ k->seed) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 32 ^ lo ^ (uint64_t)a->port << 40 ^ a->socket) * 0xd6e8feb86659fd93u;
	return &k->buckets[(h >> 40) % KNOWN_BUCKETS];
}

static bool same(const struct udp_addr *a, const struct udp_addr *b)
{
	return a->port == b->port && a->socket == b->socket && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

struct known *known_find(struct known_sessions *k, const struct udp_addr *a)
{
	struct known *x = *bucket_of(k, a);

	while (x && !same(&x->addr, a))
		x = x->chain;
	return x;
}

int known_add(struct known_sessions *k, const struct udp_addr *a, coap_session_t *s,
	      const uint8_t random[HELLO_RANDOM])
{
	struct known **bucket = bucket_of(k, a), *x = calloc(1, sizeof(*x));

	if (!x)
		return -1;
	x->addr = *a;
	x->session = s;
	memcpy(x->random, random, sizeof(x->random));
	x->chain = *bucket;
	*bucket = x;
	link_add(&k->unfinished, &x->unfinished);
	k->n_unfinished++;
	return 0;
}

void known_finished(struct known_sessions *k, struct known *x)
{
	if (x->finished)
		return;
	x->finished = true;
	link_del(&x->unfinished);
	k->n_unfinished--;
}

void known_remove(struct known_sessions *k, struct known *x)
{
	struct known **at = bucket_of(k, &x->addr);

	known_finished(k, x);
	while (*at != x)
		at = &(*at)->chain;
	*at = x->chain;
	free(x);
}

coap_session_t *known_session(const struct known *x)
{
	return x->session;
}

bool known_same_hello(const struct known *x, const uint8_t random[HELLO_RANDOM])
{
	return memcmp(x->random, random, sizeof(x->random)) == 0;
}

struct known *known_oldest(const struct known_sessions *k)
{
	if (link_empty(&k->unfinished))
		return NULL;
	return LINK_OF(k->unfinished.next, struct known, unfinished);
}
