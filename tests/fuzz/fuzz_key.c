/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A key that loads can be written as SPKI, and that is the same key. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf der = BUF_INIT(4096);
	struct key *k, *again;
	struct digest a, b;
	struct err e;

	if (key_load(slice_of(p, n), &k, &e))
		return 0;
	if (key_public_spki(k, &der, &e) || key_load(buf_slice(&der), &again, &e) ||
	    key_id(k, &a) || key_id(again, &b) || !digest_eq(&a, &b))
		__builtin_trap();
	key_free(again);
	key_free(k);
	buf_free(&der);
	return 0;
}
