/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "tracker/internal.h"

#define STEP_ROLLOUTS 16

static bool closed(struct err *e, const char *why)
{
	err_set(e, ERR_CONFLICT, "%s", why);
	return false;
}

/* begins: what goes on may outlive its anchor's validity, while nobody knows the time */
static bool in_force(const struct tracker *tk, const struct anchor *a, bool begins)
{
	if (!begins && !tk->now.wall_trusted)
		return a->revoked == 0;
	return anchor_in_force(a, &tk->now);
}

/*
 * The anchor that verified it must be in force now, in rows: revocation acts before the next
 * offer.
 */
static bool trusted(struct tracker *tk, const struct manifest *m, bool begins, struct err *e)
{
	struct anchor a;
	int found = store_anchor_get(tk->st, m->anchor, &a, e);

	if (found < 0)
		return false;
	if (found == 0 || m->anchor == 0)
		return closed(e, "the manifest is verified by no trust anchor");
	if (!in_force(tk, &a, begins)) {
		err_set(e, ERR_VERIFY, "trust anchor %" PRId64 " of vendor %s is %s", a.id,
			a.vendor, a.revoked > 0 ? "revoked" : "not valid at this time");
		return false;
	}
	return true;
}

static bool above_floor(struct tracker *tk, const struct release *r, struct err *e)
{
	uint64_t floor;
	int found = store_class_floor_get(tk->st, &r->vendor_id, &r->class_id, &floor, e);

	if (found < 0)
		return false;
	if (found > 0 && r->sequence < floor) {
		err_set(e, ERR_CONFLICT,
			"sequence %" PRIu64 " is below the floor %" PRIu64 " of its class",
			r->sequence, floor);
		return false;
	}
	return true;
}

/* The same of the manifest's own end. */
static bool unexpired(const struct tracker *tk, const struct manifest *m, bool begins,
		      struct err *e)
{
	if (m->use_before == 0)
		return true;
	if (!tk->now.wall_trusted)
		return !begins || closed(e, "it has an expiry, and the clock is not trusted yet");
	return tk->now.wall < m->use_before || closed(e, "the manifest has expired");
}

/* Everything but its state: what an approval needs as much as an offer. */
static bool sound(struct tracker *tk, const struct release *r, bool begins, struct err *e)
{
	struct manifest m;
	int found = store_manifest_get(tk->st, &r->manifest, &m, e);

	if (found < 0)
		return false;
	if (found == 0)
		return closed(e, "its manifest is gone");
	return trusted(tk, &m, begins, e) && above_floor(tk, r, e) && unexpired(tk, &m, begins, e);
}

static bool may(struct tracker *tk, const struct release *r, bool begins, struct err *e)
{
	if (r->state != RELEASE_APPROVED) {
		err_set(e, ERR_CONFLICT, "the release is %s", release_state_word(r->state));
		return false;
	}
	if (!r->complete)
		return closed(e, "the release lacks images");
	return sound(tk, r, begins, e);
}

bool release_offerable(struct tracker *tk, const struct release *r, struct err *e)
{
	return may(tk, r, true, e);
}

bool release_holds(struct tracker *tk, const struct release *r, struct err *e)
{
	return may(tk, r, false, e);
}

int release_object_published(struct tracker *tk, const struct digest *d, struct err *e)
{
	struct release r;
	int64_t id = 0;
	int found;

	while ((found = store_object_published(tk->st, d, id, &id, e)) == 1) {
		found = store_release_get(tk->st, id, &r, e);
		if (found < 0 || (found == 1 && release_offerable(tk, &r, NULL)))
			break;
	}
	return found;
}

