/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_SIM_SIM_H
#define FETTLE_TESTS_SIM_SIM_H

#include "codec/crypto.h"
#include "oracle.h"
#include "service/service.h"

/*
 * A fleet, its operators and one server on a clock that jumps to whatever comes next.
 * Everything follows from the seed. The server is the real service on a real store; what
 * it is told and what it answers passes the oracle.
 */
#define FLEET_MAX O_DEVICES
#define CLASSES 4			/* two vendors with two models each */
#define VENDORS 2
#define SIM_NEVER INT64_MAX
#define SIM_BODY 768
#define SIM_IMAGE 6000
#define SIM_CALLS (2 * FLEET_MAX)
#define REPLAYS 8
#define SIM_OTHER -2			/* who asks: another operator than -1 */

struct dice { uint64_t s; };
uint64_t dice_next(struct dice *d);
/* [0, n) */
uint64_t dice_below(struct dice *d, uint64_t n);
int64_t dice_range(struct dice *d, int64_t from, int64_t to);
/* once in so many per mille */
bool dice_chance(struct dice *d, unsigned per_mille);

/* ---- the server, and how it dies ---- */

struct server {
	char dir[64];
	struct store *st;
	struct sqlite3 *db;		/* its connection */
	int64_t changes;
	struct written written;
	struct service *sv;
	struct now now;
	struct arena a;
	struct effects *fx;
	struct outcome oc;
	struct response rs;
	const struct doc *doc;		/* of the last answer */
	bool in_batch, admitted[FLEET_MAX + 2];
	bool coap[FLEET_MAX];		/* how its devices talk */
	bool jobs;			/* some may wait */
	unsigned commits;
	int64_t next_pass;		/* tracker time, SIM_NEVER: nothing is due */
};

struct ask_of {
	int dev;			/* -1: root on the control lane, SIM_OTHER */
	enum method method;
	const char *path, *json;
	struct slice body;
	enum media media;
	bool observe;
};

int server_open(struct server *sr, const char *dir, struct err *e);
void server_close(struct server *sr);
void server_remove(struct server *sr);	/* and its folder */
/* What was not committed is gone, and who was connected too. */
int server_crash(struct server *sr, struct err *e);
/* The same to whoever talks to it, and quicker: its file stays open. */
int server_forget(struct server *sr, struct err *e);
/* What is written from the one to the other; NULL: nobody knows. */
void server_watch(struct server *sr);
const struct written *server_written(struct server *sr);
int server_begin(struct server *sr);
int server_commit(struct server *sr);
/* One handler in the open batch; the answer's status, -1: the batch is broken. */
int server_ask(struct server *sr, const struct ask_of *a);
int server_pass(struct server *sr, struct err *e);
int server_job(struct server *sr, struct err *e);

/* What goes to the front for it: 1 with its tag, 0 there is nowhere to send it to, -1. */
int server_call(struct server *sr, const struct effect *fx, uint8_t tag[IPC_SEND_TAG]);
/* What became of one, in the open batch: 1 it was awaited, 0 not, -1: the batch is broken. */
int server_answer(struct server *sr, const struct ipc_sent *s);
/* The session of this device is closed. */
void server_evict(struct server *sr, int dev);

/* ---- the fleet ---- */

enum stage {
	STAGE_NEW, STAGE_IDLE, STAGE_DECIDE, STAGE_FETCH, STAGE_DOWNLOADING, STAGE_DOWNLOADED,
	STAGE_INSTALLING, STAGE_REBOOTING, STAGE_BOOTED, STAGE_TELL, STAGE_COUNT,
};

struct message {
	struct said said;
	enum method method;
	char path[128], json[SIM_BODY];
	int tries;
};

struct habits {				/* per mille */
	unsigned lose_request, lose_answer, defer, reject, accept, fail, roll_back, silent, lie,
		replay, skip, hasty, crash, wake;
	unsigned servers, refuse;
	unsigned windows;		/* so many of them there are, about; 0: none */
	unsigned expiry, filters;
};

/* What the server sent it. */
struct sim_got {
	int64_t update;			/* 0: nothing */
	int64_t held;			/* of the image */
};

struct virtual_device {
	char id[24];
	int class_, parent;
	enum mode mode;
	bool observes, tells_status, tells_windows;
	enum { TELLS_VERSION, TELLS_SEQUENCE, TELLS_DIGEST } tells;
	enum stage stage;
	uint64_t boot, counter;
	int64_t next_at, contact_s;
	int runs;			/* index of its release, -1: the factory's */
	int64_t update;			/* offered to it, 0 none */
	int wants;			/* its release */
	bool has_manifest, ends_well;
	bool waiting;			/* out has not been answered yet */
	bool coap, push, pull, endpoint, sleeps;
	int64_t spoke_at, deaf_until;
	struct sim_got got;
	int64_t outage;			/* of another device, by its update: not acknowledged yet */
	struct message out;
	struct message said[REPLAYS];	/* earlier ones, to be said again */
	unsigned n_said;
};

/* ---- all of it ---- */

struct sim_options {
	uint64_t seed;
	long events;
	const char *dir;		/* of the store: NULL makes one */
	bool verbose;
	bool crashes;
	bool operators;			/* they do more than start and hold */
};

