/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_DEVICE_MSG_H
#define FETTLE_SERVICE_DEVICE_MSG_H

#include "base/doc.h"
#include "tracker/tracker.h"

/*
 * What devices say (schema/device.cddl), from documents to the tracker's
 * values. Pure. Errors name the member. Times relative to now become wall
 * times with wall_ms.
 */
#define SECONDS_MAX (10 * 366 * 86400)	/* of durations from outside */

int read_registration(const struct doc *body, struct registration *g, int64_t wall_ms,
		      struct err *e);
int read_decision(const struct doc *body, struct decision *d, struct err *e);
int read_report(const struct doc *body, struct report *p, int64_t wall_ms, struct err *e);
/* Its member status: 0, or -1 with the reader's error. */
int read_service_status(struct doc_reader *outer, struct device_live *l, bool *has,
			int64_t wall_ms);
/* An attribute's value: text or number. */
int attribute_value(const struct doc *d, struct filter_value *v, struct err *e);

#endif
