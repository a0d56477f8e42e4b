/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_DTLS_H
#define FETTLE_DAEMON_COAP_DTLS_H

#include "daemon/coap_internal.h"
#include "daemon/coap_keys.h"
#include "daemon/coap_tls.h"

/*
 * What coap_dtls.c (endpoint, table, limits) and coap_session.c (one session) share.
 * A session stands in its address' bucket and in one list by age: of handshakes by
 * their begin, of open sessions by their last use.
 */
struct dtls_session {
	struct dtls *d;
	struct tls_end *end;
	struct udp_addr addr;
	struct dtls_session *chain, **at;
	struct link age; /* in one of the endpoint's three lists */
	int64_t touched; /* handshake: begun */
	struct coap_peer *peer; /* NULL until its first request */
	struct tls_hello hello; /* it began with */
	uint16_t mid; /* while it has no peer */
	bool calling; /* our handshake, until it is open */
	bool open, entered, over; /* entered: it is being worked on; over: goes when that ends */
};

struct dtls {
	struct coap_server *cs;
	struct udp *udp;
	struct tls_server *tls;
	struct coap_keys *keys;
	struct dtls_session **buckets;
	unsigned n_buckets;
	struct link shaking, calling, open; /* calling: handshakes that we began */
	unsigned n_shaking, n_calling, n_open;
	uint64_t evicted; /* sessions */
	uint64_t refused; /* handshakes: of a source that has many, or of a crowd */
	int64_t drained; /* when all that had come was read, last */
	uint8_t secret[2][32]; /* of cookies: now, before */
	int64_t rotate_at;
	uint8_t bytes[TLS_MESSAGE_MAX]; /* a message on its way in or out */
};

/* coap_dtls.c: a datagram from anyone (struct dtls *). */
void dtls_datagram(void *ctx, const struct udp_addr *from, struct slice datagram);
/* The session goes: its peer with it, its bytes with a close_notify where asked for. */
void dtls_session_end(struct dtls_session *s, bool notify);
/* The handshake ended well. */
void dtls_session_opened(struct dtls_session *s);

/* coap_call.c: handshakes of ours that are over, or have a flight to repeat. */
void calls_tick(struct dtls *d);

/* coap_dtls.c, for coap_call.c */
struct dtls_session *dtls_session_find(const struct dtls *d, const struct udp_addr *a);
/* Into the table, with the rest of *like. */
struct dtls_session *dtls_session_new(const struct dtls_session *like, struct tls_end *end);
/* Those older than that go. */
void dtls_expire(struct dtls *d, struct link *list, int64_t after, bool notify);
void dtls_repeat(struct link *list); /* flights that got lost */

/* coap_session.c: the first flight of a handshake of ours. The session may be gone afterwards. */
void session_shake(struct dtls_session *s);
/* Its peer, made at need; NULL: no room. */
struct coap_peer *session_peer(struct dtls_session *s);
/* A datagram of this session. The session may be gone afterwards. */
void session_datagram(struct dtls_session *s, struct slice datagram);

#endif
