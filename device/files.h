/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_FILES_H
#define FETTLE_DEVICE_FILES_H

#include "device/agent.h"
#include "device/statefile.h"

/*
 * Flash, played by a folder: part-<digest>.bin while an image arrives (a later start
 * goes on where it ends, after hashing what is there), firmware-<component>.bin when
 * it is installed (bytes of its name that are no letter, digit, '-' or '_' as %2E).
 * FILES_RESERVE bytes of the file system stay free for the state.
 */
#define FILES_RESERVE (1u << 20)
struct files {
	const char *dir;
	struct sha256 *hash;
	int fd;
	struct digest want;
	uint64_t room;			/* bytes the folder may still take for this image */
	char path[512];
};

int files_open(struct files *f, const char *dir, struct err *e);
void files_close(struct files *f);
struct agent_sink files_sink(struct files *f);
/*
 * Note in s what is to be installed, put the parts in their places, note that it is done,
 * or that it is over.
 */
int files_install(const char *dir, struct device_state *s, const struct agent_offer *o,
		  struct err *e);
/* Finish an installation that a crash cut off. */
int files_recover(const char *dir, struct device_state *s, struct err *e);

#endif
