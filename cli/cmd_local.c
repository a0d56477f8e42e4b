/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"
#include "codec/crypto.h"
#include "codec/suit.h"

/* Keys and manifests: the author's side, on files alone. */
#define KEY_FILE_MAX 65536

static int load_key(const char *path, struct key **k, struct err *e)
{
	struct buf b;
	int result;

	if (file_read(path, KEY_FILE_MAX, &b, e) < 0)
		return -1;
	result = key_load(buf_slice(&b), k, e);
	if (b.p)
		explicit_bzero(b.p, b.cap);
	buf_free(&b);
	return result < 0 ? err_prefix(e, "%s", path) : 0;
}

static int describe_key(struct ctx *c, const struct key *k, struct err *e)
{
	struct doc *d = doc_map(&c->a, NULL, NULL);
	struct digest id;

	if (key_id(k, &id) < 0)
		return err_set(e, ERR_INTERNAL, "the key's identity cannot be computed");
	doc_add_digest(&c->a, d, "key_id", &id);
	doc_add_text(&c->a, d, "alg", key_kind_name(key_kind_of(k)));
	doc_add_bool(&c->a, d, "private", key_has_private(k));
	return write_object(c, d, e);
}

int cmd_key_generate(struct ctx *c, struct err *e)
{
	const char *alg = ctx_option(c, "alg"), *output = ctx_option(c, "output");
	struct buf pem = BUF_INIT(KEY_FILE_MAX);
	struct key *k = NULL;
	enum key_kind kind;
	int code = -1;

	if (key_kind_parse(alg ? alg : "es256", &kind) < 0)
		return ctx_usage(c, e, "--alg is es256, es384, es512 or ed25519");
	if (key_generate(kind, &k, e) == 0 && key_private_pem(k, &pem, e) == 0 &&
	    file_write(output, buf_slice(&pem), 0600, e) == 0)
		code = strcmp(output, "-") == 0 ? EXIT_DONE : describe_key(c, k, e);
	if (pem.p)
		explicit_bzero(pem.p, pem.cap);
	buf_free(&pem);
	key_free(k);
	return code;
}

int cmd_key_show(struct ctx *c, struct err *e)
{
	struct key *k = NULL;
	int code = load_key(c->args[0], &k, e) < 0 ? -1 : describe_key(c, k, e);

	key_free(k);
	return code;
}

int cmd_key_public(struct ctx *c, struct err *e)
{
	struct buf pem = BUF_INIT(KEY_FILE_MAX);
	struct key *k = NULL;
	int code = -1;

	if (load_key(c->args[0], &k, e) == 0 && key_public_pem(k, &pem, e) == 0)
		code = file_write("-", buf_slice(&pem), 0644, e) < 0 ? -1 : EXIT_DONE;
	buf_free(&pem);
	key_free(k);
	return code;
}

/* ---- manifest create ---- */

static int number_option(struct ctx *c, const char *name, uint64_t *out, bool *has, struct err *e)
{
	const char *v = ctx_option(c, name);

	*has = v != NULL;
	if (v && text_u64(slice_str(v), out) < 0)
		return ctx_usage(c, e, "--%s takes a number, not '%s'", name, v);
	return 0;
}

static int ids_of(struct ctx *c, struct suit_create *s, struct err *e)
{
	const char *vendor = ctx_option(c, "vendor"), *class = ctx_option(c, "class");

	if (uuid_parse(&s->vendor_id, slice_str(vendor)) < 0) {
		if (suit_vendor_uuid(vendor, &s->vendor_id) < 0)
			return ctx_usage(c, e, "--vendor '%s' is no domain and no UUID", vendor);
		s->vendor_domain = vendor;
	}
	if (uuid_parse(&s->class_id, slice_str(class)) < 0) {
		if (suit_class_uuid(&s->vendor_id, class, &s->class_id) < 0)
			return ctx_usage(c, e, "--class '%s' is no model and no UUID", class);
		s->model_name = class;
	}
	return 0;
}

/* --image FILE[=COMPONENT[=URI]], and --uri for a single one. */
static int image_option(struct ctx *c, const char *value, struct suit_create_image *img,
			struct err *e)
{
	char *file = arena_copy(&c->a, value, strlen(value));
	char *component = file ? strchr(file, '=') : NULL, *uri = NULL;
	char hex[DIGEST_TEXT];

