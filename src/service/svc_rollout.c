/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/svc.h"
#include "tracker/filter.h"

/*
 * A scoped asker has to do with the rollouts it made: their target is within its scope. A name may
 * have been given before, with another scope or none: what was made then is not its own.
 */
bool rollout_is_own(const struct call *c, const struct rollout *r)
{
	char bound[FILTER_TEXT], inner[FILTER_TEXT];
	size_t n = strlen(r->target), k;
	struct filter *f;

	if (!c->scope)
		return true;
	if (strcmp(r->by, c->who.name) != 0 ||
	    text_format(bound, sizeof(bound), ") and (%s)", c->who.scope) != 0)
		return false;
	k = strlen(bound);
	if (n < k + 1 || r->target[0] != '(' || strcmp(r->target + n - k, bound) != 0)
		return false;
	/* "(a) or (b) and (scope)" somebody wrote who had none */
	return text_copy_slice(inner, sizeof(inner), slice_of(r->target + 1, n - k - 1)) == 0 &&
	       filter_parse(inner, c->tk.a, &f, NULL) == 0;
}

int rollout_of_text(struct call *c, const char *text, struct rollout *r, struct err *e)
{
	int64_t id;
	int rc = 0;

	if (text_i64(slice_str(text), &id) == 0 && id > 0)
		rc = store_rollout_get(c->tk.st, id, r, e);
	if (rc == 0)
		rc = store_rollout_by_name(c->tk.st, text, r, e);
	if (rc == 1)
		rc = rollout_is_own(c, r);
	return found_or(rc, e, "rollout");
}

int rollout_of_call(struct call *c, struct rollout *r, struct err *e)
{
	char text[NAME_TEXT];

	return hole_text(c, 0, text, sizeof(text), e) == 0 ? rollout_of_text(c, text, r, e) : -1;
}

static void put_counters(struct arena *a, struct doc *d, const struct rollout *r)
{
	doc_add_int(a, d, "total", r->total);
	doc_add_int(a, d, "planned", r->planned);
	doc_add_int(a, d, "in_flight", r->in_flight);
	doc_add_int(a, d, "deferred", r->deferred);
	doc_add_int(a, d, "failed", r->failed);
	doc_add_int(a, d, "succeeded", r->succeeded);
	doc_add_int(a, d, "timed_out", r->timed_out);
	doc_add_int(a, d, "ended", r->ended);
}

static void put_rollout(struct call *c, struct doc *d, const struct rollout *r)
{
	struct arena *a = c->tk.a;
	struct release rel;
	bool named = store_release_get(c->tk.st, r->release, &rel, NULL) == 1;

	doc_add_int(a, d, "id", r->id);
	doc_add_text(a, d, "name", r->name);
	doc_add_text(a, d, "release", named ? rel.name : NULL);
	doc_add_text(a, d, "target", r->target);
	doc_add_text(a, d, "state", rollout_state_word(r->state));
	doc_add_text(a, d, "reason", r->reason[0] ? r->reason : NULL);
	doc_add_text(a, d, "urgency", urgency_word(r->urgency));
	if (r->budget == INT64_MAX) /* as many as targets: not counted yet */
		doc_add_null(a, d, "budget");
	else
		doc_add_int(a, d, "budget", r->budget);
	doc_add_int(a, d, "in_flight_window", r->in_flight_window);
	rollout_put_limits(a, d, &r->limits);
	doc_add_bool(a, d, "auto_start", r->auto_start);
	doc_add_text(a, d, "approved_by", r->approved_by[0] ? r->approved_by : NULL);
	put_counters(a, doc_map(a, d, "counters"), r);
	doc_add_int(a, d, "phase", r->phase);
	doc_add_text(a, d, "by", r->by);
	doc_add_time(a, d, "created", r->created);
	doc_add_time(a, d, "started", r->started);
	doc_add_time(a, d, "finished", r->finished);
}

