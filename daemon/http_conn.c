/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* struct ucred */
#include "daemon/http_private.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

/* ---- life ---- */

void http_conn_phase(struct http_conn *c, enum http_phase phase)
{
	c->phase = phase;
	/* how much the peer took is asked at the next tick, not at each of many short answers */
	c->since = phase == HTTP_PHASE_SEND ? 0 : clock_mono_ms();
	c->mark = c->received;
}

/*
 * When connections become scarce the one goes that does least with its own: oldest
 * first those without a whole request, then the slowest body. An honest request is
 * whole as soon as it comes, so a crowd that only holds connections loses them to it.
 */
static unsigned idleness(const struct http_conn *c)
{
	switch (c->phase) {
	case HTTP_PHASE_HEAD:
	case HTTP_PHASE_IDLE:
		return 2;
	case HTTP_PHASE_BODY:
		return 1;
	case HTTP_PHASE_OURS:
	case HTTP_PHASE_SEND:
		break;
	}
	return 0;
}

static bool idler(const struct http_conn *a, const struct http_conn *b)
{
	unsigned x = idleness(a), y = idleness(b);

	if (x != y)
		return x > y;
	return a->received != b->received ? a->received < b->received : a->since < b->since;
}

static void make_room(struct http_listen *l, const struct http_conn *newest)
{
	struct http_conn *idlest = NULL;

	for (struct http_conn *c = l->hs->conns; c; c = c->next)
		if (c->listen == l && c != newest && !c->cut && idleness(c) > 0 &&
		    (!idlest || idler(c, idlest)))
			idlest = c;
	if (!idlest)
		return;
	http_conn_cut(idlest);
	l->hs->evicted++;
}

static void started(struct http_listen *l, struct MHD_Connection *mc, void **socket_context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_conn *c = calloc(1, sizeof(*c));

	*socket_context = c;
	if (!c)
		return;
	c->listen = l;
	c->mc = mc;
	c->fd = info ? info->connect_fd : -1;
	c->body = BUF_INIT(BODY_MAX_LEN);
	c->next = l->hs->conns;
	if (c->next)
		c->next->prev = c;
	l->hs->conns = c;
	http_conn_phase(c, HTTP_PHASE_HEAD);
	if (++l->n_conns > l->crowded)
		make_room(l, c);
}

static void closed(struct http_conn *c)
{
	struct http_server *hs = c->listen->hs;

	if (c->prev)
		c->prev->next = c->next;
	else
		hs->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->listen->n_conns--;
	if (c->session)
		front_session_close(hs->front, c->session);
	http_answer_drop(c);
	http_object_done(c);
	buf_free(&c->body);
	explicit_bzero(c->token, sizeof(c->token));
	explicit_bzero(c->session_token, sizeof(c->session_token));
	free(c);
}

void http_conn_notify(void *cls, struct MHD_Connection *mc, void **socket_context,
		      enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		started(cls, mc, socket_context);
	} else if (*socket_context) {
		closed(*socket_context);
		*socket_context = NULL;
	}
}

/*
 * The request line is there. The target is taken here, where it still is as
 * sent: MHD decodes it and takes the query to pieces afterwards.
 */
void *http_conn_target(void *cls, const char *uri, struct MHD_Connection *mc)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_conn *c = info ? info->socket_context : NULL;
	struct slice query, authority;
	size_t n;

	(void)cls;
	if (!c)
		return NULL;
	if (c->phase == HTTP_PHASE_IDLE)
		http_conn_phase(c, HTTP_PHASE_HEAD);
	c->target_status =
		http_parse_target(slice_str(uri ? uri : ""), c->path, &n, &query, &authority);
	if (text_copy_slice(c->query, sizeof(c->query), query) != 0 ||
	    text_copy_slice(c->authority, sizeof(c->authority), authority) != 0)
		c->target_status = 400;
	c->rq.path = slice_of(c->path, n);
	c->rq.query = slice_str(c->query);
	c->rq.host = slice_str(c->authority);
	return c;
}

/* The asker is gone, or has its answer: nothing of the request stays. */
void http_conn_completed(void *cls, struct MHD_Connection *mc, void **con_cls,
			 enum MHD_RequestTerminationCode code)
{
	struct http_conn *c = *con_cls;

	(void)cls;
	(void)mc;
	(void)code;
	if (!c)
		return;
	if (c->waiting)
		front_cancel(c->listen->hs->front, c->rq.id);
	if (c->upload)
		front_upload_abort(c->listen->hs->front, c->upload);
	c->waiting = c->blocked = c->must_close = false;
	c->upload = 0;
	http_answer_drop(c);
	http_object_done(c);
	if (c->body.cap > HTTP_KEEP_BODY)
		buf_free(&c->body);
	buf_reset(&c->body);
	c->received = 0;
	c->step = HTTP_START;
	http_conn_phase(c, HTTP_PHASE_IDLE);
}

void http_conn_suspend(struct http_conn *c)
{
	c->suspended = true;
	MHD_suspend_connection(c->mc);
}

void http_conn_resume(struct http_conn *c)
{
	/* MHD would take a resumption of one that runs as a veto on the next suspension */
	if (!c->suspended)
		return;
	c->suspended = false;
	MHD_resume_connection(c->mc);
}

