/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_SUIT_WORLDS_H
#define FETTLE_CODEC_SUIT_WORLDS_H

#include "codec/suit_internal.h"

#define WORLDS_MAX SUIT_ALTERNATIVES_MAX

/* One component in one possible run of a manifest. */
struct world_component {
	struct suit_params p;
	bool bound;		/* a component-slot condition held: */
	uint64_t slot;		/* for this slot */
	bool fetched;
};

struct world {
	struct world_component c[SUIT_COMPONENTS_MAX];
};

struct worlds {
	struct world *w;
	unsigned n, cap;
};

int worlds_init(struct worlds *w);		/* one world, nothing set; -1: no memory */
int worlds_copy(struct worlds *dst, const struct worlds *src);	/* -1: no memory */
/* -1: over WORLDS_MAX, or no memory */
int worlds_append(struct worlds *dst, const struct worlds *src);
void worlds_free(struct worlds *w);

/* selected has a bit for every component meant. */
void worlds_set_params(struct worlds *w, uint32_t selected, const struct suit_params *p,
		       bool override);
void worlds_copy_params(struct worlds *w, uint32_t selected, unsigned from, uint32_t mask);
/* Is parameter number set for every selected component in every world? */
bool worlds_have(const struct worlds *w, uint32_t selected, unsigned number);
/* Hold each component to the slot its parameter says; worlds that cannot are dropped. */
void worlds_bind_slots(struct worlds *w, uint32_t selected);
void worlds_fetch(struct worlds *w, uint32_t selected);
const char *worlds_version(const struct worlds *w, uint32_t selected);
/* Add the images of all worlds to m, alike ones once. */
int worlds_collect(const struct worlds *w, struct suit_manifest *m, struct err *e);

#endif
