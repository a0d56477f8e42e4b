/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/*
 * Load over plain CoAP from many client addresses.
 *
 *   coap_load MODE --port N [options]
 *
 *   blocks   random blocks of --path, compared with --file
 *   polls    GET /device/ID/update of devices drawn at random
 *   reports  POST /device/ID/report; one in four tells the next state
 *   echo     requests like those of blocks, to a udp_echo of --size bytes
 *
 *   --window W      requests under way (64)
 *   --addresses A   client addresses, 127.1.0.0 and on (64)
 *   --devices N     device-0000000 and on (10000)
 *   --seconds S     how long is counted (2), after --warm ms (300)
 *   --rate R        no more than R a second (0: as many as are answered)
 *   --szx N         block size 16 << N (6)
 *   --any           polls: an offer will do
 *   --every-once    polls: devices in turn, from an address each; ends after the last
 *
 * All addresses share one socket: the source is set with each datagram. SIGTERM ends the
 * counting early. Prints one line of JSON. Exit code 1: an answer was wrong, or none came.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "bench/bench.h"

#define TURN 64
#define AGAIN_US 1000000
#define WINDOW_MAX 65536
#define REPORTS_A_STATE 4

enum mode { BLOCKS, POLLS, REPORTS, ECHO, MODES };
static const char *const mode_names[MODES] = { "blocks", "polls", "reports", "echo" };

/* One request under way. */
struct flight {
	struct request_out out;
	uint64_t token;
	uint32_t address, num;
	int64_t sent, again;
	bool busy;
};

