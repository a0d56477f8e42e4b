/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What the skipper takes whole, a typed walk takes too, to the same byte. */
static void walk(struct cbor_reader *c, unsigned depth)
{
	uint64_t n = 0;

	switch (cbor_peek(c)) {
	case CBOR_ARRAY:
		n = cbor_take_array(c);
		break;
	case CBOR_MAP:
		n = 2 * cbor_take_map(c);
		break;
	case CBOR_TAG:
		cbor_take_tag(c);
		n = 1;
		break;
	default:
		cbor_take_raw(c);
	}
	if (depth > CBOR_DEPTH_MAX)
		return;
	for (uint64_t i = 0; i < n && !c->failed; i++)
		walk(c, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct cbor_reader c;
	struct err e;

	if (cbor_check(slice_of(p, n), &e))
		return 0;
	cbor_begin(&c, slice_of(p, n), &e);
	walk(&c, 0);
	if (cbor_end(&c))
		__builtin_trap();
	return 0;
}
