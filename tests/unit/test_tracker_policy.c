/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/policy.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct policy p;
static struct arena arena;
static struct err err;

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

/* behaviour.md 3, in seconds. */
START_TEST(test_defaults)
{
	static const int64_t table[URGENCY_COUNT][8] = {
		{ 14400, 900, 2, 5, 300, 3600, 300, 1 },
		{ 259200, 43200, 4, 4, 900, 21600, 900, 1 },
		{ 2592000, 604800, 8, 3, 3600, 86400, 3600, 0 },
		{ 0, 2592000, -1, 2, 86400, 86400, 3600, 0 },
	};

	for (int u = 0; u < URGENCY_COUNT; u++) {
		const struct strategy *s = &p.strategy[u];
		ck_assert_int_eq(s->deadline_s, table[u][0]);
		ck_assert_int_eq(s->defer_max_s, table[u][1]);
		ck_assert_int_eq(s->defer_count, table[u][2]);
		ck_assert_int_eq(s->retries, table[u][3]);
		ck_assert_int_eq(s->backoff_min_s, table[u][4]);
		ck_assert_int_eq(s->backoff_max_s, table[u][5]);
		ck_assert_int_eq(s->contact_interval_s, table[u][6]);
		ck_assert_int_eq(s->window_until_deadline, table[u][7]);
		ck_assert_int_eq(s->idle_only, u == URGENCY_LOW);
	}
	ck_assert_int_eq(p.contact_interval_s, 3600);
	ck_assert_int_eq(p.min_rate, 1024);
	ck_assert_int_eq(p.default_urgency, URGENCY_NORMAL);
	ck_assert(!p.allow_external);
	ck_assert_int_eq(p.first_contact, FIRST_REFUSE);
}
END_TEST

START_TEST(test_backoff_doubles_to_its_cap)
{
	static const int64_t want[] = { 300, 600, 1200, 2400, 3600, 3600 };
	const struct strategy *s = &p.strategy[URGENCY_CRITICAL];

	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(policy_backoff_ms(s, i + 1), want[i] * 1000);
	ck_assert_int_eq(policy_backoff_ms(s, 1000000), 3600 * 1000);
	ck_assert_int_eq(policy_backoff_ms(s, 0), 300 * 1000);
	struct strategy none = { .backoff_min_s = 0, .backoff_max_s = 0 };
	ck_assert_int_eq(policy_backoff_ms(&none, 3), 0);
	struct strategy largest = { .backoff_min_s = POLICY_SECONDS_MAX,
				    .backoff_max_s = POLICY_SECONDS_MAX };
	ck_assert_int_eq(policy_backoff_ms(&largest, 200), POLICY_SECONDS_MAX * 1000);
}
END_TEST

