/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_MODEL_H
#define FETTLE_BASE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/slice.h"

/*
 * The models the store takes and gives. Plain values with bounded texts: a
 * model owns nothing and may be copied. Times are ms since the epoch (wall)
 * unless named track_*; 0 means "not set". Row ids are int64_t, 0 is "none".
 */
#define NAME_MAX_LEN 64
#define NAME_TEXT (NAME_MAX_LEN + 1)
#define VERSION_TEXT 64
#define URI_TEXT 256
#define REASON_TEXT 160
#define FILTER_TEXT 1024
#define COMPONENTS_MAX 16
#define CAPABILITIES_TEXT 256

enum role {
	ROLE_NONE,
	ROLE_DEVICE,
	ROLE_VIEWER,
	ROLE_AUTHOR,
	ROLE_OPERATOR,
	ROLE_APPROVER,
	ROLE_ADMIN,
	ROLE_COUNT
};
enum mode { MODE_UNSET, MODE_CLIENT, MODE_SERVER, MODE_NEGOTIATED, MODE_COUNT };
enum urgency { URGENCY_CRITICAL, URGENCY_HIGH, URGENCY_NORMAL, URGENCY_LOW, URGENCY_COUNT };
/* AUTH_NONE: may be named by its path on plain listeners */
enum device_auth { AUTH_CREDENTIAL, AUTH_NONE };

struct device {
	int64_t dev;			/* row id */
	char id[NAME_TEXT];
	enum device_auth auth;
	enum mode mode;
	bool registered;		/* it has spoken itself */
	bool disabled;
	/* assigned: pinned at enrolment or by the first registration */
	struct uuid vendor_id, class_id;
	char manufacturer[NAME_TEXT], model[NAME_TEXT];
	char parent[NAME_TEXT];		/* device id, "" none */
	char endpoint_host[NAME_TEXT];	/* an IP address: where it is called; "" its proven one */
	int64_t contact_interval_s;	/* 0: the default */
	uint64_t floor_sequence;	/* max(reported, offered): never below (behaviour.md 2) */
	bool has_floor;
	/* the differing report that is held and shown, "" when none */
	char held[REASON_TEXT];
	/* what it says it can do, words separated by one blank each: "push", "pull" ... */
	char capabilities[CAPABILITIES_TEXT];
	bool held_back;			/* it came by itself and nobody has let it in yet */
	bool ask_diag;			/* its next answer asks for diagnostics */
	int64_t created, changed;
	uint64_t etag;			/* configuration version, counts up */
};

/* What moves with every contact; one row a device, no index on it. */
#define BOOTS_KEPT 4
struct boot_record {
	uint64_t boot;
	uint64_t high;			/* highest counter seen */
	uint64_t window;		/* bit i: counter high-i was seen */
};
struct device_live {
	int64_t dev;
	int64_t last_seen;		/* wall, for people; a hint, flushed every few minutes */
	int64_t track_seen;		/* the same in tracker time, for decisions; 0 never */
	uint64_t boot;			/* latest boot id, 0 none */
	struct boot_record boots[BOOTS_KEPT];	/* newest first */
	uint8_t n_boots;
	uint16_t endpoint_port;
	uint8_t ip[16];
	char service[16];		/* idle, busy, critical, "" */
	int64_t service_until;
	int64_t battery, free_flash, free_ram;	/* -1 unknown */
	int64_t status_at;		/* tracker time at which service .. were said, 0 never */
	int64_t polls;			/* a hint like last_seen; store_live_seen alone writes it */
};

struct component {			/* as reported by the device */
	char name[NAME_TEXT];		/* "" is component 0's name when it has none */
	char version[VERSION_TEXT];
	bool has_sequence;
	uint64_t sequence;
	bool has_digest;
	struct digest digest;
};

enum credential_kind { CREDENTIAL_PSK, CREDENTIAL_TOKEN, CREDENTIAL_X509 };
struct credential {
	int64_t id, dev;
	enum credential_kind kind;
	/* PSK identity; X.509: SHA-256 of the certificate in hex; token: "" */
	char identity[129];
	uint8_t secret[64];		/* PSK key; token: SHA-256 of it */
	uint8_t secret_len;
	int64_t created, not_after, revoked;
};

struct image {
	struct digest digest;
	uint64_t size;
	int64_t created;
	char by[NAME_TEXT];
	bool sealed;
};

