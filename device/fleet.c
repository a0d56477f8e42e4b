/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

#define SALT_MODE 0x6d6f6465u
#define SALT_DTLS 0x64746c73u

enum mode fleet_mode(const struct options *o, uint32_t n)
{
	double d = draw(fleet_mix(o->seed ^ SALT_MODE) ^ n);
	enum mode m = MODE_CLIENT;

	if (o->mode)
		return mode_parse(o->mode, &m) == 0 ? m : MODE_CLIENT;
	if (d < o->negotiated_percent)
		return MODE_NEGOTIATED;
	return d < o->negotiated_percent + o->server_percent ? MODE_SERVER : MODE_CLIENT;
}

bool fleet_secure(const struct options *o, uint32_t n)
{
	if (strncmp(o->server ? o->server : "", "coaps", 5) == 0)
		return true;
	return draw(fleet_mix(o->seed ^ SALT_DTLS) ^ n) < o->dtls_percent;
}

enum behaviour fleet_behaviour(const struct options *o, uint32_t n)
{
	const double shares[BEHAVE_COUNT] = {
		[BEHAVE_FAIL] = o->fail_percent,	   [BEHAVE_DEFER] = o->defer_percent,
		[BEHAVE_SILENT] = o->silent_percent,	   [BEHAVE_REJECT] = o->reject_percent,
		[BEHAVE_ROLL_BACK] = o->roll_back_percent,
	};
	double d = draw(fleet_mix(o->seed) ^ n), below = 0;

	for (int b = BEHAVE_FAIL; b < BEHAVE_COUNT; b++) {
		below += shares[b];
		if (d >= below)
			continue;
		/* in server mode nobody asks the device */
		if (fleet_mode(o, n) == MODE_SERVER && (b == BEHAVE_DEFER || b == BEHAVE_REJECT))
			return BEHAVE_WELL;
		return (enum behaviour)b;
	}
	return BEHAVE_WELL;
}

