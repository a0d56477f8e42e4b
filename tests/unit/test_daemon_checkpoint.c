/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/checkpointer.h"
#include "daemon/core_internal.h"
#include "faults.h"
#include "store/internal.h"
#include "store_util.h"

/*
 * The core's side of the checkpointer. The test is that process: peer is its end, other its store.
 */
static struct bed b;
static struct core c;
static struct child_link parent;
static struct store *other;
static int peer;

static void join(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	peer = fds[1];
	core_checkpointer_join(&c, fds[0]);
}

static void setup(void)
{
	struct store_options o = { .dir = b.dir };

	bed_make(&b);
	ok(store_open(&o, &other, e));
	memset(&c, 0, sizeof(c));
	c.store = b.st;
	c.link = &parent;
	c.checkpointer.fd = -1;
	join();
}

static void teardown(void)
{
	core_checkpointer_leave(&c);
	close(peer);
	store_close(other);
	bed_remove(&b);
}

/* Commits until the log has so many pages. */
static void write_pages(int pages)
{
	static int name;

	while (b.st->wal_pages[DB_MAIN] < pages) {
		ok(store_batch_begin(b.st, e));
		store_batch_may_wait(b.st);
		for (int i = 0; i < 200; i++) {
			char id[32];
			snprintf(id, sizeof(id), "%dd%d", name * 7919 % 10000, name);
			name++;
			make_device(b.st, id);
		}
		ok(store_batch_commit(b.st, e));
	}
}

/* A turn of the core at that time, not idle. */
static void turn(int64_t now)
{
	c.batch_at = now;
	(void)core_checkpoint(&c, now);
}

static bool asked(uint32_t *number)
{
	ssize_t n = recv(peer, number, sizeof(*number), MSG_DONTWAIT);

	ck_assert(n == (ssize_t)sizeof(*number) || (n < 0 && errno == EAGAIN));
	return n > 0;
}

static uint32_t question(void)
{
	uint32_t number = 0;

	ck_assert(asked(&number));
	return number;
}

static void no_question(void)
{
	uint32_t number;

	ck_assert(!asked(&number));
}

static void answer(uint32_t number, enum checkpoint_outcome outcome, const struct wal_copied *w)
{
	const struct checkpoint_answer a = {
		.number = number,
		.outcome = outcome,
		.log = w ? w->log : 0,
		.done = w ? w->done : 0,
	};

	ck_assert_int_eq(send(peer, &a, sizeof(a), MSG_NOSIGNAL), (ssize_t)sizeof(a));
}

static struct wal_copied copy(void)
{
	struct wal_copied w;

	ok(store_wal_copy(other, &w, e));
	return w;
}

START_TEST(it_is_asked_when_enough_waits)
{
	write_pages(CORE_IDLE_PAGES);
	turn(0);
	no_question();
	/* nobody was there for a while: less is worth it */
	(void)core_checkpoint(&c, CORE_IDLE_MS);
	uint32_t first = question();
	write_pages(2 * CORE_COPY_PAGES);
	struct wal_copied w = copy();
	turn(1000);
	no_question(); /* one at a time */
	ck_assert_int_eq(b.st->wal_done[DB_MAIN], 0);
	answer(first, CHECKPOINT_DONE, &w);
	turn(1000);
	ck_assert_int_eq(b.st->wal_done[DB_MAIN], b.st->wal_pages[DB_MAIN]);
	no_question();
	/* all was copied: the log starts over */
	make_device(b.st, "after");
	ck_assert_int_lt(b.st->wal_pages[DB_MAIN], 100);
	ck_assert(!c.checkpointer.gone);
}
END_TEST

START_TEST(the_core_writes_meanwhile)
{
	write_pages(CORE_COPY_PAGES);
	turn(0);
	struct wal_copied w = copy();
	write_pages(CORE_COPY_PAGES + 500);
	answer(question(), CHECKPOINT_DONE, &w);
	turn(0);
	ck_assert_int_eq(b.st->wal_done[DB_MAIN], w.done);
	no_question(); /* what came meanwhile is not enough yet */
	write_pages(w.done + CORE_COPY_PAGES);
	turn(0);
	(void)question();
}
END_TEST

