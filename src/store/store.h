/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_STORE_H
#define FETTLE_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/filter.h"
#include "base/model.h"
#include "base/slice.h"
#include "store/standing.h"

/*
 * The store: the only SQL and the only <sqlite3.h>. Models in, models out. One
 * struct store is one writing connection to fettle.db with images.db attached
 * to its own second connection; it belongs to one process and one thread.
 *
 * Return values: 0 done, -1 error (e says why) unless the comment says
 * otherwise. Functions called *_get return 1 found, 0 absent, -1 error. *_list
 * return the number of rows filled (<= limit), or -1; they page by "row id
 * greater than after", in ascending order.
 *
 * Transactions (architecture.md 1, "the batch is the commit group"):
 *   store_batch_begin; for each request { store_handler_begin; ...;
 *   store_handler_end(keep?) }; store_batch_commit.
 * The savepoint is opened by the first write inside a handler. After a failed
 * commit, or an error after which SQLite is back in autocommit, the batch is to be
 * run again with store_refuse_writes(st, true): writes then fail with ERR_FULL
 * or ERR_IO (what the failure was) and reads go on. A failed fsync makes
 * store_must_stop() true: the core stops acknowledging and exits.
 */
struct store;

struct store_options {
	const char *dir; /* data directory, 0700, must exist */
	int64_t cache_bytes; /* budget of cache/ */
	bool read_only; /* for keys and offline tools: no schema change, no writes */
};

int store_open(const struct store_options *o, struct store **out, struct err *e);
void store_close(struct store *st);
int store_schema_version(void);

/* Batches. */
int store_batch_begin(struct store *st, struct err *e);
void store_handler_begin(struct store *st);
int store_handler_end(struct store *st, bool keep,
		      struct err *e); /* keep false: roll the handler's writes back */
bool store_batch_dirty(const struct store *st); /* a write happened */
int store_batch_commit(struct store *st, struct err *e);
/*
 * The open batch, when it is committed, need not be durable by that: a power cut may take it,
 * and others like it behind it, whole; the death of this process takes nothing. The next batch
 * that may not wait makes all before it durable. For what nobody is told of and what a restart
 * does again.
 */
void store_batch_may_wait(struct store *st);
void store_batch_abandon(struct store *st);
bool store_batch_broken(struct store *st); /* SQLite rolled the transaction back under us */
/*
 * From the next batch on no savepoints: each costs a copy of every page its handler changes,
 * to undo what hardly ever is undone. A handler that wrote and is not kept then breaks the
 * batch: store_handler_end fails, store_batch_undo() tells why, and the batch is to be
 * abandoned and run again, not optimistic.
 */
void store_batch_optimistic(struct store *st, bool on);
bool store_batch_undo(const struct store *st);
void store_refuse_writes(struct store *st, bool refuse);
bool store_must_stop(const struct store *st);
/*
 * PASSIVE checkpoint when enough WAL pages wait (1,000 to 8,000, by how long the last ones
 * took), or with force any; between batches. Returns pages still waiting, of those it sees to.
 */
int store_checkpoint(struct store *st, bool force);

/*
 * Whoever copies the log waits for the disk, and a slow disk then keeps waiting all whom that
 * process serves. So another one, with a store of its own on the same folder, may copy
 * fettle.db's: store_wal_copy() there when it is due here, and its outcome back here. Meanwhile
 * commits go on. With store_wal_elsewhere() on, store_checkpoint() leaves that log alone, unless
 * forced while it is full.
 */
struct wal_copied {
	int log, done; /* pages in the log, and of these in the database */
};
void store_wal_elsewhere(struct store *st, bool on);
bool store_wal_due(const struct store *st, int pages); /* so many wait, or it is full */
/* It is as long as it should get, 8,000 pages, and starts over only when all of it was copied. */
bool store_wal_full(const struct store *st);
int store_wal_copy(struct store *st, struct wal_copied *out, struct err *e);
/* false: it came no further, as while a reader that does not end is in the way */
bool store_wal_copied(struct store *st, const struct wal_copied *c);
void store_wal_lost(struct store *st); /* the other could not sync: store_must_stop() from now on */
/*
 * The other ended, and nobody knows how its last copy did: makes sure with this store's own
 * descriptors that no sync failed, or store_must_stop(). Before anyone copies again.
 */
void store_wal_left(struct store *st);

/* Small durable values: tracker time, server secret, clock floor, master settings. */
int store_meta_get_int(struct store *st, const char *key, int64_t *out, struct err *e); /* 1/0/-1 */
int store_meta_put_int(struct store *st, const char *key, int64_t v, struct err *e);
int store_meta_get_blob(struct store *st, const char *key, uint8_t *dst, size_t cap, size_t *n,
			struct err *e);
