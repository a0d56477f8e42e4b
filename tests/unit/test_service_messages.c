/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "service/device_msg.h"
#include "service/route.h"
#include "service_rig.h"

/* What devices and operators send, and what they get when it is wrong. */
#define KEY_A "000102030405060708090a0b0c0d0e0f"

static struct arena arena = ARENA_INIT(1u << 20);

static const struct doc *doc_of(const char *json)
{
	const struct doc *d = NULL;

	arena_reset(&arena);
	ck_assert_int_eq(docfmt_decode(MEDIA_JSON, slice_str(json), &arena, &d, NULL), 0);
	return d;
}

/* ---- messages of devices: pure ---- */

enum message { REGISTRATION, DECISION, REPORT };

static const struct {
	enum message m;
	const char *json, *wrong; /* NULL: right, else a piece of the error */
} messages[] = {
	{ REGISTRATION, "{\"boot\":1,\"counter\":1}", NULL },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"what is new\":true}", NULL },
	{ REGISTRATION, "{\"boot\":\"18446744073709551615\",\"counter\":0}", NULL },
	{ REGISTRATION, "{\"counter\":1}", "boot" },
	{ REGISTRATION, "{\"boot\":1}", "counter" },
	{ REGISTRATION, "[]", "map" },
	{ REGISTRATION, "{\"boot\":-1,\"counter\":1}", "boot" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"mode\":\"unset\"}", "mode" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"mode\":\"x\"}", "mode" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"mode\":\"negotiated\"}", NULL },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"vendor_id\":\"x\"}", "vendor_id" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"parent\":\"a b\"}", "parent" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"endpoint_port\":0}", "endpoint_port" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"endpoint_port\":65536}", "endpoint_port" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"windows\":1}", "windows" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"windows\":[1]}", "windows[0]" },
	{ REGISTRATION,
	  "{\"boot\":1,\"counter\":1,\"windows\":[\"daily 01:00-02:00 UTC\",\"Sat\"]}",
	  "windows[1]: window, column 4" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"windows\":[\"daily 01:00-02:00 UTC\"]}",
	  NULL },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"windows\":[]}", NULL },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"capabilities\":\"push\"}", "capabilities" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"capabilities\":[\"push\",1]}",
	  "capabilities[1]" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"capabilities\":[\"a b\"]}",
	  "capabilities[0]" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"capabilities\":[\"\"]}", "capabilities[0]" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"capabilities\":[\"push\",\"pull\"]}", NULL },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"components\":1}", "components" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"components\":[1]}", "components[0]" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"components\":[{\"digest\":\"ab\"}]}",
	  "components[0]" },
	{ REGISTRATION,
	  "{\"boot\":1,\"counter\":1,\"components\":[{\"name\":\"x\"},{\"name\":\"x\"}]}",
	  "components[1]" },
	{ REGISTRATION,
	  "{\"boot\":1,\"counter\":1"
	  ",\"components\":[{\"name\":\"1\"},{\"name\":\"2\"},{\"name\":\"3\"},"
	  "{\"name\":\"4\"},{\"name\":\"5\"},{\"name\":\"6\"},{\"name\":\"7\"},{\"name\":\"8\"},"
	  "{\"name\":\"9\"},{\"name\":\"10\"},{\"name\":\"11\"},{\"name\":\"12\"}"
	  ",{\"name\":\"13\"},"
	  "{\"name\":\"14\"},{\"name\":\"15\"},{\"name\":\"16\"},{\"name\":\"17\"}]}",
	  "more than 16" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"status\":1}", "status" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"status\":{\"service\":\"lazy\"}}", "service" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"status\":{\"battery\":101}}", "battery" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"status\":{\"service\":\"busy\",\"until\":60}}",
	  NULL },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"attributes\":[]}", "attributes" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"attributes\":{\"a b\":1}}", "attributes" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"attributes\":{\"a\":true}}", "attributes" },
	{ REGISTRATION, "{\"boot\":1,\"counter\":1,\"attributes\":{\"a\":\"x\",\"b\":-3}}", NULL },
	{ DECISION, "{\"boot\":1,\"counter\":1,\"update\":1,\"decision\":\"accept\"}", NULL },
	{ DECISION,
	  "{\"boot\":1,\"counter\":1,\"update\":1,\"decision\":\"defer\""
	  ",\"until\":9,\"reason\":\"x\"}",
	  NULL },
	{ DECISION, "{\"boot\":1,\"counter\":1,\"update\":1,\"decision\":\"reject\"}", NULL },
	{ DECISION, "{\"boot\":1,\"counter\":1,\"update\":1,\"decision\":\"perhaps\"}",
	  "decision" },
	{ DECISION, "{\"boot\":1,\"counter\":1,\"update\":1}", "decision" },
	{ DECISION, "{\"boot\":1,\"counter\":1,\"decision\":\"accept\"}", "update" },
	{ DECISION, "{\"boot\":1,\"counter\":1,\"update\":0,\"decision\":\"accept\"}", "update" },
	{ DECISION, "{\"boot\":1,\"counter\":1,\"update\":1,\"decision\":\"defer\",\"until\":-1}",
	  "until" },
	{ REPORT, "{\"boot\":1,\"counter\":1,\"state\":\"downloading\",\"progress\":100}", NULL },
	{ REPORT, "{\"boot\":1,\"counter\":1,\"state\":\"failed\",\"failure\":\"moon\"}", NULL },
	{ REPORT, "{\"boot\":1,\"counter\":1}", "state" },
	{ REPORT, "{\"boot\":1,\"counter\":1,\"state\":\"a state of more than 23 bytes\"}",
	  "state" },
	{ REPORT, "{\"boot\":1,\"counter\":1,\"state\":\"x\",\"progress\":101}", "progress" },
	{ REPORT, "{\"boot\":1,\"counter\":1,\"state\":\"x\",\"update\":-1}", "update" },
	{ REPORT, "{\"boot\":1,\"counter\":1,\"state\":\"x\",\"result\":\"x\"}", "result" },
	{ REPORT, "{\"boot\":1,\"counter\":1,\"state\":\"x\",\"status\":{\"free_ram\":-1}}",
	  "free_ram" },
};
#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

