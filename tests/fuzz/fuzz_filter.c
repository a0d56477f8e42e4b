/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* The filter language: any text is a tree within its bounds, or an error that names a column. */
#include <stdlib.h>
#include <string.h>

#include "tracker/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static unsigned check(const struct filter *f, unsigned depth)
{
	if (!f)
		return 0;
	if (depth > FILTER_DEPTH)
		abort();
	if ((f->op == FILTER_AND || f->op == FILTER_OR) && (!f->left || !f->right))
		abort();
	if (f->op == FILTER_NOT && !f->left)
		abort();
	bool leaf = f->op == FILTER_COMPARE || f->op == FILTER_IN;
	if (leaf && (f->n == 0 || f->n > FILTER_NODES || !f->values || f->field >= FIELD_COUNT))
		abort();
	for (uint32_t i = 0; leaf && i < f->n; i++)
		if (strnlen(f->values[i].text, NAME_TEXT) == NAME_TEXT)
			abort();
	return 1 + check(f->left, depth + 1) + check(f->right, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena a = ARENA_INIT(1 << 20);
	struct err e = { .code = ERR_NONE };
	struct filter *f = NULL;
	char *text = malloc(n + 1);

	if (!text)
		return 0;
	if (n)
		memcpy(text, p, n);
	text[n] = '\0';
	if (filter_parse(text, &a, &f, &e) == 0) {
		if (check(f, 1) > FILTER_NODES)
			abort();
	} else if (e.code == ERR_NONE || e.text[0] == '\0') {
		abort();
	}
	free(text);
	arena_free(&a);
	return 0;
}
