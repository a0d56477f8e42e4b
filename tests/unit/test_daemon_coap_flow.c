/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "daemon/coap_push.h"

/* What an answer to a call of ours means: values in, values out. */
static struct push_flow flow;
static struct wire_msg msg;
static uint8_t bytes[4096];

#define B(m, s, k)                                         \
	(struct wire_block)                                \
	{                                                  \
		.set = true, .more = m, .szx = s, .num = k \
	}
static const struct wire_block absent;

static enum flow_step answered(uint8_t code, struct wire_block b1, struct wire_block b2, size_t n)
{
	wire_msg_init(&msg);
	msg.code = code;
	msg.block1 = b1;
	msg.block2 = b2;
	msg.payload = slice_of(bytes, n);
	return push_flow_answer(&flow, &msg);
}

static struct push_part next(size_t n)
{
	struct push_part p = push_flow_next(&flow);

	ck_assert_uint_eq(flow.n, n);
	return p;
}

static void begin(uint64_t size, uint64_t offset)
{
	ck_assert(push_flow_init(&flow, size, offset, true));
}

#define CONTINUE WIRE_CODE(2, 31)
#define CHANGED WIRE_CODE(2, 4)

START_TEST(small_body)
{
	struct push_part p;

	ck_assert(push_flow_init(&flow, 10, 0, false));
	p = next(10);
	ck_assert(!p.block1.set && !p.block2.set);
	ck_assert_int_eq(answered(CHANGED, absent, absent, 7), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 200);
	ck_assert_uint_eq(flow.offset, 10);
	ck_assert_uint_eq(flow.answer_n, 7);
}
END_TEST

START_TEST(blocks)
{
	struct push_part p;

	begin(2500, 0);
	p = next(1024);
	ck_assert(p.block1.set && p.block1.more && p.block1.num == 0 && p.block1.szx == 6);
	ck_assert(p.size1);
	ck_assert_int_eq(answered(CONTINUE, B(true, 6, 0), absent, 0), FLOW_AGAIN);
	p = next(1024);
	ck_assert(p.block1.more && p.block1.num == 1 && !p.size1);
	ck_assert_int_eq(answered(CONTINUE, absent, absent, 0), FLOW_AGAIN);
	p = next(452);
	ck_assert(!p.block1.more && p.block1.num == 2);
	ck_assert_int_eq(answered(WIRE_CODE(2, 1), B(false, 6, 2), absent, 0), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 201);
	ck_assert_uint_eq(flow.offset, 2500);
}
END_TEST

START_TEST(goes_on_at_an_offset)
{
	struct push_part p;

	begin(5000, 3072);
	p = next(1024);
	ck_assert(p.block1.num == 3 && p.size1);
	ck_assert_int_eq(answered(CONTINUE, B(true, 6, 3), absent, 0), FLOW_AGAIN);
	/* all of it is there: what is said about it is asked with nothing */
	begin(4096, 4096);
	p = next(0);
	ck_assert(p.block1.num == 4 && !p.block1.more);
	ck_assert(!push_flow_init(&flow, 4096, 100, true));
	ck_assert(!push_flow_init(&flow, 4096, 5120, true));
	ck_assert(!push_flow_init(&flow, (UINT64_C(1) << 30) + 1, 0, true));
	ck_assert(push_flow_init(&flow, UINT64_C(1) << 30, 0, true));
}
END_TEST

/* RFC 7959 2.5, 3.2: the size that the device wants comes with its first answer. */
START_TEST(smaller_blocks)
{
	struct push_part p;

	begin(5000, 1024);
	next(1024);
	ck_assert_int_eq(answered(CONTINUE, B(true, 4, 1), absent, 0), FLOW_AGAIN);
	ck_assert_uint_eq(flow.offset, 2048);
	p = next(256);
	ck_assert(p.block1.num == 8 && p.block1.szx == 4 && p.block1.more);
	/* its number in its own measure */
	ck_assert_int_eq(answered(CONTINUE, B(true, 2, 32), absent, 0), FLOW_AGAIN);
	ck_assert_uint_eq(flow.offset, 2304);
	p = next(64);
	ck_assert(p.block1.num == 36);
	/* larger ones are not for it to ask */
	ck_assert_int_eq(answered(CONTINUE, B(true, 6, 36), absent, 0), FLOW_AGAIN);
	next(64);
	/* another number is not the answer to this block */
	ck_assert_int_eq(answered(CONTINUE, B(true, 2, 36), absent, 0), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 502);
	ck_assert_uint_eq(flow.offset, 2368);
	/* blocks so small that they run out of numbers */
	begin(UINT64_C(1) << 28, 0);
	next(1024);
	ck_assert_int_eq(answered(CONTINUE, B(true, 0, 0), absent, 0), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 413);
}
END_TEST