	if (!file)
		return err_set(e, ERR_NO_MEMORY, "--image");
	if (component) {
		*component++ = 0;
		uri = strchr(component, '=');
	}
	if (uri)
		*uri++ = 0;
	if (file_digest(file, &img->digest, &img->size, e) < 0)
		return -1;
	digest_text(hex, &img->digest);
	img->component = component ? component : "firmware";
	img->uri = uri ? uri : ctx_option(c, "uri");
	if (!img->uri)
		img->uri = arena_printf(&c->a, "coap://fettle/image/%s", hex);
	return img->uri ? 0 : err_set(e, ERR_NO_MEMORY, "--image");
}

static int fill_create(struct ctx *c, struct suit_create *s, struct err *e)
{
	const char *value;
	bool has;

	if (ids_of(c, s, e) < 0 || number_option(c, "sequence", &s->sequence, &has, e) < 0)
		return -1;
	if (number_option(c, "use-before", &s->use_before, &s->has_use_before, e) < 0)
		return -1;
	value = ctx_option(c, "priority");
	s->has_priority = value != NULL;
	if (value && text_i64(slice_str(value), &s->priority) < 0)
		return ctx_usage(c, e, "--priority takes an integer, not '%s'", value);
	for (int i = 0; (value = ctx_option_n(c, "image", i)) != NULL; i++) {
		if (s->n_images == SUIT_COMPONENTS_MAX)
			return ctx_usage(c, e, "more than %d images", SUIT_COMPONENTS_MAX);
		if (image_option(c, value, &s->images[s->n_images++], e) < 0)
			return -1;
	}
	s->version = ctx_option(c, "version");
	s->reference_uri = ctx_option(c, "reference-uri");
	s->description = ctx_option(c, "text");
	return 0;
}

/* The envelope into its file, then what scripts want to know of it. */
static int write_signed(struct ctx *c, const struct buf *b, struct err *e)
{
	const char *output = ctx_option(c, "output");
	struct suit_manifest *m = arena_alloc(&c->a, sizeof(*m));
	struct doc *d = doc_map(&c->a, NULL, NULL);

	if (!m || suit_open(buf_slice(b), m, e) < 0 || suit_parse(buf_slice(b), m, e) < 0)
		return m ? -1 : err_set(e, ERR_NO_MEMORY, "manifest");
	if (file_write(output, buf_slice(b), 0644, e) < 0)
		return -1;
	if (strcmp(output, "-") == 0)
		return EXIT_DONE;
	doc_add_text(&c->a, d, "file", output);
	doc_add_int(&c->a, d, "size", (int64_t)b->n);
	doc_add_bytes(&c->a, d, "digest", m->digest);
	doc_add_u64(&c->a, d, "sequence", m->sequence);
	doc_add_int(&c->a, d, "signatures", m->n_signatures);
	return write_object(c, d, e);
}

int cmd_manifest_create(struct ctx *c, struct err *e)
{
	struct suit_create *s = arena_alloc(&c->a, sizeof(*s));
	const char *key = ctx_option(c, "key");
	struct buf out = BUF_INIT(SUIT_ENVELOPE_MAX);
	struct key *k = NULL;
	int code = -1;

	if (!s)
		return err_set(e, ERR_NO_MEMORY, "manifest");
	if (fill_create(c, s, e) == 0 && (!key || load_key(key, &k, e) == 0) &&
	    suit_create(s, k, &out, e) == 0)
		code = write_signed(c, &out, e);
	buf_free(&out);
	key_free(k);
	return code;
}

int cmd_manifest_sign(struct ctx *c, struct err *e)
{
	const char *key = ctx_option(c, "key");
	struct buf in = BUF_INIT(0), out = BUF_INIT(SUIT_ENVELOPE_MAX);
	struct key *k = NULL;
	int code = -1;

	if (file_read(c->args[0], SUIT_ENVELOPE_MAX, &in, e) == 0 && load_key(key, &k, e) == 0 &&
	    suit_sign(buf_slice(&in), k, &out, e) == 0)
		code = write_signed(c, &out, e);
	buf_free(&in);
	buf_free(&out);
	key_free(k);
	return code;
}

/* ---- manifest verify, inspect ---- */

/* The first anchor that verifies a signature; NULL with e when none does. */
static const char *signer(struct ctx *c, const struct suit_manifest *m, enum alg *alg,
			  struct err *e)
{
	const char *anchor;
	struct err last = { 0 };

	for (int i = 0; (anchor = ctx_option_n(c, "anchor", i)) != NULL; i++) {
		struct key *k = NULL;
		int result;

		if (load_key(anchor, &k, e) < 0)
			return NULL;
		result = suit_verify_key(m, k, alg, &last);
		key_free(k);
		if (result == 0)
			return anchor;
	}
	err_set(e, last.code, "%s", last.text);
	return NULL;
}

