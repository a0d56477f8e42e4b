/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/front_loop.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/crypto.h"
#include "daemon/sysint.h"

#define FDS_MAX (COAP_LISTEN_MAX + HTTP_LISTEN_MAX + 8)
#define TICK_MS 250
#define FIGURES_TICKS 20 /* so often are figures told, if they changed */
#define STOP_MS 2000 /* for what is under way when told to stop */
#define QUEUE_MS 10000 /* at a start: so long askers wait in the kernel for the core's word */
#define OBJECTS_SLACK 16 /* a new object may come before the word that an old one goes */

struct loop {
	struct child_link *link;
	struct front *front;
	struct coap_server *coap; /* NULL: control */
	struct http_server *http;
	struct event_base *base;
	struct event *events[FDS_MAX];
	unsigned n_events;
	unsigned n_http, n_network; /* of the events: HTTP's first, then CoAP's */
	struct event *writable, *http_timer, *tick;
	bool coap_due, http_due, core_due, tick_due;
	unsigned ticks;
	bool open; /* the network is listened to */
	int64_t open_by;
	int64_t stop_by; /* 0: not told to */
	int64_t bodies_by; /* then: and bodies that move are waited for so long */
	bool ended;
	int status;
};

/* ---- what wakes the loop up ---- */

static void on_flag(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	*(bool *)ctx = true;
}

static void dump(const struct loop *lp)
{
	const struct front_stats *s = front_stats(lp->front);

	log_notice("state: requests=%" PRIu64 " batches=%" PRIu64 " refused_busy=%" PRIu64
		   " sessions=%" PRIu64 " grants=%" PRIu64 " objects=%" PRIu64,
		   s->requests, s->batches, s->refused_busy, s->sessions, s->grants, s->objects);
}

/*
 * What the askers of this moment still want comes to the next process where its sockets live
 * longer than this one (systemd's), and no later answer is owed to the others.
 */
static void begin_stop(struct loop *lp, unsigned bodies_ms)
{
	int64_t now = clock_mono_ms();

	if (lp->stop_by)
		return;
	lp->stop_by = now + STOP_MS;
	lp->bodies_by = now + bodies_ms;
	for (unsigned i = lp->n_http; i < lp->n_network; i++)
		(void)event_del(lp->events[i]);
	lp->coap_due = false;
	http_server_stop(lp->http);
}

static void parent_event(struct loop *lp, const struct child_event *ev)
{
	switch (ev->type) {
	case CHILD_STOP:
		begin_stop(lp, ev->arg);
		break;
	case CHILD_PEER:
		if (lp->coap)
			coap_server_set_keys(lp->coap, ev->fd);
		else
			close(ev->fd);
		break;
	case CHILD_SWITCH:
		break; /* what concerns a front beyond the log level comes by its replacement */
	case CHILD_DUMP:
		dump(lp);
		break;
	case CHILD_GONE:
		lp->ended = true;
		lp->status = EX_UNAVAILABLE;
		break;
	}
}

static void on_parent(evutil_socket_t fd, short what, void *ctx)
{
	struct loop *lp = ctx;
	struct child_event ev;

	(void)fd;
	(void)what;
	while (!lp->ended && child_link_next(lp->link, &ev) > 0)
		parent_event(lp, &ev);
}

/* ---- a turn ---- */

static void tick(struct loop *lp)
{
	uint64_t figures[FIGURE_COUNT];

	coap_server_tick(lp->coap);
	if (++lp->ticks % FIGURES_TICKS != 0)
		return;
	coap_server_figures(lp->coap, figures);
	front_figures(lp->front, figures);
}

static void network_turn(struct loop *lp)
{
	if (lp->coap && lp->coap_due)
		coap_server_io(lp->coap);
	if (lp->coap && lp->tick_due)
		tick(lp);
	if (lp->http_due)
		http_server_io(lp->http);
	lp->coap_due = lp->http_due = lp->tick_due = false;
}

/* Requests of this turn leave with the batch, replies go out before the loop sleeps. */
static void core_turn(struct loop *lp)
{
	struct err e = { 0 };

	if (!lp->core_due && !front_want_write(lp->front))
		return;
	lp->core_due = false;
	if (front_io(lp->front, &e) < 0) {
		log_error("%s", log_safe(e.text));
		lp->ended = true;
		lp->status = EX_UNAVAILABLE;
	}
	if (lp->coap)
		coap_server_flush(lp->coap);
	if (front_want_write(lp->front))
		(void)event_add(lp->writable, NULL);
}

