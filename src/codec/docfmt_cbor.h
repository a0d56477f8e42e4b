/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_DOCFMT_CBOR_H
#define FETTLE_CODEC_DOCFMT_CBOR_H

#include "base/doc.h"

/* Bounds of a decoded document, whatever its form. */
#define DOCFMT_DEPTH_MAX 8
#define DOCFMT_NODES_MAX 4096
#define DOCFMT_MEMBERS_MAX 256	/* of one map: bounds the search for duplicates */

/* The CBOR halves of docfmt_decode() and docfmt_encode(). */
int docfmt_cbor_decode(struct slice bytes, struct arena *a, const struct doc **out, struct err *e);
int docfmt_cbor_encode(const struct doc *d, struct buf *out, struct err *e);

/*
 * Concise problem details (RFC 9290): title, detail, instance and status have
 * the numbers -1 to -4, status as the CoAP code. A type that is a URI becomes
 * the key of a custom problem detail entry that holds the members left over.
 */
int docfmt_problem_decode(struct slice bytes, struct arena *a, const struct doc **out,
			  struct err *e);
int docfmt_problem_encode(const struct doc *d, struct buf *out, struct err *e);

#endif
