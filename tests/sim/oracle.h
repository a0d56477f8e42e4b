/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_SIM_ORACLE_H
#define FETTLE_TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/model.h"
#include "store/store.h"
#include "tracker/effects.h"

/*
 * A second model of the promises, on purpose a naive one: plain arrays, loops over all
 * of it, nothing shared with src/tracker. It is told of everything that happens to the server,
 * reads the answer and the rows that came of it, and says what must not have been so.
 * It forbids; what the server might have done as well it does not ask for.
 */
#define O_DEVICES 48
#define O_UPDATES 4096
#define O_ROLLOUTS 160
#define O_RELEASES 96
#define O_ANCHORS 32
#define O_PHASES 4
#define O_BOOTS 4
#define O_WINDOWS 48
#define O_GROUPS 3
#define O_TAGS 2
#define O_STANDING 4
#define O_NOBODY (-2)			/* a class that no device is of */
#define O_COUNTERS 64

/* Cases in which a rule decided something, counted. */
enum o_rule {
	RULE_WINDOW, RULE_AHEAD, RULE_DEADLINE, RULE_FORCED, RULE_STATUS, RULE_OUTAGE,
	RULE_LEAF_FIRST, RULE_CORE_FIRST, RULE_RETRY, RULE_NEXT,
	RULE_BUDGET, RULE_APPROVAL,
	RULE_CLONE, RULE_STANDING, RULE_SHUT_OUT, RULE_STOPPED, RULE_RECALLED, RULE_FILTER,
	RULE_REMOVED, RULE_ENROLLED, RULE_MODE, RULE_CLASS, RULE_KIND, RULE_FAILURES, RULE_AGAIN,
	RULE_MISSED, RULE_HELD,
	RULE_COUNT,
};

enum happening {
	HAPPENS_REGISTER, HAPPENS_POLL, HAPPENS_LOOK, HAPPENS_MANIFEST, HAPPENS_DECIDE,
	HAPPENS_REPORT, HAPPENS_PASS, HAPPENS_JOB, HAPPENS_COMMAND, HAPPENS_CRASH,
	HAPPENS_ANSWER,
	HAPPENING_COUNT,
};
enum command {
	COMMAND_NONE, COMMAND_ANCHOR, COMMAND_RELEASE, COMMAND_APPROVE, COMMAND_WITHDRAW,
	COMMAND_FLOOR, COMMAND_REVOKE, COMMAND_ROLLOUT, COMMAND_START, COMMAND_PAUSE,
	COMMAND_RESUME, COMMAND_ABORT, COMMAND_WINDOW, COMMAND_UNWINDOW,
	COMMAND_RETRY, COMMAND_NEXT, COMMAND_CLONE,
	COMMAND_AGREE, COMMAND_DENY, COMMAND_STANDING, COMMAND_SWITCH, COMMAND_DEVICE,
	COMMAND_REMOVE, COMMAND_ENROL, COMMAND_OTHER,
};

/* Daily, or on some days of the week, in a zone without summer time. */
struct o_window {
	int64_t id;			/* 0: there is none */
	enum window_level level;
	int ref;			/* index of a device, class or rollout; number of a group */
	bool own, blackout;
	unsigned days;			/* bits, Sunday is 1 */
	int from, until;		/* minutes of the day; until <= from: of the next one */
	int east;			/* of Greenwich, minutes */
};

/* One thing that happens, as its author means it. */
struct said {
	enum happening what;
	int dev;			/* index in the fleet, -1: of no device */
	uint64_t boot, counter;
	int64_t update;			/* named by a decision or report, 0: none */
	char word[24];			/* of a report; accept, defer or reject */
	char failure[16];
	int64_t until_s;
	bool has_component;
	struct component component;
	bool has_status;		/* of its service, in a registration or report */
	char service[12];		/* "": it says only what is free */
	int64_t flash;			/* free, -1 not said */
	bool has_own;			/* windows, in a registration: one, or none any more */
	struct o_window own;
	bool push, pull, endpoint;	/* what it can do, by a registration */
	enum mode mode;			/* in a registration */
	/* an answer to a call, or that none came: status 0 */
	enum send_kind call;
	int64_t serial, held, came;
	uint16_t status;
	bool of_outage;
	int64_t acknowledged;		/* an outage of another, by the update that causes it */
	enum command command;
	int ref;			/* index of what a command is about */
	bool force, other, has_budget;	/* other: a second operator asks */
	int64_t budget;
};
/* Of which tables rows were written, and which of the rollouts. */
struct written {
	bool any, updates, history;
	int n_rollouts;
	int64_t rollout[O_ROLLOUTS];
};
struct heard {
	unsigned status;
	const struct doc *doc;		/* NULL: no body, or none that was understood */
	const struct written *written;	/* NULL: whatever there is */
};

