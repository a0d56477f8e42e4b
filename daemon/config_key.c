/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "daemon/config_internal.h"

static void *field(const struct config_key *k, struct config *c)
{
	return (char *)c + k->offset;
}

static const void *field_const(const struct config_key *k, const struct config *c)
{
	return (const char *)c + k->offset;
}

/* ---- reading, one function a type ---- */

static int set_path(const struct config_key *k, struct config *c, const char *value, struct err *e)
{
	if (value[0] != '/')
		return err_set(e, ERR_INVALID, "must be an absolute file name");
	if (text_copy(field(k, c), CONFIG_TEXT, value) != 0)
		return err_set(e, ERR_TOO_LARGE, "is longer than %d bytes", CONFIG_TEXT - 1);
	return 0;
}

static int set_file(const struct config_key *k, struct config *c, const char *value, struct err *e)
{
	if (value[0] == '/' || value[0] == '\0')
		return value[0] ? set_path(k, c, value, e)
				: text_copy(field(k, c), CONFIG_TEXT, "");
	if (strchr(value, '/') || value[0] == '.')
		return err_set(e, ERR_INVALID,
			       "must be an absolute file name or the name of a credential");
	if (text_copy(field(k, c), CONFIG_TEXT, value) != 0)
		return err_set(e, ERR_TOO_LARGE, "is longer than %d bytes", CONFIG_TEXT - 1);
	return 0;
}

static int set_user(const struct config_key *k, struct config *c, const char *value, struct err *e)
{
	for (const char *p = value; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_-.", *p))
			return err_set(e, ERR_INVALID, "must be the name of a user");
	if (!value[0] || value[0] == '-' ||
	    text_copy(field(k, c), sizeof(c->server.user), value) != 0)
		return err_set(e, ERR_INVALID, "must be the name of a user");
	return 0;
}

static int set_level(const struct config_key *k, struct config *c, const char *value, struct err *e)
{
	enum log_level level;

	if (log_level_parse(value, &level) != 0)
		return err_set(e, ERR_INVALID, "must be error, warn, notice, info or debug");
	*(enum log_level *)field(k, c) = level;
	return 0;
}

static int set_bool(const struct config_key *k, struct config *c, const char *value, struct err *e)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "yes", true },    { "no", false }, { "true", true },
		{ "false", false }, { "on", true },  { "off", false },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, value) == 0) {
			*(bool *)field(k, c) = words[i].value;
			return 0;
		}
	}
	return err_set(e, ERR_INVALID, "must be yes or no");
}

static int set_number(const struct config_key *k, struct config *c, const char *value,
		      struct err *e)
{
	struct slice s = slice_str(value);
	char range[96];
	uint64_t v = 0;
	int64_t ms = 0;
	int rc;

	config_key_range(k, range, sizeof(range));
	if (k->type == KEY_TYPE_COUNT) {
		rc = text_u64(s, &v);
	} else if (k->type == KEY_TYPE_SIZE) {
		rc = text_size(s, &v);
	} else {
		rc = text_duration_ms(s, &ms);
		if (rc == 0 && ms < 0)
			rc = -1;
		v = rc == 0 ? (uint64_t)ms : 0;
	}
	if (rc != 0 || v < k->min || v > k->max)
		return err_set(e, ERR_INVALID, "must be %s", range);
	*(uint64_t *)field(k, c) = v;
	return 0;
}

/* The next word of a list, words apart by blanks or commas. */
static struct slice next_word(const char **at)
{
	const char *p = *at + strspn(*at, " \t,");
	size_t n = strcspn(p, " \t,");

	*at = p + n;
	return slice_of(p, n);
}

static int add_listen(struct config *c, const struct config_key *k, struct slice word,
		      struct err *e)
{
	struct listen_list *list = field(k, c);

	if (list->n >= k->max)
		return err_set(e, ERR_TOO_MANY, "has more than %" PRIu64 " %s", k->max, k->unit);
	if (listen_addr_parse(word, &list->v[list->n], e) != 0)
		return -1;
	for (unsigned i = 0; i < list->n; i++)
		if (strcmp(list->v[i].text, list->v[list->n].text) == 0)
			return err_set(e, ERR_INVALID, "names %s twice", list->v[i].text);
	list->n++;
	return 0;
}

static int add_prefix(struct config *c, const struct config_key *k, struct slice word,
		      struct err *e)
{
	struct prefix_list *list = field(k, c);

	if (list->n >= k->max)
		return err_set(e, ERR_TOO_MANY, "has more than %" PRIu64 " %s", k->max, k->unit);
	if (ip_prefix_parse(word, &list->v[list->n], e) != 0)
		return -1;
	list->n++;
	return 0;
}

static int set_list(const struct config_key *k, struct config *c, const char *value, struct err *e)
{
	for (struct slice word = next_word(&value); word.n; word = next_word(&value))
		if ((k->type == KEY_TYPE_LISTEN ? add_listen : add_prefix)(c, k, word, e) != 0)
			return -1;
	return 0;
}

/* ---- writing ---- */

