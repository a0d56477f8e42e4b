/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "service/device_msg.h"

#define CAPABILITIES_MAX 16
#define CAPABILITY_MAX 24

/*
 * Members a newer device sends and this server does not know are let be: a
 * message must not be lost over them. What is known must be right.
 */

static void read_key(struct doc_reader *r, uint64_t *boot, uint64_t *counter)
{
	if (!doc_opt_u64(r, "boot", boot) && !r->failed) {
		err_set(r->e, ERR_INVALID, "boot: is missing");
		r->failed = true;
	}
	if (!doc_opt_u64(r, "counter", counter) && !r->failed) {
		err_set(r->e, ERR_INVALID, "counter: is missing");
		r->failed = true;
	}
}

static int read_component(const struct doc *d, struct component *c, struct err *e)
{
	struct doc_reader r;
	int64_t ignored;

	doc_read_init(&r, d, e);
	doc_opt_text(&r, "name", c->name, sizeof(c->name));
	doc_opt_text(&r, "version", c->version, sizeof(c->version));
	c->has_sequence = doc_opt_u64(&r, "sequence", &c->sequence);
	c->has_digest = doc_opt_digest(&r, "digest", &c->digest);
	doc_opt_int(&r, "result", INT32_MIN, INT32_MAX, &ignored);
	return doc_read_end(&r);
}

/* *n is left at -1 when the message does not speak of components. */
static int read_components(struct doc_reader *r, struct component out[COMPONENTS_MAX], int *n)
{
	const struct doc *list = doc_opt_array(r, "components");

	*n = -1;
	if (!list)
		return r->failed ? -1 : 0;
	*n = 0;
	for (const struct doc *d = list->v.c.first; d; d = d->next) {
		if (*n == COMPONENTS_MAX)
			return err_set(r->e, ERR_INVALID, "components: more than %d",
				       COMPONENTS_MAX);
		out[*n] = (struct component){ 0 };
		if (read_component(d, &out[*n], r->e) != 0)
			return err_prefix(r->e, "components[%d]", *n);
		for (int i = 0; i < *n; i++)
			if (strcmp(out[i].name, out[*n].name) == 0)
				return err_set(r->e, ERR_INVALID,
					       "components[%d]: the same name as %d", *n, i);
		(*n)++;
	}
	return 0;
}

int read_service_status(struct doc_reader *outer, struct device_live *l, bool *has, int64_t wall_ms)
{
	static const char *const words[] = { "idle", "busy", "critical" };
	const struct doc *d = doc_opt_map(outer, "status");
	struct doc_reader r;
	int64_t until = 0;
	bool known = false;

	l->battery = l->free_flash = l->free_ram = -1;
	*has = d != NULL;
	if (!d)
		return outer->failed ? -1 : 0;
	doc_read_init(&r, d, outer->e);
	if (doc_opt_text(&r, "service", l->service, sizeof(l->service))) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			known |= strcmp(words[i], l->service) == 0;
		if (!known)
			return err_set(outer->e, ERR_INVALID,
				       "status: service: idle, busy or critical");
	}
	if (doc_opt_int(&r, "until", 0, SECONDS_MAX, &until))
		l->service_until = wall_ms + until * 1000;
	doc_opt_int(&r, "battery", 0, 100, &l->battery);
	doc_opt_int(&r, "free_flash", 0, INT64_MAX, &l->free_flash);
	doc_opt_int(&r, "free_ram", 0, INT64_MAX, &l->free_ram);
	return doc_read_end(&r) == 0 ? 0 : err_prefix(outer->e, "status");
}

int attribute_value(const struct doc *d, struct filter_value *v, struct err *e)
{
	*v = (struct filter_value){ 0 };
	if (d->type == DOC_INT) {
		v->is_number = true;
		v->number = d->v.i;
		return 0;
	}
	if (d->type != DOC_TEXT || text_copy_slice(v->text, sizeof(v->text), d->v.s) != 0)
		return err_set(e, ERR_INVALID, "must be a number, or text of at most %d bytes",
			       NAME_MAX_LEN);
	return 0;
}

static int read_attributes(struct doc_reader *r, struct registration *g)
{
	const struct doc *map = doc_opt_map(r, "attributes");
	const int room = (int)(sizeof(g->attributes) / sizeof(g->attributes[0]));

	if (!map)
		return r->failed ? -1 : 0;
	for (const struct doc *d = map->v.c.first; d; d = d->next) {
		int i = g->n_attributes;

		if (i == room)
			return err_set(r->e, ERR_INVALID, "attributes: more than %d", room);
		if (!name_valid(d->key) ||
		    text_copy_slice(g->attributes[i].name, sizeof(g->attributes[i].name), d->key))
			return err_set(r->e, ERR_INVALID, "attributes: member %d is no name", i);
		if (attribute_value(d, &g->attributes[i].v, r->e) != 0)
			return err_prefix(r->e, "attributes: member %d", i);
		g->n_attributes++;
	}
	return 0;
}

/* Each in the short form, and no dearer than that: they come from anybody. */
static int read_windows(struct doc_reader *r, struct registration *g)
{
	const struct doc *list = doc_opt_array(r, "windows");
	struct window set[WINDOW_RANGES_MAX];
	char text[WINDOW_SHORT_TEXT];
	int at = 0;

	g->has_windows = list != NULL;
	for (const struct doc *d = list ? list->v.c.first : NULL; d; d = d->next, at++) {
		if (d->type != DOC_TEXT || text_copy_slice(text, sizeof(text), d->v.s) != 0)
			return err_set(r->e, ERR_INVALID, "windows[%d]: must be a short text", at);
		memset(set, 0, sizeof(set));
		int n = window_set_short(set, text, r->e);
		if (n < 0)
			return err_prefix(r->e, "windows[%d]", at);
		for (int i = 0; i < n; i++) {
			if (g->n_windows == WINDOWS_EACH)
				return err_set(r->e, ERR_INVALID, "windows: more than %d ranges",
					       WINDOWS_EACH);
			g->windows[g->n_windows++] = set[i];
		}
	}
	return r->failed ? -1 : 0;
}

