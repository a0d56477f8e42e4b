/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_SUIT_INTERNAL_H
#define FETTLE_CODEC_SUIT_INTERNAL_H

#include "codec/cbor.h"
#include "codec/suit.h"

#define SUIT_TAG_ENVELOPE 107
#define SUIT_TAG_PEN 112

/* Members of envelope, manifest and common (draft-ietf-suit-manifest-37 section 11). */
enum {
	ENVELOPE_AUTH = 2,
	ENVELOPE_MANIFEST = 3,

	MANIFEST_VERSION = 1,
	MANIFEST_SEQUENCE = 2,
	MANIFEST_COMMON = 3,
	MANIFEST_REFERENCE_URI = 4,
	MANIFEST_COMPONENT_ID = 5,
	MANIFEST_SET_VERSION = 6,
	MANIFEST_VALIDATE = 7,
	MANIFEST_LOAD = 8,
	MANIFEST_INVOKE = 9,
	MANIFEST_COSWID = 14,
	MANIFEST_DEPENDENCY_RESOLUTION = 15,
	MANIFEST_PAYLOAD_FETCH = 16,
	MANIFEST_INSTALL_17 = 17,	/* what install was in -17 to -28 */
	MANIFEST_CANDIDATE_VERIFICATION = 18,
	MANIFEST_INSTALL = 20,
	MANIFEST_TEXT = 23,
	MANIFEST_UNINSTALL = 24,
	MANIFEST_MEMBERS = 25,

	COMMON_DEPENDENCIES = 1,
	COMMON_COMPONENTS = 2,
	COMMON_SHARED = 4,
};

enum {
	PARAM_VENDOR = 1, PARAM_CLASS = 2, PARAM_DIGEST = 3, PARAM_USE_BEFORE = 4,
	PARAM_SLOT = 5, PARAM_STRICT_ORDER = 12, PARAM_SOFT_FAILURE = 13, PARAM_SIZE = 14,
	PARAM_CONTENT = 18, PARAM_ENCRYPTION = 19, PARAM_URI = 21, PARAM_SOURCE = 22,
	PARAM_INVOKE_ARGS = 23, PARAM_DEVICE = 24, PARAM_FETCH_ARGS = 25, PARAM_BATTERY = 26,
	PARAM_PRIORITY = 27, PARAM_VERSION = 28, PARAM_WAIT = 29, PARAM_METADATA = 30,
};

enum {
	COMMAND_VENDOR = 1, COMMAND_CLASS = 2, COMMAND_IMAGE_MATCH = 3, COMMAND_USE_BEFORE = 4,
	COMMAND_SLOT = 5, COMMAND_CHECK_CONTENT = 6, COMMAND_DEPENDENCY_INTEGRITY = 7,
	COMMAND_IS_DEPENDENCY = 8, COMMAND_PROCESS_DEPENDENCY = 11, COMMAND_SET_INDEX = 12,
	COMMAND_ABORT = 14, COMMAND_TRY_EACH = 15, COMMAND_WRITE = 18, COMMAND_SET_PARAMS = 19,
	COMMAND_OVERRIDE = 20, COMMAND_FETCH = 21, COMMAND_COPY = 22, COMMAND_INVOKE = 23,
	COMMAND_DEVICE = 24, COMMAND_IMAGE_NOT_MATCH = 25, COMMAND_BATTERY = 26,
	COMMAND_AUTHORIZED = 27, COMMAND_VERSION = 28, COMMAND_WAIT = 29, COMMAND_SWAP = 31,
	COMMAND_RUN_SEQUENCE = 32, COMMAND_UNLINK = 33, COMMAND_OVERRIDE_MULTIPLE = 34,
	COMMAND_COPY_PARAMS = 35,
};

/* A member as it stands: raw with its head; content when it is a byte string. */
struct suit_member {
	bool present;
	struct slice raw, content;
};

/* Members by number, of an envelope or of a manifest. */
struct suit_members {
	struct suit_member m[MANIFEST_MEMBERS];
};

/* suit_envelope.c: the outer map; payloads go into m, and m->tagged. */
int suit_envelope_read(struct slice envelope, struct suit_manifest *m, struct suit_members *members,
		       struct err *e);
/* SUIT_Digest from inside a byte string. Algorithms of old layouts are ERR_UNSUPPORTED. */
int suit_digest_read(struct slice bytes, enum alg *alg, struct slice *digest, struct err *e);
/* Does data have that digest? ERR_VERIFY names what. */
int suit_digest_check(enum alg alg, struct slice digest, struct slice data, const char *what,
		      struct err *e);

/* suit_params.c: parameters of one component, and what they say about the whole update. */
struct suit_params {
	uint32_t set;		/* bit of every parameter number that has a value */
	enum alg digest_alg;
	struct slice digest;
	uint64_t slot, size, source;
	struct slice content, uri;
	char version[64];	/* parameter 28, printable */
};
#define PARAM_BIT(number) (UINT32_C(1) << (number))

/* Read a map of parameters at c into p; facts of the whole update go into m. */
void suit_params_read(struct cbor_reader *c, struct suit_manifest *m, struct suit_params *p);
/* Copy the parameters in mask that src has. */
void suit_params_copy(struct suit_params *dst, const struct suit_params *src, uint32_t mask);
/* [+int] at c as dotted text (update-management: -1 rc, -2 beta, -3 alpha). */
void suit_version_read(struct cbor_reader *c, char *dst, size_t cap);

/* suit_machine.c: run shared, then every section of man; images go into m. */
int suit_machine_run(struct suit_manifest *m, struct slice shared, const struct suit_members *man,
		     struct err *e);
/* suit_text.c: SUIT_Text_Map from inside its byte string. */
int suit_text_read(struct slice bytes, struct suit_manifest *m, struct err *e);

#endif
