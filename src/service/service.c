/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "codec/docfmt.h"
#include "service/svc.h"

#define SCRATCH_MAX (6u << 20)
#define SWEEP_ROWS 100
#define PUBLISHED_MAX (256u << 10)
#define REPEATS_MS (INT64_C(7) * 86400000) /* so long a repeat is known as one */

int service_new(const struct service_options *o, struct service **out, struct err *e)
{
	struct service *sv = calloc(1, sizeof(*sv));

	*out = NULL;
	if (!sv)
		return err_set(e, ERR_NO_MEMORY, "no memory for the service");
	sv->o = *o;
	sv->scratch = BUF_INIT(SCRATCH_MAX);
	sv->published.links = BUF_INIT(PUBLISHED_MAX);
	sv->windows = window_book_new();
	sv->started = clock_mono_ms();
	sv->calls_lost = true; /* by the core before this one */
	for (unsigned i = 0; i < LANE_COUNT; i++)
		sv->lanes[i].max = o->sessions_max;
	if (route_index_new(routes, routes_count, &sv->index, e) != 0 ||
	    service_reload_policy(sv, e) != 0) {
		service_free(sv);
		return -1;
	}
	*out = sv;
	return 0;
}

void service_free(struct service *sv)
{
	if (!sv)
		return;
	for (unsigned i = 0; i < LANE_COUNT; i++)
		sessions_clear(&sv->lanes[i]);
	route_index_free(sv->index);
	window_book_free(sv->windows);
	buf_free(&sv->scratch);
	buf_free(&sv->published.links);
	seen_free(&sv->seen);
	free(sv);
}

int service_reload_policy(struct service *sv, struct err *e)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct policy p;
	struct slice text;
	const struct doc *d;
	int rc = store_policy_get(sv->o.store, "settings", &a, &text, e);

	policy_defaults(&p);
	if (rc == 1) {
		rc = docfmt_decode(MEDIA_JSON, text, &a, &d, e);
		if (rc == 0)
			rc = policy_apply(&p, d, e);
		if (rc != 0)
			err_prefix(e, "policy settings");
	}
	if (rc == 0) {
		sv->policy = p;
		sv->policy_stale = false;
	}
	arena_free(&a);
	return rc;
}

const struct policy *service_policy(const struct service *sv)
{
	return &sv->policy;
}

void service_set_stats(struct service *sv, const struct service_stats *stats)
{
	sv->stats = stats;
}

/*
 * After a change the rows are read again. Rows of a batch that is not
 * committed may yet vanish, so it stays stale until a clean batch was seen.
 */
static int refresh_policy(struct service *sv, struct err *e)
{
	if (!sv->policy_stale)
		return 0;
	if (service_reload_policy(sv, e) != 0)
		return -1;
	sv->policy_stale = store_batch_dirty(sv->o.store);
	return 0;
}

void call_init(struct call *c, struct service *sv, enum lane lane, const struct request *rq,
	       const struct now *now, struct arena *a, struct response *rs, struct outcome *oc)
{
	memset(c, 0, sizeof(*c));
	c->sv = sv;
	c->lane = lane;
	c->rq = rq;
	c->rs = rs;
	c->oc = oc;
	c->tk.st = sv->o.store;
	c->tk.policy = &sv->policy;
	c->tk.windows = sv->windows;
	c->tk.now = *now;
	c->tk.fx = oc ? oc->fx : NULL;
	c->tk.a = a;
	c->tk.who = c->who.name;
	reply_init(rs, rq->id);
	if (oc)
		oc->has_grant = false;
}

/* The front promises this; it is not believed. */
static int check_path(struct slice path, struct err *e)
{
	size_t start = 1;

	if (path.n == 0 || path.n > PATH_MAX_LEN || path.p[0] != '/')
		return err_set(e, ERR_MALFORMED, "not a path");
	for (size_t i = 1; i <= path.n; i++) {
		if (i < path.n && path.p[i] < 0x20)
			return err_set(e, ERR_MALFORMED, "path: a control byte");
		if (i < path.n && path.p[i] != '/')
			continue;
		struct slice seg = slice_of(path.p + start, i - start);
		if ((seg.n == 0 && path.n > 1) || slice_eq_str(seg, ".") || slice_eq_str(seg, ".."))
			return err_set(e, ERR_MALFORMED, "path: empty, \".\" or \"..\" segment");
		start = i + 1;
	}
	return 0;
}

