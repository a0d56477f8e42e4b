/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "service/svc.h"

#define CORE_MAX 16384
#define CORE_RELEASES 64
#define CORE_KEEP_MS 1000

/* RFC 6690: the links, and the one query parameter they are filtered by. */
struct links {
	struct call *c;
	struct buf b;
	char name[8]; /* "rt", "href", "ct", "obs", "sz", or "" */
	char value[128];
	bool prefix; /* value ended in '*' */
};

struct link {
	const char *href, *rt, *ct;
	bool obs;
	uint64_t sz; /* 0: unsaid */
};

static bool fits(const struct links *l, const char *word, size_t n)
{
	size_t want = strlen(l->value);

	return (l->prefix ? n >= want : n == want) && strncmp(word, l->value, want) == 0;
}

/* rt and ct hold several words: one that fits is enough. */
static bool any_word_fits(const struct links *l, const char *words)
{
	while (words && *words) {
		size_t n = strcspn(words, " ");

		if (fits(l, words, n))
			return true;
		words += n + strspn(words + n, " ");
	}
	return false;
}

static bool selected(const struct links *l, const struct link *k)
{
	char sz[24];

	if (l->name[0] == '\0')
		return true;
	if (strcmp(l->name, "href") == 0)
		return fits(l, k->href, strlen(k->href));
	if (strcmp(l->name, "rt") == 0)
		return any_word_fits(l, k->rt);
	if (strcmp(l->name, "ct") == 0)
		return any_word_fits(l, k->ct);
	if (strcmp(l->name, "obs") == 0)
		return k->obs;
	return k->sz && text_format(sz, sizeof(sz), "%" PRIu64, k->sz) == 0 &&
	       fits(l, sz, strlen(sz));
}

static void put(struct links *l, const struct link *k)
{
	size_t before = l->b.n;

	if (!selected(l, k) || l->b.failed)
		return;
	buf_printf(&l->b, "%s<%s>", l->b.n ? "," : "", k->href);
	if (k->rt)
		buf_printf(&l->b, ";rt=\"%s\"", k->rt);
	if (k->ct)
		buf_printf(&l->b, strchr(k->ct, ' ') ? ";ct=\"%s\"" : ";ct=%s", k->ct);
	if (k->sz)
		buf_printf(&l->b, ";sz=%" PRIu64, k->sz);
	if (k->obs)
		buf_add_str(&l->b, ";obs");
	if (l->b.failed) { /* full: a whole link less, not half a one */
		l->b.failed = false;
		l->b.n = before;
	}
}

static int read_query(struct links *l, struct err *e)
{
	static const char *const names[] = { "href", "rt", "ct", "obs", "sz" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int rc = query_get(l->c->rq->query, names[i], l->value, sizeof(l->value));

		if (rc < 0)
			return err_set(e, ERR_INVALID, "%s: broken or too long", names[i]);
		if (rc == 0)
			continue;
		size_t n = strlen(l->value);
		l->prefix = n > 0 && l->value[n - 1] == '*';
		if (l->prefix)
			l->value[n - 1] = '\0';
		return text_copy(l->name, sizeof(l->name), names[i]);
	}
	return 0;
}

static void put_own(struct links *l)
{
	const char *id = l->c->who.device;
	char path[DEVICE_ID_MAX + 32];
	static const struct {
		const char *tail, *rt;
		bool obs;
	} parts[] = {
		{ "", "fettle.device", false },
		{ "/update", "fettle.update", true },
		{ "/decision", "fettle.decision", false },
		{ "/report", "fettle.report", false },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (text_format(path, sizeof(path), "/device/%s%s", id, parts[i].tail) != 0)
			continue;
		put(l,
		    &(struct link){
			    .href = path, .rt = parts[i].rt, .ct = "60 50", .obs = parts[i].obs });
	}
}

/* A link's target is a URI: a name with bytes that need escapes is reached by its UUID. */
static bool plain_segment(const char *s)
{
	static const char others[] = "._~:@+=-";

	if (!*s)
		return false;
	for (; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') &&
		    !(*s >= '0' && *s <= '9') && !strchr(others, *s))
			return false;
	return true;
}

/* ---- what is published ---- */

/* As it is kept: whether it is a manifest's, its size, its path. One behind the other. */
struct kept {
	uint64_t sz;
	uint16_t n;
	bool manifest;
};

static void keep(struct buf *b, bool manifest, uint64_t sz, const char *path)
{
	struct kept k = { .sz = sz, .n = (uint16_t)(strlen(path) + 1), .manifest = manifest };
	size_t before = b->n;

	buf_add(b, &k, sizeof(k));
	buf_add(b, path, k.n);
	if (b->failed) { /* full: the rest is left out */
		b->failed = false;
		b->n = before;
	}
}

