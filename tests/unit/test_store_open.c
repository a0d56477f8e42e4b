/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

static int64_t pragma(enum database db, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t v;

	ck_assert_int_eq(sqlite3_prepare_v2(b.st->db[db], sql, -1, &s, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

START_TEST(test_settings)
{
	for (int i = 0; i < DB_COUNT; i++) {
		enum database db = (enum database)i;
		/* fettle.db's own syncs are store_wal_hook()'s: test_store_batch.c */
		ck_assert_int_eq(pragma(db, "PRAGMA synchronous"), db == DB_MAIN ? 1 : 2);
		ck_assert_int_eq(pragma(db, "PRAGMA foreign_keys"), 1);
		ck_assert_int_eq(pragma(db, "PRAGMA trusted_schema"), 0);
		ck_assert_int_eq(pragma(db, "PRAGMA cell_size_check"), 1);
		ck_assert_int_eq(pragma(db, "PRAGMA mmap_size"), 0);
		ck_assert_int_eq(pragma(db, "PRAGMA wal_autocheckpoint"), 0);
		ck_assert_int_eq(pragma(db, "PRAGMA auto_vacuum"), 2);
		ck_assert_int_eq(pragma(db, "PRAGMA user_version"), db == DB_MAIN ? 2 : 1);
	}
	ck_assert_int_eq(pragma(DB_MAIN, "PRAGMA page_size"), 4096);
	ck_assert_int_eq(pragma(DB_IMAGES, "PRAGMA page_size"), 16384);
	ck_assert_int_eq(pragma(DB_MAIN, "PRAGMA application_id"), 0x4665746c);
	ck_assert_int_eq(pragma(DB_IMAGES, "PRAGMA application_id"), 0x46657469);
	ck_assert_int_eq(store_schema_version(), 2);
	ok(store_quick_check(b.st, e));
}
END_TEST

START_TEST(test_files_are_private)
{
	static const char *const names[] = { "fettle.db", "fettle.db-wal", "images.db" };
	struct stat sb;
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bed_path(&b, path, sizeof(path), names[i]);
		ck_assert_int_eq(stat(path, &sb), 0);
		ck_assert_int_eq(sb.st_mode & 0777, 0600);
	}
	/* the log stays when the store is closed, so that its directory entry is durable once */
	bed_close(&b);
	bed_path(&b, path, sizeof(path), "fettle.db-wal");
	ck_assert_int_eq(stat(path, &sb), 0);
	bed_open(&b);
}
END_TEST

static struct digest file_digest(const char *name)
{
	static uint8_t bytes[4 << 20];
	struct digest d;
	char path[128];

	bed_path(&b, path, sizeof(path), name);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof(bytes));
	close(fd);
	ck_assert_int_gt(n, 0);
	sha256_once(slice_of(bytes, (size_t)n), &d);
	return d;
}

START_TEST(test_newer_is_refused_untouched)
{
	static const struct {
		const char *file, *sql;
	} rows[] = {
		{ "fettle.db", "PRAGMA user_version = 99" },
		{ "images.db", "PRAGMA user_version = 99" },
		{ "fettle.db", "PRAGMA user_version = 1; PRAGMA application_id = 7" },
	};
	struct store_options o = { .dir = b.dir };
	struct store *st;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bed_close(&b);
		bed_sql(&b, rows[i].file, rows[i].sql);
		struct digest before = file_digest(rows[i].file);
		for (int read_only = 0; read_only < 2; read_only++) {
			o.read_only = read_only;
			refuses(store_open(&o, &st, e), ERR_UNSUPPORTED);
			ck_assert_ptr_null(st);
		}
		struct digest after = file_digest(rows[i].file);
		ck_assert(digest_eq(&before, &after));
		bed_sql(&b, rows[i].file,
			rows[i].file[0] == 'f' ? "PRAGMA user_version = 2"
					       : "PRAGMA user_version = 1");
		bed_sql(&b, rows[i].file,
			rows[i].file[0] == 'f' ? "PRAGMA application_id = 0x4665746c"
					       : "PRAGMA application_id = 0x46657469");
		bed_open(&b);
	}
}
END_TEST

