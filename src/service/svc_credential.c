/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "service/secret.h"
#include "service/svc.h"

#define PSK_MIN 16 /* bytes: shorter keys can be guessed */

static const char *kind_word(enum credential_kind k)
{
	static const char *const words[] = {
		[CREDENTIAL_PSK] = "psk", [CREDENTIAL_TOKEN] = "token", [CREDENTIAL_X509] = "x509"
	};

	return words[k];
}

static void put_credential(struct call *c, struct doc *d, const struct credential *v)
{
	struct arena *a = c->tk.a;

	doc_add_int(a, d, "id", v->id);
	doc_add_text(a, d, "kind", kind_word(v->kind));
	doc_add_text(a, d, "identity", v->identity[0] ? v->identity : NULL);
	doc_add_time(a, d, "created", v->created);
	doc_add_time(a, d, "not_after", v->not_after);
	doc_add_time(a, d, "revoked", v->revoked);
}

/* Two devices with one identity would be one device: the newer must not take the older's place. */
static int identity_free(struct call *c, const struct credential *v, struct err *e)
{
	struct credential other;
	int rc = store_credential_by_identity(c->tk.st, v->kind, v->identity, &other, e);

	if (rc == 1 && other.dev != v->dev && credential_usable(&other, c->tk.now.wall))
		return err_set(e, ERR_CONFLICT, "identity: in use by another device");
	return rc < 0 ? -1 : 0;
}

static bool identity_valid(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	return true;
}

static int read_psk(struct call *c, struct doc_reader *r, struct credential *v, struct err *e)
{
	size_t n = 0;

	if (!doc_opt_text(r, "identity", v->identity, sizeof(v->identity)))
		(void)text_copy(v->identity, sizeof(v->identity), c->device.id);
	doc_opt_bytes(r, "key", v->secret, sizeof(v->secret), &n);
	if (doc_read_end(r) != 0)
		return -1;
	if (!identity_valid(v->identity))
		return err_set(e, ERR_INVALID, "identity: 1-128 printable characters");
	if (n < PSK_MIN)
		return err_set(e, ERR_INVALID, "key: %d to %zu bytes, in hex", PSK_MIN,
			       sizeof(v->secret));
	v->kind = CREDENTIAL_PSK;
	v->secret_len = (uint8_t)n;
	return identity_free(c, v, e);
}

static int make_token(struct credential *v, char token[SECRET_TEXT], struct err *e)
{
	struct digest hash;

	if (secret_make("fd_", token, &hash) != 0)
		return err_set(e, ERR_NO_MEMORY, "no memory for the token");
	v->kind = CREDENTIAL_TOKEN;
	memcpy(v->secret, hash.b, DIGEST_SIZE);
	v->secret_len = DIGEST_SIZE;
	return 0;
}

static int read_credential(struct call *c, struct credential *v, char token[SECRET_TEXT],
			   struct err *e)
{
	static const char *const psk[] = { "kind", "days", "identity", "key", NULL };
	static const char *const other[] = { "kind", "days", NULL };
	struct doc_reader r;
	char kind[16] = "";
	int64_t days = 0;

	doc_read_init(&r, c->body, e);
	doc_need_text(&r, "kind", kind, sizeof(kind));
	doc_only(&r, strcmp(kind, "psk") == 0 ? psk : other);
	if (doc_opt_int(&r, "days", 1, 36500, &days))
		v->not_after = c->tk.now.wall + days * 86400000;
	if (doc_read_end(&r) != 0)
		return -1;
	if (strcmp(kind, "psk") == 0)
		return read_psk(c, &r, v, e);
	if (strcmp(kind, "token") == 0)
		return make_token(v, token, e);
	return err_set(e, ERR_INVALID, "kind: psk or token");
}

int svc_credential_add(struct call *c, struct err *e)
{
	struct credential v = { .dev = c->device.dev, .created = c->tk.now.wall };
	struct doc *d = doc_map(c->tk.a, NULL, NULL);
	char token[SECRET_TEXT] = "";

	if (c->device.auth == AUTH_NONE)
		return err_set(e, ERR_CONFLICT, "the device is enrolled without credentials");
	if (read_credential(c, &v, token, e) != 0 || store_credential_add(c->tk.st, &v, e) != 0 ||
	    audit_note(&c->tk, "credential.add", c->device.id, e, "id=%" PRId64 " kind=%s", v.id,
		       kind_word(v.kind)) != 0 ||
	    reply_location(c, e, "/api/v1/devices/%s/credentials/%" PRId64, c->device.id, v.id) !=
		    0)
		return -1;
	put_credential(c, d, &v);
	if (token[0])
		doc_add_text(c->tk.a, d, "token", token);
	return reply_doc(c, 201, d, e);
}

int svc_credential_list(struct call *c, struct err *e)
{
	struct credential *rows = arena_alloc(c->tk.a, sizeof(*rows) * PAGE_ROWS);
	struct page p;
	int want;

	if (!rows || page_begin(&p, c, e) != 0)
		return rows ? -1 : err_set(e, ERR_NO_MEMORY, "no memory for the page");
	while ((want = page_want(&p)) > 0) {
		int n = store_credential_list(c->tk.st, c->device.dev, p.after, want, rows, e);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			put_credential(c, page_item(&p), &rows[i]);
		if (!page_step(&p, want, n, n ? rows[n - 1].id : 0))
			break;
	}
	return page_end(&p, e);
}

int svc_credential_revoke(struct call *c, struct err *e)
{
	struct credential v;
	int64_t id;

	if (hole_id(c, 1, &id, e) ||
	    found_or(store_credential_get(c->tk.st, c->device.dev, id, &v, e), e, "credential"))
		return -1;
	if (v.revoked == 0 &&
	    (store_credential_revoke(c->tk.st, c->device.dev, id, c->tk.now.wall, e) != 0 ||
	     audit_note(&c->tk, "credential.revoke", c->device.id, e, "id=%" PRId64, id) != 0))
		return -1;
	effects_drop_device(c->tk.fx, c->device.dev, id);
	return reply_empty(c, 204);
}
