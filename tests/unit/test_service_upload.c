/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service_rig.h"
#include "store/internal.h"

/* Images as they come in: whole, in parts, wrong, too much. */
#define IMAGES "/api/v1/images"

static struct rig r;
static struct upload u;
static struct err e;

static void setup(void)
{
	rig_make(&r);
	memset(&u, 0, sizeof(u));
}

static void teardown(void)
{
	rig_remove(&r);
}

static struct request request(uint64_t s, enum method m, const char *path)
{
	return (struct request){ .id = 7,
				 .session = s,
				 .method = m,
				 .path = slice_str(path),
				 .content_format = MEDIA_OCTETS,
				 .accept = MEDIA_NONE };
}

/* Open, feed, close: the final status. */
static unsigned part(uint64_t s, enum method m, const char *path, struct upload_ask ask,
		     const char *bytes)
{
	struct request rq = request(s, m, path);
	enum lane lane = rig_lane(s);

	arena_reset(&r.arena);
	if (service_upload_open(r.sv, lane, &rq, &ask, &r.now, &r.arena, &u, &r.rs) != 0)
		return r.rs.status;
	if (*bytes)
		ck_assert_msg(service_upload_chunk(r.sv, &u, slice_str(bytes), &e) == 0, "%s",
			      e.text);
	service_upload_close(r.sv, lane, &rq, &ask, &u, &r.now, &r.arena, &r.rs, &r.oc);
	return r.rs.status;
}

START_TEST(whole)
{
	char want[PATH_MAX_LEN], hex[DIGEST_TEXT];
	struct digest d = digest_of("firmware");
	struct upload_ask ask = {
		.has_size = true, .size = 8, .has_digest = true, .digest = d, .complete = -1
	};

	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, "firmware"), 201);
	digest_text(hex, &d);
	ck_assert_int_eq(text_format(want, sizeof(want), IMAGES "/%s", hex), 0);
	ck_assert_str_eq(r.rs.location, want);
	ck_assert_uint_eq(rig_get(&r, r.root, want), 200);
	ck_assert_str_eq(rig_text(&r, "size"), "8");
	ck_assert_str_eq(rig_text(&r, "by"), "uid:0");
	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, "firmware"), 201); /* again */
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/audit"), 200);
	ck_assert_str_eq(rig_text(&r, "items.0.verb"), "image.add");
	ck_assert_uint_eq(
		rig_ask(&r,
			&(struct ask){ .session = r.root, .method = METHOD_DELETE, .path = want }),
		204);
	ck_assert_uint_eq(r.fx->v[0].kind, EFFECT_WITHDRAW);
	ck_assert_uint_eq(rig_get(&r, r.root, want), 404);
}
END_TEST

START_TEST(wrong_bytes_are_not_kept)
{
	struct upload_ask ask = { .has_size = true,
				  .size = 8,
				  .has_digest = true,
				  .digest = digest_of("other"),
				  .complete = -1 };

	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, "firmware"), 422);
	ask.has_digest = false;
	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, "short"), 422);
	ck_assert_uint_eq(rig_get(&r, r.root, IMAGES), 200);
	ck_assert_uint_eq(doc_count(rig_at(&r, "items")), 0);
	ck_assert_int_eq(store_upload_total(r.bed.st), 0);
}
END_TEST

static unsigned begin(const char *path, enum method m, struct upload_ask ask)
{
	struct request rq = request(r.root, m, path);

	arena_reset(&r.arena);
	return service_upload_open(r.sv, LANE_CONTROL, &rq, &ask, &r.now, &r.arena, &u, &r.rs) == 0
		       ? 0
		       : r.rs.status;
}

