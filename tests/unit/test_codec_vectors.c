/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * Verdicts over vectors that others made. FETTLE_EXTRA_VECTORS names the folder;
 * without it the program reports itself skipped.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/cbor.h"
#include "codec/cose.h"
#include "codec/suit.h"

#define SKIPPED 77

static const char *root;

static void path_of(char dst[512], const char *name)
{
	ck_assert_int_eq(text_format(dst, 512, "%s/%s", root, name), 0);
}

static struct slice read_file(const char *name)
{
	char path[512];
	uint8_t *p = malloc(SUIT_ENVELOPE_MAX);
	FILE *f;

	path_of(path, name);
	f = fopen(path, "rb");
	ck_assert_msg(f && p, "%s cannot be read", path);
	size_t n = fread(p, 1, SUIT_ENVELOPE_MAX, f);
	ck_assert(feof(f));
	fclose(f);
	return slice_of(p, n);
}

static json_t *read_json(const char *name)
{
	char path[512];
	json_error_t je;

	path_of(path, name);
	/* appendix A holds numbers wider than 64 bits: as reals they parse, and are not used */
	json_t *j = json_load_file(path, JSON_DECODE_INT_AS_REAL, &je);
	ck_assert_msg(j != NULL, "%s:%d: %s", path, je.line, je.text);
	return j;
}

static struct key *read_key(const char *name)
{
	struct slice s = read_file(name);
	struct key *k;
	struct err e;

	ck_assert_msg(key_load(s, &k, &e) == 0, "%s: %s", name, e.text);
	free((void *)(uintptr_t)s.p);
	return k;
}

static struct slice unhex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *p = malloc(n + 1);

	ck_assert(p && text_unhex(p, n, slice_str(hex)) == 0);
	return slice_of(p, n);
}

enum verdict { VALID, UNSIGNED, WRONG };
enum reading { READS, OLD_LAYOUT, DEPENDENCIES };

static const struct {
	const char *file;
	enum verdict verdict;
	enum reading reading;
	unsigned images;
	bool severed;
} envelopes[] = {
	{ "ietf-37/example0.signed", VALID, READS, 1, false },
	{ "ietf-37/example0.unsigned", UNSIGNED, READS, 1, false },
	{ "ietf-37/example1.signed", VALID, READS, 1, false },
	{ "ietf-37/example1.unsigned", UNSIGNED, READS, 1, false },
	{ "ietf-37/example2.signed", VALID, READS, 1, true },
	{ "ietf-37/example2.signed-severed", VALID, READS, 1, false },
	{ "ietf-37/example2.unsigned-severed", UNSIGNED, READS, 1, false },
	{ "ietf-37/example3.signed", VALID, READS, 2, false },
	{ "ietf-37/example3.unsigned", UNSIGNED, READS, 2, false },
	{ "ietf-37/example4.signed", VALID, READS, 2, false },
	{ "ietf-37/example4.unsigned", UNSIGNED, READS, 2, false },
	{ "ietf-37/example5.signed", VALID, READS, 2, false },
	{ "ietf-37/example5.unsigned", UNSIGNED, READS, 2, false },
	{ "esp256/example0.signed", WRONG, READS, 1, false },
	{ "esp256/example1.signed", VALID, READS, 1, false },
	{ "esp256/example2.signed", VALID, READS, 1, true },
	{ "esp256/example2.signed-severed", VALID, READS, 1, false },
	{ "esp256/example3.signed", VALID, READS, 2, false },
	{ "esp256/example4.signed", VALID, READS, 2, false },
	{ "esp256/example5.signed", VALID, READS, 2, false },
	{ "esp256/example0.unsigned", UNSIGNED, READS, 1, false },
	{ "esp256/example1.unsigned", UNSIGNED, READS, 1, false },
	{ "esp256/example2.unsigned-severed", UNSIGNED, READS, 1, false },
	{ "esp256/example3.unsigned", UNSIGNED, READS, 2, false },
	{ "esp256/example4.unsigned", UNSIGNED, READS, 2, false },
	{ "esp256/example5.unsigned", UNSIGNED, READS, 2, false },
	{ "trust-domains/example0_dependent", VALID, READS, 0, false },
	{ "trust-domains/example1_process", VALID, DEPENDENCIES, 0, false },
	{ "trust-domains/example2_integrated", VALID, DEPENDENCIES, 0, false },
	{ "ietf-19/example1.signed", VALID, OLD_LAYOUT, 0, false },
	{ "ietf-19/example3.signed", VALID, OLD_LAYOUT, 0, false },
	{ "libcsuit/suit_manifest_expU2", VALID, READS, 1, true },
	{ "libcsuit/suit_manifest_expU3", VALID, READS, 3, false },
	{ "libcsuit/suit_manifest_expI", VALID, READS, 1, false },
	{ "libcsuit/suit_manifest_expU", VALID, READS, 1, false },
	{ "libcsuit/suit_manifest_expD", VALID, DEPENDENCIES, 0, false },
};
#define N_ENVELOPES (sizeof(envelopes) / sizeof(envelopes[0]))

