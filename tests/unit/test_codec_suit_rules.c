/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* What a processor must refuse, and what it derives: manifests put together by hand. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/cbor.h"
#include "codec/suit.h"

static struct suit_manifest m;
static struct err err;
static struct buf out;

static void setup(void)
{
	out = BUF_INIT(1 << 20);
	err = (struct err){ .code = ERR_NONE };
}

static void teardown(void)
{
	buf_free(&out);
}

/*
 * CBOR written by hand: hex digits stand for themselves, <...> is a byte string
 * around what is inside, 'x' a text, blanks nothing.
 */
static const char *put_cbor(struct buf *b, const char *s)
{
	while (*s && *s != '>') {
		uint8_t byte;

		if (*s == ' ') {
			s++;
		} else if (*s == '<') {
			struct buf inner = BUF_INIT(1 << 20);

			s = put_cbor(&inner, s + 1);
			ck_assert_int_eq(*s++, '>');
			cbor_put_bytes(b, buf_slice(&inner));
			buf_free(&inner);
		} else if (*s == '\'') {
			size_t n = strcspn(s + 1, "'");

			cbor_put_text(b, slice_of(s + 1, n));
			s += n + 2;
		} else {
			ck_assert_msg(text_unhex(&byte, 1, slice_of(s, 2)) == 0, "%s", s);
			buf_add_u8(b, byte);
			s += 2;
		}
	}
	return s;
}

#define HASH_A "03<822f5820aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>"
#define HASH_B "03<822f5820bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb>"
#define URI_A "15'http://a/1'"
#define URI_B "15'http://a/2'"

static void put_wrapped(struct buf *b, struct buf *part)
{
	cbor_put_bytes(b, buf_slice(part));
	buf_free(part);
}

/* An unsigned envelope around a manifest, with members behind it. */
static void envelope(struct buf *manifest, const char *more, unsigned n_more)
{
	struct buf raw = BUF_INIT(1 << 20), digest = BUF_INIT(64), auth = BUF_INIT(128);
	struct digest d;

	put_wrapped(&raw, manifest);
	ck_assert_int_eq(sha256_once(buf_slice(&raw), &d), 0);
	cbor_put_array(&digest, 2);
	cbor_put_int(&digest, ALG_SHA256);
	cbor_put_bytes(&digest, slice_of(d.b, DIGEST_SIZE));
	cbor_put_array(&auth, 1);
	put_wrapped(&auth, &digest);
	buf_reset(&out);
	cbor_put_tag(&out, 107);
	cbor_put_map(&out, 2 + n_more);
	cbor_put_uint(&out, 2);
	put_wrapped(&out, &auth);
	cbor_put_uint(&out, 3);
	buf_add_slice(&out, buf_slice(&raw));
	put_cbor(&out, more);
	buf_free(&raw);
}

/* {1: 1, 2: 7, 3: {2: [[h'00'], ...], 4: shared}, 20: install, more}; NULL: not there. */
static void put_manifest(struct buf *b, unsigned components, const char *shared,
			 const char *install, const char *more, unsigned n_more)
{
	struct buf common = BUF_INIT(1 << 20), part = BUF_INIT(1 << 20);

	cbor_put_map(&common, 1U + (shared != NULL));
	cbor_put_uint(&common, 2);
	cbor_put_array(&common, components);
	for (unsigned i = 0; i < components; i++) {
		uint8_t id = (uint8_t)i;

		cbor_put_array(&common, 1);
		cbor_put_bytes(&common, slice_of(&id, 1));
	}
	if (shared) {
		cbor_put_uint(&common, 4);
		put_cbor(&part, shared);
		put_wrapped(&common, &part);
	}
	cbor_put_map(b, 3U + (install != NULL) + n_more);
	put_cbor(b, "0101 0207 03");
	put_wrapped(b, &common);
	if (install) {
		cbor_put_uint(b, 20);
		put_cbor(&part, install);
		put_wrapped(b, &part);
	}
	put_cbor(b, more);
}

static void build(unsigned components, const char *shared, const char *install)
{
	struct buf b = BUF_INIT(1 << 20);

	put_manifest(&b, components, shared, install, "", 0);
	envelope(&b, "", 0);
}

static int parse(void)
{
	ck_assert_msg(suit_open(buf_slice(&out), &m, &err) == 0, "%s", err.text);
	return suit_parse(buf_slice(&out), &m, &err);
}

static void parses(void)
{
	ck_assert_msg(parse() == 0, "%s", err.text);
}

