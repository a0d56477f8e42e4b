/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* What devices say of themselves: idempotence, pinning, floors. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker_world.h"

/* ---- the window of counters ---- */

static const struct {
	uint64_t boot, counter;
	int want;
} words[] = {
	{ 7, 1, 1 },
	{ 7, 1, 0 },
	{ 7, 2, 1 },
	{ 7, 5, 1 },
	{ 7, 3, 1 },
	{ 7, 3, 0 },
	{ 7, 4, 1 },
	{ 7, 100, 1 },
	{ 7, 37, 1 },
	{ 7, 36, -1 },
	{ 7, 37, 0 },
	{ 7, 99, 1 },
	{ 7, 5, -1 },
	{ 7, 164, 1 },
	{ 7, 100, -1 },
	{ 7, 101, 1 },
	{ 8, 0, 1 },
	{ 8, 0, 0 },
	{ 7, 165, 1 },
	{ 9, 1, 1 },
	{ 10, 1, 1 },
	{ 7, 165, 0 },
	{ 11, 1, 1 },
	{ 8, 0, 0 },
	{ 8, UINT64_MAX, 1 },
	{ 8, 0, -1 },
	{ 8, UINT64_MAX - 63, 1 },
	{ 8, UINT64_MAX - 64, -1 },
};

START_TEST(test_dedup)
{
	struct device_live l = { .dev = 1 };
	struct err e;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		int got = registry_dedup(&l, words[i].boot, words[i].counter, &e);
		ck_assert_msg(got == words[i].want, "row %zu: %d", i, got);
		if (got < 0)
			ck_assert_int_eq(e.code, ERR_CONFLICT);
	}
	ck_assert_uint_eq(l.boot, 11);
	ck_assert_uint_eq(l.n_boots, BOOTS_KEPT);
	ck_assert_uint_eq(l.boots[0].boot, 11);
	ck_assert_uint_eq(l.boots[3].boot, 8);
}
END_TEST

/* Against a set that remembers everything: new once, never twice, refused only below the window. */
START_TEST(test_dedup_against_memory)
{
	static bool seen[4][400];
	uint64_t high[4] = { 0 };
	bool any[4] = { false };
	struct device_live l = { .dev = 1 };
	uint32_t seed = (uint32_t)_i + 1;

	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 3000; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned boot = (seed >> 24) % 4;
		uint64_t base = (uint64_t)i / 10, counter = base + (seed >> 8) % 90;
		int want = any[boot] && counter + 64 <= high[boot] ? -1
			   : seen[boot][counter]		   ? 0
								   : 1;
		ck_assert_int_eq(registry_dedup(&l, 100 + boot, counter, NULL), want);
		if (want > 0) {
			seen[boot][counter] = any[boot] = true;
			high[boot] = counter > high[boot] ? counter : high[boot];
		}
	}
}
END_TEST

/* ---- registration ---- */

static struct world w;

static void setup(void)
{
	world_open(&w);
}

static void teardown(void)
{
	world_close(&w);
}

static struct registration said(uint64_t boot, uint64_t counter)
{
	return (struct registration){ .boot = boot,
				      .counter = counter,
				      .n_components = -1,
				      .status = {
					      .battery = -1, .free_flash = -1, .free_ram = -1 } };
}

static int put(struct device *d, const struct registration *r, bool *created)
{
	int64_t ask = 0;
	int result = WORLD_DO(&w, registry_register(&w.tk, d, r, NULL, created, &ask, &w.err));

	if (result == 0)
		ck_assert_int_gt(ask, 0);
	return result;
}

START_TEST(test_first_contact)
{
	struct device d = { .id = "lamp-1", .auth = AUTH_NONE };
	struct registration r = said(1, 1);
	bool created;

	r.mode = MODE_NEGOTIATED;
	r.vendor_id = w.vendor;
	text_copy(r.model, sizeof(r.model), "lamp");
	r.has_port = true;
	r.port = 5683;
	ck_assert_int_eq(put(&d, &r, &created), 0);
	ck_assert(created);
	d = world_device(&w, "lamp-1");
	ck_assert(d.registered);
	ck_assert_int_eq(d.mode, MODE_NEGOTIATED);
	ck_assert_str_eq(d.model, "lamp");
	ck_assert_str_eq(d.held, "");
	struct device_live l;
	ck_assert_int_eq(store_live_get(w.st, d.dev, &l, &w.err), 1);
	ck_assert_uint_eq(l.endpoint_port, 5683);
	ck_assert_uint_eq(l.boot, 1);
	/* repeated: the same answer, nothing written */
	world_commit(&w);
	ck_assert_int_eq(put(&d, &r, &created), 0);
	ck_assert(!created);
	ck_assert(!store_batch_dirty(w.st));
}
END_TEST

START_TEST(test_who_says_nothing_of_its_mode_asks_by_itself)
{
	struct device d = { .id = "lamp-1", .auth = AUTH_NONE };
	struct registration r = said(1, 1);
	bool created;

	ck_assert_int_eq(put(&d, &r, &created), 0);
	ck_assert_int_eq(world_device(&w, "lamp-1").mode, MODE_CLIENT);
}
END_TEST

