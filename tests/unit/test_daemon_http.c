/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * The HTTP adapter over real sockets, with a front of the test's own behind
 * it. Server and client share one thread: every wait pumps the server.
 */
#define _GNU_SOURCE /* memmem */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/crypto.h"
#include "daemon/http_private.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define WAITING_MAX 16
#define OBJECTS 2
#define PATIENCE_MS 5000
#define V " HTTP/1.1\r\nHost: h\r\n"

/* ---- a front ---- */

struct waiting {
	uint32_t id;
	front_reply cb;
	void *ctx;
	char path[PATH_MAX_LEN + 1];
	char text[2048]; /* what the core made of the request, its answer's body */
	enum { ANSWER_TEXT, ANSWER_NULL, ANSWER_NEVER, ANSWER_OBJECT, ANSWER_UPLOAD } kind;
	bool want_body;
};

struct front {
	bool ready, busy, full, upload_full;
	struct waiting waiting[WAITING_MAX];
	unsigned n_waiting;
	uint32_t next_id;
	uint64_t next_session;
	unsigned sessions, opened, submitted, cancelled;
	struct evidence evidence;
	front_drop drop;
	void *drop_ctx;
	uint64_t last_session;
	front_withdraw withdraw;
	void *withdraw_ctx;
	struct front_object objects[OBJECTS];

	struct ipc_upload_open open;
	front_credit credit_cb;
	front_reply done_cb;
	void *upload_ctx;
	bool uploading, closed;
	unsigned credit, most_unacknowledged, chunks, aborted;
	uint64_t received, refuse_at, hold_at; /* refuse or hold once so much came */
	uint16_t refuse;
	struct sha256 *hash;
};

static struct front fake;
static struct http_server *server;
static int port;
static char unix_path[108];

uint64_t front_session_open(struct front *f, const struct evidence *ev, front_drop drop, void *ctx)
{
	if (f->full)
		return 0;
	f->evidence = *ev;
	f->drop = drop;
	f->drop_ctx = ctx;
	f->sessions++;
	f->opened++;
	return f->last_session = ++f->next_session;
}

void front_session_close(struct front *f, uint64_t session)
{
	ck_assert(session != 0);
	ck_assert(f->sessions > 0);
	f->sessions--;
}

bool front_session_alive(const struct front *f, uint64_t session)
{
	(void)f;
	return session != 0;
}

bool front_ready(const struct front *f)
{
	return f->ready;
}

static void describe(struct waiting *w, const struct request *rq)
{
	char tag[2 * ETAG_MAX + 1] = "";

	if (rq->n_if_none_match)
		text_hex(tag, rq->if_none_match[0].b, rq->if_none_match[0].n);
	ck_assert_int_eq(
		text_format(w->text, sizeof(w->text),
			    "%s %.*s?%.*s cf=%d accept=%d token=%.*s key=%.*s host=%.*s "
			    "inm=%s im=%d any=%d body=%zu",
			    method_name(rq->method), (int)rq->path.n, (const char *)rq->path.p,
			    (int)rq->query.n, (const char *)rq->query.p, rq->content_format,
			    rq->accept, (int)rq->token.n, (const char *)rq->token.p,
			    (int)rq->idempotency_key.n, (const char *)rq->idempotency_key.p,
			    (int)rq->host.n, (const char *)rq->host.p, tag, rq->n_if_match,
			    rq->if_match_any, rq->body.n),
		0);
}

int front_submit(struct front *f, struct request *rq, front_reply cb, void *ctx)
{
	struct waiting *w = &f->waiting[f->n_waiting];

	if (f->busy || f->n_waiting == WAITING_MAX)
		return -1;
	ck_assert(rq->session != 0);
	f->submitted++;
	f->n_waiting++;
	*w = (struct waiting){
		.id = rq->id = ++f->next_id, .cb = cb, .ctx = ctx, .want_body = rq->want_body
	};
	ck_assert_int_eq(text_copy_slice(w->path, sizeof(w->path), rq->path), 0);
	describe(w, rq);
	w->kind = strcmp(w->path, "/gone") == 0			  ? ANSWER_NULL
		  : strcmp(w->path, "/never") == 0		  ? ANSWER_NEVER
		  : strcmp(w->path, "/object") == 0		  ? ANSWER_OBJECT
		  : strncmp(w->path, "/api/v1/uploads/", 16) == 0 ? ANSWER_UPLOAD
								  : ANSWER_TEXT;
	return 0;
}

void front_cancel(struct front *f, uint32_t id)
{
	for (unsigned i = 0; i < f->n_waiting; i++)
		if (f->waiting[i].id == id) {
			f->waiting[i] = f->waiting[--f->n_waiting];
			f->cancelled++;
			return;
		}
	ck_abort_msg("cancelled what was not asked");
}

bool front_granted(struct front *f, uint64_t session, struct slice path, struct front_grant *out)
{
	ck_assert(session != 0);
	for (int i = 0; i < OBJECTS; i++) {
		char name[16];

		ck_assert_int_eq(text_format(name, sizeof(name), "/image/%d", i), 0);
		if (!slice_eq_str(path, name) || f->objects[i].withdrawn)
			continue;
		*out = (struct front_grant){ &f->objects[i], MEDIA_OCTETS, 60 };
		return true;
	}
	return false;
}

struct front_object *front_object_find(struct front *f, const struct digest *d)
{
	for (int i = 0; i < OBJECTS; i++)
		if (digest_eq(&f->objects[i].digest, d) && !f->objects[i].withdrawn)
			return &f->objects[i];
	return NULL;
}

void front_object_ref(struct front_object *o)
{
	o->refs++;
}

void front_object_unref(struct front *f, struct front_object *o)
{
	(void)f;
	ck_assert(o->refs > 0);
	o->refs--;
}

void front_on_withdraw(struct front *f, front_withdraw cb, void *ctx)
{
	f->withdraw = cb;
	f->withdraw_ctx = ctx;
}

uint32_t front_upload_open(struct front *f, struct ipc_upload_open *o, front_credit credit_cb,
			   front_reply done_cb, void *ctx)
{
	if (f->upload_full)
		return 0;
	ck_assert(!f->uploading);
	f->open = *o;
	f->credit_cb = credit_cb;
	f->done_cb = done_cb;
	f->upload_ctx = ctx;
	f->uploading = true;
	f->closed = false;
	f->credit = f->chunks = 0;
	f->received = 0;
	return 7;
}