/* Two at once may not each count on the same room: what is declared is taken. */
START_TEST(declared_is_reserved)
{
	struct upload_ask big = { .has_size = true, .size = 500000, .complete = -1 };
	struct upload_ask later = { .has_offset = true, .complete = 0 };
	char where[PATH_MAX_LEN];
	struct upload first;

	ck_assert_uint_eq(begin(IMAGES, METHOD_POST, big), 0);
	first = u;
	ck_assert_uint_eq(begin(IMAGES, METHOD_POST, big), 0);
	ck_assert_uint_eq(begin(IMAGES, METHOD_POST, big), 507);
	ck_assert_int_eq(store_upload_total(r.bed.st), 1000000);
	/* bytes that come fill what is reserved, durable or not */
	ck_assert_int_eq(service_upload_chunk(r.sv, &first, slice_str("some"), &e), 0);
	ck_assert_int_eq(store_upload_total(r.bed.st), 1000000);
	ck_assert_int_eq(store_upload_sync(r.bed.st, &first, &e), 0);
	ck_assert_int_eq(store_upload_total(r.bed.st), 1000000);
	/* one of unknown size gets what is left, and its size may be said later */
	ck_assert_uint_eq(begin(IMAGES, METHOD_POST, (struct upload_ask){ .complete = 0 }), 0);
	ck_assert_int_eq(text_format(where, sizeof(where), "/api/v1/uploads/%s", u.name), 0);
	later.has_size = true;
	later.size = 48577;
	ck_assert_uint_eq(begin(where, METHOD_PATCH, later), 507);
	later.size = 40000;
	ck_assert_uint_eq(begin(where, METHOD_PATCH, later), 0);
	ck_assert_int_eq(store_upload_total(r.bed.st), 1040000);
	ck_assert_uint_eq(begin(where, METHOD_PATCH, later), 0); /* again: it is counted once */
	ck_assert_int_eq(store_upload_total(r.bed.st), 1040000);
	ck_assert_int_eq(store_upload_drop(r.bed.st, first.id, &e), 0);
	ck_assert_int_eq(store_upload_total(r.bed.st), 540000);
	ck_assert_uint_eq(begin(IMAGES, METHOD_POST, big), 0);
}
END_TEST

START_TEST(in_parts)
{
	char where[PATH_MAX_LEN];
	struct upload_ask ask = { .complete = 0 };

	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, ""), 201);
	ck_assert_int_eq(text_copy(where, sizeof(where), r.rs.location), 0);
	ck_assert(slice_starts(slice_str(where), "/api/v1/uploads/"));
	ask.has_offset = true;
	ck_assert_uint_eq(part(r.root, METHOD_PATCH, where, ask, "firm"), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, where), 200);
	ck_assert_int_eq(rig_int(&r, "offset"), 4);
	ck_assert(!rig_at(&r, "complete")->v.b);
	/* where it stands is said with the refusal */
	ck_assert_uint_eq(part(r.root, METHOD_PATCH, where, ask, "firm"), 409);
	ck_assert_int_eq(r.rs.media, MEDIA_PROBLEM_JSON);
	ck_assert_uint_gt(r.rs.body.n, 0);
	/* Upload-Offset is needed; another may not continue it */
	ask.has_offset = false;
	ck_assert_uint_eq(part(r.root, METHOD_PATCH, where, ask, ""), 422);
	ask = (struct upload_ask){
		.has_offset = true, .offset = 4, .complete = 1, .has_size = true, .size = 8
	};
	char *t = rig_token(&r, "author", "author", NULL);
	struct request rq = request(rig_tls(&r), METHOD_PATCH, where);
	rq.token = slice_str(t);
	ck_assert_int_eq(service_upload_open(r.sv, LANE_NETWORK, &rq, &ask, &r.now, &r.arena, &u,
					     &r.rs),
			 -1);
	ck_assert_uint_eq(r.rs.status, 404);
	free(t);
	ck_assert_uint_eq(part(r.root, METHOD_PATCH, where, ask, "ware"), 201);
	ck_assert_uint_eq(rig_get(&r, r.root, where), 404);
	struct image i;
	struct digest d = digest_of("firmware");
	ck_assert_int_eq(store_image_get(r.bed.st, &d, &i, NULL), 1);
}
END_TEST

START_TEST(given_up)
{
	char where[PATH_MAX_LEN];

	ck_assert_uint_eq(
		part(r.root, METHOD_POST, IMAGES, (struct upload_ask){ .complete = 0 }, "ab"), 201);
	ck_assert_int_eq(text_copy(where, sizeof(where), r.rs.location), 0);
	ck_assert_uint_eq(
		rig_ask(&r,
			&(struct ask){ .session = r.root, .method = METHOD_DELETE, .path = where }),
		204);
	ck_assert_uint_eq(rig_get(&r, r.root, where), 404);
}
END_TEST

