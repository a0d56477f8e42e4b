/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_CORE_INTERNAL_H
#define FETTLE_DAEMON_CORE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "daemon/core_clock.h"
#include "daemon/core_objects.h"
#include "daemon/supervise.h"
#include "ipc/ipc.h"
#include "service/service.h"
#include "store/store.h"

/*
 * Between core*.c: nobody else includes this. One struct core is the process.
 * Bounds, all of them per process unless said otherwise:
 */
#define CORE_UPLOADS_MAX 8 /* uploads under way in one lane */
#define CORE_UPLOAD_ARENA (64u << 10) /* what is kept of an upload's request */
#define CORE_ARENA (4u << 20) /* memory of one request, given back after it */
#define CORE_OUT_MAX \
	(24u << 20) /* bytes that wait for one front; more: it does not read, and is cut */
#define CORE_OUT_BUSY (4u << 20) /* with that much waiting no further frame of it is taken */
#define CORE_EFFECTS_MAX 65536 /* of one batch, all its requests together */
#define CORE_NEW_OBJECTS 48 /* descriptors one batch may hand out, below IPC_FDS_MAX */
#define CORE_PREPARE_MAX 64 /* large objects waiting for their cached copy */
#define CORE_UNSENT_MAX 512 /* calls to devices that could not leave, until their rows hear of it */
#define CORE_DROPS_MAX 4096 /* sessions one effect may end in one go; it is repeated */
#define CORE_SCHEDULE_LIMIT 200 /* due updates in one pass */
#define CORE_PREPARE_NOW_US 2000 /* a batch may spend that on one cached copy */
#define CORE_SLICE_US 10000 /* long work between batches */
#define CORE_SLOW_COMMIT_US 50000
#define CORE_REST_LEAST_US 5000 /* a slice of a job, with its commit, may be so much too long; */
#define CORE_REST_MOST_US 200000 /* else a rest as long as the excess follows, at most this, */
#define CORE_REST_EVER_MS 1 /* and at least this, for those who ask */
#define CORE_PERSIST_MS 10000 /* tracker time is written that often */
#define CORE_SWEEP_MS 60000 /* what is left over is looked for that often, */
#define CORE_SWEEP_MORE_MS 100 /* and after some was found */
#define CORE_SWEEP_ROWS 16 /* of up to 64 KiB, at a time */
#define CORE_UPLOAD_AGE_MS (INT64_C(24) * 3600 * 1000)
#define CORE_RETRY_MS 1000 /* after an error between batches */
#define CORE_IDLE_MS 100 /* without a batch so long: time for a checkpoint, */
#define CORE_IDLE_PAGES 1000 /* where so much waits for one */
#define CORE_COPY_PAGES 2000 /* what the checkpointer is asked for at the least, otherwise */
#define CORE_CAREFUL 32 /* batches with savepoints after one that had to run twice */

struct core_upload {
	bool used;
	bool closing; /* all of it came: it waits for its hash */
	uint32_t id; /* the front's number */
	struct arena arena; /* request's slices */
	struct request request;
	struct upload_ask ask;
	struct upload upload;
};

struct core_lane {
	enum lane lane;
	struct channel *ch; /* NULL: no front */
	bool greeted; /* it said HELLO */
	bool readable, more; /* poll said so; a whole frame may wait in the buffer */
	bool broken; /* to be closed at the end of the turn */
	struct object_set objects; /* whose descriptors it has */
	struct core_upload uploads[CORE_UPLOADS_MAX];
};

/* A batch while it runs; kept for the next one to save allocations. */
struct core_batch {
	uint32_t number;
	unsigned n_entries;
	struct ipc_entry entries[IPC_ENTRIES_MAX];
	bool admitted[IPC_ENTRIES_MAX]; /* stays over a second run: no row tells of it */
	struct buf replies; /* encoded responses, one behind the other */
	size_t reply_at[IPC_BATCH_MAX + 1];
	unsigned n_replies;
	struct grant *grants; /* IPC_BATCH_MAX */
	unsigned n_grants;
	uint64_t *refused; /* sessions not admitted: IPC_ENTRIES_MAX */
	unsigned n_refused;
	unsigned careful; /* batches that still run with savepoints: one had to run twice */
	struct digest new_objects[CORE_NEW_OBJECTS]; /* whose descriptors go with the answers */
	unsigned n_new_objects;
};

