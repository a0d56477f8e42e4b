/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/message.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define COAP(class, detail) ((uint8_t)((class) << 5 | (detail)))

/* clang-format off */
static const struct {
	enum media m;
	const char *http;
} medias[] = {
	{ MEDIA_TEXT, "text/plain; charset=utf-8" },
	{ MEDIA_COSE_SIGN1, "application/cose; cose-type=\"cose-sign1\"" },
	{ MEDIA_LINK_FORMAT, "application/link-format" },
	{ MEDIA_OCTETS, "application/octet-stream" },
	{ MEDIA_JSON, "application/json" },
	{ MEDIA_CBOR, "application/cbor" },
	{ MEDIA_PROBLEM_CBOR, "application/concise-problem-details+cbor" },
	{ MEDIA_SUIT_REPORT, "application/suit-report+cose" },
	{ MEDIA_SUIT_ENVELOPE, "application/suit-envelope+cose" },
	{ MEDIA_PROBLEM_JSON, "application/problem+json" },
	{ MEDIA_HTML, "text/html; charset=utf-8" },
	{ MEDIA_CSV, "text/csv; charset=utf-8" },
	{ MEDIA_NDJSON, "application/x-ndjson" },
	{ MEDIA_METRICS, "text/plain; version=0.0.4; charset=utf-8" },
	{ MEDIA_YAML, "application/yaml" },
};

/* Other spellings that askers use. */
static const struct {
	const char *http;
	enum media m;
} aliases[] = {
	{ "application/cose", MEDIA_COSE_SIGN1 },
	{ "application/x-yaml", MEDIA_YAML },
	{ "application/ndjson", MEDIA_NDJSON },
};

/*
 * HTTP status -> CoAP code, the reverse of RFC 8075 section 7 and table 2. The first
 * line that fits the status and the method counts; METHOD_COUNT fits all.
 */
static const struct {
	uint16_t status;
	enum method method;
	uint8_t code;
} codes[] = {
	{ 200, METHOD_GET, COAP(2, 5) },
	{ 200, METHOD_HEAD, COAP(2, 5) },
	{ 200, METHOD_DELETE, COAP(2, 2) },
	{ 200, METHOD_COUNT, COAP(2, 4) },
	{ 201, METHOD_COUNT, COAP(2, 1) },
	{ 202, METHOD_COUNT, COAP(2, 4) },
	{ 204, METHOD_DELETE, COAP(2, 2) },
	{ 204, METHOD_COUNT, COAP(2, 4) },
	{ 206, METHOD_COUNT, COAP(2, 5) },
	{ 304, METHOD_COUNT, COAP(2, 3) },
	{ 400, METHOD_COUNT, COAP(4, 0) },
	{ 401, METHOD_COUNT, COAP(4, 1) },
	{ 403, METHOD_COUNT, COAP(4, 3) },
	{ 404, METHOD_COUNT, COAP(4, 4) },
	{ 405, METHOD_COUNT, COAP(4, 5) },
	{ 406, METHOD_COUNT, COAP(4, 6) },
	{ 408, METHOD_COUNT, COAP(4, 8) },
	{ 409, METHOD_COUNT, COAP(4, 9) },
	{ 410, METHOD_COUNT, COAP(4, 4) },
	{ 412, METHOD_COUNT, COAP(4, 12) },
	{ 413, METHOD_COUNT, COAP(4, 13) },
	{ 415, METHOD_COUNT, COAP(4, 15) },
	{ 422, METHOD_COUNT, COAP(4, 22) },
	{ 428, METHOD_COUNT, COAP(4, 12) },
	{ 429, METHOD_COUNT, COAP(4, 29) },
	{ 500, METHOD_COUNT, COAP(5, 0) },
	{ 501, METHOD_COUNT, COAP(5, 1) },
	{ 502, METHOD_COUNT, COAP(5, 2) },
	{ 503, METHOD_COUNT, COAP(5, 3) },
	{ 504, METHOD_COUNT, COAP(5, 4) },
	{ 507, METHOD_COUNT, COAP(5, 3) },
};

static const struct {
	uint16_t status;
	const char *phrase;
} phrases[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 507, "Insufficient Storage" },
};

static const struct {
	enum err_code code;
	uint16_t status;
} statuses[] = {
	{ ERR_NONE, 200 },
	{ ERR_MALFORMED, 400 },
	{ ERR_INVALID, 422 },
	{ ERR_TOO_LARGE, 413 },
	{ ERR_UNSUPPORTED, 422 },
	{ ERR_VERIFY, 422 },
	{ ERR_MEDIA, 415 },
	{ ERR_NOT_ACCEPTABLE, 406 },
	{ ERR_UNAUTHENTICATED, 401 },
	{ ERR_FORBIDDEN, 403 },
	{ ERR_NOT_FOUND, 404 },
	{ ERR_METHOD, 405 },
	{ ERR_CONFLICT, 409 },
	{ ERR_PRECONDITION, 412 },
	{ ERR_TOO_MANY, 429 },
	{ ERR_GONE, 410 },
	{ ERR_BUSY, 503 },
	{ ERR_FULL, 507 },
	{ ERR_IO, 503 },
	{ ERR_NO_MEMORY, 503 },
	{ ERR_INTERNAL, 500 },
};

