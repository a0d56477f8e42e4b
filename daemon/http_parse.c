/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/http_parse.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct slice http_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_of(s.p + 1, s.n - 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool http_list_next(struct slice *rest, struct slice *item)
{
	bool quoted = false;
	size_t i = 0;

	if (rest->n == 0)
		return false;
	for (; i < rest->n && (quoted || rest->p[i] != ','); i++) {
		if (rest->p[i] == '"')
			quoted = !quoted;
		else if (quoted && rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
	}
	*item = http_trim(slice_of(rest->p, i));
	i += i < rest->n ? 1 : 0;
	*rest = slice_of(rest->p + i, rest->n - i);
	return true;
}

/* Cut the part before sep off the front; false when there is no sep. */
static bool cut(struct slice *rest, char sep, struct slice *head)
{
	const uint8_t *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;

	if (!at)
		return false;
	*head = slice_of(rest->p, (size_t)(at - rest->p));
	*rest = slice_of(at + 1, rest->n - head->n - 1);
	return true;
}

static bool starts_nocase(struct slice s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && strncasecmp((const char *)s.p, prefix, n) == 0;
}

/* ---- request target ---- */

/* One decoded byte at s[*i]; -1 for what no path may hold. */
static int path_byte(struct slice s, size_t *i)
{
	uint8_t c = s.p[*i];

	if (c == '%') {
		if (s.n - *i < 3 || text_unhex(&c, 1, slice_of(s.p + *i + 1, 2)) != 0)
			return -1;
		*i += 2;
		/* a slash that was not one would change which segments there are */
		if (c == '/')
			return -1;
	} else if (c == '#' || c == ' ') {
		return -1;
	}
	*i += 1;
	return c < 0x20 || c == 0x7f ? -1 : c;
}

/* Every segment is there and none climbs. "/" alone is the root. */
static bool segments_sound(struct slice path)
{
	struct slice rest = slice_of(path.p + 1, path.n - 1), segment;
	bool more = rest.n > 0;

	while (more) {
		more = cut(&rest, '/', &segment);
		if (!more)
			segment = rest;
		if (segment.n == 0 || slice_eq_str(segment, ".") || slice_eq_str(segment, ".."))
			return false;
	}
	return true;
}

static int path_decode(struct slice raw, char path[PATH_MAX_LEN + 1], size_t *path_n)
{
	size_t n = 0;

	if (raw.n == 0 || raw.p[0] != '/')
		return 400;
	for (size_t i = 0; i < raw.n;) {
		int c = path_byte(raw, &i);

		if (c < 0)
			return 400;
		if (n == PATH_MAX_LEN)
			return 414;
		path[n++] = (char)c;
	}
	path[n] = '\0';
	*path_n = n;
	if (!text_is_utf8(slice_of(path, n)) || !segments_sound(slice_of(path, n)))
		return 400;
	return 0;
}

/* The absolute form must be taken (RFC 9112 3.2.2): cut scheme and authority off. */
static int strip_authority(struct slice *target, struct slice *authority)
{
	size_t skip = starts_nocase(*target, "http://")	   ? 7
		      : starts_nocase(*target, "https://") ? 8
							   : 0;

	*authority = slice_of(NULL, 0);
	if (skip == 0)
		return 0;
	struct slice rest = slice_of(target->p + skip, target->n - skip);
	size_t n = 0;
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
		n++;
	*authority = slice_of(rest.p, n);
	*target = slice_of(rest.p + n, rest.n - n);
	return n > 0 && http_host_valid(*authority) ? 0 : 400;
}

int http_parse_target(struct slice target, char path[PATH_MAX_LEN + 1], size_t *path_n,
		      struct slice *query, struct slice *authority)
{
	struct slice raw;

	path[0] = '\0';
	*path_n = 0;
	*query = slice_of(NULL, 0);
	if (strip_authority(&target, authority) != 0)
		return 400;
	if (cut(&target, '?', &raw))
		*query = target;
	else
		raw = target;
	if (query->n > QUERY_MAX_LEN)
		return 414;
	if (!http_value_valid(*query) || !text_is_utf8(*query) ||
	    (query->n && memchr(query->p, '#', query->n)))
		return 400;
	if (raw.n == 0 && authority->n > 0)
		raw = slice_str("/");
	int status = path_decode(raw, path, path_n);
	if (status != 0) {
		path[0] = '\0';
		*path_n = 0;
	}
	return status;
}

/* ---- ranges ---- */

enum http_range http_parse_range(struct slice value, uint64_t size, uint64_t *first,
				 uint64_t *count)
{
	struct slice from;
	uint64_t a, b = UINT64_MAX;

	value = http_trim(value);
	if (!starts_nocase(value, "bytes="))
		return HTTP_RANGE_WHOLE;
	value = http_trim(slice_of(value.p + 6, value.n - 6));
	/* several ranges: amplification for nothing, the whole is always right */
	if (!cut(&value, '-', &from) || (value.n && memchr(value.p, ',', value.n)))
		return HTTP_RANGE_WHOLE;
	if (value.n > 0 && text_u64(value, &b) != 0)
		return HTTP_RANGE_WHOLE;
	if (from.n == 0) {
		if (value.n == 0)
			return HTTP_RANGE_WHOLE;
		if (b == 0 || size == 0)
			return HTTP_RANGE_BAD;
		*count = b < size ? b : size;
		*first = size - *count;
		return HTTP_RANGE_PART;
	}
	if (text_u64(from, &a) != 0 || b < a)
		return HTTP_RANGE_WHOLE;
	if (a >= size)
		return HTTP_RANGE_BAD;
	*first = a;
	*count = (b < size ? b + 1 : size) - a;
	return HTTP_RANGE_PART;
}

/* ---- entity tags ---- */

static bool etag_byte(uint8_t c)
{
	return c == 0x21 || (c >= 0x23 && c != 0x7f);
}

/* One entity-tag into t, -1 malformed. */
static int etag_parse(struct slice item, bool strong, struct etag *t)
{
	bool weak = slice_starts(item, "W/");

	if (weak)
		item = slice_of(item.p + 2, item.n - 2);
	if (item.n < 2 || item.p[0] != '"' || item.p[item.n - 1] != '"')
		return -1;
	item = slice_of(item.p + 1, item.n - 2);
	for (size_t i = 0; i < item.n; i++)
		if (!etag_byte(item.p[i]))
			return -1;
	*t = (struct etag){ .n = (uint8_t)(item.n / 2) };
	if (item.n == 0 || item.n % 2 != 0 || item.n > 2 * ETAG_MAX || (weak && strong) ||
	    text_unhex(t->b, t->n, item) != 0)
		*t = (struct etag){ .n = ETAG_MAX };
	return 0;
}

int http_parse_etags(struct slice value, bool strong, struct http_etags *out)
{
	struct slice item;
	bool some = false;

	if (slice_eq_str(http_trim(value), "*")) {
		out->any = true;
		return 0;
	}
	while (http_list_next(&value, &item)) {
		struct etag t;

		if (item.n == 0)
			continue;
		some = true;
		if (etag_parse(item, strong, &t) != 0)
			return -1;
		if (out->n < ETAGS_MAX)
			out->tags[out->n++] = t;
		else
			out->more = true;
	}
	return some ? 0 : -1;
}

/* ---- Accept ---- */

/* "0", "1", "0.5", "1.000" in thousandths; -1 for anything else. */
static int qvalue(struct slice s)
{
	int q, scale = 100;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return -1;
	q = (s.p[0] - '0') * 1000;
	for (size_t i = 2; i < s.n; i++, scale /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		q += (s.p[i] - '0') * scale;
	}
	return q <= 1000 ? q : -1;
}

static struct slice next_parameter(struct slice *rest)
{
	struct slice p;

	if (!cut(rest, ';', &p)) {
		p = *rest;
		*rest = slice_of(NULL, 0);
	}
	return http_trim(p);
}

/* What one range of Accept asks for; NONE for the wildcards. */
static enum media range_media(struct slice type, bool version)
{
	if (type.n > 1 && type.p[type.n - 1] == '*' && type.p[type.n - 2] == '/')
		return MEDIA_NONE;
	enum media m = media_from_http(type);
	/* text/plain of the metrics exposition format is told apart by its version alone */
	return m == MEDIA_TEXT && version ? MEDIA_METRICS : m;
}

void http_accept_add(struct http_accept *a, struct slice value)
{
	struct slice item;

	while (http_list_next(&value, &item)) {
		struct slice type = next_parameter(&item);
		bool version = false;
		int q = 1000;

		if (type.n == 0)
			continue;
		if (!a->seen)
			*a = (struct http_accept){ .best = MEDIA_UNKNOWN, .seen = true };
		while (item.n > 0) {
			struct slice p = next_parameter(&item);

			if (starts_nocase(p, "q="))
				q = qvalue(slice_of(p.p + 2, p.n - 2));
			else if (starts_nocase(p, "version=0.0.4"))
				version = true;
		}
		enum media m = range_media(type, version);
		/* of equals the first, but a type named beats a wildcard */
		if (m == MEDIA_UNKNOWN || q <= 0 || (unsigned)q < a->q ||
		    ((unsigned)q == a->q && a->best != MEDIA_NONE))
			continue;
		a->best = m;
		a->q = (unsigned)q;
	}
}

enum media http_accept_media(const struct http_accept *a)
{
	return a->seen ? a->best : MEDIA_NONE;
}

/* ---- digests, authorisation, structured fields ---- */

/* ":base64:" of exactly 32 bytes. */
static int digest_member(struct slice v, struct digest *out)
{
	struct buf b = BUF_INIT(DIGEST_SIZE + 3);
	struct slice params = v;
	int result = -1;

	v = next_parameter(&params);
	if (v.n < 2 || v.p[0] != ':' || v.p[v.n - 1] != ':')
		return -1;
	if (text_unbase64(&b, slice_of(v.p + 1, v.n - 2)) == 0 && b.n == DIGEST_SIZE) {
		memcpy(out->b, b.p, DIGEST_SIZE);
		result = 0;
	}
	buf_free(&b);
	return result;
}

int http_parse_repr_digest(struct slice value, struct digest *out)
{
	struct slice item, key;
	int found = 0;

	while (http_list_next(&value, &item)) {
		if (!cut(&item, '=', &key) || key.n == 0)
			return -1;
		if (!slice_eq_str(key, "sha-256"))
			continue;
		/* the last of several counts (RFC 9651 4.2.2): two that differ are a trick */
		if (found || digest_member(item, out) != 0)
			return -1;
		found = 1;
	}
	return found;
}

static int token_copy(struct slice s, char token[TOKEN_MAX_LEN + 1], size_t *n)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			return -1;
	if (s.n == 0 || text_copy_slice(token, TOKEN_MAX_LEN + 1, s) != 0)
		return -1;
	*n = s.n;
	return 0;
}

static int basic_password(struct slice s, char token[TOKEN_MAX_LEN + 1], size_t *n)
{
	struct buf b = BUF_INIT(2 * TOKEN_MAX_LEN);
	struct slice user, rest;
	int result = -1;

	if (s.n <= 2 * TOKEN_MAX_LEN && text_unbase64(&b, s) == 0) {
		rest = buf_slice(&b);
		if (cut(&rest, ':', &user))
			result = token_copy(rest, token, n);
	}
	if (b.p)
		explicit_bzero(b.p, b.n);
	buf_free(&b);
	return result;
}

int http_parse_authorization(struct slice value, char token[TOKEN_MAX_LEN + 1], size_t *n)
{
	struct slice scheme, rest = http_trim(value);

	*n = 0;
	token[0] = '\0';
	if (!cut(&rest, ' ', &scheme))
		return -1;
	rest = http_trim(rest);
	if (scheme.n == 6 && starts_nocase(scheme, "bearer"))
		return token_copy(rest, token, n);
	if (scheme.n == 5 && starts_nocase(scheme, "basic"))
		return basic_password(rest, token, n);
	return -1;
}

int http_parse_boolean(struct slice value)
{
	value = http_trim(value);
	return slice_eq_str(value, "?1") ? 1 : slice_eq_str(value, "?0") ? 0 : -1;
}

int http_parse_integer(struct slice value, uint64_t *out)
{
	value = http_trim(value);
	return value.n > 15 ? -1 : text_u64(value, out);
}

bool http_host_valid(struct slice value)
{
	static const char others[] = "-._~!$&'()*+,;=:[]%";

	if (value.n > 255)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		      (c != 0 && strchr(others, c))))
			return false;
	}
	return true;
}

bool http_name_valid(struct slice name)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		      (c != 0 && strchr(others, c))))
			return false;
	}
	return name.n > 0;
}

bool http_value_valid(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			return false;
	return true;
}
