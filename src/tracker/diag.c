/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/calls.h"
#include "tracker/internal.h"

int diag_keep(struct tracker *tk, struct device *d, const struct diag *g, struct err *e)
{
	if (store_diag_add(tk->st, d->dev, g, e) < 0)
		return -1;
	if (!d->ask_diag)
		return 0;
	d->ask_diag = false;
	return store_device_ask_diag(tk->st, d->dev, false, e);
}

int diag_ask(struct tracker *tk, struct device *d, struct err *e)
{
	struct device_live live;

	if (!d->ask_diag && store_device_ask_diag(tk->st, d->dev, true, e) < 0)
		return -1;
	d->ask_diag = true;
	effects_notify(tk->fx, d->dev, d->id);
	if (registry_live(tk, d->dev, &live, e) < 0)
		return -1;
	if (call_possible(d, &live) && device_can(d, "diag") && call_want(tk, d, CALL_DIAG, e) < 0)
		return -1;
	return audit_note(tk, "device.diag", d->id, e, "asked for");
}
