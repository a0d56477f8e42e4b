/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/model.h"
#include "base/text.h"
#include "cli/cli.h"

/* Rollouts and the long work behind them. */
#define API "/api/v1"
#define PLAN_INTERVAL_NS (100 * 1000 * 1000L)
#define WATCH_INTERVAL_NS (500 * 1000 * 1000L)

/* "--phase percent=10,success=90,soak=1h" as a member of phases. */
static int add_phase(struct ctx *c, struct doc *phases, const char *text, struct err *e)
{
	static const struct {
		const char *word, *member;
		enum { NUMBER, DURATION, TEXT } kind;
	} known[] = {
		{ "percent", "percent", NUMBER },
		{ "count", "count", NUMBER },
		{ "success", "success_percent", NUMBER },
		{ "soak", "soak_s", DURATION },
		{ "timeout", "timeout_s", DURATION },
		{ "start", "not_before", TEXT },
		{ "filter", "filter", TEXT },
	};
	struct doc *phase = doc_map(&c->a, phases, NULL);
	char *copy = arena_copy(&c->a, text, strlen(text)), *save = NULL;

	if (!copy)
		return err_set(e, ERR_NO_MEMORY, "--phase");
	if (!*copy)
		return ctx_usage(c, e, "--phase says nothing");
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		size_t k = 0, n = sizeof(known) / sizeof(known[0]);
		char *equals = strchr(w, '=');
		int64_t v = 0;

		if (equals)
			*equals++ = 0;
		while (k < n && strcmp(known[k].word, w) != 0)
			k++;
		/* a filter may have commas: it is the last */
		if (k < n && strcmp(known[k].word, "filter") == 0 && equals && *save) {
			save[-1] = ',';
			save += strlen(save);
		}
		if (k == n || !equals ||
		    (known[k].kind == DURATION && text_duration_ms(slice_str(equals), &v) < 0) ||
		    (known[k].kind == NUMBER && text_i64(slice_str(equals), &v) < 0))
			return ctx_usage(c, e, "--phase '%s': '%s' is not understood", text, w);
		if (doc_get(phase, known[k].member))
			return ctx_usage(c, e, "--phase '%s': %s is there twice", text, w);
		if (known[k].kind == NUMBER && v == 0)
			return ctx_usage(c, e, "--phase '%s': %s is from 1 on", text, w);
		if (known[k].kind == TEXT)
			doc_add_text(&c->a, phase, known[k].member, equals);
		else
			doc_add_int(&c->a, phase, known[k].member,
				    known[k].kind == DURATION ? v / 1000 : v);
	}
	return 0;
}

/* "--pause-at digest=3" as a member of pause_at. */
static int add_pause_at(struct ctx *c, struct doc *map, const char *text, struct err *e)
{
	const char *equals = strchr(text, '=');
	int64_t n;

	if (!equals || equals == text || text_i64(slice_str(equals + 1), &n) < 0)
		return ctx_usage(c, e, "--pause-at takes FAILURE=N, not '%s'", text);
	const char *failure = arena_copy(&c->a, text, (size_t)(equals - text));
	if (!failure)
		return err_set(e, ERR_NO_MEMORY, "--pause-at");
	if (doc_get(map, failure))
		return ctx_usage(c, e, "--pause-at %s is given twice", failure);
	doc_add_int(&c->a, map, failure, n);
	return 0;
}

static int add_words(struct ctx *c, struct doc *body, struct err *e)
{
	const char *order = ctx_option(c, "order");

	if (order)
		doc_add_text(&c->a, body, "order", order);
	if (ctx_option(c, "focus"))
		doc_add_bool(&c->a, body, "focus", true);
	if (ctx_option(c, "force"))
		doc_add_bool(&c->a, body, "force", true);
	if (ctx_option(c, "no-canary"))
		doc_add_bool(&c->a, body, "canary", false);
	if (ctx_option(c, "auto-start"))
		doc_add_bool(&c->a, body, "auto_start", true);
	if (ctx_option(c, "pause-at")) {
		struct doc *map = doc_map(&c->a, body, "pause_at");

		for (int i = 0; ctx_option_n(c, "pause-at", i); i++)
			if (add_pause_at(c, map, ctx_option_n(c, "pause-at", i), e) < 0)
				return -1;
	}
	return 0;
}

