/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/core_clock.h"
#include "daemon/core_internal.h"
#include "daemon/core_objects.h"
#include "daemon/keys_rate.h"
#include "daemon/supervise.h"
#include "daemon/sysint.h"

/* ---- messages between the parent and its children ---- */

static int pair[2];

static void open_pair(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(void)
{
	close(pair[0]);
	close(pair[1]);
}

START_TEST(message_carries_a_descriptor)
{
	struct parent_msg m;
	int fd, p[2];
	char byte;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(parent_msg_recv(pair[1], &m, &fd), 0);
	ck_assert_int_eq(parent_msg_send(pair[0], PM_PEER, 1, 77, p[0]), 0);
	ck_assert_int_eq(parent_msg_send(pair[0], PM_PING, 0, 78, -1), 0);
	ck_assert_int_eq(parent_msg_recv(pair[1], &m, &fd), 1);
	ck_assert_uint_eq(m.type, PM_PEER);
	ck_assert_uint_eq(m.arg, 1);
	ck_assert_uint_eq(m.value, 77);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(write(p[1], "y", 1), 1);
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	close(fd);
	ck_assert_int_eq(parent_msg_recv(pair[1], &m, &fd), 1);
	ck_assert_uint_eq(m.value, 78);
	ck_assert_int_eq(fd, -1);
	close(p[0]);
	close(p[1]);
}
END_TEST

/* A captured child must not fill its parent's table of descriptors. */
START_TEST(message_with_two_descriptors_leaves_none)
{
	union {
		char b[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { .b = { 0 } };
	struct parent_msg m = { .type = PM_PONG };
	struct iovec v = { .iov_base = &m, .iov_len = sizeof(m) };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control.b,
			    .msg_controllen = sizeof(control.b) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	int two[2] = { pair[0], pair[0] }, fd, before = dup(pair[0]);

	close(before);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(two));
	memcpy(CMSG_DATA(c), two, sizeof(two));
	ck_assert_int_eq(sendmsg(pair[0], &h, 0), (ssize_t)sizeof(m));
	ck_assert_int_eq(parent_msg_recv(pair[1], &m, &fd), -1);
	ck_assert_int_eq(fd, -1);
	int after = dup(pair[0]);
	ck_assert_int_eq(after, before);
	close(after);
}
END_TEST

START_TEST(message_of_another_size_is_refused)
{
	struct parent_msg m;
	char large[64] = { 0 };
	int fd;

	ck_assert_int_eq(send(pair[0], "short", 5, 0), 5);
	ck_assert_int_eq(parent_msg_recv(pair[1], &m, &fd), -1);
	ck_assert_int_eq(send(pair[0], large, sizeof(large), 0), (ssize_t)sizeof(large));
	ck_assert_int_eq(parent_msg_recv(pair[1], &m, &fd), -1);
	close(pair[0]);
	ck_assert_int_eq(parent_msg_recv(pair[1], &m, &fd), -1);
	pair[0] = -1;
}
END_TEST

START_TEST(processes_have_names)
{
	enum process p;

	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		ck_assert_int_eq(process_parse(process_name((enum process)i), &p), 0);
		ck_assert_uint_eq(p, i);
	}
	ck_assert_int_eq(process_parse("parent", &p), -1);
}
END_TEST

/* ---- tracker time ---- */

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

static struct core_clock_reading at(int64_t wall, int64_t mono, bool synchronised)
{
	return (struct core_clock_reading){ .wall = wall,
					    .mono = mono,
					    .synchronised = synchronised };
}

START_TEST(time_goes_on_over_a_restart)
{
	static const struct {
		int64_t wall_then, wall_now;
		bool synchronised, trusted;
		int64_t track;
	} cases[] = {
		{ 0, 5 * DAY, false, true, 1000 }, /* the first start ever */
		{ 10 * DAY, 11 * DAY, true, true, 1000 + DAY },
		{ 10 * DAY, 11 * DAY, false, true, 1000 }, /* who knows */
		{ 10 * DAY, 9 * DAY, true, true, 1000 }, /* it never runs back */
		{ 10 * DAY, 9 * DAY, false, false, 1000 },
		{ 10 * DAY, 10 * DAY, false, true, 1000 },
	};
	struct core_clock k;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_clock_reading r = at(cases[i].wall_now, 50, cases[i].synchronised);
		core_clock_start(&k, 1000, cases[i].wall_then, &r);
		struct now now = core_clock_now(&k, &r);
		ck_assert_msg(now.track == cases[i].track, "case %zu: track %lld", i,
			      (long long)now.track);
		ck_assert_msg(now.wall_trusted == cases[i].trusted, "case %zu: trusted", i);
	}
	struct core_clock_reading r = at(DAY, 50, false);
	core_clock_start(&k, 0, 0, &r);
	ck_assert_int_eq(core_clock_now(&k, &r).track, 1); /* 0 means nothing is due */
}
END_TEST

