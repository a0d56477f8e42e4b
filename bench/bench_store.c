/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/*
 * Durable status reports per second through the store: the same calls that a
 * report's handler makes, in batches of 1,000 and with a commit for each.
 *
 *   bench_store [directory [devices ...]]
 *
 * Each report that changes the state reads and writes the device's live row and
 * its update and adds to the history; every fourth does, the others tell
 * progress. Devices are drawn at random. Checkpoints are included.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/store.h"
#include "tracker/hash.h"

#define GROUP 1000
#define ADD_SLICE 10000

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void check(int rc, const char *what, const struct err *e)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_store: %s: %s\n", what, e->text);
	exit(EXIT_FAILURE);
}

static int64_t add_release(struct store *st)
{
	struct manifest m = { .format = "suit", .size = 1, .sequence = 1 };
	struct release r = { .name = "bench", .sequence = 1, .outage_s = -1 };
	struct err e = { 0 };

	check(store_manifest_add(st, &m, NULL, 0, slice_str("m"), &e), "manifest", &e);
	check(store_release_add(st, &r, &e), "release", &e);
	return r.id;
}

static int64_t add_rollout(struct store *st, int64_t release)
{
	struct rollout r = { .name = "bench",
			     .release = release,
			     .target = "all",
			     .budget = 1,
			     .state = ROLLOUT_RUNNING };
	struct err e = { 0 };

	check(store_rollout_add(st, &r, NULL, 0, &e), "rollout", &e);
	return r.id;
}

static void add_device(struct store *st, int64_t i, int64_t rollout, int64_t release)
{
	struct device d = { .mode = MODE_CLIENT,
			    .created = 1,
			    .changed = 1,
			    .etag = 1,
			    .manufacturer = "example",
			    .model = "c7960" };
	struct update u = { .rollout = rollout,
			    .release = release,
			    .attempt = 1,
			    .state = UPDATE_OFFERED,
			    .urgency = URGENCY_NORMAL,
			    .track_due = 1000000 + i };
	struct device_live l = { .n_boots = 1, .battery = -1, .free_flash = -1, .free_ram = -1 };
	struct err e = { 0 };

	text_format(d.id, sizeof(d.id), "device-%07" PRId64, i);
	check(store_device_add(st, &d, &e), "device", &e);
	u.dev = l.dev = d.dev;
	check(store_update_add(st, &u, &e), "update", &e);
	check(store_live_put(st, &l, &e), "live", &e);
}

static void fill(struct store *st, int64_t n)
{
	int64_t release = add_release(st), rollout = add_rollout(st, release);
	struct err e = { 0 };

	for (int64_t i = 0; i < n;) {
		check(store_batch_begin(st, &e), "begin", &e);
		for (int k = 0; k < ADD_SLICE && i < n; k++, i++)
			add_device(st, i, rollout, release);
		check(store_batch_commit(st, &e), "commit", &e);
		store_checkpoint(st, false);
	}
}

/* The walk of states a report may tell, over and over. */
static enum update_state state_after(enum update_state s)
{
	return s == UPDATE_CONFIRMING ? UPDATE_DOWNLOADING : s + 1;
}

static void report_state(struct store *st, struct update *u, struct err *e)
{
	struct history h = { .update = u->id,
			     .dev = u->dev,
			     .from = u->state,
			     .cause = "report",
			     .at = clock_wall_ms() };

	u->state = state_after(u->state == UPDATE_OFFERED ? UPDATE_ACCEPTED : u->state);
	u->changed = h.at;
	h.to = u->state;
	check(store_update_put(st, u, e), "update", e);
	check(store_history_add(st, &h, e), "history", e);
}

