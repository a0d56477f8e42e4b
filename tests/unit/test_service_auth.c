/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* memmem */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/internal.h"
#include "service_rig.h"

/* Sessions, principals, what ends them, and that one device is nothing to another. */
#define API "/api/v1"
#define KEY_A "000102030405060708090a0b0c0d0e0f"
#define KEY_B "100102030405060708090a0b0c0d0e0f"
#define HELLO "{\"boot\":1,\"counter\":1,\"manufacturer\":\"acme.example\",\"model\":\"lamp\"}"

static struct rig r;

static void setup(void)
{
	rig_make(&r);
}

static void teardown(void)
{
	rig_remove(&r);
}

static unsigned with(uint64_t s, enum method m, const char *path, const char *json)
{
	return rig_ask(&r, &(struct ask){ .session = s, .method = m, .path = path, .json = json });
}

static unsigned by_token(uint64_t s, const char *path, const char *token)
{
	return rig_ask(
		&r,
		&(struct ask){ .session = s, .method = METHOD_GET, .path = path, .token = token });
}

/* ---- the table of sessions ---- */

START_TEST(sessions_are_found_and_forgotten)
{
	struct sessions t = { .max = 1000 };
	uint64_t n = 0;

	ck_assert_ptr_null(sessions_find(&t, 1));
	sessions_remove(&t, 1);
	ck_assert_ptr_null(sessions_add(&t, 0));
	while (sessions_add(&t, (n + 1) * 0x9e3779b97f4a7c15u))
		n++;
	ck_assert_uint_eq(n, 1000); /* full: refused, nobody evicted */
	for (uint64_t i = 1; i <= n; i++)
		ck_assert_ptr_nonnull(sessions_find(&t, i * 0x9e3779b97f4a7c15u));
	for (uint64_t i = 1; i <= n; i += 2)
		sessions_remove(&t, i * 0x9e3779b97f4a7c15u);
	for (uint64_t i = 1; i <= n; i++)
		ck_assert_int_eq(sessions_find(&t, i * 0x9e3779b97f4a7c15u) != NULL, i % 2 == 0);
	ck_assert_uint_eq(t.n, 500);
	ck_assert_ptr_null(sessions_add(&t, 2 * 0x9e3779b97f4a7c15u)); /* it is there */
	sessions_clear(&t);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_eq(t.max, 1000);
}
END_TEST

static const struct {
	enum lane lane;
	enum evidence_kind kind;
	enum transport transport;
	bool admitted;
} forgeries[] = {
	{ LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_COAP, true },
	{ LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_HTTP, true },
	{ LANE_NETWORK, EVIDENCE_TLS, TRANSPORT_HTTPS, true },
	{ LANE_NETWORK, EVIDENCE_PSK, TRANSPORT_COAPS, true },
	{ LANE_CONTROL, EVIDENCE_LOCAL, TRANSPORT_UNIX, true },
	{ LANE_NETWORK, EVIDENCE_LOCAL, TRANSPORT_UNIX, false },
	{ LANE_NETWORK, EVIDENCE_LOCAL, TRANSPORT_HTTPS, false },
	{ LANE_NETWORK, EVIDENCE_X509, TRANSPORT_HTTPS, false },
	{ LANE_NETWORK, EVIDENCE_PSK, TRANSPORT_COAP, false },
	{ LANE_NETWORK, EVIDENCE_PSK, TRANSPORT_HTTPS, false },
	{ LANE_NETWORK, EVIDENCE_TLS, TRANSPORT_HTTP, false },
	{ LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_COAPS, false },
	{ LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_UNIX, false },
	{ LANE_CONTROL, EVIDENCE_PLAIN, TRANSPORT_HTTP, false },
	{ LANE_CONTROL, EVIDENCE_PSK, TRANSPORT_COAPS, false },
	{ LANE_CONTROL, EVIDENCE_TLS, TRANSPORT_HTTPS, false },
	{ LANE_CONTROL, EVIDENCE_LOCAL, TRANSPORT_HTTP, false },
	{ LANE_COUNT, EVIDENCE_LOCAL, TRANSPORT_UNIX, false },
};

START_TEST(evidence_must_fit)
{
	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_admit(&r, forgeries[_i].lane, forgeries[_i].kind, forgeries[_i].transport,
			       "a", 0);
	ck_assert_int_eq(s != 0, forgeries[_i].admitted);
}
END_TEST

START_TEST(handles_are_admitted_once)
{
	struct evidence ev = { .kind = EVIDENCE_PLAIN, .transport = TRANSPORT_COAP };

	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 0, &ev, &r.now), 0);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 9, &ev, &r.now), 1);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 9, &ev, &r.now), 0);
	service_closed(r.sv, LANE_NETWORK, 9);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 9, &ev, &r.now), 1);
	memset(ev.identity, 'x', sizeof(ev.identity));
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 10, &ev, &r.now), 0);
	service_lane_reset(r.sv, LANE_NETWORK);
	ck_assert_uint_eq(rig_get(&r, 9, "/healthz"), 401);
	ck_assert(r.rs.close);
	ck_assert_uint_eq(rig_get(&r, r.root, "/healthz"), 200); /* the other lane's go on */
}
END_TEST

START_TEST(a_full_table_refuses)
{
	uint64_t s = 0, last = 0;

	while ((s = rig_plain(&r)) != 0)
		last = s;
	ck_assert_uint_eq(rig_get(&r, last, "/healthz"), 200);
	ck_assert_uint_ne(rig_local(&r, 0), 0); /* the control lane has room of its own */
}
END_TEST

/* ---- devices ---- */

