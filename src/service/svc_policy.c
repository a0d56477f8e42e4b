/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "codec/docfmt.h"
#include "service/svc.h"
#include "tracker/urgency.h"

static const struct doc *policy_doc(struct call *c, const struct policy *p, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	if (policy_write(p, c->tk.a, d) == 0)
		return d;
	err_set(e, ERR_NO_MEMORY, "no memory for the policy");
	return NULL;
}

/* The tag is of what holds: what is compiled in counts as much as what was set. */
static int policy_etag(struct call *c, const struct doc *d, struct etag *t, struct err *e)
{
	struct buf *b = &c->sv->scratch;
	struct digest sum;

	buf_reset(b);
	if (docfmt_encode(MEDIA_JSON, d, b, e) != 0)
		return -1;
	if (sha256_once(buf_slice(b), &sum) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	etag_of_digest(t, &sum);
	return 0;
}

static int reply_policy(struct call *c, const struct policy *p, struct err *e)
{
	const struct doc *d = policy_doc(c, p, e);

	if (!d || policy_etag(c, d, &c->rs->etag, e) != 0)
		return -1;
	return reply_doc(c, 200, d, e);
}

/* If-Match and If-None-Match against the policy in force. */
static int check_version(struct call *c, struct err *e)
{
	const struct doc *d = policy_doc(c, c->tk.policy, e);
	struct etag now;
	bool fresh;

	if (!d || policy_etag(c, d, &now, e) != 0)
		return -1;
	return etag_check(c, &now, &fresh, e);
}

int svc_policy_show(struct call *c, struct err *e)
{
	return check_version(c, e) != 0 ? -1 : reply_policy(c, c->tk.policy, e);
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
	if (check_version(c, e) != 0 || policy_apply(&p, c->body, e) != 0)
		return -1;
	buf_reset(b);
	if (docfmt_encode(MEDIA_JSON, c->body, b, e) != 0 ||
	    store_policy_put(c->tk.st, "settings", buf_slice(b), e) != 0 ||
	    audit_note(&c->tk, "policy.set", "settings", e, "%.900s", buf_cstr(b)) != 0)
		return -1;
	c->sv->policy_stale = true;
	return reply_policy(c, &p, e);
}

/* What the body would mean as a policy; nothing is kept. */
int svc_policy_check(struct call *c, struct err *e)
{
	struct policy p;

	policy_defaults(&p);
	if (policy_apply(&p, c->body, e) != 0)
		return -1;
	return reply_policy(c, &p, e);
}

/* ---- which class a manifest would get ---- */

struct trial {
	struct policy policy;
	struct manifest manifest;
	struct manifest_image images[COMPONENTS_MAX * 2];
	int n_images;
	struct slice bytes;
	struct urgency_verdict verdict;
	bool proposed;
};

/* Not stored: it must verify here, as if it were handed in. */
static int take_bytes(struct call *c, struct trial *t, struct err *e)
{
	t->bytes = c->rq->body;
	return release_check_manifest(&c->tk, t->bytes, &t->manifest, t->images, COMPONENTS_MAX * 2,
				      &t->n_images, e);
}

static int take_stored(struct call *c, struct trial *t, struct err *e)
{
	static const char *const members[] = { "manifest", "policy", NULL };
	struct doc_reader r;
	struct digest digest;

	doc_read_init(&r, c->body, e);
	doc_only(&r, members);
	doc_need_digest(&r, "manifest", &digest);
	const struct doc *policy = doc_opt_map(&r, "policy");
	if (doc_read_end(&r) != 0)
		return -1;
	if (policy) {
		t->proposed = true;
		policy_defaults(&t->policy);
		if (policy_apply(&t->policy, policy, e) != 0)
			return err_prefix(e, "policy");
	}
	if (found_or(store_manifest_get(c->tk.st, &digest, &t->manifest, e), e, "manifest") ||
	    found_or(store_manifest_bytes(c->tk.st, &digest, c->tk.a, &t->bytes, e), e, "manifest"))
		return -1;
	t->n_images = store_manifest_images(c->tk.st, &digest, t->images, COMPONENTS_MAX * 2, e);
	return t->n_images < 0 ? -1 : 0;
}

static int take_manifest(struct call *c, struct trial *t, struct err *e)
{
	enum media m = c->rq->content_format;

	if (c->rq->body.n == 0)
		return err_set(e, ERR_MALFORMED, "empty body");
	if (m != MEDIA_JSON && m != MEDIA_CBOR)
		return take_bytes(c, t, e);
	return call_decode(c, m, e) != 0 ? -1 : take_stored(c, t, e);
}

static int put_approval(struct call *c, struct doc *d, const struct trial *t, struct err *e)
{
	struct anchor a;
	int found = store_anchor_get(c->tk.st, t->manifest.anchor, &a, e);

	if (found < 0)
		return -1;
	doc_add_bool(c->tk.a, d, "auto_approve",
		     found == 1 && policy_approves_key(&t->policy, &a.key_id));
	return 0;
}

static int reply_verdict(struct call *c, const struct trial *t, struct err *e)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	const struct urgency_verdict *v = &t->verdict;
	struct arena *a = c->tk.a;

	doc_add_digest(a, d, "manifest", &t->manifest.digest);
	doc_add_text(a, d, "policy", t->proposed ? "proposed" : "in force");
	doc_add_text(a, d, "urgency", urgency_word(v->urgency));
	doc_add_text(a, d, "urgency_by", v->by);
	if (put_approval(c, d, t, e) != 0)
		return -1;
	struct doc *list = doc_array(a, d, "items");
	for (int i = 0; i < v->n_tried; i++) {
		struct doc *m = doc_map(a, list, NULL);

		doc_add_text(a, m, "evidence", v->tried[i].evidence);
		doc_add_text(a, m, "rule", v->tried[i].rule[0] ? v->tried[i].rule : NULL);
		doc_add_bool(a, m, "decides", v->tried[i].decides);
		doc_add_text(a, m, "says", v->tried[i].says);
	}
	return reply_doc(c, 200, d, e);
}

int svc_policy_test(struct call *c, struct err *e)
{
	struct trial *t = arena_alloc(c->tk.a, sizeof(*t));

	if (!t)
		return err_set(e, ERR_NO_MEMORY, "no memory for the manifest");
	t->policy = *c->tk.policy;
	if (take_manifest(c, t, e) != 0 ||
	    release_judge(&c->tk, &t->policy, &t->manifest, t->images, t->n_images, t->bytes,
			  &t->verdict, e) != 0)
		return -1;
	return reply_verdict(c, t, e);
}
