/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "codec/docfmt.h"

static struct ctx c;
static char dir[64];

static void setup(void)
{
	memset(&c, 0, sizeof(c));
	c.a = ARENA_INIT(1u << 20);
	(void)snprintf(dir, sizeof(dir), "/tmp/fettle-cli-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	arena_free(&c.a);
	ck_assert_int_eq(rmdir(dir), 0); /* every test takes away what it made */
}

static const char *in_dir(const char *name)
{
	return arena_printf(&c.a, "%s/%s", dir, name);
}

static const struct doc *json(const char *text)
{
	const struct doc *d = NULL;
	struct err e = { 0 };

	ck_assert_msg(docfmt_decode(MEDIA_JSON, slice_str(text), &c.a, &d, &e) == 0, "%s", e.text);
	return d;
}

static const struct {
	const char *doc, *path, *text;
} values[] = {
	{ "{\"a\":\"x\"}", "a", "x" },
	{ "{\"a\":\"\"}", "a", "-" },
	{ "{\"a\":null}", "a", "-" },
	{ "{\"a\":null}", "b", "-" },
	{ "{\"a\":null}", "a.b", "-" },
	{ "{\"a\":-7}", "a", "-7" },
	{ "{\"a\":true,\"b\":false}", "a", "yes" },
	{ "{\"a\":true,\"b\":false}", "b", "no" },
	{ "{\"a\":{\"b\":{\"c\":3}}}", "a.b.c", "3" },
	{ "{\"a\":[{\"b\":\"x\"},{\"b\":\"y\"}]}", "a.0.b", "x" },
	{ "{\"a\":[{\"b\":\"x\"},{\"b\":\"y\"}]}", "a.1.b", "y" },
	{ "{\"a\":[{\"b\":\"x\"}]}", "a.1.b", "-" },
	{ "{\"a\":[]}", "a.0", "-" },
	{ "{\"a\":[1,2,3]}", "a", "3" },
	/* what would move a cursor, start a sequence, or turn a line around */
	{ "{\"a\":\"x\\u001b[2Jy\"}", "a", "x?[2Jy" },
	{ "{\"a\":\"x\\ny\\rz\\t\"}", "a", "x?y?z?" },
	{ "{\"a\":\"x\\u007fy\"}", "a", "x?y" },
	{ "{\"a\":\"x\\u009b2Jy\"}", "a", "x?2Jy" },
	{ "{\"a\":\"x\\u202ey\\u2066z\\u200f\"}", "a", "x?y?z?" },
	{ "{\"a\":\"\\u2028\\u2029\"}", "a", "??" },
	{ "{\"a\":\"gr\\u00fcn \\u20ac\"}", "a", "gr\303\274n \342\202\254" },
};

START_TEST(value_texts)
{
	ck_assert_str_eq(write_value(&c.a, json(values[_i].doc), values[_i].path), values[_i].text);
}
END_TEST

START_TEST(value_of_bytes)
{
	struct doc *d = doc_map(&c.a, NULL, NULL);
	uint8_t many[65] = { 0 };

	doc_add_bytes(&c.a, d, "few", slice_of("\x01\xff", 2));
	doc_add_bytes(&c.a, d, "many", slice_of(many, sizeof(many)));
	doc_add_u64(&c.a, d, "big", UINT64_MAX);
	ck_assert_str_eq(write_value(&c.a, d, "few"), "01ff");
	ck_assert_str_eq(write_value(&c.a, d, "many"), "65 bytes");
	ck_assert_str_eq(write_value(&c.a, d, "big"), "18446744073709551615");
	ck_assert_str_eq(write_value(&c.a, NULL, "x"), "-");
}
END_TEST

/* Standard output of one call of the writer. */
static const char *printed(int (*write)(struct ctx *, const struct doc *, struct err *),
			   const struct doc *d, int want)
{
	FILE *f = tmpfile();
	struct err e = { 0 };
	char *text = arena_alloc(&c.a, 8192);
	int saved, result;

	ck_assert(f && text);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	ck_assert_int_ge(dup2(fileno(f), STDOUT_FILENO), 0);
	result = write(&c, d, &e);
	fflush(stdout);
	ck_assert_int_ge(dup2(saved, STDOUT_FILENO), 0);
	close(saved);
	ck_assert_msg(result == want, "%d: %s", result, e.text);
	rewind(f);
	ck_assert_uint_lt(fread(text, 1, 8191, f), 8191);
	fclose(f);
	return text;
}

static int table(struct ctx *ctx, const struct doc *d, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" }, { "name", "NAME" }, { "at.x", "X" }, { 0 }
	};

	return write_table(ctx, d, columns, e);
}