static const struct {
	const char *what;
	unsigned components;
	const char *shared, *install;
	enum err_code code; /* ERR_NONE: fine */
	const char *says;
} rules[] = {
	{ "fetch", 1, "8214a1" HASH_A, "8414a1" URI_A "1502", ERR_NONE, "" },
	{ "no sequences", 1, NULL, NULL, ERR_NONE, "" },
	{ "no components", 0, NULL, NULL, ERR_MALFORMED, "0 components" },
	{ "16 components", 16, NULL, NULL, ERR_NONE, "" },
	{ "17 components", 17, NULL, NULL, ERR_TOO_LARGE, "17 components" },
	{ "empty sequence", 1, "80", NULL, ERR_MALFORMED, "sequence with 0" },
	{ "odd sequence", 1, "8114", NULL, ERR_MALFORMED, "sequence with 1" },
	{ "no sequence", 1, "a0", NULL, ERR_MALFORMED, "expected an array" },
	{ "several need an index", 2, "8214a10e01", NULL, ERR_INVALID, "set-component-index" },
	{ "install again", 2, "820c00", "8214a1" URI_A, ERR_INVALID, "install" },
	{ "index in range", 2, "820c02", NULL, ERR_INVALID, "index 2 out of range" },
	{ "index of one", 1, "820c01", NULL, ERR_INVALID, "out of range" },
	{ "index true", 2, "840cf5 14a10e01", NULL, ERR_NONE, "" },
	{ "index false", 2, "820cf4", NULL, ERR_INVALID, "false" },
	{ "index list", 2, "840c820001 14a10e01", NULL, ERR_NONE, "" },
	{ "index list range", 2, "820c820002", NULL, ERR_INVALID, "out of range" },
	{ "index list empty", 2, "820c80", NULL, ERR_INVALID, "empty" },
	{ "override-multiple first", 2, "821822a2 00a10e01 01a10e02", NULL, ERR_NONE, "" },
	{ "override-multiple range", 2, "821822a1 02a10e01", NULL, ERR_INVALID, "out of range" },
	{ "copy-params range", 2, "840c00 1823a1 058103", NULL, ERR_INVALID, "out of range" },
	{ "custom in shared", 1, "82 3901ff 00", NULL, ERR_INVALID, "custom command" },
	{ "custom elsewhere", 1, NULL, "82 3901ff 00", ERR_NONE, "" },
	{ "custom in a nested one", 1, "821820<82 3901ff 00>", NULL, ERR_INVALID, "custom" },
	{ "fetch in shared", 1, "8414a1" URI_A "1502", NULL, ERR_INVALID, "command 21" },
	{ "unknown command", 1, "82186300", NULL, ERR_UNSUPPORTED, "command 99" },
	{ "unknown parameter", 1, "8214a1186300", NULL, ERR_UNSUPPORTED, "parameter 99" },
	{ "vendor's parameter", 1, "8214a1 3901ff 'a'", NULL, ERR_NONE, "" },
	{ "duplicate parameter", 1, "8214a2 0e01 0e02", NULL, ERR_MALFORMED, "duplicate" },
	{ "policy", 1, "8414a1" HASH_A "0310", NULL, ERR_INVALID, "policy 16" },
	{ "match without digest", 1, "82030f", NULL, ERR_INVALID, "without parameter 3" },
	{ "match with digest", 1, "8414a1" HASH_A "030f", NULL, ERR_NONE, "" },
	{ "fetch without uri", 1, NULL, "821502", ERR_INVALID, "without parameter 21" },
	{ "copy without source", 1, NULL, "821602", ERR_INVALID, "without parameter 22" },
	{ "copy", 2, NULL, "860c00 14a11601 1602", ERR_NONE, "" },
	{ "source in range", 1, NULL, "8214a11601", ERR_INVALID, "source component 1" },
	{ "set-parameters", 1, "8413a10e01 14a10e02", NULL, ERR_NONE, "" },
	{ "relative uri", 1, NULL, "8214a115'a/b'", ERR_INVALID, "neither absolute" },
	{ "uri of no payload", 1, NULL, "8214a115'#x'", ERR_INVALID, "neither absolute" },
	{ "uri with a blank", 1, NULL, "8214a115'http://a b'", ERR_INVALID, "spaces" },
	{ "scheme alone", 1, NULL, "8214a115'a:'", ERR_INVALID, "neither" },
	{ "digit scheme", 1, NULL, "8214a115'1a:b'", ERR_INVALID, "neither" },
	{ "uuid length", 1, "8214a101<010203>", NULL, ERR_INVALID, "no UUID" },
	{ "vendor as PEN", 1, "8214a101d870<010203>", NULL, ERR_NONE, "" },
	{ "vendor of other tag", 1, "8214a101d871<010203>", NULL, ERR_INVALID, "enterprise" },
	{ "digest algorithm 2", 1, "8214a103<820241 00>", NULL, ERR_UNSUPPORTED, "layout" },
	{ "digest shape", 1, "8214a103<812f>", NULL, ERR_MALFORMED, "image digest" },
	{ "process-dependency", 1, NULL, "820b0f", ERR_UNSUPPORTED, "dependencies" },
	{ "is-dependency", 1, "82080f", NULL, ERR_UNSUPPORTED, "dependencies" },
	{ "try-each of one", 1, "820f81<820e0f>", NULL, ERR_MALFORMED, "fewer than two" },
	{ "try-each skipped", 1, "820f82<8214a10e01>f6", NULL, ERR_NONE, "" },
	{ "nil not last", 1, "820f83<8214a10e01>f6<8214a10e02>", NULL, ERR_MALFORMED,
	  "expected a byte string" },
	{ "abort in a branch", 1, "820f82<820e0f><8214a10e01>", NULL, ERR_NONE, "" },
	{ "abort always", 1, NULL, "820e0f", ERR_INVALID, "no alternative" },
	{ "all branches abort", 1, "820f82<820e0f><820e0f>", NULL, ERR_INVALID, "no alternative" },
	{ "slots that exclude", 1, "8814a10500 050f 14a10501 050f", NULL, ERR_INVALID,
	  "no alternative" },
	{ "run-sequence", 1, "821820<8214a10e01>", NULL, ERR_NONE, "" },
	{ "depth 8", 1, "821820<821820<821820<821820<821820<821820<821820<8214a10e01>>>>>>>", NULL,
	  ERR_NONE, "" },
	{ "depth 9", 1,
	  "821820<821820<821820<821820<821820<821820<821820<821820<8214a10e01>>>>>>>>", NULL,
	  ERR_TOO_LARGE, "nested deeper" },
	{ "version condition", 1, "8414a1181c<8201820102>181c0f", NULL, ERR_NONE, "" },
	{ "version operator", 1, "8214a1181c<82068101>", NULL, ERR_UNSUPPORTED, "comparison 6" },
	{ "version parts", 1, "8214a1181c<82018120>", NULL, ERR_INVALID, "version condition" },
	{ "wait event", 1, "8214a1181d<a10a00>", NULL, ERR_UNSUPPORTED, "wait event 10" },
	{ "wait day", 1, "8214a1181d<a10707>", NULL, ERR_INVALID, "out of range" },
	{ "wait for another", 1, "8214a1181d<a10482<00>818201820102>", NULL, ERR_NONE, "" },
	{ "policy as text", 1, "8414a1181a1832 181a'x'", NULL, ERR_MALFORMED, "shared sequence" },
	{ "version asked with a text", 1, "8414a1181c<8201820102>181c'x'", NULL, ERR_MALFORMED,
	  "shared sequence" },
	{ "version asked twice", 1, "8614a1181c<8201820102>181c0f181c0f", NULL, ERR_NONE, "" },
	{ "index list of texts", 2, "820c82'a'00", NULL, ERR_MALFORMED, "shared sequence" },
	{ "override-multiple below", 2, "821822a1 20a10e01", NULL, ERR_INVALID, "index -1" },
	{ "override-multiple key", 2, "821822a2'a'a0 00a0", NULL, ERR_MALFORMED, "sequence" },
	{ "copy-params below", 2, "840c00 1823a1 208103", NULL, ERR_INVALID, "index -1" },
	{ "copy-params of a text", 2, "840c00 1823a2 0081'a' 0180", NULL, ERR_MALFORMED, "" },
	{ "copy-params of what is not", 2, "840c00 1823a1 01 83201821 0e", NULL, ERR_NONE, "" },
	{ "try-each of a number", 1, "820f02", NULL, ERR_MALFORMED, "expected an array" },
	{ "uuid as number", 1, "8214a10101", NULL, ERR_MALFORMED, "byte string" },
	{ "digest as number", 1, "8214a10301", NULL, ERR_MALFORMED, "byte string" },
	{ "uri of nothing", 1, NULL, "8214a11560", ERR_INVALID, "neither" },
	{ "uri as number", 1, NULL, "8214a11501", ERR_MALFORMED, "install" },
	{ "uri with a delete", 1, NULL, "8214a11563613a7f", ERR_INVALID, "control" },
	{ "scheme with a sign", 1, NULL, "8214a115'a{b:c'", ERR_INVALID, "neither" },
	{ "signs in a scheme", 1, NULL, "8414a115'coap+tcp://h'14a115'a-1.b:c'", ERR_NONE, "" },
	{ "scheme of no end", 1, NULL,
	  "8214a115'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
	  ERR_INVALID, "neither" },
	{ "source as text", 1, NULL, "8214a116'x'", ERR_MALFORMED, "install" },
	{ "priority as text", 1, "8214a1181b'x'", NULL, ERR_MALFORMED, "shared sequence" },
	{ "version as number", 1, "8214a1181c01", NULL, ERR_MALFORMED, "byte string" },
	{ "version match of one", 1, "8214a1181c<8101>", NULL, ERR_MALFORMED, "array of 2" },
	{ "version operator 0", 1, "8214a1181c<82008101>", NULL, ERR_UNSUPPORTED, "comparison 0" },
	{ "version operator text", 1, "8214a1181c<82'x'8101>", NULL, ERR_MALFORMED, "version" },
	{ "wait as number", 1, "8214a1181d01", NULL, ERR_MALFORMED, "byte string" },
	{ "wait for power", 1, "8214a1181d<a202000300>", NULL, ERR_NONE, "" },
	{ "wait twice", 1, "8214a1181d<a207010701>", NULL, ERR_MALFORMED, "duplicate" },
	{ "wait day as text", 1, "8214a1181d<a107'x'>", NULL, ERR_MALFORMED, "wait" },
	{ "wait for one of one", 1, "8214a1181d<a10481<00>>", NULL, ERR_MALFORMED, "array of 2" },
	{ "wait for odd ones", 1, "8214a1181d<a10482<00>82820682018101>", NULL, ERR_UNSUPPORTED,
	  "comparison 6" },
	{ "parameter by name", 1, "8214a2'x'00 0e01", NULL, ERR_MALFORMED, "shared sequence" },
	{ "trailing bytes", 1, "8214a10e01 00", NULL, ERR_MALFORMED, "behind the end" },
	{ "cut", 1, "8414a10e01", NULL, ERR_MALFORMED, "shared sequence" },
};

