/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_INTERNAL_H
#define FETTLE_SERVICE_INTERNAL_H

#include "base/doc.h"
#include "service/route.h"
#include "service/seen.h"
#include "service/service.h"

/* What the files of this folder share. */

/* Who a session proved to be, as last seen. Memory says where to look, rows decide. */
struct session {
	uint64_t handle;
	struct evidence evidence;
	/* by PSK for good; on plain, the auth-none device named last: sessions_bind sets it */
	int64_t dev;
	struct session *dev_next, *dev_prev;	/* of the same bucket of devices */
	uint64_t bound;		/* counts up: who was bound last */
	int64_t credential;	/* that opened it, or whose token it last carried */
	int64_t token;		/* operator's token it last carried */
	char device[NAME_TEXT];
};

/* Open-addressed by handle; refuses when full, never evicts. */
struct sessions {
	struct session **slot;
	struct session **by_dev;	/* cap buckets */
	uint64_t bindings;
	size_t cap, n, max;	/* cap: a power of two, or 0 */
};

#define TICKET_MS (2 * 3600 * INT64_C(1000)) /* what OpenSSL gives a session, and so its ticket */

struct session *sessions_find(const struct sessions *t, uint64_t handle);
/* NULL: full, there already, no memory. */
struct session *sessions_add(struct sessions *t, uint64_t handle);
void sessions_remove(struct sessions *t, uint64_t handle);
/* s, of this table, is dev's from now on; 0: nobody's. */
void sessions_bind(struct sessions *t, struct session *s, int64_t dev);
/* The CoAP session dev was last bound to, plain or else CoAPS; NULL: none is open. */
const struct session *sessions_of_device(const struct sessions *t, int64_t dev, bool plain);
void sessions_clear(struct sessions *t);

/* Links to what is published, for everyone the same: made again when rows or time say so. */
struct published {
	bool kept;
	bool wall_trusted;
	int64_t version;	/* store_goods_version() they were made of */
	int64_t until;		/* tracker time */
	struct buf links;	/* svc_core.c knows how */
};

struct service {
	struct service_options o;
	struct policy policy;
	bool policy_stale;	/* rows may differ from policy */
	struct sessions lanes[LANE_COUNT];
	struct route_index *index;
	const struct service_stats *stats;	/* the caller's, or NULL */
	int64_t started;	/* monotonic ms */
	struct buf scratch;	/* encoders' */
	struct published published;
	struct seen seen;
	struct window_book *windows;	/* NULL without memory: nothing is remembered */
	bool calls_lost;	/* whoever had calls under way is gone: rows do not say so yet */
	int64_t sweep_outage;	/* where looking for outages that are over goes on */
};

/* ---- service.c ---- */
struct tracker service_tracker(struct service *sv, const struct now *now, struct arena *a,
			       struct effects *fx);
/* Ends the batch: rc, or -1 with nothing done. */
int service_finish(struct service *sv, int rc, struct effects *fx, struct err *e);

/* ---- sending.c ---- */
/* -1: no answer to a call of ours at all. Pure. */
int call_answer_read(const struct ipc_sent *s, struct arena *a, int64_t wall_ms,
		     struct call_answer *out, struct err *e);

/* ---- principal.c: who asks, decided by rows for each request ---- */

/* Fills c->who, c->scope and, for devices, c->device. -1: e is the answer. */
int principal_resolve(struct call *c, struct err *e);
/* The path names device id on a plain listener: become it when it has no credential. */
int principal_by_path(struct call *c, struct slice id, bool registering, struct err *e);
/* Role, lane, scope and own device against c->route. */
int principal_authorise(struct call *c, struct err *e);
bool credential_usable(const struct credential *cr, int64_t wall);

/* ---- call.c: the way of one request ---- */

void call_init(struct call *c, struct service *sv, enum lane lane, const struct request *rq,
	       const struct now *now, struct arena *a, struct response *rs, struct outcome *oc);
/* Session, principal, route, rights. */
int call_enter(struct call *c, struct err *e);

/* The body as a document of media type m, into c->body. */
int call_decode(struct call *c, enum media m, struct err *e);

/* ---- reply.c, problem.c, etag.c ---- */