int call_enter(struct call *c, struct err *e)
{
	static const struct evidence nothing;

	c->evidence = &nothing;
	c->session = (unsigned)c->lane < LANE_COUNT
			     ? sessions_find(&c->sv->lanes[c->lane], c->rq->session)
			     : NULL;
	if (!c->session) {
		c->rs->close = true;
		return err_set(e, ERR_UNAUTHENTICATED, "no session was admitted for this");
	}
	c->evidence = &c->session->evidence;
	if ((unsigned)c->rq->method >= METHOD_COUNT || check_path(c->rq->path, e) != 0)
		return e->code ? -1 : err_set(e, ERR_MALFORMED, "no method");
	if (refresh_policy(c->sv, e) != 0 || principal_resolve(c, e) != 0)
		return -1;
	c->route = route_find(c->sv->index, c->rq->method, c->rq->path, c->hole, &c->rs->allow, e);
	if (!c->route)
		return -1;
	return principal_authorise(c, e);
}

int call_decode(struct call *c, enum media m, struct err *e)
{
	return docfmt_decode(m, c->rq->body, c->tk.a, &c->body, e);
}

/* What takes no member must not do, or leave, what one says. */
static int check_empty(struct call *c, struct err *e)
{
	static const char *const none[] = { NULL };
	struct doc_reader r;

	doc_read_init(&r, c->body, e);
	doc_only(&r, none);
	return doc_read_end(&r);
}

static int decode_body(struct call *c, struct err *e)
{
	const struct request *rq = c->rq;
	enum media m = rq->content_format;

	if (rq->body.n > (c->who.role <= ROLE_DEVICE ? DEVICE_BODY_MAX : BODY_MAX_LEN))
		return err_set(e, ERR_TOO_LARGE, "body of more bytes than are taken");
	if ((c->route->flags & ROUTE_NO_BODY) && rq->body.n > 0)
		return err_set(e, ERR_INVALID, "this takes no body");
	if (!(c->route->flags & (ROUTE_DOC | ROUTE_DOC_OPT)))
		return 0;
	if (rq->body.n == 0 && (c->route->flags & ROUTE_DOC_OPT))
		return 0;
	if (m == MEDIA_NONE)
		m = call_is_coap(c) ? MEDIA_CBOR : MEDIA_JSON;
	if (m != MEDIA_JSON && m != MEDIA_CBOR)
		return err_set(e, ERR_MEDIA, "the body must be JSON or CBOR");
	if (call_decode(c, m, e) != 0)
		return -1;
	return c->route->flags & ROUTE_EMPTY ? check_empty(c, e) : 0;
}

/* A device outside the asker's scope is as if it were not there. */
int call_find_device(struct call *c, const char *id, struct err *e)
{
	if (found_or(store_device_get(c->tk.st, id, &c->device, e), e, "device"))
		return -1;
	return found_or(scope_takes(c, c->device.dev, e), e, "device");
}

int call_load_device(struct call *c, unsigned hole, struct err *e)
{
	char id[NAME_TEXT];

	if (hole_text(c, hole, id, sizeof(id), e))
		return -1;
	return call_find_device(c, id, e);
}

int call_still_inside(struct call *c, struct err *e)
{
	if (!c->scope || c->route->method == METHOD_GET || c->device.dev == 0)
		return 0;
	int rc = scope_takes(c, c->device.dev, e);
	if (rc == 0)
		return err_set(e, ERR_FORBIDDEN, "the device would leave what %s may touch",
			       c->who.name);
	return rc < 0 ? -1 : 0;
}