START_TEST(who_is_admitted_by_psk)
{
	rig_device(&r, "a", KEY_A);
	ck_assert_uint_ne(rig_psk(&r, "a"), 0);
	ck_assert_uint_eq(rig_psk(&r, "b"), 0);
	ck_assert_uint_eq(rig_psk(&r, ""), 0);
	ck_assert_uint_eq(with(r.root, METHOD_PATCH, API "/devices/a", "{\"disabled\":true}"), 200);
	ck_assert_uint_eq(r.fx->v[0].kind, EFFECT_DROP_DEVICE);
	ck_assert_uint_eq(rig_psk(&r, "a"), 0);
}
END_TEST

START_TEST(an_expired_key_is_none)
{
	rig_device(&r, "a", NULL);
	ck_assert_uint_eq(with(r.root, METHOD_PATCH, API "/devices/a", "{\"auth\":\"credential\"}"),
			  200);
	ck_assert_uint_eq(rig_post(&r, r.root, API "/devices/a/credentials",
				   "{\"kind\":\"psk\",\"days\":1,\"key\":\"" KEY_A "\"}"),
			  201);
	uint64_t s = rig_psk(&r, "a");
	ck_assert_uint_ne(s, 0);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	r.now.wall += 86400000;
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	ck_assert(r.rs.close);
	ck_assert_uint_eq(rig_psk(&r, "a"), 0);
}
END_TEST

/* At once, on sessions that are open; and the effect names them. */
START_TEST(revocation_acts_on_open_sessions)
{
	uint64_t out[4];

	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_psk(&r, "a"), other = rig_psk(&r, "a");
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, API "/devices/a/credentials/1", NULL), 204);
	ck_assert_uint_eq(r.fx->n, 1);
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_NETWORK, &r.fx->v[0], out, 4), 2);
	ck_assert(out[0] + out[1] == s + other);
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_NETWORK, &r.fx->v[0], out, 1), 1);
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_CONTROL, &r.fx->v[0], out, 4), 0);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	ck_assert(r.rs.close);
	ck_assert_uint_eq(rig_get(&r, s, "/healthz"), 401);
	ck_assert_uint_eq(rig_psk(&r, "a"), 0);
}
END_TEST

/* The key a ticket was had with is gone, another of the same identity is not. */
START_TEST(a_revoked_key_resumes_nothing)
{
	struct evidence ev = {
		.kind = EVIDENCE_PSK, .transport = TRANSPORT_COAPS, .identity = "a", .resumed = true
	};
	uint64_t out[4];

	rig_device(&r, "a", KEY_A);
	ck_assert_uint_eq(with(r.root, METHOD_POST, API "/devices/a/credentials",
			       "{\"kind\":\"psk\",\"key\":\"00112233445566778899aabbccddeeff\"}"),
			  201);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 901, &ev, &r.now), 1);
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, API "/devices/a/credentials/1", NULL), 204);
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_NETWORK, &r.fx->v[0], out, 4), 1);
	ck_assert_uint_eq(out[0], 901);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 902, &ev, &r.now), 0);
	ck_assert_uint_ne(rig_psk(&r, "a"), 0); /* who shows a key comes in */
	/* revoked is revoked, also when the clock was set back since */
	r.now.wall -= 3600 * 1000;
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 904, &ev, &r.now), 0);
	r.now.wall += 4 * 3600 * 1000;
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 903, &ev, &r.now), 1);
}
END_TEST

/* Nor is one of another device's, that had this identity before: the ticket does not say whose. */
START_TEST(an_heir_is_resumed_by_nobody_else)
{
	struct evidence ev = {
		.kind = EVIDENCE_PSK, .transport = TRANSPORT_COAPS, .identity = "a", .resumed = true
	};
	static const char mine[] = "{\"kind\":\"psk\",\"identity\":\"a\","
				   "\"key\":\"00112233445566778899aabbccddeeff\"}";

	/* removed, and enrolled again */
	rig_device(&r, "a", KEY_A);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 901, &ev, &r.now), 1);
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, API "/devices/a", NULL), 204);
	r.now.wall += 1000;
	rig_device(&r, "a", KEY_B);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 902, &ev, &r.now), 0);
	ck_assert_uint_ne(rig_psk(&r, "a"), 0);
	r.now.wall += 3 * 3600 * 1000;
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 903, &ev, &r.now), 1);
	/* revoked, and given to another */
	rig_device(&r, "b", KEY_A);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/devices/a/credentials"), 200);
	char path[64];
	ck_assert_int_eq(text_format(path, sizeof(path), API "/devices/a/credentials/%d",
				     (int)rig_int(&r, "items.0.id")),
			 0);
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, path, NULL), 204);
	r.now.wall += 1000;
	ck_assert_uint_eq(with(r.root, METHOD_POST, API "/devices/b/credentials", mine), 201);
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 904, &ev, &r.now), 0);
	ck_assert_uint_ne(rig_psk(&r, "a"), 0);
	r.now.wall += 3 * 3600 * 1000;
	ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 905, &ev, &r.now), 1);
}
END_TEST

START_TEST(removed_devices_are_gone)
{
	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_psk(&r, "a");
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, API "/devices/a", NULL), 204);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	rig_device(&r, "a", KEY_B); /* the name anew: another device */
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
}
END_TEST

START_TEST(tokens_of_devices)
{
	rig_device(&r, "a", KEY_A);
	char *t = rig_device_token(&r, "a");
	uint64_t s = rig_tls(&r), afterwards = rig_tls(&r);

	ck_assert_uint_eq(by_token(s, "/device/a/update", t), 200);
	/* it was the request's, not the session's */
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	ck_assert_uint_eq(by_token(rig_plain(&r), "/device/a/update", t), 401);
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, API "/devices/a/credentials/2", NULL), 204);
	uint64_t out[4];
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_NETWORK, &r.fx->v[0], out, 4), 1);
	ck_assert_uint_eq(out[0], s);
	ck_assert_uint_eq(by_token(afterwards, "/device/a/update", t), 401);
	free(t);
}
END_TEST

