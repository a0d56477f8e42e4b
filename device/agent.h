/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_AGENT_H
#define FETTLE_DEVICE_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/message.h"
#include "base/model.h"
#include "codec/crypto.h"

/*
 * One device's side of an update (behaviour.md 4 and 6), without any I/O: the
 * caller asks what to do next, sends what agent_request() wrote, and tells what
 * came of it. The same machine drives the single device and every device of a fleet.
 * Times are monotonic ms.
 */
#define AGENT_IMAGES_MAX 16
#define AGENT_BODY_MAX DEVICE_BODY_MAX	/* of a request */
#define AGENT_MANIFEST_MAX 65536
#define AGENT_IMAGE_MAX (64u << 20)	/* of an image, when the plan does not say */
#define AGENT_PIECE_MAX (256u << 10)	/* of an image in one answer (HTTP) */
#define AGENT_BACKOFF_MS 2000		/* first, doubling */
#define AGENT_BACKOFF_MAX_MS 60000
#define AGENT_TEXT 160

enum agent_choice { CHOICE_ACCEPT, CHOICE_DEFER, CHOICE_REJECT };

/* How this device behaves; the caller's, shared by many agents. */
struct agent_plan {
	enum mode mode;
	enum agent_choice choice;	/* in server mode nobody asks */
	int64_t defer_s;
	const char *reason;		/* of a deferral or a rejection, NULL: a general one */
	bool tamper;			/* the first byte of each image arrives wrong */
	bool fail_install, roll_back;
	unsigned fail_first;		/* so many installations fail before one succeeds */
	unsigned attempts;		/* until_done: failures it takes to be done, 0 is 1 */
	const char *silent_after;	/* a report's state, NULL never */
	int64_t poll_s;			/* 0: as the server says */
	bool once;			/* end when there is nothing to do */
	bool until_done;		/* end when one update ended */
	bool observe;			/* the transport can */
	/* what it says of itself */
	const char *service;		/* "idle", "busy", "critical"; NULL unsaid */
	int64_t service_s;		/* so long from its start, then idle; 0: always */
	int battery;			/* percent, 0 unsaid */
	uint64_t free_flash;		/* 0 unsaid */
	const char *parent;		/* NULL none */
	const char *const *windows, *const *attributes;	/* NULL none, end in NULL */
	uint16_t endpoint_port;		/* 0 none */
	/* it takes calls (device.cddl): manifests by PUT; pull: it fetches the images itself */
	bool push, pull, endpoint_dtls;
	/* bytes of an image asked for at a time: 16..1024 over CoAP */
	size_t piece;
	uint64_t image_max;		/* 0: AGENT_IMAGE_MAX */
	struct uuid vendor_id, class_id;
	const char *manufacturer, *model;	/* NULL: unsaid */
	/* trust: without an anchor nothing verifies, unless unverified says so (fleets) */
	struct key *const *anchors;
	unsigned n_anchors;
	bool unverified;
};

struct agent_image {
	char component[NAME_TEXT];
	char path[URI_TEXT];
	struct digest digest;
	bool has_size, integrated;
	uint64_t size;
	size_t at;			/* integrated: where in the manifest */
	uint8_t number;			/* of its component in the manifest */
	bool whole;			/* pushed: all of it is there and right */
};

/* An update under way. */
struct agent_offer {
	int64_t update;
	uint64_t sequence;
	char version[VERSION_TEXT];
	char manifest_path[URI_TEXT];
	struct digest manifest_digest;
	bool has_manifest_digest;
	struct buf manifest;
	bool taken;			/* manifest verified, images chosen */
	bool pushed, apply;		/* the manifest was PUT; and it may be installed */
	struct agent_image images[AGENT_IMAGES_MAX];	/* of the offer, then of the manifest */
	uint8_t n_images, image;
	uint64_t offset;
	struct etag etag;
	bool refused;			/* what was last asked for; a report was said since */
	bool begun;			/* the sink knows of images[image] */
	uint8_t told;			/* quarters of progress reported */
};

/* Where an image goes. Functions return 0, or -1 with e filled (disk full, ...). */
struct agent_sink {
	void *ctx;
	/* *offset: how much of it is there from before */
	int (*begin)(void *ctx, const struct agent_image *i, uint64_t *offset, struct err *e);
	int (*add)(void *ctx, struct slice data, struct err *e);
	int (*end)(void *ctx, struct digest *out, struct err *e);
};

enum agent_step {
	STEP_REGISTER, STEP_CONFIRM, STEP_ASK, STEP_OBSERVE, STEP_IDLE, STEP_DECIDE, STEP_MANIFEST,
	STEP_FETCH, STEP_LOADED, STEP_INSTALL, STEP_REBOOT, STEP_OVER, STEP_END,
};

enum agent_todo {
	TODO_SEND,	/* agent_request(), send, agent_answer() */
	TODO_WAIT,	/* until the time, or a notification */
	TODO_INSTALL,	/* install the images, agent_installed() */
	TODO_REBOOT,	/* agent_booted() with the new boot id */
	TODO_END,	/* see result and why */
};

enum agent_kind {
	ASK_REGISTER, ASK_UPDATE, ASK_DECISION, ASK_MANIFEST, ASK_IMAGE, ASK_REPORT, ASK_DIAG,
	ASK_NOTHING,
};

enum agent_result {
	RESULT_NONE, RESULT_NOTHING, RESULT_SUCCEEDED, RESULT_FAILED, RESULT_REJECTED,
	RESULT_DEFERRED, RESULT_ROLLED_BACK, RESULT_SILENT, RESULT_REFUSED, RESULT_COUNT
};

