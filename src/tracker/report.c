/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "tracker/calls.h"
#include "tracker/internal.h"
#include "tracker/outage.h"

/* LwM2M 1.2, object 5, resource 5 (Update Result), from 2 on. */
static const enum failure results[] = {
	[2] = FAILURE_SPACE, /* not enough flash */
	[3] = FAILURE_SPACE, /* out of RAM */
	[4] = FAILURE_DOWNLOAD, /* connection lost */
	[5] = FAILURE_DIGEST, /* integrity check failure */
	[6] = FAILURE_INCOMPATIBLE, /* unsupported package type */
	[7] = FAILURE_DOWNLOAD, /* invalid URI */
	[8] = FAILURE_INSTALL, /* firmware update failed */
	[9] = FAILURE_DOWNLOAD, /* unsupported protocol */
};

static enum failure failure_of(const struct report *r)
{
	if (r->failure != FAILURE_NONE)
		return r->failure;
	if (r->result >= 2 && r->result < (int64_t)(sizeof(results) / sizeof(results[0])))
		return results[r->result];
	return FAILURE_OTHER;
}

/* Words that tell of the device only, and of no update. */
static bool says_nothing(const char *word)
{
	return word[0] == '\0' || strcmp(word, "idle") == 0;
}

static int find_update(struct tracker *tk, const struct device *d, const struct report *r,
		       struct update *u, struct err *e)
{
	int found;

	if (r->update > 0) {
		found = store_update_get(tk->st, r->update, u, e);
		if (found < 0)
			return -1;
		if (found == 0 || u->dev != d->dev)
			return err_set(e, ERR_NOT_FOUND,
				       "there is no update %" PRId64 " for this device", r->update);
		return 1;
	}
	found = store_update_open(tk->st, d->dev, u, e);
	if (found > 0 && u->state != UPDATE_PLANNED)
		return 1;
	/* with nothing begun the report is of what was last, or of what waits */
	struct update last;
	int past = found < 0 ? -1 : store_update_latest(tk->st, d->dev, &last, e);
	if (past > 0 && found == 0)
		*u = last;
	return past < 0 ? -1 : (past > 0 || found > 0);
}

/*
 * "succeeded" is believed only of a device that has started anew since it was
 * offered the update, and whose versions, where it names them, are the new ones.
 * Said earlier it means that installing has finished.
 */
static enum update_event settle_success(const struct update *u, const struct report *r,
					const struct device_live *live, enum installed what)
{
	bool rebooted = r->keyless ||
			(u->offer_boot != 0 && registry_later_boot(live, r->boot, u->offer_boot));

	if (rebooted && (what == INSTALLED_NEW || r->n_components < 0))
		return EVENT_CONFIRMED;
	return rebooted && what == INSTALLED_OLD ? EVENT_ROLLED_BACK : EVENT_INSTALLED;
}

static int judge(struct tracker *tk, const struct update *u, const struct report *r,
		 enum installed *out, struct err *e)
{
	struct manifest_image images[IMAGES_MAX];
	struct release rel;

	*out = INSTALLED_UNKNOWN;
	if (r->n_components <= 0)
		return 0;
	int found = store_release_get(tk->st, u->release, &rel, e);
	if (found <= 0)
		return found;
	int n = store_manifest_images(tk->st, &rel.manifest, images, IMAGES_MAX, e);
	if (n < 0)
		return -1;
	*out = installed_judge(r->components, r->n_components, &rel, images, n);
	return 0;
}

static void describe(const struct report *r, enum failure f, char cause[REASON_TEXT])
{
	bool failed = f != FAILURE_NONE;

	cause_format(cause, REASON_TEXT, "report %s%s%s%s%s%s", r->state, failed ? " (" : "",
		     failed ? failure_word(f) : "", failed ? ")" : "", r->text[0] ? ": " : "",
		     r->text);
}

/* As a decision to defer would: false when no deferral is left, then the offer stands. */
static bool put_off(const struct tracker *tk, struct update *u)
{
	int64_t wait = tk->policy->strategy[u->urgency].contact_interval_s;
	int64_t latest = deferral_latest_s(tk, u);

	if (latest == 0)
		return false;
	if (wait > latest)
		wait = latest;
	u->track_due = tk->now.track + wait * 1000;
	u->not_before = tk->now.wall + wait * 1000;
	return true;
}

/* Installing is the device's own act: that it keeps its slot is judged by its report. */
static void judge_slot(const struct tracker *tk, const struct update *u, enum update_event ev,
		       char cause[REASON_TEXT])
{
	char words[REASON_TEXT];
	const char *when = NULL;

	if (ev != EVENT_INSTALLING || !tk->now.wall_trusted)
		return;
	if (u->not_before > tk->now.wall)
		when = "before its slot";
	else if (u->not_after > 0 && tk->now.wall > u->not_after)
		when = "after its slot";
	if (!when)
		return;
	cause_format(words, sizeof(words), "%s: %s", when, cause);
	cause_copy(cause, REASON_TEXT, words);
}

