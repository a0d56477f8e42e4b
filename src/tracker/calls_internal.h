/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_CALLS_INTERNAL_H
#define FETTLE_TRACKER_CALLS_INTERNAL_H

#include "tracker/calls.h"
#include "tracker/internal.h"
#include "tracker/outage.h"
#include "tracker/push.h"

/* Between the files calls*.c. */
struct turn {			/* of one device */
	struct tracker *tk;
	const struct device *d;
	struct device_live live;
	struct device_call *c;
	int64_t next;		/* tracker time to look again, 0: when somebody wakes it */
};

/* Order this call: 1, or -1. The answer leads on. */
int call_order(struct turn *t, struct send *s, const struct digest *object, struct err *e);
/* Look again after that long, or sooner. */
void call_again(struct turn *t, int64_t wait_ms);
/* What is next for this device: one call at most; its row is kept. */
int call_turn(struct turn *t, struct err *e);
int call_keep(struct tracker *tk, const struct device_call *c, struct err *e);
/* What was pushed of an earlier beginning counts no more: all of it is sent again. */
void call_forget(struct device_call *c);

/* ---- calls_push.c ---- */
/* Which of them are sent, by their index: how many. */
int call_pushable(const struct manifest_image *images, int n, int out[IMAGES_MAX]);
/* The next step of what is pushed: 1 a call was ordered, 0 not, -1. */
int call_push_turn(struct turn *t, struct err *e);
/* ---- calls_answer.c ---- */
/* What the answer leads to: 1 go on at once, 0 look again at t->next, -1. */
int call_push_answered(struct turn *t, const struct call_answer *a, enum push_outcome o,
		  enum failure f, struct err *e);

#endif
