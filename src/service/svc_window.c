/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/svc.h"
#include "tracker/filter.h"

/* Windows and black-outs. Of a device: whoever may change it; all others: who has no scope. */

#define NEXT_MAX 32
#define NEXT_DEFAULT 5

/* ---- what they are of ---- */

static int ref_device(struct call *c, const char *ref, struct window *w, struct err *e)
{
	struct device d;

	if (found_or(store_device_get(c->tk.st, ref, &d, e), e, "device") ||
	    found_or(scope_takes(c, d.dev, e), e, "device"))
		return -1;
	w->ref = d.dev;
	return 0;
}

static int ref_group(struct call *c, const char *ref, struct window *w, struct err *e)
{
	return found_or(store_group_id(c->tk.st, ref, &w->ref, e), e, "group");
}

static int ref_class(struct call *c, const char *ref, struct window *w, struct err *e)
{
	(void)c;
	if (uuid_parse(&w->class_id, slice_str(ref)) == 0)
		return 0;
	if (ref[0] == '\0' || text_copy(w->model, sizeof(w->model), ref) != 0)
		return err_set(e, ERR_INVALID, "ref: a class id or a model");
	return 0;
}

static int ref_rollout(struct call *c, const char *ref, struct window *w, struct err *e)
{
	struct rollout r;

	if (rollout_of_text(c, ref, &r, e) != 0)
		return -1;
	w->ref = r.id;
	return 0;
}

/* w's level, by word, and what of it ref names, into the rest of w. */
static int read_ref(struct call *c, const char *level, const char *ref, struct window *w,
		    struct err *e)
{
	static int (*const by_level[WINDOW_LEVEL_COUNT])(struct call *, const char *,
							 struct window *, struct err *) = {
		[WINDOW_DEVICE] = ref_device,
		[WINDOW_GROUP] = ref_group,
		[WINDOW_CLASS] = ref_class,
		[WINDOW_ROLLOUT] = ref_rollout,
	};

	if (window_level_parse(level, &w->level) != 0)
		return err_set(e, ERR_INVALID, "level: device, group, class or rollout");
	return by_level[w->level](c, ref, w, e);
}

/* The name of what it is of; a number where that is gone. */
static int ref_text(struct call *c, const struct window *w, char dst[NAME_TEXT], struct err *e)
{
	struct rollout r;
	struct device d;
	int found = 0;

	if (w->level == WINDOW_CLASS && w->class_id.set)
		uuid_text(dst, &w->class_id);
	else if (w->level == WINDOW_CLASS)
		(void)text_copy(dst, NAME_TEXT, w->model);
	else
		(void)text_format(dst, NAME_TEXT, "%" PRId64, w->ref);
	if (w->level == WINDOW_GROUP)
		found = store_group_name(c->tk.st, w->ref, dst, e);
	if (w->level == WINDOW_DEVICE && (found = store_device_by_dev(c->tk.st, w->ref, &d, e)) > 0)
		(void)text_copy(dst, NAME_TEXT, d.id);
	if (w->level == WINDOW_ROLLOUT && (found = store_rollout_get(c->tk.st, w->ref, &r, e)) > 0)
		(void)text_copy(dst, NAME_TEXT, r.name);
	return found < 0 ? -1 : 0;
}

/* 1 the asker may see it, 0 not. */
static int visible(const struct call *c, const struct window *w, struct err *e)
{
	struct rollout r;

	if (w->level == WINDOW_DEVICE)
		return scope_takes(c, w->ref, e);
	if (w->level != WINDOW_ROLLOUT || !c->scope)
		return 1;
	int found = store_rollout_get(c->tk.st, w->ref, &r, e);
	return found <= 0 ? found : rollout_is_own(c, &r);
}

static int may_change(const struct call *c, enum window_level level, struct err *e)
{
	return level == WINDOW_DEVICE ? 0 : scope_needed(c, e);
}