static const char *const methods[METHOD_COUNT] = {
	[METHOD_GET] = "GET",
	[METHOD_HEAD] = "HEAD",
	[METHOD_PUT] = "PUT",
	[METHOD_POST] = "POST",
	[METHOD_PATCH] = "PATCH",
	[METHOD_DELETE] = "DELETE",
};
/* clang-format on */

const char *media_http(enum media m)
{
	for (size_t i = 0; i < COUNT(medias); i++)
		if (medias[i].m == m)
			return medias[i].http;
	return NULL;
}

/* The type/subtype in front of any parameters, without the blanks around it. */
static struct slice essence(struct slice s)
{
	const uint8_t *semicolon = s.n ? memchr(s.p, ';', s.n) : NULL;

	if (semicolon)
		s.n = (size_t)(semicolon - s.p);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_of(s.p + 1, s.n - 1);
	return s;
}

static bool same_type(struct slice a, const char *text)
{
	struct slice b = essence(slice_str(text));

	return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

enum media media_from_http(struct slice content_type)
{
	struct slice type = essence(content_type);

	if (type.n == 0)
		return MEDIA_NONE;
	for (size_t i = 0; i < COUNT(medias); i++)
		if (same_type(type, medias[i].http))
			return medias[i].m;
	for (size_t i = 0; i < COUNT(aliases); i++)
		if (same_type(type, aliases[i].http))
			return aliases[i].m;
	return MEDIA_UNKNOWN;
}

int media_coap(enum media m)
{
	if (m == MEDIA_SUIT_ENVELOPE)
		return MEDIA_CBOR;
	if (m == MEDIA_METRICS)
		return MEDIA_TEXT;
	return m >= 0 && m <= 65535 ? (int)m : -1;
}

enum media media_from_coap(unsigned number)
{
	if (number > 65535)
		return MEDIA_UNKNOWN;
	for (size_t i = 0; i < COUNT(medias); i++)
		if ((unsigned)medias[i].m == number)
			return medias[i].m;
	return MEDIA_UNKNOWN;
}

bool etag_matches(const struct etag *given, const struct etag *full)
{
	if (given->n == 0 || full->n == 0)
		return false;
	if (given->n == full->n)
		return memcmp(given->b, full->b, full->n) == 0;
	return given->n == 8 && full->n > 8 && memcmp(given->b, full->b, 8) == 0;
}

uint8_t coap_code_of(uint16_t status, enum method m)
{
	for (size_t i = 0; i < COUNT(codes); i++)
		if (codes[i].status == status &&
		    (codes[i].method == m || codes[i].method == METHOD_COUNT))
			return codes[i].code;
	/* x.00 of a class is what a receiver takes an unknown code of it for (RFC 7252 5.9) */
	if (status >= 400 && status < 500)
		return COAP(4, 0);
	if (status >= 200 && status < 300)
		return COAP(2, 4);
	return COAP(5, 0);
}

uint16_t http_status_of(uint8_t code)
{
	for (size_t i = 0; i < COUNT(codes); i++)
		if (codes[i].code == code)
			return codes[i].status;
	return code >> 5 == 2 ? 200 : code >> 5 == 4 ? 400 : 500;
}

uint16_t status_of_err(enum err_code code)
{
	for (size_t i = 0; i < COUNT(statuses); i++)
		if (statuses[i].code == code)
			return statuses[i].status;
	return 500;
}

const char *status_phrase(uint16_t status)
{
	for (size_t i = 0; i < COUNT(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

const char *method_name(enum method m)
{
	return (unsigned)m < METHOD_COUNT ? methods[m] : "?";
}

/* One percent-decoded byte at s[*i]; -1 on a broken escape or a NUL. '+' is a blank (forms). */
static int query_byte(struct slice s, size_t *i)
{
	uint8_t c = s.p[*i];

	if (c == '%') {
		if (s.n - *i < 3 || text_unhex(&c, 1, slice_of(s.p + *i + 1, 2)) != 0)
			return -1;
		*i += 2;
	} else if (c == '+') {
		c = ' ';
	}
	*i += 1;
	return c ? c : -1;
}

static int query_decode(struct slice s, char *dst, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n;) {
		int v = query_byte(s, &i);
		if (v < 0 || n + 1 >= cap)
			return -1;
		dst[n++] = (char)v;
	}
	dst[n] = '\0';
	return 0;
}

/* Cut the part before the next sep off the front of *rest. */
static struct slice cut(struct slice *rest, char sep)
{
	const uint8_t *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	size_t n = at ? (size_t)(at - rest->p) : rest->n;
	struct slice head = slice_of(rest->p, n);

	*rest = at ? slice_of(at + 1, rest->n - n - 1) : slice_of(NULL, 0);
	return head;
}

int query_get(struct slice query, const char *name, char *dst, size_t cap)
{
	char key[64];

	if (cap == 0)
		return -1;
	dst[0] = '\0';
	while (query.n > 0) {
		struct slice value = cut(&query, '&');
		struct slice raw = cut(&value, '=');
		/* a name too long or broken is no name that anyone asks for */
		if (query_decode(raw, key, sizeof(key)) != 0 || strcmp(key, name) != 0)
			continue;
		if (query_decode(value, dst, cap) == 0)
			return 1;
		dst[0] = '\0';
		return -1;
	}
	return 0;
}
