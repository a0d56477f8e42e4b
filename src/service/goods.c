/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "service/svc.h"

/* What is named by the digest of its bytes: images and manifests. */

int goods_load(struct call *c, const struct goods *g, void *row, struct err *e)
{
	struct digest d;

	if (hole_digest(c, 0, &d, e) != 0)
		return -1;
	return found_or(g->get(c->tk.st, &d, row, e), e, g->what);
}

int goods_show(struct call *c, const struct goods *g, struct err *e)
{
	void *row = arena_alloc(c->tk.a, g->size);

	if (!row)
		return err_set(e, ERR_NO_MEMORY, "no memory for the %s", g->what);
	return goods_load(c, g, row, e) == 0 ? g->reply(c, 200, row, e) : -1;
}

int goods_list(struct call *c, const struct goods *g, struct err *e)
{
	char *rows = arena_alloc(c->tk.a, g->size * PAGE_ROWS);
	int64_t ids[PAGE_ROWS];
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = g->list(c->tk.st, p.after, want, ids, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			g->put(c, page_item(&p), rows + (size_t)i * g->size);
		if (!page_step(&p, want, n, n ? ids[n - 1] : 0))
			break;
	}
	return page_end(&p, e);
}
