/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/sql.h"

#include <string.h>

#include "store/rows.h"

static int auth_parse(const char *w, enum device_auth *out)
{
	*out = w && strcmp(w, "none") == 0 ? AUTH_NONE : AUTH_CREDENTIAL;
	return w ? 0 : -1;
}

static const char *auth_word(enum device_auth a)
{
	return a == AUTH_NONE ? "none" : "credential";
}

void device_read(struct sql *q, struct device *d)
{
	*d = (struct device){ 0 };
	d->dev = sql_get_int(q);
	sql_get_text(q, d->id, sizeof(d->id));
	sql_get_word(q, auth_parse, &d->auth);
	sql_get_word(q, mode_parse, &d->mode);
	d->registered = sql_get_bool(q);
	d->disabled = sql_get_bool(q);
	sql_get_uuid(q, &d->vendor_id);
	sql_get_uuid(q, &d->class_id);
	sql_get_text(q, d->manufacturer, sizeof(d->manufacturer));
	sql_get_text(q, d->model, sizeof(d->model));
	sql_get_text(q, d->parent, sizeof(d->parent));
	d->contact_interval_s = sql_get_int(q);
	d->has_floor = sql_get_u64(q, &d->floor_sequence);
	sql_get_text(q, d->held, sizeof(d->held));
	d->created = sql_get_int(q);
	d->changed = sql_get_int(q);
	d->etag = (uint64_t)sql_get_int(q);
	sql_get_text(q, d->endpoint_host, sizeof(d->endpoint_host));
	sql_get_text(q, d->capabilities, sizeof(d->capabilities));
	d->held_back = sql_get_bool(q);
	d->ask_diag = sql_get_bool(q);
}

/* The columns both statements that write a device end with. */
static void bind_contact(struct sql *q, const struct device *d)
{
	sql_text(q, d->endpoint_host);
	sql_text(q, d->capabilities);
	sql_int(q, d->held_back);
	sql_int(q, d->ask_diag);
}

static int count_devices(struct store *st, int64_t delta, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_META_ADD, e);
	sql_int(&q, delta);
	sql_text(&q, "store.devices");
	return sql_run(&q);
}

static int device_insert(struct store *st, struct device *d, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_ADD, e);
	sql_text(&q, d->id);
	sql_text(&q, auth_word(d->auth));
	sql_text(&q, mode_word(d->mode));
	sql_int(&q, d->registered);
	sql_int(&q, d->disabled);
	sql_uuid(&q, &d->vendor_id);
	sql_uuid(&q, &d->class_id);
	sql_text(&q, d->manufacturer);
	sql_text(&q, d->model);
	sql_text(&q, d->parent);
	sql_int(&q, d->contact_interval_s);
	sql_u64_or_null(&q, d->has_floor, d->floor_sequence);
	sql_text(&q, d->held);
	sql_int(&q, d->created);
	sql_int(&q, d->changed);
	sql_int(&q, (int64_t)d->etag);
	bind_contact(&q, d);
	return sql_insert(&q, &d->dev);
}

int store_device_add(struct store *st, struct device *d, struct err *e)
{
	bool own;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	int result = device_insert(st, d, e);
	if (result == 0)
		result = count_devices(st, 1, e);
	return store_atomic_end(st, own, result, e);
}

int store_device_get(struct store *st, const char *id, struct device *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_BY_ID, e);
	sql_text(&q, id);
	return STORE_ONE(&q, out, device_read);
}

int store_device_by_dev(struct store *st, int64_t dev, struct device *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_BY_DEV, e);
	sql_int(&q, dev);
	return STORE_ONE(&q, out, device_read);
}

static int device_update(struct store *st, const struct device *d, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_PUT, e);
	sql_text(&q, auth_word(d->auth));
	sql_text(&q, mode_word(d->mode));
	sql_int(&q, d->registered);
	sql_int(&q, d->disabled);
	sql_uuid(&q, &d->vendor_id);
	sql_uuid(&q, &d->class_id);
	sql_text(&q, d->manufacturer);
	sql_text(&q, d->model);
	sql_int(&q, d->contact_interval_s);
	sql_u64_or_null(&q, d->has_floor, d->floor_sequence);
	sql_text(&q, d->held);
	sql_int(&q, d->changed);
	bind_contact(&q, d);
	sql_int(&q, d->dev);
	return store_expect_one(sql_changed(&q), "device", e);
}

static void parent_read(struct sql *q, char *parent)
{
	sql_get_text(q, parent, NAME_TEXT);
}

static int put_parent(struct store *st, const struct device *d, struct err *e)
{
	char old[NAME_TEXT] = "";
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_PARENT, e);
	sql_int(&q, d->dev);
	if (STORE_ONE(&q, old, parent_read) < 0)
		return -1;
	if (strcmp(old, d->parent) == 0)
		return 0;
	if (store_link_carry(st, d->dev, old, d->parent, e) != 0)
		return -1;
	sql_begin(&q, st, STMT_DEVICE_PUT_PARENT, e);
	sql_text(&q, d->parent);
	sql_int(&q, d->dev);
	sql_text(&q, d->parent);
	return sql_run(&q);
}

int store_device_put(struct store *st, const struct device *d, struct err *e)
{
	bool own;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	int result = device_update(st, d, e);
	if (result == 0)
		result = put_parent(st, d, e);
	return store_atomic_end(st, own, result, e);
}

int store_device_remove(struct store *st, int64_t dev, struct err *e)
{
	struct sql q;
	bool own;

	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	sql_begin(&q, st, STMT_DEVICE_REMOVE, e);
	sql_int(&q, dev);
	int result = store_expect_one(sql_changed(&q), "device", e);
	if (result == 0)
		result = count_devices(st, -1, e);
	if (result == 0)
		result = store_window_forget(st, WINDOW_DEVICE, dev, e);
	return store_atomic_end(st, own, result, e);
}

int store_device_count(struct store *st, int64_t *out, struct err *e)
{
	int found = store_meta_get_int(st, "store.devices", out, e);

	if (found == 0)
		return err_set(e, ERR_INTERNAL, "the count of devices is missing");
	return found < 0 ? -1 : 0;
}

int store_device_floor(struct store *st, int64_t dev, uint64_t sequence, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_DEVICE_FLOOR, e);
	sql_u64(&q, sequence);
	sql_int(&q, dev);
	sql_u64(&q, sequence);
	return sql_run(&q);
}
