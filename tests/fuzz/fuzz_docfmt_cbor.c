/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/docfmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void round_trip(enum media m, struct slice bytes)
{
	struct arena a = ARENA_INIT(1 << 22);
	struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
	const struct doc *d;
	struct err e;

	if (docfmt_decode(m, bytes, &a, &d, &e) == 0 && docfmt_encode(m, d, &once, &e) == 0) {
		if (docfmt_decode(m, buf_slice(&once), &a, &d, &e) ||
		    docfmt_encode(m, d, &twice, &e) ||
		    !slice_eq(buf_slice(&once), buf_slice(&twice)))
			__builtin_trap();
		if (docfmt_encode_pretty(d, &twice, &e))
			__builtin_trap();
	}
	buf_free(&once);
	buf_free(&twice);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena a = ARENA_INIT(1 << 22);
	const struct doc *d;
	struct err e;

	round_trip(MEDIA_CBOR, slice_of(p, n));
	(void)docfmt_decode(MEDIA_PROBLEM_CBOR, slice_of(p, n), &a, &d, &e);
	arena_free(&a);
	return 0;
}
