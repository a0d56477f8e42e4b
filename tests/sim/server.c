/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nftw */
#endif
#include <ftw.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "sim.h"
#include "tracker/hash.h"

#define CONTROL (UINT64_C(1) << 32)
#define OWN_UID 77
#define SETTLE_EVERY 200
#define LONG_US 60000000 /* slices end by work, not by this machine's clock: runs repeat */

uint64_t dice_next(struct dice *d)
{
	uint64_t x = d->s += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t dice_below(struct dice *d, uint64_t n)
{
	return n > 1 ? dice_next(d) % n : 0;
}

int64_t dice_range(struct dice *d, int64_t from, int64_t to)
{
	return from + (int64_t)dice_below(d, (uint64_t)(to - from) + 1);
}

bool dice_chance(struct dice *d, unsigned per_mille)
{
	return dice_below(d, 1000) < per_mille;
}

/*
 * The connection that the store opens, to ask it what was written: where nothing was, nothing
 * needs to be read again. It is nobody else's business.
 */
static sqlite3 *opened;

static void note_row(void *arg, int op, const char *db, const char *table, sqlite3_int64 row)
{
	struct written *w = arg;

	(void)op;
	(void)db;
	w->updates |= strcmp(table, "updates") == 0;
	w->history |= strcmp(table, "history") == 0;
	if (strcmp(table, "rollouts") != 0)
		return;
	for (int i = 0; i < w->n_rollouts; i++)
		if (w->rollout[i] == row)
			return;
	if (w->n_rollouts < O_ROLLOUTS)
		w->rollout[w->n_rollouts++] = row;
}

static int note_opening(sqlite3 *db, char **text, const struct sqlite3_api_routines *api)
{
	const char *name = sqlite3_db_filename(db, "main");

	(void)text;
	(void)api;
	if (name && strstr(name, "/fettle.db"))
		opened = db;
	return SQLITE_OK;
}

static void watch_opening(void)
{
	union {
		int (*call)(sqlite3 *, char **, const struct sqlite3_api_routines *);
		void (*ptr)(void);
	} u = { .call = note_opening };

	/* as the store would set it: it is too late for that afterwards */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_auto_extension(u.ptr);
	opened = NULL;
}

void server_watch(struct server *sr)
{
	sr->written = (struct written){ .any = true };
	sr->changes = sr->db ? sqlite3_total_changes64(sr->db) : 0;
}

/* Tables without row numbers are only counted. */
const struct written *server_written(struct server *sr)
{
	if (!sr->db || sr->written.n_rollouts == O_ROLLOUTS)
		return NULL;
	sr->written.any = sqlite3_total_changes64(sr->db) != sr->changes;
	return &sr->written;
}

/* What it has in memory, from the beginning. */
static int serve(struct server *sr, struct err *e)
{
	struct service_options o = { .store = sr->st,
				     .own_uid = OWN_UID,
				     .quota_staged = 1 << 20,
				     .image_max = 1 << 20,
				     .sessions_max = 2 * FLEET_MAX,
				     .version = "0",
				     .openapi = "{}" };

	memset(sr->admitted, 0, sizeof(sr->admitted));
	effects_clear(sr->fx);
	sr->jobs = true;
	sr->next_pass = sr->now.track;
	return service_new(&o, &sr->sv, e);
}

static int start(struct server *sr, struct err *e)
{
	struct store_options so = { .dir = sr->dir, .cache_bytes = 1 << 20 };

	sr->in_batch = false;
	watch_opening();
	if (store_open(&so, &sr->st, e) != 0)
		return -1;
	sr->db = opened;
	if (sr->db)
		sqlite3_update_hook(sr->db, note_row, &sr->written);
	store_set_hash(sr->st, &tracker_hash);
	return serve(sr, e);
}

int server_open(struct server *sr, const char *dir, struct err *e)
{
	/* zeroed tables of which little is used cost as much as is used, again and again */
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	sr->a = ARENA_INIT(8u << 20);
	sr->fx = calloc(1, sizeof(*sr->fx));
	if (!sr->fx)
		return err_set(e, ERR_NO_MEMORY, "no memory");
	sr->oc.fx = sr->fx;
	if (dir) {
		text_copy(sr->dir, sizeof(sr->dir), dir);
	} else {
		const char *at = getenv("FETTLE_SIM_DIR");
		text_format(sr->dir, sizeof(sr->dir), "%s/fettle-sim-XXXXXX",
			    at && at[0] ? at : "/tmp");
		if (!mkdtemp(sr->dir))
			return err_set(e, ERR_IO, "%s cannot be made", sr->dir);
	}
	return start(sr, e);
}

void server_close(struct server *sr)
{
	if (sr->in_batch && sr->st)
		store_batch_abandon(sr->st);
	service_free(sr->sv);
	store_close(sr->st);
	arena_free(&sr->a);
	free(sr->fx);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
	(void)s;
	(void)type;
	(void)f;
	return remove(path);
}

void server_remove(struct server *sr)
{
	if (sr->dir[0])
		nftw(sr->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int server_forget(struct server *sr, struct err *e)
{
	if (sr->in_batch)
		store_batch_abandon(sr->st);
	sr->in_batch = false;
	service_free(sr->sv);
	sr->sv = NULL;
	return serve(sr, e);
}

int server_crash(struct server *sr, struct err *e)
{
	if (sr->in_batch)
		store_batch_abandon(sr->st);
	service_free(sr->sv);
	store_close(sr->st);
	sr->sv = NULL;
	sr->st = NULL;
	return start(sr, e);
}

/* As the core does, and sooner: what dies later has less to read again. */
static void server_settle(struct server *sr)
{
	store_checkpoint(sr->st, ++sr->commits % SETTLE_EVERY == 0);
}

int server_begin(struct server *sr)
{
	if (sr->in_batch)
		return 0;
	if (store_batch_begin(sr->st, NULL) != 0)
		return -1;
	effects_clear(sr->fx);
	sr->in_batch = true;
	return 0;
}

int server_commit(struct server *sr)
{
	if (!sr->in_batch)
		return 0;
	sr->in_batch = false;
	if (store_batch_commit(sr->st, NULL) != 0)
		return -1;
	server_settle(sr);
	return 0;
}

static uint64_t handle_of(int dev)
{
	return dev < 0 ? CONTROL + (uint64_t)-dev : (uint64_t)dev + 1;
}

static enum lane lane_of(int dev)
{
	return dev < 0 ? LANE_CONTROL : LANE_NETWORK;
}

static bool admit(struct server *sr, int dev)
{
	struct evidence ev = { .kind = dev < 0 ? EVIDENCE_LOCAL : EVIDENCE_PLAIN,
			       .transport = dev < 0	    ? TRANSPORT_UNIX
					    : sr->coap[dev] ? TRANSPORT_COAP
							    : TRANSPORT_HTTP,
			       .port = (uint16_t)(40000 + dev + 2),
			       .uid = dev == SIM_OTHER ? OWN_UID : 0,
			       .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };

	if (!sr->admitted[dev + 2])
		sr->admitted[dev + 2] =
			service_admit(sr->sv, lane_of(dev), handle_of(dev), &ev, &sr->now) == 1;
	return sr->admitted[dev + 2];
}

static void decode(struct server *sr)
{
	enum media m = sr->rs.media;

	sr->doc = NULL;
	bool json = m == MEDIA_JSON || m == MEDIA_PROBLEM_JSON;
	bool cbor = m == MEDIA_CBOR || m == MEDIA_PROBLEM_CBOR;
	if (sr->rs.body.n > 0 && (json || cbor) &&
	    docfmt_decode(m, sr->rs.body, &sr->a, &sr->doc, NULL) != 0)
		sr->doc = NULL;
}

int server_ask(struct server *sr, const struct ask_of *a)
{
	struct request rq = { .id = 1,
			      .session = handle_of(a->dev),
			      .method = a->method,
			      .path = slice_str(a->path),
			      .observe = a->observe,
			      .want_body = true,
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE };
	bool keep = false;

	if (a->json) {
		rq.body = slice_str(a->json);
		rq.content_format = MEDIA_JSON;
	} else if (a->body.n > 0) {
		rq.body = a->body;
		rq.content_format = a->media;
	}
	if (!admit(sr, a->dev))
		return -1;
	arena_reset(&sr->a);
	store_handler_begin(sr->st);
	service_request(sr->sv, lane_of(a->dev), &rq, &sr->now, &sr->a, &sr->rs, &sr->oc, &keep);
	if (store_handler_end(sr->st, keep, NULL) != 0)
		return -1;
	if (sr->rs.close)
		sr->admitted[a->dev + 2] = false;
	decode(sr);
	return sr->rs.status;
}

int server_pass(struct server *sr, struct err *e)
{
	int64_t next = 0;

	arena_reset(&sr->a);
	effects_clear(sr->fx);
	int n = service_schedule(sr->sv, &sr->now, &sr->a, sr->fx, 1000, LONG_US, &next, e);
	sr->next_pass = next > 0 ? next : SIM_NEVER;
	return n;
}

int server_job(struct server *sr, struct err *e)
{
	arena_reset(&sr->a);
	effects_clear(sr->fx);
	int64_t next;
	int more = service_jobs(sr->sv, &sr->now, &sr->a, sr->fx, LONG_US, &next, e);
	sr->jobs = more > 0;
	return more;
}

int server_call(struct server *sr, const struct effect *fx, uint8_t tag[IPC_SEND_TAG])
{
	struct ipc_send out;
	int rc = service_call(sr->sv, fx, &sr->now, &sr->a, &out, NULL);

	memcpy(tag, out.tag, IPC_SEND_TAG);
	return rc;
}

int server_answer(struct server *sr, const struct ipc_sent *s)
{
	struct err e = { 0 };
	unsigned effects = sr->fx->n;

	arena_reset(&sr->a);
	store_handler_begin(sr->st);
	int rc = service_sent(sr->sv, s, &sr->now, &sr->a, sr->fx, &e);
	if (rc < 0)
		sr->fx->n = effects;
	return store_handler_end(sr->st, rc >= 0, NULL) == 0 ? rc : -1;
}

void server_evict(struct server *sr, int dev)
{
	if (sr->admitted[dev + 2])
		service_closed(sr->sv, lane_of(dev), handle_of(dev));
	sr->admitted[dev + 2] = false;
}
