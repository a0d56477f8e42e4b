/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/http.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/http_private.h"

#define MEMORY_PER_CONNECTION (24u * 1024) /* headers, and the read buffer of bodies */
#define OPTIONS_MAX 20
#define UNSENT_MAX (256 << 10)

/* TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, nothing else. */
static const char tls_priorities[] =
	"NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CCM:"
	"+ECDHE-ECDSA:+ECDHE-RSA:+AEAD:+COMP-NULL:+GROUP-ALL:+CTYPE-X509:"
	"+SIGN-ALL:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1";

static void on_panic(void *cls, const char *file, unsigned line, const char *reason)
{
	(void)cls;
	log_error("http: broken beyond repair where=%s:%u why=%s", file, line,
		  reason ? reason : "unknown");
	abort();
}

/* Targets are decoded by http_parse_target; MHD shall leave them as they are. */
static size_t keep_escaped(void *cls, struct MHD_Connection *mc, char *s)
{
	(void)cls;
	(void)mc;
	return strlen(s);
}

struct option_list {
	struct MHD_OptionItem items[OPTIONS_MAX];
	unsigned n;
};

static void add_option(struct option_list *l, enum MHD_OPTION option, intptr_t value, void *p)
{
	/* the last is MHD_OPTION_END, which is 0 */
	if (l->n + 1 < OPTIONS_MAX)
		l->items[l->n++] = (struct MHD_OptionItem){ option, value, p };
}

/* MHD takes texts it only reads as plain pointers. */
static void add_text(struct option_list *l, enum MHD_OPTION option, const char *text)
{
	union {
		const char *in;
		void *out;
	} u = { .in = text };

	add_option(l, option, 0, u.out);
}

/* A function pointer where an intptr_t is asked for. */
static void add_function(struct option_list *l, enum MHD_OPTION option, void (*f)(void), void *ctx)
{
	_Static_assert(sizeof(intptr_t) == sizeof(f),
		       "MHD_OptionItem carries function pointers so");
	intptr_t v;

	memcpy(&v, &f, sizeof(v));
	add_option(l, option, v, ctx);
}

static void fill_options(struct option_list *l, const struct http_options *o, int fd,
			 const struct http_listener *from, struct http_listen *to)
{
	unsigned share = o->connections_max / o->n_listeners;

	share = share > 1 ? share : 2;
	/* what was ended leaves with MHD's next turn: some room above */
	to->crowded = share - (share + 7) / 8;
	add_option(l, MHD_OPTION_LISTEN_SOCKET, fd, NULL);
	add_option(l, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL);
	add_option(l, MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
	/* a share each, so that a flood on one listener leaves the others alone */
	add_option(l, MHD_OPTION_CONNECTION_LIMIT, share, NULL);
	if (from->transport != TRANSPORT_UNIX)
		add_option(l, MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->per_ip_max, NULL);
	add_option(l, MHD_OPTION_CONNECTION_TIMEOUT, o->idle_timeout_s, NULL);
	add_option(l, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_PER_CONNECTION, NULL);
	add_function(l, MHD_OPTION_NOTIFY_CONNECTION, (void (*)(void))http_conn_notify, to);
	add_function(l, MHD_OPTION_NOTIFY_COMPLETED, (void (*)(void))http_conn_completed, NULL);
	add_function(l, MHD_OPTION_URI_LOG_CALLBACK, (void (*)(void))http_conn_target, NULL);
	add_function(l, MHD_OPTION_UNESCAPE_CALLBACK, (void (*)(void))keep_escaped, NULL);
	if (from->transport == TRANSPORT_HTTPS) {
		add_text(l, MHD_OPTION_HTTPS_PRIORITIES, tls_priorities);
		add_text(l, MHD_OPTION_HTTPS_MEM_CERT, o->certificate_pem);
		add_text(l, MHD_OPTION_HTTPS_MEM_KEY, o->key_pem);
	}
}

/*
 * Who asks for an image and reads nothing must not fill megabytes of the kernel's memory with
 * it. Only what no window was given for counts: fast and distant askers are as fast as before.
 * Accepted sockets inherit it.
 */
static void bound_unsent(int fd)
{
	int most = UNSENT_MAX;

	/* refused by the control socket, whose askers are this machine's */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof(most));
}

