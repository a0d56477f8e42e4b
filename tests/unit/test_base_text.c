/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"

#include <check.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

START_TEST(copy_bounds)
{
	char dst[4];

	ck_assert_int_eq(text_copy(dst, sizeof(dst), "abc"), 0);
	ck_assert_str_eq(dst, "abc");
	ck_assert_int_eq(text_copy(dst, sizeof(dst), "abcd"), -1);
	ck_assert_str_eq(dst, "");
	ck_assert_int_eq(text_copy(dst, 0, ""), -1);
	ck_assert_int_eq(text_copy_slice(dst, sizeof(dst), slice_of("a\0b", 3)), -1);
	ck_assert_int_eq(text_copy_slice(dst, sizeof(dst), slice_of(NULL, 0)), 0);
	ck_assert_str_eq(dst, "");
	ck_assert_int_eq(text_format(dst, sizeof(dst), "%d", 999), 0);
	ck_assert_str_eq(dst, "999");
	ck_assert_int_eq(text_format(dst, sizeof(dst), "%d", 1000), -1);
	ck_assert_str_eq(dst, "");
}
END_TEST

START_TEST(hex_both_ways)
{
	const uint8_t bytes[] = { 0x00, 0x9f, 0xff };
	uint8_t back[3];
	char text[7];

	text_hex(text, bytes, sizeof(bytes));
	ck_assert_str_eq(text, "009fff");
	ck_assert_int_eq(text_unhex(back, 3, slice_str("009FfF")), 0);
	ck_assert_mem_eq(back, bytes, 3);
	ck_assert_int_eq(text_unhex(back, 3, slice_str("009ff")), -1);
	ck_assert_int_eq(text_unhex(back, 3, slice_str("009fff00")), -1);
	ck_assert_int_eq(text_unhex(back, 1, slice_str("0@")), -1);
	ck_assert_int_eq(text_unhex(back, 1, slice_str("g0")), -1);
}
END_TEST

/* RFC 4648 section 10, and what a strict reader refuses. */
static const struct {
	const char *bytes, *plain, *url;
} base64_cases[] = {
	{ "", "", "" },
	{ "f", "Zg==", "Zg" },
	{ "fo", "Zm8=", "Zm8" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg==", "Zm9vYg" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xbf", "+/+/", "-_-_" },
};

START_TEST(base64_both_ways)
{
	struct slice bytes = slice_str(base64_cases[_i].bytes);
	struct buf b = BUF_INIT(100);

	ck_assert_int_eq(text_base64(&b, bytes), 0);
	ck_assert_str_eq(buf_cstr(&b), base64_cases[_i].plain);
	buf_reset(&b);
	ck_assert_int_eq(text_base64url(&b, bytes), 0);
	ck_assert_str_eq(buf_cstr(&b), base64_cases[_i].url);
	buf_reset(&b);
	ck_assert_int_eq(text_unbase64(&b, slice_str(base64_cases[_i].plain)), 0);
	ck_assert(slice_eq(buf_slice(&b), bytes));
	buf_reset(&b);
	ck_assert_int_eq(text_unbase64url(&b, slice_str(base64_cases[_i].url)), 0);
	ck_assert(slice_eq(buf_slice(&b), bytes));
	buf_free(&b);
}
END_TEST

START_TEST(base64_strict)
{
	static const char *const bad_url[] = { "Z",    "Zg==",	 "Zh",	  "Zm9",
					       "Zm 8", "Zm9v+A", "Zm9vY", "Zm9v\n" };
	static const char *const bad_plain[] = { "Zg",	 "Zg=",	     "Zh==", "Z===",
						 "====", "Zm9v-_-_", "=Zg=", "Zm=v" };
	struct buf b = BUF_INIT(100);

	for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		ck_assert_msg(text_unbase64url(&b, slice_str(bad_url[i])) == -1, "%s", bad_url[i]);
	for (size_t i = 0; i < sizeof(bad_plain) / sizeof(bad_plain[0]); i++)
		ck_assert_msg(text_unbase64(&b, slice_str(bad_plain[i])) == -1, "%s", bad_plain[i]);
	buf_free(&b);

	struct buf small = BUF_INIT(3);
	ck_assert_int_eq(text_base64(&small, slice_str("foo")), -1);
	buf_free(&small);
}
END_TEST

