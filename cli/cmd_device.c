/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stdio.h>
#include <string.h>

#include "base/model.h"
#include "base/text.h"
#include "cli/cli.h"

/* Devices, what they log in with, groups, their updates. */
#define API "/api/v1"
#define SECRET_FILE_MAX 256

/* The two sides of "name=value". */
static int split_pair(struct ctx *c, const char *pair, char name[NAME_TEXT], const char **value,
		      struct err *e)
{
	const char *equals = strchr(pair, '=');

	if (!equals || equals == pair ||
	    text_copy_slice(name, NAME_TEXT, slice_of(pair, (size_t)(equals - pair))) < 0)
		return ctx_usage(c, e, "'%s' is not NAME=VALUE", pair);
	*value = equals + 1;
	return 0;
}

/* An attribute: digits are a number, nothing takes it away. */
static int add_attribute(struct ctx *c, struct doc *to, const char *pair, struct err *e)
{
	char name[NAME_TEXT];
	const char *value;
	int64_t number;

	if (split_pair(c, pair, name, &value, e) < 0)
		return -1;
	if (!*value)
		doc_add_null(&c->a, to, name);
	else if (text_i64(slice_str(value), &number) == 0)
		doc_add_int(&c->a, to, name, number);
	else
		doc_add_text(&c->a, to, name, value);
	return 0;
}

static int add_flag(struct ctx *c, struct doc *to, const char *name, const char *value,
		    struct err *e)
{
	bool yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;

	if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
		return ctx_usage(c, e, "%s is yes or no, not '%s'", name, value);
	doc_add_bool(&c->a, to, name, yes);
	return 0;
}

static int add_seconds(struct ctx *c, struct doc *to, const char *name, const char *value,
		       struct err *e)
{
	int64_t ms;

	if (text_duration_ms(slice_str(value), &ms) < 0)
		return ctx_usage(c, e, "%s '%s' is no duration (30s, 15m, 12h)", name, value);
	doc_add_int(&c->a, to, name, ms / 1000);
	return 0;
}

/* A member of the device itself; the service knows which there are. */
static int add_member(struct ctx *c, struct doc *to, const char *pair, struct err *e)
{
	char name[NAME_TEXT];
	const char *value;

	if (split_pair(c, pair, name, &value, e) < 0)
		return -1;
	if (strcmp(name, "disabled") == 0)
		return add_flag(c, to, name, value, e);
	if (strcmp(name, "contact_interval") == 0)
		return add_seconds(c, to, name, *value ? value : "0", e);
	doc_add_text(&c->a, to, name, *value ? value : NULL);
	return 0;
}

static int add_attributes(struct ctx *c, struct doc *body, struct err *e)
{
	struct doc *attributes;

	if (!ctx_option(c, "attr"))
		return 0;
	attributes = doc_map(&c->a, body, "attributes");
	for (int i = 0; ctx_option_n(c, "attr", i); i++)
		if (add_attribute(c, attributes, ctx_option_n(c, "attr", i), e) < 0)
			return -1;
	return 0;
}

static void add_tags(struct ctx *c, struct doc *body)
{
	struct doc *tags;

	if (!ctx_option(c, "tag") && !ctx_option(c, "no-tags"))
		return;
	tags = doc_array(&c->a, body, "tags");
	for (int i = 0; ctx_option_n(c, "tag", i); i++)
		doc_add_text(&c->a, tags, NULL, ctx_option_n(c, "tag", i));
}

int cmd_device_add(struct ctx *c, struct err *e)
{
	static const char *const texts[][2] = {
		{ "auth", "auth" },
		{ "mode", "mode" },
		{ "vendor-id", "vendor_id" },
		{ "class-id", "class_id" },
		{ "manufacturer", "manufacturer" },
		{ "model", "model" },
		{ "parent", "parent" },
	};
	const char *interval = ctx_option(c, "contact-interval");
	struct doc *body = doc_map(&c->a, NULL, NULL);

	doc_add_text(&c->a, body, "id", c->args[0]);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (ctx_option(c, texts[i][0]))
			doc_add_text(&c->a, body, texts[i][1], ctx_option(c, texts[i][0]));
	if (interval && add_seconds(c, body, "contact_interval", interval, e) < 0)
		return -1;
	add_tags(c, body);
	if (add_attributes(c, body, e) < 0)
		return -1;
	return rest_object(c, "POST", API "/devices", body, e);
}

