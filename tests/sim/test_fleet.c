/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * Many seeds, each a fleet's life on a clock of its own. FETTLE_SEED=N repeats one;
 * FETTLE_SEEDS and FETTLE_EVENTS say how many and how long; FETTLE_LONG=yes runs 10,000.
 * In every other one operators do all they can; FETTLE_OPERATORS=yes: in all, no: in none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/slice.h"
#include "base/text.h"
#include "sim.h"

/* Builds with instruments are many times slower, and look for other faults. */
#ifdef FETTLE_UNHARDENED
#define SEEDS 8
#else
#define SEEDS 100
#endif

struct tally {
	long events, seen[UPDATE_STATE_COUNT], duplicates, refused, audits, late;
	int64_t days;
	long runs, failed;
	long rule[RULE_COUNT], calls[SEND_KIND_COUNT], resumed;
	long taken; /* the first worker's: seeds that were begun */
};

static const char *const calls[SEND_KIND_COUNT] = {
	[SEND_LOOK] = "to look",
	[SEND_STATUS] = "for its status",
	[SEND_MANIFEST] = "with a manifest",
	[SEND_HELD] = "for what it holds",
	[SEND_IMAGE] = "with an image",
	[SEND_APPLY] = "to install",
	[SEND_DIAG] = "for diagnostics",
	[SEND_DROP] = "to forget",
};

static const char *const rules[RULE_COUNT] = {
	[RULE_WINDOW] = "in a window",
	[RULE_AHEAD] = "ahead of one",
	[RULE_DEADLINE] = "past the deadline",
	[RULE_FORCED] = "forced",
	[RULE_STATUS] = "by its status",
	[RULE_OUTAGE] = "told before an outage",
	[RULE_LEAF_FIRST] = "leaf first",
	[RULE_CORE_FIRST] = "core first",
	[RULE_RETRY] = "tried again",
	[RULE_NEXT] = "moved on by hand",
	[RULE_BUDGET] = "budgets set",
	[RULE_APPROVAL] = "approved",
	[RULE_CLONE] = "cloned",
	[RULE_STANDING] = "by a template",
	[RULE_SHUT_OUT] = "shut out",
	[RULE_STOPPED] = "stopped by force",
	[RULE_RECALLED] = "called back",
	[RULE_FILTER] = "by a phase's filter",
	[RULE_REMOVED] = "removed",
	[RULE_ENROLLED] = "enrolled again",
	[RULE_MODE] = "of another mode",
	[RULE_CLASS] = "of another class",
	[RULE_KIND] = "taken back from it",
	[RULE_FAILURES] = "paused by a kind of failure",
	[RULE_AGAIN] = "open again",
	[RULE_MISSED] = "ended by another kind",
	[RULE_HELD] = "held back",
};

/* Do they try again, move on, agree, force and edit, too? 1 in all runs, 0 in none, -1 by turns */
static int operators(void)
{
	const char *v = getenv("FETTLE_OPERATORS");

	if (v && strcmp(v, "yes") == 0)
		return 1;
	return v && strcmp(v, "no") == 0 ? 0 : -1;
}

static long number(const char *name, long otherwise)
{
	const char *v = getenv(name);
	int64_t n;

	return v && v[0] && text_i64(slice_str(v), &n) == 0 && n > 0 ? (long)n : otherwise;
}

static void count(struct tally *t, const struct sim *s)
{
	const struct oracle *o = &s->oracle;

	t->runs++;
	t->events += s->step;
	t->days += s->server.now.track / 86400000;
	t->duplicates += o->n_duplicates;
	t->refused += o->n_refused;
	t->audits += o->n_audits;
	t->late += o->n_late;
	for (int i = 0; i < UPDATE_STATE_COUNT; i++)
		t->seen[i] += o->seen[i];
	for (int i = 0; i < RULE_COUNT; i++)
		t->rule[i] += o->rule[i];
	for (int i = 0; i < SEND_KIND_COUNT; i++)
		t->calls[i] += o->calls[i];
	t->resumed += o->resumed;
}

static int run(uint64_t seed, long events, struct tally *t)
{
	struct sim *s = calloc(1, sizeof(*s));
	bool more = operators() < 0 ? seed % 2 == 1 : operators() == 1;
	struct sim_options o = {
		.seed = seed, .events = events, .crashes = true, .operators = more
	};

	if (!s)
		return -1;
	int rc = sim_open(s, &o) == 0 ? sim_run(s) : -1;
	if (rc != 0)
		sim_report(s, "tests/sim/test_fleet");
	count(t, s);
	t->failed += rc != 0;
	sim_close(s);
	free(s);
	return rc;
}

