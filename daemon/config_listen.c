/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/config.h"

static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

/* Either family into 16 bytes, IPv4 as mapped. No names: resolving is not the daemon's business. */
static int parse_ip(struct slice s, uint8_t ip[16], bool *v4)
{
	char text[INET6_ADDRSTRLEN];

	if (text_copy_slice(text, sizeof(text), s) != 0)
		return -1;
	if (inet_pton(AF_INET, text, ip + 12) == 1) {
		memcpy(ip, mapped, sizeof(mapped));
		*v4 = true;
		return 0;
	}
	*v4 = false;
	return inet_pton(AF_INET6, text, ip) == 1 ? 0 : -1;
}

static int parse_port(struct slice s, uint16_t *port)
{
	uint64_t v;

	if (text_u64(s, &v) != 0 || v < 1 || v > 65535)
		return -1;
	*port = (uint16_t)v;
	return 0;
}

/* One spelling for one address, so that two configurations can be compared. */
static void spell(struct listen_addr *a)
{
	char text[INET6_ADDRSTRLEN];

	if (a->v4) {
		inet_ntop(AF_INET, a->ip + 12, text, sizeof(text));
		(void)text_format(a->text, sizeof(a->text), "%s:%u", text, a->port);
	} else {
		inet_ntop(AF_INET6, a->ip, text, sizeof(text));
		(void)text_format(a->text, sizeof(a->text), "[%s]:%u", text, a->port);
	}
}

int listen_addr_parse(struct slice s, struct listen_addr *out, struct err *e)
{
	struct listen_addr a = { .v4 = false };
	size_t colon = s.n;

	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon < 2)
		return err_set(e, ERR_INVALID,
			       "needs ADDRESS:PORT, like 127.0.0.1:5683 or [::1]:5683");

	struct slice host = slice_of(s.p, colon - 1);
	if (parse_port(slice_of(s.p + colon, s.n - colon), &a.port) != 0)
		return err_set(e, ERR_INVALID,
			       "needs a port from 1 to 65535 behind the last colon");
	if (slice_eq_str(host, "*")) {
		(void)text_format(a.text, sizeof(a.text), "*:%u", a.port);
		*out = a;
		return 0;
	}
	bool bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (bracketed)
		host = slice_of(host.p + 1, host.n - 2);
	if (parse_ip(host, a.ip, &a.v4) != 0 || bracketed == a.v4)
		return err_set(e, ERR_INVALID, "needs an address in numbers, IPv6 in brackets");
	spell(&a);
	*out = a;
	return 0;
}

bool listen_addr_is_loopback(const struct listen_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->v4 ? a->ip[12] == 127 : memcmp(a->ip, one, sizeof(one)) == 0;
}

int ip_prefix_parse(struct slice s, struct ip_prefix *out, struct err *e)
{
	struct ip_prefix p;
	size_t slash = 0;
	uint64_t bits;
	bool v4;

	while (slash < s.n && s.p[slash] != '/')
		slash++;
	if (parse_ip(slice_of(s.p, slash), p.ip, &v4) != 0)
		return err_set(e, ERR_INVALID,
			       "needs ADDRESS/BITS, like 10.0.0.0/8 or 2001:db8::/32");
	bits = v4 ? 32 : 128;
	if (slash < s.n) {
		uint64_t most = bits;
		if (text_u64(slice_of(s.p + slash + 1, s.n - slash - 1), &bits) != 0 || bits > most)
			return err_set(e, ERR_INVALID, "needs 0 to %u bits behind the slash",
				       (unsigned)most);
	}
	p.bits = (uint8_t)(v4 ? bits + 96 : bits);
	for (unsigned i = 0; i < 128; i++)
		if (i >= p.bits && p.ip[i / 8] & (0x80u >> (i % 8)))
			return err_set(e, ERR_INVALID, "has bits set behind its prefix");
	*out = p;
	return 0;
}

static bool machine_has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void settle_list(struct listen_list *list, bool v6)
{
	for (unsigned i = 0; i < list->n; i++) {
		struct listen_addr *a = &list->v[i];
		if (a->text[0] != '*')
			continue;
		memset(a->ip, 0, sizeof(a->ip));
		a->v4 = !v6;
		if (a->v4)
			memcpy(a->ip, mapped, sizeof(mapped));
		spell(a);
	}
}

void config_settle(struct config *c)
{
	bool v6 = machine_has_ipv6();

	settle_list(&c->coap.listen, v6);
	settle_list(&c->coap.listen_dtls, v6);
	settle_list(&c->http.listen, v6);
	settle_list(&c->http.listen_tls, v6);
}
