/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/*
 * Load over CoAPS with pre-shared keys, one UDP socket a session.
 *
 *   dtls_load MODE --port N [options]
 *
 *   full      handshakes, one after the other in each of --window slots
 *   resumed   the same with the ticket of the slot's first session
 *   blocks    random blocks of --path compared with --file, --depth at a time in
 *             each of --window sessions
 *   hold      opens --window sessions, says "held", keeps them until stdin ends
 *
 *   --seconds S     how long is counted (2), after --warm ms (300)
 *   --keys N        identities secure-0000000 and on, key "fettle-benchmark" (1000)
 *   --szx N, --depth N
 *
 * Prints one line of JSON. Exit code 1: an answer was wrong, or nothing was done.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "bench/bench.h"

#define EVENTS 64
#define GIVE_UP_US 5000000
#define AGAIN_US 1000000
#define DEPTH_MAX 64

enum mode { FULL, RESUMED, BLOCKS, HOLD, MODES };
static const char *const mode_names[MODES] = { "full", "resumed", "blocks", "hold" };

struct asked {
	uint64_t token;
	uint32_t num;
	int64_t sent;
	bool busy;
};

struct client {
	SSL *ssl;
	SSL_SESSION *ticket;
	int fd;
	uint32_t key;
	uint16_t mid;
	bool open;
	int64_t begun;
	struct asked asked[DEPTH_MAX];
};

struct load {
	enum mode mode;
	long port, window, seconds, warm_ms, keys, szx, depth;
	const char *path;
	struct bench_file file;
	SSL_CTX *ctx;
	int epoll;
	struct client *clients;
	uint32_t next_key;
	uint64_t serial, right, wrong, repeated, failed, open;
	int64_t warm_until, until;
	struct times times;
};

/* ---- one session ---- */

static unsigned psk(SSL *ssl, const char *hint, char *identity, unsigned identity_cap,
		    unsigned char *key, unsigned key_cap)
{
	const struct client *c = SSL_get_app_data(ssl);

	(void)hint;
	if (key_cap < 16 || text_format(identity, identity_cap, "secure-%07" PRIu32, c->key) != 0)
		return 0;
	memcpy(key, "fettle-benchmark", 16);
	return 16;
}

static int connected_socket(const struct load *l)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("dtls_load: socket");
	return fd;
}

static void client_open(struct load *l, struct client *c)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port) };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	BIO *bio;

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = connected_socket(l);
	if (!c->ticket)
		c->key = l->next_key++ % (uint32_t)l->keys;
	c->ssl = SSL_new(l->ctx);
	bio = BIO_new_dgram(c->fd, BIO_NOCLOSE);
	if (!c->ssl || !bio)
		die("dtls_load: SSL_new");
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_app_data(c->ssl, c);
	SSL_set_options(c->ssl, SSL_OP_NO_QUERY_MTU);
	SSL_set_mtu(c->ssl, 1400);
	SSL_set_connect_state(c->ssl);
	if (c->ticket)
		SSL_set_session(c->ssl, c->ticket);
	c->open = false;
	c->begun = clock_mono_us();
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("dtls_load: epoll");
}

static void shake(struct load *l, struct client *c);

static void client_close(struct client *c)
{
	if (!c->ssl)
		return;
	(void)SSL_shutdown(c->ssl); /* the notice is sent; nobody waits for its answer */
	SSL_free(c->ssl);
	c->ssl = NULL;
	close(c->fd);
}

/* ---- blocks ---- */

static void ask(struct load *l, struct client *c, unsigned slot)
{
	struct asked *a = &c->asked[slot];
	struct request_out out;

	a->token = ++l->serial << 8 | slot;
	a->num = (uint32_t)(bench_random() % file_blocks(&l->file, (unsigned)l->szx));
	a->sent = clock_mono_us();
	a->busy = true;
	out_begin(&out, COAP_GET, c->mid++, a->token);
	out_path(&out, l->path);
	out_uint(&out, OPTION_BLOCK2, a->num << 4 | (uint32_t)l->szx);
	if (SSL_write(c->ssl, out.b, (int)out.n) <= 0)
		l->failed++;
}

