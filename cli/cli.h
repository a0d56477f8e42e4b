/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CLI_CLI_H
#define FETTLE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/slice.h"
#include "cli/client.h"

/*
 * fettle's commands are sentences: a pattern of words and holes, a list of
 * options, a handler. Parsing, --help, usage errors and completion come from the same
 * declarations (commands.c).
 */
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE_ = 2, EXIT_UNREACHABLE = 3 };

#define ARGS_MAX 64
#define OPTIONS_MAX 64

enum option_kind {
	OPTION_FLAG,
	OPTION_VALUE,
	OPTION_MULTI,		/* a value, may be repeated */
	OPTION_NEEDED,		/* a value, and the command does nothing without it */
	OPTION_NEEDED_MULTI
};

struct option_spec {
	const char *name;		/* without the dashes; NULL ends a list */
	enum option_kind kind;
	const char *value;		/* what the value is called in help, NULL for flags */
	const char *doc;
};

struct option_value {
	const struct option_spec *spec;
	const char *value;
};

struct ctx {
	struct client *client;		/* not yet connected; NULL for local commands */
	bool json;
	bool tty;			/* standard output is a terminal */
	bool usage;			/* the command line is at fault: EXIT_USAGE_ */
	struct arena a;
	const char *args[ARGS_MAX];	/* what filled the holes, in order */
	int n_args;
	struct option_value options[OPTIONS_MAX];
	int n_options;
	const struct command *command;
};

struct command {
	/* "device add <id>"; "<x>..." takes one or more, "[<x>]" none or one */
	const char *pattern;
	int (*run)(struct ctx *c, struct err *e);	/* EXIT_* or -1 with e: refused */
	const struct option_spec *options;
	const char *doc, *example;
	bool local;			/* needs no daemon */
};

extern const struct command commands[];
extern const unsigned commands_count;
/* What may stand before the command. */
extern const struct option_spec global_options[];

/*
 * grammar.c: 0 found, -1 usage error (said on stderr). help: --help was asked, of
 * c->command or, when that is NULL, of the commands that begin with argv's words.
 */
int grammar_match(int argc, char **argv, struct ctx *c, bool *help);
void grammar_help(const struct command *cmd);
/* The commands that begin with argv's words; false when there are none. */
bool grammar_family(FILE *to, int argc, char **argv);
void grammar_overview(void);
/* What may follow argv, whose last word is unfinished: one a line. */
int grammar_complete(int argc, char **argv);
/* The global option of this name ("--server" or "--server=..."), NULL when there is none. */
const struct option_spec *grammar_global(const char *arg);

/* The option's value, NULL when it was not given; "" for a flag that was. */
const char *ctx_option(const struct ctx *c, const char *name);
/* The k-th value of an option that may be repeated, NULL beyond the last. */
const char *ctx_option_n(const struct ctx *c, const char *name, int k);
/* An option's value cannot be: fills e, makes the exit code EXIT_USAGE_, returns -1. */
int ctx_usage(struct ctx *c, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* writer.c: what people and scripts see. */
struct column {
	/* member, "a.b" for one inside, "a.0" for the first; NULL ends */
	const char *path;
	const char *title;
};
/* A collection's items as a table (or the whole answer as JSON). */
int write_table(struct ctx *c, const struct doc *answer, const struct column *columns,
		struct err *e);
/* One object: "name: value" lines, or JSON. */
int write_object(struct ctx *c, const struct doc *answer, struct err *e);
/* The gates of "device why" and "rollout why": the first that is closed is marked. */
int write_gates(struct ctx *c, const struct doc *answer, struct err *e);
/* The member's value as text for people, harmless to a terminal; "-" when null or absent. */
const char *write_value(struct arena *a, const struct doc *d, const char *path);

/* files.c */
/* "-": standard input */
int file_read(const char *path, size_t max, struct buf *out, struct err *e);
/* "-": standard output; never over an existing key */
int file_write(const char *path, struct slice s, unsigned mode, struct err *e);
/* Size and SHA-256. "-" is standard input. */
int file_digest(const char *path, struct digest *d, uint64_t *size, struct err *e);

/* rest.c: the two shapes nearly every command has. */
int rest_object(struct ctx *c, const char *method, const char *path, const struct doc *body,
		struct err *e);
int rest_list(struct ctx *c, const char *path, const struct column *columns, struct err *e);
/* All pages of a collection as one answer, NULL with e filled. */
const struct doc *rest_all(struct ctx *c, const char *path, struct err *e);
/* An answer's document, NULL with e filled. */
const struct doc *rest_get(struct ctx *c, const char *method, const char *path,
			   const struct doc *body, struct err *e);
/* The same of a reply that came: its document, or NULL with the refusal in e. Frees the body. */
const struct doc *rest_answer(struct ctx *c, struct reply *rp, struct err *e);
/*
 * Path from parts: each %s argument is percent-encoded. NULL with e when too long, or when it is
 * a segment and has what no name has.
 */
const char *rest_path(struct ctx *c, struct err *e, const char *format, const char *arg);
const char *rest_path2(struct ctx *c, struct err *e, const char *format, const char *a,
		       const char *b);

/* What a rollout is made of besides its name and release, from the options. */
int rollout_members(struct ctx *c, struct doc *body, struct err *e);

/* cmd_*.c */
typedef int command_fn(struct ctx *c, struct err *e);
command_fn cmd_status, cmd_doctor, cmd_key_generate, cmd_key_show, cmd_key_public;
command_fn cmd_manifest_create, cmd_manifest_sign, cmd_manifest_verify, cmd_manifest_inspect;
command_fn cmd_anchor_add, cmd_anchor_list, cmd_anchor_show, cmd_anchor_revoke;
command_fn cmd_image_add, cmd_image_list, cmd_image_show, cmd_image_get, cmd_image_remove;
command_fn cmd_release_add, cmd_release_list, cmd_release_show, cmd_release_approve,
	cmd_release_publish, cmd_release_withdraw, cmd_release_set;
command_fn cmd_device_add, cmd_device_list, cmd_device_show, cmd_device_set, cmd_device_why,
	cmd_device_approve, cmd_device_diag, cmd_device_history, cmd_device_remove,
	cmd_device_import;
command_fn cmd_credential_add, cmd_credential_list, cmd_credential_revoke;
command_fn cmd_group_add, cmd_group_list, cmd_group_remove, cmd_group_join, cmd_group_leave;
command_fn cmd_window_add, cmd_window_list, cmd_window_remove, cmd_window_next;
command_fn cmd_rollout_create, cmd_rollout_list, cmd_rollout_show, cmd_rollout_start,
	cmd_rollout_pause, cmd_rollout_resume, cmd_rollout_abort, cmd_rollout_watch,
	cmd_rollout_retry, cmd_rollout_next, cmd_rollout_clone, cmd_rollout_approve,
	cmd_rollout_deny, cmd_rollout_why;
command_fn cmd_update_list, cmd_update_show, cmd_job_list, cmd_job_show, cmd_job_cancel;
command_fn cmd_token_create, cmd_token_list, cmd_token_revoke, cmd_operator_add, cmd_operator_list,
	cmd_operator_remove, cmd_audit_list, cmd_audit_verify, cmd_policy_show, cmd_policy_set,
	cmd_policy_check, cmd_policy_test;
command_fn cmd_standing_add, cmd_standing_list, cmd_standing_show, cmd_standing_enable,
	cmd_standing_disable, cmd_standing_remove;

#endif
