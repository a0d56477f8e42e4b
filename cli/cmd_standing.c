/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

/* Standing rollouts: what is rolled out without being asked for. */
#define API "/api/v1/standing-rollouts"

int cmd_standing_add(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *urgency = ctx_option(c, "urgency");

	doc_add_text(&c->a, body, "name", c->args[0]);
	doc_add_bool(&c->a, body, "enabled", ctx_option(c, "enable") != NULL);
	if (urgency)
		doc_add_text(&c->a, body, "urgency", urgency);
	if (rollout_members(c, doc_map(&c->a, body, "rollout"), e) < 0)
		return -1;
	return rest_object(c, "POST", API, body, e);
}

int cmd_standing_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "name", "NAME" },
		{ "enabled", "ENABLED" },
		{ "urgency", "URGENCY" },
		{ "rollout.target", "TARGET" },
		{ "rollout.budget", "BUDGET" },
		{ "by", "BY" },
		{ 0 },
	};

	return rest_list(c, API, columns, e);
}

int cmd_standing_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/%s", c->args[0]), NULL, e);
}

static int enable(struct ctx *c, bool on, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);

	doc_add_bool(&c->a, body, "enabled", on);
	return rest_object(c, "PATCH", rest_path(c, e, API "/%s", c->args[0]), body, e);
}

int cmd_standing_enable(struct ctx *c, struct err *e)
{
	return enable(c, true, e);
}

int cmd_standing_disable(struct ctx *c, struct err *e)
{
	return enable(c, false, e);
}

int cmd_standing_remove(struct ctx *c, struct err *e)
{
	return rest_object(c, "DELETE", rest_path(c, e, API "/%s", c->args[0]), NULL, e);
}
