/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/message.h"

#include <check.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define CODE(class, detail) ((class) << 5 | (detail))

static const struct {
	uint16_t status;
	enum method m;
	int code;
} codes[] = {
	{ 200, METHOD_GET, CODE(2, 5) },  { 200, METHOD_POST, CODE(2, 4) },
	{ 200, METHOD_PUT, CODE(2, 4) },  { 200, METHOD_DELETE, CODE(2, 2) },
	{ 201, METHOD_PUT, CODE(2, 1) },  { 202, METHOD_POST, CODE(2, 4) },
	{ 204, METHOD_PUT, CODE(2, 4) },  { 204, METHOD_DELETE, CODE(2, 2) },
	{ 304, METHOD_GET, CODE(2, 3) },  { 400, METHOD_GET, CODE(4, 0) },
	{ 401, METHOD_GET, CODE(4, 1) },  { 403, METHOD_GET, CODE(4, 3) },
	{ 404, METHOD_GET, CODE(4, 4) },  { 405, METHOD_GET, CODE(4, 5) },
	{ 406, METHOD_GET, CODE(4, 6) },  { 408, METHOD_PUT, CODE(4, 8) },
	{ 409, METHOD_PUT, CODE(4, 9) },  { 412, METHOD_GET, CODE(4, 12) },
	{ 413, METHOD_PUT, CODE(4, 13) }, { 415, METHOD_PUT, CODE(4, 15) },
	{ 422, METHOD_PUT, CODE(4, 22) }, { 429, METHOD_GET, CODE(4, 29) },
	{ 500, METHOD_GET, CODE(5, 0) },  { 501, METHOD_GET, CODE(5, 1) },
	{ 503, METHOD_GET, CODE(5, 3) },  { 507, METHOD_PUT, CODE(5, 3) },
	{ 418, METHOD_GET, CODE(4, 0) },  { 599, METHOD_GET, CODE(5, 0) },
	{ 0, METHOD_GET, CODE(5, 0) },
};

START_TEST(status_to_coap)
{
	ck_assert_msg(coap_code_of(codes[_i].status, codes[_i].m) == codes[_i].code, "%d",
		      codes[_i].status);
}
END_TEST

static const struct {
	enum err_code code;
	uint16_t status;
} statuses[] = {
	{ ERR_MALFORMED, 400 },	     { ERR_INVALID, 422 },
	{ ERR_TOO_LARGE, 413 },	     { ERR_UNSUPPORTED, 422 },
	{ ERR_VERIFY, 422 },	     { ERR_MEDIA, 415 },
	{ ERR_NOT_ACCEPTABLE, 406 }, { ERR_UNAUTHENTICATED, 401 },
	{ ERR_FORBIDDEN, 403 },	     { ERR_NOT_FOUND, 404 },
	{ ERR_METHOD, 405 },	     { ERR_CONFLICT, 409 },
	{ ERR_PRECONDITION, 412 },   { ERR_TOO_MANY, 429 },
	{ ERR_GONE, 410 },	     { ERR_BUSY, 503 },
	{ ERR_FULL, 507 },	     { ERR_IO, 503 },
	{ ERR_NO_MEMORY, 503 },	     { ERR_INTERNAL, 500 },
};

START_TEST(error_to_status)
{
	uint16_t status = status_of_err(statuses[_i].code);

	ck_assert_uint_eq(status, statuses[_i].status);
	ck_assert_str_ne(status_phrase(status), "Unknown");
	/* every error has a word of its own */
	for (int k = 0; k < COUNT(statuses); k++)
		ck_assert((k == _i) ==
			  (strcmp(err_word(statuses[k].code), err_word(statuses[_i].code)) == 0));
}
END_TEST

static const enum media medias[] = {
	MEDIA_COSE_SIGN1,   MEDIA_LINK_FORMAT, MEDIA_OCTETS,	    MEDIA_JSON,		MEDIA_CBOR,
	MEDIA_PROBLEM_CBOR, MEDIA_SUIT_REPORT, MEDIA_SUIT_ENVELOPE, MEDIA_PROBLEM_JSON, MEDIA_HTML,
	MEDIA_CSV,	    MEDIA_NDJSON,      MEDIA_YAML,	    MEDIA_TEXT,
};

START_TEST(media_both_ways)
{
	enum media m = medias[_i];

	ck_assert_ptr_nonnull(media_http(m));
	ck_assert_int_eq(media_from_http(slice_str(media_http(m))), m);
	if (m <= 65535) {
		ck_assert_int_eq(media_coap(m), (int)m);
		ck_assert_int_eq(media_from_coap((unsigned)m), m);
	}
}
END_TEST

