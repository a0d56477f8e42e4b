/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What parses is written and parses again to the same; what does not says where, in one line. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct config first, second;
	struct buf a = BUF_INIT(CONFIG_SIZE_MAX), b = BUF_INIT(CONFIG_SIZE_MAX);
	struct err e = { 0 };

	if (config_parse(slice_of(p, n), "f", &first, &e) != 0) {
		if (strncmp(e.text, "f:", 2) != 0 || strchr(e.text, '\n'))
			abort();
		return 0;
	}
	config_write(&first, &a);
	if (a.failed || config_parse(buf_slice(&a), "f", &second, &e) != 0)
		abort();
	config_write(&second, &b);
	if (b.failed || !slice_eq(buf_slice(&a), buf_slice(&b)))
		abort();
	buf_free(&a);
	buf_free(&b);
	return 0;
}
