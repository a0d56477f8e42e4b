/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_TRACKER_WORLD_H
#define FETTLE_TESTS_TRACKER_WORLD_H

#include "tracker/tracker.h"

/*
 * A tracker on a real store in a fresh directory, an author whose key is a trust
 * anchor, and a clock that stands still until it is moved. One batch is open all
 * the time; world_commit ends it and begins the next.
 */
struct world {
	char dir[64];
	struct store *st;
	struct policy policy;
	struct effects fx;
	struct arena a;
	struct tracker tk;
	struct key *author;
	struct anchor anchor;
	struct uuid vendor, class_id;
	struct err err;
};

void world_open(struct world *w);
void world_close(struct world *w);
void world_commit(struct world *w);
/* As after a kill: what was not committed is gone; the store is opened anew. */
void world_crash(struct world *w);
void world_wait(struct world *w, int64_t seconds);

/* A signed envelope by k for (domain, model), one image "main" with this digest. Free it. */
struct world_author {
	const struct key *key;
	const char *domain, *model, *version, *uri;
	uint64_t sequence, size;
	struct digest image;
	bool has_priority;
	int64_t priority;
	bool has_use_before;
	uint64_t use_before;
};
void world_envelope(const struct world_author *by, struct buf *out);
void world_image(struct world *w, const char *text, struct digest *digest, uint64_t *size);
/* Approved release of example.com's lamp with an image of its own. */
struct release world_release(struct world *w, uint64_t sequence, const char *version);
struct world_author world_author(struct world *w, uint64_t sequence, const char *version);
struct release world_release_by(struct world *w, const struct world_author *by);

/* Handlers: what they write is kept when they succeed, and rolled back when not. */
#define WORLD_DO(w, expr)                                                        \
	({                                                                       \
		store_handler_begin((w)->st);                                    \
		int world_result = (expr);                                       \
		world_handled((w), world_result >= 0);                           \
		world_result;                                                    \
	})
/* Between handlers: jobs and the schedule. */
#define WORLD_TURN(w, expr)                                                       \
	({                                                                        \
		int world_turn = (expr);                                          \
		ck_assert_msg(world_turn >= 0, "%s: %s", #expr, (w)->err.text);   \
		world_turn;                                                       \
	})
/* The same, and it must succeed. */
#define WORLD_OK(w, expr)                                                        \
	({                                                                       \
		int world_ok = WORLD_DO((w), (expr));                            \
		ck_assert_msg(world_ok >= 0, "%s: %s", #expr, (w)->err.text);    \
		world_ok;                                                        \
	})
void world_handled(struct world *w, bool keep);

struct device world_enrol(struct world *w, const char *id, const char *version, uint64_t sequence);
struct device world_device(struct world *w, const char *id);
/* A registration in this boot; version may be NULL: nothing said of components. */
int world_register(struct world *w, const char *id, uint64_t boot, uint64_t counter,
		   const char *version, uint64_t sequence);
void world_jobs(struct world *w);
struct rollout world_rollout(struct world *w, const struct release *r, const char *name,
			     const char *target, int64_t budget);	/* created and started */
struct rollout world_rollout_now(struct world *w, int64_t id);
/* The device asks: the offered update's id, or 0; why in w->err. */
int64_t world_ask(struct world *w, const char *id);
struct update world_update(struct world *w, int64_t id);
int world_report(struct world *w, const char *id, uint64_t boot, uint64_t counter, int64_t update,
		 const char *state);
void world_schedule(struct world *w);
int world_history(struct world *w, int64_t update, struct history *out, int limit);

#endif
