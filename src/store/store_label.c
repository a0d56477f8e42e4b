/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"
#include "store/rows.h"
#include "store/sql.h"

/* Attributes, tags and groups. Their number per device is bounded, so that removing a device is. */
#define GROUPS_MAX 64

int store_bounded(struct store *st, enum statement count, int64_t dev, int max, const char *what,
		  struct err *e)
{
	struct sql q;
	int64_t n = 0;

	sql_begin(&q, st, count, e);
	sql_int(&q, dev);
	if (sql_row(&q) == 1)
		n = sql_get_int(&q);
	if (sql_end(&q) != 0)
		return -1;
	return n < max ? 0 : err_set(e, ERR_TOO_MANY, "a device has at most %d %s", max, what);
}

static int attribute_exists(struct store *st, int64_t dev, bool reported, const char *name,
			    struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ATTRIBUTE_GET, e);
	sql_int(&q, dev);
	sql_int(&q, reported);
	sql_text(&q, name);
	int found = sql_row(&q);
	return sql_end(&q) == 0 ? found : -1;
}

static int attribute_room(struct store *st, int64_t dev, bool reported, const char *name,
			  struct err *e)
{
	struct sql q;
	int64_t n = 0;
	int found = attribute_exists(st, dev, reported, name, e);

	if (found != 0)
		return found < 0 ? -1 : 0;
	sql_begin(&q, st, STMT_ATTRIBUTE_COUNT, e);
	sql_int(&q, dev);
	sql_int(&q, reported);
	if (sql_row(&q) == 1)
		n = sql_get_int(&q);
	if (sql_end(&q) != 0)
		return -1;
	if (n >= STORE_ATTRIBUTES_MAX)
		return err_set(e, ERR_TOO_MANY, "a device has at most %d attributes",
			       STORE_ATTRIBUTES_MAX);
	return 0;
}

int store_expect_one(int changed, const char *what, struct err *e)
{
	if (changed == 0)
		return err_set(e, ERR_NOT_FOUND, "no such %s", what);
	return changed < 0 ? -1 : 0;
}

int store_attr_put(struct store *st, int64_t dev, bool reported, const char *name,
		   const struct filter_value *v, struct err *e)
{
	struct sql q;

	if (v && attribute_room(st, dev, reported, name, e) != 0)
		return -1;
	sql_begin(&q, st, v ? STMT_ATTRIBUTE_PUT : STMT_ATTRIBUTE_REMOVE, e);
	sql_int(&q, dev);
	sql_int(&q, reported);
	sql_text(&q, name);
	if (v) {
		sql_int_or_null(&q, v->is_number, v->number);
		if (v->is_number)
			sql_null(&q);
		else
			sql_text(&q, v->text);
	}
	return sql_run(&q);
}

int store_attr_list(struct store *st, int64_t dev, bool reported, int limit,
		    char (*names)[NAME_TEXT], struct filter_value *values, struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_ATTRIBUTE_LIST, e);
	sql_int(&q, dev);
	sql_int(&q, reported);
	sql_int(&q, limit);
	for (; n < limit && sql_row(&q) == 1; n++) {
		values[n] = (struct filter_value){ 0 };
		sql_get_text(&q, names[n], NAME_TEXT);
		values[n].is_number = sql_get_int_or_null(&q, &values[n].number);
		sql_get_text(&q, values[n].text, sizeof(values[n].text));
	}
	return sql_end(&q) == 0 ? n : -1;
}

int store_tag_put(struct store *st, int64_t dev, const char *tag, bool set, struct err *e)
{
	struct sql q;

	if (set && store_bounded(st, STMT_TAG_COUNT, dev, STORE_TAGS_MAX, "tags", e) != 0)
		return -1;
	sql_begin(&q, st, set ? STMT_TAG_PUT : STMT_TAG_REMOVE, e);
	sql_int(&q, dev);
	sql_text(&q, tag);
	return sql_run(&q);
}

int store_tag_list(struct store *st, int64_t dev, int limit, char (*tags)[NAME_TEXT], struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_TAG_LIST, e);
	sql_int(&q, dev);
	sql_int(&q, limit);
	while (n < limit && sql_row(&q) == 1)
		sql_get_text(&q, tags[n++], NAME_TEXT);
	return sql_end(&q) == 0 ? n : -1;
}

