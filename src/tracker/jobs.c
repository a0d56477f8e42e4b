/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "tracker/internal.h"
#include "tracker/outage.h"

/* A step makes at most this many effects. */
#define STEP_EFFECTS 128
#define TRIES_MAX 6
#define RETRY_MS 1000 /* after the first failure; then twice as long each time */

static const struct job_kind kinds[] = {
	{ "rollout-create", rollout_create_step }, { "rollout-notify", rollout_notify_step },
	{ "rollout-abort", rollout_cancel_step },  { "rollout-stop", rollout_stop_step },
	{ "rollout-recall", rollout_recall_step }, { "rollout-retry", rollout_retry_step },
	{ "rollout-silent", rollout_silent_step }, { "release-withdraw", release_withdraw_step },
	{ "anchor-revoke", anchor_revoke_step },   { "outage", outage_step },
	{ "release-policy", release_policy_step },
};

static const struct job_kind *kind_in(const struct job_kind *k, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(k[i].kind, word) == 0)
			return &k[i];
	return NULL;
}

static const struct job_kind *kind_of(const struct tracker *tk, const struct job *j)
{
	const struct job_kind *k = kind_in(kinds, sizeof(kinds) / sizeof(kinds[0]), j->kind);

	return k ? k : kind_in(tk->kinds, tk->n_kinds, j->kind);
}

/*
 * Half-withdrawn trust would be worse than a long job; what half an abort leaves planned would
 * wait for ever, and so would who waits to be called, or until all below it are told.
 */
static bool carried_through(const struct job *j)
{
	static const char *const kept[] = { "anchor-revoke", "release-withdraw", "rollout-abort",
					    "rollout-notify", "outage" };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(j->kind, kept[i]) == 0)
			return true;
	return false;
}

int job_start(struct tracker *tk, const char *kind, int64_t ref, struct job *out, struct err *e)
{
	struct job j = { .ref = ref, .state = JOB_RUNNING, .created = tk->now.wall };

	text_copy(j.kind, sizeof(j.kind), kind);
	cause_copy(j.by, sizeof(j.by), tk->who);
	if (store_job_add(tk->st, &j, e) < 0)
		return -1;
	effects_wake(tk->fx);
	*out = j;
	return 0;
}

/* Some devices were planned, others not: what nobody asked for may not start. */
static int rollout_half_planned(struct tracker *tk, const struct job *j, struct err *e)
{
	char reason[REASON_TEXT];
	struct rollout r;
	struct job job;
	int found = store_rollout_get(tk->st, j->ref, &r, e);

	if (found <= 0 || r.state != ROLLOUT_CREATING)
		return found < 0 ? -1 : 0;
	if (j->state == JOB_CANCELLED)
		cause_format(reason, sizeof(reason),
			     "job %" PRId64 ", which plans it, was cancelled", j->id);
	else
		cause_format(reason, sizeof(reason), "job %" PRId64 ", which plans it, failed: %s",
			     j->id, j->result);
	return rollout_abort(tk, &r, reason, &job, e);
}

/* It was to go on with those that are tried again: without any it is over as it was. */
static int rollout_none_tried(struct tracker *tk, const struct job *j, struct err *e)
{
	struct rollout r;
	int found = store_rollout_get(tk->st, j->ref, &r, e);

	if (found <= 0 || r.state != ROLLOUT_RUNNING || r.ended != r.total)
		return found < 0 ? -1 : 0;
	return rollout_set_state(tk, &r, ROLLOUT_FINISHED, "", e);
}

static int end(struct tracker *tk, struct job *j, enum job_state s, struct err *e)
{
	j->state = s;
	j->finished = tk->now.wall;
	if (s != JOB_DONE && strcmp(j->kind, "rollout-create") == 0 &&
	    rollout_half_planned(tk, j, e) < 0)
		return -1;
	if (s != JOB_DONE && strcmp(j->kind, "rollout-retry") == 0 &&
	    rollout_none_tried(tk, j, e) < 0)
		return -1;
	return store_job_put(tk->st, j, e) < 0 ? -1 : store_job_input_done(tk->st, j->id, e);
}

/* The disk's troubles pass, or stop the daemon; every job goes on after them. */
static bool of_the_disk(enum err_code code)
{
	return code == ERR_FULL || code == ERR_IO;
}

/* Whether trying again may help; what the input or the state forbids stays forbidden. */
static bool may_pass(enum err_code code)
{
	return code >= ERR_BUSY;
}