START_TEST(track_follows_the_monotonic_clock)
{
	struct core_clock_reading r = at(DAY, 100, false);
	struct core_clock k;

	core_clock_start(&k, 1000, DAY, &r);
	r = at(DAY + 500, 600, false);
	ck_assert_int_eq(core_clock_now(&k, &r).track, 1500);
	r = at(DAY + 500, 590, false); /* not even a broken clock turns it back */
	ck_assert_int_eq(core_clock_now(&k, &r).track, 1500);
	r = at(DAY + 30 * HOUR, 700, false);
	ck_assert_int_eq(core_clock_now(&k, &r).track, 1600);
}
END_TEST

START_TEST(a_step_loses_the_trust)
{
	struct core_clock_reading r = at(10 * DAY, 0, false);
	struct core_clock k;

	core_clock_start(&k, 1, 10 * DAY, &r);
	r = at(10 * DAY + HOUR + 10, 10, false); /* an hour is allowed */
	ck_assert(core_clock_now(&k, &r).wall_trusted);
	r = at(r.wall + HOUR + 11, 20, false);
	ck_assert(!core_clock_now(&k, &r).wall_trusted);
	r = at(r.wall + 1, 21, false);
	ck_assert(!core_clock_now(&k, &r).wall_trusted); /* going on well heals nothing */
	r = at(r.wall + 1, 22, true);
	ck_assert(core_clock_now(&k, &r).wall_trusted);
	core_clock_committed(&k, r.wall);
	r = at(r.wall - 1, 23, false); /* below what is durable */
	ck_assert(!core_clock_now(&k, &r).wall_trusted);
	core_clock_accept(&k, &r);
	ck_assert(core_clock_now(&k, &r).wall_trusted);
	core_clock_committed(&k, r.wall - DAY); /* an older time moves nothing */
	ck_assert(core_clock_now(&k, &r).wall_trusted);
}
END_TEST

/* ---- objects of a front ---- */

static struct digest digest(uint32_t n)
{
	struct digest d = { .b = { (uint8_t)n, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n } };

	return d;
}

START_TEST(objects_are_bounded_oldest_first)
{
	struct object_set s;
	struct digest gone, d;
	struct err e = { 0 };

	ck_assert_int_eq(object_set_init(&s, 4, &e), 0);
	for (uint32_t i = 0; i < 4; i++) {
		d = digest(i);
		ck_assert(!object_set_add(&s, &d, &gone));
	}
	d = digest(0);
	ck_assert(object_set_has(&s, &d)); /* now 1 is the oldest */
	d = digest(256); /* the bucket of 0 */
	ck_assert(object_set_add(&s, &d, &gone));
	d = digest(1);
	ck_assert(digest_eq(&gone, &d));
	ck_assert(!object_set_has(&s, &d));
	d = digest(256);
	ck_assert(object_set_has(&s, &d));
	ck_assert(object_set_remove(&s, &d));
	ck_assert(!object_set_remove(&s, &d));
	d = digest(0);
	ck_assert(object_set_has(&s, &d));
	ck_assert_uint_eq(s.n, 3);
	object_set_clear(&s);
	ck_assert(!object_set_has(&s, &d));
	ck_assert_uint_eq(s.n, 0);
	object_set_free(&s);
}
END_TEST

START_TEST(objects_hold_over_many_changes)
{
	enum { KINDS = 200, ROUNDS = 20000, MAX = 64 };
	static bool there[KINDS];
	struct object_set s;
	struct digest gone, d;
	struct err e = { 0 };
	uint32_t seed = 1, n = 0;

	ck_assert_int_eq(object_set_init(&s, MAX, &e), 0);
	for (int i = 0; i < ROUNDS; i++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t k = (seed >> 8) % KINDS;
		d = digest(k);
		ck_assert_int_eq(object_set_has(&s, &d), there[k]);
		if (there[k] && seed >> 31) {
			ck_assert(object_set_remove(&s, &d));
			there[k] = false;
			n--;
		} else if (!there[k]) {
			if (object_set_add(&s, &d, &gone)) {
				there[gone.b[5] + 256 * gone.b[4]] = false;
				n--;
			}
			there[k] = true;
			n++;
		}
		ck_assert_uint_eq(s.n, n);
		ck_assert_uint_le(s.n, MAX);
	}
	object_set_free(&s);
}
END_TEST

/* ---- questions for keys ---- */

