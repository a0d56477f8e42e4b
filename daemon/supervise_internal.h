/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_SUPERVISE_INTERNAL_H
#define FETTLE_DAEMON_SUPERVISE_INTERNAL_H

#include <sys/types.h>

#include "daemon/supervise.h"

/* Between supervise*.c: nobody else includes this. Times are clock_mono_ms(). */
#define BACKOFF_FIRST_MS 100 /* between the death of a front and its next start */
#define BACKOFF_MOST_MS 5000
#define BACKOFF_FORGET_MS 60000 /* up for that long: the next death starts with the first again */
#define PING_PERIOD_MS 5000 /* at most: a quarter of systemd's watchdog when that is shorter */
#define SILENT_MS 30000 /* a child that answers no ping for that long is killed */
#define START_MS 60000 /* a child that is not ready by then is killed */
#define STOP_FRONTS_MS 2500 /* SIGTERM: the fronts are killed then, */
#define STOP_BODIES_MS 2000 /* so long they wait for downloads and uploads that move */
#define STOP_ALL_MS 4500 /* and the rest then */
#define PREPARE_MS 5000 /* SIGHUP: answers later than that are a refusal */
#define REPLACE_MS 10000 /* SIGHUP: READY again then, whatever the new fronts do */

enum run_state {
	RUN_DOWN, /* to be started at respawn_at */
	RUN_STARTING, /* not ready yet */
	RUN_UP,
	RUN_STOPPING, /* was told to stop */
};

struct child {
	enum process kind;
	enum run_state state;
	pid_t pid;
	int fd; /* channel, -1 none */
	int64_t since; /* of the state */
	int64_t respawn_at, backoff;
	int64_t heard; /* last answer */
	uint64_t pong; /* number of the last ping answered */
	unsigned starts;
};

enum run_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING, PHASE_OVER };

struct reload {
	enum { RELOAD_IDLE, RELOAD_PREPARING, RELOAD_REPLACING } state;
	bool again; /* another SIGHUP came meanwhile */
	bool refused;
	uint64_t number; /* of PM_CONFIG */
	unsigned waiting; /* bit per process: has not answered */
	int64_t deadline;
	struct config cfg;
	struct secrets secrets;
};

struct supervisor {
	const struct supervise_options *o;
	struct config cfg;
	struct secrets secrets;
	struct child child[PROCESS_COUNT];
	enum run_phase phase;
	int64_t phase_since;
	int status; /* exit status when over */
	int signal_fd;
	uint64_t ping; /* number of the last ping sent */
	bool ping_complete; /* everybody answered it */
	int64_t ping_at, ping_period;
	bool watchdog;
	struct reload reload;
};

/* Start c's process: 0, or -1 (logged). Joins it to its peers. */
int supervise_spawn(struct supervisor *s, struct child *c);
/* Tell it to finish; a front: bodies that move within this time, too. */
void supervise_stop_child(struct child *c, unsigned bodies_ms);
bool supervise_all_up(const struct supervisor *s);

void reload_begin(struct supervisor *s); /* SIGHUP */
void reload_answer(struct supervisor *s, const struct child *c, const struct parent_msg *m);
void reload_child_gone(struct supervisor *s, const struct child *c);
void reload_tick(struct supervisor *s, int64_t now);

#endif