int store_meta_put_blob(struct store *st, const char *key, struct slice v, struct err *e);

/* Devices. */
int store_device_add(struct store *st, struct device *d,
		     struct err *e); /* fills d->dev; ERR_CONFLICT when the id exists */
int store_device_get(struct store *st, const char *id, struct device *out, struct err *e);
int store_device_by_dev(struct store *st, int64_t dev, struct device *out, struct err *e);
int store_device_put(struct store *st, const struct device *d,
		     struct err *e); /* by dev; counts etag up */
int store_device_remove(
	struct store *st, int64_t dev,
	struct err *e); /* and all that hangs on it; history stays until compaction */
/*
 * Devices a filter takes. The work is bounded whatever the filter: they look at no more than
 * span row ids beyond *cursor, move it, and say when there are none left.
 */
int store_device_list(struct store *st, const struct filter *f, int64_t *cursor, int span,
		      int limit, struct device *out, bool *done, struct err *e);
int store_device_match(struct store *st, const struct filter *f, int64_t *cursor, int span,
		       int limit, int64_t *devs, bool *done, struct err *e); /* numbers only */
/* 1 when this device matches, 0 not. */
int store_device_matches(struct store *st, int64_t dev, const struct filter *f, struct err *e);
int store_device_last(struct store *st, int64_t *dev, struct err *e); /* the largest; 0 none */
int store_device_count(struct store *st, int64_t *out, struct err *e); /* a kept counter, no scan */
int store_device_floor(struct store *st, int64_t dev, uint64_t sequence,
		       struct err *e); /* raise only */
#define STORE_ATTRIBUTES_MAX 64 /* of one device, assigned and reported each */
#define STORE_TAGS_MAX 64
/* Assigned attributes (false) and reported ones (true): text or number. */
int store_attr_put(struct store *st, int64_t dev, bool reported, const char *name,
		   const struct filter_value *v, struct err *e); /* v NULL: remove */
int store_attr_list(struct store *st, int64_t dev, bool reported, int limit,
		    char (*names)[NAME_TEXT], struct filter_value *values, struct err *e);
int store_tag_put(struct store *st, int64_t dev, const char *tag, bool set, struct err *e);
int store_tag_list(struct store *st, int64_t dev, int limit, char (*tags)[NAME_TEXT],
		   struct err *e);
/* Groups: a device may be in several. */
int store_group_add(struct store *st, const char *name, struct err *e);
int store_group_remove(struct store *st, const char *name, struct err *e);
int store_group_list(struct store *st, int64_t after, int limit, int64_t *ids,
		     char (*names)[NAME_TEXT], struct err *e);
int store_group_member(struct store *st, const char *name, int64_t dev, bool set, struct err *e);

int store_device_groups(struct store *st, int64_t dev, int limit, char (*names)[NAME_TEXT],
			struct err *e);
/* Members of groups that are gone, at most limit; how many went. Between batches. */
int store_group_sweep(struct store *st, int limit, struct err *e);

/* Live part: dedup, last seen, endpoint. Touches one row, no index. */
int store_live_get(struct store *st, int64_t dev, struct device_live *out,
		   struct err *e); /* absent: empty, returns 0 */
int store_live_put(struct store *st, const struct device_live *l, struct err *e);
/*
 * It polled that often more, at the latest then (wall and track); of a device that is gone
 * nothing is kept.
 */
int store_live_seen(struct store *st, int64_t dev, const struct now *at, int64_t polls,
		    struct err *e);
/* Reported components, replaced as a whole, only when they differ; *changed may be NULL. */
int store_components_put(struct store *st, int64_t dev, const struct component *c, int n,
			 bool *changed, struct err *e);
int store_components_list(struct store *st, int64_t dev, struct component out[COMPONENTS_MAX],
			  struct err *e);

/* Credentials. */
int store_credential_add(struct store *st, struct credential *c, struct err *e);
int store_credential_by_identity(struct store *st, enum credential_kind k, const char *identity,
				 struct credential *out,
				 struct err *e); /* newest usable first, else newest */
int store_credential_by_identity_at(struct store *st, enum credential_kind k, const char *identity,
				    int64_t now_wall, struct credential *out, struct err *e);
int store_credential_by_hash(struct store *st, const struct digest *hash, struct credential *out,
			     struct err *e);
int store_credential_get(struct store *st, int64_t dev, int64_t id, struct credential *out,
			 struct err *e);
int store_credential_list(struct store *st, int64_t dev, int64_t after, int limit,
			  struct credential *out, struct err *e);
