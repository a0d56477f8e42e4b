/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_STATE_H
#define FETTLE_TRACKER_STATE_H

#include <stdbool.h>

#include "base/model.h"

/*
 * The state machine of one update (behaviour.md 6). Pure. One table; the only
 * place that knows which state may follow which.
 */
enum update_event {
	/* commands and the scheduler: refused where the table lacks them */
	EVENT_OFFER,		/* reserved and offered */
	EVENT_RETRY,		/* attempt n+1 after back-off: back to planned */
	EVENT_CANCEL, EVENT_SUPERSEDE, EVENT_EXPIRE, EVENT_TIMEOUT, EVENT_SERVER_DEFER,
	EVENT_RETURN,		/* a deferral ended: may be offered again */
	/* the device's word: facts, always entered, skipped states inferred */
	EVENT_ACCEPTED, EVENT_DEFERRED, EVENT_REJECTED, EVENT_DOWNLOADING, EVENT_DOWNLOADED,
	EVENT_INSTALLING, EVENT_REBOOTING, EVENT_INSTALLED,	/* "install finished": confirming */
	EVENT_CONFIRMED,	/* booted with the new version */
	EVENT_ROLLED_BACK,	/* booted with the old version */
	EVENT_FAILED,
	EVENT_COUNT,
};

struct transition {
	enum update_state to;
	bool inferred;		/* a state between was skipped */
	bool late;		/* success after failed, timed-out or cancelled */
	/* a fact that changes nothing (repeated, or older than the state) */
	bool none;
};

/* true: t filled. false: the event is refused in this state. */
bool state_next(enum update_state from, enum update_event ev, struct transition *t);
const char *update_event_word(enum update_event ev);
bool update_event_is_fact(enum update_event ev);
/*
 * The event a reported state word stands for ("downloading", "succeeded", "failed", ...); -1
 * unknown.
 */
int update_event_of_report(const char *word, enum update_event *ev);
/*
 * What moving from -> to does to the rollout's counters; charged is the update's own flag
 * before.
 */
struct counts { int planned, in_flight, deferred, failed, succeeded, timed_out, ended; };
struct counts state_counts(enum update_state from, enum update_state to, bool charged_before,
			   bool charged_after);

#endif
