/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/cbor.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static uint8_t room[512];

static struct slice hex(const char *s)
{
	size_t n = strlen(s) / 2;

	ck_assert_uint_le(n, sizeof(room));
	ck_assert_int_eq(text_unhex(room, n, slice_str(s)), 0);
	return slice_of(room, n);
}

static const struct {
	const char *hex;
	enum err_code code; /* ERR_NONE: in the profile */
} items[] = {
	{ "00", ERR_NONE },
	{ "17", ERR_NONE },
	{ "1818", ERR_NONE },
	{ "1817", ERR_MALFORMED }, /* not shortest */
	{ "190100", ERR_NONE },
	{ "1900ff", ERR_MALFORMED },
	{ "1a00010000", ERR_NONE },
	{ "1a0000ffff", ERR_MALFORMED },
	{ "1b0000000100000000", ERR_NONE },
	{ "1b00000000ffffffff", ERR_MALFORMED },
	{ "1bffffffffffffffff", ERR_NONE },
	{ "3bffffffffffffffff", ERR_NONE },
	{ "3817", ERR_MALFORMED },
	{ "3900ff", ERR_MALFORMED },
	{ "40", ERR_NONE },
	{ "4401020304", ERR_NONE },
	{ "44010203", ERR_MALFORMED }, /* cut */
	{ "580401020304", ERR_MALFORMED },
	{ "6161", ERR_NONE },
	{ "61ff", ERR_MALFORMED }, /* not UTF-8 */
	{ "62c3a9", ERR_NONE },
	{ "62c0af", ERR_MALFORMED }, /* overlong */
	{ "80", ERR_NONE },
	{ "820102", ERR_NONE },
	{ "8201", ERR_MALFORMED },
	{ "9a7fffffff00", ERR_MALFORMED },
	{ "9bffffffffffffffff", ERR_MALFORMED },
	{ "bb7fffffffffffffff00", ERR_MALFORMED },
	{ "a0", ERR_NONE },
	{ "a10102", ERR_NONE },
	{ "a101", ERR_MALFORMED },
	{ "9f01ff", ERR_MALFORMED }, /* indefinite lengths */
	{ "bf0102ff", ERR_MALFORMED },
	{ "5f4101ff", ERR_MALFORMED },
	{ "7f6161ff", ERR_MALFORMED },
	{ "ff", ERR_MALFORMED },
	{ "c101", ERR_NONE }, /* tags short, unassigned in libcbor, long */
	{ "d240", ERR_NONE },
	{ "d71a00010000", ERR_NONE },
	{ "d86b00", ERR_NONE },
	{ "d80600", ERR_MALFORMED },
	{ "c1", ERR_MALFORMED },
	{ "f4", ERR_NONE },
	{ "f5", ERR_NONE },
	{ "f6", ERR_NONE },
	{ "f7", ERR_MALFORMED },
	{ "e0", ERR_MALFORMED },
	{ "f820", ERR_MALFORMED },
	{ "f93c00", ERR_MALFORMED },
	{ "fa47c35000", ERR_MALFORMED },
	{ "fb3ff199999999999a", ERR_MALFORMED },
	{ "1c", ERR_MALFORMED },
	{ "", ERR_MALFORMED },
	{ "0000", ERR_MALFORMED }, /* trailing bytes */
};

START_TEST(profile)
{
	struct err e = { .code = ERR_NONE };
	int rc = cbor_check(hex(items[_i].hex), &e);

	ck_assert_msg((rc == 0) == (items[_i].code == ERR_NONE), "%s: %s", items[_i].hex, e.text);
	if (rc) {
		ck_assert_int_eq(e.code, items[_i].code);
		ck_assert_ptr_nonnull(strstr(e.text, "at byte "));
	}
}
END_TEST

START_TEST(depth)
{
	uint8_t nested[CBOR_DEPTH_MAX + 2];
	struct err e;

	memset(nested, 0x81, sizeof(nested));
	nested[CBOR_DEPTH_MAX] = 0;
	ck_assert_int_eq(cbor_check(slice_of(nested, CBOR_DEPTH_MAX + 1), &e), 0);
	nested[CBOR_DEPTH_MAX] = 0x81;
	nested[CBOR_DEPTH_MAX + 1] = 0;
	ck_assert_int_eq(cbor_check(slice_of(nested, CBOR_DEPTH_MAX + 2), &e), -1);
	ck_assert_int_eq(e.code, ERR_TOO_LARGE);
	/* siblings do not add up */
	ck_assert_int_eq(cbor_check(hex("838101810281818103"), &e), 0);
}
END_TEST

START_TEST(typed_reads)
{
	struct cbor_reader c;
	struct err e;
	struct slice s;

	cbor_begin(&c, hex("890a2042aabb6378797af5f6d8254131820102a10304"), &e);
	ck_assert_uint_eq(cbor_take_array(&c), 9);
	ck_assert_uint_eq(cbor_take_uint(&c), 10);
	ck_assert_int_eq(cbor_take_int(&c), -1);
	s = cbor_take_bytes(&c);
	ck_assert(slice_eq(s, slice_of("\xaa\xbb", 2)));
	ck_assert(slice_eq_str(cbor_take_text(&c), "xyz"));
	ck_assert(cbor_take_bool(&c));
	cbor_take_null(&c);
	ck_assert_int_eq(cbor_peek(&c), CBOR_TAG);
	ck_assert_int_eq(cbor_peek(&c), CBOR_TAG);
	ck_assert_uint_eq(cbor_take_tag(&c), 37);
	ck_assert(slice_eq_str(cbor_take_bytes(&c), "1"));
	s = cbor_take_raw(&c);
	ck_assert(slice_eq(s, slice_of("\x82\x01\x02", 3)));
	ck_assert_uint_eq(cbor_take_map(&c), 1);
	ck_assert_uint_eq(cbor_take_uint(&c), 3);
	ck_assert_uint_eq(cbor_take_uint(&c), 4);
	ck_assert_int_eq(cbor_peek(&c), CBOR_NONE);
	ck_assert_int_eq(cbor_end(&c), 0);
}
END_TEST

