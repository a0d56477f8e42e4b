/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "store/rows.h"
#include "store/sql.h"

static const char *const kind_words[] = {
	[CREDENTIAL_PSK] = "psk",
	[CREDENTIAL_TOKEN] = "token",
	[CREDENTIAL_X509] = "x509",
};

static int kind_parse(const char *w, enum credential_kind *out)
{
	for (size_t i = 0; w && i < sizeof(kind_words) / sizeof(kind_words[0]); i++) {
		if (strcmp(w, kind_words[i]) != 0)
			continue;
		*out = (enum credential_kind)i;
		return 0;
	}
	return -1;
}

static void credential_read(struct sql *q, struct credential *c)
{
	*c = (struct credential){ 0 };
	c->id = sql_get_int(q);
	c->dev = sql_get_int(q);
	sql_get_word(q, kind_parse, &c->kind);
	sql_get_text(q, c->identity, sizeof(c->identity));
	c->secret_len = (uint8_t)sql_get_blob(q, c->secret, sizeof(c->secret));
	c->created = sql_get_int(q);
	c->not_after = sql_get_int(q);
	c->revoked = sql_get_int(q);
}

/* An identity names one device, else which of the two a session is would be a matter of luck. */
static int identity_free(struct store *st, const struct credential *c, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CREDENTIAL_TAKEN, e);
	sql_text(&q, kind_words[c->kind]);
	sql_text(&q, c->identity);
	sql_int(&q, c->dev);
	int taken = sql_row(&q);
	if (sql_end(&q) != 0)
		return -1;
	return taken ? err_set(e, ERR_CONFLICT, "another device has this identity") : 0;
}

int store_credential_add(struct store *st, struct credential *c, struct err *e)
{
	struct sql q;

	if (identity_free(st, c, e) != 0)
		return -1;
	sql_begin(&q, st, STMT_CREDENTIAL_ADD, e);
	sql_int(&q, c->dev);
	sql_text(&q, kind_words[c->kind]);
	sql_text(&q, c->identity);
	sql_blob(&q, c->secret, c->secret_len);
	sql_int(&q, c->created);
	sql_int(&q, c->not_after);
	sql_int(&q, c->revoked);
	return sql_insert(&q, &c->id);
}

int store_credential_by_identity_at(struct store *st, enum credential_kind k, const char *identity,
				    int64_t now_wall, struct credential *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CREDENTIAL_BY_IDENTITY, e);
	sql_text(&q, kind_words[k]);
	sql_text(&q, identity);
	sql_int(&q, now_wall);
	return STORE_ONE(&q, out, credential_read);
}

int store_credential_by_identity(struct store *st, enum credential_kind k, const char *identity,
				 struct credential *out, struct err *e)
{
	return store_credential_by_identity_at(st, k, identity, clock_wall_ms(), out, e);
}

int store_credential_by_hash(struct store *st, const struct digest *hash, struct credential *out,
			     struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CREDENTIAL_BY_HASH, e);
	sql_digest(&q, hash);
	return STORE_ONE(&q, out, credential_read);
}

int store_credential_get(struct store *st, int64_t dev, int64_t id, struct credential *out,
			 struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CREDENTIAL_GET, e);
	sql_int(&q, id);
	sql_int(&q, dev);
	return STORE_ONE(&q, out, credential_read);
}

int store_credential_list(struct store *st, int64_t dev, int64_t after, int limit,
			  struct credential *out, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CREDENTIAL_LIST, e);
	sql_int(&q, dev);
	sql_int(&q, after);
	sql_int(&q, limit);
	return STORE_LIST(&q, limit, out, credential_read);
}

int store_credential_revoke(struct store *st, int64_t dev, int64_t id, int64_t at, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_CREDENTIAL_REVOKE, e);
	sql_int(&q, at);
	sql_int(&q, id);
	sql_int(&q, dev);
	return store_expect_one(sql_changed(&q), "credential", e);
}

int store_credential_usable(struct store *st, int64_t dev, int64_t now_wall, struct err *e)
{
	struct sql q;
	int n = 0;

	sql_begin(&q, st, STMT_CREDENTIAL_USABLE, e);
	sql_int(&q, dev);
	sql_int(&q, now_wall);
	if (sql_row(&q) == 1)
		n = (int)sql_get_int(&q);
	return sql_end(&q) == 0 ? n : -1;
}

int store_identities_end(struct store *st, int64_t dev, int64_t at, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IDENTITY_END, e);
	sql_int(&q, at);
	sql_int(&q, dev);
	return sql_run(&q);
}

int store_identities_sweep(struct store *st, int64_t until, int limit, struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IDENTITY_SWEEP, e);
	sql_int(&q, until);
	sql_int(&q, limit);
	return sql_changed(&q);
}

int store_identity_ended(struct store *st, const char *identity, int64_t since, int64_t now_wall,
			 struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_IDENTITY_ENDED, e);
	sql_text(&q, identity);
	sql_int(&q, since);
	sql_text(&q, identity);
	sql_int(&q, since);
	sql_int(&q, since);
	sql_int(&q, now_wall);
	int found = sql_row(&q);
	return sql_end(&q) == 0 ? found : -1;
}
