/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "codec/cbor.h"
#include "codec/crypto_internal.h"

enum { KTY_OKP = 1, KTY_EC2 = 2 };
#define COORDINATE_MAX 66

struct cose_key {
	int64_t kty, alg, crv;
	struct slice x, y, d;
	bool y_is_sign, y_sign;
};

static void read_y(struct cbor_reader *c, struct cose_key *k)
{
	if (cbor_peek(c) == CBOR_BOOL) {
		k->y_is_sign = true;
		k->y_sign = cbor_take_bool(c);
	} else {
		k->y = cbor_take_bytes(c);
	}
}

static void read_member(struct cbor_reader *c, int64_t label, struct cose_key *k)
{
	switch (label) {
	case 1:
		k->kty = cbor_take_int(c);
		break;
	case 3:
		k->alg = cbor_take_int(c);
		break;
	case -1:
		k->crv = cbor_take_int(c);
		break;
	case -2:
		k->x = cbor_take_bytes(c);
		break;
	case -3:
		read_y(c, k);
		break;
	case -4:
		k->d = cbor_take_bytes(c);
		break;
	default:
		cbor_take_raw(c); /* kid, key_ops and whatever else a key may carry */
	}
}

static int parse(struct slice bytes, struct cose_key *k, struct err *e)
{
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader c;
	uint64_t n;

	*k = (struct cose_key){ 0 };
	cbor_begin(&c, bytes, e);
	n = cbor_take_map(&c);
	for (uint64_t i = 0; i < n && !c.failed; i++)
		read_member(&c, cbor_take_label(&c, &seen), k);
	return cbor_end(&c);
}

/* SEC 1 section 2.3.3: 04 x y, or 02/03 x when only the sign of y is known. */
static size_t point_of(const struct cose_key *k, size_t width, uint8_t out[1 + 2 * COORDINATE_MAX])
{
	if (k->x.n != width || (!k->y_is_sign && k->y.n != width))
		return 0;
	memcpy(out + 1, k->x.p, width);
	if (k->y_is_sign) {
		out[0] = k->y_sign ? 3 : 2;
		return 1 + width;
	}
	out[0] = 4;
	memcpy(out + 1 + width, k->y.p, width);
	return 1 + 2 * width;
}

static EVP_PKEY *ec_from(const struct key_traits *t, struct slice point, BIGNUM *d)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;
	int selection = d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;

	if (bld && ctx &&
	    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, t->group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n) == 1 &&
	    (!d || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1))
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &pkey, selection, params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static EVP_PKEY *load_ec2(const struct cose_key *k)
{
	static const enum key_kind kinds[] = { KEY_P256, KEY_P384, KEY_P521 };
	const struct key_traits *t = NULL;
	uint8_t point[1 + 2 * COORDINATE_MAX];
	EVP_PKEY *pkey = NULL;
	BIGNUM *d = NULL;
	size_t n;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (key_traits(kinds[i])->cose_crv == k->crv)
			t = key_traits(kinds[i]);
	n = t ? point_of(k, t->width, point) : 0;
	if (n == 0 || (k->d.n > 0 && k->d.n != t->width))
		return NULL;
	if (k->d.n > 0) {
		d = BN_secure_new();
		if (!d || !BN_bin2bn(k->d.p, (int)k->d.n, d))
			goto out;
		BN_set_flags(d, BN_FLG_CONSTTIME);
	}
	pkey = ec_from(t, slice_of(point, n), d);
out:
	BN_clear_free(d);
	return pkey;
}

static EVP_PKEY *load_okp(const struct cose_key *k)
{
	uint8_t x[32];
	size_t n = sizeof(x);
	EVP_PKEY *pkey;

	if (k->crv != key_traits(KEY_ED25519)->cose_crv || k->x.n != sizeof(x))
		return NULL;
	if (k->d.n == 0)
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->x.p, k->x.n);
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, k->d.p, k->d.n);
	if (pkey && EVP_PKEY_get_raw_public_key(pkey, x, &n) == 1 && n == sizeof(x) &&
	    slice_eq(k->x, slice_of(x, n)))
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

int key_load_cose(struct slice bytes, struct key **out, struct err *e)
{
	EVP_PKEY *pkey = NULL;
	struct cose_key k;

	*out = NULL;
	if (parse(bytes, &k, e))
		return err_prefix(e, "COSE_Key");
	if (k.kty != KTY_OKP && k.kty != KTY_EC2)
		return err_set(e, ERR_UNSUPPORTED, "COSE_Key of type %lld", (long long)k.kty);
	pkey = k.kty == KTY_EC2 ? load_ec2(&k) : load_okp(&k);
	if (!pkey)
		return crypto_fail(e, ERR_INVALID, "COSE_Key has no valid curve and coordinates");
	if (key_adopt(pkey, k.d.n > 0, out, e))
		return -1;
	if (k.alg == 0 || key_fits_alg(*out, (enum alg)k.alg))
		return 0;
	key_free(*out);
	*out = NULL;
	return err_set(e, ERR_INVALID, "COSE_Key names an algorithm of another curve");
}
