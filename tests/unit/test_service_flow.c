/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/seen.h"
#include "service_rig.h"

/* The main job through the route table: in by an author, out to devices, and what they say. */

#define KEY_A "000102030405060708090a0b0c0d0e0f"
#define REGISTER                                                                           \
	"{\"boot\":%d,\"counter\":1,\"manufacturer\":\"acme.example\",\"model\":\"lamp\"," \
	"\"components\":[{\"name\":\"main\",\"version\":\"%s\",\"sequence\":\"%d\"}]}"

static struct rig r;

static void setup(void)
{
	rig_make(&r);
}

static void teardown(void)
{
	rig_remove(&r);
}

static unsigned put(uint64_t s, const char *path, const char *json)
{
	return rig_ask(
		&r,
		&(struct ask){ .session = s, .method = METHOD_PUT, .path = path, .json = json });
}

static void registers(uint64_t s, int boot, const char *version, int sequence)
{
	char json[512];

	ck_assert_int_eq(text_format(json, sizeof(json), REGISTER, boot, version, sequence), 0);
	ck_assert_uint_eq(put(s, "/device/a", json), 200);
	ck_assert_int_eq(rig_int(&r, "now"), r.now.wall / 1000);
	ck_assert_int_gt(rig_int(&r, "ask_again"), 0);
}

START_TEST(update_of_a_device)
{
	char json[256], path[160], hex[DIGEST_TEXT];
	struct ask get = { .method = METHOD_GET, .path = "/device/a/update", .accept = MEDIA_JSON };

	rig_device(&r, "a", KEY_A);
	rig_release(&r, "lamp-1", 5);
	uint64_t s = get.session = rig_psk(&r, "a");
	ck_assert_uint_ne(s, 0);
	registers(s, 1, "0.9", 1);
	ck_assert_uint_eq(rig_ask(&r, &get), 200);
	ck_assert_int_eq(rig_int(&r, "update"), -1);
	ck_assert_int_eq(r.rs.max_age, rig_int(&r, "ask_again"));
	rig_rollout(&r, "one", "lamp-1", "all");

	/* an offer, the same until it is decided */
	ck_assert_uint_eq(rig_ask(&r, &get), 200);
	int64_t id = rig_int(&r, "update");
	ck_assert_int_gt(id, 0);
	ck_assert_str_eq(rig_text(&r, "release"), "lamp-1");
	ck_assert_str_eq(rig_text(&r, "state"), "offered");
	ck_assert_ptr_nonnull(rig_at(&r, "manifest")); /* it is small */
	digest_text(hex, &r.manifest);
	ck_assert_str_eq(rig_text(&r, "manifest_digest"), hex);
	struct etag tag = r.rs.etag;
	r.now.wall += 5000;
	get.if_none_match = tag;
	ck_assert_uint_eq(rig_ask(&r, &get), 304);
	ck_assert_uint_eq(r.rs.body.n, 0);
	ck_assert_int_gt(r.rs.max_age, 0);
	ck_assert(etag_matches(&r.rs.etag, &tag));

	/* the answer of another second has a tag of its own, and is as good as the first */
	get.if_none_match.n = 0;
	ck_assert_uint_eq(rig_ask(&r, &get), 200);
	ck_assert(!etag_matches(&r.rs.etag, &tag));
	get.if_none_match = r.rs.etag;
	ck_assert_uint_eq(rig_ask(&r, &get), 304);
	ck_assert(etag_matches(&r.rs.etag, &get.if_none_match));
	get.if_none_match.b[4] ^= 1;
	ck_assert_uint_eq(rig_ask(&r, &get), 200);

	/* its objects are granted to this session */
	digest_text(hex, &r.image);
	ck_assert_int_eq(text_format(path, sizeof(path), "/image/%s", hex), 0);
	ck_assert_uint_eq(rig_get(&r, s, path), 200);
	ck_assert(r.rs.has_object && r.oc.has_grant);
	ck_assert(digest_eq(&r.oc.grant.object, &r.image));
	ck_assert_uint_eq(r.oc.grant.session, s);
	ck_assert_str_eq(r.oc.grant.path, path);
	ck_assert_int_eq(r.oc.grant.lifetime_ms, 600000);
	ck_assert_uint_eq(rig_get(&r, s, "/lamp-1.bin"), 200);
	ck_assert(digest_eq(&r.rs.object, &r.image));

	/* what it decides and reports */
	ck_assert_int_eq(text_format(json, sizeof(json),
				     "{\"boot\":1,\"counter\":2,\"update\":%d,"
				     "\"decision\":\"accept\"}",
				     (int)id),
			 0);
	ck_assert_uint_eq(rig_post(&r, s, "/device/a/decision", json), 200);
	ck_assert_ptr_nonnull(rig_at(&r, "fetch"));
	ck_assert_uint_eq(rig_post(&r, s, "/device/a/decision", json), 200);
	ck_assert_ptr_nonnull(rig_at(&r, "duplicate"));
	ck_assert_uint_eq(rig_post(&r, s, "/d/a/report",
				   "{\"boot\":1,\"counter\":3,\"state\":\"rebooting\"}"),
			  200);
	ck_assert_str_eq(rig_text(&r, "state"), "rebooting");
	registers(s, 2, "1.0.0", 5);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a"), 200);
	ck_assert_str_eq(rig_text(&r, "update.state"), "succeeded");
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/rollouts/one"), 200);
	ck_assert_int_eq(rig_int(&r, "counters.succeeded"), 1);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a/history"), 200);
	ck_assert_str_eq(rig_text(&r, "items.0.from"), "planned");
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a/why"), 200);
	ck_assert_ptr_nonnull(rig_at(&r, "gates.0.gate"));
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/audit/verify"), 200);
	ck_assert(rig_at(&r, "whole")->v.b);
}
END_TEST

