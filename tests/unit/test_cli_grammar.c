/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* What goes to standard output and standard error, caught in a file. */
static FILE *caught;
static int saved[2];

static void catch_begin(void)
{
	caught = tmpfile();
	ck_assert_ptr_nonnull(caught);
	for (int i = 0; i < 2; i++) {
		fflush(i ? stderr : stdout);
		saved[i] = dup(i + 1);
		ck_assert_int_ge(saved[i], 0);
		ck_assert_int_ge(dup2(fileno(caught), i + 1), 0);
	}
}

static const char *catch_end(void)
{
	static char text[65536];
	size_t n;

	for (int i = 0; i < 2; i++) {
		fflush(i ? stderr : stdout);
		ck_assert_int_ge(dup2(saved[i], i + 1), 0);
		close(saved[i]);
	}
	rewind(caught);
	n = fread(text, 1, sizeof(text) - 1, caught);
	text[n] = 0;
	fclose(caught);
	return text;
}

/* A line of words, apart at blanks; "_" is an empty word. */
static int words(char *line, char **argv, int max)
{
	char *save = NULL;
	int n = 0;

	for (char *w = strtok_r(line, " ", &save); w && n < max; w = strtok_r(NULL, " ", &save))
		argv[n++] = strcmp(w, "_") == 0 ? w + 1 : w;
	argv[n] = NULL;
	return n;
}

static int match(const char *line, struct ctx *c, bool *help, const char **said)
{
	static char copy[1024];
	static char *argv[80];
	int argc, result;

	ck_assert_uint_lt(strlen(line), sizeof(copy));
	memcpy(copy, line, strlen(line) + 1);
	argc = words(copy, argv, 79);
	memset(c, 0, sizeof(*c));
	catch_begin();
	result = grammar_match(argc, argv, c, help);
	*said = catch_end();
	return result;
}

static const struct {
	const char *line, *pattern, *args;
} good[] = {
	{ "status", "status", "" },
	{ "device add lamp", "device add <id>", "lamp" },
	{ "device add -- -lamp", "device add <id>", "-lamp" },
	{ "device add --mode client lamp", "device add <id>", "lamp" },
	{ "device credential add lamp --token", "device credential add <id>", "lamp" },
	{ "device credential revoke lamp 3", "device credential revoke <id> <number>", "lamp 3" },
	{ "release add m.suit", "release add <manifest> [<image>...]", "m.suit" },
	{ "release add m.suit a b c", "release add <manifest> [<image>...]", "m.suit a b c" },
	{ "group join north a b", "group join <name> <id>...", "north a b" },
	{ "image get d -o -", "image get <digest>", "d" },
	{ "device list -q all", "device list", "" },
	{ "image add -", "image add <file>", "-" },
	{ "device show add", "device show <id>", "add" },
};

START_TEST(sentences)
{
	const char *said;
	struct ctx c;
	bool help;
	struct buf args = BUF_INIT(256);

	ck_assert_msg(match(good[_i].line, &c, &help, &said) == 0, "%s: %s", good[_i].line, said);
	ck_assert(!help);
	ck_assert_str_eq(c.command->pattern, good[_i].pattern);
	for (int i = 0; i < c.n_args; i++)
		buf_printf(&args, "%s%s", i ? " " : "", c.args[i]);
	ck_assert_str_eq(buf_cstr(&args), good[_i].args);
	buf_free(&args);
	ck_assert_str_eq(said, "");
}
END_TEST