START_TEST(messages_of_devices)
{
	const struct doc *d = doc_of(messages[_i].json);
	struct registration g;
	struct decision c;
	struct report p;
	struct err e = { 0 };
	int rc = messages[_i].m == REGISTRATION ? read_registration(d, &g, 0, &e)
		 : messages[_i].m == DECISION	? read_decision(d, &c, &e)
						: read_report(d, &p, 0, &e);

	if (!messages[_i].wrong) {
		ck_assert_msg(rc == 0, "%s: %s", messages[_i].json, e.text);
		return;
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(e.code, ERR_INVALID);
	ck_assert_msg(strstr(e.text, messages[_i].wrong), "%s: %s", messages[_i].json, e.text);
}
END_TEST

START_TEST(what_is_read)
{
	struct registration g;
	struct report p;
	struct err e = { 0 };

	ck_assert_int_eq(read_registration(doc_of("{\"boot\":5,\"counter\":6}"), &g, 1000, &e), 0);
	ck_assert_int_eq(g.n_components, -1); /* said nothing of them */
	ck_assert_int_eq(g.status.battery, -1);
	ck_assert_int_eq(read_registration(doc_of("{\"boot\":5,\"counter\":6,\"components\":[],"
						  "\"status\":{\"service\":\"busy\",\"until\":9}}"),
					   &g, 1000, &e),
			 0);
	ck_assert_int_eq(g.n_components, 0); /* said there are none */
	ck_assert_int_eq(g.status.service_until, 10000);
	ck_assert(!g.has_capabilities);
	ck_assert_int_eq(read_registration(doc_of("{\"boot\":5,\"counter\":6,\"capabilities\":"
						  "[\"push\",\"block1-64\"]}"),
					   &g, 1000, &e),
			 0);
	ck_assert(g.has_capabilities);
	ck_assert_str_eq(g.capabilities, "push block1-64");
	ck_assert_int_eq(read_report(doc_of("{\"boot\":5,\"counter\":6,\"state\":\"failed\","
					    "\"failure\":\"moon\"}"),
				     &p, 0, &e),
			 0);
	ck_assert_int_eq(p.failure, FAILURE_OTHER);
	ck_assert_int_eq(p.progress, -1);
}
END_TEST

/* What is said at length is said all the same: as much of it is kept as there is room for. */
START_TEST(what_is_said_at_length)
{
	struct err e = { 0 };
	struct report p;
	struct decision c;
	char json[600], words[2 * REASON_TEXT];

	for (size_t i = 0; i + 2 < sizeof(words); i += 2)
		memcpy(words + i, "\xc3\xa9", 3);
	ck_assert_int_eq(text_format(json, sizeof(json),
				     "{\"boot\":5,\"counter\":6,\"state\":\"failed\",\"failure\":"
				     "\"the-moon-was-not-where-it-ought-to-be\",\"text\":\"%s\"}",
				     words),
			 0);
	ck_assert_msg(read_report(doc_of(json), &p, 0, &e) == 0, "%s", e.text);
	ck_assert_int_eq(p.failure, FAILURE_OTHER);
	ck_assert_uint_eq(strlen(p.text), REASON_TEXT - 2); /* no half of a letter */
	ck_assert_int_eq(strncmp(p.text, words, REASON_TEXT - 2), 0);
	ck_assert_int_eq(text_format(json, sizeof(json),
				     "{\"boot\":5,\"counter\":6,\"update\":1,\"decision\":"
				     "\"reject\",\"reason\":\"%s\"}",
				     words),
			 0);
	ck_assert_msg(read_decision(doc_of(json), &c, &e) == 0, "%s", e.text);
	ck_assert_int_eq(c.kind, DECISION_REJECT);
	ck_assert_int_eq(read_report(doc_of("{\"boot\":5,\"counter\":6,\"state\":\"failed\","
					    "\"text\":7}"),
				     &p, 0, &e),
			 -1);
}
END_TEST

/* ---- paths ---- */

static const struct route little[] = {
	{ METHOD_GET, "/", 1, 0, NULL, "root" },
	{ METHOD_GET, "/a", 1, 0, NULL, "a" },
	{ METHOD_PUT, "/a/<x>", 1, 0, NULL, "put" },
	{ METHOD_GET, "/device/<id>/update", 1, 0, NULL, "update" },
	{ METHOD_GET, "/api/v1/things/<id>", 1, 0, NULL, "thing" },
	{ METHOD_GET, "/w/<rest...>", 1, 0, NULL, "w" },
	{ METHOD_GET, "/<path...>", 1, 0, NULL, "any" },
};

static const struct {
	enum method m;
	const char *path, *doc, *hole; /* doc NULL: an error */
	enum err_code code;
} paths[] = {
	{ METHOD_GET, "/", "root", NULL, 0 },
	{ METHOD_GET, "/a", "a", NULL, 0 },
	{ METHOD_HEAD, "/a", "a", NULL, 0 },
	{ METHOD_POST, "/a", NULL, NULL, ERR_METHOD },
	{ METHOD_PUT, "/a/b", "put", "b", 0 },
	{ METHOD_GET, "/a/b", NULL, NULL, ERR_METHOD },
	{ METHOD_GET, "/device/x/update", "update", "x", 0 },
	{ METHOD_GET, "/d/x/update", "update", "x", 0 },
	{ METHOD_GET, "/d", "any", "d", 0 },
	{ METHOD_GET, "/api/v1/things/7", "thing", "7", 0 },
	{ METHOD_GET, "/w/x/y", "w", "x/y", 0 },
	{ METHOD_GET, "/w", "any", "w", 0 },
	{ METHOD_GET, "/1/2/3/4/5/6/7/8/9/10", "any", "1/2/3/4/5/6/7/8/9/10", 0 },
	{ METHOD_POST, "/1/2/3/4/5/6/7/8/9/10", NULL, NULL, ERR_NOT_FOUND },
	{ METHOD_DELETE, "/nothing", NULL, NULL, ERR_NOT_FOUND },
};

START_TEST(paths_find_routes)
{
	struct route_index *ix = NULL;
	struct slice hole[HOLES_MAX] = { 0 };
	struct err e = { 0 };

	ck_assert_int_eq(route_index_new(little, sizeof(little) / sizeof(little[0]), &ix, &e), 0);
	uint8_t allow = 0xff;
	const struct route *found =
		route_find(ix, paths[_i].m, slice_str(paths[_i].path), hole, &allow, &e);
	ck_assert((allow != 0) == (e.code == ERR_METHOD));
	if (paths[_i].doc) {
		ck_assert_ptr_nonnull(found);
		ck_assert_str_eq(found->doc, paths[_i].doc);
		if (paths[_i].hole)
			ck_assert(slice_eq_str(hole[0], paths[_i].hole));
	} else {
		ck_assert_ptr_null(found);
		ck_assert_int_eq(e.code, paths[_i].code);
	}
	route_index_free(ix);
}
END_TEST

START_TEST(patterns_that_cannot_be)
{
	static const struct route wrong[] = {
		{ METHOD_GET, "no/slash", 1, 0, NULL, "" },
		{ METHOD_GET, "/1/2/3/4/5/6/7/8/9", 1, 0, NULL, "" },
		{ METHOD_GET, "/<a>/<b>/<c>/<d>/<e>", 1, 0, NULL, "" },
	};
	struct route_index *ix = NULL;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_int_eq(route_index_new(&wrong[i], 1, &ix, NULL), -1);
	ck_assert_ptr_null(ix);
	route_index_free(NULL);
}
END_TEST

/* ---- whole requests ---- */

static struct rig r;

static void setup(void)
{
	rig_make(&r);
}

static void teardown(void)
{
	rig_remove(&r);
}

START_TEST(paths_that_are_none)
{
	static const char *const bad[] = {
		"", "x", "//", "/a//b", "/a/", "/./a", "/a/..", "/a\nb"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_uint_eq(rig_get(&r, r.root, bad[i]), 400);
	char path[PATH_MAX_LEN + 2];
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	ck_assert_uint_eq(rig_get(&r, r.root, path), 400);
	ck_assert_uint_lt(r.rs.body.n, 400); /* nothing of it comes back */
	struct ask put = { .session = r.root, .method = METHOD_PUT, .path = "/api/v1/devices/x" };
	ck_assert_uint_eq(rig_ask(&r, &put), 405);
	ck_assert_uint_eq(r.rs.allow, METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_HEAD) |
					      METHOD_BIT(METHOD_PATCH) | METHOD_BIT(METHOD_DELETE));
}
END_TEST

/* A member that cannot be is refused, and nothing is made of it. */
static const struct {
	enum method m;
	const char *path, *json, *wrong;
} refused[] = {
	/* no path could ever name it: it could not even be removed */
	{ METHOD_POST, "/api/v1/devices", "{\"id\":\"..\"}", "id" },
	{ METHOD_POST, "/api/v1/devices", "{\"id\":\"x\",\"parent\":\".\"}", "parent" },
	{ METHOD_PATCH, "/api/v1/devices/a", "{\"auth\":null}", "auth" },
	{ METHOD_PATCH, "/api/v1/devices/a", "{\"disabled\":null}", "disabled" },
	/* whoever meant a filter did not mean every device */
	{ METHOD_POST, "/api/v1/tokens", "{\"name\":\"t\",\"role\":\"viewer\",\"scope\":\"\"}",
	  "scope" },
};

START_TEST(members_that_cannot_be)
{
	struct ask a = { .session = r.root,
			 .method = refused[_i].m,
			 .path = refused[_i].path,
			 .json = refused[_i].json };

	rig_device(&r, "a", NULL);
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "detail"), refused[_i].wrong));
}
END_TEST