static void answered(struct load *l, struct client *c, const uint8_t *p, size_t n)
{
	int64_t now = clock_mono_us();
	struct answer a;
	struct asked *q;

	if (!answer_read(&a, p, n) || !a.ours || (a.token & 0xff) >= DEPTH_MAX)
		return;
	q = &c->asked[a.token & 0xff];
	if (!q->busy || q->token != a.token)
		return;
	q->busy = false;
	if (!file_block_right(&l->file, &a, q->num, (unsigned)l->szx)) {
		if (l->wrong++ == 0)
			fprintf(stderr, "dtls_load: answer %d.%02d is not the block asked for\n",
				a.code >> 5, a.code & 31);
	} else if (q->sent >= l->warm_until && now < l->until) {
		l->right++;
		times_add(&l->times, now - q->sent);
	}
	if (now < l->until)
		ask(l, c, (unsigned)(a.token & 0xff));
}

static void read_all(struct load *l, struct client *c)
{
	uint8_t b[2048];
	int n;

	while ((n = SSL_read(c->ssl, b, sizeof(b))) > 0)
		answered(l, c, b, (size_t)n);
}

/* ---- handshakes ---- */

static void finished(struct load *l, struct client *c)
{
	int64_t now = clock_mono_us();

	c->open = true;
	l->open++;
	if (l->mode == HOLD)
		return;
	if (l->mode == BLOCKS) {
		for (unsigned i = 0; i < (unsigned)l->depth; i++)
			ask(l, c, i);
		return;
	}
	if (l->mode == RESUMED && c->ticket && !SSL_session_reused(c->ssl)) {
		l->wrong++;
	} else if (c->begun >= l->warm_until && now < l->until) {
		l->right++;
		times_add(&l->times, now - c->begun);
	}
	if (l->mode == RESUMED && !c->ticket)
		c->ticket = SSL_get1_session(c->ssl);
	client_close(c);
	if (now >= l->until)
		return;
	client_open(l, c);
	shake(l, c);
}

static void shake(struct load *l, struct client *c)
{
	ERR_clear_error();
	int rc = SSL_do_handshake(c->ssl);

	if (rc == 1) {
		finished(l, c);
		return;
	}
	int why = SSL_get_error(c->ssl, rc);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return;
	if (l->failed++ == 0)
		ERR_print_errors_fp(stderr);
	client_close(c);
	client_open(l, c);
	(void)SSL_do_handshake(c->ssl);
}

static void repeat_lost(struct load *l, int64_t now)
{
	for (long i = 0; i < l->window; i++) {
		struct client *c = &l->clients[i];

		if (!c->ssl)
			continue;
		if (!c->open && now - c->begun > GIVE_UP_US) {
			l->failed++;
			client_close(c);
			client_open(l, c);
			(void)SSL_do_handshake(c->ssl);
		} else if (!c->open && DTLSv1_handle_timeout(c->ssl) > 0) {
			l->repeated++;
		}
		for (unsigned k = 0; c->open && l->mode == BLOCKS && k < DEPTH_MAX; k++)
			if (c->asked[k].busy && c->asked[k].sent + AGAIN_US < now) {
				l->repeated++;
				ask(l, c, k);
			}
	}
}

static bool more(const struct load *l, int64_t now)
{
	if (l->mode == HOLD)
		return l->open < (uint64_t)l->window && now < l->until + GIVE_UP_US * 8;
	return now < l->until;
}

static void run(struct load *l)
{
	struct epoll_event ev[EVENTS];
	int64_t now = clock_mono_us(), look = now + AGAIN_US / 4;
	long begun = 0;

	l->warm_until = now + l->warm_ms * 1000;
	l->until = l->warm_until + l->seconds * 1000000;
	while (more(l, now)) {
		/* no more than 64 first handshakes under way */
		while (begun < l->window && begun < (long)l->open + 64) {
			client_open(l, &l->clients[begun]);
			shake(l, &l->clients[begun++]);
		}
		int n = epoll_wait(l->epoll, ev, EVENTS, 20);
		for (int i = 0; i < n; i++) {
			struct client *c = ev[i].data.ptr;

			if (!c->ssl)
				continue;
			if (!c->open)
				shake(l, c);
			else
				read_all(l, c);
		}
		now = clock_mono_us();
		if (now >= look) {
			repeat_lost(l, now);
			look = now + AGAIN_US / 4;
		}
	}
}

