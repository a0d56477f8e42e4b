/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

/*
 * Socket buffers worth asking for: a whole batch should leave in one write where the kernel lets
 * it.
 */
#define SOCKET_BUFFER (1 << 20)
#define READ_STEP (256u << 10)
#define FDS_A_MESSAGE 16

struct mark { /* a descriptor that leaves with the byte at this offset of out */
	size_t at;
	int fd;
};

struct channel {
	int fd;
	uint8_t *in;
	size_t in_at, in_n, in_cap;
	struct buf out;
	size_t out_at;
	struct mark marks[IPC_FDS_MAX];
	unsigned n_marks;
	int fds[IPC_FDS_MAX];
	unsigned n_fds;
};

int channel_new(int fd, size_t out_max, struct channel **out, struct err *e)
{
	struct channel *c = calloc(1, sizeof(*c));
	int size = SOCKET_BUFFER, flags = fcntl(fd, F_GETFL);

	if (!c)
		return err_set(e, ERR_NO_MEMORY, "channel");
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		free(c);
		return err_set(e, ERR_IO, "channel descriptor %d: %s", fd, strerror(errno));
	}
	/* Larger buffers save wake-ups; the kernel's default works too. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	c->fd = fd;
	c->out = BUF_INIT(out_max);
	*out = c;
	return 0;
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->n_marks; i++)
		close(c->marks[i].fd);
	for (unsigned i = 0; i < c->n_fds; i++)
		close(c->fds[i]);
	close(c->fd);
	buf_free(&c->out);
	free(c->in);
	free(c);
}

int channel_fd(const struct channel *c)
{
	return c->fd;
}

struct buf *channel_out(struct channel *c)
{
	return &c->out;
}

size_t channel_pending(const struct channel *c)
{
	return c->out.n - c->out_at;
}

bool channel_want_write(const struct channel *c)
{
	return channel_pending(c) > 0;
}

/* ---- reading ---- */

/* Room for READ_STEP more bytes, or for the rest of the frame under way. */
static int make_room(struct channel *c)
{
	uint8_t *p;
	size_t need;

	if (c->in_at == c->in_n)
		c->in_at = c->in_n = 0;
	if (c->in_at > 0 && c->in_cap - c->in_n < READ_STEP) {
		memmove(c->in, c->in + c->in_at, c->in_n - c->in_at);
		c->in_n -= c->in_at;
		c->in_at = 0;
	}
	need = c->in_n + READ_STEP;
	if (need <= c->in_cap)
		return 0;
	p = realloc(c->in, need);
	if (!p)
		return -1;
	c->in = p;
	c->in_cap = need;
	return 0;
}

static int keep_fds(struct channel *c, struct msghdr *m, struct err *e)
{
	int result = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (c->n_fds < IPC_FDS_MAX) {
				c->fds[c->n_fds++] = fd;
			} else {
				close(fd);
				result = err_set(e, ERR_TOO_MANY, "too many descriptors");
			}
		}
	}
	if (m->msg_flags & MSG_CTRUNC)
		result = err_set(e, ERR_MALFORMED, "descriptors cut off");
	return result;
}