/* Unknown and wrong, known and not: the answers cannot be told apart. */
START_TEST(refusals_look_the_same)
{
	char first[512];

	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_plain(&r);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	ck_assert_int_eq(text_copy_slice(first, sizeof(first), r.rs.body), 0);
	ck_assert_uint_eq(rig_get(&r, s, "/device/unknown/update"), 401);
	ck_assert(slice_eq_str(r.rs.body, first));
	ck_assert_uint_eq(by_token(s, "/healthz", "ft_0123456789"), 401);
	ck_assert(slice_eq_str(r.rs.body, first));
	ck_assert_uint_eq(by_token(s, "/healthz", "nothing of ours"), 401);
	ck_assert(slice_eq_str(r.rs.body, first));
}
END_TEST

START_TEST(a_session_by_psk_takes_no_token)
{
	rig_device(&r, "a", KEY_A);
	char *t = rig_token(&r, "ci", "operator", NULL);

	ck_assert_uint_eq(by_token(rig_psk(&r, "a"), API "/status", t), 401);
	free(t);
}
END_TEST

START_TEST(overlong_tokens)
{
	char token[TOKEN_MAX_LEN + 2];

	memset(token, 'x', sizeof(token) - 1);
	token[sizeof(token) - 1] = '\0';
	memcpy(token, "ft_", 3);
	ck_assert_uint_eq(by_token(rig_tls(&r), "/healthz", token), 401);
}
END_TEST

START_TEST(revoked_tokens_drop_their_sessions)
{
	uint64_t out[4];
	char *t = rig_token(&r, "ci", "viewer", NULL);
	uint64_t s = rig_tls(&r);

	ck_assert_uint_eq(by_token(s, API "/status", t), 200);
	ck_assert_uint_eq(rig_post(&r, r.root, API "/tokens/1/revoke", NULL), 200);
	ck_assert_uint_eq(r.fx->n, 1);
	ck_assert_uint_eq(r.fx->v[0].kind, EFFECT_DROP_TOKEN);
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_NETWORK, &r.fx->v[0], out, 4), 1);
	ck_assert_uint_eq(out[0], s);
	ck_assert_uint_eq(by_token(s, API "/status", t), 401);
	free(t);
}
END_TEST

START_TEST(operators_lose_their_row)
{
	uint64_t s = rig_local(&r, 1000);

	ck_assert_uint_eq(rig_get(&r, s, API "/devices"), 403);
	ck_assert_uint_eq(rig_get(&r, s, "/healthz"), 200);
	ck_assert_uint_eq(
		rig_post(&r, r.root, API "/operators", "{\"uid\":1000,\"role\":\"viewer\"}"), 201);
	ck_assert_uint_eq(rig_get(&r, s, API "/devices"), 200);
	ck_assert_uint_eq(rig_post(&r, s, API "/devices", "{\"id\":\"x\"}"), 403);
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, API "/operators/1000", NULL), 204);
	ck_assert_uint_eq(rig_get(&r, s, API "/devices"), 403);
}
END_TEST

START_TEST(no_token_is_admin)
{
	static const char *const roles[] = { "admin", "device", "none", "root" };
	char json[96];

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		ck_assert_int_eq(text_format(json, sizeof(json), "{\"name\":\"t\",\"role\":\"%s\"}",
					     roles[i]),
				 0);
		ck_assert_uint_eq(rig_post(&r, r.root, API "/tokens", json), 422);
	}
	/* nor when a row says so */
	struct token t = { .name = "t",
			   .role = ROLE_ADMIN,
			   .hash = digest_of("ft_x"),
			   .created = 1,
			   .by = "uid:0" };
	if (store_token_add(r.bed.st, &t, NULL) == 0)
		ck_assert_uint_eq(by_token(rig_tls(&r), API "/status", "ft_x"), 401);
}
END_TEST

/* Rows that no handler writes decide all the same: never for more than they should. */
START_TEST(odd_rows_grant_nothing)
{
	static const struct {
		const char *sql;
		unsigned status;
	} rows[] = {
		{ "UPDATE tokens SET not_after = 0", 200 },
		{ "UPDATE tokens SET role = 'device'", 401 },
		{ "UPDATE tokens SET role = 'admin'", 401 },
		{ "UPDATE tokens SET role = 'viewer', scope = '(('", 500 },
	};
	char *token = rig_token(&r, "t", "viewer", NULL), sql[256];
	uint64_t s = rig_tls(&r);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(text_format(sql, sizeof(sql),
					     "PRAGMA ignore_check_constraints = ON; %s",
					     rows[i].sql),
				 0);
		bed_sql(&r.bed, "fettle.db", sql);
		ck_assert_uint_eq(by_token(s, API "/status", token), rows[i].status);
	}
	free(token);
	struct operator_uid o = { .uid = 1234, .role = ROLE_DEVICE, .by = "x" };
	ck_assert_int_eq(store_operator_put(r.bed.st, &o, NULL), 0);
	ck_assert_uint_eq(rig_get(&r, rig_local(&r, 1234), API "/status"), 403);
}
END_TEST

