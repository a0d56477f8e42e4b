/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "codec/docfmt.h"
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

static int problem_of(struct ctx *c, const struct reply *rp, struct err *e)
{
	const struct doc *d = NULL;

	if (docfmt_decode(MEDIA_JSON, buf_slice(&rp->body), &c->a, &d, NULL) < 0 ||
	    !doc_get(d, "detail"))
		return err_set(e, ERR_CONFLICT, "refused with status %ld", rp->status);
	return err_set(e, ERR_CONFLICT, "%s", write_value(&c->a, d, "detail"));
}

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
	if (rp.status >= 300)
		problem_of(c, &rp, e);
	else if (docfmt_decode(MEDIA_JSON, buf_slice(&rp.body), &c->a, &answer, e) < 0)
		answer = NULL;
	buf_free(&rp.body);
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

int cmd_image_get(struct ctx *c, struct err *e)
{
	const char *output = ctx_option(c, "output");
	const char *path = rest_path(c, e, API "/images/%s/content", c->args[0]);
	struct bar bar = bar_new(c);
	struct reply rp = { 0 };
	int fd, code = -1;

	if (!path)
		return -1;
	if (!output)
		return err_set(e, ERR_INVALID, "-o FILE is missing");
	fd = strcmp(output, "-") == 0
		     ? dup(STDOUT_FILENO)
		     : open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, ERR_IO, "%s cannot be opened", output);
	if (client_download(c->client, path, fd, bar_show, &bar, &rp, e) == 0)
		code = rp.status >= 300 ? problem_of(c, &rp, e) : EXIT_DONE;
	buf_free(&rp.body);
	if (close(fd) < 0 && code == EXIT_DONE)
		code = err_set(e, ERR_IO, "%s cannot be written", output);
	return code;
}

/* ---- releases ---- */

static const struct doc *add_manifest(struct ctx *c, const char *file, struct err *e)
{
	const struct doc *answer = NULL;
	struct buf in = BUF_INIT(0);
	struct reply rp = { 0 };

	if (file_read(file, SUIT_ENVELOPE_MAX, &in, e) == 0 &&
	    client_call(c->client, "POST", API "/manifests", "application/suit-envelope+cose",
			buf_slice(&in), &rp, e) == 0) {
		if (rp.status >= 300)
			problem_of(c, &rp, e);
		else if (docfmt_decode(MEDIA_JSON, buf_slice(&rp.body), &c->a, &answer, e) < 0)
			answer = NULL;
		buf_free(&rp.body);
	}
	buf_free(&in);
	return answer;
}

int cmd_release_add(struct ctx *c, struct err *e)
{
	struct doc *body = doc_map(&c->a, NULL, NULL);
	const char *name = ctx_option(c, "name");
	const struct doc *manifest;

	for (int i = 1; i < c->n_args; i++)
		if (!upload(c, c->args[i], e))
			return err_prefix(e, "%s", c->args[i]);
	manifest = add_manifest(c, c->args[0], e);
	if (!manifest)
		return err_prefix(e, "%s", c->args[0]);
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

	if (!urgency)
		return err_set(e, ERR_INVALID, "--urgency is needed");
	doc_add_text(&c->a, body, "urgency", urgency);
	return rest_object(c, "PATCH", rest_path(c, e, API "/releases/%s", c->args[0]), body, e);
}

/* ---- anchors ---- */

int cmd_anchor_add(struct ctx *c, struct err *e)
{
	static const char *const passed[][2] = { { "vendor", "vendor" },
						 { "not-before", "not_before" },
						 { "not-after", "not_after" } };
	struct doc *body = doc_map(&c->a, NULL, NULL);
	struct buf in = BUF_INIT(0);
	int code = -1;

	if (!ctx_option(c, "vendor"))
		return err_set(e, ERR_INVALID, "--vendor is needed");
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if (ctx_option(c, passed[i][0]))
			doc_add_text(&c->a, body, passed[i][1], ctx_option(c, passed[i][0]));
	if (file_read(c->args[0], KEY_FILE_MAX, &in, e) == 0) {
		doc_add_text_slice(&c->a, body, "key", buf_slice(&in));
		code = rest_object(c, "POST", API "/anchors", body, e);
	}
	buf_free(&in);
	return code;
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
