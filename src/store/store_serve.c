/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/cache.h"
#include "store/sql.h"

/* Objects into the cache, in slices, and descriptors out of it. */

static int io_error(struct err *e, const char *what)
{
	int was = errno;

	return err_set(e, was == ENOSPC || was == EDQUOT ? ERR_FULL : ERR_IO,
		       "cache: cannot %s: %s", what, strerror(was));
}

static void making_stop(struct store *st, struct cache *c)
{
	struct making *m = &c->making;

	if (m->h)
		st->hash.drop(m->h);
	if (m->fd >= 0)
		close(m->fd);
	if (m->named)
		unlinkat(c->fd, CACHE_TEMPORARY, 0);
	*m = (struct making){ .fd = -1 };
}

/* A file without a name until it is whole; where that is not to be had, one with a name apart. */
static int temporary(struct cache *c, bool *named)
{
	int fd = openat(c->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	*named = false;
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	unlinkat(c->fd, CACHE_TEMPORARY, 0);
	*named = true;
	return openat(c->fd, CACHE_TEMPORARY, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
}

static int open_cached(struct cache *c, const struct digest *d, uint64_t size)
{
	char name[DIGEST_TEXT];
	struct stat sb;

	digest_text(name, d);
	int fd = openat(c->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	if (fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && (uint64_t)sb.st_size == size)
		return fd;
	close(fd);
	return -1;
}

static int start(struct store *st, struct cache *c, const struct digest *d, struct err *e)
{
	struct making *m = &c->making;
	int found = store_object_find(st, d, &m->object, e);

	if (found != 1)
		return found < 0
			       ? -1
			       : err_set(e, ERR_NOT_FOUND, "the bytes of this object are not here");
	m->digest = *d;
	m->done = 0;
	m->fd = open_cached(c, d, m->object.size);
	m->checking = m->fd >= 0;
	if (!m->checking) {
		cache_remove(c, d);
		cache_room(st, c, (int64_t)m->object.size, CACHE_ENTRIES);
		m->fd = temporary(c, &m->named);
		if (m->fd < 0)
			return io_error(e, "make a file");
	}
	m->h = st->hash.begin();
	m->active = m->h != NULL;
	if (m->active)
		return 0;
	making_stop(st, c);
	return err_set(e, ERR_NO_MEMORY, "no memory for a hash");
}

static int write_all(int fd, struct slice s, struct err *e)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return io_error(e, "write");
		s = slice_of(s.p + n, s.n - (size_t)n);
	}
	return 0;
}

/* Row by row out of the database. */
static int copy_piece(struct store *st, struct making *m, struct err *e)
{
	uint64_t left = m->object.size - m->done;
	struct slice bytes;
	struct sql q;
	int result = -1;

	sql_begin(&q, st, STMT_CHUNK_GET, e);
	sql_int(&q, store_chunk_id(m->object.id, m->done / STORE_CHUNK));
	if (sql_row(&q) == 1) {
		bytes = sql_get_slice(&q);
		if (bytes.n > left)
			bytes.n = (size_t)left;
		m->done += bytes.n;
		if (bytes.n == 0 || (bytes.n < STORE_CHUNK && m->done != m->object.size))
			err_set(e, ERR_IO, "images.db: an object is not whole");
		else if (st->hash.add(m->h, bytes) != 0)
			err_set(e, ERR_INTERNAL, "cannot hash");
		else
			result = write_all(m->fd, bytes, e);
	} else if (!q.failed) {
		err_set(e, ERR_IO, "images.db: an object is not whole");
	}
	return sql_end(&q) == 0 ? result : -1;
}

static int check_piece(struct store *st, struct making *m, struct err *e)
{
	uint8_t bytes[STORE_CHUNK];
	ssize_t n = pread(m->fd, bytes, sizeof(bytes), (off_t)m->done);

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return io_error(e, "read");
	m->done += (uint64_t)n;
	return st->hash.add(m->h, slice_of(bytes, (size_t)n)) == 0
		       ? 0
		       : err_set(e, ERR_INTERNAL, "cannot hash");
}

static int give_name(struct cache *c, struct making *m, struct err *e)
{
	char name[DIGEST_TEXT], self[32];
	int rc;

	digest_text(name, &m->digest);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", m->fd);
	if (fchmod(m->fd, 0400) != 0)
		return io_error(e, "seal a file");
	if (unlinkat(c->fd, name, 0) != 0 && errno != ENOENT)
		return io_error(e, "replace a file");
	rc = m->named ? renameat(c->fd, CACHE_TEMPORARY, c->fd, name)
		      : linkat(AT_FDCWD, self, c->fd, name, AT_SYMLINK_FOLLOW);
	if (rc != 0)
		return io_error(e, "name a file");
	m->named = false;
	return 0;
}

/* Whole: 1 it is in the cache, 0 the file was damaged and is to be made again, -1. */
static int settle(struct store *st, struct cache *c, struct err *e)
{
	struct making *m = &c->making;
	struct digest got;
	void *h = m->h;
	int result = -1;

	m->h = NULL;
	if (st->hash.end(h, &got) != 0)
		err_set(e, ERR_INTERNAL, "cannot hash");
	else if (digest_eq(&got, &m->digest))
		result = m->checking || give_name(c, m, e) == 0 ? 1 : -1;
	else if (m->checking)
		result = 0;
	else
		err_set(e, ERR_IO, "images.db: an object's bytes do not have its digest");
	if (result == 1 && !cache_put(c, &m->digest, (int64_t)m->object.size, true))
		result = err_set(e, ERR_NO_MEMORY, "no memory for the cache");
	if (result == 0)
		cache_remove(c, &m->digest);
	making_stop(st, c);
	return result;
}

/* Go on with what is being made: 1 it is done, 0 out of time, -1. */
static int advance(struct store *st, struct cache *c, int64_t until, struct err *e)
{
	struct making *m = &c->making;

	for (;;) {
		if (m->done == m->object.size) {
			struct digest d = m->digest;
			int settled = settle(st, c, e);
			if (settled != 0)
				return settled;
			if (start(st, c, &d, e) != 0)
				return -1;
		} else if ((m->checking ? check_piece(st, m, e) : copy_piece(st, m, e)) != 0) {
			making_stop(st, c);
			return -1;
		}
		if (clock_mono_us() >= until && m->done != m->object.size)
			return 0;
	}
}

/* 1 ready, 0 not yet, -1. */
static int prepare(struct store *st, struct cache *c, const struct digest *d, uint64_t size,
		   int64_t until, struct err *e)
{
	struct cache_entry *x = cache_find(c, d);

	if (x && x->verified && (uint64_t)x->size == size)
		return 1;
	/*
	 * One at a time, and what was begun is finished first, whoever asked
	 * for it: two askers in turn would else undo each other's work. Nor is
	 * the next begun before that asker had a chance to open its own.
	 */
	if (c->making.active && !digest_eq(&c->making.digest, d)) {
		advance(st, c, until, NULL);
		if (until != INT64_MAX)
			return 0;
	}
	if (!c->making.active && start(st, c, d, e) != 0)
		return -1;
	return advance(st, c, until, e);
}

static int known(struct store *st, const struct digest *d, uint64_t *size, struct err *e)
{
	int found = store_object_size(st, d, size, e);

	if (found == 0)
		return err_set(e, ERR_NOT_FOUND, "no such object");
	return found < 0 ? -1 : 0;
}

int store_object_prepare(struct store *st, const struct digest *d, int64_t budget_us, struct err *e)
{
	struct cache *c = store_cache(st, e);
	uint64_t size = 0;

	if (!c || known(st, d, &size, e) != 0)
		return -1;
	return prepare(st, c, d, size, clock_mono_us() + budget_us, e);
}

int store_object_open(struct store *st, const struct digest *d, int *fd, uint64_t *size,
		      struct err *e)
{
	struct cache *c = store_cache(st, e);

	if (!c || known(st, d, size, e) != 0)
		return -1;
	/* a file that went or shrank since it was checked is made once more */
	for (int tries = 0; tries < 2; tries++) {
		if (prepare(st, c, d, *size, INT64_MAX, e) != 1)
			return -1;
		*fd = open_cached(c, d, *size);
		if (*fd >= 0) {
			cache_find(c, d)->used = clock_wall_ms();
			futimens(*fd, NULL);
			return 0;
		}
		cache_remove(c, d);
	}
	return err_set(e, ERR_IO, "cache: a file does not stay");
}
