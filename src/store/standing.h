/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_STANDING_H
#define FETTLE_STORE_STANDING_H

#include "base/err.h"
#include "base/model.h"

/* Standing rollouts; part of store.h, whose contract holds here too. */
struct store;

int store_standing_add(struct store *st, struct standing *s, struct err *e); /* fills id */
int store_standing_get(struct store *st, int64_t id, struct standing *out, struct err *e);
int store_standing_by_name(struct store *st, const char *name, struct standing *out,
			   struct err *e);
int store_standing_list(struct store *st, int64_t after, int limit, struct standing *out,
			struct err *e);
/* enabled, urgency, spec; counts etag up */
int store_standing_put(struct store *st, const struct standing *s, struct err *e);
int store_standing_remove(struct store *st, int64_t id, struct err *e);
/* The next enabled one for releases of this class: 1/0/-1 */
int store_standing_next(struct store *st, enum urgency u, int64_t after, struct standing *out,
			struct err *e);

#endif
