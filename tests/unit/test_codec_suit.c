/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/suit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/cbor.h"

static struct suit_manifest m;
static struct err err;
static struct buf out;

static void setup(void)
{
	out = BUF_INIT(SUIT_ENVELOPE_MAX + 4096);
	err = (struct err){ .code = ERR_NONE };
}

static void teardown(void)
{
	buf_free(&out);
}

static struct suit_create sample(void)
{
	struct suit_create c = {
		.sequence = UINT64_MAX,
		.n_images = 2,
		.images = {
			{ .component = "main", .digest = { { 1, 2 } }, .size = 1000,
			  .uri = "coaps://example.com/main.bin" },
			{ .component = "radio/fw", .digest = { { 3, 4 } }, .size = 70000,
			  .uri = "https://example.com/radio.bin" },
		},
		.version = "1.2-rc.3",
		.has_priority = true,
		.priority = -5,
		.reference_uri = "https://example.com/lamp.suit",
		.vendor_domain = "example.com",
		.model_name = "lamp",
		.description = "a lamp",
		.has_use_before = true,
		.use_before = 4102444800,
	};

	ck_assert_int_eq(suit_vendor_uuid("example.com", &c.vendor_id), 0);
	ck_assert_int_eq(suit_class_uuid(&c.vendor_id, "lamp", &c.class_id), 0);
	return c;
}

static struct key *generate(enum key_kind kind)
{
	struct key *k;

	ck_assert_msg(key_generate(kind, &k, &err) == 0, "%s", err.text);
	return k;
}

static void create(const struct suit_create *c, const struct key *k)
{
	ck_assert_msg(suit_create(c, k, &out, &err) == 0, "%s", err.text);
}

/* The ids of the draft's own examples: vendor arm.com, class of that vendor's. */
START_TEST(uuids)
{
	struct uuid vendor, class;
	char text[UUID_TEXT];

	ck_assert_int_eq(suit_vendor_uuid("arm.com", &vendor), 0);
	uuid_text(text, &vendor);
	ck_assert_str_eq(text, "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe");
	ck_assert_int_eq(suit_class_uuid(&vendor, "", &class), 0);
	ck_assert(class.set);
	ck_assert_int_eq(class.b[6] >> 4, 5);
	ck_assert_int_eq(class.b[8] >> 6, 2);
}
END_TEST

