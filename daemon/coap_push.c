/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/coap_push.h"

/*
 * Calls of ours to devices, as the core orders them: over the session a device has here, else
 * to its address. One at a time a peer (NSTART), each request confirmable and under a token of
 * its own; only what comes from that peer under that token is its answer. At most IPC_SENDS_MAX
 * calls of some 3 KiB, and one datagram each that is not acknowledged yet: bytes of an object
 * stay where they are mapped.
 */
#define ANSWER_MS 60000 /* for an answer behind its acknowledgement */
#define SPAN_MS 93000 /* a request and its retransmissions: RFC 7252 4.8.2 MAX_TRANSMIT_WAIT */
#define LIFE_MS 3600000 /* of a transfer: others want their turn, and it may go on after it */
#define TOKEN_SIZE 8

/* ---- results ---- */

static void say(struct coap_server *cs, const uint8_t tag[IPC_SEND_TAG], uint16_t status,
		const struct push_flow *f)
{
	struct ipc_sent sent = { .status = status, .media = MEDIA_NONE };

	memcpy(sent.tag, tag, sizeof(sent.tag));
	if (f) {
		sent.offset = f->offset;
		sent.body = slice_of(f->answer, f->answer_n);
		if (f->answer_n)
			sent.media = media_of(cs, f->format);
	}
	front_sent(cs->front, &sent);
}

static void push_free(struct push *c)
{
	struct coap_peer *p = c->peer;
	struct coap_server *cs = p->cs;
	struct push **at = &p->pushes;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	p->n_pushes--;
	if (c->begun)
		confirmable_forget(p, c->mid);
	if (c->object)
		front_object_unref(cs->front, c->object);
	link_del(&c->all);
	cs->n_pushes--;
	free(c);
}

static void push_end(struct push *c, uint16_t status)
{
	say(c->peer->cs, c->tag, status, &c->flow);
	push_free(c);
}

/* Half an answer is none. */
static void push_fail(struct push *c, uint16_t status)
{
	c->flow.answer_n = 0;
	push_end(c, status);
}

/* ---- requests ---- */

static uint8_t code_of(enum method m)
{
	static const uint8_t codes[METHOD_COUNT] = {
		[METHOD_GET] = 1, [METHOD_HEAD] = 1,  [METHOD_POST] = 2,
		[METHOD_PUT] = 3, [METHOD_PATCH] = 7, [METHOD_DELETE] = 4,
	};

	return codes[m];
}

/* Each part between separators that is not empty, as an option of its own. */
static void put_parts(struct wire_out *o, enum wire_option option, const char *s, const char *stop)
{
	while (*s) {
		size_t n;

		s += strspn(s, stop);
		n = strcspn(s, stop);
		if (n)
			wire_put(o, option, slice_of(s, n));
		s += n;
	}
}

static void put_media(struct wire_out *o, enum wire_option option, int format)
{
	if (format >= 0)
		wire_put_uint(o, option, (uint32_t)format);
}

static void put_token(uint8_t out[TOKEN_SIZE], uint64_t token)
{
	memcpy(out, &token, TOKEN_SIZE);
}

static void write_request(struct push *c, struct wire_out *o)
{
	struct coap_server *cs = c->peer->cs;
	struct push_flow *f = &c->flow;
	struct push_part part = push_flow_next(f);
	const uint8_t *bytes = c->object ? c->object->map : c->body.p;
	uint8_t token[TOKEN_SIZE];

	put_token(token, c->token);
	wire_begin(o, WIRE_CON, code_of(c->method), c->mid, token, TOKEN_SIZE);
	put_parts(o, WIRE_URI_PATH, c->path, "/");
	if (f->size > 0)
		put_media(o, WIRE_CONTENT_FORMAT, content_format_of(cs, c->content_format));
	put_parts(o, WIRE_URI_QUERY, c->query, "&");
	put_media(o, WIRE_ACCEPT, content_format_of(cs, c->accept));
	if (part.block2.set)
		wire_put_block(o, WIRE_BLOCK2, &part.block2);
	if (part.block1.set)
		wire_put_block(o, WIRE_BLOCK1, &part.block1);
	if (part.block1.set && part.size1)
		wire_put_uint(o, WIRE_SIZE1, (uint32_t)f->size);
	if (f->echo_n)
		wire_put(o, WIRE_ECHO, slice_of(f->echo, f->echo_n));
	wire_end(o, f->n ? slice_of(bytes + f->offset, f->n) : slice_of(NULL, 0));
}

/* False: it cannot go out, and is over. */
static bool transmit(struct push *c)
{
	struct coap_peer *p = c->peer;
	struct wire_out *o = &p->cs->out;

	if (c->object && c->object->withdrawn) {
		push_fail(c, 410);
		return false;
	}
	c->begun = true;
	c->mid = peer_mid(p);
	c->token++;
	write_request(c, o);
	if (o->failed) {
		push_fail(c, 502);
		return false;
	}
	/* the object may be withdrawn before the turn ends: its bytes are copied */
	peer_send(p, o, false);
	front_session_touch(p->cs->front, p->session);
	/* without memory for it the answer may come all the same, or until is over */
	(void)confirmable_add(p, o, c->mid, FOR_PUSH);
	c->until = p->cs->now + SPAN_MS + ANSWER_MS;
	return true;
}

static bool begin(struct push *c)
{
	c->ends = c->peer->cs->now + LIFE_MS;
	return transmit(c);
}

void pushes_go(struct coap_peer *p)
{
	while (p->pushes && !p->pushes->begun && peer_open(p) && !begin(p->pushes))
		;
}

/* ---- orders ---- */

