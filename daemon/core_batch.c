/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/core_internal.h"

/*
 * The batch is the commit group: all its requests in one transaction, the
 * replies after the commit. When the database fails under it, it runs once
 * more with writes refused, so that reads are answered and each write gets an error.
 */

/* Room kept for each request still to come, so that it gets an answer at least. */
#define REPLY_LEAST 1024u

int core_batch_init(struct core_batch *b, struct err *e)
{
	b->replies = BUF_INIT(IPC_REPLY_BYTES + IPC_BATCH_MAX * REPLY_LEAST);
	b->grants = calloc(IPC_BATCH_MAX, sizeof(*b->grants));
	b->refused = calloc(IPC_ENTRIES_MAX, sizeof(*b->refused));
	return b->grants && b->refused ? 0 : err_set(e, ERR_NO_MEMORY, "batch");
}

void core_batch_free(struct core_batch *b)
{
	buf_free(&b->replies);
	free(b->grants);
	free(b->refused);
}

/* ---- taking the frame apart ---- */

static int check_entry(const struct core_lane *l, const struct ipc_entry *en, struct err *e)
{
	/* peer credentials exist on the control lane alone: from the network they are forged */
	if (en->type == ENTRY_ADMIT && en->evidence.kind == EVIDENCE_LOCAL &&
	    l->lane != LANE_CONTROL)
		return err_set(e, ERR_FORBIDDEN, "forged: local credentials from the network");
	if (en->type == ENTRY_SENT && l->lane != LANE_NETWORK)
		return err_set(e, ERR_FORBIDDEN, "forged: nobody calls devices from here");
	return 0;
}

static int decode(struct core_batch *b, const struct core_lane *l, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	unsigned requests = 0;

	b->number = rd_u32(&r);
	b->n_entries = rd_u16(&r);
	if (r.failed || b->n_entries > IPC_ENTRIES_MAX)
		return err_set(e, ERR_MALFORMED, "batch: head");
	memset(b->admitted, 0, sizeof(b->admitted));
	for (unsigned i = 0; i < b->n_entries; i++) {
		if (!ipc_get_entry(&r, &b->entries[i]))
			return err_set(e, ERR_MALFORMED, "batch: entry %u of %u", i, b->n_entries);
		if (check_entry(l, &b->entries[i], e) != 0)
			return -1;
		requests += b->entries[i].type == ENTRY_REQUEST;
	}
	if (requests > IPC_BATCH_MAX)
		return err_set(e, ERR_MALFORMED, "batch: %u requests", requests);
	return rd_done(&r) ? 0 : err_set(e, ERR_MALFORMED, "batch: bytes behind its entries");
}

/* ---- one request ---- */

static void put_reply(struct core_batch *b, const struct response *rs)
{
	b->reply_at[b->n_replies++] = b->replies.n;
	ipc_put_response(&b->replies, rs);
	b->reply_at[b->n_replies] = b->replies.n;
}

static bool reply_fits(const struct core_batch *b)
{
	size_t n = b->reply_at[b->n_replies] - b->reply_at[b->n_replies - 1];

	return !b->replies.failed && n <= IPC_BATCH_BYTES && b->replies.n <= IPC_REPLY_BYTES;
}

static void unreply(struct core_batch *b)
{
	b->replies.n = b->reply_at[--b->n_replies];
	b->replies.failed = false;
}

static void answer_unavailable(struct core *c, const struct request *rq, enum err_code why)
{
	struct response rs;

	service_unavailable(rq, why, &c->arena, &rs);
	rs.id = rq->id;
	put_reply(&c->batch, &rs);
}

/* An answer that names bytes needs them at hand: 1 they are, 0 their copy is being made. */
static bool object_at_hand(struct core *c, struct core_lane *l, const struct response *rs,
			   const struct outcome *oc)
{
	if (!rs->has_object)
		return true;
	if (!oc->has_grant && !object_set_has(&l->objects, &rs->object))
		return false;
	return core_object_ready(c, l, &rs->object);
}

