/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "tracker/policy_parts.h"

/*
 * The "settings" document:
 *	{ "contact_interval": s, ..., "default_urgency": "normal", "first_contact": "hold",
 *	  "urgency": { "critical": { "deadline": s, ... }, ... },
 *	  "priority": { ... }, "rules": [ ... ], "classes": [ ... ], "auto_approve": [ ... ] }
 * One row a member; reading, writing and the list of known names all follow it.
 */
enum kind { KIND_NUMBER, KIND_BOOL, KIND_COUNT };

struct member {
	const char *name;
	enum kind kind;
	size_t at;
	int64_t min, max;
};

#define SECONDS(name, type, field, min)                                           \
	{                                                                         \
		name, KIND_NUMBER, offsetof(type, field), min, POLICY_SECONDS_MAX \
	}

static const struct member settings[] = {
	SECONDS("contact_interval", struct policy, contact_interval_s, 1),
	SECONDS("status_max_age", struct policy, status_max_age_s, 1),
	SECONDS("offer_timeout", struct policy, offer_timeout_s, 1),
	SECONDS("decide_timeout", struct policy, decide_timeout_s, 1),
	SECONDS("download_slack", struct policy, download_slack_s, 1),
	SECONDS("install_timeout", struct policy, install_timeout_s, 1),
	SECONDS("install_expected", struct policy, install_expected_s, 0),
	SECONDS("reboot_timeout", struct policy, reboot_timeout_s, 1),
	SECONDS("confirm_timeout", struct policy, confirm_timeout_s, 1),
	{ "min_rate", KIND_NUMBER, offsetof(struct policy, min_rate), 1, INT64_MAX },
	{ "allow_external", KIND_BOOL, offsetof(struct policy, allow_external), 0, 0 },
	{ "release_approver", KIND_BOOL, offsetof(struct policy, release_approver), 0, 0 },
};

static const struct member strategy_members[] = {
	{ "window_until_deadline", KIND_BOOL, offsetof(struct strategy, window_until_deadline), 0,
	  0 },
	{ "window_download", KIND_BOOL, offsetof(struct strategy, window_download), 0, 0 },
	{ "preempt", KIND_BOOL, offsetof(struct strategy, preempt), 0, 0 },
	{ "idle_only", KIND_BOOL, offsetof(struct strategy, idle_only), 0, 0 },
	SECONDS("deadline", struct strategy, deadline_s, 0),
	SECONDS("defer_max", struct strategy, defer_max_s, 0),
	{ "defer_count", KIND_COUNT, offsetof(struct strategy, defer_count), -1, UINT8_MAX },
	{ "retries", KIND_COUNT, offsetof(struct strategy, retries), 0, UINT8_MAX - 1 },
	SECONDS("backoff_min", struct strategy, backoff_min_s, 0),
	SECONDS("backoff_max", struct strategy, backoff_max_s, 0),
	SECONDS("contact_interval", struct strategy, contact_interval_s, 1),
	SECONDS("outage", struct strategy, outage_s, 0),
};

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* What is read by hand: words, maps and lists. */
static const char *const others[] = {
	"default_urgency", "urgency", "first_contact", "first_contact_plain", "approve_above",
	"priority",	   "rules",   "classes",       "auto_approve",
};
#define MEMBERS_MAX (LENGTH(settings) + LENGTH(others))

static void read_member(struct doc_reader *r, const struct member *m, void *base)
{
	void *at = (char *)base + m->at;
	int64_t v;

	if (m->kind == KIND_BOOL)
		doc_opt_bool(r, m->name, at);
	else if (m->kind == KIND_NUMBER)
		doc_opt_int(r, m->name, m->min, m->max, at);
	else if (doc_opt_int(r, m->name, m->min, m->max, &v))
		*(int *)at = (int)v;
}

/* The names of the rows, then n_more others, then NULL. */
static void known(const char *names[MEMBERS_MAX + 1], const struct member *m, size_t n,
		  size_t n_more)
{
	for (size_t i = 0; i < n; i++)
		names[i] = m[i].name;
	for (size_t i = 0; i < n_more; i++)
		names[n + i] = others[i];
	names[n + n_more] = NULL;
}

static int apply_strategy(struct strategy *s, const struct doc *d, const char *word, struct err *e)
{
	const char *names[MEMBERS_MAX + 1];
	struct doc_reader r;

	doc_read_init(&r, d, e);
	known(names, strategy_members, LENGTH(strategy_members), 0);
	doc_only(&r, names);
	for (size_t i = 0; i < LENGTH(strategy_members); i++)
		read_member(&r, &strategy_members[i], s);
	if (doc_read_end(&r) < 0)
		return err_prefix(e, "urgency.%s", word);
	if (s->backoff_min_s > s->backoff_max_s)
		return err_set(e, ERR_INVALID, "urgency.%s: backoff_min is over backoff_max", word);
	if (s->preempt && strcmp(word, urgency_word(URGENCY_CRITICAL)) != 0)
		return err_set(e, ERR_INVALID, "urgency.%s: preempt: critical alone may", word);
	return 0;
}

