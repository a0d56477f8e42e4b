/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/keys.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/crypto.h"
#include "daemon/keys_rate.h"
#include "daemon/sysint.h"
#include "ipc/ipc.h"
#include "store/store.h"

#define OUT_MAX (4u << 20) /* answers to all that one read can bring */
#define BURST_SHARE 4 /* a quarter of a second's questions may come at once */
#define WRITE_MS 1000

struct keys {
	struct child_link *link;
	struct store *store;
	struct channel *peer; /* NULL: no front */
	struct keys_rate rate;
	uint8_t secret[32]; /* unknown identities get a key derived from it */
	uint64_t asked, unknown, refused;
	bool stopping;
	int status;
};

/* ---- one question ---- */

/* A key nobody has: the same for the same identity, so that the answer tells nothing. */
static int derive_dummy(const struct keys *k, struct slice identity, struct credential *out)
{
	struct digest d;

	if (hmac_sha256(slice_of(k->secret, sizeof(k->secret)), identity, &d) != 0)
		return -1;
	memcpy(out->secret, d.b, sizeof(d.b));
	out->secret_len = sizeof(d.b);
	return 0;
}

/* 1 usable, 0 not, -1 the database failed. */
static int look_up(const struct keys *k, const char *identity, struct credential *out)
{
	struct device d;
	struct err e = { 0 };
	int64_t now = clock_wall_ms();
	int rc = store_credential_by_identity(k->store, CREDENTIAL_PSK, identity, out, &e);

	if (rc > 0)
		rc = store_device_by_dev(k->store, out->dev, &d, &e);
	if (rc < 0) {
		log_error("looking up a key: %s", e.text);
		return -1;
	}
	if (rc == 0 || d.disabled || out->revoked != 0 ||
	    (out->not_after != 0 && now >= out->not_after))
		return 0;
	return out->secret_len > 0 && out->secret_len <= sizeof(out->secret);
}

static void put_answer(struct keys *k, uint32_t number, bool found, const struct credential *c)
{
	struct buf *out = channel_out(k->peer);
	size_t mark = ipc_begin(out, FRAME_KEY_ANSWER);

	ipc_put_u32(out, number);
	ipc_put_u8(out, found);
	buf_add(out, c->secret, c->secret_len);
	ipc_end(out, mark);
}

static int answer(struct keys *k, struct slice body, struct err *e)
{
	struct rd r = rd_init(body);
	uint32_t number = rd_u32(&r);
	struct slice identity = slice_of(r.p, (size_t)(r.end - r.p));
	char text[IDENTITY_MAX + 1];
	struct credential real = { 0 }, dummy = { 0 };
	bool found = false;

	if (r.failed || identity.n > IDENTITY_MAX)
		return err_set(e, ERR_MALFORMED, "question of %zu bytes", body.n);
	k->asked++;
	/* both ways are gone for every question, so that they take about as long */
	if (derive_dummy(k, identity, &dummy) != 0)
		return err_set(e, ERR_NO_MEMORY, "HMAC");
	if (!keys_rate_take(&k->rate, clock_mono_us()))
		k->refused++;
	else if (text_copy_slice(text, sizeof(text), identity) == 0)
		found = look_up(k, text, &real) > 0;
	k->unknown += !found;
	put_answer(k, number, found, found ? &real : &dummy);
	explicit_bzero(&real, sizeof(real));
	explicit_bzero(&dummy, sizeof(dummy));
	return 0;
}

/* ---- the front's channel ---- */

static void peer_close(struct keys *k)
{
	channel_free(k->peer);
	k->peer = NULL;
}

static void peer_open(struct keys *k, int fd)
{
	struct err e = { 0 };

	peer_close(k);
	if (channel_new(fd, OUT_MAX, &k->peer, &e) != 0) {
		close(fd);
		log_error("channel to the front: %s", e.text);
	}
}

