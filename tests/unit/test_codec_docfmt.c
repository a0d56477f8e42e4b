/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/docfmt.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/cbor.h"
#include "codec/docfmt_keys.h"

static struct arena arena;
static struct buf out;
static struct err err;

static void setup(void)
{
	arena = ARENA_INIT(1 << 22);
	out = BUF_INIT(1 << 20);
	err = (struct err){ .code = ERR_NONE };
}

static void teardown(void)
{
	arena_free(&arena);
	buf_free(&out);
}

static const struct doc *decode(enum media m, struct slice s)
{
	const struct doc *d = NULL;

	ck_assert_msg(docfmt_decode(m, s, &arena, &d, &err) == 0, "%s", err.text);
	return d;
}

/* `name = number` lines of the schema are the table. */
START_TEST(keys_equal_schema)
{
	const char *top = getenv("top_srcdir");
	char path[512], line[256];
	unsigned n = 0;
	FILE *f;

	ck_assert_int_eq(text_format(path, sizeof(path), "%s/schema/device.cddl", top ? top : "."),
			 0);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s cannot be read", path);
	while (fgets(line, sizeof(line), f)) {
		size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
		uint64_t number;

		line[strcspn(line, "\n")] = '\0';
		if (len == 0 || strncmp(line + len, " = ", 3) != 0 ||
		    !isdigit((unsigned char)line[len + 3]))
			continue;
		ck_assert_int_eq(text_u64(slice_str(line + len + 3), &number), 0);
		ck_assert_uint_eq(docfmt_key_number(slice_of(line, len)), number);
		ck_assert(slice_eq(docfmt_key_name(number), slice_of(line, len)));
		n++;
	}
	fclose(f);
	ck_assert_uint_gt(n, 50);
	ck_assert_uint_eq(docfmt_key_max(), n);
	ck_assert_uint_eq(docfmt_key_name(0).n, 0);
	ck_assert_uint_eq(docfmt_key_name(n + 1).n, 0);
	ck_assert_uint_eq(docfmt_key_number(slice_str("stranger")), 0);
	ck_assert_uint_eq(docfmt_key_number(slice_str("boo")), 0);
	ck_assert_uint_eq(docfmt_key_number((struct slice){ 0 }), 0);
}
END_TEST

static const char report[] =
	"{\"boot\":7,\"counter\":3,\"state\":\"downloading\",\"progress\":40,\"components\":"
	"[{\"name\":\"mcu2\",\"version\":\"1.2\",\"sequence\":-1}],\"stranger\":null,\"ok\":true,"
	"\"attributes\":{\"model\":\"x\",\"hw\":3}}";

START_TEST(json_cbor_json)
{
	const struct doc *d = decode(MEDIA_JSON, slice_str(report));
	struct cbor_reader c;

	ck_assert_int_eq(docfmt_encode(MEDIA_CBOR, d, &out, &err), 0);
	ck_assert_uint_lt(out.n, sizeof(report) / 2 + 20);
	cbor_begin(&c, buf_slice(&out), &err);
	ck_assert_uint_eq(cbor_take_map(&c), 8);
	ck_assert_uint_eq(cbor_take_uint(&c), 1); /* boot */
	d = decode(MEDIA_CBOR, buf_slice(&out));
	buf_reset(&out);
	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, d, &out, &err), 0);
	ck_assert_str_eq(buf_cstr(&out), report);
}
END_TEST

/* Attributes are the device's own names: "model" stays text there. */
START_TEST(attributes_stay_text)
{
	const struct doc *d = decode(MEDIA_JSON, slice_str("{\"attributes\":{\"model\":\"x\"}}"));

	ck_assert_int_eq(docfmt_encode(MEDIA_CBOR, d, &out, &err), 0);
	ck_assert(slice_eq(buf_slice(&out), slice_of("\xa1\x0f\xa1\x65model\x61x", 11)));
	ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, slice_of("\xa1\x0f\xa1\x07\x61x", 6), &arena, &d,
				       &err),
			 -1);
}
END_TEST

START_TEST(wide_numbers_and_bytes)
{
	struct doc *m = doc_map(&arena, NULL, NULL);
	const struct doc *d;

	doc_add_u64(&arena, m, "sequence", UINT64_MAX);
	doc_add_bytes(&arena, m, "digest", slice_of("\x01\xff", 2));
	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, m, &out, &err), 0);
	ck_assert_str_eq(buf_cstr(&out),
			 "{\"sequence\":\"18446744073709551615\",\"digest\":\"01ff\"}");
	buf_reset(&out);
	ck_assert_int_eq(docfmt_encode(MEDIA_CBOR, m, &out, &err), 0);
	d = decode(MEDIA_CBOR, buf_slice(&out));
	ck_assert_int_eq(doc_get(d, "sequence")->type, DOC_U64);
	ck_assert(doc_get(d, "sequence")->v.u == UINT64_MAX);
	ck_assert_int_eq(doc_get(d, "digest")->type, DOC_BYTES);
}
END_TEST

