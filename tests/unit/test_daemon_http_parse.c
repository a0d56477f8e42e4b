/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/http_parse.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const struct {
	const char *in;
	int status;
	const char *path, *query, *authority;
} targets[] = {
	{ "/", 0, "/", "", "" },
	{ "/a/b?c=d&e", 0, "/a/b", "c=d&e", "" },
	{ "/a?", 0, "/a", "", "" },
	{ "/a?x=?y", 0, "/a", "x=?y", "" },
	{ "/%61%2e%20b", 0, "/a. b", "", "" },
	{ "/d/%C3%A9", 0, "/d/\xc3\xa9", "", "" },
	{ "/.well-known/core", 0, "/.well-known/core", "", "" },
	{ "/...", 0, "/...", "", "" },
	{ "http://example.com:80/a?b", 0, "/a", "b", "example.com:80" },
	{ "HTTPS://[::1]:8443", 0, "/", "", "[::1]:8443" },
	{ "http://h?q", 0, "/", "q", "h" },
	{ "http:///a", 400, "", NULL, NULL },
	{ "http://a b/", 400, "", NULL, NULL },
	{ "", 400, "", NULL, NULL },
	{ "*", 400, "", NULL, NULL },
	{ "a/b", 400, "", NULL, NULL },
	{ "?a", 400, "", NULL, NULL },
	{ "//a", 400, "", NULL, NULL },
	{ "/a//b", 400, "", NULL, NULL },
	{ "/a/", 400, "", NULL, NULL },
	{ "/./a", 400, "", NULL, NULL },
	{ "/a/..", 400, "", NULL, NULL },
	{ "/a/%2e%2E/b", 400, "", NULL, NULL },
	{ "/a%2fb", 400, "", NULL, NULL },
	{ "/a%00", 400, "", NULL, NULL },
	{ "/a%0a", 400, "", NULL, NULL },
	{ "/a%7f", 400, "", NULL, NULL },
	{ "/a%", 400, "", NULL, NULL },
	{ "/a%4", 400, "", NULL, NULL },
	{ "/a%zz", 400, "", NULL, NULL },
	{ "/a%ff", 400, "", NULL, NULL },
	{ "/a#b", 400, "", NULL, NULL },
	{ "/a?b#c", 400, "", NULL, NULL },
	{ "/a b", 400, "", NULL, NULL },
	{ "/a?\xff", 400, "", NULL, NULL },
	{ "/a?\x01", 400, "", NULL, NULL },
};

START_TEST(target)
{
	char path[PATH_MAX_LEN + 1];
	struct slice query, authority;
	size_t n;
	int status = http_parse_target(slice_str(targets[_i].in), path, &n, &query, &authority);

	ck_assert_msg(status == targets[_i].status, "%s: %d", targets[_i].in, status);
	ck_assert_str_eq(path, targets[_i].path);
	ck_assert_uint_eq(n, strlen(path));
	if (status == 0) {
		ck_assert(slice_eq_str(query, targets[_i].query));
		ck_assert(slice_eq_str(authority, targets[_i].authority));
	}
}
END_TEST

START_TEST(target_bounds)
{
	char in[3 + PATH_MAX_LEN + QUERY_MAX_LEN], path[PATH_MAX_LEN + 1];
	struct slice query, authority;
	size_t n;

	memset(in, 'a', sizeof(in));
	in[0] = '/';
	ck_assert_int_eq(
		http_parse_target(slice_of(in, PATH_MAX_LEN), path, &n, &query, &authority), 0);
	ck_assert_uint_eq(n, PATH_MAX_LEN);
	ck_assert_int_eq(http_parse_target(slice_of(in, PATH_MAX_LEN + 1), path, &n, &query,
					   &authority),
			 414);
	in[1] = '?';
	ck_assert_int_eq(http_parse_target(slice_of(in, 2 + QUERY_MAX_LEN), path, &n, &query,
					   &authority),
			 0);
	ck_assert_int_eq(http_parse_target(slice_of(in, 3 + QUERY_MAX_LEN), path, &n, &query,
					   &authority),
			 414);
}
END_TEST

