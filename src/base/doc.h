/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_DOC_H
#define FETTLE_BASE_DOC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/slice.h"

/*
 * The neutral document: what a JSON or CBOR body says, without saying which.
 * Handlers read and build these; codec/docfmt turns them into bytes and back.
 * All memory is the arena's. Building is sticky: with no memory a builder call
 * returns NULL, calls on NULL do nothing, and doc_failed(arena) is checked once
 * before the document is encoded.
 *
 * DOC_U64 is an unsigned number that travels as a decimal string in JSON and as
 * uint in CBOR (sequence numbers). DOC_BYTES is lower-case hex in JSON.
 */
enum doc_type { DOC_NULL, DOC_BOOL, DOC_INT, DOC_U64, DOC_BYTES, DOC_TEXT, DOC_ARRAY, DOC_MAP };

struct doc {
	enum doc_type type;
	struct slice key;	/* name inside a map, else empty */
	union {
		bool b;
		int64_t i;	/* DOC_INT */
		uint64_t u;	/* DOC_U64 */
		struct slice s; /* DOC_BYTES, DOC_TEXT (UTF-8, no NUL) */
		struct {
			struct doc *first, *last;
			uint32_t n;
		} c;		/* DOC_ARRAY, DOC_MAP, in order */
	} v;
	struct doc *next;	/* sibling */
};

/* Building. parent NULL makes a root. key NULL inside arrays. Texts and bytes are copied. */
struct doc *doc_map(struct arena *a, struct doc *parent, const char *key);
struct doc *doc_array(struct arena *a, struct doc *parent, const char *key);
void doc_add_null(struct arena *a, struct doc *parent, const char *key);
void doc_add_bool(struct arena *a, struct doc *parent, const char *key, bool v);
void doc_add_int(struct arena *a, struct doc *parent, const char *key, int64_t v);
void doc_add_u64(struct arena *a, struct doc *parent, const char *key, uint64_t v);
/* NULL: null */
void doc_add_text(struct arena *a, struct doc *parent, const char *key, const char *v);
void doc_add_text_slice(struct arena *a, struct doc *parent, const char *key, struct slice v);
void doc_add_bytes(struct arena *a, struct doc *parent, const char *key, struct slice v);
void doc_add_digest(struct arena *a, struct doc *parent, const char *key, const struct digest *d);
/* RFC 3339 text; 0: null */
void doc_add_time(struct arena *a, struct doc *parent, const char *key, int64_t wall_ms);
/* A copy of d and all that is in it; texts and bytes stay where they are. */
void doc_add_copy(struct arena *a, struct doc *parent, const char *key, const struct doc *d);
/* True when the arena refused memory since its last reset: the document may lack members. */
bool doc_failed(const struct arena *a);
/* Low-level: append a node of the given type and return it (decoders use it). */
struct doc *doc_add(struct arena *a, struct doc *parent, struct slice key, enum doc_type t);

/* Reading. NULL when absent or d is NULL or no map. */
const struct doc *doc_get(const struct doc *d, const char *key);
uint32_t doc_count(const struct doc *d);

/*
 * Typed fields of a map with a sticky error that names the field. An absent
 * field leaves *out as it was and is an error only for need_*. Integers accept
 * DOC_INT and DOC_U64 and, for u64, decimal text. Bytes accept hex text.
 */
struct doc_reader {
	const struct doc *d;
	struct err *e;
	bool failed;
};

void doc_read_init(struct doc_reader *r, const struct doc *map, struct err *e);
bool doc_opt_text(struct doc_reader *r, const char *key, char *dst, size_t cap);
bool doc_need_text(struct doc_reader *r, const char *key, char *dst, size_t cap);
/* Words for people: as much of them as fits, no half of a letter. */
bool doc_opt_words(struct doc_reader *r, const char *key, char *dst, size_t cap);
bool doc_opt_int(struct doc_reader *r, const char *key, int64_t min, int64_t max, int64_t *out);
bool doc_need_int(struct doc_reader *r, const char *key, int64_t min, int64_t max, int64_t *out);
bool doc_opt_u64(struct doc_reader *r, const char *key, uint64_t *out);
bool doc_opt_bool(struct doc_reader *r, const char *key, bool *out);
bool doc_opt_bytes(struct doc_reader *r, const char *key, uint8_t *dst, size_t cap, size_t *n);
bool doc_opt_digest(struct doc_reader *r, const char *key, struct digest *out);
bool doc_need_digest(struct doc_reader *r, const char *key, struct digest *out);
bool doc_opt_uuid(struct doc_reader *r, const char *key, struct uuid *out);
const struct doc *doc_opt_map(struct doc_reader *r, const char *key);
const struct doc *doc_opt_array(struct doc_reader *r, const char *key);
/* Fail on members whose names are not in the NULL-ended list: the error names the stranger. */
void doc_only(struct doc_reader *r, const char *const *names);
int doc_read_end(struct doc_reader *r);	/* 0, or -1 with the first error in e */

#endif