START_TEST(questions_are_limited)
{
	struct keys_rate k;
	unsigned taken = 0;

	keys_rate_init(&k, 100, 4, 0);
	while (keys_rate_take(&k, 0))
		taken++;
	ck_assert_uint_eq(taken, 25);
	ck_assert(!keys_rate_take(&k, 9999));
	ck_assert(keys_rate_take(&k, 10000));
	ck_assert(!keys_rate_take(&k, 10000));
	ck_assert(!keys_rate_take(&k, 5000)); /* a clock that jumps back gives nothing */
	for (taken = 0; keys_rate_take(&k, INT64_MAX);)
		taken++;
	ck_assert_uint_eq(taken, 25); /* a long silence saves up no more than the burst */
}
END_TEST

/* ---- systemd ---- */

/* ---- jobs on a slow disk ---- */

START_TEST(jobs_rest_after_a_slow_commit)
{
	static const struct {
		int64_t took_us, rest_ms;
	} cases[] = {
		{ 0, 0 },	 { 10000, 0 },	    { 15000, 0 },
		{ 15001, 5 },	 { 60000, 50 },	    { 209999, 199 },
		{ 210000, 200 }, { 60000000, 200 }, { INT64_MAX, 200 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(core_rest_ms(cases[i].took_us), cases[i].rest_ms);
}
END_TEST

/* However busy or idle it is elsewhere: the loop wakes for them when the rest is over. */
START_TEST(jobs_go_on_after_their_rest)
{
	static struct core c;
	int64_t now = clock_mono_ms();

	c.checkpointer.fd = -1;
	c.persist_at = c.sweep_at = now + 60000;
	ck_assert_int_eq(core_work_wait_ms(&c), 1000);
	c.jobs = true;
	c.jobs_at = now + 200;
	ck_assert_int_le(core_work_wait_ms(&c), 200);
	c.jobs_at = now - 1;
	ck_assert_int_eq(core_work_wait_ms(&c), 1);
	/* while nothing can be written there is nothing to wake for */
	c.retry_at = now + 60000;
	ck_assert_int_eq(core_work_wait_ms(&c), 1000);
}
END_TEST

/* After a failed sync rows can be seen that are not durable: nothing may follow from them. */
START_TEST(no_work_when_stopping)
{
	static struct core c;

	c.stopping = c.jobs = true;
	c.n_prepare = c.n_unsent = 1;
	c.schedule_track = 1;
	/* there is not even a store that it could ask */
	ck_assert(!core_work(&c));
	ck_assert_uint_eq(c.n_prepare, 1);
}
END_TEST

START_TEST(notification_arrives)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/fettle-notify-XXXXXX", got[128] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(sysint_notify("READY=1"), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	text_format(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	ck_assert_int_eq(sysint_notify("READY=1"), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got) - 1, 0), 7);
	ck_assert_str_eq(got, "READY=1");
	sysint_notify_reloading();
	ck_assert_int_gt(recv(fd, got, sizeof(got) - 1, 0), 12);
	ck_assert_int_eq(strncmp(got, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(sysint_notify("READY=1"), -1);
	close(fd);
	unlink(a.sun_path);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(watchdog_is_ours_or_nobodys)
{
	char pid[16];

	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	ck_assert_uint_eq(sysint_watchdog_us(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	ck_assert_uint_eq(sysint_watchdog_us(), 30000000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_uint_eq(sysint_watchdog_us(), 0);
	text_format(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_uint_eq(sysint_watchdog_us(), 30000000);
	setenv("WATCHDOG_USEC", "soon", 1);
	ck_assert_uint_eq(sysint_watchdog_us(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon/parts");
	TCase *t = tcase_create("messages"), *u = tcase_create("rest");

	tcase_add_checked_fixture(t, open_pair, close_pair);
	tcase_add_test(t, message_carries_a_descriptor);
	tcase_add_test(t, message_with_two_descriptors_leaves_none);
	tcase_add_test(t, message_of_another_size_is_refused);
	tcase_add_test(u, processes_have_names);
	tcase_add_test(u, time_goes_on_over_a_restart);
	tcase_add_test(u, track_follows_the_monotonic_clock);
	tcase_add_test(u, a_step_loses_the_trust);
	tcase_add_test(u, objects_are_bounded_oldest_first);
	tcase_add_test(u, objects_hold_over_many_changes);
	tcase_add_test(u, questions_are_limited);
	tcase_add_test(u, jobs_rest_after_a_slow_commit);
	tcase_add_test(u, jobs_go_on_after_their_rest);
	tcase_add_test(u, no_work_when_stopping);
	tcase_add_test(u, notification_arrives);
	tcase_add_test(u, watchdog_is_ours_or_nobodys);
	suite_add_tcase(s, t);
	suite_add_tcase(s, u);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
