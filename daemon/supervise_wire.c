/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* MSG_CMSG_CLOEXEC */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/supervise.h"

static const char *const names[PROCESS_COUNT] = {
	[PROCESS_CORE] = "core",   [PROCESS_CHECKPOINTER] = "checkpointer",
	[PROCESS_KEYS] = "keys",   [PROCESS_CONTROL] = "control",
	[PROCESS_FRONT] = "front",
};

const char *process_name(enum process p)
{
	return names[p];
}

int process_parse(const char *word, enum process *out)
{
	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		if (strcmp(names[i], word) == 0) {
			*out = (enum process)i;
			return 0;
		}
	}
	return -1;
}

union control {
	char b[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int parent_msg_send(int sock, enum parent_msg_type type, uint32_t arg, uint64_t value, int fd)
{
	struct parent_msg m = { .type = (uint32_t)type, .arg = arg, .value = value };
	struct iovec v = { .iov_base = &m, .iov_len = sizeof(m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	union control control;
	ssize_t sent;

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		h.msg_control = control.b;
		h.msg_controllen = sizeof(control.b);
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		sent = sendmsg(sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)sizeof(m) ? 0 : -1;
}

/* Whatever came with the message: one is for *fd, more than one was never asked for. */
static bool take_fds(struct msghdr *h, int *fd)
{
	bool one = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			if (*fd >= 0) {
				close(*fd);
				one = false;
			}
			memcpy(fd, (const char *)c + at, sizeof(int));
		}
	}
	return one;
}

int parent_msg_recv(int sock, struct parent_msg *m, int *fd)
{
	struct iovec v = { .iov_base = m, .iov_len = sizeof(*m) };
	union control control;
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control.b,
			    .msg_controllen = sizeof(control.b) };
	ssize_t got;

	*fd = -1;
	do
		got = recvmsg(sock, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -1;
	bool fine = take_fds(&h, fd);
	if (fine && got == (ssize_t)sizeof(*m) && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return -1;
}
