/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/state.h"

#include <string.h>

/* One cell: where the event leads, and how. A zeroed cell refuses. */
struct cell {
	uint8_t how;
	uint8_t to;
};

enum { REFUSED, GO, SKIP, LATE, NONE };

/* clang-format off */
#define R { REFUSED, 0 }
#define N { NONE, 0 }
#define G(s) { GO, UPDATE_##s }
#define I(s) { SKIP, UPDATE_##s }
#define L(s) { LATE, UPDATE_##s }

/*
 * Columns in the order of enum update_state:
 *	planned offered deferred accepted downloading downloaded installing rebooting confirming
 *	succeeded failed rejected timed-out rolled-back cancelled superseded expired
 * R refuses, N changes nothing, G goes, I goes over states that must have been, L is late.
 * A device that is writing its flash cannot be called back: from installing on only
 * its own word, or silence, ends an update.
 */
static const struct cell table[EVENT_COUNT][UPDATE_STATE_COUNT] = {
	[EVENT_OFFER] = { G(OFFERED), R, G(OFFERED), R, R, R, R, R, R,
			  R, R, R, R, R, R, R, R },
	[EVENT_RETRY] = { R, G(PLANNED), R, G(PLANNED), G(PLANNED), G(PLANNED), G(PLANNED),
			  G(PLANNED), G(PLANNED),
			  R, G(PLANNED), R, G(PLANNED), G(PLANNED), R, R, R },
	[EVENT_CANCEL] = { G(CANCELLED), G(CANCELLED), G(CANCELLED), G(CANCELLED), G(CANCELLED),
			   G(CANCELLED), R, R, R,
			   R, R, R, R, R, R, R, R },
	[EVENT_SUPERSEDE] = { G(SUPERSEDED), G(SUPERSEDED), G(SUPERSEDED), G(SUPERSEDED),
			      G(SUPERSEDED), G(SUPERSEDED), R, R, R,
			      R, R, R, R, R, R, R, R },
	[EVENT_EXPIRE] = { G(EXPIRED), G(EXPIRED), G(EXPIRED), G(EXPIRED), G(EXPIRED),
			   G(EXPIRED), R, R, R,
			   R, R, R, R, R, R, R, R },
	[EVENT_TIMEOUT] = { G(TIMED_OUT), G(TIMED_OUT), R, G(TIMED_OUT), G(TIMED_OUT),
			    G(TIMED_OUT), G(TIMED_OUT), G(TIMED_OUT), G(TIMED_OUT),
			    R, R, R, R, R, R, R, R },
	[EVENT_SERVER_DEFER] = { R, G(DEFERRED), G(DEFERRED), G(DEFERRED), R, R, R, R, R,
				 R, R, R, R, R, R, R, R },
	[EVENT_RETURN] = { R, G(PLANNED), G(PLANNED), G(PLANNED), G(PLANNED), G(PLANNED), R, R, R,
			   R, R, R, R, R, R, R, R },

	[EVENT_ACCEPTED] = { I(ACCEPTED), G(ACCEPTED), I(ACCEPTED), N, N, N, N, N, N,
			     N, N, N, N, N, N, N, N },
	[EVENT_DEFERRED] = { I(DEFERRED), G(DEFERRED), G(DEFERRED), G(DEFERRED), G(DEFERRED),
			     G(DEFERRED), N, N, N,
			     N, N, N, N, N, N, N, N },
	[EVENT_REJECTED] = { I(REJECTED), G(REJECTED), G(REJECTED), G(REJECTED), G(REJECTED),
			     G(REJECTED), G(REJECTED), G(REJECTED), G(REJECTED),
			     N, N, N, N, N, N, N, N },
	[EVENT_DOWNLOADING] = { I(DOWNLOADING), I(DOWNLOADING), I(DOWNLOADING), G(DOWNLOADING),
				N, N, N, N, N,
				N, N, N, N, N, N, N, N },
	[EVENT_DOWNLOADED] = { I(DOWNLOADED), I(DOWNLOADED), I(DOWNLOADED), I(DOWNLOADED),
			       G(DOWNLOADED), N, N, N, N,
			       N, N, N, N, N, N, N, N },
	[EVENT_INSTALLING] = { I(INSTALLING), I(INSTALLING), I(INSTALLING), I(INSTALLING),
			       I(INSTALLING), G(INSTALLING), N, N, N,
			       N, N, N, N, N, N, N, N },
	[EVENT_REBOOTING] = { I(REBOOTING), I(REBOOTING), I(REBOOTING), I(REBOOTING),
			      I(REBOOTING), I(REBOOTING), G(REBOOTING), N, N,
			      N, N, N, N, N, N, N, N },
	[EVENT_INSTALLED] = { I(CONFIRMING), I(CONFIRMING), I(CONFIRMING), I(CONFIRMING),
			      I(CONFIRMING), I(CONFIRMING), I(CONFIRMING), G(CONFIRMING), N,
			      N, N, N, N, N, N, N, N },
	[EVENT_CONFIRMED] = { I(SUCCEEDED), I(SUCCEEDED), I(SUCCEEDED), I(SUCCEEDED),
			      I(SUCCEEDED), I(SUCCEEDED), I(SUCCEEDED), I(SUCCEEDED), G(SUCCEEDED),
			      N, L(SUCCEEDED), N, L(SUCCEEDED), N, L(SUCCEEDED), N, N },
	[EVENT_ROLLED_BACK] = { I(ROLLED_BACK), I(ROLLED_BACK), I(ROLLED_BACK), I(ROLLED_BACK),
				I(ROLLED_BACK), I(ROLLED_BACK), G(ROLLED_BACK), G(ROLLED_BACK),
				G(ROLLED_BACK),
				N, N, N, N, N, N, N, N },
	[EVENT_FAILED] = { I(FAILED), G(FAILED), I(FAILED), G(FAILED), G(FAILED), G(FAILED),
			   G(FAILED), G(FAILED), G(FAILED),
			   N, N, N, N, N, N, N, N },
};
/* clang-format on */

