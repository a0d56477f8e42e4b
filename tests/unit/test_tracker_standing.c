/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tracker/filter.h"
#include "tracker_world.h"

/* Rollouts nobody asked for, releases nobody approved, and where a person still must. */
static struct world w;
static const char *target = "all";
static bool unreadable;

/* The service reads the members; here they are the target alone. */
static int read_members(struct tracker *tk, const struct standing *t, struct rollout_spec *s,
			struct err *e)
{
	(void)tk;
	(void)t;
	*s = (struct rollout_spec){ .budget = 5, .no_canary = true };
	if (unreadable)
		return err_set(e, ERR_INVALID, "it is not read any more");
	return text_copy(s->target, sizeof(s->target), target);
}

static enum step step(struct tracker *tk, struct job *j, struct err *e)
{
	return standing_step(tk, j, read_members, e);
}

static const struct job_kind kind = { "standing", step };

static void setup(void)
{
	world_open(&w);
	w.tk.kinds = &kind;
	w.tk.n_kinds = 1;
	target = "all";
	unreadable = false;
}

static void teardown(void)
{
	world_close(&w);
}

static int64_t template(const char *name, bool enabled, int urgency)
{
	struct standing t = { .enabled = enabled,
			      .has_urgency = urgency >= 0,
			      .urgency = urgency >= 0 ? (enum urgency)urgency : URGENCY_CRITICAL,
			      .spec = "{}",
			      .by = "uid:0" };

	ck_assert_int_eq(text_copy(t.name, sizeof(t.name), name), 0);
	WORLD_OK(&w, store_standing_add(w.st, &t, &w.err));
	return t.id;
}

static int rollouts(struct rollout out[8])
{
	int n = store_rollout_list(w.st, 0, 8, out, &w.err);

	ck_assert_int_ge(n, 0);
	return n;
}

static bool audited(const char *who, const char *verb)
{
	struct audit a[64];
	int n = store_audit_list(w.st, 0, 64, a, &w.err);

	for (int i = 0; i < n; i++)
		if (strcmp(a[i].who, who) == 0 && strcmp(a[i].verb, verb) == 0)
			return true;
	return false;
}

START_TEST(test_one_rollout_of_each_template)
{
	struct rollout r[8];
	char want[128], id[UUID_TEXT];

	world_enrol(&w, "lamp-1", "1.0", 1);
	template("off", false, -1);
	int64_t all = template("all", true, -1);
	template("urgent", true, URGENCY_CRITICAL);
	template("usual", true, URGENCY_NORMAL);
	struct release rel = world_release(&w, 2, "2.0");
	world_jobs(&w);
	ck_assert_int_eq(rollouts(r), 2);
	ck_assert_str_eq(r[0].name, "all-lamp-2.0");
	ck_assert_str_eq(r[1].name, "usual-lamp-2.0");
	ck_assert_str_eq(r[0].by, "policy");
	ck_assert_int_eq(r[0].standing, all);
	ck_assert_int_eq(r[0].release, rel.id);
	ck_assert_int_eq(r[0].state, ROLLOUT_RUNNING);
	uuid_text(id, &w.class_id);
	ck_assert_int_eq(text_format(want, sizeof(want), "(all) and class == %s", id), 0);
	ck_assert_str_eq(r[0].target, want);
	ck_assert(audited("policy", "rollout.create") && audited("policy", "standing.rollout"));
	/* and it is offered */
	ck_assert_int_gt(world_ask(&w, "lamp-1"), 0);
}
END_TEST

START_TEST(test_why_tells_of_it)
{
	struct gate g[GATES_MAX];

	world_enrol(&w, "lamp-1", "1.0", 1);
	int64_t id = template("lamps", true, -1);
	world_release(&w, 2, "2.0");
	world_jobs(&w);
	struct device d = world_device(&w, "lamp-1");
	ck_assert_int_gt(why_device(&w.tk, &d, g, &w.err), 2);
	ck_assert_str_eq(g[1].name, "standing");
	ck_assert(strstr(g[1].value, "standing rollout lamps when release lamp-2.0"));
	WORLD_OK(&w, store_standing_remove(w.st, id, &w.err));
	ck_assert_int_gt(why_device(&w.tk, &d, g, &w.err), 2);
	ck_assert(strstr(g[1].value, "that is gone"));
}
END_TEST

