/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/policy.h"

#include <string.h>
#include <strings.h>

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* The table of behaviour.md 3. */
static const struct policy defaults = {
	.strategy = {
		[URGENCY_CRITICAL] = {
			.window_until_deadline = true, .deadline_s = 4 * HOUR, .preempt = true,
			.defer_max_s = 15 * MINUTE, .defer_count = 2,
			.retries = 5, .backoff_min_s = 5 * MINUTE, .backoff_max_s = HOUR,
			.contact_interval_s = 5 * MINUTE,
		},
		[URGENCY_HIGH] = {
			.window_until_deadline = true, .deadline_s = 3 * DAY,
			.defer_max_s = 12 * HOUR, .defer_count = 4,
			.retries = 4, .backoff_min_s = 15 * MINUTE, .backoff_max_s = 6 * HOUR,
			.contact_interval_s = 15 * MINUTE,
		},
		[URGENCY_NORMAL] = {
			.window_download = true, .deadline_s = 30 * DAY,
			.defer_max_s = 7 * DAY, .defer_count = 8,
			.retries = 3, .backoff_min_s = HOUR, .backoff_max_s = DAY,
			.contact_interval_s = HOUR,
		},
		[URGENCY_LOW] = {
			.window_download = true, .idle_only = true,
			.defer_max_s = 30 * DAY, .defer_count = -1,
			.retries = 2, .backoff_min_s = DAY, .backoff_max_s = DAY,
			.contact_interval_s = HOUR,
		},
	},
	.contact_interval_s = HOUR,
	.min_rate = 1024,
	.status_max_age_s = 5 * MINUTE,
	.offer_timeout_s = DAY,
	.decide_timeout_s = DAY,
	.install_timeout_s = 2 * HOUR,
	.reboot_timeout_s = HOUR,
	.confirm_timeout_s = HOUR,
	.download_slack_s = HOUR,
	.install_expected_s = 10 * MINUTE,
	.default_urgency = URGENCY_NORMAL,
	.priority_max = { [URGENCY_CRITICAL] = -1, [URGENCY_HIGH] = 99, [URGENCY_NORMAL] = 199 },
	.approve_above = -1,
};

void policy_defaults(struct policy *p)
{
	*p = defaults;
}

/* Seconds in policies are bounded by POLICY_SECONDS_MAX, sizes are not. */
static int64_t cap(int64_t v, int64_t max)
{
	return v > max ? max : v;
}

int64_t policy_backoff_ms(const struct strategy *s, int attempt)
{
	int64_t wait = s->backoff_min_s;

	for (int i = 1; i < attempt && wait < s->backoff_max_s; i++)
		wait *= 2;
	return cap(wait, s->backoff_max_s) * 1000;
}

static int64_t download_s(const struct policy *p, uint64_t size)
{
	uint64_t rate = p->min_rate > 0 ? (uint64_t)p->min_rate : 1;
	uint64_t seconds = size / rate + (size % rate ? 1 : 0);

	return cap(seconds > POLICY_SECONDS_MAX ? POLICY_SECONDS_MAX : (int64_t)seconds,
		   POLICY_SECONDS_MAX - p->download_slack_s) +
	       p->download_slack_s;
}

/* Three of its contacts must have been missed before a device that only polls counts as silent. */
static int64_t patient(const struct policy *p, enum urgency u, int64_t seconds)
{
	int64_t contacts = 3 * p->strategy[u].contact_interval_s;

	return contacts > seconds ? contacts : seconds;
}

int64_t policy_timeout_ms(const struct policy *p, enum update_state s, enum urgency u,
			  uint64_t size)
{
	switch (s) {
	case UPDATE_OFFERED:
		return patient(p, u, p->offer_timeout_s) * 1000;
	case UPDATE_ACCEPTED:
		return patient(p, u, p->decide_timeout_s) * 1000;
	case UPDATE_DOWNLOADING:
		return download_s(p, size) * 1000;
	case UPDATE_DOWNLOADED:
	case UPDATE_INSTALLING:
		return p->install_timeout_s * 1000;
	case UPDATE_REBOOTING:
		return p->reboot_timeout_s * 1000;
	case UPDATE_CONFIRMING:
		return p->confirm_timeout_s * 1000;
	case UPDATE_PLANNED:
	case UPDATE_DEFERRED:
	case UPDATE_SUCCEEDED:
	case UPDATE_FAILED:
	case UPDATE_REJECTED:
	case UPDATE_TIMED_OUT:
	case UPDATE_ROLLED_BACK:
	case UPDATE_CANCELLED:
	case UPDATE_SUPERSEDED:
	case UPDATE_EXPIRED:
	case UPDATE_STATE_COUNT:
		break;
	}
	return 0;
}

/* splitmix64's finaliser: neighbours end far apart. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

int64_t policy_spread_s(int64_t interval_s, int64_t dev, int64_t wall_ms)
{
	int64_t quarter = interval_s / 4;

	if (quarter <= 0)
		return interval_s > 0 ? interval_s : 1;
	uint64_t r = mix((uint64_t)dev * 0x9e3779b97f4a7c15u + (uint64_t)(wall_ms / 1000));
	return interval_s - (int64_t)(r % ((uint64_t)quarter + 1));
}

static bool names_class(const struct policy_class *c, const struct uuid *class_id,
			const char *model)
{
	char text[UUID_TEXT];

	if (model[0] != '\0' && strcmp(c->class_name, model) == 0)
		return true;
	if (!class_id->set)
		return false;
	uuid_text(text, class_id);
	return strcasecmp(c->class_name, text) == 0;
}

const struct policy_class *policy_class_of(const struct policy *p, const struct uuid *class_id,
					   const char *model)
{
	for (int i = 0; i < p->n_classes; i++)
		if (names_class(&p->classes[i], class_id, model))
			return &p->classes[i];
	return NULL;
}

int64_t policy_contact_s(const struct policy *p, const struct device *d)
{
	if (d->contact_interval_s > 0)
		return d->contact_interval_s;
	const struct policy_class *c = policy_class_of(p, &d->class_id, d->model);
	return c && c->contact_interval_s > 0 ? c->contact_interval_s : p->contact_interval_s;
}

bool policy_wants_approver(const struct policy *p, int64_t devices)
{
	return p->approve_above >= 0 && devices > p->approve_above;
}

int policy_check_approver(enum role role, const char *who, const char *by, struct err *e)
{
	if (role != ROLE_APPROVER && role != ROLE_ADMIN)
		return err_set(e, ERR_FORBIDDEN, "an approver has to agree to it");
	if (strcmp(who, by) == 0)
		return err_set(e, ERR_FORBIDDEN, "somebody other than %s has to agree to it", by);
	return 0;
}

bool policy_approves_key(const struct policy *p, const struct digest *key_id)
{
	for (int i = 0; i < p->n_auto_approve; i++)
		if (digest_eq(&p->auto_approve[i], key_id))
			return true;
	return false;
}
