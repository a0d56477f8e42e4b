/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "tracker/filter.h"
#include "tracker/internal.h"

#define CANARY "canary" /* the tag */

/* What an operator asks for, before anything is written. */

int pause_at_parse(const char *text, int64_t n[FAILURE_COUNT], struct err *e)
{
	char copy[PAUSE_AT_TEXT], *save = NULL;
	enum failure f;

	for (int i = 0; i < FAILURE_COUNT; i++)
		n[i] = 0;
	if (text_copy(copy, sizeof(copy), text) < 0)
		return err_set(e, ERR_INVALID, "pause_at: too long");
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *equals = strchr(w, '=');

		if (equals)
			*equals++ = '\0';
		if (failure_parse(w, &f) < 0 || f == FAILURE_NONE)
			return err_set(e, ERR_INVALID, "pause_at: no failure is called %s", w);
		if (!equals || text_i64(slice_str(equals), &n[f]) < 0 || n[f] < 1)
			return err_set(e, ERR_INVALID, "pause_at: %s=N, with N from 1", w);
	}
	return 0;
}

#define NUMBER(name, member, most)                                  \
	{                                                           \
		name, offsetof(struct rollout_limits, member), most \
	}

const struct rollout_number rollout_numbers[ROLLOUT_NUMBERS] = {
	NUMBER("per_minute", per_minute, INT32_MAX),
	NUMBER("max_in_flight", max_in_flight, INT32_MAX),
	NUMBER("per_link", link_in_flight, INT32_MAX),
	NUMBER("bytes_per_s", bytes_per_s, INT64_MAX),
	NUMBER("link_bytes_per_s", link_bytes_per_s, INT64_MAX),
};

int64_t rollout_number(const struct rollout_limits *l, unsigned i)
{
	int64_t v;

	memcpy(&v, (const char *)l + rollout_numbers[i].at, sizeof(v));
	return v;
}

void rollout_number_set(struct rollout_limits *l, unsigned i, int64_t v)
{
	memcpy((char *)l + rollout_numbers[i].at, &v, sizeof(v));
}

static int check_limits(const struct rollout_limits *l, struct err *e)
{
	int64_t at[FAILURE_COUNT];

	for (unsigned i = 0; i < ROLLOUT_NUMBERS; i++)
		if (rollout_number(l, i) < 0)
			return err_set(e, ERR_INVALID, "%s: must not be negative",
				       rollout_numbers[i].name);
	if ((unsigned)l->order >= ORDER_COUNT)
		return err_set(e, ERR_INVALID, "order: any, leaf-first or core-first");
	return pause_at_parse(l->pause_at, at, e);
}

/*
 * Phases open one after the other: whoever joins now joins the open one, and counts there
 * even when it ends late. The last phase takes all that is left, whatever its size says.
 */
static int check_phase(const struct phase *p, int number, bool last, struct err *e)
{
	int ways = (p->percent > 0) + (p->count > 0) + (p->filter[0] != '\0');

	if (p->percent < 0 || p->percent > 100 || p->count < 0 || p->soak_s < 0 ||
	    p->timeout_s < 0 || p->success_percent < 0 || p->success_percent > 100 ||
	    p->soak_s > POLICY_SECONDS_MAX || p->timeout_s > POLICY_SECONDS_MAX ||
	    p->not_before < 0)
		return err_set(e, ERR_INVALID, "phase %d: a value is out of its range", number);
	if (ways > 1)
		return err_set(e, ERR_INVALID, "phase %d: percent, count or filter, one of them",
			       number);
	if (!last && ways == 0)
		return err_set(e, ERR_INVALID, "phase %d: percent, count or filter is missing",
			       number);
	return 0;
}

/* Each takes its part of all devices, and the last what is left: they cannot be more than all. */
static int check_percents(const struct phase *p, int n, struct err *e)
{
	int64_t sum = 0;

	for (int i = 0; i < n - 1; i++)
		sum += p[i].percent;
	if (sum <= 100)
		return 0;
	return err_set(e, ERR_INVALID, "phases: those before the last are %" PRId64 " percent",
		       sum);
}

static int parse_phases(struct tracker *tk, const struct phase *p, int n, struct plan_filters *f,
			struct err *e)
{
	for (int i = 0; i < n; i++) {
		struct filter *one;

		if (!p[i].filter[0])
			continue;
		if (filter_parse(p[i].filter, tk->a, &one, e) < 0)
			return err_prefix(e, "phase %d", i + 1);
		f->phase[i] = one;
		f->any = true;
	}
	f->n_phases = n;
	return 0;
}

static int parse_all(struct tracker *tk, const char *target, const struct phase *p, int n,
		     struct plan_filters *out, struct err *e)
{
	struct filter *f;

	*out = (struct plan_filters){ .n_phases = n };
	if (filter_parse(target, tk->a, &f, e) < 0)
		return err_prefix(e, "target");
	out->target = f;
	return parse_phases(tk, p, n, out, e);
}

int spec_filters(struct tracker *tk, const struct rollout *r, struct plan_filters *f, struct err *e)
{
	struct phase p[PHASES_MAX];
	int n = store_phase_list(tk->st, r->id, p, PHASES_MAX, e);

	return n < 0 ? -1 : parse_all(tk, r->target, p, n, f, e);
}

/* All filters make one statement: what is too much for it is refused now, not by the job. */
static int try_filters(struct tracker *tk, const struct plan_filters *f, struct err *e)
{
	int64_t expected[PHASES_MAX] = { 0 }, cursor = 0;
	bool done;

	return f->any ? store_plan_count(tk->st, f, &cursor, 1, expected, &done, e) : 0;
}

int spec_check(struct tracker *tk, const struct rollout_spec *s, struct plan_filters *f,
	       struct err *e)
{
	if (!name_valid(slice_str(s->name)))
		return err_set(e, ERR_INVALID, "name: 1 to 64 of letters, digits, . _ : + -");
	if (name_is_number(slice_str(s->name)))
		return err_set(e, ERR_INVALID,
			       "name: digits alone are a number: it needs a letter");
	if (s->budget < -1)
		return err_set(e, ERR_INVALID, "budget: must not be negative");
	if (s->in_flight < 0)
		return err_set(e, ERR_INVALID, "in_flight: must not be negative");
	if (s->n_phases < 0 || s->n_phases > PHASES_MAX)
		return err_set(e, ERR_INVALID, "a rollout has at most %d phases", PHASES_MAX);
	for (int i = 0; i < s->n_phases; i++)
		if (check_phase(&s->phases[i], i + 1, i == s->n_phases - 1, e) < 0)
			return -1;
	if (check_percents(s->phases, s->n_phases, e) < 0 || check_limits(&s->limits, e) < 0 ||
	    parse_all(tk, s->target, s->phases, s->n_phases, f, e) < 0)
		return -1;
	return try_filters(tk, f, e) < 0 ? -1 : 0;
}

int rollout_check_spec(struct tracker *tk, const struct rollout_spec *s, struct err *e)
{
	struct plan_filters f;

	return spec_check(tk, s, &f, e);
}

/*
 * Canary first: who carries the tag comes before the others, where nothing else is said. A
 * fleet that has no canaries has one phase.
 */
int spec_default_phases(struct tracker *tk, const struct rollout_spec *s,
			struct phase out[PHASES_MAX], struct err *e)
{
	int canaries = s->no_canary ? 0 : store_canary_used(tk->st, e);

	if (canaries > 0)
		text_copy(out[0].filter, FILTER_TEXT, "tag == " CANARY);
	out[canaries > 0].percent = 100;
	return canaries < 0 ? -1 : canaries + 1;
}
