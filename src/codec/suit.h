/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_SUIT_H
#define FETTLE_CODEC_SUIT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/slice.h"
#include "codec/crypto.h"

/*
 * SUIT envelopes of the draft-ietf-suit-manifest-37 layout. Pure: bytes in,
 * values out. Every slice points into the caller's bytes.
 */
#define SUIT_ENVELOPE_MAX 65536
#define SUIT_COMPONENTS_MAX 16
#define SUIT_ALTERNATIVES_MAX 32	/* images over all components and try-each branches */
#define SUIT_DEPTH_MAX 8		/* nested sequences */
#define SUIT_COMMANDS_MAX 512
#define SUIT_SIGNATURES_MAX 8
#define SUIT_ENTRIES_MAX 64		/* integrated payloads and text lines */

struct suit_component {
	struct slice id;	/* the CBOR array as sent: [* bstr] */
	char name[64];		/* printable: segments joined by '/', non-text in hex */
};

/* One image a component may get: A/B alternatives are several of these. */
struct suit_image {
	uint8_t component;	/* index */
	enum alg digest_alg;
	struct slice digest;	/* bytes */
	bool has_size;
	uint64_t size;
	struct slice uri;	/* text, "" when none */
	bool has_slot;
	uint64_t slot;
	struct slice content;	/* parameter 18 */
	bool encrypted;		/* parameter 19 present on the component */
	bool fetched;		/* a fetch directive names it */
};

struct suit_payload {		/* integrated: "#name" => bytes */
	struct slice name, bytes;
};

struct suit_text {		/* first language only */
	struct slice language;
	struct slice description, update_description;
	struct slice vendor_name, model_name, vendor_domain, model_info;
	struct slice component_description, component_version;
	struct slice version_required, current_version;
};

struct suit_manifest {
	bool tagged;
	/* authentication */
	enum alg digest_alg;
	struct slice digest;	/* of the manifest with its bstr header: the manifest's identity */
	struct slice signatures[SUIT_SIGNATURES_MAX];	/* COSE_Sign1_Tagged bytes */
	uint8_t n_signatures;
	struct slice digest_bytes;	/* SUIT_Digest as serialised: the detached payload */
	/* manifest */
	uint64_t sequence;
	struct slice reference_uri;
	struct suit_component components[SUIT_COMPONENTS_MAX];
	uint8_t n_components;
	uint8_t n_dependencies; /* not followed: suit_parse() refuses the manifest */
	struct suit_image images[SUIT_ALTERNATIVES_MAX];
	uint8_t n_images;
	struct uuid vendor_id, class_id, device_id;
	struct slice vendor_pen;	/* tag 112 form, else empty */
	struct suit_payload payloads[SUIT_ENTRIES_MAX];
	uint8_t n_payloads;
	struct suit_text text;
	bool has_version;		/* set-version (6) */
	char version[64];		/* dotted, "-rc.1" forms as update-management says */
	bool has_priority;
	int64_t priority;		/* minimum over parameter 27 and wait event 1 */
	bool has_use_before, use_before_effective;
	uint64_t use_before;		/* epoch seconds, exclusive */
	bool has_not_before;
	uint64_t not_before;		/* wait event 5 */
	int64_t time_of_day_local, day_of_week_local;	/* seconds, 0 Sunday; -1: none */
	int64_t time_of_day_utc, day_of_week_utc;
	bool has_battery;
	uint64_t battery_mwh;
	bool needs_authorization;	/* command 27 */
	char version_match[64];		/* condition version, printable: ">= 1.2", "" when none */
	bool severed;			/* an envelope member stands in for a digest */
};

/*
 * Take the envelope apart far enough to authenticate it (wrapper, digest,
 * signatures), check the manifest digest, but look at nothing inside the
 * manifest. ERR_MALFORMED, ERR_UNSUPPORTED (names the layout), ERR_VERIFY.
 */
int suit_open(struct slice envelope, struct suit_manifest *m, struct err *e);
/* Verify one of the signatures by one key; 0 and *alg_used, or ERR_VERIFY/ERR_UNSUPPORTED. */
int suit_verify_key(const struct suit_manifest *m, const struct key *k, enum alg *alg_used,
		    struct err *e);
/*
 * Read the manifest inside, check severed members and integrated payloads
 * against their digests, run the abstract machine (reference: manifest-37,
 * update-management). Call only after a signature verified, or to inspect.
 */
int suit_parse(struct slice envelope, struct suit_manifest *m, struct err *e);
/* Everything in it for people, as text lines; no control characters pass. */
int suit_print(struct slice envelope, const struct suit_manifest *m, struct buf *out,
	       struct err *e);

/* Making one: an author's side, used by fettle manifest create. */
struct suit_create_image {
	const char *component;		/* "a/b" segments */
	struct digest digest;
	uint64_t size;
	const char *uri;
};
struct suit_create {
	uint64_t sequence;
	struct uuid vendor_id, class_id;
	struct suit_create_image images[SUIT_COMPONENTS_MAX];
	uint8_t n_images;
	const char *version;		/* "1.2.3", NULL none */
	bool has_priority;
	int64_t priority;
	const char *reference_uri;	/* NULL none */
	const char *vendor_domain, *model_name, *description;	/* text, NULL none */
	bool has_use_before;
	uint64_t use_before;
};
/* An envelope without signature, or with one by k (the fully-specified algorithm of its kind). */
int suit_create(const struct suit_create *c, const struct key *k, struct buf *out, struct err *e);
/* Add one more signature to an envelope. */
int suit_sign(struct slice envelope, const struct key *k, struct buf *out, struct err *e);

/* uuid5(DNS, domain), uuid5(vendor, model): draft-ietf-suit-manifest section 8.4.8. */
int suit_vendor_uuid(const char *domain, struct uuid *out);
int suit_class_uuid(const struct uuid *vendor, const char *model, struct uuid *out);

/*
 * SUIT Report (draft-ietf-suit-report): unprotected or COSE_Sign1/Mac0 whose
 * signature is not checked here (the channel is authenticated).
 */
struct suit_report {
	struct slice manifest_digest;	/* empty when the report names none */
	bool success;			/* result true and no failed condition in the records */
	bool pending;			/* reason 12, invoke-pending */
	int64_t code, reason;
	struct slice nonce;
};
int suit_report_parse(struct slice bytes, struct suit_report *r, struct err *e);

#endif
