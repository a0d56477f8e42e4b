/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "store/internal.h"
#include "store_util.h"

static struct bed b;

static void setup(void)
{
	bed_make(&b);
}

static void teardown(void)
{
	bed_remove(&b);
}

#define BIG 3500000
static uint8_t big[BIG];

static void fill_big(uint8_t salt)
{
	for (size_t i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i * 31 + i / 251 + salt);
}

static struct digest digest_big(size_t n)
{
	struct digest d;

	ck_assert_int_eq(sha256_once(slice_of(big, n), &d), 0);
	return d;
}

static struct upload opened(uint64_t size, const struct digest *d)
{
	struct upload u = {
		.size = size, .has_size = size > 0, .by = "ci", .created = 1, .track_changed = 1
	};

	if (d) {
		u.has_digest = true;
		u.digest = *d;
	}
	ok(store_upload_open(b.st, &u, e));
	ck_assert_uint_eq(strlen(u.name), 32);
	return u;
}

/* From where it stands to upto, in uneven pieces. */
static void send(struct upload *u, size_t upto)
{
	size_t piece = 1;

	while (u->offset < upto) {
		size_t n = upto - u->offset < piece ? upto - u->offset : piece;
		ok(store_upload_chunk(b.st, u, slice_of(big + u->offset, n), e));
		piece = (piece * 7 + 13) % STORE_CHUNK + 1;
	}
}

/* The descriptor's bytes are the first n of big. */
static void holds(int fd, uint64_t size, size_t n)
{
	static uint8_t got[BIG];

	ck_assert_uint_eq(size, n);
	ck_assert_int_eq(pread(fd, got, n, 0), (ssize_t)n);
	ck_assert_int_eq(memcmp(got, big, n), 0);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	close(fd);
}