START_TEST(too_much)
{
	struct upload_ask ask = { .has_size = true, .size = (1 << 19) + 1, .complete = -1 };

	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, ""), 413);
	ask = (struct upload_ask){ .complete = -1 };
	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, ""), 422); /* how much? */
	/* unfinished uploads together have a bound: what was declared counts */
	ask = (struct upload_ask){ .has_size = true, .size = 1 << 19, .complete = 0 };
	unsigned status = 201, n = 0;
	while (status == 201 && n++ < 10) {
		char *bytes = calloc(1, 60001);
		ck_assert_ptr_nonnull(bytes);
		memset(bytes, 'x', 60000);
		status = part(r.root, METHOD_POST, IMAGES, ask, bytes);
		free(bytes);
	}
	ck_assert_uint_eq(status, 507);
	ck_assert_int_gt(r.rs.retry_after, 0);
}
END_TEST

/* No size said: the bound holds while the bytes come, not only when they have come. */
START_TEST(too_much_of_unknown_size)
{
	static uint8_t piece[1 << 15];
	struct upload_ask ask = { .complete = 0 };
	struct request rq = request(r.root, METHOD_POST, IMAGES);
	int n = 0;

	ck_assert_int_eq(
		service_upload_open(r.sv, LANE_CONTROL, &rq, &ask, &r.now, &r.arena, &u, &r.rs), 0);
	while (service_upload_chunk(r.sv, &u, slice_of(piece, sizeof(piece)), &e) == 0)
		ck_assert_int_lt(n++, 16);
	ck_assert_int_eq(n, 16);
	ck_assert_int_eq(e.code, ERR_TOO_LARGE);
	ck_assert_int_eq(store_upload_total(r.bed.st), 0);
}
END_TEST

START_TEST(where_uploads_go)
{
	struct upload_ask ask = { .has_size = true, .size = 1, .complete = -1 };

	ck_assert_uint_eq(part(r.root, METHOD_POST, "/api/v1/manifests", ask, ""), 405);
	ck_assert_uint_eq(part(r.root, METHOD_POST, "/nowhere", ask, ""), 404);
	ck_assert_uint_eq(part(rig_plain(&r), METHOD_POST, IMAGES, ask, ""), 401);
	ck_assert_uint_eq(part(r.root, METHOD_PATCH, "/api/v1/uploads/none", ask, ""), 404);
	/* as an ordinary request there is nothing to do with it */
	ck_assert_uint_eq(rig_post(&r, r.root, IMAGES, NULL), 422);
}
END_TEST

/* The audit log cannot be written: the image is not there, but what came of it is. */
START_TEST(sealed_once_more)
{
	char where[PATH_MAX_LEN];
	struct upload_ask ask = { .complete = -1, .has_size = true, .size = 4 };
	struct digest d = digest_of("firm");
	struct image i;

	bed_sql(&r.bed, "fettle.db",
		"CREATE TRIGGER broken BEFORE INSERT ON audit "
		"BEGIN SELECT RAISE(ABORT, 'no'); END");
	ck_assert_uint_ge(part(r.root, METHOD_POST, IMAGES, ask, "firm"), 400);
	ck_assert_int_eq(store_image_get(r.bed.st, &d, &i, NULL), 0);
	bed_sql(&r.bed, "fettle.db", "DROP TRIGGER broken");
	ck_assert_int_eq(text_format(where, sizeof(where), "/api/v1/uploads/%s", u.name), 0);
	ck_assert_uint_eq(rig_get(&r, r.root, where), 200);
	ck_assert_int_eq(rig_int(&r, "offset"), 4);
	ck_assert(!rig_at(&r, "complete")->v.b);
	ask = (struct upload_ask){ .complete = 1, .has_offset = true, .offset = 4 };
	ck_assert_uint_eq(part(r.root, METHOD_PATCH, where, ask, ""), 201);
	ck_assert_int_eq(store_image_get(r.bed.st, &d, &i, NULL), 1);
	ck_assert_uint_eq(rig_get(&r, r.root, where), 404);
}
END_TEST

