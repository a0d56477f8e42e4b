/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_TRACKER_H
#define FETTLE_TRACKER_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/filter.h"
#include "base/message.h"
#include "base/model.h"
#include "codec/suit.h"
#include "store/store.h"
#include "tracker/effects.h"
#include "tracker/policy.h"
#include "tracker/state.h"
#include "tracker/window.h"

/*
 * Decisions over the store. A struct tracker is what one call may use: nothing
 * in it outlives the batch. Every function is re-runnable: all truth is in rows.
 */
struct tracker {
	struct store *st;
	const struct policy *policy;
	struct window_book *windows;	/* the caller's; NULL: nothing is remembered */
	struct now now;
	struct effects *fx;
	struct arena *a;
	/* "uid:0", "token:ci", "device:lamp-1", "system": cause and audit */
	const char *who;
	/* of jobs that are not the tracker's own, for jobs_slice */
	const struct job_kind *kinds;
	size_t n_kinds;
	void *kinds_ctx;		/* what their steps need besides */
};

/*
 * ---- releases (release.c, release_verbs.c, anchor.c, trust.c, derive.c) ----
 * The verbs of anchors, manifests, releases, rollouts and jobs write their own audit rows.
 */

/*
 * Verify and derive: which anchor, which algorithm; ERR_VERIFY names why not. Fills m and
 * images.
 */
int release_check_manifest(struct tracker *tk, struct slice bytes, struct manifest *m,
			   struct manifest_image *images, int limit, int *n, struct err *e);
/*
 * Keep a manifest: verified and with its integrated payloads as images, or refused and
 * not kept. ERR_CONFLICT below the class's floor or newest sequence. Handed in again: its
 * verdict is renewed.
 */
int release_manifest_add(struct tracker *tk, struct slice bytes, struct manifest *out,
			 struct err *e);
int release_add(struct tracker *tk, const struct digest *manifest, const char *name,
		struct release *out, struct err *e);
/*
 * Which urgency class p gives a release of this manifest, and what was tried for it
 * (tracker/urgency.h). Nothing is written.
 */
struct urgency_verdict;
int release_judge(struct tracker *tk, const struct policy *p, const struct manifest *m,
		  const struct manifest_image *images, int n_images, struct slice bytes,
		  struct urgency_verdict *out, struct err *e);
/* complete and verifiable, else ERR_CONFLICT */
int release_approve(struct tracker *tk, struct release *r, struct err *e);
int release_publish(struct tracker *tk, struct release *r, bool on, struct err *e);
int release_withdraw(struct tracker *tk, struct release *r, bool raise_floor, struct err *e);
int release_set_urgency(struct tracker *tk, struct release *r, enum urgency u, struct err *e);
/* Images still missing; 0 complete. missing may be NULL. */
int release_missing(struct tracker *tk, const struct release *r, struct digest *missing,
		    int limit, struct err *e);
/*
 * May it be offered now? true, or false with e saying which gate. Checks anchor validity and
 * revocation in rows.
 */
bool release_offerable(struct tracker *tk, const struct release *r, struct err *e);
/*
 * May what was offered of it go on? The same, but that expiry, its own and its anchor's, waits
 * while the clock is not trusted: it is no reason to take back what was begun.
 */
bool release_holds(struct tracker *tk, const struct release *r, struct err *e);
/* May anyone fetch it: named by a published release that may be offered now. 1, 0, -1 */
int release_object_published(struct tracker *tk, const struct digest *d, struct err *e);
int anchor_add(struct tracker *tk, struct anchor *a, struct err *e);
int anchor_revoke(struct tracker *tk, int64_t id, struct err *e);	/* consequences are a job */

/* ---- registry (registry.c): what devices say of themselves ---- */

struct registration {
	uint64_t boot, counter;
	enum mode mode;
	struct uuid vendor_id, class_id;
	char manufacturer[NAME_TEXT], model[NAME_TEXT], parent[NAME_TEXT];
	struct component components[COMPONENTS_MAX];
	int n_components;		/* -1: said nothing */
	bool has_port;
	uint16_t port;
	bool has_capabilities;
	char capabilities[CAPABILITIES_TEXT];	/* words, one blank between two */
	bool has_status;
	struct device_live status;	/* service .. free_ram only */
	struct { char name[NAME_TEXT]; struct filter_value v; } attributes[16];
	int n_attributes;
	/* its own, in the short form as parsed; said nothing of them: false */
	bool has_windows;
	int n_windows;
	struct window windows[WINDOWS_EACH];
};
/*
 * dev 0 in d: first contact, allowed by the caller. *created says which. Contact interval in
 * *ask_again_s.
 */
