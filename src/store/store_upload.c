/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/rows.h"
#include "store/sql.h"

/*
 * An upload is a staged object and a row that says how much of it is durable.
 * What arrived since the last sync lives in an open transaction and, the last
 * part of a row, in memory. The hash runs along in memory; after a restart it
 * catches up from the rows, a few MiB with each chunk that arrives.
 */
#define SYNC_EVERY (1u << 20)
#define CATCH_UP (4u << 20)
#define UPLOADS_MAX 256
#define OBJECT_MAX (16777216ull * STORE_CHUNK) /* what store_chunk_id has room for */

struct upload_state {
	int64_t id, object;
	uint64_t offset; /* received */
	uint64_t hashed; /* of them, hashed */
	uint64_t synced; /* of them, durable */
	uint64_t declared; /* the whole's size as its row has it, 0 unsaid */
	uint64_t used;
	void *h;
	bool sealed; /* nothing may be added */
	size_t tail; /* bytes of the last, incomplete row */
	uint8_t row[STORE_CHUNK];
};

static void state_free(struct store *st, struct upload_state *s)
{
	if (!s)
		return;
	if (s->h)
		st->hash.drop(s->h);
	free(s);
}

void store_uploads_forget(struct store *st)
{
	for (int i = 0; i < STORE_UPLOADS_OPEN; i++) {
		state_free(st, st->uploads[i]);
		st->uploads[i] = NULL;
	}
}

void store_upload_forget(struct store *st, int64_t id)
{
	for (int i = 0; i < STORE_UPLOADS_OPEN; i++) {
		if (!st->uploads[i] || st->uploads[i]->id != id)
			continue;
		state_free(st, st->uploads[i]);
		st->uploads[i] = NULL;
	}
}

static struct upload_state *state_find(struct store *st, int64_t id)
{
	for (int i = 0; i < STORE_UPLOADS_OPEN; i++)
		if (st->uploads[i] && st->uploads[i]->id == id)
			return st->uploads[i];
	return NULL;
}

static int chunk_read(struct store *st, int64_t object, uint64_t n, uint8_t row[STORE_CHUNK],
		      size_t *size, struct err *e)
{
	struct sql q;

	*size = 0;
	sql_begin(&q, st, STMT_CHUNK_GET, e);
	sql_int(&q, store_chunk_id(object, n));
	if (sql_row(&q) == 1)
		*size = sql_get_blob(&q, row, STORE_CHUNK);
	return sql_end(&q);
}

/* The durable part; what a crash left behind it in the last row is cut off. */
static int state_load(struct store *st, struct upload_state *s, struct err *e)
{
	struct sql q;
	size_t size = 0;
	int64_t declared;

	sql_begin(&q, st, STMT_UPLOAD_STATE, e);
	sql_int(&q, s->id);
	int found = sql_row(&q);
	if (found == 1) {
		s->object = sql_get_int(&q);
		s->offset = s->synced = (uint64_t)sql_get_int(&q);
		if (sql_get_int_or_null(&q, &declared))
			s->declared = (uint64_t)declared;
		s->sealed = sql_get_bool(&q);
	}
	if (sql_end(&q) != 0)
		return -1;
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "no such upload");
	s->tail = (size_t)(s->offset % STORE_CHUNK);
	if (s->tail && chunk_read(st, s->object, s->offset / STORE_CHUNK, s->row, &size, e) != 0)
		return -1;
	if (size < s->tail)
		return err_set(e, ERR_IO, "an upload's bytes are missing");
	s->h = st->hash.begin ? st->hash.begin() : NULL;
	return s->h ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for a hash");
}

static int state_sync(struct store *st, struct upload_state *s, const struct upload *u,
		      struct err *e);

