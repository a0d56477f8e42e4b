/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"

#define ROUNDING_MS 1000 /* granted times are whole seconds, rounded up */
#define DIAG_TRIES 4

static void back_off(struct agent *a, const struct agent_reply *r, int64_t now)
{
	int64_t ms = AGENT_BACKOFF_MS;

	for (unsigned i = 0; i < a->tries && ms < AGENT_BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (r->max_age >= 0 && r->status >= 400)
		ms = (int64_t)r->max_age * 1000;
	if (a->tries < 30)
		a->tries++;
	a->wake = now + ms + agent_jitter(a, (uint32_t)(ms / 2) + 1);
}

static const struct doc *decode(struct arena *mem, enum media m, const struct agent_reply *r)
{
	const struct doc *d = NULL;
	struct err e;

	if (r->body.n == 0 || docfmt_decode(m, r->body, mem, &d, &e) != 0)
		return NULL;
	return d;
}

static void refused(struct agent *a, const struct agent_reply *r, const char *what, int64_t now)
{
	char why[AGENT_TEXT];

	text_format(why, sizeof(why), "the server answered %u %s to %s", r->status,
		    status_phrase(r->status), what);
	if (a->plan->once || a->plan->until_done) {
		agent_end(a, RESULT_REFUSED, why);
		return;
	}
	text_copy(a->why, sizeof(a->why), why);
	back_off(a, r, now);
}

/* What any answer may carry besides. */
static void take_asks(struct agent *a, const struct doc *d)
{
	const struct doc *list = doc_get(d, "ask");

	for (const struct doc *x = list && list->type == DOC_ARRAY ? list->v.c.first : NULL; x;
	     x = x->next)
		a->diag |= x->type == DOC_TEXT && slice_eq_str(x->v.s, "diag");
}

/* The outage of a device above this one: acknowledged by a report, once. */
static void take_outage(struct agent *a, const struct doc *d)
{
	struct doc_reader in;
	int64_t update = 0;
	struct err e;

	doc_read_init(&in, d, &e);
	if (!doc_opt_int(&in, "outage_update", 1, INT64_MAX, &update) || update == a->acknowledge)
		return;
	doc_opt_int(&in, "outage", 0, INT32_MAX, &a->outage_s);
	a->acknowledge = update;
	a->notices++;
	agent_say(a, "idle", -1);
	a->report_update = 0;
}

static void on_register(struct agent *a, struct arena *mem, enum media m,
			const struct agent_reply *r)
{
	const struct doc *in = decode(mem, m, r);
	struct doc_reader d;
	struct err e;

	doc_read_init(&d, in, &e);
	doc_opt_int(&d, "ask_again", 0, INT32_MAX, &a->ask_s);
	take_asks(a, in);
	agent_go(a, a->confirm ? STEP_CONFIRM : STEP_ASK);
}

static void nothing(struct agent *a, int64_t now)
{
	if (a->plan->once)
		agent_end(a, RESULT_NOTHING, "");
	else if (a->plan->observe && a->plan->mode == MODE_NEGOTIATED && !a->observing)
		agent_go(a, STEP_OBSERVE);
	else
		agent_idle(a, a->ask_s, now);
}

static bool must_decide(const struct agent *a)
{
	/* what it said yes to it is asked about no more */
	if (a->agreed == a->offer->update)
		return false;
	if (a->plan->choice == CHOICE_REJECT || (a->plan->choice == CHOICE_DEFER && !a->deferred))
		return true;
	return a->plan->mode == MODE_NEGOTIATED;
}

/* An offer that may begin: what it was granted is kept, but for the second times are rounded to. */
static void on_offer(struct agent *a, int64_t not_before_s, int64_t now)
{
	int64_t wait_s = not_before_s;

	if (a->granted > now + ROUNDING_MS && (a->granted - now + 999) / 1000 > wait_s)
		wait_s = (a->granted - now + 999) / 1000;
	if (wait_s == 0) {
		a->granted = 0;
		agent_go(a, must_decide(a) ? STEP_DECIDE : STEP_MANIFEST);
		return;
	}
	agent_drop_offer(a);
	a->granted = now + wait_s * 1000;
	agent_idle(a, wait_s, now);
}

/* Contact alone: in server mode, and while something is pushed, the server calls. */
static void on_contact(struct agent *a, const struct doc *d, int64_t now)
{
	struct doc_reader in;
	int64_t update = 0;
	struct err e;

	doc_read_init(&in, d, &e);
	doc_opt_int(&in, "ask_again", 0, INT32_MAX, &a->ask_s);
	doc_opt_int(&in, "update", 0, INT64_MAX, &update);
	/* the server has given up what it pushed */
	if (a->plan->mode != MODE_SERVER && d && update != a->offer->update)
		agent_drop_offer(a);
	agent_idle(a, a->ask_s, now);
}

static void on_update(struct agent *a, struct arena *mem, enum media m, const struct agent_reply *r,
		      int64_t now)
{
	const struct doc *d = decode(mem, m, r);
	int64_t not_before_s = 0;
	struct err e = { 0 };
	int found;

	if (r->max_age >= 0)
		a->ask_s = r->max_age;
	take_asks(a, d);
	take_outage(a, d);
	if (a->plan->mode == MODE_SERVER || (a->offer && a->offer->pushed && a->offer->taken)) {
		on_contact(a, d, now);
		return;
	}
	if (r->status == 304) {
		nothing(a, now);
		return;
	}
	agent_drop_offer(a);
	a->nothing.n = 0;
	a->offer = calloc(1, sizeof(*a->offer));
	if (!a->offer) {
		back_off(a, r, now);
		return;
	}
	a->offer->manifest = BUF_INIT(AGENT_MANIFEST_MAX);
	found = agent_read_offer(d, a->offer, &a->ask_s, &not_before_s, &e);
	if (found == 1) {
		on_offer(a, not_before_s, now);
		return;
	}
	agent_drop_offer(a);
	if (found == 0)
		a->nothing = r->etag;
	if (found < 0 && (a->plan->once || a->plan->until_done))
		agent_end(a, RESULT_REFUSED, e.text);
	else
		nothing(a, now);
}

static void on_observe(struct agent *a, struct arena *mem, enum media m,
		       const struct agent_reply *r, int64_t now)
{
	struct doc_reader d;
	bool look = false;
	struct err e;

	doc_read_init(&d, decode(mem, m, r), &e);
	doc_opt_bool(&d, "look", &look);
	a->observing = r->status < 300;
	if (look || a->look)
		agent_go(a, STEP_ASK);
	else
		agent_idle(a, a->ask_s, now);
}

static void on_decision(struct agent *a, struct arena *mem, enum media m,
			const struct agent_reply *r, int64_t now)
{
	int64_t granted = 0, latest = 0;
	enum agent_choice choice = a->deferred ? CHOICE_ACCEPT : a->plan->choice;
	struct doc_reader d;
	bool now_fetch = false;
	struct err e;

	doc_read_init(&d, decode(mem, m, r), &e);
	doc_opt_int(&d, "granted", 0, INT32_MAX, &granted);
	doc_opt_int(&d, "latest", 0, INT32_MAX, &latest);
	doc_opt_bool(&d, "fetch", &now_fetch);
	if (choice == CHOICE_REJECT) {
		agent_end(a, RESULT_REJECTED, "the device's settings say no");
		agent_go(a, STEP_OVER);
		return;
	}
	if (choice == CHOICE_ACCEPT)
		a->agreed = a->offer->update;
	if (choice == CHOICE_ACCEPT && (now_fetch || (granted == 0 && !a->plan->push))) {
		agent_go(a, STEP_MANIFEST);
		return;
	}
	/* with yes and push the manifest comes, else its time does */
	a->deferred = a->deferred || choice == CHOICE_DEFER;
	if (choice == CHOICE_DEFER)
		a->result = RESULT_DEFERRED;
	granted = granted > 0 ? granted : latest > 0 ? latest : 0;
	a->granted = granted > 0 ? now + granted * 1000 : 0;
	agent_drop_offer(a);
	agent_idle(a, granted > 0 ? granted : a->ask_s, now);
	if (granted > 0)
		a->wake = a->granted;
}

/* The server gave the update up while the device was at it. */
static bool given_up(const struct doc *d)
{
	enum update_state s;
	char word[24] = "";
	struct doc_reader r;
	struct err e;

	doc_read_init(&r, d, &e);
	doc_opt_text(&r, "state", word, sizeof(word));
	return word[0] && update_state_parse(word, &s) == 0 && update_state_terminal(s) &&
	       s != UPDATE_SUCCEEDED;
}

static void on_report(struct agent *a, struct arena *mem, enum media m, const struct agent_reply *r,
		      int64_t now)
{
	const struct doc *d = decode(mem, m, r);
	struct doc_reader in;
	struct err e;

	a->reporting = false;
	a->open = 0;
	a->tries = 0;
	doc_read_init(&in, d, &e);
	doc_opt_int(&in, "ask_again", 0, INT32_MAX, &a->ask_s);
	take_asks(a, d);
	if (a->plan->silent_after && strcmp(a->plan->silent_after, a->report) == 0)
		agent_end(a, RESULT_SILENT, "silent, as it was told to be");
	else if (a->step != STEP_OVER && a->step != STEP_REBOOT &&
		 (r->status >= 300 || given_up(d))) {
		agent_drop_offer(a);
		agent_idle(a, a->ask_s, now);
	}
}

static void on_manifest(struct agent *a, const struct agent_reply *r)
{
	a->offer->refused = false;
	buf_add_slice(&a->offer->manifest, r->body);
	if (a->offer->manifest.failed || r->body.n == 0)
		agent_fail(a, FAILURE_DOWNLOAD, "the manifest is empty or too large");
}

static void on_image(struct agent *a, const struct agent_reply *r)
{
	struct agent_offer *o = a->offer;
	struct agent_image *i = &o->images[o->image];
	uint64_t limit = i->has_size ? i->size : agent_image_max(a);
	uint64_t left = limit > o->offset ? limit - o->offset : 0, quarter;

	if (o->etag.n > 0 && r->etag.n > 0 && !etag_matches(&r->etag, &o->etag))
		agent_fail(a, FAILURE_DOWNLOAD, "the image changed while it was fetched");
	else if (!i->has_size && r->body.n > left)
		agent_fail(a, FAILURE_SPACE, "the image is larger than this device takes");
	else if (r->body.n > left || (r->body.n == 0 && r->more))
		agent_fail(a, FAILURE_DIGEST, "the image is larger than the manifest says");
	if (a->step != STEP_FETCH)
		return;
	o->etag = r->etag;
	o->refused = false;
	agent_feed(a, r->body);
	a->tries = 0;
	if (a->step != STEP_FETCH)
		return;
	if (!r->more || (i->has_size && o->offset == i->size)) {
		agent_image_done(a);
		return;
	}
	quarter = i->has_size && o->n_images == 1 ? o->offset * 4 / i->size : 0;
	if (quarter > o->told && a->plan->piece >= 1024) {
		o->told = (uint8_t)quarter;
		agent_say(a, "downloading", (int)quarter * 25);
	}
}

/*
 * Where its path is all that names a device, a server that began anew does not know whose offer
 * this was before it is told: a report does. Refused again, it is.
 */
static void withheld(struct agent *a)
{
	if (a->offer->refused) {
		agent_fail(a, FAILURE_DOWNLOAD, "the server does not give what it offered");
		return;
	}
	a->offer->refused = true;
	agent_say(a, "downloading", -1);
}

static bool passing(const struct agent_reply *r)
{
	return r->status == 0 || r->status >= 500 || r->status == 429 || r->status == 408;
}

void agent_reply(struct agent *a, struct arena *mem, enum media m, const struct agent_reply *r,
		 int64_t now)
{
	enum agent_kind k = a->asked;

	/* a call came between: it is about something else by now */
	if (k != agent_kind_of(a) || a->step == STEP_END)
		return;
	if (k == ASK_DIAG && (!passing(r) || a->tries >= DIAG_TRIES)) {
		a->diag = false;
		return;
	}
	if (passing(r)) {
		back_off(a, r, now);
		return;
	}
	if (k == ASK_REGISTER || k == ASK_REPORT || k == ASK_DECISION)
		a->acknowledged += r->status < 300;
	if (k == ASK_REPORT)
		on_report(a, mem, m, r, now);
	else if (r->status >= 400 && (k == ASK_MANIFEST || k == ASK_IMAGE))
		withheld(a);
	else if (r->status >= 400 && k == ASK_DECISION)
		agent_idle(a, a->ask_s, now);
	else if (r->status >= 400)
		refused(a, r, k == ASK_REGISTER ? "the registration" : "the question for updates",
			now);
	else if (k == ASK_REGISTER)
		on_register(a, mem, m, r);
	else if (k == ASK_DECISION)
		on_decision(a, mem, m, r, now);
	else if (k == ASK_MANIFEST)
		on_manifest(a, r);
	else if (k == ASK_IMAGE)
		on_image(a, r);
	else if (a->step == STEP_OBSERVE)
		on_observe(a, mem, m, r, now);
	else
		on_update(a, mem, m, r, now);
	if (k == ASK_UPDATE && a->reporting)
		a->wake = now;
}