int registry_register(struct tracker *tk, struct device *d, const struct registration *r,
		      const struct evidence *ev, bool *created, int64_t *ask_again_s,
		      struct err *e);
/*
 * Idempotence key of decisions and reports (behaviour.md 6): 1 new (recorded in l, to be
 * written by the caller), 0 seen before, -1 refused (below the window).
 */
int registry_dedup(struct device_live *l, uint64_t boot, uint64_t counter, struct err *e);

/* ---- offers, decisions, reports (offer.c, report.c) ---- */

struct offer {
	struct update update;
	struct release release;
	struct manifest manifest;
	struct manifest_image images[COMPONENTS_MAX * 2];
	int n_images;
	int64_t not_before_s, not_after_s, deadline_s;	/* from now, 0 none */
	int64_t outage_s;		/* it will be away for so long, 0 none */
};
/*
 * The device asks. 1: *out is its offer (the same one until decided; a reservation
 * was made on the first). 0: nothing now; *why says which gate in one line.
 * *ask_again_s always set. looking false (HEAD, Observe's body): writes nothing and
 * reserves nothing; 1 then means that an offer would be made, out->update may be planned.
 */
int offer_get(struct tracker *tk, const struct device *d, bool looking, struct offer *out,
	      int64_t *ask_again_s, struct err *why, struct err *e);
/*
 * The same by the server, before it pushes (server mode). 0: *w says which gate, why, and when
 * it may open (0: not known). write false: as looking false.
 */
struct offer_wait {
	const char *gate;
	int64_t wake_ms;
	struct err why;
};
int offer_begin(struct tracker *tk, const struct device *d, bool write, struct offer *out,
		struct offer_wait *w, struct err *e);
/*
 * An operator says that d is of another kind: what runs, is not for that kind and is not being
 * installed goes back into the queue, with its slot. What waits there in vain ends when the device
 * asks next, or is called. d as it is now.
 */
int offer_kind_changed(struct tracker *tk, const struct device *d, struct err *e);
/* The device fetched the manifest of its open update. */
int offer_manifest_fetched(struct tracker *tk, int64_t dev, struct err *e);
/* May dev fetch this object now: it is of its open update's release. 1/0/-1 */
int offer_grants_object(struct tracker *tk, int64_t dev, const struct digest *object,
			struct err *e);
/* What path means for this device: its open update's release's route. 1/0/-1 */
int offer_route(struct tracker *tk, int64_t dev, const char *path, struct digest *object,
		struct err *e);

struct decision {
	uint64_t boot, counter;
	int64_t update;
	enum { DECISION_ACCEPT, DECISION_DEFER, DECISION_REJECT } kind;
	int64_t until_s;		/* from now, with DEFER */
	char reason[REASON_TEXT];
};
struct decision_answer {
	bool duplicate, fetch;
	int64_t granted_s, latest_s;	/* 0 none */
	enum update_state state;
};
int offer_decide(struct tracker *tk, const struct device *d, const struct decision *c,
		 struct decision_answer *out, struct err *e);

/*
 * ---- calls (calls.c): what a device answered to one, its body already read. 1 it led on, 0 it
 * is not one that is awaited, -1.
 */
struct call_answer {
	int64_t dev, update, serial;
	uint8_t kind;			/* enum send_kind */
	bool of_outage;			/* SEND_LOOK: of another device's outage */
	uint16_t status;		/* HTTP's numbers; 0: nothing was heard */
	uint64_t offset;		/* of what was sent, so much was acknowledged */
	bool has_status;
	struct device_live device;	/* service .. free_ram only */
	uint64_t held;			/* SEND_HELD */
	bool has_digest;
	struct digest digest;		/* of the image it wants or has */
	bool acknowledged;
	enum failure failure;		/* its own word, FAILURE_NONE */
	char text[REASON_TEXT];
};
int call_answered(struct tracker *tk, const struct call_answer *a, struct err *e);
/* It posted diagnostics: they are kept, and asked for no more. */
int diag_keep(struct tracker *tk, struct device *d, const struct diag *g, struct err *e);
/* Its next answer asks for diagnostics, and where it can be called it is. */
int diag_ask(struct tracker *tk, struct device *d, struct err *e);

/* ---- outages (outage.c) of devices above one ---- */
struct outage_notice {
	int64_t update;			/* that causes it */
	char device[NAME_TEXT];		/* that will be away */
	int64_t seconds, in_s;		/* in_s 0: at any time now */
	bool told;			/* it knew before */
};
/* What concerns a device: 1/0/-1 */
int outage_notice(struct tracker *tk, int64_t dev, struct outage_notice *out, struct err *e);
/* The same, and this answer tells it. */
int outage_heard(struct tracker *tk, const struct device *d, struct outage_notice *out,
		 struct err *e);