START_TEST(a_full_log_starts_over)
{
	write_pages(CORE_COPY_PAGES);
	turn(0);
	uint32_t number = question();
	c.jobs = true;
	ck_assert(!core_jobs_wait(&c));
	write_pages(8000);
	/* more would be more for the end: jobs wait, and nothing wakes the loop for them */
	ck_assert(core_jobs_wait(&c));
	c.persist_at = c.sweep_at = clock_mono_ms() + 60000;
	ck_assert_int_eq(core_work_wait_ms(&c), 1000);
	struct wal_copied w = copy();
	write_pages(8100);
	answer(number, CHECKPOINT_DONE, &w);
	turn(0);
	ck_assert(core_jobs_wait(&c));
	number = question(); /* once more */
	w = copy();
	write_pages(8200);
	answer(number, CHECKPOINT_DONE, &w);
	turn(0);
	/* and what a request wrote meanwhile the core copied itself */
	no_question();
	ck_assert(!core_jobs_wait(&c));
	ck_assert_int_le(core_work_wait_ms(&c), 1);
	make_device(b.st, "after");
	ck_assert_int_lt(b.st->wal_pages[DB_MAIN], 100);
	ok(store_quick_check(b.st, e));
}
END_TEST

static sqlite3 *reader_begin(void)
{
	char path[128];
	sqlite3 *db;

	bed_path(&b, path, sizeof(path), "fettle.db");
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM devices", NULL, NULL, NULL),
			 SQLITE_OK);
	return db;
}

/* Somebody else reads for long: what was written since then cannot be copied. */
START_TEST(a_reader_is_in_the_way)
{
	write_pages(1000);
	sqlite3 *reader = reader_begin();
	write_pages(1000 + 2 * CORE_COPY_PAGES);
	turn(0);
	struct wal_copied w = copy();
	ck_assert_int_lt(w.done, w.log);
	answer(question(), CHECKPOINT_DONE, &w);
	turn(0);
	/* once more nothing comes of it, and it would be so for ever: each answer wakes the core */
	w = copy();
	answer(question(), CHECKPOINT_DONE, &w);
	turn(0);
	no_question();
	turn(CORE_RETRY_MS - 1);
	no_question();
	turn(CORE_RETRY_MS);
	write_pages(8000);
	ck_assert(core_jobs_wait(&c));
	/* full, and it cannot be helped: jobs need not wait for a stranger */
	w = copy();
	answer(question(), CHECKPOINT_DONE, &w);
	turn(CORE_RETRY_MS);
	no_question();
	ck_assert(!core_jobs_wait(&c));
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
	turn(2 * CORE_RETRY_MS);
	w = copy();
	answer(question(), CHECKPOINT_DONE, &w);
	turn(2 * CORE_RETRY_MS);
	make_device(b.st, "after");
	ck_assert_int_lt(b.st->wal_pages[DB_MAIN], 100);
}
END_TEST

START_TEST(it_fails_for_now)
{
	write_pages(CORE_COPY_PAGES);
	turn(0);
	answer(question(), CHECKPOINT_FAILED, NULL);
	turn(0);
	no_question();
	ck_assert_int_eq(b.st->wal_done[DB_MAIN], 0);
	ck_assert(!store_must_stop(b.st));
	turn(CORE_RETRY_MS);
	(void)question();
}
END_TEST

/* It may fail for ever: jobs go on meanwhile. */
START_TEST(it_fails_while_full)
{
	write_pages(8000);
	turn(0);
	ck_assert(core_jobs_wait(&c));
	answer(question(), CHECKPOINT_FAILED, NULL);
	turn(0);
	no_question();
	ck_assert(!core_jobs_wait(&c));
	/* and then it is the core's turn */
	turn(CORE_RETRY_MS);
	no_question();
	ck_assert_int_eq(b.st->wal_done[DB_MAIN], b.st->wal_pages[DB_MAIN]);
}
END_TEST

