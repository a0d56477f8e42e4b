/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/device_msg.h"
#include "service/svc.h"

static const char *const members_add[] = {
	"id",	  "auth", "mode",	"vendor_id",	    "class_id", "manufacturer",	 "model",
	"parent", "tags", "attributes", "contact_interval", "disabled", "endpoint_host", NULL,
};

bool device_has_member(const char *name)
{
	for (int i = 0; members_add[i]; i++)
		if (strcmp(members_add[i], name) == 0)
			return true;
	return false;
}

/* "" or null takes an assigned text away. */
static void text_or_none(struct doc_reader *r, const char *key, char *dst, size_t cap)
{
	const struct doc *d = r->failed ? NULL : doc_get(r->d, key);

	if (d && d->type == DOC_NULL)
		dst[0] = '\0';
	else
		doc_opt_text(r, key, dst, cap);
}

static void uuid_or_none(struct doc_reader *r, const char *key, struct uuid *u)
{
	const struct doc *d = r->failed ? NULL : doc_get(r->d, key);

	if (d && d->type == DOC_NULL)
		*u = (struct uuid){ 0 };
	else
		doc_opt_uuid(r, key, u);
}

static void seconds_or_none(struct doc_reader *r, const char *key, int64_t *s)
{
	const struct doc *d = r->failed ? NULL : doc_get(r->d, key);

	if (d && d->type == DOC_NULL)
		*s = 0;
	else
		doc_opt_int(r, key, 0, SECONDS_MAX, s);
}

/* What every device has cannot be taken away: null is not as if nothing were said. */
static int check_kept(const struct doc_reader *r, const char *key, const char *words)
{
	const struct doc *d = doc_get(r->d, key);

	return d && d->type == DOC_NULL ? err_set(r->e, ERR_INVALID, "%s: %s", key, words) : 0;
}

static int read_words(struct doc_reader *r, struct device *d)
{
	char word[16];

	if (check_kept(r, "auth", "none or credential") ||
	    check_kept(r, "disabled", "true or false"))
		return -1;
	if (doc_opt_text(r, "auth", word, sizeof(word))) {
		if (strcmp(word, "none") == 0)
			d->auth = AUTH_NONE;
		else if (strcmp(word, "credential") == 0)
			d->auth = AUTH_CREDENTIAL;
		else
			return err_set(r->e, ERR_INVALID, "auth: none or credential");
	}
	const struct doc *mode = doc_get(r->d, "mode");
	if (mode && mode->type == DOC_NULL)
		d->mode = MODE_UNSET;
	else if (doc_opt_text(r, "mode", word, sizeof(word)) &&
		 (mode_parse(word, &d->mode) != 0 || d->mode == MODE_UNSET))
		return err_set(r->e, ERR_INVALID, "mode: client, server or negotiated");
	return 0;
}

int device_read_assigned(struct call *c, const struct doc *body, struct device *d, bool creating,
			 struct err *e)
{
	struct doc_reader r;
	uint8_t ip[16];

	(void)c;
	doc_read_init(&r, body, e);
	doc_only(&r, creating ? members_add : members_add + 1);
	if (creating && doc_need_text(&r, "id", d->id, sizeof(d->id)) &&
	    !device_id_valid(slice_str(d->id)))
		return err_set(e, ERR_INVALID,
			       "id: 1-64 of letters, digits and ._:-, and not . or ..");
	if (doc_read_end(&r) != 0 || read_words(&r, d) != 0)
		return -1;
	uuid_or_none(&r, "vendor_id", &d->vendor_id);
	uuid_or_none(&r, "class_id", &d->class_id);
	text_or_none(&r, "manufacturer", d->manufacturer, sizeof(d->manufacturer));
	text_or_none(&r, "model", d->model, sizeof(d->model));
	text_or_none(&r, "parent", d->parent, sizeof(d->parent));
	text_or_none(&r, "endpoint_host", d->endpoint_host, sizeof(d->endpoint_host));
	seconds_or_none(&r, "contact_interval", &d->contact_interval_s);
	doc_opt_bool(&r, "disabled", &d->disabled);
	if (doc_read_end(&r) != 0)
		return -1;
	if (d->parent[0] &&
	    (!device_id_valid(slice_str(d->parent)) || strcmp(d->parent, d->id) == 0))
		return err_set(e, ERR_INVALID, "parent: the id of another device");
	if (d->endpoint_host[0] && text_ip(d->endpoint_host, ip) != 0)
		return err_set(e, ERR_INVALID, "endpoint_host: an IP address");
	return 0;
}

static int tag_of(const struct doc *t, char tag[NAME_TEXT], struct err *e)
{
	if (t->type != DOC_TEXT || !name_valid(t->v.s) ||
	    text_copy_slice(tag, NAME_TEXT, t->v.s) != 0)
		return err_set(e, ERR_INVALID, "tags: 1-64 of letters, digits and ._:+-");
	return 0;
}

