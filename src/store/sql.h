/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_SQL_H
#define FETTLE_STORE_SQL_H

#include <sqlite3.h>

#include "store/internal.h"

/*
 * One use of one prepared statement. Bind in the order of $1 $2 ..., step, read
 * the columns in order, end. The error is sticky: after the first one every
 * call does nothing and sql_end says -1, so a user checks once. sql_end must be
 * reached in any case; bound texts and blobs must live until then.
 */
struct sql {
	struct store *st;
	sqlite3_stmt *s;
	struct err *e;
	enum database db;
	int param, column;
	bool failed;
	bool begun; /* a write has told the batch about itself */
	uint8_t seq[4][8]; /* unsigned 64-bit parameters, big-endian */
	unsigned n_seq;
};

void sql_begin(struct sql *q, struct store *st, enum statement id, struct err *e);
/* A text made at run time, against fettle.db; few of them are kept prepared. */
void sql_begin_text(struct sql *q, struct store *st, const char *text, struct err *e);

void sql_int(struct sql *q, int64_t v);
void sql_int_or_null(struct sql *q, bool set, int64_t v);
void sql_text(struct sql *q, const char *s);
void sql_blob(struct sql *q, const void *p, size_t n); /* n 0: the empty blob */
void sql_null(struct sql *q);
void sql_slice(struct sql *q, struct slice s);
void sql_digest(struct sql *q, const struct digest *d);
void sql_uuid(struct sql *q, const struct uuid *u); /* NULL when it is not set */
void sql_u64(struct sql *q, uint64_t v); /* 8 bytes big-endian */
void sql_u64_or_null(struct sql *q, bool set, uint64_t v);

int sql_row(struct sql *q); /* 1 a row, 0 no more, -1 */

int64_t sql_get_int(struct sql *q);
bool sql_get_bool(struct sql *q);
bool sql_get_int_or_null(struct sql *q, int64_t *out); /* false: NULL */
void sql_get_text(struct sql *q, char *dst, size_t cap);
struct slice sql_get_slice(struct sql *q); /* good until the next row */
size_t sql_get_blob(struct sql *q, void *dst, size_t cap); /* how many bytes */
bool sql_get_exact(struct sql *q, void *dst, size_t n); /* false: NULL, dst zeroed */
void sql_get_digest(struct sql *q, struct digest *d);
void sql_get_uuid(struct sql *q, struct uuid *u);
bool sql_get_u64(struct sql *q, uint64_t *out); /* false: NULL */
/* A word of an enum through its parse function; q fails on a stranger. */
#define sql_get_word(q, parse, out)                            \
	do {                                                   \
		if ((parse)(sql_get_word_text(q), (out)) != 0) \
			sql_bad_row(q);                        \
	} while (0)
const char *sql_get_word_text(struct sql *q); /* the raw text, good until the next row */
void sql_bad_row(struct sql *q); /* what was read is damaged */

int sql_end(struct sql *q); /* 0, or -1 when anything failed */
int sql_run(struct sql *q); /* step to the end and end */
int sql_insert(struct sql *q, int64_t *id); /* sql_run, and the new row's id */
int sql_inserted(struct sql *q, int64_t *id); /* of an INSERT ... SELECT: sql_changed, and the id */
int sql_changed(struct sql *q); /* sql_run; rows changed, or -1 */

void u64_to_bytes(uint8_t dst[8], uint64_t v);
uint64_t u64_from_bytes(const uint8_t src[8]);

#endif