START_TEST(suit_verdict)
{
	struct key *k = read_key("suit/public_key.pem");
	struct suit_manifest m;
	struct slice s;
	char name[128];
	struct err e;
	enum alg alg;

	ck_assert_int_eq(text_format(name, sizeof(name), "suit/%s.suit", envelopes[_i].file), 0);
	s = read_file(name);
	ck_assert_msg(suit_open(s, &m, &e) == 0, "%s: %s", name, e.text);
	int rc = suit_verify_key(&m, k, &alg, &e);
	ck_assert_msg((rc == 0) == (envelopes[_i].verdict == VALID), "%s: verdict %d", name, rc);
	ck_assert_int_eq(m.n_signatures == 0, envelopes[_i].verdict == UNSIGNED);
	if (rc)
		ck_assert_int_eq(e.code, ERR_VERIFY);
	rc = suit_parse(s, &m, &e);
	ck_assert_msg((rc == 0) == (envelopes[_i].reading == READS), "%s: %s", name, e.text);
	if (envelopes[_i].reading == OLD_LAYOUT)
		ck_assert_ptr_nonnull(strstr(e.text, "layout of draft"));
	if (envelopes[_i].reading == DEPENDENCIES)
		ck_assert_ptr_nonnull(strstr(e.text, "dependencies"));
	if (rc)
		ck_assert_int_eq(e.code, ERR_UNSUPPORTED);
	else if (strncmp(envelopes[_i].file, "trust", 5) != 0)
		ck_assert_uint_eq(m.n_images, envelopes[_i].images);
	ck_assert_int_eq(m.severed, envelopes[_i].severed);
	key_free(k);
	free((void *)(uintptr_t)s.p);
}
END_TEST

/* The rest of libcsuit's: three are authenticated by HMAC, which is not checked here. */
static const struct {
	const char *file;
	enum verdict verdict;
} signatures[] = {
	{ "exp0", VALID },	{ "exp1", VALID },     { "exp2A", VALID }, { "exp2B", VALID },
	{ "exp3", VALID },	{ "exp4", VALID },     { "exp5", VALID },  { "expAF", UNSIGNED },
	{ "expAFS", UNSIGNED }, { "expAW", UNSIGNED }, { "expED", VALID }, { "expEW", VALID },
	{ "expS0", VALID },	{ "expS2", VALID },    { "expS3", VALID }, { "expU0", VALID },
	{ "expU1", VALID },
};

START_TEST(suit_signature)
{
	struct key *k = read_key("suit/public_key.pem");
	struct suit_manifest m;
	struct slice s;
	char name[128];
	struct err e;
	enum alg alg;

	ck_assert_int_eq(text_format(name, sizeof(name), "suit/libcsuit/suit_manifest_%s.suit",
				     signatures[_i].file),
			 0);
	s = read_file(name);
	ck_assert_msg(suit_open(s, &m, &e) == 0, "%s: %s", name, e.text);
	ck_assert_int_eq(suit_verify_key(&m, k, &alg, &e) == 0, signatures[_i].verdict == VALID);
	ck_assert_int_eq(m.n_signatures == 0, signatures[_i].verdict == UNSIGNED);
	key_free(k);
	free((void *)(uintptr_t)s.p);
}
END_TEST

