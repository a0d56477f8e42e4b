/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
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

static int64_t value(const char *key)
{
	int64_t v = -1;
	int found = store_meta_get_int(b.st, key, &v, &b.e);

	ck_assert_int_ge(found, 0);
	return found ? v : -1;
}

static void handler(const char *key, int64_t v, bool keep)
{
	store_handler_begin(b.st);
	ok(store_meta_put_int(b.st, key, v, e));
	ok(store_handler_end(b.st, keep, e));
}

START_TEST(test_handlers_are_kept_or_not)
{
	ok(store_batch_begin(b.st, e));
	ck_assert(!store_batch_dirty(b.st));
	handler("a", 1, true);
	handler("b", 2, false);
	handler("c", 3, true);
	handler("a", 4, false);
	/* one that only reads opens nothing */
	store_handler_begin(b.st);
	ck_assert_int_eq(value("a"), 1);
	ck_assert(!b.st->in_savepoint);
	ok(store_handler_end(b.st, false, e));
	ck_assert(store_batch_dirty(b.st));
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(value("a"), 1);
	ck_assert_int_eq(value("b"), -1);
	ck_assert_int_eq(value("c"), 3);
	bed_close(&b);
	bed_open(&b);
	ck_assert_int_eq(value("a"), 1);
	ck_assert_int_eq(value("b"), -1);
}
END_TEST

START_TEST(test_abandoned)
{
	ok(store_batch_begin(b.st, e));
	handler("a", 1, true);
	store_batch_abandon(b.st);
	ck_assert_int_eq(value("a"), -1);
	refuses(store_batch_commit(b.st, e), ERR_INTERNAL);
	ok(store_batch_begin(b.st, e));
	refuses(store_batch_begin(b.st, e), ERR_INTERNAL);
	/* closing in the middle is abandoning */
	handler("a", 1, true);
	bed_close(&b);
	bed_open(&b);
	ck_assert_int_eq(value("a"), -1);
}
END_TEST

