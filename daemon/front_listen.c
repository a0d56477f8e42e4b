/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/front_loop.h"

#define BACKLOG 4096

union name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static int add(struct http_options *o, int fd, enum transport t, struct err *e)
{
	if (o->n_listeners == HTTP_LISTEN_MAX)
		return err_set(e, ERR_TOO_MANY, "more than %d HTTP listeners", HTTP_LISTEN_MAX);
	o->listeners[o->n_listeners++] = (struct http_listener){ fd, t };
	return 0;
}

static uint16_t port_of(const union name *n)
{
	return ntohs(n->any.sa_family == AF_INET ? n->v4.sin_port : n->v6.sin6_port);
}

/* systemd's socket stands for the configured address with its port. */
static int given_for(uint16_t port, const int *given, unsigned n_given)
{
	for (unsigned i = 0; i < n_given; i++) {
		union name n = { .any.sa_family = AF_UNSPEC };
		socklen_t size = sizeof(n);

		if (getsockname(given[i], &n.any, &size) == 0 && n.any.sa_family != AF_UNIX &&
		    port_of(&n) == port)
			return given[i];
	}
	return -1;
}

static bool has_v4(const struct listen_list *l, uint16_t port)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->v[i].v4 && l->v[i].port == port)
			return true;
	return false;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int tcp_open(const struct listen_list *list, const struct listen_addr *l, struct err *e)
{
	union name n = { .any.sa_family = AF_UNSPEC };
	socklen_t size = l->v4 ? sizeof(n.v4) : sizeof(n.v6);
	int fd = socket(l->v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (l->v4) {
		n.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(l->port) };
		memcpy(&n.v4.sin_addr, l->ip + 12, 4);
	} else {
		n.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htons(l->port) };
		memcpy(&n.v6.sin6_addr, l->ip, 16);
	}
	if (fd >= 0 && set(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
	    (l->v4 || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, has_v4(list, l->port)) == 0) &&
	    bind(fd, &n.any, size) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err_set(e, ERR_IO, "http %s: %s", l->text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int open_list(const struct listen_list *list, enum transport t, const int *given,
		     unsigned n_given, struct http_options *o, struct err *e)
{
	for (unsigned i = 0; i < list->n; i++) {
		int fd = given_for(list->v[i].port, given, n_given);

		if (fd < 0)
			fd = tcp_open(list, &list->v[i], e);
		if (fd < 0 || add(o, fd, t, e) < 0)
			return -1;
	}
	return 0;
}

static bool listed(const struct http_options *o, int fd)
{
	for (unsigned i = 0; i < o->n_listeners; i++)
		if (o->listeners[i].fd == fd)
			return true;
	return false;
}

/* What systemd listens on beyond the configured ports (80, say): plain HTTP, 443 TLS. */
static int adopt_rest(const int *given, unsigned n_given, struct http_options *o, struct err *e)
{
	for (unsigned i = 0; i < n_given; i++) {
		union name n = { .any.sa_family = AF_UNSPEC };
		socklen_t size = sizeof(n);

		if (listed(o, given[i]) || getsockname(given[i], &n.any, &size) != 0 ||
		    (n.any.sa_family != AF_INET && n.any.sa_family != AF_INET6))
			continue;
		if (add(o, given[i], port_of(&n) == 443 ? TRANSPORT_HTTPS : TRANSPORT_HTTP, e) < 0)
			return -1;
	}
	return 0;
}

int front_listen_network(const struct config *cfg, const int *given, unsigned n_given,
			 struct http_options *o, struct err *e)
{
	if (open_list(&cfg->http.listen, TRANSPORT_HTTP, given, n_given, o, e) < 0 ||
	    open_list(&cfg->http.listen_tls, TRANSPORT_HTTPS, given, n_given, o, e) < 0)
		return -1;
	return adopt_rest(given, n_given, o, e);
}

/* A socket left by a killed predecessor is in the way; anything else at the path is not touched. */
static void clear_path(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
}

static int local_open(const char *path, struct err *e)
{
	union name n = { .local.sun_family = AF_UNIX };
	int fd;

	if (text_copy(n.local.sun_path, sizeof(n.local.sun_path), path) < 0)
		return err_set(e, ERR_TOO_LARGE, "control socket: %s is too long a path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	clear_path(path);
	/* anybody may connect: the kernel says who it is, and the core decides */
	if (fd >= 0 && bind(fd, &n.any, sizeof(n.local)) == 0 && chmod(path, 0666) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	err_set(e, ERR_IO, "control socket %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int front_listen_control(const struct config *cfg, const int *given, unsigned n_given,
			 struct http_options *o, struct err *e)
{
	int fd = n_given > 0 ? given[0] : local_open(cfg->control.socket, e);

	return fd < 0 ? -1 : add(o, fd, TRANSPORT_UNIX, e);
}
