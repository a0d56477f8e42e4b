/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include "device/fan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

#define BATCH 64
#define DATAGRAM 1536
#define FIRST_ADDRESS 0x7f400001u /* 127.64.0.1 */
#define BUFFER_BYTES (8 << 20)
#define ROUNDS 16 /* batches a receive takes at most */

struct slot {
	uint8_t bytes[DATAGRAM];
	struct sockaddr_in from;
	union {
		char control[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} c;
	struct iovec iov;
};

struct fan {
	struct sockaddr_storage server;
	socklen_t server_n;
	uint32_t n;
	bool shared;
	int fd; /* shared: the socket; else the epoll set */
	int *each;
	bool (*loses)(void *ctx);
	void *loses_ctx;
	struct slot out[BATCH], in[BATCH];
	struct mmsghdr out_msg[BATCH], in_msg[BATCH];
	unsigned queued;
};

static int resolve(struct fan *f, const struct target *t, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list;
	char port[8];
	int rc;

	text_format(port, sizeof(port), "%u", t->port);
	rc = getaddrinfo(t->host, port, &hints, &list);
	if (rc != 0)
		return err_set(e, ERR_BUSY, "%s: %s", t->host, gai_strerror(rc));
	memcpy(&f->server, list->ai_addr, list->ai_addrlen);
	f->server_n = list->ai_addrlen;
	f->shared = list->ai_family == AF_INET &&
		    ntohl(((struct sockaddr_in *)&f->server)->sin_addr.s_addr) >> 24 == 127;
	freeaddrinfo(list);
	return 0;
}

static void widen(int fd)
{
	int n = BUFFER_BYTES;

	/* forced where that is allowed; less is no error, only loss under load */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof(n)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &n, sizeof(n)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

static int open_shared(struct fan *f, struct err *e)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int on = 1;

	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (f->fd < 0 || setsockopt(f->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0 ||
	    bind(f->fd, (struct sockaddr *)&any, sizeof(any)) != 0)
		return err_set(e, ERR_IO, "UDP socket: %s", strerror(errno));
	widen(f->fd);
	return 0;
}

static int open_one(struct fan *f, uint32_t i)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };
	int fd = socket(f->server.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	f->each[i] = fd;
	if (fd < 0 || connect(fd, (struct sockaddr *)&f->server, f->server_n) != 0)
		return -1;
	return epoll_ctl(f->fd, EPOLL_CTL_ADD, fd, &ev);
}

static int open_each(struct fan *f, struct err *e)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	f->each = malloc(f->n * sizeof(*f->each));
	if (!f->each)
		return err_set(e, ERR_NO_MEMORY, "sockets");
	memset(f->each, 0xff, f->n * sizeof(*f->each));
	f->fd = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t i = 0; i < f->n; i++)
		if (open_one(f, i) != 0)
			return err_set(e, ERR_IO, "UDP socket %u: %s", i, strerror(errno));
	return 0;
}

static void lay_out(struct fan *f)
{
	for (unsigned i = 0; i < BATCH; i++) {
		f->in[i].iov = (struct iovec){ f->in[i].bytes, DATAGRAM };
		f->in_msg[i].msg_hdr.msg_iov = &f->in[i].iov;
		f->in_msg[i].msg_hdr.msg_iovlen = 1;
		f->in_msg[i].msg_hdr.msg_name = &f->in[i].from;
		f->out[i].iov.iov_base = f->out[i].bytes;
		f->out_msg[i].msg_hdr = (struct msghdr){
			.msg_name = &f->server,
			.msg_namelen = f->server_n,
			.msg_iov = &f->out[i].iov,
			.msg_iovlen = 1,
			.msg_control = f->out[i].c.control,
			.msg_controllen = sizeof(f->out[i].c.control),
		};
	}
}

int fan_open(const struct target *server, uint32_t endpoints, struct fan **out, struct err *e)
{
	struct fan *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(e, ERR_NO_MEMORY, "endpoints");
	f->fd = -1;
	f->n = endpoints;
	if (resolve(f, server, e) != 0 || (f->shared ? open_shared(f, e) : open_each(f, e)) != 0) {
		fan_close(f);
		return -1;
	}
	lay_out(f);
	*out = f;
	return 0;
}

void fan_close(struct fan *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; f->each && i < f->n; i++)
		if (f->each[i] >= 0)
			(void)close(f->each[i]);
	free(f->each);
	if (f->fd >= 0)
		(void)close(f->fd);
	free(f);
}

