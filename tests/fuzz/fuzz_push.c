/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * A device's answers to a call of ours, each behind two bytes of length; the first bytes say
 * how large the body is and where it begins. However it lies, the call ends.
 */
#include <stdlib.h>

#include "daemon/coap_internal.h"
#include "daemon/coap_push.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct push_flow *f, const struct push_part *p)
{
	must(f->offset <= f->size && f->n <= f->size - f->offset);
	must(f->n <= WIRE_BLOCK_MAX);
	must(f->answer_n <= IPC_SENT_BODY_MAX);
	must(p->block1.num < 1u << 20 && p->block2.num < 1u << 20);
	must(p->block1.szx <= 6 && p->block2.szx <= 6);
	must(!p->block1.set || (uint64_t)p->block1.num << (p->block1.szx + 4) == f->offset);
	must(!(p->block1.set && p->block2.set));
}

/* What must grow with each answer that does not end it. */
static uint64_t progress(const struct push_flow *f)
{
	return f->offset + f->answer_n + (f->echo_n ? 1 : 0) + (6u - f->szx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_msg m;
	static struct push_flow f;
	uint64_t before = 0;
	bool blocks;

	if (size < 5)
		return 0;
	blocks = data[0] & 1;
	if (!push_flow_init(&f, blocks ? (uint64_t)data[1] << (data[2] & 31) : data[1] * 4u,
			    blocks ? (uint64_t)data[3] * 1024 : 0, blocks))
		return 0;
	for (data += 4, size -= 4; size >= 2;) {
		size_t n = (size_t)(data[0] << 8 | data[1]);
		struct slice d = slice_of(data + 2, n < size - 2 ? n : size - 2);
		struct push_part p = push_flow_next(&f);

		data += 2 + d.n;
		size -= 2 + d.n;
		check(&f, &p);
		if (gate_judge(&m, d, 40000) != GATE_RESPONSE)
			continue;
		if (push_flow_answer(&f, &m) == FLOW_DONE) {
			must(f.status >= 200 && f.status <= 599);
			must(f.offset <= f.size && f.answer_n <= IPC_SENT_BODY_MAX);
			return 0;
		}
		must(progress(&f) > before);
		before = progress(&f);
	}
	return 0;
}
