/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/coap_hello.h"

/* ---- first flights ---- */

/* A whole one without a session identifier, with a cookie of two bytes. */
static const uint8_t whole[] = {
	22,   0xfe, 0xfd, 0,	0, 1, 2, 3, 4, 5, 6, 0,	 56, /* record */
	1,    0,    0,	  44,	0, 1, 0, 0, 0, 0, 0, 44, /* message */
	0xfe, 0xfd, /* version, random */
	7,    7,    7,	  7,	7, 7, 7, 7, 7, 7, 7, 7,	 7,  7, 7, 7,	7,   7, 7,
	7,    7,    7,	  7,	7, 7, 7, 7, 7, 7, 7, 7,	 7,  0, 2, 'c', 'k', /* session, cookie */
	0,    2,    0xc0, 0xa8, 1, 0, /* suites, compression */
};

START_TEST(whole_flight)
{
	struct hello h;

	ck_assert(hello_parse(slice_of(whole, sizeof(whole)), &h));
	ck_assert(slice_eq_str(h.cookie, "ck"));
	ck_assert_mem_eq(h.sequence, whole + 5, 6);
	ck_assert_uint_eq(h.random[31], 7);
}
END_TEST

START_TEST(cut_anywhere)
{
	struct hello h;

	for (size_t n = 0; n < sizeof(whole); n++) {
		uint8_t *exact = malloc(n ? n : 1);

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, whole, n);
		ck_assert(!hello_parse(slice_of(exact, n), &h));
		free(exact);
	}
}
END_TEST

/* What the library could take for a beginning and then not accept. */
START_TEST(not_taken)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{ 0, 23 }, { 1, 3 },  { 4, 1 },	  { 12, 57 }, { 13, 2 },  { 16, 43 },
		{ 18, 3 }, { 21, 1 }, { 24, 43 }, { 25, 3 },  { 59, 33 }, { 60, 200 },
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint8_t b[sizeof(whole)];
		struct hello h;

		memcpy(b, whole, sizeof(b));
		b[changes[i].at] = changes[i].value;
		ck_assert_msg(!hello_parse(slice_of(b, sizeof(b)), &h), "byte %zu", changes[i].at);
	}
}
END_TEST

START_TEST(request_for_a_cookie)
{
	uint8_t out[HELLO_VERIFY_SIZE];
	struct hello h;

	ck_assert(hello_parse(slice_of(whole, sizeof(whole)), &h));
	hello_verify_request(&h, (const uint8_t *)"8 bytes.", 8, out);
	ck_assert_mem_eq(out, "\x16\xfe\xff\0\0\1\2\3\4\5\6\0\x17", 13);
	ck_assert_mem_eq(out + 13, "\3\0\0\x0b\0\0\0\0\0\0\0\x0b", 12);
	ck_assert_mem_eq(out + 25,
			 "\xfe\xff\x08"
			 "8 bytes.",
			 11);
	ck_assert_uint_lt(sizeof(out), sizeof(whole));
}
END_TEST

/* ---- sessions by address ---- */

static coap_session_t *session(uintptr_t n)
{
	return (coap_session_t *)n; /* never looked into */
}

START_TEST(known_by_address)
{
	struct known_sessions k;
	uint8_t random[HELLO_RANDOM] = { 1 }, other[HELLO_RANDOM] = { 2 };
	struct udp_addr a = { .ip = { 1 }, .port = 1 };

	ck_assert_int_eq(known_init(&k), 0);
	ck_assert_ptr_null(known_oldest(&k));
	for (uint16_t port = 1; port <= 1000; port++) {
		a.port = port;
		ck_assert_int_eq(known_add(&k, &a, session(port), random), 0);
	}
	ck_assert_uint_eq(k.n_unfinished, 1000);
	a.port = 500;
	ck_assert_ptr_eq(known_session(known_find(&k, &a)), session(500));
	ck_assert(known_same_hello(known_find(&k, &a), random));
	ck_assert(!known_same_hello(known_find(&k, &a), other));
	a.socket = 1;
	ck_assert_ptr_null(known_find(&k, &a));
	ck_assert_ptr_eq(known_session(known_oldest(&k)), session(1));
	known_finished(&k, known_oldest(&k));
	ck_assert_ptr_eq(known_session(known_oldest(&k)), session(2));
	known_remove(&k, known_oldest(&k));
	ck_assert_ptr_eq(known_session(known_oldest(&k)), session(3));
	ck_assert_uint_eq(k.n_unfinished, 998);
	a = (struct udp_addr){ .ip = { 1 }, .port = 2 };
	ck_assert_ptr_null(known_find(&k, &a));
	known_clear(&k);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hello");
	TCase *t = tcase_create("hello");
	SRunner *r;
	int failed;

	tcase_add_test(t, whole_flight);
	tcase_add_test(t, cut_anywhere);
	tcase_add_test(t, not_taken);
	tcase_add_test(t, request_for_a_cookie);
	tcase_add_test(t, known_by_address);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