static void set_source(struct slot *s, uint32_t endpoint)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + endpoint) };

	s->c.align.cmsg_level = IPPROTO_IP;
	s->c.align.cmsg_type = IP_PKTINFO;
	s->c.align.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(&s->c.align), &info, sizeof(info));
}

void fan_on_loss(struct fan *f, bool (*loses)(void *ctx), void *ctx)
{
	f->loses = loses;
	f->loses_ctx = ctx;
}

void fan_send(struct fan *f, uint32_t endpoint, const void *p, size_t n)
{
	struct slot *s;

	if (n > DATAGRAM || endpoint >= f->n || (f->loses && f->loses(f->loses_ctx)))
		return;
	if (!f->shared) {
		(void)send(f->each[endpoint], p, n, 0);
		return;
	}
	if (f->queued == BATCH)
		fan_flush(f);
	s = &f->out[f->queued++];
	memcpy(s->bytes, p, n);
	s->iov.iov_len = n;
	set_source(s, endpoint);
}

void fan_flush(struct fan *f)
{
	unsigned done = 0;

	while (done < f->queued) {
		int n = sendmmsg(f->fd, f->out_msg + done, f->queued - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = f->fd, .events = POLLOUT };

			(void)poll(&p, 1, 10);
			continue;
		}
		done += n > 0 ? (unsigned)n : 1;
	}
	f->queued = 0;
}

/* As a connected socket would: nobody else is heard. */
static bool from_server(const struct fan *f, const struct sockaddr_in *from)
{
	const struct sockaddr_in *server = (const struct sockaddr_in *)&f->server;

	return from->sin_addr.s_addr == server->sin_addr.s_addr &&
	       from->sin_port == server->sin_port;
}

int fan_fd(const struct fan *f)
{
	return f->fd;
}

uint16_t fan_port(const struct fan *f)
{
	struct sockaddr_in at = { .sin_port = 0 };
	socklen_t n = sizeof(at);

	if (!f->shared || getsockname(f->fd, (struct sockaddr *)&at, &n) != 0)
		return 0;
	return ntohs(at.sin_port);
}

static bool endpoint_of(const struct fan *f, struct msghdr *m, uint32_t *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in_pktinfo info;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		*out = ntohl(info.ipi_addr.s_addr) - FIRST_ADDRESS;
		return *out < f->n;
	}
	return false;
}

static int take_batch(struct fan *f, fan_got got, void *ctx)
{
	uint32_t endpoint;
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		f->in_msg[i].msg_hdr.msg_control = f->in[i].c.control;
		f->in_msg[i].msg_hdr.msg_controllen = sizeof(f->in[i].c.control);
		f->in_msg[i].msg_hdr.msg_namelen = sizeof(f->in[i].from);
	}
	n = recvmmsg(f->fd, f->in_msg, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		if (from_server(f, &f->in[i].from) &&
		    endpoint_of(f, &f->in_msg[i].msg_hdr, &endpoint))
			got(ctx, endpoint, slice_of(f->in[i].bytes, f->in_msg[i].msg_len));
	return n;
}

static int receive_shared(struct fan *f, int ms, fan_got got, void *ctx)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	int n = poll(&p, 1, ms);

	if (n <= 0)
		return n < 0 && errno != EINTR ? -1 : 0;
	for (int i = 0; i < ROUNDS; i++)
		if (take_batch(f, got, ctx) < BATCH)
			break;
	return 0;
}

static int receive_each(struct fan *f, int ms, fan_got got, void *ctx)
{
	struct epoll_event ev[BATCH];
	int n = epoll_wait(f->fd, ev, BATCH, ms);

	if (n < 0)
		return errno == EINTR ? 0 : -1;
	for (int i = 0; i < n; i++) {
		uint32_t endpoint = ev[i].data.u32;
		ssize_t len = recv(f->each[endpoint], f->in[0].bytes, DATAGRAM, 0);

		if (len > 0) /* an ICMP error is read away by the same call */
			got(ctx, endpoint, slice_of(f->in[0].bytes, (size_t)len));
	}
	return 0;
}

int fan_receive(struct fan *f, int ms, fan_got got, void *ctx)
{
	fan_flush(f);
	return f->shared ? receive_shared(f, ms, got, ctx) : receive_each(f, ms, got, ctx);
}
