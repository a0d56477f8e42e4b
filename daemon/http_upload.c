/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/http_private.h"

/*
 * Uploads: the body goes to the core in chunks as it comes, as fast as the
 * core gives credit. The asker is suspended while there is none, so that its
 * bytes wait in its own kernel.
 */
#define IMAGES "/api/v1/images"
#define UPLOADS "/api/v1/uploads/"

bool http_upload_wanted(const struct http_conn *c)
{
	return (c->rq.method == METHOD_POST && slice_eq_str(c->rq.path, IMAGES)) ||
	       (c->rq.method == METHOD_PATCH && slice_starts(c->rq.path, UPLOADS));
}

/* ---- what the core says ---- */

static void on_credit(void *ctx, unsigned credit, uint64_t stored)
{
	struct http_conn *c = ctx;

	(void)stored;
	if (credit == 0 || (c->step != HTTP_OPENING && !c->blocked))
		return;
	if (c->blocked)
		http_conn_phase(c, HTTP_PHASE_BODY);
	c->blocked = false;
	http_conn_resume(c);
}

static void on_done(void *ctx, const struct response *rs)
{
	struct http_conn *c = ctx;
	bool whole = c->received == c->f.length;

	c->upload = 0;
	c->blocked = false;
	if (c->step == HTTP_OPENING && c->f.expects) {
		/* the asker waits for this very answer: MHD gives it in place of the 100 */
		c->must_close = true;
		http_answer(c, rs);
	} else if (whole) {
		http_answer(c, rs);
		if (c->step != HTTP_OPENING)
			c->step = HTTP_WAIT;
	} else {
		http_answer_early(c, rs);
	}
	http_conn_resume(c);
}

/* ---- opening ---- */

/* The size of the whole representation, as far as this request says it. */
static int declared_size(struct http_conn *c, struct ipc_upload_open *o)
{
	uint64_t end = c->f.length;

	if (o->has_offset && __builtin_add_overflow(c->f.offset, c->f.length, &end))
		return -1;
	o->has_size = c->f.has_total;
	o->size = c->f.total;
	if (c->f.has_total && end > c->f.total)
		return -1;
	/* without Upload-Complete a POST brings all there is; a PATCH may not be the last */
	bool last = c->f.complete == 1 || (c->f.complete < 0 && c->rq.method == METHOD_POST);
	if (!last)
		return 0;
	if (c->f.has_total && end != c->f.total)
		return -1;
	o->has_size = true;
	o->size = end;
	return 0;
}

static const char *fill_open(struct http_conn *c, struct ipc_upload_open *o, uint16_t *status)
{
	bool creation = c->rq.method == METHOD_POST && c->f.complete == 0;

	*status = 400;
	if (!c->f.has_length && !creation) {
		*status = 411;
		return "an upload needs a Content-Length";
	}
	if ((c->rq.method == METHOD_PATCH) != c->f.has_offset)
		return "Upload-Offset belongs to PATCH, and PATCH needs it";
	*o = (struct ipc_upload_open){ .request = c->rq,
				       .has_digest = c->f.has_digest,
				       .digest = c->f.digest,
				       .has_offset = c->f.has_offset,
				       .offset = c->f.offset,
				       .complete = c->f.complete };
	if (declared_size(c, o) != 0)
		return "Upload-Length, Upload-Offset and Content-Length do not fit together";
	return NULL;
}

static enum MHD_Result refuse(struct http_conn *c, uint16_t status, const char *detail)
{
	if (c->f.length == 0) {
		c->step = HTTP_REFUSED;
		http_answer_problem(c, status, detail);
	} else if (c->f.expects) {
		c->must_close = true;
		http_answer_problem(c, status, detail);
		return c->cut ? MHD_NO : http_handler_queue(c);
	} else {
		http_answer_early_problem(c, status, detail);
	}
	return c->cut ? MHD_NO : MHD_YES;
}

enum MHD_Result http_upload_start(struct http_conn *c)
{
	struct front *f = c->listen->hs->front;
	struct ipc_upload_open o;
	uint16_t status;
	const char *wrong = fill_open(c, &o, &status);

	if (wrong)
		return refuse(c, status, wrong);
	if (!front_ready(f) || !http_conn_session(c))
		return refuse(c, 503, "no room for another session now");
	o.request.session = c->session;
	c->upload = front_upload_open(f, &o, on_credit, on_done, c);
	if (c->upload == 0)
		return refuse(c, 503, "no room for another upload now");
	c->step = HTTP_OPENING;
	http_conn_phase(c, HTTP_PHASE_OURS);
	http_conn_suspend(c);
	return MHD_YES;
}

/* Resumed: there is credit, or the final answer came without the body being asked for. */
enum MHD_Result http_upload_opening(struct http_conn *c)
{
	if (c->upload != 0) {
		c->step = HTTP_UPLOAD;
		http_conn_phase(c, HTTP_PHASE_BODY);
		return MHD_YES;
	}
	if (!c->response)
		return MHD_NO;
	if (c->f.length > 0)
		return http_handler_queue(c);
	c->step = HTTP_WAIT;
	return MHD_YES;
}

/* ---- the body ---- */

/* Send what is gathered. False: no credit, the connection is suspended until there is. */
static bool flush(struct http_conn *c)
{
	if (c->body.n == 0)
		return true;
	if (front_upload_chunk(c->listen->hs->front, c->upload, buf_slice(&c->body)) == 0) {
		buf_reset(&c->body);
		return true;
	}
	c->blocked = true;
	http_conn_phase(c, HTTP_PHASE_OURS);
	http_conn_suspend(c);
	return false;
}

static enum MHD_Result finish(struct http_conn *c)
{
	if (!flush(c))
		return MHD_YES;
	front_upload_close(c->listen->hs->front, c->upload);
	c->step = HTTP_WAIT;
	http_conn_phase(c, HTTP_PHASE_OURS);
	http_conn_suspend(c);
	return MHD_YES;
}

enum MHD_Result http_upload_body(struct http_conn *c, const char *data, size_t *size)
{
	if (*size == 0)
		return finish(c);
	while (*size > 0) {
		size_t n = IPC_CHUNK_MAX - c->body.n;

		if (n == 0) {
			if (!flush(c))
				break;
			continue;
		}
		if (n > *size)
			n = *size;
		buf_add(&c->body, data, n);
		if (c->body.failed)
			return MHD_NO;
		data += n;
		*size -= n;
		c->received += n;
	}
	return MHD_YES;
}
