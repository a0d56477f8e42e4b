/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "fake_keys.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "ipc/ipc.h"

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void answer(struct fake_keys *k, struct channel *c, struct slice body)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	struct slice id = slice_of(r.p, (size_t)(r.end - r.p));
	bool found = slice_starts(id, "dev-");
	struct buf *b = channel_out(c);
	size_t mark = ipc_begin(b, FRAME_KEY_ANSWER);

	k->asked++;
	ipc_put_u32(b, number);
	ipc_put_u8(b, found);
	buf_add_str(b, found ? "key of " : "nobody knows");
	if (found)
		buf_add_slice(b, id);
	ipc_end(b, mark);
}

static void *run(void *arg)
{
	struct fake_keys *k = arg;
	struct channel *c = NULL;
	enum frame_type t;
	struct slice body;
	struct err e;

	if (channel_new(k->fd, 65536, &c, &e) < 0)
		return NULL;
	while (channel_read_frame(c, 600000, &t, &body, &e) == 0) {
		if (k->mute)
			continue;
		answer(k, c, body);
		if (channel_write_all(c, 1000, &e) < 0)
			break;
	}
	channel_free(c);
	return NULL;
}

int fake_keys_start(struct fake_keys *k)
{
	int pair[2];

	*k = (struct fake_keys){ .asked = 0 };
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	k->fd = pair[1];
	MUST(pthread_create(&k->thread, NULL, run, k) == 0);
	return pair[0];
}

void fake_keys_join(struct fake_keys *k)
{
	MUST(pthread_join(k->thread, NULL) == 0);
}