enum verdict { VERDICT_VALID, VERDICT_NO_ANCHOR, VERDICT_REVOKED };
struct manifest {
	struct digest digest;		/* SHA-256 of the bytes as handed in */
	/* the manifest's own (auth wrapper) digest when it is SHA-256 */
	struct digest identity;
	uint32_t size;
	char format[16];		/* "suit" */
	struct uuid vendor_id, class_id;
	char manufacturer[NAME_TEXT], model[NAME_TEXT];
	char version[VERSION_TEXT];
	uint64_t sequence;
	char uri[URI_TEXT];		/* its own reference URI */
	char text[REASON_TEXT];
	bool has_priority;
	int64_t priority;
	char urgency[16];		/* the class it names itself, "" none (not SUIT) */
	int64_t use_before;		/* epoch ms, 0 none */
	int64_t not_before;
	int64_t anchor;			/* the anchor that verified it */
	char alg[16];
	int64_t verified, created;
	char by[NAME_TEXT];
};

struct manifest_image {			/* what a manifest says of one image */
	uint8_t component;
	char name[NAME_TEXT];		/* of the component */
	struct digest digest;
	bool has_size;
	uint64_t size;
	char uri[URI_TEXT];
	bool integrated, external;
};

enum release_state {
	RELEASE_SUBMITTED,
	RELEASE_APPROVED,
	RELEASE_WITHDRAWN,
	RELEASE_SUPERSEDED,
	RELEASE_STATE_COUNT
};
struct release {
	int64_t id;
	char name[NAME_TEXT];		/* operators' handle: given, or model-version */
	struct digest manifest;
	enum release_state state;
	bool complete;			/* every image held, or allowed external */
	bool published;
	struct uuid vendor_id, class_id;
	char manufacturer[NAME_TEXT], model[NAME_TEXT];
	char version[VERSION_TEXT];
	uint64_t sequence;
	enum urgency urgency;
	char urgency_by[NAME_TEXT];	/* which evidence gave it */
	int64_t outage_s;		/* -1 unsaid */
	char by[NAME_TEXT], approved_by[NAME_TEXT];
	int64_t created, approved;
	uint64_t etag;
};

struct anchor {
	int64_t id;
	char vendor[NAME_TEXT];		/* vendor domain, or a vendor UUID's text */
	struct uuid vendor_id;		/* uuid5 of the domain, or given */
	struct digest key_id;
	uint8_t spki[256];
	uint16_t spki_len;
	char alg[16];
	int64_t not_before, not_after, revoked, created;
	char by[NAME_TEXT];
};

/* behaviour.md 6, in order: every state >= UPDATE_SUCCEEDED is terminal. */
enum update_state {
	UPDATE_PLANNED, UPDATE_OFFERED, UPDATE_DEFERRED, UPDATE_ACCEPTED, UPDATE_DOWNLOADING,
	UPDATE_DOWNLOADED, UPDATE_INSTALLING, UPDATE_REBOOTING, UPDATE_CONFIRMING,
	UPDATE_SUCCEEDED, UPDATE_FAILED, UPDATE_REJECTED, UPDATE_TIMED_OUT, UPDATE_ROLLED_BACK,
	UPDATE_CANCELLED, UPDATE_SUPERSEDED, UPDATE_EXPIRED, UPDATE_STATE_COUNT,
};

/* Why an attempt failed; each class has a retry budget. */
enum failure {
	FAILURE_NONE,
	FAILURE_DOWNLOAD,
	FAILURE_SIGNATURE,
	FAILURE_DIGEST,
	FAILURE_INCOMPATIBLE,
	FAILURE_SPACE,
	FAILURE_POWER,
	FAILURE_INSTALL,
	FAILURE_BOOT,
	FAILURE_TIMEOUT,
	FAILURE_OTHER,
	FAILURE_COUNT,
};

struct update {
	int64_t id;
	int64_t dev, rollout, release;
	int64_t phase;			/* of its rollout that it joined, 0 none */
	int64_t planned_phase;		/* the first whose filter takes the device, 0 none */
	enum update_state state;
	enum urgency urgency;
	enum failure failure;
	uint8_t attempt;		/* 1 is the first */
	uint8_t deferrals;
	bool charged;			/* holds a failed slot of its rollout's budget */
	bool reserved;			/* holds an in-flight slot */
	bool manifest_fetched;
	bool late;			/* succeeded after failed, timed-out or cancelled */
	uint8_t progress;		/* percent, stored in place */
	uint64_t offer_boot;		/* device's boot id when it began installing */
	int64_t track_due;		/* next time something must happen, tracker time, 0 none */
	int64_t track_deadline;
	int64_t not_before, not_after;	/* granted slot, wall */
	char reason[REASON_TEXT];
	int64_t created, changed;	/* changed: wall time of the last state change */
	int64_t track_changed;		/* the same in tracker time, 0 none yet */
	struct {			/* as the row had it when it was read: the store's own */
		bool known;
		enum update_state state;
		enum urgency urgency;
		int64_t track_due, last_history;
	} row;
};

