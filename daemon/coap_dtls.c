/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_dtls.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/crypto.h"

/*
 * The DTLS endpoint. A stranger's hello is answered with a cookie and leaves nothing
 * behind; who shows the cookie gets a handshake, one of so many and not for ever; who
 * ends it well gets a session. Where there are too many the one used longest ago goes,
 * with a close_notify: its device comes back by its ticket. Every datagram costs the
 * same however many sessions lie idle.
 */
#define HANDSHAKE_MS 30000
#define CHANCE_MS \
	1000 /* with all read that came: a device that lives has answered (RFC 6347 4.2.4.1) */
#define PATIENCE_MS 4000 /* with more to read all the time: its answer may be among that */
#define IDLE_MS (24 * 3600000L) /* twice what observers are asked at (coap_observe.c) */
#define SECRET_MS 60000 /* a cookie is good for one to two of these */
#define A_SOURCE 4 /* one source may have so much of the handshakes: one in four */
#define MANY 8 /* with one in eight it has many: they give way to who has few */
#define SPARED 8u /* so many sessions with work under way are passed over */

/* ---- the table ---- */

static struct dtls_session **bucket_of(const struct dtls *d, const struct udp_addr *a)
{
	return &d->buckets[address_hash(d->cs->seed, a) & (d->n_buckets - 1)];
}

struct dtls_session *dtls_session_find(const struct dtls *d, const struct udp_addr *a)
{
	struct dtls_session *s = *bucket_of(d, a);

	while (s && !address_same(&s->addr, a))
		s = s->chain;
	return s;
}

/* How many there are of its kind. */
static unsigned *count_of(struct dtls_session *s)
{
	return s->open ? &s->d->n_open : s->calling ? &s->d->n_calling : &s->d->n_shaking;
}

void dtls_session_end(struct dtls_session *s, bool notify)
{
	struct coap_peer *p = s->peer;

	if (s->over)
		return;
	s->over = true;
	s->peer = NULL;
	if (p) {
		p->dtls = NULL; /* it does not close us in turn */
		peer_end(p, true);
	}
	*s->at = s->chain;
	if (s->chain)
		s->chain->at = s->at;
	link_del(&s->age);
	*count_of(s) -= 1;
	tls_end_free(s->end, notify);
	s->end = NULL;
	if (!s->entered)
		free(s);
}

void dtls_close(struct dtls_session *s)
{
	s->peer = NULL; /* it is ending */
	dtls_session_end(s, true);
}

struct dtls_session *dtls_session_new(const struct dtls_session *like, struct tls_end *end)
{
	struct dtls *d = like->d;
	struct dtls_session *s = calloc(1, sizeof(*s));
	struct dtls_session **bucket = bucket_of(d, &like->addr);

	if (!s)
		return NULL;
	*s = *like;
	s->end = end;
	s->touched = d->cs->now;
	tls_set_owner(end, s);
	memcpy(&s->mid, s->hello.random, sizeof(s->mid)); /* any will do */
	s->chain = *bucket;
	if (s->chain)
		s->chain->at = &s->chain;
	s->at = bucket;
	*bucket = s;
	link_add(s->calling ? &d->calling : &d->shaking, &s->age);
	*count_of(s) += 1;
	return s;
}

/* ---- limits ---- */

static bool busy(const struct dtls_session *s)
{
	return s->peer && (s->peer->n_pending > 0 || s->peer->n_pushes > 0);
}

/* The one used longest ago that waits for no answer; where all do, the first of them. */
static void evict(struct dtls *d)
{
	struct link *l = d->open.next;

	d->evicted++;
	for (unsigned i = 0; i < SPARED && l != &d->open; i++, l = l->next) {
		struct dtls_session *s = LINK_OF(l, struct dtls_session, age);

		if (!busy(s)) {
			dtls_session_end(s, true);
			return;
		}
	}
	dtls_session_end(LINK_OF(d->open.next, struct dtls_session, age), true);
}

void dtls_session_opened(struct dtls_session *s)
{
	struct dtls *d = s->d;

	link_del(&s->age);
	*count_of(s) -= 1;
	if (d->n_open >= d->cs->o.dtls_sessions_max)
		evict(d);
	s->open = true;
	s->touched = d->cs->now;
	link_add(&d->open, &s->age);
	d->n_open++;
	if (s->peer)
		pushes_go(s->peer);
}

bool dtls_is_open(const struct dtls_session *s)
{
	return s->open;
}

void dtls_expire(struct dtls *d, struct link *list, int64_t after, bool notify)
{
	while (!link_empty(list)) {
		struct dtls_session *s = LINK_OF(list->next, struct dtls_session, age);

		if (d->cs->now - s->touched < after)
			return;
		dtls_session_end(s, notify);
	}
}

