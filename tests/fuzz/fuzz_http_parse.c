/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * The HTTP field parsers. The first byte says which; the rest is the field.
 * Whatever is accepted must be within the bounds that others rely on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void fuzz_target(struct slice s)
{
	char path[PATH_MAX_LEN + 1];
	struct slice query, authority;
	size_t n;
	int status = http_parse_target(s, path, &n, &query, &authority);

	must(status == 0 || status == 400 || status == 414);
	must(n <= PATH_MAX_LEN && path[n] == '\0' && strlen(path) == n);
	if (status != 0)
		return;
	must(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../"));
	must(text_is_utf8(slice_of(path, n)) && query.n <= QUERY_MAX_LEN);
	must(text_is_utf8(query) && authority.n <= 255);
}

static void fuzz_range(struct slice s)
{
	static const uint64_t sizes[] = { 0, 1, 1000, UINT64_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t first, count, end;

		if (http_parse_range(s, sizes[i], &first, &count) != HTTP_RANGE_PART)
			continue;
		must(count > 0 && !__builtin_add_overflow(first, count, &end) && end <= sizes[i]);
	}
}

static void fuzz_etags(struct slice s)
{
	struct etag tags[ETAGS_MAX];
	struct http_etags strong = { .tags = tags }, weak = { .tags = tags };

	must(http_parse_etags(s, true, &strong) == http_parse_etags(s, false, &weak));
	must(strong.n == weak.n && strong.any == weak.any && weak.n <= ETAGS_MAX);
	for (uint8_t i = 0; i < weak.n; i++)
		must(tags[i].n >= 1 && tags[i].n <= ETAG_MAX);
}

static void fuzz_accept(struct slice s)
{
	struct http_accept a = { .best = MEDIA_NONE };

	http_accept_add(&a, s);
	http_accept_add(&a, s);
	must(a.q <= 1000);
	enum media m = http_accept_media(&a);
	must(m == MEDIA_NONE || m == MEDIA_UNKNOWN || media_http(m));
}

static void fuzz_digest(struct slice s)
{
	struct digest d;
	int r = http_parse_repr_digest(s, &d);

	must(r >= -1 && r <= 1);
	if (r == 1) {
		/* every byte is set: a sanitizer would see one that is not */
		char hex[DIGEST_TEXT];
		digest_text(hex, &d);
		must(strlen(hex) == DIGEST_TEXT - 1);
	}
}

static void fuzz_authorization(struct slice s)
{
	char token[TOKEN_MAX_LEN + 1];
	size_t n;

	if (http_parse_authorization(s, token, &n) == 0)
		must(n > 0 && n <= TOKEN_MAX_LEN && strlen(token) == n);
	else
		must(token[0] == '\0');
}

static void fuzz_small(struct slice s)
{
	uint64_t v;
	int b = http_parse_boolean(s);

	must(b >= -1 && b <= 1);
	if (http_parse_integer(s, &v) == 0)
		must(v < 1000000000000000u);
	if (http_host_valid(s) || http_name_valid(s))
		must(http_value_valid(s));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static void (*const parsers[])(struct slice s) = {
		fuzz_target, fuzz_range,	 fuzz_etags, fuzz_accept,
		fuzz_digest, fuzz_authorization, fuzz_small,
	};

	if (n > 0)
		parsers[p[0] % (sizeof(parsers) / sizeof(parsers[0]))](slice_of(p + 1, n - 1));
	return 0;
}