void http_conn_cut(struct http_conn *c)
{
	c->cut = true;
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);
	http_conn_resume(c);
}

/* ---- session ---- */

static void address_evidence(struct http_conn *c, struct evidence *ev)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c->mc, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;

	if (sa && sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		ev->ip[10] = ev->ip[11] = 0xff;
		memcpy(ev->ip + 12, &in.sin_addr, 4);
		ev->port = ntohs(in.sin_port);
	} else if (sa && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, sa, sizeof(in));
		memcpy(ev->ip, &in.sin6_addr, 16);
		ev->port = ntohs(in.sin6_port);
	}
}

static bool evidence_of(struct http_conn *c, struct evidence *ev)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	*ev = (struct evidence){ .kind = EVIDENCE_PLAIN, .transport = c->listen->transport };
	if (ev->transport != TRANSPORT_UNIX) {
		ev->kind = ev->transport == TRANSPORT_HTTPS ? EVIDENCE_TLS : EVIDENCE_PLAIN;
		address_evidence(c, ev);
		return true;
	}
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof(cred))
		return false;
	ev->kind = EVIDENCE_LOCAL;
	ev->uid = cred.uid;
	return true;
}

static void on_drop(void *ctx, uint64_t session)
{
	struct http_conn *c = ctx;

	if (c->session != session)
		return;
	c->session = 0;
	http_conn_cut(c);
}

bool http_conn_session(struct http_conn *c)
{
	struct front *f = c->listen->hs->front;
	struct slice shown = slice_of(c->session_token, c->session_token_n);
	struct evidence ev;

	/*
	 * What a session was granted is served without asking again. A proxy may send another
	 * user's request over the same connection: another token is another session.
	 */
	if (c->session &&
	    (!slice_eq_ct(shown, c->rq.token) || !front_session_alive(f, c->session))) {
		front_session_close(f, c->session);
		c->session = 0;
	}
	if (!c->session && evidence_of(c, &ev)) {
		c->session = front_session_open(f, &ev, on_drop, c);
		if (text_copy_slice(c->session_token, sizeof(c->session_token), c->rq.token) != 0)
			return false;
		c->session_token_n = c->rq.token.n;
	}
	c->rq.session = c->session;
	return c->session != 0;
}

/* ---- pace ---- */

/* How much of what was sent the peer acknowledged; false where the kernel cannot tell. */
static bool acknowledged(const struct http_conn *c, uint64_t *bytes)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	if (c->listen->transport == TRANSPORT_UNIX ||
	    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 ||
	    n < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return false;
	*bytes = info.tcpi_bytes_acked;
	return true;
}

/* A window is over: did enough move in it? */
static bool window_slow(struct http_conn *c, int64_t now)
{
	uint64_t moved = c->received;
	uint64_t least = (uint64_t)c->listen->hs->min_rate * (HTTP_WINDOW_MS / 1000);

	if (c->since != 0 && now - c->since < HTTP_WINDOW_MS)
		return false;
	if (c->phase == HTTP_PHASE_SEND && !acknowledged(c, &moved))
		return false;
	bool slow = c->since != 0 && moved - c->mark < least;
	c->mark = moved;
	c->since = now;
	return slow;
}

bool http_conn_busy(struct http_conn *c, int64_t now)
{
	uint64_t moved = c->received;

	if (c->cut || c->step == HTTP_DISCARD)
		return false;
	switch (c->phase) {
	case HTTP_PHASE_HEAD:
	case HTTP_PHASE_IDLE:
		return false;
	case HTTP_PHASE_OURS:
		return true;
	case HTTP_PHASE_SEND:
		/* on the control socket nobody can tell: it is this machine's, and quick */
		if (!acknowledged(c, &moved))
			return true;
		break;
	case HTTP_PHASE_BODY:
		break;
	}
	if (c->last_move == 0 || moved != c->last_moved) {
		c->last_move = now;
		c->last_moved = moved;
	}
	return now - c->last_move < HTTP_STILL_MS;
}

static bool overdue(struct http_conn *c, int64_t now)
{
	int64_t idle = (int64_t)c->listen->hs->idle_timeout_s * 1000;

	if (c->step == HTTP_DISCARD)
		return now - c->since > HTTP_DISCARD_MS;
	switch (c->phase) {
	case HTTP_PHASE_HEAD:
		return now - c->since > HTTP_HEAD_MS;
	case HTTP_PHASE_IDLE:
		/* bytes of a request line, one by one, keep MHD's own timeout from striking */
		return now - c->since > idle + HTTP_HEAD_MS;
	case HTTP_PHASE_BODY:
	case HTTP_PHASE_SEND:
		return window_slow(c, now);
	case HTTP_PHASE_OURS:
		break;
	}
	return false;
}

void http_conn_tick(struct http_server *hs, int64_t now)
{
	unsigned cuts = 0;

	for (struct http_conn *c = hs->conns; c; c = c->next) {
		if (c->cut || !overdue(c, now))
			continue;
		cuts++;
		http_conn_cut(c);
	}
	if (hs->evicted)
		log_info("http: crowded, idle connections ended count=%u", hs->evicted);
	hs->evicted = 0;
	if (cuts)
		log_info("http: slow connections cut count=%u", cuts);
}
