/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/model.h"

#include <string.h>

static const char *const roles[ROLE_COUNT] = {
	[ROLE_NONE] = "none",	    [ROLE_DEVICE] = "device",	  [ROLE_VIEWER] = "viewer",
	[ROLE_AUTHOR] = "author",   [ROLE_OPERATOR] = "operator", [ROLE_APPROVER] = "approver",
	[ROLE_ADMIN] = "admin",
};

static const char *const modes[MODE_COUNT] = {
	[MODE_UNSET] = "unset",
	[MODE_CLIENT] = "client",
	[MODE_SERVER] = "server",
	[MODE_NEGOTIATED] = "negotiated",
};

static const char *const urgencies[URGENCY_COUNT] = {
	[URGENCY_CRITICAL] = "critical",
	[URGENCY_HIGH] = "high",
	[URGENCY_NORMAL] = "normal",
	[URGENCY_LOW] = "low",
};

static const char *const release_states[RELEASE_STATE_COUNT] = {
	[RELEASE_SUBMITTED] = "submitted",
	[RELEASE_APPROVED] = "approved",
	[RELEASE_WITHDRAWN] = "withdrawn",
	[RELEASE_SUPERSEDED] = "superseded",
};

static const char *const update_states[UPDATE_STATE_COUNT] = {
	[UPDATE_PLANNED] = "planned",
	[UPDATE_OFFERED] = "offered",
	[UPDATE_DEFERRED] = "deferred",
	[UPDATE_ACCEPTED] = "accepted",
	[UPDATE_DOWNLOADING] = "downloading",
	[UPDATE_DOWNLOADED] = "downloaded",
	[UPDATE_INSTALLING] = "installing",
	[UPDATE_REBOOTING] = "rebooting",
	[UPDATE_CONFIRMING] = "confirming",
	[UPDATE_SUCCEEDED] = "succeeded",
	[UPDATE_FAILED] = "failed",
	[UPDATE_REJECTED] = "rejected",
	[UPDATE_TIMED_OUT] = "timed-out",
	[UPDATE_ROLLED_BACK] = "rolled-back",
	[UPDATE_CANCELLED] = "cancelled",
	[UPDATE_SUPERSEDED] = "superseded",
	[UPDATE_EXPIRED] = "expired",
};

static const char *const failures[FAILURE_COUNT] = {
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

static const char *const rollout_states[ROLLOUT_STATE_COUNT] = {
	[ROLLOUT_DRAFT] = "draft",
	[ROLLOUT_CREATING] = "creating",
	[ROLLOUT_AWAITING_APPROVAL] = "awaiting-approval",
	[ROLLOUT_READY] = "ready",
	[ROLLOUT_RUNNING] = "running",
	[ROLLOUT_PAUSED] = "paused",
	[ROLLOUT_FINISHED] = "finished",
	[ROLLOUT_ABORTED] = "aborted",
};

static const char *const job_states[JOB_STATE_COUNT] = {
	[JOB_RUNNING] = "running",
	[JOB_DONE] = "done",
	[JOB_FAILED] = "failed",
	[JOB_CANCELLED] = "cancelled",
};

static int find(const char *const *words, int n, const char *w)
{
	for (int i = 0; w && i < n; i++)
		if (strcmp(words[i], w) == 0)
			return i;
	return -1;
}

#define WORD_FUNCTION(name, words, count)                                                         \
	const char *name##_word(enum name v)                                                      \
	{                                                                                         \
		return (unsigned)v < (unsigned)(count) ? (words)[v] : "?";                        \
	}

#define PARSE_FUNCTION(name, words, count)                                                        \
	int name##_parse(const char *w, enum name *out)                                           \
	{                                                                                         \
		int v = find(words, count, w);                                                    \
		if (v < 0)                                                                        \
			return -1;                                                                \
		*out = (enum name)v;                                                              \
		return 0;                                                                         \
	}

WORD_FUNCTION(role, roles, ROLE_COUNT)
WORD_FUNCTION(mode, modes, MODE_COUNT)
WORD_FUNCTION(urgency, urgencies, URGENCY_COUNT)
WORD_FUNCTION(release_state, release_states, RELEASE_STATE_COUNT)
WORD_FUNCTION(update_state, update_states, UPDATE_STATE_COUNT)
WORD_FUNCTION(failure, failures, FAILURE_COUNT)
WORD_FUNCTION(rollout_state, rollout_states, ROLLOUT_STATE_COUNT)
WORD_FUNCTION(job_state, job_states, JOB_STATE_COUNT)

PARSE_FUNCTION(role, roles, ROLE_COUNT)
PARSE_FUNCTION(mode, modes, MODE_COUNT)
PARSE_FUNCTION(urgency, urgencies, URGENCY_COUNT)
PARSE_FUNCTION(release_state, release_states, RELEASE_STATE_COUNT)
PARSE_FUNCTION(update_state, update_states, UPDATE_STATE_COUNT)
PARSE_FUNCTION(failure, failures, FAILURE_COUNT)
PARSE_FUNCTION(rollout_state, rollout_states, ROLLOUT_STATE_COUNT)

bool update_state_terminal(enum update_state s)
{
	return s >= UPDATE_SUCCEEDED && s < UPDATE_STATE_COUNT;
}

/* What holds a slot of the rollout's budget: a deferral has given its slot back. */
bool update_state_in_flight(enum update_state s)
{
	return s >= UPDATE_OFFERED && s <= UPDATE_CONFIRMING && s != UPDATE_DEFERRED;
}