static int run(struct call *c, struct err *e)
{
	struct digest key;

	if (call_enter(c, e) != 0)
		return -1;
	if (c->route->flags & ROUTE_UPLOAD)
		return err_set(e, ERR_UNSUPPORTED, "the bytes must come as an upload");
	if (decode_body(c, e) != 0)
		return -1;
	if ((c->route->flags & ROUTE_DEVICE) && call_load_device(c, 0, e) != 0)
		return -1;
	int rc = idempotency_find(c, &key, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (c->route->handler(c, e) != 0 || call_still_inside(c, e) != 0)
		return -1;
	if (c->unchanged && c->rs->status == 200 && !c->rs->has_object)
		c->rs->status = 304;
	if (c->tk.fx && c->tk.fx->overflow)
		return err_set(e, ERR_INTERNAL, "too many consequences for one request");
	return idempotency_keep(c, &key, e);
}

void service_request(struct service *sv, enum lane lane, const struct request *rq,
		     const struct now *now, struct arena *a, struct response *rs,
		     struct outcome *oc, bool *keep)
{
	struct call c;
	struct err e = { 0 };
	unsigned effects = oc->fx ? oc->fx->n : 0;
	bool overflow = oc->fx && oc->fx->overflow;

	call_init(&c, sv, lane, rq, now, a, rs, oc);
	bool answered = run(&c, &e) == 0;

	*keep = answered && rs->status < 400;
	if (*keep)
		return;
	/* what is rolled back has no consequences */
	if (oc->fx) {
		oc->fx->n = effects;
		oc->fx->overflow = overflow;
	}
	oc->has_grant = false;
	if (!answered)
		problem_fill(&c, &e, rs);
}

struct tracker service_tracker(struct service *sv, const struct now *now, struct arena *a,
			       struct effects *fx)
{
	return (struct tracker){ .st = sv->o.store,
				 .policy = &sv->policy,
				 .windows = sv->windows,
				 .now = *now,
				 .fx = fx,
				 .a = a,
				 .who = "system" };
}

/* Nothing has consequences before it is durable. */
int service_finish(struct service *sv, int rc, struct effects *fx, struct err *e)
{
	if (rc >= 0 && store_batch_commit(sv->o.store, e) == 0)
		return rc;
	if (rc < 0)
		store_batch_abandon(sv->o.store);
	effects_clear(fx);
	return -1;
}

int service_schedule(struct service *sv, const struct now *now, struct arena *a, struct effects *fx,
		     int limit, int64_t budget_us, int64_t *next_track, struct err *e)
{
	struct tracker tk = service_tracker(sv, now, a, fx);

	if (store_batch_begin(sv->o.store, e) != 0)
		return -1;
	int rc = refresh_policy(sv, e);
	if (rc == 0 && sv->calls_lost)
		rc = store_call_sent_lost(sv->o.store, now->track > 0 ? now->track : 1, e);
	if (rc == 0)
		rc = scheduler_pass(&tk, limit, budget_us, next_track, e);
	rc = service_finish(sv, rc, fx, e);
	if (rc >= 0)
		sv->calls_lost = false;
	return rc;
}

/* What is old by the wall clock is old when that can be believed. */
static int sweep_old(struct store *st, const struct now *now, struct err *e)
{
	if (!now->wall_trusted)
		return 0;
	int repeats = store_idempotency_sweep(st, now->wall - REPEATS_MS, SWEEP_ROWS, e);
	int ended =
		repeats < 0 ? -1 : store_identities_sweep(st, now->wall - TICKET_MS, SWEEP_ROWS, e);
	return ended < 0 ? -1 : repeats + ended;
}

int service_sweep(struct service *sv, const struct now *now, struct err *e)
{
	struct store *st = sv->o.store;

	if (store_batch_begin(st, e) != 0)
		return -1;
	int n = store_group_sweep(st, SWEEP_ROWS, e);
	int old = n < 0 ? -1 : sweep_old(st, now, e);
	int over = old < 0 ? -1 : store_outage_sweep(st, &sv->sweep_outage, SWEEP_ROWS, e);
	if (over < 0) {
		store_batch_abandon(st);
		return -1;
	}
	return store_batch_commit(st, e) == 0 ? n + old + over : -1;
}

#define SEEN_SLICE 64

/* A slice of what polls left behind. Hints: what is taken and not committed is lost. */
static int flush_seen(struct service *sv, const struct now *now, int64_t until_us, struct err *e)
{
	struct seen_entry some[SEEN_SLICE];

	while (seen_due(&sv->seen, now->track) && clock_mono_us() < until_us) {
		size_t n = seen_take(&sv->seen, now->track, some, SEEN_SLICE);

		for (size_t i = 0; i < n; i++) {
			const struct now at = { .wall = some[i].wall, .track = some[i].track };

			if (store_live_seen(sv->o.store, some[i].dev, &at, some[i].polls, e) != 0)
				return -1;
		}
	}
	return 0;
}

/* Jobs that are the service's: they read what operators wrote. */
static const struct job_kind kinds[] = {
	{ "device-import", svc_import_step },
	{ "standing", svc_standing_step },
};

int service_jobs(struct service *sv, const struct now *now, struct arena *a, struct effects *fx,
		 int64_t budget_us, int64_t *next_track, struct err *e)
{
	struct tracker tk = service_tracker(sv, now, a, fx);
	int64_t began = clock_mono_us();

	tk.kinds = kinds;
	tk.n_kinds = sizeof(kinds) / sizeof(kinds[0]);
	tk.kinds_ctx = sv;
	if (store_batch_begin(sv->o.store, e) != 0)
		return -1;
	int rc = refresh_policy(sv, e);
	if (rc == 0)
		rc = flush_seen(sv, now, began + budget_us / 2, e);
	if (rc == 0)
		rc = jobs_slice(&tk, budget_us - (clock_mono_us() - began), e);
	if (rc == 0 && seen_due(&sv->seen, now->track))
		rc = 1;
	/* one that failed for the moment is tried again then */
	if (rc == 0)
		rc = store_job_first_due(sv->o.store, next_track, e);
	return service_finish(sv, rc, fx, e);
}
