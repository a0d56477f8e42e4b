/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/model.h"
#include "base/text.h"
#include "codec/docfmt.h"

#define COLUMNS_MAX 12
#define JSON_MAX (1ul << 30)

static int write_json(const struct doc *answer, struct err *e)
{
	struct buf out = BUF_INIT(JSON_MAX);
	int result = docfmt_encode_pretty(answer, &out, e);

	if (result == 0 && fwrite(out.p, 1, out.n, stdout) != out.n)
		result = err_set(e, ERR_IO, "standard output cannot be written");
	buf_free(&out);
	return result < 0 ? -1 : EXIT_DONE;
}

static const struct doc *child(const struct doc *d, const char *name)
{
	const struct doc *item;
	uint64_t n;

	if (d->type != DOC_ARRAY || text_u64(slice_str(name), &n) < 0)
		return doc_get(d, name);
	for (item = d->v.c.first; item && n > 0; n--)
		item = item->next;
	return item;
}

static const struct doc *follow(const struct doc *d, const char *path)
{
	while (d && *path) {
		char name[NAME_TEXT];
		size_t n = strcspn(path, ".");

		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = 0;
		d = child(d, name);
		path += n + (path[n] == '.');
	}
	return d;
}

static const char *value_of(struct arena *a, const struct doc *d)
{
	char hex[2 * 64 + 1];

	if (!d)
		return "-";
	switch (d->type) {
	case DOC_NULL:
		return "-";
	case DOC_BOOL:
		return d->v.b ? "yes" : "no";
	case DOC_INT:
		return arena_printf(a, "%lld", (long long)d->v.i);
	case DOC_U64:
		return arena_printf(a, "%llu", (unsigned long long)d->v.u);
	case DOC_TEXT:
		return d->v.s.n ? arena_printf(a, "%.*s", (int)d->v.s.n, (const char *)d->v.s.p)
				: "-";
	case DOC_BYTES:
		if (d->v.s.n > 64)
			return arena_printf(a, "%zu bytes", d->v.s.n);
		text_hex(hex, d->v.s.p, d->v.s.n);
		return arena_printf(a, "%s", hex);
	case DOC_ARRAY:
		return arena_printf(a, "%u", (unsigned)d->v.c.n);
	case DOC_MAP:
		return arena_printf(a, "%u", (unsigned)d->v.c.n);
	}
	return "-";
}

/*
 * How many bytes at p make a character that could move an operator's cursor or
 * turn the direction of a line: C0, C1, and Unicode's marks of direction.
 */
static size_t harmful(const unsigned char *p)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2;
	if (p[0] == 0xe2 && p[1] == 0x80 &&
	    (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae)))
		return 3;
	return p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9 ? 3 : 0;
}

static const char *printable(struct arena *a, struct slice s)
{
	char *copy = arena_copy(a, s.p, s.n), *to = copy;

	if (!copy)
		return "-";
	for (const char *p = copy; *p; to++) {
		size_t n = harmful((const unsigned char *)p);

		*to = n ? '?' : *p;
		p += n ? n : 1;
	}
	*to = 0;
	return copy;
}

const char *write_value(struct arena *a, const struct doc *d, const char *path)
{
	const char *v = value_of(a, follow(d, path));

	return v ? printable(a, slice_str(v)) : "-";
}

static size_t terminal_width(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return w.ws_col;
	return SIZE_MAX;
}

/* Columns a text takes: characters, as far as every one takes one. */
static size_t text_columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* At most n columns of the text; returns how many there were. */
static size_t print_cut(const char *s, size_t n)
{
	const char *p = s;
	size_t used = 0;

	while (*p && (used < n || ((unsigned char)*p & 0xc0) == 0x80))
		used += ((unsigned char)*p++ & 0xc0) != 0x80;
	printf("%.*s", (int)(p - s), s);
	return used;
}

static void print_row(const char *const *cell, const size_t *width, unsigned n, size_t limit)
{
	size_t at = 0, filled = 0;

	for (unsigned i = 0; i < n && at < limit; i++) {
		printf("%*s", (int)(at - filled), "");
		filled = at + print_cut(cell[i], limit - at);
		at += width[i] + 2;
	}
	printf("\n");
}