START_TEST(test_a_handlers_error_leaves_the_others)
{
	struct device d = { .id = "twice", .mode = MODE_CLIENT };

	ok(store_batch_begin(b.st, e));
	handler("before", 1, true);
	store_handler_begin(b.st);
	ok(store_device_add(b.st, &d, e));
	refuses(store_device_add(b.st, &d, e), ERR_CONFLICT);
	ck_assert(!store_batch_broken(b.st));
	ok(store_handler_end(b.st, false, e));
	handler("after", 1, true);
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(value("before"), 1);
	ck_assert_int_eq(value("after"), 1);
	ck_assert_int_eq(store_device_get(b.st, "twice", &d, &b.e), 0);
	int64_t n;
	ok(store_device_count(b.st, &n, e));
	ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(test_without_savepoints)
{
	store_batch_optimistic(b.st, true);
	ok(store_batch_begin(b.st, e));
	handler("a", 1, true);
	/* one that only read may fail */
	store_handler_begin(b.st);
	ck_assert_int_eq(value("a"), 1);
	ok(store_handler_end(b.st, false, e));
	ck_assert(!store_batch_undo(b.st));
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(value("a"), 1);

	ok(store_batch_begin(b.st, e));
	handler("b", 2, true);
	store_handler_begin(b.st);
	ok(store_meta_put_int(b.st, "c", 3, e));
	refuses(store_handler_end(b.st, false, e), ERR_BUSY);
	ck_assert(store_batch_broken(b.st) && store_batch_undo(b.st));
	/* nothing of it can be kept by mistake */
	ck_assert_int_eq(store_batch_commit(b.st, &b.e), -1);
	store_batch_abandon(b.st);
	ck_assert_int_eq(value("b"), -1);
	ck_assert_int_eq(value("c"), -1);

	store_batch_optimistic(b.st, false);
	ok(store_batch_begin(b.st, e));
	handler("b", 2, true);
	handler("c", 3, false);
	ck_assert(!store_batch_undo(b.st));
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(value("b"), 2);
	ck_assert_int_eq(value("c"), -1);
}
END_TEST

/* So many pages are all this file may have. */
static void limit_pages(int more)
{
	char sql[64];
	sqlite3_stmt *s;

	sqlite3_prepare_v2(b.st->db[DB_MAIN], "PRAGMA page_count", -1, &s, NULL);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	int pages = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %d", more ? pages + more : 1 << 20);
	ck_assert_int_eq(sqlite3_exec(b.st->db[DB_MAIN], sql, NULL, NULL, NULL), SQLITE_OK);
}

static int fill_up(struct err *e)
{
	char key[32];
	static uint8_t big[2000];

	for (int i = 0; i < 1000; i++) {
		store_handler_begin(b.st);
		snprintf(key, sizeof(key), "fill-%d", i);
		if (store_meta_put_blob(b.st, key, slice_of(big, sizeof(big)), e) != 0)
			return -1;
		if (store_handler_end(b.st, true, e) != 0)
			return -1;
	}
	return 0;
}

START_TEST(test_full)
{
	struct err err = { 0 };

	ok(store_meta_put_int(b.st, "old", 7, e));
	limit_pages(10);
	ok(store_batch_begin(b.st, e));
	handler("lost", 1, true);
	ck_assert_int_eq(fill_up(&err), -1);
	ck_assert_int_eq(err.code, ERR_FULL);
	if (!store_batch_broken(b.st))
		ok(store_handler_end(b.st, false, e));
	else
		refuses(store_handler_end(b.st, false, e), ERR_FULL);
	if (store_batch_broken(b.st)) {
		/* nothing may slip in as a transaction of its own */
		refuses(store_meta_put_int(b.st, "alone", 1, e), ERR_FULL);
		refuses(store_batch_commit(b.st, e), ERR_FULL);
		ck_assert_int_eq(value("lost"), -1);
	} else {
		ok(store_batch_commit(b.st, e));
	}
	ck_assert(!store_must_stop(b.st));
	/* the batch again, with writes refused: reads go on */
	ok(store_batch_begin(b.st, e));
	store_refuse_writes(b.st, true);
	store_handler_begin(b.st);
	refuses(store_meta_put_int(b.st, "again", 1, e), ERR_FULL);
	ck_assert_int_eq(value("old"), 7);
	ok(store_handler_end(b.st, false, e));
	ok(store_batch_commit(b.st, e));
	/* and with space again, without a restart */
	store_refuse_writes(b.st, false);
	limit_pages(0);
	ok(store_batch_begin(b.st, e));
	handler("new", 1, true);
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(value("new"), 1);
	ck_assert_int_eq(value("alone"), -1);
	ok(store_quick_check(b.st, e));
}
END_TEST

/* SQLite gives the whole transaction up under us: what follows must not be committed by itself. */
START_TEST(test_broken)
{
	ok(store_batch_begin(b.st, e));
	handler("a", 1, true);
	sqlite3_exec(b.st->db[DB_MAIN], "ROLLBACK", NULL, NULL, NULL);
	store_sqlite_failed(b.st, DB_MAIN, SQLITE_NOMEM, false, NULL);
	ck_assert(store_batch_broken(b.st));
	refuses(store_meta_put_int(b.st, "b", 1, e), ERR_FULL);
	ck_assert_int_eq(value("a"), -1);
	refuses(store_batch_commit(b.st, e), ERR_FULL);
	ck_assert(store_batch_broken(b.st));
	ok(store_batch_begin(b.st, e));
	ck_assert(!store_batch_broken(b.st));
	handler("a", 2, true);
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(value("a"), 2);
	ck_assert_int_eq(value("b"), -1);
}
END_TEST

/* Bytes that went with images.db's transaction must not be referred to by a row that stays. */
START_TEST(test_broken_by_the_other_file)
{
	struct digest d = digest_of("bytes");
	struct image i;

	ok(store_batch_begin(b.st, e));
	store_handler_begin(b.st);
	ok(store_image_add(b.st, slice_str("bytes"), "me", 5, &i, e));
	ok(store_handler_end(b.st, true, e));
	sqlite3_exec(b.st->db[DB_IMAGES], "ROLLBACK", NULL, NULL, NULL);
	store_sqlite_failed(b.st, DB_IMAGES, SQLITE_FULL, false, NULL);
	ck_assert(store_batch_broken(b.st));
	refuses(store_batch_commit(b.st, e), ERR_FULL);
	ck_assert_int_eq(store_image_get(b.st, &d, &i, &b.e), 0);
	ok(store_batch_begin(b.st, e));
	store_handler_begin(b.st);
	ok(store_image_add(b.st, slice_str("bytes"), "me", 5, &i, e));
	ok(store_handler_end(b.st, true, e));
	ok(store_batch_commit(b.st, e));
	ck_assert_int_eq(store_image_get(b.st, &d, &i, &b.e), 1);
}
END_TEST

START_TEST(test_failed_sync_stops)
{
	static const struct {
		int rc;
		bool commit, stop;
	} rows[] = {
		{ SQLITE_FULL, true, false },	     { SQLITE_NOMEM, true, false },
		{ SQLITE_IOERR_READ, false, false }, { SQLITE_IOERR_NOMEM, true, false },
		{ SQLITE_IOERR_READ, true, true },   { SQLITE_IOERR_FSYNC, false, true },
		{ SQLITE_IOERR_WRITE, false, true }, { SQLITE_IOERR_DIR_FSYNC, false, true },
		{ SQLITE_IOERR_FSYNC, true, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		b.st->must_stop = false;
		store_sqlite_failed(b.st, DB_MAIN, rows[i].rc, rows[i].commit, NULL);
		ck_assert_msg(store_must_stop(b.st) == rows[i].stop, "%d", rows[i].rc);
	}
	refuses(store_meta_put_int(b.st, "b", 1, e), ERR_IO);
	ck_assert_int_eq(store_checkpoint(b.st, true), 0);
}
END_TEST

enum commit_kind { READS, WRITES, MAY_WAIT, MAY_WAIT_ABANDONED, ALONE };

/* Whether it came to a sync, which fails then. */
static bool syncs(enum commit_kind kind, int *rc)
{
	faults_arm(FAULT_SYNC, 1, true);
	faults_during(true);
	if (kind == ALONE) {
		*rc = store_meta_put_int(b.st, "a", kind, &b.e);
	} else {
		ok(store_batch_begin(b.st, e));
		if (kind == READS)
			(void)value("a");
		else
			handler("a", kind, true);
		if (kind == MAY_WAIT || kind == MAY_WAIT_ABANDONED)
			store_batch_may_wait(b.st);
		if (kind == MAY_WAIT_ABANDONED)
			store_batch_abandon(b.st);
		*rc = kind == MAY_WAIT_ABANDONED ? 0 : store_batch_commit(b.st, &b.e);
	}
	faults_during(false);
	return faults_disarm();
}

/* Every commit is durable when it returns, but one that may wait; nobody waits for that one. */
START_TEST(test_what_is_synced)
{
	static const struct {
		enum commit_kind kinds[3];
		int n;
		bool sync; /* by the last of them */
	} rows[] = {
		{ { WRITES }, 1, true },
		{ { ALONE }, 1, true },
		{ { READS }, 1, false },
		{ { MAY_WAIT }, 1, false },
		{ { MAY_WAIT, MAY_WAIT }, 2, false },
		{ { MAY_WAIT, READS }, 2, false },
		{ { MAY_WAIT, WRITES }, 2, true },
		{ { MAY_WAIT, ALONE }, 2, true },
		{ { MAY_WAIT_ABANDONED, WRITES }, 2, true },
		{ { MAY_WAIT_ABANDONED, ALONE }, 2, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = 0;

		for (int k = 0; k < rows[i].n; k++) {
			bool last = k == rows[i].n - 1;
			bool synced = syncs(rows[i].kinds[k], &rc);
			ck_assert_msg(synced == (last && rows[i].sync), "row %zu, %d", i, k);
			ck_assert_msg(rc == (synced ? -1 : 0), "row %zu, %d", i, k);
		}
		/* nobody may be told of what was not made durable */
		ck_assert_msg(store_must_stop(b.st) == rows[i].sync, "row %zu", i);
		if (rows[i].sync)
			refuses(store_meta_put_int(b.st, "b", 1, e), ERR_IO);
		bed_close(&b);
		bed_open(&b);
	}
}
END_TEST

START_TEST(test_a_failed_sync_says_so)
{
	struct err err = { 0 };

	ok(store_batch_begin(b.st, e));
	handler("a", 1, true);
	faults_arm(FAULT_SYNC, 1, true);
	faults_during(true);
	ck_assert_int_eq(store_batch_commit(b.st, &err), -1);
	faults_during(false);
	ck_assert(faults_disarm());
	ck_assert_int_eq(err.code, ERR_IO);
	ck_assert_msg(strstr(err.text, "cannot make data durable") != NULL, "%s", err.text);
}
END_TEST

/* images.db is committed before fettle.db refers to it; a handler undone leaves an orphan. */
START_TEST(test_both_files)
{
	struct image i;
	struct digest kept = digest_of("kept"), undone = digest_of("undone");
	struct object o;

	ok(store_batch_begin(b.st, e));
	store_handler_begin(b.st);
	ok(store_image_add(b.st, slice_str("kept"), "me", 5, &i, e));
	ok(store_handler_end(b.st, true, e));
	store_handler_begin(b.st);
	ok(store_image_add(b.st, slice_str("undone"), "me", 5, &i, e));
	ok(store_handler_end(b.st, false, e));
	ok(store_batch_commit(b.st, e));
	bed_close(&b);
	bed_open(&b);
	ck_assert_int_eq(store_image_get(b.st, &kept, &i, &b.e), 1);
	ck_assert_int_eq(store_image_get(b.st, &undone, &i, &b.e), 0);
	ck_assert_int_eq(store_object_find(b.st, &undone, &o, &b.e), 1);
	while (store_upload_sweep(b.st, 0, 10, &b.e) > 0)
		;
	ck_assert_int_eq(store_object_find(b.st, &undone, &o, &b.e), 0);
	ck_assert_int_eq(store_object_find(b.st, &kept, &o, &b.e), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_batch");
	TCase *tc = tcase_create("store_batch");

	faults_install();
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_handlers_are_kept_or_not);
	tcase_add_test(tc, test_without_savepoints);
	tcase_add_test(tc, test_abandoned);
	tcase_add_test(tc, test_a_handlers_error_leaves_the_others);
	tcase_add_test(tc, test_full);
	tcase_add_test(tc, test_broken);
	tcase_add_test(tc, test_broken_by_the_other_file);
	tcase_add_test(tc, test_failed_sync_stops);
	tcase_add_test(tc, test_what_is_synced);
	tcase_add_test(tc, test_a_failed_sync_says_so);
	tcase_add_test(tc, test_both_files);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
