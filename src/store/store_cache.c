/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cache_entry *cache_find(struct cache *c, const struct digest *d)
{
	for (size_t i = 0; i < c->n; i++)
		if (digest_eq(&c->entries[i].digest, d))
			return &c->entries[i];
	return NULL;
}

static void entry_drop(struct cache *c, struct cache_entry *x)
{
	char name[DIGEST_TEXT];

	digest_text(name, &x->digest);
	unlinkat(c->fd, name, 0);
	c->total -= x->size;
	*x = c->entries[--c->n];
}

void cache_remove(struct cache *c, const struct digest *d)
{
	struct cache_entry *x = cache_find(c, d);

	if (x)
		entry_drop(c, x);
}

static struct cache_entry *oldest(struct cache *c)
{
	struct cache_entry *x = c->entries;

	for (size_t i = 1; i < c->n; i++)
		if (c->entries[i].used < x->used)
			x = &c->entries[i];
	return x;
}

int cache_room(struct store *st, struct cache *c, int64_t size, int limit)
{
	int gone = 0;

	while (c->n > 0 && gone < limit &&
	       (c->total > st->cache_bytes - size || c->n >= CACHE_ENTRIES)) {
		entry_drop(c, oldest(c));
		gone++;
	}
	return gone;
}

static bool grow(struct cache *c)
{
	size_t cap = c->cap ? c->cap * 2 : 64;
	struct cache_entry *p;

	if (c->n < c->cap)
		return true;
	p = realloc(c->entries, cap * sizeof(*p));
	if (!p)
		return false;
	c->entries = p;
	c->cap = cap;
	return true;
}

struct cache_entry *cache_put(struct cache *c, const struct digest *d, int64_t size, bool verified)
{
	struct cache_entry *x = cache_find(c, d);

	if (x)
		c->total -= x->size;
	else if (!grow(c))
		return NULL;
	else
		x = &c->entries[c->n++];
	*x = (struct cache_entry){
		.digest = *d, .size = size, .used = clock_wall_ms(), .verified = verified
	};
	c->total += size;
	return x;
}

static void load_file(struct cache *c, const char *name)
{
	struct stat sb;
	struct digest d;
	struct cache_entry *x;

	if (digest_parse(&d, slice_str(name)) != 0 ||
	    fstatat(c->fd, name, &sb, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(sb.st_mode) ||
	    c->n >= CACHE_ENTRIES || !(x = cache_put(c, &d, sb.st_size, false))) {
		unlinkat(c->fd, name, 0);
		return;
	}
	x->used = (int64_t)sb.st_mtim.tv_sec * 1000 + sb.st_mtim.tv_nsec / 1000000;
}

static int load(struct cache *c, struct err *e)
{
	int fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return err_set(e, ERR_IO, "cannot read the cache: %s", strerror(errno));
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			load_file(c, entry->d_name);
	closedir(dir);
	return 0;
}

struct cache *store_cache(struct store *st, struct err *e)
{
	struct cache *c;

	if (st->cache)
		return st->cache;
	if (st->read_only || !st->hash.begin) {
		err_set(e, ERR_INTERNAL, "this store has no cache");
		return NULL;
	}
	if (mkdirat(st->dir_fd, "cache", 0700) != 0 && errno != EEXIST) {
		err_set(e, errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot make the cache: %s",
			strerror(errno));
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		err_set(e, ERR_NO_MEMORY, "no memory for the cache");
		return NULL;
	}
	c->making.fd = -1;
	c->fd = openat(st->dir_fd, "cache", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	st->cache = c;
	if (c->fd < 0)
		err_set(e, ERR_IO, "cannot open the cache: %s", strerror(errno));
	else if (load(c, e) == 0)
		return c;
	store_cache_close(st);
	return NULL;
}

void store_cache_close(struct store *st)
{
	struct cache *c = st->cache;

	if (!c)
		return;
	if (c->making.h)
		st->hash.drop(c->making.h);
	if (c->making.fd >= 0)
		close(c->making.fd);
	if (c->fd >= 0)
		close(c->fd);
	free(c->entries);
	free(c);
	st->cache = NULL;
}

void store_cache_forget(struct store *st, const struct digest *d)
{
	struct cache *c = store_cache(st, NULL);

	if (c)
		cache_remove(c, d);
}

int store_cache_trim(struct store *st, int limit, struct err *e)
{
	struct cache *c = store_cache(st, e);

	return c ? cache_room(st, c, 0, limit) : -1;
}