START_TEST(processor_rules)
{
	int rc;

	build(rules[_i].components, rules[_i].shared, rules[_i].install);
	rc = parse();
	ck_assert_msg((rc == 0) == (rules[_i].code == ERR_NONE), "%s: %s", rules[_i].what,
		      rc ? err.text : "taken");
	if (rc == 0)
		return;
	ck_assert_msg(err.code == rules[_i].code, "%s: %s", rules[_i].what, err.text);
	ck_assert_msg(strstr(err.text, rules[_i].says) != NULL, "%s: %s", rules[_i].what, err.text);
	ck_assert_msg(slice_starts(slice_str(err.text), "manifest: "), "%s", err.text);
}
END_TEST

static const struct {
	const char *more;
	enum err_code code;
	const char *says;
} members[] = {
	{ "0a40", ERR_UNSUPPORTED, "-16 or older" },
	{ "0d40", ERR_UNSUPPORTED, "-16 or older" },
	{ "1140", ERR_UNSUPPORTED, "-17 to -28" },
	{ "181d40", ERR_UNSUPPORTED, "unknown manifest member 29" },
	{ "2040", ERR_UNSUPPORTED, "unknown manifest member -1" },
	{ "0207", ERR_MALFORMED, "duplicate" },
	{ "0700", ERR_MALFORMED, "no byte string" },
	{ "07<82>", ERR_MALFORMED, "validate" },
	{ "0f<820c00>", ERR_UNSUPPORTED, "dependencies" },
	{ "06<01>", ERR_MALFORMED, "set-version" },
	{ "06<8120>", ERR_INVALID, "set-version" },
	{ "06<80>", ERR_INVALID, "set-version" },
	{ "06<82 01 23>", ERR_INVALID, "set-version" },
	{ "06<84 01 02 20 03>", ERR_NONE, "" },
	{ "04'http://r/'", ERR_NONE, "" },
	{ "0400", ERR_MALFORMED, "a text" },
	{ "0581<aa>", ERR_NONE, "" },
	{ "17<a0>", ERR_NONE, "" },
	{ "17<a10100>", ERR_UNSUPPORTED, "no languages" },
	{ "17<a1'en'a101'hi'>", ERR_NONE, "" },
	{ "17<a1'en'a10105>", ERR_MALFORMED, "text" },
	{ "17<a1'en'a201'a'01'b'>", ERR_MALFORMED, "duplicate" },
	{ "17<a1'en'a181<00>a0>", ERR_NONE, "" },
	{ "17<a1'en'a181<63>a0>", ERR_INVALID, "common does not list" },
	{ "17822f<00>", ERR_NONE, "" }, /* severed and gone */
	{ "178202<00>", ERR_UNSUPPORTED, "layout" },
	{ "1700", ERR_MALFORMED, "member 23" },
};