/* Rows that cannot be read: nobody is taken for anyone, and it is not said to be their fault. */
START_TEST(what_cannot_be_read_grants_nothing)
{
	static const char *const tables[] = { "tokens", "operators", "credentials", "devices" };
	char sql[128], *operators = rig_token(&r, "t", "viewer", NULL);
	struct operator_uid o = { .uid = 1234, .role = ROLE_VIEWER, .by = "x" };

	rig_device(&r, "a", KEY_A);
	rig_device(&r, "n", NULL);
	char *devices = rig_device_token(&r, "a");
	ok(store_operator_put(r.bed.st, &o, e));
	uint64_t psk = rig_psk(&r, "a"), tls = rig_tls(&r), local = rig_local(&r, 1234);
	for (int broken = 0; broken < 2; broken++) {
		unsigned got[] = {
			by_token(tls, API "/status", operators),
			rig_get(&r, local, API "/status"),
			rig_get(&r, psk, "/device/a/update"),
			by_token(tls, "/device/a/update", devices),
			rig_get(&r, rig_plain(&r), "/device/n/update"),
		};
		for (size_t i = 0; i < sizeof(got) / sizeof(got[0]); i++)
			ck_assert_msg(broken ? got[i] >= 500 : got[i] == 200, "%zu: %u", i, got[i]);
		for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && !broken; i++) {
			ok(text_format(sql, sizeof(sql), "ALTER TABLE %s RENAME TO was_%s",
				       tables[i], tables[i]));
			bed_sql(&r.bed, "fettle.db", sql);
		}
	}
	free(operators);
	free(devices);
}
END_TEST

/* Each change behind the back of an open session ends what it may. */
START_TEST(sessions_follow_the_rows)
{
	struct session *own;

	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_psk(&r, "a");
	char *token = rig_device_token(&r, "a");
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	/* a credential of another kind is not what opened it */
	own = sessions_find(&r.sv->lanes[LANE_NETWORK], s);
	ck_assert_ptr_nonnull(own);
	int64_t key = own->credential;
	own->credential = key + 1;
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	own->credential = 4711;
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	own->credential = key;
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	bed_sql(&r.bed, "fettle.db", "UPDATE devices SET disabled = 1");
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	ck_assert_uint_eq(by_token(rig_tls(&r), "/device/a/update", token), 401);
	bed_sql(&r.bed, "fettle.db", "UPDATE devices SET disabled = 0, auth = 'none'");
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 401);
	ck_assert_uint_eq(rig_psk(&r, "a"), 0);
	bed_sql(&r.bed, "fettle.db",
		"UPDATE devices SET auth = 'credential'; "
		"UPDATE credentials SET not_after = 1 WHERE kind = 'token'");
	ck_assert_uint_eq(by_token(rig_tls(&r), "/device/a/update", token), 401);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	free(token);
}
END_TEST

/* In the clear a token counts from this machine alone, whatever its address looks like. */
START_TEST(only_loopback_is_near)
{
	static const struct {
		uint8_t ip[16];
		unsigned status;
	} from[] = {
		{ { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 9 }, 200 },
		{ { [15] = 1 }, 200 },
		{ { [10] = 0xff, [11] = 0xff, [12] = 128, [15] = 1 }, 401 },
		{ { [0] = 0x20, [15] = 1 }, 401 },
		{ { [12] = 127, [15] = 1 }, 401 },
	};
	char *token = rig_token(&r, "t", "viewer", NULL);

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		struct evidence ev = { .kind = EVIDENCE_PLAIN, .transport = TRANSPORT_HTTP };
		memcpy(ev.ip, from[i].ip, sizeof(ev.ip));
		ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 700 + i, &ev, &r.now), 1);
		ck_assert_uint_eq(by_token(700 + i, API "/status", token), from[i].status);
	}
	free(token);
}
END_TEST

static void add_psk(int64_t dev, const char *identity, enum credential_kind kind, int64_t not_after)
{
	static uint8_t n;
	struct credential c = {
		.dev = dev, .kind = kind, .secret_len = 32, .created = 1, .not_after = not_after
	};

	c.secret[0] = ++n;
	ck_assert_int_eq(text_copy(c.identity, sizeof(c.identity), identity), 0);
	ck_assert_int_eq(store_credential_add(r.bed.st, &c, NULL), 0);
}

/* Which ended key of a device asks for a new one, when its session is resumed. */
START_TEST(keys_that_ended)
{
	static const struct {
		const char *identity;
		enum credential_kind kind;
		int64_t ago_ms; /* it ended */
		int admitted;
	} keys[] = {
		{ "a", CREDENTIAL_PSK, -60000, 1 }, /* not yet */
		{ "a", CREDENTIAL_PSK, 3 * 3600 * 1000, 1 }, /* its tickets are gone too */
		{ "other", CREDENTIAL_PSK, 1000, 1 },
		{ "", CREDENTIAL_TOKEN, 1000, 1 },
		{ "a", CREDENTIAL_PSK, 1000, 0 },
	};
	struct evidence ev = {
		.kind = EVIDENCE_PSK, .transport = TRANSPORT_COAPS, .identity = "a", .resumed = true
	};

	rig_device(&r, "a", KEY_A);
	for (size_t i = 0; i < 10; i++) /* more than one look at them takes */
		add_psk(1, "more", CREDENTIAL_PSK, 0);
	add_psk(1, "a", CREDENTIAL_PSK, 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		add_psk(1, keys[i].identity, keys[i].kind, r.now.wall - keys[i].ago_ms);
		ck_assert_int_eq(service_admit(r.sv, LANE_NETWORK, 800 + i, &ev, &r.now),
				 keys[i].admitted);
	}
}
END_TEST

