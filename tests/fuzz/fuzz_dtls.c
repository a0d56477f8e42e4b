/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * Datagrams of one stranger to the DTLS endpoint, each behind two bytes of length. The
 * cookie is a constant, so that inputs can show it and get on with the handshake.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/coap_tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t came, went;
static bool listening;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void on_out(void *owner, struct slice datagram)
{
	(void)owner;
	must(datagram.n > 0);
	went += datagram.n;
	/* nothing is proven yet: no more out than in */
	must(!listening || went <= came);
}

static struct slice on_key(void *ctx, struct slice identity)
{
	(void)ctx;
	must(identity.n <= 128 && !memchr(identity.p, 0, identity.n));
	return slice_str("sixteen bytes ok");
}

static void on_cookie(void *owner, unsigned age, uint8_t out[TLS_COOKIE_SIZE])
{
	(void)owner;
	memset(out, age ? 'd' : 'c', TLS_COOKIE_SIZE);
}

/* False: the association is over. */
static bool work(struct tls_end *x, struct slice datagram)
{
	static uint8_t bytes[TLS_MESSAGE_MAX];
	int rc;

	tls_feed(x, datagram);
	rc = tls_shake(x);
	if (rc == 1) {
		must(tls_identity(x) != NULL);
		while ((rc = tls_read(x, bytes)) > 0)
			must(tls_write(x, slice_of(bytes, (size_t)rc)));
	}
	return rc >= 0 && tls_repeat(x);
}

static struct tls_end *listen_to(struct tls_server *t, struct slice datagram)
{
	struct tls_hello h;
	struct tls_end *x;

	if (!tls_hello_read(datagram, &h))
		return NULL;
	came = datagram.n;
	went = 0;
	listening = true;
	x = tls_listen(t, datagram, NULL);
	listening = false;
	must(!x || went == 0);
	return x;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls_server *t;
	struct tls_hooks hooks = { on_out, on_key, on_cookie, NULL };
	struct tls_end *x = NULL;
	struct err e;

	if (!t)
		must(tls_server_new(&hooks, &t, &e) == 0);
	while (size >= 2) {
		size_t n = (size_t)(data[0] << 8 | data[1]);
		struct slice d = slice_of(data + 2, n < size - 2 ? n : size - 2), identity;

		data += 2 + d.n;
		size -= 2 + d.n;
		must(!tls_exchange_read(d, &identity) ||
		     (identity.p >= d.p && identity.p + identity.n <= d.p + d.n));
		if (!x)
			x = listen_to(t, d);
		if (x && !work(x, d)) {
			tls_end_free(x, true);
			x = NULL;
		}
	}
	tls_end_free(x, true);
	return 0;
}