int rollout_members(struct ctx *c, struct doc *body, struct err *e)
{
	static const char *const numbers[][2] = { { "budget", "budget" },
						  { "in-flight", "in_flight" },
						  { "per-minute", "per_minute" },
						  { "max-in-flight", "max_in_flight" },
						  { "per-link", "per_link" },
						  { "bytes-per-second", "bytes_per_s" },
						  { "link-bytes-per-second", "link_bytes_per_s" } };
	const char *target = ctx_option(c, "target");

	if (target)
		doc_add_text(&c->a, body, "target", target);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const char *v = ctx_option(c, numbers[i][0]);
		int64_t n;

		if (v && text_i64(slice_str(v), &n) < 0)
			return ctx_usage(c, e, "--%s takes a number, not '%s'", numbers[i][0], v);
		if (v)
			doc_add_int(&c->a, body, numbers[i][1], n);
	}
	if (add_words(c, body, e) < 0)
		return -1;
	if (ctx_option(c, "phase")) {
		struct doc *phases = doc_array(&c->a, body, "phases");

		for (int i = 0; ctx_option_n(c, "phase", i); i++)
			if (add_phase(c, phases, ctx_option_n(c, "phase", i), e) < 0)
				return -1;
	}
	return 0;
}

static void rest_for(long ns)
{
	const struct timespec ts = { .tv_nsec = ns };

	nanosleep(&ts, NULL);
}

/* Planning is a job; people and scripts want to know when it is done. */
static const struct doc *wait_created(struct ctx *c, int64_t id, struct err *e)
{
	for (;;) {
		const struct doc *r =
			rest_get(c, "GET", arena_printf(&c->a, API "/rollouts/%lld", (long long)id),
				 NULL, e);

		if (!r || strcmp(write_value(&c->a, r, "state"), "creating") != 0)
			return r;
		arena_reset(&c->a);
		rest_for(PLAN_INTERVAL_NS);
	}
}

/* Made; shown once it is planned. */
static int make(struct ctx *c, const char *path, const struct doc *body, struct err *e)
{
	const struct doc *answer = rest_get(c, "POST", path, body, e);

	if (answer && !ctx_option(c, "no-wait")) {
		const struct doc *id = doc_get(answer, "id");

		if (!id || id->type != DOC_INT)
			return err_set(e, ERR_MALFORMED, "the answer has no id");
		answer = wait_created(c, id->v.i, e);
	}
	return answer ? write_object(c, answer, e) : -1;
}

int cmd_rollout_create(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);

	doc_add_text(&c->a, body, "name", c->args[0]);
	doc_add_text(&c->a, body, "release", ctx_option(c, "release"));
	if (rollout_members(c, body, e) < 0)
		return -1;
	if (ctx_option(c, "dry-run"))
		return rest_object(c, "POST", API "/rollouts?dry_run=1", body, e);
	return make(c, API "/rollouts", body, e);
}

int cmd_rollout_clone(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *release = ctx_option(c, "release");

	doc_add_text(&c->a, body, "name", c->args[1]);
	if (release)
		doc_add_text(&c->a, body, "release", release);
	return make(c, rest_path(c, e, API "/rollouts/%s/clone", c->args[0]), body, e);
}

int cmd_rollout_why(struct ctx *c, struct err *e)
{
	const struct doc *answer =
		rest_get(c, "GET", rest_path(c, e, API "/rollouts/%s/why", c->args[0]), NULL, e);

	return answer ? write_gates(c, answer, e) : -1;
}

int cmd_rollout_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "name", "NAME" },
		{ "release", "RELEASE" },
		{ "state", "STATE" },
		{ "counters.total", "DEVICES" },
		{ "counters.succeeded", "SUCCEEDED" },
		{ "counters.in_flight", "IN FLIGHT" },
		{ "counters.failed", "FAILED" },
		{ "budget", "BUDGET" },
		{ "reason", "REASON" },
		{ 0 },
	};

	return rest_list(c, API "/rollouts", columns, e);
}

int cmd_rollout_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/rollouts/%s", c->args[0]), NULL, e);
}

static int verb(struct ctx *c, const char *format, struct err *e)
{
	const char *reason = ctx_option(c, "reason");
	struct doc *body = doc_map(&c->a, NULL, NULL);

	if (reason)
		doc_add_text(&c->a, body, "reason", reason);
	if (ctx_option(c, "force"))
		doc_add_bool(&c->a, body, "force", true);
	return rest_object(c, "POST", rest_path(c, e, format, c->args[0]), body, e);
}

