/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* memmem */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "device/agent_internal.h"

/* The server calls: pushes, what is asked twice, what comes at the wrong time. */
#define IMAGE_SIZE 2500
#define BLOCK 1024u

static uint8_t image[IMAGE_SIZE];
static struct buf manifest, body;
static struct key *key;
static struct agent_plan plan;
static struct agent agent;
static struct arena mem;
static int64_t now;
static struct agent_answer r;
static char said[512]; /* what the device sent by itself */
static uint64_t offered; /* by GET update, 0 nothing */
static int outage; /* by GET update: of which update above this device */
static int64_t acknowledged; /* by a report */
static int granted_s; /* answer to a deferral */

static struct {
	struct sha256 *hash;
	uint8_t bytes[IMAGE_SIZE * 2];
	size_t n, begun;
} sink;

static int sink_begin(void *ctx, const struct agent_image *i, uint64_t *offset, struct err *e)
{
	struct digest d;

	(void)ctx;
	(void)i;
	(void)e;
	sink.begun++;
	sha256_end(sink.hash, &d);
	*offset = sink.n;
	return sha256_add(sink.hash, slice_of(sink.bytes, sink.n));
}

static int sink_add(void *ctx, struct slice s, struct err *e)
{
	(void)ctx;
	(void)e;
	ck_assert_uint_le(sink.n + s.n, sizeof(sink.bytes));
	memcpy(sink.bytes + sink.n, s.p, s.n);
	sink.n += s.n;
	return sha256_add(sink.hash, s);
}

static int sink_end(void *ctx, struct digest *out, struct err *e)
{
	(void)ctx;
	(void)e;
	return sha256_end(sink.hash, out);
}

static void setup(void)
{
	struct suit_create c = { .sequence = 7, .n_images = 1, .version = "2.0" };
	struct agent_sink s = { .begin = sink_begin, .add = sink_add, .end = sink_end };
	static struct key *anchors[1];
	struct err e;

	memset(&sink, 0, sizeof(sink));
	sink.hash = sha256_new();
	mem = ARENA_INIT(1u << 20);
	body = BUF_INIT(2048);
	manifest = BUF_INIT(AGENT_MANIFEST_MAX);
	now = 100000;
	said[0] = 0;
	offered = 0;
	granted_s = outage = 0;
	acknowledged = 0;
	for (size_t i = 0; i < IMAGE_SIZE; i++)
		image[i] = (uint8_t)(i * 5 + i / 256);
	ck_assert_int_eq(key_generate(KEY_P256, &key, &e), 0);
	suit_vendor_uuid("example.com", &c.vendor_id);
	suit_class_uuid(&c.vendor_id, "lamp", &c.class_id);
	c.images[0] = (struct suit_create_image){ .component = "firmware",
						  .size = IMAGE_SIZE,
						  .uri = "coap://elsewhere.example/fw.bin" };
	sha256_once(slice_of(image, IMAGE_SIZE), &c.images[0].digest);
	ck_assert_int_eq(suit_create(&c, key, &manifest, &e), 0);
	anchors[0] = key;
	plan = (struct agent_plan){ .mode = MODE_SERVER,
				    .push = true,
				    .until_done = true,
				    .piece = BLOCK,
				    .service = "busy",
				    .service_s = 30,
				    .battery = 40,
				    .vendor_id = c.vendor_id,
				    .class_id = c.class_id,
				    .anchors = anchors,
				    .n_anchors = 1 };
	ck_assert_int_eq(agent_init(&agent, &plan, &s, "lamp-1", 100, 1, &e), 0);
}

static void teardown(void)
{
	agent_free(&agent);
	sha256_free(sink.hash);
	key_free(key);
	buf_free(&manifest);
	buf_free(&body);
	arena_free(&mem);
}

/* ---- the device's own messages, answered at once ---- */