static bool reachable(const struct udp_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nowhere[16];

	if (memcmp(a->ip, mapped, sizeof(mapped)) == 0)
		return a->ip[12] > 0 && a->ip[12] < 224 && !port_reflects(a->port);
	return a->ip[0] != 0xff && memcmp(a->ip, nowhere, 16) != 0 && !port_reflects(a->port);
}

/* Whom to call; NULL: nobody, and why. */
static struct coap_peer *peer_for(struct coap_server *cs, const struct ipc_send *s, uint16_t *why)
{
	struct udp_addr a = { .port = s->port };
	struct coap_peer *p = s->session ? peer_of_session(cs, s->session) : NULL;

	*why = 0;
	/* a session may be left behind by a device that started anew */
	if (p && (!p->deaf || s->port == 0))
		return p;
	memcpy(a.ip, s->ip, sizeof(a.ip));
	if (!reachable(&a))
		return NULL;
	if (s->identity[0] == '\0')
		return plain_call(cs, &a, why);
	return cs->dtls ? dtls_call(cs->dtls, &a, s->identity, why) : NULL;
}

static struct push *push_new(struct coap_peer *p, const struct ipc_send *s)
{
	size_t path = strlen(s->path) + 1;
	struct push *c = calloc(1, sizeof(*c) + path + s->body.n);

	if (!c)
		return NULL;
	c->peer = p;
	c->method = s->method;
	c->content_format = s->content_format;
	c->accept = s->accept;
	memcpy(c->tag, s->tag, sizeof(c->tag));
	memcpy(c->path, s->path, path);
	memcpy(c->query, s->query, sizeof(c->query));
	if (s->body.n)
		memcpy(c->path + path, s->body.p, s->body.n);
	c->body = slice_of(c->path + path, s->body.n);
	random_bytes(&c->token, sizeof(c->token));
	return c;
}

static void enqueue(struct push *c)
{
	struct coap_peer *p = c->peer;
	struct push **at = &p->pushes;

	while (*at)
		at = &(*at)->next;
	*at = c;
	p->n_pushes++;
	link_add(&p->cs->pushes, &c->all);
	p->cs->n_pushes++;
}

/* -1: it is on its way, else the status that it ends with. */
static int order(struct coap_server *cs, const struct ipc_send *s)
{
	struct front_object *object = NULL;
	struct coap_peer *p;
	struct push *c;
	uint16_t why;

	if (cs->n_pushes >= IPC_SENDS_MAX)
		return 503;
	if (s->has_object && !(object = front_object_find(cs->front, &s->object)))
		return 410;
	p = peer_for(cs, s, &why);
	if (!p)
		return why;
	c = p->n_pushes < IPC_SENDS_A_PEER ? push_new(p, s) : NULL;
	if (!c)
		return 503;
	if (!push_flow_init(&c->flow, object ? object->size : s->body.n, s->offset, object)) {
		free(c);
		return 502;
	}
	c->object = object;
	if (object)
		front_object_ref(object);
	enqueue(c);
	pushes_go(p);
	return -1;
}

void pushes_order(void *ctx, const struct ipc_send *s)
{
	struct coap_server *cs = ctx;
	int status;

	cs->now = clock_mono_ms();
	status = order(cs, s);
	if (status >= 0)
		say(cs, s->tag, (uint16_t)status, NULL);
}

/* ---- answers ---- */

static bool is_answer_to(const struct push *c, const struct wire_msg *m)
{
	uint8_t token[TOKEN_SIZE];

	if (!c || !c->begun || m->tkl != TOKEN_SIZE || (m->type == WIRE_ACK && m->mid != c->mid))
		return false;
	put_token(token, c->token);
	return slice_eq_ct(slice_of(token, TOKEN_SIZE), slice_of(m->token, TOKEN_SIZE));
}

void push_answered(struct coap_peer *p, const struct wire_msg *m)
{
	struct push *c = p->pushes;

	if (!is_answer_to(c, m)) {
		/* our acknowledgement got lost; anything else nobody asked for */
		if (m->type == WIRE_CON && p->heard && m->mid == p->heard_mid)
			peer_send_empty(p, WIRE_ACK, m->mid);
		else
			p->cs->dropped++;
		return;
	}
	confirmable_forget(p, c->mid);
	p->deaf = false;
	if (m->type == WIRE_CON) {
		p->heard = true;
		p->heard_mid = m->mid;
		peer_send_empty(p, WIRE_ACK, m->mid);
	}
	if (push_flow_answer(&c->flow, m) == FLOW_DONE)
		push_end(c, c->flow.status);
	else
		(void)transmit(c);
	pushes_go(p);
}

void push_settled(struct coap_peer *p, uint16_t mid, bool ok)
{
	struct push *c = p->pushes;

	if (!c || !c->begun || c->mid != mid)
		return;
	p->deaf = !ok;
	if (ok) {
		c->until = p->cs->now + ANSWER_MS;
		return;
	}
	push_fail(c, 0);
	pushes_go(p);
}

/* ---- ends ---- */

void pushes_end(struct coap_peer *p)
{
	while (p->pushes)
		push_fail(p->pushes, 0);
}

/* What is over, and one that waits where nothing is under way; others may go with neither. */
static void look_at(struct push *c)
{
	struct coap_peer *p = c->peer;
	int64_t now = p->cs->now;

	if (c->object && c->object->withdrawn)
		push_fail(c, 410);
	else if (c->begun && (c->until <= now || c->ends <= now))
		push_fail(c, 0);
	else if (p->pushes == c && !c->begun && peer_open(p))
		(void)begin(c);
}

void pushes_tick(struct coap_server *cs)
{
	struct link *next;

	for (struct link *l = cs->pushes.next; l != &cs->pushes; l = next) {
		next = l->next;
		look_at(LINK_OF(l, struct push, all));
	}
}
