/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "tracker/policy.h"

/* The policy document: what is right comes back as it went in, what is wrong is named. */
static struct policy p;
static struct arena arena;
static struct err err;

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define RULE(more) "{\"rules\":[{\"name\":\"a\"," more "}]}"
#define IF(more) RULE("\"urgency\":\"low\",\"if\":{" more "}")

static void setup(void)
{
	policy_defaults(&p);
	arena = ARENA_INIT(1 << 20);
	err = (struct err){ .code = ERR_NONE };
}

static void teardown(void)
{
	arena_free(&arena);
}

static const struct doc *parse(const char *json)
{
	const struct doc *d = NULL;
	struct err e = { 0 };

	ck_assert_msg(docfmt_decode(MEDIA_JSON, slice_str(json), &arena, &d, &e) == 0, "%s: %s",
		      json, e.text);
	return d;
}

static void apply(const char *json)
{
	ck_assert_msg(policy_apply(&p, parse(json), &err) == 0, "%s: %s", json, err.text);
}

static const struct {
	const char *json, *names;
} wrong[] = {
	/* rules */
	{ "{\"rules\":{}}", "rules" },
	{ "{\"rules\":[1]}", "rules[0]" },
	{ "{\"rules\":[{\"name\":\"a\",\"if\":{\"cve\":true},\"urgency\":\"low\"},{}]}",
	  "rules[1]: name: is missing" },
	{ RULE("\"urgency\":\"low\""), "rules[0]: if: is missing" },
	{ RULE("\"if\":{\"cve\":true}"), "rules[0]: urgency: is missing" },
	{ RULE("\"if\":{\"cve\":true},\"urgency\":\"soon\""), "rules[0]: urgency: critical" },
	{ RULE("\"if\":[],\"urgency\":\"low\""), "rules[0]: if: must be a map" },
	{ RULE("\"if\":{\"cve\":true},\"urgency\":\"low\",\"then\":1"), "\"then\"" },
	{ "{\"rules\":[{\"name\":\"a b\",\"if\":{\"cve\":true},\"urgency\":\"low\"}]}",
	  "rules[0]: name" },
	{ "{\"rules\":[{\"name\":\"a\",\"if\":{\"cve\":true},\"urgency\":\"low\"},"
	  "{\"name\":\"a\",\"if\":{\"cve\":true},\"urgency\":\"low\"}]}",
	  "rules[1]: name: rules[0] is called so too" },
	{ IF(""), "rules[0]: if: it names nothing" },
	{ IF("\"cve\":false"), "it names nothing" },
	{ IF("\"words\":[]"), "it names nothing" },
	{ IF("\"step\":\"huge\""), "rules[0]: if: step: first, major" },
	{ IF("\"step\":\"none\""), "step" },
	{ IF("\"vendor\":7"), "rules[0]: if: vendor" },
	{ IF("\"words\":\"fix\""), "words: must be an array" },
	{ IF("\"words\":[\"fix\",\"\"]"), "rules[0]: if: words[1]" },
	{ IF("\"words\":[7]"), "words[0]" },
	{ IF("\"words\":[\"a word that has more than thirty-one bytes\"]"), "words[0]" },
	{ IF("\"words\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]"),
	  "words: more than 8" },
	{ IF("\"colour\":\"red\""), "\"colour\"" },
	/* classes */
	{ "{\"classes\":1}", "classes" },
	{ "{\"classes\":[{}]}", "classes[0]: class: is missing" },
	{ "{\"classes\":[{\"class\":\"\"}]}", "classes[0]: class: a SUIT class id" },
	{ "{\"classes\":[{\"class\":\"a\"},{\"class\":\"b\",\"mode\":\"x\"}]}",
	  "classes[1]: mode" },
	{ "{\"classes\":[{\"class\":\"b\",\"mode\":\"unset\"}]}", "classes[0]: mode" },
	{ "{\"classes\":[{\"class\":\"b\",\"contact_interval\":0}]}", "contact_interval" },
	{ "{\"classes\":[{\"class\":\"a\"},{\"class\":\"a\"}]}", "classes[1]: class: classes[0]" },
	{ "{\"classes\":[{\"class\":\"a\",\"modus\":\"client\"}]}", "\"modus\"" },
	/* update-priority */
	{ "{\"priority\":[]}", "priority" },
	{ "{\"priority\":{\"low\":500}}", "\"low\"" },
	{ "{\"priority\":{\"high\":\"much\"}}", "priority: high" },
	{ "{\"priority\":{\"high\":-1}}", "priority: high: must be over that of critical" },
	{ "{\"priority\":{\"normal\":10}}", "priority: normal: must be over that of high" },
	/* keys */
	{ "{\"auto_approve\":\"" KEY "\"}", "auto_approve" },
	{ "{\"auto_approve\":[\"" KEY "\",\"00\"]}", "auto_approve[1]" },
	{ "{\"auto_approve\":[7]}", "auto_approve[0]" },
	{ "{\"auto_approve\":[\"" KEY "\"],\"release_approver\":true}", "auto_approve" },
	{ "{\"auto_approve\":[\"" KEY "\",\"" KEY "\",\"" KEY "\",\"" KEY "\",\"" KEY "\",\"" KEY
	  "\",\"" KEY "\",\"" KEY "\",\"" KEY "\"]}",
	  "auto_approve: more than 8" },
	/* values */
	{ "{\"first_contact\":\"welcome\"}", "first_contact: accept, hold or refuse" },
	{ "{\"first_contact\":true}", "first_contact" },
	{ "{\"first_contact_plain\":\"yes\"}", "first_contact_plain" },
	{ "{\"approve_above\":-1}", "approve_above" },
	{ "{\"approve_above\":\"many\"}", "approve_above" },
	{ "{\"release_approver\":1}", "release_approver" },
	{ "{\"default_urgency\":\"soon\"}", "default_urgency" },
	{ "{\"min_rate\":0}", "min_rate" },
	{ "{\"urgency\":{\"high\":{\"preempt\":true}}}", "urgency.high: preempt" },
	{ "{\"urgency\":{\"high\":{\"defer_count\":-2}}}", "urgency.high: defer_count" },
	{ "{\"urgency\":{\"critical\":{\"outage\":-1}}}", "urgency.critical: outage" },
	{ "{\"what\":1}", "\"what\"" },
	{ "[]", "a map" },
};