/*
 * It is below another device from now on, or below none: who is told of which outage changes
 * with it. Those below it are found by jobs.
 */
int outage_moved(struct tracker *tk, const struct device *d, struct err *e);

struct report {
	uint64_t boot, counter;
	/* no boot and counter to tell repeats by: the caller did (SUIT Report) */
	bool keyless;
	int64_t update;			/* 0: the open one */
	char state[24];
	int progress;			/* -1 none */
	enum failure failure;
	int64_t result;
	struct component components[COMPONENTS_MAX];
	int n_components;		/* -1 none */
	bool has_status;
	struct device_live status;
	int64_t acknowledged;		/* an outage it was told of, by its update; 0 none */
	char text[REASON_TEXT];
};
struct report_answer {
	bool duplicate;
	int64_t update;
	enum update_state state;
	int64_t ask_again_s;
};
int report_apply(struct tracker *tk, const struct device *d, const struct report *r,
		 struct report_answer *out, struct err *e);

/* ---- updates: the one writer of states (update.c) ---- */

/* Put event on u: table, history row, counters, timeouts, retry. ERR_CONFLICT when refused. */
int update_apply(struct tracker *tk, struct update *u, enum update_event ev, enum failure f,
		 const char *cause, struct err *e);
/* Tell the device, by its observers or by a call, to look for what waits for it. */
int update_notify(struct tracker *tk, int64_t dev, struct err *e);

/* ---- rollouts (rollout.c) ---- */

struct rollout_spec {
	char name[NAME_TEXT];
	int64_t release;
	char target[FILTER_TEXT];
	int64_t budget;			/* -1: as many as targets at creation */
	int64_t in_flight;		/* 0 strict */
	struct phase phases[PHASES_MAX];
	/* 0: one, of everything; before it, those with the tag "canary", if anybody has it */
	int n_phases;
	bool no_canary;			/* really only one */
	struct rollout_limits limits;
	bool auto_start;
	int64_t standing;		/* made by this standing rollout, 0: by a person */
};
/* The limits that are numbers, as operators call them; 0 is none. */
#define ROLLOUT_NUMBERS 5
struct rollout_number {
	const char *name;
	size_t at;			/* of an int64_t in struct rollout_limits */
	int64_t most;
};
extern const struct rollout_number rollout_numbers[ROLLOUT_NUMBERS];
int64_t rollout_number(const struct rollout_limits *l, unsigned i);
void rollout_number_set(struct rollout_limits *l, unsigned i, int64_t v);
/* Could it be created? Its release is not looked at. */
int rollout_check_spec(struct tracker *tk, const struct rollout_spec *s, struct err *e);
/* Makes the row and the job that plans the updates. */
int rollout_create(struct tracker *tk, const struct rollout_spec *s, struct rollout *out,
		   struct job *job, struct err *e);
int rollout_start(struct tracker *tk, struct rollout *r, struct err *e);
int rollout_pause(struct tracker *tk, struct rollout *r, const char *reason, struct err *e);
int rollout_resume(struct tracker *tk, struct rollout *r, struct err *e);
int rollout_abort(struct tracker *tk, struct rollout *r, const char *reason, struct job *job,
		  struct err *e);
/* A pause or abort with force: whoever has not begun to install is told to stop, by a job. */
int rollout_recall(struct tracker *tk, struct rollout *r, struct job *job, struct err *e);
int rollout_stop(struct tracker *tk, struct rollout *r, const char *reason, struct job *job,
		 struct err *e);
/*
 * Failed, timed-out and rolled-back ones get one more attempt, by a job. A charge stays until
 * the device succeeds; its attempt takes a slot besides: ERR_CONFLICT when the budget is used up.
 */
int rollout_retry(struct tracker *tk, struct rollout *r, struct job *job, struct err *e);
/* Close the open phase whatever became of it, and open the next. */
int rollout_next(struct tracker *tk, struct rollout *r, struct err *e);
/* More failures are allowed than before; less is ERR_INVALID. */
int rollout_raise_budget(struct tracker *tk, struct rollout *r, int64_t budget, struct err *e);
int rollout_approve(struct tracker *tk, struct rollout *r, struct err *e);
int rollout_deny(struct tracker *tk, struct rollout *r, const char *reason, struct job *job,
		 struct err *e);
/* What made it, for another: without name and start times. */
int rollout_clone_spec(struct tracker *tk, const struct rollout *r, struct rollout_spec *out,
		       struct err *e);
/*
 * Called when something of a device changed: it joins the rollouts that take it now and are not
 * over, by the same rules as the others; the first 64 of them. One that is still being created
 * it joins where the creating job has passed it by.
 */
int rollout_join_late(struct tracker *tk, int64_t dev, struct err *e);

