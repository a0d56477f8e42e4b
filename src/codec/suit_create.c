/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "codec/cose.h"
#include "codec/suit_internal.h"

/* Reporting policies as the draft's examples have them. */
#define POLICY_CONDITION 15
#define POLICY_DIRECTIVE 2
#define VERSION_PARTS 12
#define SEQUENCE_MAX 16384

static const uint8_t namespace_dns[UUID_SIZE] = {
	0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
	0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
};

int suit_vendor_uuid(const char *domain, struct uuid *out)
{
	return uuid_v5(namespace_dns, slice_str(domain), out);
}

int suit_class_uuid(const struct uuid *vendor, const char *model, struct uuid *out)
{
	return uuid_v5(vendor->b, slice_str(model), out);
}

static void put_command(struct buf *b, int64_t number, uint64_t arg)
{
	cbor_put_uint(b, (uint64_t)number);
	cbor_put_uint(b, arg);
}

/* Put what is in `from` as a byte string; a failed part fails the whole. */
static void put_wrapped(struct buf *b, const struct buf *from)
{
	if (from->failed)
		b->failed = true;
	cbor_put_bytes(b, buf_slice(from));
}

static void put_digest(struct buf *b, enum alg alg, struct slice digest)
{
	cbor_put_array(b, 2);
	cbor_put_int(b, alg);
	cbor_put_bytes(b, digest);
}

static void put_component(struct buf *b, const char *name)
{
	uint64_t n = 1;

	for (const char *p = name; *p; p++)
		n += *p == '/';
	cbor_put_array(b, n);
	for (;;) {
		size_t len = strcspn(name, "/");

		cbor_put_bytes(b, slice_of(name, len));
		if (name[len] == '\0')
			return;
		name += len + 1;
	}
}

static void put_image_params(struct buf *b, const struct suit_create *c, size_t i)
{
	struct buf digest = BUF_INIT(64);
	bool first = i == 0;

	put_digest(&digest, ALG_SHA256, slice_of(c->images[i].digest.b, DIGEST_SIZE));
	cbor_put_uint(b, COMMAND_OVERRIDE);
	cbor_put_map(b, 4U + (first && c->has_use_before) + (first && c->has_priority));
	cbor_put_uint(b, PARAM_VENDOR);
	cbor_put_bytes(b, slice_of(c->vendor_id.b, UUID_SIZE));
	cbor_put_uint(b, PARAM_CLASS);
	cbor_put_bytes(b, slice_of(c->class_id.b, UUID_SIZE));
	cbor_put_uint(b, PARAM_DIGEST);
	put_wrapped(b, &digest);
	if (first && c->has_use_before) {
		cbor_put_uint(b, PARAM_USE_BEFORE);
		cbor_put_uint(b, c->use_before);
	}
	cbor_put_uint(b, PARAM_SIZE);
	cbor_put_uint(b, c->images[i].size);
	if (first && c->has_priority) {
		cbor_put_uint(b, PARAM_PRIORITY);
		cbor_put_int(b, c->priority);
	}
	buf_free(&digest);
}

static void put_shared(struct buf *b, const struct suit_create *c)
{
	bool several = c->n_images > 1;

	/* per image: [index], parameters, vendor, class; once: use-before */
	cbor_put_array(b, 2U * ((several ? 4U : 3U) * c->n_images + c->has_use_before));
	for (size_t i = 0; i < c->n_images; i++) {
		if (several)
			put_command(b, COMMAND_SET_INDEX, i);
		put_image_params(b, c, i);
		put_command(b, COMMAND_VENDOR, POLICY_CONDITION);
		put_command(b, COMMAND_CLASS, POLICY_CONDITION);
		if (i == 0 && c->has_use_before)
			put_command(b, COMMAND_USE_BEFORE, POLICY_CONDITION);
	}
}

