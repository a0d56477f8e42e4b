/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/cose.h"
#include "codec/suit_internal.h"

#define LAYOUT_OLD "layout of draft-ietf-suit-manifest-16 or older"
#define LAYOUT_17 "layout of draft-ietf-suit-manifest-17 to -28 (install is 17)"

static const struct {
	int64_t key;
	bool known;
	const char *layout; /* why it is not spoken here */
} envelope_keys[] = {
	{ 1, false, "layout of draft-ietf-suit-manifest-13 or older (delegation)" },
	{ ENVELOPE_AUTH, true, NULL },
	{ ENVELOPE_MANIFEST, true, NULL },
	{ 7, false, LAYOUT_OLD },
	{ 8, false, LAYOUT_OLD },
	{ 9, false, LAYOUT_OLD },
	{ 10, false, LAYOUT_OLD },
	{ 11, false, LAYOUT_OLD },
	{ 12, false, LAYOUT_OLD },
	{ 13, false, LAYOUT_OLD },
	{ MANIFEST_COSWID, true, NULL },
	{ MANIFEST_DEPENDENCY_RESOLUTION, true, NULL },
	{ MANIFEST_PAYLOAD_FETCH, true, NULL },
	{ MANIFEST_INSTALL_17, false, LAYOUT_17 },
	{ MANIFEST_CANDIDATE_VERIFICATION, true, NULL },
	{ MANIFEST_INSTALL, true, NULL },
	{ MANIFEST_TEXT, true, NULL },
};

static int check_key(struct cbor_reader *c, int64_t key)
{
	for (size_t i = 0; i < sizeof(envelope_keys) / sizeof(envelope_keys[0]); i++) {
		if (envelope_keys[i].key != key)
			continue;
		return envelope_keys[i].known
			       ? 0
			       : cbor_fail(c, ERR_UNSUPPORTED, "%s: envelope member %lld",
					   envelope_keys[i].layout, (long long)key);
	}
	return cbor_fail(c, ERR_UNSUPPORTED, "unknown envelope member %lld", (long long)key);
}

static void read_payload(struct cbor_reader *c, struct cbor_keys *seen, struct suit_manifest *m)
{
	struct slice name = c->item.s;

	cbor_take_key(c, seen);
	struct slice bytes = cbor_take_bytes(c);
	if (c->failed)
		return;
	if (m->n_payloads == SUIT_ENTRIES_MAX)
		cbor_fail(c, ERR_TOO_LARGE, "more than %d integrated payloads", SUIT_ENTRIES_MAX);
	else
		m->payloads[m->n_payloads++] = (struct suit_payload){ name, bytes };
}

static void read_member(struct cbor_reader *c, struct cbor_keys *seen, struct suit_members *members)
{
	int64_t key = cbor_take_label(c, seen);
	const uint8_t *start = c->left.p;
	struct suit_member *m;

	if (c->failed || check_key(c, key))
		return;
	m = &members->m[key];
	m->present = true;
	m->content = cbor_take_bytes(c);
	m->raw = slice_of(start, (size_t)(c->left.p - start));
}

static void read_tag(struct cbor_reader *c, struct suit_manifest *m)
{
	uint64_t tag;

	if (cbor_peek(c) != CBOR_TAG)
		return;
	tag = cbor_take_tag(c);
	m->tagged = true;
	if (tag == 1070)
		cbor_fail(c, ERR_UNSUPPORTED, "a bare manifest (tag 1070) has no signature");
	else if (tag != SUIT_TAG_ENVELOPE)
		cbor_fail(c, ERR_MALFORMED, "tag %llu is not a SUIT envelope",
			  (unsigned long long)tag);
}

int suit_envelope_read(struct slice envelope, struct suit_manifest *m, struct suit_members *members,
		       struct err *e)
{
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	uint64_t n;

	*members = (struct suit_members){ 0 };
	m->n_payloads = 0;
	if (envelope.n > SUIT_ENVELOPE_MAX)
		return err_set(e, ERR_TOO_LARGE, "SUIT envelope of more than %d bytes",
			       SUIT_ENVELOPE_MAX);
	cbor_begin(&c, envelope, e);
	read_tag(&c, m);
	n = cbor_take_map(&c);
	for (uint64_t i = 0; i < n && !c.failed; i++) {
		if (cbor_peek(&c) == CBOR_TEXT)
			read_payload(&c, &seen, m);
		else
			read_member(&c, &seen, members);
	}
	if (cbor_end(&c))
		return err_prefix(e, "SUIT envelope");
	if (!members->m[ENVELOPE_AUTH].present || !members->m[ENVELOPE_MANIFEST].present)
		return err_set(e, ERR_MALFORMED,
			       "SUIT envelope without authentication wrapper or manifest");
	return 0;
}