static int add_routes(struct tracker *tk, const struct release *r, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	char path[URI_TEXT];
	int n = store_manifest_images(tk->st, &r->manifest, images, IMAGES_MAX, e);

	for (int i = 0; i < n; i++) {
		if (images[i].integrated || images[i].uri[0] == '\0' ||
		    route_is_own(images[i].uri, &images[i].digest))
			continue;
		if (route_path(images[i].uri, path) == 0)
			log_warn("release=%s uri=%s no route is made for it: its path is no path, "
				 "or the service's own",
				 r->name, log_safe(images[i].uri));
		else if (store_route_add(tk->st, r->id, path, &images[i].digest, e) < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

static int prepare_objects(struct tracker *tk, const struct release *r, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	int n = store_manifest_images(tk->st, &r->manifest, images, IMAGES_MAX, e);

	effects_prepare(tk->fx, &r->manifest);
	for (int i = 0; i < n; i++)
		if (!images[i].external)
			effects_prepare(tk->fx, &images[i].digest);
	return n < 0 ? -1 : 0;
}

static int not_now(const struct release *r, const char *what, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "release %s is %s: it cannot be %s", r->name,
		       release_state_word(r->state), what);
}

int release_approve(struct tracker *tk, struct release *r, struct err *e)
{
	struct digest lacking;
	char text[DIGEST_TEXT];

	if (r->state == RELEASE_APPROVED)
		return 0;
	if (r->state != RELEASE_SUBMITTED)
		return not_now(r, "approved", e);
	int n = release_missing(tk, r, &lacking, 1, e);
	if (n < 0)
		return -1;
	if (n > 0) {
		digest_text(text, &lacking);
		return err_set(e, ERR_CONFLICT, "release %s lacks %d image%s, first %s", r->name, n,
			       n > 1 ? "s" : "", text);
	}
	if (!sound(tk, r, true, e))
		return err_prefix(e, "release %s", r->name);
	r->complete = true;
	r->state = RELEASE_APPROVED;
	r->approved = tk->now.wall;
	cause_copy(r->approved_by, sizeof(r->approved_by), tk->who);
	if (store_release_put(tk->st, r, e) < 0 || add_routes(tk, r, e) < 0 ||
	    prepare_objects(tk, r, e) < 0)
		return -1;
	if (audit_note(tk, "release.approve", r->name, e, "sequence %" PRIu64, r->sequence) < 0)
		return -1;
	return standing_release_approved(tk, r, e);
}

int release_publish(struct tracker *tk, struct release *r, bool on, struct err *e)
{
	if (r->published == on)
		return 0;
	if (on && !release_offerable(tk, r, e))
		return err_prefix(e, "release %s", r->name);
	r->published = on;
	if (store_release_put(tk->st, r, e) < 0)
		return -1;
	return audit_note(tk, on ? "release.publish" : "release.unpublish", r->name, e, "%s", "");
}

/* What another release still serves stays; the front drops the rest. */
static int withdraw_objects(struct tracker *tk, const struct release *r, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct release other[2];
	int n = store_manifest_images(tk->st, &r->manifest, images, IMAGES_MAX, e);

	effects_withdraw(tk->fx, &r->manifest);
	for (int i = 0; i < n; i++) {
		int held = store_release_by_image(tk->st, &images[i].digest, 0, 2, other, e);
		if (held < 0)
			return -1;
		if (held == 0 || (held == 1 && other[0].id == r->id))
			effects_withdraw(tk->fx, &images[i].digest);
	}
	return n < 0 ? -1 : 0;
}

static int withdraw(struct tracker *tk, struct release *r, const char *why, struct err *e)
{
	struct job job;

	r->state = RELEASE_WITHDRAWN;
	r->published = false;
	if (store_release_put(tk->st, r, e) < 0 || store_route_remove(tk->st, r->id, e) < 0 ||
	    withdraw_objects(tk, r, e) < 0 || job_start(tk, "release-withdraw", r->id, &job, e) < 0)
		return -1;
	return audit_note(tk, "release.withdraw", r->name, e, "%s", why);
}

int release_withdraw(struct tracker *tk, struct release *r, bool raise_floor, struct err *e)
{
	uint64_t floor = r->sequence == UINT64_MAX ? r->sequence : r->sequence + 1;

	if (r->state == RELEASE_WITHDRAWN && !raise_floor)
		return 0;
	if (raise_floor &&
	    store_class_floor_raise(tk->st, &r->vendor_id, &r->class_id, floor, e) < 0)
		return -1;
	if (raise_floor &&
	    audit_note(tk, "class.floor", r->name, e, "nothing below sequence %" PRIu64, floor) < 0)
		return -1;
	return r->state == RELEASE_WITHDRAWN ? 0 : withdraw(tk, r, "", e);
}

int release_set_urgency(struct tracker *tk, struct release *r, enum urgency u, struct err *e)
{
	enum urgency before = r->urgency;

	r->urgency = u;
	cause_copy(r->urgency_by, sizeof(r->urgency_by), tk->who);
	if (store_release_put(tk->st, r, e) < 0)
		return -1;
	return audit_note(tk, "release.urgency", r->name, e, "%s -> %s", urgency_word(before),
			  urgency_word(u));
}

/* ---- consequences, in slices ---- */

/* Every rollout of the release is aborted; its own job then cancels what is planned. */
enum step release_withdraw_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct rollout page[STEP_ROLLOUTS];
	struct job abort_job;
	int n = store_rollout_by_release(tk->st, j->ref, j->cursor, STEP_ROLLOUTS, page, e);

	for (int i = 0; i < n; i++) {
		j->cursor = page[i].id;
		j->done++;
		if (page[i].state == ROLLOUT_FINISHED || page[i].state == ROLLOUT_ABORTED)
			continue;
		if (rollout_abort(tk, &page[i], "its release was withdrawn", &abort_job, e) < 0)
			return STEP_ERROR;
	}
	if (n < 0)
		return STEP_ERROR;
	return n == STEP_ROLLOUTS ? STEP_MORE : STEP_DONE;
}

enum step anchor_revoke_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct release r;
	int n = store_release_by_anchor(tk->st, j->ref, j->cursor, 1, &r, e);

	if (n <= 0)
		return n < 0 ? STEP_ERROR : STEP_DONE;
	j->cursor = r.id;
	j->done++;
	if (r.state != RELEASE_WITHDRAWN && withdraw(tk, &r, "its trust anchor was revoked", e) < 0)
		return STEP_ERROR;
	return STEP_MORE;
}
