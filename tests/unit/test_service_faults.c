/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "faults.h"
#include "service_rig.h"

/* ---- requests ---- */

/*
 * Every request, with every operation underneath failing in turn, once and for good: it is
 * acknowledged and stays, or it is refused with a status that says "later" and left nothing;
 * after a failed fsync nobody is told anything, and the next start finds it whole or not at all.
 * What was refused works afterwards.
 */
static struct rig r;
static uint64_t plain;

#define LINES "{\"id\":\"i1\",\"tags\":[\"x\"]}\n{\"id\":\"i2\"}\n"
#define IMAGE "bytes of an image, and some more of them"

/* sets: what GET of there then holds under member; word NULL: that there is something. */
static const struct step {
	enum method method;
	const char *path, *json, *lines, *there, *member, *word;
	bool as_device, upload;
} steps[] = {
	{ METHOD_POST, "/api/v1/devices", "{\"id\":\"d1\",\"auth\":\"none\"}", NULL,
	  "/api/v1/devices/d1", "id", "d1", false, false },
	{ METHOD_PATCH, "/api/v1/devices/d1",
	  "{\"model\":\"lamp\",\"tags\":[\"a\",\"b\"],\"attributes\":{\"x\":1}}", NULL,
	  "/api/v1/devices/d1", "model", "lamp", false, false },
	{ METHOD_PUT, "/device/d1",
	  "{\"boot\":1,\"counter\":1,\"manufacturer\":\"acme\",\"attributes\":{\"y\":2}}", NULL,
	  "/api/v1/devices/d1", "manufacturer", "acme", true, false },
	{ METHOD_POST, "/api/v1/images", NULL, NULL, NULL, "digest", NULL, false, true },
	{ METHOD_POST, "/api/v1/groups", "{\"name\":\"g\"}", NULL, "/api/v1/groups", "items.0.name",
	  "g", false, false },
	{ METHOD_POST, "/device/d1/report", "{\"boot\":1,\"counter\":2,\"state\":\"idle\"}", NULL,
	  NULL, NULL, NULL, true, false },
	{ METHOD_POST, "/api/v1/devices/import", NULL, LINES, "/api/v1/jobs/1", "kind",
	  "device-import", false, false },
	{ METHOD_PUT, "/api/v1/policies/settings", "{\"contact_interval\":77}", NULL,
	  "/api/v1/policies/settings", "contact_interval", NULL, false, false },
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

static struct ask ask_of(const struct step *s)
{
	struct ask a = { .session = s->as_device ? plain : r.root,
			 .method = s->method,
			 .path = s->path,
			 .json = s->json };

	if (s->lines) {
		a.body = slice_str(s->lines);
		a.format = MEDIA_NDJSON;
	}
	return a;
}

/* A batch as the core makes it. 0: the transaction is gone, no answer. */
static unsigned one_batch(const struct ask *a)
{
	struct request rq = { .id = 7,
			      .session = a->session,
			      .method = a->method,
			      .path = slice_str(a->path),
			      .body = a->json ? slice_str(a->json) : a->body,
			      .content_format = a->json ? MEDIA_JSON : a->format,
			      .accept = MEDIA_NONE,
			      .want_body = true };
	struct store *st = r.bed.st;
	bool fine;

	arena_reset(&r.arena);
	effects_clear(r.fx);
	if (store_batch_begin(st, NULL) != 0)
		return 0;
	store_handler_begin(st);
	service_request(r.sv, rig_lane(a->session), &rq, &r.now, &r.arena, &r.rs, &r.oc, &r.keep);
	fine = store_handler_end(st, r.keep, NULL) == 0 && !store_batch_broken(st) &&
	       store_batch_commit(st, NULL) == 0;
	if (!fine)
		store_batch_abandon(st);
	return fine ? r.rs.status : 0;
}

static unsigned one_upload(const struct ask *a)
{
	struct upload_ask ua = { .has_size = true, .size = strlen(IMAGE), .complete = -1 };
	struct request rq = { .id = 7,
			      .session = a->session,
			      .method = a->method,
			      .path = slice_str(a->path),
			      .want_body = true };
	struct upload u;

	arena_reset(&r.arena);
	if (service_upload_open(r.sv, LANE_CONTROL, &rq, &ua, &r.now, &r.arena, &u, &r.rs) != 0)
		return r.rs.status;
	if (store_upload_chunk(r.bed.st, &u, slice_str(IMAGE), NULL) != 0)
		return 0;
	service_upload_close(r.sv, LANE_CONTROL, &rq, &ua, &u, &r.now, &r.arena, &r.rs, &r.oc);
	return r.rs.status;
}

static unsigned batch(const struct ask *a)
{
	faults_during(true);
	unsigned status = one_batch(a);
	faults_during(false);
	return status;
}

static unsigned upload(const struct ask *a)
{
	faults_during(true);
	unsigned status = one_upload(a);
	faults_during(false);
	return status;
}

/* As the core does it: when the transaction fails, once more without writing. */
static unsigned attempt(const struct step *s)
{
	struct ask a = ask_of(s);
	unsigned status = s->upload ? upload(&a) : batch(&a);

	if (status != 0 || s->upload || store_must_stop(r.bed.st))
		return status;
	store_refuse_writes(r.bed.st, true);
	status = batch(&a);
	store_refuse_writes(r.bed.st, false);
	ck_assert_msg(status == 0 || status >= 500, "%s: %u without writing", s->path, status);
	return status;
}

/* Whether it has happened. */
static bool is_there(const struct step *s)
{
	char hex[DIGEST_TEXT], path[128];
	struct digest d;

	if (s->upload) {
		d = digest_of(IMAGE);
		digest_text(hex, &d);
		ck_assert_int_eq(text_format(path, sizeof(path), "/api/v1/images/%s", hex), 0);
		return rig_get(&r, r.root, path) == 200;
	}
	if (!s->there) { /* a report: said again, it is known */
		struct ask a = ask_of(s);
		return rig_ask(&r, &a) == 200 && rig_at(&r, "duplicate");
	}
	if (rig_get(&r, r.root, s->there) != 200)
		return false;
	return s->word ? strcmp(rig_text(&r, s->member), s->word) == 0
		       : rig_int(&r, s->member) == 77;
}

static void reopen(void)
{
	bed_close(&r.bed);
	bed_open(&r.bed);
	rig_restart(&r);
	plain = rig_plain(&r);
}

static void check_step(const struct step *s, unsigned status, bool stopped, const char *what,
		       unsigned n)
{
	unsigned again;

	if (status >= 200 && status < 300) {
		ck_assert_msg(is_there(s), "%s %u: %s was acknowledged and is lost", what, n,
			      s->path);
		return;
	}
	ck_assert_msg(status == 0 || status >= 500, "%s %u: %s was answered %u", what, n, s->path,
		      status);
	ck_assert_msg(stopped || !is_there(s), "%s %u: %s was refused and is there", what, n,
		      s->path);
	again = attempt(s);
	ck_assert_msg(again != 0 && (again < 300 || (stopped && again == 409)),
		      "%s %u: %s, said again, is answered %u", what, n, s->path, again);
	ck_assert_msg(is_there(s), "%s %u: %s does not come to pass", what, n, s->path);
}

/* False: there is no nth operation. */
static bool run(enum fault f, unsigned n, bool for_good)
{
	unsigned status[STEPS] = { 0 };
	size_t done = 0;

	rig_make(&r);
	reopen(); /* nothing is in memory yet */
	faults_arm(f, n, for_good);
	while (done < STEPS && !store_must_stop(r.bed.st)) {
		status[done] = attempt(&steps[done]);
		done++;
		faults_during(true);
		(void)store_checkpoint(r.bed.st, true);
		faults_during(false);
		/* those behind it would be refused for want of it */
		if (status[done - 1] == 0 || status[done - 1] >= 300)
			break;
	}
	bool failed = faults_disarm(), stopped = store_must_stop(r.bed.st);
	if (stopped)
		reopen();
	for (size_t i = 0; i < STEPS; i++)
		check_step(&steps[i], i < done ? status[i] : 503, stopped, faults_name(f), n);
	rig_jobs(&r);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/i2"), 200);
	ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/audit/verify"), 200);
	ok(store_quick_check(r.bed.st, e));
	reopen();
	for (size_t i = 0; i < STEPS; i++)
		ck_assert(is_there(&steps[i]));
	rig_remove(&r);
	return failed;
}

/* Those far behind are much alike: some of them, or with FETTLE_LONG=yes all. */
static unsigned next(unsigned n)
{
	const char *longer = getenv("FETTLE_LONG");

	return longer && strcmp(longer, "yes") == 0 ? n + 1 : n + 1 + n / 6;
}

START_TEST(each_fails)
{
	enum fault f = (enum fault)(_i / 2);
	bool for_good = _i % 2;
	unsigned n = 1, runs = 0;

	if (f == FAULT_MALLOC && !faults_have_malloc())
		return;
	for (; run(f, n, for_good); n = next(n))
		runs++;
	printf("%s, %s: %u of %u operations failed in turn\n", faults_name(f),
	       for_good ? "for good" : "once", runs, n);
	/* the log is not cut while it is in use, and its index small enough for its first piece */
	ck_assert(runs > 0 || f == FAULT_TRUNCATE || f == FAULT_SHM);
}
END_TEST

/* The same of a start and an end: what cannot be opened now, can later. */
START_TEST(opening_fails)
{
	enum fault f = (enum fault)(_i / 2);
	struct store_options o = { .cache_bytes = 1 << 20 };
	bool for_good = _i % 2, failed = true;
	struct ask a = ask_of(&steps[0]);

	if (f == FAULT_MALLOC && !faults_have_malloc())
		return;
	rig_make(&r);
	a.session = r.root;
	ck_assert_uint_eq(rig_ask(&r, &a), 201);
	for (unsigned n = 1; failed; n = next(n)) {
		struct store *st = NULL;
		struct err e = { 0 };

		bed_close(&r.bed);
		o.dir = r.bed.dir;
		faults_arm(f, n, for_good);
		faults_during(true);
		int rc = store_open(&o, &st, &e);
		if (rc == 0)
			store_close(st);
		faults_during(false);
		failed = faults_disarm();
		ck_assert_msg(rc == 0 || (failed && e.code != ERR_NONE), "%s %u", faults_name(f),
			      n);
		reopen();
		ck_assert_uint_eq(rig_get(&r, r.root, "/api/v1/devices/d1"), 200);
		ck_assert_int_eq(store_quick_check(r.bed.st, &e), 0);
	}
	rig_remove(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service faults");
	TCase *t = tcase_create("nth");
	SRunner *sr = srunner_create(s);
	int failed;

	faults_install();
	tcase_set_timeout(t, 7200); /* the long form */
	tcase_add_loop_test(t, each_fails, 0, FAULT_COUNT * 2);
	tcase_add_loop_test(t, opening_fails, 0, FAULT_COUNT * 2);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
