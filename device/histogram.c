/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/histogram.h"

#define PART 32u

static unsigned cell_of(uint64_t us)
{
	unsigned shift = 0, cell;

	while (us >> shift >= 2 * PART)
		shift++;
	cell = shift * PART + (unsigned)(us >> shift);
	return cell < HISTOGRAM_CELLS ? cell : HISTOGRAM_CELLS - 1;
}

static uint64_t top_of(unsigned cell)
{
	unsigned shift = cell < 2 * PART ? 0 : cell / PART - 1;

	return ((uint64_t)(cell - shift * PART + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t us)
{
	h->cells[cell_of(us)]++;
	h->n++;
	if (us > h->max)
		h->max = us;
}

uint64_t histogram_at(const struct histogram *h, unsigned permille)
{
	uint64_t want = (h->n * permille + 999) / 1000, seen = 0;

	for (unsigned i = 0; h->n > 0 && i < HISTOGRAM_CELLS; i++) {
		seen += h->cells[i];
		if (seen >= want && seen > 0)
			return top_of(i) < h->max ? top_of(i) : h->max;
	}
	return h->max;
}
