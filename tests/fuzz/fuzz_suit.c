/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/suit.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A mutated manifest keeps no digest: it is put right, so that the inside is reached. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct suit_manifest m;
	struct buf text = BUF_INIT(1 << 20), fixed = BUF_INIT(SUIT_ENVELOPE_MAX + 64);
	uint8_t head[] = { 0xd8, 0x6b, 0xa2, 0x02, 0x58, 0x27, 0x81,
			   0x58, 0x24, 0x82, 0x2f, 0x58, 0x20 };
	struct slice whole = slice_of(p, n);
	struct digest d;
	struct err e;

	if (suit_open(whole, &m, &e) == 0 && suit_parse(whole, &m, &e) == 0)
		(void)suit_print(whole, &m, &text, &e);
	buf_reset(&text);
	if (n > 0 && sha256_once(whole, &d) == 0) {
		buf_add(&fixed, head, sizeof(head));
		buf_add(&fixed, d.b, sizeof(d.b));
		buf_add_u8(&fixed, 3);
		buf_add_slice(&fixed, whole); /* p as the manifest with its head */
		whole = buf_slice(&fixed);
		if (!fixed.failed && suit_open(whole, &m, &e) == 0 &&
		    suit_parse(whole, &m, &e) == 0 && suit_print(whole, &m, &text, &e))
			__builtin_trap();
	}
	buf_free(&text);
	buf_free(&fixed);
	return 0;
}