START_TEST(int_range)
{
	struct cbor_reader c;
	struct err e;

	cbor_begin(&c, hex("1b7fffffffffffffff"), &e);
	ck_assert_int_eq(cbor_take_int(&c), INT64_MAX);
	cbor_begin(&c, hex("3b7fffffffffffffff"), &e);
	ck_assert_int_eq(cbor_take_int(&c), INT64_MIN);
	cbor_begin(&c, hex("1b8000000000000000"), &e);
	ck_assert_int_eq(cbor_take_int(&c), 0);
	ck_assert_int_eq(cbor_end(&c), -1);
	cbor_begin(&c, hex("3b8000000000000000"), &e);
	cbor_take_int(&c);
	ck_assert_int_eq(cbor_end(&c), -1);
}
END_TEST

START_TEST(first_error_sticks)
{
	struct cbor_reader c;
	struct err e;

	cbor_begin(&c, hex("83016161f5"), &e);
	ck_assert_uint_eq(cbor_take_array(&c), 3);
	ck_assert_uint_eq(cbor_take_uint(&c), 1);
	ck_assert_uint_eq(cbor_take_uint(&c), 0); /* a text */
	ck_assert_str_eq(e.text, "expected an unsigned number, found a text at byte 2");
	ck_assert(!cbor_take_bool(&c));
	ck_assert_uint_eq(cbor_take_array(&c), 0);
	ck_assert_uint_eq(cbor_take_raw(&c).n, 0);
	ck_assert_int_eq(cbor_fail(&c, ERR_INVALID, "later"), -1);
	ck_assert_int_eq(cbor_end(&c), -1);
	ck_assert_int_eq(e.code, ERR_MALFORMED);
	ck_assert_str_eq(e.text, "expected an unsigned number, found a text at byte 2");
}
END_TEST

START_TEST(duplicate_keys)
{
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	struct err e;

	cbor_begin(&c, hex("01000200010061610061610081010081010000"), &e);
	for (int i = 0; i < 2; i++) {
		cbor_take_label(&c, &seen);
		ck_assert_uint_eq(cbor_take_uint(&c), 0);
	}
	ck_assert(!c.failed);
	cbor_take_label(&c, &seen);
	ck_assert(c.failed);
	ck_assert_ptr_nonnull(strstr(e.text, "duplicate map key"));
	/* keys of any kind, arrays too */
	seen.n = 0;
	cbor_begin(&c, hex("616181018101"), &e);
	ck_assert_uint_eq(cbor_take_key(&c, &seen).n, 2);
	ck_assert_uint_eq(cbor_take_key(&c, &seen).n, 2);
	ck_assert_uint_eq(cbor_take_key(&c, &seen).n, 0);
	ck_assert_int_eq(cbor_end(&c), -1);
}
END_TEST

START_TEST(too_many_keys)
{
	struct cbor_keys seen = { .n = 0 };
	struct buf b = BUF_INIT(4096);
	struct cbor_reader c;
	struct err e;

	for (uint64_t i = 0; i <= CBOR_KEYS_MAX; i++)
		cbor_put_uint(&b, i);
	cbor_begin(&c, buf_slice(&b), &e);
	for (uint64_t i = 0; i < CBOR_KEYS_MAX; i++)
		ck_assert_int_eq(cbor_take_label(&c, &seen), (int64_t)i);
	cbor_take_label(&c, &seen);
	ck_assert_int_eq(e.code, ERR_TOO_LARGE);
	buf_free(&b);
}
END_TEST

START_TEST(writing)
{
	struct buf b = BUF_INIT(256);

	cbor_put_array(&b, 12);
	cbor_put_uint(&b, 23);
	cbor_put_uint(&b, 24);
	cbor_put_uint(&b, 256);
	cbor_put_uint(&b, 65536);
	cbor_put_uint(&b, UINT64_MAX);
	cbor_put_int(&b, INT64_MIN);
	cbor_put_int(&b, 5);
	cbor_put_bytes(&b, slice_str("ab"));
	cbor_put_text(&b, slice_str(""));
	cbor_put_bool(&b, false);
	cbor_put_tag(&b, 107);
	cbor_put_null(&b);
	cbor_put_map(&b, 0);
	ck_assert(!b.failed);
	ck_assert(
		slice_eq(buf_slice(&b), hex("8c1718181901001a000100001bffffffffffffffff3b7fffffffff"
					    "ffffff0542616260f4d86bf6a0")));
	ck_assert_int_eq(cbor_check(buf_slice(&b), NULL), 0);
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec_cbor");
	TCase *t = tcase_create("cbor");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, profile, 0, sizeof(items) / sizeof(items[0]));
	tcase_add_test(t, depth);
	tcase_add_test(t, typed_reads);
	tcase_add_test(t, int_range);
	tcase_add_test(t, first_error_sticks);
	tcase_add_test(t, duplicate_keys);
	tcase_add_test(t, too_many_keys);
	tcase_add_test(t, writing);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
