/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_HELLO_H
#define FETTLE_DAEMON_COAP_HELLO_H

#include "daemon/coap_dtls.h"

/*
 * Who may begin a DTLS session. The library keeps a session for each ClientHello,
 * cookie or not, for half a minute, and at a bound takes no further ones: a
 * thousand datagrams with forged addresses would shut everyone out. So the cookie
 * (RFC 6347 4.2.1) is asked for and checked here, without keeping anything,
 * before the library sees the datagram; unfinished handshakes make room for new
 * ones, the oldest first; and a device that begins anew from the same address,
 * as after a reset, takes the place of its old session (RFC 6347 4.2.8).
 */
struct hello_gate;

#define HELLO_RANDOM 32

/* What the gate reads of a ClientHello. */
struct hello {
	uint8_t sequence[6]; /* of the record */
	uint8_t random[HELLO_RANDOM];
	struct slice cookie;
};

#define HELLO_VERIFY_SIZE 36 /* less than the shortest ClientHello */

/* A first flight that the library cannot fail to accept once its cookie is right. */
bool hello_parse(struct slice datagram, struct hello *out);
/* The HelloVerifyRequest that answers it; n <= 8 */
void hello_verify_request(const struct hello *h, const uint8_t *cookie, size_t n,
			  uint8_t out[HELLO_VERIFY_SIZE]);

/* handshakes_max: unfinished ones at once. 0, or -1 without memory. */
int hello_gate_new(struct dtls *d, unsigned handshakes_max, struct hello_gate **out, struct err *e);
void hello_gate_free(struct hello_gate *g);
/* What the library reads from this socket passes the gate from now on. */
void hello_gate_watch(struct hello_gate *g, int fd, uint16_t port);
/* Each of the library's events, before the session's peer hears of it. */
void hello_gate_event(struct hello_gate *g, coap_session_t *s, coap_event_t event);
/* Is it the cookie the gate just found right, of the datagram the library has in hand? */
bool hello_cookie_right(struct slice cookie);

/* ---- coap_known.c: the library's sessions by address ---- */
struct known;
struct known_sessions {
	struct known **buckets;
	uint64_t seed;
	struct link unfinished; /* oldest first */
	unsigned n_unfinished;
};

int known_init(struct known_sessions *k);
void known_clear(struct known_sessions *k);
/* a: remote address and port; a->socket: which of the gate's. -1 without memory. */
int known_add(struct known_sessions *k, const struct udp_addr *a, coap_session_t *s,
	      const uint8_t random[HELLO_RANDOM]);
struct known *known_find(struct known_sessions *k, const struct udp_addr *a);
void known_remove(struct known_sessions *k, struct known *x);
void known_finished(struct known_sessions *k, struct known *x);
coap_session_t *known_session(const struct known *x);
bool known_same_hello(const struct known *x, const uint8_t random[HELLO_RANDOM]);
/* The longest unfinished handshake, NULL none. */
struct known *known_oldest(const struct known_sessions *k);

#endif
