/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "codec/crypto_internal.h"

#define KEY_FILE_MAX 16384

static const struct key_traits traits[] = {
	[KEY_P256] = { "es256", "prime256v1", "SHA256", 32, 1 },
	[KEY_P384] = { "es384", "secp384r1", "SHA384", 48, 2 },
	[KEY_P521] = { "es512", "secp521r1", "SHA512", 66, 3 },
	[KEY_ED25519] = { "ed25519", NULL, NULL, 32, 6 },
};
#define N_KINDS (sizeof(traits) / sizeof(traits[0]))

const struct key_traits *key_traits(enum key_kind k)
{
	return &traits[k];
}

const char *key_kind_name(enum key_kind k)
{
	return traits[k].name;
}

int key_kind_parse(const char *word, enum key_kind *out)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		if (strcmp(traits[i].name, word) == 0) {
			*out = (enum key_kind)i;
			return 0;
		}
	}
	return -1;
}

static int find_kind(EVP_PKEY *pkey, enum key_kind *out)
{
	char group[32];

	if (EVP_PKEY_get_id(pkey) == EVP_PKEY_ED25519) {
		*out = KEY_ED25519;
		return 0;
	}
	if (EVP_PKEY_get_id(pkey) != EVP_PKEY_EC ||
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return -1;
	for (size_t i = 0; i < N_KINDS; i++) {
		if (traits[i].group && strcmp(traits[i].group, group) == 0) {
			*out = (enum key_kind)i;
			return 0;
		}
	}
	return -1;
}

/* On the curve, not the point at infinity, and both halves of one pair. */
static bool is_consistent(EVP_PKEY *pkey, enum key_kind kind, bool has_private)
{
	EVP_PKEY_CTX *ctx;
	bool ok;

	if (kind == KEY_ED25519)
		return true; /* the public half is derived from the private one */
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	ok = ctx && EVP_PKEY_public_check(ctx) == 1 &&
	     (!has_private || EVP_PKEY_pairwise_check(ctx) == 1);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int spki_add(EVP_PKEY *pkey, struct buf *der)
{
	unsigned char *p = NULL;
	int n = i2d_PUBKEY(pkey, &p);

	if (n > 0)
		buf_add(der, p, (size_t)n);
	OPENSSL_free(p);
	return n > 0 && !der->failed ? 0 : -1;
}

/* One key, one name: EC points are written uncompressed whatever the file did. */
static int find_id(struct key *k)
{
	struct buf der = BUF_INIT(1024);
	int rc = -1;

	if (k->kind != KEY_ED25519 &&
	    EVP_PKEY_set_utf8_string_param(k->pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
					   "uncompressed") != 1)
		return -1;
	if (spki_add(k->pkey, &der) == 0)
		rc = sha256_once(buf_slice(&der), &k->id);
	buf_free(&der);
	return rc;
}

int key_adopt(EVP_PKEY *pkey, bool has_private, struct key **out, struct err *e)
{
	struct key *k = calloc(1, sizeof(*k));

	*out = NULL;
	if (!k) {
		EVP_PKEY_free(pkey);
		return err_set(e, ERR_NO_MEMORY, "no memory for a key");
	}
	k->pkey = pkey;
	k->has_private = has_private;
	if (find_kind(pkey, &k->kind)) {
		key_free(k);
		return crypto_fail(e, ERR_UNSUPPORTED,
				   "key is neither P-256, P-384, P-521 nor Ed25519");
	}
	if (!is_consistent(pkey, k->kind, has_private)) {
		key_free(k);
		return crypto_fail(e, ERR_INVALID, "key is not valid on its curve");
	}
	if (find_id(k)) {
		key_free(k);
		return crypto_fail(e, ERR_NO_MEMORY, "no memory for a key");
	}
	*out = k;
	return 0;
}

/* Encrypted PEM is refused; without this OpenSSL asks the terminal. */
static int no_passphrase(char *dst, int size, int rwflag, void *u)
{
	(void)dst;
	(void)size;
	(void)rwflag;
	(void)u;
	return -1;
}

static bool has_marker(struct slice s, const char *marker)
{
	size_t n = strlen(marker);

	for (; s.n >= n; s.p++, s.n--)
		if (memcmp(s.p, marker, n) == 0)
			return true;
	return false;
}

static int load_pem(struct slice bytes, struct key **out, struct err *e)
{
	bool private = has_marker(bytes, "PRIVATE KEY-----");
	BIO *bio = BIO_new_mem_buf(bytes.p, (int)bytes.n);
	EVP_PKEY *pkey = NULL;

	if (!bio)
		return crypto_fail(e, ERR_NO_MEMORY, "no memory for a key");
	if (private)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	else
		pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (!pkey)
		return crypto_fail(e, ERR_MALFORMED, "PEM holds no key that can be read");
	ERR_clear_error();
	return key_adopt(pkey, private, out, e);
}

static int load_spki(struct slice bytes, struct key **out, struct err *e)
{
	const unsigned char *p = bytes.p;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)bytes.n);

	if (!pkey)
		return crypto_fail(e, ERR_MALFORMED, "DER holds no public key that can be read");
	if (p != bytes.p + bytes.n) {
		EVP_PKEY_free(pkey);
		return crypto_fail(e, ERR_MALFORMED, "bytes behind the end of the public key");
	}
	return key_adopt(pkey, false, out, e);
}