int cmd_rollout_start(struct ctx *c, struct err *e)
{
	return verb(c, API "/rollouts/%s/start", e);
}

int cmd_rollout_pause(struct ctx *c, struct err *e)
{
	return verb(c, API "/rollouts/%s/pause", e);
}

/* A verb that may allow more failures. */
static int verb_budget(struct ctx *c, const char *path, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *budget = ctx_option(c, "budget");
	int64_t n = 0;

	if (budget && text_i64(slice_str(budget), &n) < 0)
		return ctx_usage(c, e, "--budget takes a number, not '%s'", budget);
	if (budget)
		doc_add_int(&c->a, body, "budget", n);
	return rest_object(c, "POST", rest_path(c, e, path, c->args[0]), body, e);
}

int cmd_rollout_resume(struct ctx *c, struct err *e)
{
	return verb_budget(c, API "/rollouts/%s/resume", e);
}

int cmd_rollout_retry(struct ctx *c, struct err *e)
{
	return verb_budget(c, API "/rollouts/%s/retry", e);
}

int cmd_rollout_next(struct ctx *c, struct err *e)
{
	return verb(c, API "/rollouts/%s/next", e);
}

int cmd_rollout_approve(struct ctx *c, struct err *e)
{
	return verb(c, API "/rollouts/%s/approve", e);
}

int cmd_rollout_deny(struct ctx *c, struct err *e)
{
	return verb(c, API "/rollouts/%s/deny", e);
}

int cmd_rollout_abort(struct ctx *c, struct err *e)
{
	return verb(c, API "/rollouts/%s/abort", e);
}

static int64_t counter(const struct doc *r, const char *name)
{
	const struct doc *d = doc_get(doc_get(r, "counters"), name);

	return d && d->type == DOC_INT ? d->v.i : 0;
}

static void show_bar(struct ctx *c, const struct doc *r)
{
	static const char fill[] = "########################################";
	int64_t total = counter(r, "total"), done = counter(r, "ended");
	int n = total > 0 ? (int)(done * 40 / total) : 0;

	fprintf(stderr,
		"\r%s [%-40.*s] %lld of %lld, %lld succeeded, %lld in flight, %lld failed  ",
		write_value(&c->a, r, "state"), n, fill, (long long)done, (long long)total,
		(long long)counter(r, "succeeded"), (long long)counter(r, "in_flight"),
		(long long)counter(r, "failed"));
}

/* Until it is finished, aborted or paused; exit 0 only when finished. */
int cmd_rollout_watch(struct ctx *c, struct err *e)
{
	const char *path = rest_path(c, e, API "/rollouts/%s", c->args[0]);
	bool bar = c->tty && isatty(STDERR_FILENO) == 1;

	for (;;) {
		const struct doc *r = rest_get(c, "GET", path, NULL, e);
		const char *state = write_value(&c->a, r, "state");

		if (!r)
			return -1;
		if (bar)
			show_bar(c, r);
		if (strcmp(state, "finished") == 0 || strcmp(state, "aborted") == 0 ||
		    strcmp(state, "paused") == 0) {
			int code;

			if (bar)
				fprintf(stderr, "\n");
			code = write_object(c, r, e);
			if (code != EXIT_DONE || strcmp(state, "finished") == 0)
				return code;
			return err_set(e, ERR_CONFLICT, "rollout is %s: %s", state,
				       write_value(&c->a, r, "reason"));
		}
		arena_reset(&c->a);
		path = rest_path(c, e, API "/rollouts/%s", c->args[0]);
		rest_for(WATCH_INTERVAL_NS);
	}
}

/* ---- jobs ---- */

int cmd_job_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },		  { "kind", "KIND" },
		{ "state", "STATE" },	  { "done", "DONE" },
		{ "total", "TOTAL" },	  { "by", "BY" },
		{ "created", "CREATED" }, { 0 },
	};

	return rest_list(c, API "/jobs", columns, e);
}

int cmd_job_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/jobs/%s", c->args[0]), NULL, e);
}

int cmd_job_cancel(struct ctx *c, struct err *e)
{
	return rest_object(c, "POST", rest_path(c, e, API "/jobs/%s/cancel", c->args[0]), NULL, e);
}
