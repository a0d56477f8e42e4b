/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "codec/suit_internal.h"

#define LAYOUT_OLD "layout of draft-ietf-suit-manifest-16 or older"

/* What a manifest member may be. Members 10 to 13 and 17 only tell old layouts apart. */
enum shape { SHAPE_UNKNOWN, SHAPE_PLAIN, SHAPE_BYTES, SHAPE_SEVERABLE, SHAPE_OLD, SHAPE_17 };

static const uint8_t shapes[MANIFEST_MEMBERS] = {
	[MANIFEST_VERSION] = SHAPE_PLAIN,
	[MANIFEST_SEQUENCE] = SHAPE_PLAIN,
	[MANIFEST_COMMON] = SHAPE_BYTES,
	[MANIFEST_REFERENCE_URI] = SHAPE_PLAIN,
	[MANIFEST_COMPONENT_ID] = SHAPE_PLAIN,
	[MANIFEST_SET_VERSION] = SHAPE_BYTES,
	[MANIFEST_VALIDATE] = SHAPE_BYTES,
	[MANIFEST_LOAD] = SHAPE_BYTES,
	[MANIFEST_INVOKE] = SHAPE_BYTES,
	[10] = SHAPE_OLD,
	[11] = SHAPE_OLD,
	[12] = SHAPE_OLD,
	[13] = SHAPE_OLD,
	[MANIFEST_COSWID] = SHAPE_SEVERABLE,
	[MANIFEST_DEPENDENCY_RESOLUTION] = SHAPE_SEVERABLE,
	[MANIFEST_PAYLOAD_FETCH] = SHAPE_SEVERABLE,
	[MANIFEST_INSTALL_17] = SHAPE_17,
	[MANIFEST_CANDIDATE_VERIFICATION] = SHAPE_SEVERABLE,
	[MANIFEST_INSTALL] = SHAPE_SEVERABLE,
	[MANIFEST_TEXT] = SHAPE_SEVERABLE,
	[MANIFEST_UNINSTALL] = SHAPE_BYTES,
};

static void read_member(struct cbor_reader *c, struct cbor_keys *seen, struct suit_members *man)
{
	int64_t key = cbor_take_label(c, seen);
	uint8_t shape = key > 0 && key < MANIFEST_MEMBERS ? shapes[key] : SHAPE_UNKNOWN;
	struct suit_member *m;

	if (c->failed)
		return;
	if (shape == SHAPE_UNKNOWN)
		cbor_fail(c, ERR_UNSUPPORTED, "unknown manifest member %lld", (long long)key);
	else if (shape == SHAPE_OLD)
		cbor_fail(c, ERR_UNSUPPORTED, LAYOUT_OLD ": manifest member %lld", (long long)key);
	else if (shape == SHAPE_17)
		cbor_fail(c, ERR_UNSUPPORTED,
			  "layout of draft-ietf-suit-manifest-17 to -28 (install is 17)");
	if (c->failed)
		return;
	m = &man->m[key];
	m->present = true;
	if (cbor_peek(c) == CBOR_BYTES && shape != SHAPE_PLAIN)
		m->content = c->item.s;
	else if (shape == SHAPE_BYTES)
		cbor_fail(c, ERR_MALFORMED, "manifest member %lld is no byte string",
			  (long long)key);
	m->raw = cbor_take_raw(c);
}

static int read_members(struct slice manifest, struct suit_members *man, struct err *e)
{
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	uint64_t n;

	*man = (struct suit_members){ 0 };
	cbor_begin(&c, manifest, e);
	n = cbor_take_map(&c);
	for (uint64_t i = 0; i < n && !c.failed; i++)
		read_member(&c, &seen, man);
	return cbor_end(&c);
}

/* A digest in the manifest: the member of the same number in the envelope must have it. */
static int unsever(struct suit_member *in_manifest, const struct suit_member *in_envelope,
		   unsigned number, struct suit_manifest *m, struct err *e)
{
	struct slice digest;
	char what[48];
	enum alg alg;

	if (suit_digest_read(in_manifest->raw, &alg, &digest, e))
		return err_prefix(e, "manifest member %u", number);
	if (!in_envelope->present)
		return 0; /* severed and gone: nothing to look at */
	(void)text_format(what, sizeof(what), "severed member %u", number);
	if (suit_digest_check(alg, digest, in_envelope->raw, what, e))
		return -1;
	in_manifest->content = in_envelope->content;
	m->severed = true;
	return 0;
}

