/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/keys_rate.h"

#define ONE 1000000u

void keys_rate_init(struct keys_rate *k, uint64_t rate, unsigned share, int64_t now_us)
{
	uint64_t burst = rate / share;

	*k = (struct keys_rate){ .rate = rate, .full = (burst ? burst : 1) * ONE, .at = now_us };
	k->level = k->full;
}

bool keys_rate_take(struct keys_rate *k, int64_t now_us)
{
	/* a second refills any bucket: more need not be counted, and cannot overflow */
	int64_t passed = now_us - k->at;
	uint64_t us = passed < 0 ? 0 : passed > (int64_t)ONE ? ONE : (uint64_t)passed;

	k->at = now_us;
	k->level += us * k->rate;
	if (k->level > k->full)
		k->level = k->full;
	if (k->level < ONE)
		return false;
	k->level -= ONE;
	return true;
}