/* -1: the transaction is gone, run the batch again. */
static int one_request(struct core *c, struct core_lane *l, const struct request *rq, struct err *e)
{
	struct core_batch *b = &c->batch;
	struct response rs;
	struct outcome oc = { .fx = &c->fx };
	bool keep = false;

	effects_clear(&c->fx);
	store_handler_begin(c->store);
	service_request(c->service, l->lane, rq, &c->now, &c->arena, &rs, &oc, &keep);
	rs.id = rq->id;
	put_reply(b, &rs);
	if (!reply_fits(b)) {
		keep = false;
		unreply(b);
		answer_unavailable(c, rq, ERR_BUSY);
	} else if (!object_at_hand(c, l, &rs, &oc)) {
		keep = false;
		unreply(b);
		answer_unavailable(c, rq, ERR_BUSY);
		c->stats.refused_busy++;
	}
	if (store_handler_end(c->store, keep, e) != 0 || store_batch_broken(c->store))
		return -1;
	if (keep && oc.has_grant)
		b->grants[b->n_grants++] = oc.grant;
	if (keep)
		core_effects_keep(c);
	arena_reset(&c->arena);
	return 0;
}

/* What became of a call to a device. -1: the transaction is gone, run the batch again. */
static int one_sent(struct core *c, const struct ipc_sent *s, struct err *e)
{
	struct err why = { 0 };

	effects_clear(&c->fx);
	store_handler_begin(c->store);
	int rc = service_sent(c->service, s, &c->now, &c->arena, &c->fx, &why);
	if (rc < 0)
		log_warn("the result of a call: %s", log_safe(why.text));
	if (store_handler_end(c->store, rc >= 0, e) != 0 || store_batch_broken(c->store))
		return -1;
	if (rc >= 0)
		core_effects_keep(c);
	arena_reset(&c->arena);
	return 0;
}

static void admit(struct core *c, struct core_lane *l, unsigned i)
{
	struct core_batch *b = &c->batch;
	const struct ipc_entry *en = &b->entries[i];

	if (b->admitted[i])
		return;
	b->admitted[i] =
		service_admit(c->service, l->lane, en->session, &en->evidence, &c->now) == 1;
	if (!b->admitted[i])
		b->refused[b->n_refused++] = en->session;
}

/* ---- the transaction ---- */

static void forget_results(struct core *c)
{
	struct core_batch *b = &c->batch;

	buf_reset(&b->replies);
	b->reply_at[0] = 0;
	b->n_replies = b->n_grants = b->n_refused = b->n_new_objects = 0;
	c->n_effects = 0;
	arena_reset(&c->arena);
}

static int run_entries(struct core *c, struct core_lane *l, struct err *e)
{
	const struct core_batch *b = &c->batch;

	for (unsigned i = 0; i < b->n_entries; i++) {
		const struct ipc_entry *en = &b->entries[i];
		if (en->type == ENTRY_ADMIT)
			admit(c, l, i);
		else if (en->type == ENTRY_REQUEST && one_request(c, l, &en->request, e) != 0)
			return -1;
		else if (en->type == ENTRY_SENT && one_sent(c, &en->sent, e) != 0)
			return -1;
	}
	return 0;
}

static int commit(struct core *c, struct err *e)
{
	bool dirty = store_batch_dirty(c->store);
	int64_t began = clock_mono_us(), took;

	if (store_batch_commit(c->store, e) != 0)
		return -1;
	if (!dirty)
		return 0;
	took = clock_mono_us() - began;
	c->stats.commits++;
	c->stats.commit_us_total += (uint64_t)took;
	if ((uint64_t)took > c->stats.commit_us_max)
		c->stats.commit_us_max = (uint64_t)took;
	if (took > CORE_SLOW_COMMIT_US)
		log_warn("commit took ms=%" PRId64 ": the disk is slow", took / 1000);
	core_clock_committed(&c->clock, c->now.wall);
	return 0;
}

static int attempt(struct core *c, struct core_lane *l, struct err *e)
{
	forget_results(c);
	if (store_batch_begin(c->store, e) != 0)
		return -1;
	if (run_entries(c, l, e) == 0 && commit(c, e) == 0)
		return 0;
	store_batch_abandon(c->store);
	return -1;
}

