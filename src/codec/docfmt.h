/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_DOCFMT_H
#define FETTLE_CODEC_DOCFMT_H

#include "base/doc.h"
#include "base/message.h"

/*
 * Bytes <-> struct doc. m is MEDIA_JSON, MEDIA_PROBLEM_JSON, MEDIA_CBOR or
 * MEDIA_PROBLEM_CBOR. In CBOR the members of device messages have small integer
 * keys: one table (docfmt_keys.c, the same as schema/device.cddl) maps them to
 * the names; a name without a number travels as text, and so do the names inside
 * `attributes`, which are the device's own. Problem details follow RFC 9290.
 * Decoding is strict: depth <= 8, <= 4096 nodes, <= 256 members in a map, no
 * duplicate keys, no trailing bytes, definite lengths, UTF-8 checked, no floats.
 * Errors name the byte offset or line.
 */
int docfmt_decode(enum media m, struct slice bytes, struct arena *a, const struct doc **out,
		  struct err *e);
int docfmt_encode(enum media m, const struct doc *d, struct buf *out, struct err *e);
/* Indented JSON for people (fettle --json). */
int docfmt_encode_pretty(const struct doc *d, struct buf *out, struct err *e);

#endif