/* What would come of a spec, from a bounded look: 8 ms of devices. */
struct rollout_plan {
	int64_t devices;
	bool exact;			/* false: there are more than were looked at */
	int n_phases;
	struct plan_phase {
		struct phase p;
		int64_t devices;	/* of those looked at */
		/*
		 * The earliest it can begin and end, from the start, by pace, soak and the
		 * windows of a sample of those it takes; the latest of them where it takes
		 * all that is left, or its filter's.
		 */
		int64_t begins_s, ends_s;
	} phase[PHASES_MAX];
	uint64_t bytes;			/* of one update */
	int sampled;			/* devices of the target whose windows were looked at */
};
int rollout_dry_run(struct tracker *tk, const struct rollout_spec *s, struct rollout_plan *out,
		    struct err *e);

/*
 * ---- standing rollouts (standing.c): policy's hand, audited as "policy" ----
 */

/* r was approved: a job makes its rollouts, where a standing rollout may be for it. */
int standing_release_approved(struct tracker *tk, const struct release *r, struct err *e);
/* Policy approves r by itself? A job sees to it, when policy names any key at all. */
int standing_release_added(struct tracker *tk, const struct release *r, struct err *e);
/* A further image of theirs came: the same for the releases that wait for it. */
int standing_image_added(struct tracker *tk, const struct digest *image, struct err *e);
/*
 * What t makes of r: s, read from t's members, gets name, release and r's device class into its
 * target. 1, 0: t cannot mean devices of r's class; -1 ERR_TOO_LARGE, ERR_INVALID.
 */
int standing_complete(struct tracker *tk, const struct standing *t, const struct release *r,
		      struct rollout_spec *s, struct err *e);
/* t's members, without name and release. */
typedef int (*standing_reader)(struct tracker *tk, const struct standing *t,
			       struct rollout_spec *s, struct err *e);

/* ---- time (scheduler.c) and long work (jobs.c) ---- */

/*
 * Handle due updates, up to limit and for about budget_us; *next_track: when to come again (0:
 * nothing due). One that fails takes back nothing of the others: it is tried again later.
 * In a batch, outside handlers. Returns how many, -1.
 */
int scheduler_pass(struct tracker *tk, int limit, int64_t budget_us, int64_t *next_track,
		   struct err *e);
/*
 * Long work in steps, a few ms at most each, which may be run again: what one leaves is in rows
 * and in j's cursor, done, total and result. At most 128 effects.
 * STEP_FAILED ends the job as failed, and what it wrote stays.
 */
enum step { STEP_MORE, STEP_DONE, STEP_FAILED, STEP_ERROR };
struct job_kind {
	const char *kind;
	enum step (*step)(struct tracker *tk, struct job *j, struct err *e);
};
/* The job "standing": ref is the release; one standing rollout a step. */
enum step standing_step(struct tracker *tk, struct job *j, standing_reader read, struct err *e);
int job_start(struct tracker *tk, const char *kind, int64_t ref, struct job *out, struct err *e);
/*
 * One slice of the oldest running job, <= budget_us by the clock. In a batch, outside handlers.
 * A job that fails for the moment is tried again later, a few times. 1 more work waits, 0
 * none, -1.
 */
int jobs_slice(struct tracker *tk, int64_t budget_us, struct err *e);
/* A rollout whose planning is cancelled, or fails for good, is aborted; its reason says so. */
int job_cancel(struct tracker *tk, int64_t id, struct err *e);

/* ---- audit (audit.c) ---- */
int audit_note(struct tracker *tk, const char *verb, const char *object, struct err *e,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * ---- windows (gate_window.c): the next openings for a device, in rollout (0: none), from now
 * on, the one that is open first. How many, or -1; without any window it is always open: 0,
 * with *any false.
 */
int window_next(struct tracker *tk, const struct device *d, int64_t rollout, int count,
		struct window_span *out, bool *any, struct err *e);

/*
 * ---- explain (why.c): the gate list in its order with the values that decide. Number, or -1
 * ----
 */
struct gate { const char *name; bool open; char value[REASON_TEXT]; };
#define GATES_MAX 24
int why_device(struct tracker *tk, const struct device *d, struct gate out[GATES_MAX],
	       struct err *e);
/* Of those who joined so many in a hundred must succeed: 100 where nothing was said. */
int64_t phase_wanted_percent(const struct phase *p);
/* What holds a rollout as a whole, in the same order. */
int why_rollout(struct tracker *tk, const struct rollout *r, struct gate out[GATES_MAX],
		struct err *e);
/* "digest=3 boot=1" as a number a class, 0: none. */
int pause_at_parse(const char *text, int64_t n[FAILURE_COUNT], struct err *e);

#endif
