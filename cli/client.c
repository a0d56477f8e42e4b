/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/message.h"
#include "base/text.h"

/* A service that says nothing for so long will not. */
#define SILENCE_S 300L

struct client {
	CURL *curl;
	char base[256];
	char token[TOKEN_MAX_LEN + 3]; /* with the end of its line */
	char socket[108];
	char ca[4096];
};

static int read_token(struct client *c, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return err_set(e, ERR_IO, "token file %s cannot be opened", path);
	setvbuf(f, NULL, _IONBF, 0); /* no copy of it stays in a freed buffer */
	n = fread(c->token, 1, sizeof(c->token), f);
	(void)fclose(f);
	if (n == sizeof(c->token))
		return err_set(e, ERR_TOO_LARGE, "token file %s has more than a token", path);
	c->token[n] = 0;
	c->token[strcspn(c->token, "\r\n \t")] = 0;
	if (!c->token[0])
		return err_set(e, ERR_INVALID, "token file %s is empty", path);
	return 0;
}

/* In the clear a token would be anyone's: http is for this machine alone. */
static bool is_local(const char *server)
{
	static const char *const hosts[] = { "http://localhost", "http://127.0.0.1",
					     "http://[::1]" };

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t n = strlen(hosts[i]);

		if (strncmp(server, hosts[i], n) == 0 &&
		    (server[n] == 0 || server[n] == ':' || server[n] == '/'))
			return strchr(server + n, '@') == NULL;
	}
	return false;
}

static int settle(struct client *c, const struct client_options *o, struct err *e)
{
	if (!o->server) {
		if (text_copy(c->socket, sizeof(c->socket), o->socket) < 0)
			return err_set(e, ERR_INVALID, "socket path longer than %zu bytes",
				       sizeof(c->socket) - 1);
		return text_copy(c->base, sizeof(c->base), "http://localhost");
	}
	if (strncmp(o->server, "https://", 8) != 0 && !is_local(o->server))
		return err_set(e, ERR_INVALID, "--server takes https://HOST[:PORT]");
	if (text_copy(c->base, sizeof(c->base), o->server) < 0)
		return err_set(e, ERR_INVALID, "--server is too long");
	while (c->base[0] && c->base[strlen(c->base) - 1] == '/')
		c->base[strlen(c->base) - 1] = 0;
	if (o->ca_file && text_copy(c->ca, sizeof(c->ca), o->ca_file) < 0)
		return err_set(e, ERR_INVALID, "--ca is too long");
	return o->token_file ? read_token(c, o->token_file, e) : 0;
}

int client_new(const struct client_options *o, struct client **out, struct err *e)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, ERR_NO_MEMORY, "client");
	if (settle(c, o, e) < 0) {
		client_free(c);
		return -1;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(c->curl = curl_easy_init())) {
		client_free(c);
		return err_set(e, ERR_NO_MEMORY, "libcurl");
	}
	*out = c;
	return 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	if (c->curl) {
		curl_easy_cleanup(c->curl);
		curl_global_cleanup();
	}
	explicit_bzero(c->token, sizeof(c->token));
	free(c);
}

static size_t take_body(char *p, size_t size, size_t n, void *ctx)
{
	struct buf *b = ctx;

	buf_add(b, p, size * n);
	return b->failed ? 0 : size * n;
}

/* What one transfer needs besides the handle. */
struct transfer {
	struct client *c;
	struct curl_slist *headers;
	struct reply *out;
	client_progress progress;
	void *progress_ctx;
	bool upload, failed;
	int fd;
};

static void add_header(struct transfer *t, const char *name, const char *value)
{
	char line[TOKEN_MAX_LEN + 64];
	struct curl_slist *l = NULL;

	if (text_format(line, sizeof(line), "%s: %s", name, value) == 0)
		l = curl_slist_append(t->headers, line);
	if (l)
		t->headers = l;
	else
		t->failed = true;
}

static int tell_progress(void *ctx, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
			 curl_off_t ul)
{
	struct transfer *t = ctx;

	if (t->upload)
		t->progress(t->progress_ctx, (uint64_t)ul, (uint64_t)ul_total);
	else
		t->progress(t->progress_ctx, (uint64_t)dl, (uint64_t)dl_total);
	return 0;
}

