/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "daemon/core_loop.h"
#include "daemon/sysint.h"
#include "ipc/ipc.h"
#include "service/service.h"

/* The core process with its database, sandbox and loop; the test is its parent and both fronts. */
static char dir[] = "/tmp/fettle-core-XXXXXX";
static pid_t core_pid;
static int parent_fd;

static void start_core(void)
{
	struct pollfd p;
	struct parent_msg m;
	int fds[2], fd;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	core_pid = fork();
	ck_assert_int_ge(core_pid, 0);
	if (core_pid == 0) {
		static struct child_link link;
		close(fds[0]);
		link.fd = fds[1];
		config_defaults(&link.cfg);
		link.cfg.limits.objects = 16;
		text_copy(link.cfg.server.data_dir, sizeof(link.cfg.server.data_dir), dir);
		log_init("core", LOG_ERROR_);
		_exit(core_main(&link));
	}
	close(fds[1]);
	parent_fd = fds[0];
	p = (struct pollfd){ .fd = parent_fd, .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	ck_assert_int_eq(parent_msg_recv(parent_fd, &m, &fd), 1);
	ck_assert_uint_eq(m.type, PM_READY);
}

static int stop_core(void)
{
	int status;

	ck_assert_int_eq(parent_msg_send(parent_fd, PM_STOP, 0, 0, -1), 0);
	ck_assert_int_eq(waitpid(core_pid, &status, 0), core_pid);
	close(parent_fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *en;
	char name[512];

	while (d && (en = readdir(d))) {
		if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
			continue;
		text_format(name, sizeof(name), "%s/%s", path, en->d_name);
		if (unlink(name) != 0)
			remove_tree(name);
	}
	if (d)
		closedir(d);
	(void)rmdir(path);
}

static void setup(void)
{
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	start_core();
}

static void teardown(void)
{
	ck_assert_int_eq(stop_core(), 0);
	remove_tree(dir);
}

/* ---- a front ---- */

static struct channel *connect_lane(enum lane socket_lane, unsigned says)
{
	struct channel *c;
	struct err e = { 0 };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(parent_msg_send(parent_fd, PM_PEER, socket_lane, 0, fds[1]), 0);
	close(fds[1]);
	ck_assert_int_eq(channel_new(fds[0], 4 << 20, &c, &e), 0);
	size_t mark = ipc_begin(channel_out(c), FRAME_HELLO);
	ipc_put_u8(channel_out(c), (uint8_t)says);
	ipc_put_u32(channel_out(c), (uint32_t)getpid());
	ipc_end(channel_out(c), mark);
	return c;
}

static enum frame_type next_frame(struct channel *c, struct slice *body)
{
	struct err e = { 0 };
	enum frame_type t;

	ck_assert_int_eq(channel_write_all(c, 5000, &e), 0);
	if (channel_read_frame(c, 10000, &t, body, &e) != 0)
		return 0;
	return t;
}

static struct channel *greeted_lane(enum lane lane)
{
	struct channel *c = connect_lane(lane, lane);
	struct slice body;

	ck_assert_int_eq(next_frame(c, &body), FRAME_READY);
	return c;
}

static size_t begin_batch(struct channel *c, uint32_t number, uint16_t count)
{
	size_t mark = ipc_begin(channel_out(c), FRAME_BATCH);

	ipc_put_u32(channel_out(c), number);
	ipc_put_u16(channel_out(c), count);
	return mark;
}

static struct request ask(enum method m, const char *path)
{
	return (struct request){ .id = 5,
				 .session = 1,
				 .method = m,
				 .content_format = MEDIA_NONE,
				 .accept = MEDIA_NONE,
				 .want_body = true,
				 .path = slice_str(path) };
}

static struct evidence local(void)
{
	return (struct evidence){ .kind = EVIDENCE_LOCAL,
				  .transport = TRANSPORT_UNIX,
				  .uid = getuid() };
}

static struct evidence plain(void)
{
	return (struct evidence){ .kind = EVIDENCE_PLAIN,
				  .transport = TRANSPORT_HTTP,
				  .ip = { [10] = 0xff, 0xff, 127, 0, 0, 1 },
				  .port = 1 };
}

/* Admit session 1 by ev, ask rq, skip what comes before the answer. 0: the lane was closed. */
static unsigned ask_once(struct channel *c, const struct evidence *ev, const struct request *rq,
			 struct response *rs)
{
	size_t mark = begin_batch(c, 9, ev ? 2 : 1);
	struct slice body;
	enum frame_type t;

	if (ev)
		ipc_put_admit(channel_out(c), rq->session, ev);
	ipc_put_request(channel_out(c), rq);
	ipc_end(channel_out(c), mark);
	while ((t = next_frame(c, &body)) != 0 && t != FRAME_REPLIES)
		continue;
	if (t == 0)
		return 0;
	struct rd r = rd_init(body);
	ck_assert_uint_eq(rd_u32(&r), 9);
	ck_assert_uint_eq(rd_u8(&r), 1);
	ck_assert_uint_eq(rd_u16(&r), 1);
	ck_assert(ipc_get_response(&r, rs));
	ck_assert(rd_done(&r));
	ck_assert_uint_eq(rs->id, rq->id);
	return rs->status;
}

START_TEST(lanes_are_told_apart)
{
	struct channel *net = greeted_lane(LANE_NETWORK), *control = greeted_lane(LANE_CONTROL);
	struct evidence here = local(), stranger = plain();
	struct request health = ask(METHOD_GET, "/healthz"),
		       status = ask(METHOD_GET, "/api/v1/status");
	struct response rs;

	ck_assert_uint_eq(ask_once(net, &stranger, &health, &rs), 200);
	ck_assert_uint_eq(ask_once(net, NULL, &status, &rs), 401);
	ck_assert_uint_eq(ask_once(control, &here, &status, &rs), 200);
	channel_free(net);
	channel_free(control);
}
END_TEST

/* Three at once, of which the one in the middle writes and fails: the others stay, once each. */
START_TEST(a_batch_runs_again_for_one_that_fails)
{
	static const struct {
		const char *body;
		unsigned status;
	} posts[] = {
		{ "{\"id\":\"one\",\"auth\":\"none\"}", 201 },
		{ "{\"id\":\"one\",\"auth\":\"none\"}", 409 },
		{ "{\"id\":\"two\",\"auth\":\"none\"}", 201 },
	};
	struct channel *c = greeted_lane(LANE_CONTROL);
	struct evidence here = local();
	struct request rq = ask(METHOD_POST, "/api/v1/devices");
	struct response rs;
	struct slice body;

	ck_assert_int_ge(ask_once(c, &here, &rq, &rs), 400);
	for (unsigned round = 0; round < 2; round++) {
		/* the second time with savepoints from the start, and nothing new in it */
		size_t mark = begin_batch(c, 11, 3);
		for (size_t i = 0; i < 3; i++) {
			rq.body = slice_str(posts[i].body);
			ipc_put_request(channel_out(c), &rq);
		}
		ipc_end(channel_out(c), mark);
		ck_assert_int_eq(next_frame(c, &body), FRAME_REPLIES);
		struct rd r = rd_init(body);
		ck_assert_uint_eq(rd_u32(&r), 11);
		ck_assert_uint_eq(rd_u8(&r), 1);
		ck_assert_uint_eq(rd_u16(&r), 3);
		for (size_t i = 0; i < 3; i++) {
			ck_assert(ipc_get_response(&r, &rs));
			ck_assert_uint_eq(rs.status, round == 0 ? posts[i].status : 409);
		}
	}
	rq = ask(METHOD_GET, "/api/v1/devices/two");
	ck_assert_uint_eq(ask_once(c, NULL, &rq, &rs), 200);
	channel_free(c);
}
END_TEST

static bool lane_is_closed(struct channel *c)
{
	struct slice body;

	return next_frame(c, &body) == 0;
}

static void still_serves(void)
{
	struct channel *c = greeted_lane(LANE_NETWORK);
	struct evidence stranger = plain();
	struct request health = ask(METHOD_GET, "/healthz");
	struct response rs;

	ck_assert_uint_eq(ask_once(c, &stranger, &health, &rs), 200);
	channel_free(c);
}

START_TEST(forged_local_credentials_are_refused)
{
	struct channel *c = greeted_lane(LANE_NETWORK);
	struct evidence root = local();
	struct request status = ask(METHOD_GET, "/api/v1/status");
	struct response rs;

	root.uid = 0;
	ck_assert_uint_eq(ask_once(c, &root, &status, &rs), 0);
	channel_free(c);
	still_serves();
}
END_TEST

START_TEST(forged_greeting_is_refused)
{
	struct channel *c = connect_lane(LANE_NETWORK, LANE_CONTROL);

	ck_assert(lane_is_closed(c));
	channel_free(c);
	still_serves();
}
END_TEST

START_TEST(forged_tokens_and_sessions_are_refused)
{
	struct channel *c = greeted_lane(LANE_NETWORK);
	struct evidence stranger = plain();
	struct request rq = ask(METHOD_GET, "/api/v1/status");
	struct response rs;

	rq.token = slice_str("ft_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	ck_assert_uint_eq(ask_once(c, &stranger, &rq, &rs), 401);
	rq.session = 77; /* never admitted */
	ck_assert_uint_eq(ask_once(c, NULL, &rq, &rs), 401);
	ck_assert(rs.close);
	channel_free(c);
}
END_TEST

/* Frames that no front sends: each closes its lane and nothing else. */
static const struct {
	const char *what;
	int type;
	const char *bytes;
	size_t n;
} bad_frames[] = {
	{ "batch without a head", FRAME_BATCH, "\0\0\0", 3 },
	{ "batch of nothing that is there", FRAME_BATCH, "\0\0\0\1\0\1", 6 },
	{ "batch with a byte too many", FRAME_BATCH, "\0\0\0\1\0\0x", 7 },
	{ "batch of too many", FRAME_BATCH, "\0\0\0\1\xff\xff", 6 },
	{ "batch with an unknown entry", FRAME_BATCH, "\0\0\0\1\0\1\x63", 7 },
	{ "a core's frame", FRAME_REPLIES, "\0\0\0\1\1\0\0", 7 },
	{ "a key question", FRAME_KEY_ASK, "\0\0\0\1x", 5 },
	{ "an unknown frame", 200, "", 0 },
	{ "upload opening", FRAME_UPLOAD_OPEN, "\0\0", 2 },
	{ "upload end", FRAME_UPLOAD_CLOSE, "\0\0\0\1\1", 5 },
	{ "figures of another number", FRAME_FIGURES, "\1\0\0\0\0\0\0\0\1", 9 },
	{ "figures cut off", FRAME_FIGURES, "\11\0\0\0\0\0\0\0\1", 9 },
	{ "a second greeting", FRAME_HELLO, "\0\0\0\0\1", 5 },
};

START_TEST(malformed_frames_close_the_lane)
{
	struct channel *c = greeted_lane(LANE_NETWORK);
	size_t mark = ipc_begin(channel_out(c), (enum frame_type)bad_frames[_i].type);

	if (bad_frames[_i].n)
		buf_add(channel_out(c), bad_frames[_i].bytes, bad_frames[_i].n);
	ipc_end(channel_out(c), mark);
	ck_assert_msg(lane_is_closed(c), "%s", bad_frames[_i].what);
	channel_free(c);
	still_serves();
}
END_TEST

/* ---- uploads and grants ---- */

static struct ipc_upload_open opening(uint64_t size, const struct digest *d)
{
	return (struct ipc_upload_open){ .upload = 3,
					 .request = ask(METHOD_POST, "/api/v1/images"),
					 .has_size = true,
					 .size = size,
					 .has_digest = true,
					 .digest = *d,
					 .complete = -1 };
}

/* Send bytes as an image; the status of the final answer. */
static unsigned upload_as(struct channel *c, const struct ipc_upload_open *o, struct slice bytes,
			  char location[PATH_MAX_LEN])
{
	unsigned credit = 0;
	bool ended = false;
	struct response rs;
	struct slice body;
	enum frame_type t;

	ipc_put_upload_open(channel_out(c), o);
	while ((t = next_frame(c, &body)) != 0) {
		struct rd r = rd_init(body);
		if (t != FRAME_UPLOAD_CREDIT && t != FRAME_UPLOAD_DONE)
			continue;
		ck_assert_uint_eq(rd_u32(&r), 3);
		if (t == FRAME_UPLOAD_DONE) {
			ck_assert(ipc_get_response(&r, &rs));
			if (location)
				text_copy(location, PATH_MAX_LEN, rs.location);
			return rs.status;
		}
		for (credit += rd_u8(&r); credit && bytes.n; credit--) {
			size_t n = bytes.n < IPC_CHUNK_MAX ? bytes.n : IPC_CHUNK_MAX;
			size_t mark = ipc_begin(channel_out(c), FRAME_UPLOAD_CHUNK);
			ipc_put_u32(channel_out(c), 3);
			buf_add(channel_out(c), bytes.p, n);
			ipc_end(channel_out(c), mark);
			bytes = slice_of(bytes.p + n, bytes.n - n);
		}
		if (bytes.n == 0 && !ended) {
			size_t mark = ipc_begin(channel_out(c), FRAME_UPLOAD_CLOSE);
			ipc_put_u32(channel_out(c), 3);
			ipc_end(channel_out(c), mark);
			ended = true;
		}
	}
	return 0;
}

static unsigned upload(struct channel *c, struct slice bytes, const struct digest *d)
{
	struct ipc_upload_open o = opening(bytes.n, d);

	return upload_as(c, &o, bytes, NULL);
}

static void admit_local(struct channel *c)
{
	struct evidence here = local();
	struct request health = ask(METHOD_GET, "/healthz");
	struct response rs;

	ck_assert_uint_eq(ask_once(c, &here, &health, &rs), 200);
}

static void put_get(struct channel *c, const char *path)
{
	struct request rq = ask(METHOD_GET, path);
	size_t mark = begin_batch(c, 9, 1);

	ipc_put_request(channel_out(c), &rq);
	ipc_end(channel_out(c), mark);
}

START_TEST(an_image_comes_in_and_is_handed_out)
{
	enum { SIZE = 300001 };
	static uint8_t bytes[SIZE], again[SIZE];
	struct channel *c = greeted_lane(LANE_CONTROL);
	char hex[DIGEST_TEXT], path[160];
	struct digest d, wrong;
	struct response rs;
	struct ipc_grant g;
	struct slice body;

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	ck_assert_int_eq(sha256_once(slice_of(bytes, SIZE), &d), 0);
	wrong = d;
	wrong.b[0] ^= 1;
	admit_local(c);
	ck_assert_uint_ge(upload(c, slice_of(bytes, SIZE), &wrong), 400);
	ck_assert_uint_eq(upload(c, slice_of(bytes, SIZE), &d), 201);
	digest_text(hex, &d);
	text_format(path, sizeof(path), "/api/v1/images/%s/content", hex);
	put_get(c, path);
	/* the first time with its descriptor, ahead of the answer that names it */
	ck_assert_int_eq(next_frame(c, &body), FRAME_GRANT);
	struct rd r = rd_init(body);
	ck_assert(ipc_get_grant(&r, &g));
	ck_assert(g.has_fd);
	ck_assert(digest_eq(&g.digest, &d));
	ck_assert_uint_eq(g.size, SIZE);
	ck_assert_str_eq(g.path, path);
	int fd = channel_take_fd(c);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, again, SIZE, 0), SIZE);
	ck_assert_mem_eq(bytes, again, SIZE);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	close(fd);
	ck_assert_int_eq(next_frame(c, &body), FRAME_REPLIES);
	r = rd_init(slice_of(body.p + 7, body.n - 7));
	ck_assert(ipc_get_response(&r, &rs));
	ck_assert_uint_eq(rs.status, 200);
	ck_assert(rs.has_object);
	/* the second time without */
	put_get(c, path);
	ck_assert_int_eq(next_frame(c, &body), FRAME_GRANT);
	r = rd_init(body);
	ck_assert(ipc_get_grant(&r, &g));
	ck_assert(!g.has_fd);
	channel_free(c);
}
END_TEST

START_TEST(what_was_answered_survives)
{
	static const char device[] = "{\"id\": \"lamp-1\", \"auth\": \"none\"}";
	struct channel *c = greeted_lane(LANE_CONTROL);
	struct request rq = ask(METHOD_POST, "/api/v1/devices");
	struct response rs;
	int status;

	admit_local(c);
	rq.content_format = MEDIA_JSON;
	rq.body = slice_str(device);
	ck_assert_uint_eq(ask_once(c, NULL, &rq, &rs), 201);
	kill(core_pid, SIGKILL);
	ck_assert_int_eq(waitpid(core_pid, &status, 0), core_pid);
	close(parent_fd);
	channel_free(c);
	start_core();
	c = greeted_lane(LANE_CONTROL);
	admit_local(c);
	rq = ask(METHOD_GET, "/api/v1/devices/lamp-1");
	ck_assert_uint_eq(ask_once(c, NULL, &rq, &rs), 200);
	channel_free(c);
}
END_TEST

/* What came before a restart is hashed in slices; the answer waits for them, others do not. */
START_TEST(an_upload_goes_on_after_a_restart)
{
	enum { LARGE = 48 << 20, REST = 1000 };
	uint8_t *bytes = malloc(LARGE);
	struct channel *c = greeted_lane(LANE_CONTROL);
	char where[PATH_MAX_LEN] = "";
	struct ipc_upload_open o;
	struct digest d;
	int status;

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (uint8_t)(i >> 8 ^ i);
	ck_assert_int_eq(sha256_once(slice_of(bytes, LARGE), &d), 0);
	admit_local(c);
	o = opening(LARGE, &d);
	o.complete = 0;
	ck_assert_uint_eq(upload_as(c, &o, slice_of(bytes, LARGE - REST), where), 201);
	kill(core_pid, SIGKILL);
	ck_assert_int_eq(waitpid(core_pid, &status, 0), core_pid);
	close(parent_fd);
	channel_free(c);
	start_core();
	c = greeted_lane(LANE_CONTROL);
	admit_local(c);
	o = opening(LARGE, &d);
	o.request = ask(METHOD_PATCH, where);
	o.has_offset = true;
	o.offset = LARGE - REST;
	o.complete = 1;
	ck_assert_uint_eq(upload_as(c, &o, slice_of(bytes + LARGE - REST, REST), NULL), 201);
	channel_free(c);
	free(bytes);
}
END_TEST

/* As after a year in which the battery of the clock ran out. */
static void commit_a_later_time(void)
{
	struct store_options o = { .dir = dir, .cache_bytes = 1 << 20 };
	struct store *st;
	int status;

	kill(core_pid, SIGKILL);
	ck_assert_int_eq(waitpid(core_pid, &status, 0), core_pid);
	close(parent_fd);
	ck_assert_int_eq(store_open(&o, &st, NULL), 0);
	ck_assert_int_eq(store_meta_put_int(st, "track_wall",
					    clock_wall_ms() + 365 * INT64_C(86400000), NULL),
			 0);
	store_close(st);
	start_core();
}

static bool clock_trusted(struct channel *c)
{
	struct request rq = ask(METHOD_GET, "/api/v1/status");
	struct response rs;

	ck_assert_uint_eq(ask_once(c, NULL, &rq, &rs), 200);
	return memmem(rs.body.p, rs.body.n, "\"trusted\":true", 14) != NULL;
}

START_TEST(a_clock_is_trusted_on_an_operators_word)
{
	struct channel *c;
	struct request rq;
	struct response rs;

	commit_a_later_time();
	c = greeted_lane(LANE_CONTROL);
	admit_local(c);
	ck_assert(!clock_trusted(c));
	rq = ask(METHOD_POST, "/api/v1/clock/accept");
	ck_assert_uint_eq(ask_once(c, NULL, &rq, &rs), 200);
	for (int i = 0; i < 150 && !clock_trusted(c); i++)
		ck_assert_int_eq(usleep(100000), 0);
	ck_assert(clock_trusted(c));
	channel_free(c);
}
END_TEST

/* As one that failed for the moment: the core looks at it then, though nobody wakes it. */
static void leave_a_job_for_later(int64_t ms)
{
	struct store_options o = { .dir = dir, .cache_bytes = 1 << 20 };
	struct job j = { .kind = "of-another-version", .state = JOB_RUNNING, .tries = 1 };
	struct store *st;
	int64_t track = 0;
	int status;

	kill(core_pid, SIGKILL);
	ck_assert_int_eq(waitpid(core_pid, &status, 0), core_pid);
	close(parent_fd);
	ck_assert_int_eq(store_open(&o, &st, NULL), 0);
	ck_assert_int_eq(store_meta_get_int(st, "track", &track, NULL), 1);
	j.due = track + ms;
	ck_assert_int_eq(store_job_add(st, &j, NULL), 0);
	store_close(st);
	start_core();
}

static bool job_failed(struct channel *c)
{
	struct request rq = ask(METHOD_GET, "/api/v1/jobs/1");
	struct response rs;

	ck_assert_uint_eq(ask_once(c, NULL, &rq, &rs), 200);
	return memmem(rs.body.p, rs.body.n, "\"failed\"", 8) != NULL;
}

START_TEST(a_job_is_tried_again_when_due)
{
	struct channel *c;

	leave_a_job_for_later(2000);
	c = greeted_lane(LANE_CONTROL);
	admit_local(c);
	/* well before the next sweep finds it */
	for (int i = 0; i < 300 && !job_failed(c); i++)
		ck_assert_int_eq(usleep(100000), 0);
	ck_assert(job_failed(c));
	channel_free(c);
}
END_TEST

START_TEST(pings_are_answered_meanwhile)
{
	struct pollfd p = { .fd = parent_fd, .events = POLLIN };
	struct parent_msg m;
	int fd;

	ck_assert_int_eq(parent_msg_send(parent_fd, PM_PING, 1, 4711, -1), 0);
	ck_assert_int_eq(poll(&p, 1, 5000), 1);
	ck_assert_int_eq(parent_msg_recv(parent_fd, &m, &fd), 1);
	ck_assert_uint_eq(m.type, PM_PONG);
	ck_assert_uint_eq(m.value, 4711);
}
END_TEST

static unsigned say(struct channel *c, enum method m, const char *path, const char *json,
		    const struct evidence *ev)
{
	struct request rq = ask(m, path);
	struct response rs;

	rq.content_format = MEDIA_JSON;
	rq.body = slice_str(json);
	return ask_once(c, ev, &rq, &rs);
}

static void put_sent(struct channel *c, const uint8_t tag[IPC_SEND_TAG], uint16_t status)
{
	struct ipc_sent s = { .status = status, .media = MEDIA_NONE };
	size_t mark = begin_batch(c, 9, 1);

	memcpy(s.tag, tag, sizeof(s.tag));
	ipc_put_sent(channel_out(c), &s);
	ipc_end(channel_out(c), mark);
}

/* An operator's question becomes a call over the device's own session, and its answer counts. */
START_TEST(a_device_is_called_and_its_answer_comes_back)
{
	struct channel *net = greeted_lane(LANE_NETWORK), *control = greeted_lane(LANE_CONTROL);
	struct evidence here = local(), device = plain();
	struct ipc_send call = { .port = 1 };
	struct slice body;
	enum frame_type t;

	device.transport = TRANSPORT_COAP;
	ck_assert_uint_eq(say(control, METHOD_POST, "/api/v1/devices",
			      "{\"id\":\"cam\",\"auth\":\"none\",\"mode\":\"server\"}", &here),
			  201);
	ck_assert_uint_lt(say(net, METHOD_PUT, "/device/cam",
			      "{\"boot\":1,\"counter\":1,\"capabilities\":[\"diag\"]}", &device),
			  300);
	ck_assert_uint_eq(say(control, METHOD_POST, "/api/v1/devices/cam/diag", "{}", NULL), 200);
	while ((t = next_frame(net, &body)) != 0 && t != FRAME_SEND)
		continue;
	ck_assert_int_eq(t, FRAME_SEND);
	struct rd r = rd_init(body);
	ck_assert(ipc_get_send(&r, &call));
	ck_assert_uint_eq(call.session, 1);
	ck_assert_uint_eq(call.port, 0);
	ck_assert_str_eq(call.path, "/fettle/diag");
	/* what no call is awaited for is let be, and so is the answer given twice */
	put_sent(net, (const uint8_t[IPC_SEND_TAG]){ 1, 2, 3 }, 204);
	ck_assert_int_eq(next_frame(net, &body), FRAME_REPLIES);
	put_sent(net, call.tag, 204);
	ck_assert_int_eq(next_frame(net, &body), FRAME_REPLIES);
	put_sent(net, call.tag, 204);
	ck_assert_int_eq(next_frame(net, &body), FRAME_REPLIES);
	/* nobody calls devices from the control lane */
	put_sent(control, call.tag, 204);
	ck_assert(lane_is_closed(control));
	channel_free(control);
	channel_free(net);
	still_serves();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon/core");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lanes_are_told_apart);
	tcase_add_test(t, a_device_is_called_and_its_answer_comes_back);
	tcase_add_test(t, a_batch_runs_again_for_one_that_fails);
	tcase_add_test(t, forged_local_credentials_are_refused);
	tcase_add_test(t, forged_greeting_is_refused);
	tcase_add_test(t, forged_tokens_and_sessions_are_refused);
	tcase_add_loop_test(t, malformed_frames_close_the_lane, 0,
			    (int)(sizeof(bad_frames) / sizeof(bad_frames[0])));
	tcase_add_test(t, an_image_comes_in_and_is_handed_out);
	tcase_add_test(t, what_was_answered_survives);
	tcase_add_test(t, an_upload_goes_on_after_a_restart);
	tcase_add_test(t, a_clock_is_trusted_on_an_operators_word);
	tcase_add_test(t, a_job_is_tried_again_when_due);
	tcase_add_test(t, pings_are_answered_meanwhile);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
