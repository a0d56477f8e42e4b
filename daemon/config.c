/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/config_internal.h"

/* What inih calls back with, and the line it is at: its own handler does not say. */
struct parse {
	struct slice rest;
	const char *name;
	unsigned line;
	bool indented; /* the line begins with a blank: it goes on with a list */
	struct config *out;
	unsigned seen[CONFIG_KEYS_MAX]; /* line each key was given on, 0 not */
	bool failed;
	struct err *e;
};

static int fail(struct parse *p, enum err_code code, unsigned line, const char *text)
{
	if (!p->failed)
		err_set(p->e, code, "%s:%u: %s", p->name, line, text);
	p->failed = true;
	p->rest.n = 0; /* nothing more is read */
	return -1;
}

/*
 * One line for inih. It would take a line that is too long apart in silence,
 * and stop at a NUL: both are errors here.
 */
static char *read_line(char *dst, int cap, void *ctx)
{
	struct parse *p = ctx;
	const uint8_t *end;
	size_t n;

	if (p->rest.n == 0)
		return NULL;
	p->line++;
	end = memchr(p->rest.p, '\n', p->rest.n);
	n = end ? (size_t)(end - p->rest.p) : p->rest.n;
	if (n > CONFIG_LINE_MAX || cap < 0 || n + 2 > (size_t)cap) {
		fail(p, ERR_TOO_LARGE, p->line,
		     "line is longer than 196 bytes; lists go on in indented lines");
		return NULL;
	}
	if (memchr(p->rest.p, '\0', n)) {
		fail(p, ERR_MALFORMED, p->line, "line holds a NUL byte");
		return NULL;
	}
	memcpy(dst, p->rest.p, n);
	dst[n] = '\n';
	dst[n + 1] = '\0';
	p->indented = dst[0] == ' ' || dst[0] == '\t';
	n += end ? 1 : 0;
	p->rest = slice_of(p->rest.p + n, p->rest.n - n);
	return dst;
}

