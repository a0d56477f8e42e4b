/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "tracker/internal.h"

/* One segment of a well-known path: printable, and no slash that would make two. */
static bool path_segment(struct slice s)
{
	if (s.n == 0 || s.n > NAME_MAX_LEN || slice_eq_str(s, ".") || slice_eq_str(s, ".."))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] == 0x7f || s.p[i] == '/')
			return false;
	return text_is_utf8(s);
}

/*
 * The text is signed, but by an author of one vendor: the domain it names is
 * believed only when it is the one the vendor id was made from, or it could
 * take another vendor's well-known path.
 */
static void derive_names(const struct suit_manifest *s, struct manifest *m)
{
	char domain[NAME_TEXT];
	struct uuid id;

	if (path_segment(s->text.vendor_domain) &&
	    text_copy_slice(domain, sizeof(domain), s->text.vendor_domain) == 0 &&
	    suit_vendor_uuid(domain, &id) == 0 && memcmp(id.b, m->vendor_id.b, UUID_SIZE) == 0)
		text_copy(m->manufacturer, sizeof(m->manufacturer), domain);
	else
		uuid_text(m->manufacturer, &m->vendor_id);
	if (path_segment(s->text.model_name))
		text_copy_slice(m->model, sizeof(m->model), s->text.model_name);
	else if (m->class_id.set)
		uuid_text(m->model, &m->class_id);
}

static int64_t epoch_ms(bool has, uint64_t seconds)
{
	if (!has)
		return 0;
	return seconds > (uint64_t)INT64_MAX / 1000 ? INT64_MAX : (int64_t)seconds * 1000;
}

static void copy_text(char *dst, size_t cap, struct slice s)
{
	cause_format(dst, cap, "%.*s", (int)(s.n > 1024 ? 1024 : s.n),
		     s.n ? (const char *)s.p : "");
}

static void derive_version(const struct suit_manifest *s, struct manifest *m)
{
	if (s->has_version)
		text_copy(m->version, sizeof(m->version), s->version);
	else if (s->text.component_version.n > 0)
		copy_text(m->version, sizeof(m->version), s->text.component_version);
	else
		text_format(m->version, sizeof(m->version), "%llu",
			    (unsigned long long)s->sequence);
}

int derive_manifest(struct tracker *tk, struct slice bytes, const struct suit_manifest *s,
		    const struct verified *v, struct manifest *m, struct err *e)
{
	*m = (struct manifest){
		.size = (uint32_t)bytes.n,
		.vendor_id = s->vendor_id,
		.class_id = s->class_id,
		.sequence = s->sequence,
		.has_priority = s->has_priority,
		.priority = s->priority,
		.use_before = epoch_ms(s->has_use_before, s->use_before),
		.not_before = epoch_ms(s->has_not_before, s->not_before),
		.anchor = v->anchor.id,
		.verified = tk->now.wall,
		.created = tk->now.wall,
		.format = "suit",
	};
	if (sha256_once(bytes, &m->digest) < 0)
		return err_set(e, ERR_INTERNAL, "the digest could not be computed");
	/* the manifest's own digest is its identity; of another length it cannot be a key here */
	m->identity = m->digest;
	if (s->digest_alg == ALG_SHA256 && s->digest.n == DIGEST_SIZE)
		memcpy(m->identity.b, s->digest.p, DIGEST_SIZE);
	derive_names(s, m);
	derive_version(s, m);
	if (text_copy_slice(m->uri, sizeof(m->uri), s->reference_uri) < 0)
		return err_set(e, ERR_TOO_LARGE, "its reference URI is longer than %d bytes",
			       URI_TEXT - 1);
	copy_text(m->text, sizeof(m->text),
		  s->text.update_description.n > 0 ? s->text.update_description
						   : s->text.description);
	text_copy(m->alg, sizeof(m->alg), alg_name(v->alg));
	cause_copy(m->by, sizeof(m->by), tk->who);
	return 0;
}