int front_upload_chunk(struct front *f, uint32_t upload, struct slice bytes)
{
	ck_assert_uint_eq(upload, 7);
	ck_assert(f->uploading && bytes.n > 0 && bytes.n <= IPC_CHUNK_MAX);
	if (f->credit == 0)
		return -1;
	f->credit--;
	f->chunks++;
	f->received += bytes.n;
	ck_assert_int_eq(sha256_add(f->hash, bytes), 0);
	return 0;
}

void front_upload_close(struct front *f, uint32_t upload)
{
	ck_assert(upload == 7 && f->uploading);
	f->closed = true;
}

void front_upload_abort(struct front *f, uint32_t upload)
{
	ck_assert(upload == 7 && f->uploading);
	f->uploading = false;
	f->aborted++;
}

/* ---- what the core would say, a turn later ---- */

static void answer(struct waiting *w)
{
	struct response rs = {
		.status = 200, .media = MEDIA_TEXT, .max_age = -1, .retry_after = -1
	};

	rs.body = slice_str(w->text);
	rs.etag = (struct etag){ .b = { 0xab, 0xcd }, .n = 8 };
	if (w->kind == ANSWER_OBJECT) {
		rs.has_object = true;
		rs.object = fake.objects[0].digest;
		rs.media = MEDIA_SUIT_ENVELOPE;
		rs.max_age = 5;
	} else if (w->kind == ANSWER_UPLOAD) {
		rs.media = MEDIA_JSON;
		rs.body = slice_str("{\"offset\":12345,\"size\":\"99999\",\"complete\":false}");
	} else if (strcmp(w->path, "/created") == 0) {
		rs.status = 201;
		rs.media = MEDIA_HTML;
		ck_assert_int_eq(text_copy(rs.location, sizeof(rs.location), "/created/1"), 0);
	} else if (strcmp(w->path, "/unmodified") == 0) {
		rs.status = 304;
		rs.max_age = 30;
		rs.media = MEDIA_TEXT;
		rs.body = slice_str("so long would it be");
	} else if (strcmp(w->path, "/later") == 0) {
		rs.status = 429;
		rs.retry_after = 17;
		rs.close = true;
	} else if (strcmp(w->path, "/no-such-verb") == 0) {
		rs.status = 405;
		rs.allow = METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_HEAD) |
			   METHOD_BIT(METHOD_DELETE);
	}
	if (!w->want_body)
		rs.body = slice_of(NULL, 0);
	w->cb(w->ctx, w->kind == ANSWER_NULL ? NULL : &rs);
}

static void upload_turn(void)
{
	struct response rs = {
		.status = 201, .media = MEDIA_JSON, .max_age = -1, .retry_after = -1
	};
	front_reply done = fake.done_cb;
	bool refused = fake.refuse && fake.received >= fake.refuse_at;

	if (!fake.uploading || (fake.hold_at && fake.received >= fake.hold_at))
		return;
	rs.body = slice_str("{\"digest\":\"d\"}");
	if (refused) {
		rs.status = fake.refuse;
		rs.media = MEDIA_PROBLEM_JSON;
		rs.body = slice_str("{\"title\":\"no\"}");
	} else if (fake.closed && fake.open.complete == 0) {
		rs.body = slice_str("{\"offset\":0,\"complete\":false}");
		ck_assert_int_eq(text_copy(rs.location, sizeof(rs.location), "/api/v1/uploads/u1"),
				 0);
	}
	if (refused || fake.closed) {
		fake.uploading = false;
		done(fake.upload_ctx, &rs);
	} else if (fake.credit < IPC_CREDIT) {
		fake.credit = IPC_CREDIT;
		fake.credit_cb(fake.upload_ctx, fake.credit, fake.received);
	}
}

static void fake_turn(void)
{
	for (unsigned i = 0; i < fake.n_waiting;) {
		struct waiting w = fake.waiting[i];

		if (w.kind == ANSWER_NEVER) {
			i++;
			continue;
		}
		fake.waiting[i] = fake.waiting[--fake.n_waiting];
		answer(&w);
	}
	upload_turn();
}

static void pump(int fd, short events)
{
	struct pollfd p[HTTP_LISTEN_MAX + 1];
	int fds[HTTP_LISTEN_MAX], n = http_server_fds(server, fds, HTTP_LISTEN_MAX);
	int64_t wait = http_server_timeout(server);

	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	p[n] = (struct pollfd){ .fd = fd, .events = events };
	ck_assert_int_ge(poll(p, (nfds_t)n + 1, wait < 0 || wait > 5 ? 5 : (int)wait), 0);
	http_server_io(server);
	fake_turn();
}

/* ---- a client ---- */

struct reply {
	int status;
	char *head, *body;
	size_t body_n;
};

struct client {
	int fd;
	gnutls_session_t tls;
	gnutls_certificate_credentials_t cred;
	struct buf in;
	size_t used; /* of in, by replies taken */
	bool eof;
};

static void client_on(struct client *k, int fd, const struct sockaddr *sa, socklen_t n)
{
	*k = (struct client){ .fd = fd, .in = BUF_INIT(64u << 20) };
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, sa, n), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void client_open(struct client *k)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client_on(k, socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa));
}

static void client_close(struct client *k)
{
	if (k->tls)
		gnutls_deinit(k->tls);
	if (k->cred)
		gnutls_certificate_free_credentials(k->cred);
	close(k->fd);
	buf_free(&k->in);
	for (int i = 0; i < 50 && server && server->conns; i++)
		pump(-1, 0);
}

static ssize_t client_write(struct client *k, const void *p, size_t n)
{
	if (!k->tls)
		return send(k->fd, p, n, MSG_NOSIGNAL);
	return gnutls_record_send(k->tls, p, n);
}

/* As much as the server takes; how much it was. */
static size_t client_send(struct client *k, const void *p, size_t n)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	size_t done = 0;

	while (done < n && clock_mono_ms() < end) {
		ssize_t w = client_write(k, (const char *)p + done, n - done);

		if (w > 0)
			done += (size_t)w;
		else if (k->tls ? w != GNUTLS_E_AGAIN : errno != EAGAIN)
			break;
		pump(k->fd, w > 0 ? 0 : POLLOUT);
	}
	return done;
}

static void client_say(struct client *k, const char *text)
{
	ck_assert_uint_eq(client_send(k, text, strlen(text)), strlen(text));
}

static bool client_read(struct client *k)
{
	char room[65536];
	ssize_t n = k->tls ? gnutls_record_recv(k->tls, room, sizeof(room))
			   : recv(k->fd, room, sizeof(room), 0);

	if (n > 0) {
		buf_add(&k->in, room, (size_t)n);
		ck_assert(!k->in.failed);
		return true;
	}
	if (n == 0 || (k->tls ? n != GNUTLS_E_AGAIN : errno != EAGAIN))
		k->eof = true;
	return false;
}

