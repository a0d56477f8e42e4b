/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/message.h"
#include "base/text.h"
#include "codec/docfmt.h"

/* A filter of 1023 bytes, every one escaped. */
#define PATH_TEXT 4096
#define PAGE_ITEMS 100

static const char *encode(struct ctx *c, const char *s)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	struct buf out = BUF_INIT(PATH_TEXT);
	const char *result;

	for (; *s; s++) {
		if (strchr(plain, *s))
			buf_add(&out, s, 1);
		else
			buf_printf(&out, "%%%02X", (unsigned char)*s);
	}
	result = out.failed ? NULL : arena_copy(&c->a, buf_cstr(&out), out.n);
	buf_free(&out);
	return result;
}

/* Nothing is called so; the service would only say that the target is malformed. */
static int check_segment(struct ctx *c, const char *arg, struct err *e)
{
	const unsigned char *p = (const unsigned char *)arg;
	struct doc *shown;

	while (*p > ' ' && *p < 0x7f)
		p++;
	if (!*p)
		return 0;
	shown = doc_map(&c->a, NULL, NULL);
	doc_add_text(&c->a, shown, "arg", arg);
	return err_set(e, ERR_INVALID,
		       "'%s': names have no blanks, and no letters beyond ASCII, so nothing is "
		       "called so",
		       write_value(&c->a, shown, "arg"));
}

/* format has one %s a part; parts are encoded, so that no argument can leave its segment. */
static int join(struct ctx *c, struct buf *out, const char *format, const char *const *part, int n,
		struct err *e)
{
	bool query = false;
	int used = 0;

	for (const char *p = format; *p; p++) {
		const char *coded;

		query = query || *p == '?' || *p == '&';
		if (p[0] != '%' || p[1] != 's') {
			buf_add(out, p, 1);
			continue;
		}
		if (used < n && !query && check_segment(c, part[used], e) < 0)
			return -1;
		coded = used < n ? encode(c, part[used++]) : NULL;
		if (coded)
			buf_add_str(out, coded);
		else
			out->failed = true;
		p++;
	}
	return out->failed ? err_set(e, ERR_TOO_LARGE, "an argument is too long") : 0;
}

static const char *path_of(struct ctx *c, const char *format, const char *const *part, int n,
			   struct err *e)
{
	struct buf out = BUF_INIT(PATH_TEXT);
	const char *result = NULL;

	if (join(c, &out, format, part, n, e) == 0) {
		result = arena_copy(&c->a, buf_cstr(&out), out.n);
		if (!result)
			err_set(e, ERR_NO_MEMORY, "no memory for the request");
	}
	buf_free(&out);
	return result;
}

const char *rest_path(struct ctx *c, struct err *e, const char *format, const char *arg)
{
	return path_of(c, format, &arg, 1, e);
}

const char *rest_path2(struct ctx *c, struct err *e, const char *format, const char *a,
		       const char *b)
{
	const char *part[2] = { a, b };

	return path_of(c, format, part, 2, e);
}

/* A refusal in one line: the problem's detail, else its title, else the status. */
static int refused(struct ctx *c, const struct reply *rp, struct err *e)
{
	const struct doc *problem = NULL;
	const char *text = NULL;

	if (docfmt_decode(MEDIA_JSON, buf_slice(&rp->body), &c->a, &problem, NULL) == 0) {
		text = doc_get(problem, "detail") ? write_value(&c->a, problem, "detail")
						  : write_value(&c->a, problem, "title");
	}
	if (!text || strcmp(text, "-") == 0)
		text = status_phrase((uint16_t)rp->status);
	return err_set(e, ERR_CONFLICT, "%s (%ld)", text, rp->status);
}

const struct doc *rest_answer(struct ctx *c, struct reply *rp, struct err *e)
{
	static const struct doc nothing = { .type = DOC_MAP };
	const struct doc *answer = NULL;

	if (rp->status < 200 || rp->status >= 300) {
		refused(c, rp, e);
	} else if (rp->body.n == 0) {
		answer = &nothing;
	} else if (docfmt_decode(MEDIA_JSON, buf_slice(&rp->body), &c->a, &answer, e) < 0) {
		err_prefix(e, "the answer");
		answer = NULL;
	}
	buf_free(&rp->body);
	return answer;
}

const struct doc *rest_get(struct ctx *c, const char *method, const char *path,
			   const struct doc *body, struct err *e)
{
	struct buf out = BUF_INIT(CLIENT_BODY_MAX);
	const struct doc *answer = NULL;
	struct reply rp = { 0 };

	if (!path)
		return NULL;
	if (body && doc_failed(&c->a))
		err_set(e, ERR_NO_MEMORY, "the request is too large");
	else if ((!body || docfmt_encode(MEDIA_JSON, body, &out, e) == 0) &&
		 client_call(c->client, method, path, body ? "application/json" : NULL,
			     buf_slice(&out), &rp, e) == 0)
		answer = rest_answer(c, &rp, e);
	if (out.p)
		explicit_bzero(out.p, out.cap); /* a credential's key may have been in it */
	buf_free(&out);
	return answer;
}

int rest_object(struct ctx *c, const char *method, const char *path, const struct doc *body,
		struct err *e)
{
	const struct doc *answer = rest_get(c, method, path, body, e);

	if (!answer)
		return -1;
	if (doc_count(answer) == 0 && !c->json)
		return EXIT_DONE;
	return write_object(c, answer, e);
}

static void splice(struct doc *items, const struct doc *list)
{
	if (list->v.c.first && items->v.c.last)
		items->v.c.last->next = list->v.c.first;
	else if (list->v.c.first)
		items->v.c.first = list->v.c.first;
	if (list->v.c.last)
		items->v.c.last = list->v.c.last;
	items->v.c.n += list->v.c.n;
}

/*
 * A page of rich objects may be more than one document may hold: then a smaller one is asked for.
 */
static const struct doc *get_page(struct ctx *c, const char *path, const char *cursor,
				  unsigned *limit, struct err *e)
{
	for (;; *limit /= 2) {
		const char *one =
			arena_printf(&c->a, "%s%climit=%u%s%s", path, strchr(path, '?') ? '&' : '?',
				     *limit, *cursor ? "&cursor=" : "", cursor);
		const struct doc *page = rest_get(c, "GET", one, NULL, e);

		if (page || e->code != ERR_TOO_LARGE || *limit <= 1)
			return page;
	}
}

const struct doc *rest_all(struct ctx *c, const char *path, struct err *e)
{
	struct doc *all = doc_map(&c->a, NULL, NULL), *items = doc_array(&c->a, all, "items");
	const char *next = "";
	unsigned limit = PAGE_ITEMS;

	while (next) {
		const struct doc *page = get_page(c, path, next, &limit, e);
		const struct doc *list = doc_get(page, "items");

		if (!page)
			return NULL;
		if (!list || list->type != DOC_ARRAY || !items) {
			err_set(e, ERR_MALFORMED, "the answer is no list");
			return NULL;
		}
		splice(items, list);
		next = write_value(&c->a, page, "next");
		if (strcmp(next, "-") == 0)
			next = NULL;
		else
			next = encode(c, next);
	}
	return all;
}

int rest_list(struct ctx *c, const char *path, const struct column *columns, struct err *e)
{
	const struct doc *all = rest_all(c, path, e);

	return all ? write_table(c, all, columns, e) : -1;
}
