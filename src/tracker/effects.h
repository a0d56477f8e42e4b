/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_EFFECTS_H
#define FETTLE_TRACKER_EFFECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/model.h"

/*
 * What must happen outside after the commit: values, carried out by the
 * daemon (architecture.md 2, rule 3). Bounded; a producer that could make more
 * than EFFECTS_MAX works in slices.
 */
#define EFFECTS_MAX 1024

enum effect_kind {
	EFFECT_NOTIFY,		/* observers of device's update resource look again */
	EFFECT_DROP_DEVICE,	/* end the sessions of dev; credential != 0: only those it opened */
	EFFECT_DROP_TOKEN,	/* end what an operator's token holds open */
	EFFECT_WITHDRAW,	/* no front serves this object any more */
	EFFECT_PREPARE,		/* make the cached copy of this object soon */
	EFFECT_WAKE,		/* the schedule has something new: plan the next pass again */
};

struct effect {
	enum effect_kind kind;
	int64_t dev;
	int64_t credential, token;
	char device[NAME_TEXT];
	struct digest object;
};

struct effects {
	struct effect v[EFFECTS_MAX];
	unsigned n;
	bool overflow;		/* sticky: the producer did not keep its bound */
};

void effects_clear(struct effects *fx);
unsigned effects_room(const struct effects *fx);
void effects_notify(struct effects *fx, int64_t dev, const char *device);
void effects_drop_device(struct effects *fx, int64_t dev, int64_t credential);
void effects_drop_token(struct effects *fx, int64_t token);
void effects_withdraw(struct effects *fx, const struct digest *object);
void effects_prepare(struct effects *fx, const struct digest *object);
void effects_wake(struct effects *fx);

#endif
