/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_POLICY_H
#define FETTLE_TRACKER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/model.h"

/* No duration in a policy is longer: ten years, so that sums of a few stay far from overflow. */
#define POLICY_SECONDS_MAX (10ll * 365 * 86400)

/* Bounds of what a policy holds. */
#define POLICY_RULES_MAX 32
#define POLICY_WORDS_MAX 8
#define POLICY_WORD_TEXT 32
#define POLICY_CLASSES_MAX 32
#define POLICY_KEYS_MAX 8

/* How a version differs from the one approved before it, by its first three numbers. */
enum version_step { NO_STEP, FIRST_STEP, MAJOR_STEP, MINOR_STEP, PATCH_STEP, STEP_WORDS };

/* All that a rule names must hold; what is "", 0 or NO_STEP it does not name. */
struct policy_rule {
	char name[NAME_TEXT];
	char vendor[NAME_TEXT];		/* domain or UUID */
	char class_name[NAME_TEXT];	/* SUIT class id, or model */
	char component[NAME_TEXT];	/* of an image the manifest has */
	enum version_step step;
	/* one of them stands in the manifest's text, as a word of its own, in either case */
	char words[POLICY_WORDS_MAX][POLICY_WORD_TEXT];
	int n_words;
	bool any_cve;			/* a CVE id, whichever */
	enum urgency urgency;
};

/* What devices of a class have where neither an operator nor they themselves said otherwise. */
struct policy_class {
	char class_name[NAME_TEXT];	/* SUIT class id, or model */
	enum mode mode;			/* MODE_UNSET: no default */
	int64_t contact_interval_s;	/* 0: no default */
};

/* Of a device nobody enrolled, on a plain listener. */
enum first_contact { FIRST_REFUSE, FIRST_HOLD, FIRST_ACCEPT };

/*
 * Class strategies (behaviour.md 3). Pure values; defaults compiled in, changed by policy
 * documents.
 */
struct strategy {
	bool window_until_deadline;	/* windows hold only until the deadline */
	bool window_download;		/* windows govern downloading, too, not only installing */
	bool idle_only;
	bool preempt;			/* may stop downloads of lower classes; critical alone */
	int64_t deadline_s;		/* 0 none */
	int64_t defer_max_s;
	int defer_count;		/* -1 any */
	int retries;
	int64_t backoff_min_s, backoff_max_s;
	int64_t contact_interval_s;	/* while an update waits */
	int64_t outage_s;		/* expected where the release does not say; 0: not known */
};

struct policy {
	struct strategy strategy[URGENCY_COUNT];
	int64_t contact_interval_s;	/* nothing pending; default 3600 */
	/* bytes a second a download is allowed to take at the slowest, default 1024 */
	int64_t min_rate;
	/* older, a device's service status is asked for; default 300 */
	int64_t status_max_age_s;
	int64_t offer_timeout_s, decide_timeout_s;
	int64_t install_timeout_s, reboot_timeout_s, confirm_timeout_s;
	int64_t download_slack_s;
	/* what installing is taken to need of a window, default 600 */
	int64_t install_expected_s;
	bool allow_external;		/* releases whose images are elsewhere */
	enum first_contact first_contact;
	enum urgency default_urgency;
	/* highest update-priority of critical, high and normal; above: low */
	int64_t priority_max[URGENCY_LOW];
	struct policy_rule rules[POLICY_RULES_MAX];	/* the first that holds decides */
	int n_rules;
	struct policy_class classes[POLICY_CLASSES_MAX];	/* the first that fits */
	int n_classes;
	/* releases verified by one of these keys are approved without a person */
	struct digest auto_approve[POLICY_KEYS_MAX];
	int n_auto_approve;
	/* rollouts to more devices wait for an approver; -1: none do */
	int64_t approve_above;
	bool release_approver;		/* so do releases: of one who did not hand them in */
};

void policy_defaults(struct policy *p);
/* The "settings" policy document over the defaults: unknown members are errors. */
int policy_apply(struct policy *p, const struct doc *d, struct err *e);
int policy_write(const struct policy *p, struct arena *a, struct doc *out);
/* The defaults of this device's class, NULL when there are none. */
const struct policy_class *policy_class_of(const struct policy *p, const struct uuid *class_id,
					   const char *model);
/* How often this device comes while nothing waits: its own, its class's, everyone's. */
int64_t policy_contact_s(const struct policy *p, const struct device *d);
/* Must somebody else agree before a rollout to so many devices may start? */
bool policy_wants_approver(const struct policy *p, int64_t devices);
/*
 * May who (a name as audit knows it) agree to what by asked for? 0, or -1 ERR_FORBIDDEN.
 * Admins and approvers may, but never to what they asked for themselves.
 */
int policy_check_approver(enum role role, const char *who, const char *by, struct err *e);
/* Was it verified by a key whose releases need no person? */
bool policy_approves_key(const struct policy *p, const struct digest *key_id);
/* ms until attempt n+1, doubled each time, capped. */
int64_t policy_backoff_ms(const struct strategy *s, int attempt);
/* How long an update may stay in a state, ms; size is the sum of its images. 0: no timeout. */
int64_t policy_timeout_ms(const struct policy *p, enum update_state s, enum urgency u,
			  uint64_t size);
/*
 * Spread: a contact time in [0.75, 1.0] of the interval by device and time, so that no two
 * fleets march in step.
 */
int64_t policy_spread_s(int64_t interval_s, int64_t dev, int64_t wall_ms);

#endif
