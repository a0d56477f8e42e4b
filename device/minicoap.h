/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_MINICOAP_H
#define FETTLE_DEVICE_MINICOAP_H

#include "base/message.h"
#include "device/agent.h"

/*
 * CoAP for a device (RFC 7252, 7641, 7959, 9175) in a few hundred lines: requests
 * to bytes, bytes to answers, and the server's calls the other way round. Pure. Fleets
 * speak it over their own sockets.
 */
#define MC_PACKET_MAX 1280
#define MC_TOKEN_MAX 8

enum mc_kind { MC_CON, MC_NON, MC_ACK, MC_RST };

struct mc_out {		/* a request */
	enum mc_kind kind;
	uint8_t code;
	uint16_t mid;
	uint64_t token;		/* sent as 8 bytes */
	const char *path;	/* "/a/b" */
	const char *query;	/* "", or without '?' */
	int observe;		/* -1: no option */
	int format, accept;	/* -1: no option */
	bool block2;
	uint32_t num;
	uint8_t szx;
	bool block1, block1_more;
	uint32_t num1;
	uint8_t szx1;
	struct etag etag;	/* ETag */
	struct etag if_match;
	struct slice echo;
	struct slice payload;
};

struct mc_in {		/* an answer, or an empty message */
	enum mc_kind kind;
	uint8_t code;
	uint16_t mid;
	bool has_token;		/* of our size */
	uint64_t token;
	bool observe, has_block2, more, has_size2;
	uint32_t observe_value, num, size2;
	uint8_t szx;
	int32_t max_age, format;	/* -1 absent */
	struct etag etag;
	struct slice echo, payload;
};

/* What it is to who waits for an answer, observes, or does neither. */
struct mc_awaited {
	bool waits;			/* for the answer to mid and token */
	uint16_t mid;
	uint64_t token;			/* of the request under way, or of the last one */
	uint64_t watch;			/* of the observation, 0 none */
};
enum mc_meaning {
	MC_NONE,			/* nothing: it is dropped, though acknowledged */
	MC_LATER,			/* the answer will come by itself */
	MC_ANSWER,
	MC_NEWS,			/* what is observed has changed */
	MC_STRANGE,			/* to be rejected: RFC 7252 4.2, RFC 7641 3.6 */
};
enum mc_meaning mc_meaning(const struct mc_in *m, const struct mc_awaited *w);

/* ---- the server's calls (minicoap_serve.c) ---- */
#define MC_TEXT 64
struct mc_call {		/* a request to us */
	enum mc_kind kind;
	uint8_t code, tkl;
	uint16_t mid;
	uint8_t token[MC_TOKEN_MAX];
	char path[MC_TEXT], query[MC_TEXT];
	bool block1, more, bad_option;	/* bad_option: a critical one is not understood */
	uint32_t num, size1;
	uint8_t szx;
	struct slice payload;
};
/* 0, or -1: no request, or malformed. The payload points into the datagram. */
int mc_read_call(struct mc_call *m, struct slice datagram);
/* What agent_called() answered. Bytes written, 0: nothing is to be sent. */
size_t mc_write_answer(uint8_t *to, size_t cap, const struct mc_call *m,
		       const struct agent_answer *r, struct slice body, uint16_t own_mid);
void mc_to_call(struct agent_call *c, const struct mc_call *m);

/* Walk over options. 1: one more, its number in r; 0: the end, *v the payload; -1: malformed. */
struct mc_reader {
	const uint8_t *p, *end;
	size_t number;
};
int mc_next_option(struct mc_reader *r, struct slice *v);
int mc_number(struct slice v, uint32_t *out);	/* -1: over four bytes */

/* Bytes written, 0: it does not fit, or a path segment is over 255 bytes. */
size_t mc_write(uint8_t *to, size_t cap, const struct mc_out *m);
size_t mc_write_empty(uint8_t *to, size_t cap, enum mc_kind k, uint16_t mid);
/* 0, or -1: not CoAP, or an option of the above is malformed. Slices point into the datagram. */
int mc_read(struct mc_in *m, struct slice datagram);
/* 2.05 as 200, 2.03 as 304, else class * 100 + detail. */
uint16_t mc_status(uint8_t code);
/* The code of CoAP's own three digits, as 204 for 2.04. */
uint8_t mc_code(uint16_t status);
uint8_t mc_method_code(enum method m);
/* SZX of a block size that is 16..1024; sizes between are rounded down. */
uint8_t mc_szx(size_t size);

/* The agent's request as a CoAP message; kind, mid, token and echo are the caller's. */
void mc_from_agent(struct mc_out *m, const struct agent_request *rq, struct slice body);
/* The answer as the agent wants it. False: not the block that was asked for. */
bool mc_to_agent(struct agent_reply *r, const struct agent_request *rq, const struct mc_in *m);

#endif