/* The process that copies the log: at most one question is under way. */
struct core_checkpointer {
	int fd; /* -1: none */
	uint32_t number; /* of the last question */
	bool asked; /* and it has not answered yet */
	bool was_full; /* the log, when it was asked */
	bool gone; /* to be left */
	int64_t retry_at; /* monotonic ms */
};

struct core {
	struct child_link *link;
	struct store *store;
	struct service *service;
	struct core_lane lanes[LANE_COUNT];
	struct core_clock clock;
	struct now now;
	struct arena arena;
	struct effects fx; /* of the request or slice under way */
	struct effect *effects; /* of the batch: CORE_EFFECTS_MAX */
	unsigned n_effects;
	struct core_batch batch;
	struct service_stats stats;
	struct digest prepare[CORE_PREPARE_MAX];
	unsigned n_prepare;
	struct ipc_sent unsent[CORE_UNSENT_MAX]; /* without bodies */
	unsigned n_unsent;
	int64_t schedule_track; /* next pass, tracker time; 0 nothing due */
	int64_t persist_at, sweep_at, retry_at; /* monotonic ms */
	int64_t jobs_track; /* a job waits until then, tracker time; 0 none */
	int64_t jobs_at; /* until then jobs leave the disk to others: monotonic ms */
	int64_t batch_at; /* the last batch ended */
	struct core_checkpointer checkpointer;
	bool jobs; /* one may have work now */
	bool trouble; /* writes failed lately: said once, and once when over */
	char *openapi;
	int status; /* exit status once stopping */
	bool stopping;
};

/* ---- core_start.c ---- */
/* Store, clock and service, then the sandbox behind them. */
int core_start(struct core *c, struct err *e);

/* ---- core_batch.c ---- */
/* One FRAME_BATCH. -1: the frame is malformed or forged. */
int core_batch_run(struct core *c, struct core_lane *l, struct slice body, struct err *e);
int core_batch_init(struct core_batch *b, struct err *e);
void core_batch_free(struct core_batch *b);

/* ---- core_effects.c: what follows a commit ---- */
void core_effects_keep(struct core *c); /* c->fx joins the batch's; cleared */
void core_effects_send(struct core *c); /* to the fronts; forgotten after */
void core_send_drop(struct core_lane *l, uint64_t session);
/* True when the object can be handed out now or l has it; false: its copy is being made. */
bool core_object_ready(struct core *c, struct core_lane *l, const struct digest *d);
void core_send_grant(struct core *c, struct core_lane *l, const struct grant *g);
void core_prepare_soon(struct core *c, const struct digest *d);

/* ---- core_send.c ---- */
void core_call(struct core *c, const struct effect *fx); /* an EFFECT_SEND */
int core_unsent(struct core *c, struct err *e); /* calls that could not leave; as service_jobs */

/* ---- core_upload.c ---- */
int core_upload_frame(struct core *c, struct core_lane *l, enum frame_type t, struct slice body,
		      struct err *e);
/* Goes on with one that waits for its hash; true when there is more of that. */
bool core_upload_work(struct core *c);
void core_upload_reset(struct core_lane *l);

/* ---- core_checkpoint.c: the log becomes part of the database ---- */
void core_checkpointer_join(struct core *c, int fd); /* takes fd */
/* Where it did not answer, store_wal_left(): store_must_stop() may be so from then on. */
void core_checkpointer_leave(struct core *c);
/* What is due now. Returns how long that took, in microseconds; checkpointer.gone: leave it. */
int64_t core_checkpoint(struct core *c, int64_t now);
/* The log is being copied to its end: until then no more is to be written than must be. */
bool core_jobs_wait(const struct core *c);

/* ---- core_work.c: between batches ---- */
/* One round of what waits; true when more waits right now. */
bool core_work(struct core *c);
/* How long jobs leave the disk to others after a slice, and its commit, that took so long. */
int64_t core_rest_ms(int64_t took_us);
int64_t core_work_wait_ms(const struct core *c); /* until something is due, at most a second */
int core_schedule(struct core *c, struct err *e); /* one pass, its own transaction */
int core_persist(struct core *c, struct err *e); /* tracker time */
void core_time(struct core *c); /* fill c->now */
/* After an error of the store: log once, and stop where acknowledging must end. */
void core_store_failed(struct core *c, const char *what, const struct err *e);
void core_store_works(struct core *c);

#endif