static const char *header(const struct reply *r, const char *name)
{
	static char value[1024];
	const char *at = r->head;
	size_t n = strlen(name);

	for (; at; at = strstr(at, "\r\n") ? strstr(at, "\r\n") + 2 : NULL)
		if (strncasecmp(at, name, n) == 0 && at[n] == ':') {
			const char *from = at + n + 2;
			ck_assert_int_eq(text_copy_slice(value, sizeof(value),
							 slice_of(from, strcspn(from, "\r"))),
					 0);
			return value;
		}
	return "";
}

/* The next reply if it is all there. head: a reply to HEAD, which has no body. */
static bool reply_take(struct client *k, struct reply *r, bool head)
{
	char *text = (char *)k->in.p;
	char *end = k->in.n > k->used ? strstr(text + k->used, "\r\n\r\n") : NULL;

	if (!end)
		return false;
	r->head = text + k->used;
	r->body = end + 4;
	ck_assert_int_eq(strncmp(r->head, "HTTP/1.1 ", 9), 0);
	r->status = (int)strtol(r->head + 9, NULL, 10);
	char after = *r->body;
	*r->body = '\0'; /* header() shall not look into the body */
	const char *length = header(r, "Content-Length");
	r->body_n = head || r->status == 304 ? 0 : strtoull(length, NULL, 10);
	*r->body = after;
	if (k->in.n - (size_t)(r->body - text) < r->body_n)
		return false;
	k->used = (size_t)(r->body - text) + r->body_n;
	return true;
}

/* False: the connection ended without a whole reply. */
static bool client_take(struct client *k, struct reply *r, bool head)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	for (;;) {
		while (client_read(k))
			;
		(void)buf_cstr(&k->in);
		if (reply_take(k, r, head))
			return true;
		if (k->eof || clock_mono_ms() > end)
			return false;
		pump(k->fd, POLLIN);
	}
}

static bool client_ended(struct client *k)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (!k->eof && clock_mono_ms() < end) {
		pump(k->fd, POLLIN);
		while (client_read(k))
			;
	}
	return k->eof;
}

static void ask(struct client *k, struct reply *r, const char *request)
{
	client_say(k, request);
	ck_assert_msg(client_take(k, r, strncmp(request, "HEAD", 4) == 0), "no reply: %s", request);
}

static bool body_has(const struct reply *r, const char *text)
{
	return memmem(r->body, r->body_n, text, strlen(text)) != NULL;
}

/* ---- a server ---- */

static int listen_tcp(int *bound)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	*bound = ntohs(sa.sin_port);
	return fd;
}

