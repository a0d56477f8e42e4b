/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/agent_internal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/docfmt.h"
#include "codec/suit.h"

/*
 * The state machine against a server of a few lines: it offers one signed update,
 * keeps what it is told, and can lose requests, refuse, or damage what it gives.
 */
#define IMAGE_SIZE 2500
#define PIECE 1024

static struct server {
	uint8_t image[IMAGE_SIZE];
	struct digest digest, manifest_digest;
	struct buf manifest;
	struct key *key, *other;
	bool embed, offered, damage, gone, forgets, stranger, lie_digest, no_size;
	int lose; /* so many requests get no answer first */
	uint16_t report_status, update_status;
	const char *report_state;
	char decision[16];
	char log[2048]; /* states reported, registrations, in order */
	uint64_t last_counter, last_boot;
	unsigned repeats; /* messages with a key seen before */
	unsigned image_requests;
} server;

static struct sink {
	struct sha256 *hash;
	uint8_t bytes[IMAGE_SIZE * 2];
	size_t n, resume;
	bool full;
} sink;

static struct agent_plan plan;
static struct agent agent;
static struct arena mem;
static int64_t now;
static uint64_t waited;

static int sink_begin(void *ctx, const struct agent_image *i, uint64_t *offset, struct err *e)
{
	struct digest d;

	(void)ctx;
	(void)i;
	(void)e;
	sha256_end(sink.hash, &d);
	memcpy(sink.bytes, server.image, sink.resume);
	sink.n = sink.resume;
	*offset = sink.resume;
	return sha256_add(sink.hash, slice_of(sink.bytes, sink.n));
}

static int sink_add(void *ctx, struct slice s, struct err *e)
{
	(void)ctx;
	if (sink.full)
		return err_set(e, ERR_FULL, "no space");
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

	memset(&server, 0, sizeof(server));
	memset(&sink, 0, sizeof(sink));
	server.report_status = server.update_status = 200;
	sink.hash = sha256_new();
	mem = ARENA_INIT(1u << 20);
	now = 1000;
	waited = 0;
	for (size_t i = 0; i < IMAGE_SIZE; i++)
		server.image[i] = (uint8_t)(i * 7 + i / 256);
	ck_assert_int_eq(sha256_once(slice_of(server.image, IMAGE_SIZE), &server.digest), 0);
	ck_assert_int_eq(key_generate(KEY_P256, &server.key, &e), 0);
	ck_assert_int_eq(key_generate(KEY_P256, &server.other, &e), 0);
	suit_vendor_uuid("example.com", &c.vendor_id);
	suit_class_uuid(&c.vendor_id, "lamp", &c.class_id);
	c.images[0] = (struct suit_create_image){ .component = "firmware",
						  .digest = server.digest,
						  .size = IMAGE_SIZE,
						  .uri = "coap://elsewhere.example/fw.bin" };
	server.manifest = BUF_INIT(AGENT_MANIFEST_MAX);
	ck_assert_int_eq(suit_create(&c, server.key, &server.manifest, &e), 0);
	sha256_once(buf_slice(&server.manifest), &server.manifest_digest);
	anchors[0] = server.key;
	plan = (struct agent_plan){ .mode = MODE_CLIENT,
				    .until_done = true,
				    .piece = PIECE,
				    .vendor_id = c.vendor_id,
				    .class_id = c.class_id,
				    .anchors = anchors,
				    .n_anchors = 1 };
	ck_assert_int_eq(agent_init(&agent, &plan, &s, "lamp-1", 100, 1, &e), 0);
	server.offered = true;
}

static void teardown(void)
{
	agent_free(&agent);
	sha256_free(sink.hash);
	key_free(server.key);
	key_free(server.other);
	buf_free(&server.manifest);
	arena_free(&mem);
}

static void note(const char *word)
{
	size_t n = strlen(server.log);

	ck_assert_int_eq(
		text_format(server.log + n, sizeof(server.log) - n, "%s%s", n ? " " : "", word), 0);
}