/* An interval that is taken away is the default again. */
START_TEST(an_interval_is_taken_away)
{
	struct ask a = { .session = r.root,
			 .method = METHOD_PATCH,
			 .path = "/api/v1/devices/a",
			 .json = "{\"contact_interval\":600}" };

	rig_device(&r, "a", NULL);
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_int_eq(rig_int(&r, "contact_interval"), 600);
	a.json = "{\"contact_interval\":null}";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_int_eq(rig_int(&r, "contact_interval"), 0);
}
END_TEST

/* Who asks for a plan alone in other words does not get a rollout. */
START_TEST(a_plan_is_a_plan)
{
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/rollouts",
			 .query = "dry_run=yes",
			 .json = "{\"name\":\"x\",\"release\":\"lamp-1\",\"target\":\"all\"}" };

	rig_release(&r, "lamp-1", 5);
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "detail"), "dry_run"));
	a.query = "dry_run=1";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	a.query = "dry_run=true";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	a.query = "dry_run=0";
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_GET,
						     .path = "/api/v1/windows",
						     .query = "blackout=yes" }),
			  422);
}
END_TEST

/* A verb that takes no member does not do the opposite of what one says. */
START_TEST(verbs_without_members)
{
	static const char *const verbs[] = {
		"/api/v1/devices/a/approve",	   "/api/v1/devices/a/diag",
		"/api/v1/releases/lamp-1/approve", "/api/v1/tokens/1/revoke",
		"/api/v1/anchors/1/revoke",	   "/api/v1/jobs/1/cancel"
	};
	char *t = rig_token(&r, "t", "viewer", NULL);

	rig_device(&r, "a", NULL);
	rig_release(&r, "lamp-1", 5);
	rig_rollout(&r, "one", "lamp-1", "all");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		ck_assert_uint_eq(rig_post(&r, r.root, verbs[i], "{\"no\":true}"), 422);
		ck_assert_ptr_nonnull(strstr(rig_text(&r, "detail"), "no"));
		ck_assert_uint_eq(rig_post(&r, r.root, verbs[i], "[]"), 422);
	}
	ck_assert_uint_eq(rig_post(&r, r.root, verbs[0], "{}"), 200);
	ck_assert_uint_eq(rig_post(&r, r.root, verbs[1], NULL), 200);
	free(t);
}
END_TEST

