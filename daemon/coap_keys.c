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

#ifdef FETTLE_UNHARDENED
#define KEY_TIMEOUT_MS 2000 /* under valgrind and its like everything takes longer */
#else
#define KEY_TIMEOUT_MS 50
#endif
/* After a question without an answer nobody waits for so long; twice as long after each more. */
#define SICK_FIRST_MS 50
#define SICK_LAST_MS 1000
#define KEYS_QUEUE 65536
#define DUMMY_SIZE 16

struct key_asked {
	uint32_t number; /* of the question */
	uint8_t id_n, n; /* n: of the key, 0: not answered */
	bool known; /* the key is one, not a dummy */
	uint8_t identity[IDENTITY_MAX], key[COAP_KEY_MAX];
};

struct coap_keys {
	struct channel *ch; /* NULL: no keys process */
	uint32_t question;
	int64_t sick_until, sick_ms;
	uint8_t dummy_secret[32];
	struct key_asked one, ahead[COAP_KEYS_AHEAD];
	unsigned n_ahead;
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
	coap_keys_forget(k);
	k->sick_ms = SICK_FIRST_MS;
	k->sick_until = 0;
	if (channel_new(fd, KEYS_QUEUE, &k->ch, &e) < 0) {
		log_warn("coaps: %s", e.text);
		close(fd);
	}
}

/* ---- questions ---- */

static bool well_formed(struct slice identity)
{
	return identity.n > 0 && identity.n <= IDENTITY_MAX && !memchr(identity.p, 0, identity.n);
}

static bool can_ask(const struct coap_keys *k, struct slice identity)
{
	return k->ch && k->sick_until <= clock_mono_ms() && well_formed(identity);
}

static void put_question(struct coap_keys *k, struct key_asked *a, struct slice identity)
{
	struct buf *b = channel_out(k->ch);
	size_t mark = ipc_begin(b, FRAME_KEY_ASK);

	a->number = ++k->question;
	a->n = 0;
	a->known = false;
	a->id_n = (uint8_t)identity.n;
	memcpy(a->identity, identity.p, identity.n);
	ipc_put_u32(b, a->number);
	buf_add_slice(b, identity);
	ipc_end(b, mark);
}

static struct key_asked *asked_find(struct coap_keys *k, struct slice identity)
{
	for (unsigned i = 0; i < k->n_ahead; i++)
		if (slice_eq(slice_of(k->ahead[i].identity, k->ahead[i].id_n), identity))
			return &k->ahead[i];
	return NULL;
}

void coap_keys_ahead(struct coap_keys *k, struct slice identity)
{
	if (can_ask(k, identity) && k->n_ahead < COAP_KEYS_AHEAD && !asked_find(k, identity))
		put_question(k, &k->ahead[k->n_ahead++], identity);
}

void coap_keys_forget(struct coap_keys *k)
{
	explicit_bzero(k->ahead, k->n_ahead * sizeof(k->ahead[0]));
	k->n_ahead = 0;
}

/* ---- answers ---- */

/* A key that nobody knows, the same each time: an unknown identity looks like a wrong key. */
static void dummy_key(struct coap_keys *k, struct key_asked *a, struct slice identity)
{
	struct digest mac;

	if (hmac_sha256(slice_of(k->dummy_secret, sizeof(k->dummy_secret)), identity, &mac) != 0)
		random_bytes(mac.b, sizeof(mac.b));
	memcpy(a->key, mac.b, DUMMY_SIZE);
	a->n = DUMMY_SIZE;
}

/* Late answers to questions of earlier turns find nobody. */
static void take_answer(struct coap_keys *k, struct slice body)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	uint8_t found = rd_u8(&r);
	struct slice key = slice_of(r.p, (size_t)(r.end - r.p));
	struct key_asked *a = k->one.number == number ? &k->one : NULL;

	for (unsigned i = 0; !a && i < k->n_ahead; i++)
		if (k->ahead[i].number == number)
			a = &k->ahead[i];
	if (r.failed || !a || found > 1 || key.n == 0 || key.n > COAP_KEY_MAX)
		return;
	/* not found comes with a dummy of the keys process, which outlives this one */
	memcpy(a->key, key.p, key.n);
	a->n = (uint8_t)key.n;
	a->known = found;
}

static bool wait_for(struct coap_keys *k, const struct key_asked *a)
{
	int64_t until = clock_mono_ms() + KEY_TIMEOUT_MS;
	struct err e = { 0 };
	enum frame_type t;
	struct slice body;

	if (k->sick_until > clock_mono_ms())
		return false; /* since it was asked ahead */
	if (channel_write_all(k->ch, KEY_TIMEOUT_MS, &e) < 0)
		goto sick;
	for (int64_t left = KEY_TIMEOUT_MS; left > 0; left = until - clock_mono_ms()) {
		if (channel_read_frame(k->ch, (int)left, &t, &body, &e) < 0)
			goto sick;
		if (t == FRAME_KEY_ANSWER)
			take_answer(k, body);
		if (a->n > 0) {
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

bool coap_keys_ready(struct coap_keys *k, struct slice identity)
{
	struct key_asked *a;

	if (!well_formed(identity))
		return true; /* nothing is asked for it */
	coap_keys_ahead(k, identity);
	a = asked_find(k, identity);
	return a && (a->n > 0 || wait_for(k, a));
}

bool coap_keys_own(struct coap_keys *k, struct slice identity, struct slice *key)
{
	struct key_asked *a = &k->one;

	if (!can_ask(k, identity))
		return false;
	put_question(k, a, identity);
	if (!wait_for(k, a) || !a->known)
		return false;
	*key = slice_of(a->key, a->n);
	return true;
}

struct slice coap_keys_of(struct coap_keys *k, struct slice identity)
{
	struct key_asked *a = asked_find(k, identity);
	bool fine = can_ask(k, identity);

	if (!a) {
		a = &k->one;
		a->n = 0;
		if (fine)
			put_question(k, a, identity);
	}
	if (a->n == 0 && (!fine || !wait_for(k, a)))
		dummy_key(k, a, identity);
	return slice_of(a->key, a->n);
}
