/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

/*
 * One change of state of one update: was there a cause for it in what happened? Each of the
 * functions below says NULL, or what is wrong with it.
 */

int oracle_rank(enum update_state s)
{
	static const enum update_state way[] = {
		UPDATE_PLANNED,	   UPDATE_OFFERED,    UPDATE_ACCEPTED,	UPDATE_DOWNLOADING,
		UPDATE_DOWNLOADED, UPDATE_INSTALLING, UPDATE_REBOOTING, UPDATE_CONFIRMING,
	};

	for (int i = 0; i < (int)(sizeof(way) / sizeof(way[0])); i++)
		if (way[i] == s)
			return i;
	return s == UPDATE_DEFERRED ? 1 : -1;
}

static bool waits_or_flies(enum update_state s)
{
	return oracle_rank(s) >= 0;
}

static const struct o_class *class_of(const struct oracle *o, const struct o_update *u)
{
	return &o->rules.class_[u->urgency];
}

static bool taken_back(const struct oracle *o, const struct o_update *u)
{
	const struct o_release *r = &o->now->release[u->release];

	return !r->approved || r->withdrawn || o->now->anchor[r->anchor].revoked ||
	       r->sequence < o->now->class_floor[r->class_];
}

bool oracle_aborted(const struct oracle *o, const struct o_update *u)
{
	struct rollout r;

	return store_rollout_get(o->st, o->now->rollout[u->rollout].id, &r, NULL) == 1 &&
	       r.state == ROLLOUT_ABORTED;
}

/* Where retries last an attempt's end is not the update's; the n-th one waits longer. */
static const char *retry(struct oracle *o, struct o_update *u)
{
	const struct o_class *c = class_of(o, u);
	int64_t wait = c->backoff_min_s;

	if (u->attempt > c->retries)
		return "it had no attempt left";
	if (oracle_aborted(o, u))
		return "its rollout was aborted";
	for (int i = 1; i < u->attempt && wait < c->backoff_max_s; i++)
		wait *= 2;
	if (wait > c->backoff_max_s)
		wait = c->backoff_max_s;
	u->attempt++;
	u->waits = wait > 0;
	u->earliest = o->track + wait * 1000;
	return NULL;
}

/* The latest a deferral may last from now, in seconds. */
static int64_t latest(const struct oracle *o, const struct o_update *u)
{
	const struct o_class *c = class_of(o, u);
	int64_t most = c->defer_max_s;

	if (c->defer_count >= 0 && u->deferrals >= c->defer_count)
		return 0;
	if (u->deadline > 0 && (u->deadline - o->track) / 1000 < most)
		most = (u->deadline - o->track) / 1000;
	return most;
}

static const char *put_off(struct oracle *o, struct o_update *u, int64_t asked)
{
	int64_t most = latest(o, u);

	if (most <= 0)
		return "no deferral was left";
	u->deferrals++;
	u->waits = true;
	o->put_off = u->id;
	u->earliest = o->track + (asked < most ? asked : most) * 1000;
	return NULL;
}

static const char *proof_of_success(const struct oracle *o, const struct o_update *u,
				    enum update_state from)
{
	const struct said *s = &o->said;
	const struct o_release *r = &o->now->release[u->release];
	bool tells = s->has_component && oracle_runs(&s->component, r) == 1;
	bool word = s->what == HAPPENS_REPORT && strcmp(s->word, "succeeded") == 0;

	if (oracle_ended(from) && from != UPDATE_FAILED && from != UPDATE_TIMED_OUT &&
	    from != UPDATE_CANCELLED)
		return "it had ended for good";
	if (from == UPDATE_CANCELLED && !u->flew)
		return "it was never offered";
	if (from == UPDATE_PLANNED && u->attempt == 1 && !u->flew && tells)
		return NULL;
	if (u->word_boot != 0 && s->boot == u->word_boot)
		return "the device has not booted since";
	if (tells || (word && !s->has_component))
		return NULL;
	return "the device does not say that it runs the new version";
}