/* A free place; the one used longest ago is made durable and given up. */
static int place(struct store *st, struct err *e)
{
	int at = 0;

	for (int i = 0; i < STORE_UPLOADS_OPEN; i++) {
		if (!st->uploads[i])
			return i;
		if (st->uploads[i]->used < st->uploads[at]->used)
			at = i;
	}
	if (state_sync(st, st->uploads[at], NULL, e) != 0)
		return -1;
	state_free(st, st->uploads[at]);
	st->uploads[at] = NULL;
	return at;
}

static int state_open(struct store *st, int64_t id, struct upload_state **out, struct err *e)
{
	struct upload_state *s = state_find(st, id);

	if (!s) {
		int at = place(st, e);
		if (at < 0)
			return -1;
		s = calloc(1, sizeof(*s));
		if (!s)
			return err_set(e, ERR_NO_MEMORY, "no memory for an upload");
		s->id = id;
		if (state_load(st, s, e) != 0) {
			state_free(st, s);
			return -1;
		}
		st->uploads[at] = s;
	}
	s->used = ++st->uploads_clock;
	*out = s;
	return 0;
}

static int row_put(struct store *st, const struct upload_state *s, uint64_t n, size_t size,
		   struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CHUNK_PUT, e);
	sql_int(&q, store_chunk_id(s->object, n));
	sql_blob(&q, s->row, size);
	return sql_run(&q);
}

static int offset_put(struct store *st, const struct upload_state *s, const struct upload *u,
		      struct err *e)
{
	struct sql q;

	sql_begin(&q, st, u ? STMT_UPLOAD_SYNC : STMT_UPLOAD_DURABLE, e);
	if (u) {
		sql_int_or_null(&q, u->has_size, (int64_t)u->size);
		if (u->has_digest)
			sql_digest(&q, &u->digest);
		else
			sql_null(&q);
	}
	sql_int(&q, (int64_t)s->offset);
	if (u)
		sql_int(&q, u->track_changed);
	sql_int(&q, s->id);
	return sql_run(&q);
}

static int state_sync(struct store *st, struct upload_state *s, const struct upload *u,
		      struct err *e)
{
	if (s->sealed)
		return 0;
	if (s->tail && row_put(st, s, s->offset / STORE_CHUNK, s->tail, e) != 0)
		return -1;
	if (offset_put(st, s, u, e) != 0)
		return -1;
	/* on failure the rollback frees every state, s too */
	if (store_images_commit(st, e) != 0)
		return -1;
	s->synced = s->offset;
	if (u)
		s->declared = u->has_size ? u->size : 0;
	store_checkpoint(st, false);
	return 0;
}

int store_upload_sync(struct store *st, struct upload *u, struct err *e)
{
	struct upload_state *s;

	if (state_open(st, u->id, &s, e) != 0 || state_sync(st, s, u, e) != 0)
		return -1;
	u->offset = s->offset;
	return 0;
}

static int hash_bytes(struct store *st, struct upload_state *s, struct slice bytes, struct err *e)
{
	if (st->hash.add(s->h, bytes) != 0)
		return err_set(e, ERR_INTERNAL, "cannot hash");
	s->hashed += bytes.n;
	return 0;
}

/* Hash what is stored but not hashed, at most budget bytes of whole rows, then the tail. */
static int catch_up(struct store *st, struct upload_state *s, uint64_t budget, struct err *e)
{
	uint8_t row[STORE_CHUNK];
	size_t size;

	for (uint64_t done = 0; done < budget && s->hashed < s->offset; done += STORE_CHUNK) {
		uint64_t n = s->hashed / STORE_CHUNK;
		if (n == s->offset / STORE_CHUNK)
			return hash_bytes(st, s, slice_of(s->row, s->tail), e);
		if (chunk_read(st, s->object, n, row, &size, e) != 0)
			return -1;
		if (size != STORE_CHUNK)
			return err_set(e, ERR_IO, "an upload's bytes are missing");
		if (hash_bytes(st, s, slice_of(row, size), e) != 0)
			return -1;
	}
	return 0;
}

