/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_INTERNAL_H
#define FETTLE_TRACKER_INTERNAL_H

#include "tracker/tracker.h"

/* What the files of tracker/ share; nobody else includes it. */

#define IMAGES_MAX (COMPONENTS_MAX * 2)
#define QUEUE_MAX 16
#define ANCESTORS_MAX 16 /* so far up, and down, the order of a network is looked at */
/* An offer comes no earlier before its slot: until then it keeps a place in the budget. */
#define SLOT_AHEAD_MS (24 * INT64_C(3600000))
#define BUDGET_OPEN INT64_MAX	/* while creating: the budget becomes the number of targets */

/* ---- cause.c ---- */
/* Text that may be cut to fit: causes and reasons quote devices and operators. */
void cause_copy(char *dst, size_t cap, const char *text);
void cause_format(char *dst, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3,
		  4)));

/* ---- decide.c ---- */
/*
 * The latest a deferral may last from now: the class's longest, but not past the deadline. 0:
 * none.
 */
int64_t deferral_latest_s(const struct tracker *tk, const struct update *u);

/* ---- update.c ---- */
/* Tracker time its phase was opened at: the one it joined, or joins now. 0: it has none. */
int update_phase_opened(struct tracker *tk, const struct update *u, int64_t *out, struct err *e);
/* Sum of what the release's images weigh. */
int update_size(struct tracker *tk, int64_t release, uint64_t *size, struct err *e);
/* The device's open updates, first the one that runs, then by urgency and age. Number, or -1. */
int update_queue(struct tracker *tk, int64_t dev, struct update out[QUEUE_MAX], struct err *e);

/* ---- registry.c ---- */
/* The device's live row; where there is none yet, nothing is known of it. */
int registry_live(struct tracker *tk, int64_t dev, struct device_live *out, struct err *e);
/* Was this boot first heard of after that one? One that is not known any more is older. */
bool registry_later_boot(const struct device_live *l, uint64_t boot, uint64_t than);
/* When to come again, spread: sooner while u (may be NULL) waits. */
int64_t registry_ask_again(const struct tracker *tk, const struct device *d,
			   const struct update *u);
/* now: tracker time. */
void registry_status(struct device_live *l, const struct device_live *reported, int64_t now);
int registry_components(struct tracker *tk, const struct device *d, const struct component *c,
			int n,
			struct err *e);

/* ---- rollout.c, rollout_verbs.c, phase.c ---- */
/* Its updates are planned: it is ready, waits for approval, or begins by itself. */
int rollout_planned(struct tracker *tk, struct rollout *r, struct err *e);
/*
 * Was it started, and goes on or may? One that waits for that, or for somebody's yes, takes
 * nothing away from others. rollout 0: none is needed. 0/-1
 */
int rollout_begun(struct tracker *tk, int64_t rollout, bool *out, struct err *e);
/* Who goes ahead of it by itself is neither told nor given anything. Of none (id 0): false. */
bool rollout_unstarted(const struct rollout *r);
int rollout_refused(const struct rollout *r, const char *what, struct err *e);	/* -1 */
/* Called with the counters' move of one update: pauses, finishes and opens phases. */
int rollout_moved(struct tracker *tk, const struct update *u, const struct counts *c,
		  bool unreserved, const char *cause, struct err *e);
int rollout_set_state(struct tracker *tk, struct rollout *r, enum rollout_state s,
		      const char *reason, struct err *e);
/* total and done: how many joined, and ended, of this phase; failed, succeeded: likewise. */
int phase_moved(struct tracker *tk, int64_t rollout, int64_t number, int total, int done,
		int failed, int succeeded, struct err *e);
/*
 * May u, if it has not joined yet, join the open phase? Opens the next phase when the last is
 * done. 1; 0 with *wake_ms when it is known when to ask again; -1
 */
int phase_admits(struct tracker *tk, struct rollout *r, const struct update *u, bool joined,
		 bool looking, int64_t *wake_ms, char value[REASON_TEXT], struct err *e);
/* What is said of the open phase; 1 it takes devices, 0 it waits or soaks. */
int phase_describe(struct tracker *tk, const struct rollout *r, char value[REASON_TEXT],
		   struct err *e);