/* What was asked for. */
static void put_phase_plan(struct arena *a, struct doc *m, const struct phase *p)
{
	doc_add_int(a, m, "number", p->number);
	if (p->percent)
		doc_add_int(a, m, "percent", p->percent);
	if (p->count)
		doc_add_int(a, m, "count", p->count);
	if (p->filter[0])
		doc_add_text(a, m, "filter", p->filter);
	doc_add_int(a, m, "success_percent", phase_wanted_percent(p));
	doc_add_int(a, m, "soak_s", p->soak_s);
	doc_add_int(a, m, "timeout_s", p->timeout_s);
	if (p->not_before)
		doc_add_time(a, m, "not_before", p->not_before);
}

static int put_phases(struct call *c, struct doc *d, int64_t rollout, struct err *e)
{
	struct phase *v = arena_alloc(c->tk.a, sizeof(*v) * PHASES_MAX);
	struct arena *a = c->tk.a;

	if (!v)
		return err_set(e, ERR_NO_MEMORY, "no memory for the phases");
	int n = store_phase_list(c->tk.st, rollout, v, PHASES_MAX, e);
	struct doc *list = doc_array(a, d, "phases");
	for (int i = 0; i < n; i++) {
		struct doc *m = doc_map(a, list, NULL);

		put_phase_plan(a, m, &v[i]);
		if (v[i].filter[0])
			doc_add_int(a, m, "expected", v[i].expected);
		doc_add_int(a, m, "total", v[i].total);
		doc_add_int(a, m, "done", v[i].done);
		doc_add_int(a, m, "failed", v[i].failed);
		doc_add_int(a, m, "succeeded", v[i].succeeded);
		doc_add_time(a, m, "opened", v[i].opened);
		doc_add_time(a, m, "closed", v[i].closed);
	}
	return n < 0 ? -1 : 0;
}

