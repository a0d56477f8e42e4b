/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_HTTP_PARSE_H
#define FETTLE_DAEMON_HTTP_PARSE_H

#include "base/ids.h"
#include "base/message.h"

/*
 * What HTTP fields say, as pure functions over the bytes that strangers send
 * (RFC 9110, RFC 9112, RFC 9530, RFC 9651). No state, no allocation but for base64.
 */

/*
 * A request target in origin or absolute form. path gets the percent-decoded
 * path with a NUL behind it, *path_n its length; query (raw) and authority
 * (absolute form only, else empty) point into target. 0, or the status that
 * refuses it: 400 (not decodable to UTF-8, NUL, control bytes, an encoded '/',
 * an empty, "." or ".." segment), 414 (longer than PATH_MAX_LEN, QUERY_MAX_LEN).
 */
int http_parse_target(struct slice target, char path[PATH_MAX_LEN + 1], size_t *path_n,
		      struct slice *query, struct slice *authority);

enum http_range {
	HTTP_RANGE_WHOLE, /* several, another unit, not understood (RFC 9110 14.2) */
	HTTP_RANGE_PART,
	HTTP_RANGE_BAD, /* 416 */
};

enum http_range http_parse_range(struct slice value, uint64_t size, uint64_t *first,
				 uint64_t *count);

/*
 * An If-Match (strong) or If-None-Match list, appended to tags (of ETAGS_MAX). Tags that can match
 * nothing here (not our hex, weak where strong is asked) are kept as 32 zero bytes.
 * Tags beyond ETAGS_MAX set *more. -1: malformed.
 */
struct http_etags {
	struct etag *tags;
	uint8_t n;
	bool any, more;
};
int http_parse_etags(struct slice value, bool strong, struct http_etags *out);

/* Accept: the best of what is known here. Several fields add up. */
struct http_accept {
	enum media best;
	unsigned q; /* of best, in thousandths */
	bool seen;
};
void http_accept_add(struct http_accept *a, struct slice value);
/* MEDIA_NONE: anything will do; MEDIA_UNKNOWN: only what nobody here can make. */
enum media http_accept_media(const struct http_accept *a);

/* Repr-Digest: 1 and *out when it names a sha-256, 0 when it does not, -1 malformed. */
int http_parse_repr_digest(struct slice value, struct digest *out);

/* The token of "Bearer T" or the password of "Basic ..."; -1 neither, or too long. */
int http_parse_authorization(struct slice value, char token[TOKEN_MAX_LEN + 1], size_t *n);

int http_parse_boolean(struct slice value); /* "?1" 1, "?0" 0, else -1 */
int http_parse_integer(struct slice value, uint64_t *out); /* up to 15 digits; -1 */

bool http_host_valid(struct slice value);
bool http_name_valid(struct slice name); /* a token (RFC 9110 5.6.2) */
bool http_value_valid(struct slice value); /* no control bytes but tabs */

/* Content-Length, Upload-*: without the blanks around. */
struct slice http_trim(struct slice s);
/* Cut the next element off a list, trimmed; commas in quoted strings do not count. */
bool http_list_next(struct slice *rest, struct slice *item);

#endif