START_TEST(suit_old_layouts)
{
	static const char *const files[] = {
		"suit/ietf-09/example0.signed.suit",
		"suit/ietf-09/example2.signed.suit",
		"suit/ietf-09/example5.unsigned.suit",
		"suit/ietf-19/example2.signed.suit",
	};
	struct slice s = read_file(files[_i]);
	struct suit_manifest m;
	struct err e;

	ck_assert_int_eq(suit_open(s, &m, &e), -1);
	ck_assert_int_eq(e.code, ERR_UNSUPPORTED);
	ck_assert_msg(strstr(e.text, "layout of draft-ietf-suit-manifest-") != NULL, "%s", e.text);
	free((void *)(uintptr_t)s.p);
}
END_TEST

/* In example 2 a byte of a severed member is changed: the signature stays good. */
START_TEST(suit_severed_digest)
{
	struct slice s = read_file("suit/ietf-37/example2.signed.suit");
	uint8_t *p = (uint8_t *)(uintptr_t)s.p;
	struct key *k = read_key("suit/public_key.pem");
	struct suit_manifest m;
	struct err e;
	enum alg alg;

	p[s.n - 1] ^= 1;
	ck_assert_int_eq(suit_open(s, &m, &e), 0);
	ck_assert_int_eq(suit_verify_key(&m, k, &alg, &e), 0);
	ck_assert_int_eq(suit_parse(s, &m, &e), -1);
	ck_assert_int_eq(e.code, ERR_VERIFY);
	ck_assert_msg(strstr(e.text, "severed member") != NULL, "%s", e.text);
	key_free(k);
	free(p);
}
END_TEST

/* Verdicts of the reports: a record of a failed condition beats `true`. */
static const struct {
	const char *file;
	bool success;
} reports[] = {
	{ "ok_0", true },	   { "ok_1", true },	       { "ok_3", true },
	{ "ok_I", true },	   { "ok_2A", true },	       { "okfinal_0", true },
	{ "okfinal_I", true },	   { "unsigned_0", true },     { "unsigned_I", true },
	{ "failvendor_0", false }, { "failvendor_1", false },  { "failvendor_3", false },
	{ "failvendor_I", false }, { "failvendor_2A", false }, { "auth_baddig", false },
};

START_TEST(report_verdict)
{
	struct suit_report r;
	struct slice s;
	char name[64];
	struct err e;

	ck_assert_int_eq(text_format(name, sizeof(name), "report/%s.cbor", reports[_i].file), 0);
	s = read_file(name);
	ck_assert_msg(suit_report_parse(s, &r, &e) == 0, "%s: %s", name, e.text);
	ck_assert_msg(r.success == reports[_i].success, "%s: success %d", name, r.success);
	if (strcmp(reports[_i].file, "auth_baddig") != 0)
		ck_assert_uint_eq(r.manifest_digest.n, DIGEST_SIZE);
	free((void *)(uintptr_t)s.p);
}
END_TEST

START_TEST(report_signature)
{
	static const char *const files[] = { "ok_0", "okfinal_I", "failvendor_2A", "failimage_1",
					     "auth_baddig" };
	struct key *k = read_key("report/device_esp256_public.pem");
	struct cose_sign1 c;
	struct slice s;
	char name[64];
	struct err e;

	ck_assert_int_eq(text_format(name, sizeof(name), "report/%s.cbor", files[_i]), 0);
	s = read_file(name);
	ck_assert_msg(cose_sign1_parse(s, &c, &e) == 0, "%s: %s", name, e.text);
	ck_assert_int_eq(c.alg, ALG_ESP256);
	ck_assert_int_eq(cose_sign1_verify(&c, (struct slice){ 0 }, (struct slice){ 0 }, k, &e), 0);
	key_free(k);
	free((void *)(uintptr_t)s.p);
}
END_TEST

/* COSE_Sign1 messages of the COSE working group. */
static const struct {
	const char *file;
	bool valid;
	const char *why; /* what the refusal of a message says that the corpus calls good */
} messages[] = {
	/* an algorithm in the unprotected header alone is not taken */
	{ "sign1-tests/sign-pass-01", false, "without an algorithm" },
	{ "sign1-tests/sign-pass-02", true, NULL },
	{ "sign1-tests/sign-pass-03", true, NULL },
	{ "sign1-tests/sign-fail-01", false, NULL },
	{ "sign1-tests/sign-fail-02", false, NULL },
	{ "sign1-tests/sign-fail-03", false, NULL },
	{ "sign1-tests/sign-fail-04", false, NULL },
	{ "sign1-tests/sign-fail-06", false, NULL },
	{ "sign1-tests/sign-fail-07", false, NULL },
	{ "ecdsa-examples/ecdsa-sig-01", true, NULL },
	{ "ecdsa-examples/ecdsa-sig-02", true, NULL },
	{ "ecdsa-examples/ecdsa-sig-03", true, NULL },
	/* ES512 by a P-256 key: here a number means one curve */
	{ "ecdsa-examples/ecdsa-sig-04", false, "does not fit a key of kind es256" },
	{ "eddsa-examples/eddsa-sig-01", true, NULL },
	/* Ed448 */
	{ "eddsa-examples/eddsa-sig-02", false, "no valid curve" },
};

