/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BENCH_BENCH_H
#define FETTLE_BENCH_BENCH_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What the load generators share. Their CoAP is written apart from the server's
 * on purpose: a mistake made twice would not show.
 */
#define COAP_CON 0
#define COAP_ACK 2
#define COAP_GET 1
#define COAP_POST 2
#define COAP_CONTENT 69 /* 2.05 */
#define COAP_CHANGED 68 /* 2.04 */
#define COAP_BUSY 163 /* 5.03 */
#define OPTION_PATH 11
#define OPTION_FORMAT 12
#define OPTION_BLOCK2 23
#define REQUEST_MAX 256

_Noreturn static inline void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* xorshift: the same load every time. */
static inline uint64_t bench_random(void)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static inline long bench_number(const char *text)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || v < 0) {
		fprintf(stderr, "not a number: %s\n", text);
		exit(64);
	}
	return v;
}

/* ---- times: 32 buckets for each power of two ---- */

struct times {
	uint64_t n, max, bucket[32 * 40];
};

static inline unsigned times_bucket(uint64_t us)
{
	unsigned top;

	if (us < 32)
		return (unsigned)us;
	top = 63u - (unsigned)__builtin_clzll(us);
	if (top > 39)
		return 32 * 36 - 1;
	return (top - 4) * 32 + (unsigned)(us >> (top - 5) & 31);
}

static inline uint64_t times_value(unsigned bucket)
{
	unsigned top = bucket / 32 + 4;

	return bucket < 32 ? bucket : (uint64_t)(32 + bucket % 32) << (top - 5);
}

static inline void times_add(struct times *t, int64_t us)
{
	uint64_t v = us > 0 ? (uint64_t)us : 0;

	t->n++;
	t->bucket[times_bucket(v)]++;
	if (v > t->max)
		t->max = v;
}

/* Of so many in a thousand. */
static inline uint64_t times_at(const struct times *t, uint64_t permille)
{
	uint64_t want = t->n * permille / 1000, seen = 0;

	for (unsigned i = 0; i < sizeof(t->bucket) / sizeof(t->bucket[0]); i++) {
		seen += t->bucket[i];
		if (seen > want)
			return times_value(i);
	}
	return t->max;
}

/* ---- requests ---- */

struct request_out {
	size_t n;
	unsigned last;
	uint8_t b[REQUEST_MAX];
};

static inline void out_begin(struct request_out *o, uint8_t code, uint16_t mid, uint64_t token)
{
	o->b[0] = 0x48;
	o->b[1] = code;
	o->b[2] = (uint8_t)(mid >> 8);
	o->b[3] = (uint8_t)mid;
	memcpy(o->b + 4, &token, sizeof(token));
	o->n = 12;
	o->last = 0;
}

static inline void out_option(struct request_out *o, unsigned number, const void *v, size_t n)
{
	unsigned delta = number - o->last;
	size_t at = o->n + 1;

	if (n > 268 || delta > 12 || o->n + n + 4 > sizeof(o->b)) {
		fprintf(stderr, "a request does not fit\n");
		exit(EXIT_FAILURE);
	}
	if (n > 12)
		o->b[at++] = (uint8_t)(n - 13);
	o->b[o->n] = (uint8_t)(delta << 4 | (n > 12 ? 13 : n));
	memcpy(o->b + at, v, n);
	o->n = at + n;
	o->last = number;
}

static inline void out_path(struct request_out *o, const char *path)
{
	while (*path == '/') {
		size_t n = strcspn(++path, "/");

		out_option(o, OPTION_PATH, path, n);
		path += n;
	}
}

static inline void out_uint(struct request_out *o, unsigned number, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	size_t skip = 0;

	while (skip < 4 && b[skip] == 0)
		skip++;
	out_option(o, number, b + skip, 4 - skip);
}

static inline void out_payload(struct request_out *o, const uint8_t *p, size_t n)
{
	if (o->n + n + 1 > sizeof(o->b)) {
		fprintf(stderr, "a request does not fit\n");
		exit(EXIT_FAILURE);
	}
	o->b[o->n++] = 0xff;
	memcpy(o->b + o->n, p, n);
	o->n += n;
}

/* ---- answers ---- */

struct answer {
	uint8_t type, code;
	uint16_t mid;
	bool ours; /* a token of 8 bytes */
	uint64_t token;
	bool has_block;
	uint32_t block;
	const uint8_t *payload;
	size_t n;
};

/* One nibble's extension; -1 when it is none. */
static inline long answer_extend(unsigned nibble, const uint8_t **p, const uint8_t *end)
{
	long v = (long)nibble;

	if (nibble == 13 && end - *p >= 1) {
		v = 13 + (*p)[0];
		*p += 1;
	} else if (nibble == 14 && end - *p >= 2) {
		v = 269 + ((*p)[0] << 8 | (*p)[1]);
		*p += 2;
	} else if (nibble >= 13) {
		v = -1;
	}
	return v;
}

static inline bool answer_read(struct answer *a, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	long number = 0;

	if (n < 4 || p[0] >> 6 != 1 || (p[0] & 15) > n - 4)
		return false;
	*a = (struct answer){ .type = p[0] >> 4 & 3, .code = p[1] };
	a->mid = (uint16_t)(p[2] << 8 | p[3]);
	a->ours = (p[0] & 15) == 8;
	if (a->ours)
		memcpy(&a->token, p + 4, 8);
	p += 4 + (p[0] & 15);
	while (p < end && *p != 0xff) {
		unsigned head = *p++;
		long delta = answer_extend(head >> 4, &p, end);
		long size = answer_extend(head & 15, &p, end);

		if (delta < 0 || size < 0 || size > end - p)
			return false;
		number += delta;
		if (number == OPTION_BLOCK2 && size <= 3) {
			a->has_block = true;
			for (long i = 0; i < size; i++)
				a->block = a->block << 8 | p[i];
		}
		p += size;
	}
	if (p < end) {
		a->payload = p + 1;
		a->n = (size_t)(end - p - 1);
	}
	return true;
}

/* ---- what blocks are compared with ---- */

struct bench_file {
	uint8_t *bytes;
	size_t n;
};

static inline struct bench_file file_load(const char *path)
{
	struct bench_file f = { 0 };
	FILE *in = fopen(path, "rb");
	long n;

	if (!in || fseek(in, 0, SEEK_END) != 0 || (n = ftell(in)) < 0 ||
	    fseek(in, 0, SEEK_SET) != 0)
		die(path);
	f.n = (size_t)n;
	f.bytes = malloc(f.n + 1);
	if (!f.bytes || fread(f.bytes, 1, f.n, in) != f.n)
		die(path);
	fclose(in);
	return f;
}

static inline uint32_t file_blocks(const struct bench_file *f, unsigned szx)
{
	size_t size = (size_t)16 << szx;

	return (uint32_t)((f->n + size - 1) / size);
}

/* The answer is that block, and nothing else. */
static inline bool file_block_right(const struct bench_file *f, const struct answer *a,
				    uint32_t num, unsigned szx)
{
	size_t size = (size_t)16 << szx, at = num * size, left = f->n - at;

	return a->code == COAP_CONTENT && a->has_block && a->block >> 4 == num &&
	       (a->block & 7) == szx && a->n == (left < size ? left : size) &&
	       memcmp(a->payload, f->bytes + at, a->n) == 0;
}

#endif
