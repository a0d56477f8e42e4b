/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_FAULTS_H
#define FETTLE_TESTS_FAULTS_H

#include <stdbool.h>

/*
 * The nth operation fails: of SQLite's on files, by a VFS in front of its own, or of the whole
 * process's allocations, by a malloc of the program's own. Nothing fails before faults_arm().
 */
enum fault {
	FAULT_SYNC, /* fsync: EIO */
	FAULT_WRITE, /* pwrite: EIO */
	FAULT_FULL, /* pwrite: ENOSPC */
	FAULT_TRUNCATE, /* ftruncate: EIO */
	FAULT_READ, /* pread: EIO */
	FAULT_SHM, /* the log's index: no memory for it */
	FAULT_MALLOC, /* malloc, calloc, realloc: NULL; where faults_have_malloc() says so */
	FAULT_COUNT
};

/* Once in a program, before the first store: databases opened later are in its hands. */
void faults_install(void);
const char *faults_name(enum fault f);
/* The nth from now, from 1, fails; for_good: all behind it, too. */
void faults_arm(enum fault f, unsigned n, bool for_good);
/* Only in between does anything fail or count. */
void faults_during(bool on);
/* Whether it came to that. Nothing fails any more. */
bool faults_disarm(void);

/* Whether allocations can fail here: not under sanitizers. */
bool faults_have_malloc(void);

/* Whether this one is it. */
bool faults_fails(enum fault f);

#endif