START_TEST(bodies_and_media)
{
	struct ask a = { .session = r.root, .method = METHOD_POST, .path = "/api/v1/devices" };

	ck_assert_uint_eq(rig_ask(&r, &a), 400); /* empty */
	a.json = "{\"id\":";
	ck_assert_uint_eq(rig_ask(&r, &a), 400);
	ck_assert_int_eq(r.rs.media, MEDIA_PROBLEM_JSON);
	ck_assert_str_eq(rig_text(&r, "type"), "urn:fettle:malformed");
	ck_assert_int_eq(rig_int(&r, "status"), 400);
	a.json = "{\"id\":\"x\",\"colour\":1}";
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "detail"), "colour"));
	a.format = MEDIA_LINK_FORMAT;
	ck_assert_uint_eq(rig_ask(&r, &a), 415);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_GET,
						     .path = "/healthz",
						     .json = "{}" }),
			  422);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_GET,
						     .path = "/api/v1/status",
						     .accept = MEDIA_CBOR }),
			  200);
	ck_assert_int_eq(r.rs.media, MEDIA_CBOR);
	uint64_t s = rig_coap(&r);
	struct ask core = { .session = s,
			    .method = METHOD_GET,
			    .path = "/.well-known/core",
			    .accept = MEDIA_JSON };
	ck_assert_uint_eq(rig_ask(&r, &core), 406); /* critical in CoAP */
	ck_assert_int_eq(r.rs.media, MEDIA_PROBLEM_JSON);
	ck_assert_uint_eq(rig_get(&r, s, "/nothing"), 404);
	ck_assert_int_eq(r.rs.media, MEDIA_PROBLEM_CBOR);
	core.query = "rt=%zz";
	core.accept = MEDIA_LINK_FORMAT;
	ck_assert_uint_eq(rig_ask(&r, &core), 422);
}
END_TEST

