/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_HTTP_H
#define FETTLE_DAEMON_HTTP_H

#include "daemon/front.h"

/* The HTTP adapter (libmicrohttpd behind it). Listening sockets are made by the caller, before the sandbox. */
#define HTTP_LISTEN_MAX 8

struct http_listener {
	int fd;				/* bound and listening; taken over */
	enum transport transport;	/* TRANSPORT_HTTP, _HTTPS or _UNIX (peer credentials are the evidence) */
};

struct http_options {
	struct http_listener listeners[HTTP_LISTEN_MAX];
	unsigned n_listeners;
	const char *certificate_pem, *key_pem;	/* for HTTPS listeners; texts, not paths */
	unsigned connections_max, per_ip_max;
	unsigned idle_timeout_s, min_rate;	/* slow askers are cut below min_rate bytes a second */
};

struct http_server;
int http_server_new(struct front *f, const struct http_options *o, struct http_server **out, struct err *e);
void http_server_free(struct http_server *hs);
int http_server_fds(struct http_server *hs, int *fds, int limit);
void http_server_io(struct http_server *hs);
/* When http_server_io must be called again even without readiness, ms; -1: not. Ask after every call into hs or front_io. */
int64_t http_server_timeout(struct http_server *hs);

#endif
