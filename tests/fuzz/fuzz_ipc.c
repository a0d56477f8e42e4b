/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stddef.h>
#include <stdint.h>

#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a captured front could write: every frame body decoder on the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_upload_open open;
	struct response rs;
	struct ipc_entry entry;
	struct ipc_grant grant;
	struct rd r = rd_init(slice_of(data, size));

	while (ipc_get_entry(&r, &entry) && !rd_done(&r))
		;
	r = rd_init(slice_of(data, size));
	(void)ipc_get_upload_open(&r, &open);
	r = rd_init(slice_of(data, size));
	while (ipc_get_response(&r, &rs) && !rd_done(&r))
		;
	r = rd_init(slice_of(data, size));
	(void)ipc_get_grant(&r, &grant);
	return 0;
}
