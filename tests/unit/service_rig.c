/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "service_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "codec/docfmt.h"
#include "codec/suit.h"

static void start(struct rig *r)
{
	struct service_options o = { .store = r->bed.st,
				     .own_uid = RIG_OWN_UID,
				     .quota_staged = 1 << 20,
				     .image_max = 1 << 19,
				     .sessions_max = 64,
				     .version = "1.2.3",
				     .openapi = "{}" };
	struct err e = { 0 };

	ck_assert_msg(service_new(&o, &r->sv, &e) == 0, "%s", e.text);
	r->root = rig_local(r, 0);
	ck_assert_uint_ne(r->root, 0);
}

void rig_make(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	bed_make(&r->bed);
	r->arena = (struct arena)ARENA_INIT(4u << 20);
	r->fx = calloc(1, sizeof(*r->fx));
	ck_assert_ptr_nonnull(r->fx);
	r->oc.fx = r->fx;
	r->now = (struct now){ .wall = 1800000000000, .track = 1000000, .wall_trusted = true };
	start(r);
}

void rig_remove(struct rig *r)
{
	service_free(r->sv);
	arena_free(&r->arena);
	free(r->fx);
	bed_remove(&r->bed);
}

void rig_restart(struct rig *r)
{
	service_free(r->sv);
	start(r);
}

enum lane rig_lane(uint64_t session)
{
	return session >= RIG_CONTROL ? LANE_CONTROL : LANE_NETWORK;
}