static const struct {
	const char *in;
	uint64_t size;
	enum http_range kind;
	uint64_t first, count;
} ranges[] = {
	{ "bytes=0-0", 10, HTTP_RANGE_PART, 0, 1 },
	{ "bytes=0-9", 10, HTTP_RANGE_PART, 0, 10 },
	{ "bytes=0-99", 10, HTTP_RANGE_PART, 0, 10 },
	{ "Bytes= 3-4 ", 10, HTTP_RANGE_PART, 3, 2 },
	{ "bytes=9-", 10, HTTP_RANGE_PART, 9, 1 },
	{ "bytes=-3", 10, HTTP_RANGE_PART, 7, 3 },
	{ "bytes=-30", 10, HTTP_RANGE_PART, 0, 10 },
	{ "bytes=0-18446744073709551615", 10, HTTP_RANGE_PART, 0, 10 },
	{ "bytes=10-", 10, HTTP_RANGE_BAD, 0, 0 },
	{ "bytes=10-20", 10, HTTP_RANGE_BAD, 0, 0 },
	{ "bytes=-0", 10, HTTP_RANGE_BAD, 0, 0 },
	{ "bytes=0-", 0, HTTP_RANGE_BAD, 0, 0 },
	{ "bytes=-1", 0, HTTP_RANGE_BAD, 0, 0 },
	{ "bytes=5-4", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "bytes=0-1,3-4", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "bytes=-", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "bytes=", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "bytes=a-b", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "bytes=1-2-3", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "bytes=18446744073709551616-", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "items=0-1", 10, HTTP_RANGE_WHOLE, 0, 0 },
	{ "", 10, HTTP_RANGE_WHOLE, 0, 0 },
};

START_TEST(range)
{
	uint64_t first = 0, count = 0;
	enum http_range kind =
		http_parse_range(slice_str(ranges[_i].in), ranges[_i].size, &first, &count);

	ck_assert_msg(kind == ranges[_i].kind, "%s: %d", ranges[_i].in, kind);
	if (kind == HTTP_RANGE_PART) {
		ck_assert_uint_eq(first, ranges[_i].first);
		ck_assert_uint_eq(count, ranges[_i].count);
	}
}
END_TEST

static const struct {
	const char *in;
	bool strong;
	int result, n;
	bool any, more;
	const char *first; /* hex of the first tag */
} etag_lists[] = {
	{ "\"0102\"", true, 0, 1, false, false, "0102" },
	{ "\"0102\", \"ff\"", false, 0, 2, false, false, "0102" },
	{ "W/\"0102\"", false, 0, 1, false, false, "0102" },
	{ "W/\"0102\"", true, 0, 1, false, false, NULL },
	{ "\"not hex\"", true, -1, 0, false, false, NULL },
	{ "\"nothex\"", true, 0, 1, false, false, NULL },
	{ "\"a,b\"", true, 0, 1, false, false, NULL },
	{ "\"\"", true, 0, 1, false, false, NULL },
	{ " * ", true, 0, 0, true, false, NULL },
	{ ",, \"01\" ,", true, 0, 1, false, false, "01" },
	{ "\"01\",\"02\",\"03\",\"04\",\"05\"", true, 0, 4, false, true, "01" },
	{ "", true, -1, 0, false, false, NULL },
	{ "01", true, -1, 0, false, false, NULL },
	{ "\"01", true, -1, 0, false, false, NULL },
	{ "w/\"01\"", true, -1, 0, false, false, NULL },
	{ "\"", true, -1, 0, false, false, NULL },
};

START_TEST(etags)
{
	struct etag tags[ETAGS_MAX];
	struct http_etags out = { .tags = tags };

	ck_assert_int_eq(http_parse_etags(slice_str(etag_lists[_i].in), etag_lists[_i].strong,
					  &out),
			 etag_lists[_i].result);
	if (etag_lists[_i].result != 0)
		return;
	ck_assert_int_eq(out.n, etag_lists[_i].n);
	ck_assert_int_eq(out.any, etag_lists[_i].any);
	ck_assert_int_eq(out.more, etag_lists[_i].more);
	if (out.n > 0) {
		char hex[2 * ETAG_MAX + 1];
		static const char nothing[] = "00000000000000000000000000000000"
					      "00000000000000000000000000000000";

		text_hex(hex, tags[0].b, tags[0].n);
		ck_assert_str_eq(hex, etag_lists[_i].first ? etag_lists[_i].first : nothing);
	}
}
END_TEST

