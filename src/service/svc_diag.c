/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

/* Diagnostics (behaviour.md 4): asked for by an operator, POSTed by the device, the last kept. */

int svc_device_diag(struct call *c, struct err *e)
{
	struct diag g = { .at = c->tk.now.wall,
			  .content_format = c->rq->content_format,
			  .body = c->rq->body };
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (g.body.n == 0)
		return err_set(e, ERR_MALFORMED, "empty body");
	if (g.body.n > DIAG_MAX)
		return err_set(e, ERR_TOO_LARGE, "diagnostics: at most %d bytes", DIAG_MAX);
	if (diag_keep(&c->tk, &c->device, &g, e) != 0)
		return -1;
	doc_add_int(c->tk.a, d, "now", c->tk.now.wall / 1000);
	doc_add_int(c->tk.a, d, "ask_again",
		    policy_spread_s(policy_contact_s(c->tk.policy, &c->device), c->device.dev,
				    c->tk.now.wall));
	return reply_doc(c, 200, d, e);
}

/* Control bytes and what is not UTF-8 are no text, whatever the device calls them. */
static bool readable(const struct diag *g)
{
	if (g->content_format != MEDIA_TEXT && g->content_format != MEDIA_JSON &&
	    g->content_format != MEDIA_NONE)
		return false;
	return text_is_utf8(g->body) && !memchr(g->body.p, 0, g->body.n);
}

static void put(struct call *c, struct doc *list, const struct diag *g)
{
	struct arena *a = c->tk.a;
	struct doc *d = doc_map(a, list, NULL);

	doc_add_int(a, d, "id", g->id);
	doc_add_time(a, d, "at", g->at);
	doc_add_text(a, d, "media", media_http((enum media)g->content_format));
	doc_add_int(a, d, "size", (int64_t)g->body.n);
	if (readable(g))
		doc_add_text_slice(a, d, "text", g->body);
	else
		doc_add_bytes(a, d, "bytes", g->body);
}

int svc_devices_diag(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	struct diag kept[DIAGS_KEPT];
	int n = store_diag_list(c->tk.st, c->device.dev, c->tk.a, kept, e);

	if (n < 0)
		return -1;
	doc_add_text(c->tk.a, d, "device", c->device.id);
	doc_add_bool(c->tk.a, d, "asked", c->device.ask_diag);
	struct doc *list = doc_array(c->tk.a, d, "items");
	for (int i = 0; i < n; i++)
		put(c, list, &kept[i]);
	return reply_doc(c, 200, d, e);
}

int svc_devices_ask_diag(struct call *c, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (diag_ask(&c->tk, &c->device, e) != 0)
		return -1;
	doc_add_text(c->tk.a, d, "device", c->device.id);
	doc_add_bool(c->tk.a, d, "asked", true);
	return reply_doc(c, 200, d, e);
}
