/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device/agent_internal.h"

static int refuse(enum failure *f, enum failure why)
{
	*f = why;
	return -1;
}

static int check_digest(const struct agent_offer *o, struct slice bytes, struct err *e)
{
	struct digest d;

	if (sha256_once(bytes, &d) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	if (o->has_manifest_digest && !digest_eq(&d, &o->manifest_digest))
		return err_set(e, ERR_VERIFY, "the manifest is not the one that was offered");
	return 0;
}

static int check_signature(const struct agent_plan *p, const struct suit_manifest *m, struct err *e)
{
	struct err one = { 0 };
	enum alg alg;

	for (unsigned i = 0; i < p->n_anchors; i++)
		if (suit_verify_key(m, p->anchors[i], &alg, &one) == 0)
			return 0;
	if (p->n_anchors == 0 && p->unverified)
		return 0;
	if (p->n_anchors == 0)
		return err_set(e, ERR_VERIFY, "no trust anchor was given, so nothing verifies");
	return err_set(e, ERR_VERIFY, "no trust anchor verifies the manifest: %s", one.text);
}

static int check_id(const struct uuid *ours, const struct uuid *theirs, const char *what,
		    struct err *e)
{
	if (!ours->set)
		return 0;
	/* SUIT's conditions are what binds a manifest to a device: one without binds to none */
	if (!theirs->set)
		return err_set(e, ERR_INVALID, "the manifest does not say which %s it is for",
			       what);
	if (memcmp(ours->b, theirs->b, UUID_SIZE) == 0)
		return 0;
	return err_set(e, ERR_INVALID, "the manifest is for another %s", what);
}

int check_fit(const struct agent_plan *p, uint64_t installed, const struct suit_manifest *m,
	      struct err *e)
{
	if (check_id(&p->vendor_id, &m->vendor_id, "vendor", e) != 0 ||
	    check_id(&p->class_id, &m->class_id, "class", e) != 0)
		return -1;
	if (m->sequence < installed)
		return err_set(e, ERR_INVALID,
			       "sequence %llu is lower than %llu, which is installed",
			       (unsigned long long)m->sequence, (unsigned long long)installed);
	return 0;
}

/* "#name": the bytes are in the envelope. */
static int find_payload(const struct suit_manifest *m, struct slice bytes, struct slice uri,
			struct agent_image *to, struct err *e)
{
	for (int i = 0; i < m->n_payloads; i++)
		if (slice_eq(m->payloads[i].name, uri)) {
			to->integrated = to->has_size = true;
			to->at = (size_t)(m->payloads[i].bytes.p - bytes.p);
			to->size = m->payloads[i].bytes.n;
			return 0;
		}
	return err_set(e, ERR_INVALID, "the manifest lacks its payload");
}

/* Where the server has it wins over where the author said it would be. */
static int find_path(const struct agent_offer *o, struct slice uri, struct agent_image *to,
		     struct err *e)
{
	char hex[DIGEST_TEXT];

	for (int i = 0; i < o->n_images; i++)
		if (digest_eq(&o->images[i].digest, &to->digest) && o->images[i].path[0])
			return text_copy(to->path, sizeof(to->path), o->images[i].path);
	if (agent_path_of(uri, to->path, sizeof(to->path)) == 0)
		return 0;
	/* a pushed manifest comes without an offer: what the server has is found by its digest */
	digest_text(hex, &to->digest);
	if (o->pushed)
		return text_format(to->path, sizeof(to->path), "/image/%s", hex);
	return err_set(e, ERR_INVALID, "no URI says where %s is", to->component);
}

static int take_image(const struct agent_offer *o, const struct suit_manifest *m,
		      struct slice bytes, const struct suit_image *from, struct agent_image *to,
		      struct err *e)
{
	memset(to, 0, sizeof(*to));
	if (from->digest_alg != ALG_SHA256 || from->digest.n != DIGEST_SIZE)
		return err_set(e, ERR_UNSUPPORTED, "an image's digest is not SHA-256");
	if (text_copy(to->component, sizeof(to->component), m->components[from->component].name))
		return err_set(e, ERR_TOO_LARGE, "a component's name is too long");
	memcpy(to->digest.b, from->digest.p, DIGEST_SIZE);
	to->number = from->component;
	to->has_size = from->has_size;
	to->size = from->size;
	if (slice_starts(from->uri, "#"))
		return find_payload(m, bytes, from->uri, to, e);
	return find_path(o, from->uri, to, e);
}

/* The first alternative of each component: this device has one slot. */
static int take_images(struct agent_offer *o, const struct suit_manifest *m, struct slice bytes,
		       struct err *e)
{
	struct agent_image *out = calloc(AGENT_IMAGES_MAX, sizeof(*out));
	uint32_t seen = 0;
	uint8_t n = 0;
	int result = -1;

	if (!out)
		return err_set(e, ERR_NO_MEMORY, "images");
	for (int i = 0; i < m->n_images; i++) {
		const struct suit_image *from = &m->images[i];
		uint32_t bit = from->component < 32 ? 1u << from->component : 0;

		if ((seen & bit) || n == AGENT_IMAGES_MAX)
			continue;
		seen |= bit;
		if (take_image(o, m, bytes, from, &out[n++], e) != 0)
			goto out;
	}
	if (n == 0) {
		err_set(e, ERR_INVALID, "the manifest names no image");
		goto out;
	}
	memcpy(o->images, out, n * sizeof(*out));
	o->n_images = n;
	result = 0;
out:
	free(out);
	return result;
}

int check_manifest(const struct agent_plan *p, uint64_t installed, struct agent_offer *o,
		   enum failure *f, struct err *e)
{
	struct suit_manifest *m = calloc(1, sizeof(*m));
	struct slice bytes = buf_slice(&o->manifest);
	int result = -1;

	*f = FAILURE_OTHER;
	if (!m)
		return err_set(e, ERR_NO_MEMORY, "manifest");
	if (check_digest(o, bytes, e) != 0)
		result = refuse(f, FAILURE_DIGEST);
	else if (suit_open(bytes, m, e) != 0 || check_signature(p, m, e) != 0)
		result = refuse(f, FAILURE_SIGNATURE);
	else if (suit_parse(bytes, m, e) != 0 || check_fit(p, installed, m, e) != 0 ||
		 take_images(o, m, bytes, e) != 0)
		result = refuse(f, FAILURE_INCOMPATIBLE);
	else {
		o->sequence = m->sequence;
		if (m->has_version)
			result = text_copy(o->version, sizeof(o->version), m->version);
		else
			result = 0;
		o->taken = result == 0;
	}
	free(m);
	return result;
}
