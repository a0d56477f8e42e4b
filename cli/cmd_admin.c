/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stdio.h>
#include <string.h>

#include "base/message.h"
#include "base/text.h"
#include "cli/cli.h"

/* The service itself, people and their tokens, the audit log. */
#define API "/api/v1"

int cmd_status(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", API "/status", NULL, e);
}

struct finding {
	const char *check;
	bool good;
	const char *text;
};

static struct finding look_ready(struct ctx *c, const struct doc *status)
{
	const char *state = write_value(&c->a, status, "state");

	return (struct finding){ "service", strcmp(state, "running") == 0, state };
}

static struct finding look_clock(struct ctx *c, const struct doc *status)
{
	bool good = strcmp(write_value(&c->a, status, "clock.trusted"), "yes") == 0;

	return (struct finding){ "clock", good,
				 good ? "trusted"
				      : arena_printf(&c->a,
						     "not trusted, windows and deadlines wait: %s",
						     write_value(&c->a, status, "clock.reason")) };
}

/* The chain is checked in pages; the last answer, or the first that says no. */
static const struct doc *verify_audit(struct ctx *c, struct err *e)
{
	const char *path = API "/audit/verify";
	const struct doc *d;

	while ((d = rest_get(c, "GET", path, NULL, e)) != NULL) {
		const char *next = write_value(&c->a, d, "next");

		if (strcmp(next, "-") == 0)
			break;
		path = rest_path(c, e, API "/audit/verify?cursor=%s", next);
	}
	return d;
}

static struct finding look_audit(struct ctx *c, struct err *e)
{
	const struct doc *d = verify_audit(c, e);
	bool good = d && strcmp(write_value(&c->a, d, "whole"), "yes") == 0;

	return (struct finding){ "audit", good,
				 good ? "chain is whole"
				 : d  ? arena_printf(&c->a, "chain is broken at row %s",
						     write_value(&c->a, d, "first_bad"))
				      : e->text };
}

/* What an operator would check first; exit 1 when anything is wrong. */
int cmd_doctor(struct ctx *c, struct err *e)
{
	const struct doc *status;
	struct doc *out = doc_map(&c->a, NULL, NULL), *items = doc_array(&c->a, out, "items");
	static const struct column columns[] = {
		{ "check", "CHECK" }, { "ok", "OK" }, { "text", "FINDING" }, { 0 }
	};
	struct finding f[3];
	bool good = true;

	if (ctx_option(c, "accept-clock") && !rest_get(c, "POST", API "/clock/accept", NULL, e))
		return -1;
	status = rest_get(c, "GET", API "/status", NULL, e);
	if (!status)
		return -1;
	f[0] = look_ready(c, status);
	f[1] = look_clock(c, status);
	f[2] = look_audit(c, e);
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		struct doc *one = doc_map(&c->a, items, NULL);

		doc_add_text(&c->a, one, "check", f[i].check);
		doc_add_bool(&c->a, one, "ok", f[i].good);
		doc_add_text(&c->a, one, "text", f[i].text);
		good = good && f[i].good;
	}
	if (write_table(c, out, columns, e) < 0)
		return -1;
	return good ? EXIT_DONE : err_set(e, ERR_CONFLICT, "something needs a look");
}

/* ---- tokens and operators ---- */

int cmd_token_create(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *role = ctx_option(c, "role"), *days = ctx_option(c, "days");
	const char *scope = ctx_option(c, "scope");
	int64_t n;

	doc_add_text(&c->a, body, "name", c->args[0]);
	doc_add_text(&c->a, body, "role", role);
	if (days && text_i64(slice_str(days), &n) < 0)
		return ctx_usage(c, e, "--days takes a number, not '%s'", days);
	if (days)
		doc_add_int(&c->a, body, "days", n);
	if (scope)
		doc_add_text(&c->a, body, "scope", scope);
	return rest_object(c, "POST", API "/tokens", body, e);
}

int cmd_token_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "name", "NAME" },
		{ "role", "ROLE" },
		{ "scope", "SCOPE" },
		{ "not_after", "NOT AFTER" },
		{ "revoked", "REVOKED" },
		{ 0 },
	};

	return rest_list(c, API "/tokens", columns, e);
}

int cmd_token_revoke(struct ctx *c, struct err *e)
{
	return rest_object(c, "POST", rest_path(c, e, API "/tokens/%s/revoke", c->args[0]), NULL,
			   e);
}

int cmd_operator_add(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *uid = ctx_option(c, "uid"), *role = ctx_option(c, "role");
	int64_t n;

	if (text_i64(slice_str(uid), &n) < 0)
		return ctx_usage(c, e, "--uid takes a number, not '%s'", uid);
	doc_add_int(&c->a, body, "uid", n);
	doc_add_text(&c->a, body, "role", role);
	return rest_object(c, "POST", API "/operators", body, e);
}

int cmd_operator_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "uid", "UID" },
		{ "role", "ROLE" },
		{ "by", "BY" },
		{ "created", "CREATED" },
		{ 0 },
	};

	return rest_list(c, API "/operators", columns, e);
}

int cmd_operator_remove(struct ctx *c, struct err *e)
{
	return rest_object(c, "DELETE", rest_path(c, e, API "/operators/%s", c->args[0]), NULL, e);
}

/* ---- audit ---- */

int cmd_audit_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "at", "AT" },
		{ "who", "WHO" },
		{ "verb", "VERB" },
		{ "object", "OBJECT" },
		{ "detail", "DETAIL" },
		{ 0 },
	};

	return rest_list(c, API "/audit", columns, e);
}

int cmd_audit_verify(struct ctx *c, struct err *e)
{
	const struct doc *d = verify_audit(c, e);

	if (!d || write_object(c, d, e) < 0)
		return -1;
	if (strcmp(write_value(&c->a, d, "whole"), "yes") != 0)
		return err_set(e, ERR_VERIFY, "the chain is broken at row %s",
			       write_value(&c->a, d, "first_bad"));
	return EXIT_DONE;
}
