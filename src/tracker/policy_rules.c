/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "tracker/policy_parts.h"
#include "tracker/urgency.h"

/*
 * "rules": [ { "name": "security", "if": { "vendor": "example.com", "class": "lamp",
 *	"component": "main", "step": "major", "words": [ "security" ], "cve": true },
 *	"urgency": "critical" } ]
 */
static const char *const rule_members[] = { "name", "if", "urgency", NULL };
static const char *const if_members[] = { "vendor", "class", "component", "step",
					  "words",  "cve",   NULL };

static int read_urgency(struct doc_reader *r, enum urgency *out)
{
	char word[16];

	if (doc_need_text(r, "urgency", word, sizeof(word)) && urgency_parse(word, out) < 0)
		return err_set(r->e, ERR_INVALID, "urgency: critical, high, normal or low");
	return 0;
}

static int read_words(struct doc_reader *r, struct policy_rule *rule)
{
	const struct doc *list = doc_opt_array(r, "words");

	if (!list)
		return 0;
	for (const struct doc *d = list->v.c.first; d; d = d->next) {
		if (rule->n_words == POLICY_WORDS_MAX)
			return err_set(r->e, ERR_INVALID, "words: more than %d", POLICY_WORDS_MAX);
		if (d->type != DOC_TEXT || d->v.s.n == 0 ||
		    text_copy_slice(rule->words[rule->n_words], POLICY_WORD_TEXT, d->v.s) != 0)
			return err_set(r->e, ERR_INVALID, "words[%d]: text of 1 to %d bytes",
				       rule->n_words, POLICY_WORD_TEXT - 1);
		rule->n_words++;
	}
	return 0;
}

static bool names_nothing(const struct policy_rule *r)
{
	return r->vendor[0] == '\0' && r->class_name[0] == '\0' && r->component[0] == '\0' &&
	       r->step == NO_STEP && r->n_words == 0 && !r->any_cve;
}

static int read_if(const struct doc *d, struct policy_rule *rule, struct err *e)
{
	char step[8] = "";
	struct doc_reader r;

	doc_read_init(&r, d, e);
	doc_only(&r, if_members);
	doc_opt_text(&r, "vendor", rule->vendor, sizeof(rule->vendor));
	doc_opt_text(&r, "class", rule->class_name, sizeof(rule->class_name));
	doc_opt_text(&r, "component", rule->component, sizeof(rule->component));
	doc_opt_text(&r, "step", step, sizeof(step));
	doc_opt_bool(&r, "cve", &rule->any_cve);
	if (read_words(&r, rule) != 0 || doc_read_end(&r) != 0)
		return -1;
	if (step[0] && urgency_step_parse(step, &rule->step) != 0)
		return err_set(e, ERR_INVALID, "step: first, major, minor or patch");
	if (names_nothing(rule))
		return err_set(e, ERR_INVALID, "it names nothing, and would always hold");
	return 0;
}

static int read_rule(const struct doc *d, struct policy_rule *rule, struct err *e)
{
	struct doc_reader r;

	*rule = (struct policy_rule){ .name = "" };
	doc_read_init(&r, d, e);
	doc_only(&r, rule_members);
	doc_need_text(&r, "name", rule->name, sizeof(rule->name));
	const struct doc *conditions = doc_opt_map(&r, "if");
	if (read_urgency(&r, &rule->urgency) != 0 || doc_read_end(&r) != 0)
		return -1;
	if (!name_valid(slice_str(rule->name)))
		return err_set(e, ERR_INVALID, "name: 1 to 64 of letters, digits, . _ : + -");
	if (!conditions)
		return err_set(e, ERR_INVALID, "if: is missing");
	return read_if(conditions, rule, e) != 0 ? err_prefix(e, "if") : 0;
}

int policy_apply_rules(struct policy *p, const struct doc *list, struct err *e)
{
	if (!list)
		return 0;
	p->n_rules = 0;
	for (const struct doc *d = list->v.c.first; d; d = d->next) {
		int n = p->n_rules;

		if (n == POLICY_RULES_MAX)
			return err_set(e, ERR_INVALID, "rules: more than %d", POLICY_RULES_MAX);
		if (read_rule(d, &p->rules[n], e) != 0)
			return err_prefix(e, "rules[%d]", n);
		for (int i = 0; i < n; i++)
			if (strcmp(p->rules[i].name, p->rules[n].name) == 0)
				return err_set(e, ERR_INVALID,
					       "rules[%d]: name: rules[%d] is called so too", n, i);
		p->n_rules++;
	}
	return 0;
}

static void put_text(struct arena *a, struct doc *out, const char *key, const char *text)
{
	if (text[0])
		doc_add_text(a, out, key, text);
}

static void write_if(const struct policy_rule *r, struct arena *a, struct doc *out)
{
	put_text(a, out, "vendor", r->vendor);
	put_text(a, out, "class", r->class_name);
	put_text(a, out, "component", r->component);
	if (r->step != NO_STEP)
		doc_add_text(a, out, "step", urgency_step_word(r->step));
	if (r->n_words > 0) {
		struct doc *words = doc_array(a, out, "words");

		for (int i = 0; i < r->n_words; i++)
			doc_add_text(a, words, NULL, r->words[i]);
	}
	if (r->any_cve)
		doc_add_bool(a, out, "cve", true);
}

void policy_write_rules(const struct policy *p, struct arena *a, struct doc *out)
{
	struct doc *list = doc_array(a, out, "rules");

	for (int i = 0; i < p->n_rules; i++) {
		struct doc *d = doc_map(a, list, NULL);

		doc_add_text(a, d, "name", p->rules[i].name);
		write_if(&p->rules[i], a, doc_map(a, d, "if"));
		doc_add_text(a, d, "urgency", urgency_word(p->rules[i].urgency));
	}
}
