/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_CORE_OBJECTS_H
#define FETTLE_DAEMON_CORE_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"

/*
 * Which objects a front has mapped: a bounded set in order of last grant. The
 * front keeps what it was given until it is withdrawn, so this is the truth
 * about it.
 */
struct object_node;
struct object_set {
	struct object_node *node;
	uint32_t *bucket;
	uint32_t max, n, mask, free, newest, oldest;
};

int object_set_init(struct object_set *s, uint32_t max, struct err *e);
void object_set_free(struct object_set *s);
void object_set_clear(struct object_set *s);
bool object_set_has(struct object_set *s, const struct digest *d); /* also makes it the newest */
/* Add d; when the set was full, *evicted is what had to go for it and the answer is true. */
bool object_set_add(struct object_set *s, const struct digest *d, struct digest *evicted);
bool object_set_remove(struct object_set *s, const struct digest *d); /* was it there */

#endif
