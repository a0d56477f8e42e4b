/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DAEMON_CONFIG_INTERNAL_H
#define FETTLE_DAEMON_CONFIG_INTERNAL_H

#include <stddef.h>

#include "daemon/config.h"

/* Between config.c (the file) and config_table.c (the schema): nobody else includes this. */
enum key_type {
	KEY_TYPE_PATH, /* absolute file name */
	KEY_TYPE_FILE, /* absolute file name, a name among systemd's credentials, or nothing */
	KEY_TYPE_USER,
	KEY_TYPE_LEVEL,
	KEY_TYPE_BOOL,
	KEY_TYPE_COUNT,
	KEY_TYPE_SIZE, /* bytes, with K, M, G */
	KEY_TYPE_TIME, /* kept in ms, with s, m, h, d */
	KEY_TYPE_LISTEN, /* list of addresses */
	KEY_TYPE_PREFIX, /* list of address prefixes */
};

struct config_key {
	const char *section, *name;
	enum key_type type;
	size_t offset; /* of the field in struct config */
	const char *preset; /* the default, as one would write it */
	uint64_t min, max; /* COUNT, SIZE, TIME (ms); LISTEN and PREFIX: entries */
	const char *unit;
	const char *doc;
	bool restart; /* SIGHUP does not change it */
};

extern const struct config_key config_keys[];
extern const unsigned config_keys_count;
#define CONFIG_KEYS_MAX 40

bool config_key_is_list(const struct config_key *k);
/* Put value into c; a list gets it appended. The error says what is wrong, not where. */
int config_key_set(const struct config_key *k, struct config *c, const char *value, struct err *e);
void config_key_clear(const struct config_key *k, struct config *c); /* lists: empty */
/* "name = value", lists with one entry a line. */
void config_key_write(const struct config_key *k, const struct config *c, struct buf *b);
/* "16 to 1000000 sessions", "" when there is nothing to say. */
void config_key_range(const struct config_key *k, char *dst, size_t cap);

#endif
