/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "service/internal.h"
#include "tracker/filter.h"

int hole_text(const struct call *c, unsigned i, char *dst, size_t cap, struct err *e)
{
	/* nothing kept here has such a name, so it is not there */
	if (text_copy_slice(dst, cap, c->hole[i]) != 0)
		return err_set(e, ERR_NOT_FOUND, "there is nothing of this name");
	return 0;
}

int hole_id(const struct call *c, unsigned i, int64_t *out, struct err *e)
{
	if (text_i64(c->hole[i], out) != 0 || *out <= 0)
		return err_set(e, ERR_NOT_FOUND, "there is nothing of this number");
	return 0;
}

int hole_digest(const struct call *c, unsigned i, struct digest *out, struct err *e)
{
	if (digest_parse(out, c->hole[i]) != 0)
		return err_set(e, ERR_NOT_FOUND, "there is nothing of this digest");
	return 0;
}

int query_id(const struct call *c, const char *name, int64_t *out, struct err *e)
{
	char text[24];
	int rc = query_get(c->rq->query, name, text, sizeof(text));

	*out = 0;
	if (rc == 0)
		return 0;
	if (rc < 0 || text_i64(slice_str(text), out) != 0 || *out < 0)
		return err_set(e, ERR_INVALID, "%s: must be a number", name);
	return 0;
}

int query_flag(const struct call *c, const char *name, bool *out, struct err *e)
{
	char text[8] = "0";
	int rc = query_get(c->rq->query, name, text, sizeof(text));

	*out = rc == 1 && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0 || text[0] == '\0');
	if (rc == 0 || *out || strcmp(text, "0") == 0 || strcmp(text, "false") == 0)
		return rc;
	return err_set(e, ERR_INVALID, "%s: 1 or 0", name);
}

int found_or(int rc, struct err *e, const char *what)
{
	if (rc == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no such %s", what);
	return rc < 0 ? -1 : 0;
}

int taken_or(struct err *e, const char *what, const char *name)
{
	if (e && e->code == ERR_CONFLICT)
		return err_set(e, ERR_CONFLICT, "%s %s exists already", what, name);
	return -1;
}

int scope_takes(const struct call *c, int64_t dev, struct err *e)
{
	return c->scope ? store_device_matches(c->tk.st, dev, c->scope, e) : 1;
}

int scope_needed(const struct call *c, struct err *e)
{
	if (c->scope)
		return err_set(e, ERR_FORBIDDEN, "%s is held to some devices and may not do this",
			       c->who.name);
	return 0;
}

int scope_and(struct call *c, struct filter *q, const struct filter **out, struct err *e)
{
	struct filter *both;

	*out = q;
	if (!c->scope)
		return 0;
	both = arena_alloc(c->tk.a, sizeof(*both));
	if (!both)
		return err_set(e, ERR_NO_MEMORY, "no memory for the filter");
	both->op = FILTER_AND;
	both->left = q;
	both->right = (struct filter *)(uintptr_t)c->scope; /* read only, as q's user sees it */
	*out = both;
	return 0;
}

int scope_query(struct call *c, const struct filter **out, struct err *e)
{
	char text[FILTER_TEXT];
	struct filter *q = NULL;
	int rc = query_get(c->rq->query, "q", text, sizeof(text));

	*out = c->scope;
	if (rc < 0)
		return err_set(e, ERR_INVALID, "q: longer than %d bytes, or broken escapes",
			       FILTER_TEXT - 1);
	if (rc == 0 || text[0] == '\0')
		return 0;
	if (filter_parse(text, c->tk.a, &q, e) != 0)
		return err_prefix(e, "q");
	return scope_and(c, q, out, e);
}
