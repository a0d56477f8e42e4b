/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"

#define ASK_DEFAULT_S 60

int agent_init(struct agent *a, const struct agent_plan *plan, const struct agent_sink *sink,
	       const char *id, uint64_t boot, uint32_t seed, struct err *e)
{
	memset(a, 0, sizeof(*a));
	if (!device_id_valid(slice_str(id)) || text_copy(a->id, sizeof(a->id), id) != 0)
		return err_set(e, ERR_INVALID,
			       "a device id is 1-64 of [A-Za-z0-9._:-], not . or ..");
	a->plan = plan;
	a->sink = *sink;
	a->boot = boot;
	a->progress = -1;
	a->jitter = seed | 1;
	a->ask_s = ASK_DEFAULT_S;
	return 0;
}

void agent_drop_offer(struct agent *a)
{
	if (a->offer)
		buf_free(&a->offer->manifest);
	free(a->offer);
	a->offer = NULL;
}

void agent_free(struct agent *a)
{
	agent_drop_offer(a);
	free(a->components);
	a->components = NULL;
	a->n_components = 0;
}

int agent_component(struct agent *a, const struct component *c)
{
	struct component *more;

	for (int i = 0; i < a->n_components; i++)
		if (strcmp(a->components[i].name, c->name) == 0 ||
		    (a->n_components == 1 && !a->components[i].name[0])) {
			a->components[i] = *c;
			return 0;
		}
	if (a->n_components == COMPONENTS_MAX)
		return -1;
	more = realloc(a->components, (a->n_components + 1u) * sizeof(*more));
	if (!more)
		return -1;
	more[a->n_components++] = *c;
	a->components = more;
	return 0;
}

uint64_t agent_sequence(const struct agent *a)
{
	uint64_t max = 0;

	for (int i = 0; i < a->n_components; i++)
		if (a->components[i].has_sequence && a->components[i].sequence > max)
			max = a->components[i].sequence;
	return max;
}

/* xorshift32: spreads retries, decides nothing */
uint32_t agent_jitter(struct agent *a, uint32_t span)
{
	a->jitter ^= a->jitter << 13;
	a->jitter ^= a->jitter >> 17;
	a->jitter ^= a->jitter << 5;
	return span ? a->jitter % span : 0;
}

void agent_go(struct agent *a, enum agent_step step)
{
	a->step = step;
	a->open = 0;
	a->tries = 0;
}

void agent_end(struct agent *a, enum agent_result r, const char *why)
{
	a->result = r;
	if (why)
		text_copy_slice(a->why, sizeof(a->why),
				slice_of(why, strnlen(why, sizeof(a->why) - 1)));
	agent_go(a, STEP_END);
}

void agent_idle(struct agent *a, int64_t s, int64_t now)
{
	if (a->plan->poll_s > 0)
		s = a->plan->poll_s;
	a->wake = now + (s > 0 ? s : 1) * 1000;
	if (a->granted > now && !a->look && a->granted < a->wake)
		a->wake = a->granted;
	/* diagnostics that were asked for go at once: nothing else may begin before */
	if (a->look || a->diag)
		a->wake = now;
	a->look = false;
	agent_go(a, STEP_IDLE);
}

void agent_say(struct agent *a, const char *state, int progress)
{
	text_copy(a->report, sizeof(a->report), state);
	a->reporting = true;
	a->progress = (int8_t)progress;
	a->failure = FAILURE_NONE;
	a->open = 0;
	a->tries = 0;
	if (a->offer)
		a->report_update = a->offer->update;
}

void agent_fail(struct agent *a, enum failure f, const char *why)
{
	agent_end(a, RESULT_FAILED, why);
	agent_say(a, "failed", -1);
	a->failure = f;
	agent_go(a, STEP_OVER);
}

/* ---- what to do next ---- */