START_TEST(numbers)
{
	uint64_t u = 7;
	int64_t i = 7;

	ck_assert_int_eq(text_u64(slice_str("18446744073709551615"), &u), 0);
	ck_assert(u == UINT64_MAX);
	ck_assert_int_eq(text_u64(slice_str("18446744073709551616"), &u), -1);
	ck_assert_int_eq(text_u64(slice_str(""), &u), -1);
	ck_assert_int_eq(text_u64(slice_str("-1"), &u), -1);
	ck_assert_int_eq(text_u64(slice_str(" 1"), &u), -1);
	ck_assert_int_eq(text_u64(slice_str("1x"), &u), -1);
	ck_assert_int_eq(text_i64(slice_str("-9223372036854775808"), &i), 0);
	ck_assert(i == INT64_MIN);
	ck_assert_int_eq(text_i64(slice_str("-9223372036854775809"), &i), -1);
	ck_assert_int_eq(text_i64(slice_str("9223372036854775807"), &i), 0);
	ck_assert(i == INT64_MAX);
	ck_assert_int_eq(text_i64(slice_str("9223372036854775808"), &i), -1);
	ck_assert_int_eq(text_i64(slice_str("-"), &i), -1);
	ck_assert_int_eq(text_i64(slice_str("+1"), &i), -1);
}
END_TEST

START_TEST(sizes_and_durations)
{
	uint64_t u;
	int64_t ms;

	ck_assert_int_eq(text_size(slice_str("10"), &u), 0);
	ck_assert(u == 10);
	ck_assert_int_eq(text_size(slice_str("64K"), &u), 0);
	ck_assert(u == 65536);
	ck_assert_int_eq(text_size(slice_str("2G"), &u), 0);
	ck_assert(u == UINT64_C(2) << 30);
	ck_assert_int_eq(text_size(slice_str("18446744073709551615K"), &u), -1);
	ck_assert_int_eq(text_size(slice_str("K"), &u), -1);
	ck_assert_int_eq(text_size(slice_str("1T"), &u), -1);
	ck_assert_int_eq(text_duration_ms(slice_str("90"), &ms), 0);
	ck_assert(ms == 90000);
	ck_assert_int_eq(text_duration_ms(slice_str("15m"), &ms), 0);
	ck_assert(ms == 900000);
	ck_assert_int_eq(text_duration_ms(slice_str("7d"), &ms), 0);
	ck_assert(ms == 7 * INT64_C(86400000));
	ck_assert_int_eq(text_duration_ms(slice_str("9223372036854775807d"), &ms), -1);
	ck_assert_int_eq(text_duration_ms(slice_str("1w"), &ms), -1);
	ck_assert_int_eq(text_duration_ms(slice_str(""), &ms), -1);
}
END_TEST

static const struct {
	int64_t ms;
	const char *text;
} times[] = {
	{ 0, "1970-01-01T00:00:00.000Z" },
	{ -1, "1969-12-31T23:59:59.999Z" },
	{ 951782400000, "2000-02-29T00:00:00.000Z" },
	{ 1709251199123, "2024-02-29T23:59:59.123Z" },
	{ 4107542400000, "2100-03-01T00:00:00.000Z" },
	{ 253402300799999, "9999-12-31T23:59:59.999Z" },
	{ -62167219200000, "0000-01-01T00:00:00.000Z" },
};

START_TEST(time_both_ways)
{
	char text[TEXT_TIME_SIZE];
	int64_t ms = 5;

	text_time(text, times[_i].ms);
	ck_assert_str_eq(text, times[_i].text);
	ck_assert_int_eq(text_untime(slice_str(text), &ms), 0);
	ck_assert_int_eq(ms, times[_i].ms);
}
END_TEST

