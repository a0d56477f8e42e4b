/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"

#define HASH_STEP 65536

int files_open(struct files *f, const char *dir, struct err *e)
{
	memset(f, 0, sizeof(*f));
	f->dir = dir;
	f->fd = -1;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set(e, ERR_IO, "%s: %s", dir, strerror(errno));
	f->hash = sha256_new();
	return f->hash ? 0 : err_set(e, ERR_NO_MEMORY, "SHA-256");
}

static void close_part(struct files *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
}

void files_close(struct files *f)
{
	close_part(f);
	sha256_free(f->hash);
	f->hash = NULL;
}

static int part_path(char *dst, size_t cap, const char *dir, const struct digest *d)
{
	char hex[DIGEST_TEXT];

	digest_text(hex, d);
	return text_format(dst, cap, "%s/part-%.32s.bin", dir, hex);
}

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static int firmware_path(char *dst, size_t cap, const char *dir, const char *component)
{
	char name[3 * NAME_MAX_LEN + 1];
	size_t n = 0;

	/* others as %2E: two components never share a file */
	for (const char *c = component; *c && n + 3 < sizeof(name); c++) {
		name[n] = *c;
		if (plain(*c))
			n++;
		else if (text_format(name + n, sizeof(name) - n, "%%%02X", (unsigned char)*c) == 0)
			n += 3;
	}
	name[n] = 0;
	return text_format(dst, cap, "%s/firmware-%s.bin", dir, name);
}

/* Hash what an earlier life left. */
static int rehash(struct files *f, uint64_t *n)
{
	uint8_t bytes[HASH_STEP];
	ssize_t got;

	*n = 0;
	while ((got = read(f->fd, bytes, sizeof(bytes))) > 0) {
		if (sha256_add(f->hash, slice_of(bytes, (size_t)got)) != 0)
			return -1;
		*n += (uint64_t)got;
	}
	return got < 0 ? -1 : 0;
}

/* All but its last byte, where no size says when it is whole: what follows tells that it ends. */
static int leave_one(struct files *f)
{
	off_t n = lseek(f->fd, 0, SEEK_END);

	if (n < 0 || (n > 0 && ftruncate(f->fd, n - 1) != 0))
		return -1;
	return lseek(f->fd, 0, SEEK_SET) < 0 ? -1 : 0;
}

static int measure_room(struct files *f)
{
	struct statvfs v;
	uint64_t free;

	if (fstatvfs(f->fd, &v) != 0)
		return -1;
	if (__builtin_mul_overflow((uint64_t)v.f_bavail, (uint64_t)v.f_frsize, &free))
		free = UINT64_MAX;
	f->room = free > FILES_RESERVE ? free - FILES_RESERVE : 0;
	return 0;
}

static int no_room(const struct files *f, uint64_t n, struct err *e)
{
	return err_set(e, ERR_FULL, "%s: %llu bytes more, and there is room for %llu", f->path,
		       (unsigned long long)n, (unsigned long long)f->room);
}

static int files_begin(void *ctx, const struct agent_image *i, uint64_t *offset, struct err *e)
{
	struct files *f = ctx;
	struct digest ignored;

	close_part(f);
	f->want = i->digest;
	if (sha256_end(f->hash, &ignored) != 0 || /* what an image before left in it */
	    part_path(f->path, sizeof(f->path), f->dir, &i->digest) != 0)
		return err_set(e, ERR_INVALID, "the state folder's name is too long");
	f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->fd < 0 || (!i->has_size && leave_one(f) != 0) || rehash(f, offset) != 0)
		return err_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
	/* longer than it can be: begin again */
	if (i->has_size && *offset > i->size) {
		*offset = 0;
		if (ftruncate(f->fd, 0) != 0 || lseek(f->fd, 0, SEEK_SET) != 0 ||
		    sha256_end(f->hash, &ignored) != 0)
			return err_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
	}
	if (measure_room(f) != 0)
		return err_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
	if (i->has_size && i->size - *offset > f->room)
		return no_room(f, i->size - *offset, e);
	return 0;
}