static int64_t count(const char *sql)
{
	sqlite3_stmt *s = NULL;

	ck_assert_int_eq(sqlite3_prepare_v2(b.st->db[DB_IMAGES], sql, -1, &s, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

START_TEST(test_upload)
{
	static const size_t sizes[] = { 1, STORE_CHUNK - 1, STORE_CHUNK, STORE_CHUNK + 1, BIG };
	struct image i;
	uint64_t size;
	int fd;

	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		fill_big((uint8_t)k);
		struct digest d = digest_big(sizes[k]);
		struct upload u = opened(sizes[k], &d);
		ck_assert_int_eq(store_image_get(b.st, &d, &i, &b.e), 0);
		send(&u, sizes[k]);
		refuses(store_upload_chunk(b.st, &u, slice_str("x"), e), ERR_TOO_LARGE);
		ok(store_upload_seal(b.st, &u, 9, &i, e));
		ck_assert(digest_eq(&i.digest, &d) && i.size == sizes[k] && i.sealed);
		ck_assert_int_eq(store_image_get(b.st, &d, &i, &b.e), 1);
		ck_assert_str_eq(i.by, "ci");
		ok(store_upload_done(b.st, u.id, e));
		ck_assert_int_eq(store_upload_get(b.st, u.name, &u, &b.e), 0);
		ok(store_object_open(b.st, &d, &fd, &size, e));
		holds(fd, size, sizes[k]);
	}
	ck_assert_int_eq(store_upload_total(b.st), 0);
	int64_t ids[8];
	struct image list[8];
	ck_assert_int_eq(store_image_list(b.st, 0, 8, ids, list, &b.e), 5);
	ck_assert_int_eq(store_image_list(b.st, ids[3], 8, ids, list, &b.e), 1);
	ok(store_quick_check(b.st, e));
}
END_TEST

START_TEST(test_upload_resumes)
{
	struct upload u, r;
	struct image i;

	fill_big(1);
	struct digest d = digest_big(BIG);
	u = opened(BIG, &d);
	send(&u, 2600000);
	/* the process is gone without a word: what was not made durable is lost, not more */
	store_uploads_forget(b.st);
	store_images_rollback(b.st);
	bed_close(&b);
	bed_open(&b);
	ck_assert_int_eq(store_upload_get(b.st, u.name, &r, &b.e), 1);
	ck_assert_uint_ge(r.offset, 2600000 - (1 << 20) - STORE_CHUNK);
	ck_assert_uint_lt(r.offset, 2600000);
	ck_assert_int_eq(store_upload_total(b.st), BIG); /* reserved */
	/* the one who thinks it is further on is told */
	refuses(store_upload_chunk(b.st, &u, slice_str("x"), e), ERR_CONFLICT);
	ck_assert_uint_eq(u.offset, r.offset);
	send(&u, 3000000);
	/* asking for the offset makes it durable */
	ck_assert_int_eq(store_upload_get(b.st, u.name, &r, &b.e), 1);
	ck_assert_uint_eq(r.offset, 3000000);
	store_uploads_forget(b.st);
	send(&r, BIG);
	ok(store_upload_seal(b.st, &r, 9, &i, e));
	ck_assert(digest_eq(&i.digest, &d));
}
END_TEST

/* The hash of what came before a restart is made in slices, not all at the end. */
START_TEST(test_upload_is_hashed_in_slices)
{
	struct upload u;
	struct image i;
	int slices = 0, rc;

	fill_big(5);
	struct digest d = digest_big(BIG);
	u = opened(BIG, &d);
	send(&u, BIG);
	ck_assert_int_eq(store_upload_ready(b.st, &u, 0, &b.e), 1);
	ok(store_upload_sync(b.st, &u, e));
	bed_close(&b);
	bed_open(&b);
	ck_assert_int_eq(store_upload_get(b.st, u.name, &u, &b.e), 1);
	while ((rc = store_upload_ready(b.st, &u, 0, &b.e)) == 0)
		slices++;
	ck_assert_int_eq(rc, 1);
	ck_assert_int_eq(slices, BIG / STORE_CHUNK - (BIG % STORE_CHUNK == 0));
	ok(store_upload_seal(b.st, &u, 9, &i, e));
	ck_assert(digest_eq(&i.digest, &d));
	u.id = 99;
	refuses(store_upload_ready(b.st, &u, 0, e), ERR_NOT_FOUND);
}
END_TEST

static void sweep_all(void)
{
	/* the second walk begins where the first ended */
	for (int i = 0; i < 2; i++)
		while (store_upload_sweep(b.st, 0, 64, &b.e) > 0)
			;
}

/* fettle.db fails after images.db was committed: nothing that was acknowledged is lost. */
START_TEST(test_seal_is_repeated)
{
	struct upload u;
	struct image i;

	fill_big(6);
	struct digest d = digest_big(BIG);
	for (int same = 0; same < 2; same++) {
		u = opened(0, NULL);
		send(&u, BIG);
		ok(store_batch_begin(b.st, e));
		ok(store_upload_seal(b.st, &u, 9, &i, e));
		store_batch_abandon(b.st);
		ck_assert_int_eq(store_image_get(b.st, &d, &i, &b.e), same);
		sweep_all();
		if (same)
			store_uploads_forget(b.st);
		ck_assert_int_eq(store_upload_get(b.st, u.name, &u, &b.e), 1);
		ck_assert_uint_eq(u.offset, BIG);
		ck_assert(u.sealed);
		ck_assert_int_eq(store_upload_total(b.st), 0);
		ck_assert_int_eq(store_upload_ready(b.st, &u, 0, &b.e), 1);
		ok(store_upload_chunk(b.st, &u, slice_str(""), e));
		u.has_size = false;
		refuses(store_upload_chunk(b.st, &u, slice_str("x"), e), ERR_CONFLICT);
		ok(store_upload_sync(b.st, &u, e));
		ok(store_upload_seal(b.st, &u, 11, &i, e));
		ck_assert(digest_eq(&i.digest, &d) && i.size == BIG);
		ok(store_upload_done(b.st, u.id, e));
		ck_assert_int_eq(store_upload_get(b.st, u.name, &u, &b.e), 0);
	}
	sweep_all();
	ck_assert_int_eq(count("SELECT count(*) FROM objects WHERE state = 'sealed'"), 1);
	ck_assert_int_eq(count("SELECT count(*) FROM objects"), 1);
}
END_TEST

/* Given up instead, its bytes go; an image's of the same bytes stay. */
START_TEST(test_sealed_and_given_up)
{
	struct upload u;
	struct image i;

	fill_big(7);
	u = opened(0, NULL);
	send(&u, 1000);
	ok(store_batch_begin(b.st, e));
	ok(store_upload_seal(b.st, &u, 9, &i, e));
	store_batch_abandon(b.st);
	ok(store_upload_drop(b.st, u.id, e));
	sweep_all();
	ck_assert_int_eq(count("SELECT count(*) FROM objects"), 0);
	ok(store_image_add(b.st, slice_of(big, 1000), "x", 9, &i, e));
	u = opened(0, NULL);
	send(&u, 1000);
	ok(store_upload_seal(b.st, &u, 9, &i, e));
	ok(store_upload_drop(b.st, u.id, e));
	sweep_all();
	ck_assert_int_eq(count("SELECT count(*) FROM objects WHERE state = 'sealed'"), 1);
}
END_TEST

START_TEST(test_upload_must_be_what_was_said)
{
	struct digest other = digest_of("other");
	struct upload u;
	struct image i;

	fill_big(2);
	u = opened(1000, &other);
	send(&u, 999);
	refuses(store_upload_seal(b.st, &u, 9, &i, e), ERR_VERIFY);
	send(&u, 1000);
	refuses(store_upload_seal(b.st, &u, 9, &i, e), ERR_VERIFY);
	ok(store_upload_drop(b.st, u.id, e));
	refuses(store_upload_drop(b.st, u.id, e), ERR_NOT_FOUND);
	refuses(store_upload_chunk(b.st, &u, slice_str("x"), e), ERR_NOT_FOUND);
	struct digest d = digest_big(1000);
	ck_assert_int_eq(store_image_get(b.st, &d, &i, &b.e), 0);
	/* neither size nor digest said: what comes is what it is */
	u = opened(0, NULL);
	send(&u, 1000);
	u.complete = true;
	ok(store_upload_sync(b.st, &u, e));
	ok(store_upload_seal(b.st, &u, 9, &i, e));
	ck_assert(digest_eq(&i.digest, &d));
}
END_TEST

START_TEST(test_same_bytes_are_kept_once)
{
	struct upload u;
	struct image i;

	fill_big(3);
	struct digest d = digest_big(300000);
	for (int k = 0; k < 3; k++) {
		u = opened(300000, &d);
		send(&u, 300000);
		ok(store_upload_seal(b.st, &u, 9 + k, &i, e));
		ck_assert_int_eq(i.created, 9);
		ok(store_upload_done(b.st, u.id, e));
	}
	ok(store_image_add(b.st, slice_of(big, 300000), "x", 99, &i, e));
	ck_assert_int_eq(i.created, 9);
	ck_assert_int_eq(count("SELECT count(*) FROM chunks"), 15);
	/* a few rows each time */
	int n;
	while ((n = store_upload_sweep(b.st, 0, 2, &b.e)) > 0)
		ck_assert_int_le(n, 6);
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(count("SELECT count(*) FROM chunks"), 5);
	ck_assert_int_eq(count("SELECT count(*) FROM objects"), 1);
}
END_TEST

START_TEST(test_sweep)
{
	struct upload old = opened(100000, NULL), young;
	struct image i;
	int fd;
	uint64_t size;

	fill_big(4);
	young = (struct upload){ .by = "x", .created = 50, .track_changed = 50 };
	ok(store_upload_open(b.st, &young, e));
	send(&old, 90000);
	send(&young, 90000);
	ck_assert_int_eq(store_upload_total(b.st), 190000); /* declared and arrived */
	ok(store_image_add(b.st, slice_of(big, 1000), "x", 9, &i, e));
	ok(store_object_open(b.st, &i.digest, &fd, &size, e));
	ok(store_image_remove(b.st, &i.digest, e));
	/* what a reader holds stays readable; it is not handed out again */
	refuses(store_object_open(b.st, &i.digest, &(int){ 0 }, &size, e), ERR_NOT_FOUND);
	while (store_upload_sweep(b.st, 20, 10, &b.e) > 0)
		;
	ck_assert_int_eq(store_upload_get(b.st, old.name, &old, &b.e), 0);
	ck_assert_int_eq(store_upload_get(b.st, young.name, &young, &b.e), 1);
	ck_assert_int_eq(count("SELECT count(*) FROM objects"), 1);
	holds(fd, size, 1000);
	refuses(store_image_remove(b.st, &i.digest, e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_many_uploads)
{
	struct upload u[STORE_UPLOADS_OPEN + 4];
	struct image i;

	/* more than are kept in memory, turn by turn */
	fill_big(5);
	for (int k = 0; k < STORE_UPLOADS_OPEN + 4; k++)
		u[k] = opened(200000, NULL);
	for (size_t upto = 50000; upto <= 200000; upto += 50000)
		for (int k = 0; k < STORE_UPLOADS_OPEN + 4; k++)
			send(&u[k], upto);
	struct digest d = digest_big(200000);
	for (int k = 0; k < STORE_UPLOADS_OPEN + 4; k++) {
		ok(store_upload_seal(b.st, &u[k], 1, &i, e));
		ck_assert(digest_eq(&i.digest, &d));
	}
	ck_assert_int_eq(count("SELECT count(*) FROM objects WHERE state = 'sealed'"), 1);
	int opened_n = 0, rc = 0;
	struct err err = { 0 };
	for (; opened_n < 1000 && rc == 0; opened_n++)
		rc = store_upload_open(b.st, &(struct upload){ .by = "x" }, &err);
	ck_assert_int_eq(err.code, ERR_TOO_MANY);
}
END_TEST

static void cached(char *path, size_t cap, const struct digest *d)
{
	char hex[DIGEST_TEXT];

	digest_text(hex, d);
	ck_assert_int_eq(text_format(path, cap, "%s/cache/%s", b.dir, hex), 0);
}

static void damage(const char *path, bool cut)
{
	ck_assert_int_eq(chmod(path, 0600), 0);
	if (cut) {
		ck_assert_int_eq(truncate(path, 10), 0);
		return;
	}
	int fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "damaged", 7, 99), 7);
	close(fd);
}

START_TEST(test_cache_is_made_again)
{
	struct image i;
	uint64_t size;
	char path[256];
	int fd;

	fill_big(6);
	ok(store_image_add(b.st, slice_of(big, 200000), "x", 9, &i, e));
	cached(path, sizeof(path), &i.digest);
	for (int k = 0; k < 4; k++) {
		ok(store_object_open(b.st, &i.digest, &fd, &size, e));
		holds(fd, size, 200000);
		if (k == 0) {
			unlink(path);
		} else {
			/* size is looked at every time, the bytes once by each process */
			damage(path, k == 1);
			if (k == 1)
				continue;
			bed_close(&b);
			bed_open(&b);
		}
	}
	struct stat sb;
	ok(store_object_open(b.st, &i.digest, &fd, &size, e));
	holds(fd, size, 200000);
	ck_assert_int_eq(stat(path, &sb), 0);
	ck_assert_int_eq(sb.st_mode & 0777, 0400);
	/* what does not belong there goes */
	bed_close(&b);
	text_format(path, sizeof(path), "%s/cache/new", b.dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	bed_open(&b);
	ok(store_cache_trim(b.st, 10, e));
	ck_assert_int_eq(stat(path, &sb), -1);
}
END_TEST

START_TEST(test_database_damage_is_not_served)
{
	struct image i;
	uint64_t size;
	int fd;

	fill_big(6);
	ok(store_image_add(b.st, slice_of(big, 200000), "x", 9, &i, e));
	bed_close(&b);
	bed_sql(&b, "images.db",
		"UPDATE chunks SET bytes = CAST(x'00' || substr(bytes, 2) AS BLOB) "
		"WHERE id % 16777216 = 1");
	bed_open(&b);
	refuses(store_object_open(b.st, &i.digest, &fd, &size, e), ERR_IO);
	bed_close(&b);
	bed_sql(&b, "images.db", "DELETE FROM chunks WHERE id % 16777216 = 1");
	bed_open(&b);
	refuses(store_object_open(b.st, &i.digest, &fd, &size, e), ERR_IO);
}
END_TEST

START_TEST(test_prepared_in_slices)
{
	struct image one, two;
	int slices = 0, rc1 = 0, rc2 = 0, fd;
	uint64_t size;

	fill_big(7);
	ok(store_image_add(b.st, slice_of(big, BIG - 1), "x", 9, &two, e));
	ok(store_image_add(b.st, slice_of(big, BIG), "x", 9, &one, e));
	/* two who ask in turn both come to an end */
	while ((rc1 != 1 || rc2 != 1) && slices < 1000) {
		if (rc1 != 1)
			ok(rc1 = store_object_prepare(b.st, &one.digest, 0, e));
		if (rc2 != 1)
			ok(rc2 = store_object_prepare(b.st, &two.digest, 0, e));
		slices++;
	}
	ck_assert_int_gt(slices, 20);
	ck_assert_int_lt(slices, 200);
	ok(store_object_open(b.st, &one.digest, &fd, &size, e));
	holds(fd, size, BIG);
	/* over the budget of 1 MiB each: only one of them stays */
	ck_assert_int_ge(store_cache_trim(b.st, 10, &b.e), 1);
	ok(store_object_open(b.st, &two.digest, &fd, &size, e));
	holds(fd, size, BIG - 1);
	struct digest none = digest_of("none");
	refuses(store_object_prepare(b.st, &none, 10, e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_cache_budget)
{
	struct image i[6];
	struct stat sb;
	char path[256];
	int64_t total = 0;
	uint64_t size;
	int fd;

	for (int k = 0; k < 6; k++) {
		fill_big((uint8_t)(40 + k));
		ok(store_image_add(b.st, slice_of(big, 300000), "x", 9, &i[k], e));
		ok(store_object_open(b.st, &i[k].digest, &fd, &size, e));
		close(fd);
		usleep(2000);
	}
	for (int k = 0; k < 6; k++) {
		cached(path, sizeof(path), &i[k].digest);
		/* the last three fit into 1 MiB, the oldest went */
		ck_assert_int_eq(stat(path, &sb) == 0, k >= 3);
		total += k >= 3 ? sb.st_size : 0;
	}
	ck_assert_int_le(total, 1 << 20);
}
END_TEST

START_TEST(test_manifest)
{
	struct anchor a = { .vendor = "v",
			    .key_id = digest_of("k"),
			    .spki_len = 1,
			    .alg = "ES256",
			    .vendor_id = { .set = true } };
	struct manifest m = { .identity = digest_of("inner"),
			      .format = "suit",
			      .version = "2.0",
			      .sequence = UINT64_MAX,
			      .uri = "https://x/m",
			      .text = "t",
			      .has_priority = true,
			      .priority = -5,
			      .use_before = 6,
			      .not_before = 7,
			      .alg = "ES256",
			      .verified = 8,
			      .created = 9,
			      .by = "ci",
			      .manufacturer = "example",
			      .model = "m" };
	struct manifest_image im[2] = {
		{ .component = 0,
		  .name = "main",
		  .digest = digest_of("i0"),
		  .has_size = true,
		  .size = 5,
		  .uri = "coap://x/i0" },
		{ .component = 1, .digest = digest_of("i1"), .integrated = true },
	};
	struct manifest got, list[2];
	struct manifest_image gi[3];
	struct arena arena = ARENA_INIT(1 << 20);
	struct slice bytes, back;
	int64_t ids[2];
	struct digest ds[2];
	int fd;
	uint64_t size;

	fill_big(8);
	bytes = slice_of(big, 150000);
	m.digest = digest_big(150000);
	m.size = 150000;
	ok(store_anchor_add(b.st, &a, e));
	m.anchor = a.id;
	ck_assert_int_eq(store_manifest_add(b.st, &m, im, 2, bytes, &b.e), 0);
	ck_assert_int_eq(store_manifest_add(b.st, &m, im, 2, bytes, &b.e), 1);
	ck_assert_int_eq(store_manifest_get(b.st, &m.digest, &got, &b.e), 1);
	ck_assert(same(&got, &m));
	ck_assert_int_eq(store_manifest_by_identity(b.st, &m.identity, &got, &b.e), 1);
	ck_assert_int_eq(store_manifest_bytes(b.st, &m.digest, &arena, &back, &b.e), 1);
	ck_assert(slice_eq(back, bytes));
	ck_assert_int_eq(store_manifest_images(b.st, &m.digest, gi, 3, &b.e), 2);
	ck_assert(same(&gi[0], &im[0]) && same(&gi[1], &im[1]));
	ck_assert_int_eq(store_manifest_list(b.st, 0, 2, ids, list, &b.e), 1);
	ck_assert_int_eq(store_manifest_by_anchor(b.st, a.id, 0, 2, ds, ids, &b.e), 1);
	ck_assert(digest_eq(&ds[0], &m.digest));
	ok(store_manifest_verdict(b.st, &m.digest, 0, 77, e));
	ck_assert_int_eq(store_manifest_by_anchor(b.st, a.id, 0, 2, ds, ids, &b.e), 0);
	ok(store_object_open(b.st, &m.digest, &fd, &size, e));
	holds(fd, size, 150000);
	/* an image that a manifest names stays */
	struct image i;
	ok(store_image_add(b.st, slice_str("i0"), "x", 1, &i, e));
	refuses(store_image_remove(b.st, &i.digest, e), ERR_CONFLICT);
	ok(store_manifest_remove(b.st, &m.digest, e));
	ok(store_image_remove(b.st, &i.digest, e));
	ck_assert_int_eq(store_manifest_bytes(b.st, &m.digest, &arena, &back, &b.e), 0);
	m.size = 1;
	refuses(store_manifest_add(b.st, &m, im, 2, bytes, e), ERR_INTERNAL);
	arena_free(&arena);
}
END_TEST

/* A release of maker/thing with one image at a path. */
static struct release made(const char *name, uint64_t sequence, const struct digest *image)
{
	struct manifest m = { .format = "suit",
			      .digest = digest_of(name),
			      .sequence = sequence,
			      .size = (uint32_t)strlen(name) };
	struct manifest_image im = { .digest = *image, .uri = "/latest.bin" };
	struct release r = { .manifest = m.digest,
			     .state = RELEASE_APPROVED,
			     .published = true,
			     .manufacturer = "maker",
			     .model = "thing",
			     .version = "1.0",
			     .sequence = sequence,
			     .urgency = URGENCY_HIGH,
			     .urgency_by = "policy",
			     .outage_s = -1,
			     .by = "a",
			     .approved_by = "o",
			     .created = 1,
			     .approved = 2,
			     .etag = 1 };

	text_copy(r.name, sizeof(r.name), name);
	ok(store_manifest_add(b.st, &m, &im, 1, slice_str(name), e));
	ok(store_release_add(b.st, &r, e));
	ok(store_route_add(b.st, r.id, "/latest.bin", image, e));
	return r;
}

static void keep_manifest(const struct uuid *class_id, const char *model, uint64_t sequence)
{
	static uint64_t made;
	struct manifest m = { .format = "suit",
			      .vendor_id = { .set = true, .b = { 1 } },
			      .class_id = *class_id,
			      .sequence = sequence };
	char text[32];

	text_copy(m.model, sizeof(m.model), model);
	ck_assert_int_eq(text_format(text, sizeof(text), "newest %d", (int)++made), 0);
	m.size = (uint32_t)strlen(text);
	m.digest = m.identity = digest_of(text);
	ok(store_manifest_add(b.st, &m, NULL, 0, slice_str(text), e));
}

/* By class id whatever the model, without one by the model; as unsigned numbers. */
START_TEST(test_newest_of_a_class)
{
	const struct uuid none = { .set = false }, one = { .set = true, .b = { 2 } },
			  two = { .set = true, .b = { 3 } };
	struct manifest m = { .vendor_id = { .set = true, .b = { 1 } }, .class_id = one };
	uint64_t newest = 0;

	ck_assert_int_eq(store_manifest_newest(b.st, &m, &newest, &b.e), 0);
	keep_manifest(&one, "lamp", 0x80);
	keep_manifest(&one, "bulb", UINT64_MAX);
	keep_manifest(&one, "lamp", 0x7fffffffffffffff);
	keep_manifest(&two, "lamp", 9);
	keep_manifest(&none, "lamp", 300);
	keep_manifest(&none, "bulb", 400);
	ck_assert_int_eq(store_manifest_newest(b.st, &m, &newest, &b.e), 1);
	ck_assert_uint_eq(newest, UINT64_MAX);
	m.class_id = two;
	ck_assert_int_eq(store_manifest_newest(b.st, &m, &newest, &b.e), 1);
	ck_assert_uint_eq(newest, 9);
	m.class_id = none;
	text_copy(m.model, sizeof(m.model), "lamp");
	ck_assert_int_eq(store_manifest_newest(b.st, &m, &newest, &b.e), 1);
	ck_assert_uint_eq(newest, 300);
	m.vendor_id.b[0] = 7;
	ck_assert_int_eq(store_manifest_newest(b.st, &m, &newest, &b.e), 0);
}
END_TEST

START_TEST(test_releases)
{
	struct digest i1 = digest_of("i1"), i2 = digest_of("i2"), d;
	struct release r2 = made("two", 2, &i2), r1 = made("one", 1, &i1), got, list[4];
	int64_t release = 0;

	ck_assert_int_eq(store_release_get(b.st, r1.id, &got, &b.e), 1);
	ck_assert(same(&got, &r1));
	ck_assert_int_eq(store_release_by_name(b.st, "two", &got, &b.e), 1);
	ck_assert_int_eq(store_release_by_manifest(b.st, &r2.manifest, &got, &b.e), 1);
	ck_assert_int_eq(got.id, r2.id);
	refuses(store_release_add(b.st, &r1, e), ERR_CONFLICT);
	refuses(store_manifest_remove(b.st, &r1.manifest, e), ERR_CONFLICT);
	/* the newest is the highest sequence, in whatever order they came */
	ck_assert_int_eq(store_release_published(b.st, "maker", "thing", &got, &b.e), 1);
	ck_assert_int_eq(got.id, r2.id);
	ck_assert_int_eq(store_route_published(b.st, "/latest.bin", &d, &release, &b.e), 1);
	ck_assert(digest_eq(&d, &i2) && release == r2.id);
	ck_assert_int_eq(store_route_of_release(b.st, r1.id, "/latest.bin", &d, &b.e), 1);
	ck_assert(digest_eq(&d, &i1));
	ck_assert_int_eq(store_object_published(b.st, &i2, 0, &release, &b.e), 1);
	ck_assert_int_eq(store_object_published(b.st, &r2.manifest, 0, &release, &b.e), 1);
	ck_assert_int_eq(store_release_published_list(b.st, 0, 4, list, &b.e), 2);
	ck_assert_int_eq(store_release_by_image(b.st, &i2, 0, 4, list, &b.e), 1);
	r2.state = RELEASE_WITHDRAWN;
	ok(store_release_put(b.st, &r2, e));
	ck_assert_int_eq(store_release_by_image(b.st, &i2, 0, 4, list, &b.e), 0);
	ck_assert_int_eq(store_object_published(b.st, &i2, 0, &release, &b.e), 0);
	ck_assert_int_eq(store_object_published(b.st, &r2.manifest, 0, &release, &b.e), 0);
	ck_assert_int_eq(store_release_published(b.st, "maker", "thing", &got, &b.e), 1);
	ck_assert_int_eq(got.id, r1.id);
	ck_assert_int_eq(store_route_published(b.st, "/latest.bin", &d, &release, &b.e), 1);
	ck_assert_int_eq(release, r1.id);
	ok(store_route_remove(b.st, r1.id, e));
	ck_assert_int_eq(store_route_published(b.st, "/latest.bin", &d, &release, &b.e), 0);
	ck_assert_int_eq(store_release_list(b.st, 0, 4, list, &b.e), 2);
	ck_assert_uint_eq(list[0].etag, 2);
	r1.id = 999;
	refuses(store_release_put(b.st, &r1, e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_class_floor)
{
	struct uuid v = { .b = { 1 }, .set = true }, none = { 0 };
	uint64_t got = 5;

	ck_assert_int_eq(store_class_floor_get(b.st, &v, &none, &got, &b.e), 0);
	ok(store_class_floor_raise(b.st, &v, &none, 7, e));
	ok(store_class_floor_raise(b.st, &v, &none, UINT64_MAX - 1, e));
	ok(store_class_floor_raise(b.st, &v, &none, 8, e));
	ck_assert_int_eq(store_class_floor_get(b.st, &v, &none, &got, &b.e), 1);
	ck_assert_uint_eq(got, UINT64_MAX - 1);
	ck_assert_int_eq(store_class_floor_get(b.st, &none, &v, &got, &b.e), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_goods");
	TCase *tc = tcase_create("store_goods");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_upload);
	tcase_add_test(tc, test_upload_resumes);
	tcase_add_test(tc, test_upload_must_be_what_was_said);
	tcase_add_test(tc, test_same_bytes_are_kept_once);
	tcase_add_test(tc, test_sweep);
	tcase_add_test(tc, test_many_uploads);
	tcase_add_test(tc, test_upload_is_hashed_in_slices);
	tcase_add_test(tc, test_seal_is_repeated);
	tcase_add_test(tc, test_sealed_and_given_up);
	tcase_add_test(tc, test_cache_is_made_again);
	tcase_add_test(tc, test_database_damage_is_not_served);
	tcase_add_test(tc, test_prepared_in_slices);
	tcase_add_test(tc, test_cache_budget);
	tcase_add_test(tc, test_manifest);
	tcase_add_test(tc, test_newest_of_a_class);
	tcase_add_test(tc, test_releases);
	tcase_add_test(tc, test_class_floor);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
