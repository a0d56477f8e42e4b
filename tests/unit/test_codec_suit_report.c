/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/cbor.h"
#include "codec/cose.h"
#include "codec/suit.h"

static struct suit_report report;
static struct err err;

/* Members of a report, in hex: the reference, the records, the result. */
#define REFERENCE "186382 60 822f 42abcd"
#define CLAIMS "a2008141 00 0ef4"

static const struct {
	const char *hex;
	enum err_code code;
	bool success, pending;
	int64_t result_code, reason;
} reports[] = {
	/* nothing recorded, claims recorded */
	{ "a3 " REFERENCE "0380 04f5", ERR_NONE, true, false, 0, 0 },
	{ "a3 " REFERENCE "0381" CLAIMS "04f5", ERR_NONE, true, false, 0, 0 },
	/* the same claim twice, as seen in the field */
	{ "a3 " REFERENCE "0381 a20ef40ef4 04f5", ERR_NONE, true, false, 0, 0 },
	/* a record without properties, with what failed, with a slot not taken */
	{ "a3 " REFERENCE "0381 8580070300a0 04f5", ERR_NONE, true, false, 0, 0 },
	{ "a3 " REFERENCE "0381 8580070300a1014100 04f5", ERR_NONE, false, false, 0, 0 },
	{ "a3 " REFERENCE "0381 8580070300a10501 04f5", ERR_NONE, true, false, 0, 0 },
	{ "a3 " REFERENCE "0381 8580070300a205010141 00 04f5", ERR_NONE, false, false, 0, 0 },
	/* six members: of older drafts, or an extension */
	{ "a3 " REFERENCE "0381 868007030001a1014100 04f5", ERR_NONE, false, false, 0, 0 },
	{ "a3 " REFERENCE "0381 8680070300a000 04f5", ERR_NONE, true, false, 0, 0 },
	/* failures */
	{ "a3 " REFERENCE "0380 04a30522068580070300a0070a", ERR_NONE, false, false, -3, 10 },
	{ "a3 " REFERENCE "0380 04a2050007 0c", ERR_NONE, false, true, 0, 12 },
	{ "a3 " REFERENCE "0380 04a0", ERR_NONE, false, false, -1, 11 },
	/* true is not enough */
	{ "a2 " REFERENCE "04f5", ERR_NONE, false, false, 0, 0 },
	{ "a2 0380 04f5", ERR_NONE, false, false, 0, 0 },
	{ "a1 04f5", ERR_NONE, false, false, 0, 0 },
	/* a capability report and an extension are passed over */
	{ "a5 " REFERENCE "0380 04f5 08a2028101 8101 8102 190100 00", ERR_NONE, true, false, 0, 0 },
	{ "a2 " REFERENCE "0380", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "a3 " REFERENCE "0380 04f4", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "a3 " REFERENCE "0380 0400", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "a4 " REFERENCE "0380 04f5 04f5", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "a3 " REFERENCE "0381 8480070300 04f5", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "a3 186381 60 0380 04f5", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "a3 " REFERENCE "0380 04f5 00", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "8443a10126a0f640", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "d08343a10101a040", ERR_UNSUPPORTED, 0, 0, 0, 0 },
	{ "c1a0", ERR_MALFORMED, 0, 0, 0, 0 },
	{ "", ERR_MALFORMED, 0, 0, 0, 0 },
};

static void put_hex(struct buf *b, const char *s)
{
	while (*s) {
		uint8_t byte;

		if (*s == ' ') {
			s++;
			continue;
		}
		ck_assert_int_eq(text_unhex(&byte, 1, slice_of(s, 2)), 0);
		s += 2;
		buf_add_u8(b, byte);
	}
}

START_TEST(verdicts)
{
	struct buf b = BUF_INIT(4096);
	int rc;

	put_hex(&b, reports[_i].hex);
	rc = suit_report_parse(buf_slice(&b), &report, &err);
	ck_assert_msg((rc == 0) == (reports[_i].code == ERR_NONE), "%d: %s", _i, err.text);
	if (rc) {
		ck_assert_msg(err.code == reports[_i].code, "%d: %s", _i, err.text);
	} else {
		ck_assert_msg(report.success == reports[_i].success, "%d", _i);
		ck_assert_int_eq(report.pending, reports[_i].pending);
		ck_assert_int_eq(report.code, reports[_i].result_code);
		ck_assert_int_eq(report.reason, reports[_i].reason);
	}
	buf_free(&b);
}
END_TEST

/* Bare, tagged 285, in COSE_Sign1 with and without tag, in COSE_Mac0: the same report. */
START_TEST(containers)
{
	struct buf bare = BUF_INIT(256), b = BUF_INIT(512);
	struct key *k;

	put_hex(&bare, "a4 0242beef" REFERENCE "0380 04f5");
	ck_assert_int_eq(key_generate(KEY_P256, &k, &err), 0);
	for (int i = 0; i < 5; i++) {
		buf_reset(&b);
		if (i == 0)
			buf_add_slice(&b, buf_slice(&bare));
		if (i == 1)
			cbor_put_tag(&b, 285);
		if (i == 1 || i == 2)
			ck_assert_int_eq(cose_sign1_make(k, ALG_ESP256, buf_slice(&bare), false, &b,
							 &err),
					 0);
		if (i == 3)
			cbor_put_tag(&b, 17);
		if (i >= 3) {
			put_hex(&b, "84 43a10105 a0");
			cbor_put_bytes(&b, buf_slice(&bare));
			put_hex(&b, "40");
		}
		ck_assert_msg(suit_report_parse(buf_slice(&b), &report, &err) == 0, "%d: %s", i,
			      err.text);
		ck_assert(report.success);
		ck_assert(slice_eq(report.manifest_digest, slice_of("\xab\xcd", 2)));
		ck_assert(slice_eq(report.nonce, slice_of("\xbe\xef", 2)));
	}
	key_free(k);
	buf_free(&bare);
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec_suit_report");
	TCase *t = tcase_create("report");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, verdicts, 0, sizeof(reports) / sizeof(reports[0]));
	tcase_add_test(t, containers);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
