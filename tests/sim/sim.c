/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/suit.h"

#define WALL 1800000000000
#define AUDIT_EVERY 400

/* ---- what the seed decides ---- */

static int64_t pick(struct dice *d, const int64_t *v, size_t n)
{
	return v[dice_below(d, n)];
}

#define PICK(d, ...)                                \
	pick((d), (const int64_t[]){ __VA_ARGS__ }, \
	     sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

static void draw_rules(struct sim *s)
{
	struct o_rules *r = &s->oracle.rules;
	struct dice *d = &s->dice;

	r->approve_above = s->opt.operators ? PICK(d, -1, -1, 4, 9) : -1;
	r->contact_s = PICK(d, 3600, 21600, 86400, 86400, 172800);
	r->offer_s = PICK(d, 3600, 43200, 86400);
	r->decide_s = PICK(d, 3600, 43200, 86400);
	r->download_s = PICK(d, 1800, 7200, 86400);
	r->install_s = PICK(d, 1800, 7200, 86400);
	r->reboot_s = PICK(d, 600, 3600, 43200);
	r->confirm_s = PICK(d, 600, 3600, 43200);
	r->expected_s = PICK(d, 0, 60, 600, 1800);
	for (int i = 0; i < URGENCY_COUNT; i++) {
		struct o_class *c = &r->class_[i];

		c->deadline_s = PICK(d, 0, 14400, 259200, 2592000);
		c->defer_max_s = PICK(d, 0, 900, 43200, 604800, 2592000);
		c->defer_count = (int)PICK(d, -1, 0, 2, 4, 8);
		c->retries = (int)PICK(d, 0, 1, 2, 3, 5);
		c->backoff_min_s = PICK(d, 0, 300, 900, 3600, 86400);
		c->backoff_max_s = c->backoff_min_s * PICK(d, 1, 2, 12, 24);
		c->contact_s = PICK(d, 300, 900, 3600, 21600, 86400);
		c->idle_only = dice_chance(d, 250);
		c->until_deadline = dice_chance(d, 500);
		c->with_download = dice_chance(d, 500);
		c->outage_s = PICK(d, 0, 0, 0, 60, 600);
	}
}

static void draw_habits(struct sim *s)
{
	struct dice *d = &s->dice;
	struct habits *h = &s->habits;

	*h = (struct habits){ .lose_request = (unsigned)PICK(d, 0, 20, 50, 200),
			      .lose_answer = (unsigned)PICK(d, 0, 20, 50, 200),
			      .defer = (unsigned)PICK(d, 0, 100, 300, 600),
			      .reject = (unsigned)PICK(d, 0, 20, 100),
			      .fail = (unsigned)PICK(d, 0, 20, 80, 300),
			      .roll_back = (unsigned)PICK(d, 0, 50, 300),
			      .silent = (unsigned)PICK(d, 0, 5, 20, 60),
			      .lie = (unsigned)PICK(d, 0, 10, 100),
			      .replay = (unsigned)PICK(d, 0, 20, 100),
			      .filters = s->opt.operators ? (unsigned)PICK(d, 0, 0, 300, 700) : 0,
			      .skip = (unsigned)PICK(d, 0, 100, 400),
			      .hasty = (unsigned)PICK(d, 0, 50, 300),
			      .crash = (unsigned)PICK(d, 0, 1, 3),
			      .wake = (unsigned)PICK(d, 0, 500, 950),
			      .windows = (unsigned)PICK(d, 0, 4, 10, 20),
			      .servers = (unsigned)PICK(d, 0, 250, 600),
			      .refuse = (unsigned)PICK(d, 0, 10, 60),
			      .expiry = (unsigned)PICK(d, 0, 200, 500) };
}

static int draw_world(struct sim *s)
{
	s->n_devices = (int)PICK(&s->dice, 6, 12, 20, 30, 40);
	draw_rules(s);
	draw_habits(s);
	for (int v = 0; v < VENDORS; v++)
		if (suit_vendor_uuid(sim_vendors[v], &s->vendor_id[v]) != 0)
			return -1;
	for (int c = 0; c < CLASSES; c++) {
		if (suit_class_uuid(&s->vendor_id[c % VENDORS], sim_models[c], &s->class_id[c]) !=
		    0)
			return -1;
		s->sequence[c] = 10;
	}
	fleet_make(s);
	return 0;
}

int sim_open(struct sim *s, const struct sim_options *o)
{
	struct err e = { 0 };

	memset(s, 0, sizeof(*s));
	s->opt = *o;
	s->dice.s = o->seed * 7919 + 1;
	s->server.now = (struct now){ .wall = WALL, .track = 1000000, .wall_trusted = true };
	if (oracle_init(&s->oracle) != 0 || draw_world(s) != 0 ||
	    server_open(&s->server, o->dir, &e) != 0) {
		snprintf(s->error, sizeof(s->error), "it does not open: %s", e.text);
		return -1;
	}
	s->oracle.st = s->server.st;
	s->oracle.trusted = true;
	s->clock_at = s->server.now.track + INT64_C(86400000) * dice_range(&s->dice, 1, 20);
	return 0;
}

void sim_close(struct sim *s)
{
	server_close(&s->server);
	if (!s->opt.dir)
		server_remove(&s->server);
	for (int i = 0; i < O_ANCHORS; i++)
		key_free(s->key[i]);
	oracle_free(&s->oracle);
}

void sim_report(const struct sim *s, const char *program)
{
	const struct oracle *o = &s->oracle;
	unsigned n = o->traced < O_TRACE ? o->traced : O_TRACE;

	printf("seed %" PRIu64 ", event %ld: %s\n", s->opt.seed, s->step,
	       o->failed ? o->verdict : s->error);
	for (unsigned i = 0; i < n; i++)
		printf("  %s\n", o->trace[(o->traced - n + i) % O_TRACE]);
	printf("again: FETTLE_SEED=%" PRIu64 " %s\n", s->opt.seed, program);
	fflush(stdout);
}

/* ---- what happens ---- */

static int over(struct sim *s, const char *why)
{
	if (!s->oracle.failed && !s->error[0])
		text_copy(s->error, sizeof(s->error), why);
	return -1;
}

static void trace(struct sim *s, const struct said *said, unsigned status)
{
	static const char *const words[HAPPENING_COUNT] = { "registers", "asks",    "looks",
							    "fetches",	 "decides", "reports",
							    "pass",	 "job",	    "command",
							    "crash",	 "answers" };
	char words_of[64] = "";

	if (said->update || said->word[0])
		snprintf(words_of, sizeof(words_of), " %s %" PRId64, said->word, said->update);
	if (said->dev >= 0)
		oracle_trace(&s->oracle,
			     "device %d %s%s (%" PRIx64 "/%" PRIu64 " %s%" PRIu64 ") -> %u",
			     said->dev, words[said->what], words_of, said->boot, said->counter,
			     said->has_component ? said->component.version : "",
			     said->has_component ? said->component.sequence : 0, status);
	else
		oracle_trace(&s->oracle, "%s %d %d -> %u", words[said->what], said->command,
			     said->ref, status);
}

static void tell_oracle(struct sim *s, const struct said *said, const struct heard *h)
{
	if (said->what == HAPPENS_COMMAND)
		people_heard(s, said, h);
	trace(s, said, h->status);
	oracle_after(&s->oracle, h);
	calls_judge(s);
}

static int begin(struct sim *s)
{
	if (!s->server.in_batch)
		s->judged = 0;
	return server_begin(&s->server) == 0 ? 0 : over(s, "no batch begins");
}

int sim_answer(struct sim *s, const struct said *said, const struct ipc_sent *sent)
{
	if (begin(s) != 0)
		return -1;
	oracle_before(&s->oracle, said, s->server.now.track, s->server.now.wall);
	server_watch(&s->server);
	if (server_answer(&s->server, sent) < 0)
		return over(s, "an answer cannot be taken");
	tell_oracle(s, said,
		    &(struct heard){ .status = 200, .written = server_written(&s->server) });
	s->step++;
	s->oracle.step = s->step;
	return s->oracle.failed ? -1 : 0;
}

int sim_happen(struct sim *s, const struct said *said, const struct ask_of *a, struct heard *h)
{
	if (begin(s) != 0)
		return -1;
	oracle_before(&s->oracle, said, s->server.now.track, s->server.now.wall);
	server_watch(&s->server);
	int status = server_ask(&s->server, a);
	if (status < 0)
		return over(s, "the batch is broken");
	*h = (struct heard){ .status = (unsigned)status,
			     .doc = s->server.doc,
			     .written = server_written(&s->server) };
	tell_oracle(s, said, h);
	s->step++;
	s->oracle.step = s->step;
	return s->oracle.failed ? -1 : 0;
}

/* Durable, then the answers: those that get through. */
static int commit(struct sim *s)
{
	if (server_commit(&s->server) != 0)
		return over(s, "a commit fails");
	oracle_commit(&s->oracle);
	fleet_effects(s);
	for (int i = 0; i < s->n_pending; i++) {
		struct pending *p = &s->pending[i];
		if (p->dev < 0)
			continue;
		if (dice_chance(&s->dice, s->habits.lose_answer))
			fleet_lost(s, p->dev);
		else
			fleet_hear(s, p);
	}
	s->n_pending = 0;
	return 0;
}

/* Before the commit, or between it and the answers. What was stored, and only that, is there. */
static int crash(struct sim *s)
{
	struct err e = { 0 };
	bool committed = s->server.in_batch && dice_chance(&s->dice, 500);

	if (committed && server_commit(&s->server) != 0)
		return over(s, "a commit fails");
	if (committed)
		oracle_commit(&s->oracle);
	else
		oracle_abandon(&s->oracle);
	for (int i = 0; i < s->n_pending; i++)
		if (s->pending[i].dev >= 0)
			fleet_lost(s, s->pending[i].dev);
	s->n_pending = 0;
	calls_crash(s);
	bool opens = dice_chance(&s->dice, 200);
	if ((opens ? server_crash(&s->server, &e) : server_forget(&s->server, &e)) != 0)
		return over(s, e.text);
	s->oracle.st = s->server.st;
	oracle_trace(&s->oracle, "the server dies %s its answers",
		     committed ? "before" : "with what it had not committed and");
	oracle_before(&s->oracle, &(struct said){ .what = HAPPENS_CRASH, .dev = -1 },
		      s->server.now.track, s->server.now.wall);
	oracle_after(&s->oracle, &(struct heard){ .status = 200 });
	oracle_audit(&s->oracle);
	return s->oracle.failed ? -1 : 0;
}

/* The schedule and the jobs make batches of their own. */
static int own_work(struct sim *s, enum happening what)
{
	struct said said = { .what = what, .dev = -1 };
	struct err e = { 0 };

	if (commit(s) != 0)
		return -1;
	s->judged = 0;
	oracle_before(&s->oracle, &said, s->server.now.track, s->server.now.wall);
	if (s->box)
		*s->box = (struct sim_box){ what, true, s->server.now.track, s->server.now.wall };
	server_watch(&s->server);
	int rc = what == HAPPENS_PASS ? server_pass(&s->server, &e) : server_job(&s->server, &e);
	if (rc < 0)
		return over(s, e.text);
	tell_oracle(s, &said,
		    &(struct heard){ .status = 200, .written = server_written(&s->server) });
	oracle_commit(&s->oracle);
	if (s->box)
		s->box->busy = false;
	fleet_effects(s);
	if (what == HAPPENS_PASS && s->server.next_pass <= s->server.now.track)
		s->server.next_pass = s->server.now.track + 1000;
	s->step++;
	s->oracle.step = s->step;
	return s->oracle.failed ? -1 : 0;
}

/* Somebody sets the wall clock; later the kernel says that it is right again. */
static void set_clock(struct sim *s)
{
	struct server *sr = &s->server;
	int64_t hour = 3600000, jump = dice_range(&s->dice, -48, 48) * hour / 4;

	if (!sr->now.wall_trusted) {
		sr->now.wall_trusted = s->oracle.trusted = true;
		s->clock_at = sr->now.track + 24 * hour * dice_range(&s->dice, 10, 60);
		return;
	}
	sr->now.wall += jump;
	oracle_trace(&s->oracle, "the clock is set by %" PRId64 " s", jump / 1000);
	if (jump < 0 || jump > hour)
		sr->now.wall_trusted = s->oracle.trusted = false;
	s->clock_at = sr->now.track + hour * dice_range(&s->dice, 1, 6);
}

/* ---- what comes next ---- */

static int next_device(const struct sim *s)
{
	int found = 0;

	for (int i = 1; i < s->n_devices; i++)
		if (s->device[i].next_at < s->device[found].next_at)
			found = i;
	return found;
}

static int advance(struct sim *s, int64_t to)
{
	struct now *now = &s->server.now;

	if (to <= now->track)
		return 0;
	/* answers do not wait for what comes later */
	if (s->server.in_batch && commit(s) != 0)
		return -1;
	now->wall += to - now->track;
	now->track = to;
	return 0;
}

static int people(struct sim *s)
{
	s->people_from = s->step + dice_range(&s->dice, 10, 70);
	return people_act(s);
}

/* Whoever is first; devices of the same few seconds share a batch. */
static int next(struct sim *s)
{
	int64_t now = s->server.now.track;
	int dev = next_device(s);
	int64_t call = calls_next(s), at = s->device[dev].next_at;
	bool called = call <= at;

	if (called)
		at = call;
	if (s->server.jobs && dice_chance(&s->dice, 300))
		return own_work(s, HAPPENS_JOB);
	if (s->step >= s->people_from)
		return people(s);
	if (s->server.next_pass <= at)
		return advance(s, s->server.next_pass) != 0 ? -1 : own_work(s, HAPPENS_PASS);
	if (s->clock_at <= at)
		set_clock(s);
	/* the answers decide who is next */
	if (s->server.in_batch &&
	    (s->n_pending == PENDING_MAX - 1 || at > now + (called ? 0 : 5000)))
		return commit(s);
	if (!s->server.in_batch && advance(s, at) != 0)
		return -1;
	return called ? calls_act(s) : fleet_act(s, next_device(s));
}

int sim_run(struct sim *s)
{
	long audited = 0;

	if (people_begin(s) != 0 || commit(s) != 0)
		return over(s, "it does not begin");
	while (s->step < s->opt.events) {
		if (next(s) != 0)
			return over(s, "it does not go on");
		if (s->opt.crashes && dice_chance(&s->dice, s->habits.crash) && crash(s) != 0)
			return -1;
		if (s->step - audited >= AUDIT_EVERY) {
			audited = s->step;
			if (commit(s) != 0)
				return -1;
			s->server.jobs = true;
			oracle_before(&s->oracle,
				      &(struct said){ .what = HAPPENS_CRASH, .dev = -1 },
				      s->server.now.track, s->server.now.wall);
			oracle_audit(&s->oracle);
			if (s->oracle.failed)
				return -1;
		}
	}
	if (commit(s) != 0)
		return -1;
	oracle_audit(&s->oracle);
	oracle_history(&s->oracle);
	return s->oracle.failed ? -1 : 0;
}