static int write_rows(struct ctx *c, const struct doc *items, const struct column *columns,
		      struct err *e)
{
	size_t limit = c->tty ? terminal_width() : SIZE_MAX;
	unsigned n = 0;
	const char *title[COLUMNS_MAX];
	size_t width[COLUMNS_MAX];

	for (; n < COLUMNS_MAX && columns[n].path; n++) {
		title[n] = columns[n].title;
		width[n] = text_columns(title[n]);
	}
	for (const struct doc *d = items->v.c.first; d; d = d->next)
		for (unsigned i = 0; i < n; i++) {
			size_t w = text_columns(write_value(&c->a, d, columns[i].path));

			width[i] = w > width[i] ? w : width[i];
		}
	print_row(title, width, n, limit);
	for (const struct doc *d = items->v.c.first; d; d = d->next) {
		const char *cell[COLUMNS_MAX];

		for (unsigned i = 0; i < n; i++)
			cell[i] = write_value(&c->a, d, columns[i].path);
		print_row(cell, width, n, limit);
	}
	if (ferror(stdout))
		return err_set(e, ERR_IO, "standard output cannot be written");
	return EXIT_DONE;
}

int write_table(struct ctx *c, const struct doc *answer, const struct column *columns,
		struct err *e)
{
	const struct doc *items = doc_get(answer, "items");

	if (c->json)
		return write_json(answer, e);
	if (!items || items->type != DOC_ARRAY)
		return err_set(e, ERR_MALFORMED, "the answer is no list");
	if (!items->v.c.n) {
		printf("none\n");
		return EXIT_DONE;
	}
	return write_rows(c, items, columns, e);
}

static void print_member(struct ctx *c, const struct doc *d, int indent)
{
	bool nested = (d->type == DOC_MAP || d->type == DOC_ARRAY) && d->v.c.n > 0;
	const char *key = printable(&c->a, d->key);

	if (!nested) {
		bool empty = d->type == DOC_MAP || d->type == DOC_ARRAY;
		int width = indent < 20 ? 20 - indent : 0;

		printf("%*s%-*s %s\n", indent, "", width, key,
		       empty ? "-" : write_value(&c->a, d, ""));
		return;
	}
	printf("%*s%s\n", indent, "", key);
	for (const struct doc *m = d->v.c.first; m; m = m->next) {
		if (m->type == DOC_MAP && d->type == DOC_ARRAY) {
			printf("%*s-\n", indent + 2, "");
			for (const struct doc *x = m->v.c.first; x; x = x->next)
				print_member(c, x, indent + 4);
		} else if (d->type == DOC_ARRAY) {
			printf("%*s%s\n", indent + 2, "", write_value(&c->a, m, ""));
		} else {
			print_member(c, m, indent + 2);
		}
	}
}

int write_object(struct ctx *c, const struct doc *answer, struct err *e)
{
	if (c->json)
		return write_json(answer, e);
	if (!answer || answer->type != DOC_MAP)
		return err_set(e, ERR_MALFORMED, "the answer is no object");
	for (const struct doc *d = answer->v.c.first; d; d = d->next)
		print_member(c, d, 0);
	return EXIT_DONE;
}

int write_gates(struct ctx *c, const struct doc *answer, struct err *e)
{
	const struct doc *gates = doc_get(answer, "gates");
	bool closed = false;

	if (c->json)
		return write_object(c, answer, e);
	if (!gates || gates->type != DOC_ARRAY)
		return err_set(e, ERR_MALFORMED, "the answer has no gates");
	for (const struct doc *g = gates->v.c.first; g; g = g->next) {
		const struct doc *open = doc_get(g, "open");
		bool is_open = open && open->type == DOC_BOOL && open->v.b;

		printf("%s %-16s %s\n",
		       is_open	? "  open  "
		       : closed ? "  closed"
				: "> closed",
		       write_value(&c->a, g, "gate"), write_value(&c->a, g, "value"));
		closed = closed || !is_open;
	}
	return EXIT_DONE;
}
