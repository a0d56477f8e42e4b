/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_KEYS_RATE_H
#define FETTLE_DAEMON_KEYS_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* A token bucket: rate questions a second, rate/share of them at once. Times in microseconds. */
struct keys_rate {
	uint64_t rate, full, level; /* level and full in millionths of a question */
	int64_t at;
};

void keys_rate_init(struct keys_rate *k, uint64_t rate, unsigned share, int64_t now_us);
bool keys_rate_take(struct keys_rate *k, int64_t now_us);

#endif