static void prepare(struct transfer *t, const char *method, const char *path)
{
	CURL *h = t->c->curl;
	char url[8192];

	curl_easy_reset(h);
	if (text_format(url, sizeof(url), "%s%s", t->c->base, path) < 0)
		t->failed = true;
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	/* else ".." in an argument would name something that was not meant */
	curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	if (t->c->socket[0]) {
		curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, t->c->socket);
		curl_easy_setopt(h, CURLOPT_PROXY, "");
	}
	if (t->c->ca[0])
		curl_easy_setopt(h, CURLOPT_CAINFO, t->c->ca);
	if (t->c->token[0]) {
		char bearer[TOKEN_MAX_LEN + 16];

		if (text_format(bearer, sizeof(bearer), "Bearer %s", t->c->token) == 0)
			add_header(t, "Authorization", bearer);
		explicit_bzero(bearer, sizeof(bearer));
	}
	add_header(t, "Accept", "application/json, */*;q=0.5");
	add_header(t, "Expect", "");
	t->out->body = BUF_INIT(CLIENT_BODY_MAX);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &t->out->body);
	if (t->progress) {
		curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, tell_progress);
		curl_easy_setopt(h, CURLOPT_XFERINFODATA, t);
	}
}

static int perform(struct transfer *t, struct err *e)
{
	CURL *h = t->c->curl;
	const char *where = t->c->socket[0] ? t->c->socket : t->c->base;
	char *type = NULL;
	CURLcode code;

	if (t->failed) {
		curl_slist_free_all(t->headers);
		return err_set(e, ERR_TOO_LARGE, "the request is too long");
	}
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, t->headers);
	code = curl_easy_perform(h);
	curl_slist_free_all(t->headers);
	if (code != CURLE_OK) {
		bool full = t->out->body.failed;

		buf_free(&t->out->body);
		if (code == CURLE_WRITE_ERROR)
			return err_set(e, ERR_TOO_LARGE, "%s",
				       full ? "the answer is too large"
					    : "what came cannot be written");
		return err_set(e, ERR_BUSY, "fettled at %s does not answer: %s", where,
			       curl_easy_strerror(code));
	}
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &t->out->status);
	curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
	if (!type || text_copy(t->out->type, sizeof(t->out->type), type) < 0)
		t->out->type[0] = 0;
	return 0;
}

int client_call(struct client *c, const char *method, const char *path, const char *type,
		struct slice body, struct reply *out, struct err *e)
{
	struct transfer t = { .c = c, .out = out };

	prepare(&t, method, path);
	if (type) {
		add_header(&t, "Content-Type", type);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.n ? (const char *)body.p : "");
	} else if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "");
	}
	return perform(&t, e);
}

int client_upload(struct client *c, const char *path, const char *file, uint64_t size,
		  const char *digest_base64, client_progress progress, void *ctx, struct reply *out,
		  struct err *e)
{
	struct transfer t = {
		.c = c, .out = out, .progress = progress, .progress_ctx = ctx, .upload = true
	};
	FILE *f = fopen(file, "rbe");
	char digest[80];
	int result;

	if (!f)
		return err_set(e, ERR_IO, "%s cannot be opened", file);
	prepare(&t, "POST", path);
	if (text_format(digest, sizeof(digest), "sha-256=:%s:", digest_base64) < 0)
		t.failed = true;
	add_header(&t, "Repr-Digest", digest);
	add_header(&t, "Content-Type", "application/octet-stream");
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, "POST");
	curl_easy_setopt(c->curl, CURLOPT_READDATA, f);
	curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	result = perform(&t, e);
	(void)fclose(f);
	return result;
}

static size_t take_file(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t left = size * n;
	long status = 0;

	curl_easy_getinfo(t->c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 300)
		return take_body(p, size, n, &t->out->body);
	while (left > 0) {
		ssize_t k = write(t->fd, p, left);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return 0;
		p += k;
		left -= (size_t)k;
	}
	return size * n;
}

int client_download(struct client *c, const char *path, int fd, client_progress progress, void *ctx,
		    struct reply *out, struct err *e)
{
	struct transfer t = {
		.c = c, .out = out, .progress = progress, .progress_ctx = ctx, .fd = fd
	};

	prepare(&t, "GET", path);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_file);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &t);
	return perform(&t, e);
}