/* The operator's word is for a clock that is not trusted, and audited. */
START_TEST(a_clock_is_accepted)
{
	struct audit last[8];
	int64_t word = 0;

	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/clock/accept", NULL), 200);
	ck_assert(rig_at(&r, "clock.trusted")->v.b);
	ck_assert_int_eq(store_meta_get_int(r.bed.st, "clock_accepted", &word, NULL), 0);
	ck_assert_int_eq(store_meta_put_int(r.bed.st, "track_wall", r.now.wall + 1, NULL), 0);
	r.now.wall_trusted = false;
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/status"), 200);
	ck_assert(!rig_at(&r, "clock.trusted")->v.b);
	ck_assert_str_eq(rig_text(&r, "clock.reason"), "it is behind the last committed time");
	r.now.wall += 2;
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/status"), 200);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "clock.reason"), "stepped"));
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/clock/accept", NULL), 200);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "clock.reason"), "accepted"));
	ck_assert_int_eq(store_meta_get_int(r.bed.st, "clock_accepted", &word, NULL), 1);
	ck_assert_int_eq(word, r.now.wall);
	ck_assert_int_eq(store_audit_list(r.bed.st, 0, 8, last, NULL), 1);
	ck_assert_str_eq(last[0].verb, "clock.accept");
	ck_assert_str_eq(last[0].who, "uid:0");
}
END_TEST

/* The chain is checked in pages, and what breaks it is named wherever it is. */
START_TEST(the_audit_log_is_checked_in_pages)
{
	struct audit a = { .at = 1, .who = "uid:0", .verb = "x", .object = "y", .detail = "z" };
	int64_t rows = 0;
	int pages = 0;

	ck_assert_int_eq(store_batch_begin(r.bed.st, NULL), 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(store_audit_add(r.bed.st, &a, NULL), 0);
	ck_assert_int_eq(store_batch_commit(r.bed.st, NULL), 0);
	for (char cursor[24] = "0"; cursor[0]; pages++) {
		char query[40];

		ck_assert_int_eq(text_format(query, sizeof(query), "cursor=%s", cursor), 0);
		ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
							     .method = METHOD_GET,
							     .path = "/api/v1/audit/verify",
							     .query = query }),
				  200);
		ck_assert(rig_at(&r, "whole")->v.b);
		rows = rig_int(&r, "rows");
		ck_assert_int_eq(text_copy(cursor, sizeof(cursor), rig_text(&r, "next")), 0);
	}
	ck_assert_int_eq(rows, 1000);
	ck_assert_int_ge(pages, 2);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_GET,
						     .path = "/api/v1/audit/verify",
						     .query = "cursor=5000" }),
			  200);
	ck_assert(!rig_at(&r, "whole")->v.b);
	ck_assert_int_eq(rig_int(&r, "first_bad"), 5000);
}
END_TEST

START_TEST(a_poll_writes_nothing)
{
	rig_device(&r, "a", KEY_A);
	uint64_t s = rig_psk(&r, "a");
	struct request rq = { .session = s,
			      .method = METHOD_GET,
			      .path = slice_str("/device/a/update"),
			      .content_format = MEDIA_NONE,
			      .accept = MEDIA_NONE,
			      .want_body = true };

	registers(s, 1, "0.9", 1);
	ck_assert_int_eq(store_batch_begin(r.bed.st, NULL), 0);
	store_handler_begin(r.bed.st);
	service_request(r.sv, LANE_NETWORK, &rq, &r.now, &r.arena, &r.rs, &r.oc, &r.keep);
	ck_assert_uint_eq(r.rs.status, 200);
	ck_assert_int_eq(r.rs.media, MEDIA_CBOR); /* CoAP's default */
	ck_assert(!store_batch_dirty(r.bed.st));
	ck_assert_int_eq(store_handler_end(r.bed.st, r.keep, NULL), 0);
	ck_assert_int_eq(store_batch_commit(r.bed.st, NULL), 0);
}
END_TEST

