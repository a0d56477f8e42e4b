/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/minicoap.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static uint8_t room[2048];

static struct slice hex(const char *s)
{
	size_t n = strlen(s) / 2;

	ck_assert_uint_le(n, sizeof(room));
	ck_assert_int_eq(text_unhex(room, n, slice_str(s)), 0);
	return slice_of(room, n);
}

static struct mc_out request(const char *path)
{
	return (struct mc_out){ .kind = MC_CON,
				.code = 1,
				.mid = 0x1234,
				.token = 0x0807060504030201,
				.path = path,
				.query = "",
				.observe = -1,
				.format = -1,
				.accept = -1 };
}

static void expect(const struct mc_out *m, const char *want)
{
	char text[2 * MC_PACKET_MAX + 1];
	uint8_t bytes[MC_PACKET_MAX];
	size_t n = mc_write(bytes, sizeof(bytes), m);

	text_hex(text, bytes, n);
	ck_assert_str_eq(text, want);
}

#define HEAD "480112340102030405060708"

START_TEST(writing)
{
	struct mc_out m = request("/a/bc");

	expect(&m, HEAD "b161026263");
	m.path = "/";
	expect(&m, HEAD);
	m = request("/a");
	m.observe = 0;
	m.accept = 60;
	expect(&m, HEAD "60"
			"5161"
			"613c");
	m = request("/a");
	m.code = 2;
	m.format = 60;
	m.query = "x=1&y";
	m.payload = slice_str("hi");
	expect(&m, "480212340102030405060708"
		   "b161"
		   "113c"
		   "33783d31"
		   "0179"
		   "ff6869");
	m = request("/a");
	m.block2 = true;
	m.num = 5;
	m.szx = 6;
	expect(&m, HEAD "b161"
			"c156");
	m.num = 1u << 20;
	expect(&m, "");
	m = request("/a");
	m.etag = (struct etag){ .n = 2, .b = { 1, 2 } };
	m.echo = slice_str("e");
	expect(&m, HEAD "420102"
			"7161"
			"d1e4"
			"65");
}
END_TEST

START_TEST(long_options)
{
	char path[400] = "/";
	struct mc_out m = request(path);
	uint8_t bytes[MC_PACKET_MAX];

	memset(path + 1, 'a', 255);
	ck_assert_uint_eq(mc_write(bytes, sizeof(bytes), &m), 12 + 2 + 255);
	ck_assert_uint_eq(bytes[12], 0xbd);
	ck_assert_uint_eq(bytes[13], 255 - 13);
	ck_assert_uint_eq(mc_write(bytes, 100, &m), 0);
	path[256] = 'a';
	ck_assert_uint_eq(mc_write(bytes, sizeof(bytes), &m), 0);
}
END_TEST

START_TEST(reading)
{
	struct mc_in m;

	/* ACK 2.05, ETag 0102, Observe 7, Max-Age 60, Block2 1/1/1024, Size2 2048, payload */
	ck_assert_int_eq(mc_read(&m, hex("684512340102030405060708"
					 "420102"
					 "2107"
					 "813c"
					 "911e"
					 "520800"
					 "ff6869")),
			 0);
	ck_assert_int_eq(m.kind, MC_ACK);
	ck_assert_uint_eq(mc_status(m.code), 200);
	ck_assert_uint_eq(m.mid, 0x1234);
	ck_assert(m.has_token);
	ck_assert_uint_eq(m.token, 0x0807060504030201);
	ck_assert_uint_eq(m.etag.n, 2);
	ck_assert(m.observe);
	ck_assert_uint_eq(m.observe_value, 7);
	ck_assert_int_eq(m.max_age, 60);
	ck_assert(m.has_block2 && m.more && m.num == 1 && m.szx == 6);
	ck_assert(m.has_size2 && m.size2 == 2048);
	ck_assert(slice_eq_str(m.payload, "hi"));
	/* an Echo with a challenge */
	ck_assert_int_eq(mc_read(&m, hex("60811234"
					 "d2ef"
					 "aabb")),
			 0);
	ck_assert_uint_eq(mc_status(m.code), 401);
	ck_assert_uint_eq(m.echo.n, 2);
	ck_assert(!m.has_token);
	ck_assert_int_eq(mc_read(&m, hex("60001234")), 0);
	ck_assert_int_eq(m.kind, MC_ACK);
	ck_assert_int_eq(m.code, 0);
}
END_TEST

static const char *const malformed[] = {
	"",
	"6045",
	"20451234", /* version 0 */
	"6000123400", /* empty with more */
	"694512340102030405060708"
	"09", /* token of 9 */
	"684512340102", /* token cut off */
	"60451234ff", /* marker without payload */
	"60451234f0", /* reserved delta */
	"604512340f", /* reserved length */
	"60451234d0", /* extension cut off */
	"60451234e000", /* extension cut off */
	"60451234"
	"42"
	"01", /* value cut off */
	"60451234"
	"49"
	"010203040506070809", /* ETag of 9 */
	"60451234"
	"d10a"
	"07", /* SZX 7 */
	"60451234"
	"d40a"
	"01000006", /* Block2 of 4 bytes */
	"60451234"
	"d501"
	"0102030405", /* Max-Age of 5 bytes */
	"60451234"
	"e0ffff"
	"e0ffff", /* number over 65535 */
};