static int take(struct store *st, struct upload_state *s, struct slice bytes, struct err *e)
{
	/* hashed stops in the middle of a row only when it is level with offset */
	if (s->hashed == s->offset && hash_bytes(st, s, bytes, e) != 0)
		return -1;
	while (bytes.n > 0) {
		size_t room = STORE_CHUNK - s->tail, part = bytes.n < room ? bytes.n : room;

		memcpy(s->row + s->tail, bytes.p, part);
		s->tail += part;
		if (s->tail == STORE_CHUNK) {
			if (row_put(st, s, s->offset / STORE_CHUNK, STORE_CHUNK, e) != 0)
				return -1;
			s->tail = 0;
		}
		s->offset += part;
		bytes = slice_of(bytes.p + part, bytes.n - part);
	}
	return 0;
}

/* Its bytes may have gone back to the durable ones with another's rollback. */
static int same_offset(const struct upload *u, const struct upload_state *s, struct err *e)
{
	if (u->offset == s->offset)
		return 0;
	return err_set(e, ERR_CONFLICT, "the upload continues at %" PRIu64 ", not at %" PRIu64,
		       s->offset, u->offset);
}

static int chunk_allowed(const struct upload *u, const struct upload_state *s, struct slice bytes,
			 struct err *e)
{
	if (s->sealed && bytes.n > 0)
		return err_set(e, ERR_CONFLICT, "the upload is whole already");
	if (same_offset(u, s, e) != 0)
		return -1;
	if (bytes.n > STORE_CHUNK)
		return err_set(e, ERR_TOO_LARGE, "more than %d bytes in one piece", STORE_CHUNK);
	if (s->offset + bytes.n > OBJECT_MAX)
		return err_set(e, ERR_TOO_LARGE, "the upload is too large");
	if (u->has_size && (s->offset > u->size || bytes.n > u->size - s->offset))
		return err_set(e, ERR_TOO_LARGE, "more bytes than the declared %" PRIu64, u->size);
	return 0;
}

int store_upload_chunk(struct store *st, struct upload *u, struct slice bytes, struct err *e)
{
	struct upload_state *s;

	if (state_open(st, u->id, &s, e) != 0)
		return -1;
	if (chunk_allowed(u, s, bytes, e) != 0) {
		u->offset = s->offset;
		return -1;
	}
	if (s->sealed)
		return 0;
	if (catch_up(st, s, CATCH_UP, e) != 0 || take(st, s, bytes, e) != 0) {
		/* memory and rows may differ now: the durable part counts */
		store_upload_forget(st, u->id);
		return -1;
	}
	u->offset = s->offset;
	if (s->offset - s->synced >= SYNC_EVERY)
		return state_sync(st, s, u, e);
	return 0;
}

int store_upload_ready(struct store *st, struct upload *u, int64_t budget_us, struct err *e)
{
	int64_t until = clock_mono_us() + budget_us;
	struct upload_state *s;

	if (state_open(st, u->id, &s, e) != 0)
		return -1;
	while (!s->sealed && s->hashed < s->offset) {
		if (catch_up(st, s, STORE_CHUNK, e) != 0) {
			store_upload_forget(st, u->id);
			return -1;
		}
		if (clock_mono_us() >= until)
			break;
	}
	return s->sealed || s->hashed == s->offset;
}

/* What sealing needs of a state: all of it received, hashed, and put into rows. */
int store_upload_finish(struct store *st, struct upload *u, struct digest *digest, int64_t *object,
			struct err *e)
{
	struct upload_state *s;

	if (state_open(st, u->id, &s, e) != 0)
		return -1;
	bool same = same_offset(u, s, e) == 0;
	u->offset = s->offset;
	if (!same)
		return -1;
	if (u->has_size && s->offset != u->size)
		return err_set(e, ERR_VERIFY,
			       "%" PRIu64 " bytes arrived, %" PRIu64 " were declared", s->offset,
			       u->size);
	if (s->tail && row_put(st, s, s->offset / STORE_CHUNK, s->tail, e) != 0)
		return -1;
	if (catch_up(st, s, UINT64_MAX - STORE_CHUNK, e) != 0)
		return -1;
	void *h = s->h;
	s->h = NULL;
	*object = s->object;
	int result = st->hash.end(h, digest);
	store_upload_forget(st, u->id);
	return result == 0 ? 0 : err_set(e, ERR_INTERNAL, "cannot hash");
}