static void jobs_slice_of_now(void)
{
	int64_t next;

	arena_reset(&r.arena);
	effects_clear(r.fx);
	ck_assert_int_ge(service_jobs(r.sv, &r.now, &r.arena, r.fx, 10000, &next, NULL), 0);
}

/* What a poll does not write is in its row minutes later, also of who never registered. */
START_TEST(polls_are_seen_later)
{
	struct device_live before, l;

	rig_device(&r, "a", KEY_A);
	rig_device(&r, "n", NULL);
	uint64_t s = rig_psk(&r, "a"), plain = rig_plain(&r);

	registers(s, 1, "0.9", 1);
	ck_assert_int_eq(store_live_get(r.bed.st, 1, &before, NULL), 1);
	r.now.wall += 1000;
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(rig_get(&r, s, "/device/a/update"), 200);
	ck_assert_uint_eq(rig_get(&r, plain, "/device/n/update"), 200);
	r.now.wall += 5000;
	r.now.track += SEEN_EVERY_MS - 1;
	jobs_slice_of_now();
	ck_assert_int_eq(store_live_get(r.bed.st, 1, &l, NULL), 1);
	ck_assert_int_eq(l.last_seen, before.last_seen);
	r.now.track++;
	jobs_slice_of_now();
	jobs_slice_of_now();
	ck_assert_int_eq(store_live_get(r.bed.st, 1, &l, NULL), 1);
	ck_assert_int_eq(l.last_seen, before.last_seen + 1000);
	ck_assert_int_eq(l.polls, 3);
	ck_assert_int_eq(l.n_boots, 1); /* the rest stays */
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/n"), 200);
	ck_assert_int_eq(rig_int(&r, "polls"), 1);
	ck_assert_str_ne(rig_text(&r, "last_seen"), "");
	/* an older hint takes nothing back, and one of a device that is gone harms nothing */
	const struct now old = { .wall = l.last_seen + 5, .track = 1 };
	ck_assert_int_eq(store_live_seen(r.bed.st, 1, &old, 1, NULL), 0);
	ck_assert_int_eq(store_live_get(r.bed.st, 1, &l, NULL), 1);
	ck_assert_int_eq(l.last_seen, before.last_seen + 1000);
	ck_assert_int_eq(store_live_seen(r.bed.st, 4711, &old, 1, NULL), 0);
	ck_assert_int_eq(store_live_get(r.bed.st, 4711, &l, NULL), 0);
}
END_TEST

/* Everyone comes out once, with the newest time; what does not fit is left out. */
START_TEST(the_set_of_the_seen)
{
	static bool out[3 * SEEN_MAX];
	struct seen s = { 0 };
	struct seen_entry some[100];
	size_t n, all = 0;

	memset(out, 0, sizeof(out));
	ck_assert(!seen_due(&s, 1 << 30));
	ck_assert_uint_eq(seen_take(&s, 1, some, 100), 0);
	for (int64_t dev = 1; dev <= 2 * (int64_t)SEEN_MAX; dev += 2) {
		seen_note(&s, dev, 7, 1000);
		seen_note(&s, dev, 8, 2000);
	}
	seen_note(&s, 3 * (int64_t)SEEN_MAX - 1, 9, 2000); /* no room */
	ck_assert_uint_eq(s.n, SEEN_MAX);
	ck_assert(!seen_due(&s, 1000 + SEEN_SOON_MS - 1));
	ck_assert(seen_due(&s, 1000 + SEEN_SOON_MS));
	while (seen_due(&s, 1000 + SEEN_SOON_MS)) {
		n = seen_take(&s, 1000 + SEEN_SOON_MS, some, 100);
		for (size_t i = 0; i < n; i++) {
			ck_assert(!out[some[i].dev]);
			out[some[i].dev] = true;
			ck_assert_int_eq(some[i].wall, 8);
			ck_assert_int_eq(some[i].track, 2000);
			ck_assert_uint_eq(some[i].polls, 2);
		}
		/* who comes meanwhile waits, or goes along */
		for (int i = 0; i < 2 && all < 1000; i++)
			seen_note(&s, 2 * (int64_t)SEEN_MAX + 2 * (int64_t)all, 8, 2000);
		all += n;
	}
	for (int64_t dev = 1; dev <= 2 * (int64_t)SEEN_MAX; dev += 2)
		ck_assert(out[dev]);
	ck_assert(!out[3 * SEEN_MAX - 1]);
	seen_free(&s);
}
END_TEST

