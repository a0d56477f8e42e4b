/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "device/carrier.h"

static const struct scheme {
	const char *name;
	uint16_t port;
	const struct carrier_ops *ops;
} schemes[] = {
	{ "coap", 5683, &carrier_coap },
	{ "coaps", 5684, &carrier_coap },
	{ "http", 80, &carrier_http },
	{ "https", 443, &carrier_http },
};

static const struct scheme *scheme_of(const char *name)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strcmp(schemes[i].name, name) == 0)
			return &schemes[i];
	return NULL;
}

const struct carrier_ops *carrier_of(const struct target *t)
{
	const struct scheme *s = scheme_of(t->scheme);

	return s ? s->ops : NULL;
}

static int take_host(const char *from, struct target *out, const char **rest)
{
	size_t n;

	if (*from == '[') {
		n = strcspn(++from, "]");
		*rest = from + n + 1;
		if (from[n] != ']')
			return -1;
	} else {
		n = strcspn(from, ":/");
		*rest = from + n;
	}
	return n == 0 ? -1 : text_copy_slice(out->host, sizeof(out->host), slice_of(from, n));
}

int target_parse(const char *uri, struct target *out, struct err *e)
{
	const char *mark = strstr(uri, "://"), *rest;
	const struct scheme *s;
	uint64_t port;
	size_t n;

	memset(out, 0, sizeof(*out));
	if (!mark || text_copy_slice(out->scheme, sizeof(out->scheme),
				     slice_of(uri, (size_t)(mark - uri))) != 0)
		return err_set(e, ERR_INVALID, "--server: coap://, coaps://, http:// or https://");
	s = scheme_of(out->scheme);
	if (!s)
		return err_set(e, ERR_INVALID, "--server: coap, coaps, http or https, not %s",
			       out->scheme);
	if (take_host(mark + 3, out, &rest) != 0)
		return err_set(e, ERR_INVALID, "--server: no host in it");
	out->port = s->port;
	if (*rest == ':') {
		n = strcspn(++rest, "/");
		if (text_u64(slice_of(rest, n), &port) != 0 || port == 0 || port > 65535)
			return err_set(e, ERR_INVALID, "--server: the port is not 1-65535");
		out->port = (uint16_t)port;
		rest += n;
	}
	if (*rest && strcmp(rest, "/") != 0)
		return err_set(e, ERR_INVALID, "--server: takes no path");
	return 0;
}
