/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/supervise_internal.h"
#include "daemon/sysint.h"

/*
 * SIGHUP: parse all and read the secrets, let every child prepare, and only
 * then switch. Whatever goes wrong on the way, also for want of descriptors
 * or memory, the configuration in force stays whole.
 */

/* ---- can the new addresses be had? ---- */

static bool list_has(const struct listen_list *l, const struct listen_addr *a, bool port_only)
{
	for (unsigned i = 0; i < l->n; i++)
		if (port_only ? l->v[i].port == a->port : strcmp(l->v[i].text, a->text) == 0)
			return true;
	return false;
}

static int try_bind(const struct listen_addr *a, int type)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };
	int one = 1, rc, fd = socket(a->v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memcpy(&v4.sin_addr, a->ip + 12, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, a->ip, sizeof(v6.sin6_addr));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	rc = a->v4 ? bind(fd, (const struct sockaddr *)&v4, sizeof(v4))
		   : bind(fd, (const struct sockaddr *)&v6, sizeof(v6));
	int saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

static int try_list(const struct listen_list *now, const struct listen_list *old_a,
		    const struct listen_list *old_b, int type, struct err *e)
{
	for (unsigned i = 0; i < now->n; i++) {
		const struct listen_addr *a = &now->v[i];
		if (list_has(old_a, a, false) || list_has(old_b, a, false) ||
		    try_bind(a, type) == 0)
			continue;
		/* our own old socket may be what is in the way: it goes before the new one comes */
		if (errno == EADDRINUSE && (list_has(old_a, a, true) || list_has(old_b, a, true)))
			continue;
		return err_set(e, ERR_CONFLICT, "listening on %s: %s", a->text, strerror(errno));
	}
	return 0;
}

static int try_listeners(const struct config *old, const struct config *new, struct err *e)
{
	if (try_list(&new->coap.listen, &old->coap.listen, &old->coap.listen_dtls, SOCK_DGRAM, e) !=
		    0 ||
	    try_list(&new->coap.listen_dtls, &old->coap.listen, &old->coap.listen_dtls, SOCK_DGRAM,
		     e) != 0 ||
	    try_list(&new->http.listen, &old->http.listen, &old->http.listen_tls, SOCK_STREAM, e) !=
		    0)
		return -1;
	return try_list(&new->http.listen_tls, &old->http.listen, &old->http.listen_tls,
			SOCK_STREAM, e);
}

/* ---- parse, prepare, switch ---- */

static void over(struct supervisor *s)
{
	s->reload.state = RELOAD_IDLE;
	(void)sysint_notify("READY=1");
	if (s->reload.again) {
		s->reload.again = false;
		reload_begin(s);
	}
}

static void drop(struct supervisor *s, const char *why)
{
	log_error("reload refused, the configuration in force stays: %s", why);
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		if (s->child[i].state == RUN_UP)
			(void)parent_msg_send(s->child[i].fd, PM_FORGET, 0, 0, -1);
	secrets_wipe(&s->reload.secrets);
	over(s);
}

static int parse(struct supervisor *s, struct err *e)
{
	struct reload *r = &s->reload;
	const char *key;

	if (config_load(s->o->config_path, &r->cfg, e) != 0)
		return -1;
	config_settle(&r->cfg);
	key = config_needs_restart(&s->cfg, &r->cfg);
	if (key)
		return err_set(e, ERR_INVALID, "%s: %s changes with a restart only",
			       s->o->config_path, key);
	if (try_listeners(&s->cfg, &r->cfg, e) != 0)
		return -1;
	/* a front that cannot start with them must not replace one that serves */
	if (secrets_load(&r->cfg, &r->secrets, e) != 0 ||
	    secrets_check(&r->cfg, &r->secrets, e) != 0)
		return -1;
	memcpy(r->secrets.echo_secret, s->secrets.echo_secret, sizeof(r->secrets.echo_secret));
	return 0;
}

static int ask_children(struct supervisor *s, struct err *e)
{
	struct reload *r = &s->reload;
	int rc = 0, fd = config_seal(&r->cfg, &r->secrets, e);

	if (fd < 0)
		return -1;
	r->number++;
	r->waiting = 0;
	r->refused = false;
	for (unsigned i = 0; i < PROCESS_COUNT && rc == 0; i++) {
		struct child *c = &s->child[i];
		if (c->state != RUN_UP)
			continue; /* it gets the configuration in force when it starts */
		r->waiting |= 1u << i;
		rc = parent_msg_send(c->fd, PM_CONFIG, 0, r->number, fd);
		if (rc != 0)
			err_set(e, ERR_BUSY, "%s takes no message", process_name(c->kind));
	}
	close(fd);
	return rc;
}

void reload_begin(struct supervisor *s)
{
	struct reload *r = &s->reload;
	struct err e = { 0 };

	if (s->phase != PHASE_RUNNING || r->state != RELOAD_IDLE) {
		r->again = s->phase != PHASE_STOPPING;
		return;
	}
	sysint_notify_reloading();
	memset(&r->secrets, 0, sizeof(r->secrets));
	r->state = RELOAD_PREPARING;
	r->deadline = clock_mono_ms() + PREPARE_MS;
	if (parse(s, &e) != 0 || ask_children(s, &e) != 0)
		drop(s, e.text);
}

static void switch_over(struct supervisor *s)
{
	struct reload *r = &s->reload;
	bool keep_fronts =
		config_same_front(&s->cfg, &r->cfg) && secrets_same(&s->secrets, &r->secrets);

	secrets_wipe(&s->secrets);
	s->cfg = r->cfg;
	s->secrets = r->secrets;
	memset(&r->secrets, 0, sizeof(r->secrets));
	log_set_level(s->cfg.server.log_level);
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		if (s->child[i].state == RUN_UP)
			(void)parent_msg_send(s->child[i].fd, PM_SWITCH, 0, 0, -1);
	log_notice("configuration read again%s",
		   keep_fronts ? "" : ", front and control are replaced");
	if (keep_fronts) {
		over(s);
		return;
	}
	/*
	 * Its sandbox opens nothing: a front learns of these by being replaced. Nobody listens
	 * meanwhile, so that one download must not keep all others out.
	 */
	supervise_stop_child(&s->child[PROCESS_FRONT], 0);
	supervise_stop_child(&s->child[PROCESS_CONTROL], 0);
	r->state = RELOAD_REPLACING;
	r->deadline = clock_mono_ms() + REPLACE_MS;
}

static void progress(struct supervisor *s)
{
	struct reload *r = &s->reload;

	if (r->state != RELOAD_PREPARING || r->waiting)
		return;
	if (r->refused)
		drop(s, "a child could not prepare it");
	else
		switch_over(s);
}

void reload_answer(struct supervisor *s, const struct child *c, const struct parent_msg *m)
{
	struct reload *r = &s->reload;

	if (r->state != RELOAD_PREPARING || m->value != r->number)
		return;
	r->waiting &= ~(1u << c->kind);
	r->refused |= m->arg != 1;
	progress(s);
}

void reload_child_gone(struct supervisor *s, const struct child *c)
{
	s->reload.waiting &= ~(1u << c->kind);
	progress(s);
}

void reload_tick(struct supervisor *s, int64_t now)
{
	struct reload *r = &s->reload;

	if (r->state == RELOAD_IDLE && r->again && s->phase == PHASE_RUNNING) {
		r->again = false;
		reload_begin(s);
	} else if (r->state == RELOAD_PREPARING && now >= r->deadline) {
		drop(s, "a child did not answer in time");
	} else if (r->state == RELOAD_REPLACING && (supervise_all_up(s) || now >= r->deadline)) {
		if (!supervise_all_up(s))
			log_error("reload: the new front is not ready; it is tried again");
		over(s);
	}
}
