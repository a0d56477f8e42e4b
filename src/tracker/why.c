/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "tracker/calls.h"
#include "tracker/internal.h"

static int say(struct gate *g, bool open, const struct update *u, const char *rollout)
{
	g->name = "update";
	g->open = open;
	cause_format(g->value, sizeof(g->value), "update %" PRId64 "%s%s is %s, attempt %u%s%s",
		     u->id, rollout[0] ? " of rollout " : "", rollout, update_state_word(u->state),
		     u->attempt, u->reason[0] ? ": " : "", u->reason);
	return 1;
}

/* What keeps it from logging in, whatever waits for it. NULL: nothing. */
static const char *locked_out(struct tracker *tk, const struct device *d, int *usable,
			      struct err *e)
{
	*usable = 1;
	if (d->disabled)
		return DISABLED;
	if (d->auth == AUTH_NONE)
		return NULL;
	*usable = store_credential_usable(tk->st, d->dev, tk->now.wall, e);
	return *usable == 0 ? "it has no valid credential and cannot log in: "
			      "fettle device credential add"
			    : NULL;
}

static int nothing(struct tracker *tk, const struct device *d, struct gate *g, struct err *e)
{
	struct update last;

	if (d->held_back) {
		g->name = "enrolment";
		g->open = false;
		cause_format(g->value, sizeof(g->value), "%s", HELD_BACK);
		return 1;
	}
	int found = store_update_latest(tk->st, d->dev, &last, e);

	if (found > 0)
		return say(g, false, &last, "");
	g->name = "update";
	g->open = false;
	cause_format(g->value, sizeof(g->value), "none is planned");
	return found < 0 ? -1 : 1;
}

/* Nobody asked for this one: who sees it should know where it comes from. */
static int say_standing(struct tracker *tk, const struct look *g, struct gate *out, struct err *e)
{
	struct standing t;

	if (g->u->rollout == 0 || g->rollout.standing == 0)
		return 0;
	int found = store_standing_get(tk->st, g->rollout.standing, &t, e);
	if (found < 0)
		return -1;
	out->name = "standing";
	out->open = true;
	cause_format(out->value, sizeof(out->value),
		     "made by standing rollout %s when release %s "
		     "was approved by %s",
		     found > 0 ? t.name : "that is gone", g->release.name, g->release.approved_by);
	return 1;
}

/* ---- several for one device: which one is told of ---- */

/*
 * The one a poll would be answered with, as offer.c goes through them: the first whose gates are
 * open. Where none is, the first that a running rollout wants; else the first. Its place, or -1.
 */
static int pick(struct look *g, struct update queue[QUEUE_MAX], int n, struct err *e)
{
	const struct update *deferred = NULL;
	char value[REASON_TEXT];
	const char *name;
	int wanted = -1;

	for (int i = 0; i < n; i++) {
		*g = (struct look){
			.tk = g->tk, .d = g->d, .live = g->live, .u = &queue[i], .looking = true
		};
		if (gates_load(g, e) < 0)
			return -1;
		if (update_state_in_flight(queue[i].state))
			return i;
		int open =
			offer_kept_back(&queue[i], deferred) ? 0 : gates_pass(g, &name, value, e);
		if (open != 0)
			return open < 0 ? -1 : i;
		if (wanted < 0 && (g->u->rollout == 0 || g->rollout.state == ROLLOUT_RUNNING))
			wanted = i;
		if (queue[i].state == UPDATE_DEFERRED)
			deferred = &queue[i];
	}
	return wanted < 0 ? 0 : wanted;
}

/* The others that wait for their turn. */
static int say_others(struct tracker *tk, const struct update queue[QUEUE_MAX], int n, int picked,
		      struct gate *out, struct err *e)
{
	char text[REASON_TEXT] = "";

	if (n < 2)
		return 0;
	out->name = "others";
	out->open = true;
	for (int i = 0; i < n; i++) {
		struct rollout r = { .name = "" };
		if (i == picked)
			continue;
		if (queue[i].rollout > 0 && store_rollout_get(tk->st, queue[i].rollout, &r, e) < 0)
			return -1;
		cause_format(out->value, sizeof(out->value),
			     "%s%supdate %" PRId64 " of rollout %s (%s) is %s", text,
			     text[0] ? ", " : "", queue[i].id, r.name, rollout_state_word(r.state),
			     update_state_word(queue[i].state));
		cause_copy(text, sizeof(text), out->value);
	}
	return 1;
}

/* ---- what it waits for ---- */

/* What runs has passed its gates: how long it is waited for. */
static int say_patience(const struct look *g, struct gate *out)
{
	int64_t left = (g->u->track_due - g->tk->now.track + 999) / 1000;

	out->name = "timeout";
	out->open = true;
	cause_format(out->value, sizeof(out->value), "in %" PRId64 " s, when nothing is heard",
		     left > 0 ? left : 0);
	return 1;
}

static int say_gates(struct look *g, struct gate *out, int limit, struct err *e)
{
	int usable, n;

	if (update_state_in_flight(g->u->state))
		return say_patience(g, out);
	n = gates_list(g, out, limit, e);
	const char *locked = n < 0 ? NULL : locked_out(g->tk, g->d, &usable, e);
	if (n < 0 || usable < 0)
		return -1;
	if (locked && out[0].open) { /* the first row is enrolment's */
		out[0].open = false;
		cause_format(out[0].value, sizeof(out[0].value), "%s", locked);
	}
	return n;
}

static int say_call(struct tracker *tk, const struct device *d, struct gate *out, struct err *e)
{
	out->name = "call";
	out->open = true;
	return call_why(tk, d, out->value, e);
}

int why_device(struct tracker *tk, const struct device *d, struct gate out[GATES_MAX],
	       struct err *e)
{
	struct device_live live;
	struct update queue[QUEUE_MAX];
	struct look g = { .tk = tk, .d = d, .live = &live };
	int more, total = update_queue(tk, d->dev, queue, e);

	if (total <= 0)
		return total < 0 ? -1 : nothing(tk, d, out, e);
	int picked = registry_live(tk, d->dev, &live, e) < 0 ? -1 : pick(&g, queue, total, e);
	if (picked < 0)
		return -1;
	g = (struct look){ .tk = tk, .d = d, .live = &live, .u = &queue[picked], .looking = true };
	if (gates_load(&g, e) < 0)
		return -1;
	int n = say(&out[0], true, g.u, g.rollout.name);
	if ((more = say_standing(tk, &g, &out[n], e)) < 0)
		return -1;
	n += more;
	if ((more = say_gates(&g, &out[n], GATES_MAX - n - 2, e)) < 0)
		return -1;
	n += more;
	if ((more = say_others(tk, queue, total, picked, &out[n], e)) < 0)
		return -1;
	n += more;
	more = say_call(tk, d, &out[n], e);
	return more < 0 ? -1 : n + more;
}
