/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_CARRIER_H
#define FETTLE_DEVICE_CARRIER_H

#include "device/agent.h"

/*
 * How a single device talks to its server: one request at a time, waiting for its
 * answer. coap.c (libcoap: coap, coaps), http.c (libcurl: http, https).
 */
#define PSK_MAX 64

struct target {			/* a --server, taken apart */
	char scheme[8], host[128];
	uint16_t port;
};

struct carrier_options {
	struct target server;
	const char *identity;		/* PSK */
	uint8_t psk[PSK_MAX];
	size_t psk_n;
	char token[TOKEN_MAX_LEN + 1];	/* HTTP bearer, "" none */
	const char *ca;
	int64_t exchange_ms;		/* how long one request may take */
	/* who answers the server's calls over the session, NULL: nobody. May come in a request */
	void (*called)(void *ctx, const struct agent_call *c, struct agent_answer *r,
		       struct buf *body);
	void *called_ctx;
	uint16_t endpoint;		/* the port they are served at besides, 0 none */
};

struct carrier;
struct carrier_ops {
	int (*open)(const struct carrier_options *o, struct carrier **out, struct err *e);
	/*
	 * in: where the answer's body goes (emptied first), r->body points there. 0 with
	 * r->status 0 when no answer came and e says why; -1: it cannot be sent at all.
	 */
	int (*request)(struct carrier *t, const struct agent_request *rq, struct slice body,
		       struct buf *in, struct agent_reply *r, struct err *e);
	/* Let ms pass, or less when the server called; true: what was observed changed. */
	bool (*wait)(struct carrier *t, int64_t ms);
	bool (*watching)(const struct carrier *t);	/* the observation still stands */
	void (*close)(struct carrier *t);
	enum media media;		/* of messages */
	bool observes, serves;
	size_t piece_max;		/* bytes of an image in one answer */
};

extern const struct carrier_ops carrier_coap, carrier_http;

/* "coaps://host:port", "[v6]" in brackets; the scheme's port when none is given. */
int target_parse(const char *uri, struct target *out, struct err *e);
/* NULL for a scheme that is not spoken. */
const struct carrier_ops *carrier_of(const struct target *t);

#endif