static bool is_word(struct slice s)
{
	if (s.n == 0 || s.n > CAPABILITY_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", s.p[i]) || s.p[i] == 0)
			return false;
	return true;
}

static int read_capabilities(struct doc_reader *r, struct registration *g)
{
	const struct doc *list = doc_opt_array(r, "capabilities");
	size_t n = 0;
	int i = 0;

	if (!list)
		return r->failed ? -1 : 0;
	g->has_capabilities = true;
	for (const struct doc *d = list->v.c.first; d; d = d->next, i++) {
		if (i == CAPABILITIES_MAX || n + CAPABILITY_MAX + 2 > sizeof(g->capabilities))
			return err_set(r->e, ERR_INVALID, "capabilities: more than are kept");
		if (d->type != DOC_TEXT || !is_word(d->v.s))
			return err_set(r->e, ERR_INVALID, "capabilities[%d]: 1-%d of a-z 0-9 - _ .",
				       i, CAPABILITY_MAX);
		if (n > 0)
			g->capabilities[n++] = ' ';
		memcpy(g->capabilities + n, d->v.s.p, d->v.s.n);
		n += d->v.s.n;
	}
	return 0;
}

int read_registration(const struct doc *body, struct registration *g, int64_t wall_ms,
		      struct err *e)
{
	struct doc_reader r;
	char mode[16];
	int64_t port;

	memset(g, 0, sizeof(*g));
	doc_read_init(&r, body, e);
	read_key(&r, &g->boot, &g->counter);
	if (doc_opt_text(&r, "mode", mode, sizeof(mode)) &&
	    (mode_parse(mode, &g->mode) != 0 || g->mode == MODE_UNSET))
		return err_set(e, ERR_INVALID, "mode: client, server or negotiated");
	doc_opt_uuid(&r, "vendor_id", &g->vendor_id);
	doc_opt_uuid(&r, "class_id", &g->class_id);
	doc_opt_text(&r, "manufacturer", g->manufacturer, sizeof(g->manufacturer));
	doc_opt_text(&r, "model", g->model, sizeof(g->model));
	doc_opt_text(&r, "parent", g->parent, sizeof(g->parent));
	if (g->parent[0] && !device_id_valid(slice_str(g->parent)))
		return err_set(e, ERR_INVALID, "parent: not a device id");
	if (doc_opt_int(&r, "endpoint_port", 1, 65535, &port)) {
		g->has_port = true;
		g->port = (uint16_t)port;
	}
	if (read_components(&r, g->components, &g->n_components) != 0 ||
	    read_service_status(&r, &g->status, &g->has_status, wall_ms) != 0 ||
	    read_attributes(&r, g) != 0 || read_windows(&r, g) != 0 ||
	    read_capabilities(&r, g) != 0)
		return -1;
	return doc_read_end(&r);
}

int read_decision(const struct doc *body, struct decision *d, struct err *e)
{
	struct doc_reader r;
	char word[16] = "";

	memset(d, 0, sizeof(*d));
	doc_read_init(&r, body, e);
	read_key(&r, &d->boot, &d->counter);
	doc_need_int(&r, "update", 1, INT64_MAX, &d->update);
	doc_need_text(&r, "decision", word, sizeof(word));
	doc_opt_int(&r, "until", 0, SECONDS_MAX, &d->until_s);
	doc_opt_words(&r, "reason", d->reason, sizeof(d->reason));
	if (doc_read_end(&r) != 0)
		return -1;
	if (strcmp(word, "accept") == 0)
		d->kind = DECISION_ACCEPT;
	else if (strcmp(word, "defer") == 0)
		d->kind = DECISION_DEFER;
	else if (strcmp(word, "reject") == 0)
		d->kind = DECISION_REJECT;
	else
		return err_set(e, ERR_INVALID, "decision: accept, defer or reject");
	return 0;
}

int read_report(const struct doc *body, struct report *p, int64_t wall_ms, struct err *e)
{
	struct doc_reader r;
	char failure[24] = "";
	int64_t progress = -1;

	memset(p, 0, sizeof(*p));
	doc_read_init(&r, body, e);
	read_key(&r, &p->boot, &p->counter);
	doc_opt_int(&r, "update", 0, INT64_MAX, &p->update);
	doc_need_text(&r, "state", p->state, sizeof(p->state));
	doc_opt_int(&r, "progress", 0, 100, &progress);
	p->progress = (int)progress;
	doc_opt_int(&r, "result", INT64_MIN, INT64_MAX, &p->result);
	doc_opt_words(&r, "failure", failure, sizeof(failure));
	doc_opt_words(&r, "text", p->text, sizeof(p->text));
	doc_opt_int(&r, "acknowledged", 1, INT64_MAX, &p->acknowledged);
	/* a reason this server has no word for is still a failure */
	if (failure[0] && failure_parse(failure, &p->failure) != 0)
		p->failure = FAILURE_OTHER;
	if (read_components(&r, p->components, &p->n_components) != 0 ||
	    read_service_status(&r, &p->status, &p->has_status, wall_ms) != 0)
		return -1;
	return doc_read_end(&r);
}
