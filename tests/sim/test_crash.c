/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * The server is killed, really: a child runs a fleet on a durable store and dies by SIGKILL
 * at one of its writes, which may be torn, before it, after it, or anywhere in between. The
 * parent opens what is left: it must be all of one of the two models that the child left in
 * shared memory, that of the last commit or that of the batch which was on its way to be
 * one. What was acknowledged is in the first. FETTLE_CRASHES says how often (500;
 * FETTLE_LONG=yes: 10,000), FETTLE_SEED where to begin.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "points.h"
#include "sim.h"

#ifdef FETTLE_UNHARDENED
#define CRASHES 40
#else
#define CRASHES 500
#endif
#define EVENTS_MAX 1500 /* nearly all have died by then */
#define KILLED_PERCENT 75
#define FEW 40 /* of fewer, too few may be killed by chance */

/* ---- dying at the n-th write of the database ---- */

static long writes_left;
static unsigned torn_percent;

static ssize_t last_words(int fd, const void *p, size_t n, off_t at)
{
	if (--writes_left == 0) {
		size_t some = n * torn_percent / 100;

		if (some > 0 && pwrite(fd, p, some, at) < 0)
			torn_percent = 0;
		kill(getpid(), SIGKILL);
	}
	return pwrite(fd, p, n, at);
}

/* SQLite lets its system calls be replaced: no product code knows of this. */
static int watch_writes(void)
{
	sqlite3_vfs *v = sqlite3_vfs_find(NULL);
	union {
		ssize_t (*call)(int, const void *, size_t, off_t);
		sqlite3_syscall_ptr ptr;
	} u = { .call = last_words };

	if (sqlite3_initialize() != SQLITE_OK || !v || !v->xSetSystemCall)
		return -1;
	return v->xSetSystemCall(v, "pwrite", u.ptr) == SQLITE_OK &&
			       v->xSetSystemCall(v, "pwrite64", u.ptr) == SQLITE_OK
		       ? 0
		       : -1;
}

/* ---- dying at a named point ---- */

#define POINT_EVENTS 3000

static int point = -1; /* which one, -1 none */
static bool committed; /* what was under way there is, too */

/* ---- one schedule ---- */

static void arm(uint64_t seed)
{
	struct dice d = { .s = seed ^ 0x5eed };

	/* the first few hundred make the fleet: death at them, too, now and then */
	if (point >= 0) {
		points_arm(point, dice_range(&d, 0, 2), committed);
		return;
	}
	writes_left = dice_range(&d, 1, dice_chance(&d, 200) ? 300 : 1500);
	torn_percent = dice_chance(&d, 500) ? (unsigned)dice_below(&d, 100) : 0;
	if (dice_chance(&d, 300)) {
		writes_left = INT64_C(1) << 40;
		ualarm((useconds_t)dice_range(&d, 1000, 150000), 0);
		signal(SIGALRM, SIG_DFL);
	}
}

static void live(struct sim *s, uint64_t seed)
{
	arm(seed);
	int rc = sim_run(s);
	if (rc != 0)
		sim_report(s, "tests/sim/test_crash");
	_exit(rc == 0 ? 0 : 1);
}

/* What the parent knows of the child when it is dead. */
struct left {
	struct o_model now, durable;
	struct sim_box box;
};

/* A pass or a job had committed and nobody had taken it down: it is judged now. */
static bool holds_work(struct sim *s, const struct o_model *m, const struct sim_box *box)
{
	struct oracle *o = &s->oracle;

	if (!box->busy)
		return false;
	oracle_copy(o->now, m);
	o->failed = false;
	oracle_before(o, &(struct said){ .what = box->what, .dev = -1 }, box->track, box->wall);
	oracle_after(o, &(struct heard){ .status = 200 });
	if (!o->failed)
		oracle_audit(o);
	return !o->failed;
}

static int check(struct sim *s, const struct left *l)
{
	struct err e = { 0 };
	char first[sizeof(s->oracle.verdict)];

	if (server_crash(&s->server, &e) != 0) {
		printf("it does not open again: %s\n", e.text);
		return -1;
	}
	s->oracle.st = s->server.st;
	bool one = oracle_holds(&s->oracle, &l->durable);
	memcpy(first, s->oracle.verdict, sizeof(first));
	if (!one && !oracle_holds(&s->oracle, &l->now) && !holds_work(s, &l->durable, &l->box)) {
		printf("it holds neither what was committed: %s\nnor what was to be: %s\n", first,
		       s->oracle.verdict);
		return -1;
	}
	oracle_history(&s->oracle);
	if (!s->oracle.failed && store_quick_check(s->server.st, &e) == 0)
		return 0;
	printf("%s%s\n", s->oracle.verdict, e.text);
	return -1;
}

