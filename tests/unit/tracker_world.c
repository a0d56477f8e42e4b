/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nftw */
#endif
#include "tracker_world.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/suit.h"
#include "tracker/hash.h"

static void open_store(struct world *w)
{
	struct store_options o = { .dir = w->dir, .cache_bytes = 1 << 20 };

	ck_assert_msg(store_open(&o, &w->st, &w->err) == 0, "%s", w->err.text);
	store_set_hash(w->st, &tracker_hash);
	ck_assert_int_eq(store_batch_begin(w->st, &w->err), 0);
	w->tk.st = w->st;
}

static void add_anchor(struct world *w)
{
	struct buf pem = BUF_INIT(4096);

	ck_assert_int_eq(key_generate(KEY_P256, &w->author, &w->err), 0);
	ck_assert_int_eq(key_public_pem(w->author, &pem, &w->err), 0);
	w->anchor = (struct anchor){ .vendor = "example.com" };
	memcpy(w->anchor.spki, pem.p, pem.n);
	w->anchor.spki_len = (uint16_t)pem.n;
	WORLD_OK(w, anchor_add(&w->tk, &w->anchor, &w->err));
	buf_free(&pem);
}

void world_open(struct world *w)
{
	memset(w, 0, sizeof(*w));
	const char *tmp = getenv("TMPDIR");
	ck_assert_int_eq(text_format(w->dir, sizeof(w->dir), "%s/tracker-XXXXXX",
				     tmp && strlen(tmp) < 32 ? tmp : "/tmp"),
			 0);
	ck_assert_ptr_nonnull(mkdtemp(w->dir));
	w->a = ARENA_INIT(1 << 24);
	policy_defaults(&w->policy);
	w->tk = (struct tracker){
		.policy = &w->policy,
		.fx = &w->fx,
		.a = &w->a,
		.who = "uid:0",
		.now = { .wall = 1800000000000, .track = 1000, .wall_trusted = true }
	};
	open_store(w);
	ck_assert_int_eq(suit_vendor_uuid("example.com", &w->vendor), 0);
	ck_assert_int_eq(suit_class_uuid(&w->vendor, "lamp", &w->class_id), 0);
	add_anchor(w);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
	(void)s;
	(void)type;
	(void)f;
	return remove(path);
}

