/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_CONFIG_H
#define FETTLE_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/slice.h"
#include "daemon/coap.h"
#include "daemon/http.h"

/*
 * The configuration: one schema table (config_table.c) from which parsing,
 * defaults, ranges, `fettled -T` and the manual follow. A struct config is a
 * plain value and may be copied; secrets are kept apart in struct secrets.
 */
#define CONFIG_TEXT 256
#define CONFIG_SIZE_MAX (256u << 10) /* of the file */
#define CONFIG_LINE_MAX 196 /* bytes; lists go on in indented lines */

struct listen_list {
	struct listen_addr v[COAP_LISTEN_MAX];
	unsigned n;
};

struct prefix_list {
	struct ip_prefix v[COAP_TRUSTED_MAX];
	unsigned n;
};

struct config {
	struct {
		char data_dir[CONFIG_TEXT];
		uint64_t cache_size; /* bytes */
		char user[33];
		enum log_level log_level;
	} server;
	struct {
		struct listen_list listen, listen_dtls;
		bool insecure;
		struct prefix_list trusted;
		uint64_t envelope_format;
	} coap;
	struct {
		struct listen_list listen, listen_tls;
		bool insecure;
		char certificate[CONFIG_TEXT], key[CONFIG_TEXT]; /* file names */
	} http;
	struct {
		char socket[CONFIG_TEXT];
	} control;
	struct {
		uint64_t sessions, control_sessions, dtls_sessions, handshakes;
		uint64_t grants, objects;
		uint64_t http_connections, http_per_address, http_idle_ms, http_min_rate;
		uint64_t image_max, upload_quota;
		uint64_t key_rate;
	} limits;
};

/* What the files named by the configuration hold, and what the parent drew itself. Never logged. */
#define SECRET_PEM_MAX 65536
struct secrets {
	char *certificate_pem, *key_pem; /* "" when none; NUL-ended, owned */
	uint8_t echo_secret[32]; /* kept over restarts of a front */
};

void config_defaults(struct config *c);
/* text is a whole file; name stands before the line number in errors ("file:12: ..."). */
int config_parse(struct slice text, const char *name, struct config *out, struct err *e);
int config_load(const char *path, struct config *out, struct err *e); /* read and parse */
/* All keys with their values as a file that parses to the same struct. */
void config_write(const struct config *c, struct buf *b);
/* The commented file with every default, its range and unit: etc/fettled.conf is this. */
void config_write_example(struct buf *b);

/* The first key that differs and cannot change without a restart; NULL: none. */
const char *config_needs_restart(const struct config *a, const struct config *b);
/* Do a and b agree on what the fronts only learn by being replaced (listeners, limits ...)? */
bool config_same_front(const struct config *a, const struct config *b);

/* Read the files. A private key's file must not be readable by group or others. */
int secrets_load(const struct config *c, struct secrets *out, struct err *e);
/* Certificate and key, where there are any, can be read and are a pair: 0, or -1. */
int secrets_check(const struct config *c, const struct secrets *s, struct err *e);
bool secrets_same(const struct secrets *a, const struct secrets *b);
void secrets_wipe(struct secrets *s);

/*
 * The sealed memfd that carries both to the children: u32 length, the text of config_write(),
 * then the secrets as u32-counted blobs. -1 on failure, e says why.
 */
int config_seal(const struct config *c, const struct secrets *s, struct err *e);
int config_unseal(int fd, struct config *c, struct secrets *s, struct err *e);

/* "127.0.0.1:5683", "[::1]:5683", "*:5684" (every address, of IPv6 too where there is one). */
int listen_addr_parse(struct slice s, struct listen_addr *out, struct err *e);
/* Make "*" concrete: [::], which takes IPv4 too, or 0.0.0.0 on a machine without IPv6. */
void config_settle(struct config *c);
bool listen_addr_is_loopback(const struct listen_addr *a);
/* "127.0.0.0/8", "2001:db8::/32", or one address. */
int ip_prefix_parse(struct slice s, struct ip_prefix *out, struct err *e);

#endif