static void hush(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

/* Its failed sync counts as one of the core's. */
START_TEST(it_lost_something)
{
	struct wal_copied w;

	write_pages(CORE_COPY_PAGES);
	turn(0);
	faults_arm(FAULT_SYNC, 1, false);
	faults_during(true);
	refuses(store_wal_copy(other, &w, e), ERR_IO);
	faults_during(false);
	ck_assert(faults_disarm());
	ck_assert(store_must_stop(other));
	answer(question(), CHECKPOINT_LOST, NULL);
	log_set_sink(hush); /* it is meant */
	ck_assert(!core_work(&c));
	ck_assert(c.stopping);
	ck_assert_int_ne(c.status, 0);
	refuses(store_meta_put_int(b.st, "a", 1, e), ERR_IO);
}
END_TEST

/* Its death, or words that it never says: the core goes on without it. */
START_TEST(it_goes)
{
	static const struct checkpoint_answer strange[] = {
		{ .number = 7 },
		{ .number = 1, .outcome = CHECKPOINT_LOST + 1 },
	};

	for (size_t i = 0; i <= sizeof(strange) / sizeof(strange[0]); i++) {
		write_pages(CORE_COPY_PAGES);
		turn(0);
		ck_assert_uint_eq(question(), 1);
		if (i < sizeof(strange) / sizeof(strange[0]))
			ck_assert_int_gt(send(peer, &strange[i], sizeof(strange[i]), MSG_NOSIGNAL),
					 0);
		else
			ck_assert_int_eq(shutdown(peer, SHUT_RDWR), 0);
		turn(0);
		ck_assert(c.checkpointer.gone);
		ck_assert_int_eq(b.st->wal_done[DB_MAIN], 0);
		core_checkpointer_leave(&c);
		(void)core_checkpoint(&c, CORE_IDLE_MS);
		ck_assert_int_eq(b.st->wal_done[DB_MAIN], b.st->wal_pages[DB_MAIN]);
		close(peer);
		make_device(b.st, i == 0 ? "x" : i == 1 ? "y" : "z");
		ck_assert_int_lt(b.st->wal_pages[DB_MAIN], 100);
		join();
	}
}
END_TEST

/* It ended over a failed sync and told nobody; the core's own descriptors are told, too. */
START_TEST(it_goes_with_its_failure)
{
	struct wal_copied w;

	write_pages(CORE_COPY_PAGES);
	turn(0);
	faults_arm(FAULT_SYNC, 2, false);
	faults_during(true);
	refuses(store_wal_copy(other, &w, e), ERR_IO);
	faults_during(false);
	ck_assert(faults_disarm());
	(void)question();
	ck_assert_int_eq(shutdown(peer, SHUT_RDWR), 0);
	turn(0);
	ck_assert(c.checkpointer.gone);
	ck_assert(!store_must_stop(b.st));
	faults_arm(FAULT_SYNC, (unsigned)_i, false); /* the log's, the database's */
	faults_during(true);
	core_checkpointer_leave(&c);
	faults_during(false);
	ck_assert(faults_disarm());
	ck_assert(store_must_stop(b.st));
	close(peer);
	join();
	turn(CORE_RETRY_MS);
	no_question();
}
END_TEST

/* The next one comes before the core heard the last one's answer. */
START_TEST(it_goes_with_its_answer)
{
	int before = peer;

	write_pages(CORE_COPY_PAGES);
	turn(0);
	answer(question(), CHECKPOINT_LOST, NULL);
	join();
	close(before);
	ck_assert(store_must_stop(b.st));
	turn(CORE_RETRY_MS);
	no_question();
}
END_TEST

/* What was not under way when it ended cannot have failed. */
START_TEST(it_goes_at_ease)
{
	struct wal_copied w;

	write_pages(CORE_COPY_PAGES);
	turn(0);
	w = copy();
	answer(question(), CHECKPOINT_DONE, &w);
	turn(0);
	faults_arm(FAULT_SYNC, 1, true);
	faults_during(true);
	core_checkpointer_leave(&c);
	faults_during(false);
	ck_assert(!faults_disarm());
	ck_assert(!store_must_stop(b.st));
}
END_TEST

/* An answer about a log that has started over since says nothing about this one. */
START_TEST(a_late_answer)
{
	write_pages(CORE_COPY_PAGES);
	turn(0);
	struct wal_copied w = copy();
	b.st->wal_done[DB_MAIN] = 0;
	make_device(b.st, "restarts");
	ck_assert_int_lt(b.st->wal_pages[DB_MAIN], 100);
	answer(question(), CHECKPOINT_DONE, &w);
	turn(0);
	ck_assert_int_eq(b.st->wal_done[DB_MAIN], 0);
	ck_assert(!c.checkpointer.gone);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon_checkpoint");
	TCase *tc = tcase_create("daemon_checkpoint");

	faults_install();
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, it_is_asked_when_enough_waits);
	tcase_add_test(tc, the_core_writes_meanwhile);
	tcase_add_test(tc, a_full_log_starts_over);
	tcase_add_test(tc, a_reader_is_in_the_way);
	tcase_add_test(tc, it_fails_for_now);
	tcase_add_test(tc, it_fails_while_full);
	tcase_add_test(tc, it_lost_something);
	tcase_add_test(tc, it_goes);
	tcase_add_loop_test(tc, it_goes_with_its_failure, 1, 3);
	tcase_add_test(tc, it_goes_with_its_answer);
	tcase_add_test(tc, it_goes_at_ease);
	tcase_add_test(tc, a_late_answer);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