int store_credential_revoke(struct store *st, int64_t dev, int64_t id, int64_t at, struct err *e);
/* Its device is removed: its PSK identities end at this wall time. */
int store_identities_end(struct store *st, int64_t dev, int64_t at, struct err *e);
/* Forgets some of what ended then or before; how many, or -1 */
int store_identities_sweep(struct store *st, int64_t until, int limit, struct err *e);
/* 1 a PSK of this identity, whose ever it was, was ended after since, or has run out; 0; -1 */
int store_identity_ended(struct store *st, const char *identity, int64_t since, int64_t now_wall,
			 struct err *e);
int store_credential_usable(struct store *st, int64_t dev, int64_t now_wall,
			    struct err *e); /* how many, or -1 */

/* Images. The bytes are in images.db in 64 KiB rows. */
#define STORE_CHUNK 65536
int store_image_get(struct store *st, const struct digest *d, struct image *out, struct err *e);
int store_image_list(struct store *st, int64_t after, int limit, int64_t *ids, struct image *out,
		     struct err *e);
int store_image_remove(struct store *st, const struct digest *d,
		       struct err *e); /* ERR_CONFLICT when referenced */
/* Uploads: staged in images.db, offset durable by store_upload_sync. All outside batches. */
int store_upload_open(struct store *st, struct upload *u, struct err *e); /* fills id, name */
int store_upload_get(struct store *st, const char *name, struct upload *out, struct err *e);
int store_upload_chunk(struct store *st, struct upload *u, struct slice bytes,
		       struct err *e); /* any size <= 64 KiB; u->offset moves; durable each MiB */
int store_upload_sync(struct store *st, struct upload *u, struct err *e);
/* Sealing needs a hash of all of it: catch up for about budget_us. 1 done, 0 more to do, -1. */
int store_upload_ready(struct store *st, struct upload *u, int64_t budget_us, struct err *e);
/*
 * Check size and digest (ERR_VERIFY), seal for good, add the image row in the caller's batch.
 * Until store_upload_done, which follows its commit, it may be repeated with the same result.
 */
int store_upload_seal(struct store *st, struct upload *u, int64_t now_wall, struct image *out,
		      struct err *e);
int store_upload_done(struct store *st, int64_t id, struct err *e);
int store_upload_drop(struct store *st, int64_t id, struct err *e);
int store_upload_sweep(struct store *st, int64_t older_than, int limit,
		       struct err *e); /* older_than: tracker time */
/* Staged bytes of all uploads; of one whose size was said, all of that. -1 on an error */
int64_t store_upload_total(struct store *st);
/* An image from memory, e.g. a manifest's integrated payload. */
int store_image_add(struct store *st, struct slice bytes, const char *by, int64_t now_wall,
		    struct image *out, struct err *e);
/*
 * A read-only descriptor of cache/<sha256> for an image or a manifest, made from the database
 * when missing or damaged (written with O_TMPFILE, verified, linked). The
 * caller closes it. *size as stored. ERR_NOT_FOUND when there is no such object.
 */
int store_object_open(struct store *st, const struct digest *d, int *fd, uint64_t *size,
		      struct err *e);
/* Large objects: prepare in slices. 1 ready (then open it), 0 more to do, -1 error. */
int store_object_prepare(struct store *st, const struct digest *d, int64_t budget_us,
			 struct err *e);
int store_cache_trim(struct store *st, int limit, struct err *e);

/* Manifests, as signed. bytes of get are the arena's. */
int store_manifest_add(struct store *st, const struct manifest *m,
		       const struct manifest_image *images, int n_images, struct slice bytes,
		       struct err *e); /* 0 added, 1 was there */
int store_manifest_get(struct store *st, const struct digest *d, struct manifest *out,
		       struct err *e);
int store_manifest_by_identity(struct store *st, const struct digest *identity,
			       struct manifest *out, struct err *e);
int store_manifest_bytes(struct store *st, const struct digest *d, struct arena *a,
			 struct slice *out, struct err *e); /* 1/0/-1 */
int store_manifest_images(struct store *st, const struct digest *d, struct manifest_image *out,
			  int limit, struct err *e);
int store_manifest_list(struct store *st, int64_t after, int limit, int64_t *ids,
			struct manifest *out, struct err *e);
/* Highest sequence stored for m's vendor and class id, without one its model: 1/0/-1. */
int store_manifest_newest(struct store *st, const struct manifest *m, uint64_t *sequence,
			  struct err *e);
int store_manifest_remove(struct store *st, const struct digest *d, struct err *e);
int store_manifest_verdict(struct store *st, const struct digest *d, int64_t anchor, int64_t at,
			   struct err *e);