static const struct {
	const char *first, *second;
	enum media m;
} accepts[] = {
	{ NULL, NULL, MEDIA_NONE },
	{ "", NULL, MEDIA_NONE },
	{ "*/*", NULL, MEDIA_NONE },
	{ "application/json", NULL, MEDIA_JSON },
	{ "Application/JSON; charset=utf-8", NULL, MEDIA_JSON },
	{ "application/json;q=0.5, application/cbor", NULL, MEDIA_CBOR },
	{ "application/json;q=0.5", "application/cbor;q=0.6", MEDIA_CBOR },
	{ "application/cbor, */*;q=0.1", NULL, MEDIA_CBOR },
	{ "*/*, application/cbor", NULL, MEDIA_CBOR },
	{ "application/cbor;q=0.1, */*", NULL, MEDIA_NONE },
	{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", NULL, MEDIA_HTML },
	{ "application/openmetrics-text;version=1.0.0;q=0.5,"
	  "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
	  NULL, MEDIA_METRICS },
	{ "text/plain", NULL, MEDIA_TEXT },
	{ "image/png", NULL, MEDIA_UNKNOWN },
	{ "application/json;q=0", NULL, MEDIA_UNKNOWN },
	{ "application/json;q=2", NULL, MEDIA_UNKNOWN },
	{ "application/json;q=0.1234", NULL, MEDIA_UNKNOWN },
	{ "application/*", NULL, MEDIA_NONE },
};

START_TEST(accept_field)
{
	struct http_accept a = { .best = MEDIA_NONE };

	if (accepts[_i].first)
		http_accept_add(&a, slice_str(accepts[_i].first));
	if (accepts[_i].second)
		http_accept_add(&a, slice_str(accepts[_i].second));
	ck_assert_int_eq(http_accept_media(&a), accepts[_i].m);
}
END_TEST

#define ABC "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" /* SHA-256 of "abc" */

static const struct {
	const char *in;
	int result;
} digests[] = {
	{ "sha-256=:" ABC ":", 1 },
	{ "sha-512=:AAAA:, sha-256=:" ABC ":", 1 },
	{ "sha-256=:" ABC ":;x=1", 1 },
	{ "sha-512=:AAAA:", 0 },
	{ "", 0 },
	{ "sha-256=" ABC, -1 },
	{ "sha-256=::", -1 },
	{ "sha-256=:AAAA:", -1 },
	{ "sha-256=:" ABC "AAAA:", -1 },
	{ "sha-256=:" ABC ":, sha-256=:" ABC ":", -1 },
	{ "sha-256", -1 },
	{ "=:" ABC ":", -1 },
};

START_TEST(repr_digest)
{
	struct digest d;
	char hex[DIGEST_TEXT];

	ck_assert_msg(http_parse_repr_digest(slice_str(digests[_i].in), &d) == digests[_i].result,
		      "%s", digests[_i].in);
	if (digests[_i].result == 1) {
		digest_text(hex, &d);
		ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223"
				      "b00361a396177a9cb410ff61f20015ad");
	}
}
END_TEST

static const struct {
	const char *in, *token;
} authorizations[] = {
	{ "Bearer ft_abc", "ft_abc" },
	{ "bearer   fd_x.y-z~+/= ", "fd_x.y-z~+/=" },
	{ "Basic dXNlcjpmdF9hYmM=", "ft_abc" },
	{ "Basic OmE6Yg==", "a:b" },
	{ "Basic dXNlcg==", NULL },
	{ "Basic dXNlcjo=", NULL },
	{ "Basic ***", NULL },
	{ "Bearer", NULL },
	{ "Bearer ", NULL },
	{ "Bearer a b", NULL },
	{ "Bearer \x80", NULL },
	{ "Digest abc", NULL },
	{ "", NULL },
};

START_TEST(authorization)
{
	char token[TOKEN_MAX_LEN + 1];
	size_t n;
	int r = http_parse_authorization(slice_str(authorizations[_i].in), token, &n);

	if (authorizations[_i].token) {
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(token, authorizations[_i].token);
		ck_assert_uint_eq(n, strlen(token));
	} else {
		ck_assert_int_eq(r, -1);
	}
}
END_TEST

START_TEST(small_fields)
{
	uint64_t v;

	ck_assert_int_eq(http_parse_boolean(slice_str("?1")), 1);
	ck_assert_int_eq(http_parse_boolean(slice_str(" ?0 ")), 0);
	ck_assert_int_eq(http_parse_boolean(slice_str("1")), -1);
	ck_assert_int_eq(http_parse_integer(slice_str("0999"), &v), 0);
	ck_assert_uint_eq(v, 999);
	ck_assert_int_eq(http_parse_integer(slice_str("1234567890123456"), &v), -1);
	ck_assert_int_eq(http_parse_integer(slice_str("-1"), &v), -1);
	ck_assert(http_host_valid(slice_str("fw.example.com:8443")));
	ck_assert(!http_host_valid(slice_str("a/b")));
	ck_assert(!http_host_valid(slice_str("a@b")));
	ck_assert(http_name_valid(slice_str("Content-Length")));
	ck_assert(!http_name_valid(slice_str("Content-Length ")));
	ck_assert(!http_name_valid(slice_str("")));
	ck_assert(http_value_valid(slice_str("a\tb")));
	ck_assert(!http_value_valid(slice_str("a\rb")));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon_http_parse");
	TCase *t = tcase_create("parse");

	tcase_add_loop_test(t, target, 0, COUNT(targets));
	tcase_add_test(t, target_bounds);
	tcase_add_loop_test(t, range, 0, COUNT(ranges));
	tcase_add_loop_test(t, etags, 0, COUNT(etag_lists));
	tcase_add_loop_test(t, accept_field, 0, COUNT(accepts));
	tcase_add_loop_test(t, repr_digest, 0, COUNT(digests));
	tcase_add_loop_test(t, authorization, 0, COUNT(authorizations));
	tcase_add_test(t, small_fields);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
