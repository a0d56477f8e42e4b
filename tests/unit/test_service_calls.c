/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/service.h"
#include "service_rig.h"

/* Calls to devices: over which session, to which address, and whose answers count. */
#define KEY_A "000102030405060708090a0b0c0d0e0f"
#define REGISTER                                                                            \
	"{\"boot\":1,\"counter\":%d,\"mode\":\"server\",\"manufacturer\":\"acme.example\"," \
	"\"model\":\"lamp\"%s}"

static struct rig r;
static struct ipc_send out;
static struct effect call;

static void setup(void)
{
	rig_make(&r);
	rig_device(&r, "a", KEY_A);
	rig_device(&r, "n", NULL);
	rig_release(&r, "one", 1);
}

static void teardown(void)
{
	rig_remove(&r);
}

static void put(uint64_t session, const char *id, int counter, const char *more)
{
	char path[32], body[256];
	struct ask a = { .session = session, .method = METHOD_PUT, .path = path, .json = body };

	snprintf(path, sizeof(path), "/device/%s", id);
	snprintf(body, sizeof(body), REGISTER, counter, more);
	ck_assert_msg(rig_ask(&r, &a) < 300, "%.*s", (int)r.rs.body.n, (const char *)r.rs.body.p);
}

/* A pass of the schedule: the call it orders is in call. */
static bool scheduled(void)
{
	struct err e;
	int64_t next;
	bool any = false;

	effects_clear(r.fx);
	ck_assert_msg(service_schedule(r.sv, &r.now, &r.arena, r.fx, 100, 1000000, &next, &e) >= 0,
		      "%s", e.text);
	for (unsigned i = 0; i < r.fx->n; i++)
		if (r.fx->v[i].kind == EFFECT_SEND) {
			call = r.fx->v[i];
			any = true;
		}
	return any;
}

static int address(void)
{
	struct err e;

	arena_reset(&r.arena);
	int rc = service_call(r.sv, &call, &r.now, &r.arena, &out, &e);
	ck_assert_msg(rc >= 0, "%s", e.text);
	return rc;
}

static int told(uint16_t status, const char *json)
{
	struct ipc_sent s = { .status = status, .media = MEDIA_JSON, .body = slice_str(json) };
	struct err e;

	memcpy(s.tag, out.tag, sizeof(s.tag));
	effects_clear(r.fx);
	int rc = service_unsent(r.sv, &s, 1, &r.now, &r.arena, r.fx, &e);
	ck_assert_msg(rc >= 0, "%s", e.text);
	for (unsigned i = 0; i < r.fx->n; i++)
		if (r.fx->v[i].kind == EFFECT_SEND) {
			call = r.fx->v[i];
			return 1;
		}
	return 0;
}

START_TEST(over_the_newest_session_then_nowhere)
{
	uint64_t first = rig_psk(&r, "a"), second = rig_psk(&r, "a");

	put(first, "a", 1, "");
	rig_rollout(&r, "roll", "one", "id == a");
	ck_assert(scheduled());
	ck_assert_int_eq(address(), 1);
	ck_assert_uint_eq(out.session, second);
	ck_assert_uint_eq(out.port, 0);
	ck_assert_int_eq(out.method, METHOD_GET);
	ck_assert_str_eq(out.path, "/fettle/status");
	service_closed(r.sv, LANE_NETWORK, second);
	ck_assert_int_eq(address(), 1);
	ck_assert_uint_eq(out.session, first);
	service_closed(r.sv, LANE_NETWORK, first);
	ck_assert_int_eq(address(), 0);
	/* its row hears of it, and calls again later */
	ck_assert_int_eq(told(0, ""), 0);
	ck_assert(!scheduled());
	r.now.track += 5000;
	ck_assert(scheduled());
}
END_TEST

START_TEST(at_its_endpoint_by_its_own_key)
{
	uint64_t s = rig_psk(&r, "a");

	put(s, "a", 1, ",\"endpoint_port\":5999,\"capabilities\":[\"push\",\"dtls\"]");
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_PATCH,
						     .path = "/api/v1/devices/a",
						     .json = "{\"endpoint_host\":\"192.0.2.7\"}" }),
			  200);
	rig_rollout(&r, "roll", "one", "id == a");
	service_closed(r.sv, LANE_NETWORK, s);
	ck_assert(scheduled());
	ck_assert_int_eq(address(), 1);
	ck_assert_uint_eq(out.session, 0);
	ck_assert_uint_eq(out.port, 5999);
	ck_assert_str_eq(out.identity, "a");
	ck_assert_uint_eq(out.ip[12], 192);
}
END_TEST

static void disable(const char *json)
{
	struct ask a = {
		.session = r.root, .method = METHOD_PATCH, .path = "/api/v1/devices/a", .json = json
	};

	ck_assert_uint_eq(rig_ask(&r, &a), 200);
}

/* Whoever is locked out is not called, and is when that is over, without a word of its own. */
START_TEST(who_is_let_in_again_is_called_again)
{
	put(rig_psk(&r, "a"), "a", 1, "");
	disable("{\"disabled\":true}");
	rig_rollout(&r, "roll", "one", "id == a");
	ck_assert(!scheduled());
	disable("{\"disabled\":false}");
	ck_assert(scheduled());
}
END_TEST