/* What the seed decided and the server was told. */
struct o_class {
	int64_t deadline_s, defer_max_s, backoff_min_s, backoff_max_s, contact_s;
	int defer_count, retries;
	bool idle_only;			/* begins when the device is idle, only */
	bool until_deadline;		/* windows do not hold behind the deadline */
	bool with_download;		/* they hold for the download, too */
	int64_t outage_s;		/* devices are away for so long, 0: not */
};
struct o_rules {
	struct o_class class_[URGENCY_COUNT];
	int64_t approve_above;		/* devices, -1: nobody has to agree */
	int64_t contact_s, offer_s, decide_s, download_s, install_s, reboot_s, confirm_s;
	int64_t expected_s;		/* what installing needs of a window */
};

struct o_release {
	int64_t id;
	int class_, anchor;		/* which of the fleet's classes; index of its signer */
	uint64_t sequence;
	char version[16];
	enum urgency urgency;
	struct digest manifest, image;
	bool approved, withdrawn;
	int64_t use_before;		/* wall time, 0: for ever */
	int64_t size;			/* of its image */
};
struct o_anchor {
	int64_t id;
	int vendor;
	bool revoked;
};
struct o_phase {
	int tag;			/* 1 and more: whom its filter takes; 0: it has none */
	int64_t count, percent, success, soak_s, timeout_s;
	int64_t opened, closed;		/* tracker time, 0: not yet */
};
struct o_rollout {
	int64_t id;
	int release;
	int class_;			/* its target: -1 all, else one class */
	int64_t budget, window;		/* budget -1: everyone */
	int64_t per_minute, most, per_link;	/* 0: no limit */
	enum update_order order;
	bool focus, force;
	int pause_at[FAILURE_COUNT];	/* so many ended in one way; 0: whatever their number */
	int n_phases;
	struct o_phase phase[O_PHASES];
	bool by_itself;			/* made of a template, and started with nobody's word */
	int64_t standing;
	bool retrying, restarted, stopped, recalled;	/* were asked for */
	bool put_back;			/* some of it, by what happens now */
	/* as last seen */
	enum rollout_state state;
	int64_t at_phase, started;	/* started: tracker time */
};
struct o_update {
	int64_t id;
	int dev, rollout, release;
	enum update_state state;
	int planned_phase;		/* whose filter took it, 0 none */
	int attempt, deferrals;
	int64_t phase;
	enum urgency urgency;
	bool charged, fetched, joined, flew;	/* flew: was once past planned and put off */
	bool gone;			/* its device was removed */
	enum failure failure;		/* with which it ended, if it did badly */
	bool waits;			/* until earliest: put off, or between attempts */
	int64_t earliest, entered, deadline, taken;	/* taken: its slot, at last */
	uint64_t word_boot;		/* in which it last told of progress */
	int drops;			/* calls to forget it */
	uint64_t told;			/* devices that know of its outage, bits */
};
struct o_boot {
	uint64_t boot, high;
	int n;
	uint64_t seen[O_COUNTERS];	/* those not too far below the highest */
};
/* The last call of a device, and what its answers said of what it has. */
struct o_call {
	bool out;			/* not answered yet */
	enum send_kind kind;
	int64_t serial, since;
	int64_t of;			/* this update, */
	int attempt;			/* and of this attempt it has */
	bool manifest, image;
	bool applied;			/* told to begin, and did not answer since */
	bool anew;			/* it may be sent all of it once more */
	int64_t held;			/* of the image, -1: not known now */
};
struct o_device {
	int64_t row;			/* negative: it was */
	bool gone;			/* removed */
	int class_, parent;		/* parent -1: none */
	enum mode mode;
	int n_boots;
	struct o_boot boots[O_BOOTS];	/* newest first */
	bool has_component;
	struct component component;	/* as the current boot told last */
	bool has_floor;
	uint64_t floor;
	int64_t heard, heard_wall;	/* when its last words were kept, tracker and wall time */
	unsigned groups, tags;		/* bits */
	bool disabled;
	struct o_window own;
	char service[12];		/* as it said last, "" not known */
	int64_t flash;			/* free, -1 not known */
	int64_t status_at;		/* tracker time, 0: it did not say */
	bool registered;		/* it has said what it is; others only spoke */
	bool push, pull;
	struct o_call call;
};

