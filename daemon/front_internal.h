/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_FRONT_INTERNAL_H
#define FETTLE_DAEMON_FRONT_INTERNAL_H

#include "base/slice.h"
#include "daemon/front.h"

/*
 * What front*.c share. Every table is an array of a fixed number of slots with
 * indexes for links, so that each request costs the same however many sessions,
 * grants and objects there are. NIL ends a list.
 */
#define NIL UINT32_MAX
#define PENDING_BITS 11 /* one batch in flight, one gathering: 2 * IPC_BATCH_MAX */
#define PENDING_MAX (1u << PENDING_BITS)
#define UPLOADS_MAX 64u
#define CLOSED_A_BATCH 128u /* closings that ride ahead of a batch's requests */

struct pending {
	uint32_t id; /* generation << PENDING_BITS | slot */
	uint32_t next_free;
	uint64_t session;
	front_reply cb; /* NULL: cancelled */
	void *ctx;
	bool used;
};

struct batch {
	struct buf entries;
	uint32_t number;
	unsigned count;
	uint32_t ids[IPC_BATCH_MAX];
	unsigned n_ids;
};

enum session_state {
	SESSION_FREE,
	SESSION_OPEN, /* the core does not know it yet */
	SESSION_SENT, /* its ADMIT is on the way */
	SESSION_ADMITTED, /* the core answered it */
	SESSION_CLOSING, /* gone here; CLOSED must still be said */
};

struct session {
	uint32_t generation;
	enum session_state state;
	bool plain; /* plain UDP: least recently used first out */
	struct evidence *evidence; /* until it is sent */
	front_drop drop;
	void *ctx;
	uint32_t next, prev; /* free list, closing list, or the plain LRU */
	uint32_t grants; /* head of its grants */
};

struct sessions {
	struct session *slots;
	uint32_t max, fresh; /* slots from fresh on were never used */
	uint32_t free;
	uint32_t closing, closing_tail;
	uint32_t newest, oldest; /* plain sessions by last use */
	uint32_t plain, plain_max;
	uint32_t open;
};

struct object {
	struct front_object o; /* first: what the adapters see */
	struct object *chain; /* same bucket */
	uint32_t grants; /* head of the grants that name it */
	bool listed;
};

struct grant_slot {
	uint64_t session, hash;
	struct object *object;
	char *path;
	size_t path_n;
	enum media media;
	int32_t max_age;
	int64_t until; /* monotonic ms, 0: no end */
	uint32_t chain; /* same bucket, or the free list */
	uint32_t older, newer;
	uint32_t session_next, session_prev;
	uint32_t object_next, object_prev;
};

struct grants {
	struct grant_slot *slots;
	uint32_t *buckets;
	uint32_t mask, max, fresh, free, n;
	uint32_t newest, oldest;
	uint64_t seed;
	struct object **objects; /* buckets by digest */
	uint32_t objects_mask, objects_n, objects_max;
};

struct upload_slot {
	bool used, opened; /* opened: UPLOAD_OPEN was queued to the core */
	uint32_t number;
	uint64_t session;
	unsigned credit;
	struct buf open; /* the frame while the session is not announced */
	front_credit credit_cb;
	front_reply done_cb;
	void *ctx;
};

struct sent_entry { /* encoded, waits for room in a batch */
	struct sent_entry *next;
	size_t n;
	uint8_t bytes[];
};

struct front {
	struct front_options o;
	struct channel *ch;
	bool ready, dead, in_flight;
	struct batch batches[2];
	struct batch *gather, *flight;
	uint32_t next_number;
	struct pending pending[PENDING_MAX];
	uint32_t pending_free;
	struct sessions sessions;
	struct grants grants;
	struct upload_slot uploads[UPLOADS_MAX];
	uint32_t uploads_waiting; /* not opened yet */
	uint32_t upload_generation;
	front_notify notify;
	void *notify_ctx;
	front_withdraw withdraw;
	void *withdraw_ctx;
	front_send send;
	void *send_ctx;
	struct sent_entry *sent, **sent_end; /* oldest first */
	unsigned n_sent;
	bool sent_lost; /* said so; again when none waits any more */
	struct front_stats stats;
	uint64_t figures[FIGURE_COUNT]; /* as the core knows them */
};

/* front_session.c */
int sessions_init(struct front *f, struct err *e);
void sessions_free(struct front *f);
struct session *session_get(struct front *f, uint64_t handle); /* alive, or NULL */
void session_touch(struct front *f, struct session *s);
void session_announce(struct front *f, struct session *s, uint64_t handle);
void session_dropped(struct front *f, uint64_t handle);
/* Put waiting CLOSED entries at the head of a new batch. */
void sessions_say_closed(struct front *f);
bool sessions_closing(const struct front *f);

/* front_grant.c */
int grants_init(struct front *f, struct err *e);
void grants_free(struct front *f);
int grant_received(struct front *f, const struct ipc_grant *g, int fd, struct err *e);
void grants_of_session_end(struct front *f, struct session *s);
void object_withdraw(struct front *f, const struct digest *d);

/* front_send.c */
#define SENT_AHEAD 64u /* results that ride ahead of a batch's requests; behind them what fits */
void sent_init(struct front *f);
void sent_free(struct front *f);
void sent_say(struct front *f, unsigned limit); /* into the batch that gathers */
int send_received(struct front *f, struct slice body, struct err *e);

/* front_upload.c */
void uploads_open_waiting(struct front *f); /* their sessions were announced */
int upload_credit(struct front *f, struct slice body, struct err *e);
int upload_done(struct front *f, struct slice body, struct err *e);
void uploads_core_gone(struct front *f);
void uploads_of_session_abort(struct front *f, uint64_t session);

/* front.c */
bool front_batch_room(const struct front *f, unsigned entries, size_t bytes);
bool front_request_fits(const struct request *rq);
size_t front_request_size(const struct request *rq);

#endif
