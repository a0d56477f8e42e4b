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

/*
 * Class strategies (behaviour.md 3). Pure values; defaults compiled in, changed by policy
 * documents.
 */
struct strategy {
	bool window_until_deadline;	/* windows hold only until the deadline */
	bool window_download;		/* windows govern downloading, too, not only installing */
	bool idle_only;
	int64_t deadline_s;		/* 0 none */
	int64_t defer_max_s;
	int defer_count;		/* -1 any */
	int retries;
	int64_t backoff_min_s, backoff_max_s;
	int64_t contact_interval_s;	/* while an update waits */
};

struct policy {
	struct strategy strategy[URGENCY_COUNT];
	int64_t contact_interval_s;	/* nothing pending; default 3600 */
	/* bytes a second a download is allowed to take at the slowest, default 1024 */
	int64_t min_rate;
	int64_t offer_timeout_s, decide_timeout_s;
	int64_t install_timeout_s, reboot_timeout_s, confirm_timeout_s;
	int64_t download_slack_s;
	int64_t install_expected_s;	/* what installing is taken to need of a window, default 600 */
	bool allow_external;		/* releases whose images are elsewhere */
	bool first_contact_plain;	/* a plain listener may enrol as auth none */
	enum urgency default_urgency;
};

void policy_defaults(struct policy *p);
/* The "settings" policy document over the defaults: unknown members are errors. */
int policy_apply(struct policy *p, const struct doc *d, struct err *e);
int policy_write(const struct policy *p, struct arena *a, struct doc *out);
/* Urgency by SUIT update-priority: < 0 critical, 0-99 high, 100-199 normal, >= 200 low. */
enum urgency urgency_of_priority(int64_t priority);
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