int store_group_add(struct store *st, const char *name, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_GROUP_ADD, e);
	sql_text(&q, name);
	return sql_run(&q);
}

int store_group_id(struct store *st, const char *name, int64_t *out, struct err *e)
{
	struct sql q;
	int found;

	sql_begin(&q, st, STMT_GROUP_ID, e);
	sql_text(&q, name);
	found = sql_row(&q);
	if (found == 1)
		*out = sql_get_int(&q);
	return sql_end(&q) == 0 ? found : -1;
}

static int group_id(struct store *st, const char *name, int64_t *id, struct err *e)
{
	int found = store_group_id(st, name, id, e);

	return found == 0  ? err_set(e, ERR_NOT_FOUND, "no such group: %.64s", name)
	       : found > 0 ? 0
			   : -1;
}

int store_group_name(struct store *st, int64_t id, char name[NAME_TEXT], struct err *e)
{
	struct sql q;
	int found;

	sql_begin(&q, st, STMT_GROUP_NAME, e);
	sql_int(&q, id);
	found = sql_row(&q);
	if (found == 1)
		sql_get_text(&q, name, NAME_TEXT);
	return sql_end(&q) == 0 ? found : -1;
}

int store_group_remove(struct store *st, const char *name, struct err *e)
{
	struct sql q;
	int64_t id = 0;
	bool own;

	if (group_id(st, name, &id, e) != 0 || store_atomic_begin(st, &own, e) != 0)
		return -1;
	sql_begin(&q, st, STMT_GROUP_REMOVE, e);
	sql_text(&q, name);
	int result = store_expect_one(sql_changed(&q), "group", e);
	if (result == 0)
		result = store_window_forget(st, WINDOW_GROUP, id, e);
	return store_atomic_end(st, own, result, e);
}

int store_group_list(struct store *st, int64_t after, int limit, int64_t *ids,
		     char (*names)[NAME_TEXT], struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_GROUP_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	for (; n < limit && sql_row(&q) == 1; n++) {
		ids[n] = sql_get_int(&q);
		sql_get_text(&q, names[n], NAME_TEXT);
	}
	return sql_end(&q) == 0 ? n : -1;
}

int store_group_member(struct store *st, const char *name, int64_t dev, bool set, struct err *e)
{
	struct sql q;
	int64_t id = 0;

	if (group_id(st, name, &id, e) != 0)
		return -1;
	if (set && store_bounded(st, STMT_MEMBER_COUNT, dev, GROUPS_MAX, "groups", e) != 0)
		return -1;
	sql_begin(&q, st, set ? STMT_MEMBER_PUT : STMT_MEMBER_REMOVE, e);
	sql_int(&q, dev);
	sql_int(&q, id);
	return sql_run(&q);
}

int store_device_groups(struct store *st, int64_t dev, int limit, char (*names)[NAME_TEXT],
			struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_MEMBER_GROUPS, e);
	sql_int(&q, dev);
	sql_int(&q, limit);
	while (n < limit && sql_row(&q) == 1)
		sql_get_text(&q, names[n++], NAME_TEXT);
	return sql_end(&q) == 0 ? n : -1;
}

/* The next group id that has members, beyond after: 1/0/-1. */
static int next_group(struct store *st, int64_t after, int64_t *id, bool *exists, struct err *e)
{
	struct sql q;
	int found;

	sql_begin(&q, st, STMT_MEMBER_NEXT_GROUP, e);
	sql_int(&q, after);
	found = sql_row(&q);
	if (found == 1)
		*id = sql_get_int(&q);
	if (sql_end(&q) != 0 || found != 1)
		return found == 0 ? 0 : -1;
	sql_begin(&q, st, STMT_GROUP_EXISTS, e);
	sql_int(&q, *id);
	*exists = sql_row(&q) == 1;
	return sql_end(&q) == 0 ? 1 : -1;
}

int store_group_sweep(struct store *st, int limit, struct err *e)
{
	struct sql q;
	int64_t id = 0;
	bool exists = false;
	int found;

	while ((found = next_group(st, id, &id, &exists, e)) == 1 && exists)
		;
	if (found != 1)
		return found;
	sql_begin(&q, st, STMT_MEMBER_SWEEP, e);
	sql_int(&q, id);
	sql_int(&q, id);
	sql_int(&q, limit);
	return sql_changed(&q);
}