START_TEST(manifest_members)
{
	struct buf b = BUF_INIT(1 << 16);
	int rc;

	put_manifest(&b, 1, NULL, NULL, members[_i].more, 1);
	envelope(&b, "", 0);
	rc = parse();
	ck_assert_msg((rc == 0) == (members[_i].code == ERR_NONE), "%s: %s", members[_i].more,
		      rc ? err.text : "taken");
	if (rc) {
		ck_assert_msg(err.code == members[_i].code, "%s: %s", members[_i].more, err.text);
		ck_assert_msg(strstr(err.text, members[_i].says) != NULL, "%s", err.text);
	}
}
END_TEST

#define COMMON "03<a1028181<00>>"
#define SEVENTEEN                                                                        \
	"b1 00a0 01a0 02a0 03a0 04a0 05a0 06a0 07a0 08a0 09a0 0aa0 0ba0 0ca0 0da0 0ea0 " \
	"0fa0 10a0"

/* Whole manifests. Where they are taken, says is what the first component is called. */
static const struct {
	const char *hex;
	enum err_code code;
	const char *says;
} manifests[] = {
	{ "a3 0101 0207" COMMON, ERR_NONE, "00" },
	{ "a3 0102 0207" COMMON, ERR_UNSUPPORTED, "version is not 1" },
	{ "a3 01'1' 0207" COMMON, ERR_MALFORMED, "manifest: " },
	{ "a3 0101 02'7'" COMMON, ERR_MALFORMED, "manifest: " },
	{ "a2 0207" COMMON, ERR_MALFORMED, "without version" },
	{ "a2 0101" COMMON, ERR_MALFORMED, "without version" },
	{ "a2 0101 0207", ERR_MALFORMED, "without version" },
	{ "a3 0101 0207 'x'00", ERR_MALFORMED, "manifest: " },
	{ "a3 0101 0207 03<a1028181<6d61696e>>", ERR_NONE, "main" },
	{ "a3 0101 0207 03<a1028183<6d61696e><7f><20>>", ERR_NONE, "main/7f/20" },
	{ "a3 0101 0207 03<a1028181<612f62>>", ERR_NONE, "612f62" },
	{ "a3 0101 0207 03<a1028182<61><c3a4>>", ERR_NONE, "a/c3a4" },
	{ "a3 0101 0207 03<a102818200 00>", ERR_MALFORMED, "common" },
	{ "a3 0101 0207 03<a1028281<00>81<00>>", ERR_INVALID, "listed twice" },
	{ "a3 0101 0207 03<a1028381<00>81<00>81<01>>", ERR_INVALID, "listed twice" },
	{ "a3 0101 0207 03<a1028181<000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"
	  "1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f4041>>",
	  ERR_TOO_LARGE, "component name" },
	{ "a3 0101 0207 03<a10200>", ERR_MALFORMED, "common" },
	{ "a3 0101 0207 03<a10300>", ERR_UNSUPPORTED, "unknown member 3" },
	{ "a3 0101 0207 03<a201a101a0028181<00>>", ERR_UNSUPPORTED, "dependencies" },
	{ "a3 0101 0207 03<a201a0028181<00>>", ERR_TOO_LARGE, "0 dependencies" },
	{ "a3 0101 0207 03<a201" SEVENTEEN "028181<00>>", ERR_TOO_LARGE, "17 dependencies" },
	{ "a3 0101 0207 03<a20101028181<00>>", ERR_MALFORMED, "common" },
	{ "a3 0101 0207 03<a201a2'x'a001a0028181<00>>", ERR_MALFORMED, "common" },
};

