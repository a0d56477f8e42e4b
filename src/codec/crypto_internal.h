/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_CRYPTO_INTERNAL_H
#define FETTLE_CODEC_CRYPTO_INTERNAL_H

#include "codec/crypto.h"

struct evp_pkey_st;
struct evp_md_st;

struct key {
	struct evp_pkey_st *pkey;
	enum key_kind kind;
	bool has_private;
	struct digest id;
};

/* What a kind of key means: names on both sides, and the width of a coordinate. */
struct key_traits {
	const char *name;	/* Fettle's */
	const char *group;	/* OpenSSL's; NULL for Ed25519 */
	const char *md;		/* the digest its signatures use; NULL for Ed25519 */
	size_t width;		/* bytes of r, of s, of a coordinate */
	int64_t cose_crv;
};
const struct key_traits *key_traits(enum key_kind k);

/* Drop OpenSSL's error queue and fill e; returns -1. */
int crypto_fail(struct err *e, enum err_code code, const char *what);
/* Take over pkey (freed on failure) as a key. */
int key_adopt(struct evp_pkey_st *pkey, bool has_private, struct key **out, struct err *e);
/* COSE_Key (RFC 9052 section 7) of kty EC2 or OKP. */
int key_load_cose(struct slice bytes, struct key **out, struct err *e);

#endif
