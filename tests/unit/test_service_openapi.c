/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/route.h"

/* schema/openapi.yaml and the route table say the same: every operators' route, and no other. */

static char *text;

static void setup(void)
{
	const char *top = getenv("top_srcdir");
	struct buf path = BUF_INIT(4096), all = BUF_INIT(1 << 20);
	uint8_t part[4096];
	size_t n;

	buf_printf(&path, "%s/schema/openapi.yaml", top ? top : ".");
	FILE *f = fopen(buf_cstr(&path), "rb");
	ck_assert_msg(f, "%s", buf_cstr(&path));
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(&all, part, n);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert(!all.failed);
	text = strdup(buf_cstr(&all));
	buf_free(&path);
	buf_free(&all);
}

static void teardown(void)
{
	free(text);
}

static bool described(const char *pattern)
{
	return strncmp(pattern, "/api/", 5) == 0 || strcmp(pattern, "/healthz") == 0 ||
	       strcmp(pattern, "/readyz") == 0 || strcmp(pattern, "/metrics") == 0;
}

/* "/api/v1/images/<digest>" as a key of paths: "    \"/api/v1/images/{digest}\": {". */
static void key_of(const char *pattern, char *dst, size_t cap)
{
	ck_assert_int_eq(text_format(dst, cap, "\n    \"%s\": {", pattern), 0);
	for (char *p = dst; *p; p++)
		*p = *p == '<' ? '{' : *p == '>' ? '}' : *p;
}

/* The method's member in the path's map, or NULL. */
static const char *method_in(const char *path, enum method m)
{
	const char *end = strstr(path + 1, "\n    \"/");
	const char *last = strstr(path, "\n  },");
	char key[32];

	ck_assert_int_eq(text_format(key, sizeof(key), "\n      \"%s\": {", method_name(m)), 0);
	for (char *p = key; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	const char *at = strstr(path, key);
	if (!end || (last && last < end))
		end = last;
	return at && (!end || at < end) ? at : NULL;
}

START_TEST(every_route_is_described)
{
	for (unsigned i = 0; i < routes_count; i++) {
		char key[160];

		if (!described(routes[i].pattern))
			continue;
		key_of(routes[i].pattern, key, sizeof(key));
		const char *path = strstr(text, key);
		ck_assert_msg(path, "%s is not described", routes[i].pattern);
		ck_assert_msg(method_in(path, routes[i].method), "%s %s is not described",
			      method_name(routes[i].method), routes[i].pattern);
	}
}
END_TEST

static bool routed(const char *path, enum method m)
{
	char key[160];

	for (unsigned i = 0; i < routes_count; i++) {
		key_of(routes[i].pattern, key, sizeof(key));
		if (routes[i].method == m && strncmp(path, key, strlen(key)) == 0)
			return true;
	}
	return false;
}

START_TEST(nothing_else_is)
{
	unsigned n = 0;

	for (const char *p = strstr(text, "\n    \"/"); p; p = strstr(p + 1, "\n    \"/"))
		for (int m = 0; m < METHOD_COUNT; m++)
			if (method_in(p, (enum method)m)) {
				ck_assert_msg(routed(p, (enum method)m), "%.60s: no such route", p);
				n++;
			}
	ck_assert_uint_gt(n, 50);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service openapi");
	TCase *t = tcase_create("openapi");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_route_is_described);
	tcase_add_test(t, nothing_else_is);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
