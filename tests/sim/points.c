/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "points.h"
#include "tracker/internal.h"
#include "tracker/tracker.h"

enum { BEFORE_RESERVE, AFTER_RESERVE, AFTER_OFFER, AFTER_REPORT, IN_PHASE_CHANGE, IN_ABORT };

static const char *const names[POINTS] = {
	[BEFORE_RESERVE] = "before reserve",   [AFTER_RESERVE] = "after reserve",
	[AFTER_OFFER] = "after offer",	       [AFTER_REPORT] = "after report",
	[IN_PHASE_CHANGE] = "in phase change", [IN_ABORT] = "in abort",
};

static struct {
	int point;
	long passes;
	bool committed, due; /* due: at the next commit */
} armed = { .point = -1 };

const char *point_name(int point)
{
	return names[point];
}

int point_find(const char *name)
{
	for (int i = 0; i < POINTS; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

void points_arm(int point, long passes, bool committed)
{
	armed.point = point;
	armed.passes = passes;
	armed.committed = committed;
	armed.due = false;
}

static void at(int here)
{
	if (here != armed.point || armed.passes-- > 0)
		return;
	armed.due = armed.committed;
	if (!armed.due)
		(void)raise(SIGKILL);
}

int __real_store_batch_commit(struct store *st, struct err *e);
int __wrap_store_batch_commit(struct store *st, struct err *e);
int __wrap_store_batch_commit(struct store *st, struct err *e)
{
	int rc = __real_store_batch_commit(st, e);

	if (rc == 0 && armed.due)
		(void)raise(SIGKILL);
	return rc;
}

int __real_store_rollout_reserve(struct store *st, int64_t id, struct err *e);
int __wrap_store_rollout_reserve(struct store *st, int64_t id, struct err *e);
int __wrap_store_rollout_reserve(struct store *st, int64_t id, struct err *e)
{
	at(BEFORE_RESERVE);
	int got = __real_store_rollout_reserve(st, id, e);
	if (got > 0)
		at(AFTER_RESERVE);
	return got;
}

int __real_update_apply(struct tracker *tk, struct update *u, enum update_event ev, enum failure f,
			const char *cause, struct err *e);
int __wrap_update_apply(struct tracker *tk, struct update *u, enum update_event ev, enum failure f,
			const char *cause, struct err *e);
int __wrap_update_apply(struct tracker *tk, struct update *u, enum update_event ev, enum failure f,
			const char *cause, struct err *e)
{
	int rc = __real_update_apply(tk, u, ev, f, cause, e);

	if (rc == 0 && ev == EVENT_OFFER)
		at(AFTER_OFFER);
	return rc;
}

int __real_report_apply(struct tracker *tk, const struct device *d, const struct report *r,
			struct report_answer *out, struct err *e);
int __wrap_report_apply(struct tracker *tk, const struct device *d, const struct report *r,
			struct report_answer *out, struct err *e);
int __wrap_report_apply(struct tracker *tk, const struct device *d, const struct report *r,
			struct report_answer *out, struct err *e)
{
	int rc = __real_report_apply(tk, d, r, out, e);

	if (rc == 0)
		at(AFTER_REPORT);
	return rc;
}

int __real_store_phase_put(struct store *st, const struct phase *p, struct err *e);
int __wrap_store_phase_put(struct store *st, const struct phase *p, struct err *e);
int __wrap_store_phase_put(struct store *st, const struct phase *p, struct err *e)
{
	int rc = __real_store_phase_put(st, p, e);

	if (p->closed > 0)
		at(IN_PHASE_CHANGE);
	return rc;
}

enum step __real_rollout_cancel_step(struct tracker *tk, struct job *j, struct err *e);
enum step __wrap_rollout_cancel_step(struct tracker *tk, struct job *j, struct err *e);
enum step __wrap_rollout_cancel_step(struct tracker *tk, struct job *j, struct err *e)
{
	enum step s = __real_rollout_cancel_step(tk, j, e);

	at(IN_ABORT);
	return s;
}