static void put_offer(struct doc *d)
{
	struct doc *list, *one;

	doc_add_int(&mem, d, "update", 3);
	doc_add_text(&mem, d, "manifest_uri", "/manifest/m");
	doc_add_digest(&mem, d, "manifest_digest",
		       server.lie_digest ? &server.digest : &server.manifest_digest);
	if (server.embed)
		doc_add_bytes(&mem, d, "manifest", buf_slice(&server.manifest));
	list = doc_array(&mem, d, "images");
	one = doc_map(&mem, list, NULL);
	doc_add_text(&mem, one, "component", "firmware");
	doc_add_text(&mem, one, "uri", "/image/i");
	doc_add_digest(&mem, one, "digest", &server.digest);
}

/* The message's word into the log, its key checked. */
static void take(enum agent_kind kind, struct slice body)
{
	const struct doc *d;
	struct doc_reader r;
	uint64_t boot = 0, counter = 0;
	char word[24] = "register", failure[24];
	struct err e;

	ck_assert_int_eq(docfmt_decode(MEDIA_CBOR, body, &mem, &d, &e), 0);
	doc_read_init(&r, d, &e);
	doc_opt_u64(&r, "boot", &boot);
	doc_opt_u64(&r, "counter", &counter);
	doc_opt_text(&r, kind == ASK_DECISION ? "decision" : "state", word, sizeof(word));
	ck_assert_uint_ne(boot, 0);
	if (boot == server.last_boot && counter == server.last_counter) {
		server.repeats++;
		return;
	}
	if (boot == server.last_boot)
		ck_assert_uint_eq(counter, server.last_counter + 1);
	server.last_boot = boot;
	server.last_counter = counter;
	if (strcmp(word, "downloading") != 0 || !strstr(server.log, "downloading"))
		note(word);
	if (doc_opt_text(&r, "failure", failure, sizeof(failure)))
		note(failure);
}

static void give_piece(const struct agent_request *rq, struct agent_reply *r)
{
	size_t n = IMAGE_SIZE - rq->offset < PIECE ? IMAGE_SIZE - rq->offset : PIECE;

	server.image_requests++;
	if (server.no_size)
		agent.offer->images[0].has_size = false;
	ck_assert_str_eq(rq->path, "/image/i");
	ck_assert_uint_lt(rq->offset, IMAGE_SIZE);
	if (server.forgets && server.image_requests % 2 == 0)
		server.stranger = true;
	r->status = server.gone || server.stranger ? 404 : 200;
	r->body = slice_of(server.image + rq->offset, n);
	r->more = rq->offset + n < IMAGE_SIZE;
	if (server.damage) {
		uint8_t *copy = arena_copy(&mem, r->body.p, n);

		copy[n / 2] ^= 1;
		r->body.p = copy;
	}
}

static void serve(const struct agent_request *rq, struct slice body, struct agent_reply *r)
{
	struct doc *d = doc_map(&mem, NULL, NULL);
	static uint8_t bytes[AGENT_MANIFEST_MAX];
	struct buf out = BUF_INIT(sizeof(bytes));
	struct err e;

	*r = (struct agent_reply){ .status = 200, .max_age = -1 };
	doc_add_int(&mem, d, "now", 1);
	doc_add_int(&mem, d, "ask_again", 60);
	if (rq->kind == ASK_REGISTER || rq->kind == ASK_DECISION || rq->kind == ASK_REPORT)
		take(rq->kind, body);
	/* its own path names a device */
	if (rq->kind != ASK_IMAGE && rq->kind != ASK_MANIFEST)
		server.stranger = false;
	if (rq->kind == ASK_REPORT) {
		r->status = server.report_status;
		if (server.report_state)
			doc_add_text(&mem, d, "state", server.report_state);
	} else if (rq->kind == ASK_UPDATE) {
		r->status = server.update_status;
		if (server.offered)
			put_offer(d);
	} else if (rq->kind == ASK_DECISION) {
		doc_add_bool(&mem, d, "fetch", true);
	} else if (rq->kind == ASK_MANIFEST) {
		ck_assert_str_eq(rq->path, "/manifest/m");
		r->body = buf_slice(&server.manifest);
		return;
	} else if (rq->kind == ASK_IMAGE) {
		give_piece(rq, r);
		return;
	}
	ck_assert_int_eq(docfmt_encode(MEDIA_CBOR, d, &out, &e), 0);
	memcpy(bytes, out.p, out.n);
	r->body = slice_of(bytes, out.n);
	buf_free(&out);
}