static int put_window(struct call *c, struct doc *d, const struct window *w, struct err *e)
{
	struct arena *a = c->tk.a;
	char ref[NAME_TEXT];

	if (ref_text(c, w, ref, e) != 0)
		return -1;
	doc_add_int(a, d, "id", w->id);
	doc_add_text(a, d, "level", window_level_word(w->level));
	doc_add_text(a, d, "ref", ref);
	doc_add_bool(a, d, "blackout", w->blackout);
	doc_add_bool(a, d, "reported", w->reported);
	doc_add_text(a, d, "rrule", w->rrule);
	doc_add_text(a, d, "starts", w->starts);
	doc_add_text(a, d, "zone", w->zone);
	doc_add_int(a, d, "duration", w->duration_s);
	doc_add_time(a, d, "created", w->created);
	doc_add_text(a, d, "by", w->by);
	return 0;
}

/* ---- adding ---- */

struct wanted { /* the members of a body */
	char level[16], ref[NAME_TEXT], text[WINDOW_SHORT_TEXT];
	char rrule[WINDOW_RRULE_TEXT], starts[40], zone[WINDOW_ZONE_TEXT];
	int64_t duration_s;
	bool blackout;
};

static int read_body(struct call *c, struct wanted *w, struct err *e)
{
	static const char *const members[] = { "level", "ref",	    "window",	"rrule", "starts",
					       "zone",	"duration", "blackout", NULL };
	struct doc_reader r;

	*w = (struct wanted){ .duration_s = 0 };
	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_text(&r, "level", w->level, sizeof(w->level));
	doc_need_text(&r, "ref", w->ref, sizeof(w->ref));
	bool brief = doc_opt_text(&r, "window", w->text, sizeof(w->text));
	bool rule = doc_opt_text(&r, "rrule", w->rrule, sizeof(w->rrule));
	doc_opt_text(&r, "starts", w->starts, sizeof(w->starts));
	bool zone = doc_opt_text(&r, "zone", w->zone, sizeof(w->zone));
	bool span = doc_opt_int(&r, "duration", 1, WINDOW_DURATION_MAX_S, &w->duration_s);
	doc_opt_bool(&r, "blackout", &w->blackout);
	if (doc_read_end(&r) != 0)
		return -1;
	if (brief ? rule || zone || span || w->starts[0] : !rule || !zone || !span)
		return err_set(e, ERR_INVALID,
			       "either window in its short form, or rrule, zone and duration");
	return 0;
}

static int parse(const struct wanted *in, struct window out[WINDOW_RANGES_MAX], struct err *e)
{
	if (in->text[0])
		return window_set_short(out, in->text, e);
	return window_set_rule(&out[0], in->rrule, in->starts, in->zone, in->duration_s, e) < 0 ? -1
												: 1;
}

static int keep(struct call *c, struct window *w, struct doc *items, struct err *e)
{
	char ref[NAME_TEXT];

	if (store_window_add(c->tk.st, w, e) != 0 || ref_text(c, w, ref, e) != 0 ||
	    audit_note(&c->tk, w->blackout ? "black-out.add" : "window.add", ref, e,
		       "window=%" PRId64 " level=%s %s starts=%s zone=%s duration=%" PRId64, w->id,
		       window_level_word(w->level), w->rrule, w->starts, w->zone,
		       w->duration_s) != 0)
		return -1;
	return put_window(c, doc_map(c->tk.a, items, NULL), w, e);
}

