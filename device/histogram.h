/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_HISTOGRAM_H
#define FETTLE_DEVICE_HISTOGRAM_H

#include <stdint.h>

/* Counts of times in microseconds, to 1/32 of their size. */
#define HISTOGRAM_CELLS (32 * 28)

struct histogram {
	uint64_t cells[HISTOGRAM_CELLS], n, max;
};

void histogram_add(struct histogram *h, uint64_t us);
/* The time that permille of all were at or below (the cell's upper end), 0 when empty. */
uint64_t histogram_at(const struct histogram *h, unsigned permille);

#endif