void reply_init(struct response *rs, uint32_t id);
/* Encode d in what the asker accepts; 200, 201 ... */
int reply_doc(struct call *c, uint16_t status, const struct doc *d, struct err *e);
int reply_bytes(struct call *c, uint16_t status, enum media m, struct slice bytes, struct err *e);
int reply_text(struct call *c, uint16_t status, enum media m, const char *text, struct err *e);
int reply_empty(struct call *c, uint16_t status);
int reply_location(struct call *c, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* 202 with {"job": ...} and where to look. */
int reply_job(struct call *c, const struct job *j, struct err *e);
/* An object the front serves, by a grant; session false: public. */
int reply_object(struct call *c, const struct digest *d, enum media m, bool session,
		 int64_t lifetime_ms, struct err *e);
/* The media type documents travel in for this asker: JSON or CBOR; -1 with ERR_NOT_ACCEPTABLE. */
int reply_media(const struct call *c, enum media *m, struct err *e);
bool call_is_coap(const struct call *c);
bool call_is_api(const struct call *c);

/* Texts of errors may hold pieces of what came in: printable ASCII goes out, no more. */
void problem_text(char *dst, size_t cap, const char *src);
void problem_fill(const struct call *c, const struct err *why, struct response *rs);

void etag_of_digest(struct etag *t, const struct digest *d);
/* Of a kind's row in its version. */
int etag_of_version(struct etag *t, const char *kind, int64_t id, uint64_t version);
/*
 * If-Match: 412 when none fits. GET with If-None-Match: *fresh, and the answer becomes 304 when
 * it is made (RFC 9110 15.4.5: with the fields of a 200). Also sets rs->etag.
 */
int etag_check(struct call *c, const struct etag *full, bool *fresh, struct err *e);
/*
 * The same for an answer that tells the time: the first ETAG_PART bytes of its tag say what it is
 * (full's), the others, put there by etag_of_answer() when it is made, are of its bytes. Blocks of
 * two answers are never taken for one (RFC 7959 2.4), and who has one of them has them all.
 */
#define ETAG_PART 5
int etag_check_part(struct call *c, const struct etag *full, struct err *e);
int etag_of_answer(struct call *c, struct err *e);
int etag_check_version(struct call *c, const char *kind, int64_t id, uint64_t version, bool *fresh,
		       struct err *e);

/* ---- idempotency.c ---- */
#define IDEMPOTENCY_WHO (NAME_TEXT + 40)
/* Whose repeats are known by its keys: this token, this device, and no other of its name. */
void idempotency_who(const struct call *c, char dst[IDEMPOTENCY_WHO]);

/* 1: rs is the answer given before; 0 go on; -1. */
int idempotency_find(struct call *c, struct digest *key, struct err *e);
int idempotency_keep(struct call *c, const struct digest *key, struct err *e);

/* ---- page.c: limit and cursor of a collection ---- */

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define PAGE_ROWS 32		/* rows taken from the store at a time */
#define PAGE_SPAN 1000		/* looked at at a time, where a filter leaves some out */
#define PAGE_SCAN 10000		/* rows looked at for one page where some are left out */

struct page {
	struct call *c;
	int64_t after;
	int limit, n, seen;
	bool more;
	struct doc *root, *items;
};
int page_begin(struct page *p, struct call *c, struct err *e);
/* How many rows to ask for now; 0: the page is full. */
int page_want(const struct page *p);
/* The rows asked for came: got of want; last is the last one's id. True: go on. */
bool page_step(struct page *p, int want, int got, int64_t last);
/* The same where rows are left out before they come: looked at up to cursor. */
bool page_looked(struct page *p, int64_t cursor, bool done);
/* A map for one item. */
struct doc *page_item(struct page *p);
int page_end(struct page *p, struct err *e);

/* ---- params.c: holes and queries ---- */

int hole_text(const struct call *c, unsigned i, char *dst, size_t cap, struct err *e);
int hole_id(const struct call *c, unsigned i, int64_t *out, struct err *e);
int hole_digest(const struct call *c, unsigned i, struct digest *out, struct err *e);
/* Absent: 0. */
int query_id(const struct call *c, const char *name, int64_t *out, struct err *e);
/* 1 *out says which, 0 not given (false), -1: neither yes nor no */
int query_flag(const struct call *c, const char *name, bool *out, struct err *e);
/* What a *_get returned: 0 found, -1 (ERR_NOT_FOUND when it was absent). */
int found_or(int rc, struct err *e, const char *what);
/* After a refused insert: the store names its columns, people the thing. -1 always. */
int taken_or(struct err *e, const char *what, const char *name);
/* 1 when this device is inside the asker's scope (or there is none). */
int scope_takes(const struct call *c, int64_t dev, struct err *e);
int scope_needed(const struct call *c, struct err *e);	/* -1 ERR_FORBIDDEN when scoped */
/* q ANDed with the asker's scope. */
int scope_and(struct call *c, struct filter *q, const struct filter **out, struct err *e);
/* A collection parameter q ANDed with the asker's scope; NULL when there is neither. */
int scope_query(struct call *c, const struct filter **out, struct err *e);

#endif
