/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_PUSH_H
#define FETTLE_DAEMON_COAP_PUSH_H

#include "daemon/coap_internal.h"

/*
 * A call of ours to a device, as values: what goes with the next request and what an answer
 * means (RFC 7252 5.2, RFC 7959 2.9 and 3.3, RFC 9175 2.3). Pure: no socket, no clock, no
 * allocation. Each answer either ends the call or brings it on: more of the body is there, a
 * block is smaller, more of the answer is here, or the address was proven, once.
 */
#define PUSH_ECHO_MAX 40

struct push_flow {
	uint64_t size, start, offset; /* of the body; how much of it was acknowledged */
	size_t n; /* of it, with the request under way */
	bool blocks; /* it goes by Block1 */
	bool fetching; /* the whole body is there: the rest of the answer is asked for */
	uint8_t szx;
	uint8_t echo[PUSH_ECHO_MAX], echo_n;
	struct wire_block next; /* fetching: of the answer */
	uint16_t status; /* HTTP's number, once it is done */
	uint8_t code; /* of the answer's first part */
	int32_t format;
	size_t answer_n;
	uint8_t answer[IPC_SENT_BODY_MAX];
};

enum flow_step { FLOW_AGAIN, FLOW_DONE };

/*
 * offset: where to begin. False: it is no multiple of 1024 or beyond size, or blocks have no
 * such numbers.
 */
bool push_flow_init(struct push_flow *f, uint64_t size, uint64_t offset, bool blocks);
/* What the next request carries; the body's bytes are those from f->offset, f->n of them. */
struct push_part {
	bool size1;
	struct wire_block block1, block2;
};
struct push_part push_flow_next(struct push_flow *f);
/* m: an answer to the request under way. FLOW_DONE: status, format and answer are final. */
enum flow_step push_flow_answer(struct push_flow *f, const struct wire_msg *m);

/* A call under way or waiting (coap_push.c). */
struct push {
	struct link all;
	struct push *next; /* of its peer: the first is under way */
	struct coap_peer *peer;
	struct push_flow flow;
	struct front_object *object; /* NULL: body */
	uint64_t token; /* of the request under way, one more for each */
	uint16_t mid;
	bool begun;
	int64_t until, ends; /* for the answer; for the call */
	enum method method;
	enum media content_format, accept;
	uint8_t tag[IPC_SEND_TAG];
	struct slice body;
	char query[64];
	char path[]; /* and body behind it */
};

#endif
