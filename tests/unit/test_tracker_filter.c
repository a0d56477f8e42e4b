/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/filter.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct err err;

static void setup(void)
{
	arena = ARENA_INIT(1 << 20);
	err = (struct err){ .code = ERR_NONE };
}

static void teardown(void)
{
	arena_free(&arena);
}

/* The tree as text, every bracket written: what the parser understood. */
static void show(const struct filter *f, struct buf *b)
{
	static const char *const fields[] = { "id",   "manufacturer", "model", "vendor", "class",
					      "mode", "parent",	      "tag",   "group",	 "version",
					      "attr", "reported",     "state" };
	static const char *const cmps[] = { "==", "!=", "<", "<=", ">", ">=" };

	switch (f->op) {
	case FILTER_ALL:
		buf_add_str(b, "all");
		return;
	case FILTER_NOT:
		buf_add_str(b, "!");
		show(f->left, b);
		return;
	case FILTER_AND:
	case FILTER_OR:
		buf_add_str(b, "(");
		show(f->left, b);
		buf_add_str(b, f->op == FILTER_AND ? " & " : " | ");
		show(f->right, b);
		buf_add_str(b, ")");
		return;
	case FILTER_COMPARE:
	case FILTER_IN:
		break;
	}
	buf_add_str(b, fields[f->field]);
	if (f->sub[0])
		buf_printf(b, "[%s]", f->sub);
	buf_add_str(b, f->op == FILTER_IN ? "{" : cmps[f->cmp]);
	for (uint32_t i = 0; i < f->n; i++) {
		if (i)
			buf_add_str(b, ",");
		if (f->values[i].is_number)
			buf_printf(b, "#%lld", (long long)f->values[i].number);
		else
			buf_printf(b, "%s", f->values[i].text);
	}
	if (f->op == FILTER_IN)
		buf_add_str(b, "}");
}

static const struct {
	const char *text, *tree;
} good[] = {
	{ "all", "all" },
	{ "  all\n", "all" },
	{ "id == lamp-1", "id==lamp-1" },
	{ "id==\"lamp-1\"", "id==lamp-1" },
	{ "model == \"c7960\" and version < \"2.0\" and tag in (lab, north) and attr.hw >= 3",
	  "((model==c7960 & version<2.0) & (tag{lab,north} & attr[hw]>=#3))" },
	{ "model == 7960", "model==7960" },
	{ "attr.n == \"3\"", "attr[n]==3" },
	{ "attr.n == -3", "attr[n]==#-3" },
	{ "attr.n == 99999999999999999999", "attr[n]==99999999999999999999" },
	{ "attr.a.b != x", "attr[a.b]!=x" },
	{ "reported.rssi > -70", "reported[rssi]>#-70" },
	{ "version(\"mcu2\") >= 1:2.0~rc1+b", "version[mcu2]>=1:2.0~rc1+b" },
	{ "version <= 1.2.3", "version<=1.2.3" },
	{ "id > a", "id>a" },
	{ "a_not_field_in_quotes == x", NULL },
	{ "not tag == lab", "!tag==lab" },
	{ "not not all", "!!all" },
	{ "not (tag == a or tag == b) and all", "(!(tag==a | tag==b) & all)" },
	{ "tag == a or tag == b and tag == c", "(tag==a | (tag==b & tag==c))" },
	{ "(tag == a or tag == b) and tag == c", "((tag==a | tag==b) & tag==c)" },
	{ "((((all))))", "all" },
	{ "vendor == FA6B4A53-D5AD-5FDF-BE9D-E663E4D41FFE",
	  "vendor==fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe" },
	{ "class in (\"1492af14-2569-5e48-bf42-9b2d51f2ab45\")",
	  "class{1492af14-2569-5e48-bf42-9b2d51f2ab45}" },
	{ "mode != server", "mode!=server" },
	{ "state in (failed, timed-out)", "state{failed,timed-out}" },
	{ "group == \"gr\xc3\xb6\xc3\x9f"
	  "e \\\"x\\\" \\\\\"",
	  "group==gr\xc3\xb6\xc3\x9f"
	  "e \"x\" \\" },
	{ "parent == gw and manufacturer == example.com",
	  "(parent==gw & manufacturer==example.com)" },
	{ "tag == \"\"", "tag==" },
	{ "tag == and", "tag==and" },
	{ "tag\t==\r\ngr\xc3\xb6n", "tag==gr\xc3\xb6n" },
	{ "tag == a or tag == b or tag == c or not (tag == d)",
	  "((tag==a | tag==b) | (tag==c | !tag==d))" },
};

