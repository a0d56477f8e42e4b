/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/docfmt.h"
#include "device/fleet.h"
#include "device/histogram.h"

/*
 * Load in a closed loop: always --window requests under way, the next one begins
 * when an answer came. Devices take turns, each from its own address.
 */
#define IMAGE_MAX (1u << 30)
#define REPEAT_US 2000000 /* a request without an answer is sent again */
#define SWEEP_US 100000
#define REPEATS_MAX 5

struct slot { /* one request under way */
	uint32_t device, endpoint, serial, block;
	uint16_t mid;
	uint8_t tries;
	bool busy;
	int64_t began, sent;
	uint64_t counter;
	size_t n;
	uint8_t packet[MC_PACKET_MAX];
};

struct load {
	struct fleet f; /* identities, endpoints, keys */
	struct dtls_end **ends; /* coaps: one an endpoint */
	struct slot *slots;
	uint16_t *mids; /* of each endpoint */
	uint64_t *counters; /* of each device */
	uint32_t endpoints, next, blocks;
	uint8_t szx;
	struct buf image;
	struct histogram times;
	uint64_t sent, errors, wrong, repeated, gone, bytes;
	int64_t began, until, now; /* us */
	uint16_t last_error;
};

static int report_body(struct load *l, struct slot *s, struct slice *out, struct err *e)
{
	struct arena *a = &l->f.mem;
	struct doc *d;

	arena_reset(a);
	buf_reset(&l->f.body);
	d = doc_map(a, NULL, NULL);
	s->counter = ++l->counters[s->device];
	doc_add_u64(a, d, "boot", l->f.boot + s->device);
	doc_add_u64(a, d, "counter", s->counter);
	doc_add_text(a, d, "state", "downloading");
	doc_add_int(a, d, "progress", (int64_t)(s->counter % 100));
	if (docfmt_encode(MEDIA_CBOR, d, &l->f.body, e) != 0 || doc_failed(a))
		return -1;
	*out = buf_slice(&l->f.body);
	return 0;
}

static int write_request(struct load *l, struct slot *s, struct err *e)
{
	const struct options *o = l->f.o;
	struct mc_out m = { .code = 1, .query = "", .observe = -1, .format = -1, .accept = -1 };
	char id[NAME_TEXT], path[NAME_TEXT + 32];

	m.mid = s->mid = ++l->mids[s->endpoint];
	m.token = (uint64_t)++s->serial << 32 | (uint64_t)(s - l->slots);
	m.path = o->path;
	if (o->load_kind == LOAD_BLOCKS) {
		m.block2 = true;
		m.szx = l->szx;
		l->f.random = fleet_mix(l->f.random);
		s->block = m.num = (uint32_t)(l->f.random % l->blocks);
	} else {
		fleet_id(o, s->device, id);
		text_format(path, sizeof(path), "/device/%s/%s", id,
			    o->load_kind == LOAD_POLLS ? "update" : "report");
		m.path = path;
		m.accept = MEDIA_CBOR;
	}
	if (o->load_kind == LOAD_REPORTS) {
		m.code = 2;
		m.format = MEDIA_CBOR;
		if (report_body(l, s, &m.payload, e) != 0)
			return -1;
	}
	s->n = mc_write(s->packet, sizeof(s->packet), &m);
	return s->n > 0 ? 0 : err_set(e, ERR_TOO_LARGE, "a request does not fit");
}

static void put_log(struct load *l, const struct slot *s, const char *what)
{
	char id[NAME_TEXT];

	if (!l->f.log || l->f.o->load_kind != LOAD_REPORTS)
		return;
	fleet_id(l->f.o, s->device, id);
	if (fprintf(l->f.log, "%s %s %llu %llu downloading\n", what, id,
		    (unsigned long long)(l->f.boot + s->device),
		    (unsigned long long)s->counter) < 0 ||
	    fflush(l->f.log) != 0)
		err_set(&l->f.trouble, ERR_IO, "--log cannot be written");
}

static void transmit(struct load *l, struct slot *s)
{
	struct dtls_end **end = l->ends ? &l->ends[s->endpoint] : NULL;
	uint8_t key[DTLS_KEY_SIZE];
	char id[NAME_TEXT];

	s->sent = l->now;
	if (!end) {
		fan_send(l->f.nets[0].fan, s->endpoint, s->packet, s->n);
		return;
	}
	fleet_id(l->f.o, s->device, id);
	if (!*end && fleet_key(&l->f.carrier, id, key) == 0)
		*end = dtls_connect(l->f.nets[0].dtls, s->endpoint, id, key);
	if (*end) {
		dtls_tick(*end);
		dtls_send(*end, s->packet, s->n);
	}
}