static void put_common(struct buf *b, const struct suit_create *c)
{
	struct buf shared = BUF_INIT(SEQUENCE_MAX);

	put_shared(&shared, c);
	cbor_put_map(b, 2);
	cbor_put_uint(b, COMMON_COMPONENTS);
	cbor_put_array(b, c->n_images);
	for (size_t i = 0; i < c->n_images; i++)
		put_component(b, c->images[i].component);
	cbor_put_uint(b, COMMON_SHARED);
	put_wrapped(b, &shared);
	buf_free(&shared);
}

static void put_validate(struct buf *b, const struct suit_create *c)
{
	bool several = c->n_images > 1;

	cbor_put_array(b, (several ? 4U : 2U) * c->n_images);
	for (size_t i = 0; i < c->n_images; i++) {
		if (several)
			put_command(b, COMMAND_SET_INDEX, i);
		put_command(b, COMMAND_IMAGE_MATCH, POLICY_CONDITION);
	}
}

static void put_install(struct buf *b, const struct suit_create *c)
{
	bool several = c->n_images > 1;

	cbor_put_array(b, (several ? 8U : 6U) * c->n_images);
	for (size_t i = 0; i < c->n_images; i++) {
		if (several)
			put_command(b, COMMAND_SET_INDEX, i);
		cbor_put_uint(b, COMMAND_OVERRIDE);
		cbor_put_map(b, 1);
		cbor_put_uint(b, PARAM_URI);
		cbor_put_text(b, slice_str(c->images[i].uri));
		put_command(b, COMMAND_FETCH, POLICY_DIRECTIVE);
		put_command(b, COMMAND_IMAGE_MATCH, POLICY_CONDITION);
	}
}

static bool has_component_text(const struct suit_create *c)
{
	return c->vendor_domain || c->model_name;
}

static void put_text(struct buf *b, const struct suit_create *c)
{
	cbor_put_map(b, 1);
	cbor_put_text(b, slice_str("en"));
	cbor_put_map(b, (c->description != NULL) + (uint64_t)has_component_text(c));
	if (c->description) {
		cbor_put_uint(b, 1);
		cbor_put_text(b, slice_str(c->description));
	}
	if (!has_component_text(c))
		return;
	put_component(b, c->images[0].component);
	cbor_put_map(b, (c->model_name != NULL) + (uint64_t)(c->vendor_domain != NULL));
	if (c->model_name) {
		cbor_put_uint(b, 2);
		cbor_put_text(b, slice_str(c->model_name));
	}
	if (c->vendor_domain) {
		cbor_put_uint(b, 3);
		cbor_put_text(b, slice_str(c->vendor_domain));
	}
}

/* "1.2-rc.3" to [1, 2, -1, 3]. */
static int split_version(const char *s, int64_t parts[VERSION_PARTS], size_t *n)
{
	static const char *const words[] = { "rc", "beta", "alpha" };

	*n = 0;
	for (;;) {
		size_t len = strcspn(s, ".-");
		struct slice part = slice_of(s, len);
		int64_t v = 0;

		if (*n == VERSION_PARTS)
			return -1;
		for (size_t i = 0; i < 3; i++)
			if (*n > 0 && s[-1] == '-' && slice_eq_str(part, words[i]))
				v = -1 - (int64_t)i;
		if (v == 0 && (text_i64(part, &v) || v < 0 || (*n > 0 && s[-1] == '-')))
			return -1;
		parts[(*n)++] = v;
		if (s[len] == '\0')
			return 0;
		s += len + 1;
	}
}

static int put_version(struct buf *b, const char *version, struct err *e)
{
	struct buf inner = BUF_INIT(256);
	int64_t parts[VERSION_PARTS];
	size_t n;

	if (split_version(version, parts, &n))
		return err_set(e, ERR_INVALID, "version '%.40s' is not like 1.2.3 or 1.2-rc.1",
			       version);
	cbor_put_array(&inner, n);
	for (size_t i = 0; i < n; i++)
		cbor_put_int(&inner, parts[i]);
	cbor_put_uint(b, MANIFEST_SET_VERSION);
	put_wrapped(b, &inner);
	buf_free(&inner);
	return 0;
}