START_TEST(media_corners)
{
	ck_assert_int_eq(media_from_http(slice_str(" Application/JSON ; charset=utf-8")),
			 MEDIA_JSON);
	ck_assert_int_eq(media_from_http(slice_str("application/jsonx")), MEDIA_UNKNOWN);
	ck_assert_int_eq(media_from_http(slice_str("")), MEDIA_NONE);
	ck_assert_int_eq(media_from_http(slice_str(";")), MEDIA_NONE);
	ck_assert_ptr_null(media_http(MEDIA_NONE));
	ck_assert_int_eq(media_coap(MEDIA_NONE), -1);
	ck_assert_int_eq(media_coap(MEDIA_HTML), -1);
	ck_assert_int_eq(media_coap(MEDIA_SUIT_ENVELOPE), 60);
	ck_assert_int_eq(media_from_coap(70002), MEDIA_UNKNOWN);
	ck_assert_int_eq(media_from_coap(11111), MEDIA_UNKNOWN);
}
END_TEST

START_TEST(etags)
{
	struct etag full = { .n = 32 }, brief = { .n = 8 }, none = { .n = 0 };

	for (uint8_t i = 0; i < 32; i++)
		full.b[i] = i;
	memcpy(brief.b, full.b, 8);
	ck_assert(etag_matches(&full, &full));
	ck_assert(etag_matches(&brief, &full));
	ck_assert(!etag_matches(&full, &brief));
	ck_assert(!etag_matches(&none, &full));
	ck_assert(!etag_matches(&full, &none));
	brief.b[7] ^= 1;
	ck_assert(!etag_matches(&brief, &full));
	brief.b[7] ^= 1;
	brief.n = 7;
	ck_assert(!etag_matches(&brief, &full));
}
END_TEST

/* There and back is the same, but for what CoAP has one code for. */
START_TEST(coap_to_status)
{
	static const struct {
		unsigned class, detail;
		uint16_t status;
	} rows[] = {
		{ 2, 1, 201 },	{ 2, 2, 200 },	{ 2, 3, 304 },	{ 2, 4, 200 },	{ 2, 5, 200 },
		{ 2, 30, 200 }, { 4, 0, 400 },	{ 4, 2, 400 },	{ 4, 4, 404 },	{ 4, 8, 408 },
		{ 4, 9, 409 },	{ 4, 12, 412 }, { 4, 13, 413 }, { 4, 22, 422 }, { 4, 29, 429 },
		{ 4, 31, 400 }, { 5, 0, 500 },	{ 5, 3, 503 },	{ 5, 31, 500 }, { 7, 31, 500 },
	};

	for (int i = 0; i < COUNT(rows); i++)
		ck_assert_uint_eq(http_status_of((uint8_t)(rows[i].class << 5 | rows[i].detail)),
				  rows[i].status);
	for (unsigned code = 0; code < 256; code++) {
		ck_assert_uint_ge(http_status_of((uint8_t)code), 200);
		ck_assert_uint_le(http_status_of((uint8_t)code), 599);
	}
}
END_TEST

START_TEST(method_names)
{
	ck_assert_str_eq(method_name(METHOD_GET), "GET");
	ck_assert_str_eq(method_name(METHOD_DELETE), "DELETE");
	ck_assert_str_eq(method_name(METHOD_COUNT), "?");
}
END_TEST

static const struct {
	const char *query, *name;
	int found;
	const char *value;
} queries[] = {
	{ "", "a", 0, "" },
	{ "a=1", "a", 1, "1" },
	{ "a", "a", 1, "" },
	{ "b=2&a=1", "a", 1, "1" },
	{ "a=1&a=2", "a", 1, "1" },
	{ "aa=1", "a", 0, "" },
	{ "%61=x%20y+z", "a", 1, "x y z" },
	{ "a=b=c", "a", 1, "b=c" },
	{ "a=%4", "a", -1, "" },
	{ "a=%zz", "a", -1, "" },
	{ "a=%@0", "a", -1, "" },
	{ "a=%00", "a", -1, "" },
	{ "a=12345678", "a", -1, "" },
	{ "a=1234567", "a", 1, "1234567" },
	{ "%=1&a=2", "a", 1, "2" },
	{ "&&a=2&", "a", 1, "2" },
};

START_TEST(query_values)
{
	char dst[8] = "x";

	ck_assert_msg(query_get(slice_str(queries[_i].query), queries[_i].name, dst, sizeof(dst)) ==
			      queries[_i].found,
		      "%s", queries[_i].query);
	ck_assert_str_eq(dst, queries[_i].value);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base/message");
	TCase *t = tcase_create("base/message");

	tcase_add_test(t, media_corners);
	tcase_add_test(t, etags);
	tcase_add_test(t, method_names);
	tcase_add_test(t, coap_to_status);
	tcase_add_loop_test(t, status_to_coap, 0, COUNT(codes));
	tcase_add_loop_test(t, error_to_status, 0, COUNT(statuses));
	tcase_add_loop_test(t, media_both_ways, 0, COUNT(medias));
	tcase_add_loop_test(t, query_values, 0, COUNT(queries));
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