/* A crash between the steps, or an approval twice, makes no second rollout. */
START_TEST(test_made_once)
{
	struct rollout r[8];
	struct job j;

	template("lamps", true, -1);
	struct release rel = world_release(&w, 2, "2.0");
	world_jobs(&w);
	WORLD_OK(&w, job_start(&w.tk, "standing", rel.id, &j, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(rollouts(r), 1);
	/* nobody is there: it is over at once */
	ck_assert_int_eq(r[0].state, ROLLOUT_FINISHED);
}
END_TEST

START_TEST(test_other_classes)
{
	static const struct {
		const char *target;
		int made;
	} table[] = {
		{ "class == fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", 0 },
		{ "tag == lab and class == fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", 0 },
		{ "class == fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe or class == "
		  "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
		  0 },
		{ "class == fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe or tag == lab", 1 },
		{ "not class == fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", 1 },
		{ "class != fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", 1 },
		/* the class id decides; a device may call its model as it likes */
		{ "model == meter", 1 },
		{ "( all", 0 },
	};
	struct rollout r[8];
	char name[16], version[16];
	int n = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_int_eq(text_format(name, sizeof(name), "t%zu", i), 0);
		int64_t id = template(name, true, -1);
		target = table[i].target;
		ck_assert_int_eq(text_format(version, sizeof(version), "%zu.0", 2 + i), 0);
		struct release rel = world_release(&w, 2 + i, version);
		world_jobs(&w);
		n += table[i].made;
		ck_assert_msg(rollouts(r) == n, "%s: %d", table[i].target, rollouts(r));
		WORLD_OK(&w, store_standing_remove(w.st, id, &w.err));
		WORLD_OK(&w, release_withdraw(&w.tk, &rel, false, &w.err));
		world_jobs(&w);
	}
	ck_assert(audited("policy", "standing.failed"));
}
END_TEST

/* Without a class id the model is the class. */
START_TEST(test_completed_by_model)
{
	struct release rel = { .id = 3, .model = "lamp", .name = "lamp-1" };
	struct standing t = { .id = 4 };
	struct rollout_spec s = { .target = "tag == lab" };

	memset(t.name, 'n', NAME_MAX_LEN);
	ck_assert_int_eq(standing_complete(&w.tk, &t, &rel, &s, &w.err), 1);
	ck_assert_str_eq(s.target, "(tag == lab) and model == \"lamp\"");
	ck_assert_uint_eq(strlen(s.name), NAME_MAX_LEN);
	ck_assert(s.auto_start && s.standing == 4 && s.release == 3);
	ck_assert_int_eq(text_copy(s.target, sizeof(s.target), "model == meter"), 0);
	ck_assert_int_eq(standing_complete(&w.tk, &t, &rel, &s, &w.err), 0);
	memset(s.target, ' ', FILTER_TEXT - 1);
	memcpy(s.target, "all", 3);
	s.target[FILTER_TEXT - 1] = '\0';
	ck_assert_int_eq(standing_complete(&w.tk, &t, &rel, &s, &w.err), -1);
	ck_assert_int_eq(w.err.code, ERR_TOO_LARGE);
}
END_TEST

/* A model is an author's text: it stays one word of the filter, whatever is in it. */
START_TEST(test_a_model_is_no_filter)
{
	struct release rel = { .id = 3, .model = "a\" or model != \"\\", .name = "lamp-1" };
	struct standing t = { .id = 4, .name = "lamps" };
	struct rollout_spec s = { .target = "tag == lab" };
	struct filter *f;

	ck_assert_int_eq(standing_complete(&w.tk, &t, &rel, &s, &w.err), 1);
	ck_assert_int_eq(filter_parse(s.target, w.tk.a, &f, &w.err), 0);
	ck_assert_int_eq(f->op, FILTER_AND);
	ck_assert_int_eq(f->right->op, FILTER_COMPARE);
	ck_assert_str_eq(f->right->values[0].text, rel.model);
}
END_TEST

/* Names that are cut off differ all the same: each release has its rollout. */
START_TEST(test_long_names)
{
	char name[NAME_TEXT] = "";
	struct rollout r[8];

	world_enrol(&w, "lamp-1", "1.0", 1);
	memset(name, 'n', NAME_MAX_LEN);
	template(name, true, -1);
	world_release(&w, 2, "2.0");
	world_jobs(&w);
	ck_assert_int_eq(rollouts(r), 1);
	world_release(&w, 3, "3.0");
	world_jobs(&w);
	ck_assert_int_eq(rollouts(r), 2);
	ck_assert(!audited("policy", "standing.failed"));
}
END_TEST

/* One that cannot be read any more is told of, and those behind it go on. */
START_TEST(test_one_that_is_not_right)
{
	struct rollout r[8];

	template("old", true, -1);
	unreadable = true;
	world_release(&w, 2, "2.0");
	world_jobs(&w);
	ck_assert_int_eq(rollouts(r), 0);
	ck_assert(audited("policy", "standing.failed"));
}
END_TEST

/* ---- policy approves ---- */

static struct release handed_in(uint64_t sequence, bool with_image)
{
	char version[16];

	ck_assert_int_eq(text_format(version, sizeof(version), "%d.0", (int)sequence), 0);
	struct world_author by = world_author(&w, sequence, version);
	struct manifest m;
	struct release r;
	struct buf b;

	if (!with_image)
		ck_assert_int_eq(sha256_once(slice_str("to come"), &by.image), 0);
	by.size = with_image ? by.size : strlen("to come");
	world_envelope(&by, &b);
	WORLD_OK(&w, release_manifest_add(&w.tk, buf_slice(&b), &m, &w.err));
	WORLD_OK(&w, release_add(&w.tk, &m.digest, NULL, &r, &w.err));
	buf_free(&b);
	world_jobs(&w);
	ck_assert_int_eq(store_release_get(w.st, r.id, &r, &w.err), 1);
	return r;
}

START_TEST(test_policy_approves_what_its_keys_signed)
{
	w.policy.n_auto_approve = 1;
	ck_assert_int_eq(handed_in(2, true).state, RELEASE_SUBMITTED); /* another key */
	w.policy.auto_approve[0] = w.anchor.key_id;
	struct release r = handed_in(3, true);
	ck_assert_int_eq(r.state, RELEASE_APPROVED);
	ck_assert_str_eq(r.approved_by, "policy");
	ck_assert(audited("policy", "release.approve"));
	w.policy.n_auto_approve = 0;
	ck_assert_int_eq(handed_in(4, true).state, RELEASE_SUBMITTED);
}
END_TEST

START_TEST(test_policy_waits_for_the_image)
{
	struct digest image;
	uint64_t size;

	w.policy.n_auto_approve = 1;
	w.policy.auto_approve[0] = w.anchor.key_id;
	struct release r = handed_in(2, false);
	ck_assert_int_eq(r.state, RELEASE_SUBMITTED);
	world_image(&w, "to come", &image, &size);
	WORLD_OK(&w, standing_image_added(&w.tk, &image, &w.err));
	world_jobs(&w);
	ck_assert_int_eq(store_release_get(w.st, r.id, &r, &w.err), 1);
	ck_assert_int_eq(r.state, RELEASE_APPROVED);
	/* and nothing more to do for it */
	WORLD_OK(&w, standing_image_added(&w.tk, &image, &w.err));
	world_jobs(&w);
}
END_TEST

START_TEST(test_an_approver_is_asked_for_large_rollouts)
{
	struct rollout r[8];

	world_enrol(&w, "lamp-1", "1.0", 1);
	world_enrol(&w, "lamp-2", "1.0", 1);
	w.policy.approve_above = 1;
	template("lamps", true, -1);
	world_release(&w, 2, "2.0");
	world_jobs(&w);
	ck_assert_int_eq(rollouts(r), 1);
	ck_assert_int_eq(r[0].state, ROLLOUT_AWAITING_APPROVAL);
	ck_assert(strstr(r[0].reason, "2 devices, an approver is needed above 1"));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	WORLD_OK(&w, rollout_approve(&w.tk, &r[0], &w.err));
	ck_assert_int_eq(world_rollout_now(&w, r[0].id).state, ROLLOUT_RUNNING);
}
END_TEST

/* What forbids the start is its reason; a person may start it later. */
START_TEST(test_a_start_that_is_refused)
{
	struct rollout r[8];

	world_enrol(&w, "lamp-1", "1.0", 1);
	w.policy.approve_above = 0;
	template("lamps", true, -1);
	struct release rel = world_release(&w, 2, "2.0");
	world_jobs(&w);
	ck_assert_int_eq(rollouts(r), 1);
	rel.state = RELEASE_SUBMITTED;
	WORLD_OK(&w, store_release_put(w.st, &rel, &w.err));
	WORLD_OK(&w, rollout_approve(&w.tk, &r[0], &w.err));
	struct rollout now = world_rollout_now(&w, r[0].id);
	ck_assert_int_eq(now.state, ROLLOUT_READY);
	ck_assert(strstr(now.reason, "the release is submitted"));
}
END_TEST

/* ---- who comes by itself ---- */

static struct device come(const char *id, enum mode mode, const char *model)
{
	struct registration r = { .boot = 1, .counter = 1, .mode = mode, .n_components = -1 };
	struct device d = { .auth = AUTH_NONE };
	int64_t ask;
	bool created;

	ck_assert_int_eq(text_copy(r.model, sizeof(r.model), model), 0);
	ck_assert_int_eq(text_copy(d.id, sizeof(d.id), id), 0);
	WORLD_OK(&w, registry_register(&w.tk, &d, &r, NULL, &created, &ask, &w.err));
	ck_assert(created);
	return world_device(&w, id);
}

START_TEST(test_held_back)
{
	w.policy.first_contact = FIRST_HOLD;
	struct device d = come("stranger", MODE_CLIENT, "lamp");
	ck_assert(d.held_back);
	struct release rel = world_release(&w, 2, "2.0");
	struct rollout r = world_rollout(&w, &rel, "r", "all", 1);
	ck_assert_int_eq(r.total, 0);
	WORLD_OK(&w, rollout_join_late(&w.tk, d.dev, &w.err));
	ck_assert_int_eq(world_rollout_now(&w, r.id).total, 0);
	struct gate g[GATES_MAX];
	ck_assert_int_eq(why_device(&w.tk, &d, g, &w.err), 1);
	ck_assert_str_eq(g[0].name, "enrolment");
	w.policy.first_contact = FIRST_ACCEPT;
	ck_assert(!come("guest", MODE_CLIENT, "lamp").held_back);
}
END_TEST

START_TEST(test_mode_of_its_class)
{
	w.policy.n_classes = 1;
	w.policy.classes[0] = (struct policy_class){ .class_name = "lamp", .mode = MODE_SERVER };
	ck_assert_int_eq(come("says", MODE_NEGOTIATED, "lamp").mode, MODE_NEGOTIATED);
	ck_assert_int_eq(come("silent", MODE_UNSET, "lamp").mode, MODE_SERVER);
	ck_assert_int_eq(come("other", MODE_UNSET, "meter").mode, MODE_CLIENT);
	w.policy.classes[0].mode = MODE_UNSET;
	ck_assert_int_eq(come("plain", MODE_UNSET, "lamp").mode, MODE_CLIENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/standing");
	TCase *t = tcase_create("standing");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_one_rollout_of_each_template);
	tcase_add_test(t, test_why_tells_of_it);
	tcase_add_test(t, test_made_once);
	tcase_add_test(t, test_other_classes);
	tcase_add_test(t, test_completed_by_model);
	tcase_add_test(t, test_a_model_is_no_filter);
	tcase_add_test(t, test_long_names);
	tcase_add_test(t, test_one_that_is_not_right);
	tcase_add_test(t, test_policy_approves_what_its_keys_signed);
	tcase_add_test(t, test_policy_waits_for_the_image);
	tcase_add_test(t, test_an_approver_is_asked_for_large_rollouts);
	tcase_add_test(t, test_a_start_that_is_refused);
	tcase_add_test(t, test_held_back);
	tcase_add_test(t, test_mode_of_its_class);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
