/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/urgency.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Evidence in its order, and each rule's ways to hold and not to. */
static struct policy p;
static struct urgency_facts f;
static struct urgency_verdict v;
static struct manifest_image image;

static void setup(void)
{
	policy_defaults(&p);
	image = (struct manifest_image){ .name = "main" };
	f = (struct urgency_facts){ .stated = "",
				    .manufacturer = "example.com",
				    .model = "lamp",
				    .version = "1.2.3",
				    .before = "1.2.2",
				    .images = &image,
				    .n_images = 1 };
	ck_assert_int_eq(
		uuid_parse(&f.vendor_id, slice_str("fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe")), 0);
	ck_assert_int_eq(uuid_parse(&f.class_id, slice_str("1492af14-2569-5e48-bf42-9b2d51f2ab45")),
			 0);
}

START_TEST(test_priorities)
{
	static const struct {
		int64_t priority;
		enum urgency want;
	} table[] = {
		{ INT64_MIN, URGENCY_CRITICAL },
		{ -1, URGENCY_CRITICAL },
		{ 0, URGENCY_HIGH },
		{ 99, URGENCY_HIGH },
		{ 100, URGENCY_NORMAL },
		{ 199, URGENCY_NORMAL },
		{ 200, URGENCY_LOW },
		{ INT64_MAX, URGENCY_LOW },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_int_eq(urgency_of_priority(&p, table[i].priority), table[i].want);
	p.priority_max[URGENCY_CRITICAL] = 50;
	ck_assert_int_eq(urgency_of_priority(&p, 50), URGENCY_CRITICAL);
	ck_assert_int_eq(urgency_of_priority(&p, 51), URGENCY_HIGH);
}
END_TEST

START_TEST(test_version_steps)
{
	static const struct {
		const char *before, *version;
		enum version_step want;
	} table[] = {
		{ "", "1.0", FIRST_STEP },
		{ "1.2.3", "2.0.0", MAJOR_STEP },
		{ "1.2.3", "1.3.0", MINOR_STEP },
		{ "1.2.3", "1.2.4", PATCH_STEP },
		{ "1.2.3", "1.2.3", NO_STEP },
		{ "1.2.3", "1.2.2", NO_STEP },
		{ "2.0", "1.9", NO_STEP },
		{ "1.9", "1.10", MINOR_STEP },
		{ "v1.2", "v1.3", MINOR_STEP },
		{ "1", "1.0.1", PATCH_STEP },
		{ "1.2.3", "1.2.3.4", PATCH_STEP },
		{ "1.2.3~rc1", "1.2.3", PATCH_STEP },
		{ "1.2.3", "1.2.3~rc1", NO_STEP },
		{ "1.", "1.1", MINOR_STEP },
		{ "1.x", "1.x", NO_STEP },
		{ "beta", "1.0", MAJOR_STEP },
		{ "1.99999999999999999999", "2.0", MAJOR_STEP },
		{ "1.18446744073709551615", "1.18446744073709551616", NO_STEP },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_msg(urgency_version_step(table[i].before, table[i].version) ==
				      table[i].want,
			      "%s -> %s", table[i].before, table[i].version);
}
END_TEST

START_TEST(test_step_words)
{
	enum version_step s;

	for (int i = FIRST_STEP; i < STEP_WORDS; i++) {
		ck_assert_int_eq(urgency_step_parse(urgency_step_word((enum version_step)i), &s),
				 0);
		ck_assert_int_eq(s, i);
	}
	ck_assert_int_eq(urgency_step_parse("none", &s), -1);
	ck_assert_int_eq(urgency_step_parse("huge", &s), -1);
}
END_TEST

/* What a rule asks for; whether it holds for setup()'s lamp; a piece of what it says. */
static const struct {
	struct policy_rule rule;
	const char *text; /* of the manifest, NULL none */
	bool holds;
	const char *says;
} rules[] = {
	{ { .vendor = "example.com" }, NULL, true, "vendor example.com" },
	{ { .vendor = "FA6B4A53-d5ad-5fdf-be9d-e663e4d41ffe" }, NULL, true, "vendor" },
	{ { .vendor = "example.org" }, NULL, false, "vendor is not example.org" },
	{ { .class_name = "lamp" }, NULL, true, "class lamp" },
	{ { .class_name = "1492af14-2569-5e48-bf42-9b2d51f2ab45" }, NULL, true, "class" },
	{ { .class_name = "meter" }, NULL, false, "class is not meter, it has lamp" },
	{ { .component = "main" }, NULL, true, "component main" },
	{ { .component = "radio" }, NULL, false, "component is not radio, it has main" },
	{ { .step = PATCH_STEP }, NULL, true, "1.2.3 behind 1.2.2 is patch" },
	{ { .step = MAJOR_STEP }, NULL, false, "step is not major" },
	{ { .words = { "security" }, .n_words = 1 }, "A SECURITY fix", true, "\"security\"" },
	{ { .words = { "hole", "fix" }, .n_words = 2 }, "a fix.", true, "\"fix\"" },
	{ { .words = { "fix" }, .n_words = 1 }, "prefix, fixed", false, "none of its words" },
	{ { .words = { "fix" }, .n_words = 1 }, "fix", true, "\"fix\"" },
	{ { .words = { "fix" }, .n_words = 1 }, "fi", false, "none" },
	{ { .words = { "fix" }, .n_words = 1 }, NULL, false, "none" },
	{ { .words = { "CVE-2024-3094" }, .n_words = 1 }, "cve-2024-3094", true, "CVE-2024-3094" },
	{ { .words = { "CVE-2024-309" }, .n_words = 1 }, "CVE-2024-3094", false, "none" },
	{ { .words = { "ber" }, .n_words = 1 },
	  "\xc3\xbc"
	  "ber",
	  false,
	  "none" },
	{ { .any_cve = true }, "closes CVE-2024-3094", true, "CVE-2024-3094 is" },
	{ { .any_cve = true }, "cve-2021-44228, and more", true, "cve-2021-44228 is" },
	{ { .any_cve = true }, "CVE-2024-309", false, "no CVE id" },
	{ { .any_cve = true }, "CVE-202-30944", false, "no CVE id" },
	{ { .any_cve = true }, "CVE-2024_30944", false, "no CVE id" },
	{ { .any_cve = true }, "CVE-20245-30944", false, "no CVE id" },
	{ { .any_cve = true }, "XCVE-2024-30944", false, "no CVE id" },
	{ { .any_cve = true }, "CVE-2024-30944x", false, "no CVE id" },
	{ { .any_cve = true }, "CVE-2024-", false, "no CVE id" },
	{ { .any_cve = true }, NULL, false, "no CVE id" },
	{ { .any_cve = true },
	  "CVE-2024-0123456789012345678901234567890123456789",
	  true,
	  "CVE-2024-0123456789" },
	{ { .vendor = "example.com",
	    .class_name = "lamp",
	    .component = "main",
	    .step = PATCH_STEP,
	    .words = { "fix" },
	    .n_words = 1,
	    .any_cve = true },
	  "fix of CVE-2024-3094",
	  true,
	  "CVE-2024-3094" },
	{ { .vendor = "example.com", .class_name = "meter" }, NULL, false, "meter" },
};

START_TEST(test_rules)
{
	if (rules[_i].text)
		f.texts[f.n_texts++] = slice_str(rules[_i].text);
	p.rules[0] = rules[_i].rule;
	ck_assert_int_eq(text_copy(p.rules[0].name, NAME_TEXT, "it"), 0);
	p.rules[0].urgency = URGENCY_HIGH;
	p.n_rules = 1;
	urgency_judge(&p, &f, &v);
	ck_assert_int_eq(v.urgency, rules[_i].holds ? URGENCY_HIGH : URGENCY_NORMAL);
	ck_assert_str_eq(v.by, rules[_i].holds ? "rule it" : "default");
	ck_assert_int_eq(v.n_tried, rules[_i].holds ? 3 : 4);
	ck_assert_str_eq(v.tried[2].rule, "it");
	ck_assert_int_eq(v.tried[2].decides, rules[_i].holds);
	ck_assert_msg(strstr(v.tried[2].says, rules[_i].says) != NULL, "'%s' should say %s",
		      v.tried[2].says, rules[_i].says);
}
END_TEST

/* What the manifest does not have is not what a rule asks for. */
START_TEST(test_rules_of_a_bare_manifest)
{
	f.vendor_id.set = f.class_id.set = false;
	f.manufacturer = f.model = f.before = "";
	f.n_images = 0;
	p.n_rules = 4;
	p.rules[0] = (struct policy_rule){ .vendor = "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe" };
	p.rules[1] = (struct policy_rule){ .class_name = "lamp" };
	p.rules[2] = (struct policy_rule){ .component = "main" };
	p.rules[3] = (struct policy_rule){ .step = MINOR_STEP };
	urgency_judge(&p, &f, &v);
	ck_assert_str_eq(v.by, "default");
	ck_assert_int_eq(v.n_tried, 7);
	ck_assert_str_eq(v.tried[3].says, "class is not lamp, it has none");
	ck_assert_str_eq(v.tried[4].says, "component is not main, it has none");
	ck_assert_str_eq(v.tried[5].says, "step is not minor, 1.2.3 behind none is first");
	p.rules[3].step = FIRST_STEP;
	p.rules[3].urgency = URGENCY_LOW;
	urgency_judge(&p, &f, &v);
	ck_assert_int_eq(v.urgency, URGENCY_LOW);
}
END_TEST

/* Each piece of evidence goes before all behind it. */
START_TEST(test_order_of_evidence)
{
	static const char *const evidence[] = { "update-priority", "urgency", "rule", "rule",
						"default" };

	p.n_rules = 2;
	p.rules[0] = (struct policy_rule){ .name = "first",
					   .class_name = "lamp",
					   .urgency = URGENCY_HIGH };
	p.rules[1] = (struct policy_rule){ .name = "second",
					   .vendor = "example.com",
					   .urgency = URGENCY_NORMAL };
	p.default_urgency = URGENCY_NORMAL;
	f.has_priority = true;
	f.priority = -7;
	f.stated = "low";
	urgency_judge(&p, &f, &v);
	ck_assert_int_eq(v.urgency, URGENCY_CRITICAL);
	ck_assert_str_eq(v.by, "update-priority -7");
	ck_assert_int_eq(v.n_tried, 1);
	ck_assert(v.tried[0].decides);

	f.has_priority = false;
	urgency_judge(&p, &f, &v);
	ck_assert_int_eq(v.urgency, URGENCY_LOW);
	ck_assert_str_eq(v.by, "urgency member");
	ck_assert_int_eq(v.n_tried, 2);
	ck_assert_str_eq(v.tried[1].says, "low");

	f.stated = "whenever"; /* a word nobody knows says nothing */
	urgency_judge(&p, &f, &v);
	ck_assert_int_eq(v.urgency, URGENCY_HIGH);
	ck_assert_str_eq(v.by, "rule first");
	ck_assert_int_eq(v.n_tried, 3);

	f.stated = f.model = f.manufacturer = "";
	f.class_id.set = f.vendor_id.set = false;
	urgency_judge(&p, &f, &v);
	ck_assert_int_eq(v.urgency, URGENCY_NORMAL);
	ck_assert_str_eq(v.by, "default");
	ck_assert_int_eq(v.n_tried, 5);
	for (int i = 0; i < v.n_tried; i++) {
		ck_assert_str_eq(v.tried[i].evidence, evidence[i]);
		ck_assert_int_eq(v.tried[i].decides, i == 4);
	}
}
END_TEST

START_TEST(test_all_rules_are_tried)
{
	p.n_rules = POLICY_RULES_MAX;
	for (int i = 0; i < POLICY_RULES_MAX; i++)
		p.rules[i] = (struct policy_rule){ .class_name = "meter" };
	memset(p.rules[0].name, 'n', NAME_MAX_LEN);
	urgency_judge(&p, &f, &v);
	ck_assert_int_eq(v.n_tried, URGENCY_TRIED_MAX);
	/* a name that leaves no room is cut */
	ck_assert_int_eq(text_copy(p.rules[0].class_name, NAME_TEXT, "lamp"), 0);
	urgency_judge(&p, &f, &v);
	ck_assert_uint_eq(strlen(v.by), NAME_MAX_LEN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/urgency");
	TCase *t = tcase_create("urgency");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_priorities);
	tcase_add_test(t, test_version_steps);
	tcase_add_test(t, test_step_words);
	tcase_add_loop_test(t, test_rules, 0, (int)(sizeof(rules) / sizeof(rules[0])));
	tcase_add_test(t, test_rules_of_a_bare_manifest);
	tcase_add_test(t, test_order_of_evidence);
	tcase_add_test(t, test_all_rules_are_tried);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
