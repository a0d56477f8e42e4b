/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/route.h"
#include "service_rig.h"

/*
 * The authorisation matrix: every route x every kind of caller. What is expected is
 * written here by hand, not taken from the table; a route without a row fails.
 */
#define KEY_A "000102030405060708090a0b0c0d0e0f"
#define KEY_B "100102030405060708090a0b0c0d0e0f"
#define KEY_C "200102030405060708090a0b0c0d0e0f"

/* In the columns' order. Group by group as the rows are written. */
enum caller {
	/* nothing proved */
	PLAIN,
	TLS,
	/* devices: a by PSK, c by PSK and revoked meanwhile, n without, a by token */
	PSK_A,
	PSK_REVOKED,
	NONE_N,
	DEVICE_TOKEN,
	DEVICE_TOKEN_PLAIN,
	/* tokens over TLS */
	VIEWER,
	AUTHOR,
	OPERATOR,
	APPROVER,
	/* tokens that must not count */
	EXPIRED,
	MALFORMED,
	REVOKED,
	FROM_AFAR, /* an operator's, in the clear, not from loopback */
	/* an operator's in the clear from loopback; one with the scope id == "a" */
	LOOPBACK,
	SCOPED,
	/* the control lane: root, the daemon's uid, uids without and with a row */
	ROOT,
	OWN_UID,
	UID_UNKNOWN,
	UID_OPERATOR,
	UID_ADMIN,
	/* root's session carrying a wrong token, and an operator's; no session at all */
	ROOT_WRONG_TOKEN,
	ROOT_OPERATOR_TOKEN,
	NO_SESSION,
	CALLERS,
};

static const char *const caller_names[CALLERS] = {
	"plain",	"tls",	     "psk a",	   "psk revoked",   "auth none n",
	"device token", "fd_ plain", "viewer",	   "author",	    "operator",
	"approver",	"expired",   "malformed",  "revoked",	    "from afar",
	"loopback",	"scoped",    "root",	   "own uid",	    "uid ?",
	"uid op",	"uid admin", "root+wrong", "root+operator", "no session",
};

/*
 * + may (and it is there)   u 401   f 403   4 404
 * ? may, and there may be nothing
 */
#define WINDOW_OF(level, ref)                                      \
	"{\"level\":\"" level "\",\"ref\":\"" ref "\",\"window\":" \
	"\"daily 00:00-24:00 UTC\"}"
#define ALL "++ +u++u ++++ uuuu ++ +++++ u+u"
#define SEE "uu fuffu ++++ uuuu ++ ++f++ u+u"
#define READ "uu fuffu +f++ uuuu ++ ++f++ u+u"
#define READ_ALL "uu fuffu +f++ uuuu +f ++f++ u+u"
#define HAND_IN "uu fuffu f++f uuuu +f ++f++ u+u"
#define HAND_IN_MAYBE "uu fuffu f??f uuuu ?f ??f?? u?u"
#define OPERATE "uu fuffu ff+f uuuu ++ ++f++ u+u"
#define OPERATE_ALL "uu fuffu ff+f uuuu +f ++f++ u+u"
#define OPERATE_NOT_MINE "uu fuffu ff+f uuuu +4 ++f++ u+u"
#define READ_NOT_MINE "uu fuffu +f++ uuuu +4 ++f++ u+u"
#define SEE_NOT_MINE "uu fuffu ++++ uuuu +4 ++f++ u+u"
#define ADMIN "uu fuffu ffff uuuu ff ++ff+ ufu"
#define APPROVE "uu fuffu fff+ uuuu ff ++ff+ ufu"
#define OPERATE_HERE "uu fuffu ffff uuuu ff ++f++ ufu"
#define MINE_A "uu +uu+u ffff uuuu ff fffff ufu"
#define MINE_B "uu fuufu ffff uuuu ff fffff ufu"
#define MINE_N "+u fu+fu ffff uuuu ff fffff ufu"
#define OFFERED "44 +u4+u +4++ uuuu ++ ++4++ u+u"
#define OFFERED_DEVICE "44 +u4+u 4444 uuuu 44 44444 u4u"

#define API "/api/v1"
#define IMAGE "%I" /* the image's digest */
#define MANIFEST "%M" /* the manifest's */