/* Who is done takes the next one, until anybody has found something. */
static void some(int which, int workers, long seeds, long events, struct tally *t)
{
	long failed = 0, seed;

	while (failed == 0 &&
	       (seed = __atomic_add_fetch(&t[0].taken, 1, __ATOMIC_RELAXED)) <= seeds) {
		run((uint64_t)seed, events, &t[which]);
		for (int i = 0; i < workers; i++)
			failed += t[i].failed;
	}
}

static void print(const struct tally *t)
{
	printf("%ld runs, %ld events, %" PRId64 " days; %ld repeats, %ld refused, %ld audits, "
	       "%ld late\n",
	       t->runs, t->events, t->days, t->duplicates, t->refused, t->audits, t->late);
	for (int i = 0; i < UPDATE_STATE_COUNT; i++)
		printf("%s %ld%s", update_state_word((enum update_state)i), t->seen[i],
		       i == UPDATE_STATE_COUNT - 1 ? "\n" : ", ");
	for (int i = 0; i < RULE_COUNT; i++)
		printf("%s %ld%s", rules[i], t->rule[i], i == RULE_COUNT - 1 ? "\n" : ", ");
	printf("called");
	for (int i = 0; i < SEND_KIND_COUNT; i++)
		printf(" %s %ld,", calls[i], t->calls[i]);
	printf(" of the images %ld from their middle\n", t->resumed);
}

static void sum(struct tally *t, const struct tally *more)
{
	t->runs += more->runs;
	t->events += more->events;
	t->days += more->days;
	t->duplicates += more->duplicates;
	t->refused += more->refused;
	t->audits += more->audits;
	t->late += more->late;
	t->failed += more->failed;
	for (int i = 0; i < UPDATE_STATE_COUNT; i++)
		t->seen[i] += more->seen[i];
	for (int i = 0; i < RULE_COUNT; i++)
		t->rule[i] += more->rule[i];
	for (int i = 0; i < SEND_KIND_COUNT; i++)
		t->calls[i] += more->calls[i];
	t->resumed += more->resumed;
}

static long none(const char *what, const char *which, long n)
{
	if (n == 0)
		printf("%s %s\n", what, which);
	return n == 0;
}

/* Whatever a fleet can come to, some of them came to: how many things did not happen. */
static long missed(const struct tally *t)
{
	long n = none("no image was ever sent", "from its middle", t->resumed);

	for (int i = UPDATE_PLANNED; i < UPDATE_STATE_COUNT; i++)
		n += none("no update was ever", update_state_word((enum update_state)i),
			  t->seen[i]);
	for (int i = 0; i < (operators() != 0 ? RULE_COUNT : RULE_RETRY); i++)
		n += none("nothing was ever", rules[i], t->rule[i]);
	for (int i = 0; i < SEND_KIND_COUNT; i++)
		n += i != SEND_DIAG && none("nobody was ever called", calls[i], t->calls[i]);
	return n;
}

/* Every processor takes its share; what a worker dies of fails the test. */
static int share(long seeds, long events)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), bad = 0;
	int workers = cpus < 1 ? 1 : cpus > 16 ? 16 : (int)cpus;
	struct tally *t = mmap(NULL, 16 * sizeof(*t), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0),
		     all = { 0 };

	if (t == MAP_FAILED)
		return -1;
	for (int i = 0; i < workers; i++) {
		if (fork() == 0) {
			some(i, workers, seeds, events, t);
			_exit(t[i].failed ? 1 : 0);
		}
	}
	for (int i = 0; i < workers; i++) {
		int status;
		bad += wait(&status) < 0 || status != 0;
	}
	for (int i = 0; i < workers; i++)
		sum(&all, &t[i]);
	print(&all);
	if (seeds * events >= 500000 && !bad)
		bad = missed(&all);
	return bad ? -1 : 0;
}

int main(void)
{
	const char *one = getenv("FETTLE_SEED"), *length = getenv("FETTLE_LONG");
	long seeds = length && strcmp(length, "yes") == 0 ? 10000 : SEEDS;
	long events = number("FETTLE_EVENTS", 10000);
	struct tally t = { 0 };

	log_set_level(LOG_ERROR_);
	if (access("/dev/shm", W_OK) == 0)
		setenv("FETTLE_SIM_DIR", "/dev/shm", 0);
	if (one && one[0]) {
		run((uint64_t)number("FETTLE_SEED", 1), events, &t);
		print(&t);
		return t.failed ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	return share(number("FETTLE_SEEDS", seeds), events) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
