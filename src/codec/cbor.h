/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_CBOR_H
#define FETTLE_CODEC_CBOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/*
 * CBOR (RFC 8949) in a strict profile: definite lengths, shortest heads
 * (section 4.2.1 without the sorting), UTF-8 checked, no floats and no simple
 * values but false, true and null, nesting <= CBOR_DEPTH_MAX inside one skipped
 * item. Slices that come out point into the bytes that went in.
 */
#define CBOR_DEPTH_MAX 16
#define CBOR_KEYS_MAX 96

enum cbor_kind {
	CBOR_NONE,		/* at the end, or after an error */
	CBOR_UINT,
	CBOR_NINT,
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_TAG,
	CBOR_BOOL,
	CBOR_NULL,
};

struct cbor_item {
	enum cbor_kind kind;
	uint64_t n;		/* value; -1-n for NINT; length; members or pairs; tag; bool */
	struct slice s;		/* BYTES, TEXT */
	size_t whole;		/* bytes of the head, and of the string behind it */
};

/*
 * A cursor over a sequence of items. The first error sticks: e (may be NULL)
 * is filled with the byte offset, later takes return zero, empty or false, and
 * cbor_peek() says CBOR_NONE, so that counted loops end by themselves.
 */
struct cbor_reader {
	const uint8_t *base;
	struct slice left;
	struct cbor_item item;	/* peeked, valid when kind is not CBOR_NONE */
	struct err *e;
	bool failed;
};

void cbor_begin(struct cbor_reader *c, struct slice bytes, struct err *e);
enum cbor_kind cbor_peek(struct cbor_reader *c);
uint64_t cbor_take_uint(struct cbor_reader *c);
int64_t cbor_take_int(struct cbor_reader *c);		/* either sign, within int64_t */
struct slice cbor_take_bytes(struct cbor_reader *c);
struct slice cbor_take_text(struct cbor_reader *c);
uint64_t cbor_take_array(struct cbor_reader *c);	/* members to come */
uint64_t cbor_take_map(struct cbor_reader *c);		/* pairs to come */
uint64_t cbor_take_tag(struct cbor_reader *c);
bool cbor_take_bool(struct cbor_reader *c);
void cbor_take_null(struct cbor_reader *c);
/* One whole item of any kind, checked to its depths, as it stands in the bytes. */
struct slice cbor_take_raw(struct cbor_reader *c);
/* Nothing may be left. 0, or -1 with the first error. */
int cbor_end(struct cbor_reader *c);
/* Fail by the caller's own rule; returns -1. A failed cursor keeps its first error. */
int cbor_fail(struct cbor_reader *c, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The keys of one map seen so far, as raw items. */
struct cbor_keys {
	struct slice k[CBOR_KEYS_MAX];
	size_t n;
};

/* Take the next map key; refuses one that was there before. */
struct slice cbor_take_key(struct cbor_reader *c, struct cbor_keys *seen);
/* The same for maps whose keys are integers. */
int64_t cbor_take_label(struct cbor_reader *c, struct cbor_keys *seen);

/* Exactly one item in the profile? */
int cbor_check(struct slice bytes, struct err *e);

/* Writing. buf is sticky. */
void cbor_put_uint(struct buf *b, uint64_t v);
void cbor_put_int(struct buf *b, int64_t v);
void cbor_put_bytes(struct buf *b, struct slice s);
void cbor_put_text(struct buf *b, struct slice s);
void cbor_put_array(struct buf *b, uint64_t n);
void cbor_put_map(struct buf *b, uint64_t n);
void cbor_put_tag(struct buf *b, uint64_t tag);
void cbor_put_bool(struct buf *b, bool v);
void cbor_put_null(struct buf *b);

#endif