START_TEST(reading_malformed)
{
	struct mc_in m;

	ck_assert_int_eq(mc_read(&m, hex(malformed[_i])), -1);
}
END_TEST

START_TEST(words)
{
	ck_assert_uint_eq(mc_status(2 << 5 | 3), 304);
	ck_assert_uint_eq(mc_status(2 << 5 | 4), 204);
	ck_assert_uint_eq(mc_status(5 << 5 | 3), 503);
	ck_assert_uint_eq(mc_szx(16), 0);
	ck_assert_uint_eq(mc_szx(1024), 6);
	ck_assert_uint_eq(mc_szx(100), 2);
	ck_assert_uint_eq(mc_szx(1u << 20), 6);
	ck_assert_uint_eq(mc_method_code(METHOD_PUT), 3);
}
END_TEST

START_TEST(agent_both_ways)
{
	struct agent_request rq = { .kind = ASK_IMAGE,
				    .path = "/image/x",
				    .piece = true,
				    .offset = 2048 + 100,
				    .length = 1024 };
	struct mc_in in = { .code = 2 << 5 | 5,
			    .has_block2 = true,
			    .num = 2,
			    .szx = 6,
			    .more = true,
			    .max_age = -1 };
	struct agent_reply r;
	struct mc_out m;
	uint8_t bytes[1024] = { 0 };

	mc_from_agent(&m, &rq, slice_of(NULL, 0));
	ck_assert(m.block2 && m.num == 2 && m.szx == 6 && m.accept == -1 && m.format == -1);
	/* a resumed offset inside a block: what is there already is cut off */
	bytes[100] = 7;
	in.payload = slice_of(bytes, sizeof(bytes));
	ck_assert(mc_to_agent(&r, &rq, &in));
	ck_assert_uint_eq(r.body.n, 924);
	ck_assert_uint_eq(r.body.p[0], 7);
	ck_assert(r.more);
	in.num = 3;
	ck_assert(!mc_to_agent(&r, &rq, &in));
	rq = (struct agent_request){ .kind = ASK_UPDATE,
				     .path = "/device/a/update",
				     .observe = true };
	mc_from_agent(&m, &rq, slice_of(NULL, 0));
	ck_assert(m.observe == 0 && m.accept == MEDIA_CBOR && !m.block2);
}
END_TEST

/* ---- the server's calls ---- */

static const struct {
	const char *datagram; /* hex */
	const char *path, *query;
	int code;
	bool block1, more, bad;
	uint32_t num;
	size_t payload;
} calls[] = {
	/* CON GET /fettle/status */
	{ "4401123401020304b6666574746c6506737461747573", "/fettle/status", "", 1, false, false,
	  false, 0, 0 },
	/* CON PUT /fettle/image/0?update=3, Block1 2/1/1024, Size1 */
	{ "4103000101b6666574746c6505696d6167650130487570646174653d33c12ed1142fffaabb",
	  "/fettle/image/0", "update=3", 3, true, true, false, 2, 2 },
	/* an unknown critical option (9) */
	{ "400100019100", "", "", 1, false, false, true, 0, 0 },
	{ "60000001", NULL, NULL, 0, false, false, false, 0, 0 }, /* empty */
	{ "60450001", NULL, NULL, 0, false, false, false, 0, 0 }, /* an answer */
	{ "4901000101020304050607", NULL, NULL, 0, false, false, false, 0, 0 }, /* token of 9 */
	{ "40010001b6", NULL, NULL, 0, false, false, false, 0, 0 }, /* cut off */
	{ "40010001ff", NULL, NULL, 0, false, false, false, 0, 0 }, /* a marker alone */
	{ "40030001d10e07", NULL, NULL, 0, false, false, false, 0, 0 }, /* SZX 7 */
	{ "40010001b3610062", NULL, NULL, 0, false, false, false, 0, 0 }, /* NUL in a path */
};

START_TEST(reading_calls)
{
	struct mc_call m;
	int rc = mc_read_call(&m, hex(calls[_i].datagram));

	ck_assert_int_eq(rc, calls[_i].path ? 0 : -1);
	if (rc != 0)
		return;
	ck_assert_str_eq(m.path, calls[_i].path);
	ck_assert_str_eq(m.query, calls[_i].query);
	ck_assert_int_eq(m.code, calls[_i].code);
	ck_assert_int_eq(m.block1, calls[_i].block1);
	ck_assert_int_eq(m.more, calls[_i].more);
	ck_assert_int_eq(m.bad_option, calls[_i].bad);
	ck_assert_uint_eq(m.num, calls[_i].num);
	ck_assert_uint_eq(m.payload.n, calls[_i].payload);
}
END_TEST

