/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_SERVICE_H
#define FETTLE_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/message.h"
#include "base/model.h"
#include "ipc/ipc.h"
#include "store/store.h"
#include "tracker/effects.h"
#include "tracker/policy.h"

/*
 * Protocol-neutral requests: sessions and principals, one route table, the
 * handlers. Runs in the core; knows no socket. Behaviour cannot differ by transport.
 */
enum lane { LANE_NETWORK, LANE_CONTROL, LANE_COUNT };

struct service_options {
	struct store *store;
	uint32_t own_uid;		/* the daemon's: admin on the control lane, like root */
	uint64_t quota_staged;		/* bytes of unfinished uploads, all together */
	uint64_t image_max;		/* one image */
	unsigned sessions_max;		/* per lane */
	const char *version;
	const char *openapi;		/* text of schema/openapi.yaml or NULL */
};

struct service;
int service_new(const struct service_options *o, struct service **out, struct err *e);
void service_free(struct service *sv);
/* Policy documents are read again from rows (after a change, at start). */
int service_reload_policy(struct service *sv, struct err *e);
const struct policy *service_policy(const struct service *sv);

/* A grant the front may serve by, in force after the commit. */
struct grant {
	uint64_t session;		/* 0: public */
	char path[PATH_MAX_LEN + 1];
	struct digest object;
	enum media media;
	int32_t max_age;
	int64_t lifetime_ms;
};

/* What a request leaves besides its response. Slices in the response live in the arena. */
struct outcome {
	struct effects *fx;
	bool has_grant;
	struct grant grant;
};

/*
 * A session says who it is: 1 admitted, 0 refused (the front must drop it).
 * EVIDENCE_LOCAL on the network lane is refused, everything else on control too.
 */
int service_admit(struct service *sv, enum lane lane, uint64_t session, const struct evidence *ev,
		  const struct now *now);
void service_closed(struct service *sv, enum lane lane, uint64_t session);
void service_lane_reset(struct service *sv, enum lane lane);	/* the front was replaced */
size_t service_sessions(const struct service *sv, enum lane lane);	/* how many there are */
/* Sessions an effect ends: fills up to limit handles, returns how many. */
int service_sessions_of(struct service *sv, enum lane lane, const struct effect *fx, uint64_t *out,
			int limit);

/*
 * One request, inside a batch: the caller has called store_handler_begin and
 * calls store_handler_end with *keep. The response is complete in any case
 * (errors become problem details in a media type the asker accepts).
 */
void service_request(struct service *sv, enum lane lane, const struct request *rq,
		     const struct now *now, struct arena *a, struct response *rs,
		     struct outcome *oc, bool *keep);

/*
 * Uploads, outside batches: authorise and open (fills u; continues one when rq names it), then
 * the caller feeds service_upload_chunk and closes. 0 goes on, -1: rs is the final answer.
 */
struct upload_ask {
	bool has_size, has_digest, has_offset;
	uint64_t size;			/* of the whole, as far as this request says */
	uint64_t offset;		/* Upload-Offset */
	struct digest digest;
	int complete;			/* Upload-Complete: 1, 0, -1 absent */
};
int service_upload_open(struct service *sv, enum lane lane, const struct request *rq,
			const struct upload_ask *ask, const struct now *now, struct arena *a,
			struct upload *u, struct response *rs);
/* A piece of it, at most 64 KiB, against the bounds on one image and on all that is unfinished. */
int service_upload_chunk(struct service *sv, struct upload *u, struct slice bytes, struct err *e);
/*
 * All bytes are there, and after a restart some are not hashed yet: for about budget_us that
 * goes on. True: it may be closed now.
 */
bool service_upload_ready(struct service *sv, const struct request *rq,
			  const struct upload_ask *ask, struct upload *u, int64_t budget_us);
/* All bytes are there: seal (or keep partial when it is not complete) and fill the final answer. */
void service_upload_close(struct service *sv, enum lane lane, const struct request *rq,
			  const struct upload_ask *ask, struct upload *u, const struct now *now,
			  struct arena *a, struct response *rs, struct outcome *oc);

/*
 * Time and long work, between batches: each opens and commits a batch of its own, and leaves
 * effects only when that is durable. Same returns as scheduler_pass and jobs_slice; next_track is
 * when to come again, in tracker time, should nobody wake it before: 0 never.
 */
int service_schedule(struct service *sv, const struct now *now, struct arena *a, struct effects *fx,
		     int limit, int64_t budget_us, int64_t *next_track, struct err *e);
/* It also puts into rows, every few minutes, who polled. next_track: set when it returns 0. */
int service_jobs(struct service *sv, const struct now *now, struct arena *a, struct effects *fx,
		 int64_t budget_us, int64_t *next_track, struct err *e);

/*
 * Calls to devices (architecture.md 1: effects, carried out by the front). What an EFFECT_SEND
 * comes to, its body in a: 1; 0: no session of the device is open and it has no endpoint; -1.
 */
int service_call(struct service *sv, const struct effect *fx, const struct now *now,
		 struct arena *a, struct ipc_send *out, struct err *e);
/* The grant that goes before it; false: it needs none. */
bool service_call_grant(const struct ipc_send *s, struct grant *out);
/* What became of one, inside a batch and a handler. 1 it led on, 0 nobody waits for it, -1. */
int service_sent(struct service *sv, const struct ipc_sent *s, const struct now *now,
		 struct arena *a, struct effects *fx, struct err *e);
/* The same of calls that never left the core, in a batch of its own. */
int service_unsent(struct service *sv, const struct ipc_sent *s, unsigned n, const struct now *now,
		   struct arena *a, struct effects *fx, struct err *e);
/* The front that had calls under way is gone: the next service_schedule makes them again. */
void service_calls_lost(struct service *sv);

/* Rows that have served their time, some of them: how many went, or -1. A batch of its own. */
int service_sweep(struct service *sv, const struct now *now, struct err *e);

/* A failing batch is answered: the response for a request that could not be stored. */
void service_unavailable(const struct request *rq, enum err_code why, struct arena *a,
			 struct response *rs);

/* Counters for /metrics and the watchdog: the caller's, read whenever they are asked for. */
struct service_stats {
	uint64_t batches, requests, commits, commit_us_total, commit_us_max, refused_busy;
	uint64_t front[FIGURE_COUNT]; /* what the network's front told last */
	bool trouble; /* the last write failed: /readyz says so */
};
void service_set_stats(struct service *sv, const struct service_stats *stats);

#endif
