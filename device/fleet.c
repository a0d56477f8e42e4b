/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/docfmt.h"

#define RAMP_PER_MS 4u /* devices that begin in each ms */
#define TURN_MS 50

uint64_t fleet_mix(uint64_t v)
{
	v += 0x9e3779b97f4a7c15u;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
	v = (v ^ v >> 27) * 0x94d049bb133111ebu;
	return v ^ v >> 31;
}

/* 0 .. 100, the same for the same seed and device */
static double draw(uint64_t v)
{
	return (double)(fleet_mix(v) >> 11) / (double)(UINT64_C(1) << 53) * 100;
}

enum behaviour fleet_behaviour(const struct options *o, uint32_t n)
{
	double d = draw(fleet_mix(o->seed) ^ n);

	if (d < o->fail_percent)
		return BEHAVE_FAIL;
	if (d < o->fail_percent + o->defer_percent)
		return BEHAVE_DEFER;
	if (d < o->fail_percent + o->defer_percent + o->silent_percent)
		return BEHAVE_SILENT;
	return BEHAVE_WELL;
}

int fleet_id(const struct options *o, uint32_t n, char id[NAME_TEXT])
{
	return text_format(id, NAME_TEXT, "%s%05u", o->prefix, n);
}

int fleet_key(const struct carrier_options *c, const char *id, uint8_t key[DTLS_KEY_SIZE])
{
	struct digest d;

	if (hmac_sha256(slice_of(c->psk, c->psk_n), slice_str(id), &d) != 0)
		return -1;
	memcpy(key, d.b, DTLS_KEY_SIZE);
	explicit_bzero(&d, sizeof(d));
	return 0;
}

bool fleet_loses(struct fleet *f)
{
	f->random = fleet_mix(f->random);
	return f->o->loss_percent > 0 && draw(f->random) < f->o->loss_percent;
}

static int make_plans(struct fleet *f, struct err *e)
{
	struct agent_plan *p = &f->plans[BEHAVE_WELL];

	if (plan_make(f->o, p, e) != 0)
		return -1;
	p->until_done = !p->once;
	p->unverified = p->n_anchors == 0;
	p->observe = true;
	for (int i = 1; i < BEHAVE_COUNT; i++)
		f->plans[i] = *p;
	f->plans[BEHAVE_FAIL].fail_install = true;
	f->plans[BEHAVE_DEFER].choice = CHOICE_DEFER;
	f->plans[BEHAVE_DEFER].defer_s = f->o->defer_s ? (int64_t)f->o->defer_s : 2;
	f->plans[BEHAVE_SILENT].silent_after = "downloading";
	return 0;
}

static int prepare(struct fleet *f, struct err *e)
{
	f->n = f->running = (uint32_t)f->o->fleet;
	f->sims = calloc(f->n, sizeof(*f->sims));
	if (!f->sims || heap_init(&f->heap, f->n) != 0)
		return err_set(e, ERR_NO_MEMORY, "%u devices", f->n);
	if (make_plans(f, e) != 0 || carrier_options_make(f->o, &f->carrier, e) != 0)
		return -1;
	if (strncmp(f->carrier.server.scheme, "coap", 4) != 0)
		return err_set(e, ERR_INVALID, "a fleet speaks coap or coaps");
	if (fan_open(&f->carrier.server, f->n, &f->fan, e) != 0)
		return -1;
	if (strcmp(f->carrier.server.scheme, "coaps") == 0 && !(f->dtls = dtls_new(f->fan, e)))
		return -1;
	if (f->o->log && !(f->log = fopen(f->o->log, "ae")))
		return err_set(e, ERR_IO, "%s: %s", f->o->log, strerror(errno));
	/* never a boot id that an earlier run of this fleet used */
	random_bytes(&f->boot, sizeof(f->boot));
	f->boot = (f->boot & 0xffffffffffffu) + 1;
	f->random = f->o->seed;
	f->now = clock_mono_ms();
	for (uint32_t i = 0; i < f->n; i++) {
		if (sim_init(f, i, e) != 0)
			return -1;
		heap_set(&f->heap, i, f->now + i / RAMP_PER_MS);
	}
	return 0;
}

static int loop(struct fleet *f, int64_t until, struct err *e)
{
	uint32_t who;
	int64_t due;

	while (f->running > 0 && f->now < until) {
		int64_t wait = TURN_MS;

		if (heap_first(&f->heap, &who, &due) && due - f->now < wait)
			wait = due > f->now ? due - f->now : 0;
		if (fan_receive(f->fan, (int)wait, sim_got, f) != 0)
			return err_set(e, ERR_IO, "receiving: %s", strerror(errno));
		f->now = clock_mono_ms();
		while (heap_first(&f->heap, &who, &due) && due <= f->now && !f->trouble.code)
			sim_due(&f->sims[who]);
		if (f->trouble.code) {
			*e = f->trouble;
			return -1;
		}
	}
	return 0;
}

struct sums {
	uint64_t ends[RESULT_COUNT], deferred, sent, acked, bytes, wrong;
};

static void add_up(const struct fleet *f, struct sums *t)
{
	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; i < f->n; i++) {
		const struct agent *a = &f->sims[i].agent;

		t->ends[f->sims[i].over ? a->result : RESULT_NONE]++;
		t->deferred += a->plan->choice == CHOICE_DEFER && a->result != RESULT_NONE;
		t->sent += a->sent;
		t->acked += a->acknowledged;
		t->bytes += a->bytes;
		t->wrong += a->digests_wrong;
	}
}