static int keep_release(struct call *c, const struct release *r, struct buf *b, struct err *e)
{
	static const char *const spellings[] = { "firmware", "manifest" };
	char maker[NAME_TEXT], model[NAME_TEXT], path[PATH_MAX_LEN];
	struct manifest_image images[COMPONENTS_MAX];
	struct manifest m;
	char hex[DIGEST_TEXT];
	int rc = store_manifest_get(c->tk.st, &r->manifest, &m, e);

	if (rc != 1)
		return rc;
	uuid_text(maker, &r->vendor_id);
	uuid_text(model, &r->class_id);
	if (plain_segment(r->manufacturer))
		(void)text_copy(maker, sizeof(maker), r->manufacturer);
	if (plain_segment(r->model))
		(void)text_copy(model, sizeof(model), r->model);
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		if (text_format(path, sizeof(path), "/.well-known/%s/%s/%s/manifest.suit",
				spellings[i], maker, model) == 0)
			keep(b, true, m.size, path);
	int n = store_manifest_images(c->tk.st, &r->manifest, images, COMPONENTS_MAX, e);
	for (int i = 0; i < n; i++) {
		if (images[i].external)
			continue;
		digest_text(hex, &images[i].digest);
		if (text_format(path, sizeof(path), "/image/%s", hex) == 0)
			keep(b, false, images[i].has_size ? images[i].size : 0, path);
	}
	return n < 0 ? -1 : 0;
}

static int keep_published(struct call *c, struct buf *b, struct err *e)
{
	struct release *r = arena_alloc(c->tk.a, sizeof(*r) * CORE_RELEASES);

	if (!r)
		return err_set(e, ERR_NO_MEMORY, "no memory for the links");
	buf_reset(b);
	int n = store_release_published_list(c->tk.st, 0, CORE_RELEASES, r, e);
	for (int i = 0; i < n; i++)
		if (release_offerable(&c->tk, &r[i], NULL) && keep_release(c, &r[i], b, e) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

/*
 * Anyone may ask, and each release costs several look-ups, so they are made once for each
 * version of the rows. What the clock ends (an anchor, a manifest) is gone a little later
 * from here, and at once from where it is fetched.
 */
static int refresh(struct call *c, struct err *e)
{
	struct published *p = &c->sv->published;
	const struct now *now = &c->tk.now;
	int64_t version = 0;

	if (store_goods_version(c->tk.st, &version, e) != 0)
		return -1;
	if (p->kept && p->version == version && now->track < p->until &&
	    p->wall_trusted == now->wall_trusted)
		return 0;
	p->kept = false;
	if (keep_published(c, &p->links, e) != 0)
		return -1;
	p->version = version;
	p->until = now->track + CORE_KEEP_MS;
	p->wall_trusted = now->wall_trusted;
	p->kept = true;
	return 0;
}

static int put_published(struct links *l, struct err *e)
{
	const struct buf *b = &l->c->sv->published.links;
	struct kept k;

	if (refresh(l->c, e) != 0)
		return -1;
	for (size_t at = 0; at < b->n; at += sizeof(k) + k.n) {
		memcpy(&k, b->p + at, sizeof(k));
		put(l, &(struct link){ .href = (const char *)b->p + at + sizeof(k),
				       .rt = k.manifest ? "suit.manifest" : "fettle.image",
				       .ct = k.manifest ? "60" : "42",
				       .sz = k.sz });
	}
	return 0;
}

int svc_core(struct call *c, struct err *e)
{
	struct links l = { .c = c, .b = BUF_INIT(CORE_MAX) };
	int rc = -1;

	if (c->rq->accept != MEDIA_NONE && c->rq->accept != MEDIA_LINK_FORMAT && call_is_coap(c))
		return err_set(e, ERR_NOT_ACCEPTABLE, "links are application/link-format (40)");
	if (read_query(&l, e) != 0)
		return -1;
	put(&l, &(struct link){ .href = "/.well-known/core", .ct = "40" });
	if (c->who.role == ROLE_DEVICE)
		put_own(&l);
	if (ROLE_BIT(c->who.role) & (WHO_READ | WHO_AUTHOR))
		put(&l, &(struct link){
				.href = "/api/v1/openapi.json", .rt = "fettle.api", .ct = "50" });
	if (put_published(&l, e) == 0)
		rc = reply_bytes(c, 200, MEDIA_LINK_FORMAT, buf_slice(&l.b), e);
	buf_free(&l.b);
	return rc;
}
