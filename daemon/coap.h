/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_COAP_H
#define FETTLE_DAEMON_COAP_H

#include "daemon/front.h"

/* The CoAP adapter: plain UDP and DTLS with pre-shared keys. */
#define COAP_LISTEN_MAX 8
#define COAP_TRUSTED_MAX 16

struct ip_prefix {
	uint8_t ip[16];
	uint8_t bits;
}; /* IPv4 as mapped, bits 96.. */
struct listen_addr {
	char text[80];
	uint8_t ip[16];
	uint16_t port;
	bool v4;
};

struct coap_options {
	struct listen_addr udp[COAP_LISTEN_MAX], dtls[COAP_LISTEN_MAX];
	unsigned n_udp, n_dtls;
	struct ip_prefix trusted[COAP_TRUSTED_MAX]; /* addresses proven by configuration */
	unsigned n_trusted;
	unsigned dtls_sessions_max, handshakes_max;
	unsigned envelope_number; /* content-format for SUIT envelopes, default 60 */
	int keys_fd; /* channel to keys; -1: no DTLS */
	uint8_t echo_secret[32];
};

struct coap_server;
int coap_server_new(struct front *f, const struct coap_options *o, struct coap_server **out,
		    struct err *e);
void coap_server_free(struct coap_server *cs);
/* Descriptors to poll: fills up to limit, returns how many. */
int coap_server_fds(struct coap_server *cs, int *fds, int limit);
void coap_server_io(struct coap_server *cs); /* any of them is readable */
void coap_server_flush(struct coap_server *cs); /* after front_io: its callbacks wrote answers */
/* The keys process was started anew: its new channel, taken over. */
void coap_server_set_keys(struct coap_server *cs, int keys_fd);
void coap_server_figures(const struct coap_server *cs, uint64_t out[FIGURE_COUNT]);
/* Own timers (separate responses, Observe, dedup expiry): call every 250 ms or so. */
void coap_server_tick(struct coap_server *cs);

#endif
