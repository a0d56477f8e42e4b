/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdio.h>
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

static struct uuid uuid_of(uint8_t fill)
{
	struct uuid u = { .set = true };

	memset(u.b, fill, sizeof(u.b));
	return u;
}

START_TEST(test_device)
{
	struct device d = { .id = "c7960-1",
			    .auth = AUTH_NONE,
			    .mode = MODE_NEGOTIATED,
			    .registered = true,
			    .disabled = true,
			    .vendor_id = uuid_of(1),
			    .class_id = uuid_of(2),
			    .manufacturer = "example",
			    .model = "c7960",
			    .parent = "gw",
			    .contact_interval_s = 60,
			    .floor_sequence = UINT64_C(0xfedcba9876543210),
			    .has_floor = true,
			    .held = "model",
			    .endpoint_host = "192.0.2.7",
			    .capabilities = "push pull",
			    .held_back = true,
			    .ask_diag = true,
			    .created = 5,
			    .changed = 6,
			    .etag = 9 };
	struct device got;
	int64_t n;

	ok(store_device_add(b.st, &d, e));
	ck_assert_int_gt(d.dev, 0);
	ck_assert_int_eq(store_device_get(b.st, "c7960-1", &got, &b.e), 1);
	ck_assert(same(&got, &d));
	ck_assert_int_eq(store_device_get(b.st, "nobody", &got, &b.e), 0);
	refuses(store_device_add(b.st, &d, e), ERR_CONFLICT);
	d = (struct device){
		.dev = d.dev, .id = "ignored", .mode = MODE_SERVER, .parent = "other", .etag = 3
	};
	ok(store_device_put(b.st, &d, e));
	ck_assert_int_eq(store_device_by_dev(b.st, d.dev, &got, &b.e), 1);
	ck_assert_str_eq(got.id, "c7960-1");
	ck_assert_str_eq(got.parent, "other");
	ck_assert_int_eq(got.mode, MODE_SERVER);
	ck_assert(!got.has_floor && !got.vendor_id.set && !got.registered);
	ck_assert(!got.held_back && !got.ask_diag && !got.endpoint_host[0]);
	ck_assert_uint_eq(got.etag, 10);
	ok(store_device_floor(b.st, d.dev, 7, e));
	ok(store_device_floor(b.st, d.dev, UINT64_MAX, e));
	ok(store_device_floor(b.st, d.dev, 8, e));
	ck_assert_int_eq(store_device_by_dev(b.st, d.dev, &got, &b.e), 1);
	ck_assert(got.has_floor);
	ck_assert_uint_eq(got.floor_sequence, UINT64_MAX);
	ok(store_device_count(b.st, &n, e));
	ck_assert_int_eq(n, 1);
	d.dev = 999;
	refuses(store_device_put(b.st, &d, e), ERR_NOT_FOUND);
	refuses(store_device_remove(b.st, 999, e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_device_goes_with_all_it_has)
{
	int64_t dev = make_device(b.st, "a"), other = make_device(b.st, "b"), n;
	int64_t release = make_release(b.st, "r", 1);
	struct filter_value v = { .is_number = true, .number = 3 };
	struct credential c = { .dev = dev, .kind = CREDENTIAL_PSK, .identity = "psk-a" };
	struct device_live l = { .dev = dev };
	struct component comp[COMPONENTS_MAX] = { { .version = "1" } };
	struct update u = make_update(b.st, dev, 0, release);
	struct device d;
	char tags[4][NAME_TEXT];

	ok(store_attr_put(b.st, dev, false, "hw", &v, e));
	ok(store_tag_put(b.st, dev, "lab", true, e));
	ok(store_group_add(b.st, "g", e));
	ok(store_group_member(b.st, "g", dev, true, e));
	ok(store_credential_add(b.st, &c, e));
	ok(store_live_put(b.st, &l, e));
	ok(store_components_put(b.st, dev, comp, 1, NULL, e));
	ok(store_device_remove(b.st, dev, e));
	ck_assert_int_eq(store_device_by_dev(b.st, dev, &d, &b.e), 0);
	ck_assert_int_eq(store_live_get(b.st, dev, &l, &b.e), 0);
	ck_assert_int_eq(store_components_list(b.st, dev, comp, &b.e), 0);
	ck_assert_int_eq(store_tag_list(b.st, dev, 4, tags, &b.e), 0);
	ck_assert_int_eq(store_device_groups(b.st, dev, 4, tags, &b.e), 0);
	ck_assert_int_eq(store_update_get(b.st, u.id, &u, &b.e), 0);
	ck_assert_int_eq(store_credential_by_identity(b.st, CREDENTIAL_PSK, "psk-a", &c, &b.e), 0);
	ok(store_device_count(b.st, &n, e));
	ck_assert_int_eq(n, 1);
	/* row ids are never used again: history of the old must not become another's */
	ck_assert_int_gt(make_device(b.st, "a"), other);
}
END_TEST

START_TEST(test_attributes)
{
	int64_t dev = make_device(b.st, "a");
	struct filter_value v = { .text = "ten" }, got[4];
	char names[4][NAME_TEXT], name[16];
	struct err err = { 0 };

	ok(store_attr_put(b.st, dev, false, "hw", &v, e));
	ok(store_attr_put(b.st, dev, true, "hw", &v, e));
	v = (struct filter_value){ .is_number = true, .number = -10 };
	ok(store_attr_put(b.st, dev, false, "hw", &v, e));
	ok(store_attr_put(b.st, dev, false, "age", &v, e));
	ck_assert_int_eq(store_attr_list(b.st, dev, false, 4, names, got, &b.e), 2);
	ck_assert_str_eq(names[0], "age");
	ck_assert(got[1].is_number);
	ck_assert_int_eq(got[1].number, -10);
	ck_assert_int_eq(store_attr_list(b.st, dev, true, 4, names, got, &b.e), 1);
	ck_assert(!got[0].is_number);
	ck_assert_str_eq(got[0].text, "ten");
	ok(store_attr_put(b.st, dev, false, "age", NULL, e));
	ck_assert_int_eq(store_attr_list(b.st, dev, false, 4, names, got, &b.e), 1);
	refuses(store_attr_put(b.st, 999, false, "x", &v, e), ERR_CONFLICT);
	int rc = 0;
	for (int i = 0; i < 100 && rc == 0; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		rc = store_attr_put(b.st, dev, false, name, &v, &err);
	}
	ck_assert_int_eq(err.code, ERR_TOO_MANY);
	ok(store_attr_put(b.st, dev, false, "hw", &v, e));
}
END_TEST

START_TEST(test_groups)
{
	int64_t dev = make_device(b.st, "a"), ids[4];
	char names[4][NAME_TEXT];

	ok(store_group_add(b.st, "north", e));
	ok(store_group_add(b.st, "lab", e));
	refuses(store_group_add(b.st, "lab", e), ERR_CONFLICT);
	ok(store_group_member(b.st, "lab", dev, true, e));
	ok(store_group_member(b.st, "lab", dev, true, e));
	ok(store_group_member(b.st, "north", dev, true, e));
	refuses(store_group_member(b.st, "south", dev, true, e), ERR_NOT_FOUND);
	ck_assert_int_eq(store_group_list(b.st, 0, 4, ids, names, &b.e), 2);
	ck_assert_str_eq(names[0], "north");
	ck_assert_int_eq(store_group_list(b.st, ids[0], 4, ids, names, &b.e), 1);
	ck_assert_int_eq(store_device_groups(b.st, dev, 4, names, &b.e), 2);
	ck_assert_str_eq(names[0], "lab");
	ok(store_group_remove(b.st, "lab", e));
	refuses(store_group_remove(b.st, "lab", e), ERR_NOT_FOUND);
	ck_assert_int_eq(store_device_groups(b.st, dev, 4, names, &b.e), 1);
	/* the same name later is another group */
	ok(store_group_add(b.st, "lab", e));
	ck_assert_int_eq(store_device_groups(b.st, dev, 4, names, &b.e), 1);
	ck_assert_int_eq(store_group_sweep(b.st, 10, &b.e), 1);
	ck_assert_int_eq(store_group_sweep(b.st, 10, &b.e), 0);
	ok(store_group_member(b.st, "north", dev, false, e));
	ck_assert_int_eq(store_device_groups(b.st, dev, 4, names, &b.e), 0);
}
END_TEST

START_TEST(test_live)
{
	struct device_live l = { .dev = make_device(b.st, "a"),
				 .last_seen = 5,
				 .boot = UINT64_C(0xffffffffffffffff),
				 .n_boots = 2,
				 .endpoint_port = 65535,
				 .ip = { 1, 2, 3 },
				 .service = "critical",
				 .service_until = 6,
				 .battery = 99,
				 .free_flash = 1 << 20,
				 .free_ram = -1 };
	struct device_live got;

	l.boots[0] = (struct boot_record){ UINT64_MAX, UINT64_MAX - 1, 5 };
	l.boots[1] = (struct boot_record){ 1, 2, UINT64_C(1) << 63 };
	ck_assert_int_eq(store_live_get(b.st, l.dev, &got, &b.e), 0);
	ck_assert_int_eq(got.dev, l.dev);
	ck_assert_int_eq(got.battery, -1);
	ok(store_live_put(b.st, &l, e));
	ck_assert_int_eq(store_live_get(b.st, l.dev, &got, &b.e), 1);
	ck_assert(same(&got, &l));
	l.n_boots = 0;
	memset(l.boots, 0, sizeof(l.boots));
	ok(store_live_put(b.st, &l, e));
	ck_assert_int_eq(store_live_get(b.st, l.dev, &got, &b.e), 1);
	ck_assert(same(&got, &l));
	l.n_boots = BOOTS_KEPT + 1;
	refuses(store_live_put(b.st, &l, e), ERR_INTERNAL);
}
END_TEST

START_TEST(test_components)
{
	int64_t dev = make_device(b.st, "a");
	struct component c[COMPONENTS_MAX] = {
		{ .name = "", .version = "1.2", .has_sequence = true, .sequence = UINT64_MAX },
		{ .name = "mcu2", .version = "", .has_digest = true, .digest = digest_of("x") },
	};
	struct component got[COMPONENTS_MAX];
	bool changed;

	ok(store_components_put(b.st, dev, c, 2, &changed, e));
	ck_assert(changed);
	ok(store_components_put(b.st, dev, c, 2, &changed, e));
	ck_assert(!changed);
	ck_assert_int_eq(store_components_list(b.st, dev, got, &b.e), 2);
	ck_assert(same(&got[0], &c[0]) && same(&got[1], &c[1]));
	/* the same by order of versions, but not the same text: what was reported is kept */
	ok(text_copy(c[0].version, sizeof(c[0].version), "1.02"));
	ok(store_components_put(b.st, dev, c, 2, &changed, e));
	ck_assert(changed);
	ok(store_components_put(b.st, dev, c, 1, &changed, e));
	ck_assert(changed);
	ck_assert_int_eq(store_components_list(b.st, dev, got, &b.e), 1);
	ck_assert_str_eq(got[0].version, "1.02");
	ok(store_components_put(b.st, dev, c, COMPONENTS_MAX, NULL, e));
	refuses(store_components_put(b.st, dev, c, COMPONENTS_MAX + 1, NULL, e), ERR_TOO_MANY);
}
END_TEST

static struct credential credential(int64_t dev, const char *identity, int64_t not_after)
{
	struct credential c = { .dev = dev,
				.kind = CREDENTIAL_PSK,
				.secret = { 1, 2, 3 },
				.secret_len = 3,
				.created = 1,
				.not_after = not_after };

	text_copy(c.identity, sizeof(c.identity), identity);
	ok(store_credential_add(b.st, &c, e));
	return c;
}

START_TEST(test_credentials)
{
	int64_t dev = make_device(b.st, "a"), other = make_device(b.st, "b");
	struct credential c1 = credential(dev, "id", 0), c2 = credential(dev, "id", 100), got,
			  list[4];
	struct credential stolen = { .dev = other, .kind = CREDENTIAL_PSK, .identity = "id" };
	struct digest hash = digest_of("token");
	struct credential t = { .dev = dev, .kind = CREDENTIAL_TOKEN, .secret_len = DIGEST_SIZE };

	/* the newest that is usable, though a newer one has ended */
	ck_assert_int_eq(
		store_credential_by_identity_at(b.st, CREDENTIAL_PSK, "id", 99, &got, &b.e), 1);
	ck_assert(same(&got, &c2));
	ck_assert_int_eq(
		store_credential_by_identity_at(b.st, CREDENTIAL_PSK, "id", 100, &got, &b.e), 1);
	ck_assert_int_eq(got.id, c1.id);
	ck_assert_int_eq(store_credential_by_identity(b.st, CREDENTIAL_X509, "id", &got, &b.e), 0);
	ck_assert_int_eq(store_credential_by_identity(b.st, CREDENTIAL_PSK, "", &got, &b.e), 0);
	ck_assert_int_eq(store_credential_usable(b.st, dev, 50, &b.e), 2);
	ck_assert_int_eq(store_credential_usable(b.st, dev, 100, &b.e), 1);
	refuses(store_credential_add(b.st, &stolen, e), ERR_CONFLICT);
	ok(store_credential_revoke(b.st, dev, c1.id, 60, e));
	ok(store_credential_revoke(b.st, dev, c1.id, 70, e));
	refuses(store_credential_revoke(b.st, other, c1.id, 60, e), ERR_NOT_FOUND);
	ok(store_credential_revoke(b.st, dev, c2.id, 61, e));
	ck_assert_int_eq(store_credential_by_identity_at(b.st, CREDENTIAL_PSK, "id", 1, &got, &b.e),
			 1);
	ck_assert_int_eq(got.id, c2.id);
	ck_assert_int_eq(store_credential_usable(b.st, dev, 50, &b.e), 0);
	ck_assert_int_eq(store_credential_list(b.st, dev, 0, 4, list, &b.e), 2);
	ck_assert_int_eq(list[0].revoked, 60);
	ck_assert_int_eq(store_credential_list(b.st, dev, c1.id, 4, list, &b.e), 1);
	/* by its number, and only of its own device */
	ck_assert_int_eq(store_credential_get(b.st, dev, c1.id, &list[1], &b.e), 1);
	ck_assert_int_eq(list[1].id, c1.id);
	ck_assert_int_eq(store_credential_get(b.st, dev + 1, c1.id, &list[1], &b.e), 0);
	ck_assert_int_eq(store_credential_get(b.st, dev, 999, &list[1], &b.e), 0);
	memcpy(t.secret, hash.b, DIGEST_SIZE);
	ok(store_credential_add(b.st, &t, e));
	refuses(store_credential_add(b.st, &t, e), ERR_CONFLICT);
	ck_assert_int_eq(store_credential_by_hash(b.st, &hash, &got, &b.e), 1);
	ck_assert(same(&got, &t));
	hash.b[31] ^= 1;
	ck_assert_int_eq(store_credential_by_hash(b.st, &hash, &got, &b.e), 0);
	/* an identity given up may be another's */
	ok(store_credential_add(b.st, &stolen, e));
}
END_TEST

START_TEST(test_anchors)
{
	struct anchor a = { .vendor = "example.com",
			    .vendor_id = uuid_of(1),
			    .key_id = digest_of("k"),
			    .spki = { 1, 2, 3 },
			    .spki_len = 3,
			    .alg = "ES256",
			    .not_before = 1,
			    .not_after = 2,
			    .created = 3,
			    .by = "uid:0" };
	struct anchor got, list[3], same = a;
	struct uuid other = uuid_of(2);

	ok(store_anchor_add(b.st, &a, e));
	ck_assert_int_eq(store_anchor_get(b.st, a.id, &got, &b.e), 1);
	ck_assert(same(&got, &a));
	refuses(store_anchor_add(b.st, &same, e), ERR_CONFLICT);
	ok(store_anchor_revoke(b.st, a.id, 77, e));
	refuses(store_anchor_revoke(b.st, 999, 77, e), ERR_NOT_FOUND);
	ok(store_anchor_add(b.st, &same, e));
	ck_assert_int_eq(store_anchor_for_vendor(b.st, &a.vendor_id, 0, 3, list, &b.e), 2);
	ck_assert_int_eq(list[0].revoked, 77);
	ck_assert_int_eq(store_anchor_for_vendor(b.st, &other, 0, 3, list, &b.e), 0);
	ck_assert_int_eq(store_anchor_list(b.st, a.id, 3, list, &b.e), 1);
	ck_assert_int_eq(store_anchor_get(b.st, 999, &got, &b.e), 0);
}
END_TEST

START_TEST(test_tokens_and_operators)
{
	struct token t = { .name = "ci",
			   .role = ROLE_AUTHOR,
			   .hash = digest_of("t"),
			   .scope = "tag == \"lab\"",
			   .created = 1,
			   .not_after = 2,
			   .by = "uid:0" };
	struct token got, list[2];
	struct operator_uid o = {
		.uid = 4294967295u, .role = ROLE_APPROVER, .created = 4, .by = "x"
	};
	struct operator_uid og, ol[2];

	ok(store_token_add(b.st, &t, e));
	ck_assert_int_eq(store_token_by_hash(b.st, &t.hash, &got, &b.e), 1);
	ck_assert(same(&got, &t));
	got.hash = digest_of("u");
	refuses(store_token_add(b.st, &got, e), ERR_CONFLICT);
	ok(store_token_revoke(b.st, t.id, 9, e));
	refuses(store_token_revoke(b.st, 999, 9, e), ERR_NOT_FOUND);
	ok(store_token_add(b.st, &got, e));
	got.role = ROLE_ADMIN;
	got.hash = digest_of("v");
	ok(text_copy(got.name, sizeof(got.name), "root"));
	refuses(store_token_add(b.st, &got, e), ERR_INVALID);
	ck_assert_int_eq(store_token_list(b.st, 0, 2, list, &b.e), 2);
	ck_assert_int_eq(list[0].revoked, 9);
	ok(store_operator_put(b.st, &o, e));
	o.role = ROLE_VIEWER;
	ok(store_operator_put(b.st, &o, e));
	ck_assert_int_eq(store_operator_get(b.st, o.uid, &og, &b.e), 1);
	ck_assert(same(&og, &o));
	ck_assert_int_eq(store_operator_list(b.st, 0, 2, ol, &b.e), 1);
	ok(store_operator_remove(b.st, o.uid, e));
	refuses(store_operator_remove(b.st, o.uid, e), ERR_NOT_FOUND);
	ck_assert_int_eq(store_operator_get(b.st, o.uid, &og, &b.e), 0);
}
END_TEST

START_TEST(test_small_values)
{
	struct arena a = ARENA_INIT(1 << 16);
	struct slice s = { 0 };
	uint8_t out[8];
	size_t n = 0;
	int64_t v = 0;

	ck_assert_int_eq(store_meta_get_int(b.st, "x", &v, &b.e), 0);
	ok(store_meta_put_int(b.st, "x", INT64_MIN, e));
	ck_assert_int_eq(store_meta_get_int(b.st, "x", &v, &b.e), 1);
	ck_assert_int_eq(v, INT64_MIN);
	ok(store_meta_put_blob(b.st, "x", slice_str("12345678"), e));
	ck_assert_int_eq(store_meta_get_int(b.st, "x", &v, &b.e), 0);
	ck_assert_int_eq(store_meta_get_blob(b.st, "x", out, sizeof(out), &n, &b.e), 1);
	ck_assert_uint_eq(n, 8);
	refuses(store_meta_get_blob(b.st, "x", out, 7, &n, e), ERR_INTERNAL);
	ck_assert_int_eq(store_policy_get(b.st, "urgency", &a, &s, &b.e), 0);
	ok(store_policy_put(b.st, "urgency", slice_str("{}"), e));
	ok(store_policy_put(b.st, "urgency", slice_str("{\"a\":1}"), e));
	ck_assert_int_eq(store_policy_get(b.st, "urgency", &a, &s, &b.e), 1);
	ck_assert(slice_eq_str(s, "{\"a\":1}"));
	ok(store_policy_put(b.st, "empty", slice_str(""), e));
	ck_assert_int_eq(store_policy_get(b.st, "empty", &a, &s, &b.e), 1);
	ck_assert_uint_eq(s.n, 0);
	arena_free(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_entity");
	TCase *tc = tcase_create("store_entity");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_device);
	tcase_add_test(tc, test_device_goes_with_all_it_has);
	tcase_add_test(tc, test_attributes);
	tcase_add_test(tc, test_groups);
	tcase_add_test(tc, test_live);
	tcase_add_test(tc, test_components);
	tcase_add_test(tc, test_credentials);
	tcase_add_test(tc, test_anchors);
	tcase_add_test(tc, test_tokens_and_operators);
	tcase_add_test(tc, test_small_values);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
