/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/suit.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct suit_report r;
	struct err e;

	if (suit_report_parse(slice_of(p, n), &r, &e) == 0 && r.success &&
	    (r.pending || r.manifest_digest.n == 0))
		__builtin_trap();
	return 0;
}
