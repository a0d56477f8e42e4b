/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <string.h>

#include "codec/crypto.h"

/* Services that answer anything: a forged source port must not set two servers talking. */
bool port_reflects(uint16_t port)
{
	static const uint16_t ports[] = { 0, 7, 17, 19, 53, 123, 161, 1900, 11211 };

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (ports[i] == port)
			return true;
	return false;
}

static bool class_responds(unsigned class)
{
	return class == 2 || class == 4 || class == 5;
}

enum gate_verdict gate_judge(struct wire_msg *m, struct slice d, uint16_t port)
{
	bool ends;

	if (port_reflects(port) || !wire_parse(m, d))
		return GATE_DROP;
	ends = m->type == WIRE_ACK || m->type == WIRE_RST;
	if (m->code == 0)
		return ends ? GATE_SETTLED : m->type == WIRE_CON ? GATE_PING : GATE_DROP;
	if (class_responds(WIRE_CLASS(m->code)))
		return m->type == WIRE_RST ? GATE_DROP : GATE_RESPONSE;
	/* reserved classes mean nothing */
	return WIRE_CLASS(m->code) == 0 && !ends ? GATE_REQUEST : GATE_DROP;
}

void gate_challenge(struct wire_out *o, const struct wire_msg *m, size_t came, uint16_t mid,
		    const uint8_t echo[ECHO_SIZE])
{
	bool con = m->type == WIRE_CON;
	enum wire_type t = con ? WIRE_ACK : WIRE_NON;

	wire_begin(o, t, WIRE_CODE(4, 1), con ? m->mid : mid, m->token, m->tkl);
	wire_put(o, WIRE_ECHO, slice_of(echo, ECHO_SIZE));
	wire_end(o, slice_of(NULL, 0));
	if (wire_size(o) <= came)
		return;
	wire_begin(o, t, WIRE_CODE(4, 1), con ? m->mid : mid, m->token, m->tkl);
	wire_end(o, slice_of(NULL, 0));
}

void echo_make(const uint8_t secret[32], const struct udp_addr *a, int64_t slot,
	       uint8_t out[ECHO_SIZE])
{
	uint8_t b[26];
	struct digest mac;

	memcpy(b, a->ip, 16);
	b[16] = (uint8_t)(a->port >> 8);
	b[17] = (uint8_t)a->port;
	for (unsigned i = 0; i < 8; i++)
		b[18 + i] = (uint8_t)((uint64_t)slot >> (56 - 8 * i));
	/* without memory nobody is proven: a random value matches nothing */
	if (hmac_sha256(slice_of(secret, 32), slice_of(b, sizeof(b)), &mac) != 0)
		random_bytes(mac.b, sizeof(mac.b));
	memcpy(out, mac.b, ECHO_SIZE);
}

bool echo_fresh(const uint8_t secret[32], const struct udp_addr *a, int64_t now, struct slice echo)
{
	int64_t slot = now / ECHO_SLOT_MS;
	uint8_t want[ECHO_SIZE];

	if (echo.n != ECHO_SIZE)
		return false;
	for (int64_t age = 0; age < 2; age++) {
		echo_make(secret, a, slot - age, want);
		if (slice_eq_ct(echo, slice_of(want, sizeof(want))))
			return true;
	}
	return false;
}
