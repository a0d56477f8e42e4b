/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "codec/suit.h"
#include "service/device_msg.h"
#include "service/svc.h"

#define SUIT_REPORTS_KEPT 32 /* digests of those without boot and counter, a device */
#define MANIFEST_SMALL 600 /* sent inside the offer unasked */

static struct doc *answer_begin(struct call *c, int64_t ask_again_s)
{
	struct doc *d = doc_map(c->tk.a, NULL, NULL);

	doc_add_int(c->tk.a, d, "now", c->tk.now.wall / 1000);
	doc_add_int(c->tk.a, d, "ask_again", ask_again_s > 0 ? ask_again_s : 0);
	return d;
}

int svc_device_register(struct call *c, struct err *e)
{
	struct registration *g = arena_alloc(c->tk.a, sizeof(*g));
	bool created = false;
	int64_t ask;

	if (!g)
		return err_set(e, ERR_NO_MEMORY, "no memory for the registration");
	if (read_registration(c->body, g, c->tk.now.wall, e) != 0 ||
	    registry_register(&c->tk, &c->device, g, c->evidence, &created, &ask, e) != 0)
		return -1;
	if (c->evidence->kind == EVIDENCE_PLAIN)
		sessions_bind(&c->sv->lanes[c->lane], c->session, c->device.dev);
	return reply_doc(c, created ? 201 : 200, answer_begin(c, ask), e);
}

/*
 * What the offer is, and nothing that moves by itself: not the time, not when to ask again.
 * The tag's other part is of the answer's bytes, those two among them.
 */