/* What an effect does not name, it does not end. */
START_TEST(effects_end_what_they_name)
{
	static const struct effect none[] = {
		{ .kind = EFFECT_DROP_DEVICE, .dev = 0 },
		{ .kind = EFFECT_DROP_DEVICE, .dev = 1, .credential = 99 },
		{ .kind = EFFECT_DROP_DEVICE, .dev = 2 },
		{ .kind = EFFECT_DROP_TOKEN, .token = 0 },
		{ .kind = EFFECT_DROP_TOKEN, .token = 99 },
		{ .kind = EFFECT_WAKE },
	};
	const struct effect all = { .kind = EFFECT_DROP_DEVICE, .dev = 1 };
	uint64_t out[4];

	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_psk(&r, "a");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_int_eq(service_sessions_of(r.sv, LANE_NETWORK, &none[i], out, 4), 0);
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_NETWORK, &all, out, 4), 1);
	/* there is no third lane */
	ck_assert_int_eq(service_sessions_of(r.sv, LANE_COUNT, &all, out, 4), 0);
	service_closed(r.sv, LANE_COUNT, s);
	service_lane_reset(r.sv, LANE_COUNT);
	ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
}
END_TEST

static int nobody(struct call *c, struct err *x)
{
	(void)c;
	return err_set(x, ERR_NOT_FOUND, "nobody");
}

/* Tables of other shapes than ours. */
START_TEST(tables_of_routes)
{
	static const struct route good[] = {
		{ METHOD_GET, "/x/<a>/<rest...>", WHO_ANYONE, 0, nobody, "" },
		{ METHOD_GET, "/x/<a>", WHO_ANYONE, 0, nobody, "" },
	};
	static const struct route bad[] = {
		{ METHOD_GET, "no/slash", WHO_ANYONE, 0, nobody, "" },
		{ METHOD_GET, "/1/2/3/4/5/6/7/8/9", WHO_ANYONE, 0, nobody, "" },
		{ METHOD_GET, "/<a>/<b>/<c>/<d>/<e>", WHO_ANYONE, 0, nobody, "" },
	};
	struct slice hole[HOLES_MAX];
	struct route_index *ix;
	struct err why = { 0 };
	uint8_t allow = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(route_index_new(&bad[i], 1, &ix, &why), -1);
		ck_assert_int_eq(why.code, ERR_INTERNAL);
	}
	ck_assert_int_eq(route_index_new(good, 0, &ix, &why), 0);
	ck_assert_ptr_null(route_find(ix, METHOD_GET, slice_str("/x/1"), hole, &allow, &why));
	route_index_free(ix);
	ck_assert_int_eq(route_index_new(good, 2, &ix, &why), 0);
	ck_assert_ptr_eq(route_find(ix, METHOD_GET, slice_str("/x/1/2/3"), hole, &allow, &why),
			 &good[0]);
	ck_assert(slice_eq_str(hole[0], "1"));
	ck_assert(slice_eq_str(hole[1], "2/3"));
	ck_assert_ptr_eq(route_find(ix, METHOD_HEAD, slice_str("/x/1"), hole, &allow, &why),
			 &good[1]);
	ck_assert_ptr_null(route_find(ix, METHOD_POST, slice_str("/x/1"), hole, &allow, &why));
	ck_assert_int_eq(why.code, ERR_METHOD);
	ck_assert_uint_eq(allow, 1u << METHOD_GET | 1u << METHOD_HEAD);
	route_index_free(ix);
}
END_TEST

/* ---- without credentials ---- */

/* A plain session is the device it named last, until that goes or names another. */
START_TEST(plain_sessions_name_devices)
{
	rig_device(&r, "n", NULL);
	rig_device(&r, "m", NULL);
	rig_device(&r, "off", NULL);
	ck_assert_uint_eq(with(r.root, METHOD_PATCH, API "/devices/off", "{\"disabled\":true}"),
			  200);
	uint64_t s = rig_coap(&r);
	ck_assert_uint_eq(rig_get(&r, s, "/device/n/update"), 200);
	ck_assert_uint_eq(rig_get(&r, s, "/device/m/update"), 200);
	ck_assert_uint_eq(rig_get(&r, s, "/device/n/update"), 200);
	ck_assert_uint_eq(rig_get(&r, s, "/device/off/update"), 401);
	ck_assert_uint_eq(rig_get(&r, s, "/device/b%d/update"), 401);
	ck_assert_uint_eq(with(r.root, METHOD_DELETE, API "/devices/n", NULL), 204);
	ck_assert_uint_eq(rig_get(&r, s, "/healthz"), 200);
	ck_assert_uint_eq(rig_get(&r, s, "/device/n/update"), 401);
}
END_TEST

