/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_dtls.h"

#include <string.h>

/*
 * DTLS with us as the client, on the sockets that listen: a device that the core wants called
 * and that has no session here. It costs the handshake only; afterwards the session is one
 * like any other, and the device may ask over it, too. Handshakes of ours are few, do not
 * count among those of strangers, and never give way to them.
 */
#define CALLS_MAX 256u
#define CALL_MS 30000

static struct coap_peer *begin(struct dtls *d, const struct udp_addr *a, const char *identity)
{
	struct dtls_session like = { .d = d, .addr = *a, .calling = true }, *s;
	struct slice key;
	struct tls_end *end;
	struct coap_peer *p;
	uint64_t session;

	if (!coap_keys_own(d->keys, slice_str(identity), &key))
		return NULL;
	end = tls_call(d->tls, identity, key, NULL);
	s = end ? dtls_session_new(&like, end) : NULL;
	if (!s) {
		tls_end_free(end, false);
		return NULL;
	}
	p = session_peer(s);
	if (!p) {
		dtls_session_end(s, false);
		return NULL;
	}
	session = p->session;
	session_shake(s); /* it may fail, and the peer be gone */
	return peer_of_session(d->cs, session);
}

static bool is_with(const struct dtls_session *s, const char *identity)
{
	const char *who = s->open ? tls_identity(s->end) : tls_called_as(s->end);

	return who && strcmp(who, identity) == 0;
}

struct coap_peer *dtls_call(struct dtls *d, const struct udp_addr *a, const char *identity,
			    uint16_t *why)
{
	uint8_t sockets[COAP_LISTEN_MAX];
	unsigned n = udp_routes(d->udp, a, sockets);
	struct udp_addr at = *a;

	if (n == 0)
		return NULL;
	*why = 503;
	for (unsigned i = 0; i < n; i++) {
		struct dtls_session *s;

		at.socket = sockets[i];
		s = dtls_session_find(d, &at);
		if (s && is_with(s, identity))
			return session_peer(s);
		if (s) {
			*why = 0; /* somebody else, or a handshake of his own */
			return NULL;
		}
	}
	at.socket = sockets[0];
	return d->n_calling < CALLS_MAX ? begin(d, &at, identity) : NULL;
}

void calls_tick(struct dtls *d)
{
	dtls_expire(d, &d->calling, CALL_MS, false);
	dtls_repeat(&d->calling);
}
