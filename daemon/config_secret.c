/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/text.h"
#include "codec/crypto.h"
#include "daemon/config.h"

#define SEALED_MAX (CONFIG_SIZE_MAX + 2 * SECRET_PEM_MAX + 4096)

static int read_all(int fd, uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(fd, p + at, n - at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		at += (size_t)got;
	}
	return 0;
}

static int write_all(int fd, struct slice s)
{
	while (s.n) {
		ssize_t put = write(fd, s.p, s.n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return -1;
		s = slice_of(s.p + put, s.n - (size_t)put);
	}
	return 0;
}

/* A name without a slash is one of systemd's credentials (systemd.exec(5)). */
static int secret_path(const char *name, char *path, size_t cap, struct err *e)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (name[0] == '/')
		return text_copy(path, cap, name);
	if (!dir)
		return err_set(e, ERR_NOT_FOUND, "%s: there is no $CREDENTIALS_DIRECTORY", name);
	if (text_format(path, cap, "%s/%s", dir, name) != 0)
		return err_set(e, ERR_TOO_LARGE, "%s: name is too long", name);
	return 0;
}

static int check_file(int fd, const char *path, bool private, size_t *size, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "%s: is not a file", path);
	if (st.st_size <= 0 || st.st_size > SECRET_PEM_MAX)
		return err_set(e, ERR_TOO_LARGE, "%s: has %lld bytes, 1 to %d may be", path,
			       (long long)st.st_size, SECRET_PEM_MAX);
	if (private && st.st_mode & 077)
		return err_set(e, ERR_FORBIDDEN,
			       "%s: mode is %04o, group and others must have no rights "
			       "(chmod 600)",
			       path, (unsigned)st.st_mode & 07777);
	*size = (size_t)st.st_size;
	return 0;
}

/* A PEM file whole; "" when name is. */
static int load_file(const char *name, bool private, char **out, struct err *e)
{
	char path[2 * CONFIG_TEXT], *text = NULL;
	size_t size = 0;
	int fd;

	if (!name[0]) {
		*out = calloc(1, 1);
		return *out ? 0 : err_set(e, ERR_NO_MEMORY, "no memory");
	}
	if (secret_path(name, path, sizeof(path), e) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	if (check_file(fd, path, private, &size, e) != 0)
		goto fail;
	text = calloc(1, size + 1);
	if (!text) {
		err_set(e, ERR_NO_MEMORY, "%s: no memory", path);
		goto fail;
	}
	if (read_all(fd, (uint8_t *)text, size) != 0 || strlen(text) != size ||
	    !strstr(text, "-----BEGIN ")) {
		err_set(e, ERR_MALFORMED, "%s: is not a PEM file", path);
		goto fail;
	}
	close(fd);
	*out = text;
	return 0;
fail:
	if (text)
		explicit_bzero(text, size);
	free(text);
	close(fd);
	return -1;
}

int secrets_load(const struct config *c, struct secrets *out, struct err *e)
{
	struct secrets s = { 0 };

	random_bytes(s.echo_secret, sizeof(s.echo_secret));
	if (load_file(c->http.certificate, false, &s.certificate_pem, e) != 0 ||
	    load_file(c->http.key, true, &s.key_pem, e) != 0) {
		secrets_wipe(&s);
		return -1;
	}
	*out = s;
	return 0;
}

int secrets_check(const struct config *c, const struct secrets *s, struct err *e)
{
	struct err why = { 0 };

	if (!c->http.certificate[0] ||
	    crypto_pair_check(slice_str(s->certificate_pem), slice_str(s->key_pem), &why) == 0)
		return 0;
	return err_set(e, why.code, "%.100s and %.100s: %.100s", c->http.certificate, c->http.key,
		       why.text);
}

bool secrets_same(const struct secrets *a, const struct secrets *b)
{
	return slice_eq_ct(slice_str(a->certificate_pem), slice_str(b->certificate_pem)) &&
	       slice_eq_ct(slice_str(a->key_pem), slice_str(b->key_pem));
}

static void wipe_text(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void secrets_wipe(struct secrets *s)
{
	wipe_text(s->certificate_pem);
	wipe_text(s->key_pem);
	explicit_bzero(s, sizeof(*s));
}

static void put_blob(struct buf *b, struct slice s)
{
	ipc_put_u32(b, (uint32_t)s.n);
	buf_add_slice(b, s);
}

int config_seal(const struct config *c, const struct secrets *s, struct err *e)
{
	struct buf b = BUF_INIT(SEALED_MAX), text = BUF_INIT(CONFIG_SIZE_MAX);
	int fd = -1;

	config_write(c, &text);
	put_blob(&b, buf_slice(&text));
	put_blob(&b, slice_str(s->certificate_pem));
	put_blob(&b, slice_str(s->key_pem));
	put_blob(&b, slice_of(s->echo_secret, sizeof(s->echo_secret)));
	if (b.failed || text.failed) {
		err_set(e, ERR_NO_MEMORY, "no memory for the configuration");
		goto out;
	}
	fd = memfd_create("fettled-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || write_all(fd, buf_slice(&b)) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
		err_set(e, ERR_IO, "memory for the configuration: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
out:
	if (b.p)
		explicit_bzero(b.p, b.cap);
	buf_free(&b);
	buf_free(&text);
	return fd;
}

static char *get_text(struct rd *r)
{
	struct slice s = rd_blob32(r, SECRET_PEM_MAX);
	char *text = calloc(1, s.n + 1);

	if (text && s.n)
		memcpy(text, s.p, s.n);
	return text;
}

static int unseal(struct slice all, struct config *c, struct secrets *s, struct err *e)
{
	struct rd r = rd_init(all);
	struct slice text = rd_blob32(&r, CONFIG_SIZE_MAX), echo;

	s->certificate_pem = get_text(&r);
	s->key_pem = get_text(&r);
	echo = rd_blob32(&r, sizeof(s->echo_secret));
	if (!s->certificate_pem || !s->key_pem)
		return err_set(e, ERR_NO_MEMORY, "no memory for the secrets");
	if (!rd_done(&r) || echo.n != sizeof(s->echo_secret))
		return err_set(e, ERR_MALFORMED, "configuration from the parent does not parse");
	memcpy(s->echo_secret, echo.p, echo.n);
	return config_parse(text, "configuration", c, e);
}

int config_unseal(int fd, struct config *c, struct secrets *s, struct err *e)
{
	const int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	/* not by fstat(3): where that is newfstatat, the front's sandbox refuses it */
	off_t size = lseek(fd, 0, SEEK_END);
	void *p;
	int rc;

	memset(s, 0, sizeof(*s));
	/* sealed, so what is parsed cannot change meanwhile, nor the mapping end early */
	if (size <= 0 || size > (off_t)SEALED_MAX || (fcntl(fd, F_GET_SEALS) & want) != want)
		return err_set(e, ERR_MALFORMED,
			       "configuration from the parent is not sealed memory");
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_set(e, ERR_NO_MEMORY, "configuration: %s", strerror(errno));
	rc = unseal(slice_of(p, (size_t)size), c, s, e);
	munmap(p, (size_t)size);
	if (rc != 0)
		secrets_wipe(s);
	return rc;
}
