/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "base/clock.h"
#include "service/svc.h"

/* Sums over rollouts; their number is what people start, and the look is bounded. */
struct running {
	int64_t rollouts, in_flight, planned, failed;
};

static int count_rollouts(struct call *c, struct running *out, struct err *e)
{
	struct rollout *r = arena_alloc(c->tk.a, sizeof(*r) * PAGE_ROWS);
	int64_t after = 0;

	*out = (struct running){ 0 };
	if (!r)
		return err_set(e, ERR_NO_MEMORY, "no memory for the rollouts");
	for (int seen = 0; seen < PAGE_SCAN; seen += PAGE_ROWS) {
		int n = store_rollout_list(c->tk.st, after, PAGE_ROWS, r, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			after = r[i].id;
			out->rollouts += r[i].state == ROLLOUT_RUNNING;
			out->in_flight += r[i].in_flight;
			out->planned += r[i].planned;
			out->failed += r[i].failed;
		}
		if (n < PAGE_ROWS)
			break;
	}
	return 0;
}

/* 1 a job waits or runs, 0 none. */
static int job_runs(struct call *c, struct err *e)
{
	struct job j;

	return store_job_next(c->tk.st, INT64_MAX, &j, e);
}

int svc_nothing(struct call *c, struct err *e)
{
	(void)c;
	return err_set(e, ERR_UNSUPPORTED, "the bytes must come as an upload");
}

int svc_healthz(struct call *c, struct err *e)
{
	return reply_text(c, 200, MEDIA_TEXT, "ok\n", e);
}

/* Ready: rows can be read, and the store did not lose its disk. */
int svc_readyz(struct call *c, struct err *e)
{
	int64_t n;

	if (store_must_stop(c->tk.st))
		return err_set(e, ERR_IO, "the store does not trust its disk any more");
	if (c->sv->stats && c->sv->stats->trouble)
		return err_set(e, ERR_BUSY, "writing fails at the moment");
	if (store_device_count(c->tk.st, &n, e) != 0)
		return -1;
	return reply_text(c, 200, MEDIA_TEXT, "ready\n", e);
}

/* Why the wall clock is not trusted (behaviour.md 5), and whether it soon will be. */
static const char *clock_reason(struct call *c, int64_t committed, int64_t accepted)
{
	if (accepted != 0)
		return "accepted by an operator: in force within seconds";
	if (c->tk.now.wall < committed)
		return "it is behind the last committed time";
	return "it was behind the last committed time, or stepped by more than an hour";
}

static int put_clock(struct call *c, struct doc *into, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, into, "clock");
	int64_t committed = 0, accepted = 0;

	doc_add_bool(c->tk.a, d, "trusted", c->tk.now.wall_trusted);
	if (c->tk.now.wall_trusted) {
		doc_add_null(c->tk.a, d, "reason");
		return 0;
	}
	if (store_meta_get_int(c->tk.st, "track_wall", &committed, e) < 0 ||
	    store_meta_get_int(c->tk.st, "clock_accepted", &accepted, e) < 0)
		return -1;
	doc_add_text(c->tk.a, d, "reason", clock_reason(c, committed, accepted));
	return 0;
}

/*
 * The operator's word, kept for the core to find. Of a trusted clock nothing is kept: it
 * would vouch for a wrong one later.
 */
int svc_clock_accept(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (!c->tk.now.wall_trusted &&
	    (store_meta_put_int(c->tk.st, "clock_accepted", c->tk.now.wall, e) != 0 ||
	     audit_note(&c->tk, "clock.accept", "clock", e, "wall=%" PRId64, c->tk.now.wall) != 0))
		return -1;
	if (put_clock(c, d, e) != 0)
		return -1;
	return reply_doc(c, 200, d, e);
}

int svc_status(struct call *c, struct err *e)
{
	struct arena *a = c->tk.a;
	struct doc *d = doc_map(a, NULL, NULL);
	struct running run;
	int64_t devices;
	int jobs;

	doc_add_text(a, d, "version", c->sv->o.version);
	doc_add_text(a, d, "state", "running");
	doc_add_int(a, d, "uptime_s", (clock_mono_ms() - c->sv->started) / 1000);
	/* counts would tell a scoped asker of devices that are not its own */
	if (!c->scope) {
		jobs = job_runs(c, e);
		if (store_device_count(c->tk.st, &devices, e) || count_rollouts(c, &run, e) ||
		    jobs < 0)
			return -1;
		doc_add_int(a, d, "devices", devices);
		doc_add_int(a, d, "rollouts_running", run.rollouts);
		doc_add_int(a, d, "updates_in_flight", run.in_flight);
		doc_add_int(a, d, "jobs_running", jobs);
	}
	doc_add_int(a, doc_map(a, d, "store"), "schema", store_schema_version());
	if (put_clock(c, d, e) != 0)
		return -1;
	return reply_doc(c, 200, d, e);
}