static void arm_http(struct loop *lp)
{
	int64_t ms = http_server_timeout(lp->http);
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (ms < 0)
		(void)event_del(lp->http_timer);
	else if (event_add(lp->http_timer, &tv) != 0)
		lp->http_due = true;
}

static bool stopped(const struct loop *lp)
{
	int64_t now = clock_mono_ms();

	if (lp->ended || !lp->stop_by)
		return lp->ended;
	return now >= lp->stop_by || (front_idle(lp->front) &&
				      (now >= lp->bodies_by || !http_server_busy(lp->http, now)));
}

/*
 * Who asks before the core's first word waits in the sockets' queues: nobody hears 503 only
 * because a front was replaced, or started by the very question. A core that says nothing
 * for long is no reason to stay silent, though.
 */
static void open_network(struct loop *lp)
{
	if (lp->open || lp->stop_by || (!front_ready(lp->front) && clock_mono_ms() < lp->open_by))
		return;
	lp->open = true;
	for (unsigned i = 0; i < lp->n_network; i++)
		if (event_add(lp->events[i], NULL) != 0) {
			log_error("the network's sockets cannot be watched");
			lp->ended = true;
			lp->status = EX_OSERR;
		}
}

static void http_turn(struct loop *lp)
{
	if (!lp->open)
		return;
	http_server_io(lp->http);
	arm_http(lp);
}

static void run(struct loop *lp)
{
	lp->open_by = clock_mono_ms() + QUEUE_MS;
	while (!stopped(lp)) {
		if (event_base_loop(lp->base, EVLOOP_ONCE) < 0) {
			log_error("event loop failed");
			lp->status = EX_OSERR;
			return;
		}
		network_turn(lp);
		core_turn(lp);
		open_network(lp);
		/* answers that the core just gave go out now */
		http_turn(lp);
	}
	/* once more, so that what was answered leaves */
	network_turn(lp);
	http_turn(lp);
}

/* ---- setting up ---- */

static int prepare(struct loop *lp, int fd, event_callback_fn cb, void *ctx, struct err *e)
{
	struct event *ev;

	if (lp->n_events == FDS_MAX)
		return err_set(e, ERR_TOO_MANY, "too many descriptors to watch");
	ev = event_new(lp->base, fd, EV_READ | EV_PERSIST, cb, ctx);
	if (!ev)
		return err_set(e, ERR_NO_MEMORY, "event");
	lp->events[lp->n_events++] = ev;
	return 0;
}

static int watch(struct loop *lp, int fd, event_callback_fn cb, void *ctx, struct err *e)
{
	if (prepare(lp, fd, cb, ctx, e) < 0)
		return -1;
	if (event_add(lp->events[lp->n_events - 1], NULL) != 0)
		return err_set(e, ERR_NO_MEMORY, "event");
	return 0;
}

static int prepare_all(struct loop *lp, const int *fds, int n, bool *due, struct err *e)
{
	for (int i = 0; i < n; i++)
		if (prepare(lp, fds[i], on_flag, due, e) < 0)
			return -1;
	return 0;
}

static int watch_everything(struct loop *lp, struct err *e)
{
	struct timeval tick = { .tv_usec = TICK_MS * 1000 };
	int fds[FDS_MAX], n;

	n = http_server_fds(lp->http, fds, FDS_MAX);
	if (prepare_all(lp, fds, n, &lp->http_due, e) < 0)
		return -1;
	lp->n_http = lp->n_events;
	n = lp->coap ? coap_server_fds(lp->coap, fds, FDS_MAX) : 0;
	if (prepare_all(lp, fds, n, &lp->coap_due, e) < 0)
		return -1;
	lp->n_network = lp->n_events;
	if (watch(lp, front_fd(lp->front), on_flag, &lp->core_due, e) < 0 ||
	    watch(lp, lp->link->fd, on_parent, lp, e) < 0)
		return -1;
	lp->writable = event_new(lp->base, front_fd(lp->front), EV_WRITE, on_flag, &lp->core_due);
	lp->http_timer = evtimer_new(lp->base, on_flag, &lp->http_due);
	lp->tick = event_new(lp->base, -1, EV_PERSIST, on_flag, &lp->tick_due);
	if (!lp->writable || !lp->http_timer || !lp->tick || event_add(lp->tick, &tick) != 0)
		return err_set(e, ERR_NO_MEMORY, "event");
	return 0;
}