START_TEST(first_contact_where_policy_says_so)
{
	uint64_t s = rig_coap(&r), tls = rig_tls(&r);

	ck_assert_uint_eq(with(s, METHOD_PUT, "/device/new", HELLO), 401);
	ck_assert_uint_eq(with(r.root, METHOD_PUT, API "/policies/settings",
			       "{\"first_contact_plain\":true}"),
			  200);
	ck_assert_uint_eq(with(tls, METHOD_PUT, "/device/new", HELLO), 401);
	ck_assert_uint_eq(rig_get(&r, s, "/device/new/update"), 401); /* registering comes first */
	ck_assert_uint_eq(with(s, METHOD_PUT, "/device/not%20an%20id", HELLO), 401);
	ck_assert_uint_eq(with(s, METHOD_PUT, "/device/new", HELLO), 201);
	ck_assert_uint_eq(rig_get(&r, s, "/device/new/update"), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/devices/new"), 200);
	ck_assert_str_eq(rig_text(&r, "auth"), "none");
	/* a device that has a credential is not to be had this way */
	rig_device(&r, "a", KEY_A);
	ck_assert_uint_eq(with(s, METHOD_PUT, "/device/a", HELLO), 401);
}
END_TEST

START_TEST(auth_none_changes_and_ends)
{
	rig_device(&r, "n", NULL);
	uint64_t s = rig_coap(&r);
	ck_assert_uint_eq(rig_get(&r, s, "/device/n/update"), 200);
	ck_assert_uint_eq(
		rig_post(&r, r.root, API "/devices/n/credentials", "{\"kind\":\"token\"}"), 409);
	ck_assert_uint_eq(with(r.root, METHOD_PATCH, API "/devices/n", "{\"auth\":\"credential\"}"),
			  200);
	ck_assert_uint_eq(r.fx->v[0].kind, EFFECT_DROP_DEVICE);
	ck_assert_uint_eq(rig_get(&r, s, "/device/n/update"), 401);
	ck_assert_uint_eq(rig_get(&r, s, "/healthz"), 200); /* anyone again */
	ck_assert_uint_eq(
		rig_post(&r, r.root, API "/devices/n/credentials", "{\"kind\":\"token\"}"), 201);
	ck_assert_uint_eq(with(r.root, METHOD_PATCH, API "/devices/n", "{\"auth\":\"none\"}"), 409);
}
END_TEST

/* ---- one device and another ---- */

START_TEST(devices_are_nothing_to_each_other)
{
	char image[160], manifest[160], hex[DIGEST_TEXT];

	rig_device(&r, "a", KEY_A);
	rig_device(&r, "b", KEY_B);
	rig_release(&r, "lamp-1", 5);
	uint64_t a = rig_psk(&r, "a"), b = rig_psk(&r, "b");
	ck_assert_uint_eq(with(a, METHOD_PUT, "/device/a", HELLO), 200);
	ck_assert_uint_eq(with(b, METHOD_PUT, "/device/b", HELLO), 200);
	rig_rollout(&r, "one", "lamp-1", "id == a");
	ck_assert_uint_eq(rig_get(&r, a, "/device/a/update"), 200);
	int64_t update = rig_int(&r, "update");
	ck_assert_int_gt(update, 0);
	digest_text(hex, &r.image);
	ck_assert_int_eq(text_format(image, sizeof(image), "/image/%s", hex), 0);
	digest_text(hex, &r.manifest);
	ck_assert_int_eq(text_format(manifest, sizeof(manifest), "/manifest/%s", hex), 0);
	ck_assert_uint_eq(rig_get(&r, a, image), 200);
	ck_assert_uint_eq(r.oc.grant.session, a);
	ck_assert_uint_eq(rig_get(&r, a, manifest), 200);
	ck_assert_uint_eq(r.oc.grant.session, a);
	ck_assert_uint_eq(rig_get(&r, b, image), 404);
	ck_assert_uint_eq(rig_get(&r, b, manifest), 404);
	ck_assert_uint_eq(rig_get(&r, b, "/lamp-1.bin"), 404);
	/* b speaks of a's update as itself: there is none */
	ck_assert_uint_eq(rig_post(&r, b, "/device/b/report",
				   "{\"boot\":1,\"counter\":2,\"update\":1,\"state\":\"failed\"}"),
			  404);
	ck_assert_uint_ne(
		rig_post(&r, b, "/device/b/decision",
			 "{\"boot\":1,\"counter\":3,\"update\":1,\"decision\":\"reject\"}"),
		200);
	ck_assert_uint_eq(rig_post(&r, b, "/device/a/report",
				   "{\"boot\":1,\"counter\":2,\"state\":\"failed\"}"),
			  403);
	ck_assert_uint_eq(rig_get(&r, b, "/.well-known/core"), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/devices/a"), 200);
	ck_assert_str_eq(rig_text(&r, "update.state"), "offered");
}
END_TEST

/* ---- scopes ---- */

START_TEST(scopes_bound_what_is_seen_and_done)
{
	char *t = rig_token(&r, "lab", "operator", "tag == lab");
	struct ask a = {
		.session = rig_tls(&r), .method = METHOD_GET, .path = API "/devices", .token = t
	};

	rig_device(&r, "in", NULL);
	rig_device(&r, "out", NULL);
	ck_assert_uint_eq(with(r.root, METHOD_PATCH, API "/devices/in", "{\"tags\":[\"lab\"]}"),
			  200);
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "items")), 1);
	ck_assert_str_eq(rig_text(&r, "items.0.id"), "in");
	a.query = "q=id+%3D%3D+out+or+id+%3D%3D+in";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "items")), 1);
	a.query = "q=)(";
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	a.query = NULL;
	/* an edit must satisfy it before and after */
	a.method = METHOD_PATCH;
	a.path = API "/devices/in";
	a.json = "{\"tags\":[]}";
	ck_assert_uint_eq(rig_ask(&r, &a), 403);
	a.json = "{\"tags\":[\"lab\",\"north\"]}";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	a.method = METHOD_POST;
	a.path = API "/devices";
	a.json = "{\"id\":\"new\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 403);
	a.json = "{\"id\":\"new\",\"tags\":[\"lab\"]}";
	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/devices/new"), 200);
	a.method = METHOD_DELETE;
	a.path = API "/devices/new";
	a.json = NULL;
	ck_assert_uint_eq(rig_ask(&r, &a), 204);
	/* a rollout takes it in, for good */
	rig_release(&r, "lamp-1", 5);
	a.method = METHOD_POST;
	a.path = API "/rollouts";
	a.json = "{\"name\":\"mine\",\"release\":\"lamp-1\",\"target\":\"all\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	ck_assert_str_eq(rig_text(&r, "target"), "(all) and (tag == lab)");
	/* and no target gets out of it */
	a.json = "{\"name\":\"theirs\",\"release\":\"lamp-1\","
		 "\"target\":\"id == out) or (id == in\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	a.method = METHOD_GET;
	a.path = API "/status";
	a.json = NULL;
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_ptr_null(rig_at(&r, "devices"));
	free(t);
}
END_TEST

