/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_CRYPTO_H
#define FETTLE_CODEC_CRYPTO_H

#include <stdbool.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/slice.h"

/* The adapter to OpenSSL: no OpenSSL type leaves crypto*.c. */

struct sha256;			/* incremental SHA-256 */
struct sha256 *sha256_new(void);	/* NULL without memory */
int sha256_add(struct sha256 *h, struct slice s);
int sha256_end(struct sha256 *h, struct digest *out);	/* ready for reuse after */
void sha256_free(struct sha256 *h);
int sha256_once(struct slice s, struct digest *out);
int hmac_sha256(struct slice key, struct slice data, struct digest *out);
/* Version 5 UUID of name in the namespace ns (RFC 9562 section 5.5). */
int uuid_v5(const uint8_t ns[UUID_SIZE], struct slice name, struct uuid *out);

/* COSE algorithm numbers, signatures first. */
enum alg {
	ALG_NONE = 0,
	ALG_ES256 = -7, ALG_ES384 = -35, ALG_ES512 = -36, ALG_EDDSA = -8,
	ALG_ESP256 = -9, ALG_ESP384 = -51, ALG_ESP512 = -52, ALG_ED25519 = -19,
	ALG_SHA256 = -16, ALG_SHA384 = -43, ALG_SHA512 = -44,
};
const char *alg_name(enum alg a);
/* Digest of s by a SHA alg; out holds up to 64 bytes, *n its length. ERR_UNSUPPORTED otherwise. */
int digest_by_alg(enum alg a, struct slice s, uint8_t out[64], size_t *n, struct err *e);

enum key_kind { KEY_P256, KEY_P384, KEY_P521, KEY_ED25519 };
const char *key_kind_name(enum key_kind k);	/* "es256" ... as fettle key generate --alg says */
int key_kind_parse(const char *word, enum key_kind *out);

struct key;			/* a public key, and perhaps the private one */
/* PEM (SPKI, PKCS#8, SEC1), DER SPKI, or a COSE_Key; private parts are kept when present. */
int key_load(struct slice bytes, struct key **out, struct err *e);
int key_generate(enum key_kind kind, struct key **out, struct err *e);
int key_public_spki(const struct key *k, struct buf *der, struct err *e);
int key_public_pem(const struct key *k, struct buf *pem, struct err *e);
int key_private_pem(const struct key *k, struct buf *pem, struct err *e);
enum key_kind key_kind_of(const struct key *k);
bool key_has_private(const struct key *k);
/* SHA-256 of the SPKI: the key's identity everywhere in Fettle. */
int key_id(const struct key *k, struct digest *out);
void key_free(struct key *k);
bool key_fits_alg(const struct key *k, enum alg a);
/* COSE form: ECDSA is r||s fixed width. */
int key_verify(const struct key *k, enum alg a, struct slice data, struct slice sig,
	       struct err *e);
int key_sign(const struct key *k, enum alg a, struct slice data, struct buf *sig, struct err *e);

/*
 * Self-signed certificate for labs and the demo: CN is name (NULL: localhost), SAN that,
 * localhost and the loopback addresses. name is a host name, days 1 to 36500.
 */
int crypto_self_signed(const struct key *k, const char *name, int days, struct buf *pem,
		       struct err *e);

/*
 * A server's certificate (PEM, its chain may follow) and private key (PEM, not encrypted)
 * can be read and belong together: 0, or -1 with which of it is not so.
 */
int crypto_pair_check(struct slice cert_pem, struct slice key_pem, struct err *e);

#endif
