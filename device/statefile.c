/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/docfmt.h"

#define STATE_NAME "state.json"
#define BOOT_BITS 0x3fffffffffffULL /* stays below 2^53 for JSON readers of others */

static void put_components(struct arena *a, struct doc *d, const char *key,
			   const struct component *c, uint8_t n)
{
	struct doc *list = doc_array(a, d, key);

	for (int i = 0; i < n; i++) {
		struct doc *one = doc_map(a, list, NULL);

		doc_add_text(a, one, "name", c[i].name);
		doc_add_text(a, one, "version", c[i].version);
		if (c[i].has_sequence)
			doc_add_u64(a, one, "sequence", c[i].sequence);
		if (c[i].has_digest)
			doc_add_digest(a, one, "digest", &c[i].digest);
	}
}

int state_encode(const struct device_state *s, struct buf *out, struct err *e)
{
	struct arena a = ARENA_INIT(64u << 10);
	struct doc *d = doc_map(&a, NULL, NULL);
	int result;

	doc_add_u64(&a, d, "boot", s->boot);
	doc_add_int(&a, d, "confirm", s->confirm);
	doc_add_bool(&a, d, "rolled_back", s->rolled_back);
	put_components(&a, d, "components", s->components, s->n_components);
	put_components(&a, d, "installing", s->installing, s->n_installing);
	result = docfmt_encode_pretty(d, out, e);
	if (result == 0 && (doc_failed(&a) || out->failed))
		result = err_set(e, ERR_NO_MEMORY, "state");
	arena_free(&a);
	return result;
}

static int read_components(struct doc_reader *r, const char *key, struct component *c, uint8_t *n)
{
	static const char *const names[] = { "name", "version", "sequence", "digest", NULL };
	const struct doc *list = doc_opt_array(r, key);

	*n = 0;
	for (const struct doc *d = list ? list->v.c.first : NULL; d; d = d->next) {
		struct doc_reader one;

		if (*n == COMPONENTS_MAX)
			return err_set(r->e, ERR_TOO_LARGE, "%s: more than %d", key,
				       COMPONENTS_MAX);
		memset(&c[*n], 0, sizeof(*c));
		doc_read_init(&one, d, r->e);
		doc_only(&one, names);
		doc_opt_text(&one, "name", c[*n].name, sizeof(c->name));
		doc_opt_text(&one, "version", c[*n].version, sizeof(c->version));
		c[*n].has_sequence = doc_opt_u64(&one, "sequence", &c[*n].sequence);
		c[*n].has_digest = doc_opt_digest(&one, "digest", &c[*n].digest);
		if (doc_read_end(&one) != 0)
			return err_prefix(r->e, "%s[%d]", key, *n);
		(*n)++;
	}
	return 0;
}

int state_decode(struct slice bytes, struct device_state *s, struct err *e)
{
	static const char *const names[] = { "boot",	   "confirm",	 "rolled_back",
					     "components", "installing", NULL };
	struct arena a = ARENA_INIT(256u << 10);
	const struct doc *d;
	struct doc_reader r;
	int result = -1;

	memset(s, 0, sizeof(*s));
	if (bytes.n > STATE_MAX)
		return err_set(e, ERR_TOO_LARGE, "state of over %d bytes", STATE_MAX);
	if (docfmt_decode(MEDIA_JSON, bytes, &a, &d, e) != 0)
		goto out;
	doc_read_init(&r, d, e);
	doc_only(&r, names);
	doc_opt_u64(&r, "boot", &s->boot);
	doc_opt_int(&r, "confirm", 0, INT64_MAX, &s->confirm);
	doc_opt_bool(&r, "rolled_back", &s->rolled_back);
	if (read_components(&r, "components", s->components, &s->n_components) == 0 &&
	    read_components(&r, "installing", s->installing, &s->n_installing) == 0)
		result = doc_read_end(&r);
	if (result == 0 && (s->boot == 0 || s->boot >= UINT64_MAX - 1))
		result = err_set(e, ERR_INVALID, "boot: is missing or out of range");
out:
	arena_free(&a);
	return result;
}

int file_read(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t part[4096];
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	while ((n = read(fd, part, sizeof(part))) > 0)
		buf_add(out, part, (size_t)n);
	(void)close(fd);
	if (n < 0)
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	if (out->failed)
		return err_set(e, ERR_TOO_LARGE, "%s: over %zu bytes", path, out->max);
	return 1;
}

int dir_sync(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);

	if (rc != 0)
		err_set(e, ERR_IO, "%s: %s", dir, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static int write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		s = slice_of(s.p + n, s.n - (size_t)n);
	}
	return fsync(fd);
}

int file_replace(const char *dir, const char *name, struct slice bytes, struct err *e)
{
	char to[PATH_MAX], from[PATH_MAX];
	int fd, rc;

	if (text_format(to, sizeof(to), "%s/%s", dir, name) != 0 ||
	    text_format(from, sizeof(from), "%s/%s.new", dir, name) != 0)
		return err_set(e, ERR_INVALID, "the state folder's name is too long");
	fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", from, strerror(errno));
	rc = write_all(fd, bytes);
	if (close(fd) != 0)
		rc = -1;
	if (rc != 0 || rename(from, to) != 0)
		return err_set(e, ERR_IO, "%s: %s", from, strerror(errno));
	return dir_sync(dir, e);
}

int state_load(const char *dir, struct device_state *s, struct err *e)
{
	struct buf b = BUF_INIT(STATE_MAX);
	char path[PATH_MAX];
	int found;

	memset(s, 0, sizeof(*s));
	if (text_format(path, sizeof(path), "%s/%s", dir, STATE_NAME) != 0)
		return err_set(e, ERR_INVALID, "the state folder's name is too long");
	found = file_read(path, &b, e);
	if (found == 1 && state_decode(buf_slice(&b), s, e) != 0)
		found = err_prefix(e, "%s", path);
	buf_free(&b);
	if (found == 0) {
		/* never one that another life of this device used */
		random_bytes(&s->boot, sizeof(s->boot));
		s->boot = (s->boot & BOOT_BITS) + 1;
	}
	return found;
}

int state_save(const char *dir, const struct device_state *s, struct err *e)
{
	struct buf b = BUF_INIT(STATE_MAX);
	int rc = state_encode(s, &b, e);

	if (rc == 0)
		rc = file_replace(dir, STATE_NAME, buf_slice(&b), e);
	buf_free(&b);
	return rc;
}