int cmd_manifest_verify(struct ctx *c, struct err *e)
{
	struct suit_manifest *m = arena_alloc(&c->a, sizeof(*m));
	struct buf in = BUF_INIT(0);
	struct doc *d = doc_map(&c->a, NULL, NULL);
	const char *anchor = NULL;
	enum alg alg = ALG_NONE;
	int code = -1;

	if (!m)
		return err_set(e, ERR_NO_MEMORY, "manifest");
	if (file_read(c->args[0], SUIT_ENVELOPE_MAX, &in, e) == 0 &&
	    suit_open(buf_slice(&in), m, e) == 0)
		anchor = signer(c, m, &alg, e);
	/* A right signature over rules we would refuse is no valid manifest. */
	if (anchor && suit_parse(buf_slice(&in), m, e) != 0) {
		err_prefix(e, "signature %s by %s verifies, the rest does not", alg_name(alg),
			   anchor);
	} else if (anchor) {
		doc_add_bool(&c->a, d, "valid", true);
		doc_add_text(&c->a, d, "anchor", anchor);
		doc_add_text(&c->a, d, "alg", alg_name(alg));
		doc_add_bytes(&c->a, d, "digest", m->digest);
		doc_add_u64(&c->a, d, "sequence", m->sequence);
		code = write_object(c, d, e);
	}
	buf_free(&in);
	return code;
}

static void put_uuid(struct arena *a, struct doc *d, const char *key, const struct uuid *u)
{
	char text[UUID_TEXT];

	uuid_text(text, u);
	doc_add_text(a, d, key, u->set ? text : NULL);
}

static void put_images(struct arena *a, struct doc *d, const struct suit_manifest *m)
{
	struct doc *list = doc_array(a, d, "images");

	for (unsigned i = 0; i < m->n_images; i++) {
		const struct suit_image *image = &m->images[i];
		struct doc *one = doc_map(a, list, NULL);

		doc_add_text(a, one, "component", m->components[image->component].name);
		doc_add_bytes(a, one, "digest", image->digest);
		if (image->has_size)
			doc_add_u64(a, one, "size", image->size);
		else
			doc_add_null(a, one, "size");
		doc_add_text_slice(a, one, "uri", image->uri);
	}
}

static int inspect_json(struct ctx *c, const struct suit_manifest *m, struct err *e)
{
	struct doc *d = doc_map(&c->a, NULL, NULL);

	doc_add_bytes(&c->a, d, "digest", m->digest);
	doc_add_u64(&c->a, d, "sequence", m->sequence);
	doc_add_int(&c->a, d, "signatures", m->n_signatures);
	put_uuid(&c->a, d, "vendor_id", &m->vendor_id);
	put_uuid(&c->a, d, "class_id", &m->class_id);
	doc_add_text_slice(&c->a, d, "vendor", m->text.vendor_domain);
	doc_add_text_slice(&c->a, d, "model", m->text.model_name);
	doc_add_text(&c->a, d, "version", m->has_version ? m->version : NULL);
	if (m->has_priority)
		doc_add_int(&c->a, d, "priority", m->priority);
	else
		doc_add_null(&c->a, d, "priority");
	doc_add_text_slice(&c->a, d, "uri", m->reference_uri);
	put_images(&c->a, d, m);
	return write_object(c, d, e);
}

int cmd_manifest_inspect(struct ctx *c, struct err *e)
{
	struct suit_manifest *m = arena_alloc(&c->a, sizeof(*m));
	struct buf in = BUF_INIT(0), out = BUF_INIT(1u << 20);
	int code = -1;

	if (!m)
		return err_set(e, ERR_NO_MEMORY, "manifest");
	if (file_read(c->args[0], SUIT_ENVELOPE_MAX, &in, e) < 0)
		goto out;
	code = suit_open(buf_slice(&in), m, e) < 0 || suit_parse(buf_slice(&in), m, e) < 0
		       ? -1
		       : EXIT_DONE;
	if (c->json) {
		code = code < 0 ? -1 : inspect_json(c, m, e);
		goto out;
	}
	/* What cannot be parsed whole is still shown as far as it goes. */
	if (suit_print(buf_slice(&in), m, &out, code < 0 ? NULL : e) == 0)
		printf("%s", buf_cstr(&out));
	else
		code = -1;
out:
	buf_free(&in);
	buf_free(&out);
	return code;
}
