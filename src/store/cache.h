/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_CACHE_H
#define FETTLE_STORE_CACHE_H

#include "store/internal.h"

/*
 * dir/cache: one file per object, named by its digest, that descriptors are
 * handed out of. Nothing in it is needed: any file may go at any time and is
 * made again. What a previous run left is checked before it is used.
 */
struct cache_entry {
	struct digest digest;
	int64_t size;
	int64_t used; /* wall ms */
	bool verified; /* by this process */
};

/* One object on its way into the cache, or being checked. */
struct making {
	bool active;
	bool checking; /* an existing file, not a new one */
	bool named; /* no O_TMPFILE here: the file has a name already */
	struct digest digest;
	struct object object;
	uint64_t done;
	void *h;
	int fd;
};

struct cache {
	int fd; /* the directory */
	struct cache_entry *entries;
	size_t n, cap;
	int64_t total;
	struct making making;
};

#define CACHE_ENTRIES 4096
#define CACHE_TEMPORARY "new"

struct cache *store_cache(struct store *st, struct err *e); /* loaded at first use; NULL: e */
struct cache_entry *cache_find(struct cache *c, const struct digest *d);
struct cache_entry *cache_put(struct cache *c, const struct digest *d, int64_t size, bool verified);
void cache_remove(struct cache *c, const struct digest *d);
/* Remove the oldest-used until size more bytes fit, at most limit files; how many went. */
int cache_room(struct store *st, struct cache *c, int64_t size, int limit);

#endif
