/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_COSE_H
#define FETTLE_CODEC_COSE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "codec/crypto.h"

/* COSE_Sign1 (RFC 9052), tag 18 optional. Slices point into the caller's bytes. */
struct cose_sign1 {
	struct slice protected_bytes;
	enum alg alg;
	struct slice kid;
	bool detached;
	struct slice payload;
	struct slice signature;
};

/* Strict: alg in the protected header, no unknown crit, no duplicate labels. */
int cose_sign1_parse(struct slice bytes, struct cose_sign1 *c, struct err *e);
/* payload: the detached one, or empty to use the attached. external_aad is h''. */
int cose_sign1_verify(const struct cose_sign1 *c, struct slice payload, struct slice aad,
		      const struct key *k, struct err *e);
/* Tagged, detached when told; kid is the first 8 bytes of key_id(). */
int cose_sign1_make(const struct key *k, enum alg a, struct slice payload, bool detached,
		    struct buf *out, struct err *e);

#endif