struct load {
	enum mode mode;
	long port, window, addresses, devices, seconds, warm_ms, rate, szx, size;
	bool every_once, any;
	const char *path, *file_name;
	struct bench_file file;
	int fd;
	struct sockaddr_in server;
	struct flight *flights;
	uint32_t *idle, n_idle;
	uint16_t *mids; /* next of each address */
	uint32_t *told; /* reports each device has sent */
	uint64_t serial, begun, right, wrong, refused, repeated;
	int64_t begin, warm_until, until;
	struct times times;
	/* out */
	unsigned n_out;
	struct mmsghdr heads[TURN];
	struct iovec io[TURN];
	union {
		uint8_t b[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control[TURN];
};

/* ---- out ---- */

static void flush(struct load *l)
{
	for (unsigned sent = 0; sent < l->n_out;) {
		int n = sendmmsg(l->fd, l->heads + sent, l->n_out - sent, 0);

		if (n < 0 && errno != EINTR && errno != ECONNREFUSED && errno != ENOBUFS)
			die("coap_load: sendmmsg");
		sent += n > 0 ? (unsigned)n : 0;
	}
	l->n_out = 0;
}

/* p lives until the flush. */
static void send_from(struct load *l, uint32_t address, void *p, size_t n)
{
	struct in_pktinfo source = { .ipi_ifindex = 0 };
	struct cmsghdr *h;

	if (l->n_out == TURN)
		flush(l);
	source.ipi_spec_dst.s_addr = htonl(0x7f010000u + address);
	h = &l->control[l->n_out].align;
	h->cmsg_level = IPPROTO_IP;
	h->cmsg_type = IP_PKTINFO;
	h->cmsg_len = CMSG_LEN(sizeof(source));
	memcpy(CMSG_DATA(h), &source, sizeof(source));
	l->io[l->n_out] = (struct iovec){ p, n };
	l->heads[l->n_out].msg_hdr = (struct msghdr){ .msg_name = &l->server,
						      .msg_namelen = sizeof(l->server),
						      .msg_iov = &l->io[l->n_out],
						      .msg_iovlen = 1,
						      .msg_control = l->control[l->n_out].b,
						      .msg_controllen = sizeof(l->control[0].b) };
	l->n_out++;
}

/* A CBOR unsigned number of at most 32 bits. */
static size_t put_number(uint8_t *to, uint32_t v)
{
	if (v < 24) {
		to[0] = (uint8_t)v;
		return 1;
	}
	if (v < 256) {
		to[0] = 0x18;
		to[1] = (uint8_t)v;
		return 2;
	}
	to[0] = 0x1a;
	to[1] = (uint8_t)(v >> 24);
	to[2] = (uint8_t)(v >> 16);
	to[3] = (uint8_t)(v >> 8);
	to[4] = (uint8_t)v;
	return 5;
}

/* {boot: 7, counter: n, state: word, progress: p} by the numbers of schema/device.cddl */
static void put_report(struct request_out *o, uint32_t n)
{
	static const char *const words[] = { "downloading", "downloaded", "installing", "rebooting",
					     "installed" };
	uint32_t state = n / REPORTS_A_STATE < 5 ? n / REPORTS_A_STATE : 4;
	size_t word = strlen(words[state]), k = 4;
	uint8_t b[64] = { 0xa4, 1, 7, 2 };

	k += put_number(b + k, n + 1);
	b[k++] = 19;
	b[k++] = (uint8_t)(0x60 | word);
	memcpy(b + k, words[state], word);
	k += word;
	b[k++] = 0x18;
	b[k++] = 48;
	k += put_number(b + k, n % 101);
	out_uint(o, OPTION_FORMAT, 60);
	out_payload(o, b, k);
}

static void device_path(struct request_out *o, uint64_t device, const char *tail)
{
	char id[32];

	if (text_format(id, sizeof(id), "device-%07" PRIu64, device) != 0)
		die("device");
	out_option(o, OPTION_PATH, "device", 6);
	out_option(o, OPTION_PATH, id, strlen(id));
	out_option(o, OPTION_PATH, tail, strlen(tail));
}

static void compose(struct load *l, struct flight *f)
{
	uint64_t device = l->every_once ? l->begun : bench_random() % (uint64_t)l->devices;
	uint64_t draw = l->mode == BLOCKS || l->mode == ECHO ? bench_random() : device;

	f->address = (uint32_t)(draw % (uint64_t)l->addresses);
	uint16_t mid = l->mids[f->address]++;
	out_begin(&f->out, l->mode == REPORTS ? COAP_POST : COAP_GET, mid, f->token);
	switch (l->mode) {
	case BLOCKS:
	case ECHO:
		f->num = (uint32_t)(bench_random() % file_blocks(&l->file, (unsigned)l->szx));
		out_path(&f->out, l->path);
		out_uint(&f->out, OPTION_BLOCK2, f->num << 4 | (uint32_t)l->szx);
		return;
	case POLLS:
		device_path(&f->out, device, "update");
		return;
	case REPORTS:
		device_path(&f->out, device, "report");
		put_report(&f->out, l->told[device]++);
		return;
	case MODES:
		return;
	}
}

static bool may_begin(const struct load *l, int64_t now)
{
	if (l->n_idle == 0 || now >= l->until)
		return false;
	if (l->every_once && l->begun >= (uint64_t)l->devices)
		return false;
	return l->rate == 0 || (int64_t)l->begun * 1000000 <= (now - l->begin) * (int64_t)l->rate;
}

static void begin_some(struct load *l, int64_t now)
{
	while (may_begin(l, now)) {
		uint32_t i = l->idle[--l->n_idle];
		struct flight *f = &l->flights[i];

		f->token = ++l->serial << 16 | i;
		f->busy = true;
		f->sent = now;
		f->again = now + AGAIN_US;
		compose(l, f);
		l->begun++;
		send_from(l, f->address, f->out.b, f->out.n);
	}
	flush(l);
}

static void repeat_lost(struct load *l, int64_t now)
{
	for (long i = 0; i < l->window; i++) {
		struct flight *f = &l->flights[i];

		if (!f->busy || f->again > now)
			continue;
		f->again = now + 2 * AGAIN_US;
		l->repeated++;
		send_from(l, f->address, f->out.b, f->out.n);
	}
	flush(l);
}

/* ---- in ---- */

/* Whether it says what was asked for. */
static bool right(const struct load *l, const struct flight *f, const struct answer *a, size_t n)
{
	switch (l->mode) {
	case BLOCKS:
		return file_block_right(&l->file, a, f->num, (unsigned)l->szx);
	case ECHO:
		return n == (size_t)l->size;
	case POLLS: /* {now, ask_again} and no more: a map of two */
		return a->code == COAP_CONTENT && a->n > 0 && (a->payload[0] == 0xa2 || l->any);
	case REPORTS: /* {now, ask_again, update, state}: four; no "duplicate" */
		return (a->code == COAP_CHANGED || a->code == COAP_CONTENT) && a->n > 0 &&
		       a->payload[0] == 0xa4;
	case MODES:
		break;
	}
	return false;
}

static void complain(struct load *l, const struct answer *a)
{
	if (l->wrong++ == 0)
		fprintf(stderr,
			"coap_load: %s: answer %d.%02d, %zu bytes, is not what was asked for\n",
			mode_names[l->mode], a->code >> 5, a->code & 31, a->n);
}

static void take(struct load *l, const uint8_t *p, size_t n, int64_t now)
{
	struct answer a;
	struct flight *f;

	if (l->mode == ECHO) {
		a = (struct answer){ .ours = n >= 12, .code = COAP_CONTENT };
		if (a.ours)
			memcpy(&a.token, p + 4, 8);
	} else if (!answer_read(&a, p, n)) {
		complain(l, &a);
		return;
	}
	if (!a.ours || (a.token & 0xffff) >= (uint64_t)l->window)
		return; /* an empty acknowledgement: the answer comes */
	f = &l->flights[a.token & 0xffff];
	if (!f->busy || f->token != a.token)
		return;
	if (l->mode != ECHO && a.type == COAP_CON) {
		uint8_t ack[4] = { 0x60, 0, (uint8_t)(a.mid >> 8), (uint8_t)a.mid };

		send_from(l, f->address, ack, sizeof(ack));
		flush(l);
	}
	f->busy = false;
	l->idle[l->n_idle++] = (uint32_t)(a.token & 0xffff);
	if (a.code == COAP_BUSY) {
		l->refused++;
	} else if (!right(l, f, &a, n)) {
		complain(l, &a);
	} else if (f->sent >= l->warm_until) {
		l->right++;
		times_add(&l->times, now - f->sent);
	}
}

static void receive(struct load *l)
{
	static uint8_t bytes[TURN][2048];
	static struct iovec io[TURN];
	static struct mmsghdr heads[TURN];

	for (unsigned i = 0; i < TURN; i++) {
		io[i] = (struct iovec){ bytes[i], sizeof(bytes[i]) };
		heads[i].msg_hdr = (struct msghdr){ .msg_iov = &io[i], .msg_iovlen = 1 };
	}
	int n = recvmmsg(l->fd, heads, TURN, MSG_DONTWAIT, NULL);
	int64_t now = clock_mono_us();
	for (int i = 0; i < n; i++)
		take(l, bytes[i], heads[i].msg_len, now);
	if (n <= 0) {
		struct pollfd p = { .fd = l->fd, .events = POLLIN };
		struct timespec wait = { .tv_nsec = l->rate ? 200000 : 5000000 };

		(void)ppoll(&p, 1, &wait, NULL);
	}
}

static volatile sig_atomic_t enough;

static void on_term(int signo)
{
	(void)signo;
	enough = 1;
}

static void run(struct load *l)
{
	int64_t now = clock_mono_us(), look = now + AGAIN_US / 4;

	l->begin = now;
	l->warm_until = now + l->warm_ms * 1000;
	l->until = l->every_once ? INT64_MAX : l->warm_until + l->seconds * 1000000;
	/* what is under way at the end is waited for, but not for ever */
	int64_t end = l->until == INT64_MAX ? INT64_MAX : l->until + 10 * AGAIN_US;
	while (now < end && (may_begin(l, now) || l->n_idle < (uint32_t)l->window ||
			     (now < l->until && !l->every_once))) {
		begin_some(l, now);
		receive(l);
		now = clock_mono_us();
		if (enough && now < l->until) {
			l->until = now;
			end = now + 10 * AGAIN_US;
		}
		if (now >= look) {
			repeat_lost(l, now);
			look = now + AGAIN_US / 4;
		}
	}
	if (now > l->until)
		now = l->until;
	printf("{\"mode\": \"%s\", \"rate\": %.0f, \"right\": %" PRIu64 ", \"wrong\": %" PRIu64
	       ", \"refused\": %" PRIu64 ", \"repeated\": %" PRIu64 ", \"unanswered\": %ld"
	       ", \"p50_us\": %" PRIu64 ", \"p99_us\": %" PRIu64 ", \"max_us\": %" PRIu64 "}\n",
	       mode_names[l->mode], (double)l->right * 1e6 / (double)(now - l->warm_until),
	       l->right, l->wrong, l->refused, l->repeated, l->window - (long)l->n_idle,
	       times_at(&l->times, 500), times_at(&l->times, 990), l->times.max);
}

/* ---- before ---- */

static void open_socket(struct load *l)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int buffer = 4 << 20;

