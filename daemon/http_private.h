/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_HTTP_PRIVATE_H
#define FETTLE_DAEMON_HTTP_PRIVATE_H

#include <microhttpd.h>

#include "daemon/http.h"
#include "daemon/http_parse.h"

/* What daemon/http*.c share. Everything runs on the loop's thread. */

#define HTTP_HEAD_MS 15000	/* from the connection, or the request line, to the last header */
#define HTTP_WINDOW_MS 10000	/* bodies are timed over this */
#define HTTP_DISCARD_MS 5000	/* how long an asker may go on sending after an early refusal */
#define HTTP_TICK_MS 1000
#define HTTP_STILL_MS 500	/* a body that has not moved for so long delays no stop */
#define HTTP_ENTRIES 64		/* objects with a ready answer */
#define HTTP_ENTRY_IDLE_MS 5000	/* an unused ready answer holds its object this long */
#define HTTP_KEEP_BODY 4096	/* a body buffer this small is kept for the next request */

/* Where the request of a connection stands; one function each (http_handler.c). */
enum http_step {
	HTTP_START,	/* headers are there: the first call */
	HTTP_BODY,	/* collecting an ordinary body */
	HTTP_REFUSED,	/* the answer is there: take the rest of the body, then give it */
	HTTP_OPENING,	/* upload asked for: suspended until credit or refusal */
	HTTP_UPLOAD,	/* upload under way */
	HTTP_WAIT,	/* suspended until the answer */
	HTTP_SENDING,
	HTTP_DISCARD,	/* an early answer is out: swallow what still comes, then cut */
	HTTP_STEP_COUNT
};

/* Whose turn it is, for the pace. */
enum http_phase {
	HTTP_PHASE_HEAD,
	HTTP_PHASE_IDLE,
	HTTP_PHASE_BODY,
	HTTP_PHASE_OURS,	/* the core's: no limit */
	HTTP_PHASE_SEND,
};

/* What the header fields of one request said, beyond struct request. */
struct http_fields {
	uint32_t seen;			/* bit per row of the field table */
	unsigned count;
	uint16_t refusal;		/* 0, or the status that refuses the request */
	const char *detail;
	bool framing;			/* where the request ends is not certain: close */
	bool expects, cross_site;	/* Expect: 100-continue; Sec-Fetch-Site: cross-site */
	bool if_none_match_any, has_length, has_digest, has_offset, has_total, chunked;
	bool encoded;			/* there is a Transfer-Encoding */
	uint64_t length, offset, total;	/* Content-Length, Upload-Offset, Upload-Length */
	int8_t complete;		/* Upload-Complete, -1 absent */
	struct digest digest;		/* Repr-Digest */
	struct http_accept accept;
	struct slice range, if_range;
};

struct http_entry;
struct http_listen {			/* one MHD daemon */
	struct http_server *hs;
	struct MHD_Daemon *daemon;
	enum transport transport;
	int epoll_fd;
	unsigned n_conns, crowded;	/* beyond the second, a new one ends the idlest */
};

struct http_conn {
	struct http_conn *prev, *next;
	struct http_listen *listen;
	struct MHD_Connection *mc;
	int fd;

	uint64_t session;		/* the front's; 0: none yet */
	char session_token[TOKEN_MAX_LEN + 1];	/* what the session's requests show */
	size_t session_token_n;

	enum http_phase phase;
	int64_t since;			/* of the phase, or of the window */
	uint64_t received;		/* bytes of the request's body */
	uint64_t mark;			/* what had moved at the window's start */
	uint64_t last_moved;		/* while the server stops: what had moved, */
	int64_t last_move;		/* and when it last did; 0: not looked at yet */

	enum http_step step;
	bool suspended, cut, head, waiting, blocked;
	struct http_fields f;
	struct request rq;
	char path[PATH_MAX_LEN + 1], query[QUERY_MAX_LEN + 1], authority[256];
	char token[TOKEN_MAX_LEN + 1];
	int target_status;
	struct buf body;
	uint32_t upload;

	struct MHD_Response *response;	/* ready to be queued */
	bool response_shared;		/* the entry's: not ours to destroy */
	bool must_close;
	unsigned status;
	struct http_entry *entry;	/* the object this connection serves */
	struct http_conn *entry_prev, *entry_next;
};

struct http_server {
	struct front *front;
	struct http_listen listens[HTTP_LISTEN_MAX];
	unsigned n_listens;
	unsigned idle_timeout_s, min_rate;
	unsigned evicted;		/* since the last tick */
	bool stopping;
	struct http_conn *conns;
	struct http_entry *entries[HTTP_ENTRIES];
	unsigned n_entries;
	int64_t next_tick;
};

/* ---- http_conn.c: connections, their sessions and their pace ---- */
void http_conn_notify(void *cls, struct MHD_Connection *mc, void **socket_context,
		      enum MHD_ConnectionNotificationCode code);
void *http_conn_target(void *cls, const char *uri, struct MHD_Connection *mc);
void http_conn_completed(void *cls, struct MHD_Connection *mc, void **con_cls,
			 enum MHD_RequestTerminationCode code);
/* End the connection as soon as possible, whatever is under way. */
void http_conn_cut(struct http_conn *c);
/* Only from inside the handler of this very connection. */
void http_conn_suspend(struct http_conn *c);
void http_conn_resume(struct http_conn *c);	/* nothing when not suspended */
void http_conn_phase(struct http_conn *c, enum http_phase phase);
/* Open the front's session, or open another when the token changed. False: no room. */
bool http_conn_session(struct http_conn *c);
void http_conn_tick(struct http_server *hs, int64_t now);
/* While the server stops: whether its answer, or the rest of its body, is worth waiting for. */
bool http_conn_busy(struct http_conn *c, int64_t now);

/* ---- http_fields.c ---- */
/* Fill c->rq and c->f from the header fields; c->f.refusal says what is wrong. */
void http_fields_read(struct http_conn *c, const char *method, const char *version);

/* ---- http_handler.c ---- */
enum MHD_Result http_handler(void *cls, struct MHD_Connection *mc, const char *url,
			     const char *method, const char *version, const char *data,
			     size_t *size, void **con_cls);
/* Give the ready answer to MHD. */
enum MHD_Result http_handler_queue(struct http_conn *c);

/* ---- http_answer.c ---- */
/* Make c's answer. rs NULL: the core went away. Without memory the connection is cut. */
void http_answer(struct http_conn *c, const struct response *rs);
void http_answer_problem(struct http_conn *c, uint16_t status, const char *detail);
/* An answer while the body still comes: written past MHD, which cannot; the rest is discarded. */
void http_answer_early(struct http_conn *c, const struct response *rs);
void http_answer_early_problem(struct http_conn *c, uint16_t status, const char *detail);
void http_answer_header(struct MHD_Response *r, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void http_answer_etag(struct MHD_Response *r, const struct etag *tag);
void http_answer_drop(struct http_conn *c);

/* ---- http_object.c ---- */
void http_object_serve(struct http_conn *c, const struct front_grant *g);
void http_object_done(struct http_conn *c);
void http_object_withdraw(void *ctx, const struct digest *d);
void http_object_sweep(struct http_server *hs, int64_t now);	/* INT64_MAX: all unused */

/* ---- http_upload.c ---- */
bool http_upload_wanted(const struct http_conn *c);
enum MHD_Result http_upload_start(struct http_conn *c);
enum MHD_Result http_upload_opening(struct http_conn *c);
enum MHD_Result http_upload_body(struct http_conn *c, const char *data, size_t *size);

#endif