START_TEST(bodies_of_devices_are_bounded)
{
	char *json = malloc(DEVICE_BODY_MAX + 2);

	ck_assert_ptr_nonnull(json);
	memset(json, ' ', DEVICE_BODY_MAX + 1);
	json[DEVICE_BODY_MAX + 1] = '\0';
	rig_device(&r, "a", KEY_A);
	ck_assert_uint_eq(rig_post(&r, rig_psk(&r, "a"), "/device/a/report", json), 413);
	free(json);
}
END_TEST

START_TEST(pages)
{
	char json[64], query[64];
	int64_t seen = 0;

	for (int i = 0; i < 70; i++) {
		ck_assert_int_eq(text_format(json, sizeof(json), "{\"name\":\"g%d\"}", i), 0);
		ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/groups", json), 201);
	}
	struct ask a = { .session = r.root,
			 .method = METHOD_GET,
			 .path = "/api/v1/groups",
			 .query = "limit=33" };
	for (;;) {
		ck_assert_uint_eq(rig_ask(&r, &a), 200);
		ck_assert_uint_le(doc_count(rig_at(&r, "items")), 33);
		seen += doc_count(rig_at(&r, "items"));
		if (rig_at(&r, "next")->type == DOC_NULL)
			break;
		ck_assert_int_eq(text_format(query, sizeof(query), "limit=33&cursor=%s",
					     rig_text(&r, "next")),
				 0);
		a.query = query;
	}
	ck_assert_int_eq(seen, 70);
	a.query = "limit=x";
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	a.query = "cursor=-1";
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
}
END_TEST