/* Rights that ended while the bytes came do not seal. */
START_TEST(revoked_meanwhile)
{
	struct upload_ask ask = { .has_size = true, .size = 2, .complete = -1 };
	char *t = rig_token(&r, "author", "author", NULL);
	struct request rq = request(rig_tls(&r), METHOD_POST, IMAGES);

	rq.token = slice_str(t);
	ck_assert_int_eq(
		service_upload_open(r.sv, LANE_NETWORK, &rq, &ask, &r.now, &r.arena, &u, &r.rs), 0);
	ck_assert_int_eq(service_upload_chunk(r.sv, &u, slice_str("ab"), &e), 0);
	ck_assert_uint_eq(rig_post(&r, r.root, "/api/v1/tokens/1/revoke", NULL), 200);
	service_upload_close(r.sv, LANE_NETWORK, &rq, &ask, &u, &r.now, &r.arena, &r.rs, &r.oc);
	ck_assert_uint_eq(r.rs.status, 401);
	struct digest d = digest_of("ab");
	struct image i;
	ck_assert_int_eq(store_image_get(r.bed.st, &d, &i, NULL), 0);
	free(t);
}
END_TEST

static unsigned finish(const char *path, enum method m, struct upload_ask ask)
{
	struct request rq = request(r.root, m, path);

	service_upload_close(r.sv, LANE_CONTROL, &rq, &ask, &u, &r.now, &r.arena, &r.rs, &r.oc);
	return r.rs.status;
}

/*
 * A full disk takes back what was not durable yet, of all uploads: that is not what the sender
 * did wrong, and a resumable one goes on from what is left.
 */
START_TEST(lost_with_a_rollback)
{
	char where[PATH_MAX_LEN];
	struct upload_ask ask = { .has_size = true, .size = 8, .complete = -1 };
	struct image i;

	ck_assert_uint_eq(begin(IMAGES, METHOD_POST, ask), 0);
	ck_assert_int_eq(service_upload_chunk(r.sv, &u, slice_str("firm"), &e), 0);
	store_images_rollback(r.bed.st);
	ck_assert_int_eq(service_upload_chunk(r.sv, &u, slice_str("ware"), &e), -1);
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	ck_assert_uint_eq(begin(IMAGES, METHOD_POST, ask), 0);
	ck_assert_int_eq(service_upload_chunk(r.sv, &u, slice_str("firmware"), &e), 0);
	store_images_rollback(r.bed.st);
	ck_assert_uint_eq(finish(IMAGES, METHOD_POST, ask), 503);
	ck_assert_int_gt(r.rs.retry_after, 0);

	ask = (struct upload_ask){ .complete = 0 };
	ck_assert_uint_eq(part(r.root, METHOD_POST, IMAGES, ask, ""), 201);
	ck_assert_int_eq(text_copy(where, sizeof(where), r.rs.location), 0);
	ask = (struct upload_ask){ .has_offset = true, .complete = 1, .has_size = true, .size = 8 };
	ck_assert_uint_eq(begin(where, METHOD_PATCH, ask), 0);
	ck_assert_int_eq(service_upload_chunk(r.sv, &u, slice_str("firmware"), &e), 0);
	store_images_rollback(r.bed.st);
	ck_assert_uint_eq(finish(where, METHOD_PATCH, ask), 409);
	ck_assert_uint_eq(rig_get(&r, r.root, where), 200);
	ck_assert_int_eq(rig_int(&r, "offset"), 0);
	ck_assert_uint_eq(part(r.root, METHOD_PATCH, where, ask, "firmware"), 201);
	struct digest d = digest_of("firmware");
	ck_assert_int_eq(store_image_get(r.bed.st, &d, &i, NULL), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service upload");
	TCase *t = tcase_create("upload");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, whole);
	tcase_add_test(t, wrong_bytes_are_not_kept);
	tcase_add_test(t, declared_is_reserved);
	tcase_add_test(t, in_parts);
	tcase_add_test(t, given_up);
	tcase_add_test(t, too_much);
	tcase_add_test(t, too_much_of_unknown_size);
	tcase_add_test(t, where_uploads_go);
	tcase_add_test(t, sealed_once_more);
	tcase_add_test(t, revoked_meanwhile);
	tcase_add_test(t, lost_with_a_rollback);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