static void next_request(struct load *l, struct slot *s)
{
	struct err e = { 0 };

	s->busy = false;
	if (l->now >= l->until)
		return;
	s->device = l->next++ % l->f.n;
	s->endpoint = s->device % l->endpoints;
	s->tries = 0;
	if (write_request(l, s, &e) != 0) {
		l->f.trouble = e;
		return;
	}
	s->busy = true;
	s->began = l->now;
	l->sent++;
	put_log(l, s, "sent");
	transmit(l, s);
}

/* Is it the part of the image that was asked for? */
static bool right(const struct load *l, const struct slot *s, const struct mc_in *m)
{
	size_t size = (size_t)16 << l->szx, at = (size_t)s->block * size;
	size_t n = l->image.n - at < size ? l->image.n - at : size;

	if (l->f.o->load_kind != LOAD_BLOCKS || l->image.n == 0)
		return true;
	return m->num == s->block && m->szx == l->szx && m->payload.n == n &&
	       memcmp(m->payload.p, l->image.p + at, n) == 0;
}

static void take_message(void *ctx, uint32_t endpoint, struct slice datagram)
{
	struct load *l = ctx;
	struct slot *s;
	struct mc_in m;
	uint16_t status;
	uint8_t ack[4];

	if (mc_read(&m, datagram) != 0 || !m.has_token || (uint32_t)m.token >= l->f.o->window)
		return;
	s = &l->slots[(uint32_t)m.token];
	if (m.kind == MC_CON && mc_write_empty(ack, sizeof(ack), MC_ACK, m.mid) == 4 && !l->ends)
		fan_send(l->f.nets[0].fan, endpoint, ack, sizeof(ack));
	else if (m.kind == MC_CON && l->ends && l->ends[endpoint])
		dtls_send(l->ends[endpoint], ack, sizeof(ack));
	if (!s->busy || s->serial != m.token >> 32 || s->endpoint != endpoint)
		return;
	status = mc_status(m.code);
	if (status >= 400) {
		l->errors++;
		l->last_error = status;
	} else {
		put_log(l, s, "acked");
		l->wrong += !right(l, s, &m);
		l->bytes += m.payload.n;
		histogram_add(&l->times, (uint64_t)(l->now - s->began));
	}
	next_request(l, s);
}

static void got(void *ctx, uint32_t endpoint, struct slice datagram)
{
	struct load *l = ctx;

	l->now = clock_mono_us();
	if (!l->ends)
		take_message(ctx, endpoint, datagram);
	else if (l->ends[endpoint] && !dtls_feed(l->ends[endpoint], datagram, take_message, l)) {
		dtls_end_free(l->ends[endpoint]);
		l->ends[endpoint] = NULL;
	}
}

static void sweep(struct load *l)
{
	for (uint64_t i = 0; i < l->f.o->window; i++) {
		struct slot *s = &l->slots[i];

		if (!s->busy || l->now - s->sent < REPEAT_US)
			continue;
		if (s->tries++ == REPEATS_MAX) {
			l->gone++;
			next_request(l, s);
			continue;
		}
		l->repeated++;
		transmit(l, s);
	}
}

static bool busy(const struct load *l)
{
	for (uint64_t i = 0; i < l->f.o->window; i++)
		if (l->slots[i].busy)
			return true;
	return false;
}

/* What is under way when time is up is waited for, a little. */
static int loop(struct load *l, struct err *e)
{
	int64_t swept, last;

	l->began = l->now = swept = clock_mono_us();
	l->until = l->began + (int64_t)l->f.o->seconds * 1000000;
	last = l->until + REPEAT_US;
	for (uint64_t i = 0; i < l->f.o->window; i++)
		next_request(l, &l->slots[i]);
	while (l->now < l->until || (l->now < last && busy(l))) {
		if (fan_receive(l->f.nets[0].fan, 10, got, l) != 0)
			return err_set(e, ERR_IO, "receiving: %s", strerror(errno));
		l->now = clock_mono_us();
		if (l->now - swept > SWEEP_US) {
			swept = l->now;
			sweep(l);
		}
		if (l->f.trouble.code) {
			*e = l->f.trouble;
			return -1;
		}
	}
	return 0;
}

static int load_image(struct load *l, struct err *e)
{
	const struct options *o = l->f.o;
	uint8_t part[65536];
	FILE *from;
	size_t n;

	l->szx = mc_szx(o->block);
	l->blocks = 1;
	if (o->load_kind != LOAD_BLOCKS || !o->image)
		return 0;
	from = fopen(o->image, "rbe");
	if (!from)
		return err_set(e, ERR_IO, "%s: %s", o->image, strerror(errno));
	while ((n = fread(part, 1, sizeof(part), from)) > 0)
		buf_add(&l->image, part, n);
	(void)fclose(from);
	if (l->image.failed || l->image.n == 0)
		return err_set(e, ERR_INVALID, "%s is empty or too large", o->image);
	n = ((size_t)16 << l->szx);
	l->blocks = (uint32_t)((l->image.n + n - 1) / n);
	return l->blocks <= 1u << 20 ? 0 : err_set(e, ERR_INVALID, "%s: too many blocks", o->image);
}

