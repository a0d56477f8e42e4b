/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/policy_parts.h"

#include <string.h>

#include "base/text.h"

/* ---- "classes": [ { "class": "lamp", "mode": "negotiated", "contact_interval": 900 } ] ---- */

static int read_class(const struct doc *d, struct policy_class *c, struct err *e)
{
	static const char *const members[] = { "class", "mode", "contact_interval", NULL };
	char mode[16] = "";
	struct doc_reader r;

	*c = (struct policy_class){ .mode = MODE_UNSET };
	doc_read_init(&r, d, e);
	doc_only(&r, members);
	doc_need_text(&r, "class", c->class_name, sizeof(c->class_name));
	doc_opt_text(&r, "mode", mode, sizeof(mode));
	doc_opt_int(&r, "contact_interval", 1, POLICY_SECONDS_MAX, &c->contact_interval_s);
	if (doc_read_end(&r) != 0)
		return -1;
	if (c->class_name[0] == '\0')
		return err_set(e, ERR_INVALID, "class: a SUIT class id or a model");
	if (mode[0] && (mode_parse(mode, &c->mode) != 0 || c->mode == MODE_UNSET))
		return err_set(e, ERR_INVALID, "mode: client, server or negotiated");
	return 0;
}

int policy_apply_classes(struct policy *p, const struct doc *list, struct err *e)
{
	if (!list)
		return 0;
	p->n_classes = 0;
	for (const struct doc *d = list->v.c.first; d; d = d->next) {
		int n = p->n_classes;

		if (n == POLICY_CLASSES_MAX)
			return err_set(e, ERR_INVALID, "classes: more than %d", POLICY_CLASSES_MAX);
		if (read_class(d, &p->classes[n], e) != 0)
			return err_prefix(e, "classes[%d]", n);
		for (int i = 0; i < n; i++)
			if (strcmp(p->classes[i].class_name, p->classes[n].class_name) == 0)
				return err_set(e, ERR_INVALID,
					       "classes[%d]: class: classes[%d] is for it too", n,
					       i);
		p->n_classes++;
	}
	return 0;
}

void policy_write_classes(const struct policy *p, struct arena *a, struct doc *out)
{
	struct doc *list = doc_array(a, out, "classes");

	for (int i = 0; i < p->n_classes; i++) {
		const struct policy_class *c = &p->classes[i];
		struct doc *d = doc_map(a, list, NULL);

		doc_add_text(a, d, "class", c->class_name);
		if (c->mode != MODE_UNSET)
			doc_add_text(a, d, "mode", mode_word(c->mode));
		if (c->contact_interval_s > 0)
			doc_add_int(a, d, "contact_interval", c->contact_interval_s);
	}
}

/* ---- "priority": { "critical": -1, "high": 99, "normal": 199 }: the highest of each ---- */

int policy_apply_priority(struct policy *p, const struct doc *map, struct err *e)
{
	const char *names[URGENCY_LOW + 1] = { NULL };
	struct doc_reader r;

	if (!map)
		return 0;
	for (int u = 0; u < URGENCY_LOW; u++)
		names[u] = urgency_word((enum urgency)u);
	doc_read_init(&r, map, e);
	doc_only(&r, names);
	for (int u = 0; u < URGENCY_LOW; u++)
		doc_opt_int(&r, names[u], INT64_MIN, INT64_MAX, &p->priority_max[u]);
	if (doc_read_end(&r) != 0)
		return err_prefix(e, "priority");
	for (int u = 1; u < URGENCY_LOW; u++)
		if (p->priority_max[u] <= p->priority_max[u - 1])
			return err_set(e, ERR_INVALID, "priority: %s: must be over that of %s",
				       names[u], names[u - 1]);
	return 0;
}

void policy_write_priority(const struct policy *p, struct arena *a, struct doc *out)
{
	struct doc *map = doc_map(a, out, "priority");

	for (int u = 0; u < URGENCY_LOW; u++)
		doc_add_int(a, map, urgency_word((enum urgency)u), p->priority_max[u]);
}

/* ---- "auto_approve": [ key id in hex ] ---- */

static int read_key_id(const struct doc *d, struct digest *out)
{
	if (d->type == DOC_BYTES && d->v.s.n == DIGEST_SIZE) {
		memcpy(out->b, d->v.s.p, DIGEST_SIZE);
		return 0;
	}
	return d->type == DOC_TEXT ? text_unhex(out->b, DIGEST_SIZE, d->v.s) : -1;
}

int policy_apply_keys(struct policy *p, const struct doc *list, struct err *e)
{
	if (!list)
		return 0;
	p->n_auto_approve = 0;
	for (const struct doc *d = list->v.c.first; d; d = d->next) {
		int n = p->n_auto_approve;

		if (n == POLICY_KEYS_MAX)
			return err_set(e, ERR_INVALID, "auto_approve: more than %d",
				       POLICY_KEYS_MAX);
		if (read_key_id(d, &p->auto_approve[n]) != 0)
			return err_set(e, ERR_INVALID, "auto_approve[%d]: a key id of 32 bytes", n);
		p->n_auto_approve++;
	}
	return 0;
}

void policy_write_keys(const struct policy *p, struct arena *a, struct doc *out)
{
	struct doc *list = doc_array(a, out, "auto_approve");
	char hex[DIGEST_TEXT];

	for (int i = 0; i < p->n_auto_approve; i++) {
		digest_text(hex, &p->auto_approve[i]);
		doc_add_text(a, list, NULL, hex);
	}
}