static int files_add(void *ctx, struct slice s, struct err *e)
{
	struct files *f = ctx;

	if (s.n > f->room)
		return no_room(f, s.n, e);
	f->room -= s.n;
	if (sha256_add(f->hash, s) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256");
	while (s.n > 0) {
		ssize_t n = write(f->fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_FULL, "%s: %s", f->path, strerror(errno));
		s = slice_of(s.p + n, s.n - (size_t)n);
	}
	return 0;
}

static int files_end(void *ctx, struct digest *out, struct err *e)
{
	struct files *f = ctx;
	int rc = fsync(f->fd);

	if (rc != 0)
		err_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
	close_part(f);
	if (sha256_end(f->hash, out) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256");
	/* wrong bytes are not gone on with */
	if (!digest_eq(out, &f->want))
		(void)unlink(f->path);
	return rc;
}

struct agent_sink files_sink(struct files *f)
{
	return (struct agent_sink){
		.ctx = f, .begin = files_begin, .add = files_add, .end = files_end
	};
}

static void put_component(struct device_state *s, const struct component *c)
{
	int i = 0;

	while (i < s->n_components && strcmp(s->components[i].name, c->name) != 0 &&
	       !(s->n_components == 1 && !s->components[0].name[0]))
		i++;
	if (i == COMPONENTS_MAX)
		return;
	s->components[i] = *c;
	if (i == s->n_components)
		s->n_components++;
}

/* Whole and right, or not there: what stands at path is not taken on trust. */
static bool holds(const char *path, const struct digest *want)
{
	struct files f = { .hash = sha256_new(), .fd = open(path, O_RDONLY | O_CLOEXEC) };
	struct digest is;
	uint64_t n;
	bool same = f.hash && f.fd >= 0 && rehash(&f, &n) == 0 && sha256_end(f.hash, &is) == 0 &&
		    digest_eq(&is, want);

	files_close(&f);
	return same;
}

/* Another component takes the same image after this one: each gets a name of its own for it. */
static bool wanted_again(const struct device_state *s, int i)
{
	for (int k = i + 1; k < s->n_installing; k++)
		if (digest_eq(&s->installing[k].digest, &s->installing[i].digest))
			return true;
	return false;
}

static int put_in_place(const char *dir, const struct device_state *s, int i, struct err *e)
{
	const struct component *c = &s->installing[i];
	char from[512], to[512], step[520];

	if (part_path(from, sizeof(from), dir, &c->digest) != 0 ||
	    firmware_path(to, sizeof(to), dir, c->name) != 0 ||
	    text_format(step, sizeof(step), "%s.new", to) != 0)
		return err_set(e, ERR_INVALID, "the state folder's name is too long");
	if (wanted_again(s, i)) {
		(void)unlink(step); /* of a crash */
		if (link(from, step) == 0 && rename(step, to) == 0)
			return 0;
	} else if (rename(from, to) == 0) {
		return 0;
	}
	/* no part: it was in its place before the crash, or an older image is */
	if (errno == ENOENT && holds(to, &c->digest))
		return 0;
	return err_set(e, ERR_IO, "%s: the image is not there", to);
}

int files_recover(const char *dir, struct device_state *s, struct err *e)
{
	for (int i = 0; i < s->n_installing; i++) {
		if (put_in_place(dir, s, i, e) != 0)
			return -1;
		put_component(s, &s->installing[i]);
	}
	if (s->n_installing == 0)
		return 0;
	s->n_installing = 0;
	return dir_sync(dir, e) != 0 ? -1 : state_save(dir, s, e);
}

int files_install(const char *dir, struct device_state *s, const struct agent_offer *o,
		  struct err *e)
{
	struct err again;

	s->n_installing = 0;
	for (int i = 0; i < o->n_images; i++) {
		struct component *c = &s->installing[s->n_installing++];

		*c = (struct component){ .has_sequence = true,
					 .sequence = o->sequence,
					 .has_digest = true,
					 .digest = o->images[i].digest };
		memcpy(c->name, o->images[i].component, sizeof(c->name));
		memcpy(c->version, o->version, sizeof(c->version));
	}
	s->confirm = o->update;
	s->rolled_back = false;
	if (state_save(dir, s, e) == 0 && files_recover(dir, s, e) == 0)
		return 0;
	/* it is reported as failed: the next start must not go on with it */
	s->n_installing = 0;
	s->confirm = 0;
	return state_save(dir, s, &again) != 0 ? err_prefix(e, "%s", again.text) : -1;
}