static void send_one(void)
{
	struct buf body = BUF_INIT(AGENT_BODY_MAX);
	struct agent_reply r = { .max_age = -1 };
	struct agent_request rq;
	struct err e;

	arena_reset(&mem);
	ck_assert_int_eq(agent_request(&agent, &mem, MEDIA_CBOR, &rq, &body, now, &e), 0);
	if (server.lose > 0) {
		server.lose--;
		/* it arrived, its answer did not */
		if (rq.counter)
			take(rq.kind, buf_slice(&body));
	} else {
		serve(&rq, buf_slice(&body), &r);
	}
	agent_reply(&agent, &mem, MEDIA_CBOR, &r, now);
	buf_free(&body);
}

static void run(void)
{
	int64_t wake;

	for (int i = 0; i < 500; i++) {
		switch (agent_next(&agent, now, &wake)) {
		case TODO_SEND:
			send_one();
			break;
		case TODO_WAIT:
			ck_assert_int_gt(wake, now);
			waited += (uint64_t)(wake - now);
			now = wake;
			break;
		case TODO_INSTALL:
			agent_installed(&agent, true, NULL);
			break;
		case TODO_REBOOT:
			agent_booted(&agent, agent.boot + 1);
			break;
		case TODO_END:
			return;
		}
	}
	ck_abort_msg("no end: %s", server.log);
}

#define WHOLE "register downloading downloaded installing rebooting register succeeded"

START_TEST(whole_update)
{
	run();
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
	ck_assert_str_eq(server.log, WHOLE);
	ck_assert_uint_eq(server.last_boot, 101);
	ck_assert_uint_eq(sink.n, IMAGE_SIZE);
	ck_assert_mem_eq(sink.bytes, server.image, IMAGE_SIZE);
	ck_assert_int_eq(agent.n_components, 1);
	ck_assert_str_eq(agent.components[0].name, "firmware");
	ck_assert_str_eq(agent.components[0].version, "2.0");
	ck_assert_uint_eq(agent.components[0].sequence, 7);
	ck_assert(digest_eq(&agent.components[0].digest, &server.digest));
	ck_assert_uint_eq(waited, 0);
}
END_TEST

START_TEST(embedded_manifest)
{
	server.embed = true;
	run();
	ck_assert_str_eq(server.log, WHOLE);
}
END_TEST

START_TEST(lost_answers_repeat_unchanged)
{
	server.lose = 2;
	run();
	ck_assert_str_eq(server.log, WHOLE);
	/* the registration three times, under one key */
	ck_assert_uint_eq(server.repeats, 2);
	ck_assert_uint_ge(waited, AGENT_BACKOFF_MS * 3);
}
END_TEST

START_TEST(resumes_where_it_was)
{
	sink.resume = 1000;
	run();
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
	ck_assert_uint_eq(server.image_requests, 2);
	ck_assert_uint_eq(agent.bytes, IMAGE_SIZE - 1000);
	ck_assert_mem_eq(sink.bytes, server.image, IMAGE_SIZE);
}
END_TEST

/* Each time it goes on where it was, once its report has said whose path it is. */
START_TEST(goes_on_with_a_server_that_began_anew)
{
	server.forgets = true;
	run();
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
	ck_assert_str_eq(server.log, WHOLE);
	ck_assert_uint_eq(agent.bytes, IMAGE_SIZE);
	ck_assert_uint_gt(server.image_requests, IMAGE_SIZE / PIECE + 2);
	ck_assert_mem_eq(sink.bytes, server.image, IMAGE_SIZE);
}
END_TEST

static void set_damage(void)
{
	server.damage = true;
}
static void set_tamper(void)
{
	plan.tamper = true;
}
static void set_stranger(void)
{
	static struct key *anchors[1];

	anchors[0] = server.other;
	plan.anchors = anchors;
}
static void set_no_anchor(void)
{
	plan.n_anchors = 0;
}
static void set_other_class(void)
{
	suit_class_uuid(&plan.vendor_id, "oven", &plan.class_id);
}
static void set_newer(void)
{
	struct component c = { .name = "firmware", .has_sequence = true, .sequence = 8 };

	ck_assert_int_eq(agent_component(&agent, &c), 0);
}
static void set_gone(void)
{
	server.gone = true;
}
static void set_lie(void)
{
	server.lie_digest = true;
}
static void set_full(void)
{
	sink.full = true;
}
static void set_too_large(void)
{
	plan.image_max = IMAGE_SIZE - 1;
}
static void set_without_end(void)
{
	server.no_size = true;
	plan.image_max = IMAGE_SIZE - 1;
}
static void set_install(void)
{
	plan.fail_install = true;
}

