/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_MESSAGE_H
#define FETTLE_BASE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/slice.h"

/*
 * The protocol-neutral request and response: what CoAP and HTTP adapters hand
 * to the route table and get back. Statuses are HTTP's numbers; message.c has
 * the table to CoAP codes.
 */
enum method {
	METHOD_GET,
	METHOD_HEAD,
	METHOD_PUT,
	METHOD_POST,
	METHOD_PATCH,
	METHOD_DELETE,
	METHOD_COUNT
};
#define METHOD_BIT(m) (1u << (m))

/* Media types, by CoAP content-format number where one is assigned. */
enum media {
	MEDIA_NONE = -1,	/* no body, or nothing said */
	MEDIA_TEXT = 0,
	MEDIA_COSE_SIGN1 = 18,
	MEDIA_LINK_FORMAT = 40,
	MEDIA_OCTETS = 42,
	MEDIA_JSON = 50,
	MEDIA_CBOR = 60,
	MEDIA_PROBLEM_CBOR = 257,	/* RFC 9290 */
	MEDIA_SUIT_REPORT = 270,
	/* no number assigned: over 65535, never on the CoAP wire */
	/* application/suit-envelope+cose; CoAP says 60 (configurable) */
	MEDIA_SUIT_ENVELOPE = 70001,
	MEDIA_PROBLEM_JSON = 70002,	/* RFC 9457 */
	MEDIA_HTML = 70003,
	MEDIA_CSV = 70004,
	MEDIA_NDJSON = 70005,
	MEDIA_METRICS = 70006,		/* text/plain; version=0.0.4 */
	MEDIA_YAML = 70007,
	MEDIA_UNKNOWN = 79999,
};

const char *media_http(enum media m);			/* "application/json"; NULL for NONE */
enum media media_from_http(struct slice content_type);	/* parameters ignored; UNKNOWN */
int media_coap(enum media m);				/* number for the CoAP wire, -1: omit */
enum media media_from_coap(unsigned number);

#define ETAG_MAX 32
struct etag {
	uint8_t b[ETAG_MAX];
	uint8_t n;		/* 0: none. 8 from CoAP, 32 from HTTP */
};

/* A short tag matches a long one of which it is the first 8 bytes. */
bool etag_matches(const struct etag *given, const struct etag *full);

#define PATH_MAX_LEN 512	/* of a request, decoded, with its slashes */
#define QUERY_MAX_LEN 1024
#define BODY_MAX_LEN 65536	/* a body in a batch; larger ones are uploads */
#define DEVICE_BODY_MAX 16384
#define TOKEN_MAX_LEN 256
#define ETAGS_MAX 4

/* What a listener proved about a peer. The only thing the core believes the front about. */
enum evidence_kind {
	EVIDENCE_PLAIN,		/* an address, nothing more */
	EVIDENCE_PSK,		/* DTLS handshake proved this PSK identity */
	/* server-authenticated TLS, client not (tokens travel in requests) */
	EVIDENCE_TLS,
	EVIDENCE_X509,		/* reserved for client certificates */
	EVIDENCE_LOCAL,		/* Unix socket peer credentials; believed from control alone */
};

enum transport { TRANSPORT_COAP, TRANSPORT_COAPS, TRANSPORT_HTTP, TRANSPORT_HTTPS, TRANSPORT_UNIX };

#define IDENTITY_MAX 128
struct evidence {
	enum evidence_kind kind;
	enum transport transport;
	uint8_t ip[16];		/* IPv6, or IPv4-mapped */
	uint16_t port;
	bool resumed;
	uint32_t uid;		/* EVIDENCE_LOCAL */
	char identity[IDENTITY_MAX + 1];
};

struct request {
	uint32_t id;		/* the front's, echoed in the response */
	uint64_t session;	/* the front's handle, admitted before */
	enum method method;
	enum media content_format, accept;
	bool observe;		/* the asker wants notifications (CoAP Observe 0) */
	bool want_body;		/* false for HEAD */
	struct slice path;	/* decoded, begins with '/', no empty, "." or ".." segment inside */
	struct slice query;	/* raw, without '?' */
	struct slice token;	/* bearer token as sent, or empty */
	struct slice idempotency_key;
	struct etag if_match[ETAGS_MAX], if_none_match[ETAGS_MAX];
	uint8_t n_if_match, n_if_none_match;
	bool if_match_any;
	struct slice host;	/* Host/Uri-Host as sent, for absolute links only */
	struct slice body;
};

struct response {
	uint32_t id;
	uint16_t status;	/* HTTP number: 200, 201, 204, 304, 404 ... */
	enum media media;
	struct etag etag;
	int32_t max_age;	/* seconds, -1: say nothing */
	int32_t retry_after;	/* seconds with 429, 503, 507; -1: none */
	bool observing;		/* the core accepted the observation */
	bool close;		/* end the session after this answer */
	uint8_t allow;		/* with 405: the methods there are, METHOD_BIT each */
	char location[PATH_MAX_LEN];
	/* Either a body, or an object the front serves itself from its granted descriptor. */
	struct slice body;
	bool has_object;
	struct digest object;
};

/* What a front counts and the core shows (/metrics): gauges and totals since it started. */
enum front_figure {
	FIGURE_DTLS_SESSIONS,
	FIGURE_DTLS_HANDSHAKES,
	FIGURE_DTLS_EVICTED,
	FIGURE_DTLS_REFUSED,
	FIGURE_OBSERVERS,
	FIGURE_CALLS,
	FIGURE_CHALLENGED,
	FIGURE_BUSY,
	FIGURE_DROPPED,
	FIGURE_COUNT
};

/*
 * CoAP code (class << 5 | detail) for a status; the method matters for 2xx
 * (RFC 8075 section 7, RFC 7252 section 5.9).
 */
uint8_t coap_code_of(uint16_t status, enum method m);
/* The reverse, for an answer's code: 200 to 599; of an unknown one its class counts. */
uint16_t http_status_of(uint8_t code);
uint16_t status_of_err(enum err_code code);
const char *status_phrase(uint16_t status);
const char *method_name(enum method m);

/*
 * Query: find name's value (percent-decoded into dst). 1 found, 0 absent, -1
 * malformed or too long.
 */
int query_get(struct slice query, const char *name, char *dst, size_t cap);

#endif