START_TEST(test_read_only)
{
	struct store_options o = { .dir = b.dir, .read_only = true };
	struct store *st;
	struct device d;
	int64_t dev = make_device(b.st, "one");

	ok(store_open(&o, &st, e));
	ck_assert_int_eq(store_device_get(st, "one", &d, &b.e), 1);
	ck_assert_int_eq(d.dev, dev);
	refuses(store_device_put(st, &d, e), ERR_FORBIDDEN);
	/* it sees what is committed later */
	make_device(b.st, "two");
	ck_assert_int_eq(store_device_get(st, "two", &d, &b.e), 1);
	store_close(st);
	/* a directory without a store */
	o.dir = "/nonexistent";
	refuses(store_open(&o, &st, e), ERR_IO);
}
END_TEST

/* A child writes and acknowledges through a pipe until it is killed; what it told must be there. */
static void writer(int out)
{
	struct store_options o = { .dir = b.dir };
	struct store *st;
	struct err e;

	if (store_open(&o, &st, &e) != 0)
		_exit(1);
	for (int64_t i = 1;; i++) {
		if (store_batch_begin(st, &e) != 0)
			_exit(2);
		for (int k = 0; k < 20; k++) {
			store_handler_begin(st);
			if (store_meta_put_int(st, "counter", i * 20 + k, &e) != 0 ||
			    store_handler_end(st, true, &e) != 0)
				_exit(3);
		}
		if (store_batch_commit(st, &e) != 0)
			_exit(4);
		store_checkpoint(st, i % 7 == 0);
		if (write(out, &i, sizeof(i)) != sizeof(i))
			_exit(5);
	}
}

START_TEST(test_killed)
{
	int64_t last = 0, told, v;

	bed_close(&b);
	for (int round = 0; round < 12; round++) {
		int fds[2], status;
		ck_assert_int_eq(pipe(fds), 0);
		pid_t pid = fork();
		if (pid == 0)
			writer(fds[1]);
		close(fds[1]);
		/* the first time there is something to find, however slow the machine is */
		if (round == 0)
			ck_assert_int_eq(read(fds[0], &last, sizeof(last)), sizeof(last));
		usleep(20000 + (useconds_t)(round * 7919 % 30000));
		kill(pid, SIGKILL);
		while (read(fds[0], &told, sizeof(told)) == sizeof(told))
			last = told;
		close(fds[0]);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		bed_open(&b);
		ck_assert_int_eq(store_meta_get_int(b.st, "counter", &v, &b.e), 1);
		ck_assert_int_ge(v, last * 20 + 19);
		/* whole batches or nothing */
		ck_assert_int_eq(v % 20, 19);
		ok(store_quick_check(b.st, e));
		bed_close(&b);
		last = 0;
	}
	bed_open(&b);
}
END_TEST

START_TEST(test_checkpoint)
{
	struct err e;

	for (int i = 0; i < 60; i++) {
		char id[32];
		ck_assert_int_eq(store_batch_begin(b.st, &e), 0);
		for (int k = 0; k < 50; k++) {
			snprintf(id, sizeof(id), "d%d-%d", i, k);
			make_device(b.st, id);
		}
		ck_assert_int_eq(store_batch_commit(b.st, &e), 0);
		ck_assert_int_lt(store_checkpoint(b.st, false), 1000);
	}
	ck_assert_int_eq(store_checkpoint(b.st, true), 0);
	/* a log that was copied whole is started over, not grown */
	make_device(b.st, "after");
	ck_assert_int_lt(b.st->wal_pages[DB_MAIN], 100);
}
END_TEST

/*
 * What a plan may not do: walk a table or an index, build an index on the way, sort.
 * Who does so is here by name, with the reason that its cost is bounded all the same.
 */