START_TEST(suit_reports)
{
	/* {3: [], 4: true, 99: ["", [-16, the manifest's digest]]} */
	uint8_t bytes[45] = { 0xa3, 0x03, 0x80, 0x04, 0xf5, 0x18, 0x63,
			      0x82, 0x60, 0x82, 0x2f, 0x58, 0x20 };
	struct ask a = { .method = METHOD_POST,
			 .path = "/device/a/report",
			 .format = MEDIA_SUIT_REPORT };

	rig_device(&r, "a", KEY_A);
	a.session = rig_psk(&r, "a");
	a.body = slice_of(bytes, 3);
	ck_assert_uint_eq(rig_ask(&r, &a), 400); /* cut off */
	a.body = slice_of(bytes, sizeof(bytes));
	ck_assert_uint_eq(rig_ask(&r, &a), 404); /* there is no update yet */
	rig_release(&r, "lamp-1", 5);
	struct manifest m;
	ck_assert_int_eq(store_manifest_get(r.bed.st, &r.manifest, &m, NULL), 1);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = a.session,
						     .method = METHOD_PUT,
						     .path = "/device/a",
						     .json = "{\"boot\":1,\"counter\":1,\"model\":"
							     "\"lamp\",\"manufacturer\":"
							     "\"acme.example\"}" }),
			  200);
	rig_rollout(&r, "one", "lamp-1", "all");
	ck_assert_uint_eq(rig_get(&r, a.session, "/device/a/update"), 200);
	ck_assert_int_gt(rig_int(&r, "update"), 0);
	ck_assert_uint_eq(rig_ask(&r, &a), 409); /* of another manifest */
	memcpy(bytes + 13, m.identity.b, DIGEST_SIZE);
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	a.accept = MEDIA_JSON;
	ck_assert_uint_eq(rig_ask(&r, &a), 200); /* the same bytes are the same fact */
	ck_assert(rig_at(&r, "duplicate") && rig_at(&r, "duplicate")->v.b);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a"), 200);
	ck_assert_str_eq(rig_text(&r, "update.state"), "succeeded");
	a.format = MEDIA_LINK_FORMAT;
	ck_assert_uint_eq(rig_ask(&r, &a), 415);
}
END_TEST

