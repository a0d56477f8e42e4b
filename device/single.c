/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "device/files.h"
#include "device/options.h"

#define REPLY_MAX (AGENT_PIECE_MAX + AGENT_MANIFEST_MAX)
#define WAIT_STEP_MS 500

struct single {
	const struct options *o;
	struct carrier_options carrier;
	const struct carrier_ops *ops;
	struct carrier *c;
	struct agent_plan plan;
	struct device_state state;
	struct files files;
	struct agent agent;
	struct arena mem;
	struct buf body, reply;
	struct arena call_mem; /* a call may come while a request is under way */
	int64_t deadline; /* INT64_MAX: none */
	bool heard; /* the server answered at least once */
	char trouble[224]; /* of the last request without an answer */
};

static int begin_boot(struct single *s, struct err *e)
{
	s->state.boot++;
	return state_save(s->o->state_dir, &s->state, e);
}

static int first_component(struct single *s, struct err *e)
{
	struct component c = { .has_sequence = s->o->has_sequence, .sequence = s->o->sequence };

	if (s->state.n_components > 0 || (!s->o->version && !s->o->has_sequence))
		return 0;
	if (s->o->version && text_copy(c.version, sizeof(c.version), s->o->version) != 0)
		return err_set(e, ERR_INVALID, "--version is too long");
	s->state.components[s->state.n_components++] = c;
	return 0;
}

static int load(struct single *s, struct err *e)
{
	struct agent_sink sink = files_sink(&s->files);
	uint32_t seed;

	if (files_open(&s->files, s->o->state_dir, e) != 0)
		return -1;
	sink = files_sink(&s->files);
	if (state_load(s->o->state_dir, &s->state, e) < 0 || first_component(s, e) != 0 ||
	    files_recover(s->o->state_dir, &s->state, e) != 0 || begin_boot(s, e) != 0)
		return -1;
	random_bytes(&seed, sizeof(seed));
	if (agent_init(&s->agent, &s->plan, &sink, s->o->id, s->state.boot, seed, e) != 0)
		return -1;
	for (int i = 0; i < s->state.n_components; i++)
		if (agent_component(&s->agent, &s->state.components[i]) != 0)
			return err_set(e, ERR_NO_MEMORY, "components");
	s->agent.confirm = s->state.confirm;
	if (s->agent.confirm)
		s->agent.result = s->state.rolled_back ? RESULT_ROLLED_BACK : RESULT_SUCCEEDED;
	return 0;
}

static void on_call(void *ctx, const struct agent_call *c, struct agent_answer *r, struct buf *body)
{
	struct single *s = ctx;
	unsigned notices = s->agent.notices;

	arena_reset(&s->call_mem);
	agent_called(&s->agent, &s->call_mem, c, r, body, clock_mono_ms());
	if (s->agent.notices > notices)
		log_info("an outage of %" PRId64 " s is announced", s->agent.outage_s);
	if (c->more)
		log_debug("called: %s %s block %u -> %u", method_name(c->method), c->path, c->num,
			  r->status);
	else
		log_info("called: %s %s %s -> %u", method_name(c->method), c->path, c->query,
			 r->status);
}

static int prepare(struct single *s, struct err *e)
{
	if (plan_make(s->o, &s->plan, e) != 0 || carrier_options_make(s->o, &s->carrier, e) != 0)
		return -1;
	s->ops = carrier_of(&s->carrier.server);
	s->plan.observe = s->ops->observes;
	if (s->ops->serves) {
		s->carrier.called = on_call;
		s->carrier.called_ctx = s;
	}
	if (s->ops->piece_max > 1024)
		s->plan.piece = s->ops->piece_max;
	if (s->o->timeout_s && (int64_t)s->o->timeout_s * 1000 < s->carrier.exchange_ms)
		s->carrier.exchange_ms = (int64_t)s->o->timeout_s * 1000;
	return load(s, e) != 0 ? -1 : s->ops->open(&s->carrier, &s->c, e);
}

static void tell(const struct single *s, const struct agent_request *rq,
		 const struct agent_reply *r)
{
	if (rq->piece)
		log_debug("%s %s offset=%" PRIu64 " -> %u %zu bytes", method_name(rq->method),
			  rq->path, rq->offset, r->status, r->body.n);
	else if (rq->counter)
		log_info("%s %s boot=%" PRIu64 " counter=%" PRIu64 " %s -> %u",
			 method_name(rq->method), rq->path, s->agent.boot, rq->counter,
			 agent_kind_word(&s->agent, rq->kind), r->status);
	else
		log_info("%s %s%s -> %u %zu bytes", method_name(rq->method), rq->path,
			 rq->observe ? " observe" : "", r->status, r->body.n);
}

