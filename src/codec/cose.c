/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/cose.h"

#include "codec/cbor.h"

enum { TAG_ENCRYPT0 = 16, TAG_MAC0 = 17, TAG_SIGN1 = 18, TAG_MAC = 97, TAG_SIGN = 98 };
enum { LABEL_ALG = 1, LABEL_CRIT = 2, LABEL_CONTENT_TYPE = 3, LABEL_KID = 4 };

#define TBS_OVERHEAD 64
#define CRIT_MAX 8
#define KID_SIZE 8

/* Both header maps share one set of keys: a label in both is refused (RFC 9052 section 3). */
struct headers {
	struct cose_sign1 *out;
	struct cbor_keys seen;
	bool has_alg;
	int64_t crit[CRIT_MAX];
	size_t n_crit;
};

static void read_alg(struct cbor_reader *c, struct headers *h)
{
	int64_t v;

	if (cbor_peek(c) == CBOR_TEXT) {
		cbor_fail(c, ERR_UNSUPPORTED, "COSE algorithm with a text name");
		return;
	}
	v = cbor_take_int(c);
	if (v < INT16_MIN || v > INT16_MAX)
		cbor_fail(c, ERR_UNSUPPORTED, "COSE algorithm %lld", (long long)v);
	h->out->alg = c->failed ? ALG_NONE : (enum alg)v;
	h->has_alg = true;
}

static void read_crit(struct cbor_reader *c, struct headers *h)
{
	uint64_t n = cbor_take_array(c);

	if (!c->failed && (n == 0 || n > CRIT_MAX))
		cbor_fail(c, ERR_MALFORMED, "COSE crit with %llu labels", (unsigned long long)n);
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		if (cbor_peek(c) == CBOR_TEXT)
			cbor_fail(c, ERR_UNSUPPORTED, "COSE crit names an unknown label");
		h->crit[h->n_crit++] = cbor_take_int(c);
	}
}

static void read_header(struct cbor_reader *c, struct headers *h, bool protected)
{
	bool text = cbor_peek(c) == CBOR_TEXT;
	int64_t label = 0;

	if (text)
		cbor_take_key(c, &h->seen);
	else
		label = cbor_take_label(c, &h->seen);
	if (!text && label == LABEL_ALG && protected)
		read_alg(c, h);
	else if (!text && label == LABEL_CRIT && protected)
		read_crit(c, h);
	else if (!text && label == LABEL_CRIT)
		cbor_fail(c, ERR_MALFORMED, "COSE crit outside the protected header");
	else if (!text && label == LABEL_KID)
		h->out->kid = cbor_take_bytes(c);
	else
		cbor_take_raw(c);
}

static void read_headers(struct cbor_reader *c, struct headers *h, bool protected)
{
	uint64_t n = cbor_take_map(c);

	for (uint64_t i = 0; i < n && !c->failed; i++)
		read_header(c, h, protected);
}

static int check_crit(const struct headers *h, struct err *e)
{
	for (size_t i = 0; i < h->n_crit; i++)
		if (h->crit[i] < LABEL_ALG || h->crit[i] > LABEL_KID)
			return err_set(e, ERR_UNSUPPORTED, "COSE crit names label %lld",
				       (long long)h->crit[i]);
	return 0;
}

/* An empty map may be sent as h'' or h'a0'; it is h'' in what is signed. */
static int read_protected(struct slice bytes, struct headers *h, struct err *e)
{
	struct cbor_reader c;

	if (bytes.n == 0)
		return err_set(e, ERR_MALFORMED, "COSE_Sign1 without an algorithm");
	cbor_begin(&c, bytes, e);
	read_headers(&c, h, true);
	if (cbor_end(&c))
		return err_prefix(e, "COSE protected header");
	if (!h->has_alg)
		return err_set(e, ERR_MALFORMED,
			       "COSE_Sign1 without an algorithm in its protected header");
	h->out->protected_bytes = bytes;
	return check_crit(h, e);
}

static void read_tag(struct cbor_reader *c)
{
	uint64_t tag;

	if (cbor_peek(c) != CBOR_TAG)
		return;
	tag = cbor_take_tag(c);
	if (tag == TAG_SIGN1)
		return;
	if (tag == TAG_SIGN || tag == TAG_MAC || tag == TAG_MAC0 || tag == TAG_ENCRYPT0)
		cbor_fail(c, ERR_UNSUPPORTED, "COSE message with tag %u is not COSE_Sign1",
			  (unsigned)tag);
	else
		cbor_fail(c, ERR_MALFORMED, "tag is not COSE_Sign1");
}

