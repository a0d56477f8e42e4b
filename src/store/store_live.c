/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "store/sql.h"

/* A boot record is 24 bytes: boot, high, window, each big-endian. */
#define BOOT_RECORD 24

static void boots_pack(uint8_t dst[BOOTS_KEPT * BOOT_RECORD], const struct device_live *l)
{
	for (size_t i = 0; i < l->n_boots; i++) {
		uint8_t *to = dst + i * BOOT_RECORD;
		u64_to_bytes(to, l->boots[i].boot);
		u64_to_bytes(to + 8, l->boots[i].high);
		u64_to_bytes(to + 16, l->boots[i].window);
	}
}

static void boots_unpack(struct device_live *l, const uint8_t *from, size_t n)
{
	l->n_boots = (uint8_t)(n / BOOT_RECORD);
	for (size_t i = 0; i < l->n_boots; i++, from += BOOT_RECORD)
		l->boots[i] = (struct boot_record){ .boot = u64_from_bytes(from),
						    .high = u64_from_bytes(from + 8),
						    .window = u64_from_bytes(from + 16) };
}

static void live_read(struct sql *q, struct device_live *l)
{
	uint8_t boots[BOOTS_KEPT * BOOT_RECORD];

	l->last_seen = sql_get_int(q);
	sql_get_u64(q, &l->boot);
	boots_unpack(l, boots, sql_get_blob(q, boots, sizeof(boots)));
	sql_get_exact(q, l->ip, sizeof(l->ip));
	l->endpoint_port = (uint16_t)sql_get_int(q);
	sql_get_text(q, l->service, sizeof(l->service));
	l->service_until = sql_get_int(q);
	l->battery = sql_get_int(q);
	l->free_flash = sql_get_int(q);
	l->free_ram = sql_get_int(q);
	l->polls = sql_get_int(q);
	l->status_at = sql_get_int(q);
	l->track_seen = sql_get_int(q);
}

int store_live_get(struct store *st, int64_t dev, struct device_live *out, struct err *e)
{
	struct sql q;

	*out = (struct device_live){ .dev = dev, .battery = -1, .free_flash = -1, .free_ram = -1 };
	sql_begin(&q, st, STMT_LIVE_GET, e);
	sql_int(&q, dev);
	return STORE_ONE(&q, out, live_read);
}

static void live_bind(struct sql *q, const struct device_live *l, const uint8_t *boots)
{
	sql_int(q, l->last_seen);
	sql_u64(q, l->boot);
	sql_blob(q, boots, (size_t)l->n_boots * BOOT_RECORD);
	sql_blob(q, l->ip, sizeof(l->ip));
	sql_int(q, l->endpoint_port);
	sql_text(q, l->service);
	sql_int(q, l->service_until);
	sql_int(q, l->battery);
	sql_int(q, l->free_flash);
	sql_int(q, l->free_ram);
	sql_int(q, l->status_at);
	sql_int(q, l->track_seen);
	sql_int(q, l->dev);
}

int store_live_put(struct store *st, const struct device_live *l, struct err *e)
{
	struct sql q;
	uint8_t boots[BOOTS_KEPT * BOOT_RECORD];

	if (l->n_boots > BOOTS_KEPT)
		return err_set(e, ERR_INTERNAL, "too many boot records");
	boots_pack(boots, l);
	/* nearly always there already: cheaper than an INSERT that runs into it */
	sql_begin(&q, st, STMT_LIVE_PUT, e);
	live_bind(&q, l, boots);
	int n = sql_changed(&q);
	if (n != 0)
		return n < 0 ? -1 : 0;
	sql_begin(&q, st, STMT_LIVE_ADD, e);
	live_bind(&q, l, boots);
	return sql_run(&q);
}

int store_live_seen(struct store *st, int64_t dev, const struct now *at, int64_t polls,
		    struct err *e)
{
	static const uint8_t nowhere[16];
	struct sql q;

	sql_begin(&q, st, STMT_LIVE_SEEN, e);
	sql_int(&q, at->track);
	sql_int(&q, at->wall);
	sql_int(&q, at->track);
	sql_int(&q, polls);
	sql_int(&q, dev);
	int n = sql_changed(&q);
	if (n != 0)
		return n < 0 ? -1 : 0;
	/* it never registered; or it is gone, then nothing is put anywhere */
	sql_begin(&q, st, STMT_LIVE_SEEN_ADD, e);
	sql_int(&q, at->wall);
	sql_int(&q, at->track);
	sql_int(&q, polls);
	sql_u64(&q, 0);
	sql_blob(&q, nowhere, 0);
	sql_blob(&q, nowhere, sizeof(nowhere));
	sql_int(&q, dev);
	return sql_run(&q);
}

static void component_read(struct sql *q, struct component *c)
{
	*c = (struct component){ 0 };
	sql_get_text(q, c->name, sizeof(c->name));
	sql_get_text(q, c->version, sizeof(c->version));
	c->has_sequence = sql_get_u64(q, &c->sequence);
	c->has_digest = sql_get_exact(q, c->digest.b, sizeof(c->digest.b));
}

int store_components_list(struct store *st, int64_t dev, struct component out[COMPONENTS_MAX],
			  struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_COMPONENT_LIST, e);
	sql_int(&q, dev);
	return STORE_LIST(&q, COMPONENTS_MAX, out, component_read);
}

static bool same(const struct component *a, const struct component *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->version, b->version) == 0 &&
	       a->has_sequence == b->has_sequence &&
	       (!a->has_sequence || a->sequence == b->sequence) && a->has_digest == b->has_digest &&
	       (!a->has_digest || digest_eq(&a->digest, &b->digest));
}

static int component_add(struct store *st, int64_t dev, int n, const struct component *c,
			 struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_COMPONENT_ADD, e);
	sql_int(&q, dev);
	sql_int(&q, n);
	sql_text(&q, c->name);
	sql_text(&q, c->version);
	sql_u64_or_null(&q, c->has_sequence, c->sequence);
	if (c->has_digest)
		sql_digest(&q, &c->digest);
	else
		sql_null(&q);
	return sql_run(&q);
}

static int components_replace(struct store *st, int64_t dev, const struct component *c, int n,
			      struct err *e)
{
	struct sql q;

	sql_begin(&q, st, STMT_COMPONENT_CLEAR, e);
	sql_int(&q, dev);
	if (sql_run(&q) != 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (component_add(st, dev, i, &c[i], e) != 0)
			return -1;
	return 0;
}

int store_components_put(struct store *st, int64_t dev, const struct component *c, int n,
			 bool *changed, struct err *e)
{
	struct component old[COMPONENTS_MAX];
	bool own, differ;

	if (n < 0 || n > COMPONENTS_MAX)
		return err_set(e, ERR_TOO_MANY, "a device has at most %d components",
			       COMPONENTS_MAX);
	int had = store_components_list(st, dev, old, e);
	if (had < 0)
		return -1;
	differ = had != n;
	for (int i = 0; i < n && !differ; i++)
		differ = !same(&old[i], &c[i]);
	if (changed)
		*changed = differ;
	if (!differ)
		return 0;
	if (store_atomic_begin(st, &own, e) != 0)
		return -1;
	return store_atomic_end(st, own, components_replace(st, dev, c, n, e), e);
}