/* The key in the query is what it is in a body: unsigned 64-bit, and both or none. */
START_TEST(suit_reports_with_a_key)
{
	/* {3: [], 4: true, 99: ["", [-16, the manifest's digest]]} */
	uint8_t bytes[45] = { 0xa3, 0x03, 0x80, 0x04, 0xf5, 0x18, 0x63,
			      0x82, 0x60, 0x82, 0x2f, 0x58, 0x20 };
	struct ask a = { .method = METHOD_POST,
			 .path = "/device/a/report",
			 .body = slice_of(bytes, sizeof(bytes)),
			 .format = MEDIA_SUIT_REPORT };
	struct manifest m;

	rig_device(&r, "a", KEY_A);
	a.session = rig_psk(&r, "a");
	rig_release(&r, "lamp-1", 5);
	ck_assert_int_eq(store_manifest_get(r.bed.st, &r.manifest, &m, NULL), 1);
	memcpy(bytes + 13, m.identity.b, DIGEST_SIZE);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = a.session,
						     .method = METHOD_PUT,
						     .path = "/device/a",
						     .json = "{\"boot\":1,\"counter\":1,\"model\":"
							     "\"lamp\",\"manufacturer\":"
							     "\"acme.example\"}" }),
			  200);
	rig_rollout(&r, "one", "lamp-1", "all");
	ck_assert_uint_eq(rig_get(&r, a.session, "/device/a/update"), 200);
	a.query = "boot=18446744073709551615";
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	a.query = "boot=-1&counter=1";
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	a.query = "boot=18446744073709551615&counter=1";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a"), 200);
	ck_assert_str_eq(rig_text(&r, "update.state"), "succeeded");
}
END_TEST

/* What one device of an id said is not what the next one of this id says. */
START_TEST(suit_reports_of_an_heir)
{
	/* {3: [], 4: true, 99: ["", [-16, the manifest's digest]]} */
	uint8_t bytes[45] = { 0xa3, 0x03, 0x80, 0x04, 0xf5, 0x18, 0x63,
			      0x82, 0x60, 0x82, 0x2f, 0x58, 0x20 };
	struct ask a = { .method = METHOD_POST,
			 .path = "/device/a/report",
			 .body = slice_of(bytes, sizeof(bytes)),
			 .format = MEDIA_SUIT_REPORT };
	struct manifest m;

	rig_release(&r, "lamp-1", 5);
	ck_assert_int_eq(store_manifest_get(r.bed.st, &r.manifest, &m, NULL), 1);
	memcpy(bytes + 13, m.identity.b, DIGEST_SIZE);
	for (int i = 0; i < 2; i++) {
		rig_device(&r, "a", KEY_A);
		a.session = rig_psk(&r, "a");
		ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = a.session,
							     .method = METHOD_PUT,
							     .path = "/device/a",
							     .json = "{\"boot\":1,\"counter\":1,"
								     "\"model\":\"lamp\","
								     "\"manufacturer\":"
								     "\"acme.example\"}" }),
				  200);
		rig_rollout(&r, i ? "two" : "one", "lamp-1", "all");
		ck_assert_uint_eq(rig_get(&r, a.session, "/device/a/update"), 200);
		ck_assert_uint_eq(rig_ask(&r, &a), 200);
		ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a"), 200);
		ck_assert_str_eq(rig_text(&r, "update.state"), "succeeded");
		ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
							     .method = METHOD_DELETE,
							     .path = "/api/v1/devices/a" }),
				  204);
	}
}
END_TEST

START_TEST(when_it_cannot_be_stored)
{
	struct request rq = { .id = 9, .path = slice_str("/api/v1/devices") };

	arena_reset(&r.arena);
	service_unavailable(&rq, ERR_FULL, &r.arena, &r.rs);
	ck_assert_uint_eq(r.rs.status, 507);
	ck_assert_uint_eq(r.rs.id, 9);
	ck_assert_int_gt(r.rs.retry_after, 0);
	ck_assert_int_eq(r.rs.media, MEDIA_PROBLEM_JSON);
	rq.path = slice_str("/device/a/report");
	service_unavailable(&rq, ERR_IO, &r.arena, &r.rs);
	ck_assert_uint_eq(r.rs.status, 503);
	ck_assert_uint_eq(r.rs.body.n, 0);
}
END_TEST