int cose_sign1_parse(struct slice bytes, struct cose_sign1 *out, struct err *e)
{
	struct headers h = { .out = out };
	struct cbor_reader c;
	struct slice protected;

	*out = (struct cose_sign1){ 0 };
	cbor_begin(&c, bytes, e);
	read_tag(&c);
	if (cbor_take_array(&c) != 4)
		cbor_fail(&c, ERR_MALFORMED, "COSE_Sign1 is not an array of 4");
	protected = cbor_take_bytes(&c);
	if (c.failed || read_protected(protected, &h, e))
		return -1;
	read_headers(&c, &h, false);
	if (cbor_peek(&c) == CBOR_NULL) {
		cbor_take_null(&c);
		out->detached = true;
	} else {
		out->payload = cbor_take_bytes(&c);
	}
	out->signature = cbor_take_bytes(&c);
	return cbor_end(&c);
}

static void put_tbs(struct buf *b, struct slice protected, struct slice aad, struct slice payload)
{
	cbor_put_array(b, 4);
	cbor_put_text(b, slice_str("Signature1"));
	cbor_put_bytes(b, protected);
	cbor_put_bytes(b, aad);
	cbor_put_bytes(b, payload);
}

static struct buf tbs_buf(struct slice protected, struct slice aad, struct slice payload)
{
	size_t bound;

	if (__builtin_add_overflow(protected.n, aad.n, &bound) ||
	    __builtin_add_overflow(bound, payload.n, &bound) ||
	    __builtin_add_overflow(bound, TBS_OVERHEAD, &bound))
		bound = 0;
	return BUF_INIT(bound);
}

int cose_sign1_verify(const struct cose_sign1 *c, struct slice payload, struct slice aad,
		      const struct key *k, struct err *e)
{
	struct slice content = payload.n > 0 || c->detached ? payload : c->payload;
	struct buf tbs = tbs_buf(c->protected_bytes, aad, content);
	int rc;

	if (payload.n > 0 && !c->detached && !slice_eq(payload, c->payload))
		return err_set(e, ERR_VERIFY, "attached payload is not the one expected");
	put_tbs(&tbs, c->protected_bytes, aad, content);
	if (tbs.failed)
		rc = err_set(e, ERR_NO_MEMORY, "no memory to verify a signature");
	else
		rc = key_verify(k, c->alg, buf_slice(&tbs), c->signature, e);
	buf_free(&tbs);
	return rc;
}

static int put_sign1(struct buf *out, const struct key *k, struct slice protected,
		     struct slice payload, bool detached, struct slice sig)
{
	struct digest id;

	if (key_id(k, &id))
		return -1;
	cbor_put_tag(out, TAG_SIGN1);
	cbor_put_array(out, 4);
	cbor_put_bytes(out, protected);
	cbor_put_map(out, 1);
	cbor_put_uint(out, LABEL_KID);
	cbor_put_bytes(out, slice_of(id.b, KID_SIZE));
	if (detached)
		cbor_put_null(out);
	else
		cbor_put_bytes(out, payload);
	cbor_put_bytes(out, sig);
	return out->failed ? -1 : 0;
}

int cose_sign1_make(const struct key *k, enum alg a, struct slice payload, bool detached,
		    struct buf *out, struct err *e)
{
	struct buf protected = BUF_INIT(16), sig = BUF_INIT(256), tbs = BUF_INIT(0);
	int rc = -1;

	cbor_put_map(&protected, 1);
	cbor_put_uint(&protected, LABEL_ALG);
	cbor_put_int(&protected, a);
	tbs = tbs_buf(buf_slice(&protected), (struct slice){ 0 }, payload);
	put_tbs(&tbs, buf_slice(&protected), (struct slice){ 0 }, payload);
	if (protected.failed || tbs.failed)
		err_set(e, ERR_NO_MEMORY, "no memory for a signature");
	else if (key_sign(k, a, buf_slice(&tbs), &sig, e) == 0)
		rc = put_sign1(out, k, buf_slice(&protected), payload, detached, buf_slice(&sig))
			     ? err_set(e, ERR_NO_MEMORY, "no memory for a signature")
			     : 0;
	buf_free(&tbs);
	buf_free(&sig);
	buf_free(&protected);
	return rc;
}
