/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "tracker/internal.h"

/* A step makes at most this many effects. */
#define STEP_EFFECTS 128

static const struct job_kind kinds[] = {
	{ "rollout-create", rollout_create_step }, { "rollout-notify", rollout_notify_step },
	{ "rollout-abort", rollout_cancel_step },  { "release-withdraw", release_withdraw_step },
	{ "anchor-revoke", anchor_revoke_step },
};

static const struct job_kind *kind_of(const struct job *j)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].kind, j->kind) == 0)
			return &kinds[i];
	return NULL;
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

static int end(struct tracker *tk, struct job *j, enum job_state s, struct err *e)
{
	j->state = s;
	j->finished = tk->now.wall;
	return store_job_put(tk->st, j, e);
}

/* The database's troubles pass, or stop the daemon; the job goes on after them. */
static bool temporary(enum err_code code)
{
	return code >= ERR_BUSY;
}

/* Steps until the time is up, there is no room for effects, or the job has ended. */
static enum step work(struct tracker *tk, const struct job_kind *k, struct job *j,
		      int64_t budget_us, struct err *e)
{
	int64_t until = clock_mono_us() + budget_us;
	enum step s;

	do {
		s = k->step(tk, j, e);
	} while (s == STEP_MORE && effects_room(tk->fx) >= STEP_EFFECTS && clock_mono_us() < until);
	return s;
}

int jobs_slice(struct tracker *tk, int64_t budget_us, struct err *e)
{
	struct err why = { .code = ERR_NONE };
	const char *caller = tk->who;
	struct job j;

	int found = store_job_next(tk->st, &j, e);
	if (found <= 0)
		return found;
	const struct job_kind *k = kind_of(&j);
	if (!k) {
		cause_copy(j.result, sizeof(j.result), "this version knows no such kind of job");
		return end(tk, &j, JOB_FAILED, e) < 0 ? -1 : 1;
	}
	tk->who = j.by[0] ? j.by : "system";
	enum step s = work(tk, k, &j, budget_us, &why);
	tk->who = caller;
	if (s == STEP_ERROR && temporary(why.code)) {
		if (e)
			*e = why;
		return -1;
	}
	if (s == STEP_ERROR)
		cause_copy(j.result, sizeof(j.result), why.text);
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
	/* half-withdrawn trust would be worse than a long job */
	if (strcmp(j.kind, "anchor-revoke") == 0 || strcmp(j.kind, "release-withdraw") == 0)
		return err_set(e, ERR_CONFLICT, "job %" PRId64 ": %s is always carried through", id,
			       j.kind);
	text_format(object, sizeof(object), "%" PRId64, id);
	if (end(tk, &j, JOB_CANCELLED, e) < 0)
		return -1;
	return audit_note(tk, "job.cancel", object, e, "%s", j.kind);
}
