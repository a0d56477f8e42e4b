/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/fleet.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* ---- where a simulated device's images go: into a hash ---- */

static int sink_begin(void *ctx, const struct agent_image *i, uint64_t *offset, struct err *e)
{
	struct sim *s = ctx;

	(void)i;
	*offset = 0;
	sha256_free(s->hash);
	s->hash = sha256_new();
	return s->hash ? 0 : err_set(e, ERR_NO_MEMORY, "SHA-256");
}

static int sink_add(void *ctx, struct slice data, struct err *e)
{
	struct sim *s = ctx;

	return sha256_add(s->hash, data) == 0 ? 0 : err_set(e, ERR_NO_MEMORY, "SHA-256");
}

static int sink_end(void *ctx, struct digest *out, struct err *e)
{
	struct sim *s = ctx;
	int rc = sha256_end(s->hash, out);

	sha256_free(s->hash);
	s->hash = NULL;
	return rc == 0 ? 0 : err_set(e, ERR_NO_MEMORY, "SHA-256");
}

static int first_component(struct sim *s, const struct options *o)
{
	struct component c = { .has_sequence = o->has_sequence, .sequence = o->sequence };

	if (!o->version && !o->has_sequence)
		return 0;
	if (o->version && text_copy(c.version, sizeof(c.version), o->version) != 0)
		return -1;
	return agent_component(&s->agent, &c);
}

static const struct agent_plan *plan_of(const struct fleet *f, uint32_t n)
{
	return &f->plans[fleet_mode(f->o, n)][fleet_behaviour(f->o, n)][fleet_secure(f->o, n)];
}

int sim_init(struct fleet *f, uint32_t n, struct err *e)
{
	struct sim *s = &f->sims[n];
	struct agent_sink sink = {
		.ctx = s, .begin = sink_begin, .add = sink_add, .end = sink_end
	};
	char id[NAME_TEXT];

	s->fleet = f;
	s->net = &f->nets[fleet_secure(f->o, n)];
	s->n = n;
	s->older = s->newer = SIM_NONE;
	s->gathered = BUF_INIT(AGENT_MANIFEST_MAX * 2);
	if (fleet_id(f->o, n, id) != 0 ||
	    agent_init(&s->agent, plan_of(f, n), &sink, id, f->boot + n,
		       (uint32_t)fleet_mix(f->o->seed + n), e) != 0 ||
	    first_component(s, f->o) != 0)
		return err_set(e, ERR_INVALID, "--prefix or --version is too long");
	s->mid = (uint16_t)fleet_mix(f->o->seed ^ n);
	s->token = f->boot ^ fleet_mix(n);
	return 0;
}

void sim_free(struct sim *s)
{
	agent_free(&s->agent);
	sha256_free(s->hash);
	sim_net_free(s);
	free(s->packet);
	buf_free(&s->gathered);
}

/* ---- one exchange ---- */

static void put_log(const struct sim *s, const char *what)
{
	FILE *to = s->fleet->log;

	if (!to || s->rq.counter == 0)
		return;
	if (fprintf(to, "%s %s %" PRIu64 " %" PRIu64 " %s\n", what, s->agent.id, s->agent.boot,
		    s->rq.counter, agent_kind_word(&s->agent, s->rq.kind)) < 0 ||
	    fflush(to) != 0)
		err_set(&s->fleet->trouble, ERR_IO, "--log cannot be written");
}

static void transmit(struct sim *s)
{
	struct fleet *f = s->fleet;
	int64_t wait = (int64_t)ACK_TIMEOUT_MS << s->tries;

	if (!sim_secure(s))
		err_set(&f->trouble, ERR_NO_MEMORY, "DTLS session");
	else if (s->dtls)
		dtls_tick(s->dtls);
	sim_send(s, s->packet, s->packet_n);
	heap_set(&f->heap, s->n, f->now + wait + (int64_t)(fleet_mix(f->random) % 1000));
}

