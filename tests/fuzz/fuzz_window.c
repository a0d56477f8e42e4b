/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * Windows: any text is a window or an error that says why; whatever it is, what it comes to is
 * found in bounded work and in order. A line is the short form, or RRULE|starts|zone|seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/window.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define LINES 8
#define NOW INT64_C(1795305600000)

static int parse(struct window *w, char *line, struct err *e)
{
	char *part[4] = { line, NULL, NULL, NULL };
	int64_t seconds;

	for (int i = 1; i < 4; i++) {
		part[i] = part[i - 1] ? strchr(part[i - 1], '|') : NULL;
		if (part[i])
			*part[i]++ = '\0';
	}
	if (!part[3])
		return window_set_short(w, line, e);
	if (text_i64(slice_str(part[3]), &seconds) != 0)
		return -2;
	return window_set_rule(w, part[0], part[1], part[2], seconds, e) < 0 ? -1 : 1;
}

static void check_openings(const struct window_set *s)
{
	struct window_book *b = window_book_new();
	struct window_span spans[4], first;
	int64_t t = NOW, until;
	const struct window *which;

	if (!b)
		return;
	int n = window_openings(b, s, t, 4, spans, NULL);
	for (int i = 0; i < n; i++) {
		if (spans[i].from < t || spans[i].until <= spans[i].from)
			abort();
		t = spans[i].until;
	}
	int got = window_opening(b, s, NOW, 0, &first, NULL);
	if (got != (n > 0) || (got > 0 && first.from != spans[0].from))
		abort();
	if (n > 0 && spans[0].from == NOW && window_blackout(b, s, NOW, &until, &which, NULL) > 0)
		abort();
	window_book_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct window w[LINES + WINDOW_RANGES_MAX];
	struct window_set s = { .windows = w };
	struct err e = { .code = ERR_NONE };
	char *text = malloc(n + 1), *rest = NULL;

	if (!text)
		return 0;
	if (n)
		memcpy(text, p, n);
	text[n] = '\0';
	memset(w, 0, sizeof(w));
	for (char *line = strtok_r(text, "\n", &rest); line && s.n < LINES;
	     line = strtok_r(NULL, "\n", &rest)) {
		bool blackout = *line == '!';
		int got = parse(&w[s.n], line + blackout, &e);

		if (got == -1 && (e.code == ERR_NONE || e.text[0] == '\0'))
			abort();
		for (int i = 0; i < got; i++) {
			w[s.n].level = (enum window_level)(s.n % WINDOW_LEVEL_COUNT);
			w[s.n++].blackout = blackout;
		}
	}
	check_openings(&s);
	free(text);
	return 0;
}
