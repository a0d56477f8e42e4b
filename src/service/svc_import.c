/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/import_lines.h"
#include "service/svc.h"
#include "tracker/filter.h"

#define LINES_MAX 2000
#define ERRORS_SHOWN 1000 /* four values each: about what a document may hold */
#define ERRORS_BYTES 65536 /* of a job */
#define LINE_HEAD 16 /* a number, and what ends it and its line */
#define STEP_US 2000
#define SLOTS 4096 /* a power of two, well over LINES_MAX */

/*
 * Enrolling many takes long, so it is a job. All that can be told without writing is told
 * first: one bad line, and nothing is enrolled. What is inside a scope only rows can tell, so
 * for an asker who has one the job goes through it twice, and undoes each line the first time.
 */

/* ---- before anything is written ---- */

/* The ids of this request, to tell repeats by. */
struct ids {
	char (*id)[NAME_TEXT];
	int *line; /* each one's */
	uint16_t slot[SLOTS]; /* number of an id from 1 */
	int n;
};

/* The line it was in before, 0 none: it is now. */
static int line_before(struct ids *s, const char *id, int line)
{
	uint32_t h = 2166136261u;

	for (const char *p = id; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (h &= SLOTS - 1; s->slot[h]; h = (h + 1) & (SLOTS - 1))
		if (strcmp(s->id[s->slot[h] - 1], id) == 0)
			return s->line[s->slot[h] - 1];
	(void)text_copy(s->id[s->n], NAME_TEXT, id);
	s->line[s->n] = line;
	s->slot[h] = (uint16_t)++s->n;
	return 0;
}

struct check {
	struct call *c;
	struct ids *ids;
	struct doc *errors;
	int bad;
};

static void blame(struct check *k, int line, int before, const struct err *why)
{
	struct arena *a = k->c->tk.a;
	char text[sizeof(why->text)];

	if (k->bad++ >= ERRORS_SHOWN)
		return;
	problem_text(text, sizeof(text), why->text);
	struct doc *d = doc_map(a, k->errors, NULL);
	doc_add_int(a, d, "line", line);
	doc_add_text(a, d, "detail", text);
	/* a number of its own: who sends a file in parts counts on from theirs */
	if (before > 0)
		doc_add_int(a, d, "before", before);
}

/* *before: the line that names its device, too. */
static int check_line(struct check *k, const struct doc *body, int line, int *before, struct err *e)
{
	struct device d;

	if (device_check(k->c, body, &d, e) != 0)
		return -1;
	*before = line_before(k->ids, d.id, line);
	return *before > 0 ? err_set(e, ERR_CONFLICT, "device %s is named twice", d.id) : 0;
}

static int check_lines(struct check *k, struct import_lines *l, struct err *e)
{
	const struct doc *body;
	struct err why = { 0 };
	int rc;

	while ((rc = import_lines_next(l, &body, &why)) != 0) {
		int before = 0;

		if (l->line > LINES_MAX)
			return err_set(e, ERR_TOO_LARGE, "more than %d lines: send them in parts",
				       LINES_MAX);
		if (rc > 0 && check_line(k, body, l->line, &before, &why) == 0)
			continue;
		if (why.code >= ERR_BUSY) {
			*e = why;
			return -1;
		}
		blame(k, l->line, before, &why);
	}
	return 0;
}

static int check(struct check *k, enum media m, struct err *e)
{
	struct import_lines *l = arena_alloc(k->c->tk.a, sizeof(*l));
	struct err why = { 0 };

	k->ids = arena_alloc(k->c->tk.a, sizeof(*k->ids));
	if (!l || !k->ids ||
	    !(k->ids->id = arena_alloc(k->c->tk.a, sizeof(*k->ids->id) * LINES_MAX)) ||
	    !(k->ids->line = arena_alloc(k->c->tk.a, sizeof(*k->ids->line) * LINES_MAX)))
		return err_set(e, ERR_NO_MEMORY, "no memory for the import");
	memset(k->ids->slot, 0, sizeof(k->ids->slot));
	k->ids->n = 0;
	if (import_lines_begin(l, k->c->tk.a, m, k->c->rq->body, &why) != 0) {
		blame(k, l->line, 0, &why);
		return 0;
	}
	return check_lines(k, l, e);
}

static int reply_bad_lines(struct check *k, struct doc *d, struct err *e)
{
	struct arena *a = k->c->tk.a;

	doc_add_text(a, d, "type", "urn:fettle:invalid");
	doc_add_int(a, d, "status", 422);
	doc_add_text(a, d, "title", status_phrase(422));
	doc_add_text(a, d, "detail",
		     arena_printf(a, "%d bad line%s; nothing was enrolled", k->bad,
				  k->bad == 1 ? "" : "s"));
	if (reply_doc(k->c, 422, d, e) != 0)
		return -1;
	k->c->rs->media = MEDIA_PROBLEM_JSON;
	return 0;
}

static int start(struct call *c, enum media m, int lines, struct err *e)
{
	struct job_input in = { .media = m, .body = c->rq->body };
	struct job job;

	if (text_copy(in.scope, sizeof(in.scope), c->who.scope) != 0)
		return err_set(e, ERR_INTERNAL, "scope longer than its bound");
	if (job_start(&c->tk, "device-import", 0, &job, e) != 0)
		return -1;
	job.total = lines;
	if (store_job_put(c->tk.st, &job, e) != 0 ||
	    store_job_input_add(c->tk.st, job.id, &in, e) != 0)
		return -1;
	return reply_job(c, &job, e);
}

int svc_devices_import(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct check k = { .c = c, .errors = doc_array(c->tk.a, d, "errors") };
	enum media m = c->rq->content_format;

	if (m != MEDIA_CSV && m != MEDIA_NDJSON)
		return err_set(e, ERR_MEDIA, "an import is text/csv or application/x-ndjson");
	if (check(&k, m, e) != 0)
		return -1;
	return k.bad > 0 ? reply_bad_lines(&k, d, e) : start(c, m, k.ids->n, e);
}

/* ---- the job ---- */

/*
 * cursor: how far it came in the body. The second time begins one behind the end of the first,
 * for a slice may end between the last line and finding out that it was the last.
 */
struct work {
	struct call c;
	struct job *j;
	struct job_input in;
	struct buf errors; /* "line<TAB>detail<LF>", the first of them */
	int shown;
	bool trying; /* the first time of two */
	bool bad;
	struct import_lines lines;
};

static int begin(struct work *w, struct tracker *tk, struct job *j, struct err *e)
{
	struct filter *f = NULL;

	int found = store_job_input_get(tk->st, j->id, tk->a, &w->in, e);
	if (found <= 0)
		return found < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "its lines are gone");
	w->c.sv = tk->kinds_ctx;
	w->c.tk = *tk;
	w->j = j;
	w->errors = BUF_INIT(ERRORS_BYTES);
	if (w->in.scope[0] && filter_parse(w->in.scope, tk->a, &f, e) != 0)
		return err_prefix(e, "scope");
	w->c.scope = f;
	w->trying = f && j->cursor <= (int64_t)w->in.body.n;
	for (size_t i = 0; i < w->in.errors.n; i++)
		w->shown += w->in.errors.p[i] == '\n';
	buf_add_slice(&w->errors, w->in.errors);
	if (import_lines_begin(&w->lines, tk->a, (enum media)w->in.media, w->in.body, e) != 0)
		return -1;
	int64_t at = j->cursor - (f && !w->trying ? (int64_t)w->in.body.n + 1 : 0);
	import_lines_go(&w->lines, at > 0 ? (size_t)at : 0);
	return 0;
}

