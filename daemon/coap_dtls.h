/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_DTLS_H
#define FETTLE_DAEMON_COAP_DTLS_H

#include <coap3/coap.h>

#include "daemon/coap_internal.h"
#include "daemon/coap_keys.h"

/* What coap_dtls.c (life, OpenSSL) and coap_session.c (requests, answers) share. */
#define FOLD_MAX 64u /* datagrams a turn */

struct hello_gate;

struct dtls {
	struct coap_server *cs;
	struct hello_gate *gate;
	coap_context_t *ctx;
	int epoll;
	unsigned fold, worked;
	coap_pdu_t *response; /* while its request is handled: the answer may go into it */
	coap_session_t *asking;
	bool used; /* it did */
	struct coap_keys *keys;
	coap_bin_const_t key;
};

/* coap_dtls.c: what the finished handshake proved. False: nothing. */
bool dtls_evidence(const coap_session_t *s, struct evidence *ev);
/* coap_session.c: the handlers. 0, or -1 without memory. */
int dtls_add_handlers(struct dtls *d);

#endif
