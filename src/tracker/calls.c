/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tracker/calls_internal.h"

bool device_can(const struct device *d, const char *word)
{
	const char *at = d->capabilities;
	size_t n = strlen(word);

	while (*at) {
		size_t len = strcspn(at, " ");
		if (len == n && memcmp(at, word, n) == 0)
			return true;
		at += len + (at[len] != '\0');
	}
	return false;
}

bool call_possible(const struct device *d, const struct device_live *l)
{
	if (d->disabled || d->held_back)
		return false;
	return d->mode == MODE_SERVER || l->endpoint_port != 0 || device_can(d, "push");
}

bool call_pushes(const struct device *d, enum update_state s)
{
	if (d->mode == MODE_SERVER)
		return true;
	return d->mode == MODE_NEGOTIATED && s >= UPDATE_ACCEPTED && device_can(d, "push");
}

/* ---- rows ---- */

int call_keep(struct tracker *tk, const struct device_call *c, struct err *e)
{
	struct device_call last = *c;

	if (c->want != 0 || c->sent)
		return store_call_put(tk->st, c, e);
	if (c->serial < tk->now.track)
		return store_call_remove(tk->st, c->dev, e);
	/* another call in this millisecond must not have its number: it goes with the next */
	last.due = c->serial + 1;
	effects_wake(tk->fx);
	return store_call_put(tk->st, &last, e);
}

static int want(struct tracker *tk, struct device_call *c, unsigned what, struct err *e)
{
	c->want |= (uint8_t)what;
	if (!c->sent)
		c->due = tk->now.track > 0 ? tk->now.track : 1;
	effects_wake(tk->fx);
	return store_call_put(tk->st, c, e);
}

int call_want(struct tracker *tk, const struct device *d, unsigned what, struct err *e)
{
	struct device_call c;
	int found = store_call_get(tk->st, d->dev, &c, e);

	if (found < 0)
		return -1;
	if (found == 0)
		c = (struct device_call){ .dev = d->dev, .held = -1 };
	return want(tk, &c, what, e);
}

int call_notify(struct tracker *tk, const struct device *d, struct err *e)
{
	struct device_live live;

	if (d->mode == MODE_SERVER)
		return d->disabled || d->held_back ? 0 : call_want(tk, d, CALL_PUSH, e);
	if (d->mode != MODE_NEGOTIATED)
		return 0;
	if (registry_live(tk, d->dev, &live, e) < 0)
		return -1;
	return call_possible(d, &live) ? call_want(tk, d, CALL_LOOK, e) : 0;
}

int call_contact(struct tracker *tk, const struct device *d, bool moved, struct err *e)
{
	struct device_call c;
	int found = store_call_get(tk->st, d->dev, &c, e);

	if (found < 0)
		return -1;
	if (d->mode == MODE_SERVER && (found == 0 || !(c.want & CALL_PUSH)))
		return call_notify(tk, d, e);
	bool waits = found > 0 && !c.sent && (c.due == 0 || c.due > tk->now.track);
	if (!waits || (c.tries == 0 && !moved))
		return 0;
	return call_want(tk, d, 0, e);
}

int call_heard(struct tracker *tk, const struct device *d, struct err *e)
{
	struct update u;

	if (d->mode != MODE_SERVER && !device_can(d, "push"))
		return 0;
	int found = store_update_open(tk->st, d->dev, &u, e);
	if (found <= 0 || !call_pushes(d, u.state) || u.state >= UPDATE_INSTALLING)
		return found < 0 ? -1 : 0;
	if (d->mode != MODE_SERVER)
		return call_want(tk, d, CALL_PUSH, e);
	return call_contact(tk, d, true, e);
}

int call_taken_back(struct tracker *tk, const struct update *u, struct err *e)
{
	struct device_call c;
	int found = store_call_get(tk->st, u->dev, &c, e);

	if (found <= 0 || c.update != u->id)
		return found < 0 ? -1 : 0;
	/* pushed, or just being so: nobody else has to be told */
	if (!c.manifest && !u->manifest_fetched && (!c.sent || c.kind != SEND_MANIFEST))
		return 0;
	/* what its push was tried in vain does not count for this */
	c.tries = 0;
	return want(tk, &c, CALL_DROP, e);
}

