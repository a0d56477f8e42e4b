/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_POLICY_PARTS_H
#define FETTLE_TRACKER_POLICY_PARTS_H

#include "tracker/policy.h"

/*
 * The parts of a policy document that are lists and maps of their own. Each takes what its
 * member holds (NULL: left out, nothing changes); errors begin with the member and the index.
 */
int policy_apply_rules(struct policy *p, const struct doc *list, struct err *e);
int policy_apply_classes(struct policy *p, const struct doc *list, struct err *e);
int policy_apply_priority(struct policy *p, const struct doc *map, struct err *e);
int policy_apply_keys(struct policy *p, const struct doc *list, struct err *e);
void policy_write_rules(const struct policy *p, struct arena *a, struct doc *out);
void policy_write_classes(const struct policy *p, struct arena *a, struct doc *out);
void policy_write_priority(const struct policy *p, struct arena *a, struct doc *out);
void policy_write_keys(const struct policy *p, struct arena *a, struct doc *out);

#endif
