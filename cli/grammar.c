/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

#include <stdarg.h>
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

static const struct option_spec *find_option(const struct option_spec *options, const char *name,
					     size_t n)
{
	for (const struct option_spec *o = options; o && o->name; o++)
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

/* The pattern without its holes: what --help is asked with. */
static int head_length(const char *pattern)
{
	size_t n = strcspn(pattern, "<[");

	while (n > 0 && pattern[n - 1] == ' ')
		n--;
	return (int)n;
}

static int usage(const struct command *cmd, const char *what, const char *which)
{
	fprintf(stderr, "fettle: %s%s%s\n", what, which ? ": " : "", which ? which : "");
	if (cmd)
		fprintf(stderr, "usage: fettle %s%s\nTry 'fettle %.*s --help'.\n", cmd->pattern,
			cmd->options ? " [options]" : "", head_length(cmd->pattern), cmd->pattern);
	else
		fprintf(stderr, "Try 'fettle --help'.\n");
	return -1;
}

int ctx_usage(struct ctx *c, struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = 0;
	va_end(ap);
	c->usage = true;
	return err_set(e, ERR_INVALID, "%s", text);
}

/* Words in front of the first option. */
static int words_said(int argc, char **argv)
{
	int n = 0;

	while (n < argc && argv[n][0] != '-')
		n++;
	return n;
}

/* How many of the words said some command begins with. */
static int words_known(int argc, char **argv)
{
	int best = 0;

	for (unsigned i = 0; i < commands_count; i++) {
		struct pattern p;
		int n;

		split(commands[i].pattern, &p);
		n = agreement(&p, argc, argv);
		best = n > best ? n : best;
	}
	return best;
}

bool grammar_family(FILE *to, int argc, char **argv)
{
	int n = words_known(argc, argv);

	for (unsigned i = 0; n > 0 && i < commands_count; i++) {
		struct pattern p;

		split(commands[i].pattern, &p);
		if (agreement(&p, n, argv) == n)
			fprintf(to, "  %-44s %s\n", commands[i].pattern, commands[i].doc);
	}
	return n > 0;
}

static bool asks_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* No whole command: "fettle device", "fettle device lits", "fettle devcie". */
static int no_command(int argc, char **argv, bool *help)
{
	int said = words_said(argc, argv), known = words_known(said, argv);
	struct buf words = BUF_INIT(256);

	if (said == 0)
		return usage(NULL, "no command given", NULL);
	if (known > 0 && known == said && said < argc && asks_help(argv[said])) {
		*help = true;
		return 0;
	}
	for (int i = 0; i < said && i <= known; i++)
		buf_printf(&words, "%s%s", i ? " " : "", argv[i]);
	usage(NULL, known == said ? "the command goes on" : "no such command", buf_cstr(&words));
	buf_free(&words);
	grammar_family(stderr, said, argv);
	return -1;
}

static bool is_multi(enum option_kind k)
{
	return k == OPTION_MULTI || k == OPTION_NEEDED_MULTI;
}

static bool is_needed(enum option_kind k)
{
	return k == OPTION_NEEDED || k == OPTION_NEEDED_MULTI;
}

/* One --name[=value] [value]; returns how many arguments it took, or -1. */
static int take_option(struct ctx *c, const char *arg, const char *following)
{
	const char *name = arg + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_spec *o = find_option(c->command->options, name, n);
	const char *value = equals ? equals + 1 : NULL;

	if (!o)
		return usage(c->command, "unknown option", arg);
	if (o->kind == OPTION_FLAG && value)
		return usage(c->command, "this option takes no value", arg);
	if (o->kind != OPTION_FLAG && !value) {
		if (!following)
			return usage(c->command, "this option needs a value", arg);
		value = following;
	}
	if (!is_multi(o->kind) && ctx_option(c, o->name))
		return usage(c->command, "given twice", arg);
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

static int check_needed(const struct ctx *c)
{
	for (const struct option_spec *o = c->command->options; o && o->name; o++) {
		char text[64];

		if (!is_needed(o->kind) || ctx_option(c, o->name))
			continue;
		if (text_format(text, sizeof(text), "--%s %s", o->name, o->value) < 0)
			text[0] = 0;
		return usage(c->command, "missing", text);
	}
	return 0;
}

/* The two short options of old habit. */
static const char *long_form(const struct ctx *c, const char *arg)
{
	static const char *const forms[][2] = { { "-o", "--output" }, { "-q", "--query" } };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(arg, forms[i][0]) == 0 &&
		    find_option(c->command->options, forms[i][1] + 2, strlen(forms[i][1]) - 2))
			return forms[i][1];
	return arg;
}

/* One argument behind the command's words; how many were taken, 0 for --help, or -1. */
static int take_argument(struct ctx *c, int argc, char **argv, bool only_args)
{
	const char *one = long_form(c, argv[0]);

	if (!only_args && asks_help(one))
		return 0;
	if (!only_args && strcmp(one, "--json") == 0) {
		c->json = true;
		return 1;
	}
	if (!only_args && strncmp(one, "--", 2) == 0)
		return take_option(c, one, argc > 1 ? argv[1] : NULL);
	if (!only_args && one[0] == '-' && one[1])
		return usage(c->command, "unknown option", one);
	if (c->n_args == ARGS_MAX)
		return usage(c->command, "too many arguments", NULL);
	c->args[c->n_args++] = argv[0];
	return 1;
}

int grammar_match(int argc, char **argv, struct ctx *c, bool *help)
{
	struct pattern p;
	bool only_args = false;
	int words;

	*help = false;
	c->command = choose(argc, argv, &words);
	if (!c->command)
		return no_command(argc, argv, help);
	for (int i = words; i < argc;) {
		int n;

		if (!only_args && strcmp(argv[i], "--") == 0) {
			only_args = true;
			i++;
			continue;
		}
		n = take_argument(c, argc - i, argv + i, only_args);
		if (n < 0)
			return -1;
		if (n == 0) {
			*help = true;
			return 0;
		}
		i += n;
	}
	split(c->command->pattern, &p);
	return fill_holes(c, &p, words) < 0 ? -1 : check_needed(c);
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

const struct option_spec *grammar_global(const char *arg)
{
	if (strncmp(arg, "--", 2) != 0)
		return NULL;
	return find_option(global_options, arg + 2, strcspn(arg + 2, "="));
}

/* ---- help ---- */

static void print_options(const struct option_spec *options)
{
	for (const struct option_spec *o = options; o && o->name; o++) {
		char left[64];

		if (text_format(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
				o->value ? o->value : "") == 0)
			printf("  %-26s %s%s%s\n", left, o->doc,
			       is_needed(o->kind) ? " (needed)" : "",
			       is_multi(o->kind) ? " (may be repeated)" : "");
	}
}

void grammar_help(const struct command *cmd)
{
	printf("usage: fettle %s%s\n\n%s\n", cmd->pattern, cmd->options ? " [options]" : "",
	       cmd->doc);
	if (cmd->options)
		printf("\n");
	print_options(cmd->options);
	printf("\nexample: %s\n", cmd->example);
}

void grammar_overview(void)
{
	printf("usage: fettle [--socket PATH | --server URL [--token-file FILE] [--ca FILE]] "
	       "[--json] COMMAND\n\n");
	print_options(global_options);
	printf("\n");
	for (unsigned i = 0; i < commands_count; i++)
		printf("  %-44s %s\n", commands[i].pattern, commands[i].doc);
	printf("\nEvery command has --help with its options and an example.\n");
}

/* ---- completion ---- */

static void complete_options(const struct option_spec *options, const char *last)
{
	for (const struct option_spec *o = options; o && o->name; o++)
		if (strncmp(last, "--", strlen(last) < 2 ? strlen(last) : 2) == 0 &&
		    (strlen(last) <= 2 || strncmp(o->name, last + 2, strlen(last) - 2) == 0))
			printf("--%s\n", o->name);
}

static bool same_word(const char *a, const char *b)
{
	size_t n = strcspn(a, " ");

	return n == strcspn(b, " ") && memcmp(a, b, n) == 0;
}

static void complete_words(int argc, char **argv)
{
	const char *last = argv[argc - 1];
	const char *said[64];
	unsigned n_said = 0;

	for (unsigned i = 0; i < commands_count; i++) {
		struct pattern p;
		const char *next;
		bool fresh = true;

		split(commands[i].pattern, &p);
		if (agreement(&p, argc - 1, argv) != argc - 1 || argc - 1 >= p.n)
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
}

int grammar_complete(int argc, char **argv)
{
	const struct command *cmd;
	int words;

	/* the last word is being written: it is not skipped, nor is it a value's option */
	while (argc > 1 && grammar_global(argv[0])) {
		bool value = grammar_global(argv[0])->kind != OPTION_FLAG && !strchr(argv[0], '=');

		argc -= value ? 2 : 1;
		argv += value ? 2 : 1;
	}
	if (argc < 1)
		return 0;
	if (argv[argc - 1][0] != '-') {
		complete_words(argc, argv);
		return 0;
	}
	cmd = choose(argc - 1, argv, &words);
	complete_options(cmd ? cmd->options : argc == 1 ? global_options : NULL, argv[argc - 1]);
	return 0;
}