static int undo(struct work *w, const struct device *d, struct err *e)
{
	return d->dev ? store_device_remove(w->c.tk.st, d->dev, e) : 0;
}

/* 1 enrolled, 0 not (why), -1. */
static int enrol(struct work *w, const struct doc *body, struct err *why, struct err *e)
{
	struct device d = { .dev = 0 };
	int rc = device_insert(&w->c, body, &d, why);

	if (rc == 0)
		rc = scope_takes(&w->c, d.dev, why) - 1;
	if (rc == -1 && why->code == ERR_NONE)
		err_set(why, ERR_FORBIDDEN, "the device is outside what %s may touch", w->j->by);
	if (rc != 0 && why->code >= ERR_BUSY) {
		*e = *why;
		return -1;
	}
	if (rc != 0 || w->trying)
		return undo(w, &d, e) != 0 ? -1 : rc == 0;
	return device_note_added(&w->c, &d, e) != 0 ? -1 : 1;
}

static void note_error(struct work *w, const struct err *why)
{
	char text[sizeof(why->text)];

	/* the text may quote the line: nothing in it may end it here */
	problem_text(text, sizeof(text), why->text);
	w->bad = true;
	if (w->shown++ < ERRORS_SHOWN && w->errors.n + strlen(text) + LINE_HEAD <= ERRORS_BYTES)
		buf_printf(&w->errors, "%d\t%s\n", w->lines.line, text);
}

