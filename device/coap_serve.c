/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/coap_serve.h"

#include <string.h>

#include "base/text.h"
#include "device/minicoap.h"

#define SZX_MAX 6

const uint8_t *pdu_option(const coap_pdu_t *pdu, coap_option_num_t number, size_t *n)
{
	coap_opt_iterator_t it;
	coap_opt_t *o = coap_check_option(pdu, number, &it);

	*n = o ? coap_opt_length(o) : 0;
	return o ? coap_opt_value(o) : NULL;
}

bool pdu_number(const coap_pdu_t *pdu, coap_option_num_t which, uint32_t *out)
{
	size_t n;
	const uint8_t *p = pdu_option(pdu, which, &n);

	*out = p && n <= 4 ? coap_decode_var_bytes(p, n) : 0;
	return p && n <= 4;
}

static bool same_host(const coap_address_t *a, const coap_address_t *b)
{
	if (a->addr.sa.sa_family != b->addr.sa.sa_family)
		return false;
	if (a->addr.sa.sa_family == AF_INET)
		return a->addr.sin.sin_addr.s_addr == b->addr.sin.sin_addr.s_addr;
	return memcmp(&a->addr.sin6.sin6_addr, &b->addr.sin6.sin6_addr, 16) == 0;
}

static bool may_call(const struct coap_serve *s, const coap_session_t *session)
{
	return coap_session_get_type(session) == COAP_SESSION_TYPE_CLIENT ||
	       coap_session_get_proto(session) == COAP_PROTO_DTLS ||
	       same_host(coap_session_get_addr_remote(session), &s->server);
}

static enum method method_of(coap_pdu_code_t code)
{
	static const enum method methods[] = { METHOD_COUNT, METHOD_GET, METHOD_POST, METHOD_PUT,
					       METHOD_DELETE };

	return code < sizeof(methods) / sizeof(methods[0]) ? methods[code] : METHOD_COUNT;
}

/* The request's parts; texts in path and query. False: it makes no sense. */
static bool take(struct agent_call *c, const coap_pdu_t *pdu, char *path, char *query, size_t cap)
{
	coap_string_t *p = coap_get_uri_path(pdu), *q = coap_get_query(pdu);
	const uint8_t *bytes;
	uint32_t v;
	size_t n;
	bool ok = p && p->length < cap - 1 && (!q || q->length < cap);

	if (ok) {
		path[0] = '/';
		ok = text_copy_slice(path + 1, cap - 1, slice_of(p->s, p->length)) == 0 &&
		     text_copy_slice(query, cap, slice_of(q ? q->s : NULL, q ? q->length : 0)) == 0;
	}
	coap_delete_string(p);
	coap_delete_string(q);
	*c = (struct agent_call){ .method = method_of(coap_pdu_get_code(pdu)),
				  .path = path,
				  .query = query };
	if (coap_get_data(pdu, &n, &bytes))
		c->body = slice_of(bytes, n);
	c->block1 = pdu_number(pdu, COAP_OPTION_BLOCK1, &v);
	c->num = v >> 4;
	c->more = v & 8;
	c->szx = v & 7;
	if (pdu_number(pdu, COAP_OPTION_SIZE1, &v))
		c->size = v;
	return ok && c->szx <= SZX_MAX;
}

static void put_number(coap_pdu_t *pdu, coap_option_num_t n, uint32_t v)
{
	uint8_t b[4];

	coap_add_option(pdu, n, coap_encode_var_safe(b, sizeof(b), v), b);
}

static void reply(coap_pdu_t *pdu, const struct agent_call *c, const struct agent_answer *r,
		  struct slice body)
{
	if (r->status == 0) { /* a response without a code is not sent */
		coap_pdu_set_type(pdu, COAP_MESSAGE_NON);
		return;
	}
	coap_pdu_set_code(pdu, (coap_pdu_code_t)mc_code(r->status));
	if (body.n > 0)
		put_number(pdu, COAP_OPTION_CONTENT_FORMAT, MEDIA_CBOR);
	if (r->max_age >= 0)
		put_number(pdu, COAP_OPTION_MAXAGE, (uint32_t)r->max_age);
	if (c->block1 && r->status < 300)
		put_number(pdu, COAP_OPTION_BLOCK1, c->num << 4 | (c->more ? 8u : 0u) | c->szx);
	if (body.n > 0)
		coap_add_data(pdu, body.n, body.p);
}

static void on_request(coap_resource_t *resource, coap_session_t *session,
		       const coap_pdu_t *request, const coap_string_t *q, coap_pdu_t *response)
{
	struct coap_serve *s = coap_resource_get_userdata(resource);
	struct buf body = BUF_INIT(MC_PACKET_MAX);
	struct agent_answer r = { .status = 403, .max_age = -1 };
	char path[64], query[64];
	struct agent_call c;

	(void)q;
	if (!take(&c, request, path, query, sizeof(path))) {
		r.status = 400;
	} else if (may_call(s, session)) {
		s->o->called(s->o->called_ctx, &c, &r, &body);
		s->called = true;
	}
	reply(response, &c, &r, buf_slice(&body));
	buf_free(&body);
}

static const coap_bin_const_t *key_of(coap_bin_const_t *identity, coap_session_t *session,
				      void *arg)
{
	const struct coap_serve *s = arg;
	struct slice is = slice_of(identity->s, identity->length);

	(void)session;
	return slice_eq_ct(is, slice_str(s->o->identity)) ? &s->key : NULL;
}

static int open_endpoint(struct coap_serve *s, coap_context_t *context, struct err *e)
{
	bool dtls = strcmp(s->o->server.scheme, "coaps") == 0;
	coap_dtls_spsk_t psk = { .version = COAP_DTLS_SPSK_SETUP_VERSION,
				 .validate_id_call_back = key_of,
				 .id_call_back_arg = s };
	coap_address_t at;

	s->key = (coap_bin_const_t){ .length = s->o->psk_n, .s = s->o->psk };
	psk.psk_info.key = s->key;
	coap_address_init(&at);
	at.addr.sa.sa_family = s->server.addr.sa.sa_family;
	at.size = s->server.size;
	if (at.addr.sa.sa_family == AF_INET)
		at.addr.sin.sin_port = htons(s->o->endpoint);
	else
		at.addr.sin6.sin6_port = htons(s->o->endpoint);
	if ((dtls && !coap_context_set_psk2(context, &psk)) ||
	    !coap_new_endpoint(context, &at, dtls ? COAP_PROTO_DTLS : COAP_PROTO_UDP))
		return err_set(e, ERR_IO, "--endpoint %u: it cannot be listened on",
			       s->o->endpoint);
	return 0;
}

int coap_serve(struct coap_serve *s, coap_context_t *context, const struct carrier_options *o,
	       struct err *e)
{
	coap_resource_t *any = coap_resource_unknown_init2(on_request, 0);

	if (!any)
		return err_set(e, ERR_NO_MEMORY, "CoAP resource");
	s->o = o;
	coap_resource_set_userdata(any, s);
	for (int m = COAP_REQUEST_GET; m <= COAP_REQUEST_DELETE; m++)
		coap_register_request_handler(any, (coap_request_t)m, on_request);
	coap_add_resource(context, any);
	return o->endpoint ? open_endpoint(s, context, e) : 0;
}
