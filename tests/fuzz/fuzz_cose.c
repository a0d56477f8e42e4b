/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/cose.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A public key of RFC 8032 (section 7.1, test 1) as COSE_Key. */
static const uint8_t ed25519[] = {
	0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20, 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1,
	0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3,
	0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct cose_sign1 c;
	struct key *k;
	struct err e;

	if (cose_sign1_parse(slice_of(p, n), &c, &e))
		return 0;
	if (key_load(slice_of(ed25519, sizeof(ed25519)), &k, &e))
		__builtin_trap();
	(void)cose_sign1_verify(&c, (struct slice){ 0 }, (struct slice){ 0 }, k, &e);
	key_free(k);
	return 0;
}
