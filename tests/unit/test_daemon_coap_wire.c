/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_wire.h"

#include <check.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s)                                    \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}

static const struct {
	const char *name;
	struct slice in;
	bool whole;
	int fault;
	const char *path, *query;
	size_t payload;
} messages[] = {
	{ "empty", BYTES(""), false, 0, "", "", 0 },
	{ "three bytes", BYTES("\x40\x01\x00"), false, 0, "", "", 0 },
	{ "version 0", BYTES("\x00\x01\x00\x01"), false, 0, "", "", 0 },
	{ "version 2", BYTES("\x80\x01\x00\x01"), false, 0, "", "", 0 },
	{ "token of 9",
	  BYTES("\x49\x01\x00\x01"
		"123456789"),
	  false, 0, "", "", 0 },
	{ "token cut",
	  BYTES("\x44\x01\x00\x01"
		"abc"),
	  false, 0, "", "", 0 },
	{ "ping", BYTES("\x40\x00\x00\x01"), true, 0, "/", "", 0 },
	{ "ping with more",
	  BYTES("\x40\x00\x00\x01\xff"
		"a"),
	  false, 0, "", "", 0 },
	{ "root", BYTES("\x40\x01\x00\x01"), true, 0, "/", "", 0 },
	{ "path",
	  BYTES("\x40\x01\x00\x01\xb1"
		"a\x02"
		"bc"),
	  true, 0, "/a/bc", "", 0 },
	{ "query",
	  BYTES("\x40\x01\x00\x01\xb1"
		"a\x43"
		"x=1\x03"
		"y=2"),
	  true, 0, "/a", "x=1&y=2", 0 },
	{ "payload",
	  BYTES("\x40\x03\x00\x01\xb1"
		"a\xff"
		"xyz"),
	  true, 0, "/a", "", 3 },
	{ "marker alone",
	  BYTES("\x40\x03\x00\x01\xb1"
		"a\xff"),
	  false, 0, "", "", 0 },
	{ "slash inside",
	  BYTES("\x40\x01\x00\x01\xb3"
		"a/b"),
	  true, WIRE_BAD_REQUEST, "/", "", 0 },
	{ "dots", BYTES("\x40\x01\x00\x01\xb2.."), true, WIRE_BAD_REQUEST, "/", "", 0 },
	{ "one dot", BYTES("\x40\x01\x00\x01\xb1."), true, WIRE_BAD_REQUEST, "/", "", 0 },
	{ "three dots", BYTES("\x40\x01\x00\x01\xb3..."), true, 0, "/...", "", 0 },
	{ "empty segment",
	  BYTES("\x40\x01\x00\x01\xb1"
		"a\x00"),
	  true, WIRE_BAD_REQUEST, "/a", "", 0 },
	{ "NUL in path",
	  BYTES("\x40\x01\x00\x01\xb2"
		"a\x00"),
	  true, WIRE_BAD_REQUEST, "/", "", 0 },
	{ "NUL in query", BYTES("\x40\x01\x00\x01\xd1\x02\x00"), true, WIRE_BAD_REQUEST, "/", "",
	  0 },
	{ "reserved length", BYTES("\x40\x01\x00\x01\xbf"), false, 0, "", "", 0 },
	{ "reserved delta", BYTES("\x40\x01\x00\x01\xf1"), false, 0, "", "", 0 },
	{ "option cut",
	  BYTES("\x40\x01\x00\x01\xb5"
		"abc"),
	  false, 0, "", "", 0 },
	{ "extension cut", BYTES("\x40\x01\x00\x01\xd1"), false, 0, "", "", 0 },
	{ "long extension cut", BYTES("\x40\x01\x00\x01\xe1\x00"), false, 0, "", "", 0 },
	{ "number over 65535", BYTES("\x40\x01\x00\x01\xe0\xff\xff\xe0\xff\xff"), false, 0, "", "",
	  0 },
	{ "critical 9", BYTES("\x40\x01\x00\x01\x90"), true, WIRE_BAD_OPTION, "/", "", 0 },
	{ "elective 10", BYTES("\x40\x01\x00\x01\xa0"), true, 0, "/", "", 0 },
	{ "Uri-Host empty", BYTES("\x40\x01\x00\x01\x30"), true, WIRE_BAD_OPTION, "/", "", 0 },
	{ "If-None-Match", BYTES("\x40\x03\x00\x01\x50"), true, WIRE_BAD_OPTION, "/", "", 0 },
	{ "Accept twice", BYTES("\x40\x01\x00\x01\xd1\x04\x3c\x01\x3c"), true, WIRE_BAD_OPTION, "/",
	  "", 0 },
	{ "Block2 SZX 7", BYTES("\x40\x01\x00\x01\xd1\x0a\x07"), true, WIRE_BAD_REQUEST, "/", "",
	  0 },
	{ "Block2 too long",
	  BYTES("\x40\x01\x00\x01\xd4\x0a"
		"abcd"),
	  true, WIRE_BAD_OPTION, "/", "", 0 },
	{ "Proxy-Uri", BYTES("\x40\x01\x00\x01\xd1\x16x"), true, WIRE_NO_PROXY, "/", "", 0 },
	{ "Proxy-Scheme",
	  BYTES("\x40\x01\x00\x01\xd4\x1a"
		"http"),
	  true, WIRE_NO_PROXY, "/", "", 0 },
};

