/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_WIRE_H
#define FETTLE_DAEMON_COAP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/message.h"
#include "base/slice.h"

/*
 * CoAP messages (RFC 7252 section 3) to values and back. Pure: no socket, no
 * allocation, no state. Reads what a server needs of a request; writes answers
 * and notifications.
 */
#define WIRE_HEAD_MAX \
	832 /* header, token and options of an answer: Location-Path is the long one */
#define WIRE_BLOCK_MAX 1024u /* SZX 6 */
#define WIRE_TOKEN_MAX 8

enum wire_type { WIRE_CON, WIRE_NON, WIRE_ACK, WIRE_RST };

enum wire_option {
	WIRE_IF_MATCH = 1,
	WIRE_URI_HOST = 3,
	WIRE_ETAG = 4,
	WIRE_OBSERVE = 6,
	WIRE_URI_PORT = 7,
	WIRE_LOCATION_PATH = 8,
	WIRE_URI_PATH = 11,
	WIRE_CONTENT_FORMAT = 12,
	WIRE_MAX_AGE = 14,
	WIRE_URI_QUERY = 15,
	WIRE_ACCEPT = 17,
	WIRE_LOCATION_QUERY = 20,
	WIRE_BLOCK2 = 23,
	WIRE_BLOCK1 = 27,
	WIRE_SIZE2 = 28,
	WIRE_PROXY_URI = 35,
	WIRE_PROXY_SCHEME = 39,
	WIRE_SIZE1 = 60,
	WIRE_ECHO = 252,
	WIRE_NO_RESPONSE = 258,
	WIRE_REQUEST_TAG = 292,
};

#define WIRE_CODE(class, detail) ((uint8_t)((class) << 5 | (detail)))
#define WIRE_CLASS(code) ((code) >> 5)

/* What is wrong with a request that has a whole header: the code to answer it with. */
enum wire_fault {
	WIRE_FINE = 0,
	WIRE_BAD_REQUEST = WIRE_CODE(4, 0),
	WIRE_BAD_OPTION = WIRE_CODE(4, 2), /* a critical option not understood, RFC 7252 5.4.1 */
	WIRE_NO_PROXY = WIRE_CODE(5, 5),
};

struct wire_block { /* RFC 7959 2.2 */
	bool set, more;
	uint8_t szx; /* 0..6, 7 is refused */
	uint32_t num;
};

struct wire_msg {
	enum wire_type type;
	uint8_t code, tkl;
	uint16_t mid;
	uint8_t token[WIRE_TOKEN_MAX];
	enum wire_fault fault; /* the first */
	uint64_t seen; /* bit i: rule i came already */
	bool observe_set, size1_set, if_match_any;
	uint32_t observe, size1;
	int32_t content_format, accept; /* -1: absent */
	uint8_t no_response; /* RFC 7967, 0: answer all */
	struct wire_block block1, block2;
	struct slice echo, host, request_tag, payload;
	struct etag if_match[ETAGS_MAX], etags[ETAGS_MAX];
	uint8_t n_if_match, n_etags;
	uint16_t path_n, query_n;
	char path[PATH_MAX_LEN + 1]; /* "/a/b"; "/" when there is no segment */
	char query[QUERY_MAX_LEN + 1]; /* joined with '&' */
};

/* A datagram. False: no CoAP message (RFC 7252 3: to be ignored). Slices point into it. */
bool wire_parse(struct wire_msg *m, struct slice datagram);
/* The same by parts, where a library took the datagram apart. Options in ascending order. */
void wire_msg_init(struct wire_msg *m);
void wire_msg_option(struct wire_msg *m, unsigned number, struct slice value);
void wire_msg_end(struct wire_msg *m);

/* Walk over encoded options. 1: one more, 0: the end (rest is the payload), -1: malformed. */
struct wire_walk {
	struct slice rest;
	unsigned number;
};
int wire_next(struct wire_walk *w, struct slice *value);

/* ---- answers ---- */
struct wire_out {
	uint8_t head[WIRE_HEAD_MAX];
	size_t n;
	unsigned last;
	bool failed;
	struct slice payload; /* not in head; the caller's */
};

void wire_begin(struct wire_out *o, enum wire_type t, uint8_t code, uint16_t mid,
		const uint8_t *token, size_t tkl);
/* Options in ascending order; a failure is sticky. */
void wire_put(struct wire_out *o, enum wire_option number, struct slice value);
void wire_put_uint(struct wire_out *o, enum wire_option number, uint32_t v);
void wire_put_block(struct wire_out *o, enum wire_option number, const struct wire_block *b);
/* Ends the options; payload may be empty. */
void wire_end(struct wire_out *o, struct slice payload);
size_t wire_size(const struct wire_out *o);

/* ---- blocks ---- */
struct wire_part {
	uint64_t offset;
	size_t n;
	bool use_block; /* false: the whole body, no option needed */
	struct wire_block block;
};
/* Which part of a body Block2 asks for (absent: all, or block 0 of 1024). False: out of range. */
bool wire_part_of(const struct wire_block *asked, uint64_t size, struct wire_part *out);

#endif
