/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#define _GNU_SOURCE /* mkostemp */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "codec/crypto.h"
#include "codec/suit.h"

/* Images, manifests with their releases, trust anchors. */
#define KEY_FILE_MAX 65536
#define API "/api/v1"

/* ---- progress ---- */

struct bar {
	bool on;
	int64_t last;
};

static void bar_show(void *ctx, uint64_t done, uint64_t total)
{
	static const char fill[] = "########################################";
	struct bar *b = ctx;
	int64_t now = clock_mono_ms();
	int n;

	if (!b->on || !total || (done < total && now - b->last < 100))
		return;
	b->last = now;
	n = (int)(done * 40 / total);
	fprintf(stderr, "\r[%-40.*s] %3u %%", n, fill, (unsigned)(done * 100 / total));
	if (done >= total) {
		fprintf(stderr, "\n");
		b->on = false;
	}
}

static struct bar bar_new(const struct ctx *c)
{
	return (struct bar){ .on = c->tty && isatty(STDERR_FILENO) == 1 };
}

/* ---- images ---- */

static const struct doc *upload(struct ctx *c, const char *file, struct err *e)
{
	struct bar bar = bar_new(c);
	struct buf b64 = BUF_INIT(128);
	const struct doc *answer = NULL;
	struct reply rp = { 0 };
	struct digest d;
	uint64_t size;

	if (file_digest(file, &d, &size, e) < 0)
		goto out;
	if (text_base64(&b64, slice_of(d.b, sizeof(d.b))) < 0 ||
	    client_upload(c->client, API "/images", file, size, buf_cstr(&b64), bar_show, &bar, &rp,
			  e) < 0)
		goto out;
	answer = rest_answer(c, &rp, e);
out:
	buf_free(&b64);
	return answer;
}

int cmd_image_add(struct ctx *c, struct err *e)
{
	const struct doc *answer = upload(c, c->args[0], e);

	return answer ? write_object(c, answer, e) : -1;
}

int cmd_image_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "digest", "DIGEST" },
		{ "size", "SIZE" },
		{ "by", "BY" },
		{ "created", "CREATED" },
		{ 0 },
	};

	return rest_list(c, API "/images", columns, e);
}

int cmd_image_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/images/%s", c->args[0]), NULL, e);
}

int cmd_image_remove(struct ctx *c, struct err *e)
{
	return rest_object(c, "DELETE", rest_path(c, e, API "/images/%s", c->args[0]), NULL, e);
}

/* Into an open file; whole or refused. */
static int fetch(struct ctx *c, int fd, struct err *e)
{
	const char *path = rest_path(c, e, API "/images/%s/content", c->args[0]);
	struct bar bar = bar_new(c);
	struct reply rp = { 0 };

	if (!path || client_download(c->client, path, fd, bar_show, &bar, &rp, e) < 0)
		return -1;
	return rest_answer(c, &rp, e) ? 0 : -1;
}

/* What came is what was asked for. */
static int check_content(const char *file, const char *wanted, struct err *e)
{
	struct digest d, asked;
	uint64_t size;

	if (file_digest(file, &d, &size, e) < 0)
		return -1;
	if (digest_parse(&asked, slice_str(wanted)) < 0 || memcmp(d.b, asked.b, sizeof(d.b)) != 0)
		return err_set(e, ERR_VERIFY, "what came has another digest");
	return 0;
}

/* A file beside the one that is wanted, so that a refusal leaves what was there. */
static int get_file(struct ctx *c, const char *output, struct err *e)
{
	char *part = arena_printf(&c->a, "%s.XXXXXX", output);
	int fd = part ? mkostemp(part, O_CLOEXEC) : -1, code;

	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", output, strerror(errno));
	code = fetch(c, fd, e);
	if (fchmod(fd, 0644) < 0 && code == 0)
		code = err_set(e, ERR_IO, "%s: %s", output, strerror(errno));
	if (close(fd) < 0 && code == 0)
		code = err_set(e, ERR_IO, "%s: %s", output, strerror(errno));
	if (code == 0)
		code = check_content(part, c->args[0], e);
	if (code == 0 && rename(part, output) < 0)
		code = err_set(e, ERR_IO, "%s: %s", output, strerror(errno));
	if (code < 0)
		(void)unlink(part);
	return code;
}

/* Standard output, a device, a pipe: written as it comes. */
static int get_stream(struct ctx *c, const char *output, struct err *e)
{
	int fd = strcmp(output, "-") == 0 ? dup(STDOUT_FILENO) : open(output, O_WRONLY | O_CLOEXEC);
	int code;

	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", output, strerror(errno));
	code = fetch(c, fd, e);
	if (close(fd) < 0 && code == 0)
		code = err_set(e, ERR_IO, "%s: %s", output, strerror(errno));
	return code;
}

int cmd_image_get(struct ctx *c, struct err *e)
{
	const char *output = ctx_option(c, "output");
	struct stat st;
	bool stream = strcmp(output, "-") == 0 ||
		      (stat(output, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));

	return (stream ? get_stream(c, output, e) : get_file(c, output, e)) < 0 ? -1 : EXIT_DONE;
}

