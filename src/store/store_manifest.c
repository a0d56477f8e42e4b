/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/rows.h"
#include "store/sql.h"

static void manifest_read(struct sql *q, struct manifest *m)
{
	*m = (struct manifest){ 0 };
	sql_get_int(q);
	sql_get_digest(q, &m->digest);
	sql_get_digest(q, &m->identity);
	m->size = (uint32_t)sql_get_int(q);
	sql_get_text(q, m->format, sizeof(m->format));
	sql_get_uuid(q, &m->vendor_id);
	sql_get_uuid(q, &m->class_id);
	sql_get_text(q, m->manufacturer, sizeof(m->manufacturer));
	sql_get_text(q, m->model, sizeof(m->model));
	sql_get_text(q, m->version, sizeof(m->version));
	sql_get_u64(q, &m->sequence);
	sql_get_text(q, m->uri, sizeof(m->uri));
	sql_get_text(q, m->text, sizeof(m->text));
	m->has_priority = sql_get_int_or_null(q, &m->priority);
	m->use_before = sql_get_int(q);
	m->not_before = sql_get_int(q);
	m->anchor = sql_get_int(q);
	sql_get_text(q, m->alg, sizeof(m->alg));
	m->verified = sql_get_int(q);
	m->created = sql_get_int(q);
	sql_get_text(q, m->by, sizeof(m->by));
	sql_get_text(q, m->urgency, sizeof(m->urgency));
}

static int manifest_insert(struct store *st, const struct manifest *m, int64_t *id, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_MANIFEST_ADD, e);
	sql_digest(&q, &m->digest);
	sql_digest(&q, &m->identity);
	sql_int(&q, m->size);
	sql_text(&q, m->format);
	sql_uuid(&q, &m->vendor_id);
	sql_uuid(&q, &m->class_id);
	sql_text(&q, m->manufacturer);
	sql_text(&q, m->model);
	sql_text(&q, m->version);
	sql_u64(&q, m->sequence);
	sql_text(&q, m->uri);
	sql_text(&q, m->text);
	sql_int_or_null(&q, m->has_priority, m->priority);
	sql_int(&q, m->use_before);
	sql_int(&q, m->not_before);
	sql_int_or_null(&q, m->anchor != 0, m->anchor);
	sql_text(&q, m->alg);
	sql_int(&q, m->verified);
	sql_int(&q, m->created);
	sql_text(&q, m->by);
	sql_text(&q, m->urgency);
	return sql_insert(&q, id);
}

static int image_insert(struct store *st, int64_t manifest, int n, const struct manifest_image *i,
			struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_MANIFEST_IMAGE_ADD, e);
	sql_int(&q, manifest);
	sql_int(&q, n);
	sql_int(&q, i->component);
	sql_text(&q, i->name);
	sql_digest(&q, &i->digest);
	sql_int_or_null(&q, i->has_size, (int64_t)i->size);
	sql_text(&q, i->uri);
	sql_int(&q, i->integrated);
	sql_int(&q, i->external);
	return sql_run(&q);
}

static int rows_insert(struct store *st, const struct manifest *m,
		       const struct manifest_image *images, int n_images, struct err *e)
{
	int64_t id = 0;

	if (manifest_insert(st, m, &id, e) != 0)
		return -1;
	for (int i = 0; i < n_images; i++)
		if (image_insert(st, id, i, &images[i], e) != 0)
			return -1;
	return 0;
}

int store_manifest_add(struct store *st, const struct manifest *m,
		       const struct manifest_image *images, int n_images, struct slice bytes,
		       struct err *e)
{
	struct manifest there;
	bool own;

	if (bytes.n != m->size)
		return err_set(e, ERR_INTERNAL, "a manifest's size is not that of its bytes");
	int found = store_manifest_get(st, &m->digest, &there, e);
	if (found != 0)
		return found;
	if (store_object_add(st, &m->digest, bytes, e) != 0 || store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, rows_insert(st, m, images, n_images, e), e);
}

int store_manifest_get(struct store *st, const struct digest *d, struct manifest *out,
		       struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_MANIFEST_GET, e);
	sql_digest(&q, d);
	return STORE_ONE(&q, out, manifest_read);
}

int store_manifest_by_identity(struct store *st, const struct digest *identity,
			       struct manifest *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_MANIFEST_BY_IDENTITY, e);
	sql_digest(&q, identity);
	return STORE_ONE(&q, out, manifest_read);
}

static int chunk_append(struct store *st, int64_t object, uint64_t n, uint8_t *to, size_t room,
			struct err *e)
{
	struct sql q;
	size_t got = 0;