int svc_window_add(struct call *c, struct err *e)
{
	struct window *w = arena_alloc(c->tk.a, sizeof(*w) * WINDOW_RANGES_MAX);
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct doc *items = doc_array(c->tk.a, d, "items");
	struct window to = { .created = c->tk.now.wall };
	struct wanted in;

	if (!w)
		return err_set(e, ERR_NO_MEMORY, "no memory for windows");
	if (read_body(c, &in, e) != 0)
		return -1;
	int n = parse(&in, w, e);
	if (n < 0 || (window_level_parse(in.level, &to.level) == 0 && may_change(c, to.level, e)) ||
	    read_ref(c, in.level, in.ref, &to, e) != 0 ||
	    text_copy(to.by, sizeof(to.by), c->who.name) != 0)
		return -1;
	for (int i = 0; i < n; i++) {
		struct window row = to;

		row.blackout = in.blackout;
		(void)text_copy(row.rrule, sizeof(row.rrule), w[i].rrule);
		(void)text_copy(row.starts, sizeof(row.starts), w[i].starts);
		(void)text_copy(row.zone, sizeof(row.zone), w[i].zone);
		row.duration_s = w[i].duration_s;
		if (keep(c, &row, items, e) != 0)
			return -1;
		if (i == 0 && reply_location(c, e, "/api/v1/windows/%" PRId64, row.id) != 0)
			return -1;
	}
	return reply_doc(c, 201, d, e);
}

/* ---- looking ---- */

static int query_text(const struct call *c, const char *name, char *dst, size_t cap, struct err *e)
{
	int rc = query_get(c->rq->query, name, dst, cap);

	if (rc == 0)
		dst[0] = '\0';
	return rc < 0 ? err_set(e, ERR_INVALID, "%s: too long, or broken escapes", name) : rc;
}

/* level and ref, or neither: 1 like says which, 0 all, -1 */
static int read_filter(struct call *c, struct window *like, struct err *e)
{
	char level[16], ref[NAME_TEXT];
	int has_level = query_text(c, "level", level, sizeof(level), e);
	int has_ref = has_level < 0 ? -1 : query_text(c, "ref", ref, sizeof(ref), e);

	if (has_ref < 0)
		return -1;
	if (has_level != has_ref)
		return err_set(e, ERR_INVALID, "level and ref go together");
	return has_level && read_ref(c, level, ref, like, e) != 0 ? -1 : has_level;
}