/* A name may be given again, with a scope it had not: what it made before is beyond it. */
START_TEST(a_scope_holds_for_what_its_name_made_before)
{
	char *t = rig_token(&r, "ops", "operator", NULL);
	struct ask a = {
		.session = rig_tls(&r), .method = METHOD_POST, .path = API "/rollouts", .token = t
	};

	rig_device(&r, "in", NULL);
	rig_device(&r, "out", NULL);
	rig_release(&r, "lamp-1", 5);
	a.json = "{\"name\":\"wide\",\"release\":\"lamp-1\",\"target\":\"all\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	/* what ends as a scope would have it end, and is wider */
	a.json = "{\"name\":\"wider\",\"release\":\"lamp-1\","
		 "\"target\":\"(id == in) or (id == out) and (id == in)\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_jobs(&r);
	free(t);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/tokens"), 200);
	char path[64];
	ck_assert_int_eq(text_format(path, sizeof(path), API "/tokens/%d/revoke",
				     (int)rig_int(&r, "items.0.id")),
			 0);
	ck_assert_uint_eq(with(r.root, METHOD_POST, path, NULL), 200);
	t = rig_token(&r, "ops", "operator", "id == in");
	a.token = t;
	a.session = rig_tls(&r);
	a.path = API "/rollouts/wide/clone";
	a.json = "{\"name\":\"again\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 404);
	a.path = API "/rollouts/wide/start";
	a.json = NULL;
	ck_assert_uint_eq(rig_ask(&r, &a), 404);
	a.path = API "/rollouts/wider/start";
	ck_assert_uint_eq(rig_ask(&r, &a), 404);
	/* its own are its own */
	a.path = API "/rollouts";
	a.json = "{\"name\":\"mine\",\"release\":\"lamp-1\",\"target\":\"all\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	a.path = API "/rollouts/mine/clone";
	a.json = "{\"name\":\"twin\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	ck_assert_str_eq(rig_text(&r, "target"), "(all) and (id == in)");
	free(t);
}
END_TEST

static void revoke_token(int at)
{
	char path[64], name[16];

	ck_assert_uint_eq(rig_get(&r, r.root, API "/tokens"), 200);
	ck_assert_int_eq(text_format(name, sizeof(name), "items.%d.id", at), 0);
	ck_assert_int_eq(text_format(path, sizeof(path), API "/tokens/%d/revoke",
				     (int)rig_int(&r, name)),
			 0);
	ck_assert_uint_eq(with(r.root, METHOD_POST, path, NULL), 200);
}

/* An answer is repeated to the token it was given to, not to the next one of its name. */
START_TEST(answers_are_not_repeated_to_an_heir)
{
	char *t = rig_token(&r, "ops", "operator", NULL);
	struct ask a = { .session = rig_tls(&r),
			 .method = METHOD_POST,
			 .path = API "/devices",
			 .token = t,
			 .key = "1",
			 .json = "{\"id\":\"out\",\"model\":\"secret\"}" };

	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	free(t);
	revoke_token(0);
	a.token = t = rig_token(&r, "ops", "operator", "id == in");
	a.session = rig_tls(&r);
	ck_assert_uint_eq(rig_ask(&r, &a), 409);
	free(t);
}
END_TEST

/* Nor are the jobs its name began before it was made its own. */
START_TEST(jobs_are_not_left_to_an_heir)
{
	char *t = rig_token(&r, "ops", "operator", NULL);
	struct ask a = { .session = rig_tls(&r),
			 .method = METHOD_POST,
			 .path = API "/devices/import",
			 .format = MEDIA_NDJSON,
			 .token = t,
			 .body = slice_str("{\"id\":\"out\"}\n") };

	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	free(t);
	revoke_token(0);
	r.now.wall += 1000;
	a.token = t = rig_token(&r, "ops", "operator", "id == in");
	a.session = rig_tls(&r);
	a.body = slice_of(NULL, 0);
	a.format = MEDIA_NONE;
	a.path = API "/jobs/1/cancel";
	ck_assert_uint_eq(rig_ask(&r, &a), 404);
	a.method = METHOD_GET;
	a.path = API "/jobs";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "items")), 0);
	a.method = METHOD_POST;
	a.path = API "/devices/import";
	a.format = MEDIA_NDJSON;
	a.body = slice_str("{\"id\":\"in\"}\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	ck_assert_uint_eq(by_token(a.session, API "/jobs/2", t), 200);
	free(t);
}
END_TEST

/* A list of jobs is not shorter for what they worked through, or found wrong. */
START_TEST(jobs_of_a_scope_are_listed)
{
	enum { JOBS = 40 };
	char *t = rig_token(&r, "lab", "operator", "id == in");
	struct ask a = { .session = rig_tls(&r), .token = t, .format = MEDIA_NDJSON };
	uint8_t *errors = calloc(1, 60000);

	ck_assert_ptr_nonnull(errors);
	a.path = API "/devices/import";
	a.method = METHOD_POST;
	a.body = slice_str("{\"id\":\"out\"}\n");
	for (int i = 1; i <= JOBS; i++) {
		ck_assert_uint_eq(rig_ask(&r, &a), 202);
		rig_jobs(&r);
		ck_assert_int_eq(store_batch_begin(r.bed.st, NULL), 0);
		ck_assert_int_eq(store_job_input_errors(r.bed.st, i, slice_of(errors, 60000), NULL),
				 0);
		ck_assert_int_eq(store_batch_commit(r.bed.st, NULL), 0);
	}
	a.method = METHOD_GET;
	a.format = MEDIA_NONE;
	a.body = slice_of(NULL, 0);
	a.path = API "/jobs";
	a.query = "limit=40";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "items")), JOBS);
	free(errors);
	free(t);
}
END_TEST