static int put_tags(struct call *c, const struct doc *list, const struct device *d, struct err *e)
{
	char(*old)[NAME_TEXT] = arena_alloc(c->tk.a, sizeof(*old) * STORE_TAGS_MAX);
	char tag[NAME_TEXT];

	if (list->type != DOC_ARRAY)
		return err_set(e, ERR_INVALID, "tags: an array of names");
	int n = old ? store_tag_list(c->tk.st, d->dev, STORE_TAGS_MAX, old, e)
		    : err_set(e, ERR_NO_MEMORY, "no memory for the tags");
	for (int i = 0; i < n; i++)
		if (store_tag_put(c->tk.st, d->dev, old[i], false, e) != 0)
			return -1;
	if (n < 0)
		return -1;
	for (const struct doc *t = list->v.c.first; t; t = t->next)
		if (tag_of(t, tag, e) != 0 || store_tag_put(c->tk.st, d->dev, tag, true, e) != 0)
			return -1;
	return 0;
}

/* *gone: null, it is taken away. */
static int attribute_of(const struct doc *m, char name[NAME_TEXT], struct filter_value *v,
			bool *gone, struct err *e)
{
	*gone = m->type == DOC_NULL;
	if (!name_valid(m->key) || text_copy_slice(name, NAME_TEXT, m->key) != 0)
		return err_set(e, ERR_INVALID,
			       "attributes: names are 1-64 of letters, digits and ._:+-");
	if (!*gone && attribute_value(m, v, e) != 0)
		return err_prefix(e, "attributes: %s", name);
	return 0;
}

/* Attributes are merged: null takes one away. */
static int put_attributes(struct call *c, const struct doc *map, const struct device *d,
			  struct err *e)
{
	struct filter_value v;
	char name[NAME_TEXT];
	bool gone;

	if (map->type != DOC_MAP)
		return err_set(e, ERR_INVALID, "attributes: a map");
	for (const struct doc *m = map->v.c.first; m; m = m->next)
		if (attribute_of(m, name, &v, &gone, e) != 0 ||
		    store_attr_put(c->tk.st, d->dev, false, name, gone ? NULL : &v, e) != 0)
			return -1;
	return 0;
}

static int check_tags(const struct doc *list, struct err *e)
{
	char tag[NAME_TEXT];
	int n = 0;

	if (list->type != DOC_ARRAY)
		return err_set(e, ERR_INVALID, "tags: an array of names");
	for (const struct doc *t = list->v.c.first; t; t = t->next)
		if (tag_of(t, tag, e) != 0)
			return -1;
		else if (++n > STORE_TAGS_MAX)
			return err_set(e, ERR_TOO_MANY, "a device has at most %d tags",
				       STORE_TAGS_MAX);
	return 0;
}

static int check_attributes(const struct doc *map, struct err *e)
{
	struct filter_value v;
	char name[NAME_TEXT];
	bool gone;
	int n = 0;

	if (map->type != DOC_MAP)
		return err_set(e, ERR_INVALID, "attributes: a map");
	for (const struct doc *m = map->v.c.first; m; m = m->next)
		if (attribute_of(m, name, &v, &gone, e) != 0)
			return -1;
		else if (++n > STORE_ATTRIBUTES_MAX)
			return err_set(e, ERR_TOO_MANY, "a device has at most %d attributes",
				       STORE_ATTRIBUTES_MAX);
	return 0;
}

int device_check(struct call *c, const struct doc *body, struct device *d, struct err *e)
{
	const struct doc *tags = doc_get(body, "tags");
	const struct doc *attributes = doc_get(body, "attributes");
	struct device there;

	*d = (struct device){ .created = c->tk.now.wall };
	if (device_read_assigned(c, body, d, true, e) != 0 || (tags && check_tags(tags, e) != 0) ||
	    (attributes && check_attributes(attributes, e) != 0))
		return -1;
	int found = store_device_get(c->tk.st, d->id, &there, e);
	if (found == 1)
		err_set(e, ERR_CONFLICT, "device %s exists already", d->id);
	return found == 0 ? 0 : -1;
}

int device_put_labels(struct call *c, const struct doc *body, const struct device *d, struct err *e)
{
	const struct doc *tags = doc_get(body, "tags");
	const struct doc *attributes = doc_get(body, "attributes");

	if (tags && put_tags(c, tags, d, e) != 0)
		return -1;
	return attributes ? put_attributes(c, attributes, d, e) : 0;
}

int device_insert(struct call *c, const struct doc *body, struct device *d, struct err *e)
{
	*d = (struct device){ .created = c->tk.now.wall, .changed = c->tk.now.wall };
	if (device_read_assigned(c, body, d, true, e) != 0)
		return -1;
	if (store_device_add(c->tk.st, d, e) != 0)
		return taken_or(e, "device", d->id);
	return device_put_labels(c, body, d, e);
}

int device_note_added(struct call *c, const struct device *d, struct err *e)
{
	if ((d->parent[0] && outage_moved(&c->tk, d, e) != 0) ||
	    rollout_join_late(&c->tk, d->dev, e) != 0)
		return -1;
	return audit_note(&c->tk, "device.add", d->id, e, "auth=%s",
			  d->auth == AUTH_NONE ? "none" : "credential");
}

int device_add(struct call *c, const struct doc *body, struct device *d, struct err *e)
{
	return device_insert(c, body, d, e) == 0 ? device_note_added(c, d, e) : -1;
}
