/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_IMPORT_LINES_H
#define FETTLE_SERVICE_IMPORT_LINES_H

#include "base/doc.h"
#include "base/message.h"
#include "base/model.h"

/*
 * Devices in bulk, a line each: one JSON map, or CSV (RFC 4180) with a head line naming the
 * members of POST /devices (tags separated by blanks, "attr.NAME" columns).
 */
#define IMPORT_COLUMNS_MAX 16

struct import_lines {
	struct arena *a;
	struct slice body, rest;
	bool csv;
	int line; /* of the body, from 1; that of the last document */
	char columns[IMPORT_COLUMNS_MAX][NAME_TEXT];
	int n_columns;
};

/* m: MEDIA_CSV or MEDIA_NDJSON. -1: the head line is bad, line says which it is. */
int import_lines_begin(struct import_lines *l, struct arena *a, enum media m, struct slice body,
		       struct err *e);
/* Where it stands, and going on from there another time. */
size_t import_lines_at(const struct import_lines *l);
void import_lines_go(struct import_lines *l, size_t at);
/* 1 a line's document, 0 there is none any more, -1 this line is bad: others may follow. */
int import_lines_next(struct import_lines *l, const struct doc **out, struct err *e);

#endif
