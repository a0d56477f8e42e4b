/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "tracker/internal.h"

bool installed_sequence(const struct component *c, int n, uint64_t *out)
{
	bool any = false;

	for (int i = 0; i < n; i++) {
		if (c[i].has_sequence && (!any || c[i].sequence > *out)) {
			*out = c[i].sequence;
			any = true;
		}
	}
	return any;
}

static const struct component *by_name(const struct component *c, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(c[i].name, name) == 0)
			return &c[i];
	/* devices of one image need not know what the author called it */
	return n == 1 ? &c[0] : NULL;
}

/* Alternatives of one component (A/B slots) are several images: any of them is the new one. */
static bool one_of(const struct component *c, const struct manifest_image *images, int n,
		   uint8_t component)
{
	for (int i = 0; i < n; i++)
		if (images[i].component == component && digest_eq(&images[i].digest, &c->digest))
			return true;
	return false;
}

/* The strongest word counts: digest, then sequence, then version. */
static enum installed judge_one(const struct component *c, const struct release *r,
				const struct manifest_image *images, int n, uint8_t component)
{
	if (c->has_digest)
		return one_of(c, images, n, component) ? INSTALLED_NEW : INSTALLED_OLD;
	if (c->has_sequence)
		return c->sequence == r->sequence ? INSTALLED_NEW : INSTALLED_OLD;
	if (c->version[0])
		return strcmp(c->version, r->version) == 0 ? INSTALLED_NEW : INSTALLED_OLD;
	return INSTALLED_UNKNOWN;
}

enum installed installed_judge(const struct component *c, int n, const struct release *r,
			       const struct manifest_image *images, int n_images)
{
	enum installed all = INSTALLED_UNKNOWN;

	for (int i = 0; i < n_images; i++) {
		const struct component *own = by_name(c, n, images[i].name);
		enum installed one = own ? judge_one(own, r, images, n_images, images[i].component)
					 : INSTALLED_UNKNOWN;
		if (one == INSTALLED_OLD)
			return INSTALLED_OLD;
		/* a component that says nothing of itself leaves it to the others */
		if (one == INSTALLED_NEW)
			all = INSTALLED_NEW;
	}
	return all;
}

static int judge_update(struct tracker *tk, const struct update *u, const struct component *c,
			int n, enum installed *out, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct release r;

	*out = INSTALLED_UNKNOWN;
	int found = store_release_get(tk->st, u->release, &r, e);
	if (found <= 0)
		return found;
	int k = store_manifest_images(tk->st, &r.manifest, images, IMAGES_MAX, e);
	if (k < 0)
		return -1;
	*out = installed_judge(c, n, &r, images, k);
	return 0;
}

bool installed_counts(const struct update *u, uint64_t boot)
{
	bool untried = u->state == UPDATE_PLANNED && u->attempt == 1 && u->offer_boot == 0;

	return untried || boot != u->offer_boot;
}

/* Which event the device's words after a boot are for this update; false: none. */
static bool event_of(const struct update *u, uint64_t boot, enum installed what,
		     enum update_event *ev)
{
	bool installing = u->state == UPDATE_INSTALLING || u->state == UPDATE_REBOOTING ||
			  u->state == UPDATE_CONFIRMING;

	if (what == INSTALLED_NEW && installed_counts(u, boot)) {
		*ev = EVENT_CONFIRMED;
		return true;
	}
	if (what == INSTALLED_OLD && installing && boot != u->offer_boot) {
		*ev = EVENT_ROLLED_BACK;
		return true;
	}
	return false;
}

/* What it runs is what decided: said with the cause. */
static void say_what_runs(char dst[REASON_TEXT], const char *cause, const struct component *c,
			  int n)
{
	char text[REASON_TEXT];

	cause_format(dst, REASON_TEXT, "%s: it runs", cause);
	for (int i = 0; i < n; i++) {
		cause_copy(text, sizeof(text), dst);
		cause_format(dst, REASON_TEXT, "%s%s %s %s", text, i ? "," : "",
			     c[i].name[0] ? c[i].name : "version",
			     c[i].version[0] ? c[i].version : "?");
		if (!c[i].has_sequence)
			continue;
		cause_copy(text, sizeof(text), dst);
		cause_format(dst, REASON_TEXT, "%s (sequence %" PRIu64 ")", text, c[i].sequence);
	}
}

static int conclude(struct tracker *tk, struct update *u, uint64_t boot, const struct component *c,
		    int n, const char *cause, struct err *e)
{
	char words[REASON_TEXT];
	enum update_event ev;
	enum installed what;

	if (judge_update(tk, u, c, n, &what, e) < 0)
		return -1;
	if (!event_of(u, boot, what, &ev))
		return 0;
	say_what_runs(words, cause, c, n);
	return update_apply(tk, u, ev, ev == EVENT_CONFIRMED ? FAILURE_NONE : FAILURE_BOOT, words,
			    e);
}

static bool may_succeed_late(const struct update *u)
{
	/* what was cancelled before it was offered is nobody's success */
	return u->offer_boot != 0 && (u->state == UPDATE_FAILED || u->state == UPDATE_TIMED_OUT ||
				      u->state == UPDATE_CANCELLED);
}

int installed_conclude(struct tracker *tk, const struct device *d, uint64_t boot,
		       const struct component *c, int n, const char *cause, struct err *e)
{
	struct update open, latest;

	if (n <= 0)
		return 0;
	int found = store_update_open(tk->st, d->dev, &open, e);
	if (found < 0 || (found > 0 && conclude(tk, &open, boot, c, n, cause, e) < 0))
		return -1;
	int past = store_update_latest(tk->st, d->dev, &latest, e);
	if (past <= 0 || !may_succeed_late(&latest))
		return past < 0 ? -1 : 0;
	return conclude(tk, &latest, boot, c, n, cause, e);
}
