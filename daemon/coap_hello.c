/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct in6_pktinfo */
#endif
#include "daemon/coap_hello.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#define SKIP_MAX 64 /* datagrams kept from the library in one call: others wait too */
#define RECORD_HEAD 13
#define MESSAGE_HEAD 12
#define HANDSHAKE 22
#define CLIENT_HELLO 1
#define HELLO_VERIFY 3
#define COOKIE_MAX 32

struct hello_gate {
	struct hello_gate *next;
	struct dtls *d;
	int fds[COAP_LISTEN_MAX];
	uint16_t ports[COAP_LISTEN_MAX];
	unsigned n, handshakes_max;
	uint8_t secret[32];
	struct known_sessions known;
	uint8_t cookie[COOKIE_MAX]; /* found right in the datagram the library has now */
	size_t cookie_n;
	uint8_t random[HELLO_RANDOM]; /* that datagram's */
};

/* The library reads its sockets itself; recvmsg() below finds the gate here. One thread. */
static struct hello_gate *gates;

/* ---- the first flight ---- */

static bool take(struct slice *rest, size_t n, struct slice *out)
{
	if (rest->n < n)
		return false;
	*out = slice_of(rest->p, n);
	*rest = slice_of(rest->p + n, rest->n - n);
	return true;
}

static bool take_sized(struct slice *rest, struct slice *out)
{
	struct slice n;

	return take(rest, 1, &n) && take(rest, n.p[0], out);
}

static unsigned number(const uint8_t *p, unsigned n)
{
	unsigned v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* RFC 6347 4.2.1, 4.2.2, 4.3.1; one record, one fragment: what the library takes */
bool hello_parse(struct slice datagram, struct hello *out)
{
	struct slice d, record, message, version, random, session;

	if (!take(&datagram, RECORD_HEAD, &record) || record.p[0] != HANDSHAKE ||
	    record.p[1] != 0xfe || number(record.p + 3, 2) != 0 ||
	    !take(&datagram, number(record.p + 11, 2), &d) || !take(&d, MESSAGE_HEAD, &message) ||
	    message.p[0] != CLIENT_HELLO || number(message.p + 1, 3) != d.n ||
	    number(message.p + 4, 2) > 2 || number(message.p + 6, 3) != 0 ||
	    number(message.p + 9, 3) != d.n)
		return false;
	if (!take(&d, 2, &version) || version.p[0] != 0xfe || !take(&d, HELLO_RANDOM, &random) ||
	    !take_sized(&d, &session) || session.n > 32 || !take_sized(&d, &out->cookie))
		return false;
	memcpy(out->sequence, record.p + 5, sizeof(out->sequence));
	memcpy(out->random, random.p, sizeof(out->random));
	return true;
}

void hello_verify_request(const struct hello *h, const uint8_t *cookie, size_t n,
			  uint8_t out[HELLO_VERIFY_SIZE])
{
	/* version 1.0 whatever comes of it; the record has the number of the hello's */
	static const uint8_t head[] = { HANDSHAKE, 0xfe, 0xff };
	size_t body = 3 + n;
	uint8_t *p = out;

	memset(out, 0, HELLO_VERIFY_SIZE);
	memcpy(p, head, sizeof(head));
	memcpy(p + 5, h->sequence, sizeof(h->sequence));
	p[12] = (uint8_t)(MESSAGE_HEAD + body);
	p += RECORD_HEAD;
	p[0] = HELLO_VERIFY;
	p[3] = p[11] = (uint8_t)body;
	p += MESSAGE_HEAD;
	p[0] = 0xfe;
	p[1] = 0xff;
	p[2] = (uint8_t)n;
	memcpy(p + 3, cookie, n);
}

/* ---- addresses ---- */

static bool address_of(const struct sockaddr *sa, unsigned socket, struct udp_addr *a)
{
	*a = (struct udp_addr){ .socket = (uint8_t)socket };
	if (sa && sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		a->ip[10] = a->ip[11] = 0xff;
		memcpy(a->ip + 12, &in.sin_addr, 4);
		a->port = ntohs(in.sin_port);
		return true;
	}
	if (sa && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, sa, sizeof(in));
		memcpy(a->ip, &in.sin6_addr, 16);
		a->port = ntohs(in.sin6_port);
		a->scope = in.sin6_scope_id;
		return true;
	}
	return false;
}