static void report(struct store *st, int64_t dev, bool state)
{
	struct device_live l;
	struct update u;
	struct err e = { 0 };

	store_handler_begin(st);
	check(store_live_get(st, dev, &l, &e), "live", &e);
	l.n_boots = 1;
	l.boots[0].boot = l.boot = 7;
	l.boots[0].high++;
	l.boots[0].window = l.boots[0].window << 1 | 1;
	l.last_seen = clock_wall_ms();
	check(store_live_put(st, &l, &e), "live", &e);
	check(store_update_open(st, dev, &u, &e), "update", &e);
	if (state)
		report_state(st, &u, &e);
	else
		check(store_update_progress(st, u.id, (uint8_t)(l.boots[0].high % 101), true, &e),
		      "progress", &e);
	check(store_handler_end(st, true, &e), "handler", &e);
}

static int64_t cpu_us(void)
{
	struct rusage r;

	if (getrusage(RUSAGE_SELF, &r) != 0)
		return 0;
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 + r.ru_utime.tv_usec +
	       r.ru_stime.tv_usec;
}

/* Reports per second in groups of so many a commit; prints them, and the processor time of one. */
static double run(struct store *st, int64_t devices, int group, int64_t for_ms, unsigned every)
{
	int64_t begin = clock_mono_us(), until = begin + for_ms * 1000, n = 0, cpu = cpu_us();
	struct err e = { 0 };

	while (clock_mono_us() < until) {
		check(store_batch_begin(st, &e), "begin", &e);
		for (int i = 0; i < group; i++, n++)
			report(st, 1 + (int64_t)(next_random() % (uint64_t)devices),
			       next_random() % every == 0);
		check(store_batch_commit(st, &e), "commit", &e);
		store_checkpoint(st, false);
	}
	double rate = (double)n * 1e6 / (double)(clock_mono_us() - begin);
	printf("%8" PRId64 " devices   %9.0f reports/s, %4d a commit, 1 in %u changes state; "
	       "%.1f us of processor each\n",
	       devices, rate, group, every, (double)(cpu_us() - cpu) / (double)n);
	return rate;
}

static void bench(const char *dir, int64_t devices)
{
	struct store_options o = { .dir = dir, .cache_bytes = 1 << 20 };
	struct store *st;
	struct err e = { 0 };

	check(store_open(&o, &st, &e), dir, &e);
	store_set_hash(st, &tracker_hash);
	int64_t begin = clock_mono_us();
	fill(st, devices);
	printf("%8" PRId64 " devices   enrolled with an open update at %.0f/s\n", devices,
	       (double)devices * 1e6 / (double)(clock_mono_us() - begin));
	double one = run(st, devices, 1, 3000, 4);
	double group = run(st, devices, GROUP, 5000, 4);
	double worst = run(st, devices, GROUP, 5000, 1);
	printf("%8" PRId64 " devices   ratio to a commit each: %.1f; all changing state: %.1f\n",
	       devices, group / one, worst / one);
	begin = clock_mono_us();
	store_close(st);
	check(store_open(&o, &st, &e), dir, &e);
	printf("%8" PRId64 " devices   opened again in %.1f ms\n", devices,
	       (double)(clock_mono_us() - begin) / 1000);
	store_close(st);
}

static void forget(const char *dir)
{
	static const char *const names[] = { "fettle.db", "fettle.db-wal", "fettle.db-shm",
					     "images.db", "images.db-wal", "images.db-shm" };
	char path[4096];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_format(path, sizeof(path), "%s/%s", dir, names[i]) == 0)
			unlink(path);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	struct utsname u;
	char dir[4096];

	if (uname(&u) == 0)
		printf("bench_store: %s %s %s, %ld processors, synchronous=FULL\n", u.sysname,
		       u.release, u.machine, sysconf(_SC_NPROCESSORS_ONLN));
	for (int i = argc > 2 ? 2 : 0; i < (argc > 2 ? argc : 2); i++) {
		int64_t devices = i == 0 ? 10000 : 1000000;
		if (argc > 2 && text_i64(slice_str(argv[i]), &devices) != 0)
			return 64;
		if (text_format(dir, sizeof(dir), "%s/bench-store-XXXXXX",
				argc > 1 ? argv[1] : "/var/tmp") != 0 ||
		    !mkdtemp(dir)) {
			perror("bench_store");
			return EXIT_FAILURE;
		}
		bench(dir, devices);
		forget(dir);
	}
	return EXIT_SUCCESS;
}
