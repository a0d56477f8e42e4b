/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store_util.h"

static struct bed b;

static void setup(void)
{
	bed_make(&b);
}

static void teardown(void)
{
	bed_remove(&b);
}

static struct window daily(enum window_level level, int64_t ref)
{
	return (struct window){ .level = level,
				.ref = ref,
				.rrule = "FREQ=DAILY",
				.starts = "20000103T010000",
				.zone = "UTC",
				.duration_s = 3600,
				.created = 7,
				.by = "uid:0" };
}

static int concerning(const struct device *d, int64_t rollout)
{
	struct window rows[32];
	int n = store_window_concerning(b.st, d, rollout, 32, rows, &b.e);

	ck_assert_msg(n >= 0, "%s", b.e.text);
	return n;
}

START_TEST(test_window)
{
	struct window w = daily(WINDOW_CLASS, 0), got;

	w.class_id = (struct uuid){ .b = { 9 }, .set = true };
	w.blackout = true;
	ok(store_window_add(b.st, &w, e));
	ck_assert_int_eq(store_window_get(b.st, w.id, &got, &b.e), 1);
	ck_assert(same(&got, &w));
	ck_assert_int_eq(store_window_get(b.st, w.id + 1, &got, &b.e), 0);
	ok(store_window_remove(b.st, w.id, e));
	refuses(store_window_remove(b.st, w.id, e), ERR_NOT_FOUND);
	ck_assert_int_eq(store_window_list(b.st, 0, 1, &got, &b.e), 0);
}
END_TEST

START_TEST(test_whom_they_concern)
{
	struct device d = { .id = "lamp-1",
			    .model = "lamp",
			    .class_id = { .b = { 9 }, .set = true } };
	struct device other = { .id = "lamp-2" };
	struct window w[6];
	int64_t group = 0, gone = 0, none = 0;

	ok(store_device_add(b.st, &d, e));
	ok(store_device_add(b.st, &other, e));
	ok(store_group_add(b.st, "north", e));
	ok(store_group_add(b.st, "south", e));
	ok(store_group_member(b.st, "north", d.dev, true, e));
	ok(store_group_member(b.st, "south", d.dev, true, e));
	ck_assert_int_eq(store_group_id(b.st, "north", &group, &b.e), 1);
	ck_assert_int_eq(store_group_id(b.st, "south", &gone, &b.e), 1);
	ck_assert_int_eq(store_group_id(b.st, "west", &none, &b.e), 0);
	ck_assert_int_eq(concerning(&d, 5), 0);
	w[0] = daily(WINDOW_DEVICE, d.dev);
	w[1] = daily(WINDOW_GROUP, group);
	w[2] = daily(WINDOW_GROUP, gone);
	w[3] = daily(WINDOW_CLASS, 0);
	w[3].class_id = d.class_id;
	w[4] = daily(WINDOW_CLASS, 0);
	ck_assert_int_eq(text_copy(w[4].model, sizeof(w[4].model), "lamp"), 0);
	w[5] = daily(WINDOW_ROLLOUT, 5);
	for (int i = 0; i < 6; i++)
		ok(store_window_add(b.st, &w[i], e));
	ck_assert_int_eq(concerning(&d, 5), 6);
	ck_assert_int_eq(concerning(&d, 0), 5);
	ck_assert_int_eq(concerning(&other, 5), 1);
	ck_assert_int_eq(concerning(&other, 0), 0);
	/* windows go with what they are of */
	ok(store_group_remove(b.st, "south", e));
	ck_assert_int_eq(concerning(&d, 5), 5);
	ok(store_device_remove(b.st, d.dev, e));
	ck_assert_int_eq(concerning(&d, 5), 3);
	refuses(store_group_remove(b.st, "south", e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_by_level)
{
	struct window w = daily(WINDOW_DEVICE, 3), rows[4];
	struct window model = daily(WINDOW_CLASS, 0), class = daily(WINDOW_CLASS, 0);

	ck_assert_int_eq(text_copy(model.model, sizeof(model.model), "lamp"), 0);
	class.class_id = (struct uuid){ .b = { 9 }, .set = true };
	ok(store_window_add(b.st, &w, e));
	ok(store_window_add(b.st, &model, e));
	ok(store_window_add(b.st, &class, e));
	ck_assert_int_eq(store_window_list(b.st, 0, 4, rows, &b.e), 3);
	ck_assert_int_eq(store_window_list(b.st, w.id, 4, rows, &b.e), 2);
	ck_assert_int_eq(store_window_by_level(b.st, &w, 0, 4, rows, &b.e), 1);
	ck_assert_int_eq(store_window_by_level(b.st, &model, 0, 4, rows, &b.e), 1);
	ck_assert_int_eq(rows[0].id, model.id);
	ck_assert_int_eq(store_window_by_level(b.st, &class, 0, 4, rows, &b.e), 1);
	ck_assert_int_eq(rows[0].id, class.id);
	ck_assert_int_eq(store_window_by_level(b.st, &class, class.id, 4, rows, &b.e), 0);
}
END_TEST

START_TEST(test_how_many)
{
	struct window w;

	for (int i = 0; i < WINDOWS_EACH; i++) {
		w = daily(WINDOW_DEVICE, 3);
		ok(store_window_add(b.st, &w, e));
	}
	w = daily(WINDOW_DEVICE, 3);
	refuses(store_window_add(b.st, &w, e), ERR_TOO_MANY);
	w = daily(WINDOW_DEVICE, 4);
	ok(store_window_add(b.st, &w, e));
}
END_TEST

START_TEST(test_reported)
{
	struct device d = { .id = "lamp-1" };
	struct window w[WINDOWS_EACH + 1] = { 0 }, rows[4];
	bool changed;

	ok(store_device_add(b.st, &d, e));
	for (int i = 0; i <= WINDOWS_EACH; i++)
		w[i] = daily(WINDOW_DEVICE, 0);
	w[1].duration_s = 60;
	ok(store_window_report(b.st, d.dev, w, 0, &changed, e));
	ck_assert(!changed);
	ok(store_window_report(b.st, d.dev, w, 2, &changed, e));
	ck_assert(changed);
	ok(store_window_report(b.st, d.dev, w, 2, &changed, e));
	ck_assert(!changed);
	ck_assert_int_eq(concerning(&d, 0), 2);
	struct window own = daily(WINDOW_DEVICE, d.dev);
	ok(store_window_add(b.st, &own, e));
	w[1].duration_s = 120;
	ok(store_window_report(b.st, d.dev, w, 2, &changed, e));
	ck_assert(changed);
	ck_assert_int_eq(store_window_by_level(b.st, &own, 0, 4, rows, &b.e), 3);
	ck_assert(!rows[0].reported && rows[1].reported && rows[2].duration_s == 120);
	ok(store_window_report(b.st, d.dev, w, 0, &changed, e));
	ck_assert(changed);
	ck_assert_int_eq(concerning(&d, 0), 1);
	refuses(store_window_report(b.st, d.dev, w, WINDOWS_EACH + 1, &changed, e), ERR_TOO_MANY);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_window");
	TCase *tc = tcase_create("store_window");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_window);
	tcase_add_test(tc, test_whom_they_concern);
	tcase_add_test(tc, test_by_level);
	tcase_add_test(tc, test_how_many);
	tcase_add_test(tc, test_reported);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