static int peer_io(struct keys *k, struct err *e)
{
	enum frame_type t;
	struct slice body;
	int rc = channel_read(k->peer, e);

	if (rc < 0)
		return -1;
	/* all that one read brought: poll() would not tell of what is left in the buffer */
	while ((rc = channel_next(k->peer, &t, &body, e)) > 0) {
		if (t != FRAME_KEY_ASK)
			return err_set(e, ERR_MALFORMED, "frame %d is not for keys", (int)t);
		if (answer(k, body, e) != 0)
			return -1;
	}
	return rc < 0 ? -1 : channel_write_all(k->peer, WRITE_MS, e);
}

static void peer_turn(struct keys *k)
{
	struct err e = { 0 };

	if (!k->peer || peer_io(k, &e) == 0)
		return;
	if (e.code == ERR_GONE)
		log_info("the front went away");
	else
		log_error("the front's channel is closed: %s", log_safe(e.text));
	peer_close(k); /* the parent brings the next one */
}

/* ---- the process ---- */

static void parent_event(struct keys *k, const struct child_event *ev)
{
	switch (ev->type) {
	case CHILD_STOP:
		k->stopping = true;
		break;
	case CHILD_PEER:
		peer_open(k, ev->fd);
		break;
	case CHILD_SWITCH:
		keys_rate_init(&k->rate, k->link->cfg.limits.key_rate, BURST_SHARE,
			       clock_mono_us());
		break;
	case CHILD_DUMP:
		log_notice("state: asked=%llu unknown=%llu refused=%llu front=%d",
			   (unsigned long long)k->asked, (unsigned long long)k->unknown,
			   (unsigned long long)k->refused, k->peer != NULL);
		break;
	case CHILD_GONE:
		k->stopping = true;
		k->status = EX_UNAVAILABLE;
		break;
	}
}

static void turn(struct keys *k)
{
	struct pollfd p[2] = {
		{ .fd = k->link->fd, .events = POLLIN },
		{ .fd = k->peer ? channel_fd(k->peer) : -1, .events = POLLIN },
	};
	struct child_event ev;

	if (poll(p, 2, -1) < 0 && errno != EINTR) {
		log_error("poll: %s", strerror(errno));
		k->stopping = true;
		k->status = EX_OSERR;
	}
	if (p[1].revents)
		peer_turn(k);
	while (p[0].revents && !k->stopping && child_link_next(k->link, &ev) > 0)
		parent_event(k, &ev);
}

static int start(struct keys *k, struct err *e)
{
	const struct config *cfg = &k->link->cfg;
	struct store_options o = { .dir = cfg->server.data_dir, .read_only = true };
	size_t n = 0;
	bool landlocked;

	if (store_open(&o, &k->store, e) != 0)
		return -1;
	if (store_meta_get_blob(k->store, "psk_secret", k->secret, sizeof(k->secret), &n, e) != 1 ||
	    n != sizeof(k->secret))
		return err_set(e, ERR_INTERNAL, "the database holds no server secret");
	/* the crypto library reads its configuration at first use: before files are out of reach */
	struct credential warm = { 0 };
	if (derive_dummy(k, slice_str(""), &warm) != 0)
		return err_set(e, ERR_INTERNAL, "HMAC does not work");
	return sysint_sandbox_files(cfg->server.data_dir, false, &landlocked, e);
}

int keys_main(struct child_link *link, int peer_fd)
{
	struct keys k = { .link = link };
	struct err e = { 0 };

	if (peer_fd >= 0)
		peer_open(&k, peer_fd);
	keys_rate_init(&k.rate, link->cfg.limits.key_rate, BURST_SHARE, clock_mono_us());
	if (start(&k, &e) != 0) {
		log_error("start: %s", e.text);
		k.status = EX_IOERR;
	} else if (child_link_ready(link) != 0) {
		k.status = EX_UNAVAILABLE;
	}
	while (k.status == 0 && !k.stopping)
		turn(&k);
	peer_close(&k);
	store_close(k.store);
	explicit_bzero(k.secret, sizeof(k.secret));
	return k.status;
}
