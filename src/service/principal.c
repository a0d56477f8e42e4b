/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "service/internal.h"
#include "tracker/filter.h"

/* Unknown, wrong, expired, revoked: one answer, so that it tells nothing apart. */
static int refuse(struct err *e)
{
	return err_set(e, ERR_UNAUTHENTICATED, "not known here, or not valid any more");
}

/* Names have room for any id a row or a valid path can have. */
static void call_me(struct call *c, const char *id)
{
	(void)text_copy(c->who.device, sizeof(c->who.device), id);
	(void)text_format(c->who.name, sizeof(c->who.name), "device:%s", id);
}

/* The device's row must still allow its credential; that is asked for every request. */
static int become_device(struct call *c, int64_t dev, int64_t credential, struct err *e)
{
	int rc = store_device_by_dev(c->tk.st, dev, &c->device, e);

	if (rc < 0)
		return -1;
	/* with a credential or without: it is served in the one way it was enrolled for */
	if (rc == 0 || c->device.disabled || (c->device.auth == AUTH_NONE) != (credential == 0))
		return refuse(e);
	c->who.role = ROLE_DEVICE;
	c->who.dev = dev;
	c->who.credential = credential;
	call_me(c, c->device.id);
	return 0;
}

static int resolve_psk(struct call *c, struct err *e)
{
	struct credential cr;
	int rc = store_credential_get(c->tk.st, c->session->dev, c->session->credential, &cr, e);

	if (rc < 0)
		return -1;
	if (rc == 1 && cr.kind == CREDENTIAL_PSK && credential_usable(&cr, c->tk.now.wall))
		rc = become_device(c, cr.dev, cr.id, e);
	else
		rc = refuse(e);
	if (rc != 0 && e->code == ERR_UNAUTHENTICATED)
		c->rs->close = true;
	return rc;
}

static int resolve_local(struct call *c, struct err *e)
{
	uint32_t uid = c->evidence->uid;
	struct operator_uid row;

	(void)text_format(c->who.name, sizeof(c->who.name), "uid:%" PRIu32, uid);
	if (uid == 0 || uid == c->sv->o.own_uid) {
		c->who.role = ROLE_ADMIN;
		return 0;
	}
	int rc = store_operator_get(c->tk.st, uid, &row, e);
	if (rc < 0)
		return -1;
	c->who.role = rc == 1 && row.role > ROLE_DEVICE ? row.role : ROLE_NONE;
	return 0;
}

static int resolve_operator_token(struct call *c, const struct digest *hash, struct err *e)
{
	struct token t;
	int rc = store_token_by_hash(c->tk.st, hash, &t, e);

	if (rc < 0)
		return -1;
	/* admin is never had by a token, whatever a row says */
	if (rc == 0 ||
	    !slice_eq_ct(slice_of(t.hash.b, DIGEST_SIZE), slice_of(hash->b, DIGEST_SIZE)) ||
	    t.revoked != 0 || (t.not_after != 0 && c->tk.now.wall >= t.not_after) ||
	    t.role <= ROLE_DEVICE || t.role >= ROLE_ADMIN)
		return refuse(e);
	c->who.role = t.role;
	c->who.token = c->session->token = t.id;
	(void)text_format(c->who.name, sizeof(c->who.name), "token:%s", t.name);
	(void)text_copy(c->who.scope, sizeof(c->who.scope), t.scope);
	if (t.scope[0] == '\0')
		return 0;
	struct filter *f = NULL;
	if (filter_parse(c->who.scope, c->tk.a, &f, e) != 0)
		return err_set(e, ERR_INTERNAL, "the scope of token %" PRId64 " is not a filter",
			       t.id);
	c->scope = f;
	return 0;
}

static int resolve_device_token(struct call *c, const struct digest *hash, struct err *e)
{
	struct credential cr;
	int rc = store_credential_by_hash(c->tk.st, hash, &cr, e);

	if (rc < 0)
		return -1;
	if (rc == 0 || cr.kind != CREDENTIAL_TOKEN ||
	    !slice_eq_ct(slice_of(cr.secret, cr.secret_len), slice_of(hash->b, DIGEST_SIZE)) ||
	    !credential_usable(&cr, c->tk.now.wall))
		return refuse(e);
	if (become_device(c, cr.dev, cr.id, e) != 0)
		return -1;
	sessions_bind(&c->sv->lanes[c->lane], c->session, cr.dev);
	c->session->credential = cr.id;
	return 0;
}

static bool is_loopback(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t one[16] = { [15] = 1 };

	return memcmp(ip, one, sizeof(one)) == 0 ||
	       (memcmp(ip, mapped, sizeof(mapped)) == 0 && ip[12] == 127);
}

