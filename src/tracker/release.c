/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"
#include "tracker/urgency.h"

/*
 * The order matters: nothing inside the manifest is looked at before a signature
 * of somebody trusted was verified over it, and only then can it be asked whose
 * manifest it is.
 */
static int check(struct tracker *tk, struct slice bytes, struct suit_manifest *s,
		 struct manifest *m, struct manifest_image *images, int limit, int *n,
		 struct err *e)
{
	struct verified v;

	if (bytes.n > SUIT_ENVELOPE_MAX)
		return err_set(e, ERR_TOO_LARGE, "a manifest has at most %d bytes",
			       SUIT_ENVELOPE_MAX);
	if (suit_open(bytes, s, e) < 0 || trust_verify(tk, s, &v, e) < 0 ||
	    suit_parse(bytes, s, e) < 0)
		return -1;
	if (!s->vendor_id.set)
		return err_set(e, ERR_INVALID,
			       "it names no vendor: a vendor id condition is needed");
	if (memcmp(v.anchor.vendor_id.b, s->vendor_id.b, UUID_SIZE) != 0 &&
	    trust_verify_vendor(tk, s, &s->vendor_id, &v, e) < 0)
		return -1;
	if (derive_manifest(tk, bytes, s, &v, m, e) < 0)
		return -1;
	return derive_images(s, tk->policy, images, limit, n, e);
}

int release_check_manifest(struct tracker *tk, struct slice bytes, struct manifest *m,
			   struct manifest_image *images, int limit, int *n, struct err *e)
{
	struct suit_manifest s;

	return check(tk, bytes, &s, m, images, limit, n, e);
}

static int check_sequence(struct tracker *tk, const struct manifest *m, struct err *e)
{
	uint64_t known;
	int found = store_class_floor_get(tk->st, &m->vendor_id, &m->class_id, &known, e);

	if (found > 0 && m->sequence < known)
		return err_set(e, ERR_CONFLICT,
			       "sequence %" PRIu64 " is below the floor %" PRIu64 " of its class",
			       m->sequence, known);
	if (found >= 0)
		found = store_manifest_newest(tk->st, m, &known, e);
	if (found > 0 && m->sequence < known)
		return err_set(e, ERR_CONFLICT,
			       "sequence %" PRIu64 " is lower than %" PRIu64
			       ", the newest stored for its class",
			       m->sequence, known);
	return found < 0 ? -1 : 0;
}

/* Integrated payloads are images like others: by digest, served from the same place. */
static int keep_payloads(struct tracker *tk, const struct suit_manifest *s,
			 const struct manifest *m, struct manifest_image *images, int n,
			 struct err *e)
{
	for (int i = 0; i < n; i++) {
		struct slice bytes = { .p = NULL };
		struct image held;

		if (!images[i].integrated)
			continue;
		for (unsigned k = 0; k < s->n_payloads; k++)
			if (slice_eq_str(s->payloads[k].name, images[i].uri))
				bytes = s->payloads[k].bytes;
		if (bytes.n == 0)
			return err_set(e, ERR_INVALID, "component %s: %s is not in the envelope",
				       images[i].name, images[i].uri);
		if (images[i].has_size && images[i].size != bytes.n)
			return err_set(e, ERR_VERIFY,
				       "component %s: %s has %zu bytes, not %" PRIu64,
				       images[i].name, images[i].uri, bytes.n, images[i].size);
		images[i].has_size = true;
		images[i].size = bytes.n;
		struct digest d;
		if (sha256_once(bytes, &d) < 0)
			return err_set(e, ERR_INTERNAL, "the digest could not be computed");
		if (!digest_eq(&d, &images[i].digest))
			return err_set(e, ERR_VERIFY, "component %s: %s differs from its digest",
				       images[i].name, images[i].uri);
		if (store_image_add(tk->st, bytes, m->by, tk->now.wall, &held, e) < 0)
			return -1;
	}
	return 0;
}

int release_manifest_add(struct tracker *tk, struct slice bytes, struct manifest *out,
			 struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct suit_manifest s;
	char object[DIGEST_TEXT];
	int n;

	if (check(tk, bytes, &s, out, images, IMAGES_MAX, &n, e) < 0)
		return -1;
	/* handed in again: the verdict is renewed, the rest is as it was */
	struct manifest known;
	int found = store_manifest_get(tk->st, &out->digest, &known, e);
	if (found > 0) {
		int64_t anchor = out->anchor;
		*out = known;
		out->anchor = anchor;
		out->verified = tk->now.wall;
		return store_manifest_verdict(tk->st, &known.digest, anchor, tk->now.wall, e);
	}
	if (found < 0 || check_sequence(tk, out, e) < 0 ||
	    keep_payloads(tk, &s, out, images, n, e) < 0 ||
	    store_manifest_add(tk->st, out, images, n, bytes, e) < 0)
		return -1;
	effects_prepare(tk->fx, &out->digest);
	digest_text(object, &out->digest);
	return audit_note(tk, "manifest.add", object, e,
			  "%s %s sequence %" PRIu64 ", anchor %" PRId64, out->manufacturer,
			  out->model, out->sequence, out->anchor);
}