static void send_one(void)
{
	static uint8_t bytes[1024];
	struct buf out = BUF_INIT(sizeof(bytes)), b = BUF_INIT(AGENT_BODY_MAX);
	struct agent_reply reply = { .status = 200, .max_age = -1 };
	struct agent_request rq;
	struct doc *d;
	struct err e;
	size_t n = strlen(said);

	arena_reset(&mem);
	ck_assert_int_eq(agent_request(&agent, &mem, MEDIA_CBOR, &rq, &b, now, &e), 0);
	if (rq.kind != ASK_UPDATE)
		text_format(said + n, sizeof(said) - n, "%s%s", n ? " " : "",
			    agent_kind_word(&agent, rq.kind));
	if (rq.kind == ASK_REPORT) {
		const struct doc *sent;
		struct doc_reader in;

		ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, buf_slice(&b), &mem, &sent, &e), 0);
		doc_read_init(&in, sent, &e);
		doc_opt_int(&in, "acknowledged", 0, INT64_MAX, &acknowledged);
	}
	d = doc_map(&mem, NULL, NULL);
	doc_add_int(&mem, d, "ask_again", 60);
	if (rq.kind == ASK_UPDATE && outage) {
		doc_add_int(&mem, d, "outage", 120);
		doc_add_int(&mem, d, "outage_update", outage);
		doc_add_text(&mem, d, "device", "gateway");
	}
	if (rq.kind == ASK_UPDATE && offered) {
		doc_add_u64(&mem, d, "update", offered);
		doc_add_text(&mem, d, "manifest_uri", "/manifest/m");
	}
	if (rq.kind == ASK_DECISION && granted_s)
		doc_add_int(&mem, d, "granted", granted_s);
	ck_assert_int_eq(docfmt_encode(MEDIA_CBOR, d, &out, &e), 0);
	memcpy(bytes, out.p, out.n);
	reply.body = slice_of(bytes, out.n);
	if (rq.kind == ASK_IMAGE) {
		size_t left = IMAGE_SIZE - rq.offset;

		ck_assert_str_eq(rq.path, "/fw.bin");
		reply.body = slice_of(image + rq.offset, left < BLOCK ? left : BLOCK);
		reply.more = left > BLOCK;
	}
	agent_reply(&agent, &mem, MEDIA_CBOR, &reply, now);
	buf_free(&out);
	buf_free(&b);
}

/* Until it waits or ends. */
static enum agent_todo run(void)
{
	int64_t wake;

	for (int i = 0; i < 100; i++) {
		enum agent_todo todo = agent_next(&agent, now, &wake);

		if (todo == TODO_SEND)
			send_one();
		else if (todo == TODO_INSTALL)
			agent_installed(&agent, true, NULL);
		else if (todo == TODO_REBOOT)
			agent_booted(&agent, agent.boot + 1);
		else
			return todo;
	}
	ck_abort_msg("no end: %s", said);
	return TODO_END;
}

/* ---- the server's calls ---- */

static unsigned call(enum method m, const char *path, const char *query)
{
	struct agent_call c = { .method = m, .path = path, .query = query };

	arena_reset(&mem);
	agent_called(&agent, &mem, &c, &r, &body, now);
	return r.status;
}

static unsigned put(const char *path, struct slice all, uint32_t num)
{
	size_t at = num * BLOCK, n = all.n - at < BLOCK ? all.n - at : BLOCK;
	struct agent_call c = { .method = METHOD_PUT,
				.path = path,
				.query = "update=3",
				.body = slice_of(all.p + at, n),
				.block1 = true,
				.more = at + n < all.n,
				.num = num,
				.szx = 6,
				.size = num ? 0 : all.n };

	arena_reset(&mem);
	agent_called(&agent, &mem, &c, &r, &body, now);
	return r.status;
}

static unsigned put_manifest(void)
{
	return put("/fettle/manifest", buf_slice(&manifest), 0);
}

static unsigned put_image(uint32_t num)
{
	return put("/fettle/image/0", slice_of(image, IMAGE_SIZE), num);
}

static unsigned post(const char *path, const char *member, int64_t v, bool look)
{
	struct buf b = BUF_INIT(256);
	struct agent_call c = { .method = METHOD_POST, .path = path, .query = "" };
	struct doc *d;
	struct err e;

	arena_reset(&mem);
	d = doc_map(&mem, NULL, NULL);
	doc_add_int(&mem, d, member, v);
	if (look)
		doc_add_bool(&mem, d, "look", true);
	ck_assert_int_eq(docfmt_encode(MEDIA_CBOR, d, &b, &e), 0);
	c.body = buf_slice(&b);
	agent_called(&agent, &mem, &c, &r, &body, now);
	buf_free(&b);
	return r.status;
}

static int64_t number(const char *member)
{
	const struct doc *d;
	struct doc_reader in;
	int64_t v = -1;
	struct err e;

	ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, buf_slice(&body), &mem, &d, &e), 0);
	doc_read_init(&in, d, &e);
	doc_opt_int(&in, member, 0, INT64_MAX, &v);
	return v;
}