/* ---- releases ---- */

static const struct doc *add_manifest(struct ctx *c, const char *file, struct err *e)
{
	const struct doc *answer = NULL;
	struct buf in = BUF_INIT(0);
	struct reply rp = { 0 };

	if (file_read(file, SUIT_ENVELOPE_MAX, &in, e) == 0 &&
	    client_call(c->client, "POST", API "/manifests", "application/suit-envelope+cose",
			buf_slice(&in), &rp, e) == 0)
		answer = rest_answer(c, &rp, e);
	buf_free(&in);
	return answer;
}

int cmd_release_add(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *name = ctx_option(c, "name");
	const struct doc *manifest;

	/* the manifest first: one that is refused needs no image */
	manifest = add_manifest(c, c->args[0], e);
	if (!manifest)
		return err_prefix(e, "%s", c->args[0]);
	for (int i = 1; i < c->n_args; i++)
		if (!upload(c, c->args[i], e))
			return err_prefix(e, "%s", c->args[i]);
	doc_add_text(&c->a, body, "manifest", write_value(&c->a, manifest, "digest"));
	if (name)
		doc_add_text(&c->a, body, "name", name);
	return rest_object(c, "POST", API "/releases", body, e);
}

int cmd_release_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "name", "NAME" },
		{ "version", "VERSION" },
		{ "sequence", "SEQUENCE" },
		{ "state", "STATE" },
		{ "complete", "COMPLETE" },
		{ "published", "PUBLISHED" },
		{ "urgency", "URGENCY" },
		{ 0 },
	};

	return rest_list(c, API "/releases", columns, e);
}

int cmd_release_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/releases/%s", c->args[0]), NULL, e);
}

int cmd_release_approve(struct ctx *c, struct err *e)
{
	return rest_object(c, "POST", rest_path(c, e, API "/releases/%s/approve", c->args[0]), NULL,
			   e);
}

int cmd_release_publish(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);

	doc_add_bool(&c->a, body, "published", !ctx_option(c, "off"));
	return rest_object(c, "POST", rest_path(c, e, API "/releases/%s/publish", c->args[0]), body,
			   e);
}

int cmd_release_withdraw(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);

	doc_add_bool(&c->a, body, "floor", ctx_option(c, "floor") != NULL);
	return rest_object(c, "POST", rest_path(c, e, API "/releases/%s/withdraw", c->args[0]),
			   body, e);
}

int cmd_release_set(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *urgency = ctx_option(c, "urgency");

	doc_add_text(&c->a, body, "urgency", urgency);
	return rest_object(c, "PATCH", rest_path(c, e, API "/releases/%s", c->args[0]), body, e);
}

/* ---- anchors ---- */

/* Only the public half leaves this machine, whatever the file holds. */
static int add_public(struct ctx *c, struct doc *body, struct err *e)
{
	struct buf in = BUF_INIT(0), pem = BUF_INIT(KEY_FILE_MAX);
	struct key *k = NULL;
	int result = -1;

	if (file_read(c->args[0], KEY_FILE_MAX, &in, e) == 0 &&
	    key_load(buf_slice(&in), &k, e) == 0 && key_public_pem(k, &pem, e) == 0) {
		doc_add_text_slice(&c->a, body, "key", buf_slice(&pem));
		result = 0;
	} else {
		err_prefix(e, "%s", c->args[0]);
	}
	if (in.p)
		explicit_bzero(in.p, in.cap);
	buf_free(&in);
	buf_free(&pem);
	key_free(k);
	return result;
}

int cmd_anchor_add(struct ctx *c, struct err *e)
{
	static const char *const passed[][2] = { { "vendor", "vendor" },
						 { "not-before", "not_before" },
						 { "not-after", "not_after" } };
	struct doc *body = doc_map(&c->a, NULL, NULL);

	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if (ctx_option(c, passed[i][0]))
			doc_add_text(&c->a, body, passed[i][1], ctx_option(c, passed[i][0]));
	return add_public(c, body, e) < 0 ? -1 : rest_object(c, "POST", API "/anchors", body, e);
}

int cmd_anchor_list(struct ctx *c, struct err *e)
{
	static const struct column columns[] = {
		{ "id", "ID" },
		{ "vendor", "VENDOR" },
		{ "alg", "ALG" },
		{ "key_id", "KEY" },
		{ "not_after", "NOT AFTER" },
		{ "revoked", "REVOKED" },
		{ 0 },
	};

	return rest_list(c, API "/anchors", columns, e);
}

int cmd_anchor_show(struct ctx *c, struct err *e)
{
	return rest_object(c, "GET", rest_path(c, e, API "/anchors/%s", c->args[0]), NULL, e);
}

int cmd_anchor_revoke(struct ctx *c, struct err *e)
{
	return rest_object(c, "POST", rest_path(c, e, API "/anchors/%s/revoke", c->args[0]), NULL,
			   e);
}