START_TEST(observing_reserves_nothing)
{
	struct ask get = { .method = METHOD_GET, .path = "/device/a/update", .observe = true };

	rig_device(&r, "a", KEY_A);
	rig_release(&r, "lamp-1", 5);
	get.session = rig_psk(&r, "a");
	registers(get.session, 1, "0.9", 1);
	rig_rollout(&r, "one", "lamp-1", "all");
	ck_assert_uint_eq(rig_ask(&r, &get), 200);
	ck_assert(r.rs.observing);
	ck_assert(rig_at(&r, "look") && rig_at(&r, "look")->v.b);
	ck_assert_int_eq(rig_int(&r, "update"), -1);
	ck_assert_uint_eq(r.rs.etag.n, 0);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/rollouts/one"), 200);
	ck_assert_int_eq(rig_int(&r, "counters.in_flight"), 0);
}
END_TEST

START_TEST(published_for_anyone)
{
	char path[160], hex[DIGEST_TEXT];

	rig_release(&r, "lamp-1", 5);
	uint64_t s = rig_plain(&r);
	digest_text(hex, &r.image);
	ck_assert_int_eq(text_format(path, sizeof(path), "/image/%s", hex), 0);
	ck_assert_uint_eq(rig_get(&r, s, path), 404);
	ck_assert(!r.oc.has_grant);
	ck_assert_uint_eq(rig_get(&r, s, "/lamp-1.bin"), 404);
	ck_assert_uint_eq(rig_get(&r, s, "/.well-known/firmware/acme.example/lamp/manifest.suit"),
			  404);
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/releases/lamp-1/publish", NULL), 200);
	ck_assert_uint_eq(rig_get(&r, s, path), 200);
	ck_assert(r.oc.has_grant);
	ck_assert_uint_eq(r.oc.grant.session, 0); /* an image by its digest: public */
	ck_assert_uint_eq(rig_get(&r, s, "/lamp-1.bin"), 200);
	ck_assert_uint_eq(r.oc.grant.session, s); /* a path may mean something else to another */
	ck_assert_uint_eq(rig_get(&r, s, "/.well-known/firmware/acme.example/lamp/manifest.suit"),
			  200);
	ck_assert(digest_eq(&r.rs.object, &r.manifest));
	ck_assert_int_eq(r.rs.media, MEDIA_SUIT_ENVELOPE);
	ck_assert_uint_eq(rig_get(&r, s, "/.wellknown/manifest/acme.example/lamp/manifest"), 200);
	ck_assert_uint_eq(rig_get(&r, s, "/.well-known/firmware/acme.example/other/manifest.suit"),
			  404);
	digest_text(hex, &r.manifest);
	ck_assert_int_eq(text_format(path, sizeof(path), "/manifest/%s", hex), 0);
	ck_assert_uint_eq(rig_get(&r, s, path), 200);
	ck_assert_uint_eq(r.oc.grant.session, s);
	ck_assert_uint_eq(rig_get(&r, s, "/.well-known/core"), 200);
	ck_assert_ptr_nonnull(memmem(r.rs.body.p, r.rs.body.n, "rt=\"suit.manifest\"", 18));
	ck_assert_ptr_nonnull(
		memmem(r.rs.body.p, r.rs.body.n, "</.well-known/firmware/acme.ex", 30));
	ck_assert_ptr_nonnull(
		memmem(r.rs.body.p, r.rs.body.n, "</.well-known/manifest/acme.ex", 30));
	struct ask core = { .session = s,
			    .method = METHOD_GET,
			    .path = "/.well-known/core",
			    .query = "rt=fettle.im*" };
	ck_assert_uint_eq(rig_ask(&r, &core), 200);
	ck_assert_ptr_null(memmem(r.rs.body.p, r.rs.body.n, "suit.manifest", 13));
	ck_assert_ptr_nonnull(memmem(r.rs.body.p, r.rs.body.n, "</image/", 8));
}
END_TEST

/* Published means nothing once the anchor is revoked: not only when the job has come round. */
START_TEST(published_while_it_is_trusted)
{
	char image[160], manifest[160], hex[DIGEST_TEXT];
	const char *const paths[] = { image, manifest, "/lamp-1.bin",
				      "/.well-known/firmware/acme.example/lamp/manifest.suit" };
	uint64_t s = rig_plain(&r);

	rig_release(&r, "lamp-1", 5);
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/releases/lamp-1/publish", NULL), 200);
	digest_text(hex, &r.image);
	ck_assert_int_eq(text_format(image, sizeof(image), "/image/%s", hex), 0);
	digest_text(hex, &r.manifest);
	ck_assert_int_eq(text_format(manifest, sizeof(manifest), "/manifest/%s", hex), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		ck_assert_uint_eq(rig_get(&r, s, paths[i]), 200);
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/anchors/1/revoke", NULL), 200);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ck_assert_uint_eq(rig_get(&r, s, paths[i]), 404);
		ck_assert(!r.oc.has_grant);
	}
	ck_assert_uint_eq(rig_get(&r, s, "/.well-known/core"), 200);
	ck_assert_ptr_null(memmem(r.rs.body.p, r.rs.body.n, "</image/", 8));
}
END_TEST