int cmd_device_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "mode", "MODE" },
		{ "manufacturer", "MANUFACTURER" },
		{ "model", "MODEL" },
		{ "components.0.version", "VERSION" },
		{ "update.state", "UPDATE" },
		{ "last_seen", "LAST SEEN" },
		{ 0 },
	};
	const char *q = ctx_option(c, "query");
	const char *path = q ? rest_path(c, e, API "/devices?q=%s", q) : API "/devices";

	return path ? rest_list(c, path, columns, e) : -1;
}

int cmd_device_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/devices/%s", c->args[0]), NULL, e);
}

int cmd_device_set(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);

	for (int i = 1; i < c->n_args; i++)
		if (add_member(c, body, c->args[i], e) < 0)
			return -1;
	if (ctx_option(c, "tag") && ctx_option(c, "no-tags"))
		return ctx_usage(c, e, "either --tag or --no-tags");
	add_tags(c, body);
	if (add_attributes(c, body, e) < 0)
		return -1;
	if (!doc_count(body))
		return ctx_usage(c, e, "nothing to set");
	return rest_object(c, "PATCH", rest_path(c, e, API "/devices/%s", c->args[0]), body, e);
}

int cmd_device_approve(struct ctx *c, struct err *e)
{
	return rest_object(c, "POST", rest_path(c, e, API "/devices/%s/approve", c->args[0]), NULL,
			   e);
}

int cmd_device_remove(struct ctx *c, struct err *e)
{
	return rest_object(c, "DELETE", rest_path(c, e, API "/devices/%s", c->args[0]), NULL, e);
}

/* The gates in order, the first closed one marked. */
int cmd_device_why(struct ctx *c, struct err *e)
{
	const struct doc *answer =
		rest_get(c, "GET", rest_path(c, e, API "/devices/%s/why", c->args[0]), NULL, e);

	return answer ? write_gates(c, answer, e) : -1;
}

static void print_diag(struct ctx *c, const struct doc *item)
{
	const char *text = doc_get(item, "text") ? "text" : "bytes";

	printf("%s  %s  %s bytes\n%s\n", write_value(&c->a, item, "at"),
	       write_value(&c->a, item, "media"), write_value(&c->a, item, "size"),
	       write_value(&c->a, item, text));
}

int cmd_device_diag(struct ctx *c, struct err *e)
{
	const char *path = rest_path(c, e, API "/devices/%s/diag", c->args[0]);

	if (path && ctx_option(c, "ask"))
		return rest_object(c, "POST", path, NULL, e);
	const struct doc *answer = path ? rest_get(c, "GET", path, NULL, e) : NULL;
	const struct doc *items = doc_get(answer, "items"), *asked = doc_get(answer, "asked");

	if (!answer)
		return -1;
	if (c->json)
		return write_object(c, answer, e);
	if (!items || items->type != DOC_ARRAY)
		return err_set(e, ERR_MALFORMED, "the answer has no items");
	if (asked && asked->type == DOC_BOOL && asked->v.b)
		printf("asked for, not here yet\n");
	else if (!items->v.c.first)
		printf("none\n");
	for (const struct doc *i = items->v.c.first; i; i = i->next)
		print_diag(c, i);
	return EXIT_DONE;
}

int cmd_device_history(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "at", "AT" }, { "update", "UPDATE" }, { "from", "FROM" },
		{ "to", "TO" }, { "cause", "CAUSE" },	{ 0 },
	};
	const char *path = rest_path(c, e, API "/devices/%s/history", c->args[0]);

	return path ? rest_list(c, path, columns, e) : -1;
}

/* ---- credentials ---- */