static void put_member(struct buf *b, int64_t label, const json_t *key, const char *name,
		       const char *hex_name)
{
	const char *text = json_string_value(json_object_get(key, name));
	const char *hex = json_string_value(json_object_get(key, hex_name));
	struct buf raw = BUF_INIT(256);

	ck_assert(text || hex);
	cbor_put_int(b, label);
	if (text) {
		ck_assert_int_eq(text_unbase64url(&raw, slice_str(text)), 0);
	} else {
		struct slice s = unhex(hex);

		buf_add_slice(&raw, s);
		free((void *)(uintptr_t)s.p);
	}
	cbor_put_bytes(b, buf_slice(&raw));
	buf_free(&raw);
}

/* The corpus writes keys as JWK; as COSE_Key they go the way of a stranger's key. */
static int load_jwk(const json_t *key, struct key **out, struct err *e)
{
	static const char *const curves[] = { "", "P-256", "P-384", "P-521", "", "", "Ed25519" };
	const char *crv = json_string_value(json_object_get(key, "crv"));
	struct buf b = BUF_INIT(1024);
	uint64_t number = 0;

	for (size_t i = 1; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curves[i], crv) == 0)
			number = i;
	bool ec = number >= 1 && number <= 3;
	cbor_put_map(&b, ec ? 4 : 3);
	cbor_put_uint(&b, 1);
	cbor_put_uint(&b, ec ? 2 : 1);
	cbor_put_int(&b, -1);
	cbor_put_uint(&b, number ? number : 7);
	put_member(&b, -2, key, "x", "x_hex");
	if (ec)
		put_member(&b, -3, key, "y", "y_hex");
	int rc = key_load(buf_slice(&b), out, e);
	buf_free(&b);
	return rc;
}

static int verify_message(const json_t *j, const json_t *sign, struct err *e)
{
	const char *aad_hex = json_string_value(json_object_get(sign, "external"));
	struct slice bytes =
		unhex(json_string_value(json_object_get(json_object_get(j, "output"), "cbor")));
	struct slice aad = unhex(aad_hex ? aad_hex : "");
	struct key *k = NULL;
	struct cose_sign1 c;
	int rc = load_jwk(json_object_get(sign, "key"), &k, e);

	if (rc == 0)
		rc = cose_sign1_parse(bytes, &c, e);
	if (rc == 0)
		rc = cose_sign1_verify(&c, (struct slice){ 0 }, aad, k, e);
	key_free(k);
	free((void *)(uintptr_t)aad.p);
	free((void *)(uintptr_t)bytes.p);
	return rc;
}

START_TEST(cose_verdict)
{
	const json_t *input, *sign;
	struct err e = { 0 };
	char name[64];
	json_t *j;

	ck_assert_int_eq(text_format(name, sizeof(name), "cose/%s.json", messages[_i].file), 0);
	j = read_json(name);
	input = json_object_get(j, "input");
	sign = json_object_get(input, "sign0");
	ck_assert_ptr_nonnull(sign);
	bool marked = !json_is_true(json_object_get(j, "fail")) &&
		      !json_is_true(json_object_get(input, "fail")) && !strstr(name, "-fail-");
	ck_assert_msg(marked == (messages[_i].valid || messages[_i].why), "%s: corpus", name);
	int rc = verify_message(j, sign, &e);
	ck_assert_msg((rc == 0) == messages[_i].valid, "%s: %d %s", name, rc, e.text);
	if (messages[_i].why)
		ck_assert_msg(strstr(e.text, messages[_i].why) != NULL, "%s: %s", name, e.text);
	json_decref(j);
}
END_TEST

