/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_TLS_H
#define FETTLE_DAEMON_COAP_TLS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

/*
 * The DTLS 1.2 half of coaps (RFC 6347), with pre-shared keys and tickets: datagrams in,
 * datagrams out. No socket, no clock but OpenSSL's own, no OpenSSL type outside coap_tls.c.
 */
#define TLS_MESSAGE_MAX 2048u /* what one record may carry, either way */
#define TLS_COOKIE_SIZE 16
#define TLS_RANDOM_SIZE 32
/* HelloVerifyRequest with our cookie: 13 + 12 + 3 + 16. A shorter hello is not worth an answer. */
#define TLS_HELLO_MIN 60u
#define TLS_KEY_MAX 64

struct tls_server;
struct tls_end; /* one association */

struct tls_hooks {
	/* One datagram of an end; owner as in tls_listen. */
	void (*out)(void *owner, struct slice datagram);
	/* The key of an identity, never empty, valid until the next call. */
	struct slice (*key)(void *ctx, struct slice identity);
	/* What the sender of a hello must show; age 0: now, 1: by the secret before. */
	void (*cookie)(void *owner, unsigned age, uint8_t out[TLS_COOKIE_SIZE]);
	void *ctx;
};

int tls_server_new(const struct tls_hooks *hooks, struct tls_server **out, struct err *e);
void tls_server_free(struct tls_server *t); /* after all its ends */

/* A ClientHello in a record of its own, not encrypted: random is that of the client. */
struct tls_hello {
	uint8_t random[TLS_RANDOM_SIZE];
};
bool tls_hello_read(struct slice datagram, struct tls_hello *h);

/* The identity in a client's key exchange, if the datagram begins with one. */
bool tls_exchange_read(struct slice datagram, struct slice *identity);

/*
 * A hello of someone whose address is not proven: answered with a cookie, no longer than
 * what came, or, where it shows the right one, the end of a new association. NULL: none.
 * What it answers goes to owner, which the end keeps until tls_set_owner. The datagram
 * is to be fed to the new end, too.
 */
struct tls_end *tls_listen(struct tls_server *t, struct slice hello, void *owner);
/*
 * An association of ours with a server, as identity: the hello goes out with the first tls_shake,
 * and is then answered as any datagram. The key is kept until the handshake is over.
 */
struct tls_end *tls_call(struct tls_server *t, const char *identity, struct slice key, void *owner);
void tls_set_owner(struct tls_end *x, void *owner);
/* notify: with a close_notify, where there are keys for it. */
void tls_end_free(struct tls_end *x, bool notify);

/* The next datagram, for tls_shake and tls_read to take; gone with the call after it. */
void tls_feed(struct tls_end *x, struct slice datagram);
int tls_shake(struct tls_end *x); /* 1: done, 0: under way, -1: failed */
/* Length of the next message, 0: none (yet), -1: the association is over. */
int tls_read(struct tls_end *x, uint8_t out[TLS_MESSAGE_MAX]);
/* After a message: may another be read from what was fed? Saves a call that finds nothing. */
bool tls_more(const struct tls_end *x);
bool tls_write(struct tls_end *x, struct slice message);
/* The last flight once more, if it is due (RFC 6347 4.2.4). False: given up. */
bool tls_repeat(struct tls_end *x);

/* Who a finished handshake proved, also one by ticket; NULL: nobody. */
const char *tls_identity(const struct tls_end *x);
/* As whom we called, from the beginning; NULL: the other side called. */
const char *tls_called_as(const struct tls_end *x);
bool tls_resumed(const struct tls_end *x);

#endif
