/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_FLEET_H
#define FETTLE_DEVICE_FLEET_H

#include <stdio.h>

#include "device/dtls.h"
#include "device/fan.h"
#include "device/heap.h"
#include "device/minicoap.h"
#include "device/options.h"

/*
 * Many agents in one thread, each with its own endpoint, timers and behaviour. Memory:
 * less than 2 KiB a device, 7 KiB and its manifest while it has an update, some 40 KiB
 * with a DTLS session, of which there are at most --sessions.
 */
#define ACK_TIMEOUT_MS 2000		/* RFC 7252 4.8 */
#define RETRANSMIT_MAX 4
#define SEPARATE_MS 60000		/* an answer after its empty ACK */

#define SESSIONS_DEFAULT 5000		/* DTLS sessions open at once */

enum behaviour {
	BEHAVE_WELL, BEHAVE_FAIL, BEHAVE_DEFER, BEHAVE_SILENT, BEHAVE_REJECT, BEHAVE_ROLL_BACK,
	BEHAVE_COUNT
};

struct net {			/* plain, or DTLS: a port of the server's */
	struct fleet *fleet;
	struct fan *fan;
	struct dtls *dtls;		/* NULL: plain */
};

#define SIM_NONE UINT32_MAX
struct sim {			/* one device */
	struct fleet *fleet;
	struct net *net;
	uint32_t n;
	uint32_t older, newer;		/* in the list of those with a session */
	struct agent agent;
	struct sha256 *hash;
	struct dtls_end *dtls, *ended;
	uint8_t *packet;		/* request under way, as sent */
	size_t packet_n;
	struct agent_request rq;	/* what it is */
	struct buf gathered;		/* blocks of an answer that is no image */
	uint32_t next_block;
	int64_t began;
	uint64_t token, watch;		/* watch: of the observation, 0 none */
	uint16_t mid;
	uint8_t tries, echo_n;
	uint8_t echo[40];
	bool acked, over;
};

struct fleet {
	const struct options *o;
	struct carrier_options carrier;
	struct agent_plan plans[MODE_COUNT][BEHAVE_COUNT][2];	/* [2]: over DTLS */
	struct net nets[2];
	struct heap heap;
	struct sim *sims;
	uint32_t n, running;
	/* the sessions, the one longest unused first */
	uint32_t sessions, oldest, newest;
	uint64_t random;		/* of losses */
	uint64_t boot;			/* of all at first; new in each run */
	int64_t now;
	struct arena mem, call_mem;
	struct buf body, call_body;
	FILE *log;
	uint64_t datagrams_lost, retransmitted, calls, sessions_closed;
	struct err trouble;		/* the first thing that must not happen */
};

/* sim.c */
int sim_init(struct fleet *f, uint32_t n, struct err *e);
void sim_free(struct sim *s);
/* Do what is due until something must be waited for. */
void sim_step(struct sim *s);
void sim_due(struct sim *s);			/* its time has come */
void sim_answer(struct sim *s, const struct mc_in *m);
void sim_unanswered(struct sim *s);		/* the request under way is given up */

/* sim_net.c: datagrams, sessions, the server's calls */
bool sim_secure(struct sim *s);			/* a session where needed; false: no memory */
void sim_send(struct sim *s, const void *p, size_t n);
/* Forget the session; it goes when the message that is being read is. */
void sim_end_session(struct sim *s);
void sim_got(void *ctx, uint32_t n, struct slice datagram);	/* ctx: the net */
void sim_net_free(struct sim *s);

/* fleet.c */
uint64_t fleet_mix(uint64_t v);			/* splitmix64 */
/* What device n is and does: the same for the same options. */
enum behaviour fleet_behaviour(const struct options *o, uint32_t n);
enum mode fleet_mode(const struct options *o, uint32_t n);
bool fleet_secure(const struct options *o, uint32_t n);
/* The state its update ends in, "" when that does not follow from the seed (--once, --reject). */
const char *fleet_expected(const struct options *o, uint32_t n);
int fleet_id(const struct options *o, uint32_t n, char id[NAME_TEXT]);
int fleet_key(const struct carrier_options *c, const char *id, uint8_t key[DTLS_KEY_SIZE]);
bool fleet_loses(void *fleet);			/* this datagram */

#endif
