/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_SEEN_H
#define FETTLE_SERVICE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which devices polled lately, and how often: a poll writes nothing, so that is kept in
 * memory and put into rows every few minutes, a slice at a time (architecture.md 4). A
 * hint: a crash loses it, and when the set is full further devices wait for the next
 * round. Bounded by SEEN_MAX devices, of 32 bytes each. Times in ms.
 */
#define SEEN_MAX (1u << 17)
#define SEEN_EVERY_MS 180000	/* a round begins that long after its first poll */
#define SEEN_SOON_MS 60000	/* that long, when the set is nearly full */

struct seen_entry {
	int64_t dev;
	int64_t wall, track;	/* of the last poll */
	uint32_t polls;
	uint32_t next;		/* in its bucket, or of the free ones; an index + 1, 0 ends */
};

struct seen {
	uint32_t *head;		/* SEEN_MAX buckets; NULL until the first poll */
	struct seen_entry *pool;
	uint32_t n, high, free;	/* in use; ever used; first free one, an index + 1 */
	uint32_t cursor;	/* bucket at which the round goes on */
	int64_t since;		/* tracker time of the first poll after the last round */
	bool draining;		/* a round is under way */
};

void seen_free(struct seen *s);
void seen_note(struct seen *s, int64_t dev, int64_t wall, int64_t track);
/* Is there something to be put into rows now? */
bool seen_due(const struct seen *s, int64_t track);
/*
 * The next ones of the round, at most limit, taken out; neighbours by dev, so that their
 * rows share pages. Looks at a bounded number of buckets: 0 while seen_due() is no end.
 */
size_t seen_take(struct seen *s, int64_t track, struct seen_entry *out, size_t limit);

#endif
