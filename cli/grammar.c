/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/*
 * Matching sentences. A command's pattern is split at blanks; a word must be
 * equal, a "<hole>" takes one argument, "[<hole>]" one or none, "<hole>..." one or
 * more. Options may stand anywhere behind the first word.
 */
#define WORDS_MAX 12

struct pattern {
	char text[160];
	const char *word[WORDS_MAX];
	int n;
};

static void split(const char *pattern, struct pattern *p)
{
	char *save = NULL;

	p->n = 0;
	if (text_copy(p->text, sizeof(p->text), pattern) < 0)
		return;
	for (char *w = strtok_r(p->text, " ", &save); w && p->n < WORDS_MAX;
	     w = strtok_r(NULL, " ", &save))
		p->word[p->n++] = w;
}

static bool is_hole(const char *w)
{
	return w[0] == '<' || w[0] == '[';
}

static bool takes_more(const char *w)
{
	return strstr(w, "...") != NULL;
}

static const struct option_spec *find_option(const struct command *cmd, const char *name, size_t n)
{
	for (const struct option_spec *o = cmd->options; o && o->name; o++)
		if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

/* How many leading words of the pattern the arguments agree with. */
static int agreement(const struct pattern *p, int argc, char **argv)
{
	int n = 0;

	while (n < p->n && n < argc && !is_hole(p->word[n]) && strcmp(p->word[n], argv[n]) == 0)
		n++;
	return n;
}

static int fixed_words(const struct pattern *p)
{
	int n = 0;

	while (n < p->n && !is_hole(p->word[n]))
		n++;
	return n;
}

static const struct command *choose(int argc, char **argv, int *words)
{
	const struct command *best = NULL;

	*words = 0;
	for (unsigned i = 0; i < commands_count; i++) {
		struct pattern p;
		int n;

		split(commands[i].pattern, &p);
		n = agreement(&p, argc, argv);
		if (n == fixed_words(&p) && n > *words) {
			best = &commands[i];
			*words = n;
		}
	}
	return best;
}

static int usage(const struct command *cmd, const char *what, const char *which)
{
	fprintf(stderr, "fettle: %s%s%s\n", what, which ? ": " : "", which ? which : "");
	if (cmd)
		fprintf(stderr, "usage: fettle %s%s\n", cmd->pattern,
			cmd->options ? " [options]" : "");
	fprintf(stderr, "Try 'fettle %s%s--help'.\n", cmd ? cmd->pattern : "", cmd ? " " : "");
	return -1;
}

/* One --name[=value] [value]; returns how many arguments it took, or -1. */
static int take_option(struct ctx *c, int argc, char **argv)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_spec *o = find_option(c->command, name, n);
	const char *value = equals ? equals + 1 : NULL;

	if (!o)
		return usage(c->command, "unknown option", argv[0]);
	if (o->kind == OPTION_FLAG && value)
		return usage(c->command, "this option takes no value", argv[0]);
	if (o->kind != OPTION_FLAG && !value) {
		if (argc < 2)
			return usage(c->command, "this option needs a value", argv[0]);
		value = argv[1];
	}
	if (o->kind != OPTION_MULTI && ctx_option(c, o->name))
		return usage(c->command, "given twice", argv[0]);
	if (c->n_options == OPTIONS_MAX)
		return usage(c->command, "too many options", NULL);
	c->options[c->n_options++] = (struct option_value){ o, value ? value : "" };
	return o->kind != OPTION_FLAG && !equals ? 2 : 1;
}

static int fill_holes(struct ctx *c, const struct pattern *p, int at)
{
	int arg = 0;

	for (; at < p->n; at++) {
		const char *w = p->word[at];

		if (arg < c->n_args)
			arg = takes_more(w) ? c->n_args : arg + 1;
		else if (w[0] != '[')
			return usage(c->command, "missing", w);
	}
	if (arg < c->n_args)
		return usage(c->command, "unexpected argument", c->args[arg]);
	return 0;
}

