/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "config.h"

#define CLI_ARENA (64u << 20)

struct globals {
	struct client_options client;
	bool json;
};

/* Options before the command; returns how many arguments they took, -1 usage, -2 done. */
static int take_globals(int argc, char **argv, struct globals *g)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		const struct {
			const char *name;
			const char **to;
		} values[] = {
			{ "--socket", &g->client.socket },
			{ "--server", &g->client.server },
			{ "--token-file", &g->client.token_file },
			{ "--ca", &g->client.ca_file },
		};
		size_t k = 0, n = sizeof(values) / sizeof(values[0]);

		if (strcmp(argv[i], "--json") == 0) {
			g->json = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			grammar_overview();
			return -2;
		}
		if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
			printf("fettle %s\n", PACKAGE_VERSION);
			return -2;
		}
		while (k < n && strcmp(argv[i], values[k].name) != 0)
			k++;
		if (k == n || i + 1 == argc) {
			fprintf(stderr,
				k == n ? "fettle: unknown option %s\n"
				       : "fettle: %s needs a value\n",
				argv[i]);
			return -1;
		}
		*values[k].to = argv[++i];
	}
	return i;
}

static int run(struct ctx *c, const struct client_options *o)
{
	struct err e = { 0 };
	int code;

	if (!c->command->local && client_new(o, &c->client, &e) < 0) {
		fprintf(stderr, "fettle: %s\n", e.text);
		return EXIT_USAGE_;
	}
	code = c->command->run(c, &e);
	client_free(c->client);
	if (fflush(stdout) != 0 && code == EXIT_DONE)
		code = err_set(&e, ERR_IO, "standard output cannot be written");
	if (code >= 0)
		return code;
	fprintf(stderr, "fettle: %s\n", e.text);
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
		grammar_help(c.command);
		return EXIT_DONE;
	}
	c.json = g.json;
	c.tty = isatty(STDOUT_FILENO) == 1;
	code = run(&c, &g.client);
	arena_free(&c.a);
	return code;
}
