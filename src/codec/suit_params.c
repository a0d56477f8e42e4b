/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "base/text.h"
#include "codec/suit_internal.h"

static void lower_priority(struct suit_manifest *m, int64_t v)
{
	if (!m->has_priority || v < m->priority)
		m->priority = v;
	m->has_priority = true;
}

static void read_uuid(struct cbor_reader *c, struct uuid *out)
{
	struct slice s = cbor_take_bytes(c);

	if (c->failed)
		return;
	if (s.n != UUID_SIZE) {
		cbor_fail(c, ERR_INVALID, "identifier of %zu bytes is no UUID", s.n);
		return;
	}
	if (out->set)
		return; /* the first one stands for the manifest */
	memcpy(out->b, s.p, UUID_SIZE);
	out->set = true;
}

static void read_vendor(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)p;
	if (cbor_peek(c) != CBOR_TAG) {
		read_uuid(c, &m->vendor_id);
		return;
	}
	if (cbor_take_tag(c) != SUIT_TAG_PEN)
		cbor_fail(c, ERR_INVALID, "vendor id is neither a UUID nor an enterprise number");
	struct slice pen = cbor_take_bytes(c);
	if (m->vendor_pen.n == 0)
		m->vendor_pen = pen;
}

static void read_class(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)p;
	read_uuid(c, &m->class_id);
}

static void read_device(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)p;
	read_uuid(c, &m->device_id);
}

static void read_digest(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	struct slice bytes = cbor_take_bytes(c);
	struct err why;

	(void)m;
	if (!c->failed && suit_digest_read(bytes, &p->digest_alg, &p->digest, &why))
		cbor_fail(c, why.code, "image digest: %.120s", why.text);
}

static void read_use_before(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	uint64_t v = cbor_take_uint(c);

	(void)p;
	if (!m->has_use_before || v < m->use_before)
		m->use_before = v;
	m->has_use_before = true;
}

static void read_slot(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)m;
	p->slot = cbor_take_uint(c);
}

static void read_bool(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)m;
	(void)p;
	cbor_take_bool(c);
}

static void read_size(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)m;
	p->size = cbor_take_uint(c);
}

static void read_content(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)m;
	p->content = cbor_take_bytes(c);
}

static void read_bytes(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	(void)m;
	(void)p;
	cbor_take_bytes(c);
}

static bool is_alpha(uint8_t ch)
{
	return (ch | 0x20) >= 'a' && (ch | 0x20) <= 'z';
}

/* RFC 3986 section 3.1: a scheme, then ':' and something. */
static bool is_absolute(struct slice uri)
{
	size_t i = 0;

	if (uri.n == 0 || !is_alpha(uri.p[0]))
		return false;
	while (i < uri.n && (is_alpha(uri.p[i]) || (uri.p[i] >= '0' && uri.p[i] <= '9') ||
			     uri.p[i] == '+' || uri.p[i] == '-' || uri.p[i] == '.'))
		i++;
	return i + 1 < uri.n && uri.p[i] == ':';
}

static bool has_payload(const struct suit_manifest *m, struct slice name)
{
	for (size_t i = 0; i < m->n_payloads; i++)
		if (slice_eq(m->payloads[i].name, name))
			return true;
	return false;
}

static void read_uri(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	p->uri = cbor_take_text(c);
	if (c->failed)
		return;
	for (size_t i = 0; i < p->uri.n; i++)
		if (p->uri.p[i] <= 0x20 || p->uri.p[i] == 0x7f)
			cbor_fail(c, ERR_INVALID, "URI with spaces or control characters");
	if (slice_starts(p->uri, "#") ? !has_payload(m, p->uri) : !is_absolute(p->uri))
		cbor_fail(c, ERR_INVALID, "URI '%.*s' is neither absolute nor a payload inside",
			  (int)(p->uri.n < 60 ? p->uri.n : 60), (const char *)p->uri.p);
}

