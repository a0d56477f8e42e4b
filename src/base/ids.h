/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_IDS_H
#define FETTLE_BASE_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define DIGEST_SIZE 32
#define DIGEST_TEXT (2 * DIGEST_SIZE + 1)
#define UUID_SIZE 16
#define UUID_TEXT 37
#define DEVICE_ID_MAX 64

struct digest {		/* SHA-256, always whole */
	uint8_t b[DIGEST_SIZE];
};

struct uuid {
	uint8_t b[UUID_SIZE];
	bool set;
};

bool digest_eq(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d);
void digest_text(char dst[DIGEST_TEXT], const struct digest *d);
int digest_parse(struct digest *d, struct slice hex);	/* 64 hex digits, else -1 */

void uuid_text(char dst[UUID_TEXT], const struct uuid *u);
int uuid_parse(struct uuid *u, struct slice s);

/* 1-64 of [A-Za-z0-9._:-] (behaviour.md 1), and neither "." nor "..". */
bool device_id_valid(struct slice s);
/*
 * Names of rollouts, releases, groups, tokens: 1-64 of [A-Za-z0-9._:+-], not
 * starting with '-' or '.'.
 */
bool name_valid(struct slice s);
/* Nothing but digits: it would be taken for another thing's number. */
bool name_is_number(struct slice s);

/* Bytes from getrandom(2); aborts the process if the kernel has none. */
void random_bytes(void *p, size_t n);

#endif