static const char *proof_of_rollback(const struct oracle *o, const struct o_update *u,
				     enum update_state from)
{
	const struct said *s = &o->said;
	const struct o_release *r = &o->now->release[u->release];
	bool old = s->has_component && oracle_runs(&s->component, r) == 0;

	if (!waits_or_flies(from))
		return "it had ended";
	if (s->what == HAPPENS_REPORT && strcmp(s->word, "rolled-back") == 0)
		return NULL;
	if (old && s->boot != u->word_boot)
		return NULL;
	return "the device does not say that it is back with the old version";
}

static bool word_of(const char *word, enum update_state to)
{
	if (to == UPDATE_CONFIRMING)
		return strcmp(word, "confirming") == 0 || strcmp(word, "installed") == 0 ||
		       strcmp(word, "succeeded") == 0;
	return strcmp(word, update_state_word(to)) == 0;
}

/* Its device put it off, and its rollout waits for nobody. */
static const char *put_off_for_good(const struct oracle *o, const struct o_update *u,
				    enum update_state from)
{
	return oracle_aborted(o, u) && from == UPDATE_DEFERRED ? NULL
							       : "its rollout was not aborted";
}

static const char *by_report(struct oracle *o, struct o_update *u, enum update_state from,
			     enum update_state to)
{
	const struct said *s = &o->said;
	bool mine = s->update == 0 || s->update == u->id;

	if (to == UPDATE_SUCCEEDED)
		return proof_of_success(o, u, from);
	if (to == UPDATE_CANCELLED)
		return put_off_for_good(o, u, from);
	if (to == UPDATE_ROLLED_BACK)
		return proof_of_rollback(o, u, from);
	if (s->what != HAPPENS_REPORT || !mine)
		return "nothing was said of it";
	if (oracle_ended(from))
		return "it had ended";
	if (to == UPDATE_PLANNED || to == UPDATE_FAILED) {
		if (strcmp(s->word, "failed") != 0)
			return "no failure was told";
		return to == UPDATE_FAILED  ? NULL
		       : oracle_flies(from) ? retry(o, u)
					    : "no attempt was running";
	}
	if (!word_of(s->word, to))
		return "another word was said";
	if (to == UPDATE_DEFERRED)
		return put_off(o, u, class_of(o, u)->contact_s);
	/* who has installed may have booted already */
	if (to != UPDATE_CONFIRMING || from == UPDATE_PLANNED)
		u->word_boot = s->boot;
	if (to == UPDATE_REJECTED)
		return NULL;
	return oracle_rank(to) > oracle_rank(from) || from == UPDATE_DEFERRED
		       ? NULL
		       : "that is no progress";
}

static bool makes_room(const struct oracle *o, const struct o_update *u, enum update_state from)
{
	const struct o_update *other = NULL;

	for (int i = 0; i < o->now->n_updates; i++)
		if (o->offers > 0 && o->now->update[i].id == o->offered)
			other = &o->now->update[i];
	return other && other->dev == u->dev && other->urgency == URGENCY_CRITICAL &&
	       u->urgency != URGENCY_CRITICAL && oracle_flies(from) &&
	       oracle_rank(from) < oracle_rank(UPDATE_INSTALLING);
}

/* An older one of the same class waits for nothing when a newer one may be offered. */
static bool has_newer(const struct oracle *o, const struct o_update *u)
{
	const struct o_release *r = &o->now->release[u->release];
	const struct o_device *d = &o->now->device[u->dev];

	if (d->has_floor && d->floor > r->sequence)
		return true;
	for (int i = 0; i < o->now->n_updates; i++) {
		const struct o_update *n = &o->now->update[i];
		const struct o_release *nr = &o->now->release[n->release];
		enum rollout_state s = o->now->rollout[n->rollout].state;

		/* what nobody started takes nothing away */
		if (s != ROLLOUT_RUNNING && s != ROLLOUT_PAUSED)
			continue;
		if (n->dev == u->dev && !oracle_ended(n->state) && !taken_back(o, n) &&
		    !oracle_expired(o, nr) && nr->class_ == r->class_ && nr->sequence > r->sequence)
			return true;
	}
	return false;
}

