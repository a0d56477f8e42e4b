/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "service_rig.h"

#define API "/api/v1"
#define KEY "00112233445566778899aabbccddeeff"

static struct rig r;

static void setup(void)
{
	rig_make(&r);
	rig_device(&r, "a", KEY);
}

static void teardown(void)
{
	rig_remove(&r);
}

static unsigned reg(uint64_t s, const char *json)
{
	return rig_ask(&r, &(struct ask){ .session = s,
					  .method = METHOD_PUT,
					  .path = "/device/a",
					  .json = json });
}

/* A device's own windows are shown, replaced as a whole, and nobody's to remove. */
START_TEST(test_reported)
{
	uint64_t s = rig_psk(&r, "a");

	ck_assert_uint_eq(reg(s, "{\"boot\":1,\"counter\":1,\"windows\":"
				 "[\"Sat,Sun 01:00-05:00,22:00-23:00 Europe/Berlin\"]}"),
			  200);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/windows"), 200);
	ck_assert_str_eq(rig_text(&r, "items.0.ref"), "a");
	ck_assert_str_eq(rig_text(&r, "items.0.by"), "device:a");
	ck_assert(rig_at(&r, "items.1.reported")->v.b);
	ck_assert_ptr_null(rig_at(&r, "items.2"));
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_DELETE,
						     .path = API "/windows/1" }),
			  409);
	/* not named: left; the same again: the same rows */
	ck_assert_uint_eq(reg(s, "{\"boot\":1,\"counter\":2}"), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/windows/2"), 200);
	ck_assert_uint_eq(reg(s, "{\"boot\":1,\"counter\":3,\"windows\":[]}"), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/windows"), 200);
	ck_assert_ptr_null(rig_at(&r, "items.0"));
}
END_TEST

/* A poll in a closed window says when to come, and why shows which gate. */
START_TEST(test_poll)
{
	uint64_t s;

	rig_release(&r, "lamp-1", 5);
	s = rig_psk(&r, "a");
	ck_assert_uint_eq(reg(s, "{\"boot\":1,\"counter\":1,\"model\":\"lamp\","
				 "\"manufacturer\":\"acme.example\"}"),
			  200);
	rig_rollout(&r, "one", "lamp-1", "id == a");
	ck_assert_uint_eq(rig_post(&r, r.root, API "/windows",
				   "{\"level\":\"rollout\",\"ref\":\"one\",\"blackout\":true,"
				   "\"window\":\"daily 00:00-24:00 UTC\"}"),
			  201);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	ck_assert_ptr_null(rig_at(&r, "update"));
	ck_assert_uint_eq(rig_get(&r, r.root, API "/windows/next?device=a&rollout=one"), 404);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .path = API "/windows/next",
						     .query = "device=a&rollout=one" }),
			  200);
	ck_assert_str_eq(rig_text(&r, "items.0.device"), "a");
	ck_assert(!rig_at(&r, "items.0.always")->v.b);
	ck_assert_ptr_null(rig_at(&r, "items.0.openings.0"));
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_DELETE,
						     .path = API "/windows/1" }),
			  204);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	ck_assert_int_gt(rig_int(&r, "update"), 0);
}
END_TEST

START_TEST(test_refused)
{
	static const struct {
		const char *query;
		unsigned status;
	} next[] = {
		{ NULL, 422 },
		{ "device=nobody", 404 },
		{ "expr=model%20%3D%3D", 422 },
		{ "device=a&count=33", 422 },
		{ "device=a&count=0", 422 },
		{ "device=a&count=1000", 422 },
		{ "device=a&count=x", 422 },
		{ "device=a&rollout=none", 404 },
		{ "expr=all&count=1", 200 },
	};
	static const char *const lists[] = { "level=device", "ref=a", "level=planet&ref=a",
					     "level=device&ref=nobody", "level=group&ref=none" };

	for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++)
		ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
							     .path = API "/windows/next",
							     .query = next[i].query }),
				  next[i].status);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		ck_assert_uint_ge(rig_ask(&r, &(struct ask){ .session = r.root,
							     .path = API "/windows",
							     .query = lists[i] }),
				  400);
	ck_assert_uint_eq(rig_post(&r, r.root, API "/windows",
				   "{\"level\":\"class\",\"ref\":\"\",\"window\":"
				   "\"daily 00:00-24:00 UTC\"}"),
			  422);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service/window");
	TCase *t = tcase_create("window");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_reported);
	tcase_add_test(t, test_poll);
	tcase_add_test(t, test_refused);
	suite_add_tcase(s, t);
	SRunner *r_ = srunner_create(s);
	srunner_run_all(r_, CK_NORMAL);
	int failed = srunner_ntests_failed(r_);
	srunner_free(r_);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