	l->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&any, sizeof(any)) != 0)
		die("coap_load");
	(void)setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	(void)setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	l->server =
		(struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port) };
	l->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void prepare(struct load *l)
{
	if (l->window < 1 || l->window > WINDOW_MAX || l->addresses < 1 || l->devices < 1 ||
	    l->addresses > 0xfe0000 || l->port < 1 || l->port > 65535 || l->szx > 6) {
		fprintf(stderr, "coap_load: a number is out of range\n");
		exit(64);
	}
	if ((l->mode == BLOCKS || l->mode == ECHO) && (!l->path || !l->file_name)) {
		fprintf(stderr, "coap_load: needs --path and --file\n");
		exit(64);
	}
	if (l->file_name)
		l->file = file_load(l->file_name);
	l->flights = calloc((size_t)l->window, sizeof(*l->flights));
	l->idle = calloc((size_t)l->window, sizeof(*l->idle));
	l->mids = calloc((size_t)l->addresses, sizeof(*l->mids));
	l->told = calloc((size_t)l->devices, sizeof(*l->told));
	if (!l->flights || !l->idle || !l->mids || !l->told)
		die("coap_load");
	while (l->n_idle < (uint32_t)l->window) {
		l->idle[l->n_idle] = (uint32_t)(l->window - 1) - l->n_idle;
		l->n_idle++;
	}
	/* a server remembers message ids of an earlier run */
	uint16_t first = (uint16_t)clock_mono_us();
	for (long i = 0; i < l->addresses; i++)
		l->mids[i] = (uint16_t)(first + (unsigned)i * 7919u);
	open_socket(l);
}

