/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * Datagrams of a device that we call by DTLS, each behind two bytes of length: whatever it
 * sends, it is nobody without the key.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/coap_tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void on_out(void *owner, struct slice datagram)
{
	(void)owner;
	must(datagram.n > 0 && datagram.n <= TLS_MESSAGE_MAX);
}

static struct slice on_key(void *ctx, struct slice identity)
{
	(void)ctx;
	(void)identity;
	abort(); /* the key came with the call */
}

static void on_cookie(void *owner, unsigned age, uint8_t out[TLS_COOKIE_SIZE])
{
	(void)owner;
	(void)age;
	memset(out, 0, TLS_COOKIE_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls_server *t;
	struct tls_hooks hooks = { on_out, on_key, on_cookie, NULL };
	struct tls_end *x;
	struct err e;
	int rc;

	if (!t)
		must(tls_server_new(&hooks, &t, &e) == 0);
	x = tls_call(t, "meter", slice_str("sixteen bytes ok"), NULL);
	must(x && tls_shake(x) == 0 && strcmp(tls_called_as(x), "meter") == 0);
	for (rc = 0; rc == 0 && size >= 2;) {
		size_t n = (size_t)(data[0] << 8 | data[1]);
		struct slice d = slice_of(data + 2, n < size - 2 ? n : size - 2);

		data += 2 + d.n;
		size -= 2 + d.n;
		tls_feed(x, d);
		rc = tls_shake(x);
		must(rc <= 0 && !tls_identity(x));
		if (rc == 0 && !tls_repeat(x))
			break;
	}
	tls_end_free(x, true);
	return 0;
}