void world_close(struct world *w)
{
	store_close(w->st);
	key_free(w->author);
	arena_free(&w->a);
	ck_assert_int_eq(nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void world_commit(struct world *w)
{
	ck_assert_msg(store_batch_commit(w->st, &w->err) == 0, "%s", w->err.text);
	ck_assert_int_eq(store_batch_begin(w->st, &w->err), 0);
	arena_reset(&w->a);
	effects_clear(&w->fx);
}

void world_crash(struct world *w)
{
	store_batch_abandon(w->st);
	store_close(w->st);
	effects_clear(&w->fx);
	open_store(w);
}

void world_wait(struct world *w, int64_t seconds)
{
	w->tk.now.wall += seconds * 1000;
	w->tk.now.track += seconds * 1000;
}

void world_handled(struct world *w, bool keep)
{
	struct err e;

	ck_assert_int_eq(store_handler_end(w->st, keep, &e), 0);
	ck_assert(!w->fx.overflow);
	if (effects_room(&w->fx) < 512)
		effects_clear(&w->fx);
}

void world_envelope(const struct world_author *by, struct buf *out)
{
	struct err e;
	struct suit_create c = {
		.sequence = by->sequence,
		.n_images = 1,
		.version = by->version,
		.images = { { .component = "main",
			      .digest = by->image,
			      .size = by->size,
			      .uri = by->uri } },
		.vendor_domain = by->domain,
		.model_name = by->model,
		.description = "a lamp",
		.has_priority = by->has_priority,
		.priority = by->priority,
		.has_use_before = by->has_use_before,
		.use_before = by->use_before,
	};

	ck_assert_int_eq(suit_vendor_uuid(by->domain, &c.vendor_id), 0);
	ck_assert_int_eq(suit_class_uuid(&c.vendor_id, by->model, &c.class_id), 0);
	*out = BUF_INIT(SUIT_ENVELOPE_MAX);
	ck_assert_msg(suit_create(&c, by->key, out, &e) == 0, "%s", e.text);
}

void world_image(struct world *w, const char *text, struct digest *digest, uint64_t *size)
{
	struct image i;

	WORLD_OK(w, store_image_add(w->st, slice_str(text), "uid:0", w->tk.now.wall, &i, &w->err));
	*digest = i.digest;
	*size = i.size;
}

struct world_author world_author(struct world *w, uint64_t sequence, const char *version)
{
	struct world_author by = { .key = w->author,
				   .domain = "example.com",
				   .model = "lamp",
				   .version = version,
				   .sequence = sequence };
	char text[64];

	text_format(text, sizeof(text), "lamp firmware %llu", (unsigned long long)sequence);
	world_image(w, text, &by.image, &by.size);
	by.uri = "https://example.com/lamp/main.bin";
	return by;
}

struct release world_release_by(struct world *w, const struct world_author *by)
{
	struct manifest m;
	struct release r;
	struct buf b;

	world_envelope(by, &b);
	WORLD_OK(w, release_manifest_add(&w->tk, buf_slice(&b), &m, &w->err));
	WORLD_OK(w, release_add(&w->tk, &m.digest, NULL, &r, &w->err));
	WORLD_OK(w, release_approve(&w->tk, &r, &w->err));
	buf_free(&b);
	return r;
}

struct release world_release(struct world *w, uint64_t sequence, const char *version)
{
	struct world_author by = world_author(w, sequence, version);

	return world_release_by(w, &by);
}

struct device world_device(struct world *w, const char *id)
{
	struct device d;

	ck_assert_int_eq(store_device_get(w->st, id, &d, &w->err), 1);
	return d;
}

int world_register(struct world *w, const char *id, uint64_t boot, uint64_t counter,
		   const char *version, uint64_t sequence)
{
	struct registration r = { .boot = boot,
				  .counter = counter,
				  .mode = MODE_CLIENT,
				  .vendor_id = w->vendor,
				  .class_id = w->class_id,
				  .n_components = -1,
				  .status = { .battery = -1, .free_flash = -1, .free_ram = -1 } };
	struct device d = { .auth = AUTH_NONE };
	int64_t ask;
	bool created;

	if (version) {
		r.n_components = 1;
		text_copy(r.components[0].version, VERSION_TEXT, version);
		r.components[0].has_sequence = sequence > 0;
		r.components[0].sequence = sequence;
	}
	if (store_device_get(w->st, id, &d, &w->err) == 0)
		text_copy(d.id, sizeof(d.id), id);
	return WORLD_DO(w, registry_register(&w->tk, &d, &r, NULL, &created, &ask, &w->err));
}

struct device world_enrol(struct world *w, const char *id, const char *version, uint64_t sequence)
{
	ck_assert_msg(world_register(w, id, 1, 1, version, sequence) == 0, "%s", w->err.text);
	return world_device(w, id);
}

void world_jobs(struct world *w)
{
	int more;

	do {
		more = WORLD_TURN(w, jobs_slice(&w->tk, 1000000, &w->err));
		effects_clear(&w->fx);
	} while (more > 0);
}

struct rollout world_rollout(struct world *w, const struct release *r, const char *name,
			     const char *target, int64_t budget)
{
	struct rollout_spec s = { .release = r->id, .budget = budget };
	struct rollout out;
	struct job job;

	text_copy(s.name, sizeof(s.name), name);
	text_copy(s.target, sizeof(s.target), target);
	WORLD_OK(w, rollout_create(&w->tk, &s, &out, &job, &w->err));
	world_jobs(w);
	out = world_rollout_now(w, out.id);
	WORLD_OK(w, rollout_start(&w->tk, &out, &w->err));
	world_jobs(w);
	return world_rollout_now(w, out.id);
}

struct rollout world_rollout_now(struct world *w, int64_t id)
{
	struct rollout r;

	ck_assert_int_eq(store_rollout_get(w->st, id, &r, &w->err), 1);
	return r;
}

int64_t world_ask(struct world *w, const char *id)
{
	struct device d = world_device(w, id);
	struct err why = { .code = ERR_NONE };
	struct offer o;
	int64_t ask = 0;

	int got = WORLD_OK(w, offer_get(&w->tk, &d, true, &o, &ask, &why, &w->err));
	ck_assert_int_gt(ask, 0);
	w->err = why;
	return got > 0 ? o.update.id : 0;
}

struct update world_update(struct world *w, int64_t id)
{
	struct update u;

	ck_assert_int_eq(store_update_get(w->st, id, &u, &w->err), 1);
	return u;
}

int world_report(struct world *w, const char *id, uint64_t boot, uint64_t counter, int64_t update,
		 const char *state)
{
	struct report r = { .boot = boot,
			    .counter = counter,
			    .update = update,
			    .progress = -1,
			    .n_components = -1 };
	struct device d = world_device(w, id);
	struct report_answer a;

	text_copy(r.state, sizeof(r.state), state);
	return WORLD_DO(w, report_apply(&w->tk, &d, &r, &a, &w->err));
}

void world_schedule(struct world *w)
{
	int64_t next;

	WORLD_TURN(w, scheduler_pass(&w->tk, 10000, 1000000, &next, &w->err));
	effects_clear(&w->fx);
}

int world_history(struct world *w, int64_t update, struct history *out, int limit)
{
	int n = store_history_list(w->st, 0, update, 0, limit, out, &w->err);

	ck_assert_int_ge(n, 0);
	return n;
}