struct row {
	enum method method;
	const char *pattern, *path, *json, *want;
};

static const struct row rows[] = {
	{ METHOD_GET, "/healthz", "/healthz", NULL, ALL },
	{ METHOD_GET, "/readyz", "/readyz", NULL, ALL },
	{ METHOD_GET, "/metrics", "/metrics", NULL, READ_ALL },
	{ METHOD_GET, API "/status", API "/status", NULL, SEE },
	{ METHOD_POST, API "/clock/accept", API "/clock/accept", NULL, OPERATE_HERE },
	{ METHOD_GET, API "/openapi.json", API "/openapi.json", NULL, ALL },

	{ METHOD_POST, API "/images", API "/images", NULL, HAND_IN },
	{ METHOD_GET, API "/images", API "/images", NULL, SEE },
	{ METHOD_GET, API "/images/<digest>", API "/images/" IMAGE, NULL, SEE },
	{ METHOD_GET, API "/images/<digest>/content", API "/images/" IMAGE "/content", NULL, READ },
	{ METHOD_DELETE, API "/images/<digest>", API "/images/" IMAGE, NULL, OPERATE_ALL },
	{ METHOD_GET, API "/uploads/<name>", API "/uploads/u", NULL, HAND_IN_MAYBE },
	{ METHOD_PATCH, API "/uploads/<name>", API "/uploads/u", NULL, HAND_IN_MAYBE },
	{ METHOD_DELETE, API "/uploads/<name>", API "/uploads/u", NULL, HAND_IN_MAYBE },

	{ METHOD_POST, API "/manifests", API "/manifests", NULL, HAND_IN },
	{ METHOD_GET, API "/manifests", API "/manifests", NULL, SEE },
	{ METHOD_GET, API "/manifests/<digest>", API "/manifests/" MANIFEST, NULL, SEE },
	{ METHOD_GET, API "/manifests/<digest>/content", API "/manifests/" MANIFEST "/content",
	  NULL, SEE },
	{ METHOD_DELETE, API "/manifests/<digest>", API "/manifests/" MANIFEST, NULL, OPERATE_ALL },
	{ METHOD_POST, API "/releases", API "/releases", "{}", HAND_IN },
	{ METHOD_GET, API "/releases", API "/releases", NULL, SEE },
	{ METHOD_GET, API "/releases/<id>", API "/releases/lamp-1", NULL, SEE },
	{ METHOD_PATCH, API "/releases/<id>", API "/releases/1", "{\"urgency\":\"low\"}",
	  OPERATE_ALL },
	{ METHOD_POST, API "/releases/<id>/approve", API "/releases/1/approve", NULL, OPERATE_ALL },
	{ METHOD_POST, API "/releases/<id>/publish", API "/releases/1/publish", NULL, OPERATE_ALL },
	{ METHOD_POST, API "/releases/<id>/withdraw", API "/releases/1/withdraw", NULL,
	  OPERATE_ALL },
	{ METHOD_POST, API "/anchors", API "/anchors", "{}", ADMIN },
	{ METHOD_GET, API "/anchors", API "/anchors", NULL, SEE },
	{ METHOD_GET, API "/anchors/<id>", API "/anchors/1", NULL, SEE },
	{ METHOD_POST, API "/anchors/<id>/revoke", API "/anchors/1/revoke", NULL, ADMIN },

	{ METHOD_POST, API "/devices", API "/devices", "{}", OPERATE },
	{ METHOD_GET, API "/devices", API "/devices", NULL, READ },
	{ METHOD_POST, API "/devices/import", API "/devices/import", NULL, OPERATE },
	{ METHOD_GET, API "/devices/<id>", API "/devices/a", NULL, READ },
	{ METHOD_GET, API "/devices/<id>", API "/devices/b", NULL, READ_NOT_MINE },
	{ METHOD_PATCH, API "/devices/<id>", API "/devices/a", "{}", OPERATE },
	{ METHOD_PATCH, API "/devices/<id>", API "/devices/b", "{}", OPERATE_NOT_MINE },
	{ METHOD_DELETE, API "/devices/<id>", API "/devices/a", NULL, OPERATE },
	{ METHOD_DELETE, API "/devices/<id>", API "/devices/b", NULL, OPERATE_NOT_MINE },
	{ METHOD_POST, API "/devices/<id>/approve", API "/devices/a/approve", NULL, OPERATE },
	{ METHOD_POST, API "/devices/<id>/approve", API "/devices/b/approve", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_GET, API "/devices/<id>/history", API "/devices/a/history", NULL, READ },
	{ METHOD_GET, API "/devices/<id>/history", API "/devices/b/history", NULL, READ_NOT_MINE },
	{ METHOD_GET, API "/devices/<id>/why", API "/devices/a/why", NULL, READ },
	{ METHOD_GET, API "/devices/<id>/why", API "/devices/b/why", NULL, READ_NOT_MINE },
	{ METHOD_GET, API "/devices/<id>/diag", API "/devices/a/diag", NULL, READ },
	{ METHOD_GET, API "/devices/<id>/diag", API "/devices/b/diag", NULL, READ_NOT_MINE },
	{ METHOD_POST, API "/devices/<id>/diag", API "/devices/a/diag", "{}", OPERATE },
	{ METHOD_POST, API "/devices/<id>/diag", API "/devices/b/diag", "{}", OPERATE_NOT_MINE },
	{ METHOD_POST, API "/devices/<id>/credentials", API "/devices/a/credentials", "{}",
	  OPERATE },
	{ METHOD_POST, API "/devices/<id>/credentials", API "/devices/b/credentials", "{}",
	  OPERATE_NOT_MINE },
	{ METHOD_GET, API "/devices/<id>/credentials", API "/devices/a/credentials", NULL, READ },
	{ METHOD_GET, API "/devices/<id>/credentials", API "/devices/b/credentials", NULL,
	  READ_NOT_MINE },
	{ METHOD_DELETE, API "/devices/<id>/credentials/<n>", API "/devices/a/credentials/1", NULL,
	  OPERATE },
	{ METHOD_DELETE, API "/devices/<id>/credentials/<n>", API "/devices/b/credentials/2", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_POST, API "/groups", API "/groups", "{}", OPERATE_ALL },
	{ METHOD_GET, API "/groups", API "/groups", NULL, READ },
	{ METHOD_DELETE, API "/groups/<name>", API "/groups/g", NULL, OPERATE_ALL },
	{ METHOD_PATCH, API "/groups/<name>", API "/groups/g", "{\"join\":[\"a\"]}", OPERATE },
	{ METHOD_PATCH, API "/groups/<name>", API "/groups/g", "{\"join\":[\"b\"]}",
	  OPERATE_NOT_MINE },
	{ METHOD_PUT, API "/groups/<name>/devices/<id>", API "/groups/g/devices/a", NULL, OPERATE },
	{ METHOD_PUT, API "/groups/<name>/devices/<id>", API "/groups/g/devices/b", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_DELETE, API "/groups/<name>/devices/<id>", API "/groups/g/devices/a", NULL,
	  OPERATE },
	{ METHOD_DELETE, API "/groups/<name>/devices/<id>", API "/groups/g/devices/b", NULL,
	  OPERATE_NOT_MINE },

	{ METHOD_POST, API "/windows", API "/windows", WINDOW_OF("device", "a"), OPERATE },
	{ METHOD_POST, API "/windows", API "/windows", WINDOW_OF("device", "b"), OPERATE_NOT_MINE },
	{ METHOD_POST, API "/windows", API "/windows", WINDOW_OF("group", "g"), OPERATE_ALL },
	{ METHOD_GET, API "/windows", API "/windows", NULL, READ },
	{ METHOD_GET, API "/windows/<id>", API "/windows/1", NULL, READ },
	{ METHOD_GET, API "/windows/<id>", API "/windows/2", NULL, READ_NOT_MINE },
	{ METHOD_DELETE, API "/windows/<id>", API "/windows/1", NULL, OPERATE },
	{ METHOD_DELETE, API "/windows/<id>", API "/windows/2", NULL, OPERATE_NOT_MINE },
	{ METHOD_DELETE, API "/windows/<id>", API "/windows/3", NULL, OPERATE_ALL },
	{ METHOD_GET, API "/windows/next", API "/windows/next", NULL, READ },

	{ METHOD_POST, API "/rollouts", API "/rollouts", "{}", OPERATE },
	{ METHOD_GET, API "/rollouts", API "/rollouts", NULL, READ },
	{ METHOD_GET, API "/rollouts/<id>", API "/rollouts/one", NULL, READ_NOT_MINE },
	{ METHOD_POST, API "/rollouts/<id>/start", API "/rollouts/1/start", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_POST, API "/rollouts/<id>/pause", API "/rollouts/1/pause", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_POST, API "/rollouts/<id>/resume", API "/rollouts/1/resume", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_POST, API "/rollouts/<id>/abort", API "/rollouts/1/abort", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_POST, API "/standing-rollouts", API "/standing-rollouts", "{}", OPERATE_ALL },
	{ METHOD_GET, API "/standing-rollouts", API "/standing-rollouts", NULL, READ },
	{ METHOD_GET, API "/standing-rollouts/<id>", API "/standing-rollouts/auto", NULL, READ },
	{ METHOD_PATCH, API "/standing-rollouts/<id>", API "/standing-rollouts/auto", "{}",
	  OPERATE_ALL },
	{ METHOD_DELETE, API "/standing-rollouts/<id>", API "/standing-rollouts/1", NULL,
	  OPERATE_ALL },
	{ METHOD_POST, API "/rollouts/<id>/retry", API "/rollouts/1/retry", NULL,
	  OPERATE_NOT_MINE },
	{ METHOD_POST, API "/rollouts/<id>/next", API "/rollouts/1/next", NULL, OPERATE_NOT_MINE },
	{ METHOD_POST, API "/rollouts/<id>/clone", API "/rollouts/1/clone", "{}",
	  OPERATE_NOT_MINE },
	{ METHOD_POST, API "/rollouts/<id>/approve", API "/rollouts/1/approve", NULL, APPROVE },
	{ METHOD_POST, API "/rollouts/<id>/deny", API "/rollouts/1/deny", NULL, APPROVE },
	{ METHOD_GET, API "/rollouts/<id>/why", API "/rollouts/1/why", NULL, READ_NOT_MINE },
	{ METHOD_GET, API "/updates", API "/updates", NULL, READ },
	{ METHOD_GET, API "/updates/<id>", API "/updates/1", NULL, READ },
	{ METHOD_GET, API "/jobs", API "/jobs", NULL, SEE },
	{ METHOD_GET, API "/jobs/<id>", API "/jobs/1", NULL, SEE_NOT_MINE },
	{ METHOD_POST, API "/jobs/<id>/cancel", API "/jobs/1/cancel", NULL, OPERATE_NOT_MINE },

	{ METHOD_POST, API "/tokens", API "/tokens", "{}", ADMIN },
	{ METHOD_GET, API "/tokens", API "/tokens", NULL, ADMIN },
	{ METHOD_POST, API "/tokens/<id>/revoke", API "/tokens/1/revoke", NULL, ADMIN },
	{ METHOD_POST, API "/operators", API "/operators", "{}", ADMIN },
	{ METHOD_GET, API "/operators", API "/operators", NULL, ADMIN },
	{ METHOD_DELETE, API "/operators/<uid>", API "/operators/1003", NULL, ADMIN },
	{ METHOD_GET, API "/policies/settings", API "/policies/settings", NULL, READ },
	{ METHOD_PUT, API "/policies/settings", API "/policies/settings", "{}", OPERATE_ALL },
	{ METHOD_POST, API "/policies/check", API "/policies/check", "{}", SEE },
	{ METHOD_POST, API "/policies/test", API "/policies/test", "{}", SEE },
	{ METHOD_GET, API "/audit", API "/audit", NULL, READ_ALL },
	{ METHOD_GET, API "/audit/verify", API "/audit/verify", NULL, READ_ALL },

	{ METHOD_PUT, "/device/<id>", "/device/a", "{}", MINE_A },
	{ METHOD_PUT, "/device/<id>", "/device/b", "{}", MINE_B },
	{ METHOD_PUT, "/device/<id>", "/device/n", "{}", MINE_N },
	{ METHOD_PUT, "/device/<id>", "/device/unknown", "{}", MINE_B },
	{ METHOD_GET, "/device/<id>/update", "/device/a/update", NULL, MINE_A },
	{ METHOD_GET, "/device/<id>/update", "/d/b/update", NULL, MINE_B },
	{ METHOD_GET, "/device/<id>/update", "/d/n/update", NULL, MINE_N },
	{ METHOD_GET, "/device/<id>/update", "/device/unknown/update", NULL, MINE_B },
	{ METHOD_POST, "/device/<id>/decision", "/device/a/decision", "{}", MINE_A },
	{ METHOD_POST, "/device/<id>/decision", "/device/b/decision", "{}", MINE_B },
	{ METHOD_POST, "/device/<id>/decision", "/device/n/decision", "{}", MINE_N },
	{ METHOD_POST, "/device/<id>/report", "/device/a/report", "{}", MINE_A },
	{ METHOD_POST, "/device/<id>/report", "/device/b/report", "{}", MINE_B },
	{ METHOD_POST, "/device/<id>/report", "/device/n/report", "{}", MINE_N },
	{ METHOD_POST, "/device/<id>/diag", "/device/a/diag", "{}", MINE_A },
	{ METHOD_POST, "/device/<id>/diag", "/device/b/diag", "{}", MINE_B },
	{ METHOD_POST, "/device/<id>/diag", "/device/n/diag", "{}", MINE_N },

	{ METHOD_GET, "/image/<sha256>", "/image/" IMAGE, NULL, OFFERED },
	{ METHOD_GET, "/manifest/<sha256>", "/manifest/" MANIFEST, NULL, OFFERED },
	{ METHOD_GET, "/.well-known/core", "/.well-known/core", NULL, ALL },
	{ METHOD_GET, "/.well-known/firmware/<manufacturer>/<model>/<file>",
	  "/.well-known/firmware/acme.example/lamp/manifest.suit", NULL, OFFERED_DEVICE },
	{ METHOD_GET, "/.well-known/manifest/<manufacturer>/<model>/<file>",
	  "/.well-known/manifest/acme.example/lamp/manifest", NULL, OFFERED_DEVICE },
	{ METHOD_GET, "/.wellknown/firmware/<manufacturer>/<model>/<file>",
	  "/.wellknown/firmware/acme.example/lamp/manifest.suit", NULL, OFFERED_DEVICE },
	{ METHOD_GET, "/.wellknown/manifest/<manufacturer>/<model>/<file>",
	  "/.wellknown/manifest/acme.example/lamp/manifest.suit", NULL, OFFERED_DEVICE },
	{ METHOD_GET, "/<path...>", "/lamp-1.bin", NULL, OFFERED_DEVICE },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct rig r;
static uint64_t revoked_session;
static char *tokens[CALLERS];

static void make_operators(void)
{
	ck_assert_uint_eq(rig_post(&r, r.root, API "/operators",
				   "{\"uid\":1003,\"role\":\"operator\"}"),
			  201);
	ck_assert_uint_eq(
		rig_post(&r, r.root, API "/operators", "{\"uid\":1004,\"role\":\"admin\"}"), 201);
}

static void make_tokens(void)
{
	tokens[EXPIRED] = rig_token(&r, "expired", "operator", NULL);
	r.now.wall += 2 * 86400000;
	tokens[REVOKED] = rig_token(&r, "revoked", "operator", NULL);
	ck_assert_uint_eq(rig_post(&r, r.root, API "/tokens/2/revoke", NULL), 200);
	tokens[VIEWER] = rig_token(&r, "viewer", "viewer", NULL);
	tokens[AUTHOR] = rig_token(&r, "author", "author", NULL);
	tokens[OPERATOR] = rig_token(&r, "operator", "operator", NULL);
	tokens[APPROVER] = rig_token(&r, "approver", "approver", NULL);
	tokens[SCOPED] = rig_token(&r, "scoped", "operator", "id == a");
	tokens[MALFORMED] = strdup("ft_not-a-token");
	tokens[ROOT_WRONG_TOKEN] = strdup("ft_");
	tokens[FROM_AFAR] = strdup(tokens[OPERATOR]);
	tokens[LOOPBACK] = strdup(tokens[OPERATOR]);
	tokens[ROOT_OPERATOR_TOKEN] = strdup(tokens[OPERATOR]);
	tokens[DEVICE_TOKEN] = rig_device_token(&r, "a");
	tokens[DEVICE_TOKEN_PLAIN] = strdup(tokens[DEVICE_TOKEN]);
}

/* Device a has an offer, so that its objects are granted to it; b and n have none. */
static void make_offer(void)
{
	uint64_t s = rig_psk(&r, "a");

	rig_release(&r, "lamp-1", 5);
	ck_assert_uint_eq(
		rig_ask(&r, &(struct ask){ .session = s,
					   .method = METHOD_PUT,
					   .path = "/device/a",
					   .json = "{\"boot\":1,\"counter\":1,\"model\":\"lamp\","
						   "\"manufacturer\":\"acme.example\"}" }),
		200);
	rig_rollout(&r, "one", "lamp-1", "id == a");
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	ck_assert_int_gt(rig_int(&r, "update"), 0);
}

static void setup(void)
{
	rig_make(&r);
	rig_device(&r, "a", KEY_A);
	rig_device(&r, "b", KEY_B);
	rig_device(&r, "c", KEY_C);
	rig_device(&r, "n", NULL);
	make_operators();
	make_tokens();
	ck_assert_uint_eq(rig_post(&r, r.root, API "/groups", "{\"name\":\"g\"}"), 201);
	ck_assert_uint_eq(rig_post(&r, r.root, API "/windows", WINDOW_OF("device", "a")), 201);
	ck_assert_uint_eq(rig_post(&r, r.root, API "/windows", WINDOW_OF("device", "b")), 201);
	ck_assert_uint_eq(rig_post(&r, r.root, API "/windows", WINDOW_OF("group", "g")), 201);
	make_offer();
	ck_assert_uint_eq(rig_post(&r, r.root, API "/standing-rollouts",
				   "{\"name\":\"auto\",\"rollout\":{\"target\":\"all\"}}"),
			  201);
	revoked_session = rig_psk(&r, "c");
	ck_assert_uint_ne(revoked_session, 0);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_DELETE,
						     .path = API "/devices/c/credentials/3" }),
			  204);
}