START_TEST(tables)
{
	const struct doc *d = json("{\"items\":[{\"id\":1,\"name\":\"gr\\u00fcn\",\"at\":{\"x\":"
				   "2}},{\"id\":1000,\"name\":\"e\\u001bvil\"}]}");

	ck_assert_str_eq(printed(table, d, EXIT_DONE), "ID    NAME   X\n"
						       "1     gr\303\274n   2\n"
						       "1000  e?vil  -\n");
	ck_assert_str_eq(printed(table, json("{\"items\":[]}"), EXIT_DONE), "none\n");
	ck_assert_str_eq(printed(table, json("{\"others\":[]}"), -1), "");
	ck_assert_str_eq(printed(table, json("{\"items\":{}}"), -1), "");
}
END_TEST

START_TEST(tables_in_json)
{
	c.json = true;
	ck_assert_str_eq(printed(table, json("{\"items\":[]}"), EXIT_DONE),
			 "{\n  \"items\": []\n}\n");
}
END_TEST

START_TEST(objects)
{
	const struct doc *d =
		json("{\"id\":\"lamp\",\"tags\":[\"a\",\"b\"],\"none\":[],\"empty\":{},"
		     "\"components\":[{\"name\":\"x\"}],\"in\":{\"k\\u001bey\":1},"
		     "\"a_name_of_more_than_twenty\":true}");

	ck_assert_str_eq(printed(write_object, d, EXIT_DONE), "id                   lamp\n"
							      "tags\n"
							      "  a\n"
							      "  b\n"
							      "none                 -\n"
							      "empty                -\n"
							      "components\n"
							      "  -\n"
							      "    name             x\n"
							      "in\n"
							      "  k?ey               1\n"
							      "a_name_of_more_than_twenty yes\n");
	ck_assert_str_eq(printed(write_object, json("[]"), -1), "");
	ck_assert_str_eq(printed(write_object, NULL, -1), "");
}
END_TEST

START_TEST(paths)
{
	struct buf b = BUF_INIT(8192);
	struct err e = { 0 };

	ck_assert_str_eq(rest_path(&c, &e, "/d/%s/x", "ab/../?#%"), "/d/ab%2F..%2F%3F%23%25/x");
	ck_assert_str_eq(rest_path2(&c, &e, "/%s?a=%s", "~-._", "\xc3\xbc b"),
			 "/~-._?a=%C3%BC%20b");
	/* no segment, for nothing is called so */
	ck_assert_ptr_null(rest_path2(&c, &e, "/%s/%s", "a", "\xc3\xbc"));
	ck_assert_str_eq(e.text,
			 "'\xc3\xbc': names have no blanks, and no letters beyond ASCII, so "
			 "nothing is called so");
	ck_assert_ptr_null(rest_path(&c, &e, "/%s", "a b"));
	for (int i = 0; i < 1023; i++)
		buf_add_str(&b, " ");
	ck_assert_ptr_nonnull(rest_path(&c, &e, "/devices?q=%s", buf_cstr(&b)));
	for (int i = 0; i < 1023; i++)
		buf_add_str(&b, " ");
	ck_assert_ptr_null(rest_path(&c, &e, "/devices?q=%s", buf_cstr(&b)));
	ck_assert_int_eq(e.code, ERR_TOO_LARGE);
	buf_free(&b);
}
END_TEST