static void write_text(const struct config_key *k, const void *v, struct buf *b)
{
	buf_printf(b, "%s = %s\n", k->name, (const char *)v);
}

static void write_level(const struct config_key *k, const void *v, struct buf *b)
{
	static const char *const words[] = {
		[LOG_ERROR_] = "error", [LOG_WARN_] = "warn",	[LOG_NOTICE_] = "notice",
		[LOG_INFO_] = "info",	[LOG_DEBUG_] = "debug",
	};

	buf_printf(b, "%s = %s\n", k->name, words[*(const enum log_level *)v]);
}

static void write_bool(const struct config_key *k, const void *v, struct buf *b)
{
	buf_printf(b, "%s = %s\n", k->name, *(const bool *)v ? "yes" : "no");
}

static void write_number(const struct config_key *k, const void *v, struct buf *b)
{
	uint64_t n = *(const uint64_t *)v;
	const char *suffix = "";

	if (k->type == KEY_TYPE_TIME) {
		n /= 1000;
		suffix = "s";
	} else if (k->type == KEY_TYPE_SIZE) {
		static const char *const units[] = { "", "K", "M", "G" };
		size_t u = 0;
		for (; u < 3 && n && n % 1024 == 0; u++)
			n /= 1024;
		suffix = units[u];
	}
	buf_printf(b, "%s = %" PRIu64 "%s\n", k->name, n, suffix);
}

static void write_listen(const struct config_key *k, const void *v, struct buf *b)
{
	const struct listen_list *list = v;

	buf_printf(b, "%s =", k->name);
	for (unsigned i = 0; i < list->n; i++)
		buf_printf(b, "%s %s", i ? "\n   " : "", list->v[i].text);
	buf_add_str(b, "\n");
}

static void write_prefix(const struct config_key *k, const void *v, struct buf *b)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	const struct prefix_list *list = v;
	char text[INET6_ADDRSTRLEN];

	buf_printf(b, "%s =", k->name);
	for (unsigned i = 0; i < list->n; i++) {
		const struct ip_prefix *p = &list->v[i];
		bool v4 = p->bits >= 96 && memcmp(p->ip, mapped, sizeof(mapped)) == 0;
		inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? p->ip + 12 : p->ip, text, sizeof(text));
		buf_printf(b, "%s %s/%u", i ? "\n   " : "", text, v4 ? p->bits - 96u : p->bits);
	}
	buf_add_str(b, "\n");
}

static const struct {
	int (*set)(const struct config_key *k, struct config *c, const char *value, struct err *e);
	void (*write)(const struct config_key *k, const void *v, struct buf *b);
} types[] = {
	[KEY_TYPE_PATH] = { set_path, write_text },
	[KEY_TYPE_FILE] = { set_file, write_text },
	[KEY_TYPE_USER] = { set_user, write_text },
	[KEY_TYPE_LEVEL] = { set_level, write_level },
	[KEY_TYPE_BOOL] = { set_bool, write_bool },
	[KEY_TYPE_COUNT] = { set_number, write_number },
	[KEY_TYPE_SIZE] = { set_number, write_number },
	[KEY_TYPE_TIME] = { set_number, write_number },
	[KEY_TYPE_LISTEN] = { set_list, write_listen },
	[KEY_TYPE_PREFIX] = { set_list, write_prefix },
};

bool config_key_is_list(const struct config_key *k)
{
	return k->type == KEY_TYPE_LISTEN || k->type == KEY_TYPE_PREFIX;
}

int config_key_set(const struct config_key *k, struct config *c, const char *value, struct err *e)
{
	return types[k->type].set(k, c, value, e);
}

void config_key_clear(const struct config_key *k, struct config *c)
{
	if (k->type == KEY_TYPE_LISTEN)
		memset(field(k, c), 0, sizeof(struct listen_list));
	else if (k->type == KEY_TYPE_PREFIX)
		memset(field(k, c), 0, sizeof(struct prefix_list));
}

void config_key_write(const struct config_key *k, const struct config *c, struct buf *b)
{
	types[k->type].write(k, field_const(k, c), b);
}

/* As a person would write the bound: whole units of 1024, or of time. */
static void bound_text(const struct config_key *k, uint64_t v, char *dst, size_t cap)
{
	struct buf b = BUF_INIT(128);
	struct config_key bare = *k;

	bare.name = "";
	write_number(&bare, &v, &b);
	const char *s = buf_cstr(&b);
	(void)text_format(dst, cap, "%.*s", (int)strcspn(s + 3, "\n"), s + 3);
	buf_free(&b);
}

void config_key_range(const struct config_key *k, char *dst, size_t cap)
{
	char low[32], high[32];

	if (config_key_is_list(k)) {
		(void)text_format(dst, cap, "up to %" PRIu64 " %s", k->max, k->unit);
		return;
	}
	if (!k->unit) {
		(void)text_copy(dst, cap, "");
		return;
	}
	bound_text(k, k->min, low, sizeof(low));
	bound_text(k, k->max, high, sizeof(high));
	(void)text_format(dst, cap, "%s to %s %s", low, high, k->unit);
}
