/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_DTLS_H
#define FETTLE_DEVICE_DTLS_H

#include "device/fan.h"

/* DTLS 1.2 with pre-shared keys over a fan's endpoints (OpenSSL). */
#define DTLS_KEY_SIZE 16

struct dtls;			/* the settings all share */
struct dtls_end;		/* one endpoint's session */

struct dtls *dtls_new(struct fan *f, struct err *e);
void dtls_free(struct dtls *d);
/* Begin the handshake. identity is copied, at most 64 bytes. */
struct dtls_end *dtls_connect(struct dtls *d, uint32_t endpoint, const char *identity,
			      const uint8_t key[DTLS_KEY_SIZE]);
/* The server calls: the first datagram is to be fed next. */
struct dtls_end *dtls_accept(struct dtls *d, uint32_t endpoint, const char *identity,
			     const uint8_t key[DTLS_KEY_SIZE]);
bool dtls_is_hello(struct slice datagram);
/* Tells the server (close_notify). */
void dtls_end_free(struct dtls_end *x);
/* Before the handshake is done one message waits for its end; a later one replaces it. */
void dtls_send(struct dtls_end *x, const void *p, size_t n);
/* A datagram came; got is called for each message in it. False: the session is broken. */
bool dtls_feed(struct dtls_end *x, struct slice datagram, fan_got got, void *ctx);
/* Time passed: flights of the handshake are repeated when due. */
void dtls_tick(struct dtls_end *x);
bool dtls_ready(const struct dtls_end *x);

#endif
