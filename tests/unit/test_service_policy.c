/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service_rig.h"

#define SETTINGS "/api/v1/policies/settings"
#define CHECK "/api/v1/policies/check"
#define TRY "/api/v1/policies/test"

static struct rig r;

static void setup(void)
{
	rig_make(&r);
}

static void teardown(void)
{
	rig_remove(&r);
}

static unsigned set(const char *json, struct etag match)
{
	return rig_ask(&r, &(struct ask){ .session = r.root,
					  .method = METHOD_PUT,
					  .path = SETTINGS,
					  .json = json,
					  .if_match = match });
}

/* The tag is of what holds: the same again has the same, and who saw another is refused. */
START_TEST(settings_have_versions)
{
	struct etag none = { .n = 0 }, first, second;

	ck_assert_uint_eq(rig_get(&r, r.root, SETTINGS), 200);
	first = r.rs.etag;
	ck_assert_uint_eq(set("{\"contact_interval\":77}", first), 200);
	ck_assert_int_eq(rig_int(&r, "contact_interval"), 77);
	second = r.rs.etag;
	ck_assert(second.n != first.n || memcmp(second.b, first.b, first.n) != 0);
	ck_assert_uint_eq(set("{\"contact_interval\":78}", first), 412);
	ck_assert_uint_eq(rig_get(&r, r.root, SETTINGS), 200);
	ck_assert_int_eq(rig_int(&r, "contact_interval"), 77);
	ck_assert(r.rs.etag.n == second.n && memcmp(second.b, r.rs.etag.b, second.n) == 0);
	/* what is left out goes back to what is compiled in */
	ck_assert_uint_eq(set("{}", none), 200);
	ck_assert(r.rs.etag.n == first.n && memcmp(first.b, r.rs.etag.b, first.n) == 0);
	ck_assert_uint_eq(set("{\"contact_interval\":\"soon\"}", none), 422);
	ck_assert_uint_eq(set("{\"no_such_member\":1}", none), 422);
}
END_TEST

/* Asked what it would mean, nothing is kept. */
START_TEST(a_check_keeps_nothing)
{
	ck_assert_uint_eq(rig_post(&r, r.root, CHECK, "{\"contact_interval\":77}"), 200);
	ck_assert_int_eq(rig_int(&r, "contact_interval"), 77);
	ck_assert_uint_eq(rig_post(&r, r.root, CHECK, "{\"contact_interval\":-1}"), 422);
	ck_assert_uint_eq(rig_get(&r, r.root, SETTINGS), 200);
	ck_assert_int_ne(rig_int(&r, "contact_interval"), 77);
}
END_TEST

static unsigned try(const char *policy)
{
	char hex[DIGEST_TEXT], json[512];

	digest_text(hex, &r.manifest);
	ok(text_format(json, sizeof(json), "{\"manifest\":\"%s\"%s%s}", hex,
		       policy ? ",\"policy\":" : "", policy ? policy : ""));
	return rig_post(&r, r.root, TRY, json);
}

/* A manifest that is here, under the policy in force and under one that is proposed. */
START_TEST(a_manifest_is_tried)
{
	rig_release(&r, "r", 5);
	ck_assert_uint_eq(try(NULL), 200);
	ck_assert_str_eq(rig_text(&r, "policy"), "in force");
	ck_assert_str_eq(rig_text(&r, "urgency"), "normal");
	ck_assert(!rig_at(&r, "auto_approve")->v.b);
	ck_assert_uint_eq(try("{\"rules\":[{\"name\":\"all\",\"if\":{\"step\":\"first\"},"
			      "\"urgency\":\"critical\"}]}"),
			  200);
	ck_assert_str_eq(rig_text(&r, "policy"), "proposed");
	ck_assert_str_eq(rig_text(&r, "urgency"), "critical");
	ck_assert_str_eq(rig_text(&r, "urgency_by"), "rule all");
	/* it was a trial */
	ck_assert_uint_eq(try(NULL), 200);
	ck_assert_str_eq(rig_text(&r, "urgency"), "normal");
	ck_assert_uint_eq(try("{\"rules\":[{}]}"), 422);
	ck_assert_uint_eq(try("7"), 422);
}
END_TEST