START_TEST(test_what_is_wrong)
{
	struct policy before = p;

	ck_assert_int_eq(policy_apply(&p, parse(wrong[_i].json), &err), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
	ck_assert_msg(strstr(err.text, wrong[_i].names) != NULL, "%s: '%s' should name %s",
		      wrong[_i].json, err.text, wrong[_i].names);
	ck_assert_mem_eq(&before, &p, sizeof(p));
}
END_TEST

/* Lists of n rules or classes. */
static const char *many(const char *list, const char *head, const char *tail, int n)
{
	struct buf b = BUF_INIT(1 << 16);

	buf_printf(&b, "{\"%s\":[", list);
	for (int i = 0; i < n; i++)
		buf_printf(&b, "%s%s%d%s", i ? "," : "", head, i, tail);
	buf_add_str(&b, "]}");
	const char *text = arena_copy(&arena, b.p, b.n);
	buf_free(&b);
	ck_assert_ptr_nonnull(text);
	return text;
}

START_TEST(test_bounds)
{
	static const char rule[] = "{\"if\":{\"cve\":true},\"urgency\":\"low\",\"name\":\"r";
	static const char class_text[] = "{\"class\":\"c";

	apply(many("rules", rule, "\"}", POLICY_RULES_MAX));
	ck_assert_int_eq(p.n_rules, POLICY_RULES_MAX);
	apply(many("classes", class_text, "\"}", POLICY_CLASSES_MAX));
	ck_assert_int_eq(p.n_classes, POLICY_CLASSES_MAX);
	ck_assert_int_eq(policy_apply(&p, parse(many("rules", rule, "\"}", POLICY_RULES_MAX + 1)),
				      &err),
			 -1);
	ck_assert_str_eq(err.text, "rules: more than 32");
	ck_assert_int_eq(
		policy_apply(&p, parse(many("classes", class_text, "\"}", POLICY_CLASSES_MAX + 1)),
			     &err),
		-1);
	ck_assert_str_eq(err.text, "classes: more than 32");
}
END_TEST

START_TEST(test_everything_comes_back)
{
	struct doc *d = doc_map(&arena, NULL, NULL), *again = doc_map(&arena, NULL, NULL);
	struct policy q;
	struct buf a = BUF_INIT(1 << 16), b = BUF_INIT(1 << 16);

	apply("{\"first_contact\":\"hold\",\"approve_above\":100,\"default_urgency\":\"low\","
	      "\"priority\":{\"critical\":0,\"high\":5,\"normal\":10},"
	      "\"rules\":[{\"name\":\"all\",\"urgency\":\"critical\",\"if\":{"
	      "\"vendor\":\"example.com\",\"class\":\"lamp\",\"component\":\"main\","
	      "\"step\":\"minor\",\"words\":[\"fix\",\"hole\"],\"cve\":true}},"
	      "{\"name\":\"one\",\"urgency\":\"low\",\"if\":{\"component\":\"radio\"}}],"
	      "\"classes\":[{\"class\":\"lamp\",\"mode\":\"server\",\"contact_interval\":60},"
	      "{\"class\":\"meter\"}],\"auto_approve\":[\"" KEY "\"],"
	      "\"urgency\":{\"critical\":{\"preempt\":false,\"outage\":7,"
	      "\"window_download\":true}}}");
	ck_assert_int_eq(p.first_contact, FIRST_HOLD);
	ck_assert_int_eq(p.n_rules, 2);
	ck_assert_int_eq(p.rules[0].n_words, 2);
	ck_assert(!p.strategy[URGENCY_CRITICAL].preempt);
	ck_assert_int_eq(policy_write(&p, &arena, d), 0);
	policy_defaults(&q);
	ck_assert_msg(policy_apply(&q, d, &err) == 0, "%s", err.text);
	ck_assert_int_eq(policy_write(&q, &arena, again), 0);
	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, d, &a, &err), 0);
	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, again, &b, &err), 0);
	ck_assert_str_eq(buf_cstr(&a), buf_cstr(&b));
	ck_assert(strstr(buf_cstr(&a), "\"approve_above\":100"));
	buf_free(&a);
	buf_free(&b);
}
END_TEST