static bool core_has(uint64_t s, const char *word)
{
	ck_assert_uint_eq(rig_get(&r, s, "/.well-known/core"), 200);
	return memmem(r.rs.body.p, r.rs.body.n, word, strlen(word)) != NULL;
}

/* The links are kept from one asker to the next, but no longer than the rows stand. */
START_TEST(links_follow_the_rows)
{
	struct bed *bed = &r.bed;
	uint64_t s = rig_plain(&r);
	struct release one;
	int64_t version, other;
	struct err e = { 0 };

	rig_release(&r, "one", 1);
	ck_assert(!core_has(s, "</image/"));
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/releases/one/publish", NULL), 200);
	ck_assert(core_has(s, "</image/"));
	ck_assert(!core_has(s, "openapi"));
	ck_assert(core_has(r.root, "openapi")); /* what is shown only to some is not kept */
	ck_assert(!core_has(s, "openapi"));
	/* rows that do not say they changed are not looked at again at once */
	bed_sql(bed, "fettle.db", "UPDATE releases SET published = 0");
	ck_assert(core_has(s, "</image/"));
	r.now.track += 1000;
	ck_assert(!core_has(s, "</image/"));
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/releases/one/publish", NULL), 200);
	ck_assert(core_has(s, "</image/"));
	/* what was rolled back leaves nothing behind */
	ck_assert_int_eq(store_goods_version(bed->st, &version, &e), 0);
	ck_assert_int_eq(store_release_by_name(bed->st, "one", &one, &e), 1);
	ck_assert_int_eq(store_batch_begin(bed->st, &e), 0);
	one.published = false;
	ck_assert_int_eq(store_release_put(bed->st, &one, &e), 0);
	ck_assert_int_eq(store_goods_version(bed->st, &other, &e), 0);
	ck_assert_int_ne(other, version);
	store_batch_abandon(bed->st);
	ck_assert(core_has(s, "</image/"));
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/anchors/1/revoke", NULL), 200);
	ck_assert(!core_has(s, "</image/"));
}
END_TEST

START_TEST(repeats_with_a_key)
{
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/tokens",
			 .key = "k1",
			 .json = "{\"name\":\"ci\",\"role\":\"viewer\"}" };
	char location[PATH_MAX_LEN];

	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	ck_assert_uint_gt(strlen(rig_text(&r, "token")), 40);
	ck_assert_int_eq(text_copy(location, sizeof(location), r.rs.location), 0);
	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	ck_assert_str_eq(r.rs.location, location);
	ck_assert_str_eq(rig_text(&r, "name"), "ci");
	ck_assert_str_eq(rig_text(&r, "token"), ""); /* shown once */
	a.json = "{\"name\":\"other\",\"role\":\"viewer\"}";
	ck_assert_uint_eq(rig_ask(&r, &a), 409);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/tokens"), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "items")), 1);
}
END_TEST

/* Answers kept for repeats, and members of groups that are gone, do not stay for ever. */
START_TEST(what_has_served_is_swept)
{
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/groups",
			 .key = "k",
			 .json = "{\"name\":\"lab\"}" };
	struct err e = { 0 };

	rig_device(&r, "lamp", NULL);
	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 0);
	a.method = METHOD_PUT;
	a.path = "/api/v1/groups/lab/devices/lamp";
	a.json = NULL;
	ck_assert_uint_eq(rig_ask(&r, &a), 204);
	a.method = METHOD_DELETE;
	a.path = "/api/v1/groups/lab";
	ck_assert_uint_eq(rig_ask(&r, &a), 204);
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 1);
	r.now.wall += INT64_C(8) * 86400000;
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 1);
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 0);
	/* what a removed device was known by, when no ticket of it is good any more */
	rig_device(&r, "key", "000102030405060708090a0b0c0d0e0f");
	a.path = "/api/v1/devices/key";
	ck_assert_uint_eq(rig_ask(&r, &a), 204);
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 0);
	r.now.wall += 3 * 3600 * 1000;
	r.now.wall_trusted = false;
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 0);
	r.now.wall_trusted = true;
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 1);
	ck_assert_int_eq(service_sweep(r.sv, &r.now, &e), 0);
}
END_TEST

START_TEST(versions_and_conditions)
{
	struct ask patch = {
		.session = r.root,
		.method = METHOD_PATCH,
		.path = "/api/v1/devices/a",
		.json = "{\"model\":\"lamp\",\"tags\":[\"lab\"],\"attributes\":{\"hw\":3}}"
	};

	rig_device(&r, "a", NULL);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/a"), 200);
	struct etag first = r.rs.etag;
	ck_assert_uint_eq(first.n, 32);
	ck_assert_uint_eq(rig_ask(&r, &(struct ask){ .session = r.root,
						     .method = METHOD_GET,
						     .path = "/api/v1/devices/a",
						     .if_none_match = first }),
			  304);
	patch.if_match = first;
	ck_assert_uint_eq(rig_ask(&r, &patch), 200);
	ck_assert_str_eq(rig_text(&r, "tags.0"), "lab");
	ck_assert_int_eq(rig_int(&r, "attributes.hw"), 3);
	ck_assert(!etag_matches(&first, &r.rs.etag));
	ck_assert_uint_eq(rig_ask(&r, &patch), 412);
	ck_assert_str_eq(rig_text(&r, "type"), "urn:fettle:precondition");
}
END_TEST

