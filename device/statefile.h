/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_STATEFILE_H
#define FETTLE_DEVICE_STATEFILE_H

#include "base/err.h"
#include "base/model.h"

/*
 * What a device knows after a reboot: DIR/state.json, replaced as a whole (write,
 * fsync, rename, fsync of DIR), at most STATE_MAX bytes, strictly read.
 */
#define STATE_MAX 16384

struct device_state {
	uint64_t boot;			/* id of the last boot; a new folder begins at random */
	int64_t confirm;		/* update to be told of after this boot, 0 none */
	bool rolled_back;		/* it is the old version that runs */
	struct component components[COMPONENTS_MAX];
	uint8_t n_components;
	/* an installation that was begun: finished at the next start */
	struct component installing[COMPONENTS_MAX];
	uint8_t n_installing;
};

/* 1: read; 0: there is none, *s is that of a new device; -1. */
int state_load(const char *dir, struct device_state *s, struct err *e);
int state_save(const char *dir, const struct device_state *s, struct err *e);
/* Parts of the above, pure. */
int state_decode(struct slice bytes, struct device_state *s, struct err *e);
int state_encode(const struct device_state *s, struct buf *out, struct err *e);

/* Write a file so that after a crash it is the old or the new one. */
int file_replace(const char *dir, const char *name, struct slice bytes, struct err *e);
int dir_sync(const char *dir, struct err *e);
/* The whole of a file of at most max bytes. 1, 0: there is none, -1. */
int file_read(const char *path, struct buf *out, struct err *e);

#endif
