/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "daemon/coap_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

void link_init(struct link *head)
{
	head->next = head->prev = head;
}

void link_add(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

void link_del(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

bool link_empty(const struct link *head)
{
	return head->next == head;
}

int coap_server_new(struct front *f, const struct coap_options *o, struct coap_server **out,
		    struct err *e)
{
	struct coap_server *cs = calloc(1, sizeof(*cs));

	if (!cs)
		return err_set(e, ERR_NO_MEMORY, "coap");
	cs->front = f;
	cs->o = *o;
	cs->now = clock_mono_ms();
	random_bytes(&cs->seed, sizeof(cs->seed));
	link_init(&cs->pending);
	link_init(&cs->answered);
	link_init(&cs->bodies);
	link_init(&cs->confirmables);
	link_init(&cs->dirty);
	link_init(&cs->kept);
	link_init(&cs->pushes);
	cs->peers = calloc(PEER_BUCKETS, sizeof(struct coap_peer *));
	cs->observers = calloc(OBSERVER_BUCKETS, sizeof(struct observer *));
	if (!cs->peers || !cs->observers) {
		err_set(e, ERR_NO_MEMORY, "coap");
		goto fail;
	}
	if (plain_new(cs, e) < 0 || (o->n_dtls && dtls_new(cs, e) < 0))
		goto fail;
	front_on_notify(f, observers_notify, cs);
	front_on_send(f, pushes_order, cs);
	*out = cs;
	return 0;
fail:
	coap_server_free(cs);
	return -1;
}

void coap_server_free(struct coap_server *cs)
{
	if (!cs)
		return;
	dtls_free(cs->dtls); /* ends its peers */
	for (unsigned i = 0; cs->peers && i < PEER_BUCKETS; i++)
		while (cs->peers[i])
			peer_end(cs->peers[i], true);
	udp_free(cs->udp);
	free(cs->peers);
	free(cs->observers);
	free(cs);
}

int coap_server_fds(struct coap_server *cs, int *fds, int limit)
{
	int n = udp_fds(cs->udp, fds, limit);

	return cs->dtls ? n + dtls_fds(cs->dtls, fds + n, limit - n) : n;
}

void coap_server_set_keys(struct coap_server *cs, int keys_fd)
{
	if (cs->dtls)
		dtls_set_keys(cs->dtls, keys_fd);
	else
		close(keys_fd);
}

void coap_server_io(struct coap_server *cs)
{
	cs->now = clock_mono_ms();
	udp_io(cs->udp);
	if (cs->dtls)
		dtls_io(cs->dtls);
}

void coap_server_flush(struct coap_server *cs)
{
	udp_flush(cs->udp);
	if (cs->dtls)
		dtls_flush(cs->dtls);
}

void coap_server_figures(const struct coap_server *cs, uint64_t out[FIGURE_COUNT])
{
	memset(out, 0, FIGURE_COUNT * sizeof(out[0]));
	out[FIGURE_OBSERVERS] = cs->n_observers;
	out[FIGURE_CALLS] = cs->n_pushes;
	out[FIGURE_CHALLENGED] = cs->challenged;
	out[FIGURE_BUSY] = cs->busy;
	out[FIGURE_DROPPED] = cs->dropped;
	if (cs->dtls)
		dtls_figures(cs->dtls, out);
}

void coap_server_tick(struct coap_server *cs)
{
	cs->now = clock_mono_ms();
	exchanges_tick(cs);
	confirmables_tick(cs);
	pushes_tick(cs);
	bodies_expire(cs);
	kept_expire(cs);
	observers_retry(cs);
	if (cs->dtls)
		dtls_tick(cs->dtls);
	coap_server_flush(cs);
}
