/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_COAP_SERVE_H
#define FETTLE_DEVICE_COAP_SERVE_H

#include <coap3/coap.h>

#include "device/carrier.h"

/*
 * The server's calls at a single device: on its own session, and at an endpoint port. Who may
 * call: the session's peer; at a plain port the server's address; at a DTLS port whoever has
 * the device's own identity and key.
 */
struct coap_serve {
	const struct carrier_options *o;
	coap_address_t server;		/* as it was resolved last */
	coap_bin_const_t key;
	bool called;			/* something came: the caller takes it back */
};

/* s stays where it is as long as the context. */
int coap_serve(struct coap_serve *s, coap_context_t *context, const struct carrier_options *o,
	       struct err *e);

/* NULL and *n 0 when it is absent. */
const uint8_t *pdu_option(const coap_pdu_t *pdu, coap_option_num_t number, size_t *n);
bool pdu_number(const coap_pdu_t *pdu, coap_option_num_t which, uint32_t *out);

#endif