/* Whoever has a key is never called in the clear, whatever it registers. */
START_TEST(plain_only_for_those_without_a_key)
{
	uint64_t a = rig_psk(&r, "a"), n = rig_coap(&r);

	put(a, "a", 1, ",\"endpoint_port\":5999");
	put(n, "n", 1, "");
	rig_rollout(&r, "roll", "one", "id == a");
	service_closed(r.sv, LANE_NETWORK, a);
	ck_assert(scheduled());
	ck_assert_int_eq(address(), 0);
	told(0, "");
	rig_rollout(&r, "roll2", "one", "id == n");
	ck_assert(scheduled());
	ck_assert_int_eq(address(), 1);
	ck_assert_uint_eq(out.session, n);
}
END_TEST

START_TEST(what_is_pushed_is_granted_to_nobody_else)
{
	uint64_t s = rig_psk(&r, "a");
	struct grant g;

	put(s, "a", 1, "");
	rig_rollout(&r, "roll", "one", "id == a");
	ck_assert(scheduled());
	address();
	ck_assert(!service_call_grant(&out, &g));
	ck_assert_int_eq(told(200, "{\"status\":{\"service\":\"idle\"}}"), 1);
	ck_assert_int_eq(address(), 1);
	ck_assert_str_eq(out.path, "/fettle/manifest");
	ck_assert_str_eq(out.query, "update=1");
	ck_assert_int_eq(out.content_format, MEDIA_SUIT_ENVELOPE);
	ck_assert(service_call_grant(&out, &g));
	ck_assert_uint_eq(g.session, IPC_SESSION_SEND);
	ck_assert(digest_eq(&g.object, &r.manifest));
	ck_assert_int_eq(told(204, ""), 1);
	address();
	ck_assert_str_eq(out.path, "/fettle/image/0");
	ck_assert_int_eq(out.method, METHOD_GET);
	ck_assert_int_eq(told(404, ""), 1);
	address();
	ck_assert_int_eq(out.method, METHOD_PUT);
	ck_assert(service_call_grant(&out, &g));
	ck_assert(digest_eq(&g.object, &r.image));
	/* refused by its own word */
	char json[400];
	ck_assert_int_eq(text_format(json, sizeof(json),
				     "{\"failure\":\"power\",\"text\":\"battery low%300s\"}", ""),
			 0);
	ck_assert_int_eq(told(422, json), 0);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/updates/1"), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "planned");
	ck_assert_str_eq(rig_text(&r, "failure"), "power");
}
END_TEST

/* An answer that makes no sense is like one that says: not now. */
START_TEST(nonsense_is_no_answer)
{
	uint64_t s = rig_psk(&r, "a");
	struct err e;

	put(s, "a", 1, "");
	rig_rollout(&r, "roll", "one", "id == a");
	ck_assert(scheduled());
	address();
	ck_assert_int_eq(told(200, "{\"status\":{\"service\":\"dozing\"}}"), 0);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a/why"), 200);
	struct ipc_sent forged = { .status = 200 };
	store_batch_begin(r.bed.st, &e);
	ck_assert_int_eq(service_sent(r.sv, &forged, &r.now, &r.arena, r.fx, &e), -1);
	memset(forged.tag, 0xff, sizeof(forged.tag));
	ck_assert_int_eq(service_sent(r.sv, &forged, &r.now, &r.arena, r.fx, &e), -1);
	store_batch_abandon(r.bed.st);
}
END_TEST

START_TEST(diagnostics_by_request)
{
	uint64_t s = rig_psk(&r, "a");
	struct ask ask = { .session = s, .method = METHOD_GET, .path = "/device/a/update" };
	struct ask say = { .session = s,
			   .method = METHOD_POST,
			   .path = "/device/a/diag",
			   .json = "{\"uptime\":7}" };

	put(s, "a", 1, "");
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/devices/a/diag", "{}"), 200);
	ask.accept = MEDIA_JSON;
	ck_assert_uint_eq(rig_ask(&r, &ask), 200);
	ck_assert_ptr_nonnull(rig_at(&r, "ask.0"));
	/* a tag that matches does not hide the question */
	ask.if_none_match = r.rs.etag;
	ck_assert_uint_eq(rig_ask(&r, &ask), 200);
	ck_assert_uint_eq(rig_ask(&r, &say), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a/diag"), 200);
	ck_assert_str_eq(rig_text(&r, "items.0.text"), "{\"uptime\":7}");
	ck_assert_uint_eq(rig_ask(&r, &ask), 304);
	say.json = NULL;
	ck_assert_uint_eq(rig_ask(&r, &say), 400);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service calls");
	TCase *t = tcase_create("calls");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, over_the_newest_session_then_nowhere);
	tcase_add_test(t, at_its_endpoint_by_its_own_key);
	tcase_add_test(t, who_is_let_in_again_is_called_again);
	tcase_add_test(t, plain_only_for_those_without_a_key);
	tcase_add_test(t, what_is_pushed_is_granted_to_nobody_else);
	tcase_add_test(t, nonsense_is_no_answer);
	tcase_add_test(t, diagnostics_by_request);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
