/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

#include <string.h>

#include "base/ids.h"
#include "base/text.h"

/* Windows and black-outs. */
#define API "/api/v1"

static const struct column columns[] = {
	{ "id", "ID" },	      { "level", "LEVEL" },
	{ "ref", "OF" },      { "kind", "KIND" },
	{ "rrule", "RRULE" }, { "starts", "STARTS" },
	{ "zone", "ZONE" },   { "duration", "SECONDS" },
	{ "by", "BY" },	      { 0 },
};

static bool is_set(const struct doc *d, const char *name)
{
	const struct doc *flag = doc_get(d, name);

	return flag && flag->type == DOC_BOOL && flag->v.b;
}

/* For people the two flags are one word. */
static int write_windows(struct ctx *c, const struct doc *answer, struct err *e)
{
	const struct doc *list = answer ? doc_get(answer, "items") : NULL;

	if (!answer)
		return -1;
	for (struct doc *d = list && !c->json ? list->v.c.first : NULL; d; d = d->next) {
		bool blackout = is_set(d, "blackout");
		bool own = is_set(d, "reported");

		doc_add_text(&c->a, d, "kind",
			     blackout ? "black-out"
			     : own    ? "the device's"
				      : "window");
	}
	return write_table(c, answer, columns, e);
}

static void add_option(struct ctx *c, struct doc *body, const char *name)
{
	const char *value = ctx_option(c, name);

	if (value)
		doc_add_text(&c->a, body, name, value);
}

int cmd_window_add(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *duration = ctx_option(c, "duration");
	int64_t ms;

	doc_add_text(&c->a, body, "level", c->args[0]);
	doc_add_text(&c->a, body, "ref", c->args[1]);
	if (c->n_args > 2)
		doc_add_text(&c->a, body, "window", c->args[2]);
	add_option(c, body, "rrule");
	add_option(c, body, "starts");
	add_option(c, body, "zone");
	if (duration && text_duration_ms(slice_str(duration), &ms) < 0)
		return ctx_usage(c, e, "--duration '%s' is no duration (90m, 4h)", duration);
	if (duration)
		doc_add_int(&c->a, body, "duration", ms / 1000);
	if (ctx_option(c, "blackout"))
		doc_add_bool(&c->a, body, "blackout", true);
	return write_windows(c, rest_get(c, "POST", API "/windows", body, e), e);
}

int cmd_window_list(struct ctx *c, struct err *e)
{
	const char *level = ctx_option(c, "level"), *ref = ctx_option(c, "ref");
	const char *path = API "/windows";

	if (!level != !ref)
		return ctx_usage(c, e, "--level and --ref go together");
	if (level)
		path = rest_path2(c, e, API "/windows?level=%s&ref=%s", level, ref);
	return path ? write_windows(c, rest_all(c, path, e), e) : -1;
}

int cmd_window_remove(struct ctx *c, struct err *e)
{
	return rest_object(c, "DELETE", rest_path(c, e, API "/windows/%s", c->args[0]), NULL, e);
}

/* One line for each opening of each device. */
static void flatten(struct ctx *c, struct doc *rows, const struct doc *device)
{
	const struct doc *list = doc_get(device, "openings");
	const struct doc *d = list ? list->v.c.first : NULL;
	bool always = is_set(device, "always");

	do {
		struct doc *row = doc_map(&c->a, rows, NULL);

		doc_add_text(&c->a, row, "device", write_value(&c->a, device, "device"));
		doc_add_text(&c->a, row, "from",
			     d	      ? write_value(&c->a, d, "from")
			     : always ? "always"
				      : "never");
		if (d)
			doc_add_text(&c->a, row, "until", write_value(&c->a, d, "until"));
		d = d ? d->next : NULL;
	} while (d);
}

static int write_next(struct ctx *c, const struct doc *answer, struct err *e)
{
	static const struct column next[] = {
		{ "device", "DEVICE" }, { "from", "OPEN FROM" }, { "until", "UNTIL" }, { 0 }
	};
	struct doc *all = doc_map(&c->a, NULL, NULL), *rows = doc_array(&c->a, all, "items");
	const struct doc *list = answer ? doc_get(answer, "items") : NULL;

	if (!answer)
		return -1;
	if (c->json)
		return write_table(c, answer, next, e);
	for (const struct doc *d = list ? list->v.c.first : NULL; d; d = d->next)
		flatten(c, rows, d);
	return write_table(c, all, next, e);
}

int cmd_window_next(struct ctx *c, struct err *e)
{
	const char *what = c->args[0], *count = ctx_option(c, "count");
	const char *rollout = ctx_option(c, "rollout");
	bool one = device_id_valid(slice_str(what)) && strcmp(what, "all") != 0;
	const char *path = rest_path2(c, e,
				      one ? API "/windows/next?device=%s&count=%s"
					  : API "/windows/next?expr=%s&count=%s",
				      what, count ? count : "5");

	if (path && rollout) {
		const char *more = rest_path(c, e, "&rollout=%s", rollout);
		path = more ? arena_printf(&c->a, "%s%s", path, more) : NULL;
	}
	return path ? write_next(c, rest_all(c, path, e), e) : -1;
}