START_TEST(whole_manifests)
{
	struct buf b = BUF_INIT(1 << 16);
	int rc;

	put_cbor(&b, manifests[_i].hex);
	envelope(&b, "", 0);
	rc = parse();
	ck_assert_msg((rc == 0) == (manifests[_i].code == ERR_NONE), "%s: %s", manifests[_i].hex,
		      rc ? err.text : "taken");
	if (rc == 0) {
		ck_assert_str_eq(m.components[0].name, manifests[_i].says);
		return;
	}
	ck_assert_msg(err.code == manifests[_i].code, "%s: %s", manifests[_i].hex, err.text);
	ck_assert_msg(strstr(err.text, manifests[_i].says) != NULL, "%s: %s", manifests[_i].hex,
		      err.text);
}
END_TEST

/* Slots A and B: digests in the shared sequence, URIs in install; each pair once. */
START_TEST(alternatives_by_slot)
{
	build(1, "820f82<8414a20500" HASH_A "050f><8414a20501" HASH_B "050f>",
	      "840f82<8414a20500" URI_A "050f><8414a20501" URI_B "050f>1502");
	parses();
	ck_assert_uint_eq(m.n_images, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(m.images[i].has_slot && m.images[i].slot == i && m.images[i].fetched);
		ck_assert_int_eq(m.images[i].digest.p[0], i ? 0xbb : 0xaa);
		ck_assert(slice_eq_str(m.images[i].uri, i ? "http://a/2" : "http://a/1"));
	}
}
END_TEST

/* Two places for the same bytes are two images; a digest said twice is one. */
START_TEST(alternatives_by_uri)
{
	build(1, "8214a1" HASH_A, "860f82<8214a1" URI_A "><8214a1" URI_B ">1502 030f");
	parses();
	ck_assert_uint_eq(m.n_images, 2);
	ck_assert(slice_eq(m.images[0].digest, m.images[1].digest));
	ck_assert(slice_eq_str(m.images[0].uri, "http://a/1"));
	ck_assert(slice_eq_str(m.images[1].uri, "http://a/2"));
}
END_TEST

/* The branch that changes nothing leaves what was there before. */
START_TEST(alternative_nil)
{
	build(1, "8414a1" HASH_A "0f82<8214a1" HASH_B ">f6", "8414a1" URI_A "1502");
	parses();
	ck_assert_uint_eq(m.n_images, 2);
	ck_assert_int_eq(m.images[0].digest.p[0], 0xbb);
	ck_assert_int_eq(m.images[1].digest.p[0], 0xaa);
}
END_TEST

/* 1 is fetched by what copy-params takes from 0, and 0 is copied from 1. */
START_TEST(components_and_copy)
{
	build(2, "840c00 14a2" HASH_A "0e1907d0",
	      "900c01 1823a100820e03 14a1" URI_A "1502 030f 0c00 14a11601 1602");
	parses();
	ck_assert_uint_eq(m.n_images, 2);
	ck_assert_uint_eq(m.images[0].component, 0);
	ck_assert(!m.images[0].fetched && m.images[0].uri.n == 0);
	ck_assert_uint_eq(m.images[1].component, 1);
	ck_assert(m.images[1].fetched && m.images[1].has_size && m.images[1].size == 2000);
	ck_assert(slice_eq(m.images[0].digest, m.images[1].digest));
}
END_TEST