static const char *word(const char *outer, const char *member)
{
	static char text[64];
	const struct doc *d;
	struct doc_reader in;
	struct err e;

	text[0] = 0;
	ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, buf_slice(&body), &mem, &d, &e), 0);
	doc_read_init(&in, outer ? doc_get(d, outer) : d, &e);
	doc_opt_text(&in, member, text, sizeof(text));
	return text;
}

static uint64_t held(void)
{
	ck_assert_uint_eq(call(METHOD_GET, "/fettle/image/0", "update=3"), 205);
	return (uint64_t)number("offset");
}

START_TEST(pushed_whole)
{
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register");
	ck_assert_uint_eq(put_image(0), 409);
	ck_assert_uint_eq(put_manifest(), 204);
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 409);
	ck_assert_uint_eq(held(), 0);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(put_image(i), i < 2 ? 231 : 204);
	ck_assert_uint_eq(held(), IMAGE_SIZE);
	ck_assert_mem_eq(sink.bytes, image, IMAGE_SIZE);
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register");
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	/* its answer was lost */
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_str_eq(said, "register installing rebooting register succeeded");
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
	ck_assert_uint_eq(agent.components[0].sequence, 7);
}
END_TEST

/* The image lies in the envelope, under "#main": made by hand, with the payload behind. */
static void integrate(const char *payload)
{
	struct suit_create c = { .sequence = 7,
				 .n_images = 1,
				 .version = "2.0",
				 .vendor_id = plan.vendor_id,
				 .class_id = plan.class_id };
	struct buf b = BUF_INIT(AGENT_MANIFEST_MAX);
	struct digest digest;
	struct suit_manifest m;
	struct err e;

	c.images[0] = (struct suit_create_image){ .component = "firmware",
						  .size = strlen(payload),
						  .uri = "a://b" };
	sha256_once(slice_str(payload), &c.images[0].digest);
	ck_assert_int_eq(suit_create(&c, NULL, &b, &e), 0);
	ck_assert_int_eq(suit_open(buf_slice(&b), &m, &e), 0);
	uint8_t *uri = memmem(b.p, b.n, "a://b", 5), *place = b.p + (m.digest.p - b.p);
	ck_assert_ptr_nonnull(uri);
	/* what the digest is of: a byte string that ends the envelope */
	size_t at = 0;
	do {
		ck_assert_uint_lt(at, b.n);
		sha256_once(slice_of(b.p + at, b.n - at), &digest);
		at++;
	} while (memcmp(digest.b, place, DIGEST_SIZE) != 0);
	memcpy(uri, "#main", 5);
	sha256_once(slice_of(b.p + at - 1, b.n - at + 1), &digest);
	memcpy(place, digest.b, DIGEST_SIZE);
	b.p[2]++; /* one more member of the envelope: tag 107, then the map's head */
	buf_add_u8(&b, 0x65);
	buf_add_str(&b, "#main");
	buf_add_u8(&b, (uint8_t)(0x40 | strlen(payload)));
	buf_add_str(&b, payload);
	buf_reset(&manifest);
	ck_assert_int_eq(suit_sign(buf_slice(&b), key, &manifest, &e), 0);
	buf_free(&b);
}

/* What came with the manifest is not pushed besides. */
START_TEST(pushed_inside_its_manifest)
{
	run();
	integrate("tiny firmware");
	ck_assert_uint_eq(put_manifest(), 204);
	ck_assert_uint_eq(sink.n, 13);
	ck_assert_mem_eq(sink.bytes, "tiny firmware", 13);
	ck_assert_uint_eq(call(METHOD_GET, "/fettle/status", ""), 205);
	ck_assert_str_eq(word(NULL, "state"), "downloaded");
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
}
END_TEST

START_TEST(taken_back)
{
	run();
	ck_assert_uint_eq(post("/fettle/drop", "update", 3, false), 204);
	ck_assert_uint_eq(put_manifest(), 204);
	ck_assert_uint_eq(put_image(0), 231);
	/* of another one */
	ck_assert_uint_eq(post("/fettle/drop", "update", 4, false), 204);
	ck_assert_uint_eq(put_image(1), 231);
	ck_assert_uint_eq(post("/fettle/drop", "update", 3, false), 204);
	ck_assert_ptr_null(agent.offer);
	ck_assert_uint_eq(put_image(2), 409);
	/* and again: the same image's bytes are good for it */
	ck_assert_uint_eq(put_manifest(), 204);
	ck_assert_uint_eq(held(), 2 * BLOCK);
	ck_assert_uint_eq(put_image(2), 204);
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	ck_assert_uint_eq(post("/fettle/drop", "update", 3, false), 409);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
}
END_TEST

