/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/device_msg.h"
#include "service/svc.h"

#define LABELS_MAX 64

static void put_value(struct arena *a, struct doc *d, const char *key, const struct filter_value *v)
{
	if (v->is_number)
		doc_add_int(a, d, key, v->number);
	else
		doc_add_text(a, d, key, v->text);
}

static int put_attributes(struct call *c, struct doc *d, const char *key, bool reported,
			  struct err *e)
{
	struct arena *a = c->tk.a;
	char(*names)[NAME_TEXT] = arena_alloc(a, sizeof(*names) * LABELS_MAX);
	struct filter_value *values = arena_alloc(a, sizeof(*values) * LABELS_MAX);

	if (!names || !values)
		return err_set(e, ERR_NO_MEMORY, "no memory for the attributes");
	int n = store_attr_list(c->tk.st, c->device.dev, reported, LABELS_MAX, names, values, e);
	struct doc *map = doc_map(a, d, key);
	for (int i = 0; i < n; i++)
		put_value(a, map, names[i], &values[i]);
	return n < 0 ? -1 : 0;
}

static int put_tags(struct call *c, struct doc *d, struct err *e)
{
	struct arena *a = c->tk.a;
	char(*tags)[NAME_TEXT] = arena_alloc(a, sizeof(*tags) * LABELS_MAX);

	if (!tags)
		return err_set(e, ERR_NO_MEMORY, "no memory for the tags");
	int n = store_tag_list(c->tk.st, c->device.dev, LABELS_MAX, tags, e);
	struct doc *list = doc_array(a, d, "tags");
	for (int i = 0; i < n; i++)
		doc_add_text(a, list, NULL, tags[i]);
	return n < 0 ? -1 : 0;
}

static int put_components(struct call *c, struct doc *d, struct err *e)
{
	struct component *v = arena_alloc(c->tk.a, sizeof(*v) * COMPONENTS_MAX);
	struct arena *a = c->tk.a;

	if (!v)
		return err_set(e, ERR_NO_MEMORY, "no memory for the components");
	int n = store_components_list(c->tk.st, c->device.dev, v, e);
	struct doc *list = doc_array(a, d, "components");
	for (int i = 0; i < n; i++) {
		struct doc *m = doc_map(a, list, NULL);

		doc_add_text(a, m, "name", v[i].name);
		doc_add_text(a, m, "version", v[i].version);
		if (v[i].has_sequence)
			doc_add_u64(a, m, "sequence", v[i].sequence);
		if (v[i].has_digest)
			doc_add_digest(a, m, "digest", &v[i].digest);
	}
	return n < 0 ? -1 : 0;
}

static void put_endpoint(struct arena *a, struct doc *d, const struct device_live *l)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct buf b = BUF_INIT(64);

	if (l->endpoint_port == 0) {
		doc_add_null(a, d, "endpoint");
		return;
	}
	if (memcmp(l->ip, mapped, sizeof(mapped)) == 0) {
		buf_printf(&b, "%u.%u.%u.%u", l->ip[12], l->ip[13], l->ip[14], l->ip[15]);
	} else {
		for (unsigned i = 0; i < 16; i += 2)
			buf_printf(&b, "%s%x", i ? ":" : "[",
				   (unsigned)l->ip[i] << 8 | l->ip[i + 1]);
		buf_add_u8(&b, ']');
	}
	buf_printf(&b, ":%u", l->endpoint_port);
	doc_add_text(a, d, "endpoint", buf_cstr(&b));
	buf_free(&b);
}

static int put_live(struct call *c, struct doc *d, struct err *e)
{
	struct arena *a = c->tk.a;
	struct device_live l;

	if (store_live_get(c->tk.st, c->device.dev, &l, e) < 0)
		return -1;
	doc_add_time(a, d, "last_seen", l.last_seen);
	doc_add_int(a, d, "polls", l.polls);
	put_endpoint(a, d, &l);
	doc_add_text(a, d, "service", l.service[0] ? l.service : NULL);
	doc_add_time(a, d, "service_until", l.service_until);
	return 0;
}

static void put_capabilities(struct arena *a, struct doc *d, const char *words)
{
	struct doc *list = doc_array(a, d, "capabilities");

	while (*words) {
		size_t n = strcspn(words, " ");

		doc_add_text_slice(a, list, NULL, slice_of(words, n));
		words += n + (words[n] != '\0');
	}
}