/* Six two-way choices are 64 ways to run: refused, not tried. */
START_TEST(too_many_alternatives)
{
	build(1,
	      "8a0f82<8214a10e01><8214a10e02>0f82<8214a10e01><8214a10e02>0f82<8214a10e01>"
	      "<8214a10e02>0f82<8214a10e01><8214a10e02>0f82<8214a10e01><8214a10e02>",
	      NULL);
	parses(); /* 32 */
	build(1,
	      "8c0f82<8214a10e01><8214a10e02>0f82<8214a10e01><8214a10e02>0f82<8214a10e01>"
	      "<8214a10e02>0f82<8214a10e01><8214a10e02>0f82<8214a10e01><8214a10e02>"
	      "0f82<8214a10e01><8214a10e02>",
	      NULL);
	ck_assert_int_eq(parse(), -1);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
}
END_TEST

START_TEST(too_many_commands)
{
	for (unsigned n = SUIT_COMMANDS_MAX; n <= SUIT_COMMANDS_MAX + 1; n++) {
		struct buf hex = BUF_INIT(1 << 16);

		buf_printf(&hex, "99%04x", 2 * n);
		for (unsigned i = 0; i < n; i++)
			buf_add_str(&hex, "0c00");
		build(1, buf_cstr(&hex), NULL);
		ck_assert_int_eq(parse(), n > SUIT_COMMANDS_MAX ? -1 : 0);
		buf_free(&hex);
	}
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
}
END_TEST

START_TEST(update_management)
{
	/* the smallest of all priorities counts: 3, the wait's -7, install's 5 */
	build(1,
	      "8a14a5 041a77359400 181a1832 181b03 181c<8202820102>"
	      "181d<a60126051a713fb300061903e80703081907d00904>"
	      "040f 181a0f 181b0f 181c0f",
	      "8414a1 181b05 181d0f");
	parses();
	ck_assert(m.has_use_before && m.use_before == 2000000000 && m.use_before_effective);
	ck_assert(m.has_battery && m.battery_mwh == 50);
	ck_assert(m.has_priority && m.priority == -7);
	ck_assert(m.needs_authorization);
	ck_assert_str_eq(m.version_match, ">= 1.2");
	ck_assert(m.has_not_before && m.not_before == 1900000000);
	ck_assert_int_eq(m.time_of_day_local, 1000);
	ck_assert_int_eq(m.day_of_week_local, 3);
	ck_assert_int_eq(m.time_of_day_utc, 2000);
	ck_assert_int_eq(m.day_of_week_utc, 4);
	/* a parameter alone asks for nothing */
	build(1, "8214a1 0400", NULL);
	parses();
	ck_assert(m.has_use_before && !m.use_before_effective && m.version_match[0] == '\0');
}
END_TEST

/* Said twice: the earlier expiry, the later begin, the most battery, the first clock and vendor. */
START_TEST(the_strictest_counts)
{
	build(1,
	      "8a14a4 01d870<010203> 040a 181a1832 181d<a205186407 03>"
	      "14a4 01d870<0405> 0414 181a181e 181d<a205183207 05>"
	      "14a3 0405 181a1846 181d<a1051878>"
	      "040f 181a0f",
	      NULL);
	parses();
	ck_assert(slice_eq_str(m.vendor_pen, "\x01\x02\x03"));
	ck_assert_uint_eq(m.use_before, 5);
	ck_assert_uint_eq(m.battery_mwh, 70);
	ck_assert_uint_eq(m.not_before, 120);
	ck_assert_int_eq(m.day_of_week_local, 3);
}
END_TEST

/* What stands in the envelope must have the digest that the manifest names. */
static void build_severed(const char *digest_hex, const char *member)
{
	struct buf b = BUF_INIT(1 << 16);
	char more[160];

	ck_assert_int_eq(text_format(more, sizeof(more), "14822f<%s>", digest_hex), 0);
	put_manifest(&b, 1, "8214a1" HASH_A, NULL, more, 1);
	envelope(&b, member, 1);
}