static void read_source(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	p->source = cbor_take_uint(c);
	if (!c->failed && p->source >= m->n_components)
		cbor_fail(c, ERR_INVALID, "source component %llu out of range",
			  (unsigned long long)p->source);
}

static void read_battery(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	uint64_t v = cbor_take_uint(c);

	(void)p;
	if (!m->has_battery || v > m->battery_mwh)
		m->battery_mwh = v;
	m->has_battery = true;
}

static void read_priority(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	int64_t v = cbor_take_int(c);

	(void)p;
	if (!c->failed)
		lower_priority(m, v);
}

/* [op, [+int]] */
static void read_match(struct cbor_reader *c, char *dst, size_t cap)
{
	static const char *const ops[] = { "", ">", ">=", "=", "<=", "<" };
	char version[48];
	uint64_t op;

	if (cbor_take_array(c) != 2)
		cbor_fail(c, ERR_MALFORMED, "version match is not an array of 2");
	op = cbor_take_uint(c);
	if (!c->failed && (op < 1 || op > 5))
		cbor_fail(c, ERR_UNSUPPORTED, "version comparison %llu", (unsigned long long)op);
	suit_version_read(c, version, sizeof(version));
	if (!c->failed && text_format(dst, cap, "%s %s", ops[op], version))
		cbor_fail(c, ERR_TOO_LARGE, "version too long");
}

static void read_version(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	struct slice bytes = cbor_take_bytes(c);
	struct cbor_reader inner;
	struct err why;

	(void)m;
	if (c->failed)
		return;
	cbor_begin(&inner, bytes, &why);
	read_match(&inner, p->version, sizeof(p->version));
	if (cbor_end(&inner))
		cbor_fail(c, why.code, "version condition: %.120s", why.text);
}

/* Several windows need a try-each around several waits: the first one read is what is kept. */
static void read_clock(struct cbor_reader *c, uint64_t bound, int64_t *out)
{
	uint64_t v = cbor_take_uint(c);

	if (!c->failed && v >= bound)
		cbor_fail(c, ERR_INVALID, "wait event value %llu out of range",
			  (unsigned long long)v);
	else if (!c->failed && *out < 0)
		*out = (int64_t)v;
}

static void read_other_device(struct cbor_reader *c)
{
	char version[64];
	uint64_t n;

	if (cbor_take_array(c) != 2)
		cbor_fail(c, ERR_MALFORMED, "other device version is not an array of 2");
	cbor_take_bytes(c);
	n = cbor_take_array(c);
	for (uint64_t i = 0; i < n && !c->failed; i++)
		read_match(c, version, sizeof(version));
}

static void read_wait_event(struct cbor_reader *c, int64_t event, struct suit_manifest *m)
{
	uint64_t time;

	switch (event) {
	case 1:
		read_priority(c, m, NULL);
		break;
	case 2: /* power and network: their values are not defined yet */
	case 3:
		cbor_take_int(c);
		break;
	case 4:
		read_other_device(c);
		break;
	case 5:
		time = cbor_take_uint(c);
		if (!m->has_not_before || time > m->not_before)
			m->not_before = time;
		m->has_not_before = true;
		break;
	case 6:
		read_clock(c, 86400, &m->time_of_day_local);
		break;
	case 7:
		read_clock(c, 7, &m->day_of_week_local);
		break;
	case 8:
		read_clock(c, 86400, &m->time_of_day_utc);
		break;
	case 9:
		read_clock(c, 7, &m->day_of_week_utc);
		break;
	default:
		cbor_fail(c, ERR_UNSUPPORTED, "wait event %lld", (long long)event);
	}
}

static void read_wait(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	struct slice bytes = cbor_take_bytes(c);
	struct cbor_keys seen = { .n = 0 };
	struct cbor_reader inner;
	struct err why;
	uint64_t n;

	(void)p;
	if (c->failed)
		return;
	cbor_begin(&inner, bytes, &why);
	n = cbor_take_map(&inner);
	for (uint64_t i = 0; i < n && !inner.failed; i++)
		read_wait_event(&inner, cbor_take_label(&inner, &seen), m);
	if (cbor_end(&inner))
		cbor_fail(c, why.code, "wait information: %.120s", why.text);
}