START_TEST(test_one_condition_is_enough)
{
	apply("{\"release_approver\":true,\"rules\":["
	      "{\"name\":\"a\",\"urgency\":\"low\",\"if\":{\"vendor\":\"example.com\"}},"
	      "{\"name\":\"b\",\"urgency\":\"low\",\"if\":{\"class\":\"lamp\"}},"
	      "{\"name\":\"c\",\"urgency\":\"low\",\"if\":{\"component\":\"main\"}},"
	      "{\"name\":\"d\",\"urgency\":\"low\",\"if\":{\"step\":\"major\"}},"
	      "{\"name\":\"e\",\"urgency\":\"low\",\"if\":{\"words\":[\"fix\"]}},"
	      "{\"name\":\"f\",\"urgency\":\"low\",\"if\":{\"cve\":true}}]}");
	ck_assert_int_eq(p.n_rules, 6);
	ck_assert(p.release_approver);
}
END_TEST

/* Lists replace what was there; what is left out stays. */
START_TEST(test_over_what_was_there)
{
	apply("{\"rules\":[{\"name\":\"a\",\"if\":{\"cve\":true},\"urgency\":\"low\"}],"
	      "\"auto_approve\":[\"" KEY "\"],\"classes\":[{\"class\":\"lamp\"}]}");
	apply("{\"contact_interval\":9}");
	ck_assert_int_eq(p.n_rules, 1);
	ck_assert_int_eq(p.n_auto_approve, 1);
	ck_assert_int_eq(p.n_classes, 1);
	apply("{\"rules\":[],\"auto_approve\":[],\"classes\":null,\"approve_above\":null}");
	ck_assert_int_eq(p.n_rules, 0);
	ck_assert_int_eq(p.n_auto_approve, 0);
	ck_assert_int_eq(p.n_classes, 1);
}
END_TEST

/* A key id as bytes, as CBOR has it. */
START_TEST(test_key_ids)
{
	struct doc *d = doc_map(&arena, NULL, NULL), *list = doc_array(&arena, d, "auto_approve");
	struct digest id, other = { { 1 } };

	ck_assert_int_eq(digest_parse(&id, slice_str(KEY)), 0);
	doc_add_digest(&arena, list, NULL, &id);
	ck_assert_int_eq(policy_apply(&p, d, &err), 0);
	ck_assert(policy_approves_key(&p, &id));
	ck_assert(!policy_approves_key(&p, &other));
	doc_add_bytes(&arena, list, NULL, slice_str("short"));
	ck_assert_int_eq(policy_apply(&p, d, &err), -1);
	ck_assert_str_eq(err.text, "auto_approve[1]: a key id of 32 bytes");
}
END_TEST

