/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "service/svc.h"

/* Verbs of a rollout: what they may be told besides the rollout, and its new state as answer. */

struct verb {
	struct rollout r;
	char reason[REASON_TEXT];
	bool force;
	int64_t budget; /* -1: not said */
};

/* Members: "reason", and those named. If-Match is held against the rollout's version. */
static int verb_begin(struct call *c, struct verb *v, const char *member, struct err *e)
{
	const char *const members[] = { "reason", member, NULL };
	struct doc_reader rd;
	bool fresh;

	memset(v, 0, sizeof(*v));
	v->budget = -1;
	if (c->body) {
		doc_read_init(&rd, c->body, e);
		doc_only(&rd, members);
		doc_opt_text(&rd, "reason", v->reason, sizeof(v->reason));
		doc_opt_bool(&rd, "force", &v->force);
		doc_opt_int(&rd, "budget", 0, INT32_MAX, &v->budget);
		if (doc_read_end(&rd) != 0)
			return -1;
	}
	if (rollout_of_call(c, &v->r, e) != 0)
		return -1;
	return etag_check_version(c, "rollout", v->r.id, v->r.etag, &fresh, e);
}

int svc_rollout_start(struct call *c, struct err *e)
{
	struct verb v;

	if (verb_begin(c, &v, NULL, e) || rollout_start(&c->tk, &v.r, e))
		return -1;
	return rollout_reply(c, 200, &v.r, e);
}

int svc_rollout_pause(struct call *c, struct err *e)
{
	struct job job = { 0 };
	struct verb v;

	if (verb_begin(c, &v, "force", e))
		return -1;
	/* with force also one that is paused already */
	if (!(v.force && v.r.state == ROLLOUT_PAUSED) &&
	    rollout_pause(&c->tk, &v.r, v.reason, e) != 0)
		return -1;
	if (v.force && rollout_recall(&c->tk, &v.r, &job, e) != 0)
		return -1;
	return rollout_reply_job(c, &v.r, &job, e);
}

/*
 * More failures than were agreed to take the same agreement as the rollout did. An approver
 * allows them where one is asked for; to go on as it was agreed to is the operators'.
 */
static int agree(struct call *c, struct verb *v, struct err *e)
{
	bool asked = policy_wants_approver(c->tk.policy, v->r.total);

	if (c->who.role == ROLE_APPROVER && (v->budget <= v->r.budget || !asked))
		return err_set(e, ERR_FORBIDDEN,
			       "an approver allows more failures, where policy "
			       "asks for one, and does no more");
	if (v->budget < 0)
		return 0;
	if (asked && policy_check_approver(c->who.role, c->who.name, v->r.by, e) != 0)
		return -1;
	return rollout_raise_budget(&c->tk, &v->r, v->budget, e);
}

int svc_rollout_resume(struct call *c, struct err *e)
{
	struct verb v;

	if (verb_begin(c, &v, "budget", e) || agree(c, &v, e) != 0 ||
	    rollout_resume(&c->tk, &v.r, e))
		return -1;
	return rollout_reply(c, 200, &v.r, e);
}

int svc_rollout_abort(struct call *c, struct err *e)
{
	struct job job = { 0 };
	struct verb v;

	if (verb_begin(c, &v, "force", e))
		return -1;
	int rc = v.force ? rollout_stop(&c->tk, &v.r, v.reason, &job, e)
			 : rollout_abort(&c->tk, &v.r, v.reason, &job, e);
	return rc == 0 ? rollout_reply_job(c, &v.r, &job, e) : -1;
}

int svc_rollout_retry(struct call *c, struct err *e)
{
	struct job job = { 0 };
	struct verb v;

	if (verb_begin(c, &v, "budget", e) || agree(c, &v, e) != 0 ||
	    rollout_retry(&c->tk, &v.r, &job, e))
		return -1;
	return rollout_reply_job(c, &v.r, &job, e);
}

int svc_rollout_next(struct call *c, struct err *e)
{
	struct verb v;

	if (verb_begin(c, &v, NULL, e) || rollout_next(&c->tk, &v.r, e))
		return -1;
	return rollout_reply(c, 200, &v.r, e);
}

int svc_rollout_approve(struct call *c, struct err *e)
{
	struct verb v;

	if (verb_begin(c, &v, NULL, e) ||
	    (v.r.state == ROLLOUT_AWAITING_APPROVAL &&
	     policy_check_approver(c->who.role, c->who.name, v.r.by, e) != 0) ||
	    rollout_approve(&c->tk, &v.r, e))
		return -1;
	return rollout_reply(c, 200, &v.r, e);
}

int svc_rollout_deny(struct call *c, struct err *e)
{
	struct job job = { 0 };
	struct verb v;

	if (verb_begin(c, &v, NULL, e) || rollout_deny(&c->tk, &v.r, v.reason, &job, e))
		return -1;
	return rollout_reply_job(c, &v.r, &job, e);
}

int svc_rollout_why(struct call *c, struct err *e)
{
	struct gate *g = arena_alloc(c->tk.a, sizeof(*g) * GATES_MAX);
	struct arena *a = c->tk.a;
	struct rollout r;

	if (!g)
		return err_set(e, ERR_NO_MEMORY, "no memory for the gates");
	if (rollout_of_call(c, &r, e) != 0)
		return -1;
	int n = why_rollout(&c->tk, &r, g, e);
	if (n < 0)
		return -1;
	struct doc *d = doc_map(a, NULL, NULL);
	doc_add_text(a, d, "rollout", r.name);
	struct doc *list = doc_array(a, d, "gates");
	for (int i = 0; i < n; i++) {
		struct doc *m = doc_map(a, list, NULL);

		doc_add_text(a, m, "gate", g[i].name);
		doc_add_bool(a, m, "open", g[i].open);
		doc_add_text(a, m, "value", g[i].value);
	}
	return reply_doc(c, 200, d, e);
}
