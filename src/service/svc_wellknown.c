/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

/*
 * /.well-known/{firmware,manifest}/<manufacturer>/<model>/manifest.suit, or
 * without the suffix: there is one format, so Accept has nothing to decide
 * but a refusal. With an identity it is exactly the device's offer.
 */

static bool same_maker(const struct release *r, const char *maker, const char *model)
{
	char vendor[UUID_TEXT], class_id[UUID_TEXT];

	uuid_text(vendor, &r->vendor_id);
	uuid_text(class_id, &r->class_id);
	return (strcmp(maker, r->manufacturer) == 0 ||
		(r->vendor_id.set && !strcmp(maker, vendor))) &&
	       (strcmp(model, r->model) == 0 || (r->class_id.set && !strcmp(model, class_id)));
}

static int of_device(struct call *c, const char *maker, const char *model, struct err *e)
{
	struct offer *of = arena_alloc(c->tk.a, sizeof(*of));
	struct err why = { 0 };
	int64_t ask;

	if (!of)
		return err_set(e, ERR_NO_MEMORY, "no memory for the offer");
	int rc = offer_get(&c->tk, &c->device, c->rq->method == METHOD_GET, of, &ask, &why, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || !same_maker(&of->release, maker, model))
		return err_set(e, ERR_NOT_FOUND, "there is no offer for the asking device here");
	return reply_manifest(c, &of->manifest.digest, true, e);
}

static int of_anyone(struct call *c, const char *maker, const char *model, struct err *e)
{
	struct release r;

	int rc = store_release_published(c->tk.st, maker, model, &r, e);

	if (rc == 1)
		rc = release_offerable(&c->tk, &r, NULL);
	if (found_or(rc, e, "published release"))
		return -1;
	return reply_manifest(c, &r.manifest, false, e);
}

int svc_wellknown(struct call *c, struct err *e)
{
	char maker[NAME_TEXT], model[NAME_TEXT];

	if (hole_text(c, 0, maker, sizeof(maker), e) || hole_text(c, 1, model, sizeof(model), e))
		return -1;
	if (!slice_eq_str(c->hole[2], "manifest.suit") && !slice_eq_str(c->hole[2], "manifest"))
		return err_set(e, ERR_NOT_FOUND, "manifest.suit is what is to be had here");
	if (c->who.role == ROLE_DEVICE && c->who.dev != 0)
		return of_device(c, maker, model, e);
	return of_anyone(c, maker, model, e);
}
