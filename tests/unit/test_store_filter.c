/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store_util.h"

/*
 * A fleet made from numbers, so that a filter can be judged twice: by the
 * store's SQL and by looking at the numbers.
 */
#define FLEET 1000

struct made {
	int64_t dev;
	char id[16];
	const char *manufacturer, *model, *mode, *parent, *state;
	bool has_vendor;
	uint8_t vendor;
	const char *tags[3], *groups[2];
	const char *version, *version2; /* NULL none; component 0, and "mcu2" */
	bool has_hw, has_color, has_temp;
	int64_t hw, temp;
	const char *color;
};

static struct made fleet[FLEET];
static struct bed b;

static int match(struct store *st, const struct filter *f, int64_t after, int limit, int64_t *devs,
		 struct err *e)
{
	bool done;

	return store_device_match(st, f, &after, INT32_MAX, limit, devs, &done, e);
}

static int list(struct store *st, const struct filter *f, int64_t after, int limit,
		struct device *out, struct err *e)
{
	bool done;

	return store_device_list(st, f, &after, INT32_MAX, limit, out, &done, e);
}
static unsigned seed;

static const char *const manufacturers[] = { "example", "acme", "" };
static const char *const models[] = { "c7960", "m2", "m10", "m-9" };
static const char *const versions[] = { "1.0", "1.9", "1.10", "2.0~rc1", "2.0", "10.0", NULL };
static const char *const tags[] = { "lab", "north", "south" };
static const char *const colors[] = { "red", "green", "10" };
static const enum update_state states[] = { UPDATE_PLANNED, UPDATE_FAILED, UPDATE_SUCCEEDED };

static void make_one(int i)
{
	struct made *m = &fleet[i];

	snprintf(m->id, sizeof(m->id), "d%03d", i);
	m->manufacturer = manufacturers[i % 3];
	m->model = models[i / 3 % 4];
	m->mode = mode_word((enum mode)(i % 4));
	m->parent = i % 10 ? "" : "gw-1";
	m->has_vendor = i % 5 != 0;
	m->vendor = (uint8_t)(i % 3);
	for (int k = 0; k < 3; k++)
		m->tags[k] = i >> k & 1 ? tags[k] : NULL;
	m->groups[0] = i % 7 == 0 ? "pilot" : NULL;
	m->groups[1] = i % 11 == 0 ? "gone" : NULL;
	m->version = versions[i % 7];
	m->version2 = m->version ? versions[i / 7 % 7] : NULL;
	m->has_hw = i % 4 != 1;
	m->hw = i % 9 - 3;
	m->has_color = i % 3 != 2;
	m->color = colors[i % 3];
	m->has_temp = i % 6 == 0;
	m->temp = i % 50;
	m->state = i % 8 ? NULL : update_state_word(states[i / 8 % 3]);
}

static void store_labels(const struct made *m)
{
	struct filter_value v = { 0 };

	for (int k = 0; k < 3; k++)
		if (m->tags[k])
			ok(store_tag_put(b.st, m->dev, m->tags[k], true, e));
	for (int k = 0; k < 2; k++)
		if (m->groups[k])
			ok(store_group_member(b.st, m->groups[k], m->dev, true, e));
	v = (struct filter_value){ .is_number = true, .number = m->hw };
	if (m->has_hw)
		ok(store_attr_put(b.st, m->dev, false, "hw", &v, e));
	v = (struct filter_value){ 0 };
	text_copy(v.text, sizeof(v.text), m->color);
	if (m->has_color)
		ok(store_attr_put(b.st, m->dev, false, "color", &v, e));
	v = (struct filter_value){ .is_number = true, .number = m->temp };
	if (m->has_temp)
		ok(store_attr_put(b.st, m->dev, true, "temp", &v, e));
}

static void store_one(struct made *m, int64_t release)
{
	struct device d = { .etag = 1 };
	struct component c[2] = { { .name = "main" }, { .name = "mcu2" } };

	text_copy(d.id, sizeof(d.id), m->id);
	text_copy(d.manufacturer, sizeof(d.manufacturer), m->manufacturer);
	text_copy(d.model, sizeof(d.model), m->model);
	text_copy(d.parent, sizeof(d.parent), m->parent);
	mode_parse(m->mode, &d.mode);
	d.vendor_id.set = m->has_vendor;
	if (m->has_vendor)
		memset(d.vendor_id.b, m->vendor, sizeof(d.vendor_id.b));
	ok(store_device_add(b.st, &d, e));
	m->dev = d.dev;
	store_labels(m);
	if (m->version) {
		text_copy(c[0].version, sizeof(c[0].version), m->version);
		text_copy(c[1].version, sizeof(c[1].version), m->version2 ? m->version2 : "");
		ok(store_components_put(b.st, m->dev, c, m->version2 ? 2 : 1, NULL, e));
	}
	if (m->state) {
		/* an older one says something else: the newest counts */
		make_update(b.st, m->dev, 0, release);
		struct update u = make_update(b.st, m->dev, 0, release);
		update_state_parse(m->state, &u.state);
		ok(store_update_put(b.st, &u, e));
	}
}