static const char *by_poll(struct oracle *o, struct o_update *u, enum update_state from,
			   enum update_state to)
{
	const struct o_device *d = &o->now->device[u->dev];
	bool waits = from == UPDATE_PLANNED || from == UPDATE_DEFERRED;

	if (to == UPDATE_OFFERED) {
		oracle_offer(o, u);
		return NULL;
	}
	if ((to == UPDATE_PLANNED || to == UPDATE_CANCELLED) && oracle_misfit(o, u, from) &&
	    !taken_back(o, u) && !makes_room(o, u, from))
		return oracle_kind(o, u, from, to);
	if (to == UPDATE_SUCCEEDED)
		return from == UPDATE_PLANNED && d->has_component &&
				       oracle_runs(&d->component, &o->now->release[u->release]) == 1
			       ? NULL
			       : "the device does not run it";
	if (to == UPDATE_SUPERSEDED) {
		o->superseded = true;
		/* not before: what became of the heir until then was judged by its own */
		oracle_follow_urgency(o, u->dev);
		return (waits || makes_room(o, u, from)) && has_newer(o, u) ? NULL
									    : "nothing is newer";
	}
	if (to == UPDATE_PLANNED) {
		u->waits = false;
		return makes_room(o, u, from) ? NULL : "nothing critical takes its place";
	}
	if (to == UPDATE_CANCELLED && oracle_missed(o, u, from)) {
		o->rule[RULE_MISSED]++;
		return NULL;
	}
	if (to == UPDATE_CANCELLED)
		return taken_back(o, u) ? NULL : "its release may be offered";
	if (to == UPDATE_EXPIRED)
		return oracle_expired(o, &o->now->release[u->release]) ? NULL
								       : "it has not expired";
	return "asking leads nowhere else";
}

static const char *by_decision(struct oracle *o, struct o_update *u, enum update_state from,
			       enum update_state to)
{
	const struct said *s = &o->said;
	bool accepts = strcmp(s->word, "accept") == 0;

	if (s->update != u->id)
		return "another update was decided";
	if (to == UPDATE_CANCELLED)
		return put_off_for_good(o, u, from);
	if (to == UPDATE_OFFERED && accepts && from == UPDATE_DEFERRED) {
		oracle_offer(o, u);
		return NULL;
	}
	if (to == UPDATE_ACCEPTED && accepts && from == UPDATE_OFFERED)
		return NULL;
	if (to == UPDATE_REJECTED && strcmp(s->word, "reject") == 0 && !oracle_ended(from))
		return NULL;
	/* asked for more time than there is: its word is kept, and all stays as it was */
	if (to == from && strcmp(s->word, "defer") == 0 && latest(o, u) <= 0)
		return NULL;
	if (to == UPDATE_DEFERRED && strcmp(s->word, "defer") == 0 && oracle_rank(from) >= 1 &&
	    oracle_rank(from) < oracle_rank(UPDATE_INSTALLING))
		return put_off(o, u, s->until_s > 0 ? s->until_s : class_of(o, u)->contact_s);
	return "the decision was another";
}

/* At least so long it must have been silent in a state. */
static int64_t patience_s(const struct oracle *o, enum update_state s)
{
	const struct o_rules *r = &o->rules;

	if (s == UPDATE_OFFERED)
		return r->offer_s;
	if (s == UPDATE_ACCEPTED)
		return r->decide_s;
	if (s == UPDATE_DOWNLOADING)
		return r->download_s;
	if (s == UPDATE_REBOOTING)
		return r->reboot_s;
	return s == UPDATE_CONFIRMING ? r->confirm_s : r->install_s;
}