bool agent_image_right(struct agent *a)
{
	struct agent_offer *o = a->offer;
	struct agent_image *i = &o->images[o->image];
	struct err e = { 0 };
	struct digest d;

	if (a->sink.end(a->sink.ctx, &d, &e) != 0) {
		agent_fail(a, FAILURE_SPACE, e.text);
		return false;
	}
	if ((i->has_size && o->offset != i->size) || !digest_eq(&d, &i->digest)) {
		a->digests_wrong++;
		agent_fail(a, FAILURE_DIGEST, "the image's digest or size is not the manifest's");
		return false;
	}
	i->whole = true;
	o->begun = false;
	o->offset = 0;
	o->etag.n = 0;
	return true;
}

void agent_image_done(struct agent *a)
{
	if (!agent_image_right(a) || ++a->offer->image < a->offer->n_images)
		return;
	agent_say(a, "downloaded", 100);
	agent_go(a, STEP_LOADED);
}

void agent_feed(struct agent *a, struct slice s)
{
	struct agent_offer *o = a->offer;
	struct err e = { 0 };
	uint8_t first;
	int rc = 0;

	if (a->plan->tamper && o->offset == 0 && s.n > 0) {
		first = s.p[0] ^ 1;
		rc = a->sink.add(a->sink.ctx, slice_of(&first, 1), &e);
		s = slice_of(s.p + 1, s.n - 1);
		o->offset++;
		a->bytes++;
	}
	if (rc == 0)
		rc = a->sink.add(a->sink.ctx, s, &e);
	o->offset += s.n;
	a->bytes += s.n;
	if (rc != 0)
		agent_fail(a, FAILURE_SPACE, e.text);
}

uint64_t agent_image_max(const struct agent *a)
{
	return a->plan->image_max ? a->plan->image_max : AGENT_IMAGE_MAX;
}

int agent_image_begin(struct agent *a)
{
	struct agent_offer *o = a->offer;
	const struct agent_image *i = &o->images[o->image];
	struct err e = { 0 };

	if (o->begun)
		return 0;
	if (i->has_size && i->size > agent_image_max(a)) {
		agent_fail(a, FAILURE_SPACE, "the image is larger than this device takes");
		return -1;
	}
	if (a->sink.begin(a->sink.ctx, i, &o->offset, &e) != 0) {
		agent_fail(a, FAILURE_SPACE, e.text);
		return -1;
	}
	o->begun = true;
	if (i->integrated && o->offset < i->size)
		agent_feed(a, slice_of(o->manifest.p + i->at + o->offset,
				       (size_t)(i->size - o->offset)));
	return a->step == STEP_OVER ? -1 : 0;
}

bool agent_take_integrated(struct agent *a)
{
	struct agent_offer *o = a->offer;
	bool right = true;

	for (int i = 0; i < o->n_images && right; i++) {
		o->image = (uint8_t)i;
		right = !o->images[i].integrated ||
			(agent_image_begin(a) == 0 && agent_image_right(a));
	}
	o->image = 0;
	return right;
}

/* Bring the image to where a request is due; the step changes when all is there. */
static void fetch(struct agent *a)
{
	const struct agent_offer *o = a->offer;
	const struct agent_image *i = &o->images[o->image];

	if (agent_image_begin(a) != 0)
		return;
	if (a->step == STEP_FETCH && i->has_size && o->offset >= i->size)
		agent_image_done(a);
}

static void take_manifest(struct agent *a)
{
	struct err e = { 0 };
	enum failure f;

	if (check_manifest(a->plan, agent_sequence(a), a->offer, &f, &e) != 0) {
		a->digests_wrong += f == FAILURE_DIGEST;
		agent_fail(a, f, e.text);
		return;
	}
	agent_say(a, "downloading", 0);
	agent_go(a, STEP_FETCH);
}

static void confirm(struct agent *a)
{
	if (a->result == RESULT_ROLLED_BACK)
		agent_say(a, "rolled-back", -1);
	else
		agent_say(a, "succeeded", 100);
	a->report_update = a->confirm;
	agent_go(a, STEP_OVER);
}

