/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "service/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The device's answer as the front tells it: kind, status, media, then its body. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const enum media media[] = { MEDIA_CBOR, MEDIA_JSON, MEDIA_TEXT, MEDIA_NONE };
	struct ipc_sent s = { .tag = { 1 } };
	struct arena a = ARENA_INIT(1u << 20);
	struct call_answer out;
	struct err e;

	if (n < 4)
		return 0;
	s.tag[1] = p[0];
	s.tag[15] = s.tag[31] = 1;
	s.tag[2] = p[1] >> 7;
	s.status = (uint16_t)((p[1] & 0x7f) << 8 | p[2]);
	s.media = media[p[3] & 3];
	s.body = slice_of(p + 4, n - 4 < IPC_SENT_BODY_MAX ? n - 4 : IPC_SENT_BODY_MAX);
	int rc = call_answer_read(&s, &a, 1800000000000, &out, &e);
	if (rc != (p[0] < SEND_KIND_COUNT ? 0 : -1))
		__builtin_trap();
	if (rc == 0 && (strlen(out.text) >= sizeof(out.text) || out.failure >= FAILURE_COUNT ||
			(out.has_status && out.status >= 300) || out.dev != 1 || out.serial != 1))
		__builtin_trap();
	arena_free(&a);
	return 0;
}
