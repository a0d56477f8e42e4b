/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/cli.h"
#include "codec/docfmt.h"

/*
 * A fleet from a file. The service checks all of one request before it takes any of it,
 * and enrols in a job, which is waited for. A request is bounded; a longer file goes in
 * parts, each with the head line when it is CSV. The first part with a bad line ends it:
 * every bad line is named by its number in the file.
 */
#define API "/api/v1"
#define IMPORT_MAX (64u << 20)
#define PART_BYTES 60000
#define PART_LINES 1000 /* so many bad ones are all named */

struct import {
	struct slice rest;
	struct slice head; /* CSV's lines up to the one that names columns, else empty */
	int line; /* lines already sent */
	int head_lines;
	int64_t added;
};

static struct slice take_line(struct slice *rest)
{
	const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) + 1 : rest->n;
	struct slice line = slice_of(rest->p, n);

	*rest = slice_of(rest->p + n, rest->n - n);
	return line;
}

/* Empty lines before it count, as the service counts them. */
static void take_head(struct import *im)
{
	struct slice whole = im->rest, line;

	do {
		line = take_line(&im->rest);
		im->head_lines += line.n > 0;
	} while (im->rest.n > 0 && (slice_eq_str(line, "\n") || slice_eq_str(line, "\r\n")));
	im->head = slice_of(whole.p, whole.n - im->rest.n);
	im->line = im->head_lines;
}

/* As many lines as one request may have; returns how many. */
static int fill_part(struct import *im, struct buf *part)
{
	int lines = 0;

	buf_add_slice(part, im->head);
	while (im->rest.n > 0 && lines < PART_LINES) {
		struct slice before = im->rest, line = take_line(&im->rest);

		if (lines > 0 && part->n + line.n > PART_BYTES) {
			im->rest = before;
			break;
		}
		buf_add_slice(part, line);
		lines++;
	}
	return lines;
}

/* The service counts from the part's first line. */
static void name_bad_lines(struct ctx *c, const struct import *im, const struct doc *answer)
{
	const struct doc *list = doc_get(answer, "errors");
	int before = im->line - im->head_lines;

	for (const struct doc *d = list && list->type == DOC_ARRAY ? list->v.c.first : NULL; d;
	     d = d->next) {
		const struct doc *line = doc_get(d, "line"), *other = doc_get(d, "before");

		if (!line || line->type != DOC_INT)
			continue;
		fprintf(stderr, "line %lld: %s", (long long)(before + line->v.i),
			write_value(&c->a, d, "detail"));
		if (other && other->type == DOC_INT)
			fprintf(stderr, ": in line %lld, too", (long long)(before + other->v.i));
		fputc('\n', stderr);
	}
}

static int after_some(const struct import *im, struct err *e)
{
	if (im->added > 0)
		err_prefix(e, "after %lld devices were enrolled", (long long)im->added);
	return -1;
}

static bool word_is(const struct doc *d, const char *key, const char *word)
{
	const struct doc *v = doc_get(d, key);

	return v && v->type == DOC_TEXT && slice_eq_str(v->v.s, word);
}

/* The job's document when it has ended: soon at first, then less often. */
static const struct doc *wait_ended(struct ctx *c, const struct doc *job, struct err *e)
{
	const struct doc *id = doc_get(job, "id");
	struct timespec pause = { .tv_nsec = 10000000 };
	char path[64];

	if (!id || id->type != DOC_INT ||
	    text_format(path, sizeof(path), API "/jobs/%lld", (long long)id->v.i) != 0) {
		err_set(e, ERR_INTERNAL, "the service named no job");
		return NULL;
	}
	while (job && word_is(job, "state", "running")) {
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 500000000)
			pause.tv_nsec *= 2;
		job = rest_get(c, "GET", path, NULL, e);
	}
	return job;
}

static int follow(struct ctx *c, struct import *im, const struct doc *answer, struct err *e)
{
	const struct doc *job = wait_ended(c, doc_get(answer, "job"), e), *done;

	if (!job)
		return -1;
	done = doc_get(job, "done");
	if (done && done->type == DOC_INT)
		im->added += done->v.i;
	if (word_is(job, "state", "done"))
		return 0;
	name_bad_lines(c, im, job);
	err_set(e, ERR_CONFLICT, "%s", write_value(&c->a, job, "result"));
	return after_some(im, e);
}

/* The body is needed twice: for the refusal's line and for the bad lines. */
static int answered(struct ctx *c, struct import *im, struct reply *rp, struct err *e)
{
	struct reply copy = *rp;
	const struct doc *answer, *problem = NULL;

	copy.body = BUF_INIT(CLIENT_BODY_MAX);
	buf_add_slice(&copy.body, buf_slice(&rp->body));
	answer = rest_answer(c, &copy, e);
	if (answer)
		return follow(c, im, answer, e);
	if (docfmt_decode(MEDIA_JSON, buf_slice(&rp->body), &c->a, &problem, NULL) == 0)
		name_bad_lines(c, im, problem);
	return after_some(im, e);
}

static int send_part(struct ctx *c, struct import *im, const char *type, struct err *e)
{
	struct buf part = BUF_INIT(IMPORT_MAX);
	struct reply rp = { 0 };
	int lines = fill_part(im, &part), result = -1;

	if (part.failed)
		err_set(e, ERR_NO_MEMORY, "import");
	else if (client_call(c->client, "POST", API "/devices/import", type, buf_slice(&part), &rp,
			     e) == 0) {
		result = answered(c, im, &rp, e);
		buf_free(&rp.body);
	}
	im->line += lines;
	buf_free(&part);
	return result;
}

static bool is_csv(const struct ctx *c, const char *path)
{
	size_t n = strlen(path);

	return ctx_option(c, "csv") || (n > 4 && strcmp(path + n - 4, ".csv") == 0);
}

int cmd_device_import(struct ctx *c, struct err *e)
{
	bool csv = is_csv(c, c->args[0]);
	struct doc *d = doc_map(&c->a, NULL, NULL);
	struct buf in = BUF_INIT(0);
	struct import im = { 0 };
	int result = file_read(c->args[0], IMPORT_MAX, &in, e);

	im.rest = buf_slice(&in);
	/* the mark some programs put before UTF-8 is no line */
	if (slice_starts(im.rest, "\xef\xbb\xbf"))
		im.rest = slice_of(im.rest.p + 3, im.rest.n - 3);
	if (result == 0 && csv)
		take_head(&im);
	for (bool first = im.head.n > 0; result == 0 && (first || im.rest.n > 0); first = false)
		result = send_part(c, &im, csv ? "text/csv" : "application/x-ndjson", e);
	buf_free(&in);
	if (result < 0)
		return -1;
	doc_add_int(&c->a, d, "added", im.added);
	return write_object(c, d, e);
}
