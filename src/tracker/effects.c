/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/effects.h"

#include <string.h>

#include "base/text.h"

/* A handler tends to say the same thing twice in a row; further back is not worth the look. */
#define LOOK_BACK 8

void effects_clear(struct effects *fx)
{
	fx->n = 0;
	fx->overflow = false;
}

unsigned effects_room(const struct effects *fx)
{
	return EFFECTS_MAX - fx->n;
}

bool effects_are_hints(const struct effects *fx, unsigned first)
{
	for (unsigned i = first; i < fx->n; i++)
		if (fx->v[i].kind != EFFECT_NOTIFY)
			return false;
	return true;
}

static bool same(const struct effect *a, const struct effect *b)
{
	return a->kind == b->kind && a->dev == b->dev && a->credential == b->credential &&
	       a->token == b->token && strcmp(a->device, b->device) == 0 &&
	       digest_eq(&a->object, &b->object) && a->kind != EFFECT_SEND;
}

static void add(struct effects *fx, const struct effect *x)
{
	unsigned from = fx->n > LOOK_BACK ? fx->n - LOOK_BACK : 0;

	for (unsigned i = from; i < fx->n; i++)
		if (same(&fx->v[i], x))
			return;
	if (fx->n == EFFECTS_MAX) {
		fx->overflow = true;
		return;
	}
	fx->v[fx->n++] = *x;
}

void effects_notify(struct effects *fx, int64_t dev, const char *device)
{
	struct effect x = { .kind = EFFECT_NOTIFY, .dev = dev };

	text_copy(x.device, sizeof(x.device), device);
	add(fx, &x);
}

void effects_drop_device(struct effects *fx, int64_t dev, int64_t credential)
{
	add(fx,
	    &(struct effect){ .kind = EFFECT_DROP_DEVICE, .dev = dev, .credential = credential });
}

void effects_drop_token(struct effects *fx, int64_t token)
{
	add(fx, &(struct effect){ .kind = EFFECT_DROP_TOKEN, .token = token });
}

void effects_withdraw(struct effects *fx, const struct digest *object)
{
	add(fx, &(struct effect){ .kind = EFFECT_WITHDRAW, .object = *object });
}

void effects_prepare(struct effects *fx, const struct digest *object)
{
	add(fx, &(struct effect){ .kind = EFFECT_PREPARE, .object = *object });
}

void effects_wake(struct effects *fx)
{
	add(fx, &(struct effect){ .kind = EFFECT_WAKE });
}

void effects_send(struct effects *fx, int64_t dev, const char *device, const struct send *s,
		  const struct digest *object)
{
	struct effect x = { .kind = EFFECT_SEND, .dev = dev, .send = *s };

	text_copy(x.device, sizeof(x.device), device);
	if (object)
		x.object = *object;
	add(fx, &x);
}
