/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_ROUTE_H
#define FETTLE_SERVICE_ROUTE_H

#include "service/service.h"
#include "tracker/tracker.h"

/*
 * The route table: {method, path pattern, who may, handler, one-line doc}. A
 * pattern segment "<name>" is a hole, "<name...>" takes the rest. Who may is a set of
 * role bits; a route with none is denied to all. The authorisation test walks this table.
 */
#define ROLE_BIT(r) (1u << (r))
#define WHO_ANYONE ROLE_BIT(ROLE_NONE)	/* also those who proved nothing */
#define WHO_DEVICE ROLE_BIT(ROLE_DEVICE)
#define WHO_READ                                                                                  \
	(ROLE_BIT(ROLE_VIEWER) | ROLE_BIT(ROLE_OPERATOR) | ROLE_BIT(ROLE_APPROVER) |               \
	 ROLE_BIT(ROLE_ADMIN))
#define WHO_AUTHOR (ROLE_BIT(ROLE_AUTHOR) | ROLE_BIT(ROLE_OPERATOR) | ROLE_BIT(ROLE_ADMIN))
#define WHO_OPERATE (ROLE_BIT(ROLE_OPERATOR) | ROLE_BIT(ROLE_ADMIN))
#define WHO_APPROVE (ROLE_BIT(ROLE_APPROVER) | ROLE_BIT(ROLE_ADMIN))
#define WHO_DECIDE (WHO_OPERATE | ROLE_BIT(ROLE_APPROVER))	/* policy says which of them */
#define WHO_ADMIN ROLE_BIT(ROLE_ADMIN)

enum route_flags {
	ROUTE_CONTROL_ONLY = 1,	/* the local Unix socket alone */
	ROUTE_OWN_DEVICE = 2,	/* hole <id> must be the asking device */
	ROUTE_UPLOAD = 4,	/* body comes by upload frames */
	ROUTE_NO_BODY = 8,
	ROUTE_DOC = 16,		/* needs a document as body */
	ROUTE_DOC_OPT = 32,	/* may have one */
	ROUTE_UNSCOPED = 64,	/* no device: a scoped asker is refused */
	ROUTE_DEVICE = 128,	/* hole 0 names a device in the asker's scope: c->device */
	ROUTE_EMPTY = 512,	/* a document without members */
	ROUTE_SECRET = 256,	/* the answer shows a secret once: kept without it for repeats */
};

struct principal {
	enum role role;
	enum evidence_kind how;
	enum transport transport;
	int64_t dev;			/* device principals */
	char device[NAME_TEXT];
	int64_t credential, token;
	char name[NAME_TEXT + 16];	/* for audit: "uid:0", "token:ci", "device:lamp-1" */
	char scope[FILTER_TEXT];
};

struct session;
struct route;

#define HOLES_MAX 4
struct call {			/* what a handler gets */
	struct service *sv;
	enum lane lane;
	const struct request *rq;
	struct response *rs;
	struct outcome *oc;
	struct tracker tk;		/* store, policy, now, effects, arena, who */
	struct principal who;
	const struct evidence *evidence;
	struct session *session;
	const struct route *route;
	struct slice hole[HOLES_MAX];
	const struct doc *body;		/* decoded when the route takes a document */
	const struct filter *scope;	/* of who.scope; NULL when unscoped */
	struct device device;		/* the asking device's row, or ROUTE_DEVICE's */
	const struct doc *answer;	/* the document in rs, for repeats by Idempotency-Key */
	bool unchanged;			/* the asker has it: 200 becomes 304, its body a length */
};

/*
 * 0: rs is filled (a status over 399 takes back what was written); -1: e becomes the answer.
 */
typedef int (*route_handler)(struct call *c, struct err *e);

struct route {
	enum method method;
	const char *pattern;
	unsigned who;
	unsigned flags;
	route_handler handler;
	const char *doc;
};

extern const struct route routes[];
extern const unsigned routes_count;

/*
 * The table made ready: patterns cut into segments and found by the one that
 * tells most routes apart.
 */
struct route_index;
int route_index_new(const struct route *table, unsigned n, struct route_index **out, struct err *e);
void route_index_free(struct route_index *ix);
/*
 * The route of (method, path); HEAD is GET, "/d/" is "/device/". Fills hole. NULL with
 * e: ERR_NOT_FOUND, or ERR_METHOD when the path has other methods: then *allow has their bits.
 */
const struct route *route_find(const struct route_index *ix, enum method m, struct slice path,
			       struct slice hole[HOLES_MAX], uint8_t *allow, struct err *e);

#endif