/* ---- before and after ---- */

static void prepare(struct load *l)
{
	struct rlimit files;

	if (l->window < 1 || l->port < 1 || l->port > 65535 || l->keys < 1 || l->szx > 6 ||
	    l->depth < 1 || l->depth > DEPTH_MAX ||
	    (l->mode == BLOCKS && (!l->path || !l->file.n))) {
		fprintf(stderr, "dtls_load: a number is out of range, or no --path and --file\n");
		exit(64);
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	l->clients = calloc((size_t)l->window, sizeof(*l->clients));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->ctx = SSL_CTX_new(DTLS_client_method());
	if (!l->clients || l->epoll < 0 || !l->ctx ||
	    SSL_CTX_set_cipher_list(l->ctx, "PSK-AES128-CCM8:PSK-AES128-CCM") != 1)
		die("dtls_load");
	SSL_CTX_set_max_proto_version(l->ctx, DTLS1_2_VERSION);
	SSL_CTX_set_session_cache_mode(l->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_psk_client_callback(l->ctx, psk);
	SSL_CTX_set_read_ahead(l->ctx, 1);
}

static void options(struct load *l, int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", 1, NULL, 'p' },  { "window", 1, NULL, 'w' }, { "seconds", 1, NULL, 's' },
		{ "warm", 1, NULL, 'W' },  { "keys", 1, NULL, 'k' },   { "szx", 1, NULL, 'z' },
		{ "depth", 1, NULL, 'd' }, { "path", 1, NULL, 'P' },   { "file", 1, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	struct {
		int name;
		long *to;
	} numbers[] = { { 'p', &l->port },    { 'w', &l->window }, { 's', &l->seconds },
			{ 'W', &l->warm_ms }, { 'k', &l->keys },   { 'z', &l->szx },
			{ 'd', &l->depth } };
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == '?')
			exit(64);
		if (c == 'P')
			l->path = optarg;
		if (c == 'f')
			l->file = file_load(optarg);
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			if (numbers[i].name == c)
				*numbers[i].to = bench_number(optarg);
	}
	while (l->mode < MODES &&
	       (optind >= argc || strcmp(argv[optind], mode_names[l->mode]) != 0))
		l->mode++;
	if (l->mode == MODES) {
		fprintf(stderr, "usage: dtls_load full|resumed|blocks|hold --port N ...\n");
		exit(64);
	}
}

static int hold(struct load *l)
{
	char c;

	printf("held %" PRIu64 "\n", l->open);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	for (long i = 0; i < l->window; i++)
		client_close(&l->clients[i]);
	return l->open == (uint64_t)l->window ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct load l = {
		.window = 32, .seconds = 2, .warm_ms = 300, .keys = 1000, .szx = 6, .depth = 1
	};

	options(&l, argc, argv);
	prepare(&l);
	run(&l);
	if (l.mode == HOLD)
		return hold(&l);
	printf("{\"mode\": \"%s\", \"rate\": %.0f, \"right\": %" PRIu64 ", \"wrong\": %" PRIu64
	       ", \"failed\": %" PRIu64 ", \"repeated\": %" PRIu64 ", \"p50_us\": %" PRIu64
	       ", \"p99_us\": %" PRIu64 ", \"max_us\": %" PRIu64 "}\n",
	       mode_names[l.mode], (double)l.right / (double)l.seconds, l.right, l.wrong, l.failed,
	       l.repeated, times_at(&l.times, 500), times_at(&l.times, 990), l.times.max);
	for (long i = 0; i < l.window; i++)
		client_close(&l.clients[i]);
	return l.wrong || l.right == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
