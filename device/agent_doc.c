/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "device/agent.h"

static void put_key(const struct agent *a, struct arena *mem, struct doc *d)
{
	doc_add_u64(mem, d, "boot", a->boot);
	doc_add_u64(mem, d, "counter", a->open);
}

static void put_components(const struct agent *a, struct arena *mem, struct doc *d)
{
	struct doc *list = doc_array(mem, d, "components");

	for (int i = 0; i < a->n_components; i++) {
		const struct component *c = &a->components[i];
		struct doc *one = doc_map(mem, list, NULL);

		doc_add_text(mem, one, "name", c->name);
		if (c->version[0])
			doc_add_text(mem, one, "version", c->version);
		if (c->has_sequence)
			doc_add_u64(mem, one, "sequence", c->sequence);
		if (c->has_digest)
			doc_add_digest(mem, one, "digest", &c->digest);
	}
}

/* Bytes in CBOR; in JSON as people write them. */
static void put_uuid(struct arena *mem, struct doc *d, enum media m, const char *key,
		     const struct uuid *u)
{
	char text[UUID_TEXT];

	if (!u->set)
		return;
	uuid_text(text, u);
	if (m == MEDIA_CBOR)
		doc_add_bytes(mem, d, key, slice_of(u->b, UUID_SIZE));
	else
		doc_add_text(mem, d, key, text);
}

void agent_put_status(const struct agent *a, struct arena *mem, struct doc *outer, int64_t now)
{
	const struct agent_plan *p = a->plan;
	struct doc *d = doc_map(mem, outer, "status");
	int64_t left = p->service_s - (now - a->began) / 1000;

	if (p->service && p->service_s > 0 && left <= 0) {
		doc_add_text(mem, d, "service", "idle");
	} else if (p->service) {
		doc_add_text(mem, d, "service", p->service);
		if (p->service_s > 0)
			doc_add_int(mem, d, "until", left);
	}
	if (p->battery > 0)
		doc_add_int(mem, d, "battery", p->battery);
	if (p->free_flash > 0)
		doc_add_u64(mem, d, "free_flash", p->free_flash);
}

/* "hw=3": a number where it looks like one */
static void put_attributes(const struct agent_plan *p, struct arena *mem, struct doc *outer)
{
	struct doc *d = doc_map(mem, outer, "attributes");
	char name[NAME_TEXT];
	uint64_t n;

	for (const char *const *t = p->attributes; *t; t++) {
		const char *value = strchr(*t, '=') + 1;

		text_copy_slice(name, sizeof(name), slice_of(*t, (size_t)(value - 1 - *t)));
		if (text_u64(slice_str(value), &n) == 0 && n <= INT32_MAX)
			doc_add_int(mem, d, name, (int64_t)n);
		else
			doc_add_text(mem, d, name, value);
	}
}

static void put_endpoint(const struct agent_plan *p, struct arena *mem, struct doc *d)
{
	struct doc *list;

	if (p->endpoint_port)
		doc_add_int(mem, d, "endpoint_port", p->endpoint_port);
	if (!p->push && !p->pull)
		return;
	list = doc_array(mem, d, "capabilities");
	doc_add_text(mem, list, NULL, p->pull ? "pull" : "push");
	doc_add_text(mem, list, NULL, "diag");
	if (p->endpoint_port && p->endpoint_dtls)
		doc_add_text(mem, list, NULL, "dtls");
}

struct doc *agent_register_doc(const struct agent *a, struct arena *mem, enum media m, int64_t now)
{
	const struct agent_plan *p = a->plan;
	struct doc *d = doc_map(mem, NULL, NULL);
	struct doc *list = NULL;

	put_key(a, mem, d);
	doc_add_text(mem, d, "mode", mode_word(p->mode));
	put_uuid(mem, d, m, "vendor_id", &p->vendor_id);
	put_uuid(mem, d, m, "class_id", &p->class_id);
	if (p->manufacturer)
		doc_add_text(mem, d, "manufacturer", p->manufacturer);
	if (p->model)
		doc_add_text(mem, d, "model", p->model);
	if (p->parent)
		doc_add_text(mem, d, "parent", p->parent);
	for (const char *const *w = p->windows; w && *w; w++) {
		list = list ? list : doc_array(mem, d, "windows");
		doc_add_text(mem, list, NULL, *w);
	}
	if (p->attributes && p->attributes[0])
		put_attributes(p, mem, d);
	put_endpoint(p, mem, d);
	if (p->service || p->battery > 0 || p->free_flash > 0)
		agent_put_status(a, mem, d, now);
	put_components(a, mem, d);
	return d;
}

struct doc *agent_decision_doc(const struct agent *a, struct arena *mem)
{
	static const char *const words[] = { "accept", "defer", "reject" };
	const struct agent_plan *p = a->plan;
	struct doc *d = doc_map(mem, NULL, NULL);

	put_key(a, mem, d);
	doc_add_int(mem, d, "update", a->offer->update);
	doc_add_text(mem, d, "decision", words[a->deferred ? CHOICE_ACCEPT : p->choice]);
	if (p->choice == CHOICE_DEFER && !a->deferred)
		doc_add_int(mem, d, "until", p->defer_s);
	if (p->choice != CHOICE_ACCEPT && !a->deferred)
		doc_add_text(mem, d, "reason",
			     p->reason ? p->reason : "the device's settings say so");
	return d;
}

struct doc *agent_report_doc(const struct agent *a, struct arena *mem)
{
	struct doc *d = doc_map(mem, NULL, NULL);

