/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_CALLS_H
#define FETTLE_TRACKER_CALLS_H

#include "tracker/tracker.h"

/*
 * What the server calls devices for (server and negotiated mode), as rows: one call at a time
 * for each device, CALLS_MAX in all. A call is ordered as an effect; its answer, or the time
 * at which it counts as lost, leads on. Nothing of it is in memory alone.
 */
#define CALLS_MAX 512

/* Words of capabilities (device.cddl). */
bool device_can(const struct device *d, const char *word);
/* Is there any hope of reaching it by a call? */
bool call_possible(const struct device *d, const struct device_live *l);
/* Does the server push what runs to it: always in server mode, else after its yes. */
bool call_pushes(const struct device *d, enum update_state s);

/* It is to be called for what, bits of CALL_*, as soon as may be. */
/* Was it told to begin with u, and has not answered? 1, 0, -1 */
int call_applied(struct tracker *tk, const struct update *u, struct err *e);
int call_want(struct tracker *tk, const struct device *d, unsigned what, struct err *e);
/* Whoever observes or is called looks again. */
int call_notify(struct tracker *tk, const struct device *d, struct err *e);
/*
 * It shows itself: a call that did not reach it is made again. moved: it said something, so
 * what waits is looked at in any case. In server mode, when an update is open.
 */
int call_contact(struct tracker *tk, const struct device *d, bool moved, struct err *e);
/* It was told by its report where it is, or registered: what follows for its calls. */
int call_heard(struct tracker *tk, const struct device *d, struct err *e);
/* An update in flight was taken back: what was pushed of it the device may forget. */
int call_taken_back(struct tracker *tk, const struct update *u, struct err *e);
/*
 * An update of its began, for the first time or again, by another way than a call: nothing is
 * left to be told, and what was pushed before counts no more, an answer on its way neither.
 */
int call_begun(struct tracker *tk, int64_t dev, struct err *e);

/* One that is due: order its next call, or say when to look again. */
int call_due(struct tracker *tk, struct device_call *c, struct err *e);
/* One that was sent, and no answer came. */
int call_lost(struct tracker *tk, struct device_call *c, struct err *e);
/* For `why`: 1 with what is called and how it went, 0 nothing is. */
int call_why(struct tracker *tk, const struct device *d, char value[REASON_TEXT], struct err *e);

#endif