struct o_standing {
	int64_t id;
	bool enabled;
	int urgency, class_;		/* -1: any */
	bool by_id;			/* its target names the class by its id, not the model */
	int64_t budget, count;
};

struct o_model {
	int n_standing, n_devices, n_updates, n_rollouts, n_releases, n_anchors;
	int64_t last_history, last_update;
	struct o_device device[O_DEVICES];
	uint64_t class_floor[8];
	struct o_anchor anchor[O_ANCHORS];
	struct o_release release[O_RELEASES];
	struct o_rollout rollout[O_ROLLOUTS];
	struct o_window window[O_WINDOWS];
	struct o_standing standing[O_STANDING];
	struct o_update update[O_UPDATES];	/* last: only those in use are copied */
};

#define O_TRACE 24
struct oracle {
	struct o_model *now, *durable;	/* with the batch, and without it */
	bool changed;			/* they may differ */
	struct o_rules rules;
	struct store *st;
	int64_t track, wall;
	bool trusted;			/* the wall clock is */
	long step;
	struct said said;
	int offers;			/* made by what happens now */
	int offered;			/* the update of the last of them */
	bool touched[O_ROLLOUTS], exceeded[O_ROLLOUTS];
	bool reached[O_ROLLOUTS];	/* as many failures of one kind as it may have */
	bool superseded;
	bool awaited;			/* the answer that came was */
	int64_t put_off;		/* the update that was granted time */
	enum { KEY_NONE, KEY_NEW, KEY_SEEN, KEY_REFUSED } key;
	char trace[O_TRACE][200];
	unsigned traced;
	bool failed;
	char verdict[400];
	/* how much of everything was seen: a simulation in which nothing happens proves nothing */
	long seen[UPDATE_STATE_COUNT], n_duplicates, n_refused, n_audits, n_late;
	long rule[RULE_COUNT], calls[SEND_KIND_COUNT], resumed;
};

