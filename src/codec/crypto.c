/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "codec/crypto_internal.h"

/* The fetched digest is kept: fetching costs more than hashing a small message. */
struct sha256 {
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

int crypto_fail(struct err *e, enum err_code code, const char *what)
{
	ERR_clear_error();
	return err_set(e, code, "%s", what);
}

struct sha256 *sha256_new(void)
{
	struct sha256 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	h->ctx = EVP_MD_CTX_new();
	if (h->md && h->ctx && EVP_DigestInit_ex2(h->ctx, h->md, NULL) == 1)
		return h;
	sha256_free(h);
	return NULL;
}

int sha256_add(struct sha256 *h, struct slice s)
{
	return s.n == 0 || EVP_DigestUpdate(h->ctx, s.p, s.n) == 1 ? 0 : -1;
}

int sha256_end(struct sha256 *h, struct digest *out)
{
	unsigned n = 0;
	int ok = EVP_DigestFinal_ex(h->ctx, out->b, &n);

	if (EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1)
		return -1;
	return ok == 1 && n == DIGEST_SIZE ? 0 : -1;
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

int sha256_once(struct slice s, struct digest *out)
{
	size_t n = 0;

	if (EVP_Q_digest(NULL, "SHA256", NULL, s.p, s.n, out->b, &n) != 1 || n != DIGEST_SIZE)
		return -1;
	return 0;
}

int hmac_sha256(struct slice key, struct slice data, struct digest *out)
{
	/* OpenSSL takes a NULL key for "the one before" */
	const void *k = key.n ? (const void *)key.p : "";
	unsigned n = 0;

	if (key.n > INT_MAX || !HMAC(EVP_sha256(), k, (int)key.n, data.p, data.n, out->b, &n) ||
	    n != DIGEST_SIZE)
		return -1;
	return 0;
}

int uuid_v5(const uint8_t ns[UUID_SIZE], struct slice name, struct uuid *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sha1[EVP_MAX_MD_SIZE];
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
		 EVP_DigestUpdate(ctx, ns, UUID_SIZE) == 1 &&
		 EVP_DigestUpdate(ctx, name.p, name.n) == 1 &&
		 EVP_DigestFinal_ex(ctx, sha1, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -1;
	memcpy(out->b, sha1, UUID_SIZE);
	out->b[6] = (out->b[6] & 0x0f) | 0x50;
	out->b[8] = (out->b[8] & 0x3f) | 0x80;
	out->set = true;
	return 0;
}

static const struct {
	enum alg alg;
	const char *name;
	const char *md; /* of digest algorithms */
} algs[] = {
	{ ALG_NONE, "none", NULL },	     { ALG_ES256, "ES256", NULL },
	{ ALG_ES384, "ES384", NULL },	     { ALG_ES512, "ES512", NULL },
	{ ALG_EDDSA, "EdDSA", NULL },	     { ALG_ESP256, "ESP256", NULL },
	{ ALG_ESP384, "ESP384", NULL },	     { ALG_ESP512, "ESP512", NULL },
	{ ALG_ED25519, "Ed25519", NULL },    { ALG_SHA256, "SHA-256", "SHA256" },
	{ ALG_SHA384, "SHA-384", "SHA384" }, { ALG_SHA512, "SHA-512", "SHA512" },
};
#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

const char *alg_name(enum alg a)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i].alg == a)
			return algs[i].name;
	return "unknown";
}

int digest_by_alg(enum alg a, struct slice s, uint8_t out[64], size_t *n, struct err *e)
{
	const char *md = NULL;

	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i].alg == a)
			md = algs[i].md;
	if (!md)
		return err_set(e, ERR_UNSUPPORTED, "digest algorithm %d is not supported", (int)a);
	if (EVP_Q_digest(NULL, md, NULL, s.p, s.n, out, n) != 1)
		return crypto_fail(e, ERR_INTERNAL, "digest could not be computed");
	return 0;
}