int suit_digest_read(struct slice bytes, enum alg *alg, struct slice *digest, struct err *e)
{
	struct cbor_reader c;
	int64_t number;

	cbor_begin(&c, bytes, e);
	if (cbor_peek(&c) == CBOR_TAG)
		cbor_fail(&c, ERR_UNSUPPORTED,
			  "layout of draft-ietf-suit-manifest-11 or older "
			  "(the digest travels inside the signature)");
	if (cbor_take_array(&c) != 2)
		cbor_fail(&c, ERR_MALFORMED, "SUIT_Digest is not an array of 2");
	number = cbor_take_int(&c);
	if (number > 0 && number <= 8)
		cbor_fail(&c, ERR_UNSUPPORTED,
			  "layout of draft-ietf-suit-manifest-12 or older "
			  "(digest algorithm %d)",
			  (int)number);
	else if (number < INT16_MIN || number > INT16_MAX)
		cbor_fail(&c, ERR_UNSUPPORTED, "digest algorithm %lld", (long long)number);
	*digest = cbor_take_bytes(&c);
	*alg = c.failed ? ALG_NONE : (enum alg)number;
	return cbor_end(&c);
}

int suit_digest_check(enum alg alg, struct slice digest, struct slice data, const char *what,
		      struct err *e)
{
	uint8_t got[64];
	size_t n = 0;

	if (digest_by_alg(alg, data, got, &n, e))
		return err_prefix(e, "%s", what);
	if (!slice_eq(digest, slice_of(got, n)))
		return err_set(e, ERR_VERIFY, "%s does not match its digest", what);
	return 0;
}

static void read_block(struct cbor_reader *c, struct suit_manifest *m)
{
	struct slice block = cbor_take_bytes(c);
	struct cbor_reader inner;

	if (c->failed)
		return;
	cbor_begin(&inner, block, NULL);
	if (cbor_peek(&inner) != CBOR_TAG) {
		cbor_fail(c, ERR_MALFORMED, "authentication block is no tagged COSE message");
		return;
	}
	if (cbor_take_tag(&inner) != 18)
		return; /* Sign, Mac, Mac0: nothing this side can check */
	if (m->n_signatures == SUIT_SIGNATURES_MAX)
		cbor_fail(c, ERR_TOO_LARGE, "more than %d signatures", SUIT_SIGNATURES_MAX);
	else
		m->signatures[m->n_signatures++] = block;
}

static int read_auth(struct slice auth, struct suit_manifest *m, struct err *e)
{
	struct cbor_reader c;
	uint64_t n;

	cbor_begin(&c, auth, e);
	n = cbor_take_array(&c);
	m->digest_bytes = cbor_take_bytes(&c);
	for (uint64_t i = 1; i < n && !c.failed; i++)
		read_block(&c, m);
	if (cbor_end(&c) || suit_digest_read(m->digest_bytes, &m->digest_alg, &m->digest, e))
		return err_prefix(e, "SUIT authentication");
	return 0;
}

int suit_open(struct slice envelope, struct suit_manifest *m, struct err *e)
{
	struct suit_members members;

	*m = (struct suit_manifest){
		.time_of_day_local = -1,
		.day_of_week_local = -1,
		.time_of_day_utc = -1,
		.day_of_week_utc = -1,
	};
	if (suit_envelope_read(envelope, m, &members, e) ||
	    read_auth(members.m[ENVELOPE_AUTH].content, m, e))
		return -1;
	return suit_digest_check(m->digest_alg, m->digest, members.m[ENVELOPE_MANIFEST].raw,
				 "the manifest", e);
}

int suit_verify_key(const struct suit_manifest *m, const struct key *k, enum alg *alg_used,
		    struct err *e)
{
	struct err last = { .code = ERR_VERIFY, .text = "no signature by a key of this kind" };
	struct cose_sign1 c;

	*alg_used = ALG_NONE;
	if (m->n_signatures == 0)
		return err_set(e, ERR_VERIFY, "the manifest carries no COSE_Sign1 signature");
	for (size_t i = 0; i < m->n_signatures; i++) {
		struct err why;

		if (cose_sign1_parse(m->signatures[i], &c, &why) == 0) {
			if (!key_fits_alg(k, c.alg))
				continue;
			if (cose_sign1_verify(&c, m->digest_bytes, (struct slice){ 0 }, k, &why) ==
			    0) {
				*alg_used = c.alg;
				return 0;
			}
		}
		last = why;
	}
	if (last.code == ERR_UNSUPPORTED || last.code == ERR_NO_MEMORY)
		return err_set(e, last.code, "%s", last.text);
	return err_set(e, ERR_VERIFY, "%s", last.text);
}