static bool address_of_session(const struct hello_gate *g, const coap_session_t *s,
			       struct udp_addr *a)
{
	const coap_address_t *remote = coap_session_get_addr_remote(s);
	const coap_address_t *local = coap_session_get_addr_local(s);
	struct udp_addr own;

	if (!remote || !local || !address_of(&local->addr.sa, 0, &own))
		return false;
	for (unsigned i = 0; i < g->n; i++)
		if (g->ports[i] == own.port)
			return address_of(&remote->addr.sa, i, a);
	return false;
}

/* From the address that was asked; false when that is none to answer from. */
static bool answer_from(struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo v4;

			memcpy(&v4, CMSG_DATA(h), sizeof(v4));
			if (v4.ipi_addr.s_addr != v4.ipi_spec_dst.s_addr)
				return false; /* broadcast or multicast */
			v4.ipi_ifindex = 0;
			memcpy(CMSG_DATA(h), &v4, sizeof(v4));
		} else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo v6;

			memcpy(&v6, CMSG_DATA(h), sizeof(v6));
			if (IN6_IS_ADDR_MULTICAST(&v6.ipi6_addr))
				return false;
		}
	}
	return true;
}

/* ---- the gate ---- */

static void ask_cookie(const struct hello_gate *g, int fd, struct msghdr *m,
		       const struct udp_addr *from, const struct hello *h)
{
	uint8_t bytes[HELLO_VERIFY_SIZE], cookie[ECHO_SIZE];
	struct iovec io = { bytes, sizeof(bytes) };
	struct msghdr out = *m;

	if (!answer_from(m))
		return;
	_Static_assert(RECORD_HEAD + MESSAGE_HEAD + 3 + ECHO_SIZE == HELLO_VERIFY_SIZE, "size");
	echo_make(g->secret, from, g->d->cs->now / ECHO_SLOT_MS, cookie);
	hello_verify_request(h, cookie, sizeof(cookie), bytes);
	out.msg_iov = &io;
	out.msg_iovlen = 1;
	out.msg_flags = 0;
	(void)sendmsg(fd, &out, MSG_DONTWAIT); /* lost: the client asks again */
}

/* The library forgets at its next round what is disconnected: at once. */
static void end_session(struct hello_gate *g, coap_session_t *s)
{
	struct coap_peer *p = coap_session_get_app_data(s);
	coap_tick_t now;

	if (p)
		peer_end(p, true);
	else
		coap_session_disconnected(s, COAP_NACK_NOT_DELIVERABLE);
	coap_ticks(&now);
	coap_io_prepare_epoll(g->d->ctx, now);
}

/* An address that showed its cookie. False: nothing for the library to see. */
static bool welcome(struct hello_gate *g, const struct udp_addr *from, const struct hello *h)
{
	struct known *x = known_find(&g->known, from), *oldest;
	bool established;

	if (!x) {
		oldest = known_oldest(&g->known);
		if (oldest && g->known.n_unfinished >= g->handshakes_max)
			end_session(g, known_session(oldest));
		return true;
	}
	established = coap_session_get_state(known_session(x)) == COAP_SESSION_STATE_ESTABLISHED;
	if (known_same_hello(x, h->random))
		return !established; /* sent again before the answer came, or a late copy */
	end_session(g, known_session(x));
	return true;
}