static int derive_image(const struct suit_manifest *s, const struct suit_image *from,
			const struct policy *p, struct manifest_image *out, struct err *e)
{
	const char *name = s->components[from->component].name;

	if (from->digest_alg != ALG_SHA256 || from->digest.n != DIGEST_SIZE)
		return err_set(e, ERR_UNSUPPORTED,
			       "component %s: image digests other than SHA-256 are "
			       "not supported",
			       name);
	if (from->encrypted)
		return err_set(e, ERR_UNSUPPORTED,
			       "component %s: encrypted images are not supported", name);
	*out = (struct manifest_image){ .component = from->component,
					.has_size = from->has_size,
					.size = from->size };
	memcpy(out->digest.b, from->digest.p, DIGEST_SIZE);
	cause_copy(out->name, sizeof(out->name), name);
	if (text_copy_slice(out->uri, sizeof(out->uri), from->uri) < 0)
		return err_set(e, ERR_TOO_LARGE,
			       "component %s: the image's URI is longer than %d bytes", name,
			       URI_TEXT - 1);
	out->integrated = out->uri[0] == '#';
	out->external = p->allow_external && strstr(out->uri, "://") != NULL;
	return 0;
}

static bool listed(const struct manifest_image *images, int n, const struct manifest_image *x)
{
	for (int i = 0; i < n; i++)
		if (images[i].component == x->component &&
		    digest_eq(&images[i].digest, &x->digest) && strcmp(images[i].uri, x->uri) == 0)
			return true;
	return false;
}

int derive_images(const struct suit_manifest *s, const struct policy *p,
		  struct manifest_image *images, int limit, int *n, struct err *e)
{
	struct manifest_image one;

	*n = 0;
	for (unsigned i = 0; i < s->n_images; i++) {
		if (s->images[i].digest.n == 0) /* a condition on what is there: nothing to fetch */
			continue;
		if (derive_image(s, &s->images[i], p, &one, e) < 0)
			return -1;
		if (listed(images, *n, &one))
			continue;
		if (*n == limit)
			return err_set(e, ERR_TOO_LARGE, "more than %d images", limit);
		images[(*n)++] = one;
	}
	if (*n == 0)
		return err_set(e, ERR_INVALID, "it names no image");
	return 0;
}

/* ---- routes ---- */

/* The API's own; what lies under them never becomes a route to an image. */
static const char *const reserved[] = {
	"api",	       "device",     "d",	"image",  "manifest", "fettle",
	".well-known", ".wellknown", "healthz", "readyz", "metrics",
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next byte of a path, percent-decoded; -1 for what cannot stand in one. */
static int path_byte(const char **p)
{
	const char *s = *p;

	if (*s != '%') {
		*p += 1;
		return (unsigned char)*s > 0x20 && *s != 0x7f ? (unsigned char)*s : -1;
	}
	int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
	if (low < 0)
		return -1;
	*p += 3;
	int c = high * 16 + low;
	return c < 0x20 || c == 0x7f || c == '/' ? -1 : c;
}

/* One segment into dst; its length, or -1. *p ends on '/', '?', '#' or the end. */
static int take_segment(const char **p, char *dst, size_t cap)
{
	size_t n = 0;

	while (**p != '\0' && **p != '/' && **p != '?' && **p != '#') {
		int c = path_byte(p);
		if (c < 0 || n + 1 >= cap)
			return -1;
		dst[n++] = (char)c;
	}
	dst[n] = '\0';
	return (int)n;
}

static bool is_reserved(const char *segment)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(segment, reserved[i]) == 0)
			return true;
	return false;
}

/* Behind "scheme://authority", or NULL: only absolute URIs are routes of their own. */
static const char *path_of(const char *uri)
{
	const char *p = strstr(uri, "://");

	if (!p)
		return NULL;
	for (const char *s = uri; s < p; s++)
		if (strchr("/?#", *s))
			return NULL;
	p += 3;
	p += strcspn(p, "/?#");
	return *p == '/' ? p : NULL;
}

bool route_is_own(const char *uri, const struct digest *image)
{
	static const char under[] = "/image/";
	const char *p = path_of(uri);
	char hex[DIGEST_TEXT];

	digest_text(hex, image);
	return p && strncmp(p, under, sizeof(under) - 1) == 0 &&
	       strcmp(p + sizeof(under) - 1, hex) == 0;
}

int route_path(const char *uri, char dst[URI_TEXT])
{
	const char *p = path_of(uri);
	size_t n = 0;

	dst[0] = '\0';
	while (p && *p == '/') {
		p++;
		char *segment = dst + n + 1;
		int got = n + 2 >= URI_TEXT ? -1 : take_segment(&p, segment, URI_TEXT - n - 1);
		/* an empty or dotted segment never reaches the route table as it stands */
		if (got <= 0 || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 ||
		    (n == 0 && is_reserved(segment))) {
			dst[0] = '\0';
			return 0;
		}
		dst[n] = '/';
		n += (size_t)got + 1;
	}
	return n > 0 && text_is_utf8(slice_of(dst, n)) ? 1 : 0;
}