static unsigned try_bytes(struct slice bytes, enum media format)
{
	return rig_ask(&r, &(struct ask){ .session = r.root,
					  .method = METHOD_POST,
					  .path = TRY,
					  .body = bytes,
					  .format = format });
}

/* Bytes are judged as if they were handed in: what does not verify has no urgency. */
START_TEST(bytes_are_tried)
{
	struct buf b = BUF_INIT(1 << 16);
	char hex[DIGEST_TEXT];
	struct slice held;

	rig_release(&r, "r", 5);
	digest_text(hex, &r.manifest);
	ok(store_manifest_bytes(r.bed.st, &r.manifest, &r.arena, &held, e));
	buf_add_slice(&b, held);
	ck_assert_uint_eq(try_bytes(buf_slice(&b), MEDIA_SUIT_ENVELOPE), 200);
	ck_assert_str_eq(rig_text(&r, "manifest"), hex);
	ck_assert_str_eq(rig_text(&r, "urgency"), "normal");
	b.p[b.n - 1] ^= 1;
	ck_assert_uint_ge(try_bytes(buf_slice(&b), MEDIA_SUIT_ENVELOPE), 400);
	ck_assert_uint_eq(try_bytes((struct slice){ 0 }, MEDIA_SUIT_ENVELOPE), 400);
	buf_free(&b);
	r.manifest.b[0] ^= 1;
	ck_assert_uint_eq(try(NULL), 404);
}
END_TEST

static unsigned by(const char *token, const char *path, const char *json)
{
	return rig_ask(&r, &(struct ask){ .session = rig_tls(&r),
					  .method = METHOD_POST,
					  .path = path,
					  .token = token,
					  .json = json });
}

/* More failures than were agreed to: an approver's to allow, and no more than that. */
START_TEST(an_approver_raises_the_budget)
{
	char *eyes = rig_token(&r, "eyes", "approver", NULL);
	char *hands = rig_token(&r, "hands", "operator", NULL);
	const char *resume = "/api/v1/rollouts/one/resume", *retry = "/api/v1/rollouts/one/retry";

	rig_device(&r, "a", NULL);
	rig_release(&r, "lamp-1", 5);
	rig_rollout(&r, "one", "lamp-1", "all");
	ck_assert_uint_eq(by(hands, "/api/v1/rollouts/one/pause", "{}"), 200);
	ck_assert_uint_eq(by(eyes, resume, "{\"budget\":9}"), 403); /* nobody asks for it */
	ck_assert_uint_eq(set("{\"approve_above\":0}", (struct etag){ .n = 0 }), 200);
	ck_assert_uint_eq(by(hands, resume, "{\"budget\":9}"), 403);
	ck_assert_uint_eq(by(eyes, resume, "{}"), 403);
	ck_assert_uint_eq(by(eyes, retry, "{}"), 403);
	ck_assert_uint_eq(by(eyes, retry, "{\"budget\":9}"), 409); /* nothing has failed */
	ck_assert_uint_eq(by(eyes, resume, "{\"budget\":9}"), 200);
	ck_assert_int_eq(rig_int(&r, "budget"), 9);
	ck_assert_str_eq(rig_text(&r, "state"), "running");
	free(eyes);
	free(hands);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service policy");
	TCase *t = tcase_create("policy");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, settings_have_versions);
	tcase_add_test(t, a_check_keeps_nothing);
	tcase_add_test(t, a_manifest_is_tried);
	tcase_add_test(t, bytes_are_tried);
	tcase_add_test(t, an_approver_raises_the_budget);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
