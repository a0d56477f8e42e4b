/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_SERVICE_RIG_H
#define FETTLE_TESTS_SERVICE_RIG_H

#include "base/doc.h"
#include "service/service.h"
#include "store_util.h"

/* A service over a store of its own, and askers of every kind. Each request is a batch. */
struct rig {
	struct bed bed;
	struct service *sv;
	struct now now;
	struct arena arena;	/* of the last answer */
	struct effects *fx;
	struct outcome oc;
	struct response rs;
	const struct doc *doc;	/* of the last answer, NULL when it is no document */
	bool keep;
	uint64_t handles;
	uint64_t root;		/* uid 0 on the control lane */
	struct digest image, manifest;	/* of rig_release */
};

#define RIG_CONTROL (1ull << 32)	/* handles from here on are the control lane's */
#define RIG_OWN_UID 77

void rig_make(struct rig *r);
void rig_remove(struct rig *r);
void rig_restart(struct rig *r);	/* a new service over the same store: no sessions */

/* Sessions; 0 when refused. */
uint64_t rig_admit(struct rig *r, enum lane lane, enum evidence_kind kind, enum transport t,
		   const char *identity, uint32_t uid);
uint64_t rig_local(struct rig *r, uint32_t uid);
uint64_t rig_plain(struct rig *r);	/* HTTP from loopback */
uint64_t rig_coap(struct rig *r);
uint64_t rig_tls(struct rig *r);
uint64_t rig_psk(struct rig *r, const char *identity);

struct ask {
	uint64_t session;
	enum method method;
	const char *path, *query, *token, *key;
	const char *json;	/* body, or */
	struct slice body;
	enum media format;	/* 0 (text): JSON when there is json, none otherwise */
	enum media accept;	/* 0 (text): nothing said */
	struct etag if_match, if_none_match;
	bool observe;
};
unsigned rig_ask(struct rig *r, const struct ask *a);	/* the status; rest in r */
unsigned rig_get(struct rig *r, uint64_t session, const char *path);
unsigned rig_post(struct rig *r, uint64_t session, const char *path, const char *json);
unsigned rig_upload(struct rig *r, uint64_t session, const char *token, struct slice bytes);
enum lane rig_lane(uint64_t session);

/* Members of the last answer, by path: "items.0.name". */
const struct doc *rig_at(const struct rig *r, const char *path);
const char *rig_text(const struct rig *r, const char *path);
int64_t rig_int(const struct rig *r, const char *path);

/* Whole things. */
/* psk_hex NULL: auth none. */
void rig_device(struct rig *r, const char *id, const char *psk_hex);
/* Tokens are the caller's to free. */
char *rig_token(struct rig *r, const char *name, const char *role, const char *scope);
char *rig_device_token(struct rig *r, const char *id);
/* Anchor, image, manifest, an approved release of this name; anchor and key only once. */
void rig_release(struct rig *r, const char *name, uint64_t sequence);
/* It runs. */
void rig_rollout(struct rig *r, const char *name, const char *release, const char *target);
void rig_jobs(struct rig *r);		/* run all that waits */

#endif
