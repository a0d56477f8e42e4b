/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CLI_CLIENT_H
#define FETTLE_CLI_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* REST over the daemon's Unix socket or HTTPS. libcurl stays in client.c. */
struct client_options {
	const char *socket;		/* Unix socket, used when server is NULL */
	const char *server;		/* https://host:port */
	const char *token_file;		/* bearer token, one line */
	const char *ca_file;		/* trusted certificates instead of the system's */
};

struct client;
int client_new(const struct client_options *o, struct client **out, struct err *e);
void client_free(struct client *c);

#define CLIENT_BODY_MAX (16u << 20)

struct reply {
	long status;
	struct buf body;		/* caller frees with buf_free */
	char type[64];
};

/*
 * One request. type NULL: no body. 0 when an answer came, whatever its
 * status; -1 with ERR_BUSY when nobody answered (exit code 3).
 */
int client_call(struct client *c, const char *method, const char *path, const char *type,
		struct slice body, struct reply *out, struct err *e);

/* progress: called now and then with what is done; may be NULL. */
typedef void (*client_progress)(void *ctx, uint64_t done, uint64_t total);
/* A file as the body of a POST, with Repr-Digest. */
int client_upload(struct client *c, const char *path, const char *file, uint64_t size,
		  const char *digest_base64, client_progress progress, void *ctx,
		  struct reply *out, struct err *e);
/* The body of a GET into a descriptor; *status says what came (a problem is in out). */
int client_download(struct client *c, const char *path, int fd, client_progress progress, void *ctx,
		    struct reply *out, struct err *e);

#endif