static void put_assigned(struct call *c, struct doc *d, const struct device *v)
{
	struct arena *a = c->tk.a;

	doc_add_text(a, d, "id", v->id);
	doc_add_text(a, d, "auth", v->auth == AUTH_NONE ? "none" : "credential");
	doc_add_text(a, d, "mode", v->mode == MODE_UNSET ? NULL : mode_word(v->mode));
	doc_add_bool(a, d, "registered", v->registered);
	doc_add_bool(a, d, "disabled", v->disabled);
	doc_put_uuid(a, d, "vendor_id", &v->vendor_id);
	doc_put_uuid(a, d, "class_id", &v->class_id);
	doc_add_text(a, d, "manufacturer", v->manufacturer[0] ? v->manufacturer : NULL);
	doc_add_text(a, d, "model", v->model[0] ? v->model : NULL);
	doc_add_text(a, d, "parent", v->parent[0] ? v->parent : NULL);
	doc_add_text(a, d, "endpoint_host", v->endpoint_host[0] ? v->endpoint_host : NULL);
	doc_add_int(a, d, "contact_interval", v->contact_interval_s);
	put_capabilities(a, d, v->capabilities);
	doc_add_bool(a, d, "held_back", v->held_back);
	doc_add_text(a, d, "held", v->held[0] ? v->held : NULL);
	if (v->has_floor)
		doc_add_u64(a, d, "floor_sequence", v->floor_sequence);
	else
		doc_add_null(a, d, "floor_sequence");
	doc_add_time(a, d, "created", v->created);
	doc_add_time(a, d, "changed", v->changed);
}