/* Appendix A of RFC 7049: well-formed, but outside the profile for one of these reasons. */
static const char *out_of_profile(const char *hex)
{
	static const struct {
		const char *prefix, *why;
	} reasons[] = {
		{ "f9", "float" },
		{ "fa", "float" },
		{ "fb", "float" },
		{ "c1fb", "float inside" },
		{ "f7", "undefined" },
		{ "f0", "simple" },
		{ "f818", "simple" },
		{ "f8ff", "simple" },
		{ "5f", "indefinite" },
		{ "7f", "indefinite" },
		{ "9f", "indefinite" },
		{ "bf", "indefinite" },
		{ "83018202039f", "indefinite inside" },
		{ "83019f", "indefinite inside" },
		{ "826161bf", "indefinite inside" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strncmp(hex, reasons[i].prefix, strlen(reasons[i].prefix)) == 0)
			return reasons[i].why;
	return NULL;
}

START_TEST(cbor_appendix_a)
{
	json_t *cases = read_json("cbor/appendix_a.json"), *one;
	size_t i, admitted = 0;

	json_array_foreach(cases, i, one)
	{
		const char *hex = json_string_value(json_object_get(one, "hex"));
		const char *why = out_of_profile(hex);
		struct slice s = unhex(hex);
		struct err e = { 0 };
		int rc = cbor_check(s, &e);

		ck_assert_msg((rc == 0) == !why, "%s: %s", hex, rc ? e.text : why);
		admitted += rc == 0;
		free((void *)(uintptr_t)s.p);
	}
	ck_assert_uint_eq(json_array_size(cases), 82);
	ck_assert_uint_gt(admitted, 40);
	json_decref(cases);
}
END_TEST

static struct key *wycheproof_key(const json_t *group)
{
	const char *der = json_string_value(json_object_get(group, "publicKeyDer"));
	struct slice s = unhex(der);
	struct key *k = NULL;
	struct err e;

	ck_assert_msg(key_load(s, &k, &e) == 0, "%s: %s", der, e.text);
	free((void *)(uintptr_t)s.p);
	return k;
}

static void run_wycheproof(const char *file, enum alg alg)
{
	json_t *j = read_json(file), *group, *test;
	size_t i, k, n = 0,
		     expected = (size_t)json_number_value(json_object_get(j, "numberOfTests"));

	json_array_foreach(json_object_get(j, "testGroups"), i, group)
	{
		struct key *key = wycheproof_key(group);

		json_array_foreach(json_object_get(group, "tests"), k, test)
		{
			struct slice msg = unhex(json_string_value(json_object_get(test, "msg")));
			struct slice sig = unhex(json_string_value(json_object_get(test, "sig")));
			bool valid = !strcmp(json_string_value(json_object_get(test, "result")),
					     "valid");
			int rc = key_verify(key, alg, msg, sig, NULL);

			ck_assert_msg((rc == 0) == valid, "%s tcId %.0f", file,
				      json_number_value(json_object_get(test, "tcId")));
			free((void *)(uintptr_t)msg.p);
			free((void *)(uintptr_t)sig.p);
			n++;
		}
		key_free(key);
	}
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_eq(n, expected);
	json_decref(j);
}

START_TEST(wycheproof_ecdsa)
{
	run_wycheproof("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", ALG_ES256);
}
END_TEST

START_TEST(wycheproof_ed25519)
{
	run_wycheproof("wycheproof/ed25519_test.json", ALG_EDDSA);
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *t;
	SRunner *r;
	int failed;

	root = getenv("FETTLE_EXTRA_VECTORS");
	if (!root || !*root)
		return SKIPPED;
	s = suite_create("codec_vectors");
	t = tcase_create("vectors");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, suit_verdict, 0, N_ENVELOPES);
	tcase_add_loop_test(t, suit_signature, 0, sizeof(signatures) / sizeof(signatures[0]));
	tcase_add_loop_test(t, suit_old_layouts, 0, 4);
	tcase_add_test(t, suit_severed_digest);
	tcase_add_loop_test(t, report_verdict, 0, sizeof(reports) / sizeof(reports[0]));
	tcase_add_loop_test(t, report_signature, 0, 5);
	tcase_add_loop_test(t, cose_verdict, 0, sizeof(messages) / sizeof(messages[0]));
	tcase_add_test(t, cbor_appendix_a);
	tcase_add_test(t, wycheproof_ecdsa);
	tcase_add_test(t, wycheproof_ed25519);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