START_TEST(test_understood)
{
	struct filter *f = NULL;
	struct buf b = BUF_INIT(65536);

	if (!good[_i].tree) {
		ck_assert_int_eq(filter_parse(good[_i].text, &arena, &f, &err), -1);
		return;
	}
	ck_assert_msg(filter_parse(good[_i].text, &arena, &f, &err) == 0, "%s: %s", good[_i].text,
		      err.text);
	show(f, &b);
	ck_assert_str_eq(buf_cstr(&b), good[_i].tree);
	buf_free(&b);
}
END_TEST

static const struct {
	const char *text;
	int column;
	const char *says;
} wrong[] = {
	{ "", 1, "the filter ends" },
	{ "   ", 4, "the filter ends" },
	{ "id", 3, "the filter ends" },
	{ "id ==", 6, "a value is expected" },
	{ "id = x", 4, "== is expected" },
	{ "id ! x", 4, "not a sign" },
	{ "id x", 4, "==, !=" },
	{ "== x", 1, "a field, all, not or (" },
	{ "\"id\" == x", 1, "a field, all, not or (" },
	{ "colour == red", 1, "colour is no field" },
	{ "attr == red", 1, "attr is no field" },
	{ "attr. == red", 1, "is no field" },
	{ "reported. x", 1, "is no field" },
	{ "id == x y", 9, "and, or or the filter's end" },
	{ "id == x and", 12, "the filter ends" },
	{ "id == x or or", 12, "or is no field" },
	{ "(id == x", 9, "and, or or )" },
	{ "id == x)", 8, "the filter's end" },
	{ "()", 2, "a field, all, not or (" },
	{ "id in x", 7, "( is expected" },
	{ "id in ()", 8, "a value is expected" },
	{ "id in (a b)", 10, ", or )" },
	{ "id in (a,", 10, "a value is expected" },
	{ "id in (a", 9, ", or )" },
	{ "version(x) == 1", 9, "in quotes" },
	{ "version(\"x\" == 1", 13, ") is expected" },
	{ "id == \"x", 7, "not closed" },
	{ "id == \"x\\", 7, "not closed" },
	{ "id == \"a\tb\"", 7, "control character" },
	{ "id == &", 7, "not a sign" },
	{ "tag < x", 5, "no order" },
	{ "model >= x", 7, "no order" },
	{ "vendor == x", 11, "a UUID" },
	{ "class in (x)", 11, "a UUID" },
	{ "mode == push", 9, "client" },
	{ "state == done", 10, "a state" },
	{ "not", 4, "the filter ends" },
	{ "id == \xff", 0, "UTF-8" },
	/* characters, not bytes */
	{ "tag == m\xc3\xbcnchen x", 16, "and, or or the filter's end" },
	{ "tag == \"\xe2\x82\xac\xf0\x9f\x94\xa5\" tag", 13, "and, or or the filter's end" },
	{ "id == aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 7,
	  "at most 64" },
	{ "id == \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", 7,
	  "at most 64" },
	{ "((((((((((((((((all))))))))))))))))", 17, "nested deeper" },
	{ "not not not not not not not not not not not not not not not not all", 1,
	  "nested deeper" },
};