static const struct {
	const char *name;
	const char *detail; /* begins so */
} walks[] = {
	/* from one end of the key, one row */
	{ "DEVICE_LAST", "SCAN devices" },
	{ "AUDIT_HEAD", "SCAN audit" },
	{ "IDEMPOTENCY_SWEEP", "SCAN idempotency" },
	/* a partial index of just the running, the dead */
	{ "JOB_NEXT", "SCAN jobs USING INDEX jobs_running" },
	{ "JOB_CURSOR", "SCAN jobs USING INDEX jobs_running" },
	/* the rollouts that are not over, so many at most */
	{ "ROLLOUT_JOINABLE", "SCAN rollouts USING INDEX rollouts_active" },
	{ "ROLLOUT_JOINABLE", "SCAN r" },
	{ "OBJECT_DEAD", "SCAN objects USING" },
	/* at most 256 rows (UPLOADS_MAX) */
	{ "UPLOAD_TOTAL", "SCAN uploads" },
	{ "UPLOAD_OLD", "SCAN uploads" },
	/* the chain made on the way: rows of one update, or one device */
	{ "HISTORY_OF_UPDATE", "SCAN chain" },
	{ "HISTORY_OF_DEVICE", "SCAN chain" },
	/* sorts of a handful: a device's open updates, credentials of one identity */
	{ "UPDATE_OPEN_LIST", "USE TEMP B-TREE" },
	{ "UPDATE_FIRST_WAITING", "USE TEMP B-TREE" },
	{ "CREDENTIAL_BY_IDENTITY", "USE TEMP B-TREE" },
	/* the answers kept for one asker: as many as it may have */
	{ "IDEMPOTENCY_KEEP", "USE TEMP B-TREE" },
	{ "HISTORY_OF_UPDATE", "USE TEMP B-TREE" },
	{ "HISTORY_OF_DEVICE", "USE TEMP B-TREE" },
	{ "MEMBER_GROUPS", "USE TEMP B-TREE" },
	/* releases that name one image, or were signed by one anchor, or share a path */
	{ "RELEASE_BY_IMAGE", "USE TEMP B-TREE" },
	{ "RELEASE_BY_ANCHOR", "USE TEMP B-TREE" },
	{ "OBJECT_PUBLISHED_IMAGE", "USE TEMP B-TREE" },
	{ "ROUTE_PUBLISHED", "USE TEMP B-TREE" },
	{ "JOB_NEXT", "USE TEMP B-TREE" },
	/* those below one parent, so many at most */
	{ "BELOW_LIVING", "SCAN b" },
	{ "LINK_WAITING", "SCAN d" },
	/* a page of those that wait */
	{ "UPDATE_LIVING", "SCAN u" },
};
#define WALKS (sizeof(walks) / sizeof(walks[0]))

static bool step_allowed(const char *name, const char *detail, bool used[WALKS])
{
	bool costs = strncmp(detail, "SCAN", 4) == 0 || strstr(detail, "AUTOMATIC") ||
		     strstr(detail, "USE TEMP B-TREE");

	if (!costs || strcmp(detail, "SCAN CONSTANT ROW") == 0)
		return true;
	for (size_t i = 0; i < WALKS; i++) {
		if (strcmp(walks[i].name, name) != 0 ||
		    strncmp(detail, walks[i].detail, strlen(walks[i].detail)) != 0)
			continue;
		used[i] = true;
		return true;
	}
	return false;
}

static void check_plan(const struct statement_text *t, bool used[WALKS])
{
	char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", t->text);
	sqlite3_stmt *s = NULL;

	ck_assert_msg(sqlite3_prepare_v2(b.st->db[t->db], sql, -1, &s, NULL) == SQLITE_OK, "%s",
		      t->text);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(s, 3);
		ck_assert_msg(step_allowed(t->name, detail, used), "%s: %s", t->name, detail);
	}
	sqlite3_finalize(s);
	sqlite3_free(sql);
}

START_TEST(test_every_statement_has_a_plan)
{
	bool used[WALKS] = { false };

	for (int i = 0; i < STMT_COUNT; i++) {
		const struct statement_text *t = &store_statements[i];
		if (strncmp(t->text, "BEGIN", 5) != 0 && !strstr(t->text, "SAVEPOINT") &&
		    strncmp(t->text, "COMMIT", 6) != 0)
			check_plan(t, used);
	}
	/* a reason that nobody needs is one too many */
	for (size_t i = 0; i < WALKS; i++)
		ck_assert_msg(used[i], "%s: %s", walks[i].name, walks[i].detail);
}
END_TEST

/*
 * Both a rollout and a device are given by number, and only one index is taken: the wrong one
 * walks all of a rollout for each device, and no test of few devices ever sees that.
 */