static void put(struct arena *a, struct doc *d, const char *key, uint64_t v)
{
	doc_add_int(a, d, key, (int64_t)v);
}

static int print_summary(const struct fleet *f, int64_t ms, struct err *e)
{
	struct arena a = ARENA_INIT(64u << 10);
	struct doc *d = doc_map(&a, NULL, NULL);
	struct buf out = BUF_INIT(4096);
	struct sums t;

	add_up(f, &t);
	put(&a, d, "devices", f->n);
	put(&a, d, "succeeded", t.ends[RESULT_SUCCEEDED]);
	put(&a, d, "failed", t.ends[RESULT_FAILED]);
	put(&a, d, "rejected", t.ends[RESULT_REJECTED]);
	put(&a, d, "rolled_back", t.ends[RESULT_ROLLED_BACK]);
	put(&a, d, "deferred", t.deferred);
	put(&a, d, "silent", t.ends[RESULT_SILENT]);
	put(&a, d, "refused", t.ends[RESULT_REFUSED]);
	put(&a, d, "nothing", t.ends[RESULT_NOTHING]);
	put(&a, d, "unfinished", f->running);
	put(&a, d, "reports_sent", t.sent);
	put(&a, d, "reports_acked", t.acked);
	put(&a, d, "bytes", t.bytes);
	put(&a, d, "digests_wrong", t.wrong);
	put(&a, d, "lost", f->datagrams_lost);
	put(&a, d, "retransmitted", f->retransmitted);
	put(&a, d, "seconds", (uint64_t)(ms + 999) / 1000);
	put(&a, d, "milliseconds", (uint64_t)ms);
	int rc = docfmt_encode(MEDIA_JSON, d, &out, e);
	if (rc == 0 && (doc_failed(&a) || out.failed || printf("%s\n", buf_cstr(&out)) < 0))
		rc = err_set(e, ERR_IO, "the summary cannot be written");
	buf_free(&out);
	arena_free(&a);
	return rc;
}

static void clean_up(struct fleet *f)
{
	for (uint32_t i = 0; f->sims && i < f->n; i++)
		sim_free(&f->sims[i]);
	free(f->sims);
	dtls_free(f->dtls);
	fan_close(f->fan);
	heap_free(&f->heap);
	plan_free(&f->plans[BEHAVE_WELL]);
	if (f->log)
		(void)fclose(f->log);
	explicit_bzero(&f->carrier, sizeof(f->carrier));
	arena_free(&f->mem);
	buf_free(&f->body);
}

static int enroll_line(const struct options *o, const struct carrier_options *c, uint32_t n,
		       FILE *to)
{
	uint8_t key[DTLS_KEY_SIZE];
	char id[NAME_TEXT], hex[2 * DTLS_KEY_SIZE + 1];

	if (fleet_id(o, n, id) != 0)
		return -1;
	if (o->auth_none)
		return fprintf(to, "{\"id\":\"%s\",\"auth\":\"none\"}\n", id) < 0 ? -1 : 0;
	if (fleet_key(c, id, key) != 0)
		return -1;
	text_hex(hex, key, sizeof(key));
	int rc = fprintf(to, "{\"id\":\"%s\",\"psk\":\"%s\"}\n", id, hex) < 0 ? -1 : 0;
	explicit_bzero(key, sizeof(key));
	explicit_bzero(hex, sizeof(hex));
	return rc;
}

/* The keys in it are nobody else's. */
static FILE *open_private(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f && fd >= 0)
		(void)close(fd);
	return f;
}

static int enroll(const struct options *o, struct err *e)
{
	struct carrier_options c = { 0 };
	bool out = strcmp(o->enroll_out, "-") == 0;
	FILE *to;
	int rc = 0;

	if (!o->auth_none && !o->psk_file)
		return err_set(e, ERR_INVALID, "--enroll-out needs --psk-file or --auth-none");
	if (o->psk_file && psk_read(o->psk_file, c.psk, &c.psk_n, e) != 0)
		return -1;
	to = out ? stdout : open_private(o->enroll_out);
	if (!to)
		return err_set(e, ERR_IO, "%s: %s", o->enroll_out, strerror(errno));
	for (uint32_t i = 0; i < o->fleet && rc == 0; i++)
		rc = enroll_line(o, &c, i, to);
	if (fflush(to) != 0)
		rc = -1;
	if (!out && fclose(to) != 0)
		rc = -1;
	explicit_bzero(&c, sizeof(c));
	return rc == 0 ? 0 : err_set(e, ERR_IO, "%s cannot be written", o->enroll_out);
}

static int run(struct fleet *f, struct err *e)
{
	int64_t began, until = INT64_MAX;

	if (prepare(f, e) != 0)
		return -1;
	began = clock_mono_ms();
	if (f->o->timeout_s)
		until = began + (int64_t)f->o->timeout_s * 1000;
	if (loop(f, until, e) != 0)
		return -1;
	fan_flush(f->fan);
	return print_summary(f, clock_mono_ms() - began, e);
}

int fleet_run(const struct options *o)
{
	struct fleet f = { .o = o, .mem = ARENA_INIT(1u << 20), .body = BUF_INIT(AGENT_BODY_MAX) };
	struct err e = { 0 };
	int rc = o->enroll_out ? enroll(o, &e) : run(&f, &e);

	if (rc != 0)
		fprintf(stderr, "fettle-device: %s\n", e.text);
	else if (f.running > 0)
		fprintf(stderr, "fettle-device: %u devices are not done\n", f.running);
	rc = rc != 0 || f.running > 0 ? EXIT_FAILED_ : EXIT_DONE_;
	clean_up(&f);
	return rc;
}