START_TEST(test_refused_with_the_column)
{
	struct filter *f = NULL;
	char column[32];

	ck_assert_int_eq(filter_parse(wrong[_i].text, &arena, &f, &err), -1);
	ck_assert_int_eq(err.code, ERR_INVALID);
	ck_assert_msg(strstr(err.text, wrong[_i].says) != NULL, "%s: '%s' lacks '%s'",
		      wrong[_i].text, err.text, wrong[_i].says);
	snprintf(column, sizeof(column), "column %d:", wrong[_i].column);
	if (wrong[_i].column > 0)
		ck_assert_msg(strncmp(err.text, column, strlen(column)) == 0,
			      "%s: '%s' at column %d", wrong[_i].text, err.text, wrong[_i].column);
}
END_TEST

/* "tag == a" joined n times by op. */
static const char *chain(const char *op, int n)
{
	static struct buf b;

	buf_free(&b);
	b = BUF_INIT(65536);
	for (int i = 0; i < n; i++)
		buf_printf(&b, "%stag==%d", i ? op : "", i);
	return buf_cstr(&b);
}

static int depth(const struct filter *f)
{
	if (!f)
		return 0;
	int l = depth(f->left), r = depth(f->right);
	return 1 + (l > r ? l : r);
}

START_TEST(test_bounds)
{
	struct filter *f = NULL;
	struct buf b = BUF_INIT(65536);

	/* 32 tests and 31 operators; flat enough */
	ck_assert_int_eq(filter_parse(chain(" or ", 32), &arena, &f, &err), 0);
	ck_assert_int_le(depth(f), 6);
	ck_assert_int_eq(filter_parse(chain(" and ", 33), &arena, &f, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "more than 64"));
	ck_assert_int_eq(filter_parse(chain(" or ", 70), &arena, &f, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "more than 64"));

	buf_add_str(&b, "id in (0");
	for (int i = 1; i < 64; i++)
		buf_printf(&b, ",%d", i);
	buf_add_str(&b, ")");
	ck_assert_int_eq(filter_parse(buf_cstr(&b), &arena, &f, &err), 0);
	ck_assert_uint_eq(f->n, 64);
	ck_assert_str_eq(f->values[63].text, "63");
	buf_reset(&b);
	buf_add_str(&b, "id in (0");
	for (int i = 1; i < 65; i++)
		buf_printf(&b, ",%d", i);
	buf_add_str(&b, ")");
	ck_assert_int_eq(filter_parse(buf_cstr(&b), &arena, &f, &err), -1);

	/* five lists of 60 are more values than one statement takes */
	buf_reset(&b);
	for (int i = 0; i < 300; i++)
		buf_printf(&b, i % 60 ? ",%d" : i ? ")or id in(%d" : "id in(%d", i % 10);
	buf_add_str(&b, ")");
	ck_assert_int_eq(filter_parse(buf_cstr(&b), &arena, &f, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "more than 256 values"));

	buf_reset(&b);
	for (int i = 0; i < FILTER_TEXT; i++)
		buf_add_str(&b, " ");
	ck_assert_int_eq(filter_parse(buf_cstr(&b), &arena, &f, &err), -1);
	ck_assert_int_eq(err.code, ERR_TOO_LARGE);
	buf_free(&b);
}
END_TEST

/* Every allocation fails in turn: it is said, or the tree is whole. */
START_TEST(test_no_memory)
{
	struct buf b = BUF_INIT(65536);
	unsigned refused = 0;
	int got;

	if (!good[_i].tree)
		return;
	for (size_t most = 0;; most += 16) {
		struct arena small = ARENA_INIT(most);
		struct filter *f = NULL;

		err = (struct err){ .code = ERR_NONE };
		got = filter_parse(good[_i].text, &small, &f, &err);
		if (got == 0)
			show(f, &b);
		arena_free(&small);
		if (got == 0)
			break;
		ck_assert_msg(err.code == ERR_NO_MEMORY, "%s: %s", good[_i].text, err.text);
		ck_assert_ptr_null(f);
		refused++;
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_str_eq(buf_cstr(&b), good[_i].tree);
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/filter");
	TCase *t = tcase_create("filter");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_understood, 0, (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(t, test_refused_with_the_column, 0,
			    (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(t, test_bounds);
	tcase_add_loop_test(t, test_no_memory, 0, (int)(sizeof(good) / sizeof(good[0])));
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
