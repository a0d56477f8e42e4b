/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "codec/docfmt.h"
#include "tracker/policy.h"
#include "tracker/urgency.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* What is taken is written such that it is taken again, and says the same. */
static void round_trip(const struct policy *p, struct arena *a)
{
	struct doc *d = doc_map(a, NULL, NULL);
	struct policy again;
	struct err e;

	if (policy_write(p, a, d) != 0)
		return;
	policy_defaults(&again);
	must(policy_apply(&again, d, &e) == 0);
	must(again.n_rules == p->n_rules && again.n_classes == p->n_classes);
	must(again.n_auto_approve == p->n_auto_approve);
	must(again.default_urgency == p->default_urgency);
	must(memcmp(again.strategy, p->strategy, sizeof(again.strategy)) == 0);
}

/* The document itself is the text that its rules search. */
static void judge(const struct policy *p, struct slice text)
{
	struct urgency_facts f = { .stated = "",
				   .manufacturer = "example.com",
				   .model = "lamp",
				   .version = "1.2.3",
				   .before = "1.2.2",
				   .texts = { text },
				   .n_texts = 1 };
	struct urgency_verdict v;

	urgency_judge(p, &f, &v);
	must(v.n_tried >= 1 && v.n_tried <= URGENCY_TRIED_MAX);
	must(v.urgency < URGENCY_COUNT && v.tried[v.n_tried - 1].decides);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(1u << 20);
	const struct doc *d;
	struct policy p;
	struct err e;

	policy_defaults(&p);
	if (docfmt_decode(MEDIA_JSON, slice_of(data, size), &a, &d, &e) == 0 &&
	    policy_apply(&p, d, &e) == 0) {
		round_trip(&p, &a);
		judge(&p, slice_of(data, size));
	}
	arena_free(&a);
	return 0;
}