uint64_t rig_admit(struct rig *r, enum lane lane, enum evidence_kind kind, enum transport t,
		   const char *identity, uint32_t uid)
{
	struct evidence ev = { .kind = kind,
			       .transport = t,
			       .uid = uid,
			       .port = 40000,
			       .ip = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
	uint64_t handle = ++r->handles + (lane == LANE_CONTROL ? RIG_CONTROL : 0);

	ck_assert_int_eq(text_copy(ev.identity, sizeof(ev.identity), identity), 0);
	return service_admit(r->sv, lane, handle, &ev, &r->now) ? handle : 0;
}

uint64_t rig_local(struct rig *r, uint32_t uid)
{
	return rig_admit(r, LANE_CONTROL, EVIDENCE_LOCAL, TRANSPORT_UNIX, "", uid);
}

uint64_t rig_plain(struct rig *r)
{
	return rig_admit(r, LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_HTTP, "", 0);
}

uint64_t rig_coap(struct rig *r)
{
	return rig_admit(r, LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_COAP, "", 0);
}

uint64_t rig_tls(struct rig *r)
{
	return rig_admit(r, LANE_NETWORK, EVIDENCE_TLS, TRANSPORT_HTTPS, "", 0);
}

uint64_t rig_psk(struct rig *r, const char *identity)
{
	return rig_admit(r, LANE_NETWORK, EVIDENCE_PSK, TRANSPORT_COAPS, identity, 0);
}

static struct request request_of(const struct ask *a)
{
	struct request rq = { .id = 7,
			      .session = a->session,
			      .method = a->method,
			      .path = slice_str(a->path),
			      .query = slice_str(a->query),
			      .token = slice_str(a->token),
			      .idempotency_key = slice_str(a->key),
			      .observe = a->observe,
			      .want_body = a->method != METHOD_HEAD };

	rq.body = a->json ? slice_str(a->json) : a->body;
	rq.content_format = a->format ? a->format : a->json ? MEDIA_JSON : MEDIA_NONE;
	rq.accept = a->accept ? a->accept : MEDIA_NONE;
	if (a->if_match.n)
		rq.if_match[rq.n_if_match++] = a->if_match;
	if (a->if_none_match.n)
		rq.if_none_match[rq.n_if_none_match++] = a->if_none_match;
	return rq;
}

static void decode(struct rig *r)
{
	enum media m = r->rs.media;

	r->doc = NULL;
	if (r->rs.body.n && (m == MEDIA_JSON || m == MEDIA_CBOR || m == MEDIA_PROBLEM_JSON ||
			     m == MEDIA_PROBLEM_CBOR))
		ck_assert_int_eq(docfmt_decode(m, r->rs.body, &r->arena, &r->doc, NULL), 0);
}

unsigned rig_ask(struct rig *r, const struct ask *a)
{
	struct request rq = request_of(a);
	struct err e = { 0 };

	arena_reset(&r->arena);
	effects_clear(r->fx);
	ck_assert_msg(store_batch_begin(r->bed.st, &e) == 0, "%s", e.text);
	store_handler_begin(r->bed.st);
	service_request(r->sv, rig_lane(a->session), &rq, &r->now, &r->arena, &r->rs, &r->oc,
			&r->keep);
	ck_assert_msg(store_handler_end(r->bed.st, r->keep, &e) == 0, "%s", e.text);
	ck_assert_msg(store_batch_commit(r->bed.st, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(r->rs.id, 7);
	decode(r);
	return r->rs.status;
}

unsigned rig_get(struct rig *r, uint64_t session, const char *path)
{
	return rig_ask(r, &(struct ask){ .session = session, .method = METHOD_GET, .path = path });
}

unsigned rig_post(struct rig *r, uint64_t session, const char *path, const char *json)
{
	return rig_ask(
		r, &(struct ask){
			   .session = session, .method = METHOD_POST, .path = path, .json = json });
}

unsigned rig_upload(struct rig *r, uint64_t session, const char *token, struct slice bytes)
{
	struct ask a = {
		.session = session, .method = METHOD_POST, .path = "/api/v1/images", .token = token
	};
	struct upload_ask ua = { .has_size = true, .size = bytes.n, .complete = -1 };
	struct request rq = request_of(&a);
	enum lane lane = rig_lane(session);
	struct upload u;
	struct err e = { 0 };

	arena_reset(&r->arena);
	if (service_upload_open(r->sv, lane, &rq, &ua, &r->now, &r->arena, &u, &r->rs) == 0) {
		ck_assert_msg(store_upload_chunk(r->bed.st, &u, bytes, &e) == 0, "%s", e.text);
		service_upload_close(r->sv, lane, &rq, &ua, &u, &r->now, &r->arena, &r->rs, &r->oc);
	}
	decode(r);
	return r->rs.status;
}

const struct doc *rig_at(const struct rig *r, const char *path)
{
	const struct doc *d = r->doc;

	while (d && *path) {
		char name[64];
		size_t n = strcspn(path, ".");

		ck_assert_int_eq(text_copy_slice(name, sizeof(name), slice_of(path, n)), 0);
		path += n + (path[n] == '.');
		if (d->type != DOC_ARRAY) {
			d = doc_get(d, name);
			continue;
		}
		d = d->v.c.first;
		for (long i = strtol(name, NULL, 10); d && i > 0; i--)
			d = d->next;
	}
	return d;
}

const char *rig_text(const struct rig *r, const char *path)
{
	const struct doc *d = rig_at(r, path);

	return d && d->type == DOC_TEXT ? (const char *)d->v.s.p : "";
}

int64_t rig_int(const struct rig *r, const char *path)
{
	const struct doc *d = rig_at(r, path);

	return d && d->type == DOC_INT ? d->v.i : -1;
}

static void want(struct rig *r, unsigned status, unsigned got)
{
	ck_assert_msg(status == got, "%u instead of %u: %s", got, status, rig_text(r, "detail"));
}

void rig_device(struct rig *r, const char *id, const char *psk_hex)
{
	char path[128], json[256];

	ck_assert_int_eq(text_format(json, sizeof(json), "{\"id\":\"%s\",\"auth\":\"%s\"}", id,
				     psk_hex ? "credential" : "none"),
			 0);
	want(r, 201, rig_post(r, r->root, "/api/v1/devices", json));
	if (!psk_hex)
		return;
	ck_assert_int_eq(text_format(path, sizeof(path), "/api/v1/devices/%s/credentials", id), 0);
	ck_assert_int_eq(
		text_format(json, sizeof(json), "{\"kind\":\"psk\",\"key\":\"%s\"}", psk_hex), 0);
	want(r, 201, rig_post(r, r->root, path, json));
}

char *rig_token(struct rig *r, const char *name, const char *role, const char *scope)
{
	char json[512];

	ck_assert_int_eq(text_format(json, sizeof(json),
				     "{\"name\":\"%s\",\"role\":\"%s\",\"days\":1%s%s%s}", name,
				     role, scope ? ",\"scope\":\"" : "", scope ? scope : "",
				     scope ? "\"" : ""),
			 0);
	want(r, 201, rig_post(r, r->root, "/api/v1/tokens", json));
	return strdup(rig_text(r, "token"));
}

char *rig_device_token(struct rig *r, const char *id)
{
	char path[128];

	ck_assert_int_eq(text_format(path, sizeof(path), "/api/v1/devices/%s/credentials", id), 0);
	want(r, 201, rig_post(r, r->root, path, "{\"kind\":\"token\"}"));
	return strdup(rig_text(r, "token"));
}

/* A key that every run has anew; its anchor is added with it. */
static void trust(struct rig *r, struct key *k)
{
	struct buf pem = BUF_INIT(4096), json = BUF_INIT(8192);
	struct doc *d;

	ck_assert_int_eq(key_public_pem(k, &pem, NULL), 0);
	arena_reset(&r->arena);
	d = doc_map(&r->arena, NULL, NULL);
	doc_add_text(&r->arena, d, "vendor", "acme.example");
	doc_add_text_slice(&r->arena, d, "key", buf_slice(&pem));
	ck_assert_int_eq(docfmt_encode(MEDIA_JSON, d, &json, NULL), 0);
	want(r, 201, rig_post(r, r->root, "/api/v1/anchors", buf_cstr(&json)));
	buf_free(&pem);
	buf_free(&json);
}

static void sign(struct rig *r, struct key *k, const char *name, uint64_t sequence, size_t size,
		 struct buf *out)
{
	struct suit_create c = { .sequence = sequence,
				 .n_images = 1,
				 .version = "1.0.0",
				 .vendor_domain = "acme.example",
				 .model_name = "lamp" };
	char uri[128];
	struct err e = { 0 };

	ck_assert_int_eq(text_format(uri, sizeof(uri), "coap://files.acme.example/%s.bin", name),
			 0);
	ck_assert_int_eq(suit_vendor_uuid("acme.example", &c.vendor_id), 0);
	ck_assert_int_eq(suit_class_uuid(&c.vendor_id, "lamp", &c.class_id), 0);
	c.images[0] = (struct suit_create_image){
		.component = "main", .digest = r->image, .size = size, .uri = uri
	};
	ck_assert_msg(suit_create(&c, k, out, &e) == 0, "%s", e.text);
}

void rig_release(struct rig *r, const char *name, uint64_t sequence)
{
	struct buf envelope = BUF_INIT(65536);
	struct key *k = NULL;
	char image[128], json[256], path[128], hex[DIGEST_TEXT];

	ck_assert_int_eq(key_generate(KEY_P256, &k, NULL), 0);
	trust(r, k);
	ck_assert_int_eq(text_format(image, sizeof(image), "image of %s", name), 0);
	want(r, 201, rig_upload(r, r->root, NULL, slice_str(image)));
	r->image = digest_of(image);
	sign(r, k, name, sequence, strlen(image), &envelope);
	want(r, 201,
	     rig_ask(r, &(struct ask){ .session = r->root,
				       .method = METHOD_POST,
				       .path = "/api/v1/manifests",
				       .format = MEDIA_SUIT_ENVELOPE,
				       .body = buf_slice(&envelope) }));
	ck_assert_int_eq(sha256_once(buf_slice(&envelope), &r->manifest), 0);
	digest_text(hex, &r->manifest);
	ck_assert_int_eq(text_format(json, sizeof(json), "{\"manifest\":\"%s\",\"name\":\"%s\"}",
				     hex, name),
			 0);
	want(r, 201, rig_post(r, r->root, "/api/v1/releases", json));
	ck_assert_int_eq(text_format(path, sizeof(path), "/api/v1/releases/%s/approve", name), 0);
	want(r, 200, rig_post(r, r->root, path, NULL));
	buf_free(&envelope);
	key_free(k);
}

void rig_jobs(struct rig *r)
{
	struct err e = { 0 };
	int64_t next;
	int rc = 1;

	while (rc == 1) {
		arena_reset(&r->arena);
		effects_clear(r->fx);
		rc = service_jobs(r->sv, &r->now, &r->arena, r->fx, 10000, &next, &e);
		ck_assert_msg(rc >= 0, "%s", e.text);
	}
}

void rig_rollout(struct rig *r, const char *name, const char *release, const char *target)
{
	char json[512], path[128];

	ck_assert_int_eq(text_format(json, sizeof(json),
				     "{\"name\":\"%s\",\"release\":\"%s\",\"target\":\"%s\"}", name,
				     release, target),
			 0);
	want(r, 202, rig_post(r, r->root, "/api/v1/rollouts", json));
	rig_jobs(r);
	ck_assert_int_eq(text_format(path, sizeof(path), "/api/v1/rollouts/%s/start", name), 0);
	want(r, 200, rig_post(r, r->root, path, NULL));
	rig_jobs(r);
}
