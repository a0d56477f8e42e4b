/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

#define GRANT_DEVICE_MS (10 * 60 * 1000)
#define GRANT_OPEN_MS (60 * 1000) /* what is published may be superseded */
#define GRANT_ONCE_MS 1 /* this answer only: tokens travel with requests, not sessions */

static bool may_read_all(const struct call *c)
{
	return ROLE_BIT(c->who.role) & WHO_READ;
}

/* How long the front may go on without asking. */
static int64_t lifetime_of(const struct call *c)
{
	if (c->who.role == ROLE_DEVICE && c->rq->token.n == 0)
		return GRANT_DEVICE_MS;
	return c->rq->token.n ? GRANT_ONCE_MS : GRANT_OPEN_MS;
}

/* What is not to be seen is as if it were not there. */
static int absent(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is nothing at this path");
}

static int acceptable(struct call *c, enum media m, struct err *e)
{
	enum media asked = c->rq->accept;

	if (asked == MEDIA_NONE || asked == m || asked == MEDIA_OCTETS || !call_is_coap(c))
		return 0;
	if (media_coap(asked) == media_coap(m))
		return 0;
	return err_set(e, ERR_NOT_ACCEPTABLE, "it is to be had as %s", media_http(m));
}

/* 1 the device may fetch it by its update now, 0 not. */
static int granted_to_device(struct call *c, const struct digest *d, struct err *e)
{
	if (c->who.role != ROLE_DEVICE || c->who.dev == 0)
		return 0;
	return offer_grants_object(&c->tk, c->who.dev, d, e);
}

/* An image: for all when published, for a device by its update, for operators. */
static int image_rights(struct call *c, const struct digest *d, bool *session, struct err *e)
{
	int rc = release_object_published(&c->tk, d, e);

	*session = rc != 1;
	if (rc == 0)
		rc = granted_to_device(c, d, e);
	if (rc == 0)
		rc = may_read_all(c);
	if (rc == 0)
		return absent(e);
	return rc < 0 ? -1 : 0;
}

static int held_image(struct call *c, const struct digest *d, struct err *e)
{
	struct image i;
	int rc = store_image_get(c->tk.st, d, &i, e);

	if (rc < 0)
		return -1;
	return rc == 1 && i.sealed ? 0 : absent(e);
}

int svc_object_image(struct call *c, struct err *e)
{
	struct digest d;
	bool session;

	if (hole_digest(c, 0, &d, e) || held_image(c, &d, e) || image_rights(c, &d, &session, e) ||
	    acceptable(c, MEDIA_OCTETS, e))
		return -1;
	return reply_object(c, &d, MEDIA_OCTETS, session, session ? lifetime_of(c) : GRANT_OPEN_MS,
			    e);
}

/*
 * Manifests are granted to sessions alone: that a device fetched its own is
 * recorded, so the request must come here.
 */
int reply_manifest(struct call *c, const struct digest *d, bool own, struct err *e)
{
	if (acceptable(c, MEDIA_SUIT_ENVELOPE, e) != 0)
		return -1;
	if (own && c->rq->method == METHOD_GET &&
	    offer_manifest_fetched(&c->tk, c->who.dev, e) != 0)
		return -1;
	return reply_object(c, d, MEDIA_SUIT_ENVELOPE, true, lifetime_of(c), e);
}

int svc_object_manifest(struct call *c, struct err *e)
{
	struct manifest m;
	struct digest d;
	int rc;

	if (hole_digest(c, 0, &d, e))
		return -1;
	rc = store_manifest_get(c->tk.st, &d, &m, e);
	if (rc != 1)
		return rc < 0 ? -1 : absent(e);
	int own = granted_to_device(c, &d, e);
	if (own < 0)
		return -1;
	rc = own == 1 || may_read_all(c) ? 1 : release_object_published(&c->tk, &d, e);
	if (rc != 1)
		return rc < 0 ? -1 : absent(e);
	return reply_manifest(c, &d, own == 1, e);
}

/* What the newest published release that may be offered means by this path. 1, 0, -1 */
static int published_path(struct call *c, const char *path, struct digest *d, struct err *e)
{
	struct release r;
	int64_t id;
	int rc = store_route_published(c->tk.st, path, d, &id, e);

	if (rc == 1)
		rc = store_release_get(c->tk.st, id, &r, e);
	return rc == 1 && !release_offerable(&c->tk, &r, NULL) ? 0 : rc;
}

/*
 * The path of a URI in a manifest: for a device what its own update means by it,
 * else what the newest published release does. Never a public grant, since
 * it does not mean the same to everyone.
 */
int svc_object_path(struct call *c, struct err *e)
{
	char path[PATH_MAX_LEN + 1];
	struct digest d;
	int rc = 0;

	if (text_copy_slice(path, sizeof(path), c->rq->path) != 0)
		return absent(e);
	if (c->who.role == ROLE_DEVICE && c->who.dev != 0)
		rc = offer_route(&c->tk, c->who.dev, path, &d, e);
	if (rc == 0)
		rc = published_path(c, path, &d, e);
	if (rc != 1)
		return rc < 0 ? -1 : absent(e);
	if (held_image(c, &d, e) != 0 || acceptable(c, MEDIA_OCTETS, e) != 0)
		return -1;
	return reply_object(c, &d, MEDIA_OCTETS, true, lifetime_of(c), e);
}