static const struct {
	enum media m;
	const char *bytes;
	size_t n;
	enum err_code code;
	const char *says;
} refused[] = {
	{ MEDIA_JSON, "", 0, ERR_MALFORMED, "empty" },
	{ MEDIA_JSON, "{\"a\":1,\n\"a\":2}", 14, ERR_MALFORMED, "line 2" },
	{ MEDIA_JSON, "{\"a\":1.5}", 9, ERR_MALFORMED, "fraction" },
	{ MEDIA_JSON, "{\"a\":1e3}", 9, ERR_MALFORMED, "fraction" },
	{ MEDIA_JSON, "{\"a\":9223372036854775808}", 25, ERR_MALFORMED, "at byte" },
	{ MEDIA_JSON, "{} x", 4, ERR_MALFORMED, "at byte" },
	{ MEDIA_JSON, "{\"\":1}", 6, ERR_MALFORMED, "empty name" },
	{ MEDIA_JSON, "\"\\u0000\"", 8, ERR_MALFORMED, "at byte" },
	{ MEDIA_JSON, "\"\xff\"", 3, ERR_MALFORMED, "at byte" },
	{ MEDIA_JSON, "[[[[[[[[[1]]]]]]]]]", 19, ERR_TOO_LARGE, "deeper" },
	{ MEDIA_JSON, "{\"a\"", 4, ERR_MALFORMED, "at byte" },
	{ MEDIA_CBOR, "\xa2\x01\x01\x01\x02", 5, ERR_MALFORMED, "duplicate member 'boot'" },
	{ MEDIA_CBOR,
	  "\xa2\x01\x01\x64"
	  "boot\x02",
	  9, ERR_MALFORMED, "duplicate member" },
	{ MEDIA_CBOR, "\xa1\x18\xc8\x01", 4, ERR_MALFORMED, "unknown member number 200" },
	{ MEDIA_CBOR, "\xa1\x20\x01", 3, ERR_MALFORMED, "byte 1" },
	{ MEDIA_CBOR, "\xa1\x60\x01", 3, ERR_MALFORMED, "empty member" },
	{ MEDIA_CBOR, "\x81\x61\x00", 3, ERR_MALFORMED, "NUL" },
	{ MEDIA_CBOR, "\xa0\x00", 2, ERR_MALFORMED, "behind the end" },
	{ MEDIA_CBOR, "\xc1\x00", 2, ERR_MALFORMED, "a tag" },
	{ MEDIA_CBOR, "\x9f\xff", 2, ERR_MALFORMED, "byte 0" },
	{ MEDIA_CBOR, "\xf9\x00\x00", 3, ERR_MALFORMED, "byte 0" },
	{ MEDIA_CBOR, "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", 9, ERR_MALFORMED, "range" },
	{ MEDIA_CBOR, "\x81\x81\x81\x81\x81\x81\x81\x81\x00", 9, ERR_TOO_LARGE, "deep" },
	{ MEDIA_TEXT, "{}", 2, ERR_MEDIA, "neither" },
};

START_TEST(refusals)
{
	const struct doc *d;

	ck_assert_int_eq(docfmt_decode(refused[_i].m, slice_of(refused[_i].bytes, refused[_i].n),
				       &arena, &d, &err),
			 -1);
	ck_assert_ptr_null(d);
	ck_assert_int_eq(err.code, refused[_i].code);
	ck_assert_msg(strstr(err.text, refused[_i].says) != NULL, "%d: %s", _i, err.text);
}
END_TEST

START_TEST(bounds)
{
	struct buf b = BUF_INIT(1 << 16);
	const struct doc *d;

	cbor_put_array(&b, 4095);
	for (int i = 0; i < 4095; i++)
		cbor_put_uint(&b, 0);
	ck_assert_uint_eq(doc_count(decode(MEDIA_CBOR, buf_slice(&b))), 4095);
	buf_reset(&b);
	cbor_put_array(&b, 4096);
	for (int i = 0; i < 4096; i++)
		cbor_put_uint(&b, 0);
	ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, buf_slice(&b), &arena, &d, &err), -1);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
	buf_reset(&b);
	cbor_put_map(&b, 257);
	for (uint64_t i = 0; i < 257; i++) {
		char name[8];

		ck_assert_int_eq(text_format(name, sizeof(name), "x%llu", (unsigned long long)i),
				 0);
		cbor_put_text(&b, slice_str(name));
		cbor_put_null(&b);
	}
	ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, buf_slice(&b), &arena, &d, &err), -1);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
	buf_free(&b);
}
END_TEST

