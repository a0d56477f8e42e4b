/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "tracker/internal.h"
#include "tracker/pace.h"

/*
 * What holds a rollout as a whole, in the order in which a device's gates come (behaviour.md
 * 7). What only a device can tell (its floor, its word, its windows) is why_device's.
 */
struct rollout_row {
	const char *name;
	int (*look)(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		    struct err *e);
};

static int row_verification(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
			    struct err *e)
{
	struct err why = { .code = ERR_NONE };
	struct release rel;
	int found = store_release_get(tk->st, r->release, &rel, e);

	if (found <= 0) {
		cause_format(value, REASON_TEXT, "its release is gone");
		return found;
	}
	bool good = release_offerable(tk, &rel, &why);
	cause_format(value, REASON_TEXT, "release %s%s%s", rel.name, good ? "" : ": ",
		     good ? "" : why.text);
	return good;
}

static int row_state(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		     struct err *e)
{
	(void)tk;
	(void)e;
	cause_format(value, REASON_TEXT, "%s%s%s", rollout_state_word(r->state),
		     r->reason[0] ? ": " : "", r->reason);
	return r->state == ROLLOUT_RUNNING;
}

static int row_phase(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		     struct err *e)
{
	return phase_describe(tk, r, value, e);
}

/* What the open phase waits for. */
static int row_success(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		       struct err *e)
{
	struct phase p[PHASES_MAX];
	int n = store_phase_list(tk->st, r->id, p, PHASES_MAX, e);

	cause_format(value, REASON_TEXT, "no phases");
	if (n < 0 || r->phase < 1 || r->phase > n)
		return n < 0 ? -1 : 1;
	const struct phase *now = &p[r->phase - 1];
	char timeout[40] = "no timeout";
	if (now->timeout_s > 0)
		cause_format(timeout, sizeof(timeout), "timeout %" PRId64 " s", now->timeout_s);
	int64_t wanted = phase_wanted_percent(now);
	cause_format(value, REASON_TEXT,
		     "%" PRId64 " of %" PRId64 " succeeded, %" PRId64 " %% are asked for; %" PRId64
		     " not done, %" PRId64 " failed; soak %" PRId64 " s, %s",
		     now->succeeded, now->total, wanted, now->total - now->done, now->failed,
		     now->soak_s, timeout);
	return 1;
}

static int row_failures(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
			struct err *e)
{
	int64_t n[FAILURE_COUNT], at[FAILURE_COUNT];
	char text[REASON_TEXT] = "";
	bool open = true;

	if (store_rollout_failures(tk->st, r->id, n, e) < 0 ||
	    pause_at_parse(r->limits.pause_at, at, e) < 0)
		return -1;
	for (int f = 0; f < FAILURE_COUNT; f++) {
		char limit[32] = "";

		if (n[f] == 0 && at[f] == 0)
			continue;
		if (at[f] > 0)
			cause_format(limit, sizeof(limit), " (%" PRId64 " pause it)", at[f]);
		cause_format(value, REASON_TEXT, "%s%s%" PRId64 " %s%s", text, text[0] ? ", " : "",
			     n[f], failure_word((enum failure)f), limit);
		cause_copy(text, sizeof(text), value);
		open = open && (at[f] == 0 || n[f] < at[f]);
	}
	if (!text[0])
		cause_format(value, REASON_TEXT, "none");
	return open;
}

static int row_budget(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		      struct err *e)
{
	(void)tk;
	(void)e;
	return budget_describe(r, value);
}

static int row_links(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		     struct err *e)
{
	const struct rollout_limits *l = &r->limits;

	(void)tk;
	(void)e;
	if (!l->focus && l->link_in_flight == 0 && l->link_bytes_per_s == 0)
		cause_format(value, REASON_TEXT, "no limit");
	else
		cause_format(value, REASON_TEXT,
			     "below one parent %" PRId64 " in flight%s, %" PRId64
			     " bytes a second (0: no limit)",
			     l->focus ? 1 : l->link_in_flight, l->focus ? ", focused" : "",
			     l->link_bytes_per_s);
	return 1;
}

static int row_pace(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		    struct err *e)
{
	const struct rollout_limits *l = &r->limits;
	int64_t count = l->per_minute > 0 ? pace_wait_ms(r->pace_tat, tk->now.track) : 0;
	int64_t bytes = l->bytes_per_s > 0 ? pace_wait_ms(r->bytes_tat, tk->now.track) : 0;
	bool full = l->max_in_flight > 0 && r->in_flight >= l->max_in_flight;

	(void)e;
	if (l->per_minute == 0 && l->bytes_per_s == 0 && l->max_in_flight == 0) {
		cause_format(value, REASON_TEXT, "no limit");
		return 1;
	}
	cause_format(value, REASON_TEXT,
		     "%" PRId64 " a minute, %" PRId64 " bytes a second, %" PRId64 " of %" PRId64
		     " in flight (0: no limit); the next in %" PRId64 " ms",
		     l->per_minute, l->bytes_per_s, r->in_flight, l->max_in_flight,
		     count > bytes ? count : bytes);
	return count == 0 && bytes == 0 && !full;
}

static int row_order(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		     struct err *e)
{
	(void)tk;
	(void)e;
	cause_format(value, REASON_TEXT, "%s", update_order_word(r->limits.order));
	return 1;
}

static const struct rollout_row rows[] = {
	{ "verification", row_verification },
	{ "rollout", row_state },
	{ "phase", row_phase },
	{ "success", row_success },
	{ "failures", row_failures },
	{ "budget", row_budget },
	{ "links", row_links },
	{ "pace", row_pace },
	{ "order", row_order },
};

int why_rollout(struct tracker *tk, const struct rollout *r, struct gate out[GATES_MAX],
		struct err *e)
{
	int n = (int)(sizeof(rows) / sizeof(rows[0]));

	for (int i = 0; i < n; i++) {
		int open = rows[i].look(tk, r, out[i].value, e);

		if (open < 0)
			return -1;
		out[i].name = rows[i].name;
		out[i].open = open > 0;
	}
	return n;
}
