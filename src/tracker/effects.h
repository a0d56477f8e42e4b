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
	EFFECT_SEND,		/* call the device, at its session or endpoint: send says what */
};

/* What the server calls a device for (server and negotiated mode; device.cddl). */
enum send_kind {
	SEND_LOOK,		/* POST /fettle/offer: look again, or an outage that comes */
	SEND_STATUS,		/* GET /fettle/status */
	SEND_MANIFEST,		/* PUT /fettle/manifest */
	SEND_HELD,		/* GET /fettle/image/<component>: how much of it is there */
	SEND_IMAGE,		/* PUT /fettle/image/<component>, from where the device has it */
	SEND_APPLY,		/* POST /fettle/apply */
	SEND_DIAG,		/* POST /fettle/diag */
	SEND_DROP,		/* POST /fettle/drop */
	SEND_KIND_COUNT,
};

struct send {
	enum send_kind kind;
	int64_t serial;		/* of the device's call: its answer must name it */
	int64_t update;		/* 0: of none */
	/* SEND_HELD, SEND_IMAGE: its number in the manifest; object is the image */
	uint8_t component;
	uint64_t offset;	/* SEND_IMAGE: where to begin */
	/* where, when no session of the device is open: port 0 nowhere */
	uint8_t ip[16];
	uint16_t port;
	char identity[129];	/* PSK identity for DTLS, "": plain CoAP */
	bool plain;		/* auth none: a plain session of it will do */
	/* SEND_LOOK: of an outage of another device; 0: of none */
	int64_t outage_s, outage_in_s;
	char other[NAME_TEXT];	/* that device */
};

struct effect {
	enum effect_kind kind;
	int64_t dev;
	int64_t credential, token;
	char device[NAME_TEXT];
	struct digest object;
	struct send send;
};

struct effects {
	struct effect v[EFFECTS_MAX];
	unsigned n;
	bool overflow;		/* sticky: the producer did not keep its bound */
};

void effects_clear(struct effects *fx);
unsigned effects_room(const struct effects *fx);
/* Those from number first on only tell devices to look again: nothing is promised by them. */
bool effects_are_hints(const struct effects *fx, unsigned first);
void effects_notify(struct effects *fx, int64_t dev, const char *device);
void effects_drop_device(struct effects *fx, int64_t dev, int64_t credential);
void effects_drop_token(struct effects *fx, int64_t token);
void effects_withdraw(struct effects *fx, const struct digest *object);
void effects_prepare(struct effects *fx, const struct digest *object);
void effects_wake(struct effects *fx);
/* object: the manifest or image that is sent, NULL for the other kinds */
void effects_send(struct effects *fx, int64_t dev, const char *device, const struct send *s,
		  const struct digest *object);

#endif
