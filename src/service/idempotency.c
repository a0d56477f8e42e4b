/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "codec/docfmt.h"
#include "service/internal.h"

#define KEY_MAX 128

/*
 * What is kept for a repeat is "location\nbody", the body in the asker's media
 * type of then; another Accept makes it another request.
 */
static int request_digest(const struct call *c, struct digest *out)
{
	char head[32 + PATH_MAX_LEN];
	struct sha256 *h = sha256_new();
	int rc = -1;

	if (!h ||
	    text_format(head, sizeof(head), "%d %d ", (int)c->rq->method, (int)c->rq->accept) != 0)
		goto out;
	if (sha256_add(h, slice_str(head)) || sha256_add(h, c->rq->path) ||
	    sha256_add(h, slice_str("?")) || sha256_add(h, c->rq->query) ||
	    sha256_add(h, slice_of("", 1)) || sha256_add(h, c->rq->body))
		goto out;
	rc = sha256_end(h, out);
out:
	sha256_free(h);
	return rc;
}

static bool wanted(const struct call *c)
{
	return c->rq->method == METHOD_POST && c->rq->idempotency_key.n > 0 &&
	       c->who.role > ROLE_DEVICE;
}

/* A token's name, or a device's id, may be given again: its heir was answered nothing. */
void idempotency_who(const struct call *c, char dst[IDEMPOTENCY_WHO])
{
	int64_t row = c->who.token ? c->who.token : c->who.dev;

	if (row != 0)
		(void)text_format(dst, IDEMPOTENCY_WHO, "%s#%" PRId64, c->who.name, row);
	else
		(void)text_copy(dst, IDEMPOTENCY_WHO, c->who.name);
}

static int replay(struct call *c, uint16_t status, struct slice kept, struct err *e)
{
	const uint8_t *end = kept.n ? memchr(kept.p, '\n', kept.n) : NULL;
	size_t n = end ? (size_t)(end - kept.p) : 0;
	enum media m;

	if (!end ||
	    text_copy_slice(c->rs->location, sizeof(c->rs->location), slice_of(kept.p, n)) != 0)
		return err_set(e, ERR_INTERNAL, "the kept answer is damaged");
	c->rs->status = status;
	c->rs->body = slice_of(kept.p + n + 1, kept.n - n - 1);
	if (c->rs->body.n == 0)
		return 1;
	if (reply_media(c, &m, e) != 0)
		return -1;
	c->rs->media = m;
	return 1;
}

int idempotency_find(struct call *c, struct digest *key, struct err *e)
{
	char who[IDEMPOTENCY_WHO];
	struct slice kept;
	uint16_t status;

	if (!wanted(c))
		return 0;
	if (c->rq->idempotency_key.n > KEY_MAX)
		return err_set(e, ERR_INVALID, "Idempotency-Key: longer than %d bytes", KEY_MAX);
	if (request_digest(c, key) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	idempotency_who(c, who);
	int rc = store_idempotency_get(c->tk.st, who, c->rq->idempotency_key, key, &status, c->tk.a,
				       &kept, e);
	return rc == 1 ? replay(c, status, kept, e) : rc;
}

/* A secret is shown once: what is kept of its answer has null in its place. */
static int without_secret(struct call *c, struct buf *out, struct err *e)
{
	struct doc d = *c->answer;
	struct doc *prev = NULL;
	enum media m;

	d.v.c.first = d.v.c.last = NULL;
	for (const struct doc *i = c->answer->v.c.first; i; i = i->next) {
		struct doc *copy = arena_copy(c->tk.a, i, sizeof(*i));
		if (!copy)
			return err_set(e, ERR_NO_MEMORY, "no memory for the answer");
		copy->next = NULL;
		if (slice_eq_str(copy->key, "token"))
			copy->type = DOC_NULL;
		if (prev)
			prev->next = copy;
		else
			d.v.c.first = copy;
		d.v.c.last = prev = copy;
	}
	if (reply_media(c, &m, e) != 0)
		return -1;
	return docfmt_encode(m, &d, out, e);
}

int idempotency_keep(struct call *c, const struct digest *key, struct err *e)
{
	struct buf b = BUF_INIT(BODY_MAX_LEN);
	char who[IDEMPOTENCY_WHO];
	int rc = -1;

	if (!wanted(c) || c->rs->status < 200 || c->rs->status > 299)
		return 0;
	buf_add_str(&b, c->rs->location);
	buf_add_u8(&b, '\n');
	if ((c->route->flags & ROUTE_SECRET) && c->answer) {
		if (without_secret(c, &b, e) != 0)
			goto out;
	} else {
		buf_add_slice(&b, c->rs->body);
	}
	if (b.failed) {
		err_set(e, ERR_TOO_LARGE, "an answer this large cannot be kept for its key");
		goto out;
	}
	idempotency_who(c, who);
	rc = store_idempotency_put(c->tk.st, who, c->rq->idempotency_key, key, c->rs->status,
				   buf_slice(&b), c->tk.now.wall, e);
out:
	buf_free(&b);
	return rc;
}
