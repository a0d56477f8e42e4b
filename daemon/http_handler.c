/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/http_private.h"

#include <string.h>

/*
 * MHD calls the handler when the headers are there, for each piece of the
 * body, at its end, and again after each resumption. An answer given in the
 * first call closes the connection afterwards, so only refusals of doubtful
 * framing are given there.
 */
struct call {
	const char *method, *version, *data;
	size_t *size;
};

enum MHD_Result http_handler_queue(struct http_conn *c)
{
	if (!c->response)
		return MHD_NO;
	enum MHD_Result r = MHD_queue_response(c->mc, c->status, c->response);
	http_answer_drop(c);
	c->step = HTTP_SENDING;
	http_conn_phase(c, HTTP_PHASE_SEND);
	return r;
}

/* ---- the core's answer ---- */

static void on_reply(void *ctx, const struct response *rs)
{
	struct http_conn *c = ctx;

	c->waiting = false;
	if (rs && rs->has_object && rs->status == 200) {
		struct front_grant g = {
			.object = front_object_find(c->listen->hs->front, &rs->object),
			.media = rs->media,
			.max_age = rs->max_age,
		};
		if (g.object)
			http_object_serve(c, &g);
		else
			http_answer_problem(c, 410, "withdrawn");
	} else {
		http_answer(c, rs);
	}
	http_conn_resume(c);
}

static enum MHD_Result answer_now(struct http_conn *c, uint16_t status, const char *detail)
{
	http_answer_problem(c, status, detail);
	return c->cut ? MHD_NO : http_handler_queue(c);
}

/* The request is whole: serve what may be served, ask the core for the rest. */
static enum MHD_Result dispatch(struct http_conn *c)
{
	struct front *f = c->listen->hs->front;
	struct front_grant g;

	if (!front_ready(f))
		return answer_now(c, 503, "the service is starting");
	if (!http_conn_session(c))
		return answer_now(c, 503, "no room for another session now");
	if (c->rq.method == METHOD_GET && c->rq.query.n == 0 &&
	    front_granted(f, c->session, c->rq.path, &g)) {
		http_object_serve(c, &g);
		return c->cut ? MHD_NO : http_handler_queue(c);
	}
	c->rq.body = buf_slice(&c->body);
	if (front_submit(f, &c->rq, on_reply, c) != 0)
		return answer_now(c, 503, "too many requests at once");
	c->waiting = true;
	c->step = HTTP_WAIT;
	http_conn_phase(c, HTTP_PHASE_OURS);
	http_conn_suspend(c);
	return MHD_YES;
}

/* ---- one function per step ---- */

/* Too much to take for an answer that is no anyway. */
static enum MHD_Result refuse_long(struct http_conn *c, uint16_t status, const char *detail)
{
	if (!c->f.expects) {
		http_answer_early_problem(c, status, detail);
		return c->cut ? MHD_NO : MHD_YES;
	}
	c->must_close = true;
	return answer_now(c, status, detail);
}

static enum MHD_Result step_start(struct http_conn *c, const struct call *call)
{
	http_fields_read(c, call->method, call->version);
	http_conn_phase(c, HTTP_PHASE_BODY);
	if (c->f.framing) {
		c->must_close = true;
		return answer_now(c, c->f.refusal, c->f.detail);
	}
	if (c->f.refusal == 0 && http_upload_wanted(c))
		return http_upload_start(c);
	if (c->f.length > BODY_MAX_LEN)
		return c->f.refusal ? refuse_long(c, c->f.refusal, c->f.detail)
				    : refuse_long(c, 413, "the body is too large for a request");
	c->step = HTTP_BODY;
	if (c->f.refusal) {
		c->step = HTTP_REFUSED;
		http_answer_problem(c, c->f.refusal, c->f.detail);
	}
	return c->cut ? MHD_NO : MHD_YES;
}

static enum MHD_Result step_body(struct http_conn *c, const struct call *call)
{
	if (*call->size == 0)
		return dispatch(c);
	buf_add(&c->body, call->data, *call->size);
	c->received += *call->size;
	*call->size = 0;
	return c->body.failed ? MHD_NO : MHD_YES;
}

static enum MHD_Result step_refused(struct http_conn *c, const struct call *call)
{
	if (*call->size == 0)
		return http_handler_queue(c);
	c->received += *call->size;
	*call->size = 0;
	return MHD_YES;
}

static enum MHD_Result step_opening(struct http_conn *c, const struct call *call)
{
	(void)call;
	return http_upload_opening(c);
}

static enum MHD_Result step_upload(struct http_conn *c, const struct call *call)
{
	return http_upload_body(c, call->data, call->size);
}

static enum MHD_Result step_wait(struct http_conn *c, const struct call *call)
{
	(void)call;
	return http_handler_queue(c);
}

/* The answer went out before the end: the connection has nothing more to say. */
static enum MHD_Result step_discard(struct http_conn *c, const struct call *call)
{
	/* without bytes it is the end, or the resumption of an upload that was not opened */
	if (*call->size == 0)
		return c->received < c->f.length ? MHD_YES : MHD_NO;
	c->received += *call->size;
	*call->size = 0;
	return MHD_YES;
}

static enum MHD_Result step_sending(struct http_conn *c, const struct call *call)
{
	(void)c;
	(void)call;
	return MHD_NO;
}

static enum MHD_Result (*const steps[HTTP_STEP_COUNT])(struct http_conn *, const struct call *) = {
	[HTTP_START] = step_start,     [HTTP_BODY] = step_body,	      [HTTP_REFUSED] = step_refused,
	[HTTP_OPENING] = step_opening, [HTTP_UPLOAD] = step_upload,   [HTTP_WAIT] = step_wait,
	[HTTP_SENDING] = step_sending, [HTTP_DISCARD] = step_discard,
};

enum MHD_Result http_handler(void *cls, struct MHD_Connection *mc, const char *url,
			     const char *method, const char *version, const char *data,
			     size_t *size, void **con_cls)
{
	struct http_conn *c = *con_cls;
	struct call call = { method, version, data, size };

	(void)cls;
	(void)mc;
	(void)url;
	if (!c || c->cut)
		return MHD_NO;
	return steps[c->step](c, &call);
}