int call_applied(struct tracker *tk, const struct update *u, struct err *e)
{
	struct device_call c;
	int found = store_call_get(tk->st, u->dev, &c, e);

	if (found <= 0)
		return found;
	return c.update == u->id && c.attempt == u->attempt && c.applied;
}

void call_forget(struct device_call *c)
{
	c->attempt = 0;
	c->manifest = false;
	c->image = 0;
	c->held = -1;
	c->applied = false;
}

int call_begun(struct tracker *tk, int64_t dev, struct err *e)
{
	struct device_call c;
	int found = store_call_get(tk->st, dev, &c, e);

	if (found <= 0)
		return found;
	c.want &= (uint8_t)~CALL_LOOK;
	call_forget(&c);
	return call_keep(tk, &c, e);
}

/* ---- one call ---- */

#define LOST_MS (INT64_C(5) * 60 * 1000)
#define LOST_LARGE_MS (INT64_C(65) * 60 * 1000) /* a transfer is given an hour by the front */
#define CREDENTIALS 8

/* The PSK identity its endpoint is called with: of the newest key that holds. */
static int identity_of(struct tracker *tk, int64_t dev, char out[129], struct err *e)
{
	struct credential page[CREDENTIALS];
	int64_t after = 0;
	int n;

	out[0] = '\0';
	do {
		n = store_credential_list(tk->st, dev, after, CREDENTIALS, page, e);
		for (int i = 0; i < n; i++) {
			const struct credential *cr = &page[i];

			after = cr->id;
			if (cr->kind == CREDENTIAL_PSK && cr->revoked == 0 &&
			    (cr->not_after == 0 || tk->now.wall < cr->not_after))
				(void)text_copy(out, 129, cr->identity);
		}
	} while (n == CREDENTIALS);
	return n < 0 ? -1 : 0;
}

/* Where it is called without a session: never over plain CoAP when it has a credential. */
static int where(struct turn *t, struct send *s, struct err *e)
{
	static const uint8_t nowhere[16];
	const struct device *d = t->d;
	bool dtls = device_can(d, "dtls");

	s->plain = d->auth == AUTH_NONE;
	if (t->live.endpoint_port == 0 || dtls == s->plain)
		return 0;
	memcpy(s->ip, t->live.ip, sizeof(s->ip));
	if (d->endpoint_host[0] && text_ip(d->endpoint_host, s->ip) != 0)
		return 0;
	if (memcmp(s->ip, nowhere, sizeof(nowhere)) == 0)
		return 0;
	if (dtls && identity_of(t->tk, d->dev, s->identity, e) < 0)
		return -1;
	if (!dtls || s->identity[0])
		s->port = t->live.endpoint_port;
	return 0;
}

int call_order(struct turn *t, struct send *s, const struct digest *object, struct err *e)
{
	bool large = s->kind == SEND_MANIFEST || s->kind == SEND_IMAGE;
	struct device_call *c = t->c;
	int64_t now = t->tk->now.track;

	if (where(t, s, e) < 0)
		return -1;
	c->sent = true;
	c->kind = (uint8_t)s->kind;
	c->applied = s->kind == SEND_APPLY || (c->applied && s->kind != SEND_MANIFEST);
	/* the time, or above all that were before, even where the row is a new one */
	c->serial = c->serial < now ? now : c->serial + 1;
	c->due = now + (large ? LOST_LARGE_MS : LOST_MS);
	s->serial = c->serial;
	effects_send(t->tk->fx, t->d->dev, t->d->id, s, object);
	return 1;
}

void call_again(struct turn *t, int64_t wait_ms)
{
	int64_t at = t->tk->now.track + (wait_ms > 0 ? wait_ms : 1);

	if (t->next == 0 || at < t->next)
		t->next = at;
}

