/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_ERR_H
#define FETTLE_BASE_ERR_H

/*
 * Errors. A function that can fail returns 0 or -1 and, on -1, has filled the
 * struct err its caller passed (which may be NULL where the caller does not
 * care why). The ranges have a meaning: 1-19 the input is at fault, 20-39 the
 * asker or the state is at fault, 40-59 the service cannot do it now.
 * status_of_err() (message.h) maps each to its HTTP and CoAP status.
 */
enum err_code {
	ERR_NONE = 0,
	ERR_MALFORMED = 1,	/* bytes that do not parse */
	ERR_INVALID = 2,	/* parsed, but a value breaks a rule */
	ERR_TOO_LARGE = 3,	/* over a written-down bound */
	ERR_UNSUPPORTED = 4,	/* well-formed, but a layout or algorithm not spoken here */
	ERR_VERIFY = 5,		/* signature, digest or size does not verify */
	ERR_MEDIA = 6,		/* content format not understood here */
	ERR_NOT_ACCEPTABLE = 7, /* no representation the asker accepts */
	ERR_UNAUTHENTICATED = 20,
	ERR_FORBIDDEN = 21,
	ERR_NOT_FOUND = 22,
	ERR_METHOD = 23,
	ERR_CONFLICT = 24,	/* the state does not allow it */
	ERR_PRECONDITION = 25,	/* If-Match and friends */
	ERR_TOO_MANY = 26,	/* a per-peer or per-kind limit */
	ERR_GONE = 27,
	ERR_BUSY = 40,		/* try again after a while */
	ERR_FULL = 41,		/* no space to store it */
	ERR_IO = 42,
	ERR_NO_MEMORY = 43,
	ERR_INTERNAL = 44,
};

struct err {
	enum err_code code;
	char text[224];		/* one line, names what is wrong and where */
};

/* Fill e (may be NULL) and return -1, so that callers write: return err_set(...). */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "prefix: " before e's text, keep its code, return -1. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A word for the code, fit for problem "type" URIs and logs ("not-found"). */
const char *err_word(enum err_code code);

#endif