/*
 * A token that crossed a network in the clear is not believed: on plain listeners
 * it counts from loopback, and never for a device.
 */
static int resolve_token(struct call *c, struct err *e)
{
	struct slice t = c->rq->token;
	struct digest hash;
	bool plain = c->evidence->kind == EVIDENCE_PLAIN;

	if (t.n > TOKEN_MAX_LEN || (plain && !is_loopback(c->evidence->ip)))
		return refuse(e);
	if (sha256_once(t, &hash) != 0)
		return err_set(e, ERR_NO_MEMORY, "SHA-256 is not to be had");
	if (slice_starts(t, "ft_"))
		return resolve_operator_token(c, &hash, e);
	if (slice_starts(t, "fd_") && c->evidence->kind == EVIDENCE_TLS)
		return resolve_device_token(c, &hash, e);
	return refuse(e);
}

/* A plain session that named an auth-none device goes on as it, while that still is one. */
static int resolve_plain(struct call *c, struct err *e)
{
	struct err why = { 0 };

	if (c->session->dev == 0 || become_device(c, c->session->dev, 0, &why) == 0)
		return 0;
	if (why.code != ERR_UNAUTHENTICATED) {
		*e = why;
		return -1;
	}
	sessions_bind(&c->sv->lanes[c->lane], c->session, 0);
	return 0;
}

int principal_resolve(struct call *c, struct err *e)
{
	c->who.how = c->evidence->kind;
	c->who.transport = c->evidence->transport;
	(void)text_copy(c->who.name, sizeof(c->who.name), "anonymous");
	if (c->evidence->kind == EVIDENCE_PSK)
		return c->rq->token.n ? refuse(e) : resolve_psk(c, e);
	if (c->rq->token.n)
		return resolve_token(c, e);
	if (c->evidence->kind == EVIDENCE_LOCAL)
		return resolve_local(c, e);
	if (c->evidence->kind == EVIDENCE_PLAIN)
		return resolve_plain(c, e);
	return 0;
}

/* First contact: no row yet, the name is free for whoever comes, where policy says so. */
static int become_newcomer(struct call *c, const char *id)
{
	c->who.role = ROLE_DEVICE;
	c->who.dev = 0;
	c->device = (struct device){ .auth = AUTH_NONE };
	(void)text_copy(c->device.id, sizeof(c->device.id), id);
	call_me(c, id);
	return 0;
}

int principal_by_path(struct call *c, struct slice id, bool registering, struct err *e)
{
	char name[NAME_TEXT];
	struct device d;

	/* the session's own device, as nearly always: its row was read for this very request */
	if (c->who.dev != 0 && slice_eq_str(id, c->device.id))
		return 0;
	if (!device_id_valid(id))
		return refuse(e);
	(void)text_copy_slice(name, sizeof(name), id);
	int rc = store_device_get(c->tk.st, name, &d, e);
	if (rc < 0)
		return -1;
	if (rc == 0 && registering && c->tk.policy->first_contact != FIRST_REFUSE)
		return become_newcomer(c, name);
	if (rc == 0 || d.auth != AUTH_NONE || d.disabled)
		return refuse(e);
	c->device = d;
	sessions_bind(&c->sv->lanes[c->lane], c->session, d.dev);
	c->who = (struct principal){
		.role = ROLE_DEVICE, .how = c->who.how, .transport = c->who.transport, .dev = d.dev
	};
	call_me(c, d.id);
	return 0;
}

/* On plain listeners the path is all the identity an auth-none device has. */
static bool named_by_path(const struct call *c)
{
	return (c->route->flags & ROUTE_OWN_DEVICE) && c->evidence->kind == EVIDENCE_PLAIN &&
	       c->rq->token.n == 0;
}

static int deny(const struct call *c, struct err *e)
{
	if (c->who.role == ROLE_NONE && c->evidence->kind != EVIDENCE_LOCAL)
		return refuse(e);
	return err_set(e, ERR_FORBIDDEN, "%s may not do this", c->who.name);
}

int principal_authorise(struct call *c, struct err *e)
{
	const struct route *r = c->route;

	if (named_by_path(c) && principal_by_path(c, c->hole[0], r->method == METHOD_PUT, e) != 0)
		return -1;
	if (!(r->who & ROLE_BIT(c->who.role)))
		return deny(c, e);
	if ((r->flags & ROUTE_CONTROL_ONLY) && (c->lane != LANE_CONTROL || c->who.token != 0))
		return deny(c, e);
	if ((r->flags & ROUTE_OWN_DEVICE) && !slice_eq_str(c->hole[0], c->who.device))
		return err_set(e, ERR_FORBIDDEN, "this is not the asking device");
	if (r->flags & ROUTE_UNSCOPED)
		return scope_needed(c, e);
	return 0;
}