int store_manifest_by_anchor(struct store *st, int64_t anchor, int64_t after, int limit,
			     struct digest *out, int64_t *ids, struct err *e);

/*
 * Another number after each change of releases, anchors or verdicts, and one that never comes
 * back: what was made of those rows is good as long as it stands.
 */
int store_goods_version(struct store *st, int64_t *out, struct err *e);
/* Releases. */
int store_release_add(struct store *st, struct release *r, struct err *e);
int store_release_get(struct store *st, int64_t id, struct release *out, struct err *e);
int store_release_by_name(struct store *st, const char *name, struct release *out, struct err *e);
int store_release_put(struct store *st, const struct release *r, struct err *e);
int store_release_list(struct store *st, int64_t after, int limit, struct release *out,
		       struct err *e);
int store_release_by_manifest(struct store *st, const struct digest *manifest, struct release *out,
			      struct err *e);
/* What was approved for m's vendor and class id (without one, its model) below m's sequence. */
int store_release_before(struct store *st, const struct manifest *m, struct release *out,
			 struct err *e);
int store_release_by_anchor(struct store *st, int64_t anchor, int64_t after, int limit,
			    struct release *out, struct err *e);
/* Releases not withdrawn that name this image. */
int store_release_by_image(struct store *st, const struct digest *image, int64_t after, int limit,
			   struct release *out, struct err *e);
/* Newest published: manufacturer/model from the well-known path. */
int store_release_published(struct store *st, const char *manufacturer, const char *model,
			    struct release *out, struct err *e);
/* Highest sequence ever approved for (vendor, class): the anti-rollback floor of the class; 0/1. */
int store_class_floor_get(struct store *st, const struct uuid *vendor, const struct uuid *class_id,
			  uint64_t *out, struct err *e);
int store_class_floor_raise(struct store *st, const struct uuid *vendor,
			    const struct uuid *class_id, uint64_t v, struct err *e);
/* Routes: the path of every URI in an offerable release. Newest published release first. */
int store_route_add(struct store *st, int64_t release, const char *path, const struct digest *image,
		    struct err *e);
int store_route_remove(struct store *st, int64_t release, struct err *e);
int store_route_published(struct store *st, const char *path, struct digest *image,
			  int64_t *release, struct err *e); /* 1/0/-1 */
int store_route_of_release(struct store *st, int64_t release, const char *path,
			   struct digest *image, struct err *e); /* 1/0/-1 */
/*
 * The next published approved release, by number, that names this object: 1/0/-1. Whether it
 * may be handed out now is the tracker's to say.
 */
int store_object_published(struct store *st, const struct digest *d, int64_t after,
			   int64_t *release, struct err *e);
/* The published releases for /.well-known/core. */
int store_release_published_list(struct store *st, int64_t after, int limit, struct release *out,
				 struct err *e);

/* Anchors, tokens, operators. */
int store_anchor_add(struct store *st, struct anchor *a, struct err *e);
int store_anchor_get(struct store *st, int64_t id, struct anchor *out, struct err *e);
int store_anchor_list(struct store *st, int64_t after, int limit, struct anchor *out,
		      struct err *e);
int store_anchor_for_vendor(struct store *st, const struct uuid *vendor, int64_t after, int limit,
			    struct anchor *out, struct err *e);
int store_anchor_revoke(struct store *st, int64_t id, int64_t at, struct err *e);
int store_token_add(struct store *st, struct token *t, struct err *e);
int store_token_by_hash(struct store *st, const struct digest *hash, struct token *out,
			struct err *e);
int store_token_list(struct store *st, int64_t after, int limit, struct token *out, struct err *e);
int store_token_revoke(struct store *st, int64_t id, int64_t at, struct err *e); /* ERR_NOT_FOUND */
int store_operator_get(struct store *st, uint32_t uid, struct operator_uid *out, struct err *e);
int store_operator_put(struct store *st, const struct operator_uid *o, struct err *e);
int store_operator_remove(struct store *st, uint32_t uid, struct err *e);
int store_operator_list(struct store *st, int64_t after, int limit, struct operator_uid *out,
			struct err *e);

/*
 * Windows. Rows never change; a device, group or class, and a rollout, has at most WINDOWS_EACH
 * of its operators', a device as many of its own (ERR_TOO_MANY).
 */
#define WINDOWS_EACH 16
int store_window_add(struct store *st, struct window *w, struct err *e); /* fills id */
int store_window_get(struct store *st, int64_t id, struct window *out, struct err *e);
int store_window_remove(struct store *st, int64_t id, struct err *e); /* ERR_NOT_FOUND */
int store_window_list(struct store *st, int64_t after, int limit, struct window *out,
		      struct err *e);