START_TEST(answering_calls)
{
	struct mc_call m = { .kind = MC_CON, .tkl = 2, .token = { 7, 8 }, .mid = 0x1234 };
	struct agent_answer r = { .status = 231, .max_age = -1 };
	char text[2 * MC_PACKET_MAX + 1];
	uint8_t bytes[MC_PACKET_MAX];

	m.block1 = m.more = true;
	m.num = 2;
	m.szx = 6;
	text_hex(text, bytes, mc_write_answer(bytes, sizeof(bytes), &m, &r, slice_str(""), 9));
	ck_assert_str_eq(text, "625f12340708d10e2e");
	r.status = 503;
	r.max_age = 60;
	text_hex(text, bytes, mc_write_answer(bytes, sizeof(bytes), &m, &r, slice_str("a"), 9));
	ck_assert_str_eq(text, "62a312340708"
			       "c13c"
			       "213c"
			       "ff61");
	m.kind = MC_NON;
	r = (struct agent_answer){ .status = 204, .max_age = -1 };
	m.block1 = false;
	text_hex(text, bytes, mc_write_answer(bytes, sizeof(bytes), &m, &r, slice_str(""), 9));
	ck_assert_str_eq(text, "524400090708");
	ck_assert_uint_eq(mc_write_answer(bytes, 5, &m, &r, slice_str(""), 9), 0);
	r.status = 0;
	ck_assert_uint_eq(mc_write_answer(bytes, sizeof(bytes), &m, &r, slice_str(""), 9), 0);
}
END_TEST

START_TEST(meaning)
{
	enum { OK_205 = 2 << 5 | 5, GET = 1 };
	/* nothing under way, the last request was 7, 5 is observed; and 8 under way as well */
	const struct mc_awaited idle = { .mid = 70, .token = 7, .watch = 5 };
	const struct mc_awaited busy = { .waits = true, .mid = 80, .token = 8, .watch = 5 };
	const struct mc_awaited blind = { .mid = 70, .token = 7 };
	const struct {
		const struct mc_awaited *w;
		enum mc_kind kind;
		uint8_t code;
		uint16_t mid;
		uint64_t token; /* 0: none of our size */
		bool observe;
		enum mc_meaning want;
	} t[] = {
		{ &busy, MC_ACK, 0, 80, 0, false, MC_LATER },
		{ &busy, MC_ACK, 0, 79, 0, false, MC_NONE },
		{ &idle, MC_ACK, 0, 70, 0, false, MC_NONE },
		{ &busy, MC_RST, 0, 80, 0, false, MC_NONE },
		{ &busy, MC_CON, GET, 80, 8, false, MC_NONE },
		{ &busy, MC_ACK, OK_205, 80, 8, false, MC_ANSWER },
		{ &busy, MC_CON, OK_205, 1, 8, true, MC_ANSWER },
		{ &busy, MC_NON, OK_205, 1, 8, false, MC_ANSWER },
		/* news are news, whatever is under way */
		{ &idle, MC_CON, OK_205, 1, 5, true, MC_NEWS },
		{ &busy, MC_CON, OK_205, 1, 5, true, MC_NEWS },
		{ &busy, MC_NON, OK_205, 1, 5, true, MC_NEWS },
		/* an answer that comes twice is acknowledged twice */
		{ &idle, MC_CON, OK_205, 1, 7, false, MC_NONE },
		/* the observation is forgotten, or another's */
		{ &blind, MC_CON, OK_205, 1, 5, true, MC_STRANGE },
		{ &blind, MC_NON, OK_205, 1, 5, true, MC_STRANGE },
		{ &blind, MC_CON, OK_205, 1, 7, true, MC_STRANGE },
		{ &busy, MC_CON, OK_205, 1, 4, true, MC_STRANGE },
		{ &busy, MC_CON, OK_205, 1, 4, false, MC_STRANGE },
		{ &busy, MC_CON, OK_205, 1, 0, true, MC_STRANGE },
		{ &busy, MC_NON, OK_205, 1, 4, false, MC_NONE },
		{ &busy, MC_ACK, OK_205, 80, 4, false, MC_NONE },
	};
	struct mc_in m = { .kind = t[_i].kind,
			   .code = t[_i].code,
			   .mid = t[_i].mid,
			   .has_token = t[_i].token != 0,
			   .token = t[_i].token,
			   .observe = t[_i].observe };

	ck_assert_int_eq(mc_meaning(&m, t[_i].w), t[_i].want);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device_minicoap");
	TCase *t = tcase_create("minicoap");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, writing);
	tcase_add_test(t, long_options);
	tcase_add_test(t, reading);
	tcase_add_loop_test(t, reading_malformed, 0, sizeof(malformed) / sizeof(malformed[0]));
	tcase_add_test(t, words);
	tcase_add_loop_test(t, meaning, 0, 20);
	tcase_add_test(t, agent_both_ways);
	tcase_add_loop_test(t, reading_calls, 0, sizeof(calls) / sizeof(calls[0]));
	tcase_add_test(t, answering_calls);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
