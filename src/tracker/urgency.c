/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/urgency.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "tracker/internal.h"

enum urgency urgency_of_priority(const struct policy *p, int64_t priority)
{
	for (int u = URGENCY_CRITICAL; u < URGENCY_LOW; u++)
		if (priority <= p->priority_max[u])
			return (enum urgency)u;
	return URGENCY_LOW;
}

/* ---- versions ---- */

static const char *const step_words[STEP_WORDS] = {
	[NO_STEP] = "none",	[FIRST_STEP] = "first", [MAJOR_STEP] = "major",
	[MINOR_STEP] = "minor", [PATCH_STEP] = "patch",
};

const char *urgency_step_word(enum version_step s)
{
	return step_words[s];
}

int urgency_step_parse(const char *word, enum version_step *out)
{
	for (int s = FIRST_STEP; s < STEP_WORDS; s++) {
		if (strcmp(word, step_words[s]) == 0) {
			*out = (enum version_step)s;
			return 0;
		}
	}
	return -1;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Its first three numbers: of "v2.10-rc.1" 2, 10 and 0. What is no number any more is the end. */
static void numbers_of(const char *s, uint64_t out[3])
{
	while (*s && !is_digit(*s))
		s++;
	for (int i = 0; i < 3; i++) {
		uint64_t v = 0;

		for (; is_digit(*s); s++)
			if (__builtin_mul_overflow(v, 10, &v) ||
			    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
				v = UINT64_MAX / 16;
		out[i] = v;
		if (*s == '.' && is_digit(s[1]))
			s++;
	}
}

enum version_step urgency_version_step(const char *before, const char *version)
{
	static const enum version_step steps[] = { MAJOR_STEP, MINOR_STEP, PATCH_STEP };
	uint64_t old[3], new[3];

	if (before[0] == '\0')
		return FIRST_STEP;
	numbers_of(before, old);
	numbers_of(version, new);
	for (int i = 0; i < 3; i++)
		if (new[i] != old[i])
			return new[i] > old[i] ? steps[i] : NO_STEP;
	/* what is behind the third number, or a pre-release that became one */
	return text_version_cmp(version, before) > 0 ? PATCH_STEP : NO_STEP;
}

/* ---- words in texts ---- */

static bool is_word_byte(uint8_t c)
{
	return is_digit((char)c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* Nothing of a word before at, nothing from end on. */
static bool stands_alone(struct slice text, size_t at, size_t end)
{
	return (at == 0 || !is_word_byte(text.p[at - 1])) &&
	       (end == text.n || !is_word_byte(text.p[end]));
}

static bool has_word(struct slice text, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= text.n; i++)
		if (strncasecmp((const char *)text.p + i, word, n) == 0 &&
		    stands_alone(text, i, i + n))
			return true;
	return false;
}

static size_t digits_at(struct slice text, size_t i)
{
	size_t n = 0;

	while (i + n < text.n && is_digit((char)text.p[i + n]))
		n++;
	return n;
}

/* "CVE-2024-3094": four digits, a hyphen, at least four more. *n: how long it is. */
static bool cve_at(struct slice text, size_t i, size_t *n)
{
	if (i + 9 > text.n || strncasecmp((const char *)text.p + i, "CVE-", 4) != 0 ||
	    digits_at(text, i + 4) != 4 || text.p[i + 8] != '-')
		return false;
	size_t digits = digits_at(text, i + 9);
	*n = 9 + digits;
	return digits >= 4 && stands_alone(text, i, i + *n);
}

static bool has_cve(struct slice text, char id[POLICY_WORD_TEXT])
{
	size_t n;

	for (size_t i = 0; i < text.n; i++) {
		if (!cve_at(text, i, &n))
			continue;
		cause_format(id, POLICY_WORD_TEXT, "%.*s", (int)(n < 31 ? n : 31), text.p + i);
		return true;
	}
	return false;
}

/* ---- rules ---- */

/* Each says in says what it found; false: the rule does not hold. */
static bool says(char out[REASON_TEXT], bool holds, const char *member, const char *wanted,
		 const char *found)
{
	cause_format(out, REASON_TEXT, "%s %s%s, it has %s", member, holds ? "" : "is not ", wanted,
		     found[0] ? found : "none");
	return holds;
}

static bool named(const char *wanted, const struct uuid *id, const char *name)
{
	char text[UUID_TEXT];

	if (strcmp(wanted, name) == 0)
		return true;
	if (!id->set)
		return false;
	uuid_text(text, id);
	return strcasecmp(wanted, text) == 0;
}

static bool vendor_holds(const struct policy_rule *r, const struct urgency_facts *f,
			 char out[REASON_TEXT])
{
	return r->vendor[0] == '\0' || says(out, named(r->vendor, &f->vendor_id, f->manufacturer),
					    "vendor", r->vendor, f->manufacturer);
}

static bool class_holds(const struct policy_rule *r, const struct urgency_facts *f,
			char out[REASON_TEXT])
{
	return r->class_name[0] == '\0' || says(out, named(r->class_name, &f->class_id, f->model),
						"class", r->class_name, f->model);
}

static bool component_holds(const struct policy_rule *r, const struct urgency_facts *f,
			    char out[REASON_TEXT])
{
	if (r->component[0] == '\0')
		return true;
	for (int i = 0; i < f->n_images; i++)
		if (strcmp(f->images[i].name, r->component) == 0)
			return says(out, true, "component", r->component, r->component);
	return says(out, false, "component", r->component,
		    f->n_images > 0 ? f->images[0].name : "");
}

static bool step_holds(const struct policy_rule *r, const struct urgency_facts *f,
		       char out[REASON_TEXT])
{
	if (r->step == NO_STEP)
		return true;
	enum version_step s = urgency_version_step(f->before, f->version);
	cause_format(out, REASON_TEXT, "step %s%s, %s behind %s is %s",
		     s == r->step ? "" : "is not ", step_words[r->step], f->version,
		     f->before[0] ? f->before : "none", step_words[s]);
	return s == r->step;
}

static bool words_hold(const struct policy_rule *r, const struct urgency_facts *f,
		       char out[REASON_TEXT])
{
	if (r->n_words == 0)
		return true;
	for (int w = 0; w < r->n_words; w++) {
		for (int t = 0; t < f->n_texts; t++) {
			if (!has_word(f->texts[t], r->words[w]))
				continue;
			cause_format(out, REASON_TEXT, "\"%s\" is in the text", r->words[w]);
			return true;
		}
	}
	cause_format(out, REASON_TEXT, "none of its words is in the text");
	return false;
}

static bool cve_holds(const struct policy_rule *r, const struct urgency_facts *f,
		      char out[REASON_TEXT])
{
	char id[POLICY_WORD_TEXT];

	if (!r->any_cve)
		return true;
	for (int t = 0; t < f->n_texts; t++) {
		if (!has_cve(f->texts[t], id))
			continue;
		cause_format(out, REASON_TEXT, "%s is in the text", id);
		return true;
	}
	cause_format(out, REASON_TEXT, "no CVE id is in the text");
	return false;
}

/* The last that was looked at is what says tells: the one that failed, or the last that held. */
static bool rule_holds(const struct policy_rule *r, const struct urgency_facts *f,
		       char out[REASON_TEXT])
{
	return vendor_holds(r, f, out) && class_holds(r, f, out) && component_holds(r, f, out) &&
	       step_holds(r, f, out) && words_hold(r, f, out) && cve_holds(r, f, out);
}

/* ---- the order ---- */

static struct urgency_tried *look(struct urgency_verdict *v, const char *evidence, const char *rule)
{
	struct urgency_tried *t = &v->tried[v->n_tried++];

	*t = (struct urgency_tried){ .evidence = evidence, .rule = rule };
	return t;
}

static bool by_priority(const struct policy *p, const struct urgency_facts *f,
			struct urgency_verdict *v)
{
	struct urgency_tried *t = look(v, "update-priority", "");

	t->decides = f->has_priority;
	cause_format(t->says, sizeof(t->says), "the manifest has none");
	if (!f->has_priority)
		return false;
	cause_format(t->says, sizeof(t->says), "%" PRId64, f->priority);
	cause_format(v->by, sizeof(v->by), "update-priority %" PRId64, f->priority);
	v->urgency = urgency_of_priority(p, f->priority);
	return true;
}

static bool by_member(const struct urgency_facts *f, struct urgency_verdict *v)
{
	struct urgency_tried *t = look(v, "urgency", "");

	cause_format(t->says, sizeof(t->says), "%s",
		     f->stated[0] ? f->stated : "the manifest has none");
	t->decides = urgency_parse(f->stated, &v->urgency) == 0;
	cause_format(v->by, sizeof(v->by), "urgency member");
	return t->decides;
}

static bool by_rules(const struct policy *p, const struct urgency_facts *f,
		     struct urgency_verdict *v)
{
	for (int i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];
		struct urgency_tried *t = look(v, "rule", r->name);

		if (!rule_holds(r, f, t->says))
			continue;
		t->decides = true;
		cause_format(v->by, sizeof(v->by), "rule %s", r->name);
		v->urgency = r->urgency;
		return true;
	}
	return false;
}

void urgency_judge(const struct policy *p, const struct urgency_facts *f,
		   struct urgency_verdict *out)
{
	out->n_tried = 0;
	if (by_priority(p, f, out) || by_member(f, out) || by_rules(p, f, out))
		return;
	struct urgency_tried *t = look(out, "default", "");
	t->decides = true;
	cause_format(t->says, sizeof(t->says), "nothing else decides");
	cause_format(out->by, sizeof(out->by), "default");
	out->urgency = p->default_urgency;
}
