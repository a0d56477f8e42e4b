/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void release_read(struct sql *q, struct release *r)
{
	*r = (struct release){ 0 };
	r->id = sql_get_int(q);
	sql_get_text(q, r->name, sizeof(r->name));
	sql_get_digest(q, &r->manifest);
	sql_get_word(q, release_state_parse, &r->state);
	r->complete = sql_get_bool(q);
	r->published = sql_get_bool(q);
	sql_get_uuid(q, &r->vendor_id);
	sql_get_uuid(q, &r->class_id);
	sql_get_text(q, r->manufacturer, sizeof(r->manufacturer));
	sql_get_text(q, r->model, sizeof(r->model));
	sql_get_text(q, r->version, sizeof(r->version));
	sql_get_u64(q, &r->sequence);
	r->urgency = (enum urgency)sql_get_int(q);
	sql_get_text(q, r->urgency_by, sizeof(r->urgency_by));
	r->outage_s = sql_get_int(q);
	sql_get_text(q, r->by, sizeof(r->by));
	sql_get_text(q, r->approved_by, sizeof(r->approved_by));
	r->created = sql_get_int(q);
	r->approved = sql_get_int(q);
	r->etag = (uint64_t)sql_get_int(q);
}

int store_release_add(struct store *st, struct release *r, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_ADD, e);
	sql_text(&q, r->name);
	sql_digest(&q, &r->manifest);
	sql_text(&q, release_state_word(r->state));
	sql_int(&q, r->complete);
	sql_int(&q, r->published);
	sql_uuid(&q, &r->vendor_id);
	sql_uuid(&q, &r->class_id);
	sql_text(&q, r->manufacturer);
	sql_text(&q, r->model);
	sql_text(&q, r->version);
	sql_u64(&q, r->sequence);
	sql_int(&q, r->urgency);
	sql_text(&q, r->urgency_by);
	sql_int(&q, r->outage_s);
	sql_text(&q, r->by);
	sql_text(&q, r->approved_by);
	sql_int(&q, r->created);
	sql_int(&q, r->approved);
	sql_int(&q, (int64_t)r->etag);
	return sql_insert(&q, &r->id) == 0 ? store_goods_changed(st, e) : -1;
}

int store_release_get(struct store *st, int64_t id, struct release *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_GET, e);
	sql_int(&q, id);
	return STORE_ONE(&q, out, release_read);
}

int store_release_by_name(struct store *st, const char *name, struct release *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_BY_NAME, e);
	sql_text(&q, name);
	return STORE_ONE(&q, out, release_read);
}

/* What was derived from the manifest, and the name, stay. */
int store_release_put(struct store *st, const struct release *r, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_PUT, e);
	sql_text(&q, release_state_word(r->state));
	sql_int(&q, r->complete);
	sql_int(&q, r->published);
	sql_int(&q, r->urgency);
	sql_text(&q, r->urgency_by);
	sql_int(&q, r->outage_s);
	sql_text(&q, r->approved_by);
	sql_int(&q, r->approved);
	sql_int(&q, r->id);
	if (store_expect_one(sql_changed(&q), "release", e) != 0)
		return -1;
	return store_goods_changed(st, e);
}

int store_release_list(struct store *st, int64_t after, int limit, struct release *out,
		       struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, release_read);
}

int store_release_by_manifest(struct store *st, const struct digest *manifest, struct release *out,
			      struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_BY_MANIFEST, e);
	sql_digest(&q, manifest);
	return STORE_ONE(&q, out, release_read);
}

int store_release_before(struct store *st, const struct manifest *m, struct release *out,
			 struct err *e)
{
	struct sql q;

	sql_begin(&q, st,
		  m->class_id.set ? STMT_RELEASE_BEFORE_OF_CLASS : STMT_RELEASE_BEFORE_OF_MODEL, e);
	sql_uuid(&q, &m->vendor_id);
	if (m->class_id.set)
		sql_uuid(&q, &m->class_id);
	else
		sql_text(&q, m->model);
	sql_u64(&q, m->sequence);
	return STORE_ONE(&q, out, release_read);
}

int store_release_by_anchor(struct store *st, int64_t anchor, int64_t after, int limit,
			    struct release *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_BY_ANCHOR, e);
	sql_int(&q, anchor);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, release_read);
}

int store_release_by_image(struct store *st, const struct digest *image, int64_t after, int limit,
			   struct release *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_BY_IMAGE, e);
	sql_digest(&q, image);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, release_read);
}

int store_release_published(struct store *st, const char *manufacturer, const char *model,
			    struct release *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_PUBLISHED, e);
	sql_text(&q, manufacturer);
	sql_text(&q, model);
	return STORE_ONE(&q, out, release_read);
}

int store_release_published_list(struct store *st, int64_t after, int limit, struct release *out,
				 struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_RELEASE_PUBLISHED_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, release_read);
}

static void class_key(struct sql *q, const struct uuid *u)
{
	sql_blob(q, u->b, u->set ? sizeof(u->b) : 0);
}

int store_class_floor_get(struct store *st, const struct uuid *vendor, const struct uuid *class_id,
			  uint64_t *out, struct err *e)
{
	struct sql q;

	*out = 0;
	sql_begin(&q, st, STMT_FLOOR_GET, e);
	class_key(&q, vendor);
	class_key(&q, class_id);
	int found = sql_row(&q);
	if (found == 1)
		sql_get_u64(&q, out);
	return sql_end(&q) == 0 ? found : -1;
}

int store_class_floor_raise(struct store *st, const struct uuid *vendor,
			    const struct uuid *class_id, uint64_t v, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_FLOOR_RAISE, e);
	class_key(&q, vendor);
	class_key(&q, class_id);
	sql_u64(&q, v);
	return sql_run(&q);
}

int store_route_add(struct store *st, int64_t release, const char *path, const struct digest *image,
		    struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROUTE_ADD, e);
	sql_text(&q, path);
	sql_int(&q, release);
	sql_digest(&q, image);
	return sql_run(&q);
}

int store_route_remove(struct store *st, int64_t release, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROUTE_REMOVE, e);
	sql_int(&q, release);
	return sql_run(&q);
}

int store_route_published(struct store *st, const char *path, struct digest *image,
			  int64_t *release, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROUTE_PUBLISHED, e);
	sql_text(&q, path);
	int found = sql_row(&q);
	if (found == 1) {
		sql_get_digest(&q, image);
		*release = sql_get_int(&q);
	}
	return sql_end(&q) == 0 ? found : -1;
}

int store_route_of_release(struct store *st, int64_t release, const char *path,
			   struct digest *image, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_ROUTE_OF_RELEASE, e);
	sql_text(&q, path);
	sql_int(&q, release);
	int found = sql_row(&q);
	if (found == 1)
		sql_get_digest(&q, image);
	return sql_end(&q) == 0 ? found : -1;
}

static int publisher(struct store *st, enum statement id, const struct digest *d, int64_t after,
		     int64_t *release, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, id, e);
	sql_digest(&q, d);
	sql_int(&q, after);
	int found = sql_row(&q);
	if (found == 1)
		*release = sql_get_int(&q);
	return sql_end(&q) == 0 ? found : -1;
}

int store_object_published(struct store *st, const struct digest *d, int64_t after,
			   int64_t *release, struct err *e)
{
	int found = publisher(st, STMT_OBJECT_PUBLISHED_MANIFEST, d, after, release, e);

	return found != 0 ? found
			  : publisher(st, STMT_OBJECT_PUBLISHED_IMAGE, d, after, release, e);
}
