/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "base/message.h"
#include "base/text.h"
#include "cli/cli.h"
#include "codec/docfmt.h"
#include "codec/suit.h"
#include "tracker/policy.h"

/* Policy: what holds, whether a file would, and what it makes of a manifest. */
#define API "/api/v1"
#define POLICY_MAX 65536

int cmd_policy_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", API "/policies/settings", NULL, e);
}

static const struct doc *read_policy(struct ctx *c, const char *file, struct err *e)
{
	const struct doc *body = NULL;
	struct buf in = BUF_INIT(0);

	if (file_read(file, POLICY_MAX, &in, e) == 0 &&
	    docfmt_decode(MEDIA_JSON, buf_slice(&in), &c->a, &body, e) < 0) {
		err_prefix(e, "%s", file);
		body = NULL;
	}
	buf_free(&in);
	return body;
}

int cmd_policy_set(struct ctx *c, struct err *e)
{
	const struct doc *body = read_policy(c, c->args[0], e);

	return body ? rest_object(c, "PUT", API "/policies/settings", body, e) : -1;
}

/* What it would mean is shown whole, with what is compiled in where it says nothing. */
int cmd_policy_check(struct ctx *c, struct err *e)
{
	const struct doc *body = read_policy(c, c->args[0], e);
	struct doc *out = doc_map(&c->a, NULL, NULL);
	struct policy p;

	if (!body)
		return -1;
	if (ctx_option(c, "service"))
		return rest_object(c, "POST", API "/policies/check", body, e);
	policy_defaults(&p);
	if (policy_apply(&p, body, e) < 0)
		return err_prefix(e, "%s", c->args[0]);
	if (policy_write(&p, &c->a, out) < 0)
		return err_set(e, ERR_NO_MEMORY, "policy");
	return write_object(c, out, e);
}

/* ---- policy test ---- */

/* The digest of a manifest, given as such or as the file. */
static int manifest_digest(struct ctx *c, struct digest *d, struct err *e)
{
	uint64_t size;

	if (digest_parse(d, slice_str(c->args[0])) == 0)
		return 0;
	return file_digest(c->args[0], d, &size, e);
}

static const struct doc *test_stored(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *file = ctx_option(c, "policy");
	struct digest d;

	if (manifest_digest(c, &d, e) < 0)
		return NULL;
	doc_add_digest(&c->a, body, "manifest", &d);
	if (file) {
		const struct doc *policy = read_policy(c, file, e);

		if (!policy)
			return NULL;
		doc_add_copy(&c->a, body, "policy", policy);
	}
	return rest_get(c, "POST", API "/policies/test", body, e);
}

static const struct doc *test_file(struct ctx *c, struct err *e)
{
	struct reply rp = { 0 };
	struct buf in = BUF_INIT(0);
	const struct doc *answer = NULL;

	if (file_read(c->args[0], SUIT_ENVELOPE_MAX, &in, e) == 0 &&
	    client_call(c->client, "POST", API "/policies/test", "application/suit-envelope+cose",
			buf_slice(&in), &rp, e) == 0)
		answer = rest_answer(c, &rp, e);
	buf_free(&in);
	return answer;
}

int cmd_policy_test(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "evidence", "EVIDENCE" },
		{ "rule", "RULE" },
		{ "decides", "DECIDES" },
		{ "says", "SAYS" },
		{ 0 },
	};
	struct digest d;
	bool stored = ctx_option(c, "policy") || digest_parse(&d, slice_str(c->args[0])) == 0;
	const struct doc *answer = stored ? test_stored(c, e) : test_file(c, e);

	if (!answer)
		return -1;
	if (c->json)
		return write_object(c, answer, e);
	printf("urgency %s, by %s (policy %s)\n", write_value(&c->a, answer, "urgency"),
	       write_value(&c->a, answer, "urgency_by"), write_value(&c->a, answer, "policy"));
	return write_table(c, answer, columns, e);
}