/* Open r's phase, or wait for its time: the caller puts r, which now has when to look again. */
int phase_open(struct tracker *tk, struct rollout *r, struct err *e);
/*
 * r goes on, or some of it are tried again: its phase, unless it is the last, is open as from now
 * on, if it was over with too few successes and some of it are at it still, or nobody came. Puts r.
 */
int phase_again(struct tracker *tk, struct rollout *r, struct err *e);
/* By hand: close the open phase whatever became of it, and open the next. */
int phase_next(struct tracker *tk, struct rollout *r, struct err *e);
/* Of those who may still join the open phase none was seen: it ends with those it has. */
int phase_silent(struct tracker *tk, struct rollout *r, struct err *e);
/* planned_phase of those who may join p. */
void phase_takes(const struct phase *p, int64_t *from, int64_t *upto);
/* The same of the phase r is in, which may be the last: 0/-1. */
int phase_may_join(struct tracker *tk, const struct rollout *r, int64_t *from, int64_t *upto,
		   struct err *e);
/* r->track_due has come: its phase ends, or the next opens. */
int phase_due(struct tracker *tk, struct rollout *r, struct err *e);
/* ---- rollout_spec.c ---- */
/* Phases, limits; and their filters, parsed: NULL for a phase without one. */
int spec_check(struct tracker *tk, const struct rollout_spec *s, struct plan_filters *f,
	       struct err *e);
/* What it has when the spec names no phases: how many, or -1. out is zeroed. */
int spec_default_phases(struct tracker *tk, const struct rollout_spec *s,
			struct phase out[PHASES_MAX], struct err *e);
/* The filters of a rollout that is there. */
int spec_filters(struct tracker *tk, const struct rollout *r, struct plan_filters *f,
		 struct err *e);

/* ---- offer.c ---- */
/* One that was put off keeps the others back: at most one is past planned, but for a critical. */
bool offer_kept_back(const struct update *u, const struct update *deferred);
/* What was offered to it is the least it will be offered from now on. */
int offer_raise_floor(struct tracker *tk, const struct device *d, const struct release *r,
		      struct err *e);

/* ---- gates.c ---- */
#define DISABLED "it is disabled: fettle device set ID disabled=no"
#define HELD_BACK "it came by itself, and nobody has let it in: fettle device approve"
struct look {			/* what the gates of one update are judged by */
	struct tracker *tk;
	const struct device *d;
	const struct device_live *live;
	const struct update *u;
	bool looking;		/* true: nothing may be written */
	struct rollout rollout;
	struct release release;
	struct manifest manifest;
	struct manifest_image images[IMAGES_MAX];
	int n_images;
	struct window *windows;	/* the arena's: those that concern it, once a gate asked for them */
	int n_windows;
	bool windows_read;
	/* when it may be installed, wall; from 0: at once; until 0: no end */
	struct window_span slot;
	int64_t phase_opened;	/* tracker time, 0 not known; of what was not offered yet */
	int64_t wake_ms;	/* of the gate that is closed: when to look again, 0 not known */
};
int gates_load(struct look *g, struct err *e);
/* Is a release of this kind for a device of that one? */
bool gates_fit(const struct device *d, const struct release *r);
/* Are both for the same kind of device? */
bool gates_same_class(const struct release *a, const struct release *b);
/* It is for another kind: what is known of both differs. */
bool gates_differ(const struct device *d, const struct release *r);
/* First closed gate: 0 with its name and value; 1 all open; -1. */
int gates_pass(struct look *g, const char **name, char value[REASON_TEXT], struct err *e);
int gates_list(struct look *g, struct gate *out, int limit, struct err *e);

/* ---- gate_window.c: black-outs and windows (behaviour.md 5 and 7) ---- */
int gate_blackout(struct look *g, char value[REASON_TEXT], struct err *e);
/* How far into an opening of room_ms a device comes: [0, the first hour], not all at once. */
int64_t gate_window_spread(int64_t dev, int64_t from, int64_t room_ms);
/*
 * Open, or open later where only installing is governed: then g->slot is when it may be
 * installed, to be told with the offer.
 */
int gate_window(struct look *g, char value[REASON_TEXT], struct err *e);
/* The same of what was offered and has yet to be installed, however far ahead g->slot is. */
int gate_window_next(struct look *g, char value[REASON_TEXT], struct err *e);
/*
 * May what waits in u be installed at this moment (server and negotiated mode ask before they
 * trigger)? 1; 0: not, and *wait_ms is when to look again, spread over the opening's first part,
 * 0 where none is in sight; -1.
 */
