/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/text.h"
#include "codec/cose.h"
#include "codec/suit_internal.h"

/* Texts come from strangers: what could move a terminal's cursor becomes '?'. */
static void put_safe(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_add_u8(b, s.p[i] < 0x20 || s.p[i] == 0x7f ||
					      (s.p[i] == 0xc2 && i + 1 < s.n && s.p[i + 1] < 0xa0)
				      ? '?'
				      : s.p[i]);
}

static void line_text(struct buf *b, const char *label, struct slice s)
{
	if (s.n == 0)
		return;
	buf_printf(b, "%-22s ", label);
	put_safe(b, s);
	buf_add_u8(b, '\n');
}

static void line_str(struct buf *b, const char *label, const char *s)
{
	line_text(b, label, slice_str(s));
}

static void put_hex(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_printf(b, "%02x", s.p[i]);
}

static void line_digest(struct buf *b, const char *label, enum alg alg, struct slice digest)
{
	if (digest.n == 0)
		return;
	buf_printf(b, "%-22s %s ", label, alg_name(alg));
	put_hex(b, digest);
	buf_add_u8(b, '\n');
}

static void line_uuid(struct buf *b, const char *label, const struct uuid *u)
{
	char text[UUID_TEXT];

	if (!u->set)
		return;
	uuid_text(text, u);
	line_str(b, label, text);
}

static void line_time(struct buf *b, const char *label, uint64_t seconds, const char *note)
{
	char text[TEXT_TIME_SIZE] = "";

	if (seconds <= INT64_C(253402300799)) /* the year 9999 */
		text_time(text, (int64_t)seconds * 1000);
	buf_printf(b, "%-22s %llu %s%s\n", label, (unsigned long long)seconds, text, note);
}

static void line_number(struct buf *b, const char *label, int64_t v)
{
	if (v >= 0)
		buf_printf(b, "%-22s %lld\n", label, (long long)v);
}

static void print_signatures(const struct suit_manifest *m, struct buf *b)
{
	struct cose_sign1 c;

	if (m->n_signatures == 0)
		line_str(b, "signature", "none");
	for (size_t i = 0; i < m->n_signatures; i++) {
		struct err why;

		if (cose_sign1_parse(m->signatures[i], &c, &why)) {
			line_str(b, "signature", why.text);
			continue;
		}
		buf_printf(b, "%-22s %s (%d)", "signature", alg_name(c.alg), (int)c.alg);
		if (c.kid.n > 0) {
			buf_add_str(b, ", kid ");
			put_hex(b, c.kid);
		}
		buf_add_u8(b, '\n');
	}
}

static void print_image(const struct suit_manifest *m, const struct suit_image *image,
			struct buf *b)
{
	buf_printf(b, "image                  component %u (%s)", image->component,
		   m->components[image->component].name);
	if (image->has_slot)
		buf_printf(b, ", slot %llu", (unsigned long long)image->slot);
	buf_printf(b, "%s%s\n", image->fetched ? ", fetched" : "",
		   image->encrypted ? ", encrypted" : "");
	line_digest(b, "  digest", image->digest_alg, image->digest);
	if (image->has_size)
		buf_printf(b, "%-22s %llu\n", "  size", (unsigned long long)image->size);
	line_text(b, "  uri", image->uri);
	if (image->content.p)
		buf_printf(b, "%-22s %zu bytes in the manifest\n", "  content", image->content.n);
}

static void print_conditions(const struct suit_manifest *m, struct buf *b)
{
	if (m->has_priority)
		buf_printf(b, "%-22s %lld\n", "update priority", (long long)m->priority);
	if (m->has_use_before)
		line_time(b, "use before", m->use_before,
			  m->use_before_effective ? "" : " (no condition asks for it)");
	if (m->has_not_before)
		line_time(b, "not before", m->not_before, "");
	line_number(b, "time of day, local", m->time_of_day_local);
	line_number(b, "day of week, local", m->day_of_week_local);
	line_number(b, "time of day, UTC", m->time_of_day_utc);
	line_number(b, "day of week, UTC", m->day_of_week_utc);
	if (m->has_battery)
		buf_printf(b, "%-22s %llu mWh\n", "minimum battery",
			   (unsigned long long)m->battery_mwh);
	if (m->needs_authorization)
		line_str(b, "authorization", "asked of the device");
	line_str(b, "installed version", m->version_match);
}

static void print_text(const struct suit_text *t, struct buf *b)
{
	line_text(b, "language", t->language);
	line_text(b, "description", t->description);
	line_text(b, "update description", t->update_description);
	line_text(b, "vendor name", t->vendor_name);
	line_text(b, "model name", t->model_name);
	line_text(b, "vendor domain", t->vendor_domain);
	line_text(b, "model info", t->model_info);
	line_text(b, "component description", t->component_description);
	line_text(b, "component version", t->component_version);
	line_text(b, "version required", t->version_required);
	line_text(b, "current version", t->current_version);
}

int suit_print(struct slice envelope, const struct suit_manifest *m, struct buf *out, struct err *e)
{
	buf_printf(out, "%-22s %zu bytes%s\n", "envelope", envelope.n,
		   m->tagged ? "" : ", untagged");
	line_digest(out, "manifest digest", m->digest_alg, m->digest);
	print_signatures(m, out);
	buf_printf(out, "%-22s %llu\n", "sequence", (unsigned long long)m->sequence);
	line_str(out, "version", m->version);
	line_text(out, "reference uri", m->reference_uri);
	line_uuid(out, "vendor id", &m->vendor_id);
	line_uuid(out, "class id", &m->class_id);
	line_uuid(out, "device id", &m->device_id);
	if (m->vendor_pen.n > 0) {
		buf_printf(out, "%-22s ", "vendor PEN");
		put_hex(out, m->vendor_pen);
		buf_add_u8(out, '\n');
	}
	print_conditions(m, out);
	for (unsigned i = 0; i < m->n_components; i++)
		buf_printf(out, "%-22s %u %s\n", "component", i, m->components[i].name);
	if (m->n_dependencies > 0)
		line_number(out, "dependencies", m->n_dependencies);
	for (unsigned i = 0; i < m->n_images; i++)
		print_image(m, &m->images[i], out);
	for (unsigned i = 0; i < m->n_payloads; i++) {
		buf_printf(out, "%-22s ", "payload");
		put_safe(out, m->payloads[i].name);
		buf_printf(out, " %zu bytes\n", m->payloads[i].bytes.n);
	}
	print_text(&m->text, out);
	if (m->severed)
		line_str(out, "severed members", "present, digests match");
	return out->failed ? buf_blame(out, "text", e) : 0;
}