static int upload_count(struct store *st, int64_t *n, int64_t *bytes, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPLOAD_TOTAL, e);
	if (sql_row(&q) == 1) {
		*n = sql_get_int(&q);
		*bytes = sql_get_int(&q);
	}
	return sql_end(&q);
}

/* What it takes, or will: an upload that says its size has that much reserved. */
static uint64_t room_of(const struct upload_state *s, uint64_t bytes)
{
	return s->declared > bytes ? s->declared : bytes;
}

int64_t store_upload_total(struct store *st)
{
	int64_t n = 0, bytes = 0;

	if (upload_count(st, &n, &bytes, NULL) != 0)
		return -1;
	for (int i = 0; i < STORE_UPLOADS_OPEN; i++)
		if (st->uploads[i])
			bytes += (int64_t)(room_of(st->uploads[i], st->uploads[i]->offset) -
					   room_of(st->uploads[i], st->uploads[i]->synced));
	return bytes;
}

static void upload_read(struct sql *q, struct upload *u)
{
	int64_t size;

	*u = (struct upload){ .kind = UPLOAD_IMAGE };
	u->id = sql_get_int(q);
	sql_get_word_text(q);
	sql_get_text(q, u->name, sizeof(u->name));
	u->has_size = sql_get_int_or_null(q, &size);
	u->size = (uint64_t)size;
	u->has_digest = sql_get_exact(q, u->digest.b, sizeof(u->digest.b));
	u->offset = (uint64_t)sql_get_int(q);
	u->sealed = sql_get_bool(q);
	sql_get_text(q, u->by, sizeof(u->by));
	u->created = sql_get_int(q);
	u->track_changed = sql_get_int(q);
}

int store_upload_get(struct store *st, const char *name, struct upload *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPLOAD_BY_NAME, e);
	sql_text(&q, name);
	int found = STORE_ONE(&q, out, upload_read);
	if (found != 1)
		return found;
	/* whoever asks will continue there: what has arrived counts, so make it durable */
	struct upload_state *s = state_find(st, out->id);
	if (s && s->offset != s->synced && state_sync(st, s, NULL, e) != 0)
		return -1;
	if (s)
		out->offset = s->offset;
	return 1;
}

static int upload_insert(struct store *st, struct upload *u, int64_t object, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_UPLOAD_ADD, e);
	sql_int(&q, object);
	sql_text(&q, u->name);
	sql_int_or_null(&q, u->has_size, (int64_t)u->size);
	if (u->has_digest)
		sql_digest(&q, &u->digest);
	else
		sql_null(&q);
	sql_text(&q, u->by);
	sql_int(&q, u->created);
	sql_int(&q, u->track_changed);
	return sql_insert(&q, &u->id);
}

int store_upload_open(struct store *st, struct upload *u, struct err *e)
{
	struct sql q;
	int64_t object = 0, n = 0, bytes = 0;
	uint8_t name[16];

	if (upload_count(st, &n, &bytes, e) != 0)
		return -1;
	if (n >= UPLOADS_MAX)
		return err_set(e, ERR_TOO_MANY, "%d uploads are open already", UPLOADS_MAX);
	if (u->has_size && u->size > INT64_MAX)
		return err_set(e, ERR_TOO_LARGE, "the declared size is too large");
	random_bytes(name, sizeof(name));
	text_hex(u->name, name, sizeof(name));
	u->offset = 0;
	sql_begin(&q, st, STMT_OBJECT_STAGE, e);
	if (sql_insert(&q, &object) != 0 || upload_insert(st, u, object, e) != 0)
		return -1;
	return store_images_commit(st, e);
}
