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

int why_device(struct tracker *tk, const struct device *d, struct gate out[GATES_MAX],
	       struct err *e)
{
	struct device_live live;
	struct update u;

	int found = store_update_open(tk->st, d->dev, &u, e);
	if (found <= 0)
		return found < 0 ? -1 : nothing(tk, d, out, e);
	struct look g = { .tk = tk, .d = d, .live = &live, .u = &u, .looking = true };
	if (registry_live(tk, d->dev, &live, e) < 0 || gates_load(&g, e) < 0)
		return -1;
	say(&out[0], true, &u, g.rollout.name);
	int told = say_standing(tk, &g, &out[1], e);
	if (told < 0)
		return -1;
	/* what runs has passed its gates */
	int n = 0;
	if (!update_state_in_flight(u.state))
		n = gates_list(&g, out + 1 + told, GATES_MAX - 2 - told, e);
	struct gate *call = n < 0 ? NULL : &out[1 + told + n];
	int calls = call ? call_why(tk, d, call->value, e) : -1;
	if (calls < 0)
		return -1;
	call->name = "call";
	call->open = true;
	return 1 + told + n + calls;
}