	put_key(a, mem, d);
	if (a->report_update)
		doc_add_int(mem, d, "update", a->report_update);
	doc_add_text(mem, d, "state", a->report);
	if (a->progress >= 0)
		doc_add_int(mem, d, "progress", a->progress);
	if (strcmp(a->report, "idle") == 0)
		doc_add_int(mem, d, "acknowledged", a->acknowledge);
	if (a->failure != FAILURE_NONE) {
		doc_add_text(mem, d, "failure", failure_word(a->failure));
		doc_add_text(mem, d, "text", a->why);
	}
	if (strcmp(a->report, "succeeded") == 0 || strcmp(a->report, "rolled-back") == 0)
		put_components(a, mem, d);
	return d;
}

int agent_diag_text(const struct agent *a, struct buf *out, int64_t now)
{
	buf_add_str(out, "device ");
	buf_add_str(out, a->id);
	buf_printf(out, "\nuptime %llds\nboot %llu\nmessages %llu acknowledged %llu\n",
		   (long long)(now - a->began) / 1000, (unsigned long long)a->boot,
		   (unsigned long long)a->sent, (unsigned long long)a->acknowledged);
	buf_printf(out, "fetched %llu bytes, %llu digests wrong\nlast update %s\n",
		   (unsigned long long)a->bytes, (unsigned long long)a->digests_wrong,
		   agent_result_word(a->result));
	for (int i = 0; i < a->n_components; i++)
		buf_printf(out, "component \"%s\" version %s sequence %llu\n",
			   a->components[i].name, a->components[i].version,
			   (unsigned long long)a->components[i].sequence);
	return out->failed ? -1 : 0;
}

/* Devices fetch from the server they talk to, whatever host a URI names. */
int agent_path_of(struct slice uri, char *dst, size_t cap)
{
	static const char mark[] = "://";
	size_t at = 0;

	for (size_t i = 0; i + 3 <= uri.n && uri.p[i] != '/'; i++)
		if (memcmp(uri.p + i, mark, 3) == 0) {
			at = i + 3;
			break;
		}
	while (at > 0 && at < uri.n && uri.p[at] != '/')
		at++;
	if (at >= uri.n || uri.p[at] != '/')
		return -1;
	size_t end = at;
	while (end < uri.n && uri.p[end] != '#' && uri.p[end] != '?')
		end++;
	return text_copy_slice(dst, cap, slice_of(uri.p + at, end - at));
}

static int read_image(const struct doc *d, struct agent_image *i, struct err *e)
{
	char uri[URI_TEXT] = "";
	struct doc_reader r;

	memset(i, 0, sizeof(*i));
	doc_read_init(&r, d, e);
	doc_opt_text(&r, "component", i->component, sizeof(i->component));
	doc_need_text(&r, "uri", uri, sizeof(uri));
	i->has_size = doc_opt_u64(&r, "size", &i->size);
	doc_need_digest(&r, "digest", &i->digest);
	if (doc_read_end(&r) != 0)
		return -1;
	if (agent_path_of(slice_str(uri), i->path, sizeof(i->path)) != 0)
		i->path[0] = 0;
	return 0;
}

static int read_images(struct doc_reader *r, struct agent_offer *o)
{
	const struct doc *list = doc_opt_array(r, "images");

	for (const struct doc *d = list ? list->v.c.first : NULL; d; d = d->next) {
		if (o->n_images == AGENT_IMAGES_MAX)
			break; /* more alternatives than are looked at */
		if (read_image(d, &o->images[o->n_images], r->e) != 0)
			return err_prefix(r->e, "images[%d]", o->n_images);
		o->n_images++;
	}
	return 0;
}

static int read_manifest(struct doc_reader *r, struct agent_offer *o)
{
	const struct doc *m = doc_get(r->d, "manifest");

	if (!m)
		return 0;
	if (m->type == DOC_BYTES)
		buf_add_slice(&o->manifest, m->v.s);
	else if (m->type == DOC_TEXT && m->v.s.n % 2 == 0 && m->v.s.n > 0) {
		uint8_t *to = buf_extend(&o->manifest, m->v.s.n / 2);

		if (to && text_unhex(to, m->v.s.n / 2, m->v.s) != 0)
			return err_set(r->e, ERR_INVALID, "manifest: is not hex");
	}
	if (o->manifest.failed)
		return err_set(r->e, ERR_TOO_LARGE, "manifest: longer than %d bytes",
			       AGENT_MANIFEST_MAX);
	return 0;
}

int agent_read_offer(const struct doc *d, struct agent_offer *o, int64_t *ask_s,
		     int64_t *not_before_s, struct err *e)
{
	char uri[URI_TEXT] = "";
	struct doc_reader r;

	*ask_s = *not_before_s = 0;
	doc_read_init(&r, d, e);
	doc_opt_int(&r, "ask_again", 0, INT32_MAX, ask_s);
	if (!doc_opt_int(&r, "update", 1, INT64_MAX, &o->update))
		return doc_read_end(&r) == 0 ? 0 : -1;
	doc_opt_u64(&r, "sequence", &o->sequence);
	doc_opt_text(&r, "version", o->version, sizeof(o->version));
	doc_opt_text(&r, "manifest_uri", uri, sizeof(uri));
	o->has_manifest_digest = doc_opt_digest(&r, "manifest_digest", &o->manifest_digest);
	doc_opt_int(&r, "not_before", 0, INT32_MAX, not_before_s);
	if (read_images(&r, o) != 0 || read_manifest(&r, o) != 0 || doc_read_end(&r) != 0)
		return -1;
	if (uri[0] &&
	    agent_path_of(slice_str(uri), o->manifest_path, sizeof(o->manifest_path)) != 0)
		return err_set(e, ERR_INVALID, "manifest_uri: has no path");
	if (!o->manifest_path[0] && o->manifest.n == 0)
		return err_set(e, ERR_INVALID, "the offer has no manifest");
	return 1;
}
