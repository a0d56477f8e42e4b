/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/crypto.h"
#include "service/internal.h"

void etag_of_digest(struct etag *t, const struct digest *d)
{
	_Static_assert(ETAG_MAX == DIGEST_SIZE, "an entity tag is a whole SHA-256");
	memcpy(t->b, d->b, DIGEST_SIZE);
	t->n = DIGEST_SIZE;
}

int etag_of_version(struct etag *t, const char *kind, int64_t id, uint64_t version)
{
	char text[96];
	struct digest d;
	int n = snprintf(text, sizeof(text), "%s %" PRId64 " %" PRIu64, kind, id, version);

	t->n = 0;
	if (n < 0 || (size_t)n >= sizeof(text) || sha256_once(slice_of(text, (size_t)n), &d) != 0)
		return -1;
	etag_of_digest(t, &d);
	return 0;
}

static bool any_matches(const struct etag *given, unsigned n, const struct etag *full)
{
	for (unsigned i = 0; i < n && i < ETAGS_MAX; i++)
		if (etag_matches(&given[i], full))
			return true;
	return false;
}

int etag_check(struct call *c, const struct etag *full, bool *fresh, struct err *e)
{
	const struct request *rq = c->rq;
	bool reads = rq->method == METHOD_GET || rq->method == METHOD_HEAD;
	bool known = any_matches(rq->if_none_match, rq->n_if_none_match, full);

	c->rs->etag = *full;
	*fresh = false;
	if (rq->n_if_match > 0 && !rq->if_match_any &&
	    !any_matches(rq->if_match, rq->n_if_match, full))
		return err_set(e, ERR_PRECONDITION, "it is not the version you name");
	if (known && !reads)
		return err_set(e, ERR_PRECONDITION, "it is the version you exclude");
	*fresh = c->unchanged = known;
	return 0;
}

#define ETAG_PARTS 8 /* all that CoAP has room for */

static const struct etag *part_given(const struct etag *given, unsigned n, const struct etag *full)
{
	for (unsigned i = 0; i < n && i < ETAGS_MAX; i++)
		if (given[i].n == ETAG_PARTS && memcmp(given[i].b, full->b, ETAG_PART) == 0)
			return &given[i];
	return NULL;
}

int etag_check_part(struct call *c, const struct etag *full, struct err *e)
{
	const struct request *rq = c->rq;
	const struct etag *known = part_given(rq->if_none_match, rq->n_if_none_match, full);

	c->rs->etag = known ? *known : *full;
	c->rs->etag.n = ETAG_PARTS;
	c->unchanged = known != NULL;
	if (rq->n_if_match > 0 && !rq->if_match_any &&
	    !part_given(rq->if_match, rq->n_if_match, full))
		return err_set(e, ERR_PRECONDITION, "it is not the version you name");
	return 0;
}

int etag_of_answer(struct call *c, struct err *e)
{
	struct digest d;

	if (c->unchanged)
		return 0; /* the tag of what the asker has */
	if (sha256_once(c->rs->body, &d) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	memcpy(c->rs->etag.b + ETAG_PART, d.b, ETAG_PARTS - ETAG_PART);
	return 0;
}

int etag_check_version(struct call *c, const char *kind, int64_t id, uint64_t version, bool *fresh,
		       struct err *e)
{
	struct etag tag;

	if (etag_of_version(&tag, kind, id, version) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	return etag_check(c, &tag, fresh, e);
}
