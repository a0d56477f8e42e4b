/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/coap_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_path(const struct wire_msg *m)
{
	must(m->path_n >= 1 && m->path_n <= PATH_MAX_LEN && m->path[0] == '/');
	must(strlen(m->path) == m->path_n);
	must(m->query_n <= QUERY_MAX_LEN && strlen(m->query) == m->query_n);
	must(!strstr(m->path, "//") && !strstr(m->path, "/./") && !strstr(m->path, "/../"));
}

/* Whatever block is asked for lies inside the body. */
static void check_part(const struct wire_block *b, uint64_t size)
{
	struct wire_part p;

	if (wire_part_of(b, size, &p))
		must(p.offset <= size && p.n <= size - p.offset && p.n <= WIRE_BLOCK_MAX);
}

/* A datagram as it would come from an address not proven. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t echo[ECHO_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static struct wire_msg m;
	static struct wire_out o;
	static const uint64_t sizes[] = { 0, 1, 16, 1024, 1025, 1 << 20, UINT64_C(1) << 31 };
	enum gate_verdict v = gate_judge(&m, slice_of(data, size), 40000);

	if (v == GATE_DROP)
		return 0;
	check_path(&m);
	must(m.payload.n == 0 || (m.payload.p >= data && m.payload.p + m.payload.n == data + size));
	must(m.fault != WIRE_FINE || (m.block1.szx < 7 && m.block2.szx < 7));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_part(&m.block2, sizes[i]);
	if (v != GATE_REQUEST)
		return 0;
	gate_challenge(&o, &m, size, 1, echo);
	must(!o.failed && wire_size(&o) <= size);
	return 0;
}