static int check_severed(struct suit_members *man, const struct suit_members *env,
			 struct suit_manifest *m, struct err *e)
{
	for (unsigned i = MANIFEST_COSWID; i < MANIFEST_MEMBERS; i++) {
		bool digest = man->m[i].present && !man->m[i].content.p;

		if (env->m[i].present && !digest)
			return err_set(e, ERR_VERIFY,
				       "envelope member %u is not named by the manifest", i);
		if (digest && unsever(&man->m[i], &env->m[i], i, m, e))
			return -1;
	}
	return 0;
}

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || s.p[i] == '/')
			return false;
	return s.n > 0;
}

/* Segments joined by '/'; what is no plain text is written in hex. */
static void read_component(struct cbor_reader *c, struct suit_component *out)
{
	struct cbor_reader before = *c;
	uint64_t n = cbor_take_array(c);
	size_t used = 0;

	for (uint64_t i = 0; i < n && !c->failed; i++) {
		struct slice s = cbor_take_bytes(c);
		bool text = is_printable(s);
		size_t need = text ? s.n : 2 * s.n;

		if (need + 2 > sizeof(out->name) - used) {
			cbor_fail(c, ERR_TOO_LARGE, "component name over %zu characters",
				  sizeof(out->name) - 1);
			return;
		}
		if (i > 0)
			out->name[used++] = '/';
		if (text)
			memcpy(out->name + used, s.p, s.n);
		else
			text_hex(out->name + used, s.p, s.n);
		used += need;
	}
	out->name[used] = '\0';
	if (!c->failed)
		out->id = slice_of(before.left.p, before.left.n - c->left.n);
}

static void read_components(struct cbor_reader *c, struct suit_manifest *m)
{
	uint64_t n = cbor_take_array(c);

	if (!c->failed && (n == 0 || n > SUIT_COMPONENTS_MAX))
		cbor_fail(c, n ? ERR_TOO_LARGE : ERR_MALFORMED, "%llu components",
			  (unsigned long long)n);
	for (unsigned i = 0; i < n && !c->failed; i++) {
		read_component(c, &m->components[i]);
		for (unsigned k = 0; k < i && !c->failed; k++)
			if (slice_eq(m->components[k].id, m->components[i].id))
				cbor_fail(c, ERR_INVALID, "component listed twice");
		m->n_components++;
	}
}

/* {component index => {? prefix}}: how many there are. */
static uint8_t read_dependencies(struct cbor_reader *c)
{
	uint64_t n = cbor_take_map(c);

	if (!c->failed && (n == 0 || n > SUIT_COMPONENTS_MAX))
		cbor_fail(c, ERR_TOO_LARGE, "%llu dependencies", (unsigned long long)n);
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		(void)cbor_take_uint(c);
		(void)cbor_take_raw(c);
	}
	return c->failed ? 0 : (uint8_t)n;
}

static int read_common(struct slice common, struct suit_manifest *m, struct slice *shared,
		       struct err *e)
{
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	uint64_t n;

	*shared = (struct slice){ 0 };
	cbor_begin(&c, common, e);
	n = cbor_take_map(&c);
	for (uint64_t i = 0; i < n && !c.failed; i++) {
		int64_t key = cbor_take_label(&c, &seen);

		if (key == COMMON_COMPONENTS)
			read_components(&c, m);
		else if (key == COMMON_SHARED)
			*shared = cbor_take_bytes(&c);
		else if (key == COMMON_DEPENDENCIES)
			m->n_dependencies = read_dependencies(&c);
		else
			cbor_fail(&c, ERR_UNSUPPORTED, "unknown member %lld", (long long)key);
	}
	if (cbor_end(&c))
		return err_prefix(e, "common");
	/* refused only now, so that people who look at the manifest see what it is made of */
	return m->n_dependencies ? err_set(e, ERR_UNSUPPORTED, "dependencies are not supported")
				 : 0;
}

