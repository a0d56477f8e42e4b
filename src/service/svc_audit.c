/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>

#include "service/svc.h"

int svc_audit_list(struct call *c, struct err *e)
{
	struct audit *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct arena *a = c->tk.a;
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_audit_list(c->tk.st, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			struct doc *d = page_item(&p);

			doc_add_int(a, d, "id", rows[i].id);
			doc_add_time(a, d, "at", rows[i].at);
			doc_add_text(a, d, "who", rows[i].who);
			doc_add_text(a, d, "verb", rows[i].verb);
			doc_add_text(a, d, "object", rows[i].object);
			doc_add_text(a, d, "detail", rows[i].detail);
			doc_add_digest(a, d, "hash", &rows[i].hash);
		}
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

#define VERIFY_ROWS 500 /* of one request: some milliseconds of hashing */

/*
 * The chain grows for ever, a request does not: a page of it, to be continued at next
 * until there is none. first_bad ends it.
 */
int svc_audit_verify(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	int64_t after, last;
	bool end;

	if (query_id(c, "cursor", &after, e) != 0)
		return -1;
	int whole = store_audit_verify(c->tk.st, after, VERIFY_ROWS, &last, &end, e);
	if (whole < 0)
		return -1;
	doc_add_int(c->tk.a, d, "rows", last);
	doc_add_bool(c->tk.a, d, "whole", whole == 1);
	if (whole == 1)
		doc_add_null(c->tk.a, d, "first_bad");
	else
		doc_add_int(c->tk.a, d, "first_bad", last + 1);
	if (whole == 1 && !end)
		doc_add_text(c->tk.a, d, "next", arena_printf(c->tk.a, "%" PRId64, last));
	else
		doc_add_null(c->tk.a, d, "next");
	return reply_doc(c, 200, d, e);
}