const char *fleet_expected(const struct options *o, uint32_t n)
{
	static const char *const states[BEHAVE_COUNT] = {
		[BEHAVE_WELL] = "succeeded",  [BEHAVE_FAIL] = "failed",
		[BEHAVE_DEFER] = "succeeded", [BEHAVE_SILENT] = "timed-out",
		[BEHAVE_REJECT] = "rejected", [BEHAVE_ROLL_BACK] = "rolled-back",
	};

	return states[fleet_behaviour(o, n)];
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

bool fleet_loses(void *fleet)
{
	struct fleet *f = fleet;
	bool lost;

	f->random = fleet_mix(f->random);
	lost = f->o->loss_percent > 0 && draw(f->random) < f->o->loss_percent;
	f->datagrams_lost += lost;
	return lost;
}

static void behave(struct agent_plan *p, enum behaviour b, const struct options *o)
{
	switch (b) {
	case BEHAVE_FAIL:
		p->fail_install = true;
		break;
	case BEHAVE_DEFER:
		p->choice = CHOICE_DEFER;
		p->defer_s = o->defer_s ? (int64_t)o->defer_s : 2;
		break;
	case BEHAVE_SILENT:
		p->silent_after = "downloading";
		break;
	case BEHAVE_REJECT:
		p->choice = CHOICE_REJECT;
		break;
	case BEHAVE_ROLL_BACK:
		p->roll_back = true;
		break;
	case BEHAVE_WELL:
	case BEHAVE_COUNT:
		break;
	}
}

/* One for each mode, behaviour and transport: what many devices share. */
static int make_plans(struct fleet *f, struct err *e)
{
	struct agent_plan *first = &f->plans[MODE_UNSET][BEHAVE_WELL][0];

	if (plan_make(f->o, first, e) != 0)
		return -1;
	first->until_done = !first->once;
	first->unverified = first->n_anchors == 0;
	first->observe = true;
	for (int m = MODE_CLIENT; m < MODE_COUNT; m++)
		for (int b = 0; b < BEHAVE_COUNT; b++)
			for (int dtls = 0; dtls < 2; dtls++) {
				struct agent_plan *p = &f->plans[m][b][dtls];

				*p = *first;
				p->mode = (enum mode)m;
				if (m == MODE_CLIENT)
					p->push = p->pull = false;
				else if (f->nets[dtls].fan)
					p->endpoint_port = fan_port(f->nets[dtls].fan);
				p->endpoint_dtls = dtls;
				if (m == MODE_SERVER && !p->pull)
					p->push = true;
				behave(p, (enum behaviour)b, f->o);
			}
	return 0;
}

static int open_net(struct fleet *f, bool dtls, struct err *e)
{
	struct net *net = &f->nets[dtls];
	struct target to = f->carrier.server;

	net->fleet = f;
	if (dtls && strcmp(to.scheme, "coaps") != 0)
		to.port = f->o->dtls_port ? (uint16_t)f->o->dtls_port : (uint16_t)(to.port + 1);
	if (fan_open(&to, f->n, &net->fan, e) != 0)
		return -1;
	fan_on_loss(net->fan, fleet_loses, f);
	return !dtls || (net->dtls = dtls_new(net->fan, e)) ? 0 : -1;
}

static int open_nets(struct fleet *f, struct err *e)
{
	bool coaps = strcmp(f->carrier.server.scheme, "coaps") == 0;

	if (strncmp(f->carrier.server.scheme, "coap", 4) != 0)
		return err_set(e, ERR_INVALID, "a fleet speaks coap or coaps");
	if (f->o->dtls_percent > 0 && f->carrier.psk_n == 0)
		return err_set(e, ERR_INVALID, "--dtls needs --psk-file");
	if (!coaps && open_net(f, false, e) != 0)
		return -1;
	return coaps || f->o->dtls_percent > 0 ? open_net(f, true, e) : 0;
}

static int write_expected(const struct fleet *f, struct err *e)
{
	char id[NAME_TEXT];
	FILE *to = fopen(f->o->expect, "we");
	int rc = to && fprintf(to, "id,state\n") > 0 ? 0 : -1;

	for (uint32_t i = 0; i < f->n && rc == 0; i++)
		if (fleet_id(f->o, i, id) != 0 ||
		    fprintf(to, "%s,%s\n", id, fleet_expected(f->o, i)) < 0)
			rc = -1;
	if (to && fclose(to) != 0)
		rc = -1;
	return rc == 0 ? 0 : err_set(e, ERR_IO, "%s: %s", f->o->expect, strerror(errno));
}

static int prepare(struct fleet *f, struct err *e)
{
	f->n = f->running = (uint32_t)f->o->fleet;
	f->oldest = f->newest = SIM_NONE;
	f->sims = calloc(f->n, sizeof(*f->sims));
	if (!f->sims || heap_init(&f->heap, f->n) != 0)
		return err_set(e, ERR_NO_MEMORY, "%u devices", f->n);
	if (carrier_options_make(f->o, &f->carrier, e) != 0 || open_nets(f, e) != 0 ||
	    make_plans(f, e) != 0 || (f->o->expect && write_expected(f, e) != 0))
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

/* Wait at most ms for either net, then take what both have. */
static int receive(struct fleet *f, int ms)
{
	struct pollfd p[2];
	nfds_t n = 0;

	for (int i = 0; i < 2; i++)
		if (f->nets[i].fan) {
			fan_flush(f->nets[i].fan);
			p[n++] = (struct pollfd){ .fd = fan_fd(f->nets[i].fan), .events = POLLIN };
		}
	if (poll(p, n, ms) < 0 && errno != EINTR)
		return -1;
	f->now = clock_mono_ms();
	for (int i = 0; i < 2; i++)
		if (f->nets[i].fan && fan_receive(f->nets[i].fan, 0, sim_got, &f->nets[i]) != 0)
			return -1;
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
		if (receive(f, (int)wait) != 0)
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
	put(&a, d, "calls", f->calls);
	put(&a, d, "sessions_open", f->sessions);
	put(&a, d, "sessions_closed", f->sessions_closed);
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
	for (int i = 0; i < 2; i++) {
		if (f->nets[i].fan)
			fan_flush(f->nets[i].fan);
		dtls_free(f->nets[i].dtls);
		fan_close(f->nets[i].fan);
	}
	heap_free(&f->heap);
	plan_free(&f->plans[MODE_UNSET][BEHAVE_WELL][0]);
	if (f->log)
		(void)fclose(f->log);
	explicit_bzero(&f->carrier, sizeof(f->carrier));
	arena_free(&f->mem);
	arena_free(&f->call_mem);
	buf_free(&f->body);
	buf_free(&f->call_body);
}

static int enroll_line(const struct options *o, const struct carrier_options *c, uint32_t n,
		       FILE *to)
{
	uint8_t key[DTLS_KEY_SIZE];
	char id[NAME_TEXT], hex[2 * DTLS_KEY_SIZE + 1];

	if (fleet_id(o, n, id) != 0)
		return -1;
	if (o->auth_none || (o->dtls_percent > 0 && !fleet_secure(o, n)))
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
	return print_summary(f, clock_mono_ms() - began, e);
}

int fleet_run(const struct options *o)
{
	struct fleet f = { .o = o,
			   .mem = ARENA_INIT(1u << 20),
			   .body = BUF_INIT(AGENT_BODY_MAX),
			   .call_mem = ARENA_INIT(1u << 20),
			   .call_body = BUF_INIT(MC_PACKET_MAX) };
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
