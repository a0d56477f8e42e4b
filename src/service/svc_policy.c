/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/docfmt.h"
#include "service/svc.h"

static int reply_policy(struct call *c, const struct policy *p, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (policy_write(p, c->tk.a, d) != 0)
		return err_set(e, ERR_NO_MEMORY, "no memory for the policy");
	return reply_doc(c, 200, d, e);
}

int svc_policy_show(struct call *c, struct err *e)
{
	return reply_policy(c, c->tk.policy, e);
}

/*
 * The body is kept as it was meant: members it leaves out stay at what is compiled
 * in. It takes force when the rows are read again.
 */
int svc_policy_set(struct call *c, struct err *e)
{
	struct buf *b = &c->sv->scratch;
	struct policy p;

	policy_defaults(&p);
	if (policy_apply(&p, c->body, e) != 0)
		return -1;
	buf_reset(b);
	if (docfmt_encode(MEDIA_JSON, c->body, b, e) != 0 ||
	    store_policy_put(c->tk.st, "settings", buf_slice(b), e) != 0 ||
	    audit_note(&c->tk, "policy.set", "settings", e, "%.900s", buf_cstr(b)) != 0)
		return -1;
	c->sv->policy_stale = true;
	return reply_policy(c, &p, e);
}
