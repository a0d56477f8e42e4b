/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/internal.h"

/* What an offer entitles its device to: the manifest, and what it names. */

static int running(struct tracker *tk, int64_t dev, struct update *u, struct err *e)
{
	int found = store_update_open(tk->st, dev, u, e);

	if (found > 0 && !update_state_in_flight(u->state))
		return 0;
	return found;
}

int offer_manifest_fetched(struct tracker *tk, int64_t dev, struct err *e)
{
	struct update u;
	int found = running(tk, dev, &u, e);

	if (found <= 0 || u.manifest_fetched)
		return found < 0 ? -1 : 0;
	return store_update_progress(tk->st, u.id, u.progress, true, e);
}

/* The release it may fetch of now: whoever is writing its flash is not called back. 1, 0, -1 */
static int entitled(struct tracker *tk, int64_t dev, struct release *r, struct err *e)
{
	struct rollout of = { .id = 0 };
	struct update u;
	int found = running(tk, dev, &u, e);

	if (found > 0 && u.rollout > 0)
		found = store_rollout_get(tk->st, u.rollout, &of, e);
	if (found > 0 && rollout_unstarted(&of))
		return 0;
	if (found > 0)
		found = store_release_get(tk->st, u.release, r, e);
	if (found > 0 && u.state < UPDATE_INSTALLING && !release_holds(tk, r, NULL))
		return 0;
	return found;
}

int offer_grants_object(struct tracker *tk, int64_t dev, const struct digest *object, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct release r;

	int found = entitled(tk, dev, &r, e);
	if (found <= 0)
		return found;
	if (digest_eq(&r.manifest, object))
		return 1;
	int n = store_manifest_images(tk->st, &r.manifest, images, IMAGES_MAX, e);
	for (int i = 0; i < n; i++)
		if (digest_eq(&images[i].digest, object))
			return 1;
	return n < 0 ? -1 : 0;
}

int offer_route(struct tracker *tk, int64_t dev, const char *path, struct digest *object,
		struct err *e)
{
	struct release r;
	int found = entitled(tk, dev, &r, e);

	return found <= 0 ? found : store_route_of_release(tk->st, r.id, path, object, e);
}
