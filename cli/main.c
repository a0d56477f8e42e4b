/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "config.h"

/* A whole fleet as one list. */
#define CLI_ARENA (2ul << 30)

struct globals {
	struct client_options client;
	bool json;
};

static const char **global_value(struct globals *g, const char *name)
{
	const struct {
		const char *name;
		const char **to;
	} values[] = {
		{ "socket", &g->client.socket },
		{ "server", &g->client.server },
		{ "token-file", &g->client.token_file },
		{ "ca", &g->client.ca_file },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i].name, name) == 0)
			return values[i].to;
	return NULL;
}

static int fault(const char *what, const char *which)
{
	fprintf(stderr, "fettle: %s: %s\nTry 'fettle --help'.\n", what, which);
	return -1;
}

/* --help, --version: -2, done. --json: 1. Everything else says how many arguments it took. */
static int take_global(int argc, char **argv, struct globals *g)
{
	const char *arg = strcmp(argv[0], "-h") == 0   ? "--help"
			  : strcmp(argv[0], "-V") == 0 ? "--version"
						       : argv[0];
	const struct option_spec *o = grammar_global(arg);
	const char *equals = strchr(arg, '='), *value = equals ? equals + 1 : argv[1];

	if (!o)
		return fault("unknown option", arg);
	if (o->kind == OPTION_FLAG) {
		if (equals)
			return fault("this option takes no value", arg);
		g->json = g->json || strcmp(o->name, "json") == 0;
		if (strcmp(o->name, "help") == 0)
			grammar_overview();
		else if (strcmp(o->name, "version") == 0)
			printf("fettle %s\n", PACKAGE_VERSION);
		return strcmp(o->name, "json") == 0 ? 1 : -2;
	}
	if (!equals && argc < 2)
		return fault("this option needs a value", arg);
	*global_value(g, o->name) = value;
	return equals ? 1 : 2;
}

/* Options before the command; returns where it begins, -1 usage, -2 done. */
static int take_globals(int argc, char **argv, struct globals *g)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-') {
		int n = take_global(argc - i, argv + i, g);

		if (n < 0)
			return n;
		i += n;
	}
	if (!g->client.server && (g->client.token_file || g->client.ca_file))
		return fault("is for --server", g->client.token_file ? "--token-file" : "--ca");
	return i;
}

static int run(struct ctx *c, const struct client_options *o)
{
	struct err e = { 0 };
	int code;

	if (!c->command->local && client_new(o, &c->client, &e) < 0) {
		fprintf(stderr, "fettle: %s\n", e.text);
		return e.code == ERR_INVALID ? EXIT_USAGE_ : EXIT_REFUSED;
	}
	code = c->command->run(c, &e);
	client_free(c->client);
	if (fflush(stdout) != 0 && code == EXIT_DONE)
		code = err_set(&e, ERR_IO, "standard output cannot be written");
	if (code >= 0)
		return code;
	fprintf(stderr, "fettle: %s\n", e.text);
	if (c->usage)
		return EXIT_USAGE_;
	return e.code == ERR_BUSY && !c->command->local ? EXIT_UNREACHABLE : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	struct globals g = { .client = { .socket = FETTLE_RUNDIR "/control.sock" } };
	struct ctx c = { .a = ARENA_INIT(CLI_ARENA) };
	bool help;
	int at, code;

	log_init("fettle", LOG_WARN_);
	at = take_globals(argc, argv, &g);
	if (at < 0)
		return at == -2 ? EXIT_DONE : EXIT_USAGE_;
	if (at < argc && strcmp(argv[at], "complete") == 0)
		return grammar_complete(argc - at - 1, argv + at + 1);
	if (grammar_match(argc - at, argv + at, &c, &help) < 0)
		return EXIT_USAGE_;
	if (help) {
		if (c.command)
			grammar_help(c.command);
		else
			grammar_family(stdout, argc - at, argv + at);
		return EXIT_DONE;
	}
	c.json = c.json || g.json;
	c.tty = isatty(STDOUT_FILENO) == 1;
	code = run(&c, &g.client);
	arena_free(&c.a);
	return code;
}
