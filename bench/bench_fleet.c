/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/*
 * A data directory with devices in it, for a daemon to start on.
 *
 *   bench_fleet DIR DEVICES [SECURE [updates]]
 *
 * device-0000000 and on are served by their path; secure-0000000 and on, SECURE of
 * them, by the key "fettle-benchmark". With "updates" each of the former has an
 * update on offer.
 */
#include "base/clock.h"
#include "base/text.h"
#include "bench/bench.h"
#include "store/store.h"

#define SLICE 10000
#define FAR_MS (INT64_C(1) << 50)

static void check(int rc, const char *what, const struct err *e)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_fleet: %s: %s\n", what, e->text);
	exit(EXIT_FAILURE);
}

static int64_t add_release(struct store *st)
{
	struct manifest m = { .format = "suit", .size = 1, .sequence = 1 };
	struct release r = { .name = "bench-reports", .sequence = 1, .outage_s = -1 };
	struct err e = { 0 };

	check(store_manifest_add(st, &m, NULL, 0, slice_str("m"), &e), "manifest", &e);
	check(store_release_add(st, &r, &e), "release", &e);
	return r.id;
}

static int64_t add_rollout(struct store *st, int64_t release, int64_t devices)
{
	struct rollout r = { .name = "bench-reports",
			     .release = release,
			     .target = "all",
			     .budget = devices,
			     .total = devices,
			     .in_flight = devices,
			     .state = ROLLOUT_RUNNING };
	struct err e = { 0 };

	check(store_rollout_add(st, &r, NULL, 0, &e), "rollout", &e);
	return r.id;
}

struct offer_of {
	int64_t rollout, release;
};

static void add_update(struct store *st, int64_t dev, const struct offer_of *of)
{
	struct update u = { .dev = dev,
			    .rollout = of->rollout,
			    .release = of->release,
			    .attempt = 1,
			    .state = UPDATE_OFFERED,
			    .urgency = URGENCY_NORMAL,
			    .reserved = true,
			    .track_due = FAR_MS + dev };
	struct device_live l = { .dev = dev, .battery = -1, .free_flash = -1, .free_ram = -1 };
	struct err e = { 0 };

	check(store_update_add(st, &u, &e), "update", &e);
	check(store_live_put(st, &l, &e), "live", &e);
}

static int64_t add_device(struct store *st, const char *name, int64_t i, enum device_auth auth)
{
	struct device d = { .auth = auth,
			    .mode = MODE_CLIENT,
			    .created = 1,
			    .changed = 1,
			    .etag = 1,
			    .manufacturer = "example.com",
			    .model = "lamp" };
	struct err e = { 0 };

	if (text_format(d.id, sizeof(d.id), "%s-%07" PRId64, name, i) != 0)
		check(-1, name, &e);
	check(store_device_add(st, &d, &e), d.id, &e);
	return d.dev;
}

static void add_key(struct store *st, int64_t dev, int64_t i)
{
	struct credential c = {
		.dev = dev, .kind = CREDENTIAL_PSK, .secret_len = 16, .created = 1
	};
	struct err e = { 0 };

	memcpy(c.secret, "fettle-benchmark", 16);
	if (text_format(c.identity, sizeof(c.identity), "secure-%07" PRId64, i) != 0)
		check(-1, "identity", &e);
	check(store_credential_add(st, &c, &e), c.identity, &e);
}

static void fill(struct store *st, int64_t devices, int64_t secure, bool updates)
{
	struct offer_of of = { 0 };
	struct err e = { 0 };

	if (updates) {
		of.release = add_release(st);
		of.rollout = add_rollout(st, of.release, devices);
	}
	for (int64_t i = 0; i < devices + secure;) {
		check(store_batch_begin(st, &e), "begin", &e);
		for (int k = 0; k < SLICE && i < devices + secure; k++, i++) {
			if (i >= devices) {
				int64_t n = i - devices;

				add_key(st, add_device(st, "secure", n, AUTH_CREDENTIAL), n);
				continue;
			}
			int64_t dev = add_device(st, "device", i, AUTH_NONE);
			if (updates)
				add_update(st, dev, &of);
		}
		check(store_batch_commit(st, &e), "commit", &e);
		store_checkpoint(st, false);
	}
}

int main(int argc, char **argv)
{
	struct store_options o = { .cache_bytes = 1 << 20 };
	struct store *st;
	struct err e = { 0 };

	if (argc < 3 || argc > 5) {
		fprintf(stderr, "usage: bench_fleet DIR DEVICES [SECURE [updates]]\n");
		return 64;
	}
	o.dir = argv[1];
	check(store_open(&o, &st, &e), argv[1], &e);
	fill(st, bench_number(argv[2]), argc > 3 ? bench_number(argv[3]) : 0,
	     argc > 4 && strcmp(argv[4], "updates") == 0);
	store_checkpoint(st, true);
	store_close(st);
	return EXIT_SUCCESS;
}