static void teardown(void)
{
	for (int i = 0; i < CALLERS; i++) {
		free(tokens[i]);
		tokens[i] = NULL;
	}
	rig_remove(&r);
}

static uint64_t from_afar(void)
{
	struct evidence ev = { .kind = EVIDENCE_PLAIN,
			       .transport = TRANSPORT_HTTP,
			       .ip = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1 } };
	uint64_t handle = ++r.handles;

	return service_admit(r.sv, LANE_NETWORK, handle, &ev, &r.now) ? handle : 0;
}

/* A session of its own for each cell, where that can be. */
static uint64_t session_of(enum caller c)
{
	static const uint32_t uids[CALLERS] = { [OWN_UID] = RIG_OWN_UID,
						[UID_UNKNOWN] = 1002,
						[UID_OPERATOR] = 1003,
						[UID_ADMIN] = 1004 };
	uint64_t s;

	if (c == NO_SESSION)
		return 4711;
	if (c == PSK_REVOKED)
		return revoked_session;
	if (c == PSK_A)
		return rig_psk(&r, "a");
	if (c == FROM_AFAR)
		return from_afar();
	if (c == PLAIN || c == LOOPBACK || c == DEVICE_TOKEN_PLAIN)
		return rig_plain(&r);
	if (c >= ROOT)
		return rig_local(&r, uids[c]);
	if (c != NONE_N)
		return rig_tls(&r);
	s = rig_coap(&r);
	ck_assert_uint_eq(rig_get(&r, s, "/device/n/update"), 200);
	return s;
}