START_TEST(test_first_contact)
{
	static const struct {
		const char *json;
		enum first_contact want;
	} table[] = {
		{ "{}", FIRST_REFUSE },
		{ "{\"first_contact_plain\":true}", FIRST_ACCEPT },
		{ "{\"first_contact_plain\":false}", FIRST_REFUSE },
		{ "{\"first_contact\":\"accept\"}", FIRST_ACCEPT },
		{ "{\"first_contact\":\"hold\"}", FIRST_HOLD },
		{ "{\"first_contact\":\"refuse\"}", FIRST_REFUSE },
		{ "{\"first_contact_plain\":true,\"first_contact\":\"hold\"}", FIRST_HOLD },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		policy_defaults(&p);
		apply(table[i].json);
		ck_assert_int_eq(p.first_contact, table[i].want);
	}
}
END_TEST

START_TEST(test_defaults_of_classes)
{
	struct device d = { .model = "lamp" };

	apply("{\"contact_interval\":100,\"classes\":["
	      "{\"class\":\"1492AF14-2569-5e48-bf42-9b2d51f2ab45\",\"mode\":\"server\"},"
	      "{\"class\":\"lamp\",\"contact_interval\":60}]}");
	ck_assert_int_eq(policy_contact_s(&p, &d), 60);
	d.contact_interval_s = 5;
	ck_assert_int_eq(policy_contact_s(&p, &d), 5);
	d.contact_interval_s = 0;
	/* its class id goes by the list's order, too */
	ck_assert_int_eq(uuid_parse(&d.class_id, slice_str("1492af14-2569-5e48-bf42-9b2d51f2ab45")),
			 0);
	ck_assert_ptr_eq(policy_class_of(&p, &d.class_id, d.model), &p.classes[0]);
	ck_assert_int_eq(policy_contact_s(&p, &d), 100);
	d = (struct device){ .model = "" };
	ck_assert_ptr_null(policy_class_of(&p, &d.class_id, d.model));
	ck_assert_int_eq(policy_contact_s(&p, &d), 100);
	ck_assert_ptr_null(policy_class_of(&p, &d.class_id, "meter"));
}
END_TEST

START_TEST(test_approvers)
{
	static const struct {
		enum role role;
		const char *who, *by, *wrong;
	} table[] = {
		{ ROLE_APPROVER, "token:eve", "token:ci", NULL },
		{ ROLE_ADMIN, "uid:0", "token:ci", NULL },
		{ ROLE_OPERATOR, "token:op", "token:ci", "an approver has to agree" },
		{ ROLE_VIEWER, "token:v", "token:ci", "an approver has to agree" },
		{ ROLE_APPROVER, "token:ci", "token:ci", "somebody other than token:ci" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int rc = policy_check_approver(table[i].role, table[i].who, table[i].by, &err);

		ck_assert_int_eq(rc, table[i].wrong ? -1 : 0);
		if (table[i].wrong)
			ck_assert(strstr(err.text, table[i].wrong) && err.code == ERR_FORBIDDEN);
	}
	ck_assert(!policy_wants_approver(&p, INT64_MAX));
	p.approve_above = 10;
	ck_assert(!policy_wants_approver(&p, 10));
	ck_assert(policy_wants_approver(&p, 11));
	p.approve_above = 0;
	ck_assert(policy_wants_approver(&p, 1));
}
END_TEST

START_TEST(test_no_memory)
{
	struct arena small = ARENA_INIT(1);
	struct doc *d = doc_map(&arena, NULL, NULL);

	ck_assert_int_eq(policy_write(&p, &small, d), -1);
	arena_free(&small);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/policy_doc");
	TCase *t = tcase_create("document");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_what_is_wrong, 0, (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(t, test_bounds);
	tcase_add_test(t, test_everything_comes_back);
	tcase_add_test(t, test_one_condition_is_enough);
	tcase_add_test(t, test_over_what_was_there);
	tcase_add_test(t, test_key_ids);
	tcase_add_test(t, test_first_contact);
	tcase_add_test(t, test_defaults_of_classes);
	tcase_add_test(t, test_approvers);
	tcase_add_test(t, test_no_memory);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