static void assert_version(const char *path, const char *verb)
{
	struct ask get = { .session = r.root, .method = METHOD_GET, .path = path };
	struct ask post = { .session = r.root, .method = METHOD_POST, .path = verb };

	ck_assert_uint_eq(rig_ask(&r, &get), 200);
	get.if_none_match = post.if_match = r.rs.etag;
	ck_assert_uint_eq(get.if_none_match.n, 32);
	ck_assert_uint_eq(rig_ask(&r, &get), 304);
	ck_assert_uint_eq(rig_ask(&r, &post), 200);
	ck_assert(!etag_matches(&r.rs.etag, &post.if_match));
	ck_assert_uint_eq(rig_ask(&r, &get), 200);
	ck_assert_uint_eq(rig_ask(&r, &post), 412);
}

START_TEST(versions_of_all_kinds)
{
	rig_device(&r, "lamp", NULL);
	rig_release(&r, "one", 1);
	rig_rollout(&r, "go", "one", "all");
	assert_version("/api/v1/rollouts/go", "/api/v1/rollouts/1/pause");
	assert_version("/api/v1/releases/one", "/api/v1/releases/one/publish");
	assert_version("/api/v1/anchors/1", "/api/v1/anchors/1/revoke");
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/tokens",
				   "{\"name\":\"ci\",\"role\":\"viewer\"}"),
			  201);
	struct ask revoke = { .session = r.root,
			      .method = METHOD_POST,
			      .path = "/api/v1/tokens/1/revoke",
			      .if_match = r.rs.etag };
	ck_assert_uint_eq(r.rs.etag.n, 32);
	ck_assert_uint_eq(rig_ask(&r, &revoke), 200);
	ck_assert_uint_eq(rig_ask(&r, &revoke), 412);
}
END_TEST

START_TEST(import_names_every_bad_line)
{
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_NDJSON };

	a.body = slice_str("{\"id\":\"x1\"}\n{\"id\":\"bad id\"}\nnonsense\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 2);
	ck_assert_int_eq(rig_int(&r, "errors.1.line"), 3);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/x1"), 404);
	a.format = MEDIA_CSV;
	a.body = slice_str(
		"id,auth,tags,attr.hw,model\nx1,none,lab north,3,\"la\"\"mp\"\nx2,credential,,,\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	ck_assert_str_eq(r.rs.location, "/api/v1/jobs/1");
	ck_assert_int_eq(rig_int(&r, "job.total"), 2);
	/* nothing long in a batch: the rows come with the job */
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/x1"), 404);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/jobs/1"), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "done");
	ck_assert_int_eq(rig_int(&r, "done"), 2);
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 0);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/x1"), 200);
	ck_assert_str_eq(rig_text(&r, "model"), "la\"mp");
	ck_assert_uint_eq(doc_count(rig_at(&r, "tags")), 2);
}
END_TEST

/* As many as one document may hold; of a scope's, as many as there is room for. */
START_TEST(import_names_a_thousand_bad_lines)
{
	char *token = rig_token(&r, "lab", "operator", "tag == lab");
	struct ask a = { .session = rig_tls(&r),
			 .method = METHOD_POST,
			 .token = token,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_CSV };
	struct buf b = BUF_INIT(BODY_MAX_LEN);

	buf_add_str(&b, "id,model\n");
	for (int i = 0; i < 1001; i++)
		buf_add_str(&b, "twice,\n");
	a.body = buf_slice(&b);
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 1000);
	ck_assert_int_eq(rig_int(&r, "errors.999.before"), 2);
	ck_assert_str_eq(rig_text(&r, "detail"), "1000 bad lines; nothing was enrolled");
	buf_reset(&b);
	buf_add_str(&b, "id\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "d%d\n", i);
	a.body = buf_slice(&b);
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/jobs/1"), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "failed");
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 1000);
	buf_free(&b);
	free(token);
}
END_TEST