static int offer_etag(struct etag *t, const struct offer *of, struct err *e)
{
	uint8_t text[8 + 1 + DIGEST_SIZE];
	uint64_t id = of ? (uint64_t)of->update.id : 0;
	struct digest d;

	memset(text, 0, sizeof(text));
	for (unsigned i = 0; i < 8; i++)
		text[i] = (uint8_t)(id >> (56 - 8 * i));
	if (of) {
		text[8] = of->update.attempt;
		memcpy(text + 9, of->manifest.digest.b, DIGEST_SIZE);
	}
	if (sha256_once(slice_of(text, sizeof(text)), &d) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	etag_of_digest(t, &d);
	return 0;
}

static void put_image(struct call *c, struct doc *list, const struct manifest_image *i)
{
	struct arena *a = c->tk.a;
	struct doc *d = doc_map(a, list, NULL);
	char hex[DIGEST_TEXT];

	digest_text(hex, &i->digest);
	doc_add_text(a, d, "component", i->name);
	doc_add_text(a, d, "uri", i->external ? i->uri : arena_printf(a, "/image/%s", hex));
	if (i->has_size)
		doc_add_int(a, d, "size", i->size > INT64_MAX ? INT64_MAX : (int64_t)i->size);
	doc_add_digest(a, d, "digest", &i->digest);
}

static void put_seconds(struct call *c, struct doc *d, const char *key, int64_t v)
{
	if (v > 0)
		doc_add_int(c->tk.a, d, key, v);
}

static void put_offer(struct call *c, struct doc *d, const struct offer *of)
{
	struct arena *a = c->tk.a;
	char hex[DIGEST_TEXT];

	digest_text(hex, &of->manifest.digest);
	doc_add_int(a, d, "update", of->update.id);
	doc_add_text(a, d, "release", of->release.name);
	doc_add_text(a, d, "urgency", urgency_word(of->update.urgency));
	doc_add_text(a, d, "version", of->release.version);
	doc_add_u64(a, d, "sequence", of->release.sequence);
	doc_add_text(a, d, "manifest_uri", arena_printf(a, "/manifest/%s", hex));
	doc_add_digest(a, d, "manifest_digest", &of->manifest.digest);
	doc_add_int(a, d, "manifest_size", of->manifest.size);
	struct doc *list = of->n_images ? doc_array(a, d, "images") : NULL;
	for (int i = 0; i < of->n_images; i++)
		put_image(c, list, &of->images[i]);
	put_seconds(c, d, "not_before", of->not_before_s);
	put_seconds(c, d, "not_after", of->not_after_s);
	put_seconds(c, d, "deadline", of->deadline_s);
	put_seconds(c, d, "outage", of->outage_s);
	doc_add_text(a, d, "state", update_state_word(of->update.state));
	doc_add_int(a, d, "attempt", of->update.attempt);
}

/* Small manifests ride along; having sent one counts as fetched. */
static int put_manifest(struct call *c, struct doc *d, const struct offer *of, struct err *e)
{
	struct err ignored;
	struct slice bytes;
	bool asked;

	/* an offer is not lost over how this is said */
	if (query_flag(c, "manifest", &asked, &ignored) < 0)
		asked = false;
	if (of->manifest.size > MANIFEST_SMALL && !asked)
		return 0;
	if (found_or(store_manifest_bytes(c->tk.st, &of->manifest.digest, c->tk.a, &bytes, e), e,
		     "manifest"))
		return -1;
	doc_add_bytes(c->tk.a, d, "manifest", bytes);
	if (of->update.manifest_fetched || c->unchanged)
		return 0;
	return offer_manifest_fetched(&c->tk, c->device.dev, e);
}

/* What an answer carries besides the offer. */
struct aside {
	bool diag, outage;
	struct outage_notice notice;
};

/*
 * A device above it will be away: who is about to be away itself hears of it the next time.
 * telling: this answer counts as having told it.
 */
static int find_aside(struct call *c, const struct offer *of, bool telling, struct aside *x,
		      struct err *e)
{
	struct device *d = &c->device;
	int found = 0;

	*x = (struct aside){ .diag = d->ask_diag };
	if (d->parent[0] && (!of || of->outage_s == 0))
		found = telling ? outage_heard(&c->tk, d, &x->notice, e)
				: outage_notice(&c->tk, d->dev, &x->notice, e);
	x->outage = found > 0;
	return found < 0 ? -1 : 0;
}

static void put_aside(struct call *c, struct doc *d, const struct aside *x)
{
	struct arena *a = c->tk.a;

	if (x->diag)
		doc_add_text(a, doc_array(a, d, "ask"), NULL, "diag");
	if (!x->outage)
		return;
	doc_add_int(a, d, "outage", x->notice.seconds);
	doc_add_int(a, d, "outage_in", x->notice.in_s);
	doc_add_text(a, d, "device", x->notice.device);
	doc_add_int(a, d, "outage_update", x->notice.update);
}

/* A notification says "look again", no more: what it carries reserves nothing. */
static int observed(struct call *c, bool something, int64_t ask, struct err *e)
{
	struct doc *d = answer_begin(c, ask);

	if (something)
		doc_add_bool(c->tk.a, d, "look", true);
	c->rs->observing = true;
	return reply_doc(c, 200, d, e);
}

int svc_device_update(struct call *c, struct err *e)
{
	struct offer *of = arena_alloc(c->tk.a, sizeof(*of));
	bool looking = c->rq->method == METHOD_GET && !c->rq->observe;
	struct err why = { 0 };
	struct aside aside;
	struct etag tag;
	int64_t ask = 0;

	if (!of)
		return err_set(e, ERR_NO_MEMORY, "no memory for the offer");
	int rc = offer_get(&c->tk, &c->device, looking, of, &ask, &why, e);
	if (rc < 0)
		return -1;
	seen_note(&c->sv->seen, c->device.dev, c->tk.now.wall, c->tk.now.track);
	if (find_aside(c, rc == 1 ? of : NULL, looking, &aside, e) != 0)
		return -1;
	c->rs->max_age = ask < 0 ? 0 : ask > INT32_MAX ? INT32_MAX : (int32_t)ask;
	if (c->rq->observe)
		return observed(c, rc == 1 || aside.diag || (aside.outage && !aside.notice.told),
				ask, e);
	if (offer_etag(&tag, rc == 1 ? of : NULL, e) || etag_check_part(c, &tag, e))
		return -1;
	/* the tag is the offer's: what else there is must be said all the same */
	c->unchanged = c->unchanged && !aside.diag && !(aside.outage && !aside.notice.told);
	if (c->unchanged && call_is_coap(c))
		return reply_empty(c, 304);
	struct doc *d = answer_begin(c, ask);
	if (rc == 1) {
		put_offer(c, d, of);
		if (looking && put_manifest(c, d, of, e) != 0)
			return -1;
	}
	put_aside(c, d, &aside);
	return reply_doc(c, 200, d, e) == 0 ? etag_of_answer(c, e) : -1;
}

int svc_device_decision(struct call *c, struct err *e)
{
	struct decision_answer out = { 0 };
	struct decision in;

	if (read_decision(c->body, &in, e) != 0 ||
	    offer_decide(&c->tk, &c->device, &in, &out, e) != 0)
		return -1;
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	doc_add_int(c->tk.a, d, "now", c->tk.now.wall / 1000);
	if (out.fetch)
		doc_add_bool(c->tk.a, d, "fetch", true);
	put_seconds(c, d, "granted", out.granted_s);
	put_seconds(c, d, "latest", out.latest_s);
	doc_add_text(c->tk.a, d, "state", update_state_word(out.state));
	if (out.duplicate)
		doc_add_bool(c->tk.a, d, "duplicate", true);
	return reply_doc(c, 200, d, e);
}

/* A SUIT Report names its manifest: it must be that of the update it is taken for. */
static int suit_report_target(struct call *c, const struct suit_report *s, struct update *u,
			      struct err *e)
{
	struct release r;
	struct manifest m;

	int rc = store_update_latest(c->tk.st, c->device.dev, u, e);
	if (rc == 0) /* or what waits for its next attempt */
		rc = store_update_open(c->tk.st, c->device.dev, u, e);
	if (found_or(rc, e, "update") ||
	    found_or(store_release_get(c->tk.st, u->release, &r, e), e, "release") ||
	    found_or(store_manifest_get(c->tk.st, &r.manifest, &m, e), e, "manifest"))
		return -1;
	if (s->manifest_digest.n > 0 &&
	    !slice_eq(s->manifest_digest, slice_of(m.identity.b, DIGEST_SIZE)) &&
	    !slice_eq(s->manifest_digest, slice_of(m.digest.b, DIGEST_SIZE)))
		return err_set(e, ERR_CONFLICT,
			       "the report is of another manifest than the update's");
	return 0;
}

/*
 * SUIT_Report_Reasons (draft-ietf-suit-report), as failures here. A condition that
 * fails after a fetch is the image's digest.
 */
static enum failure failure_of_reason(int64_t reason)
{
	static const enum failure map[] = {
		[0] = FAILURE_OTHER,	    [1] = FAILURE_INCOMPATIBLE, /* cbor-parse */
		[2] = FAILURE_INCOMPATIBLE, /* cose-unsupported */
		[3] = FAILURE_INCOMPATIBLE, /* alg-unsupported */
		[4] = FAILURE_SIGNATURE, /* unauthorised */
		[5] = FAILURE_INCOMPATIBLE, /* command-unsupported */
		[6] = FAILURE_INCOMPATIBLE, /* component-unsupported */
		[7] = FAILURE_SIGNATURE, /* component-unauthorised */
		[8] = FAILURE_INCOMPATIBLE, /* parameter-unsupported */
		[9] = FAILURE_INCOMPATIBLE, /* severing-unsupported */
		[10] = FAILURE_DIGEST, /* condition-failed */
		[11] = FAILURE_INSTALL, /* operation-failed */
	};

	if (reason < 0 || reason >= (int64_t)(sizeof(map) / sizeof(map[0])))
		return FAILURE_OTHER;
	return map[reason];
}

/* 1 given, 0 not, -1: no unsigned number of 64 bits */
static int query_u64(const struct call *c, const char *name, uint64_t *out, struct err *e)
{
	char text[24];
	int rc = query_get(c->rq->query, name, text, sizeof(text));

	*out = 0;
	if (rc == 0 || (rc > 0 && text_u64(slice_str(text), out) == 0))
		return rc;
	return err_set(e, ERR_INVALID, "%s: must be a number", name);
}

/*
 * It carries no boot and counter; a query may (?boot=&counter=). Without them the
 * bytes are the key, and stand for a boot of their own: success is only ever said after one.
 */
static int suit_report_key(struct call *c, struct report *p, struct err *e)
{
	int boot = query_u64(c, "boot", &p->boot, e);
	int counter = boot < 0 ? -1 : query_u64(c, "counter", &p->counter, e);
	struct digest d;

	if (counter < 0)
		return -1;
	if (boot != counter)
		return err_set(e, ERR_INVALID, "boot and counter go together");
	if (boot > 0)
		return 0;
	if (sha256_once(c->rq->body, &d) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	for (unsigned i = 0; i < 8; i++)
		p->boot = p->boot << 8 | d.b[i];
	p->keyless = true;
	return 0;
}

/* Kept beside operators' keys, in the same transaction as what the report did. 1 seen before. */
static int suit_report_seen(struct call *c, struct err *e)
{
	char who[IDEMPOTENCY_WHO], given[2];
	struct slice kept;
	struct digest d;
	uint16_t status;

	if (c->rq->content_format != MEDIA_SUIT_REPORT ||
	    query_get(c->rq->query, "boot", given, sizeof(given)) != 0)
		return 0;
	if (sha256_once(c->rq->body, &d) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	struct slice key = slice_of(d.b, DIGEST_SIZE);
	idempotency_who(c, who);
	int rc = store_idempotency_get(c->tk.st, who, key, &d, &status, c->tk.a, &kept, e);
	if (rc != 0)
		return rc;
	if (store_idempotency_put(c->tk.st, who, key, &d, 200, slice_of("", 0), c->tk.now.wall,
				  e) != 0)
		return -1;
	return store_idempotency_keep(c->tk.st, who, SUIT_REPORTS_KEPT, e);
}

static int read_suit_report(struct call *c, struct report *p, struct err *e)
{
	struct suit_report s;
	struct update u;

	memset(p, 0, sizeof(*p));
	p->progress = p->n_components = -1;
	if (suit_report_parse(c->rq->body, &s, e) != 0 || suit_report_target(c, &s, &u, e) != 0 ||
	    suit_report_key(c, p, e) != 0)
		return -1;
	p->update = u.id;
	p->result = s.code;
	if (!s.success && !s.pending)
		p->failure = failure_of_reason(s.reason);
	return text_copy(p->state, sizeof(p->state),
			 s.success   ? "succeeded"
			 : s.pending ? "rebooting"
				     : "failed");
}

static int decode_report(struct call *c, struct report *p, struct err *e)
{
	enum media m = c->rq->content_format;

	if (m == MEDIA_SUIT_REPORT)
		return read_suit_report(c, p, e);
	if (m == MEDIA_NONE)
		m = call_is_coap(c) ? MEDIA_CBOR : MEDIA_JSON;
	if (m != MEDIA_JSON && m != MEDIA_CBOR)
		return err_set(e, ERR_MEDIA, "a report is JSON, CBOR or a SUIT Report (270)");
	if (call_decode(c, m, e) != 0)
		return -1;
	return read_report(c->body, p, c->tk.now.wall, e);
}

int svc_device_report(struct call *c, struct err *e)
{
	struct report *p = arena_alloc(c->tk.a, sizeof(*p));
	struct report_answer out = { 0 };

	if (!p)
		return err_set(e, ERR_NO_MEMORY, "no memory for the report");
	int seen = suit_report_seen(c, e);
	if (seen < 0)
		return -1;
	out.duplicate = seen == 1;
	if (!seen &&
	    (decode_report(c, p, e) != 0 || report_apply(&c->tk, &c->device, p, &out, e) != 0))
		return -1;
	struct doc *d = answer_begin(c, out.ask_again_s);
	if (out.update) {
		doc_add_int(c->tk.a, d, "update", out.update);
		doc_add_text(c->tk.a, d, "state", update_state_word(out.state));
	}
	if (out.duplicate)
		doc_add_bool(c->tk.a, d, "duplicate", true);
	return reply_doc(c, 200, d, e);
}