struct history {
	int64_t id, update, dev;
	enum update_state from, to;
	bool inferred, late;
	char cause[REASON_TEXT];	/* "report", "timeout", "operator alice: abort" ... */
	int64_t at;
};

enum rollout_state {
	ROLLOUT_DRAFT, ROLLOUT_CREATING, ROLLOUT_AWAITING_APPROVAL, ROLLOUT_READY, ROLLOUT_RUNNING,
	ROLLOUT_PAUSED, ROLLOUT_FINISHED, ROLLOUT_ABORTED, ROLLOUT_STATE_COUNT,
};

enum update_order { ORDER_ANY, ORDER_LEAF_FIRST, ORDER_CORE_FIRST, ORDER_COUNT };

/* How fast, and in which order; 0 of a number: no limit. */
#define PAUSE_AT_TEXT 256
struct rollout_limits {
	int64_t per_minute;		/* offers */
	int64_t max_in_flight;		/* in all; behind the budget */
	int64_t link_in_flight;		/* below one parent, whatever rollout they are of */
	int64_t bytes_per_s, link_bytes_per_s;	/* an offer takes as long as its images */
	enum update_order order;
	bool focus;			/* one device at a time below each parent */
	bool force;			/* black-outs do not hold */
	/* "digest=3 boot=1": how many updates failed so pause it, "" none */
	char pause_at[PAUSE_AT_TEXT];
};

struct rollout {
	int64_t id;
	char name[NAME_TEXT];
	int64_t release;
	char target[FILTER_TEXT];
	enum rollout_state state;
	char reason[REASON_TEXT];	/* why paused, aborted */
	enum urgency urgency;
	int64_t budget;			/* failed + in_flight <= budget */
	int64_t in_flight_window;	/* --in-flight W mode, 0: strict */
	/* counters, moved in the same transaction as the updates they count */
	int64_t total, planned, in_flight, deferred, failed, succeeded, timed_out, ended;
	char by[NAME_TEXT];
	int64_t created, started, finished;
	int64_t phase;			/* number of the open phase, 1 is the first */
	/* tracker time: its timeout, or once it is closed its soak's end; 0 none */
	int64_t track_due;
	struct rollout_limits limits;
	int64_t pace_tat, bytes_tat;	/* of the pace: pace.h */
	bool auto_start;		/* once its updates are planned (and it is approved) */
	int64_t standing;		/* of which standing rollout it is, 0 none */
	char approved_by[NAME_TEXT];
	uint64_t etag;
};

/* A template: makes a rollout of each release of its class that is approved (behaviour.md 4). */
#define STANDING_SPEC_TEXT 8193
struct standing {
	int64_t id;
	char name[NAME_TEXT];
	bool enabled;
	bool has_urgency;		/* false: releases of any class */
	enum urgency urgency;
	/* the members of POST /rollouts as JSON, without name and release */
	char spec[STANDING_SPEC_TEXT];
	char by[NAME_TEXT];
	int64_t created;
	uint64_t etag;
};

#define PHASES_MAX 16
struct phase {
	int64_t rollout, number;
	int64_t percent, count;		/* one of them, else 0 */
	char filter[FILTER_TEXT];
	int64_t success_percent, soak_s, timeout_s;
	int64_t total, done, failed, succeeded;
	int64_t opened, closed;
	int64_t expected;		/* its filter takes them, and they have not joined */
	int64_t not_before;		/* wall: it opens no sooner */
	int64_t track_opened;		/* tracker time it was opened at */
};

/* What the server calls a device for: bits of struct device_call's want. */
enum {
	CALL_LOOK = 1,			/* there is something for it: it should ask */
	CALL_PUSH = 2,			/* its update is pushed, or planned to be */
	CALL_DIAG = 4,
	CALL_OUTAGE = 8,		/* a device above it will be away */
	CALL_DROP = 16,			/* what was pushed to it is taken back */
};
struct device_call {				/* one a device; none when there is nothing */
	int64_t dev;
	bool sent;			/* its answer is awaited */
	int64_t due;			/* tracker time of the next one; sent: it counts as lost */
	int64_t serial;			/* of the last call: it never comes back */
	uint8_t kind;			/* of the last call: enum send_kind */
	uint8_t want;
	int64_t update;			/* pushed: this attempt of this update, 0 none */
	uint8_t attempt;
	bool manifest;			/* the device has it, */
	uint8_t image;			/* and the images before this one, */
	int64_t held;			/* and so many bytes of it, -1 not known */
	bool applied;			/* told to begin, and silent since: it may be dead of it */
	uint8_t tries;			/* of this call without success */
	bool runs;			/* what is pushed has begun: its timeout runs */
	char reason[REASON_TEXT];	/* what became of the last one */
};