static void over(struct agent *a, int64_t now)
{
	unsigned enough = a->plan->attempts ? a->plan->attempts : 1;

	a->confirm = a->granted = a->agreed = 0;
	agent_drop_offer(a);
	a->deferred = false;
	a->failed = a->result == RESULT_FAILED ? a->failed + 1 : 0;
	if ((a->plan->until_done || a->plan->once) &&
	    (a->result != RESULT_FAILED || a->failed >= enough))
		agent_go(a, STEP_END);
	else
		agent_idle(a, a->ask_s, now);
}

/* What was pushed is installed when the server says so. */
static void loaded(struct agent *a, int64_t now)
{
	if (a->offer->pushed && !a->offer->apply) {
		agent_idle(a, a->ask_s, now);
		return;
	}
	agent_say(a, "installing", -1);
	agent_go(a, STEP_INSTALL);
}

enum agent_todo agent_next(struct agent *a, int64_t now, int64_t *wake)
{
	enum agent_step was;

	*wake = a->wake;
	if (a->began == 0)
		a->began = now;
	if (a->step == STEP_END)
		return TODO_END;
	if (a->wake > now)
		return TODO_WAIT;
	do {
		if (a->reporting)
			return TODO_SEND;
		was = a->step;
		if (a->step == STEP_IDLE)
			agent_go(a, STEP_ASK);
		else if (a->step == STEP_CONFIRM)
			confirm(a);
		else if (a->step == STEP_MANIFEST && a->offer->manifest.n > 0)
			take_manifest(a);
		else if (a->step == STEP_FETCH)
			fetch(a);
		else if (a->step == STEP_OVER)
			over(a, now);
		else if (a->step == STEP_LOADED)
			loaded(a, now);
		if (a->step == STEP_IDLE && a->wake > now)
			break;
		/* an image that ended leaves the next one to begin */
	} while (was != a->step || a->reporting || (a->step == STEP_FETCH && !a->offer->begun));
	*wake = a->wake;
	if (a->step == STEP_INSTALL)
		return TODO_INSTALL;
	if (a->step == STEP_REBOOT)
		return TODO_REBOOT;
	return a->step == STEP_END ? TODO_END : a->wake > now ? TODO_WAIT : TODO_SEND;
}

void agent_notified(struct agent *a)
{
	if (a->step != STEP_IDLE) {
		a->look = true;
		return;
	}
	a->wake = 0;
	agent_go(a, STEP_ASK);
}

bool agent_fails(const struct agent *a)
{
	return a->plan->fail_install || a->failed < a->plan->fail_first;
}

static int take_installed(struct agent *a)
{
	const struct agent_offer *o = a->offer;

	for (int i = 0; i < o->n_images; i++) {
		struct component c = { .has_sequence = true,
				       .sequence = o->sequence,
				       .has_digest = true,
				       .digest = o->images[i].digest };

		memcpy(c.name, o->images[i].component, sizeof(c.name));
		memcpy(c.version, o->version, sizeof(c.version));
		if (agent_component(a, &c) != 0)
			return -1;
	}
	return 0;
}

void agent_installed(struct agent *a, bool ok, const char *why)
{
	if (!ok || agent_fails(a)) {
		agent_fail(a, FAILURE_INSTALL, why ? why : "the installation failed");
		return;
	}
	if (a->plan->roll_back) {
		agent_end(a, RESULT_ROLLED_BACK,
			  "the new version did not start; the old one runs again");
	} else {
		agent_end(a, RESULT_SUCCEEDED, "");
		if (take_installed(a) != 0) {
			agent_fail(a, FAILURE_INSTALL, "there are more components than fit");
			return;
		}
	}
	a->confirm = a->offer->update;
	agent_say(a, "rebooting", -1);
	agent_go(a, STEP_REBOOT);
}

void agent_booted(struct agent *a, uint64_t boot)
{
	a->boot = boot;
	a->counter = 0;
	a->reporting = a->observing = false;
	a->wake = 0;
	a->nothing.n = 0;
	a->look = false;
	a->granted = a->agreed = 0;
	agent_drop_offer(a);
	agent_go(a, STEP_REGISTER);
}