/* Not even reading works: every request gets an error with a retry time. */
static void answer_all_unavailable(struct core *c, enum err_code why)
{
	const struct core_batch *b = &c->batch;

	forget_results(c);
	for (unsigned i = 0; i < b->n_entries; i++)
		if (b->entries[i].type == ENTRY_REQUEST)
			answer_unavailable(c, &b->entries[i].request, why);
}

/*
 * Hardly any request writes and then fails. So the batch runs without savepoints, and when
 * one does, runs again with them; whoever does that all the time makes a batch in
 * CORE_CAREFUL run twice, not every one.
 */
static int attempt_cheaply(struct core *c, struct core_lane *l, struct err *e)
{
	struct core_batch *b = &c->batch;
	bool cheap = b->careful == 0;

	if (!cheap)
		b->careful--;
	store_batch_optimistic(c->store, cheap);
	int rc = attempt(c, l, e);
	store_batch_optimistic(c->store, false);
	if (rc == 0 || !cheap || !store_batch_undo(c->store))
		return rc;
	b->careful = CORE_CAREFUL;
	*e = (struct err){ 0 };
	return attempt(c, l, e);
}

static void execute(struct core *c, struct core_lane *l)
{
	struct err e = { 0 }, again = { 0 };

	if (attempt_cheaply(c, l, &e) == 0) {
		if (store_batch_dirty(c->store))
			core_store_works(c);
		return;
	}
	core_store_failed(c, "batch", &e);
	if (c->stopping)
		return;
	store_refuse_writes(c->store, true);
	if (attempt(c, l, &again) != 0) {
		core_store_failed(c, "batch, writes refused", &again);
		answer_all_unavailable(c, again.code >= ERR_BUSY ? again.code : ERR_IO);
	}
	store_refuse_writes(c->store, false); /* the next batch tries the disk again */
}

/* ---- after the commit ---- */

/* Several frames where the answers are many: each below the protocol's bound. */
static void send_replies(struct core_lane *l, const struct core_batch *b)
{
	struct buf *out = channel_out(l->ch);
	unsigned from = 0;

	do {
		unsigned to = from;
		/* one alone always fits: reply_fits() saw to it */
		while (to < b->n_replies &&
		       b->reply_at[to + 1] - b->reply_at[from] <= IPC_BATCH_BYTES)
			to++;
		size_t mark = ipc_begin(out, FRAME_REPLIES);
		ipc_put_u32(out, b->number);
		ipc_put_u8(out, to == b->n_replies);
		ipc_put_u16(out, (uint16_t)(to - from));
		if (to > from)
			buf_add(out, b->replies.p + b->reply_at[from],
				b->reply_at[to] - b->reply_at[from]);
		ipc_end(out, mark);
		from = to;
	} while (from < b->n_replies);
}

static void close_sessions(struct core *c, struct core_lane *l)
{
	const struct core_batch *b = &c->batch;

	for (unsigned i = 0; i < b->n_entries; i++)
		if (b->entries[i].type == ENTRY_CLOSED)
			service_closed(c->service, l->lane, b->entries[i].session);
}

int core_batch_run(struct core *c, struct core_lane *l, struct slice body, struct err *e)
{
	struct core_batch *b = &c->batch;

	if (decode(b, l, body, e) != 0)
		return -1;
	core_time(c);
	execute(c, l);
	c->batch_at = clock_mono_ms();
	if (c->stopping)
		return 0; /* an fsync failed: nothing of this batch is acknowledged */
	if (b->replies.failed)
		return err_set(e, ERR_NO_MEMORY, "no memory for the replies");
	c->stats.batches++;
	c->stats.requests += b->n_replies;
	for (unsigned i = 0; i < b->n_refused; i++)
		core_send_drop(l, b->refused[i]);
	for (unsigned i = 0; i < b->n_grants; i++)
		core_send_grant(c, l, &b->grants[i]);
	send_replies(l, b);
	core_effects_send(c);
	close_sessions(c, l);
	return 0;
}