static void setup(void)
{
	bed_make(&b);
	int64_t release = make_release(b.st, "r", 1);
	ok(store_batch_begin(b.st, e));
	ok(store_group_add(b.st, "pilot", e));
	ok(store_group_add(b.st, "gone", e));
	for (int i = 0; i < FLEET; i++) {
		make_one(i);
		store_one(&fleet[i], release);
	}
	/* a group that is removed has no members, though their rows wait for the sweep */
	ok(store_group_remove(b.st, "gone", e));
	ok(store_batch_commit(b.st, e));
}

static void teardown(void)
{
	bed_remove(&b);
}

static bool judge(int order, enum filter_cmp cmp)
{
	switch (cmp) {
	case CMP_EQ:
	case CMP_NE:
		return order == 0;
	case CMP_LT:
		return order < 0;
	case CMP_LE:
		return order <= 0;
	case CMP_GT:
		return order > 0;
	case CMP_GE:
		return order >= 0;
	}
	return false;
}

static bool text_is(const char *have, const struct filter_value *v, enum filter_cmp cmp)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)v->number);
	return have && judge(strcmp(have, v->is_number ? number : v->text), cmp);
}

static bool version_is(const char *have, const struct filter_value *v, enum filter_cmp cmp)
{
	return have && judge(text_version_cmp(have, v->text), cmp);
}

static bool attr_is(bool has, bool number, int64_t n, const char *t, const struct filter_value *v,
		    enum filter_cmp cmp)
{
	if (!has || number != v->is_number)
		return false;
	return number ? judge(n < v->number ? -1 : n > v->number, cmp)
		      : judge(strcmp(t, v->text), cmp);
}

static bool vendor_is(const struct made *m, const struct filter_value *v, enum filter_cmp cmp)
{
	struct uuid u;
	uint8_t have[16];

	memset(have, m->vendor, sizeof(have));
	return m->has_vendor && uuid_parse(&u, slice_str(v->text)) == 0 &&
	       judge(memcmp(have, u.b, sizeof(have)), cmp);
}

static bool value_is(const struct made *m, const struct filter *f, const struct filter_value *v)
{
	bool any = false;

	switch (f->field) {
	case FIELD_ID:
		return text_is(m->id, v, f->cmp);
	case FIELD_MANUFACTURER:
		return text_is(m->manufacturer, v, f->cmp);
	case FIELD_MODEL:
		return text_is(m->model, v, f->cmp);
	case FIELD_VENDOR:
		return vendor_is(m, v, f->cmp);
	case FIELD_MODE:
		return text_is(m->mode, v, f->cmp);
	case FIELD_PARENT:
		return text_is(m->parent, v, f->cmp);
	case FIELD_TAG:
		for (int k = 0; k < 3; k++)
			any = any || text_is(m->tags[k], v, f->cmp);
		return any;
	case FIELD_GROUP:
		return text_is(m->groups[0], v, f->cmp);
	case FIELD_VERSION:
		return version_is(!f->sub[0] || !strcmp(f->sub, "main") ? m->version
				  : strcmp(f->sub, "mcu2") == 0		? m->version2
									: NULL,
				  v, f->cmp);
	case FIELD_ATTR:
		return strcmp(f->sub, "hw") == 0
			       ? attr_is(m->has_hw, true, m->hw, NULL, v, f->cmp)
			       : attr_is(m->has_color && strcmp(f->sub, "color") == 0, false, 0,
					 m->color, v, f->cmp);
	case FIELD_REPORTED:
		return attr_is(m->has_temp && strcmp(f->sub, "temp") == 0, true, m->temp, NULL, v,
			       f->cmp);
	case FIELD_STATE:
		return text_is(m->state, v, f->cmp);
	case FIELD_CLASS:
	case FIELD_COUNT:
		return false;
	}
	return false;
}

static bool naive(const struct made *m, const struct filter *f)
{
	bool any = false;

	switch (f->op) {
	case FILTER_ALL:
		return true;
	case FILTER_AND:
		return naive(m, f->left) && naive(m, f->right);
	case FILTER_OR:
		return naive(m, f->left) || naive(m, f->right);
	case FILTER_NOT:
		return !naive(m, f->left);
	case FILTER_COMPARE:
		return value_is(m, f, &f->values[0]) != (f->cmp == CMP_NE);
	case FILTER_IN:
		for (uint32_t i = 0; i < f->n; i++)
			any = any || value_is(m, f, &f->values[i]);
		return any;
	}
	return false;
}

