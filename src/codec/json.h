/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_JSON_H
#define FETTLE_CODEC_JSON_H

#include <stdbool.h>

#include "base/doc.h"

/*
 * JSON (RFC 8259) to documents and back. Decoding refuses duplicate names,
 * numbers that are no int64_t, NUL in texts, and what passes the bounds of
 * docfmt.h; errors name the line. Encoding writes DOC_U64 as decimal text and
 * DOC_BYTES as hex.
 */
int json_decode(struct slice bytes, struct arena *a, const struct doc **out, struct err *e);
int json_encode(const struct doc *d, bool pretty, struct buf *out, struct err *e);

#endif