/* A device is told that one above it will be away. */
struct outage {
	int64_t dev, update;		/* who is told; the update that causes it */
	int64_t seconds;
	int64_t walked;			/* last device below dev that was entered, -1: all were */
	int64_t until;			/* tracker time: no longer it is waited for */
	int64_t told, acknowledged;	/* wall time, 0: not yet */
};

#define DIAG_MAX 16384
#define DIAGS_KEPT 4
struct diag {				/* what a device said when it was asked for diagnostics */
	int64_t id, at;
	int32_t content_format;		/* enum media */
	struct slice body;		/* the arena's */
};

enum job_state { JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED, JOB_STATE_COUNT };
struct job {
	int64_t id;
	char kind[32];			/* "rollout-create", "anchor-revoke" ... */
	int64_t ref;			/* the object it works on */
	int64_t cursor;
	int64_t done, total;
	enum job_state state;
	char by[NAME_TEXT];
	char result[REASON_TEXT];
	int64_t created, finished;
	int64_t tries;			/* that failed in a row */
	int64_t due;			/* tracker time of the next one, 0: at once */
};

/*
 * A maintenance window or a black-out (behaviour.md 5): an RRULE whose every occurrence, counted
 * from starts in the zone's local time, opens it for duration_s (exact seconds, as RFC 5545 says).
 * Rows never change; tracker/window.h makes and judges them.
 */
enum window_level {
	WINDOW_DEVICE,
	WINDOW_GROUP,
	WINDOW_CLASS,
	WINDOW_ROLLOUT,
	WINDOW_LEVEL_COUNT
};
#define WINDOW_RRULE_TEXT 256
#define WINDOW_STARTS_TEXT 16	/* "20000103T010000" */
#define WINDOW_ZONE_TEXT 48
struct window {
	int64_t id;
	enum window_level level;
	int64_t ref;			/* row id of device, group or rollout; 0 for a class */
	struct uuid class_id;		/* of a class: this, or its model */
	char model[NAME_TEXT];
	bool reported;			/* the device's own: may only narrow */
	bool blackout;
	char rrule[WINDOW_RRULE_TEXT];
	char starts[WINDOW_STARTS_TEXT];
	char zone[WINDOW_ZONE_TEXT];
	int64_t duration_s;
	int64_t created;
	char by[NAME_TEXT];
};

struct token {
	int64_t id;
	char name[NAME_TEXT];
	enum role role;
	struct digest hash;		/* SHA-256 of the token */
	char scope[FILTER_TEXT];
	int64_t created, not_after, revoked;
	char by[NAME_TEXT];
};

struct operator_uid {
	uint32_t uid;
	enum role role;
	int64_t created;
	char by[NAME_TEXT];
};

struct audit {
	int64_t id;
	int64_t at;
	char who[NAME_TEXT];		/* "uid:0", "token:ci", "policy", "system" */
	char verb[NAME_TEXT];		/* "release.approve" */
	char object[URI_TEXT];
	char detail[FILTER_TEXT];
	struct digest prev, hash;	/* hash = SHA-256 over prev and the canonical row */
};

enum upload_kind { UPLOAD_IMAGE };
struct upload {
	int64_t id;
	enum upload_kind kind;
	char name[NAME_TEXT];		/* the resumable upload's URL part, random */
	uint64_t size;			/* declared */
	bool has_size;
	bool has_digest;
	struct digest digest;		/* declared */
	uint64_t offset;		/* durable */
	bool complete;
	bool sealed;			/* its bytes are; the image's row may be missing yet */
	char by[NAME_TEXT];
	int64_t created;
	int64_t track_changed;		/* tracker time something was last heard of it */
};

/*
 * Words for the enums above, as JSON, CBOR and the database speak them; parse
 * returns -1 on strangers.
 */
const char *role_word(enum role v);
const char *mode_word(enum mode v);
const char *urgency_word(enum urgency v);
const char *release_state_word(enum release_state v);
const char *update_state_word(enum update_state v);
const char *failure_word(enum failure v);
const char *rollout_state_word(enum rollout_state v);
const char *job_state_word(enum job_state v);
const char *window_level_word(enum window_level v);
const char *update_order_word(enum update_order v);
int role_parse(const char *w, enum role *out);
int mode_parse(const char *w, enum mode *out);
int urgency_parse(const char *w, enum urgency *out);
int release_state_parse(const char *w, enum release_state *out);
int update_state_parse(const char *w, enum update_state *out);
int failure_parse(const char *w, enum failure *out);
int rollout_state_parse(const char *w, enum rollout_state *out);
int job_state_parse(const char *w, enum job_state *out);
int window_level_parse(const char *w, enum window_level *out);
int update_order_parse(const char *w, enum update_order *out);
bool update_state_terminal(enum update_state s);
bool update_state_in_flight(enum update_state s);	/* offered ... confirming, deferred apart */

#endif
