/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

/* What makes a rollout, read from a document and written into one. */

static void read_time(struct doc_reader *r, const char *key, int64_t *out)
{
	char text[TEXT_TIME_SIZE + 8] = "";

	if (!doc_opt_text(r, key, text, sizeof(text)))
		return;
	if (text_untime(slice_str(text), out) != 0 || *out <= 0) {
		err_set(r->e, ERR_INVALID, "%s: a time as 2026-03-01T08:00:00Z", key);
		r->failed = true;
	}
}

static int read_phase(const struct doc *d, struct phase *p, struct err *e)
{
	static const char *const members[] = { "percent",	  "count",  "filter",
					       "success_percent", "soak_s", "timeout_s",
					       "not_before",	  NULL };
	struct doc_reader r;

	doc_read_init(&r, d, e);
	doc_only(&r, members);
	doc_opt_int(&r, "percent", 1, 100, &p->percent);
	doc_opt_int(&r, "count", 1, INT32_MAX, &p->count);
	doc_opt_text(&r, "filter", p->filter, sizeof(p->filter));
	doc_opt_int(&r, "success_percent", 0, 100, &p->success_percent);
	doc_opt_int(&r, "soak_s", 0, 366 * 86400, &p->soak_s);
	doc_opt_int(&r, "timeout_s", 0, 366 * 86400, &p->timeout_s);
	read_time(&r, "not_before", &p->not_before);
	return doc_read_end(&r);
}

static int read_phases(struct doc_reader *r, struct rollout_spec *s)
{
	const struct doc *list = doc_opt_array(r, "phases");

	if (!list)
		return r->failed ? -1 : 0;
	for (const struct doc *d = list->v.c.first; d; d = d->next) {
		if (s->n_phases == PHASES_MAX)
			return err_set(r->e, ERR_INVALID, "phases: more than %d", PHASES_MAX);
		if (read_phase(d, &s->phases[s->n_phases], r->e) != 0)
			return err_prefix(r->e, "phases[%d]", s->n_phases);
		s->n_phases++;
	}
	return 0;
}

static void read_order(struct doc_reader *r, enum update_order *out)
{
	char text[16] = "";

	if (doc_opt_text(r, "order", text, sizeof(text)) && update_order_parse(text, out) != 0) {
		err_set(r->e, ERR_INVALID, "order: any, leaf-first or core-first");
		r->failed = true;
	}
}

/* {"digest": 3}: kept as the words "digest=3". What a class may be called the tracker checks. */
static void read_pause_at(struct doc_reader *r, char out[PAUSE_AT_TEXT])
{
	const struct doc *map = doc_opt_map(r, "pause_at");
	char word[PAUSE_AT_TEXT];

	for (const struct doc *m = map ? map->v.c.first : NULL; m && !r->failed; m = m->next) {
		bool fits =
			m->type == DOC_INT &&
			text_format(word, sizeof(word), "%s%s%.*s=%" PRId64, out, out[0] ? " " : "",
				    (int)m->key.n, (const char *)m->key.p, m->v.i) == 0 &&
			text_copy(out, PAUSE_AT_TEXT, word) == 0;

		if (!fits) {
			err_set(r->e, ERR_INVALID, "pause_at: a number of failures for each class");
			r->failed = true;
		}
	}
}

static void read_limits(struct doc_reader *r, struct rollout_limits *l)
{
	for (unsigned i = 0; i < ROLLOUT_NUMBERS; i++) {
		const struct rollout_number *n = &rollout_numbers[i];
		int64_t v = 0;

		if (doc_opt_int(r, n->name, 1, n->most, &v))
			rollout_number_set(l, i, v);
	}
	doc_opt_bool(r, "focus", &l->focus);
	doc_opt_bool(r, "force", &l->force);
	read_order(r, &l->order);
	read_pause_at(r, l->pause_at);
}

int rollout_read_spec(const struct doc *body, struct rollout_spec *s, struct err *e)
{
	static const char *const members[] = {
		"name",	      "release",     "target",		 "budget",
		"in_flight",  "phases",	     "per_minute",	 "max_in_flight",
		"per_link",   "bytes_per_s", "link_bytes_per_s", "order",
		"focus",      "force",	     "pause_at",	 "canary",
		"auto_start", NULL
	};
	struct doc_reader r;
	bool canary = true;

	memset(s, 0, sizeof(*s));
	s->budget = -1;
	doc_read_init(&r, body, e);
	doc_only(&r, members);
	doc_opt_text(&r, "name", s->name, sizeof(s->name));
	doc_need_text(&r, "target", s->target, sizeof(s->target));
	doc_opt_int(&r, "budget", 0, INT32_MAX, &s->budget);
	doc_opt_int(&r, "in_flight", 0, INT32_MAX, &s->in_flight);
	doc_opt_bool(&r, "canary", &canary);
	doc_opt_bool(&r, "auto_start", &s->auto_start);
	read_limits(&r, &s->limits);
	s->no_canary = !canary;
	if (read_phases(&r, s) != 0)
		return -1;
	return doc_read_end(&r);
}

static void put_pause_at(struct arena *a, struct doc *d, const char *text)
{
	struct doc *map = doc_map(a, d, "pause_at");
	int64_t at[FAILURE_COUNT];

	if (pause_at_parse(text, at, NULL) != 0)
		return;
	for (int f = 0; f < FAILURE_COUNT; f++)
		if (at[f] > 0)
			doc_add_int(a, map, failure_word((enum failure)f), at[f]);
}

void rollout_put_limits(struct arena *a, struct doc *d, const struct rollout_limits *l)
{
	for (unsigned i = 0; i < ROLLOUT_NUMBERS; i++) {
		int64_t v = rollout_number(l, i);

		if (v > 0)
			doc_add_int(a, d, rollout_numbers[i].name, v);
		else
			doc_add_null(a, d, rollout_numbers[i].name);
	}
	doc_add_text(a, d, "order", update_order_word(l->order));
	doc_add_bool(a, d, "focus", l->focus);
	doc_add_bool(a, d, "force", l->force);
	put_pause_at(a, d, l->pause_at);
}
