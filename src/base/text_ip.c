/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>

int text_ip(const char *s, uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint8_t v4[4];

	if (inet_pton(AF_INET, s, v4) == 1) {
		memcpy(ip, mapped, sizeof(mapped));
		memcpy(ip + sizeof(mapped), v4, sizeof(v4));
		return 0;
	}
	return inet_pton(AF_INET6, s, ip) == 1 ? 0 : -1;
}