/* ---- what it is called for ---- */

#define LOOKS 3 /* without an answer, when nothing is left to be told */

static int look_turn(struct turn *t, struct err *e)
{
	struct send s = { .kind = SEND_LOOK };
	bool looks = t->d->mode == MODE_NEGOTIATED; /* an operator may have changed it since */
	struct update u;
	int found = looks ? store_update_open(t->tk->st, t->d->dev, &u, e) : 0;

	if (found < 0)
		return -1;
	if (!looks || (found == 0 && t->c->tries >= LOOKS)) {
		t->c->want &= (uint8_t)~CALL_LOOK;
		return 0;
	}
	s.update = found > 0 ? u.id : 0;
	return call_order(t, &s, NULL, e);
}

/* It may have gone by now, or be about to restart: nothing depends on it. */
static int drop_turn(struct turn *t, struct err *e)
{
	struct send s = { .kind = SEND_DROP, .update = t->c->update };
	bool pushed = call_pushes(t->d, UPDATE_ACCEPTED); /* another mode now: it is not called */
	struct update u;
	int found = store_update_get(t->tk->st, t->c->update, &u, e);

	if (found > 0 && pushed && update_state_terminal(u.state) && t->c->tries < LOOKS)
		return call_order(t, &s, NULL, e);
	t->c->want &= (uint8_t)~CALL_DROP;
	t->c->tries = 0;
	return found < 0 ? -1 : 0;
}

static int outage_turn(struct turn *t, struct err *e)
{
	struct send s = { .kind = SEND_LOOK };
	struct outage_notice n;
	int found = outage_notice(t->tk, t->d->dev, &n, e);

	if (found <= 0 || n.told) {
		t->c->want &= (uint8_t)~CALL_OUTAGE;
		return found < 0 ? -1 : 0;
	}
	s.update = n.update;
	s.outage_s = n.seconds;
	s.outage_in_s = n.in_s;
	(void)text_copy(s.other, sizeof(s.other), n.device);
	return call_order(t, &s, NULL, e);
}

static int diag_turn(struct turn *t, struct err *e)
{
	struct send s = { .kind = SEND_DIAG };

	return call_order(t, &s, NULL, e);
}

int call_turn(struct turn *t, struct err *e)
{
	static const struct {
		unsigned want;
		int (*take)(struct turn *t, struct err *e);
	} ways[] = {
		{ CALL_DROP, drop_turn },     { CALL_PUSH, call_push_turn },
		{ CALL_OUTAGE, outage_turn }, { CALL_LOOK, look_turn },
		{ CALL_DIAG, diag_turn },
	};
	struct device_call *c = t->c;
	int rc = 0;

	t->next = 0;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && rc == 0; i++)
		if (c->want & ways[i].want)
			rc = ways[i].take(t, e);
	if (rc < 0)
		return -1;
	if (!c->sent)
		c->due = t->next;
	if (t->next > 0)
		effects_wake(t->tk->fx);
	return call_keep(t->tk, c, e);
}

/*
 * It may not be called, shut out for one. What it holds is remembered: whatever is pushed to it,
 * or taken back, goes on when it may. The rest is out of date by then.
 */
static int rest(struct turn *t, struct err *e)
{
	struct device_call *c = t->c;

	c->want &= CALL_PUSH | CALL_DROP;
	c->due = 0;
	return call_keep(t->tk, c, e);
}

/* 1 with the device and what is known of it, 0 it is gone. */
static int load(struct tracker *tk, struct device_call *c, struct device *d, struct turn *t,
		struct err *e)
{
	int found = store_device_by_dev(tk->st, c->dev, d, e);

	if (found <= 0)
		return found;
	*t = (struct turn){ .tk = tk, .d = d, .c = c };
	return registry_live(tk, c->dev, &t->live, e) < 0 ? -1 : 1;
}

