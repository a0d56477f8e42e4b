/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/policy.h"

enum urgency urgency_of_priority(int64_t priority)
{
	if (priority < 0)
		return URGENCY_CRITICAL;
	if (priority < 100)
		return URGENCY_HIGH;
	return priority < 200 ? URGENCY_NORMAL : URGENCY_LOW;
}