int svc_window_list(struct call *c, struct err *e)
{
	struct window *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct window like = { .ref = 0 };
	struct page p;
	bool blackouts; /* those alone, or none of them; both when it is not said */
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	int some = read_filter(c, &like, e);
	int said = some < 0 ? -1 : query_flag(c, "blackout", &blackouts, e);
	if (said < 0)
		return -1;
	while ((want = page_want(&p)) > 0) {
		int n = some ? store_window_by_level(c->tk.st, &like, p.after, want, rows, e)
			     : store_window_list(c->tk.st, p.after, want, rows, e);

		for (int i = 0; i < n; i++) {
			int seen = visible(c, &rows[i], e);
			if (seen < 0 || (seen > 0 && (said == 0 || blackouts == rows[i].blackout) &&
					 put_window(c, page_item(&p), &rows[i], e) != 0))
				return -1;
		}
		if (n < 0)
			return -1;
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

static int load(struct call *c, struct window *w, struct err *e)
{
	int64_t id;

	if (hole_id(c, 0, &id, e) || found_or(store_window_get(c->tk.st, id, w, e), e, "window"))
		return -1;
	return found_or(visible(c, w, e), e, "window");
}

int svc_window_show(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct window w;

	if (load(c, &w, e) != 0 || put_window(c, d, &w, e) != 0)
		return -1;
	return reply_doc(c, 200, d, e);
}

int svc_window_remove(struct call *c, struct err *e)
{
	char ref[NAME_TEXT];
	struct window w;

	if (load(c, &w, e) || may_change(c, w.level, e))
		return -1;
	if (w.reported)
		return err_set(e, ERR_CONFLICT, "it is the device's own word, and may only narrow");
	if (store_window_remove(c->tk.st, w.id, e) || ref_text(c, &w, ref, e) ||
	    audit_note(&c->tk, w.blackout ? "black-out.remove" : "window.remove", ref, e,
		       "window=%" PRId64 " level=%s", w.id, window_level_word(w.level)))
		return -1;
	return reply_empty(c, 204);
}

/* ---- what they come to ---- */

struct next {
	int64_t rollout, count;
};

static int put_next(struct call *c, struct doc *d, const struct device *dev, const struct next *q,
		    struct err *e)
{
	struct arena *a = c->tk.a;
	struct window_span spans[NEXT_MAX];
	bool any;
	int n = window_next(&c->tk, dev, q->rollout, (int)q->count, spans, &any, e);

	if (n < 0)
		return -1;
	doc_add_text(a, d, "device", dev->id);
	doc_add_bool(a, d, "always", !any);
	struct doc *list = doc_array(a, d, "openings");
	for (int i = 0; i < n; i++) {
		struct doc *one = doc_map(a, list, NULL);
		doc_add_time(a, one, "from", spans[i].from);
		if (spans[i].until != WINDOW_EVER)
			doc_add_time(a, one, "until", spans[i].until);
	}
	return 0;
}

static int read_next(struct call *c, struct next *q, struct err *e)
{
	char rollout[NAME_TEXT], count[4];
	struct rollout r;
	int has = query_text(c, "rollout", rollout, sizeof(rollout), e);

	*q = (struct next){ .rollout = 0 };
	if (has < 0 || query_id(c, "count", &q->count, e) != 0)
		return -1;
	if (query_get(c->rq->query, "count", count, sizeof(count)) == 0)
		q->count = NEXT_DEFAULT;
	if (q->count < 1 || q->count > NEXT_MAX)
		return err_set(e, ERR_INVALID, "count: 1 to %d", NEXT_MAX);
	if (has == 0)
		return 0;
	if (rollout_of_text(c, rollout, &r, e) != 0)
		return -1;
	q->rollout = r.id;
	return 0;
}

/* The devices asked about: one by its id, or those of an expression, within the scope. */
static int read_devices(struct call *c, const struct filter **out, struct err *e)
{
	char text[FILTER_TEXT];
	struct filter *f = NULL;
	int has = query_text(c, "expr", text, sizeof(text), e);

	if (has < 0)
		return -1;
	if (has == 0)
		return err_set(e, ERR_INVALID, "device or expr: one of them is needed");
	if (filter_parse(text, c->tk.a, &f, e) != 0)
		return err_prefix(e, "expr");
	return scope_and(c, f, out, e);
}

static int next_of_many(struct call *c, const struct next *q, struct page *p, struct err *e)
{
	struct device *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	const struct filter *f;
	bool done;
	int want;

	if (!rows)
		return err_set(e, ERR_NO_MEMORY, "no memory for the page");
	if (read_devices(c, &f, e) != 0)
		return -1;
	while ((want = page_want(p)) > 0) {
		int64_t cursor = p->after;
		int n = store_device_list(c->tk.st, f, &cursor, PAGE_SPAN, want, rows, &done, e);

		for (int i = 0; i < n; i++)
			if (put_next(c, page_item(p), &rows[i], q, e) != 0)
				return -1;
		if (n < 0)
			return -1;
		if (!page_looked(p, cursor, done))
			break;
	}
	return 0;
}

int svc_window_next(struct call *c, struct err *e)
{
	char id[NAME_TEXT];
	struct device d;
	struct next q;
	struct page p;

	if (page_begin(&p, c, e) != 0 || read_next(c, &q, e) != 0)
		return -1;
	int one = query_text(c, "device", id, sizeof(id), e);
	if (one < 0)
		return -1;
	if (one == 0)
		return next_of_many(c, &q, &p, e) != 0 ? -1 : page_end(&p, e);
	if (found_or(store_device_get(c->tk.st, id, &d, e), e, "device") ||
	    found_or(scope_takes(c, d.dev, e), e, "device") ||
	    put_next(c, page_item(&p), &d, &q, e) != 0)
		return -1;
	return page_end(&p, e);
}
