/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_FRONT_H
#define FETTLE_DAEMON_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/message.h"
#include "ipc/ipc.h"

/*
 * The front's middle: sessions, the batch towards the core, grants and mapped
 * objects, uploads. The CoAP and HTTP adapters stand on it; it knows neither.
 * One thread; callbacks run from the loop, never from inside the call that
 * asked (except where said).
 */
struct front;

struct front_options {
	int core_fd; /* the socketpair to the core */
	enum { FRONT_NETWORK, FRONT_CONTROL } lane;
	unsigned sessions_max; /* all adapters together; plain UDP has its own share of half */
	unsigned grants_max;
	unsigned objects_max;
};

int front_new(const struct front_options *o, struct front **out, struct err *e);
void front_free(struct front *f);
int front_fd(const struct front *f); /* poll for reading; for writing while front_want_write */
bool front_want_write(const struct front *f);
/* Read replies, grants ...; send the next batch when none is in flight. -1: the core is gone. */
int front_io(struct front *f, struct err *e);
bool front_ready(const struct front *f); /* the core said READY */
bool front_idle(const struct front *f); /* no request waits for the core */

/* ---- sessions ---- */
/*
 * Called when the core drops a session: end it (DTLS close, cut the HTTP body). ctx is the
 * session's.
 * Also when a plain UDP session gives way to a new one, then from inside front_session_open().
 */
typedef void (*front_drop)(void *ctx, uint64_t session);
/* Admission rides ahead of the first request. 0 when the table is full. */
uint64_t front_session_open(struct front *f, const struct evidence *ev, front_drop drop, void *ctx);
void front_session_close(struct front *f, uint64_t session);
bool front_session_alive(const struct front *f, uint64_t session);
/* The ctx of a living session that was opened with this drop, which tells whose it is; or NULL. */
void *front_session_ctx(struct front *f, uint64_t session, front_drop drop);
void front_session_touch(struct front *f, uint64_t session); /* it is in use */

/* ---- requests ---- */
/* rs and its body are valid during the call only. rs NULL: the core went away, answer 5.03/503. */
typedef void (*front_reply)(void *ctx, const struct response *rs);
/*
 * Queue one request for the next batch; rq's slices are copied. Fills rq->id. 0, or -1 when the
 * batch that gathers is full (IPC_BATCH_MAX, IPC_BATCH_BYTES): answer 5.03/503 with a retry time.
 */
int front_submit(struct front *f, struct request *rq, front_reply cb, void *ctx);
/* The batch that gathers is more than half full: what may be asked again anyway had better wait. */
bool front_crowded(const struct front *f);
void front_cancel(struct front *f, uint32_t id); /* the asker is gone: cb is not called */

/* ---- granted objects ---- */
struct front_object {
	struct digest digest;
	const uint8_t *map;
	uint64_t size;
	unsigned refs;
	bool withdrawn; /* stop serving: cut bodies */
};
struct front_grant {
	struct front_object *object;
	enum media media;
	int32_t max_age;
};
/*
 * What session may be served at path right now, without asking the core. False: ask; also before a
 * session was admitted (but what is public, to a plain UDP address).
 */
bool front_granted(struct front *f, uint64_t session, struct slice path, struct front_grant *out);
/* The object a response names (has_object). NULL if it was withdrawn meanwhile. */
struct front_object *front_object_find(struct front *f, const struct digest *d);
void front_object_ref(struct front_object *o);
void front_object_unref(struct front *f, struct front_object *o);

/* ---- observations: NOTIFY frames ---- */
typedef void (*front_notify)(void *ctx, const char *path);
void front_on_notify(struct front *f, front_notify cb, void *ctx);
/* WITHDRAW: an object may be served no more (HTTP bodies under way are cut). */
typedef void (*front_withdraw)(void *ctx, const struct digest *d);
void front_on_withdraw(struct front *f, front_withdraw cb, void *ctx);

/* ---- calls to devices: SEND frames ---- */
typedef void (*front_send)(void *ctx, const struct ipc_send *s); /* s during the call only */
void front_on_send(struct front *f, front_send cb, void *ctx);
/* What became of one: copied, rides with a batch soon. IPC_SENDS_MAX wait, more are lost. */
void front_sent(struct front *f, const struct ipc_sent *s);

/* ---- uploads ---- */
/* credit: how many more chunks may be sent. */
typedef void (*front_credit)(void *ctx, unsigned credit, uint64_t stored);
/*
 * Opens and authorises; credit_cb when chunks may come, done_cb with the final answer (also a
 * refusal; after it the upload is gone).
 */
uint32_t front_upload_open(struct front *f, struct ipc_upload_open *o, front_credit credit_cb,
			   front_reply done_cb, void *ctx); /* 0: no room, answer 503 */
int front_upload_chunk(struct front *f, uint32_t upload,
		       struct slice bytes); /* <= IPC_CHUNK_MAX; -1 no credit */
void front_upload_close(struct front *f, uint32_t upload);
void front_upload_abort(struct front *f, uint32_t upload); /* no callback after */

/* ---- figures ---- */
/* What an adapter counts, for /metrics: said to the core when it changed. */
void front_figures(struct front *f, const uint64_t figures[FIGURE_COUNT]);
struct front_stats {
	uint64_t requests, refused_busy, objects, grants, sessions, batches;
};
const struct front_stats *front_stats(const struct front *f);

#endif