START_TEST(too_large)
{
	begin(5000, 0);
	next(1024);
	ck_assert_int_eq(answered(WIRE_CODE(4, 13), B(false, 5, 0), absent, 0), FLOW_AGAIN);
	ck_assert_uint_eq(flow.offset, 0);
	ck_assert(next(512).size1);
	/* no smaller than before: it is meant */
	ck_assert_int_eq(answered(WIRE_CODE(4, 13), B(false, 5, 0), absent, 0), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 413);
	/* what came without blocks comes in blocks */
	ck_assert(push_flow_init(&flow, 600, 0, false));
	next(600);
	ck_assert_int_eq(answered(WIRE_CODE(4, 13), B(false, 3, 0), absent, 0), FLOW_AGAIN);
	ck_assert(next(128).block1.more);
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		uint8_t code;
		uint16_t status;
	} rows[] = {
		{ WIRE_CODE(4, 8), 408 }, { WIRE_CODE(4, 4), 404 },  { WIRE_CODE(4, 13), 413 },
		{ WIRE_CODE(5, 3), 503 }, { WIRE_CODE(4, 1), 401 },  { WIRE_CODE(4, 27), 400 },
		{ CHANGED, 200 },	  { WIRE_CODE(5, 31), 500 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(5000, 2048);
		next(1024);
		ck_assert_int_eq(answered(rows[i].code, absent, absent, 3), FLOW_DONE);
		ck_assert_uint_eq(flow.status, rows[i].status);
		ck_assert_uint_eq(flow.offset, 2048);
	}
	begin(100, 0);
	next(100);
	ck_assert_int_eq(answered(CONTINUE, B(false, 6, 0), absent, 0), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 502);
	begin(100, 0);
	next(100);
	wire_msg_init(&msg);
	msg.code = CHANGED;
	msg.fault = WIRE_BAD_OPTION;
	ck_assert_int_eq(push_flow_answer(&flow, &msg), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 502);
}
END_TEST

/* Each block for itself: the last answer counts (RFC 7959 figure 8). */
START_TEST(stateless_device)
{
	begin(2000, 0);
	next(1024);
	ck_assert_int_eq(answered(CHANGED, B(false, 6, 0), absent, 0), FLOW_AGAIN);
	next(976);
	ck_assert_int_eq(answered(CHANGED, B(false, 6, 1), absent, 0), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 200);
	ck_assert_uint_eq(flow.offset, 2000);
}
END_TEST

START_TEST(long_answer)
{
	struct push_part p;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	ck_assert(push_flow_init(&flow, 0, 0, false));
	next(0);
	ck_assert_int_eq(answered(WIRE_CODE(2, 5), absent, B(true, 4, 0), 256), FLOW_AGAIN);
	p = next(0);
	ck_assert(p.block2.set && p.block2.num == 1 && p.block2.szx == 4 && !p.block1.set);
	ck_assert_int_eq(answered(WIRE_CODE(2, 5), absent, B(false, 4, 1), 100), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 200);
	ck_assert_uint_eq(flow.answer_n, 356);
	ck_assert(flow.answer[255] == 255 && flow.answer[256] == 0);
}
END_TEST

START_TEST(long_answers_that_lie)
{
	static const struct {
		uint8_t code;
		struct wire_block second;
		size_t n;
		uint16_t status;
	} rows[] = {
		{ WIRE_CODE(2, 5), { true, true, 4, 0 }, 256, 502 }, /* the same again */
		{ WIRE_CODE(2, 5), { true, true, 4, 2 }, 256, 502 },
		{ WIRE_CODE(2, 5), { true, true, 4, 1 }, 0, 502 },
		{ WIRE_CODE(2, 5), { false, false, 0, 0 }, 10, 502 },
		{ WIRE_CODE(4, 4), { true, false, 4, 1 }, 10, 502 },
		{ WIRE_CODE(2, 5), { true, false, 4, 1 }, 800, 413 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert(push_flow_init(&flow, 0, 0, false));
		next(0);
		ck_assert_int_eq(answered(WIRE_CODE(2, 5), absent, B(true, 4, 0), 256), FLOW_AGAIN);
		next(0);
		ck_assert_int_eq(answered(rows[i].code, absent, rows[i].second, rows[i].n),
				 FLOW_DONE);
		ck_assert_msg(flow.status == rows[i].status, "row %zu: %u", i, flow.status);
		ck_assert_uint_eq(flow.answer_n, 0);
	}
	ck_assert(push_flow_init(&flow, 0, 0, false));
	next(0);
	ck_assert_int_eq(answered(WIRE_CODE(2, 5), absent, absent, IPC_SENT_BODY_MAX + 1),
			 FLOW_DONE);
	ck_assert_uint_eq(flow.status, 413);
	ck_assert(push_flow_init(&flow, 0, 0, false));
	next(0);
	ck_assert_int_eq(answered(WIRE_CODE(2, 5), absent, B(true, 6, 3), 1024), FLOW_DONE);
	ck_assert_uint_eq(flow.status, 502);
}
END_TEST

/* RFC 9175 2.3: a device that wants our address proven gets its Echo back, once. */
START_TEST(echo)
{
	begin(2000, 0);
	next(1024);
	for (unsigned i = 0; i < 2; i++) {
		wire_msg_init(&msg);
		msg.code = WIRE_CODE(4, 1);
		msg.echo = slice_str("prove it");
		ck_assert_int_eq(push_flow_answer(&flow, &msg), i == 0 ? FLOW_AGAIN : FLOW_DONE);
		ck_assert_uint_eq(flow.echo_n, 8);
		ck_assert_uint_eq(flow.offset, 0);
	}
	ck_assert_uint_eq(flow.status, 401);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, small_body);
	tcase_add_test(t, blocks);
	tcase_add_test(t, goes_on_at_an_offset);
	tcase_add_test(t, smaller_blocks);
	tcase_add_test(t, too_large);
	tcase_add_test(t, refusals);
	tcase_add_test(t, stateless_device);
	tcase_add_test(t, long_answer);
	tcase_add_test(t, long_answers_that_lie);
	tcase_add_test(t, echo);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
