/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_KEYS_H
#define FETTLE_DAEMON_COAP_KEYS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

/*
 * The key of a PSK identity, by a synchronous question to the keys process, 50 ms at most. Who is
 * not known, and anyone while keys does not answer, gets a key derived from a secret: the handshake
 * fails as with a wrong key. Whose datagram may as well come again asks coap_keys_ready first. What
 * will be asked soon may be said ahead: those questions go together, and are waited for once.
 */
#define COAP_KEY_MAX 64
#define COAP_KEYS_AHEAD 64 /* of these at a time; one more is asked by itself */

struct coap_keys;
int coap_keys_new(int fd, struct coap_keys **out, struct err *e); /* takes fd over; -1: none */
void coap_keys_free(struct coap_keys *k);
void coap_keys_replace(struct coap_keys *k, int fd); /* keys was started anew */
void coap_keys_ahead(struct coap_keys *k, struct slice identity);
/* False: keys does not answer now. The datagram that needs it is better lost: it comes again. */
bool coap_keys_ready(struct coap_keys *k, struct slice identity);
void coap_keys_forget(struct coap_keys *k); /* what was asked ahead */
/* For a call of ours. False: nobody knows it, or keys does not answer now. */
bool coap_keys_own(struct coap_keys *k, struct slice identity, struct slice *key);
/* Never empty; valid until the next question. */
struct slice coap_keys_of(struct coap_keys *k, struct slice identity);

#endif