static int listen_unix(struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char dir[] = "/tmp/fettle-http-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(dir));
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	ck_assert_int_eq(text_format(sa->sun_path, sizeof(sa->sun_path), "%s/s", dir), 0);
	ck_assert_int_eq(text_copy(unix_path, sizeof(unix_path), sa->sun_path), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)sa, sizeof(*sa)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

/* Bytes that tell the places in it apart; the digest is a name here, nobody checks it. */
static void make_object(int i, size_t size)
{
	uint8_t *p = calloc(1, size);
	uint32_t x = 1;

	ck_assert_ptr_nonnull(p);
	for (size_t k = 0; k < size; k += 997)
		p[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	fake.objects[i] = (struct front_object){ .map = p, .size = size };
	memset(fake.objects[i].digest.b, 0xd0 + i, DIGEST_SIZE);
}

static void server_start(int fd, enum transport t, const char *certificate, const char *key)
{
	struct http_options o = { .n_listeners = 1,
				  .certificate_pem = certificate,
				  .key_pem = key,
				  .connections_max = 32,
				  .per_ip_max = 16,
				  .idle_timeout_s = 30,
				  .min_rate = 100 };
	struct err e;

	o.listeners[0] = (struct http_listener){ fd, t };
	ck_assert_msg(http_server_new(&fake, &o, &server, &e) == 0, "%s", e.text);
}

static void fake_start(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.ready = true;
	fake.hash = sha256_new();
	make_object(0, 1 << 20);
	make_object(1, 24 << 20);
}

static void setup(void)
{
	fake_start();
	server_start(listen_tcp(&port), TRANSPORT_HTTP, NULL, NULL);
}

static void teardown(void)
{
	http_server_free(server);
	server = NULL;
	ck_assert_uint_eq(fake.sessions, 0);
	ck_assert_uint_eq(fake.n_waiting, 0);
	ck_assert(!fake.uploading);
	for (int i = 0; i < OBJECTS; i++) {
		union {
			const uint8_t *in;
			void *out;
		} u = { .in = fake.objects[i].map };

		ck_assert_uint_eq(fake.objects[i].refs, 0);
		free(u.out);
	}
	sha256_free(fake.hash);
}

/* ---- requests ---- */

START_TEST(fields_reach_the_core)
{
	struct client k;
	struct reply r;

	client_open(&k);
	ask(&k, &r,
	    "POST /a%20b/c?x=1&y HTTP/1.1\r\nHost: fw.example:80\r\n"
	    "Authorization: Bearer t0\r\n"
	    "Content-Type: application/cbor\r\nAccept: application/json;q=0.1\r\n"
	    "Accept: application/cbor\r\nIdempotency-Key: k-1\r\n"
	    "If-None-Match: W/\"0102\"\r\n"
	    "If-Match: \"aa\", \"bb\"\r\nContent-Length: 4\r\n\r\nabcd");
	ck_assert_int_eq(r.status, 200);
	ck_assert(body_has(&r, "POST /a b/c?x=1&y cf=60 accept=60 "
			       "token=t0 key=k-1 host=fw.example:80 "
			       "inm=0102 im=2 any=0 body=4"));
	ck_assert_str_eq(header(&r, "Content-Type"), "text/plain; charset=utf-8");
	ck_assert_str_eq(header(&r, "ETag"), "\"abcd000000000000\"");
	ck_assert_str_eq(header(&r, "Cache-Control"), "no-store");
	ck_assert_str_eq(header(&r, "X-Content-Type-Options"), "nosniff");
	ck_assert_int_eq(fake.evidence.kind, EVIDENCE_PLAIN);
	ck_assert_int_eq(fake.evidence.ip[12], 127);
	ck_assert_int_ne(fake.evidence.port, 0);
	client_close(&k);
}
END_TEST

START_TEST(one_session_per_connection_and_token)
{
	struct client k;
	struct reply r;

	client_open(&k);
	ask(&k, &r, "GET /a" V "\r\n");
	ask(&k, &r, "GET /b" V "\r\nGET /c" V "\r\n");
	ck_assert(body_has(&r, "GET /b?"));
	ck_assert(client_take(&k, &r, false));
	ck_assert(body_has(&r, "GET /c?"));
	ck_assert_uint_eq(fake.opened, 1);
	ask(&k, &r, "GET /d" V "Authorization: Bearer x\r\n\r\n");
	ck_assert_uint_eq(fake.opened, 2);
	ask(&k, &r, "GET /d" V "Authorization: Bearer x\r\n\r\n");
	ck_assert_uint_eq(fake.opened, 2);
	ck_assert_uint_eq(fake.sessions, 1);
	client_close(&k);
	ck_assert_uint_eq(fake.sessions, 0);
}
END_TEST

START_TEST(head_has_no_body)
{
	struct client k;
	struct reply r;

	client_open(&k);
	ask(&k, &r, "HEAD /a" V "\r\n");
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_ne(header(&r, "Content-Length"), "0");
	ask(&k, &r, "HEAD /api/v1/uploads/u1" V "\r\n");
	ck_assert_str_eq(header(&r, "Upload-Offset"), "12345");
	ck_assert_str_eq(header(&r, "Upload-Complete"), "?0");
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert(body_has(&r, "GET /a?"));
	client_close(&k);
}
END_TEST

/* Told to stop it waits for what moves, ends each connection with its answer, and takes none. */
START_TEST(stops_gently)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct client k, still;
	struct reply r;
	int64_t now;

	client_open(&still);
	client_open(&k);
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert_str_ne(header(&r, "Connection"), "close");
	client_say(&still, "POST /a" V "Content-Length: 10\r\n\r\nabc");
	for (int i = 0; i < 20; i++)
		pump(still.fd, 0);
	now = clock_mono_ms();
	http_server_stop(server);
	ck_assert(http_server_busy(server, now));
	ck_assert(http_server_busy(server, now + HTTP_STILL_MS - 1));
	/* it only holds its connection by now */
	ck_assert(!http_server_busy(server, now + HTTP_STILL_MS));
	ask(&k, &r, "GET /b" V "\r\n");
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(header(&r, "Connection"), "close");
	client_close(&k);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_ne(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	client_close(&still);
}
END_TEST

START_TEST(answers_map)
{
	struct client k;
	struct reply r;

	client_open(&k);
	ask(&k, &r, "PUT /created" V "Content-Length: 0\r\n\r\n");
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(header(&r, "Location"), "/created/1");
	ck_assert(strstr(header(&r, "Content-Security-Policy"), "default-src 'none'") != NULL);
	ask(&k, &r, "GET /unmodified" V "\r\n");
	ck_assert_int_eq(r.status, 304);
	ck_assert_str_eq(header(&r, "Cache-Control"), "max-age=30");
	/* RFC 9110, 8.6 and 15.4.5: the length a 200 would have, and no body */
	ck_assert_str_eq(header(&r, "Content-Length"), "19");
	ck_assert_str_eq(header(&r, "Content-Type"), "");
	ask(&k, &r, "GET /gone" V "\r\n");
	ck_assert_int_eq(r.status, 503);
	ck_assert_str_eq(header(&r, "Retry-After"), "1");
	ask(&k, &r, "POST /no-such-verb" V "Content-Length: 0\r\n\r\n");
	ck_assert_int_eq(r.status, 405);
	ck_assert_str_eq(header(&r, "Allow"), "GET, HEAD, DELETE");
	ask(&k, &r, "GET /later" V "\r\n");
	ck_assert_int_eq(r.status, 429);
	ck_assert_str_eq(header(&r, "Retry-After"), "17");
	ck_assert(client_ended(&k));
	client_close(&k);
}
END_TEST

START_TEST(no_room_is_said)
{
	struct client k;
	struct reply r;

	client_open(&k);
	fake.ready = false;
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert_int_eq(r.status, 503);
	fake.ready = true;
	fake.full = true;
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert_int_eq(r.status, 503);
	fake.full = false;
	fake.busy = true;
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert_int_eq(r.status, 503);
	ck_assert_str_eq(header(&r, "Retry-After"), "1");
	ck_assert_str_eq(header(&r, "Content-Type"), "application/problem+json");
	ck_assert(body_has(&r, "\"type\":\"urn:fettle:busy\""));
	fake.busy = false;
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert_int_eq(r.status, 200);
	client_close(&k);
}
END_TEST

/* Each with a canary behind it that must not be taken for a request. */
static const struct {
	const char *request;
	int status;
} doubtful[] = {
	{ "POST /a" V "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400 },
	{ "POST /a" V "Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc", 400 },
	{ "POST /a" V "Content-Length: 3\r\ncontent-length: 9\r\n\r\nabc", 400 },
	{ "POST /a" V "Content-Length: 3, 3\r\n\r\nabc", 400 },
	{ "POST /a" V "Content-Length: +3\r\n\r\nabc", 400 },
	{ "POST /a" V "Content-Length : 3\r\n\r\nabc", 400 },
	{ "POST /a" V "Content-Length: 99999999999999999999\r\n\r\n", 413 },
	{ "POST /a" V "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
	{ "POST /a" V "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411 },
	{ "POST /a" V "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501 },
	{ "POST /a" V "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501 },
	{ "POST /a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
	{ "GET /a" V "Host: i\r\n\r\n", 400 },
	{ "GET /a HTTP/1.1\r\n\r\n", 400 },
	{ "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "GET /a" V "X: a\x01z\r\n\r\n", 400 },
	{ "GET /a" V "Range: bytes=0-1\r\nRange: bytes=0-2\r\n\r\n", 400 },
	{ "GET /a" V "nocolon\r\n\r\n", 400 },
};

START_TEST(doubtful_framing_closes)
{
	struct client k;
	struct reply r;

	client_open(&k);
	client_say(&k, doubtful[_i].request);
	(void)client_send(&k, "GET /canary" V "\r\n", 32);
	ck_assert_msg(client_take(&k, &r, false), "%s", doubtful[_i].request);
	ck_assert_msg(r.status == doubtful[_i].status, "%s: %d", doubtful[_i].request, r.status);
	ck_assert(client_ended(&k));
	ck_assert(!reply_take(&k, &r, false));
	ck_assert_uint_eq(fake.submitted, 0);
	client_close(&k);
}
END_TEST

/* Wrong, but it is certain where they end: the connection lives on. */
static const struct {
	const char *request;
	int status;
} refused[] = {
	{ "GET /a//b" V "\r\n", 400 },
	{ "GET /%2e%2e/b" V "\r\n", 400 },
	{ "BREW /a" V "\r\n", 501 },
	{ "OPTIONS *" V "\r\n", 400 },
	{ "GET /a" V "Authorization: Digest x\r\n\r\n", 401 },
	{ "PUT /a" V "If-None-Match: *\r\nContent-Length: 2\r\n\r\nab", 400 },
	{ "PUT /a" V "If-Match: x\r\nContent-Length: 2\r\n\r\nab", 400 },
	{ "POST /a" V "Sec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\nab", 403 },
	{ "POST /a" V "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", 415 },
	{ "POST /a" V "Expect: 200-ok\r\nContent-Length: 2\r\n\r\nab", 417 },
	{ "POST /api/v1/images" V "\r\n", 411 },
	{ "PATCH /api/v1/uploads/u" V "Content-Length: 0\r\n\r\n", 400 },
	{ "POST /api/v1/images" V "Repr-Digest: sha-256=x\r\nContent-Length: 0\r\n\r\n", 400 },
};

START_TEST(refusals_keep_the_connection)
{
	struct client k;
	struct reply r;

	client_open(&k);
	ask(&k, &r, refused[_i].request);
	ck_assert_msg(r.status == refused[_i].status, "%s: %d", refused[_i].request, r.status);
	ck_assert(body_has(&r, "urn:fettle:"));
	ck_assert_uint_eq(fake.submitted, 0);
	ask(&k, &r, "GET /after" V "\r\n");
	ck_assert(body_has(&r, "GET /after?"));
	client_close(&k);
}
END_TEST

START_TEST(bodies_are_bounded)
{
	char *body = calloc(1, 8 << 20);
	struct client k;
	struct reply r;

	client_open(&k);
	client_say(&k, "PUT /a" V "Content-Length: 65536\r\n\r\n");
	ck_assert_uint_eq(client_send(&k, body, 65536), 65536);
	ck_assert(client_take(&k, &r, false));
	ck_assert(body_has(&r, "body=65536"));
	/* heard while most of the body is still to be sent, and not lost in a reset */
	client_say(&k, "PUT /a" V "Content-Length: 8388608\r\n\r\n");
	ck_assert_uint_eq(client_send(&k, body, 100000), 100000);
	ck_assert(client_take(&k, &r, false));
	ck_assert_int_eq(r.status, 413);
	ck_assert_str_eq(header(&r, "Connection"), "close");
	(void)client_send(&k, body, 8388608 - 100000);
	ck_assert(client_ended(&k));
	ck_assert_uint_eq(fake.submitted, 1);
	client_close(&k);
	client_open(&k);
	ask(&k, &r, "PUT /a" V "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n");
	ck_assert_int_eq(r.status, 413);
	ck_assert(client_ended(&k));
	client_close(&k);
	free(body);
}
END_TEST

/* ---- objects ---- */

START_TEST(object_whole)
{
	struct client k;
	struct reply r;
	char hex[DIGEST_TEXT];

	client_open(&k);
	digest_text(hex, &fake.objects[0].digest);
	for (int i = 0; i < 2; i++) {
		ask(&k, &r, "GET /image/0" V "\r\n");
		ck_assert_int_eq(r.status, 200);
		ck_assert_uint_eq(r.body_n, fake.objects[0].size);
		ck_assert(memcmp(r.body, fake.objects[0].map, r.body_n) == 0);
		ck_assert(strstr(header(&r, "ETag"), hex) != NULL);
		ck_assert_str_eq(header(&r, "Accept-Ranges"), "bytes");
		ck_assert_str_eq(header(&r, "Cache-Control"), "max-age=60");
		ck_assert_str_eq(header(&r, "Content-Type"), "application/octet-stream");
		ck_assert_int_eq(strncmp(header(&r, "Repr-Digest"), "sha-256=:", 9), 0);
	}
	ck_assert_uint_eq(server->n_entries, 1);
	ask(&k, &r, "HEAD /image/0" V "Range: bytes=0-1\r\n\r\n");
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(header(&r, "Content-Length"), "1048576");
	/* named by the core, with another media type; a query asks the core as well */
	ask(&k, &r, "GET /object" V "\r\n");
	ck_assert_uint_eq(r.body_n, fake.objects[0].size);
	ck_assert_str_eq(header(&r, "Content-Type"), "application/suit-envelope+cose");
	ask(&k, &r, "GET /image/0?x" V "\r\n");
	ck_assert(body_has(&r, "GET /image/0?x"));
	ck_assert_uint_eq(fake.objects[0].refs, 2);
	http_object_sweep(server, clock_mono_ms() + HTTP_ENTRY_IDLE_MS + 1000);
	ck_assert_uint_eq(fake.objects[0].refs, 0);
	client_close(&k);
}
END_TEST

static const struct {
	const char *fields;
	int status;
	size_t first, n;
} parts[] = {
	{ "Range: bytes=0-0\r\n", 206, 0, 1 },
	{ "Range: bytes=1000-1999\r\n", 206, 1000, 1000 },
	{ "Range: bytes=1048000-\r\n", 206, 1048000, 576 },
	{ "Range: bytes=-7\r\n", 206, 1048569, 7 },
	{ "Range: bytes=0-1,5-6\r\n", 200, 0, 1048576 },
	{ "Range: bytes=1048576-\r\n", 416, 0, 0 },
	{ "Range: bytes=1-2\r\nIf-Range: @\r\n", 206, 1, 2 },
	{ "Range: bytes=1-2\r\nIf-Range: W/@\r\n", 200, 0, 1048576 },
	{ "Range: bytes=1-2\r\nIf-Range: \"00\"\r\n", 200, 0, 1048576 },
	{ "Range: bytes=1-2\r\nIf-Range: Tue, 15 Nov 1994 12:45:26 GMT\r\n", 200, 0, 1048576 },
	{ "If-None-Match: @\r\n", 304, 0, 0 },
	{ "If-None-Match: W/@\r\n", 304, 0, 0 },
	{ "If-None-Match: *\r\n", 304, 0, 0 },
	{ "If-None-Match: \"00\", @\r\nRange: bytes=0-1\r\n", 304, 0, 0 },
	{ "If-None-Match: \"00\"\r\n", 200, 0, 1048576 },
	{ "If-Match: @\r\nRange: bytes=3-4\r\n", 206, 3, 2 },
	{ "If-Match: *\r\n", 200, 0, 1048576 },
	{ "If-Match: \"00\"\r\n", 412, 0, 0 },
	{ "If-Match: W/@\r\n", 412, 0, 0 },
};

START_TEST(object_parts)
{
	struct buf b = BUF_INIT(4096);
	struct client k;
	struct reply r;
	char hex[DIGEST_TEXT], range[64];

	digest_text(hex, &fake.objects[0].digest);
	buf_add_str(&b, "GET /image/0" V);
	for (const char *p = parts[_i].fields; *p; p++)
		if (*p == '@')
			buf_printf(&b, "\"%s\"", hex);
		else
			buf_add_u8(&b, (uint8_t)*p);
	buf_add_str(&b, "\r\n");
	client_open(&k);
	ask(&k, &r, buf_cstr(&b));
	ck_assert_msg(r.status == parts[_i].status, "%s: %d", parts[_i].fields, r.status);
	if (r.status == 206 || r.status == 200) {
		ck_assert_uint_eq(r.body_n, parts[_i].n);
		ck_assert(memcmp(r.body, fake.objects[0].map + parts[_i].first, r.body_n) == 0);
	}
	if (r.status == 206) {
		ck_assert_int_eq(text_format(range, sizeof(range), "bytes %zu-%zu/1048576",
					     parts[_i].first, parts[_i].first + parts[_i].n - 1),
				 0);
		ck_assert_str_eq(header(&r, "Content-Range"), range);
	}
	if (r.status == 416)
		ck_assert_str_eq(header(&r, "Content-Range"), "bytes */1048576");
	if (r.status != 416 && r.status != 412)
		ck_assert(strstr(header(&r, "ETag"), hex) != NULL);
	if (r.status == 304) {
		ck_assert_str_eq(header(&r, "Content-Length"), "1048576");
		ask(&k, &r, "GET /after" V "\r\n");
		ck_assert(body_has(&r, "GET /after?"));
	}
	client_close(&k);
	buf_free(&b);
}
END_TEST

START_TEST(object_resumed_after_a_cut)
{
	const struct front_object *o = &fake.objects[1];
	uint8_t *whole = malloc(o->size);
	struct client k;
	struct reply r;
	char text[200];
	size_t got = 0;

	client_open(&k);
	client_say(&k, "GET /image/1" V "\r\n");
	while (k.in.n < 3000000) {
		pump(k.fd, POLLIN);
		(void)client_read(&k);
	}
	(void)buf_cstr(&k.in);
	const char *body = strstr((char *)k.in.p, "\r\n\r\n") + 4;
	got = k.in.n - (size_t)(body - (char *)k.in.p);
	memcpy(whole, body, got);
	client_close(&k);
	client_open(&k);
	ck_assert_int_eq(text_format(text, sizeof(text),
				     "GET /image/1" V "Range: bytes=%zu-\r\n\r\n", got),
			 0);
	ask(&k, &r, text);
	ck_assert_int_eq(r.status, 206);
	ck_assert_uint_eq(r.body_n, o->size - got);
	memcpy(whole + got, r.body, r.body_n);
	ck_assert(memcmp(whole, o->map, o->size) == 0);
	client_close(&k);
	free(whole);
}
END_TEST

START_TEST(withdrawn_objects_are_cut)
{
	struct client k, other;
	struct reply r;

	client_open(&k);
	client_open(&other);
	client_say(&k, "GET /image/1" V "\r\n");
	while (k.in.n < 100000) {
		pump(k.fd, POLLIN);
		(void)client_read(&k);
	}
	ask(&other, &r, "GET /image/0" V "\r\n");
	fake.objects[1].withdrawn = true;
	fake.withdraw(fake.withdraw_ctx, &fake.objects[1].digest);
	ck_assert(client_ended(&k));
	ck_assert_uint_lt(k.in.n, fake.objects[1].size);
	ck_assert_uint_eq(fake.objects[1].refs, 0);
	ask(&other, &r, "GET /image/0" V "\r\n");
	ck_assert_int_eq(r.status, 200);
	client_close(&k);
	client_close(&other);
}
END_TEST

/* ---- ends ---- */

START_TEST(dropped_sessions_are_cut)
{
	struct client k;

	client_open(&k);
	client_say(&k, "GET /never" V "\r\n");
	while (fake.n_waiting == 0)
		pump(k.fd, 0);
	fake.sessions--;
	fake.drop(fake.drop_ctx, fake.last_session);
	ck_assert(client_ended(&k));
	ck_assert_uint_eq(k.in.n, 0);
	ck_assert_uint_eq(fake.cancelled, 1);
	client_close(&k);
}
END_TEST

START_TEST(slow_askers_are_cut)
{
	struct client head, post, idle, ours;
	struct reply r;
	int64_t now = clock_mono_ms();

	client_open(&head);
	client_say(&head, "GET /a HTTP/1.1\r\nHost");
	client_open(&post);
	client_say(&post, "PUT /a" V "Content-Length: 5000\r\n\r\nab");
	client_open(&idle);
	ask(&idle, &r, "GET /a" V "\r\n");
	client_open(&ours);
	client_say(&ours, "GET /never" V "\r\n");
	while (fake.n_waiting == 0)
		pump(ours.fd, 0);
	http_conn_tick(server, now + 5000);
	client_say(&head, ": h\r\n");
	http_conn_tick(server, now + HTTP_HEAD_MS + 2000);
	ck_assert(client_ended(&head));
	ck_assert(client_ended(&post));
	ask(&idle, &r, "GET /b" V "\r\n");
	for (int i = 0; i < 5; i++)
		pump(-1, 0);
	http_conn_tick(server, now + 30000 + HTTP_HEAD_MS + 4000);
	ck_assert(client_ended(&idle));
	ck_assert(!ours.eof && fake.n_waiting == 1);
	client_close(&head);
	client_close(&post);
	client_close(&idle);
	http_server_free(server); /* with a suspended connection */
	server = NULL;
	client_close(&ours);
	ck_assert_uint_eq(fake.cancelled, 1);
}
END_TEST

START_TEST(slow_readers_are_cut)
{
	struct client k;
	int64_t now;

	client_open(&k);
	client_say(&k, "GET /image/1" V "\r\n");
	for (int i = 0; i < 50; i++)
		pump(-1, 0);
	now = clock_mono_ms();
	http_conn_tick(server, now);
	http_conn_tick(server, now + HTTP_WINDOW_MS);
	ck_assert(server->conns->cut);
	ck_assert(client_ended(&k));
	ck_assert_uint_lt(k.in.n, fake.objects[1].size);
	client_close(&k);
}
END_TEST

/* ---- uploads ---- */

#define UPLOAD_SIZE (5 << 20)

static uint8_t *upload_bytes(struct digest *d)
{
	uint8_t *p = malloc(UPLOAD_SIZE);

	ck_assert_ptr_nonnull(p);
	memcpy(p, fake.objects[1].map, UPLOAD_SIZE);
	ck_assert_int_eq(sha256_once(slice_of(p, UPLOAD_SIZE), d), 0);
	return p;
}

START_TEST(upload_streams)
{
	struct digest want, got;
	uint8_t *bytes = upload_bytes(&want);
	struct client k;
	struct reply r;

	client_open(&k);
	client_say(&k, "POST /api/v1/images" V "Content-Length: 5242880\r\n"
		       "Authorization: Bearer t\r\n"
		       "Repr-Digest: "
		       "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:\r\n\r\n");
	ck_assert_uint_eq(client_send(&k, bytes, UPLOAD_SIZE), UPLOAD_SIZE);
	ck_assert(client_take(&k, &r, false));
	ck_assert_int_eq(r.status, 201);
	ck_assert_uint_eq(fake.received, UPLOAD_SIZE);
	ck_assert_uint_eq(fake.chunks, UPLOAD_SIZE / IPC_CHUNK_MAX);
	ck_assert_int_eq(sha256_end(fake.hash, &got), 0);
	ck_assert(digest_eq(&want, &got));
	ck_assert(fake.open.has_size && fake.open.size == UPLOAD_SIZE && fake.open.has_digest);
	ck_assert_int_eq(fake.open.complete, -1);
	ck_assert_int_eq(fake.open.digest.b[0], 0xba);
	ask(&k, &r, "GET /after" V "\r\n");
	ck_assert_int_eq(r.status, 200);
	client_close(&k);
	free(bytes);
}
END_TEST

START_TEST(upload_waits_for_credit)
{
	struct digest want, got;
	uint8_t *bytes = upload_bytes(&want);
	struct client k;
	struct reply r;
	size_t sent;

	fake.hold_at = 1; /* the core is busy after the first chunks */
	client_open(&k);
	client_say(&k, "POST /api/v1/images" V "Content-Length: 5242880\r\n\r\n");
	sent = client_send(&k, bytes, 1 << 20);
	for (int i = 0; i < 1000 && !server->conns->blocked; i++)
		pump(k.fd, 0);
	ck_assert_uint_eq(fake.chunks, IPC_CREDIT);
	ck_assert(server->conns->blocked && server->conns->suspended);
	http_conn_tick(server, clock_mono_ms() + 60000); /* it is the core that is slow */
	ck_assert(!server->conns->cut);
	fake.hold_at = 0;
	sent += client_send(&k, bytes + sent, UPLOAD_SIZE - sent);
	ck_assert_uint_eq(sent, UPLOAD_SIZE);
	ck_assert(client_take(&k, &r, false));
	ck_assert_int_eq(r.status, 201);
	ck_assert_int_eq(sha256_end(fake.hash, &got), 0);
	ck_assert(digest_eq(&want, &got));
	client_close(&k);
	free(bytes);
}
END_TEST

START_TEST(upload_continues_when_told)
{
	struct client k;
	struct reply r;

	client_open(&k);
	ask(&k, &r,
	    "POST /api/v1/images" V "Content-Length: 5\r\n"
	    "Expect: 100-continue\r\n\r\n");
	ck_assert_int_eq(r.status, 100);
	ask(&k, &r, "hello");
	ck_assert_int_eq(r.status, 201);
	ck_assert_uint_eq(fake.received, 5);
	client_close(&k);
}
END_TEST

START_TEST(upload_refused_before_the_body)
{
	struct digest d;
	uint8_t *bytes = upload_bytes(&d);
	struct client k;
	struct reply r;

	fake.refuse = 507;
	client_open(&k);
	ask(&k, &r,
	    "POST /api/v1/images" V "Content-Length: 5242880\r\n"
	    "Expect: 100-continue\r\n\r\n");
	ck_assert_int_eq(r.status, 507);
	ck_assert(body_has(&r, "no"));
	ck_assert(client_ended(&k));
	client_close(&k);
	/* and told to one who sends without asking */
	client_open(&k);
	client_say(&k, "POST /api/v1/images" V "Content-Length: 5242880\r\n\r\n");
	(void)client_send(&k, bytes, 200000);
	ck_assert(client_take(&k, &r, false));
	ck_assert_int_eq(r.status, 507);
	ck_assert_uint_eq(fake.received, 0);
	/* who does not stop then is cut */
	http_conn_tick(server, clock_mono_ms() + HTTP_DISCARD_MS + 1000);
	ck_assert(client_ended(&k));
	client_close(&k);
	/* without a body the connection lives on */
	client_open(&k);
	ask(&k, &r, "POST /api/v1/images" V "Upload-Complete: ?0\r\n\r\n");
	ck_assert_int_eq(r.status, 507);
	fake.upload_full = true;
	ask(&k, &r, "POST /api/v1/images" V "Upload-Complete: ?0\r\n\r\n");
	ck_assert_int_eq(r.status, 503);
	client_close(&k);
	free(bytes);
}
END_TEST

START_TEST(upload_refused_amid_the_body)
{
	struct digest d;
	uint8_t *bytes = upload_bytes(&d);
	struct client k;
	struct reply r;

	fake.refuse = 422;
	fake.refuse_at = 300000;
	client_open(&k);
	client_say(&k, "POST /api/v1/images" V "Content-Length: 5242880\r\n\r\n");
	(void)client_send(&k, bytes, 1 << 20);
	ck_assert(client_take(&k, &r, false));
	ck_assert_int_eq(r.status, 422);
	ck_assert_str_eq(header(&r, "Content-Type"), "application/problem+json");
	(void)client_send(&k, bytes, UPLOAD_SIZE - (1 << 20));
	ck_assert(client_ended(&k));
	client_close(&k);
	free(bytes);
}
END_TEST

START_TEST(upload_resumable)
{
	struct client k;
	struct reply r;

	client_open(&k);
	ask(&k, &r,
	    "POST /api/v1/images" V "Upload-Complete: ?0\r\n"
	    "Upload-Length: 9000\r\nContent-Length: 0\r\n\r\n");
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(header(&r, "Location"), "/api/v1/uploads/u1");
	ck_assert_str_eq(header(&r, "Upload-Offset"), "0");
	ck_assert_str_eq(header(&r, "Upload-Complete"), "?0");
	ck_assert(fake.open.has_size && fake.open.size == 9000 && fake.open.complete == 0);
	ask(&k, &r,
	    "PATCH /api/v1/uploads/u1" V "Upload-Offset: 8995\r\n"
	    "Upload-Complete: ?1\r\nContent-Length: 5\r\n\r\nhello");
	ck_assert_int_eq(r.status, 201);
	ck_assert(fake.open.has_offset && fake.open.offset == 8995 && fake.open.complete == 1);
	ck_assert(fake.open.has_size && fake.open.size == 9000);
	ask(&k, &r,
	    "POST /api/v1/images" V "Upload-Length: 3\r\n"
	    "Content-Length: 0\r\n\r\n");
	ck_assert_int_eq(r.status, 400);
	client_close(&k);
}
END_TEST

START_TEST(upload_ends_with_its_asker)
{
	struct client k;

	client_open(&k);
	client_say(&k, "POST /api/v1/images" V "Content-Length: 50\r\n\r\nab");
	for (int i = 0; i < 20; i++)
		pump(k.fd, 0);
	ck_assert(fake.uploading);
	client_close(&k);
	ck_assert_uint_eq(fake.aborted, 1);
}
END_TEST

/* ---- other transports ---- */

START_TEST(local_socket_tells_the_user)
{
	struct sockaddr_un sa;
	struct client k;
	struct reply r;

	fake_start();
	server_start(listen_unix(&sa), TRANSPORT_UNIX, NULL, NULL);
	client_on(&k, socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa));
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert_int_eq(r.status, 200);
	ck_assert_int_eq(fake.evidence.kind, EVIDENCE_LOCAL);
	ck_assert_uint_eq(fake.evidence.uid, getuid());
	client_close(&k);
	teardown();
	ck_assert_int_eq(unlink(unix_path), 0);
	*strrchr(unix_path, '/') = '\0';
	ck_assert_int_eq(rmdir(unix_path), 0);
}
END_TEST

static int handshake(struct client *k, const char *priorities)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	int r;

	ck_assert_int_eq(gnutls_certificate_allocate_credentials(&k->cred), 0);
	ck_assert_int_eq(gnutls_init(&k->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	ck_assert_int_eq(gnutls_priority_set_direct(k->tls, priorities, NULL), 0);
	ck_assert_int_eq(gnutls_credentials_set(k->tls, GNUTLS_CRD_CERTIFICATE, k->cred), 0);
	gnutls_transport_set_int(k->tls, k->fd);
	while ((r = gnutls_handshake(k->tls)) == GNUTLS_E_AGAIN && clock_mono_ms() < end)
		pump(k->fd, POLLIN);
	return r;
}

START_TEST(tls)
{
	struct buf cert = BUF_INIT(16384), pem = BUF_INIT(16384);
	char *body = calloc(1, 200000);
	struct key *key;
	struct client k;
	struct reply r;
	struct err e;

	fake_start();
	ck_assert_int_eq(key_generate(KEY_P256, &key, &e), 0);
	ck_assert_int_eq(crypto_self_signed(key, "test", 2, &cert, &e), 0);
	ck_assert_int_eq(key_private_pem(key, &pem, &e), 0);
	server_start(listen_tcp(&port), TRANSPORT_HTTPS, buf_cstr(&cert), buf_cstr(&pem));
	client_open(&k);
	ck_assert_int_eq(handshake(&k, "NORMAL"), 0);
	ask(&k, &r, "GET /a" V "\r\n");
	ck_assert_int_eq(r.status, 200);
	ck_assert_int_eq(fake.evidence.kind, EVIDENCE_TLS);
	ask(&k, &r, "GET /image/0" V "\r\n");
	ck_assert(r.body_n == fake.objects[0].size &&
		  memcmp(r.body, fake.objects[0].map, r.body_n) == 0);
	client_say(&k, "PUT /a" V "Content-Length: 200000\r\n\r\n");
	(void)client_send(&k, body, 100000);
	ck_assert(client_take(&k, &r, false));
	ck_assert_int_eq(r.status, 413);
	(void)client_send(&k, body, 100000);
	ck_assert(client_ended(&k));
	client_close(&k);
	/* no CBC, nothing before TLS 1.2 */
	client_open(&k);
	ck_assert_int_ne(handshake(&k, "NONE:+VERS-TLS1.2:+AES-128-CBC:+ECDHE-ECDSA:+SHA1:"
				       "+SIGN-ALL:"
				       "+COMP-NULL:+GROUP-ALL"),
			 0);
	client_close(&k);
	client_open(&k);
	ck_assert_int_ne(handshake(&k, "NORMAL:-VERS-ALL:+VERS-TLS1.1"), 0);
	client_close(&k);
	teardown();
	key_free(key);
	buf_free(&cert);
	buf_free(&pem);
	free(body);
}
END_TEST

START_TEST(bad_options_are_refused)
{
	struct http_options o = { .n_listeners = 1, .connections_max = 4 };
	struct http_server *hs = NULL;
	struct err e;
	int p;

	fake_start();
	o.listeners[0] = (struct http_listener){ listen_tcp(&p), TRANSPORT_HTTPS };
	ck_assert_int_eq(http_server_new(&fake, &o, &hs, &e), -1);
	ck_assert_ptr_null(hs);
	o.certificate_pem = o.key_pem = "no pem";
	o.listeners[0].fd = listen_tcp(&p);
	ck_assert_int_eq(http_server_new(&fake, &o, &hs, &e), -1);
	/* taken over all the same */
	ck_assert_int_eq(fcntl(o.listeners[0].fd, F_GETFD), -1);
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon_http");
	TCase *t = tcase_create("http"), *own = tcase_create("transports");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_set_timeout(own, 60);
	tcase_add_test(t, fields_reach_the_core);
	tcase_add_test(t, one_session_per_connection_and_token);
	tcase_add_test(t, head_has_no_body);
	tcase_add_test(t, stops_gently);
	tcase_add_test(t, answers_map);
	tcase_add_test(t, no_room_is_said);
	tcase_add_loop_test(t, doubtful_framing_closes, 0, COUNT(doubtful));
	tcase_add_loop_test(t, refusals_keep_the_connection, 0, COUNT(refused));
	tcase_add_test(t, bodies_are_bounded);
	tcase_add_test(t, object_whole);
	tcase_add_loop_test(t, object_parts, 0, COUNT(parts));
	tcase_add_test(t, object_resumed_after_a_cut);
	tcase_add_test(t, withdrawn_objects_are_cut);
	tcase_add_test(t, dropped_sessions_are_cut);
	tcase_add_test(t, slow_askers_are_cut);
	tcase_add_test(t, slow_readers_are_cut);
	tcase_add_test(t, upload_streams);
	tcase_add_test(t, upload_waits_for_credit);
	tcase_add_test(t, upload_continues_when_told);
	tcase_add_test(t, upload_refused_before_the_body);
	tcase_add_test(t, upload_refused_amid_the_body);
	tcase_add_test(t, upload_resumable);
	tcase_add_test(t, upload_ends_with_its_asker);
	tcase_add_test(own, local_socket_tells_the_user);
	tcase_add_test(own, tls);
	tcase_add_test(own, bad_options_are_refused);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