static const struct {
	const char *line, *said;
} bad[] = {
	{ "", "no command given" },
	{ "--json", "no command given" },
	{ "devcie list", "no such command: devcie" },
	{ "device", "the command goes on: device" },
	{ "device credential", "the command goes on: device credential" },
	{ "device lits", "no such command: device lits" },
	{ "devices list", "no such command: devices" },
	{ "device add", "missing: <id>" },
	{ "device add a b", "unexpected argument: b" },
	{ "device add lamp --colour red", "unknown option: --colour" },
	{ "device add lamp -x", "unknown option: -x" },
	{ "status -o f", "unknown option: -o" },
	{ "status extra", "unexpected argument: extra" },
	{ "device add lamp --mode", "this option needs a value: --mode" },
	{ "device credential add lamp --token=x", "this option takes no value: --token=x" },
	{ "device add lamp --mode a --mode b", "given twice: --mode" },
	{ "group join north", "missing: <id>..." },
	{ "rollout create spring --target all", "missing: --release R" },
	{ "rollout create spring --release r", "missing: --target FILTER" },
	{ "rollout create --release r --target all", "missing: <name>" },
	{ "key generate", "missing: --output FILE" },
	{ "manifest verify f", "missing: --anchor FILE" },
};

START_TEST(faults)
{
	const char *said;
	struct ctx c;
	bool help;

	ck_assert_int_eq(match(bad[_i].line, &c, &help, &said), -1);
	ck_assert_msg(strstr(said, bad[_i].said), "'%s' says: %s", bad[_i].line, said);
	ck_assert_msg(strstr(said, "--help"), "'%s' does not lead on: %s", bad[_i].line, said);
}
END_TEST

START_TEST(families)
{
	const char *said;
	struct ctx c;
	bool help;

	ck_assert_int_eq(match("device lits", &c, &help, &said), -1);
	ck_assert(strstr(said, "device list"));
	ck_assert(!strstr(said, "rollout list"));
	ck_assert_int_eq(match("device credential --help", &c, &help, &said), 0);
	ck_assert(help);
	ck_assert_ptr_null(c.command);
}
END_TEST

START_TEST(options)
{
	const char *said;
	struct ctx c;
	bool help;

	ck_assert_int_eq(match("device add lamp --tag a --tag=b --attr x=1 --mode=client --json",
			       &c, &help, &said),
			 0);
	ck_assert(c.json);
	ck_assert_str_eq(ctx_option(&c, "mode"), "client");
	ck_assert_str_eq(ctx_option_n(&c, "tag", 0), "a");
	ck_assert_str_eq(ctx_option_n(&c, "tag", 1), "b");
	ck_assert_ptr_null(ctx_option_n(&c, "tag", 2));
	ck_assert_str_eq(ctx_option(&c, "attr"), "x=1");
	ck_assert_ptr_null(ctx_option(&c, "parent"));
	ck_assert_int_eq(match("manifest create --priority -5 --image f --sequence 1 --vendor v "
			       "--class c -o f",
			       &c, &help, &said),
			 0);
	ck_assert_str_eq(ctx_option(&c, "priority"), "-5");
	ck_assert_str_eq(ctx_option(&c, "output"), "f");
	ck_assert_int_eq(match("release withdraw r --floor", &c, &help, &said), 0);
	ck_assert_str_eq(ctx_option(&c, "floor"), "");
}
END_TEST

START_TEST(bounds)
{
	struct buf line = BUF_INIT(1000);
	const char *said;
	struct ctx c;
	bool help;

	buf_add_str(&line, "group join north");
	for (int i = 0; i < ARGS_MAX - 1; i++)
		buf_printf(&line, " d%d", i);
	ck_assert_int_eq(match(buf_cstr(&line), &c, &help, &said), 0);
	ck_assert_int_eq(c.n_args, ARGS_MAX);
	buf_add_str(&line, " more");
	ck_assert_int_eq(match(buf_cstr(&line), &c, &help, &said), -1);
	ck_assert(strstr(said, "too many arguments"));
	buf_reset(&line);
	buf_add_str(&line, "device add lamp");
	for (int i = 0; i < OPTIONS_MAX + 1; i++)
		buf_add_str(&line, " --tag=t");
	ck_assert_int_eq(match(buf_cstr(&line), &c, &help, &said), -1);
	ck_assert(strstr(said, "too many options"));
	buf_free(&line);
}
END_TEST