static int send_one(struct single *s, struct err *e)
{
	struct agent_request rq;
	struct agent_reply r;
	struct err why = { 0 };

	arena_reset(&s->mem);
	buf_reset(&s->body);
	if (agent_request(&s->agent, &s->mem, s->ops->media, &rq, &s->body, clock_mono_ms(), e) !=
		    0 ||
	    s->ops->request(s->c, &rq, buf_slice(&s->body), &s->reply, &r, &why) != 0) {
		if (why.code)
			*e = why;
		return -1;
	}
	if (r.status == 0) {
		text_copy(s->trouble, sizeof(s->trouble), why.text);
		log_info("%s %s: %s", method_name(rq.method), rq.path, why.text);
	} else {
		s->heard = true;
		s->trouble[0] = 0;
		tell(s, &rq, &r);
		if (r.status >= 500)
			text_format(s->trouble, sizeof(s->trouble), "the server answered %u %s",
				    r.status, status_phrase(r.status));
	}
	agent_reply(&s->agent, &s->mem, s->ops->media, &r, clock_mono_ms());
	/* a new session knows nothing of what the old one watched */
	s->agent.observing = s->agent.observing && s->ops->watching(s->c);
	return 0;
}

/* What the device must know after a reboot is in the state before it is said. */
static int install(struct single *s, struct err *e)
{
	struct err why = { 0 };
	bool ok = true;

	if (s->plan.roll_back) {
		s->state.confirm = s->agent.offer->update;
		s->state.rolled_back = true;
		if (state_save(s->o->state_dir, &s->state, e) != 0)
			return -1;
	} else if (!agent_fails(&s->agent)) {
		ok = files_install(s->o->state_dir, &s->state, s->agent.offer, &why) == 0;
	}
	agent_installed(&s->agent, ok, ok ? NULL : why.text);
	return 0;
}

static int reboot(struct single *s, struct err *e)
{
	log_info("reboot");
	s->ops->close(s->c);
	s->c = NULL;
	if (begin_boot(s, e) != 0 || s->ops->open(&s->carrier, &s->c, e) != 0)
		return -1;
	agent_booted(&s->agent, s->state.boot);
	return 0;
}

static void pause_until(struct single *s, int64_t wake)
{
	int64_t left = (wake < s->deadline ? wake : s->deadline) - clock_mono_ms();

	if (left <= 0)
		return;
	if (s->ops->wait(s->c, left < WAIT_STEP_MS ? left : WAIT_STEP_MS))
		agent_notified(&s->agent);
}

/* The update that was to be confirmed is told of: forget it. */
static int settle(struct single *s, struct err *e)
{
	if (s->state.confirm == 0 || s->agent.confirm != 0 || s->agent.step == STEP_REBOOT)
		return 0;
	s->state.confirm = 0;
	s->state.rolled_back = false;
	return state_save(s->o->state_dir, &s->state, e);
}

/* 1: ended by itself, 0: out of time, -1. */
static int loop(struct single *s, struct err *e)
{
	int64_t wake;
	int rc = 0;

	while (rc == 0) {
		int64_t now = clock_mono_ms();
		enum agent_todo todo = agent_next(&s->agent, now, &wake);

		rc = settle(s, e);
		if (rc != 0)
			break;
		if (todo == TODO_END)
			return 1;
		if (now >= s->deadline)
			return 0;
		if (todo == TODO_SEND)
			rc = send_one(s, e);
		else if (todo == TODO_WAIT)
			pause_until(s, wake);
		else if (todo == TODO_INSTALL)
			rc = install(s, e);
		else
			rc = reboot(s, e);
	}
	return rc;
}

static int verdict(const struct single *s, int ended, const struct err *e)
{
	const struct agent *a = &s->agent;

	if (ended < 0) {
		fprintf(stderr, "fettle-device: %s\n", e->text);
		return EXIT_FAILED_;
	}
	if (ended == 0) {
		fprintf(stderr, "fettle-device: out of time%s%s\n", s->trouble[0] ? ": " : "",
			s->trouble);
		return s->heard ? EXIT_FAILED_ : EXIT_UNREACHABLE_;
	}
	if (a->result == RESULT_SUCCEEDED || a->result == RESULT_NOTHING) {
		printf("%s: %s\n", a->id, agent_result_word(a->result));
		return EXIT_DONE_;
	}
	fprintf(stderr, "fettle-device: %s%s%s: %s\n", agent_result_word(a->result),
		a->failure != FAILURE_NONE ? " " : "",
		a->failure != FAILURE_NONE ? failure_word(a->failure) : "", a->why);
	return EXIT_FAILED_;
}

int single_run(const struct options *o)
{
	struct single s = { .o = o,
			    .mem = ARENA_INIT(4u << 20),
			    .body = BUF_INIT(AGENT_BODY_MAX),
			    .reply = BUF_INIT(REPLY_MAX),
			    .call_mem = ARENA_INIT(1u << 20),
			    .deadline = INT64_MAX,
			    .files = { .fd = -1 } };
	struct err e = { 0 };
	int ended = -1, code;

	if (o->timeout_s)
		s.deadline = clock_mono_ms() + (int64_t)o->timeout_s * 1000;
	if (prepare(&s, &e) == 0)
		ended = loop(&s, &e);
	code = verdict(&s, ended, &e);
	if (s.c)
		s.ops->close(s.c);
	agent_free(&s.agent);
	files_close(&s.files);
	plan_free(&s.plan);
	explicit_bzero(&s.carrier, sizeof(s.carrier));
	arena_free(&s.mem);
	arena_free(&s.call_mem);
	buf_free(&s.body);
	buf_free(&s.reply);
	return code;
}