struct pending {
	int dev;
	struct message m;
	unsigned status;
	int64_t update, ask_again, granted, outage;
	int release;			/* told of in an offer, -1 */
	bool manifest, fetch, look;
};
#define PENDING_MAX 8

/* A call of the server's on its way to a device, or the answer on its way back. */
struct sim_call {
	bool used, arrived, of_outage;
	int dev;
	enum send_kind kind;
	int64_t at, update, serial;
	uint64_t offset;
	struct digest object;
	uint8_t tag[IPC_SEND_TAG];
	/* the answer */
	uint16_t status;
	uint64_t came;
	int64_t held, flash;
	char service[12], body[120];
};

/* The schedule and the jobs commit before anybody can take it down: what was under way. */
struct sim_box {
	enum happening what;
	bool busy;
	int64_t track, wall;
};

struct sim {
	struct sim_box *box;		/* NULL: nobody looks into it */
	struct sim_options opt;
	struct dice dice;
	struct habits habits;
	struct server server;
	struct oracle oracle;
	int n_devices;
	struct virtual_device device[FLEET_MAX];
	struct key *key[O_ANCHORS];
	int anchor_of[VENDORS];		/* in force, -1 none */
	uint64_t sequence[CLASSES];
	struct uuid vendor_id[VENDORS], class_id[CLASSES];
	int64_t clock_at;
	long people_from;		/* events after which somebody asks for something */
	int64_t distrusted_until;
	struct pending pending[PENDING_MAX];
	int n_pending;
	struct sim_call call[SIM_CALLS];
	unsigned judged;		/* effects of the open batch */
	struct o_rollout made;		/* is asked for */
	struct o_window drawn;
	struct o_standing template;
	struct o_device edited;
	long step;
	char error[256];		/* the simulation itself could not go on */
};

extern const char *const sim_vendors[VENDORS];
extern const char *const sim_models[CLASSES];

/* 0 good, -1: oracle.verdict or error says why. */
int sim_open(struct sim *s, const struct sim_options *o);
int sim_run(struct sim *s);
void sim_close(struct sim *s);
void sim_report(const struct sim *s, const char *program);
/* Something passes the server under the eyes of the oracle; -1 the run is over. */
int sim_happen(struct sim *s, const struct said *said, const struct ask_of *a, struct heard *h);

/* The same of an answer to a call. */
int sim_answer(struct sim *s, const struct said *said, const struct ipc_sent *sent);

/* fleet.c */
void fleet_make(struct sim *s);
int fleet_enrol(struct sim *s);
int fleet_act(struct sim *s, int dev);
void fleet_hear(struct sim *s, const struct pending *p);
void fleet_lost(struct sim *s, int dev);
void fleet_effects(struct sim *s);

/* fleet_say.c: what a device says next, and its restarts */
void fleet_compose(struct sim *s, int dev, struct message *m);
void fleet_compose_lie(struct sim *s, int dev, struct message *m);
/* The server leads it: it has what it was sent, and waits to be told to install. */
bool fleet_is_pushed(const struct virtual_device *d);
void fleet_boot(struct sim *s, struct virtual_device *d);
void fleet_reboot(struct sim *s, struct virtual_device *d);

/* calls.c */
void calls_make(struct sim *s, struct virtual_device *d);
void calls_put_abilities(const struct virtual_device *d, struct said *said, char *dst, size_t cap);
void calls_judge(struct sim *s);
void calls_order(struct sim *s, const struct effect *fx);
void calls_crash(struct sim *s);
int64_t calls_next(struct sim *s);	/* SIM_NEVER: none is under way */
int calls_act(struct sim *s);
void calls_evict(struct sim *s, int dev);

/* places.c */
int places_begin(struct sim *s);
int places_act(struct sim *s);
void places_heard(struct sim *s, const struct said *said, const struct heard *h);
void places_put_limits(struct sim *s, struct o_rollout *r, struct buf *json);
/* Some images are larger than a block or two. */
void places_pad_image(struct sim *s, char *image, int n, size_t cap);
/* Members of what a device says, and what of them the oracle is told. */
void places_put_status(struct sim *s, struct said *said, char *dst, size_t cap);
void places_put_own(struct sim *s, struct said *said, char *dst, size_t cap);
void places_draw_service(struct sim *s, char service[12], int64_t *flash);

/* operators.c */
int operators_act(struct sim *s);
void operators_heard(struct sim *s, const struct said *said, const struct heard *h);
void operators_put_settings(struct sim *s, struct buf *json);
void operators_put_pause_at(struct sim *s, struct o_rollout *r, struct buf *json);
bool operators_put_filter(struct sim *s, struct o_phase *p, struct buf *json);
/* Is there room in the model for so many rollouts more? */
bool operators_room(const struct sim *s, int rollouts);

/* devices.c */
int devices_act(struct sim *s);
int devices_let_in(struct sim *s);
void devices_heard(struct sim *s, const struct said *said);
void devices_put_enrolment(struct sim *s, int dev, const struct o_device *as, char *json,
			   size_t cap);

/* people.c */
int people_begin(struct sim *s);
int people_act(struct sim *s);
void people_heard(struct sim *s, const struct said *said, const struct heard *h);

#endif