struct agent {
	const struct agent_plan *plan;
	struct agent_sink sink;
	char id[NAME_TEXT];
	uint64_t boot, counter;
	uint64_t open;			/* counter of the message being sent, 0 none */
	enum agent_step step;
	int64_t wake;			/* TODO_WAIT until then */
	unsigned tries;			/* of the message being sent */
	uint32_t jitter;		/* state of a small generator */
	struct component *components;	/* installed */
	uint8_t n_components;
	struct agent_offer *offer;
	/* a report to be acknowledged before anything else is done */
	bool reporting;
	char report[24];
	enum failure failure;
	int8_t progress;		/* -1 none */
	int64_t report_update, confirm;	/* confirm: update to be told of after the boot, 0 none */
	bool observing, deferred;
	bool look, diag;		/* asked for by the server: to be done when it can */
	enum agent_kind asked;		/* what the message under way is about */
	int64_t began;			/* when it was asked for the first time what to do */
	int64_t granted;		/* nothing begins before, 0 none */
	int64_t agreed;			/* update it said yes to, 0 none */
	unsigned failed;		/* attempts, since the last success */
	unsigned notices;		/* of outages, acknowledged */
	int64_t outage_s;		/* of the last notice */
	int64_t acknowledge;		/* the update it is of, once a report said so; 0 none */
	struct etag nothing;		/* of the last answer that there is nothing */
	int64_t ask_s;			/* when to ask again, as last heard */
	enum agent_result result;	/* of the last update; with TODO_END of all */
	char why[AGENT_TEXT];
	uint64_t sent, acknowledged, bytes, digests_wrong;
};

struct agent_request {
	enum agent_kind kind;
	enum method method;
	char path[PATH_MAX_LEN + 1];
	uint64_t counter;		/* 0: carries none */
	bool observe;
	enum media media;		/* of the body, MEDIA_NONE without */
	bool piece;			/* a part of an image: from offset, at most length */
	uint64_t offset;
	size_t length;
	/* piece: what came before must still be the same; update: what is known already */
	struct etag etag;
};

struct agent_reply {
	uint16_t status;		/* HTTP's numbers; 0: none came */
	int32_t max_age;		/* s, Max-Age, Retry-After; -1 unsaid */
	struct slice body;
	bool more;			/* piece: it is not the end */
	bool has_size;
	uint64_t size;			/* of the whole */
	struct etag etag;
};

/* What the server asks of the device (device.cddl), over its session or at its endpoint. */
struct agent_call {
	enum method method;
	const char *path, *query;	/* "/fettle/offer"; "update=7" or "" */
	struct slice body;
	bool block1, more;		/* Block1: no more but the last */
	uint32_t num;
	uint8_t szx;
	uint64_t size;			/* Size1, 0 unsaid */
};
struct agent_answer {
	uint16_t status;		/* CoAP's, as 204, 231, 409; 0: it says nothing at all */
	int32_t max_age;		/* s, with 503; -1 */
};

int agent_init(struct agent *a, const struct agent_plan *plan, const struct agent_sink *sink,
	       const char *id, uint64_t boot, uint32_t seed, struct err *e);
void agent_free(struct agent *a);
/* What is installed; replaces one of the same name. -1: no memory, or more than COMPONENTS_MAX. */
int agent_component(struct agent *a, const struct component *c);
uint64_t agent_sequence(const struct agent *a);	/* highest installed, 0 none */

enum agent_todo agent_next(struct agent *a, int64_t now, int64_t *wake);
/* The same bytes until answered: what is re-sent is unchanged. Media m for the body. */
int agent_request(struct agent *a, struct arena *mem, enum media m, struct agent_request *out,
		  struct buf *body, int64_t now, struct err *e);
void agent_reply(struct agent *a, struct arena *mem, enum media m, const struct agent_reply *r,
		 int64_t now);
void agent_notified(struct agent *a);
/*
 * The server calls: the answer, its body in CBOR (emptied first). A call that is repeated is
 * answered as before. What is to be done now says agent_next().
 */
void agent_called(struct agent *a, struct arena *mem, const struct agent_call *c,
		  struct agent_answer *r, struct buf *body, int64_t now);
/* The installation that is due fails, as the plan says. */
bool agent_fails(const struct agent *a);
void agent_installed(struct agent *a, bool ok, const char *why);
void agent_booted(struct agent *a, uint64_t boot);

const char *agent_kind_word(const struct agent *a, enum agent_kind k);
const char *agent_result_word(enum agent_result r);

/* ---- agent_doc.c: messages ---- */
struct doc *agent_register_doc(const struct agent *a, struct arena *mem, enum media m,
			       int64_t now);
void agent_put_status(const struct agent *a, struct arena *mem, struct doc *d, int64_t now);
/* What POST diag says: text, a line each. */
int agent_diag_text(const struct agent *a, struct buf *out, int64_t now);
struct doc *agent_decision_doc(const struct agent *a, struct arena *mem);
struct doc *agent_report_doc(const struct agent *a, struct arena *mem);
/* 1: *o is an offer; 0: nothing. *ask_s: when to ask again. *not_before_s: 0 at once. */
int agent_read_offer(const struct doc *d, struct agent_offer *o, int64_t *ask_s,
		     int64_t *not_before_s, struct err *e);
/* The path of a URI, or the path itself; -1: none. */
int agent_path_of(struct slice uri, char *dst, size_t cap);

/* ---- check.c: what a manifest must pass ---- */
/*
 * o->manifest holds the bytes. Digest, signature, ids, sequence; then o's images
 * are those of the manifest. -1 with *f and e.
 */
int check_manifest(const struct agent_plan *p, uint64_t installed, struct agent_offer *o,
		   enum failure *f, struct err *e);

#endif