static int apply_classes(struct policy *p, const struct doc *d, struct err *e)
{
	const char *names[URGENCY_COUNT + 1] = { NULL };
	struct doc_reader r;

	if (!d)
		return 0;
	for (int u = 0; u < URGENCY_COUNT; u++)
		names[u] = urgency_word((enum urgency)u);
	doc_read_init(&r, d, e);
	doc_only(&r, names);
	if (doc_read_end(&r) < 0)
		return err_prefix(e, "urgency");
	for (int u = 0; u < URGENCY_COUNT; u++) {
		const struct doc *class = doc_get(d, names[u]);
		if (class && apply_strategy(&p->strategy[u], class, names[u], e) < 0)
			return -1;
	}
	return 0;
}

static const char *const first_words[] = {
	[FIRST_REFUSE] = "refuse",
	[FIRST_HOLD] = "hold",
	[FIRST_ACCEPT] = "accept",
};

/* first_contact_plain is what it was called when it was yes or no. */
static int read_first_contact(struct doc_reader *r, struct policy *p)
{
	char word[16];
	bool plain;

	if (doc_opt_bool(r, "first_contact_plain", &plain))
		p->first_contact = plain ? FIRST_ACCEPT : FIRST_REFUSE;
	if (!doc_opt_text(r, "first_contact", word, sizeof(word)))
		return 0;
	for (size_t i = 0; i < LENGTH(first_words); i++) {
		if (strcmp(word, first_words[i]) == 0) {
			p->first_contact = (enum first_contact)i;
			return 0;
		}
	}
	return err_set(r->e, ERR_INVALID, "first_contact: accept, hold or refuse");
}

/* Members that are one value each. */
static int apply_values(struct policy *p, struct doc_reader *r)
{
	char word[16] = "";

	for (size_t i = 0; i < LENGTH(settings); i++)
		read_member(r, &settings[i], p);
	doc_opt_int(r, "approve_above", 0, INT64_MAX, &p->approve_above);
	doc_opt_text(r, "default_urgency", word, sizeof(word));
	if (read_first_contact(r, p) < 0)
		return -1;
	if (word[0] && urgency_parse(word, &p->default_urgency) < 0)
		return err_set(r->e, ERR_INVALID, "default_urgency: no urgency class is called so");
	return 0;
}

static int apply_parts(struct policy *p, struct doc_reader *r, struct err *e)
{
	const struct doc *classes = doc_opt_map(r, "urgency");
	const struct doc *priority = doc_opt_map(r, "priority");
	const struct doc *rules = doc_opt_array(r, "rules");
	const struct doc *types = doc_opt_array(r, "classes");
	const struct doc *keys = doc_opt_array(r, "auto_approve");

	if (doc_read_end(r) < 0 || apply_classes(p, classes, e) < 0 ||
	    policy_apply_priority(p, priority, e) < 0 || policy_apply_rules(p, rules, e) < 0 ||
	    policy_apply_classes(p, types, e) < 0)
		return -1;
	return policy_apply_keys(p, keys, e);
}

int policy_apply(struct policy *p, const struct doc *d, struct err *e)
{
	const char *names[MEMBERS_MAX + 1];
	struct policy next = *p;
	struct doc_reader r;

	doc_read_init(&r, d, e);
	known(names, settings, LENGTH(settings), LENGTH(others));
	doc_only(&r, names);
	if (apply_values(&next, &r) < 0 || apply_parts(&next, &r, e) < 0)
		return -1;
	if (next.release_approver && next.n_auto_approve > 0)
		return err_set(e, ERR_INVALID, "auto_approve: release_approver asks for a person");
	*p = next;
	return 0;
}

static void write_members(struct arena *a, struct doc *out, const struct member *m, size_t n,
			  const void *base)
{
	for (size_t i = 0; i < n; i++) {
		const void *at = (const char *)base + m[i].at;

		if (m[i].kind == KIND_BOOL)
			doc_add_bool(a, out, m[i].name, *(const bool *)at);
		else if (m[i].kind == KIND_NUMBER)
			doc_add_int(a, out, m[i].name, *(const int64_t *)at);
		else
			doc_add_int(a, out, m[i].name, *(const int *)at);
	}
}

int policy_write(const struct policy *p, struct arena *a, struct doc *out)
{
	write_members(a, out, settings, LENGTH(settings), p);
	doc_add_text(a, out, "first_contact", first_words[p->first_contact]);
	if (p->approve_above >= 0)
		doc_add_int(a, out, "approve_above", p->approve_above);
	else
		doc_add_null(a, out, "approve_above");
	doc_add_text(a, out, "default_urgency", urgency_word(p->default_urgency));
	policy_write_priority(p, a, out);
	policy_write_rules(p, a, out);
	policy_write_classes(p, a, out);
	policy_write_keys(p, a, out);
	struct doc *classes = doc_map(a, out, "urgency");
	for (int u = 0; u < URGENCY_COUNT; u++) {
		struct doc *class = doc_map(a, classes, urgency_word((enum urgency)u));
		write_members(a, class, strategy_members, LENGTH(strategy_members),
			      &p->strategy[u]);
	}
	return doc_failed(a) ? -1 : 0;
}