START_TEST(severed_members)
{
	static const char member[] = "<8414a1" URI_A "1502>";
	struct buf raw = BUF_INIT(256), more = BUF_INIT(256);
	char hex[DIGEST_TEXT];
	struct digest d;

	put_cbor(&raw, member);
	ck_assert_int_eq(sha256_once(buf_slice(&raw), &d), 0);
	digest_text(hex, &d);
	buf_printf(&more, "14%s", member);
	build_severed(hex, buf_cstr(&more));
	parses();
	ck_assert(m.severed);
	ck_assert_uint_eq(m.n_images, 1);
	ck_assert(slice_eq_str(m.images[0].uri, "http://a/1"));
	out.p[out.n - 1] ^= 1;
	ck_assert_int_eq(parse(), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	/* the member of another number is nobody's */
	buf_reset(&more);
	buf_printf(&more, "10%s", member);
	build_severed(hex, buf_cstr(&more));
	ck_assert_int_eq(parse(), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(err.text, "not named by the manifest"));
	buf_free(&raw);
	buf_free(&more);
}
END_TEST

static int parse_payload(const char *size, const char *content, unsigned n)
{
	struct buf b = BUF_INIT(1 << 16);
	char shared[256];

	/* SHA-256 of "abc" */
	ck_assert_int_eq(text_format(shared, sizeof(shared),
				     "8214a2 0e%s 03<822f5820ba7816bf8f01cfea"
				     "414140de5dae2223b00361a396177a9cb410ff61f20015ad>",
				     size),
			 0);
	put_manifest(&b, 1, shared, "8414a115'#fw'1502", "", 0);
	envelope(&b, content, n);
	return parse();
}

START_TEST(integrated_payloads)
{
	ck_assert_msg(parse_payload("03", "'#fw'<616263>", 1) == 0, "%s", err.text);
	ck_assert_uint_eq(m.n_payloads, 1);
	ck_assert(slice_eq_str(m.payloads[0].name, "#fw"));
	ck_assert(slice_eq_str(m.payloads[0].bytes, "abc"));
	ck_assert_int_eq(parse_payload("04", "'#fw'<616263>", 1), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	ck_assert_int_eq(parse_payload("03", "'#fw'<616264>", 1), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(err.text, "payload #fw"));
	ck_assert_int_eq(parse_payload("03", "'#fx'<616263>", 1), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
}
END_TEST

/* Each payload is held against the image that names it; an encrypted one has another digest. */
START_TEST(payloads_of_their_own)
{
	struct buf b = BUF_INIT(1 << 16);

	ck_assert_msg(parse_payload("03", "'#fx'<00>'#fw'<616263>", 2) == 0, "%s", err.text);
	ck_assert_uint_eq(m.n_payloads, 2);
	ck_assert_int_eq(parse_payload("03", "'#fx'<616263>'#fw'<616264>", 2), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);

	put_manifest(&b, 1, "8214a1" HASH_A, "8414a213<00>15'#fw'1502", "", 0);
	envelope(&b, "'#fw'<616263>", 1);
	parses();
	ck_assert(m.images[0].encrypted);
	/* without a digest, size is all there is to hold against it */
	put_manifest(&b, 1, "8214a10e03", "8414a115'#fw'1502", "", 0);
	envelope(&b, "'#fw'<616263>", 1);
	parses();
	put_manifest(&b, 1, "8214a10e02", "8414a115'#fw'1502", "", 0);
	envelope(&b, "'#fw'<616263>", 1);
	ck_assert_int_eq(parse(), -1);
	ck_assert_int_eq(err.code, ERR_VERIFY);
}
END_TEST

/* 64 payloads, not 65. */
START_TEST(too_many_payloads)
{
	for (unsigned n = SUIT_ENTRIES_MAX; n <= SUIT_ENTRIES_MAX + 1; n++) {
		struct buf b = BUF_INIT(1 << 16), more = BUF_INIT(1 << 16);

		for (unsigned i = 0; i < n; i++)
			buf_printf(&more, "'#%u'<00>", i);
		put_manifest(&b, 1, NULL, NULL, "", 0);
		envelope(&b, buf_cstr(&more), n);
		ck_assert_int_eq(suit_open(buf_slice(&out), &m, &err),
				 n > SUIT_ENTRIES_MAX ? -1 : 0);
		buf_free(&more);
	}
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
}
END_TEST

/* Every line of the first language; the second one is only looked over. */
START_TEST(texts)
{
	struct buf b = BUF_INIT(1 << 16);

	put_manifest(&b, 2, NULL, NULL,
		     "17<a2 'en' a5 01'd' 02'u' 03'j'"
		     "81<01> a9 01'n' 02'm' 03'o' 04'i' 05'c' 06'v' 07'r' 08'k' 0900"
		     "81<00> a1 01'x'"
		     "'de' a1 01'D'>",
		     1);
	envelope(&b, "", 0);
	parses();
	ck_assert(slice_eq_str(m.text.language, "en"));
	ck_assert(slice_eq_str(m.text.description, "d"));
	ck_assert(slice_eq_str(m.text.update_description, "u"));
	ck_assert(slice_eq_str(m.text.vendor_name, "n"));
	ck_assert(slice_eq_str(m.text.model_name, "m"));
	ck_assert(slice_eq_str(m.text.vendor_domain, "o"));
	ck_assert(slice_eq_str(m.text.model_info, "i"));
	ck_assert(slice_eq_str(m.text.component_description, "c"));
	ck_assert(slice_eq_str(m.text.component_version, "v"));
	ck_assert(slice_eq_str(m.text.version_required, "r"));
	ck_assert(slice_eq_str(m.text.current_version, "k"));
}
END_TEST

START_TEST(encrypted_and_written)
{
	build(2, NULL, "8e0c00 14a3" HASH_A "13<00>" URI_A "1502 0c01 14a1 12<616263> 1202 060f");
	parses();
	ck_assert_uint_eq(m.n_images, 2);
	ck_assert(m.images[0].encrypted && m.images[0].fetched);
	ck_assert(!m.images[1].encrypted && slice_eq_str(m.images[1].content, "abc"));
	ck_assert_uint_eq(m.images[1].digest.n, 0);
}
END_TEST

static const struct {
	const char *hex;
	enum err_code code;
	const char *says;
} outer[] = {
	{ "a0", ERR_MALFORMED, "without authentication" },
	{ "d86ba0", ERR_MALFORMED, "without authentication" },
	{ "d90428a0", ERR_MALFORMED, "is not a SUIT envelope" },
	{ "d9042ea0", ERR_UNSUPPORTED, "bare manifest" },
	{ "d86ba202<80>03<a0>", ERR_MALFORMED, "authentication" },
	{ "d86ba202<81<822f<00>>>03<a0>", ERR_VERIFY, "does not match" },
	{ "d86ba202<81<823831<00>>>03<a0>", ERR_UNSUPPORTED, "digest algorithm" },
	{ "d86ba202<81<820241 00>>03<a0>", ERR_UNSUPPORTED, "-12 or older" },
	{ "d86ba202<81<d28440a0<00>40>>03<a0>", ERR_UNSUPPORTED, "-11 or older" },
	{ "d86ba202<82<822f<00>>00>03<a0>", ERR_MALFORMED, "byte string" },
	{ "d86ba202<82<822f<00>><8440a0f640>>03<a0>", ERR_MALFORMED, "no tagged COSE" },
	{ "a201<80>02<a0>", ERR_UNSUPPORTED, "-13 or older" },
	{ "a302<80>03<a0>09<00>", ERR_UNSUPPORTED, "-16 or older" },
	{ "a302<80>03<a0>11<00>", ERR_UNSUPPORTED, "-17 to -28" },
	{ "a302<80>03<a0>1818<00>", ERR_UNSUPPORTED, "unknown envelope member 24" },
	{ "a302<80>03<a0>02<80>", ERR_MALFORMED, "duplicate" },
	{ "a402<80>03<a0>'#a'<00>'#a'<00>", ERR_MALFORMED, "duplicate" },
	{ "a302<80>03<a0>'#a'00", ERR_MALFORMED, "byte string" },
	{ "80", ERR_MALFORMED, "expected a map" },
	{ "", ERR_MALFORMED, "" },
};

START_TEST(envelopes)
{
	put_cbor(&out, outer[_i].hex);
	ck_assert_int_eq(suit_open(buf_slice(&out), &m, &err), -1);
	ck_assert_msg(err.code == outer[_i].code, "%s: %s", outer[_i].hex, err.text);
	ck_assert_msg(strstr(err.text, outer[_i].says) != NULL, "%s: %s", outer[_i].hex, err.text);
}
END_TEST

/* suit_parse() reads only what suit_open() has seen: not the same bytes before or behind it. */
START_TEST(not_opened)
{
	struct buf copy = BUF_INIT(1 << 16);

	build(1, NULL, NULL);
	parses();
	buf_add_slice(&copy, buf_slice(&out));
	buf_add_slice(&copy, buf_slice(&out));
	struct slice first = slice_of(copy.p, out.n), second = slice_of(copy.p + out.n, out.n);
	ck_assert_int_eq(suit_open(first, &m, &err), 0);
	ck_assert_int_eq(suit_parse(second, &m, &err), -1);
	ck_assert_int_eq(err.code, ERR_INTERNAL);
	ck_assert_int_eq(suit_open(second, &m, &err), 0);
	ck_assert_int_eq(suit_parse(first, &m, &err), -1);
	ck_assert_int_eq(err.code, ERR_INTERNAL);
	ck_assert_int_eq(suit_parse(slice_of(copy.p, 5), &m, &err), -1);
	ck_assert_int_eq(err.code, ERR_MALFORMED);
	buf_reset(&out);
	for (unsigned i = 0; i <= SUIT_ENVELOPE_MAX; i++)
		buf_add_u8(&out, 0);
	ck_assert_int_eq(suit_open(buf_slice(&out), &m, &err), -1);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
	buf_free(&copy);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec_suit_rules");
	TCase *t = tcase_create("rules");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, processor_rules, 0, sizeof(rules) / sizeof(rules[0]));
	tcase_add_loop_test(t, manifest_members, 0, sizeof(members) / sizeof(members[0]));
	tcase_add_loop_test(t, whole_manifests, 0, sizeof(manifests) / sizeof(manifests[0]));
	tcase_add_test(t, alternatives_by_slot);
	tcase_add_test(t, alternatives_by_uri);
	tcase_add_test(t, alternative_nil);
	tcase_add_test(t, components_and_copy);
	tcase_add_test(t, too_many_alternatives);
	tcase_add_test(t, too_many_commands);
	tcase_add_test(t, update_management);
	tcase_add_test(t, the_strictest_counts);
	tcase_add_test(t, severed_members);
	tcase_add_test(t, integrated_payloads);
	tcase_add_test(t, payloads_of_their_own);
	tcase_add_test(t, too_many_payloads);
	tcase_add_test(t, texts);
	tcase_add_test(t, encrypted_and_written);
	tcase_add_loop_test(t, envelopes, 0, sizeof(outer) / sizeof(outer[0]));
	tcase_add_test(t, not_opened);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