int channel_read(struct channel *c, struct err *e)
{
	union {
		char b[CMSG_SPACE(FDS_A_MESSAGE * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io;
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	ssize_t n;

	if (make_room(c) < 0)
		return err_set(e, ERR_NO_MEMORY, "channel");
	io = (struct iovec){ c->in + c->in_n, c->in_cap - c->in_n };
	m.msg_control = control.b;
	m.msg_controllen = sizeof(control.b);
	do
		n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0)
		return err_set(e, ERR_IO, "channel: %s", strerror(errno));
	if (n == 0)
		return err_set(e, ERR_GONE, "channel closed by its peer");
	c->in_n += (size_t)n;
	return keep_fds(c, &m, e) < 0 ? -1 : 1;
}

int channel_next(struct channel *c, enum frame_type *type, struct slice *body, struct err *e)
{
	size_t have = c->in_n - c->in_at, n;
	const uint8_t *p = have ? c->in + c->in_at : NULL;

	if (have < 5)
		return 0;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n < 1 || n > IPC_FRAME_MAX)
		return err_set(e, ERR_MALFORMED, "frame of %zu bytes", n);
	if (have < 4 + n)
		return 0;
	*type = (enum frame_type)p[4];
	*body = slice_of(p + 5, n - 1);
	c->in_at += 4 + n;
	return 1;
}

int channel_take_fd(struct channel *c)
{
	int fd;

	if (c->n_fds == 0)
		return -1;
	fd = c->fds[0];
	memmove(c->fds, c->fds + 1, --c->n_fds * sizeof(c->fds[0]));
	return fd;
}

/* ---- writing ---- */

int channel_attach_fd(struct channel *c, int fd)
{
	int copy;

	if (c->n_marks == IPC_FDS_MAX)
		return -1;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -1;
	c->marks[c->n_marks++] = (struct mark){ c->out.n, copy };
	return 0;
}

static void drop_mark(struct channel *c)
{
	close(c->marks[0].fd);
	memmove(c->marks, c->marks + 1, --c->n_marks * sizeof(c->marks[0]));
}

/* One sendmsg: up to the next mark, or from a mark with its descriptor. */
static ssize_t send_some(struct channel *c)
{
	union {
		char b[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .b = { 0 } };
	bool with_fd = c->n_marks && c->marks[0].at == c->out_at;
	unsigned next = with_fd ? 1 : 0;
	size_t end = c->n_marks > next ? c->marks[next].at : c->out.n;
	struct iovec io = { c->out.p + c->out_at, end - c->out_at };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	ssize_t n;

	if (with_fd) {
		struct cmsghdr *h;

		m.msg_control = control.b;
		m.msg_controllen = sizeof(control.b);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &c->marks[0].fd, sizeof(int));
	}
	do
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0 && with_fd)
		drop_mark(c);
	return n;
}

/* A slow reader must not make the written part stay in memory for ever. */
static void compact(struct channel *c)
{
	size_t gone = c->out_at;

	if (gone < SOCKET_BUFFER || gone < c->out.n / 2)
		return;
	memmove(c->out.p, c->out.p + gone, c->out.n - gone);
	c->out.n -= gone;
	c->out_at = 0;
	for (unsigned i = 0; i < c->n_marks; i++)
		c->marks[i].at -= gone;
}

int channel_write(struct channel *c, struct err *e)
{
	if (c->out.failed)
		return err_set(e, ERR_FULL, "channel: more than %zu bytes wait", c->out.max);
	while (c->out_at < c->out.n) {
		ssize_t n = send_some(c);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			compact(c);
			return 0;
		}
		if (n < 0)
			return err_set(e, errno == EPIPE ? ERR_GONE : ERR_IO, "channel: %s",
				       strerror(errno));
		c->out_at += (size_t)n;
	}
	c->out_at = 0;
	buf_reset(&c->out);
	return 0;
}

/* ---- blocking, for the one question that cannot wait for a loop turn ---- */

static int wait_for(int fd, short events, int64_t until, struct err *e)
{
	int64_t left = until - clock_mono_ms();
	struct pollfd p = { .fd = fd, .events = events };
	int n = poll(&p, 1, left > 0 ? (int)left : 0);

	if (n < 0 && errno != EINTR)
		return err_set(e, ERR_IO, "poll: %s", strerror(errno));
	if (n <= 0 && left <= 0)
		return err_set(e, ERR_BUSY, "no answer in time");
	return 0;
}

int channel_write_all(struct channel *c, int timeout_ms, struct err *e)
{
	int64_t until = clock_mono_ms() + timeout_ms;

	for (;;) {
		if (channel_write(c, e) < 0)
			return -1;
		if (!channel_want_write(c))
			return 0;
		if (wait_for(c->fd, POLLOUT, until, e) < 0)
			return -1;
	}
}

int channel_read_frame(struct channel *c, int timeout_ms, enum frame_type *type, struct slice *body,
		       struct err *e)
{
	int64_t until = clock_mono_ms() + timeout_ms;

	for (;;) {
		int n = channel_next(c, type, body, e);

		if (n != 0)
			return n < 0 ? -1 : 0;
		n = channel_read(c, e);
		if (n < 0)
			return -1;
		if (n == 0 && wait_for(c->fd, POLLIN, until, e) < 0)
			return -1;
	}
}