START_TEST(no_memory)
{
	struct arena small = ARENA_INIT(64);
	const struct doc *d;

	ck_assert_int_eq(docfmt_decode(MEDIA_JSON, slice_str(report), &small, &d, &err), -1);
	ck_assert_int_eq(err.code, ERR_NO_MEMORY);
	arena_reset(&small);
	ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, slice_of("\x82\x61x\x61y", 5), &small, &d, &err),
			 -1);
	ck_assert_int_eq(err.code, ERR_NO_MEMORY);
	arena_free(&small);
}
END_TEST

START_TEST(output_bound)
{
	const struct doc *d = decode(MEDIA_JSON, slice_str(report));
	struct buf little = BUF_INIT(10);

	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, d, &little, &err), -1);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
	buf_reset(&little);
	ck_assert_int_eq(docfmt_encode(MEDIA_CBOR, d, &little, &err), -1);
	ck_assert_int_eq(docfmt_encode(MEDIA_HTML, d, &out, &err), -1);
	ck_assert_int_eq(err.code, ERR_NOT_ACCEPTABLE);
	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, NULL, &out, &err), -1);
	buf_free(&little);
}
END_TEST

START_TEST(escapes)
{
	const struct doc *d =
		decode(MEDIA_JSON, slice_str("\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\""));

	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, d, &out, &err), 0);
	ck_assert_str_eq(buf_cstr(&out), "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\"");
}
END_TEST

START_TEST(pretty)
{
	const struct doc *d = decode(MEDIA_JSON, slice_str("{\"a\":[1,{}],\"b\":[]}"));

	ck_assert_int_eq(docfmt_encode_pretty(d, &out, &err), 0);
	ck_assert_str_eq(buf_cstr(&out), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}\n");
}
END_TEST

/* RFC 9290: numbers for the standard members, the type as a custom entry. */
START_TEST(problem_details)
{
	static const char text[] = "{\"title\":\"Not Found\",\"status\":404,\"detail\":\"no such\","
				   "\"type\":\"urn:x:not-found\",\"field\":\"id\"}";
	const struct doc *d = decode(MEDIA_PROBLEM_JSON, slice_str(text));
	struct cbor_reader c;

	ck_assert_int_eq(docfmt_encode(MEDIA_PROBLEM_CBOR, d, &out, &err), 0);
	cbor_begin(&c, buf_slice(&out), &err);
	ck_assert_uint_eq(cbor_take_map(&c), 4);
	ck_assert_int_eq(cbor_take_int(&c), -1);
	ck_assert(slice_eq_str(cbor_take_text(&c), "Not Found"));
	ck_assert_int_eq(cbor_take_int(&c), -4);
	ck_assert_uint_eq(cbor_take_uint(&c), 4 << 5 | 4);
	ck_assert_int_eq(cbor_take_int(&c), -2);
	ck_assert(slice_eq_str(cbor_take_text(&c), "no such"));
	ck_assert(slice_eq_str(cbor_take_text(&c), "urn:x:not-found"));
	ck_assert_uint_eq(cbor_take_map(&c), 1);
	d = decode(MEDIA_PROBLEM_CBOR, buf_slice(&out));
	buf_reset(&out);
	ck_assert_int_eq(docfmt_encode(MEDIA_PROBLEM_JSON, d, &out, &err), 0);
	ck_assert_str_eq(buf_cstr(&out), text);
}
END_TEST

START_TEST(problem_without_type)
{
	const struct doc *d =
		decode(MEDIA_JSON, slice_str("{\"title\":\"x\",\"type\":\"about:blank\","
					     "\"field\":\"id\"}"));

	ck_assert_int_eq(docfmt_encode(MEDIA_PROBLEM_CBOR, d, &out, &err), 0);
	d = decode(MEDIA_PROBLEM_CBOR, buf_slice(&out));
	ck_assert_uint_eq(doc_count(d), 2);
	ck_assert(slice_eq_str(doc_get(d, "field")->v.s, "id"));
	ck_assert_int_eq(docfmt_decode(MEDIA_PROBLEM_CBOR, slice_of("\xa2\x20\x61x\x20\x61y", 7),
				       &arena, &d, &err),
			 -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec_docfmt");
	TCase *t = tcase_create("docfmt");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, keys_equal_schema);
	tcase_add_test(t, json_cbor_json);
	tcase_add_test(t, attributes_stay_text);
	tcase_add_test(t, wide_numbers_and_bytes);
	tcase_add_loop_test(t, refusals, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(t, bounds);
	tcase_add_test(t, no_memory);
	tcase_add_test(t, output_bound);
	tcase_add_test(t, escapes);
	tcase_add_test(t, pretty);
	tcase_add_test(t, problem_details);
	tcase_add_test(t, problem_without_type);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
