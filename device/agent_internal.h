/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_AGENT_INTERNAL_H
#define FETTLE_DEVICE_AGENT_INTERNAL_H

#include "codec/suit.h"
#include "device/agent.h"

/* agent.c: moves that next and answers share */
void agent_drop_offer(struct agent *a);
void agent_go(struct agent *a, enum agent_step step);	/* what is sent next is a new message */
void agent_end(struct agent *a, enum agent_result r, const char *why);
void agent_idle(struct agent *a, int64_t s, int64_t now);	/* the plan's poll_s wins */
void agent_say(struct agent *a, const char *state, int progress);	/* a report is due */
void agent_fail(struct agent *a, enum failure f, const char *why);	/* reported, then over */
void agent_feed(struct agent *a, struct slice s);	/* more of the image being fetched */
void agent_image_done(struct agent *a);
bool agent_image_right(struct agent *a);	/* ends it; false: it failed */
int agent_image_begin(struct agent *a);	/* -1: it failed */
bool agent_take_integrated(struct agent *a);	/* images inside the manifest; false: one failed */
/* Ids and sequence: is this manifest for this device. */
int check_fit(const struct agent_plan *p, uint64_t installed, const struct suit_manifest *m,
	      struct err *e);
uint64_t agent_image_max(const struct agent *a);
uint32_t agent_jitter(struct agent *a, uint32_t span);
enum agent_kind agent_kind_of(const struct agent *a);

#endif
