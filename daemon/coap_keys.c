/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_keys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "codec/crypto.h"
#include "ipc/ipc.h"

#define KEY_TIMEOUT_MS 50
/* After a question without an answer nobody waits for so long; twice as long after each more. */
#define SICK_FIRST_MS 50
#define SICK_LAST_MS 1000
#define KEYS_QUEUE 65536
#define DUMMY_SIZE 16

struct coap_keys {
	struct channel *ch; /* NULL: no keys process */
	uint32_t question;
	int64_t sick_until, sick_ms;
	uint8_t dummy_secret[32];
	uint8_t key[COAP_KEY_MAX];
	size_t n;
};

int coap_keys_new(int fd, struct coap_keys **out, struct err *e)
{
	struct coap_keys *k = calloc(1, sizeof(*k));

	if (!k)
		return err_set(e, ERR_NO_MEMORY, "keys");
	k->sick_ms = SICK_FIRST_MS;
	random_bytes(k->dummy_secret, sizeof(k->dummy_secret));
	if (fd >= 0 && channel_new(fd, KEYS_QUEUE, &k->ch, e) < 0) {
		free(k);
		return -1;
	}
	*out = k;
	return 0;
}

void coap_keys_free(struct coap_keys *k)
{
	if (!k)
		return;
	channel_free(k->ch);
	explicit_bzero(k, sizeof(*k));
	free(k);
}

void coap_keys_replace(struct coap_keys *k, int fd)
{
	struct err e = { 0 };

	channel_free(k->ch);
	k->ch = NULL;
	k->sick_until = 0;
	k->sick_ms = SICK_FIRST_MS;
	if (channel_new(fd, KEYS_QUEUE, &k->ch, &e) < 0) {
		log_warn("coaps: %s", e.text);
		close(fd);
	}
}

/* A key that nobody knows, the same each time: an unknown identity looks like a wrong key. */
static void dummy_key(struct coap_keys *k, struct slice identity)
{
	struct digest mac;

	if (hmac_sha256(slice_of(k->dummy_secret, sizeof(k->dummy_secret)), identity, &mac) != 0)
		random_bytes(mac.b, sizeof(mac.b));
	memcpy(k->key, mac.b, DUMMY_SIZE);
	k->n = DUMMY_SIZE;
}

static bool take_answer(struct coap_keys *k, struct slice body)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	uint8_t found = rd_u8(&r);
	struct slice key = slice_of(r.p, (size_t)(r.end - r.p));

	if (r.failed || number != k->question || found > 1 || key.n == 0 || key.n > COAP_KEY_MAX)
		return false;
	/* not found comes with a dummy of the keys process, which outlives this one */
	memcpy(k->key, key.p, key.n);
	k->n = key.n;
	return true;
}

static int put_question(struct coap_keys *k, struct slice identity, struct err *e)
{
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_KEY_ASK);

	ipc_put_u32(b, ++k->question);
	buf_add_slice(b, identity);
	ipc_end(b, mark);
	return channel_write_all(k->ch, KEY_TIMEOUT_MS, e);
}

static bool ask(struct coap_keys *k, struct slice identity)
{
	int64_t until = clock_mono_ms() + KEY_TIMEOUT_MS;
	struct err e = { 0 };
	enum frame_type t;
	struct slice body;

	if (!k->ch || k->sick_until > clock_mono_ms())
		return false;
	if (put_question(k, identity, &e) < 0)
		goto sick;
	/* late answers to earlier questions are passed over */
	for (int64_t left = KEY_TIMEOUT_MS; left > 0; left = until - clock_mono_ms()) {
		if (channel_read_frame(k->ch, (int)left, &t, &body, &e) < 0)
			goto sick;
		if (t == FRAME_KEY_ANSWER && take_answer(k, body)) {
			k->sick_ms = SICK_FIRST_MS;
			return true;
		}
	}
sick:
	log_warn("coaps: no key: %s", e.text[0] ? e.text : "no answer in time");
	k->sick_until = clock_mono_ms() + k->sick_ms;
	k->sick_ms = k->sick_ms * 2 < SICK_LAST_MS ? k->sick_ms * 2 : SICK_LAST_MS;
	return false;
}

struct slice coap_keys_of(struct coap_keys *k, struct slice identity)
{
	bool fine =
		identity.n > 0 && identity.n <= IDENTITY_MAX && !memchr(identity.p, 0, identity.n);

	if (!fine || !ask(k, identity))
		dummy_key(k, identity);
	return slice_of(k->key, k->n);
}