START_TEST(parse)
{
	struct wire_msg m;
	bool whole = wire_parse(&m, messages[_i].in);

	ck_assert_msg(whole == messages[_i].whole, "%s", messages[_i].name);
	if (!whole)
		return;
	ck_assert_msg((int)m.fault == messages[_i].fault, "%s: %d", messages[_i].name,
		      (int)m.fault);
	ck_assert_str_eq(m.path, messages[_i].path);
	ck_assert_uint_eq(m.path_n, strlen(m.path));
	ck_assert_str_eq(m.query, messages[_i].query);
	ck_assert_uint_eq(m.payload.n, messages[_i].payload);
}
END_TEST

START_TEST(parse_long_texts)
{
	uint8_t d[2048] = { 0x40, 0x01, 0x00, 0x01 };
	struct wire_msg m;
	size_t n = 4;

	/* two segments of 255 and their slashes are 512: the most there may be */
	for (unsigned i = 0; i < 2; i++) {
		d[n++] = i ? 0x0d : 0xbd;
		d[n++] = 255 - 13;
		memset(d + n, 'a', 255);
		n += 255;
	}
	ck_assert(wire_parse(&m, slice_of(d, n)));
	ck_assert_int_eq(m.fault, WIRE_FINE);
	ck_assert_uint_eq(m.path_n, PATH_MAX_LEN);
	d[n++] = 0x01;
	d[n++] = 'b';
	ck_assert(wire_parse(&m, slice_of(d, n)));
	ck_assert_int_eq(m.fault, WIRE_BAD_REQUEST);
	ck_assert_uint_eq(m.path_n, PATH_MAX_LEN);
}
END_TEST

START_TEST(parse_options)
{
	static const uint8_t d[] = { 0x42, 0x01,     0x12, 0x34, 0xca,
				     0xfe, 0x13,     'c',  'a',	 't', /* If-Match 1 */
				     0x23, 'h',	     's',  't', /* Uri-Host 3 */
				     0x12, 1,	     2, /* ETag 4 */
				     0x20, /* Observe 6 */
				     0x51, 'p', /* Uri-Path 11 */
				     0x11, 60, /* Content-Format 12 */
				     0x51, 0, /* Accept 17 */
				     0x62, 0x12,     0x34, /* Block2 23 */
				     0x41, 0x0e, /* Block1 27 */
				     0xd2, 20,	     0x40, 0x01, /* Size1 60 */
				     0xd2, 192 - 13, 7,	   8, /* Echo 252 */
				     0x61, 2, /* No-Response 258 */
				     0xd1, 34 - 13,  9 }; /* Request-Tag 292 */
	struct wire_msg m;

	ck_assert(wire_parse(&m, slice_of(d, sizeof(d))));
	ck_assert_int_eq(m.fault, WIRE_FINE);
	ck_assert_int_eq(m.type, WIRE_CON);
	ck_assert_uint_eq(m.mid, 0x1234);
	ck_assert_uint_eq(m.tkl, 2);
	ck_assert_uint_eq(m.n_if_match, 1);
	ck_assert_uint_eq(m.if_match[0].n, 3);
	ck_assert(slice_eq_str(m.host, "hst"));
	ck_assert_uint_eq(m.n_etags, 1);
	ck_assert(m.observe_set && m.observe == 0);
	ck_assert_int_eq(m.content_format, 60);
	ck_assert_int_eq(m.accept, 0);
	ck_assert(m.block2.set && m.block2.num == 0x123 && !m.block2.more && m.block2.szx == 4);
	ck_assert(m.block1.set && m.block1.num == 0 && m.block1.more && m.block1.szx == 6);
	ck_assert(m.size1_set && m.size1 == 0x4001);
	ck_assert_uint_eq(m.echo.n, 2);
	ck_assert_uint_eq(m.no_response, 2);
	ck_assert_uint_eq(m.request_tag.n, 1);
}
END_TEST

