/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "device/fleet.h"

/* ---- sessions: at most --sessions at once, the one longest unused goes first ---- */

static void unlink_session(struct sim *s)
{
	struct fleet *f = s->fleet;
	uint32_t *before = s->older == SIM_NONE ? &f->oldest : &f->sims[s->older].newer;
	uint32_t *after = s->newer == SIM_NONE ? &f->newest : &f->sims[s->newer].older;

	*before = s->newer;
	*after = s->older;
	s->older = s->newer = SIM_NONE;
	f->sessions--;
}

static void link_newest(struct sim *s)
{
	struct fleet *f = s->fleet;

	s->older = f->newest;
	s->newer = SIM_NONE;
	if (f->newest == SIM_NONE)
		f->oldest = s->n;
	else
		f->sims[f->newest].newer = s->n;
	f->newest = s->n;
	f->sessions++;
}

/* The observation went with the session: it is made again when there is a new one. */
static void forget(struct sim *s)
{
	s->watch = 0;
	s->agent.observing = false;
}

/*
 * Whoever waits for an answer keeps its session: what is closed costs nobody a message. idle:
 * and whoever has an update under way, which may be pushed to it.
 */
static void close_some(struct fleet *f, const struct sim *for_whom, uint32_t max, bool idle)
{
	uint32_t at = f->oldest;

	while (f->sessions >= max && at != SIM_NONE) {
		struct sim *s = &f->sims[at];

		at = s->newer;
		if (s == for_whom || s->packet || (idle && s->agent.offer))
			continue;
		unlink_session(s);
		dtls_end_free(s->dtls);
		s->dtls = NULL;
		forget(s);
		f->sessions_closed++;
	}
}

static void make_room(struct fleet *f, const struct sim *for_whom)
{
	uint32_t max = f->o->sessions ? (uint32_t)f->o->sessions : SESSIONS_DEFAULT;

	close_some(f, for_whom, max, true);
	close_some(f, for_whom, max, false);
}

static void use(struct sim *s)
{
	if (!s->dtls || s->fleet->newest == s->n)
		return;
	unlink_session(s);
	link_newest(s);
}

void sim_end_session(struct sim *s)
{
	forget(s);
	if (!s->dtls)
		return;
	unlink_session(s);
	dtls_end_free(s->ended);
	s->ended = s->dtls;
	s->dtls = NULL;
}

void sim_net_free(struct sim *s)
{
	dtls_end_free(s->dtls);
	dtls_end_free(s->ended);
}

typedef struct dtls_end *(*opener)(struct dtls *d, uint32_t endpoint, const char *identity,
				   const uint8_t key[DTLS_KEY_SIZE]);

static bool open_session(struct sim *s, opener how)
{
	struct fleet *f = s->fleet;
	uint8_t key[DTLS_KEY_SIZE];

	make_room(f, s);
	if (fleet_key(&f->carrier, s->agent.id, key) == 0)
		s->dtls = how(s->net->dtls, s->n, s->agent.id, key);
	explicit_bzero(key, sizeof(key));
	if (s->dtls)
		link_newest(s);
	return s->dtls != NULL;
}

bool sim_secure(struct sim *s)
{
	if (!s->net->dtls)
		return true;
	use(s);
	return s->dtls || open_session(s, dtls_connect);
}

void sim_send(struct sim *s, const void *p, size_t n)
{
	if (s->dtls)
		dtls_send(s->dtls, p, n);
	else if (!s->net->dtls)
		fan_send(s->net->fan, s->n, p, n);
}

/* ---- what comes ---- */

static void send_empty(struct sim *s, enum mc_kind k, uint16_t mid)
{
	uint8_t p[4];

	sim_send(s, p, mc_write_empty(p, sizeof(p), k, mid));
}

/* Repeated calls are answered anew: the agent does each of them once. */
static void take_call(struct sim *s, const struct mc_call *m)
{
	struct fleet *f = s->fleet;
	struct agent_answer r = { .status = 402, .max_age = -1 };
	uint8_t packet[MC_PACKET_MAX];
	struct agent_call c;
	size_t n;

	f->calls++;
	arena_reset(&f->call_mem);
	buf_reset(&f->call_body);
	mc_to_call(&c, m);
	if (!m->bad_option)
		agent_called(&s->agent, &f->call_mem, &c, &r, &f->call_body, f->now);
	n = mc_write_answer(packet, sizeof(packet), m, &r, buf_slice(&f->call_body), ++s->mid);
	if (n > 0)
		sim_send(s, packet, n);
	if (!s->packet)
		sim_step(s);
}

static void take_message(void *ctx, uint32_t n, struct slice datagram)
{
	struct net *net = ctx;
	struct fleet *f = net->fleet;
	struct sim *s = &f->sims[n];
	struct mc_awaited w = {
		.waits = s->packet, .mid = s->mid, .token = s->token, .watch = s->watch
	};
	struct mc_call call;
	enum mc_meaning what;
	struct mc_in m;

	if (s->over)
		return;
	if (mc_read_call(&call, datagram) == 0) {
		take_call(s, &call);
		return;
	}
	if (mc_read(&m, datagram) != 0)
		return;
	what = mc_meaning(&m, &w);
	if (what == MC_STRANGE)
		send_empty(s, MC_RST, m.mid);
	else if (m.kind == MC_CON && m.code >> 5 >= 2)
		send_empty(s, MC_ACK, m.mid);
	if (what == MC_LATER) {
		s->acked = true;
		heap_set(&f->heap, n, f->now + SEPARATE_MS);
	} else if (what == MC_ANSWER) {
		sim_answer(s, &m);
	} else if (what == MC_NEWS) {
		agent_notified(&s->agent); /* it looks when the request under way is over */
		if (!s->packet)
			sim_step(s);
	}
}

static void take_record(struct net *net, struct sim *s, struct slice datagram)
{
	bool called = dtls_is_hello(datagram) && (!s->dtls || dtls_ready(s->dtls));

	/* the server has no session with this device any more, and calls */
	if (called && !s->over) {
		sim_end_session(s);
		if (!open_session(s, dtls_accept))
			return;
	}
	use(s);
	if (s->dtls && !dtls_feed(s->dtls, datagram, take_message, net)) {
		if (s->packet)
			sim_unanswered(s);
		else
			sim_end_session(s);
	}
}

void sim_got(void *ctx, uint32_t n, struct slice datagram)
{
	struct net *net = ctx;
	struct fleet *f = net->fleet;
	struct sim *s = &f->sims[n];

	/* the address is another device's on the other port */
	if (s->net != net)
		return;
	if (fleet_loses(f))
		return;
	if (!net->dtls)
		take_message(net, n, datagram);
	else
		take_record(net, s, datagram);
	dtls_end_free(s->ended);
	s->ended = NULL;
}