static const struct config_key *find_key(const char *section, const char *name, bool *section_known)
{
	*section_known = false;
	for (unsigned i = 0; i < config_keys_count; i++) {
		if (strcmp(config_keys[i].section, section) != 0)
			continue;
		*section_known = true;
		if (strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

static int take(struct parse *p, const char *section, const char *name, const char *value)
{
	struct err why = { 0 };
	char text[200];
	bool known;
	const struct config_key *k = find_key(section, name, &known);

	if (!k) {
		(void)text_format(text, sizeof(text),
				  known ? "[%.48s] has no key \"%.48s\""
					: "there is no section [%.48s] (key \"%.48s\")",
				  section, name);
		return fail(p, ERR_INVALID, p->line, text);
	}
	unsigned *seen = &p->seen[k - config_keys];
	bool goes_on = *seen && p->indented && config_key_is_list(k);
	if (*seen && !goes_on) {
		(void)text_format(text, sizeof(text), "%s was given on line %u already", name,
				  *seen);
		return fail(p, ERR_INVALID, p->line, text);
	}
	if (!*seen)
		config_key_clear(k, p->out);
	*seen = p->line;
	if (config_key_set(k, p->out, value, &why) != 0) {
		(void)text_format(text, sizeof(text), "%s %.160s", name, why.text);
		return fail(p, why.code, p->line, text);
	}
	return 0;
}

static int handler(void *ctx, const char *section, const char *name, const char *value)
{
	struct parse *p = ctx;

	if (p->failed)
		return 1;
	if (!name || !value)
		return 1;
	return take(p, section, name, value) == 0;
}

void config_defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < config_keys_count; i++)
		if (config_key_set(&config_keys[i], c, config_keys[i].preset, NULL) != 0)
			abort(); /* a default outside its own range: the unit test walks them all */
}

/* ---- rules over several keys ---- */

static unsigned line_of(const struct parse *p, const void *field)
{
	size_t offset = (size_t)((const char *)field - (const char *)p->out);

	for (unsigned i = 0; i < config_keys_count; i++)
		if (config_keys[i].offset == offset)
			return p->seen[i] ? p->seen[i] : 1;
	return 1;
}

static int check_plain(struct parse *p, const struct listen_list *list, bool insecure)
{
	char text[200];

	for (unsigned i = 0; i < list->n && !insecure; i++) {
		if (list->v[i].text[0] != '*' && listen_addr_is_loopback(&list->v[i]))
			continue;
		(void)text_format(text, sizeof(text),
				  "listen %s is not loopback: plain listeners "
				  "elsewhere need insecure = yes in this section",
				  list->v[i].text);
		return fail(p, ERR_INVALID, line_of(p, list), text);
	}
	return 0;
}

static int check(struct parse *p)
{
	struct config *c = p->out;

	if (check_plain(p, &c->coap.listen, c->coap.insecure) != 0 ||
	    check_plain(p, &c->http.listen, c->http.insecure) != 0)
		return -1;
	if (c->http.listen.n + c->http.listen_tls.n > HTTP_LISTEN_MAX - 1)
		return fail(p, ERR_TOO_MANY, line_of(p, &c->http.listen_tls),
			    "listen and listen_tls together have too many addresses");
	if (c->http.listen_tls.n && (!c->http.certificate[0] || !c->http.key[0]))
		return fail(p, ERR_INVALID, line_of(p, &c->http.listen_tls),
			    "listen_tls needs certificate and key");
	if (!c->http.certificate[0] != !c->http.key[0])
		return fail(p, ERR_INVALID, line_of(p, &c->http.certificate),
			    "certificate and key are given together or not at all");
	if (strlen(c->control.socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return fail(p, ERR_TOO_LARGE, line_of(p, &c->control.socket),
			    "socket is longer than the name of a Unix socket may be");
	return 0;
}

int config_parse(struct slice text, const char *name, struct config *out, struct err *e)
{
	struct parse p = { .rest = text, .name = name, .out = out, .e = e };
	int bad;

	if (text.n > CONFIG_SIZE_MAX)
		return err_set(e, ERR_TOO_LARGE, "%s:1: file is larger than %u bytes", name,
			       CONFIG_SIZE_MAX);
	config_defaults(out);
	bad = ini_parse_stream(read_line, &p, handler, &p);
	if (p.failed)
		return -1;
	if (bad < 0)
		return err_set(e, ERR_NO_MEMORY, "%s:%u: no memory", name, p.line);
	if (bad > 0)
		return fail(&p, ERR_MALFORMED, (unsigned)bad, "expected [section] or key = value");
	return check(&p);
}

/* ---- files ---- */

static int read_all(int fd, uint8_t *p, size_t cap, size_t *n)
{
	*n = 0;
	while (*n < cap) {
		ssize_t got = read(fd, p + *n, cap - *n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		*n += (size_t)got;
	}
	return 0;
}

int config_load(const char *path, struct config *out, struct err *e)
{
	uint8_t *p = NULL;
	struct stat st;
	size_t n;
	int rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
			       strerror(errno));
	if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
		err_set(e, ERR_IO, "%s: is not a file", path);
		goto out;
	}
	p = malloc(CONFIG_SIZE_MAX + 1);
	if (!p) {
		err_set(e, ERR_NO_MEMORY, "%s: no memory", path);
		goto out;
	}
	if (read_all(fd, p, CONFIG_SIZE_MAX + 1, &n) != 0) {
		err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
		goto out;
	}
	rc = config_parse(slice_of(p, n), path, out, e);
out:
	free(p);
	close(fd);
	return rc;
}

static void write_sections(const struct config *c, struct buf *b,
			   void (*row)(const struct config_key *k, const struct config *c,
				       struct buf *b))
{
	const char *section = "";

	for (unsigned i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		if (strcmp(section, k->section) != 0)
			buf_printf(b, "%s[%s]\n", section[0] ? "\n" : "", k->section);
		section = k->section;
		row(k, c, b);
	}
}

void config_write(const struct config *c, struct buf *b)
{
	write_sections(c, b, config_key_write);
}

/* "# " and at most 90 bytes a line. */
static void write_comment(struct buf *b, const char *text)
{
	while (*text) {
		size_t n = strlen(text);
		if (n > 90)
			for (n = 90; n > 1 && text[n] != ' ';)
				n--;
		buf_printf(b, "# %.*s\n", (int)n, text);
		text += n + strspn(text + n, " ");
	}
}

static void write_example_row(const struct config_key *k, const struct config *c, struct buf *b)
{
	char range[96], preset[CONFIG_TEXT];

	(void)c;
	buf_add_str(b, "\n");
	write_comment(b, k->doc);
	config_key_range(k, range, sizeof(range));
	if (range[0])
		buf_printf(b, "# Range: %s.\n", range);
	(void)text_copy(preset, sizeof(preset), k->preset);
	if (k->restart)
		buf_add_str(b, "# Changing it takes a restart.\n");
	buf_printf(b, "#%s =%s%s\n", k->name, preset[0] ? " " : "", preset);
}

void config_write_example(struct buf *b)
{
	buf_add_str(b, "# fettled.conf(5). Every key stands here with its default.\n"
		       "# `fettled -n` checks the file, `fettled -T` prints the values in force,\n"
		       "# SIGHUP reads it again.\n\n");
	write_sections(NULL, b, write_example_row);
}

/* Spelt the same: also two lists, and without caring for types. */
static bool same_key(const struct config_key *k, const struct config *a, const struct config *b)
{
	struct buf x = BUF_INIT(4096), y = BUF_INIT(4096);

	config_key_write(k, a, &x);
	config_key_write(k, b, &y);
	/* without memory: not the same, which only costs a restarted front or a refused reload */
	bool same = !x.failed && !y.failed && slice_eq(buf_slice(&x), buf_slice(&y));
	buf_free(&x);
	buf_free(&y);
	return same;
}

const char *config_needs_restart(const struct config *a, const struct config *b)
{
	for (unsigned i = 0; i < config_keys_count; i++)
		if (config_keys[i].restart && !same_key(&config_keys[i], a, b))
			return config_keys[i].name;
	return NULL;
}

bool config_same_front(const struct config *a, const struct config *b)
{
	for (unsigned i = 0; i < config_keys_count; i++)
		if (strcmp(config_keys[i].section, "server") != 0 &&
		    !same_key(&config_keys[i], a, b))
			return false;
	return true;
}
