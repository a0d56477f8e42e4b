/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/push.h"

#define BIT(s) (1u << (s))
#define WAITING (BIT(UPDATE_PLANNED) | BIT(UPDATE_DEFERRED))
#define COMING                                                                  \
	(BIT(UPDATE_OFFERED) | BIT(UPDATE_ACCEPTED) | BIT(UPDATE_DOWNLOADING) | \
	 BIT(UPDATE_DOWNLOADED))
#define THERE BIT(UPDATE_DOWNLOADED)

static bool stale(const struct push_view *v)
{
	return !v->fresh;
}

/* It may be dead of what it was told: whether it is, its window need not be open to ask. */
static bool unsure(const struct push_view *v)
{
	return v->applied && stale(v);
}

static bool lacks_manifest(const struct push_view *v)
{
	return !v->manifest;
}

static bool lacks_images(const struct push_view *v)
{
	return !v->pull && v->image < v->n_images;
}

static bool knows_held(const struct push_view *v)
{
	return lacks_images(v) && v->held;
}

static bool pulls(const struct push_view *v)
{
	return v->pull;
}

static bool shut(const struct push_view *v)
{
	return !v->window;
}

static bool idle(const struct push_view *v)
{
	return v->idle;
}

static bool always(const struct push_view *v)
{
	(void)v;
	return true;
}

/* The first row of its state whose condition holds is the step. */
static const struct step_row {
	unsigned states;
	bool (*when)(const struct push_view *v);
	enum push_step step;
} steps[] = {
	{ WAITING, stale, PUSH_STATUS },
	{ WAITING, always, PUSH_BEGIN },
	{ COMING, lacks_manifest, PUSH_MANIFEST },
	{ COMING, knows_held, PUSH_IMAGE },
	{ COMING, lacks_images, PUSH_HELD },
	{ COMING & ~THERE, pulls, PUSH_WAIT },
	{ COMING & ~THERE, always, PUSH_DONE },
	{ THERE, unsure, PUSH_STATUS },
	{ THERE, shut, PUSH_WAIT },
	{ THERE, stale, PUSH_STATUS },
	{ THERE, idle, PUSH_APPLY },
};

enum push_step push_next(const struct push_view *v)
{
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if ((steps[i].states & BIT(v->state)) && steps[i].when(v))
			return steps[i].step;
	return PUSH_WAIT;
}

#define ANY (BIT(SEND_KIND_COUNT) - 1)
#define PUSHED (BIT(SEND_MANIFEST) | BIT(SEND_IMAGE) | BIT(SEND_APPLY))
#define ASKED (ANY & ~PUSHED)

/* The first row that fits is the meaning. */
static const struct outcome_row {
	unsigned kinds;
	uint16_t from, to;
	enum push_outcome outcome;
	enum failure failure;
} outcomes[] = {
	{ ANY, 0, 0, PUSH_LATER, FAILURE_NONE },
	{ ANY, 200, 299, PUSH_OK, FAILURE_NONE },
	/* from elsewhere: another server, or its own address, changed */
	{ ANY, 403, 403, PUSH_LATER, FAILURE_NONE },
	{ BIT(SEND_HELD) | BIT(SEND_IMAGE) | BIT(SEND_APPLY), 409, 409, PUSH_RESTART,
	  FAILURE_DOWNLOAD },
	{ BIT(SEND_IMAGE), 408, 408, PUSH_ASK, FAILURE_DOWNLOAD },
	/* the front's: not granted, no sense, no room; or the device's: busy, broken */
	{ ANY, 410, 410, PUSH_LATER, FAILURE_NONE },
	{ ANY, 429, 429, PUSH_LATER, FAILURE_NONE },
	{ PUSHED, 501, 501, PUSH_FAILED, FAILURE_INCOMPATIBLE },
	{ ASKED, 501, 501, PUSH_NOTHING, FAILURE_NONE },
	{ ANY, 500, 599, PUSH_LATER, FAILURE_NONE },
	{ ASKED, 400, 499, PUSH_NOTHING, FAILURE_NONE },
	{ PUSHED, 401, 401, PUSH_FAILED, FAILURE_SIGNATURE },
	{ PUSHED, 409, 409, PUSH_LATER, FAILURE_NONE },
	{ PUSHED, 412, 412, PUSH_FAILED, FAILURE_DIGEST },
	{ PUSHED, 413, 413, PUSH_FAILED, FAILURE_SPACE },
	{ BIT(SEND_MANIFEST), 422, 422, PUSH_FAILED, FAILURE_SIGNATURE },
	{ BIT(SEND_IMAGE), 422, 422, PUSH_FAILED, FAILURE_DIGEST },
	{ BIT(SEND_APPLY), 422, 422, PUSH_FAILED, FAILURE_INSTALL },
	/* no such path, format, option, component */
	{ PUSHED, 400, 400, PUSH_FAILED, FAILURE_INCOMPATIBLE },
	{ PUSHED, 402, 406, PUSH_FAILED, FAILURE_INCOMPATIBLE },
	{ PUSHED, 415, 415, PUSH_FAILED, FAILURE_INCOMPATIBLE },
	{ PUSHED, 407, 499, PUSH_FAILED, FAILURE_OTHER },
};

enum push_outcome push_outcome(enum send_kind kind, uint16_t status, enum failure *f)
{
	for (unsigned i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		const struct outcome_row *o = &outcomes[i];

		if ((o->kinds & BIT(kind)) && status >= o->from && status <= o->to) {
			*f = o->failure;
			return o->outcome;
		}
	}
	/* 1xx and 3xx: CoAP has none of them */
	*f = FAILURE_NONE;
	return PUSH_LATER;
}

#define FIRST_BUSY_S 2
#define FIRST_SILENT_S 5 /* the retransmissions took longer than that already */

int64_t push_backoff_s(uint16_t status, unsigned tries, int64_t cap_s)
{
	int64_t wait = status == 0 ? FIRST_SILENT_S : FIRST_BUSY_S;

	for (unsigned i = 1; i < tries && wait < cap_s; i++)
		wait *= 2;
	return wait < cap_s ? wait : cap_s;
}
