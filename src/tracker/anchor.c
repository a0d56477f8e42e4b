/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"

#define PAGE 16

/* The key as stored is the key as checked: SPKI, its id and its kind come from one load. */
static int settle_key(struct anchor *a, struct err *e)
{
	struct buf der = BUF_INIT(sizeof(a->spki));
	struct key *k = NULL;
	int result = -1;

	if (key_load(slice_of(a->spki, a->spki_len), &k, e) < 0)
		return err_prefix(e, "key");
	if (key_public_spki(k, &der, e) < 0)
		goto out;
	if (der.failed || der.n > sizeof(a->spki)) {
		err_set(e, ERR_TOO_LARGE, "key: longer than %zu bytes", sizeof(a->spki));
		goto out;
	}
	memcpy(a->spki, der.p, der.n);
	a->spki_len = (uint16_t)der.n;
	if (key_id(k, &a->key_id) < 0) {
		err_set(e, ERR_INTERNAL, "key: its id could not be computed");
		goto out;
	}
	result = text_copy(a->alg, sizeof(a->alg), key_kind_name(key_kind_of(k)));
out:
	buf_free(&der);
	key_free(k);
	return result;
}

/* A vendor is a domain, or its UUID written out. */
static int settle_vendor(struct anchor *a, struct err *e)
{
	if (a->vendor[0] == '\0')
		return err_set(e, ERR_INVALID, "vendor: a domain or a UUID is needed");
	if (a->vendor_id.set)
		return 0;
	if (uuid_parse(&a->vendor_id, slice_str(a->vendor)) == 0)
		return 0;
	if (suit_vendor_uuid(a->vendor, &a->vendor_id) < 0)
		return err_set(e, ERR_INVALID, "vendor: %s is neither a domain nor a UUID",
			       a->vendor);
	return 0;
}

/* One key counts once for a vendor, or thresholds would count it twice. */
static int check_new(struct tracker *tk, const struct anchor *a, struct err *e)
{
	struct anchor page[PAGE];
	int64_t after = 0;
	int n;

	do {
		n = store_anchor_for_vendor(tk->st, &a->vendor_id, after, PAGE, page, e);
		for (int i = 0; i < n; i++) {
			after = page[i].id;
			if (page[i].revoked == 0 && digest_eq(&page[i].key_id, &a->key_id))
				return err_set(e, ERR_CONFLICT,
					       "this key is trust anchor %" PRId64
					       " of vendor %s already",
					       page[i].id, a->vendor);
		}
	} while (n == PAGE);
	return n < 0 ? -1 : 0;
}

int anchor_add(struct tracker *tk, struct anchor *a, struct err *e)
{
	char key[DIGEST_TEXT];

	if (settle_vendor(a, e) < 0 || settle_key(a, e) < 0)
		return -1;
	if (a->not_after > 0 && a->not_after <= a->not_before)
		return err_set(e, ERR_INVALID, "not_after: is not after not_before");
	if (check_new(tk, a, e) < 0)
		return -1;
	a->revoked = 0;
	a->created = tk->now.wall;
	cause_copy(a->by, sizeof(a->by), tk->who);
	if (store_anchor_add(tk->st, a, e) < 0)
		return -1;
	digest_text(key, &a->key_id);
	return audit_note(tk, "anchor.add", a->vendor, e, "anchor %" PRId64 ", %s key %s", a->id,
			  a->alg, key);
}

int anchor_revoke(struct tracker *tk, int64_t id, struct err *e)
{
	struct anchor a;
	struct job job;

	int found = store_anchor_get(tk->st, id, &a, e);
	if (found <= 0)
		return found < 0
			       ? -1
			       : err_set(e, ERR_NOT_FOUND, "there is no trust anchor %" PRId64, id);
	if (a.revoked > 0)
		return 0;
	if (store_anchor_revoke(tk->st, id, tk->now.wall, e) < 0 ||
	    job_start(tk, "anchor-revoke", id, &job, e) < 0)
		return -1;
	return audit_note(tk, "anchor.revoke", a.vendor, e, "anchor %" PRId64, id);
}
