/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/doc.h"

#include <check.h>
#include <string.h>

static struct arena arena;
static struct err err;

static void setup(void)
{
	arena = ARENA_INIT(1 << 20);
	err = (struct err){ .code = ERR_NONE };
}

static void teardown(void)
{
	arena_free(&arena);
}

static struct doc *sample(void)
{
	struct digest d = { .b = { 1, 2, 3 } };
	struct doc *m = doc_map(&arena, NULL, NULL);

	doc_add_null(&arena, m, "null");
	doc_add_bool(&arena, m, "yes", true);
	doc_add_int(&arena, m, "int", -5);
	doc_add_u64(&arena, m, "u64", UINT64_MAX);
	doc_add_text(&arena, m, "text", "hello");
	doc_add_text(&arena, m, "none", NULL);
	doc_add_bytes(&arena, m, "bytes", slice_of("\x00\xff", 2));
	doc_add_digest(&arena, m, "digest", &d);
	doc_add_time(&arena, m, "time", 1);
	doc_add_time(&arena, m, "never", 0);
	struct doc *list = doc_array(&arena, m, "list");
	doc_add_int(&arena, list, NULL, 1);
	doc_add_int(&arena, list, NULL, 2);
	doc_map(&arena, m, "map");
	return m;
}

START_TEST(build_and_get)
{
	struct doc *m = sample();

	ck_assert(!doc_failed(&arena));
	ck_assert_uint_eq(doc_count(m), 12);
	ck_assert_int_eq(doc_get(m, "null")->type, DOC_NULL);
	ck_assert_int_eq(doc_get(m, "none")->type, DOC_NULL);
	ck_assert_int_eq(doc_get(m, "never")->type, DOC_NULL);
	ck_assert(slice_eq_str(doc_get(m, "time")->v.s, "1970-01-01T00:00:00.001Z"));
	ck_assert_uint_eq(doc_count(doc_get(m, "list")), 2);
	ck_assert_int_eq(doc_get(m, "list")->v.c.last->v.i, 2);
	ck_assert(slice_eq_str(m->v.c.first->key, "null"));
	ck_assert_ptr_null(doc_get(m, "nul"));
	ck_assert_ptr_null(doc_get(m, "nulll"));
	ck_assert_ptr_null(doc_get(NULL, "x"));
	ck_assert_ptr_null(doc_get(doc_get(m, "list"), "x"));
	ck_assert_uint_eq(doc_count(NULL), 0);
	ck_assert_uint_eq(doc_count(doc_get(m, "int")), 0);
}
END_TEST

START_TEST(building_copies)
{
	char key[] = "k", text[] = "text";
	struct doc *m = doc_map(&arena, NULL, NULL);

	doc_add_text(&arena, m, key, text);
	key[0] = 'x';
	text[0] = 'x';
	ck_assert(slice_eq_str(doc_get(m, "k")->v.s, "text"));
}
END_TEST

START_TEST(no_memory_sticks)
{
	struct arena small = ARENA_INIT(256);
	struct doc *m = doc_map(&small, NULL, NULL);
	char big[300];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	doc_add_text(&small, m, "big", big);
	ck_assert_ptr_null(doc_get(m, "big"));
	ck_assert(doc_failed(&small));
	struct doc *none = NULL;
	doc_add_int(&small, none, "x", 1);
	doc_add_text(&small, none, "x", "y");
	arena_free(&small);
}
END_TEST