/* Between attempts a device is given up when it was not heard of for that long. */
static const char *given_up(const struct oracle *o, const struct o_update *u)
{
	const struct o_device *d = &o->now->device[u->dev];
	int64_t patience = o->rules.offer_s, contact = class_of(o, u)->contact_s;

	/* an operator may try again what its device had refused unasked */
	if (!u->flew && u->attempt == 1)
		return "it was never offered";
	/* it comes as often as it was told to, with something pending and with nothing */
	if (o->rules.contact_s > contact)
		contact = o->rules.contact_s;
	if (3 * contact > patience)
		patience = 3 * contact;
	/* words that are kept are known for good; a poll is a hint, which a crash may lose */
	return o->track - d->heard >= patience * 1000 ? NULL
						      : "the device was heard of not long ago";
}

static bool same_attempt(const struct oracle *o, const struct o_update *u)
{
	struct update row;

	return store_update_get(o->st, u->id, &row, NULL) == 1 && row.attempt == u->attempt;
}

static const char *by_time(struct oracle *o, struct o_update *u, enum update_state from,
			   enum update_state to)
{
	bool held = from == UPDATE_DOWNLOADED && oracle_held_back(o, u);

	/* of an aborted rollout nothing goes back to wait */
	if (to == UPDATE_CANCELLED)
		return oracle_aborted(o, u) && (from == UPDATE_DEFERRED || held)
			       ? NULL
			       : "its rollout was not aborted";
	if (from == UPDATE_DEFERRED) {
		/* or it goes on at the server's wish: the promise was only not to be earlier */
		if ((to != UPDATE_PLANNED && to != UPDATE_DEFERRED) || o->track < u->earliest)
			return "its deferral has not ended";
		u->waits = false;
		return NULL;
	}
	if (from == UPDATE_PLANNED)
		return to == UPDATE_TIMED_OUT ? given_up(o, u) : "what is planned waits";
	if (o->track - u->entered < patience_s(o, from) * 1000)
		return "the time for it is not over";
	/* its silence says nothing where nobody asked, nor much where it said that it is busy */
	if (held && (oracle_unstarted(o, u) || oracle_shut(o, u)) && to != UPDATE_PLANNED &&
	    !oracle_aborted(o, u))
		return "it was its server that waited";
	if (held && to == UPDATE_PLANNED && same_attempt(o, u)) {
		o->rule[RULE_HELD]++;
		return NULL;
	}
	if (to == UPDATE_PLANNED)
		return retry(o, u);
	if (to != UPDATE_TIMED_OUT)
		return "silence leads nowhere else";
	return u->fetched || u->attempt > class_of(o, u)->retries || oracle_aborted(o, u)
		       ? NULL
		       : "it had an attempt left";
}

/*
 * What goes back for another's sake, or another kind's, keeps its attempt. One that is counted
 * has ended, by silence or a refusal: those must have been.
 */
static bool attempt_over(const struct oracle *o, const struct o_update *u)
{
	struct update row;

	return store_update_get(o->st, u->id, &row, NULL) == 1 && row.attempt > u->attempt;
}

/* A look of the server's at what is pushed is the device's asking, but for its own moves. */
static bool like_asking(struct oracle *o, const struct o_update *u, enum update_state from,
			enum update_state to)
{
	if (to == UPDATE_PLANNED && attempt_over(o, u))
		return false;
	if ((to == UPDATE_PLANNED || to == UPDATE_CANCELLED) && oracle_misfit(o, u, from))
		return true;
	if (to == UPDATE_CANCELLED)
		return taken_back(o, u) || (!oracle_aborted(o, u) && oracle_missed(o, u, from));
	if (to == UPDATE_PLANNED)
		return makes_room(o, u, from);
	return to == UPDATE_OFFERED || to == UPDATE_SUPERSEDED || to == UPDATE_EXPIRED ||
	       to == UPDATE_SUCCEEDED;
}

