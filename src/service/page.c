/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "base/text.h"
#include "service/internal.h"

int page_begin(struct page *p, struct call *c, struct err *e)
{
	int64_t limit;

	*p = (struct page){ .c = c };
	if (query_id(c, "cursor", &p->after, e) || query_id(c, "limit", &limit, e))
		return -1;
	if (limit == 0)
		limit = PAGE_DEFAULT;
	p->limit = limit > PAGE_MAX ? PAGE_MAX : (int)limit;
	p->root = doc_map(c->tk.a, NULL, NULL);
	p->items = doc_array(c->tk.a, p->root, "items");
	return 0;
}

/* A page may be short: it ends before it would take most of the request's memory. */
int page_want(const struct page *p)
{
	const struct arena *a = p->c->tk.a;
	int left = p->limit - p->n;

	if (p->seen >= PAGE_SCAN || a->total > a->max / 4 || doc_failed(a))
		return 0;
	return left < PAGE_ROWS ? left : PAGE_ROWS;
}

bool page_step(struct page *p, int want, int got, int64_t last)
{
	p->seen += got;
	if (got > 0)
		p->after = last;
	p->more = got == want && got > 0;
	return p->more;
}

bool page_looked(struct page *p, int64_t cursor, bool done)
{
	int64_t looked = cursor - p->after;

	p->seen += looked > PAGE_SCAN ? PAGE_SCAN : (int)looked;
	p->after = cursor;
	p->more = !done;
	return p->more;
}

struct doc *page_item(struct page *p)
{
	p->n++;
	return doc_map(p->c->tk.a, p->items, NULL);
}

int page_end(struct page *p, struct err *e)
{
	struct arena *a = p->c->tk.a;

	if (p->more)
		doc_add_text(a, p->root, "next", arena_printf(a, "%" PRId64, p->after));
	else
		doc_add_null(a, p->root, "next");
	return reply_doc(p->c, 200, p->root, e);
}
