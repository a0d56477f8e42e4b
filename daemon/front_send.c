/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/front_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/*
 * Calls to devices come as frames and go to the adapter that speaks with devices; what became
 * of them goes back with the batches, when one has room.
 */
#define SENT_FIXED 128u /* more than an entry takes without its body */

void sent_init(struct front *f)
{
	f->sent_end = &f->sent;
}

void sent_free(struct front *f)
{
	while (f->sent) {
		struct sent_entry *s = f->sent;

		f->sent = s->next;
		free(s);
	}
	f->sent_end = &f->sent;
	f->n_sent = 0;
}

void front_on_send(struct front *f, front_send cb, void *ctx)
{
	f->send = cb;
	f->send_ctx = ctx;
}

void front_sent(struct front *f, const struct ipc_sent *s)
{
	struct buf b = BUF_INIT(SENT_FIXED + IPC_SENT_BODY_MAX);
	struct sent_entry *x = NULL;

	if (f->dead)
		return;
	ipc_put_sent(&b, s);
	if (!b.failed && f->n_sent < IPC_SENDS_MAX)
		x = malloc(sizeof(*x) + b.n);
	if (x) {
		*x = (struct sent_entry){ .n = b.n };
		memcpy(x->bytes, b.p, b.n);
		*f->sent_end = x;
		f->sent_end = &x->next;
		f->n_sent++;
	} else if (!f->sent_lost) {
		f->sent_lost = true;
		log_warn("front: results of calls to devices are lost");
	}
	buf_free(&b);
}

void sent_say(struct front *f, unsigned limit)
{
	while (f->sent && limit-- > 0) {
		struct sent_entry *s = f->sent;

		if (!front_batch_room(f, 1, s->n))
			return;
		buf_add(&f->gather->entries, s->bytes, s->n);
		f->gather->count++;
		f->sent = s->next;
		f->n_sent--;
		free(s);
	}
	if (f->sent)
		return;
	f->sent_end = &f->sent;
	f->sent_lost = false;
}

int send_received(struct front *f, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	struct ipc_send s;
	struct ipc_sent none = { .status = 503, .media = MEDIA_NONE };

	if (!ipc_get_send(&r, &s) || !rd_done(&r))
		return err_set(e, ERR_MALFORMED, "send");
	if (f->send) {
		f->send(f->send_ctx, &s);
		return 0;
	}
	memcpy(none.tag, s.tag, sizeof(none.tag)); /* this front speaks with no device */
	front_sent(f, &none);
	return 0;
}