static uint8_t percent(const struct report *r, const struct update *u)
{
	return r->progress < 0 ? u->progress : (uint8_t)(r->progress > 100 ? 100 : r->progress);
}

/* The same state again, further on: stored in place, no row. */
static int progress_only(struct tracker *tk, struct update *u, const struct report *r,
			 struct err *e)
{
	uint8_t now = percent(r, u);

	if (now == u->progress || !update_state_in_flight(u->state))
		return 0;
	u->progress = now;
	return store_update_progress(tk->st, u->id, now, u->manifest_fetched, e);
}

static bool repeats(const struct update *u, enum update_event ev)
{
	struct transition t;

	return state_next(u->state, ev, &t) && t.none;
}

static int apply_word(struct tracker *tk, struct update *u, const struct report *r,
		      const struct device_live *live, enum update_event ev, struct err *e)
{
	char cause[REASON_TEXT];
	enum installed what;

	if (ev == EVENT_CONFIRMED || ev == EVENT_INSTALLED) {
		if (judge(tk, u, r, &what, e) < 0)
			return -1;
		if (ev == EVENT_CONFIRMED)
			ev = settle_success(u, r, live, what);
	}
	if (repeats(u, ev))
		return progress_only(tk, u, r, e);
	if (ev == EVENT_DEFERRED && !put_off(tk, u))
		return 0;
	enum failure f = ev == EVENT_FAILED	   ? failure_of(r)
			 : ev == EVENT_ROLLED_BACK ? FAILURE_BOOT
						   : FAILURE_NONE;
	/* the boot it installs in: success must come from another one */
	bool works = (ev >= EVENT_ACCEPTED && ev <= EVENT_REBOOTING) ||
		     (ev == EVENT_INSTALLED && u->state == UPDATE_PLANNED);
	if (works && !r->keyless)
		u->offer_boot = r->boot;
	u->progress = percent(r, u);
	describe(r, f, cause);
	judge_slot(tk, u, ev, cause);
	return update_apply(tk, u, ev, f, cause, e);
}

static int keep_facts(struct tracker *tk, const struct device *d, const struct report *r,
		      struct device_live *live, struct err *e)
{
	bool current = live->boot == r->boot;

	live->last_seen = tk->now.wall;
	live->track_seen = tk->now.track;
	if (r->has_status && current)
		registry_status(live, &r->status, tk->now.track);
	if (store_live_put(tk->st, live, e) < 0)
		return -1;
	return current ? registry_components(tk, d, r->components, r->n_components, e) : 0;
}

static int apply(struct tracker *tk, const struct device *d, const struct report *r,
		 const struct device_live *live, struct update *u, bool known, struct err *e)
{
	enum update_event ev;

	if (!says_nothing(r->state)) {
		if (update_event_of_report(r->state, &ev) < 0)
			return err_set(e, ERR_INVALID, "state: no update is ever %.32s", r->state);
		if (known && apply_word(tk, u, r, live, ev, e) < 0)
			return -1;
	}
	/* an earlier boot's versions, come late, are not what runs now */
	if (r->n_components <= 0 || live->boot != r->boot)
		return 0;
	if (installed_conclude(tk, d, r->boot, r->components, r->n_components,
			       "report after a restart", e) < 0)
		return -1;
	/* it may have moved on by what its versions say */
	return known && store_update_get(tk->st, u->id, u, e) < 0 ? -1 : 0;
}

int report_apply(struct tracker *tk, const struct device *d, const struct report *r,
		 struct report_answer *out, struct err *e)
{
	struct update u = { .state = UPDATE_PLANNED };
	struct device_live live;

	*out = (struct report_answer){ .duplicate = false };
	if (registry_live(tk, d->dev, &live, e) < 0)
		return -1;
	int known = find_update(tk, d, r, &u, e);
	int fresh = known < 0 ? -1 : 1;
	if (fresh > 0 && !r->keyless)
		fresh = registry_dedup(&live, r->boot, r->counter, e);
	if (fresh < 0)
		return -1;
	if (fresh > 0 &&
	    (keep_facts(tk, d, r, &live, e) < 0 || apply(tk, d, r, &live, &u, known > 0, e) < 0))
		return -1;
	if (fresh > 0 && r->acknowledged > 0 &&
	    outage_told(tk, d->dev, r->acknowledged, true, e) < 0)
		return -1;
	if (fresh > 0 && call_heard(tk, d, e) < 0)
		return -1;
	out->duplicate = fresh == 0;
	out->update = known > 0 ? u.id : 0;
	out->state = u.state;
	bool open = known > 0 && !update_state_terminal(u.state);
	out->ask_again_s = registry_ask_again(tk, d, open ? &u : NULL);
	return 0;
}