/* "-o F" is the one short option of old habit. */
static char *long_form(char *arg)
{
	static char output[] = "--output";

	return strcmp(arg, "-o") == 0 ? output : arg;
}

int grammar_match(int argc, char **argv, struct ctx *c, bool *help)
{
	struct pattern p;
	bool only_args = false;
	int words;

	*help = false;
	c->command = choose(argc, argv, &words);
	if (!c->command)
		return usage(NULL, argc ? "no such command" : "no command given",
			     argc ? argv[0] : NULL);
	for (int i = words; i < argc;) {
		char *one = long_form(argv[i]);

		if (!only_args && strcmp(one, "--help") == 0) {
			*help = true;
			return 0;
		}
		if (!only_args && strcmp(one, "--") == 0) {
			only_args = true;
			i++;
		} else if (!only_args && strncmp(one, "--", 2) == 0) {
			char *both[2] = { one, i + 1 < argc ? argv[i + 1] : NULL };
			int n = take_option(c, argc - i, both);

			if (n < 0)
				return -1;
			i += n;
		} else if (c->n_args == ARGS_MAX) {
			return usage(c->command, "too many arguments", NULL);
		} else {
			c->args[c->n_args++] = argv[i++];
		}
	}
	split(c->command->pattern, &p);
	return fill_holes(c, &p, words);
}

const char *ctx_option_n(const struct ctx *c, const char *name, int k)
{
	for (int i = 0; i < c->n_options; i++)
		if (strcmp(c->options[i].spec->name, name) == 0 && k-- == 0)
			return c->options[i].value;
	return NULL;
}

const char *ctx_option(const struct ctx *c, const char *name)
{
	return ctx_option_n(c, name, 0);
}

void grammar_help(const struct command *cmd)
{
	printf("usage: fettle %s%s\n\n%s\n", cmd->pattern, cmd->options ? " [options]" : "",
	       cmd->doc);
	if (cmd->options)
		printf("\n");
	for (const struct option_spec *o = cmd->options; o && o->name; o++) {
		char left[64];

		if (text_format(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
				o->value ? o->value : "") == 0)
			printf("  %-26s %s%s\n", left, o->doc,
			       o->kind == OPTION_MULTI ? " (may be repeated)" : "");
	}
	printf("\nexample: %s\n", cmd->example);
}

void grammar_overview(void)
{
	printf("usage: fettle [--socket PATH | --server URL [--token-file F] [--ca F]] [--json] "
	       "COMMAND\n\n");
	for (unsigned i = 0; i < commands_count; i++)
		printf("  %-44s %s\n", commands[i].pattern, commands[i].doc);
	printf("\nEvery command has --help with its options and an example.\n");
}

static bool same_word(const char *a, const char *b)
{
	size_t n = strcspn(a, " ");

	return n == strcspn(b, " ") && memcmp(a, b, n) == 0;
}

/* What may follow the words so far, one a line: for shells' completion. */
int grammar_complete(int argc, char **argv)
{
	const char *last = argc > 0 ? argv[argc - 1] : "";
	const char *said[64];
	unsigned n_said = 0;

	for (unsigned i = 0; i < commands_count; i++) {
		struct pattern p;
		const char *next;
		bool fresh = true;

		split(commands[i].pattern, &p);
		if (argc < 1 || agreement(&p, argc - 1, argv) != argc - 1 || argc - 1 >= p.n)
			continue;
		next = commands[i].pattern + (p.word[argc - 1] - p.text);
		if (is_hole(next) || strncmp(next, last, strlen(last)) != 0)
			continue;
		for (unsigned k = 0; k < n_said; k++)
			fresh = fresh && !same_word(said[k], next);
		if (!fresh || n_said == 64)
			continue;
		printf("%.*s\n", (int)strcspn(next, " "), next);
		said[n_said] = next;
		n_said++;
	}
	return 0;
}