static const struct {
	void (*set)(void);
	const char *log;
	uint64_t wrong;
} failures[] = {
	{ set_damage, "register downloading failed digest", 1 },
	{ set_tamper, "register downloading failed digest", 1 },
	{ set_stranger, "register failed signature", 0 },
	{ set_no_anchor, "register failed signature", 0 },
	{ set_other_class, "register failed incompatible", 0 },
	{ set_newer, "register failed incompatible", 0 },
	{ set_gone, "register downloading failed download", 0 },
	{ set_lie, "register failed digest", 1 },
	{ set_full, "register downloading failed space", 0 },
	{ set_too_large, "register downloading failed space", 0 },
	{ set_without_end, "register downloading failed space", 0 },
	{ set_install, "register downloading downloaded installing failed install", 0 },
};

START_TEST(failure)
{
	failures[_i].set();
	run();
	ck_assert_int_eq(agent.result, RESULT_FAILED);
	ck_assert_str_eq(server.log, failures[_i].log);
	ck_assert_uint_eq(agent.digests_wrong, failures[_i].wrong);
	ck_assert_uint_gt(strlen(agent.why), 0);
}
END_TEST

static const struct {
	bool ours, theirs, same;
	uint64_t sequence, installed;
	int want;
} fits[] = {
	{ true, true, true, 7, 7, 0 },	 { true, true, false, 7, 7, -1 },
	{ true, false, true, 7, 7, -1 }, { false, true, true, 7, 7, 0 },
	{ false, false, true, 7, 7, 0 }, { true, true, true, 6, 7, -1 },
};

/* Vendor and class alike: a device that has one wants it named. */
START_TEST(fit)
{
	struct suit_manifest *m = calloc(1, sizeof(*m));
	struct uuid id = { .set = true, .b = { 1 } }, other = { .set = true, .b = { 2 } };
	struct err e;

	for (int k = 0; k < 2; k++) {
		struct agent_plan p = { .mode = MODE_CLIENT };
		struct uuid *ours = k ? &p.class_id : &p.vendor_id;
		struct uuid *theirs = k ? &m->class_id : &m->vendor_id;

		memset(m, 0, sizeof(*m));
		m->sequence = fits[_i].sequence;
		if (fits[_i].ours)
			*ours = id;
		if (fits[_i].theirs)
			*theirs = fits[_i].same ? id : other;
		ck_assert_int_eq(check_fit(&p, fits[_i].installed, m, &e), fits[_i].want);
	}
	free(m);
}
END_TEST

START_TEST(fleets_may_go_without_anchor)
{
	plan.n_anchors = 0;
	plan.unverified = true;
	run();
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
}
END_TEST

START_TEST(rolls_back)
{
	plan.roll_back = true;
	run();
	ck_assert_int_eq(agent.result, RESULT_ROLLED_BACK);
	ck_assert_str_eq(server.log,
			 "register downloading downloaded installing rebooting register "
			 "rolled-back");
	ck_assert_int_eq(agent.n_components, 0);
}
END_TEST

START_TEST(rejects)
{
	plan.choice = CHOICE_REJECT;
	run();
	ck_assert_int_eq(agent.result, RESULT_REJECTED);
	ck_assert_str_eq(server.log, "register reject");
}
END_TEST

START_TEST(defers_then_accepts)
{
	plan.mode = MODE_NEGOTIATED;
	plan.choice = CHOICE_DEFER;
	plan.defer_s = 30;
	run();
	ck_assert_int_eq(agent.result, RESULT_SUCCEEDED);
	ck_assert_str_eq(server.log, "register defer accept downloading downloaded installing "
				     "rebooting register succeeded");
	ck_assert_uint_ge(waited, 1000);
}
END_TEST

START_TEST(falls_silent)
{
	plan.silent_after = "downloading";
	run();
	ck_assert_int_eq(agent.result, RESULT_SILENT);
	ck_assert_str_eq(server.log, "register downloading");
}
END_TEST

