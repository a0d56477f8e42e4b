/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

/* Devices in one request. */
#define EDIT_MAX 64

static int hole_group(const struct call *c, char name[NAME_TEXT], struct err *e)
{
	return hole_text(c, 0, name, NAME_TEXT, e);
}

int svc_group_add(struct call *c, struct err *e)
{
	static const char *const members[] = { "name", NULL };
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	char name[NAME_TEXT] = "";
	struct doc_reader r;

	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_text(&r, "name", name, sizeof(name));
	if (doc_read_end(&r) != 0)
		return -1;
	if (!name_valid(slice_str(name)))
		return err_set(e, ERR_INVALID, "name: 1-64 of letters, digits and ._:+-");
	if (store_group_add(c->tk.st, name, e) != 0)
		return taken_or(e, "group", name);
	if (audit_note(&c->tk, "group.add", name, e, "-") != 0 ||
	    reply_location(c, e, "/api/v1/groups/%s", name) != 0)
		return -1;
	doc_add_text(c->tk.a, d, "name", name);
	return reply_doc(c, 201, d, e);
}

int svc_group_list(struct call *c, struct err *e)
{
	char(*names)[NAME_TEXT] = arena_alloc(c->tk.a, sizeof(*names) * PAGE_ROWS);
	int64_t ids[PAGE_ROWS];
	struct page p;
	int want;

	if (!names || page_begin(&p, c, e) != 0)
		return names ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_group_list(c->tk.st, p.after, want, ids, names, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			doc_add_text(c->tk.a, page_item(&p), "name", names[i]);
		if (!page_step(&p, want, n, n ? ids[n - 1] : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_group_remove(struct call *c, struct err *e)
{
	char name[NAME_TEXT];

	if (hole_group(c, name, e) || store_group_remove(c->tk.st, name, e) ||
	    audit_note(&c->tk, "group.remove", name, e, "-"))
		return -1;
	return reply_empty(c, 204);
}

/* The device in c->device joins or leaves. */
static int member(struct call *c, const char *name, bool in, struct err *e)
{
	if (store_group_member(c->tk.st, name, c->device.dev, in, e) ||
	    rollout_join_late(&c->tk, c->device.dev, e))
		return -1;
	return audit_note(&c->tk, in ? "group.join" : "group.leave", name, e, "device=%s",
			  c->device.id);
}

static int member_of_path(struct call *c, bool in, struct err *e)
{
	char name[NAME_TEXT];

	if (hole_group(c, name, e) || call_load_device(c, 1, e) || member(c, name, in, e))
		return -1;
	return reply_empty(c, 204);
}

int svc_group_join(struct call *c, struct err *e)
{
	return member_of_path(c, true, e);
}

int svc_group_leave(struct call *c, struct err *e)
{
	return member_of_path(c, false, e);
}

static int member_of_list(struct call *c, const char *name, const struct doc *id, bool in,
			  struct err *e)
{
	char text[NAME_TEXT];

	if (id->type != DOC_TEXT)
		return err_set(e, ERR_INVALID, "%s: an array of device ids", in ? "join" : "leave");
	if (!device_id_valid(id->v.s) || text_copy_slice(text, sizeof(text), id->v.s) != 0)
		return err_set(e, ERR_INVALID, "\"%.*s\" is no device id",
			       (int)(id->v.s.n < NAME_TEXT ? id->v.s.n : NAME_TEXT),
			       (const char *)id->v.s.p);
	if (call_find_device(c, text, e) || member(c, name, in, e) || call_still_inside(c, e))
		return err_prefix(e, "%s", text);
	return 0;
}

static int members_of_list(struct call *c, const char *name, const struct doc *list, bool in,
			   struct err *e)
{
	for (const struct doc *d = list ? list->v.c.first : NULL; d; d = d->next)
		if (member_of_list(c, name, d, in, e))
			return -1;
	return 0;
}

int svc_group_edit(struct call *c, struct err *e)
{
	static const char *const members[] = { "join", "leave", NULL };
	const struct doc *join, *leave;
	char name[NAME_TEXT];
	struct doc_reader r;
	int64_t id;

	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	join = doc_opt_array(&r, "join");
	leave = doc_opt_array(&r, "leave");
	if (doc_read_end(&r) != 0 || hole_group(c, name, e) ||
	    found_or(store_group_id(c->tk.st, name, &id, e), e, "group"))
		return -1;
	/* each may have a place in several rollouts to take, or to leave */
	if (doc_count(join) + doc_count(leave) > EDIT_MAX)
		return err_set(e, ERR_TOO_LARGE, "more than %d devices: send them in parts",
			       EDIT_MAX);
	if (members_of_list(c, name, leave, false, e) || members_of_list(c, name, join, true, e))
		return -1;
	return reply_empty(c, 204);
}