/* ---- requests ---- */

enum agent_kind agent_kind_of(const struct agent *a)
{
	if (a->reporting)
		return ASK_REPORT;
	if (a->step == STEP_REGISTER)
		return ASK_REGISTER;
	if (a->diag && a->step == STEP_ASK)
		return ASK_DIAG;
	if (a->step == STEP_DECIDE)
		return ASK_DECISION;
	if (a->step == STEP_MANIFEST)
		return ASK_MANIFEST;
	if (a->step == STEP_FETCH)
		return ASK_IMAGE;
	return a->step == STEP_ASK || a->step == STEP_OBSERVE ? ASK_UPDATE : ASK_NOTHING;
}

static int request_body(struct agent *a, struct arena *mem, enum media m, struct agent_request *out,
			struct buf *body, int64_t now, struct err *e)
{
	struct doc *d;

	if (a->open == 0)
		a->open = ++a->counter;
	out->counter = a->open;
	d = out->kind == ASK_REGISTER ? agent_register_doc(a, mem, m, now)
	    : out->kind == ASK_REPORT ? agent_report_doc(a, mem)
				      : agent_decision_doc(a, mem);
	if (docfmt_encode(m, d, body, e) != 0)
		return -1;
	if (doc_failed(mem) || body->failed)
		return err_set(e, ERR_TOO_LARGE, "a message of over %zu bytes", body->max);
	a->sent++;
	return 0;
}

static void request_piece(const struct agent *a, struct agent_request *out)
{
	const struct agent_offer *o = a->offer;

	out->piece = true;
	out->offset = o->offset;
	out->length = a->plan->piece;
	out->etag = o->etag;
	text_copy(out->path, sizeof(out->path), o->images[o->image].path);
}

int agent_request(struct agent *a, struct arena *mem, enum media m, struct agent_request *out,
		  struct buf *body, int64_t now, struct err *e)
{
	static const char *const tails[] = {
		[ASK_REGISTER] = "",	  [ASK_UPDATE] = "/update", [ASK_DECISION] = "/decision",
		[ASK_REPORT] = "/report", [ASK_DIAG] = "/diag",
	};

	memset(out, 0, sizeof(*out));
	out->media = MEDIA_NONE;
	out->kind = a->asked = agent_kind_of(a);
	out->method = METHOD_GET;
	if (out->kind == ASK_NOTHING)
		return err_set(e, ERR_INVALID, "there is nothing to send");
	if (out->kind == ASK_IMAGE) {
		request_piece(a, out);
		return 0;
	}
	if (out->kind == ASK_MANIFEST)
		return text_copy(out->path, sizeof(out->path), a->offer->manifest_path);
	if (text_format(out->path, sizeof(out->path), "/device/%s%s", a->id, tails[out->kind]) != 0)
		return err_set(e, ERR_TOO_LARGE, "path");
	if (out->kind == ASK_UPDATE) {
		out->observe = a->step == STEP_OBSERVE;
		if (!out->observe)
			out->etag = a->nothing;
		return 0;
	}
	out->method = out->kind == ASK_REGISTER ? METHOD_PUT : METHOD_POST;
	out->media = out->kind == ASK_DIAG ? MEDIA_TEXT : m;
	if (out->kind == ASK_DIAG)
		return agent_diag_text(a, body, now) == 0 ? 0 : err_set(e, ERR_TOO_LARGE, "diag");
	return request_body(a, mem, m, out, body, now, e);
}

const char *agent_kind_word(const struct agent *a, enum agent_kind k)
{
	static const char *const words[] = { "register", "update", "decision", "manifest",
					     "image",	 "report", "diag" };

	return k == ASK_REPORT ? a->report : words[k];
}

const char *agent_result_word(enum agent_result r)
{
	static const char *const words[RESULT_COUNT] = {
		"none",	    "nothing",	   "succeeded", "failed",  "rejected",
		"deferred", "rolled-back", "silent",	"refused",
	};

	return (unsigned)r < RESULT_COUNT ? words[r] : "unknown";
}