static int start(struct http_server *hs, const struct http_options *o,
		 const struct http_listener *from, struct err *e)
{
	struct http_listen *l = &hs->listens[hs->n_listens];
	struct option_list list = { .n = 0 };
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;

	if (from->transport == TRANSPORT_HTTPS) {
		if (!o->certificate_pem || !o->key_pem)
			return err_set(e, ERR_INVALID, "HTTPS needs a certificate and its key");
		flags |= MHD_USE_TLS;
	}
	*l = (struct http_listen){ .hs = hs, .transport = from->transport };
	/* a copy: some failures inside MHD close the socket and some do not */
	int fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_set(e, ERR_IO, "the HTTP listener cannot be taken over");
	bound_unsent(fd);
	fill_options(&list, o, fd, from, l);
	l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_handler, hs, MHD_OPTION_ARRAY,
				     list.items, MHD_OPTION_END);
	if (!l->daemon)
		return err_set(e, ERR_INVALID, "the HTTP listener did not start%s",
			       flags & MHD_USE_TLS ? "; are certificate and key a pair?" : "");
	hs->n_listens++;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return err_set(e, ERR_INTERNAL, "libmicrohttpd has no epoll descriptor");
	l->epoll_fd = info->epoll_fd;
	return 0;
}

/* What would open files later, under the filter: the time zone, behind the Date field. */
static void prewarm(void)
{
	time_t t = 0;
	struct tm tm;

	tzset();
	if (!gmtime_r(&t, &tm))
		log_warn("http: no calendar");
}

int http_server_new(struct front *f, const struct http_options *o, struct http_server **out,
		    struct err *e)
{
	struct http_server *hs = calloc(1, sizeof(*hs));
	unsigned i = 0;

	*out = NULL;
	if (!hs || o->n_listeners > HTTP_LISTEN_MAX) {
		free(hs);
		return err_set(e, hs ? ERR_INVALID : ERR_NO_MEMORY, "too many HTTP listeners");
	}
	hs->front = f;
	hs->idle_timeout_s = o->idle_timeout_s;
	hs->min_rate = o->min_rate;
	MHD_set_panic_func(on_panic, NULL);
	prewarm();
	signal(SIGPIPE, SIG_IGN);
	for (; i < o->n_listeners; i++)
		if (start(hs, o, &o->listeners[i], e) != 0)
			break;
	bool failed = i < o->n_listeners;
	for (i = 0; i < o->n_listeners; i++)
		close(o->listeners[i].fd);
	if (failed) {
		http_server_free(hs);
		return -1;
	}
	front_on_withdraw(f, http_object_withdraw, hs);
	*out = hs;
	return 0;
}

void http_server_free(struct http_server *hs)
{
	if (!hs)
		return;
	/* MHD refuses to stop while a connection is suspended */
	for (struct http_conn *c = hs->conns; c; c = c->next)
		http_conn_cut(c);
	for (unsigned i = 0; i < hs->n_listens; i++)
		MHD_stop_daemon(hs->listens[i].daemon);
	http_object_sweep(hs, INT64_MAX);
	free(hs);
}

void http_server_stop(struct http_server *hs)
{
	hs->stopping = true;
	for (unsigned i = 0; i < hs->n_listens; i++) {
		MHD_socket fd = MHD_quiesce_daemon(hs->listens[i].daemon);

		if (fd != MHD_INVALID_SOCKET)
			close(fd);
	}
}

bool http_server_busy(struct http_server *hs, int64_t now)
{
	for (struct http_conn *c = hs->conns; c; c = c->next)
		if (http_conn_busy(c, now))
			return true;
	return false;
}

int http_server_fds(struct http_server *hs, int *fds, int limit)
{
	int n = 0;

	for (unsigned i = 0; i < hs->n_listens && n < limit; i++)
		fds[n++] = hs->listens[i].epoll_fd;
	return n;
}

void http_server_io(struct http_server *hs)
{
	int64_t now = clock_mono_ms();

	for (unsigned i = 0; i < hs->n_listens; i++)
		MHD_run(hs->listens[i].daemon);
	if (now >= hs->next_tick) {
		hs->next_tick = now + HTTP_TICK_MS;
		http_conn_tick(hs, now);
		http_object_sweep(hs, now);
	}
}

int64_t http_server_timeout(struct http_server *hs)
{
	int64_t least = -1;

	if (hs->conns || hs->n_entries) {
		least = hs->next_tick - clock_mono_ms();
		if (least < 0)
			least = 0;
	}
	for (unsigned i = 0; i < hs->n_listens && least != 0; i++) {
		MHD_UNSIGNED_LONG_LONG ms;

		if (MHD_get_timeout(hs->listens[i].daemon, &ms) != MHD_YES)
			continue;
		if (least < 0 || ms < (uint64_t)least)
			least = ms > INT32_MAX ? INT32_MAX : (int64_t)ms;
	}
	return least;
}
