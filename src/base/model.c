/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/model.h"

#include <string.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char *const role_words[ROLE_COUNT] = {
	[ROLE_NONE] = "none",	  [ROLE_DEVICE] = "device",	[ROLE_VIEWER] = "viewer",
	[ROLE_AUTHOR] = "author", [ROLE_OPERATOR] = "operator", [ROLE_APPROVER] = "approver",
	[ROLE_ADMIN] = "admin",
};

static const char *const mode_words[MODE_COUNT] = {
	[MODE_UNSET] = "unset",
	[MODE_CLIENT] = "client",
	[MODE_SERVER] = "server",
	[MODE_NEGOTIATED] = "negotiated",
};

static const char *const urgency_words[URGENCY_COUNT] = {
	[URGENCY_CRITICAL] = "critical",
	[URGENCY_HIGH] = "high",
	[URGENCY_NORMAL] = "normal",
	[URGENCY_LOW] = "low",
};

static const char *const release_state_words[RELEASE_STATE_COUNT] = {
	[RELEASE_SUBMITTED] = "submitted",
	[RELEASE_APPROVED] = "approved",
	[RELEASE_WITHDRAWN] = "withdrawn",
	[RELEASE_SUPERSEDED] = "superseded",
};

static const char *const window_level_words[WINDOW_LEVEL_COUNT] = {
	[WINDOW_DEVICE] = "device",
	[WINDOW_GROUP] = "group",
	[WINDOW_CLASS] = "class",
	[WINDOW_ROLLOUT] = "rollout",
};

static const char *const update_state_words[UPDATE_STATE_COUNT] = {
	[UPDATE_PLANNED] = "planned",	      [UPDATE_OFFERED] = "offered",
	[UPDATE_DEFERRED] = "deferred",	      [UPDATE_ACCEPTED] = "accepted",
	[UPDATE_DOWNLOADING] = "downloading", [UPDATE_DOWNLOADED] = "downloaded",
	[UPDATE_INSTALLING] = "installing",   [UPDATE_REBOOTING] = "rebooting",
	[UPDATE_CONFIRMING] = "confirming",   [UPDATE_SUCCEEDED] = "succeeded",
	[UPDATE_FAILED] = "failed",	      [UPDATE_REJECTED] = "rejected",
	[UPDATE_TIMED_OUT] = "timed-out",     [UPDATE_ROLLED_BACK] = "rolled-back",
	[UPDATE_CANCELLED] = "cancelled",     [UPDATE_SUPERSEDED] = "superseded",
	[UPDATE_EXPIRED] = "expired",
};

static const char *const failure_words[FAILURE_COUNT] = {
	[FAILURE_NONE] = "none",
	[FAILURE_DOWNLOAD] = "download",
	[FAILURE_SIGNATURE] = "signature",
	[FAILURE_DIGEST] = "digest",
	[FAILURE_INCOMPATIBLE] = "incompatible",
	[FAILURE_SPACE] = "space",
	[FAILURE_POWER] = "power",
	[FAILURE_INSTALL] = "install",
	[FAILURE_BOOT] = "boot",
	[FAILURE_TIMEOUT] = "timeout",
	[FAILURE_OTHER] = "other",
};

static const char *const rollout_state_words[ROLLOUT_STATE_COUNT] = {
	[ROLLOUT_DRAFT] = "draft",
	[ROLLOUT_CREATING] = "creating",
	[ROLLOUT_AWAITING_APPROVAL] = "awaiting-approval",
	[ROLLOUT_READY] = "ready",
	[ROLLOUT_RUNNING] = "running",
	[ROLLOUT_PAUSED] = "paused",
	[ROLLOUT_FINISHED] = "finished",
	[ROLLOUT_ABORTED] = "aborted",
};

static const char *const job_state_words[JOB_STATE_COUNT] = {
	[JOB_RUNNING] = "running",
	[JOB_DONE] = "done",
	[JOB_FAILED] = "failed",
	[JOB_CANCELLED] = "cancelled",
};

static const char *const update_order_words[ORDER_COUNT] = {
	[ORDER_ANY] = "any",
	[ORDER_LEAF_FIRST] = "leaf-first",
	[ORDER_CORE_FIRST] = "core-first",
};

static const char *word_at(const char *const *words, size_t n, size_t i)
{
	return i < n ? words[i] : "unknown";
}

static int word_find(const char *const *words, size_t n, const char *w)
{
	for (size_t i = 0; w && i < n; i++)
		if (strcmp(words[i], w) == 0)
			return (int)i;
	return -1;
}

#define WORD_FUNCTION(type)                                                      \
	const char *type##_word(enum type v)                                     \
	{                                                                        \
		return word_at(type##_words, COUNT_OF(type##_words), (size_t)v); \
	}

#define PARSE_FUNCTION(type)                                                \
	int type##_parse(const char *w, enum type *out)                     \
	{                                                                   \
		int i = word_find(type##_words, COUNT_OF(type##_words), w); \
		if (i < 0)                                                  \
			return -1;                                          \
		*out = (enum type)i;                                        \
		return 0;                                                   \
	}

WORD_FUNCTION(role)
WORD_FUNCTION(mode)
WORD_FUNCTION(urgency)
WORD_FUNCTION(release_state)
WORD_FUNCTION(update_state)
WORD_FUNCTION(failure)
WORD_FUNCTION(rollout_state)
WORD_FUNCTION(job_state)
WORD_FUNCTION(window_level)
WORD_FUNCTION(update_order)
PARSE_FUNCTION(role)
PARSE_FUNCTION(mode)
PARSE_FUNCTION(urgency)
PARSE_FUNCTION(release_state)
PARSE_FUNCTION(update_state)
PARSE_FUNCTION(failure)
PARSE_FUNCTION(rollout_state)
PARSE_FUNCTION(job_state)
PARSE_FUNCTION(window_level)
PARSE_FUNCTION(update_order)

bool update_state_terminal(enum update_state s)
{
	return s >= UPDATE_SUCCEEDED && s < UPDATE_STATE_COUNT;
}

bool update_state_in_flight(enum update_state s)
{
	return s > UPDATE_PLANNED && s < UPDATE_SUCCEEDED && s != UPDATE_DEFERRED;
}
