/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/*
 * The request path: any request by any kind of session, over a real store. Each
 * input is rolled back, so that the same input always meets the same rows.
 *
 *   byte 0  who: one of the sessions   1  method   2  content format   3  accept
 *   byte 4  flags: 1 observe, 2 no body wanted, 4 If-Match, 8 If-None-Match, 16 key
 *   then    path LF query LF token LF body
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "service/service.h"
#include "tracker/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { SESSIONS = 6, HEAD = 5 };

static struct world {
	char dir[32];
	struct store *st;
	struct service *sv;
	struct arena arena;
	struct effects fx;
	struct now now;
	uint64_t session[SESSIONS];
} w;

static const enum media medias[] = {
	MEDIA_NONE,   MEDIA_JSON,	 MEDIA_CBOR,	      MEDIA_TEXT,
	MEDIA_OCTETS, MEDIA_SUIT_REPORT, MEDIA_SUIT_ENVELOPE, MEDIA_CSV,
	MEDIA_NDJSON, MEDIA_LINK_FORMAT, MEDIA_UNKNOWN,
};
#define MEDIAS (sizeof(medias) / sizeof(medias[0]))

static void clean(void)
{
	DIR *d;
	struct dirent *x;
	int fd = open(w.dir, O_RDONLY | O_DIRECTORY);

	service_free(w.sv);
	store_close(w.st);
	arena_free(&w.arena);
	d = fd >= 0 ? fdopendir(fd) : NULL;
	while (d && (x = readdir(d)))
		if (x->d_name[0] != '.' && unlinkat(fd, x->d_name, 0) != 0)
			(void)unlinkat(fd, x->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
	(void)rmdir(w.dir);
}

static void silent(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static unsigned ask(struct request *rq, enum lane lane, bool commit)
{
	struct outcome oc = { .fx = &w.fx };
	struct response rs;
	bool keep;

	arena_reset(&w.arena);
	effects_clear(&w.fx);
	must(store_batch_begin(w.st, NULL) == 0);
	store_handler_begin(w.st);
	service_request(w.sv, lane, rq, &w.now, &w.arena, &rs, &oc, &keep);
	must(store_handler_end(w.st, keep, NULL) == 0);
	if (commit)
		must(store_batch_commit(w.st, NULL) == 0);
	else
		store_batch_abandon(w.st);
	/* an answer is complete, and an error grants nothing and keeps nothing */
	must(rs.status >= 200 && rs.status < 600 && rs.id == rq->id);
	must(rs.status < 400 || (!oc.has_grant && !rs.has_object && !keep));
	must(!oc.has_grant || (oc.grant.path[0] == '/' && (rs.has_object || rs.status == 304)));
	return rs.status;
}

static void add(const char *path, const char *json)
{
	struct request rq = { .session = w.session[0],
			      .method = METHOD_POST,
			      .path = slice_str(path),
			      .body = slice_str(json),
			      .content_format = MEDIA_JSON,
			      .accept = MEDIA_NONE };

	must(ask(&rq, LANE_CONTROL, true) == 201);
}

static uint64_t admit(enum lane lane, enum evidence_kind k, enum transport t, const char *identity)
{
	static uint64_t handles;
	struct evidence ev = { .kind = k, .transport = t, .ip = { [15] = 1 } };

	must(strlen(identity) < sizeof(ev.identity));
	memcpy(ev.identity, identity, strlen(identity));
	must(service_admit(w.sv, lane, ++handles, &ev, &w.now) == 1);
	return handles;
}

static void begin(void)
{
	struct store_options so = { .dir = w.dir, .cache_bytes = 1 << 20 };
	struct service_options o = { .own_uid = 1,
				     .quota_staged = 1 << 20,
				     .image_max = 1 << 20,
				     .sessions_max = 16,
				     .version = "0",
				     .openapi = "{}" };

	log_set_sink(silent);
	memcpy(w.dir, "/tmp/fettle-fuzz-XXXXXX", sizeof("/tmp/fettle-fuzz-XXXXXX"));
	must(mkdtemp(w.dir) != NULL);
	must(store_open(&so, &w.st, NULL) == 0);
	store_set_hash(w.st, &tracker_hash);
	o.store = w.st;
	must(service_new(&o, &w.sv, NULL) == 0 && atexit(clean) == 0);
	w.arena = (struct arena)ARENA_INIT(1u << 20);
	w.now = (struct now){ .wall = 1800000000000, .track = 1000000, .wall_trusted = true };
	w.session[0] = admit(LANE_CONTROL, EVIDENCE_LOCAL, TRANSPORT_UNIX, "");
	add("/api/v1/devices", "{\"id\":\"a\",\"model\":\"m\"}");
	add("/api/v1/devices/a/credentials",
	    "{\"kind\":\"psk\",\"key\":\"00112233445566778899aabbccddeeff\"}");
	add("/api/v1/devices", "{\"id\":\"n\",\"auth\":\"none\",\"tags\":[\"lab\"]}");
	add("/api/v1/groups", "{\"name\":\"g\"}");
	w.session[1] = admit(LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_HTTP, "");
	w.session[2] = admit(LANE_NETWORK, EVIDENCE_PLAIN, TRANSPORT_COAP, "");
	w.session[3] = admit(LANE_NETWORK, EVIDENCE_TLS, TRANSPORT_HTTPS, "");
	w.session[4] = admit(LANE_NETWORK, EVIDENCE_PSK, TRANSPORT_COAPS, "a");
	w.session[5] = 0; /* never admitted */
}

static struct slice line(struct slice *rest)
{
	const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;
	struct slice s = slice_of(rest->p, n);

	*rest = end ? slice_of(end + 1, rest->n - n - 1) : slice_of(NULL, 0);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static bool begun;
	struct request rq = { .id = 3 };

	if (!begun)
		begin();
	begun = true;
	if (n < HEAD || n > BODY_MAX_LEN)
		return 0;
	unsigned who = p[0] % SESSIONS, flags = p[4];
	struct slice rest = slice_of(p + HEAD, n - HEAD);
	rq.session = w.session[who];
	rq.method = (enum method)(p[1] % METHOD_COUNT);
	rq.content_format = medias[p[2] % MEDIAS];
	rq.accept = medias[p[3] % MEDIAS];
	rq.observe = flags & 1;
	rq.want_body = !(flags & 2);
	rq.if_match[0] = rq.if_none_match[0] = (struct etag){ .n = 8 };
	rq.n_if_match = flags & 4 ? 1 : 0;
	rq.n_if_none_match = flags & 8 ? 1 : 0;
	rq.path = line(&rest);
	rq.query = line(&rest);
	rq.token = line(&rest);
	rq.body = rest;
	if (flags & 16)
		rq.idempotency_key = rq.query;
	ask(&rq, who == 0 ? LANE_CONTROL : LANE_NETWORK, false);
	return 0;
}
