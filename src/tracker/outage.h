/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_OUTAGE_H
#define FETTLE_TRACKER_OUTAGE_H

#include "tracker/internal.h"

/*
 * An update that takes its device away for a while is offered once every device below it in
 * the network was told (behaviour.md 4), or had its contact interval to be told in. The
 * offer itself tells the device. Once for an update, not for each attempt; and anew when an
 * operator has it tried again.
 */

/* Seconds the release says, else its class's strategy; 0: none is expected. */
int64_t outage_expected_s(const struct tracker *tk, const struct release *r,
			  const struct update *u);
/* The gate; where it may write it begins the telling. */
int gate_outage(struct look *g, char value[REASON_TEXT], struct err *e);
/* The job that finds and tells those below, by the update's number. */
enum step outage_step(struct tracker *tk, struct job *j, struct err *e);
/* One was told. */
int outage_told(struct tracker *tk, int64_t dev, int64_t update, bool acknowledged,
		struct err *e);

#endif