START_TEST(time_clamped)
{
	char text[TEXT_TIME_SIZE];

	text_time(text, INT64_MAX);
	ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
	text_time(text, INT64_MIN);
	ck_assert_str_eq(text, "0000-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(time_other_forms)
{
	static const char *const bad[] = {
		"",
		"1970-01-01",
		"1970-13-01T00:00:00Z",
		"1970-00-01T00:00:00Z",
		"2023-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:61Z",
		"1970-01-01T00:00:00",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00Zx",
		"1970-01-01T00:00:00+24:00",
	};
	int64_t ms;

	ck_assert_int_eq(text_untime(slice_str("1970-01-01t01:00:00.5+01:00"), &ms), 0);
	ck_assert_int_eq(ms, 500);
	ck_assert_int_eq(text_untime(slice_str("1969-12-31T22:30:00.123456789-01:30"), &ms), 0);
	ck_assert_int_eq(ms, 123);
	ck_assert_int_eq(text_untime(slice_str("1990-12-31T23:59:60Z"), &ms), 0);
	ck_assert_int_eq(ms, 662688000000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(text_untime(slice_str(bad[i]), &ms) == -1, "%s", bad[i]);
}
END_TEST

START_TEST(addresses)
{
	static const struct {
		const char *text, *hex;
	} table[] = {
		{ "192.0.2.7", "00000000000000000000ffffc0000207" },
		{ "2001:db8::1", "20010db8000000000000000000000001" },
		{ "::ffff:1.2.3.4", "00000000000000000000ffff01020304" },
		{ "", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.7:5683", NULL },
		{ "gw.example.com", NULL },
	};
	char hex[33];
	uint8_t ip[16];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int rc = text_ip(table[i].text, ip);

		ck_assert_msg((rc == 0) == (table[i].hex != NULL), "%s", table[i].text);
		if (rc != 0)
			continue;
		text_hex(hex, ip, sizeof(ip));
		ck_assert_str_eq(hex, table[i].hex);
	}
}
END_TEST

START_TEST(utf8)
{
	static const char *const good[] = {
		"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"
	};
	static const char *const bad[] = { "\x80",
					   "\xc3",
					   "\xc0\x80",
					   "\xe0\x80\x80",
					   "\xed\xa0\x80",
					   "\xf0\x80\x80\x80",
					   "\xf4\x90\x80\x80",
					   "\xff",
					   "\xe2\x82" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(text_is_utf8(slice_str(good[i])), "good %zu", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!text_is_utf8(slice_str(bad[i])), "bad %zu", i);
}
END_TEST

static const struct {
	const char *a, *b;
	int want;
} versions[] = {
	{ "1.0", "1.0", 0 },
	{ "1.0", "1.1", -1 },
	{ "1.10", "1.9", 1 },
	{ "1.0~rc1", "1.0", -1 },
	{ "1.0~rc1", "1.0~rc2", -1 },
	{ "1:0.1", "9.9", 1 },
	{ "0:1.0", "1.0", 0 },
	{ "1.0-1", "1.0-2", -1 },
	{ "1.0", "1.0-1", -1 },
	{ "1.0", "1.0-0", 0 },
	{ "1.0a", "1.0", 1 },
	{ "1.0a", "1.0+", -1 },
	{ "1.0~~", "1.0~", -1 },
	{ "1.001", "1.1", 0 },
	{ "", "0", 0 },
	{ "2-1-1", "2-1-2", -1 },
	{ "1.2.3", "1.2", 1 },
	{ "99999999999999999999998", "99999999999999999999999", -1 },
};

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

START_TEST(version_order)
{
	const char *a = versions[_i].a, *b = versions[_i].b;

	ck_assert_msg(sign(text_version_cmp(a, b)) == versions[_i].want, "%s %s", a, b);
	ck_assert_msg(sign(text_version_cmp(b, a)) == -versions[_i].want, "%s %s", b, a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base/text");
	TCase *t = tcase_create("base/text");

	tcase_add_test(t, copy_bounds);
	tcase_add_test(t, hex_both_ways);
	tcase_add_test(t, base64_strict);
	tcase_add_test(t, numbers);
	tcase_add_test(t, sizes_and_durations);
	tcase_add_test(t, time_clamped);
	tcase_add_test(t, time_other_forms);
	tcase_add_test(t, utf8);
	tcase_add_test(t, addresses);
	tcase_add_loop_test(t, base64_both_ways, 0, COUNT(base64_cases));
	tcase_add_loop_test(t, time_both_ways, 0, COUNT(times));
	tcase_add_loop_test(t, version_order, 0, COUNT(versions));
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