static void expand(const char *path, char *dst, size_t cap)
{
	const char *at = strchr(path, '%');
	char hex[DIGEST_TEXT];

	if (!at) {
		ck_assert_int_eq(text_copy(dst, cap, path), 0);
		return;
	}
	digest_text(hex, at[1] == 'I' ? &r.image : &r.manifest);
	ck_assert_int_eq(text_format(dst, cap, "%.*s%s%s", (int)(at - path), path, hex, at + 2), 0);
}

static bool as_wanted(char want, unsigned status)
{
	if (want == 'u')
		return status == 401;
	if (want == 'f')
		return status == 403;
	if (want == '4')
		return status == 404;
	return status != 401 && status != 403 && status != 405 && status < 500 &&
	       (want == '?' || status != 404);
}

/* Nothing a cell does stays: the next begins where this one did. */
static unsigned try_request(uint64_t s, const struct row *w, const char *path, const char *token)
{
	struct request rq = { .session = s,
			      .method = w->method,
			      .path = slice_str(path),
			      .token = slice_str(token),
			      .body = slice_str(w->json),
			      .content_format = w->json ? MEDIA_JSON : MEDIA_NONE,
			      .accept = MEDIA_NONE,
			      .want_body = true };

	arena_reset(&r.arena);
	effects_clear(r.fx);
	ck_assert_int_eq(store_batch_begin(r.bed.st, NULL), 0);
	store_handler_begin(r.bed.st);
	service_request(r.sv, rig_lane(s), &rq, &r.now, &r.arena, &r.rs, &r.oc, &r.keep);
	ck_assert_int_eq(store_handler_end(r.bed.st, r.keep, NULL), 0);
	store_batch_abandon(r.bed.st);
	return r.rs.status;
}

