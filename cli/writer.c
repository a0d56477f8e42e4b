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

static int write_json(struct ctx *c, const struct doc *answer, struct err *e)
{
	struct buf out = BUF_INIT(CLIENT_BODY_MAX);
	int result = docfmt_encode_pretty(answer, &out, e);

	(void)c;
	if (result == 0)
		printf("%s\n", buf_cstr(&out));
	buf_free(&out);
	return result < 0 ? -1 : EXIT_DONE;
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
		d = doc_get(d, name);
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

/* Control bytes from a device's words must not move an operator's cursor. */
static const char *printable(const char *s)
{
	char *p = (char *)(uintptr_t)s;

	for (; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return s;
}

const char *write_value(struct arena *a, const struct doc *d, const char *path)
{
	const char *v = value_of(a, follow(d, path));

	return v ? printable(arena_copy(a, v, strlen(v))) : "-";
}

static unsigned terminal_width(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return w.ws_col;
	return 0; /* no terminal: nothing is cut */
}

static void print_row(const char *const *cell, const size_t *width, unsigned n, unsigned limit)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n; i++) {
		int w = (int)width[i], left = limit ? (int)limit - (int)used : 1 << 20;

		if (left <= 0)
			break;
		if (i + 1 == n)
			printf("%.*s", left, cell[i]);
		else
			printf("%-*.*s", w < left ? w : left, left, cell[i]);
		used += (unsigned)width[i] + 2;
		if (i + 1 < n && (!limit || used < limit))
			printf("  ");
	}
	printf("\n");
}

static int write_rows(struct ctx *c, const struct doc *items, const struct column *columns,
		      struct err *e)
{
	unsigned limit = c->tty ? terminal_width() : 0, n = 0;
	const char *title[COLUMNS_MAX];
	size_t width[COLUMNS_MAX];

	for (; columns[n].path && n < COLUMNS_MAX; n++) {
		title[n] = columns[n].title;
		width[n] = strlen(title[n]);
	}
	for (const struct doc *d = items->v.c.first; d; d = d->next)
		for (unsigned i = 0; i < n; i++) {
			size_t w = strlen(write_value(&c->a, d, columns[i].path));

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
		return write_json(c, answer, e);
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
	const char *v;

	printf("%*s%-*.*s", indent, "", 20 - indent, (int)d->key.n, (const char *)d->key.p);
	if ((d->type != DOC_MAP && d->type != DOC_ARRAY) || !d->v.c.n) {
		v = d->type == DOC_MAP || d->type == DOC_ARRAY ? "-" : write_value(&c->a, d, "");
		printf(" %s\n", v);
		return;
	}
	printf("\n");
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
		return write_json(c, answer, e);
	if (!answer || answer->type != DOC_MAP)
		return err_set(e, ERR_MALFORMED, "the answer is no object");
	for (const struct doc *d = answer->v.c.first; d; d = d->next)
		print_member(c, d, 0);
	return EXIT_DONE;
}
