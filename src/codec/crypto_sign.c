/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "codec/crypto_internal.h"

#define COORDINATE_MAX 66 /* P-521 */
#define ECDSA_DER_MAX (2 * (COORDINATE_MAX + 3) + 4)
#define ED25519_SIGNATURE 64

bool key_fits_alg(const struct key *k, enum alg a)
{
	static const struct {
		enum alg alg;
		enum key_kind kind;
	} fits[] = {
		{ ALG_ES256, KEY_P256 },    { ALG_ESP256, KEY_P256 },	  { ALG_ES384, KEY_P384 },
		{ ALG_ESP384, KEY_P384 },   { ALG_ES512, KEY_P521 },	  { ALG_ESP512, KEY_P521 },
		{ ALG_EDDSA, KEY_ED25519 }, { ALG_ED25519, KEY_ED25519 },
	};

	for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++)
		if (fits[i].alg == a)
			return fits[i].kind == k->kind;
	return false;
}

/* r||s of fixed width to the DER that OpenSSL reads; its length, or 0. */
static size_t der_of_raw(struct slice sig, uint8_t der[ECDSA_DER_MAX])
{
	size_t width = sig.n / 2;
	ECDSA_SIG *es = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig.p, (int)width, NULL);
	BIGNUM *s = BN_bin2bn(sig.p + width, (int)width, NULL);
	int n = 0;

	if (!es || !r || !s || ECDSA_SIG_set0(es, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		goto out;
	}
	n = i2d_ECDSA_SIG(es, NULL);
	if (n > 0 && n <= ECDSA_DER_MAX)
		n = i2d_ECDSA_SIG(es, &der);
	else
		n = 0;
out:
	ECDSA_SIG_free(es);
	return n > 0 ? (size_t)n : 0;
}

static int raw_of_der(const uint8_t *der, size_t n, size_t width, struct buf *out)
{
	ECDSA_SIG *es = d2i_ECDSA_SIG(NULL, &der, (long)n);
	uint8_t *p = es ? buf_extend(out, 2 * width) : NULL;
	int rc = -1;

	if (p && BN_bn2binpad(ECDSA_SIG_get0_r(es), p, (int)width) == (int)width &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(es), p + width, (int)width) == (int)width)
		rc = 0;
	ECDSA_SIG_free(es);
	return rc;
}

static int check_fit(const struct key *k, enum alg a, struct err *e)
{
	if (key_fits_alg(k, a))
		return 0;
	return err_set(e, ERR_VERIFY, "algorithm %s (%d) does not fit a key of kind %s",
		       alg_name(a), (int)a, key_kind_name(k->kind));
}

int key_verify(const struct key *k, enum alg a, struct slice data, struct slice sig, struct err *e)
{
	const struct key_traits *t = key_traits(k->kind);
	uint8_t der[ECDSA_DER_MAX];
	EVP_MD_CTX *ctx;
	int ok = 0;

	if (check_fit(k, a, e))
		return -1;
	if (sig.n != (t->md ? 2 * t->width : ED25519_SIGNATURE))
		return err_set(e, ERR_VERIFY, "signature of %zu bytes does not fit %s", sig.n,
			       alg_name(a));
	if (t->md) {
		sig.n = der_of_raw(sig, der);
		sig.p = der;
		if (sig.n == 0)
			return crypto_fail(e, ERR_NO_MEMORY, "no memory for the signature");
	}
	ctx = EVP_MD_CTX_new();
	if (ctx && EVP_DigestVerifyInit_ex(ctx, NULL, t->md, NULL, NULL, k->pkey, NULL) == 1)
		ok = EVP_DigestVerify(ctx, sig.p, sig.n, data.n ? data.p : der, data.n);
	EVP_MD_CTX_free(ctx);
	return ok == 1 ? 0 : crypto_fail(e, ERR_VERIFY, "signature does not verify");
}

int key_sign(const struct key *k, enum alg a, struct slice data, struct buf *sig, struct err *e)
{
	const struct key_traits *t = key_traits(k->kind);
	uint8_t raw[ECDSA_DER_MAX];
	size_t n = sizeof(raw);
	EVP_MD_CTX *ctx;
	int ok = 0;

	if (check_fit(k, a, e))
		return -1;
	if (!k->has_private)
		return err_set(e, ERR_INVALID, "the key has no private part to sign with");
	ctx = EVP_MD_CTX_new();
	if (ctx && EVP_DigestSignInit_ex(ctx, NULL, t->md, NULL, NULL, k->pkey, NULL) == 1)
		ok = EVP_DigestSign(ctx, raw, &n, data.n ? data.p : raw, data.n);
	EVP_MD_CTX_free(ctx);
	if (ok != 1)
		return crypto_fail(e, ERR_INTERNAL, "signing failed");
	if (!t->md)
		buf_add(sig, raw, n);
	else if (raw_of_der(raw, n, t->width, sig))
		return crypto_fail(e, ERR_NO_MEMORY, "no memory for the signature");
	return sig->failed ? err_set(e, ERR_NO_MEMORY, "no memory for the signature") : 0;
}
