/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_PUSH_H
#define FETTLE_TRACKER_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/model.h"
#include "tracker/effects.h"

/*
 * Server mode (behaviour.md 4), decided. Pure: what is done next with a device that is pushed
 * to, and what its answer to a call means. The rows are calls.c's.
 */
enum push_step {
	PUSH_WAIT,		/* for the device's word, or for a gate */
	PUSH_STATUS,		/* ask how it is */
	PUSH_BEGIN,		/* reserve its slot and offer */
	PUSH_MANIFEST,
	PUSH_HELD,		/* ask how much of the next image it has */
	PUSH_IMAGE,
	PUSH_DONE,		/* it has all images: downloaded */
	PUSH_APPLY,
};

struct push_view {
	enum update_state state;	/* planned, deferred: may be begun now */
	bool fresh;			/* what it said of its service is young enough */
	bool pull;			/* it fetches the images itself */
	bool manifest;			/* it has the manifest, */
	int image, n_images;		/* and so many of so many images, */
	bool held;			/* and how much of the next is known */
	bool applied;			/* it was told to begin, and is silent since */
	bool window;			/* it may be installed now, for all its windows say, */
	bool idle;			/* and its service lets it be interrupted */
};
enum push_step push_next(const struct push_view *v);

enum push_outcome {
	PUSH_OK,
	PUSH_NOTHING,		/* the device has no such thing: as if it had said nothing */
	PUSH_LATER,		/* not now: again after a while */
	PUSH_ASK,		/* it lacks what came before: ask how much it has */
	PUSH_RESTART,		/* it has lost the update: manifest first */
	PUSH_FAILED,		/* the attempt ends */
};
/*
 * What status (HTTP's numbers; 0: nothing was heard) means as the answer to a call of this
 * kind; with PUSH_FAILED *f is the class, where the device does not name one itself.
 */
enum push_outcome push_outcome(enum send_kind kind, uint16_t status, enum failure *f);

/* Seconds until a call is made again after so many tries without success, at most cap_s. */
int64_t push_backoff_s(uint16_t status, unsigned tries, int64_t cap_s);

#define PUSH_TRIES_MAX 8	/* of one step that the device refuses, then the attempt ends */

#endif