static const struct {
	uint8_t number;
	void (*read)(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p);
} params[] = {
	{ PARAM_VENDOR, read_vendor },	   { PARAM_CLASS, read_class },
	{ PARAM_DIGEST, read_digest },	   { PARAM_USE_BEFORE, read_use_before },
	{ PARAM_SLOT, read_slot },	   { PARAM_STRICT_ORDER, read_bool },
	{ PARAM_SOFT_FAILURE, read_bool }, { PARAM_SIZE, read_size },
	{ PARAM_CONTENT, read_content },   { PARAM_ENCRYPTION, read_bytes },
	{ PARAM_URI, read_uri },	   { PARAM_SOURCE, read_source },
	{ PARAM_INVOKE_ARGS, read_bytes }, { PARAM_DEVICE, read_device },
	{ PARAM_FETCH_ARGS, read_bytes },  { PARAM_BATTERY, read_battery },
	{ PARAM_PRIORITY, read_priority }, { PARAM_VERSION, read_version },
	{ PARAM_WAIT, read_wait },	   { PARAM_METADATA, read_bytes },
};

static void read_one(struct cbor_reader *c, int64_t number, struct suit_manifest *m,
		     struct suit_params *p)
{
	if (number < 0) {
		cbor_take_raw(c); /* the vendor's own */
		return;
	}
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		if (params[i].number == number) {
			params[i].read(c, m, p);
			p->set |= PARAM_BIT(params[i].number);
			return;
		}
	}
	cbor_fail(c, ERR_UNSUPPORTED, "parameter %lld", (long long)number);
}

void suit_params_read(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p)
{
	struct cbor_keys seen = { .n = 0 };
	uint64_t n = cbor_take_map(c);

	*p = (struct suit_params){ 0 };
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		int64_t number = cbor_take_label(c, &seen);

		if (!c->failed)
			read_one(c, number, m, p);
	}
}

void suit_params_copy(struct suit_params *dst, const struct suit_params *src, uint32_t mask)
{
	mask &= src->set;
	dst->set |= mask;
	if (mask & PARAM_BIT(PARAM_DIGEST)) {
		dst->digest_alg = src->digest_alg;
		dst->digest = src->digest;
	}
	if (mask & PARAM_BIT(PARAM_SLOT))
		dst->slot = src->slot;
	if (mask & PARAM_BIT(PARAM_SIZE))
		dst->size = src->size;
	if (mask & PARAM_BIT(PARAM_SOURCE))
		dst->source = src->source;
	if (mask & PARAM_BIT(PARAM_CONTENT))
		dst->content = src->content;
	if (mask & PARAM_BIT(PARAM_URI))
		dst->uri = src->uri;
	if (mask & PARAM_BIT(PARAM_VERSION))
		memcpy(dst->version, src->version, sizeof(dst->version));
}

static int append_part(char *dst, size_t cap, size_t *used, int64_t part, bool first)
{
	static const char *const words[] = { "rc", "beta", "alpha" };
	int rc;

	if (part < 0 && (first || part < -3))
		return -1;
	if (part < 0)
		rc = text_format(dst + *used, cap - *used, "-%s", words[-1 - part]);
	else
		rc = text_format(dst + *used, cap - *used, "%s%lld", first ? "" : ".",
				 (long long)part);
	*used += strlen(dst + *used);
	return rc;
}

void suit_version_read(struct cbor_reader *c, char *dst, size_t cap)
{
	uint64_t n = cbor_take_array(c);
	size_t used = 0;

	dst[0] = '\0';
	if (!c->failed && n == 0)
		cbor_fail(c, ERR_INVALID, "empty version");
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		int64_t part = cbor_take_int(c);

		if (!c->failed && append_part(dst, cap, &used, part, i == 0))
			cbor_fail(c, ERR_INVALID, "version too long or out of range");
	}
}
