/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/docfmt_keys.h"

#include <string.h>

static const char *const names[] = {
	[1] = "boot",
	[2] = "counter",
	[3] = "mode",
	[4] = "vendor_id",
	[5] = "class_id",
	[6] = "manufacturer",
	[7] = "model",
	[8] = "components",
	[9] = "name",
	[10] = "version",
	[11] = "sequence",
	[12] = "digest",
	[13] = "windows",
	[14] = "parent",
	[15] = "attributes",
	[16] = "endpoint_port",
	[17] = "capabilities",
	[18] = "status",
	[19] = "state",
	[20] = "service",
	[21] = "until",
	[22] = "battery",
	[23] = "free_flash",
	[24] = "free_ram",
	[25] = "now",
	[26] = "ask_again",
	[27] = "update",
	[28] = "release",
	[29] = "urgency",
	[30] = "manifest_uri",
	[31] = "manifest_digest",
	[32] = "manifest",
	[33] = "images",
	[34] = "component",
	[35] = "uri",
	[36] = "size",
	[37] = "sources",
	[38] = "not_before",
	[39] = "not_after",
	[40] = "deadline",
	[41] = "outage",
	[42] = "ask",
	[43] = "decision",
	[44] = "reason",
	[45] = "granted",
	[46] = "latest",
	[47] = "fetch",
	[48] = "progress",
	[49] = "result",
	[50] = "text",
	[51] = "failure",
	[52] = "look",
	[53] = "duplicate",
	[54] = "manifest_size",
	[55] = "attempt",
	[56] = "device",
	[57] = "outage_in",
	[58] = "offset",
	[59] = "acknowledged",
	[60] = "outage_update",
};

/* The numbers in the order of their names: shorter first, then as memcmp() says. */
static const uint8_t by_name[] = {
	42, 25, 35, 1,	52, 3,	9,  36, 50, 47, 7,  19, 21, 56, 12, 33, 46, 58, 41, 14,
	44, 49, 18, 27, 55, 22, 2,  51, 45, 28, 20, 37, 29, 10, 13, 5,	40, 43, 24, 32,
	48, 11, 26, 34, 53, 39, 57, 4,	15, 8,	23, 38, 59, 17, 30, 6,	16, 54, 60, 31,
};

#define KEYS (sizeof(by_name) / sizeof(by_name[0]))
_Static_assert(sizeof(names) / sizeof(names[0]) == KEYS + 1, "every name is in both tables");

uint8_t docfmt_key_max(void)
{
	return KEYS;
}

struct slice docfmt_key_name(uint64_t number)
{
	return number >= 1 && number <= KEYS ? slice_str(names[number]) : (struct slice){ 0 };
}

static int compare(struct slice a, const char *b)
{
	size_t n = strlen(b);

	if (a.n != n)
		return a.n < n ? -1 : 1;
	return memcmp(a.p, b, n);
}

uint8_t docfmt_key_number(struct slice name)
{
	size_t low = 0, high = KEYS;

	if (name.n == 0)
		return 0;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = compare(name, names[by_name[mid]]);

		if (order == 0)
			return by_name[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return 0;
}
