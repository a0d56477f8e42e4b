/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/docfmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What was read can be written and read again, and then says the same. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena a = ARENA_INIT(1 << 22);
	struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
	const struct doc *d;
	struct err e;

	if (docfmt_decode(MEDIA_JSON, slice_of(p, n), &a, &d, &e) == 0) {
		if (docfmt_encode(MEDIA_JSON, d, &once, &e) ||
		    docfmt_decode(MEDIA_JSON, buf_slice(&once), &a, &d, &e) ||
		    docfmt_encode(MEDIA_JSON, d, &twice, &e) ||
		    !slice_eq(buf_slice(&once), buf_slice(&twice)))
			__builtin_trap();
	}
	buf_free(&once);
	buf_free(&twice);
	arena_free(&a);
	return 0;
}
