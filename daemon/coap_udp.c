/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg, struct in6_pktinfo */
#endif
#include "daemon/coap_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * UDP sockets: many datagrams a system call in and out, payloads sent from where
 * they lie. What the datagrams mean, plain CoAP or DTLS records, is the taker's.
 */
#define TURN 64u /* datagrams a call: fair to what else the loop serves */
#define DATAGRAM_MAX 2048u
#define SEND_MAX (WIRE_HEAD_MAX + WIRE_BLOCK_MAX + 64u)
#define SOCKET_BUFFER (4 << 20) /* bursts; the kernel's rmem_max cuts it */

/* an IPv4 datagram on a socket of both families brings both */
union control {
	char b[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct cmsghdr align;
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct udp_socket {
	int fd;
	bool v4, wildcard;
	bool both; /* IPv6, and IPv4 as mapped */
	bool full; /* as many came as are read in one call */
};

struct incoming {
	union address from;
	union control control;
	struct iovec io;
	uint8_t bytes[DATAGRAM_MAX];
};

struct outgoing {
	union address to;
	union control control;
	struct iovec io[2];
	uint8_t bytes[SEND_MAX];
};

struct udp {
	struct udp_options o;
	struct udp_socket sockets[COAP_LISTEN_MAX];
	unsigned n;
	unsigned n_out, out_socket;
	struct mmsghdr in_heads[TURN], out_heads[TURN];
	struct incoming in[TURN];
	struct outgoing out[TURN];
};

/* ---- out ---- */

void udp_flush(struct udp *u)
{
	unsigned sent = 0;

	while (sent < u->n_out) {
		int n = sendmmsg(u->sockets[u->out_socket].fd, u->out_heads + sent, u->n_out - sent,
				 MSG_DONTWAIT);
		if (n > 0) {
			sent += (unsigned)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		/* a full queue loses what is left, as networks may; a bad address only itself */
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
			break;
		sent++;
	}
	u->n_out = 0;
}

static socklen_t put_address(const struct udp *u, const struct udp_addr *a, union address *out)
{
	if (u->sockets[a->socket].v4) {
		out->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(a->port) };
		memcpy(&out->v4.sin_addr, a->ip + 12, 4);
		return sizeof(out->v4);
	}
	out->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					 .sin6_port = htons(a->port),
					 .sin6_scope_id = a->scope };
	memcpy(&out->v6.sin6_addr, a->ip, 16);
	return sizeof(out->v6);
}

/* An answer leaves from the address that was asked. */
static size_t put_control(const struct udp *u, const struct udp_addr *a, union control *c)
{
	struct cmsghdr *h = &c->align;

	memset(c, 0, sizeof(*c));
	if (u->sockets[a->socket].v4) {
		struct in_pktinfo v4 = { .ipi_ifindex = 0 };

		memcpy(&v4.ipi_spec_dst, a->local + 12, 4);
		h->cmsg_level = IPPROTO_IP;
		h->cmsg_type = IP_PKTINFO;
		h->cmsg_len = CMSG_LEN(sizeof(v4));
		memcpy(CMSG_DATA(h), &v4, sizeof(v4));
		return CMSG_SPACE(sizeof(v4));
	}
	struct in6_pktinfo v6 = { .ipi6_ifindex = a->scope ? a->ifindex : 0 };

	memcpy(&v6.ipi6_addr, a->local, 16);
	h->cmsg_level = IPPROTO_IPV6;
	h->cmsg_type = IPV6_PKTINFO;
	h->cmsg_len = CMSG_LEN(sizeof(v6));
	memcpy(CMSG_DATA(h), &v6, sizeof(v6));
	return CMSG_SPACE(sizeof(v6));
}

static struct outgoing *out_slot(struct udp *u, const struct udp_addr *to)
{
	struct outgoing *s;
	struct msghdr *m;