START_TEST(test_pinned_values_stay)
{
	struct device d = { .id = "lamp-1", .mode = MODE_SERVER, .model = "lamp" };
	struct registration r = said(1, 1);
	bool created;

	d.vendor_id = w.vendor;
	WORLD_OK(&w, store_device_add(w.st, &d, &w.err));
	r.mode = MODE_CLIENT;
	r.vendor_id = w.class_id;
	r.class_id = w.class_id;
	text_copy(r.model, sizeof(r.model), "bomb");
	text_copy(r.parent, sizeof(r.parent), "gw-1");
	ck_assert_int_eq(put(&d, &r, &created), 0);
	ck_assert(!created);
	d = world_device(&w, "lamp-1");
	ck_assert_int_eq(d.mode, MODE_SERVER);
	ck_assert_mem_eq(d.vendor_id.b, w.vendor.b, UUID_SIZE);
	ck_assert_str_eq(d.model, "lamp");
	/* what enrolment left open the device filled */
	ck_assert_str_eq(d.parent, "gw-1");
	ck_assert_mem_eq(d.class_id.b, w.class_id.b, UUID_SIZE);
	ck_assert_ptr_nonnull(strstr(d.held, "mode client reported"));
	ck_assert_ptr_nonnull(strstr(d.held, "vendor_id"));
	ck_assert_ptr_nonnull(strstr(d.held, "model bomb"));
	/* and once filled it is fixed */
	r = said(1, 2);
	text_copy(r.parent, sizeof(r.parent), "gw-2");
	ck_assert_int_eq(put(&d, &r, &created), 0);
	d = world_device(&w, "lamp-1");
	ck_assert_str_eq(d.parent, "gw-1");
	ck_assert_str_eq(d.held, "parent gw-2 reported");
	r = said(1, 3);
	ck_assert_int_eq(put(&d, &r, &created), 0);
	ck_assert_str_eq(world_device(&w, "lamp-1").held, "");
}
END_TEST

START_TEST(test_sequences_raise_the_floor)
{
	ck_assert_uint_eq(world_enrol(&w, "lamp-1", "1.0", 7).floor_sequence, 7);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 2, "0.9", 3), 0);
	ck_assert_uint_eq(world_device(&w, "lamp-1").floor_sequence, 7);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 3, "1.1", UINT64_MAX), 0);
	ck_assert_uint_eq(world_device(&w, "lamp-1").floor_sequence, UINT64_MAX);
}
END_TEST

START_TEST(test_an_older_boot_that_comes_late)
{
	struct component c[COMPONENTS_MAX];
	struct device d = world_enrol(&w, "lamp-1", "1.0", 1);

	ck_assert_int_eq(world_register(&w, "lamp-1", 2, 1, "2.0", 2), 0);
	ck_assert_int_eq(world_register(&w, "lamp-1", 1, 2, "1.0", 1), 0);
	ck_assert_int_eq(store_components_list(w.st, d.dev, c, &w.err), 1);
	ck_assert_str_eq(c[0].version, "2.0");
}
END_TEST

START_TEST(test_reported_attributes)
{
	struct device d = { .id = "lamp-1", .auth = AUTH_NONE };
	struct registration r = said(1, 1);
	char names[4][NAME_TEXT];
	struct filter_value v[4];
	bool created;

	r.n_attributes = 1;
	text_copy(r.attributes[0].name, NAME_TEXT, "rssi");
	r.attributes[0].v = (struct filter_value){ .is_number = true, .number = -71 };
	ck_assert_int_eq(put(&d, &r, &created), 0);
	d = world_device(&w, "lamp-1");
	ck_assert_int_eq(store_attr_list(w.st, d.dev, false, 4, names, v, &w.err), 0);
	ck_assert_int_eq(store_attr_list(w.st, d.dev, true, 4, names, v, &w.err), 1);
	ck_assert_str_eq(names[0], "rssi");
	ck_assert_int_eq(v[0].number, -71);
}
END_TEST

/* Firmware may come to say other things of itself: what it says now is kept, and it gets in. */
START_TEST(test_ever_other_attributes)
{
	struct device d = { .id = "lamp-1", .auth = AUTH_NONE };
	char names[STORE_ATTRIBUTES_MAX][NAME_TEXT];
	struct filter_value v[STORE_ATTRIBUTES_MAX];
	bool created;
	int n;

	for (int i = 0; i < 5; i++) {
		struct registration r = said(1 + (uint64_t)i, 1);

		for (int k = 0; k < 16; k++) {
			text_format(r.attributes[k].name, NAME_TEXT, "v%d-%d", i, k);
			r.attributes[k].v = (struct filter_value){ .is_number = true, .number = i };
		}
		r.n_attributes = 16;
		ck_assert_msg(put(&d, &r, &created) == 0, "%s", w.err.text);
		d = world_device(&w, "lamp-1");
		n = store_attr_list(w.st, d.dev, true, STORE_ATTRIBUTES_MAX, names, v, &w.err);
		ck_assert_int_eq(n, i < 4 ? 16 * (i + 1) : 16);
	}
	for (int k = 0; k < n; k++)
		ck_assert_int_eq(v[k].number, 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/registry");
	TCase *pure = tcase_create("dedup"), *t = tcase_create("registry");

	tcase_add_test(pure, test_dedup);
	tcase_add_loop_test(pure, test_dedup_against_memory, 0, 50);
	suite_add_tcase(s, pure);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_first_contact);
	tcase_add_test(t, test_who_says_nothing_of_its_mode_asks_by_itself);
	tcase_add_test(t, test_pinned_values_stay);
	tcase_add_test(t, test_sequences_raise_the_floor);
	tcase_add_test(t, test_an_older_boot_that_comes_late);
	tcase_add_test(t, test_reported_attributes);
	tcase_add_test(t, test_ever_other_attributes);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
