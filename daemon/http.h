/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_HTTP_H
#define FETTLE_DAEMON_HTTP_H

#include "daemon/front.h"

/*
 * The HTTP adapter (libmicrohttpd behind it). Listening sockets are made by the
 * caller, before the sandbox; nothing is opened after http_server_new().
 */
#define HTTP_LISTEN_MAX 8

struct http_listener {
	int fd;				/* bound and listening; taken over */
	enum transport transport;	/* TRANSPORT_HTTP, _HTTPS or _UNIX (evidence: peer uid) */
};

struct http_options {
	struct http_listener listeners[HTTP_LISTEN_MAX];
	unsigned n_listeners;
	const char *certificate_pem, *key_pem;	/* for HTTPS listeners; texts, not paths */
	unsigned connections_max;	/* of all listeners, in equal shares */
	unsigned per_ip_max;		/* 0: no such limit */
	unsigned idle_timeout_s;
	unsigned min_rate;		/* bytes a second, over 10 s: the slower are cut */
};

struct http_server;
/* Takes every listener's fd, also when it fails. Takes f's withdraw callback. */
int http_server_new(struct front *f, const struct http_options *o, struct http_server **out,
		    struct err *e);
void http_server_free(struct http_server *hs);
/*
 * Take no connection any more; those there are end with the answer under way. Busy: a request
 * waits for the core, or a body still moves. Who only holds a connection open is not waited for.
 */
void http_server_stop(struct http_server *hs);
bool http_server_busy(struct http_server *hs, int64_t now);
int http_server_fds(struct http_server *hs, int *fds, int limit);
void http_server_io(struct http_server *hs);
/*
 * When http_server_io must be called again even without readiness, ms; -1: not.
 * Ask after every call into hs or front_io.
 */
int64_t http_server_timeout(struct http_server *hs);

#endif
