/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/*
 * A pass of the scheduler with 1,000 updates due among few and many devices.
 *
 *   bench_pass DIR [DEVICES ...]
 *
 * Every device has an update on offer; of 1,000 of them, spread over the fleet, the time
 * to answer is over, so each goes back for its next attempt. Prints for each size a line of
 * JSON: statements run, steps of SQLite's machine, and the longest slice with and without
 * its commit. DIR is filled and emptied again.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "bench/bench.h"
#include "tracker/hash.h"
#include "tracker/tracker.h"

#define DUE 1000
#define FILL 10000
#define SLICE_US 10000
#define FAR_MS (INT64_C(1) << 50)

struct pass {
	struct store *st;
	struct policy policy;
	struct effects fx;
	struct arena a;
	struct tracker tk;
	int64_t rollout, release;
};

static void check(int rc, const char *what, const struct err *e)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_pass: %s: %s\n", what, e->text);
	exit(EXIT_FAILURE);
}

static void add_rollout(struct pass *p, int64_t devices)
{
	struct manifest m = { .format = "suit", .size = 1, .sequence = 1 };
	struct release rel = { .name = "bench", .sequence = 1, .outage_s = -1 };
	struct rollout r = { .name = "bench",
			     .target = "all",
			     .budget = devices,
			     .total = devices,
			     .in_flight = devices,
			     .state = ROLLOUT_RUNNING };
	struct err e = { 0 };

	check(store_manifest_add(p->st, &m, NULL, 0, slice_str("m"), &e), "manifest", &e);
	check(store_release_add(p->st, &rel, &e), "release", &e);
	r.release = p->release = rel.id;
	check(store_rollout_add(p->st, &r, NULL, 0, &e), "rollout", &e);
	p->rollout = r.id;
}

static void add_device(struct pass *p, int64_t i, bool due)
{
	struct device d = { .mode = MODE_CLIENT, .created = 1, .changed = 1, .etag = 1 };
	struct device_live l = { .battery = -1, .free_flash = -1, .free_ram = -1 };
	struct update u = { .rollout = p->rollout,
			    .release = p->release,
			    .attempt = 1,
			    .state = UPDATE_OFFERED,
			    .urgency = URGENCY_NORMAL,
			    .reserved = true,
			    .track_due = due ? 1 : FAR_MS + i };
	struct err e = { 0 };

	text_format(d.id, sizeof(d.id), "device-%07" PRId64, i);
	check(store_device_add(p->st, &d, &e), "device", &e);
	u.dev = l.dev = d.dev;
	check(store_update_add(p->st, &u, &e), "update", &e);
	check(store_live_put(p->st, &l, &e), "live", &e);
}

static void fill(struct pass *p, int64_t devices)
{
	struct err e = { 0 };

	add_rollout(p, devices);
	for (int64_t i = 0; i < devices;) {
		check(store_batch_begin(p->st, &e), "begin", &e);
		for (int k = 0; k < FILL && i < devices; k++, i++)
			add_device(p, i, i % (devices / DUE) == 0);
		check(store_batch_commit(p->st, &e), "commit", &e);
		store_checkpoint(p->st, false);
	}
	store_checkpoint(p->st, true);
}

/* One slice as the core runs it; how many it handled. */
static int slice(struct pass *p, int64_t *worked, int64_t *whole)
{
	int64_t next, begin = clock_mono_us();
	struct err e = { 0 };

	effects_clear(&p->fx);
	arena_reset(&p->a);
	check(store_batch_begin(p->st, &e), "begin", &e);
	int n = scheduler_pass(&p->tk, DUE, SLICE_US, &next, &e);
	check(n, "pass", &e);
	int64_t took = clock_mono_us() - begin;
	check(store_batch_commit(p->st, &e), "commit", &e);
	int64_t all = clock_mono_us() - begin;
	*worked = took > *worked ? took : *worked;
	*whole = all > *whole ? all : *whole;
	return n;
}

static void bench(struct pass *p, int64_t devices)
{
	int64_t worked = 0, whole = 0, handled = 0, slices = 0;
	struct store_work w;
	int n;

	fill(p, devices);
	p->tk = (struct tracker){
		.st = p->st,
		.policy = &p->policy,
		.fx = &p->fx,
		.a = &p->a,
		.who = "system",
		.now = { .wall = clock_wall_ms(), .track = 1000, .wall_trusted = true }
	};
	store_work_take(p->st, &w);
	int64_t begin = clock_mono_us();
	while ((n = slice(p, &worked, &whole)) > 0) {
		handled += n;
		slices++;
	}
	int64_t took = clock_mono_us() - begin;
	store_work_take(p->st, &w);
	printf("{\"devices\": %" PRId64 ", \"due\": %" PRId64 ", \"slices\": %" PRId64
	       ", \"us\": %" PRId64 ", \"slice_us\": %" PRId64 ", \"committed_us\": %" PRId64
	       ", \"statements\": %" PRId64 ", \"steps\": %" PRId64 ", \"scanned\": %" PRId64
	       ", \"sorts\": %" PRId64 "}\n",
	       devices, handled, slices, took, worked, whole, w.statements, w.steps, w.scanned,
	       w.sorts);
}

static void forget(const char *dir)
{
	static const char *const names[] = { "fettle.db", "fettle.db-wal", "fettle.db-shm",
					     "images.db", "images.db-wal", "images.db-shm" };
	char path[4096];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_format(path, sizeof(path), "%s/%s", dir, names[i]) == 0)
			unlink(path);
}

int main(int argc, char **argv)
{
	struct store_options o = { .cache_bytes = 1 << 20 };
	struct pass *p = calloc(1, sizeof(*p));
	struct err e = { 0 };

	if (argc < 2 || !p) {
		fprintf(stderr, "usage: bench_pass DIR [DEVICES ...]\n");
		free(p);
		return 64;
	}
	o.dir = argv[1];
	p->a = ARENA_INIT(1 << 24);
	policy_defaults(&p->policy);
	for (int i = 2; i < argc; i++) {
		int64_t devices = bench_number(argv[i]);

		if (devices < DUE) {
			fprintf(stderr, "bench_pass: at least %d devices\n", DUE);
			return 64;
		}
		check(store_open(&o, &p->st, &e), argv[1], &e);
		store_set_hash(p->st, &tracker_hash);
		bench(p, devices);
		store_close(p->st);
		forget(argv[1]);
	}
	arena_free(&p->a);
	free(p);
	return EXIT_SUCCESS;
}
