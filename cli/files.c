/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/crypto.h"

static int open_input(const char *path, struct err *e)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	return fd;
}

int file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
	int fd = open_input(path, e);
	uint8_t chunk[16384];
	ssize_t n = 1;

	if (fd < 0)
		return -1;
	*out = BUF_INIT(max + 1);
	while (n > 0 && !out->failed) {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			buf_add(out, chunk, (size_t)n);
		if (n < 0 && errno == EINTR)
			n = 1;
	}
	explicit_bzero(chunk, sizeof(chunk)); /* it may have been a key */
	if (n < 0)
		err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	close(fd);
	if (n < 0)
		return -1;
	if (out->failed || out->n > max)
		return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
	return 0;
}

int file_write(const char *path, struct slice s, unsigned mode, struct err *e)
{
	bool secret = (mode & 077) == 0;
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (secret ? O_EXCL : O_TRUNC);
	int fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO) : open(path, flags, (mode_t)mode);
	int saved = 0;

	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	while (s.n > 0 && !saved) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno != EINTR)
			saved = errno;
		if (n > 0)
			s = slice_of(s.p + n, s.n - (size_t)n);
	}
	if (close(fd) < 0 && !saved)
		saved = errno;
	if (saved && secret && strcmp(path, "-") != 0)
		(void)unlink(path); /* half a key is none */
	return saved ? err_set(e, ERR_IO, "%s: %s", path, strerror(saved)) : 0;
}

int file_digest(const char *path, struct digest *d, uint64_t *size, struct err *e)
{
	struct sha256 *h = sha256_new();
	int fd = open_input(path, e), result = -1;
	uint8_t chunk[65536];
	ssize_t n = 0;

	*size = 0;
	if (fd < 0 || !h)
		goto out;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		if (sha256_add(h, slice_of(chunk, (size_t)n)) < 0)
			goto out;
		*size += (uint64_t)n;
	}
	if (n < 0)
		err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	else
		result = sha256_end(h, d);
out:
	if (fd >= 0)
		close(fd);
	sha256_free(h);
	return result;
}
