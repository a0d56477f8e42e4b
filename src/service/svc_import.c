/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "service/svc.h"

#define LINES_MAX 2000
#define ERRORS_SHOWN 50
#define COLUMNS_MAX 16
#define FIELD_MAX 512

/*
 * Devices in bulk: one JSON map a line, or CSV with a head line naming the members
 * of POST /devices (tags separated by blanks, "attr.NAME" columns). All lines or
 * none: every bad one is named.
 */
struct import {
	struct call *c;
	struct doc *errors;
	int line, added, bad;
	/* CSV: the head */
	char columns[COLUMNS_MAX][NAME_TEXT];
	int n_columns;
};

static struct slice next_line(struct slice *rest)
{
	const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;
	struct slice line = slice_of(rest->p, n);

	*rest = end ? slice_of(end + 1, rest->n - n - 1) : slice_of(NULL, 0);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static void blame(struct import *im, const struct err *why)
{
	struct arena *a = im->c->tk.a;

	if (im->bad++ >= ERRORS_SHOWN)
		return;
	struct doc *d = doc_map(a, im->errors, NULL);
	doc_add_int(a, d, "line", im->line);
	doc_add_text(a, d, "detail", why->text);
}

/* One CSV field (RFC 4180) into dst; the rest stays in *s. 1 more fields follow, 0 the last, -1. */
static int csv_field(struct slice *s, char dst[FIELD_MAX], struct err *e)
{
	bool quoted = s->n > 0 && s->p[0] == '"';
	size_t i = quoted, n = 0;

	for (; i < s->n; i++) {
		uint8_t ch = s->p[i];

		if (!quoted && ch == ',')
			break;
		if (quoted && ch == '"') {
			if (i + 1 < s->n && s->p[i + 1] == '"') {
				i++;
			} else {
				quoted = false;
				continue;
			}
		}
		if (n + 1 >= FIELD_MAX || ch == 0)
			return err_set(e, ERR_INVALID, "a field of more than %d bytes",
				       FIELD_MAX - 1);
		dst[n++] = (char)ch;
	}
	dst[n] = '\0';
	if (quoted)
		return err_set(e, ERR_MALFORMED, "a quote is not closed");
	if (i >= s->n) {
		*s = slice_of(NULL, 0);
		return 0;
	}
	*s = slice_of(s->p + i + 1, s->n - i - 1);
	return 1;
}

static int csv_head(struct import *im, struct slice line, struct err *e)
{
	char field[FIELD_MAX];
	int rc = 1;

	while (rc == 1) {
		rc = csv_field(&line, field, e);
		if (rc < 0)
			return -1;
		if (im->n_columns == COLUMNS_MAX)
			return err_set(e, ERR_INVALID, "more than %d columns", COLUMNS_MAX);
		if (text_copy(im->columns[im->n_columns++], NAME_TEXT, field) != 0)
			return err_set(e, ERR_INVALID, "column %d: name too long", im->n_columns);
	}
	return 0;
}

static void put_tags(struct arena *a, struct doc *d, const char *words)
{
	struct doc *list = doc_array(a, d, "tags");

	while (*words) {
		size_t n = strcspn(words, " ");

		if (n > 0)
			doc_add_text_slice(a, list, NULL, slice_of(words, n));
		words += n + strspn(words + n, " ");
	}
}

static void put_field(struct arena *a, struct doc *d, struct doc **attributes, const char *column,
		      const char *value)
{
	int64_t n;

	if (*value == '\0')
		return;
	if (strcmp(column, "tags") == 0) {
		put_tags(a, d, value);
	} else if (strncmp(column, "attr.", 5) == 0) {
		if (!*attributes)
			*attributes = doc_map(a, d, "attributes");
		if (text_i64(slice_str(value), &n) == 0)
			doc_add_int(a, *attributes, column + 5, n);
		else
			doc_add_text(a, *attributes, column + 5, value);
	} else if (strcmp(column, "contact_interval") == 0 && text_i64(slice_str(value), &n) == 0) {
		doc_add_int(a, d, column, n);
	} else if (strcmp(column, "disabled") == 0) {
		doc_add_bool(a, d, column, strcmp(value, "true") == 0);
	} else {
		doc_add_text(a, d, column, value);
	}
}

static int csv_row(struct import *im, struct slice line, const struct doc **out, struct err *e)
{
	struct arena *a = im->c->tk.a;
	struct doc *d = doc_map(a, NULL, NULL), *attributes = NULL;
	char field[FIELD_MAX];
	int rc = 1;

	for (int i = 0; rc == 1; i++) {
		rc = csv_field(&line, field, e);
		if (rc < 0)
			return -1;
		if (i == im->n_columns)
			return err_set(e, ERR_INVALID, "more fields than the head line has");
		put_field(a, d, &attributes, im->columns[i], field);
	}
	*out = d;
	return 0;
}

static int one_line(struct import *im, struct slice line, bool csv, struct err *e)
{
	const struct doc *body = NULL;
	struct device d;

	if (csv ? csv_row(im, line, &body, e)
		: docfmt_decode(MEDIA_JSON, line, im->c->tk.a, &body, e))
		return -1;
	if (device_add(im->c, body, &d, e) != 0)
		return -1;
	int rc = scope_takes(im->c, d.dev, e);
	if (rc == 0)
		return err_set(e, ERR_FORBIDDEN, "the device is outside what %s may touch",
			       im->c->who.name);
	return rc < 0 ? -1 : 0;
}

static int all_lines(struct import *im, bool csv, struct err *e)
{
	struct slice rest = im->c->rq->body;

	while (rest.n > 0) {
		struct slice line = next_line(&rest);
		struct err why = { 0 };

		im->line++;
		if (line.n == 0)
			continue;
		if (im->line > LINES_MAX)
			return err_set(e, ERR_TOO_LARGE, "more than %d lines: send them in parts",
				       LINES_MAX);
		if (csv && im->n_columns == 0) {
			if (csv_head(im, line, e) != 0)
				return err_prefix(e, "head line");
			continue;
		}
		if (one_line(im, line, csv, &why) == 0) {
			im->added++;
		} else if (why.code >= ERR_BUSY) {
			*e = why;
			return -1;
		} else {
			blame(im, &why);
		}
	}
	return 0;
}

/* An answer over 399 takes back what was written: all lines or none. */
static int reply_bad_lines(struct import *im, struct doc *d, struct err *e)
{
	struct arena *a = im->c->tk.a;

	doc_add_text(a, d, "type", "urn:fettle:invalid");
	doc_add_int(a, d, "status", 422);
	doc_add_text(a, d, "title", status_phrase(422));
	doc_add_text(a, d, "detail",
		     arena_printf(a, "%d bad lines; nothing was enrolled", im->bad));
	if (reply_doc(im->c, 422, d, e) != 0)
		return -1;
	im->c->rs->media = MEDIA_PROBLEM_JSON;
	return 0;
}

int svc_devices_import(struct call *c, struct err *e)
{
	struct import *im = arena_alloc(c->tk.a, sizeof(*im));
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	enum media m = c->rq->content_format;

	if (!im)
		return err_set(e, ERR_NO_MEMORY, "no memory for the import");
	if (m != MEDIA_CSV && m != MEDIA_NDJSON)
		return err_set(e, ERR_MEDIA, "an import is text/csv or application/x-ndjson");
	im->c = c;
	im->errors = doc_array(c->tk.a, d, "errors");
	if (all_lines(im, m == MEDIA_CSV, e) != 0)
		return -1;
	if (im->bad > 0)
		return reply_bad_lines(im, d, e);
	doc_add_int(c->tk.a, d, "added", im->added);
	return reply_doc(c, 200, d, e);
}