	sql_begin(&q, st, STMT_CHUNK_GET, e);
	sql_int(&q, store_chunk_id(object, n));
	if (sql_row(&q) == 1)
		got = sql_get_blob(&q, to, room);
	if (sql_end(&q) != 0)
		return -1;
	return got == room ? 0 : err_set(e, ERR_IO, "images.db: an object is not whole");
}

int store_manifest_bytes(struct store *st, const struct digest *d, struct arena *a,
			 struct slice *out, struct err *e)
{
	struct manifest m;
	struct object o;
	int found = store_manifest_get(st, d, &m, e);

	if (found != 1)
		return found;
	found = store_object_find(st, d, &o, e);
	if (found < 0)
		return -1;
	if (found == 0 || o.size != m.size)
		return err_set(e, ERR_IO, "images.db: a manifest's bytes are missing");
	uint8_t *to = arena_alloc(a, m.size);
	if (!to)
		return err_set(e, ERR_NO_MEMORY, "no memory for a manifest");
	for (size_t at = 0; at < m.size; at += STORE_CHUNK) {
		size_t part = m.size - at < STORE_CHUNK ? m.size - at : STORE_CHUNK;
		if (chunk_append(st, o.id, at / STORE_CHUNK, to + at, part, e) != 0)
			return -1;
	}
	*out = slice_of(to, m.size);
	return 1;
}

static void image_read(struct sql *q, struct manifest_image *i)
{
	int64_t size;

	*i = (struct manifest_image){ 0 };
	i->component = (uint8_t)sql_get_int(q);
	sql_get_text(q, i->name, sizeof(i->name));
	sql_get_digest(q, &i->digest);
	i->has_size = sql_get_int_or_null(q, &size);
	i->size = (uint64_t)size;
	sql_get_text(q, i->uri, sizeof(i->uri));
	i->integrated = sql_get_bool(q);
	i->external = sql_get_bool(q);
}

int store_manifest_images(struct store *st, const struct digest *d, struct manifest_image *out,
			  int limit, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_MANIFEST_IMAGE_LIST, e);
	sql_digest(&q, d);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, image_read);
}

int store_manifest_list(struct store *st, int64_t after, int limit, int64_t *ids,
			struct manifest *out, struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_MANIFEST_LIST, e);
	sql_int(&q, after);
	sql_int(&q, limit);
	for (; n < limit && sql_row(&q) == 1; n++) {
		ids[n] = sql_get_int(&q);
		q.column = 0;
		manifest_read(&q, &out[n]);
	}
	return sql_end(&q) == 0 ? n : -1;
}

static void sequence_read(struct sql *q, uint64_t *sequence)
{
	sql_get_u64(q, sequence);
}

int store_manifest_newest(struct store *st, const struct manifest *m, uint64_t *sequence,
			  struct err *e)
{
	struct sql q;

	sql_begin(&q, st,
		  m->class_id.set ? STMT_MANIFEST_NEWEST_OF_CLASS : STMT_MANIFEST_NEWEST_OF_MODEL,
		  e);
	sql_uuid(&q, &m->vendor_id);
	if (m->class_id.set)
		sql_uuid(&q, &m->class_id);
	else
		sql_text(&q, m->model);
	return STORE_ONE(&q, sequence, sequence_read);
}

/* ERR_CONFLICT by the foreign key when a release is made of it. */
int store_manifest_remove(struct store *st, const struct digest *d, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_MANIFEST_REMOVE, e);
	sql_digest(&q, d);
	return store_expect_one(sql_changed(&q), "manifest", e);
}

int store_manifest_verdict(struct store *st, const struct digest *d, int64_t anchor, int64_t at,
			   struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_MANIFEST_VERDICT, e);
	sql_int_or_null(&q, anchor != 0, anchor);
	sql_int(&q, at);
	sql_digest(&q, d);
	if (store_expect_one(sql_changed(&q), "manifest", e) != 0)
		return -1;
	return store_goods_changed(st, e);
}

int store_manifest_by_anchor(struct store *st, int64_t anchor, int64_t after, int limit,
			     struct digest *out, int64_t *ids, struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_MANIFEST_BY_ANCHOR, e);
	sql_int(&q, anchor);
	sql_int(&q, after);
	sql_int(&q, limit);
	for (; n < limit && sql_row(&q) == 1; n++) {
		ids[n] = sql_get_int(&q);
		sql_get_digest(&q, &out[n]);
	}
	return sql_end(&q) == 0 ? n : -1;
}