START_TEST(test_timeouts)
{
	p.offer_timeout_s = 10;
	p.decide_timeout_s = 20;
	p.install_timeout_s = 30;
	p.reboot_timeout_s = 40;
	p.confirm_timeout_s = 50;
	p.download_slack_s = 60;
	p.min_rate = 100;
	p.strategy[URGENCY_HIGH].contact_interval_s = 1;
	p.strategy[URGENCY_LOW].contact_interval_s = 100;
	static const struct {
		enum update_state s;
		uint64_t size;
		int64_t want;
	} table[] = {
		{ UPDATE_OFFERED, 0, 10 },
		{ UPDATE_ACCEPTED, 0, 20 },
		{ UPDATE_DOWNLOADING, 0, 60 },
		{ UPDATE_DOWNLOADING, 1, 61 },
		{ UPDATE_DOWNLOADING, 100, 61 },
		{ UPDATE_DOWNLOADING, 101, 62 },
		{ UPDATE_DOWNLOADING, UINT64_MAX, POLICY_SECONDS_MAX },
		{ UPDATE_DOWNLOADED, 0, 30 },
		{ UPDATE_INSTALLING, 0, 30 },
		{ UPDATE_REBOOTING, 0, 40 },
		{ UPDATE_CONFIRMING, 0, 50 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_int_eq(policy_timeout_ms(&p, table[i].s, URGENCY_HIGH, table[i].size),
				 table[i].want * 1000);
	/* a device that polls each 100 s is not silent after 10 */
	ck_assert_int_eq(policy_timeout_ms(&p, UPDATE_OFFERED, URGENCY_LOW, 0), 300 * 1000);
	for (int s = 0; s <= UPDATE_STATE_COUNT; s++)
		if (s == UPDATE_PLANNED || s == UPDATE_DEFERRED || s >= UPDATE_SUCCEEDED)
			ck_assert_int_eq(
				policy_timeout_ms(&p, (enum update_state)s, URGENCY_HIGH, 5), 0);
	ck_assert_int_eq(policy_timeout_ms(&p, (enum update_state)99, URGENCY_HIGH, 5), 0);
	p.min_rate = 0;
	ck_assert_int_eq(policy_timeout_ms(&p, UPDATE_DOWNLOADING, URGENCY_HIGH, 7), 67 * 1000);
}
END_TEST

START_TEST(test_spread)
{
	int64_t low = INT64_MAX, high = 0;

	for (int64_t dev = 1; dev <= 1000; dev++) {
		int64_t s = policy_spread_s(1000, dev, 1700000000000);
		ck_assert_int_ge(s, 750);
		ck_assert_int_le(s, 1000);
		ck_assert_int_eq(s, policy_spread_s(1000, dev, 1700000000000));
		low = s < low ? s : low;
		high = s > high ? s : high;
	}
	ck_assert_int_lt(low, 770);
	ck_assert_int_gt(high, 980);
	ck_assert_int_eq(policy_spread_s(3, 1, 0), 3);
	ck_assert_int_eq(policy_spread_s(0, 1, 0), 1);
	ck_assert_int_eq(policy_spread_s(-5, 1, 0), 1);
}
END_TEST

START_TEST(test_document_round_trip)
{
	struct doc *d = doc_map(&arena, NULL, NULL);
	struct policy q;

	p.strategy[URGENCY_HIGH].retries = 9;
	p.strategy[URGENCY_LOW].defer_count = 3;
	p.allow_external = true;
	p.min_rate = 77;
	p.default_urgency = URGENCY_LOW;
	ck_assert_int_eq(policy_write(&p, &arena, d), 0);
	policy_defaults(&q);
	ck_assert_msg(policy_apply(&q, d, &err) == 0, "%s", err.text);
	ck_assert_int_eq(q.strategy[URGENCY_HIGH].retries, 9);
	ck_assert_int_eq(q.strategy[URGENCY_LOW].defer_count, 3);
	ck_assert_int_eq(q.strategy[URGENCY_CRITICAL].deadline_s, 14400);
	ck_assert(q.allow_external);
	ck_assert_int_eq(q.min_rate, 77);
	ck_assert_int_eq(q.default_urgency, URGENCY_LOW);
}
END_TEST

START_TEST(test_document_over_the_defaults)
{
	struct doc *d = doc_map(&arena, NULL, NULL);
	struct doc *urgency = doc_map(&arena, d, "urgency");
	struct doc *critical = doc_map(&arena, urgency, "critical");

	doc_add_int(&arena, d, "contact_interval", 60);
	doc_add_int(&arena, critical, "retries", 0);
	ck_assert_msg(policy_apply(&p, d, &err) == 0, "%s", err.text);
	ck_assert_int_eq(p.contact_interval_s, 60);
	ck_assert_int_eq(p.strategy[URGENCY_CRITICAL].retries, 0);
	ck_assert_int_eq(p.strategy[URGENCY_CRITICAL].backoff_min_s, 300);
	ck_assert_int_eq(p.strategy[URGENCY_HIGH].retries, 4);
}
END_TEST

static void assert_refused(struct doc *d, const char *names)
{
	struct policy before = p;

	err = (struct err){ .code = ERR_NONE };
	ck_assert_int_eq(policy_apply(&p, d, &err), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
	ck_assert_msg(strstr(err.text, names) != NULL, "'%s' should name %s", err.text, names);
	ck_assert_mem_eq(&before, &p, sizeof(p));
}

static struct doc *class_of(struct doc **root, const char *word)
{
	*root = doc_map(&arena, NULL, NULL);
	return doc_map(&arena, doc_map(&arena, *root, "urgency"), word);
}

START_TEST(test_document_refused)
{
	struct doc *d = doc_map(&arena, NULL, NULL);
	doc_add_int(&arena, d, "contact_interval", 0);
	assert_refused(d, "contact_interval");

	d = doc_map(&arena, NULL, NULL);
	doc_add_int(&arena, d, "contact_interval", POLICY_SECONDS_MAX + 1);
	assert_refused(d, "contact_interval");

	d = doc_map(&arena, NULL, NULL);
	doc_add_int(&arena, d, "contact_intervall", 5);
	assert_refused(d, "contact_intervall");

	d = doc_map(&arena, NULL, NULL);
	doc_add_text(&arena, d, "default_urgency", "urgent");
	assert_refused(d, "default_urgency");

	d = doc_map(&arena, NULL, NULL);
	doc_add_text(&arena, d, "allow_external", "yes");
	assert_refused(d, "allow_external");

	struct doc *c = class_of(&d, "critical");
	doc_add_int(&arena, c, "retries", 255);
	assert_refused(d, "urgency.critical");

	c = class_of(&d, "high");
	doc_add_int(&arena, c, "attempts", 3);
	assert_refused(d, "attempts");

	c = class_of(&d, "normal");
	doc_add_int(&arena, c, "backoff_min", 90000);
	assert_refused(d, "backoff_min");

	class_of(&d, "urgent");
	assert_refused(d, "urgent");

	d = doc_map(&arena, NULL, NULL);
	doc_add_int(&arena, d, "urgency", 3);
	assert_refused(d, "urgency");

	d = doc_map(&arena, NULL, NULL);
	doc_add_int(&arena, doc_map(&arena, d, "urgency"), "high", 3);
	assert_refused(d, "urgency.high");

	assert_refused(doc_array(&arena, NULL, NULL), "map");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/policy");
	TCase *t = tcase_create("policy");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_defaults);
	tcase_add_test(t, test_backoff_doubles_to_its_cap);
	tcase_add_test(t, test_timeouts);
	tcase_add_test(t, test_spread);
	tcase_add_test(t, test_document_round_trip);
	tcase_add_test(t, test_document_over_the_defaults);
	tcase_add_test(t, test_document_refused);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