START_TEST(nothing_once)
{
	server.offered = false;
	plan.until_done = false;
	plan.once = true;
	run();
	ck_assert_int_eq(agent.result, RESULT_NOTHING);
}
END_TEST

START_TEST(refused)
{
	server.update_status = 403;
	run();
	ck_assert_int_eq(agent.result, RESULT_REFUSED);
	ck_assert_ptr_nonnull(strstr(agent.why, "403"));
}
END_TEST

/* The server took the update back: the device stops, and asks again when told to. */
START_TEST(given_up_by_the_server)
{
	int64_t wake;

	server.report_state = "cancelled";
	while (agent_next(&agent, now, &wake) == TODO_SEND)
		send_one();
	ck_assert_str_eq(server.log, "register downloading");
	ck_assert_int_eq(agent.step, STEP_IDLE);
	ck_assert_int_eq(wake, now + 60000);
	ck_assert_uint_eq(server.image_requests, 0);
}
END_TEST

START_TEST(busy_server_says_when)
{
	struct agent_reply r = { .status = 503, .max_age = 9 };
	int64_t wake;

	ck_assert_int_eq(agent_next(&agent, now, &wake), TODO_SEND);
	agent_reply(&agent, &mem, MEDIA_CBOR, &r, now);
	ck_assert_int_eq(agent_next(&agent, now, &wake), TODO_WAIT);
	ck_assert_int_ge(wake, now + 9000);
	ck_assert_int_le(wake, now + 9000 + 4501);
}
END_TEST

START_TEST(notification_ends_the_wait)
{
	int64_t wake;

	server.offered = false;
	plan.mode = MODE_NEGOTIATED;
	plan.observe = true;
	while (agent_next(&agent, now, &wake) == TODO_SEND)
		send_one();
	ck_assert(agent.observing || agent.step == STEP_IDLE);
	agent_notified(&agent);
	ck_assert_int_eq(agent_next(&agent, now, &wake), TODO_SEND);
	ck_assert_int_eq(agent.step, STEP_ASK);
}
END_TEST

static const struct {
	const char *uri, *path;
} uris[] = {
	{ "coap://host:5683/a/b", "/a/b" },
	{ "https://host/a", "/a" },
	{ "/a?x=1#y", "/a" },
	{ "/a//b://c", "/a//b://c" },
	{ "https://host", NULL },
	{ "#payload", NULL },
	{ "", NULL },
	{ "a/b", NULL },
};

START_TEST(paths)
{
	char path[32];

	if (uris[_i].path) {
		ck_assert_int_eq(agent_path_of(slice_str(uris[_i].uri), path, sizeof(path)), 0);
		ck_assert_str_eq(path, uris[_i].path);
	} else {
		ck_assert_int_eq(agent_path_of(slice_str(uris[_i].uri), path, sizeof(path)), -1);
	}
}
END_TEST

START_TEST(ids_are_checked)
{
	struct agent_sink s = { 0 };
	struct agent a;
	struct err e;

	ck_assert_int_eq(agent_init(&a, &plan, &s, "a/b", 1, 1, &e), -1);
	ck_assert_int_eq(agent_init(&a, &plan, &s, "", 1, 1, &e), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device_agent");
	TCase *t = tcase_create("agent");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, whole_update);
	tcase_add_test(t, embedded_manifest);
	tcase_add_test(t, lost_answers_repeat_unchanged);
	tcase_add_test(t, resumes_where_it_was);
	tcase_add_test(t, goes_on_with_a_server_that_began_anew);
	tcase_add_loop_test(t, failure, 0, sizeof(failures) / sizeof(failures[0]));
	tcase_add_loop_test(t, fit, 0, sizeof(fits) / sizeof(fits[0]));
	tcase_add_test(t, fleets_may_go_without_anchor);
	tcase_add_test(t, rolls_back);
	tcase_add_test(t, rejects);
	tcase_add_test(t, defers_then_accepts);
	tcase_add_test(t, falls_silent);
	tcase_add_test(t, nothing_once);
	tcase_add_test(t, refused);
	tcase_add_test(t, given_up_by_the_server);
	tcase_add_test(t, busy_server_says_when);
	tcase_add_test(t, notification_ends_the_wait);
	tcase_add_loop_test(t, paths, 0, sizeof(uris) / sizeof(uris[0]));
	tcase_add_test(t, ids_are_checked);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