/* Both judgements agree for every device, page by page and one by one. Returns how many match. */
static int agree(const struct filter *f, bool each)
{
	int64_t devs[97], after = 0, cursor = 0;
	int at = 0, n, total = 0;
	bool done = false;

	while ((n = match(b.st, f, after, 97, devs, &b.e)) > 0) {
		for (int i = 0; i < n; i++, at++, total++) {
			while (at < FLEET && !naive(&fleet[at], f))
				at++;
			ck_assert_int_lt(at, FLEET);
			ck_assert_int_eq(devs[i], fleet[at].dev);
		}
		after = devs[n - 1];
	}
	ck_assert_msg(n == 0, "%s", b.e.text);
	for (; at < FLEET; at++)
		ck_assert(!naive(&fleet[at], f));
	for (n = 0; !done;) {
		int got = store_device_match(b.st, f, &cursor, 70, 50, devs, &done, &b.e);
		ck_assert_int_ge(got, 0);
		n += got;
	}
	ck_assert_int_eq(n, total);
	for (int i = 0; each && i < FLEET; i += 13)
		ck_assert_int_eq(store_device_matches(b.st, fleet[i].dev, f, &b.e),
				 naive(&fleet[i], f));
	return total;
}

#define TEXT(t)           \
	{                 \
		.text = t \
	}
#define NUMBER(v)                              \
	{                                      \
		.is_number = true, .number = v \
	}

static struct filter leaves[] = {
	{ .op = FILTER_ALL },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_ID,
	  .cmp = CMP_GE,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("d500") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_MANUFACTURER,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("acme") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_MODEL,
	  .cmp = CMP_NE,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("c7960") },
	{ .op = FILTER_IN,
	  .field = FIELD_MODEL,
	  .n = 2,
	  .values = (struct filter_value[]){ TEXT("m2"), TEXT("x") } },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_VENDOR,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("01010101-0101-0101-0101-010101010101") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_VENDOR,
	  .cmp = CMP_NE,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("01010101-0101-0101-0101-010101010101") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_VENDOR,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("example.com") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_MODE,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("server") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_PARENT,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("gw-1") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_TAG,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("lab") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_TAG,
	  .cmp = CMP_NE,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("lab") },
	{ .op = FILTER_IN,
	  .field = FIELD_TAG,
	  .n = 3,
	  .values = (struct filter_value[]){ TEXT("north"), TEXT("south"), TEXT("5") } },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_GROUP,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("pilot") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_GROUP,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("gone") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_VERSION,
	  .cmp = CMP_LT,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("2.0") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_VERSION,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("1.00") },
	{ .op = FILTER_IN,
	  .field = FIELD_VERSION,
	  .n = 2,
	  .values = (struct filter_value[]){ TEXT("1.010"), TEXT("10.0") } },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_VERSION,
	  .sub = "mcu2",
	  .cmp = CMP_GE,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("1.10") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_VERSION,
	  .sub = "other",
	  .cmp = CMP_NE,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("1") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_ATTR,
	  .sub = "hw",
	  .cmp = CMP_GE,
	  .n = 1,
	  .values = &(struct filter_value)NUMBER(3) },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_ATTR,
	  .sub = "hw",
	  .cmp = CMP_LT,
	  .n = 1,
	  .values = &(struct filter_value)NUMBER(-1) },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_ATTR,
	  .sub = "hw",
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("3") },
	{ .op = FILTER_IN,
	  .field = FIELD_ATTR,
	  .sub = "color",
	  .n = 3,
	  .values = (struct filter_value[]){ TEXT("red"), NUMBER(10), TEXT("blue") } },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_ATTR,
	  .sub = "x' OR 1=1 --",
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("' OR ''='") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_REPORTED,
	  .sub = "temp",
	  .cmp = CMP_GT,
	  .n = 1,
	  .values = &(struct filter_value)NUMBER(20) },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_REPORTED,
	  .sub = "hw",
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)NUMBER(3) },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_STATE,
	  .cmp = CMP_EQ,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("failed") },
	{ .op = FILTER_COMPARE,
	  .field = FIELD_STATE,
	  .cmp = CMP_NE,
	  .n = 1,
	  .values = &(struct filter_value)TEXT("failed") },
};
#define LEAVES ((int)(sizeof(leaves) / sizeof(leaves[0])))