/* Of one level and one of its things: like's level, ref, class_id and model say which. */
int store_window_by_level(struct store *st, const struct window *like, int64_t after, int limit,
			  struct window *out, struct err *e);
/* A device's own windows, replaced as a whole and only where they differ: *changed. */
int store_window_report(struct store *st, int64_t dev, const struct window *w, int n,
			bool *changed, struct err *e);
/*
 * All that concern d (by its number, groups, class id and model) and a rollout (0 none). One
 * statement while there are no windows at all, else one more.
 */
int store_window_concerning(struct store *st, const struct device *d, int64_t rollout, int limit,
			    struct window *out, struct err *e);
int store_group_id(struct store *st, const char *name, int64_t *out, struct err *e); /* 1/0/-1 */
int store_group_name(struct store *st, int64_t id, char name[NAME_TEXT],
		     struct err *e); /* 1/0/-1 */

/* Jobs, idempotency, audit, policy. */
int store_job_add(struct store *st, struct job *j, struct err *e);
int store_job_get(struct store *st, int64_t id, struct job *out, struct err *e);
int store_job_put(struct store *st, const struct job *j, struct err *e);
/* Running, and due at or before track: trust first, then the oldest; 1/0/-1 */
int store_job_next(struct store *st, int64_t track, struct job *out, struct err *e);
/* When the first of those running is due, 0 none runs. 0/-1 */
int store_job_first_due(struct store *st, int64_t *track, struct err *e);
/* How far the running job of that kind has come with ref. 1/0/-1 */
int store_job_cursor(struct store *st, const char *kind, int64_t ref, int64_t *cursor,
		     struct err *e);
int store_job_list(struct store *st, int64_t after, int limit, struct job *out, struct err *e);
/* What a job works through, at most 64 KiB, and what it found wrong with it: the job's to read. */
struct job_input {
	int64_t media;
	char scope[FILTER_TEXT]; /* of who asked, or empty */
	struct slice body, errors; /* the arena's */
};
int store_job_input_add(struct store *st, int64_t job, const struct job_input *in, struct err *e);
int store_job_input_get(struct store *st, int64_t job, struct arena *a, struct job_input *out,
			struct err *e); /* 1/0/-1 */
int store_job_input_scope(struct store *st, int64_t job, char scope[FILTER_TEXT],
			  struct err *e); /* that alone: 1/0/-1 */
int store_job_input_errors(struct store *st, int64_t job, struct slice errors, struct err *e);
int store_job_input_done(struct store *st, int64_t job, struct err *e); /* its body goes */
/* A stored answer to an operator's POST: 1 found (status, body in arena), 0 new, -1. */
int store_idempotency_get(struct store *st, const char *who, struct slice key,
			  const struct digest *request, uint16_t *status, struct arena *a,
			  struct slice *body,
			  struct err *e); /* ERR_CONFLICT: same key, other request */
int store_idempotency_put(struct store *st, const char *who, struct slice key,
			  const struct digest *request, uint16_t status, struct slice body,
			  int64_t at, struct err *e);
/* Of one asker only the newest n: devices must not fill the disk with them. */
int store_idempotency_keep(struct store *st, const char *who, int n, struct err *e);
int store_idempotency_sweep(struct store *st, int64_t older_than, int limit,
			    struct err *e); /* how many went */
int store_audit_add(struct store *st, struct audit *a, struct err *e); /* fills id, prev, hash */
int store_audit_list(struct store *st, int64_t after, int limit, struct audit *out, struct err *e);
/*
 * Follow the chain over at most limit rows behind row after (0: from its start), which a
 * call before this one found good. 1 good up to row *last, and *end says whether that is
 * all of it; 0 the row behind *last breaks it; -1.
 */
int store_audit_verify(struct store *st, int64_t after, int limit, int64_t *last, bool *end,
		       struct err *e);
int store_policy_get(struct store *st, const char *name, struct arena *a, struct slice *out,
		     struct err *e); /* 1/0/-1 */
int store_policy_put(struct store *st, const char *name, struct slice body, struct err *e);

/* Offline and background care. */
int store_quick_check(struct store *st, struct err *e);
/* SHA-256 for the store's own hashing comes from its caller, so that rank 1 folders stay apart. */
struct store_hash {
	void *(*begin)(void);
	int (*add)(void *h, struct slice s);
	int (*end)(void *h, struct digest *out); /* also frees h */
	void (*drop)(void *h);
};
void store_set_hash(struct store *st, const struct store_hash *h);

#include "store/calls.h"
#include "store/rollouts.h"

#endif
