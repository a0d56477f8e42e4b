/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

/* A scoped asker sees updates of its devices. 1, 0, -1 */
static int visible(struct call *c, const struct update *u, struct err *e)
{
	return scope_takes(c, u->dev, e);
}

void doc_put_update(struct call *c, struct doc *d, const struct update *u)
{
	struct arena *a = c->tk.a;
	struct device dev;
	struct release rel;
	struct rollout ro;
	bool has_dev = c->device.dev == u->dev && u->dev != 0;

	if (!has_dev)
		has_dev = store_device_by_dev(c->tk.st, u->dev, &dev, NULL) == 1;
	else
		dev = c->device;
	bool has_rel = store_release_get(c->tk.st, u->release, &rel, NULL) == 1;
	bool has_ro = u->rollout && store_rollout_get(c->tk.st, u->rollout, &ro, NULL) == 1;
	doc_add_int(a, d, "id", u->id);
	doc_add_text(a, d, "device", has_dev ? dev.id : NULL);
	doc_add_text(a, d, "rollout", has_ro ? ro.name : NULL);
	doc_add_text(a, d, "release", has_rel ? rel.name : NULL);
	doc_add_text(a, d, "state", update_state_word(u->state));
	doc_add_text(a, d, "urgency", urgency_word(u->urgency));
	doc_add_int(a, d, "attempt", u->attempt);
	doc_add_int(a, d, "progress", u->progress);
	doc_add_text(a, d, "reason", u->reason[0] ? u->reason : NULL);
	doc_add_text(a, d, "failure", u->failure == FAILURE_NONE ? NULL : failure_word(u->failure));
	doc_add_bool(a, d, "late", u->late);
	doc_add_time(a, d, "created", u->created);
	doc_add_time(a, d, "changed", u->changed);
}

static int query_rollout(struct call *c, int64_t *id, struct err *e)
{
	char text[NAME_TEXT];
	struct rollout r;
	int rc = query_get(c->rq->query, "rollout", text, sizeof(text));

	*id = 0;
	if (rc == 0)
		return 0;
	if (rc < 0)
		return err_set(e, ERR_INVALID, "rollout: broken or too long");
	rc = text_i64(slice_str(text), id) == 0 && *id > 0 ? store_rollout_get(c->tk.st, *id, &r, e)
							   : 0;
	if (rc == 0)
		rc = store_rollout_by_name(c->tk.st, text, &r, e);
	if (found_or(rc, e, "rollout") != 0)
		return -1;
	*id = r.id;
	return 0;
}

static int query_device(struct call *c, int64_t *dev, struct err *e)
{
	char text[NAME_TEXT];
	struct device d;
	int rc = query_get(c->rq->query, "device", text, sizeof(text));

	*dev = 0;
	if (rc == 0)
		return 0;
	if (rc < 0)
		return err_set(e, ERR_INVALID, "device: broken or too long");
	if (found_or(store_device_get(c->tk.st, text, &d, e), e, "device") != 0)
		return -1;
	*dev = d.dev;
	return found_or(scope_takes(c, d.dev, e), e, "device");
}

int svc_update_list(struct call *c, struct err *e)
{
	struct update *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	int64_t rollout, dev;
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) || query_rollout(c, &rollout, e) ||
	    query_device(c, &dev, e))
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_update_list(c->tk.st, rollout, dev, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			int ok = visible(c, &rows[i], e);
			if (ok < 0)
				return -1;
			if (ok == 1)
				doc_put_update(c, page_item(&p), &rows[i]);
		}
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_update_show(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct update u;
	int64_t id;

	if (hole_id(c, 0, &id, e) || found_or(store_update_get(c->tk.st, id, &u, e), e, "update") ||
	    found_or(visible(c, &u, e), e, "update"))
		return -1;
	doc_put_update(c, d, &u);
	return reply_doc(c, 200, d, e);
}

void doc_put_job(struct call *c, struct doc *d, const struct job *j)
{
	struct arena *a = c->tk.a;

	doc_add_int(a, d, "id", j->id);
	doc_add_text(a, d, "kind", j->kind);
	doc_add_int(a, d, "ref", j->ref);
	doc_add_text(a, d, "state", job_state_word(j->state));
	doc_add_int(a, d, "done", j->done);
	doc_add_int(a, d, "total", j->total);
	doc_add_text(a, d, "result", j->result[0] ? j->result : NULL);
	doc_add_text(a, d, "by", j->by);
	doc_add_time(a, d, "created", j->created);
	doc_add_time(a, d, "finished", j->finished);
}

/*
 * A scoped asker sees the jobs it started itself: imports within its scope, and what its own
 * rollouts take. Its name may have been another's, with another scope or none. 1, 0, -1
 */
static int own_job(const struct call *c, const struct job *j, struct err *e)
{
	char scope[FILTER_TEXT];
	struct rollout r;
	int found = 0;

	if (!c->scope)
		return 1;
	if (strcmp(j->by, c->who.name) != 0)
		return 0;
	if (strcmp(j->kind, "device-import") == 0) {
		found = store_job_input_scope(c->tk.st, j->id, scope, e);
		return found <= 0 ? found : strcmp(scope, c->who.scope) == 0;
	}
	if (strncmp(j->kind, "rollout-", 8) == 0)
		found = store_rollout_get(c->tk.st, j->ref, &r, e);
	return found <= 0 ? found : rollout_is_own(c, &r);
}

int svc_job_list(struct call *c, struct err *e)
{
	struct job *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_job_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			int ok = own_job(c, &rows[i], e);

			if (ok < 0)
				return -1;
			if (ok > 0)
				doc_put_job(c, page_item(&p), &rows[i]);
		}
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

static int load_job(struct call *c, struct job *j, struct err *e)
{
	int64_t id;

	if (hole_id(c, 0, &id, e) || found_or(store_job_get(c->tk.st, id, j, e), e, "job"))
		return -1;
	return found_or(own_job(c, j, e), e, "job");
}

int svc_job_show(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct job j;

	if (load_job(c, &j, e) != 0)
		return -1;
	doc_put_job(c, d, &j);
	/* bad lines are of devices: authors, who see jobs, do not see those */
	if ((ROLE_BIT(c->who.role) & WHO_READ) && doc_put_import(c, d, &j, e) != 0)
		return -1;
	return reply_doc(c, 200, d, e);
}

int svc_job_cancel(struct call *c, struct err *e)
{
	struct job j;

	if (load_job(c, &j, e) != 0 || job_cancel(&c->tk, j.id, e) != 0)
		return -1;
	return svc_job_show(c, e);
}