START_TEST(round_trip)
{
	struct suit_create c = sample();
	struct key *k = generate(_i), *other = generate(_i);
	enum alg alg, expected[] = { ALG_ESP256, ALG_ESP384, ALG_ESP512, ALG_ED25519 };

	create(&c, k);
	ck_assert_int_eq(suit_open(buf_slice(&out), &m, &err), 0);
	ck_assert(m.tagged);
	ck_assert_uint_eq(m.n_signatures, 1);
	ck_assert_msg(suit_verify_key(&m, k, &alg, &err) == 0, "%s", err.text);
	ck_assert_int_eq(alg, expected[_i]);
	ck_assert_int_eq(suit_verify_key(&m, other, &alg, &err), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	ck_assert_int_eq(alg, ALG_NONE);
	ck_assert_msg(suit_parse(buf_slice(&out), &m, &err) == 0, "%s", err.text);
	ck_assert(m.sequence == UINT64_MAX);
	ck_assert_uint_eq(m.n_components, 2);
	ck_assert_str_eq(m.components[0].name, "main");
	ck_assert_str_eq(m.components[1].name, "radio/fw");
	ck_assert_uint_eq(m.n_images, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(m.images[i].component, i);
		ck_assert_int_eq(m.images[i].digest_alg, ALG_SHA256);
		ck_assert(slice_eq(m.images[i].digest, slice_of(c.images[i].digest.b, 32)));
		ck_assert(m.images[i].has_size && m.images[i].size == c.images[i].size);
		ck_assert(slice_eq_str(m.images[i].uri, c.images[i].uri));
		ck_assert(m.images[i].fetched && !m.images[i].encrypted && !m.images[i].has_slot);
	}
	ck_assert(memcmp(m.vendor_id.b, c.vendor_id.b, UUID_SIZE) == 0 && m.vendor_id.set);
	ck_assert(memcmp(m.class_id.b, c.class_id.b, UUID_SIZE) == 0 && m.class_id.set);
	ck_assert(m.has_version && strcmp(m.version, "1.2-rc.3") == 0);
	ck_assert(m.has_priority && m.priority == -5);
	ck_assert(m.has_use_before && m.use_before_effective && m.use_before == 4102444800);
	ck_assert(slice_eq_str(m.reference_uri, c.reference_uri));
	ck_assert(slice_eq_str(m.text.vendor_domain, "example.com"));
	ck_assert(slice_eq_str(m.text.model_name, "lamp"));
	ck_assert(slice_eq_str(m.text.description, "a lamp"));
	ck_assert(slice_eq_str(m.text.language, "en"));
	ck_assert(!m.severed && !m.has_battery && !m.needs_authorization && !m.has_not_before);
	ck_assert_int_eq(m.time_of_day_local, -1);
	/* once more gives the same */
	ck_assert_int_eq(suit_parse(buf_slice(&out), &m, &err), 0);
	ck_assert_uint_eq(m.n_images, 2);
	ck_assert_uint_eq(m.n_components, 2);
	key_free(k);
	key_free(other);
}
END_TEST

/* Where the bytes of the key id stand: they say nothing and are not signed. */
static size_t kid_offset(void)
{
	struct slice sig = m.signatures[0];

	for (size_t i = 0; i + 11 <= sig.n; i++)
		if (memcmp(sig.p + i, "\xa1\x04\x48", 3) == 0)
			return (size_t)(sig.p + i + 3 - out.p);
	ck_abort_msg("no key id");
}

static bool is_accepted(const struct key *k)
{
	enum alg alg;

	return suit_open(buf_slice(&out), &m, &err) == 0 && suit_verify_key(&m, k, &alg, &err) == 0;
}

START_TEST(every_byte_counts)
{
	struct suit_create c = sample();
	struct key *k = generate(_i ? KEY_ED25519 : KEY_P256);
	size_t kid, checked = 0;

	create(&c, k);
	ck_assert(is_accepted(k));
	kid = kid_offset();
	for (size_t i = 0; i < out.n; i++) {
		if (i >= kid && i < kid + 8)
			continue;
		for (unsigned f = 1; f <= UINT8_MAX; f++) {
			out.p[i] ^= (uint8_t)f;
			/* label 4 of the unprotected map may become another one nobody reads */
			bool label = i == kid - 2;
			bool accepted = is_accepted(k);

			ck_assert_msg(!accepted || label, "byte %zu xor %02x", i, f);
			ck_assert(accepted || err.code == ERR_VERIFY || err.code == ERR_MALFORMED ||
				  err.code == ERR_UNSUPPORTED || err.code == ERR_TOO_LARGE);
			out.p[i] ^= (uint8_t)f;
			checked++;
		}
	}
	ck_assert(is_accepted(k));
	ck_assert_uint_eq(checked, 255 * (out.n - 8));
	for (size_t n = 0; n < out.n; n++)
		ck_assert_int_eq(suit_open(slice_of(out.p, n), &m, &err), -1);
	buf_add_u8(&out, 0);
	ck_assert_int_eq(suit_open(buf_slice(&out), &m, &err), -1);
	key_free(k);
}
END_TEST

START_TEST(unsigned_and_signing)
{
	struct suit_create c = sample();
	struct key *a = generate(KEY_P256), *b = generate(KEY_ED25519), *none = generate(KEY_P384);
	struct buf once = BUF_INIT(SUIT_ENVELOPE_MAX), twice = BUF_INIT(SUIT_ENVELOPE_MAX);
	enum alg alg;

	c.n_images = 1;
	c.has_use_before = c.has_priority = false;
	c.version = c.reference_uri = c.vendor_domain = c.model_name = c.description = NULL;
	create(&c, NULL);
	ck_assert_int_eq(suit_open(buf_slice(&out), &m, &err), 0);
	ck_assert_uint_eq(m.n_signatures, 0);
	ck_assert_int_eq(suit_verify_key(&m, a, &alg, &err), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	ck_assert_int_eq(suit_parse(buf_slice(&out), &m, &err), 0); /* to inspect */
	ck_assert_int_eq(suit_sign(buf_slice(&out), a, &once, &err), 0);
	ck_assert_int_eq(suit_sign(buf_slice(&once), b, &twice, &err), 0);
	ck_assert_int_eq(suit_open(buf_slice(&twice), &m, &err), 0);
	ck_assert_uint_eq(m.n_signatures, 2);
	ck_assert_int_eq(suit_verify_key(&m, a, &alg, &err), 0);
	ck_assert_int_eq(alg, ALG_ESP256);
	ck_assert_int_eq(suit_verify_key(&m, b, &alg, &err), 0);
	ck_assert_int_eq(alg, ALG_ED25519);
	ck_assert_int_eq(suit_verify_key(&m, none, &alg, &err), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	for (int i = 2; i < SUIT_SIGNATURES_MAX; i++) {
		buf_reset(&once);
		ck_assert_msg(suit_sign(buf_slice(&twice), a, &once, &err) == 0, "%s", err.text);
		buf_reset(&twice);
		buf_add_slice(&twice, buf_slice(&once));
	}
	buf_reset(&once);
	ck_assert_int_eq(suit_sign(buf_slice(&twice), a, &once, &err), -1);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
	key_free(a);
	key_free(b);
	key_free(none);
	buf_free(&once);
	buf_free(&twice);
}
END_TEST

START_TEST(create_refuses)
{
	struct suit_create c = sample();
	struct suit_create bad;

	bad = c;
	bad.n_images = 0;
	ck_assert_int_eq(suit_create(&bad, NULL, &out, &err), -1);
	bad = c;
	bad.class_id.set = false;
	ck_assert_int_eq(suit_create(&bad, NULL, &out, &err), -1);
	bad = c;
	bad.images[1].uri = "relative/path";
	ck_assert_int_eq(suit_create(&bad, NULL, &out, &err), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
	bad = c;
	bad.images[1].component = "main";
	ck_assert_int_eq(suit_create(&bad, NULL, &out, &err), -1);
	static const char *const versions[] = {
		"", "v1", "1..2", "-rc", "rc", "1.rc", "1-2", "1.2.3.4.5.6.7.8.9.10.11.12.13"
	};
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		bad = c;
		bad.version = versions[i];
		ck_assert_msg(suit_create(&bad, NULL, &out, &err) == -1, "%s", versions[i]);
		ck_assert_int_eq(err.code, ERR_INVALID);
	}
	ck_assert_uint_eq(out.n, 0);
	struct buf little = BUF_INIT(100);
	ck_assert_int_eq(suit_create(&c, NULL, &little, &err), -1);
	buf_free(&little);
}
END_TEST

START_TEST(printing)
{
	struct suit_create c = sample();
	struct key *k = generate(KEY_P256);
	struct buf text = BUF_INIT(65536), little = BUF_INIT(50);
	char digest[DIGEST_TEXT];

	c.description = "two\nlines \x1b[31m";
	create(&c, k);
	ck_assert_int_eq(suit_open(buf_slice(&out), &m, &err), 0);
	ck_assert_int_eq(suit_parse(buf_slice(&out), &m, &err), 0);
	ck_assert_int_eq(suit_print(buf_slice(&out), &m, &text, &err), 0);
	const char *s = buf_cstr(&text);
	digest_text(digest, &c.images[1].digest);
	ck_assert_ptr_nonnull(strstr(s, "18446744073709551615"));
	ck_assert_ptr_nonnull(strstr(s, digest));
	ck_assert_ptr_nonnull(strstr(s, "ESP256 (-9), kid "));
	ck_assert_ptr_nonnull(strstr(s, "radio/fw"));
	ck_assert_ptr_nonnull(strstr(s, "2100-01-01T00:00:00.000Z"));
	ck_assert_ptr_nonnull(strstr(s, "two?lines ?[31m"));
	ck_assert_ptr_null(strchr(s, '\x1b'));
	ck_assert_int_eq(suit_print(buf_slice(&out), &m, &little, &err), -1);
	buf_free(&text);
	buf_free(&little);
	key_free(k);
}
END_TEST

/* A deterministic signature by a published key (RFC 8032, test 1): the bytes stay as they are. */
START_TEST(golden)
{
	static const char seed[] =
		"a401012006215820d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
		"2358209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
	const char *top = getenv("top_srcdir");
	char path[512], hex[4096];
	uint8_t raw[128], expected[2048];
	struct suit_create c = sample();
	struct key *k;
	FILE *f;

	ck_assert_int_eq(text_unhex(raw, strlen(seed) / 2, slice_str(seed)), 0);
	ck_assert_int_eq(key_load(slice_of(raw, strlen(seed) / 2), &k, &err), 0);
	create(&c, k);
	ck_assert_int_eq(text_format(path, sizeof(path), "%s/tests/vectors/suit-two-images.hex",
				     top ? top : "."),
			 0);
	f = fopen(path, "r");
	ck_assert_msg(f && fgets(hex, sizeof(hex), f), "%s cannot be read", path);
	fclose(f);
	size_t n = strcspn(hex, "\n") / 2;
	ck_assert_uint_le(n, sizeof(expected));
	ck_assert_int_eq(text_unhex(expected, n, slice_of(hex, 2 * n)), 0);
	ck_assert(slice_eq(buf_slice(&out), slice_of(expected, n)));
	key_free(k);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec_suit");
	TCase *t = tcase_create("suit");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, uuids);
	tcase_add_loop_test(t, round_trip, 0, 4);
	tcase_add_loop_test(t, every_byte_counts, 0, 2);
	tcase_add_test(t, unsigned_and_signing);
	tcase_add_test(t, create_refuses);
	tcase_add_test(t, printing);
	tcase_add_test(t, golden);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