int gate_window_wait(struct tracker *tk, const struct device *d, const struct update *u,
		     int64_t *wait_ms, char value[REASON_TEXT], struct err *e);

/* Does what the device says of its service let it be interrupted for u? */
bool service_lets(const struct tracker *tk, const struct device *d, const struct device_live *l,
		  const struct update *u);

/* Has the budget room for one more? 1/0 */
int budget_describe(const struct rollout *r, char value[REASON_TEXT]);

/* ---- gates_pace.c: the last rows, and the slot behind them ---- */
int gate_links(struct look *g, char value[REASON_TEXT], struct err *e);
int gate_pace(struct look *g, char value[REASON_TEXT], struct err *e);
int gate_order(struct look *g, char value[REASON_TEXT], struct err *e);
/*
 * The reservation of one offer, made before it and in its transaction: budget, pace, link. 1
 * taken (u->reserved), 0 not now and why, -1. An update of no rollout needs none: 1.
 */
int slot_take(struct tracker *tk, const struct device *d, struct update *u,
	      char why[REASON_TEXT], struct err *e);
/* struct living of a tracker: who was not heard of for three contact intervals is passed over. */
bool order_awaits(const void *tracker, const struct device *d, int64_t seen);

/* ---- installed.c ---- */
enum installed { INSTALLED_UNKNOWN, INSTALLED_NEW, INSTALLED_OLD };
/* May it be u's success that the new version runs in this boot? Not in the one it was tried in. */
bool installed_counts(const struct update *u, uint64_t boot);
/* What the reported components say of a release: all of its images' components new, or some not. */
enum installed installed_judge(const struct component *c, int n, const struct release *r,
			       const struct manifest_image *images, int n_images);
/* Put what a boot tells on the device's updates. new_boot: the first words after a restart. */
int installed_conclude(struct tracker *tk, const struct device *d, uint64_t boot,
		       const struct component *c, int n, const char *cause, struct err *e);
/* Largest sequence among the components; false when none has one. */
bool installed_sequence(const struct component *c, int n, uint64_t *out);

/* ---- trust.c, derive.c ---- */
struct verified {
	struct anchor anchor;
	enum alg alg;
};
/*
 * Some anchor in force verifies; 0, or -1 ERR_VERIFY and why. Looks at no byte inside the
 * manifest.
 */
int trust_verify(struct tracker *tk, const struct suit_manifest *m, struct verified *out,
		 struct err *e);
/* An anchor of this vendor in force verifies. */
int trust_verify_vendor(struct tracker *tk, const struct suit_manifest *m,
			const struct uuid *vendor,
			struct verified *out, struct err *e);
bool anchor_in_force(const struct anchor *a, const struct now *now);
int derive_manifest(struct tracker *tk, struct slice bytes, const struct suit_manifest *s,
		    const struct verified *v, struct manifest *m, struct err *e);
int derive_images(const struct suit_manifest *s, const struct policy *p,
		  struct manifest_image *images, int limit, int *n, struct err *e);
/* The request path a URI is served under; 1, or 0: it has none that can be served. */
int route_path(const char *uri, char dst[URI_TEXT]);
/* Its path is /image/<the image's own digest>: served there without a route. */
bool route_is_own(const char *uri, const struct digest *image);

/* ---- jobs ---- */
enum step rollout_create_step(struct tracker *tk, struct job *j, struct err *e);
enum step rollout_notify_step(struct tracker *tk, struct job *j, struct err *e);
enum step rollout_cancel_step(struct tracker *tk, struct job *j, struct err *e);
enum step rollout_stop_step(struct tracker *tk, struct job *j, struct err *e);
enum step rollout_recall_step(struct tracker *tk, struct job *j, struct err *e);
enum step rollout_retry_step(struct tracker *tk, struct job *j, struct err *e);
enum step rollout_silent_step(struct tracker *tk, struct job *j, struct err *e);
enum step release_policy_step(struct tracker *tk, struct job *j, struct err *e);
enum step release_withdraw_step(struct tracker *tk, struct job *j, struct err *e);
enum step anchor_revoke_step(struct tracker *tk, struct job *j, struct err *e);

#endif
