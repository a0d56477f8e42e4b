/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/slice.h"

#include <check.h>
#include <string.h>

START_TEST(compare)
{
	ck_assert(slice_eq(slice_of(NULL, 0), slice_str("")));
	ck_assert(slice_eq_str(slice_of("abc", 3), "abc"));
	ck_assert(!slice_eq_str(slice_of("abc", 2), "abc"));
	ck_assert(slice_starts(slice_str("abc"), "ab"));
	ck_assert(slice_starts(slice_of(NULL, 0), ""));
	ck_assert(!slice_starts(slice_str("a"), "ab"));
	ck_assert(slice_eq_ct(slice_str("secret"), slice_str("secret")));
	ck_assert(!slice_eq_ct(slice_str("secret"), slice_str("secreT")));
	ck_assert(!slice_eq_ct(slice_str("secret"), slice_str("secre")));
	ck_assert(slice_eq_ct(slice_of(NULL, 0), slice_of(NULL, 0)));
	ck_assert(slice_str(NULL).n == 0);
}
END_TEST

START_TEST(buffer_grows_to_its_bound)
{
	struct buf b = BUF_INIT(1000);

	for (int i = 0; i < 1000; i++)
		buf_add_u8(&b, (uint8_t)i);
	ck_assert(!b.failed);
	ck_assert_uint_eq(b.n, 1000);
	ck_assert_uint_eq(b.p[999], 999 & 255);
	ck_assert_ptr_null(buf_extend(&b, 1));
	ck_assert(b.failed);
	ck_assert_str_eq(buf_cstr(&b), "");
	buf_reset(&b);
	buf_add_str(&b, "after");
	ck_assert(!b.failed);
	ck_assert_str_eq(buf_cstr(&b), "after");
	buf_free(&b);
	ck_assert_ptr_null(b.p);
}
END_TEST

START_TEST(buffer_failure_sticks)
{
	struct buf b = BUF_INIT(4);

	buf_add_str(&b, "ab");
	buf_add_str(&b, "cde");
	buf_add_str(&b, "f");
	ck_assert(b.failed);
	ck_assert_uint_eq(b.n, 2);
	ck_assert_ptr_null(buf_extend(&b, SIZE_MAX));
	buf_free(&b);
}
END_TEST

START_TEST(buffer_printf)
{
	struct buf b = BUF_INIT(300);
	char want[301];

	memset(want, ' ', 299);
	memcpy(want + 299, "7", 2);
	buf_printf(&b, "%300d", 7);
	ck_assert_str_eq(buf_cstr(&b), want);
	buf_printf(&b, "%s", "x");
	ck_assert(b.failed);
	buf_reset(&b);
	buf_printf(&b, "%s-%d", "a", 1);
	buf_printf(&b, "%s", "");
	ck_assert_str_eq(buf_cstr(&b), "a-1");
	buf_free(&b);
}
END_TEST

START_TEST(buffer_without_a_bound)
{
	struct buf b = BUF_INIT(SIZE_MAX);

	buf_add_str(&b, "x");
	ck_assert_str_eq(buf_cstr(&b), "x");
	ck_assert_ptr_null(buf_extend(&b, SIZE_MAX - 1));
	ck_assert(b.failed);
	buf_free(&b);
}
END_TEST

START_TEST(arena_gives_zeroed_aligned_memory)
{
	struct arena a = ARENA_INIT(1 << 20);

	for (size_t n = 1; n < 2000; n += 7) {
		uint8_t *p = arena_alloc(&a, n);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xff, n);
	}
	arena_reset(&a);
	uint8_t *again = arena_alloc(&a, 100);
	for (size_t i = 0; i < 100; i++)
		ck_assert_uint_eq(again[i], 0);
	arena_free(&a);
}
END_TEST

START_TEST(arena_keeps_its_bound)
{
	struct arena a = ARENA_INIT(40000);
	size_t got = 0;

	while (arena_alloc(&a, 1000))
		got++;
	ck_assert_uint_ge(got, 36);
	ck_assert_uint_le(got, 40);
	ck_assert(a.failed);
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(arena_copy(&a, "", SIZE_MAX));
	arena_reset(&a);
	ck_assert(!a.failed);
	ck_assert_ptr_nonnull(arena_alloc(&a, 20000));
	arena_free(&a);
}
END_TEST

START_TEST(arena_texts)
{
	struct arena a = ARENA_INIT(1 << 20);

	ck_assert_str_eq(arena_copy(&a, "abcd", 3), "abc");
	ck_assert_str_eq(arena_copy(&a, NULL, 0), "");
	ck_assert_str_eq(arena_printf(&a, "%s/%d", "x", 12), "x/12");
	char *big = arena_printf(&a, "%50000d", 1);
	ck_assert_ptr_nonnull(big);
	ck_assert_uint_eq(strlen(big), 50000);
	arena_free(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base/slice");
	TCase *t = tcase_create("base/slice");

	tcase_add_test(t, compare);
	tcase_add_test(t, buffer_grows_to_its_bound);
	tcase_add_test(t, buffer_failure_sticks);
	tcase_add_test(t, buffer_printf);
	tcase_add_test(t, buffer_without_a_bound);
	tcase_add_test(t, arena_gives_zeroed_aligned_memory);
	tcase_add_test(t, arena_keeps_its_bound);
	tcase_add_test(t, arena_texts);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