static int start_front(struct loop *lp, int core_fd, bool control, struct err *e)
{
	const struct config *cfg = &lp->link->cfg;
	struct front_options o = {
		.core_fd = core_fd,
		.lane = control ? FRONT_CONTROL : FRONT_NETWORK,
		.sessions_max =
			(unsigned)(control ? cfg->limits.control_sessions : cfg->limits.sessions),
		.grants_max = (unsigned)cfg->limits.grants,
		.objects_max = (unsigned)cfg->limits.objects + OBJECTS_SLACK,
	};

	return front_new(&o, &lp->front, e);
}

static void copy_addresses(struct listen_addr *to, unsigned *n, const struct listen_list *from)
{
	memcpy(to, from->v, sizeof(from->v));
	*n = from->n;
}

static int start_coap(struct loop *lp, int keys_fd, struct err *e)
{
	const struct config *cfg = &lp->link->cfg;
	struct coap_options o = {
		.n_trusted = cfg->coap.trusted.n,
		.dtls_sessions_max = (unsigned)cfg->limits.dtls_sessions,
		.handshakes_max = (unsigned)cfg->limits.handshakes,
		.envelope_number = (unsigned)cfg->coap.envelope_format,
		.keys_fd = keys_fd,
	};

	copy_addresses(o.udp, &o.n_udp, &cfg->coap.listen);
	copy_addresses(o.dtls, &o.n_dtls, &cfg->coap.listen_dtls);
	memcpy(o.trusted, cfg->coap.trusted.v, sizeof(o.trusted));
	memcpy(o.echo_secret, lp->link->secrets.echo_secret, sizeof(o.echo_secret));
	return coap_server_new(lp->front, &o, &lp->coap, e);
}

static int start_http(struct loop *lp, bool control, const int *given, unsigned n_given,
		      struct err *e)
{
	const struct config *cfg = &lp->link->cfg;
	struct http_options o = {
		.certificate_pem = lp->link->secrets.certificate_pem,
		.key_pem = lp->link->secrets.key_pem,
		.connections_max = (unsigned)cfg->limits.http_connections,
		.per_ip_max = (unsigned)cfg->limits.http_per_address,
		.idle_timeout_s = (unsigned)(cfg->limits.http_idle_ms / 1000),
		.min_rate = (unsigned)cfg->limits.http_min_rate,
	};
	int rc = control ? front_listen_control(cfg, given, n_given, &o, e)
			 : front_listen_network(cfg, given, n_given, &o, e);

	return rc < 0 ? -1 : http_server_new(lp->front, &o, &lp->http, e);
}

/* The order matters: all sockets, then the filter, and only then the first byte from a network. */
static int start(struct loop *lp, int core_fd, int keys_fd, bool control, const int *given,
		 unsigned n_given, struct err *e)
{
	struct digest warm;

	lp->base = event_base_new();
	if (!lp->base)
		return err_set(e, ERR_NO_MEMORY, "event base");
	/* the crypto library reads its configuration at first use */
	if (hmac_sha256(slice_str("k"), slice_str(""), &warm) != 0)
		return err_set(e, ERR_INTERNAL, "HMAC does not work");
	if (start_front(lp, core_fd, control, e) < 0)
		return -1;
	if ((!control && start_coap(lp, keys_fd, e) < 0) ||
	    start_http(lp, control, given, n_given, e) < 0) {
		/* fettled(8) has a status of its own for a listener */
		lp->status = e->code == ERR_IO ? EX_UNAVAILABLE : EX_SOFTWARE;
		return -1;
	}
	if (watch_everything(lp, e) < 0)
		return -1;
	if (sysint_sandbox_front(e) != 0)
		return -1;
	lp->core_due = true; /* the greeting waits to be sent */
	core_turn(lp);
	return 0;
}

static void stop(struct loop *lp)
{
	struct event *own[] = { lp->writable, lp->http_timer, lp->tick };

	for (unsigned i = 0; i < lp->n_events; i++)
		event_free(lp->events[i]);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (own[i])
			event_free(own[i]);
	http_server_free(lp->http);
	coap_server_free(lp->coap);
	front_free(lp->front);
	if (lp->base)
		event_base_free(lp->base);
}

int front_main(struct child_link *link, int core_fd, int keys_fd, bool control,
	       const int *listeners, unsigned n_listeners)
{
	struct loop lp = { .link = link };
	struct err e = { 0 };

	if (start(&lp, core_fd, keys_fd, control, listeners, n_listeners, &e) < 0) {
		log_error("%s", e.text);
		if (lp.status == 0)
			lp.status = e.code == ERR_IO ? EX_OSERR : EX_SOFTWARE;
	} else if (child_link_ready(link) != 0) {
		lp.status = EX_UNAVAILABLE;
	} else {
		run(&lp);
	}
	stop(&lp);
	return lp.status;
}