/* Every command: its own example is understood, help shows all of it. */
START_TEST(examples)
{
	for (unsigned i = 0; i < commands_count; i++) {
		const struct command *cmd = &commands[i];
		char line[512], *end;
		const char *said, *at = strstr(cmd->example, "fettle ");
		struct ctx c;
		bool help;

		ck_assert_msg(at == cmd->example, "%s", cmd->example);
		ck_assert_int_lt(snprintf(line, sizeof(line), "%s", cmd->example + 7),
				 (int)sizeof(line));
		end = strstr(line, " > ");
		if (end)
			*end = 0;
		/* what a shell keeps together */
		for (char *p = line, in = 0; *p; p++) {
			in = *p == '\'' ? !in : in;
			*p = in && *p == ' ' ? '_' : *p;
		}
		at = strncmp(line, "--json ", 7) == 0 ? line + 7 : line;
		ck_assert_msg(match(at, &c, &help, &said) == 0, "%s: %s", cmd->example, said);
		ck_assert_str_eq(c.command->pattern, cmd->pattern);
		catch_begin();
		grammar_help(cmd);
		said = catch_end();
		ck_assert_ptr_nonnull(strstr(said, cmd->pattern));
		ck_assert_ptr_nonnull(strstr(said, cmd->example));
		for (const struct option_spec *o = cmd->options; o && o->name; o++) {
			ck_assert_ptr_nonnull(strstr(said, o->name));
			ck_assert_ptr_nonnull(o->doc);
			ck_assert_int_eq(o->kind == OPTION_FLAG, o->value == NULL);
		}
	}
}
END_TEST

START_TEST(overview_names_all)
{
	const char *said;

	catch_begin();
	grammar_overview();
	said = catch_end();
	for (unsigned i = 0; i < commands_count; i++)
		ck_assert_msg(strstr(said, commands[i].pattern), "%s", commands[i].pattern);
	for (const struct option_spec *o = global_options; o->name; o++)
		ck_assert_msg(strstr(said, o->name), "%s", o->name);
}
END_TEST

static const struct {
	const char *line, *said;
} completions[] = {
	{ "dev", "device\n" },
	{ "device cr", "credential\n" },
	{ "device credential _", "add\nlist\nrevoke\n" },
	{ "device add _", "" },
	{ "nothing _", "" },
	{ "rollout create x --t", "--target\n" },
	{ "release withdraw -", "--floor\n" },
	{ "status --", "" },
	{ "--so", "--socket\n" },
	{ "--socket /s --json rel", "release\n" },
	{ "--socket=/s group l", "list\nleave\n" },
	{ "--socket", "--socket\n" },
	{ "--server x", "" },
};

START_TEST(completion)
{
	char line[256], *argv[16];
	int argc, result;

	ck_assert_int_lt(snprintf(line, sizeof(line), "%s", completions[_i].line),
			 (int)sizeof(line));
	argc = words(line, argv, 15);
	catch_begin();
	result = grammar_complete(argc, argv);
	const char *said = catch_end();
	ck_assert_int_eq(result, 0);
	ck_assert_str_eq(said, completions[_i].said);
}
END_TEST

START_TEST(completion_of_nothing)
{
	char *argv[1] = { NULL };

	catch_begin();
	ck_assert_int_eq(grammar_complete(0, argv), 0);
	ck_assert_str_eq(catch_end(), "");
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("cli grammar");
	TCase *t = tcase_create("grammar");

	tcase_add_loop_test(t, sentences, 0, COUNT(good));
	tcase_add_loop_test(t, faults, 0, COUNT(bad));
	tcase_add_test(t, families);
	tcase_add_test(t, options);
	tcase_add_test(t, bounds);
	tcase_add_test(t, examples);
	tcase_add_test(t, overview_names_all);
	tcase_add_loop_test(t, completion, 0, COUNT(completions));
	tcase_add_test(t, completion_of_nothing);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