int oracle_init(struct oracle *o);
void oracle_free(struct oracle *o);
/* The batch is durable; or it never was. */
void oracle_commit(struct oracle *o);
void oracle_abandon(struct oracle *o);
/* Before it happens, and after. Rows are read inside the open batch. */
void oracle_before(struct oracle *o, const struct said *s, int64_t track, int64_t wall);
void oracle_after(struct oracle *o, const struct heard *h);
/* All rows against all of the model. */
void oracle_audit(struct oracle *o);
/* The same without judging: does the store hold this model? For a store opened after a kill. */
bool oracle_holds(struct oracle *o, const struct o_model *m);
/* At the end: the whole history again from its chains. */
void oracle_history(struct oracle *o);
void oracle_trace(struct oracle *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void oracle_fail(struct oracle *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void oracle_copy(struct o_model *to, const struct o_model *from);

/* Between its files. */
int oracle_judge_key(struct oracle *o, const struct said *s);
void oracle_keep_words(struct oracle *o, const struct said *s);
bool oracle_follow_urgency(struct oracle *o, int dev);	/* true: one changed */
void oracle_learn_updates(struct oracle *o);	/* rows that are new: plans */
void oracle_follow_history(struct oracle *o);
void oracle_check_row(struct oracle *o, struct o_update *u);
struct o_update *oracle_update(struct oracle *o, int64_t id);
bool oracle_flies(enum update_state s);
bool oracle_ended(enum update_state s);
void oracle_move(struct oracle *o, struct o_update *u, const struct history *h);
void oracle_offer(struct oracle *o, struct o_update *u);
void oracle_counts(const struct oracle *o, int rollout, int64_t *failed, int64_t *flying);
/* Is what was said of components this release? 1, 0, -1: says nothing of it */
int oracle_runs(const struct component *c, const struct o_release *r);
void oracle_rollouts(struct oracle *o);
bool oracle_digest(const struct doc *v, struct digest *d);
/* oracle_cause.c: NULL, or what is wrong with a change of state */
const char *oracle_cause(struct oracle *o, struct o_update *u, enum update_state from,
			 enum update_state to);
int oracle_rank(enum update_state s);	/* how far along the way; -1: it has ended */
/* oracle_call.c: a call that is ordered; what becomes of calls by what happens */
void oracle_call(struct oracle *o, const struct effect *fx);
void oracle_calls_follow(struct oracle *o);
const char *oracle_pushed(struct oracle *o, struct o_update *u, enum update_state to);
int64_t oracle_deadline(const struct oracle *o, const struct o_update *u);	/* 0: none */
/* Reasons against an offer, NULL: none. oracle_window.c, oracle_place.c */
const char *oracle_window_forbids(struct oracle *o, const struct o_update *u);
const char *oracle_status_forbids(struct oracle *o, const struct o_update *u);
const char *oracle_order_forbids(struct oracle *o, const struct o_update *u);
const char *oracle_outage_forbids(struct oracle *o, const struct o_update *u);
/* The slot that was told with a new offer, seconds from now, 0: at once. */
void oracle_check_slot(struct oracle *o, const struct o_update *u, int64_t not_before_s);
/* May it be installed at this moment, for all that is said of time? */
const char *oracle_shut(const struct oracle *o, const struct o_update *u);
/* Nobody has started its rollout: it goes on by itself alone. */
bool oracle_unstarted(const struct oracle *o, const struct o_update *u);
bool oracle_held_back(const struct oracle *o, const struct o_update *u);
/* It was told, by an answer or a call, that another one will be away. */
void oracle_told(struct oracle *o, int dev, int64_t update);
bool oracle_is_below(const struct oracle *o, int dev, int64_t update);
bool oracle_expired(const struct oracle *o, const struct o_release *r);
void oracle_keep_status(struct oracle *o, const struct said *s);
/* oracle_answer.c; history: the last row of it before this */
void oracle_check_key(struct oracle *o, const struct heard *h, int64_t history);
void oracle_check_answer(struct oracle *o, const struct heard *h);
/* oracle_operators.c */
bool oracle_commanded(const struct oracle *o, int rollout, enum command c);
bool oracle_wants_approval(const struct oracle *o, int rollout);
void oracle_verb(struct oracle *o);		/* what was said was good */
void oracle_clone(struct oracle *o, int of, int64_t id);
void oracle_learn_rollouts(struct oracle *o);	/* those that nobody asked for */
int oracle_planned_phase(const struct oracle *o, int rollout, int dev);
/* oracle_device.c */
bool oracle_shut_out(const struct oracle *o, int dev);
void oracle_edited(struct oracle *o, int dev, const struct o_device *as);
void oracle_removed(struct oracle *o, int dev);
const char *oracle_gone(const struct oracle *o, const struct o_update *u, enum update_state from,
			enum update_state to);
bool oracle_aborted(const struct oracle *o, const struct o_update *u);	/* its rollout */
/* It waits, and its device has become another kind since. */
bool oracle_missed(const struct oracle *o, const struct o_update *u, enum update_state from);
bool oracle_misfit(const struct oracle *o, const struct o_update *u, enum update_state from);
const char *oracle_kind(struct oracle *o, struct o_update *u, enum update_state from,
			enum update_state to);
void oracle_check_missed(struct oracle *o);
void oracle_check_shut_out(struct oracle *o, const struct heard *h);
/* oracle_failure.c */
void oracle_failed(struct oracle *o, struct o_update *u);
void oracle_check_failures(struct oracle *o, int rollout);
/* oracle_phase.c */
struct o_tally {
	int64_t total, planned, flying, deferred, failed, succeeded, timed_out, ended;
};
/* phase 0: of all of the rollout */
struct o_tally oracle_tally(const struct oracle *o, int rollout, int64_t phase);
/* The open one is over, and has shown too little. */
bool oracle_phase_bad(const struct oracle *o, int rollout);
/* Some are tried again, or all goes on: it may be open again. */
void oracle_phase_again(struct oracle *o, int rollout, const struct rollout *row);
bool oracle_phase_good(const struct oracle *o, int rollout, int64_t number);
bool oracle_may_come(const struct oracle *o, const struct o_update *u);
const char *oracle_phase_forbids(const struct oracle *o, const struct o_update *u);
void oracle_follow_phases(struct oracle *o, int rollout, const struct rollout *row);
void oracle_check_phases(struct oracle *o, int rollout);
void oracle_phases(struct oracle *o, int dev);

#endif