/* The child's own connection: the parent's must not be carried over a fork. */
static void begin(struct sim *s, struct left *l, uint64_t seed)
{
	struct err e = { 0 };

	s->server.st = NULL;
	s->server.sv = NULL;
	s->oracle.now = &l->now;
	s->oracle.durable = &l->durable;
	s->box = &l->box;
	if (server_crash(&s->server, &e) != 0)
		_exit(2);
	s->oracle.st = s->server.st;
	live(s, seed);
}

/* 1 it was killed and is whole, 0 it lived to its end and is, -1 */
static int run(struct sim *s, struct left *l, uint64_t seed)
{
	struct sim_options o = { .seed = seed, .events = point < 0 ? EVENTS_MAX : POINT_EVENTS };
	int status = 0;

	if (sim_open(s, &o) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0)
		begin(s, l, seed);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	bool killed =
		WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGALRM);
	if (!killed && status != 0)
		return -1;
	return check(s, l) != 0 ? -1 : killed;
}

static int schedule(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct left *l =
		mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = -1;

	if (s && l != MAP_FAILED) {
		rc = run(s, l, seed);
		if (rc < 0)
			printf("again: FETTLE_SEED=%" PRIu64
			       " FETTLE_CRASHES=1 tests/sim/test_crash\n",
			       seed);
		sim_close(s);
		munmap(l, sizeof(*l));
	}
	free(s);
	return rc;
}

static long number(const char *name, long otherwise)
{
	const char *v = getenv(name);
	int64_t n;

	return v && v[0] && text_i64(slice_str(v), &n) == 0 && n > 0 ? (long)n : otherwise;
}

/* At each point some fleets' servers die; one that no fleet comes to is no point. */
static int at_points(long from)
{
	for (point = 0; point < POINTS; point++) {
		int killed = 0;

		for (long i = 0; i < 12 && killed < 3; i++) {
			committed = killed == 2;
			int rc = schedule((uint64_t)(from + i));
			if (rc < 0) {
				printf("killed %s%s\n", point_name(point),
				       committed ? ", committed" : "");
				return -1;
			}
			killed += rc;
		}
		printf("killed %s: %d\n", point_name(point), killed);
		if (killed == 0)
			return -1;
	}
	return 0;
}

static int some(long first, long last, long step, long *killed)
{
	for (long i = first; i <= last; i += step) {
		int rc = schedule((uint64_t)i);
		if (rc < 0)
			return -1;
		*killed += rc;
	}
	return 0;
}

/* Every processor takes its share. The parent of them all never opens a store. */
static int share(long from, long wanted)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), bad = 0, all = 0;
	int workers = cpus < 1 ? 1 : cpus > 16 ? 16 : (int)cpus;
	long *killed = mmap(NULL, 16 * sizeof(*killed), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (killed == MAP_FAILED)
		return -1;
	for (int i = 0; i < workers; i++) {
		pid_t child = fork();
		if (child == 0) {
			int rc = some(from + i, from + wanted - 1, workers, &killed[i]);
			fflush(stdout);
			_exit(rc == 0 ? 0 : 1);
		}
		bad += child < 0;
	}
	for (int i = 0; i < workers; i++) {
		int status;
		bad += wait(&status) < 0 || status != 0;
		all += killed[i];
	}
	munmap(killed, 16 * sizeof(*killed));
	printf("%ld schedules, %ld killed\n", wanted, all);
	fflush(stdout);
	/* those that live to their end show nothing of a crash */
	if (wanted >= FEW && all * 100 < wanted * KILLED_PERCENT) {
		printf("at least %d %% of them must be killed\n", KILLED_PERCENT);
		return -1;
	}
	return bad ? -1 : 0;
}

int main(void)
{
	const char *length = getenv("FETTLE_LONG");
	long most = length && strcmp(length, "yes") == 0 ? 10000 : CRASHES;
	long wanted = number("FETTLE_CRASHES", most), from = number("FETTLE_SEED", 1);

	log_set_level(LOG_ERROR_);
	if (access("/dev/shm", W_OK) == 0)
		setenv("FETTLE_SIM_DIR", "/dev/shm", 0);
	if (watch_writes() != 0) {
		printf("SQLite's calls cannot be watched\n");
		return 77;
	}
	writes_left = INT64_C(1) << 40;
	if (share(from, wanted) != 0)
		return EXIT_FAILURE;
	return at_points(from) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