/* The update people ask about: the open one, else the newest that was tried. */
static int put_update(struct call *c, struct doc *d, struct err *e)
{
	struct update u;
	int rc = store_update_open(c->tk.st, c->device.dev, &u, e);

	if (rc == 0)
		rc = store_update_latest(c->tk.st, c->device.dev, &u, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		doc_add_null(c->tk.a, d, "update");
	else
		doc_put_update(c, doc_map(c->tk.a, d, "update"), &u);
	return 0;
}

static int reply_device(struct call *c, uint16_t status, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	put_assigned(c, d, &c->device);
	if (put_tags(c, d, e) || put_attributes(c, d, "attributes", false, e) ||
	    put_attributes(c, d, "reported", true, e) || put_components(c, d, e) ||
	    put_live(c, d, e) || put_update(c, d, e))
		return -1;
	if (etag_of_version(&c->rs->etag, "device", c->device.dev, c->device.etag) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	return reply_doc(c, status, d, e);
}

int svc_devices_add(struct call *c, struct err *e)
{
	if (device_add(c, c->body, &c->device, e) != 0 ||
	    reply_location(c, e, "/api/v1/devices/%s", c->device.id) != 0)
		return -1;
	return reply_device(c, 201, e);
}

int svc_devices_list(struct call *c, struct err *e)
{
	struct device *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	const struct filter *f;
	struct page p;
	bool done;
	int want;

	if (!rows || page_begin(&p, c, e) != 0 || scope_query(c, &f, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int64_t cursor = p.after;
		int n = store_device_list(c->tk.st, f, &cursor, PAGE_SPAN, want, rows, &done, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			c->device = rows[i];
			struct doc *d = page_item(&p);
			put_assigned(c, d, &rows[i]);
			if (put_components(c, d, e) || put_live(c, d, e) || put_update(c, d, e))
				return -1;
		}
		if (!page_looked(&p, cursor, done))
			break;
	}
	return page_end(&p, e);
}

/* If-Match and If-None-Match against the configuration's version. */
static int check_version(struct call *c, bool *fresh, struct err *e)
{
	return etag_check_version(c, "device", c->device.dev, c->device.etag, fresh, e);
}

int svc_devices_show(struct call *c, struct err *e)
{
	bool fresh;

	if (check_version(c, &fresh, e) != 0)
		return -1;
	return reply_device(c, 200, e);
}

/* A device with a credential is never served without it: they must go first. */
static int check_auth(struct call *c, enum device_auth was, struct err *e)
{
	if (c->device.auth == was || c->device.auth != AUTH_NONE)
		return 0;
	int n = store_credential_usable(c->tk.st, c->device.dev, c->tk.now.wall, e);
	if (n > 0)
		return err_set(e, ERR_CONFLICT, "auth: the device has %d credentials in force", n);
	return n < 0 ? -1 : 0;
}

int svc_devices_edit(struct call *c, struct err *e)
{
	bool fresh, was_disabled = c->device.disabled;
	enum device_auth auth = c->device.auth;
	char parent[sizeof(c->device.parent)];

	memcpy(parent, c->device.parent, sizeof(parent));
	if (check_version(c, &fresh, e) != 0 ||
	    device_read_assigned(c, c->body, &c->device, false, e) != 0 ||
	    check_auth(c, auth, e) != 0)
		return -1;
	c->device.changed = c->tk.now.wall;
	if (store_device_put(c->tk.st, &c->device, e) != 0 ||
	    device_put_labels(c, c->body, &c->device, e) != 0 ||
	    rollout_join_late(&c->tk, c->device.dev, e) != 0 ||
	    found_or(store_device_by_dev(c->tk.st, c->device.dev, &c->device, e), e, "device") ||
	    audit_note(&c->tk, "device.set", c->device.id, e, "%u members", doc_count(c->body)))
		return -1;
	if ((strcmp(parent, c->device.parent) != 0 && outage_moved(&c->tk, &c->device, e) != 0) ||
	    offer_kind_changed(&c->tk, &c->device, e) != 0)
		return -1;
	/* whoever is connected as it was allowed before must come again */
	if ((c->device.disabled && !was_disabled) || c->device.auth != auth)
		effects_drop_device(c->tk.fx, c->device.dev, 0);
	/* what waited for it was called for in vain, and given up */
	if (was_disabled && !c->device.disabled && update_notify(&c->tk, c->device.dev, e) != 0)
		return -1;
	return reply_device(c, 200, e);
}

/* Its open updates are cancelled first, so that their rollouts' counters stay true. */
static int cancel_updates(struct call *c, struct err *e)
{
	struct update *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	int64_t after = 0;
	int n = PAGE_ROWS;

	if (!rows)
		return err_set(e, ERR_NO_MEMORY, "no memory for the updates");
	while (n == PAGE_ROWS) {
		n = store_update_list(c->tk.st, 0, c->device.dev, after, PAGE_ROWS, rows, e);
		for (int i = 0; i < n; i++) {
			after = rows[i].id;
			if (!update_state_terminal(rows[i].state) &&
			    update_apply(&c->tk, &rows[i], EVENT_CANCEL, FAILURE_NONE,
					 "the device was removed", e) != 0)
				return -1;
		}
	}
	return n < 0 ? -1 : 0;
}

/* It may have updates from now on: rollouts take it as they take whoever joins late. */
int svc_devices_approve(struct call *c, struct err *e)
{
	bool fresh;

	if (check_version(c, &fresh, e) != 0)
		return -1;
	if (!c->device.held_back)
		return reply_device(c, 200, e);
	c->device.held_back = false;
	c->device.changed = c->tk.now.wall;
	if (store_device_put(c->tk.st, &c->device, e) != 0 ||
	    found_or(store_device_by_dev(c->tk.st, c->device.dev, &c->device, e), e, "device") ||
	    audit_note(&c->tk, "device.approve", c->device.id, e, "-") != 0 ||
	    rollout_join_late(&c->tk, c->device.dev, e) != 0)
		return -1;
	return reply_device(c, 200, e);
}

int svc_devices_remove(struct call *c, struct err *e)
{
	bool fresh;

	if (check_version(c, &fresh, e) || cancel_updates(c, e) ||
	    store_identities_end(c->tk.st, c->device.dev, c->tk.now.wall, e) ||
	    store_device_remove(c->tk.st, c->device.dev, e) ||
	    audit_note(&c->tk, "device.remove", c->device.id, e, "dev=%" PRId64, c->device.dev))
		return -1;
	effects_drop_device(c->tk.fx, c->device.dev, 0);
	c->device.dev = 0; /* no scope to satisfy any more */
	c->rs->etag.n = 0;
	return reply_empty(c, 204);
}

int svc_devices_history(struct call *c, struct err *e)
{
	struct history *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct arena *a = c->tk.a;
	int64_t update;
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0 || query_id(c, "update", &update, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_history_list(c->tk.st, c->device.dev, update, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++) {
			struct doc *d = page_item(&p);

			doc_add_int(a, d, "id", rows[i].id);
			doc_add_int(a, d, "update", rows[i].update);
			doc_add_text(a, d, "from", update_state_word(rows[i].from));
			doc_add_text(a, d, "to", update_state_word(rows[i].to));
			doc_add_bool(a, d, "inferred", rows[i].inferred);
			doc_add_bool(a, d, "late", rows[i].late);
			doc_add_text(a, d, "cause", rows[i].cause);
			doc_add_time(a, d, "at", rows[i].at);
		}
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_devices_why(struct call *c, struct err *e)
{
	struct gate *g = arena_alloc(c->tk.a, sizeof(*g) * GATES_MAX);
	struct arena *a = c->tk.a;
	struct doc *d = doc_map(a, NULL, NULL);

	if (!g)
		return err_set(e, ERR_NO_MEMORY, "no memory for the gates");
	int n = why_device(&c->tk, &c->device, g, e);
	if (n < 0)
		return -1;
	doc_add_text(a, d, "device", c->device.id);
	struct doc *list = doc_array(a, d, "gates");
	for (int i = 0; i < n; i++) {
		struct doc *m = doc_map(a, list, NULL);

		doc_add_text(a, m, "gate", g[i].name);
		doc_add_bool(a, m, "open", g[i].open);
		doc_add_text(a, m, "value", g[i].value);
	}
	return reply_doc(c, 200, d, e);
}