bool state_next(enum update_state from, enum update_event ev, struct transition *t)
{
	if ((unsigned)from >= UPDATE_STATE_COUNT || (unsigned)ev >= EVENT_COUNT)
		return false;

	const struct cell *c = &table[ev][from];
	*t = (struct transition){
		.to = c->how == NONE ? from : (enum update_state)c->to,
		.inferred = c->how == SKIP,
		.late = c->how == LATE,
		.none = c->how == NONE,
	};
	return c->how != REFUSED;
}

static const char *const words[EVENT_COUNT] = {
	[EVENT_OFFER] = "offer",
	[EVENT_RETRY] = "retry",
	[EVENT_CANCEL] = "cancel",
	[EVENT_SUPERSEDE] = "supersede",
	[EVENT_EXPIRE] = "expire",
	[EVENT_TIMEOUT] = "timeout",
	[EVENT_SERVER_DEFER] = "server-defer",
	[EVENT_RETURN] = "return",
	[EVENT_ACCEPTED] = "accepted",
	[EVENT_DEFERRED] = "deferred",
	[EVENT_REJECTED] = "rejected",
	[EVENT_DOWNLOADING] = "downloading",
	[EVENT_DOWNLOADED] = "downloaded",
	[EVENT_INSTALLING] = "installing",
	[EVENT_REBOOTING] = "rebooting",
	[EVENT_INSTALLED] = "installed",
	[EVENT_CONFIRMED] = "succeeded",
	[EVENT_ROLLED_BACK] = "rolled-back",
	[EVENT_FAILED] = "failed",
};

const char *update_event_word(enum update_event ev)
{
	return (unsigned)ev < EVENT_COUNT ? words[ev] : "unknown";
}

bool update_event_is_fact(enum update_event ev)
{
	return ev >= EVENT_ACCEPTED && ev < EVENT_COUNT;
}

int update_event_of_report(const char *word, enum update_event *ev)
{
	/* the state's own name, besides the event's */
	if (strcmp(word, "confirming") == 0) {
		*ev = EVENT_INSTALLED;
		return 0;
	}
	for (int i = EVENT_ACCEPTED; i < EVENT_COUNT; i++) {
		if (strcmp(word, words[i]) == 0) {
			*ev = (enum update_event)i;
			return 0;
		}
	}
	return -1;
}

/* +1 when the change enters what is asked, -1 when it leaves it. */
static int moved(bool was, bool is)
{
	return (is ? 1 : 0) - (was ? 1 : 0);
}

struct counts state_counts(enum update_state from, enum update_state to, bool charged_before,
			   bool charged_after)
{
	return (struct counts){
		.planned = moved(from == UPDATE_PLANNED, to == UPDATE_PLANNED),
		.in_flight = moved(update_state_in_flight(from), update_state_in_flight(to)),
		.deferred = moved(from == UPDATE_DEFERRED, to == UPDATE_DEFERRED),
		.failed = moved(charged_before, charged_after),
		.succeeded = moved(from == UPDATE_SUCCEEDED, to == UPDATE_SUCCEEDED),
		.timed_out = moved(from == UPDATE_TIMED_OUT, to == UPDATE_TIMED_OUT),
		.ended = moved(update_state_terminal(from), update_state_terminal(to)),
	};
}