/* Who may not read devices does not read of them in a job either. */
START_TEST(an_author_reads_of_no_device)
{
	char *t = rig_token(&r, "ci", "author", NULL);
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = API "/devices/import",
			 .format = MEDIA_NDJSON,
			 .body = slice_str("{\"id\":\"hush\"}\n") };

	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_device(&r, "hush", NULL);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, API "/jobs/1"), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 1);
	ck_assert_uint_eq(by_token(rig_tls(&r), API "/jobs/1", t), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "failed");
	ck_assert_ptr_null(memmem(r.rs.body.p, r.rs.body.n, "hush", 4));
	free(t);
}
END_TEST

/* The rollouts of others are nothing to it, by their windows neither. */
START_TEST(windows_of_rollouts_are_as_the_rollouts)
{
	char *t = rig_token(&r, "lab", "operator", "id == in");
	struct ask a = { .session = rig_tls(&r), .method = METHOD_GET, .token = t };

	rig_device(&r, "in", NULL);
	rig_release(&r, "lamp-1", 5);
	rig_rollout(&r, "hush", "lamp-1", "all");
	ck_assert_uint_eq(with(r.root, METHOD_POST, API "/windows",
			       "{\"level\":\"rollout\",\"ref\":\"hush\","
			       "\"window\":\"daily 01:00-02:00 UTC\"}"),
			  201);
	a.path = API "/windows";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "items")), 0);
	a.path = API "/windows/1";
	ck_assert_uint_eq(rig_ask(&r, &a), 404);
	a.path = API "/windows";
	a.query = "level=rollout&ref=hush";
	ck_assert_uint_eq(rig_ask(&r, &a), 404);
	a.path = API "/windows/next";
	a.query = "device=in&rollout=hush";
	ck_assert_uint_eq(rig_ask(&r, &a), 404);
	a.query = "device=in";
	ck_assert_uint_eq(rig_ask(&r, &a), 200);
	free(t);
}
END_TEST

/* ---- tokens give no lasting grants ---- */

START_TEST(a_token_grants_one_answer)
{
	char path[160], hex[DIGEST_TEXT];
	char *t = rig_token(&r, "v", "viewer", NULL);

	rig_release(&r, "lamp-1", 5);
	digest_text(hex, &r.image);
	ck_assert_int_eq(text_format(path, sizeof(path), "/image/%s", hex), 0);
	ck_assert_uint_eq(by_token(rig_tls(&r), path, t), 200);
	ck_assert(r.oc.has_grant);
	ck_assert_uint_ne(r.oc.grant.session, 0);
	ck_assert_int_eq(r.oc.grant.lifetime_ms, 1);
	free(t);
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("auth");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sessions_are_found_and_forgotten);
	tcase_add_loop_test(t, evidence_must_fit, 0, sizeof(forgeries) / sizeof(forgeries[0]));
	tcase_add_test(t, handles_are_admitted_once);
	tcase_add_test(t, a_full_table_refuses);
	tcase_add_test(t, who_is_admitted_by_psk);
	tcase_add_test(t, an_expired_key_is_none);
	tcase_add_test(t, revocation_acts_on_open_sessions);
	tcase_add_test(t, a_revoked_key_resumes_nothing);
	tcase_add_test(t, an_heir_is_resumed_by_nobody_else);
	tcase_add_test(t, removed_devices_are_gone);
	tcase_add_test(t, tokens_of_devices);
	tcase_add_test(t, refusals_look_the_same);
	tcase_add_test(t, a_session_by_psk_takes_no_token);
	tcase_add_test(t, overlong_tokens);
	tcase_add_test(t, revoked_tokens_drop_their_sessions);
	tcase_add_test(t, operators_lose_their_row);
	tcase_add_test(t, no_token_is_admin);
	tcase_add_test(t, first_contact_where_policy_says_so);
	tcase_add_test(t, odd_rows_grant_nothing);
	tcase_add_test(t, what_cannot_be_read_grants_nothing);
	tcase_add_test(t, sessions_follow_the_rows);
	tcase_add_test(t, only_loopback_is_near);
	tcase_add_test(t, keys_that_ended);
	tcase_add_test(t, effects_end_what_they_name);
	tcase_add_test(t, tables_of_routes);
	tcase_add_test(t, plain_sessions_name_devices);
	tcase_add_test(t, auth_none_changes_and_ends);
	tcase_add_test(t, devices_are_nothing_to_each_other);
	tcase_add_test(t, scopes_bound_what_is_seen_and_done);
	tcase_add_test(t, a_scope_holds_for_what_its_name_made_before);
	tcase_add_test(t, answers_are_not_repeated_to_an_heir);
	tcase_add_test(t, jobs_are_not_left_to_an_heir);
	tcase_add_test(t, jobs_of_a_scope_are_listed);
	tcase_add_test(t, an_author_reads_of_no_device);
	tcase_add_test(t, windows_of_rollouts_are_as_the_rollouts);
	tcase_add_test(t, a_token_grants_one_answer);
	return t;
}

int main(void)
{
	Suite *s = suite_create("service auth");

	suite_add_tcase(s, cases());
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
