/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/clock.h"
#include "base/err.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"

#include <check.h>
#include <errno.h>
#include <string.h>

START_TEST(digests)
{
	struct digest d, zero = { .b = { 0 } };
	char text[DIGEST_TEXT];
	const char *hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

	ck_assert_int_eq(digest_parse(&d, slice_str(hex)), 0);
	ck_assert_uint_eq(d.b[31], 0x1f);
	digest_text(text, &d);
	ck_assert_str_eq(text, hex);
	ck_assert(digest_eq(&d, &d));
	ck_assert(!digest_eq(&d, &zero));
	ck_assert(digest_is_zero(&zero));
	ck_assert(!digest_is_zero(&d));
	ck_assert_int_eq(digest_parse(&d, slice_of(hex, 62)), -1);
	ck_assert_int_eq(digest_parse(&d, slice_str("")), -1);
}
END_TEST

START_TEST(uuids)
{
	static const char *const bad[] = { "", "00112233-4455-6677-8899-aabbccddeef",
					   "00112233445566778899aabbccddeeff0000",
					   "00112233-4455-6677-8899-aabbccddeefg",
					   "001122334-455-6677-8899-aabbccddeeff" };
	struct uuid u = { .set = false };
	char text[UUID_TEXT];

	ck_assert_int_eq(uuid_parse(&u, slice_str("00112233-4455-6677-8899-AABBCCDDEEFF")), 0);
	ck_assert(u.set);
	ck_assert_uint_eq(u.b[15], 0xff);
	uuid_text(text, &u);
	ck_assert_str_eq(text, "00112233-4455-6677-8899-aabbccddeeff");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(uuid_parse(&u, slice_str(bad[i])) == -1, "%s", bad[i]);
}
END_TEST

START_TEST(names)
{
	char longest[DEVICE_ID_MAX + 1];

	memset(longest, 'a', sizeof(longest));
	ck_assert(device_id_valid(slice_of(longest, DEVICE_ID_MAX)));
	ck_assert(!device_id_valid(slice_of(longest, DEVICE_ID_MAX + 1)));
	ck_assert(device_id_valid(slice_str("-a.B_9:c")));
	ck_assert(!device_id_valid(slice_str("")));
	ck_assert(!device_id_valid(slice_str("a/b")));
	ck_assert(!device_id_valid(slice_str(".")));
	ck_assert(!device_id_valid(slice_str("..")));
	ck_assert(device_id_valid(slice_str("...")));
	ck_assert(device_id_valid(slice_str(".a")));
	ck_assert(!device_id_valid(slice_str("a+b")));
	ck_assert(!device_id_valid(slice_of("a\0b", 3)));
	ck_assert(!device_id_valid(slice_str("\xc3\xa9")));
	ck_assert(name_valid(slice_str("a+b-1.0")));
	ck_assert(!name_valid(slice_str("-a")));
	ck_assert(!name_valid(slice_str(".a")));
	ck_assert(!name_valid(slice_of(NULL, 0)));
}
END_TEST

START_TEST(randomness)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
	random_bytes(a, 0);
}
END_TEST

START_TEST(errors)
{
	struct err e = { .code = ERR_NONE };
	char big[400];

	ck_assert_int_eq(err_set(&e, ERR_INVALID, "line %d:\n\x1b[1m", 3), -1);
	ck_assert_int_eq(e.code, ERR_INVALID);
	ck_assert_str_eq(e.text, "line 3:  [1m");
	ck_assert_int_eq(err_prefix(&e, "file %s", "x"), -1);
	ck_assert_str_eq(e.text, "file x: line 3:  [1m");
	ck_assert_int_eq(e.code, ERR_INVALID);
	err_set(&e, ERR_IO, "again %s", e.text);
	ck_assert_str_eq(e.text, "again file x: line 3:  [1m");
	ck_assert_int_eq(err_set(NULL, ERR_IO, "x"), -1);
	ck_assert_int_eq(err_prefix(NULL, "x"), -1);

	/* cut in the middle of a two-byte letter: what is left is still UTF-8 */
	for (size_t i = 0; i + 2 < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa9", 2);
	big[398] = '\0';
	err_set(&e, ERR_INVALID, "%s", big);
	ck_assert(text_is_utf8(slice_str(e.text)));
	ck_assert_uint_eq(strlen(e.text), 222);
	err_prefix(&e, "p");
	ck_assert(text_is_utf8(slice_str(e.text)));
	ck_assert_str_eq(err_word(ERR_NOT_FOUND), "not-found");
}
END_TEST

/* The sink has no argument to carry a test's own state. */
static char last_line[2048];
static enum log_level last_level;
static int lines;

static void keep(enum log_level level, const char *line)
{
	last_level = level;
	ck_assert_int_eq(text_copy(last_line, sizeof(last_line), line), 0);
	lines++;
}

START_TEST(logging)
{
	char big[3000];
	enum log_level level;

	log_init("test", LOG_INFO_);
	log_set_sink(keep);
	log_debug("not %s", "shown");
	ck_assert_int_eq(lines, 0);
	errno = ENOENT;
	log_warn("device=%s\nstate=%d", "a", 3);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(lines, 1);
	ck_assert_int_eq(last_level, LOG_WARN_);
	ck_assert_str_eq(last_line, "device=a state=3");
	log_set_level(LOG_DEBUG_);
	ck_assert_int_eq(log_get_level(), LOG_DEBUG_);
	log_debug("shown");
	ck_assert_str_eq(last_line, "shown");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_error("%s", big);
	ck_assert_uint_eq(strlen(last_line), 1023);
	log_set_sink(NULL);
	ck_assert_int_eq(log_level_parse("warning", &level), 0);
	ck_assert_int_eq(level, LOG_WARN_);
	ck_assert_int_eq(log_level_parse("loud", &level), -1);
}
END_TEST

START_TEST(log_safe_texts)
{
	char big[300];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	const char *a = log_safe("a\nb\x7f\xc3\xa9"), *b = log_safe(big), *c = log_safe(NULL);
	ck_assert_str_eq(a, "a?b???");
	ck_assert_uint_eq(strlen(b), 127);
	ck_assert_str_eq(c, "");
	ck_assert_ptr_ne(a, b);
}
END_TEST

START_TEST(clocks)
{
	int64_t us = clock_mono_us(), ms = clock_mono_ms();

	ck_assert(us > 0);
	ck_assert(ms >= us / 1000);
	ck_assert(clock_mono_us() >= us);
	/* 2020: any machine that runs this is later */
	ck_assert(clock_wall_ms() > INT64_C(1577836800000));
	ck_assert(clock_is_synchronised() == clock_is_synchronised());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base/small");
	TCase *t = tcase_create("base/small");

	tcase_add_test(t, digests);
	tcase_add_test(t, uuids);
	tcase_add_test(t, names);
	tcase_add_test(t, randomness);
	tcase_add_test(t, errors);
	tcase_add_test(t, logging);
	tcase_add_test(t, log_safe_texts);
	tcase_add_test(t, clocks);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