static void begin(struct sim *s, struct slice body)
{
	uint8_t packet[MC_PACKET_MAX];
	struct mc_out m;

	mc_from_agent(&m, &s->rq, body);
	m.mid = ++s->mid;
	m.token = ++s->token;
	m.echo = slice_of(s->echo, s->echo_n);
	if (s->next_block > 0) {
		m.block2 = true;
		m.num = s->next_block;
		m.szx = mc_szx(1024);
		m.etag.n = 0;
		m.observe = -1;
	}
	s->packet_n = mc_write(packet, sizeof(packet), &m);
	free(s->packet);
	s->packet = malloc(s->packet_n ? s->packet_n : 1);
	if (!s->packet || s->packet_n == 0) {
		err_set(&s->fleet->trouble, ERR_TOO_LARGE, "%s: a request does not fit",
			s->agent.id);
		return;
	}
	memcpy(s->packet, packet, s->packet_n);
	s->tries = 0;
	s->acked = false;
	s->began = s->fleet->now;
	put_log(s, "sent");
	transmit(s);
}

static void ask(struct sim *s)
{
	struct fleet *f = s->fleet;
	struct err e = { 0 };

	arena_reset(&f->mem);
	buf_reset(&f->body);
	if (agent_request(&s->agent, &f->mem, MEDIA_CBOR, &s->rq, &f->body, f->now, &e) != 0)
		f->trouble = e;
	else
		begin(s, buf_slice(&f->body));
}

static void drop_packet(struct sim *s)
{
	free(s->packet);
	s->packet = NULL;
	heap_remove(&s->fleet->heap, s->n);
}

/* A reboot forgets the session too. */
static void boot(struct sim *s)
{
	sim_end_session(s);
	s->echo_n = 0;
	agent_booted(&s->agent, s->agent.boot + s->fleet->n);
}

void sim_step(struct sim *s)
{
	struct fleet *f = s->fleet;
	int64_t wake;

	while (!s->over && !s->packet) {
		enum agent_todo todo = agent_next(&s->agent, f->now, &wake);

		if (todo == TODO_SEND) {
			ask(s);
			return;
		}
		if (todo == TODO_WAIT) {
			heap_set(&f->heap, s->n, wake);
			return;
		}
		if (todo == TODO_INSTALL) {
			agent_installed(&s->agent, true, NULL);
		} else if (todo == TODO_REBOOT) {
			boot(s);
		} else {
			s->over = true;
			f->running--;
			heap_remove(&f->heap, s->n);
		}
	}
}

static const struct agent_reply no_answer = { .max_age = -1 };

static void answered(struct sim *s, const struct agent_reply *r)
{
	struct fleet *f = s->fleet;

	if (r->status >= 200 && r->status < 300)
		put_log(s, "acked");
	if (r->status == 0)
		sim_end_session(s); /* a new one finds what is broken */
	drop_packet(s);
	arena_reset(&f->mem);
	agent_reply(&s->agent, &f->mem, MEDIA_CBOR, r, f->now);
	buf_reset(&s->gathered);
	s->next_block = 0;
	sim_step(s);
}

void sim_unanswered(struct sim *s)
{
	answered(s, &no_answer);
}

void sim_due(struct sim *s)
{
	heap_remove(&s->fleet->heap, s->n);
	if (!s->packet) {
		sim_step(s);
		return;
	}
	if (s->tries >= RETRANSMIT_MAX || s->acked) {
		sim_unanswered(s);
		return;
	}
	s->tries++;
	s->fleet->retransmitted++;
	transmit(s);
}

/* ---- what comes ---- */

/* More blocks of a document: ask for the next. True when it is not whole yet. */
static bool gather(struct sim *s, const struct mc_in *m)
{
	if (s->rq.piece || !m->has_block2 || m->code != (2 << 5 | 5) || (!m->more && m->num == 0))
		return false;
	if (m->num != s->next_block || m->szx != mc_szx(1024))
		return true; /* not what was asked for: it is asked for again */
	buf_add_slice(&s->gathered, m->payload);
	if (!m->more || s->gathered.failed)
		return false;
	s->next_block = m->num + 1;
	drop_packet(s);
	begin(s, slice_of(NULL, 0));
	return true;
}

void sim_answer(struct sim *s, const struct mc_in *m)
{
	struct agent_reply r;

	if (m->code == (4 << 5 | 1) && m->echo.n > 0 && m->echo.n <= sizeof(s->echo) &&
	    s->echo_n == 0) {
		memcpy(s->echo, m->echo.p, m->echo.n);
		s->echo_n = (uint8_t)m->echo.n;
		drop_packet(s);
		ask(s);
		return;
	}
	if (gather(s, m))
		return;
	if (s->rq.observe && m->observe)
		s->watch = m->token;
	if (!mc_to_agent(&r, &s->rq, m))
		return;
	if (s->gathered.n > 0)
		r.body = buf_slice(&s->gathered);
	answered(s, &r);
}