	if (u->n_out == TURN || (u->n_out && u->out_socket != to->socket))
		udp_flush(u);
	u->out_socket = to->socket;
	s = &u->out[u->n_out];
	m = &u->out_heads[u->n_out].msg_hdr;
	*m = (struct msghdr){ .msg_name = &s->to, .msg_iov = s->io, .msg_iovlen = 1 };
	m->msg_namelen = put_address(u, to, &s->to);
	if (to->has_local) {
		m->msg_control = s->control.b;
		m->msg_controllen = put_control(u, to, &s->control);
	}
	u->n_out++;
	return s;
}

void udp_send(struct udp *u, const struct udp_addr *to, const struct wire_out *o, bool stable)
{
	struct outgoing *s;
	size_t copied = stable ? 0 : o->payload.n;

	if (o->failed || o->n > WIRE_HEAD_MAX || copied > SEND_MAX - o->n)
		return;
	s = out_slot(u, to);
	memcpy(s->bytes, o->head, o->n);
	if (copied)
		memcpy(s->bytes + o->n, o->payload.p, copied);
	s->io[0] = (struct iovec){ s->bytes, o->n + copied };
	if (stable && o->payload.n) {
		s->io[1] = (struct iovec){ (void *)(uintptr_t)o->payload.p, o->payload.n };
		u->out_heads[u->n_out - 1].msg_hdr.msg_iovlen = 2;
	}
}

void udp_send_bytes(struct udp *u, const struct udp_addr *to, struct slice bytes)
{
	struct outgoing *s;

	if (bytes.n > SEND_MAX)
		return;
	s = out_slot(u, to);
	memcpy(s->bytes, bytes.p, bytes.n);
	s->io[0] = (struct iovec){ s->bytes, bytes.n };
}

/* ---- in ---- */

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/*
 * Where it came in, if that is an address of ours alone: to a broadcast or multicast address
 * anyone can have many answer (RFC 7252 8), and nothing can be sent from it. False: drop it.
 */
static bool take_local(struct udp_addr *a, struct msghdr *m)
{
	bool ours = true;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo v4;

			memcpy(&v4, CMSG_DATA(h), sizeof(v4));
			memcpy(a->local, mapped, sizeof(mapped));
			memcpy(a->local + 12, &v4.ipi_addr, 4);
			/* the kernel answers a broadcast from another address */
			ours = v4.ipi_addr.s_addr == v4.ipi_spec_dst.s_addr && a->local[12] < 224;
			a->has_local = true;
		} else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo v6;

			memcpy(&v6, CMSG_DATA(h), sizeof(v6));
			memcpy(a->local, &v6.ipi6_addr, 16);
			a->ifindex = v6.ipi6_ifindex;
			ours = ours && a->local[0] != 0xff;
			a->has_local = true;
		}
	}
	return ours;
}

/* False: sent to more than us. */
static bool take_address(const struct udp *u, unsigned socket, struct incoming *in,
			 struct msghdr *m, struct udp_addr *a)
{
	*a = (struct udp_addr){ .socket = (uint8_t)socket };
	if (u->sockets[socket].v4) {
		memcpy(a->ip, mapped, sizeof(mapped));
		memcpy(a->ip + 12, &in->from.v4.sin_addr, 4);
		a->port = ntohs(in->from.v4.sin_port);
	} else {
		memcpy(a->ip, &in->from.v6.sin6_addr, 16);
		a->port = ntohs(in->from.v6.sin6_port);
		a->scope = in->from.v6.sin6_scope_id;
	}
	return !u->sockets[socket].wildcard || take_local(a, m);
}

static void hand_over(struct udp *u, unsigned socket, int n,
		      void (*to)(void *ctx, const struct udp_addr *from, struct slice datagram))
{
	for (int i = 0; i < n; i++) {
		struct mmsghdr *h = &u->in_heads[i];
		struct udp_addr a;

		if (take_address(u, socket, &u->in[i], &h->msg_hdr, &a) &&
		    !(h->msg_hdr.msg_flags & MSG_TRUNC))
			to(u->o.ctx, &a, slice_of(u->in[i].bytes, h->msg_len));
	}
}

static void socket_io(struct udp *u, unsigned socket)
{
	int n;

	for (unsigned i = 0; i < TURN; i++) {
		struct msghdr *m = &u->in_heads[i].msg_hdr;

		m->msg_namelen = sizeof(u->in[i].from);
		m->msg_controllen = u->sockets[socket].wildcard ? sizeof(u->in[i].control) : 0;
	}
	n = recvmmsg(u->sockets[socket].fd, u->in_heads, TURN, MSG_DONTWAIT, NULL);
	u->sockets[socket].full = n == (int)TURN;
	if (u->o.ahead)
		hand_over(u, socket, n, u->o.ahead);
	hand_over(u, socket, n, u->o.take);
	udp_flush(u);
}

