/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <ctype.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/text.h"
#include "codec/crypto_internal.h"

#define DAYS_MAX 36500

/* The name goes into an extension written as text, where commas and colons mean something. */
static bool is_host_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 64)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '.')
			return false;
	return true;
}

static int add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok ? 0 : -1;
}

static int add_extensions(X509 *cert, const char *name)
{
	char san[160];
	bool local = strcmp(name, "localhost") == 0;

	if (text_format(san, sizeof(san), "DNS:localhost,IP:127.0.0.1,IP:::1%s%s",
			local ? "" : ",DNS:", local ? "" : name))
		return -1;
	if (add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") ||
	    add_extension(cert, NID_key_usage, "critical,digitalSignature") ||
	    add_extension(cert, NID_ext_key_usage, "serverAuth") ||
	    add_extension(cert, NID_subject_alt_name, san))
		return -1;
	return add_extension(cert, NID_subject_key_identifier, "hash");
}

static int set_serial(X509 *cert)
{
	uint8_t serial[16];
	BIGNUM *bn;
	int ok;

	random_bytes(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive and never short */
	bn = BN_bin2bn(serial, sizeof(serial), NULL);
	ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
	BN_free(bn);
	return ok ? 0 : -1;
}

static int fill(X509 *cert, const struct key *k, const char *name, int days)
{
	X509_NAME *subject = X509_get_subject_name(cert);

	if (X509_set_version(cert, X509_VERSION_3) != 1 || set_serial(cert) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -3600) ||
	    !X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) ||
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
				       -1, 0) != 1 ||
	    X509_set_issuer_name(cert, subject) != 1 || X509_set_pubkey(cert, k->pkey) != 1)
		return -1;
	return add_extensions(cert, name);
}

static int sign_and_write(X509 *cert, const struct key *k, struct buf *pem)
{
	const char *md_name = key_traits(k->kind)->md;
	EVP_MD *md = md_name ? EVP_MD_fetch(NULL, md_name, NULL) : NULL;
	BIO *bio = NULL;
	char *p = NULL;
	long n = 0;

	if ((md || !md_name) && X509_sign(cert, k->pkey, md) > 0)
		bio = BIO_new(BIO_s_mem());
	if (bio && PEM_write_bio_X509(bio, cert) == 1)
		n = BIO_get_mem_data(bio, &p);
	if (n > 0)
		buf_add(pem, p, (size_t)n);
	BIO_free(bio);
	EVP_MD_free(md);
	return n > 0 && !pem->failed ? 0 : -1;
}

int crypto_self_signed(const struct key *k, const char *name, int days, struct buf *pem,
		       struct err *e)
{
	X509 *cert;
	int rc = -1;

	if (!name)
		name = "localhost";
	if (!is_host_name(name) || days < 1 || days > DAYS_MAX)
		return err_set(e, ERR_INVALID, "a certificate needs a host name and 1 to %d days",
			       DAYS_MAX);
	if (!k->has_private)
		return err_set(e, ERR_INVALID, "the key has no private part to sign with");
	cert = X509_new();
	if (cert && fill(cert, k, name, days) == 0)
		rc = sign_and_write(cert, k, pem);
	X509_free(cert);
	return rc ? crypto_fail(e, ERR_INTERNAL, "certificate could not be made") : 0;
}

/* Nobody is there to be asked. */
static int no_passphrase(char *buf, int size, int rw, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rw;
	(void)ctx;
	return -1;
}

static BIO *bio_of(struct slice s)
{
	return s.n <= INT_MAX ? BIO_new_mem_buf(s.p, (int)s.n) : NULL;
}

int crypto_pair_check(struct slice cert_pem, struct slice key_pem, struct err *e)
{
	BIO *cert_bio = bio_of(cert_pem), *key_bio = bio_of(key_pem);
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	int rc = -1;

	if (!cert_bio || !key_bio) {
		err_set(e, ERR_NO_MEMORY, "no memory for the certificate");
		goto out;
	}
	cert = PEM_read_bio_X509(cert_bio, NULL, no_passphrase, NULL);
	key = PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL);
	if (!cert)
		err_set(e, ERR_MALFORMED, "it is not a certificate");
	else if (!key)
		err_set(e, ERR_MALFORMED, "it is not a private key, or an encrypted one");
	else if (X509_check_private_key(cert, key) != 1)
		err_set(e, ERR_CONFLICT, "the key is not that of the certificate");
	else
		rc = 0;
out:
	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(key_bio);
	BIO_free(cert_bio);
	ERR_clear_error();
	return rc;
}
