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
	int found = store_update_latest(tk->st, d->dev, &last, e);

	if (found > 0)
		return say(g, false, &last, "");
	g->name = "update";
	g->open = false;
	cause_format(g->value, sizeof(g->value), "none is planned");
	return found < 0 ? -1 : 1;
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
	/* what runs has passed its gates */
	int n = update_state_in_flight(u.state) ? 0 : gates_list(&g, out + 1, GATES_MAX - 2, e);
	int calls = n < 0 ? -1 : call_why(tk, d, out[n + 1].value, e);
	if (calls < 0)
		return -1;
	out[n + 1].name = "call";
	out[n + 1].open = true;
	return n + 1 + calls;
}