/* ---- completeness ---- */

/* 1 held, or allowed to be elsewhere; 0 missing. */
static int have_image(struct tracker *tk, const struct manifest_image *m, struct err *e)
{
	struct image held;
	int found = store_image_get(tk->st, &m->digest, &held, e);

	if (found < 0)
		return -1;
	if (found > 0 && held.sealed && (!m->has_size || held.size == m->size))
		return 1;
	return m->external && tk->policy->allow_external ? 1 : 0;
}

int release_missing(struct tracker *tk, const struct release *r, struct digest *missing, int limit,
		    struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	int n = store_manifest_images(tk->st, &r->manifest, images, IMAGES_MAX, e), lacking = 0;

	for (int i = 0; i < n; i++) {
		int have = have_image(tk, &images[i], e);
		if (have < 0)
			return -1;
		if (have > 0)
			continue;
		if (missing && lacking < limit)
			missing[lacking] = images[i].digest;
		lacking++;
	}
	return n < 0 ? -1 : lacking;
}

/* ---- releases ---- */

static void default_name(const struct manifest *m, char dst[NAME_TEXT])
{
	char text[NAME_TEXT + VERSION_TEXT + 1];

	cause_format(text, sizeof(text), "%s-%s", m->model, m->version);
	cause_format(dst, NAME_TEXT, "%.64s", text);
	for (char *p = dst; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+-",
			    *p))
			*p = '_';
	if (dst[0] == '-' || dst[0] == '.' || dst[0] == '\0')
		dst[0] = '_';
}

static int choose_name(struct tracker *tk, const struct manifest *m, const char *wanted,
		       char dst[NAME_TEXT], struct err *e)
{
	struct release other;

	if (!wanted || !wanted[0])
		default_name(m, dst);
	else if (!name_valid(slice_str(wanted)) || text_copy(dst, NAME_TEXT, wanted) < 0)
		return err_set(e, ERR_INVALID, "name: 1 to 64 of letters, digits, . _ : + -");
	int found = store_release_by_name(tk->st, dst, &other, e);
	return found > 0 ? err_set(e, ERR_CONFLICT, "there is a release called %s", dst) : found;
}

static int judge_urgency(struct tracker *tk, const struct manifest *m, struct release *r,
			 struct err *e)
{
	struct urgency_verdict *v = arena_alloc(tk->a, sizeof(*v));
	struct manifest_image images[IMAGES_MAX];
	struct slice bytes;

	if (!v)
		return err_set(e, ERR_NO_MEMORY, "no memory for the urgency");
	int n = store_manifest_images(tk->st, &m->digest, images, IMAGES_MAX, e);
	if (n < 0 || store_manifest_bytes(tk->st, &m->digest, tk->a, &bytes, e) <= 0 ||
	    release_judge(tk, tk->policy, m, images, n, bytes, v, e) < 0)
		return -1;
	r->urgency = v->urgency;
	return text_copy(r->urgency_by, sizeof(r->urgency_by), v->by);
}

int release_add(struct tracker *tk, const struct digest *manifest, const char *name,
		struct release *out, struct err *e)
{
	struct manifest m;
	struct release other;

	int found = store_manifest_get(tk->st, manifest, &m, e);
	if (found <= 0)
		return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "there is no such manifest");
	found = store_release_by_manifest(tk->st, manifest, &other, e);
	if (found > 0 && other.state != RELEASE_WITHDRAWN)
		return err_set(e, ERR_CONFLICT, "release %s has this manifest", other.name);
	struct release r = { .manifest = m.digest,
			     .state = RELEASE_SUBMITTED,
			     .vendor_id = m.vendor_id,
			     .class_id = m.class_id,
			     .sequence = m.sequence,
			     .outage_s = -1,
			     .created = tk->now.wall };
	if (found < 0 || choose_name(tk, &m, name, r.name, e) < 0)
		return -1;
	text_copy(r.manufacturer, sizeof(r.manufacturer), m.manufacturer);
	text_copy(r.model, sizeof(r.model), m.model);
	text_copy(r.version, sizeof(r.version), m.version);
	cause_copy(r.by, sizeof(r.by), tk->who);
	if (judge_urgency(tk, &m, &r, e) < 0)
		return -1;
	int lacking = release_missing(tk, &r, NULL, 0, e);
	if (lacking < 0)
		return -1;
	r.complete = lacking == 0;
	if (store_release_add(tk->st, &r, e) < 0)
		return -1;
	*out = r;
	if (audit_note(tk, "release.add", r.name, e, "sequence %" PRIu64 ", urgency %s by %s",
		       r.sequence, urgency_word(r.urgency), r.urgency_by) < 0)
		return -1;
	return standing_release_added(tk, &r, e);
}