static const struct {
	bool set;
	uint32_t num;
	uint8_t szx;
	uint64_t size;
	bool ok;
	uint64_t offset;
	size_t n;
	bool use, more;
} parts[] = {
	{ false, 0, 0, 0, true, 0, 0, false, false },
	{ false, 0, 0, 1024, true, 0, 1024, false, false },
	{ false, 0, 0, 1025, true, 0, 1024, true, true },
	{ true, 0, 6, 0, true, 0, 0, true, false },
	{ true, 0, 6, 1024, true, 0, 1024, true, false },
	{ true, 0, 6, 1025, true, 0, 1024, true, true },
	{ true, 1, 6, 1025, true, 1024, 1, true, false },
	{ true, 1, 6, 1024, false, 0, 0, false, false },
	{ true, 2, 6, 1025, false, 0, 0, false, false },
	{ true, 1, 6, 0, false, 0, 0, false, false },
	{ true, 63, 0, 1024, true, 1008, 16, true, false },
	{ true, 62, 0, 1024, true, 992, 16, true, true },
	{ true, 64, 0, 1024, false, 0, 0, false, false },
	{ true, 0xfffff, 6, 1u << 30, true, 1073740800, 1024, true, false },
	{ true, 0xfffff, 6, UINT64_C(1) << 40, true, 1073740800, 1024, true, true },
	{ true, 0, 7, 100, false, 0, 0, false, false },
};

START_TEST(part)
{
	struct wire_block b = { parts[_i].set, false, parts[_i].szx, parts[_i].num };
	struct wire_part p;
	bool ok = wire_part_of(&b, parts[_i].size, &p);

	ck_assert_int_eq(ok, parts[_i].ok);
	if (!ok)
		return;
	ck_assert_uint_eq(p.offset, parts[_i].offset);
	ck_assert_uint_eq(p.n, parts[_i].n);
	ck_assert_int_eq(p.use_block, parts[_i].use);
	ck_assert_int_eq(p.block.more, parts[_i].more);
}
END_TEST

/* What is written is read again as it was meant, and nothing is written past the end. */
START_TEST(write_and_read)
{
	static const uint8_t token[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static uint8_t big[300];
	struct wire_block block = { true, true, 6, 0x12345 };
	struct wire_walk w = { 0 };
	struct wire_out o;
	struct slice v;

	wire_begin(&o, WIRE_ACK, WIRE_CODE(2, 5), 0xbeef, token, sizeof(token));
	wire_put(&o, WIRE_ETAG, slice_of(token, 8));
	wire_put_uint(&o, WIRE_OBSERVE, 0);
	wire_put(&o, WIRE_LOCATION_PATH, slice_of(big, sizeof(big)));
	wire_put_uint(&o, WIRE_MAX_AGE, 0x010203);
	wire_put_block(&o, WIRE_BLOCK2, &block);
	wire_put(&o, WIRE_ECHO, slice_of(token, 8));
	wire_end(&o, slice_str("x"));
	ck_assert(!o.failed);
	ck_assert_uint_eq(o.head[0], 0x68);
	ck_assert_uint_eq(wire_size(&o), o.n + 1);
	ck_assert_uint_eq(o.head[o.n - 1], 0xff);
	w.rest = slice_of(o.head + 12, o.n - 13);
	ck_assert_int_eq(wire_next(&w, &v), 1);
	ck_assert(w.number == WIRE_ETAG && v.n == 8);
	ck_assert_int_eq(wire_next(&w, &v), 1);
	ck_assert(w.number == WIRE_OBSERVE && v.n == 0);
	ck_assert_int_eq(wire_next(&w, &v), 1);
	ck_assert(w.number == WIRE_LOCATION_PATH && v.n == sizeof(big));
	ck_assert_int_eq(wire_next(&w, &v), 1);
	ck_assert(w.number == WIRE_MAX_AGE && slice_eq(v, slice_of("\1\2\3", 3)));
	ck_assert_int_eq(wire_next(&w, &v), 1);
	ck_assert(w.number == WIRE_BLOCK2 && slice_eq(v, slice_of("\x12\x34\x5e", 3)));
	ck_assert_int_eq(wire_next(&w, &v), 1);
	ck_assert(w.number == WIRE_ECHO && v.n == 8);
	ck_assert_int_eq(wire_next(&w, &v), 0);
}
END_TEST

START_TEST(write_too_much)
{
	static uint8_t big[WIRE_HEAD_MAX];
	struct wire_out o;

	wire_begin(&o, WIRE_NON, WIRE_CODE(2, 1), 1, NULL, 0);
	wire_put(&o, WIRE_LOCATION_PATH, slice_of(big, sizeof(big)));
	ck_assert(o.failed);
	wire_begin(&o, WIRE_NON, WIRE_CODE(2, 1), 1, NULL, 0);
	wire_put_uint(&o, WIRE_MAX_AGE, 1);
	wire_put_uint(&o, WIRE_OBSERVE, 1); /* descending */
	ck_assert(o.failed);
	for (unsigned i = 0; i < 1000; i++)
		wire_put_uint(&o, WIRE_ECHO, 1);
	ck_assert_uint_le(o.n, sizeof(o.head));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coap_wire");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, parse, 0, COUNT(messages));
	tcase_add_test(t, parse_long_texts);
	tcase_add_test(t, parse_options);
	tcase_add_loop_test(t, part, 0, COUNT(parts));
	tcase_add_test(t, write_and_read);
	tcase_add_test(t, write_too_much);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