START_TEST(read_everything)
{
	struct doc_reader r;
	struct digest digest;
	char text[6] = "";
	int64_t i = 0;
	uint64_t u = 0;
	uint8_t bytes[2];
	size_t n = 0;
	bool yes = false;

	doc_read_init(&r, sample(), &err);
	ck_assert(doc_need_text(&r, "text", text, sizeof(text)));
	ck_assert_str_eq(text, "hello");
	ck_assert(doc_need_int(&r, "int", -5, 5, &i));
	ck_assert_int_eq(i, -5);
	ck_assert(doc_opt_u64(&r, "u64", &u));
	ck_assert(u == UINT64_MAX);
	ck_assert(doc_opt_bool(&r, "yes", &yes));
	ck_assert(yes);
	ck_assert(doc_opt_bytes(&r, "bytes", bytes, sizeof(bytes), &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(bytes[1], 0xff);
	ck_assert(doc_need_digest(&r, "digest", &digest));
	ck_assert_uint_eq(digest.b[2], 3);
	ck_assert_ptr_nonnull(doc_opt_map(&r, "map"));
	ck_assert_ptr_nonnull(doc_opt_array(&r, "list"));
	/* absent and null leave the value alone */
	ck_assert(!doc_opt_int(&r, "absent", 0, 9, &i));
	ck_assert(!doc_opt_int(&r, "null", 0, 9, &i));
	ck_assert_int_eq(i, -5);
	ck_assert_int_eq(doc_read_end(&r), 0);
}
END_TEST

START_TEST(read_other_spellings)
{
	struct doc *m = doc_map(&arena, NULL, NULL);
	struct doc_reader r;
	struct uuid a = { .set = false }, b = { .set = false };
	struct digest d;
	uint64_t u;
	uint8_t bytes[4];
	size_t n;

	doc_add_text(&arena, m, "u64", "18446744073709551615");
	doc_add_text(&arena, m, "hex", "00fF");
	doc_add_text(&arena, m, "uuid", "00112233-4455-6677-8899-aabbccddeeff");
	doc_add_bytes(&arena, m, "uuid-bytes",
		      slice_of("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
			       16));
	doc_add_text(&arena, m, "digest",
		     "00000000000000000000000000000000000000000000000000000000000000ff");
	doc_read_init(&r, m, &err);
	ck_assert(doc_opt_u64(&r, "u64", &u) && u == UINT64_MAX);
	ck_assert(doc_opt_bytes(&r, "hex", bytes, sizeof(bytes), &n) && n == 2 && bytes[1] == 0xff);
	ck_assert(doc_opt_uuid(&r, "uuid", &a) && doc_opt_uuid(&r, "uuid-bytes", &b));
	ck_assert_mem_eq(a.b, b.b, sizeof(a.b));
	ck_assert(doc_need_digest(&r, "digest", &d) && d.b[31] == 0xff);
	ck_assert_int_eq(doc_read_end(&r), 0);
}
END_TEST

/* Each reading fails, names its member, and makes every later reading fail too. */
START_TEST(read_errors)
{
	char text[4];
	int64_t i = 42;
	uint64_t u;
	bool yes;
	uint8_t bytes[1];
	size_t n;
	struct digest d;
	struct uuid uuid;
	struct doc *m = sample();

	for (int k = 0; k < 14; k++) {
		static const char *const named[] = { "text", "int",   "text",	"int",	"text",
						     "text", "bytes", "bytes",	"text", "text",
						     "list", "map",   "absent", "u64" };
		struct doc_reader r;
		bool ok = false;
		doc_read_init(&r, m, &err);
		switch (k) {
		case 0:
			ok = doc_opt_text(&r, "text", text, sizeof(text));
			break;
		case 1:
			ok = doc_opt_text(&r, "int", text, sizeof(text));
			break;
		case 2:
			ok = doc_opt_int(&r, "text", 0, 1, &i);
			break;
		case 3:
			ok = doc_opt_int(&r, "int", 0, 1, &i);
			break;
		case 4:
			ok = doc_opt_u64(&r, "text", &u);
			break;
		case 5:
			ok = doc_opt_bool(&r, "text", &yes);
			break;
		case 6:
			ok = doc_opt_bytes(&r, "bytes", bytes, sizeof(bytes), &n);
			break;
		case 7:
			ok = doc_need_digest(&r, "bytes", &d);
			break;
		case 8:
			ok = doc_opt_uuid(&r, "text", &uuid);
			break;
		case 9:
			ok = doc_opt_map(&r, "text") != NULL;
			break;
		case 10:
			ok = doc_opt_map(&r, "list") != NULL;
			break;
		case 11:
			ok = doc_opt_array(&r, "map") != NULL;
			break;
		case 12:
			ok = doc_need_text(&r, "absent", text, sizeof(text));
			break;
		case 13:
			ok = doc_opt_int(&r, "u64", 0, INT64_MAX, &i);
			break;
		}
		ck_assert_msg(!ok, "case %d", k);
		ck_assert_int_eq(doc_read_end(&r), -1);
		ck_assert_int_eq(err.code, ERR_INVALID);
		ck_assert_msg(strncmp(err.text, named[k], strlen(named[k])) == 0, "%s", err.text);
		ck_assert(!doc_opt_bool(&r, "yes", &yes));
		ck_assert(!doc_need_int(&r, "int", -9, 9, &i));
	}
	ck_assert_int_eq(i, 42);
}
END_TEST

START_TEST(strangers_and_no_map)
{
	static const char *const some[] = { "a", "b", NULL };
	struct doc *m = doc_map(&arena, NULL, NULL);
	struct doc_reader r;

	doc_add_int(&arena, m, "b", 1);
	doc_read_init(&r, m, &err);
	doc_only(&r, some);
	ck_assert_int_eq(doc_read_end(&r), 0);
	doc_add_int(&arena, m, "c", 1);
	doc_only(&r, some);
	ck_assert_int_eq(doc_read_end(&r), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "\"c\""));

	doc_read_init(&r, NULL, &err);
	doc_only(&r, some);
	ck_assert_int_eq(doc_read_end(&r), -1);
	doc_read_init(&r, doc_array(&arena, NULL, NULL), NULL);
	ck_assert_int_eq(doc_read_end(&r), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base/doc");
	TCase *t = tcase_create("base/doc");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, build_and_get);
	tcase_add_test(t, building_copies);
	tcase_add_test(t, no_memory_sticks);
	tcase_add_test(t, read_everything);
	tcase_add_test(t, read_other_spellings);
	tcase_add_test(t, read_errors);
	tcase_add_test(t, strangers_and_no_map);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