static void put_part(struct buf *b, uint64_t key, const struct suit_create *c,
		     void (*put)(struct buf *b, const struct suit_create *c))
{
	struct buf part = BUF_INIT(SEQUENCE_MAX);

	put(&part, c);
	cbor_put_uint(b, key);
	put_wrapped(b, &part);
	buf_free(&part);
}

static int put_manifest(struct buf *b, const struct suit_create *c, struct err *e)
{
	bool text = c->description || has_component_text(c);

	cbor_put_map(b, 5U + text + (c->version != NULL) + (c->reference_uri != NULL));
	put_command(b, MANIFEST_VERSION, 1);
	put_command(b, MANIFEST_SEQUENCE, c->sequence);
	put_part(b, MANIFEST_COMMON, c, put_common);
	if (c->reference_uri) {
		cbor_put_uint(b, MANIFEST_REFERENCE_URI);
		cbor_put_text(b, slice_str(c->reference_uri));
	}
	if (c->version && put_version(b, c->version, e))
		return -1;
	put_part(b, MANIFEST_VALIDATE, c, put_validate);
	put_part(b, MANIFEST_INSTALL, c, put_install);
	if (text)
		put_part(b, MANIFEST_TEXT, c, put_text);
	return b->failed ? err_set(e, ERR_TOO_LARGE, "manifest too large") : 0;
}

static int check_create(const struct suit_create *c, struct err *e)
{
	if (c->n_images == 0 || c->n_images > SUIT_COMPONENTS_MAX)
		return err_set(e, ERR_INVALID, "a manifest has 1 to %d images",
			       SUIT_COMPONENTS_MAX);
	if (!c->vendor_id.set || !c->class_id.set)
		return err_set(e, ERR_INVALID, "a manifest needs a vendor and a class id");
	for (size_t i = 0; i < c->n_images; i++)
		if (!c->images[i].component || !c->images[i].uri)
			return err_set(e, ERR_INVALID, "image %zu lacks a component or a URI", i);
	return 0;
}

static enum alg alg_of(const struct key *k)
{
	static const enum alg by_kind[] = {
		[KEY_P256] = ALG_ESP256,
		[KEY_P384] = ALG_ESP384,
		[KEY_P521] = ALG_ESP512,
		[KEY_ED25519] = ALG_ED25519,
	};

	return by_kind[key_kind_of(k)];
}

/* The wrapper's content: digest, the blocks that were there, one by k. */
static int put_auth(struct buf *b, struct slice digest_bytes, const struct slice *blocks,
		    uint64_t n_blocks, const struct key *k, struct err *e)
{
	struct buf sign1 = BUF_INIT(512);
	int rc = 0;

	cbor_put_array(b, 1 + n_blocks + (k != NULL));
	cbor_put_bytes(b, digest_bytes);
	for (uint64_t i = 0; i < n_blocks; i++)
		cbor_put_bytes(b, blocks[i]);
	if (k) {
		rc = cose_sign1_make(k, alg_of(k), digest_bytes, true, &sign1, e);
		put_wrapped(b, &sign1);
	}
	buf_free(&sign1);
	return rc;
}

static int put_envelope(struct buf *out, const struct buf *manifest, const struct key *k,
			struct err *e)
{
	struct buf raw = BUF_INIT(SUIT_ENVELOPE_MAX), auth = BUF_INIT(1024);
	struct buf digest_bytes = BUF_INIT(64);
	struct digest digest;
	int rc = -1;

	put_wrapped(&raw, manifest);
	if (raw.failed || sha256_once(buf_slice(&raw), &digest)) {
		err_set(e, ERR_NO_MEMORY, "no memory for the manifest");
		goto out;
	}
	put_digest(&digest_bytes, ALG_SHA256, slice_of(digest.b, DIGEST_SIZE));
	if (put_auth(&auth, buf_slice(&digest_bytes), NULL, 0, k, e))
		goto out;
	cbor_put_tag(out, SUIT_TAG_ENVELOPE);
	cbor_put_map(out, 2);
	cbor_put_uint(out, ENVELOPE_AUTH);
	put_wrapped(out, &auth);
	cbor_put_uint(out, ENVELOPE_MANIFEST);
	buf_add_slice(out, buf_slice(&raw));
	rc = out->failed ? err_set(e, ERR_TOO_LARGE, "envelope too large") : 0;
out:
	buf_free(&raw);
	buf_free(&auth);
	buf_free(&digest_bytes);
	return rc;
}