/* What is wrong with a column is said once, where it is; who is named twice, with both lines. */
START_TEST(import_names_columns_and_repeats)
{
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_CSV };

	a.body = slice_str("id,colour,model\nx1,red,lamp\nx2,blue,lamp\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 1);
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 1);
	ck_assert_str_eq(rig_text(&r, "errors.0.detail"),
			 "head line: column 2: a device has no \"colour\"");
	a.body = slice_str("id,attr.a b\nx1,1\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 1);
	a.body = slice_str("id,model\nx1,lamp\n\nx2,lamp\nx1,lamp\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 1);
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 5);
	ck_assert_int_eq(rig_int(&r, "errors.0.before"), 2);
	ck_assert_str_eq(rig_text(&r, "errors.0.detail"), "device x1 is named twice");
	/* a name that is cut to be shown leaves no half of a letter in the answer */
	a.format = MEDIA_NDJSON;
	a.body = slice_str(
		"{\"id\":\"x\",\"a\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\":1}\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert(text_is_utf8(r.rs.body));
	/* where in its line, not in which line of that one */
	a.body = slice_str("{\"id\":\"x1\"}\n{\"id\":}\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 2);
	ck_assert_ptr_null(strstr(rig_text(&r, "errors.0.detail"), "line"));
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "errors.0.detail"), "at byte 7"));
	a.format = MEDIA_CSV;
	/* in another character set it could be kept, and nobody could read it in any answer */
	a.body = slice_str("id,model\nx1,l\xe4mp\nx2,l\xc3\xa4mp\n\"\xff\",x\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 2);
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 2);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "errors.0.detail"), "UTF-8"));
	/* nor is it one where every other byte is NUL, whatever the fields' lengths are */
	a.body = slice_of("i\0d\0\n\0x\0", 8);
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "errors.0.detail"), "UTF-8"));
	a.body = slice_of("id,model\nx1,la\0mp\n", 18);
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "errors.0.detail"), "UTF-8"));
	a.body = slice_str("id,m\xf6"
			   "del\nx1,lamp\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "errors.0.detail"), "UTF-8"));
	/* what stands behind a closed quote belongs to no field */
	a.body = slice_str("id,model\n\"x\"1,lamp\nx2,\"la\"\"mp\"\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 422);
	ck_assert_uint_eq(doc_count(rig_at(&r, "errors")), 1);
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 2);
	/* programs leave a column without a name behind; nothing is in it */
	a.body = slice_str("id,\nx1,\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
}
END_TEST

/* Many lines: each slice is short, and a crash between two loses nothing and adds nothing twice. */
START_TEST(import_in_slices)
{
	struct buf b = BUF_INIT(BODY_MAX_LEN);
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_CSV };
	struct err e = { 0 };
	int64_t devices, next;
	int slices = 0;

	buf_add_str(&b, "id,tags\n");
	for (int i = 0; i < 1900; i++)
		buf_printf(&b, "d%d,a b\n", i);
	a.body = buf_slice(&b);
	ck_assert(!b.failed);
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	while (service_jobs(r.sv, &r.now, &r.arena, r.fx, 1, &next, &e) > 0) {
		arena_reset(&r.arena);
		if (slices++ == 3)
			rig_restart(&r);
	}
	r.root = rig_local(&r, 0);
	ck_assert_int_gt(slices, 5);
	ck_assert_int_eq(store_device_count(r.bed.st, &devices, &e), 0);
	ck_assert_int_eq(devices, 1900);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/jobs/1"), 200);
	ck_assert_int_eq(rig_int(&r, "done"), 1900);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/d1899"), 200);
	buf_free(&b);
}
END_TEST

/* A slice with time for all of it ends before its memory does. */
START_TEST(import_in_little_memory)
{
	struct buf b = BUF_INIT(BODY_MAX_LEN);
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_CSV };
	struct err e = { 0 };
	int slices = 1, rc;
	int64_t next = 0;
	struct job j;

	buf_add_str(&b, "id,tags\n");
	for (int i = 0; i < 1900; i++)
		buf_printf(&b, "d%d,a b\n", i);
	a.body = buf_slice(&b);
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	arena_reset(&r.arena);
	r.arena.max = 512u << 10;
	while ((rc = service_jobs(r.sv, &r.now, &r.arena, r.fx, 60000000, &next, &e)) > 0) {
		ck_assert_int_eq(store_job_get(r.bed.st, 1, &j, &e), 1);
		ck_assert_int_eq(j.tries, 0);
		arena_reset(&r.arena);
		slices++;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(next, 0);
	ck_assert_int_eq(store_job_get(r.bed.st, 1, &j, &e), 1);
	ck_assert_int_eq(j.state, JOB_DONE);
	ck_assert_int_eq(j.done, 1900);
	ck_assert_int_gt(slices, 2);
	buf_free(&b);
}
END_TEST

/* What became untrue since it was checked is named by the job; the rest is enrolled. */
START_TEST(import_races)
{
	struct ask a = { .session = r.root,
			 .method = METHOD_POST,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_NDJSON };

	a.body = slice_str("{\"id\":\"x1\"}\n{\"id\":\"x2\"}\n{\"id\":\"x3\"}\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_device(&r, "x2", NULL);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/jobs/1"), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "failed");
	ck_assert_str_eq(rig_text(&r, "result"), "2 of 3 enrolled");
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 2);
	ck_assert_ptr_nonnull(strstr(rig_text(&r, "errors.0.detail"), "x2 exists already"));
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/x3"), 200);
}
END_TEST