/* ---- cookies ---- */

/* Of address and random, so that no other hello from there can use it (RFC 6347 4.2.1). */
static void on_cookie(void *owner, unsigned age, uint8_t out[TLS_COOKIE_SIZE])
{
	const struct dtls_session *s = owner;
	uint8_t b[16 + 2 + TLS_RANDOM_SIZE];
	struct digest mac;

	memcpy(b, s->addr.ip, 16);
	b[16] = (uint8_t)(s->addr.port >> 8);
	b[17] = (uint8_t)s->addr.port;
	memcpy(b + 18, s->hello.random, TLS_RANDOM_SIZE);
	/* without memory nobody is proven: a random value matches nothing */
	if (hmac_sha256(slice_of(s->d->secret[age], 32), slice_of(b, sizeof(b)), &mac) != 0)
		random_bytes(mac.b, sizeof(mac.b));
	memcpy(out, mac.b, TLS_COOKIE_SIZE);
}

static void rotate(struct dtls *d)
{
	if (d->cs->now < d->rotate_at)
		return;
	memcpy(d->secret[1], d->secret[0], sizeof(d->secret[1]));
	random_bytes(d->secret[0], sizeof(d->secret[0]));
	d->rotate_at = d->cs->now + SECRET_MS;
}

/* ---- datagrams ---- */

static struct slice on_key(void *ctx, struct slice identity)
{
	const struct dtls *d = ctx;

	return coap_keys_of(d->keys, identity);
}

/* One wait for all keys that the datagrams of a turn ask for. Only proven addresses cause it. */
static void on_ahead(void *ctx, const struct udp_addr *from, struct slice datagram)
{
	struct dtls *d = ctx;
	struct dtls_session *s;
	struct slice identity;

	if (!tls_exchange_read(datagram, &identity))
		return;
	s = dtls_session_find(d, from);
	if (s && !s->open)
		coap_keys_ahead(d->keys, identity);
}

/* Answers to a hello and what a session says: owner is its address. */
static void on_out(void *owner, struct slice datagram)
{
	struct dtls_session *s = owner;

	udp_send_bytes(s->d->udp, &s->addr, datagram);
}

/* How many handshakes of its source there are, counted up to most. */
static unsigned of_source(const struct dtls *d, const struct udp_addr *a, unsigned most)
{
	unsigned n = 0;

	for (struct link *l = d->shaking.next; l != &d->shaking && n < most; l = l->next)
		n += address_same_source(&LINK_OF(l, struct dtls_session, age)->addr, a);
	return n;
}

/*
 * Those behind one address wait for one another: as if their hello had got lost it comes again,
 * while a handshake that is thrown out half-way would be tried to its end.
 */
static bool source_may(const struct dtls *d, const struct udp_addr *from)
{
	unsigned most = d->cs->o.handshakes_max / A_SOURCE;

	return d->n_shaking < most || of_source(d, from, most) < most;
}

/* A few sources that ask all the time keep nobody out. */
static bool gives_way(const struct dtls *d, const struct dtls_session *s, const struct udp_addr *to)
{
	unsigned many = d->cs->o.handshakes_max / MANY, few = many / 2;

	return of_source(d, &s->addr, many) == many && of_source(d, to, few) < few;
}

/*
 * When a crowd comes back at once, each new hello would throw out a handshake whose answer is
 * here, unread, and none would ever end: the hello is lost in its place, and comes again.
 */
static bool room_for_one(struct dtls *d, const struct udp_addr *from)
{
	struct dtls_session *first;

	if (d->n_shaking < d->cs->o.handshakes_max)
		return true;
	if (!udp_behind(d->udp))
		d->drained = d->cs->now;
	first = LINK_OF(d->shaking.next, struct dtls_session, age);
	if (d->drained - first->touched < CHANCE_MS && d->cs->now - first->touched < PATIENCE_MS &&
	    !gives_way(d, first, from))
		return false;
	dtls_session_end(first, false);
	return true;
}

/*
 * A hello from an address without a session, or with one that began with another hello:
 * a device that restarted. The old session stays until the cookie comes back (RFC 6347
 * 4.2.8), for anybody can send a first hello in its name.
 */
static void hello(struct dtls_session *asker, struct dtls_session *old, struct slice datagram)
{
	struct dtls *d = asker->d;
	struct tls_end *end = tls_listen(d->tls, datagram, asker);
	struct dtls_session *s;

	if (!end)
		return;
	if (old)
		dtls_session_end(old, false);
	if (!source_may(d, &asker->addr) || !room_for_one(d, &asker->addr)) {
		d->refused++;
		tls_end_free(end, false);
		return;
	}
	s = dtls_session_new(asker, end);
	if (s)
		session_datagram(s, datagram);
	else
		tls_end_free(end, false);
}

