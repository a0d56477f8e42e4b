/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/suit.h"
#include "device/options.h"
#include "device/statefile.h"

#define KEY_FILE_MAX 8192
#define EXCHANGE_MS 30000

static int take_ids(const struct options *o, struct agent_plan *p, struct err *e)
{
	if (o->vendor && uuid_parse(&p->vendor_id, slice_str(o->vendor)) != 0) {
		p->manufacturer = o->vendor;
		if (suit_vendor_uuid(o->vendor, &p->vendor_id) != 0)
			return err_set(e, ERR_INVALID, "--vendor: no UUID can be made of it");
	}
	if (o->class_ && uuid_parse(&p->class_id, slice_str(o->class_)) != 0) {
		p->model = o->class_;
		if (suit_class_uuid(&p->vendor_id, o->class_, &p->class_id) != 0)
			return err_set(e, ERR_INVALID, "--class: no UUID can be made of it");
	}
	if ((p->manufacturer && strlen(p->manufacturer) > NAME_MAX_LEN) ||
	    (p->model && strlen(p->model) > NAME_MAX_LEN))
		return err_set(e, ERR_INVALID, "--vendor and --class are at most %d bytes",
			       NAME_MAX_LEN);
	return 0;
}

static int load_anchor(const char *path, struct key **out, struct err *e)
{
	struct buf b = BUF_INIT(KEY_FILE_MAX);
	int rc = file_read(path, &b, e);

	if (rc == 0)
		rc = err_set(e, ERR_IO, "%s: there is no such file", path);
	else if (rc == 1 && (rc = key_load(buf_slice(&b), out, e)) != 0)
		err_prefix(e, "%s", path);
	buf_free(&b);
	return rc;
}

int plan_make(const struct options *o, struct agent_plan *p, struct err *e)
{
	struct key **keys = calloc(ANCHORS_MAX, sizeof(*keys));

	*p = (struct agent_plan){
		.mode = MODE_CLIENT,
		.choice = o->reject    ? CHOICE_REJECT
			  : o->defer_s ? CHOICE_DEFER
				       : CHOICE_ACCEPT,
		.defer_s = (int64_t)o->defer_s,
		.tamper = o->tamper,
		.fail_install = o->fail_install,
		.roll_back = o->roll_back,
		.silent_after = o->silent_after,
		.poll_s = (int64_t)o->poll_s,
		.once = o->once,
		.until_done = o->until_done,
		.reason = o->reason,
		.fail_first = (unsigned)o->fail_first,
		.attempts = (unsigned)o->attempts,
		.service = o->service,
		.service_s = (int64_t)o->service_s,
		.battery = (int)o->battery,
		.free_flash = o->free_flash,
		.parent = o->parent,
		.windows = o->windows.v,
		.attributes = o->attributes.v,
		.endpoint_port = (uint16_t)o->endpoint,
		.endpoint_dtls = o->server && strncmp(o->server, "coaps", 5) == 0,
		.push = o->push,
		.pull = o->pull,
		.piece = o->block,
		.image_max = o->max_image,
		.anchors = keys,
	};
	if (!keys)
		return err_set(e, ERR_NO_MEMORY, "anchors");
	if (o->mode)
		(void)mode_parse(o->mode, &p->mode); /* it was read before */
	for (; p->n_anchors < o->n_anchors; p->n_anchors++)
		if (load_anchor(o->anchors[p->n_anchors], &keys[p->n_anchors], e) != 0)
			return -1;
	return take_ids(o, p, e);
}

void plan_free(struct agent_plan *p)
{
	for (unsigned i = 0; i < p->n_anchors; i++)
		key_free(p->anchors[i]);
	free((void *)(uintptr_t)p->anchors);
	p->anchors = NULL;
	p->n_anchors = 0;
}

static struct slice trimmed(const struct buf *b)
{
	struct slice s = buf_slice(b);

	while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' '))
		s.n--;
	return s;
}

int psk_read(const char *path, uint8_t key[PSK_MAX], size_t *n, struct err *e)
{
	struct buf b = BUF_INIT(256);
	int rc = file_read(path, &b, e);
	struct slice s = trimmed(&b);

	*n = s.n / 2;
	if (rc == 0)
		rc = err_set(e, ERR_IO, "%s: there is no such file", path);
	else if (rc == 1 && (*n == 0 || *n > PSK_MAX || text_unhex(key, *n, s) != 0))
		rc = err_set(e, ERR_INVALID, "%s: a key is 1-%d bytes as hex digits", path,
			     PSK_MAX);
	if (b.p)
		explicit_bzero(b.p, b.n);
	buf_free(&b);
	return rc < 0 ? -1 : 0;
}

static int token_read(const char *path, char token[TOKEN_MAX_LEN + 1], struct err *e)
{
	struct buf b = BUF_INIT(TOKEN_MAX_LEN + 2);
	int rc = file_read(path, &b, e);

	if (rc == 0)
		rc = err_set(e, ERR_IO, "%s: there is no such file", path);
	else if (rc == 1 && (trimmed(&b).n == 0 ||
			     text_copy_slice(token, TOKEN_MAX_LEN + 1, trimmed(&b)) != 0))
		rc = err_set(e, ERR_INVALID, "%s: holds no token", path);
	if (b.p)
		explicit_bzero(b.p, b.n);
	buf_free(&b);
	return rc < 0 ? -1 : 0;
}

int carrier_options_make(const struct options *o, struct carrier_options *c, struct err *e)
{
	memset(c, 0, sizeof(*c));
	c->exchange_ms = EXCHANGE_MS;
	c->endpoint = (uint16_t)o->endpoint;
	c->ca = o->ca;
	c->identity = o->psk_identity ? o->psk_identity : o->id ? o->id : "";
	if (target_parse(o->server, &c->server, e) != 0)
		return -1;
	if (o->psk_file && psk_read(o->psk_file, c->psk, &c->psk_n, e) != 0)
		return -1;
	if (o->token_file && token_read(o->token_file, c->token, e) != 0)
		return -1;
	if (strcmp(c->server.scheme, "coaps") == 0 && c->psk_n == 0)
		return err_set(e, ERR_INVALID, "coaps needs --psk-file");
	if (strcmp(c->server.scheme, "http") == 0 && c->token[0])
		return err_set(e, ERR_INVALID, "a token travels over https alone");
	return 0;
}