START_TEST(blocks_twice_missing_and_resumed)
{
	run();
	ck_assert_uint_eq(put_manifest(), 204);
	ck_assert_uint_eq(put_manifest(), 204);
	ck_assert_uint_eq(put_image(1), 408);
	ck_assert_uint_eq(put_image(0), 231);
	ck_assert_uint_eq(put_image(0), 231);
	ck_assert_uint_eq(put_image(2), 408);
	ck_assert_uint_eq(held(), BLOCK);
	ck_assert_uint_eq(put_image(1), 231);
	ck_assert_uint_eq(put_image(2), 204);
	ck_assert_uint_eq(put_image(2), 204);
	ck_assert_uint_eq(sink.n, IMAGE_SIZE);
	ck_assert_uint_eq(agent.bytes, IMAGE_SIZE);
	ck_assert_uint_eq(sink.begun, 1);
}
END_TEST

/* What an earlier life kept is not sent again, also when it does not end with a block. */
START_TEST(resumed_within_a_block)
{
	memcpy(sink.bytes, image, 1500);
	sink.n = 1500;
	run();
	put_manifest();
	ck_assert_uint_eq(held(), 1500);
	ck_assert_uint_eq(put_image(1), 231);
	ck_assert_uint_eq(put_image(2), 204);
	ck_assert_uint_eq(agent.bytes, IMAGE_SIZE - 1500);
}
END_TEST