/* Else it is as if the datagram had got lost: with another key the handshake could not end. */
static bool has_its_key(const struct dtls_session *s, struct slice datagram)
{
	struct slice identity;

	return s->open || !tls_exchange_read(datagram, &identity) ||
	       coap_keys_ready(s->d->keys, identity);
}

void dtls_datagram(void *ctx, const struct udp_addr *from, struct slice datagram)
{
	struct dtls *d = ctx;
	struct dtls_session *s = dtls_session_find(d, from);
	struct dtls_session asker = { .d = d };

	/* the hello that began it comes again when our flight got lost, or is late */
	if (tls_hello_read(datagram, &asker.hello) &&
	    (!s || memcmp(&s->hello, &asker.hello, sizeof(s->hello)) != 0)) {
		asker.addr = *from;
		hello(&asker, s, datagram);
	} else if (s && has_its_key(s, datagram)) {
		s->addr = *from;
		session_datagram(s, datagram);
	} else {
		d->cs->dropped++;
	}
}

/* ---- life ---- */

static int make_table(struct dtls *d, struct err *e)
{
	unsigned most = d->cs->o.dtls_sessions_max + d->cs->o.handshakes_max;

	for (d->n_buckets = 64; d->n_buckets < most;)
		d->n_buckets *= 2;
	d->buckets = calloc(d->n_buckets, sizeof(struct dtls_session *));
	return d->buckets ? 0 : err_set(e, ERR_NO_MEMORY, "coaps");
}

int dtls_new(struct coap_server *cs, struct err *e)
{
	struct dtls *d = calloc(1, sizeof(*d));
	struct udp_options o = { .listen = cs->o.dtls,
				 .n = cs->o.n_dtls,
				 .take = dtls_datagram,
				 .ahead = on_ahead,
				 .ctx = d };
	struct tls_hooks hooks = { on_out, on_key, on_cookie, d };

	if (!d)
		return err_set(e, ERR_NO_MEMORY, "coaps");
	d->cs = cs;
	cs->dtls = d;
	link_init(&d->shaking);
	link_init(&d->calling);
	link_init(&d->open);
	random_bytes(d->secret, sizeof(d->secret));
	d->rotate_at = cs->now + SECRET_MS;
	if (coap_keys_new(cs->o.keys_fd, &d->keys, e) < 0 || make_table(d, e) < 0 ||
	    tls_server_new(&hooks, &d->tls, e) < 0)
		return -1;
	return udp_new(&o, &d->udp, e);
}

void dtls_set_keys(struct dtls *d, int fd)
{
	coap_keys_replace(d->keys, fd);
}

void dtls_free(struct dtls *d)
{
	if (!d)
		return;
	d->cs->now = clock_mono_ms();
	dtls_expire(d, &d->shaking, INT64_MIN, false);
	dtls_expire(d, &d->calling, INT64_MIN, false);
	dtls_expire(d, &d->open, INT64_MIN, true);
	if (d->udp) {
		udp_flush(d->udp);
		udp_free(d->udp);
	}
	tls_server_free(d->tls);
	coap_keys_free(d->keys);
	free(d->buckets);
	explicit_bzero(d->secret, sizeof(d->secret));
	free(d);
}

int dtls_fds(const struct dtls *d, int *fds, int limit)
{
	return udp_fds(d->udp, fds, limit);
}

void dtls_io(struct dtls *d)
{
	udp_io(d->udp);
	if (!udp_behind(d->udp))
		d->drained = d->cs->now;
	coap_keys_forget(d->keys);
}

void dtls_flush(struct dtls *d)
{
	udp_flush(d->udp);
}

void dtls_repeat(struct link *list)
{
	struct link *next;

	for (struct link *l = list->next; l != list; l = next) {
		struct dtls_session *s = LINK_OF(l, struct dtls_session, age);

		next = l->next;
		if (!tls_repeat(s->end))
			dtls_session_end(s, false);
	}
}

void dtls_figures(const struct dtls *d, uint64_t out[FIGURE_COUNT])
{
	out[FIGURE_DTLS_SESSIONS] = d->n_open;
	out[FIGURE_DTLS_HANDSHAKES] = d->n_shaking + d->n_calling;
	out[FIGURE_DTLS_EVICTED] = d->evicted;
	out[FIGURE_DTLS_REFUSED] = d->refused;
}

void dtls_tick(struct dtls *d)
{
	rotate(d);
	dtls_expire(d, &d->shaking, HANDSHAKE_MS, false);
	dtls_expire(d, &d->open, IDLE_MS, true);
	dtls_repeat(&d->shaking);
	calls_tick(d);
}
