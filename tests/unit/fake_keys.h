/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_FAKE_KEYS_H
#define FETTLE_TESTS_FAKE_KEYS_H

#include <pthread.h>
#include <stdbool.h>

/*
 * The keys process as a thread, for its questions are synchronous: it knows identities that
 * begin with "dev-", and their key is "key of " and the identity.
 */
struct fake_keys {
	int fd;
	pthread_t thread;
	volatile bool mute; /* it does not answer */
	volatile unsigned asked;
};

int fake_keys_start(struct fake_keys *k); /* the asker's end */
void fake_keys_join(struct fake_keys *k); /* once that end is closed */

#endif