static int add_psk(struct ctx *c, struct doc *body, const char *file, struct err *e)
{
	const char *identity = ctx_option(c, "identity");
	struct buf in = BUF_INIT(0);
	int result = file_read(file, SECRET_FILE_MAX, &in, e);

	while (result == 0 && in.n > 0 && in.p[in.n - 1] <= ' ')
		in.n--;
	if (result == 0) {
		doc_add_text(&c->a, body, "kind", "psk");
		doc_add_text_slice(&c->a, body, "key", buf_slice(&in));
		if (identity)
			doc_add_text(&c->a, body, "identity", identity);
	}
	if (in.p)
		explicit_bzero(in.p, in.cap);
	buf_free(&in);
	return result;
}

int cmd_credential_add(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *psk = ctx_option(c, "psk-file"), *days = ctx_option(c, "days");
	int64_t n;

	if (!psk == !ctx_option(c, "token"))
		return ctx_usage(c, e, "either --psk-file FILE (hex) or --token");
	if (!psk && ctx_option(c, "identity"))
		return ctx_usage(c, e, "--identity goes with --psk-file");
	if (days && text_i64(slice_str(days), &n) < 0)
		return ctx_usage(c, e, "--days takes a number, not '%s'", days);
	if (psk && add_psk(c, body, psk, e) < 0)
		return -1;
	if (!psk)
		doc_add_text(&c->a, body, "kind", "token");
	if (days)
		doc_add_int(&c->a, body, "days", n);
	return rest_object(c, "POST", rest_path(c, e, API "/devices/%s/credentials", c->args[0]),
			   body, e);
}

int cmd_credential_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "kind", "KIND" },
		{ "identity", "IDENTITY" },
		{ "created", "CREATED" },
		{ "not_after", "NOT AFTER" },
		{ "revoked", "REVOKED" },
		{ 0 },
	};
	const char *path = rest_path(c, e, API "/devices/%s/credentials", c->args[0]);

	return path ? rest_list(c, path, columns, e) : -1;
}

int cmd_credential_revoke(struct ctx *c, struct err *e)
{
	return rest_object(c, "DELETE",
			   rest_path2(c, e, API "/devices/%s/credentials/%s", c->args[0],
				      c->args[1]),
			   NULL, e);
}

/* ---- groups ---- */

int cmd_group_add(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);

	doc_add_text(&c->a, body, "name", c->args[0]);
	return rest_object(c, "POST", API "/groups", body, e);
}

int cmd_group_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = { { "name", "NAME" }, { 0 } };

	return rest_list(c, API "/groups", columns, e);
}

int cmd_group_remove(struct ctx *c, struct err *e)
{
	return rest_object(c, "DELETE", rest_path(c, e, API "/groups/%s", c->args[0]), NULL, e);
}

/* One request for all: who is wrong among them keeps the others out, too. */
static int membership(struct ctx *c, const char *what, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL), *ids = doc_array(&c->a, body, what);

	for (int i = 1; i < c->n_args; i++)
		doc_add_text(&c->a, ids, NULL, c->args[i]);
	return rest_object(c, "PATCH", rest_path(c, e, API "/groups/%s", c->args[0]), body, e);
}

int cmd_group_join(struct ctx *c, struct err *e)
{
	return membership(c, "join", e);
}

int cmd_group_leave(struct ctx *c, struct err *e)
{
	return membership(c, "leave", e);
}

/* ---- updates ---- */

int cmd_update_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },		  { "device", "DEVICE" },
		{ "rollout", "ROLLOUT" }, { "state", "STATE" },
		{ "attempt", "ATTEMPT" }, { "progress", "PROGRESS" },
		{ "reason", "REASON" },	  { 0 },
	};
	const char *rollout = ctx_option(c, "rollout"), *device = ctx_option(c, "device");
	const char *path = API "/updates";

	if (rollout && device)
		path = rest_path2(c, e, API "/updates?rollout=%s&device=%s", rollout, device);
	else if (rollout)
		path = rest_path(c, e, API "/updates?rollout=%s", rollout);
	else if (device)
		path = rest_path(c, e, API "/updates?device=%s", device);

	return path ? rest_list(c, path, columns, e) : -1;
}

int cmd_update_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/updates/%s", c->args[0]), NULL, e);
}