void udp_io(struct udp *u)
{
	for (unsigned i = 0; i < u->n; i++)
		socket_io(u, i);
}

bool udp_behind(const struct udp *u)
{
	for (unsigned i = 0; i < u->n; i++)
		if (u->sockets[i].full)
			return true;
	return false;
}

/* ---- sockets ---- */

unsigned udp_routes(const struct udp *u, const struct udp_addr *a, uint8_t out[COAP_LISTEN_MAX])
{
	bool v4 = memcmp(a->ip, mapped, sizeof(mapped)) == 0;
	unsigned n = 0;

	/* one bound to an address may not reach everybody */
	for (unsigned bound = 0; bound < 2; bound++)
		for (unsigned i = 0; i < u->n; i++) {
			const struct udp_socket *s = &u->sockets[i];

			if (s->wildcard == !bound &&
			    (s->v4 == v4 || (v4 && s->both && s->wildcard)))
				out[n++] = (uint8_t)i;
		}
	return n;
}

static bool has_v4(const struct udp_options *o, uint16_t port)
{
	for (unsigned i = 0; i < o->n; i++)
		if (o->listen[i].v4 && o->listen[i].port == port)
			return true;
	return false;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_buffers(int fd)
{
	/* the kernel grants what it allows; a smaller buffer loses bursts, no more */
	(void)set(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	(void)set(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

static int set_options(const struct udp_socket *s)
{
	if (s->v4) {
		/* another program's membership must not bring its datagrams here */
		(void)set(s->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
		return s->wildcard ? set(s->fd, IPPROTO_IP, IP_PKTINFO, 1) : 0;
	}
	(void)set(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	if (set(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, !s->both) != 0)
		return -1;
	if (s->wildcard && s->both && set(s->fd, IPPROTO_IP, IP_PKTINFO, 1) != 0)
		return -1;
	return s->wildcard ? set(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : 0;
}

static int socket_open(struct udp *u, const struct listen_addr *l, struct err *e)
{
	struct udp_socket *s = &u->sockets[u->n];
	struct udp_addr a = { .socket = (uint8_t)u->n, .port = l->port };
	union address bound;
	socklen_t n;

	s->v4 = l->v4;
	s->both = !l->v4 && !has_v4(&u->o, l->port);
	s->wildcard = l->v4 ? all_zero(l->ip + 12, 4) : all_zero(l->ip, 16);
	s->fd = socket(l->v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_set(e, ERR_IO, "coap %s: %s", l->text, strerror(errno));
	u->n++;
	memcpy(a.ip, l->ip, sizeof(a.ip));
	n = put_address(u, &a, &bound);
	set_buffers(s->fd);
	/* no SO_REUSEADDR: on UDP it lets a second daemon take the port in silence */
	if (set_options(s) != 0 || bind(s->fd, &bound.any, n) != 0)
		return err_set(e, ERR_IO, "coap %s: %s", l->text, strerror(errno));
	return 0;
}

static void prepare(struct udp *u)
{
	for (unsigned i = 0; i < TURN; i++) {
		struct incoming *in = &u->in[i];

		in->io = (struct iovec){ in->bytes, sizeof(in->bytes) };
		u->in_heads[i].msg_hdr = (struct msghdr){ .msg_name = &in->from,
							  .msg_iov = &in->io,
							  .msg_iovlen = 1,
							  .msg_control = in->control.b };
	}
}

int udp_new(const struct udp_options *o, struct udp **out, struct err *e)
{
	struct udp *u = calloc(1, sizeof(*u));

	if (!u)
		return err_set(e, ERR_NO_MEMORY, "coap");
	u->o = *o;
	prepare(u);
	for (unsigned i = 0; i < o->n; i++)
		if (socket_open(u, &o->listen[i], e) < 0) {
			udp_free(u);
			return -1;
		}
	*out = u;
	return 0;
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	for (unsigned i = 0; i < u->n; i++)
		close(u->sockets[i].fd);
	free(u);
}

int udp_fds(const struct udp *u, int *fds, int limit)
{
	int n = 0;

	for (unsigned i = 0; i < u->n && n < limit; i++)
		fds[n++] = u->sockets[i].fd;
	return n;
}
