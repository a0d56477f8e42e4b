/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/minicoap.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What a server sends to a device: read, and given to the agent as part of an image. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct agent_request rq = { .kind = ASK_IMAGE, .piece = true, .offset = 1030 };
	struct agent_reply r;
	struct mc_in m;
	struct mc_call c;

	if (mc_read_call(&c, slice_of(p, n)) == 0 &&
	    (c.payload.n > n || c.tkl > 8 || c.szx > 6 || c.num >> 20))
		__builtin_trap();
	if (mc_read(&m, slice_of(p, n)) != 0)
		return 0;
	if (m.payload.n > n || m.echo.n > 40 || m.etag.n > 8 || m.szx > 6 || m.num >> 20)
		__builtin_trap();
	if (mc_to_agent(&r, &rq, &m) && r.body.n > m.payload.n)
		__builtin_trap();
	return 0;
}
