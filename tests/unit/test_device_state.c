/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/files.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

static char dir[64];
static struct files files;
static struct err e;

static void setup(void)
{
	text_copy(dir, sizeof(dir), "/tmp/fettle-state-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(files_open(&files, dir, &e), 0);
}

static void teardown(void)
{
	DIR *d = opendir(dir);
	char path[512];

	files_close(&files);
	ck_assert_ptr_nonnull(d);
	for (struct dirent *f; (f = readdir(d));)
		if (f->d_name[0] != '.' &&
		    text_format(path, sizeof(path), "%s/%s", dir, f->d_name) == 0)
			ck_assert_int_eq(unlink(path), 0);
	closedir(d);
	ck_assert_int_eq(rmdir(dir), 0);
}

static bool there(const char *name)
{
	char path[512];

	ck_assert_int_eq(text_format(path, sizeof(path), "%s/%s", dir, name), 0);
	return access(path, F_OK) == 0;
}

static void content_is(const char *name, struct slice want)
{
	struct buf b = BUF_INIT(1u << 20);
	char path[512];

	ck_assert_int_eq(text_format(path, sizeof(path), "%s/%s", dir, name), 0);
	ck_assert_int_eq(file_read(path, &b, &e), 1);
	ck_assert(slice_eq(buf_slice(&b), want));
	buf_free(&b);
}

START_TEST(state_survives)
{
	struct device_state s, back;
	uint64_t first;

	ck_assert_int_eq(state_load(dir, &s, &e), 0);
	first = s.boot;
	ck_assert_uint_gt(s.boot, 0);
	ck_assert_int_eq(state_load(dir, &back, &e), 0);
	ck_assert_uint_ne(back.boot, first); /* a new folder is a new life */
	s.confirm = 9;
	s.rolled_back = true;
	s.n_components = 2;
	text_copy(s.components[0].name, NAME_TEXT, "firmware");
	text_copy(s.components[0].version, VERSION_TEXT, "1.0");
	s.components[0].has_sequence = true;
	s.components[0].sequence = UINT64_MAX;
	s.components[1].has_digest = true;
	s.components[1].digest.b[31] = 7;
	text_copy(s.components[1].name, NAME_TEXT, "mcu2");
	s.n_installing = 1;
	s.installing[0] = s.components[1];
	ck_assert_int_eq(state_save(dir, &s, &e), 0);
	ck_assert_int_eq(state_load(dir, &back, &e), 1);
	ck_assert_uint_eq(back.boot, first);
	ck_assert_int_eq(back.confirm, 9);
	ck_assert(back.rolled_back);
	ck_assert_int_eq(back.n_components, 2);
	ck_assert_uint_eq(back.components[0].sequence, UINT64_MAX);
	ck_assert_str_eq(back.components[0].version, "1.0");
	ck_assert(!back.components[0].has_digest);
	ck_assert_uint_eq(back.components[1].digest.b[31], 7);
	ck_assert_int_eq(back.n_installing, 1);
	ck_assert(!there("state.json.new"));
}
END_TEST

static const char *const bad_states[] = {
	"",
	"{",
	"[]",
	"{}", /* no boot */
	"{\"boot\":0}",
	"{\"boot\":\"x\"}",
	"{\"boot\":1,\"stranger\":2}",
	"{\"boot\":1,\"confirm\":-1}",
	"{\"boot\":1,\"components\":{}}",
	"{\"boot\":1,\"components\":[{\"size\":1}]}",
	"{\"boot\":1,\"components\":[{\"digest\":\"00\"}]}",
	"{\"boot\":\"18446744073709551615\"}",
};

START_TEST(state_is_read_strictly)
{
	struct device_state s;

	ck_assert_int_eq(file_replace(dir, "state.json", slice_str(bad_states[_i]), &e), 0);
	ck_assert_int_eq(state_load(dir, &s, &e), -1);
	ck_assert_uint_gt(strlen(e.text), 0);
}
END_TEST

START_TEST(state_is_bounded)
{
	struct device_state s;
	char *big = calloc(1, STATE_MAX + 2);

	memset(big, ' ', STATE_MAX + 1);
	ck_assert_int_eq(state_decode(slice_of(big, STATE_MAX + 1), &s, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOO_LARGE);
	free(big);
}
END_TEST

static struct agent_offer *offer_of(const char *text)
{
	struct agent_offer *o = calloc(1, sizeof(*o));

	ck_assert_ptr_nonnull(o);
	o->update = 5;
	o->sequence = 3;
	text_copy(o->version, sizeof(o->version), "3.0");
	o->n_images = 1;
	text_copy(o->images[0].component, NAME_TEXT, "a/b");
	ck_assert_int_eq(sha256_once(slice_str(text), &o->images[0].digest), 0);
	o->images[0].has_size = true;
	o->images[0].size = strlen(text);
	return o;
}

static void store(const struct agent_offer *o, const char *text, uint64_t expect)
{
	struct agent_sink s = files_sink(&files);
	struct digest d;
	uint64_t offset;

	ck_assert_int_eq(s.begin(s.ctx, &o->images[0], &offset, &e), 0);
	ck_assert_uint_eq(offset, expect);
	ck_assert_int_eq(s.add(s.ctx, slice_str(text + offset), &e), 0);
	ck_assert_int_eq(s.end(s.ctx, &d, &e), 0);
	ck_assert(digest_eq(&d, &o->images[0].digest));
}

START_TEST(resumes_and_installs)
{
	static const char text[] = "an image of some length";
	struct agent_offer *o = offer_of(text);
	struct agent_sink s = files_sink(&files);
	struct device_state st;
	uint64_t offset;

	ck_assert_int_eq(state_load(dir, &st, &e), 0);
	ck_assert_int_eq(s.begin(s.ctx, &o->images[0], &offset, &e), 0);
	ck_assert_int_eq(s.add(s.ctx, slice_of(text, 9), &e), 0);
	/* the power goes; the next life goes on */
	files_close(&files);
	ck_assert_int_eq(files_open(&files, dir, &e), 0);
	store(o, text, 9);
	ck_assert_int_eq(files_install(dir, &st, o, &e), 0);
	content_is("firmware-a%2Fb.bin", slice_str(text));
	ck_assert_int_eq(state_load(dir, &st, &e), 1);
	ck_assert_int_eq(st.n_installing, 0);
	ck_assert_int_eq(st.n_components, 1);
	ck_assert_str_eq(st.components[0].version, "3.0");
	ck_assert_int_eq(st.confirm, 5);
	free(o);
}
END_TEST

/* Whole, and nobody said how long that is: there must be something left to ask for. */
START_TEST(resumes_what_has_no_size)
{
	static const char text[] = "how long is this?";
	struct agent_offer *o = offer_of(text);

	o->images[0].has_size = false;
	store(o, text, 0);
	store(o, text, strlen(text) - 1);
	free(o);
}
END_TEST

START_TEST(finishes_what_a_crash_cut_off)
{
	static const char text[] = "new firmware";
	struct agent_offer *o = offer_of(text);
	struct device_state st;

	ck_assert_int_eq(state_load(dir, &st, &e), 0);
	store(o, text, 0);
	/* noted, and nothing moved yet */
	st.n_installing = 1;
	st.installing[0].has_digest = true;
	st.installing[0].digest = o->images[0].digest;
	text_copy(st.installing[0].name, NAME_TEXT, "a/b");
	ck_assert_int_eq(state_save(dir, &st, &e), 0);
	ck_assert_int_eq(files_recover(dir, &st, &e), 0);
	content_is("firmware-a%2Fb.bin", slice_str(text));
	ck_assert_int_eq(st.n_components, 1);
	/* moved, and the note not yet taken back */
	st.n_installing = 1;
	ck_assert_int_eq(files_recover(dir, &st, &e), 0);
	content_is("firmware-a%2Fb.bin", slice_str(text));
	/* neither the part nor its place: not to be called installed */
	text_copy(st.installing[0].name, NAME_TEXT, "other");
	st.n_installing = 1;
	ck_assert_int_eq(files_recover(dir, &st, &e), -1);
	free(o);
}
END_TEST

/* A/B slots, or two processors alike: one image, two components, each with its own older one. */
START_TEST(one_image_for_two_components)
{
	static const char text[] = "the same for both";
	struct agent_offer *o = offer_of(text);
	struct device_state st;

	ck_assert_int_eq(state_load(dir, &st, &e), 0);
	text_copy(o->images[0].component, NAME_TEXT, "left");
	o->images[1] = o->images[0];
	text_copy(o->images[1].component, NAME_TEXT, "right");
	o->n_images = 2;
	ck_assert_int_eq(file_replace(dir, "firmware-right.bin", slice_str("old"), &e), 0);
	store(o, text, 0);
	ck_assert_int_eq(files_install(dir, &st, o, &e), 0);
	content_is("firmware-left.bin", slice_str(text));
	content_is("firmware-right.bin", slice_str(text));
	ck_assert_int_eq(st.n_components, 2);
	free(o);
}
END_TEST

START_TEST(names_that_look_alike)
{
	static const char *const names[] = { "a.b", "a_b", "a%2Eb", "a/b" };
	struct agent_offer *o = offer_of("whose?");
	struct device_state st;
	char text[16];

	ck_assert_int_eq(state_load(dir, &st, &e), 0);
	for (int i = 0; i < 4; i++) {
		text_copy(o->images[0].component, NAME_TEXT, names[i]);
		text_format(text, sizeof(text), "whose? %d", i);
		o->images[0].size = strlen(text);
		ck_assert_int_eq(sha256_once(slice_str(text), &o->images[0].digest), 0);
		store(o, text, 0);
		ck_assert_int_eq(files_install(dir, &st, o, &e), 0);
	}
	content_is("firmware-a%2Eb.bin", slice_str("whose? 0"));
	content_is("firmware-a_b.bin", slice_str("whose? 1"));
	content_is("firmware-a%252Eb.bin", slice_str("whose? 2"));
	content_is("firmware-a%2Fb.bin", slice_str("whose? 3"));
	free(o);
}
END_TEST

START_TEST(more_than_there_is_room_for)
{
	struct agent_offer *o = offer_of("small");
	struct agent_sink s = files_sink(&files);
	uint64_t offset;

	o->images[0].size = UINT64_MAX;
	ck_assert_int_eq(s.begin(s.ctx, &o->images[0], &offset, &e), -1);
	ck_assert_int_eq(e.code, ERR_FULL);
	o->images[0].has_size = false;
	ck_assert_int_eq(s.begin(s.ctx, &o->images[0], &offset, &e), 0);
	files.room = 3;
	ck_assert_int_eq(s.add(s.ctx, slice_str("abc"), &e), 0);
	ck_assert_int_eq(s.add(s.ctx, slice_str("d"), &e), -1);
	ck_assert_int_eq(e.code, ERR_FULL);
	free(o);
}
END_TEST

/* The note says it was installed, what lies there is older: that is not called installed. */
START_TEST(an_older_image_in_its_place)
{
	struct agent_offer *o = offer_of("new");
	struct device_state st;

	ck_assert_int_eq(state_load(dir, &st, &e), 0);
	ck_assert_int_eq(file_replace(dir, "firmware-a%2Fb.bin", slice_str("old"), &e), 0);
	ck_assert_int_eq(files_install(dir, &st, o, &e), -1);
	ck_assert_int_eq(st.n_components, 0);
	free(o);
}
END_TEST

/* What was reported as failed is not installed by the next start, nor keeps it from starting. */
START_TEST(a_failed_installation_is_over)
{
	struct agent_offer *o = offer_of("new");
	struct device_state st;

	ck_assert_int_eq(state_load(dir, &st, &e), 0);
	ck_assert_int_eq(files_install(dir, &st, o, &e), -1);
	ck_assert_int_eq(state_load(dir, &st, &e), 1);
	ck_assert_int_eq(files_recover(dir, &st, &e), 0);
	ck_assert_int_eq(st.n_components, 0);
	ck_assert_int_eq(st.confirm, 0);
	free(o);
}
END_TEST

/* Nor what could not even be noted: what is saved later does not say that it is under way. */
START_TEST(what_could_not_be_noted_is_over)
{
	struct agent_offer *o = offer_of("new");
	struct device_state st;
	char path[128];

	ck_assert_int_eq(state_load(dir, &st, &e), 0);
	ck_assert_int_eq(text_format(path, sizeof(path), "%s/state.json.new", dir), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0); /* in the way of the new state */
	ck_assert_int_eq(files_install(dir, &st, o, &e), -1);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(state_save(dir, &st, &e), 0);
	ck_assert_int_eq(state_load(dir, &st, &e), 1);
	ck_assert_int_eq(st.n_installing, 0);
	ck_assert_int_eq(st.confirm, 0);
	free(o);
}
END_TEST

START_TEST(wrong_bytes_do_not_stay)
{
	static const char text[] = "right bytes";
	struct agent_offer *o = offer_of(text);
	struct agent_sink s = files_sink(&files);
	struct digest d;
	uint64_t offset;

	ck_assert_int_eq(s.begin(s.ctx, &o->images[0], &offset, &e), 0);
	ck_assert_int_eq(s.add(s.ctx, slice_str("wrong bytes"), &e), 0);
	ck_assert_int_eq(s.end(s.ctx, &d, &e), 0);
	ck_assert(!digest_eq(&d, &o->images[0].digest));
	store(o, text, 0);
	/* longer than it can be: begun again */
	o->images[0].size = 4;
	ck_assert_int_eq(s.begin(s.ctx, &o->images[0], &offset, &e), 0);
	ck_assert_uint_eq(offset, 0);
	free(o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device_state");
	TCase *t = tcase_create("state");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, state_survives);
	tcase_add_loop_test(t, state_is_read_strictly, 0,
			    sizeof(bad_states) / sizeof(bad_states[0]));
	tcase_add_test(t, state_is_bounded);
	tcase_add_test(t, resumes_and_installs);
	tcase_add_test(t, resumes_what_has_no_size);
	tcase_add_test(t, finishes_what_a_crash_cut_off);
	tcase_add_test(t, one_image_for_two_components);
	tcase_add_test(t, an_older_image_in_its_place);
	tcase_add_test(t, names_that_look_alike);
	tcase_add_test(t, more_than_there_is_room_for);
	tcase_add_test(t, a_failed_installation_is_over);
	tcase_add_test(t, what_could_not_be_noted_is_over);
	tcase_add_test(t, wrong_bytes_do_not_stay);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