/* The same rights decide over the upload frames. */
static void try_upload(uint64_t s, const struct row *w, const char *token, char want)
{
	struct request rq = { .session = s,
			      .method = w->method,
			      .path = slice_str(w->path),
			      .token = slice_str(token),
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE };
	struct upload_ask ask = { .has_size = true, .size = 4, .complete = -1 };
	struct upload u;

	arena_reset(&r.arena);
	if (service_upload_open(r.sv, rig_lane(s), &rq, &ask, &r.now, &r.arena, &u, &r.rs) == 0) {
		ck_assert(want == '+' || want == '?');
		ck_assert_int_eq(store_upload_drop(r.bed.st, u.id, NULL), 0);
		return;
	}
	ck_assert_msg(as_wanted(want == '+' ? '?' : want, r.rs.status), "%s: %u", w->path,
		      r.rs.status);
}

static void try_cell(const struct row *w, enum caller c, char want)
{
	uint64_t s = session_of(c);
	char path[PATH_MAX_LEN];
	bool upload = strcmp(w->pattern, API "/images") == 0 ||
		      strcmp(w->pattern, API "/uploads/<name>") == 0;

	ck_assert_uint_ne(s, 0);
	expand(w->path, path, sizeof(path));
	unsigned status = try_request(s, w, path, tokens[c]);
	ck_assert_msg(as_wanted(want, status), "%s %s by %s: %u, wanted %c: %.*s",
		      method_name(w->method), path, caller_names[c], status, want, (int)r.rs.body.n,
		      (const char *)r.rs.body.p);
	/* what is refused shows, grants and causes nothing */
	if (want == 'u' || want == 'f' || want == '4') {
		ck_assert(!r.keep && !r.oc.has_grant && !r.rs.has_object);
		ck_assert_uint_eq(r.fx->n, 0);
	}
	if (upload && (w->method == METHOD_POST || w->method == METHOD_PATCH))
		try_upload(s, w, tokens[c], want);
	if (s != revoked_session)
		service_closed(r.sv, rig_lane(s), s);
}

START_TEST(matrix)
{
	const struct row *w = &rows[_i];
	int c = 0;

	for (const char *p = w->want; *p; p++)
		if (*p != ' ')
			try_cell(w, (enum caller)c++, *p);
	ck_assert_int_eq(c, CALLERS);
}
END_TEST

START_TEST(every_route_has_a_row)
{
	for (unsigned i = 0; i < routes_count; i++) {
		bool found = false;

		for (size_t k = 0; k < ROWS; k++)
			found |= rows[k].method == routes[i].method &&
				 strcmp(rows[k].pattern, routes[i].pattern) == 0;
		ck_assert_msg(found, "no row for %s %s", method_name(routes[i].method),
			      routes[i].pattern);
		ck_assert_msg(routes[i].who != 0 && routes[i].handler && routes[i].doc[0],
			      "%s is not complete", routes[i].pattern);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service matrix");
	TCase *t = tcase_create("matrix");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_route_has_a_row);
	tcase_add_loop_test(t, matrix, 0, (int)ROWS);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_set_fork_status(sr, CK_NOFORK); /* one world for all cells: none leaves a trace */
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
