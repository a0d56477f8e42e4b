/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_URGENCY_H
#define FETTLE_TRACKER_URGENCY_H

#include "tracker/policy.h"

/*
 * Which urgency class a release has (behaviour.md 3). Pure: the evidence in its order is the
 * SUIT update-priority (wait information's included), the manifest's urgency member, the
 * policy's rules, the default.
 */
#define URGENCY_TEXTS_MAX 4

struct urgency_facts {
	bool has_priority;
	int64_t priority;
	const char *stated;		/* the urgency member, "" none */
	const char *manufacturer, *model;
	struct uuid vendor_id, class_id;
	const char *version;
	const char *before;		/* version approved before it for its class, "" none */
	const struct manifest_image *images;
	int n_images;
	struct slice texts[URGENCY_TEXTS_MAX];	/* what it says to people */
	int n_texts;
};

/* One piece of evidence that was looked at: "update-priority", "urgency", "rule", "default". */
struct urgency_tried {
	const char *evidence;
	const char *rule;		/* its name, in the policy; "" of the others */
	bool decides;
	char says[REASON_TEXT];
};
#define URGENCY_TRIED_MAX (POLICY_RULES_MAX + 3)

struct urgency_verdict {
	enum urgency urgency;
	char by[NAME_TEXT];		/* "update-priority -1", "rule security" ..., cut to fit */
	struct urgency_tried tried[URGENCY_TRIED_MAX];
	int n_tried;			/* the last one decided */
};

enum urgency urgency_of_priority(const struct policy *p, int64_t priority);
/* What differs first among major, minor and patch; FIRST_STEP when before is "". */
enum version_step urgency_version_step(const char *before, const char *version);
const char *urgency_step_word(enum version_step s);
int urgency_step_parse(const char *word, enum version_step *out);
void urgency_judge(const struct policy *p, const struct urgency_facts *f,
		   struct urgency_verdict *out);

#endif
