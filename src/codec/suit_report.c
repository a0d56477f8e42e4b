/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/suit_internal.h"

enum { TAG_ENCRYPT0 = 16, TAG_MAC0 = 17, TAG_SIGN1 = 18, TAG_PROTECTED = 285, TAG_REFERENCE = 286 };

enum {
	REPORT_NONCE = 2,
	REPORT_RECORDS = 3,
	REPORT_RESULT = 4,
	REPORT_CODE = 5,
	REPORT_RECORD = 6,
	REPORT_REASON = 7,
	REPORT_CAPABILITY = 8,
	REPORT_REFERENCE = 99,
};
#define REASON_OPERATION_FAILED 11
#define REASON_INVOKE_PENDING 12
#define RECORDS_MAX 1024

static void skip_tag(struct cbor_reader *c, uint64_t tag)
{
	if (cbor_peek(c) == CBOR_TAG && c->item.n == tag)
		cbor_take_tag(c);
}

/* The COSE message around the report: its payload. A bare report is its own. */
static struct slice unwrap(struct slice bytes, struct err *e)
{
	struct slice payload = { 0 };
	struct cbor_reader c;
	uint64_t tag = 0;

	cbor_begin(&c, bytes, e);
	skip_tag(&c, TAG_PROTECTED);
	if (cbor_peek(&c) == CBOR_TAG)
		tag = cbor_take_tag(&c);
	if (tag == TAG_ENCRYPT0)
		cbor_fail(&c, ERR_UNSUPPORTED, "encrypted report");
	else if (tag && tag != TAG_SIGN1 && tag != TAG_MAC0)
		cbor_fail(&c, ERR_MALFORMED, "tag %llu is no report", (unsigned long long)tag);
	if (!tag && cbor_peek(&c) == CBOR_MAP) {
		payload = cbor_take_raw(&c);
	} else {
		if (cbor_take_array(&c) != 4)
			cbor_fail(&c, ERR_MALFORMED, "COSE message is not an array of 4");
		cbor_take_bytes(&c);
		cbor_take_raw(&c);
		payload = cbor_take_bytes(&c);
		cbor_take_bytes(&c);
	}
	return cbor_end(&c) ? slice_of(NULL, 0) : payload;
}

static void read_reference(struct cbor_reader *c, struct suit_report *r)
{
	skip_tag(c, TAG_REFERENCE);
	if (cbor_take_array(c) < 2)
		cbor_fail(c, ERR_MALFORMED, "reference with fewer than 2 members");
	cbor_take_text(c);
	if (cbor_peek(c) == CBOR_BYTES) { /* some wrap the digest once more */
		enum alg alg;
		struct err why;
		struct slice inner = cbor_take_bytes(c);

		if (suit_digest_read(inner, &alg, &r->manifest_digest, &why))
			cbor_fail(c, why.code, "%.120s", why.text);
		return;
	}
	if (cbor_take_array(c) < 2)
		cbor_fail(c, ERR_MALFORMED, "SUIT_Digest with fewer than 2 members");
	cbor_take_int(c);
	r->manifest_digest = cbor_take_bytes(c);
}

/*
 * Properties of a SUIT_Record are what was measured when a command failed. A
 * component-slot that does not fit only means that another alternative was taken.
 */
static bool read_properties(struct cbor_reader *c)
{
	uint64_t n = cbor_take_map(c);
	bool failed = false;

	for (uint64_t i = 0; i < n && !c->failed; i++) {
		bool slot = cbor_peek(c) == CBOR_UINT && c->item.n == PARAM_SLOT;

		cbor_take_raw(c);
		cbor_take_raw(c);
		failed |= !slot;
	}
	return failed;
}

/* [manifest path, section, offset, component, properties, extensions ...] */
static bool read_record(struct cbor_reader *c)
{
	uint64_t n = cbor_take_array(c);
	bool failed;

	if (!c->failed && n < 5)
		cbor_fail(c, ERR_MALFORMED, "record with fewer than 5 members");
	cbor_take_raw(c);
	cbor_take_int(c);
	cbor_take_uint(c);
	cbor_take_uint(c);
	/* drafts before -17 had a dependency index here */
	if (n > 5 && cbor_peek(c) == CBOR_UINT) {
		cbor_take_uint(c);
		n--;
	}
	failed = read_properties(c);
	for (uint64_t i = 5; i < n && !c->failed; i++)
		cbor_take_raw(c);
	return failed;
}

/* Claims are maps in which processors in the field repeat keys: skipped whole. */
static bool read_records(struct cbor_reader *c)
{
	uint64_t n = cbor_take_array(c);
	bool failed = false;

	if (n > RECORDS_MAX)
		cbor_fail(c, ERR_TOO_LARGE, "more than %d records", RECORDS_MAX);
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		if (cbor_peek(c) == CBOR_ARRAY)
			failed |= read_record(c);
		else
			cbor_take_raw(c);
	}
	return failed;
}

static void read_failure(struct cbor_reader *c, struct suit_report *r)
{
	struct cbor_keys seen = { .n = 0 };
	uint64_t n = cbor_take_map(c);

	r->code = -1;
	r->reason = REASON_OPERATION_FAILED;
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		int64_t key = cbor_take_label(c, &seen);

		if (key == REPORT_CODE)
			r->code = cbor_take_int(c);
		else if (key == REPORT_REASON)
			r->reason = cbor_take_int(c);
		else
			cbor_take_raw(c);
	}
	r->pending = r->reason == REASON_INVOKE_PENDING;
}

struct outcome {
	bool has_result, is_true, failed_condition, has_records;
};

static void read_member(struct cbor_reader *c, int64_t key, struct suit_report *r,
			struct outcome *o)
{
	switch (key) {
	case REPORT_NONCE:
		r->nonce = cbor_take_bytes(c);
		break;
	case REPORT_RECORDS:
		o->failed_condition = read_records(c);
		o->has_records = true;
		break;
	case REPORT_RESULT:
		o->has_result = true;
		if (cbor_peek(c) != CBOR_BOOL)
			read_failure(c, r);
		else if (cbor_take_bool(c))
			o->is_true = true;
		else
			cbor_fail(c, ERR_MALFORMED, "result is false");
		break;
	case REPORT_REFERENCE:
		read_reference(c, r);
		break;
	default:
		cbor_take_raw(c); /* capability report, extensions */
	}
}

int suit_report_parse(struct slice bytes, struct suit_report *r, struct err *e)
{
	struct cbor_keys seen = { .n = 0 };
	struct outcome o = { 0 };
	struct cbor_reader c;
	struct slice report;
	uint64_t n;

	*r = (struct suit_report){ 0 };
	if (bytes.n > SUIT_ENVELOPE_MAX)
		return err_set(e, ERR_TOO_LARGE, "SUIT report of more than %d bytes",
			       SUIT_ENVELOPE_MAX);
	report = unwrap(bytes, e);
	if (!report.p)
		return err_prefix(e, "SUIT report");
	cbor_begin(&c, report, e);
	n = cbor_take_map(&c);
	for (uint64_t i = 0; i < n && !c.failed; i++) {
		int64_t key = cbor_take_label(&c, &seen);

		if (!c.failed)
			read_member(&c, key, r, &o);
	}
	if (!c.failed && !o.has_result)
		cbor_fail(&c, ERR_MALFORMED, "no result");
	if (cbor_end(&c))
		return err_prefix(e, "SUIT report");
	/* true without reference and records is what a processor says that verified nothing */
	r->success = o.is_true && o.has_records && r->manifest_digest.n > 0 && !o.failed_condition;
	return 0;
}