START_TEST(manifest_in_blocks)
{
	struct slice m = buf_slice(&manifest);
	struct agent_call c = { .method = METHOD_PUT,
				.path = "/fettle/manifest",
				.query = "update=3",
				.block1 = true,
				.szx = 2 };

	run();
	for (size_t at = 0; at < m.n; at += 64, c.num++) {
		size_t n = m.n - at < 64 ? m.n - at : 64;

		c.more = at + n < m.n;
		c.body = slice_of(m.p + at, n);
		for (int twice = 0; twice < 2; twice++) {
			arena_reset(&mem);
			agent_called(&agent, &mem, &c, &r, &body, now);
			ck_assert_uint_eq(r.status, c.more ? 231 : 204);
		}
	}
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(refused_at_once)
{
	run();
	manifest.p[manifest.n - 1] ^= 1;
	ck_assert_uint_eq(put_manifest(), 422);
	ck_assert_str_eq(word(NULL, "failure"), "signature");
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_str_eq(said, "register failed");
	ck_assert_int_eq(agent.failure, FAILURE_SIGNATURE);
}
END_TEST

START_TEST(wrong_image)
{
	run();
	put_manifest();
	image[2] ^= 1;
	put_image(0);
	put_image(1);
	ck_assert_uint_eq(put_image(2), 422);
	ck_assert_str_eq(word(NULL, "failure"), "digest");
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_str_eq(said, "register failed");
}
END_TEST

/* The next attempt's manifest is not taken for the last one's, whose end is not told yet. */
START_TEST(next_attempt_behind_the_report)
{
	int64_t wake;

	plan.fail_first = 1;
	plan.attempts = 2;
	run();
	put_manifest();
	for (uint32_t i = 0; i < 3; i++)
		put_image(i);
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	while (agent.step != STEP_OVER)
		if (agent_next(&agent, now, &wake) == TODO_INSTALL)
			agent_installed(&agent, true, NULL);
		else
			send_one();
	ck_assert_uint_eq(put_manifest(), 503);
	/* the call before, whose answer was lost */
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register installing failed");
	ck_assert_uint_eq(put_manifest(), 204);
	for (uint32_t i = (uint32_t)(held() / BLOCK); i < 3; i++)
		put_image(i);
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
}
END_TEST

START_TEST(fetches_itself)
{
	plan.push = false;
	plan.pull = true;
	run();
	ck_assert_uint_eq(put_manifest(), 204);
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(
		said, "register downloading image downloading image downloading image downloaded");
	ck_assert_uint_eq(put_image(0), 409);
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
}
END_TEST

START_TEST(status_notice_diag)
{
	run();
	ck_assert_uint_eq(call(METHOD_GET, "/fettle/status", ""), 205);
	ck_assert_int_eq(number("boot"), 100);
	ck_assert_str_eq(word("status", "service"), "busy");
	now += 31000;
	call(METHOD_GET, "/fettle/status", "");
	ck_assert_str_eq(word("status", "service"), "idle");
	ck_assert_uint_eq(post("/fettle/offer", "outage", 90, false), 204);
	ck_assert_uint_gt(body.n, 0);
	ck_assert_uint_eq(agent.notices, 1);
	ck_assert_int_eq(agent.outage_s, 90);
	ck_assert_uint_eq(call(METHOD_POST, "/fettle/diag", ""), 204);
	run();
	ck_assert_str_eq(said, "register diag");
	put_manifest();
	call(METHOD_GET, "/fettle/status", "");
	ck_assert_int_eq(number("update"), 3);
	ck_assert_str_eq(word(NULL, "state"), "downloading");
}
END_TEST

/* An outage above it that comes with an answer is acknowledged by a report, once. */
START_TEST(outage_with_an_answer)
{
	outage = 9;
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register idle");
	ck_assert_int_eq(acknowledged, 9);
	ck_assert_int_eq(agent.outage_s, 120);
	now += 100000;
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register idle");
	ck_assert_uint_eq(agent.notices, 1);
}
END_TEST

/* A granted time: neither a look, nor an offer, nor a push makes it begin earlier. */
START_TEST(granted_is_kept)
{
	plan.mode = MODE_NEGOTIATED;
	plan.choice = CHOICE_DEFER;
	plan.defer_s = 20;
	offered = 3;
	granted_s = 20;
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register decision");
	granted_s = 0;
	now += 5000;
	ck_assert_uint_eq(post("/fettle/offer", "now", 1, true), 204);
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register decision");
	ck_assert_uint_eq(put_manifest(), 503);
	ck_assert_int_eq(r.max_age, 15);
	now += 15000;
	offered = 0;
	ck_assert_uint_eq(put_manifest(), 204);
}
END_TEST

START_TEST(no_means_no)
{
	plan.mode = MODE_NEGOTIATED;
	plan.choice = CHOICE_REJECT;
	run();
	ck_assert_uint_eq(put_manifest(), 403);
	ck_assert_int_eq(run(), TODO_WAIT);
}
END_TEST

/* After its yes a negotiated device waits for what is pushed, and keeps in contact. */
START_TEST(negotiated_and_pushed)
{
	plan.mode = MODE_NEGOTIATED;
	offered = 3;
	run();
	ck_assert_str_eq(said, "register decision");
	ck_assert_uint_eq(put_manifest(), 204);
	put_image(0);
	now += 100000;
	run();
	ck_assert_uint_eq(held(), BLOCK);
	put_image(1);
	put_image(2);
	post("/fettle/apply", "update", 3, false);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_str_eq(said, "register decision installing rebooting register succeeded");
}
END_TEST

/* A call between a question and its answer: the answer is about something else by now. */
START_TEST(between_question_and_answer)
{
	struct agent_reply nothing = { .status = 200, .max_age = -1 };
	struct buf b = BUF_INIT(AGENT_BODY_MAX);
	struct agent_request rq;
	int64_t wake;
	struct err e;

	ck_assert_int_eq(agent_next(&agent, now, &wake), TODO_SEND);
	ck_assert_int_eq(agent_request(&agent, &mem, MEDIA_CBOR, &rq, &b, now, &e), 0);
	ck_assert_uint_eq(put_manifest(), 503); /* it registers */
	agent_reply(&agent, &mem, MEDIA_CBOR, &nothing, now);
	ck_assert_int_eq(agent_next(&agent, now, &wake), TODO_SEND);
	buf_reset(&b);
	ck_assert_int_eq(agent_request(&agent, &mem, MEDIA_CBOR, &rq, &b, now, &e), 0);
	ck_assert_int_eq(rq.kind, ASK_UPDATE);
	manifest.p[manifest.n - 1] ^= 1;
	ck_assert_uint_eq(put_manifest(), 422);
	nothing.status = 0;
	agent_reply(&agent, &mem, MEDIA_CBOR, &nothing, now);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_str_eq(said, "failed");
	buf_free(&b);
}
END_TEST

/* Told to install while a question was under way: its answer does not take that back. */
START_TEST(applied_between_question_and_answer)
{
	struct agent_reply nothing = { .status = 200, .max_age = -1 };
	struct buf b = BUF_INIT(AGENT_BODY_MAX);
	struct agent_request rq;
	int64_t wake;
	struct err e;

	run();
	put_manifest();
	for (uint32_t i = 0; i < 3; i++)
		put_image(i);
	now += 100000;
	ck_assert_int_eq(agent_next(&agent, now, &wake), TODO_SEND);
	ck_assert_int_eq(agent_request(&agent, &mem, MEDIA_CBOR, &rq, &b, now, &e), 0);
	ck_assert_int_eq(rq.kind, ASK_UPDATE);
	ck_assert_uint_eq(post("/fettle/apply", "update", 3, false), 204);
	agent_reply(&agent, &mem, MEDIA_CBOR, &nothing, now);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
	buf_free(&b);
}
END_TEST

static const struct {
	enum method method;
	const char *path, *query;
	unsigned status;
} wrong[] = {
	{ METHOD_GET, "/fettle", "", 404 },
	{ METHOD_GET, "/fettle/offer", "", 405 },
	{ METHOD_PUT, "/fettle/manifest", "", 400 },
	{ METHOD_PUT, "/fettle/manifest", "update=x", 400 },
	{ METHOD_PUT, "/fettle/manifest", "update=99999999999999999999", 400 },
	{ METHOD_GET, "/fettle/image/", "update=3", 404 },
	{ METHOD_GET, "/fettle/image/256", "update=3", 404 },
	{ METHOD_GET, "/fettle/image/0", "update=3", 409 },
	{ METHOD_DELETE, "/fettle/status", "", 405 },
};

START_TEST(wrong_calls)
{
	run();
	ck_assert_uint_eq(call(wrong[_i].method, wrong[_i].path, wrong[_i].query),
			  wrong[_i].status);
	ck_assert_int_eq(run(), TODO_WAIT);
	ck_assert_str_eq(said, "register");
}
END_TEST

START_TEST(takes_no_calls)
{
	plan.mode = MODE_CLIENT;
	plan.push = false;
	run();
	ck_assert_uint_eq(put_manifest(), 403);
	ck_assert_uint_eq(call(METHOD_GET, "/fettle/status", ""), 205);
}
END_TEST

START_TEST(another_component)
{
	run();
	put_manifest();
	ck_assert_uint_eq(put("/fettle/image/1", slice_of(image, IMAGE_SIZE), 0), 404);
	ck_assert_uint_eq(call(METHOD_GET, "/fettle/image/1", "update=3"), 404);
	ck_assert_uint_eq(call(METHOD_GET, "/fettle/image/0", "update=4"), 409);
}
END_TEST

START_TEST(silent_devices_stay_silent)
{
	plan.silent_after = "downloading";
	run();
	put_manifest();
	ck_assert_uint_eq(put_image(0), 0);
	ck_assert_int_eq(run(), TODO_END);
	ck_assert_uint_eq(put_image(0), 0);
	ck_assert_int_eq(agent.result, RESULT_SILENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device_call");
	TCase *t = tcase_create("call");
	SRunner *sr = srunner_create(s);
	int bad;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, pushed_whole);
	tcase_add_test(t, pushed_inside_its_manifest);
	tcase_add_test(t, taken_back);
	tcase_add_test(t, blocks_twice_missing_and_resumed);
	tcase_add_test(t, resumed_within_a_block);
	tcase_add_test(t, manifest_in_blocks);
	tcase_add_test(t, refused_at_once);
	tcase_add_test(t, wrong_image);
	tcase_add_test(t, next_attempt_behind_the_report);
	tcase_add_test(t, fetches_itself);
	tcase_add_test(t, status_notice_diag);
	tcase_add_test(t, outage_with_an_answer);
	tcase_add_test(t, granted_is_kept);
	tcase_add_test(t, no_means_no);
	tcase_add_test(t, negotiated_and_pushed);
	tcase_add_test(t, between_question_and_answer);
	tcase_add_test(t, applied_between_question_and_answer);
	tcase_add_loop_test(t, wrong_calls, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(t, takes_no_calls);
	tcase_add_test(t, another_component);
	tcase_add_test(t, silent_devices_stay_silent);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