START_TEST(figures)
{
	struct service_stats stats = { .batches = 41,
				       .commit_us_total = 1500000,
				       .front = { [FIGURE_DTLS_SESSIONS] = 7 } };
	uint64_t s = rig_plain(&r);

	service_set_stats(r.sv, &stats);
	stats.batches++;
	ck_assert_uint_eq(rig_get(&r, r.root, "/metrics"), 200);
	ck_assert_int_eq(r.rs.media, MEDIA_METRICS);
	char *text = strndup((const char *)r.rs.body.p, r.rs.body.n);
	ck_assert_ptr_nonnull(strstr(text, "\nfettle_batches_total 42\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nfettle_commit_seconds_total 1.500000\n"));
	ck_assert_ptr_nonnull(strstr(text, "fettle_sessions{lane=\"network\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nfettle_dtls_sessions 7\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nfettle_dtls_evicted_total 0\n"));
	ck_assert_ptr_nonnull(strstr(text, "fettle_build_info{version=\"1.2.3\"} 1\n"));
	free(text);
	ck_assert_uint_eq(rig_get(&r, s, "/metrics"), 401);
	ck_assert_uint_eq(rig_get(&r, s, "/readyz"), 200);
	service_set_stats(r.sv, NULL);
}
END_TEST

/* Reads go on while writes are refused, and what is refused says when to come again. */
START_TEST(full_disk)
{
	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_psk(&r, "a");
	struct request rq = { .session = s,
			      .method = METHOD_PUT,
			      .path = slice_str("/device/a"),
			      .body = slice_str("{\"boot\":1,\"counter\":1}"),
			      .content_format = MEDIA_JSON,
			      .accept = MEDIA_NONE };

	ck_assert_int_eq(store_batch_begin(r.bed.st, NULL), 0);
	store_refuse_writes(r.bed.st, true);
	store_handler_begin(r.bed.st);
	service_request(r.sv, LANE_NETWORK, &rq, &r.now, &r.arena, &r.rs, &r.oc, &r.keep);
	ck_assert(!r.keep);
	ck_assert_int_eq(store_handler_end(r.bed.st, r.keep, NULL), 0);
	ck_assert(r.rs.status == 507 || r.rs.status == 503);
	ck_assert_int_gt(r.rs.retry_after, 0);
	store_refuse_writes(r.bed.st, false);
	ck_assert_int_eq(store_batch_commit(r.bed.st, NULL), 0);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service messages");
	TCase *pure = tcase_create("pure"), *t = tcase_create("requests");

	tcase_add_loop_test(pure, messages_of_devices, 0, (int)MESSAGES);
	tcase_add_test(pure, what_is_read);
	tcase_add_test(pure, what_is_said_at_length);
	tcase_add_loop_test(pure, paths_find_routes, 0, (int)(sizeof(paths) / sizeof(paths[0])));
	tcase_add_test(pure, patterns_that_cannot_be);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, paths_that_are_none);
	tcase_add_loop_test(t, members_that_cannot_be, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(t, an_interval_is_taken_away);
	tcase_add_test(t, a_plan_is_a_plan);
	tcase_add_test(t, verbs_without_members);
	tcase_add_test(t, bodies_and_media);
	tcase_add_test(t, bodies_of_devices_are_bounded);
	tcase_add_test(t, pages);
	tcase_add_test(t, suit_reports);
	tcase_add_test(t, suit_reports_with_a_key);
	tcase_add_test(t, suit_reports_of_an_heir);
	tcase_add_test(t, when_it_cannot_be_stored);
	tcase_add_test(t, figures);
	tcase_add_test(t, full_disk);
	suite_add_tcase(s, pure);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	arena_free(&arena);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