int svc_openapi(struct call *c, struct err *e)
{
	if (!c->sv->o.openapi)
		return err_set(e, ERR_NOT_FOUND, "the description is not installed");
	return reply_text(c, 200, MEDIA_JSON, c->sv->o.openapi, e);
}

static void figure(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP fettle_%s %s\n# TYPE fettle_%s %s\n", name, help, name, type);
}

static void one(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
	figure(b, name, type, help);
	buf_printf(b, "fettle_%s %" PRIu64 "\n", name, v);
}

static uint64_t unsign(int64_t v)
{
	return v > 0 ? (uint64_t)v : 0;
}

static void put_front(struct buf *b, const uint64_t v[FIGURE_COUNT])
{
	static const struct {
		const char *name, *type, *help;
	} rows[FIGURE_COUNT] = {
		[FIGURE_DTLS_SESSIONS] = { "dtls_sessions", "gauge", "DTLS sessions held open." },
		[FIGURE_DTLS_HANDSHAKES] = { "dtls_handshakes", "gauge",
					     "DTLS handshakes under way." },
		[FIGURE_DTLS_EVICTED] = { "dtls_evicted_total", "counter",
					  "DTLS sessions ended for want of room." },
		[FIGURE_DTLS_REFUSED] = { "dtls_refused_total", "counter",
					  "Hellos put off: too many handshakes." },
		[FIGURE_OBSERVERS] = { "coap_observers", "gauge", "Observations of devices." },
		[FIGURE_CALLS] = { "coap_calls", "gauge",
				   "Calls to devices, under way or waiting." },
		[FIGURE_CHALLENGED] = { "coap_challenged_total", "counter",
					"Requests asked to prove their address." },
		[FIGURE_BUSY] = { "coap_busy_total", "counter",
				  "CoAP requests refused for want of room." },
		[FIGURE_DROPPED] = { "coap_dropped_total", "counter",
				     "Datagrams that deserved no answer." },
	};

	for (unsigned i = 0; i < FIGURE_COUNT; i++)
		one(b, rows[i].name, rows[i].type, rows[i].help, v[i]);
}

static void put_stats(struct buf *b, const struct service *sv)
{
	static const struct service_stats none;
	const struct service_stats *s = sv->stats ? sv->stats : &none;

	one(b, "batches_total", "counter", "Batches handled.", s->batches);
	one(b, "requests_total", "counter", "Requests handled.", s->requests);
	one(b, "commits_total", "counter", "Commits made durable.", s->commits);
	figure(b, "commit_seconds_total", "counter", "Time spent in commits.");
	buf_printf(b, "fettle_commit_seconds_total %" PRIu64 ".%06" PRIu64 "\n",
		   s->commit_us_total / 1000000, s->commit_us_total % 1000000);
	figure(b, "commit_seconds_max", "gauge", "Longest commit.");
	buf_printf(b, "fettle_commit_seconds_max %" PRIu64 ".%06" PRIu64 "\n",
		   s->commit_us_max / 1000000, s->commit_us_max % 1000000);
	one(b, "refused_busy_total", "counter", "Requests refused for want of room.",
	    s->refused_busy);
	put_front(b, s->front);
	figure(b, "sessions", "gauge", "Sessions admitted, by lane.");
	buf_printf(b,
		   "fettle_sessions{lane=\"network\"} %zu\nfettle_sessions{lane=\"control\"} %zu\n",
		   sv->lanes[LANE_NETWORK].n, sv->lanes[LANE_CONTROL].n);
}

int svc_metrics(struct call *c, struct err *e)
{
	struct buf *b = &c->sv->scratch;
	struct running run;
	int64_t devices;

	if (store_device_count(c->tk.st, &devices, e) || count_rollouts(c, &run, e))
		return -1;
	int64_t staged = store_upload_total(c->tk.st);
	buf_reset(b);
	figure(b, "build_info", "gauge", "The version that runs.");
	buf_printf(b, "fettle_build_info{version=\"%s\"} 1\n", c->sv->o.version);
	one(b, "uptime_seconds", "gauge", "Since the core started.",
	    unsign(clock_mono_ms() - c->sv->started) / 1000);
	one(b, "devices", "gauge", "Devices enrolled.", unsign(devices));
	one(b, "rollouts_running", "gauge", "Rollouts that offer.", unsign(run.rollouts));
	one(b, "updates_in_flight", "gauge", "Updates from offered to confirming.",
	    unsign(run.in_flight));
	one(b, "updates_planned", "gauge", "Updates that wait.", unsign(run.planned));
	one(b, "updates_failed", "gauge", "Updates charged as failed.", unsign(run.failed));
	one(b, "upload_staged_bytes", "gauge", "Bytes of unfinished uploads.", unsign(staged));
	put_stats(b, c->sv);
	if (b->failed)
		return err_set(e, ERR_NO_MEMORY, "no memory for the figures");
	return reply_bytes(c, 200, MEDIA_METRICS, buf_slice(b), e);
}
