/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/doc.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

static bool fail(struct doc_reader *r, const char *key, const char *what)
{
	if (!r->failed)
		err_set(r->e, ERR_INVALID, "%s: %s", key, what);
	r->failed = true;
	return false;
}

void doc_read_init(struct doc_reader *r, const struct doc *map, struct err *e)
{
	*r = (struct doc_reader){ .d = map, .e = e };
	if (!map || map->type != DOC_MAP) {
		err_set(e, ERR_INVALID, "a map is expected here");
		r->failed = true;
	}
}

/* The member, or NULL when absent; null says the same as leaving it out. */
static const struct doc *member(const struct doc_reader *r, const char *key)
{
	const struct doc *d = r->failed ? NULL : doc_get(r->d, key);

	return d && d->type != DOC_NULL ? d : NULL;
}

static bool need(struct doc_reader *r, const char *key)
{
	return member(r, key) || fail(r, key, "is missing");
}

bool doc_opt_text(struct doc_reader *r, const char *key, char *dst, size_t cap)
{
	const struct doc *d = member(r, key);

	if (!d)
		return false;
	if (d->type != DOC_TEXT)
		return fail(r, key, "must be text");
	if (d->v.s.n >= cap) {
		if (!r->failed)
			err_set(r->e, ERR_INVALID, "%s: longer than %zu bytes", key, cap - 1);
		r->failed = true;
		return false;
	}
	if (d->v.s.n > 0 && memchr(d->v.s.p, 0, d->v.s.n))
		return fail(r, key, "must not contain NUL");
	return text_copy_slice(dst, cap, d->v.s) == 0;
}

bool doc_opt_words(struct doc_reader *r, const char *key, char *dst, size_t cap)
{
	const struct doc *d = member(r, key);

	if (!d || d->type != DOC_TEXT || d->v.s.n < cap)
		return doc_opt_text(r, key, dst, cap);
	size_t n = cap - 1;
	while (n > 0 && (d->v.s.p[n] & 0xc0) == 0x80)
		n--;
	if (memchr(d->v.s.p, 0, d->v.s.n))
		return fail(r, key, "must not contain NUL");
	return text_copy_slice(dst, cap, slice_of(d->v.s.p, n)) == 0;
}

bool doc_need_text(struct doc_reader *r, const char *key, char *dst, size_t cap)
{
	return need(r, key) && doc_opt_text(r, key, dst, cap);
}

bool doc_opt_int(struct doc_reader *r, const char *key, int64_t min, int64_t max, int64_t *out)
{
	const struct doc *d = member(r, key);
	int64_t v;

	if (!d)
		return false;
	if (d->type == DOC_INT)
		v = d->v.i;
	else if (d->type == DOC_U64)
		v = d->v.u > INT64_MAX ? INT64_MAX : (int64_t)d->v.u;
	else
		return fail(r, key, "must be a whole number");
	/* a value over INT64_MAX is out of range even where max is INT64_MAX */
	if (v < min || v > max || (d->type == DOC_U64 && d->v.u > INT64_MAX)) {
		err_set(r->e, ERR_INVALID, "%s: must be from %" PRId64 " to %" PRId64, key, min,
			max);
		r->failed = true;
		return false;
	}
	*out = v;
	return true;
}

bool doc_need_int(struct doc_reader *r, const char *key, int64_t min, int64_t max, int64_t *out)
{
	return need(r, key) && doc_opt_int(r, key, min, max, out);
}

bool doc_opt_u64(struct doc_reader *r, const char *key, uint64_t *out)
{
	const struct doc *d = member(r, key);

	if (!d)
		return false;
	if (d->type == DOC_U64)
		*out = d->v.u;
	else if (d->type == DOC_INT && d->v.i >= 0)
		*out = (uint64_t)d->v.i;
	else if (d->type != DOC_TEXT || text_u64(d->v.s, out) != 0)
		return fail(r, key, "must be an unsigned number, or its decimal digits as text");
	return true;
}

bool doc_opt_bool(struct doc_reader *r, const char *key, bool *out)
{
	const struct doc *d = member(r, key);

	if (!d)
		return false;
	if (d->type != DOC_BOOL)
		return fail(r, key, "must be true or false");
	*out = d->v.b;
	return true;
}

bool doc_opt_bytes(struct doc_reader *r, const char *key, uint8_t *dst, size_t cap, size_t *n)
{
	const struct doc *d = member(r, key);

	if (!d)
		return false;
	if (d->type != DOC_BYTES && d->type != DOC_TEXT)
		return fail(r, key, "must be bytes, or hex digits as text");
	size_t size = d->type == DOC_BYTES ? d->v.s.n : d->v.s.n / 2;
	if (size > cap)
		return fail(r, key, "has too many bytes");
	if (d->type == DOC_TEXT && text_unhex(dst, size, d->v.s) != 0)
		return fail(r, key, "must be bytes, or hex digits as text");
	if (d->type == DOC_BYTES && size > 0)
		memcpy(dst, d->v.s.p, size);
	*n = size;
	return true;
}

bool doc_opt_digest(struct doc_reader *r, const char *key, struct digest *out)
{
	struct digest v;
	size_t n;

	if (!member(r, key))
		return false;
	if (!doc_opt_bytes(r, key, v.b, sizeof(v.b), &n))
		return false;
	if (n != DIGEST_SIZE)
		return fail(r, key, "must be a SHA-256 digest of 32 bytes");
	*out = v;
	return true;
}

bool doc_need_digest(struct doc_reader *r, const char *key, struct digest *out)
{
	return need(r, key) && doc_opt_digest(r, key, out);
}

bool doc_opt_uuid(struct doc_reader *r, const char *key, struct uuid *out)
{
	const struct doc *d = member(r, key);

	if (!d)
		return false;
	if (d->type == DOC_BYTES && d->v.s.n == UUID_SIZE) {
		memcpy(out->b, d->v.s.p, UUID_SIZE);
		out->set = true;
		return true;
	}
	if (d->type != DOC_TEXT || uuid_parse(out, d->v.s) != 0)
		return fail(r, key, "must be a UUID");
	return true;
}

const struct doc *doc_opt_map(struct doc_reader *r, const char *key)
{
	const struct doc *d = member(r, key);

	if (d && d->type != DOC_MAP) {
		fail(r, key, "must be a map");
		return NULL;
	}
	return d;
}

const struct doc *doc_opt_array(struct doc_reader *r, const char *key)
{
	const struct doc *d = member(r, key);

	if (d && d->type != DOC_ARRAY) {
		fail(r, key, "must be an array");
		return NULL;
	}
	return d;
}

static bool listed(struct slice key, const char *const *names)
{
	for (; *names; names++)
		if (slice_eq_str(key, *names))
			return true;
	return false;
}

void doc_only(struct doc_reader *r, const char *const *names)
{
	if (r->failed)
		return;
	for (const struct doc *m = r->d->v.c.first; m; m = m->next) {
		if (listed(m->key, names))
			continue;
		err_set(r->e, ERR_INVALID, "unknown member \"%.*s\"",
			m->key.n < 64 ? (int)m->key.n : 64, m->key.p ? (const char *)m->key.p : "");
		r->failed = true;
		return;
	}
}

int doc_read_end(struct doc_reader *r)
{
	return r->failed ? -1 : 0;
}