static int put_whole(struct call *c, struct doc *d, const struct rollout *r, struct err *e)
{
	struct rollout now;

	/* as the row is now: a verb has moved its version on */
	if (found_or(store_rollout_get(c->tk.st, r->id, &now, e), e, "rollout") != 0)
		return -1;
	put_rollout(c, d, &now);
	if (etag_of_version(&c->rs->etag, "rollout", now.id, now.etag) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	return put_phases(c, d, r->id, e);
}

int rollout_reply(struct call *c, uint16_t status, const struct rollout *r, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (put_whole(c, d, r, e) != 0)
		return -1;
	return reply_doc(c, status, d, e);
}

/* The job that goes with it: rollout members, then "job". */
int rollout_reply_job(struct call *c, const struct rollout *r, const struct job *j, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (put_whole(c, d, r, e) != 0)
		return -1;
	if (j->id)
		doc_put_job(c, doc_map(c->tk.a, d, "job"), j);
	return reply_doc(c, j->id ? 202 : 200, d, e);
}

static int read_release(struct call *c, struct rollout_spec *s, struct err *e)
{
	const struct doc *d = doc_get(c->body, "release");
	char text[NAME_TEXT];
	struct release r;

	if (d && d->type == DOC_INT)
		(void)text_format(text, sizeof(text), "%" PRId64, d->v.i);
	else if (!d || d->type != DOC_TEXT || text_copy_slice(text, sizeof(text), d->v.s) != 0)
		return err_set(e, ERR_INVALID, "release: its name or number");
	if (release_of_text(c, text, &r, e) != 0)
		return -1;
	s->release = r.id;
	return 0;
}

/*
 * The asker's scope becomes part of the target, for good. The target must be a filter by
 * itself: "a) or (b" would otherwise step out of the parentheses it is put into.
 */
static int bound_target(struct call *c, struct rollout_spec *s, struct err *e)
{
	char both[FILTER_TEXT];
	struct filter *f;

	if (!c->scope)
		return 0;
	if (filter_parse(s->target, c->tk.a, &f, e) != 0)
		return err_prefix(e, "target");
	if (text_format(both, sizeof(both), "(%s) and (%s)", s->target, c->who.scope) != 0)
		return err_set(e, ERR_TOO_LARGE, "target: too long together with the scope of %s",
			       c->who.name);
	return text_copy(s->target, sizeof(s->target), both);
}

static int read_spec(struct call *c, struct rollout_spec *s, struct err *e)
{
	if (rollout_read_spec(c->body, s, e) != 0)
		return -1;
	return read_release(c, s, e) == 0 ? bound_target(c, s, e) : -1;
}

static int dry_run(struct call *c, const struct rollout_spec *s, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct rollout_plan *p = arena_alloc(c->tk.a, sizeof(*p));
	struct arena *a = c->tk.a;

	if (!p)
		return err_set(e, ERR_NO_MEMORY, "no memory for the plan");
	if (rollout_dry_run(&c->tk, s, p, e) != 0)
		return -1;
	doc_add_int(a, d, "devices", p->devices);
	doc_add_bool(a, d, "exact", p->exact);
	doc_add_int(a, d, "bytes", p->bytes > INT64_MAX ? INT64_MAX : (int64_t)p->bytes);
	doc_add_text(a, d, "order", update_order_word(s->limits.order));
	doc_add_int(a, d, "sampled", p->sampled);
	if (p->devices == 0 && p->exact)
		doc_add_text(a, d, "warning",
			     "the target takes no device: it would be finished as soon as it "
			     "starts, and who comes to match later would not join it");
	struct doc *list = doc_array(a, d, "phases");
	for (int i = 0; i < p->n_phases; i++) {
		struct doc *m = doc_map(a, list, NULL);

		put_phase_plan(a, m, &p->phase[i].p);
		doc_add_int(a, m, "devices", p->phase[i].devices);
		doc_add_int(a, m, "begins_s", p->phase[i].begins_s);
		doc_add_int(a, m, "ends_s", p->phase[i].ends_s);
	}
	return reply_doc(c, 200, d, e);
}

int svc_rollout_list(struct call *c, struct err *e)
{
	struct rollout *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_rollout_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			if (rollout_is_own(c, &rows[i]))
				put_rollout(c, page_item(&p), &rows[i]);
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_rollout_show(struct call *c, struct err *e)
{
	struct rollout r;
	bool fresh;

	if (rollout_of_call(c, &r, e) != 0 ||
	    etag_check_version(c, "rollout", r.id, r.etag, &fresh, e) != 0)
		return -1;
	return rollout_reply(c, 200, &r, e);
}

/*
 * One with the same target, phases and limits, under another name, for its release or another.
 * The phases' times of start belong to the past.
 */
static int clone_spec(struct call *c, struct rollout_spec *s, struct err *e)
{
	static const char *const members[] = { "name", "release", NULL };
	struct rollout from;
	struct doc_reader r;

	if (rollout_of_call(c, &from, e) != 0 || rollout_clone_spec(&c->tk, &from, s, e) != 0)
		return -1;
	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_text(&r, "name", s->name, sizeof(s->name));
	if (doc_read_end(&r) != 0)
		return -1;
	return doc_get(c->body, "release") ? read_release(c, s, e) : 0;
}

static int make(struct call *c, const struct rollout_spec *s, struct err *e)
{
	struct job job = { 0 };
	struct rollout r;

	if (rollout_create(&c->tk, s, &r, &job, e) != 0 ||
	    reply_location(c, e, "/api/v1/rollouts/%" PRId64, r.id) != 0)
		return -1;
	return rollout_reply_job(c, &r, &job, e);
}

int svc_rollout_clone(struct call *c, struct err *e)
{
	struct rollout_spec *s = arena_alloc(c->tk.a, sizeof(*s));

	if (!s)
		return err_set(e, ERR_NO_MEMORY, "no memory for the rollout");
	return clone_spec(c, s, e) == 0 ? make(c, s, e) : -1;
}

int svc_rollout_add(struct call *c, struct err *e)
{
	struct rollout_spec *s = arena_alloc(c->tk.a, sizeof(*s));
	bool plan;

	if (!s)
		return err_set(e, ERR_NO_MEMORY, "no memory for the rollout");
	if (query_flag(c, "dry_run", &plan, e) < 0 || read_spec(c, s, e) != 0)
		return -1;
	return plan ? dry_run(c, s, e) : make(c, s, e);
}