static bool passes(struct hello_gate *g, unsigned socket, struct msghdr *m, size_t n)
{
	struct slice d = slice_of(m->msg_iov[0].iov_base, n);
	struct udp_addr from;
	struct hello h;

	/* the library makes a session of whatever looks like a ClientHello here */
	if (n <= RECORD_HEAD || d.p[0] != HANDSHAKE || d.p[RECORD_HEAD] != CLIENT_HELLO)
		return true;
	if (!address_of(m->msg_name, socket, &from))
		return false;
	/* encrypted, it looks so by chance */
	if (number(d.p + 3, 2) != 0)
		return known_find(&g->known, &from) != NULL;
	if (!hello_parse(d, &h))
		return false;
	if (h.cookie.n > sizeof(g->cookie) ||
	    !echo_fresh(g->secret, &from, g->d->cs->now, h.cookie)) {
		ask_cookie(g, g->fds[socket], m, &from, &h);
		return false;
	}
	memcpy(g->cookie, h.cookie.p, h.cookie.n);
	g->cookie_n = h.cookie.n;
	memcpy(g->random, h.random, sizeof(g->random));
	return welcome(g, &from, &h);
}

static struct hello_gate *gate_of(int fd, unsigned *socket)
{
	for (struct hello_gate *g = gates; g; g = g->next)
		for (unsigned i = 0; i < g->n; i++)
			if (g->fds[i] == fd) {
				*socket = i;
				return g;
			}
	return NULL;
}

/*
 * In place of the C library's, for the whole process: libcoap offers no hook
 * between its socket and its sessions. Other descriptors notice nothing.
 */
__attribute__((visibility("default"))) ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	const struct msghdr given = *m;
	unsigned socket = 0;
	struct hello_gate *g = gate_of(fd, &socket);

	for (unsigned i = 0; i < SKIP_MAX; i++) {
		ssize_t n = syscall(SYS_recvmsg, fd, m, flags);

		if (!g || n < 0 || m->msg_iovlen == 0 || (size_t)n > m->msg_iov[0].iov_len ||
		    passes(g, socket, m, (size_t)n))
			return n;
		*m = given;
	}
	errno = EAGAIN;
	return -1;
}

/* ---- what the library tells ---- */

bool hello_cookie_right(struct slice cookie)
{
	for (const struct hello_gate *g = gates; g; g = g->next)
		if (g->cookie_n > 0 && slice_eq_ct(cookie, slice_of(g->cookie, g->cookie_n)))
			return true;
	return false;
}

void hello_gate_event(struct hello_gate *g, coap_session_t *s, coap_event_t event)
{
	struct udp_addr a;
	struct known *x;

	if (!address_of_session(g, s, &a))
		return;
	x = known_find(&g->known, &a);
	if (event == COAP_EVENT_SERVER_SESSION_NEW && !x) {
		if (known_add(&g->known, &a, s, g->random) < 0)
			log_warn("coaps: no memory for a session");
	} else if (x && known_session(x) == s) {
		if (event == COAP_EVENT_DTLS_CONNECTED)
			known_finished(&g->known, x);
		else if (event == COAP_EVENT_SERVER_SESSION_DEL)
			known_remove(&g->known, x);
	}
}

/* ---- life ---- */

int hello_gate_new(struct dtls *d, unsigned handshakes_max, struct hello_gate **out, struct err *e)
{
	struct hello_gate *g = calloc(1, sizeof(*g));

	if (!g || known_init(&g->known) < 0) {
		free(g);
		return err_set(e, ERR_NO_MEMORY, "coaps");
	}
	g->d = d;
	g->handshakes_max = handshakes_max;
	random_bytes(g->secret, sizeof(g->secret));
	g->next = gates;
	gates = g;
	*out = g;
	return 0;
}

void hello_gate_free(struct hello_gate *g)
{
	struct hello_gate **at = &gates;

	if (!g)
		return;
	while (*at && *at != g)
		at = &(*at)->next;
	if (*at)
		*at = g->next;
	known_clear(&g->known);
	explicit_bzero(g->secret, sizeof(g->secret));
	free(g);
}

void hello_gate_watch(struct hello_gate *g, int fd, uint16_t port)
{
	if (g->n == COAP_LISTEN_MAX)
		return;
	g->fds[g->n] = fd;
	g->ports[g->n++] = port;
}
