/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store_util.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "tracker/hash.h"

void bed_open(struct bed *b)
{
	struct store_options o = { .dir = b->dir, .cache_bytes = 1 << 20 };

	ck_assert_msg(store_open(&o, &b->st, &b->e) == 0, "%s", b->e.text);
	store_set_hash(b->st, &tracker_hash);
}

void bed_make(struct bed *b)
{
	*b = (struct bed){ 0 };
	ck_assert_int_eq(text_copy(b->dir, sizeof(b->dir), "/tmp/fettle-store-XXXXXX"), 0);
	ck_assert_ptr_nonnull(mkdtemp(b->dir));
	bed_open(b);
}

void bed_close(struct bed *b)
{
	store_close(b->st);
	b->st = NULL;
}

static void remove_all(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *x;

	while (d && (x = readdir(d)))
		if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0 &&
		    unlinkat(fd, x->d_name, 0) != 0)
			remove_all(fd, x->d_name);
	if (d)
		closedir(d);
	unlinkat(at, name, AT_REMOVEDIR);
}

void bed_remove(struct bed *b)
{
	bed_close(b);
	remove_all(AT_FDCWD, b->dir);
}

void bed_path(const struct bed *b, char *dst, size_t cap, const char *file)
{
	ck_assert_int_eq(text_format(dst, cap, "%s/%s", b->dir, file), 0);
}

void bed_sql(const struct bed *b, const char *file, const char *sql)
{
	char path[128];
	sqlite3 *db = NULL;

	bed_path(b, path, sizeof(path), file);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
		      sqlite3_errmsg(db));
	sqlite3_close(db);
}

unsigned util_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

struct digest digest_of(const char *text)
{
	struct digest d;

	ck_assert_int_eq(sha256_once(slice_str(text), &d), 0);
	return d;
}

int64_t make_device(struct store *st, const char *id)
{
	struct device d = { .mode = MODE_CLIENT, .created = 1, .changed = 1, .etag = 1 };
	struct err e = { 0 };

	ck_assert_int_eq(text_copy(d.id, sizeof(d.id), id), 0);
	ck_assert_msg(store_device_add(st, &d, &e) == 0, "%s", e.text);
	return d.dev;
}

int64_t make_release(struct store *st, const char *name, uint64_t sequence)
{
	struct manifest m = { .format = "suit", .sequence = sequence, .version = "1.0" };
	struct release r = { .sequence = sequence, .version = "1.0", .outage_s = -1, .etag = 1 };
	struct slice bytes = slice_str(name);
	struct err e = { 0 };

	m.digest = m.identity = digest_of(name);
	m.size = (uint32_t)bytes.n;
	ck_assert_msg(store_manifest_add(st, &m, NULL, 0, bytes, &e) >= 0, "%s", e.text);
	r.manifest = m.digest;
	ck_assert_int_eq(text_copy(r.name, sizeof(r.name), name), 0);
	ck_assert_msg(store_release_add(st, &r, &e) == 0, "%s", e.text);
	return r.id;
}

int64_t make_rollout(struct store *st, const char *name, int64_t release, int64_t budget)
{
	struct rollout r = { .release = release,
			     .state = ROLLOUT_RUNNING,
			     .budget = budget,
			     .target = "all",
			     .etag = 1 };
	struct err e = { 0 };

	ck_assert_int_eq(text_copy(r.name, sizeof(r.name), name), 0);
	ck_assert_msg(store_rollout_add(st, &r, NULL, 0, &e) == 0, "%s", e.text);
	return r.id;
}

struct update make_update(struct store *st, int64_t dev, int64_t rollout, int64_t release)
{
	struct update u = { .dev = dev,
			    .rollout = rollout,
			    .release = release,
			    .attempt = 1,
			    .urgency = URGENCY_NORMAL };
	struct err e = { 0 };

	ck_assert_msg(store_update_add(st, &u, &e) == 0, "%s", e.text);
	return u;
}