/* All of it inside the asker's scope, or nothing of it is enrolled. */
START_TEST(import_within_a_scope)
{
	char *token = rig_token(&r, "lab", "operator", "tag == lab");
	struct ask a = { .session = rig_tls(&r),
			 .method = METHOD_POST,
			 .token = token,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_CSV };
	int64_t devices;

	a.body = slice_str("id,tags\nx1,lab\nx2,home\nx3,lab\n\nx4,\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/jobs/1"), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "failed");
	ck_assert_int_eq(rig_int(&r, "errors.0.line"), 3);
	ck_assert_int_eq(rig_int(&r, "errors.1.line"), 6);
	ck_assert_int_eq(store_device_count(r.bed.st, &devices, NULL), 0);
	ck_assert_int_eq(devices, 0);
	/* a slice that ended with the last line tried: what it found is not forgotten */
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	struct job j;
	ck_assert_int_eq(store_job_get(r.bed.st, 2, &j, NULL), 1);
	j.cursor = (int64_t)a.body.n;
	ck_assert_int_eq(store_batch_begin(r.bed.st, NULL), 0);
	ck_assert_int_eq(store_job_put(r.bed.st, &j, NULL), 0);
	ck_assert_int_eq(store_job_input_errors(r.bed.st, 2, slice_str("3\tno\n"), NULL), 0);
	ck_assert_int_eq(store_batch_commit(r.bed.st, NULL), 0);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/jobs/2"), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "failed");
	ck_assert_int_eq(store_device_count(r.bed.st, &devices, NULL), 0);
	ck_assert_int_eq(devices, 0);
	a.body = slice_str("id,tags\nx1,lab\nx3,lab\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/jobs/3"), 200);
	ck_assert_str_eq(rig_text(&r, "state"), "done");
	ck_assert_int_eq(rig_int(&r, "done"), 2);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/audit"), 200);
	ck_assert_str_eq(rig_text(&r, "items.1.verb"), "device.add");
	ck_assert_str_eq(rig_text(&r, "items.1.who"), "token:lab");
	free(token);
}
END_TEST

/* Who is only tried takes no place in a rollout: nobody would ever be there to fill it. */
START_TEST(import_tries_without_a_trace)
{
	char *token = rig_token(&r, "lab", "operator", "tag == lab");
	struct ask a = { .session = rig_tls(&r),
			 .method = METHOD_POST,
			 .token = token,
			 .path = "/api/v1/devices/import",
			 .format = MEDIA_CSV };

	rig_device(&r, "d", NULL);
	rig_release(&r, "lamp-1", 5);
	rig_rollout(&r, "one", "lamp-1", "all");
	a.body = slice_str("id,tags\nx1,lab\nx2,home\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/rollouts/one"), 200);
	ck_assert_int_eq(rig_int(&r, "counters.total"), 1);
	ck_assert_int_eq(rig_int(&r, "counters.planned"), 1);
	a.body = slice_str("id,tags\nx1,lab\nx2,lab\n");
	ck_assert_uint_eq(rig_ask(&r, &a), 202);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/rollouts/one"), 200);
	ck_assert_int_eq(rig_int(&r, "counters.total"), 3);
	ck_assert_int_eq(rig_int(&r, "counters.planned"), 3);
	free(token);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service flow");
	TCase *t = tcase_create("flow");
	tcase_set_timeout(t, 60);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, update_of_a_device);
	tcase_add_test(t, a_clock_is_accepted);
	tcase_add_test(t, the_audit_log_is_checked_in_pages);
	tcase_add_test(t, a_poll_writes_nothing);
	tcase_add_test(t, polls_are_seen_later);
	tcase_add_test(t, the_set_of_the_seen);
	tcase_add_test(t, observing_reserves_nothing);
	tcase_add_test(t, published_for_anyone);
	tcase_add_test(t, published_while_it_is_trusted);
	tcase_add_test(t, links_follow_the_rows);
	tcase_add_test(t, repeats_with_a_key);
	tcase_add_test(t, what_has_served_is_swept);
	tcase_add_test(t, versions_and_conditions);
	tcase_add_test(t, versions_of_all_kinds);
	tcase_add_test(t, import_names_every_bad_line);
	tcase_add_test(t, import_names_a_thousand_bad_lines);
	tcase_add_test(t, import_names_columns_and_repeats);
	tcase_add_test(t, import_in_slices);
	tcase_add_test(t, import_in_little_memory);
	tcase_add_test(t, import_races);
	tcase_add_test(t, import_within_a_scope);
	tcase_add_test(t, import_tries_without_a_trace);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
