/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/crypto.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/cbor.h"
#include "codec/cose.h"

static struct err err;

static void expect_digest(const struct digest *d, const char *hex)
{
	char text[DIGEST_TEXT];

	digest_text(text, d);
	ck_assert_str_eq(text, hex);
}

#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

START_TEST(hashing)
{
	struct sha256 *h = sha256_new();
	struct digest d;

	ck_assert_ptr_nonnull(h);
	ck_assert_int_eq(sha256_end(h, &d), 0);
	expect_digest(&d, SHA_EMPTY);
	for (int i = 0; i < 2; i++) { /* ready for reuse after */
		ck_assert_int_eq(sha256_add(h, slice_str("a")), 0);
		ck_assert_int_eq(sha256_add(h, (struct slice){ 0 }), 0);
		ck_assert_int_eq(sha256_add(h, slice_str("bc")), 0);
		ck_assert_int_eq(sha256_end(h, &d), 0);
		expect_digest(&d, SHA_ABC);
	}
	sha256_free(h);
	sha256_free(NULL);
	ck_assert_int_eq(sha256_once(slice_str("abc"), &d), 0);
	expect_digest(&d, SHA_ABC);
	ck_assert_int_eq(sha256_once((struct slice){ 0 }, &d), 0);
	expect_digest(&d, SHA_EMPTY);
	/* RFC 4231 test case 2 */
	ck_assert_int_eq(
		hmac_sha256(slice_str("Jefe"), slice_str("what do ya want for nothing?"), &d), 0);
	expect_digest(&d, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	ck_assert_int_eq(hmac_sha256((struct slice){ 0 }, (struct slice){ 0 }, &d), 0);
	expect_digest(&d, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(digest_algorithms)
{
	uint8_t out[64];
	size_t n;

	ck_assert_int_eq(digest_by_alg(ALG_SHA256, slice_str("abc"), out, &n, &err), 0);
	ck_assert_uint_eq(n, 32);
	ck_assert_int_eq(digest_by_alg(ALG_SHA384, slice_str("abc"), out, &n, &err), 0);
	ck_assert_uint_eq(n, 48);
	ck_assert_int_eq(digest_by_alg(ALG_SHA512, slice_str("abc"), out, &n, &err), 0);
	ck_assert_uint_eq(n, 64);
	ck_assert_int_eq(out[0], 0xdd);
	ck_assert_int_eq(digest_by_alg(ALG_ES256, slice_str("abc"), out, &n, &err), -1);
	ck_assert_int_eq(err.code, ERR_UNSUPPORTED);
	ck_assert_int_eq(digest_by_alg((enum alg) - 18, slice_str("abc"), out, &n, &err), -1);
	ck_assert_str_eq(alg_name(ALG_ESP256), "ESP256");
	ck_assert_str_eq(alg_name((enum alg) - 18), "unknown");
}
END_TEST

static const struct {
	enum key_kind kind;
	const char *name;
	enum alg algs[2];
	size_t signature;
} kinds[] = {
	{ KEY_P256, "es256", { ALG_ES256, ALG_ESP256 }, 64 },
	{ KEY_P384, "es384", { ALG_ES384, ALG_ESP384 }, 96 },
	{ KEY_P521, "es512", { ALG_ES512, ALG_ESP512 }, 132 },
	{ KEY_ED25519, "ed25519", { ALG_EDDSA, ALG_ED25519 }, 64 },
};
#define N_KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

static struct key *generate(enum key_kind kind)
{
	struct key *k;

	ck_assert_msg(key_generate(kind, &k, &err) == 0, "%s", err.text);
	return k;
}

/* Each form loads as the same key; only the private ones can sign. */
static void check_form(const struct key *k, const struct buf *form, bool private)
{
	struct digest a, b;
	struct key *again;

	ck_assert_msg(key_load(buf_slice(form), &again, &err) == 0, "%s", err.text);
	ck_assert_int_eq(key_id(k, &a), 0);
	ck_assert_int_eq(key_id(again, &b), 0);
	ck_assert(digest_eq(&a, &b));
	ck_assert_int_eq(key_has_private(again), private);
	ck_assert_int_eq(key_kind_of(again), key_kind_of(k));
	key_free(again);
}

START_TEST(key_forms)
{
	struct key *k = generate(kinds[_i].kind), *public;
	struct buf b = BUF_INIT(8192);
	enum key_kind kind;
	struct digest id, spki;

	ck_assert_str_eq(key_kind_name(kinds[_i].kind), kinds[_i].name);
	ck_assert_int_eq(key_kind_parse(kinds[_i].name, &kind), 0);
	ck_assert_int_eq(kind, kinds[_i].kind);
	ck_assert_int_eq(key_kind_parse("rsa", &kind), -1);
	ck_assert(key_has_private(k));
	ck_assert_int_eq(key_private_pem(k, &b, &err), 0);
	ck_assert(slice_starts(buf_slice(&b), "-----BEGIN PRIVATE KEY-----"));
	check_form(k, &b, true);
	buf_reset(&b);
	ck_assert_int_eq(key_public_pem(k, &b, &err), 0);
	ck_assert(slice_starts(buf_slice(&b), "-----BEGIN PUBLIC KEY-----"));
	check_form(k, &b, false);
	buf_reset(&b);
	ck_assert_int_eq(key_public_spki(k, &b, &err), 0);
	check_form(k, &b, false);
	ck_assert_int_eq(key_id(k, &id), 0);
	ck_assert_int_eq(sha256_once(buf_slice(&b), &spki), 0);
	ck_assert(digest_eq(&id, &spki));
	ck_assert_int_eq(key_load(buf_slice(&b), &public, &err), 0);
	buf_reset(&b);
	ck_assert_int_eq(key_private_pem(public, &b, &err), -1);
	ck_assert_int_eq(key_sign(public, kinds[_i].algs[0], slice_str("x"), &b, &err), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
	key_free(public);
	key_free(k);
	key_free(NULL);
	buf_free(&b);
}
END_TEST

START_TEST(sign_and_verify)
{
	struct key *k = generate(kinds[_i].kind), *other = generate(kinds[_i].kind);
	struct buf sig = BUF_INIT(256);

	for (size_t i = 0; i < 2; i++) {
		enum alg a = kinds[_i].algs[i];

		ck_assert(key_fits_alg(k, a));
		buf_reset(&sig);
		ck_assert_int_eq(key_sign(k, a, slice_str("hello"), &sig, &err), 0);
		ck_assert_uint_eq(sig.n, kinds[_i].signature);
		ck_assert_int_eq(key_verify(k, a, slice_str("hello"), buf_slice(&sig), &err), 0);
		ck_assert_int_eq(key_verify(k, a, slice_str("hallo"), buf_slice(&sig), &err), -1);
		ck_assert_int_eq(err.code, ERR_VERIFY);
		ck_assert_int_eq(key_verify(other, a, slice_str("hello"), buf_slice(&sig), &err),
				 -1);
	}
	/* other lengths, other bytes */
	ck_assert_int_eq(key_verify(k, kinds[_i].algs[0], slice_str("hello"),
				    slice_of(sig.p, sig.n - 1), &err),
			 -1);
	buf_add_u8(&sig, 0);
	ck_assert_int_eq(
		key_verify(k, kinds[_i].algs[0], slice_str("hello"), buf_slice(&sig), &err), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	memset(sig.p, 0, sig.n);
	ck_assert_int_eq(key_verify(k, kinds[_i].algs[0], slice_str("hello"),
				    slice_of(sig.p, sig.n - 1), &err),
			 -1);
	buf_reset(&sig);
	/* an algorithm is one curve here */
	for (int j = 0; j < N_KINDS; j++) {
		if (j == _i)
			continue;
		ck_assert(!key_fits_alg(k, kinds[j].algs[0]));
		ck_assert_int_eq(key_sign(k, kinds[j].algs[0], slice_str("x"), &sig, &err), -1);
		ck_assert_int_eq(
			key_verify(k, kinds[j].algs[1], slice_str("x"), buf_slice(&sig), &err), -1);
	}
	ck_assert_int_eq(key_sign(k, kinds[_i].algs[0], (struct slice){ 0 }, &sig, &err), 0);
	ck_assert_int_eq(
		key_verify(k, kinds[_i].algs[0], (struct slice){ 0 }, buf_slice(&sig), &err), 0);
	key_free(k);
	key_free(other);
	buf_free(&sig);
}
END_TEST

/* RFC 8032 section 7.1, test 1, as COSE_Key with its private half. */
static const char ed25519_cose[] =
	"a401012006215820d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	"2358209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

static size_t unhex(uint8_t *dst, const char *hex)
{
	size_t n = strlen(hex) / 2;

	ck_assert_int_eq(text_unhex(dst, n, slice_str(hex)), 0);
	return n;
}

START_TEST(cose_key_ed25519)
{
	uint8_t raw[128];
	size_t n = unhex(raw, ed25519_cose);
	struct buf sig = BUF_INIT(128);
	struct key *k;
	char text[17];

	ck_assert_msg(key_load(slice_of(raw, n), &k, &err) == 0, "%s", err.text);
	ck_assert(key_has_private(k));
	ck_assert_int_eq(key_sign(k, ALG_ED25519, (struct slice){ 0 }, &sig, &err), 0);
	text_hex(text, sig.p, 8);
	ck_assert_str_eq(text, "e5564300c360ac72");
	key_free(k);
	/* the halves do not belong together */
	raw[9] ^= 1;
	ck_assert_int_eq(key_load(slice_of(raw, n), &k, &err), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
	buf_free(&sig);
}
END_TEST

static void put_point(struct buf *b, struct slice x, struct slice y, bool compressed)
{
	buf_reset(b);
	cbor_put_map(b, 5);
	cbor_put_uint(b, 1);
	cbor_put_uint(b, 2);
	cbor_put_uint(b, 3);
	cbor_put_int(b, ALG_ES256);
	cbor_put_int(b, -1);
	cbor_put_uint(b, 1);
	cbor_put_int(b, -2);
	cbor_put_bytes(b, x);
	cbor_put_int(b, -3);
	if (compressed)
		cbor_put_bool(b, y.p[y.n - 1] & 1);
	else
		cbor_put_bytes(b, y);
}

START_TEST(cose_key_p256)
{
	struct key *k = generate(KEY_P256), *bad;
	struct buf spki = BUF_INIT(256), b = BUF_INIT(256);

	ck_assert_int_eq(key_public_spki(k, &spki, &err), 0);
	struct slice x = slice_of(spki.p + spki.n - 64, 32), y = slice_of(spki.p + spki.n - 32, 32);
	put_point(&b, x, y, false);
	check_form(k, &b, false);
	put_point(&b, x, y, true);
	check_form(k, &b, false);
	put_point(&b, x, slice_of(y.p, 31), false);
	ck_assert_int_eq(key_load(buf_slice(&b), &bad, &err), -1);
	put_point(&b, y, x, false); /* not on the curve */
	ck_assert_int_eq(key_load(buf_slice(&b), &bad, &err), -1);
	ck_assert_ptr_null(bad);
	put_point(&b, x, y, false);
	b.p[5] = 0x26; /* alg -7 becomes something else */
	b.p[4] = 0x38;
	ck_assert_int_eq(key_load(buf_slice(&b), &bad, &err), -1);
	key_free(k);
	buf_free(&spki);
	buf_free(&b);
}
END_TEST

START_TEST(keys_refused)
{
	static const char *const texts[] = {
		"",
		"x",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"
		"-----END ENCRYPTED PRIVATE KEY-----\n",
		"\xa1\x01\x04",
		"\xa1\x01\x02",
		"\xa2\x01\x02\x01\x02",
		"\xa0",
	};
	struct buf spki = BUF_INIT(256);
	struct key *k = generate(KEY_P256), *bad;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_int_eq(key_load(slice_str(texts[i]), &bad, &err), -1);
		ck_assert_ptr_null(bad);
	}
	ck_assert_int_eq(key_public_spki(k, &spki, &err), 0);
	buf_add_u8(&spki, 0);
	ck_assert_int_eq(key_load(buf_slice(&spki), &bad, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "behind the end"));
	key_free(k);
	buf_free(&spki);
}
END_TEST

START_TEST(certificate)
{
	struct key *k = generate(kinds[_i].kind);
	struct buf pem = BUF_INIT(8192);

	ck_assert_msg(crypto_self_signed(k, "gateway.example", 30, &pem, &err) == 0, "%s",
		      err.text);
	ck_assert(slice_starts(buf_slice(&pem), "-----BEGIN CERTIFICATE-----"));
	buf_reset(&pem);
	ck_assert_int_eq(crypto_self_signed(k, NULL, 1, &pem, &err), 0);
	ck_assert_int_eq(crypto_self_signed(k, "a,DNS:b", 1, &pem, &err), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
	ck_assert_int_eq(crypto_self_signed(k, "x", 0, &pem, &err), -1);
	key_free(k);
	buf_free(&pem);
}
END_TEST

START_TEST(sign1_round_trip)
{
	struct key *k = generate(kinds[_i].kind);
	struct buf b = BUF_INIT(1024);
	struct slice none = { 0 }, text = slice_str("payload");
	struct cose_sign1 c;
	struct digest id;

	ck_assert_int_eq(key_id(k, &id), 0);
	ck_assert_int_eq(cose_sign1_make(k, kinds[_i].algs[1], text, false, &b, &err), 0);
	ck_assert_int_eq(cose_sign1_parse(buf_slice(&b), &c, &err), 0);
	ck_assert_int_eq(c.alg, kinds[_i].algs[1]);
	ck_assert(slice_eq(c.kid, slice_of(id.b, 8)));
	ck_assert(!c.detached && slice_eq(c.payload, text));
	ck_assert_int_eq(cose_sign1_verify(&c, none, none, k, &err), 0);
	ck_assert_int_eq(cose_sign1_verify(&c, text, none, k, &err), 0);
	ck_assert_int_eq(cose_sign1_verify(&c, slice_str("other"), none, k, &err), -1);
	ck_assert_int_eq(cose_sign1_verify(&c, none, slice_str("aad"), k, &err), -1);
	buf_reset(&b);
	ck_assert_int_eq(cose_sign1_make(k, kinds[_i].algs[0], text, true, &b, &err), 0);
	ck_assert_int_eq(cose_sign1_parse(buf_slice(&b), &c, &err), 0);
	ck_assert(c.detached);
	ck_assert_int_eq(cose_sign1_verify(&c, text, none, k, &err), 0);
	ck_assert_int_eq(cose_sign1_verify(&c, none, none, k, &err), -1);
	key_free(k);
	buf_free(&b);
}
END_TEST

static const struct {
	const char *hex;
	enum err_code code;
	const char *says;
} messages[] = {
	{ "d28443a10126a0f640", ERR_NONE, "" },
	{ "8443a10126a0f640", ERR_NONE, "" },
	{ "d2844aa20126028201044161", ERR_MALFORMED, "" },
	{ "d28446a20126028101a0f640", ERR_NONE, "" }, /* crit [alg] */
	{ "d28446a20126028105a0f640", ERR_UNSUPPORTED, "crit names label 5" },
	{ "d28447a2012602816161a0f640", ERR_UNSUPPORTED, "crit names" },
	{ "d28445a201260280a0f640", ERR_MALFORMED, "crit with 0" },
	{ "d28446a20126028100a0f640", ERR_UNSUPPORTED, "crit names label 0" },
	{ "d2844ea201260289010101010101010101a0f640", ERR_MALFORMED, "crit with 9" },
	{ "d28445a201260200a0f640", ERR_MALFORMED, "protected header" },
	{ "d28448a201260282410001a0f640", ERR_MALFORMED, "protected header" },
	{ "d28445a101198000a0f640", ERR_UNSUPPORTED, "algorithm 32768" },
	{ "d28445a101398000a0f640", ERR_UNSUPPORTED, "algorithm -32769" },
	{ "d8618443a10126a0f640", ERR_UNSUPPORTED, "tag 97" },
	{ "d08443a10126a0f640", ERR_UNSUPPORTED, "tag 16" },
	{ "d28443a10126a1028101f640", ERR_MALFORMED, "outside the protected" },
	{ "d28443a10126a10126f640", ERR_MALFORMED, "duplicate" },
	{ "d28445a201260126a0f640", ERR_MALFORMED, "duplicate" },
	{ "d28440a10126f640", ERR_MALFORMED, "without an algorithm" },
	{ "d28441a0a10126f640", ERR_MALFORMED, "without an algorithm" },
	{ "d28445a10163616263a0f640", ERR_MALFORMED, "" },
	{ "d28446a10163616263a0f640", ERR_UNSUPPORTED, "text name" },
	{ "d8628443a10126a0f640", ERR_UNSUPPORTED, "tag 98" },
	{ "d18443a10126a0f640", ERR_UNSUPPORTED, "tag 17" },
	{ "c18443a10126a0f640", ERR_MALFORMED, "tag" },
	{ "d28343a10126a0f6", ERR_MALFORMED, "array of 4" },
	{ "d28443a10126a0f64000", ERR_MALFORMED, "behind the end" },
	{ "d28443a10126a0f600", ERR_MALFORMED, "byte string" },
	{ "d28444a1012600a0f640", ERR_MALFORMED, "protected header" },
};

START_TEST(sign1_parse)
{
	struct cose_sign1 c;
	uint8_t raw[64];
	size_t n = unhex(raw, messages[_i].hex);

	int rc = cose_sign1_parse(slice_of(raw, n), &c, &err);
	ck_assert_msg((rc == 0) == (messages[_i].code == ERR_NONE), "%d: %s", _i, err.text);
	if (rc) {
		ck_assert_msg(err.code == messages[_i].code, "%d: %s", _i, err.text);
		ck_assert_msg(strstr(err.text, messages[_i].says) != NULL, "%d: %s", _i, err.text);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec_crypto");
	TCase *t = tcase_create("crypto");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_test(t, hashing);
	tcase_add_test(t, digest_algorithms);
	tcase_add_loop_test(t, key_forms, 0, N_KINDS);
	tcase_add_loop_test(t, sign_and_verify, 0, N_KINDS);
	tcase_add_test(t, cose_key_ed25519);
	tcase_add_test(t, cose_key_p256);
	tcase_add_test(t, keys_refused);
	tcase_add_loop_test(t, certificate, 0, N_KINDS);
	tcase_add_loop_test(t, sign1_round_trip, 0, N_KINDS);
	tcase_add_loop_test(t, sign1_parse, 0, sizeof(messages) / sizeof(messages[0]));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