/* What was made must be what suit_parse() takes: URIs, names and sizes are checked there. */
static int check_made(struct slice envelope, struct err *e)
{
	struct suit_manifest m;

	return suit_open(envelope, &m, e) || suit_parse(envelope, &m, e) ? -1 : 0;
}

int suit_create(const struct suit_create *c, const struct key *k, struct buf *out, struct err *e)
{
	struct buf manifest = BUF_INIT(SUIT_ENVELOPE_MAX);
	size_t start = out->n;
	int rc = -1;

	if (check_create(c, e) == 0 && put_manifest(&manifest, c, e) == 0 &&
	    put_envelope(out, &manifest, k, e) == 0)
		rc = check_made(slice_of(out->p + start, out->n - start), e);
	if (rc && out->n > start)
		out->n = start;
	buf_free(&manifest);
	return rc;
}

/* Copy the envelope with another wrapper; every other member as it stands. */
static int replace_auth(struct slice envelope, const struct buf *auth, struct buf *out,
			struct err *e)
{
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	uint64_t n;

	cbor_begin(&c, envelope, e);
	if (cbor_peek(&c) == CBOR_TAG)
		cbor_put_tag(out, cbor_take_tag(&c));
	n = cbor_take_map(&c);
	cbor_put_map(out, n);
	for (uint64_t i = 0; i < n && !c.failed; i++) {
		struct slice key = cbor_take_key(&c, &seen);
		struct slice value = cbor_take_raw(&c);

		buf_add_slice(out, key);
		if (key.n == 1 && key.p[0] == ENVELOPE_AUTH)
			put_wrapped(out, auth);
		else
			buf_add_slice(out, value);
	}
	if (cbor_end(&c))
		return -1;
	return out->failed ? err_set(e, ERR_TOO_LARGE, "envelope too large") : 0;
}

/* All blocks of the wrapper, also those this side cannot verify. */
static int list_blocks(struct slice envelope, struct slice blocks[SUIT_SIGNATURES_MAX],
		       uint64_t *n_blocks, struct err *e)
{
	struct suit_members members;
	struct suit_manifest m = { 0 };
	struct cbor_reader c;
	uint64_t n;

	*n_blocks = 0;
	if (suit_envelope_read(envelope, &m, &members, e))
		return -1;
	cbor_begin(&c, members.m[ENVELOPE_AUTH].content, e);
	n = cbor_take_array(&c);
	cbor_take_bytes(&c);
	if (n > SUIT_SIGNATURES_MAX) /* the digest counts: one place is left */
		cbor_fail(&c, ERR_TOO_LARGE, "no room for more than %d signatures",
			  SUIT_SIGNATURES_MAX);
	for (uint64_t i = 1; i < n && !c.failed; i++)
		blocks[(*n_blocks)++] = cbor_take_bytes(&c);
	return cbor_end(&c);
}

int suit_sign(struct slice envelope, const struct key *k, struct buf *out, struct err *e)
{
	struct slice blocks[SUIT_SIGNATURES_MAX];
	struct buf auth = BUF_INIT(SUIT_ENVELOPE_MAX);
	struct suit_manifest m;
	uint64_t n_blocks;
	int rc = -1;

	if (suit_open(envelope, &m, e) || list_blocks(envelope, blocks, &n_blocks, e))
		return -1;
	if (put_auth(&auth, m.digest_bytes, blocks, n_blocks, k, e) == 0)
		rc = replace_auth(envelope, &auth, out, e);
	buf_free(&auth);
	return rc;
}