/* Steps until the time is up, there is no room for effects or little memory, or it has ended. */
static enum step work(struct tracker *tk, const struct job_kind *k, struct job *j,
		      int64_t budget_us, struct err *e)
{
	int64_t until = clock_mono_us() + budget_us;
	enum step s;

	do {
		s = k->step(tk, j, e);
	} while (s == STEP_MORE && effects_room(tk->fx) >= STEP_EFFECTS &&
		 !(tk->a && arena_half(tk->a)) && clock_mono_us() < until);
	return s;
}

/* A slice is kept whole or not at all: the job's row says how far it came. */
static enum step slice(struct tracker *tk, const struct job_kind *k, struct job *j,
		       int64_t budget_us, struct err *why)
{
	unsigned effects = tk->fx ? tk->fx->n : 0;
	const struct job before = *j;
	const char *caller = tk->who;
	struct err e = { 0 };

	store_handler_begin(tk->st);
	tk->who = j->by[0] ? j->by : "system";
	enum step s = work(tk, k, j, budget_us, why);
	tk->who = caller;
	if (store_handler_end(tk->st, s != STEP_ERROR, &e) != 0) {
		*why = e;
		s = STEP_ERROR;
	}
	if (s == STEP_ERROR) {
		*j = before;
		if (tk->fx)
			tk->fx->n = effects;
	}
	return s;
}

/* Later, so that a job that cannot go on keeps nobody back; at last it has failed. */
static int try_later(struct tracker *tk, struct job *j, const struct err *why, struct err *e)
{
	int64_t doublings = j->tries < TRIES_MAX ? j->tries : TRIES_MAX;

	j->tries++;
	log_warn("job=%" PRId64 " kind=%s try=%" PRId64 " cause=\"%s\"", j->id, j->kind, j->tries,
		 log_safe(why->text));
	if (j->tries >= TRIES_MAX && !carried_through(j)) {
		cause_copy(j->result, sizeof(j->result), why->text);
		return end(tk, j, JOB_FAILED, e);
	}
	j->due = tk->now.track + (RETRY_MS << doublings);
	return store_job_put(tk->st, j, e);
}

int jobs_slice(struct tracker *tk, int64_t budget_us, struct err *e)
{
	struct err why = { .code = ERR_NONE };
	struct job j;

	int found = store_job_next(tk->st, tk->now.track, &j, e);
	if (found <= 0)
		return found;
	const struct job_kind *k = kind_of(tk, &j);
	if (!k) {
		cause_copy(j.result, sizeof(j.result), "this version knows no such kind of job");
		return end(tk, &j, JOB_FAILED, e) < 0 ? -1 : 1;
	}
	unsigned effects = tk->fx ? tk->fx->n : 0;
	enum step s = slice(tk, k, &j, budget_us, &why);
	if (s == STEP_ERROR && (of_the_disk(why.code) || store_batch_broken(tk->st))) {
		if (e)
			*e = why;
		return -1;
	}
	if (s == STEP_ERROR && may_pass(why.code))
		return try_later(tk, &j, &why, e) < 0 ? -1 : 1;
	if (s == STEP_ERROR)
		cause_copy(j.result, sizeof(j.result), why.text);
	j.tries = j.due = 0;
	/* nothing but hints follows from it yet: if it is lost, the job is as far as before it */
	if (s == STEP_MORE && (!tk->fx || effects_are_hints(tk->fx, effects)))
		store_batch_may_wait(tk->st);
	if (s == STEP_MORE)
		return store_job_put(tk->st, &j, e) < 0 ? -1 : 1;
	return end(tk, &j, s == STEP_DONE ? JOB_DONE : JOB_FAILED, e) < 0 ? -1 : 1;
}

int job_cancel(struct tracker *tk, int64_t id, struct err *e)
{
	struct job j;
	char object[32];

	int found = store_job_get(tk->st, id, &j, e);
	if (found <= 0)
		return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "there is no job %" PRId64, id);
	if (j.state != JOB_RUNNING)
		return err_set(e, ERR_CONFLICT, "job %" PRId64 " is %s", id,
			       job_state_word(j.state));
	if (carried_through(&j))
		return err_set(e, ERR_CONFLICT, "job %" PRId64 ": %s is always carried through", id,
			       j.kind);
	text_format(object, sizeof(object), "%" PRId64, id);
	if (end(tk, &j, JOB_CANCELLED, e) < 0)
		return -1;
	return audit_note(tk, "job.cancel", object, e, "%s", j.kind);
}
