/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

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

static int member(struct call *c, bool in, struct err *e)
{
	char name[NAME_TEXT];

	if (hole_group(c, name, e) || call_load_device(c, 1, e) ||
	    store_group_member(c->tk.st, name, c->device.dev, in, e) ||
	    rollout_join_late(&c->tk, c->device.dev, e) ||
	    audit_note(&c->tk, in ? "group.join" : "group.leave", name, e, "device=%s",
		       c->device.id))
		return -1;
	return reply_empty(c, 204);
}

int svc_group_join(struct call *c, struct err *e)
{
	return member(c, true, e);
}

int svc_group_leave(struct call *c, struct err *e)
{
	return member(c, false, e);
}