START_TEST(test_leaves)
{
	int some = 0;

	for (int i = 0; i < LEAVES; i++) {
		int n = agree(&leaves[i], true);
		some += n > 0 && n < FLEET;
	}
	ck_assert_int_eq(agree(&leaves[0], false), FLEET);
	/* most of them tell devices apart, else this test says nothing */
	ck_assert_int_gt(some, 20);
}
END_TEST

static struct filter nodes[512];
static int n_nodes;

static struct filter *random_tree(int depth)
{
	struct filter *f = &nodes[n_nodes++];
	int pick = (int)util_random(&seed) % 4;

	if (depth == 0 || pick == 3)
		return &leaves[(int)util_random(&seed) % LEAVES];
	*f = (struct filter){ .op = pick == 0 ? FILTER_AND : pick == 1 ? FILTER_OR : FILTER_NOT };
	f->left = random_tree(depth - 1);
	if (pick != 2)
		f->right = random_tree(depth - 1);
	return f;
}

START_TEST(test_trees)
{
	seed = 11;
	for (int i = 0; i < 60; i++) {
		n_nodes = 0;
		agree(random_tree(4), i % 10 == 0);
	}
}
END_TEST

/* 2^levels - 1 tests and operators. */
static struct filter *full_tree(int levels)
{
	struct filter *f = &nodes[n_nodes++];

	if (levels == 1)
		return &leaves[0];
	*f = (struct filter){ .op = FILTER_OR };
	f->left = full_tree(levels - 1);
	f->right = full_tree(levels - 1);
	return f;
}

/* One filter, or two put together, as an operator's scope and what is asked for are. */
START_TEST(test_bounds)
{
	static struct filter chain[FILTER_NODES + 2];
	static struct filter_value values[300], numbers[300];
	struct filter wide = { .op = FILTER_IN, .field = FIELD_TAG, .values = values };
	struct filter many = {
		.op = FILTER_IN, .field = FIELD_ATTR, .sub = "hw", .values = numbers, .n = 300
	};
	struct filter named = many, both = { .op = FILTER_AND, .left = &wide, .right = &named };
	int64_t dev;

	for (int i = 0; i < 300; i++)
		numbers[i].is_number = true;
	for (int i = 0; i < FILTER_DEPTH; i++)
		chain[i] = (struct filter){ .op = FILTER_NOT, .left = &chain[i + 1] };
	chain[FILTER_DEPTH - 1] = leaves[0];
	ok(match(b.st, chain, 0, 1, &dev, e));
	chain[FILTER_DEPTH - 1] = (struct filter){ .op = FILTER_NOT, .left = &leaves[0] };
	refuses(match(b.st, chain, 0, 1, &dev, e), ERR_TOO_LARGE);

	n_nodes = 0;
	ok(match(b.st, full_tree(6), 0, 1, &dev, e));
	refuses(match(b.st, full_tree(7), 0, 1, &dev, e), ERR_TOO_LARGE);

	wide.n = 257;
	refuses(match(b.st, &wide, 0, 1, &dev, e), ERR_TOO_LARGE);
	refuses(match(b.st, &many, 0, 1, &dev, e), ERR_TOO_LARGE);
	/* a name inside a field is a value, too */
	named.n = 1;
	for (wide.n = 254; wide.n <= 256; wide.n++) {
		if (wide.n == 254)
			ok(match(b.st, &both, 0, 1, &dev, e));
		else
			refuses(match(b.st, &both, 0, 1, &dev, e), ERR_TOO_LARGE);
	}
}
END_TEST

START_TEST(test_list)
{
	static struct device d[FLEET];

	ck_assert_int_eq(list(b.st, NULL, 0, FLEET, d, &b.e), FLEET);
	ck_assert_str_eq(d[999].id, "d999");
	ck_assert_int_eq(list(b.st, &leaves[1], 0, FLEET, d, &b.e), 500);
	ck_assert_str_eq(d[0].id, "d500");
	ck_assert_int_eq(list(b.st, &leaves[1], d[499].dev, FLEET, d, &b.e), 0);
	int64_t devs[4], cursor = 0;
	bool done = false;
	/* a slice that finds nothing still moves on */
	ck_assert_int_eq(store_device_match(b.st, &leaves[1], &cursor, 100, 4, devs, &done, &b.e),
			 0);
	ck_assert_int_eq(cursor, 100);
	ck_assert(!done);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_filter");
	TCase *tc = tcase_create("store_filter");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_leaves);
	tcase_add_test(tc, test_trees);
	tcase_add_test(tc, test_bounds);
	tcase_add_test(tc, test_list);
	suite_add_tcase(s, tc);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