START_TEST(files)
{
	const char *path = in_dir("f");
	struct buf b = BUF_INIT(0);
	struct err e = { 0 };
	struct digest d;
	struct stat st;
	uint64_t size;

	ck_assert_int_eq(file_write(path, slice_str("secret"), 0600, &e), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	/* what is secret is never written over; what is not, is */
	ck_assert_int_eq(file_write(path, slice_str("other"), 0600, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, path));
	ck_assert_int_eq(file_read(path, 6, &b, &e), 0);
	ck_assert(slice_eq_str(buf_slice(&b), "secret"));
	buf_free(&b);
	ck_assert_int_eq(file_read(path, 5, &b, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOO_LARGE);
	buf_free(&b);
	ck_assert_int_eq(file_digest(path, &d, &size, &e), 0);
	ck_assert_uint_eq(size, 6);
	ck_assert_int_eq(d.b[0], 0x2b); /* SHA-256 of "secret" */
	ck_assert_int_eq(file_write(path, slice_str("x"), 0644, &e), 0);
	ck_assert_int_eq(file_digest(path, &d, &size, &e), 0);
	ck_assert_uint_eq(size, 1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(file_read(path, 5, &b, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "No such file"));
	ck_assert_int_eq(file_digest(dir, &d, &size, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "directory"));
	ck_assert_int_eq(file_read(dir, 5, &b, &e), -1);
	buf_free(&b);
}
END_TEST

static int new_client(const char *server, const char *token, struct err *e)
{
	struct client_options o = { .server = server, .token_file = token, .socket = "/run/x" };
	struct client *client = NULL;
	int result = client_new(&o, &client, e);

	client_free(client);
	return result;
}

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(servers)
{
	static const struct {
		const char *url;
		int result;
	} urls[] = {
		{ NULL, 0 },
		{ "https://gw.example.com", 0 },
		{ "https://gw.example.com:8443/", 0 },
		{ "http://localhost:8080", 0 },
		{ "http://127.0.0.1", 0 },
		{ "http://[::1]:8080", 0 },
		/* a token must not cross a network in the clear */
		{ "http://gw.example.com", -1 },
		{ "http://localhost.example.com", -1 },
		{ "http://127.0.0.1.example.com", -1 },
		{ "http://localhost:x@example.com", -1 },
		{ "ftp://localhost", -1 },
		{ "gw.example.com", -1 },
		{ "", -1 },
	};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct err e = { 0 };

		ck_assert_msg(new_client(urls[i].url, NULL, &e) == urls[i].result, "%s: %s",
			      urls[i].url, e.text);
		ck_assert_int_eq(e.code, urls[i].result ? ERR_INVALID : ERR_NONE);
	}
}
END_TEST

START_TEST(tokens)
{
	const char *path = in_dir("token");
	char long_one[400];
	struct err e = { 0 };

	ck_assert_int_eq(new_client("https://h", path, &e), -1);
	ck_assert_int_eq(e.code, ERR_IO);
	put_file(path, "ft_abc\n");
	ck_assert_int_eq(new_client("https://h", path, &e), 0);
	put_file(path, "\n");
	ck_assert_int_eq(new_client("https://h", path, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "empty"));
	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = 0;
	put_file(path, long_one);
	ck_assert_int_eq(new_client("https://h", path, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOO_LARGE);
	ck_assert_ptr_null(strstr(e.text, "xxx")); /* the secret is not in the message */
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(nobody_answers)
{
	struct client_options o = { .socket = in_dir("none.sock") };
	struct err e = { 0 };
	ck_assert_int_eq(client_new(&o, &c.client, &e), 0);
	ck_assert_int_eq(cmd_status(&c, &e), -1);
	ck_assert_int_eq(e.code, ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "none.sock"));
	client_free(c.client);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli writer");
	TCase *t = tcase_create("writer");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, value_texts, 0, (int)(sizeof(values) / sizeof(values[0])));
	tcase_add_test(t, value_of_bytes);
	tcase_add_test(t, tables);
	tcase_add_test(t, tables_in_json);
	tcase_add_test(t, objects);
	tcase_add_test(t, paths);
	tcase_add_test(t, files);
	tcase_add_test(t, servers);
	tcase_add_test(t, tokens);
	tcase_add_test(t, nobody_answers);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
