/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_FAN_H
#define FETTLE_DEVICE_FAN_H

#include "base/err.h"
#include "base/slice.h"
#include "device/carrier.h"

/*
 * Many UDP endpoints towards one server, each with an address and port of its own.
 * Towards 127.0.0.0/8 they are as many loopback addresses behind one socket, else
 * a socket each. Datagrams go out and come in many at a time.
 */
struct fan;
typedef void (*fan_got)(void *ctx, uint32_t endpoint, struct slice datagram);

int fan_open(const struct target *server, uint32_t endpoints, struct fan **out, struct err *e);
void fan_close(struct fan *f);
/* The port all endpoints share, 0: each has its own. */
uint16_t fan_port(const struct fan *f);
/* Readable when something came. */
int fan_fd(const struct fan *f);
/* Asked of each datagram that is sent, whether it is lost; ctx as with fan_got. */
void fan_on_loss(struct fan *f, bool (*loses)(void *ctx), void *ctx);
/* Queued until fan_flush(); a datagram that cannot be sent is lost, as on any network. */
void fan_send(struct fan *f, uint32_t endpoint, const void *p, size_t n);
void fan_flush(struct fan *f);
/* Wait at most ms, then hand over what is there. -1 with errno. */
int fan_receive(struct fan *f, int ms, fan_got got, void *ctx);

#endif