int call_due(struct tracker *tk, struct device_call *c, struct err *e)
{
	struct device d;
	struct turn t;
	int found = load(tk, c, &d, &t, e);

	if (found <= 0)
		return found < 0 ? -1 : store_call_remove(tk->st, c->dev, e);
	return call_possible(&d, &t.live) ? call_turn(&t, e) : rest(&t, e);
}

/* ---- answers ---- */

static const char *const words[SEND_KIND_COUNT] = {
	[SEND_LOOK] = "look again",  [SEND_STATUS] = "status", [SEND_MANIFEST] = "manifest",
	[SEND_HELD] = "image held",  [SEND_IMAGE] = "image",   [SEND_APPLY] = "apply",
	[SEND_DIAG] = "diagnostics", [SEND_DROP] = "drop",
};

static void say(struct device_call *c, const struct call_answer *a)
{
	if (a->status == 0)
		cause_format(c->reason, sizeof(c->reason), "%s: not reached", words[c->kind]);
	else
		cause_format(c->reason, sizeof(c->reason), "%s: answered %u.%02u%s%s",
			     words[c->kind], a->status / 100, a->status % 100,
			     a->text[0] ? ": " : "", a->text);
}

static int answered(struct turn *t, const struct call_answer *a, struct err *e)
{
	enum failure f;
	struct device_call *c = t->c;
	enum push_outcome o = push_outcome((enum send_kind)c->kind, a->status, &f);

	c->sent = false;
	say(c, a);
	if (a->failure != FAILURE_NONE)
		f = a->failure;
	int rc = call_push_answered(t, a, o, f, e);
	if (rc < 0)
		return -1;
	/* what it did before it was shut out is so all the same */
	if (!call_possible(t->d, &t->live))
		return rest(t, e);
	if (rc > 0) /* and now for what is next */
		return call_turn(t, e);
	c->due = t->next;
	effects_wake(t->tk->fx);
	return call_keep(t->tk, c, e);
}

int call_answered(struct tracker *tk, const struct call_answer *a, struct err *e)
{
	struct device_call c;
	struct device d;
	struct turn t;
	int found = store_call_get(tk->st, a->dev, &c, e);

	if (found <= 0)
		return found;
	/* an answer to what was given up, or was never asked */
	if (!c.sent || c.serial != a->serial || c.kind != a->kind)
		return 0;
	if (c.kind >= SEND_MANIFEST && c.kind <= SEND_APPLY && c.update != a->update)
		return 0;
	found = load(tk, &c, &d, &t, e);
	if (found <= 0)
		return found < 0 ? -1 : store_call_remove(tk->st, c.dev, e);
	return answered(&t, a, e) < 0 ? -1 : 1;
}

int call_lost(struct tracker *tk, struct device_call *c, struct err *e)
{
	struct call_answer a = { .dev = c->dev, .serial = c->serial, .kind = c->kind };
	struct device d;
	struct turn t;
	int found = load(tk, c, &d, &t, e);

	if (found <= 0)
		return found < 0 ? -1 : store_call_remove(tk->st, c->dev, e);
	a.update = c->update;
	return answered(&t, &a, e);
}

int call_why(struct tracker *tk, const struct device *d, char value[REASON_TEXT], struct err *e)
{
	struct device_call c;
	int found = store_call_get(tk->st, d->dev, &c, e);

	if (found <= 0)
		return found;
	int64_t wait = c.due > tk->now.track ? (c.due - tk->now.track + 999) / 1000 : 0;
	if (c.sent)
		cause_format(value, REASON_TEXT, "%s is sent, its answer awaited%s%s",
			     words[c.kind], c.reason[0] ? "; before: " : "", c.reason);
	else if (c.due == 0)
		cause_format(value, REASON_TEXT, "waits%s%s", c.reason[0] ? "; last: " : "",
			     c.reason);
	else
		cause_format(value, REASON_TEXT, "next in %" PRId64 " s, tried %u times%s%s", wait,
			     c.tries, c.reason[0] ? "; last: " : "", c.reason);
	return 1;
}