static const struct {
	enum statement statement;
	const char *index;
} indexes[] = {
	{ STMT_UPDATE_OF, "INDEX updates_dev (dev=?" },
	{ STMT_ROLLOUT_JOINABLE, "INDEX updates_dev (dev=?" },
	{ STMT_ROLLOUT_LINK_FILL, "INDEX updates_dev (dev=?" },
	{ STMT_BELOW_LIVING, "INDEX updates_dev (dev=?" },
	{ STMT_LINK_WAITING, "INDEX updates_dev (dev=?" },
	/* what runs, and not all that waits */
	{ STMT_CALL_DUE_RUNNING, "INDEX calls_running" },
};

static bool plan_has(const char *text, const char *step)
{
	char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", text);
	sqlite3_stmt *s = NULL;
	bool has = false;

	ck_assert_int_eq(sqlite3_prepare_v2(b.st->db[DB_MAIN], sql, -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW)
		has = has || strstr((const char *)sqlite3_column_text(s, 3), step);
	sqlite3_finalize(s);
	sqlite3_free(sql);
	return has;
}

START_TEST(test_the_narrow_index_is_taken)
{
	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
		const struct statement_text *t = &store_statements[indexes[i].statement];

		ck_assert_msg(plan_has(t->text, indexes[i].index), "%s: not by %s", t->name,
			      indexes[i].index);
	}
}
END_TEST

/* $1 $2 ... first appear in ascending order, since SQLite numbers them by appearance. */
START_TEST(test_parameters_ascend)
{
	for (int i = 0; i < STMT_COUNT; i++) {
		const char *s = store_statements[i].text;
		long high = 0;
		while ((s = strchr(s, '$'))) {
			long n = strtol(++s, NULL, 10);
			ck_assert_msg(n <= high + 1, "%s", store_statements[i].name);
			high = n > high ? n : high;
		}
	}
}
END_TEST

static int index_writes(const char *text)
{
	char *sql = sqlite3_mprintf("EXPLAIN %s", text);
	sqlite3_stmt *s = NULL;
	uint64_t stored = 0; /* cursors on the file; the others are of lists in CHECKs */
	int n = 0;

	ck_assert_int_eq(sqlite3_prepare_v2(b.st->db[DB_MAIN], sql, -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *op = (const char *)sqlite3_column_text(s, 1);
		uint64_t cursor = UINT64_C(1) << (sqlite3_column_int(s, 2) & 63);
		if (strcmp(op, "OpenWrite") == 0)
			stored |= cursor;
		if ((strcmp(op, "IdxInsert") == 0 || strcmp(op, "IdxDelete") == 0) &&
		    (stored & cursor))
			n++;
	}
	sqlite3_finalize(s);
	sqlite3_free(sql);
	return n;
}

START_TEST(test_reports_move_no_index)
{
	static const enum statement still[] = { STMT_LIVE_PUT,	      STMT_LIVE_SEEN,
						STMT_UPDATE_PROGRESS, STMT_UPDATE_PUT,
						STMT_HISTORY_ADD,     STMT_HISTORY_LINK,
						STMT_ROLLOUT_COUNT,   STMT_ROLLOUT_RESERVE,
						STMT_DEVICE_PUT,      STMT_DEVICE_FLOOR };

	for (size_t i = 0; i < sizeof(still) / sizeof(still[0]); i++)
		ck_assert_msg(index_writes(store_statements[still[i]].text) == 0, "%s",
			      store_statements[still[i]].name);
	/* the measure does measure */
	ck_assert_int_gt(index_writes(store_statements[STMT_UPDATE_PUT_STATE].text), 0);
	ck_assert_int_gt(index_writes(store_statements[STMT_UPDATE_PUT_DUE].text), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_open");
	TCase *tc = tcase_create("open");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_settings);
	tcase_add_test(tc, test_files_are_private);
	tcase_add_test(tc, test_newer_is_refused_untouched);
	tcase_add_test(tc, test_read_only);
	tcase_add_test(tc, test_killed);
	tcase_add_test(tc, test_checkpoint);
	tcase_add_test(tc, test_every_statement_has_a_plan);
	tcase_add_test(tc, test_the_narrow_index_is_taken);
	tcase_add_test(tc, test_parameters_ascend);
	tcase_add_test(tc, test_reports_move_no_index);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