static const char *by_pass(struct oracle *o, struct o_update *u, enum update_state from,
			   enum update_state to)
{
	const struct o_device *d = &o->now->device[u->dev];
	bool pushed = d->mode == MODE_SERVER || (d->mode == MODE_NEGOTIATED && d->push);

	if (pushed && like_asking(o, u, from, to)) {
		struct update row;
		/* it may have opened the next phase, and joined that, or have ended its own */
		if (store_update_get(o->st, u->id, &row, NULL) == 1 &&
		    row.phase > o->now->rollout[u->rollout].at_phase)
			oracle_phases(o, u->dev);
		return by_poll(o, u, from, to);
	}
	return pushed && to == UPDATE_DOWNLOADED ? oracle_pushed(o, u, to)
						 : by_time(o, u, from, to);
}

static const char *by_answer(struct oracle *o, struct o_update *u, enum update_state from,
			     enum update_state to)
{
	if (!o->awaited)
		return "nobody waited for that answer";
	if (like_asking(o, u, from, to))
		return by_poll(o, u, from, to);
	if (to != UPDATE_PLANNED)
		return oracle_pushed(o, u, to);
	const char *why = oracle_pushed(o, u, UPDATE_FAILED);
	return why ? why : retry(o, u);
}

/* What an operator tries again has one more attempt, at once. */
static const char *again(struct oracle *o, struct o_update *u, enum update_state from)
{
	if (from != UPDATE_FAILED && from != UPDATE_TIMED_OUT && from != UPDATE_ROLLED_BACK)
		return "it had not failed";
	if (!o->now->rollout[u->rollout].retrying || oracle_aborted(o, u))
		return "nobody tried it again";
	u->attempt++;
	u->waits = false;
	return NULL;
}

static const char *by_job(struct oracle *o, struct o_update *u, enum update_state from,
			  enum update_state to)
{
	const struct o_rollout *r = &o->now->rollout[u->rollout];
	bool begun = oracle_flies(from);

	if (begun && oracle_rank(from) >= oracle_rank(UPDATE_INSTALLING))
		return "it was being installed";
	if (to == UPDATE_PLANNED && begun) {
		u->waits = false;
		o->rule[RULE_RECALLED]++;
		return r->recalled ? NULL : "nobody called it back";
	}
	if (to == UPDATE_PLANNED)
		return again(o, u, from);
	if (to != UPDATE_CANCELLED || oracle_ended(from))
		return "a job does no such thing";
	o->rule[RULE_STOPPED] += begun;
	if (begun && !r->stopped)
		return "nobody stopped it";
	return oracle_aborted(o, u) ? NULL : "its rollout was not aborted";
}

const char *oracle_cause(struct oracle *o, struct o_update *u, enum update_state from,
			 enum update_state to)
{
	if (o->said.dev >= 0 && o->said.dev != u->dev)
		return "another device spoke";
	if (u->gone)
		return oracle_gone(o, u, from, to);
	switch (o->said.what) {
	case HAPPENS_REGISTER:
	case HAPPENS_REPORT:
		return by_report(o, u, from, to);
	case HAPPENS_POLL:
		return by_poll(o, u, from, to);
	case HAPPENS_DECIDE:
		return by_decision(o, u, from, to);
	case HAPPENS_PASS:
		return by_pass(o, u, from, to);
	case HAPPENS_ANSWER:
		return by_answer(o, u, from, to);
	case HAPPENS_JOB:
		return by_job(o, u, from, to);
	case HAPPENS_COMMAND:
		return oracle_kind(o, u, from, to);
	case HAPPENS_LOOK:
	case HAPPENS_MANIFEST:
	case HAPPENS_CRASH:
	case HAPPENING_COUNT:
		break;
	}
	return "nothing that happened may move it";
}
