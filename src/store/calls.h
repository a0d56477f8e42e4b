/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_CALLS_H
#define FETTLE_STORE_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/model.h"
#include "base/slice.h"

/* What devices are called for and told of: a part of store.h, which says what calls return. */
struct store;

/* Calls to devices. */
/* 1/0/-1 */
int store_call_get(struct store *st, int64_t dev, struct device_call *out, struct err *e);
int store_call_put(struct store *st, const struct device_call *c, struct err *e);
int store_call_remove(struct store *st, int64_t dev, struct err *e); /* there may be none */
/*
 * Due at or before track, earliest first: the lost among those sent; those to be made, and
 * of these alone what runs.
 */
enum calls_due { CALLS_LOST, CALLS_WAITING, CALLS_RUNNING };
int store_call_due(struct store *st, enum calls_due which, int64_t track, int limit,
		   struct device_call *out, struct err *e);
int store_call_next_due(struct store *st, bool sent, int64_t *track, struct err *e); /* 1/0/-1 */
int store_call_sent_count(struct store *st, int64_t *out, struct err *e);
/* Whoever had them under way is gone: all of them count as lost at track. */
int store_call_sent_lost(struct store *st, int64_t track, struct err *e);

/* Outages: who is told that a device above it will be away. */
/* 1 added, 0 was there */
int store_outage_add(struct store *st, const struct outage *o, struct err *e);
int store_outage_get(struct store *st, int64_t dev, int64_t update, struct outage *out,
		     struct err *e); /* 1/0/-1 */
/* One of this update's whose devices below are not all entered yet: 1/0/-1 */
int store_outage_walk(struct store *st, int64_t update, struct outage *out, struct err *e);
int store_outage_walked(struct store *st, const struct outage *o, struct err *e);
/* 1 somebody is untold, and the longest is waited until *until; 0 all were; -1 */
int store_outage_untold(struct store *st, int64_t update, int64_t *until, struct err *e);
int store_outage_untold_count(struct store *st, int64_t update, int limit, int64_t *out,
			      struct err *e);
/* All of a device's that are open, its own too, by update from above after. */
int store_outage_open_of(struct store *st, int64_t dev, int64_t after, int limit,
			 struct outage *out, struct err *e);
int store_outage_remove(struct store *st, int64_t dev, int64_t update, struct err *e);
int store_outage_told(struct store *st, int64_t dev, int64_t update, int64_t at, struct err *e);
int store_outage_acknowledge(struct store *st, int64_t dev, int64_t update, int64_t at,
			     struct err *e); /* 1 first time, 0 not */
int store_outage_list(struct store *st, int64_t update, int64_t after, int limit,
		      struct outage *out, struct err *e);
/* Of this update, if it is over, some: how many went. */
int store_outage_forget(struct store *st, int64_t update, int limit, struct err *e);
/*
 * Of updates that are over, some; *cursor goes round the updates that have any. How many went.
 */
int store_outage_sweep(struct store *st, int64_t *cursor, int limit, struct err *e);
/* Devices right below this one, by number. */
int store_device_below(struct store *st, const char *parent, int64_t after, int limit,
		       int64_t *devs, struct err *e);

/* Diagnostics: the last DIAGS_KEPT of a device, newest first. */
int store_diag_add(struct store *st, int64_t dev, const struct diag *d, struct err *e);
int store_diag_list(struct store *st, int64_t dev, struct arena *a, struct diag out[DIAGS_KEPT],
		    struct err *e);
/* Its next answer asks for diagnostics, or not; no new version of what is assigned. */
int store_device_ask_diag(struct store *st, int64_t dev, bool on, struct err *e);

/*
 * What the prepared statements have done since this was asked last: how often one was run,
 * the steps of SQLite's machine (they grow with the rows touched), the rows stepped over in
 * scans of whole tables, and sorts.
 */
struct store_work {
	int64_t statements, steps, scanned, sorts;
};
void store_work_take(struct store *st, struct store_work *out);

#endif