int key_load(struct slice bytes, struct key **out, struct err *e)
{
	*out = NULL;
	if (bytes.n == 0 || bytes.n > KEY_FILE_MAX)
		return err_set(e, ERR_MALFORMED, "a key has 1 to %d bytes", KEY_FILE_MAX);
	if (bytes.p[0] >> 5 == 5)
		return key_load_cose(bytes, out, e);
	if (has_marker(bytes, "-----BEGIN "))
		return load_pem(bytes, out, e);
	return load_spki(bytes, out, e);
}

int key_generate(enum key_kind kind, struct key **out, struct err *e)
{
	EVP_PKEY *pkey;

	*out = NULL;
	if (kind == KEY_ED25519)
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		pkey = EVP_EC_gen(traits[kind].group);
	if (!pkey)
		return crypto_fail(e, ERR_INTERNAL, "key generation failed");
	return key_adopt(pkey, true, out, e);
}

int key_public_spki(const struct key *k, struct buf *der, struct err *e)
{
	if (spki_add(k->pkey, der))
		return crypto_fail(e, ERR_NO_MEMORY, "no memory for a key");
	return 0;
}

/* Write by one of OpenSSL's PEM writers into out; the BIO's copy is wiped. */
static int write_pem(const struct key *k, bool private, struct buf *out, struct err *e)
{
	BIO *bio = BIO_new(private ? BIO_s_secmem() : BIO_s_mem());
	char *p = NULL;
	int ok = 0;
	long n;

	if (bio && private)
		ok = PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL);
	else if (bio)
		ok = PEM_write_bio_PUBKEY(bio, k->pkey);
	n = ok == 1 ? BIO_get_mem_data(bio, &p) : 0;
	if (n > 0)
		buf_add(out, p, (size_t)n);
	if (n > 0 && private)
		OPENSSL_cleanse(p, (size_t)n);
	BIO_free(bio);
	if (n <= 0 || out->failed)
		return crypto_fail(e, ERR_NO_MEMORY, "no memory for a key");
	return 0;
}

int key_public_pem(const struct key *k, struct buf *pem, struct err *e)
{
	return write_pem(k, false, pem, e);
}

int key_private_pem(const struct key *k, struct buf *pem, struct err *e)
{
	if (!k->has_private)
		return err_set(e, ERR_INVALID, "the key has no private part");
	return write_pem(k, true, pem, e);
}

enum key_kind key_kind_of(const struct key *k)
{
	return k->kind;
}

bool key_has_private(const struct key *k)
{
	return k->has_private;
}

int key_id(const struct key *k, struct digest *out)
{
	*out = k->id;
	return 0;
}

void key_free(struct key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}