static void options(struct load *l, int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", 1, NULL, 'p' },      { "window", 1, NULL, 'w' },
		{ "addresses", 1, NULL, 'a' }, { "devices", 1, NULL, 'd' },
		{ "seconds", 1, NULL, 's' },   { "warm", 1, NULL, 'W' },
		{ "rate", 1, NULL, 'r' },      { "szx", 1, NULL, 'z' },
		{ "size", 1, NULL, 'S' },      { "path", 1, NULL, 'P' },
		{ "file", 1, NULL, 'f' },      { "every-once", 0, NULL, 'e' },
		{ "any", 0, NULL, 'A' },       { NULL, 0, NULL, 0 },
	};
	struct {
		int name;
		long *to;
	} numbers[] = { { 'p', &l->port },    { 'w', &l->window },  { 'a', &l->addresses },
			{ 'd', &l->devices }, { 's', &l->seconds }, { 'W', &l->warm_ms },
			{ 'r', &l->rate },    { 'z', &l->szx },	    { 'S', &l->size } };
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == '?')
			exit(64);
		if (c == 'P')
			l->path = optarg;
		if (c == 'f')
			l->file_name = optarg;
		if (c == 'A')
			l->any = true;
		if (c == 'e')
			l->every_once = true;
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			if (numbers[i].name == c)
				*numbers[i].to = bench_number(optarg);
	}
	while (l->mode < MODES &&
	       (optind >= argc || strcmp(argv[optind], mode_names[l->mode]) != 0))
		l->mode++;
	if (l->mode == MODES) {
		fprintf(stderr, "usage: coap_load blocks|polls|reports|echo --port N ...\n");
		exit(64);
	}
}

int main(int argc, char **argv)
{
	static struct load l = { .window = 64,
				 .addresses = 64,
				 .devices = 10000,
				 .seconds = 2,
				 .warm_ms = 300,
				 .szx = 6,
				 .size = 1060 };

	options(&l, argc, argv);
	prepare(&l);
	if (signal(SIGTERM, on_term) == SIG_ERR)
		return EXIT_FAILURE;
	run(&l);
	return l.wrong || (l.right == 0 && !l.every_once) ? EXIT_FAILURE : EXIT_SUCCESS;
}
