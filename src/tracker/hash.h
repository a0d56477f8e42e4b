/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_HASH_H
#define FETTLE_TRACKER_HASH_H

#include "store/store.h"

/* SHA-256 of codec/crypto.h as the store takes it: the two folders do not see each other. */
extern const struct store_hash tracker_hash;

#endif
