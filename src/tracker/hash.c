/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "tracker/hash.h"

#include "codec/crypto.h"

static void *hash_begin(void)
{
	return sha256_new();
}

static int hash_add(void *h, struct slice s)
{
	return sha256_add(h, s);
}

static int hash_end(void *h, struct digest *out)
{
	int rc = sha256_end(h, out);

	sha256_free(h);
	return rc;
}

static void hash_drop(void *h)
{
	sha256_free(h);
}

const struct store_hash tracker_hash = { hash_begin, hash_add, hash_end, hash_drop };