/* Lines until the time is up; 1 the body has ended, 0 more, -1. */
static int some_lines(struct work *w, struct err *e)
{
	int64_t until = clock_mono_us() + STEP_US;
	const struct doc *body;

	do {
		struct err why = { 0 };
		int rc = import_lines_next(&w->lines, &body, &why);
		if (rc == 0)
			return 1;
		if (rc > 0)
			rc = enrol(w, body, &why, e);
		else if (why.code >= ERR_BUSY)
			*e = why;
		if (e->code != ERR_NONE)
			return -1;
		if (why.code != ERR_NONE)
			note_error(w, &why);
		else if (!w->trying)
			w->j->done++;
		/* many lines fit into the time, and not always into the memory */
	} while (clock_mono_us() < until && !arena_half(w->c.tk.a));
	return 0;
}

static int keep_errors(struct work *w, struct err *e)
{
	if (!w->bad)
		return 0;
	if (w->errors.failed)
		return err_set(e, ERR_NO_MEMORY, "no memory for the bad lines");
	return store_job_input_errors(w->c.tk.st, w->j->id, buf_slice(&w->errors), e);
}

static enum step ended(struct work *w)
{
	struct job *j = w->j;

	if (w->trying && w->shown == 0) {
		j->cursor = (int64_t)w->in.body.n + 1;
		return STEP_MORE;
	}
	if (w->trying)
		(void)text_format(j->result, sizeof(j->result),
				  "lines are bad; nothing was enrolled");
	else
		(void)text_format(j->result, sizeof(j->result),
				  "%" PRId64 " of %" PRId64 " enrolled", j->done, j->total);
	return w->shown > 0 ? STEP_FAILED : STEP_DONE;
}

enum step svc_import_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct work *w = arena_alloc(tk->a, sizeof(*w));
	struct err why = { 0 };
	enum step s = STEP_ERROR;
	int end;

	if (!w) {
		err_set(e, ERR_NO_MEMORY, "no memory for the import");
		return STEP_ERROR;
	}
	memset(w, 0, sizeof(*w));
	if (begin(w, tk, j, &why) != 0 || (end = some_lines(w, &why)) < 0 ||
	    keep_errors(w, &why) != 0)
		goto out;
	int64_t at = (int64_t)import_lines_at(&w->lines);
	j->cursor = at + (w->c.scope && !w->trying ? (int64_t)w->in.body.n + 1 : 0);
	s = end ? ended(w) : STEP_MORE;
out:
	buf_free(&w->errors);
	if (s == STEP_ERROR && e)
		*e = why;
	return s;
}

int doc_put_import(struct call *c, struct doc *d, const struct job *j, struct err *e)
{
	struct arena *a = c->tk.a;
	struct doc *list;
	struct job_input in;

	int found = store_job_input_get(c->tk.st, j->id, a, &in, e);
	if (found <= 0)
		return found;
	list = doc_array(a, d, "errors");
	for (struct slice rest = in.errors; rest.n > 0;) {
		const uint8_t *tab = memchr(rest.p, '\t', rest.n);
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		int64_t line = 0;

		if (!tab || !end || tab > end ||
		    text_i64(slice_of(rest.p, (size_t)(tab - rest.p)), &line) != 0)
			break;
		struct doc *m = doc_map(a, list, NULL);
		doc_add_int(a, m, "line", line);
		doc_add_text_slice(a, m, "detail", slice_of(tab + 1, (size_t)(end - tab - 1)));
		rest = slice_of(end + 1, rest.n - (size_t)(end + 1 - rest.p));
	}
	return 0;
}
