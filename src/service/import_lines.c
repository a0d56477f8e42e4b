/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "service/import_lines.h"

#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "service/svc.h"

#define FIELD_MAX 512

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

/* One CSV field (RFC 4180) into dst; the rest stays in *s. 1 more fields follow, 0 the last, -1. */
static int csv_field(struct slice *s, char dst[FIELD_MAX], struct err *e)
{
	bool quoted = s->n > 0 && s->p[0] == '"', closed = false;
	size_t i = quoted, n = 0;

	for (; i < s->n; i++) {
		uint8_t ch = s->p[i];

		if (!quoted && ch == ',')
			break;
		if (closed)
			return err_set(e, ERR_MALFORMED, "text behind a quote that is closed");
		if (quoted && ch == '"') {
			if (i + 1 < s->n && s->p[i + 1] == '"') {
				i++;
			} else {
				quoted = false;
				closed = true;
				continue;
			}
		}
		if (n + 1 >= FIELD_MAX)
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

static bool has_column(const struct import_lines *l, const char *name)
{
	for (int i = 0; i < l->n_columns; i++)
		if (strcmp(l->columns[i], name) == 0)
			return true;
	return false;
}

/* Those without a name are what some programs leave at the end: nothing may be in them. */
static int check_column(const struct import_lines *l, const char *name, struct err *e)
{
	int n = l->n_columns + 1;

	if (*name && has_column(l, name))
		return err_set(e, ERR_INVALID, "column %d: \"%s\" is there twice", n, name);
	if (strncmp(name, "attr.", 5) == 0 && !name_valid(slice_str(name + 5)))
		return err_set(e, ERR_INVALID,
			       "column %d: \"%s\": names are 1-64 of letters, digits and ._:+-", n,
			       name);
	if (strncmp(name, "attr.", 5) != 0 && *name && !device_has_member(name))
		return err_set(e, ERR_INVALID, "column %d: a device has no \"%s\"", n, name);
	return 0;
}

/* JSON cannot be otherwise, and what is kept must be fit for it. */
static int check_text(struct slice line, struct err *e)
{
	if (text_is_utf8(line) && !memchr(line.p, 0, line.n))
		return 0;
	return err_set(e, ERR_MALFORMED, "the line is not text in UTF-8");
}

static int csv_head(struct import_lines *l, struct slice line, struct err *e)
{
	char field[FIELD_MAX];
	int rc = 1;

	if (check_text(line, e) != 0)
		return -1;
	while (rc == 1) {
		rc = csv_field(&line, field, e);
		if (rc < 0)
			return -1;
		if (l->n_columns == IMPORT_COLUMNS_MAX)
			return err_set(e, ERR_INVALID, "more than %d columns", IMPORT_COLUMNS_MAX);
		if (check_column(l, field, e) != 0)
			return -1;
		if (text_copy(l->columns[l->n_columns++], NAME_TEXT, field) != 0)
			return err_set(e, ERR_INVALID, "column %d: name too long", l->n_columns);
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

/* 1, 0; -1: neither, which is then refused as any other text is. */
static int truth(const char *value)
{
	if (strcmp(value, "true") == 0 || strcmp(value, "yes") == 0)
		return 1;
	return strcmp(value, "false") == 0 || strcmp(value, "no") == 0 ? 0 : -1;
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
	} else if (strcmp(column, "disabled") == 0 && truth(value) >= 0) {
		doc_add_bool(a, d, column, truth(value) > 0);
	} else {
		doc_add_text(a, d, column, value);
	}
}

static int csv_row(struct import_lines *l, struct slice line, const struct doc **out, struct err *e)
{
	struct doc *d = doc_map(l->a, NULL, NULL), *attributes = NULL;
	char field[FIELD_MAX];
	int rc = 1, i = 0;

	if (check_text(line, e) != 0)
		return -1;
	for (; rc == 1; i++) {
		rc = csv_field(&line, field, e);
		if (rc < 0)
			return -1;
		if (i == l->n_columns)
			return err_set(e, ERR_INVALID, "more fields than the head line has");
		put_field(l->a, d, &attributes, l->columns[i], field);
	}
	if (i < l->n_columns) /* a line that was cut off, perhaps */
		return err_set(e, ERR_INVALID, "fewer fields than the head line has");
	*out = d;
	return doc_failed(l->a) ? err_set(e, ERR_NO_MEMORY, "no memory for a line") : 0;
}

/* The next line with something in it; false: there is none. */
static bool next_full(struct import_lines *l, struct slice *line)
{
	while (l->rest.n > 0) {
		*line = next_line(&l->rest);
		l->line++;
		if (line->n > 0)
			return true;
	}
	return false;
}

int import_lines_begin(struct import_lines *l, struct arena *a, enum media m, struct slice body,
		       struct err *e)
{
	struct slice line;

	memset(l, 0, sizeof(*l));
	l->a = a;
	l->body = l->rest = body;
	/* the mark some programs put before UTF-8 */
	if (body.n >= 3 && memcmp(body.p, "\xef\xbb\xbf", 3) == 0)
		l->rest = slice_of(body.p + 3, body.n - 3);
	l->csv = m == MEDIA_CSV;
	if (l->csv && next_full(l, &line) && csv_head(l, line, e) != 0)
		return err_prefix(e, "head line");
	return 0;
}

size_t import_lines_at(const struct import_lines *l)
{
	return l->body.n - l->rest.n;
}

void import_lines_go(struct import_lines *l, size_t at)
{
	size_t from = import_lines_at(l);

	if (at <= from || at > l->body.n)
		return;
	for (size_t i = from; i < at; i++)
		l->line += l->body.p[i] == '\n';
	l->rest = slice_of(l->body.p + at, l->body.n - at);
}

int import_lines_next(struct import_lines *l, const struct doc **out, struct err *e)
{
	struct slice line;

	if (!next_full(l, &line))
		return 0;
	int rc = l->csv ? csv_row(l, line, out, e) : docfmt_decode(MEDIA_JSON, line, l->a, out, e);
	return rc == 0 ? 1 : -1;
}