static int prepare(struct load *l, struct err *e)
{
	struct fleet *f = &l->f;
	const struct options *o = f->o;

	f->n = (uint32_t)o->fleet;
	l->endpoints = o->addresses ? (uint32_t)o->addresses : f->n;
	if (l->endpoints > f->n)
		f->n = l->endpoints;
	l->slots = calloc(o->window, sizeof(*l->slots));
	l->mids = calloc(l->endpoints, sizeof(*l->mids));
	l->counters = calloc(f->n, sizeof(*l->counters));
	if (!l->slots || !l->mids || !l->counters)
		return err_set(e, ERR_NO_MEMORY, "load");
	if (carrier_options_make(o, &f->carrier, e) != 0 || load_image(l, e) != 0 ||
	    fan_open(&f->carrier.server, l->endpoints, &f->nets[0].fan, e) != 0)
		return -1;
	if (strcmp(f->carrier.server.scheme, "coaps") == 0) {
		if (l->endpoints < f->n)
			return err_set(e, ERR_INVALID,
				       "--addresses: over coaps each device has one");
		l->ends = calloc(l->endpoints, sizeof(struct dtls_end *));
		if (!l->ends)
			return err_set(e, ERR_NO_MEMORY, "sessions");
		if (!(f->nets[0].dtls = dtls_new(f->nets[0].fan, e)))
			return -1;
	}
	if (o->log && !(f->log = fopen(o->log, "ae")))
		return err_set(e, ERR_IO, "%s: %s", o->log, strerror(errno));
	random_bytes(&f->boot, sizeof(f->boot));
	f->boot = (f->boot & 0xffffffffffffu) + 1;
	f->random = o->seed;
	return 0;
}

static int print_figures(const struct load *l, struct err *e)
{
	struct arena a = ARENA_INIT(64u << 10);
	struct doc *d = doc_map(&a, NULL, NULL);
	struct buf out = BUF_INIT(4096);
	int64_t us = l->now - l->began;
	const struct {
		const char *key;
		uint64_t v;
	} figures[] = {
		{ "devices", l->f.n },
		{ "addresses", l->endpoints },
		{ "window", l->f.o->window },
		{ "requests", l->sent },
		{ "answers", l->times.n },
		{ "errors", l->errors },
		{ "last_error", l->last_error },
		{ "wrong", l->wrong },
		{ "retransmitted", l->repeated },
		{ "unanswered", l->gone },
		{ "bytes", l->bytes },
		{ "milliseconds", (uint64_t)us / 1000 },
		{ "per_second", us > 0 ? l->times.n * 1000000 / (uint64_t)us : 0 },
		{ "p50_us", histogram_at(&l->times, 500) },
		{ "p99_us", histogram_at(&l->times, 990) },
		{ "max_us", l->times.max },
	};

	doc_add_text(&a, d, "load", l->f.o->load);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		doc_add_int(&a, d, figures[i].key, (int64_t)figures[i].v);
	int rc = docfmt_encode(MEDIA_JSON, d, &out, e);
	if (rc == 0 && (doc_failed(&a) || out.failed || printf("%s\n", buf_cstr(&out)) < 0))
		rc = err_set(e, ERR_IO, "the figures cannot be written");
	buf_free(&out);
	arena_free(&a);
	return rc;
}

static void clean_up(struct load *l)
{
	for (uint32_t i = 0; l->ends && i < l->endpoints; i++)
		dtls_end_free(l->ends[i]);
	free(l->ends);
	free(l->slots);
	free(l->mids);
	free(l->counters);
	if (l->f.nets[0].fan)
		fan_flush(l->f.nets[0].fan);
	dtls_free(l->f.nets[0].dtls);
	fan_close(l->f.nets[0].fan);
	buf_free(&l->image);
	buf_free(&l->f.body);
	arena_free(&l->f.mem);
	if (l->f.log)
		(void)fclose(l->f.log);
	explicit_bzero(&l->f.carrier, sizeof(l->f.carrier));
}

int load_run(const struct options *o)
{
	struct load *l = calloc(1, sizeof(*l));
	struct err e = { 0 };
	int code = EXIT_FAILED_;

	if (!l) {
		fprintf(stderr, "fettle-device: no memory\n");
		return code;
	}
	l->f.o = o;
	l->f.mem = ARENA_INIT(1u << 20);
	l->f.body = BUF_INIT(AGENT_BODY_MAX);
	l->image = BUF_INIT(IMAGE_MAX);
	if (prepare(l, &e) != 0 || loop(l, &e) != 0 || print_figures(l, &e) != 0)
		fprintf(stderr, "fettle-device: %s\n", e.text);
	else if (l->wrong > 0 || l->times.n == 0)
		fprintf(stderr, "fettle-device: %s\n",
			l->wrong > 0 ? "wrong bytes came" : "nothing was answered");
	else
		code = EXIT_DONE_;
	clean_up(l);
	free(l);
	return code;
}
