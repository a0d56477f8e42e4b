/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/cose.h"
#include "tracker/internal.h"

#define PAGE 16
/* Checks of one envelope: each costs a public-key operation, and anybody may hand one in. */
#define TRIES_MAX 64

bool anchor_in_force(const struct anchor *a, const struct now *now)
{
	if (a->revoked > 0)
		return false;
	if (a->not_before > 0 && now->wall < a->not_before)
		return false;
	return a->not_after == 0 || now->wall < a->not_after;
}

/* Could this anchor have made one of the signatures, by the key ids they name? */
struct hints {
	struct slice kid[SUIT_SIGNATURES_MAX];
	uint8_t n;
	bool unnamed; /* some signature names no key */
};

static struct hints hints_of(const struct suit_manifest *m)
{
	struct hints h = { .n = 0 };

	for (unsigned i = 0; i < m->n_signatures; i++) {
		struct cose_sign1 c;
		if (cose_sign1_parse(m->signatures[i], &c, NULL) < 0 || c.kid.n == 0)
			h.unnamed = true;
		else
			h.kid[h.n++] = c.kid;
	}
	return h;
}

/* Ours are the first 8 bytes of the key's id; some write all of it. */
static bool hinted(const struct hints *h, const struct anchor *a)
{
	for (unsigned i = 0; i < h->n; i++) {
		size_t n = h->kid[i].n;
		if (n >= 8 && n <= DIGEST_SIZE && memcmp(h->kid[i].p, a->key_id.b, n) == 0)
			return true;
	}
	return false;
}

struct search {
	struct tracker *tk;
	const struct suit_manifest *m;
	struct hints hints;
	const struct uuid *vendor; /* NULL: any */
	int tries;
	/* an anchor that would have verified, were it in force: to say so */
	bool has_lapsed;
	struct anchor lapsed;
	struct verified *out;
};

/* 1 verified, 0 not by this one, -1 error. */
static int try_anchor(struct search *s, const struct anchor *a, struct err *e)
{
	struct key *k = NULL;
	enum alg alg = ALG_NONE;

	if (s->tries >= TRIES_MAX)
		return err_set(e, ERR_VERIFY, "no signature verified within %d tries", TRIES_MAX);
	s->tries++;
	if (key_load(slice_of(a->spki, a->spki_len), &k, e) < 0)
		return err_prefix(e, "anchor %" PRId64, a->id);
	bool good = suit_verify_key(s->m, k, &alg, NULL) == 0;
	key_free(k);
	if (!good)
		return 0;
	if (!anchor_in_force(a, &s->tk->now)) {
		s->has_lapsed = true;
		s->lapsed = *a;
		return 0;
	}
	s->out->anchor = *a;
	s->out->alg = alg;
	return 1;
}

static int page_of(struct search *s, int64_t after, struct anchor *page, struct err *e)
{
	if (s->vendor)
		return store_anchor_for_vendor(s->tk->st, s->vendor, after, PAGE, page, e);
	return store_anchor_list(s->tk->st, after, PAGE, page, e);
}

/* Go through the anchors once, those that the signatures name or the others. */
static int walk(struct search *s, bool named, struct err *e)
{
	struct anchor page[PAGE];
	int64_t after = 0;
	int n, result = 0;

	do {
		n = page_of(s, after, page, e);
		for (int i = 0; i < n && result == 0; i++) {
			after = page[i].id;
			/* one that lapsed is tried only where it is named: to tell its owner why */
			if (hinted(&s->hints, &page[i]) == named &&
			    (named || anchor_in_force(&page[i], &s->tk->now)))
				result = try_anchor(s, &page[i], e);
		}
	} while (n == PAGE && result == 0);
	return n < 0 ? -1 : result;
}

static int search(struct search *s, struct err *e)
{
	s->hints = hints_of(s->m);
	int found = walk(s, true, e);
	/* a key id is a hint: keys are also found without one, or under another */
	if (found == 0)
		found = walk(s, false, e);
	return found;
}

static int no_anchor(const struct search *s, struct err *e)
{
	const struct anchor *a = &s->lapsed;

	if (s->m->n_signatures == 0)
		return err_set(e, ERR_VERIFY, "it is not signed");
	if (!s->has_lapsed)
		return err_set(e, ERR_VERIFY, "signed by a key that is no trust anchor");
	return err_set(e, ERR_VERIFY,
		       "signed by trust anchor %" PRId64 " of vendor %s, which is %s", a->id,
		       a->vendor, a->revoked > 0 ? "revoked" : "not valid at this time");
}

int trust_verify(struct tracker *tk, const struct suit_manifest *m, struct verified *out,
		 struct err *e)
{
	struct search s = { .tk = tk, .m = m, .out = out };
	int found = search(&s, e);

	if (found == 0)
		return no_anchor(&s, e);
	return found < 0 ? -1 : 0;
}

int trust_verify_vendor(struct tracker *tk, const struct suit_manifest *m,
			const struct uuid *vendor, struct verified *out, struct err *e)
{
	struct search s = { .tk = tk, .m = m, .vendor = vendor, .out = out };
	char text[UUID_TEXT];

	int found = search(&s, e);
	if (found == 0 && s.has_lapsed)
		return no_anchor(&s, e);
	if (found == 0) {
		uuid_text(text, vendor);
		return err_set(e, ERR_VERIFY,
			       "signed by a key that is no trust anchor of vendor %s", text);
	}
	return found < 0 ? -1 : 0;
}
