/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_FAKE_CORE_H
#define FETTLE_TESTS_FAKE_CORE_H

#include "daemon/front.h"

/*
 * The other end of a front's channel, inside the test: takes batches apart,
 * lets the test answer each request, and says what a core says by itself.
 */
struct fake_core {
	struct channel *ch;
	/* Fills rs (id, -1s set before); false: no answer in this batch's replies. */
	bool (*answer)(struct fake_core *k, const struct request *rq, struct response *rs);
	/* Of an upload: opened, each chunk (bytes.n), closed. */
	void (*upload)(struct fake_core *k, enum frame_type t, uint32_t number, struct slice bytes);
	void *ctx;
	bool hold; /* batches wait unanswered */
	unsigned batches, requests, admits, closed, pongs;
	struct evidence last;
	uint64_t last_session, last_closed;
	char last_path[PATH_MAX_LEN + 1];
	uint8_t last_body[BODY_MAX_LEN];
	size_t last_body_n;
	uint32_t held[4], held_request; /* batches; the last request of them */
	unsigned n_held;
	unsigned n_figures; /* frames of them; the last: */
	uint64_t figures[FIGURE_COUNT];
	unsigned n_sent; /* results of calls to devices; the last of them: */
	struct ipc_sent sent;
	uint8_t sent_body[IPC_SENT_BODY_MAX];
};

/* Makes the pair; *front_fd is the front's end. READY is said when ready. */
void fake_core_init(struct fake_core *k, int *front_fd, bool ready);
void fake_core_free(struct fake_core *k);
void fake_core_ready(struct fake_core *k);
/* Take what came, answer, send. 0, or -1 when the front broke the protocol or is gone. */
int fake_core_pump(struct fake_core *k);
/* To the last request of the last batch held: this status. */
void fake_core_say_held(struct fake_core *k, uint16_t status);
/* An object of these bytes; session 0: public. with_fd: its descriptor comes along. */
void fake_core_grant(struct fake_core *k, uint64_t session, const char *path,
		     const struct digest *d, struct slice bytes, bool with_fd, int64_t lifetime_ms);
void fake_core_drop(struct fake_core *k, uint64_t session);
void fake_core_withdraw(struct fake_core *k, const struct digest *d);
void fake_core_notify(struct fake_core *k, const char *path);
void fake_core_send(struct fake_core *k, const struct ipc_send *s);
void fake_core_ping(struct fake_core *k);
void fake_core_credit(struct fake_core *k, uint32_t upload, unsigned chunks, uint64_t stored);
void fake_core_done(struct fake_core *k, uint32_t upload, uint16_t status);
/* Front and core in turns until neither has anything to say. */
void fake_core_settle(struct fake_core *k, struct front *f);

#endif
