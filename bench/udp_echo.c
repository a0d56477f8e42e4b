/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/*
 * The ceiling: a server that does nothing but answer datagrams.
 *
 *   udp_echo PORT SIZE
 *
 * Each datagram is answered by SIZE bytes that begin with its own first twelve
 * (a CoAP header and an eight-byte token), many a system call. TERM ends it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "bench/bench.h"

#define TURN 64
#define ANSWER_MAX 1500

static struct sockaddr_in from[TURN];
static uint8_t bytes[TURN][ANSWER_MAX];
static struct iovec io[TURN];
static struct mmsghdr heads[TURN];

static int listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), buffer = 4 << 20;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("udp_echo");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	return fd;
}

static void send_all(int fd, unsigned n)
{
	for (unsigned sent = 0; sent < n;) {
		int k = sendmmsg(fd, heads + sent, n - sent, 0);

		sent += k > 0 ? (unsigned)k : 1;
	}
}

int main(int argc, char **argv)
{
	long size = argc == 3 ? bench_number(argv[2]) : 0;

	if (size < 12 || size > ANSWER_MAX) {
		fprintf(stderr, "usage: udp_echo PORT SIZE (12 to %d)\n", ANSWER_MAX);
		return 64;
	}
	int fd = listen_on((uint16_t)bench_number(argv[1]));
	for (;;) {
		for (unsigned i = 0; i < TURN; i++) {
			io[i] = (struct iovec){ bytes[i], ANSWER_MAX };
			heads[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
							    .msg_namelen = sizeof(from[i]),
							    .msg_iov = &io[i],
							    .msg_iovlen = 1 };
		}
		int n = recvmmsg(fd, heads, TURN, MSG_WAITFORONE, NULL);
		if (n < 0)
			die("udp_echo");
		for (int i = 0; i < n; i++)
			io[i].iov_len = (size_t)size;
		send_all(fd, (unsigned)n);
	}
}