static int read_plain(const struct suit_members *man, struct suit_manifest *m, struct err *e)
{
	struct cbor_reader c;

	cbor_begin(&c, man->m[MANIFEST_VERSION].raw, e);
	if (cbor_take_uint(&c) != 1 && !c.failed)
		cbor_fail(&c, ERR_UNSUPPORTED, "manifest version is not 1");
	if (cbor_end(&c))
		return -1;
	cbor_begin(&c, man->m[MANIFEST_SEQUENCE].raw, e);
	m->sequence = cbor_take_uint(&c);
	if (cbor_end(&c))
		return -1;
	if (man->m[MANIFEST_REFERENCE_URI].present) {
		cbor_begin(&c, man->m[MANIFEST_REFERENCE_URI].raw, e);
		m->reference_uri = cbor_take_text(&c);
		if (cbor_end(&c))
			return -1;
	}
	if (!man->m[MANIFEST_SET_VERSION].present)
		return 0;
	cbor_begin(&c, man->m[MANIFEST_SET_VERSION].content, e);
	suit_version_read(&c, m->version, sizeof(m->version));
	m->has_version = true;
	return cbor_end(&c) ? err_prefix(e, "set-version") : 0;
}

/* Integrated payloads: what the manifest says of them must be true of them. */
static int check_payload(const struct suit_manifest *m, const struct suit_image *image,
			 struct err *e)
{
	char what[96];

	for (size_t i = 0; i < m->n_payloads; i++) {
		const struct suit_payload *p = &m->payloads[i];

		if (!slice_eq(p->name, image->uri))
			continue;
		(void)text_format(what, sizeof(what), "payload %.*s",
				  (int)(p->name.n < 64 ? p->name.n : 64), (const char *)p->name.p);
		if (image->has_size && image->size != p->bytes.n)
			return err_set(e, ERR_VERIFY, "%s has %zu bytes, not %llu", what,
				       p->bytes.n, (unsigned long long)image->size);
		if (image->digest.p)
			return suit_digest_check(image->digest_alg, image->digest, p->bytes, what,
						 e);
	}
	return 0;
}

static int check_payloads(const struct suit_manifest *m, struct err *e)
{
	for (size_t i = 0; i < m->n_images; i++)
		if (slice_starts(m->images[i].uri, "#") && !m->images[i].encrypted &&
		    check_payload(m, &m->images[i], e))
			return -1;
	return 0;
}

static int read_manifest(struct suit_members *man, const struct suit_members *env,
			 struct suit_manifest *m, struct err *e)
{
	struct slice shared;

	if (!man->m[MANIFEST_VERSION].present || !man->m[MANIFEST_SEQUENCE].present ||
	    !man->m[MANIFEST_COMMON].present)
		return err_set(e, ERR_MALFORMED,
			       "manifest without version, sequence number or common");
	if (read_plain(man, m, e))
		return -1;
	if (check_severed(man, env, m, e) ||
	    read_common(man->m[MANIFEST_COMMON].content, m, &shared, e))
		return -1;
	if (man->m[MANIFEST_DEPENDENCY_RESOLUTION].present)
		return err_set(e, ERR_UNSUPPORTED, "dependencies are not supported");
	if (suit_machine_run(m, shared, man, e))
		return -1;
	if (man->m[MANIFEST_TEXT].content.p && suit_text_read(man->m[MANIFEST_TEXT].content, m, e))
		return err_prefix(e, "text");
	return check_payloads(m, e);
}

int suit_parse(struct slice envelope, struct suit_manifest *m, struct err *e)
{
	struct suit_members env, man;

	m->n_components = 0;
	m->n_images = 0;
	m->n_dependencies = 0;
	if (suit_envelope_read(envelope, m, &env, e))
		return -1;
	/* only what suit_open() has seen is read: its slices point into these very bytes */
	if (m->digest_bytes.p < env.m[ENVELOPE_AUTH].content.p ||
	    m->digest_bytes.p >= env.m[ENVELOPE_AUTH].content.p + env.m[ENVELOPE_AUTH].content.n)
		return err_set(e, ERR_INTERNAL, "the envelope was not opened before");
	if (read_members(env.m[ENVELOPE_MANIFEST].content, &man, e) ||
	    read_manifest(&man, &env, m, e))
		return err_prefix(e, "manifest");
	return 0;
}
